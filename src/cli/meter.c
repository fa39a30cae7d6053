/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "cli/human.h"

#define DRAW_EVERY_NS (200 * NS_PER_MS)
#define NAME_COLUMNS 40U

void meter_init(struct meter *meter, const char *what, bool is_wanted)
{
    const char *term = getenv("TERM");
    bool is_terminal =
        isatty(STDERR_FILENO) == 1 && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;

    *meter = (struct meter){.what = what, .is_on = is_wanted && is_terminal};
}

void meter_show(struct meter *meter, uint64_t done_bytes, uint64_t all_bytes)
{
    char name[4 * NAME_COLUMNS + 1];
    char done[HUMAN_MAX];
    char all[HUMAN_MAX];
    uint64_t now_ns = meter->is_on ? env_now_ns(env_system()) : 0;

    if (!meter->is_on || now_ns < meter->next_ns || all_bytes == 0) {
        return;
    }
    meter->next_ns = now_ns + DRAW_EVERY_NS;
    meter->is_shown = true;
    (void)human_name(meter->what, NAME_COLUMNS, name, sizeof name);
    (void)fprintf(stderr, "\r%s: %u%%, %s of %s\033[K", name,
                  (unsigned)((double)done_bytes * 100.0 / (double)all_bytes),
                  human_size(done_bytes, done), human_size(all_bytes, all));
}

void meter_clear(struct meter *meter)
{
    if (meter->is_shown) {
        (void)fprintf(stderr, "\r\033[K");
        meter->is_shown = false;
    }
}
