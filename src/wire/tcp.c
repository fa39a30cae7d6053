/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/tcp.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void tcp_name_host(const char *host, const char *port, char *out, size_t size_bytes)
{
    bool is_bare_ipv6 = strchr(host, ':') != NULL;

    (void)snprintf(out, size_bytes, is_bare_ipv6 ? "[%s]:%s" : "%s:%s", host, port);
}

void tcp_name_peer(int fd, char *out, size_t size_bytes)
{
    struct sockaddr_storage address = {0};
    socklen_t len_bytes = sizeof address;
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];

    if (getpeername(fd, (struct sockaddr *)&address, &len_bytes) < 0 ||
        getnameinfo((struct sockaddr *)&address, len_bytes, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        (void)snprintf(out, size_bytes, "an unknown address");
        return;
    }
    tcp_name_host(host, port, out, size_bytes);
}

int tcp_await(int fd, short events, const struct env *env, uint64_t deadline_ns)
{
    struct pollfd socket = {.fd = fd, .events = events};

    for (;;) {
        uint64_t now_ns = env_now_ns(env);
        if (now_ns >= deadline_ns) {
            return 0;
        }
        uint64_t left_ms = (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
        int ready = poll(&socket, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
        if (ready > 0) {
            return 1;
        }
        if (ready < 0 && errno != EINTR) {
            return -1;
        }
    }
}

int tcp_tune(int fd, const char *peer, struct error *err)
{
    const int on = 1;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return fail(err, ERR_INTERNAL, errno, "cannot make the connection to %s non-blocking",
                    peer);
    }
    /* Best effort: both are refused by sockets that are not TCP, which need neither. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return 0;
}

/* One address. Returns a connected socket, or -1 with errno. */
static int connect_address(const struct addrinfo *address, const struct env *env,
                           uint64_t deadline_ns)
{
    int errnum = 0;
    socklen_t len_bytes = sizeof errnum;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->ai_protocol);

    if (fd < 0) {
        return -1;
    }
    /* EINTR goes on in the background like EINPROGRESS. */
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        errnum = errno;
        if (errnum == EINPROGRESS || errnum == EINTR) {
            int ready = tcp_await(fd, POLLOUT, env, deadline_ns);
            errnum = ready == 0 ? ETIMEDOUT : errno;
            if (ready > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len_bytes) < 0) {
                errnum = errno;
            }
        }
    }
    if (errnum != 0) {
        (void)close(fd);
        errno = errnum;
        return -1;
    }
    return fd;
}

/* All addresses in turn. Each gets its share of the time, so that a dead one does not use up the
 * next one's. */
static int connect_any(const struct addrinfo *list, const struct env *env, uint64_t deadline_ns)
{
    uint64_t left_count = 0;
    int fd = -1;

    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        left_count++;
    }
    for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        assert(left_count > 0); /* it counts the same list */
        uint64_t now_ns = env_now_ns(env);
        uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
        fd = connect_address(a, env, now_ns + left_ns / left_count);
        left_count--;
    }
    return fd;
}

static int fail_connect(const char *peer, int errnum, struct error *err)
{
    switch (errnum) {
    case ECONNREFUSED:
        return fail(
            err, ERR_PEER, 0,
            "%s: connection refused: nothing listens there (start `resilver serve --listen`, "
            "or mend the port)",
            peer);
    case ETIMEDOUT:
        return fail(
            err, ERR_PEER, 0,
            "%s: timed out: no answer to the connection (is the host up, does a firewall drop "
            "it?)",
            peer);
    default:
        return fail(err, ERR_PEER, errnum, "%s: cannot connect", peer);
    }
}

int tcp_connect(const char *host, const char *port, const char *peer, const struct env *env,
                uint64_t deadline_ns, struct error *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;

    int refused = getaddrinfo(host, port, &hints, &list);
    if (refused != 0) {
        const char *why = refused == EAI_SYSTEM ? strerror(errno) : gai_strerror(refused);
        return fail(err, ERR_PEER, 0, "%s: no such host or port: %s", peer, why);
    }
    int fd = connect_any(list, env, deadline_ns);
    int errnum = errno;
    freeaddrinfo(list);
    if (fd < 0) {
        return fail_connect(peer, errnum, err);
    }
    if (tcp_tune(fd, peer, err) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}
