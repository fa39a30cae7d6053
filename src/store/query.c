/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/query.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

void query_begin(struct query *query, struct store *store, const char *table, const char *sql)
{
    *query = (struct query){.store = store, .table = table};
    if (store_is_given_up(store)) {
        query->result = SQLITE_ABORT;
        return;
    }
    query->result = sqlite3_prepare_v3(store->database, sql, -1, 0, &query->statement, NULL);
}

static void note(struct query *query, int result)
{
    if (query->result == SQLITE_OK && result != SQLITE_OK) {
        query->result = result;
    }
}

void query_put_int(struct query *query, int64_t value)
{
    note(query, sqlite3_bind_int64(query->statement, ++query->bound, value));
}

void query_put_uint(struct query *query, uint64_t value)
{
    if (value > INT64_MAX) {
        note(query, SQLITE_TOOBIG);
        return;
    }
    query_put_int(query, (int64_t)value);
}

void query_put_text(struct query *query, const char *text)
{
    query->bound++;
    note(query, text == NULL
                    ? sqlite3_bind_null(query->statement, query->bound)
                    : sqlite3_bind_text(query->statement, query->bound, text, -1, SQLITE_STATIC));
}

void query_put_bytes(struct query *query, struct const_span bytes)
{
    note(query, sqlite3_bind_blob64(query->statement, ++query->bound, bytes.at, bytes.len_bytes,
                                    SQLITE_STATIC));
}

void query_put_uuid(struct query *query, const struct uuid *uuid)
{
    query_put_bytes(query, (struct const_span){uuid->bytes, UUID_BYTES});
}

static int fail_row(const struct query *query, struct error *err)
{
    return fail(err, ERR_WRONG_STATE, 0,
                "the state database '%s' is damaged: a row of table '%s' holds what no version "
                "wrote; restore a backup ('resilver state backup' made it), or move the file away "
                "and begin anew",
                query->store->path, query->table);
}

int query_next(struct query *query, struct error *err)
{
    if (query_row(query, err) < 0) {
        return -1;
    }
    if (query->result != SQLITE_OK && query->result != SQLITE_ROW) {
        return store_fail(query->store, query->result, query->table, err);
    }
    query->column = 0;
    query->result = sqlite3_step(query->statement);
    if (query->result == SQLITE_ROW) {
        return 1;
    }
    return query->result == SQLITE_DONE
               ? 0
               : store_fail(query->store, query->result, query->table, err);
}

int query_row(struct query *query, struct error *err)
{
    if (query->result == SQLITE_NOMEM) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a row of the state");
    }
    return query->is_damaged ? fail_row(query, err) : 0;
}

uint64_t query_get_uint(struct query *query, uint64_t max)
{
    int column = query->column++;
    int64_t value = sqlite3_column_int64(query->statement, column);

    if (sqlite3_column_type(query->statement, column) != SQLITE_INTEGER || value < 0 ||
        (uint64_t)value > max) {
        query->is_damaged = true;
        return 0;
    }
    return (uint64_t)value;
}

int64_t query_get_time(struct query *query)
{
    return (int64_t)query_get_uint(query, INT64_MAX);
}

bool query_get_bool(struct query *query)
{
    return query_get_uint(query, 1) == 1;
}

/* Text without a NUL in it; NULL when it is none. */
static const char *text_at(struct query *query, int column, size_t *out_bytes)
{
    const char *text = NULL;

    if (sqlite3_column_type(query->statement, column) == SQLITE_TEXT) {
        text = (const char *)sqlite3_column_text(query->statement, column);
        *out_bytes = (size_t)sqlite3_column_bytes(query->statement, column);
        if (text == NULL) {
            query->result = SQLITE_NOMEM;
        } else if (strlen(text) != *out_bytes) {
            text = NULL;
        }
    }
    query->is_damaged = query->is_damaged || text == NULL;
    return text;
}

void query_get_text(struct query *query, char *out, size_t size_bytes)
{
    size_t len_bytes = 0;
    const char *text = text_at(query, query->column++, &len_bytes);

    out[0] = '\0';
    if (text != NULL && len_bytes >= size_bytes) {
        query->is_damaged = true;
    } else if (text != NULL) {
        memcpy(out, text, len_bytes + 1);
    }
}

char *query_get_long_text(struct query *query, size_t max_bytes)
{
    size_t len_bytes = 0;
    int column = query->column++;

    if (sqlite3_column_type(query->statement, column) == SQLITE_NULL) {
        return NULL;
    }
    const char *text = text_at(query, column, &len_bytes);
    if (text == NULL || len_bytes > max_bytes) {
        query->is_damaged = true;
        return NULL;
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        query->result = SQLITE_NOMEM;
    }
    return copy;
}

void query_get_bytes(struct query *query, struct span out)
{
    int column = query->column++;
    const void *bytes = sqlite3_column_blob(query->statement, column);

    memset(out.at, 0, out.len_bytes);
    if (sqlite3_column_type(query->statement, column) != SQLITE_BLOB || bytes == NULL ||
        (size_t)sqlite3_column_bytes(query->statement, column) != out.len_bytes) {
        query->is_damaged = true;
        return;
    }
    memcpy(out.at, bytes, out.len_bytes);
}

struct uuid query_get_uuid(struct query *query)
{
    struct uuid uuid = {{0}};

    query_get_bytes(query, (struct span){uuid.bytes, UUID_BYTES});
    return uuid;
}

void query_end(struct query *query)
{
    (void)sqlite3_finalize(query->statement); /* says again what the last step said */
    query->statement = NULL;
}

int query_run(struct query *query, struct error *err)
{
    int result = query_next(query, err);

    assert(result <= 0);
    query_end(query);
    return result;
}
