/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_target.c - the other side: what paired hosts ask of this one, and their sessions.
 *
 * A host may do nothing here but what an authorization entry allows it, with the certificate that
 * the entry was made for, for VMs whose replicas came from it.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "replica/service_internal.h"

static void answer(struct peer_answer *out, enum return_value value, const struct error *err)
{
    out->end = PEER_ANSWERED;
    out->value = value;
    (void)snprintf(out->message, sizeof out->message, "%s", err == NULL ? "" : err->message);
}

/* --- who may --------------------------------------------------------------------------------- */

static int check_authorization(const struct service *service, const struct host_row *host,
                               const struct authorization_row **out, struct error *err)
{
    if (!service->config.is_replica_enabled) {
        return fail(err, ERR_PEER, 0,
                    "host '%s' takes no replicas: its configuration has no "
                    "listen address",
                    service->config.host_name);
    }
    for (uint32_t i = 0; i < service->authorization_count; i++) {
        const struct authorization_row *row = &service->authorizations[i];
        if (strcasecmp(row->allowed_primary, host->name) != 0) {
            continue;
        }
        if (memcmp(row->fingerprint, host->fingerprint, FINGERPRINT_BYTES) != 0) {
            return fail(err, ERR_PEER, 0,
                        "the authorization entry of '%s' was made for another certificate; at '%s' "
                        "'resilver auth add %s' makes it anew",
                        host->name, service->config.host_name, host->name);
        }
        *out = row;
        return 0;
    }
    return fail(err, ERR_PEER, 0,
                "host '%s' may not replicate to '%s'; there 'resilver auth add %s --storage DIR' "
                "allows it",
                host->name, service->config.host_name, host->name);
}

/* The relationship of a VM whose replica this host keeps for that one. */
static int find_target(const struct service *service, const struct host_row *host,
                       const struct uuid *vm, uint8_t hop, struct service_relationship **out,
                       struct error *err)
{
    struct service_relationship *at = service_find_relationship(service, vm, hop);
    char id[UUID_TEXT_MAX];

    if (at == NULL || role_is_source(at->row.role) || strcasecmp(at->row.peer, host->name) != 0) {
        uuid_format(vm, id);
        return fail(err, ERR_WRONG_STATE, 0,
                    "host '%s' keeps no replica of VM %s for '%s': remove the relationship and "
                    "create it again (what is stored there is found and used)",
                    service->config.host_name, id, host->name);
    }
    *out = at;
    return 0;
}

static int check_generation(const struct service_relationship *at, uint64_t generation,
                            struct error *err)
{
    if (generation < at->row.peer_generation) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "'%s' was taken over by a newer owner (generation %llu, not %llu): the daemon "
                    "that asks owns it no more",
                    at->row.vm_name, (unsigned long long)at->row.peer_generation,
                    (unsigned long long)generation);
    }
    return 0;
}

static struct relationship_disk *find_disk(const struct relationship_row *row, const char *name)
{
    for (uint32_t i = 0; i < row->disk_count; i++) {
        if (row->disks[i].is_included && strcmp(row->disks[i].name, name) == 0) {
            return &row->disks[i];
        }
    }
    return NULL;
}

static uint32_t count_included(const struct relationship_row *row)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < row->disk_count; i++) {
        count += row->disks[i].is_included ? 1 : 0;
    }
    return count;
}

static int check_size(const struct service_relationship *at, const char *name, uint64_t size_bytes,
                      struct error *err)
{
    const struct relationship_disk *disk = find_disk(&at->row, name);

    if (disk == NULL) {
        return fail(err, ERR_USAGE, 0, "'%s' has no disk '%.128s' in its replica", at->row.vm_name,
                    name);
    }
    if (at->row.state != STATE_WAITING_INITIAL && disk->size_bytes != 0 && size_bytes != 0 &&
        disk->size_bytes != size_bytes) {
        return fail(err, ERR_USAGE, 0,
                    "disk '%s' of '%s' has %llu bytes here and %llu there: make both the same, "
                    "then try again",
                    name, at->row.vm_name, (unsigned long long)disk->size_bytes,
                    (unsigned long long)size_bytes);
    }
    return 0;
}

/* --- questions ------------------------------------------------------------------------------- */

static void answer_error(struct peer_answer *out, enum return_value value, struct error *err)
{
    answer(out, value, err);
}

static int fill_offered(const struct service *service, const struct host_row *host,
                        const struct authorization_row *entry,
                        const struct relationship_row *offered, struct relationship_row *row,
                        struct error *err)
{
    char id[UUID_TEXT_MAX];

    if (relationship_row_copy(row, offered, err) < 0) {
        return -1;
    }
    uuid_format(&offered->vm, id);
    (void)snprintf(row->peer, sizeof row->peer, "%s", host->name);
    if ((size_t)snprintf(row->folder, sizeof row->folder, "%s/%s", entry->storage_root, id) >=
        sizeof row->folder) {
        relationship_row_done(row);
        return fail(err, ERR_LIMIT, 0, "the storage root is too long a path");
    }
    row->role = offered->hop == 0 ? RELATIONSHIP_REPLICA : RELATIONSHIP_EXTENDED;
    row->state = (uint16_t)relationship_judge(row->role, STATE_DISABLED, EVENT_CREATE).state;
    row->health = HEALTH_NONE;
    row->peer_generation = offered->generation;
    row->generation = 0;
    row->created_us = service_now(service);
    row->last_type = 0;
    row->last_replication_us = 0;
    row->last_apply_us = 0;
    row->last_try_us = 0;
    row->reason[0] = '\0';
    return 0;
}

/* Whether what this host knows of the VM lets it become a replica of that host. */
static enum return_value check_offer(const struct service *service, const struct host_row *host,
                                     const struct relationship_row *offered, struct error *err)
{
    char id[UUID_TEXT_MAX];
    char what[ERROR_MESSAGE_MAX];
    const struct service_relationship *at =
        service_find_relationship(service, &offered->vm, offered->hop);
    const struct service_relationship *other =
        service_find_relationship(service, &offered->vm, offered->hop == 0 ? 1 : 0);

    uuid_format(&offered->vm, id);
    if (inventory_find(service->config.inventory, id) != NULL) {
        (void)fail(err, ERR_WRONG_STATE, 0, "host '%s' has VM %s itself", service->config.host_name,
                   id);
        return RETURN_IN_USE;
    }
    if ((at != NULL &&
         (role_is_source(at->row.role) || strcasecmp(at->row.peer, host->name) != 0)) ||
        (other != NULL && (offered->hop == 1 || other->row.role != RELATIONSHIP_EXTENDING))) {
        (void)fail(err, ERR_WRONG_STATE, 0, "host '%s' has another part in the replication of '%s'",
                   service->config.host_name, offered->vm_name);
        return RETURN_IN_USE;
    }
    if (service_is_vm_busy(service, &offered->vm, what, sizeof what)) {
        (void)fail(err, ERR_WRONG_STATE, 0, "'%s' is in use there by %.400s", offered->vm_name,
                   what);
        return RETURN_IN_USE;
    }
    return RETURN_DONE;
}

/* An offer of what is here already (the primary lost its state, or its answer) begins it anew; what
 * is in the folder stays and is used. */
static enum return_value take_offer(struct service *service, const struct host_row *host,
                                    const struct relationship_row *offered, struct error *err)
{
    const struct authorization_row *entry = NULL;
    struct relationship_row row = {0};

    if (check_authorization(service, host, &entry, err) < 0) {
        return RETURN_ACCESS_DENIED;
    }
    enum return_value value = check_offer(service, host, offered, err);
    if (value != RETURN_DONE) {
        return value;
    }
    struct service_relationship *at =
        service_find_relationship(service, &offered->vm, offered->hop);
    /* A relationship made anew counts its generations from 1. */
    if (fill_offered(service, host, entry, offered, &row, err) < 0) {
        return service_value_of(err);
    }
    int result = at != NULL ? service_replace_relationship(service, at, &row, err)
                            : service_insert_relationship(service, &row, err);
    relationship_row_done(&row);
    if (result < 0) {
        return service_value_of(err);
    }
    at = service_find_relationship(service, &offered->vm, offered->hop);
    assert(at != NULL);
    service_note(service,
                 &(struct service_note){.level = LOG_LEVEL_NOTICE,
                                        .what = "replica accepted",
                                        .vm = &at->row.vm,
                                        .hop = at->row.hop},
                 "'%s' of host '%s', in %.500s", at->row.vm_name, at->row.peer, at->row.folder);
    service_turn_intervals(service);
    return RETURN_DONE;
}

static enum return_value check_prepare(const struct service *service, const struct host_row *host,
                                       const struct peer_question *question, struct error *err)
{
    const struct relationship_row *asked = &question->relationship;
    const struct authorization_row *entry = NULL;
    struct service_relationship *at = NULL;
    char what[ERROR_MESSAGE_MAX];

    if (check_authorization(service, host, &entry, err) < 0) {
        return RETURN_ACCESS_DENIED;
    }
    if (find_target(service, host, &asked->vm, asked->hop, &at, err) < 0 ||
        check_generation(at, asked->generation, err) < 0) {
        return RETURN_INVALID_STATE;
    }
    enum return_value value =
        relationship_judge(at->row.role, at->row.state, EVENT_SESSION_ADMITTED).value;
    if (value != RETURN_DONE) {
        (void)relationship_refuse(&at->row, EVENT_SESSION_ADMITTED, err);
        return value;
    }
    if (service_is_vm_busy(service, &asked->vm, what, sizeof what)) {
        (void)fail(err, ERR_WRONG_STATE, 0, "'%s' is in use there by %.400s", at->row.vm_name,
                   what);
        return RETURN_IN_USE;
    }
    if (count_included(asked) != count_included(&at->row)) {
        (void)fail(err, ERR_USAGE, 0, "%u disks of '%s' are replicated there, %u here",
                   count_included(asked), at->row.vm_name, count_included(&at->row));
        return RETURN_INVALID_STATE;
    }
    for (uint32_t i = 0; i < asked->disk_count; i++) {
        if (asked->disks[i].is_included &&
            check_size(at, asked->disks[i].name, asked->disks[i].size_bytes, err) < 0) {
            return RETURN_INVALID_STATE;
        }
    }
    return RETURN_DONE;
}

static enum return_value take_modify(struct service *service, const struct host_row *host,
                                     const struct relationship_row *asked, struct error *err)
{
    const struct authorization_row *entry = NULL;
    struct service_relationship *at = NULL;

    if (check_authorization(service, host, &entry, err) < 0) {
        return RETURN_ACCESS_DENIED;
    }
    if (find_target(service, host, &asked->vm, asked->hop, &at, err) < 0 ||
        check_generation(at, asked->generation, err) < 0) {
        return RETURN_INVALID_STATE;
    }
    struct relationship_settings before = at->row.settings;
    at->row.settings = asked->settings; /* the history is applied by the next session */
    if (service_save_relationship(service, at, err) < 0) {
        at->row.settings = before;
        return service_value_of(err);
    }
    return RETURN_DONE;
}

static enum return_value take_remove(struct service *service, const struct host_row *host,
                                     const struct relationship_row *asked, struct error *err)
{
    struct service_relationship *at = NULL;
    char what[ERROR_MESSAGE_MAX];

    if (find_target(service, host, &asked->vm, asked->hop, &at, NULL) < 0) {
        return RETURN_DONE; /* it is not there: that is what was asked for */
    }
    if (asked->hop == 0 && service_find_relationship(service, &asked->vm, 1) != NULL) {
        (void)fail(err, ERR_WRONG_STATE, 0,
                   "the replica of '%s' is extended to another host; end that first",
                   at->row.vm_name);
        return RETURN_INVALID_STATE;
    }
    if (service_is_vm_busy(service, &asked->vm, what, sizeof what)) {
        (void)fail(err, ERR_WRONG_STATE, 0, "'%s' is in use there by %.400s", at->row.vm_name,
                   what);
        return RETURN_IN_USE;
    }
    if (service_delete_relationship(service, at, err) < 0) {
        return service_value_of(err);
    }
    service_note(service,
                 &(struct service_note){.level = LOG_LEVEL_NOTICE,
                                        .what = "relationship removed",
                                        .vm = &asked->vm,
                                        .hop = asked->hop},
                 "'%s', by host '%s'; the disks stay", asked->vm_name, host->name);
    return RETURN_DONE;
}

void service_asked(struct service *service, const uint8_t fingerprint[FINGERPRINT_BYTES],
                   const struct peer_question *question, struct peer_answer *out)
{
    const struct host_row *host = service_knows_peer(service, fingerprint);
    enum return_value value = RETURN_ACCESS_DENIED;
    struct error err = {0};

    *out = (struct peer_answer){.end = PEER_ANSWERED};
    (void)snprintf(out->host_name, sizeof out->host_name, "%s", service->config.host_name);
    (void)snprintf(out->version, sizeof out->version, "%s", RESILVER_VERSION);
    if (host == NULL) {
        (void)fail(&err, ERR_PEER, 0, "this host is not paired with yours");
        answer_error(out, value, &err);
        return;
    }
    service_hurry(service, host->name); /* it is there: whatever waits for it may try */
    switch (question->call) {
    case PEER_HELLO:
        value = RETURN_DONE;
        break;
    case PEER_OFFER:
        value = take_offer(service, host, &question->relationship, &err);
        break;
    case PEER_MODIFY:
        value = take_modify(service, host, &question->relationship, &err);
        break;
    case PEER_PREPARE:
        value = check_prepare(service, host, question, &err);
        break;
    case PEER_REMOVE:
        value = take_remove(service, host, &question->relationship, &err);
        break;
    case PEER_CALL_INVALID:
        value = RETURN_NOT_SUPPORTED;
        (void)fail(&err, ERR_PEER, 0, "a question of an unknown kind");
        break;
    }
    answer_error(out, value, value == RETURN_DONE ? NULL : &err);
}

/* --- sessions -------------------------------------------------------------------------------- */

static int check_once(const struct session_request *request, uint32_t index, struct error *err)
{
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(request->disks[i], request->disks[index]) == 0) {
            return fail(err, ERR_USAGE, 0, "the session brings disk '%.128s' twice",
                        request->disks[index]);
        }
    }
    return 0;
}

static int check_disks(const struct service_relationship *at, const struct session_request *request,
                       struct error *err)
{
    if (request->disk_count != count_included(&at->row)) {
        return fail(err, ERR_USAGE, 0,
                    "the session brings %u disks of '%s'; %u are replicated: only all together "
                    "make a point",
                    request->disk_count, at->row.vm_name, count_included(&at->row));
    }
    for (uint32_t i = 0; i < request->disk_count; i++) {
        if (check_size(at, request->disks[i], request->size_bytes[i], err) < 0 ||
            check_once(request, i, err) < 0) {
            error_set_disk(err, request->disks[i]);
            return -1;
        }
    }
    return 0;
}

static int check_admission(const struct service *service, const struct host_row *host,
                           const struct session_request *request, struct service_relationship **out,
                           struct error *err)
{
    const struct authorization_row *entry = NULL;
    char what[ERROR_MESSAGE_MAX];

    if (check_authorization(service, host, &entry, err) < 0 ||
        find_target(service, host, &request->vm, request->hop, out, err) < 0 ||
        check_generation(*out, request->generation, err) < 0) {
        return -1;
    }
    if (relationship_judge((*out)->row.role, (*out)->row.state, EVENT_SESSION_ADMITTED).value !=
        RETURN_DONE) {
        return relationship_refuse(&(*out)->row, EVENT_SESSION_ADMITTED, err);
    }
    if (service->is_stopping) {
        return fail(err, ERR_CANCELLED, 0, "the service at '%s' stops", service->config.host_name);
    }
    if (service_is_vm_busy(service, &request->vm, what, sizeof what)) {
        return fail(err, ERR_WRONG_STATE, 0, "'%s' is in use at '%s' by %.400s",
                    (*out)->row.vm_name, service->config.host_name, what);
    }
    if (service->admitted_count == PEER_CONNECTIONS_MAX) {
        return fail(err, ERR_LIMIT, 0, "as many sessions as may be are at work at '%s'",
                    service->config.host_name);
    }
    return check_disks(*out, request, err);
}

int service_admit(struct service *service, const uint8_t fingerprint[FINGERPRINT_BYTES],
                  const struct session_request *request, struct session_grant *out,
                  struct error *err)
{
    const struct host_row *host = service_knows_peer(service, fingerprint);
    struct service_relationship *at = NULL;
    struct relationship_row row = {0};
    struct uuid ticket = {{0}};

    if (host == NULL) {
        return fail(err, ERR_PEER, 0, "your host is not paired with '%s'",
                    service->config.host_name);
    }
    if (check_admission(service, host, request, &at, err) < 0 ||
        uuid_new(service->config.env, &ticket, err) < 0 ||
        relationship_row_copy(&row, &at->row, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < request->disk_count; i++) {
        find_disk(&row, request->disks[i])->size_bytes = request->size_bytes[i];
    }
    row.peer_generation = request->generation;
    row.last_try_us = service_now(service);
    /* Saved, or not let in: the generation is what keeps an earlier owner out. */
    if (service_replace_relationship(service, at, &row, err) < 0) {
        relationship_row_done(&row);
        return -1;
    }
    *out = (struct session_grant){.history = at->row.settings.recovery_history,
                                  .is_initial = at->row.state == STATE_WAITING_INITIAL,
                                  .ticket = ticket};
    (void)snprintf(out->folder, sizeof out->folder, "%s", at->row.folder);
    service->admitted[service->admitted_count++] = (struct admitted){
        .ticket = ticket, .vm = request->vm, .hop = request->hop, .since_us = service_now(service)};
    return 0;
}

static bool has_written(const struct progress *progress)
{
    for (uint32_t i = 0; i < progress->disk_count; i++) {
        if (progress->disks[i].written_bytes > 0) {
            return true;
        }
    }
    return false;
}

static void take_point(struct service *service, struct service_relationship *at,
                       const struct session_end *end)
{
    at->row.last_replication_us = service_now(service);
    at->row.last_apply_us = at->row.last_replication_us;
    at->row.last_type = 1;
    if (!service_move(service, at, EVENT_SESSION_DONE, NULL)) {
        service_keep_relationship(service, at); /* it was suspended meanwhile */
    }
    service_note(
        service,
        &(struct service_note){
            .level = LOG_LEVEL_NOTICE, .what = "new point", .vm = &at->row.vm, .hop = at->row.hop},
        "'%s' from host '%s', verified", at->row.vm_name, at->row.peer);
    if (has_written(&end->progress)) {
        service_follow(service, &at->row.vm);
    }
}

void service_target_ended(struct service *service, const struct uuid *ticket,
                          const struct session_end *end)
{
    struct admitted admitted = {0};

    for (uint32_t i = 0; i < service->admitted_count; i++) {
        if (uuid_equal(&service->admitted[i].ticket, ticket)) {
            admitted = service->admitted[i];
            service->admitted[i] = service->admitted[--service->admitted_count];
            break;
        }
    }
    struct service_relationship *at =
        service_find_relationship(service, &admitted.vm, admitted.hop);
    if (uuid_is_nil(&admitted.ticket) || at == NULL) {
        return;
    }
    service_count_end(service, at, end, true);
    if (end->is_done) {
        take_point(service, at, end);
        return;
    }
    service_note(service,
                 &(struct service_note){.level = LOG_LEVEL_WARNING,
                                        .what = "session ended early",
                                        .vm = &at->row.vm,
                                        .hop = at->row.hop},
                 "'%s' from host '%s': %.480s", at->row.vm_name, at->row.peer, end->error.message);
}

void service_follow(struct service *service, const struct uuid *vm)
{
    struct service_relationship *at = service_find_relationship(service, vm, 1);
    struct service_job *job = NULL;
    struct error err = {0};

    /* A job that is there, or will be when a suspension ends, sees the new point anyway. */
    if (at == NULL || at->row.role != RELATIONSHIP_EXTENDING || at->row.state == STATE_SUSPENDED ||
        service_open_job(service, vm, 1) != NULL) {
        return;
    }
    if (!service_move(service, at, EVENT_DIVERGED,
                      "the replica has a new point, which the extended replica has not yet")) {
        return; /* not copied yet */
    }
    if (service_make_job(service, at, JOB_RESYNC_EXTENDED, "automatic", 0, &job, &err) < 0) {
        service_note(service,
                     &(struct service_note){.level = LOG_LEVEL_ERROR,
                                            .what = "extended replica not followed",
                                            .vm = vm,
                                            .hop = 1},
                     "%s", err.message);
    }
}
