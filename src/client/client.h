/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * client.h - the control API's other half: calls over the Unix socket, with JSON in and out. For
 * the command line and the gateway. One thread at a time.
 */
#ifndef RESILVER_CLIENT_CLIENT_H
#define RESILVER_CLIENT_CLIENT_H

#include <jansson.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

#define CLIENT_SOCKET_DEFAULT "/run/resilver/control.sock"

struct client;

/* client_open - socket_path NULL: $RESILVER_SOCKET, or CLIENT_SOCKET_DEFAULT. Connects lazily.
 * Errors: ERR_LIMIT. */
MUST_CHECK int client_open(const char *socket_path, struct client **out, struct error *err);
void client_close(struct client *client);

static inline void client_closep(struct client **client)
{
    client_close(*client);
    *client = NULL;
}

/*
 * client_act_for - from now on every call is made for somebody else: headers Resilver-User and
 * Resilver-Role. role_name is "viewer", "operator" or "administrator"; the service gives the lesser
 * of it and the own role, and calls him "user (by own name)". NULL, NULL: for oneself again.
 * Not while a watch of this client runs. Errors: ERR_USAGE a name with control characters, or
 * empty; ERR_LIMIT.
 */
MUST_CHECK int client_act_for(struct client *client, const char *user, const char *role_name,
                              struct error *err);

/* What a refused call came to. */
struct client_refusal {
    long http_status;
    uint32_t return_value; /* 32768 ..., 0 when the answer has none */
};

/*
 * client_call - one call. path is "/v1/..." (client_path() makes safe ones), body borrowed or NULL.
 *
 * *out is the answer, owned by the caller (json_decref); may be NULL.
 * Errors: an answer that is not 2xx: kind and message are the daemon's, *refusal (may be NULL) is
 * filled; ERR_PEER the daemon is not there ("is resilverd running? systemctl status resilverd"), or
 * may not be asked (permissions of the socket), or did not answer as agreed.
 */
MUST_CHECK int client_call(struct client *client, const char *method, const char *path,
                           const json_t *body, json_t **out, struct client_refusal *refusal,
                           struct error *err);

/* client_path - snprintf for paths, in which every %s is percent-encoded. Errors: ERR_LIMIT. */
MUST_CHECK int client_path(char *out, size_t size_bytes, struct error *err, const char *format, ...)
    FORMAT_AT(4, 5);

/*
 * client_watch - GET /v1/watch until visit returns non-zero (which is returned) or the daemon ends
 * the stream (0). Between objects, and every `idle_ms`, visit is called with kind NULL. Errors: as
 * client_call.
 */
typedef int client_visit(void *context, const char *kind, const json_t *object, struct error *err);
MUST_CHECK int client_watch(struct client *client, int idle_ms, client_visit *visit, void *context,
                            struct error *err);

/* client_download - GET into an open file descriptor, as it comes. */
MUST_CHECK int client_download(struct client *client, const char *path, int fd, struct error *err);

#endif
