/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * model.h - the classes that clients see, as tables. Made from schema/NAME.mof when this is built
 * (tools/mof_tables). Source: DMTF DSP0004 2.7 (types, qualifiers, MOF); Microsoft, Hyper-V WMI
 * provider (V2), for the Msvm_ classes.
 *
 * Names of classes, properties, methods, parameters and namespaces compare without case (DSP0004
 * 5.1). A class has all properties and methods of its ancestors, each once: where a class overrides
 * one, its own stands in the place of the ancestor's. Keys come first, in the order of the MOF.
 */
#ifndef RESILVER_CIM_MODEL_H
#define RESILVER_CIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum cim_type {
    CIM_INVALID = 0,
    CIM_BOOLEAN,
    CIM_UINT8,
    CIM_UINT16,
    CIM_UINT32,
    CIM_UINT64,
    CIM_SINT8,
    CIM_SINT16,
    CIM_SINT32,
    CIM_SINT64,
    CIM_REAL32,
    CIM_REAL64,
    CIM_CHAR16,
    CIM_STRING,
    CIM_DATETIME,
    CIM_REFERENCE,
    CIM_INSTANCE /* of values only: a string with an embedded instance, read */
};

/* A qualifier as GetClass shows it. Values are in their text form (TRUE, decimal, string). */
struct cim_qualifier {
    const char *name;
    enum cim_type type;
    bool is_array;
    bool is_overridable;       /* flavour EnableOverride; FALSE for Key, In, Out ... */
    bool is_to_subclass;       /* flavour ToSubclass */
    bool is_translatable;      /* flavour Translatable */
    const char *const *values; /* value_count texts; 1 when it is no array */
    uint32_t value_count;
};

struct cim_qualifiers {
    const struct cim_qualifier *all;
    uint32_t count;
};

struct cim_property {
    const char *name;
    enum cim_type type;
    bool is_array;
    bool is_key;
    bool is_writable;            /* qualifier Write: Put and ModifyInstance may change it */
    const char *reference_class; /* of a reference; else NULL */
    const char *embedded_class;  /* of a string with qualifier EmbeddedInstance; else NULL */
    const char *origin;          /* the class that introduced it */
    const char *initial;         /* the MOF's default value as text; NULL: none */
    struct cim_qualifiers qualifiers;
};

struct cim_parameter {
    const char *name;
    enum cim_type type;
    bool is_array;
    bool is_in;
    bool is_out;
    bool is_required;            /* qualifier Required */
    const char *reference_class; /* of a reference; else NULL */
    const char *embedded_class;  /* of a string with qualifier EmbeddedInstance; else NULL */
    struct cim_qualifiers qualifiers;
};

struct cim_method {
    const char *name;
    enum cim_type type; /* of the return value */
    const char *origin; /* the class that introduced it */
    const struct cim_parameter *parameters;
    uint32_t parameter_count;
    struct cim_qualifiers qualifiers;
};

/* Bits of the namespaces in which a class is. */
enum cim_space { CIM_SPACE_NONE = 0, CIM_SPACE_VIRTUALIZATION = 1, CIM_SPACE_INTEROP = 2 };

#define CIM_NAMESPACE_DEFAULT "root/virtualization/v2"
#define CIM_NAMESPACE_INTEROP "root/interop"

struct cim_class {
    const char *name;
    const struct cim_class *parent; /* NULL: a root */
    uint32_t spaces;                /* bits of enum cim_space; a parent has those of its children */
    bool is_association;
    bool is_abstract;
    const struct cim_property *properties;
    uint32_t property_count;
    uint32_t key_count; /* the first so many properties */
    const struct cim_method *methods;
    uint32_t method_count;
    struct cim_qualifiers qualifiers;
};

/* All classes, each after its parent. */
extern const struct cim_class *const cim_classes[];
extern const uint32_t cim_class_count;

/*
 * cim_space_find - the namespace of a name as clients write it ("root/virtualization/v2",
 * "ROOT\\virtualization\\v2", with or without a slash before or behind; "interop" and
 * "root/interop" are the same). CIM_SPACE_NONE: there is none so named. "" and NULL are the
 * default.
 */
enum cim_space cim_space_find(const char *name);
const char *cim_space_name(enum cim_space space); /* with slashes, in lower case */

/* cim_class_find - in a namespace; NULL: none. */
const struct cim_class *cim_class_find(enum cim_space space, const char *name);

/* cim_class_is - whether it is `ancestor` or descends from it. */
bool cim_class_is(const struct cim_class *class, const struct cim_class *ancestor);
bool cim_class_is_named(const struct cim_class *class, const char *ancestor);

/* The index among class->properties; -1: none. */
int cim_property_index(const struct cim_class *class, const char *name);
const struct cim_property *cim_property_find(const struct cim_class *class, const char *name);
const struct cim_method *cim_method_find(const struct cim_class *class, const char *name);
const struct cim_parameter *cim_parameter_find(const struct cim_method *method, const char *name);
const struct cim_qualifier *cim_qualifier_find(const struct cim_qualifiers *in, const char *name);

/* cim_type_name - "uint16", "datetime", "reference"; "string" for CIM_INSTANCE. cim_type_find -
 * CIM_INVALID: none is so called. */
const char *cim_type_name(enum cim_type type);
enum cim_type cim_type_find(const char *name);

/* cim_value_name - what a number of a ValueMap means ("Invalid state for this operation"), from the
 * qualifiers of a property, method or parameter; NULL: it does not say. */
const char *cim_value_name(const struct cim_qualifiers *qualifiers, int64_t number);

#endif
