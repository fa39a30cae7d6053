/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method_common.h - what methods have in common: their parameters read, the object that a reference
 * names, the call of the control API, and its reply as return value and Job.
 *
 * Most functions here answer the method themselves when something is wrong: they return false (or
 * NULL), and there is nothing left to do but to return 0.
 */
#ifndef RESILVER_CIM_METHOD_COMMON_H
#define RESILVER_CIM_METHOD_COMMON_H

#include "cim/provider.h"

/* What the methods of Msvm_ReplicationService return. Source: Microsoft, Hyper-V WMI provider (V2),
 * Msvm_ReplicationService. */
enum method_value {
    METHOD_DONE = 0,
    METHOD_JOB_STARTED = 4096,
    METHOD_FAILED = 32768,
    METHOD_ACCESS_DENIED = 32769,
    METHOD_NOT_SUPPORTED = 32770,
    METHOD_UNKNOWN = 32771,
    METHOD_TIMEOUT = 32772,
    METHOD_INVALID_PARAMETER = 32773,
    METHOD_IN_USE = 32774,
    METHOD_INVALID_STATE = 32775,
    METHOD_WRONG_TYPE = 32776,
    METHOD_NOT_AVAILABLE = 32777,
    METHOD_OUT_OF_MEMORY = 32778,
    METHOD_FILE_NOT_FOUND = 32779
};

/* One call of a method while it is answered. */
struct method {
    struct cim_request *request;    /* borrowed, as all here */
    const struct cim_arguments *in; /* all parameters, null ones too */
    struct cim_outcome *out;
};

/* method_begin - nothing is wrong so far: 0. out->out is cim_arguments_new()'s. */
struct method method_begin(struct cim_request *request, const struct cim_arguments *in,
                           struct cim_outcome *out);

/* --- answers ---------------------------------------------------------------------------------- */

/* method_refuse - this is the return value, and why. Always false. */
bool method_refuse(struct method *method, uint32_t value, const char *format, ...) FORMAT_AT(3, 4);

/* method_refuse_call - a call of the control API that failed: its own return value, or the one that
 * fits. Always false. */
bool method_refuse_call(struct method *method, const struct client_refusal *refusal,
                        const struct error *err);

/* A parameter that comes out; of a method that has it. Values that are NULL are left null. */
void method_put_path(struct method *method, const char *name, const struct cim_path *path);
void method_put_texts(struct method *method, const char *name, const char *const *texts,
                      uint32_t count);
void method_put_instance(struct method *method, const char *name,
                         const struct cim_instance *instance);
void method_put_instances(struct method *method, const char *name, const struct cim_list *list);

/* --- parameters ------------------------------------------------------------------------------- */

/* Each leaves *out as it is where the parameter is null. False: it is of another type, 32776. */
bool method_take_number(struct method *method, const char *name, uint64_t *out);
bool method_take_text(struct method *method, const char *name, const char **out);
/* A timestamp; an interval is of another type. */
bool method_take_moment(struct method *method, const char *name, const char **out);
bool method_take_interval(struct method *method, const char *name, const char **out);
/* An embedded instance of a class or one that descends from it. */
bool method_take_instance(struct method *method, const char *name, const char *class_name,
                          const struct cim_instance **out);

/* method_needed - refuses with 32773 where `value` is NULL: "NAME is missing". */
bool method_needed(struct method *method, const char *name, const void *value);

/* --- who may, and on what --------------------------------------------------------------------- */

/* method_may - whether the caller has that role for the host; else 32769. */
bool method_may(struct method *method, enum cim_role role);

/* A VM that a parameter, or the instance itself, names. */
struct method_vm {
    json_t *json;     /* owned: the Vm of the control API */
    const char *id;   /* borrowed from json, as name is */
    const char *name; /* "web1" */
    int hop;          /* of the relationship whose source is here: 1 on a replica, else 0 */
    int primary_hop;  /* of the one that is meant where none is named: 0, or 1 if that is all */
};

void method_vm_done(struct method_vm *vm);

/*
 * method_take_vm - of the parameter "ComputerSystem". 32769 the caller has not that role for it;
 * 32773 it is null, of another class, or names no VM; 32770 it names the host.
 */
bool method_take_vm(struct method *method, enum cim_role role, struct method_vm *out);

/* method_vm_of - of an instance of Msvm_ComputerSystem. 32769, 32770. */
bool method_vm_of(struct method *method, const struct cim_instance *on, enum cim_role role,
                  struct method_vm *out);

/* method_vm_relationship - its relationship of a hop, borrowed from vm->json; NULL: none. */
const json_t *method_vm_relationship(const struct method_vm *vm, int hop);

/*
 * method_take_hop - of the parameter "ReplicationRelationship", an embedded
 * Msvm_ReplicationRelationship; *out stays as it is where that is null. 32773 it belongs to another
 * VM.
 */
bool method_take_hop(struct method *method, const struct method_vm *vm, bool *is_there, int *out);

/* method_needed_hop - the same for one that must be given; else 32773. */
bool method_needed_hop(struct method *method, const struct method_vm *vm, int *out);

/* --- calls of the control API ----------------------------------------------------------------- */

/* method_path - before, the name percent-encoded, behind; NULL: answered, 32773. */
const char *method_path(struct method *method, const char *before, const char *name,
                        const char *behind);

/* method_hop_path - "/v1/vms/ID/relationships/HOP", and behind. */
const char *method_hop_path(struct method *method, const struct method_vm *vm, int hop,
                            const char *behind);

/* method_get - *out is the caller's. False: answered. */
bool method_get(struct method *method, const char *path, json_t **out);

/*
 * method_ask - the call whose reply is the answer: return value, message, and Job, if the method
 * has one. path NULL: answered already. False: it was refused.
 *
 * method_ask_with - the same with a body, which is taken; NULL: there was no memory for it, and so
 * nothing is asked.
 */
bool method_ask(struct method *method, const char *verb, const char *path);
bool method_ask_with(struct method *method, const char *verb, const char *path, json_t *body);

static inline void json_done(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

#endif
