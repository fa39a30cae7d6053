/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * target_host.h - the disks of a session's target: in place, or staged (points/staging.h) and then
 * committed. For the program around a loop (loop_host).
 */
#ifndef RESILVER_WIRE_TARGET_HOST_H
#define RESILVER_WIRE_TARGET_HOST_H

#include "points/replica.h"
#include "points/staging.h"
#include "wire/loop.h"

struct target_host {
    const struct env *env;   /* borrowed */
    struct replica *replica; /* owned; NULL: in place */
    struct staging *staging; /* owned */
};

/*
 * target_host_open - what loop_host.open_disks does, for either role.
 *
 * @wanted  how each disk is to be opened; .path is, with SESSION_REPLICA in open->flags, that of a
 *          replica's folder, a slash, and the disk's name
 * @out_failed  the disk that could not be opened; may be NULL
 *
 * What a killed run left of a target is finished first; before a target is written in place, what
 * is staged for it is dropped. Errors: err->disk names the disk as the peer did.
 */
MUST_CHECK int target_host_open(struct target_host *host, const struct session_open *open,
                                const struct disk_open_options *wanted, struct loop_disks *out,
                                uint32_t *out_failed, struct error *err);

/* target_host_commit - loop_host.commit, with the target_host as context. */
int target_host_commit(void *context, const struct session_seal *seal, struct error *err);

/* target_host_done - after loop_run. */
void target_host_done(struct target_host *host);

#endif
