/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_resync.c - Resynchronize and StartReplication: when they may be, and what they return.
 * Source: DESIGN 7; Msvm_ReplicationService.Resynchronize, .StartReplication
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/instant.h"
#include "replica/service_internal.h"

/* A start: 0 for now (or any time that has passed). */
static int read_start(const struct service *service, const char *text, int64_t *out_us,
                      enum return_value *out_value, struct error *err)
{
    int64_t now_us = service_now(service);
    int64_t start_us = 0;

    *out_us = 0;
    if (text == NULL) {
        return 0;
    }
    switch (instant_read(text, &start_us)) {
    case INSTANT_MOMENT:
        break;
    case INSTANT_INTERVAL:
        *out_value = RETURN_WRONG_TYPE;
        return fail(err, ERR_USAGE, 0,
                    "the start '%.64s' is an interval; give a moment, as 20260301220000.000000+060",
                    text);
    case INSTANT_NONE:
        *out_value = RETURN_WRONG_TYPE;
        return fail(err, ERR_USAGE, 0,
                    "the start '%.64s' is no time; give one as 2026-03-01T22:00:00+01:00 or "
                    "20260301220000.000000+060",
                    text);
    }
    if (start_us > now_us + (int64_t)START_AHEAD_MAX_S * US_PER_S) {
        *out_value = RETURN_INVALID_PARAMETER;
        return fail(err, ERR_USAGE, 0, "the start '%.64s' is more than 7 days ahead", text);
    }
    *out_us = start_us > now_us ? start_us : 0;
    return 0;
}

/* Of a primary: hop 0; of a replica: hop 1. */
static int find_source(const struct service *service, const struct service_vm *vm,
                       struct service_relationship **out, struct error *err)
{
    for (uint8_t hop = 0; hop < 2; hop++) {
        const struct relationship_row *row = vm->relationships[hop];
        if (row != NULL && role_is_source(row->role)) {
            *out = service_find_relationship(service, &vm->id, hop);
            return 0;
        }
    }
    const struct relationship_row *row =
        vm->relationships[0] != NULL ? vm->relationships[0] : vm->relationships[1];
    if (row != NULL) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "'%s' is a replica that is not extended any further: it is resynchronized from "
                    "its source, host '%s'",
                    vm->name, row->peer);
    }
    return fail(err, ERR_WRONG_STATE, 0,
                "'%s' is not replicated: 'resilver relationship create %s --host HOST' begins it",
                vm->name, vm->name);
}

/* Everything that is looked at before disks and peers are. */
static int check_source(const struct service *service, const struct service_vm *vm,
                        const struct relationship_row *row, enum return_value *out_value,
                        struct error *err)
{
    if (row->role != RELATIONSHIP_PRIMARY) {
        return 0;
    }
    if (vm->vm == NULL) {
        *out_value = RETURN_NOT_AVAILABLE;
        return fail(err, ERR_WRONG_STATE, 0,
                    "'%s' has gone from this host's VMs: put its [vm] section back into the "
                    "configuration, or remove the relationship",
                    row->vm_name);
    }
    for (uint32_t i = 0; i < row->disk_count; i++) {
        if (row->disks[i].is_included && vm_find_disk(vm->vm, row->disks[i].name) < 0) {
            *out_value = RETURN_FILE_NOT_FOUND;
            return fail(err, ERR_WRONG_STATE, 0, "'%s' has no disk '%s' any more", row->vm_name,
                        row->disks[i].name);
        }
    }
    (void)service;
    return 0;
}

/* The sizes that were seen are known from now on. */
static void keep_sizes(struct service_relationship *at, const struct relationship_row *seen)
{
    for (uint32_t i = 0; i < at->row.disk_count && at->row.disk_count == seen->disk_count; i++) {
        at->row.disks[i].size_bytes = seen->disks[i].size_bytes;
    }
}

/* A new job, and the relationship waits for it: both, or neither. */
static int make_job(struct service *service, struct service_relationship *at,
                    enum relationship_event event, enum job_type type, const char *owner,
                    int64_t start_us, const struct relationship_row *seen, struct service_job **out,
                    struct error *err)
{
    struct relationship_verdict verdict = relationship_judge(at->row.role, at->row.state, event);

    assert(verdict.value == RETURN_DONE);
    if (service_make_job(service, at, type, owner, start_us, out, err) < 0) {
        return -1;
    }
    if (seen != NULL) {
        keep_sizes(at, seen);
    }
    /* If this is not saved the relationship is behind its job, which moves it when it starts. */
    (void)service_move(service, at, event, NULL);
    return 0;
}

static void reply_made(struct service *service, const struct service_asker *asker,
                       struct service_relationship *at, enum relationship_event event,
                       enum job_type type, int64_t start_us, const struct relationship_row *seen)
{
    struct service_job *job = NULL;
    struct error err = {0};

    if (make_job(service, at, event, type, asker->caller->name, start_us, seen, &job, &err) < 0) {
        service_reply_error(asker, service_value_of(&err), &err);
        return;
    }
    service_start_due(service);
    service_reply_started(asker, &job->row.id);
}

/* The relationship's row, to be shown to the peer and checked again when it has answered. */
static void pend(struct service *service, const struct service_asker *asker, enum pending_kind kind,
                 const struct service_relationship *at, enum job_type type)
{
    struct relationship_row row = {0};
    struct error err = {0};

    if (relationship_row_copy(&row, &at->row, &err) < 0) {
        service_reply_error(asker, RETURN_OUT_OF_MEMORY, &err);
        return;
    }
    service_pend(service, asker, kind, &row, (uint16_t)type, at->row.peer);
}

/* There is a job already: one that waits for its time gets another, one that is held goes on. */
static void resync_open(struct service *service, const struct service_asker *asker,
                        struct service_relationship *at, struct service_job *job, int64_t start_us)
{
    char id[UUID_TEXT_MAX];
    struct error err = {0};

    if (job->phase == PHASE_HELD) {
        if (store_put_job(service->config.store, &job->row, &err) < 0) {
            service_reply_error(asker, service_value_of(&err), &err);
            return; /* what cannot be saved does not happen */
        }
        service_resume_job(service, job);
        service_plan_job(service, job, start_us);
        service_start_due(service);
        service_reply_started(asker, &job->row.id);
        return;
    }
    if (job->phase == PHASE_AT_WORK && job->stop == STOP_SUSPEND && start_us == 0) {
        service_resume_stopping(service, at, job);
        service_reply_started(asker, &job->row.id);
        return;
    }
    bool is_planned = job->row.scheduled_us > service_now(service);
    if (job->phase != PHASE_WAITING || (job->row.started_us != 0 && !is_planned)) {
        uuid_format(&job->row.id, id);
        (void)fail(&err, ERR_WRONG_STATE, 0,
                   "job %s (%s) holds '%s': wait for it ('resilver job watch %.8s'), or cancel it",
                   id, job_type_name(job->row.type), job->row.vm_name, id);
        service_reply_error(asker, RETURN_IN_USE, &err);
        return;
    }
    int64_t before_us = job->row.scheduled_us;
    job->row.scheduled_us = start_us;
    if (service_save_job(service, job, &err) < 0) {
        job->row.scheduled_us = before_us;
        service_reply_error(asker, RETURN_FAILED, &err);
        return;
    }
    service_start_due(service);
    service_reply_done(asker, &job->row.id);
}

/* The peer agreed; but time has passed. */
static void finish(struct service *service, const struct service_asker *asker,
                   struct pending *pending, enum relationship_event event)
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
    struct relationship_verdict verdict = relationship_judge(at->row.role, at->row.state, event);
    if (verdict.value != RETURN_DONE) {
        (void)relationship_refuse(&at->row, event, &err);
        service_reply_error(asker, verdict.value, &err);
        return;
    }
    struct service_job *job = service_open_job(service, &at->row.vm, at->row.hop);
    if (job != NULL) { /* one was made meanwhile: a relationship has one at most */
        resync_open(service, asker, at, job, 0);
        return;
    }
    reply_made(service, asker, at, event, (enum job_type)pending->job_type, 0, &pending->row);
}

void service_finish_resync(struct service *service, const struct service_asker *asker,
                           struct pending *pending)
{
    finish(service, asker, pending, EVENT_RESYNC);
}

void service_finish_start(struct service *service, const struct service_asker *asker,
                          struct pending *pending)
{
    finish(service, asker, pending, EVENT_START);
}

/* --- Resynchronize ------------------------------------------------------------------------------
 */

static bool names_this_host(const struct service *service, const char *text)
{
    return strcasecmp(text, service->config.host_name) == 0;
}

static void resync_anew(struct service *service, const struct service_asker *asker,
                        const struct service_vm *vm, struct service_relationship *at,
                        int64_t start_us)
{
    enum job_type type = at->row.hop == 0 ? JOB_RESYNC : JOB_RESYNC_EXTENDED;
    enum return_value value = RETURN_FAILED;
    char what[ERROR_MESSAGE_MAX];
    struct error err = {0};

    if (service_is_vm_busy(service, &at->row.vm, what, sizeof what)) {
        (void)fail(&err, ERR_WRONG_STATE, 0,
                   "'%s' is in use by %.400s: try again when it has ended", at->row.vm_name, what);
        service_reply_error(asker, RETURN_IN_USE, &err);
    } else if (check_source(service, vm, &at->row, &value, &err) < 0) {
        service_reply_error(asker, value, &err);
    } else if (start_us != 0) {
        reply_made(service, asker, at, EVENT_RESYNC, type, start_us, NULL);
    } else {
        pend(service, asker, PENDING_RESYNC, at, type);
    }
}

void service_resynchronize(struct service *service, const struct service_asker *asker,
                           const char *vm_text, const char *start_time)
{
    struct service_vm vm;
    struct service_relationship *at = NULL;
    enum return_value value = RETURN_FAILED;
    int64_t start_us = 0;
    struct error err = {0};

    if (authorize(asker->caller, OPERATION_RESYNC, &err) < 0) {
        value = RETURN_ACCESS_DENIED;
    } else if (service_find_vm(service, vm_text, &vm, &err) < 0) {
        value = RETURN_INVALID_PARAMETER;
        if (names_this_host(service, vm_text)) {
            value = RETURN_NOT_SUPPORTED;
            (void)fail(&err, ERR_USAGE, 0, "'%s' is this host; name one of its VMs", vm_text);
        }
    } else if (read_start(service, start_time, &start_us, &value, &err) == 0) {
        value = RETURN_DONE;
    }
    if (value == RETURN_DONE && find_source(service, &vm, &at, &err) < 0) {
        value = RETURN_INVALID_STATE;
    }
    if (value == RETURN_DONE) {
        value = relationship_judge(at->row.role, at->row.state, EVENT_RESYNC).value;
        if (value != RETURN_DONE) {
            (void)relationship_refuse(&at->row, EVENT_RESYNC, &err);
        }
    }
    if (value != RETURN_DONE) {
        service_reply_error(asker, value, &err);
        return;
    }
    struct service_job *job = service_open_job(service, &at->row.vm, at->row.hop);
    if (job != NULL) {
        resync_open(service, asker, at, job, start_us);
    } else {
        resync_anew(service, asker, &vm, at, start_us);
    }
}

/* --- StartReplication ---------------------------------------------------------------------------
 */

void service_start(struct service *service, const struct service_asker *asker, const char *vm_text,
                   int hop, const char *start_time, bool is_seeded)
{
    struct service_relationship *at = NULL;
    struct service_vm vm;
    enum return_value value = RETURN_ACCESS_DENIED;
    enum job_type type = is_seeded ? JOB_RESYNC_INITIAL : JOB_INITIAL;
    int64_t start_us = 0;
    char what[ERROR_MESSAGE_MAX];
    struct error err = {0};

    if (authorize(asker->caller, OPERATION_RESYNC, &err) < 0 ||
        service_resolve(service, vm_text, hop, &at, &value, &err) < 0 ||
        read_start(service, start_time, &start_us, &value, &err) < 0) {
        service_reply_error(asker, value, &err);
        return;
    }
    value = relationship_judge(at->row.role, at->row.state, EVENT_START).value;
    if (value != RETURN_DONE) {
        (void)relationship_refuse(&at->row, EVENT_START, &err);
    } else if (service_is_vm_busy(service, &at->row.vm, what, sizeof what)) {
        value = RETURN_IN_USE;
        (void)fail(&err, ERR_WRONG_STATE, 0,
                   "'%s' is in use by %.400s: try again when it has ended", at->row.vm_name, what);
    } else if (service_find_vm(service, vm_text, &vm, &err) < 0) {
        value = RETURN_INVALID_PARAMETER;
    } else {
        value = RETURN_DONE;
        (void)check_source(service, &vm, &at->row, &value, &err);
    }
    if (value != RETURN_DONE) {
        service_reply_error(asker, value, &err);
    } else if (start_us != 0) {
        reply_made(service, asker, at, EVENT_START, type, start_us, NULL);
    } else {
        pend(service, asker, PENDING_START, at, type);
    }
}
