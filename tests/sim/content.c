/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "content.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"

#define PATTERNS 48U
#define COMPARE_BYTES 4096U

struct block {
    uint32_t references;
    struct block *next_free;
    uint8_t bytes[LEAF_BYTES];
};

static struct block *free_blocks; /* owned; kept for the next world */

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("sim: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

/* --- blocks ---------------------------------------------------------------------------------- */

/* Its bytes are not set. */
static struct block *block_new(void)
{
    struct block *block = free_blocks;

    if (block != NULL) {
        free_blocks = block->next_free;
    } else {
        block = checked(malloc(sizeof *block));
    }
    block->references = 1;
    block->next_free = NULL;
    return block;
}

static struct block *block_ref(struct block *block)
{
    if (block != NULL) {
        block->references++;
    }
    return block;
}

static void block_unref(struct block *block)
{
    if (block == NULL) {
        return;
    }
    assert(block->references > 0);
    block->references--;
    if (block->references == 0) {
        block->next_free = free_blocks;
        free_blocks = block;
    }
}

/* The block's bytes, nobody else's. */
static uint8_t *own_bytes(struct content *content, uint64_t index)
{
    struct block *old = content->blocks[index];

    if (old != NULL && old->references == 1) {
        return old->bytes;
    }
    struct block *block = block_new();
    if (old == NULL) {
        memset(block->bytes, 0, sizeof block->bytes);
    } else {
        memcpy(block->bytes, old->bytes, sizeof block->bytes);
    }
    block_unref(old);
    content->blocks[index] = block;
    return block->bytes;
}

/* --- tables ---------------------------------------------------------------------------------- */

static uint64_t blocks_of(uint64_t size_bytes)
{
    return (size_bytes + LEAF_BYTES - 1) / LEAF_BYTES;
}

void content_init(struct content *content, uint64_t size_bytes)
{
    uint64_t count = blocks_of(size_bytes);

    *content = (struct content){
        .size_bytes = size_bytes,
        .block_count = count,
        .blocks = checked(calloc(count + 1, sizeof(struct block *))), /* of 0 bytes too */
    };
}

void content_copy(struct content *to, const struct content *from)
{
    content_init(to, from->size_bytes);
    for (uint64_t i = 0; i < from->block_count; i++) {
        to->blocks[i] = block_ref(from->blocks[i]);
    }
}

void content_done(struct content *content)
{
    for (uint64_t i = 0; i < content->block_count; i++) {
        block_unref(content->blocks[i]);
    }
    free(content->blocks);
    *content = (struct content){0};
}

void content_resize(struct content *content, uint64_t size_bytes)
{
    struct content resized;

    if (size_bytes < content->size_bytes && size_bytes % LEAF_BYTES != 0) {
        /* What is cut off of the last block must come back as zeros. */
        uint64_t end = size_bytes / LEAF_BYTES * LEAF_BYTES + LEAF_BYTES;
        end = end < content->size_bytes ? end : content->size_bytes;
        content_zero(content, size_bytes, end - size_bytes);
    }
    content_init(&resized, size_bytes);
    for (uint64_t i = 0; i < resized.block_count && i < content->block_count; i++) {
        resized.blocks[i] = block_ref(content->blocks[i]);
    }
    content_done(content);
    *content = resized;
}

uint32_t content_block_bytes(const struct content *content, uint64_t block)
{
    uint64_t left_bytes = content->size_bytes - block * LEAF_BYTES;

    assert(block < content->block_count);
    return (uint32_t)(left_bytes < LEAF_BYTES ? left_bytes : LEAF_BYTES);
}

bool content_has_block(const struct content *content, uint64_t block)
{
    return content->blocks[block] != NULL;
}

/* --- bytes ----------------------------------------------------------------------------------- */

/* The part of a range that lies in the block where it begins. */
struct part {
    uint64_t block;
    size_t within_bytes;
    size_t len_bytes;
};

static struct part first_part(const struct content *content, uint64_t offset_bytes,
                              uint64_t len_bytes)
{
    assert(offset_bytes <= content->size_bytes && len_bytes <= content->size_bytes - offset_bytes);
    struct part part = {.block = offset_bytes / LEAF_BYTES,
                        .within_bytes = (size_t)(offset_bytes % LEAF_BYTES)};
    size_t left_bytes = LEAF_BYTES - part.within_bytes;

    part.len_bytes = len_bytes < left_bytes ? (size_t)len_bytes : left_bytes;
    return part;
}

void content_read(const struct content *content, uint64_t offset_bytes, struct span out)
{
    while (out.len_bytes > 0) {
        struct part part = first_part(content, offset_bytes, out.len_bytes);
        const struct block *block = content->blocks[part.block];
        if (block == NULL) {
            memset(out.at, 0, part.len_bytes);
        } else {
            memcpy(out.at, block->bytes + part.within_bytes, part.len_bytes);
        }
        out.at += part.len_bytes;
        out.len_bytes -= part.len_bytes;
        offset_bytes += part.len_bytes;
    }
}

void content_write(struct content *content, uint64_t offset_bytes, struct const_span bytes)
{
    while (bytes.len_bytes > 0) {
        struct part part = first_part(content, offset_bytes, bytes.len_bytes);
        memcpy(own_bytes(content, part.block) + part.within_bytes, bytes.at, part.len_bytes);
        bytes.at += part.len_bytes;
        bytes.len_bytes -= part.len_bytes;
        offset_bytes += part.len_bytes;
    }
}

void content_zero(struct content *content, uint64_t offset_bytes, uint64_t len_bytes)
{
    while (len_bytes > 0) {
        struct part part = first_part(content, offset_bytes, len_bytes);
        if (part.len_bytes == content_block_bytes(content, part.block)) {
            block_unref(content->blocks[part.block]);
            content->blocks[part.block] = NULL;
        } else if (content->blocks[part.block] != NULL) {
            memset(own_bytes(content, part.block) + part.within_bytes, 0, part.len_bytes);
        }
        offset_bytes += part.len_bytes;
        len_bytes -= part.len_bytes;
    }
}

void content_take(struct content *content, const struct content *from, uint64_t offset_bytes,
                  uint64_t len_bytes)
{
    assert(content->size_bytes == from->size_bytes);
    while (len_bytes > 0) {
        struct part part = first_part(content, offset_bytes, len_bytes);
        struct block *block = from->blocks[part.block];
        if (part.len_bytes == content_block_bytes(content, part.block)) {
            (void)block_ref(block);
            block_unref(content->blocks[part.block]);
            content->blocks[part.block] = block;
        } else if (block != content->blocks[part.block]) {
            uint8_t *own = own_bytes(content, part.block);
            if (block == NULL) {
                memset(own + part.within_bytes, 0, part.len_bytes);
            } else {
                memcpy(own + part.within_bytes, block->bytes + part.within_bytes, part.len_bytes);
            }
        }
        offset_bytes += part.len_bytes;
        len_bytes -= part.len_bytes;
    }
}

/* --- patterns -------------------------------------------------------------------------------- */

static struct block *patterns[PATTERNS]; /* owned; the same in every world and every run */

uint32_t content_patterns(void)
{
    return PATTERNS;
}

/* A third each: random, words that repeat, a few short pieces in zeros. */
static void fill_pattern(struct block *block, uint32_t pattern)
{
    struct chance chance = chance_of(pattern, 0);
    uint8_t word[64];

    memset(block->bytes, 0, sizeof block->bytes);
    if (pattern % 3 == 0) {
        chance_fill(&chance, (struct span){block->bytes, sizeof block->bytes});
    } else if (pattern % 3 == 1) {
        for (size_t at = 0; at + sizeof word <= sizeof block->bytes; at += sizeof word) {
            if (chance_one_in(&chance, 4) || at == 0) {
                chance_fill(&chance, (struct span){word, sizeof word});
            }
            memcpy(block->bytes + at, word, sizeof word);
        }
    } else {
        for (uint32_t i = 0; i < 3; i++) {
            size_t at = (size_t)chance_below(&chance, sizeof block->bytes - sizeof word);
            chance_fill(&chance, (struct span){block->bytes + at, sizeof word});
        }
        block->bytes[0] = (uint8_t)(pattern + 1); /* not zeros, however short the disk is */
    }
}

static struct block *pattern_block(uint32_t pattern)
{
    if (patterns[pattern] == NULL) {
        patterns[pattern] = block_new();
        fill_pattern(patterns[pattern], pattern);
    }
    return patterns[pattern];
}

void content_put_pattern(struct content *content, uint64_t block, uint32_t pattern)
{
    struct block *shared = pattern_block(pattern % PATTERNS);
    uint32_t len_bytes = content_block_bytes(content, block);

    if (len_bytes < LEAF_BYTES) {
        content_write(content, block * LEAF_BYTES, (struct const_span){shared->bytes, len_bytes});
        return;
    }
    (void)block_ref(shared);
    block_unref(content->blocks[block]);
    content->blocks[block] = shared;
}

/* --- comparisons ----------------------------------------------------------------------------- */

bool content_same_block(const struct content *a, const struct content *b, uint64_t block)
{
    return content_same_range(a, b, block * LEAF_BYTES, content_block_bytes(a, block));
}

bool content_same_range(const struct content *a, const struct content *b, uint64_t offset_bytes,
                        uint64_t len_bytes)
{
    assert(a->size_bytes == b->size_bytes);
    while (len_bytes > 0) {
        struct part part = first_part(a, offset_bytes, len_bytes);
        const struct block *of_a = a->blocks[part.block];
        const struct block *of_b = b->blocks[part.block];
        if (of_a != of_b) {
            const struct block *any = of_a != NULL ? of_a : of_b;
            struct const_span bytes = {any->bytes + part.within_bytes, part.len_bytes};
            if (of_a == NULL || of_b == NULL) {
                if (!span_is_zero(bytes)) {
                    return false;
                }
            } else if (memcmp(bytes.at, of_b->bytes + part.within_bytes, part.len_bytes) != 0) {
                return false;
            }
        }
        offset_bytes += part.len_bytes;
        len_bytes -= part.len_bytes;
    }
    return true;
}

bool content_same_bytes(const struct content *content, uint64_t offset_bytes,
                        struct const_span bytes)
{
    while (bytes.len_bytes > 0) {
        struct part part = first_part(content, offset_bytes, bytes.len_bytes);
        const struct block *block = content->blocks[part.block];
        struct const_span piece = {bytes.at, part.len_bytes};
        if (block == NULL
                ? !span_is_zero(piece)
                : memcmp(block->bytes + part.within_bytes, piece.at, part.len_bytes) != 0) {
            return false;
        }
        bytes.at += part.len_bytes;
        bytes.len_bytes -= part.len_bytes;
        offset_bytes += part.len_bytes;
    }
    return true;
}

bool content_is_zero(const struct content *content, uint64_t offset_bytes, uint64_t len_bytes)
{
    while (len_bytes > 0) {
        struct part part = first_part(content, offset_bytes, len_bytes);
        const struct block *block = content->blocks[part.block];
        if (block != NULL &&
            !span_is_zero((struct const_span){block->bytes + part.within_bytes, part.len_bytes})) {
            return false;
        }
        offset_bytes += part.len_bytes;
        len_bytes -= part.len_bytes;
    }
    return true;
}
