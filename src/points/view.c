/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/view.h"

#include <assert.h>
#include <string.h>

#include "points/listing.h"

void view_close(struct view *view)
{
    disk_close(view->disk);
    *view = (struct view){0};
}

int view_record(const struct replica *replica, uint64_t number, struct point_record *out,
                struct error *err)
{
    bool exists = false;

    if (number == 0 && !replica->has_point) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the replica %s has no point yet: no copy was ever completed", replica->path);
    }
    if (number == 0 || (replica->has_point && number == replica->point.number)) {
        *out = replica->point;
        return 0;
    }
    if (place_read_point(replica, number, out, &exists, err) < 0) {
        return -1;
    }
    return exists ? 0
                  : fail(err, ERR_USAGE, 0,
                         "the replica %s keeps no point %llu (resilver replica points shows which "
                         "it keeps)",
                         replica->path, (unsigned long long)number);
}

/* A disk's undo log at one point. */
static int open_undo(const struct replica *replica, const struct point_record *record,
                     uint32_t disk, struct log **out, struct error *err)
{
    const struct point_disk *kept = &record->disks[disk];
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    CLEANUP(disk_closep) struct disk *medium = NULL;

    if (place_point(replica, record->number, dir, err) < 0 ||
        place_point_file(replica, record->number, disk, "undo", path, err) < 0) {
        return -1;
    }
    struct disk_open_options options = {.path = path, .format = DISK_FORMAT_RAW};
    if (disk_open_file(&options, &medium, err) < 0 ||
        log_open(medium, LOG_UNDO, kept->size_bytes, kept->log_groups, dir, replica->env, out,
                 err) < 0) {
        return -1;
    }
    (void)TAKE(medium); /* the log's now */
    if (memcmp(log_id(*out), kept->log_id, LOG_ID_BYTES) != 0) {
        log_free(*out);
        *out = NULL;
        return fail(err, ERR_WRONG_STATE, 0, "%s is not the undo log of its point", path);
    }
    return 0;
}

static int open_plain(const char *path, enum disk_format format, struct disk **out,
                      struct error *err)
{
    struct disk_open_options options = {.path = path, .format = format};

    return disk_open(&options, out, err);
}

/* The clone of a point, or for number 0 the present disk. */
static int open_base(const struct replica *replica, uint64_t number, uint32_t disk,
                     struct disk **out, struct error *err)
{
    char path[PATH_TEXT_MAX];
    int result = number == 0 ? place_disk(replica, disk, path, err)
                             : place_point_file(replica, number, disk, "disk", path, err);

    return result < 0 ? -1 : open_plain(path, replica->point.disks[disk].format, out, err);
}

/* A point is seen through all those after it: none may be missing. */
static int check_follows(const struct replica *replica, uint64_t before, uint64_t base,
                         struct error *err)
{
    if (before == 0 || base == before) {
        return 0;
    }
    return fail(
        err, ERR_WRONG_STATE, 0,
        "a point of the replica %s between %llu and the present one is missing, so what was "
        "before it cannot be seen",
        replica->path, (unsigned long long)before);
}

/* The undo logs from this point on, up to the next clone or the present disk; *out_base is that
 * clone's point, 0 for the present disk. */
static int collect(const struct replica *replica, uint64_t number, uint32_t disk, struct view *view,
                   uint64_t *out_base, struct error *err)
{
    uint64_t numbers[LISTING_MAX];
    uint64_t before = 0; /* the point whose successor is next */
    uint32_t count = 0;

    *out_base = 0;
    if (listing_numbers(replica, numbers, &count, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct point_record record;
        if (numbers[i] < number || numbers[i] >= replica->point.number) {
            continue; /* the latter: begun by a commit that was taken back */
        }
        if (view_record(replica, numbers[i], &record, err) < 0 ||
            check_follows(replica, before, record.base, err) < 0) {
            return -1;
        }
        before = record.number;
        if (record.disks[disk].driver == POINT_DRIVER_FILE) {
            *out_base = record.number;
            return 0;
        }
        if (view->log_count == LOG_DISK_LOGS_MAX) {
            return fail(err, ERR_LIMIT, 0, "the replica %s keeps too many points", replica->path);
        }
        if (open_undo(replica, &record, disk, &view->logs[view->log_count], err) < 0) {
            return -1;
        }
        view->log_count++;
    }
    return check_follows(replica, before, replica->point.base, err);
}

static void free_logs(struct view *view)
{
    for (uint32_t i = 0; i < view->log_count; i++) {
        log_free(view->logs[i]);
    }
    view->log_count = 0;
}

int view_open(const struct replica *replica, uint64_t number, uint32_t disk, bool has_present,
              struct view *out, struct error *err)
{
    struct point_record record;
    struct view view = {0};
    uint64_t base = 0;
    CLEANUP(disk_closep) struct disk *below = NULL;

    if (view_record(replica, number, &record, err) < 0) {
        return -1;
    }
    if (disk >= record.disk_count) {
        return fail(err, ERR_USAGE, 0, "the replica %s has %u disks", replica->path,
                    record.disk_count);
    }
    bool is_present = record.number == replica->point.number;
    if ((!is_present && collect(replica, record.number, disk, &view, &base, err) < 0) ||
        ((base != 0 || has_present) && open_base(replica, base, disk, &below, err) < 0)) {
        free_logs(&view);
        return -1;
    }
    view.is_over_present = base == 0;
    if (view.log_count == 0) {
        view.disk = TAKE(below);
    } else if (log_disk_new(below, record.disks[disk].size_bytes, view.logs, view.log_count, false,
                            record.disks[disk].name, &view.disk, err) < 0) {
        free_logs(&view);
        return -1;
    } else {
        (void)TAKE(below); /* the view's now */
    }
    *out = view;
    return 0;
}

int replica_get_point(const struct replica *replica, uint64_t number, struct point_record *out,
                      struct error *err)
{
    return view_record(replica, number, out, err);
}

int replica_open_point(struct replica *replica, uint64_t number, uint32_t disk_index,
                       struct disk **out, struct error *err)
{
    struct view view;

    if (view_open(replica, number, disk_index, true, &view, err) < 0) {
        return -1;
    }
    *out = view.disk;
    return 0;
}
