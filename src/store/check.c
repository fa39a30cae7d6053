/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check.c - whether an opened file is what our schema made, and whole. What lies in it came from a
 * disk, or from a backup that somebody restored: a table, index, trigger or view that none of our
 * schemas has would change what the statements of the store do.
 */
#include <string.h>

#include "store/query.h"
#include "store/schema.h"
#include "store/store_internal.h"

#define TABLES_SQL                                                                                 \
    "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name"
#define TABLES_COLUMNS 4

static void database_close(sqlite3 **database)
{
    (void)sqlite3_close(*database); /* in memory: nothing can be lost */
}

static void statement_finalize(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement); /* says again what the last step said */
}

/* A database as the schemas up to a version make it. */
static int make_model(uint64_t version, sqlite3 **out)
{
    int result =
        sqlite3_open_v2(":memory:", out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    for (uint64_t i = 0; result == SQLITE_OK && i < version; i++) {
        result = sqlite3_exec(*out, store_migrations[i], NULL, NULL, NULL);
    }
    return result;
}

static bool are_rows_equal(sqlite3_stmt *a, sqlite3_stmt *b)
{
    for (int i = 0; i < TABLES_COLUMNS; i++) {
        const char *left = (const char *)sqlite3_column_text(a, i);
        const char *right = (const char *)sqlite3_column_text(b, i);
        if (left == NULL || right == NULL || strcmp(left, right) != 0) {
            return false;
        }
    }
    return true;
}

/* SQLITE_OK when both describe the same tables, SQLITE_CORRUPT when not, or what failed. */
static int compare_tables(sqlite3 *model, sqlite3 *found)
{
    CLEANUP(statement_finalize) sqlite3_stmt *a = NULL;
    CLEANUP(statement_finalize) sqlite3_stmt *b = NULL;
    int wanted = sqlite3_prepare_v2(model, TABLES_SQL, -1, &a, NULL);
    int result = sqlite3_prepare_v2(found, TABLES_SQL, -1, &b, NULL);

    if (wanted != SQLITE_OK || result != SQLITE_OK) {
        return wanted != SQLITE_OK ? wanted : result;
    }
    do {
        wanted = sqlite3_step(a);
        result = sqlite3_step(b);
    } while (wanted == SQLITE_ROW && result == SQLITE_ROW && are_rows_equal(a, b));
    if (wanted == SQLITE_DONE && result == SQLITE_DONE) {
        return SQLITE_OK;
    }
    bool is_read = result == SQLITE_ROW || result == SQLITE_DONE;
    return is_read ? SQLITE_CORRUPT : result;
}

static int check_tables(struct store *store, uint64_t version, struct error *err)
{
    CLEANUP(database_close) sqlite3 *model = NULL;
    int result = make_model(version, &model);

    if (result == SQLITE_OK) {
        result = compare_tables(model, store->database);
    }
    return result == SQLITE_OK ? 0 : store_fail(store, result, "the check of its tables", err);
}

/* Its only row says "ok"; any other names damage. */
static int check_integrity(struct store *store, struct error *err)
{
    struct query query;
    bool is_whole = false;

    query_begin(&query, store, "all", "PRAGMA integrity_check(1)");
    int result = query_next(&query, err);
    if (result > 0) {
        const char *text = (const char *)sqlite3_column_text(query.statement, 0);
        is_whole = text != NULL && strcmp(text, "ok") == 0;
    }
    query_end(&query);
    if (result < 0) {
        return -1;
    }
    return is_whole ? 0 : store_fail(store, SQLITE_CORRUPT, "the check", err);
}

/* The integrity check leaves these out: a disk without its relationship. */
static int check_references(struct store *store, struct error *err)
{
    struct query query;

    query_begin(&query, store, "all", "PRAGMA foreign_key_check");
    int result = query_next(&query, err);
    query_end(&query);
    return result > 0 ? store_fail(store, SQLITE_CORRUPT, "the check of references", err) : result;
}

int store_check(struct store *store, uint64_t version, struct error *err)
{
    if (check_tables(store, version, err) < 0 || check_integrity(store, err) < 0) {
        return -1;
    }
    return check_references(store, err);
}
