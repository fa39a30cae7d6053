/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim/method_common.h"
#include "cim/method_table.h"

/*
 * Resynchronize(ComputerSystem, StartTime, Job): on a primary VM its relationship 0, on a replica
 * its relationship 1; the service finds that out. A start time goes there as it came: what it means
 * (the past, more than 7 days ahead, a zone) is its business.
 */
int method_resynchronize(struct cim_request *request, const struct cim_instance *on,
                         const struct cim_arguments *in, struct cim_outcome *out, struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};
    const char *start_time = NULL;

    (void)on;
    (void)err;
    if (method_take_vm(&method, CIM_ROLE_OPERATOR, &vm) &&
        method_take_moment(&method, "StartTime", &start_time)) {
        const char *path = method_path(&method, "/v1/vms/", vm.id, "/resynchronize");
        (void)method_ask_with(&method, "POST", path, json_pack("{s:s?}", "start_time", start_time));
    }
    return 0;
}
