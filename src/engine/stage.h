/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stage.h - where the target puts what it receives, as an operations table. The session knows a
 * target only as this.
 *
 * A stage is a step machine like the rest of the engine: it gives requests to carry out (next) and
 * takes them back (complete). Drivers: stage_inplace.c writes straight into the disks.
 *
 *   reserve/write, zero --> (write, flush, read back, compare) --> durable mark
 */
#ifndef RESILVER_ENGINE_STAGE_H
#define RESILVER_ENGINE_STAGE_H

#include "base/attributes.h"
#include "base/error.h"
#include "disk/disk.h"
#include "engine/compare.h"
#include "engine/digest.h"
#include "engine/layout.h"
#include "engine/progress.h"

struct stage;

/* A point that a stage keeps, for list_points. */
struct stage_point {
    char id[64];
    uint64_t taken_at_s; /* seconds since 1970 */
};

struct stage_ops {
    const char *name; /* "in-place", ... */

    /* A buffer of LEAF_BYTES for the next leaf's bytes; {NULL, 0} while all are in use. It stays
     * reserved until write. */
    struct span (*reserve)(struct stage *stage);

    /* The reserved buffer holds the leaf's bytes, whose digest this is (already checked): put it
     * into the next point. */
    void (*write)(struct stage *stage, uint64_t leaf, const struct digest *digest);

    /* Leaves [first_leaf, first_leaf + count) of one node become zeros. False while there is no
     * room: ask again later. */
    bool (*zero)(struct stage *stage, uint64_t first_leaf, uint32_t count);

    /* The source has settled everything before this mark. */
    void (*mark)(struct stage *stage, const struct settled_mark *mark);

    /* No more will come: make durable what there is. Done when is_sealed. */
    void (*seal)(struct stage *stage);
    bool (*is_sealed)(const struct stage *stage);

    /* Throw away what was staged and is not yet in the point; requests in flight are still to be
     * completed. */
    void (*abort)(struct stage *stage);

    /* The next request to submit, or NULL. */
    struct disk_request *(*next)(struct stage *stage);

    /* Takes a request back. Errors: ERR_IO the disk failed, or read back something else than was
     * written. After an error the stage gives no more requests. */
    MUST_CHECK int (*complete)(struct stage *stage, struct disk_request *request,
                               struct error *err);

    /*
     * Whether something more is durable than at the last call, enough to be recorded (always, if
     * `force`), and nothing is being written now, so that the disks can be stamped; mark tells up
     * to where.
     */
    bool (*next_durable)(struct stage *stage, bool force, struct settled_mark *mark);

    /* Points kept, newest first; how many. Drivers that keep none: 0. */
    uint32_t (*list_points)(const struct stage *stage, struct stage_point *points, uint32_t max);

    /* A read-only disk of one point. Errors: ERR_WRONG_STATE no such point. */
    MUST_CHECK int (*open_point)(struct stage *stage, const char *id, uint32_t disk_index,
                                 struct disk **out, struct error *err);

    void (*free)(struct stage *stage);
};

/* What every stage begins with, as its first member. */
struct stage {
    const struct stage_ops *ops;
};

struct stage_config {
    const struct layout *layout; /* borrowed until the stage is freed, as the next two */
    struct digester *digester;
    struct progress *progress; /* the stage counts written and verified bytes */
    uint16_t owner;            /* marks its requests */
};

/* stage_inplace_new - begin staging straight into the disks. Errors: ERR_LIMIT no memory. */
MUST_CHECK int stage_inplace_new(const struct stage_config *config, struct stage **out,
                                 struct error *err);

#endif
