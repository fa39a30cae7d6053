/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * call.h - one call of the API, from its first byte to its answer.
 *
 *   receiving --> handled --> answered
 *                     \--> waiting (suspended; the service replies later) --> answered
 */
#ifndef RESILVER_CONTROL_CALL_H
#define RESILVER_CONTROL_CALL_H

#include <jansson.h>
#include <microhttpd.h>

#include "control/server.h"

#define CALL_ARGS_MAX 2 /* {vm} and {hop}, or {id}, or {host} */

struct control {
    struct control_config config;
    struct MHD_Daemon *daemon; /* owned */
    int listen_fd;             /* owned by the daemon */
    int epoll_fd;              /* borrowed from the daemon */
    uint64_t started_ns;
    bool is_stopping;
    uint32_t call_count;      /* being received, handled, waiting or answered */
    struct watcher *watchers; /* owned list */
    uint32_t watcher_count;
};

struct call {
    struct control *control;           /* borrowed */
    struct MHD_Connection *connection; /* borrowed; NULL: the client has gone */
    char method[8];
    char *path; /* owned, as it came: percent-encoded */
    struct caller caller;
    char *body; /* owned */
    size_t body_bytes;
    bool is_received; /* whole: it is to be handled now */
    bool is_too_long;
    bool is_waiting; /* for the service's reply */
    bool is_suspended;
    char args[CALL_ARGS_MAX][VM_NAME_MAX]; /* decoded */
    /* the answer */
    bool has_answer;
    unsigned int status;
    char *text; /* owned; NULL with a stream */
    size_t text_bytes;
    const char *type;        /* a literal */
    const char *allow;       /* of 405: a literal */
    struct watcher *watcher; /* GET /v1/watch: owned by the control's list */
    uint32_t return_value;   /* for the audit log */
};

/* call_answer - 200, or another status, with an object; takes it. NULL: memory was short. */
void call_answer(struct call *call, unsigned int status, json_t *object);

/* call_refuse - an error answer: value's HTTP status, unless `status` is not 0. */
void call_refuse(struct call *call, unsigned int status, enum return_value value,
                 const struct error *err);

/* call_asker - for an operation of the service, whose reply becomes the answer. */
struct service_asker call_asker(struct call *call);

/* call_reply - an answer Reply {return_value, ...}, or its refusal: what service_reply_fn wants. */
void call_reply(void *context, const struct service_reply *reply);

/* call_query - a parameter of the query, decoded; NULL: not given. The caller frees. */
char *call_query(struct call *call, const char *name);

/* call_query_number - *out stays as it is when it is not given. False: refused already. */
bool call_query_number(struct call *call, const char *name, uint64_t max, uint64_t *out);

/* call_hop - the {hop} of the path, args[1]. False: refused already. */
bool call_hop(struct call *call, int *out);

/* call_id - the {id} of the path, args[0]. */
bool call_id(struct call *call, struct uuid *out);

#endif
