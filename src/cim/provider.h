/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * provider.h - where the instances of a class come from: one row a class in provider_table.c,
 * filled by the map_<noun>.c beside it, which turn the control API's objects into instances. And
 * where its methods go: one row a method in method_table.c.
 */
#ifndef RESILVER_CIM_PROVIDER_H
#define RESILVER_CIM_PROVIDER_H

#include "cim/operations.h"

struct cim_provider {
    const char *class_name;

    /*
     * All instances that the caller may see. For an association: `near` is the object that is asked
     * about, or NULL; only the associations that link it are needed then (more do no harm).
     */
    int (*enumerate)(struct cim_request *request, const struct cim_path *near, struct cim_list *out,
                     struct error *err);

    /* One by its path, which has just the right keys. NULL: it is looked for among all. *out stays
     * NULL when there is none. */
    int (*get)(struct cim_request *request, const struct cim_path *path,
               const struct cim_instance **out, struct error *err);

    /* Change what `given` names; NULL: nothing can be. */
    int (*modify)(struct cim_request *request, const struct cim_instance *is,
                  const struct cim_instance *with, const uint64_t given[2], struct error *err);
};

extern const struct cim_provider *const cim_providers[];
extern const uint32_t cim_provider_count;
const struct cim_provider *cim_provider_find(const struct cim_class *class); /* of just that class
                                                                              */

/* One method of one class. `on` is the instance, which is there. Sets out->return_value and
 * parameters; -1 only for what has no return value (request->status). */
struct cim_method_row {
    const char *class_name;
    const char *method;
    int (*invoke)(struct cim_request *request, const struct cim_instance *on,
                  const struct cim_arguments *in, struct cim_outcome *out, struct error *err);
};
extern const struct cim_method_row cim_method_rows[];
extern const uint32_t cim_method_row_count;

/* --- what the maps and methods share (provider.c) ------------------------------------------------
 */

/* cim_call - a call of the control API; *out is owned by the caller (json_decref). On failure
 * request->status and err are set; refusal may be NULL. */
MUST_CHECK int cim_call(struct cim_request *request, const char *method, const char *path,
                        const json_t *body, json_t **out, struct client_refusal *refusal,
                        struct error *err);

/* cim_refuse - set request->status and err, and return -1: `return cim_refuse(...)`. */
int cim_refuse(struct cim_request *request, enum cim_status status, struct error *err,
               const char *format, ...) FORMAT_AT(4, 5);

#ifdef __clang_analyzer__
/* As with fail(): the static analyzer sees one file at a time. */
#define cim_refuse(...)                                                                            \
    ({                                                                                             \
        (void)cim_refuse(__VA_ARGS__);                                                             \
        -1;                                                                                        \
    })
#endif

/* cim_host - GET /v1/host, asked once a request; borrowed from the request. */
MUST_CHECK int cim_host(struct cim_request *request, const json_t **out, struct error *err);

/* cim_may_see - whether the caller may read of that VM: {"id", "name"}. cim_may - the same for a
 * role. */
bool cim_may_see(const struct cim_request *request, const json_t *vm);
bool cim_may(const struct cim_request *request, const json_t *vm, enum cim_role role);

/* Paths that others refer to. */
const struct cim_path *cim_path_of_host(struct cim_request *request, struct error *err);
const struct cim_path *cim_path_of_service(struct cim_request *request, struct error *err);
const struct cim_path *cim_path_of_vm(struct arena *arena, const char *vm_id);
const struct cim_path *cim_path_of_relationship(struct arena *arena, const char *vm_id, int hop);
const struct cim_path *cim_path_of_job(struct arena *arena, const char *job_id);

/* "Microsoft:<VM ID>\HVR\<hop>", as InstanceID of a relationship and its settings; the reverse,
 * with an id in lower case. VM and job ids are written in upper case, as Hyper-V does, and read in
 * any. */
const char *cim_hop_id(struct arena *arena, const char *vm_id, int hop);
MUST_CHECK bool cim_hop_id_read(const char *text, char vm_id[37], int *hop);

/* An object of the control API as the instance that it is, as at the moment when the object was
 * made: for those who are told of changes. NULL: no memory. */
const struct cim_instance *cim_job_instance(struct arena *arena, const json_t *job);
const struct cim_instance *cim_relationship_instance(struct cim_request *request,
                                                     const json_t *relationship);

/* A time of the control API (RFC 3339, null) into a datetime property. */
void cim_set_time(struct cim_instance *instance, const char *name, const json_t *rfc3339);

#endif
