/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/arena.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)16 * 1024) /* of a block for many things; a larger one has its own */
#define ALIGNMENT _Alignof(max_align_t)

struct arena_block {
    struct arena_block *next; /* older */
    size_t size_bytes;
    size_t used_bytes;
    _Alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena, size_t max_bytes)
{
    *arena = (struct arena){.max_bytes = max_bytes};
}

int arena_done(const struct arena *arena, struct error *err)
{
    if (arena->bad) {
        return fail(err, ERR_LIMIT, 0,
                    "this takes more memory than the %zu KiB that one request may have",
                    arena->max_bytes / 1024);
    }
    return 0;
}

void arena_free(struct arena *arena)
{
    struct arena_block *block = arena->blocks;

    while (block != NULL) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
    arena_init(arena, arena->max_bytes);
}

/* A block with room for size_bytes, as the newest. What is left of the one before is lost, but for
 * a large thing, whose block goes behind so that the rest of the newest stays in use. */
static struct arena_block *add_block(struct arena *arena, size_t size_bytes)
{
    size_t room_bytes = size_bytes > BLOCK_BYTES / 4 ? size_bytes : BLOCK_BYTES;
    struct arena_block *block = malloc(sizeof *block + room_bytes);

    if (block == NULL) {
        return NULL;
    }
    block->size_bytes = room_bytes;
    block->used_bytes = 0;
    if (room_bytes != BLOCK_BYTES && arena->blocks != NULL) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = arena->blocks;
        arena->blocks = block;
    }
    return block;
}

void *arena_take(struct arena *arena, size_t size_bytes)
{
    struct arena_block *block = arena->blocks;
    size_t rounded_bytes;

    if (arena->bad || __builtin_add_overflow(size_bytes, ALIGNMENT - 1, &rounded_bytes)) {
        arena->bad = true;
        return NULL;
    }
    rounded_bytes -= rounded_bytes % ALIGNMENT;
    if (rounded_bytes > arena->max_bytes - arena->used_bytes) {
        arena->bad = true;
        return NULL;
    }
    if (block == NULL || rounded_bytes > block->size_bytes - block->used_bytes) {
        block = add_block(arena, rounded_bytes);
    }
    if (block == NULL) {
        arena->bad = true;
        return NULL;
    }
    unsigned char *at = block->bytes + block->used_bytes;

    block->used_bytes += rounded_bytes;
    arena->used_bytes += rounded_bytes;
    assert(block->used_bytes <= block->size_bytes && arena->used_bytes <= arena->max_bytes);
    return memset(at, 0, rounded_bytes);
}

void *arena_take_many(struct arena *arena, size_t count, size_t size_bytes)
{
    size_t all_bytes;

    if (__builtin_mul_overflow(count, size_bytes, &all_bytes)) {
        arena->bad = true;
        return NULL;
    }
    return arena_take(arena, all_bytes);
}

char *arena_text_of(struct arena *arena, const char *text, size_t text_bytes)
{
    char *copy = NULL;

    if (text_bytes == SIZE_MAX) {
        arena->bad = true;
        return NULL;
    }
    copy = arena_take(arena, text_bytes + 1);
    if (copy != NULL && text_bytes > 0) {
        memcpy(copy, text, text_bytes); /* arena_take() left the NUL behind it */
    }
    return copy;
}

char *arena_text(struct arena *arena, const char *text)
{
    return arena_text_of(arena, text, strlen(text));
}

char *arena_print(struct arena *arena, const char *format, ...)
{
    va_list values;
    char *made = NULL;

    va_start(values, format);
    int len = vsnprintf(NULL, 0, format, values);
    va_end(values);
    if (len < 0) {
        arena->bad = true;
        return NULL;
    }
    made = arena_take(arena, (size_t)len + 1);
    if (made != NULL) {
        va_start(values, format);
        (void)vsnprintf(made, (size_t)len + 1, format, values);
        va_end(values);
    }
    return made;
}
