/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * checkpoint.h - what an interrupted run leaves behind so that the next one need not begin at node
 * 0.
 *
 * It holds only as long as both sides are unchanged, which the disks' identities show (disk.h):
 * without that evidence it is not used, and everything is compared again.
 */
#ifndef RESILVER_ENGINE_CHECKPOINT_H
#define RESILVER_ENGINE_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/span.h"
#include "disk/disk.h"
#include "engine/progress.h"
#include "engine/segment.h"

struct checkpoint {
    uint32_t disk_count;
    uint64_t size_bytes[DISKS_MAX];
    uint8_t source_identity[DISKS_MAX][DISK_IDENTITY_BYTES];
    uint8_t target_identity[DISKS_MAX][DISK_IDENTITY_BYTES];
    uint64_t target_groups[DISKS_MAX]; /* that its journal had (points/log.h); 0: it is no journal
                                        */
    uint64_t node; /* everything before is the same on both sides, and durable */
    uint8_t proof[DISKS_MAX][PROOF_BYTES]; /* of each disk that begins before `node`: final, or the
                                              value at `node` */
    struct proof_segments segments;        /* with which keys these proofs were computed */
};

/* checkpoint_encode - as bytes that end with their SHA-256; docs/format-checkpoint.md. *out points
 * into buffer, which has CHECKPOINT_RECORD_MAX bytes. Errors: ERR_INTERNAL. */
MUST_CHECK int checkpoint_encode(const struct checkpoint *checkpoint, struct span buffer,
                                 struct const_span *out, struct error *err);

/* checkpoint_decode - Errors: ERR_WRONG_STATE not a checkpoint of this version, torn or damaged. */
MUST_CHECK int checkpoint_decode(struct const_span bytes, struct checkpoint *out,
                                 struct error *err);

/* checkpoint_identity_known - whether this identity is evidence at all (not all zeros). */
bool checkpoint_identity_known(const uint8_t identity[DISK_IDENTITY_BYTES]);

#endif
