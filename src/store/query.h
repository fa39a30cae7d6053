/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * query.h - one statement of the state database: values bound one after another, columns read one
 * after another, each checked against what its field can hold. A value that no version of ours
 * wrote marks the row as damaged; query_next() and query_finish() say so.
 */
#ifndef RESILVER_STORE_QUERY_H
#define RESILVER_STORE_QUERY_H

#include <sqlite3.h>

#include "base/span.h"
#include "store/store.h"

struct query {
    struct store *store;     /* borrowed */
    sqlite3_stmt *statement; /* owned; NULL: it could not be made, or memory is short */
    const char *table;       /* for messages; a literal */
    int result;              /* SQLite's last */
    int bound;               /* parameters so far */
    int column;              /* read so far of the present row */
    bool is_damaged;
};

/* query_begin - sql is a literal. A failure shows in query_next or query_run. */
void query_begin(struct query *query, struct store *store, const char *table, const char *sql);

void query_put_int(struct query *query, int64_t value);
void query_put_uint(struct query *query, uint64_t value);   /* at most 2^63 - 1, else an error */
void query_put_text(struct query *query, const char *text); /* NULL: SQL's NULL; borrowed until the
                                                               query ends */
void query_put_bytes(struct query *query, struct const_span bytes);
void query_put_uuid(struct query *query, const struct uuid *uuid);

/* query_next - 1: a row, to be read; 0: no more. Errors: those of the store; ERR_WRONG_STATE the
 * row before was damaged. */
MUST_CHECK int query_next(struct query *query, struct error *err);

/* query_row - after reading one: 0, or -1 when it is damaged. */
MUST_CHECK int query_row(struct query *query, struct error *err);

int64_t query_get_time(struct query *query);
uint64_t query_get_uint(struct query *query, uint64_t max);
bool query_get_bool(struct query *query);
void query_get_text(struct query *query, char *out, size_t size_bytes);
/* A copy, the caller's; NULL for SQL's NULL, or when the row is damaged or memory short. */
char *query_get_long_text(struct query *query, size_t max_bytes);
void query_get_bytes(struct query *query, struct span out);
struct uuid query_get_uuid(struct query *query);

/* query_end - may be called twice. */
void query_end(struct query *query);

/* query_run - for statements without rows: to the end of it, and query_end. */
MUST_CHECK int query_run(struct query *query, struct error *err);

#endif
