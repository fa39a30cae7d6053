/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/request.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "base/number.h"

#define MINUTES_PER_HOUR 60U

/* --- names in a path ------------------------------------------------------------------------- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One byte of the name from *at on; -1: a % without its digits. */
static int take_byte(struct const_span encoded, size_t *at)
{
    uint8_t first = encoded.at[(*at)++];

    if (first != '%') {
        return first;
    }
    if (encoded.len_bytes - *at < 2) {
        return -1;
    }
    int high = hex_digit(encoded.at[(*at)++]);
    int low = hex_digit(encoded.at[(*at)++]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* jansson knows what is UTF-8, and that is what has to take the name later. */
static bool is_utf8(const char *text)
{
    json_t *string = json_string(text);
    bool is = string != NULL;

    json_decref(string);
    return is;
}

int request_decode(struct const_span encoded, char *out, size_t size_bytes, struct error *err)
{
    size_t len_bytes = 0;

    for (size_t at = 0; at < encoded.len_bytes;) {
        int byte = take_byte(encoded, &at);
        if (byte <= 0) {
            return fail(err, ERR_USAGE, 0,
                        byte < 0 ? "a %% is not followed by two hexadecimal digits"
                                 : "a name has a NUL in it");
        }
        if (len_bytes + 1 >= size_bytes) {
            return fail(err, ERR_USAGE, 0, "a name is longer than %zu bytes", size_bytes - 1);
        }
        out[len_bytes++] = (char)byte;
    }
    out[len_bytes] = '\0';
    if (!is_utf8(out)) {
        return fail(err, ERR_USAGE, 0, "a name is not UTF-8");
    }
    return 0;
}

/* --- bodies ---------------------------------------------------------------------------------- */

int request_parse(struct const_span body, json_t **out, struct error *err)
{
    json_error_t where;
    json_t *root = body.len_bytes == 0 ? json_object()
                                       : json_loadb((const char *)body.at, body.len_bytes,
                                                    JSON_REJECT_DUPLICATES, &where);

    if (root == NULL && body.len_bytes == 0) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a request");
    }
    if (root == NULL) {
        return fail(err, ERR_USAGE, 0, "the body is no JSON: %s (line %d, column %d)", where.text,
                    where.line, where.column);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return fail(err, ERR_USAGE, 0, "the body must be a JSON object: {...}");
    }
    *out = root;
    return 0;
}

/* --- members --------------------------------------------------------------------------------- */

struct members members_of(const json_t *object)
{
    return (struct members){.object = object, .value = RETURN_DONE};
}

void members_wrong(struct members *members, enum return_value value, const char *format, ...)
{
    char text[ERROR_MESSAGE_MAX];
    va_list values;

    if (members->value != RETURN_DONE) {
        return;
    }
    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    members->value = value;
    (void)fail(&members->error, ERR_USAGE, 0, "%s", text);
}

static const json_t *take(struct members *members, const char *name)
{
    assert(members->known_count < CONTROL_MEMBERS_MAX);
    members->known[members->known_count++] = name;
    const json_t *value = json_object_get(members->object, name);
    return members->value != RETURN_DONE || json_is_null(value) ? NULL : value;
}

static const json_t *take_typed(struct members *members, const char *name, json_type type,
                                const char *type_name)
{
    const json_t *value = take(members, name);

    if (value == NULL || json_typeof(value) == type) {
        return value;
    }
    members_wrong(members, RETURN_WRONG_TYPE, "'%s' must be %s", name, type_name);
    return NULL;
}

const char *members_text(struct members *members, const char *name)
{
    return json_string_value(take_typed(members, name, JSON_STRING, "a text"));
}

const char *members_needed_text(struct members *members, const char *name)
{
    const char *text = members_text(members, name);

    if (text == NULL) {
        members_wrong(members, RETURN_INVALID_PARAMETER, "'%s' is missing", name);
    }
    return text;
}

bool members_integer(struct members *members, const char *name, uint64_t max, uint64_t *out)
{
    const json_t *value = take_typed(members, name, JSON_INTEGER, "a whole number");
    json_int_t number = json_integer_value(value);

    if (value == NULL) {
        return false;
    }
    if (number < 0 || (uint64_t)number > max) {
        members_wrong(members, RETURN_INVALID_PARAMETER, "'%s' must be from 0 to %llu, not %lld",
                      name, (unsigned long long)max, (long long)number);
        return false;
    }
    *out = (uint64_t)number;
    return true;
}

bool members_flag(struct members *members, const char *name, bool *out)
{
    const json_t *value = take(members, name);

    if (value == NULL) {
        return false;
    }
    if (!json_is_boolean(value)) {
        members_wrong(members, RETURN_WRONG_TYPE, "'%s' must be true or false", name);
        return false;
    }
    *out = json_is_true(value);
    return true;
}

const json_t *members_object(struct members *members, const char *name)
{
    return take_typed(members, name, JSON_OBJECT, "an object");
}

const json_t *members_list(struct members *members, const char *name)
{
    return take_typed(members, name, JSON_ARRAY, "a list");
}

/* "HH:MM", exactly. */
static bool read_minute(const char *text, uint32_t *out)
{
    if (strlen(text) != 5 || text[2] != ':' || strspn(text, "0123456789") != 2 ||
        strspn(text + 3, "0123456789") != 2) {
        return false;
    }
    uint32_t hour = (uint32_t)(text[0] - '0') * 10 + (uint32_t)(text[1] - '0');
    uint32_t minute = (uint32_t)(text[3] - '0') * 10 + (uint32_t)(text[4] - '0');
    *out = hour * MINUTES_PER_HOUR + minute;
    return hour < 24 && minute < MINUTES_PER_HOUR;
}

bool members_minute(struct members *members, const char *name, uint32_t *out)
{
    const char *text = members_text(members, name);
    uint32_t minute = 0;

    if (text == NULL) {
        return false;
    }
    if (!read_minute(text, &minute)) {
        members_wrong(members, RETURN_INVALID_PARAMETER,
                      "'%s' must be a time of the day as \"18:30\", not \"%.32s\"", name, text);
        return false;
    }
    *out = minute;
    return true;
}

bool members_query_number(struct members *members, const char *name, uint64_t max, uint64_t *out)
{
    const char *text = members_text(members, name);
    struct error err = {0};

    if (text == NULL) {
        return false;
    }
    if (number_parse_range(text, name, 0, max, out, &err) < 0) {
        members_wrong(members, RETURN_INVALID_PARAMETER, "%s", err.message);
        return false;
    }
    return true;
}

bool members_query_flag(struct members *members, const char *name, bool *out)
{
    const char *text = members_text(members, name);

    if (text == NULL) {
        return false;
    }
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        members_wrong(members, RETURN_INVALID_PARAMETER, "'%s' must be true or false", name);
        return false;
    }
    *out = strcmp(text, "true") == 0;
    return true;
}

static bool is_known(const struct members *members, const char *name)
{
    for (uint32_t i = 0; i < members->known_count; i++) {
        if (strcmp(members->known[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void refuse_unknown(struct members *members, const char *name)
{
    const char *nearest = NULL;

    for (uint32_t i = 0; i < members->known_count; i++) {
        nearest = nearest_pick(name, nearest, members->known[i]);
    }
    members_wrong(members, RETURN_INVALID_PARAMETER, "'%.64s' is not known here%s%s%s", name,
                  nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                  nearest != NULL ? "'?" : "");
}

int members_end(struct members *members, struct error *err)
{
    const char *name = NULL;
    json_t *value = NULL;

    /* jansson's iterators want to be able to change it. */
    json_object_foreach((json_t *)(uintptr_t)members->object, name, value)
    {
        (void)value;
        if (!is_known(members, name)) {
            refuse_unknown(members, name);
            break;
        }
    }
    if (members->value == RETURN_DONE) {
        return 0;
    }
    return fail(err, members->error.kind, 0, "%s", members->error.message);
}

/* --- settings -------------------------------------------------------------------------------- */

static void read_auto_resync(struct members *outer, struct relationship_settings *settings)
{
    struct members members = members_of(members_object(outer, "auto_resync"));
    struct error err = {0};

    (void)members_flag(&members, "enabled", &settings->is_auto_resync_enabled);
    (void)members_minute(&members, "start", &settings->auto_start_minute);
    (void)members_minute(&members, "end", &settings->auto_end_minute);
    if (members_end(&members, &err) < 0) {
        members_wrong(outer, members.value, "auto_resync: %s", err.message);
    }
}

int request_settings(const json_t *object, struct relationship_settings *settings,
                     enum return_value *out_value, struct error *err)
{
    struct members members = members_of(object);
    struct relationship_settings read = *settings;
    uint64_t history = read.recovery_history;
    uint64_t interval_s = read.interval_s;

    (void)members_integer(&members, "recovery_history", UINT32_MAX, &history);
    (void)members_integer(&members, "interval_s", UINT32_MAX, &interval_s);
    (void)members_integer(&members, "rate_bytes_per_s", INT64_MAX, &read.rate_bytes_per_s);
    (void)members_flag(&members, "compression", &read.is_compression_enabled);
    read_auto_resync(&members, &read);
    if (members_end(&members, err) < 0) {
        *out_value = members.value;
        return -1;
    }
    read.recovery_history = (uint32_t)history;
    read.interval_s = (uint32_t)interval_s;
    *settings = read;
    return 0;
}
