/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pool.c - malloc, aligned_alloc and free for the code under test, which the linker puts in the
 * place of the real ones (--wrap in meson.build): large buffers are kept for the next session.
 *
 * A session has some 60 MiB of them and touches little of that. Getting and returning them costs
 * the address sanitizer several times what the session itself costs, because all their shadow
 * memory is written to and given up each time. Here it is only written to. What the sanitizer is
 * for stays: a buffer that is not in use is poisoned, and so is a page on either side of it.
 *
 * Not thread safe: the simulator has one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "sanitizer.h"

#define LARGE_BYTES (200U * 1024U)
#define POOL_MAX 256U
#define GUARD_BYTES 4096U /* on either side; also the alignment */

struct pooled {
    uint8_t *at; /* owned, with a guard before and after it */
    size_t size_bytes;
    bool is_used;
};

static struct pooled pool[POOL_MAX];
static size_t pool_count;

void *__real_malloc(size_t size_bytes);
void *__real_aligned_alloc(size_t alignment, size_t size_bytes);
void __real_free(void *at);
void *__wrap_malloc(size_t size_bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t size_bytes);
void __wrap_free(void *at);

/* One of this very size, new if none is free; NULL when there are too many, or no memory. */
static void *take(size_t size_bytes)
{
    for (size_t i = 0; i < pool_count; i++) {
        if (!pool[i].is_used && pool[i].size_bytes == size_bytes) {
            pool[i].is_used = true;
            SANITIZER_UNPOISON(pool[i].at, size_bytes);
            return pool[i].at;
        }
    }
    size_t room_bytes = (size_bytes + GUARD_BYTES - 1) / GUARD_BYTES * GUARD_BYTES;
    if (pool_count == POOL_MAX) {
        return NULL;
    }
    uint8_t *whole = __real_aligned_alloc(GUARD_BYTES, room_bytes + 2 * GUARD_BYTES);
    if (whole == NULL) {
        return NULL;
    }
    SANITIZER_POISON(whole, room_bytes + 2 * GUARD_BYTES);
    SANITIZER_UNPOISON(whole + GUARD_BYTES, size_bytes);
    pool[pool_count++] =
        (struct pooled){.at = whole + GUARD_BYTES, .size_bytes = size_bytes, .is_used = true};
    return whole + GUARD_BYTES;
}

void *__wrap_malloc(size_t size_bytes)
{
    void *pooled = size_bytes >= LARGE_BYTES ? take(size_bytes) : NULL;

    return pooled != NULL ? pooled : __real_malloc(size_bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size_bytes)
{
    void *pooled = size_bytes >= LARGE_BYTES && alignment <= GUARD_BYTES ? take(size_bytes) : NULL;

    return pooled != NULL ? pooled : __real_aligned_alloc(alignment, size_bytes);
}

void __wrap_free(void *at)
{
    for (size_t i = 0; at != NULL && i < pool_count; i++) {
        if (pool[i].at == at) {
            if (!pool[i].is_used) {
                abort(); /* freed twice */
            }
            SANITIZER_POISON(at, pool[i].size_bytes);
            pool[i].is_used = false;
            return;
        }
    }
    __real_free(at);
}
