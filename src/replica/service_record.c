/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_record.c - keeping: rows go to the store, changes to those who watch.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "replica/service_internal.h"

static void tell(const struct service *service, const struct service_change *change)
{
    if (service->config.changed != NULL) {
        service->config.changed(service->config.context, change);
    }
}

static void tell_relationship(const struct service *service, const struct relationship_row *row)
{
    tell(service, &(struct service_change){.subject = SUBJECT_RELATIONSHIP,
                                           .id = row->vm,
                                           .hop = row->hop,
                                           .vm_name = row->vm_name});
}

static void tell_job(const struct service *service, const struct job_row *row)
{
    tell(service, &(struct service_change){.subject = SUBJECT_JOB, .id = row->id, .hop = row->hop});
}

void service_tell_job(const struct service *service, const struct service_job *job)
{
    tell_job(service, &job->row);
}

int service_save_relationship(struct service *service, struct service_relationship *at,
                              struct error *err)
{
    if (store_put_relationship(service->config.store, &at->row, err) < 0) {
        return -1;
    }
    at->is_unsaved = false;
    tell_relationship(service, &at->row);
    return 0;
}

int service_save_job(struct service *service, struct service_job *job, struct error *err)
{
    if (store_put_job(service->config.store, &job->row, err) < 0) {
        return -1;
    }
    job->is_unsaved = false;
    tell_job(service, &job->row);
    return 0;
}

int service_replace_relationship(struct service *service, struct service_relationship *at,
                                 struct relationship_row *row, struct error *err)
{
    assert(uuid_equal(&row->vm, &at->row.vm) && row->hop == at->row.hop);
    if (store_put_relationship(service->config.store, row, err) < 0) {
        return -1;
    }
    relationship_row_done(&at->row);
    at->row = *row;
    *row = (struct relationship_row){0};
    at->is_unsaved = false;
    tell_relationship(service, &at->row);
    return 0;
}

static void log_unsaved(const char *what, const struct error *err)
{
    log_event(LOG_LEVEL_ERROR, {"event", "state not saved, will be tried again"}, {"what", what},
              {"error", err->message});
}

void service_keep_relationship(struct service *service, struct service_relationship *at)
{
    struct error err = {0};

    if (service_save_relationship(service, at, &err) < 0) {
        at->is_unsaved = true;
        log_unsaved("relationship", &err);
        tell_relationship(service, &at->row);
    }
}

void service_keep_job(struct service *service, struct service_job *job)
{
    struct error err = {0};

    if (service_save_job(service, job, &err) < 0) {
        job->is_unsaved = true;
        log_unsaved("job", &err);
        tell_job(service, &job->row);
    }
}

void service_save_rest(struct service *service)
{
    for (uint32_t i = 0; i < service->relationship_count; i++) {
        if (service->relationships[i]->is_unsaved) {
            service_keep_relationship(service, service->relationships[i]);
        }
    }
    for (uint32_t i = 0; i < service->job_count; i++) {
        if (service->jobs[i]->is_unsaved) {
            service_keep_job(service, service->jobs[i]);
        }
    }
}

/* --- relationships --------------------------------------------------------------------------- */

static int compare_keys(const struct relationship_row *a, const struct relationship_row *b)
{
    int order = uuid_compare(&a->vm, &b->vm);

    return order != 0 ? order : (int)a->hop - (int)b->hop;
}

/* Into its place in the order. There is room. */
static void place_relationship(struct service *service, struct service_relationship *at)
{
    uint32_t index = service->relationship_count;

    assert(index < RELATIONSHIPS_MAX);
    while (index > 0 && compare_keys(&at->row, &service->relationships[index - 1]->row) < 0) {
        service->relationships[index] = service->relationships[index - 1];
        index--;
    }
    service->relationships[index] = at;
    service->relationship_count++;
}

static void free_relationship(struct service_relationship *at)
{
    if (at != NULL) {
        relationship_row_done(&at->row);
        free(at);
    }
}

int service_insert_relationship(struct service *service, const struct relationship_row *row,
                                struct error *err)
{
    if (service->relationship_count == RELATIONSHIPS_MAX) {
        return fail(err, ERR_LIMIT, 0, "this host has as many relationships as it can: %u",
                    RELATIONSHIPS_MAX);
    }
    struct service_relationship *at = calloc(1, sizeof *at);
    if (at == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a relationship");
    }
    if (relationship_row_copy(&at->row, row, err) < 0 ||
        service_save_relationship(service, at, err) < 0) {
        free_relationship(at);
        return -1;
    }
    place_relationship(service, at);
    service_list_vms(service);
    return 0;
}

int service_delete_relationship(struct service *service, struct service_relationship *at,
                                struct error *err)
{
    struct relationship_row key = {.vm = at->row.vm, .hop = at->row.hop};
    uint32_t index = 0;

    (void)snprintf(key.vm_name, sizeof key.vm_name, "%s", at->row.vm_name);
    if (store_remove_relationship(service->config.store, &key.vm, key.hop, err) < 0) {
        return -1;
    }
    while (service->relationships[index] != at) {
        index++;
        assert(index < service->relationship_count);
    }
    memmove(&service->relationships[index], &service->relationships[index + 1],
            (service->relationship_count - index - 1) * sizeof(struct service_relationship *));
    service->relationship_count--;
    free_relationship(at);
    service_list_vms(service);
    tell_relationship(service, &key);
    return 0;
}

void service_refresh_health(struct service *service, struct service_relationship *at)
{
    char reason[ERROR_MESSAGE_MAX] = "";
    enum replication_health health =
        relationship_health(&at->row, &at->statistics, service_now(service), reason, sizeof reason);

    if (health == at->row.health) {
        return;
    }
    bool is_worse = health > at->row.health && health > HEALTH_OK;
    at->row.health = (uint16_t)health;
    service_keep_relationship(service, at);
    service_note(service,
                 &(struct service_note){.level = is_worse ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE,
                                        .what = "health changed",
                                        .vm = &at->row.vm,
                                        .hop = at->row.hop},
                 "health is %s%s%s", replication_health_name(health), reason[0] == '\0' ? "" : ": ",
                 reason);
}

bool service_move(struct service *service, struct service_relationship *at,
                  enum relationship_event event, const char *reason)
{
    enum replication_state before = at->row.state;
    struct relationship_verdict verdict = relationship_judge(at->row.role, before, event);

    if (verdict.value != RETURN_DONE) {
        return false;
    }
    at->row.state = (uint16_t)verdict.state;
    (void)snprintf(at->row.reason, sizeof at->row.reason, "%s", reason == NULL ? "" : reason);
    service_keep_relationship(service, at);
    if (verdict.state != before) {
        service_note(service,
                     &(struct service_note){.level = LOG_LEVEL_NOTICE,
                                            .what = "state changed",
                                            .vm = &at->row.vm,
                                            .hop = at->row.hop},
                     "%s, was %s%s%s", replication_state_name(verdict.state),
                     replication_state_name(before), at->row.reason[0] == '\0' ? "" : ": ",
                     at->row.reason);
    }
    service_refresh_health(service, at);
    return true;
}

/* --- events ---------------------------------------------------------------------------------- */

void service_note(struct service *service, const struct service_note *note, const char *format, ...)
{
    struct event_row row = {.time_us = service_now(service),
                            .code = note->code,
                            .level = note->level,
                            .hop = note->hop};
    struct error err = {0};
    char vm[UUID_TEXT_MAX] = "";
    char job[UUID_TEXT_MAX] = "";
    va_list arguments;

    if (note->vm != NULL) {
        row.vm = *note->vm;
        uuid_format(note->vm, vm);
    }
    if (note->job != NULL) {
        row.job = *note->job;
        uuid_format(note->job, job);
    }
    (void)snprintf(row.what, sizeof row.what, "%s", note->what);
    va_start(arguments, format);
    (void)vsnprintf(row.text, sizeof row.text, format, arguments);
    va_end(arguments);
    log_event((enum log_level)note->level, {"rel", vm[0] == '\0' ? NULL : vm},
              {"job", job[0] == '\0' ? NULL : job}, {"event", note->what}, {"text", row.text});
    if (store_add_event(service->config.store, &row, &err) < 0) {
        log_unsaved("event", &err);
    }
    tell(service, &(struct service_change){.subject = SUBJECT_EVENT, .event = &row});
}
