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
