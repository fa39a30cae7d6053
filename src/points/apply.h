/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * apply.h - put what a journal holds onto its disk, in the order of the disk, having saved to an
 * undo log what it overwrites.
 *
 * Idempotent: repeated after a crash at any moment it ends with the same disk and an undo log that
 * gives the disk of before. What is saved is durable before it is overwritten, and a leaf that was
 * saved is not saved again.
 */
#ifndef RESILVER_POINTS_APPLY_H
#define RESILVER_POINTS_APPLY_H

#include "points/log.h"

struct apply;

/*
 * apply_new - nothing is done yet.
 *
 * @journal    borrowed until apply_free; its medium is only read
 * @base       the disk, open for writing; borrowed
 * @undo       the log, for asking what is saved already; NULL: nothing is saved. Borrowed
 * @undo_disk  log_disk.h over it, for saving; it owns the log. Borrowed
 * @was_begun  a run before may have overwritten some of the disk: what it saved must be there
 */
MUST_CHECK int apply_new(struct log *journal, struct disk *base, struct log *undo,
                         struct disk *undo_disk, bool was_begun, struct apply **out,
                         struct error *err);

#define APPLY_UNDO_LOST 2

/*
 * apply_step - a batch of at most 8 MiB: saved, written, flushed, read back past the page cache and
 * checked. Returns 1 while there is more, 0 when all is on the medium; APPLY_UNDO_LOST, before
 * anything is written: the undo log of the run before has lost what it had saved.
 * Errors: ERR_IO, ERR_LIMIT; ERR_WRONG_STATE the journal is damaged. After any, the disk is neither
 * the old nor the new one, and apply must begin again when the cause is gone.
 */
MUST_CHECK int apply_step(struct apply *apply, struct error *err);

/* apply_done_bytes - written and found right so far. */
uint64_t apply_done_bytes(const struct apply *apply);

void apply_free(struct apply *apply);

#endif
