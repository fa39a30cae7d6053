/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store.c - the database as a whole: opened, brought to the newest schema, in transactions.
 *
 * 1. One connection, held by an exclusive lock from open to close (locking_mode=EXCLUSIVE).
 * 2. A rollback journal with synchronous=EXTRA: when a commit returns, it survives a power cut; the
 *    end of its journal (zeroed while the lock is held, removed else) is made durable too. Source:
 *    SQLite, PRAGMA synchronous, PRAGMA locking_mode
 * 3. Nothing from outside is ever part of a statement's text.
 */
#include "store/store.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "points/durable.h"
#include "store/query.h"
#include "store/schema.h"
#include "store/store_internal.h"

#define APPLICATION_ID 0x52534c56 /* "RSLV": schema/001.sql */

/* The schema's versions: to get to version n, run row n - 1. */
const char *const store_migrations[STORE_SCHEMA] = {store_schema_001};

/* --- failures -------------------------------------------------------------------------------- */

/* What the system said, where SQLite keeps it. */
static int errnum_of(const struct store *store, int result)
{
    bool is_systems = (result & 0xff) == SQLITE_IOERR || (result & 0xff) == SQLITE_CANTOPEN;

    return is_systems && store->database != NULL ? sqlite3_system_errno(store->database) : 0;
}

int store_fail(const struct store *store, int result, const char *what, struct error *err)
{
    const char *text = sqlite3_errstr(result);
    int errnum = errnum_of(store, result);

    /* SQLite calls only some writes without room SQLITE_FULL, and a quota's end none. */
    if (errnum == ENOSPC || errnum == EDQUOT) {
        return fail(err, ERR_LIMIT, errnum, "no room for the state database '%s'", store->path);
    }

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
        return fail(err, ERR_IO, errnum, "the state database '%s' fails (%s): %s", store->path,
                    what, text);
    }
}

int store_execute(struct store *store, const char *sql, struct error *err)
{
    int result = sqlite3_exec(store->database, sql, NULL, NULL, NULL);

    return result == SQLITE_OK ? 0 : store_fail(store, result, "a statement", err);
}

/* --- opening --------------------------------------------------------------------------------- */

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

static int migrate(struct store *store, uint64_t version, struct error *err)
{
    for (; version < STORE_SCHEMA; version++) {
        if (store_begin(store, err) < 0) {
            return -1;
        }
        if (store_execute(store, store_migrations[version], err) < 0) {
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

    if (get_number(store, "PRAGMA application_id", &id, err) < 0 ||
        get_number(store, "PRAGMA user_version", &version, err) < 0) {
        return -1;
    }
    if (id == 0 && version == 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "'%s' is no state database of Resilver: it was lost, or is another program's; "
                    "restore a backup ('resilver state backup' made it), or move the "
                    "file away and begin anew",
                    store->path);
    }
    if (id != APPLICATION_ID) {
        return store_fail(store, SQLITE_NOTADB, "the file", err);
    }
    if (version > STORE_SCHEMA) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the state database '%s' was made by a newer version (schema %" PRIu64
                    ", this one knows %d): update this host, or restore an older backup",
                    store->path, version, STORE_SCHEMA);
    }
    if (store_check(store, version, err) < 0) {
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

/* With SQLITE_OPEN_NOFOLLOW no part of a path may be a link. The folders may be (/var on another
 * disk): they are resolved before; the file itself may not. The caller frees what it gets. */
static int resolve_folder(const char *path, char **out, struct error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char folder[PATH_TEXT_MAX];

    (void)snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
    char *real = realpath(folder[0] == '\0' ? "." : folder, NULL);
    if (real == NULL) {
        return fail(err, ERR_IO, errno, "cannot look at the folder of the state database '%s'",
                    path);
    }
    int count = asprintf(out, "%s/%s", real, name);
    free(real);
    return count < 0 ? fail(err, ERR_LIMIT, ENOMEM, "out of memory for the state") : 0;
}

static int open_connection(struct store *store, struct error *err)
{
    char *path = NULL;

    if (resolve_folder(store->path, &path, err) < 0) {
        return -1;
    }
    int result = sqlite3_open_v2(path, &store->database,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                                     SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE,
                                 NULL);
    free(path);
    return result == SQLITE_OK ? 0 : store_fail(store, result, "opening", err);
}

static int make_aside(const char *aside, struct error *err)
{
    struct store store = {.database = NULL};

    (void)snprintf(store.path, sizeof store.path, "%.*s", (int)sizeof store.path - 1, aside);
    int result = durable_write(aside, (struct const_span){NULL, 0}, err);
    if (result == 0 && (open_connection(&store, err) < 0 || configure(&store, err) < 0 ||
                        migrate(&store, 0, err) < 0)) {
        result = -1;
    }
    (void)sqlite3_close(store.database); /* every statement was finalized */
    return result;
}

/* A new database has its name only when it is whole: an empty file of that name is a lost one. */
static int make_file(const char *path, struct error *err)
{
    char aside[PATH_TEXT_MAX + 24];
    bool is_there = false;

    if (durable_exists(path, &is_there, err) < 0) {
        return -1;
    }
    if (is_there) {
        return 0;
    }
    /* Two that start at once make one each; the first to give it its name wins, and the other finds
     * that one. */
    (void)snprintf(aside, sizeof aside, "%s.made-%d", path, (int)getpid());
    int result = durable_remove(aside, err);
    if (result == 0 && (make_aside(aside, err) < 0 || durable_link(aside, path, err) < 0)) {
        result = -1;
    }
    (void)!durable_remove(aside, NULL); /* what is left goes with the next opening */
    if (result < 0 && durable_exists(path, &is_there, NULL) == 0 && is_there) {
        return 0; /* another was quicker, and has tidied up: it holds the database */
    }
    return result;
}

/* What those left who were killed while they made one. Best effort: it is of no use, and in
 * nobody's way. The database is held, so nobody else needs his either. */
static void remove_asides(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char folder[PATH_TEXT_MAX];
    char prefix[NAME_MAX + 8];
    char aside[PATH_TEXT_MAX + NAME_MAX + 2];
    const struct dirent *entry = NULL;

    (void)snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
    (void)snprintf(prefix, sizeof prefix, "%.*s.made-", NAME_MAX, name);
    DIR *directory = opendir(folder[0] == '\0' ? "." : folder);
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            (void)snprintf(aside, sizeof aside, "%s%s", folder, entry->d_name);
            (void)!durable_remove(aside, NULL);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory); /* it was only read */
    }
}

static int open_database(struct store *store, struct error *err)
{
    if (make_file(store->path, err) < 0 || check_file(store->path, err) < 0 ||
        open_connection(store, err) < 0 || configure(store, err) < 0) {
        return -1;
    }
    remove_asides(store->path);
    return bring_up_to_date(store, err);
}

int store_open(const char *path, struct store **out, struct error *err)
{
    struct store *store = NULL;

    if (strlen(path) + sizeof ".made-4194304" > sizeof store->path) {
        return fail(err, ERR_USAGE, 0, "the path of the state database is too long");
    }
    store = calloc(1, sizeof *store);
    if (store == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the state");
    }
    (void)snprintf(store->path, sizeof store->path, "%s", path);
    if (open_database(store, err) < 0) {
        store_close(store);
        return -1;
    }
    *out = store;
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

/* Without room or memory SQLite rolls back by itself. What its caller still does in the transaction
 * must not become durable piece by piece. */
bool store_is_given_up(const struct store *store)
{
    return store->is_in_transaction && sqlite3_get_autocommit(store->database) != 0;
}

int store_enter(struct store *store, bool *out_is_ours, struct error *err)
{
    bool is_ours = !store->is_in_transaction;

    if (store_is_given_up(store)) {
        return store_fail(store, SQLITE_ABORT, "a transaction that was given up", err);
    }
    if (is_ours ? store_begin(store, err) < 0 : store_execute(store, "SAVEPOINT step", err) < 0) {
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
    } else if (has_failed) {
        /* As in store_rollback: SQLite may have been here before. */
        (void)sqlite3_exec(store->database, "ROLLBACK TO step; RELEASE step", NULL, NULL, NULL);
    } else {
        return store_execute(store, "RELEASE step", err);
    }
    return -1;
}

/* --- settings and backup --------------------------------------------------------------------- */

int store_get_setting(struct store *store, const char *name, char *out, size_t size_bytes,
                      struct error *err)
{
    char value[PATH_TEXT_MAX]; /* the longest that the table takes */
    struct query query;

    query_begin(&query, store, "settings", "SELECT value FROM settings WHERE name = ?");
    query_put_text(&query, name);
    int result = query_next(&query, err);
    if (result > 0) {
        query_get_text(&query, value, sizeof value);
        result = query_row(&query, err) < 0 ? -1 : 1;
    }
    query_end(&query);
    if (result > 0 && strlen(value) >= size_bytes) {
        return fail(err, ERR_INTERNAL, 0, "setting '%s' is longer than %zu bytes", name,
                    size_bytes - 1);
    }
    if (result > 0) {
        (void)snprintf(out, size_bytes, "%s", value);
    }
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

static int copy_into(sqlite3 *to, struct store *store, struct error *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", store->database, "main");

    if (backup == NULL) {
        return store_fail(store, sqlite3_errcode(to), "a backup", err);
    }
    (void)sqlite3_backup_step(backup, -1); /* finish says again what it said */
    int result = sqlite3_backup_finish(backup);
    return result == SQLITE_OK ? 0 : store_fail(store, result, "a backup", err);
}

static int give_image(sqlite3 *database, uint8_t **out, size_t *out_bytes, struct error *err)
{
    sqlite3_int64 size = 0;
    unsigned char *image = sqlite3_serialize(database, "main", &size, 0);
    uint8_t *copy = image == NULL ? NULL : malloc((size_t)size);

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

/* By way of a copy in memory: sqlite3_serialize() leaves zeros in place of a page that cannot be
 * read, and says nothing; sqlite3_backup_step() does say it. */
int store_backup(struct store *store, uint8_t **out, size_t *out_bytes, struct error *err)
{
    sqlite3 *copy = NULL;

    assert(!store->is_in_transaction); /* what may yet be rolled back is in no backup */
    int result =
        sqlite3_open_v2(":memory:", &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    result = result != SQLITE_OK ? store_fail(store, result, "a backup", err)
                                 : copy_into(copy, store, err);
    if (result == 0) {
        result = give_image(copy, out, out_bytes, err);
    }
    (void)sqlite3_close(copy); /* in memory: nothing can be lost */
    return result;
}
