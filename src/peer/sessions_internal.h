/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sessions_internal.h - what sessions.c, sessions_source.c and sessions_target.c share.
 */
#ifndef RESILVER_PEER_SESSIONS_INTERNAL_H
#define RESILVER_PEER_SESSIONS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "peer/sessions.h"
#include "wire/tls_context.h"

/* One session in the list of those under way. */
struct session_entry {
    struct session_entry *next; /* borrowed; under the list's lock */
    struct sessions *sessions;  /* borrowed */
    struct uuid job;            /* nil: a target, or a look */
    uint8_t fingerprint[FINGERPRINT_BYTES];
    int stop_fd;            /* owned eventfd: readable when the session shall end */
    atomic_bool is_stopped; /* somebody asked it to */
};

struct sessions {
    const struct env *env;             /* borrowed, as the next four */
    struct mailbox *mailbox;           /* its owner's thread owns the service */
    const struct inventory *inventory; /* read by any thread */
    struct service *service;           /* only touched in work that the mailbox carries */
    struct tls_context *client;        /* owned; used by any thread */
    atomic_uint running_count;         /* entries in the list */
    pthread_mutex_t lock;              /* of what follows */
    pthread_cond_t ended;              /* an entry left the list */
    struct session_entry *first;
    bool is_stopping;
};

/* sessions_enter - put a session on the list; *entry needs job and fingerprint. Errors: ERR_LIMIT,
 * ERR_CANCELLED. sessions_leave - take it off again; nothing of it is touched from then on. */
MUST_CHECK int sessions_enter(struct sessions *sessions, struct session_entry *entry,
                              struct error *err);
void sessions_leave(struct session_entry *entry);

/* sessions_say_stopped - an error that only says that we stopped, in words for a daemon's user. */
void sessions_say_stopped(const struct session_entry *entry, struct error *err);

/* sessions_format_relationship - "<vm id>/<hop>", for the log's field rel. */
#define SESSIONS_RELATIONSHIP_MAX (UUID_TEXT_MAX + 4)
void sessions_format_relationship(const struct uuid *vm, uint8_t hop,
                                  char out[SESSIONS_RELATIONSHIP_MAX]);

/* <vm id>/<hop>/<generation>/<disk> */
#define SESSIONS_NAME_MAX (UUID_TEXT_MAX + 26 + DISK_NAME_MAX)

#endif
