/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cim_path_fuzz.c - any text as an object path: what is taken is the same path once it is printed
 * and read again, and can be compared with the instances of every class; what is refused leaves the
 * output alone.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "cim/value.h"

static void check_taken(struct arena *arena, const struct cim_path *path)
{
    const struct cim_path *again = NULL;
    struct error err = {0};

    assert(path->key_count <= CIM_KEYS_MAX && path->class_name[0] != '\0');
    const char *text = cim_path_text(arena, path);
    int result = cim_path_read(arena, text, &again, &err);
    /* With its escapes it may have become too much. */
    assert(result == 0 || arena->bad || strlen(text) > CIM_TEXT_MAX);
    if (result == 0) {
        bool is_equal = cim_path_equal(path, again) && cim_path_equal(again, path);
        assert(is_equal && again->key_count == path->key_count);
    }
}

static void check_instances(struct arena *arena, const struct cim_path *path)
{
    for (uint32_t i = 0; i < cim_class_count; i++) {
        struct cim_instance *instance = cim_instance_new(arena, cim_classes[i]);
        for (uint32_t k = 0; instance != NULL && k < cim_classes[i]->key_count; k++) {
            const struct cim_property *key = &cim_classes[i]->properties[k];
            if (key->type == CIM_REFERENCE) {
                cim_set_path(instance, key->name, path);
            } else if (key->type == CIM_STRING) {
                cim_set_text(instance, key->name, cim_path_key(path, key->name));
            }
        }
        (void)cim_path_matches(path, instance);
        const struct cim_path *own = cim_instance_path(arena, instance, path->namespace_name);
        if (own != NULL && own->key_count == cim_classes[i]->key_count) {
            bool is_matched = cim_path_matches(own, instance);
            assert(is_matched);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    const struct cim_path *path = NULL;
    struct error err = {0};
    struct arena arena;

    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    arena_init(&arena, CIM_REQUEST_BYTES);
    if (cim_path_read(&arena, text, &path, &err) == 0) {
        check_taken(&arena, path);
        check_instances(&arena, path);
    } else {
        assert(path == NULL && err.kind == ERR_USAGE && err.message[0] != '\0');
    }
    arena_free(&arena);
    free(text);
    return 0;
}
