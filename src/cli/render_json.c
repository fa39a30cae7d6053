/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/render_json.h"

#include <jansson.h>
#include <stdbool.h>

#include "cli/json_out.h"

static bool fill_disk(json_t *object, const struct report_disk *disk)
{
    return json_out_put(object, "source", json_out_text(disk->source)) &&
           json_out_put(object, "target", json_out_text(disk->target)) &&
           json_out_put(object, "size_bytes", json_out_amount(disk->size_bytes)) &&
           json_out_put(object, "compared_bytes", json_out_amount(disk->compared_bytes)) &&
           json_out_put(object, "skipped_zero_bytes", json_out_amount(disk->skipped_zero_bytes)) &&
           json_out_put(object, "resumed_bytes", json_out_amount(disk->resumed_bytes)) &&
           json_out_put(object, "different_bytes", json_out_amount(disk->different_bytes)) &&
           json_out_put(object, "written_bytes", json_out_amount(disk->written_bytes)) &&
           json_out_put(object, "verified_bytes", json_out_amount(disk->verified_bytes)) &&
           json_out_put(object, "proof",
                        disk->has_proof ? json_out_sha256(disk->proof) : json_null());
}

static bool fill_disks(json_t *list, const struct report *report)
{
    for (uint32_t i = 0; i < report->disk_count; i++) {
        json_t *disk = json_object();
        if (disk == NULL || json_array_append_new(list, disk) != 0 ||
            !fill_disk(disk, &report->disks[i])) {
            return false;
        }
    }
    return true;
}

static bool fill_result(json_t *root, const struct report *report)
{
    const char *result = report_is_different(report) ? "different" : "in-sync";
    json_t *disks = json_array();
    json_t *wire = json_object();

    /* First handed over, then filled: from then on the root frees them. */
    return json_out_put(root, "schema", json_integer(JSON_OUT_SCHEMA)) &&
           json_out_put(root, "result", json_string(result)) &&
           json_out_put(root, "elapsed_seconds", json_out_seconds(report->elapsed_ns)) &&
           json_out_put(root, "disks", disks) && json_out_put(root, "wire", wire) &&
           fill_disks(disks, report) &&
           json_out_put(wire, "sent_bytes", json_out_amount(report->sent_bytes)) &&
           json_out_put(wire, "received_bytes", json_out_amount(report->received_bytes)) &&
           json_out_put(wire, "compressed_from_bytes",
                        json_out_amount(report->compressed_from_bytes));
}

void render_json_result(FILE *out, const struct report *report)
{
    json_t *root = json_object();

    json_out_print(out, root, root != NULL && fill_result(root, report));
}

void render_json_error(FILE *out, const struct error *err)
{
    json_t *root = json_object();

    json_out_print(out, root,
                   root != NULL && json_out_put(root, "schema", json_integer(JSON_OUT_SCHEMA)) &&
                       json_out_put(root, "result", json_string("failed")) &&
                       json_out_put(root, "error", json_out_error(err)));
}
