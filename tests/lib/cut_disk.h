/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cut_disk.h - a disk in memory for tests, which remembers what was done to it, so that what a
 * power cut at any moment would leave can be looked at afterwards; and which fails when told to.
 *
 * A request is carried out when it is reaped: in order, or, once shuffled, in any order.
 */
#ifndef RESILVER_TESTS_LIB_CUT_DISK_H
#define RESILVER_TESTS_LIB_CUT_DISK_H

#include "chance.h"
#include "disk/disk.h"

/* What becomes of the writes that were not flushed when the power was cut. */
enum cut_keep {
    CUT_KEEP_NONE = 0,
    CUT_KEEP_ALL,
    CUT_KEEP_SOME, /* each is there, is not, or some of its sectors are, by the seed */
    CUT_KEEP_TORN  /* all but the last, of which some sectors are there, by the seed */
};

struct cut_step;

struct cut_disk {
    struct disk disk;    /* first: a struct disk * is one to this */
    uint8_t *bytes;      /* owned; to be looked at and changed by tests as they like */
    uint64_t used_bytes; /* behind them there are zeros: a test that changes bytes itself says so */
    uint8_t identity[DISK_IDENTITY_BYTES]; /* what it says it is; zeros at first */

    /* its own */
    int ready_fd; /* owned; always readable */
    bool is_shuffled;
    struct chance chance;
    struct disk_request *pending[DISK_REQUESTS_MAX];
    uint32_t pending_count;
    uint8_t *start; /* owned: the bytes when remembering began */
    uint64_t start_bytes;
    struct cut_step *steps; /* owned */
    uint64_t step_count;
    uint64_t step_room;
    bool is_remembering;
    enum disk_op fault_op;
    uint64_t fault_left;
    int fault_errnum;
    uint32_t fired;
};

/* cut_disk_new - of zeros, writable; ends the program when there is no memory. disk_close() frees
 * it. */
struct cut_disk *cut_disk_new(uint64_t size_bytes);

/* cut_disk_shuffle - from now on requests are carried out in any order, and come late. */
void cut_disk_shuffle(struct cut_disk *disk, uint64_t seed);

/* cut_disk_fail - the n-th (from 1) request of this kind from now on fails and does nothing;
 * disk->fired counts. */
void cut_disk_fail(struct cut_disk *disk, enum disk_op op, uint64_t number, int errnum);

/* cut_disk_remember - from now on every write, zero and flush is a step that the power can be cut
 * after. cut_disk_steps - how many there were. */
void cut_disk_remember(struct cut_disk *disk);
uint64_t cut_disk_steps(const struct cut_disk *disk);

/* cut_disk_after - a new disk as this one would have been found, had the power been cut after so
 * many steps. */
struct cut_disk *cut_disk_after(const struct cut_disk *disk, uint64_t steps, enum cut_keep keep,
                                uint64_t seed);

#endif
