/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/disk.h"

#include <inttypes.h>
#include <string.h>

#include "disk/format.h"

#define NBD_PREFIX "nbd+unix://"

/* An export's size and format are its server's affair: we can only see whether they fit. */
static int open_nbd(const struct disk_open_options *options, struct disk **out, struct error *err)
{
    CLEANUP(disk_closep) struct disk *disk = NULL;

    if (options->format != DISK_FORMAT_INVALID && options->format != DISK_FORMAT_RAW) {
        return fail(err, ERR_USAGE, 0,
                    "%s is an NBD export, which is always raw, and not %s; leave --format out",
                    options->path, disk_format_name(options->format));
    }
    if (disk_open_nbd(options->path, options->path, options->write, &disk, err) < 0) {
        return -1;
    }
    if (options->write && options->create && disk->size_bytes != options->size_bytes) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s has %" PRIu64 " bytes and must have %" PRIu64
                    "; its size can only be changed where it is served",
                    options->path, disk->size_bytes, options->size_bytes);
    }
    *out = TAKE(disk);
    return 0;
}

int disk_open(const struct disk_open_options *options, struct disk **out, struct error *err)
{
    enum disk_format format = options->format;
    int result = -1;

    if (strncmp(options->path, NBD_PREFIX, strlen(NBD_PREFIX)) == 0) {
        result = open_nbd(options, out, err);
    } else {
        if (format == DISK_FORMAT_INVALID) {
            format = format_by_name(options->path);
        }
        result = format == DISK_FORMAT_RAW ? disk_open_file(options, out, err)
                                           : disk_open_image(options, format, out, err);
    }
    if (result < 0) {
        error_set_disk(err, options->path);
    }
    return result;
}
