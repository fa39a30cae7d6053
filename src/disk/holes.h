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

/*
 * holes_is_allocated - whether a range of a file has blocks of its own on the medium, all of it.
 *
 * Asks for the range alone: SEEK_HOLE walks to the next hole however far it is, page by page on
 * tmpfs, so that asking it for each write costs the square of the file's size (1 GiB in memory:
 * 5 s of 7.5 s). True also where the file system does not tell: what it decides is speed.
 * Source: Linux Documentation/filesystems/fiemap.rst.
 */
bool holes_is_allocated(int fd, uint64_t offset_bytes, uint64_t len_bytes);

#endif
