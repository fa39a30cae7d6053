/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * env.h - clock and chance as an operations table, so that the simulator can own both. Only
 * base/env_system.c calls the operating system for them (tools/check_banned looks).
 */
#ifndef RESILVER_BASE_ENV_H
#define RESILVER_BASE_ENV_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/span.h"

struct env {
    /* monotonic nanoseconds, never going back; the zero is arbitrary */
    uint64_t (*now_ns)(void *context);
    /* fill out with unpredictable bytes (real) or seeded ones (simulated); -1 and err when none are
     * to be had */
    int (*random)(void *context, struct span out, struct error *err);
    /* microseconds since 1970 (UTC) by the host's clock, which may be set back and forth: for what
     * people and other hosts are told, and for schedules. NULL where nothing asks for it */
    int64_t (*wall_us)(void *context);
    void *context; /* borrowed; the owner outlives every user of this table */
};

/* env_system - the real clock (CLOCK_MONOTONIC) and the kernel's random bytes (getrandom). */
const struct env *env_system(void);

/* env_system_wall_ns - nanoseconds since 1970 by the host's clock, which may be set back and forth:
 * only for comparing with the times of files. */
uint64_t env_system_wall_ns(void);

static inline uint64_t env_now_ns(const struct env *env)
{
    return env->now_ns(env->context);
}

static inline int64_t env_wall_us(const struct env *env)
{
    return env->wall_us(env->context);
}

MUST_CHECK static inline int env_random(const struct env *env, struct span out, struct error *err)
{
    return env->random(env->context, out, err);
}

#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL
#define US_PER_S 1000000LL

#endif
