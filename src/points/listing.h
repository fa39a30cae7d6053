/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * listing.h - which earlier points a replica has.
 */
#ifndef RESILVER_POINTS_LISTING_H
#define RESILVER_POINTS_LISTING_H

#include "points/place.h"

#define LISTING_MAX 64U /* more than the history allows: what a killed run could not prune yet */

/* listing_numbers - of the earlier points, ascending; *out_count. Names that are no numbers are
 * passed over. Errors: ERR_IO; ERR_LIMIT more than LISTING_MAX. */
MUST_CHECK int listing_numbers(const struct replica *replica, uint64_t numbers[LISTING_MAX],
                               uint32_t *out_count, struct error *err);

/* listing_points - the earlier points, into info->points. A damaged one does not hide the others,
 * and what is seen through it is marked. */
MUST_CHECK int listing_points(const struct replica *replica, struct replica_info *info,
                              struct error *err);

#endif
