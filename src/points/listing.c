/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/listing.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

/* A name of digits alone, not 0; 0: another one. */
static uint64_t number_of(const char *name)
{
    uint64_t number = 0;

    for (const char *c = name; *c != '\0'; c++) {
        if (*c < '0' || *c > '9' || number > (UINT64_MAX - 9) / 10) {
            return 0;
        }
        number = number * 10 + (uint64_t)(*c - '0');
    }
    return number;
}

int listing_numbers(const struct replica *replica, uint64_t numbers[LISTING_MAX],
                    uint32_t *out_count, struct error *err)
{
    char path[PATH_TEXT_MAX];
    uint32_t count = 0;

    *out_count = 0;
    if (place_own(replica, "points", path, err) < 0) {
        return -1;
    }
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT ? 0 : fail(err, ERR_IO, errno, "cannot look into %s", path);
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        uint64_t number = number_of(entry->d_name);
        if (number != 0 && count < LISTING_MAX) {
            numbers[count++] = number;
        }
    }
    (void)closedir(dir);
    qsort(numbers, count, sizeof *numbers, by_number);
    *out_count = count;
    return 0;
}

/* --- what can be seen of them ---------------------------------------------------------------- */

/* From the newest to the oldest: what the next one is seen through. */
struct chain {
    bool has_base;             /* the record after it was read */
    uint64_t base;             /* and says that it replaced this point */
    uint64_t needs[DISKS_MAX]; /* of each disk: a point that is damaged or missing; 0: none is */
};

static void need(struct chain *chain, uint64_t number)
{
    for (uint32_t i = 0; i < DISKS_MAX; i++) {
        chain->needs[i] = number;
    }
}

/* A medium that cannot give the record back has lost it, too. */
static bool is_damage(const struct error *why)
{
    return why->kind == ERR_WRONG_STATE || (why->kind == ERR_IO && why->errnum == EIO);
}

static int add_cost(const struct replica *replica, struct replica_point *point, struct error *err)
{
    static const char *const kinds[] = {"undo", "disk"};
    char path[PATH_TEXT_MAX];

    for (uint32_t i = 0; i < replica->meta.disk_count * 2; i++) {
        if (place_point_file(replica, point->number, i / 2, kinds[i % 2], path, err) < 0) {
            return -1;
        }
        point->own_bytes += place_cost_bytes(path);
    }
    return 0;
}

/* A disk that is a file of its own needs no other point; one that is a log needs those after it. */
static void follow(struct chain *chain, const struct point_record *record,
                   struct replica_point *point)
{
    if (chain->has_base && chain->base != record->number) {
        need(chain, chain->base == 0 ? record->number : chain->base);
    }
    for (uint32_t i = 0; i < record->disk_count; i++) {
        if (record->disks[i].driver == POINT_DRIVER_FILE) {
            chain->needs[i] = 0;
        }
        point->needs = chain->needs[i] == 0 ? point->needs : chain->needs[i];
    }
    chain->has_base = true;
    chain->base = record->base;
    point->time_ns = record->time_ns;
}

/* *out_exists false: it is being made, or half removed. */
static int look_at_point(const struct replica *replica, struct chain *chain,
                         struct replica_point *point, bool *out_exists, struct error *err)
{
    struct point_record record;
    struct error why = {0};

    *out_exists = true;
    if (place_read_point(replica, point->number, &record, out_exists, &why) == 0) {
        if (*out_exists) {
            follow(chain, &record, point);
        }
    } else if (is_damage(&why)) {
        *out_exists = true;
        point->needs = point->number;
        chain->has_base = false;
        need(chain, point->number);
    } else {
        *err = why;
        return -1;
    }
    return *out_exists ? add_cost(replica, point, err) : 0;
}

static void reverse(struct replica_point *points, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct replica_point point = points[i];
        points[i] = points[count - 1 - i];
        points[count - 1 - i] = point;
    }
}

int listing_points(const struct replica *replica, struct replica_info *info, struct error *err)
{
    struct chain chain = {.has_base = replica->has_point, .base = replica->point.base};
    uint64_t numbers[LISTING_MAX];
    uint32_t count = 0;

    if (listing_numbers(replica, numbers, &count, err) < 0) {
        return -1;
    }
    while (count-- > 0 && info->point_count < REPLICA_HISTORY_MAX) {
        struct replica_point *point = &info->points[info->point_count];
        bool exists = false;
        if (replica->has_point && numbers[count] >= replica->point.number) {
            continue; /* of a commit that is not finished, or was taken back */
        }
        *point = (struct replica_point){.number = numbers[count]};
        if (look_at_point(replica, &chain, point, &exists, err) < 0) {
            return -1;
        }
        info->point_count += exists ? 1 : 0;
    }
    reverse(info->points, info->point_count);
    return 0;
}
