/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store_rig.h - for tests of the state database: a folder for it, rows with every field filled, and
 * all that a store holds as text, in which two stores are compared.
 */
#ifndef RESILVER_TESTS_UNIT_STORE_RIG_H
#define RESILVER_TESTS_UNIT_STORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"

#include <cmocka.h>

static char rig_folder[256];
static char rig_path[300]; /* the database */

static inline int rig_begin(void **state)
{
    const char *root = getenv("TMPDIR");

    (void)state;
    (void)snprintf(rig_folder, sizeof rig_folder, "%s/store-test-XXXXXX",
                   root == NULL ? "/tmp" : root);
    if (mkdtemp(rig_folder) == NULL) {
        return -1;
    }
    (void)snprintf(rig_path, sizeof rig_path, "%s/state.db", rig_folder);
    return 0;
}

static inline void rig_in_folder(const char *name, char out[300])
{
    (void)snprintf(out, 300, "%s/%s", rig_folder, name);
}

static inline int rig_end(void **state)
{
    static const char *const names[] = {"state.db", "state.db-journal", "other.db",
                                        "other.db-journal", "real"};
    char path[300];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        rig_in_folder(names[i], path);
        (void)remove(path); /* not each test made each */
    }
    return rmdir(rig_folder);
}

static inline struct store *rig_open(const char *path)
{
    struct store *store = NULL;
    struct error err = {0};

    if (store_open(path, &store, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return store;
}

static inline void rig_save(const char *path, const void *bytes, size_t len_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_true(write(fd, bytes, len_bytes) == (ssize_t)len_bytes);
    assert_int_equal(close(fd), 0);
}

static inline uint8_t *rig_load(const char *path, size_t *out_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;

    assert_true(fd >= 0 && fstat(fd, &info) == 0);
    uint8_t *bytes = malloc((size_t)info.st_size + 1);
    assert_non_null(bytes);
    assert_true(read(fd, bytes, (size_t)info.st_size) == (ssize_t)info.st_size);
    bytes[info.st_size] = '\0';
    assert_int_equal(close(fd), 0);
    *out_bytes = (size_t)info.st_size;
    return bytes;
}

/* SQL past the store. */
static inline void rig_sql(const char *path, const char *sql)
{
    sqlite3 *database = NULL;
    mode_t before = umask(077);
    char *message = NULL;

    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    if (sqlite3_exec(database, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s", message);
    }
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    (void)umask(before);
}

/* --- rows ------------------------------------------------------------------------------------ */

static inline struct uuid rig_uuid(unsigned int number)
{
    struct uuid uuid = {{0xff, 0, 0x80}};

    uuid.bytes[14] = (uint8_t)(number >> 8);
    uuid.bytes[15] = (uint8_t)number;
    return uuid;
}

/* A text as long as the field allows, of letters of two bytes. */
static inline void rig_fill(char *out, size_t size_bytes)
{
    memset(out, 'x', size_bytes - 1);
    out[size_bytes - 1] = '\0';
    for (size_t i = 0; i + 2 < size_bytes; i += 2) {
        memcpy(out + i, "\xc3\xa4", 2);
    }
}

#define RIG_FILL(array) rig_fill(array, sizeof(array))

static inline struct host_row rig_host(void)
{
    struct host_row row = {.paired_us = INT64_MAX, .revoked_us = INT64_MAX - 1};

    RIG_FILL(row.name);
    RIG_FILL(row.address);
    memset(row.fingerprint, 0xfe, sizeof row.fingerprint);
    return row;
}

static inline struct authorization_row rig_authorization(void)
{
    struct authorization_row row = {.created_us = INT64_MAX};

    RIG_FILL(row.allowed_primary);
    RIG_FILL(row.trust_group);
    RIG_FILL(row.storage_root);
    memset(row.fingerprint, 0xfd, sizeof row.fingerprint);
    return row;
}

/* With a list of disks that is the caller's. */
static inline struct relationship_row rig_relationship(struct relationship_disk disks[DISKS_MAX])
{
    struct relationship_row row = {
        .vm = rig_uuid(1),
        .hop = 1,
        .role = UINT8_MAX,
        .state = UINT16_MAX,
        .health = UINT16_MAX - 1,
        .last_type = UINT16_MAX - 2,
        .generation = INT64_MAX,
        .peer_generation = INT64_MAX - 1,
        .created_us = INT64_MAX - 2,
        .last_replication_us = INT64_MAX - 3,
        .last_apply_us = INT64_MAX - 4,
        .last_try_us = INT64_MAX - 5,
        .settings = {REPLICA_HISTORY_MAX, UINT32_MAX, INT64_MAX - 6, 1439, 1438, true, true},
        .disk_count = DISKS_MAX,
        .disks = disks,
    };

    RIG_FILL(row.vm_name);
    RIG_FILL(row.peer);
    RIG_FILL(row.folder);
    RIG_FILL(row.reason);
    for (uint32_t i = 0; i < DISKS_MAX; i++) {
        RIG_FILL(disks[i].name);
        disks[i].name[0] = (char)('0' + i); /* not one is like another, not one in order */
        disks[i].name[1] = (char)('z' - i % 20);
        disks[i].size_bytes = DISK_SIZE_MAX - i;
        disks[i].is_included = i % 2 == 0;
    }
    return row;
}

static inline struct job_row rig_job(uint64_t sequence)
{
    struct job_row row = {
        .id = rig_uuid((unsigned int)sequence),
        .sequence = sequence,
        .type = UINT16_MAX,
        .state = UINT16_MAX - 1,
        .state_before = UINT16_MAX - 2,
        .vm = rig_uuid(1),
        .hop = 1,
        .submitted_us = INT64_MAX,
        .scheduled_us = INT64_MAX - 1,
        .started_us = INT64_MAX - 2,
        .ended_us = INT64_MAX - 3,
        .changed_us = INT64_MAX - 4,
        .next_try_us = INT64_MAX - 5,
        .attempts = UINT32_MAX,
        .percent = 100,
        .error_code = UINT16_MAX,
        .error_kind = ERROR_KIND_MAX,
    };

    RIG_FILL(row.vm_name);
    RIG_FILL(row.owner);
    RIG_FILL(row.error);
    RIG_FILL(row.status);
    return row;
}

static inline struct event_row rig_event(void)
{
    struct event_row row = {
        .time_us = INT64_MAX,
        .code = UINT16_MAX,
        .level = 5,
        .vm = rig_uuid(1),
        .hop = 1,
        .job = rig_uuid(7),
    };

    RIG_FILL(row.what);
    RIG_FILL(row.text);
    return row;
}

static inline struct statistics_row rig_statistics(void)
{
    return (struct statistics_row){
        .vm = rig_uuid(1),
        .hop = 1,
        .start_us = INT64_MAX - 1,
        .end_us = INT64_MAX,
        .success_count = UINT32_MAX,
        .miss_count = UINT32_MAX - 1,
        .network_failure_count = UINT32_MAX - 2,
        .failure_count = UINT32_MAX - 3,
        .size_bytes = INT64_MAX - 2,
        .max_size_bytes = INT64_MAX - 3,
        .latency_s = INT64_MAX - 4,
        .max_latency_s = INT64_MAX - 5,
        .resynced_bytes = INT64_MAX - 6,
    };
}

/* --- all rows as text ------------------------------------------------------------------------ */

static inline void rig_say_bytes(FILE *out, const uint8_t *bytes, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++) {
        (void)fprintf(out, "%02x", bytes[i]);
    }
    (void)fputc(' ', out);
}

static inline int rig_say_host(void *context, const struct host_row *row, struct error *err)
{
    FILE *out = context;

    (void)err;
    (void)fprintf(out, "host '%s' '%s' ", row->name, row->address);
    rig_say_bytes(out, row->fingerprint, FINGERPRINT_BYTES);
    (void)fprintf(out, "%" PRId64 " %" PRId64 "\n", row->paired_us, row->revoked_us);
    return 0;
}

static inline int rig_say_authorization(void *context, const struct authorization_row *row,
                                        struct error *err)
{
    FILE *out = context;

    (void)err;
    (void)fprintf(out, "authorization '%s' '%s' '%s' ", row->allowed_primary, row->trust_group,
                  row->storage_root);
    rig_say_bytes(out, row->fingerprint, FINGERPRINT_BYTES);
    (void)fprintf(out, "%" PRId64 "\n", row->created_us);
    return 0;
}

static inline int rig_say_relationship(void *context, const struct relationship_row *row,
                                       struct error *err)
{
    const struct relationship_settings *settings = &row->settings;
    FILE *out = context;

    (void)err;
    (void)fprintf(out, "relationship ");
    rig_say_bytes(out, row->vm.bytes, UUID_BYTES);
    (void)fprintf(out, "%u %u %u %u %u '%s' '%s' '%s' '%s' ", row->hop, row->role, row->state,
                  row->health, row->last_type, row->vm_name, row->peer, row->folder, row->reason);
    (void)fprintf(out,
                  "%" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
                  " %u %u %" PRIu64 " %u %u %d %d\n",
                  row->generation, row->peer_generation, row->created_us, row->last_replication_us,
                  row->last_apply_us, row->last_try_us, settings->recovery_history,
                  settings->interval_s, settings->rate_bytes_per_s, settings->auto_start_minute,
                  settings->auto_end_minute, settings->is_auto_resync_enabled,
                  settings->is_compression_enabled);
    for (uint32_t i = 0; i < row->disk_count; i++) {
        (void)fprintf(out, "  disk '%s' %" PRIu64 " %d\n", row->disks[i].name,
                      row->disks[i].size_bytes, row->disks[i].is_included);
    }
    return 0;
}

static inline int rig_say_job(void *context, const struct job_row *row, struct error *err)
{
    FILE *out = context;

    (void)err;
    (void)fprintf(out, "job %" PRIu64 " ", row->sequence);
    rig_say_bytes(out, row->id.bytes, UUID_BYTES);
    rig_say_bytes(out, row->vm.bytes, UUID_BYTES);
    (void)fprintf(out,
                  "%u %u %u %u '%s' '%s' %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
                  " %" PRId64 " %u %u %u %u '%s' '%s' %s\n",
                  row->type, row->state, row->state_before, row->hop, row->vm_name, row->owner,
                  row->submitted_us, row->scheduled_us, row->started_us, row->ended_us,
                  row->changed_us, row->next_try_us, row->attempts, row->percent, row->error_code,
                  row->error_kind, row->error, row->status,
                  row->report == NULL ? "without a report" : row->report);
    return 0;
}

static inline int rig_say_event(void *context, const struct event_row *row, struct error *err)
{
    FILE *out = context;

    (void)err;
    (void)fprintf(out, "event %" PRIu64 " %" PRId64 " %u %u %u ", row->id, row->time_us, row->code,
                  row->level, row->hop);
    rig_say_bytes(out, row->vm.bytes, UUID_BYTES);
    rig_say_bytes(out, row->job.bytes, UUID_BYTES);
    (void)fprintf(out, "'%s' '%s'\n", row->what, row->text);
    return 0;
}

static inline int rig_say_statistics(void *context, const struct statistics_row *row,
                                     struct error *err)
{
    FILE *out = context;

    (void)err;
    (void)fprintf(out, "statistics ");
    rig_say_bytes(out, row->vm.bytes, UUID_BYTES);
    (void)fprintf(out,
                  "%u %" PRId64 " %" PRId64 " %u %u %u %u %" PRIu64 " %" PRIu64 " %" PRIu64
                  " %" PRIu64 " %" PRIu64 "\n",
                  row->hop, row->start_us, row->end_us, row->success_count, row->miss_count,
                  row->network_failure_count, row->failure_count, row->size_bytes,
                  row->max_size_bytes, row->latency_s, row->max_latency_s, row->resynced_bytes);
    return 0;
}

static inline int rig_say_rows(struct store *store, FILE *out, struct error *err)
{
    const struct job_filter all = {.is_open_only = false};
    const struct uuid any = {{0}};
    char value[PATH_TEXT_MAX] = "";
    uint64_t next = 0;

    if (store_load_hosts(store, rig_say_host, out, err) < 0 ||
        store_load_authorizations(store, rig_say_authorization, out, err) < 0 ||
        store_load_relationships(store, rig_say_relationship, out, err) < 0 ||
        store_load_jobs(store, &all, rig_say_job, out, err) < 0 ||
        store_load_events(store, 0, &any, EVENTS_MAX, rig_say_event, out, err) < 0 ||
        store_load_statistics(store, &any, 0, UINT32_MAX, rig_say_statistics, out, err) < 0 ||
        store_get_setting(store, "last", value, sizeof value, err) < 0 ||
        store_next_sequence(store, &next, err) < 0) {
        return -1;
    }
    (void)fprintf(out, "last '%s' next %" PRIu64 "\n", value, next);
    return 0;
}

/* All that the store holds; the caller's. NULL and err when a call failed. */
static inline char *rig_say(struct store *store, struct error *err)
{
    char *text = NULL;
    size_t len_bytes = 0;
    FILE *out = open_memstream(&text, &len_bytes);

    assert_non_null(out);
    int result = rig_say_rows(store, out, err);
    assert_int_equal(fclose(out), 0);
    if (result < 0) {
        free(text);
        text = NULL;
    }
    return text;
}

static inline void rig_expect(struct store *store, const char *expected)
{
    struct error err = {0};
    char *text = rig_say(store, &err);

    if (text == NULL) {
        fail_msg("%s", err.message);
    }
    assert_string_equal(text, expected);
    free(text);
}

/* A row of each kind. */
static inline void rig_put_all(struct store *store)
{
    struct relationship_disk disks[DISKS_MAX];
    struct host_row host = rig_host();
    struct authorization_row authorization = rig_authorization();
    struct relationship_row relationship = rig_relationship(disks);
    struct job_row job = rig_job(1);
    struct event_row event = rig_event();
    struct statistics_row statistics = rig_statistics();

    assert_int_equal(store_put_host(store, &host, NULL), 0);
    assert_int_equal(store_put_authorization(store, &authorization, NULL), 0);
    assert_int_equal(store_put_relationship(store, &relationship, NULL), 0);
    assert_int_equal(store_put_job(store, &job, NULL), 0);
    assert_int_equal(store_add_event(store, &event, NULL), 0);
    assert_int_equal(store_put_statistics(store, &statistics, NULL), 0);
    assert_int_equal(store_put_setting(store, "last", "a value", NULL), 0);
}

#endif
