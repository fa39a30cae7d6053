/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method_system.c - state changes of a VM's replication: suspend, resume, cancel. TimeoutPeriod is
 * not looked at, as on Hyper-V: the answer comes when the change has begun.
 */
#include "cim/method_common.h"
#include "cim/method_table.h"

static void request_state(struct method *method, const struct method_vm *vm, int hop)
{
    uint64_t requested = UINT64_MAX;

    if (!method_take_number(method, "RequestedState", &requested)) {
        return;
    }
    if (requested > UINT16_MAX) {
        (void)method_refuse(method, METHOD_INVALID_PARAMETER,
                            "RequestedState is missing: 1 cancels the initial copy, 3 resumes, 7 "
                            "suspends, 9 cancels a resynchronization");
        return;
    }
    (void)method_ask_with(method, "POST", method_hop_path(method, vm, hop, "/state"),
                          json_pack("{s:I}", "requested_state", (json_int_t)requested));
}

int method_request_replication_state(struct cim_request *request, const struct cim_instance *on,
                                     const struct cim_arguments *in, struct cim_outcome *out,
                                     struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};

    (void)err;
    if (method_vm_of(&method, on, CIM_ROLE_OPERATOR, &vm)) {
        request_state(&method, &vm, vm.primary_hop);
    }
    return 0;
}

int method_request_replication_state_ex(struct cim_request *request, const struct cim_instance *on,
                                        const struct cim_arguments *in, struct cim_outcome *out,
                                        struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};
    bool is_there = false;

    (void)err;
    if (!method_vm_of(&method, on, CIM_ROLE_OPERATOR, &vm)) {
        return 0;
    }
    int hop = vm.primary_hop; /* of one that is not given */
    if (method_take_hop(&method, &vm, &is_there, &hop)) {
        request_state(&method, &vm, hop);
    }
    return 0;
}
