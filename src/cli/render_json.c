/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/render_json.h"

#include <assert.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/env.h"

#define JSON_SCHEMA 1

/* Bytes of the UTF-8 character at `at`, 0 if there is none. jansson judges; no character is longer
 * than four. */
static size_t character_len(const char *at)
{
    for (size_t len_bytes = 1; len_bytes <= 4 && at[len_bytes - 1] != '\0'; len_bytes++) {
        json_t *one = json_stringn(at, len_bytes);
        if (one != NULL) {
            json_decref(one);
            return len_bytes;
        }
    }
    return 0;
}

/* A JSON string of any bytes. NULL only without memory. */
static json_t *make_text(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    char buffer[3 * PATH_TEXT_MAX + 1];
    size_t used = 0;
    json_t *whole = json_string(text);

    if (whole != NULL) {
        return whole;
    }
    for (const char *at = text; *at != '\0' && used + 4 < sizeof buffer;) {
        size_t len_bytes = character_len(at);
        const char *from = len_bytes == 0 ? replacement : at;
        size_t copy_bytes = len_bytes == 0 ? strlen(replacement) : len_bytes;
        memcpy(buffer + used, from, copy_bytes);
        used += copy_bytes;
        at += len_bytes == 0 ? 1 : len_bytes;
    }
    return json_stringn(buffer, used);
}

static json_t *make_amount(uint64_t bytes)
{
    assert(bytes <= INT64_MAX);
    return json_integer((json_int_t)bytes);
}

static json_t *make_proof(const struct report_disk *disk)
{
    static const char digits[] = "0123456789abcdef";
    char text[sizeof "sha256:" + (size_t)2 * REPORT_PROOF_BYTES] = "sha256:";
    char *to = text + strlen(text);

    if (!disk->has_proof) {
        return json_null();
    }
    for (size_t i = 0; i < REPORT_PROOF_BYTES; i++) {
        *to++ = digits[disk->proof[i] >> 4];
        *to++ = digits[disk->proof[i] & 15];
    }
    *to = '\0';
    return json_string(text);
}

/* Puts value (taken over, also when it is NULL for want of memory) into object. */
static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static bool fill_disk(json_t *object, const struct report_disk *disk)
{
    return put(object, "source", make_text(disk->source)) &&
           put(object, "target", make_text(disk->target)) &&
           put(object, "size_bytes", make_amount(disk->size_bytes)) &&
           put(object, "compared_bytes", make_amount(disk->compared_bytes)) &&
           put(object, "skipped_zero_bytes", make_amount(disk->skipped_zero_bytes)) &&
           put(object, "resumed_bytes", make_amount(disk->resumed_bytes)) &&
           put(object, "different_bytes", make_amount(disk->different_bytes)) &&
           put(object, "written_bytes", make_amount(disk->written_bytes)) &&
           put(object, "verified_bytes", make_amount(disk->verified_bytes)) &&
           put(object, "proof", make_proof(disk));
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
    /* Whole milliseconds: a double holds them exactly enough to be printed shortly. */
    uint64_t elapsed_ms = report->elapsed_ns / NS_PER_MS;
    double seconds = (double)elapsed_ms / 1000.0;
    const char *result = report_is_different(report) ? "different" : "in-sync";
    json_t *disks = json_array();
    json_t *wire = json_object();

    /* First handed over, then filled: from then on the root frees them. */
    return put(root, "schema", json_integer(JSON_SCHEMA)) &&
           put(root, "result", json_string(result)) &&
           put(root, "elapsed_seconds", json_real(seconds)) && put(root, "disks", disks) &&
           put(root, "wire", wire) && fill_disks(disks, report) &&
           put(wire, "sent_bytes", make_amount(report->sent_bytes)) &&
           put(wire, "received_bytes", make_amount(report->received_bytes)) &&
           put(wire, "compressed_from_bytes", make_amount(report->compressed_from_bytes));
}

static bool fill_error(json_t *root, const struct error *err)
{
    json_t *error = json_object();

    return put(root, "schema", json_integer(JSON_SCHEMA)) &&
           put(root, "result", json_string("failed")) && put(root, "error", error) &&
           put(error, "kind", json_string(error_kind_name(err->kind))) &&
           put(error, "message", make_text(err->message)) &&
           put(error, "disk", err->disk[0] == '\0' ? json_null() : make_text(err->disk)) &&
           put(error, "offset_bytes",
               err->has_offset ? make_amount(err->offset_bytes) : json_null());
}

/* Prints root if it is complete; the words for the case that there was no memory need none. */
static void print_and_free(FILE *out, json_t *root, bool is_complete)
{
    if (is_complete && json_dumpf(root, out, JSON_COMPACT | JSON_REAL_PRECISION(12)) == 0) {
        (void)fputc('\n', out); /* command_finish() asks the stream */
    } else {
        (void)fputs("{\"schema\":1,\"result\":\"failed\",\"error\":{\"kind\":\"limit\",\"message\":"
                    "\"no memory for the result\",\"disk\":null,\"offset_bytes\":null}}\n",
                    out);
    }
    json_decref(root);
}

void render_json_result(FILE *out, const struct report *report)
{
    json_t *root = json_object();

    print_and_free(out, root, root != NULL && fill_result(root, report));
}

void render_json_error(FILE *out, const struct error *err)
{
    json_t *root = json_object();

    print_and_free(out, root, root != NULL && fill_error(root, err));
}
