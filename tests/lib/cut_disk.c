/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cut_disk.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECTOR_BYTES 512U
#define EXTENT_SCAN_BYTES (16 * MIB) /* that one answer about extents looks at */

struct cut_step {
    enum disk_op op;
    uint64_t offset_bytes;
    uint64_t len_bytes;
    uint8_t *bytes; /* owned; WRITE */
};

static struct cut_disk *self(struct disk *disk)
{
    return (struct cut_disk *)disk;
}

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("cut_disk: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* --- what is done to it ---------------------------------------------------------------------- */

static void put(struct cut_disk *d, uint64_t offset_bytes, const uint8_t *from, uint64_t len_bytes)
{
    assert(offset_bytes + len_bytes <= d->disk.size_bytes);
    if (from != NULL) {
        memcpy(d->bytes + offset_bytes, from, len_bytes);
        d->used_bytes = max_u64(d->used_bytes, offset_bytes + len_bytes);
    } else if (offset_bytes < d->used_bytes) {
        memset(d->bytes + offset_bytes, 0, min_u64(len_bytes, d->used_bytes - offset_bytes));
    }
}

/* Carry out a step again, elsewhere. */
static void redo(struct cut_disk *d, const struct cut_step *step)
{
    if (step->op != DISK_FLUSH) {
        put(d, step->offset_bytes, step->bytes, step->len_bytes);
    }
}

static void redo_torn(struct cut_disk *d, const struct cut_step *step, struct chance *chance)
{
    for (uint64_t at = 0; at < step->len_bytes; at += SECTOR_BYTES) {
        if (step->op != DISK_FLUSH && chance_one_in(chance, 2)) {
            put(d, step->offset_bytes + at, step->bytes != NULL ? step->bytes + at : NULL,
                min_u64(SECTOR_BYTES, step->len_bytes - at));
        }
    }
}

static void remember(struct cut_disk *d, const struct disk_request *request)
{
    if (!d->is_remembering) {
        return;
    }
    if (d->step_count == d->step_room) {
        d->step_room = 2 * d->step_room + 64;
        d->steps = checked(realloc(d->steps, d->step_room * sizeof *d->steps));
    }
    struct cut_step *step = &d->steps[d->step_count++];
    *step = (struct cut_step){.op = request->op, .offset_bytes = request->offset_bytes};
    if (request->op == DISK_WRITE) {
        step->len_bytes = request->data.len_bytes;
        step->bytes = checked(malloc(step->len_bytes));
        memcpy(step->bytes, request->data.at, step->len_bytes);
    } else if (request->op == DISK_ZERO) {
        step->len_bytes = request->len_bytes;
    }
}

static bool is_zero_page(const struct cut_disk *d, uint64_t at, uint64_t end)
{
    return at >= d->used_bytes ||
           span_is_zero((struct const_span){d->bytes + at, min_u64(PAGE_BYTES, end - at)});
}

static void tell_extents(struct cut_disk *d, struct disk_request *request)
{
    uint64_t end = request->offset_bytes + request->len_bytes;
    uint64_t stop = min_u64(end, request->offset_bytes + EXTENT_SCAN_BYTES);
    uint64_t at = request->offset_bytes;

    while (at < stop && request->extent_count < EXTENTS_MAX) {
        bool zero = is_zero_page(d, at, end);
        uint64_t from = at;
        if (at >= d->used_bytes) {
            at = end;
        }
        while (at < stop && is_zero_page(d, at, end) == zero) {
            at = min_u64(at + PAGE_BYTES, end);
        }
        request->extents[request->extent_count++] = (struct extent){from, at - from, zero};
        if (d->is_shuffled && chance_one_in(&d->chance, 16)) {
            return;
        }
    }
}

static bool must_fail(struct cut_disk *d, const struct disk_request *request)
{
    if (d->fault_op != request->op || d->fault_left == 0 || --d->fault_left > 0) {
        return false;
    }
    d->fired++;
    return true;
}

static void carry_out(struct cut_disk *d, struct disk_request *request)
{
    if (must_fail(d, request)) {
        request->errnum = d->fault_errnum;
        return;
    }
    switch (request->op) {
    case DISK_READ:
    case DISK_READ_MEDIUM:
        memcpy(request->data.at, d->bytes + request->offset_bytes, request->data.len_bytes);
        break;
    case DISK_WRITE:
        put(d, request->offset_bytes, request->data.at, request->data.len_bytes);
        remember(d, request);
        break;
    case DISK_ZERO:
        put(d, request->offset_bytes, NULL, request->len_bytes);
        remember(d, request);
        break;
    case DISK_FLUSH:
        remember(d, request);
        break;
    case DISK_EXTENTS:
        tell_extents(d, request);
        break;
    case DISK_INVALID:
        request->errnum = EINVAL;
        break;
    }
}

/* --- the operations -------------------------------------------------------------------------- */

/* What disk.h asks of a request. */
static bool is_fair(const struct cut_disk *d, const struct disk_request *request)
{
    bool has_data =
        request->op == DISK_READ || request->op == DISK_READ_MEDIUM || request->op == DISK_WRITE;
    uint64_t len_bytes = has_data ? request->data.len_bytes : request->len_bytes;
    uint64_t size_bytes = d->disk.size_bytes;

    if (request->op == DISK_FLUSH) {
        return true;
    }
    if ((request->op == DISK_WRITE || request->op == DISK_ZERO) && !d->disk.is_writable) {
        return false;
    }
    if (len_bytes == 0 || request->offset_bytes % PAGE_BYTES != 0 ||
        request->offset_bytes > size_bytes || len_bytes > size_bytes - request->offset_bytes) {
        return false;
    }
    return !has_data ||
           (len_bytes <= MIB && (uintptr_t)request->data.at % DISK_BUFFER_ALIGN == 0 &&
            (len_bytes % PAGE_BYTES == 0 || request->offset_bytes + len_bytes == size_bytes));
}

static void cut_submit(struct disk *disk, struct disk_request *request)
{
    struct cut_disk *d = self(disk);

    assert(d->pending_count < DISK_REQUESTS_MAX && is_fair(d, request));
    request->errnum = 0;
    request->cached = false;
    request->extent_count = 0;
    d->pending[d->pending_count++] = request;
}

static struct disk_request *cut_reap(struct disk *disk)
{
    struct cut_disk *d = self(disk);
    uint32_t index = 0;

    if (d->pending_count == 0 || (d->is_shuffled && chance_one_in(&d->chance, 3))) {
        return NULL;
    }
    if (d->is_shuffled) {
        index = (uint32_t)chance_below(&d->chance, d->pending_count);
    }
    struct disk_request *request = d->pending[index];
    d->pending_count--;
    memmove(&d->pending[index], &d->pending[index + 1],
            (d->pending_count - index) * sizeof(struct disk_request *));
    carry_out(d, request);
    return request;
}

static void cut_poll_on(struct disk *disk, int *fd, short *events)
{
    *fd = self(disk)->ready_fd;
    *events = POLLIN;
}

static int cut_identity(struct disk *disk, bool stamp, uint8_t identity[DISK_IDENTITY_BYTES],
                        struct error *err)
{
    (void)stamp;
    (void)err;
    memcpy(identity, self(disk)->identity, DISK_IDENTITY_BYTES);
    return 0;
}

static uint64_t mapped_bytes(const struct cut_disk *d)
{
    return d->disk.size_bytes + PAGE_BYTES; /* a disk of no bytes is mapped too */
}

static void cut_close(struct disk *disk)
{
    struct cut_disk *d = self(disk);

    for (uint64_t i = 0; i < d->step_count; i++) {
        free(d->steps[i].bytes);
    }
    free(d->steps);
    free(d->start);
    (void)munmap(d->bytes, mapped_bytes(d)); /* it was mapped so */
    (void)close(d->ready_fd);                /* holds nothing */
    free(d);
}

static const struct disk_ops cut_ops = {
    .name = "cut",
    .submit = cut_submit,
    .reap = cut_reap,
    .poll_on = cut_poll_on,
    .identity = cut_identity,
    .fingerprint = NULL,
    .close = cut_close,
};

/* --- for the tests --------------------------------------------------------------------------- */

struct cut_disk *cut_disk_new(uint64_t size_bytes)
{
    struct cut_disk *d = checked(calloc(1, sizeof *d));

    d->disk.ops = &cut_ops;
    d->disk.size_bytes = size_bytes;
    d->disk.block_bytes = SECTOR_BYTES;
    d->disk.is_writable = true;
    (void)snprintf(d->disk.name, sizeof d->disk.name, "memory");
    void *bytes = mmap(NULL, mapped_bytes(d), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    d->bytes = checked(bytes == MAP_FAILED ? NULL : bytes);
    d->ready_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    checked(d->ready_fd < 0 ? NULL : d);
    return d;
}

void cut_disk_shuffle(struct cut_disk *disk, uint64_t seed)
{
    disk->is_shuffled = true;
    disk->chance = chance_of(seed, 0);
}

void cut_disk_fail(struct cut_disk *disk, enum disk_op op, uint64_t number, int errnum)
{
    assert(number > 0 && errnum > 0);
    disk->fault_op = op;
    disk->fault_left = number;
    disk->fault_errnum = errnum;
}

void cut_disk_remember(struct cut_disk *disk)
{
    assert(!disk->is_remembering);
    disk->is_remembering = true;
    disk->start_bytes = disk->used_bytes;
    disk->start = checked(malloc(disk->start_bytes + 1));
    memcpy(disk->start, disk->bytes, disk->start_bytes);
}

uint64_t cut_disk_steps(const struct cut_disk *disk)
{
    return disk->step_count;
}

/* Carry out again what was not flushed, as far as it is kept. */
static void redo_kept(struct cut_disk *to, const struct cut_step *step, bool is_last,
                      enum cut_keep keep, struct chance *chance)
{
    uint64_t fate = chance_below(chance, 3);

    switch (keep) {
    case CUT_KEEP_NONE:
        return;
    case CUT_KEEP_ALL:
        redo(to, step);
        return;
    case CUT_KEEP_SOME:
        if (fate == 0) {
            redo(to, step);
        } else if (fate == 1) {
            redo_torn(to, step, chance);
        }
        return;
    case CUT_KEEP_TORN:
        if (is_last) {
            redo_torn(to, step, chance);
        } else {
            redo(to, step);
        }
        return;
    }
}

struct cut_disk *cut_disk_after(const struct cut_disk *disk, uint64_t steps, enum cut_keep keep,
                                uint64_t seed)
{
    struct cut_disk *found = cut_disk_new(disk->disk.size_bytes);
    struct chance chance = chance_of(seed, steps);
    uint64_t flushed = 0;

    assert(disk->is_remembering && steps <= disk->step_count);
    if (disk->start_bytes > 0) {
        put(found, 0, disk->start, disk->start_bytes);
    }
    for (uint64_t i = 0; i < steps; i++) {
        flushed = disk->steps[i].op == DISK_FLUSH ? i + 1 : flushed;
    }
    for (uint64_t i = 0; i < steps; i++) {
        if (i < flushed) {
            redo(found, &disk->steps[i]);
        } else {
            redo_kept(found, &disk->steps[i], i + 1 == steps, keep, &chance);
        }
    }
    return found;
}
