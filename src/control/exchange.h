/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exchange.h - one request and its answer. An exchange is made when a request's headers are there,
 * and ends when its answer has gone out, or its client has.
 */
#ifndef RESILVER_CONTROL_EXCHANGE_H
#define RESILVER_CONTROL_EXCHANGE_H

#include <microhttpd.h>

#include "control/request.h"
#include "control/routes.h"
#include "control/server.h"
#include "control/show.h"

#define EXCHANGE_PATH_MAX 1024U /* of a request, for the log */

struct watcher;

struct control {
    struct control_config config;
    struct MHD_Daemon *daemon; /* owned */
    int listen_fd;             /* owned; -1: closed */
    char path[108];            /* of the socket that we made; "": not ours */
    dev_t device;              /* of that file, so that no other's is removed */
    ino_t inode;
    uint64_t started_ns;
    bool is_stopping;
    struct exchange *exchanges; /* owned by their connections */
    struct watcher *watchers;   /* owned by their connections' responses */
    uint32_t watcher_count;
    uint64_t next_heartbeat_ns;
};

/*
 * An answer of the service that is still to come. Owned by the service until it replies; whichever
 * of exchange and reply comes to its end first leaves the other alone.
 */
struct ask {
    struct exchange *exchange; /* borrowed; NULL: its client has gone */
};

struct exchange {
    struct exchange *next;             /* of the control */
    struct control *control;           /* borrowed */
    struct MHD_Connection *connection; /* borrowed; the exchange ends before it */
    struct caller caller;
    const char *method;           /* borrowed: of the connection */
    char path[EXCHANGE_PATH_MAX]; /* as it came */
    const struct route *route;    /* NULL: refused already */
    char name[VM_NAME_MAX];       /* the {vm}, {host} or {id} of the path */
    int hop;                      /* 0, 1; -1: the path has none */
    bool is_name_missing;         /* nothing is called so: 404 where the service says 32773 */
    char *body;                   /* owned */
    size_t body_bytes;
    size_t discarded_bytes;
    json_t *json;                  /* owned: the body, read */
    json_t *query;                 /* owned: an object of texts */
    unsigned int status;           /* with response */
    struct MHD_Response *response; /* owned; NULL: no answer yet */
    struct ask *ask;               /* owned by the service; NULL: none is under way */
    bool is_handled;
    bool is_suspended;
};

/* The callbacks of MHD. */
enum MHD_Result exchange_on_request(void *context, struct MHD_Connection *connection,
                                    const char *path, const char *method, const char *version,
                                    const char *bytes, size_t *bytes_count, void **exchange);
void exchange_on_end(void *context, struct MHD_Connection *connection, void **exchange,
                     enum MHD_RequestTerminationCode code);
void exchange_on_connection(void *context, struct MHD_Connection *connection, void **caller,
                            enum MHD_ConnectionNotificationCode code);

/* exchange_give_up - resume what is suspended: everything ends. */
void exchange_give_up(struct control *control);

/* --- answers: exactly one of these ends a handler --------------------------------------------- */

/* Takes object; NULL: there was no memory for it. */
void exchange_answer(struct exchange *exchange, json_t *object);
/* A list under its name. Takes it; one that is not complete had no memory. */
void exchange_answer_list(struct exchange *exchange, const char *name, json_t *list,
                          bool is_complete);
void exchange_refuse(struct exchange *exchange, enum return_value value, const struct error *err);
/* With the return value that fits the kind of the error. */
void exchange_refuse_kind(struct exchange *exchange, const struct error *err);
/* The path names what is not there. */
void exchange_refuse_missing(struct exchange *exchange, const struct error *err);
void exchange_reply(struct exchange *exchange, const struct service_reply *reply);
/* Takes response; for what is no JSON. */
void exchange_respond(struct exchange *exchange, unsigned int status,
                      struct MHD_Response *response);

/*
 * exchange_ask - an asker for one operation of the service, whose reply is the answer, whenever it
 * comes. False: there is no memory, and the exchange is refused.
 */
MUST_CHECK bool exchange_ask(struct exchange *exchange, struct service_asker *out);

/* exchange_ask_of_vm - the same for an operation on the VM that the path names. */
MUST_CHECK bool exchange_ask_of_vm(struct exchange *exchange, struct service_asker *out);

/* exchange_takes_nothing - true when the body and the query are empty, as they must be; else the
 * exchange is refused. */
MUST_CHECK bool exchange_takes_nothing(struct exchange *exchange);

/* exchange_end_members - the same for members of the body or query that were read; the other of the
 * two must be empty. */
MUST_CHECK bool exchange_end_members(struct exchange *exchange, struct members *members);

struct show exchange_show(const struct exchange *exchange);

/* control_status - the HTTP status of a return value. */
unsigned int control_status(enum return_value value);

#endif
