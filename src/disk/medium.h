/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * medium.h - from a path to open descriptors on a file or block device that was looked at, locked,
 * and given the size it must have.
 */
#ifndef RESILVER_DISK_MEDIUM_H
#define RESILVER_DISK_MEDIUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "disk/disk.h"

struct medium {
    int fd;        /* owned; through the page cache; holds the locks */
    int direct_fd; /* owned; the same inode with O_DIRECT; -1: the file system refuses that */
    bool is_block;
    uint64_t size_bytes;
    uint32_t block_bytes;  /* logical sector of a device; 512 for a file */
    uint32_t direct_bytes; /* offset and length of what goes through direct_fd: multiples of this */
};

/* medium_open - disk_open_file() without what makes it a disk. */
MUST_CHECK int medium_open(const struct disk_open_options *options, struct medium *out,
                           struct error *err);
void medium_close(struct medium *medium);

#endif
