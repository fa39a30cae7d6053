/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/env.h"

static uint64_t system_now_ns(void *context)
{
    (void)context;
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists on every Linux */
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int system_random(void *context, struct span out, struct error *err)
{
    (void)context;
    size_t filled = 0;

    while (filled < out.len_bytes) {
        ssize_t got = getrandom(out.at + filled, out.len_bytes - filled, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail(err, ERR_INTERNAL, errno, "the kernel gives no random bytes");
        }
        filled += (size_t)got;
    }
    return 0;
}

uint64_t env_system_wall_ns(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail: the clock exists on every Linux */
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int64_t system_wall_us(void *context)
{
    (void)context;
    return (int64_t)(env_system_wall_ns() / 1000);
}

const struct env *env_system(void)
{
    static const struct env system = {.now_ns = system_now_ns,
                                      .random = system_random,
                                      .wall_us = system_wall_us,
                                      .context = NULL};
    return &system;
}
