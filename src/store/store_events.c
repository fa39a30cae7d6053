/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/query.h"
#include "store/store_internal.h"

static int insert(struct store *store, const struct event_row *row, struct error *err)
{
    struct query query;

    query_begin(&query, store, "events",
                "INSERT INTO events (time_us, code, level, vm, hop, job, what, text) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    query_put_int(&query, row->time_us);
    query_put_int(&query, row->code);
    query_put_int(&query, row->level);
    query_put_uuid(&query, &row->vm);
    query_put_int(&query, row->hop);
    query_put_uuid(&query, &row->job);
    query_put_text(&query, row->what);
    query_put_text(&query, row->text);
    return query_run(&query, err);
}

static int prune(struct store *store, struct error *err)
{
    struct query query;

    query_begin(&query, store, "events",
                "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?");
    query_put_int(&query, EVENTS_MAX);
    return query_run(&query, err);
}

int store_add_event(struct store *store, struct event_row *row, struct error *err)
{
    bool is_ours = false;

    if (store_enter(store, &is_ours, err) < 0) {
        return -1;
    }
    bool has_failed = insert(store, row, err) < 0;
    int64_t id = sqlite3_last_insert_rowid(store->database);
    has_failed = has_failed || prune(store, err) < 0;
    if (store_leave(store, is_ours, has_failed, err) < 0) {
        return -1;
    }
    row->id = (uint64_t)id;
    return 0;
}

static void read_event(struct query *query, struct event_row *row)
{
    row->id = query_get_uint(query, INT64_MAX);
    row->time_us = query_get_time(query);
    row->code = (uint16_t)query_get_uint(query, UINT16_MAX);
    row->level = (uint16_t)query_get_uint(query, UINT16_MAX);
    row->vm = query_get_uuid(query);
    row->hop = (uint8_t)query_get_uint(query, 1);
    row->job = query_get_uuid(query);
    query_get_text(query, row->what, sizeof row->what);
    query_get_text(query, row->text, sizeof row->text);
}

int store_load_events(struct store *store, uint64_t after, const struct uuid *vm, uint32_t limit,
                      int (*visit)(void *context, const struct event_row *row, struct error *err),
                      void *context, struct error *err)
{
    struct query query;
    int result = 0;

    query_begin(&query, store, "events",
                "SELECT id, time_us, code, level, vm, hop, job, what, text FROM events "
                "WHERE id > ?1 AND (?2 = 1 OR vm = ?3) ORDER BY id LIMIT ?4");
    query_put_uint(&query, after);
    query_put_int(&query, uuid_is_nil(vm));
    query_put_uuid(&query, vm);
    query_put_int(&query, limit);
    while ((result = query_next(&query, err)) > 0) {
        struct event_row row = {0};
        read_event(&query, &row);
        result = query_row(&query, err);
        result = result == 0 ? visit(context, &row, err) : result;
        if (result != 0) {
            break;
        }
    }
    query_end(&query);
    return result;
}

int store_newest_event(struct store *store, uint64_t *out, struct error *err)
{
    struct query query;

    query_begin(&query, store, "events", "SELECT coalesce(max(id), 0) FROM events");
    int result = query_next(&query, err);
    if (result > 0) {
        *out = query_get_uint(&query, INT64_MAX);
        result = query_row(&query, err);
    }
    query_end(&query);
    return result;
}
