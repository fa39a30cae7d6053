/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log_pages.h - a log's head and its groups' indexes, as they lie on the medium: docs/format-log.md
 * is the format. What comes out of here was checked and is in its range.
 */
#ifndef RESILVER_POINTS_LOG_PAGES_H
#define RESILVER_POINTS_LOG_PAGES_H

#include "engine/digest.h"
#include "points/log.h"

#define LOG_HEAD_BYTES 4096U

/* a group with as many whole leaves as there can be */
#define LOG_GROUP_BYTES_MAX (LOG_INDEX_BYTES + LOG_GROUP_ENTRIES_MAX * LEAF_BYTES)

struct log_head {
    enum log_kind kind;
    uint8_t id[LOG_ID_BYTES];
    uint8_t key[DIGEST_KEY_BYTES]; /* of every other check in the log */
    uint64_t disk_bytes;
    struct digest check; /* half of its SHA-256: where the chain of groups begins */
};

struct log_entry {
    enum log_where where; /* ZEROS or DATA */
    uint32_t count;       /* leaves; 1 for DATA */
    uint64_t first_leaf;
    uint32_t len_bytes;  /* DATA, without padding */
    struct digest check; /* DATA: digester_leaf() of its bytes */
};

struct log_group {
    uint64_t sequence; /* counts from 1 */
    uint64_t offset_bytes;
    uint64_t len_bytes; /* index and data */
    uint64_t synced;
    uint64_t opening;
    struct digest previous; /* check of the index before, or of the head */
    uint32_t entry_count;
    struct log_entry entries[LOG_GROUP_ENTRIES_MAX];
};

static inline uint64_t log_stored_bytes(uint64_t len_bytes)
{
    return (len_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

/* log_leaf_bytes - how long a leaf (< the disk's leaves) is. */
static inline uint32_t log_leaf_bytes(uint64_t disk_bytes, uint64_t leaf)
{
    uint64_t left_bytes = disk_bytes - leaf * LEAF_BYTES;

    return (uint32_t)(left_bytes < LEAF_BYTES ? left_bytes : LEAF_BYTES);
}

static inline uint64_t log_leaf_count(uint64_t disk_bytes)
{
    return disk_bytes / LEAF_BYTES + (disk_bytes % LEAF_BYTES != 0 ? 1 : 0);
}

/* log_head_encode - into LOG_HEAD_BYTES bytes; sets head->check. Errors: ERR_INTERNAL. */
MUST_CHECK int log_head_encode(struct log_head *head, uint8_t *page, struct error *err);

/* log_head_decode - Errors: ERR_WRONG_STATE not a log's head of this version, or damaged. */
MUST_CHECK int log_head_decode(const uint8_t *page, struct log_head *out, struct error *err);

/* log_index_encode - into LOG_INDEX_BYTES bytes; gives the index's check. */
struct digest log_index_encode(const struct log_group *group, struct digester *digester,
                               uint8_t *index);

/*
 * log_index_decode - whether these LOG_INDEX_BYTES bytes, which lie at offset_bytes, are the index
 * of a group of this log, with every field in its range. Which group, and whether it belongs there
 * now, is the caller's to see: sequence, previous, and the end of the medium.
 */
MUST_CHECK bool log_index_decode(const uint8_t *index, uint64_t offset_bytes,
                                 struct digester *digester, uint64_t disk_bytes,
                                 struct log_group *out, struct digest *out_check);

/* log_index_is_near - whether the bytes begin as an index does; cheap. */
bool log_index_is_near(const uint8_t *bytes);

#endif
