/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wql_rig.h - a class with a property of every kind, and an instance of it, for queries. Included
 * by each test that asks.
 */
#ifndef RESILVER_TESTS_WQL_RIG_H
#define RESILVER_TESTS_WQL_RIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cim/wql.h"

static const struct cim_property base_properties[] = {
    {.name = "Name", .type = CIM_STRING, .is_key = true, .origin = "Test_Base"},
};
static const struct cim_class base_class = {.name = "Test_Base",
                                            .spaces = CIM_SPACE_VIRTUALIZATION,
                                            .properties = base_properties,
                                            .property_count = 1,
                                            .key_count = 1};

static const struct cim_property thing_properties[] = {
    {.name = "Name", .type = CIM_STRING, .is_key = true, .origin = "Test_Base"},
    {.name = "Digits", .type = CIM_STRING},
    {.name = "Nothing", .type = CIM_STRING},
    {.name = "Letter", .type = CIM_CHAR16},
    {.name = "Count", .type = CIM_UINT16},
    {.name = "Size", .type = CIM_UINT64},
    {.name = "Delta", .type = CIM_SINT64},
    {.name = "Ratio", .type = CIM_REAL64},
    {.name = "NoNumber", .type = CIM_REAL64},
    {.name = "IsOn", .type = CIM_BOOLEAN},
    {.name = "When", .type = CIM_DATETIME},
    {.name = "Length", .type = CIM_DATETIME},
    {.name = "Tags", .type = CIM_STRING, .is_array = true},
    {.name = "Numbers", .type = CIM_UINT16, .is_array = true},
    {.name = "Nones", .type = CIM_UINT16, .is_array = true},
    {.name = "Owner", .type = CIM_REFERENCE, .reference_class = "Test_Base"},
    {.name = "Inside", .type = CIM_STRING, .embedded_class = "Test_Base"},
    {.name = "Insides", .type = CIM_STRING, .is_array = true, .embedded_class = "Test_Base"},
};
static const struct cim_class thing_class = {.name = "Test_Thing",
                                             .parent = &base_class,
                                             .spaces = CIM_SPACE_VIRTUALIZATION,
                                             .properties = thing_properties,
                                             .property_count = ARRAY_COUNT(thing_properties),
                                             .key_count = 1};

/* A value as whoever maps the service's objects makes it, past the helpers of value.h, which look
 * for what the tables of the model say. */
static inline void set_items(struct cim_instance *instance, const char *name, enum cim_type type,
                             const union cim_item *items, uint32_t count)
{
    int index = cim_property_index(instance->class, name);
    union cim_item *copy = arena_take_many(instance->arena, count > 0 ? count : 1, sizeof *copy);

    assert_true(index >= 0);
    assert_non_null(copy);
    if (count > 0) {
        memcpy(copy, items, count * sizeof *copy);
    }
    instance->values[index] = (struct cim_value){
        .type = type, .is_array = thing_properties[index].is_array, .count = count, .items = copy};
}

static inline void set_item(struct cim_instance *instance, const char *name, enum cim_type type,
                            union cim_item item)
{
    set_items(instance, name, type, &item, 1);
}

static inline struct cim_instance *make_base(struct arena *arena, const char *name)
{
    struct cim_instance *instance = cim_instance_new(arena, &base_class);

    assert_non_null(instance);
    set_item(instance, "Name", CIM_STRING, (union cim_item){.text = name});
    return instance;
}

static inline struct cim_instance *make_thing(struct arena *arena)
{
    struct cim_instance *it = cim_instance_new(arena, &thing_class);
    const struct cim_instance *base = make_base(arena, "inner");

    assert_non_null(it);
    set_item(it, "Name", CIM_STRING, (union cim_item){.text = "Web\\1 'live'"});
    set_item(it, "Digits", CIM_STRING, (union cim_item){.text = "0042"});
    set_item(it, "Letter", CIM_CHAR16, (union cim_item){.text = "q"});
    set_item(it, "Count", CIM_UINT16, (union cim_item){.number = 42});
    set_item(it, "Size", CIM_UINT64, (union cim_item){.number = (1ULL << 63) + 1});
    set_item(it, "Delta", CIM_SINT64, (union cim_item){.integer = INT64_MIN});
    set_item(it, "Ratio", CIM_REAL64, (union cim_item){.real = 0.25});
    set_item(it, "NoNumber", CIM_REAL64, (union cim_item){.real = NAN});
    set_item(it, "IsOn", CIM_BOOLEAN, (union cim_item){.boolean = true});
    set_item(it, "When", CIM_DATETIME, (union cim_item){.text = "20260301220000.000000+060"});
    set_item(it, "Length", CIM_DATETIME, (union cim_item){.text = "00000000000500.000000:000"});
    set_items(it, "Tags", CIM_STRING, (const union cim_item[]){{.text = "red"}, {.text = "Blue"}},
              2);
    set_items(it, "Numbers", CIM_UINT16, (const union cim_item[]){{.number = 2}, {.number = 7}}, 2);
    set_items(it, "Nones", CIM_UINT16, NULL, 0);
    set_item(it, "Owner", CIM_REFERENCE,
             (union cim_item){.path = cim_path_new(arena, "Test_Base", "Name", "anna", NULL)});
    set_item(it, "Inside", CIM_INSTANCE, (union cim_item){.instance = base});
    set_items(it, "Insides", CIM_INSTANCE,
              (const union cim_item[]){{.instance = base}, {.instance = it}}, 2);
    return it;
}

#endif
