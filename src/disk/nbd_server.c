/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/nbd_server.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "base/env.h"
#include "base/limits.h"

#define URI_ALLOWED "nbd+unix:///EXPORT?socket=PATH"
#define URI_SCHEME "nbd+unix://"

static const char *libnbd_reason(void)
{
    const char *text = nbd_get_error();

    return text != NULL && text[0] != '\0' ? text : "it closed the connection";
}

/* --- the connection -------------------------------------------------------------------------- */

bool nbd_server_is_ended(const struct nbd_server *s)
{
    return s->handle == NULL || nbd_aio_is_dead(s->handle) != 0 ||
           nbd_aio_is_closed(s->handle) != 0;
}

short nbd_server_events(const struct nbd_server *s)
{
    unsigned direction = nbd_aio_get_direction(s->handle);
    short events = 0;

    if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0) {
        events |= POLLIN;
    }
    if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0) {
        events |= POLLOUT;
    }
    return events;
}

bool nbd_server_drive(const struct nbd_server *s, int timeout_ms)
{
    struct pollfd watch = {.fd = nbd_aio_get_fd(s->handle), .events = nbd_server_events(s)};

    if (watch.fd < 0 || poll(&watch, 1, timeout_ms) <= 0) {
        return false;
    }
    bool is_ended = (watch.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
    bool can_read = (watch.events & POLLIN) != 0 && ((watch.revents & POLLIN) != 0 || is_ended);
    bool can_write = (watch.events & POLLOUT) != 0 && ((watch.revents & POLLOUT) != 0 || is_ended);
    /* Only one of the two, since each may change what is waited for. A failure ends the handle. */
    if (can_read) {
        (void)nbd_aio_notify_read(s->handle);
    } else if (can_write) {
        (void)nbd_aio_notify_write(s->handle);
    }
    return true;
}

void nbd_server_done(struct nbd_server *s)
{
    if (s->handle != NULL && nbd_aio_is_ready(s->handle) > 0) {
        (void)nbd_aio_disconnect(s->handle, 0); /* a courtesy; the server also copes without */
    }
    nbd_close(s->handle); /* NULL is fine */
    s->handle = NULL;
}

/* --- connecting ------------------------------------------------------------------------------ */

static int handle_prepare(struct nbd_server *s, const char *name, struct error *err)
{
    s->handle = nbd_create();
    if (s->handle == NULL) {
        return fail(err, ERR_LIMIT, 0, "cannot open %s: %s", name, libnbd_reason());
    }
    /*
     * Only Unix sockets, and no TLS: libnbd 1.14 has published holes there (CVE-2023-5215,
     * CVE-2023-5871, CVE-2024-7383). The buffers of reads are not cleared first, because the driver
     * counts the bytes that come.
     */
    if (nbd_set_uri_allow_transports(s->handle, LIBNBD_ALLOW_TRANSPORT_UNIX) != 0 ||
        nbd_set_uri_allow_tls(s->handle, LIBNBD_TLS_DISABLE) != 0 ||
        nbd_set_uri_allow_local_file(s->handle, false) != 0 ||
        nbd_set_request_structured_replies(s->handle, true) != 0 ||
        nbd_add_meta_context(s->handle, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0 ||
        nbd_set_pread_initialize(s->handle, false) != 0) {
        return fail(err, ERR_INTERNAL, 0, "cannot open %s: %s", name, libnbd_reason());
    }
    return 0;
}

static int connect_uri(struct nbd_server *s, const char *uri, struct error *err)
{
    if (strncmp(uri, URI_SCHEME, strlen(URI_SCHEME)) != 0) {
        return fail(err, ERR_USAGE, 0,
                    "%s is no NBD address that can be used: only " URI_ALLOWED
                    ", a server on a Unix socket of this host",
                    uri);
    }
    if (nbd_aio_connect_uri(s->handle, uri) != 0) {
        enum error_kind kind = nbd_get_errno() == EINVAL ? ERR_USAGE : ERR_IO;
        return fail(err, kind, 0, "cannot connect to %s (the form is " URI_ALLOWED "): %s", uri,
                    libnbd_reason());
    }
    return 0;
}

static int connect_socket(struct nbd_server *s, const struct nbd_address *address, const char *name,
                          struct error *err)
{
    if (nbd_set_export_name(s->handle, address->export_name) != 0 ||
        nbd_aio_connect_unix(s->handle, address->socket_path) != 0) {
        return fail(err, ERR_IO, 0, "cannot connect to the NBD server of %s: %s", name,
                    libnbd_reason());
    }
    return 0;
}

static int wait_ready(const struct nbd_server *s, const char *name, struct error *err)
{
    uint64_t deadline_ns = env_now_ns(env_system()) + HELPER_START_S * NS_PER_S;

    while (nbd_aio_is_connecting(s->handle) > 0) {
        uint64_t now_ns = env_now_ns(env_system());
        if (now_ns >= deadline_ns) {
            return fail(err, ERR_IO, ETIMEDOUT, "the NBD server of %s does not answer", name);
        }
        (void)nbd_server_drive(s, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
    }
    if (nbd_aio_is_ready(s->handle) <= 0) {
        return fail(err, ERR_IO, 0, "the NBD server of %s refuses: %s", name, libnbd_reason());
    }
    return 0;
}

/* --- what it offers -------------------------------------------------------------------------- */

static int learn_size(struct nbd_server *s, const char *name, struct error *err)
{
    /* Signed on purpose: older libnbd passes a server's size of 2^63 or more on as it is. */
    int64_t size_bytes = nbd_get_size(s->handle);

    if (size_bytes < 0) {
        return fail(err, ERR_IO, 0, "the NBD server gives no size of %s: %s", name,
                    libnbd_reason());
    }
    if ((uint64_t)size_bytes > DISK_SIZE_MAX) {
        return fail(err, ERR_LIMIT, 0, "%s has %lld bytes, more than the limit of %llu", name,
                    (long long)size_bytes, DISK_SIZE_MAX);
    }
    s->size_bytes = (uint64_t)size_bytes;
    return 0;
}

/*
 * A request starts at a whole page and ends at one or at the disk's end, so any smallest block that
 * divides a page and the size will do.
 * Source: NBD protocol, "Block size constraints".
 */
static int learn_blocks(struct nbd_server *s, const char *name, struct error *err)
{
    int64_t min_bytes = nbd_get_block_size(s->handle, LIBNBD_SIZE_MINIMUM);
    int64_t max_bytes = nbd_get_block_size(s->handle, LIBNBD_SIZE_MAXIMUM);

    if (min_bytes <= 0) {
        min_bytes = 1; /* it does not say: such servers take any size */
    }
    if ((min_bytes & (min_bytes - 1)) != 0 || min_bytes > (int64_t)PAGE_BYTES) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the NBD server of %s takes only whole blocks of %lld bytes: serve it with "
                    "blocks of 1 to %llu bytes",
                    name, (long long)min_bytes, PAGE_BYTES);
    }
    if (s->size_bytes % (uint64_t)min_bytes != 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the NBD server of %s takes only whole blocks of %lld bytes, so the end of its "
                    "%llu bytes cannot be reached: serve it with smaller blocks",
                    name, (long long)min_bytes, (unsigned long long)s->size_bytes);
    }
    if (max_bytes > 0 && max_bytes < (int64_t)PAGE_BYTES) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the NBD server of %s takes at most %lld bytes at a time: let it take %llu",
                    name, (long long)max_bytes, PAGE_BYTES);
    }
    s->min_bytes = (uint32_t)min_bytes;
    s->command_bytes = NBD_COMMAND_BYTES;
    if (max_bytes > 0 && max_bytes < (int64_t)NBD_COMMAND_BYTES) {
        s->command_bytes = (uint32_t)((uint64_t)max_bytes / PAGE_BYTES * PAGE_BYTES);
    }
    return 0;
}

static int learn_abilities(struct nbd_server *s, const char *name, bool write, struct error *err)
{
    if (write && nbd_is_read_only(s->handle) != 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the NBD server of %s serves it read-only: serve it writable", name);
    }
    if (write && nbd_can_flush(s->handle) <= 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the NBD server of %s cannot flush, so nothing written would be known to be "
                    "durable: serve it by one that can, as qemu-nbd",
                    name);
    }
    s->has_zero = nbd_can_zero(s->handle) > 0;
    s->has_status = nbd_can_meta_context(s->handle, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0;
    return 0;
}

int nbd_server_connect(const struct nbd_address *address, const char *name, bool write,
                       struct nbd_server *out, struct error *err)
{
    struct nbd_server s = {.handle = NULL};
    int result = handle_prepare(&s, name, err);

    if (result == 0 && address->uri != NULL) {
        result = connect_uri(&s, address->uri, err);
    } else if (result == 0) {
        result = connect_socket(&s, address, name, err);
    }
    if (result != 0 || wait_ready(&s, name, err) != 0 || learn_size(&s, name, err) != 0 ||
        learn_blocks(&s, name, err) != 0 || learn_abilities(&s, name, write, err) != 0) {
        nbd_server_done(&s);
        return -1;
    }
    *out = s;
    return 0;
}
