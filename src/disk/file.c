/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * file.c - plain files and block devices.
 *
 * A request is carried out in one or more steps (ring.h), one at a time: the part that O_DIRECT can
 * do, the rest of it after a short transfer, the tail through the page cache, a zero range piece by
 * piece. Where it is, is seen from the list that it is on:
 *
 *   submit --> queued --+--> device --> [in the ring] --+--> done --> reap
 *                       |      ^ ^______ more to do ____|      ^
 *                       |      | not in the cache after all    |
 *                       +--> ready --- the page cache or the --+
 *                                      file's map answers
 *
 * Invariants:
 * 1. A request is on exactly one list or in the ring.
 * 2. driver_value is how many bytes of it are finished, driver_result the enum method of its step
 *    in the ring.
 * 3. Nothing stays on queued or device while the ring has room: every way in here starts it.
 * 4. After a failed flush nothing is started any more: what reached the disk is unknown, and a
 *    second flush would claim success for pages that the kernel has given up.
 *    Source: Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020.
 */
#include "disk/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "disk/holes.h"
#include "disk/identity.h"
#include "disk/medium.h"
#include "disk/page_cache.h"
#include "disk/request_list.h"
#include "disk/ring.h"

#define REQUEST_BYTES_MAX (1 * MIB)
#define ZERO_BYTES (256 * KIB)       /* zeros written at once where nothing better works */
#define ZERO_PIECE_BYTES (256 * MIB) /* zeroed at once by the kernel, which may write them too */

/* How a step is done. Zeros are made by the first of PUNCH, ZERO_RANGE, WRITE that works here;
 * the last of them is then a step that is DIRECT or BUFFERED like every other write. */
enum method {
    METHOD_INVALID = 0,
    METHOD_DIRECT,
    METHOD_BUFFERED,
    METHOD_SYNC,
    METHOD_PUNCH,
    METHOD_ZERO_RANGE,
    METHOD_WRITE
};

struct file_disk {
    struct disk disk; /* first: a struct disk * is one to this */
    struct medium medium;
    struct page_cache cache;
    struct ring ring;
    int doorbell_fd;         /* owned; always readable: polled when there is no waiting */
    bool is_direct;          /* O_DIRECT works here, as far as is known */
    bool is_failed;          /* a flush failed (invariant 4) */
    enum method zero_method; /* the first that is not known to be refused here */
    struct request_list queued;
    struct request_list device;
    struct request_list ready;
    struct request_list done;
};

/* What is written where zeros must be written; nobody ever writes into it. */
static _Alignas(4096) uint8_t zeros[ZERO_BYTES];

static struct file_disk *file_disk(struct disk *disk)
{
    return (struct file_disk *)disk;
}

static void complete(struct file_disk *d, struct disk_request *request, int errnum)
{
    request->errnum = errnum;
    request_list_append(&d->done, request);
}

/* --- steps --- */

/* How many bytes from `at` on one step takes past the page cache; 0: these need the page cache. */
static uint64_t direct_part(const struct file_disk *d, uint64_t at, uint64_t left_bytes)
{
    if (!d->is_direct || at % d->medium.direct_bytes != 0) {
        return 0;
    }
    return left_bytes - left_bytes % d->medium.direct_bytes;
}

/* Move what can be moved of data in one step, past the page cache if may_direct. */
static struct ring_step transfer_step(const struct file_disk *d, struct disk_request *request,
                                      enum ring_op op, struct span data, bool may_direct)
{
    uint64_t at = request->offset_bytes + request->driver_value;
    uint64_t direct_bytes = may_direct ? direct_part(d, at, data.len_bytes) : 0;
    struct ring_step step = {.op = op, .fd = d->medium.fd, .offset_bytes = at, .data = data};

    request->driver_result = METHOD_BUFFERED;
    if (direct_bytes > 0) {
        request->driver_result = METHOD_DIRECT;
        step.fd = d->medium.direct_fd;
        step.data.len_bytes = direct_bytes;
    }
    return step;
}

/* The part of a zero range that one fallocate(2) does; 0: too small for this device. */
static uint64_t zero_piece(const struct file_disk *d, const struct disk_request *request)
{
    uint64_t left_bytes = request->len_bytes - request->driver_value;
    uint64_t piece_bytes = left_bytes < ZERO_PIECE_BYTES ? left_bytes : ZERO_PIECE_BYTES;

    return d->medium.is_block ? piece_bytes - piece_bytes % d->medium.block_bytes : piece_bytes;
}

static struct ring_step zero_step(const struct file_disk *d, struct disk_request *request)
{
    uint64_t at = request->offset_bytes + request->driver_value;
    uint64_t left_bytes = request->len_bytes - request->driver_value;
    uint64_t piece_bytes = zero_piece(d, request);

    if (d->zero_method == METHOD_WRITE || piece_bytes == 0) {
        struct span data = {zeros, left_bytes < ZERO_BYTES ? left_bytes : ZERO_BYTES};
        return transfer_step(d, request, RING_WRITE, data, true);
    }
    request->driver_result = (int)d->zero_method;
    uint64_t beyond_bytes = (at + piece_bytes) % PAGE_BYTES;
    if (!d->medium.is_block && at + piece_bytes == d->disk.size_bytes && beyond_bytes > 0) {
        piece_bytes += PAGE_BYTES - beyond_bytes; /* the last block is freed only if all is meant */
    }
    return (struct ring_step){
        .op = RING_FALLOCATE,
        .fd = d->medium.fd,
        .mode = FALLOC_FL_KEEP_SIZE |
                (d->zero_method == METHOD_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE),
        .offset_bytes = at,
        .len_bytes = piece_bytes,
    };
}

/*
 * Whether a range of a file has no blocks yet, all or in part. Written directly, each such piece is
 * allocated by itself and the journal waited for; written through the page cache, all of a batch
 * are allocated together when it is flushed (ext4: 256 MiB into a hole 1 s against 6 s).
 */
static bool has_hole(const struct file_disk *d, const struct disk_request *request)
{
    return !d->medium.is_block &&
           !holes_is_allocated(d->medium.fd, request->offset_bytes, request->data.len_bytes);
}

/* The next step of a read or write; what is to come from the medium is driven out of the cache. */
static struct ring_step data_step(struct file_disk *d, struct disk_request *request)
{
    uint64_t done_bytes = request->driver_value;
    struct span rest = {request->data.at + done_bytes, request->data.len_bytes - done_bytes};
    enum ring_op op = request->op == DISK_WRITE ? RING_WRITE : RING_READ;
    /* When we are not told what is cached, all may be: reading past the cache would be waste. */
    bool may_direct = request->op == DISK_WRITE ? !has_hole(d, request)
                                                : request->op != DISK_READ || !d->cache.is_blind;
    struct ring_step step = transfer_step(d, request, op, rest, may_direct);

    if (request->op == DISK_READ_MEDIUM) {
        /* Even with O_DIRECT: some file systems take the flag and read the cache nevertheless (ext4
         * with data=journal, btrfs with compression, ZFS). Where there is nothing to drop it costs
         * next to nothing. */
        page_cache_drop(&d->cache, step.offset_bytes, step.data.len_bytes);
    }
    return step;
}

static struct ring_step next_step(struct file_disk *d, struct disk_request *request)
{
    struct ring_step step = {0};

    switch (request->op) {
    case DISK_READ:
    case DISK_READ_MEDIUM:
    case DISK_WRITE:
        step = data_step(d, request);
        break;
    case DISK_ZERO:
        step = zero_step(d, request);
        break;
    case DISK_FLUSH:
        request->driver_result = METHOD_SYNC;
        step = (struct ring_step){.op = RING_SYNC, .fd = d->medium.fd};
        break;
    case DISK_EXTENTS:
    case DISK_INVALID:
        assert(request->op != DISK_INVALID && request->op != DISK_EXTENTS);
        break;
    }
    step.owner = request;
    return step;
}

static bool is_refused(int errnum)
{
    return errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == EINVAL || errnum == ENOTTY;
}

/* A step failed because it cannot be done that way here: never try that way again. */
static bool gives_way(struct file_disk *d, const struct disk_request *request, int errnum)
{
    enum method method = (enum method)request->driver_result;

    if (!is_refused(errnum)) {
        return false;
    }
    if (method == METHOD_DIRECT) {
        d->is_direct = false;
        return true;
    }
    if (method == METHOD_PUNCH || method == METHOD_ZERO_RANGE) {
        d->zero_method = d->zero_method > method ? d->zero_method : method + 1;
        return true;
    }
    return false;
}

/* What the result of a request's step means for it. */
static void advance(struct file_disk *d, struct disk_request *request, int result)
{
    if (result == -EINTR || (result < 0 && gives_way(d, request, -result))) {
        request_list_append(&d->device, request);
        return;
    }
    if (result < 0) {
        d->is_failed = d->is_failed || request->op == DISK_FLUSH;
        complete(d, request, -result);
        return;
    }
    switch ((enum method)request->driver_result) {
    case METHOD_SYNC:
        break;
    case METHOD_PUNCH:
    case METHOD_ZERO_RANGE:
        request->driver_value += zero_piece(d, request);
        break;
    case METHOD_DIRECT:
    case METHOD_BUFFERED:
        if (result == 0) {
            complete(d, request, ENODATA); /* somebody cut the file under us */
            return;
        }
        request->driver_value += (uint64_t)result;
        break;
    case METHOD_INVALID:
    case METHOD_WRITE:
        assert(request->driver_result == METHOD_DIRECT); /* invariant 2 */
        break;
    }
    assert(request->driver_value <= request_bytes(request));
    if (request->driver_value < request_bytes(request)) {
        request_list_append(&d->device, request);
        return;
    }
    complete(d, request, 0);
}

/* --- from list to list --- */

static void start_device(struct file_disk *d)
{
    while (d->device.first != NULL) {
        if (d->is_failed) {
            complete(d, request_list_take(&d->device), EIO);
            continue;
        }
        struct ring_step step = next_step(d, d->device.first);
        if (!ring_start(&d->ring, &step)) {
            return; /* full: goes on when something was collected */
        }
        (void)request_list_take(&d->device); /* it is the ring's now */
    }
}

/* Decide for each new request who answers it, and start what the device has to answer. */
static void start_queued(struct file_disk *d)
{
    while (d->queued.first != NULL) {
        struct disk_request *request = request_list_take(&d->queued);
        bool is_ready =
            request->op == DISK_EXTENTS ||
            (request->op == DISK_READ &&
             page_cache_may_hold(&d->cache, request->offset_bytes, request->data.len_bytes));
        if (d->is_failed) {
            complete(d, request, EIO);
        } else {
            request_list_append(is_ready ? &d->ready : &d->device, request);
        }
    }
    start_device(d);
}

/* Answer the oldest ready request; true if that completed it. */
static bool answer(struct file_disk *d)
{
    struct disk_request *request = request_list_take(&d->ready);

    if (d->is_failed) {
        complete(d, request, EIO);
        return true;
    }
    if (request->op == DISK_EXTENTS) {
        complete(d, request, holes_find(d->medium.is_block ? -1 : d->medium.fd, request));
        return true;
    }
    if (page_cache_read(&d->cache, request->offset_bytes, request->data)) {
        request->cached = true;
        complete(d, request, 0);
        return true;
    }
    /* The others were believed to be there because this one was: look again. */
    request_list_append(&d->device, request);
    while (d->ready.first != NULL) {
        request_list_append(&d->queued, request_list_take(&d->ready));
    }
    start_queued(d);
    return false;
}

/* --- the operations --- */

/* Mistakes of the caller, which come back with the request. */
static int check(const struct file_disk *d, const struct disk_request *request)
{
    uint64_t offset = request->offset_bytes;
    uint64_t bytes = request_bytes(request);
    bool is_write = request->op == DISK_WRITE || request->op == DISK_ZERO;
    bool has_data =
        request->op == DISK_READ || request->op == DISK_READ_MEDIUM || request->op == DISK_WRITE;

    if (request->op == DISK_FLUSH) {
        return 0;
    }
    if (bytes == 0 || offset % PAGE_BYTES != 0 || offset > d->disk.size_bytes ||
        bytes > d->disk.size_bytes - offset) {
        return EINVAL;
    }
    if (is_write && !d->disk.is_writable) {
        return EROFS;
    }
    if (has_data &&
        (bytes > REQUEST_BYTES_MAX || (uintptr_t)request->data.at % DISK_BUFFER_ALIGN != 0 ||
         (bytes % PAGE_BYTES != 0 && offset + bytes != d->disk.size_bytes))) {
        return EINVAL;
    }
    return 0;
}

static void file_submit(struct disk *disk, struct disk_request *request)
{
    struct file_disk *d = file_disk(disk);

    request->errnum = 0;
    request->cached = false;
    request->extent_count = 0;
    request->driver_value = 0;
    request->driver_result = 0;
    int errnum = d->is_failed ? EIO : check(d, request);
    if (errnum != 0) {
        complete(d, request, errnum);
        return;
    }
    request_list_append(&d->queued, request);
}

static struct disk_request *file_reap(struct disk *disk)
{
    struct file_disk *d = file_disk(disk);
    void *owner = NULL;
    int result = 0;

    start_queued(d);
    while (ring_collect(&d->ring, &owner, &result)) {
        advance(d, owner, result);
        if (!d->ring.is_async) {
            break; /* each of these waited for the device */
        }
    }
    start_device(d);
    while (d->done.first == NULL && d->ready.first != NULL) {
        if (answer(d)) {
            break;
        }
    }
    (void)ring_kick(&d->ring); /* if it takes no more now, the next call tries again */
    return request_list_take(&d->done);
}

static void file_poll_on(struct disk *disk, int *fd, short *events)
{
    struct file_disk *d = file_disk(disk);

    start_queued(d);
    bool is_kicked = ring_kick(&d->ring);
    /* Something that no device will announce: done or ready, or the kernel was out of memory. */
    bool is_now = d->done.first != NULL || d->ready.first != NULL || !is_kicked ||
                  (!d->ring.is_async && d->ring.in_flight > 0);
    *fd = is_now || !d->ring.is_async ? d->doorbell_fd : d->ring.uring.ring_fd;
    *events = is_now || d->ring.is_async ? POLLIN : 0;
}

static int file_identity(struct disk *disk, bool stamp, uint8_t identity[DISK_IDENTITY_BYTES],
                         struct error *err)
{
    struct file_disk *d = file_disk(disk);

    assert(!stamp || disk->is_writable);
    if (d->medium.is_block) {
        memset(identity, 0, DISK_IDENTITY_BYTES);
        return 0;
    }
    return identity_of_file(d->medium.fd, disk->name, stamp, identity, err);
}

static int file_fingerprint(struct disk *disk, uint8_t identity[DISK_IDENTITY_BYTES],
                            struct error *err)
{
    struct file_disk *d = file_disk(disk);

    return identity_fingerprint(d->medium.fd, disk->name, identity, err);
}

static void file_close(struct disk *disk)
{
    struct file_disk *d = file_disk(disk);

    ring_drain(&d->ring); /* the kernel may be writing into the callers' buffers */
    ring_done(&d->ring);
    page_cache_done(&d->cache);
    medium_close(&d->medium);
    if (d->doorbell_fd >= 0) {
        (void)close(d->doorbell_fd); /* holds nothing */
    }
    free(d);
}

static const struct disk_ops file_ops = {
    .name = "file",
    .submit = file_submit,
    .reap = file_reap,
    .poll_on = file_poll_on,
    .identity = file_identity,
    .fingerprint = file_fingerprint,
    .close = file_close,
};

static const struct disk_ops block_ops = {
    .name = "block",
    .submit = file_submit,
    .reap = file_reap,
    .poll_on = file_poll_on,
    .identity = file_identity,
    .close = file_close,
};

int disk_open_file(const struct disk_open_options *options, struct disk **out, struct error *err)
{
    struct medium medium;

    if (medium_open(options, &medium, err) < 0) {
        return -1;
    }
    struct file_disk *d = calloc(1, sizeof *d);
    if (d == NULL) {
        medium_close(&medium);
        return fail(err, ERR_LIMIT, 0, "out of memory opening %s", options->path);
    }
    CLEANUP(disk_closep) struct disk *disk = &d->disk; /* from here on this closes all of it */
    d->medium = medium;
    d->is_direct = medium.direct_fd >= 0;
    d->zero_method = METHOD_PUNCH;
    d->doorbell_fd = -1;
    disk->ops = medium.is_block ? &block_ops : &file_ops;
    disk->size_bytes = medium.size_bytes;
    disk->block_bytes = medium.block_bytes;
    disk->is_writable = options->write;
    (void)snprintf(disk->name, sizeof disk->name, "%s", options->path);
    page_cache_init(&d->cache, medium.fd, medium.size_bytes);
    d->doorbell_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->doorbell_fd < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot open %s", options->path);
    }
    if (ring_init(&d->ring, err) < 0) {
        return -1;
    }
    *out = TAKE(disk);
    return 0;
}
