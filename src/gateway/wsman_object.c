/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/wsman_exchange.h"

/* What there is once by its nature. One job or VM may be the only one just now, and whoever leaves
 * out its keys would get another one tomorrow. */
static bool is_single(const struct cim_class *class)
{
    static const char *const singles[] = {"Msvm_ReplicationService",
                                          "Msvm_ReplicationServiceSettingData",
                                          "Msvm_ReplicationProvider", "CIM_ObjectManager"};

    for (size_t i = 0; i < ARRAY_COUNT(singles); i++) {
        if (cim_class_is_named(class, singles[i])) {
            return true;
        }
    }
    return false;
}

int wsman_object(struct wsman_exchange *exchange, const struct wsman_target *target,
                 const struct cim_path **out)
{
    const struct wsman_resource *resource = &target->resource;
    struct cim_list list = {0};
    struct error err = {0};

    if (resource->selector_count > 0 || !is_single(target->class)) {
        return wsman_resource_path(exchange->arena, resource, target->class, out, &exchange->fault);
    }
    if (cim_enumerate(&exchange->cim, target->space, target->class, &list, &err) < 0) {
        return wsman_refused(exchange, &err);
    }
    if (list.count != 1) {
        return wsman_refuse(&exchange->fault, WSMAN_INSUFFICIENT_SELECTORS,
                            "there are %u instances of %s: its %u keys say which one is meant",
                            list.count, target->class->name, target->class->key_count);
    }
    *out = cim_instance_path(exchange->arena, list.all[0], cim_space_name(target->space));
    return *out ? 0 : wsman_refuse(&exchange->fault, WSMAN_QUOTA_LIMIT, "the request is too large");
}
