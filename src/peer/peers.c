/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer/peers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "peer/call.h"
#include "peer/pairing.h"
#include "peer/port.h"
#include "peer/sessions.h"

struct peers {
    struct outside outside;
    struct tls_context *client; /* owned, as all here */
    struct tls_context *server; /* NULL: no port */
    struct calls *calls;
    struct pairings *pairings;
    struct sessions *sessions;
    struct port *port; /* NULL: none */
};

/* --- the service's table --------------------------------------------------------------------- */

static int outside_ask(void *context, uint64_t token, const struct peer_address *peer,
                       struct peer_question *question, uint32_t deadline_s, struct error *err)
{
    struct peers *peers = context;

    return calls_ask(peers->calls, token, peer, question, deadline_s, err);
}

static int outside_look(void *context, uint64_t token, const struct session_order *order,
                        struct error *err)
{
    struct peers *peers = context;

    return sessions_look(peers->sessions, token, order, err);
}

static int outside_start(void *context, const struct session_order *order, struct error *err)
{
    struct peers *peers = context;

    return sessions_start(peers->sessions, order, err);
}

static void outside_stop(void *context, const struct uuid *job)
{
    struct peers *peers = context;

    sessions_stop_job(peers->sessions, job);
}

static void outside_cut(void *context, const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    struct peers *peers = context;

    calls_cut(peers->calls, fingerprint);
    sessions_cut(peers->sessions, fingerprint);
    if (peers->port != NULL) {
        port_cut(peers->port, fingerprint);
    }
}

const struct outside *peers_outside(struct peers *peers)
{
    return &peers->outside;
}

/* --- building -------------------------------------------------------------------------------- */

static void peers_freep(struct peers **peers)
{
    peers_free(*peers);
}

static int make_parts(struct peers *peers, const struct peers_config *config, struct error *err)
{
    const struct identity *identity = config->identity;
    const struct pairings_config pairings = {.env = config->env,
                                             .mailbox = config->mailbox,
                                             .client = peers->client,
                                             .identity = identity,
                                             .host_name = config->host_name,
                                             .advertise_address = config->advertise_address};

    if (calls_new(config->env, config->mailbox, peers->client, &peers->calls, err) < 0 ||
        pairings_new(&pairings, &peers->pairings, err) < 0) {
        return -1;
    }
    return sessions_new(config->env, config->mailbox, config->inventory, identity, &peers->sessions,
                        err);
}

static int make_port(struct peers *peers, const struct peers_config *config, struct error *err)
{
    static const char *const protocols[] = {PEER_ALPN_SESSION, PEER_ALPN_CALL, PEER_ALPN_PAIR};

    if (tls_context_new_pinned(config->identity->cert_path, config->identity->key_path, true,
                               protocols, ARRAY_COUNT(protocols), &peers->server, err) < 0) {
        return -1;
    }
    const struct port_config port = {.env = config->env,
                                     .mailbox = config->mailbox,
                                     .server = peers->server,
                                     .sessions = peers->sessions,
                                     .pairings = peers->pairings,
                                     .listen_address = config->listen_address};
    return port_new(&port, &peers->port, err);
}

int peers_new(const struct peers_config *config, struct peers **out, struct error *err)
{
    CLEANUP(peers_freep) struct peers *peers = calloc(1, sizeof *peers);

    if (peers == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for connections to peers");
    }
    peers->outside = (struct outside){.ask = outside_ask,
                                      .look = outside_look,
                                      .start = outside_start,
                                      .stop = outside_stop,
                                      .cut = outside_cut,
                                      .context = peers};
    if (tls_context_new_pinned(config->identity->cert_path, config->identity->key_path, false, NULL,
                               0, &peers->client, err) < 0 ||
        make_parts(peers, config, err) < 0) {
        return -1;
    }
    if (config->listen_address[0] != '\0' && make_port(peers, config, err) < 0) {
        return -1;
    }
    *out = TAKE(peers);
    return 0;
}

int peers_begin(struct peers *peers, struct service *service, struct error *err)
{
    calls_begin(peers->calls, service);
    pairings_begin(peers->pairings, service);
    sessions_begin(peers->sessions, service);
    return peers->port == NULL ? 0 : port_begin(peers->port, service, err);
}

const char *peers_listening_at(const struct peers *peers)
{
    return peers->port == NULL ? "" : port_listening_at(peers->port);
}

void peers_stop(struct peers *peers)
{
    pairings_stop(peers->pairings);
    calls_stop(peers->calls);
    sessions_stop_all(peers->sessions);
    if (peers->port != NULL) {
        port_stop(peers->port);
    }
}

bool peers_is_idle(const struct peers *peers)
{
    return calls_is_idle(peers->calls) && pairings_is_idle(peers->pairings) &&
           sessions_is_idle(peers->sessions) && (peers->port == NULL || port_is_idle(peers->port));
}

void peers_free(struct peers *peers)
{
    if (peers == NULL) {
        return;
    }
    port_free(peers->port); /* its connections use all the others */
    pairings_free(peers->pairings);
    calls_free(peers->calls);
    sessions_free(peers->sessions); /* takes NULL, as every _free */
    tls_context_free(peers->server);
    tls_context_free(peers->client);
    free(peers);
}

/* --- pairing --------------------------------------------------------------------------------- */

int pairing_ask(struct peers *peers, const char *address, struct pairing *out, struct error *err)
{
    return pairings_ask(peers->pairings, address, out, err);
}

int pairing_wait(struct peers *peers, struct pairing *out, struct error *err)
{
    if (peers->port == NULL) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "this host has no replication port: set [replication] listen in its "
                    "configuration, or let it ask the other host");
    }
    return pairings_wait(peers->pairings, out, err);
}

uint32_t pairing_count(const struct peers *peers)
{
    return pairings_count(peers->pairings);
}

void pairing_at(const struct peers *peers, uint32_t index, struct pairing *out)
{
    pairings_at(peers->pairings, index, out);
}

int pairing_confirm(struct peers *peers, const struct uuid *id, const char *code,
                    struct pairing *out, struct error *err)
{
    return pairings_confirm(peers->pairings, id, code, out, err);
}

int pairing_refuse(struct peers *peers, const struct uuid *id, struct pairing *out,
                   struct error *err)
{
    return pairings_refuse(peers->pairings, id, out, err);
}
