/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store_relationships.c - a relationship and its disks: two tables, always changed together.
 */
#include <errno.h>
#include <stdlib.h>

#include "store/query.h"
#include "store/store_internal.h"

static int put_row(struct store *store, const struct relationship_row *row, struct error *err)
{
    const struct relationship_settings *settings = &row->settings;
    struct query query;

    query_begin(
        &query, store, "relationships",
        "INSERT INTO relationships (vm, hop, role, state, health, last_type, vm_name, peer, "
        "folder, reason, generation, peer_generation, created_us, last_replication_us, "
        "last_apply_us, last_try_us, recovery_history, interval_s, rate_bytes_per_s, "
        "auto_start_minute, auto_end_minute, is_auto_resync_enabled, "
        "is_compression_enabled, disk_count) VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_put_uuid(&query, &row->vm);
    query_put_int(&query, row->hop);
    query_put_int(&query, row->role);
    query_put_int(&query, row->state);
    query_put_int(&query, row->health);
    query_put_int(&query, row->last_type);
    query_put_text(&query, row->vm_name);
    query_put_text(&query, row->peer);
    query_put_text(&query, row->folder);
    query_put_text(&query, row->reason);
    query_put_uint(&query, row->generation);
    query_put_uint(&query, row->peer_generation);
    query_put_int(&query, row->created_us);
    query_put_int(&query, row->last_replication_us);
    query_put_int(&query, row->last_apply_us);
    query_put_int(&query, row->last_try_us);
    query_put_int(&query, settings->recovery_history);
    query_put_int(&query, settings->interval_s);
    query_put_uint(&query, settings->rate_bytes_per_s);
    query_put_int(&query, settings->auto_start_minute);
    query_put_int(&query, settings->auto_end_minute);
    query_put_int(&query, settings->is_auto_resync_enabled);
    query_put_int(&query, settings->is_compression_enabled);
    query_put_int(&query, row->disk_count);
    return query_run(&query, err);
}

static int put_disks(struct store *store, const struct relationship_row *row, struct error *err)
{
    for (uint32_t i = 0; i < row->disk_count; i++) {
        struct query query;
        query_begin(&query, store, "relationship_disks",
                    "INSERT INTO relationship_disks (vm, hop, position, name, size_bytes, "
                    "is_included) VALUES (?, ?, ?, ?, ?, ?)");
        query_put_uuid(&query, &row->vm);
        query_put_int(&query, row->hop);
        query_put_int(&query, i);
        query_put_text(&query, row->disks[i].name);
        query_put_uint(&query, row->disks[i].size_bytes);
        query_put_int(&query, row->disks[i].is_included);
        if (query_run(&query, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int remove_row(struct store *store, const struct uuid *vm, uint8_t hop, struct error *err)
{
    struct query query;

    query_begin(&query, store, "relationships",
                "DELETE FROM relationships WHERE vm = ? AND hop = ?"); /* its disks go with it */
    query_put_uuid(&query, vm);
    query_put_int(&query, hop);
    return query_run(&query, err);
}

int store_put_relationship(struct store *store, const struct relationship_row *row,
                           struct error *err)
{
    bool is_ours = false;

    if (store_enter(store, &is_ours, err) < 0) {
        return -1;
    }
    bool has_failed = remove_row(store, &row->vm, row->hop, err) < 0 ||
                      put_row(store, row, err) < 0 || put_disks(store, row, err) < 0;
    return store_leave(store, is_ours, has_failed, err);
}

int store_remove_relationship(struct store *store, const struct uuid *vm, uint8_t hop,
                              struct error *err)
{
    return remove_row(store, vm, hop, err);
}

static void read_settings(struct query *query, struct relationship_settings *settings)
{
    settings->recovery_history = (uint32_t)query_get_uint(query, REPLICA_HISTORY_MAX);
    settings->interval_s = (uint32_t)query_get_uint(query, UINT32_MAX);
    settings->rate_bytes_per_s = query_get_uint(query, INT64_MAX);
    settings->auto_start_minute = (uint32_t)query_get_uint(query, 24 * 60 - 1);
    settings->auto_end_minute = (uint32_t)query_get_uint(query, 24 * 60 - 1);
    settings->is_auto_resync_enabled = query_get_bool(query);
    settings->is_compression_enabled = query_get_bool(query);
}

static void read_row(struct query *query, struct relationship_row *row)
{
    row->vm = query_get_uuid(query);
    row->hop = (uint8_t)query_get_uint(query, 1);
    row->role = (uint8_t)query_get_uint(query, UINT8_MAX);
    row->state = (uint16_t)query_get_uint(query, UINT16_MAX);
    row->health = (uint16_t)query_get_uint(query, UINT16_MAX);
    row->last_type = (uint16_t)query_get_uint(query, UINT16_MAX);
    query_get_text(query, row->vm_name, sizeof row->vm_name);
    query_get_text(query, row->peer, sizeof row->peer);
    query_get_text(query, row->folder, sizeof row->folder);
    query_get_text(query, row->reason, sizeof row->reason);
    row->generation = query_get_uint(query, INT64_MAX);
    row->peer_generation = query_get_uint(query, INT64_MAX);
    row->created_us = query_get_time(query);
    row->last_replication_us = query_get_time(query);
    row->last_apply_us = query_get_time(query);
    row->last_try_us = query_get_time(query);
    read_settings(query, &row->settings);
    row->disk_count = (uint32_t)query_get_uint(query, DISKS_MAX);
}

static int read_disks(struct store *store, struct relationship_row *row, struct error *err)
{
    struct query query;
    uint32_t count = 0;
    int result = 0;

    query_begin(&query, store, "relationship_disks",
                "SELECT position, name, size_bytes, is_included FROM relationship_disks "
                "WHERE vm = ? AND hop = ? ORDER BY position");
    query_put_uuid(&query, &row->vm);
    query_put_int(&query, row->hop);
    while ((result = query_next(&query, err)) > 0 && count < row->disk_count) {
        struct relationship_disk *disk = &row->disks[count];
        if (query_get_uint(&query, DISKS_MAX) != count) {
            query.is_damaged = true;
        }
        query_get_text(&query, disk->name, sizeof disk->name);
        disk->size_bytes = query_get_uint(&query, DISK_SIZE_MAX);
        disk->is_included = query_get_bool(&query);
        count++;
    }
    query.is_damaged = query.is_damaged || result > 0 || count != row->disk_count;
    if (result >= 0) {
        result = query_row(&query, err);
    }
    query_end(&query);
    return result;
}

static int give_disks(struct store *store, struct relationship_row *row, struct error *err)
{
    if (row->disk_count > 0) {
        row->disks = calloc(row->disk_count, sizeof *row->disks);
    }
    if (row->disk_count > 0 && row->disks == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the disks of a relationship");
    }
    return read_disks(store, row, err);
}

int store_load_relationships(struct store *store,
                             int (*visit)(void *context, const struct relationship_row *row,
                                          struct error *err),
                             void *context, struct error *err)
{
    struct query query;
    int result = 0;

    query_begin(&query, store, "relationships",
                "SELECT vm, hop, role, state, health, last_type, vm_name, peer, folder, reason, "
                "generation, peer_generation, created_us, last_replication_us, last_apply_us, "
                "last_try_us, recovery_history, interval_s, rate_bytes_per_s, auto_start_minute, "
                "auto_end_minute, is_auto_resync_enabled, is_compression_enabled, disk_count "
                "FROM relationships ORDER BY vm, hop");
    while ((result = query_next(&query, err)) > 0) {
        struct relationship_row row = {0};
        read_row(&query, &row);
        result = query_row(&query, err);
        result = result == 0 ? give_disks(store, &row, err) : result;
        result = result == 0 ? visit(context, &row, err) : result;
        relationship_row_done(&row);
        if (result != 0) {
            break;
        }
    }
    query_end(&query);
    return result;
}
