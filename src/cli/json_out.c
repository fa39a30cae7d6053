/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/json_out.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/env.h"

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

json_t *json_out_text(const char *text)
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

json_t *json_out_amount(uint64_t bytes)
{
    assert(bytes <= INT64_MAX);
    return json_integer((json_int_t)bytes);
}

json_t *json_out_sha256(const uint8_t sum[JSON_OUT_SHA256_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char text[sizeof "sha256:" + (size_t)2 * JSON_OUT_SHA256_BYTES] = "sha256:";
    char *to = text + strlen(text);

    for (size_t i = 0; i < JSON_OUT_SHA256_BYTES; i++) {
        *to++ = digits[sum[i] >> 4];
        *to++ = digits[sum[i] & 15];
    }
    *to = '\0';
    return json_string(text);
}

json_t *json_out_time(uint64_t since_1970_ns)
{
    time_t seconds = (time_t)(since_1970_ns / NS_PER_S);
    struct tm utc;
    char text[32];

    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        return json_null(); /* a year that no calendar has */
    }
    return json_string(text);
}

json_t *json_out_seconds(uint64_t elapsed_ns)
{
    /* Whole milliseconds: a double holds them exactly enough to be printed shortly. */
    uint64_t elapsed_ms = elapsed_ns / NS_PER_MS;

    return json_real((double)elapsed_ms / 1000.0);
}

bool json_out_put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

json_t *json_out_error(const struct error *err)
{
    json_t *error = json_object();

    if (error != NULL && json_out_put(error, "kind", json_string(error_kind_name(err->kind))) &&
        json_out_put(error, "message", json_out_text(err->message)) &&
        json_out_put(error, "disk",
                     err->disk[0] == '\0' ? json_null() : json_out_text(err->disk)) &&
        json_out_put(error, "offset_bytes",
                     err->has_offset ? json_out_amount(err->offset_bytes) : json_null())) {
        return error;
    }
    json_decref(error);
    return NULL;
}

void json_out_print(FILE *out, json_t *root, bool is_complete)
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
