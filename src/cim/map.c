/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim/map.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/uuid.h"

/* --- members of objects ------------------------------------------------------------------------
 */

const char *map_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

uint64_t map_number(const json_t *object, const char *name)
{
    json_int_t number = json_integer_value(json_object_get(object, name));

    return number < 0 ? 0 : (uint64_t)number;
}

bool map_is(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

const char *map_upper(struct arena *arena, const char *id)
{
    char *copy = arena_text(arena, id != NULL ? id : "");

    for (char *at = copy; at != NULL && *at != '\0'; at++) {
        *at = (char)toupper((unsigned char)*at);
    }
    return copy != NULL ? copy : "";
}

/* --- instances ---------------------------------------------------------------------------------
 */

struct cim_instance *map_new(struct arena *arena, const char *class_name)
{
    const struct cim_class *class = cim_class_find(CIM_SPACE_VIRTUALIZATION, class_name);

    if (class == NULL) {
        class = cim_class_find(CIM_SPACE_INTEROP, class_name);
    }
    assert(class != NULL);
    return cim_instance_new(arena, class);
}

void map_name(struct cim_instance *instance, const char *caption, const char *description,
              const char *element_name)
{
    cim_set_text(instance, "Caption", caption);
    cim_set_text(instance, "Description", description);
    cim_set_text(instance, "ElementName", element_name);
}

void map_well(struct cim_instance *instance)
{
    static const uint64_t fine[] = {MAP_STATUS_OK};
    static const char *const words[] = {"OK"};

    cim_set_numbers(instance, "OperationalStatus", fine, 1);
    cim_set_texts(instance, "StatusDescriptions", words, 1);
    cim_set_text(instance, "Status", "OK");
    cim_set_number(instance, "HealthState", MAP_HEALTH_OK);
}

int map_failed(struct cim_request *request, struct error *err)
{
    if (arena_done(request->arena, err) < 0) {
        request->status = CIM_SERVER_LIMITS_EXCEEDED;
    }
    return -1;
}

void map_set_count(struct cim_instance *instance, const char *name, uint64_t number, uint64_t max)
{
    cim_set_number(instance, name, number < max ? number : max);
}

int map_add(struct cim_request *request, struct cim_list *list, const struct cim_instance *instance,
            struct error *err)
{
    if (instance == NULL || !cim_list_add(request->arena, list, instance)) {
        return cim_refuse(request, CIM_SERVER_LIMITS_EXCEEDED, err,
                          "the answer would be too large; ask for fewer instances by a query");
    }
    return 0;
}

/* --- objects of the control API ----------------------------------------------------------------
 */

static int list_of(struct cim_request *request, json_t **kept, const char *path, const char *member,
                   const json_t **out, struct error *err)
{
    const json_t *answer = NULL;

    if (map_ask_once(request, kept, path, &answer, err) < 0) {
        return -1;
    }
    *out = json_object_get(answer, member);
    if (!json_is_array(*out)) {
        return cim_refuse(request, CIM_FAILED, err,
                          "the service's answer to GET %s has no list '%s'; update the older of "
                          "resilverd and resilver-gateway",
                          path, member);
    }
    return 0;
}

static int all_vms(struct cim_request *request, const json_t **out, struct error *err)
{
    return list_of(request, &request->vms, "/v1/vms", "vms", out, err);
}

#define UPTIME_MAX_S (100LL * 366 * 24 * 3600)

int64_t map_start_us(const struct cim_request *request, const json_t *host)
{
    uint64_t up_s = map_number(host, "uptime_s");

    up_s = up_s < UPTIME_MAX_S ? up_s : UPTIME_MAX_S;
    return env_wall_us(request->env) - (int64_t)up_s * US_PER_S;
}

int map_each_vm(struct cim_request *request, map_visit *visit, void *context, struct error *err)
{
    const json_t *vms = NULL;

    if (all_vms(request, &vms, err) < 0) {
        return -1;
    }
    for (size_t i = 0; i < json_array_size(vms); i++) {
        const json_t *vm = json_array_get(vms, i);
        if (cim_may_see(request, vm) && visit(request, vm, context, err) < 0) {
            return -1;
        }
    }
    return 0;
}

int map_each_job(struct cim_request *request, map_visit *visit, void *context, struct error *err)
{
    const json_t *jobs = NULL;

    if (list_of(request, &request->jobs, "/v1/jobs", "jobs", &jobs, err) < 0) {
        return -1;
    }
    for (size_t i = 0; i < json_array_size(jobs); i++) {
        const json_t *job = json_array_get(jobs, i);
        if (cim_may_see(request, json_object_get(job, "vm")) &&
            visit(request, job, context, err) < 0) {
            return -1;
        }
    }
    return 0;
}

int map_each_authorization(struct cim_request *request, map_visit *visit, void *context,
                           struct error *err)
{
    const json_t *entries = NULL;
    json_t *answer = NULL;
    int result = 0;

    if (!cim_may(request, NULL, CIM_ROLE_ADMINISTRATOR)) {
        return 0;
    }
    result = list_of(request, &answer, "/v1/authorizations", "authorizations", &entries, err);
    for (size_t i = 0; result == 0 && i < json_array_size(entries); i++) {
        result = visit(request, json_array_get(entries, i), context, err);
    }
    json_decref(answer);
    return result;
}

static const json_t *find_by(const json_t *list, const char *member, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *own = map_text(json_array_get(list, i), member);
        if (own != NULL && strcasecmp(own, text) == 0) {
            return json_array_get(list, i);
        }
    }
    return NULL;
}

int map_ask_one(struct cim_request *request, const char *path, json_t **out, struct error *err)
{
    struct client_refusal refusal = {0};
    struct error why = {0};

    if (cim_call(request, "GET", path, NULL, out, &refusal, &why) == 0) {
        return 0;
    }
    if (refusal.http_status == 404) {
        request->status = CIM_OK;
        return 0;
    }
    if (err != NULL) {
        *err = why;
    }
    return -1;
}

/* The first VM that is asked for comes alone, since most requests are about one; with the second
 * come all. */
static int find_vm(struct cim_request *request, const char *vm_id, const json_t **out,
                   struct error *err)
{
    const json_t *vms = NULL;
    const char *known = map_text(request->vm, "id");
    char path[CLIENT_PATH_MAX];

    if (known != NULL && strcasecmp(known, vm_id) == 0) {
        *out = request->vm;
        return 0;
    }
    if (request->vms != NULL || request->vm != NULL) {
        if (all_vms(request, &vms, err) < 0) {
            return -1;
        }
        *out = find_by(vms, "id", vm_id);
        return 0;
    }
    if (client_path(path, sizeof path, err, "/v1/vms/%s", vm_id) < 0) {
        request->status = CIM_FAILED;
        return -1;
    }
    if (map_ask_one(request, path, &request->vm, err) < 0) {
        return -1;
    }
    *out = request->vm;
    return 0;
}

/* A name that looks like an id is none. */
int map_vm(struct cim_request *request, const char *vm_id, const json_t **out, struct error *err)
{
    const json_t *vm = NULL;

    if (find_vm(request, vm_id, &vm, err) < 0) {
        return -1;
    }
    const char *id = map_text(vm, "id");
    bool is_it = id != NULL && strcasecmp(id, vm_id) == 0;
    *out = is_it && cim_may_see(request, vm) ? vm : NULL;
    return 0;
}

int map_near_vms(struct cim_request *request, const struct cim_path *near, map_visit *visit,
                 void *context, struct error *err)
{
    const json_t *vm = NULL;
    char vm_id[UUID_TEXT_MAX];

    if (near == NULL) {
        return map_each_vm(request, visit, context, err);
    }
    if (!map_near_vm(near, vm_id)) {
        return 0;
    }
    if (map_vm(request, vm_id, &vm, err) < 0) {
        return -1;
    }
    return vm != NULL ? visit(request, vm, context, err) : 0;
}

int map_peer(struct cim_request *request, const char *name, const json_t **out, struct error *err)
{
    const json_t *hosts = NULL;

    if (list_of(request, &request->peers, "/v1/hosts", "hosts", &hosts, err) < 0) {
        return -1;
    }
    *out = find_by(hosts, "name", name);
    return 0;
}

const json_t *map_relationship(const json_t *vm, int hop)
{
    const json_t *all = json_object_get(vm, "relationships");

    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *own = json_array_get(all, i);
        if (json_integer_value(json_object_get(own, "hop")) == hop) {
            return own;
        }
    }
    return NULL;
}

bool map_may_see_host(const struct cim_request *request)
{
    return cim_may(request, NULL, CIM_ROLE_VIEWER);
}

/* --- ids -------------------------------------------------------------------------------------- */

const char *map_disk_id(struct arena *arena, const char *vm_id, const char *disk)
{
    return arena_print(arena, "Microsoft:%s\\%s", map_upper(arena, vm_id), disk);
}

const char *map_authorization_id(struct arena *arena, const char *allowed_primary)
{
    return arena_print(arena, "Resilver:ReplicationAuthorization\\%s", allowed_primary);
}

const char *map_provider_id(struct arena *arena, const char *host)
{
    return arena_print(arena, "Microsoft:%s\\ReplicationProvider\\" MAP_PROVIDER_NAME, host);
}
