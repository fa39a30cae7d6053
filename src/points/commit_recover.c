/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * commit_recover.c - what a killed run left is finished, or taken back (commit.h). commit.c's
 * invariants are this file's.
 */
#include <string.h>

#include "points/commit_internal.h"
#include "points/durable.h"

/* The disk under whichever name it has. */
static int reopen_base(struct commit *commit, uint32_t disk, struct error *err)
{
    char path[PATH_TEXT_MAX];
    bool is_hidden = false;

    if (place_work(commit->replica, disk, "applying", path, err) < 0 ||
        durable_exists(path, &is_hidden, err) < 0 ||
        (!is_hidden && place_disk(commit->replica, disk, path, err) < 0)) {
        return -1;
    }
    struct disk_open_options options = {
        .path = path, .format = commit->record.disks[disk].format, .write = true};
    return disk_open(&options, &commit->open[disk].base, err);
}

/* Its journal, whole, as the record says. */
static int reopen_journal(struct commit *commit, uint32_t disk, struct error *err)
{
    const struct point_disk *record = &commit->record.disks[disk];
    struct log **journal = &commit->open[disk].journal;
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    CLEANUP(disk_closep) struct disk *medium = NULL;

    if (place_work_dir(commit->replica, disk, dir, err) < 0 ||
        place_work(commit->replica, disk, "journal", path, err) < 0) {
        return -1;
    }
    struct disk_open_options options = {.path = path, .format = DISK_FORMAT_RAW};
    if (disk_open_file(&options, &medium, err) < 0 ||
        log_open(medium, LOG_JOURNAL, record->size_bytes, record->log_groups, dir,
                 commit->replica->env, journal, err) < 0) {
        return -1;
    }
    (void)TAKE(medium); /* the log's now */
    if (memcmp(log_id(*journal), record->log_id, LOG_ID_BYTES) != 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the journal %s is not the one that was sealed, so the replica cannot be "
                    "finished: begin it anew in another folder",
                    path);
    }
    return 0;
}

/* Whether a run before applied this disk's journal and gave its name back. Such a file may be in
 * use, and changed, since: nothing is applied to it again. */
static int find_applied(struct commit *commit, uint32_t disk, struct error *err)
{
    char path[PATH_TEXT_MAX];
    char hidden[PATH_TEXT_MAX];
    bool is_hidden = false;

    struct sight sight;

    if (commit_look_for_hidden(commit->replica, disk, path, hidden, &is_hidden, err) < 0 ||
        commit_look_at(path, &sight, err) < 0) {
        return -1;
    }
    commit->is_applied[disk] = !is_hidden && !sight.is_block;
    return 0;
}

/* What the old point's record must say of the undo log that the run before filled. */
static int look_at_undo(struct commit *commit, uint32_t disk, struct error *err)
{
    struct error why = {0};

    if (!commit_keeps_old(commit)) {
        return 0;
    }
    if (commit_open_undo(commit, disk, &why) < 0) {
        if (why.kind == ERR_WRONG_STATE) {
            return commit_drop_old(commit, err);
        }
        *err = why;
        return -1;
    }
    uint32_t at = commit->disk;
    commit->disk = disk;
    commit_end_disk(commit);
    commit->disk = at;
    return 0;
}

static int reopen(struct commit *commit, struct error *err)
{
    for (uint32_t i = 0; i < commit->record.disk_count; i++) {
        if (commit->record.disks[i].driver != POINT_DRIVER_LOG) {
            continue;
        }
        if (find_applied(commit, i, err) < 0) {
            return -1;
        }
        int result =
            commit->is_applied[i] ? look_at_undo(commit, i, err) : reopen_base(commit, i, err);
        if (result < 0 || (!commit->is_applied[i] && reopen_journal(commit, i, err) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int roll_forward(struct replica *replica, const struct point_record *record,
                        struct error *err)
{
    const struct commit_disk none[DISKS_MAX] = {{0}};
    struct commit *commit = NULL;

    if (commit_new(replica, record, none, &commit, err) < 0) {
        return -1;
    }
    commit->is_recovery = true;
    commit->phase = PHASE_APPLY;
    int result = reopen(commit, err);
    if (result == 0) {
        do {
            result = commit_step(commit, err);
        } while (result > 0);
    }
    commit_free(commit);
    return result;
}

/* Nothing was sealed: hidden disks get their names back. */
static int unhide(struct replica *replica, struct error *err)
{
    for (uint32_t i = 0; i < replica->meta.disk_count; i++) {
        bool was_hidden = false;
        if (commit_unhide_disk(replica, i, &was_hidden, err) < 0) {
            return -1;
        }
        replica->did = was_hidden ? REPLICA_DID_KEEP_OLD : replica->did;
    }
    return 0;
}

/* A commit that was finished but for its cleaning; a stage that was not begun in earnest. */
static int clean_up_after(struct replica *replica, struct error *err)
{
    struct point_record staged;
    char path[PATH_TEXT_MAX];
    bool exists = false;
    struct error why = {0};

    if (place_staged(replica, path, err) < 0) {
        return -1;
    }
    if (place_read_record(path, &staged, &exists, &why) < 0) {
        exists = false; /* damaged: it is of no use, and costs no more than comparing again */
    }
    if (exists && !(replica->has_point && staged.number <= replica->point.number)) {
        return 0;
    }
    if ((exists || why.kind != ERR_NONE) && replica->did == REPLICA_DID_NOTHING) {
        replica->did = REPLICA_DID_CLEAN;
    }
    return commit_clean(replica, err);
}

int commit_recover(struct replica *replica, struct error *err)
{
    struct point_record sealed;
    char path[PATH_TEXT_MAX];
    bool is_sealed = false;

    replica->did = REPLICA_DID_NOTHING;
    if (place_own(replica, "commit", path, err) < 0 ||
        place_read_record(path, &sealed, &is_sealed, err) < 0) {
        return -1;
    }
    if (is_sealed) {
        replica->did = REPLICA_DID_FINISH;
        return roll_forward(replica, &sealed, err);
    }
    return unhide(replica, err) < 0 ? -1 : clean_up_after(replica, err);
}
