/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * patient.h - a disk that waits for room: writes that fail because the medium is full are tried
 * again every second until there is room, or nobody wants to wait any more. All else passes
 * through.
 *
 * It can also demand room before its first write (room.h): until there is some, writes are held
 * back and count as waiting.
 */
#ifndef RESILVER_DISK_PATIENT_H
#define RESILVER_DISK_PATIENT_H

#include "base/env.h"
#include "disk/disk.h"

/* patient_new - inner is taken on success; env is borrowed. Errors: ERR_LIMIT. */
MUST_CHECK int patient_new(struct disk *inner, const struct env *env, struct disk **out,
                           struct error *err);

/*
 * patient_demand_room - nothing is written before the file system of this path has its reserve
 * free. Once it had, or when nobody wants to wait any more, nothing is demanded. Errors: ERR_IO;
 * ERR_LIMIT.
 */
MUST_CHECK int patient_demand_room(struct disk *disk, const char *path, struct error *err);

/* patient_is_held - whether that is what it waits for. */
bool patient_is_held(const struct disk *disk);

/* patient_is_waiting - whether anything waits for room now. */
bool patient_is_waiting(const struct disk *disk);

/* patient_give_up - from now on a full medium fails at once, also for what waits. */
void patient_give_up(struct disk *disk);

#endif
