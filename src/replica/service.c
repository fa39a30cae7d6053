/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service.c - a service as a whole: loading its state, its steps, and looking at it.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/nearest.h"
#include "replica/service_internal.h"

#define HEALTH_EVERY_US (60 * US_PER_S)
#define STEP_EVERY_NS (60 * NS_PER_S)
#define SAVE_AGAIN_NS NS_PER_S

int64_t service_now(const struct service *service)
{
    return env_wall_us(service->config.env);
}

/* --- loading --------------------------------------------------------------------------------- */

static int take_host(void *context, const struct host_row *row, struct error *err)
{
    struct service *service = context;

    if (service->host_count == HOSTS_MAX) {
        return fail(err, ERR_LIMIT, 0, "the state has more than %u hosts", HOSTS_MAX);
    }
    service->hosts[service->host_count++] = *row;
    return 0;
}

static int take_authorization(void *context, const struct authorization_row *row, struct error *err)
{
    struct service *service = context;

    if (service->authorization_count == AUTHORIZATIONS_MAX) {
        return fail(err, ERR_LIMIT, 0, "the state has more than %u authorization entries",
                    AUTHORIZATIONS_MAX);
    }
    service->authorizations[service->authorization_count++] = *row;
    return 0;
}

/* Rows come in the order of their keys, which is ours. */
static int take_relationship(void *context, const struct relationship_row *row, struct error *err)
{
    struct service *service = context;

    if (service->relationship_count == RELATIONSHIPS_MAX) {
        return fail(err, ERR_LIMIT, 0, "the state has more than %u relationships",
                    RELATIONSHIPS_MAX);
    }
    struct service_relationship *at = calloc(1, sizeof *at);
    if (at == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a relationship");
    }
    if (relationship_row_copy(&at->row, row, err) < 0) {
        free(at);
        return -1;
    }
    service->relationships[service->relationship_count++] = at;
    return 0;
}

/* This daemon owns the sources now: whoever owned them before, and may still be at work somewhere,
 * shows a lower generation and is refused by the target. */
static int take_ownership(struct service *service, struct error *err)
{
    for (uint32_t i = 0; i < service->relationship_count; i++) {
        struct service_relationship *at = service->relationships[i];
        if (role_is_source(at->row.role)) {
            at->row.generation++;
            if (store_put_relationship(service->config.store, &at->row, err) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int load_rows(struct service *service, struct error *err)
{
    struct store *store = service->config.store;

    if (store_load_hosts(store, take_host, service, err) < 0 ||
        store_load_authorizations(store, take_authorization, service, err) < 0 ||
        store_load_relationships(store, take_relationship, service, err) < 0 ||
        service_load_jobs(service, err) < 0 || store_begin(store, err) < 0) {
        return -1;
    }
    if (take_ownership(service, err) < 0) {
        store_rollback(store);
        return -1;
    }
    return store_commit(store, err) < 0 ? -1 : service_load_statistics(service, err);
}

/* A job that was at work has left its relationship where it was; one whose job is gone (a lost
 * database that was restored from a backup) must not say "resynchronizing" for ever. */
static void settle(struct service *service)
{
    for (uint32_t i = 0; i < service->relationship_count; i++) {
        struct service_relationship *at = service->relationships[i];
        if (!role_is_source(at->row.role) ||
            service_open_job(service, &at->row.vm, at->row.hop) != NULL) {
            continue;
        }
        if (at->row.state == STATE_RESYNCHRONIZING || at->row.state == STATE_RESYNC_SUSPENDED) {
            (void)service_move(service, at, EVENT_CANCEL_RESYNC, "its job is not known any more");
        } else if (at->row.state == STATE_WAITING_INITIAL) {
            (void)service_move(service, at, EVENT_CANCEL_INITIAL, "its job is not known any more");
        }
    }
}

static int make_room(struct service *service, struct error *err)
{
    service->hosts = calloc(HOSTS_MAX, sizeof *service->hosts);
    service->authorizations = calloc(AUTHORIZATIONS_MAX, sizeof *service->authorizations);
    service->relationships = calloc(RELATIONSHIPS_MAX, sizeof(struct service_relationship *));
    service->pendings = calloc(JOBS_OPEN_MAX, sizeof(struct pending *));
    if (service->hosts == NULL || service->authorizations == NULL ||
        service->relationships == NULL || service->pendings == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the service");
    }
    return 0;
}

static void service_freep(struct service **service)
{
    service_free(*service);
    *service = NULL;
}

int service_new(const struct service_config *config, struct service **out, struct error *err)
{
    CLEANUP(service_freep) struct service *service = calloc(1, sizeof *service);

    assert(config->max_jobs > 0 && config->retry_first_s > 0);
    if (service == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the service");
    }
    service->config = *config;
    service->next_token = 1;
    if (make_room(service, err) < 0 || load_rows(service, err) < 0) {
        return -1;
    }
    settle(service);
    *out = TAKE(service);
    return 0;
}

void service_free(struct service *service)
{
    if (service == NULL) {
        return;
    }
    service_pending_done(service);
    for (uint32_t i = 0; i < service->relationship_count; i++) {
        relationship_row_done(&service->relationships[i]->row);
        free(service->relationships[i]);
    }
    for (uint32_t i = 0; i < service->job_count; i++) {
        job_row_done(&service->jobs[i]->row);
        free(service->jobs[i]);
    }
    free(service->pendings);
    free(service->jobs);
    free((void *)service->relationships);
    free(service->authorizations);
    free(service->hosts);
    free(service);
}

/* --- steps ----------------------------------------------------------------------------------- */

/* In the window a resynchronization that is required starts by itself; outside it is set for the
 * next. */
static void plan_automatic(struct service *service, struct service_relationship *at, int64_t now_us)
{
    const struct relationship_settings *settings = &at->row.settings;
    struct service_job *job = NULL;
    struct error err = {0};

    if (!role_is_source(at->row.role) || at->row.state != STATE_WAITING_RESYNC ||
        !settings->is_auto_resync_enabled ||
        service_open_job(service, &at->row.vm, at->row.hop) != NULL) {
        return;
    }
    bool is_now =
        policy_is_in_window(now_us, settings->auto_start_minute, settings->auto_end_minute);
    int64_t when_us =
        is_now ? 0
               : policy_next_window(now_us, settings->auto_start_minute, settings->auto_end_minute);
    enum job_type type = at->row.hop == 0 ? JOB_RESYNC : JOB_RESYNC_EXTENDED;
    if (service_make_job(service, at, type, "automatic", when_us, &job, &err) < 0) {
        log_event(LOG_LEVEL_ERROR, {"event", "automatic resync not planned"},
                  {"vm", at->row.vm_name}, {"error", err.message});
    }
}

uint64_t service_step(struct service *service)
{
    int64_t now_us = service_now(service);
    bool is_health_due = now_us - service->health_checked_us >= HEALTH_EVERY_US ||
                         now_us < service->health_checked_us;

    if (!service->has_greeted) {
        service->has_greeted = true;
        service_greet(service);
    }
    service_save_rest(service);
    service_turn_intervals(service);
    for (uint32_t i = 0; i < service->relationship_count; i++) {
        plan_automatic(service, service->relationships[i], now_us);
        if (is_health_due) {
            service_refresh_health(service, service->relationships[i]);
        }
    }
    service->health_checked_us = is_health_due ? now_us : service->health_checked_us;
    service_forget_ended(service);
    service_start_due(service);

    uint64_t latest_ns = env_now_ns(service->config.env) + STEP_EVERY_NS;
    uint64_t job_ns = service_next_job_ns(service);
    return job_ns < latest_ns ? job_ns : latest_ns;
}

void service_stop(struct service *service)
{
    service->is_stopping = true;
    for (uint32_t i = 0; i < service->job_count; i++) {
        struct service_job *job = service->jobs[i];
        if (job->phase == PHASE_AT_WORK) {
            job->stop = job->stop == STOP_NONE ? STOP_SERVICE : job->stop;
            service->config.outside->stop(service->config.outside->context, &job->row.id);
        }
    }
}

bool service_is_idle(const struct service *service)
{
    for (uint32_t i = 0; i < service->job_count; i++) {
        if (service->jobs[i]->phase == PHASE_AT_WORK) {
            return false;
        }
    }
    return service->admitted_count == 0 && service->pending_count == 0;
}

/* --- looking --------------------------------------------------------------------------------- */

/* VMs are those of the inventory, and after them those that only a relationship knows. */
static bool is_in_inventory(const struct service *service, const struct uuid *id)
{
    char text[UUID_TEXT_MAX];

    uuid_format(id, text);
    return inventory_find(service->config.inventory, text) != NULL;
}

/* Whether this relationship is the one by which its VM is listed. */
static bool is_listed_by(const struct service *service, uint32_t index)
{
    const struct relationship_row *row = &service->relationships[index]->row;

    if (is_in_inventory(service, &row->vm)) {
        return false;
    }
    return index == 0 || !uuid_equal(&service->relationships[index - 1]->row.vm, &row->vm);
}

static enum replication_mode mode_of(const struct service_vm *vm)
{
    const struct relationship_row *first = vm->relationships[0];
    const struct relationship_row *second = vm->relationships[1];

    if (first != NULL && first->state != STATE_DISABLED) {
        return first->role == RELATIONSHIP_PRIMARY ? MODE_PRIMARY : MODE_REPLICA;
    }
    if (second != NULL && second->state != STATE_DISABLED) {
        return second->role == RELATIONSHIP_EXTENDED ? MODE_EXTENDED : MODE_REPLICA;
    }
    return MODE_NONE;
}

static const struct relationship_row *row_of(const struct service *service, const struct uuid *vm,
                                             uint8_t hop)
{
    const struct service_relationship *at = service_find_relationship(service, vm, hop);

    return at == NULL ? NULL : &at->row;
}

static void fill_vm(const struct service *service, const struct uuid *id, const struct vm *vm,
                    struct service_vm *out)
{
    *out = (struct service_vm){.id = *id, .vm = vm};
    out->relationships[0] = row_of(service, id, 0);
    out->relationships[1] = row_of(service, id, 1);
    out->mode = mode_of(out);
    if (vm != NULL) {
        out->name = vm->name;
        out->inventory = service->config.inventory->ops->name;
    } else {
        out->name = out->relationships[0] != NULL ? out->relationships[0]->vm_name
                                                  : out->relationships[1]->vm_name;
    }
}

uint32_t service_vm_count(const struct service *service)
{
    uint32_t count = service->config.inventory->ops->count(service->config.inventory);

    for (uint32_t i = 0; i < service->relationship_count; i++) {
        count += is_listed_by(service, i) ? 1 : 0;
    }
    return count;
}

void service_vm_at(const struct service *service, uint32_t index, struct service_vm *out)
{
    const struct inventory *inventory = service->config.inventory;
    uint32_t count = inventory->ops->count(inventory);

    if (index < count) {
        const struct vm *vm = inventory->ops->at(inventory, index);
        fill_vm(service, &vm->id, vm, out);
        return;
    }
    for (uint32_t i = 0; i < service->relationship_count; i++) {
        if (is_listed_by(service, i) && index-- == count) {
            fill_vm(service, &service->relationships[i]->row.vm, NULL, out);
            return;
        }
    }
    assert(false); /* the index is below service_vm_count() */
}

/* The relationship's VM that bears the id or, if only one does, the name. */
static const struct relationship_row *find_by_relationship(const struct service *service,
                                                           const char *text, bool *out_is_twice)
{
    const struct relationship_row *found = NULL;
    struct uuid id = {{0}};
    bool is_id = uuid_parse(text, &id, NULL) == 0;

    for (uint32_t i = 0; i < service->relationship_count; i++) {
        const struct relationship_row *row = &service->relationships[i]->row;
        if (is_id ? !uuid_equal(&row->vm, &id) : strcmp(row->vm_name, text) != 0) {
            continue;
        }
        if (found != NULL && !uuid_equal(&found->vm, &row->vm)) {
            *out_is_twice = true;
        }
        found = row;
    }
    return found;
}

static int fail_unknown_vm(const struct service *service, const char *text, struct error *err)
{
    const char *best = NULL;
    struct service_vm vm;

    for (uint32_t i = 0; i < service_vm_count(service); i++) {
        service_vm_at(service, i, &vm);
        best = nearest_pick(text, best, vm.name);
    }
    if (best != NULL) {
        return fail(err, ERR_USAGE, 0, "no VM '%.128s' is known here; did you mean '%.128s'?", text,
                    best);
    }
    return fail(err, ERR_USAGE, 0, "no VM '%.128s' is known here; 'resilver vm list' shows all",
                text);
}

int service_find_vm(const struct service *service, const char *text, struct service_vm *out,
                    struct error *err)
{
    const struct vm *vm = inventory_find(service->config.inventory, text);
    bool is_twice = false;
    const struct relationship_row *row = find_by_relationship(service, text, &is_twice);

    if (is_twice || (vm != NULL && row != NULL && !uuid_equal(&vm->id, &row->vm))) {
        return fail(err, ERR_USAGE, 0, "two VMs bear the name '%.128s': give the id of one", text);
    }
    if (vm != NULL) {
        fill_vm(service, &vm->id, vm, out);
        return 0;
    }
    if (row != NULL) {
        char id[UUID_TEXT_MAX];
        uuid_format(&row->vm, id);
        fill_vm(service, &row->vm, inventory_find(service->config.inventory, id), out);
        return 0;
    }
    return fail_unknown_vm(service, text, err);
}

struct service_relationship *service_find_relationship(const struct service *service,
                                                       const struct uuid *vm, uint8_t hop)
{
    uint32_t low = 0;
    uint32_t high = service->relationship_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct relationship_row *row = &service->relationships[middle]->row;
        int order = uuid_compare(&row->vm, vm);
        order = order != 0 ? order : (int)row->hop - (int)hop;
        if (order == 0) {
            return service->relationships[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* The one that this host is the source of; else the only one there is. */
static int choose_hop(const struct service_vm *vm)
{
    for (int hop = 0; hop < 2; hop++) {
        if (vm->relationships[hop] != NULL && role_is_source(vm->relationships[hop]->role)) {
            return hop;
        }
    }
    return vm->relationships[0] != NULL ? 0 : 1;
}

int service_resolve(const struct service *service, const char *vm, int hop,
                    struct service_relationship **out, enum return_value *out_value,
                    struct error *err)
{
    struct service_vm found;

    if (service_find_vm(service, vm, &found, err) < 0) {
        *out_value = RETURN_INVALID_PARAMETER;
        return -1;
    }
    if (hop < -1 || hop > 1) {
        *out_value = RETURN_INVALID_PARAMETER;
        return fail(err, ERR_USAGE, 0,
                    "there is no hop %d: 0 is primary to replica, 1 is replica "
                    "to extended replica",
                    hop);
    }
    hop = hop < 0 ? choose_hop(&found) : hop;
    *out = service_find_relationship(service, &found.id, (uint8_t)hop);
    if (*out == NULL) {
        *out_value = RETURN_INVALID_STATE;
        return fail(err, ERR_WRONG_STATE, 0,
                    "'%s' is not replicated%s here; 'resilver relationship create %s --host HOST' "
                    "would begin it",
                    found.name, hop == 1 ? " any further" : "", found.name);
    }
    return 0;
}

uint32_t service_host_count(const struct service *service)
{
    return service->host_count;
}

const struct host_row *service_host_at(const struct service *service, uint32_t index)
{
    assert(index < service->host_count);
    return &service->hosts[index];
}

const struct host_row *service_find_host(const struct service *service, const char *name)
{
    for (uint32_t i = 0; i < service->host_count; i++) {
        if (strcasecmp(service->hosts[i].name, name) == 0) {
            return &service->hosts[i];
        }
    }
    return NULL;
}

uint32_t service_authorization_count(const struct service *service)
{
    return service->authorization_count;
}

const struct authorization_row *service_authorization_at(const struct service *service,
                                                         uint32_t index)
{
    assert(index < service->authorization_count);
    return &service->authorizations[index];
}

uint32_t service_job_count(const struct service *service)
{
    return service->job_count;
}

const struct job_row *service_job_at(const struct service *service, uint32_t index)
{
    assert(index < service->job_count);
    return &service->jobs[index]->row;
}

struct service_job *service_find_job_of(const struct service *service, const struct uuid *id)
{
    for (uint32_t i = 0; i < service->job_count; i++) {
        if (uuid_equal(&service->jobs[i]->row.id, id)) {
            return service->jobs[i];
        }
    }
    return NULL;
}

const struct job_row *service_find_job(const struct service *service, const struct uuid *id)
{
    const struct service_job *job = service_find_job_of(service, id);

    return job == NULL ? NULL : &job->row;
}

const struct progress *service_job_progress(const struct service *service, const struct uuid *id)
{
    const struct service_job *job = service_find_job_of(service, id);

    return job != NULL && job->phase == PHASE_AT_WORK && job->has_progress ? &job->progress : NULL;
}

struct service_job *service_open_job(const struct service *service, const struct uuid *vm,
                                     uint8_t hop)
{
    for (uint32_t i = 0; i < service->job_count; i++) {
        struct service_job *job = service->jobs[i];
        if (job->phase != PHASE_ENDED && uuid_equal(&job->row.vm, vm) && job->row.hop == hop &&
            job->row.type != JOB_STOP_RESYNC && job->row.type != JOB_STOP_INITIAL &&
            job->row.type != JOB_STATE_CHANGE) {
            return job;
        }
    }
    return NULL;
}

bool service_is_vm_busy(const struct service *service, const struct uuid *vm, char *out_what,
                        size_t size_bytes)
{
    char id[UUID_TEXT_MAX];

    for (uint32_t i = 0; i < service->job_count; i++) {
        const struct service_job *job = service->jobs[i];
        if (job->phase == PHASE_AT_WORK && uuid_equal(&job->row.vm, vm)) {
            uuid_format(&job->row.id, id);
            (void)snprintf(out_what, size_bytes, "job %s (%s)", id, job_type_name(job->row.type));
            return true;
        }
    }
    for (uint32_t i = 0; i < service->admitted_count; i++) {
        if (uuid_equal(&service->admitted[i].vm, vm)) {
            (void)snprintf(out_what, size_bytes, "a session that brings it a new point");
            return true;
        }
    }
    if (service_is_pending(service, vm)) {
        (void)snprintf(out_what, size_bytes, "another operation that waits for an answer");
        return true;
    }
    return false;
}

struct store *service_store(struct service *service)
{
    return service->config.store;
}

const char *service_host_name(const struct service *service)
{
    return service->config.host_name;
}

void service_settings_default(struct relationship_settings *out)
{
    /* Source: Msvm_ReplicationSettingData's defaults */
    *out = (struct relationship_settings){.interval_s = 300,
                                          .auto_start_minute = 18 * 60 + 30,
                                          .auto_end_minute = 6 * 60,
                                          .is_compression_enabled = true};
}
