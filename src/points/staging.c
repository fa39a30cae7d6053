/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Invariants:
 * 1. `staged` is written before any file of the stage is, and names the driver of each disk: what
 *    an interrupted session staged is taken up only as what it was begun as.
 * 2. The present point's disk is held open for writing, so under QEMU's locks, from before the
 *    first comparison until the new point is published or given up.
 */
#include "points/staging.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/open.h"
#include "disk/format.h"
#include "disk/patient.h"
#include "disk/room.h"
#include "points/commit.h"
#include "points/durable.h"
#include "points/log_disk.h"
#include "points/place.h"

struct staging {
    struct replica *replica;    /* borrowed */
    struct point_record record; /* as far as it is known before the seal */
    bool has_base[DISKS_MAX];
    bool is_in_place[DISKS_MAX];      /* no stage: the first copy onto a block device */
    struct disk *disks[DISKS_MAX];    /* owned until taken */
    struct disk *bases[DISKS_MAX];    /* owned, for its locks; LOG: borrowed from disks[] */
    struct log *journals[DISKS_MAX];  /* LOG: borrowed from disks[], while those live */
    struct disk *patients[DISKS_MAX]; /* borrowed from disks[], while those live: wait for room */
    char dir[PATH_TEXT_MAX];
    struct commit *commit; /* owned; NULL before the seal */
};

void staging_free(struct staging *staging)
{
    if (staging == NULL) {
        return;
    }
    commit_free(staging->commit);
    for (uint32_t i = 0; i < DISKS_MAX; i++) {
        disk_close(staging->disks[i]);
        if (staging->journals[i] == NULL) { /* else the journal's disk owns it */
            disk_close(staging->bases[i]);
        }
    }
    free(staging);
}

struct disk *staging_take_disk(struct staging *staging, uint32_t disk)
{
    return TAKE(staging->disks[disk]);
}

const char *staging_dir(const struct staging *staging)
{
    return staging->dir;
}

const char *staging_driver_name(const struct staging *staging, uint32_t disk)
{
    if (staging->record.disks[disk].driver == POINT_DRIVER_LOG) {
        return "journal";
    }
    return staging->has_base[disk] ? "clone" : "new file";
}

bool staging_identity(const struct staging *staging, uint32_t disk,
                      uint8_t identity[DISK_IDENTITY_BYTES])
{
    char path[PATH_TEXT_MAX];
    struct stat status;
    unsigned len_bytes = 0;

    if (staging->record.disks[disk].driver != POINT_DRIVER_FILE ||
        place_work(staging->replica, disk, "next", path, NULL) < 0 || stat(path, &status) < 0) {
        return false;
    }
    /* Nobody else knows this file. Its inode and the time when the stage was begun tell it from any
     * other that had its name. */
    uint64_t facts[] = {staging->record.time_ns, staging->record.number, (uint64_t)status.st_dev,
                        (uint64_t)status.st_ino, disk};
    return EVP_Digest(facts, sizeof facts, identity, &len_bytes, EVP_sha256(), NULL) == 1 &&
           len_bytes == DISK_IDENTITY_BYTES;
}

uint64_t staging_groups(const struct staging *staging, uint32_t disk)
{
    const struct log *journal = staging->journals[disk];

    return journal == NULL ? 0 : log_groups_synced(journal);
}

/* What a disk waits for, for people. */
static void tell_room(const struct staging *staging, uint32_t disk, bool is_held, struct error *why)
{
    char dir[PATH_TEXT_MAX];
    struct room room;

    if (place_work_dir(staging->replica, disk, dir, why) < 0 || room_look(dir, &room, why) < 0) {
        return; /* that is what why says then */
    }
    if (is_held) {
        (void)fail(why, ERR_LIMIT, 0,
                   "too little room to begin a staged point: the file system of %s has %llu bytes "
                   "free and should have %llu; make room there",
                   dir, (unsigned long long)room.free_bytes, (unsigned long long)room.wanted_bytes);
    } else {
        (void)fail(why, ERR_LIMIT, 0,
                   "no room left for the staged point: the file system of %s has %llu bytes free; "
                   "make room there",
                   dir, (unsigned long long)room.free_bytes);
    }
}

bool staging_is_waiting(const struct staging *staging, struct error *why)
{
    if (staging->commit != NULL) {
        bool is_waiting = commit_is_waiting(staging->commit); /* the session's writes are over */
        if (is_waiting) {
            tell_room(staging, 0, false, why);
        }
        return is_waiting;
    }
    for (uint32_t i = 0; i < staging->record.disk_count; i++) {
        if (patient_is_waiting(staging->patients[i])) {
            tell_room(staging, i, patient_is_held(staging->patients[i]), why);
            return true;
        }
    }
    return false;
}

void staging_give_up(struct staging *staging)
{
    if (staging->commit != NULL) {
        commit_give_up(staging->commit);
        return;
    }
    for (uint32_t i = 0; i < staging->record.disk_count; i++) {
        patient_give_up(staging->patients[i]);
    }
}

/* --- which disks ----------------------------------------------------------------------------- */

/* A folder that nothing was copied into takes the names that the first session brings. */
static int name_disks(struct replica *replica, const struct staging_wants *wants, struct error *err)
{
    replica->meta.disk_count = wants->disk_count;
    for (uint32_t i = 0; i < wants->disk_count; i++) {
        struct meta_disk *disk = &replica->meta.disks[i];
        int used = snprintf(disk->name, sizeof disk->name, "%s", wants->disks[i].name);
        if (used >= (int)sizeof disk->name || !point_name_is_good(disk->name)) {
            replica->meta.disk_count = 0;
            return fail(err, ERR_USAGE, 0, "'%s' cannot be the name of a disk in a replica",
                        wants->disks[i].name);
        }
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(replica->meta.disks[j].name, disk->name) == 0) {
                replica->meta.disk_count = 0;
                return fail(err, ERR_USAGE, 0, "two disks of one replica are named %s", disk->name);
            }
        }
        disk->format = wants->disks[i].format;
    }
    return place_write_meta(replica, err);
}

static int check_disks(struct replica *replica, const struct staging_wants *wants,
                       struct error *err)
{
    const struct meta *meta = &replica->meta;

    if (meta->is_beside) {
        assert(meta->disk_count == wants->disk_count);
        return 0;
    }
    if (!replica->has_point) {
        return name_disks(replica, wants, err);
    }
    for (uint32_t i = 0; i < meta->disk_count || i < wants->disk_count; i++) {
        const char *has = i < meta->disk_count ? meta->disks[i].name : "none";
        const char *wanted = i < wants->disk_count ? wants->disks[i].name : "none";
        if (strcmp(has, wanted) != 0) {
            (void)fail(err, ERR_WRONG_STATE, 0,
                       "disk %u of the replica %s is %s, and %s was named: name all of its disks, "
                       "in its order (resilver replica show)",
                       i + 1, replica->path, has, wanted);
            error_set_disk(err, wanted);
            return -1;
        }
    }
    return 0;
}

/* --- taking up what is staged ---------------------------------------------------------------- */

/* Whether the record that an interrupted session left is of this point and these disks. */
static bool is_same_point(const struct staging *staging, const struct point_record *staged)
{
    const struct point_record *record = &staging->record;

    if (staged->number != record->number || staged->base != record->base ||
        staged->disk_count != record->disk_count) {
        return false;
    }
    for (uint32_t i = 0; i < record->disk_count; i++) {
        if (strcmp(staged->disks[i].name, record->disks[i].name) != 0 ||
            staged->disks[i].size_bytes != record->disks[i].size_bytes ||
            staged->disks[i].format != record->disks[i].format) {
            return false;
        }
    }
    return true;
}

/* Whether what it staged is of use, and all there. */
static int fits(const struct staging *staging, const struct point_record *staged, bool *out,
                struct error *err)
{
    char path[PATH_TEXT_MAX];
    bool is_whole = is_same_point(staging, staged);

    for (uint32_t i = 0; is_whole && i < staged->disk_count; i++) {
        bool is_log = staged->disks[i].driver == POINT_DRIVER_LOG;
        if (place_work(staging->replica, i, is_log ? "journal" : "next", path, err) < 0 ||
            durable_exists(path, &is_whole, err) < 0) {
            return -1;
        }
    }
    *out = is_whole;
    return 0;
}

static int take_up(struct staging *staging, bool *out_taken, struct error *err)
{
    struct point_record staged;
    struct error why = {0};
    char path[PATH_TEXT_MAX];
    bool exists = false;

    *out_taken = false;
    if (place_staged(staging->replica, path, err) < 0) {
        return -1;
    }
    if (place_read_record(path, &staged, &exists, &why) < 0) {
        exists = false; /* damaged: what is staged is compared and sent again */
    }
    if (exists && fits(staging, &staged, out_taken, err) < 0) {
        return -1;
    }
    if (*out_taken) {
        staging->record = staged;
    }
    return 0;
}

/* --- opening --------------------------------------------------------------------------------- */

/* The present point's disk, under QEMU's locks. */
static int open_base(struct staging *staging, uint32_t disk, struct error *err)
{
    char path[PATH_TEXT_MAX];

    if (place_disk(staging->replica, disk, path, err) < 0) {
        return -1;
    }
    struct disk_open_options options = {
        .path = path, .format = staging->replica->meta.disks[disk].format, .write = true};
    return disk_open(&options, &staging->bases[disk], err);
}

/* The clone has the owner and the rights of the file whose place it will take. */
static int clone_file(const char *from, const char *to, struct error *err)
{
    struct stat status;
    int source = open_path(from, O_RDONLY);
    int target = open_at(AT_FDCWD, to, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    int result = 0;

    if (source < 0 || target < 0 || fstat(source, &status) < 0) {
        result = fail(err, ERR_IO, errno, "cannot make %s", to);
    } else if (ioctl(target, FICLONE, source) < 0) {
        result = fail(err, ERR_USAGE, errno, "%s cannot be cloned", from);
    } else if (fchown(target, status.st_uid, status.st_gid) < 0 ||
               fchmod(target, status.st_mode & 07777) < 0 || fsync(target) < 0) {
        result = fail(err, ERR_IO, errno, "cannot make %s like %s", to, from);
    }
    if (source >= 0) {
        (void)close(source);
    }
    if (target >= 0) {
        (void)close(target);
    }
    return result;
}

/* Whether the file system makes clones, found out by making this one. */
static int try_clone(struct staging *staging, uint32_t disk, bool *out_cloned, struct error *err)
{
    char path[PATH_TEXT_MAX];
    char next[PATH_TEXT_MAX];
    struct error why = {0};

    *out_cloned = false;
    if (staging->record.disks[disk].format != DISK_FORMAT_RAW) {
        return 0; /* an image may name others, relative to where it is */
    }
    if (place_disk(staging->replica, disk, path, err) < 0 ||
        place_work(staging->replica, disk, "next", next, err) < 0 ||
        durable_remove(next, err) < 0) {
        return -1;
    }
    FAILPOINT("staging.clone.before");
    *out_cloned = clone_file(path, next, &why) == 0;
    FAILPOINT("staging.clone.after");
    if (!*out_cloned && durable_remove(next, err) < 0) {
        return -1;
    }
    if (!*out_cloned && why.kind != ERR_USAGE) {
        *err = why;
        return -1;
    }
    return 0;
}

/*
 * The first copy onto a block device that the operator put there: no point of it is worth keeping,
 * and a journal would take the room of the whole device. It is written in place, and the replica is
 * empty, in every interface, until its first point is committed.
 */
static int look_in_place(struct staging *staging, uint32_t disk, struct error *err)
{
    const struct replica *replica = staging->replica;
    char path[PATH_TEXT_MAX];
    struct stat status;

    if (replica->meta.is_beside || replica->has_point) {
        return 0;
    }
    if (place_disk(replica, disk, path, err) < 0) {
        return -1;
    }
    if (stat(path, &status) < 0) {
        return fail(err, ERR_IO, errno, "cannot look at %s", path);
    }
    staging->is_in_place[disk] = S_ISBLK(status.st_mode);
    return 0;
}

static int choose_driver(struct staging *staging, uint32_t disk, struct error *err)
{
    struct point_disk *record = &staging->record.disks[disk];
    bool cloned = false;

    if (!staging->has_base[disk]) {
        record->driver = POINT_DRIVER_FILE;
        return 0;
    }
    if (staging->is_in_place[disk]) {
        cloned = true; /* what is written is what is published */
    } else if (try_clone(staging, disk, &cloned, err) < 0) {
        return -1;
    }
    record->driver = cloned ? POINT_DRIVER_FILE : POINT_DRIVER_LOG;
    if (!cloned && staging->bases[disk]->size_bytes != record->size_bytes) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s must change its size, which a journal cannot do: change it with the tool "
                    "that made it, or write in place with --in-place",
                    staging->bases[disk]->name);
    }
    return 0;
}

/* What the session writes to waits for room. */
static int patient_wrap(struct staging *staging, uint32_t disk, struct error *err)
{
    struct disk *patient = NULL;

    if (patient_new(staging->disks[disk], staging->replica->env, &patient, err) < 0) {
        return -1;
    }
    staging->disks[disk] = patient;
    staging->patients[disk] = patient;
    return 0;
}

static int open_file(struct staging *staging, const struct staging_wants *wants, uint32_t disk,
                     struct error *err)
{
    char next[PATH_TEXT_MAX];
    bool is_new = !staging->has_base[disk];

    if (place_work(staging->replica, disk, "next", next, err) < 0) {
        return -1;
    }
    if (staging->is_in_place[disk]) {
        staging->disks[disk] = TAKE(staging->bases[disk]);
        return patient_wrap(staging, disk, err);
    }
    struct disk_open_options options = {.path = next,
                                        .format = staging->record.disks[disk].format,
                                        .write = true,
                                        .create = is_new || wants->create,
                                        .shrink = is_new || wants->shrink,
                                        .size_bytes = wants->disks[disk].size_bytes};
    return disk_open(&options, &staging->disks[disk], err) < 0 ? -1
                                                               : patient_wrap(staging, disk, err);
}

static int open_journal(struct staging *staging, uint32_t disk, bool is_taken, struct log **out,
                        struct error *err)
{
    uint64_t size_bytes = staging->bases[disk]->size_bytes;
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    CLEANUP(disk_closep) struct disk *file = NULL;
    CLEANUP(disk_closep) struct disk *medium = NULL;
    struct error why = {0};

    if (place_work_dir(staging->replica, disk, dir, err) < 0 ||
        place_work(staging->replica, disk, "journal", path, err) < 0 ||
        (!is_taken && durable_remove(path, err) < 0)) {
        return -1;
    }
    struct disk_open_options options = {.path = path,
                                        .format = DISK_FORMAT_RAW,
                                        .write = true,
                                        .create = true,
                                        .size_bytes = log_medium_bytes(size_bytes)};
    if (disk_open_file(&options, &file, err) < 0 ||
        patient_new(file, staging->replica->env, &medium, err) < 0) {
        return -1;
    }
    (void)TAKE(file); /* the patient one's now */
    staging->patients[disk] = medium;
    int result = is_taken ? log_open(medium, LOG_JOURNAL, size_bytes, 0, dir, staging->replica->env,
                                     out, &why)
                          : -1;
    if (is_taken && result < 0 && why.kind != ERR_WRONG_STATE) {
        *err = why;
        return -1;
    }
    /* A journal that is damaged, or was never begun, is begun anew: nothing of it was sealed. */
    if (result < 0 &&
        log_create(medium, LOG_JOURNAL, size_bytes, dir, staging->replica->env, out, err) < 0) {
        return -1;
    }
    (void)TAKE(medium); /* the log's now */
    return 0;
}

static int open_log(struct staging *staging, uint32_t disk, bool is_taken, struct error *err)
{
    struct disk *base = staging->bases[disk];
    struct log *journal = NULL;

    if (open_journal(staging, disk, is_taken, &journal, err) < 0) {
        return -1;
    }
    if (log_disk_new(base, base->size_bytes, &journal, 1, true, base->name, &staging->disks[disk],
                     err) < 0) {
        log_free(journal);
        disk_close(base);
        staging->bases[disk] = NULL;
        return -1;
    }
    staging->journals[disk] = journal;
    return 0;
}

static int fail_disk(const struct staging *staging, uint32_t disk, struct error *err)
{
    error_set_disk(err, staging->replica->meta.disks[disk].name);
    return -1;
}

/* A link's target would stay reachable under its own name while it is changed. */
static int refuse_link(const char *path, struct error *err)
{
    struct stat status;

    if (lstat(path, &status) < 0) {
        return errno == ENOENT ? 0 : fail(err, ERR_IO, errno, "cannot look at %s", path);
    }
    if (!S_ISLNK(status.st_mode)) {
        return 0;
    }
    if (stat(path, &status) < 0) {
        return fail(err, ERR_IO, errno,
                    "%s is a symbolic link, and what it leads to cannot be looked at (links to "
                    "block devices are fine)",
                    path);
    }
    return S_ISBLK(status.st_mode)
               ? 0
               : fail(err, ERR_WRONG_STATE, 0,
                      "%s is a symbolic link to a file: put the file itself there (links to block "
                      "devices are fine)",
                      path);
}

/* One disk of the present point, if there is one. */
static int look_at_base(struct staging *staging, const struct staging_wants *wants, uint32_t disk,
                        struct error *err)
{
    const struct replica *replica = staging->replica;
    uint64_t must_bytes = wants->disks[disk].size_bytes;
    char path[PATH_TEXT_MAX];

    if (place_disk(replica, disk, path, err) < 0 || refuse_link(path, err) < 0 ||
        durable_exists(path, &staging->has_base[disk], err) < 0) {
        return -1;
    }
    if (!staging->has_base[disk]) {
        return !replica->has_point && wants->create
                   ? 0
                   : fail(err, ERR_WRONG_STATE, 0, "%s does not exist; %s", path,
                          replica->has_point ? "put it back, or begin a replica in another folder"
                                             : "check its name, or have it made with --create");
    }
    if (open_base(staging, disk, err) < 0 || look_in_place(staging, disk, err) < 0) {
        return -1;
    }
    uint64_t has_bytes = staging->bases[disk]->size_bytes;
    bool fits_in = has_bytes == must_bytes || (wants->create && has_bytes < must_bytes) ||
                   (wants->shrink && has_bytes > must_bytes);
    if (!fits_in) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the target %s has %llu bytes and its source %llu: they must be of the same "
                    "size (a target file is made to fit with --create, cut with --create --yes)",
                    path, (unsigned long long)has_bytes, (unsigned long long)must_bytes);
    }
    return 0;
}

/* What is there of the present point, and what the record can say before it is sealed. */
static int look_at_bases(struct staging *staging, const struct staging_wants *wants,
                         struct error *err)
{
    const struct replica *replica = staging->replica;
    struct point_record *record = &staging->record;

    *record = (struct point_record){
        .number = replica->has_point ? replica->point.number + 1 : 1,
        .base = replica->has_point ? replica->point.number : 0,
        .time_ns = env_system_wall_ns(),
        .disk_count = replica->meta.disk_count,
    };
    for (uint32_t i = 0; i < record->disk_count; i++) {
        struct point_disk *disk = &record->disks[i];
        (void)snprintf(disk->name, sizeof disk->name, "%s", replica->meta.disks[i].name);
        disk->format = replica->meta.disks[i].format;
        if (disk->format == DISK_FORMAT_INVALID) {
            disk->format = format_by_name(disk->name);
        }
        disk->size_bytes = wants->disks[i].size_bytes;
        disk->driver = POINT_DRIVER_LOG;
        if (look_at_base(staging, wants, i, err) < 0) {
            return fail_disk(staging, i, err);
        }
    }
    return 0;
}

static int make_dirs(const struct staging *staging, struct error *err)
{
    char dir[PATH_TEXT_MAX];

    for (uint32_t i = 0; i < staging->record.disk_count; i++) {
        if (place_work_dir(staging->replica, i, dir, err) < 0 || durable_make_dir(dir, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int open_disks(struct staging *staging, const struct staging_wants *wants, bool is_taken,
                      struct error *err)
{
    for (uint32_t i = 0; i < staging->record.disk_count; i++) {
        bool is_log = staging->record.disks[i].driver == POINT_DRIVER_LOG;
        int result =
            is_log ? open_log(staging, i, is_taken, err) : open_file(staging, wants, i, err);
        if (result < 0) {
            return fail_disk(staging, i, err);
        }
    }
    return 0;
}

static int begin(struct staging *staging, struct error *err)
{
    char path[PATH_TEXT_MAX];

    if (commit_clean_stage(staging->replica, err) < 0 || make_dirs(staging, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < staging->record.disk_count; i++) {
        if (choose_driver(staging, i, err) < 0) {
            return fail_disk(staging, i, err);
        }
    }
    return place_staged(staging->replica, path, err) < 0
               ? -1
               : place_write_record(path, &staging->record, err);
}

/* What is taken up is not asked for more than it writes: it may be all there already. */
static int demand_room(struct staging *staging, struct error *err)
{
    char dir[PATH_TEXT_MAX];

    for (uint32_t i = 0; i < staging->record.disk_count; i++) {
        if (!staging->is_in_place[i] && (place_work_dir(staging->replica, i, dir, err) < 0 ||
                                         patient_demand_room(staging->patients[i], dir, err) < 0)) {
            return fail_disk(staging, i, err);
        }
    }
    return 0;
}

static int open_stage(struct staging *staging, const struct staging_wants *wants, bool *out_begun,
                      struct error *err)
{
    bool is_taken = false;

    if (check_disks(staging->replica, wants, err) < 0 || look_at_bases(staging, wants, err) < 0 ||
        take_up(staging, &is_taken, err) < 0) {
        return -1;
    }
    *out_begun = !is_taken;
    return (!is_taken && begin(staging, err) < 0) ||
                   open_disks(staging, wants, is_taken, err) < 0 ||
                   (!is_taken && demand_room(staging, err) < 0)
               ? -1
               : place_work_dir(staging->replica, 0, staging->dir, err);
}

/* What this run began goes; what an interrupted one staged stays for the next: the disk may only be
 * in use now. Why it failed is the one to tell, and what cannot be removed is harmless. */
static void clean_up(struct replica *replica, bool was_begun)
{
    char path[PATH_TEXT_MAX];
    bool has_stage = false;

    if (!was_begun && (place_staged(replica, path, NULL) < 0 ||
                       durable_exists(path, &has_stage, NULL) < 0 || has_stage)) {
        return;
    }
    if (commit_clean(replica, NULL) < 0) {
        return;
    }
}

int staging_open(struct replica *replica, const struct staging_wants *wants, struct staging **out,
                 struct error *err)
{
    struct staging *staging = calloc(1, sizeof *staging);
    bool is_begun = false;

    if (staging == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a staged point");
    }
    staging->replica = replica;
    if (open_stage(staging, wants, &is_begun, err) < 0) {
        staging_free(staging);
        clean_up(replica, is_begun);
        return -1;
    }
    *out = staging;
    return 0;
}

/* --- committing ------------------------------------------------------------------------------ */

static int seal(struct staging *staging, const uint8_t (*proofs)[PROOF_BYTES],
                const struct proof_segments *segments, struct error *err)
{
    struct commit_disk open[DISKS_MAX] = {{0}};
    struct point_record record = staging->record;

    record.time_ns = env_system_wall_ns();
    record.segments = *segments;
    for (uint32_t i = 0; i < record.disk_count; i++) {
        memcpy(record.disks[i].proof, proofs[i], PROOF_BYTES);
        if (record.disks[i].driver == POINT_DRIVER_LOG) {
            record.disks[i].log_groups = log_groups_synced(staging->journals[i]);
            memcpy(record.disks[i].log_id, log_id(staging->journals[i]), LOG_ID_BYTES);
            open[i] = (struct commit_disk){staging->bases[i], staging->journals[i]};
        }
    }
    return commit_new(staging->replica, &record, open, &staging->commit, err);
}

int staging_commit(struct staging *staging, const uint8_t (*proofs)[PROOF_BYTES],
                   const struct proof_segments *segments, struct error *err)
{
    if (staging->commit == NULL && seal(staging, proofs, segments, err) < 0) {
        return -1;
    }
    return commit_step(staging->commit, err);
}
