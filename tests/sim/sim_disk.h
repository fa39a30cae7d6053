/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sim_disk.h - a disk behind disk.h whose writes are volatile until they are flushed, whose
 * requests complete in any order, and which fails or lies when it is told to.
 *
 *   submit -> in flight -> (sim_disk_complete) -> done -> reap
 *
 *   current   what is read from it: durable, with everything that was written since on top
 *   durable   what a power cut leaves for certain
 *   dirty     ranges written and not flushed: at a power cut each of their sectors is lost or kept
 *
 * It outlives sessions: opened by one after the other, and cut off from power between.
 */
#ifndef RESILVER_SIM_SIM_DISK_H
#define RESILVER_SIM_SIM_DISK_H

#include "chance.h"
#include "content.h"
#include "disk/disk.h"
#include "timeline.h"
#include "trace.h"

#define OPS_COUNT (DISK_EXTENTS + 1U)

/* What a disk does that says "written" and does something else. */
enum sim_lie {
    LIE_NONE = 0,
    LIE_LOST,        /* nothing is written */
    LIE_MISDIRECTED, /* it is written to another place */
    LIE_TORN,        /* some of its sectors are written */
    LIE_FLIPPED,     /* one bit of it is wrong */
    LIE_COUNT
};

struct sim_disk_fault {
    enum disk_op op; /* INVALID: none is planned */
    uint32_t after;  /* so many requests of that kind go well first */
    int errnum;      /* with which the next one fails; 0: it lies instead */
    enum sim_lie lie;
    bool has_fired;
    uint64_t offset_bytes; /* where it was, once it has fired */
};

/* How a disk behaves while nothing is wrong with it. */
struct sim_disk_style {
    uint64_t least_ns; /* that a request takes */
    uint64_t spread_ns;
    uint64_t claim_percent; /* pages of zeros that it calls a hole */
    uint64_t cut_percent;   /* answers about extents that end early */
    bool knows_identity;
    bool has_cache; /* some reads say that they came from the page cache */
};

struct flight {
    struct disk_request *request; /* borrowed; NULL: this place is free */
    struct disk_request asked;    /* as it was submitted */
    uint64_t sum;                 /* WRITE: over its bytes */
    uint64_t dirty_before;        /* FLUSH: covers what has a smaller number */
};

struct dirty {
    uint64_t number; /* counts up, by completion */
    uint64_t offset_bytes;
    uint64_t len_bytes;
};

struct sim_disk {
    struct disk disk; /* first: a struct disk * is one of ours */
    uint32_t host;    /* which host's, and which of its disks: for the timeline */
    uint32_t index;
    struct timeline *timeline; /* borrowed from the world, as the next two */
    struct chance *chance;
    struct trace *trace;
    struct sim_disk_style style;
    struct sim_disk_fault fault;
    bool is_open;
    bool is_dead; /* its host is: requests come back at once, failed, and do nothing */

    struct content current;
    struct content durable;
    uint16_t *claims; /* owned: for each block the pages that extents call a hole; they are zeros */
    struct dirty *dirty; /* owned */
    size_t dirty_count;
    size_t dirty_capacity;
    uint64_t next_dirty;
    bool has_lied; /* since it was opened */

    uint8_t tag[DISK_IDENTITY_BYTES]; /* of the present content: a new one with every change */
    uint8_t durable_tag[DISK_IDENTITY_BYTES]; /* that a power cut may bring back */

    struct flight flights[DISK_REQUESTS_MAX];
    uint32_t flight_count;
    uint32_t writing_count;         /* of these: change the disk */
    struct disk_request *done_head; /* borrowed requests, linked by their `next` */
    struct disk_request *done_tail;
    uint64_t completed[OPS_COUNT]; /* requests by kind, since it was opened */
    uint64_t submitted[OPS_COUNT];
};

/* sim_disk_init - of zeros; name is cut if longer. sim_disk_done: nothing may be in flight. */
void sim_disk_init(struct sim_disk *disk, const char *name, uint64_t size_bytes);
void sim_disk_done(struct sim_disk *disk);

/* sim_disk_settle - its content was laid out (written to `current` directly): it is durable, and
 * has holes by the disk's style. */
void sim_disk_settle(struct sim_disk *disk);

/* sim_disk_open - for a session; sim_disk_resize before it. */
void sim_disk_open(struct sim_disk *disk, bool is_writable);
void sim_disk_resize(struct sim_disk *disk, uint64_t size_bytes);

/* sim_disk_complete - a flight comes to its end: its effect takes place, and reap gives it. */
void sim_disk_complete(struct sim_disk *disk, uint32_t flight);

/* Somebody else changes the disk, whole and durable. */
void sim_disk_scribble(struct sim_disk *disk, uint64_t offset_bytes, struct const_span bytes);

/*
 * What happens to a disk whose program dies: what was in flight happens, in part or not at all.
 * With the power, what was not flushed is lost, kept or torn as well. sim_disk_take_back gives the
 * requests that were in flight or not reaped one by one, NULL at the end.
 */
void sim_disk_kill(struct sim_disk *disk);
void sim_disk_cut_power(struct sim_disk *disk);
struct disk_request *sim_disk_take_back(struct sim_disk *disk);

/* sim_disk_write_back - what is dirty becomes durable, as it does by itself after a while. */
void sim_disk_write_back(struct sim_disk *disk);

#endif
