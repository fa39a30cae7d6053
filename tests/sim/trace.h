/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * trace.h - what a simulated world says while it runs, and how it ends when a promise is broken.
 */
#ifndef RESILVER_SIM_TRACE_H
#define RESILVER_SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"

struct trace {
    uint64_t seed;
    bool is_verbose; /* print every event */
    bool is_hashed;  /* keep a sum over all events, to compare two runs of one seed */
    uint64_t hash;
    const uint64_t *now_ns; /* the world's clock; borrowed */
};

/* trace_wants - whether trace_say would do anything: to spare making what it would say. */
static inline bool trace_wants(const struct trace *trace)
{
    return trace->is_verbose || trace->is_hashed;
}

void trace_say(struct trace *trace, const char *format, ...) FORMAT_AT(2, 3);

/* trace_fail - a promise is broken: say which, and how to repeat it; the program ends with 1. */
_Noreturn void trace_fail(const struct trace *trace, const char *format, ...) FORMAT_AT(2, 3);

/* trace_guard - from now on an abort, a sanitizer's report or a run that never ends names the seed
 * too. trace_guard_seed: the seed that runs now. */
void trace_guard(const char *program);
void trace_guard_seed(uint64_t seed);

#endif
