/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files and names that survive a power cut: what is flushed, and in which order, is seen by a
 * fsync() of our own. */
#include "points/durable.h"

#include "disk_drive.h"

#include <sys/syscall.h>

#define SEEN_MAX 16

static char seen[SEEN_MAX][DRIVE_PATH_MAX]; /* what was flushed, in this order */
static uint32_t seen_count;
static uint32_t fail_at; /* which flush fails, from 1; 0: none */
static char folder[DRIVE_PATH_MAX];

/* In place of the C library's. */
int fsync(int fd)
{
    char link[64];

    assert_true(seen_count < SEEN_MAX);
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len_bytes = readlink(link, seen[seen_count], DRIVE_PATH_MAX - 1);
    assert_true(len_bytes > 0);
    seen[seen_count++][len_bytes] = '\0';
    if (seen_count == fail_at) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static void begin(void)
{
    seen_count = 0;
    fail_at = 0;
}

/* A path below the test's folder; one at a time of each slot. */
static const char *path(int slot, const char *name)
{
    static char paths[2][2 * DRIVE_PATH_MAX];

    (void)snprintf(paths[slot], sizeof paths[slot], "%s%s", folder, name);
    return paths[slot];
}

static void expect_seen(uint32_t index, const char *name)
{
    assert_true(index < seen_count);
    assert_string_equal(seen[index], path(0, name));
}

static void make_file(const char *name)
{
    assert_int_equal(
        durable_write(path(0, name), (struct const_span){(const uint8_t *)"x", 1}, NULL), 0);
    begin();
}

static int set_up(void **state)
{
    (void)state;
    char made[DRIVE_PATH_MAX];
    drive_temporary(made, sizeof made);
    char *whole = realpath(made, NULL);
    assert_non_null(whole);
    (void)snprintf(folder, sizeof folder, "%s", whole);
    free(whole);
    assert_int_equal(mkdir(path(0, "/a"), 0700), 0);
    assert_int_equal(mkdir(path(0, "/b"), 0700), 0);
    begin();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    drive_remove(folder);
    return 0;
}

static void a_file_is_flushed_before_it_has_its_name_and_its_directory_after(void **state)
{
    (void)state;
    make_file("/a/file");
    assert_int_equal(
        durable_write(path(0, "/a/file"), (struct const_span){(const uint8_t *)"yz", 2}, NULL), 0);
    assert_int_equal(seen_count, 2);
    expect_seen(0, "/a/file.new");
    expect_seen(1, "/a");
}

/* As a checkpoint is written: its directory is open, and is flushed by whoever opened it. */
static void a_file_below_an_open_directory_is_replaced_and_its_name_left_to_flush(void **state)
{
    (void)state;
    make_file("/a/file");
    int fd = open(path(0, "/a"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(
        durable_replace_at(fd, "file", (struct const_span){(const uint8_t *)"yz", 2}, NULL), 0);
    (void)close(fd);
    assert_int_equal(seen_count, 1);
    expect_seen(0, "/a/file.new");
    struct stat status;
    assert_int_equal(stat(path(0, "/a/file"), &status), 0);
    assert_int_equal(status.st_size, 2);
}

static void of_a_name_that_moves_both_directories_are_flushed(void **state)
{
    (void)state;
    make_file("/a/file");
    assert_int_equal(durable_rename(path(0, "/a/file"), path(1, "/b/other"), NULL), 0);
    assert_int_equal(seen_count, 2);
    expect_seen(0, "/b"); /* first where it is now: no power cut leaves it without a name */
    expect_seen(1, "/a");
}

static void the_directory_of_a_second_name_is_flushed_also_if_it_is_there_already(void **state)
{
    (void)state;
    make_file("/a/file");
    for (uint32_t time = 0; time < 2; time++) {
        begin();
        assert_int_equal(durable_link(path(0, "/a/file"), path(1, "/b/file"), NULL), 0);
        assert_int_equal(seen_count, 1);
        expect_seen(0, "/b");
    }
}

static void where_something_is_removed_is_flushed_also_if_it_was_gone(void **state)
{
    (void)state;
    make_file("/a/file");
    for (uint32_t time = 0; time < 2; time++) {
        begin();
        assert_int_equal(durable_remove(path(0, "/a/file"), NULL), 0);
        assert_int_equal(seen_count, 1);
        expect_seen(0, "/a");
    }
    begin();
    assert_int_equal(durable_remove_tree(path(0, "/a"), NULL), 0);
    assert_int_equal(seen_count, 1);
    expect_seen(0, "");
}

static void each_directory_that_is_made_is_flushed_where_it_is(void **state)
{
    (void)state;
    assert_int_equal(durable_make_dir(path(0, "/a/one/two"), NULL), 0);
    assert_int_equal(seen_count, 2);
    expect_seen(0, "/a");
    expect_seen(1, "/a/one");
}

static void a_flush_that_fails_is_told_each_time(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= 2; number++) {
        struct error err = {.kind = ERR_NONE};
        make_file("/a/file");
        fail_at = number;
        assert_int_equal(durable_rename(path(0, "/a/file"), path(1, "/b/other"), &err), -1);
        assert_int_equal(err.kind, ERR_IO);
        assert_int_equal(seen_count, number);
        make_file("/a/file");
        fail_at = number;
        assert_int_equal(
            durable_write(path(0, "/a/file"), (struct const_span){(const uint8_t *)"y", 1}, &err),
            -1);
        assert_int_equal(seen_count, number);
        begin();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_file_is_flushed_before_it_has_its_name_and_its_directory_after),
        TEST(a_file_below_an_open_directory_is_replaced_and_its_name_left_to_flush),
        TEST(of_a_name_that_moves_both_directories_are_flushed),
        TEST(the_directory_of_a_second_name_is_flushed_also_if_it_is_there_already),
        TEST(where_something_is_removed_is_flushed_also_if_it_was_gone),
        TEST(each_directory_that_is_made_is_flushed_where_it_is),
        TEST(a_flush_that_fails_is_told_each_time),
#undef TEST
    };

    return cmocka_run_group_tests_name("durable", tests, NULL, NULL);
}
