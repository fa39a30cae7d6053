/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A request is carried out by parts, which are requests to the disks below: the logs' media and the
 * base ("lowers"). Parts come from a pool; who finds none waits in the queue.
 *
 *   submit -> queue (its head is being cut) -> parts below -> done -> reap
 *                     |                                        ^
 *                     +-- flush: until its groups are written -+
 *
 * A group of the first log, from the first entry to its index:
 *
 *   FREE -> OPEN -> ENDED (until its data is written) -> INDEXING -> FREE
 *
 * Invariants:
 * 1. Every submitted request reaches the done list exactly once: when it is in no list and has no
 * part below (driver_result counts them).
 * 2. A group's index is submitted when all its data writes have come back good; a flush of the
 * medium for a FLUSH, when all groups that were ended by then are written, indexes included.
 * 3. A disk that has failed never works again: what reached the medium is unknown, and another
 * flush would claim success for pages that the kernel has given up (as in disk/file.c).
 * 4. Bytes from a log are given only if log_check says that they are what was appended.
 *
 * In a request: driver_value = bytes of it that are dealt with; for a FLUSH the groups it covers;
 * driver_result = its parts below; errnum = the first error.
 */
#include "points/log_disk.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "points/log_pages.h"

#define REQUEST_BYTES_MAX (1 * MIB)
#define LOWERS_MAX (LOG_DISK_LOGS_MAX + 1U)

struct list {
    struct disk_request *first; /* borrowed from the caller until it is reaped */
    struct disk_request *last;
};

enum part_kind {
    PART_FREE = 0,
    PART_READ,    /* straight into the caller's buffer */
    PART_BOUNCED, /* into a buffer of ours, for a part of a leaf or for padding behind it */
    PART_WRITE,
    PART_INDEX, /* of a group: no caller */
    PART_FLUSH,
    PART_EXTENTS
};

struct group;

struct part {
    struct disk_request request; /* first: a lower gives it back */
    enum part_kind kind;
    uint32_t lower;
    struct disk_request *parent; /* borrowed until the part is finished; NULL: an index */
    uint64_t first_leaf;         /* READ, BOUNCED */
    struct group *group;         /* WRITE, INDEX */
    uint8_t *bounce;             /* borrowed from the pool; NULL: none */
    uint64_t leaf_bytes;         /* BOUNCED: of what was read, without padding, */
    uint64_t skip_bytes;         /* what is not wanted before */
    struct span to;              /* and where the rest is wanted */
};

enum group_state { GROUP_FREE = 0, GROUP_OPEN, GROUP_ENDED, GROUP_INDEXING };

struct group {
    enum group_state state;
    uint64_t sequence;
    uint32_t writes;       /* of its data, below */
    uint64_t offset_bytes; /* of its index, once it is ended */
    uint8_t *index;        /* owned */
    struct part part;      /* for the index, so that it never waits for one */
};

/* A disk below: a log's medium, or the base. */
struct lower {
    struct disk *disk; /* borrowed from the log; the base: owned; NULL: there is no base */
    uint32_t in_flight;
    int fd; /* in the epoll set; -1: none */
    uint32_t events;
};

struct log_disk {
    struct disk disk;                    /* first: a struct disk * is one to this */
    struct log *logs[LOG_DISK_LOGS_MAX]; /* owned; the first wins */
    uint32_t log_count;
    struct lower lowers[LOWERS_MAX]; /* of the logs, in their order; then the base */
    uint32_t next_lower;             /* where collecting begins, so that none is starved */
    int failed;                      /* errno; 0 while the disk works (invariant 3) */
    int epoll_fd;                    /* owned */
    int doorbell_fd;                 /* owned; always readable: polled when there is no waiting */
    struct list queue;
    struct list flushes; /* waiting for their groups */
    struct list done;
    struct part parts[LOG_DISK_PARTS_MAX];
    uint8_t *bounces; /* owned: LOG_DISK_BOUNCES_MAX leaves */
    bool is_bounce_used[LOG_DISK_BOUNCES_MAX];
    struct group groups[LOG_DISK_GROUPS_MAX];
    struct group *open; /* or NULL */
    struct extent answer[EXTENTS_MAX];
};

static struct log_disk *self(struct disk *disk)
{
    return (struct log_disk *)disk;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* --- requests -------------------------------------------------------------------------------- */

static void list_append(struct list *list, struct disk_request *request)
{
    request->next = NULL;
    if (list->first == NULL) {
        list->first = request;
    } else {
        list->last->next = request;
    }
    list->last = request;
}

static struct disk_request *list_take(struct list *list)
{
    struct disk_request *request = list->first;

    if (request != NULL) {
        list->first = request->next;
        request->next = NULL;
    }
    return request;
}

static bool has_data(const struct disk_request *request)
{
    return request->op == DISK_READ || request->op == DISK_READ_MEDIUM || request->op == DISK_WRITE;
}

static uint64_t request_bytes(const struct disk_request *request)
{
    return has_data(request) ? request->data.len_bytes : request->len_bytes;
}

static uint64_t request_end(const struct disk_request *request)
{
    return request->offset_bytes + request_bytes(request);
}

static void note_error(struct disk_request *request, int errnum)
{
    if (request->errnum == 0) {
        request->errnum = errnum;
    }
}

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

/* Invariant 3. What is below comes back by itself. */
static void disk_fail(struct log_disk *d, int errnum)
{
    if (d->failed == 0) {
        d->failed = errnum != 0 ? errnum : EIO;
    }
    fail_list(d, &d->queue);
    fail_list(d, &d->flushes);
}

/* --- parts ----------------------------------------------------------------------------------- */

static struct part *part_find_free(struct log_disk *d)
{
    for (uint32_t i = 0; i < LOG_DISK_PARTS_MAX; i++) {
        if (d->parts[i].kind == PART_FREE) {
            return &d->parts[i];
        }
    }
    return NULL;
}

static uint8_t *bounce_take(struct log_disk *d)
{
    for (uint32_t i = 0; i < LOG_DISK_BOUNCES_MAX; i++) {
        if (!d->is_bounce_used[i]) {
            d->is_bounce_used[i] = true;
            return d->bounces + i * LEAF_BYTES;
        }
    }
    return NULL;
}

static void bounce_release(struct log_disk *d, const uint8_t *bounce)
{
    if (bounce != NULL) {
        size_t index = (size_t)(bounce - d->bounces) / LEAF_BYTES;
        assert(index < LOG_DISK_BOUNCES_MAX && d->is_bounce_used[index]);
        d->is_bounce_used[index] = false;
    }
}

/* Hand a part whose fields are set to its lower. */
static void part_submit(struct log_disk *d, struct part *part)
{
    struct lower *lower = &d->lowers[part->lower];

    assert(part->kind != PART_FREE && lower->disk != NULL);
    lower->in_flight++;
    if (part->parent != NULL) {
        part->parent->driver_result++;
    }
    disk_submit(lower->disk, &part->request);
}

/* --- reading --------------------------------------------------------------------------------- */

/* What is known of a piece of one leaf. */
struct piece {
    uint32_t lower;
    bool is_zero;
    bool is_bounced;
    uint64_t len_bytes;    /* of what is wanted */
    uint64_t offset_bytes; /* below: of what is wanted; bounced: of what is read */
    uint64_t leaf_bytes;   /* bounced: how much is read, without padding */
    uint64_t skip_bytes;   /* bounced: of that, before what is wanted */
};

/* The first log that holds a leaf; log_count: none. */
static int find_log(struct log_disk *d, uint64_t leaf, uint32_t *out, struct log_place *place)
{
    uint32_t i = 0;
    struct error err = {.kind = ERR_NONE};

    *place = (struct log_place){.where = LOG_NOWHERE};
    for (; i < d->log_count; i++) {
        if (log_find(d->logs[i], leaf, place, &err) != 0) {
            return err.errnum != 0 ? err.errnum : EIO;
        }
        if (place->where != LOG_NOWHERE) {
            break;
        }
    }
    *out = i;
    return 0;
}

static void piece_of_log(struct piece *piece, const struct log_place *place, uint64_t skip_bytes)
{
    piece->is_zero = place->where == LOG_ZEROS;
    if (piece->is_zero) {
        return;
    }
    piece->offset_bytes = place->offset_bytes;
    /* The whole leaf is read whatever is wanted of it, since its check is over the whole. */
    piece->is_bounced = piece->len_bytes != place->len_bytes || place->len_bytes % PAGE_BYTES != 0;
    piece->leaf_bytes = place->len_bytes;
    piece->skip_bytes = skip_bytes;
}

static int piece_of_base(const struct log_disk *d, struct piece *piece, uint64_t at)
{
    const struct disk *base = d->lowers[d->log_count].disk;

    if (base == NULL) {
        return ENODATA;
    }
    piece->is_zero = at >= base->size_bytes;
    if (piece->is_zero) {
        return 0;
    }
    piece->offset_bytes = at;
    piece->len_bytes = min_u64(piece->len_bytes, base->size_bytes - at);
    /* This disk ends inside a page of a larger base. */
    piece->is_bounced =
        piece->len_bytes % PAGE_BYTES != 0 && at + piece->len_bytes != base->size_bytes;
    piece->leaf_bytes = piece->len_bytes;
    return 0;
}

/* What there is of [at, end), up to the end of at's leaf. */
static int piece_at(struct log_disk *d, uint64_t at, uint64_t end, struct piece *out)
{
    uint64_t leaf = at / LEAF_BYTES;
    struct log_place place;

    assert(at < end);
    *out = (struct piece){.len_bytes = min_u64(end, (leaf + 1) * LEAF_BYTES) - at};
    int errnum = find_log(d, leaf, &out->lower, &place);
    if (errnum != 0) {
        return errnum;
    }
    if (place.where == LOG_NOWHERE) {
        return piece_of_base(d, out, at);
    }
    piece_of_log(out, &place, at % LEAF_BYTES);
    return 0;
}

/* Let a piece that is read straight grow over what follows it on the same lower. */
static void piece_extend(struct log_disk *d, struct piece *piece, uint64_t at, uint64_t end)
{
    struct piece next;

    while (at + piece->len_bytes < end) {
        if (piece_at(d, at + piece->len_bytes, end, &next) != 0 || next.is_zero ||
            next.is_bounced || next.lower != piece->lower ||
            next.offset_bytes != piece->offset_bytes + piece->len_bytes) {
            return;
        }
        piece->len_bytes += next.len_bytes;
    }
}

/* The next part of the queue's head. False: it has to wait. */
static bool cut_read(struct log_disk *d, struct disk_request *request)
{
    uint64_t at = request->offset_bytes + request->driver_value;
    uint8_t *to = request->data.at + request->driver_value;
    struct piece piece;

    int errnum = piece_at(d, at, request_end(request), &piece);
    if (errnum != 0) {
        note_error(request, errnum);
        return true;
    }
    if (piece.is_zero) {
        memset(to, 0, piece.len_bytes);
        request->driver_value += piece.len_bytes;
        return true;
    }
    struct part *part = part_find_free(d);
    uint8_t *bounce = part != NULL && piece.is_bounced ? bounce_take(d) : NULL;
    if (part == NULL || (piece.is_bounced && bounce == NULL)) {
        return false;
    }
    if (!piece.is_bounced) {
        piece_extend(d, &piece, at, request_end(request));
    }
    *part = (struct part){
        .request = {.op = request->op,
                    .offset_bytes = piece.offset_bytes,
                    .data = piece.is_bounced
                                ? (struct span){bounce, log_stored_bytes(piece.leaf_bytes)}
                                : (struct span){to, piece.len_bytes}},
        .kind = piece.is_bounced ? PART_BOUNCED : PART_READ,
        .lower = piece.lower,
        .parent = request,
        .first_leaf = at / LEAF_BYTES,
        .bounce = bounce,
        .leaf_bytes = piece.leaf_bytes,
        .skip_bytes = piece.skip_bytes,
        .to = {to, piece.len_bytes}};
    uint64_t room_bytes = d->lowers[piece.lower].disk->size_bytes - piece.offset_bytes;
    part->request.data.len_bytes = min_u64(part->request.data.len_bytes, room_bytes);
    request->driver_value += piece.len_bytes;
    part_submit(d, part);
    return true;
}

/* Invariant 4. */
static bool is_read_right(struct log_disk *d, const struct part *part)
{
    struct const_span left = {part->request.data.at, part->kind == PART_BOUNCED
                                                         ? part->leaf_bytes
                                                         : part->request.data.len_bytes};

    if (part->lower == d->log_count) {
        return true;
    }
    for (uint64_t leaf = part->first_leaf; left.len_bytes > 0; leaf++) {
        struct const_span bytes = {left.at, min_u64(left.len_bytes, LEAF_BYTES)};
        if (!log_check(d->logs[part->lower], leaf, bytes)) {
            return false;
        }
        left.at += bytes.len_bytes;
        left.len_bytes -= bytes.len_bytes;
    }
    return true;
}

static void finish_read(struct log_disk *d, struct part *part)
{
    struct disk_request *parent = part->parent;
    int errnum = part->request.errnum;

    if (errnum == 0 && !is_read_right(d, part)) {
        errnum = EIO;
    }
    if (errnum == 0 && part->kind == PART_BOUNCED) {
        memcpy(part->to.at, part->bounce + part->skip_bytes, part->to.len_bytes);
    }
    note_error(parent, errnum);
    parent->cached = parent->cached && part->request.cached;
}

/* --- groups ---------------------------------------------------------------------------------- */

/* The group that takes the next entry; NULL: all are waiting to be written. */
static struct group *group_open(struct log_disk *d)
{
    for (uint32_t i = 0; i < LOG_DISK_GROUPS_MAX && d->open == NULL; i++) {
        struct group *group = &d->groups[i];
        if (group->state == GROUP_FREE) {
            assert(group->writes == 0 && log_group_is_empty(d->logs[0]));
            group->state = GROUP_OPEN;
            group->sequence = log_groups(d->logs[0]) + 1;
            d->open = group;
        }
    }
    return d->open;
}

static void group_end(struct log_disk *d)
{
    struct group *group = d->open;

    if (group == NULL || log_group_is_empty(d->logs[0])) {
        return;
    }
    log_end_group(d->logs[0], group->index, &group->offset_bytes);
    assert(group->sequence == log_groups(d->logs[0]));
    group->state = GROUP_ENDED;
    d->open = NULL;
}

/* Write the indexes whose time has come. */
static void groups_pump(struct log_disk *d)
{
    for (uint32_t i = 0; i < LOG_DISK_GROUPS_MAX && d->failed == 0; i++) {
        struct group *group = &d->groups[i];
        if (group->state != GROUP_ENDED || group->writes > 0) {
            continue;
        }
        group->state = GROUP_INDEXING;
        group->part = (struct part){.request = {.op = DISK_WRITE,
                                                .offset_bytes = group->offset_bytes,
                                                .data = {group->index, LOG_INDEX_BYTES}},
                                    .kind = PART_INDEX,
                                    .group = group};
        part_submit(d, &group->part);
    }
}

/* Whether all groups up to this one are on the medium, as far as the medium has said. */
static bool are_groups_written(const struct log_disk *d, uint64_t groups)
{
    for (uint32_t i = 0; i < LOG_DISK_GROUPS_MAX; i++) {
        const struct group *group = &d->groups[i];
        if (group->state != GROUP_FREE && group->sequence <= groups) {
            return false;
        }
    }
    return true;
}

static void flushes_pump(struct log_disk *d)
{
    while (d->failed == 0 && d->flushes.first != NULL) {
        struct disk_request *request = d->flushes.first;
        struct part *part = part_find_free(d);
        if (part == NULL || !are_groups_written(d, request->driver_value)) {
            return;
        }
        (void)list_take(&d->flushes);
        *part = (struct part){.request = {.op = DISK_FLUSH}, .kind = PART_FLUSH, .parent = request};
        part_submit(d, part);
    }
}

/* --- writing --------------------------------------------------------------------------------- */

static int errnum_of(const struct error *err)
{
    return err->errnum != 0 ? err->errnum : EIO;
}

/* The next whole leaf of a write, as it is to be on the medium. */
static struct const_span next_leaf(const struct disk_request *request)
{
    uint64_t left_bytes = request->data.len_bytes - request->driver_value;

    return (struct const_span){request->data.at + request->driver_value,
                               min_u64(left_bytes, LEAF_BYTES)};
}

/* Append the next leaves, as many as one group takes and as need no padding (or one that does).
 * Gives where they belong and how many bytes they are; 0: nothing, the disk has failed. */
static uint64_t append_leaves(struct log_disk *d, struct disk_request *request,
                              uint64_t *out_offset_bytes)
{
    struct error err = {.kind = ERR_NONE};
    uint64_t offset_bytes = 0;
    uint64_t total_bytes = 0;

    while (request->driver_value < request->data.len_bytes && !log_group_is_full(d->logs[0])) {
        struct const_span bytes = next_leaf(request);
        uint64_t leaf = (request->offset_bytes + request->driver_value) / LEAF_BYTES;
        if (bytes.len_bytes % PAGE_BYTES != 0 && total_bytes > 0) {
            break;
        }
        if (log_append(d->logs[0], leaf, bytes, &offset_bytes, &err) != 0) {
            disk_fail(d, errnum_of(&err));
            return 0;
        }
        *out_offset_bytes = total_bytes == 0 ? offset_bytes : *out_offset_bytes;
        assert(offset_bytes == *out_offset_bytes + total_bytes);
        total_bytes += bytes.len_bytes;
        request->driver_value += bytes.len_bytes;
    }
    return total_bytes;
}

static bool cut_write(struct log_disk *d, struct disk_request *request)
{
    uint8_t *from = request->data.at + request->driver_value;
    bool is_padded = next_leaf(request).len_bytes % PAGE_BYTES != 0;
    struct part *part = part_find_free(d);
    struct group *group = part != NULL ? group_open(d) : NULL;
    uint8_t *bounce = group != NULL && is_padded ? bounce_take(d) : NULL;
    uint64_t offset_bytes = 0;

    if (group == NULL || (is_padded && bounce == NULL)) {
        return false;
    }
    uint64_t len_bytes = append_leaves(d, request, &offset_bytes);
    if (len_bytes == 0) {
        bounce_release(d, bounce);
        return true;
    }
    if (is_padded) {
        memcpy(bounce, from, len_bytes);
        memset(bounce + len_bytes, 0, log_stored_bytes(len_bytes) - len_bytes);
        from = bounce;
    }
    group->writes++;
    *part = (struct part){.request = {.op = DISK_WRITE,
                                      .offset_bytes = offset_bytes,
                                      .data = {from, log_stored_bytes(len_bytes)}},
                          .kind = PART_WRITE,
                          .parent = request,
                          .group = group,
                          .bounce = bounce};
    part_submit(d, part);
    if (log_group_is_full(d->logs[0])) {
        group_end(d);
    }
    return true;
}

static bool cut_zero(struct log_disk *d, struct disk_request *request)
{
    uint64_t first = (request->offset_bytes + request->driver_value) / LEAF_BYTES;
    uint64_t count = log_leaf_count(request_end(request)) - first;
    struct error err = {.kind = ERR_NONE};

    if (group_open(d) == NULL) {
        return false;
    }
    count = min_u64(count, UINT32_MAX);
    if (log_append_zeros(d->logs[0], first, (uint32_t)count, &err) != 0) {
        disk_fail(d, errnum_of(&err));
        return true;
    }
    request->driver_value =
        min_u64((first + count) * LEAF_BYTES, request_end(request)) - request->offset_bytes;
    if (log_group_is_full(d->logs[0])) {
        group_end(d);
    }
    return true;
}

/* --- extents --------------------------------------------------------------------------------- */

/* An answer being put together. */
struct telling {
    struct disk_request *request;
    uint64_t at;      /* told up to here */
    uint32_t lookups; /* of staged leaves, so far */
    int errnum;
};

/* False when there is no more room. */
static bool tell(struct telling *t, uint64_t end, bool zero)
{
    struct disk_request *request = t->request;

    if (end <= t->at) {
        return true;
    }
    struct extent *last =
        request->extent_count > 0 ? &request->extents[request->extent_count - 1] : NULL;
    if (last != NULL && last->zero == zero) {
        last->len_bytes += end - t->at;
    } else if (request->extent_count == EXTENTS_MAX) {
        return false;
    } else {
        request->extents[request->extent_count++] = (struct extent){t->at, end - t->at, zero};
    }
    t->at = end;
    return true;
}

/* The first staged leaf >= from; UINT64_MAX: none. */
static int next_staged(struct log_disk *d, uint64_t from, uint64_t *out)
{
    struct error err = {.kind = ERR_NONE};

    *out = UINT64_MAX;
    for (uint32_t i = 0; i < d->log_count; i++) {
        uint64_t leaf = 0;
        if (log_next(d->logs[i], from, &leaf, &err) != 0) {
            return errnum_of(&err);
        }
        *out = min_u64(*out, leaf);
    }
    return 0;
}

/* What of [t->at, end), of which the base says that it is zeros, is so with the staged leaves on
 * top. False when the answer ends here. */
static bool tell_zeros(struct log_disk *d, struct telling *t, uint64_t end)
{
    while (t->at < end) {
        uint64_t leaf = 0;
        uint32_t log_index = 0;
        struct log_place place;
        t->errnum = next_staged(d, t->at / LEAF_BYTES, &leaf);
        if (t->errnum != 0 || t->lookups++ >= LOG_DISK_EXTENT_LEAVES) {
            return false;
        }
        if (leaf >= log_leaf_count(end)) {
            return tell(t, end, true);
        }
        t->errnum = find_log(d, leaf, &log_index, &place);
        if (t->errnum != 0 || !tell(t, leaf * LEAF_BYTES, true) ||
            !tell(t, min_u64((leaf + 1) * LEAF_BYTES, end), place.where == LOG_ZEROS)) {
            return false;
        }
    }
    return true;
}

/* Turn what the base says, which is in request->extents, into what this disk says. Its own data may
 * be called unknown even where zeros are staged: that is always true enough. */
static void tell_all(struct log_disk *d, struct disk_request *request)
{
    uint32_t count = request->extent_count;
    struct telling t = {.request = request, .at = request->offset_bytes};

    assert(count >= 1 && count <= EXTENTS_MAX);
    memcpy(d->answer, request->extents, count * sizeof d->answer[0]);
    request->extent_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t end = d->answer[i].offset_bytes + d->answer[i].len_bytes;
        if (!(d->answer[i].zero ? tell_zeros(d, &t, end) : tell(&t, end, false))) {
            break;
        }
    }
    note_error(request, t.errnum);
    assert(request->errnum != 0 || request->extent_count > 0);
}

static void answer_one(struct disk_request *request, uint64_t len_bytes, bool zero)
{
    request->extents[0] = (struct extent){request->offset_bytes, len_bytes, zero};
    request->extent_count = 1;
}

static bool ask_extents(struct log_disk *d, struct disk_request *request)
{
    const struct disk *base = d->lowers[d->log_count].disk;

    if (base == NULL || request->offset_bytes >= base->size_bytes) {
        answer_one(request, request->len_bytes, base != NULL);
        tell_all(d, request);
        request->driver_value = request->len_bytes;
        return true;
    }
    struct part *part = part_find_free(d);
    if (part == NULL) {
        return false;
    }
    *part =
        (struct part){.request = {.op = DISK_EXTENTS,
                                  .offset_bytes = request->offset_bytes,
                                  .len_bytes = min_u64(request->len_bytes,
                                                       base->size_bytes - request->offset_bytes),
                                  .extents = request->extents},
                      .kind = PART_EXTENTS,
                      .lower = d->log_count,
                      .parent = request};
    request->driver_value = request->len_bytes;
    part_submit(d, part);
    return true;
}

static void finish_extents(struct log_disk *d, struct part *part)
{
    struct disk_request *parent = part->parent;
    uint64_t base_bytes = d->lowers[d->log_count].disk->size_bytes;

    note_error(parent, part->request.errnum);
    if (parent->errnum != 0) {
        return;
    }
    parent->extent_count = part->request.extent_count;
    struct extent *last = &parent->extents[parent->extent_count - 1];
    if (last->offset_bytes + last->len_bytes == base_bytes) {
        /* The caller goes on at a page's start; behind the base there are zeros, so that this is as
         * true of the rest of the page. */
        uint64_t end = min_u64(log_stored_bytes(base_bytes), request_end(parent));
        last->len_bytes = end - last->offset_bytes;
    }
    tell_all(d, parent);
}

/* --- the queue ------------------------------------------------------------------------------- */

/* From here on writes go to the next group. */
static void begin_flush(struct log_disk *d, struct disk_request *request)
{
    group_end(d);
    request->driver_value = log_groups(d->logs[0]);
    (void)list_take(&d->queue);
    list_append(&d->flushes, request);
}

/* One step of the queue's head. False: it has to wait. */
static bool cut(struct log_disk *d, struct disk_request *request)
{
    switch (request->op) {
    case DISK_READ:
    case DISK_READ_MEDIUM:
        return cut_read(d, request);
    case DISK_WRITE:
        return cut_write(d, request);
    case DISK_ZERO:
        return cut_zero(d, request);
    case DISK_EXTENTS:
        return ask_extents(d, request);
    case DISK_FLUSH:
        begin_flush(d, request);
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
    groups_pump(d);
    flushes_pump(d);
}

static void finish_write(struct log_disk *d, struct part *part)
{
    struct group *group = part->group;

    if (part->kind == PART_INDEX) {
        assert(group->state == GROUP_INDEXING);
        group->state = part->request.errnum == 0 ? GROUP_FREE : GROUP_INDEXING;
    } else {
        assert(group->writes > 0);
        group->writes--;
        note_error(part->parent, part->request.errnum);
    }
    if (part->request.errnum != 0) {
        disk_fail(d, part->request.errnum);
    }
}

static void finish_flush(struct log_disk *d, struct part *part)
{
    int errnum = part->request.errnum != 0 ? part->request.errnum : d->failed;

    note_error(part->parent, errnum);
    if (errnum != 0) {
        disk_fail(d, errnum);
    } else {
        log_synced(d->logs[0], part->parent->driver_value);
    }
}

/* A part has come back. */
static void finish(struct log_disk *d, struct part *part)
{
    struct disk_request *parent = part->parent;

    switch (part->kind) {
    case PART_READ:
    case PART_BOUNCED:
        finish_read(d, part);
        break;
    case PART_WRITE:
    case PART_INDEX:
        finish_write(d, part);
        break;
    case PART_FLUSH:
        finish_flush(d, part);
        break;
    case PART_EXTENTS:
        finish_extents(d, part);
        break;
    case PART_FREE:
        assert(part->kind != PART_FREE);
        break;
    }
    bounce_release(d, part->bounce);
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
