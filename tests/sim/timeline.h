/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * timeline.h - what will happen in a simulated world, by its clock. Two things at one moment happen
 * in the order in which they were planned.
 */
#ifndef RESILVER_SIM_TIMELINE_H
#define RESILVER_SIM_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum occurrence_kind {
    OCCUR_INVALID = 0,
    OCCUR_START,      /* a host's program starts */
    OCCUR_DISK,       /* a request (value: its flight) of a host's disk comes to its end */
    OCCUR_READ,       /* a host may read its link */
    OCCUR_WRITE,      /* a host may write to its link */
    OCCUR_OPENED,     /* the host answers, later than at once: OPEN_DISKS */
    OCCUR_RECORDED,   /* RECORD */
    OCCUR_IDENTIFIED, /* IDENTIFY */
    OCCUR_COMMITTED,  /* COMMIT */
    OCCUR_FAREWELL    /* a host that failed waits no longer for its last words to be taken */
};

struct occurrence {
    uint64_t at_ns;
    uint64_t sequence;
    enum occurrence_kind kind;
    uint32_t host;
    uint32_t disk;
    uint32_t value;
};

struct timeline {
    uint64_t now_ns;
    uint64_t next_sequence;
    struct occurrence *heap; /* owned */
    size_t count;
    size_t capacity;
};

void timeline_done(struct timeline *timeline);

/* timeline_add - plan it for delay_ns from now; at_ns and sequence are filled in. */
void timeline_add(struct timeline *timeline, uint64_t delay_ns, struct occurrence occurrence);

/* timeline_take - the next, and the clock goes on to it; false when nothing is planned. */
bool timeline_take(struct timeline *timeline, struct occurrence *out);

/* timeline_clear - nothing is planned any more; the clock stays. */
void timeline_clear(struct timeline *timeline);

#endif
