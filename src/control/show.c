/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/instant.h"
#include "base/log.h"
#include "replica/report.h"

/* --- pieces ---------------------------------------------------------------------------------- */

bool show_put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0;
}

bool show_append(json_t *list, json_t *value)
{
    return json_array_append_new(list, value) == 0;
}

/* Paths and names of files may be any bytes, and messages are cut somewhere: an answer has to come
 * all the same. */
static json_t *plain_text(const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL) {
        return NULL;
    }
    for (char *at = copy; *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80) {
            *at = '?';
        }
    }
    json_t *value = json_string(copy);
    free(copy);
    return value;
}

json_t *show_text(const char *text)
{
    json_t *value = json_string(text);

    return value != NULL ? value : plain_text(text);
}

json_t *show_text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : show_text(text);
}

/* JSON's numbers end at 2^63 here; what is more is no count of anything real. */
json_t *show_number(uint64_t number)
{
    return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

json_t *show_time(int64_t at_us)
{
    char text[INSTANT_TEXT_MAX];

    instant_format(at_us, text);
    return show_text_or_null(text);
}

json_t *show_id(const struct uuid *id)
{
    char text[UUID_TEXT_MAX];

    if (uuid_is_nil(id)) {
        return json_null();
    }
    uuid_format(id, text);
    return json_string(text);
}

static json_t *show_fingerprint(const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    char text[FINGERPRINT_TEXT_MAX];

    fingerprint_format(fingerprint, text);
    return json_string(text);
}

/* The object, or nothing of it. */
static json_t *complete(json_t *object, bool is_complete)
{
    if (!is_complete) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *show_vm_name(const struct uuid *id, const char *name)
{
    json_t *object = json_object();

    return complete(object, show_put(object, "id", show_id(id)) &&
                                show_put(object, "name", show_text(name)));
}

/* By the name that the VM has now: whoever judges by names must not meet an old one. last_name:
 * what it was called when it was last seen; NULL: nobody has kept it. */
static json_t *find_vm_name(const struct show *show, const struct uuid *id, const char *last_name)
{
    struct service_vm vm;
    struct error err = {0};
    char text[UUID_TEXT_MAX];

    if (uuid_is_nil(id)) {
        return json_null();
    }
    uuid_format(id, text);
    if (service_find_vm(show->service, text, &vm, &err) == 0) {
        return show_vm_name(id, vm.name);
    }
    return show_vm_name(id, last_name != NULL ? last_name : text);
}

/* --- replies --------------------------------------------------------------------------------- */

json_t *show_reply(const struct service_reply *reply)
{
    json_t *object = json_object();

    return complete(
        object, show_put(object, "return_value", show_number(reply->value)) &&
                    show_put(object, "return_name", show_text(return_value_name(reply->value))) &&
                    show_put(object, "job", show_id(&reply->job)) &&
                    show_put(object, "message", show_text(reply->error.message)));
}

json_t *show_error(enum return_value value, const struct error *err)
{
    const char *message = err->message[0] != '\0' ? err->message : return_value_name(value);
    json_t *object = json_object();
    json_t *error = json_object();

    /* First handed over, then filled: from then on the object frees it. */
    return complete(object,
                    show_put(object, "error", error) &&
                        show_put(error, "kind", show_text(error_kind_name(err->kind))) &&
                        show_put(error, "message", show_text(message)) &&
                        show_put(error, "return_value", show_number(value)) &&
                        show_put(error, "return_name", show_text(return_value_name(value))));
}

/* --- relationships --------------------------------------------------------------------------- */

static json_t *show_minute(uint32_t minute)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%02u:%02u", minute / 60, minute % 60);
    return json_string(text);
}

static json_t *show_settings(const struct relationship_settings *settings)
{
    json_t *object = json_object();
    json_t *window = json_object();

    return complete(
        object,
        show_put(object, "auto_resync", window) &&
            show_put(object, "recovery_history", show_number(settings->recovery_history)) &&
            show_put(object, "interval_s", show_number(settings->interval_s)) &&
            show_put(object, "rate_bytes_per_s", show_number(settings->rate_bytes_per_s)) &&
            show_put(object, "compression", json_boolean(settings->is_compression_enabled)) &&
            show_put(window, "enabled", json_boolean(settings->is_auto_resync_enabled)) &&
            show_put(window, "start", show_minute(settings->auto_start_minute)) &&
            show_put(window, "end", show_minute(settings->auto_end_minute)));
}

static json_t *show_relationship_disk(const struct relationship_disk *disk)
{
    json_t *object = json_object();

    return complete(object, show_put(object, "name", show_text(disk->name)) &&
                                show_put(object, "size_bytes", show_number(disk->size_bytes)) &&
                                show_put(object, "included", json_boolean(disk->is_included)));
}

static json_t *show_relationship_disks(const struct relationship_row *row)
{
    json_t *list = json_array();
    bool is_complete = list != NULL;

    for (uint32_t i = 0; i < row->disk_count && is_complete; i++) {
        is_complete = show_append(list, show_relationship_disk(&row->disks[i]));
    }
    return complete(list, is_complete);
}

/* The newest that has not ended; jobs are in the order in which they were made. */
static json_t *show_open_job(const struct show *show, const struct relationship_row *row)
{
    for (uint32_t i = service_job_count(show->service); i > 0; i--) {
        const struct job_row *job = service_job_at(show->service, i - 1);
        if (job->hop == row->hop && !job_state_is_end(job->state) &&
            uuid_equal(&job->vm, &row->vm)) {
            return show_id(&job->id);
        }
    }
    return json_null();
}

static bool put_relationship_state(json_t *object, const struct show *show,
                                   const struct relationship_row *row)
{
    char health_reason[ERROR_MESSAGE_MAX];

    service_health_reason(show->service, row, health_reason, sizeof health_reason);
    return show_put(object, "hop", show_number(row->hop)) &&
           show_put(object, "role", show_number(row->role)) &&
           show_put(object, "role_name", show_text(relationship_role_name(row->role))) &&
           show_put(object, "state", show_number(row->state)) &&
           show_put(object, "state_name", show_text(replication_state_name(row->state))) &&
           show_put(object, "health", show_number(row->health)) &&
           show_put(object, "health_name", show_text(replication_health_name(row->health))) &&
           show_put(object, "health_reason", show_text(health_reason)) &&
           show_put(object, "reason", show_text(row->reason));
}

static bool put_relationship_times(json_t *object, const struct relationship_row *row)
{
    return show_put(object, "created", show_time(row->created_us)) &&
           show_put(object, "last_replication", show_time(row->last_replication_us)) &&
           show_put(object, "last_apply", show_time(row->last_apply_us)) &&
           show_put(object, "last_try", show_time(row->last_try_us));
}

json_t *show_relationship(const struct show *show, const struct relationship_row *row)
{
    json_t *object = json_object();

    return complete(object, show_put(object, "vm", find_vm_name(show, &row->vm, row->vm_name)) &&
                                put_relationship_state(object, show, row) &&
                                show_put(object, "peer", show_text(row->peer)) &&
                                put_relationship_times(object, row) &&
                                show_put(object, "generation", show_number(row->generation)) &&
                                show_put(object, "folder", show_text_or_null(row->folder)) &&
                                show_put(object, "job", show_open_job(show, row)) &&
                                show_put(object, "settings", show_settings(&row->settings)) &&
                                show_put(object, "disks", show_relationship_disks(row)));
}

json_t *show_no_relationship(const struct show *show, const struct uuid *vm, const char *vm_name,
                             uint8_t hop)
{
    json_t *object = json_object();

    return complete(object, show_put(object, "vm", find_vm_name(show, vm, vm_name)) &&
                                show_put(object, "hop", show_number(hop)) &&
                                show_put(object, "state", show_number(STATE_DISABLED)) &&
                                show_put(object, "state_name",
                                         show_text(replication_state_name(STATE_DISABLED))));
}

/* --- VMs ------------------------------------------------------------------------------------- */

static json_t *show_vm_disk(const struct vm_disk *disk)
{
    json_t *object = json_object();
    json_t *format = disk->format == DISK_FORMAT_INVALID
                         ? json_null()
                         : show_text(disk_format_name(disk->format));

    return complete(object, show_put(object, "format", format) &&
                                show_put(object, "name", show_text(disk->name)) &&
                                show_put(object, "path", show_text(disk->path)));
}

static json_t *show_vm_disks(const struct vm *vm)
{
    json_t *list = json_array();
    bool is_complete = list != NULL;

    for (uint32_t i = 0; vm != NULL && i < vm->disk_count && is_complete; i++) {
        is_complete = show_append(list, show_vm_disk(&vm->disks[i]));
    }
    return complete(list, is_complete);
}

static json_t *show_vm_relationships(const struct show *show, const struct service_vm *vm)
{
    json_t *list = json_array();
    bool is_complete = list != NULL;

    for (uint32_t hop = 0; hop < ARRAY_COUNT(vm->relationships) && is_complete; hop++) {
        if (vm->relationships[hop] != NULL) {
            is_complete = show_append(list, show_relationship(show, vm->relationships[hop]));
        }
    }
    return complete(list, is_complete);
}

json_t *show_vm(const struct show *show, const struct service_vm *vm)
{
    json_t *object = json_object();
    const char *inventory = vm->inventory != NULL ? vm->inventory : "";

    return complete(object,
                    show_put(object, "id", show_id(&vm->id)) &&
                        show_put(object, "name", show_text(vm->name)) &&
                        show_put(object, "mode", show_number(vm->mode)) &&
                        show_put(object, "mode_name", show_text(replication_mode_name(vm->mode))) &&
                        show_put(object, "inventory", show_text_or_null(inventory)) &&
                        show_put(object, "disks", show_vm_disks(vm->vm)) &&
                        show_put(object, "relationships", show_vm_relationships(show, vm)));
}

/* --- jobs ------------------------------------------------------------------------------------ */

static int64_t elapsed_us(const struct show *show, const struct job_row *row)
{
    int64_t until_us = row->ended_us != 0 ? row->ended_us : show->now_us;

    /* A clock that was set back makes no job younger than nothing. */
    return row->started_us == 0 || until_us < row->started_us ? 0 : until_us - row->started_us;
}

static json_t *show_job_error(const struct job_row *row)
{
    if (row->error_code == 0 && row->error[0] == '\0') {
        return json_null();
    }
    json_t *object = json_object();
    const char *kind = error_kind_name((enum error_kind)row->error_kind);
    return complete(object, show_put(object, "code", show_number(row->error_code)) &&
                                show_put(object, "kind", show_text(kind)) &&
                                show_put(object, "message", show_text(row->error)));
}

static json_t *show_progress(const struct show *show, const struct job_row *row)
{
    const struct progress *progress = service_job_progress(show->service, &row->id);
    struct service_vm vm;
    struct error err = {0};
    char id[UUID_TEXT_MAX];

    uuid_format(&row->vm, id);
    if (progress == NULL || row->hop > 1 || service_find_vm(show->service, id, &vm, &err) < 0 ||
        vm.relationships[row->hop] == NULL) {
        return json_null();
    }
    return report_new(vm.relationships[row->hop], progress,
                      (uint64_t)elapsed_us(show, row) * (NS_PER_MS / 1000));
}

/* The service wrote it; what the database's disk made unreadable is not there. */
static json_t *show_report(const struct job_row *row)
{
    json_t *report =
        row->report != NULL ? json_loads(row->report, JSON_REJECT_DUPLICATES, NULL) : NULL;

    return report != NULL ? report : json_null();
}

static bool put_job_times(json_t *object, const struct show *show, const struct job_row *row)
{
    int64_t seconds = elapsed_us(show, row) / US_PER_S;

    return show_put(object, "submitted", show_time(row->submitted_us)) &&
           show_put(object, "scheduled_start", show_time(row->scheduled_us)) &&
           show_put(object, "started", show_time(row->started_us)) &&
           show_put(object, "ended", show_time(row->ended_us)) &&
           show_put(object, "changed", show_time(row->changed_us)) &&
           show_put(object, "elapsed_s", json_integer(seconds)) &&
           show_put(object, "next_try", show_time(row->next_try_us));
}

static bool put_job_state(json_t *object, const struct job_row *row)
{
    bool is_cancellable = !job_state_is_end(row->state) && row->state != JOB_SHUTTING_DOWN;

    return show_put(object, "type", show_number(row->type)) &&
           show_put(object, "type_name", show_text(job_type_name(row->type))) &&
           show_put(object, "state", show_number(row->state)) &&
           show_put(object, "state_name", show_text(job_state_name(row->state))) &&
           show_put(object, "percent", show_number(row->percent)) &&
           show_put(object, "attempts", show_number(row->attempts)) &&
           show_put(object, "status", show_text(row->status)) &&
           show_put(object, "cancellable", json_boolean(is_cancellable));
}

json_t *show_job(const struct show *show, const struct job_row *row)
{
    json_t *object = json_object();
    bool has_ended = job_state_is_end(row->state);
    json_t *progress = has_ended ? json_null() : show_progress(show, row);
    json_t *report = has_ended ? show_report(row) : json_null();
    /* Both are taken, whatever fails. */
    bool is_complete = show_put(object, "progress", progress);
    is_complete = show_put(object, "report", report) && is_complete;

    return complete(object,
                    is_complete && show_put(object, "id", show_id(&row->id)) &&
                        show_put(object, "sequence", show_number(row->sequence)) &&
                        show_put(object, "vm", find_vm_name(show, &row->vm, row->vm_name)) &&
                        show_put(object, "hop", show_number(row->hop)) &&
                        show_put(object, "owner", show_text(row->owner)) &&
                        put_job_state(object, row) && put_job_times(object, show, row) &&
                        show_put(object, "error", show_job_error(row)));
}

/* --- hosts ----------------------------------------------------------------------------------- */

json_t *show_peer(const struct host_row *row)
{
    json_t *object = json_object();

    return complete(object,
                    show_put(object, "name", show_text(row->name)) &&
                        show_put(object, "address", show_text(row->address)) &&
                        show_put(object, "fingerprint", show_fingerprint(row->fingerprint)) &&
                        show_put(object, "paired", show_time(row->paired_us)) &&
                        show_put(object, "revoked", show_time(row->revoked_us)));
}

static const char *pairing_state_name(enum pairing_state state)
{
    switch (state) {
    case PAIRING_INVALID:
        break;
    case PAIRING_WAITING:
        return "waiting";
    case PAIRING_CODE:
        return "code";
    case PAIRING_CONFIRMED:
        return "confirmed";
    case PAIRING_DONE:
        return "done";
    case PAIRING_FAILED:
        return "failed";
    }
    return "unknown";
}

static json_t *show_pairing_peer(const struct pairing *pairing)
{
    if (pairing->peer_name[0] == '\0') {
        return json_null();
    }
    json_t *object = json_object();
    return complete(
        object, show_put(object, "name", show_text(pairing->peer_name)) &&
                    show_put(object, "address", show_text(pairing->peer_address)) &&
                    show_put(object, "fingerprint", show_fingerprint(pairing->peer_fingerprint)));
}

json_t *show_pairing(const struct pairing *pairing)
{
    json_t *object = json_object();

    return complete(object,
                    show_put(object, "id", show_id(&pairing->id)) &&
                        show_put(object, "state", show_text(pairing_state_name(pairing->state))) &&
                        show_put(object, "code", show_text_or_null(pairing->code)) &&
                        show_put(object, "peer", show_pairing_peer(pairing)) &&
                        show_put(object, "message", show_text(pairing->message)) &&
                        show_put(object, "expires", show_time(pairing->expires_us)));
}

json_t *show_authorization(const struct authorization_row *row)
{
    json_t *object = json_object();

    return complete(object,
                    show_put(object, "allowed_primary", show_text(row->allowed_primary)) &&
                        show_put(object, "fingerprint", show_fingerprint(row->fingerprint)) &&
                        show_put(object, "trust_group", show_text(row->trust_group)) &&
                        show_put(object, "storage_root", show_text(row->storage_root)) &&
                        show_put(object, "created", show_time(row->created_us)));
}

/* --- what happened --------------------------------------------------------------------------- */

json_t *show_event(const struct show *show, const struct event_row *row)
{
    json_t *object = json_object();

    return complete(object, show_put(object, "id", show_number(row->id)) &&
                                show_put(object, "time", show_time(row->time_us)) &&
                                show_put(object, "code", show_number(row->code)) &&
                                show_put(object, "level",
                                         show_text(log_level_name((enum log_level)row->level))) &&
                                show_put(object, "vm", find_vm_name(show, &row->vm, NULL)) &&
                                show_put(object, "hop", show_number(row->hop)) &&
                                show_put(object, "job", show_id(&row->job)) &&
                                show_put(object, "what", show_text(row->what)) &&
                                show_put(object, "text", show_text(row->text)));
}

json_t *show_statistics(const struct statistics_row *row)
{
    json_t *object = json_object();

    return complete(
        object, show_put(object, "start", show_time(row->start_us)) &&
                    show_put(object, "end", show_time(row->end_us)) &&
                    show_put(object, "successes", show_number(row->success_count)) &&
                    show_put(object, "misses", show_number(row->miss_count)) &&
                    show_put(object, "network_failures", show_number(row->network_failure_count)) &&
                    show_put(object, "failures", show_number(row->failure_count)) &&
                    show_put(object, "size_bytes", show_number(row->size_bytes)) &&
                    show_put(object, "max_size_bytes", show_number(row->max_size_bytes)) &&
                    show_put(object, "latency_s", show_number(row->latency_s)) &&
                    show_put(object, "max_latency_s", show_number(row->max_latency_s)) &&
                    show_put(object, "resynced_bytes", show_number(row->resynced_bytes)));
}
