/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_authorization.c - who may replicate to here, and where that is kept: for administrators.
 * Source: Microsoft, Hyper-V WMI provider (V2), Msvm_ReplicationAuthorizationSettingData.
 */
#include <string.h>
#include <strings.h>

#include "cim/map.h"
#include "cim/operations_internal.h"

static const struct cim_instance *authorization_new(struct arena *arena, const json_t *entry)
{
    struct cim_instance *instance = map_new(arena, "Msvm_ReplicationAuthorizationSettingData");
    const char *allowed = map_text(entry, "allowed_primary");

    cim_set_text(instance, "InstanceID",
                 map_authorization_id(arena, allowed != NULL ? allowed : ""));
    map_name(instance, "Replication Authorization Settings",
             "Resilver Replication Authorization Settings Data", allowed);
    cim_set_text(instance, "AllowedPrimaryHostSystem", allowed);
    cim_set_text(instance, "TrustGroup", map_text(entry, "trust_group"));
    cim_set_text(instance, "ReplicaStorageLocation", map_text(entry, "storage_root"));
    return instance;
}

static int add(struct cim_request *request, const json_t *entry, void *context, struct error *err)
{
    return map_add(request, context, authorization_new(request->arena, entry), err);
}

static int enumerate(struct cim_request *request, const struct cim_path *near, struct cim_list *out,
                     struct error *err)
{
    (void)near;
    return map_each_authorization(request, add, out, err);
}

/* --- changing one ------------------------------------------------------------------------------
 */

/* The new value where one is given, or else the one that is; NULL: null. */
static const char *wanted(const struct cim_instance *is, const struct cim_instance *with,
                          const uint64_t given[2], const char *name)
{
    int index = cim_property_index(with->class, name);

    if (index >= 0 && operation_is_given(given, (uint32_t)index)) {
        return cim_get_text(with, name);
    }
    return cim_get_text(is, name);
}

static int check_name(struct cim_request *request, const char *is, const char *with,
                      struct error *err)
{
    /* The entry is known by it; another name is another entry. */
    if (is == NULL || with == NULL || strcasecmp(is, with) != 0) {
        return cim_refuse(request, CIM_INVALID_PARAMETER, err,
                          "AllowedPrimaryHostSystem of an entry cannot be changed; add an entry "
                          "for the other host and remove this one");
    }
    return 0;
}

static int put(struct cim_request *request, const char *name, const char *root, const char *group,
               struct error *err)
{
    char path[CLIENT_PATH_MAX];
    struct error why = {0};

    if (client_path(path, sizeof path, &why, "/v1/authorizations/%s", name) < 0) {
        return cim_refuse(request, CIM_INVALID_PARAMETER, err, "%s", why.message);
    }
    json_t *body = json_pack("{s:s, s:s*}", "storage_root", root, "trust_group", group);
    if (body == NULL) {
        return cim_refuse(request, CIM_INVALID_PARAMETER, err,
                          "ReplicaStorageLocation or TrustGroup is no valid text (UTF-8)");
    }
    int result = cim_call(request, "PUT", path, body, NULL, NULL, err);
    json_decref(body);
    return result;
}

static int modify(struct cim_request *request, const struct cim_instance *is,
                  const struct cim_instance *with, const uint64_t given[2], struct error *err)
{
    const char *name = cim_get_text(is, "AllowedPrimaryHostSystem");
    const char *root = wanted(is, with, given, "ReplicaStorageLocation");

    if (!cim_may(request, NULL, CIM_ROLE_ADMINISTRATOR)) {
        return cim_refuse(request, CIM_ACCESS_DENIED, err,
                          "only an administrator may change who replicates to here");
    }
    if (check_name(request, name, wanted(is, with, given, "AllowedPrimaryHostSystem"), err) < 0) {
        return -1;
    }
    if (root == NULL) {
        return cim_refuse(request, CIM_INVALID_PARAMETER, err,
                          "ReplicaStorageLocation is null; name the folder for the replicas of %s",
                          name);
    }
    return put(request, name, root, wanted(is, with, given, "TrustGroup"), err);
}

const struct cim_provider map_authorization = {.class_name =
                                                   "Msvm_ReplicationAuthorizationSettingData",
                                               .enumerate = enumerate,
                                               .modify = modify};
