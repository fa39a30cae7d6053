/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view.h - one disk of a point, as it was: the present disk, a clone, or either of these with the
 * undo logs since then laid over it.
 */
#ifndef RESILVER_POINTS_VIEW_H
#define RESILVER_POINTS_VIEW_H

#include "points/log_disk.h"
#include "points/place.h"

struct view {
    struct disk *disk; /* owned: view_close */
    uint32_t log_count;
    struct log *logs[LOG_DISK_LOGS_MAX]; /* borrowed from disk; oldest point's first */
    bool is_over_present;                /* below the logs is the present disk, and not a clone */
};

/*
 * view_open - Errors: ERR_USAGE no such point; ERR_IO; ERR_WRONG_STATE damaged, in use.
 *
 * @has_present  false: the present disk is not opened (somebody has it open for writing); what lies
 *               only on it cannot be read then
 */
MUST_CHECK int view_open(const struct replica *replica, uint64_t number, uint32_t disk,
                         bool has_present, struct view *out, struct error *err);
void view_close(struct view *view);

/* view_record - of the point with this number; 0: of the present one. Errors: ERR_USAGE none. */
MUST_CHECK int view_record(const struct replica *replica, uint64_t number, struct point_record *out,
                           struct error *err);

#endif
