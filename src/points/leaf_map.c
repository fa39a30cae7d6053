/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Invariants:
 * 1. Page n of the map is in slot n % LEAF_MAP_PAGES of the cache or nowhere in it.
 * 2. A page in the cache that is not dirty is as the file has it; a page that is neither in the
 * cache nor in the file has only empty values.
 */
#include "points/leaf_map.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/open.h"

#define PAGE_VALUES (PAGE_BYTES / sizeof(struct leaf_value))
#define NO_PAGE UINT64_MAX

struct page {
    uint64_t number; /* NO_PAGE: the slot is free */
    bool is_dirty;
    struct leaf_value values[PAGE_VALUES];
};

struct leaf_map {
    int fd; /* owned */
    uint64_t leaf_count;
    struct page pages[LEAF_MAP_PAGES];
};

/* --- the file -------------------------------------------------------------------------------- */

static int fail_file(int errnum, const char *what, struct error *err)
{
    bool is_full = errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG;

    return fail(err, is_full ? ERR_LIMIT : ERR_IO, errnum, "%s the map of a log failed", what);
}

static bool has_no_unnamed_files(int errnum)
{
    return errnum == EOPNOTSUPP || errnum == EISDIR || errnum == EINVAL || errnum == ENOENT;
}

/* A descriptor, or -1 with errno. */
static int make_file(const char *folder)
{
    char path[PATH_TEXT_MAX];

    if (folder == NULL) {
        return memfd_create("resilver-leaf-map", MFD_CLOEXEC);
    }
    int fd = open_at(AT_FDCWD, folder, O_TMPFILE | O_EXCL | O_RDWR, 0600);
    if (fd >= 0 || !has_no_unnamed_files(errno)) {
        return fd;
    }
    int len = snprintf(path, sizeof path, "%s/.leaf-map-XXXXXX", folder);
    if (len < 0 || (size_t)len >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        (void)unlink(path); /* if it stays, a file with a name that says what it is stays */
    }
    return fd;
}

static int read_page(const struct leaf_map *map, struct page *page, struct error *err)
{
    uint8_t *to = (uint8_t *)page->values;
    size_t done_bytes = 0;

    memset(page->values, 0, sizeof page->values);
    while (done_bytes < sizeof page->values) {
        ssize_t got = pread(map->fd, to + done_bytes, sizeof page->values - done_bytes,
                            (off_t)(page->number * PAGE_BYTES + done_bytes));
        if (got == 0) {
            return 0; /* behind the file's end: empty */
        }
        if (got < 0 && errno != EINTR) {
            return fail_file(errno, "reading", err);
        }
        done_bytes += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static int write_page(const struct leaf_map *map, struct page *page, struct error *err)
{
    const uint8_t *from = (const uint8_t *)page->values;
    size_t done_bytes = 0;

    while (done_bytes < sizeof page->values) {
        ssize_t put = pwrite(map->fd, from + done_bytes, sizeof page->values - done_bytes,
                             (off_t)(page->number * PAGE_BYTES + done_bytes));
        if (put < 0 && errno != EINTR) {
            return fail_file(errno, "writing", err);
        }
        done_bytes += put > 0 ? (size_t)put : 0;
    }
    page->is_dirty = false;
    return 0;
}

/* --- the cache ------------------------------------------------------------------------------- */

static struct page *slot_of(struct leaf_map *map, uint64_t number)
{
    return &map->pages[number % LEAF_MAP_PAGES];
}

/* Bring a page into its slot. */
static int load(struct leaf_map *map, uint64_t number, struct page **out, struct error *err)
{
    struct page *page = slot_of(map, number);

    if (page->number != number) {
        if (page->is_dirty && write_page(map, page, err) != 0) {
            return -1;
        }
        page->number = number;
        if (read_page(map, page, err) != 0) {
            page->number = NO_PAGE;
            return -1;
        }
    }
    assert(page->number == number);
    *out = page;
    return 0;
}

int leaf_map_get(struct leaf_map *map, uint64_t leaf, struct leaf_value *out, struct error *err)
{
    struct page *page = NULL;

    assert(leaf < map->leaf_count);
    if (load(map, leaf / PAGE_VALUES, &page, err) != 0) {
        return -1;
    }
    *out = page->values[leaf % PAGE_VALUES];
    return 0;
}

int leaf_map_set(struct leaf_map *map, uint64_t leaf, const struct leaf_value *value,
                 struct error *err)
{
    struct page *page = NULL;

    assert(leaf < map->leaf_count);
    if (load(map, leaf / PAGE_VALUES, &page, err) != 0) {
        return -1;
    }
    page->values[leaf % PAGE_VALUES] = *value;
    page->is_dirty = true;
    return 0;
}

/* --- searching ------------------------------------------------------------------------------- */

/* The first page >= from that the file has something of; NO_PAGE: none. */
static int next_in_file(const struct leaf_map *map, uint64_t from, uint64_t *out, struct error *err)
{
    off_t found = lseek(map->fd, (off_t)(from * PAGE_BYTES), SEEK_DATA);

    if (found < 0 && errno != ENXIO) {
        return fail_file(errno, "searching", err);
    }
    *out = found < 0 ? NO_PAGE : (uint64_t)found / PAGE_BYTES;
    return 0;
}

/* The first page >= from that may have a value: of the file, or not written to it yet. */
static int next_page(struct leaf_map *map, uint64_t from, uint64_t *out, struct error *err)
{
    uint64_t number = NO_PAGE;

    if (slot_of(map, from)->number == from) {
        *out = from; /* the usual case: no need to ask the file */
        return 0;
    }
    if (next_in_file(map, from, &number, err) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < LEAF_MAP_PAGES; i++) {
        const struct page *page = &map->pages[i];
        if (page->is_dirty && page->number >= from && page->number < number) {
            number = page->number;
        }
    }
    *out = number;
    return 0;
}

int leaf_map_next(struct leaf_map *map, uint64_t from, uint64_t *out, struct error *err)
{
    while (from < map->leaf_count) {
        struct page *page = NULL;
        uint64_t number = 0;
        if (next_page(map, from / PAGE_VALUES, &number, err) != 0) {
            return -1;
        }
        if (number == NO_PAGE) {
            break;
        }
        if (load(map, number, &page, err) != 0) {
            return -1;
        }
        uint64_t index = number == from / PAGE_VALUES ? from % PAGE_VALUES : 0;
        for (; index < PAGE_VALUES; index++) {
            if (page->values[index].position != 0) {
                *out = number * PAGE_VALUES + index;
                assert(*out >= from && *out < map->leaf_count);
                return 0;
            }
        }
        from = (number + 1) * PAGE_VALUES;
    }
    *out = UINT64_MAX;
    return 0;
}

/* --- its life -------------------------------------------------------------------------------- */

int leaf_map_new(const char *folder, uint64_t leaf_count, struct leaf_map **out, struct error *err)
{
    struct leaf_map *map = calloc(1, sizeof *map);

    if (map == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot make the map of a log");
    }
    map->leaf_count = leaf_count;
    for (uint32_t i = 0; i < LEAF_MAP_PAGES; i++) {
        map->pages[i].number = NO_PAGE;
    }
    map->fd = make_file(folder);
    if (map->fd < 0) {
        int errnum = errno;
        bool is_limit = errnum == ENOSPC || errnum == EDQUOT || errnum == EMFILE ||
                        errnum == ENFILE || errnum == ENOMEM;
        free(map);
        return fail(err, is_limit ? ERR_LIMIT : ERR_IO, errnum,
                    "cannot make a file for the map of a log in %s",
                    folder != NULL ? folder : "memory");
    }
    *out = map;
    return 0;
}

void leaf_map_free(struct leaf_map *map)
{
    if (map == NULL) {
        return;
    }
    (void)close(map->fd); /* it has no name, and nobody will read it again */
    free(map);
}
