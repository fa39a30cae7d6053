/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store.h - the state database: SQLite, one connection, used by the thread that opened it and no
 * other (DESIGN 9). Everything that has to be atomic goes between store_begin and store_commit;
 * outside, each call is a transaction of its own, durable when it returns.
 *
 * Errors of all calls: ERR_IO the database or its disk fails (the message names the file);
 * ERR_LIMIT no memory, no room. A failed call changes nothing.
 */
#ifndef RESILVER_STORE_STORE_H
#define RESILVER_STORE_STORE_H

#include "base/attributes.h"
#include "base/error.h"
#include "store/rows.h"

#define STORE_SCHEMA 1 /* the newest schema/NNN.sql */

struct store;

/*
 * store_open - open the database file, make it if there is none (mode 0600), and bring it to the
 * newest schema.
 *
 * The file is held by an exclusive lock until it is closed: a second daemon is refused.
 * Errors: ERR_WRONG_STATE made by a newer version (names both), not a database of ours, damaged
 * (integrity check; the message says how to restore a backup or rebuild), or held by another.
 */
MUST_CHECK int store_open(const char *path, struct store **out, struct error *err);
void store_close(struct store *store);

/* Not nested. A failed commit has rolled back. */
MUST_CHECK int store_begin(struct store *store, struct error *err);
MUST_CHECK int store_commit(struct store *store, struct error *err);
void store_rollback(struct store *store);

/* put: insert, or replace the row of the same key. remove: no error if there is none. load: calls
 * visit for every row, in the order of the keys unless said otherwise; stops when it returns
 * non-zero, and returns that. Visited rows are borrowed for the call. */
MUST_CHECK int store_put_host(struct store *store, const struct host_row *row, struct error *err);
MUST_CHECK int store_remove_host(struct store *store, const char *name, struct error *err);
MUST_CHECK int store_load_hosts(struct store *store,
                                int (*visit)(void *context, const struct host_row *row,
                                             struct error *err),
                                void *context, struct error *err);

MUST_CHECK int store_put_authorization(struct store *store, const struct authorization_row *row,
                                       struct error *err);
MUST_CHECK int store_remove_authorization(struct store *store, const char *allowed_primary,
                                          struct error *err);
MUST_CHECK int store_load_authorizations(struct store *store,
                                         int (*visit)(void *context,
                                                      const struct authorization_row *row,
                                                      struct error *err),
                                         void *context, struct error *err);

MUST_CHECK int store_put_relationship(struct store *store, const struct relationship_row *row,
                                      struct error *err);
MUST_CHECK int store_remove_relationship(struct store *store, const struct uuid *vm, uint8_t hop,
                                         struct error *err);
MUST_CHECK int store_load_relationships(struct store *store,
                                        int (*visit)(void *context,
                                                     const struct relationship_row *row,
                                                     struct error *err),
                                        void *context, struct error *err);

/* Which jobs: those that have not ended, those that ended at or after a time, or all. */
struct job_filter {
    bool is_open_only;
    int64_t ended_since_us; /* not 0: open ones, and those that ended since */
    struct uuid vm;         /* not nil: of this VM only */
    uint32_t limit;         /* not 0: at most so many, the newest */
};

MUST_CHECK int store_put_job(struct store *store, const struct job_row *row, struct error *err);

/* store_load_jobs - newest first. */
MUST_CHECK int store_load_jobs(struct store *store, const struct job_filter *filter,
                               int (*visit)(void *context, const struct job_row *row,
                                            struct error *err),
                               void *context, struct error *err);

/* store_find_job - 1: found, *out is the caller's (job_row_done); 0: there is none. */
MUST_CHECK int store_find_job(struct store *store, const struct uuid *id, struct job_row *out,
                              struct error *err);

/* store_next_sequence - one more than any job ever had. */
MUST_CHECK int store_next_sequence(struct store *store, uint64_t *out, struct error *err);

/* store_add_event - gives row->id; removes what is more than EVENTS_MAX. */
MUST_CHECK int store_add_event(struct store *store, struct event_row *row, struct error *err);

/* store_load_events - those with an id above `after`, oldest first, at most limit; vm nil: of all.
 */
MUST_CHECK int store_load_events(struct store *store, uint64_t after, const struct uuid *vm,
                                 uint32_t limit,
                                 int (*visit)(void *context, const struct event_row *row,
                                              struct error *err),
                                 void *context, struct error *err);

/* store_newest_event - the id of the newest event, 0 if there was none. */
MUST_CHECK int store_newest_event(struct store *store, uint64_t *out, struct error *err);

MUST_CHECK int store_put_statistics(struct store *store, const struct statistics_row *row,
                                    struct error *err);

/* store_load_statistics - newest interval first, at most limit; vm nil: of all. */
MUST_CHECK int store_load_statistics(struct store *store, const struct uuid *vm, uint8_t hop,
                                     uint32_t limit,
                                     int (*visit)(void *context, const struct statistics_row *row,
                                                  struct error *err),
                                     void *context, struct error *err);
MUST_CHECK int store_remove_statistics(struct store *store, const struct uuid *vm, uint8_t hop,
                                       struct error *err);

/* Small things by name: "host uuid". store_get_setting - 1: found; 0: there is none. */
MUST_CHECK int store_get_setting(struct store *store, const char *name, char *out,
                                 size_t size_bytes, struct error *err);
MUST_CHECK int store_put_setting(struct store *store, const char *name, const char *value,
                                 struct error *err);

/*
 * store_backup - the whole database as it is now, consistent, in one piece of memory: *out is the
 * caller's (free). Written to a file it can be opened by store_open.
 */
MUST_CHECK int store_backup(struct store *store, uint8_t **out, size_t *out_bytes,
                            struct error *err);

#endif
