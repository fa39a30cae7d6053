/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image_chain.h - an image file with the images behind it (its backing chain), every one's format
 * named, and how a QEMU program is told to open all that.
 */
#ifndef RESILVER_DISK_IMAGE_CHAIN_H
#define RESILVER_DISK_IMAGE_CHAIN_H

#include "disk/disk.h"

#define IMAGE_NODE "disk" /* the name of the node in image_chain_describe's text */

struct image_layer {
    char *path; /* owned; absolute */
    enum disk_format format;
    bool is_device; /* a block device */
    int lock_fd;    /* owned; -1: QEMU's own locks protect it */
};

struct image_chain {
    struct image_layer layers[IMAGE_CHAIN_MAX]; /* [0] is the image itself */
    uint32_t count;
};

/*
 * image_chain_open - find all layers, and keep writers away from those behind the image.
 *
 * @path   absolute
 * @out    filled on return 0; its user calls image_chain_close
 *
 * Errors: ERR_IO           a layer is missing or unreadable
 *         ERR_WRONG_STATE  a layer is in use
 *         ERR_USAGE        a layer is not of its format, or does not name the format of the next
 *         ERR_LIMIT        more than IMAGE_CHAIN_MAX layers
 */
MUST_CHECK int image_chain_open(const char *path, enum disk_format format, bool write,
                                struct image_chain *out, struct error *err);

/* image_chain_close - let the locks go. */
void image_chain_close(struct image_chain *chain);

/*
 * image_chain_describe - the chain as the JSON that QEMU's --blockdev takes.
 *
 * @write   the image itself is to be written; what is behind it never is
 * @direct  past the page cache
 *
 * Returns text for free(), or NULL when memory is short or a path is not UTF-8, which JSON must be.
 */
MUST_CHECK char *image_chain_describe(const struct image_chain *chain, bool write, bool direct);

#endif
