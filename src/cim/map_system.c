/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_system.c - Msvm_ComputerSystem: the host, and each VM that is replicated or could be.
 * Source: Microsoft, Hyper-V WMI provider (V2), Msvm_ComputerSystem.
 */
#include <stdlib.h>

#include "base/uuid.h"
#include "cim/map.h"

/* Of Msvm_ReplicationRelationship, too: the numbers of the control API are Hyper-V's. */
void map_set_replication(struct cim_instance *instance, const json_t *relationship)
{
    static const uint64_t none = 0;
    static const uint64_t regular = 1;
    const json_t *last = json_object_get(relationship, "last_replication");

    map_set_count(instance, "ReplicationState", map_number(relationship, "state"), UINT16_MAX);
    map_set_count(instance, "ReplicationHealth", map_number(relationship, "health"), UINT16_MAX);
    cim_set_number(instance, "LastReplicationType", json_is_string(last) ? regular : none);
    cim_set_number(instance, "FailedOverReplicationType", none);
    cim_set_time(instance, "LastReplicationTime", last);
}

static struct cim_instance *system_new(struct arena *arena, const char *name,
                                       const char *element_name)
{
    struct cim_instance *system = map_new(arena, "Msvm_ComputerSystem");

    cim_set_text(system, "CreationClassName", "Msvm_ComputerSystem");
    cim_set_text(system, "Name", name);
    cim_set_text(system, "ElementName", element_name);
    map_well(system);
    return system;
}

static const struct cim_instance *host_new(struct cim_request *request, const json_t *host)
{
    const char *name = map_text(host, "name");
    struct cim_instance *system = system_new(request->arena, name, name);

    map_name(system, "Hosting Computer System", "Resilver Hosting Computer System", name);
    cim_set_number(system, "EnabledState", MAP_ENABLED);
    map_set_replication(system, NULL);
    cim_set_number(system, "ReplicationMode", 0);
    return system;
}

/*
 * Clients tell VMs from hosts by whether there is an InstallDate. A VM's is the moment since when
 * it is known here: that of its first relationship, or else when the service began and found it.
 */
static void set_install_date(struct cim_request *request, struct cim_instance *system,
                             const json_t *host, const json_t *relationship)
{
    cim_set_moment(system, "InstallDate", map_start_us(request, host));
    cim_set_time(system, "InstallDate", json_object_get(relationship, "created"));
}

/* An extended replica has but the second relationship, which is its primary one then. */
static const json_t *primary_of(const json_t *vm)
{
    const json_t *relationship = map_relationship(vm, 0);

    return relationship != NULL ? relationship : map_relationship(vm, 1);
}

static const struct cim_instance *vm_new(struct cim_request *request, const json_t *host,
                                         const json_t *vm)
{
    const json_t *relationship = primary_of(vm);
    const char *name = map_text(vm, "name");
    struct cim_instance *system =
        system_new(request->arena, map_upper(request->arena, map_text(vm, "id")), name);

    map_name(system, "Virtual Machine", "Resilver Virtual Computer System", name);
    /* Disks are what is known of it; nothing here knows whether it runs. */
    cim_set_number(system, "EnabledState", MAP_ENABLED_NOT_APPLICABLE);
    map_set_replication(system, relationship);
    map_set_count(system, "ReplicationMode", map_number(vm, "mode"), UINT16_MAX);
    set_install_date(request, system, host, relationship);
    return system;
}

/* --- the provider ------------------------------------------------------------------------------
 */

struct filling {
    const json_t *host;
    struct cim_list *out;
};

static int add_vm(struct cim_request *request, const json_t *vm, void *context, struct error *err)
{
    const struct filling *filling = context;

    return map_add(request, filling->out, vm_new(request, filling->host, vm), err);
}

static int enumerate(struct cim_request *request, const struct cim_path *near, struct cim_list *out,
                     struct error *err)
{
    struct filling filling = {.out = out};

    (void)near;
    if (cim_host(request, &filling.host, err) < 0 ||
        map_add(request, out, host_new(request, filling.host), err) < 0) {
        return -1;
    }
    return map_each_vm(request, add_vm, &filling, err);
}

static int get(struct cim_request *request, const struct cim_path *path,
               const struct cim_instance **out, struct error *err)
{
    const struct cim_instance *found = NULL;
    const json_t *host = NULL;
    const json_t *vm = NULL;
    char vm_id[UUID_TEXT_MAX];

    if (cim_host(request, &host, err) < 0) {
        return -1;
    }
    if (!map_near_vm(path, vm_id)) {
        found = host_new(request, host);
    } else if (map_vm(request, vm_id, &vm, err) < 0) {
        return -1;
    } else if (vm != NULL) {
        found = vm_new(request, host, vm);
    }
    *out = cim_path_matches(path, found) ? found : NULL;
    return 0;
}

const struct cim_provider map_system = {
    .class_name = "Msvm_ComputerSystem", .enumerate = enumerate, .get = get};
