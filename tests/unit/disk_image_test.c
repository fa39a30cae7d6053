/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/disk.h"

#include "disk_drive.h"

#include <dirent.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define SIZE (8 * MIB)
#define SEED 11

static char dir[DRIVE_PATH_MAX];
static char runtime_dir[DRIVE_PATH_MAX + 16];

static const struct {
    enum disk_format format;
    const char *name;
} formats[] = {
    {DISK_FORMAT_QCOW2, "qcow2"},
    {DISK_FORMAT_VHDX, "vhdx"},
    {DISK_FORMAT_VMDK, "vmdk"},
    {DISK_FORMAT_VDI, "vdi"},
};

struct name {
    char text[DRIVE_PATH_MAX + 128];
};

static struct name in_dir(const char *name)
{
    struct name path;

    (void)snprintf(path.text, sizeof path.text, "%s/%s", dir, name);
    return path;
}

static int setup(void **state)
{
    (void)state;
    drive_temporary(dir, sizeof dir);
    (void)snprintf(runtime_dir, sizeof runtime_dir, "%s/run", dir);
    assert_int_equal(mkdir(runtime_dir, 0700), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", runtime_dir, 1), 0);
    return 0;
}

static unsigned entries_in(const char *path)
{
    DIR *stream = opendir(path);
    unsigned count = 0;

    assert_non_null(stream);
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(stream);
    return count;
}

/* After every test: no child of ours is left, not even a zombie, and no private directory. */
static int teardown(void **state)
{
    (void)state;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(entries_in(runtime_dir), 0);
    drive_remove(dir);
    return 0;
}

/* --- opening --------------------------------------------------------------------------------- */

static struct disk *open_with(const struct disk_open_options *options, enum disk_format format)
{
    struct disk *disk = NULL;
    struct error err = {.kind = ERR_NONE};

    int result = disk_open_image(options, format, &disk, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(result, 0);
    assert_int_equal(entries_in(runtime_dir), 0); /* gone as soon as we are connected */
    assert_string_equal(disk->ops->name, disk_format_name(format));
    assert_string_equal(disk->name, options->path);
    return disk;
}

static struct disk *open_image(const char *path, enum disk_format format, bool write)
{
    struct disk_open_options options = {.path = path, .write = write};

    return open_with(&options, format);
}

static struct disk *create_image(const char *path, enum disk_format format, uint64_t size_bytes)
{
    struct disk_open_options options = {
        .path = path, .write = true, .create = true, .size_bytes = size_bytes};

    return open_with(&options, format);
}

static void refused_with(const struct disk_open_options *options, enum disk_format format,
                         enum error_kind kind, const char *words)
{
    struct disk *disk = NULL;
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(disk_open_image(options, format, &disk, &err), -1);
    assert_null(disk);
    if (err.kind != kind || strstr(err.message, words) == NULL ||
        strstr(err.message, options->path) == NULL) {
        print_error("%s: %s\n", error_kind_name(err.kind), err.message);
    }
    assert_int_equal(err.kind, kind);
    assert_non_null(strstr(err.message, words));
    assert_non_null(strstr(err.message, options->path));
}

static void refused(const char *path, enum disk_format format, bool write, enum error_kind kind,
                    const char *words)
{
    struct disk_open_options options = {.path = path, .write = write};

    refused_with(&options, format, kind, words);
}

/* --- oracles --------------------------------------------------------------------------------- */

static void write_raw(const char *path, uint64_t size_bytes, uint64_t seed)
{
    struct span data = drive_buffer(MIB);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    for (uint64_t at = 0; at < size_bytes; at += MIB) {
        size_t len_bytes = size_bytes - at < MIB ? (size_t)(size_bytes - at) : MIB;
        drive_fill((struct span){data.at, len_bytes}, at, seed);
        assert_int_equal(pwrite(fd, data.at, len_bytes, (off_t)at), (ssize_t)len_bytes);
    }
    assert_int_equal(close(fd), 0);
    free(data.at);
}

static void convert(const char *from, const char *from_format, const char *to,
                    const char *to_format)
{
    assert_int_equal(DRIVE_RUN("qemu-img", "convert", "-f", (char *)from_format, "-O",
                               (char *)to_format, (char *)from, (char *)to),
                     0);
}

static bool images_equal(const char *a, const char *a_format, const char *b, const char *b_format)
{
    return DRIVE_RUN("qemu-img", "compare", "-f", (char *)a_format, "-F", (char *)b_format,
                     (char *)a, (char *)b) == 0;
}

static void expect(struct disk *disk, uint64_t offset_bytes, uint64_t len_bytes, uint64_t seed)
{
    struct span data = drive_buffer(MIB);

    for (uint64_t done = 0; done < len_bytes; done += MIB) {
        uint64_t left = len_bytes - done;
        struct span part = {data.at, left < MIB ? (size_t)left : MIB};
        assert_int_equal(drive_data(disk, DISK_READ, offset_bytes + done, part), 0);
        assert_true(drive_matches(part, offset_bytes + done, seed));
    }
    free(data.at);
}

static void put(struct disk *disk, uint64_t offset_bytes, uint64_t len_bytes, uint64_t seed)
{
    struct span data = drive_buffer(MIB);

    for (uint64_t done = 0; done < len_bytes; done += MIB) {
        uint64_t left = len_bytes - done;
        struct span part = {data.at, left < MIB ? (size_t)left : MIB};
        drive_fill(part, offset_bytes + done, seed);
        assert_int_equal(drive_data(disk, DISK_WRITE, offset_bytes + done, part), 0);
    }
    free(data.at);
}

/* --- reading and writing --------------------------------------------------------------------- */

static void reads_what_qemu_wrote(void **state)
{
    (void)state;
    struct name raw = in_dir("raw");
    uint64_t size_bytes = SIZE + 512 * 3;

    write_raw(raw.text, size_bytes, SEED);
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        struct name image = in_dir(formats[i].name);
        convert(raw.text, "raw", image.text, formats[i].name);
        struct disk *disk = open_image(image.text, formats[i].format, false);
        assert_int_equal(disk->size_bytes, size_bytes);
        assert_false(disk->is_writable);
        expect(disk, 0, size_bytes, SEED);
        assert_int_equal(drive_zero(disk, 0, 4096), EROFS);
        disk_close(disk);
        assert_true(images_equal(raw.text, "raw", image.text, formats[i].name));
    }
}

static void writes_what_qemu_reads(void **state)
{
    (void)state;
    struct name raw = in_dir("raw");
    uint64_t size_bytes = SIZE + 512 * 3;

    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        struct name image = in_dir(formats[i].name);
        write_raw(raw.text, size_bytes, SEED);
        struct disk *disk = create_image(image.text, formats[i].format, size_bytes);
        assert_true(disk->is_writable);
        put(disk, 0, size_bytes, SEED);
        assert_int_equal(drive_zero(disk, 2 * MIB, 3 * MIB + 512), 0);
        assert_int_equal(drive_flush(disk), 0);
        struct span data = drive_buffer(4096);
        assert_int_equal(drive_data(disk, DISK_READ_MEDIUM, MIB, data), 0);
        assert_true(drive_matches(data, MIB, SEED));
        free(data.at);
        disk_close(disk);
        assert_int_equal(DRIVE_RUN("qemu-io", "-f", "raw", "-c", "write -z 2M 3146240", raw.text),
                         0);
        assert_true(images_equal(raw.text, "raw", image.text, formats[i].name));
    }
}

static void knows_the_holes_of_a_qcow2_image(void **state)
{
    (void)state;
    struct name image = in_dir("i.qcow2");
    struct disk *disk = create_image(image.text, DISK_FORMAT_QCOW2, 64 * MIB);

    put(disk, MIB, MIB, SEED);
    assert_int_equal(drive_flush(disk), 0);
    assert_int_equal(drive_zero_bytes(disk, 0, 64 * MIB), 63 * MIB);
    /* Zeros free the space that the data had. */
    assert_int_equal(drive_zero(disk, MIB, MIB), 0);
    assert_int_equal(drive_flush(disk), 0);
    assert_int_equal(drive_zero_bytes(disk, 0, 64 * MIB), 64 * MIB);
    disk_close(disk);
    struct stat status;
    assert_int_equal(stat(image.text, &status), 0);
    assert_true((uint64_t)status.st_blocks * 512 < MIB);
}

static void opens_difficult_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a,b=c 'd' \"e\" \\f }: g.qcow2", "nbd:h.qcow2", "-o.qcow2", "json:{}", "fat:rw:x",
        "\xc3\xa9\xf0\x9f\x92\xbe.qcow2"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct name image = in_dir(names[i]);
        struct disk *disk = create_image(image.text, DISK_FORMAT_QCOW2, SIZE);
        put(disk, 0, 4096, SEED);
        disk_close(disk);
        disk = open_image(image.text, DISK_FORMAT_QCOW2, false);
        expect(disk, 0, 4096, SEED);
        disk_close(disk);
    }
    struct name latin = in_dir("\xe9.qcow2");
    struct disk_open_options options = {
        .path = latin.text, .write = true, .create = true, .size_bytes = SIZE};
    struct disk *disk = NULL;
    struct error err = {.kind = ERR_NONE};
    assert_int_equal(disk_open_image(&options, DISK_FORMAT_QCOW2, &disk, &err), -1);
    assert_non_null(strstr(err.message, "UTF-8"));
    assert_int_equal(access(latin.text, F_OK), -1);
}

static void opens_a_relative_path(void **state)
{
    (void)state;
    char *before = getcwd(NULL, 0);

    assert_non_null(before);
    assert_int_equal(chdir(dir), 0);
    struct disk *disk = create_image("nbd:x.qcow2", DISK_FORMAT_QCOW2, SIZE);
    disk_close(disk);
    assert_int_equal(chdir(before), 0);
    free(before);
    assert_int_equal(access(in_dir("nbd:x.qcow2").text, F_OK), 0);
}

/* --- backing chains -------------------------------------------------------------------------- */

static void make_overlay(const char *path, const char *format, const char *backing,
                         const char *backing_format)
{
    assert_int_equal(DRIVE_RUN("qemu-img", "create", "-q", "-f", (char *)format, "-b",
                               (char *)backing, "-F", (char *)backing_format, (char *)path),
                     0);
}

static void reads_a_chain_of_images(void **state)
{
    (void)state;
    struct name base = in_dir("base,1.raw");
    struct name middle = in_dir("middle.qcow2");
    struct name top = in_dir("top.qcow2");

    write_raw(base.text, SIZE, SEED);
    make_overlay(middle.text, "qcow2", "base,1.raw", "raw"); /* relative to the overlay */
    assert_int_equal(DRIVE_RUN("qemu-io", "-f", "qcow2", "-c", "write -P 0x55 1M 64k", middle.text),
                     0);
    make_overlay(top.text, "qcow2", middle.text, "qcow2");
    struct disk *disk = open_image(top.text, DISK_FORMAT_QCOW2, false);
    expect(disk, 0, MIB, SEED);
    expect(disk, MIB + 64 * KIB, SIZE - MIB - 64 * KIB, SEED);
    struct span data = drive_buffer(64 * KIB);
    assert_int_equal(drive_data(disk, DISK_READ, MIB, data), 0);
    assert_int_equal(data.at[0], 0x55);
    assert_int_equal(data.at[64 * KIB - 1], 0x55);
    free(data.at);
    disk_close(disk);
}

static void writes_only_to_the_top_of_a_chain(void **state)
{
    (void)state;
    struct name base = in_dir("base.raw");
    struct name copy = in_dir("copy.raw");
    struct name top = in_dir("top.qcow2");

    write_raw(base.text, SIZE, SEED);
    write_raw(copy.text, SIZE, SEED);
    make_overlay(top.text, "qcow2", "base.raw", "raw");
    struct disk *disk = open_image(top.text, DISK_FORMAT_QCOW2, true);
    put(disk, MIB, MIB, SEED + 1);
    assert_int_equal(drive_zero(disk, 4 * MIB, MIB), 0);
    assert_int_equal(drive_flush(disk), 0);
    expect(disk, 0, MIB, SEED);
    expect(disk, MIB, MIB, SEED + 1);
    assert_int_equal(drive_zero_bytes(disk, 4 * MIB, MIB), MIB);
    disk_close(disk);
    assert_int_equal(DRIVE_RUN("cmp", base.text, copy.text), 0);
}

static void reads_a_vmdk_chain(void **state)
{
    (void)state;
    struct name raw = in_dir("raw");
    struct name base = in_dir("base.vmdk");
    struct name top = in_dir("top.vmdk");

    write_raw(raw.text, SIZE, SEED);
    convert(raw.text, "raw", base.text, "vmdk");
    make_overlay(top.text, "vmdk", base.text, "vmdk");
    struct disk *disk = open_image(top.text, DISK_FORMAT_VMDK, false);
    expect(disk, 0, SIZE, SEED);
    disk_close(disk);
}

/*
 * Turns the header extension that names the backing format into an unknown one, which is passed
 * over: images of older programs look like that. Source: QEMU docs/interop/qcow2.txt.
 */
static void forget_backing_format(const char *path)
{
    static const uint8_t mark[4] = {0xe2, 0x79, 0x2a, 0xca};
    uint8_t header[4096];
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_int_equal(pread(fd, header, sizeof header, 0), sizeof header);
    uint8_t *found = memmem(header, sizeof header, mark, sizeof mark);
    assert_non_null(found);
    assert_int_equal(pwrite(fd, "\1\2\3\4", 4, found - header), 4);
    (void)close(fd);
}

static void refuses_a_chain_that_is_not_sound(void **state)
{
    (void)state;
    struct name base = in_dir("base.raw");
    struct name top = in_dir("top.qcow2");
    struct name ring = in_dir("ring.qcow2");

    write_raw(base.text, SIZE, SEED);
    make_overlay(top.text, "qcow2", base.text, "raw");
    /* No format: QEMU would guess it by the bytes that the guest of base.raw wrote. */
    forget_backing_format(top.text);
    refused(top.text, DISK_FORMAT_QCOW2, false, ERR_USAGE, "does not say of which format");

    make_overlay(ring.text, "qcow2", base.text, "raw");
    assert_int_equal(DRIVE_RUN("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", ring.text, "-F",
                               "qcow2", ring.text),
                     0);
    refused(ring.text, DISK_FORMAT_QCOW2, false, ERR_LIMIT, "ring");

    assert_int_equal(DRIVE_RUN("qemu-img", "rebase", "-u", "-f", "qcow2", "-b",
                               "nbd://localhost:1/x", "-F", "raw", top.text),
                     0);
    refused(top.text, DISK_FORMAT_QCOW2, false, ERR_USAGE, "not a file of this host");

    make_overlay(ring.text, "qcow2", base.text, "raw");
    assert_int_equal(unlink(base.text), 0);
    struct disk_open_options options = {.path = ring.text};
    struct disk *disk = NULL;
    struct error err = {.kind = ERR_NONE};
    assert_int_equal(disk_open_image(&options, DISK_FORMAT_QCOW2, &disk, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_non_null(strstr(err.message, base.text));
}

static void refuses_an_external_data_file(void **state)
{
    (void)state;
    struct name image = in_dir("i.qcow2");
    struct name option = in_dir("data.raw");
    char text[sizeof option.text + 32];

    (void)snprintf(text, sizeof text, "data_file=%s", option.text);
    assert_int_equal(
        DRIVE_RUN("qemu-img", "create", "-q", "-f", "qcow2", "-o", text, image.text, "8M"), 0);
    refused(image.text, DISK_FORMAT_QCOW2, false, ERR_USAGE, "another file");
}

/* --- what is not an image, or in use --------------------------------------------------------- */

static void refuses_what_is_not_an_image(void **state)
{
    (void)state;
    struct name qcow2 = in_dir("really-qcow2");
    struct name text = in_dir("text");
    struct name fifo = in_dir("fifo");

    assert_int_equal(DRIVE_RUN("qemu-img", "create", "-q", "-f", "qcow2", qcow2.text, "8M"), 0);
    write_raw(text.text, MIB, SEED);
    assert_int_equal(mkfifo(fifo.text, 0600), 0);
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        refused(text.text, formats[i].format, false, ERR_USAGE, formats[i].name);
        refused(dir, formats[i].format, i % 2 == 0, ERR_USAGE, "is a directory");
        refused(fifo.text, formats[i].format, false, ERR_USAGE, "neither a file");
        refused(in_dir("none").text, formats[i].format, false, ERR_IO,
                "does not exist; check its name");
        refused(in_dir("none").text, formats[i].format, true, ERR_IO, "--create");
        if (formats[i].format != DISK_FORMAT_QCOW2) {
            refused(qcow2.text, formats[i].format, true, ERR_USAGE, "--format=qcow2");
        }
    }
    refused(text.text, DISK_FORMAT_RAW, false, ERR_INTERNAL, "image format");
}

static struct helper *hold_for_writing(const char *path, char *format, char *socket_path)
{
    char *const argv[] = {"qemu-nbd", "--persistent", "-f",         format,
                          "-k",       socket_path,    (char *)path, NULL};
    struct helper *helper = NULL;
    struct error err = {.kind = ERR_NONE};

    int result = helper_start(argv, socket_path, NULL, &helper, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(result, 0);
    return helper;
}

static void refuses_an_image_in_use(void **state)
{
    (void)state;
    struct name socket_path = in_dir("s");

    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        struct name image = in_dir(formats[i].name);
        disk_close(create_image(image.text, formats[i].format, SIZE));
        struct helper *user =
            hold_for_writing(image.text, (char *)formats[i].name, socket_path.text);
        struct disk_open_options options = {.path = image.text, .write = true, .create = true};
        options.size_bytes = SIZE * 2;
        refused(image.text, formats[i].format, false, ERR_WRONG_STATE, "in use by a VM");
        refused(image.text, formats[i].format, true, ERR_WRONG_STATE, "in use by a VM");
        refused_with(&options, formats[i].format, ERR_WRONG_STATE, "in use by a VM");
        assert_true(helper_is_running(user));
        helper_end(user);
        disk_close(open_image(image.text, formats[i].format, true));
    }
}

static bool can_be_opened_for_writing(const char *path, char *format)
{
    char *const argv[] = {"qemu-io", "-f", format, "-c", "quit", (char *)path, NULL};
    struct helper_result result = {.output = NULL};

    assert_int_equal(helper_run(argv, 20, &result, NULL), 0);
    assert_true(result.exit_status == 0 || strstr(result.reason, "\"write\" lock") != NULL);
    helper_result_done(&result);
    return result.exit_status == 0;
}

/* While we are at work, no VM may start on the image, nor on a raw one behind it. */
static void keeps_writers_away(void **state)
{
    (void)state;
    struct name base = in_dir("base.raw");
    struct name socket_path = in_dir("s");

    write_raw(base.text, SIZE, SEED);
    struct name top = in_dir("top.qcow2");
    make_overlay(top.text, "qcow2", base.text, "raw");
    for (int write = 0; write < 2; write++) {
        struct disk *disk = open_image(top.text, DISK_FORMAT_QCOW2, write != 0);
        assert_false(can_be_opened_for_writing(top.text, "qcow2"));
        assert_false(can_be_opened_for_writing(base.text, "raw"));
        disk_close(disk);
        assert_true(can_be_opened_for_writing(top.text, "qcow2"));
        assert_true(can_be_opened_for_writing(base.text, "raw"));
    }
    struct helper *user = hold_for_writing(base.text, "raw", socket_path.text);
    struct disk_open_options options = {.path = top.text};
    struct disk *disk = NULL;
    struct error err = {.kind = ERR_NONE};
    assert_int_equal(disk_open_image(&options, DISK_FORMAT_QCOW2, &disk, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_non_null(strstr(err.message, base.text));
    helper_end(user);
}

/* An image in a block device, which is claimed while it is a target. */
static void writes_to_an_image_in_a_block_device(void **state)
{
    (void)state;
    struct name file = in_dir("device");
    struct helper_result result = {.output = NULL};

    assert_int_equal(DRIVE_RUN("truncate", "-s", "32M", file.text), 0);
    char *const attach[] = {"losetup", "--find", "--show", file.text, NULL};
    if (getuid() != 0 || drive_program(attach, &result) != 0) {
        helper_result_done(&result);
        skip(); /* needs root and a loop device */
    }
    char *device = result.output;
    device[strcspn(device, "\n")] = '\0';
    int status = DRIVE_RUN("qemu-img", "create", "-q", "-f", "qcow2", device, "8M");
    struct disk *disk = open_image(device, DISK_FORMAT_QCOW2, true);
    put(disk, 0, 3 * MIB, SEED);
    assert_int_equal(drive_flush(disk), 0);
    int claimed = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
    disk_close(disk);
    int claim = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
    refused(device, DISK_FORMAT_QCOW2, true, ERR_WRONG_STATE, "mounted");
    disk = open_image(device, DISK_FORMAT_QCOW2, false);
    expect(disk, 0, 3 * MIB, SEED);
    disk_close(disk);
    (void)close(claim);
    assert_int_equal(DRIVE_RUN("losetup", "--detach", device), 0);
    assert_int_equal(status, 0);
    assert_int_equal(claimed, -1);
    assert_true(claim >= 0);
    helper_result_done(&result);
}

/* --- making and resizing --------------------------------------------------------------------- */

static uint64_t size_of(const char *path, enum disk_format format)
{
    struct disk *disk = open_image(path, format, false);
    uint64_t size_bytes = disk->size_bytes;

    disk_close(disk);
    return size_bytes;
}

static void makes_images_of_exactly_the_size(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {512, 4096, MIB + 512, 10 * MIB, 5 * GIB + 1536};

    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        for (size_t k = 0; k < ARRAY_COUNT(sizes); k++) {
            struct name image = in_dir(formats[i].name);
            disk_close(create_image(image.text, formats[i].format, sizes[k]));
            assert_int_equal(size_of(image.text, formats[i].format), sizes[k]);
            struct stat status;
            assert_int_equal(stat(image.text, &status), 0);
            assert_int_equal(status.st_mode & 0777, 0600);
            assert_int_equal(unlink(image.text), 0);
        }
    }
}

static void refuses_sizes_that_an_image_cannot_have(void **state)
{
    (void)state;
    struct name image = in_dir("i");
    struct disk_open_options options = {
        .path = image.text, .write = true, .create = true, .size_bytes = MIB + 1};

    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        refused_with(&options, formats[i].format, ERR_WRONG_STATE, "multiple of 512; use a raw");
        assert_int_equal(access(image.text, F_OK), -1);
    }
}

static void an_image_that_cannot_be_made_leaves_nothing(void **state)
{
    (void)state;
    struct name image = in_dir("i");
    struct name missing = in_dir("none/i");
    struct disk_open_options too_large = {
        .path = image.text, .write = true, .create = true, .size_bytes = 1ULL << 62};
    struct disk_open_options elsewhere = {
        .path = missing.text, .write = true, .create = true, .size_bytes = SIZE};
    struct disk *disk = NULL;
    struct error err = {.kind = ERR_NONE};

    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        assert_int_equal(disk_open_image(&too_large, formats[i].format, &disk, &err), -1);
        assert_non_null(strstr(err.message, image.text));
        assert_int_equal(access(image.text, F_OK), -1);
        refused_with(&elsewhere, formats[i].format, ERR_IO, "No such file");
    }
    /* It is made, and then there is nothing to serve it. */
    char *path_before = strdup(getenv("PATH"));
    struct name bin = in_dir("bin");
    assert_int_equal(mkdir(bin.text, 0700), 0);
    assert_int_equal(symlink("/usr/bin/qemu-img", in_dir("bin/qemu-img").text), 0);
    assert_int_equal(setenv("PATH", bin.text, 1), 0);
    struct disk_open_options good = {
        .path = image.text, .write = true, .create = true, .size_bytes = SIZE};
    refused_with(&good, DISK_FORMAT_QCOW2, ERR_IO, "install qemu-system-common or qemu-utils");
    assert_int_equal(access(image.text, F_OK), -1);
    assert_int_equal(unlink(in_dir("bin/qemu-img").text), 0);
    refused_with(&good, DISK_FORMAT_QCOW2, ERR_IO, "install qemu-utils");
    assert_int_equal(access(image.text, F_OK), -1);
    assert_int_equal(setenv("PATH", path_before, 1), 0);
    free(path_before);
}

static void resizes_qcow2_and_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        struct name image = in_dir(formats[i].name);
        struct disk *disk = create_image(image.text, formats[i].format, SIZE);
        put(disk, 0, SIZE, SEED);
        disk_close(disk);
        struct disk_open_options larger = {
            .path = image.text, .write = true, .create = true, .size_bytes = SIZE * 2};
        struct disk_open_options smaller = larger;
        struct disk_open_options cut = larger;
        smaller.size_bytes = SIZE / 2;
        cut.size_bytes = SIZE / 2;
        cut.shrink = true;
        refused_with(&smaller, formats[i].format, ERR_WRONG_STATE, "only with --create --yes");
        if (formats[i].format != DISK_FORMAT_QCOW2) {
            refused_with(&larger, formats[i].format, ERR_WRONG_STATE, "cannot be resized");
            refused_with(&cut, formats[i].format, ERR_WRONG_STATE, "cannot be resized");
            assert_int_equal(size_of(image.text, formats[i].format), SIZE);
            continue;
        }
        disk = open_with(&larger, formats[i].format);
        assert_int_equal(disk->size_bytes, SIZE * 2);
        expect(disk, 0, SIZE, SEED);
        assert_int_equal(drive_zero_bytes(disk, SIZE, SIZE), SIZE);
        disk_close(disk);
        refused_with(&smaller, formats[i].format, ERR_WRONG_STATE, "only with --create --yes");
        disk = open_with(&cut, formats[i].format);
        assert_int_equal(disk->size_bytes, SIZE / 2);
        expect(disk, 0, SIZE / 2, SEED);
        disk_close(disk);
    }
}

/* --- the helper ------------------------------------------------------------------------------ */

/* The one child that this process has. */
static int find_child(char *name, size_t size_bytes)
{
    char path[64];
    int process_id = 0;

    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &process_id), 1);
    (void)fclose(file);
    (void)snprintf(path, sizeof path, "/proc/%d/comm", process_id);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(name, (int)size_bytes, file));
    (void)fclose(file);
    return process_id;
}

#define MANY 40U

static void a_killed_helper_fails_every_request_once(void **state)
{
    (void)state;
    struct name image = in_dir("i.qcow2");
    struct disk *disk = create_image(image.text, DISK_FORMAT_QCOW2, MANY * MIB);
    static struct disk_request requests[MANY];
    char name[32];
    int child = find_child(name, sizeof name);
    int pidfd = pidfd_open(child, 0);
    unsigned failed = 0;

    put(disk, 0, MIB, SEED);
    assert_int_equal(kill(child, SIGSTOP), 0); /* so that it answers nothing any more */
    for (uint32_t i = 0; i < MANY; i++) {
        requests[i] = (struct disk_request){
            .op = DISK_WRITE, .slot = i, .offset_bytes = i * MIB, .data = drive_buffer(MIB)};
        disk_submit(disk, &requests[i]);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    struct pollfd watch = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&watch, 1, 10000), 1);
    for (uint32_t i = 0; i < MANY; i++) {
        failed += drive_reap(disk)->errnum == ENOTCONN;
    }
    assert_int_equal(failed, MANY);
    assert_null(disk_reap(disk));
    assert_int_equal(drive_flush(disk), ENOTCONN);
    disk_close(disk);
    (void)close(pidfd);
    for (uint32_t i = 0; i < MANY; i++) {
        free(requests[i].data.at);
    }
    disk_close(open_image(image.text, DISK_FORMAT_QCOW2, true)); /* its locks went with it */
}

static void uses_qemu_nbd_where_the_storage_daemon_is_missing(void **state)
{
    (void)state;
    struct name bin = in_dir("bin");
    char *before = strdup(getenv("PATH"));
    char name[32];

    assert_int_equal(mkdir(bin.text, 0700), 0);
    assert_int_equal(symlink("/usr/bin/qemu-img", in_dir("bin/qemu-img").text), 0);
    assert_int_equal(symlink("/usr/bin/qemu-nbd", in_dir("bin/qemu-nbd").text), 0);
    assert_int_equal(setenv("PATH", bin.text, 1), 0);
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        struct name image = in_dir("a,b 'c' ");
        struct disk *disk = create_image(image.text, formats[i].format, SIZE);
        (void)find_child(name, sizeof name);
        assert_string_equal(name, "qemu-nbd\n");
        put(disk, 0, 3 * MIB, SEED);
        assert_int_equal(drive_zero(disk, MIB, MIB), 0);
        assert_int_equal(drive_flush(disk), 0);
        disk_close(disk);
        disk = open_image(image.text, formats[i].format, false);
        expect(disk, 0, MIB, SEED);
        expect(disk, 2 * MIB, MIB, SEED);
        if (formats[i].format == DISK_FORMAT_QCOW2) {
            assert_int_equal(drive_zero_bytes(disk, MIB, MIB), MIB);
        }
        disk_close(disk);
        assert_int_equal(unlink(image.text), 0);
    }
    assert_int_equal(setenv("PATH", before, 1), 0);
    free(before);
    struct disk *disk = create_image(in_dir("i.qcow2").text, DISK_FORMAT_QCOW2, SIZE);
    (void)find_child(name, sizeof name);
    assert_string_equal(name, "qemu-storage-da\n");
    disk_close(disk);
}

static void works_without_a_usable_runtime_directory(void **state)
{
    (void)state;
    struct name image = in_dir("i.qcow2");
    struct name deep = in_dir("a-directory-whose-name-is-so-long-that-no-socket-fits-into-it-any-"
                              "more-because-they-have-108-bytes");

    assert_int_equal(mkdir(deep.text, 0700), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", deep.text, 1), 0);
    disk_close(create_image(image.text, DISK_FORMAT_QCOW2, SIZE));
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "relative", 1), 0);
    disk_close(open_image(image.text, DISK_FORMAT_QCOW2, false));
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
    disk_close(open_image(image.text, DISK_FORMAT_QCOW2, false));
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(reads_what_qemu_wrote),
        WITH_DIR(writes_what_qemu_reads),
        WITH_DIR(knows_the_holes_of_a_qcow2_image),
        WITH_DIR(opens_difficult_names),
        WITH_DIR(opens_a_relative_path),
        WITH_DIR(reads_a_chain_of_images),
        WITH_DIR(writes_only_to_the_top_of_a_chain),
        WITH_DIR(reads_a_vmdk_chain),
        WITH_DIR(refuses_a_chain_that_is_not_sound),
        WITH_DIR(refuses_an_external_data_file),
        WITH_DIR(refuses_what_is_not_an_image),
        WITH_DIR(refuses_an_image_in_use),
        WITH_DIR(keeps_writers_away),
        WITH_DIR(writes_to_an_image_in_a_block_device),
        WITH_DIR(makes_images_of_exactly_the_size),
        WITH_DIR(refuses_sizes_that_an_image_cannot_have),
        WITH_DIR(an_image_that_cannot_be_made_leaves_nothing),
        WITH_DIR(resizes_qcow2_and_no_other),
        WITH_DIR(a_killed_helper_fails_every_request_once),
        WITH_DIR(uses_qemu_nbd_where_the_storage_daemon_is_missing),
        WITH_DIR(works_without_a_usable_runtime_directory),
    };

    if (!drive_has_program("qemu-img") || !drive_has_program("qemu-nbd") ||
        !drive_has_program("qemu-storage-daemon") || !drive_has_program("qemu-io")) {
        (void)printf("needs qemu-utils and qemu-system-common\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
