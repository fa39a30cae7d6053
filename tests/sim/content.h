/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * content.h - the bytes of a simulated disk: a table of 64 KiB blocks that several tables share
 * until one of them is written to, so that a copy of a disk costs next to nothing and equal disks
 * are mostly seen by their pointers. Blocks are leaves: block n of a disk is its leaf n.
 */
#ifndef RESILVER_SIM_CONTENT_H
#define RESILVER_SIM_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/span.h"

#define SECTOR_BYTES 512U

struct block;

/* Bytes of the last block beyond size_bytes are always zeros. */
struct content {
    uint64_t size_bytes;
    uint64_t block_count;
    struct block **blocks; /* owned: block_count references; NULL: zeros */
};

/* content_init - all zeros. content_copy: `to` is not initialised before. */
void content_init(struct content *content, uint64_t size_bytes);
void content_copy(struct content *to, const struct content *from);
void content_done(struct content *content);

/* content_resize - cut, or made larger by zeros. */
void content_resize(struct content *content, uint64_t size_bytes);

void content_read(const struct content *content, uint64_t offset_bytes, struct span out);
void content_write(struct content *content, uint64_t offset_bytes, struct const_span bytes);
void content_zero(struct content *content, uint64_t offset_bytes, uint64_t len_bytes);

/* content_take - this range becomes what it is in `from`, which has the same size. */
void content_take(struct content *content, const struct content *from, uint64_t offset_bytes,
                  uint64_t len_bytes);

/* content_put_pattern - a whole block becomes pattern number `pattern`, cut at the disk's end.
 * content_patterns: how many there are. Some are random, some compress well, some are mostly
 * zeros. */
void content_put_pattern(struct content *content, uint64_t block, uint32_t pattern);
uint32_t content_patterns(void);

/* content_block_bytes - LEAF_BYTES but for a last block that is shorter. */
uint32_t content_block_bytes(const struct content *content, uint64_t block);

/* Comparisons of two of the same size. */
bool content_same_block(const struct content *a, const struct content *b, uint64_t block);
bool content_same_range(const struct content *a, const struct content *b, uint64_t offset_bytes,
                        uint64_t len_bytes);
bool content_same_bytes(const struct content *content, uint64_t offset_bytes,
                        struct const_span bytes);
bool content_is_zero(const struct content *content, uint64_t offset_bytes, uint64_t len_bytes);

/* content_has_block - false: the block is zeros and takes no room. */
bool content_has_block(const struct content *content, uint64_t block);

#endif
