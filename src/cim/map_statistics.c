/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_statistics.c - Msvm_ReplicationStatistics, which is only ever embedded. Source: Microsoft,
 * Hyper-V WMI provider (V2), Msvm_ReplicationStatistics.
 */
#include "cim/map_statistics.h"

#include "base/attributes.h"
#include "cim/map.h"

static const struct {
    const char *property;
    const char *member;
    uint64_t max; /* of the property's type */
} counts[] = {
    {"ReplicationSuccessCount", "successes", UINT32_MAX},
    {"ReplicationMissCount", "misses", UINT32_MAX},
    {"NetworkFailureCount", "network_failures", UINT32_MAX},
    {"ReplicationFailureCount", "failures", UINT32_MAX},
    {"ReplicationSize", "size_bytes", UINT64_MAX},
    {"MaxReplicationSize", "max_size_bytes", UINT64_MAX},
    {"ReplicationLatency", "latency_s", UINT32_MAX},
    {"MaxReplicationLatency", "max_latency_s", UINT32_MAX},
};

const struct cim_instance *map_statistics_new(struct arena *arena, const json_t *statistics,
                                              const json_t *relationship)
{
    struct cim_instance *instance = map_new(arena, "Msvm_ReplicationStatistics");

    cim_set_time(instance, "StartStatisticTime", json_object_get(statistics, "start"));
    cim_set_time(instance, "EndStatisticTime", json_object_get(statistics, "end"));
    for (uint32_t i = 0; i < ARRAY_COUNT(counts); i++) {
        map_set_count(instance, counts[i].property, map_number(statistics, counts[i].member),
                      counts[i].max);
    }
    if (relationship != NULL) {
        map_set_count(instance, "ReplicationHealth", map_number(relationship, "health"),
                      UINT32_MAX);
    }
    return instance;
}
