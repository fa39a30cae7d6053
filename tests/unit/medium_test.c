/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/medium.h"

#include "disk_places.h"

#include <sys/socket.h>
#include <sys/un.h>

static void what_is_no_disk_is_refused(void **state)
{
    struct disk_open_options options = {.path = folder};

    (void)state;
    for (int for_write = 0; for_write <= 1; for_write++) {
        options.write = for_write != 0;
        options.path = folder;
        expect_refusal(&options, ERR_USAGE, "is a directory");
        options.path = file_path("fifo");
        (void)mkfifo(options.path, 0600);
        expect_refusal(&options, ERR_USAGE, "named pipe"); /* and does not wait for a writer */
        options.path = "/dev/null";
        expect_refusal(&options, ERR_USAGE, "character device");
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    options.path = file_path("socket");
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", options.path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    expect_refusal(&options, ERR_USAGE, "socket");
    (void)close(fd);
}

static void what_is_missing_is_named(void **state)
{
    struct disk_open_options options = {.path = file_path("missing")};

    (void)state;
    expect_refusal(&options, ERR_IO, "does not exist");
    options.write = true;
    expect_refusal(&options, ERR_IO, "--create");
    options.path = file_path("no/folder");
    options.create = true;
    expect_refusal(&options, ERR_IO, "its folder cannot be opened");
    options.path = "";
    expect_refusal(&options, ERR_IO, "");
    options.path = file_path("loop");
    assert_int_equal(symlink("loop", options.path), 0);
    expect_refusal(&options, ERR_IO, "symbolic links");
}

static void what_may_not_be_opened_is_named(void **state)
{
    struct disk_open_options options = {.path = file_path("secret")};

    (void)state;
    make_file(options.path, 4096);
    if (geteuid() == 0) {
        assert_int_equal(seteuid(NOBODY), 0);
    } else {
        assert_int_equal(chmod(options.path, 0), 0);
    }
    expect_refusal(&options, ERR_IO, "may not be opened for reading by this user");
    options.write = true;
    expect_refusal(&options, ERR_IO, "may not be opened for writing by this user");
    options.path = path_in("/proc/1/fd", "0"); /* what may not even be looked at */
    expect_refusal(&options, ERR_IO, "may not be opened");
    if (getuid() == 0) {
        assert_int_equal(seteuid(0), 0);
    }
}

static uint64_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static void open_and_close(const struct disk_open_options *options, uint64_t expected_bytes)
{
    struct disk *disk = NULL;
    struct error err = {0};

    if (disk_open_file(options, &disk, &err) < 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(disk->size_bytes, expected_bytes);
    disk_close(disk);
    assert_int_equal(size_of(options->path), expected_bytes);
}

static void creates_grows_and_shrinks_as_told(void **state)
{
    struct disk_open_options options = {
        .path = file_path("made"), .write = true, .create = true, .size_bytes = 1 * MIB + 1};
    struct stat st;

    (void)state;
    open_and_close(&options, 1 * MIB + 1);
    assert_int_equal(stat(options.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_blocks, 0);
    open_and_close(&options, 1 * MIB + 1); /* is there already, and right */
    options.size_bytes = 2 * MIB;
    open_and_close(&options, 2 * MIB);
    options.size_bytes = 5;
    expect_refusal(&options, ERR_WRONG_STATE, "--create --yes");
    assert_int_equal(size_of(options.path), 2 * MIB);
    options.shrink = true;
    open_and_close(&options, 5);
    options.size_bytes = 0;
    open_and_close(&options, 0);
    /* Without create (or write) the size is not our affair. */
    options = (struct disk_open_options){.path = options.path, .size_bytes = 77};
    open_and_close(&options, 0);
    options.write = true;
    open_and_close(&options, 0);
}

static void a_name_without_a_folder_is_made_here(void **state)
{
    struct disk_open_options options = {
        .path = "here.raw", .write = true, .create = true, .size_bytes = 4096};
    char before[PATH_MAX_HERE];

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    open_and_close(&options, 4096);
    assert_int_equal(size_of(file_path("here.raw")), 4096);
    assert_int_equal(chdir(before), 0);
}

static void a_creation_that_fails_leaves_nothing(void **state)
{
    struct disk_open_options options = {
        .path = file_path("unmade"), .write = true, .create = true, .size_bytes = DISK_SIZE_MAX};

    (void)state;
    if (has_direct) { /* a real file system, whose files have an end */
        expect_refusal(&options, ERR_LIMIT, "cannot make");
        assert_int_equal(access(options.path, F_OK), -1);
    }
    options.size_bytes = DISK_SIZE_MAX + 1;
    expect_refusal(&options, ERR_LIMIT, "the limit is 1 EiB");
    options.size_bytes = UINT64_MAX;
    expect_refusal(&options, ERR_LIMIT, "the limit is 1 EiB");
    assert_int_equal(access(options.path, F_OK), -1);
    options.path = file_path("dangling");
    options.size_bytes = 4096;
    assert_int_equal(symlink("nowhere", options.path), 0);
    expect_refusal(&options, ERR_WRONG_STATE, "symbolic link to nothing");
    assert_int_equal(access(file_path("nowhere"), F_OK), -1);
}

static void an_image_is_not_opened_as_raw_unless_told(void **state)
{
    struct disk_open_options options = {
        .path = file_path("image.img"), .write = true, .create = true, .size_bytes = 4096};

    (void)state;
    make_file(options.path, 8192);
    int fd = open(options.path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "QFI\xfb", 4), 4);
    (void)close(fd);
    options.shrink = true;
    expect_refusal(&options, ERR_USAGE, "--format=qcow2");
    assert_int_equal(size_of(options.path), 8192); /* looked at before anything was changed */
    options.format = DISK_FORMAT_RAW;
    open_and_close(&options, 4096);
}

static void a_disk_in_use_is_refused_before_it_is_changed(void **state)
{
    struct disk_open_options options = {
        .path = file_path("used"), .write = true, .create = true, .shrink = true};

    (void)state;
    make_file(options.path, 8192);
    struct disk *disk = open_disk(options.path, false);
    expect_refusal(&options, ERR_WRONG_STATE, "another resilver");
    assert_int_equal(size_of(options.path), 8192);
    disk_close(disk);
    disk = open_disk(options.path, true);
    expect_refusal(&options, ERR_WRONG_STATE, "open for writing");
    options.write = false;
    expect_refusal(&options, ERR_WRONG_STATE, "snapshot");
    disk_close(disk);
    disk = open_disk(options.path, false);
    disk_close(disk);
}

static void a_mounted_device_is_no_target(void **state)
{
    struct loop loop = {.fd = -1};

    (void)state;
    if (!has_mounts) {
        skip();
    }
    const char *where = mount_ext4(&loop, file_path("backing"), 8 * MIB, "1024", false);
    if (where == NULL) {
        skip();
    }
    struct disk_open_options options = {.path = loop.path, .write = true};
    expect_refusal(&options, ERR_WRONG_STATE, "is mounted");
    struct disk *disk = open_disk(loop.path, false); /* reading it is allowed */
    disk_close(disk);
    unmount(where);
    disk = open_disk(loop.path, true);
    options.create = true;
    options.size_bytes = 16 * MIB;
    disk_close(disk);
    expect_refusal(&options, ERR_WRONG_STATE, "block device of 8388608 bytes");
    loop_detach(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_disk_is_refused),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(what_may_not_be_opened_is_named),
        cmocka_unit_test(creates_grows_and_shrinks_as_told),
        cmocka_unit_test(a_name_without_a_folder_is_made_here),
        cmocka_unit_test(a_creation_that_fails_leaves_nothing),
        cmocka_unit_test(an_image_is_not_opened_as_raw_unless_told),
        cmocka_unit_test(a_disk_in_use_is_refused_before_it_is_changed),
        cmocka_unit_test(a_mounted_device_is_no_target),
    };
    return cmocka_run_group_tests_name("medium", tests, make_folder, remove_folder);
}
