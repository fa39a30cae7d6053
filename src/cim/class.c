/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * class.c - what can be asked of the model's tables: classes, their parts and namespaces by name.
 * The tables are constant, and have a few dozen classes: they are searched from the first on.
 */
#include "cim/model.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Whether two names are the same: without case (DSP0004 5.1). NULL is no name. */
static bool is_name(const char *a, const char *b)
{
    return a && b && strcasecmp(a, b) == 0;
}

/* --- namespaces ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum cim_space space;
} namespaces[] = {
    {CIM_NAMESPACE_DEFAULT, CIM_SPACE_VIRTUALIZATION},
    {CIM_NAMESPACE_INTEROP, CIM_SPACE_INTEROP},
    {"interop", CIM_SPACE_INTEROP},
};

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

/* Whether a name as a client writes it is this one, which has slashes and lower case. */
static bool is_namespace(const char *given, size_t given_bytes, const char *name)
{
    if (given_bytes != strlen(name)) {
        return false;
    }
    for (size_t i = 0; i < given_bytes; i++) {
        char c = is_slash(given[i]) ? '/' : (char)tolower((unsigned char)given[i]);
        if (c != name[i]) {
            return false;
        }
    }
    return true;
}

enum cim_space cim_space_find(const char *name)
{
    if (!name || !name[0]) {
        return CIM_SPACE_VIRTUALIZATION;
    }
    if (is_slash(name[0])) {
        name++;
    }
    size_t name_bytes = strlen(name);
    if (name_bytes > 0 && is_slash(name[name_bytes - 1])) {
        name_bytes--;
    }
    for (size_t i = 0; i < sizeof namespaces / sizeof namespaces[0]; i++) {
        if (is_namespace(name, name_bytes, namespaces[i].name)) {
            return namespaces[i].space;
        }
    }
    return CIM_SPACE_NONE;
}

const char *cim_space_name(enum cim_space space)
{
    switch (space) {
    case CIM_SPACE_VIRTUALIZATION:
        return CIM_NAMESPACE_DEFAULT;
    case CIM_SPACE_INTEROP:
        return CIM_NAMESPACE_INTEROP;
    case CIM_SPACE_NONE:
        break;
    }
    return "";
}

/* --- classes ---------------------------------------------------------------------------------- */

const struct cim_class *cim_class_find(enum cim_space space, const char *name)
{
    for (uint32_t i = 0; i < cim_class_count; i++) {
        if ((cim_classes[i]->spaces & (uint32_t)space) != 0 &&
            is_name(cim_classes[i]->name, name)) {
            return cim_classes[i];
        }
    }
    return NULL;
}

bool cim_class_is(const struct cim_class *class, const struct cim_class *ancestor)
{
    while (class && class != ancestor) {
        class = class->parent;
    }
    return class && ancestor;
}

bool cim_class_is_named(const struct cim_class *class, const char *ancestor)
{
    while (class && !is_name(class->name, ancestor)) {
        class = class->parent;
    }
    return class;
}

/* --- their parts ------------------------------------------------------------------------------ */

int cim_property_index(const struct cim_class *class, const char *name)
{
    for (uint32_t i = 0; i < class->property_count; i++) {
        if (is_name(class->properties[i].name, name)) {
            return (int)i;
        }
    }
    return -1;
}

const struct cim_property *cim_property_find(const struct cim_class *class, const char *name)
{
    int index = cim_property_index(class, name);

    return index < 0 ? NULL : &class->properties[index];
}

const struct cim_method *cim_method_find(const struct cim_class *class, const char *name)
{
    for (uint32_t i = 0; i < class->method_count; i++) {
        if (is_name(class->methods[i].name, name)) {
            return &class->methods[i];
        }
    }
    return NULL;
}

const struct cim_parameter *cim_parameter_find(const struct cim_method *method, const char *name)
{
    for (uint32_t i = 0; i < method->parameter_count; i++) {
        if (is_name(method->parameters[i].name, name)) {
            return &method->parameters[i];
        }
    }
    return NULL;
}

const struct cim_qualifier *cim_qualifier_find(const struct cim_qualifiers *in, const char *name)
{
    for (uint32_t i = 0; i < in->count; i++) {
        if (is_name(in->all[i].name, name)) {
            return &in->all[i];
        }
    }
    return NULL;
}

/* --- types and values ------------------------------------------------------------------------- */

static const char *const type_names[] = {
    [CIM_INVALID] = "",          [CIM_BOOLEAN] = "boolean",
    [CIM_UINT8] = "uint8",       [CIM_UINT16] = "uint16",
    [CIM_UINT32] = "uint32",     [CIM_UINT64] = "uint64",
    [CIM_SINT8] = "sint8",       [CIM_SINT16] = "sint16",
    [CIM_SINT32] = "sint32",     [CIM_SINT64] = "sint64",
    [CIM_REAL32] = "real32",     [CIM_REAL64] = "real64",
    [CIM_CHAR16] = "char16",     [CIM_STRING] = "string",
    [CIM_DATETIME] = "datetime", [CIM_REFERENCE] = "reference",
};

const char *cim_type_name(enum cim_type type)
{
    return type == CIM_INSTANCE ? "string" : type_names[type];
}

enum cim_type cim_type_find(const char *name)
{
    for (int type = CIM_BOOLEAN; type <= CIM_REFERENCE; type++) {
        if (is_name(type_names[type], name)) {
            return (enum cim_type)type;
        }
    }
    return CIM_INVALID;
}

const char *cim_value_name(const struct cim_qualifiers *qualifiers, int64_t number)
{
    const struct cim_qualifier *map = cim_qualifier_find(qualifiers, "ValueMap");
    const struct cim_qualifier *names = cim_qualifier_find(qualifiers, "Values");
    char text[24];

    if (!map || !names) {
        return NULL;
    }
    /* 20 digits, a sign and the NUL: it fits. */
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    for (uint32_t i = 0; i < map->value_count && i < names->value_count; i++) {
        if (strcmp(map->values[i], text) == 0) {
            return names->values[i];
        }
    }
    return NULL;
}
