/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_write.c - the writing half of wsman_value.h. Embedded instances are strings in this model,
 * and are written as such, as Hyper-V does: the text of CIM-XML. Those of indications are elements;
 * what they hold in turn is text again, so that no function calls itself.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "cim/xml.h"
#include "gateway/wsman_names.h"
#include "gateway/wsman_value.h"

void wsman_write_uri(struct xml_text *text, const struct wsman_style *style,
                     const char *namespace_name, const char *class_name)
{
    if (style->is_wmi && *namespace_name &&
        cim_space_find(namespace_name) != cim_space_find(style->namespace_name)) {
        xml_print(text, RESOURCE_WMI "%s/%s", namespace_name, class_name);
    } else {
        xml_print(text, "%s%s", style->prefix, class_name);
    }
}

/* --- references --------------------------------------------------------------------------------
 */

typedef void write_key(struct xml_text *text, const struct wsman_style *style,
                       const struct cim_path *path);

static void write_key_text(struct xml_text *text, const struct cim_key *key)
{
    if (key->type == CIM_BOOLEAN) {
        xml_raw(text, strcasecmp(key->text, "true") == 0 ? "true" : "false");
    } else {
        xml_escape(text, key->text);
    }
}

static void write_selectors(struct xml_text *text, const struct wsman_style *style,
                            const struct cim_path *path, write_key *reference)
{
    const char *namespace_name =
        *path->namespace_name ? path->namespace_name : style->namespace_name;

    xml_raw(text, "<w:SelectorSet>");
    if (!style->is_wmi) {
        xml_print(text, "<w:Selector Name=\"" SELECTOR_NAMESPACE "\">%s</w:Selector>",
                  namespace_name);
    }
    for (uint32_t i = 0; i < path->key_count; i++) {
        const struct cim_key *key = &path->keys[i];

        xml_print(text, "<w:Selector Name=\"%s\">", key->name);
        if (key->type != CIM_REFERENCE) {
            write_key_text(text, key);
        } else if (key->path && reference) {
            reference(text, style, key->path);
        }
        xml_raw(text, "</w:Selector>");
    }
    xml_raw(text, "</w:SelectorSet>");
}

static void write_reference(struct xml_text *text, const struct wsman_style *style,
                            const struct cim_path *path, write_key *reference)
{
    xml_raw(text, "<a:Address>" ADDRESS_ANONYMOUS "</a:Address><a:ReferenceParameters>"
                  "<w:ResourceURI>");
    wsman_write_uri(text, style, path->namespace_name, path->class_name);
    xml_raw(text, "</w:ResourceURI>");
    write_selectors(text, style, path, reference);
    xml_raw(text, "</a:ReferenceParameters>");
}

/* A key that is a reference holds an EndpointReference, wrapped (DSP0226 R5.1.2.2). Its own keys
 * are never references. */
static void write_inner(struct xml_text *text, const struct wsman_style *style,
                        const struct cim_path *path)
{
    xml_raw(text, "<a:EndpointReference>");
    write_reference(text, style, path, NULL);
    xml_raw(text, "</a:EndpointReference>");
}

void wsman_write_epr(struct xml_text *text, const struct wsman_style *style,
                     const struct cim_path *path, bool is_wrapped)
{
    if (is_wrapped) {
        xml_raw(text, "<a:EndpointReference>");
    }
    write_reference(text, style, path, write_inner);
    if (is_wrapped) {
        xml_raw(text, "</a:EndpointReference>");
    }
}

/* --- items -------------------------------------------------------------------------------------
 */

/* A moment or interval. Wildcards have no form of XML Schema: they stay as CIM writes them
 * (DSP0230 8.1). */
static void write_datetime(struct xml_text *text, const struct wsman_style *style,
                           const char *datetime)
{
    char xsd[CIM_XSD_TEXT_MAX];
    bool has_form = cim_datetime_to_xsd(datetime, xsd);

    if (style->is_plain_datetime) {
        xml_escape(text, has_form ? xsd : datetime);
    } else if (!has_form) {
        xml_print(text, "<cim:CIM_DateTime>%s</cim:CIM_DateTime>", datetime);
    } else if (cim_datetime_is_interval(datetime)) {
        xml_print(text, "<cim:Interval>%s</cim:Interval>", xsd);
    } else {
        xml_print(text, "<cim:Datetime>%s</cim:Datetime>", xsd);
    }
}

static void write_item(struct xml_text *text, const struct wsman_style *style, struct arena *arena,
                       enum cim_type type, const union cim_item *item)
{
    switch (type) {
    case CIM_BOOLEAN:
        xml_raw(text, item->boolean ? "true" : "false");
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
    case CIM_DATETIME:
        write_datetime(text, style, item->text);
        return;
    case CIM_REFERENCE:
        wsman_write_epr(text, style, item->path, false);
        return;
    case CIM_STRING:
    case CIM_CHAR16:
        xml_escape(text, item->text);
        return;
    case CIM_REAL32:
    case CIM_REAL64:
    case CIM_INSTANCE:
    case CIM_INVALID:
        break;
    }
    const char *other = type == CIM_INSTANCE ? cim_xml_embedded(arena, item->instance)
                                             : cim_item_text(arena, type, item);
    xml_escape(text, other ? other : "");
}

/* --- values ------------------------------------------------------------------------------------
 */

typedef void write_embedded(struct xml_text *text, const struct wsman_style *style,
                            struct arena *arena, const char *name,
                            const struct cim_instance *instance);

static void write_value(struct xml_text *text, const struct wsman_style *style, struct arena *arena,
                        const char *prefix, const char *name, const struct cim_value *value,
                        write_embedded *embedded)
{
    if (value->is_null) {
        xml_print(text, "<%s:%s xsi:nil=\"true\"/>", prefix, name);
    }
    for (uint32_t i = 0; !value->is_null && i < value->count; i++) {
        if (value->type == CIM_INSTANCE && embedded) {
            embedded(text, style, arena, name, value->items[i].instance);
            continue;
        }
        xml_print(text, "<%s:%s>", prefix, name);
        write_item(text, style, arena, value->type, &value->items[i]);
        xml_print(text, "</%s:%s>", prefix, name);
    }
}

static void write_inner_instance(struct xml_text *text, const struct wsman_style *style,
                                 struct arena *arena, const char *name,
                                 const struct cim_instance *instance)
{
    const struct cim_class *class = instance->class;

    xml_print(text, "<p:%s xmlns:q=\"", name);
    wsman_write_uri(text, style, "", class->name);
    xml_print(text, "\" xsi:type=\"q:%s_Type\">", class->name);
    for (uint32_t i = 0; i < class->property_count; i++) {
        write_value(text, style, arena, "q", class->properties[i].name, &instance->values[i], NULL);
    }
    xml_print(text, "</p:%s>", name);
}

void wsman_write_value(struct xml_text *text, const struct wsman_style *style, struct arena *arena,
                       const char *name, const struct cim_value *value)
{
    write_value(text, style, arena, "p", name, value,
                style->has_instances_as_elements ? write_inner_instance : NULL);
}

static bool is_shown(const struct wsman_shape *shape, const struct cim_property *property)
{
    if (!shape) {
        return true;
    }
    if ((shape->is_keys_only && !property->is_key) ||
        (shape->as && !cim_property_find(shape->as, property->name))) {
        return false;
    }
    for (uint32_t i = 0; shape->properties && i < shape->property_count; i++) {
        if (strcasecmp(shape->properties[i], property->name) == 0) {
            return true;
        }
    }
    return !shape->properties;
}

void wsman_write_instance(struct xml_text *text, const struct wsman_style *style,
                          struct arena *arena, const struct cim_instance *instance,
                          const struct wsman_shape *shape)
{
    const struct cim_class *class = instance->class;
    const char *name = shape && shape->as ? shape->as->name : class->name;

    xml_print(text, "<p:%s xmlns:p=\"", name);
    wsman_write_uri(text, style, "", name);
    xml_print(text, "\" xsi:type=\"p:%s_Type\">", name);
    for (uint32_t i = 0; i < class->property_count; i++) {
        if (is_shown(shape, &class->properties[i])) {
            wsman_write_value(text, style, arena, class->properties[i].name, &instance->values[i]);
        }
    }
    xml_print(text, "</p:%s>", name);
}
