/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_operations.c - what changes relationships: CreateReplicationRelationship,
 * ModifyReplicationSettings, RemoveReplicationRelationshipEx, RequestReplicationStateChangeEx, and
 * Msvm_ConcreteJob.RequestStateChange.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/service_internal.h"

#define MINUTES_PER_DAY (24U * 60U)

/* --- settings -------------------------------------------------------------------------------- */

/* Source: Msvm_ReplicationSettingData: RecoveryHistory, ReplicationInterval (of an extended replica
 * not 30 s), AutoResynchronizeInterval* */
static int check_settings(const struct relationship_settings *settings, uint8_t hop,
                          struct error *err)
{
    if (settings->recovery_history > REPLICA_HISTORY_MAX) {
        return fail(err, ERR_USAGE, 0, "%u earlier points are too many: 0 to %u may be kept",
                    settings->recovery_history, REPLICA_HISTORY_MAX);
    }
    if (settings->interval_s != 300 && settings->interval_s != 900 &&
        (settings->interval_s != 30 || hop == 1)) {
        return fail(err, ERR_USAGE, 0, "the interval may be %s300 or 900 s, not %u",
                    hop == 0 ? "30, " : "", settings->interval_s);
    }
    if (settings->auto_start_minute >= MINUTES_PER_DAY ||
        settings->auto_end_minute >= MINUTES_PER_DAY) {
        return fail(err, ERR_USAGE, 0, "a window's times are from 00:00 to 23:59");
    }
    return 0;
}

/* --- create ---------------------------------------------------------------------------------- */

static bool is_wanted(const struct relationship_request *request, const char *name)
{
    for (uint32_t i = 0; i < request->disk_count; i++) {
        if (strcmp(request->disks[i], name) == 0) {
            return true;
        }
    }
    return request->disk_count == 0;
}

static int give_disks(struct relationship_row *row, uint32_t count, struct error *err)
{
    row->disks = calloc(count, sizeof *row->disks);
    if (row->disks == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the disks of a relationship");
    }
    row->disk_count = count;
    return 0;
}

static int fill_disks(const struct vm *vm, const struct relationship_request *request,
                      struct relationship_row *row, struct error *err)
{
    for (uint32_t i = 0; i < request->disk_count; i++) {
        if (vm_find_disk(vm, request->disks[i]) < 0) {
            return fail(err, ERR_USAGE, 0, "'%s' has no disk '%.128s'", vm->name,
                        request->disks[i]);
        }
    }
    if (give_disks(row, vm->disk_count, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        (void)snprintf(row->disks[i].name, sizeof row->disks[i].name, "%s", vm->disks[i].name);
        row->disks[i].is_included = is_wanted(request, vm->disks[i].name);
    }
    return 0;
}

/* An extended replica has the disks that the replica has. */
static int copy_disks(const struct relationship_row *from,
                      const struct relationship_request *request, struct relationship_row *row,
                      struct error *err)
{
    if (request->disk_count != 0) {
        return fail(err, ERR_USAGE, 0,
                    "an extended replica has the disks of the replica: name none");
    }
    if (give_disks(row, from->disk_count, err) < 0) {
        return -1;
    }
    memcpy(row->disks, from->disks, from->disk_count * sizeof *row->disks);
    return 0;
}

static int fill_primary(const struct service_vm *vm, const struct relationship_request *request,
                        struct relationship_row *row, enum return_value *out_value,
                        struct error *err)
{
    row->hop = 0;
    row->role = RELATIONSHIP_PRIMARY;
    if (fill_disks(vm->vm, request, row, err) < 0) {
        *out_value = err->kind == ERR_LIMIT ? RETURN_OUT_OF_MEMORY : RETURN_INVALID_PARAMETER;
        return -1;
    }
    return 0;
}

static int fill_extending(const struct service_vm *vm, const struct relationship_request *request,
                          struct relationship_row *row, enum return_value *out_value,
                          struct error *err)
{
    const struct relationship_row *first = vm->relationships[0];

    row->hop = 1;
    row->role = RELATIONSHIP_EXTENDING;
    (void)snprintf(row->folder, sizeof row->folder, "%s", first->folder);
    if (first->state == STATE_WAITING_INITIAL) {
        *out_value = RETURN_INVALID_STATE;
        return fail(err, ERR_WRONG_STATE, 0,
                    "the replica of '%s' is not complete yet; extend it after its initial copy",
                    vm->name);
    }
    if (strcmp(first->peer, row->peer) == 0) {
        *out_value = RETURN_INVALID_PARAMETER;
        return fail(err, ERR_USAGE, 0, "'%s' comes from host '%s': extend it to a third one",
                    vm->name, row->peer);
    }
    if (copy_disks(first, request, row, err) < 0) {
        *out_value = err->kind == ERR_LIMIT ? RETURN_OUT_OF_MEMORY : RETURN_INVALID_PARAMETER;
        return -1;
    }
    return 0;
}

static int refuse_second(const struct service_vm *vm, uint8_t hop, enum return_value *out_value,
                         struct error *err)
{
    *out_value = RETURN_INVALID_STATE;
    return fail(err, ERR_WRONG_STATE, 0,
                "'%s' is replicated already, to host '%s'; 'resilver relationship remove %s' ends "
                "that",
                vm->name, vm->relationships[hop]->peer, vm->name);
}

static int fill_ends(const struct service_vm *vm, const struct relationship_request *request,
                     struct relationship_row *row, enum return_value *out_value, struct error *err)
{
    const struct relationship_row *first = vm->relationships[0];
    const struct relationship_row *second = vm->relationships[1];

    if (first != NULL && first->role == RELATIONSHIP_PRIMARY) {
        return refuse_second(vm, 0, out_value, err);
    }
    if (second != NULL && second->role == RELATIONSHIP_EXTENDED) {
        *out_value = RETURN_NOT_SUPPORTED;
        return fail(err, ERR_USAGE, 0,
                    "'%s' is an extended replica, which cannot be extended again", vm->name);
    }
    if (second != NULL) {
        return refuse_second(vm, 1, out_value, err);
    }
    if (first != NULL) {
        return fill_extending(vm, request, row, out_value, err);
    }
    return fill_primary(vm, request, row, out_value, err);
}

static int find_peer(const struct service *service, const char *name, struct relationship_row *row,
                     struct error *err)
{
    const struct host_row *host = service_find_host(service, name);

    if (host == NULL || host->revoked_us != 0) {
        return fail(err, ERR_USAGE, 0,
                    "host '%.128s' is not paired with this one%s: 'resilver host list' shows those "
                    "that are, 'resilver host pair ADDRESS' pairs one",
                    name, host == NULL ? "" : " any more");
    }
    (void)snprintf(row->peer, sizeof row->peer, "%s", host->name);
    return 0;
}

static int fill_request(const struct service *service, const struct relationship_request *request,
                        struct relationship_row *row, enum return_value *out_value,
                        struct error *err)
{
    struct service_vm vm;

    *out_value = RETURN_INVALID_PARAMETER;
    if (service_find_vm(service, request->vm, &vm, err) < 0 ||
        find_peer(service, request->host, row, err) < 0) {
        return -1;
    }
    row->vm = vm.id;
    row->settings = request->settings;
    (void)snprintf(row->vm_name, sizeof row->vm_name, "%s", vm.name);
    if (fill_ends(&vm, request, row, out_value, err) < 0) {
        return -1;
    }
    *out_value = RETURN_INVALID_PARAMETER;
    return check_settings(&row->settings, row->hop, err);
}

void service_create(struct service *service, const struct service_asker *asker,
                    const struct relationship_request *request)
{
    struct relationship_row row = {.generation = 1, .created_us = service_now(service)};
    enum return_value value = RETURN_ACCESS_DENIED;
    struct error err = {0};

    if (authorize(asker->caller, OPERATION_CONFIGURE, &err) < 0 ||
        fill_request(service, request, &row, &value, &err) < 0) {
        relationship_row_done(&row);
        service_reply_error(asker, value, &err);
        return;
    }
    service_pend(service, asker, PENDING_CREATE, &row, 0, row.peer);
}

void service_finish_create(struct service *service, const struct service_asker *asker,
                           struct pending *pending)
{
    struct relationship_row *row = &pending->row;
    struct error err = {0};

    if (service_find_relationship(service, &row->vm, row->hop) != NULL) {
        (void)fail(&err, ERR_WRONG_STATE, 0, "'%s' was replicated by another call meanwhile",
                   row->vm_name);
        service_reply_error(asker, RETURN_INVALID_STATE, &err);
        return;
    }
    struct relationship_verdict verdict =
        relationship_judge(row->role, STATE_DISABLED, EVENT_CREATE);
    assert(verdict.value == RETURN_DONE);
    row->state = (uint16_t)verdict.state;
    if (service_insert_relationship(service, row, &err) < 0) {
        service_reply_error(asker, err.kind == ERR_LIMIT ? RETURN_OUT_OF_MEMORY : RETURN_FAILED,
                            &err);
        return;
    }
    service_note(service,
                 &(struct service_note){.level = LOG_LEVEL_NOTICE,
                                        .what = "relationship created",
                                        .vm = &row->vm,
                                        .hop = row->hop},
                 "'%s' to host '%s', by %s", row->vm_name, row->peer, asker->caller->name);
    service_turn_intervals(service);
    service_reply_done(asker, NULL);
}

/* --- modify, remove -------------------------------------------------------------------------- */

/* authorize, resolve, judge: what all operations on a relationship that exists begin with. */
static int enter(struct service *service, const struct service_asker *asker,
                 enum operation operation, const char *vm, int hop, enum relationship_event event,
                 struct service_relationship **out)
{
    enum return_value value = RETURN_ACCESS_DENIED;
    struct error err = {0};

    if (authorize(asker->caller, operation, &err) < 0 ||
        service_resolve(service, vm, hop, out, &value, &err) < 0) {
        service_reply_error(asker, value, &err);
        return -1;
    }
    value = relationship_judge((*out)->row.role, (*out)->row.state, event).value;
    if (value != RETURN_DONE) {
        (void)relationship_refuse(&(*out)->row, event, &err);
        service_reply_error(asker, value, &err);
        return -1;
    }
    return 0;
}

void service_modify(struct service *service, const struct service_asker *asker, const char *vm,
                    int hop, const struct relationship_settings *settings)
{
    struct service_relationship *at = NULL;
    struct relationship_row row = {0};
    struct error err = {0};

    if (enter(service, asker, OPERATION_CONFIGURE, vm, hop, EVENT_MODIFY, &at) < 0) {
        return;
    }
    if (!role_is_source(at->row.role)) {
        (void)fail(&err, ERR_WRONG_STATE, 0,
                   "the settings of '%s' are those of its source, host '%s': change them there",
                   at->row.vm_name, at->row.peer);
        service_reply_error(asker, RETURN_INVALID_STATE, &err);
    } else if (check_settings(settings, at->row.hop, &err) < 0) {
        service_reply_error(asker, RETURN_INVALID_PARAMETER, &err);
    } else if (service_is_pending(service, &at->row.vm)) {
        /* These were made from the settings as they are, and those may just be changing. */
        (void)fail(&err, ERR_WRONG_STATE, 0,
                   "'%s' is being changed just now, and its other host is asked: try again",
                   at->row.vm_name);
        service_reply_error(asker, RETURN_IN_USE, &err);
    } else if (relationship_row_copy(&row, &at->row, &err) < 0) {
        service_reply_error(asker, RETURN_OUT_OF_MEMORY, &err);
    } else {
        row.settings = *settings;
        service_pend(service, asker, PENDING_MODIFY, &row, 0, at->row.peer);
    }
}

void service_finish_modify(struct service *service, const struct service_asker *asker,
                           struct pending *pending)
{
    struct service_relationship *at =
        service_find_relationship(service, &pending->row.vm, pending->row.hop);
    struct error err = {0};

    if (at == NULL) {
        (void)fail(&err, ERR_WRONG_STATE, 0, "the relationship of '%s' was removed meanwhile",
                   pending->row.vm_name);
        service_reply_error(asker, RETURN_INVALID_STATE, &err);
        return;
    }
    struct relationship_settings before = at->row.settings;
    struct service_job *job = service_open_job(service, &at->row.vm, at->row.hop);
    at->row.settings = pending->row.settings;
    if (service_save_relationship(service, at, &err) < 0) {
        at->row.settings = before;
        service_reply_error(asker, RETURN_FAILED, &err);
        return;
    }
    service_note(service,
                 &(struct service_note){.level = LOG_LEVEL_NOTICE,
                                        .what = "settings changed",
                                        .vm = &at->row.vm,
                                        .hop = at->row.hop},
                 "'%s', by %s", at->row.vm_name, asker->caller->name);
    if (job != NULL && at->row.state == STATE_WAITING_RESYNC && job->phase == PHASE_WAITING &&
        job->row.started_us == 0 && job->row.scheduled_us != 0 &&
        strcmp(job->row.owner, "automatic") == 0) {
        service_cancel_job(service, job, NULL); /* the next step plans by the new window, if any */
    }
    service_reply_done(asker, NULL);
}

void service_remove(struct service *service, const struct service_asker *asker, const char *vm,
                    int hop)
{
    struct service_relationship *at = NULL;
    struct relationship_row row = {0};
    char what[ERROR_MESSAGE_MAX];
    struct error err = {0};

    if (enter(service, asker, OPERATION_CONFIGURE, vm, hop, EVENT_REMOVE, &at) < 0) {
        return;
    }
    if (at->row.role == RELATIONSHIP_REPLICA &&
        service_find_relationship(service, &at->row.vm, 1) != NULL) {
        (void)fail(&err, ERR_WRONG_STATE, 0,
                   "'%s' is extended to another host; end that first: 'resilver relationship "
                   "remove %s --hop 1'",
                   at->row.vm_name, at->row.vm_name);
        service_reply_error(asker, RETURN_INVALID_STATE, &err);
    } else if (service_is_vm_busy(service, &at->row.vm, what, sizeof what)) {
        (void)fail(&err, ERR_WRONG_STATE, 0, "'%s' is in use by %.400s: cancel it first",
                   at->row.vm_name, what);
        service_reply_error(asker, RETURN_IN_USE, &err);
    } else if (relationship_row_copy(&row, &at->row, &err) < 0) {
        service_reply_error(asker, RETURN_OUT_OF_MEMORY, &err);
    } else if (role_is_source(at->row.role) && service_find_host(service, at->row.peer) != NULL &&
               service_find_host(service, at->row.peer)->revoked_us == 0 &&
               service_find_host(service, at->row.peer)->address[0] != '\0') {
        service_pend(service, asker, PENDING_REMOVE, &row, 0, at->row.peer);
    } else {
        struct pending here = {.row = row}; /* nobody is to be told */
        service_finish_remove(service, asker, &here);
        relationship_row_done(&here.row);
    }
}

void service_finish_remove(struct service *service, const struct service_asker *asker,
                           struct pending *pending)
{
    const struct relationship_row *row = &pending->row;
    struct service_relationship *at = service_find_relationship(service, &row->vm, row->hop);
    struct service_job *job = service_open_job(service, &row->vm, row->hop);
    struct error err = {0};

    if (job != NULL && job->phase == PHASE_AT_WORK) {
        (void)fail(&err, ERR_WRONG_STATE, 0, "a job of '%s' began meanwhile: cancel it first",
                   row->vm_name);
        service_reply_error(asker, RETURN_IN_USE, &err);
        return;
    }
    if (at != NULL && service_delete_relationship(service, at, &err) < 0) {
        service_reply_error(asker, RETURN_FAILED, &err);
        return;
    }
    if (job != NULL) { /* a kill before this: the next daemon finds a job of nothing, and ends it */
        service_cancel_job(service, job, NULL);
    }
    service_note(service,
                 &(struct service_note){.level = LOG_LEVEL_NOTICE,
                                        .what = "relationship removed",
                                        .vm = &row->vm,
                                        .hop = row->hop},
                 "'%s' and host '%s', by %s; the disks stay", row->vm_name, row->peer,
                 asker->caller->name);
    service_reply_done(asker, NULL);
}

/* --- state changes --------------------------------------------------------------------------- */

/* What follows changes several rows, and tells sessions: if the store takes nothing now, nothing of
 * it may begin. One that fails later is saved when the store takes it again. */
static int refuse_unsaved(struct service *service, const struct service_asker *asker,
                          struct service_relationship *at)
{
    struct error err = {0};

    if (store_put_relationship(service->config.store, &at->row, &err) < 0) {
        service_reply_error(asker, service_value_of(&err), &err);
        return -1;
    }
    return 0;
}

/* A job that ends when the session of another has stopped; NULL if that job has none. */
static int make_stop_job(struct service *service, const struct service_asker *asker,
                         const struct service_relationship *at, const struct service_job *job,
                         enum job_type type, struct service_job **out, struct error *err)
{
    *out = NULL;
    if (job == NULL || job->phase != PHASE_AT_WORK) {
        return 0;
    }
    if (service_make_job(service, at, type, asker->caller->name, 0, out, err) < 0) {
        return -1;
    }
    (*out)->row.state = JOB_RUNNING;
    (*out)->row.started_us = (*out)->row.submitted_us;
    service_keep_job(service, *out);
    return 0;
}

static void reply_stop(const struct service_asker *asker, const struct uuid *stop_job)
{
    if (uuid_is_nil(stop_job)) {
        service_reply_done(asker, NULL);
    } else {
        service_reply_started(asker, stop_job);
    }
}

static void suspend(struct service *service, const struct service_asker *asker,
                    struct service_relationship *at)
{
    struct service_job *job = service_open_job(service, &at->row.vm, at->row.hop);
    struct service_job *stop_job = NULL;
    struct uuid stop_id = {{0}};
    struct error err = {0};

    if (at->row.state != STATE_RESYNCHRONIZING) {
        (void)service_move(service, at, EVENT_SUSPEND, NULL);
        if (at->row.state == STATE_RESYNC_SUSPENDED && job != NULL &&
            job->phase == PHASE_WAITING) { /* it was resumed, and has not had its turn yet */
            service_suspend_job(service, job, NULL);
        }
        service_reply_done(asker, NULL);
        return;
    }
    if (make_stop_job(service, asker, at, job, JOB_STATE_CHANGE, &stop_job, &err) < 0) {
        service_reply_error(asker, service_value_of(&err), &err);
        return;
    }
    stop_id = stop_job == NULL ? stop_id : stop_job->row.id;
    (void)service_move(service, at, EVENT_SUSPEND, NULL);
    if (job != NULL) {
        service_suspend_job(service, job, stop_job);
    }
    reply_stop(asker, &stop_id);
}

/* An extended replica that was suspended while its source had new points. */
static void catch_up(struct service *service, const struct service_relationship *at)
{
    const struct service_relationship *first =
        at->row.role == RELATIONSHIP_EXTENDING ? service_find_relationship(service, &at->row.vm, 0)
                                               : NULL;

    if (first != NULL && first->row.last_apply_us > at->row.last_apply_us) {
        service_follow(service, &at->row.vm);
    }
}

static void resume(struct service *service, const struct service_asker *asker,
                   struct service_relationship *at)
{
    struct service_job *job = service_open_job(service, &at->row.vm, at->row.hop);
    enum job_type type = at->row.hop == 0 ? JOB_RESYNC : JOB_RESYNC_EXTENDED;
    char what[ERROR_MESSAGE_MAX];
    struct error err = {0};

    if (at->row.state != STATE_RESYNC_SUSPENDED) {
        (void)service_move(service, at, EVENT_RESUME, NULL);
        catch_up(service, at);
        service_reply_done(asker, NULL);
        return;
    }
    if (job != NULL && job->phase == PHASE_AT_WORK) {
        service_resume_stopping(service, at, job);
        service_reply_started(asker, &job->row.id);
        return;
    }
    if (job == NULL) { /* its job ended before it heard of the suspension */
        if (service_is_vm_busy(service, &at->row.vm, what, sizeof what)) {
            (void)fail(&err, ERR_WRONG_STATE, 0, "'%s' is in use by %.400s", at->row.vm_name, what);
            service_reply_error(asker, RETURN_IN_USE, &err);
            return;
        }
        if (service_make_job(service, at, type, asker->caller->name, 0, &job, &err) < 0) {
            service_reply_error(asker, service_value_of(&err), &err);
            return;
        }
    } else {
        service_resume_job(service, job);
    }
    service_start_due(service);
    service_reply_started(asker, &job->row.id);
}

/* A resynchronization that never began has changed nothing: the relationship is what it was. */
static void restore_state(struct service *service, struct service_relationship *at,
                          uint16_t state_before)
{
    if (at->row.state == STATE_WAITING_RESYNC &&
        (state_before == STATE_REPLICATING || state_before == STATE_SUSPENDED ||
         state_before == STATE_CRITICAL)) {
        at->row.state = state_before;
        service_keep_relationship(service, at);
        service_refresh_health(service, at);
    }
}

static void cancel(struct service *service, const struct service_asker *asker,
                   struct service_relationship *at, enum relationship_event event)
{
    struct service_job *job = service_open_job(service, &at->row.vm, at->row.hop);
    struct service_job *stop_job = NULL;
    struct uuid stop_id = {{0}};
    struct error err = {0};
    bool is_initial = event == EVENT_CANCEL_INITIAL;

    if (make_stop_job(service, asker, at, job, is_initial ? JOB_STOP_INITIAL : JOB_STOP_RESYNC,
                      &stop_job, &err) < 0) {
        service_reply_error(asker, service_value_of(&err), &err);
        return;
    }
    stop_id = stop_job == NULL ? stop_id : stop_job->row.id;
    (void)service_move(service, at, event, NULL);
    if (job != NULL) {
        bool has_begun = job->row.started_us != 0;
        uint16_t state_before = job->row.state_before;
        service_cancel_job(service, job, stop_job);
        if (!has_begun && !is_initial) {
            restore_state(service, at, state_before);
        }
        service_plan_next_window(service, at); /* one whose session runs: when that has ended */
    }
    reply_stop(asker, &stop_id);
}

void service_request_state(struct service *service, const struct service_asker *asker,
                           const char *vm, int hop, uint16_t requested_state)
{
    static const struct {
        uint16_t requested;
        enum relationship_event event;
    } rows[] = {
        {STATE_READY, EVENT_CANCEL_INITIAL},
        {STATE_REPLICATING, EVENT_RESUME},
        {STATE_SUSPENDED, EVENT_SUSPEND},
        {STATE_WAITING_RESYNC, EVENT_CANCEL_RESYNC},
    };
    enum relationship_event event = EVENT_INVALID;
    struct service_relationship *at = NULL;
    struct error err = {0};

    if (authorize(asker->caller, OPERATION_RESYNC, &err) < 0) {
        service_reply_error(asker, RETURN_ACCESS_DENIED, &err);
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        event = rows[i].requested == requested_state ? rows[i].event : event;
    }
    if (event == EVENT_INVALID) {
        bool is_known =
            requested_state == STATE_WAITING_INITIAL || requested_state == STATE_SYNCED_COMPLETE;
        (void)fail(&err, ERR_USAGE, 0, "state %u cannot be asked for; 1, 3, 7 and 9 can",
                   requested_state);
        service_reply_error(asker, is_known ? RETURN_NOT_SUPPORTED : RETURN_INVALID_PARAMETER,
                            &err);
        return;
    }
    if (enter(service, asker, OPERATION_RESYNC, vm, hop, event, &at) < 0 ||
        refuse_unsaved(service, asker, at) < 0) {
        return;
    }
    if (event == EVENT_SUSPEND) {
        suspend(service, asker, at);
    } else if (event == EVENT_RESUME) {
        resume(service, asker, at);
    } else {
        cancel(service, asker, at, event);
    }
}

/* --- jobs ------------------------------------------------------------------------------------ */

static int fail_job_state(const struct service_job *job, const char *wish, struct error *err)
{
    char id[UUID_TEXT_MAX];

    uuid_format(&job->row.id, id);
    return fail(err, ERR_WRONG_STATE, 0, "job %s is %s and cannot be %s", id,
                job_state_name(job->row.state), wish);
}

static void suspend_job(struct service *service, const struct service_asker *asker,
                        struct service_relationship *at, struct service_job *job)
{
    struct service_job *stop_job = NULL;
    struct uuid stop_id = {{0}};
    struct error err = {0};

    if (at->row.state == STATE_RESYNCHRONIZING) {
        suspend(service, asker, at);
        return;
    }
    if (job->phase == PHASE_HELD) {
        service_reply_done(asker, NULL);
        return;
    }
    if (job->stop == STOP_CANCEL) {
        (void)fail_job_state(job, "suspended", &err);
        service_reply_error(asker, RETURN_INVALID_STATE, &err);
        return;
    }
    if (make_stop_job(service, asker, at, job, JOB_STATE_CHANGE, &stop_job, &err) < 0) {
        service_reply_error(asker, service_value_of(&err), &err);
        return;
    }
    stop_id = stop_job == NULL ? stop_id : stop_job->row.id;
    service_suspend_job(service, job, stop_job);
    reply_stop(asker, &stop_id);
}

static void resume_job(struct service *service, const struct service_asker *asker,
                       struct service_relationship *at, struct service_job *job)
{
    struct error err = {0};

    if (job->phase == PHASE_AT_WORK && job->stop == STOP_SUSPEND) {
        service_resume_stopping(service, at, job);
        service_reply_started(asker, &job->row.id);
        return;
    }
    if (job->phase == PHASE_HELD || (job->phase == PHASE_WAITING &&
                                     (job->row.next_try_us != 0 || job->row.scheduled_us != 0))) {
        service_resume_job(service, job);
        service_start_due(service);
        service_reply_started(asker, &job->row.id);
        return;
    }
    (void)fail_job_state(job, "resumed", &err);
    service_reply_error(asker, RETURN_INVALID_STATE, &err);
}

static int fail_no_job(struct service *service, const struct uuid *id, enum return_value *out_value,
                       struct error *err)
{
    struct job_row row = {0};
    char text[UUID_TEXT_MAX];
    int found = store_find_job(service->config.store, id, &row, err);

    uuid_format(id, text);
    if (found < 0) {
        *out_value = RETURN_FAILED;
        return -1;
    }
    if (found == 0) {
        *out_value = RETURN_INVALID_PARAMETER;
        return fail(err, ERR_USAGE, 0, "there is no job %s", text);
    }
    *out_value = RETURN_INVALID_STATE;
    (void)fail(err, ERR_WRONG_STATE, 0, "job %s has ended: it is %s", text,
               job_state_name(row.state));
    job_row_done(&row);
    return -1;
}

void service_request_job_state(struct service *service, const struct service_asker *asker,
                               const struct uuid *id, uint16_t requested_state)
{
    struct service_job *job = service_find_job_of(service, id);
    struct service_relationship *at =
        job == NULL ? NULL : service_find_relationship(service, &job->row.vm, job->row.hop);
    enum return_value value = RETURN_ACCESS_DENIED;
    struct error err = {0};

    if (authorize(asker->caller, OPERATION_RESYNC, &err) == 0) {
        value = RETURN_DONE;
        if (job == NULL || job->phase == PHASE_ENDED) {
            (void)fail_no_job(service, id, &value, &err);
        } else if (at == NULL || service_open_job(service, &job->row.vm, job->row.hop) != job) {
            value = RETURN_NOT_SUPPORTED; /* one that stops another */
            (void)fail_job_state(job, "changed", &err);
        }
    }
    if (value != RETURN_DONE) {
        service_reply_error(asker, value, &err);
        return;
    }
    if (refuse_unsaved(service, asker, at) < 0) {
        return;
    }
    switch (requested_state) {
    case 2:
        resume_job(service, asker, at, job);
        return;
    case 3:
        suspend_job(service, asker, at, job);
        return;
    case 4:
    case 5:
        cancel(service, asker, at,
               job->row.type == JOB_INITIAL || job->row.type == JOB_RESYNC_INITIAL
                   ? EVENT_CANCEL_INITIAL
                   : EVENT_CANCEL_RESYNC);
        return;
    default:
        (void)fail(&err, ERR_USAGE, 0,
                   "a job's state %u cannot be asked for; 2 (go on), 3 (suspend) and 4 (terminate) "
                   "can",
                   requested_state);
        service_reply_error(asker, RETURN_INVALID_PARAMETER, &err);
    }
}
