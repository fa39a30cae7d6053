/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimxml_call.h - one CIM operation message: what was called, with which parameters, and the answer
 * being written. Inside of cimxml.
 */
#ifndef RESILVER_GATEWAY_CIMXML_CALL_H
#define RESILVER_GATEWAY_CIMXML_CALL_H

#include "cim/xml.h"
#include "gateway/cimxml.h"

struct cimxml_call {
    const struct cimxml *gateway; /* borrowed, as all here */
    const struct http_request *http;
    struct cim_request cim;
    const char *message_id;
    const char *protocol_version;
    const char *name;                  /* of the operation or method */
    bool is_method;                    /* METHODCALL: extrinsic */
    const struct xml_element *element; /* IMETHODCALL or METHODCALL */
    const char *namespace_name;
    const struct cim_path *path; /* of a METHODCALL: the object; else NULL */
    enum cim_space space;
    struct xml_text *out;
};

/* Why a message is refused before it is an operation: HTTP's status, and CIMError of DSP0200 7.3.
 */
struct cimxml_refusal {
    unsigned status;
    const char *cim_error; /* a literal; NULL: no such header */
};

/* cimxml_call_read - the headers and the body. -1: refused, with *refusal (DSP0200 7.3). What a
 * single operation does not like is found later. */
MUST_CHECK int cimxml_call_read(struct cimxml_call *call, struct cimxml_refusal *refusal);

/* --- parameters of an intrinsic operation -------------------------------------------------------
 */

/* cimxml_check_parameters - names: "ClassName! LocalOnly ...", those with ! are required. Each may
 * come once, and no other. Errors: ERR_USAGE, CIM_INVALID_PARAMETER. */
MUST_CHECK int cimxml_check_parameters(struct cimxml_call *call, const char *names,
                                       struct error *err);

/* The element within IPARAMVALUE; NULL: not given, or null. */
const struct xml_element *cimxml_parameter(const struct cimxml_call *call, const char *name);

MUST_CHECK int cimxml_boolean(struct cimxml_call *call, const char *name, bool if_none, bool *out,
                              struct error *err);
MUST_CHECK int cimxml_number(struct cimxml_call *call, const char *name, uint32_t if_none,
                             uint32_t *out, struct error *err);
MUST_CHECK int cimxml_text(struct cimxml_call *call, const char *name, const char **out,
                           struct error *err); /* NULL: none */
/* A class's name, of CLASSNAME; NULL: none. */
MUST_CHECK int cimxml_class_name(struct cimxml_call *call, const char *name, const char **out,
                                 struct error *err);
/* The class that it names; NULL: none. CIM_INVALID_CLASS. */
MUST_CHECK int cimxml_class(struct cimxml_call *call, const char *name,
                            const struct cim_class **out, struct error *err);
/* INSTANCENAME; CIM_INVALID_PARAMETER when it is something else. */
MUST_CHECK int cimxml_instance_name(struct cimxml_call *call, const char *name,
                                    const struct cim_path **out, struct error *err);

/* cimxml_view - IncludeClassOrigin, IncludeQualifiers, PropertyList. limit_to: only properties that
 * this class has (DeepInheritance FALSE); NULL: all. */
MUST_CHECK int cimxml_view(struct cimxml_call *call, const struct cim_class *limit_to,
                           struct cim_view *out, struct error *err);

/* cimxml_refuse - sets the status; returns -1. */
int cimxml_refuse(struct cimxml_call *call, enum cim_status status, struct error *err,
                  const char *format, ...) FORMAT_AT(4, 5);

/* The path of an instance with the namespace of the call, and this host as clients reach it. */
const struct cim_path *cimxml_path_of(struct cimxml_call *call,
                                      const struct cim_instance *instance);

/* --- operations: write IRETURNVALUE and what follows --------------------------------------------
 */

typedef int cimxml_operation(struct cimxml_call *call, struct error *err);

cimxml_operation cimxml_get_class, cimxml_enumerate_classes, cimxml_enumerate_class_names;
cimxml_operation cimxml_get_instance, cimxml_enumerate_instances, cimxml_enumerate_instance_names;
cimxml_operation cimxml_get_property, cimxml_set_property, cimxml_modify_instance;
cimxml_operation cimxml_exec_query;
cimxml_operation cimxml_associators, cimxml_associator_names;
cimxml_operation cimxml_references, cimxml_reference_names;
cimxml_operation cimxml_open, cimxml_pull, cimxml_close, cimxml_count;

/* What the association operations search for, from AssocClass, ResultClass, Role, ResultRole. */
MUST_CHECK int cimxml_find_linked(struct cimxml_call *call, bool is_references,
                                  struct cim_list *out, struct error *err);

/* ExecQuery's and OpenQueryInstances': what the query finds. */
MUST_CHECK int cimxml_find_by_query(struct cimxml_call *call, const char *language,
                                    const char *text, struct cim_list *out, struct cim_view *view,
                                    struct error *err);

/* cimxml_call_method - a METHODCALL: RETURNVALUE and PARAMVALUEs. */
MUST_CHECK int cimxml_call_method(struct cimxml_call *call, struct error *err);

#endif
