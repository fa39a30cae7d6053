/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xml_write.c - values and instances as elements. An instance that is embedded is a text in its
 * VALUE, and may hold such texts: the functions call each other for these, CIM_EMBEDDED_MAX deep.
 * Source: DSP0201 2.4, 5.2.4 (values), 5.2.6 (INSTANCE, PROPERTY); DSP0004 2.7, 7.9 (embedded).
 */
#include <inttypes.h>
#include <strings.h>

#include "base/limits.h"
#include "cim/xml_internal.h"

#define REAL_SCRATCH_BYTES 1024U

static void write_instance(struct xml_text *text, const struct cim_instance *instance,
                           const struct cim_view *view, uint32_t depth);

/* --- values ----------------------------------------------------------------------------------- */

static void write_real(struct xml_text *text, enum cim_type type, const union cim_item *item)
{
    struct arena scratch;

    arena_init(&scratch, REAL_SCRATCH_BYTES);
    xml_escape(text, cim_item_text(&scratch, type, item));
    text->bad = text->bad || scratch.bad;
    arena_free(&scratch);
}

/* The text of an instance, as a text. Deeper ones than can be read spoil the text rather than get
 * lost without a word. */
static void write_embedded(struct xml_text *text, const struct cim_instance *instance,
                           uint32_t depth)
{
    struct xml_text inner;

    if (instance == NULL || depth >= CIM_EMBEDDED_MAX) {
        text->bad = true;
        return;
    }
    xml_text_init(&inner, text->max_bytes);
    write_instance(&inner, instance, NULL, depth + 1);
    text->bad = text->bad || inner.bad;
    xml_escape(text, inner.at);
    xml_text_free(&inner);
}

static void write_text(struct xml_text *text, enum cim_type type, const union cim_item *item,
                       uint32_t depth)
{
    switch (type) {
    case CIM_BOOLEAN:
        xml_raw(text, item->boolean ? "TRUE" : "FALSE");
        return;
    case CIM_UINT8:
    case CIM_UINT16:
    case CIM_UINT32:
    case CIM_UINT64:
        xml_print(text, "%" PRIu64, item->number);
        return;
    case CIM_SINT8:
    case CIM_SINT16:
    case CIM_SINT32:
    case CIM_SINT64:
        xml_print(text, "%" PRId64, item->integer);
        return;
    case CIM_REAL32:
    case CIM_REAL64:
        write_real(text, type, item);
        return;
    case CIM_CHAR16:
    case CIM_STRING:
    case CIM_DATETIME:
        xml_escape(text, item->text);
        return;
    case CIM_INSTANCE:
        write_embedded(text, item->instance, depth);
        return;
    case CIM_INVALID:
    case CIM_REFERENCE: /* never here: it is no text */
        break;
    }
    text->bad = true;
}

static void write_item(struct xml_text *text, enum cim_type type, const union cim_item *item,
                       uint32_t depth)
{
    if (type == CIM_REFERENCE) {
        cim_xml_reference(text, item->path);
        return;
    }
    xml_raw(text, "<VALUE>");
    write_text(text, type, item, depth);
    xml_raw(text, "</VALUE>");
}

static void write_value(struct xml_text *text, const struct cim_value *value, uint32_t depth)
{
    bool is_reference = value->type == CIM_REFERENCE;

    if (value->is_null) {
        return;
    }
    if (value->is_array) {
        xml_raw(text, is_reference ? "<VALUE.REFARRAY>" : "<VALUE.ARRAY>");
    }
    for (uint32_t i = 0; i < value->count; i++) {
        write_item(text, value->type, &value->items[i], depth);
    }
    if (value->is_array) {
        xml_raw(text, is_reference ? "</VALUE.REFARRAY>" : "</VALUE.ARRAY>");
    }
}

void cim_xml_value(struct xml_text *text, const struct cim_value *value)
{
    write_value(text, value, 0);
}

/* --- properties ------------------------------------------------------------------------------- */

bool cim_xml_is_shown(const struct cim_view *view, const char *name)
{
    if (view == NULL || view->properties == NULL) {
        return true;
    }
    for (uint32_t i = 0; i < view->property_count; i++) {
        if (strcasecmp(view->properties[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static const char *element_of(const struct cim_property *property)
{
    if (property->type == CIM_REFERENCE) {
        return "PROPERTY.REFERENCE";
    }
    return property->is_array ? "PROPERTY.ARRAY" : "PROPERTY";
}

void cim_xml_open_property(struct xml_text *text, const struct cim_property *property,
                           const struct cim_class *class, bool has_origin)
{
    xml_print(text, "<%s NAME=\"%s\"", element_of(property), property->name);
    if (has_origin) {
        xml_print(text, " CLASSORIGIN=\"%s\"", property->origin);
        if (strcasecmp(property->origin, class->name) != 0) {
            xml_raw(text, " PROPAGATED=\"true\"");
        }
    }
    if (property->type != CIM_REFERENCE) {
        xml_print(text, " TYPE=\"%s\"", cim_type_name(property->type));
    } else if (property->reference_class != NULL) {
        xml_print(text, " REFERENCECLASS=\"%s\"", property->reference_class);
    }
    if (property->embedded_class != NULL && !property->is_array) {
        /* wbemcli does not take it of a PROPERTY.ARRAY; the class's qualifier says it there. */
        xml_raw(text, " EmbeddedObject=\"instance\"");
    }
    xml_raw(text, ">");
}

void cim_xml_close_property(struct xml_text *text, const struct cim_property *property)
{
    xml_print(text, "</%s>", element_of(property));
}

/* --- instances -------------------------------------------------------------------------------- */

static void write_instance(struct xml_text *text, const struct cim_instance *instance,
                           const struct cim_view *view, uint32_t depth)
{
    const struct cim_class *class = instance->class;

    xml_print(text, "<INSTANCE CLASSNAME=\"%s\">", class->name);
    for (uint32_t i = 0; i < class->property_count; i++) {
        const struct cim_property *property = &class->properties[i];
        const struct cim_value *value = &instance->values[i];

        if (!cim_xml_is_shown(view, property->name) || (view == NULL && value->is_null)) {
            continue;
        }
        cim_xml_open_property(text, property, class, view != NULL && view->has_class_origin);
        write_value(text, value, depth);
        cim_xml_close_property(text, property);
    }
    xml_raw(text, "</INSTANCE>");
}

void cim_xml_instance(struct xml_text *text, const struct cim_instance *instance,
                      const struct cim_view *view)
{
    write_instance(text, instance, view, 0);
}

const char *cim_xml_embedded(struct arena *arena, const struct cim_instance *instance)
{
    struct xml_text text;

    if (instance == NULL) {
        return NULL;
    }
    xml_text_init(&text, arena->max_bytes);
    write_instance(&text, instance, NULL, 1);
    const char *copy = text.bad ? NULL : arena_text_of(arena, text.at, text.used_bytes);

    arena->bad = arena->bad || text.bad;
    xml_text_free(&text);
    return copy;
}
