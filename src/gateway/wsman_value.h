/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_value.h - values, references and instances of the model as elements of WS-Management, both
 * ways. Source: DSP0230 1.1.0 (WS-CIM mapping); DSP0227 1.2.0 section 7.
 */
#ifndef RESILVER_GATEWAY_WSMAN_VALUE_H
#define RESILVER_GATEWAY_WSMAN_VALUE_H

#include "cim/value.h"
#include "gateway/wsman_fault.h"
#include "xml/text.h"
#include "xml/tree.h"

/* How one client is answered. Borrowed texts. */
struct wsman_style {
    const char *prefix;         /* of the class URIs: as his request's */
    bool is_wmi;                /* the namespace is in the prefix */
    const char *namespace_name; /* of objects whose path says none */
    bool is_plain_datetime;
    bool has_instances_as_elements; /* embedded ones; else, as Hyper-V's strings, text of CIM-XML */
};

/* What is shown of an instance. */
struct wsman_shape {
    const struct cim_class *as;    /* only the properties of this ancestor, as its instance; NULL */
    const char *const *properties; /* names; NULL: all */
    uint32_t property_count;
    bool is_keys_only;
};

/* --- writing; nothing fails but the text and the arena (sticky) --------------------------------
 */

/* wsman_write_uri - the resource URI of a class. */
void wsman_write_uri(struct xml_text *text, const struct wsman_style *style,
                     const char *namespace_name, const char *class_name);

/* wsman_write_epr - Address and ReferenceParameters; wrapped: in an EndpointReference. */
void wsman_write_epr(struct xml_text *text, const struct wsman_style *style,
                     const struct cim_path *path, bool is_wrapped);

/* wsman_write_value - the element, or elements of an array: <p:NAME>; embedded instances as text.
 * arena: for what is only needed meanwhile. */
void wsman_write_value(struct xml_text *text, const struct wsman_style *style, struct arena *arena,
                       const char *name, const struct cim_value *value);

/* wsman_write_instance - <p:CLASS xmlns:p="...">; shape NULL: all of it. */
void wsman_write_instance(struct xml_text *text, const struct wsman_style *style,
                          struct arena *arena, const struct cim_instance *instance,
                          const struct wsman_shape *shape);

/* --- reading -----------------------------------------------------------------------------------
 */

struct wsman_type {
    enum cim_type type;
    bool is_array;
    const char *embedded_class; /* NULL: no embedded instance */
    enum cim_space space;       /* where its class is looked for */
};

/*
 * wsman_read_value - from the first element so named and, of an array, its namesakes after it.
 * Errors: ERR_USAGE it cannot be of that type; more than one where one is to be.
 */
MUST_CHECK int wsman_read_value(struct arena *arena, const struct xml_element *first,
                                const struct wsman_type *type, struct cim_value *out,
                                struct error *err);

/*
 * wsman_read_properties - the children of an element into an instance; `given` has a bit for each
 * property that was there. Faults: a property that the class does not have, a wrong type.
 */
MUST_CHECK int wsman_read_properties(struct arena *arena, const struct xml_element *element,
                                     enum cim_space space, struct cim_instance *into,
                                     uint64_t given[2], struct wsman_fault *fault);

/* wsman_is_first_of - whether no sibling before it has its name. */
bool wsman_is_first_of(const struct xml_element *element);

#endif
