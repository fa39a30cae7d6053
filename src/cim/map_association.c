/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_association.c - what is linked with what. Source: Microsoft, Hyper-V WMI provider (V2):
 * Msvm_SystemReplicationRelationship, Msvm_SettingsDefineState, Msvm_ElementSettingData,
 * Msvm_HostedService, Msvm_AffectedJobElement, Msvm_OwningJobElement.
 *
 * Which association leads from a VM to the settings of its replication and to its disks, and from
 * the service to its settings and entries, is not documented there; clients ask without a class.
 * Here it is Msvm_ElementSettingData.
 */
#include "base/uuid.h"
#include "cim/map.h"

#define HOPS 2
#define IS_CURRENT 1U
#define EXCLUSIVE_USE 2U

/* One association of two ends; without memory there is none, and the arena says so. */
static struct cim_instance *link_new(struct arena *arena, const char *class_name,
                                     const char *first_role, const struct cim_path *first,
                                     const char *second_role, const struct cim_path *second)
{
    struct cim_instance *link = map_new(arena, class_name);

    if (first == NULL || second == NULL) {
        return NULL;
    }
    cim_set_path(link, first_role, first);
    cim_set_path(link, second_role, second);
    return link;
}

/* Settings that an element has now. */
static struct cim_instance *settings_link(struct arena *arena, const char *class_name,
                                          const struct cim_path *element,
                                          const struct cim_path *settings)
{
    return link_new(arena, class_name, "ManagedElement", element, "SettingData", settings);
}

static int add_current(struct cim_request *request, struct cim_list *out,
                       const struct cim_path *element, const struct cim_path *settings,
                       struct error *err)
{
    struct cim_instance *link =
        settings_link(request->arena, "Msvm_ElementSettingData", element, settings);

    cim_set_number(link, "IsCurrent", IS_CURRENT);
    return map_add(request, out, link, err);
}

static const struct cim_path *settings_path(struct arena *arena, const json_t *vm, int hop)
{
    return map_path_of(arena, "Msvm_ReplicationSettingData",
                       cim_hop_id(arena, map_text(vm, "id"), hop));
}

/* --- a VM and its relationships ----------------------------------------------------------------
 */

static int link_relationships(struct cim_request *request, const json_t *vm, void *context,
                              struct error *err)
{
    const char *id = map_text(vm, "id");

    for (int hop = 0; hop < HOPS; hop++) {
        if (map_relationship(vm, hop) == NULL) {
            continue;
        }
        struct cim_instance *link =
            link_new(request->arena, "Msvm_SystemReplicationRelationship", "Antecedent",
                     cim_path_of_vm(request->arena, id), "Dependent",
                     cim_path_of_relationship(request->arena, id, hop));
        if (map_add(request, context, link, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int enumerate_relationships(struct cim_request *request, const struct cim_path *near,
                                   struct cim_list *out, struct error *err)
{
    return map_near_vms(request, near, link_relationships, out, err);
}

const struct cim_provider map_system_relationship = {
    .class_name = "Msvm_SystemReplicationRelationship", .enumerate = enumerate_relationships};

/* --- a relationship and its settings -----------------------------------------------------------
 */

static int link_states(struct cim_request *request, const json_t *vm, void *context,
                       struct error *err)
{
    const char *id = map_text(vm, "id");

    for (int hop = 0; hop < HOPS; hop++) {
        if (map_relationship(vm, hop) == NULL) {
            continue;
        }
        struct cim_instance *link = settings_link(request->arena, "Msvm_SettingsDefineState",
                                                  cim_path_of_relationship(request->arena, id, hop),
                                                  settings_path(request->arena, vm, hop));
        if (map_add(request, context, link, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int enumerate_states(struct cim_request *request, const struct cim_path *near,
                            struct cim_list *out, struct error *err)
{
    return map_near_vms(request, near, link_states, out, err);
}

const struct cim_provider map_settings_define_state = {.class_name = "Msvm_SettingsDefineState",
                                                       .enumerate = enumerate_states};

/* --- elements and their settings ---------------------------------------------------------------
 */

static int link_disk(struct cim_request *request, const json_t *vm, const char *disk, void *context,
                     struct error *err)
{
    const char *id = map_text(vm, "id");

    return add_current(request, context, cim_path_of_vm(request->arena, id),
                       map_path_of(request->arena, "Msvm_StorageAllocationSettingData",
                                   map_disk_id(request->arena, id, disk)),
                       err);
}

static int link_vm(struct cim_request *request, const json_t *vm, void *context, struct error *err)
{
    for (int hop = 0; hop < HOPS; hop++) {
        if (map_has_settings(vm, hop) &&
            add_current(request, context, cim_path_of_vm(request->arena, map_text(vm, "id")),
                        settings_path(request->arena, vm, hop), err) < 0) {
            return -1;
        }
    }
    return map_each_disk(request, vm, link_disk, context, err);
}

static int link_entry(struct cim_request *request, const json_t *entry, void *context,
                      struct error *err)
{
    const char *allowed = map_text(entry, "allowed_primary");
    const struct cim_path *service = cim_path_of_service(request, err);

    if (service == NULL) {
        return map_failed(request, err);
    }
    return add_current(
        request, context, service,
        map_path_of(request->arena, "Msvm_ReplicationAuthorizationSettingData",
                    map_authorization_id(request->arena, allowed != NULL ? allowed : "")),
        err);
}

static int link_service(struct cim_request *request, struct cim_list *out, struct error *err)
{
    const struct cim_path *service = NULL;

    if (!map_may_see_host(request)) {
        return 0;
    }
    service = cim_path_of_service(request, err);
    if (service == NULL) {
        return map_failed(request, err);
    }
    if (add_current(request, out, service,
                    map_path_of(request->arena, "Msvm_ReplicationServiceSettingData",
                                MAP_SERVICE_SETTINGS_ID),
                    err) < 0) {
        return -1;
    }
    return map_each_authorization(request, link_entry, out, err);
}

static int enumerate_settings(struct cim_request *request, const struct cim_path *near,
                              struct cim_list *out, struct error *err)
{
    char vm_id[UUID_TEXT_MAX];

    if (map_near_vms(request, near, link_vm, out, err) < 0) {
        return -1;
    }
    return map_near_vm(near, vm_id) ? 0 : link_service(request, out, err);
}

const struct cim_provider map_element_settings = {.class_name = "Msvm_ElementSettingData",
                                                  .enumerate = enumerate_settings};

/* --- the host and its service ------------------------------------------------------------------
 */

static int enumerate_hosted(struct cim_request *request, const struct cim_path *near,
                            struct cim_list *out, struct error *err)
{
    const struct cim_path *host = cim_path_of_host(request, err);
    const struct cim_path *service = host != NULL ? cim_path_of_service(request, err) : NULL;

    (void)near;
    if (service == NULL) {
        return map_failed(request, err);
    }
    return map_add(
        request, out,
        link_new(request->arena, "Msvm_HostedService", "Antecedent", host, "Dependent", service),
        err);
}

const struct cim_provider map_hosted_service = {.class_name = "Msvm_HostedService",
                                                .enumerate = enumerate_hosted};

/* --- jobs --------------------------------------------------------------------------------------
 */

/* Jobs outlive their VMs; then there is nothing that they are linked with. While one is open,
 * others that would change the same replica are refused. */
static int link_affected(struct cim_request *request, const json_t *job, void *context,
                         struct error *err)
{
    static const uint64_t effects[] = {EXCLUSIVE_USE};
    const char *vm_id = map_text(json_object_get(job, "vm"), "id");
    const json_t *vm = NULL;

    if (vm_id == NULL) {
        return 0;
    }
    if (map_vm(request, vm_id, &vm, err) < 0) {
        return -1;
    }
    if (vm == NULL) {
        return 0;
    }
    struct cim_instance *link =
        link_new(request->arena, "Msvm_AffectedJobElement", "AffectedElement",
                 cim_path_of_vm(request->arena, vm_id), "AffectingElement",
                 cim_path_of_job(request->arena, map_text(job, "id")));
    cim_set_numbers(link, "ElementEffects", effects, 1);
    return map_add(request, context, link, err);
}

static int enumerate_affected(struct cim_request *request, const struct cim_path *near,
                              struct cim_list *out, struct error *err)
{
    return map_near_jobs(request, near, link_affected, out, err);
}

const struct cim_provider map_affected_job = {.class_name = "Msvm_AffectedJobElement",
                                              .enumerate = enumerate_affected};

static int link_owned(struct cim_request *request, const json_t *job, void *context,
                      struct error *err)
{
    const struct cim_path *service = cim_path_of_service(request, err);

    if (service == NULL) {
        return map_failed(request, err);
    }
    return map_add(request, context,
                   link_new(request->arena, "Msvm_OwningJobElement", "OwningElement", service,
                            "OwnedElement", cim_path_of_job(request->arena, map_text(job, "id"))),
                   err);
}

static int enumerate_owned(struct cim_request *request, const struct cim_path *near,
                           struct cim_list *out, struct error *err)
{
    return map_near_jobs(request, near, link_owned, out, err);
}

const struct cim_provider map_owning_job = {.class_name = "Msvm_OwningJobElement",
                                            .enumerate = enumerate_owned};
