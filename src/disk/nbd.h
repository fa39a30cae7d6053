/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd.h - the NBD driver's second opener, for disk/image.c. disk_open_nbd is in disk/disk.h.
 */
#ifndef RESILVER_DISK_NBD_H
#define RESILVER_DISK_NBD_H

#include "disk/disk.h"

/*
 * disk_open_nbd_socket - as disk_open_nbd, for a socket and an export that need no URI around them.
 *
 * Errors: as disk_open_nbd.
 */
MUST_CHECK int disk_open_nbd_socket(const char *socket_path, const char *export_name,
                                    const char *name, bool write, struct disk **out,
                                    struct error *err);

#endif
