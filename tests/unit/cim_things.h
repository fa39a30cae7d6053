/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cim_things.h - a few classes with every type that there is, which the model's own do not all
 * have, and an arena for each test.
 */
#ifndef RESILVER_TESTS_CIM_THINGS_H
#define RESILVER_TESTS_CIM_THINGS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "cim/value.h"

#include <cmocka.h>

#define PROPERTY(property_name, property_type, ...)                                                \
    {                                                                                              \
        .name = (property_name), .type = (property_type), .origin = "Test_Thing", __VA_ARGS__      \
    }

static const struct cim_property thing_properties[] = {
    PROPERTY("CreationClassName", CIM_STRING, .is_key = true),
    PROPERTY("Name", CIM_STRING, .is_key = true),
    PROPERTY("Boolean", CIM_BOOLEAN),
    PROPERTY("Uint8", CIM_UINT8),
    PROPERTY("Uint16", CIM_UINT16, .initial = "12"),
    PROPERTY("Uint32", CIM_UINT32),
    PROPERTY("Uint64", CIM_UINT64),
    PROPERTY("Sint8", CIM_SINT8),
    PROPERTY("Sint16", CIM_SINT16),
    PROPERTY("Sint32", CIM_SINT32),
    PROPERTY("Sint64", CIM_SINT64),
    PROPERTY("Caption", CIM_STRING, .initial = "none yet"),
    PROPERTY("When", CIM_DATETIME, .initial = "00000000000500.000000:000"),
    PROPERTY("Other", CIM_REFERENCE, .reference_class = "Test_Thing"),
    PROPERTY("Numbers", CIM_UINT16, .is_array = true),
    PROPERTY("Texts", CIM_STRING, .is_array = true),
    PROPERTY("Part", CIM_STRING, .embedded_class = "Test_Base"),
    PROPERTY("Parts", CIM_STRING, .is_array = true, .embedded_class = "Test_Thing"),
};

static const struct cim_class base_class = {.name = "Test_Base", .is_abstract = true};

static const struct cim_class thing_class = {
    .name = "Test_Thing",
    .parent = &base_class,
    .properties = thing_properties,
    .property_count = ARRAY_COUNT(thing_properties),
    .key_count = 2,
};

static const struct cim_property link_properties[] = {
    PROPERTY("Antecedent", CIM_REFERENCE, .is_key = true),
    PROPERTY("Dependent", CIM_REFERENCE, .is_key = true),
};

static const struct cim_class link_class = {
    .name = "Test_Link",
    .is_association = true,
    .properties = link_properties,
    .property_count = ARRAY_COUNT(link_properties),
    .key_count = 2,
};

static const struct cim_property counter_properties[] = {
    PROPERTY("Index", CIM_UINT16, .is_key = true),
    PROPERTY("Level", CIM_SINT8, .is_key = true),
    PROPERTY("IsMain", CIM_BOOLEAN, .is_key = true),
    PROPERTY("Since", CIM_DATETIME, .is_key = true),
};

static const struct cim_class counter_class = {
    .name = "Test_Counter",
    .properties = counter_properties,
    .property_count = ARRAY_COUNT(counter_properties),
    .key_count = ARRAY_COUNT(counter_properties),
};

static inline int make_arena(void **state)
{
    struct arena *arena = calloc(1, sizeof *arena);

    if (arena == NULL) {
        return -1;
    }
    arena_init(arena, CIM_REQUEST_BYTES);
    *state = arena;
    return 0;
}

static inline int free_arena(void **state)
{
    arena_free(*state);
    free(*state);
    return 0;
}

#define ARENA_TEST(function) cmocka_unit_test_setup_teardown(function, make_arena, free_arena)

static inline struct cim_instance *make_thing(struct arena *arena, const char *name)
{
    struct cim_instance *thing = cim_instance_new(arena, &thing_class);

    assert_non_null(thing);
    cim_set_text(thing, "CreationClassName", "Test_Thing");
    cim_set_text(thing, "Name", name);
    return thing;
}

static inline const struct cim_path *read_path(struct arena *arena, const char *text)
{
    const struct cim_path *path = NULL;
    struct error err = {0};

    if (cim_path_read(arena, text, &path, &err) != 0) {
        fail_msg("%s: %s", text, err.message);
    }
    return path;
}

/* Whether every class of this file is used is the test's business. */
static const struct cim_class *const all_things[]
    __attribute__((unused)) = {&base_class, &thing_class, &link_class, &counter_class};

#endif
