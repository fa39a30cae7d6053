/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_job.c - jobs: open ones and those that ended not long ago in lists, any by its path. Source:
 * Microsoft, Hyper-V WMI provider (V2), Msvm_ConcreteJob.
 */
#include <string.h>

#include "base/uuid.h"
#include "cim/map.h"

#define TIME_UTC 2U
#define RUNS_ONCE 1U
#define ELAPSED_MAX_S (36500ULL * 24 * 3600) /* a century: within an interval's digits */
#define REMOVED_AFTER_US ((uint64_t)JOB_KEPT_S * (uint64_t)US_PER_S)

/* --- one job -----------------------------------------------------------------------------------
 */

static void set_times(struct cim_instance *instance, const json_t *job)
{
    uint64_t elapsed_s = map_number(job, "elapsed_s");

    cim_set_time(instance, "TimeSubmitted", json_object_get(job, "submitted"));
    cim_set_time(instance, "ScheduledStartTime", json_object_get(job, "scheduled_start"));
    cim_set_time(instance, "StartTime", json_object_get(job, "started"));
    cim_set_time(instance, "TimeOfLastStateChange", json_object_get(job, "changed"));
    cim_set_interval(instance, "ElapsedTime",
                     (elapsed_s < ELAPSED_MAX_S ? elapsed_s : ELAPSED_MAX_S) * (uint64_t)US_PER_S);
    cim_set_interval(instance, "TimeBeforeRemoval", REMOVED_AFTER_US);
    cim_set_number(instance, "LocalOrUtcTime", TIME_UTC);
    cim_set_number(instance, "JobRunTimes", RUNS_ONCE);
    cim_set_boolean(instance, "DeleteOnCompletion", true);
}

/* What the code means, in the model's own words. */
static const char *code_name(const struct cim_instance *instance, uint64_t code)
{
    const struct cim_method *method =
        instance != NULL ? cim_method_find(instance->class, "GetError") : NULL;

    return method != NULL ? cim_value_name(&method->qualifiers, (int64_t)code) : NULL;
}

static void set_error(struct cim_instance *instance, const json_t *error)
{
    uint64_t code = map_number(error, "code");
    /* With 0 it has not failed: why it waits to try again is in its status. */
    const json_t *failure = code != 0 ? error : NULL;
    const char *message = map_text(failure, "message");
    const char *summary = json_is_object(failure) ? code_name(instance, code) : NULL;

    map_set_count(instance, "ErrorCode", code, UINT16_MAX);
    cim_set_text(instance, "ErrorDescription", message);
    cim_set_text(instance, "ErrorSummaryDescription", summary != NULL ? summary : message);
}

static void set_names(struct cim_instance *instance, const json_t *job)
{
    uint64_t type = map_number(job, "type");
    const struct cim_property *property =
        instance != NULL ? cim_property_find(instance->class, "JobType") : NULL;
    const char *name =
        property != NULL ? cim_value_name(&property->qualifiers, (int64_t)type) : NULL;

    /* A newer service may know types that this model does not. */
    name = name != NULL ? name : map_text(job, "type_name");
    cim_set_text(instance, "Name", name);
    map_name(instance, name, name, name);
    map_set_count(instance, "JobType", type, UINT16_MAX);
}

static const struct cim_instance *job_new(struct arena *arena, const json_t *job)
{
    struct cim_instance *instance = map_new(arena, "Msvm_ConcreteJob");

    cim_set_text(instance, "InstanceID", map_upper(arena, map_text(job, "id")));
    set_names(instance, job);
    map_well(instance);
    set_times(instance, job);
    map_set_count(instance, "JobState", map_number(job, "state"), UINT16_MAX);
    map_set_count(instance, "PercentComplete", map_number(job, "percent"), 100);
    cim_set_text(instance, "JobStatus", map_text(job, "status"));
    cim_set_text(instance, "Owner", map_text(job, "owner"));
    cim_set_boolean(instance, "Cancellable", map_is(job, "cancellable"));
    set_error(instance, json_object_get(job, "error"));
    return instance;
}

const struct cim_instance *cim_job_instance(struct arena *arena, const json_t *job)
{
    return job_new(arena, job);
}

/* --- one by its path ---------------------------------------------------------------------------
 */

/* GET /v1/jobs/{id}; *out stays NULL when there is none. */
static int ask_for(struct cim_request *request, const char *id, json_t **out, struct error *err)
{
    struct uuid uuid;
    char text[UUID_TEXT_MAX];
    char path[CLIENT_PATH_MAX];

    if (uuid_parse(id, &uuid, NULL) < 0) {
        return 0;
    }
    uuid_format(&uuid, text);
    if (client_path(path, sizeof path, err, "/v1/jobs/%s", text) < 0) {
        request->status = CIM_FAILED;
        return -1;
    }
    return map_ask_one(request, path, out, err);
}

int map_job_visit(struct cim_request *request, const struct cim_path *path, map_visit *visit,
                  void *context, struct error *err)
{
    const char *id = cim_path_key(path, "InstanceID");
    json_t *job = NULL;
    int result = 0;

    if (id == NULL || ask_for(request, id, &job, err) < 0) {
        return id == NULL ? 0 : -1;
    }
    if (job != NULL && cim_may_see(request, json_object_get(job, "vm"))) {
        result = visit(request, job, context, err);
    }
    json_decref(job);
    return result;
}

int map_near_jobs(struct cim_request *request, const struct cim_path *near, map_visit *visit,
                  void *context, struct error *err)
{
    struct uuid uuid;
    const char *id = near != NULL ? cim_path_key(near, "InstanceID") : NULL;

    /* Only jobs have an id that is nothing but a UUID. */
    if (id != NULL && uuid_parse(id, &uuid, NULL) == 0) {
        return map_job_visit(request, near, visit, context, err);
    }
    return map_each_job(request, visit, context, err);
}

/* --- the provider ------------------------------------------------------------------------------
 */

static int add_job(struct cim_request *request, const json_t *job, void *context, struct error *err)
{
    return map_add(request, context, job_new(request->arena, job), err);
}

static int enumerate(struct cim_request *request, const struct cim_path *near, struct cim_list *out,
                     struct error *err)
{
    (void)near;
    return map_each_job(request, add_job, out, err);
}

static int get(struct cim_request *request, const struct cim_path *path,
               const struct cim_instance **out, struct error *err)
{
    struct cim_list list = {0};

    if (map_job_visit(request, path, add_job, &list, err) < 0) {
        return -1;
    }
    *out = list.count > 0 ? list.all[0] : NULL;
    return 0;
}

const struct cim_provider map_job = {
    .class_name = "Msvm_ConcreteJob", .enumerate = enumerate, .get = get};
