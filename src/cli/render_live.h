/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * render_live.h - the lines that move while a run goes on: one a disk, redrawn in place on a
 * terminal, or (with
 * --progress=always and no terminal) written anew every few seconds.
 */
#ifndef RESILVER_CLI_RENDER_LIVE_H
#define RESILVER_CLI_RENDER_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/report.h"

#define LIVE_COLUMNS_MAX 512

/* How fast a disk went lately. */
struct live_rate {
    bool has_rate;
    uint64_t sample_ns;  /* when done_bytes was seen */
    uint64_t done_bytes; /* compared in this run */
    double bytes_per_s;  /* smoothed */
};

struct render_live {
    FILE *out;            /* borrowed; NULL: nothing is shown */
    bool in_place;        /* a terminal that can move its cursor */
    uint64_t next_ns;     /* no drawing before */
    unsigned drawn_count; /* lines above the cursor that are ours */
    bool is_opened;       /* terminal_fd was looked for */
    int terminal_fd;      /* owned: the terminal once more, not waiting; -1: there is none */
    char *unwritten;      /* owned: the rest of a drawing that the terminal did not take yet */
    size_t unwritten_bytes;
    struct live_rate rates[DISKS_MAX];
};

/* render_live_update - draw, if it is time. report->elapsed_ns is the clock. Never waits for the
 * terminal: while that takes nothing (the user stopped its output) nothing is drawn. */
void render_live_update(struct render_live *live, const struct report *report);

/* render_live_clear - take the lines away, before anything else is written to the terminal; the
 * end of drawing. Waits for the terminal. */
void render_live_clear(struct render_live *live);

/* live_rate_update - take a new sample; for tests. */
void live_rate_update(struct live_rate *rate, const struct report_disk *disk, uint64_t now_ns);

/*
 * render_live_line - one disk's line, without its end: name, percent, compared, different, shipped,
 * rate, time left. Where it would be wider than columns, it loses what matters least, and the name
 * its beginning.
 */
void render_live_line(const struct report_disk *disk, const struct live_rate *rate, size_t columns,
                      char *out, size_t size_bytes);

#endif
