/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plan.h - which disks a run makes equal to which: pairs of endpoints, checked against each other
 * before anything is opened. All sources are reached in one way and all targets in one way, and at
 * least one of both is this host.
 */
#ifndef RESILVER_CLI_PLAN_H
#define RESILVER_CLI_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "cli/endpoint.h"

struct plan_pair {
    struct endpoint source;
    struct endpoint target;
    bool is_replica; /* the target was written as a replica's folder, with a slash at its end; the
                        disk's name, which is the source's, was added to it */
};

struct plan {
    uint32_t disk_count;
    struct plan_pair *pairs; /* owned; room for DISKS_MAX */
};

/* plan_init - Errors: ERR_LIMIT no memory. */
MUST_CHECK int plan_init(struct plan *plan, struct error *err);
void plan_done(struct plan *plan);

/* plan_add - a pair as two texts; plan_add_pair: as SOURCE=TARGET. Errors: ERR_USAGE. */
MUST_CHECK int plan_add(struct plan *plan, const char *source, const char *target,
                        struct error *err);
MUST_CHECK int plan_add_pair(struct plan *plan, const char *pair, struct error *err);

/*
 * plan_check - whether the pairs can be one run: at least one, one host a side, not both remote,
 * and no file or device both source and target, or target twice, as far as this host can see
 * (device and inode; symbolic links are followed). Errors: ERR_USAGE.
 */
MUST_CHECK int plan_check(const struct plan *plan, struct error *err);

#endif
