/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * port.c - the order in which a connection is let in:
 *
 *   accept -> a seat (of so many in all, and of one address) -> TLS -> the seat bears the
 *   fingerprint -> does the service know it? -> only now a byte of the peer is read -> by protocol
 *
 * 1. From accept to known HANDSHAKE_TIMEOUT_S may pass.
 * 2. The seat bears the fingerprint before the service is asked: a host that is revoked meanwhile
 * is either not known or cut.
 */
#include "peer/port.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "peer/codec.h"
#include "peer/crew.h"
#include "peer/peers.h"
#include "peer/stream.h"
#include "wire/listener.h"

/* How long the next connection waits when descriptors ran out. */
#define EXHAUSTED_PAUSE_MS 1000

struct port {
    struct port_config config;
    struct service *service; /* only the service's thread touches it */
    struct listener listener;
    struct crew *crew;        /* owned */
    int stop_fd;              /* owned eventfd; readable: stop */
    pthread_mutex_t log_lock; /* one refusal is logged at a time: a log site is one thread's */
    bool has_thread;
    pthread_t thread;
};

struct connection {
    struct port *port; /* borrowed */
    int fd;            /* owned until TLS takes it */
    uint64_t deadline_ns;
    char peer[LISTENER_SHOWN_MAX];
};

/* --- one connection -------------------------------------------------------------------------- */

/* What the service's thread is asked about a connection. */
struct inquiry {
    struct port *port;
    const uint8_t *fingerprint;
    bool is_known;
    const struct peer_question *question;
    struct peer_answer answer;
};

static void look_up(void *argument)
{
    struct inquiry *inquiry = argument;

    inquiry->is_known = service_knows_peer(inquiry->port->service, inquiry->fingerprint) != NULL;
}

/* Known is asked again: the host may have been revoked between its question's bytes. */
static void answer_question(void *argument)
{
    struct inquiry *inquiry = argument;

    look_up(inquiry);
    if (inquiry->is_known) {
        service_asked(inquiry->port->service, inquiry->fingerprint, inquiry->question,
                      &inquiry->answer);
    }
}

static int send_answer(struct port *port, struct link *link, const struct peer_answer *answer,
                       struct error *err)
{
    const struct env *env = port->config.env;
    struct span text = {NULL, 0};

    if (codec_encode_answer(answer, &text, err) < 0) {
        return -1;
    }
    int sent = stream_send(link, span_const(text), env,
                           env_now_ns(env) + HANDSHAKE_TIMEOUT_S * NS_PER_S, err);
    free(text.at);
    return sent;
}

static int serve_question(struct port *port, struct link *link, struct span buffer,
                          struct error *err)
{
    const struct env *env = port->config.env;
    struct peer_question question = {.call = PEER_CALL_INVALID};
    struct inquiry inquiry = {
        .port = port, .fingerprint = link->fingerprint, .question = &question};
    size_t len_bytes = 0;

    if (stream_receive(link, buffer, env, env_now_ns(env) + HANDSHAKE_TIMEOUT_S * NS_PER_S,
                       &len_bytes, err) < 0) {
        return -1;
    }
    if (codec_decode_question((struct const_span){buffer.at, len_bytes}, &question, err) < 0) {
        return -1;
    }
    bool is_asked = mailbox_call(port->config.mailbox, answer_question, &inquiry);
    peer_question_done(&question);
    if (!is_asked || !inquiry.is_known) {
        return fail(err, ERR_PEER, 0, "%s: it was turned away before its question was answered",
                    link->peer);
    }
    return send_answer(port, link, &inquiry.answer, err);
}

static int serve_call(struct port *port, struct link *link, struct error *err)
{
    uint8_t *buffer = malloc(PEER_MESSAGE_MAX);

    if (buffer == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "no memory for a peer's question");
    }
    int result = serve_question(port, link, (struct span){buffer, PEER_MESSAGE_MAX}, err);
    free(buffer);
    return result;
}

static int check_known(struct port *port, const struct link *link, struct error *err)
{
    struct inquiry inquiry = {.port = port, .fingerprint = link->fingerprint};
    char text[FINGERPRINT_TEXT_MAX];

    if (mailbox_call(port->config.mailbox, look_up, &inquiry) && inquiry.is_known) {
        return 0;
    }
    fingerprint_format(link->fingerprint, text);
    return fail(err, ERR_PEER, 0,
                "%s: not paired with this host (fingerprint %s): turned away unheard", link->peer,
                text);
}

static int serve_link(struct port *port, struct link *link, struct error *err)
{
    assert(link->has_fingerprint);
    if (strcmp(link->protocol, PEER_ALPN_PAIR) == 0) {
        pairings_serve(port->config.pairings, link);
        return 0;
    }
    if (check_known(port, link, err) < 0) {
        return -1;
    }
    if (strcmp(link->protocol, PEER_ALPN_CALL) == 0) {
        return serve_call(port, link, err);
    }
    assert(strcmp(link->protocol, PEER_ALPN_SESSION) == 0); /* the context takes no others */
    sessions_serve(port->config.sessions, link);
    return 0;
}

static int serve(struct connection *c, struct crew_seat *seat, struct error *err)
{
    struct port *port = c->port;
    struct link *link = NULL;

    if (crew_hold(seat, c->fd, err) < 0) {
        (void)close(c->fd); /* nothing was sent on it */
        return -1;
    }
    if (link_accept_pinned(port->config.server, c->fd, c->deadline_ns, port->config.env, &link,
                           err) < 0) {
        return -1;
    }
    crew_name(seat, link->fingerprint); /* invariant 2 */
    int result = serve_link(port, link, err);
    link_close(link);
    return result;
}

static void run_connection(void *argument, struct crew_seat *seat)
{
    struct connection *c = argument;
    struct error err = {.kind = ERR_NONE};

    if (serve(c, seat, &err) < 0) {
        (void)pthread_mutex_lock(&c->port->log_lock);
        log_event(LOG_LEVEL_WARNING, {"event", "connection refused"}, {"peer", c->peer},
                  {"error", err.message});
        (void)pthread_mutex_unlock(&c->port->log_lock);
    }
    free(c);
}

/* --- accepting ------------------------------------------------------------------------------- */

static void numeric_address(int fd, char out[CREW_ADDRESS_MAX])
{
    struct sockaddr_storage address = {0};
    socklen_t len_bytes = sizeof address;

    if (getpeername(fd, (struct sockaddr *)&address, &len_bytes) < 0 ||
        getnameinfo((struct sockaddr *)&address, len_bytes, out, CREW_ADDRESS_MAX, NULL, 0,
                    NI_NUMERICHOST) != 0) {
        (void)snprintf(out, CREW_ADDRESS_MAX, "?"); /* those share one count */
    }
}

/* Takes fd. */
static int let_in(struct port *port, int fd, const char *peer, struct error *err)
{
    struct connection *c = calloc(1, sizeof *c);
    char address[CREW_ADDRESS_MAX];

    if (c == NULL) {
        (void)close(fd);
        return fail(err, ERR_LIMIT, ENOMEM, "no memory for a connection");
    }
    const struct env *env = port->config.env;
    c->port = port;
    c->fd = fd;
    c->deadline_ns = env_now_ns(env) + HANDSHAKE_TIMEOUT_S * NS_PER_S;
    (void)snprintf(c->peer, sizeof c->peer, "%s", peer);
    numeric_address(fd, address);
    if (crew_start(port->crew, address, PEER_CONNECTIONS_EACH, run_connection, c, err) < 0) {
        (void)close(fd);
        free(c);
        return -1;
    }
    return 0;
}

/* Some at a time, so that a flood cannot keep the loop from its end. Returns how long it must leave
 * the listener alone. */
static int accept_some(struct port *port)
{
    struct error err = {.kind = ERR_NONE};
    enum listener_result result = LISTENER_NOTHING;
    char peer[LISTENER_SHOWN_MAX];
    int fd = -1;

    for (uint32_t i = 0; i < PEER_CONNECTIONS_MAX; i++) {
        result = listener_accept(&port->listener, &fd, &err);
        if (result != LISTENER_ACCEPTED) {
            break;
        }
        listener_peer_text(fd, peer);
        if (let_in(port, fd, peer, &err) < 0) {
            log_event(LOG_LEVEL_WARNING, {"event", "connection refused"}, {"peer", peer},
                      {"error", err.message});
        }
    }
    if (result == LISTENER_EXHAUSTED) {
        log_event(LOG_LEVEL_WARNING, {"event", "no connection can be accepted"},
                  {"error", err.message});
        return EXHAUSTED_PAUSE_MS;
    }
    return 0;
}

static void *run_port(void *argument)
{
    struct port *port = argument;
    int pause_ms = 0;

    for (;;) {
        struct pollfd fds[] = {{.fd = port->stop_fd, .events = POLLIN},
                               {.fd = pause_ms > 0 ? -1 : port->listener.fd, .events = POLLIN}};
        int ready = poll(fds, ARRAY_COUNT(fds), pause_ms > 0 ? pause_ms : -1);
        if (ready > 0 && fds[0].revents != 0) {
            return NULL;
        }
        pause_ms = accept_some(port);
    }
}

/* --- the whole ------------------------------------------------------------------------------- */

int port_new(const struct port_config *config, struct port **out, struct error *err)
{
    struct port *port = calloc(1, sizeof *port);

    if (port == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the replication port");
    }
    port->config = *config;
    port->listener.fd = -1;
    (void)pthread_mutex_init(&port->log_lock, NULL); /* does not fail with default attributes */
    port->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = port->stop_fd < 0
                     ? fail(err, ERR_LIMIT, errno, "cannot make an eventfd")
                     : crew_new(PEER_CONNECTIONS_MAX, "connections", &port->crew, err);
    if (result < 0 || listener_open(config->listen_address, &port->listener, err) < 0) {
        port_free(port);
        return -1;
    }
    *out = port;
    return 0;
}

int port_begin(struct port *port, struct service *service, struct error *err)
{
    assert(!port->has_thread);
    port->service = service;
    int errnum = pthread_create(&port->thread, NULL, run_port, port);
    if (errnum != 0) {
        return fail(err, ERR_LIMIT, errnum, "cannot start a thread for the replication port");
    }
    port->has_thread = true;
    return 0;
}

const char *port_listening_at(const struct port *port)
{
    return port->listener.shown;
}

void port_cut(struct port *port, const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    crew_cut(port->crew, fingerprint);
}

void port_stop(struct port *port)
{
    uint64_t one = 1;

    (void)!write(port->stop_fd, &one, sizeof one); /* fails only when it is readable anyway */
    if (port->has_thread) {
        /* It calls nobody's mailbox, so it ends at once. */
        (void)pthread_join(port->thread, NULL);
        port->has_thread = false;
    }
    listener_close(&port->listener);
    crew_stop(port->crew);
}

bool port_is_idle(const struct port *port)
{
    return crew_is_idle(port->crew);
}

void port_free(struct port *port)
{
    if (port == NULL) {
        return;
    }
    if (port->crew != NULL && port->stop_fd >= 0) {
        port_stop(port);
    }
    crew_free(port->crew);
    listener_close(&port->listener);
    if (port->stop_fd >= 0) {
        (void)close(port->stop_fd); /* an eventfd has nothing to lose */
    }
    (void)pthread_mutex_destroy(&port->log_lock);
    free(port);
}
