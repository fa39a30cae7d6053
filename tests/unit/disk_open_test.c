/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/disk.h"

#include "disk_drive.h"

static char folder[DRIVE_PATH_MAX];

static int make_folder(void **state)
{
    (void)state;
    drive_temporary(folder, sizeof folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    drive_remove(folder);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[2 * DRIVE_PATH_MAX];
    int used = snprintf(path, sizeof path, "%s/%s", folder, name);

    assert_in_range(used, 1, sizeof path - 1);
    return path;
}

static void make_image(const char *path, const char *head, uint64_t size_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
    assert_int_equal(write(fd, head, strlen(head)), strlen(head));
    (void)close(fd);
}

static void expect_refusal(const struct disk_open_options *options, enum error_kind kind,
                           const char *words)
{
    struct disk *disk = NULL;
    struct error err = {0};

    assert_int_equal(disk_open(options, &disk, &err), -1);
    if (err.kind != kind || strstr(err.message, words) == NULL) {
        fail_msg("kind %s, \"%s\"", error_kind_name(err.kind), err.message);
    }
    assert_string_equal(err.disk, options->path);
    assert_null(disk);
}

static void a_name_without_an_ending_is_a_raw_file(void **state)
{
    struct disk_open_options options = {.path = path_of("disk")};
    struct disk *disk = NULL;
    struct error err = {0};

    (void)state;
    make_image(options.path, "", 12345);
    assert_int_equal(disk_open(&options, &disk, &err), 0);
    assert_string_equal(disk->ops->name, "file");
    assert_string_equal(disk->name, options.path);
    assert_int_equal(disk->size_bytes, 12345);
    disk_close(disk);
}

static void a_mark_that_the_name_does_not_tell_of_is_refused(void **state)
{
    struct disk_open_options options = {.path = path_of("disk.img")};

    (void)state;
    make_image(options.path, "QFI\xfb", 65536);
    expect_refusal(&options, ERR_USAGE, "--format=qcow2");
    make_image(options.path, "vhdxfile", 65536);
    expect_refusal(&options, ERR_USAGE, "--format=vhdx");
}

static void a_format_that_is_named_counts_more_than_the_name(void **state)
{
    struct disk_open_options options = {.path = path_of("disk.qcow2"), .format = DISK_FORMAT_RAW};
    struct disk *disk = NULL;
    struct error err = {0};

    (void)state;
    make_image(options.path, "QFI\xfb", 65536);
    assert_int_equal(disk_open(&options, &disk, &err), 0);
    assert_string_equal(disk->ops->name, "file");
    disk_close(disk);
}

static void a_missing_disk_is_named(void **state)
{
    struct disk_open_options options = {.path = path_of("missing.raw")};

    (void)state;
    expect_refusal(&options, ERR_IO, "does not exist");
}

static void an_nbd_export_has_no_format(void **state)
{
    struct disk_open_options options = {.path = "nbd+unix:///?socket=/nonexistent/socket",
                                        .format = DISK_FORMAT_QCOW2};

    (void)state;
    expect_refusal(&options, ERR_USAGE, "always raw");
}

static void an_nbd_export_that_is_not_served_is_an_error(void **state)
{
    struct disk *disk = NULL;
    struct error err = {0};
    struct disk_open_options options = {.path = "nbd+unix:///?socket=/nonexistent/socket"};

    (void)state;
    assert_int_equal(disk_open(&options, &disk, &err), -1);
    assert_string_equal(err.disk, options.path);
    assert_null(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_without_an_ending_is_a_raw_file),
        cmocka_unit_test(a_mark_that_the_name_does_not_tell_of_is_refused),
        cmocka_unit_test(a_format_that_is_named_counts_more_than_the_name),
        cmocka_unit_test(a_missing_disk_is_named),
        cmocka_unit_test(an_nbd_export_has_no_format),
        cmocka_unit_test(an_nbd_export_that_is_not_served_is_an_error),
    };

    return cmocka_run_group_tests_name("disk_open", tests, make_folder, remove_folder);
}
