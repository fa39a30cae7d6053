/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * report.h - what a session has reached, as the JSON object JobReport of docs/control.md: kept with
 * the job, and shown while it runs.
 */
#ifndef RESILVER_REPLICA_REPORT_H
#define RESILVER_REPLICA_REPORT_H

#include <jansson.h>

#include "engine/progress.h"
#include "store/rows.h"

/* report_new - the disks' names are those of the relationship that take part, in their order. NULL:
 * no memory. */
json_t *report_new(const struct relationship_row *row, const struct progress *progress,
                   uint64_t elapsed_ns);

/* report_percent - 0 .. 99: 100 is said by the job's end alone. */
uint16_t report_percent(const struct progress *progress);

#endif
