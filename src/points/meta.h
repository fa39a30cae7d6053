/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * meta.h - the file `replica` in a replica's folder: which disks it has and how many points are
 * kept. docs/format-replica.md is the format.
 */
#ifndef RESILVER_POINTS_META_H
#define RESILVER_POINTS_META_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/span.h"
#include "disk/disk.h"

struct meta_disk {
    char name[DISK_NAME_MAX];
    char path[PATH_TEXT_MAX]; /* beside: the target itself, absolute; "": disks/NAME in the folder
                               */
    enum disk_format format;
};

struct meta {
    bool is_beside; /* a state folder beside plain targets, gone when nothing is left to do */
    uint32_t history;
    uint32_t disk_count; /* 0: a folder that nothing was copied into yet */
    struct meta_disk disks[DISKS_MAX];
};

/* meta_encode - into buffer (META_MAX bytes), ending with its SHA-256. Errors: ERR_INTERNAL. */
MUST_CHECK int meta_encode(const struct meta *meta, struct span buffer, struct const_span *out,
                           struct error *err);

/* meta_decode - Errors: ERR_WRONG_STATE not one of this version, damaged, a field out of range. */
MUST_CHECK int meta_decode(struct const_span bytes, struct meta *out, struct error *err);

#endif
