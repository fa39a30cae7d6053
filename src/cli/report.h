/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * report.h - what a run of `resilver sync` has reached, as the renderers show it. cmd_sync.c fills
 * it from the session's progress; the renderers know no sessions.
 */
#ifndef RESILVER_CLI_REPORT_H
#define RESILVER_CLI_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

#define REPORT_PROOF_BYTES 32U

struct report_disk {
    const char *source; /* borrowed: as the user named it */
    const char *target;
    uint64_t size_bytes;
    uint64_t compared_bytes;
    uint64_t skipped_zero_bytes;
    uint64_t resumed_bytes;
    uint64_t different_bytes;
    uint64_t shipped_bytes;
    uint64_t written_bytes;
    uint64_t verified_bytes;
    bool has_proof;
    uint8_t proof[REPORT_PROOF_BYTES];
};

struct report {
    bool is_check; /* compared only */
    uint64_t elapsed_ns;
    uint32_t disk_count;
    struct report_disk disks[DISKS_MAX];
    uint64_t sent_bytes; /* by the source's end of the link */
    uint64_t received_bytes;
    uint64_t compressed_from_bytes;
};

/* report_is_different - whether a compare found differences (and nothing was done about them). */
static inline bool report_is_different(const struct report *report)
{
    for (uint32_t i = 0; report->is_check && i < report->disk_count; i++) {
        if (report->disks[i].different_bytes > 0) {
            return true;
        }
    }
    return false;
}

#endif
