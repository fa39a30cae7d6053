/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/image_fit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "disk/qemu.h"

#define IMAGE_SIZE_UNIT 512U /* QEMU knows only sizes in sectors, in every format */
#define IMAGE_MODE 0600      /* a VM's disk is nobody else's business */

static int check_size_possible(const char *path, enum disk_format format, uint64_t size_bytes,
                               struct error *err)
{
    if (size_bytes % IMAGE_SIZE_UNIT == 0) {
        return 0;
    }
    return fail(err, ERR_WRONG_STATE, 0,
                "%s cannot have %llu bytes: the size of a %s image is a multiple of %u; use a raw "
                "file",
                path, (unsigned long long)size_bytes, disk_format_name(format), IMAGE_SIZE_UNIT);
}

/* The image as it is now must have exactly that size. */
static int check_size(const char *path, enum disk_format format, uint64_t size_bytes,
                      struct error *err)
{
    struct qemu_image image;

    if (qemu_image_read(path, format, &image, err) != 0) {
        return -1;
    }
    uint64_t found_bytes = image.size_bytes;
    qemu_image_done(&image);
    if (found_bytes != size_bytes) {
        return fail(
            err, ERR_WRONG_STATE, 0,
            "%s was made with %llu bytes instead of %llu: the %s format cannot have exactly "
            "this size; use a raw file",
            path, (unsigned long long)found_bytes, (unsigned long long)size_bytes,
            disk_format_name(format));
    }
    return 0;
}

static int make(const char *path, enum disk_format format, uint64_t size_bytes, struct error *err)
{
    if (qemu_image_create(path, format, size_bytes, err) == 0 &&
        check_size(path, format, size_bytes, err) == 0) {
        return 0;
    }
    (void)unlink(path); /* our own, made a moment ago; the error to report is the first one */
    return -1;
}

static int resize(const struct disk_open_options *options, const char *path,
                  enum disk_format format, uint64_t found_bytes, struct error *err)
{
    bool shrink = found_bytes > options->size_bytes;
    unsigned long long found = found_bytes;
    unsigned long long wanted = options->size_bytes;

    if (shrink && !options->shrink) {
        return fail(
            err, ERR_WRONG_STATE, 0,
            "%s has %llu bytes and must have %llu; what is beyond that is cut off only with "
            "--create --yes",
            path, found, wanted);
    }
    if (format != DISK_FORMAT_QCOW2) {
        return fail(
            err, ERR_WRONG_STATE, 0,
            "%s has %llu bytes and must have %llu, but a %s image cannot be resized: move it "
            "away, so that a new one is made",
            path, found, wanted, disk_format_name(format));
    }
    if (qemu_image_resize(path, format, options->size_bytes, shrink, err) != 0) {
        return -1;
    }
    return check_size(path, format, options->size_bytes, err);
}

static int fit_existing(const struct disk_open_options *options, const char *path,
                        enum disk_format format, struct error *err)
{
    struct qemu_image image;

    if (qemu_image_read(path, format, &image, err) != 0) {
        return -1;
    }
    uint64_t found_bytes = image.size_bytes;
    qemu_image_done(&image);
    if (found_bytes == options->size_bytes) {
        return 0;
    }
    return resize(options, path, format, found_bytes, err);
}

int image_fit(const struct disk_open_options *options, const char *path, enum disk_format format,
              bool *is_created, struct error *err)
{
    *is_created = false;
    if (!options->create) {
        return 0;
    }
    if (check_size_possible(path, format, options->size_bytes, err) != 0) {
        return -1;
    }
    /* Made by us or not made at all: qemu-img alone would overwrite what is there. */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, IMAGE_MODE);
    if (fd < 0 && errno == EEXIST) {
        return fit_existing(options, path, format, err);
    }
    if (fd < 0) {
        return fail(err, ERR_IO, errno, "cannot make %s", path);
    }
    (void)close(fd); /* empty: nothing was written that could be lost */
    if (make(path, format, options->size_bytes, err) != 0) {
        return -1;
    }
    *is_created = true;
    return 0;
}
