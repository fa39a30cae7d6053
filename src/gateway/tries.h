/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tries.h - wrong passwords, counted for a name or an address in a minute. Of a fixed size: who
 * fills it with ever new names makes the oldest be forgotten, and is counted by his address. Not
 * safe in several threads.
 */
#ifndef RESILVER_GATEWAY_TRIES_H
#define RESILVER_GATEWAY_TRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

struct tries_entry {
    uint8_t key[FINGERPRINT_BYTES]; /* a hash of the name or address */
    uint64_t began_ns;              /* 0: the entry is free */
    uint32_t count;
};

struct tries {
    struct tries_entry entries[AUTH_TRACKED_MAX];
};

/* tries_is_locked - whether AUTH_TRIES_MAX were counted, and their minute is not over. */
bool tries_is_locked(const struct tries *tries, const uint8_t key[FINGERPRINT_BYTES],
                     uint64_t now_ns);

/* tries_count - one more, before it is known whether it is a wrong one; tries_forgive - it was a
 * right one. So nobody has more guesses by making them at once. */
void tries_count(struct tries *tries, const uint8_t key[FINGERPRINT_BYTES], uint64_t now_ns);
void tries_forgive(struct tries *tries, const uint8_t key[FINGERPRINT_BYTES]);

#endif
