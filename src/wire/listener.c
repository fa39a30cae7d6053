/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"

#define BACKLOG 128 /* a flood of one address must not keep others from being accepted */

static void show_address(const struct sockaddr *address, socklen_t len_bytes,
                         char out[LISTENER_SHOWN_MAX])
{
    char host[HOST_TEXT_MAX] = "?";
    char port[PORT_TEXT_MAX] = "?";

    /* Numeric only: no name service is asked. A failure leaves the marks. */
    (void)getnameinfo(address, len_bytes, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(out, LISTENER_SHOWN_MAX, strchr(host, ':') == NULL ? "%s:%s" : "[%s]:%s", host,
                   port);
}

void listener_peer_text(int fd, char out[LISTENER_SHOWN_MAX])
{
    struct sockaddr_storage address = {0};
    socklen_t len_bytes = sizeof address;

    if (getpeername(fd, (struct sockaddr *)&address, &len_bytes) < 0) {
        (void)snprintf(out, LISTENER_SHOWN_MAX, "?"); /* gone already */
        return;
    }
    show_address((struct sockaddr *)&address, len_bytes, out);
}

/* A socket that listens on one address, or -1 with errno set. */
static int listen_on(const struct addrinfo *info)
{
    int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    /* REUSEADDR: a restarted server need not wait for the old one's connections to be forgotten. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int saved_errno = errno;
        (void)close(fd); /* nothing was sent on it */
        errno = saved_errno;
        return -1;
    }
    return fd;
}

/* The first address that works; without a host IPv6 is tried first, since its socket takes IPv4
 * too. */
static int listen_on_any(const struct addrinfo *list, int family)
{
    int fd = -1;

    errno = EADDRNOTAVAIL;
    for (const struct addrinfo *info = list; info != NULL && fd < 0; info = info->ai_next) {
        if (family == AF_UNSPEC || info->ai_family == family) {
            fd = listen_on(info);
        }
    }
    return fd;
}

int listener_open(const char *address, struct listener *out, struct error *err)
{
    char host[HOST_TEXT_MAX] = "";
    char port[PORT_TEXT_MAX] = "";
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;

    if (address_parse(address, 0, false, host, port, err) < 0) {
        return -1;
    }
    int result = getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &list);
    if (result != 0) {
        return fail(err, ERR_USAGE, 0, "cannot listen on '%s': %s", address, gai_strerror(result));
    }
    int fd = host[0] == '\0' ? listen_on_any(list, AF_INET6) : -1;
    if (fd < 0) {
        fd = listen_on_any(list, AF_UNSPEC);
    }
    int saved_errno = errno;
    freeaddrinfo(list);
    if (fd < 0) {
        return fail(err, ERR_IO, saved_errno, "cannot listen on '%s'", address);
    }
    struct sockaddr_storage bound = {0};
    socklen_t len_bytes = sizeof bound;
    (void)getsockname(fd, (struct sockaddr *)&bound, &len_bytes); /* cannot fail: it is bound */
    out->fd = fd;
    show_address((struct sockaddr *)&bound, len_bytes, out->shown);
    return 0;
}

void listener_close(struct listener *listener)
{
    if (listener->fd >= 0) {
        (void)close(listener->fd); /* nothing is written to it */
        listener->fd = -1;
    }
}

enum listener_result listener_accept(struct listener *listener, int *out_fd, struct error *err)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0) {
        *out_fd = fd;
        return LISTENER_ACCEPTED;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        (void)fail(err, ERR_LIMIT, errno, "a connection cannot be accepted");
        return LISTENER_EXHAUSTED;
    }
    /* Everything else concerns that one connection, which is gone. Source: accept(2), error
     * handling. */
    return LISTENER_NOTHING;
}
