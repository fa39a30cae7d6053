/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lock.h - QEMU's image locks, so that a running VM's disk is never read torn and no VM starts on a
 * disk being changed.
 *
 * QEMU marks, with open-file-description read locks on single bytes, which permissions it uses (100
 * + n) and which it does not let others have (200 + n); n = 0 is consistent read, n = 1 is write. A
 * read lock found on byte 101 means that somebody writes; our own read lock on byte 201 makes every
 * QEMU that wants to write fail to start.
 * Source: QEMU block/file-posix.c (raw_apply_lock_bytes), tried with QEMU 7.2.
 */
#ifndef RESILVER_DISK_LOCK_H
#define RESILVER_DISK_LOCK_H

#include <stdbool.h>

#include "base/attributes.h"
#include "base/error.h"

/*
 * lock_image - refuse an image in use and keep QEMU writers from it for as long as fd (or a dup of
 * it) is open.
 *
 * @fd      open on the image, any mode; borrowed
 * @path    for the message
 * @write   we shall write: refuse readers that do not share writing (byte 201 held) as well as
 * writers (byte 101), and another resilver that is writing to it (byte 101, which we hold too)
 *
 * Errors: ERR_WRONG_STATE in use (says by what kind of user, and to stop the VM or take a
 * snapshot); ERR_IO the file system cannot lock.
 */
MUST_CHECK int lock_image(int fd, const char *path, bool write, struct error *err);

#endif
