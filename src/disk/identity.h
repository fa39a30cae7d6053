/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * identity.h - a fingerprint of a file's content, from what the file system records about it.
 */
#ifndef RESILVER_DISK_IDENTITY_H
#define RESILVER_DISK_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "disk/disk.h"

/*
 * identity_of_file - disk.h's identity() of a regular file.
 *
 * @fd     open on the file (for writing when stamp is set), borrowed
 * @stamp  mark the file first, so that the next write, even one in the same clock tick, shows
 *
 * Gives all zeros, and no error, when the file's times are no evidence.
 * Errors: ERR_IO the file cannot be asked or marked
 */
MUST_CHECK int identity_of_file(int fd, const char *name, bool stamp,
                                uint8_t identity[DISK_IDENTITY_BYTES], struct error *err);

/* identity_fingerprint - for seeing that the content changed: never zeros, however fresh the times,
 * and not comparable with what identity_of_file gives. */
MUST_CHECK int identity_fingerprint(int fd, const char *name, uint8_t identity[DISK_IDENTITY_BYTES],
                                    struct error *err);

#endif
