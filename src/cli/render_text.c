/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/render_text.h"

#include <inttypes.h>
#include <string.h>

#include "base/env.h"
#include "cli/human.h"

/* A name with no bytes that a terminal would act on, and not cut. */
struct shown {
    char text[PATH_TEXT_MAX];
};

static const char *show(const char *name, struct shown *out)
{
    (void)human_name(name, 0, out->text, sizeof out->text);
    return out->text;
}

void render_text_amounts(FILE *out, const struct report_disk *disk, bool is_check)
{
    char text[HUMAN_MAX];

    (void)fprintf(out, "%s compared", human_size(disk->compared_bytes, text));
    if (disk->resumed_bytes > 0) {
        (void)fprintf(out, " (%s of it by an earlier run)", human_size(disk->resumed_bytes, text));
    }
    if (disk->different_bytes == 0 && disk->written_bytes == 0) {
        (void)fprintf(out, ", nothing different");
        return;
    }
    (void)fprintf(out, ", %s different", human_size(disk->different_bytes, text));
    if (is_check) {
        return;
    }
    if (disk->written_bytes == disk->verified_bytes) {
        (void)fprintf(out, ", %s written and verified", human_size(disk->written_bytes, text));
        return;
    }
    (void)fprintf(out, ", %s written", human_size(disk->written_bytes, text));
    (void)fprintf(out, ", %s verified", human_size(disk->verified_bytes, text));
}

/* ", 1.2 s, 3.4 GiB/s": what this run compared itself, in the time that it took */
static void print_pace(FILE *out, const struct report_disk *disk, uint64_t elapsed_ns)
{
    char duration[HUMAN_MAX];
    char rate[HUMAN_MAX];
    uint64_t done_bytes = disk->compared_bytes - disk->resumed_bytes;

    (void)fprintf(out, ", %s, %s", human_duration(elapsed_ns, duration),
                  human_rate(done_bytes, elapsed_ns, rate));
}

static void print_difference(FILE *out, const struct report_disk *disk)
{
    struct shown target;
    struct shown source;
    char amount[HUMAN_MAX];
    char size[HUMAN_MAX];
    uint64_t blocks = (disk->different_bytes + LEAF_BYTES - 1) / LEAF_BYTES;

    (void)fprintf(out, "%s differs from %s: %" PRIu64 " %s of 64 KiB (%s) of %s\n",
                  show(disk->target, &target), show(disk->source, &source), blocks,
                  blocks == 1 ? "block" : "blocks", human_size(disk->different_bytes, amount),
                  human_size(disk->size_bytes, size));
}

static void print_disk(FILE *out, const struct report *report, const struct report_disk *disk)
{
    struct shown target;
    struct shown source;

    if (report->is_check && disk->different_bytes > 0) {
        print_difference(out, disk);
        return;
    }
    (void)fprintf(out, "%s: in sync with %s: ", show(disk->target, &target),
                  show(disk->source, &source));
    render_text_amounts(out, disk, report->is_check);
    if (report->disk_count == 1) {
        print_pace(out, disk, report->elapsed_ns);
    }
    (void)fputc('\n', out);
}

void render_text_details(FILE *out, const struct report_disk *disk)
{
    char text[HUMAN_MAX];

    if (disk->skipped_zero_bytes > 0) {
        (void)fprintf(out, "  %s of it known as zeros on both sides and not read\n",
                      human_size(disk->skipped_zero_bytes, text));
    }
    if (disk->has_proof) {
        (void)fprintf(out, "  proof sha256:");
        for (size_t i = 0; i < REPORT_PROOF_BYTES; i++) {
            (void)fprintf(out, "%02x", disk->proof[i]);
        }
        (void)fputc('\n', out);
    }
}

static void print_total(FILE *out, const struct report *report)
{
    struct report_disk sum = {0};
    uint32_t different_count = 0;

    for (uint32_t i = 0; i < report->disk_count; i++) {
        const struct report_disk *disk = &report->disks[i];
        sum.compared_bytes += disk->compared_bytes;
        sum.resumed_bytes += disk->resumed_bytes;
        sum.different_bytes += disk->different_bytes;
        sum.written_bytes += disk->written_bytes;
        sum.verified_bytes += disk->verified_bytes;
        different_count += report->is_check && disk->different_bytes > 0 ? 1 : 0;
    }
    if (different_count > 0) {
        (void)fprintf(out, "%u of %u disks differ: ", different_count, report->disk_count);
    } else {
        (void)fprintf(out, "%u disks in sync: ", report->disk_count);
    }
    render_text_amounts(out, &sum, report->is_check);
    print_pace(out, &sum, report->elapsed_ns);
    (void)fputc('\n', out);
}

static void print_wire(FILE *out, const struct report *report)
{
    char text[HUMAN_MAX];

    (void)fprintf(out, "  source sent %s", human_size(report->sent_bytes, text));
    (void)fprintf(out, ", received %s", human_size(report->received_bytes, text));
    if (report->compressed_from_bytes > 0) {
        (void)fprintf(out, "; compressed from %s", human_size(report->compressed_from_bytes, text));
    }
    (void)fputc('\n', out);
}

void render_text_result(FILE *out, const struct report *report, bool verbose)
{
    for (uint32_t i = 0; i < report->disk_count; i++) {
        print_disk(out, report, &report->disks[i]);
        if (verbose) {
            render_text_details(out, &report->disks[i]);
        }
    }
    if (report->disk_count > 1) {
        print_total(out, report);
    }
    if (verbose) {
        print_wire(out, report);
    }
}

void render_text_error(FILE *out, const struct error *err)
{
    char message[ERROR_MESSAGE_MAX];
    char disk[ERROR_DISK_MAX];

    (void)human_name(err->message, 0, message, sizeof message);
    (void)human_name(err->disk, 0, disk, sizeof disk);
    (void)fprintf(out, "resilver: ");
    if (disk[0] != '\0' && strstr(message, disk) == NULL) {
        (void)fprintf(out, "%s: ", disk);
    }
    (void)fprintf(out, "%s", message);
    if (err->has_offset) {
        (void)fprintf(out, " (at byte %" PRIu64 ")", err->offset_bytes);
    }
    (void)fputc('\n', out);
}
