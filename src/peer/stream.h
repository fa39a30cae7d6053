/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stream.h - whole messages over a link, for threads that have nothing else to do: a length (4
 * bytes, big-endian), then so many bytes.
 */
#ifndef RESILVER_PEER_STREAM_H
#define RESILVER_PEER_STREAM_H

#include "wire/link.h"

/* stream_send - by deadline_ns of env's clock. Errors: ERR_PEER. */
MUST_CHECK int stream_send(struct link *link, struct const_span message, const struct env *env,
                           uint64_t deadline_ns, struct error *err);

/* stream_receive - one message into buffer; *out_len_bytes. Errors: ERR_PEER the link failed or
 * ended, it is empty or longer than the buffer, or the deadline is over. */
MUST_CHECK int stream_receive(struct link *link, struct span buffer, const struct env *env,
                              uint64_t deadline_ns, size_t *out_len_bytes, struct error *err);

/*
 * stream_await - wait until the link can be read, or wake_fd (-1: none) can. Returns 1 for the
 * link, 2 for wake_fd alone, 0 at the deadline. Errors: ERR_PEER.
 */
MUST_CHECK int stream_await(struct link *link, int wake_fd, const struct env *env,
                            uint64_t deadline_ns, struct error *err);

#endif
