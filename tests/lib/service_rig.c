/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/instant.h"
#include "store/store_internal.h"

#include <cmocka.h>

#undef fail /* ours is meant here, not cmocka's */

const struct caller rig_administrator = {.role = CALLER_ADMINISTRATOR, .name = "alice"};
const struct caller rig_operator = {.role = CALLER_OPERATOR, .name = "olga"};
const struct caller rig_viewer = {.role = CALLER_VIEWER, .name = "victor"};
const struct caller rig_nobody = {.role = CALLER_NOBODY, .name = "nils"};
const struct uuid rig_far = {{0xfa, 1}};

/* --- clock and chance ------------------------------------------------------------------------ */

static uint64_t env_ns(void *context)
{
    return ((struct rig *)context)->now_ns;
}

static int64_t env_us(void *context)
{
    return ((struct rig *)context)->wall_us;
}

/* splitmix64 */
static uint64_t next_random(struct rig *rig)
{
    uint64_t value = rig->seed += 0x9e3779b97f4a7c15;

    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

uint64_t rig_chance(struct rig *rig, uint64_t below)
{
    return next_random(rig) % below;
}

static int env_bytes(void *context, struct span out, struct error *err)
{
    (void)err;
    for (size_t i = 0; i < out.len_bytes; i++) {
        out.at[i] = (uint8_t)next_random(context);
    }
    return 0;
}

/* --- outside --------------------------------------------------------------------------------- */

static int outside_ask(void *context, uint64_t token, const struct peer_address *peer,
                       struct peer_question *question, uint32_t deadline_s, struct error *err)
{
    struct rig *rig = context;
    struct rig_wait wait = {.token = token,
                            .call = question->call,
                            .disk_count = question->relationship.disk_count,
                            .generation = question->relationship.generation};

    assert_true(peer->address[0] != '\0' && deadline_s == RESYNC_CHECK_S);
    relationship_row_done(&question->relationship);
    if (rig->refuse_ask != ERR_NONE) {
        return fail(err, rig->refuse_ask, 0, "no question today");
    }
    assert_true(rig->wait_count < RIG_WAITS_MAX);
    rig->waits[rig->wait_count++] = wait;
    return 0;
}

static int outside_look(void *context, uint64_t token, const struct session_order *order,
                        struct error *err)
{
    struct rig *rig = context;

    if (rig->refuse_look != ERR_NONE) {
        return fail(err, rig->refuse_look, 0, "no look today");
    }
    assert_true(rig->wait_count < RIG_WAITS_MAX);
    rig->waits[rig->wait_count++] =
        (struct rig_wait){.token = token, .is_look = true, .disk_count = order->disk_count};
    return 0;
}

static int outside_start(void *context, const struct session_order *order, struct error *err)
{
    struct rig *rig = context;

    if (rig->refuse_start != ERR_NONE) {
        return fail(err, rig->refuse_start, 0, "no session today");
    }
    assert_null(rig_session_of(rig, &order->job));
    assert_true(rig->session_count < RIG_SESSIONS_MAX);
    rig->sessions[rig->session_count++] = (struct rig_session){
        .job = order->job,
        .vm = order->vm,
        .is_running = true,
        .is_initial = order->is_initial,
        .hop = order->hop,
        .generation = order->generation,
        .rate_bytes_per_s = order->rate_bytes_per_s,
        .disk_count = order->disk_count,
    };
    return 0;
}

static void outside_stop(void *context, const struct uuid *job)
{
    struct rig_session *session = rig_session_of(context, job);

    assert_non_null(session);
    session->is_told_to_stop = true;
}

static void outside_cut(void *context, const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    struct rig *rig = context;

    rig->cut_count++;
    memcpy(rig->cut_fingerprint, fingerprint, FINGERPRINT_BYTES);
}

static void watch(void *context, const struct service_change *change)
{
    struct rig *rig = context;

    rig->event_count += change->subject == SUBJECT_EVENT ? 1 : 0;
    rig->job_change_count += change->subject == SUBJECT_JOB ? 1 : 0;
}

/* --- making ---------------------------------------------------------------------------------- */

static void make_inventory(struct rig *rig)
{
    static struct vm_disk disks[2] = {{.name = "vda", .path = "/nowhere/vda.raw"},
                                      {.name = "vdb", .path = "/nowhere/vdb.raw"}};
    struct vm vms[RIG_VMS];

    for (uint32_t i = 0; i < RIG_VMS; i++) {
        vms[i] = (struct vm){.id = {{(uint8_t)(i + 1), 7}}, .disk_count = 2, .disks = disks};
        (void)snprintf(vms[i].name, sizeof vms[i].name, "web%u", i + 1);
    }
    assert_int_equal(inventory_new_plain(vms, RIG_VMS, &rig->inventory, NULL), 0);
}

static void pair(struct rig *rig, const char *name, uint8_t number)
{
    struct host_row host = {.paired_us = rig->wall_us};
    enum return_value value = RETURN_FAILED;

    (void)snprintf(host.name, sizeof host.name, "%s", name);
    (void)snprintf(host.address, sizeof host.address, "%s.example:8490", name);
    rig_fingerprint(number, host.fingerprint);
    assert_int_equal(service_add_host(rig->service, &rig_administrator, &host, &value, NULL), 0);
    assert_int_equal(value, RETURN_DONE);
}

static void allow_gamma(struct rig *rig)
{
    struct authorization_row entry = {
        .allowed_primary = "gamma", .trust_group = "all", .storage_root = "/srv/replicas"};
    enum return_value value = RETURN_FAILED;

    assert_int_equal(
        service_set_authorization(rig->service, &rig_administrator, &entry, &value, NULL), 0);
}

static void configure(struct rig *rig)
{
    rig->env =
        (struct env){.now_ns = env_ns, .random = env_bytes, .wall_us = env_us, .context = rig};
    rig->outside = (struct outside){.ask = outside_ask,
                                    .look = outside_look,
                                    .start = outside_start,
                                    .stop = outside_stop,
                                    .cut = outside_cut,
                                    .context = rig};
    rig->config = (struct service_config){.env = &rig->env,
                                          .store = rig->store,
                                          .inventory = rig->inventory,
                                          .outside = &rig->outside,
                                          .host_name = "here",
                                          .is_replica_enabled = true,
                                          .max_jobs = JOBS_RUNNING_DEFAULT,
                                          .retry_first_s = 60,
                                          .monitoring_interval_s = 12 * 3600,
                                          .monitoring_start_minute = 9 * 60,
                                          .changed = watch,
                                          .context = rig};
}

struct rig *rig_new(void)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct error err = {0};

    assert_non_null(rig);
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    tzset();
    /* Where there is one, a folder in memory: what syncs cost is not looked at here. */
    (void)snprintf(rig->folder, sizeof rig->folder, "%s/service_test.XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->path, sizeof rig->path, "%s/state.db", rig->folder);
    rig->wall_us = RIG_NOON_US;
    rig->now_ns = NS_PER_S;
    rig->seed = 1;
    make_inventory(rig);
    int opened = store_open(rig->path, &rig->store, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(opened, 0);
    configure(rig);
    assert_int_equal(service_new(&rig->config, &rig->service, NULL), 0);
    pair(rig, "beta", 2);
    pair(rig, "gamma", 3);
    allow_gamma(rig);
    (void)service_step(rig->service);
    rig_answer_all(rig);
    return rig;
}

void rig_free(struct rig *rig)
{
    service_free(rig->service);
    for (uint32_t i = 0; i < rig->reply_count; i++) {
        assert_int_equal(rig->replies[i].count, 1); /* invariant 3 of the service */
    }
    store_close(rig->store);
    inventory_free(rig->inventory);
    (void)unlink(rig->path);
    assert_int_equal(rmdir(rig->folder), 0);
    free(rig);
}

void rig_restart(struct rig *rig)
{
    service_free(rig->service);
    rig->service = NULL;
    rig->wait_count = 0;
    for (uint32_t i = 0; i < rig->session_count; i++) {
        rig->sessions[i].is_running = false;
    }
    assert_int_equal(service_new(&rig->config, &rig->service, NULL), 0);
}

void rig_break_store(struct rig *rig, bool is_broken)
{
    assert_int_equal(store_execute(rig->store,
                                   is_broken ? "PRAGMA query_only = ON" : "PRAGMA query_only = OFF",
                                   NULL),
                     0);
}

void rig_pass(struct rig *rig, int64_t us)
{
    rig->wall_us += us;
    rig->now_ns += us > 0 ? (uint64_t)us * 1000 : 0;
    (void)service_step(rig->service);
}

/* --- operations ------------------------------------------------------------------------------ */

static void take_reply(void *context, const struct service_reply *reply)
{
    struct rig_reply *place = context;

    place->count++;
    place->last = *reply;
    if (reply->value != RETURN_DONE && reply->value != RETURN_JOB_STARTED) {
        assert_true(reply->error.message[0] != '\0');
    }
}

struct rig_reply *rig_asker(struct rig *rig, const struct caller *caller, struct service_asker *out)
{
    assert_true(rig->reply_count < RIG_REPLIES_MAX);
    struct rig_reply *place = &rig->replies[rig->reply_count++];

    *out = (struct service_asker){.caller = caller, .reply = take_reply, .context = place};
    return place;
}

struct rig_reply *rig_create(struct rig *rig, const char *vm, const char *host)
{
    struct relationship_request request = {.vm = vm, .host = host};
    struct service_asker asker;
    struct rig_reply *place = rig_asker(rig, &rig_administrator, &asker);

    service_settings_default(&request.settings);
    service_create(rig->service, &asker, &request);
    return place;
}

struct rig_reply *rig_start(struct rig *rig, const char *vm)
{
    struct service_asker asker;
    struct rig_reply *place = rig_asker(rig, &rig_operator, &asker);

    service_start(rig->service, &asker, vm, -1, NULL, false);
    return place;
}

struct rig_reply *rig_resync(struct rig *rig, const char *vm, const char *start_time)
{
    struct service_asker asker;
    struct rig_reply *place = rig_asker(rig, &rig_operator, &asker);

    service_resynchronize(rig->service, &asker, vm, start_time);
    return place;
}

struct rig_reply *rig_request(struct rig *rig, const char *vm, uint16_t state)
{
    struct service_asker asker;
    struct rig_reply *place = rig_asker(rig, &rig_operator, &asker);

    service_request_state(rig->service, &asker, vm, -1, state);
    return place;
}

struct rig_reply *rig_request_job(struct rig *rig, const struct uuid *job, uint16_t state)
{
    struct service_asker asker;
    struct rig_reply *place = rig_asker(rig, &rig_operator, &asker);

    service_request_job_state(rig->service, &asker, job, state);
    return place;
}

struct rig_reply *rig_remove(struct rig *rig, const char *vm)
{
    struct service_asker asker;
    struct rig_reply *place = rig_asker(rig, &rig_administrator, &asker);

    service_remove(rig->service, &asker, vm, -1);
    return place;
}

/* --- answers --------------------------------------------------------------------------------- */

static bool take_wait(struct rig *rig, bool is_look, struct rig_wait *out)
{
    for (uint32_t i = 0; i < rig->wait_count; i++) {
        if (rig->waits[i].is_look == is_look) {
            *out = rig->waits[i];
            rig->wait_count--;
            memmove(&rig->waits[i], &rig->waits[i + 1],
                    (rig->wait_count - i) * sizeof rig->waits[0]);
            return true;
        }
    }
    return false;
}

bool rig_answer(struct rig *rig, enum peer_end end, enum return_value value)
{
    struct peer_answer answer = {
        .end = end, .value = value, .message = "because", .host_name = "beta", .version = "1"};
    struct rig_wait wait;

    if (!take_wait(rig, false, &wait)) {
        return false;
    }
    service_answered(rig->service, wait.token, &answer);
    return true;
}

bool rig_look(struct rig *rig, const struct error *err)
{
    uint64_t sizes[DISKS_MAX];
    struct rig_wait wait;

    if (!take_wait(rig, true, &wait)) {
        return false;
    }
    for (uint32_t i = 0; i < DISKS_MAX; i++) {
        sizes[i] = RIG_DISK_BYTES;
    }
    service_looked(rig->service, wait.token, err == NULL ? sizes : NULL, err);
    return true;
}

void rig_answer_all(struct rig *rig)
{
    while (rig_look(rig, NULL) || rig_answer(rig, PEER_ANSWERED, RETURN_DONE)) {
    }
}

/* --- sessions -------------------------------------------------------------------------------- */

struct rig_session *rig_session_of(struct rig *rig, const struct uuid *job)
{
    for (uint32_t i = 0; i < rig->session_count; i++) {
        if (rig->sessions[i].is_running && uuid_equal(&rig->sessions[i].job, job)) {
            return &rig->sessions[i];
        }
    }
    return NULL;
}

uint32_t rig_running(const struct rig *rig)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < rig->session_count; i++) {
        count += rig->sessions[i].is_running ? 1 : 0;
    }
    return count;
}

static void fill_progress(struct progress *out, uint64_t compared, uint64_t resumed)
{
    *out = (struct progress){.disk_count = 2};
    for (uint32_t i = 0; i < 2; i++) {
        out->disks[i] = (struct disk_progress){.size_bytes = RIG_DISK_BYTES,
                                               .compared_bytes = compared,
                                               .resumed_bytes = resumed,
                                               .shipped_bytes = LEAF_BYTES,
                                               .different_bytes = LEAF_BYTES,
                                               .written_bytes = LEAF_BYTES};
    }
}

void rig_end(struct rig *rig, const struct uuid *job, enum error_kind kind)
{
    struct session_end *end = calloc(1, sizeof *end);
    struct rig_session *session = rig_session_of(rig, job);
    struct uuid id = *job;

    assert_non_null(end);
    assert_non_null(session);
    session->is_running = false;
    end->is_done = kind == ERR_NONE;
    end->elapsed_ns = 3 * NS_PER_S;
    fill_progress(&end->progress, kind == ERR_NONE ? RIG_DISK_BYTES : 0, 0);
    if (kind != ERR_NONE) {
        (void)fail(&end->error, kind, 0, "the test ended it");
    }
    service_session_ended(rig->service, &id, end);
    free(end);
}

void rig_progress(struct rig *rig, const struct uuid *job, uint64_t compared, uint64_t resumed)
{
    struct progress progress;

    fill_progress(&progress, compared, resumed);
    service_progress(rig->service, job, &progress);
}

/* --- ways to a state ------------------------------------------------------------------------- */

void rig_make_replicating(struct rig *rig, const char *vm)
{
    struct rig_reply *created = rig_create(rig, vm, "beta");

    rig_answer_all(rig);
    assert_int_equal(created->last.value, RETURN_DONE);
    struct rig_reply *started = rig_start(rig, vm);
    rig_answer_all(rig);
    assert_int_equal(started->last.value, RETURN_JOB_STARTED);
    rig_end(rig, &started->last.job, ERR_NONE);
    assert_int_equal(rig_state(rig, vm), STATE_REPLICATING);
}

struct uuid rig_begin_resync(struct rig *rig, const char *vm)
{
    struct rig_reply *reply = rig_resync(rig, vm, NULL);

    rig_answer_all(rig);
    assert_int_equal(reply->count, 1);
    assert_int_equal(reply->last.value, RETURN_JOB_STARTED);
    assert_non_null(rig_session_of(rig, &reply->last.job));
    assert_int_equal(rig_state(rig, vm), STATE_RESYNCHRONIZING);
    return reply->last.job;
}

const struct relationship_row *rig_row(struct rig *rig, const char *vm, uint8_t hop)
{
    struct service_vm found;

    return service_find_vm(rig->service, vm, &found, NULL) < 0 ? NULL : found.relationships[hop];
}

uint16_t rig_state(struct rig *rig, const char *vm)
{
    const struct relationship_row *row = rig_row(rig, vm, 0);

    assert_non_null(row);
    return row->state;
}

const struct job_row *rig_job(struct rig *rig, const struct uuid *id)
{
    const struct job_row *row = service_find_job(rig->service, id);

    assert_non_null(row);
    return row;
}

const char *rig_start_text(const struct rig *rig, int64_t ahead_us)
{
    static char text[INSTANT_TEXT_MAX];

    instant_format(rig->wall_us + ahead_us, text);
    return text;
}

/* --- the target's side ----------------------------------------------------------------------- */

void rig_fingerprint(uint8_t number, uint8_t out[FINGERPRINT_BYTES])
{
    memset(out, number, FINGERPRINT_BYTES);
}

struct peer_answer rig_asked(struct rig *rig, uint8_t fingerprint, enum peer_call call,
                             uint64_t generation, uint64_t size_bytes)
{
    struct relationship_disk disks[2] = {
        {.name = "vda", .size_bytes = size_bytes, .is_included = true},
        {.name = "vdb", .size_bytes = size_bytes, .is_included = true}};
    struct peer_question question = {.call = call};
    struct peer_answer answer;
    uint8_t bytes[FINGERPRINT_BYTES];

    question.relationship.vm = rig_far;
    question.relationship.generation = generation;
    question.relationship.disk_count = 2;
    question.relationship.disks = disks;
    service_settings_default(&question.relationship.settings);
    (void)snprintf(question.relationship.vm_name, VM_NAME_MAX, "far");
    rig_fingerprint(fingerprint, bytes);
    service_asked(rig->service, bytes, &question, &answer);
    assert_int_equal(answer.end, PEER_ANSWERED);
    assert_true(answer.value == RETURN_DONE || answer.message[0] != '\0');
    return answer;
}

void rig_request_far(uint64_t generation, struct session_request *out)
{
    *out = (struct session_request){
        .vm = rig_far, .generation = generation, .disk_count = 2, .disks = {"vda", "vdb"}};
    out->size_bytes[0] = RIG_DISK_BYTES;
    out->size_bytes[1] = RIG_DISK_BYTES;
}

/* --- checking -------------------------------------------------------------------------------- */

struct comparison {
    struct rig *rig;
    uint32_t count;
};

static int compare_relationship(void *context, const struct relationship_row *row,
                                struct error *err)
{
    struct comparison *comparison = context;
    const struct service_relationship *at =
        service_find_relationship(comparison->rig->service, &row->vm, row->hop);

    (void)err;
    comparison->count++;
    assert_non_null(at);
    assert_int_equal(row->state, at->row.state);
    assert_int_equal(row->role, at->row.role);
    assert_int_equal(row->health, at->row.health);
    assert_int_equal(row->generation, at->row.generation);
    assert_int_equal(row->peer_generation, at->row.peer_generation);
    assert_int_equal(row->last_replication_us, at->row.last_replication_us);
    assert_int_equal(row->last_try_us, at->row.last_try_us);
    assert_int_equal(row->disk_count, at->row.disk_count);
    assert_string_equal(row->reason, at->row.reason);
    assert_string_equal(row->peer, at->row.peer);
    assert_int_equal(row->settings.interval_s, at->row.settings.interval_s);
    assert_int_equal(row->settings.recovery_history, at->row.settings.recovery_history);
    assert_int_equal(row->settings.is_auto_resync_enabled, at->row.settings.is_auto_resync_enabled);
    for (uint32_t i = 0; i < row->disk_count; i++) {
        assert_int_equal(row->disks[i].size_bytes, at->row.disks[i].size_bytes);
    }
    return 0;
}

static int compare_job(void *context, const struct job_row *row, struct error *err)
{
    struct comparison *comparison = context;
    const struct job_row *at = service_find_job(comparison->rig->service, &row->id);

    (void)err;
    comparison->count++;
    assert_non_null(at);
    assert_int_equal(row->state, at->state);
    assert_int_equal(row->type, at->type);
    assert_int_equal(row->sequence, at->sequence);
    assert_int_equal(row->scheduled_us, at->scheduled_us);
    assert_int_equal(row->started_us, at->started_us);
    assert_int_equal(row->next_try_us, at->next_try_us);
    assert_int_equal(row->attempts, at->attempts);
    return 0;
}

static bool is_stop(uint16_t type)
{
    return type == JOB_STOP_RESYNC || type == JOB_STOP_INITIAL || type == JOB_STATE_CHANGE;
}

static uint32_t count_open_of(const struct service *service, const struct relationship_row *row)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < service->job_count; i++) {
        const struct service_job *job = service->jobs[i];
        count += job->phase != PHASE_ENDED && !is_stop(job->row.type) &&
                         uuid_equal(&job->row.vm, &row->vm) && job->row.hop == row->hop
                     ? 1
                     : 0;
    }
    return count;
}

static void check_relationships(const struct service *service)
{
    for (uint32_t i = 0; i < service->relationship_count; i++) {
        const struct service_relationship *at = service->relationships[i];
        uint32_t open = count_open_of(service, &at->row);
        bool needs_job = at->row.state == STATE_RESYNCHRONIZING ||
                         at->row.state == STATE_RESYNC_SUSPENDED ||
                         (role_is_source(at->row.role) && at->row.state == STATE_WAITING_INITIAL);
        assert_true(at->row.state > STATE_DISABLED && at->row.state <= STATE_RESYNC_SUSPENDED);
        assert_false(at->is_unsaved);
        assert_true(open <= 1);
        assert_true(!needs_job || open == 1);
        assert_true(role_is_source(at->row.role) || open == 0);
    }
}

static void check_jobs(struct rig *rig)
{
    const struct service *service = rig->service;
    uint32_t at_work = 0;

    for (uint32_t i = 0; i < service->job_count; i++) {
        const struct service_job *job = service->jobs[i];
        const struct rig_session *session = rig_session_of(rig, &job->row.id);
        bool is_at_work = job->phase == PHASE_AT_WORK;
        at_work += is_at_work ? 1 : 0;
        assert_int_equal(is_at_work, session != NULL);
        assert_int_equal(job->phase == PHASE_ENDED, job_state_is_end(job->row.state));
        assert_int_equal(job->phase == PHASE_ENDED, job->row.ended_us != 0);
        bool is_held = job->phase == PHASE_HELD || job->stop == STOP_SUSPEND;
        assert_int_equal(is_held, job->row.state == JOB_SUSPENDED);
        assert_false(job->is_unsaved);
        assert_true(i == 0 || service->jobs[i - 1]->row.sequence < job->row.sequence);
        /* A job that stops another is open only while that one's session runs. */
        if (is_stop(job->row.type) && job->phase != PHASE_ENDED) {
            assert_non_null(service_open_job(service, &job->row.vm, job->row.hop));
        }
    }
    assert_true(at_work <= service->config.max_jobs);
    assert_int_equal(at_work, rig_running(rig));
}

void rig_check(struct rig *rig)
{
    struct comparison relationships = {.rig = rig};
    struct comparison jobs = {.rig = rig};
    struct job_filter open = {.is_open_only = true};
    uint32_t open_count = 0;

    check_relationships(rig->service);
    check_jobs(rig);
    assert_int_equal(
        store_load_relationships(rig->store, compare_relationship, &relationships, NULL), 0);
    assert_int_equal(relationships.count, rig->service->relationship_count);
    assert_int_equal(store_load_jobs(rig->store, &open, compare_job, &jobs, NULL), 0);
    for (uint32_t i = 0; i < rig->service->job_count; i++) {
        open_count += rig->service->jobs[i]->phase != PHASE_ENDED ? 1 : 0;
    }
    assert_int_equal(jobs.count, open_count);
}
