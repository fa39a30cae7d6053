/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_resource.h - what a resource URI and its selectors name: a class or an object of the model;
 * and endpoint references, which hold the same two. Source: DSP0227 1.2.0 sections 5 and 6;
 * MS-WSMV 3.1.4.1.1 (both prefixes are to be accepted).
 */
#ifndef RESILVER_GATEWAY_WSMAN_RESOURCE_H
#define RESILVER_GATEWAY_WSMAN_RESOURCE_H

#include "cim/value.h"
#include "gateway/wsman_fault.h"
#include "xml/tree.h"

struct wsman_resource {
    const char *prefix;              /* of the URI: all before the class, as the client wrote it */
    const char *class_name;          /* "*": all classes */
    const char *namespace_name;      /* of the URI or of __cimnamespace; "": none given */
    bool is_wmi;                     /* the namespace is in the prefix */
    bool is_class;                   /* the class itself is meant (CIM-XML's URI) */
    bool is_all;                     /* class_name is "*" */
    const struct cim_key *selectors; /* all but __cimnamespace; a key's type is CIM_STRING, or
                                        CIM_REFERENCE when it held an endpoint reference */
    uint32_t selector_count;
};

/* wsman_resource_read - selectors may be NULL. Faults: an URI of no known form, selectors given
 * twice or without a name. */
MUST_CHECK int wsman_resource_read(struct arena *arena, const char *uri,
                                   const struct xml_element *selectors, struct wsman_resource *out,
                                   struct wsman_fault *fault);

/* wsman_resource_path - the object that is named: every key of the class, and none else. */
MUST_CHECK int wsman_resource_path(struct arena *arena, const struct wsman_resource *resource,
                                   const struct cim_class *class, const struct cim_path **out,
                                   struct wsman_fault *fault);

/* wsman_epr_read - from an element that holds Address and ReferenceParameters, or an
 * EndpointReference with them. The keys are texts. */
MUST_CHECK int wsman_epr_read(struct arena *arena, const struct xml_element *element,
                              const struct cim_path **out, struct wsman_fault *fault);

/* wsman_is_epr - whether the element has the shape of one. */
bool wsman_is_epr(const struct xml_element *element);

#endif
