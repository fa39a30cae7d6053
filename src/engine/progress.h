/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * progress.h - what a session has done so far, per disk and on the wire. Counters only; they never
 * decide anything.
 */
#ifndef RESILVER_ENGINE_PROGRESS_H
#define RESILVER_ENGINE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

#define PROOF_BYTES 32U

struct disk_progress {
    uint64_t size_bytes;
    uint64_t compared_bytes;     /* settled: equal, or different and shipped; size_bytes at the end;
                                    includes the next two */
    uint64_t skipped_zero_bytes; /* of these: known as zeros on both sides and read on neither */
    uint64_t resumed_bytes;      /* of these: settled by an interrupted run, not read again */
    uint64_t different_bytes;    /* in leaves that differed */
    uint64_t shipped_bytes;      /* disk bytes sent or announced as zeros because they differed */
    uint64_t written_bytes;      /* at the target: written or zeroed */
    uint64_t verified_bytes;     /* at the target: read back from the medium and found right */
    bool has_proof;              /* proof is final */
    uint8_t proof[PROOF_BYTES];
};

struct wire_progress {
    uint64_t sent_bytes; /* by this end, frames and all */
    uint64_t received_bytes;
    uint64_t compressed_from_bytes; /* what the compressed data measured before it was compressed */
};

struct progress {
    uint32_t disk_count;
    struct disk_progress disks[DISKS_MAX];
    struct wire_progress wire;
};

#endif
