/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * meter.h - one line on a terminal that says how far a single long step is: "vm1: 42%, 1.7 GiB of
 * 4.0 GiB". Without a terminal on standard error, nothing.
 */
#ifndef RESILVER_CLI_METER_H
#define RESILVER_CLI_METER_H

#include <stdbool.h>
#include <stdint.h>

struct meter {
    const char *what; /* borrowed: what it is about */
    bool is_on;
    bool is_shown;
    uint64_t next_ns; /* when to draw again */
};

/* meter_init - is_wanted false: nothing is shown. */
void meter_init(struct meter *meter, const char *what, bool is_wanted);

/* meter_show - draws only as often as a person can read. */
void meter_show(struct meter *meter, uint64_t done_bytes, uint64_t all_bytes);

/* meter_clear - before anything else is printed. */
void meter_clear(struct meter *meter);

#endif
