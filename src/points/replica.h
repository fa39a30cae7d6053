/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * replica.h - the replica of one VM: its disks, the staged point, the points it can go back to.
 *
 * A replica is a folder, or, for targets that are plain paths (`sync --atomic`), a state folder
 * beside the first of them, TARGET.resilver, which is gone when nothing is left to do:
 *
 *   FOLDER/replica        what it is: version, disks, how many points are kept
 *   FOLDER/lock           held by who changes anything (flock)
 *   FOLDER/disks/NAME     the disks at their present point; links to block devices are followed
 *   FOLDER/point          the present point's record; none: no copy was ever completed
 *   FOLDER/stage/         the next point while it is received
 *   FOLDER/commit         a point that is sealed and being published: rolled forward, whatever
 * comes FOLDER/points/NNNNNN/ earlier points: a record, and of each disk a clone or an undo log
 *
 * Invariants:
 * 1. The commit record is the truth: before it is durable the replica is the old point, from then
 * on the new one, for all disks together.
 * 2. A file that is being changed is not to be found under its name in disks/.
 * 3. Whoever opens a replica for changing it first finishes, or takes back, what a killed run left.
 */
#ifndef RESILVER_POINTS_REPLICA_H
#define RESILVER_POINTS_REPLICA_H

#include "base/env.h"
#include "points/record.h"

enum replica_state {
    REPLICA_STATE_INVALID = 0,
    REPLICA_EMPTY,     /* no copy was ever completed: not bootable */
    REPLICA_WHOLE,     /* at its present point */
    REPLICA_UNFINISHED /* a commit waits to be rolled forward: `resilver recover` */
};

struct replica_info {
    char path[PATH_TEXT_MAX];
    enum replica_state state;
    bool is_beside; /* the state folder of a plain target, and no replica to be kept */
    bool has_stage; /* a next point is half received (or being received: is_locked) */
    bool is_locked; /* somebody is at work on it */
    uint64_t staged_bytes;
    uint32_t history; /* how many earlier points are kept: 0 .. REPLICA_HISTORY_MAX */
    uint32_t disk_count;
    struct point_disk disks[DISKS_MAX]; /* as configured; proof and driver of the present point */
    uint32_t point_count;               /* earlier ones, oldest first */
    struct replica_point {
        uint64_t number;
        uint64_t time_ns;
        uint64_t own_bytes; /* what keeping it costs on the medium */
        uint64_t needs;     /* the point without which it cannot be seen, and which is damaged or
                             * missing: itself (then time_ns is 0), or a later one; 0: it is fine */
    } points[REPLICA_HISTORY_MAX];
    struct replica_point present; /* number 0: none */
};

/* What opening a replica had to do about a run that was killed. */
enum replica_did {
    REPLICA_DID_INVALID = 0,
    REPLICA_DID_NOTHING,  /* nothing was to be done */
    REPLICA_DID_FINISH,   /* a sealed point is published now */
    REPLICA_DID_KEEP_OLD, /* it was not sealed: the disks have their names and the old point */
    REPLICA_DID_CLEAN     /* what was of no use any more is removed */
};

struct replica_recovery {
    enum replica_did did;
    bool has_stage;  /* a next point is half received, and stays so */
    bool is_dropped; /* it was, and was dropped as asked for */
};

struct replica;

/* replica_is_folder - whether there is a replica at this path: something named `replica` that is
 * one. */
bool replica_is_folder(const char *path);

/*
 * replica_look - read what is there, changing nothing and locking nothing.
 * Errors: ERR_IO not there or not readable; ERR_WRONG_STATE not a replica, of another version, with
 * a record that is damaged (named). An earlier point's damaged record is none: see `needs`.
 */
MUST_CHECK int replica_look(const char *path, struct replica_info *out, struct error *err);

/*
 * replica_open - lock a replica for changing it; recovers first (invariant 3).
 * Errors: as replica_look; ERR_WRONG_STATE somebody else is at work on it, a disk is in use by a
 * VM, a disk is missing; it is a plain target's state folder.
 */
MUST_CHECK int replica_open(const char *path, const struct env *env, struct replica **out,
                            struct error *err);
void replica_close(struct replica *replica);

/* replica_recovered - what replica_open did before it returned. */
enum replica_did replica_recovered(const struct replica *replica);

/*
 * replica_make - an empty folder for a replica, to be opened then. One that is there is fine if it
 * is empty or a replica already. Errors: ERR_WRONG_STATE it holds something else; ERR_IO;
 * ERR_LIMIT.
 */
MUST_CHECK int replica_make(const char *path, uint32_t history, struct error *err);

/*
 * replica_open_beside - plain targets, with the state folder beside the first of them (made if
 * needed). The paths need not exist.
 * Errors: as replica_open; ERR_WRONG_STATE a target is half staged together with others than these;
 * ERR_USAGE a target that can have no state folder (an NBD export).
 */
MUST_CHECK int replica_open_beside(const char *const *paths, const enum disk_format *formats,
                                   uint32_t count, const struct env *env, struct replica **out,
                                   struct error *err);

/*
 * replica_recover_beside - finish, or take back, what a killed run left of a plain target; cheap
 * when there is nothing. With drop, a point that is half staged is dropped too.
 */
MUST_CHECK int replica_recover_beside(const char *path, bool drop, const struct env *env,
                                      struct replica_recovery *out, struct error *err);

MUST_CHECK int replica_get_info(struct replica *replica, struct replica_info *out,
                                struct error *err);

/* replica_set_history - keep so many points from now on; drops those beyond, oldest first. */
MUST_CHECK int replica_set_history(struct replica *replica, uint32_t history, struct error *err);

/* replica_abandon_stage - drop a next point that is half received. */
MUST_CHECK int replica_abandon_stage(struct replica *replica, struct error *err);

/* replica_drop_point - forget an earlier point and those before it, which are seen through it. */
MUST_CHECK int replica_drop_point(struct replica *replica, uint64_t number, struct error *err);

/* replica_get_point - the record of a point (0: the present one): its disks as they were then.
 * Errors: ERR_USAGE no such point; ERR_IO; ERR_WRONG_STATE damaged, or no point at all yet. */
MUST_CHECK int replica_get_point(const struct replica *replica, uint64_t number,
                                 struct point_record *out, struct error *err);

/*
 * replica_open_point - one disk of a point, for reading; number 0: the present one. Nothing is
 * changed. It stays right while later points are published only as long as nobody does: the caller
 * holds the replica open, or (path only) takes what it gets.
 * Errors: ERR_USAGE no such point or disk; ERR_IO; ERR_WRONG_STATE damaged.
 */
MUST_CHECK int replica_open_point(struct replica *replica, uint64_t number, uint32_t disk_index,
                                  struct disk **out, struct error *err);

/* Called now and then; returning -1 with err set stops the work. */
typedef int replica_progress(void *context, uint64_t done_bytes, uint64_t all_bytes,
                             struct error *err);

/* replica_verify - read all of a point (0: the present one) past the page cache and compute its
 * proof again. Errors: ERR_WRONG_STATE a disk's proof is another one (err->disk names it). */
MUST_CHECK int replica_verify(struct replica *replica, uint64_t number, replica_progress *progress,
                              void *context, struct error *err);

/* replica_rollback - make an earlier point the present one, as a new point: nothing is lost, the
 * one that was present becomes an earlier one (if history allows). Atomic, as every commit. Errors:
 * ERR_LIMIT no room; after the seal, whatever it is, the commit waits to be recovered. */
MUST_CHECK int replica_rollback(struct replica *replica, uint64_t number,
                                replica_progress *progress, void *context, struct error *err);

/* replica_for_each - the replicas directly below a root, by name; stops when visit returns
 * non-zero, which is then returned. A folder that holds none is passed over. Errors: ERR_IO. */
typedef int replica_visit(void *context, const char *path, struct error *err);
MUST_CHECK int replica_for_each(const char *root, replica_visit *visit, void *context,
                                struct error *err);

#endif
