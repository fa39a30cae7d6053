/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tcp.h - reaching a host, and waiting for a socket, with a deadline.
 */
#ifndef RESILVER_WIRE_TCP_H
#define RESILVER_WIRE_TCP_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/env.h"
#include "base/error.h"

/*
 * tcp_connect - a connected, tuned socket to host:port (names or numbers), before deadline_ns by
 * env's clock. The system's resolver, which has time-outs of its own, is the one thing that may
 * take longer.
 *
 * @peer  host and port as messages shall name them
 * Returns the descriptor. Errors: ERR_PEER no such host, refused, unreachable, timed out.
 */
MUST_CHECK int tcp_connect(const char *host, const char *port, const char *peer,
                           const struct env *env, uint64_t deadline_ns, struct error *err);

/* tcp_tune - make fd non-blocking, without Nagle's delay, with keep-alive. */
MUST_CHECK int tcp_tune(int fd, const char *peer, struct error *err);

/* tcp_await - 1: fd is ready for events (poll(2)'s), 0: it is deadline_ns now, -1: errno. */
int tcp_await(int fd, short events, const struct env *env, uint64_t deadline_ns);

/* tcp_name_host - "host:port", "[2001:db8::1]:port". */
void tcp_name_host(const char *host, const char *port, char *out, size_t size_bytes);

/* tcp_name_peer - the same for the other end of fd; "an unknown address" when it has none. */
void tcp_name_peer(int fd, char *out, size_t size_bytes);

#endif
