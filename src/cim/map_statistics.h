/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_statistics.h - the statistics of a relationship, as embedded instances of
 * Msvm_ReplicationStatistics: for GetReplicationStatistics and GetReplicationStatisticsEx.
 */
#ifndef RESILVER_CIM_MAP_STATISTICS_H
#define RESILVER_CIM_MAP_STATISTICS_H

#include <jansson.h>

#include "cim/value.h"

/* map_statistics_new - from a Statistics of the control API, and the health of its Relationship
 * (NULL: left null). In the arena; NULL: no memory (arena->bad). */
const struct cim_instance *map_statistics_new(struct arena *arena, const json_t *statistics,
                                              const json_t *relationship);

#endif
