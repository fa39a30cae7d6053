/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * durable.h - files and names that survive a power cut once a function here returned 0: whatever is
 * made, renamed or removed, its directory is flushed too.
 *
 * After a failure the step may have taken place or not, and may be on the medium or not: every user
 * of these is repeated as a whole. Errors: ERR_IO; ERR_LIMIT no room.
 */
#ifndef RESILVER_POINTS_DURABLE_H
#define RESILVER_POINTS_DURABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/span.h"

/* durable_make_dir - mode 0700, with those above it; one that is there already must be a directory
 * that is ours or root's and that nobody else may write to. */
MUST_CHECK int durable_make_dir(const char *path, struct error *err);

/* durable_check_dir - what durable_make_dir demands of one that is there. */
MUST_CHECK int durable_check_dir(const char *path, struct error *err);

/* durable_write - a whole new file in place of whatever has the name: written aside as NAME.new,
 * flushed, renamed. */
MUST_CHECK int durable_write(const char *path, struct const_span bytes, struct error *err);

/* durable_replace_at - all of durable_write but the flush of the directory, which is left to the
 * caller: the name is not durable before it. `name` is below dir_fd, as for openat(2). NAME.new may
 * stay behind after a failure. */
MUST_CHECK int durable_replace_at(int dir_fd, const char *name, struct const_span bytes,
                                  struct error *err);

/* durable_read - a whole file of at most buffer.len_bytes; *out_len_bytes. *out_exists false: there
 * is none, which is no error. A longer one is ERR_WRONG_STATE. */
MUST_CHECK int durable_read(const char *path, struct span buffer, size_t *out_len_bytes,
                            bool *out_exists, struct error *err);

/* durable_rename - replaces `to`. */
MUST_CHECK int durable_rename(const char *from, const char *to, struct error *err);

/* durable_link - a second name; one that is there already is fine. */
MUST_CHECK int durable_link(const char *from, const char *to, struct error *err);

/* durable_remove - a file, or an empty directory; none there is fine. */
MUST_CHECK int durable_remove(const char *path, struct error *err);

/* durable_remove_tree - a directory of files (one level, no directories in it). */
MUST_CHECK int durable_remove_tree(const char *path, struct error *err);

/* durable_sync_parent - the directory that holds this name: what was made or removed in it. */
MUST_CHECK int durable_sync_parent(const char *path, struct error *err);

/* durable_sync - a file's content and size. */
MUST_CHECK int durable_sync(const char *path, struct error *err);

/* durable_exists - whether something has this name; a name that cannot be looked at counts as an
 * error. */
MUST_CHECK int durable_exists(const char *path, bool *out, struct error *err);

#endif
