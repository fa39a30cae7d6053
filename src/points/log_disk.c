/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/log_disk_internal.h"

#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define REQUEST_BYTES_MAX (1 * MIB)

static struct log_disk *self(struct disk *disk)
{
    return (struct log_disk *)disk;
}

/* --- requests -------------------------------------------------------------------------------- */

/* Invariant 1; for requests that are in no list. */
static void settle(struct log_disk *d, struct disk_request *request)
{
    assert(request->driver_result >= 0);
    if (request->driver_result == 0) {
        list_append(&d->done, request);
    }
}

static void fail_list(struct log_disk *d, struct list *list)
{
    for (struct disk_request *request; (request = list_take(list)) != NULL;) {
        note_error(request, d->failed);
        settle(d, request);
    }
}

void log_disk_fail(struct log_disk *d, int errnum)
{
    if (d->failed == 0) {
        d->failed = errnum != 0 ? errnum : EIO;
    }
    fail_list(d, &d->queue);
    fail_list(d, &d->flushes);
}

/* --- parts ----------------------------------------------------------------------------------- */

struct part *log_disk_part(struct log_disk *d)
{
    for (uint32_t i = 0; i < LOG_DISK_PARTS_MAX; i++) {
        if (d->parts[i].kind == PART_FREE) {
            return &d->parts[i];
        }
    }
    return NULL;
}

uint8_t *log_disk_bounce(struct log_disk *d)
{
    for (uint32_t i = 0; i < LOG_DISK_BOUNCES_MAX; i++) {
        if (!d->is_bounce_used[i]) {
            d->is_bounce_used[i] = true;
            return d->bounces + i * LEAF_BYTES;
        }
    }
    return NULL;
}

void log_disk_bounce_release(struct log_disk *d, const uint8_t *bounce)
{
    if (bounce != NULL) {
        size_t index = (size_t)(bounce - d->bounces) / LEAF_BYTES;
        assert(index < LOG_DISK_BOUNCES_MAX && d->is_bounce_used[index]);
        d->is_bounce_used[index] = false;
    }
}

void log_disk_part_submit(struct log_disk *d, struct part *part)
{
    struct lower *lower = &d->lowers[part->lower];

    assert(part->kind != PART_FREE && lower->disk != NULL);
    lower->in_flight++;
    if (part->parent != NULL) {
        part->parent->driver_result++;
    }
    disk_submit(lower->disk, &part->request);
}

/* --- the queue ------------------------------------------------------------------------------- */

/* One step of the queue's head. False: it has to wait. */
static bool cut(struct log_disk *d, struct disk_request *request)
{
    switch (request->op) {
    case DISK_READ:
    case DISK_READ_MEDIUM:
        return log_disk_cut_read(d, request);
    case DISK_WRITE:
        return log_disk_cut_write(d, request);
    case DISK_ZERO:
        return log_disk_cut_zero(d, request);
    case DISK_EXTENTS:
        return log_disk_ask_extents(d, request);
    case DISK_FLUSH:
        log_disk_begin_flush(d, request);
        return true;
    case DISK_INVALID:
        break;
    }
    assert(false); /* check() let it pass */
    return false;
}

static void queue_pump(struct log_disk *d)
{
    while (d->queue.first != NULL) {
        struct disk_request *request = d->queue.first;
        bool is_cut = request->op != DISK_FLUSH && request->driver_value == request_bytes(request);
        if (request->errnum != 0 || is_cut) {
            (void)list_take(&d->queue);
            settle(d, request);
        } else if (!cut(d, request)) {
            return;
        }
    }
}

static void pump(struct log_disk *d)
{
    queue_pump(d);
    log_disk_write_on(d);
}

/* A part has come back. */
static void finish(struct log_disk *d, struct part *part)
{
    struct disk_request *parent = part->parent;

    switch (part->kind) {
    case PART_READ:
    case PART_BOUNCED:
        log_disk_finish_read(d, part);
        break;
    case PART_WRITE:
    case PART_INDEX:
        log_disk_finish_write(d, part);
        break;
    case PART_FLUSH:
        log_disk_finish_flush(d, part);
        break;
    case PART_EXTENTS:
        log_disk_finish_extents(d, part);
        break;
    case PART_FREE:
        assert(part->kind != PART_FREE);
        break;
    }
    log_disk_bounce_release(d, part->bounce);
    part->kind = PART_FREE;
    if (parent != NULL) {
        assert(parent->driver_result > 0);
        parent->driver_result--;
        if (parent != d->queue.first) {
            settle(d, parent);
        }
    }
}

/* Take back one part from below; false: none has come back. */
static bool collect(struct log_disk *d)
{
    for (uint32_t i = 0; i <= d->log_count; i++) {
        uint32_t index = (d->next_lower + i) % (d->log_count + 1);
        struct lower *lower = &d->lowers[index];
        struct disk_request *request = lower->in_flight > 0 ? disk_reap(lower->disk) : NULL;
        if (request != NULL) {
            lower->in_flight--;
            d->next_lower = index + 1;
            finish(d, (struct part *)request);
            return true;
        }
    }
    return false;
}

/* --- the operations -------------------------------------------------------------------------- */

/* Changes are of whole leaves. */
static bool is_whole(const struct log_disk *d, const struct disk_request *request)
{
    uint64_t end = request_end(request);

    return request->offset_bytes % LEAF_BYTES == 0 &&
           (end % LEAF_BYTES == 0 || end == d->disk.size_bytes);
}

/* Mistakes of the caller, which come back with the request. */
static int check(const struct log_disk *d, const struct disk_request *request)
{
    uint64_t offset = request->offset_bytes;
    uint64_t bytes = request_bytes(request);

    if (request->op == DISK_FLUSH) {
        return 0;
    }
    if (request->op == DISK_INVALID || bytes == 0 || offset % PAGE_BYTES != 0 ||
        offset > d->disk.size_bytes || bytes > d->disk.size_bytes - offset) {
        return EINVAL;
    }
    if (has_data(request) &&
        (bytes > REQUEST_BYTES_MAX || (uintptr_t)request->data.at % DISK_BUFFER_ALIGN != 0 ||
         (bytes % PAGE_BYTES != 0 && offset + bytes != d->disk.size_bytes))) {
        return EINVAL;
    }
    if (request->op == DISK_WRITE || request->op == DISK_ZERO) {
        return !d->disk.is_writable ? EROFS : is_whole(d, request) ? 0 : EINVAL;
    }
    return 0;
}

static void log_disk_submit(struct disk *disk, struct disk_request *request)
{
    struct log_disk *d = self(disk);

    request->driver_value = 0;
    request->driver_result = 0;
    request->cached = request->op == DISK_READ;
    request->extent_count = 0;
    request->errnum = d->failed != 0 ? d->failed : check(d, request);
    if (request->errnum != 0 || (request->op == DISK_FLUSH && !disk->is_writable)) {
        list_append(&d->done, request);
        return;
    }
    list_append(&d->queue, request);
    pump(d);
}

static struct disk_request *log_disk_reap(struct disk *disk)
{
    struct log_disk *d = self(disk);

    /* One by one: what a lower reads for its reap is then still warm for the caller. */
    while (d->done.first == NULL && collect(d)) {
        pump(d);
    }
    return list_take(&d->done);
}

/* Have the epoll set watch what a lower waits for. False: the kernel refused. */
static bool watch(struct log_disk *d, struct lower *lower)
{
    int fd = -1;
    short events = 0;

    if (lower->in_flight > 0) {
        disk_poll_on(lower->disk, &fd, &events);
    }
    if (fd == lower->fd && (uint32_t)events == lower->events) {
        return true;
    }
    if (lower->fd >= 0) {
        /* Fails only if the lower has closed it, and then it is no longer watched. */
        (void)epoll_ctl(d->epoll_fd, EPOLL_CTL_DEL, lower->fd, NULL);
        lower->fd = -1;
    }
    struct epoll_event event = {.events = (uint32_t)events}; /* POLLIN is EPOLLIN, and so on */
    if (fd >= 0 && epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        return false;
    }
    lower->fd = fd;
    lower->events = (uint32_t)events;
    return true;
}

static void log_disk_poll_on(struct disk *disk, int *fd, short *events)
{
    struct log_disk *d = self(disk);
    bool is_watched = true;

    for (uint32_t i = 0; i <= d->log_count && d->done.first == NULL; i++) {
        is_watched = watch(d, &d->lowers[i]) && is_watched;
    }
    /* What cannot be watched is asked again and again. */
    *fd = d->done.first != NULL || !is_watched ? d->doorbell_fd : d->epoll_fd;
    *events = POLLIN;
}

/* Of a disk below, how ours follows from it. */
static int mix_identity(const struct log_disk *d, uint8_t identity[DISK_IDENTITY_BYTES],
                        struct error *err)
{
    uint8_t bytes[DISK_IDENTITY_BYTES + LOG_DISK_LOGS_MAX * LOG_ID_BYTES];
    size_t len_bytes = DISK_IDENTITY_BYTES;
    unsigned sum_bytes = 0;

    if (span_is_zero((struct const_span){identity, DISK_IDENTITY_BYTES})) {
        return 0;
    }
    memcpy(bytes, identity, DISK_IDENTITY_BYTES);
    for (uint32_t i = 0; i < d->log_count; i++) {
        memcpy(bytes + len_bytes, log_id(d->logs[i]), LOG_ID_BYTES);
        len_bytes += LOG_ID_BYTES;
    }
    if (EVP_Digest(bytes, len_bytes, identity, &sum_bytes, EVP_sha256(), NULL) != 1 ||
        sum_bytes != DISK_IDENTITY_BYTES) {
        return fail(err, ERR_INTERNAL, 0, "the crypto library computes no SHA-256");
    }
    return 0;
}

static int log_disk_identity(struct disk *disk, bool stamp, uint8_t identity[DISK_IDENTITY_BYTES],
                             struct error *err)
{
    struct log_disk *d = self(disk);
    struct disk *base = d->lowers[d->log_count].disk;

    (void)stamp; /* the base is not ours to mark: nothing is written to it */
    if (base == NULL) {
        memset(identity, 0, DISK_IDENTITY_BYTES);
        return 0;
    }
    return disk_identity(base, false, identity, err) != 0 ? -1 : mix_identity(d, identity, err);
}

static int log_disk_fingerprint(struct disk *disk, uint8_t identity[DISK_IDENTITY_BYTES],
                                struct error *err)
{
    struct log_disk *d = self(disk);
    struct disk *base = d->lowers[d->log_count].disk;

    if (base == NULL) {
        memset(identity, 0, DISK_IDENTITY_BYTES);
        return 0;
    }
    return disk_fingerprint(base, identity, err) != 0 ? -1 : mix_identity(d, identity, err);
}

/* Everything but the disks below. */
static void drop(struct log_disk *d)
{
    if (d->epoll_fd >= 0) {
        (void)close(d->epoll_fd); /* holds nothing, as the next */
    }
    if (d->doorbell_fd >= 0) {
        (void)close(d->doorbell_fd);
    }
    for (uint32_t i = 0; i < LOG_DISK_GROUPS_MAX; i++) {
        free(d->groups[i].index);
    }
    free(d->bounces);
    free(d);
}

static void dropp(struct log_disk **d)
{
    if (*d != NULL) {
        drop(*d);
    }
}

static void log_disk_close(struct disk *disk)
{
    struct log_disk *d = self(disk);

    /* First what is below: until that is closed, it may be writing into our buffers. */
    for (uint32_t i = 0; i < d->log_count; i++) {
        log_free(d->logs[i]);
    }
    disk_close(d->lowers[d->log_count].disk);
    drop(d);
}

static const struct disk_ops log_disk_ops = {
    .name = "log",
    .submit = log_disk_submit,
    .reap = log_disk_reap,
    .poll_on = log_disk_poll_on,
    .identity = log_disk_identity,
    .fingerprint = log_disk_fingerprint,
    .close = log_disk_close,
};

/* --- making one ------------------------------------------------------------------------------ */

static bool make_buffers(struct log_disk *d)
{
    d->bounces = aligned_alloc(DISK_BUFFER_ALIGN, LOG_DISK_BOUNCES_MAX * LEAF_BYTES);
    bool ok = d->bounces != NULL;
    for (uint32_t i = 0; d->disk.is_writable && i < LOG_DISK_GROUPS_MAX; i++) {
        d->groups[i].index = aligned_alloc(DISK_BUFFER_ALIGN, LOG_INDEX_BYTES);
        ok = ok && d->groups[i].index != NULL;
    }
    return ok;
}

static void set_lowers(struct log_disk *d, struct disk *base)
{
    for (uint32_t i = 0; i <= d->log_count; i++) {
        struct disk *lower = i < d->log_count ? log_medium(d->logs[i]) : base;
        d->lowers[i] = (struct lower){.disk = lower, .fd = -1};
    }
}

int log_disk_new(struct disk *base, uint64_t size_bytes, struct log *const *logs, uint32_t count,
                 bool can_write, const char *name, struct disk **out, struct error *err)
{
    CLEANUP(dropp) struct log_disk *d = calloc(1, sizeof *d);

    assert(count <= LOG_DISK_LOGS_MAX && (!can_write || count > 0));
    if (d == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot open %s", name);
    }
    d->disk.ops = &log_disk_ops;
    d->disk.size_bytes = size_bytes;
    d->disk.block_bytes = base != NULL ? base->block_bytes : 512;
    d->disk.is_writable = can_write;
    (void)snprintf(d->disk.name, sizeof d->disk.name, "%s", name);
    d->log_count = count;
    for (uint32_t i = 0; i < count; i++) {
        assert(log_disk_bytes(logs[i]) == size_bytes);
        d->logs[i] = logs[i];
    }
    assert(!can_write || log_medium(logs[0])->is_writable);
    set_lowers(d, base);
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    d->doorbell_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->epoll_fd < 0 || d->doorbell_fd < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot open %s", name);
    }
    if (!make_buffers(d)) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot open %s", name);
    }
    *out = &TAKE(d)->disk;
    return 0;
}
