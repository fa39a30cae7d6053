/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_look.c - what there is: VMs, relationships, hosts, jobs.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/nearest.h"
#include "replica/service_internal.h"

static int compare_vms(const void *a, const void *b)
{
    const struct vm *const *first = a;
    const struct vm *const *second = b;

    return uuid_compare(&(*first)->id, &(*second)->id);
}

int service_sort_inventory(struct service *service, struct error *err)
{
    const struct inventory *inventory = service->config.inventory;
    uint32_t count = inventory->ops->count(inventory);

    /* One more: calloc(0) may return NULL. */
    service->by_id = calloc((size_t)count + 1, sizeof(const struct vm *));
    if (service->by_id == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the service");
    }
    for (uint32_t i = 0; i < count; i++) {
        service->by_id[i] = inventory->ops->at(inventory, i);
    }
    if (count > 0) {
        qsort((void *)service->by_id, count, sizeof(const struct vm *), compare_vms);
    }
    return 0;
}

/* The inventory's VM with this id; NULL: none. */
static const struct vm *find_own(const struct service *service, const struct uuid *id)
{
    const struct inventory *inventory = service->config.inventory;
    struct vm key = {.id = *id};
    const struct vm *wanted = &key;
    const struct vm **found =
        bsearch((const void *)&wanted, (const void *)service->by_id,
                inventory->ops->count(inventory), sizeof(const struct vm *), compare_vms);

    return found == NULL ? NULL : *found;
}

/* VMs are those of the inventory, and after them those that only a relationship knows. */
void service_list_vms(struct service *service)
{
    service->listed_count = 0;
    for (uint32_t i = 0; i < service->relationship_count; i++) {
        const struct uuid *vm = &service->relationships[i]->row.vm;
        bool is_second = i > 0 && uuid_equal(&service->relationships[i - 1]->row.vm, vm);
        if (!is_second && find_own(service, vm) == NULL) {
            service->listed[service->listed_count++] = i;
        }
    }
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
    return service->config.inventory->ops->count(service->config.inventory) + service->listed_count;
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
    assert(index - count < service->listed_count);
    fill_vm(service, &service->relationships[service->listed[index - count]]->row.vm, NULL, out);
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
        fill_vm(service, &row->vm, find_own(service, &row->vm), out);
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
    struct service_vm found = {.name = vm};

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

void service_health_reason(const struct service *service, const struct relationship_row *row,
                           char *out, size_t size_bytes)
{
    const struct service_relationship *at = service_find_relationship(service, &row->vm, row->hop);

    assert(size_bytes > 0);
    out[0] = '\0';
    if (at != NULL) {
        (void)relationship_health(row, &at->statistics, service_now(service), out, size_bytes);
    }
}

const struct progress *service_job_progress(const struct service *service, const struct uuid *id)
{
    const struct service_job *job = service_find_job_of(service, id);

    return job != NULL && job->phase == PHASE_AT_WORK && job->has_progress ? &job->progress : NULL;
}

bool service_job_is_at_work(const struct service *service, const struct uuid *id)
{
    const struct service_job *job = service_find_job_of(service, id);

    return job != NULL && job->phase == PHASE_AT_WORK;
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
