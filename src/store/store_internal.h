/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store_internal.h - what the files of the store share.
 */
#ifndef RESILVER_STORE_STORE_INTERNAL_H
#define RESILVER_STORE_STORE_INTERNAL_H

#include <sqlite3.h>

#include "store/store.h"

struct store {
    sqlite3 *database; /* owned */
    char path[PATH_TEXT_MAX];
    bool is_in_transaction;
};

/* The schema's versions: to get to version n, run row n - 1. */
extern const char *const store_migrations[STORE_SCHEMA];

/* store_check - the whole file: its tables are those of that version, each row keeps to them.
 * Errors: ERR_WRONG_STATE damaged. */
MUST_CHECK int store_check(struct store *store, uint64_t version, struct error *err);

/* store_is_given_up - a step of the open transaction failed in such a way that all of it is rolled
 * back already; every call but store_commit (which fails) and store_rollback is refused. */
bool store_is_given_up(const struct store *store);

/* store_fail - fail() with what SQLite said. */
int store_fail(const struct store *store, int result, const char *what, struct error *err);

/* store_execute - statements without parameters or rows. */
MUST_CHECK int store_execute(struct store *store, const char *sql, struct error *err);

/*
 * Several statements that go together, as a step of the transaction that is open, or in one of
 * their own: *out_is_ours tells store_leave, which commits, or with has_failed rolls back, either;
 * with has_failed it returns -1.
 */
MUST_CHECK int store_enter(struct store *store, bool *out_is_ours, struct error *err);
MUST_CHECK int store_leave(struct store *store, bool is_ours, bool has_failed, struct error *err);

#endif
