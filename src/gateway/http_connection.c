/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http_connection.c - connections and their deadlines. libmicrohttpd's own timeout begins anew with
 * each byte that comes; a client that sends one every ten seconds would hold its place for ever.
 *
 * 1. A connection is in the list exactly as long as its descriptor is open: the library tells of
 *    the end before it closes. So what is shut down under the lock is the right one.
 * 2. Only the reaper shuts down, and libmicrohttpd then sees an end and closes.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/http_internal.h"

/* Deadlines that are so near to each other are looked at together. */
#define REAP_EVERY_NS (100 * NS_PER_MS)

/* --- who ------------------------------------------------------------------------------------- */

static void name_remote(struct connection *connection, const struct sockaddr *address)
{
    unsigned port = 0;

    if (address != NULL && address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        (void)inet_ntop(AF_INET, &v4.sin_addr, connection->remote_host, REMOTE_HOST_MAX);
        port = ntohs(v4.sin_port);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        port = ntohs(v6.sin6_port);
        /* A client over IPv4 at a socket for both is the same client. */
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            (void)inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, connection->remote_host,
                            REMOTE_HOST_MAX);
        } else {
            (void)inet_ntop(AF_INET6, &v6.sin6_addr, connection->remote_host, REMOTE_HOST_MAX);
        }
    }
    bool is_v6 = strchr(connection->remote_host, ':') != NULL;
    (void)snprintf(connection->remote, sizeof connection->remote, is_v6 ? "[%s]:%u" : "%s:%u",
                   connection->remote_host, port);
}

/* --- the list -------------------------------------------------------------------------------- */

static void set_deadline_locked(struct connection *connection, unsigned seconds)
{
    struct http *http = connection->listener->http;

    connection->deadline_ns =
        seconds == 0 ? 0 : env_now_ns(http->env) + (uint64_t)seconds * NS_PER_S;
    if (seconds != 0 && connection->deadline_ns < http->next_due_ns) {
        (void)pthread_cond_signal(&http->due);
    }
}

void http_connection_deadline(struct connection *connection, unsigned seconds)
{
    struct http *http = connection->listener->http;

    (void)pthread_mutex_lock(&http->lock);
    set_deadline_locked(connection, seconds);
    (void)pthread_mutex_unlock(&http->lock);
}

static void begin(struct listener *listener, struct MHD_Connection *mhd, void **socket_context)
{
    struct http *http = listener->http;
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *address =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct connection *connection = fd != NULL ? calloc(1, sizeof *connection) : NULL;

    *socket_context = connection;
    if (connection == NULL) {
        if (fd != NULL) {
            (void)shutdown(fd->connect_fd, SHUT_RDWR); /* it has no deadline, and so no place */
        }
        return;
    }
    connection->listener = listener;
    connection->fd = fd->connect_fd;
    name_remote(connection, address != NULL ? address->client_addr : NULL);
    (void)pthread_mutex_lock(&http->lock);
    connection->next = http->connections;
    if (http->connections != NULL) {
        http->connections->previous = connection;
    }
    http->connections = connection;
    set_deadline_locked(connection, HTTP_REQUEST_S);
    (void)pthread_mutex_unlock(&http->lock);
}

static void end(struct connection *connection)
{
    struct http *http = connection->listener->http;

    (void)pthread_mutex_lock(&http->lock);
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        assert(http->connections == connection);
        http->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    (void)pthread_mutex_unlock(&http->lock);
    free(connection);
}

void http_connection_notify(void *context, struct MHD_Connection *mhd, void **socket_context,
                            enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        begin(context, mhd, socket_context);
    } else if (*socket_context != NULL) {
        end(*socket_context);
        *socket_context = NULL;
    }
}

/* --- the reaper ------------------------------------------------------------------------------ */

static void cut_locked(struct connection *connection)
{
    connection->is_cut = true;
    (void)shutdown(connection->fd, SHUT_RDWR); /* one that is gone already needs no cut */
}

void http_connection_cut_all(struct http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    for (struct connection *at = http->connections; at != NULL; at = at->next) {
        cut_locked(at);
    }
    (void)pthread_mutex_unlock(&http->lock);
}

/* Cuts whoever is late; returns the next deadline. */
static uint64_t cut_late_locked(const struct http *http, uint64_t now_ns)
{
    uint64_t next_ns = UINT64_MAX;

    for (struct connection *at = http->connections; at != NULL; at = at->next) {
        if (at->deadline_ns == 0 || at->is_cut) {
            continue;
        }
        if (at->deadline_ns <= now_ns) {
            cut_locked(at);
        } else if (at->deadline_ns < next_ns) {
            next_ns = at->deadline_ns;
        }
    }
    return next_ns;
}

static uint64_t next_parked_locked(const struct http *http)
{
    uint64_t next_ns = UINT64_MAX;

    for (const struct exchange *at = http->parked.first; at != NULL; at = at->next) {
        if (at->park_until_ns < next_ns) {
            next_ns = at->park_until_ns;
        }
    }
    return next_ns;
}

static struct timespec timespec_of(uint64_t at_ns)
{
    return (struct timespec){.tv_sec = (time_t)(at_ns / NS_PER_S),
                             .tv_nsec = (long)(at_ns % NS_PER_S)};
}

/* `due` counts by the monotonic clock, which the environment's is. */
static void wait_locked(struct http *http, uint64_t until_ns)
{
    http->next_due_ns = until_ns;
    if (until_ns == UINT64_MAX) {
        (void)pthread_cond_wait(&http->due, &http->lock);
    } else {
        struct timespec until = timespec_of(until_ns);
        (void)pthread_cond_timedwait(&http->due, &http->lock, &until);
    }
    http->next_due_ns = 0; /* nobody need wake it: it looks at everything next */
}

void *http_reaper(void *context)
{
    struct http *http = context;

    (void)pthread_mutex_lock(&http->lock);
    while (!http->is_ending) {
        uint64_t now_ns = env_now_ns(http->env);
        uint64_t next_ns = cut_late_locked(http, now_ns);
        http_workers_unpark_locked(http, now_ns, false);
        uint64_t parked_ns = next_parked_locked(http);
        next_ns = parked_ns < next_ns ? parked_ns : next_ns;
        if (next_ns < now_ns + REAP_EVERY_NS) {
            next_ns = now_ns + REAP_EVERY_NS;
        }
        wait_locked(http, next_ns);
    }
    (void)pthread_mutex_unlock(&http->lock);
    return NULL;
}
