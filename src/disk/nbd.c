/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that an NBD server on a Unix socket of this host serves, by libnbd.
 *
 * A request is cut into commands of at most NBD_COMMAND_BYTES; at most NBD_COMMANDS_MAX commands
 * are in flight, which is where one connection is fastest, and the requests behind them wait in a
 * queue.
 *
 *   submit -> queue (its head is being cut) -> commands in flight -> done -> reap
 *
 * Invariants:
 * 1. Every submitted request reaches the done list exactly once: when it is not the queue's head
 * and has no command in flight (request->driver_result counts them).
 * 2. A command's verdict is the error of its own completion, and a read also has to have brought
 *    every byte. The completion of a command is no success in itself (CVE-2022-0485).
 * 3. A disk that has failed (the connection ended, or a flush failed) never works again.
 * 4. libnbd holds its lock while it calls our callbacks, so they only take notes.
 *
 * In a request: driver_value = bytes of it that commands were made for, driver_result = its
 * commands in flight, errnum = the first error.
 */
#include "disk/nbd.h"

#include <assert.h>
#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/env.h"
#include "disk/nbd_server.h"
#include "disk/request_list.h"

enum nbd_step {
    STEP_PLAIN = 0, /* the command does the whole of its part */
    STEP_TAIL_READ, /* a zero range ends inside the server's smallest block: fetch that block, */
    STEP_TAIL_WRITE /* ... then put it back with zeros up to the range's end */
};

struct nbd_disk;

/* One command in flight; free when request is NULL. */
struct nbd_command {
    struct nbd_disk *disk;        /* borrowed: the disk that this is part of */
    struct disk_request *request; /* borrowed until the command is finished */
    enum nbd_step step;
    uint64_t offset_bytes;
    uint64_t len_bytes;
    uint64_t seen_bytes; /* of a read: what the server has sent */
    bool is_completed;
    int errnum;     /* of the completion */
    uint8_t *block; /* owned; tail steps: the server's smallest block; NULL when that is one byte */
};

struct nbd_disk {
    struct disk disk;
    struct nbd_server server; /* owned */
    int ready_fd;             /* owned: an eventfd that is always readable */
    int failed;               /* errno; 0 while the disk works (invariant 3) */
    uint8_t *zeros;           /* owned: command_bytes zeros; NULL: the server zeros by itself */
    uint32_t commands_used;
    struct nbd_command commands[NBD_COMMANDS_MAX];
    struct request_list queue;
    struct request_list done;
};

static struct nbd_disk *nbd_of(struct disk *disk)
{
    return (struct nbd_disk *)disk;
}

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

static uint64_t round_down(uint64_t value, uint64_t unit)
{
    return value / unit * unit;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* --- requests -------------------------------------------------------------------------------- */

/* How much of a request there is to cut into commands; a flush counts as one byte. */
static uint64_t request_len(const struct disk_request *request)
{
    return request->op == DISK_FLUSH ? 1 : request_bytes(request);
}

static bool is_read(const struct disk_request *request)
{
    return request->op == DISK_READ || request->op == DISK_READ_MEDIUM;
}

static bool is_change(const struct disk_request *request)
{
    return request->op == DISK_WRITE || request->op == DISK_ZERO;
}

static int request_check(const struct nbd_disk *d, const struct disk_request *request)
{
    uint64_t len_bytes = request_len(request);
    uint64_t end_bytes;

    if (len_bytes == 0) {
        return EINVAL;
    }
    if (request->op == DISK_FLUSH) {
        return 0;
    }
    if (__builtin_add_overflow(request->offset_bytes, len_bytes, &end_bytes) ||
        end_bytes > d->disk.size_bytes || request->offset_bytes % PAGE_BYTES != 0) {
        return EINVAL;
    }
    return is_change(request) && !d->disk.is_writable ? EROFS : 0;
}

/* Move a request to the done list if nothing of it is under way any more (invariant 1). */
static void request_settle(struct nbd_disk *d, struct disk_request *request)
{
    assert(request->driver_result >= 0);
    if (request != d->queue.first && request->driver_result == 0) {
        assert(request->errnum != 0 || request->driver_value == request_len(request));
        request_list_append(&d->done, request);
    }
}

static void request_note_error(struct disk_request *request, int errnum)
{
    if (request->errnum == 0) {
        request->errnum = errnum;
    }
}

/* Invariant 3: from now on everything fails, what waits in the queue first. */
static void disk_fail(struct nbd_disk *d, int errnum)
{
    assert(errnum > 0);
    if (d->failed == 0) {
        d->failed = errnum;
    }
    for (struct disk_request *request; (request = request_list_take(&d->queue)) != NULL;) {
        request_note_error(request, d->failed);
        request_settle(d, request);
    }
}

/* --- extents --------------------------------------------------------------------------------- */

/* Returns false when there is no more room. */
static bool extents_append(struct disk_request *request, uint64_t start, uint64_t end, bool zero)
{
    if (start == end) {
        return true;
    }
    assert(start < end);
    if (request->extent_count > 0) {
        struct extent *last = &request->extents[request->extent_count - 1];
        assert(last->offset_bytes + last->len_bytes == start);
        if (last->zero == zero) {
            last->len_bytes += end - start;
            return true;
        }
    }
    if (request->extent_count == EXTENTS_MAX) {
        return false;
    }
    request->extents[request->extent_count++] = (struct extent){start, end - start, zero};
    return true;
}

static void extents_all_unknown(struct disk_request *request)
{
    request->extents[0] = (struct extent){request->offset_bytes, request->len_bytes, false};
    request->extent_count = 1;
}

/*
 * Zero ranges shrink inwards to whole pages, because the caller goes on from where the last extent
 * ends and its offsets are multiples of a page; what is cut off becomes "not zero", which is always
 * true enough.
 */
static void extents_fill(struct nbd_command *c, const uint32_t *entries, size_t count)
{
    struct disk_request *request = c->request;
    uint64_t limit =
        min_u64(c->offset_bytes + c->len_bytes, request->offset_bytes + request->len_bytes);
    uint64_t at = c->offset_bytes;
    uint64_t told = at; /* extents reach up to here */

    request->extent_count = 0;
    for (size_t i = 0; i + 1 < count && at < limit && entries[i] != 0; i += 2) {
        uint64_t end = min_u64(at + entries[i], limit);
        uint64_t zero_start = round_up(at, PAGE_BYTES);
        uint64_t zero_end = end == limit ? end : round_down(end, PAGE_BYTES);
        at = end;
        if ((entries[i + 1] & LIBNBD_STATE_ZERO) == 0 || zero_start >= zero_end) {
            continue;
        }
        if (!extents_append(request, told, zero_start, false) ||
            !extents_append(request, zero_start, zero_end, true)) {
            return;
        }
        told = zero_end;
    }
    uint64_t end = at == limit ? at : round_down(at, PAGE_BYTES);
    if (end > told) {
        (void)extents_append(request, told, end, false); /* no room: the caller asks for it again */
    }
}

static int on_extents(void *user_data, const char *context, uint64_t offset_bytes,
                      uint32_t *entries, size_t count, int *error)
{
    struct nbd_command *c = user_data;

    (void)error;
    if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0 && offset_bytes == c->offset_bytes) {
        extents_fill(c, entries, count);
    }
    return 0;
}

/* A server that cannot tell (it does not know how, or not for this range) has told nothing. */
static int extents_verdict(struct disk_request *request, int errnum)
{
    if (errnum == EOPNOTSUPP || errnum == EINVAL) {
        request->extent_count = 0;
        errnum = 0;
    }
    if (errnum == 0 && request->extent_count == 0) {
        extents_all_unknown(request);
    }
    return errnum;
}

/* --- commands -------------------------------------------------------------------------------- */

static int on_chunk(void *user_data, const void *bytes, size_t count, uint64_t offset_bytes,
                    unsigned status, int *error)
{
    struct nbd_command *c = user_data;

    (void)bytes;
    (void)offset_bytes; /* libnbd has checked that it is inside the command */
    (void)error;
    if (status == LIBNBD_READ_DATA || status == LIBNBD_READ_HOLE) {
        c->seen_bytes += count;
    }
    return 0;
}

static int on_completion(void *user_data, int *error)
{
    struct nbd_command *c = user_data;

    if (!c->is_completed) {
        c->errnum = *error;
        c->is_completed = true;
    }
    return 1; /* libnbd may forget the command */
}

static int64_t command_read(struct nbd_command *c, uint8_t *to)
{
    nbd_chunk_callback chunk = {.callback = on_chunk, .user_data = c};
    nbd_completion_callback completion = {.callback = on_completion, .user_data = c};

    /*
     * Structured even though the bytes go to one place: this way the chunks are seen. libnbd 1.14
     * looks for a read reply without data only when it retires a command itself, not for us.
     */
    return nbd_aio_pread_structured(c->disk->server.handle, to, c->len_bytes, c->offset_bytes,
                                    chunk, completion, 0);
}

static int64_t command_write(struct nbd_command *c, const uint8_t *from)
{
    nbd_completion_callback completion = {.callback = on_completion, .user_data = c};

    return nbd_aio_pwrite(c->disk->server.handle, from, c->len_bytes, c->offset_bytes, completion,
                          0);
}

static int64_t command_zero(struct nbd_command *c)
{
    nbd_completion_callback completion = {.callback = on_completion, .user_data = c};

    if (c->step == STEP_TAIL_READ) {
        return command_read(c, c->block);
    }
    if (c->step == STEP_TAIL_WRITE) {
        return command_write(c, c->block);
    }
    if (!c->disk->server.has_zero) {
        return command_write(c, c->disk->zeros);
    }
    return nbd_aio_zero(c->disk->server.handle, c->len_bytes, c->offset_bytes, completion, 0);
}

static int64_t command_call(struct nbd_command *c)
{
    struct disk_request *request = c->request;
    uint8_t *data = request->data.at;
    nbd_completion_callback completion = {.callback = on_completion, .user_data = c};
    nbd_extent_callback extent = {.callback = on_extents, .user_data = c};

    switch (request->op) {
    case DISK_READ:
    case DISK_READ_MEDIUM:
        return command_read(c, data + (c->offset_bytes - request->offset_bytes));
    case DISK_WRITE:
        return command_write(c, data + (c->offset_bytes - request->offset_bytes));
    case DISK_ZERO:
        return command_zero(c);
    case DISK_FLUSH:
        return nbd_aio_flush(c->disk->server.handle, completion, 0);
    case DISK_EXTENTS:
        return nbd_aio_block_status(c->disk->server.handle, c->len_bytes, c->offset_bytes, extent,
                                    completion, 0);
    case DISK_INVALID:
        break;
    }
    assert(false); /* request_check let it pass */
    return -1;
}

static void command_issue(struct nbd_command *c)
{
    assert(c->request != NULL);
    c->is_completed = false;
    c->errnum = 0;
    c->seen_bytes = 0;
    if (command_call(c) < 0 && !c->is_completed) {
        int errnum = nbd_get_errno();
        c->errnum = errnum > 0 ? errnum : EIO;
        c->is_completed = true;
    }
}

/* The next part of a request as a command; returns how many of the request's bytes it stands for.
 */
static uint64_t command_cut(struct nbd_command *c)
{
    const struct disk_request *request = c->request;
    const struct nbd_disk *d = c->disk;
    uint64_t end = request->offset_bytes + request_len(request);

    c->step = STEP_PLAIN;
    c->offset_bytes = request->offset_bytes + request->driver_value;
    c->len_bytes = end - c->offset_bytes;
    if (request->op == DISK_EXTENTS) {
        /* One question; a short answer is allowed. The disk's size is a multiple of min_bytes. */
        c->len_bytes = round_up(min_u64(c->len_bytes, NBD_STATUS_BYTES), d->server.min_bytes);
        return end - c->offset_bytes;
    }
    if (request->op == DISK_ZERO && c->len_bytes < d->server.min_bytes) {
        uint64_t part = c->len_bytes;
        c->step = STEP_TAIL_READ;
        c->len_bytes = d->server.min_bytes;
        return part;
    }
    if (request->op == DISK_ZERO) {
        uint64_t max = d->server.has_zero ? NBD_ZERO_BYTES : d->server.command_bytes;
        c->len_bytes = round_down(min_u64(c->len_bytes, max), d->server.min_bytes);
    } else if (request->op != DISK_FLUSH) {
        c->len_bytes = min_u64(c->len_bytes, d->server.command_bytes);
    }
    return c->len_bytes;
}

static struct nbd_command *command_free_one(struct nbd_disk *d)
{
    for (uint32_t i = 0; i < NBD_COMMANDS_MAX; i++) {
        if (d->commands[i].request == NULL) {
            return &d->commands[i];
        }
    }
    return NULL;
}

/* Turn what waits into commands, as far as there is room. */
static void queue_pump(struct nbd_disk *d)
{
    while (d->failed == 0 && d->queue.first != NULL) {
        struct disk_request *request = d->queue.first;
        if (request->errnum != 0 || request->driver_value == request_len(request)) {
            (void)request_list_take(&d->queue);
            request_settle(d, request);
            continue;
        }
        struct nbd_command *c = command_free_one(d);
        if (c == NULL) {
            return;
        }
        c->request = request;
        request->driver_value += command_cut(c);
        assert(request->driver_value <= request_len(request));
        request->driver_result++;
        d->commands_used++;
        command_issue(c);
    }
}

static int command_verdict(const struct nbd_command *c)
{
    bool has_read = is_read(c->request) || c->step == STEP_TAIL_READ;

    if (c->errnum != 0) {
        return c->errnum;
    }
    return has_read && c->seen_bytes != c->len_bytes ? EIO : 0; /* invariant 2 */
}

/* The tail block is here: clear its beginning and write it back. Nobody else may touch that page
 * meanwhile, because requests start at whole pages and do not overlap. */
static void command_write_tail(struct nbd_command *c)
{
    uint64_t end = c->request->offset_bytes + c->request->len_bytes;

    assert(end > c->offset_bytes && end - c->offset_bytes < c->len_bytes);
    memset(c->block, 0, end - c->offset_bytes);
    c->step = STEP_TAIL_WRITE;
    command_issue(c);
}

static void command_finish(struct nbd_disk *d, struct nbd_command *c)
{
    struct disk_request *request = c->request;
    int errnum = command_verdict(c);

    assert(c->is_completed && d->commands_used > 0 && request->driver_result > 0);
    if (errnum == 0 && d->failed == 0 && c->step == STEP_TAIL_READ) {
        command_write_tail(c);
        return;
    }
    if (request->op == DISK_EXTENTS) {
        errnum = extents_verdict(request, errnum);
    }
    c->request = NULL;
    d->commands_used--;
    request->driver_result--;
    if (errnum != 0 && request->op == DISK_FLUSH) {
        disk_fail(d, errnum);
    }
    if (errnum == 0) {
        errnum = d->failed;
    }
    request_note_error(request, errnum);
    request_settle(d, request);
}

static void commands_collect(struct nbd_disk *d)
{
    for (uint32_t i = 0; i < NBD_COMMANDS_MAX; i++) {
        struct nbd_command *c = &d->commands[i];
        if (c->request != NULL && c->is_completed) {
            command_finish(d, c);
        }
    }
}

/* --- the connection -------------------------------------------------------------------------- */

/*
 * A handle whose connection has ended touches no buffer any more. libnbd has completed its commands
 * with an error then; should it ever forget one, it is failed here all the same (invariant 1).
 */
static void connection_check(struct nbd_disk *d)
{
    if (!nbd_server_is_ended(&d->server)) {
        return;
    }
    disk_fail(d, ENOTCONN);
    for (uint32_t i = 0; i < NBD_COMMANDS_MAX; i++) {
        struct nbd_command *c = &d->commands[i];
        if (c->request != NULL && !c->is_completed) {
            c->errnum = ENOTCONN;
            c->is_completed = true;
        }
    }
}

/* --- the operations -------------------------------------------------------------------------- */

static void nbd_disk_submit(struct disk *disk, struct disk_request *request)
{
    struct nbd_disk *d = nbd_of(disk);

    request->driver_value = 0;
    request->driver_result = 0;
    request->cached = false;
    request->extent_count = 0;
    request->errnum = request_check(d, request);
    if (request->errnum == 0) {
        request->errnum = d->failed;
    }
    bool is_trivial = (request->op == DISK_FLUSH && !disk->is_writable) ||
                      (request->op == DISK_EXTENTS && !d->server.has_status);
    if (request->errnum != 0 || is_trivial) {
        if (request->errnum == 0 && request->op == DISK_EXTENTS) {
            extents_all_unknown(request);
        }
        request_list_append(&d->done, request);
        return;
    }
    request_list_append(&d->queue, request);
    queue_pump(d);
}

static void work_once(struct nbd_disk *d)
{
    queue_pump(d);
    connection_check(d);
    commands_collect(d);
}

static struct disk_request *nbd_disk_reap(struct disk *disk)
{
    struct nbd_disk *d = nbd_of(disk);

    if (d->done.first == NULL) {
        work_once(d);
    }
    while (d->done.first == NULL && d->commands_used > 0 && nbd_server_drive(&d->server, 0)) {
        work_once(d);
    }
    /* Room that the finished commands have left is used at once: the server must not wait for us.
     */
    queue_pump(d);
    return request_list_take(&d->done);
}

static void nbd_disk_poll_on(struct disk *disk, int *fd, short *events)
{
    struct nbd_disk *d = nbd_of(disk);

    work_once(d);
    if (d->done.first != NULL) {
        *fd = d->ready_fd;
        *events = POLLIN;
    } else if (d->failed != 0 && d->commands_used == 0) {
        *fd = -1; /* nothing will ever come: poll(2) passes over a negative descriptor */
        *events = 0;
    } else {
        *fd = nbd_aio_get_fd(d->server.handle);
        *events = nbd_server_events(&d->server);
    }
}

static int nbd_disk_identity(struct disk *disk, bool stamp, uint8_t identity[DISK_IDENTITY_BYTES],
                             struct error *err)
{
    (void)disk;
    (void)stamp;
    (void)err;
    memset(identity, 0, DISK_IDENTITY_BYTES); /* NBD has no evidence of who wrote what */
    return 0;
}

/*
 * Wait for the commands in flight: a write that the server carries out after we said that the disk
 * is closed would be a write behind its next user's back.
 */
static void commands_drain(struct nbd_disk *d)
{
    uint64_t deadline_ns = env_now_ns(env_system()) + HELPER_END_S * NS_PER_S;

    while (d->commands_used > 0) {
        uint64_t now_ns = env_now_ns(env_system());
        if (now_ns >= deadline_ns) {
            return;
        }
        (void)nbd_server_drive(&d->server, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
        connection_check(d);
        commands_collect(d);
    }
}

static void nbd_disk_free(struct nbd_disk *d)
{
    if (d == NULL) {
        return;
    }
    nbd_server_done(&d->server);
    if (d->ready_fd >= 0) {
        (void)close(d->ready_fd); /* nothing was written through it */
    }
    for (uint32_t i = 0; i < NBD_COMMANDS_MAX; i++) {
        free(d->commands[i].block);
    }
    free(d->zeros);
    free(d);
}

static void nbd_disk_freep(struct nbd_disk **d)
{
    nbd_disk_free(*d);
    *d = NULL;
}

static void nbd_disk_close(struct disk *disk)
{
    struct nbd_disk *d = nbd_of(disk);

    connection_check(d);
    commands_collect(d);
    disk_fail(d, ECANCELED);
    commands_drain(d);
    nbd_disk_free(d);
}

static const struct disk_ops nbd_ops = {
    .name = "nbd",
    .submit = nbd_disk_submit,
    .reap = nbd_disk_reap,
    .poll_on = nbd_disk_poll_on,
    .identity = nbd_disk_identity,
    .close = nbd_disk_close,
};

/* --- opening --------------------------------------------------------------------------------- */

static int buffers_make(struct nbd_disk *d, struct error *err)
{
    bool ok = true;

    if (d->disk.is_writable && !d->server.has_zero) {
        d->zeros = calloc(1, d->server.command_bytes);
        ok = d->zeros != NULL;
    }
    for (uint32_t i = 0; i < NBD_COMMANDS_MAX; i++) {
        d->commands[i].disk = d;
        if (d->disk.is_writable && d->server.min_bytes > 1) {
            d->commands[i].block = calloc(1, d->server.min_bytes);
            ok = ok && d->commands[i].block != NULL;
        }
    }
    d->ready_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!ok || d->ready_fd < 0) {
        return fail(err, ERR_LIMIT, ok ? errno : ENOMEM, "cannot open %s", d->disk.name);
    }
    return 0;
}

static int nbd_disk_new(const char *name, struct nbd_disk **out, struct error *err)
{
    struct nbd_disk *d = calloc(1, sizeof *d);

    if (d == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot open %s", name);
    }
    d->disk.ops = &nbd_ops;
    d->disk.block_bytes = 1;
    (void)snprintf(d->disk.name, sizeof d->disk.name, "%s", name);
    d->ready_fd = -1;
    *out = d;
    return 0;
}

static int nbd_disk_open(const struct nbd_address *address, const char *name, bool write,
                         struct disk **out, struct error *err)
{
    CLEANUP(nbd_disk_freep) struct nbd_disk *d = NULL;

    if (nbd_disk_new(name, &d, err) != 0 ||
        nbd_server_connect(address, name, write, &d->server, err) != 0) {
        return -1;
    }
    d->disk.size_bytes = d->server.size_bytes;
    d->disk.is_writable = write;
    if (buffers_make(d, err) != 0) {
        return -1;
    }
    *out = &TAKE(d)->disk;
    return 0;
}

int disk_open_nbd(const char *uri, const char *name, bool write, struct disk **out,
                  struct error *err)
{
    struct nbd_address address = {.uri = uri};

    return nbd_disk_open(&address, name, write, out, err);
}

int disk_open_nbd_socket(const char *socket_path, const char *export_name, const char *name,
                         bool write, struct disk **out, struct error *err)
{
    struct nbd_address address = {.socket_path = socket_path, .export_name = export_name};

    return nbd_disk_open(&address, name, write, out, err);
}
