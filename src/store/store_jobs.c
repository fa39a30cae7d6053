/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "store/query.h"
#include "store/store_internal.h"

#define JOB_COLUMNS                                                                                \
    "sequence, id, type, state, state_before, vm, hop, vm_name, owner, submitted_us, "             \
    "scheduled_us, started_us, ended_us, changed_us, next_try_us, attempts, percent, error_code, " \
    "error_kind, error, status, report"

static void put_columns(struct query *query, const struct job_row *row)
{
    query_put_uint(query, row->sequence);
    query_put_uuid(query, &row->id);
    query_put_int(query, row->type);
    query_put_int(query, row->state);
    query_put_int(query, row->state_before);
    query_put_uuid(query, &row->vm);
    query_put_int(query, row->hop);
    query_put_text(query, row->vm_name);
    query_put_text(query, row->owner);
    query_put_int(query, row->submitted_us);
    query_put_int(query, row->scheduled_us);
    query_put_int(query, row->started_us);
    query_put_int(query, row->ended_us);
    query_put_int(query, row->changed_us);
    query_put_int(query, row->next_try_us);
    query_put_int(query, row->attempts);
    query_put_int(query, row->percent);
    query_put_int(query, row->error_code);
    query_put_int(query, row->error_kind);
    query_put_text(query, row->error);
    query_put_text(query, row->status);
    query_put_text(query, row->report);
}

/* An id and its sequence never part. */
int store_put_job(struct store *store, const struct job_row *row, struct error *err)
{
    struct query query;

    query_begin(&query, store, "jobs",
                "INSERT INTO jobs (" JOB_COLUMNS ") "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (sequence) DO UPDATE SET "
                "type = excluded.type, state = excluded.state, "
                "state_before = excluded.state_before, vm = excluded.vm, hop = excluded.hop, "
                "vm_name = excluded.vm_name, owner = excluded.owner, "
                "submitted_us = excluded.submitted_us, scheduled_us = excluded.scheduled_us, "
                "started_us = excluded.started_us, ended_us = excluded.ended_us, "
                "changed_us = excluded.changed_us, next_try_us = excluded.next_try_us, "
                "attempts = excluded.attempts, percent = excluded.percent, "
                "error_code = excluded.error_code, error_kind = excluded.error_kind, "
                "error = excluded.error, status = excluded.status, report = excluded.report "
                "WHERE id = excluded.id");
    put_columns(&query, row);
    if (query_run(&query, err) < 0) {
        return -1;
    }
    return sqlite3_changes(store->database) > 0
               ? 0
               : fail(err, ERR_INTERNAL, 0, "sequence %" PRIu64 " is that of another job",
                      row->sequence);
}

static void read_job(struct query *query, struct job_row *row)
{
    row->sequence = query_get_uint(query, INT64_MAX);
    row->id = query_get_uuid(query);
    row->type = (uint16_t)query_get_uint(query, UINT16_MAX);
    row->state = (uint16_t)query_get_uint(query, UINT16_MAX);
    row->state_before = (uint16_t)query_get_uint(query, UINT16_MAX);
    row->vm = query_get_uuid(query);
    row->hop = (uint8_t)query_get_uint(query, 1);
    query_get_text(query, row->vm_name, sizeof row->vm_name);
    query_get_text(query, row->owner, sizeof row->owner);
    row->submitted_us = query_get_time(query);
    row->scheduled_us = query_get_time(query);
    row->started_us = query_get_time(query);
    row->ended_us = query_get_time(query);
    row->changed_us = query_get_time(query);
    row->next_try_us = query_get_time(query);
    row->attempts = (uint32_t)query_get_uint(query, UINT32_MAX);
    row->percent = (uint16_t)query_get_uint(query, 100);
    row->error_code = (uint16_t)query_get_uint(query, UINT16_MAX);
    row->error_kind = (uint16_t)query_get_uint(query, ERROR_KIND_MAX);
    query_get_text(query, row->error, sizeof row->error);
    query_get_text(query, row->status, sizeof row->status);
    row->report = query_get_long_text(query, JOB_REPORT_MAX);
}

int store_load_jobs(struct store *store, const struct job_filter *filter,
                    int (*visit)(void *context, const struct job_row *row, struct error *err),
                    void *context, struct error *err)
{
    struct query query;
    int result = 0;
    bool is_any_vm = uuid_is_nil(&filter->vm);

    query_begin(&query, store, "jobs",
                "SELECT " JOB_COLUMNS " FROM jobs WHERE "
                "(ended_us = 0 OR (?1 = 0 AND ended_us >= ?2)) AND (?3 = 1 OR vm = ?4) "
                "ORDER BY sequence DESC LIMIT ?5");
    query_put_int(&query, filter->is_open_only);
    query_put_int(&query, filter->ended_since_us);
    query_put_int(&query, is_any_vm);
    query_put_uuid(&query, &filter->vm);
    query_put_int(&query, filter->limit == 0 ? -1 : (int64_t)filter->limit);
    while ((result = query_next(&query, err)) > 0) {
        struct job_row row = {0};
        read_job(&query, &row);
        result = query_row(&query, err);
        result = result == 0 ? visit(context, &row, err) : result;
        job_row_done(&row);
        if (result != 0) {
            break;
        }
    }
    query_end(&query);
    return result;
}

int store_find_job(struct store *store, const struct uuid *id, struct job_row *out,
                   struct error *err)
{
    struct job_row row = {0};
    struct query query;

    query_begin(&query, store, "jobs", "SELECT " JOB_COLUMNS " FROM jobs WHERE id = ?");
    query_put_uuid(&query, id);
    int result = query_next(&query, err);
    if (result > 0) {
        read_job(&query, &row);
        result = query_row(&query, err) < 0 ? -1 : 1;
    }
    query_end(&query);
    if (result > 0) {
        *out = row;
    } else {
        job_row_done(&row);
    }
    return result;
}

/* sqlite_sequence remembers the highest even when its job is gone. */
int store_next_sequence(struct store *store, uint64_t *out, struct error *err)
{
    struct query query;

    query_begin(&query, store, "jobs",
                "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jobs'), 0) + 1");
    int result = query_next(&query, err);
    if (result > 0) {
        *out = query_get_uint(&query, INT64_MAX);
        result = query_row(&query, err);
    }
    query_end(&query);
    return result;
}
