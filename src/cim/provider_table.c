/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * provider_table.c - which map fills which class. A class without a row has no instances of its
 * own: it is abstract, or only ever embedded.
 */
#include <strings.h>

#include "base/attributes.h"
#include "cim/map.h"

const struct cim_provider *const cim_providers[] = {
    &map_system,
    &map_service,
    &map_service_settings,
    &map_replication_provider,
    &map_relationships,
    &map_settings,
    &map_storage,
    &map_job,
    &map_authorization,
    &map_system_relationship,
    &map_settings_define_state,
    &map_element_settings,
    &map_hosted_service,
    &map_affected_job,
    &map_owning_job,
    &map_namespace,
    &map_object_manager,
};

const uint32_t cim_provider_count = ARRAY_COUNT(cim_providers);

const struct cim_provider *cim_provider_find(const struct cim_class *class)
{
    for (uint32_t i = 0; i < cim_provider_count; i++) {
        if (strcasecmp(cim_providers[i]->class_name, class->name) == 0) {
            return cim_providers[i];
        }
    }
    return NULL;
}
