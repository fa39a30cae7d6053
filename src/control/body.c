/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/body.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

int body_open(struct body *body, const char *text, size_t len_bytes, struct error *err)
{
    json_error_t where;

    *body = (struct body){0};
    if (len_bytes == 0) {
        body->object = json_object();
        return body->object != NULL ? 0 : fail(err, ERR_LIMIT, 0, "out of memory for a call");
    }
    body->object = json_loadb(text, len_bytes, JSON_REJECT_DUPLICATES, &where);
    if (body->object == NULL) {
        return fail(err, ERR_USAGE, 0, "the body is no JSON: %.160s (line %d)", where.text,
                    where.line);
    }
    if (!json_is_object(body->object)) {
        json_decref(body->object);
        body->object = NULL;
        return fail(err, ERR_USAGE, 0, "the body must be a JSON object");
    }
    return 0;
}

void body_done(struct body *body)
{
    json_decref(body->object);
    body->object = NULL;
    json_decref(body->kept);
    body->kept = NULL;
}

void body_fail(struct body *body, const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list arguments;

    if (body->is_bad) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    body->is_bad = true;
    (void)fail(&body->error, ERR_USAGE, 0, "%s", message);
}

/* Off the object, so that what is left was not known. The caller releases it. */
static json_t *take(struct body *body, const char *name)
{
    json_t *value = json_incref(json_object_get(body->object, name));

    if (value != NULL) {
        (void)json_object_del(body->object, name); /* cannot fail: it is there */
    }
    if (json_is_null(value)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

/* Borrowed texts live as long as the body. */
static void keep(struct body *body, const char *name, json_t *value)
{
    if (body->kept == NULL) {
        body->kept = json_array();
    }
    if (json_array_append_new(body->kept, value) < 0) { /* no list is a failure too */
        body_fail(body, "out of memory for member '%s'", name);
    }
}

bool body_take_text(struct body *body, const char *name, size_t size_bytes, const char **out)
{
    json_t *value = take(body, name);

    if (value == NULL) {
        return false;
    }
    const char *text = json_string_value(value);
    if (text == NULL) {
        body_fail(body, "member '%s' must be a text", name);
    } else if (json_string_length(value) != strlen(text) || strlen(text) >= size_bytes) {
        body_fail(body, "member '%s' is too long, or holds a NUL", name);
    } else {
        *out = text;
    }
    keep(body, name, value);
    return !body->is_bad;
}

void body_need_text(struct body *body, const char *name, size_t size_bytes, const char **out)
{
    if (!body_take_text(body, name, size_bytes, out)) {
        body_fail(body, "member '%s' is missing", name);
    }
}

bool body_take_number(struct body *body, const char *name, uint64_t max, uint64_t *out)
{
    json_t *value = take(body, name);

    if (value == NULL) {
        return false;
    }
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uint64_t)number > max) {
        body_fail(body, "member '%s' must be a whole number from 0 to %llu", name,
                  (unsigned long long)max);
    } else {
        *out = (uint64_t)number;
    }
    json_decref(value);
    return !body->is_bad;
}

bool body_take_bool(struct body *body, const char *name, bool *out)
{
    json_t *value = take(body, name);

    if (value == NULL) {
        return false;
    }
    if (!json_is_boolean(value)) {
        body_fail(body, "member '%s' must be true or false", name);
    } else {
        *out = json_is_true(value);
    }
    json_decref(value);
    return !body->is_bad;
}

bool body_take_object(struct body *body, const char *name, struct body *out)
{
    json_t *value = take(body, name);

    *out = (struct body){0};
    if (value == NULL) {
        return false;
    }
    if (!json_is_object(value)) {
        body_fail(body, "member '%s' must be an object", name);
        json_decref(value);
        return false;
    }
    out->object = value;
    return true;
}

bool body_take_texts(struct body *body, const char *name, const char **out, uint32_t max,
                     uint32_t *out_count)
{
    json_t *value = take(body, name);
    size_t count = json_array_size(value);

    if (value == NULL) {
        return false;
    }
    if (!json_is_array(value) || count > max) {
        body_fail(body, "member '%s' must be a list of at most %u texts", name, max);
    }
    for (size_t i = 0; i < count && !body->is_bad; i++) {
        out[i] = json_string_value(json_array_get(value, i));
        if (out[i] == NULL) {
            body_fail(body, "member '%s' must be a list of texts", name);
        }
    }
    *out_count = body->is_bad ? 0 : (uint32_t)count;
    keep(body, name, value);
    return !body->is_bad;
}

int body_close(struct body *body, struct error *err)
{
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach(body->object, name, value)
    {
        body_fail(body, "member '%.64s' is not known here", name);
    }
    if (body->is_bad && err != NULL) {
        *err = body->error;
    }
    return body->is_bad ? -1 : 0;
}
