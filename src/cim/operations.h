/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * operations.h - what can be asked of the model, whatever the protocol: DSP0200's operations for
 * reading, the methods, and changing what may be changed. Every one passes authorization here, and
 * reaches the service by the control API as the caller.
 */
#ifndef RESILVER_CIM_OPERATIONS_H
#define RESILVER_CIM_OPERATIONS_H

#include "base/env.h"
#include "cim/caller.h"
#include "cim/value.h"
#include "cim/wql.h"
#include "client/client.h"

/* The status codes of DSP0200 1.4, table 2. */
enum cim_status {
    CIM_OK = 0,
    CIM_FAILED = 1,
    CIM_ACCESS_DENIED = 2,
    CIM_INVALID_NAMESPACE = 3,
    CIM_INVALID_PARAMETER = 4,
    CIM_INVALID_CLASS = 5,
    CIM_NOT_FOUND = 6,
    CIM_NOT_SUPPORTED = 7,
    CIM_ALREADY_EXISTS = 11,
    CIM_NO_SUCH_PROPERTY = 12,
    CIM_TYPE_MISMATCH = 13,
    CIM_QUERY_LANGUAGE_NOT_SUPPORTED = 14,
    CIM_INVALID_QUERY = 15,
    CIM_METHOD_NOT_AVAILABLE = 16,
    CIM_METHOD_NOT_FOUND = 17,
    CIM_INVALID_ENUMERATION_CONTEXT = 21,
    CIM_INVALID_OPERATION_TIMEOUT = 22,
    CIM_FILTERED_ENUMERATION_NOT_SUPPORTED = 25,
    CIM_CONTINUATION_ON_ERROR_NOT_SUPPORTED = 26,
    CIM_SERVER_LIMITS_EXCEEDED = 27,
    CIM_SERVER_IS_SHUTTING_DOWN = 28
};
const char *cim_status_name(enum cim_status status); /* "CIM_ERR_NOT_FOUND" */

/* One request of a client, for as long as it takes. Everything that comes out is in its arena. */
struct cim_request {
    struct arena *arena;             /* borrowed, as all here */
    struct client *client;           /* to the service; acts for the caller */
    const struct cim_caller *caller; /* NULL: nobody */
    const struct env *env;
    enum cim_status status; /* set when an operation fails */
    json_t *host;           /* owned: GET /v1/host, once it was asked for */
    json_t *vms;            /* owned: GET /v1/vms, likewise */
    json_t *vm;             /* owned: GET /v1/vms/{vm} of the first that was asked for alone */
    json_t *jobs;           /* owned: GET /v1/jobs, likewise */
    json_t *peers;          /* owned: GET /v1/hosts, likewise */
};

void cim_request_done(struct cim_request *request);

struct cim_list {
    const struct cim_instance **all; /* of the arena */
    uint32_t count;
    uint32_t room;
};

/* cim_list_add - of INSTANCES_MAX at most. False: no more (arena->bad or CIM limit). */
bool cim_list_add(struct arena *arena, struct cim_list *list, const struct cim_instance *instance);

/*
 * Every operation: 0, or -1 with request->status and err. Common causes: CIM_ACCESS_DENIED the
 * caller may not; CIM_FAILED the service is not there; CIM_SERVER_LIMITS_EXCEEDED too much.
 * `namespace` is one that cim_space_find() found.
 */

/* cim_resolve - class of a path in a namespace. CIM_INVALID_NAMESPACE, CIM_INVALID_CLASS. path's
 * own namespace wins over namespace_name if it has one. */
MUST_CHECK int cim_resolve(struct cim_request *request, const char *namespace_name,
                           const char *class_name, enum cim_space *space,
                           const struct cim_class **class, struct error *err);

/* cim_get_instance - CIM_NOT_FOUND; CIM_INVALID_PARAMETER keys are missing or too many. */
MUST_CHECK int cim_get_instance(struct cim_request *request, enum cim_space space,
                                const struct cim_path *path, const struct cim_instance **out,
                                struct error *err);

/* cim_enumerate - of the class and those that descend from it. */
MUST_CHECK int cim_enumerate(struct cim_request *request, enum cim_space space,
                             const struct cim_class *class, struct cim_list *out,
                             struct error *err);

/* cim_associators - what is linked with the object; cim_references - the associations that link it.
 * filter NULL: all. CIM_NOT_FOUND no such object; CIM_INVALID_PARAMETER a class of the filter is
 * not there. */
MUST_CHECK int cim_associators(struct cim_request *request, enum cim_space space,
                               const struct cim_path *of,
                               const struct cim_association_filter *filter, struct cim_list *out,
                               struct error *err);
MUST_CHECK int cim_references(struct cim_request *request, enum cim_space space,
                              const struct cim_path *of,
                              const struct cim_association_filter *filter, struct cim_list *out,
                              struct error *err);

/* cim_query - CIM_INVALID_QUERY, CIM_INVALID_CLASS. query was parsed by wql_parse(). */
MUST_CHECK int cim_query(struct cim_request *request, enum cim_space space, const struct wql *query,
                         struct cim_list *out, struct error *err);

/*
 * What goes into a method, and comes out: one value for each parameter of the method, in its order.
 * A value that was not given is null. is_wrong_type: what was given for it cannot be of its type
 * (an interval or a text where a moment belongs): the methods of Msvm_ReplicationService say 32776
 * or 32773 to that themselves.
 */
struct cim_arguments {
    const struct cim_method *method;
    struct cim_value *values;
    bool *is_wrong_type;
    bool *is_given;
};
struct cim_arguments *cim_arguments_new(struct arena *arena, const struct cim_method *method);

struct cim_outcome {
    uint32_t return_value;
    struct cim_arguments *out; /* the parameters that come out */
    const char *message;       /* why, in words: the audit log; "" */
};

/*
 * cim_invoke - a method on an instance. What the method itself does not like is its return value,
 * not an error. CIM_NOT_FOUND no such instance, CIM_METHOD_NOT_FOUND, CIM_ACCESS_DENIED only where
 * the method has no return value for it.
 */
MUST_CHECK int cim_invoke(struct cim_request *request, enum cim_space space,
                          const struct cim_path *path, const struct cim_method *method,
                          const struct cim_arguments *in, struct cim_outcome *out,
                          struct error *err);

/* cim_modify - the writable properties in `given` (bits by index) of an instance. CIM_NOT_SUPPORTED
 * the class has none; CIM_INVALID_PARAMETER one is read-only and differs. */
MUST_CHECK int cim_modify(struct cim_request *request, enum cim_space space,
                          const struct cim_path *path, const struct cim_instance *with,
                          const uint64_t given[2], struct error *err);

/* cim_from_refusal - the status for a call of the control API that failed. */
enum cim_status cim_from_refusal(const struct client_refusal *refusal, const struct error *err);

#endif
