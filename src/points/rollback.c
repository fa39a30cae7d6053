/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rollback.c - make an earlier point the present one: what differs is staged as the next point and
 * committed like any other, so it is atomic, and the point of before is kept.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "disk/blocking.h"
#include "points/staging.h"
#include "points/view.h"

struct copy {
    struct view *view; /* borrowed: what the disk shall be; as the next */
    struct disk *next; /* what is written; before that it is the present disk */
    uint64_t size_bytes;
    uint8_t *wanted; /* owned: LEAF_BYTES, as the next */
    uint8_t *has;
};

/* The next leaf that may differ: one that an undo log holds, where the present disk lies below them
 * all; else each. UINT64_MAX: none. */
static int next_leaf(const struct copy *copy, uint64_t from, uint64_t *out, struct error *err)
{
    uint64_t leaf_count = (copy->size_bytes + LEAF_BYTES - 1) / LEAF_BYTES;

    *out = from < leaf_count && !copy->view->is_over_present ? from : UINT64_MAX;
    for (uint32_t i = 0; copy->view->is_over_present && i < copy->view->log_count; i++) {
        uint64_t leaf = 0;
        if (log_next(copy->view->logs[i], from, &leaf, err) < 0) {
            return -1;
        }
        *out = leaf < *out ? leaf : *out;
    }
    return 0;
}

static int copy_leaf(const struct copy *copy, uint64_t leaf, struct error *err)
{
    uint64_t at = leaf * LEAF_BYTES;
    uint64_t left_bytes = copy->size_bytes - at;
    size_t len_bytes = left_bytes < LEAF_BYTES ? left_bytes : LEAF_BYTES;
    struct span wanted = {copy->wanted, len_bytes};
    struct disk_request read_wanted = {.op = DISK_READ, .offset_bytes = at, .data = wanted};
    struct disk_request read_has = {
        .op = DISK_READ, .offset_bytes = at, .data = {copy->has, len_bytes}};

    if (disk_do(copy->view->disk, &read_wanted, err) < 0 ||
        disk_do(copy->next, &read_has, err) < 0) {
        return -1;
    }
    if (memcmp(copy->wanted, copy->has, len_bytes) == 0) {
        return 0;
    }
    bool is_zero = span_is_zero(span_const(wanted));
    struct disk_request write = {.op = is_zero ? DISK_ZERO : DISK_WRITE,
                                 .offset_bytes = at,
                                 .len_bytes = is_zero ? len_bytes : 0,
                                 .data = is_zero ? (struct span){NULL, 0} : wanted};
    return disk_do(copy->next, &write, err);
}

static int copy_disk(const struct copy *copy, replica_progress *progress, void *context,
                     struct error *err)
{
    struct disk_request flush = {.op = DISK_FLUSH};
    uint64_t leaf = 0;

    for (uint64_t from = 0;; from = leaf + 1) {
        if (next_leaf(copy, from, &leaf, err) < 0) {
            return -1;
        }
        if (leaf == UINT64_MAX) {
            break;
        }
        if (copy_leaf(copy, leaf, err) < 0 ||
            (progress != NULL && progress(context, leaf * LEAF_BYTES, copy->size_bytes, err) < 0)) {
            return -1;
        }
    }
    return disk_do(copy->next, &flush, err);
}

static int stage_disk(const struct replica *replica, uint64_t number, uint32_t disk,
                      struct disk *next, replica_progress *progress, void *context,
                      struct error *err)
{
    struct view view = {0};
    struct copy copy = {.view = &view,
                        .next = next,
                        .size_bytes = replica->point.disks[disk].size_bytes,
                        .wanted = aligned_alloc(DISK_BUFFER_ALIGN, LEAF_BYTES),
                        .has = aligned_alloc(DISK_BUFFER_ALIGN, LEAF_BYTES)};
    int result = copy.wanted == NULL || copy.has == NULL
                     ? fail(err, ERR_LIMIT, 0, "out of memory for rolling back")
                     : view_open(replica, number, disk, false, &view, err);

    if (result == 0) {
        result = copy_disk(&copy, progress, context, err);
        view_close(&view);
    }
    free(copy.wanted);
    free(copy.has);
    return result;
}

/* Only a point of the very disks that are there now can become the present one. */
static int check_same_disks(const struct replica *replica, const struct point_record *to,
                            struct error *err)
{
    const struct point_record *now = &replica->point;
    bool is_same = to->disk_count == now->disk_count;

    for (uint32_t i = 0; is_same && i < now->disk_count; i++) {
        is_same = strcmp(to->disks[i].name, now->disks[i].name) == 0 &&
                  to->disks[i].size_bytes == now->disks[i].size_bytes;
    }
    return is_same ? 0
                   : fail(err, ERR_WRONG_STATE, 0,
                          "point %llu has other disks, or other sizes, than the replica has now; "
                          "open it instead (resilver replica open)",
                          (unsigned long long)to->number);
}

static int commit(struct staging *staging, const struct point_record *to, struct error *err)
{
    uint8_t proofs[DISKS_MAX][PROOF_BYTES];
    int result = 0;

    for (uint32_t i = 0; i < to->disk_count; i++) {
        memcpy(proofs[i], to->disks[i].proof, PROOF_BYTES);
    }
    do {
        result = staging_commit(staging, (const uint8_t(*)[PROOF_BYTES])proofs, &to->segments, err);
        staging_give_up(staging); /* the commit, too */
    } while (result > 0);
    return result;
}

/* Every disk becomes what it was, staged; then all of them together. */
static int stage_and_commit(struct replica *replica, const struct point_record *to,
                            replica_progress *progress, void *context, struct error *err)
{
    struct staging_wants wants = {.disk_count = to->disk_count};
    struct staging *staging = NULL;
    struct disk *next[DISKS_MAX] = {NULL};
    int result = 0;

    for (uint32_t i = 0; i < to->disk_count; i++) {
        wants.disks[i] =
            (struct staging_want){to->disks[i].name, to->disks[i].format, to->disks[i].size_bytes};
    }
    if (staging_open(replica, &wants, &staging, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < to->disk_count; i++) {
        next[i] = staging_take_disk(staging, i);
    }
    /* Without room this fails at once: somebody is there who can make some and begin anew. */
    staging_give_up(staging);
    for (uint32_t i = 0; i < to->disk_count && result == 0; i++) {
        result = stage_disk(replica, to->number, i, next[i], progress, context, err);
    }
    if (result == 0) {
        result = commit(staging, to, err);
    }
    for (uint32_t i = 0; i < to->disk_count; i++) {
        disk_close(next[i]);
    }
    staging_free(staging);
    return result;
}

int replica_rollback(struct replica *replica, uint64_t number, replica_progress *progress,
                     void *context, struct error *err)
{
    struct point_record to;

    if (view_record(replica, number, &to, err) < 0) {
        return -1;
    }
    if (to.number == replica->point.number) {
        return fail(err, ERR_USAGE, 0, "point %llu is the present one already",
                    (unsigned long long)to.number);
    }
    /* What a session staged would be mixed with what is staged here. */
    if (check_same_disks(replica, &to, err) < 0 || replica_abandon_stage(replica, err) < 0) {
        return -1;
    }
    return stage_and_commit(replica, &to, progress, context, err);
}
