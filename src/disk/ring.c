/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Invariants:
 * 1. in_flight counts steps started and not yet collected; never more than RING_STEPS_MAX, so the
 *    completion queue (twice the submission queue) cannot overflow.
 * 2. Without io_uring, steps[first_step ... + in_flight) hold exactly the steps in flight.
 */
#include "disk/ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "disk/disk.h"

#define RING_STEPS_MAX DISK_REQUESTS_MAX
#define RING_ENTRIES (RING_STEPS_MAX / 2)

int ring_init(struct ring *ring, struct error *err)
{
    int result = io_uring_queue_init(RING_ENTRIES, &ring->uring, 0);

    ring->in_flight = 0;
    ring->first_step = 0;
    ring->steps = NULL;
    ring->is_async = result == 0;
    if (result == 0) {
        return 0;
    }
    if (result != -EPERM && result != -ENOSYS && result != -ENOMEM) {
        return fail(err, ERR_LIMIT, -result, "cannot set up asynchronous input and output");
    }
    ring->steps = calloc(RING_STEPS_MAX, sizeof *ring->steps);
    if (ring->steps == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a disk's requests");
    }
    return 0;
}

void ring_done(struct ring *ring)
{
    assert(ring->in_flight == 0);
    if (ring->is_async) {
        io_uring_queue_exit(&ring->uring);
        ring->is_async = false;
    }
    free(ring->steps);
    ring->steps = NULL;
}

static void prepare(struct io_uring_sqe *sqe, const struct ring_step *step)
{
    switch (step->op) {
    case RING_INVALID:
        assert(step->op != RING_INVALID);
        break;
    case RING_READ:
        io_uring_prep_read(sqe, step->fd, step->data.at, (unsigned int)step->data.len_bytes,
                           step->offset_bytes);
        break;
    case RING_WRITE:
        io_uring_prep_write(sqe, step->fd, step->data.at, (unsigned int)step->data.len_bytes,
                            step->offset_bytes);
        break;
    case RING_FALLOCATE:
        io_uring_prep_fallocate(sqe, step->fd, step->mode, (off_t)step->offset_bytes,
                                (off_t)step->len_bytes);
        break;
    case RING_SYNC:
        io_uring_prep_fsync(sqe, step->fd, IORING_FSYNC_DATASYNC);
        break;
    }
    io_uring_sqe_set_data(sqe, step->owner);
}

bool ring_start(struct ring *ring, const struct ring_step *step)
{
    assert(ring->in_flight <= RING_STEPS_MAX); /* invariant 1 */
    if (ring->in_flight == RING_STEPS_MAX) {
        return false;
    }
    if (!ring->is_async) {
        ring->steps[(ring->first_step + ring->in_flight) % RING_STEPS_MAX] = *step;
        ring->in_flight++;
        return true;
    }
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    if (sqe == NULL) {
        (void)ring_kick(ring); /* whether it made room is seen just below */
        sqe = io_uring_get_sqe(&ring->uring);
    }
    if (sqe == NULL) {
        return false;
    }
    prepare(sqe, step);
    ring->in_flight++;
    return true;
}

bool ring_kick(struct ring *ring)
{
    if (!ring->is_async) {
        return true;
    }
    while (io_uring_sq_ready(&ring->uring) > 0) {
        int result = io_uring_submit(&ring->uring);
        if (result <= 0 && result != -EINTR) {
            return false;
        }
    }
    return true;
}

/* The same calls, made here and now. */
static int perform(const struct ring_step *step)
{
    ssize_t result = -1;

    switch (step->op) {
    case RING_INVALID:
        assert(step->op != RING_INVALID);
        break;
    case RING_READ:
        result = pread(step->fd, step->data.at, step->data.len_bytes, (off_t)step->offset_bytes);
        break;
    case RING_WRITE:
        result = pwrite(step->fd, step->data.at, step->data.len_bytes, (off_t)step->offset_bytes);
        break;
    case RING_FALLOCATE:
        result = fallocate(step->fd, step->mode, (off_t)step->offset_bytes, (off_t)step->len_bytes);
        break;
    case RING_SYNC:
        result = fdatasync(step->fd);
        break;
    }
    return result < 0 ? -errno : (int)result;
}

static bool collect_sync(struct ring *ring, void **owner, int *result)
{
    if (ring->in_flight == 0) {
        return false;
    }
    const struct ring_step *step = &ring->steps[ring->first_step];
    *result = perform(step);
    *owner = step->owner;
    ring->first_step = (ring->first_step + 1) % RING_STEPS_MAX;
    ring->in_flight--;
    return true;
}

static void take_completion(struct ring *ring, struct io_uring_cqe *cqe, void **owner, int *result)
{
    assert(ring->in_flight > 0); /* invariant 1 */
    *owner = io_uring_cqe_get_data(cqe);
    *result = cqe->res;
    io_uring_cqe_seen(&ring->uring, cqe);
    ring->in_flight--;
}

bool ring_collect(struct ring *ring, void **owner, int *result)
{
    struct io_uring_cqe *cqe = NULL;

    if (!ring->is_async) {
        return collect_sync(ring, owner, result);
    }
    if (io_uring_peek_cqe(&ring->uring, &cqe) != 0) {
        return false;
    }
    take_completion(ring, cqe, owner, result);
    return true;
}

void ring_drain(struct ring *ring)
{
    if (!ring->is_async) {
        ring->in_flight = 0; /* none of them has begun */
        return;
    }
    while (ring->in_flight > 0) {
        struct io_uring_cqe *cqe = NULL;
        void *owner = NULL;
        int result = 0;
        /* What was not handed over yet has not begun either, but it can be taken back no more. */
        if (io_uring_submit_and_wait(&ring->uring, 1) < 0) {
            continue; /* interrupted, or short of memory for a moment: it goes on by itself */
        }
        while (io_uring_peek_cqe(&ring->uring, &cqe) == 0) {
            take_completion(ring, cqe, &owner, &result);
        }
    }
}
