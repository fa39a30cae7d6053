/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * body_fuzz.c - any bytes as the body of a call, with one member of each kind taken from it, and
 * the same from the object in it: what is given keeps to what was asked for, and what is accepted
 * had no member but those.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "control/body.h"

#define NAME_MAX_BYTES 16
#define NUMBER_MAX 1000U
#define NAMES_MAX 4U

static const char *const members[] = {"name", "needed", "number", "flag", "names", "inner"};

struct taken {
    struct body inner;
    const char *name;
    const char *needed;
    const char *names[NAMES_MAX];
    uint32_t count;
    uint64_t number;
    bool is_set;
    bool has_inner;
};

/* Errors in words, of bytes that a log and JSON may hold (JSON: the caller makes them UTF-8). */
static void check_error(const struct error *err)
{
    assert(err->kind == ERR_USAGE && err->message[0] != '\0');
    for (const char *c = err->message; *c != '\0'; c++) {
        assert((unsigned char)*c >= 0x20 && *c != 0x7f);
    }
}

static void take_all(struct body *body, struct taken *taken)
{
    if (body_take_text(body, "name", NAME_MAX_BYTES, &taken->name)) {
        assert(taken->name != NULL);
    }
    body_need_text(body, "needed", NAME_MAX_BYTES, &taken->needed);
    if (body_take_number(body, "number", NUMBER_MAX, &taken->number)) {
        assert(taken->number <= NUMBER_MAX);
    }
    (void)body_take_bool(body, "flag", &taken->is_set);
    if (body_take_texts(body, "names", taken->names, NAMES_MAX, &taken->count)) {
        assert(taken->count <= NAMES_MAX);
    }
    taken->has_inner = body_take_object(body, "inner", &taken->inner);
}

/* Whoever reads on uses the texts: they are still there. */
static void check_texts(const struct taken *taken)
{
    assert(taken->name == NULL || strlen(taken->name) < NAME_MAX_BYTES);
    assert(taken->needed != NULL && strlen(taken->needed) < NAME_MAX_BYTES);
    for (uint32_t i = 0; i < taken->count; i++) {
        assert(strlen(taken->names[i]) < CONTROL_BODY_MAX);
    }
}

static void check_members(struct const_span bytes)
{
    json_t *object = json_loadb((const char *)bytes.at, bytes.len_bytes, 0, NULL);
    const char *name = NULL;
    json_t *value = NULL;

    assert(object != NULL);
    json_object_foreach(object, name, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
            is_known = is_known || strcmp(name, members[i]) == 0;
        }
        assert(is_known);
    }
    json_decref(object);
}

static bool close_one(struct body *body, const struct taken *taken)
{
    struct error err = {.kind = ERR_NONE};

    if (body_close(body, &err) < 0) {
        check_error(&err);
        return false;
    }
    check_texts(taken);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct body body;
    struct taken outer = {.has_inner = false};
    struct taken inner = {.has_inner = false};
    struct error err = {.kind = ERR_NONE};

    if (size > CONTROL_BODY_MAX) {
        return 0;
    }
    if (body_open(&body, (const char *)data, size, &err) < 0) {
        check_error(&err);
        return 0;
    }
    take_all(&body, &outer);
    if (outer.has_inner) {
        take_all(&outer.inner, &inner);
        (void)close_one(&outer.inner, &inner);
    }
    if (close_one(&body, &outer)) {
        check_members((struct const_span){data, size});
    }
    body_done(&inner.inner);
    body_done(&outer.inner);
    body_done(&body);
    return 0;
}
