/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * commit.h - make a sealed point the present one, for all disks together, and finish what a killed
 * run had begun of that. replica.h's invariants 1 and 2 are kept here.
 *
 *   HIDE -> RECORD -> APPLY -> PUBLISH -> POINT -> CLEAN -> DONE
 *
 *   HIDE     a disk that a journal is about to change loses its name (block devices have none to
 *            lose: the record marks them)
 *   RECORD   `commit` is written: from here on the new point is the truth
 *   APPLY    the journals' leaves go onto their disks, what they overwrite into the undo logs
 *   PUBLISH  each disk gets its name: the clone in the old file's place, the changed file its own
 *   POINT    the old point's record goes to points/, `commit` becomes `point`
 *   CLEAN    the stage and points beyond the history are removed
 */
#ifndef RESILVER_POINTS_COMMIT_H
#define RESILVER_POINTS_COMMIT_H

#include "points/log.h"
#include "points/place.h"

struct commit;

/* What is open already of a disk whose driver is LOG; borrowed until commit_free. */
struct commit_disk {
    struct disk *base;   /* for writing */
    struct log *journal; /* every group synced */
};

/*
 * commit_new - of a sealed point; nothing is done yet.
 *
 * @replica  borrowed until commit_free
 * @record   complete; copied
 * @open     for each disk of the record
 */
MUST_CHECK int commit_new(struct replica *replica, const struct point_record *record,
                          const struct commit_disk *open, struct commit **out, struct error *err);

/* commit_step - 1 there is more to do, 0 done, -1 failed: whoever opens the replica next goes on.
 */
MUST_CHECK int commit_step(struct commit *commit, struct error *err);

void commit_free(struct commit *commit);

/* commit_is_waiting - whether it waits for room: for an undo log, or for what a disk with holes is
 * given. commit_give_up - from now on that is a failure. */
bool commit_is_waiting(const struct commit *commit);
void commit_give_up(struct commit *commit);

/*
 * commit_recover - after whatever ended the last run: roll a commit that is recorded forward; give
 * hidden disks their names back when none is; remove what a finished commit left behind.
 * What it did is in replica->did.
 */
MUST_CHECK int commit_recover(struct replica *replica, struct error *err);

/* commit_clean_stage - remove what is staged. No disk may be hidden. */
MUST_CHECK int commit_clean_stage(struct replica *replica, struct error *err);

/* commit_clean - remove the stage; beside plain targets, everything of ours. No disk may be hidden.
 */
MUST_CHECK int commit_clean(struct replica *replica, struct error *err);

/* commit_prune - remove the points beyond the history, the oldest first. */
MUST_CHECK int commit_prune(struct replica *replica, struct error *err);

#endif
