/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_pending.c - operations that wait for others: first, where it matters, for a look at the
 * disks, then for the peer's answer.
 *
 *   look --> ask --> finished
 *      \-------\---> refused
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/service_internal.h"

/* --- replies --------------------------------------------------------------------------------- */

static void reply(const struct service_asker *asker, const struct service_reply *what)
{
    if (asker->reply != NULL) {
        asker->reply(asker->context, what);
    }
}

static struct uuid job_or_nil(const struct uuid *job)
{
    return job == NULL ? uuid_nil : *job;
}

void service_reply_done(const struct service_asker *asker, const struct uuid *job)
{
    reply(asker, &(struct service_reply){.value = RETURN_DONE, .job = job_or_nil(job)});
}

void service_reply_started(const struct service_asker *asker, const struct uuid *job)
{
    reply(asker, &(struct service_reply){.value = RETURN_JOB_STARTED, .job = job_or_nil(job)});
}

void service_reply_error(const struct service_asker *asker, enum return_value value,
                         const struct error *err)
{
    assert(value != RETURN_DONE && value != RETURN_JOB_STARTED);
    reply(asker, &(struct service_reply){.value = value, .error = *err});
}

/* --- orders ---------------------------------------------------------------------------------- */

static int fill_address(const struct service *service, const char *peer, struct peer_address *out,
                        struct error *err)
{
    const struct host_row *host = service_find_host(service, peer);

    if (host == NULL || host->revoked_us != 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "host '%.128s' is not paired with this one%s: 'resilver host pair ADDRESS'",
                    peer, host == NULL ? "" : " any more");
    }
    if (host->address[0] == '\0') {
        return fail(err, ERR_WRONG_STATE, 0,
                    "it is not known where host '%.128s' listens: 'resilver host set %.128s "
                    "--address HOST:PORT'",
                    peer, peer);
    }
    (void)snprintf(out->address, sizeof out->address, "%s", host->address);
    memcpy(out->fingerprint, host->fingerprint, FINGERPRINT_BYTES);
    return 0;
}

/* No session sends more than its own limits, and all together no more than the host's. */
static uint64_t rate_of(const struct service *service, const struct relationship_row *row)
{
    const struct service_config *config = &service->config;
    const uint64_t limits[] = {row->settings.rate_bytes_per_s, config->session_rate_bytes_per_s,
                               config->rate_bytes_per_s / config->max_jobs};
    uint64_t rate = 0;

    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        if (limits[i] != 0 && (rate == 0 || limits[i] < rate)) {
            rate = limits[i];
        }
    }
    return rate;
}

int service_fill_order(const struct service *service, const struct relationship_row *row,
                       const struct uuid *job, bool is_initial, struct session_order *out,
                       struct error *err)
{
    *out = (struct session_order){
        .job = job_or_nil(job),
        .vm = row->vm,
        .hop = row->hop,
        .is_initial = is_initial,
        .generation = row->generation,
        .rate_bytes_per_s = rate_of(service, row),
        .is_compression_enabled = row->settings.is_compression_enabled,
    };
    if (fill_address(service, row->peer, &out->peer, err) < 0) {
        return -1;
    }
    (void)snprintf(out->folder, sizeof out->folder, "%s",
                   row->role == RELATIONSHIP_EXTENDING ? row->folder : "");
    for (uint32_t i = 0; i < row->disk_count; i++) {
        if (row->disks[i].is_included) {
            assert(out->disk_count < DISKS_MAX);
            (void)snprintf(out->disks[out->disk_count++], DISK_NAME_MAX, "%s", row->disks[i].name);
        }
    }
    return 0;
}

/* --- pending operations ---------------------------------------------------------------------- */

static void free_pending(struct pending *pending)
{
    relationship_row_done(&pending->row);
    free(pending);
}

static struct service_asker asker_of(const struct pending *pending)
{
    return (struct service_asker){
        .caller = &pending->caller, .reply = pending->reply, .context = pending->context};
}

/* Off the list; the caller frees it. NULL: no such operation. */
static struct pending *take_pending(struct service *service, uint64_t token)
{
    for (uint32_t i = 0; i < service->pending_count; i++) {
        struct pending *pending = service->pendings[i];
        if (pending->token == token) {
            service->pendings[i] = service->pendings[--service->pending_count];
            return pending;
        }
    }
    return NULL;
}

bool service_is_pending(const struct service *service, const struct uuid *vm)
{
    for (uint32_t i = 0; i < service->pending_count; i++) {
        const struct pending *pending = service->pendings[i];
        if (!uuid_is_nil(vm) && uuid_equal(&pending->row.vm, vm)) {
            return true;
        }
    }
    return false;
}

void service_pending_done(struct service *service)
{
    struct error err = {0};

    (void)fail(&err, ERR_CANCELLED, 0, "the service stops");
    for (uint32_t i = 0; service->pendings != NULL && i < service->pending_count; i++) {
        struct service_asker asker = asker_of(service->pendings[i]);
        service_reply_error(&asker, RETURN_FAILED, &err);
        free_pending(service->pendings[i]);
    }
    service->pending_count = 0;
}

static enum peer_call call_of(enum pending_kind kind)
{
    switch (kind) {
    case PENDING_CREATE:
        return PEER_OFFER;
    case PENDING_START:
    case PENDING_RESYNC:
        return PEER_PREPARE;
    case PENDING_MODIFY:
        return PEER_MODIFY;
    case PENDING_REMOVE:
        return PEER_REMOVE;
    case PENDING_TEST:
    case PENDING_GREETING:
        return PEER_HELLO;
    case PENDING_INVALID:
        break;
    }
    return PEER_CALL_INVALID;
}

static int ask(struct service *service, struct pending *pending, struct error *err)
{
    const struct outside *outside = service->config.outside;
    struct peer_question question = {.call = call_of(pending->kind),
                                     .is_initial = pending->kind == PENDING_START};
    struct peer_address address;

    if (fill_address(service, pending->host, &address, err) < 0 ||
        relationship_row_copy(&question.relationship, &pending->row, err) < 0) {
        return -1;
    }
    pending->is_asking = true;
    return outside->ask(outside->context, pending->token, &address, &question, RESYNC_CHECK_S, err);
}

static int look(struct service *service, struct pending *pending, struct error *err)
{
    const struct outside *outside = service->config.outside;
    struct session_order *order = calloc(1, sizeof *order);

    if (order == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a look at disks");
    }
    int result = service_fill_order(service, &pending->row, NULL, false, order, err);
    if (result == 0) {
        result = outside->look(outside->context, pending->token, order, err);
    }
    free(order);
    return result;
}

static bool is_looked_at_first(enum pending_kind kind)
{
    return kind == PENDING_CREATE || kind == PENDING_START || kind == PENDING_RESYNC;
}

static enum return_value value_of_refusal(const struct error *err)
{
    return err->kind == ERR_LIMIT ? RETURN_OUT_OF_MEMORY : RETURN_NOT_AVAILABLE;
}

void service_pend(struct service *service, const struct service_asker *asker,
                  enum pending_kind kind, struct relationship_row *row, uint16_t job_type,
                  const char *host)
{
    struct error err = {0};
    struct pending *pending =
        service->pending_count == JOBS_OPEN_MAX ? NULL : calloc(1, sizeof *pending);

    if (pending == NULL) {
        relationship_row_done(row);
        (void)fail(&err, ERR_LIMIT, 0, "too many operations wait for answers; try again later");
        service_reply_error(asker, RETURN_OUT_OF_MEMORY, &err);
        return;
    }
    *pending = (struct pending){.token = service->next_token++,
                                .kind = kind,
                                .reply = asker->reply,
                                .context = asker->context,
                                .caller = *asker->caller,
                                .row = *row,
                                .job_type = job_type};
    (void)snprintf(pending->host, sizeof pending->host, "%s", host);
    service->pendings[service->pending_count++] = pending;
    int result =
        is_looked_at_first(kind) ? look(service, pending, &err) : ask(service, pending, &err);
    if (result < 0) {
        struct pending *taken = take_pending(service, pending->token);
        assert(taken == pending);
        service_reply_error(asker, value_of_refusal(&err), &err);
        free_pending(taken);
    }
}

/* --- what others tell ----------------------------------------------------------------------------
 */

/* What a disk that cannot be opened means to a caller (DESIGN 7). */
static enum return_value value_of_disk_error(const struct error *err)
{
    if (err->errnum == ENOENT || err->errnum == ENXIO || err->errnum == ENODEV) {
        return RETURN_FILE_NOT_FOUND;
    }
    switch (err->kind) {
    case ERR_USAGE:
        return RETURN_NOT_SUPPORTED;
    case ERR_WRONG_STATE:
        return RETURN_IN_USE;
    case ERR_LIMIT:
        return RETURN_OUT_OF_MEMORY;
    case ERR_NONE:
    case ERR_IO:
    case ERR_PEER:
    case ERR_INTERNAL:
    case ERR_CANCELLED:
        return RETURN_FAILED;
    }
    return RETURN_FAILED;
}

static void take_sizes(struct relationship_row *row, const uint64_t *sizes)
{
    for (uint32_t i = 0; i < row->disk_count; i++) {
        if (row->disks[i].is_included) {
            row->disks[i].size_bytes = *sizes++;
        }
    }
}

/* The pending operation is over: whoever waits for it is told why. */
static void refuse(struct service *service, uint64_t token, enum return_value value,
                   const struct error *err)
{
    struct pending *pending = take_pending(service, token);
    struct service_asker asker = asker_of(pending);

    service_reply_error(&asker, value, err);
    free_pending(pending);
}

static struct pending *find_pending(const struct service *service, uint64_t token)
{
    for (uint32_t i = 0; i < service->pending_count; i++) {
        if (service->pendings[i]->token == token) {
            return service->pendings[i];
        }
    }
    return NULL;
}

void service_looked(struct service *service, uint64_t token, const uint64_t *sizes,
                    const struct error *err)
{
    struct pending *pending = find_pending(service, token);
    struct error refused = {0};

    if (pending == NULL || pending->is_asking) {
        return;
    }
    if (sizes == NULL) {
        refuse(service, token, value_of_disk_error(err), err);
        return;
    }
    take_sizes(&pending->row, sizes);
    if (ask(service, pending, &refused) < 0) {
        refuse(service, token, value_of_refusal(&refused), &refused);
    }
}

static enum return_value value_of_answer(const struct pending *pending,
                                         const struct peer_answer *answer, struct error *err)
{
    switch (answer->end) {
    case PEER_ANSWERED:
        if (answer->value != RETURN_DONE) {
            (void)fail(err, ERR_PEER, 0, "%.128s: %.480s", pending->host, answer->message);
        }
        return answer->value;
    case PEER_UNREACHABLE:
        (void)fail(err, ERR_PEER, 0, "host '%.128s' cannot be reached: %.440s", pending->host,
                   answer->message);
        return RETURN_NOT_AVAILABLE;
    case PEER_SILENT:
        (void)fail(err, ERR_PEER, 0,
                   "host '%.128s' accepted the connection and did not answer within %u s",
                   pending->host, RESYNC_CHECK_S);
        return RETURN_TIMEOUT;
    case PEER_GARBLED:
    case PEER_END_INVALID:
        (void)fail(err, ERR_PEER, 0,
                   "host '%.128s' answered what this version does not understand: %.400s",
                   pending->host, answer->message);
        return RETURN_UNKNOWN;
    }
    return RETURN_UNKNOWN;
}

static void finish_test(const struct service_asker *asker, const struct peer_answer *answer)
{
    struct service_reply what = {.value = RETURN_DONE};

    (void)snprintf(what.error.message, sizeof what.error.message,
                   "host '%.128s' answers, version %s", answer->host_name, answer->version);
    reply(asker, &what);
}

static void finish(struct service *service, struct pending *pending,
                   const struct peer_answer *answer)
{
    struct service_asker asker = asker_of(pending);

    switch (pending->kind) {
    case PENDING_CREATE:
        service_finish_create(service, &asker, pending);
        return;
    case PENDING_START:
        service_finish_start(service, &asker, pending);
        return;
    case PENDING_RESYNC:
        service_finish_resync(service, &asker, pending);
        return;
    case PENDING_MODIFY:
        service_finish_modify(service, &asker, pending);
        return;
    case PENDING_REMOVE:
        service_finish_remove(service, &asker, pending);
        return;
    case PENDING_TEST:
        finish_test(&asker, answer);
        return;
    case PENDING_GREETING:
    case PENDING_INVALID:
        return;
    }
}

void service_answered(struct service *service, uint64_t token, const struct peer_answer *answer)
{
    struct pending *pending = take_pending(service, token);
    struct error err = {0};

    if (pending == NULL) {
        return;
    }
    enum return_value value = value_of_answer(pending, answer, &err);
    if (answer->end == PEER_ANSWERED) {
        service_hurry(service, pending->host);
    }
    /* A relationship is removed here even when its peer is gone for ever. */
    bool is_gone_anyway = pending->kind == PENDING_REMOVE && answer->end != PEER_ANSWERED;
    if (value == RETURN_DONE || is_gone_anyway) {
        finish(service, pending, answer);
    } else {
        struct service_asker asker = asker_of(pending);
        service_reply_error(&asker, value, &err);
    }
    free_pending(pending);
}
