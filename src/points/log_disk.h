/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log_disk.h - a disk as it is with logs laid over it: the next point while it is being received
 * (the replica's disk under its journal), or an earlier point (the replica's disk under the undo
 * logs since then). A struct disk like any other.
 *
 *   read     a leaf comes from the first log that holds it, else from the base; every byte from a
 *            log is checked, and comes back as EIO rather than wrong
 *   write    whole leaves only; appended to the first log; the base is never written to
 *   zero     whole leaves only; an entry in the first log
 *   flush    the open group's index is written and the log's medium is flushed: then it is durable
 *   extents  the base's, with what is staged on top
 *
 * Once a write, an index or a flush of the log has failed, the disk has failed, and everything
 * comes back with that errno: ENOSPC or EDQUOT when the log's medium (or its file system) is full.
 * What was acknowledged by a flush is in the log all the same.
 */
#ifndef RESILVER_POINTS_LOG_DISK_H
#define RESILVER_POINTS_LOG_DISK_H

#include "points/log.h"

#define LOG_DISK_LOGS_MAX 32U /* REPLICA_HISTORY_MAX undo logs and a journal */

/*
 * log_disk_new
 *
 * @base      the disk below; NULL: a disk of which only what the logs hold can be read, ENODATA
 *            else. Smaller than size_bytes: zeros beyond; larger: what is beyond is not seen. Taken
 *            on success
 * @logs      count of them, the first one wins; each for a disk of size_bytes; taken on success
 * @can_write the first log is open for writing, and takes what is written
 *
 * identity: of the base and the logs' ids, so that it changes when somebody writes to the base, and
 * not by what this disk itself appends; all zeros where the base's is not known.
 * Errors: ERR_LIMIT.
 */
MUST_CHECK int log_disk_new(struct disk *base, uint64_t size_bytes, struct log *const *logs,
                            uint32_t count, bool can_write, const char *name, struct disk **out,
                            struct error *err);

#endif
