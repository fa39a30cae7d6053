/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "chance.h"

#include <assert.h>
#include <string.h>

/* The finishing steps of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
 * Generators, 2014), in our own words. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
    value = (value ^ value >> 27) * 0x94d049bb133111ebU;
    return value ^ value >> 31;
}

struct chance chance_of(uint64_t seed, uint64_t stream)
{
    return (struct chance){mix(mix(seed) + stream * 0x9e3779b97f4a7c15U)};
}

uint64_t chance_next(struct chance *chance)
{
    chance->state += 0x9e3779b97f4a7c15U;
    return mix(chance->state);
}

uint64_t chance_below(struct chance *chance, uint64_t limit)
{
    assert(limit > 0);
    return chance_next(chance) % limit; /* the bias is far below what any seed count could show */
}

uint64_t chance_between(struct chance *chance, uint64_t least, uint64_t most)
{
    assert(least <= most);
    return least + chance_below(chance, most - least + 1);
}

uint64_t chance_spread(struct chance *chance, uint64_t least, uint64_t most)
{
    assert(least > 0 && least <= most);
    uint64_t doublings = 1;

    while (most >> doublings >= least && doublings < 63) {
        doublings++;
    }
    uint64_t low = least << chance_below(chance, doublings);
    uint64_t high = low <= most / 2 ? 2 * low - 1 : most;
    return chance_between(chance, low, high);
}

bool chance_one_in(struct chance *chance, uint64_t count)
{
    return chance_below(chance, count) == 0;
}

bool chance_percent(struct chance *chance, uint64_t percent)
{
    return chance_below(chance, 100) < percent;
}

void chance_fill(struct chance *chance, struct span bytes)
{
    while (bytes.len_bytes > 0) {
        uint64_t value = chance_next(chance);
        size_t len_bytes = bytes.len_bytes < sizeof value ? bytes.len_bytes : sizeof value;
        memcpy(bytes.at, &value, len_bytes);
        bytes.at += len_bytes;
        bytes.len_bytes -= len_bytes;
    }
}
