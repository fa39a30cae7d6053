/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Invariants:
 * 1. `current` and `durable` differ only in ranges of `dirty`.
 * 2. A page that claims calls a hole reads as zeros: extents are always true.
 * 3. A request's bytes are read and written only when it completes; the caller's must be the same
 * then as when it was submitted. Where there is an address sanitizer, nobody but the disk may touch
 * a buffer while its request is in flight.
 */
#include "sim_disk.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "sanitizer.h"

#define READ_MARK 0x5ee0f0ad5ee0f0adU
#define HOLE_MAX_CUT 3U /* sectors that a hole's extent may be short of the hole */

static struct sim_disk *self(struct disk *disk)
{
    return (struct sim_disk *)disk;
}

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("sim: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

static bool is_data(enum disk_op op)
{
    return op == DISK_READ || op == DISK_READ_MEDIUM || op == DISK_WRITE;
}

static bool is_change(enum disk_op op)
{
    return op == DISK_WRITE || op == DISK_ZERO;
}

static uint64_t length_of(const struct disk_request *request)
{
    return request->op == DISK_FLUSH ? 0
           : is_data(request->op)    ? request->data.len_bytes
                                     : request->len_bytes;
}

static const char *op_name(enum disk_op op)
{
    static const char *const names[OPS_COUNT] = {"invalid", "read",  "read-back", "write",
                                                 "zero",    "flush", "extents"};
    return names[op];
}

/* --- content --------------------------------------------------------------------------------- */

static void change_tag(struct sim_disk *disk)
{
    chance_fill(disk->chance, (struct span){disk->tag, sizeof disk->tag});
}

/* Pages of zeros in a range become holes as the style has it; everything else in it is none. */
static void claim_holes(struct sim_disk *disk, uint64_t offset_bytes, uint64_t len_bytes,
                        uint64_t percent)
{
    uint64_t end = offset_bytes + len_bytes;

    for (uint64_t at = offset_bytes / PAGE_BYTES * PAGE_BYTES; at < end; at += PAGE_BYTES) {
        uint64_t left_bytes = disk->current.size_bytes - at;
        uint64_t page_bytes = left_bytes < PAGE_BYTES ? left_bytes : PAGE_BYTES;
        uint16_t bit = (uint16_t)(1U << at % LEAF_BYTES / PAGE_BYTES);
        uint16_t *claims = &disk->claims[at / LEAF_BYTES];
        if (content_is_zero(&disk->current, at, page_bytes) &&
            chance_percent(disk->chance, percent)) {
            *claims = (uint16_t)(*claims | bit);
        } else {
            *claims = (uint16_t)(*claims & ~bit);
        }
    }
}

static void note_dirty(struct sim_disk *disk, uint64_t offset_bytes, uint64_t len_bytes)
{
    if (disk->dirty_count == disk->dirty_capacity) {
        disk->dirty_capacity = disk->dirty_capacity == 0 ? 64 : 2 * disk->dirty_capacity;
        disk->dirty = checked(realloc(disk->dirty, disk->dirty_capacity * sizeof *disk->dirty));
    }
    disk->dirty[disk->dirty_count++] = (struct dirty){
        .number = disk->next_dirty++, .offset_bytes = offset_bytes, .len_bytes = len_bytes};
}

/* bytes NULL: zeros. */
static void change(struct sim_disk *disk, uint64_t offset_bytes, const uint8_t *bytes,
                   uint64_t len_bytes)
{
    if (len_bytes == 0) {
        return;
    }
    if (bytes == NULL) {
        content_zero(&disk->current, offset_bytes, len_bytes);
    } else {
        content_write(&disk->current, offset_bytes, (struct const_span){bytes, (size_t)len_bytes});
    }
    note_dirty(disk, offset_bytes, len_bytes);
    claim_holes(disk, offset_bytes, len_bytes, bytes == NULL ? disk->style.claim_percent : 0);
    change_tag(disk);
}

/* Only some of the sectors, by chance. */
static void change_some_sectors(struct sim_disk *disk, uint64_t offset_bytes, const uint8_t *bytes,
                                uint64_t len_bytes)
{
    uint64_t percent = chance_between(disk->chance, 0, 100);

    for (uint64_t at = 0; at < len_bytes; at += SECTOR_BYTES) {
        uint64_t left_bytes = len_bytes - at;
        if (chance_percent(disk->chance, percent)) {
            change(disk, offset_bytes + at, bytes == NULL ? NULL : bytes + at,
                   left_bytes < SECTOR_BYTES ? left_bytes : SECTOR_BYTES);
        }
    }
}

/* --- life ------------------------------------------------------------------------------------ */

static const struct disk_ops sim_ops;

void sim_disk_init(struct sim_disk *disk, const char *name, uint64_t size_bytes)
{
    disk->disk = (struct disk){.ops = &sim_ops, .size_bytes = size_bytes, .block_bytes = 512};
    (void)snprintf(disk->disk.name, sizeof disk->disk.name, "%s", name);
    content_init(&disk->current, size_bytes);
    content_init(&disk->durable, size_bytes);
    disk->claims = checked(calloc(disk->current.block_count + 1, sizeof *disk->claims));
}

void sim_disk_done(struct sim_disk *disk)
{
    assert(disk->flight_count == 0 && disk->done_head == NULL);
    content_done(&disk->current);
    content_done(&disk->durable);
    free(disk->claims);
    free(disk->dirty);
    disk->claims = NULL;
    disk->dirty = NULL;
}

void sim_disk_write_back(struct sim_disk *disk)
{
    content_done(&disk->durable);
    content_copy(&disk->durable, &disk->current);
    disk->dirty_count = 0;
    memcpy(disk->durable_tag, disk->tag, sizeof disk->tag);
}

void sim_disk_settle(struct sim_disk *disk)
{
    for (uint64_t i = 0; i < disk->current.block_count; i++) {
        /* Blocks that are not there at all are holes as a whole: deciding page by page would make
         * large disks slow, and leave no hole of a node's size. */
        if (!content_has_block(&disk->current, i)) {
            disk->claims[i] = chance_percent(disk->chance, disk->style.claim_percent) ? 0xffff : 0;
        } else {
            claim_holes(disk, i * LEAF_BYTES, content_block_bytes(&disk->current, i),
                        disk->style.claim_percent);
        }
    }
    change_tag(disk);
    sim_disk_write_back(disk);
}

void sim_disk_resize(struct sim_disk *disk, uint64_t size_bytes)
{
    assert(!disk->is_open);
    content_resize(&disk->current, size_bytes);
    free(disk->claims);
    disk->claims = checked(calloc(disk->current.block_count + 1, sizeof *disk->claims));
    disk->disk.size_bytes = size_bytes;
    sim_disk_settle(disk);
}

void sim_disk_open(struct sim_disk *disk, bool is_writable)
{
    assert(!disk->is_open && disk->flight_count == 0);
    disk->is_open = true;
    disk->has_lied = false;
    disk->disk.is_writable = is_writable;
    memset(disk->completed, 0, sizeof disk->completed);
    memset(disk->submitted, 0, sizeof disk->submitted);
}

static void sim_close(struct disk *disk)
{
    assert(self(disk)->flight_count == 0);
    self(disk)->is_open = false;
}

void sim_disk_scribble(struct sim_disk *disk, uint64_t offset_bytes, struct const_span bytes)
{
    content_write(&disk->current, offset_bytes, bytes);
    content_take(&disk->durable, &disk->current, offset_bytes, bytes.len_bytes);
    claim_holes(disk, offset_bytes, bytes.len_bytes, 0);
    change_tag(disk);
    memcpy(disk->durable_tag, disk->tag, sizeof disk->tag);
}

/* --- what disk.h asks of a request ----------------------------------------------------------- */

static void check_range(const struct sim_disk *disk, const struct disk_request *request)
{
    uint64_t len_bytes = length_of(request);
    bool fits = request->offset_bytes <= disk->disk.size_bytes &&
                len_bytes <= disk->disk.size_bytes - request->offset_bytes;
    bool is_aligned = request->offset_bytes % PAGE_BYTES == 0;

    if (request->op != DISK_FLUSH && (!fits || !is_aligned || len_bytes == 0)) {
        trace_fail(disk->trace, "%s: %s of 0x%llx+0x%llx is not allowed", disk->disk.name,
                   op_name(request->op), (unsigned long long)request->offset_bytes,
                   (unsigned long long)len_bytes);
    }
    if (!is_data(request->op)) {
        return;
    }
    bool ends = request->offset_bytes + len_bytes == disk->disk.size_bytes;
    if (len_bytes > MIB || (len_bytes % PAGE_BYTES != 0 && !ends) ||
        (uintptr_t)request->data.at % DISK_BUFFER_ALIGN != 0) {
        trace_fail(disk->trace, "%s: %s of 0x%llx+0x%llx into %p is not aligned, or too long",
                   disk->disk.name, op_name(request->op), (unsigned long long)request->offset_bytes,
                   (unsigned long long)len_bytes, (void *)request->data.at);
    }
}

static bool overlaps(const struct disk_request *a, const struct disk_request *b)
{
    return a->offset_bytes < b->offset_bytes + length_of(b) &&
           b->offset_bytes < a->offset_bytes + length_of(a);
}

static void check_others(const struct sim_disk *disk, const struct disk_request *request)
{
    uint32_t seen = 0;

    if (disk->flight_count == DISK_REQUESTS_MAX) {
        trace_fail(disk->trace, "%s: more than %u requests in flight", disk->disk.name,
                   DISK_REQUESTS_MAX);
    }
    for (uint32_t i = 0; seen < disk->flight_count; i++) {
        const struct flight *other = &disk->flights[i];
        if (other->request == NULL) {
            continue;
        }
        seen++;
        if (other->request == request) {
            trace_fail(disk->trace, "%s: a request was submitted while it was in flight",
                       disk->disk.name);
        }
        if ((is_change(request->op) || is_change(other->asked.op)) &&
            overlaps(request, &other->asked)) {
            trace_fail(disk->trace, "%s: %s of 0x%llx+0x%llx while a %s of 0x%llx is in flight",
                       disk->disk.name, op_name(request->op),
                       (unsigned long long)request->offset_bytes,
                       (unsigned long long)length_of(request), op_name(other->asked.op),
                       (unsigned long long)other->asked.offset_bytes);
        }
    }
}

/* Reading back proves something only about what a flush has brought to the medium. */
static void check_flushed(const struct sim_disk *disk, const struct disk_request *request)
{
    for (size_t i = 0; i < disk->dirty_count; i++) {
        const struct dirty *dirty = &disk->dirty[i];
        if (dirty->offset_bytes < request->offset_bytes + request->data.len_bytes &&
            request->offset_bytes < dirty->offset_bytes + dirty->len_bytes) {
            trace_fail(disk->trace, "%s: 0x%llx is read back before it was flushed",
                       disk->disk.name, (unsigned long long)request->offset_bytes);
        }
    }
}

static uint64_t sum_of(struct const_span bytes)
{
    uint64_t sum = bytes.len_bytes;

    while (bytes.len_bytes > 0) {
        uint64_t word = 0;
        size_t len_bytes = bytes.len_bytes < sizeof word ? bytes.len_bytes : sizeof word;
        memcpy(&word, bytes.at, len_bytes);
        sum = (sum << 7 | sum >> 57) ^ word;
        bytes.at += len_bytes;
        bytes.len_bytes -= len_bytes;
    }
    return sum;
}

/* A mark at the start of every page that is to be read, to see whether anybody touches it. */
static void mark_buffer(struct span data)
{
    const uint64_t mark = READ_MARK;

    for (size_t at = 0; at + sizeof mark <= data.len_bytes; at += PAGE_BYTES) {
        memcpy(data.at + at, &mark, sizeof mark);
    }
}

static void check_buffer(const struct sim_disk *disk, const struct flight *flight)
{
    const uint64_t mark = READ_MARK;
    struct span data = flight->asked.data;
    bool is_same = true;

    if (flight->asked.op == DISK_WRITE) {
        is_same = sum_of(span_const(data)) == flight->sum;
    } else if (is_data(flight->asked.op)) {
        for (size_t at = 0; at + sizeof mark <= data.len_bytes; at += PAGE_BYTES) {
            is_same = is_same && memcmp(data.at + at, &mark, sizeof mark) == 0;
        }
    }
    if (!is_same || flight->request->op != flight->asked.op ||
        flight->request->offset_bytes != flight->asked.offset_bytes ||
        flight->request->data.at != data.at || flight->request->data.len_bytes != data.len_bytes) {
        trace_fail(disk->trace, "%s: a %s of 0x%llx was touched while it was in flight",
                   disk->disk.name, op_name(flight->asked.op),
                   (unsigned long long)flight->asked.offset_bytes);
    }
}

/* --- submitting ------------------------------------------------------------------------------ */

static void push_done(struct sim_disk *disk, struct disk_request *request)
{
    request->next = NULL;
    if (disk->done_head == NULL) {
        disk->done_head = request;
    } else {
        disk->done_tail->next = request;
    }
    disk->done_tail = request;
}

static uint32_t free_flight(const struct sim_disk *disk)
{
    uint32_t i = 0;

    while (disk->flights[i].request != NULL) {
        i++;
    }
    return i;
}

static uint64_t delay_of(struct sim_disk *disk, const struct disk_request *request)
{
    uint64_t delay_ns = disk->style.least_ns;

    if (disk->style.spread_ns > 0) {
        delay_ns += chance_below(disk->chance, disk->style.spread_ns);
    }
    if (chance_one_in(disk->chance, 200)) {
        delay_ns += 50 * NS_PER_MS; /* the device thinks it over */
    }
    return request->op == DISK_FLUSH ? 4 * delay_ns : delay_ns;
}

static void sim_submit(struct disk *base, struct disk_request *request)
{
    struct sim_disk *disk = self(base);

    if (disk->is_dead) {
        push_done(disk, request);
        return;
    }
    if (request->op <= DISK_INVALID || request->op >= OPS_COUNT || !disk->is_open ||
        (is_change(request->op) && !base->is_writable)) {
        trace_fail(disk->trace, "%s: a request of kind %d for a disk that takes none",
                   disk->disk.name, (int)request->op);
    }
    check_range(disk, request);
    check_others(disk, request);
    if (request->op == DISK_READ_MEDIUM && !disk->has_lied) {
        check_flushed(disk, request);
    }
    uint32_t index = free_flight(disk);
    struct flight *flight = &disk->flights[index];
    *flight =
        (struct flight){.request = request, .asked = *request, .dirty_before = disk->next_dirty};
    if (request->op == DISK_WRITE) {
        flight->sum = sum_of(span_const(request->data));
    } else if (is_data(request->op)) {
        mark_buffer(request->data);
    }
    if (is_data(request->op)) {
        SANITIZER_POISON(request->data.at, request->data.len_bytes);
    }
    disk->flight_count++;
    disk->writing_count += is_change(request->op);
    disk->submitted[request->op]++;
    trace_say(disk->trace, "%s: %s 0x%llx+0x%llx submitted", base->name, op_name(request->op),
              (unsigned long long)request->offset_bytes, (unsigned long long)length_of(request));
    timeline_add(disk->timeline, delay_of(disk, request),
                 (struct occurrence){
                     .kind = OCCUR_DISK, .host = disk->host, .disk = disk->index, .value = index});
}

/* --- completing ------------------------------------------------------------------------------ */

/* The next extent from `at` on, by pages. */
static struct extent extent_at(const struct sim_disk *disk, uint64_t at, uint64_t end)
{
    struct extent extent = {.offset_bytes = at};
    uint64_t past = at;

    extent.zero = (disk->claims[at / LEAF_BYTES] >> (at % LEAF_BYTES / PAGE_BYTES) & 1) != 0;
    while (past < end) {
        uint16_t claims = disk->claims[past / LEAF_BYTES];
        bool is_whole = past % LEAF_BYTES == 0 && claims == (extent.zero ? 0xffff : 0);
        bool is_hole = (claims >> (past % LEAF_BYTES / PAGE_BYTES) & 1) != 0;
        if (!is_whole && is_hole != extent.zero) {
            break;
        }
        past = past / PAGE_BYTES * PAGE_BYTES + (is_whole ? LEAF_BYTES : PAGE_BYTES);
    }
    extent.len_bytes = (past < end ? past : end) - at;
    return extent;
}

/* A hole may be said to be a little shorter than it is, at either end: both stay true. */
static void shorten_hole(struct sim_disk *disk, struct extent *list, uint32_t count)
{
    struct extent *hole = &list[count - 1];
    uint64_t cut_bytes = chance_below(disk->chance, HOLE_MAX_CUT + 1) * SECTOR_BYTES;

    if (hole->zero && count > 1 && !list[count - 2].zero && hole->len_bytes > cut_bytes) {
        list[count - 2].len_bytes += cut_bytes;
        hole->offset_bytes += cut_bytes;
        hole->len_bytes -= cut_bytes;
    }
}

static void complete_extents(struct sim_disk *disk, struct disk_request *request)
{
    uint64_t end = request->offset_bytes + request->len_bytes;
    uint64_t at = request->offset_bytes;
    uint32_t most = EXTENTS_MAX;
    uint32_t count = 0;
    bool is_cut = chance_percent(disk->chance, disk->style.cut_percent);

    if (is_cut) {
        most = (uint32_t)chance_spread(disk->chance, 1, EXTENTS_MAX);
    }
    while (at < end && count < most) {
        request->extents[count] = extent_at(disk, at, end);
        at += request->extents[count].len_bytes;
        count++;
        shorten_hole(disk, request->extents, count);
    }
    struct extent *last = &request->extents[count - 1];
    if (is_cut && last->len_bytes > SECTOR_BYTES && chance_one_in(disk->chance, 3)) {
        last->len_bytes = chance_between(disk->chance, 1, last->len_bytes);
    }
    request->extent_count = count;
}

/* What completed before the flush was submitted is durable now. */
static void complete_flush(struct sim_disk *disk, uint64_t before)
{
    size_t kept = 0;

    for (size_t i = 0; i < disk->dirty_count; i++) {
        const struct dirty *dirty = &disk->dirty[i];
        if (dirty->number < before) {
            content_take(&disk->durable, &disk->current, dirty->offset_bytes, dirty->len_bytes);
        } else {
            disk->dirty[kept++] = *dirty;
        }
    }
    disk->dirty_count = kept;
}

static void revert(struct sim_disk *disk, uint64_t offset_bytes, uint64_t len_bytes)
{
    content_take(&disk->current, &disk->durable, offset_bytes, len_bytes);
    claim_holes(disk, offset_bytes, len_bytes, 0);
}

/* A flush that fails: of each write the device has all or nothing, and what it has not is gone for
 * reads as well; drivers must see to that. */
static void fail_flush(struct sim_disk *disk)
{
    for (size_t i = 0; i < disk->dirty_count; i++) {
        const struct dirty *dirty = &disk->dirty[i];
        if (chance_one_in(disk->chance, 2)) {
            content_take(&disk->durable, &disk->current, dirty->offset_bytes, dirty->len_bytes);
        } else {
            revert(disk, dirty->offset_bytes, dirty->len_bytes);
        }
    }
    disk->dirty_count = 0;
    change_tag(disk);
}

/* Another place for a write of so many bytes, none of them its own, which would make it right in
 * part; UINT64_MAX when chance finds none. */
static uint64_t other_place(struct sim_disk *disk, const struct disk_request *asked)
{
    uint64_t len_bytes = length_of(asked);
    uint64_t places = (disk->disk.size_bytes - len_bytes) / PAGE_BYTES + 1;
    uint64_t place = chance_below(disk->chance, places) * PAGE_BYTES;
    bool is_apart =
        place + len_bytes <= asked->offset_bytes || asked->offset_bytes + len_bytes <= place;

    return is_apart ? place : UINT64_MAX;
}

static void tell_lie(struct sim_disk *disk, const struct disk_request *asked)
{
    const uint8_t *bytes = asked->op == DISK_WRITE ? asked->data.at : NULL;
    uint64_t len_bytes = length_of(asked);
    uint64_t offset_bytes = asked->offset_bytes;

    if (disk->fault.lie == LIE_MISDIRECTED) {
        uint64_t place = other_place(disk, asked);
        if (place != UINT64_MAX) {
            change(disk, place, bytes, len_bytes);
        }
    } else if (disk->fault.lie == LIE_TORN) {
        change_some_sectors(disk, offset_bytes, bytes, len_bytes);
    } else if (disk->fault.lie == LIE_FLIPPED) {
        uint64_t at = offset_bytes + chance_below(disk->chance, len_bytes);
        uint8_t byte = 0;
        change(disk, offset_bytes, bytes, len_bytes);
        content_read(&disk->current, at, (struct span){&byte, 1});
        byte = (uint8_t)(byte ^ 1U << chance_below(disk->chance, 8));
        change(disk, at, &byte, 1);
    }
    /* A lie that happens to leave the right bytes is none. */
    disk->has_lied = bytes == NULL
                         ? !content_is_zero(&disk->current, offset_bytes, len_bytes)
                         : !content_same_bytes(&disk->current, offset_bytes,
                                               (struct const_span){bytes, (size_t)len_bytes});
    disk->fault.has_fired = disk->has_lied;
    disk->fault.offset_bytes = offset_bytes;
}

/* The planned fault, if this is its request. True if it took the request's place. */
static bool meets_fault(struct sim_disk *disk, struct flight *flight)
{
    struct sim_disk_fault *fault = &disk->fault;
    const struct disk_request *asked = &flight->asked;

    if (fault->op != asked->op || fault->has_fired || disk->completed[asked->op] < fault->after) {
        return false;
    }
    trace_say(disk->trace, "%s: the planned fault meets %s 0x%llx (error %d, lie %d)",
              disk->disk.name, op_name(asked->op), (unsigned long long)asked->offset_bytes,
              fault->errnum, (int)fault->lie);
    if (fault->errnum == 0) {
        tell_lie(disk, asked);
        return true;
    }
    flight->request->errnum = fault->errnum;
    fault->has_fired = true;
    fault->offset_bytes = asked->offset_bytes;
    if (is_change(asked->op)) {
        change_some_sectors(disk, asked->offset_bytes,
                            asked->op == DISK_WRITE ? asked->data.at : NULL, length_of(asked));
    } else if (asked->op == DISK_FLUSH) {
        fail_flush(disk);
    } else if (is_data(asked->op) && chance_one_in(disk->chance, 2)) {
        chance_fill(disk->chance, asked->data); /* nothing may be made of it */
    } else if (is_data(asked->op)) {
        content_read(&disk->current, asked->offset_bytes, asked->data); /* nor of this */
    }
    return true;
}

static void take_effect(struct sim_disk *disk, struct flight *flight)
{
    struct disk_request *request = flight->request;

    switch (request->op) {
    case DISK_READ:
        request->cached = disk->style.has_cache && chance_one_in(disk->chance, 2);
        content_read(&disk->current, request->offset_bytes, request->data);
        break;
    case DISK_READ_MEDIUM:
        content_read(&disk->current, request->offset_bytes, request->data);
        break;
    case DISK_WRITE:
        change(disk, request->offset_bytes, request->data.at, request->data.len_bytes);
        break;
    case DISK_ZERO:
        change(disk, request->offset_bytes, NULL, request->len_bytes);
        break;
    case DISK_FLUSH:
        complete_flush(disk, flight->dirty_before);
        break;
    case DISK_EXTENTS:
        complete_extents(disk, request);
        break;
    case DISK_INVALID:
        break;
    }
}

/* The buffer is the caller's again. */
static void land(struct sim_disk *disk, struct flight *flight)
{
    if (is_data(flight->asked.op)) {
        SANITIZER_UNPOISON(flight->asked.data.at, flight->asked.data.len_bytes);
    }
    check_buffer(disk, flight);
    disk->flight_count--;
    disk->writing_count -= is_change(flight->asked.op);
}

void sim_disk_complete(struct sim_disk *disk, uint32_t index)
{
    struct flight *flight = &disk->flights[index];

    assert(flight->request != NULL);
    land(disk, flight);
    flight->request->errnum = 0;
    flight->request->cached = false;
    flight->request->extent_count = 0;
    if (!meets_fault(disk, flight)) {
        take_effect(disk, flight);
    }
    disk->completed[flight->asked.op]++;
    trace_say(disk->trace, "%s: %s 0x%llx+0x%llx completed with %d", disk->disk.name,
              op_name(flight->asked.op), (unsigned long long)flight->asked.offset_bytes,
              (unsigned long long)length_of(&flight->asked), flight->request->errnum);
    push_done(disk, flight->request);
    flight->request = NULL;
}

static struct disk_request *sim_reap(struct disk *base)
{
    struct sim_disk *disk = self(base);
    struct disk_request *request = disk->done_head;

    if (request != NULL) {
        disk->done_head = request->next;
    }
    return request;
}

static void sim_poll_on(struct disk *disk, int *fd, short *events)
{
    (void)disk; /* nobody polls in here */
    *fd = -1;
    *events = 0;
}

/* --- evidence -------------------------------------------------------------------------------- */

static int sim_identity(struct disk *base, bool stamp, uint8_t identity[DISK_IDENTITY_BYTES],
                        struct error *err)
{
    struct sim_disk *disk = self(base);

    (void)err; /* the host makes it fail */
    if (stamp) {
        if (disk->writing_count > 0) {
            trace_fail(disk->trace, "%s is stamped while it is written to", base->name);
        }
        change_tag(disk);
        memcpy(disk->durable_tag, disk->tag, sizeof disk->tag);
    }
    memset(identity, 0, DISK_IDENTITY_BYTES);
    if (disk->style.knows_identity) {
        memcpy(identity, disk->tag, DISK_IDENTITY_BYTES);
    }
    return 0;
}

static int sim_fingerprint(struct disk *base, uint8_t identity[DISK_IDENTITY_BYTES],
                           struct error *err)
{
    return sim_identity(base, false, identity, err);
}

static const struct disk_ops sim_ops = {
    .name = "simulated",
    .submit = sim_submit,
    .reap = sim_reap,
    .poll_on = sim_poll_on,
    .identity = sim_identity,
    .fingerprint = sim_fingerprint,
    .close = sim_close,
};

/* --- dying ----------------------------------------------------------------------------------- */

void sim_disk_kill(struct sim_disk *disk)
{
    for (uint32_t i = 0; i < DISK_REQUESTS_MAX; i++) {
        struct flight *flight = &disk->flights[i];
        if (flight->request == NULL) {
            continue;
        }
        land(disk, flight);
        const uint8_t *bytes = flight->asked.op == DISK_WRITE ? flight->asked.data.at : NULL;
        if (is_change(flight->asked.op)) {
            uint64_t which = chance_below(disk->chance, 3);
            if (which == 0) {
                change_some_sectors(disk, flight->asked.offset_bytes, bytes,
                                    length_of(&flight->asked));
            } else if (which == 1) {
                change(disk, flight->asked.offset_bytes, bytes, length_of(&flight->asked));
            }
        }
        push_done(disk, flight->request);
        flight->request = NULL;
    }
}

/* Of what is dirty, as much survives as chance has it: by whole writes, or by sectors. */
static void lose_dirty(struct sim_disk *disk, const struct dirty *dirty, uint64_t keep_percent,
                       bool by_sector)
{
    uint64_t step = by_sector ? SECTOR_BYTES : dirty->len_bytes;
    uint64_t first = dirty->offset_bytes / SECTOR_BYTES * SECTOR_BYTES;
    uint64_t end = dirty->offset_bytes + dirty->len_bytes;

    if (!by_sector) {
        first = dirty->offset_bytes;
    }
    for (uint64_t at = first; at < end; at += step) {
        uint64_t left_bytes = disk->current.size_bytes - at;
        if (chance_percent(disk->chance, keep_percent)) {
            content_take(&disk->durable, &disk->current, at, left_bytes < step ? left_bytes : step);
        }
    }
}

void sim_disk_cut_power(struct sim_disk *disk)
{
    static const uint64_t shares[] = {0, 0, 100, 50, 10, 90};
    uint64_t keep_percent = shares[chance_below(disk->chance, sizeof shares / sizeof shares[0])];
    bool by_sector = chance_one_in(disk->chance, 2);

    sim_disk_kill(disk);
    for (size_t i = 0; i < disk->dirty_count; i++) {
        lose_dirty(disk, &disk->dirty[i], keep_percent, by_sector);
    }
    content_done(&disk->current);
    content_copy(&disk->current, &disk->durable);
    for (size_t i = 0; i < disk->dirty_count; i++) {
        const struct dirty *dirty = &disk->dirty[i];
        claim_holes(disk, dirty->offset_bytes, dirty->len_bytes, 0);
    }
    /* A flush of the bytes need not bring the file's times to the medium: they may be those of the
     * last stamp again. */
    if (chance_one_in(disk->chance, 2)) {
        memcpy(disk->tag, disk->durable_tag, sizeof disk->tag);
    }
    memcpy(disk->durable_tag, disk->tag, sizeof disk->tag);
    disk->dirty_count = 0;
}

struct disk_request *sim_disk_take_back(struct sim_disk *disk)
{
    return sim_reap(&disk->disk);
}
