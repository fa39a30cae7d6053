/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measured on Linux 6.18, 2 cores, 256 KiB at a time: pread of cached data 24 us, mincore of its 64
 * pages 7 us, mincore of one page 0.4 us. Hence: after STREAK_TRUSTED reads in a row that the cache
 * answered, only each STREAK_PROBE-th is asked about, and the rest is read with RWF_NOWAIT, which
 * says so itself when a page is missing. It is not used alone because a miss makes the kernel begin
 * to read into the cache what we are about to read past it.
 */
#include "disk/page_cache.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/limits.h"

#define WINDOW_BYTES (1 * GIB)
#define STREAK_TRUSTED 8U
#define STREAK_PROBE 16U
#define FOLIO_BYTES_MAX (2 * MIB) /* pages are cached in naturally aligned pieces up to this */
#define PAGES_ASKED_MAX 256U      /* of 4 KiB: 1 MiB, the largest request */

/*
 * mincore(2) answers "all there" to whoever neither owns the file nor may write to it, so that the
 * cache is no channel between users. Source: Linux mm/mincore.c, can_do_mincore().
 */
static bool is_told_residency(int fd)
{
    struct stat st;
    char path[32];

    if (fstat(fd, &st) == 0 && st.st_uid == geteuid()) {
        return true;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

void page_cache_init(struct page_cache *cache, int fd, uint64_t size_bytes)
{
    *cache = (struct page_cache){.fd = fd, .size_bytes = size_bytes, .can_refuse = true};
    cache->is_blind = !is_told_residency(fd);
    /* No reading ahead (8 MiB here) when a guess was wrong: what comes next is asked for anyway,
     * past the cache or deep enough. It is advice, so that nothing depends on its success. */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
}

static void unmap(struct page_cache *cache)
{
    if (cache->window != NULL) {
        (void)munmap(cache->window, cache->window_bytes); /* our own mapping: cannot fail */
        cache->window = NULL;
    }
}

void page_cache_done(struct page_cache *cache)
{
    unmap(cache);
}

/* The pages of a range within the window, which is moved there if need be; NULL: cannot be had. */
static uint8_t *map(struct page_cache *cache, uint64_t offset_bytes, uint64_t len_bytes)
{
    if (cache->window == NULL || offset_bytes < cache->window_at_bytes ||
        offset_bytes + len_bytes > cache->window_at_bytes + cache->window_bytes) {
        unmap(cache);
        uint64_t at_bytes = offset_bytes - offset_bytes % (WINDOW_BYTES / 2);
        uint64_t left_bytes = cache->size_bytes - at_bytes;
        uint64_t window_bytes = left_bytes < WINDOW_BYTES ? left_bytes : WINDOW_BYTES;
        void *window = mmap(NULL, window_bytes, PROT_READ, MAP_SHARED, cache->fd, (off_t)at_bytes);
        if (window == MAP_FAILED) {
            return NULL;
        }
        cache->window = window;
        cache->window_at_bytes = at_bytes;
        cache->window_bytes = window_bytes;
    }
    return cache->window + (offset_bytes - cache->window_at_bytes);
}

/* Whether all pages of a range are there. The first one is asked about alone: while nothing is
 * cached, that is all it takes. */
static bool is_resident(struct page_cache *cache, uint64_t offset_bytes, uint64_t len_bytes)
{
    unsigned char pages[PAGES_ASKED_MAX + 1];
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t before_bytes = offset_bytes % page_bytes; /* 0 unless pages are larger than 4 KiB */
    uint8_t *at = map(cache, offset_bytes - before_bytes, len_bytes + before_bytes);

    assert(len_bytes <= PAGES_ASKED_MAX * PAGE_BYTES);
    if (at == NULL) {
        cache->is_blind = true;
        return false;
    }
    if (mincore(at, 1, pages) != 0 || (pages[0] & 1) == 0) {
        return false;
    }
    if (mincore(at, before_bytes + len_bytes, pages) != 0) {
        return false;
    }
    unsigned char all = 1;
    for (uint64_t i = 0; i < (before_bytes + len_bytes + page_bytes - 1) / page_bytes; i++) {
        all &= pages[i];
    }
    return (all & 1) != 0;
}

bool page_cache_may_hold(struct page_cache *cache, uint64_t offset_bytes, uint64_t len_bytes)
{
    assert(offset_bytes % PAGE_BYTES == 0 && offset_bytes + len_bytes <= cache->size_bytes);
    if (cache->is_blind) {
        return cache->can_refuse;
    }
    if (cache->can_refuse && cache->hit_streak >= STREAK_TRUSTED &&
        cache->hit_streak % STREAK_PROBE != 0) {
        return true;
    }
    if (is_resident(cache, offset_bytes, len_bytes)) {
        return true;
    }
    cache->hit_streak = 0;
    return false;
}

bool page_cache_read(struct page_cache *cache, uint64_t offset_bytes, struct span data)
{
    struct iovec buffer = {.iov_base = data.at, .iov_len = data.len_bytes};
    ssize_t got = -1;

    do {
        got =
            preadv2(cache->fd, &buffer, 1, (off_t)offset_bytes, cache->can_refuse ? RWF_NOWAIT : 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EOPNOTSUPP && cache->can_refuse) {
        /* Not on this file system. From now on only what is known to be there is read here. */
        cache->can_refuse = false;
        return !cache->is_blind && page_cache_read(cache, offset_bytes, data);
    }
    if (got != (ssize_t)data.len_bytes) {
        cache->hit_streak = 0;
        return false;
    }
    cache->hit_streak++;
    return true;
}

static void drop(struct page_cache *cache, uint64_t from, uint64_t to)
{
    /* Fails only for what is no file, and then there is nothing to drop. */
    (void)posix_fadvise(cache->fd, (off_t)from, (off_t)(to - from), POSIX_FADV_DONTNEED);
}

void page_cache_drop(struct page_cache *cache, uint64_t offset_bytes, uint64_t len_bytes)
{
    uint64_t end = offset_bytes + len_bytes;

    /* Whole pages only, or the kernel leaves the last one alone. */
    drop(cache, offset_bytes, (end + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
    if (!cache->is_blind && !is_resident(cache, offset_bytes, 1) &&
        !is_resident(cache, (end - 1) / PAGE_BYTES * PAGE_BYTES, 1)) {
        return;
    }
    /* Its ends are parts of larger folios, which go only as a whole; or we are not told. */
    drop(cache, offset_bytes / FOLIO_BYTES_MAX * FOLIO_BYTES_MAX,
         (end + FOLIO_BYTES_MAX - 1) / FOLIO_BYTES_MAX * FOLIO_BYTES_MAX);
}
