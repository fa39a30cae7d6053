/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/format.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void parses_each_name_and_no_other(void **state)
{
    (void)state;
    assert_int_equal(disk_format_parse("raw"), DISK_FORMAT_RAW);
    assert_int_equal(disk_format_parse("qcow2"), DISK_FORMAT_QCOW2);
    assert_int_equal(disk_format_parse("vhdx"), DISK_FORMAT_VHDX);
    assert_int_equal(disk_format_parse("vmdk"), DISK_FORMAT_VMDK);
    assert_int_equal(disk_format_parse("vdi"), DISK_FORMAT_VDI);
    assert_int_equal(disk_format_parse(""), DISK_FORMAT_INVALID);
    assert_int_equal(disk_format_parse("RAW"), DISK_FORMAT_INVALID);
    assert_int_equal(disk_format_parse("qcow"), DISK_FORMAT_INVALID);
    assert_int_equal(disk_format_parse("qcow2 "), DISK_FORMAT_INVALID);
}

static void names_come_back(void **state)
{
    (void)state;
    for (int format = DISK_FORMAT_RAW; format <= DISK_FORMAT_VDI; format++) {
        const char *name = disk_format_name((enum disk_format)format);
        assert_int_equal(disk_format_parse(name), format);
    }
    assert_string_equal(disk_format_name(DISK_FORMAT_INVALID), "unknown");
}

static void goes_by_the_end_of_the_file_name(void **state)
{
    (void)state;
    assert_int_equal(format_by_name("/vm/a.qcow2"), DISK_FORMAT_QCOW2);
    assert_int_equal(format_by_name("A.VHDX"), DISK_FORMAT_VHDX);
    assert_int_equal(format_by_name("x.y.vmdk"), DISK_FORMAT_VMDK);
    assert_int_equal(format_by_name("./a.vdi"), DISK_FORMAT_VDI);
    assert_int_equal(format_by_name("a.raw"), DISK_FORMAT_RAW);
    assert_int_equal(format_by_name("a.img"), DISK_FORMAT_RAW);
    assert_int_equal(format_by_name("qcow2"), DISK_FORMAT_RAW);
    assert_int_equal(format_by_name("/dev/sda"), DISK_FORMAT_RAW);
    assert_int_equal(format_by_name("/vm.qcow2/disk"), DISK_FORMAT_RAW);
    assert_int_equal(format_by_name("a.qcow2.bak"), DISK_FORMAT_RAW);
    assert_int_equal(format_by_name("a."), DISK_FORMAT_RAW);
    assert_int_equal(format_by_name(""), DISK_FORMAT_RAW);
}

static enum disk_format by_text(const char *text, size_t len_bytes)
{
    return format_by_magic((struct const_span){(const uint8_t *)text, len_bytes});
}

static void knows_the_marks(void **state)
{
    uint8_t vdi[FORMAT_HEAD_BYTES] = "<<< some image >>>\n";
    const uint8_t mark[4] = {0x7f, 0x10, 0xda, 0xbe};

    (void)state;
    memcpy(vdi + 64, mark, sizeof mark);
    assert_int_equal(by_text("QFI\xfb\0\0\0\3", 8), DISK_FORMAT_QCOW2);
    assert_int_equal(by_text("vhdxfile\0", 9), DISK_FORMAT_VHDX);
    assert_int_equal(by_text("KDMV\1\0\0\0", 8), DISK_FORMAT_VMDK);
    assert_int_equal(by_text("# Disk DescriptorFile\nversion=1\n", 32), DISK_FORMAT_VMDK);
    assert_int_equal(format_by_magic((struct const_span){vdi, sizeof vdi}), DISK_FORMAT_VDI);
    assert_int_equal(format_by_magic((struct const_span){vdi, 68}), DISK_FORMAT_VDI);
}

static void sees_no_mark_where_none_is(void **state)
{
    uint8_t vdi[67] = {0};
    const uint8_t mark[3] = {0x7f, 0x10, 0xda};

    (void)state;
    memcpy(vdi + 64, mark, sizeof mark);
    assert_int_equal(format_by_magic((struct const_span){vdi, sizeof vdi}), DISK_FORMAT_RAW);
    assert_int_equal(format_by_magic((struct const_span){NULL, 0}), DISK_FORMAT_RAW);
    assert_int_equal(by_text("QFI", 3), DISK_FORMAT_RAW);
    assert_int_equal(by_text(" QFI\xfb", 5), DISK_FORMAT_RAW);
    assert_int_equal(by_text("vhdxfil", 7), DISK_FORMAT_RAW);
    assert_int_equal(by_text("# Disk Descriptor", 17), DISK_FORMAT_RAW);
}

/* What `qemu-img create` makes; false: it is not installed or cannot make that. */
static bool make_image(const char *path, const char *format, const char *options)
{
    pid_t pid = fork();
    int status = -1;

    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        execlp("qemu-img", "qemu-img", "create", "-f", format, "-o", options, path, "1M",
               (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static const struct {
    const char *format;
    const char *options;
    enum disk_format expected;
} images[] = {
    {"qcow2", "compat=1.1", DISK_FORMAT_QCOW2},
    {"qcow2", "compat=0.10", DISK_FORMAT_QCOW2},
    {"vhdx", "subformat=dynamic", DISK_FORMAT_VHDX},
    {"vmdk", "subformat=monolithicSparse", DISK_FORMAT_VMDK},
    {"vmdk", "subformat=monolithicFlat", DISK_FORMAT_VMDK},
    {"vmdk", "subformat=streamOptimized", DISK_FORMAT_VMDK},
    {"vdi", "static=off", DISK_FORMAT_VDI},
    {"raw", "preallocation=off", DISK_FORMAT_RAW},
};

static void expect_refused(const char *path, enum disk_format format)
{
    char head[FORMAT_HEAD_BYTES];
    struct disk *disk = NULL;
    struct error err = {0};
    struct disk_open_options options = {.path = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    ssize_t got = read(fd, head, sizeof head);
    assert_true(got > 0);
    assert_int_equal(by_text(head, (size_t)got), format);
    (void)close(fd);
    if (format != DISK_FORMAT_RAW) {
        assert_int_equal(disk_open_file(&options, &disk, &err), -1);
        assert_int_equal(err.kind, ERR_USAGE);
        assert_non_null(strstr(err.message, path));
        assert_non_null(strstr(err.message, disk_format_name(format)));
        assert_non_null(strstr(err.message, "--format=raw"));
        assert_null(disk);
    }
    options.format = DISK_FORMAT_RAW;
    assert_int_equal(disk_open_file(&options, &disk, &err), 0);
    disk_close(disk);
}

static void refuses_images_that_are_not_named_as_such(void **state)
{
    char folder[] = "/var/tmp/disk_format_test.XXXXXX";
    char path[128];
    char flat[128];

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/disk.img", folder);
    (void)snprintf(flat, sizeof flat, "%s/disk-flat.img", folder);
    bool is_there = make_image(path, "raw", "preallocation=off");
    for (size_t i = 0; is_there && i < ARRAY_COUNT(images); i++) {
        assert_true(make_image(path, images[i].format, images[i].options));
        expect_refused(path, images[i].expected);
    }
    (void)unlink(path);
    (void)unlink(flat);
    (void)rmdir(folder);
    if (!is_there) {
        skip(); /* no qemu-img */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_each_name_and_no_other),
        cmocka_unit_test(names_come_back),
        cmocka_unit_test(goes_by_the_end_of_the_file_name),
        cmocka_unit_test(knows_the_marks),
        cmocka_unit_test(sees_no_mark_where_none_is),
        cmocka_unit_test(refuses_images_that_are_not_named_as_such),
    };
    return cmocka_run_group_tests_name("disk_format", tests, NULL, NULL);
}
