/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json_out.h - the pieces that every --json object is made of. Those that make a value return NULL
 * only without memory; whoever puts values together goes on until json_out_print, which says so.
 */
#ifndef RESILVER_CLI_JSON_OUT_H
#define RESILVER_CLI_JSON_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

#define JSON_OUT_SCHEMA 1 /* keys may be added; those that are there stay as they are */
#define JSON_OUT_SHA256_BYTES 32U

/* json_out_text - a string of any bytes: U+FFFD for each that is no UTF-8. */
json_t *json_out_text(const char *text);

/* json_out_amount - at most INT64_MAX. */
json_t *json_out_amount(uint64_t bytes);

/* json_out_sha256 - "sha256:..." */
json_t *json_out_sha256(const uint8_t sum[JSON_OUT_SHA256_BYTES]);

/* json_out_time - nanoseconds since 1970 as "2026-03-01T10:20:30Z". */
json_t *json_out_time(uint64_t since_1970_ns);

/* json_out_seconds - with three digits behind the point. */
json_t *json_out_seconds(uint64_t elapsed_ns);

/* json_out_error - the object that a failure is: kind, message, disk, offset_bytes. */
json_t *json_out_error(const struct error *err);

/* json_out_put - value, taken over, also when it is NULL, into object. False: no memory. */
bool json_out_put(json_t *object, const char *key, json_t *value);

/* json_out_print - root, if it is complete, on one line; the words for the case that there was no
 * memory need none. root is taken over. */
void json_out_print(FILE *out, json_t *root, bool is_complete);

#endif
