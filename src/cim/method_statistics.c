/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim/map_error.h"
#include "cim/map_statistics.h"
#include "cim/method_common.h"
#include "cim/method_table.h"

/* --- getting ---------------------------------------------------------------------------------- */

static bool refuse_no_relationship(struct method *method, const struct method_vm *vm, int hop)
{
    return method_refuse(method, METHOD_INVALID_STATE, "'%s' has no relationship %d here", vm->name,
                         hop);
}

static bool list_statistics(struct method *method, const json_t *answer, const json_t *relationship,
                            struct cim_list *out)
{
    struct arena *arena = method->request->arena;
    const json_t *all = json_object_get(answer, "statistics");

    for (size_t i = 0; i < json_array_size(all); i++) {
        const struct cim_instance *instance =
            map_statistics_new(arena, json_array_get(all, i), relationship);
        if (instance == NULL || !cim_list_add(arena, out, instance)) {
            return method_refuse(method, METHOD_OUT_OF_MEMORY, "there are too many statistics");
        }
    }
    return true;
}

/* None, or the one that the relationship's health comes from. */
static bool list_issues(struct method *method, const json_t *relationship, struct cim_list *out)
{
    struct arena *arena = method->request->arena;
    const struct cim_instance *issue = map_error_of_relationship(arena, relationship);

    if (arena->bad || (issue != NULL && !cim_list_add(arena, out, issue))) {
        return method_refuse(method, METHOD_OUT_OF_MEMORY, "out of memory for health issues");
    }
    return true;
}

static void get_statistics(struct method *method, const struct method_vm *vm, int hop)
{
    const json_t *relationship = method_vm_relationship(vm, hop);
    CLEANUP(json_done) json_t *answer = NULL;
    struct cim_list statistics = {0};
    struct cim_list issues = {0};

    if (relationship == NULL) {
        (void)refuse_no_relationship(method, vm, hop);
        return;
    }
    if (method_get(method, method_hop_path(method, vm, hop, "/statistics"), &answer) &&
        list_statistics(method, answer, relationship, &statistics) &&
        list_issues(method, relationship, &issues)) {
        method_put_instances(method, "ReplicationStatistics", &statistics);
        method_put_instances(method, "ReplicationHealthIssues", &issues);
    }
}

int method_get_statistics(struct cim_request *request, const struct cim_instance *on,
                          const struct cim_arguments *in, struct cim_outcome *out,
                          struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};

    (void)on;
    (void)err;
    if (method_take_vm(&method, CIM_ROLE_VIEWER, &vm)) {
        get_statistics(&method, &vm, vm.primary_hop);
    }
    return 0;
}

int method_get_statistics_ex(struct cim_request *request, const struct cim_instance *on,
                             const struct cim_arguments *in, struct cim_outcome *out,
                             struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};
    int hop = 0;

    (void)on;
    (void)err;
    if (method_take_vm(&method, CIM_ROLE_VIEWER, &vm) && method_needed_hop(&method, &vm, &hop)) {
        get_statistics(&method, &vm, hop);
    }
    return 0;
}

/* --- beginning anew --------------------------------------------------------------------------- */

static void reset_statistics(struct method *method, const struct method_vm *vm, int hop)
{
    (void)method_ask(method, "DELETE", method_hop_path(method, vm, hop, "/statistics"));
}

int method_reset_statistics(struct cim_request *request, const struct cim_instance *on,
                            const struct cim_arguments *in, struct cim_outcome *out,
                            struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};

    (void)on;
    (void)err;
    if (method_take_vm(&method, CIM_ROLE_OPERATOR, &vm)) {
        reset_statistics(&method, &vm, vm.primary_hop);
    }
    return 0;
}

int method_reset_statistics_ex(struct cim_request *request, const struct cim_instance *on,
                               const struct cim_arguments *in, struct cim_outcome *out,
                               struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};
    int hop = 0;

    (void)on;
    (void)err;
    if (method_take_vm(&method, CIM_ROLE_OPERATOR, &vm) && method_needed_hop(&method, &vm, &hop)) {
        reset_statistics(&method, &vm, hop);
    }
    return 0;
}
