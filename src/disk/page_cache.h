/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * page_cache.h - what of a file is in the page cache, read from there without waiting, and dropped.
 */
#ifndef RESILVER_DISK_PAGE_CACHE_H
#define RESILVER_DISK_PAGE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/span.h"

struct page_cache {
    int fd; /* borrowed from the disk for its life; without O_DIRECT */
    uint64_t size_bytes;
    bool is_blind;       /* the kernel does not tell us what is cached: only reading shows it */
    bool can_refuse;     /* reading can be asked not to wait for the device */
    uint32_t hit_streak; /* reads answered since the last one that was not */

    /* A part of the file, mapped only so that mincore(2) can be asked about it; never touched, so
     * it takes no memory and a file that is cut meanwhile does no harm. */
    uint8_t *window; /* owned mapping; NULL: none yet */
    uint64_t window_at_bytes;
    uint64_t window_bytes;
};

/* page_cache_init - cannot fail; whatever cannot be found out makes the cache blind. */
void page_cache_init(struct page_cache *cache, int fd, uint64_t size_bytes);
void page_cache_done(struct page_cache *cache);

/*
 * page_cache_may_hold - whether it is worth trying to read a range from the cache.
 *
 * A guess made for speed: asking costs a quarter of reading, so in a row of hits only now and then
 * is asked, and a wrong yes costs one needless read into the cache.
 */
bool page_cache_may_hold(struct page_cache *cache, uint64_t offset_bytes, uint64_t len_bytes);

/* page_cache_read - fill data from the cache; false: it is not all there (data is undefined). */
MUST_CHECK bool page_cache_read(struct page_cache *cache, uint64_t offset_bytes, struct span data);

/*
 * page_cache_drop - make a later read of this range, which must have been flushed, come from the
 * medium. Where the cache is the medium (tmpfs), or somebody holds the pages mapped, it stays; a
 * little around the range may go as well.
 */
void page_cache_drop(struct page_cache *cache, uint64_t offset_bytes, uint64_t len_bytes);

#endif
