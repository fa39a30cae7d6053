/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chance.h - everything that happens by chance in a simulated world, from its seed.
 */
#ifndef RESILVER_SIM_CHANCE_H
#define RESILVER_SIM_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct chance {
    uint64_t state;
};

/* chance_of - the stream number `stream` of a seed; the streams of one seed have nothing in common.
 */
struct chance chance_of(uint64_t seed, uint64_t stream);

uint64_t chance_next(struct chance *chance);

/* chance_below - 0 .. limit - 1; limit > 0. */
uint64_t chance_below(struct chance *chance, uint64_t limit);

/* chance_between - least .. most. */
uint64_t chance_between(struct chance *chance, uint64_t least, uint64_t most);

/* chance_spread - least .. most, each doubling as likely as the next: 1 comes as often as half of
 * what is possible. least > 0. */
uint64_t chance_spread(struct chance *chance, uint64_t least, uint64_t most);

bool chance_one_in(struct chance *chance, uint64_t count);
bool chance_percent(struct chance *chance, uint64_t percent);

void chance_fill(struct chance *chance, struct span bytes);

#endif
