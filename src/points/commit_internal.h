/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * commit_internal.h - what commit.c and commit_recover.c share. Nobody else includes it.
 */
#ifndef RESILVER_POINTS_COMMIT_INTERNAL_H
#define RESILVER_POINTS_COMMIT_INTERNAL_H

#include "points/apply.h"
#include "points/commit.h"

enum phase { PHASE_HIDE, PHASE_RECORD, PHASE_APPLY, PHASE_PUBLISH, PHASE_POINT, PHASE_CLEAN };

struct commit {
    struct replica *replica; /* borrowed */
    struct point_record record;
    struct commit_disk open[DISKS_MAX]; /* borrowed, or owned if is_recovery */
    bool is_recovery;
    bool is_applied[DISKS_MAX]; /* by a run before, which gave the name back */
    uint64_t retry_ns;          /* no room was found, and is looked for then; 0: there was some */
    bool gives_up;              /* and waits no more */
    bool was_paused;            /* so that what is applied to this disk was begun before */
    bool drops_old;             /* what this point replaces cannot be kept */
    enum phase phase;
    uint32_t disk;          /* being applied */
    struct apply *apply;    /* owned; of that disk */
    struct log *undo;       /* owned by undo_disk */
    struct disk *undo_disk; /* owned */
    uint64_t undo_groups[DISKS_MAX];
    uint8_t undo_ids[DISKS_MAX][LOG_ID_BYTES];
};

/* commit_keeps_old - whether what this point replaces is kept. */
bool commit_keeps_old(const struct commit *commit);

/* What lies at a disk's path, links followed. */
struct sight {
    bool is_block;
    uint64_t mtime_ns; /* of a file: when it was written to last; 0: there is none */
};

MUST_CHECK int commit_look_at(const char *path, struct sight *out, struct error *err);

/* commit_open_undo - of a disk, as it was left. ERR_WRONG_STATE: damaged. */
MUST_CHECK int commit_open_undo(struct commit *commit, uint32_t disk, struct error *err);

/* commit_end_disk - remember what the old point's record must say of the disk's undo log. */
void commit_end_disk(struct commit *commit);

/* commit_drop_old - give up the point before, and those that are seen through it. */
MUST_CHECK int commit_drop_old(struct commit *commit, struct error *err);

/* commit_look_for_hidden - a disk's own path, the one it has while it is hidden, and whether it is.
 */
MUST_CHECK int commit_look_for_hidden(const struct replica *replica, uint32_t disk,
                                      char path[PATH_TEXT_MAX], char hidden[PATH_TEXT_MAX],
                                      bool *out_hidden, struct error *err);

/* commit_unhide_disk - give a disk its name back, if it is hidden. */
MUST_CHECK int commit_unhide_disk(const struct replica *replica, uint32_t disk,
                                  bool *out_was_hidden, struct error *err);

#endif
