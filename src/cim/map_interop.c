/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_interop.c - what clients look for in root/interop to learn which namespaces there are.
 * Source: DMTF DSP0200 1.4, 5.1.2; CIM_ObjectManager, CIM_Namespace of the CIM Schema.
 */
#include "base/attributes.h"
#include "cim/map.h"

#define MANAGER_NAME "resilver-gateway"

/* --- the server --------------------------------------------------------------------------------
 */

static int enumerate_manager(struct cim_request *request, const struct cim_path *near,
                             struct cim_list *out, struct error *err)
{
    const json_t *host = NULL;

    (void)near;
    if (cim_host(request, &host, err) < 0) {
        return -1;
    }
    struct cim_instance *manager = map_new(request->arena, "CIM_ObjectManager");
    cim_set_text(manager, "SystemCreationClassName", "Msvm_ComputerSystem");
    cim_set_text(manager, "SystemName", map_text(host, "name"));
    cim_set_text(manager, "CreationClassName", "CIM_ObjectManager");
    cim_set_text(manager, "Name", MANAGER_NAME);
    map_name(manager, "Resilver", "Resilver management gateway", "Resilver");
    map_well(manager);
    cim_set_number(manager, "EnabledState", MAP_ENABLED);
    cim_set_boolean(manager, "Started", true);
    cim_set_text(manager, "Version", map_text(host, "version"));
    return map_add(request, out, manager, err);
}

const struct cim_provider map_object_manager = {.class_name = "CIM_ObjectManager",
                                                .enumerate = enumerate_manager};

/* --- its namespaces ----------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    const char *description;
} namespaces[] = {
    {CIM_NAMESPACE_DEFAULT, "Replication of virtual machines"},
    {CIM_NAMESPACE_INTEROP, "What describes this server"},
};

static const struct cim_instance *namespace_new(struct arena *arena, const char *host,
                                                uint32_t index)
{
    struct cim_instance *instance = map_new(arena, "CIM_Namespace");

    cim_set_text(instance, "SystemCreationClassName", "Msvm_ComputerSystem");
    cim_set_text(instance, "SystemName", host);
    cim_set_text(instance, "ObjectManagerCreationClassName", "CIM_ObjectManager");
    cim_set_text(instance, "ObjectManagerName", MANAGER_NAME);
    cim_set_text(instance, "CreationClassName", "CIM_Namespace");
    cim_set_text(instance, "Name", namespaces[index].name);
    cim_set_text(instance, "ElementName", namespaces[index].name);
    cim_set_text(instance, "Description", namespaces[index].description);
    return instance;
}

static int enumerate_namespaces(struct cim_request *request, const struct cim_path *near,
                                struct cim_list *out, struct error *err)
{
    const json_t *host = NULL;

    (void)near;
    if (cim_host(request, &host, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(namespaces); i++) {
        if (map_add(request, out, namespace_new(request->arena, map_text(host, "name"), i), err) <
            0) {
            return -1;
        }
    }
    return 0;
}

const struct cim_provider map_namespace = {.class_name = "CIM_Namespace",
                                           .enumerate = enumerate_namespaces};
