/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method_relationship.c - relationships made, changed, started and ended.
 */
#include <strings.h>

#include "cim/method_settings.h"
#include "cim/method_table.h"

/* InitialReplicationType. Source: Msvm_ReplicationService.StartReplication. */
enum { INITIAL_NETWORK = 1, INITIAL_EXPORT = 2, INITIAL_SEEDED = 3 };

/* --- create ----------------------------------------------------------------------------------- */

/* Which disks, as the control API takes them: none for an extended replica, which has those of the
 * replica, and none for all. */
static bool disks_to_create(struct method *method, const struct cim_instance *settings,
                            const struct method_vm *vm, json_t **out)
{
    CLEANUP(json_done) json_t *names = NULL;
    const json_t *first = method_vm_relationship(vm, 0);

    if (!method_settings_disks(method, settings, vm, &names)) {
        return false;
    }
    if (vm->hop == 1 && names != NULL && method_disks_are(names, first)) {
        return true;
    }
    *out = names;
    names = NULL;
    return true;
}

static void create(struct method *method, const struct method_vm *vm,
                   const struct cim_instance *settings)
{
    CLEANUP(json_done) json_t *disks = NULL;
    json_t *body = NULL;
    const char *host = NULL;

    if (!method_settings_host(method, settings, &host) ||
        !method_needed(method, "RecoveryConnectionPoint", host) ||
        !disks_to_create(method, settings, vm, &disks) ||
        !method_settings_body(method, settings, &body)) {
        return;
    }
    (void)method_ask_with(
        method, "POST", method_path(method, "/v1/vms/", vm->id, "/relationships"),
        json_pack("{s:s, s:O?, s:o}", "host", host, "disks", disks, "settings", body));
}

/* The InstanceID of the settings says nothing of the hop here: they are often those of relationship
 * 0, read to be given back with another host. */
int method_create_relationship(struct cim_request *request, const struct cim_instance *on,
                               const struct cim_arguments *in, struct cim_outcome *out,
                               struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};
    const struct cim_instance *settings = NULL;
    int hop = 0;

    (void)on;
    (void)err;
    if (method_take_vm(&method, CIM_ROLE_ADMINISTRATOR, &vm) &&
        method_take_settings(&method, &vm, &hop, &settings)) {
        create(&method, &vm, settings);
    }
    return 0;
}

/* --- modify ----------------------------------------------------------------------------------- */

/* At the target the service refuses whatever is asked for, and says where to ask. */
static bool is_source(const json_t *relationship)
{
    enum { ROLE_PRIMARY = 1, ROLE_EXTENDING = 3 };
    json_int_t role = json_integer_value(json_object_get(relationship, "role"));

    return role == ROLE_PRIMARY || role == ROLE_EXTENDING;
}

/* What makes another relationship of it: to have that, it is ended and made anew. */
static bool check_unchanged(struct method *method, const struct cim_instance *settings,
                            const struct method_vm *vm, const json_t *relationship)
{
    CLEANUP(json_done) json_t *disks = NULL;
    const char *peer = json_string_value(json_object_get(relationship, "peer"));
    const char *host = peer;

    if (!method_settings_disks(method, settings, vm, &disks)) {
        return false;
    }
    if (disks != NULL && !method_disks_are(disks, relationship)) {
        return method_refuse(method, METHOD_NOT_SUPPORTED,
                             "the disks of a relationship cannot be changed: remove it and create "
                             "it with other IncludedDisks");
    }
    if (!method_settings_host(method, settings, &host)) {
        return false;
    }
    if (host != NULL && peer != NULL && strcasecmp(host, peer) != 0) {
        return method_refuse(method, METHOD_NOT_SUPPORTED,
                             "the replica of '%s' is on host '%s': to move it to '%s', remove the "
                             "relationship and create it anew",
                             vm->name, peer, host);
    }
    return true;
}

static void modify(struct method *method, const struct method_vm *vm, int hop,
                   const struct cim_instance *settings)
{
    const json_t *relationship = method_vm_relationship(vm, hop);
    json_t *body = NULL;

    if (relationship == NULL) {
        (void)method_refuse(method, METHOD_INVALID_STATE, "'%s' has no relationship %d here",
                            vm->name, hop);
        return;
    }
    if ((!is_source(relationship) || check_unchanged(method, settings, vm, relationship)) &&
        method_settings_body(method, settings, &body)) {
        (void)method_ask_with(method, "PATCH", method_hop_path(method, vm, hop, ""), body);
    }
}

int method_modify_settings(struct cim_request *request, const struct cim_instance *on,
                           const struct cim_arguments *in, struct cim_outcome *out,
                           struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};
    const struct cim_instance *settings = NULL;

    (void)on;
    (void)err;
    if (method_take_vm(&method, CIM_ROLE_ADMINISTRATOR, &vm)) {
        int hop = vm.hop;
        if (method_take_settings(&method, &vm, &hop, &settings)) {
            modify(&method, &vm, hop, settings);
        }
    }
    return 0;
}

/* --- start ------------------------------------------------------------------------------------ */

/* False: answered. */
static bool take_type(struct method *method, uint64_t *out)
{
    if (!method_take_number(method, "InitialReplicationType", out)) {
        return false;
    }
    if (*out == INITIAL_EXPORT) {
        return method_refuse(method, METHOD_NOT_SUPPORTED,
                             "the initial copy cannot be exported: use 1 (network), or 3 (seeded) "
                             "onto a copy that was brought there");
    }
    return *out == INITIAL_NETWORK || *out == INITIAL_SEEDED ||
           method_refuse(method, METHOD_INVALID_PARAMETER,
                         "InitialReplicationType must be 1 (network) or 3 (seeded)");
}

int method_start_replication(struct cim_request *request, const struct cim_instance *on,
                             const struct cim_arguments *in, struct cim_outcome *out,
                             struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};
    const char *start_time = NULL;
    uint64_t type = 0;

    (void)on;
    (void)err;
    if (method_take_vm(&method, CIM_ROLE_OPERATOR, &vm) && take_type(&method, &type) &&
        method_take_moment(&method, "StartTime", &start_time)) {
        (void)method_ask_with(
            &method, "POST", method_hop_path(&method, &vm, vm.hop, "/start"),
            json_pack("{s:s?, s:b}", "start_time", start_time, "seeded", type == INITIAL_SEEDED));
    }
    return 0;
}

/* --- remove ----------------------------------------------------------------------------------- */

int method_remove_relationship(struct cim_request *request, const struct cim_instance *on,
                               const struct cim_arguments *in, struct cim_outcome *out,
                               struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};

    (void)on;
    (void)err;
    if (method_take_vm(&method, CIM_ROLE_ADMINISTRATOR, &vm)) {
        (void)method_ask(&method, "DELETE", method_hop_path(&method, &vm, vm.primary_hop, ""));
    }
    return 0;
}

/* Without a relationship nothing is removed: which one is meant is not to be guessed. */
int method_remove_relationship_ex(struct cim_request *request, const struct cim_instance *on,
                                  const struct cim_arguments *in, struct cim_outcome *out,
                                  struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};
    int hop = 0;

    (void)on;
    (void)err;
    if (method_take_vm(&method, CIM_ROLE_ADMINISTRATOR, &vm) &&
        method_needed_hop(&method, &vm, &hop)) {
        (void)method_ask(&method, "DELETE", method_hop_path(&method, &vm, hop, ""));
    }
    return 0;
}
