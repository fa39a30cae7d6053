/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cim_embedded_fuzz.c - any text as an embedded instance, a value and a path. What is taken is
 * written and read again, and then is written the same.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "cim/xml.h"

static void check_embedded(struct arena *arena, const char *text)
{
    const struct cim_instance *instance = NULL;
    const struct cim_instance *again = NULL;
    struct error err = {0};

    if (cim_xml_read_embedded(arena, text, NULL, &instance, &err) != 0) {
        assert(instance == NULL && err.message[0] != '\0');
        assert(err.kind == ERR_USAGE || err.kind == ERR_LIMIT);
        return;
    }
    const char *written = cim_xml_embedded(arena, instance);

    /* Escaping may make it longer than what may be read. */
    if (written != NULL &&
        cim_xml_read_embedded(arena, written, instance->class->name, &again, &err) == 0) {
        const char *rewritten = cim_xml_embedded(arena, again);

        assert(arena->bad || strcmp(written, rewritten) == 0);
    } else {
        assert(arena->bad || err.kind == ERR_LIMIT);
    }
}

static void check_path(struct arena *arena, const struct xml_element *root)
{
    const struct cim_path *path = NULL;
    const struct cim_path *again = NULL;
    struct xml_element *reread = NULL;
    struct xml_text text;

    if (cim_xml_read_path(arena, root, &path, NULL) != 0) {
        assert(path == NULL);
        return;
    }
    xml_text_init(&text, HTTP_ANSWER_MAX);
    cim_xml_path(&text, path);
    int result = xml_text_done(&text, NULL);
    struct const_span span = {(const uint8_t *)text.at, text.used_bytes};

    assert(result == 0);
    if (xml_parse(arena, span, "utf-8", &reread, NULL, NULL) == 0 &&
        cim_xml_read_path(arena, reread, &again, NULL) == 0) {
        assert(again->key_count == path->key_count);
        assert(strcmp(again->class_name, path->class_name) == 0);
    }
    xml_text_free(&text);
}

static void check_values(struct arena *arena, const struct xml_element *root)
{
    for (enum cim_type type = CIM_BOOLEAN; type <= CIM_REFERENCE; type++) {
        for (unsigned is_array = 0; is_array < 2; is_array++) {
            struct cim_value value = {.count = 77};
            struct error err = {0};

            if (cim_xml_read_value(arena, root, type, is_array == 1, "CIM_ManagedElement", &value,
                                   &err) == 0) {
                assert(!value.is_null && value.count <= CIM_ARRAY_MAX);
                assert(value.type == type || value.type == CIM_INSTANCE);
            } else {
                assert(value.count == 77 && err.message[0] != '\0');
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct xml_element *root = NULL;
    struct const_span span = {data, size};

    arena_init(&arena, CIM_REQUEST_BYTES);
    const char *text = arena_text_of(&arena, (const char *)data, size);

    if (text != NULL) {
        check_embedded(&arena, text);
    }
    arena_free(&arena);
    if (xml_parse(&arena, span, NULL, &root, NULL, NULL) == 0) {
        check_path(&arena, root);
        check_values(&arena, root);
    }
    arena_free(&arena);
    return 0;
}
