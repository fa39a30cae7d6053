/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * record.h - what is written about a point: which disks, how each is kept, and the proof that they
 * equal the source. The same record is the commit of a point that is being published (`commit`),
 * then of the present point (`point`), then of a recovery point (`points/NNNNNN/point`).
 * docs/format-replica.md is the format.
 */
#ifndef RESILVER_POINTS_RECORD_H
#define RESILVER_POINTS_RECORD_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/span.h"
#include "disk/disk.h"
#include "engine/progress.h"
#include "engine/segment.h"
#include "points/log.h"

/* How a disk's next point is kept until it is published. */
enum point_driver {
    POINT_DRIVER_INVALID = 0,
    POINT_DRIVER_FILE = 1, /* a file of its own, a clone of the last or new; published by rename */
    POINT_DRIVER_LOG = 2   /* a journal, applied to the disk, which undo makes good */
};

struct point_disk {
    char name[DISK_NAME_MAX]; /* of its file in the replica's disks/ */
    enum disk_format format;
    enum point_driver driver;
    uint64_t size_bytes;
    uint8_t proof[PROOF_BYTES];
    /* LOG: the journal, and of an earlier point the undo log, and how many groups it has: fewer are
     * not it */
    uint8_t log_id[LOG_ID_BYTES];
    uint64_t log_groups;
    /* FILE: when the file that it replaces was written to last, in ns since 1970; 0: there is none.
     * Whoever finishes the commit later sees by it that somebody used that file meanwhile. */
    uint64_t base_mtime_ns;
};

struct point_record {
    uint64_t number;  /* counts up from 1, never reused in a replica */
    uint64_t base;    /* the number of the point that was present before; 0: none */
    uint64_t time_ns; /* since 1970, when it was sealed */
    uint32_t disk_count;
    struct point_disk disks[DISKS_MAX];
    struct proof_segments segments; /* with which the proofs can be computed again */
};

/* point_record_encode - as bytes that end with their SHA-256, into buffer (POINT_RECORD_MAX bytes);
 * *out points into it. Errors: ERR_INTERNAL. */
MUST_CHECK int point_record_encode(const struct point_record *record, struct span buffer,
                                   struct const_span *out, struct error *err);

/* point_record_decode - Errors: ERR_WRONG_STATE not a record of this version, torn or damaged, or a
 * field out of its range. */
MUST_CHECK int point_record_decode(struct const_span bytes, struct point_record *out,
                                   struct error *err);

/* point_name_is_good - whether it is the name of one file in one folder, and nothing else. */
bool point_name_is_good(const char *name);

#endif
