/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_error.h - what went wrong, as embedded instances of Msvm_Error: for GetError, GetErrorEx and
 * the health issues of GetReplicationStatisticsEx. In the arena of the request; NULL without
 * memory, too (arena->bad).
 */
#ifndef RESILVER_CIM_MAP_ERROR_H
#define RESILVER_CIM_MAP_ERROR_H

#include <jansson.h>

#include "cim/value.h"

/* map_error_of_job - of a Job of the control API that failed; NULL: it has no error. */
const struct cim_instance *map_error_of_job(struct arena *arena, const json_t *job);

/* map_error_of_relationship - of a Relationship whose health is Warning or Critical, with its
 * reason; NULL: its health is fine. */
const struct cim_instance *map_error_of_relationship(struct arena *arena,
                                                     const json_t *relationship);

#endif
