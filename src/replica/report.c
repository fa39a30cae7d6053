/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "replica/report.h"

#include <stdio.h>

#include "base/env.h"

static json_t *proof_text(const struct disk_progress *disk)
{
    char text[2 * PROOF_BYTES + 1];

    if (!disk->has_proof) {
        return json_null();
    }
    for (unsigned int i = 0; i < PROOF_BYTES; i++) {
        (void)snprintf(text + (size_t)i * 2, 3, "%02x", disk->proof[i]);
    }
    return json_string(text);
}

static json_t *disk_object(const char *name, const struct disk_progress *disk)
{
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "name", name, "size_bytes",
        (json_int_t)disk->size_bytes, "compared_bytes", (json_int_t)disk->compared_bytes,
        "skipped_zero_bytes", (json_int_t)disk->skipped_zero_bytes, "resumed_bytes",
        (json_int_t)disk->resumed_bytes, "different_bytes", (json_int_t)disk->different_bytes,
        "shipped_bytes", (json_int_t)disk->shipped_bytes, "written_bytes",
        (json_int_t)disk->written_bytes, "verified_bytes", (json_int_t)disk->verified_bytes,
        "proof", proof_text(disk));
}

/* The index-th of the disks that take part. */
static const char *included_name(const struct relationship_row *row, uint32_t index)
{
    for (uint32_t i = 0; i < row->disk_count; i++) {
        if (row->disks[i].is_included && index-- == 0) {
            return row->disks[i].name;
        }
    }
    return "?"; /* the relationship has lost a disk since: its counters are shown all the same */
}

json_t *report_new(const struct relationship_row *row, const struct progress *progress,
                   uint64_t elapsed_ns)
{
    json_t *disks = json_array();
    uint64_t elapsed_ms = elapsed_ns / NS_PER_MS;

    for (uint32_t i = 0; disks != NULL && i < progress->disk_count; i++) {
        if (json_array_append_new(disks, disk_object(included_name(row, i), &progress->disks[i])) <
            0) {
            json_decref(disks);
            disks = NULL;
        }
    }
    return json_pack("{s:o, s:I, s:I, s:f}", "disks", disks, "sent_bytes",
                     (json_int_t)progress->wire.sent_bytes, "received_bytes",
                     (json_int_t)progress->wire.received_bytes, "elapsed_s",
                     (double)elapsed_ms / 1000.0);
}

uint16_t report_percent(const struct progress *progress)
{
    uint64_t size = 0;
    uint64_t compared = 0;

    for (uint32_t i = 0; i < progress->disk_count; i++) {
        size += progress->disks[i].size_bytes / 4096;
        compared += progress->disks[i].compared_bytes / 4096;
    }
    uint64_t percent = size == 0 ? 0 : compared * 100 / size;
    return (uint16_t)(percent > 99 ? 99 : percent);
}
