/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer/stream.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>

#define LENGTH_BYTES 4U

/* Waits for the link in one direction, or for wake_fd. 1 the link, 2 wake_fd alone, 0 the deadline,
 * -1 with err. */
static int await(struct link *link, bool to_read, int wake_fd, const struct env *env,
                 uint64_t deadline_ns, struct error *err)
{
    struct pollfd fds[LINK_POLL_MAX + 1];

    for (;;) {
        uint64_t now_ns = env_now_ns(env);
        if (now_ns >= deadline_ns) {
            return 0;
        }
        size_t count = link->ops->poll_on(link, to_read, !to_read, fds);
        fds[count] = (struct pollfd){.fd = wake_fd, .events = POLLIN}; /* -1 is passed over */
        uint64_t left_ms = (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
        int ready = poll(fds, (nfds_t)count + 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
        if (ready > 0) {
            return fds[count].revents != 0 && ready == 1 ? 2 : 1;
        }
        if (ready < 0 && errno != EINTR) {
            return fail(err, ERR_PEER, errno, "cannot wait for %s", link->peer);
        }
    }
}

int stream_await(struct link *link, int wake_fd, const struct env *env, uint64_t deadline_ns,
                 struct error *err)
{
    if (link->ops->has_buffered(link)) {
        return 1;
    }
    return await(link, true, wake_fd, env, deadline_ns, err);
}

static int fail_deadline(const struct link *link, struct error *err)
{
    return fail(err, ERR_PEER, 0, "%s: timed out: it did not go on in time", link->peer);
}

static int send_all(struct link *link, struct const_span bytes, const struct env *env,
                    uint64_t deadline_ns, struct error *err)
{
    while (bytes.len_bytes > 0) {
        ssize_t put = link_write(link, bytes, err);
        if (put < 0) {
            return -1;
        }
        bytes.at += put;
        bytes.len_bytes -= (size_t)put;
        int ready = put > 0 ? 1 : await(link, false, -1, env, deadline_ns, err);
        if (ready <= 0) {
            return ready < 0 ? -1 : fail_deadline(link, err);
        }
    }
    return 0;
}

static int receive_all(struct link *link, struct span into, const struct env *env,
                       uint64_t deadline_ns, struct error *err)
{
    while (into.len_bytes > 0) {
        ssize_t got = link_read(link, into, err);
        if (got == LINK_CLOSED) {
            return fail(err, ERR_PEER, 0, "%s closed the connection before it had said all",
                        link->peer);
        }
        if (got < 0) {
            return -1;
        }
        into.at += got;
        into.len_bytes -= (size_t)got;
        int ready = got > 0 ? 1 : await(link, true, -1, env, deadline_ns, err);
        if (ready <= 0) {
            return ready < 0 ? -1 : fail_deadline(link, err);
        }
    }
    return 0;
}

int stream_send(struct link *link, struct const_span message, const struct env *env,
                uint64_t deadline_ns, struct error *err)
{
    size_t len = message.len_bytes;
    const uint8_t length[LENGTH_BYTES] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16),
                                          (uint8_t)(len >> 8), (uint8_t)len};

    assert(len > 0 && len <= PEER_MESSAGE_MAX);
    if (send_all(link, (struct const_span){length, sizeof length}, env, deadline_ns, err) < 0) {
        return -1;
    }
    return send_all(link, message, env, deadline_ns, err);
}

int stream_receive(struct link *link, struct span buffer, const struct env *env,
                   uint64_t deadline_ns, size_t *out_len_bytes, struct error *err)
{
    uint8_t length[LENGTH_BYTES] = {0};

    if (receive_all(link, (struct span){length, sizeof length}, env, deadline_ns, err) < 0) {
        return -1;
    }
    size_t len = (size_t)length[0] << 24 | (size_t)length[1] << 16 | (size_t)length[2] << 8 |
                 (size_t)length[3];
    if (len == 0 || len > buffer.len_bytes) {
        return fail(err, ERR_PEER, 0, "%s: its message has %zu bytes; at most %zu are allowed",
                    link->peer, len, buffer.len_bytes);
    }
    if (receive_all(link, (struct span){buffer.at, len}, env, deadline_ns, err) < 0) {
        return -1;
    }
    *out_len_bytes = len;
    return 0;
}
