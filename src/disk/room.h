/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * room.h - how much is free on a file system, and how much should be before anything is staged.
 */
#ifndef RESILVER_DISK_ROOM_H
#define RESILVER_DISK_ROOM_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

struct room {
    uint64_t free_bytes;   /* for this user */
    uint64_t wanted_bytes; /* ROOM_RESERVE_BYTES, or what a small file system can be asked for */
};

/* room_look - on the file system of this path. Errors: ERR_IO. */
MUST_CHECK int room_look(const char *path, struct room *out, struct error *err);

#endif
