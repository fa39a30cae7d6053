/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * arena.h - memory of one request, given back all at once. What is made in an arena lives as long
 * as it does and is never freed alone, so nothing in it has an owner but the arena.
 *
 * The arena is sticky: when its limit or the memory is reached, arena_take() gives NULL, and `bad`
 * stays set. Whoever builds something in it may build on with NULLs where the functions take them,
 * and asks arena_done() once at the end.
 */
#ifndef RESILVER_BASE_ARENA_H
#define RESILVER_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* owned, newest first */
    size_t used_bytes;          /* of all blocks together */
    size_t max_bytes;
    bool bad;
};

/* arena_init - may at most hold max_bytes. Takes no memory yet. */
void arena_init(struct arena *arena, size_t max_bytes);

/* arena_done - 0, or ERR_LIMIT when anything was asked for that was not to be had. */
MUST_CHECK int arena_done(const struct arena *arena, struct error *err);

/* arena_free - everything that was made in it is gone; it may be used anew. */
void arena_free(struct arena *arena);

/* arena_take - size_bytes of zeros, aligned for anything; NULL: no more. */
void *arena_take(struct arena *arena, size_t size_bytes);

/* arena_take_many - the same for count things of size_bytes; an overflow is "no more". */
void *arena_take_many(struct arena *arena, size_t count, size_t size_bytes);

/* arena_text - a copy of a text; of text_bytes bytes, which need no NUL; as printf makes it. */
char *arena_text(struct arena *arena, const char *text);
char *arena_text_of(struct arena *arena, const char *text, size_t text_bytes);
char *arena_print(struct arena *arena, const char *format, ...) FORMAT_AT(2, 3);

#endif
