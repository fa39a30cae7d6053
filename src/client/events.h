/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * events.h - server-sent events out of a stream of bytes. Source: HTML Living Standard, 9.2.6
 * "Interpreting an event stream"; one data line an event, as our service sends them.
 */
#ifndef RESILVER_CLIENT_EVENTS_H
#define RESILVER_CLIENT_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

struct events {
    char *line; /* owned: what came of the present line */
    size_t len_bytes;
    char kind[32]; /* of the present event */
    char *data;    /* owned; NULL: none yet */
};

typedef int events_take(void *context, const char *kind, const char *data);

/* events_feed - false when a line is longer than CLIENT_EVENT_MAX, memory is short, or take
 * returned non-zero. */
bool events_feed(struct events *events, const char *bytes, size_t len_bytes, events_take *take,
                 void *context);
void events_done(struct events *events);

#endif
