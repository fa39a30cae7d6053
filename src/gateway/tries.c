/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/tries.h"

#include <string.h>

#include "base/env.h"

#define MINUTE_NS (60 * NS_PER_S)

static bool is_over(const struct tries_entry *entry, uint64_t now_ns)
{
    return entry->began_ns == 0 || now_ns - entry->began_ns >= MINUTE_NS;
}

/* NULL: nothing was counted for it. */
static const struct tries_entry *find(const struct tries *tries,
                                      const uint8_t key[FINGERPRINT_BYTES])
{
    for (uint32_t i = 0; i < AUTH_TRACKED_MAX; i++) {
        const struct tries_entry *entry = &tries->entries[i];
        if (entry->began_ns != 0 && memcmp(entry->key, key, FINGERPRINT_BYTES) == 0) {
            return entry;
        }
    }
    return NULL;
}

bool tries_is_locked(const struct tries *tries, const uint8_t key[FINGERPRINT_BYTES],
                     uint64_t now_ns)
{
    const struct tries_entry *entry = find(tries, key);

    return entry != NULL && !is_over(entry, now_ns) && entry->count >= AUTH_TRIES_MAX;
}

/* One that is free or the oldest. */
static struct tries_entry *oldest(struct tries *tries)
{
    struct tries_entry *best = &tries->entries[0];

    for (uint32_t i = 1; i < AUTH_TRACKED_MAX && best->began_ns != 0; i++) {
        if (tries->entries[i].began_ns < best->began_ns) {
            best = &tries->entries[i];
        }
    }
    return best;
}

void tries_count(struct tries *tries, const uint8_t key[FINGERPRINT_BYTES], uint64_t now_ns)
{
    const struct tries_entry *known = find(tries, key);
    struct tries_entry *entry =
        known == NULL ? oldest(tries) : &tries->entries[known - tries->entries];

    if (known == NULL || is_over(entry, now_ns)) {
        /* The clock's zero is arbitrary, and 0 means free. */
        *entry = (struct tries_entry){.began_ns = now_ns == 0 ? 1 : now_ns};
        memcpy(entry->key, key, FINGERPRINT_BYTES);
    }
    entry->count++;
}

void tries_forgive(struct tries *tries, const uint8_t key[FINGERPRINT_BYTES])
{
    const struct tries_entry *known = find(tries, key);

    if (known == NULL) {
        return; /* forgotten already: others needed the room */
    }
    struct tries_entry *entry = &tries->entries[known - tries->entries];
    if (entry->count > 0) {
        entry->count--;
    }
}
