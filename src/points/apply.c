/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/apply.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "disk/blocking.h"

#define BATCH_LEAVES 128U

struct item {
    uint64_t leaf;
    struct log_place place; /* in the journal */
    bool must_save;
};

struct apply {
    struct log *journal; /* borrowed until apply_free, as the next three */
    struct disk *base;
    struct log *undo; /* NULL: nothing is saved */
    struct disk *undo_disk;
    bool was_begun; /* a run before has saved some, and then, perhaps, overwritten it */
    uint64_t next_leaf;
    uint64_t done_bytes;
    uint32_t count;
    struct item items[BATCH_LEAVES];
    struct disk_request requests[BATCH_LEAVES];
    uint8_t *buffer; /* owned: BATCH_LEAVES * LEAF_BYTES */
};

int apply_new(struct log *journal, struct disk *base, struct log *undo, struct disk *undo_disk,
              bool was_begun, struct apply **out, struct error *err)
{
    struct apply *apply = calloc(1, sizeof *apply);

    assert((undo == NULL) == (undo_disk == NULL));
    if (apply != NULL) {
        apply->buffer = aligned_alloc(DISK_BUFFER_ALIGN, BATCH_LEAVES * LEAF_BYTES);
    }
    if (apply == NULL || apply->buffer == NULL) {
        free(apply);
        return fail(err, ERR_LIMIT, 0, "out of memory for applying a journal");
    }
    apply->journal = journal;
    apply->base = base;
    apply->undo = undo;
    apply->undo_disk = undo_disk;
    apply->was_begun = was_begun;
    *out = apply;
    return 0;
}

void apply_free(struct apply *apply)
{
    if (apply != NULL) {
        free(apply->buffer);
        free(apply);
    }
}

uint64_t apply_done_bytes(const struct apply *apply)
{
    return apply->done_bytes;
}

/* --- a batch --------------------------------------------------------------------------------- */

/* The disk's bytes of a leaf; the last one may be short. */
static uint32_t leaf_bytes(const struct apply *apply, uint64_t leaf)
{
    uint64_t left_bytes = log_disk_bytes(apply->journal) - leaf * LEAF_BYTES;

    return (uint32_t)(left_bytes < LEAF_BYTES ? left_bytes : LEAF_BYTES);
}

static struct span item_buffer(const struct apply *apply, uint32_t index, size_t len_bytes)
{
    return (struct span){apply->buffer + (size_t)index * LEAF_BYTES, len_bytes};
}

/* The next leaves that the journal holds. */
static int gather(struct apply *apply, struct error *err)
{
    apply->count = 0;
    while (apply->count < BATCH_LEAVES) {
        struct item *item = &apply->items[apply->count];
        if (log_next(apply->journal, apply->next_leaf, &item->leaf, err) < 0) {
            return -1;
        }
        if (item->leaf == UINT64_MAX) {
            break;
        }
        if (log_find(apply->journal, item->leaf, &item->place, err) < 0) {
            return -1;
        }
        assert(item->place.where != LOG_NOWHERE);
        apply->next_leaf = item->leaf + 1;
        apply->count++;
    }
    return 0;
}

static void ask(struct apply *apply, uint32_t *used, uint32_t index, enum disk_op op,
                uint64_t offset_bytes, size_t len_bytes)
{
    apply->requests[*used] = (struct disk_request){
        .op = op,
        .offset_bytes = offset_bytes,
        .len_bytes = op == DISK_ZERO ? len_bytes : 0,
        .data = op == DISK_ZERO ? (struct span){NULL, 0} : item_buffer(apply, index, len_bytes),
        .slot = index,
    };
    (*used)++;
}

static int flush(struct disk *disk, struct error *err)
{
    struct disk_request request = {.op = DISK_FLUSH};

    return disk_do(disk, &request, err);
}

/* --- saving ---------------------------------------------------------------------------------- */

static int find_unsaved(struct apply *apply, struct error *err)
{
    for (uint32_t i = 0; i < apply->count; i++) {
        struct log_place saved;
        if (log_find(apply->undo, apply->items[i].leaf, &saved, err) < 0) {
            return -1;
        }
        apply->items[i].must_save = saved.where == LOG_NOWHERE;
    }
    return 0;
}

/*
 * Whether what the disk holds is what the journal will put there. In a run that goes on after a
 * crash such a leaf was overwritten already, and must have been saved: if it is not, the undo log
 * is damaged, and saving the new bytes as the old ones would make a wrong point.
 */
static bool is_overwritten(const struct apply *apply, const struct item *item,
                           struct const_span bytes)
{
    if (!apply->was_begun) {
        return false;
    }
    return item->place.where == LOG_ZEROS ? span_is_zero(bytes)
                                          : log_check(apply->journal, item->leaf, bytes);
}

/* Reads what is to be saved; *out_used requests, to be turned into writes. */
static int read_old(struct apply *apply, uint32_t *out_used, struct error *err)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < apply->count; i++) {
        uint64_t leaf = apply->items[i].leaf;
        if (apply->items[i].must_save) {
            ask(apply, &used, i, DISK_READ, leaf * LEAF_BYTES, leaf_bytes(apply, leaf));
        }
    }
    *out_used = used;
    return used == 0 ? 0 : disk_do_all(apply->base, apply->requests, used, err);
}

/* What the batch will overwrite becomes durable in the undo log. */
static int save(struct apply *apply, struct error *err)
{
    uint32_t used = 0;

    if (apply->undo == NULL) {
        return 0;
    }
    if (find_unsaved(apply, err) < 0 || read_old(apply, &used, err) < 0) {
        return -1;
    }
    if (used == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < used; i++) {
        struct disk_request *request = &apply->requests[i];
        struct const_span bytes = span_const(request->data);
        if (is_overwritten(apply, &apply->items[request->slot], bytes)) {
            return APPLY_UNDO_LOST;
        }
        request->op = span_is_zero(bytes) ? DISK_ZERO : DISK_WRITE;
        request->len_bytes = bytes.len_bytes;
    }
    FAILPOINT("apply.save.before");
    if (disk_do_all(apply->undo_disk, apply->requests, used, err) < 0 ||
        flush(apply->undo_disk, err) < 0) {
        return -1;
    }
    FAILPOINT("apply.save.after");
    return 0;
}

/* --- writing --------------------------------------------------------------------------------- */

static int fail_journal(struct apply *apply, uint64_t leaf, struct error *err)
{
    (void)fail(err, ERR_WRONG_STATE, 0,
               "the journal is damaged: what it holds for 0x%llx"
               " is not what was written to it; resynchronize the disk anew",
               leaf * LEAF_BYTES);
    error_set_disk(err, apply->base->name);
    error_set_offset(err, leaf * LEAF_BYTES);
    return -1;
}

static int read_journal(struct apply *apply, struct error *err)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < apply->count; i++) {
        const struct log_place *place = &apply->items[i].place;
        size_t stored_bytes = (place->len_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        if (place->where == LOG_DATA) {
            ask(apply, &used, i, DISK_READ, place->offset_bytes, stored_bytes);
        }
    }
    if (used > 0 && disk_do_all(log_medium(apply->journal), apply->requests, used, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < apply->count; i++) {
        const struct item *item = &apply->items[i];
        struct span bytes = item_buffer(apply, i, item->place.len_bytes);
        if (item->place.where == LOG_DATA &&
            !log_check(apply->journal, item->leaf, span_const(bytes))) {
            return fail_journal(apply, item->leaf, err);
        }
    }
    return 0;
}

static int write_base(struct apply *apply, struct error *err)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < apply->count; i++) {
        const struct item *item = &apply->items[i];
        ask(apply, &used, i, item->place.where == LOG_ZEROS ? DISK_ZERO : DISK_WRITE,
            item->leaf * LEAF_BYTES, leaf_bytes(apply, item->leaf));
    }
    FAILPOINT("apply.write.before");
    if (disk_do_all(apply->base, apply->requests, used, err) < 0) {
        return -1;
    }
    FAILPOINT("apply.write.written");
    if (flush(apply->base, err) < 0) {
        return -1;
    }
    FAILPOINT("apply.write.after");
    return 0;
}

/* What the medium gives back is what the journal says. */
static int read_back(struct apply *apply, struct error *err)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < apply->count; i++) {
        uint64_t leaf = apply->items[i].leaf;
        ask(apply, &used, i, DISK_READ_MEDIUM, leaf * LEAF_BYTES, leaf_bytes(apply, leaf));
    }
    if (disk_do_all(apply->base, apply->requests, used, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < apply->count; i++) {
        const struct item *item = &apply->items[i];
        struct const_span bytes = span_const(item_buffer(apply, i, leaf_bytes(apply, item->leaf)));
        bool is_right = item->place.where == LOG_ZEROS
                            ? span_is_zero(bytes)
                            : log_check(apply->journal, item->leaf, bytes);
        if (!is_right) {
            (void)fail(err, ERR_IO, 0,
                       "the disk gives back other data than was written at 0x%llx"
                       "; it cannot be trusted: check the medium and its cable or controller",
                       item->leaf * LEAF_BYTES);
            error_set_disk(err, apply->base->name);
            error_set_offset(err, item->leaf * LEAF_BYTES);
            return -1;
        }
        apply->done_bytes += bytes.len_bytes;
    }
    return 0;
}

int apply_step(struct apply *apply, struct error *err)
{
    if (gather(apply, err) < 0) {
        return -1;
    }
    if (apply->count == 0) {
        return 0;
    }
    int saved = save(apply, err);
    if (saved != 0) {
        return saved;
    }
    if (read_journal(apply, err) < 0 || write_base(apply, err) < 0 || read_back(apply, err) < 0) {
        return -1;
    }
    return 1;
}
