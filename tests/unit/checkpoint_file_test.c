/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/checkpoint_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST_PATH_MAX 512

static char place[TEST_PATH_MAX]; /* a directory for one test */

static int make_place(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    (void)snprintf(place, sizeof place, "%s/resilver-checkpoint-XXXXXX",
                   base == NULL ? "/tmp" : base);
    return mkdtemp(place) == NULL ? -1 : 0;
}

static void remove_below(int dir_fd)
{
    DIR *dir = fdopendir(dir_fd);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(dirfd(dir), entry->d_name, 0) < 0) {
            int below = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            assert_true(below >= 0);
            remove_below(below);
            assert_int_equal(unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR), 0);
        }
    }
    (void)closedir(dir);
}

static int remove_place(void **state)
{
    int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    remove_below(fd);
    return rmdir(place);
}

static void join(const char *dir, const char *name, char path[PATH_TEXT_MAX])
{
    int used = snprintf(path, PATH_TEXT_MAX, "%s/%s", dir, name);

    assert_true(used > 0 && used < PATH_TEXT_MAX);
}

static const char *in_place(const char *name)
{
    static char path[PATH_TEXT_MAX];

    join(place, name, path);
    return path;
}

/* The directory for a target of this name in the place. */
static const char *dir_for(const char *name)
{
    static char dir[PATH_TEXT_MAX];

    checkpoint_dir_for(in_place(name), dir);
    return dir;
}

static void assert_words(const struct error *err, const char *words)
{
    assert_int_not_equal(err->kind, ERR_NONE);
    if (strstr(err->message, words) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", err->message, words);
    }
}

static int save(const char *dir, const char *text, struct error *err)
{
    return checkpoint_file_save(dir, (struct const_span){(const uint8_t *)text, strlen(text)}, err);
}

static void assert_loads(const char *dir, const char *text)
{
    uint8_t buffer[64];
    size_t len_bytes = 99;
    struct error err = {.kind = ERR_NONE};

    if (checkpoint_file_load(dir, (struct span){buffer, sizeof buffer}, &len_bytes, &err) < 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(len_bytes, strlen(text));
    assert_memory_equal(buffer, text, len_bytes);
}

/* --- which directory -------------------------------------------------------------------------- */

static void a_file_has_its_directory_beside_it(void **state)
{
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];

    (void)state;
    checkpoint_dir_for("/no/such/disk.raw", dir);
    assert_string_equal(dir, "/no/such/disk.raw.resilver");
    checkpoint_dir_for("disk.raw", dir); /* a relative one stays relative */
    assert_string_equal(dir, "disk.raw.resilver");
    checkpoint_dir_for("nbd+unix:///name?socket=/run/x", dir);
    assert_string_equal(dir, "");
    checkpoint_dir_for("", dir);
    assert_string_equal(dir, "");
    /* Where no directory could be made: a name, or a path, that gets too long. */
    memset(path, 'x', sizeof path);
    path[NAME_MAX - 8] = '\0';
    checkpoint_dir_for(path, dir);
    assert_string_equal(dir, "");
    path[NAME_MAX - 9] = '\0';
    checkpoint_dir_for(path, dir);
    assert_int_equal(strlen(dir), NAME_MAX);
    memset(path, '/', sizeof path);
    path[PATH_TEXT_MAX - 2] = 'x';
    path[PATH_TEXT_MAX - 1] = '\0';
    checkpoint_dir_for(path, dir);
    assert_string_equal(dir, "");
}

static void a_device_has_its_directory_below_the_state(void **state)
{
    char dir[PATH_TEXT_MAX];

    (void)state;
    checkpoint_dir_for_device("/state", "/dev/vg/lv 1%\xff", dir);
    assert_string_equal(dir, "/state/%2Fdev%2Fvg%2Flv%201%25%FF");
    checkpoint_dir_for_device("/state", "/dev/disk/by-id/a_b-c.d", dir);
    assert_string_equal(dir, "/state/%2Fdev%2Fdisk%2Fby-id%2Fa_b-c.d");
    checkpoint_dir_for_device("/state", "/..", dir); /* nothing climbs out */
    assert_string_equal(dir, "/state/%2F..");
}

static void a_relative_device_has_the_directory_of_the_absolute_one(void **state)
{
    char relative[PATH_TEXT_MAX];
    char absolute[PATH_TEXT_MAX];
    char before[PATH_TEXT_MAX];

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir("/"), 0);
    checkpoint_dir_for_device("/state", "dev/null", relative);
    checkpoint_dir_for_device("/state", "/dev/null", absolute);
    assert_string_equal(relative, absolute);
    assert_int_equal(chdir("/dev"), 0);
    checkpoint_dir_for_device("/state", "null", relative);
    assert_string_equal(relative, absolute);
    assert_int_equal(chdir(before), 0);
}

static void long_devices_share_no_directory(void **state)
{
    char path[1000];
    char one[PATH_TEXT_MAX];
    char two[PATH_TEXT_MAX];

    (void)state;
    memset(path, '/', sizeof path);
    path[sizeof path - 1] = '\0';
    checkpoint_dir_for_device("/state", path, one);
    path[sizeof path - 2] = 'x';
    checkpoint_dir_for_device("/state", path, two);
    assert_string_not_equal(one, two);
    assert_true(strlen(one) - strlen("/state/") <= NAME_MAX);
    assert_int_equal(strncmp(one, two, 180), 0);
    assert_int_equal(save(in_place(one + strlen("/state/")), "fits", NULL), 0);
}

/* A block device decides by what it is, not by its name. Any of the machine's will do. */
static void a_block_device_is_recognised(void **state)
{
    static const char *const candidates[] = {"/dev/loop0", "/dev/vda", "/dev/sda", "/dev/nvme0n1"};
    char dir[PATH_TEXT_MAX];
    struct stat status;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(candidates); i++) {
        if (stat(candidates[i], &status) == 0 && S_ISBLK(status.st_mode)) {
            char expected[PATH_TEXT_MAX];
            assert_int_equal(setenv("XDG_STATE_HOME", place, 1), 0);
            checkpoint_dir_for_device(geteuid() == 0 ? "/var/lib/resilver" : in_place("resilver"),
                                      candidates[i], expected);
            checkpoint_dir_for(candidates[i], dir);
            assert_string_equal(dir, expected);
            /* And through a link, as those of /dev/disk are. */
            assert_int_equal(symlink(candidates[i], in_place("link")), 0);
            checkpoint_dir_for(in_place("link"), dir);
            assert_non_null(strstr(dir, "%2Flink"));
            return;
        }
    }
    print_message("no block device here\n");
    skip();
}

/* --- load, save, remove ----------------------------------------------------------------------- */

static void what_was_saved_is_loaded_until_it_is_removed(void **state)
{
    const char *dir = dir_for("disk.raw");
    struct stat status;

    (void)state;
    assert_loads(dir, "");
    assert_int_equal(checkpoint_file_remove(dir, NULL), 0); /* none there is fine */
    assert_int_equal(save(dir, "first", NULL), 0);
    assert_loads(dir, "first");
    assert_int_equal(save(dir, "the second", NULL), 0);
    assert_loads(dir, "the second");
    assert_int_equal(save(dir, "3", NULL), 0);
    assert_loads(dir, "3");
    assert_int_equal(checkpoint_file_remove(dir, NULL), 0);
    assert_int_equal(stat(dir, &status), -1);
    assert_loads(dir, "");
}

static void only_the_owner_may_look(void **state)
{
    char path[PATH_TEXT_MAX];
    const char *dir = dir_for("disk.raw");
    struct stat status;

    (void)state;
    mode_t before = umask(0);
    assert_int_equal(save(dir, "record", NULL), 0);
    (void)umask(before);
    assert_int_equal(stat(dir, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    join(dir, "checkpoint", path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void a_record_that_is_too_long_counts_as_none(void **state)
{
    const char *dir = dir_for("disk.raw");
    uint8_t buffer[8];
    size_t len_bytes = 99;

    (void)state;
    assert_int_equal(save(dir, "12345678", NULL), 0);
    assert_int_equal(
        checkpoint_file_load(dir, (struct span){buffer, sizeof buffer}, &len_bytes, NULL), 0);
    assert_int_equal(len_bytes, 8);
    assert_int_equal(save(dir, "123456789", NULL), 0);
    assert_int_equal(
        checkpoint_file_load(dir, (struct span){buffer, sizeof buffer}, &len_bytes, NULL), 0);
    assert_int_equal(len_bytes, 0);
}

static void what_a_crash_left_behind_is_no_hindrance(void **state)
{
    char path[PATH_TEXT_MAX];
    const char *dir = dir_for("disk.raw");

    (void)state;
    assert_int_equal(save(dir, "good", NULL), 0);
    join(dir, "checkpoint.new", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "half", 4), 4);
    (void)close(fd);
    assert_loads(dir, "good");
    assert_int_equal(save(dir, "better", NULL), 0);
    assert_loads(dir, "better");
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_int_equal(checkpoint_file_remove(dir, NULL), 0);
    assert_int_equal(access(dir, F_OK), -1);
}

static void what_somebody_else_put_there_stays(void **state)
{
    char path[PATH_TEXT_MAX];
    const char *dir = dir_for("disk.raw");

    (void)state;
    assert_int_equal(save(dir, "record", NULL), 0);
    join(dir, "notes", path);
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(checkpoint_file_remove(dir, NULL), 0);
    assert_int_equal(access(path, F_OK), 0);
    assert_loads(dir, "");
}

static void missing_state_directories_are_made(void **state)
{
    char state_path[PATH_TEXT_MAX];
    char dir[PATH_TEXT_MAX];
    struct stat status;

    (void)state;
    (void)snprintf(state_path, sizeof state_path, "%s", in_place("state/resilver"));
    checkpoint_dir_for_device(state_path, "/dev/vdb", dir);
    assert_int_equal(save(dir, "record", NULL), 0);
    assert_loads(dir, "record");
    assert_int_equal(stat(in_place("state"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(checkpoint_file_remove(dir, NULL), 0);
    assert_int_equal(access(dir, F_OK), -1);
    assert_int_equal(access(state_path, F_OK), 0); /* shared with other devices */
}

static void a_relative_directory_works(void **state)
{
    char before[PATH_TEXT_MAX];
    char dir[PATH_TEXT_MAX];

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(place), 0);
    checkpoint_dir_for("disk.raw", dir);
    assert_int_equal(save(dir, "here", NULL), 0);
    assert_loads(dir, "here");
    assert_int_equal(access(in_place("disk.raw.resilver/checkpoint"), F_OK), 0);
    assert_int_equal(checkpoint_file_remove(dir, NULL), 0);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(access(in_place("disk.raw.resilver"), F_OK), -1);
}

/* --- traps ------------------------------------------------------------------------------------ */

/* All three functions refuse the directory, with these words. */
static void assert_refused(const char *dir, const char *words)
{
    uint8_t buffer[16];
    size_t len_bytes = 99;
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(
        checkpoint_file_load(dir, (struct span){buffer, sizeof buffer}, &len_bytes, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_words(&err, words);
    assert_int_equal(len_bytes, 99);
    assert_int_equal(save(dir, "record", &err), -1);
    assert_words(&err, words);
    assert_int_equal(checkpoint_file_remove(dir, &err), -1);
    assert_words(&err, words);
}

static void links_are_not_followed(void **state)
{
    char path[PATH_TEXT_MAX];
    const char *dir = dir_for("disk.raw");
    uint8_t buffer[16];
    size_t len_bytes = 99;
    struct error err = {.kind = ERR_NONE};

    (void)state;
    /* The directory is a link. */
    assert_int_equal(mkdir(in_place("elsewhere"), 0700), 0);
    assert_int_equal(symlink("elsewhere", dir), 0);
    assert_refused(dir, "disk.raw.resilver should be the checkpoint directory and is none");
    assert_int_equal(unlink(dir), 0);

    /* The record is a link: not read through, and replaced, not written through. */
    (void)close(open(in_place("victim"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(mkdir(dir, 0700), 0);
    join(dir, "checkpoint", path);
    assert_int_equal(symlink("../victim", path), 0);
    assert_int_equal(
        checkpoint_file_load(dir, (struct span){buffer, sizeof buffer}, &len_bytes, &err), -1);
    assert_words(&err, "checkpoint is a symbolic link: remove it");
    join(dir, "checkpoint.new", path);
    assert_int_equal(symlink("../victim", path), 0);
    assert_int_equal(save(dir, "record", NULL), 0);
    assert_loads(dir, "record");
    struct stat status;
    assert_int_equal(stat(in_place("victim"), &status), 0);
    assert_int_equal(status.st_size, 0);
}

static void other_kinds_of_files_are_refused(void **state)
{
    char path[PATH_TEXT_MAX];
    const char *dir = dir_for("disk.raw");
    uint8_t buffer[16];
    size_t len_bytes = 99;
    struct error err = {.kind = ERR_NONE};

    (void)state;
    (void)close(open(dir, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_refused(dir, "should be the checkpoint directory and is none: remove it");
    assert_int_equal(unlink(dir), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    join(dir, "checkpoint", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(
        checkpoint_file_load(dir, (struct span){buffer, sizeof buffer}, &len_bytes, &err), -1);
    assert_words(&err, "checkpoint is not a file: remove it");
}

static void a_directory_that_others_may_write_is_refused(void **state)
{
    const char *dir = dir_for("disk.raw");

    (void)state;
    assert_int_equal(save(dir, "record", NULL), 0);
    assert_int_equal(chmod(dir, 0720), 0);
    assert_refused(dir, "others may write to the checkpoint directory");
    assert_int_equal(chmod(dir, 0702), 0);
    assert_refused(dir, "(mode 0702): remove it");
    assert_int_equal(chmod(dir, 0755), 0);
    assert_loads(dir, "record");
}

/* Runs body in a process of its own, which may give up rights; returns its exit status. */
static int in_child(int (*body)(const char *dir), const char *dir)
{
    int status = -1;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(body(dir));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

enum { CHILD_GOOD = 0, CHILD_BAD = 1, CHILD_CANNOT = 77 };

static int judge(int result, const struct error *err, enum error_kind kind, const char *words)
{
    if (result == -1 && err->kind == kind && strstr(err->message, words) != NULL) {
        return CHILD_GOOD;
    }
    (void)fprintf(stderr, "%d: \"%s\" lacks \"%s\"\n", result, err->message, words);
    return CHILD_BAD;
}

#define NOBODY 65534U

static int save_as_nobody(const char *dir)
{
    struct error err = {.kind = ERR_NONE};

    if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0) {
        return CHILD_CANNOT;
    }
    return judge(save(dir, "x", &err), &err, ERR_IO,
                 "this user must be allowed to write beside the target): Permission denied");
}

static void without_the_right_to_write_the_message_says_so(void **state)
{
    (void)state;
    assert_int_equal(chmod(place, 0755), 0); /* the user can see it and cannot write to it */
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(in_child(save_as_nobody, dir_for("disk.raw")), CHILD_GOOD);
}

static void anothers_directory_is_refused(void **state)
{
    const char *dir = dir_for("disk.raw");

    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(chown(dir, 4242, 4242), 0);
    assert_refused(dir, "belongs to another user (4242): remove it"); /* root is careful, too */
}

/* A file system of its own on the place, in a mount namespace of the child's. */
static int mount_small(unsigned long flags)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", place, "tmpfs", flags, "size=64k") < 0) {
        return -1;
    }
    return 0;
}

static int save_read_only(const char *dir)
{
    struct error err = {.kind = ERR_NONE};

    if (mount_small(MS_RDONLY) < 0) {
        return CHILD_CANNOT;
    }
    return judge(save(dir, "x", &err), &err, ERR_IO,
                 "(mount that file system for writing): Read-only file system");
}

/* The record that was there before survives a full disk. */
static int save_when_full(const char *dir)
{
    static uint8_t large[256 * KIB];
    uint8_t buffer[16];
    size_t len_bytes = 0;
    struct error err = {.kind = ERR_NONE};

    if (mount_small(0) < 0) {
        return CHILD_CANNOT;
    }
    if (save(dir, "before", &err) != 0) {
        return CHILD_BAD;
    }
    int result = checkpoint_file_save(dir, (struct const_span){large, sizeof large}, &err);
    if (judge(result, &err, ERR_LIMIT, "(make room there): No space left on device") != 0) {
        return CHILD_BAD;
    }
    if (checkpoint_file_load(dir, (struct span){buffer, sizeof buffer}, &len_bytes, &err) != 0 ||
        len_bytes != 6 || checkpoint_file_remove(dir, &err) != 0) {
        return CHILD_BAD;
    }
    return access(dir, F_OK) == 0 ? CHILD_BAD : CHILD_GOOD;
}

static void a_file_system_that_refuses_is_told_with_the_cure(void **state)
{
    int (*const bodies[])(const char *) = {save_read_only, save_when_full};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        int result = in_child(bodies[i], dir_for("disk.raw"));
        if (result == CHILD_CANNOT) {
            print_message("no right to mount here\n");
            skip();
        }
        assert_int_equal(result, CHILD_GOOD);
    }
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_its_directory_beside_it),
        cmocka_unit_test(a_device_has_its_directory_below_the_state),
        cmocka_unit_test(a_relative_device_has_the_directory_of_the_absolute_one),
        PLACED(long_devices_share_no_directory),
        PLACED(a_block_device_is_recognised),
        PLACED(what_was_saved_is_loaded_until_it_is_removed),
        PLACED(only_the_owner_may_look),
        PLACED(a_record_that_is_too_long_counts_as_none),
        PLACED(what_a_crash_left_behind_is_no_hindrance),
        PLACED(what_somebody_else_put_there_stays),
        PLACED(missing_state_directories_are_made),
        PLACED(a_relative_directory_works),
        PLACED(links_are_not_followed),
        PLACED(other_kinds_of_files_are_refused),
        PLACED(a_directory_that_others_may_write_is_refused),
        PLACED(without_the_right_to_write_the_message_says_so),
        PLACED(anothers_directory_is_refused),
        PLACED(a_file_system_that_refuses_is_told_with_the_cure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
