/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * place.h - an open replica, and where each of its files is (replica.h has the picture). For the
 * files of this folder only.
 *
 * Beside a plain target its own state folder TARGET.resilver/ takes the place of the folder's
 * stage/; that of the first target is the replica's.
 */
#ifndef RESILVER_POINTS_PLACE_H
#define RESILVER_POINTS_PLACE_H

#include "points/meta.h"
#include "points/record.h"
#include "points/replica.h"

struct replica {
    char path[PATH_TEXT_MAX]; /* the folder */
    int lock_fd;              /* owned; flock */
    const struct env *env;    /* borrowed */
    struct meta meta;
    bool has_point;
    struct point_record point; /* the present one */
    enum replica_did did;      /* what commit_recover did when it was opened */
};

/* All fail with ERR_USAGE when the path is too long. */
MUST_CHECK int place_own(const struct replica *replica, const char *name, char out[PATH_TEXT_MAX],
                         struct error *err);

/* place_disk - a disk at its present point. */
MUST_CHECK int place_disk(const struct replica *replica, uint32_t disk, char out[PATH_TEXT_MAX],
                          struct error *err);

/* place_work_dir - the directory of the next point's file of this disk. */
MUST_CHECK int place_work_dir(const struct replica *replica, uint32_t disk, char out[PATH_TEXT_MAX],
                              struct error *err);

/* place_work - a file in it: "next" (a clone or a new disk), "journal", "applying" (the disk's own
 * name while it is being changed). */
MUST_CHECK int place_work(const struct replica *replica, uint32_t disk, const char *what,
                          char out[PATH_TEXT_MAX], struct error *err);

/* place_staged - the record of the point that is staged: its number, disks and drivers. */
MUST_CHECK int place_staged(const struct replica *replica, char out[PATH_TEXT_MAX],
                            struct error *err);

/* place_point - an earlier point's directory; place_point_file: "point", or with the disk "undo" or
 * "disk". */
MUST_CHECK int place_point(const struct replica *replica, uint64_t number, char out[PATH_TEXT_MAX],
                           struct error *err);
MUST_CHECK int place_point_file(const struct replica *replica, uint64_t number, uint32_t disk,
                                const char *what, char out[PATH_TEXT_MAX], struct error *err);
MUST_CHECK int place_point_record(const struct replica *replica, uint64_t number,
                                  char out[PATH_TEXT_MAX], struct error *err);

/* place_read_record - *out_exists false: there is none. Errors name the file. */
MUST_CHECK int place_read_record(const char *path, struct point_record *out, bool *out_exists,
                                 struct error *err);
/* place_read_point - the record of an earlier point. One that is damaged, or another point's, is
 * ERR_WRONG_STATE, with the cure. */
MUST_CHECK int place_read_point(const struct replica *replica, uint64_t number,
                                struct point_record *out, bool *out_exists, struct error *err);

MUST_CHECK int place_write_record(const char *path, const struct point_record *record,
                                  struct error *err);

/* place_cost_bytes - what a file costs on the medium; 0 when it is not there. */
uint64_t place_cost_bytes(const char *path);

/* place_write_meta */
MUST_CHECK int place_write_meta(const struct replica *replica, struct error *err);

#endif
