/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * checkpoint_file.h - where the checkpoint of an interrupted run is kept:
 * `TARGET.resilver/checkpoint` beside a target that is a file; below the state directory
 * (/var/lib/resilver, or $XDG_STATE_HOME/resilver for others than root) for a block device. The
 * directory is gone when the run is complete.
 */
#ifndef RESILVER_POINTS_CHECKPOINT_FILE_H
#define RESILVER_POINTS_CHECKPOINT_FILE_H

#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/span.h"

/* checkpoint_dir_for - the directory for a target's path; "" for targets that can have none (NBD).
 */
void checkpoint_dir_for(const char *target_path, char out[PATH_TEXT_MAX]);

/* checkpoint_dir_for_device - the same for a block device when `state` is the directory of such
 * checkpoints. No two absolute paths share a directory: the path is the name, with every byte but
 * [A-Za-z0-9._-] as "%XX"; the SHA-256 of it ends the name of one that would be too long. "" when
 * no name can be made. */
void checkpoint_dir_for_device(const char *state, const char *device_path, char out[PATH_TEXT_MAX]);

/* checkpoint_file_load - the record in dir, into buffer; *out_len_bytes 0 when there is none. A
 * record that is too long counts as none (it is not ours).
 * Errors: ERR_IO. */
MUST_CHECK int checkpoint_file_load(const char *dir, struct span buffer, size_t *out_len_bytes,
                                    struct error *err);

/* checkpoint_file_save - replace the record atomically and durably (write, fsync, rename, fsync of
 * the directory). */
MUST_CHECK int checkpoint_file_save(const char *dir, struct const_span record, struct error *err);

/* checkpoint_file_remove - remove the record and, if it is empty then, the directory. None there is
 * fine. */
MUST_CHECK int checkpoint_file_remove(const char *dir, struct error *err);

#endif
