/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log_rig.h - for tests of logs: logs on disks in memory, chance from a seed.
 */
#ifndef RESILVER_TESTS_UNIT_LOG_RIG_H
#define RESILVER_TESTS_UNIT_LOG_RIG_H

#include "disk_drive.h"

#include "cut_disk.h"
#include "points/log_disk.h"
#include "points/log_pages.h"

#define RIG_MEDIUM_BYTES (24 * MIB)

static inline int rig_random(void *context, struct span out, struct error *err)
{
    (void)err;
    chance_fill(context, out);
    return 0;
}

/* A world whose chance is one for the whole test program: nothing is drawn twice. */
static inline const struct env *rig_env(void)
{
    static struct chance chance = {4711};
    static const struct env env = {.random = rig_random, .context = &chance};

    return &env;
}

static inline struct log *rig_create(struct disk *medium, enum log_kind kind, uint64_t size_bytes)
{
    struct error err = {.kind = ERR_NONE};
    struct log *log = NULL;

    if (log_create(medium, kind, size_bytes, NULL, rig_env(), &log, &err) != 0) {
        fail_msg("%s", err.message);
    }
    return log;
}

static inline struct log *rig_open(struct disk *medium, uint64_t size_bytes, uint64_t min_groups)
{
    struct error err = {.kind = ERR_NONE};
    struct log *log = NULL;

    if (log_open(medium, LOG_JOURNAL, size_bytes, min_groups, NULL, rig_env(), &log, &err) != 0) {
        fail_msg("%s", err.message);
    }
    return log;
}

static inline struct disk *rig_disk(struct disk *base, struct log *log, uint64_t size_bytes,
                                    bool can_write)
{
    struct error err = {.kind = ERR_NONE};
    struct disk *disk = NULL;

    if (log_disk_new(base, size_bytes, &log, 1, can_write, "staged", &disk, &err) != 0) {
        fail_msg("%s", err.message);
    }
    return disk;
}

/* Another disk with the same bytes. */
static inline struct cut_disk *rig_copy(const struct cut_disk *from)
{
    struct cut_disk *to = cut_disk_new(from->disk.size_bytes);

    memcpy(to->bytes, from->bytes, from->used_bytes);
    to->used_bytes = from->used_bytes;
    return to;
}

static inline void rig_fill(struct cut_disk *disk, uint64_t seed)
{
    drive_fill((struct span){disk->bytes, disk->disk.size_bytes}, 0, seed);
    disk->used_bytes = disk->disk.size_bytes;
}

/* Append a leaf filled from a seed and write it, as a log's disk does. */
static inline void rig_append(struct log *log, uint64_t leaf, uint64_t seed)
{
    uint64_t size_bytes = log_disk_bytes(log);
    struct span bytes = drive_buffer(LEAF_BYTES);
    uint64_t offset_bytes = 0;

    memset(bytes.at, 0, LEAF_BYTES);
    bytes.len_bytes = log_leaf_bytes(size_bytes, leaf);
    drive_fill(bytes, leaf * LEAF_BYTES, seed);
    assert_int_equal(log_append(log, leaf, span_const(bytes), &offset_bytes, NULL), 0);
    bytes.len_bytes = log_stored_bytes(bytes.len_bytes);
    assert_int_equal(drive_data(log_medium(log), DISK_WRITE, offset_bytes, bytes), 0);
    free(bytes.at);
}

/* End the group and write its index; with sync, flush it and say so. */
static inline void rig_end_group(struct log *log, bool sync)
{
    struct span index = drive_buffer(LOG_INDEX_BYTES);
    uint64_t offset_bytes = 0;

    log_end_group(log, index.at, &offset_bytes);
    assert_int_equal(drive_data(log_medium(log), DISK_WRITE, offset_bytes, index), 0);
    if (sync) {
        assert_int_equal(drive_flush(log_medium(log)), 0);
        log_synced(log, log_groups(log));
    }
    free(index.at);
}

/* Whether the log has this leaf with these bytes. */
static inline bool rig_has(struct log *log, uint64_t leaf, uint64_t seed)
{
    struct log_place place;

    assert_int_equal(log_find(log, leaf, &place, NULL), 0);
    if (place.where != LOG_DATA) {
        return false;
    }
    struct span bytes = drive_buffer(log_stored_bytes(place.len_bytes));
    assert_int_equal(drive_data(log_medium(log), DISK_READ, place.offset_bytes, bytes), 0);
    bytes.len_bytes = place.len_bytes;
    bool is_right =
        log_check(log, leaf, span_const(bytes)) && drive_matches(bytes, leaf * LEAF_BYTES, seed);
    free(bytes.at);
    return is_right;
}

#endif
