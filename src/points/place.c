/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/place.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "points/checkpoint_file.h"
#include "points/durable.h"

static int put_path(char out[PATH_TEXT_MAX], struct error *err, const char *format, ...)
    FORMAT_AT(3, 4);

static int put_path(char out[PATH_TEXT_MAX], struct error *err, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    int used = vsnprintf(out, PATH_TEXT_MAX, format, values);
    va_end(values);
    if (used < 0 || used >= (int)PATH_TEXT_MAX) {
        return fail(err, ERR_USAGE, 0, "a path in the replica is too long: %.200s...", out);
    }
    return 0;
}

int place_own(const struct replica *replica, const char *name, char out[PATH_TEXT_MAX],
              struct error *err)
{
    return put_path(out, err, "%s/%s", replica->path, name);
}

int place_disk(const struct replica *replica, uint32_t disk, char out[PATH_TEXT_MAX],
               struct error *err)
{
    const struct meta_disk *meta = &replica->meta.disks[disk];

    if (replica->meta.is_beside) {
        return put_path(out, err, "%s", meta->path);
    }
    return put_path(out, err, "%s/disks/%s", replica->path, meta->name);
}

int place_work_dir(const struct replica *replica, uint32_t disk, char out[PATH_TEXT_MAX],
                   struct error *err)
{
    if (!replica->meta.is_beside) {
        return place_own(replica, "stage", out, err);
    }
    checkpoint_dir_for(replica->meta.disks[disk].path, out);
    return out[0] != '\0' ? 0
                          : fail(err, ERR_USAGE, 0,
                                 "%s can have no state folder, and so cannot be staged: leave out "
                                 "--atomic",
                                 replica->meta.disks[disk].path);
}

int place_work(const struct replica *replica, uint32_t disk, const char *what,
               char out[PATH_TEXT_MAX], struct error *err)
{
    char dir[PATH_TEXT_MAX];

    if (place_work_dir(replica, disk, dir, err) < 0) {
        return -1;
    }
    if (replica->meta.is_beside) {
        return put_path(out, err, "%s/%s", dir, what);
    }
    return put_path(out, err, "%s/%u.%s", dir, disk, what);
}

int place_staged(const struct replica *replica, char out[PATH_TEXT_MAX], struct error *err)
{
    return place_own(replica, replica->meta.is_beside ? "staged" : "stage/staged", out, err);
}

int place_point(const struct replica *replica, uint64_t number, char out[PATH_TEXT_MAX],
                struct error *err)
{
    return put_path(out, err, "%s/points/%06" PRIu64, replica->path, number);
}

int place_point_file(const struct replica *replica, uint64_t number, uint32_t disk,
                     const char *what, char out[PATH_TEXT_MAX], struct error *err)
{
    return put_path(out, err, "%s/points/%06" PRIu64 "/%u.%s", replica->path, number, disk, what);
}

int place_point_record(const struct replica *replica, uint64_t number, char out[PATH_TEXT_MAX],
                       struct error *err)
{
    return put_path(out, err, "%s/points/%06" PRIu64 "/point", replica->path, number);
}

int place_read_record(const char *path, struct point_record *out, bool *out_exists,
                      struct error *err)
{
    uint8_t buffer[POINT_RECORD_MAX] = {0};
    struct error why = {0};
    size_t len_bytes = 0;

    if (durable_read(path, (struct span){buffer, sizeof buffer}, &len_bytes, out_exists, err) < 0) {
        return -1;
    }
    if (*out_exists && point_record_decode((struct const_span){buffer, len_bytes}, out, &why) < 0) {
        return fail(err, why.kind, 0, "%s: %s", path, why.message);
    }
    return 0;
}

int place_read_point(const struct replica *replica, uint64_t number, struct point_record *out,
                     bool *out_exists, struct error *err)
{
    char path[PATH_TEXT_MAX];
    struct error why = {0};

    if (place_point_record(replica, number, path, err) < 0) {
        return -1;
    }
    int result = place_read_record(path, out, out_exists, &why);
    if (result == 0 && *out_exists && out->number != number) {
        result = fail(&why, ERR_WRONG_STATE, 0, "%s is the record of another point", path);
    }
    if (result < 0 && why.kind != ERR_WRONG_STATE) {
        *err = why;
    } else if (result < 0) {
        (void)fail(err, ERR_WRONG_STATE, 0,
                   "%s; drop this point and those before it: resilver replica drop %s --point=%llu",
                   why.message, replica->path, (unsigned long long)number);
    }
    return result;
}

uint64_t place_cost_bytes(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? (uint64_t)status.st_blocks * 512 : 0;
}

int place_write_record(const char *path, const struct point_record *record, struct error *err)
{
    uint8_t buffer[POINT_RECORD_MAX] = {0};
    struct const_span bytes;

    if (point_record_encode(record, (struct span){buffer, sizeof buffer}, &bytes, err) < 0) {
        return -1;
    }
    return durable_write(path, bytes, err);
}

int place_write_meta(const struct replica *replica, struct error *err)
{
    char path[PATH_TEXT_MAX];
    uint8_t *buffer = malloc(META_MAX);
    struct const_span bytes;

    if (buffer == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a replica's record");
    }
    int result = place_own(replica, "replica", path, err);
    if (result == 0) {
        result = meta_encode(&replica->meta, (struct span){buffer, META_MAX}, &bytes, err);
    }
    if (result == 0) {
        result = durable_write(path, bytes, err);
    }
    free(buffer);
    return result;
}
