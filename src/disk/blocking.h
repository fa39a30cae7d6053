/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blocking.h - for code that has a disk to itself and nothing else to do meanwhile (scanning a log,
 * applying one): submit requests and wait until they are back.
 */
#ifndef RESILVER_DISK_BLOCKING_H
#define RESILVER_DISK_BLOCKING_H

#include "disk/disk.h"

/*
 * disk_do_all - submit count requests, at most DISK_REQUESTS_MAX, which may not overlap if one of
 * them writes, and wait for all of them. Nothing else may be in flight at the disk.
 *
 * Errors: ERR_IO or, for want of room, ERR_LIMIT: the first that failed, with the disk's name and
 * the offset; all the same each has been waited for.
 */
MUST_CHECK int disk_do_all(struct disk *disk, struct disk_request *requests, uint32_t count,
                           struct error *err);

/* disk_do - one request. */
MUST_CHECK static inline int disk_do(struct disk *disk, struct disk_request *request,
                                     struct error *err)
{
    return disk_do_all(disk, request, 1, err);
}

#endif
