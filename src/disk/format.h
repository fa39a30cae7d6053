/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format.h - what kind of image a file is, by its name and by its first bytes.
 */
#ifndef RESILVER_DISK_FORMAT_H
#define RESILVER_DISK_FORMAT_H

#include "base/span.h"
#include "disk/disk.h"

#define FORMAT_HEAD_BYTES 512U /* as many first bytes as format_by_magic looks at */

/* format_by_name - by the end of the name (.qcow2 .vhdx .vmdk .vdi, in any case); else RAW. */
enum disk_format format_by_name(const char *path);

/*
 * format_by_magic - the format whose mark a file begins with; RAW when it has none of those known.
 *
 * Only ever for refusing: whoever may write a raw disk, a guest for example, may write such a mark
 * into it, so that opening a file as what its bytes say would let a guest name files of this host
 * as its "backing files".
 */
enum disk_format format_by_magic(struct const_span head);

#endif
