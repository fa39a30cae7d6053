/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/show.h"

#include <stdio.h>
#include <string.h>

#include "base/instant.h"
#include "disk/format.h"
#include "replica/report.h"

json_t *show_time(int64_t at_us)
{
    char text[INSTANT_TEXT_MAX];

    instant_format(at_us, text);
    return text[0] == '\0' ? json_null() : json_string(text);
}

json_t *show_text(const char *text)
{
    json_t *shown = json_string(text);
    char plain[PATH_TEXT_MAX];
    size_t len = 0;

    if (shown != NULL) {
        return shown;
    }
    for (; text[len] != '\0' && len + 1 < sizeof plain; len++) {
        plain[len] = (text[len] & 0x80) != 0 ? '?' : text[len];
    }
    plain[len] = '\0';
    return json_string(plain);
}

static json_t *show_uuid(const struct uuid *uuid)
{
    char text[UUID_TEXT_MAX];

    if (uuid_is_nil(uuid)) {
        return json_null();
    }
    uuid_format(uuid, text);
    return json_string(text);
}

static json_t *show_fingerprint(const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    char text[FINGERPRINT_TEXT_MAX];

    fingerprint_format(fingerprint, text);
    return json_string(text);
}

static json_t *show_vm_name(const struct uuid *id, const char *name)
{
    return json_pack("{s:o, s:o}", "id", show_uuid(id), "name", show_text(name));
}

/* --- this host ------------------------------------------------------------------------------- */

json_t *show_host(const struct control_config *config, uint64_t uptime_s)
{
    const struct service *service = config->service;
    uint32_t relationships = 0;
    uint32_t open = 0;
    uint32_t running = 0;
    struct service_vm vm;

    for (uint32_t i = 0; i < service_vm_count(service); i++) {
        service_vm_at(service, i, &vm);
        relationships += vm.relationships[0] != NULL ? 1U : 0U;
        relationships += vm.relationships[1] != NULL ? 1U : 0U;
    }
    for (uint32_t i = 0; i < service_job_count(service); i++) {
        const struct job_row *job = service_job_at(service, i);
        open += job_state_is_end(job->state) ? 0 : 1;
        running += service_job_is_at_work(service, &job->id) ? 1 : 0;
    }
    return json_pack("{s:o, s:s, s:o, s:I, s:i, s:i, s:i, s:i, s:{s:b, s:s, s:s}}", "name",
                     show_text(service_host_name(service)), "version", RESILVER_VERSION,
                     "fingerprint", show_fingerprint(config->identity->fingerprint), "uptime_s",
                     (json_int_t)uptime_s, "vms", (int)service_vm_count(service), "relationships",
                     (int)relationships, "open_jobs", (int)open, "running_jobs", (int)running,
                     "replication", "enabled", config->listen_address[0] != '\0', "listen",
                     config->listen_address, "advertise", config->advertise_address);
}

/* --- VMs ------------------------------------------------------------------------------------- */

static json_t *show_vm_disks(const struct vm *vm)
{
    json_t *disks = json_array();

    for (uint32_t i = 0; vm != NULL && i < vm->disk_count; i++) {
        const struct vm_disk *disk = &vm->disks[i];
        bool has_format = disk->format != DISK_FORMAT_INVALID;
        (void)json_array_append_new(
            disks,
            json_pack("{s:o, s:o, s:o}", "name", show_text(disk->name), "path",
                      show_text(disk->path), "format",
                      has_format ? json_string(disk_format_name(disk->format)) : json_null()));
    }
    return disks;
}

json_t *show_vm(const struct service *service, const struct service_vm *vm)
{
    json_t *relationships = json_array();

    for (int hop = 0; hop < 2; hop++) {
        if (vm->relationships[hop] != NULL) {
            (void)json_array_append_new(relationships,
                                        show_relationship(service, vm->relationships[hop]));
        }
    }
    return json_pack("{s:o, s:o, s:i, s:s, s:o, s:o, s:o}", "id", show_uuid(&vm->id), "name",
                     show_text(vm->name), "mode", (int)vm->mode, "mode_name",
                     replication_mode_name(vm->mode), "inventory",
                     vm->vm != NULL ? json_string("plain") : json_null(), "disks",
                     show_vm_disks(vm->vm), "relationships", relationships);
}

static json_t *show_settings(const struct relationship_settings *settings)
{
    char start[8];
    char end[8];

    (void)snprintf(start, sizeof start, "%02u:%02u", settings->auto_start_minute / 60 % 24,
                   settings->auto_start_minute % 60);
    (void)snprintf(end, sizeof end, "%02u:%02u", settings->auto_end_minute / 60 % 24,
                   settings->auto_end_minute % 60);
    return json_pack("{s:i, s:i, s:I, s:b, s:{s:b, s:s, s:s}}", "recovery_history",
                     (int)settings->recovery_history, "interval_s", (int)settings->interval_s,
                     "rate_bytes_per_s", (json_int_t)settings->rate_bytes_per_s, "compression",
                     settings->is_compression_enabled, "auto_resync", "enabled",
                     settings->is_auto_resync_enabled, "start", start, "end", end);
}

static json_t *show_disks(const struct relationship_row *row)
{
    json_t *disks = json_array();

    for (uint32_t i = 0; i < row->disk_count; i++) {
        (void)json_array_append_new(disks, json_pack("{s:o, s:I, s:b}", "name",
                                                     show_text(row->disks[i].name), "size_bytes",
                                                     (json_int_t)row->disks[i].size_bytes,
                                                     "included", row->disks[i].is_included));
    }
    return disks;
}

static json_t *show_open_job(const struct service *service, const struct relationship_row *row)
{
    for (uint32_t i = 0; i < service_job_count(service); i++) {
        const struct job_row *job = service_job_at(service, i);
        if (!job_state_is_end(job->state) && uuid_equal(&job->vm, &row->vm) &&
            job->hop == row->hop) {
            return show_uuid(&job->id);
        }
    }
    return json_null();
}

json_t *show_relationship(const struct service *service, const struct relationship_row *row)
{
    json_t *shown =
        json_pack("{s:o, s:i, s:i, s:s, s:i, s:s, s:i, s:s, s:o, s:o}", "vm",
                  show_vm_name(&row->vm, row->vm_name), "hop", (int)row->hop, "role",
                  (int)row->role, "role_name", relationship_role_name(row->role), "state",
                  (int)row->state, "state_name", replication_state_name(row->state), "health",
                  (int)row->health, "health_name", replication_health_name(row->health), "reason",
                  show_text(row->reason), "peer", show_text(row->peer));
    json_t *more = json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "created",
                             show_time(row->created_us), "last_replication",
                             show_time(row->last_replication_us), "last_apply",
                             show_time(row->last_apply_us), "last_try", show_time(row->last_try_us),
                             "generation", (json_int_t)row->generation, "folder",
                             row->folder[0] == '\0' ? json_null() : show_text(row->folder), "job",
                             show_open_job(service, row), "settings", show_settings(&row->settings),
                             "disks", show_disks(row));

    if (shown == NULL || more == NULL || json_object_update(shown, more) < 0) {
        json_decref(shown);
        shown = NULL;
    }
    json_decref(more);
    return shown;
}

/* --- jobs ------------------------------------------------------------------------------------ */

static json_t *show_job_error(const struct job_row *row)
{
    if (row->error[0] == '\0') {
        return json_null();
    }
    return json_pack("{s:i, s:s, s:o}", "code", (int)row->error_code, "kind",
                     error_kind_name((enum error_kind)row->error_kind), "message",
                     show_text(row->error));
}

static json_t *show_progress(const struct service *service, const struct job_row *row)
{
    const struct progress *progress = service_job_progress(service, &row->id);
    char vm[UUID_TEXT_MAX];
    struct service_vm found;

    uuid_format(&row->vm, vm);
    if (progress == NULL || service_find_vm(service, vm, &found, NULL) < 0 ||
        found.relationships[row->hop] == NULL) {
        return json_null();
    }
    uint64_t elapsed_ns =
        (uint64_t)(service_now(service) - row->started_us) * (NS_PER_S / US_PER_S);
    return report_new(found.relationships[row->hop], progress, elapsed_ns);
}

static double elapsed_s(const struct service *service, const struct job_row *row)
{
    int64_t end_us = row->ended_us != 0 ? row->ended_us : service_now(service);

    return row->started_us == 0 || end_us < row->started_us
               ? 0.0
               : (double)((end_us - row->started_us) / 1000) / 1000.0;
}

json_t *show_job(const struct service *service, const struct job_row *row)
{
    bool is_open = !job_state_is_end(row->state);
    json_t *report = row->report == NULL || is_open
                         ? NULL
                         : json_loads(row->report, JSON_REJECT_DUPLICATES, NULL);
    json_t *shown = json_pack(
        "{s:o, s:I, s:i, s:s, s:i, s:s, s:o, s:i, s:o, s:o, s:o, s:o}", "id", show_uuid(&row->id),
        "sequence", (json_int_t)row->sequence, "type", (int)row->type, "type_name",
        job_type_name(row->type), "state", (int)row->state, "state_name",
        job_state_name(row->state), "vm", show_vm_name(&row->vm, row->vm_name), "hop",
        (int)row->hop, "owner", show_text(row->owner), "submitted", show_time(row->submitted_us),
        "scheduled_start", show_time(row->scheduled_us), "started", show_time(row->started_us));
    json_t *more = json_pack(
        "{s:o, s:o, s:f, s:i, s:I, s:o, s:o, s:b, s:o, s:o, s:o}", "ended",
        show_time(row->ended_us), "changed", show_time(row->changed_us), "elapsed_s",
        elapsed_s(service, row), "percent", (int)row->percent, "attempts",
        (json_int_t)row->attempts, "next_try", show_time(row->next_try_us), "status",
        show_text(row->status), "cancellable", is_open, "error", show_job_error(row), "progress",
        show_progress(service, row), "report", report == NULL ? json_null() : report);

    if (shown == NULL || more == NULL || json_object_update(shown, more) < 0) {
        json_decref(shown);
        shown = NULL;
    }
    json_decref(more);
    return shown;
}

/* --- hosts ----------------------------------------------------------------------------------- */

json_t *show_peer(const struct host_row *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "name", show_text(row->name), "address",
                     show_text(row->address), "fingerprint", show_fingerprint(row->fingerprint),
                     "paired", show_time(row->paired_us), "revoked", show_time(row->revoked_us));
}

static const char *pairing_state_name(enum pairing_state state)
{
    switch (state) {
    case PAIRING_WAITING:
        return "waiting";
    case PAIRING_CODE:
        return "code";
    case PAIRING_CONFIRMED:
        return "confirmed";
    case PAIRING_DONE:
        return "done";
    case PAIRING_FAILED:
    case PAIRING_INVALID:
        break;
    }
    return "failed";
}

json_t *show_pairing(const struct pairing *pairing)
{
    json_t *peer = json_null();

    if (pairing->peer_name[0] != '\0') {
        peer = json_pack("{s:o, s:o, s:o}", "name", show_text(pairing->peer_name), "address",
                         show_text(pairing->peer_address), "fingerprint",
                         show_fingerprint(pairing->peer_fingerprint));
    }
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "id", show_uuid(&pairing->id), "state",
                     pairing_state_name(pairing->state), "code",
                     pairing->code[0] == '\0' ? json_null() : json_string(pairing->code), "peer",
                     peer, "message", show_text(pairing->message), "expires",
                     show_time(pairing->expires_us));
}

json_t *show_authorization(const struct authorization_row *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "allowed_primary",
                     show_text(row->allowed_primary), "fingerprint",
                     show_fingerprint(row->fingerprint), "trust_group", show_text(row->trust_group),
                     "storage_root", show_text(row->storage_root), "created",
                     show_time(row->created_us));
}

/* --- history --------------------------------------------------------------------------------- */

static const char *level_name(uint16_t level)
{
    static const char *const names[] = {"", "error", "warning", "notice", "info", "debug"};

    return level < ARRAY_COUNT(names) ? names[level] : "";
}

json_t *show_event(const struct service *service, const struct event_row *row)
{
    char id[UUID_TEXT_MAX];
    struct service_vm vm;
    json_t *shown_vm = json_null();

    if (!uuid_is_nil(&row->vm)) {
        uuid_format(&row->vm, id);
        bool is_known = service_find_vm(service, id, &vm, NULL) == 0;
        shown_vm = show_vm_name(&row->vm, is_known ? vm.name : "");
    }
    return json_pack("{s:I, s:o, s:i, s:s, s:o, s:i, s:o, s:o, s:o}", "id", (json_int_t)row->id,
                     "time", show_time(row->time_us), "code", (int)row->code, "level",
                     level_name(row->level), "vm", shown_vm, "hop", (int)row->hop, "job",
                     show_uuid(&row->job), "what", show_text(row->what), "text",
                     show_text(row->text));
}

json_t *show_statistics(const struct statistics_row *row)
{
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "start",
                     show_time(row->start_us), "end", show_time(row->end_us), "successes",
                     (json_int_t)row->success_count, "misses", (json_int_t)row->miss_count,
                     "network_failures", (json_int_t)row->network_failure_count, "failures",
                     (json_int_t)row->failure_count, "size_bytes", (json_int_t)row->size_bytes,
                     "max_size_bytes", (json_int_t)row->max_size_bytes, "latency_s",
                     (json_int_t)row->latency_s, "max_latency_s", (json_int_t)row->max_latency_s,
                     "resynced_bytes", (json_int_t)row->resynced_bytes);
}

json_t *show_reply(enum return_value value, const struct uuid *job, const char *message)
{
    return json_pack("{s:i, s:s, s:o, s:o}", "return_value", (int)value, "return_name",
                     return_value_name(value), "job", show_uuid(job), "message",
                     show_text(message));
}
