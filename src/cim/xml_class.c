/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xml_class.c - classes as elements, with which clients find out what a method takes and what may
 * be null. Source: DSP0201 2.4, 5.2.6 (CLASS, PROPERTY, METHOD, PARAMETER, QUALIFIER).
 */
#include <stddef.h>
#include <strings.h>

#include "cim/xml_internal.h"

/* What is shown without a view. */
static const struct cim_view EVERYTHING = {.has_qualifiers = true};

/* --- qualifiers ------------------------------------------------------------------------------- */

/* Flavours are said where they differ from what a reader takes for granted. */
static void write_qualifier(struct xml_text *text, const struct cim_qualifier *qualifier)
{
    xml_print(text, "<QUALIFIER NAME=\"%s\" TYPE=\"%s\"", qualifier->name,
              cim_type_name(qualifier->type));
    xml_raw(text, qualifier->is_overridable ? "" : " OVERRIDABLE=\"false\"");
    xml_raw(text, qualifier->is_to_subclass ? "" : " TOSUBCLASS=\"false\"");
    xml_raw(text, qualifier->is_translatable ? " TRANSLATABLE=\"true\"" : "");
    xml_raw(text, qualifier->is_array ? "><VALUE.ARRAY>" : ">");
    for (uint32_t i = 0; i < qualifier->value_count; i++) {
        xml_print(text, "<VALUE>%s</VALUE>", qualifier->values[i]);
    }
    xml_raw(text, qualifier->is_array ? "</VALUE.ARRAY></QUALIFIER>" : "</QUALIFIER>");
}

static void write_qualifiers(struct xml_text *text, const struct cim_qualifiers *qualifiers,
                             const struct cim_view *view)
{
    for (uint32_t i = 0; view->has_qualifiers && i < qualifiers->count; i++) {
        write_qualifier(text, &qualifiers->all[i]);
    }
}

/* --- properties ------------------------------------------------------------------------------- */

static bool is_local(const struct cim_class *class, const char *origin)
{
    return strcasecmp(origin, class->name) == 0;
}

static void write_property(struct xml_text *text, const struct cim_property *property,
                           const struct cim_class *class, const struct cim_view *view)
{
    cim_xml_open_property(text, property, class, view->has_class_origin);
    write_qualifiers(text, &property->qualifiers, view);
    if (property->initial != NULL && !property->is_array) {
        xml_print(text, "<VALUE>%s</VALUE>", property->initial);
    }
    cim_xml_close_property(text, property);
}

static void write_properties(struct xml_text *text, const struct cim_class *class,
                             const struct cim_view *view)
{
    for (uint32_t i = 0; i < class->property_count; i++) {
        const struct cim_property *property = &class->properties[i];

        if (cim_xml_is_shown(view, property->name) &&
            (!view->is_local_only || is_local(class, property->origin))) {
            write_property(text, property, class, view);
        }
    }
}

/* --- methods ---------------------------------------------------------------------------------- */

static const char *element_of(const struct cim_parameter *parameter)
{
    if (parameter->type == CIM_REFERENCE) {
        return parameter->is_array ? "PARAMETER.REFARRAY" : "PARAMETER.REFERENCE";
    }
    return parameter->is_array ? "PARAMETER.ARRAY" : "PARAMETER";
}

static void write_parameter(struct xml_text *text, const struct cim_parameter *parameter,
                            const struct cim_view *view)
{
    const char *element = element_of(parameter);

    xml_print(text, "<%s NAME=\"%s\"", element, parameter->name);
    if (parameter->type != CIM_REFERENCE) {
        xml_print(text, " TYPE=\"%s\"", cim_type_name(parameter->type));
    } else if (parameter->reference_class != NULL) {
        xml_print(text, " REFERENCECLASS=\"%s\"", parameter->reference_class);
    }
    xml_raw(text, ">");
    write_qualifiers(text, &parameter->qualifiers, view);
    xml_print(text, "</%s>", element);
}

static void write_method(struct xml_text *text, const struct cim_method *method,
                         const struct cim_class *class, const struct cim_view *view)
{
    xml_print(text, "<METHOD NAME=\"%s\" TYPE=\"%s\"", method->name, cim_type_name(method->type));
    if (view->has_class_origin) {
        xml_print(text, " CLASSORIGIN=\"%s\"", method->origin);
        xml_raw(text, is_local(class, method->origin) ? "" : " PROPAGATED=\"true\"");
    }
    xml_raw(text, ">");
    write_qualifiers(text, &method->qualifiers, view);
    for (uint32_t i = 0; i < method->parameter_count; i++) {
        write_parameter(text, &method->parameters[i], view);
    }
    xml_raw(text, "</METHOD>");
}

static void write_methods(struct xml_text *text, const struct cim_class *class,
                          const struct cim_view *view)
{
    for (uint32_t i = 0; i < class->method_count; i++) {
        const struct cim_method *method = &class->methods[i];

        if (!view->is_local_only || is_local(class, method->origin)) {
            write_method(text, method, class, view);
        }
    }
}

/* --- classes ---------------------------------------------------------------------------------- */

void cim_xml_class(struct xml_text *text, const struct cim_class *class,
                   const struct cim_view *view)
{
    view = view == NULL ? &EVERYTHING : view;
    xml_print(text, "<CLASS NAME=\"%s\"", class->name);
    if (class->parent != NULL) {
        xml_print(text, " SUPERCLASS=\"%s\"", class->parent->name);
    }
    xml_raw(text, ">");
    write_qualifiers(text, &class->qualifiers, view);
    write_properties(text, class, view);
    write_methods(text, class, view);
    xml_raw(text, "</CLASS>");
}
