/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <string.h>

#include "cim/value.h"

/* --- making --------------------------------------------------------------------------------- */

/* The MOF's default: a mistake in it is ours. */
static struct cim_value initial_value(struct arena *arena, const struct cim_property *property)
{
    struct cim_value value = cim_null(property->type, property->is_array);
    union cim_item *item = NULL;

    if (property->initial == NULL || property->is_array) {
        return value;
    }
    item = arena_take(arena, sizeof *item);
    if (item == NULL) {
        return value;
    }
    int result = cim_item_read(arena, property->type, property->initial, item, NULL);
    assert(result == 0 || arena->bad);
    if (result == 0) {
        value.is_null = false;
        value.count = 1;
        value.items = item;
    }
    return value;
}

struct cim_instance *cim_instance_new(struct arena *arena, const struct cim_class *class)
{
    struct cim_instance *instance = arena_take(arena, sizeof *instance);
    struct cim_value *values =
        arena_take_many(arena, class->property_count, sizeof *instance->values);

    if (instance == NULL || values == NULL) {
        return NULL;
    }
    *instance = (struct cim_instance){.class = class, .values = values, .arena = arena};
    for (uint32_t i = 0; i < class->property_count; i++) {
        values[i] = initial_value(arena, &class->properties[i]);
    }
    return arena->bad ? NULL : instance;
}

/* --- setting -------------------------------------------------------------------------------- */

/* A property of our model by a name of our code. */
struct slot {
    const struct cim_property *property;
    struct cim_value *value;
};

static struct slot slot_of(struct cim_instance *instance, const char *name)
{
    int index = cim_property_index(instance->class, name);

    assert(index >= 0 && (uint32_t)index < instance->class->property_count);
    return (struct slot){.property = &instance->class->properties[index],
                         .value = &instance->values[index]};
}

static struct slot scalar_of(struct cim_instance *instance, const char *name)
{
    struct slot slot = slot_of(instance, name);

    assert(!slot.property->is_array);
    return slot;
}

static bool is_unsigned(enum cim_type type, uint64_t *max)
{
    switch (type) {
    case CIM_UINT8:
        *max = UINT8_MAX;
        return true;
    case CIM_UINT16:
        *max = UINT16_MAX;
        return true;
    case CIM_UINT32:
        *max = UINT32_MAX;
        return true;
    case CIM_UINT64:
        *max = UINT64_MAX;
        return true;
    case CIM_INVALID:
    case CIM_BOOLEAN:
    case CIM_SINT8:
    case CIM_SINT16:
    case CIM_SINT32:
    case CIM_SINT64:
    case CIM_REAL32:
    case CIM_REAL64:
    case CIM_CHAR16:
    case CIM_STRING:
    case CIM_DATETIME:
    case CIM_REFERENCE:
    case CIM_INSTANCE:
        break;
    }
    return false;
}

static bool is_in_signed(enum cim_type type, int64_t value)
{
    if (type == CIM_SINT8) {
        return value >= INT8_MIN && value <= INT8_MAX;
    }
    if (type == CIM_SINT16) {
        return value >= INT16_MIN && value <= INT16_MAX;
    }
    if (type == CIM_SINT32) {
        return value >= INT32_MIN && value <= INT32_MAX;
    }
    return type == CIM_SINT64;
}

/* Puts items in, which are the arena's already; NULL with a count: there was no memory for them. */
static void put(struct slot slot, enum cim_type type, union cim_item *items, uint32_t count)
{
    *slot.value = cim_null(type, slot.property->is_array);
    if (items != NULL || count == 0) {
        slot.value->is_null = false;
        slot.value->count = count;
        slot.value->items = items;
    }
}

static void put_one(struct cim_instance *instance, struct slot slot, union cim_item item)
{
    union cim_item *items = arena_take(instance->arena, sizeof *items);

    if (items != NULL) {
        *items = item;
    }
    put(slot, slot.property->type, items, 1);
}

void cim_set_null(struct cim_instance *instance, const char *name)
{
    if (instance != NULL) {
        struct slot slot = slot_of(instance, name);
        *slot.value = cim_null(slot.property->type, slot.property->is_array);
    }
}

void cim_set_boolean(struct cim_instance *instance, const char *name, bool value)
{
    if (instance != NULL) {
        struct slot slot = scalar_of(instance, name);
        assert(slot.property->type == CIM_BOOLEAN);
        put_one(instance, slot, (union cim_item){.boolean = value});
    }
}

void cim_set_number(struct cim_instance *instance, const char *name, uint64_t value)
{
    uint64_t max = 0;

    if (instance != NULL) {
        struct slot slot = scalar_of(instance, name);
        bool is_right = is_unsigned(slot.property->type, &max);
        assert(is_right && value <= max);
        put_one(instance, slot, (union cim_item){.number = value});
    }
}

void cim_set_integer(struct cim_instance *instance, const char *name, int64_t value)
{
    if (instance != NULL) {
        struct slot slot = scalar_of(instance, name);
        assert(is_in_signed(slot.property->type, value));
        put_one(instance, slot, (union cim_item){.integer = value});
    }
}

void cim_set_text(struct cim_instance *instance, const char *name, const char *value)
{
    if (instance == NULL) {
        return;
    }
    struct slot slot = scalar_of(instance, name);
    bool is_datetime = slot.property->type == CIM_DATETIME;
    assert(is_datetime || slot.property->type == CIM_STRING);
    if (value == NULL) {
        cim_set_null(instance, name);
        return;
    }
    assert(!is_datetime || cim_datetime_is(value));
    const char *copy = arena_text(instance->arena, value);
    if (copy != NULL) {
        put_one(instance, slot, (union cim_item){.text = copy});
    }
}

void cim_set_moment(struct cim_instance *instance, const char *name, int64_t at_us)
{
    char text[CIM_DATETIME_TEXT_MAX];

    if (instance != NULL) {
        assert(scalar_of(instance, name).property->type == CIM_DATETIME);
        cim_datetime_moment(at_us, text);
        cim_set_text(instance, name, at_us == 0 ? NULL : text);
    }
}

void cim_set_interval(struct cim_instance *instance, const char *name, uint64_t length_us)
{
    char text[CIM_DATETIME_TEXT_MAX];

    if (instance != NULL) {
        assert(scalar_of(instance, name).property->type == CIM_DATETIME);
        cim_datetime_interval(length_us, text);
        cim_set_text(instance, name, text);
    }
}

void cim_set_path(struct cim_instance *instance, const char *name, const struct cim_path *path)
{
    if (instance == NULL) {
        return;
    }
    struct slot slot = scalar_of(instance, name);
    assert(slot.property->type == CIM_REFERENCE);
    if (path == NULL) {
        cim_set_null(instance, name);
    } else {
        put_one(instance, slot, (union cim_item){.path = path});
    }
}

void cim_set_numbers(struct cim_instance *instance, const char *name, const uint64_t *values,
                     uint32_t count)
{
    uint64_t max = 0;

    if (instance == NULL) {
        return;
    }
    struct slot slot = slot_of(instance, name);
    bool is_right = is_unsigned(slot.property->type, &max);
    assert(is_right && slot.property->is_array);
    union cim_item *items = arena_take_many(instance->arena, count, sizeof *items);
    for (uint32_t i = 0; items != NULL && i < count; i++) {
        assert(values[i] <= max);
        items[i].number = values[i];
    }
    put(slot, slot.property->type, items, count);
}

void cim_set_texts(struct cim_instance *instance, const char *name, const char *const *values,
                   uint32_t count)
{
    if (instance == NULL) {
        return;
    }
    struct slot slot = slot_of(instance, name);
    assert(slot.property->type == CIM_STRING && slot.property->is_array);
    union cim_item *items = arena_take_many(instance->arena, count, sizeof *items);
    for (uint32_t i = 0; items != NULL && i < count; i++) {
        items[i].text = values[i] == NULL ? NULL : arena_text(instance->arena, values[i]);
        if (items[i].text == NULL) { /* no memory, here or where it was to be made */
            items = NULL;
        }
    }
    put(slot, slot.property->type, items, count);
}

void cim_set_instances(struct cim_instance *instance, const char *name,
                       const struct cim_instance *const *values, uint32_t count)
{
    if (instance == NULL) {
        return;
    }
    struct slot slot = slot_of(instance, name);
    assert(slot.property->embedded_class != NULL && (slot.property->is_array || count <= 1));
    if (count == 0 && !slot.property->is_array) {
        cim_set_null(instance, name);
        return;
    }
    union cim_item *items = arena_take_many(instance->arena, count, sizeof *items);
    for (uint32_t i = 0; items != NULL && i < count; i++) {
        if (values[i] == NULL) { /* there was no memory to make it */
            items = NULL;
        } else {
            assert(cim_class_is_named(values[i]->class, slot.property->embedded_class));
            items[i].instance = values[i];
        }
    }
    put(slot, CIM_INSTANCE, items, count);
}

/* --- getting -------------------------------------------------------------------------------- */

const struct cim_value *cim_get(const struct cim_instance *instance, const char *name)
{
    int index = instance == NULL ? -1 : cim_property_index(instance->class, name);

    return index < 0 ? NULL : &instance->values[index];
}

/* The one item of a value that is no array and not null. */
static const union cim_item *one_item(const struct cim_value *value)
{
    return value == NULL || value->is_null || value->is_array ? NULL : value->items;
}

const char *cim_get_text(const struct cim_instance *instance, const char *name)
{
    const struct cim_value *value = cim_get(instance, name);
    const union cim_item *item = one_item(value);

    return item != NULL && (value->type == CIM_STRING || value->type == CIM_DATETIME) ? item->text
                                                                                      : NULL;
}

bool cim_get_number(const struct cim_instance *instance, const char *name, uint64_t *out)
{
    const struct cim_value *value = cim_get(instance, name);
    const union cim_item *item = one_item(value);
    uint64_t max = 0;

    if (item == NULL || !is_unsigned(value->type, &max)) {
        return false;
    }
    *out = item->number;
    return true;
}

bool cim_get_boolean(const struct cim_instance *instance, const char *name, bool *out)
{
    const struct cim_value *value = cim_get(instance, name);
    const union cim_item *item = one_item(value);

    if (item == NULL || value->type != CIM_BOOLEAN) {
        return false;
    }
    *out = item->boolean;
    return true;
}
