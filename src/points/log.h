/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.h - an append-only log of one disk's leaves: the journal of a staged point (what the next
 * point has other than the replica), or the undo of an applied one (what the replica had before).
 * docs/format-log.md is the format.
 *
 * A log lies on a disk of its own (its medium: a file, or in tests anything). It is a head and then
 * groups: an index of the entries that came since the last flush, and their bytes. A group counts
 * only as a whole. Of two entries of the same leaf the later one counts.
 *
 * What is durable: everything appended before a flush of the medium that was asked for after
 * log_end_group() and came back good. What a crash tore is recognised when the log is opened, and
 * cut off; what was flushed before is never cut: if that is damaged, the log says so. It knows what
 * was flushed from the groups that came later, each of which tells. Of its very end the log cannot
 * know: an index that was damaged there looks like one that never came to be. Who needs the end
 * (a commit, a checkpoint) keeps log_groups_synced() elsewhere and gives it to log_open.
 */
#ifndef RESILVER_POINTS_LOG_H
#define RESILVER_POINTS_LOG_H

#include "base/env.h"
#include "disk/disk.h"

enum log_kind { LOG_INVALID = 0, LOG_JOURNAL = 1, LOG_UNDO = 2 };

#define LOG_ID_BYTES 16U

struct log;

/* Where a leaf is. */
enum log_where { LOG_NOWHERE = 0, LOG_ZEROS, LOG_DATA };

struct log_place {
    enum log_where where;
    uint64_t offset_bytes; /* DATA: on the medium, a multiple of PAGE_BYTES */
    uint32_t len_bytes;    /* DATA: LEAF_BYTES, less for the disk's last leaf; what is stored is
                              padded with zeros to a multiple of PAGE_BYTES */
};

/* How large a medium to make for a disk of this size, as a sparse file: room for each leaf several
 * times. */
uint64_t log_medium_bytes(uint64_t disk_bytes);

/*
 * log_create - begin an empty log on a medium that is open for writing; its head is durable on
 * return 0.
 *
 * @medium      taken by *out on success only
 * @size_bytes  of the disk whose leaves it will hold
 * @map_dir     a directory for the unnamed file of the map (leaf_map.h); NULL: memory
 * Errors: ERR_IO, ERR_LIMIT no memory or no room.
 */
MUST_CHECK int log_create(struct disk *medium, enum log_kind kind, uint64_t size_bytes,
                          const char *map_dir, const struct env *env, struct log **out,
                          struct error *err);

/*
 * log_open - flush the medium, read the head, find the groups, cut off a torn end, and build the
 * map.
 *
 * All is read from the medium itself and not from the page cache, so that what is taken is durable
 * on return 0: a killed process's writes may be in the cache alone. A medium opened for writing is
 * appended to behind the last whole group; the index of what is cut off is erased at once. One
 * opened for reading is not changed.
 *
 * @medium      taken by *out on success only
 * @min_groups  so many are known to have been durable (log_groups_synced, from a record kept
 *              elsewhere): to find fewer, or one of them damaged, is an error and no torn end. 0:
 *              nothing is known. The bytes of groups that are known to have been durable are not
 *              read here: damage shows in log_check when they are.
 * Errors: ERR_IO; ERR_LIMIT; ERR_WRONG_STATE not a log of this kind, this version and this disk's
 * size, or damaged before its end (each says which, and that the cure is a new
 * resynchronization).
 */
MUST_CHECK int log_open(struct disk *medium, enum log_kind kind, uint64_t size_bytes,
                        uint64_t min_groups, const char *map_dir, const struct env *env,
                        struct log **out, struct error *err);

/* log_free - closes the medium. NULL is fine. */
void log_free(struct log *log);

const uint8_t *log_id(const struct log *log); /* LOG_ID_BYTES, drawn at its creation */
uint64_t log_disk_bytes(const struct log *log);
uint64_t log_used_bytes(const struct log *log); /* of the medium, what is in use */
uint64_t log_cut_bytes(const struct log *log);  /* cut off by log_open; 0: it ended in order */
struct disk *log_medium(const struct log *log); /* borrowed */

/* log_find - where a leaf (< the disk's leaves) is. Errors: ERR_IO reading the map. */
MUST_CHECK int log_find(struct log *log, uint64_t leaf, struct log_place *out, struct error *err);

/* log_next - the first leaf >= from that the log holds, UINT64_MAX: none. Errors: ERR_IO. */
MUST_CHECK int log_next(struct log *log, uint64_t from, uint64_t *out, struct error *err);

/* log_check - whether these bytes (the whole leaf, without padding), read from the place that
 * log_find gives for it now, are what was appended. */
MUST_CHECK bool log_check(struct log *log, uint64_t leaf, struct const_span bytes);

/* --- appending: only the log's disk (log_disk.h) does this ----------------------------------- */

/*
 * log_append - take one leaf's bytes into the open group and tell where on the medium they must be
 * written, padded with zeros to a multiple of PAGE_BYTES, before the group's index is. Leaves
 * appended one after the other lie one after the other. Zeros: log_append_zeros, nothing to write.
 * The map knows of it at once. Errors: ERR_LIMIT the medium (ENOSPC) or the group is full
 * (log_group_is_full was true), ERR_IO the map.
 */
MUST_CHECK int log_append(struct log *log, uint64_t leaf, struct const_span bytes,
                          uint64_t *out_offset_bytes, struct error *err);
MUST_CHECK int log_append_zeros(struct log *log, uint64_t first_leaf, uint32_t count,
                                struct error *err);

/* log_group_is_full - end it before anything more is appended. */
bool log_group_is_full(const struct log *log);

/* log_group_is_empty - nothing was appended since the last end. */
bool log_group_is_empty(const struct log *log);

#define LOG_INDEX_BYTES 8192U

/*
 * log_end_group - the index of the open group, to be written at *out_offset_bytes when all its data
 * is written; a new group begins behind it.
 * @index  LOG_INDEX_BYTES bytes, aligned for the medium
 */
void log_end_group(struct log *log, uint8_t *index, uint64_t *out_offset_bytes);

/* log_synced - a flush came back good that was submitted when the first `groups` groups were wholly
 * written: what the next index says, so that log_open need not read their data. */
void log_synced(struct log *log, uint64_t groups);
uint64_t log_groups(const struct log *log);        /* ended so far */
uint64_t log_groups_synced(const struct log *log); /* of these, durable: for min_groups */

#endif
