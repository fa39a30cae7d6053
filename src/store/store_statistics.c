/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/query.h"

int store_put_statistics(struct store *store, const struct statistics_row *row, struct error *err)
{
    struct query query;

    query_begin(&query, store, "statistics",
                "INSERT OR REPLACE INTO statistics (vm, hop, start_us, end_us, success_count, "
                "miss_count, network_failure_count, failure_count, size_bytes, max_size_bytes, "
                "latency_s, max_latency_s, resynced_bytes) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_put_uuid(&query, &row->vm);
    query_put_int(&query, row->hop);
    query_put_int(&query, row->start_us);
    query_put_int(&query, row->end_us);
    query_put_int(&query, row->success_count);
    query_put_int(&query, row->miss_count);
    query_put_int(&query, row->network_failure_count);
    query_put_int(&query, row->failure_count);
    query_put_uint(&query, row->size_bytes);
    query_put_uint(&query, row->max_size_bytes);
    query_put_uint(&query, row->latency_s);
    query_put_uint(&query, row->max_latency_s);
    query_put_uint(&query, row->resynced_bytes);
    return query_run(&query, err);
}

static void read_statistics(struct query *query, struct statistics_row *row)
{
    row->vm = query_get_uuid(query);
    row->hop = (uint8_t)query_get_uint(query, 1);
    row->start_us = query_get_time(query);
    row->end_us = query_get_time(query);
    row->success_count = (uint32_t)query_get_uint(query, UINT32_MAX);
    row->miss_count = (uint32_t)query_get_uint(query, UINT32_MAX);
    row->network_failure_count = (uint32_t)query_get_uint(query, UINT32_MAX);
    row->failure_count = (uint32_t)query_get_uint(query, UINT32_MAX);
    row->size_bytes = query_get_uint(query, INT64_MAX);
    row->max_size_bytes = query_get_uint(query, INT64_MAX);
    row->latency_s = query_get_uint(query, INT64_MAX);
    row->max_latency_s = query_get_uint(query, INT64_MAX);
    row->resynced_bytes = query_get_uint(query, INT64_MAX);
}

int store_load_statistics(struct store *store, const struct uuid *vm, uint8_t hop, uint32_t limit,
                          int (*visit)(void *context, const struct statistics_row *row,
                                       struct error *err),
                          void *context, struct error *err)
{
    struct query query;
    int result = 0;

    query_begin(&query, store, "statistics",
                "SELECT vm, hop, start_us, end_us, success_count, miss_count, "
                "network_failure_count, failure_count, size_bytes, max_size_bytes, latency_s, "
                "max_latency_s, resynced_bytes FROM statistics "
                "WHERE ?1 = 1 OR (vm = ?2 AND hop = ?3) ORDER BY start_us DESC LIMIT ?4");
    query_put_int(&query, uuid_is_nil(vm));
    query_put_uuid(&query, vm);
    query_put_int(&query, hop);
    query_put_int(&query, limit);
    while ((result = query_next(&query, err)) > 0) {
        struct statistics_row row = {0};
        read_statistics(&query, &row);
        result = query_row(&query, err);
        result = result == 0 ? visit(context, &row, err) : result;
        if (result != 0) {
            break;
        }
    }
    query_end(&query);
    return result;
}

int store_remove_statistics(struct store *store, const struct uuid *vm, uint8_t hop,
                            struct error *err)
{
    struct query query;

    query_begin(&query, store, "statistics", "DELETE FROM statistics WHERE vm = ? AND hop = ?");
    query_put_uuid(&query, vm);
    query_put_int(&query, hop);
    return query_run(&query, err);
}
