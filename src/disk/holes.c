/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file system's blocks may be smaller than our pages (ext4 with 1 KiB); extents are made of whole
 * pages, since the next question begins where the last answer ended. A page with any data in it is
 * data.
 */
#include "disk/holes.h"

#include <assert.h>
#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void add(struct disk_request *request, uint64_t from, uint64_t to, bool zero)
{
    assert(from < to && request->extent_count < EXTENTS_MAX);
    request->extents[request->extent_count++] =
        (struct extent){.offset_bytes = from, .len_bytes = to - from, .zero = zero};
}

/*
 * Where the next data begins, at most `end`; negative: -errno. ENXIO from SEEK_DATA means "no more
 * data" but also "beyond the end": then the file was cut under us, and nothing may be said of it.
 */
static int64_t next_data(int fd, uint64_t at, uint64_t end)
{
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);
    struct stat st;

    if (data >= 0) {
        return (uint64_t)data < end ? data : (int64_t)end;
    }
    if (errno != ENXIO) {
        return -errno;
    }
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    return (uint64_t)st.st_size < end ? -ENODATA : (int64_t)end;
}

/* The end of the last page that the data at `data` reaches into, at most `end`. Any doubt (somebody
 * changes the map meanwhile) makes the data longer: it is read then, and never taken for zeros. */
static uint64_t data_end(int fd, uint64_t data, uint64_t end)
{
    off_t hole = lseek(fd, (off_t)data, SEEK_HOLE);

    if (hole <= (off_t)data || (uint64_t)hole >= end) {
        return end;
    }
    uint64_t page_end = ((uint64_t)hole + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    return page_end < end ? page_end : end;
}

static bool has_no_map(int64_t result)
{
    return result == -EINVAL || result == -EOPNOTSUPP;
}

int holes_find(int fd, struct disk_request *request)
{
    uint64_t at = request->offset_bytes;
    uint64_t end = at + request->len_bytes;

    request->extent_count = 0;
    while (at < end && request->extent_count < EXTENTS_MAX) {
        int64_t data = fd < 0 ? -EOPNOTSUPP : next_data(fd, at, end);
        if (data < 0 && !has_no_map(data)) {
            return (int)-data;
        }
        if (data < 0) {
            add(request, at, end, false);
            break;
        }
        uint64_t page = data == (int64_t)end ? end : (uint64_t)data / PAGE_BYTES * PAGE_BYTES;
        if (page > at) {
            add(request, at, page, true);
            at = page;
        }
        if (at < end && request->extent_count < EXTENTS_MAX) {
            uint64_t next = data_end(fd, (uint64_t)data, end);
            add(request, at, next, false);
            at = next;
        }
    }
    return 0;
}

#define MAP_EXTENTS 32U /* in more pieces than this a range counts as not allocated */

bool holes_is_allocated(int fd, uint64_t offset_bytes, uint64_t len_bytes)
{
    _Alignas(struct fiemap)
        uint8_t memory[sizeof(struct fiemap) + MAP_EXTENTS * sizeof(struct fiemap_extent)];
    struct fiemap *map = (struct fiemap *)memory;
    const uint32_t not_there = FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_UNWRITTEN;
    uint64_t end = offset_bytes + len_bytes;
    uint64_t at = offset_bytes;

    *map = (struct fiemap){
        .fm_start = offset_bytes, .fm_length = len_bytes, .fm_extent_count = MAP_EXTENTS};
    if (ioctl(fd, FS_IOC_FIEMAP, map) != 0) {
        return true;
    }
    for (uint32_t i = 0; i < map->fm_mapped_extents && i < MAP_EXTENTS; i++) {
        const struct fiemap_extent *extent = &map->fm_extents[i];
        if (extent->fe_logical > at || (extent->fe_flags & not_there) != 0) {
            return false;
        }
        at = extent->fe_logical + extent->fe_length;
    }
    return at >= end;
}
