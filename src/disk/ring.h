/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ring.h - system calls that go on by themselves: an io_uring, or, where the kernel or a container
 * forbids that, a queue whose calls are made one at a time when their result is asked for.
 */
#ifndef RESILVER_DISK_RING_H
#define RESILVER_DISK_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/span.h"

enum ring_op {
    RING_INVALID = 0,
    RING_READ,      /* pread(2) into data */
    RING_WRITE,     /* pwrite(2) from data */
    RING_FALLOCATE, /* fallocate(2) by mode on len_bytes */
    RING_SYNC       /* fdatasync(2) */
};

/* One system call. */
struct ring_step {
    enum ring_op op;
    int fd; /* borrowed until collected */
    int mode;
    uint64_t offset_bytes;
    uint64_t len_bytes;
    struct span data; /* borrowed until collected */
    void *owner;      /* handed back with the result */
};

struct ring {
    bool is_async;
    uint32_t in_flight;      /* started and not collected */
    struct io_uring uring;   /* is_async */
    struct ring_step *steps; /* owned; not is_async: a circle of RING_STEPS_MAX */
    uint32_t first_step;     /* the oldest of the in_flight ones in it */
};

/* ring_init - may leave a ring that is not asynchronous; then every call waits in ring_collect. */
MUST_CHECK int ring_init(struct ring *ring, struct error *err);

/* ring_done - nothing may be in flight. */
void ring_done(struct ring *ring);

/* ring_start - take a step, to be handed over by ring_kick; false: no room now, collect first. */
MUST_CHECK bool ring_start(struct ring *ring, const struct ring_step *step);

/* ring_kick - hand all that was started to the kernel; false: it takes no more now, try again. */
bool ring_kick(struct ring *ring);

/* ring_collect - one result (what the call returned, or -errno), or false: none is there yet. */
MUST_CHECK bool ring_collect(struct ring *ring, void **owner, int *result);

/* ring_drain - wait for everything that the kernel has in its hands; the results are dropped. */
void ring_drain(struct ring *ring);

#endif
