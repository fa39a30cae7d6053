/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim/method_common.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/uuid.h"
#include "cim/xml.h"

#define VM_CLASS "Msvm_ComputerSystem"

/* --- answers ---------------------------------------------------------------------------------- */

struct method method_begin(struct cim_request *request, const struct cim_arguments *in,
                           struct cim_outcome *out)
{
    assert(out->out != NULL && out->out->method == in->method);
    out->return_value = METHOD_DONE;
    out->message = "";
    return (struct method){.request = request, .in = in, .out = out};
}

bool method_refuse(struct method *method, uint32_t value, const char *format, ...)
{
    char text[ERROR_MESSAGE_MAX];
    va_list values;

    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    const char *kept = arena_text(method->request->arena, text);
    method->out->return_value = value;
    method->out->message = kept != NULL ? kept : "";
    return false;
}

static uint32_t value_of_kind(enum error_kind kind)
{
    switch (kind) {
    case ERR_USAGE:
        return METHOD_INVALID_PARAMETER;
    case ERR_LIMIT:
        return METHOD_OUT_OF_MEMORY;
    case ERR_WRONG_STATE:
        return METHOD_INVALID_STATE;
    case ERR_PEER: /* the service does not answer: nothing of this host can be had */
        return METHOD_NOT_AVAILABLE;
    case ERR_NONE:
    case ERR_IO:
    case ERR_INTERNAL:
    case ERR_CANCELLED:
        break;
    }
    return METHOD_FAILED;
}

bool method_refuse_call(struct method *method, const struct client_refusal *refusal,
                        const struct error *err)
{
    uint32_t value = refusal->return_value != 0 ? refusal->return_value : value_of_kind(err->kind);

    method->request->status = CIM_OK; /* it is a return value now */
    return method_refuse(method, value, "%s", err->message);
}

static struct cim_value *out_value(struct method *method, const char *name)
{
    const struct cim_parameter *parameter = cim_parameter_find(method->in->method, name);

    assert(parameter != NULL && parameter->is_out);
    return &method->out->out->values[parameter - method->in->method->parameters];
}

/* NULL: no memory; else room for count items, which are to be filled. */
static union cim_item *make_items(struct method *method, const char *name, enum cim_type type,
                                  bool is_array, uint32_t count)
{
    struct cim_value *value = out_value(method, name);
    /* An array of none has items, too: one that nobody looks at. */
    union cim_item *items =
        arena_take_many(method->request->arena, (size_t)count + 1, sizeof *items);

    if (items == NULL) {
        return NULL;
    }
    *value = (struct cim_value){.type = type, .is_array = is_array, .count = count, .items = items};
    return items;
}

void method_put_path(struct method *method, const char *name, const struct cim_path *path)
{
    union cim_item *items = path != NULL ? make_items(method, name, CIM_REFERENCE, false, 1) : NULL;

    if (items != NULL) {
        items[0].path = path;
    }
}

void method_put_texts(struct method *method, const char *name, const char *const *texts,
                      uint32_t count)
{
    union cim_item *items = make_items(method, name, CIM_STRING, true, count);

    for (uint32_t i = 0; items != NULL && i < count; i++) {
        items[i].text = texts[i];
    }
}

void method_put_instance(struct method *method, const char *name,
                         const struct cim_instance *instance)
{
    union cim_item *items =
        instance != NULL ? make_items(method, name, CIM_INSTANCE, false, 1) : NULL;

    if (items != NULL) {
        items[0].instance = instance;
    }
}

void method_put_instances(struct method *method, const char *name, const struct cim_list *list)
{
    union cim_item *items = make_items(method, name, CIM_INSTANCE, true, list->count);

    for (uint32_t i = 0; items != NULL && i < list->count; i++) {
        items[i].instance = list->all[i];
    }
}

/* --- parameters ------------------------------------------------------------------------------- */

/* The index of a parameter that the method has. */
static uint32_t index_of(const struct method *method, const char *name)
{
    const struct cim_parameter *parameter = cim_parameter_find(method->in->method, name);

    assert(parameter != NULL && parameter->is_in);
    return (uint32_t)(parameter - method->in->method->parameters);
}

static bool refuse_type(struct method *method, const char *name, const char *wanted)
{
    return method_refuse(method, METHOD_WRONG_TYPE, "%s must be %s", name, wanted);
}

/* False: answered. *out NULL: the parameter is null. */
static bool take(struct method *method, const char *name, const char *wanted,
                 const struct cim_value **out)
{
    uint32_t index = index_of(method, name);
    const struct cim_value *value = &method->in->values[index];

    if (method->in->is_wrong_type[index] || value->is_array || value->count > 1) {
        return refuse_type(method, name, wanted);
    }
    *out = value->is_null || value->count == 0 ? NULL : value;
    return true;
}

bool method_take_number(struct method *method, const char *name, uint64_t *out)
{
    const struct cim_value *value = NULL;

    if (!take(method, name, "a number", &value)) {
        return false;
    }
    if (value == NULL) {
        return true;
    }
    if (value->type < CIM_UINT8 || value->type > CIM_UINT64) {
        return refuse_type(method, name, "a number");
    }
    *out = value->items[0].number;
    return true;
}

bool method_take_text(struct method *method, const char *name, const char **out)
{
    const struct cim_value *value = NULL;

    if (!take(method, name, "a text", &value)) {
        return false;
    }
    if (value == NULL) {
        return true;
    }
    if (value->type != CIM_STRING) {
        return refuse_type(method, name, "a text");
    }
    *out = value->items[0].text;
    return true;
}

static bool take_datetime(struct method *method, const char *name, bool is_interval,
                          const char **out)
{
    const char *wanted = is_interval ? "an interval (00000000001000.000000:000) and no datetime"
                                     : "a datetime (20260301220000.000000+000) and no interval";
    const struct cim_value *value = NULL;

    if (!take(method, name, wanted, &value)) {
        return false;
    }
    if (value == NULL) {
        return true;
    }
    if (value->type != CIM_DATETIME || !cim_datetime_is(value->items[0].text) ||
        cim_datetime_is_interval(value->items[0].text) != is_interval) {
        return refuse_type(method, name, wanted);
    }
    *out = value->items[0].text;
    return true;
}

bool method_take_moment(struct method *method, const char *name, const char **out)
{
    return take_datetime(method, name, false, out);
}

bool method_take_interval(struct method *method, const char *name, const char **out)
{
    return take_datetime(method, name, true, out);
}

/* Clients that cannot leave a text out give an empty one. */
static bool is_blank(const struct cim_value *value)
{
    const char *text = value->type == CIM_STRING ? value->items[0].text : "-";

    return text[strspn(text, " \t\r\n")] == '\0';
}

/* As a protocol read it, or a text that is still to be read. */
static bool read_instance(struct method *method, const char *name, const char *class_name,
                          const struct cim_value *value, const struct cim_instance **out)
{
    struct error err = {0};

    if (value->type == CIM_INSTANCE) {
        *out = value->items[0].instance;
        return true;
    }
    if (value->type != CIM_STRING) {
        return refuse_type(method, name, "an embedded instance");
    }
    if (cim_xml_read_embedded(method->request->arena, value->items[0].text, class_name, out, &err) <
        0) {
        return method_refuse(method, METHOD_WRONG_TYPE, "%s: %s", name, err.message);
    }
    return true;
}

bool method_take_instance(struct method *method, const char *name, const char *class_name,
                          const struct cim_instance **out)
{
    const struct cim_instance *read = NULL;
    const struct cim_value *value = NULL;

    if (!take(method, name, "an embedded instance, as CIM-XML", &value)) {
        return false;
    }
    if (value == NULL || is_blank(value)) {
        return true;
    }
    if (!read_instance(method, name, class_name, value, &read)) {
        return false;
    }
    if (!cim_class_is_named(read->class, class_name)) {
        return method_refuse(method, METHOD_WRONG_TYPE, "%s must be an instance of %s, not of %s",
                             name, class_name, read->class->name);
    }
    *out = read;
    return true;
}

bool method_needed(struct method *method, const char *name, const void *value)
{
    return value != NULL || method_refuse(method, METHOD_INVALID_PARAMETER, "%s is missing", name);
}

/* --- who may ---------------------------------------------------------------------------------- */

static const char *caller_name(const struct method *method)
{
    return method->request->caller != NULL ? method->request->caller->name : "nobody";
}

static bool refuse_caller(struct method *method, enum cim_role role, const char *what)
{
    return method_refuse(method, METHOD_ACCESS_DENIED,
                         "'%s' may not do this to %s: it needs the "
                         "role %s",
                         caller_name(method), what, cim_role_name(role));
}

bool method_may(struct method *method, enum cim_role role)
{
    const struct cim_caller *caller = method->request->caller;

    return (caller != NULL && caller->role >= role) || refuse_caller(method, role, "this host");
}

/* Whether there is anything at all to which he might do it: whoever may not learns nothing of what
 * there is. */
static bool may_somewhere(struct method *method, enum cim_role role)
{
    const struct cim_caller *caller = method->request->caller;
    bool may = caller != NULL && caller->role >= role;

    for (uint32_t i = 0; caller != NULL && !may && i < caller->vm_count; i++) {
        may = caller->vms[i].role >= role;
    }
    return may || refuse_caller(method, role, "any VM");
}

/* --- VMs -------------------------------------------------------------------------------------- */

void method_vm_done(struct method_vm *vm)
{
    json_decref(vm->json);
    *vm = (struct method_vm){0};
}

static bool is_host(struct method *method, const char *name, bool *out)
{
    const struct client_refusal none = {0};
    const json_t *host = NULL;
    struct error err = {0};

    if (cim_host(method->request, &host, &err) < 0) {
        return method_refuse_call(method, &none, &err);
    }
    const char *host_name = json_string_value(json_object_get(host, "name"));
    *out = host_name != NULL && strcasecmp(host_name, name) == 0;
    return true;
}

static bool refuse_reference(struct method *method, const char *name)
{
    return method_refuse(method, METHOD_INVALID_PARAMETER, "there is no VM with the id '%.128s'",
                         name);
}

/* Whoever has the role for single VMs only is told the same of one that is not there as of one that
 * is not his: which ids there are is not his to know. */
static bool refuse_missing(struct method *method, enum cim_role role, const char *name)
{
    const struct cim_caller *caller = method->request->caller;

    return caller != NULL && caller->role >= role ? refuse_reference(method, name)
                                                  : refuse_caller(method, role, name);
}

/* Takes json, which is the VM that *out is filled from. */
static bool fill_vm(struct method *method, json_t *json, enum cim_role role, struct method_vm *out)
{
    struct method_vm vm = {.json = json};
    const uint64_t replica_mode = 2; /* Msvm_ComputerSystem.ReplicationMode */

    vm.id = json_string_value(json_object_get(json, "id"));
    vm.name = json_string_value(json_object_get(json, "name"));
    vm.hop = json_integer_value(json_object_get(json, "mode")) == (json_int_t)replica_mode ? 1 : 0;
    vm.primary_hop =
        method_vm_relationship(&vm, 0) == NULL && method_vm_relationship(&vm, 1) != NULL;
    if (vm.id == NULL || vm.name == NULL) {
        method_vm_done(&vm);
        return method_refuse(method, METHOD_UNKNOWN, "resilverd's answer has no VM in it");
    }
    if (!cim_may(method->request, json, role)) {
        (void)refuse_caller(method, role, vm.name);
        method_vm_done(&vm);
        return false;
    }
    *out = vm;
    return true;
}

/* Names of VMs are not unique, and no keys: only ids are looked for. */
static bool find_vm(struct method *method, const char *name, enum cim_role role,
                    struct method_vm *out)
{
    struct uuid id;
    char text[UUID_TEXT_MAX];
    json_t *json = NULL;
    struct client_refusal refusal = {0};
    struct error err = {0};
    bool is_the_host = false;

    if (uuid_parse(name, &id, NULL) < 0) {
        if (!is_host(method, name, &is_the_host)) {
            return false;
        }
        return is_the_host ? method_refuse(method, METHOD_NOT_SUPPORTED,
                                           "'%.128s' is the host itself; this is for VMs", name)
                           : refuse_reference(method, name);
    }
    uuid_format(&id, text);
    const char *path = method_path(method, "/v1/vms/", text, "");
    if (path == NULL) {
        return false;
    }
    if (cim_call(method->request, "GET", path, NULL, &json, &refusal, &err) < 0) {
        bool is_missing = refusal.http_status == 404;
        method->request->status = CIM_OK;
        return is_missing ? refuse_missing(method, role, name)
                          : method_refuse_call(method, &refusal, &err);
    }
    return fill_vm(method, json, role, out);
}

/* Whether a reference has the class and keys of Msvm_ComputerSystem. */
static bool is_vm_path(const struct cim_path *path)
{
    const struct cim_class *class = cim_class_find(CIM_SPACE_VIRTUALIZATION, VM_CLASS);
    const char *creation = cim_path_key(path, "CreationClassName");

    assert(class != NULL);
    return path->key_count == 2 && cim_path_key(path, "Name") != NULL && creation != NULL &&
           strcasecmp(creation, VM_CLASS) == 0 && cim_class_is_named(class, path->class_name) &&
           (path->namespace_name[0] == '\0' ||
            cim_space_find(path->namespace_name) == CIM_SPACE_VIRTUALIZATION);
}

bool method_take_vm(struct method *method, enum cim_role role, struct method_vm *out)
{
    uint32_t index = index_of(method, "ComputerSystem");
    const struct cim_value *value = &method->in->values[index];

    if (!may_somewhere(method, role)) {
        return false;
    }
    if (method->in->is_wrong_type[index] || value->is_null || value->count != 1 ||
        value->type != CIM_REFERENCE || !is_vm_path(value->items[0].path)) {
        return method_refuse(method, METHOD_INVALID_PARAMETER,
                             "ComputerSystem must be a reference to an instance of " VM_CLASS
                             ", with the keys CreationClassName and Name");
    }
    return find_vm(method, cim_path_key(value->items[0].path, "Name"), role, out);
}

bool method_vm_of(struct method *method, const struct cim_instance *on, enum cim_role role,
                  struct method_vm *out)
{
    const char *name = cim_get_text(on, "Name");

    return may_somewhere(method, role) && find_vm(method, name != NULL ? name : "", role, out);
}

const json_t *method_vm_relationship(const struct method_vm *vm, int hop)
{
    const json_t *list = json_object_get(vm->json, "relationships");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *relationship = json_array_get(list, i);
        if (json_integer_value(json_object_get(relationship, "hop")) == hop) {
            return relationship;
        }
    }
    return NULL;
}

bool method_take_hop(struct method *method, const struct method_vm *vm, bool *is_there, int *out)
{
    const struct cim_instance *relationship = NULL;
    char id[UUID_TEXT_MAX];
    int hop = 0;

    if (!method_take_instance(method, "ReplicationRelationship", "Msvm_ReplicationRelationship",
                              &relationship)) {
        return false;
    }
    *is_there = relationship != NULL;
    if (relationship == NULL) {
        return true;
    }
    const char *text = cim_get_text(relationship, "InstanceID");
    if (text == NULL || !cim_hop_id_read(text, id, &hop) || strcmp(id, vm->id) != 0) {
        return method_refuse(method, METHOD_INVALID_PARAMETER,
                             "ReplicationRelationship must be one of '%s': its InstanceID is "
                             "'Microsoft:<id of the VM>\\HVR\\0', or 1 for the extended one, not "
                             "'%.128s'",
                             vm->name, text != NULL ? text : "");
    }
    *out = hop;
    return true;
}

bool method_needed_hop(struct method *method, const struct method_vm *vm, int *out)
{
    bool is_there = false;

    return method_take_hop(method, vm, &is_there, out) &&
           (is_there || method_needed(method, "ReplicationRelationship", NULL));
}

/* --- calls of the control API ----------------------------------------------------------------- */

const char *method_path(struct method *method, const char *before, const char *name,
                        const char *behind)
{
    char encoded[CLIENT_PATH_MAX];

    if (client_path(encoded, sizeof encoded, NULL, "%s", name) < 0 ||
        strlen(before) + strlen(encoded) + strlen(behind) >= sizeof encoded) {
        (void)method_refuse(method, METHOD_INVALID_PARAMETER, "'%.128s...' is too long for a name",
                            name);
        return NULL;
    }
    const char *path = arena_print(method->request->arena, "%s%s%s", before, encoded, behind);
    if (path == NULL) {
        (void)method_refuse(method, METHOD_OUT_OF_MEMORY, "out of memory for a call");
    }
    return path;
}

const char *method_hop_path(struct method *method, const struct method_vm *vm, int hop,
                            const char *behind)
{
    char rest[64];

    (void)snprintf(rest, sizeof rest, "/relationships/%d%s", hop, behind);
    return method_path(method, "/v1/vms/", vm->id, rest);
}

bool method_get(struct method *method, const char *path, json_t **out)
{
    struct client_refusal refusal = {0};
    struct error err = {0};

    if (path == NULL) {
        return false;
    }
    return cim_call(method->request, "GET", path, NULL, out, &refusal, &err) == 0 ||
           method_refuse_call(method, &refusal, &err);
}

static void take_reply(struct method *method, const json_t *reply)
{
    json_int_t value = json_integer_value(json_object_get(reply, "return_value"));
    const char *message = json_string_value(json_object_get(reply, "message"));
    const char *job = json_string_value(json_object_get(reply, "job"));

    /* What is done at once may answer with an object instead, which has no return value. */
    (void)method_refuse(method,
                        value >= 0 && value <= UINT16_MAX ? (uint32_t)value : METHOD_UNKNOWN, "%s",
                        message != NULL ? message : "");
    if (job != NULL && cim_parameter_find(method->in->method, "Job") != NULL) {
        method_put_path(method, "Job", cim_path_of_job(method->request->arena, job));
    }
}

static bool ask(struct method *method, const char *verb, const char *path, const json_t *body)
{
    CLEANUP(json_done) json_t *reply = NULL;
    struct client_refusal refusal = {0};
    struct error err = {0};

    if (path == NULL) {
        return false;
    }
    if (cim_call(method->request, verb, path, body, &reply, &refusal, &err) < 0) {
        return method_refuse_call(method, &refusal, &err);
    }
    take_reply(method, reply);
    return true;
}

bool method_ask(struct method *method, const char *verb, const char *path)
{
    return ask(method, verb, path, NULL);
}

bool method_ask_with(struct method *method, const char *verb, const char *path, json_t *body)
{
    CLEANUP(json_done) json_t *sent = body;

    return sent != NULL ? ask(method, verb, path, sent)
                        : method_refuse(method, METHOD_OUT_OF_MEMORY, "out of memory for a call");
}
