/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/replica.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/open.h"
#include "points/checkpoint_file.h"
#include "points/commit.h"
#include "points/durable.h"
#include "points/listing.h"
#include "points/place.h"

/* --- opening --------------------------------------------------------------------------------- */

static struct replica *replica_new(const char *path, const struct env *env, struct error *err)
{
    struct replica *replica = calloc(1, sizeof *replica);

    if (replica == NULL) {
        (void)fail(err, ERR_LIMIT, 0, "out of memory opening the replica %s", path);
        return NULL;
    }
    replica->lock_fd = -1;
    replica->env = env;
    int used = snprintf(replica->path, sizeof replica->path, "%s", path);
    if (used >= (int)sizeof replica->path) {
        (void)fail(err, ERR_USAGE, 0, "the replica's path is too long");
        free(replica);
        return NULL;
    }
    while (used > 1 && replica->path[used - 1] == '/') {
        replica->path[--used] = '\0';
    }
    return replica;
}

void replica_close(struct replica *replica)
{
    if (replica == NULL) {
        return;
    }
    if (replica->lock_fd >= 0) {
        (void)close(replica->lock_fd); /* lets the lock go */
    }
    free(replica);
}

static void replica_closep(struct replica **replica)
{
    replica_close(*replica);
    *replica = NULL;
}

static int lock(struct replica *replica, struct error *err)
{
    char path[PATH_TEXT_MAX];

    if (place_own(replica, "lock", path, err) < 0) {
        return -1;
    }
    replica->lock_fd = open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (replica->lock_fd < 0) {
        return fail(err, ERR_IO, errno, "cannot lock the replica %s", replica->path);
    }
    if (flock(replica->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        return errno == EWOULDBLOCK
                   ? fail(err, ERR_WRONG_STATE, 0,
                          "somebody else is at work on the replica %s: wait until it is done",
                          replica->path)
                   : fail(err, ERR_IO, errno, "cannot lock the replica %s", replica->path);
    }
    return 0;
}

static int read_meta(struct replica *replica, bool *out_exists, struct error *err)
{
    char path[PATH_TEXT_MAX];
    uint8_t *buffer = malloc(META_MAX);
    struct error why = {0};
    size_t len_bytes = 0;

    if (buffer == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory opening the replica %s", replica->path);
    }
    int result = place_own(replica, "replica", path, err);
    if (result == 0) {
        result = durable_read(path, (struct span){buffer, META_MAX}, &len_bytes, out_exists, err);
    }
    if (result == 0 && *out_exists &&
        meta_decode((struct const_span){buffer, len_bytes}, &replica->meta, &why) < 0) {
        result = fail(err, why.kind, 0, "%s: %s", path, why.message);
    }
    free(buffer);
    return result;
}

static int read_point(struct replica *replica, struct error *err)
{
    char path[PATH_TEXT_MAX];

    return place_own(replica, "point", path, err) < 0
               ? -1
               : place_read_record(path, &replica->point, &replica->has_point, err);
}

static int fail_no_replica(const char *path, struct error *err)
{
    struct stat status;

    if (stat(path, &status) < 0) {
        return fail(err, ERR_IO, errno,
                    "there is no replica at %s; sync --create makes one, and so does resilver "
                    "replica init",
                    path);
    }
    return fail(err, ERR_WRONG_STATE, 0,
                "%s is not a replica: it has no file named `replica`; name the folder that "
                "resilver sync made",
                path);
}

/* Its own path may not be a link: who can change the link could put another replica there. */
static int check_folder(const struct replica *replica, struct error *err)
{
    struct stat status;

    if (lstat(replica->path, &status) < 0) {
        return fail(err, ERR_IO, errno, "cannot look at the replica %s", replica->path);
    }
    if (!S_ISLNK(status.st_mode)) {
        return durable_check_dir(replica->path, err);
    }
    char *whole = realpath(replica->path, NULL);
    if (whole == NULL) {
        return fail(err, ERR_IO, errno, "cannot follow the symbolic link %s", replica->path);
    }
    (void)fail(err, ERR_WRONG_STATE, 0,
               "%.250s is a symbolic link to the replica: name the folder itself, %.250s",
               replica->path, whole);
    free(whole);
    return -1;
}

/* A recovery changes what was read. */
static int recover(struct replica *replica, struct error *err)
{
    if (commit_recover(replica, err) < 0) {
        return -1;
    }
    return read_point(replica, err);
}

int replica_open(const char *path, const struct env *env, struct replica **out, struct error *err)
{
    CLEANUP(replica_closep) struct replica *replica = replica_new(path, env, err);
    bool exists = false;

    if (replica == NULL || read_meta(replica, &exists, err) < 0) {
        return -1;
    }
    if (!exists) {
        return fail_no_replica(path, err);
    }
    if (replica->meta.is_beside) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is not a replica: it belongs to the target beside it; name that", path);
    }
    /* Once more under the lock: it may have been changed meanwhile. */
    if (check_folder(replica, err) < 0 || lock(replica, err) < 0 ||
        read_meta(replica, &exists, err) < 0 || read_point(replica, err) < 0 ||
        recover(replica, err) < 0) {
        return -1;
    }
    *out = TAKE(replica);
    return 0;
}

enum replica_did replica_recovered(const struct replica *replica)
{
    return replica->did;
}

/* --- making ---------------------------------------------------------------------------------- */

static int check_empty(const char *path, struct error *err)
{
    DIR *dir = opendir(path);
    bool is_empty = true;

    if (dir == NULL) {
        return fail(err, ERR_IO, errno, "cannot look into %s", path);
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        is_empty =
            is_empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    }
    (void)closedir(dir);
    return is_empty ? 0
                    : fail(err, ERR_WRONG_STATE, 0,
                           "%s is not empty and not a replica: name another folder", path);
}

int replica_make(const char *path, uint32_t history, struct error *err)
{
    CLEANUP(replica_closep) struct replica *replica = replica_new(path, NULL, err);
    char disks[PATH_TEXT_MAX];
    bool exists = false;

    assert(history <= REPLICA_HISTORY_MAX);
    if (replica == NULL || durable_make_dir(replica->path, err) < 0 ||
        read_meta(replica, &exists, err) < 0) {
        return -1;
    }
    if (exists) {
        return 0;
    }
    if (check_empty(replica->path, err) < 0 || place_own(replica, "disks", disks, err) < 0 ||
        durable_make_dir(disks, err) < 0) {
        return -1;
    }
    replica->meta.history = history;
    return place_write_meta(replica, err);
}

/* --- beside plain targets -------------------------------------------------------------------- */

static int set_beside(struct replica *replica, const char *const *paths,
                      const enum disk_format *formats, uint32_t count, struct error *err)
{
    replica->meta = (struct meta){.is_beside = true, .disk_count = count};
    for (uint32_t i = 0; i < count; i++) {
        struct meta_disk *disk = &replica->meta.disks[i];
        const char *slash = strrchr(paths[i], '/');
        assert(slash != NULL);
        (void)snprintf(disk->name, sizeof disk->name, "%s", slash + 1);
        int used = snprintf(disk->path, sizeof disk->path, "%s", paths[i]);
        if (used >= (int)sizeof disk->path || !point_name_is_good(disk->name)) {
            return fail(err, ERR_USAGE, 0, "%s cannot be a target", paths[i]);
        }
        disk->format = formats[i];
    }
    return 0;
}

static bool is_same_set(const struct meta *meta, const char *const *paths, uint32_t count)
{
    if (!meta->is_beside || meta->disk_count != count) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(meta->disks[i].path, paths[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* The other disks' state folders say where the first one's is. */
static int write_leaders(const struct replica *replica, struct error *err)
{
    for (uint32_t i = 1; i < replica->meta.disk_count; i++) {
        char dir[PATH_TEXT_MAX];
        char path[PATH_TEXT_MAX];
        struct const_span leader = {(const uint8_t *)replica->path, strlen(replica->path)};
        if (place_work_dir(replica, i, dir, err) < 0 || durable_make_dir(dir, err) < 0 ||
            place_work(replica, i, "leader", path, err) < 0 ||
            durable_write(path, leader, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Opens what lies in a state folder, under its lock; *out_exists false: nothing of a replica. */
static int open_state(const char *dir, const struct env *env, struct replica **out,
                      bool *out_exists, struct error *err)
{
    CLEANUP(replica_closep) struct replica *replica = replica_new(dir, env, err);

    if (replica == NULL || durable_make_dir(replica->path, err) < 0 || lock(replica, err) < 0 ||
        read_meta(replica, out_exists, err) < 0 || read_point(replica, err) < 0) {
        return -1;
    }
    *out = TAKE(replica);
    return 0;
}

int replica_open_beside(const char *const *paths, const enum disk_format *formats, uint32_t count,
                        const struct env *env, struct replica **out, struct error *err)
{
    CLEANUP(replica_closep) struct replica *replica = NULL;
    char dir[PATH_TEXT_MAX];
    struct replica_recovery recovery;
    bool exists = false;

    for (uint32_t i = 0; i < count; i++) {
        if (replica_recover_beside(paths[i], false, env, &recovery, err) < 0) {
            return -1;
        }
    }
    checkpoint_dir_for(paths[0], dir);
    if (dir[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "%s can have no state folder, and so cannot be staged",
                    paths[0]);
    }
    if (open_state(dir, env, &replica, &exists, err) < 0) {
        return -1;
    }
    if (exists && !is_same_set(&replica->meta, paths, count)) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is half staged together with other disks: run the command that was "
                    "interrupted again, or drop what is staged with resilver recover --drop %s",
                    paths[0], paths[0]);
    }
    if (!exists && (set_beside(replica, paths, formats, count, err) < 0 ||
                    place_write_meta(replica, err) < 0)) {
        return -1;
    }
    if (write_leaders(replica, err) < 0) {
        return -1;
    }
    *out = TAKE(replica);
    return 0;
}

static int put_name(const char *dir, const char *name, char out[PATH_TEXT_MAX], struct error *err)
{
    int used = snprintf(out, PATH_TEXT_MAX, "%s/%s", dir, name);

    return used > 0 && used < (int)PATH_TEXT_MAX
               ? 0
               : fail(err, ERR_USAGE, 0, "the path %.200s... is too long", dir);
}

/* Where a state folder says that its group's first one is; itself if it says nothing. */
static int follow_leader(const char *dir, char out[PATH_TEXT_MAX], struct error *err)
{
    char path[PATH_TEXT_MAX];
    uint8_t text[PATH_TEXT_MAX] = {0};
    size_t len_bytes = 0;
    bool has_leader = false;

    if (put_name(dir, "leader", path, err) < 0 ||
        durable_read(path, (struct span){text, sizeof text - 1}, &len_bytes, &has_leader, err) <
            0 ||
        (has_leader && durable_check_dir(dir, err) < 0)) {
        return -1;
    }
    (void)snprintf(out, PATH_TEXT_MAX, "%s", has_leader ? (const char *)text : dir);
    return 0;
}

/* The state folder of a plain target: its own, or that of the first of its group. */
static int find_state(const char *path, char out[PATH_TEXT_MAX], bool *out_exists,
                      struct error *err)
{
    char dir[PATH_TEXT_MAX];
    char meta[PATH_TEXT_MAX];

    *out_exists = false;
    checkpoint_dir_for(path, dir);
    if (dir[0] == '\0') {
        return 0;
    }
    return follow_leader(dir, out, err) < 0 || put_name(out, "replica", meta, err) < 0
               ? -1
               : durable_exists(meta, out_exists, err);
}

int replica_recover_beside(const char *path, bool drop, const struct env *env,
                           struct replica_recovery *out, struct error *err)
{
    CLEANUP(replica_closep) struct replica *replica = NULL;
    struct replica_recovery done = {.did = REPLICA_DID_NOTHING};
    char dir[PATH_TEXT_MAX];
    bool exists = false;

    if (find_state(path, dir, &exists, err) < 0) {
        return -1;
    }
    if (!exists) {
        *out = done;
        return 0;
    }
    if (durable_check_dir(dir, err) < 0 || open_state(dir, env, &replica, &exists, err) < 0) {
        return -1;
    }
    if (!exists || !replica->meta.is_beside) {
        *out = done;
        return 0;
    }
    char staged[PATH_TEXT_MAX];
    bool is_left = false;
    if (recover(replica, err) < 0 || place_staged(replica, staged, err) < 0 ||
        durable_exists(staged, &done.has_stage, err) < 0 ||
        (drop && durable_exists(dir, &is_left, err) < 0) ||
        (is_left && commit_clean(replica, err) < 0)) {
        return -1;
    }
    done.did = replica->did;
    done.is_dropped = drop && done.has_stage;
    done.has_stage = done.has_stage && !drop;
    *out = done;
    return 0;
}

/* --- looking --------------------------------------------------------------------------------- */

bool replica_is_folder(const char *path)
{
    char at[PATH_TEXT_MAX];
    struct stat status;
    int used = snprintf(at, sizeof at, "%s/replica", path);

    return used > 0 && used < (int)sizeof at && stat(at, &status) == 0 && S_ISREG(status.st_mode);
}

static bool is_locked(const struct replica *replica)
{
    char path[PATH_TEXT_MAX];

    if (replica->lock_fd >= 0 || place_own(replica, "lock", path, NULL) < 0) {
        return false;
    }
    int fd = open_path(path, O_RDONLY | O_NOFOLLOW);
    if (fd < 0) {
        return false;
    }
    bool is_held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    (void)close(fd);
    return is_held;
}

static int fill_stage(const struct replica *replica, struct replica_info *info, struct error *err)
{
    char path[PATH_TEXT_MAX];

    if (place_staged(replica, path, err) < 0 || durable_exists(path, &info->has_stage, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < replica->meta.disk_count && info->has_stage; i++) {
        if (place_work(replica, i, "journal", path, err) < 0) {
            return -1;
        }
        info->staged_bytes += place_cost_bytes(path);
    }
    return 0;
}

int replica_get_info(struct replica *replica, struct replica_info *out, struct error *err)
{
    char path[PATH_TEXT_MAX];
    bool is_sealed = false;

    *out = (struct replica_info){.history = replica->meta.history,
                                 .disk_count = replica->meta.disk_count,
                                 .is_beside = replica->meta.is_beside,
                                 .is_locked = is_locked(replica)};
    (void)snprintf(out->path, sizeof out->path, "%s", replica->path);
    if (place_own(replica, "commit", path, err) < 0 || durable_exists(path, &is_sealed, err) < 0 ||
        fill_stage(replica, out, err) < 0 || listing_points(replica, out, err) < 0) {
        return -1;
    }
    out->state = is_sealed            ? REPLICA_UNFINISHED
                 : replica->has_point ? REPLICA_WHOLE
                                      : REPLICA_EMPTY;
    for (uint32_t i = 0; i < out->disk_count; i++) {
        (void)snprintf(out->disks[i].name, sizeof out->disks[i].name, "%s",
                       replica->meta.disks[i].name);
        out->disks[i].format = replica->meta.disks[i].format;
        if (replica->has_point && i < replica->point.disk_count) {
            out->disks[i] = replica->point.disks[i];
        }
    }
    if (replica->has_point) {
        out->present = (struct replica_point){.number = replica->point.number,
                                              .time_ns = replica->point.time_ns};
    }
    return 0;
}

int replica_look(const char *path, struct replica_info *out, struct error *err)
{
    CLEANUP(replica_closep) struct replica *replica = replica_new(path, NULL, err);
    bool exists = false;

    if (replica == NULL || read_meta(replica, &exists, err) < 0) {
        return -1;
    }
    if (!exists) {
        return fail_no_replica(path, err);
    }
    return read_point(replica, err) < 0 ? -1 : replica_get_info(replica, out, err);
}

int replica_for_each(const char *root, replica_visit *visit, void *context, struct error *err)
{
    struct dirent **entries = NULL;
    int count = scandir(root, &entries, NULL, alphasort);
    int result = 0;

    if (count < 0) {
        return fail(err, ERR_IO, errno, "cannot look into %s", root);
    }
    for (int i = 0; i < count; i++) {
        char path[PATH_TEXT_MAX];
        int used = snprintf(path, sizeof path, "%s/%s", root, entries[i]->d_name);
        if (result == 0 && entries[i]->d_name[0] != '.' && used < (int)sizeof path &&
            replica_is_folder(path)) {
            result = visit(context, path, err);
        }
        free(entries[i]);
    }
    free(entries);
    return result;
}

/* --- changing -------------------------------------------------------------------------------- */

int replica_set_history(struct replica *replica, uint32_t history, struct error *err)
{
    if (history > REPLICA_HISTORY_MAX) {
        return fail(err, ERR_USAGE, 0, "a replica keeps at most %u points", REPLICA_HISTORY_MAX);
    }
    replica->meta.history = history;
    return place_write_meta(replica, err) < 0 ? -1 : commit_prune(replica, err);
}

int replica_abandon_stage(struct replica *replica, struct error *err)
{
    return commit_clean(replica, err);
}

int replica_drop_point(struct replica *replica, uint64_t number, struct error *err)
{
    uint64_t numbers[LISTING_MAX];
    char path[PATH_TEXT_MAX];
    uint32_t count = 0;
    uint32_t at = 0;

    if (listing_numbers(replica, numbers, &count, err) < 0) {
        return -1;
    }
    while (at < count && numbers[at] != number) {
        at++;
    }
    if (at == count) {
        return fail(err, ERR_USAGE, 0, "%s keeps no point %llu", replica->path,
                    (unsigned long long)number);
    }
    for (uint32_t i = 0; i <= at; i++) {
        /* Those before it see through its undo logs. */
        if (place_point(replica, numbers[i], path, err) < 0 || durable_remove_tree(path, err) < 0) {
            return -1;
        }
    }
    return 0;
}
