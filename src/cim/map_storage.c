/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_storage.c - the disks of VMs. Source: Microsoft, Hyper-V WMI provider (V2),
 * Msvm_StorageAllocationSettingData.
 */
#include <string.h>

#include "cim/map.h"

#define RESOURCE_LOGICAL_DISK 31U

static const json_t *find_disk(const json_t *of, const char *disk)
{
    const json_t *all = json_object_get(of, "disks");

    for (size_t i = 0; i < json_array_size(all); i++) {
        const char *name = map_text(json_array_get(all, i), "name");
        if (name != NULL && strcmp(name, disk) == 0) {
            return json_array_get(all, i);
        }
    }
    return NULL;
}

/* Only relationships know sizes. */
static void set_size(struct cim_instance *storage, const json_t *vm, const char *disk)
{
    for (int hop = 0; hop < 2; hop++) {
        const json_t *known = find_disk(map_relationship(vm, hop), disk);
        if (known != NULL) {
            cim_set_text(storage, "AllocationUnits", "byte");
            cim_set_text(storage, "VirtualQuantityUnits", "byte");
            cim_set_number(storage, "VirtualQuantity", map_number(known, "size_bytes"));
            return;
        }
    }
}

struct cim_instance *map_disk_new(struct arena *arena, const json_t *vm, const char *disk)
{
    struct cim_instance *storage = map_new(arena, "Msvm_StorageAllocationSettingData");
    const char *path = map_text(find_disk(vm, disk), "path");

    cim_set_text(storage, "InstanceID", map_disk_id(arena, map_text(vm, "id"), disk));
    map_name(storage, "Hard Disk Image", "Settings for the Hard Disk Image", disk);
    cim_set_number(storage, "ResourceType", RESOURCE_LOGICAL_DISK);
    cim_set_text(storage, "ResourceSubType", "Microsoft:Hyper-V:Virtual Hard Disk");
    set_size(storage, vm, disk);
    if (path != NULL) {
        cim_set_texts(storage, "HostResource", &path, 1);
    }
    return storage;
}

/* --- all disks of a VM -------------------------------------------------------------------------
 */

/* A replica's disks are known to its relationship only; what both know is visited once. */
static bool is_visited(const json_t *vm, int hop, const char *disk)
{
    return find_disk(vm, disk) != NULL ||
           (hop == 1 && find_disk(map_relationship(vm, 0), disk) != NULL);
}

static int visit_disks(struct cim_request *request, const json_t *vm, int hop,
                       map_disk_visit *visit, void *context, struct error *err)
{
    const json_t *all = json_object_get(hop < 0 ? vm : map_relationship(vm, hop), "disks");

    for (size_t i = 0; i < json_array_size(all); i++) {
        const char *name = map_text(json_array_get(all, i), "name");
        if (name != NULL && (hop < 0 || !is_visited(vm, hop, name)) &&
            visit(request, vm, name, context, err) < 0) {
            return -1;
        }
    }
    return 0;
}

int map_each_disk(struct cim_request *request, const json_t *vm, map_disk_visit *visit,
                  void *context, struct error *err)
{
    for (int hop = -1; hop < 2; hop++) {
        if (visit_disks(request, vm, hop, visit, context, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- the provider ------------------------------------------------------------------------------
 */

static int add_disk(struct cim_request *request, const json_t *vm, const char *disk, void *context,
                    struct error *err)
{
    return map_add(request, context, map_disk_new(request->arena, vm, disk), err);
}

static int add_disks(struct cim_request *request, const json_t *vm, void *context,
                     struct error *err)
{
    return map_each_disk(request, vm, add_disk, context, err);
}

static int enumerate(struct cim_request *request, const struct cim_path *near, struct cim_list *out,
                     struct error *err)
{
    return map_near_vms(request, near, add_disks, out, err);
}

/* All disks of the VM that the path names, at most. */
static int get(struct cim_request *request, const struct cim_path *path,
               const struct cim_instance **out, struct error *err)
{
    struct cim_list disks = {0};
    char vm_id[37];

    if (!map_near_vm(path, vm_id)) {
        return 0;
    }
    if (enumerate(request, path, &disks, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < disks.count; i++) {
        if (cim_path_matches(path, disks.all[i])) {
            *out = disks.all[i];
            return 0;
        }
    }
    return 0;
}

const struct cim_provider map_storage = {
    .class_name = "Msvm_StorageAllocationSettingData", .enumerate = enumerate, .get = get};
