/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wql_fuzz.c - any text as a query, asked of every class of the model and of an empty instance of
 * each. What is taken holds what wql.h promises; and as a pattern of LIKE: what is before the first
 * line feed, against what follows.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cim/wql_internal.h"

static void check_query(const struct wql *query)
{
    assert(query->kind == WQL_SELECT || query->kind == WQL_ASSOCIATORS ||
           query->kind == WQL_REFERENCES);
    assert(query->step_count <= WQL_STEPS_MAX);
    if (query->kind == WQL_SELECT) {
        assert(query->class_name != NULL && query->class_name[0] != '\0' && query->of == NULL);
        assert(query->properties != NULL || query->property_count == 0);
    } else {
        assert(query->of != NULL && query->class_name == NULL && query->step_count == 0);
    }
}

static void ask(struct arena *arena, const struct wql *query, const struct cim_class *class)
{
    const struct cim_instance *instance = NULL;

    if (wql_check(query, class, NULL) < 0) {
        return;
    }
    instance = cim_instance_new(arena, class);
    if (instance != NULL) {
        (void)wql_matches(query, instance);
    }
    if (class->property_count > 0) {
        (void)wql_wanted_text(query, class->properties[0].name);
    }
}

static void try_query(const char *text)
{
    struct arena arena;
    struct wql query = {0};
    struct error err = {0};

    arena_init(&arena, CIM_REQUEST_BYTES);
    if (wql_parse(&arena, text, &query, &err) == 0) {
        check_query(&query);
        for (uint32_t i = 0; query.kind == WQL_SELECT && i < cim_class_count; i++) {
            ask(&arena, &query, cim_classes[i]);
        }
    } else {
        assert((err.kind == ERR_USAGE || err.kind == ERR_LIMIT) && err.message[0] != '\0');
        assert(query.kind == WQL_INVALID);
    }
    arena_free(&arena);
}

static void try_pattern(char *text)
{
    char *separator = strchr(text, '\n');

    if (separator != NULL) {
        *separator = '\0';
        if (wql_like_check(text) == NULL) {
            (void)wql_like(text, separator + 1);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (text == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    try_query(text);
    try_pattern(text);
    free(text);
    return 0;
}
