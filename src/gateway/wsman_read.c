/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_read.c - the reading half of wsman_value.h. An embedded instance may come as elements or as
 * the text of CIM-XML; within one that came as elements, others come as text only, so that no
 * function calls itself.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "cim/xml.h"
#include "gateway/wsman_request.h"
#include "gateway/wsman_resource.h"
#include "gateway/wsman_value.h"

bool wsman_is_first_of(const struct xml_element *element)
{
    const struct xml_element *at = element->parent->first;

    while (at != element && strcasecmp(at->name, element->name) != 0) {
        at = at->next;
    }
    return at == element;
}

static const struct xml_element *next_of(const struct xml_element *element)
{
    const struct xml_element *at = element->next;

    while (at && strcasecmp(at->name, element->name) != 0) {
        at = at->next;
    }
    return at;
}

static int no_memory(struct error *err)
{
    return fail(err, ERR_LIMIT, 0, "the request is too large");
}

/* --- datetimes ---------------------------------------------------------------------------------
 */

/* DSP0230's type is a choice of elements; real clients put them in the common namespace, in the
 * class's own, and in none. */
static int read_datetime(struct arena *arena, const struct xml_element *element,
                         union cim_item *out, struct error *err)
{
    static const char *const forms[] = {"Datetime", "Interval", "CIM_DateTime"};
    const struct xml_element *inner = element->first;
    const char *text = xml_text(arena, inner ? inner : element);
    bool is_known = !inner;

    for (size_t i = 0; inner && i < ARRAY_COUNT(forms); i++) {
        is_known = is_known || strcasecmp(inner->name, forms[i]) == 0;
    }
    if (inner && strcasecmp(inner->name, "Date") == 0) {
        text = arena_print(arena, "%sT00:00:00", text);
        is_known = true;
    }
    if (!text) {
        return no_memory(err);
    }
    if (!is_known || element->child_count > 1) {
        return fail(err, ERR_USAGE, 0, "<%s> holds no datetime", element->name);
    }
    return cim_item_read(arena, CIM_DATETIME, text, out, err);
}

/* --- references --------------------------------------------------------------------------------
 */

static const char *without_prefix(const char *name)
{
    const char *colon = strrchr(name, ':');

    return colon ? colon + 1 : name;
}

/* How long the class's name is in "q:Msvm_ComputerSystem_Type"; 0: it is another type. */
static size_t type_name_bytes(const char *type)
{
    static const char suffix[] = "_Type";
    const char *name = without_prefix(type);
    size_t length = strlen(name);

    if (length <= strlen(suffix) || strcasecmp(name + length - strlen(suffix), suffix) != 0) {
        return 0;
    }
    return length - strlen(suffix);
}

/* The class that xsi:type names; NULL: it does not say. */
static const char *class_of_type(struct arena *arena, const struct xml_element *element)
{
    const char *type = xml_attribute(element, NULL, "type");
    size_t length = type ? type_name_bytes(type) : 0;

    return length > 0 ? arena_text_of(arena, without_prefix(type), length) : NULL;
}

/* An instance that carries the keys stands for a reference to itself, as omicli sends it. */
static int read_keys(struct arena *arena, const struct xml_element *element,
                     const struct cim_class *class, struct cim_key *keys, uint32_t *count,
                     struct error *err)
{
    for (uint32_t i = 0; i < class->key_count; i++) {
        const struct cim_property *key = &class->properties[i];
        const struct xml_element *at = element->first;

        while (at && strcasecmp(at->name, key->name) != 0) {
            at = at->next;
        }
        if (!at || wsman_is_nil(at) || at->first || key->type == CIM_REFERENCE) {
            return fail(err, ERR_USAGE, 0, "the instance in <%s> has no key %s", element->name,
                        key->name);
        }
        if (*count == CIM_KEYS_MAX) {
            return no_memory(err);
        }
        keys[(*count)++] =
            (struct cim_key){.name = key->name, .type = key->type, .text = xml_text(arena, at)};
        if (!keys[*count - 1].text) {
            return no_memory(err);
        }
    }
    return 0;
}

static int read_instance_reference(struct arena *arena, const struct xml_element *element,
                                   const char *class_name, enum cim_space space,
                                   const struct cim_path **out, struct error *err)
{
    const struct cim_class *class = cim_class_find(space, class_name);
    struct cim_key *keys = arena_take_many(arena, CIM_KEYS_MAX, sizeof *keys);
    struct cim_path *path = arena_take(arena, sizeof *path);
    uint32_t count = 0;

    if (!keys || !path) {
        return no_memory(err);
    }
    if (!class) {
        return fail(err, ERR_USAGE, 0, "there is no class \"%s\"", class_name);
    }
    if (read_keys(arena, element, class, keys, &count, err) < 0) {
        return -1;
    }
    *path = (struct cim_path){.host = "",
                              .namespace_name = "",
                              .class_name = class->name,
                              .keys = keys,
                              .key_count = count};
    *out = path;
    return 0;
}

static int read_reference(struct arena *arena, const struct xml_element *element,
                          enum cim_space space, union cim_item *out, struct error *err)
{
    const char *class_name = class_of_type(arena, element);
    struct wsman_fault fault = {.reason = ""};

    if (wsman_is_epr(element)) {
        if (wsman_epr_read(arena, element, &out->path, &fault) < 0) {
            return fail(err, ERR_USAGE, 0, "%s", fault.reason);
        }
        return 0;
    }
    if (class_name) {
        return read_instance_reference(arena, element, class_name, space, &out->path, err);
    }
    if (element->first) {
        return fail(err, ERR_USAGE, 0, "<%s> holds neither a reference nor an instance",
                    element->name);
    }
    const char *text = xml_text(arena, element);

    return text ? cim_path_read(arena, text, &out->path, err) : no_memory(err);
}

/* --- items -------------------------------------------------------------------------------------
 */

/* A character, or its number, as OMI writes it. */
static int read_char16(struct arena *arena, const char *text, union cim_item *out,
                       struct error *err)
{
    uint64_t number;
    char utf8[4] = "";

    if (strlen(text) < 2 ||
        number_parse_range(text, "the character", 1, 0xFFFF, &number, NULL) < 0 ||
        (number >= 0xD800 && number <= 0xDFFF)) {
        return cim_item_read(arena, CIM_CHAR16, text, out, err);
    }
    if (number < 0x80) {
        utf8[0] = (char)number;
    } else if (number < 0x800) {
        utf8[0] = (char)(0xC0 | (number >> 6));
        utf8[1] = (char)(0x80 | (number & 0x3F));
    } else {
        utf8[0] = (char)(0xE0 | (number >> 12));
        utf8[1] = (char)(0x80 | ((number >> 6) & 0x3F));
        utf8[2] = (char)(0x80 | (number & 0x3F));
    }
    out->text = arena_text(arena, utf8);
    return out->text ? 0 : no_memory(err);
}

static int read_plain(struct arena *arena, const struct xml_element *element, enum cim_type type,
                      union cim_item *out, struct error *err)
{
    if (element->first) {
        return fail(err, ERR_USAGE, 0, "<%s> holds elements, and is to be a %s", element->name,
                    cim_type_name(type));
    }
    if (type == CIM_CHAR16) {
        return read_char16(arena, element->text, out, err);
    }
    return cim_item_read(arena, type, element->text, out, err);
}

/* Whether an embedded instance comes as elements. */
static bool is_elements(const struct xml_element *element)
{
    const char *type = xml_attribute(element, NULL, "type");

    return element->first != NULL || (type && type_name_bytes(type) > 0);
}

static int read_embedded_text(struct arena *arena, const struct xml_element *element,
                              const char *embedded_class, union cim_item *out, struct error *err)
{
    if (element->first) {
        return fail(err, ERR_USAGE, 0, "<%s> holds elements, and is to be the text of an instance",
                    element->name);
    }
    return cim_xml_read_embedded(arena, element->text, embedded_class, &out->instance, err);
}

static int read_inner_item(struct arena *arena, const struct xml_element *element,
                           const struct wsman_type *type, union cim_item *out, struct error *err)
{
    switch (type->type) {
    case CIM_DATETIME:
        return read_datetime(arena, element, out, err);
    case CIM_REFERENCE:
        return read_reference(arena, element, type->space, out, err);
    default:
        return type->embedded_class
                   ? read_embedded_text(arena, element, type->embedded_class, out, err)
                   : read_plain(arena, element, type->type, out, err);
    }
}

/* --- values ------------------------------------------------------------------------------------
 */

typedef int read_item(struct arena *arena, const struct xml_element *element,
                      const struct wsman_type *type, union cim_item *out, struct error *err);

static int read_items(struct arena *arena, const struct xml_element *first,
                      const struct wsman_type *type, read_item *item, struct cim_value *out,
                      struct error *err)
{
    uint32_t count = 0;
    struct cim_value value =
        cim_null(type->embedded_class ? CIM_INSTANCE : type->type, type->is_array);

    for (const struct xml_element *at = first; at; at = next_of(at)) {
        count++;
    }
    if (count > (type->is_array ? CIM_ARRAY_MAX : 1)) {
        return fail(err, ERR_USAGE, 0, "<%s> is there %u times", first->name, count);
    }
    value.items = arena_take_many(arena, count, sizeof *value.items);
    if (!value.items) {
        return no_memory(err);
    }
    for (const struct xml_element *at = first; at; at = next_of(at)) {
        if (wsman_is_nil(at)) {
            continue; /* an item is never null: it is left out */
        }
        if (item(arena, at, type, &value.items[value.count], err) < 0) {
            return -1;
        }
        value.count++;
    }
    value.is_null = value.count == 0;
    *out = value;
    return 0;
}

/* The bits of `given` and the values of an instance, one level of elements down. */
static int read_members(struct arena *arena, const struct xml_element *element,
                        enum cim_space space, read_item *item, struct cim_instance *into,
                        uint64_t given[2], struct wsman_fault *fault)
{
    for (const struct xml_element *at = element->first; at; at = at->next) {
        int index = cim_property_index(into->class, at->name);
        struct error err = {0};

        if (index < 0) {
            return wsman_refuse(fault, WSMAN_PARAMETER_NAME, "%s has no property \"%s\"",
                                into->class->name, at->name);
        }
        const struct cim_property *property = &into->class->properties[index];
        struct wsman_type type = {property->type, property->is_array, property->embedded_class,
                                  space};

        if (given && index < 128) {
            given[index / 64] |= 1ULL << (index % 64);
        }
        if (wsman_is_first_of(at) &&
            read_items(arena, at, &type, item, &into->values[index], &err) < 0) {
            return wsman_refuse(fault, WSMAN_PARAMETER_TYPE, "%s.%s: %s", into->class->name,
                                property->name, err.message);
        }
    }
    return 0;
}

/* --- embedded instances as elements ------------------------------------------------------------
 */

/* The class: of xsi:type, or, where that is left out, the one that belongs there. */
static const struct cim_class *class_of_embedded(struct arena *arena,
                                                 const struct xml_element *element,
                                                 const struct wsman_type *type)
{
    const char *name = class_of_type(arena, element);
    const struct cim_class *class = cim_class_find(type->space, name ? name : type->embedded_class);

    return class && cim_class_is_named(class, type->embedded_class) ? class : NULL;
}

static int read_embedded_elements(struct arena *arena, const struct xml_element *element,
                                  const struct wsman_type *type, union cim_item *out,
                                  struct error *err)
{
    const struct cim_class *class = class_of_embedded(arena, element, type);
    struct wsman_fault fault = {.reason = ""};
    struct cim_instance *instance;

    if (!class) {
        return fail(err, ERR_USAGE, 0, "<%s> is to be an instance of %s, and is of another class",
                    element->name, type->embedded_class);
    }
    instance = cim_instance_new(arena, class);
    if (!instance) {
        return no_memory(err);
    }
    /* What was not sent is not known: a default of the MOF would pass for the client's word. */
    for (uint32_t i = 0; i < class->property_count; i++) {
        instance->values[i] = cim_null(instance->values[i].type, instance->values[i].is_array);
    }
    if (read_members(arena, element, type->space, read_inner_item, instance, NULL, &fault) < 0) {
        return fail(err, ERR_USAGE, 0, "%s", fault.reason);
    }
    out->instance = instance;
    return 0;
}

static int read_outer_item(struct arena *arena, const struct xml_element *element,
                           const struct wsman_type *type, union cim_item *out, struct error *err)
{
    return type->embedded_class && is_elements(element)
               ? read_embedded_elements(arena, element, type, out, err)
               : read_inner_item(arena, element, type, out, err);
}

/* An embedded instance that is an empty text is none: PowerShell sends $null so. */
static bool is_absent(const struct xml_element *first, const struct wsman_type *type)
{
    return type->embedded_class && !type->is_array && !is_elements(first) &&
           first->text[strspn(first->text, " \t\r\n")] == '\0' && !next_of(first);
}

int wsman_read_value(struct arena *arena, const struct xml_element *first,
                     const struct wsman_type *type, struct cim_value *out, struct error *err)
{
    if (is_absent(first, type)) {
        *out = cim_null(CIM_INSTANCE, false);
        return 0;
    }
    return read_items(arena, first, type, read_outer_item, out, err);
}

int wsman_read_properties(struct arena *arena, const struct xml_element *element,
                          enum cim_space space, struct cim_instance *into, uint64_t given[2],
                          struct wsman_fault *fault)
{
    return read_members(arena, element, space, read_outer_item, into, given, fault);
}
