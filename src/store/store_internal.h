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

/* store_fail - fail() with what SQLite said. */
int store_fail(const struct store *store, int result, const char *what, struct error *err);

/* store_execute - statements without parameters or rows. */
MUST_CHECK int store_execute(struct store *store, const char *sql, struct error *err);

/*
 * Several statements that go together, in the transaction that is open or one of their own:
 * *out_is_ours tells store_leave, which commits, or with has_failed rolls back, one of our own.
 */
MUST_CHECK int store_enter(struct store *store, bool *out_is_ours, struct error *err);
MUST_CHECK int store_leave(struct store *store, bool is_ours, bool has_failed, struct error *err);

#endif
