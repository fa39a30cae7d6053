/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * staging.h - the next point of a replica while a session writes it, and its commit.
 *
 * For each disk the driver is chosen by what it lies on: FILE (a clone of the disk where the file
 * system makes clones, or a new file where there is no disk yet), else LOG (a journal beside it,
 * for any file system, block devices and images). What an interrupted session staged is taken up
 * again.
 *
 * Of what a new point will take, nothing is known before it is compared. So its file system must
 * have a reserve free (disk/room.h) when the first leaf is to be written; until it has, the session
 * waits, as it does when it finds no room later.
 */
#ifndef RESILVER_POINTS_STAGING_H
#define RESILVER_POINTS_STAGING_H

#include "points/replica.h"

/* One disk as a session asks for it. */
struct staging_want {
    const char *name;        /* in a folder: of the disk; beside: ignored. Borrowed for the call */
    enum disk_format format; /* INVALID: by the name, or as it is already */
    uint64_t size_bytes;     /* of the source's disk */
};

struct staging_wants {
    uint32_t disk_count;
    struct staging_want disks[DISKS_MAX];
    bool create; /* a disk may be made, or made larger */
    bool shrink; /* and cut */
};

struct staging;

/*
 * staging_open - the disks that a session writes the next point to.
 *
 * The replica is borrowed until staging_free. Nothing of the present point is changed.
 * Errors: ERR_WRONG_STATE other disks than the replica has, a disk in use; ERR_IO; ERR_LIMIT; each
 * with the disk's name.
 */
MUST_CHECK int staging_open(struct replica *replica, const struct staging_wants *wants,
                            struct staging **out, struct error *err);

/* staging_take_disk - the caller closes it, and not before staging_commit said 0 or -1. */
struct disk *staging_take_disk(struct staging *staging, uint32_t disk);

/* staging_identity - what a checkpoint about this disk's next point is bound to; false: to what the
 * disk says. */
bool staging_identity(const struct staging *staging, uint32_t disk,
                      uint8_t identity[DISK_IDENTITY_BYTES]);

/* staging_groups - how many groups of its journal are durable; 0: it has none. A checkpoint that
 * knew of more is about a journal that has lost its end since. */
uint64_t staging_groups(const struct staging *staging, uint32_t disk);

/* staging_is_waiting - whether the session's writes, or the commit, wait for room; why says where,
 * and how much. staging_give_up - from now on they fail instead. */
bool staging_is_waiting(const struct staging *staging, struct error *why);
void staging_give_up(struct staging *staging);

/* staging_dir - where the session's checkpoint belongs; it goes with the staged point. */
const char *staging_dir(const struct staging *staging);

/* staging_driver_name - "new file", "clone" or "journal": for people. */
const char *staging_driver_name(const struct staging *staging, uint32_t disk);

/*
 * staging_commit - all disks are sealed, durable and verified, and nothing is in flight at them:
 * make them the present point. A step of it: 1 there is more to do, 0 done, -1 failed. Once the
 * record is written, whatever fails is finished by the next one who opens the replica.
 *
 * @proofs  of each disk; borrowed, as segments
 */
MUST_CHECK int staging_commit(struct staging *staging, const uint8_t (*proofs)[PROOF_BYTES],
                              const struct proof_segments *segments, struct error *err);

/* staging_free - a point that was not committed stays staged. */
void staging_free(struct staging *staging);

#endif
