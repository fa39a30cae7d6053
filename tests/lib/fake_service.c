/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake_service.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer/sessions.h"

/* --- the service ----------------------------------------------------------------------------- */

void peer_question_done(struct peer_question *question)
{
    free(question->relationship.disks);
    question->relationship.disks = NULL;
}

const struct host_row *service_knows_peer(const struct service *service,
                                          const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    ((struct service *)(uintptr_t)service)->known_count++; /* the double counts what looks at it */
    for (uint32_t i = 0; i < service->host_count; i++) {
        if (memcmp(service->hosts[i].fingerprint, fingerprint, FINGERPRINT_BYTES) == 0) {
            return &service->hosts[i];
        }
    }
    return service->is_everybody_known ? &service->hosts[0] : NULL;
}

void service_asked(struct service *service, const uint8_t fingerprint[FINGERPRINT_BYTES],
                   const struct peer_question *question, struct peer_answer *out)
{
    (void)fingerprint;
    service->asked_count++;
    service->asked_call = question->call;
    (void)snprintf(service->asked_vm, sizeof service->asked_vm, "%s",
                   question->relationship.vm_name);
    *out = (struct peer_answer){.end = PEER_ANSWERED, .value = RETURN_DONE};
    (void)snprintf(out->host_name, sizeof out->host_name, "asked");
    (void)snprintf(out->version, sizeof out->version, "1");
}

void service_answered(struct service *service, uint64_t token, const struct peer_answer *answer)
{
    service->answered_count++;
    service->answered_token = token;
    service->answered = *answer;
}

int service_add_host(struct service *service, const struct caller *caller,
                     const struct host_row *host, enum return_value *out, struct error *err)
{
    if (caller->role != CALLER_SERVICE) {
        return fail(err, ERR_USAGE, 0, "who is this?");
    }
    if (service->host_count == ARRAY_COUNT(service->hosts)) {
        return fail(err, ERR_LIMIT, 0, "no more hosts");
    }
    service->hosts[service->host_count++] = *host;
    *out = RETURN_DONE;
    return 0;
}

/* --- sessions -------------------------------------------------------------------------------- */

struct sessions {
    struct service *service;
};

static atomic_uint served_count;

uint32_t fake_sessions_served(void)
{
    return atomic_load(&served_count);
}

int sessions_new(const struct env *env, struct mailbox *mailbox, const struct inventory *inventory,
                 const struct identity *identity, struct sessions **out, struct error *err)
{
    (void)env;
    (void)mailbox;
    (void)inventory;
    (void)identity;
    *out = calloc(1, sizeof **out);
    return *out == NULL ? fail(err, ERR_LIMIT, 0, "no memory") : 0;
}

void sessions_begin(struct sessions *sessions, struct service *service)
{
    sessions->service = service;
}

int sessions_look(struct sessions *sessions, uint64_t token, const struct session_order *order,
                  struct error *err)
{
    (void)sessions;
    (void)token;
    (void)order;
    return fail(err, ERR_LIMIT, 0, "this double looks at nothing");
}

int sessions_start(struct sessions *sessions, const struct session_order *order, struct error *err)
{
    (void)sessions;
    (void)order;
    return fail(err, ERR_LIMIT, 0, "this double starts nothing");
}

void sessions_stop_job(struct sessions *sessions, const struct uuid *job)
{
    (void)sessions;
    (void)job;
}

void sessions_cut(struct sessions *sessions, const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    (void)sessions;
    (void)fingerprint;
}

void sessions_serve(struct sessions *sessions, struct link *link)
{
    (void)sessions;
    (void)link;
    atomic_fetch_add(&served_count, 1);
}

void sessions_stop_all(struct sessions *sessions)
{
    (void)sessions;
}

bool sessions_is_idle(const struct sessions *sessions)
{
    (void)sessions;
    return true;
}

void sessions_free(struct sessions *sessions)
{
    free(sessions);
}
