/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http_listen.c - an address becomes a listening socket, and that one of libmicrohttpd's servers.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "gateway/http_internal.h"

#define BACKLOG 1024

/* Forward secrecy, no MAC that is older than SHA-2, and nothing before TLS 1.2. */
#define PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-SHA1:%SERVER_PRECEDENCE"

/* --- sockets --------------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    }
    return false;
}

static bool set_options(int fd, const struct addrinfo *info)
{
    int on = 1;
    int off = 0;

    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           (info->ai_family != AF_INET6 ||
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0);
}

/* The descriptor, or -1 and errno. */
static int bind_one(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    if (!set_options(fd, info) || bind(fd, info->ai_addr, info->ai_addrlen) < 0 ||
        listen(fd, BACKLOG) < 0) {
        int errnum = errno;
        (void)close(fd); /* it was of no use */
        errno = errnum;
        return -1;
    }
    return fd;
}

static int look_up(const char *address, struct addrinfo **out, struct error *err)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char host[HOST_TEXT_MAX];
    char port[PORT_TEXT_MAX];

    if (address_parse(address, 0, false, host, port, err) < 0) {
        return -1;
    }
    int refused = getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, out);
    return refused == 0 ? 0
                        : fail(err, ERR_IO, 0, "there is no address '%s' to listen at: %s", address,
                               gai_strerror(refused));
}

static int check_plain(const struct addrinfo *info, const char *address, struct error *err)
{
    if (is_loopback(info->ai_addr)) {
        return 0;
    }
    return fail(err, ERR_USAGE, 0,
                "'%s' is beyond loopback, and passwords would go over the network in clear text; "
                "use a TLS listener, or plain-beyond-loopback = yes in [gateway]",
                address);
}

/* An empty host is every address: the one for IPv6 takes IPv4 as well, where there is IPv6. */
static const struct addrinfo *preferred(const struct addrinfo *list, int family)
{
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        if (at->ai_family == family) {
            return at;
        }
    }
    return NULL;
}

static int bind_any(const struct addrinfo *list, const char *address, struct error *err)
{
    bool is_wild = address[0] == ':';
    const struct addrinfo *first = is_wild ? preferred(list, AF_INET6) : list;
    int fd = first != NULL ? bind_one(first) : -1;

    if (fd < 0 && is_wild && (first == NULL || errno != EADDRINUSE)) {
        first = preferred(list, AF_INET);
        fd = first != NULL ? bind_one(first) : -1;
    }
    return fd >= 0 ? fd : fail(err, ERR_IO, errno, "cannot listen at '%s'", address);
}

static int read_port(int fd, uint16_t *out, struct error *err)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
        return fail(err, ERR_IO, errno, "a listener has no address");
    }
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, &address, sizeof v6);
        *out = ntohs(v6.sin6_port);
    } else {
        struct sockaddr_in v4;
        memcpy(&v4, &address, sizeof v4);
        *out = ntohs(v4.sin_port);
    }
    return 0;
}

static int open_socket(struct listener *listener, const struct http_listener *from, bool may_plain,
                       struct error *err)
{
    struct addrinfo *list = NULL;

    if (look_up(from->address, &list, err) < 0) {
        return -1;
    }
    int result = from->is_tls || may_plain ? 0 : check_plain(list, from->address, err);
    if (result == 0) {
        listener->fd = bind_any(list, from->address, err);
        result = listener->fd < 0 ? -1 : read_port(listener->fd, &listener->port, err);
    }
    freeaddrinfo(list);
    return result;
}

/* --- the server ------------------------------------------------------------------------------ */

/* Paths are decoded by http_head_path(), which says what is wrong with one. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* It is about clients that went away or spoke no HTTP; their number is not limited, and the format
 * is the library's own. */
static void log_mhd(void *context, const char *format, va_list values) FORMAT_AT(2, 0);
static void log_mhd(void *context, const char *format, va_list values)
{
    char text[256];

    (void)context;
    (void)vsnprintf(text, sizeof text, format, values);
    text[strcspn(text, "\n")] = '\0';
    log_always(LOG_LEVEL_DEBUG, {"event", "http"}, {"text", text});
}

static struct MHD_Daemon *start(struct listener *listener)
{
    /* poll() and not epoll: libmicrohttpd 0.9.75 takes a short read for an empty socket, and so
     * misses the end that came with the last bytes; by edges it is told of it only once. */
    unsigned int flags =
        MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)PRIORITIES},
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)http_tls_retrieve},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};

    if (listener->is_tls) {
        flags |= MHD_USE_TLS;
    }
    return MHD_start_daemon(
        flags, 0, NULL, NULL, http_exchange_request, listener, MHD_OPTION_EXTERNAL_LOGGER, log_mhd,
        NULL, MHD_OPTION_LISTEN_SOCKET, listener->fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)listener->http->connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HTTP_CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_URI_LOG_CALLBACK,
        http_exchange_new, listener, MHD_OPTION_NOTIFY_COMPLETED, http_exchange_end, listener,
        MHD_OPTION_NOTIFY_CONNECTION, http_connection_notify, listener, MHD_OPTION_ARRAY,
        listener->is_tls ? tls : plain, MHD_OPTION_END);
}

int http_listen(struct listener *listener, const struct http_listener *from, bool may_plain,
                struct error *err)
{
    listener->protocol = from->protocol;
    listener->is_tls = from->is_tls;
    return open_socket(listener, from, may_plain, err);
}

int http_serve(struct listener *listener, struct error *err)
{
    listener->daemon = start(listener);
    if (listener->daemon == NULL) {
        return fail(err, ERR_LIMIT, errno, "the server for port %u does not start", listener->port);
    }
    return 0;
}

void http_deafen(struct listener *listener)
{
    if (listener->fd < 0) {
        return;
    }
    if (listener->daemon != NULL && MHD_quiesce_daemon(listener->daemon) == MHD_INVALID_SOCKET) {
        log_always(LOG_LEVEL_WARNING, {"event", "a listener was not listened on"});
    }
    (void)close(listener->fd); /* nothing was written to it */
    listener->fd = -1;
}
