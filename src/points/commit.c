/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Invariants:
 * 1. Every step can be repeated: after a crash commit_recover begins at APPLY again and ends with
 *    the same files.
 * 2. The old point's record and files are in points/ before `commit` becomes `point`; only then is
 *    anything of the stage removed.
 * 3. No name is given back before the file under it is whole.
 */
#include "points/commit.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/failpoint.h"
#include "points/commit_internal.h"
#include "points/durable.h"
#include "points/listing.h"
#include "points/log_disk.h"

int commit_new(struct replica *replica, const struct point_record *record,
               const struct commit_disk *open, struct commit **out, struct error *err)
{
    struct commit *commit = calloc(1, sizeof *commit);

    if (commit == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a commit");
    }
    commit->replica = replica;
    commit->record = *record;
    memcpy(commit->open, open, record->disk_count * sizeof *open);
    *out = commit;
    return 0;
}

static void end_apply(struct commit *commit)
{
    apply_free(commit->apply);
    disk_close(commit->undo_disk);
    commit->apply = NULL;
    commit->undo_disk = NULL;
    commit->undo = NULL;
}

void commit_free(struct commit *commit)
{
    if (commit == NULL) {
        return;
    }
    end_apply(commit);
    for (uint32_t i = 0; i < DISKS_MAX && commit->is_recovery; i++) {
        disk_close(commit->open[i].base);
        log_free(commit->open[i].journal);
    }
    free(commit);
}

bool commit_keeps_old(const struct commit *commit)
{
    return commit->replica->meta.history > 0 && commit->record.base != 0 && !commit->drops_old;
}

int commit_look_at(const char *path, struct sight *out, struct error *err)
{
    struct stat status;

    *out = (struct sight){0};
    if (stat(path, &status) < 0) {
        return errno == ENOENT ? 0 : fail(err, ERR_IO, errno, "cannot look at %s", path);
    }
    out->is_block = S_ISBLK(status.st_mode);
    if (S_ISREG(status.st_mode)) {
        out->mtime_ns =
            (uint64_t)status.st_mtim.tv_sec * NS_PER_S + (uint64_t)status.st_mtim.tv_nsec;
    }
    return 0;
}

/* --- hiding ---------------------------------------------------------------------------------- */

/* The medium of an undo log. */
static int open_undo_medium(const struct commit *commit, uint32_t disk, bool create,
                            struct disk **out, struct error *err)
{
    char path[PATH_TEXT_MAX];

    if (place_point_file(commit->replica, commit->record.base, disk, "undo", path, err) < 0) {
        return -1;
    }
    struct disk_open_options options = {
        .path = path,
        .format = DISK_FORMAT_RAW,
        .write = true,
        .create = create,
        .size_bytes = log_medium_bytes(commit->record.disks[disk].size_bytes)};
    return disk_open_file(&options, out, err);
}

/* Its head is durable before the commit's record is: an undo log that cannot be opened later was
 * damaged, not interrupted. */
static int begin_undo(const struct commit *commit, uint32_t disk, struct error *err)
{
    char dir[PATH_TEXT_MAX];
    struct log *undo = NULL;
    CLEANUP(disk_closep) struct disk *medium = NULL;

    if (place_point(commit->replica, commit->record.base, dir, err) < 0 ||
        durable_make_dir(dir, err) < 0 || open_undo_medium(commit, disk, true, &medium, err) < 0 ||
        log_create(medium, LOG_UNDO, commit->record.disks[disk].size_bytes, dir,
                   commit->replica->env, &undo, err) < 0) {
        return -1;
    }
    (void)TAKE(medium); /* the log's now */
    log_free(undo);
    return 0;
}

static int hide_disk(struct commit *commit, uint32_t disk, struct error *err)
{
    char path[PATH_TEXT_MAX];
    char hidden[PATH_TEXT_MAX];

    struct sight sight;

    if (place_disk(commit->replica, disk, path, err) < 0 ||
        place_work(commit->replica, disk, "applying", hidden, err) < 0 ||
        commit_look_at(path, &sight, err) < 0) {
        return -1;
    }
    return sight.is_block ? 0 : durable_rename(path, hidden, err);
}

static int hide(struct commit *commit, struct error *err)
{
    for (uint32_t i = 0; i < commit->record.disk_count; i++) {
        if (commit->record.disks[i].driver == POINT_DRIVER_LOG &&
            ((commit_keeps_old(commit) && begin_undo(commit, i, err) < 0) ||
             hide_disk(commit, i, err) < 0)) {
            return -1;
        }
    }
    commit->phase = PHASE_RECORD;
    return 1;
}

static int write_record(struct commit *commit, struct error *err)
{
    char path[PATH_TEXT_MAX];

    for (uint32_t i = 0; i < commit->record.disk_count; i++) {
        struct sight sight;
        if (place_disk(commit->replica, i, path, err) < 0 ||
            commit_look_at(path, &sight, err) < 0) {
            return -1;
        }
        commit->record.disks[i].base_mtime_ns =
            commit->record.disks[i].driver == POINT_DRIVER_FILE ? sight.mtime_ns : 0;
    }
    if (place_own(commit->replica, "commit", path, err) < 0) {
        return -1;
    }
    FAILPOINT("commit.record.before");
    if (place_write_record(path, &commit->record, err) < 0) {
        return -1;
    }
    FAILPOINT("commit.record.after");
    commit->phase = PHASE_APPLY;
    return 1;
}

/* --- applying -------------------------------------------------------------------------------- */

int commit_open_undo(struct commit *commit, uint32_t disk, struct error *err)
{
    uint64_t size_bytes = commit->record.disks[disk].size_bytes;
    char dir[PATH_TEXT_MAX];
    struct log *undo = NULL;
    CLEANUP(disk_closep) struct disk *medium = NULL;

    if (place_point(commit->replica, commit->record.base, dir, err) < 0 ||
        open_undo_medium(commit, disk, false, &medium, err) < 0 ||
        log_open(medium, LOG_UNDO, size_bytes, 0, dir, commit->replica->env, &undo, err) < 0) {
        return -1;
    }
    (void)TAKE(medium); /* the log's now */
    if (log_disk_new(NULL, size_bytes, &undo, 1, true, dir, &commit->undo_disk, err) < 0) {
        log_free(undo);
        return -1;
    }
    commit->undo = undo;
    return 0;
}

/* The replica itself matters more than the point before: one that cannot be kept is given up, and
 * with it those before, which are seen through it. */
int commit_drop_old(struct commit *commit, struct error *err)
{
    uint64_t numbers[LISTING_MAX];
    uint32_t count = 0;

    end_apply(commit);
    commit->drops_old = true;
    if (listing_numbers(commit->replica, numbers, &count, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < count && numbers[i] <= commit->record.base; i++) {
        char dir[PATH_TEXT_MAX];
        if (place_point(commit->replica, numbers[i], dir, err) < 0 ||
            durable_remove_tree(dir, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int begin_disk(struct commit *commit, struct error *err)
{
    uint32_t disk = commit->disk;
    struct error why = {0};

    if (commit_keeps_old(commit) && commit_open_undo(commit, disk, &why) < 0) {
        if (why.kind != ERR_WRONG_STATE) {
            *err = why;
            return -1;
        }
        if (commit_drop_old(commit, err) < 0) {
            return -1;
        }
    }
    return apply_new(commit->open[disk].journal, commit->open[disk].base, commit->undo,
                     commit->undo_disk, commit->is_recovery || commit->was_paused, &commit->apply,
                     err);
}

void commit_end_disk(struct commit *commit)
{
    if (commit->undo != NULL) {
        commit->undo_groups[commit->disk] = log_groups_synced(commit->undo);
        memcpy(commit->undo_ids[commit->disk], log_id(commit->undo), LOG_ID_BYTES);
    }
    end_apply(commit);
    commit->was_paused = false; /* nothing was applied to the next one yet */
    commit->disk++;
}

#define RETRY_EVERY_NS NS_PER_S
#define PAUSE_MS 50

bool commit_is_waiting(const struct commit *commit)
{
    return commit->retry_ns != 0;
}

void commit_give_up(struct commit *commit)
{
    commit->gives_up = true;
}

/* An undo log that found no room has failed as a whole; what it had saved is found when it is
 * opened again. A disk with holes that found none is applied to again from its beginning. */
static bool can_wait(struct commit *commit, const struct error *why)
{
    bool is_full = why->errnum == ENOSPC || why->errnum == EDQUOT;

    if (!is_full || commit->gives_up || commit->is_recovery) {
        return false;
    }
    end_apply(commit);
    commit->was_paused = true;
    commit->retry_ns = env_now_ns(commit->replica->env) + RETRY_EVERY_NS;
    return true;
}

/* True while it is too early to try again; returns soon, so that the caller's other work goes on.
 */
static bool is_pausing(struct commit *commit)
{
    if (commit->retry_ns == 0 || commit->gives_up ||
        env_now_ns(commit->replica->env) >= commit->retry_ns) {
        commit->retry_ns = 0;
        return false;
    }
    (void)poll(NULL, 0, PAUSE_MS);
    return true;
}

static bool needs_apply(const struct commit *commit, uint32_t disk)
{
    return commit->record.disks[disk].driver == POINT_DRIVER_LOG && !commit->is_applied[disk];
}

static int apply_more(struct commit *commit, struct error *err)
{
    while (commit->disk < commit->record.disk_count && !needs_apply(commit, commit->disk)) {
        commit->disk++;
    }
    if (commit->disk == commit->record.disk_count) {
        commit->phase = PHASE_PUBLISH;
        return 1;
    }
    if (is_pausing(commit)) {
        return 1;
    }
    struct error why = {0};
    int result = commit->apply == NULL ? begin_disk(commit, &why) : 0;
    if (result == 0) {
        result = apply_step(commit->apply, &why);
    }
    if (result < 0 && can_wait(commit, &why)) {
        return 1;
    }
    if (result < 0) {
        *err = why;
        return -1;
    }
    if (result == APPLY_UNDO_LOST) {
        return commit_drop_old(commit, err) < 0 ? -1 : 1;
    }
    if (result == 0) {
        commit_end_disk(commit);
        result = 1;
    }
    return result;
}

/* --- publishing ------------------------------------------------------------------------------ */

/* The clone takes the old file's place; the old file stays, as a point, if it is to be kept. */
static int publish_file(struct commit *commit, uint32_t disk, struct error *err)
{
    const struct replica *replica = commit->replica;
    char path[PATH_TEXT_MAX];
    char next[PATH_TEXT_MAX];
    char dir[PATH_TEXT_MAX];
    char kept[PATH_TEXT_MAX];
    bool has_next = false;
    bool has_old = false;
    struct sight sight;

    if (place_disk(replica, disk, path, err) < 0 ||
        place_work(replica, disk, "next", next, err) < 0 ||
        durable_exists(next, &has_next, err) < 0 || durable_exists(path, &has_old, err) < 0 ||
        commit_look_at(path, &sight, err) < 0) {
        return -1;
    }
    if (!has_next) {
        return 0; /* done by a run before */
    }
    if (has_old && sight.mtime_ns != commit->record.disks[disk].base_mtime_ns) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s was written to after the point that replaces it was sealed: move it away, "
                    "and resilver recover puts the sealed point in its place",
                    path);
    }
    if (has_old && commit_keeps_old(commit) &&
        (place_point(replica, commit->record.base, dir, err) < 0 ||
         durable_make_dir(dir, err) < 0 ||
         place_point_file(replica, commit->record.base, disk, "disk", kept, err) < 0 ||
         durable_link(path, kept, err) < 0)) {
        return -1;
    }
    return durable_rename(next, path, err);
}

/* Nobody else's file is put aside for it. */
static int give_name_back(const char *hidden, const char *path, struct error *err)
{
    bool is_taken = false;

    if (durable_exists(path, &is_taken, err) < 0) {
        return -1;
    }
    if (is_taken) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "something else is at %s, where the file %s belongs: move it away, and run "
                    "resilver recover",
                    path, hidden);
    }
    return durable_rename(hidden, path, err);
}

int commit_look_for_hidden(const struct replica *replica, uint32_t disk, char path[PATH_TEXT_MAX],
                           char hidden[PATH_TEXT_MAX], bool *out_hidden, struct error *err)
{
    return place_disk(replica, disk, path, err) < 0 ||
                   place_work(replica, disk, "applying", hidden, err) < 0
               ? -1
               : durable_exists(hidden, out_hidden, err);
}

int commit_unhide_disk(const struct replica *replica, uint32_t disk, bool *out_was_hidden,
                       struct error *err)
{
    char path[PATH_TEXT_MAX];
    char hidden[PATH_TEXT_MAX];

    if (commit_look_for_hidden(replica, disk, path, hidden, out_was_hidden, err) < 0) {
        return -1;
    }
    return *out_was_hidden ? give_name_back(hidden, path, err) : 0;
}

static int publish(struct commit *commit, struct error *err)
{
    for (uint32_t i = 0; i < commit->record.disk_count; i++) {
        bool is_log = commit->record.disks[i].driver == POINT_DRIVER_LOG;
        bool was_hidden = false;
        int result = is_log ? commit_unhide_disk(commit->replica, i, &was_hidden, err)
                            : publish_file(commit, i, err);
        if (result < 0) {
            return -1;
        }
    }
    commit->phase = PHASE_POINT;
    return 1;
}

/* --- the point ------------------------------------------------------------------------------- */

/* The record of the point that was present goes with its files. */
static int keep_old_record(struct commit *commit, struct error *err)
{
    const struct replica *replica = commit->replica;
    struct point_record old = replica->point;
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];

    if (!commit_keeps_old(commit) || !replica->has_point || old.number != commit->record.base) {
        return 0;
    }
    for (uint32_t i = 0; i < old.disk_count; i++) {
        old.disks[i].driver = commit->record.disks[i].driver;
        old.disks[i].log_groups = commit->undo_groups[i];
        memcpy(old.disks[i].log_id, commit->undo_ids[i], LOG_ID_BYTES);
    }
    if (place_point(replica, old.number, dir, err) < 0 || durable_make_dir(dir, err) < 0 ||
        place_point_record(replica, old.number, path, err) < 0) {
        return -1;
    }
    return place_write_record(path, &old, err);
}

/* A point of which a disk is missing is none: its file was moved away by hand, say, because it had
 * been written to. */
static int give_up_incomplete(struct commit *commit, struct error *err)
{
    for (uint32_t i = 0; i < commit->record.disk_count && commit_keeps_old(commit); i++) {
        bool is_log = commit->record.disks[i].driver == POINT_DRIVER_LOG;
        char path[PATH_TEXT_MAX];
        bool exists = false;
        if (place_point_file(commit->replica, commit->record.base, i, is_log ? "undo" : "disk",
                             path, err) < 0 ||
            durable_exists(path, &exists, err) < 0 ||
            (!exists && commit_drop_old(commit, err) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int make_point(struct commit *commit, struct error *err)
{
    struct replica *replica = commit->replica;
    char from[PATH_TEXT_MAX];
    char to[PATH_TEXT_MAX];

    if (give_up_incomplete(commit, err) < 0 || keep_old_record(commit, err) < 0 ||
        place_own(replica, "commit", from, err) < 0 || place_own(replica, "point", to, err) < 0 ||
        durable_rename(from, to, err) < 0) {
        return -1;
    }
    replica->point = commit->record;
    replica->has_point = true;
    commit->phase = PHASE_CLEAN;
    return 1;
}

/* --- cleaning -------------------------------------------------------------------------------- */

/* A disk that still bears its hidden name lies among what is about to be removed. */
static int check_none_hidden(const struct replica *replica, struct error *err)
{
    for (uint32_t i = 0; i < replica->meta.disk_count; i++) {
        char hidden[PATH_TEXT_MAX];
        bool is_hidden = false;
        if (place_work(replica, i, "applying", hidden, err) < 0 ||
            durable_exists(hidden, &is_hidden, err) < 0) {
            return -1;
        }
        if (is_hidden) {
            return fail(err, ERR_INTERNAL, 0, "%s was to be removed", hidden);
        }
    }
    return 0;
}

static int remove_names(const char *dir, const char *const *names, struct error *err)
{
    for (; *names != NULL; names++) {
        char path[PATH_TEXT_MAX];
        char aside[PATH_TEXT_MAX];
        int used = snprintf(path, sizeof path, "%s/%s", dir, *names);
        int used_aside = snprintf(aside, sizeof aside, "%s/%s.new", dir, *names);
        if (used < 0 || used_aside >= (int)sizeof aside) {
            return fail(err, ERR_USAGE, 0, "the path %s is too long", dir);
        }
        if (durable_remove(aside, err) < 0 || durable_remove(path, err) < 0) {
            return -1;
        }
    }
    return durable_remove(dir, err);
}

int commit_clean_stage(struct replica *replica, struct error *err)
{
    static const char *const names[] = {"journal", "next", NULL};
    char path[PATH_TEXT_MAX];

    if (check_none_hidden(replica, err) < 0) {
        return -1;
    }
    if (!replica->meta.is_beside) {
        return place_own(replica, "stage", path, err) < 0 ? -1 : durable_remove_tree(path, err);
    }
    for (uint32_t i = 0; i < replica->meta.disk_count; i++) {
        for (const char *const *name = names; *name != NULL; name++) {
            if (place_work(replica, i, *name, path, err) < 0 || durable_remove(path, err) < 0) {
                return -1;
            }
        }
    }
    return place_staged(replica, path, err) < 0 ? -1 : durable_remove(path, err);
}

/* Beside plain targets everything of ours goes, by name; the first one's folder, which says what
 * the others are, last. */
static int clean_beside(struct replica *replica, struct error *err)
{
    static const char *const followers[] = {"leader", NULL};
    static const char *const leaders[] = {"checkpoint", "commit", "staged", "point",
                                          "replica",    "lock",   NULL};
    char path[PATH_TEXT_MAX];

    for (uint32_t i = replica->meta.disk_count; i-- > 1;) {
        bool exists = false;
        if (place_work_dir(replica, i, path, err) < 0 || durable_exists(path, &exists, err) < 0 ||
            (exists && remove_names(path, followers, err) < 0)) {
            return -1;
        }
    }
    return remove_names(replica->path, leaders, err);
}

int commit_clean(struct replica *replica, struct error *err)
{
    if (commit_clean_stage(replica, err) < 0) {
        return -1;
    }
    return replica->meta.is_beside ? clean_beside(replica, err) : commit_prune(replica, err);
}

int commit_prune(struct replica *replica, struct error *err)
{
    uint64_t numbers[LISTING_MAX];
    char path[PATH_TEXT_MAX];
    uint32_t count = 0;

    if (listing_numbers(replica, numbers, &count, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i + replica->meta.history < count; i++) {
        if (place_point(replica, numbers[i], path, err) < 0 || durable_remove_tree(path, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- stepping -------------------------------------------------------------------------------- */

int commit_step(struct commit *commit, struct error *err)
{
    switch (commit->phase) {
    case PHASE_HIDE:
        return hide(commit, err);
    case PHASE_RECORD:
        return write_record(commit, err);
    case PHASE_APPLY:
        return apply_more(commit, err);
    case PHASE_PUBLISH:
        return publish(commit, err);
    case PHASE_POINT:
        return make_point(commit, err);
    case PHASE_CLEAN:
        return commit_clean(commit->replica, err);
    }
    return fail(err, ERR_INTERNAL, 0, "a commit without a phase");
}
