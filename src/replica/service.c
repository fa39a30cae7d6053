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
#include "replica/service_internal.h"

#define HEALTH_EVERY_US (60 * US_PER_S)
#define STEP_EVERY_NS (60 * NS_PER_S)
#define SAVE_AGAIN_NS NS_PER_S
#define WINDOW_AHEAD_MAX_US (48LL * 3600 * US_PER_S) /* a day, and whatever summer time does */

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
    for (uint32_t i = 0; i < service->job_count; i++) {
        struct service_job *job = service->jobs[i];
        if (job->phase != PHASE_ENDED &&
            service_find_relationship(service, &job->row.vm, job->row.hop) == NULL) {
            service_end_job(service, job, JOB_TERMINATED, NULL); /* it was removed, and the job not
                                                                  */
        }
    }
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
    service->relationships =
        calloc((size_t)RELATIONSHIPS_MAX, sizeof(struct service_relationship *));
    service->listed = calloc((size_t)RELATIONSHIPS_MAX, sizeof *service->listed);
    service->pendings = calloc(JOBS_OPEN_MAX, sizeof(struct pending *));
    if (service->hosts == NULL || service->authorizations == NULL ||
        service->relationships == NULL || service->listed == NULL || service->pendings == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the service");
    }
    return 0;
}

int service_new(const struct service_config *config, struct service **out, struct error *err)
{
    struct service *service = calloc(1, sizeof *service);

    assert(config->max_jobs > 0 && config->retry_first_s > 0);
    if (service == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the service");
    }
    service->config = *config;
    service->next_token = 1;
    if (make_room(service, err) < 0 || service_sort_inventory(service, err) < 0 ||
        load_rows(service, err) < 0) {
        service_free(service);
        return -1;
    }
    service_list_vms(service);
    settle(service);
    *out = service;
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
    free((void *)service->by_id);
    free(service->listed);
    free(service->jobs);
    free((void *)service->relationships);
    free(service->authorizations);
    free(service->hosts);
    free(service);
}

/* --- steps ----------------------------------------------------------------------------------- */

static enum job_type resync_type(const struct service_relationship *at)
{
    return at->row.hop == 0 ? JOB_RESYNC : JOB_RESYNC_EXTENDED;
}

enum return_value service_value_of(const struct error *err)
{
    return err != NULL && err->kind == ERR_LIMIT ? RETURN_OUT_OF_MEMORY : RETURN_FAILED;
}

static void make_automatic(struct service *service, struct service_relationship *at,
                           int64_t when_us)
{
    struct service_job *job = NULL;
    struct error err = {0};

    if (service_make_job(service, at, resync_type(at), "automatic", when_us, &job, &err) < 0) {
        log_event(LOG_LEVEL_ERROR, {"event", "automatic resync not planned"},
                  {"vm", at->row.vm_name}, {"error", err.message});
    }
}

static bool wants_automatic(const struct service *service, const struct service_relationship *at)
{
    return role_is_source(at->row.role) && at->row.state == STATE_WAITING_RESYNC &&
           at->row.settings.is_auto_resync_enabled &&
           service_open_job(service, &at->row.vm, at->row.hop) == NULL;
}

static int64_t next_window(const struct service_relationship *at, int64_t now_us)
{
    return policy_next_window(now_us, at->row.settings.auto_start_minute,
                              at->row.settings.auto_end_minute);
}

void service_plan_next_window(struct service *service, struct service_relationship *at)
{
    if (wants_automatic(service, at)) {
        make_automatic(service, at, next_window(at, service_now(service)));
    }
}

/* A window is never farther away than that: one that is was planned by a clock that has been set
 * back since. */
static void plan_again(struct service *service, struct service_relationship *at, int64_t now_us)
{
    struct service_job *job = service_open_job(service, &at->row.vm, at->row.hop);

    if (job != NULL && job->phase == PHASE_WAITING && strcmp(job->row.owner, "automatic") == 0 &&
        job->row.scheduled_us > now_us + WINDOW_AHEAD_MAX_US) {
        job->row.scheduled_us = next_window(at, now_us);
        service_keep_job(service, job);
    }
}

/* In the window a resynchronization that is required starts by itself; outside it is set for the
 * next. */
static void plan_automatic(struct service *service, struct service_relationship *at, int64_t now_us)
{
    const struct relationship_settings *settings = &at->row.settings;

    /* One that a person began and that waits for its peer's answer goes first. */
    if (!wants_automatic(service, at) || service_is_pending(service, &at->row.vm)) {
        return;
    }
    bool is_now =
        policy_is_in_window(now_us, settings->auto_start_minute, settings->auto_end_minute);
    make_automatic(service, at, is_now ? 0 : next_window(at, now_us));
}

static bool has_unsaved(const struct service *service)
{
    for (uint32_t i = 0; i < service->relationship_count; i++) {
        if (service->relationships[i]->is_unsaved ||
            service->relationships[i]->has_unsaved_statistics) {
            return true;
        }
    }
    for (uint32_t i = 0; i < service->job_count; i++) {
        if (service->jobs[i]->is_unsaved) {
            return true;
        }
    }
    return false;
}

/* All in one transaction: a thousand that turn at once would take a thousand flushes. */
static void refresh_all_health(struct service *service)
{
    struct store *store = service->config.store;
    struct error err = {0};
    bool is_together = store_begin(store, &err) == 0;

    for (uint32_t i = 0; i < service->relationship_count; i++) {
        service_refresh_health(service, service->relationships[i]);
    }
    if (is_together && store_commit(store, &err) < 0) {
        for (uint32_t i = 0; i < service->relationship_count; i++) {
            service->relationships[i]->is_unsaved = true; /* each is tried again */
        }
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
        plan_again(service, service->relationships[i], now_us);
        plan_automatic(service, service->relationships[i], now_us);
    }
    if (is_health_due) {
        refresh_all_health(service);
    }
    service->health_checked_us = is_health_due ? now_us : service->health_checked_us;
    service_forget_ended(service);
    service_start_due(service);

    uint64_t wait_ns = has_unsaved(service) ? SAVE_AGAIN_NS : STEP_EVERY_NS;
    uint64_t latest_ns = env_now_ns(service->config.env) + wait_ns;
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
