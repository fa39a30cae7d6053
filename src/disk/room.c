/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/room.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "base/limits.h"

static uint64_t bytes_of(uint64_t count, uint64_t bytes)
{
    uint64_t result = 0;

    return __builtin_mul_overflow(count, bytes, &result) ? UINT64_MAX : result;
}

int room_look(const char *path, struct room *out, struct error *err)
{
    struct statvfs status;

    if (statvfs(path, &status) < 0) {
        return fail(err, ERR_IO, errno, "cannot ask how much is free on the file system of %s",
                    path);
    }
    uint64_t share_bytes = bytes_of(status.f_blocks, status.f_frsize) / ROOM_RESERVE_SHARE;
    out->free_bytes = bytes_of(status.f_bavail, status.f_frsize);
    out->wanted_bytes = share_bytes < ROOM_RESERVE_BYTES ? share_bytes : ROOM_RESERVE_BYTES;
    return 0;
}
