/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/render_cim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cim/xml.h"
#include "cli/human.h"
#include "cli/json_out.h"

/* --- for people ------------------------------------------------------------------------------ */

static void print_safe(struct arena *arena, const char *text)
{
    size_t size_bytes = strlen(text) + 1;
    char *shown = arena_take(arena, size_bytes);

    if (shown != NULL) {
        (void)human_name(text, 0, shown, size_bytes);
        (void)printf("%s", shown);
    }
}

static const char *item_text(struct arena *arena, enum cim_type type, const union cim_item *item)
{
    const char *text = NULL;

    if (type == CIM_REFERENCE) {
        text = cim_path_text(arena, item->path);
    } else if (type == CIM_INSTANCE) {
        text = cim_xml_embedded(arena, item->instance);
    } else {
        text = cim_item_text(arena, type, item);
    }
    return text == NULL ? "" : text;
}

static void print_item(struct arena *arena, enum cim_type type, const union cim_item *item)
{
    bool is_text = type == CIM_STRING || type == CIM_CHAR16 || type == CIM_REFERENCE;

    (void)printf(is_text ? "\"" : "");
    print_safe(arena, item_text(arena, type, item));
    (void)printf(is_text ? "\"" : "");
}

void render_cim_value(struct arena *arena, const char *name, const struct cim_value *value)
{
    if (value->is_null) {
        return;
    }
    (void)printf("%s = %s", name, value->is_array ? "{" : "");
    for (uint32_t i = 0; i < value->count; i++) {
        (void)printf(i == 0 ? "" : ", ");
        print_item(arena, value->type, &value->items[i]);
    }
    (void)printf(value->is_array ? "}\n" : "\n");
}

void render_cim_instance(struct arena *arena, const struct cim_instance *instance,
                         const char *namespace_name)
{
    const struct cim_path *path = cim_instance_path(arena, instance, namespace_name);
    const char *text = path == NULL ? NULL : cim_path_text(arena, path);

    print_safe(arena, text == NULL ? instance->class->name : text);
    (void)printf("\n");
    for (uint32_t i = 0; i < instance->class->property_count; i++) {
        if (!instance->values[i].is_null) {
            (void)printf("    ");
            render_cim_value(arena, instance->class->properties[i].name, &instance->values[i]);
        }
    }
}

/* --- JSON ------------------------------------------------------------------------------------ */

static json_t *item_json(struct arena *arena, enum cim_type type, const union cim_item *item)
{
    switch (type) {
    case CIM_BOOLEAN:
        return json_boolean(item->boolean);
    case CIM_UINT8:
    case CIM_UINT16:
    case CIM_UINT32:
        return json_integer((json_int_t)item->number);
    case CIM_UINT64: /* JSON's readers may not keep all of its digits */
        return item->number <= (uint64_t)1 << 53 ? json_integer((json_int_t)item->number)
                                                 : json_string(item_text(arena, type, item));
    case CIM_SINT8:
    case CIM_SINT16:
    case CIM_SINT32:
        return json_integer((json_int_t)item->integer);
    case CIM_INSTANCE:
        return render_cim_json(arena, item->instance, NULL);
    case CIM_INVALID:
    case CIM_SINT64:
    case CIM_REAL32:
    case CIM_REAL64:
    case CIM_CHAR16:
    case CIM_STRING:
    case CIM_DATETIME:
    case CIM_REFERENCE:
        break;
    }
    return json_out_text(item_text(arena, type, item));
}

json_t *render_cim_json_value(struct arena *arena, const struct cim_value *value)
{
    json_t *list;

    if (value->is_null) {
        return json_null();
    }
    if (!value->is_array) {
        return item_json(arena, value->type, &value->items[0]);
    }
    list = json_array();
    for (uint32_t i = 0; i < value->count; i++) {
        if (json_array_append_new(list, item_json(arena, value->type, &value->items[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *render_cim_json(struct arena *arena, const struct cim_instance *instance,
                        const char *namespace_name)
{
    json_t *object = json_object();
    const struct cim_path *path =
        namespace_name == NULL ? NULL : cim_instance_path(arena, instance, namespace_name);
    bool is_complete = json_out_put(object, "__CLASS", json_string(instance->class->name));

    if (path != NULL) {
        is_complete = json_out_put(object, "__PATH", json_out_text(cim_path_text(arena, path))) &&
                      is_complete;
    }
    for (uint32_t i = 0; i < instance->class->property_count && is_complete; i++) {
        is_complete = json_out_put(object, instance->class->properties[i].name,
                                   render_cim_json_value(arena, &instance->values[i]));
    }
    if (!is_complete) {
        json_decref(object);
        return NULL;
    }
    return object;
}
