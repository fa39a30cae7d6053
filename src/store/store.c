/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store.c - the database as a whole: opened, brought to the newest schema, in transactions.
 *
 * 1. One connection, held by an exclusive lock from open to close (locking_mode=EXCLUSIVE).
 * 2. A rollback journal with synchronous=EXTRA: when a commit returns, it survives a power cut; its
 *    journal's removal is made durable too. Source: SQLite, PRAGMA synchronous
 * 3. Nothing from outside is ever part of a statement's text.
 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "points/durable.h"
#include "store/query.h"
#include "store/schema.h"
#include "store/store_internal.h"

#define APPLICATION_ID 0x52534c56 /* "RSLV": schema/001.sql */

/* The schema's versions: to get to version n, run row n - 1. */
static const char *const migrations[STORE_SCHEMA] = {store_schema_001};

/* --- failures -------------------------------------------------------------------------------- */

int store_fail(const struct store *store, int result, const char *what, struct error *err)
{
    const char *text = sqlite3_errstr(result);

    switch (result & 0xff) {
    case SQLITE_NOMEM:
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the state (%s)", what);
    case SQLITE_FULL:
        return fail(err, ERR_LIMIT, ENOSPC, "no room for the state database '%s'", store->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail(err, ERR_WRONG_STATE, 0, "the state database '%s' is held by another resilverd",
                    store->path);
    case SQLITE_NOTADB:
        return fail(err, ERR_WRONG_STATE, 0,
                    "'%s' is no state database of Resilver: move it away, or name another "
                    "state-directory",
                    store->path);
    case SQLITE_CORRUPT:
        return fail(err, ERR_WRONG_STATE, 0,
                    "the state database '%s' is damaged: restore a backup ('resilver state backup' "
                    "made it), or move the file away and begin anew",
                    store->path);
    case SQLITE_CONSTRAINT:
    case SQLITE_MISUSE:
    case SQLITE_ERROR:
    case SQLITE_TOOBIG:
        return fail(err, ERR_INTERNAL, 0, "the state database '%s' refuses %s: %s (%s)",
                    store->path, what, text,
                    store->database == NULL ? "" : sqlite3_errmsg(store->database));
    default:
        return fail(err, ERR_IO, 0, "the state database '%s' fails (%s): %s", store->path, what,
                    text);
    }
}

int store_execute(struct store *store, const char *sql, struct error *err)
{
    int result = sqlite3_exec(store->database, sql, NULL, NULL, NULL);

    return result == SQLITE_OK ? 0 : store_fail(store, result, "a statement", err);
}

/* --- opening --------------------------------------------------------------------------------- */

/* A new file is made here, and not by SQLite, for its mode and to have its name durable. */
static int make_file(const char *path, struct error *err)
{
    bool is_there = false;

    if (durable_exists(path, &is_there, err) < 0) {
        return -1;
    }
    return is_there ? 0 : durable_write(path, (struct const_span){NULL, 0}, err);
}

static int check_file(const char *path, struct error *err)
{
    struct stat info;

    if (lstat(path, &info) < 0) {
        return fail(err, ERR_IO, errno, "cannot look at the state database '%s'", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return fail(err, ERR_WRONG_STATE, 0, "the state database '%s' is no file", path);
    }
    if ((info.st_mode & 077) != 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "others may read or write the state database '%s': chmod 600 '%s'", path, path);
    }
    return 0;
}

static int get_number(struct store *store, const char *sql, uint64_t *out, struct error *err)
{
    struct query query;

    query_begin(&query, store, "the file's head", sql);
    int result = query_next(&query, err);
    if (result > 0) {
        *out = query_get_uint(&query, UINT32_MAX);
        result = query_row(&query, err);
    }
    query_end(&query);
    return result;
}

static int check_whole(struct store *store, struct error *err)
{
    char verdict[64] = "";
    struct query query;

    query_begin(&query, store, "all", "PRAGMA integrity_check(1)");
    int result = query_next(&query, err);
    if (result > 0) {
        const char *text = (const char *)sqlite3_column_text(query.statement, 0);
        (void)snprintf(verdict, sizeof verdict, "%s", text == NULL ? "no memory" : text);
    }
    query_end(&query);
    if (result < 0) {
        return -1;
    }
    return strcmp(verdict, "ok") == 0 ? 0 : store_fail(store, SQLITE_CORRUPT, "the check", err);
}

static int migrate(struct store *store, uint64_t version, struct error *err)
{
    for (; version < STORE_SCHEMA; version++) {
        if (store_begin(store, err) < 0) {
            return -1;
        }
        if (store_execute(store, migrations[version], err) < 0) {
            store_rollback(store);
            return -1;
        }
        if (store_commit(store, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int bring_up_to_date(struct store *store, struct error *err)
{
    uint64_t id = 0;
    uint64_t version = 0;
    uint64_t tables = 0;

    if (get_number(store, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0 ||
        get_number(store, "PRAGMA application_id", &id, err) < 0 ||
        get_number(store, "PRAGMA user_version", &version, err) < 0) {
        return -1;
    }
    bool is_new = tables == 0 && id == 0 && version == 0;
    if (!is_new && id != APPLICATION_ID) {
        return store_fail(store, SQLITE_NOTADB, "the file", err);
    }
    if (version > STORE_SCHEMA) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the state database '%s' was made by a newer version (schema %" PRIu64
                    ", this one knows %d): update this host, or restore an older backup",
                    store->path, version, STORE_SCHEMA);
    }
    if (!is_new && check_whole(store, err) < 0) {
        return -1;
    }
    return migrate(store, version, err);
}

static int configure(struct store *store, struct error *err)
{
    (void)sqlite3_extended_result_codes(store->database, 1);
    (void)sqlite3_db_config(store->database, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    (void)sqlite3_db_config(store->database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    (void)sqlite3_limit(store->database, SQLITE_LIMIT_LENGTH, (int)(1 * MIB));
    (void)sqlite3_limit(store->database, SQLITE_LIMIT_ATTACHED, 0);
    return store_execute(store,
                         "PRAGMA locking_mode = EXCLUSIVE;"
                         "PRAGMA journal_mode = DELETE;"
                         "PRAGMA synchronous = EXTRA;"
                         "PRAGMA foreign_keys = ON;"
                         "PRAGMA cell_size_check = ON;"
                         /* The lock is taken by the first write and kept. */
                         "BEGIN EXCLUSIVE; COMMIT;",
                         err);
}

static void store_closep(struct store **store)
{
    store_close(*store);
    *store = NULL;
}

int store_open(const char *path, struct store **out, struct error *err)
{
    CLEANUP(store_closep) struct store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the state");
    }
    if (strlen(path) >= sizeof store->path) {
        return fail(err, ERR_USAGE, 0, "the path of the state database is too long");
    }
    (void)snprintf(store->path, sizeof store->path, "%s", path);
    if (make_file(path, err) < 0 || check_file(path, err) < 0) {
        return -1;
    }
    int result = sqlite3_open_v2(path, &store->database,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                                     SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE,
                                 NULL);
    if (result != SQLITE_OK) {
        return store_fail(store, result, "opening", err);
    }
    if (configure(store, err) < 0 || bring_up_to_date(store, err) < 0) {
        return -1;
    }
    *out = TAKE(store);
    return 0;
}

void store_close(struct store *store)
{
    if (store != NULL) {
        assert(!store->is_in_transaction);
        (void)sqlite3_close(store->database); /* every statement was finalized */
        free(store);
    }
}

/* --- transactions ---------------------------------------------------------------------------- */

int store_begin(struct store *store, struct error *err)
{
    assert(!store->is_in_transaction);
    if (store_execute(store, "BEGIN IMMEDIATE", err) < 0) {
        return -1;
    }
    store->is_in_transaction = true;
    return 0;
}

int store_commit(struct store *store, struct error *err)
{
    assert(store->is_in_transaction);
    if (store_execute(store, "COMMIT", err) < 0) {
        store_rollback(store);
        return -1;
    }
    store->is_in_transaction = false;
    return 0;
}

void store_rollback(struct store *store)
{
    /* SQLite may have rolled back by itself (a full disk): then this fails, and that is fine. */
    (void)sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
    store->is_in_transaction = false;
}

int store_enter(struct store *store, bool *out_is_ours, struct error *err)
{
    bool is_ours = !store->is_in_transaction;

    if (is_ours && store_begin(store, err) < 0) {
        return -1;
    }
    *out_is_ours = is_ours;
    return 0;
}

int store_leave(struct store *store, bool is_ours, bool has_failed, struct error *err)
{
    if (is_ours && has_failed) {
        store_rollback(store);
    } else if (is_ours) {
        return store_commit(store, err);
    }
    return has_failed ? -1 : 0;
}

/* --- settings and backup --------------------------------------------------------------------- */

int store_get_setting(struct store *store, const char *name, char *out, size_t size_bytes,
                      struct error *err)
{
    struct query query;

    query_begin(&query, store, "settings", "SELECT value FROM settings WHERE name = ?");
    query_put_text(&query, name);
    int result = query_next(&query, err);
    if (result > 0) {
        query_get_text(&query, out, size_bytes);
        result = query_row(&query, err) < 0 ? -1 : 1;
    }
    query_end(&query);
    return result;
}

int store_put_setting(struct store *store, const char *name, const char *value, struct error *err)
{
    struct query query;

    query_begin(&query, store, "settings",
                "INSERT INTO settings (name, value) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value");
    query_put_text(&query, name);
    query_put_text(&query, value);
    return query_run(&query, err);
}

int store_backup(struct store *store, uint8_t **out, size_t *out_bytes, struct error *err)
{
    sqlite3_int64 size = 0;
    unsigned char *image = sqlite3_serialize(store->database, "main", &size, 0);

    if (image == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a backup of the state");
    }
    uint8_t *copy = malloc((size_t)size);
    if (copy == NULL) {
        sqlite3_free(image);
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a backup of the state");
    }
    memcpy(copy, image, (size_t)size);
    sqlite3_free(image);
    *out = copy;
    *out_bytes = (size_t)size;
    return 0;
}
