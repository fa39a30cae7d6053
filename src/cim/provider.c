/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * provider.c - what maps and methods share: calls of the control API, who may see what, and the
 * names of instances that others refer to.
 */
#include "cim/provider.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/instant.h"
#include "base/uuid.h"
#include "cim/map.h"

#define HOP_ID_PREFIX "Microsoft:"
#define HOP_ID_MIDDLE "\\HVR"

/* --- calls ------------------------------------------------------------------------------------ */

int cim_call(struct cim_request *request, const char *method, const char *path, const json_t *body,
             json_t **out, struct client_refusal *refusal, struct error *err)
{
    struct client_refusal why = {0};
    struct error own = {0};

    if (client_call(request->client, method, path, body, out, &why, &own) == 0) {
        return 0;
    }
    request->status = cim_from_refusal(&why, &own);
    if (refusal != NULL) {
        *refusal = why;
    }
    if (err != NULL) {
        *err = own;
    }
    return -1;
}

int map_ask_once(struct cim_request *request, json_t **kept, const char *path, const json_t **out,
                 struct error *err)
{
    if (*kept == NULL && cim_call(request, "GET", path, NULL, kept, NULL, err) < 0) {
        return -1;
    }
    *out = *kept;
    return 0;
}

int cim_host(struct cim_request *request, const json_t **out, struct error *err)
{
    return map_ask_once(request, &request->host, "/v1/host", out, err);
}

static void forget(json_t **kept)
{
    json_decref(*kept);
    *kept = NULL;
}

void cim_request_done(struct cim_request *request)
{
    forget(&request->host);
    forget(&request->vms);
    forget(&request->vm);
    forget(&request->jobs);
    forget(&request->peers);
}

/* --- who may ---------------------------------------------------------------------------------- */

static const char *text_or_empty(const json_t *object, const char *name)
{
    const char *text = map_text(object, name);

    return text != NULL ? text : "";
}

/* What belongs to no VM has no id; then the role for the host counts. */
bool cim_may(const struct cim_request *request, const json_t *vm, enum cim_role role)
{
    enum cim_role own =
        cim_caller_role(request->caller, text_or_empty(vm, "id"), text_or_empty(vm, "name"));

    /* Whoever asks for no role at all made a mistake; zero is never a privilege. */
    return role != CIM_ROLE_NOBODY && own >= role;
}

bool cim_may_see(const struct cim_request *request, const json_t *vm)
{
    return cim_may(request, vm, CIM_ROLE_VIEWER);
}

void cim_set_time(struct cim_instance *instance, const char *name, const json_t *rfc3339)
{
    const char *text = json_string_value(rfc3339);
    int64_t at_us = 0;

    if (text != NULL && instant_read(text, &at_us) == INSTANT_MOMENT) {
        cim_set_moment(instance, name, at_us);
    }
}

/* --- paths and ids -----------------------------------------------------------------------------
 */

static const struct cim_path *system_path(struct arena *arena, const char *name)
{
    return cim_path_new(arena, "Msvm_ComputerSystem", "CreationClassName", "Msvm_ComputerSystem",
                        "Name", name, (const char *)NULL);
}

static int host_name(struct cim_request *request, const char **out, struct error *err)
{
    const json_t *host = NULL;

    if (cim_host(request, &host, err) < 0) {
        return -1;
    }
    const char *name = map_text(host, "name");
    *out = name != NULL ? name : "";
    return 0;
}

const struct cim_path *cim_path_of_host(struct cim_request *request, struct error *err)
{
    const char *name = NULL;

    if (host_name(request, &name, err) < 0) {
        return NULL;
    }
    return system_path(request->arena, name);
}

const struct cim_path *cim_path_of_service(struct cim_request *request, struct error *err)
{
    const char *name = NULL;

    if (host_name(request, &name, err) < 0) {
        return NULL;
    }
    return cim_path_new(request->arena, "Msvm_ReplicationService", "SystemCreationClassName",
                        "Msvm_ComputerSystem", "SystemName", name, "CreationClassName",
                        "Msvm_ReplicationService", "Name", "replicasvc", (const char *)NULL);
}

const struct cim_path *cim_path_of_vm(struct arena *arena, const char *vm_id)
{
    return system_path(arena, map_upper(arena, vm_id));
}

const struct cim_path *map_path_of(struct arena *arena, const char *class_name,
                                   const char *instance_id)
{
    return cim_path_new(arena, class_name, "InstanceID", instance_id != NULL ? instance_id : "",
                        (const char *)NULL);
}

const struct cim_path *cim_path_of_relationship(struct arena *arena, const char *vm_id, int hop)
{
    return map_path_of(arena, "Msvm_ReplicationRelationship", cim_hop_id(arena, vm_id, hop));
}

const struct cim_path *cim_path_of_job(struct arena *arena, const char *job_id)
{
    return map_path_of(arena, "Msvm_ConcreteJob", map_upper(arena, job_id));
}

const char *cim_hop_id(struct arena *arena, const char *vm_id, int hop)
{
    return arena_print(arena, HOP_ID_PREFIX "%s" HOP_ID_MIDDLE "\\%d", map_upper(arena, vm_id),
                       hop);
}

/* The id in "Microsoft:<id>..." in lower case, and what follows it; NULL: there is none. */
static const char *read_vm_id(const char *text, char vm_id[UUID_TEXT_MAX])
{
    const size_t prefix = sizeof HOP_ID_PREFIX - 1;
    char id[UUID_TEXT_MAX];
    struct uuid uuid;

    if (strncasecmp(text, HOP_ID_PREFIX, prefix) != 0 ||
        strnlen(text + prefix, UUID_TEXT_MAX) < UUID_TEXT_MAX - 1) {
        return NULL;
    }
    memcpy(id, text + prefix, UUID_TEXT_MAX - 1);
    id[UUID_TEXT_MAX - 1] = '\0';
    if (uuid_parse(id, &uuid, NULL) < 0) {
        return NULL;
    }
    uuid_format(&uuid, vm_id);
    return text + prefix + UUID_TEXT_MAX - 1;
}

/* Without a hop it is Windows 8's form, which knew only the primary relationship. */
bool cim_hop_id_read(const char *text, char vm_id[37], int *hop)
{
    const size_t middle = sizeof HOP_ID_MIDDLE - 1;
    const char *rest = read_vm_id(text, vm_id);

    if (rest == NULL || strncasecmp(rest, HOP_ID_MIDDLE, middle) != 0) {
        return false;
    }
    rest += middle;
    if (rest[0] == '\0') {
        *hop = 0;
        return true;
    }
    *hop = rest[1] == '1' ? 1 : 0;
    return rest[0] == '\\' && (rest[1] == '0' || rest[1] == '1') && rest[2] == '\0';
}

bool map_near_vm(const struct cim_path *near, char vm_id[37])
{
    const char *name = near != NULL ? cim_path_key(near, "Name") : NULL;
    const char *id = near != NULL ? cim_path_key(near, "InstanceID") : NULL;
    struct uuid uuid;

    if (id != NULL) {
        return read_vm_id(id, vm_id) != NULL;
    }
    if (name == NULL || uuid_parse(name, &uuid, NULL) < 0) {
        return false;
    }
    uuid_format(&uuid, vm_id);
    return true;
}
