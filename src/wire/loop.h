/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loop.h - the one thread that drives one session: its link, its disks, its clock.
 */
#ifndef RESILVER_WIRE_LOOP_H
#define RESILVER_WIRE_LOOP_H

#include "points/staging.h"
#include "wire/session.h"

/* What open_disks gives. */
struct loop_disks {
    struct disk *disks[DISKS_MAX]; /* owned by the loop from then on */
    struct staging *staging; /* target: the disks are of its next point, which host->commit makes
                                the present one; borrowed until the loop ends. NULL: in place */
    char checkpoint_dir[PATH_TEXT_MAX]; /* target: where its checkpoint is kept
                                           (checkpoint_dir_for()); "": nowhere */
};

/*
 * What the program around the loop provides. Every function is called from the loop's thread.
 */
struct loop_host {
    /*
     * Open the disks that `open` names, into out->disks[0 .. open->disk_count - 1]. Here the
     * program decides what a peer's names mean and what it may have. On failure nothing stays open
     * and err->disk names the disk.
     */
    int (*open_disks)(void *context, const struct session_open *open, struct loop_disks *out,
                      struct error *err);
    /*
     * Staged disks are sealed: make their point the present one. Called again and again while it
     * returns 1, so that the link is looked after in between (a tenth of a second each at most); 0
     * it is done, -1 it failed. Nothing is in flight at the disks. NULL if nothing is ever staged.
     */
    int (*commit)(void *context, const struct session_seal *seal, struct error *err);
    /* Now and then (about ten times a second) and at the end; may be NULL. */
    void (*progress)(void *context, const struct progress *progress);
    /* A staged target has begun to wait for room on its file system (why says how much), or ended
     * (why is NULL); may be NULL. */
    void (*waiting)(void *context, const struct error *why);
    void *context;
};

struct loop_config {
    struct session_config session; /* .link_secret is filled by the loop */
    struct link *link;             /* borrowed; the caller closes it */
    const struct loop_host *host;  /* borrowed */
    const struct env *env;
    int stop_fd; /* becomes readable when the program is told to stop (SIGINT, SIGTERM); -1: none */
};

/*
 * loop_run - drive a session to its end.
 *
 * Returns 0 when source and target are the same now, or were compared to the end (SESSION_CHECK:
 * *out tells); -1 with err otherwise. *out is filled in both cases with what was reached.
 * Errors: as the session found them; err->disk and offset are set where there is one.
 */
MUST_CHECK int loop_run(const struct loop_config *config, struct progress *out, struct error *err);

#endif
