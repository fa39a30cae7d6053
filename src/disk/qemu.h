/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu.h - what disk/image.c has qemu-img do, and QEMU's errors in our words.
 */
#ifndef RESILVER_DISK_QEMU_H
#define RESILVER_DISK_QEMU_H

#include <stdint.h>

#include "disk/disk.h"

/* One image file as its own header describes it. */
struct qemu_image {
    uint64_t size_bytes;
    char *backing_path;   /* owned; NULL: it stands alone */
    char *backing_format; /* owned; NULL: the image does not say */
    char *data_path;      /* owned; NULL unless its data is in another file */
};

/*
 * qemu_image_read - ask for one image, whose format is known; nothing behind it is opened.
 *
 * @path  absolute, so that a colon in it does not make it a protocol
 * @out   filled on return 0; its user calls qemu_image_done
 *
 * Errors: as qemu_fail; ERR_IO qemu-img is missing.
 */
MUST_CHECK int qemu_image_read(const char *path, enum disk_format format, struct qemu_image *out,
                               struct error *err);

void qemu_image_done(struct qemu_image *image);

/* qemu_image_create - overwrite the file with an empty image of that size. */
MUST_CHECK int qemu_image_create(const char *path, enum disk_format format, uint64_t size_bytes,
                                 struct error *err);

/* qemu_image_resize - make a qcow2 image larger or smaller; what is cut off is lost. */
MUST_CHECK int qemu_image_resize(const char *path, enum disk_format format, uint64_t size_bytes,
                                 bool shrink, struct error *err);

/*
 * qemu_fail - fail, because a QEMU program gave this reason for not doing it.
 *
 * @doing  "use", "make", "resize"
 *
 * Errors: ERR_WRONG_STATE  it is in use: QEMU could not get its locks
 *         ERR_LIMIT        no space
 *         ERR_USAGE        anything else: not of that format, broken, encrypted, too large
 */
int qemu_fail(const char *path, enum disk_format format, const char *doing, const char *reason,
              struct error *err);

#endif
