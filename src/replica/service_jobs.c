/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_jobs.c - jobs: made, queued, started, tried again, ended.
 *
 *   waiting --> at work --> ended
 *      ^  \        |  \------^
 *      |   \-------+--> held (suspended)
 *      \___________/______/     a lost peer: waits for its next try
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/instant.h"
#include "base/log.h"
#include "replica/report.h"
#include "replica/service_internal.h"

static bool is_initial(const struct service_job *job)
{
    return job->row.type == JOB_INITIAL || job->row.type == JOB_RESYNC_INITIAL;
}

/* --- making and loading ---------------------------------------------------------------------- */

static uint32_t count_open(const struct service *service)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < service->job_count; i++) {
        count += service->jobs[i]->phase != PHASE_ENDED ? 1 : 0;
    }
    return count;
}

static int add_job(struct service *service, struct service_job *job, struct error *err)
{
    if (service->job_count == service->job_room) {
        uint32_t room = service->job_room == 0 ? 64 : service->job_room * 2;
        struct service_job **jobs =
            realloc((void *)service->jobs, room * sizeof(struct service_job *));
        if (jobs == NULL) {
            return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a job");
        }
        service->jobs = jobs;
        service->job_room = room;
    }
    service->jobs[service->job_count++] = job;
    return 0;
}

static int fill_new(struct service *service, const struct service_relationship *at,
                    struct service_job *job, struct error *err)
{
    (void)snprintf(job->row.vm_name, sizeof job->row.vm_name, "%s", at->row.vm_name);
    job->row.vm = at->row.vm;
    job->row.hop = at->row.hop;
    job->row.state = JOB_NEW;
    job->row.state_before = at->row.state;
    job->row.submitted_us = service_now(service);
    job->row.changed_us = job->row.submitted_us;
    job->phase = PHASE_WAITING;
    if (uuid_new(service->config.env, &job->row.id, err) < 0) {
        return -1;
    }
    return store_next_sequence(service->config.store, &job->row.sequence, err);
}

int service_make_job(struct service *service, const struct service_relationship *at,
                     enum job_type type, const char *owner, int64_t scheduled_us,
                     struct service_job **out, struct error *err)
{
    if (count_open(service) >= JOBS_OPEN_MAX) {
        return fail(err, ERR_LIMIT, 0,
                    "%u jobs are open, as many as there may be: wait for some to end, or cancel "
                    "some ('resilver job list')",
                    JOBS_OPEN_MAX);
    }
    struct service_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a job");
    }
    job->row.type = (uint16_t)type;
    job->row.scheduled_us = scheduled_us;
    (void)snprintf(job->row.owner, sizeof job->row.owner, "%s", owner);
    if (fill_new(service, at, job, err) < 0 || add_job(service, job, err) < 0) {
        free(job);
        return -1;
    }
    if (service_save_job(service, job, err) < 0) {
        service->job_count--;
        free(job);
        return -1;
    }
    *out = job;
    return 0;
}

static bool is_stop_type(uint16_t type)
{
    return type == JOB_STOP_RESYNC || type == JOB_STOP_INITIAL || type == JOB_STATE_CHANGE;
}

/* One that was stopping something when the daemon died: nothing is at work now. */
static void settle_loaded(struct service *service, struct service_job *job)
{
    if (job->phase == PHASE_ENDED) {
        return;
    }
    if (is_stop_type(job->row.type)) {
        service_end_job(service, job, JOB_COMPLETED, NULL);
    } else if (job->row.state == JOB_SHUTTING_DOWN) {
        struct service_relationship *at =
            service_find_relationship(service, &job->row.vm, job->row.hop);
        service_end_job(service, job, JOB_TERMINATED, NULL);
        if (at != NULL) {
            service_plan_next_window(service, at);
        }
    } else if (job->row.state == JOB_SUSPENDED) {
        job->phase = PHASE_HELD;
    } else if (job->row.started_us != 0) {
        (void)snprintf(job->row.status, sizeof job->row.status,
                       "the service was started again; goes on when it is its turn");
    }
}

static int copy_job(struct service_job *job, const struct job_row *row, struct error *err)
{
    job->row = *row;
    job->phase = job_state_is_end(row->state) ? PHASE_ENDED : PHASE_WAITING;
    job->row.report = row->report == NULL ? NULL : strdup(row->report);
    if (row->report != NULL && job->row.report == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a job's report");
    }
    return 0;
}

static int take_job(void *context, const struct job_row *row, struct error *err)
{
    struct service *service = context;
    struct service_job *job = calloc(1, sizeof *job);

    if (job == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a job");
    }
    if (copy_job(job, row, err) < 0 || add_job(service, job, err) < 0) {
        job_row_done(&job->row);
        free(job);
        return -1;
    }
    return 0;
}

static int compare_sequence(const void *a, const void *b)
{
    const struct service_job *const *first = a;
    const struct service_job *const *second = b;
    uint64_t one = (*first)->row.sequence;
    uint64_t two = (*second)->row.sequence;

    return one < two ? -1 : one > two ? 1 : 0;
}

int service_load_jobs(struct service *service, struct error *err)
{
    struct job_filter filter = {.ended_since_us =
                                    service_now(service) - (int64_t)JOB_KEPT_S * US_PER_S};

    filter.ended_since_us = filter.ended_since_us < 1 ? 1 : filter.ended_since_us;
    if (store_load_jobs(service->config.store, &filter, take_job, service, err) < 0) {
        return -1;
    }
    if (service->job_count > 0) {
        qsort((void *)service->jobs, service->job_count, sizeof(struct service_job *),
              compare_sequence);
    }
    for (uint32_t i = 0; i < service->job_count; i++) {
        settle_loaded(service, service->jobs[i]);
    }
    return 0;
}

void service_forget_ended(struct service *service)
{
    int64_t oldest_us = service_now(service) - (int64_t)JOB_KEPT_S * US_PER_S;
    /* One that ended later than now ended before the clock was set back. */
    int64_t newest_us = service_now(service) + (int64_t)JOB_KEPT_S * US_PER_S;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < service->job_count; i++) {
        struct service_job *job = service->jobs[i];
        bool is_old = job->row.ended_us < oldest_us || job->row.ended_us > newest_us;
        if (job->phase == PHASE_ENDED && is_old && !job->is_unsaved) {
            job_row_done(&job->row);
            free(job);
        } else {
            service->jobs[kept++] = job;
        }
    }
    service->job_count = kept;
}

/* --- ending ---------------------------------------------------------------------------------- */

/* What the try before was stopped by. */
static void clear_error(struct service_job *job)
{
    job->row.error_kind = 0;
    job->row.error[0] = '\0';
}

static void set_error(struct service_job *job, const struct error *err)
{
    job->row.error_kind = (uint16_t)err->kind;
    (void)snprintf(job->row.error, sizeof job->row.error, "%s%s%.*s", err->disk,
                   err->disk[0] == '\0' ? "" : ": ",
                   (int)(sizeof job->row.error - sizeof err->disk - 3), err->message);
}

void service_end_job(struct service *service, struct service_job *job, enum job_state state,
                     const struct error *err)
{
    assert(job->phase != PHASE_ENDED && job_state_is_end(state));
    job->phase = PHASE_ENDED;
    job->row.state = (uint16_t)state;
    job->row.ended_us = service_now(service);
    job->row.changed_us = job->row.ended_us;
    job->row.next_try_us = 0;
    job->row.percent = state == JOB_COMPLETED ? 100 : job->row.percent;
    job->row.status[0] = '\0';
    job->row.error_code = 0;
    if (err != NULL) {
        job->row.error_code = RETURN_FAILED;
        set_error(job, err);
    } else {
        job->row.error_kind = 0;
        job->row.error[0] = '\0';
    }
    service_keep_job(service, job);
}

/* The job that asked for the stop of this one has what it wanted. */
static void end_stop_job(struct service *service, struct service_job *job)
{
    struct service_job *stop_job =
        uuid_is_nil(&job->stop_job) ? NULL : service_find_job_of(service, &job->stop_job);

    job->stop_job = (struct uuid){{0}};
    job->stop = STOP_NONE;
    if (stop_job != NULL && stop_job->phase != PHASE_ENDED) {
        service_end_job(service, stop_job, JOB_COMPLETED, NULL);
    }
}

/* --- starting -------------------------------------------------------------------------------- */

static uint32_t count_at_work(const struct service *service)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < service->job_count; i++) {
        count += service->jobs[i]->phase == PHASE_AT_WORK ? 1 : 0;
    }
    return count;
}

static int64_t longest_wait_us(const struct service *service)
{
    return (int64_t)policy_retry_s(UINT32_MAX, service->config.retry_first_s) * US_PER_S;
}

/* When the job may begin; 0: now. A next try farther away than any ever is was set by a clock that
 * has been set back since. */
static int64_t due_us(const struct service *service, const struct service_job *job, int64_t now_us)
{
    int64_t next_us = job->row.next_try_us;

    if (next_us > now_us + longest_wait_us(service)) {
        next_us = 0;
    }
    return next_us > job->row.scheduled_us ? next_us : job->row.scheduled_us;
}

static void set_status(struct service_job *job, const char *status)
{
    (void)snprintf(job->row.status, sizeof job->row.status, "%s", status);
}

static void fail_for_good(struct service *service, struct service_job *job,
                          struct service_relationship *at, const struct error *err)
{
    service_end_job(service, job, JOB_EXCEPTION, err);
    service_note(service,
                 &(struct service_note){.code = is_initial(job) ? 0 : 29244,
                                        .level = LOG_LEVEL_ERROR,
                                        .what = "job failed",
                                        .vm = &job->row.vm,
                                        .hop = job->row.hop,
                                        .job = &job->row.id},
                 "%s", job->row.error);
    if (at != NULL) {
        (void)service_move(service, at,
                           is_initial(job) ? EVENT_INITIAL_FAILED : EVENT_RESYNC_FAILED,
                           job->row.error);
        service_plan_next_window(service, at); /* not again at once, and again, and again */
    }
}

static void try_later(struct service *service, struct service_job *job,
                      struct service_relationship *at, const struct error *err)
{
    int64_t now_us = service_now(service);
    char when[INSTANT_TEXT_MAX];

    job->row.attempts = job->has_moved ? 1 : job->row.attempts + 1;
    job->row.next_try_us =
        now_us +
        (int64_t)policy_retry_s(job->row.attempts, service->config.retry_first_s) * US_PER_S;
    set_error(job, err);
    instant_format_local(job->row.next_try_us, when);
    (void)snprintf(job->row.status, sizeof job->row.status, "%.560s; tries again at %s",
                   job->row.error, when);
    service_keep_job(service, job);
    service_note(service,
                 &(struct service_note){.code = 32315,
                                        .level = LOG_LEVEL_WARNING,
                                        .what = "job waits to try again",
                                        .vm = &job->row.vm,
                                        .hop = job->row.hop,
                                        .job = &job->row.id},
                 "%s", job->row.status);
    at->row.last_try_us = now_us;
    (void)snprintf(at->row.reason, sizeof at->row.reason, "%s", job->row.error);
    service_keep_relationship(service, at);
    service_refresh_health(service, at);
}

/* Whether another try may mend it. */
static enum policy_failure judge_failure(const struct error *err)
{
    switch (err->kind) {
    case ERR_PEER:
    case ERR_LIMIT:
    case ERR_CANCELLED: /* by the other side: its service stops */
        return FAILURE_RETRY;
    case ERR_WRONG_STATE:
        return FAILURE_WAIT;
    case ERR_NONE:
    case ERR_IO:
    case ERR_USAGE:
    case ERR_INTERNAL:
        return FAILURE_FINAL;
    }
    return FAILURE_FINAL;
}

static void take_failure(struct service *service, struct service_job *job,
                         struct service_relationship *at, const struct error *err)
{
    if (judge_failure(err) == FAILURE_FINAL || at == NULL) {
        fail_for_good(service, job, at, err);
    } else {
        try_later(service, job, at, err);
    }
}

static void note_start(struct service *service, const struct service_job *job)
{
    service_note(service,
                 &(struct service_note){.code = is_initial(job) ? 0 : 29242,
                                        .level = LOG_LEVEL_NOTICE,
                                        .what = "job started",
                                        .vm = &job->row.vm,
                                        .hop = job->row.hop,
                                        .job = &job->row.id},
                 "%s of '%s'", job_type_name(job->row.type), job->row.vm_name);
}

/* The relationship follows: it is resynchronizing from the first try on. Returns false if its state
 * forbids that by now. */
static bool move_to_start(struct service *service, const struct service_job *job,
                          struct service_relationship *at)
{
    if (is_initial(job)) { /* a daemon that was killed may have kept the job and not the state */
        return at->row.state == STATE_WAITING_INITIAL ||
               service_move(service, at, EVENT_START, NULL);
    }
    return at->row.state == STATE_RESYNCHRONIZING ||
           service_move(service, at, EVENT_RESYNC_BEGINS, NULL);
}

static void start_job(struct service *service, struct service_job *job)
{
    struct service_relationship *at =
        service_find_relationship(service, &job->row.vm, job->row.hop);
    struct session_order *order = calloc(1, sizeof *order); /* with 64 names: too large a local */
    struct error err = {0};

    if (order == NULL) {
        return; /* it waits; the next step tries again */
    }
    job->has_moved = false;
    if (at == NULL || !move_to_start(service, job, at)) {
        (void)fail(&err, ERR_USAGE, 0, "'%s' is in no state for this any more", job->row.vm_name);
        fail_for_good(service, job, NULL, &err);
    } else if (service_fill_order(service, &at->row, &job->row.id, is_initial(job), order, &err) <
                   0 ||
               service->config.outside->start(service->config.outside->context, order, &err) < 0) {
        take_failure(service, job, at, &err);
    } else {
        bool is_first = job->row.started_us == 0;
        job->phase = PHASE_AT_WORK;
        job->has_progress = false;
        job->row.state = JOB_RUNNING;
        job->row.next_try_us = 0;
        clear_error(job);
        job->row.changed_us = service_now(service);
        job->row.started_us = is_first ? job->row.changed_us : job->row.started_us;
        set_status(job, "connecting");
        service_keep_job(service, job);
        if (is_first) {
            note_start(service, job);
        }
    }
    free(order);
}

void service_start_due(struct service *service)
{
    int64_t now_us = service_now(service);
    char what[ERROR_MESSAGE_MAX];

    /* A job that starts, or fails to, may end others: the list is only ever appended to here. */
    for (uint32_t i = 0; i < service->job_count && !service->is_stopping; i++) {
        struct service_job *job = service->jobs[i];
        if (count_at_work(service) >= service->config.max_jobs) {
            return;
        }
        if (job->phase == PHASE_WAITING && !is_stop_type(job->row.type) &&
            due_us(service, job, now_us) <= now_us &&
            !service_is_vm_busy(service, &job->row.vm, what, sizeof what)) {
            start_job(service, job);
        }
    }
}

uint64_t service_next_job_ns(const struct service *service)
{
    int64_t now_us = service_now(service);
    int64_t wait_us = INT64_MAX / 2;

    for (uint32_t i = 0; i < service->job_count; i++) {
        const struct service_job *job = service->jobs[i];
        int64_t job_us = due_us(service, job, now_us);
        if (job->phase == PHASE_WAITING && job_us > now_us && job_us - now_us < wait_us) {
            wait_us = job_us - now_us;
        }
    }
    uint64_t now_ns = env_now_ns(service->config.env);
    return wait_us >= INT64_MAX / 2 ? UINT64_MAX : now_ns + (uint64_t)wait_us * 1000 + 1;
}

void service_hurry(struct service *service, const char *peer)
{
    for (uint32_t i = 0; i < service->job_count; i++) {
        struct service_job *job = service->jobs[i];
        const struct service_relationship *at =
            job->phase == PHASE_WAITING && job->row.next_try_us != 0
                ? service_find_relationship(service, &job->row.vm, job->row.hop)
                : NULL;
        if (at != NULL && strcmp(at->row.peer, peer) == 0) {
            job->row.next_try_us = 0;
            service_keep_job(service, job);
        }
    }
}

/* --- what sessions tell ---------------------------------------------------------------------- */

static uint64_t moved_bytes(const struct progress *progress)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < progress->disk_count; i++) {
        bytes += progress->disks[i].compared_bytes - progress->disks[i].resumed_bytes;
    }
    return bytes;
}

void service_progress(struct service *service, const struct uuid *id,
                      const struct progress *progress)
{
    struct service_job *job = service_find_job_of(service, id);

    if (job == NULL || job->phase != PHASE_AT_WORK) {
        return; /* it has ended meanwhile */
    }
    if (!job->has_progress) {
        set_status(job, job->stop == STOP_NONE ? "comparing" : "stopping");
    }
    job->has_progress = true;
    job->has_moved = job->has_moved || moved_bytes(progress) > 0;
    job->progress = *progress;
    job->row.percent = report_percent(progress);
    service_tell_job(service, job);
}

static void keep_report(struct service_job *job, const struct relationship_row *row,
                        const struct session_end *end)
{
    json_t *report = report_new(row, &end->progress, end->elapsed_ns);
    char *text = report == NULL ? NULL : json_dumps(report, JSON_COMPACT);

    json_decref(report);
    if (text != NULL && strlen(text) < JOB_REPORT_MAX) { /* else there is none: a report is a favour
                                                          */
        free(job->row.report);
        job->row.report = text;
    } else {
        free(text);
    }
}

static void take_success(struct service *service, struct service_job *job,
                         struct service_relationship *at, const struct session_end *end)
{
    int64_t now_us = service_now(service);
    uint64_t different = 0;

    for (uint32_t i = 0; i < end->progress.disk_count; i++) {
        different += end->progress.disks[i].different_bytes;
    }
    service_end_job(service, job, JOB_COMPLETED, NULL);
    service_note(service,
                 &(struct service_note){.code = is_initial(job) ? 0 : 29244,
                                        .level = LOG_LEVEL_NOTICE,
                                        .what = "job completed",
                                        .vm = &job->row.vm,
                                        .hop = job->row.hop,
                                        .job = &job->row.id},
                 "%s of '%s': %llu bytes differed; both sides are the same now",
                 job_type_name(job->row.type), job->row.vm_name, (unsigned long long)different);
    if (at != NULL) {
        at->row.last_replication_us = now_us;
        at->row.last_apply_us = now_us;
        at->row.last_try_us = now_us;
        at->row.last_type = 1;
        /* A suspension or cancel that came too late: what was asked for stands (7, 9, 11). */
        if (!service_move(service, at, is_initial(job) ? EVENT_INITIAL_DONE : EVENT_RESYNC_DONE,
                          NULL)) {
            service_keep_relationship(service, at);
        }
    }
}

static void take_stop(struct service *service, struct service_job *job)
{
    switch (job->stop) {
    case STOP_SUSPEND:
        job->phase = PHASE_HELD;
        job->row.state = JOB_SUSPENDED;
        job->row.changed_us = service_now(service);
        set_status(job, "suspended; what was received is kept");
        service_keep_job(service, job);
        return;
    case STOP_CANCEL:
        service_end_job(service, job, JOB_TERMINATED, NULL);
        service_note(service,
                     &(struct service_note){.level = LOG_LEVEL_NOTICE,
                                            .what = "job cancelled",
                                            .vm = &job->row.vm,
                                            .hop = job->row.hop,
                                            .job = &job->row.id},
                     "%s of '%s'", job_type_name(job->row.type), job->row.vm_name);
        return;
    case STOP_AGAIN:
        set_status(job, "waits for its turn");
        service_keep_job(service, job);
        return;
    case STOP_SERVICE:
    case STOP_NONE:
        set_status(job, "the service stops; goes on when it runs again");
        service_keep_job(service, job);
        return;
    }
}

void service_session_ended(struct service *service, const struct uuid *id,
                           const struct session_end *end)
{
    struct service_job *job = service_find_job_of(service, id);

    if (job == NULL || job->phase != PHASE_AT_WORK) {
        return;
    }
    struct service_relationship *at =
        service_find_relationship(service, &job->row.vm, job->row.hop);
    job->phase = PHASE_WAITING;
    job->row.percent = report_percent(&end->progress);
    job->has_progress = false;
    if (at != NULL) {
        keep_report(job, &at->row, end);
        service_count_end(service, at, end, !is_initial(job));
    }
    if (end->is_done) {
        take_success(service, job, at, end);
    } else if (job->stop != STOP_NONE) {
        take_stop(service, job);
    } else {
        take_failure(service, job, at, &end->error);
    }
    bool was_cancelled = job->stop == STOP_CANCEL;
    end_stop_job(service, job);
    if (was_cancelled && at != NULL) {
        service_plan_next_window(service, at);
    }
}

/* --- what callers ask ------------------------------------------------------------------------ */

static void stop_session(struct service *service, struct service_job *job, enum job_stop stop,
                         const struct service_job *stop_job)
{
    assert(job->phase == PHASE_AT_WORK);
    end_stop_job(service, job); /* an earlier stop of another kind: this one counts */
    job->stop = stop;
    job->stop_job = stop_job == NULL ? uuid_nil : stop_job->row.id;
    /* What was asked for outlives a kill that comes before the session's end. */
    job->row.state = stop == STOP_CANCEL ? JOB_SHUTTING_DOWN : JOB_SUSPENDED;
    job->row.changed_us = service_now(service);
    set_status(job, stop == STOP_CANCEL ? "being cancelled" : "being suspended");
    service_keep_job(service, job);
    service->config.outside->stop(service->config.outside->context, &job->row.id);
}

static void end_now(struct service *service, struct service_job *stop_job)
{
    if (stop_job != NULL) {
        service_end_job(service, stop_job, JOB_COMPLETED, NULL);
    }
}

void service_suspend_job(struct service *service, struct service_job *job,
                         struct service_job *stop_job)
{
    if (job->phase == PHASE_AT_WORK) {
        stop_session(service, job, STOP_SUSPEND, stop_job);
        return;
    }
    job->phase = PHASE_HELD;
    job->row.state = JOB_SUSPENDED;
    job->row.changed_us = service_now(service);
    set_status(job, "suspended");
    service_keep_job(service, job);
    end_now(service, stop_job);
}

void service_resume_job(struct service *service, struct service_job *job)
{
    assert(job->phase == PHASE_HELD || job->phase == PHASE_WAITING);
    job->phase = PHASE_WAITING;
    job->row.state = job->row.started_us == 0 ? JOB_NEW : JOB_RUNNING;
    job->row.scheduled_us = 0;
    job->row.next_try_us = 0;
    job->row.changed_us = service_now(service);
    set_status(job, "waits for its turn");
    service_keep_job(service, job);
}

void service_plan_job(struct service *service, struct service_job *job, int64_t start_us)
{
    assert(job->phase == PHASE_WAITING);
    job->row.scheduled_us = start_us;
    if (start_us > service_now(service)) {
        job->row.state = JOB_NEW;
        set_status(job, "waits for its start");
    }
    service_keep_job(service, job);
}

void service_resume_stopping(struct service *service, struct service_relationship *at,
                             struct service_job *job)
{
    assert(job->phase == PHASE_AT_WORK && job->stop != STOP_CANCEL);
    job->stop = STOP_AGAIN;
    job->row.state = JOB_RUNNING;
    job->row.changed_us = service_now(service);
    set_status(job, "goes on as soon as it has stopped");
    service_keep_job(service, job);
    if (at->row.state == STATE_RESYNC_SUSPENDED) {
        (void)service_move(service, at, EVENT_RESYNC_BEGINS, NULL);
    }
}

void service_cancel_job(struct service *service, struct service_job *job,
                        struct service_job *stop_job)
{
    if (job->phase == PHASE_AT_WORK) {
        stop_session(service, job, STOP_CANCEL, stop_job);
        return;
    }
    service_end_job(service, job, JOB_TERMINATED, NULL);
    end_now(service, stop_job);
}
