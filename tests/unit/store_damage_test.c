/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the state database withstands: bytes that flip, files cut short, a kill at any moment, no
 * room, a disk that does not read; and its backups. */
#include "store_rig.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include "base/env.h"

#define FLIPS 200
#define CUTS 100
#define KILLS 50
#define DEADLINE_MS 30000
#define MEDIUM_KIB 512
#define JOURNAL_FIRST 0xd9 /* of a journal that is to be rolled back; else it is zeroed or gone */
#define LARGE_JOBS 60U     /* with their reports more than SQLite's page cache holds */

/* Chance that a failure can be repeated with: the seed is printed, and STORE_TEST_SEED sets it. */
static uint64_t chance_state;

static void chance_begin(void)
{
    const char *given = getenv("STORE_TEST_SEED");
    struct span seed = {(uint8_t *)&chance_state, sizeof chance_state};

    assert_int_equal(env_random(env_system(), seed, NULL), 0);
    if (given != NULL) {
        chance_state = strtoull(given, NULL, 10);
    }
    print_message("STORE_TEST_SEED=%" PRIu64 "\n", chance_state);
}

/* Source: Sebastiano Vigna, splitmix64 */
static uint64_t chance_below(uint64_t end)
{
    uint64_t z = (chance_state += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return (z ^ (z >> 31)) % end;
}

/* A database with a row of each kind and some more, its bytes and what it says. */
static uint8_t *make_whole(size_t *out_bytes, char **out_text)
{
    struct store *store = rig_open(rig_path);

    rig_put_all(store);
    assert_int_equal(store_begin(store, NULL), 0);
    for (unsigned int i = 2; i < 40; i++) {
        struct job_row job = rig_job(i);
        struct event_row event = rig_event();
        assert_int_equal(store_put_job(store, &job, NULL), 0);
        assert_int_equal(store_add_event(store, &event, NULL), 0);
    }
    assert_int_equal(store_commit(store, NULL), 0);
    *out_text = rig_say(store, NULL);
    store_close(store);
    return rig_load(rig_path, out_bytes);
}

/* --- damaged files --------------------------------------------------------------------------- */

struct outcomes {
    unsigned int refused; /* by store_open */
    unsigned int failed;  /* opened, and a call failed */
    unsigned int equal;   /* opened, and every row is as it was */
    unsigned int changed; /* opened: rows differ, and keep to the CHECKs */
};

/* A row that was read keeps to its CHECKs, or the check at opening would have refused the file. */
static void try_damaged(const char *expected, struct outcomes *outcomes)
{
    struct store *store = NULL;
    struct error err = {0};

    if (store_open(rig_path, &store, &err) < 0) {
        assert_true(err.kind != ERR_NONE && err.message[0] != '\0');
        outcomes->refused++;
        return;
    }
    char *text = rig_say(store, &err);
    bool can_write = store_put_setting(store, "after", "damage", &err) == 0;
    if (text == NULL || !can_write) {
        assert_true(err.kind != ERR_NONE && err.message[0] != '\0');
        outcomes->failed++;
    } else if (strcmp(text, expected) == 0) {
        outcomes->equal++;
    } else {
        outcomes->changed++;
    }
    free(text);
    store_close(store);
}

static void say_outcomes(const char *what, const struct outcomes *outcomes)
{
    print_message("%s: %u refused at open, %u failed in a call, %u read as written, %u read as "
                  "other values that the schema allows\n",
                  what, outcomes->refused, outcomes->failed, outcomes->equal, outcomes->changed);
}

static void a_flipped_bit_does_no_more_than_the_schema_allows(void **state)
{
    struct outcomes outcomes = {0};
    size_t len_bytes = 0;
    char *text = NULL;

    (void)state;
    chance_begin();
    uint8_t *whole = make_whole(&len_bytes, &text);
    for (int i = 0; i < FLIPS; i++) {
        size_t at = chance_below(len_bytes);
        uint8_t before = whole[at];
        whole[at] ^= (uint8_t)(1 + chance_below(255));
        rig_save(rig_path, whole, len_bytes);
        try_damaged(text, &outcomes);
        whole[at] = before;
    }
    say_outcomes("flipped bytes", &outcomes);
    assert_int_equal(outcomes.refused + outcomes.failed + outcomes.equal + outcomes.changed, FLIPS);
    assert_true(outcomes.refused > 0 && outcomes.equal > 0); /* some did harm, some hit no data */
    free(whole);
    free(text);
}

/* The head and the schema: every byte of the first page's start. */
static void a_flipped_byte_of_the_head_is_no_crash(void **state)
{
    struct outcomes outcomes = {0};
    size_t len_bytes = 0;
    char *text = NULL;

    (void)state;
    uint8_t *whole = make_whole(&len_bytes, &text);
    for (size_t at = 0; at < 108; at++) {
        whole[at] ^= 0xff;
        rig_save(rig_path, whole, len_bytes);
        try_damaged(text, &outcomes);
        whole[at] ^= 0xff;
    }
    say_outcomes("bytes of the head", &outcomes);
    assert_true(outcomes.refused > 0);
    free(whole);
    free(text);
}

static void a_file_cut_short_is_refused(void **state)
{
    struct outcomes outcomes = {0};
    size_t len_bytes = 0;
    char *text = NULL;

    (void)state;
    chance_begin();
    uint8_t *whole = make_whole(&len_bytes, &text);
    for (int i = 0; i < CUTS; i++) {
        rig_save(rig_path, whole, 1 + chance_below(len_bytes - 1));
        try_damaged(text, &outcomes);
    }
    say_outcomes("files cut short", &outcomes);
    /* One that was cut where nothing is stored is found out by the first write. */
    assert_int_equal(outcomes.refused + outcomes.failed, CUTS);
    free(whole);
    free(text);
}

/* --- kill -9 --------------------------------------------------------------------------------- */

/* The child: a job and the setting that names it, both or none, reported once they are durable. */
static void write_rows(int report_fd)
{
    uint64_t next = 0;
    struct store *store = NULL;

    if (store_open(rig_path, &store, NULL) < 0 || store_next_sequence(store, &next, NULL) < 0) {
        _exit(1);
    }
    for (;; next++) {
        struct job_row job = rig_job(next);
        char number[32];
        (void)snprintf(number, sizeof number, "%" PRIu64, next);
        if (store_begin(store, NULL) < 0 || store_put_job(store, &job, NULL) < 0 ||
            store_put_setting(store, "last", number, NULL) < 0 || store_commit(store, NULL) < 0 ||
            write(report_fd, &next, sizeof next) != (ssize_t)sizeof next) {
            _exit(1);
        }
    }
}

static bool next_report(int fd, uint64_t *last)
{
    struct pollfd watch = {.fd = fd, .events = POLLIN};
    uint64_t number = 0;

    assert_int_equal(poll(&watch, 1, DEADLINE_MS), 1);
    ssize_t len_bytes = read(fd, &number, sizeof number);
    if (len_bytes == 0) {
        return false;
    }
    assert_int_equal(len_bytes, sizeof number);
    *last = number;
    return true;
}

/* What the last reported row was. */
static uint64_t write_until_killed(uint64_t last)
{
    int ends[2];
    int status = 0;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]); /* the parent's */
        write_rows(ends[1]);
    }
    assert_int_equal(close(ends[1]), 0);
    for (uint64_t wanted = chance_below(6); wanted > 0; wanted--) {
        assert_true(next_report(ends[0], &last));
    }
    (void)usleep((useconds_t)chance_below(4000)); /* anywhere in the next step */
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (next_report(ends[0], &last)) {
    }
    assert_int_equal(close(ends[0]), 0);
    return last;
}

static int count_down(void *context, const struct job_row *row, struct error *err)
{
    uint64_t *expected = context;

    (void)err;
    assert_int_equal(row->sequence, *expected);
    (*expected)--;
    return 0;
}

static bool has_journal(void)
{
    char path[300];
    uint8_t first = 0;

    rig_in_folder("state.db-journal", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_hot = fd >= 0 && read(fd, &first, 1) == 1 && first == JOURNAL_FIRST;
    if (fd >= 0) {
        assert_int_equal(close(fd), 0);
    }
    return is_hot;
}

/* All up to the newest are there without a gap, and the setting names the newest. */
static uint64_t check_rows(uint64_t reported)
{
    const struct job_filter all = {.is_open_only = false};
    struct store *store = rig_open(rig_path);
    char last[32] = "0";
    char newest[32];
    uint64_t next = 0;

    assert_int_equal(store_next_sequence(store, &next, NULL), 0);
    assert_true(next - 1 >= reported && next - 1 <= reported + 1);
    assert_true(store_get_setting(store, "last", last, sizeof last, NULL) >= 0);
    (void)snprintf(newest, sizeof newest, "%" PRIu64, next - 1);
    assert_string_equal(last, newest);
    uint64_t expected = next - 1;
    assert_int_equal(store_load_jobs(store, &all, count_down, &expected, NULL), 0);
    assert_int_equal(expected, 0);
    store_close(store);
    return next - 1;
}

static void what_was_reported_survives_a_kill_at_any_moment(void **state)
{
    uint64_t last = 0;
    unsigned int unreported = 0;
    unsigned int journals = 0;

    (void)state;
    chance_begin();
    for (int i = 0; i < KILLS; i++) {
        last = write_until_killed(last);
        journals += has_journal();
        uint64_t found = check_rows(last);
        unreported += found > last;
        last = found;
    }
    print_message("%d kills: %" PRIu64 " rows, all there; %u left a journal to roll back, %u came "
                  "between a commit and its report\n",
                  KILLS, last, journals, unreported);
    assert_true(last > 0);
}

/* --- no room --------------------------------------------------------------------------------- */

/* A small file system over the test's folder, seen by this process alone. */
static bool mount_small(void)
{
    char options[64];

    (void)snprintf(options, sizeof options, "size=%dk,mode=0700", MEDIUM_KIB);
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("store-test", rig_folder, "tmpfs", 0, options) == 0;
}

static void fill_up(const char *path)
{
    static const uint8_t block[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0) {
    }
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(close(fd), 0);
}

/* Larger than what is free in the pages that the database has. */
static struct job_row large_job(void)
{
    static char report[JOB_REPORT_MAX];
    struct job_row job = rig_job(2);

    memset(report, 'r', sizeof report - 1);
    job.report = report; /* borrowed: never given to job_row_done */
    return job;
}

static void try_without_room(struct store *store)
{
    struct job_row job = large_job();
    struct error err = {0};
    char *before = rig_say(store, NULL);

    assert_int_equal(store_put_job(store, &job, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.message, "no room for the state database"));
    rig_expect(store, before);
    free(before);
}

static void try_transaction_without_room(struct store *store)
{
    struct error err = {0};
    char *before = rig_say(store, NULL);
    bool has_failed = false;

    if (store_begin(store, &err) == 0) {
        struct job_row job = large_job();
        has_failed = store_put_job(store, &job, &err) < 0;
        /* A caller that goes on all the same: nothing of it may last. */
        (void)!store_put_setting(store, "last", "half", NULL);
        has_failed = store_commit(store, has_failed ? NULL : &err) < 0 || has_failed;
    }
    assert_true(has_failed || err.kind != ERR_NONE);
    assert_int_equal(err.kind, ERR_LIMIT);
    rig_expect(store, before);
    free(before);
}

static void without_room_nothing_changes_and_with_room_it_goes_on(void **state)
{
    struct job_row job = large_job();
    char filler[300];

    (void)state;
    if (!mount_small()) {
        print_message("skipped: no file system of its own to be had\n");
        skip();
    }
    rig_in_folder("other.db", filler);
    struct store *store = rig_open(rig_path);
    rig_put_all(store);
    fill_up(filler);
    try_without_room(store);
    try_transaction_without_room(store);
    assert_int_equal(remove(filler), 0);
    assert_int_equal(store_put_job(store, &job, NULL), 0);
    char *after = rig_say(store, NULL);
    store_close(store);
    store = rig_open(rig_path);
    rig_expect(store, after);
    store_close(store);
    free(after);
    fill_up(filler); /* no room for a first database either */
    assert_int_equal(remove(rig_path), 0);
    fill_up(filler);
    struct error err = {0};
    assert_int_equal(store_open(rig_path, &store, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(umount2(rig_folder, MNT_DETACH), 0);
}

/* --- backups, and a disk that does not read -------------------------------------------------- */

static void a_backup_is_a_database_that_says_the_same(void **state)
{
    uint8_t *image = NULL;
    size_t len_bytes = 0;
    char path[300];

    (void)state;
    struct store *store = rig_open(rig_path);
    rig_put_all(store);
    char *before = rig_say(store, NULL);
    assert_int_equal(store_backup(store, &image, &len_bytes, NULL), 0);
    assert_int_equal(store_put_setting(store, "last", "later", NULL), 0);
    rig_in_folder("other.db", path);
    rig_save(path, image, len_bytes);
    struct store *copy = rig_open(path);
    rig_expect(copy, before);
    assert_int_equal(store_put_setting(copy, "last", "in the copy", NULL), 0);
    store_close(copy);
    store_close(store);
    free(image);
    free(before);
}

static unsigned int reads_failed;

static ssize_t fail_read(int fd, void *out, size_t len_bytes, off_t at)
{
    (void)fd;
    (void)out;
    (void)len_bytes;
    (void)at;
    reads_failed++;
    errno = EIO;
    return -1;
}

/* SQLite reads with one of these, as it was built; NULL puts the system's back. */
static void set_reads(sqlite3_syscall_ptr function)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    (void)vfs->xSetSystemCall(vfs, "pread", function); /* not each build has each */
    (void)vfs->xSetSystemCall(vfs, "pread64", function);
}

/* SQLite's own sqlite3_serialize() would put zeros there. */
static void a_page_that_cannot_be_read_is_no_backup(void **state)
{
    uint8_t *image = NULL;
    size_t len_bytes = 7;
    struct error err = {0};
    static char report[JOB_REPORT_MAX];

    (void)state;
    memset(report, 'r', sizeof report - 1);
    struct store *store = rig_open(rig_path);
    for (unsigned int i = 1; i <= LARGE_JOBS; i++) {
        struct job_row job = rig_job(i);
        job.report = report;
        assert_int_equal(store_put_job(store, &job, NULL), 0);
    }
    set_reads((sqlite3_syscall_ptr)fail_read);
    int result = store_backup(store, &image, &len_bytes, &err);
    set_reads(NULL);
    assert_true(reads_failed > 0);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_null(image);
    assert_int_equal(len_bytes, 7);
    assert_int_equal(store_backup(store, &image, &len_bytes, NULL), 0); /* it reads again */
    free(image);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_flipped_bit_does_no_more_than_the_schema_allows,
                                        rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_flipped_byte_of_the_head_is_no_crash, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_file_cut_short_is_refused, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(what_was_reported_survives_a_kill_at_any_moment, rig_begin,
                                        rig_end),
        cmocka_unit_test_setup_teardown(a_backup_is_a_database_that_says_the_same, rig_begin,
                                        rig_end),
        cmocka_unit_test_setup_teardown(a_page_that_cannot_be_read_is_no_backup, rig_begin,
                                        rig_end),
        cmocka_unit_test_setup_teardown(without_room_nothing_changes_and_with_room_it_goes_on,
                                        rig_begin, rig_end),
    };
    return cmocka_run_group_tests_name("store damage", tests, NULL, NULL);
}
