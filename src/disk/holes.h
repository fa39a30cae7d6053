/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * holes.h - which ranges of a file read as zeros because nothing is stored there.
 */
#ifndef RESILVER_DISK_HOLES_H
#define RESILVER_DISK_HOLES_H

#include "base/attributes.h"
#include "disk/disk.h"

/*
 * holes_find - answer a DISK_EXTENTS request from the file's own map (SEEK_DATA, SEEK_HOLE).
 *
 * @fd  open on the file, borrowed; -1: there is no map (a block device), all must be read
 *
 * Returns 0 with request->extents and extent_count filled, or an errno.
 */
MUST_CHECK int holes_find(int fd, struct disk_request *request);

#endif
