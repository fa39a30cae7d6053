/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image_fit.h - see that an image file that is to be written is there and has the size it must
 * have.
 */
#ifndef RESILVER_DISK_IMAGE_FIT_H
#define RESILVER_DISK_IMAGE_FIT_H

#include "disk/disk.h"

/*
 * image_fit - create, enlarge or cut an image as the options allow.
 *
 * @path        options->path made absolute
 * @is_created  whether the file was made here: then it is to be removed again if its opening fails
 *              later. A size once changed stays changed.
 *
 * Errors: ERR_IO           missing and options->create is not set; cannot be made
 *         ERR_WRONG_STATE  it has another size and may not, or cannot, be changed; in use
 *         and those of qemu_fail. What was made here is removed again.
 */
MUST_CHECK int image_fit(const struct disk_open_options *options, const char *path,
                         enum disk_format format, bool *is_created, struct error *err);

#endif
