/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * control_rig.h - the control API on a socket of its own, with a service that only writes down what
 * it is asked. Included by tests of the control API, and of what is built on it; no test needs all
 * of it, so that what some do not is inline.
 */
#ifndef RESILVER_TESTS_CONTROL_RIG_H
#define RESILVER_TESTS_CONTROL_RIG_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/server.h"

/* --- the service that writes down ------------------------------------------------------------- */

#define VM_ID "6f1c2a9e-0000-4000-8000-000000000001"
#define JOB_ID "6f1c2a9e-0000-4000-8000-00000000000a"
#define OLD_JOB_ID "6f1c2a9e-0000-4000-8000-00000000000b"
#define PAIRING_ID "6f1c2a9e-0000-4000-8000-00000000000c"

struct service {
    unsigned int calls;                    /* operations, not looks */
    char last[2048];                       /* the last of them, with what it was given */
    struct relationship_settings settings; /* that it was given last */
    enum return_value value;               /* what is replied */
    bool is_late;                          /* the reply waits for service_reply_now() */
    service_reply_fn *reply;
    void *context;
};

static struct service the_service;
static struct vm_disk the_disks[] = {
    {.name = "vda", .path = "/srv/\xff web1.raw", .format = DISK_FORMAT_RAW}, {.name = "vdb"}};
static struct vm the_vm = {.name = "web1", .disk_count = 2, .disks = the_disks};
static struct relationship_disk the_relationship_disks[] = {
    {.name = "vda", .size_bytes = 1 << 20, .is_included = true}};
static struct relationship_row the_relationship = {
    .role = RELATIONSHIP_PRIMARY,
    .state = STATE_REPLICATING,
    .health = HEALTH_OK,
    .vm_name = "web1",
    .peer = "db2",
    .settings = {.interval_s = 300, .auto_start_minute = 1110, .auto_end_minute = 360},
    .disk_count = 1,
    .disks = the_relationship_disks};
static struct job_row the_job = {.sequence = 7,
                                 .type = JOB_RESYNC,
                                 .state = JOB_RUNNING,
                                 .vm_name = "web1",
                                 .owner = "tester",
                                 .submitted_us = US_PER_S,
                                 .started_us = 2 * US_PER_S};
static struct progress the_progress = {.disk_count = 1};
/* The second is shown when the_host_count says so; the third is revoked. */
static struct host_row the_hosts[] = {
    {.name = "db2", .address = "db2.example:8490", .paired_us = 1},
    {.name = "db3", .address = "db3.example:8490", .paired_us = 1},
    {.name = "db4", .address = "db4.example:8490", .paired_us = 1, .revoked_us = 2}};
static uint32_t the_host_count;
static enum replication_mode the_mode;
static const struct relationship_row *the_second; /* of hop 1; NULL: none */
static const struct relationship_row *the_first;
static uint32_t the_authorization_count;
static struct authorization_row the_authorization = {
    .allowed_primary = "db2", .trust_group = "DEFAULT", .storage_root = "/srv/replicas"};
static struct pairing the_pairing = {.state = PAIRING_CODE, .code = "123456", .peer_name = "db2"};

static struct uuid id_of(const char *text)
{
    struct uuid id = {{0}};

    assert_int_equal(uuid_parse(text, &id, NULL), 0);
    return id;
}

static void service_reset(void)
{
    the_service = (struct service){.value = RETURN_DONE};
    the_host_count = 1;
    the_mode = MODE_PRIMARY;
    the_first = &the_relationship;
    the_second = NULL;
    the_authorization_count = 1;
    the_vm.id = id_of(VM_ID);
    the_relationship.vm = the_vm.id;
    the_job.vm = the_vm.id;
    the_job.id = id_of(JOB_ID);
    the_pairing.id = id_of(PAIRING_ID);
}

static void note(const char *format, ...) FORMAT_AT(1, 2);
static void note(const char *format, ...)
{
    va_list values;

    va_start(values, format);
    (void)vsnprintf(the_service.last, sizeof the_service.last, format, values);
    va_end(values);
    the_service.calls++;
}

static void send_reply(service_reply_fn *reply, void *context)
{
    struct service_reply what = {.value = the_service.value};

    if (what.value == RETURN_JOB_STARTED) {
        what.job = the_job.id;
    } else if (what.value != RETURN_DONE) {
        (void)(fail)(&what.error, ERR_WRONG_STATE, 0, "it was refused: \"%d\"\x80", what.value);
    }
    reply(context, &what);
}

static void answer(const struct service_asker *asker)
{
    if (the_service.is_late) {
        the_service.reply = asker->reply;
        the_service.context = asker->context;
        return;
    }
    send_reply(asker->reply, asker->context);
}

static int answer_now(enum return_value *out, struct error *err)
{
    *out = the_service.value;
    return *out == RETURN_DONE ? 0 : (fail)(err, ERR_USAGE, 0, "it was refused");
}

void service_settings_default(struct relationship_settings *out)
{
    *out = (struct relationship_settings){.interval_s = 300};
}

static const char *shown(const char *text)
{
    return text != NULL ? text : "-";
}

void service_create(struct service *service, const struct service_asker *asker,
                    const struct relationship_request *request)
{
    note("create %s to %s, %u disks, first %s, history %u, interval %u, %u to %u", request->vm,
         request->host, request->disk_count, request->disk_count > 0 ? request->disks[0] : "-",
         request->settings.recovery_history, request->settings.interval_s,
         request->settings.auto_start_minute, request->settings.auto_end_minute);
    service->settings = request->settings;
    answer(asker);
}

void service_start(struct service *service, const struct service_asker *asker, const char *vm,
                   int hop, const char *start_time, bool is_seeded)
{
    (void)service;
    note("start %s/%d at %s%s", vm, hop, shown(start_time), is_seeded ? " seeded" : "");
    answer(asker);
}

void service_modify(struct service *service, const struct service_asker *asker, const char *vm,
                    int hop, const struct relationship_settings *settings)
{
    note("modify %s/%d history %u, interval %u, rate %llu, window %d from %u to %u", vm, hop,
         settings->recovery_history, settings->interval_s,
         (unsigned long long)settings->rate_bytes_per_s, settings->is_auto_resync_enabled,
         settings->auto_start_minute, settings->auto_end_minute);
    service->settings = *settings;
    answer(asker);
}

void service_remove(struct service *service, const struct service_asker *asker, const char *vm,
                    int hop)
{
    (void)service;
    note("remove %s/%d", vm, hop);
    answer(asker);
}

void service_resynchronize(struct service *service, const struct service_asker *asker,
                           const char *vm, const char *start_time)
{
    (void)service;
    note("resynchronize %s at %s", vm, shown(start_time));
    answer(asker);
}

void service_request_state(struct service *service, const struct service_asker *asker,
                           const char *vm, int hop, uint16_t requested_state)
{
    (void)service;
    note("state %s/%d %u", vm, hop, requested_state);
    answer(asker);
}

void service_request_job_state(struct service *service, const struct service_asker *asker,
                               const struct uuid *job, uint16_t requested_state)
{
    char id[UUID_TEXT_MAX];

    (void)service;
    uuid_format(job, id);
    note("job %s %u", id, requested_state);
    answer(asker);
}

void service_test_host(struct service *service, const struct service_asker *asker, const char *host)
{
    (void)service;
    note("test %s", host);
    answer(asker);
}

void service_reset_statistics(struct service *service, const struct service_asker *asker,
                              const char *vm, int hop)
{
    (void)service;
    note("reset statistics %s/%d", vm, hop);
    answer(asker);
}

int service_set_host_address(struct service *service, const struct caller *caller, const char *name,
                             const char *address, enum return_value *out, struct error *err)
{
    (void)service;
    note("address of %s: %s, by %s", name, address, caller->name);
    return answer_now(out, err);
}

int service_revoke_host(struct service *service, const struct caller *caller, const char *name,
                        enum return_value *out, struct error *err)
{
    (void)service;
    note("revoke %s, by %s", name, caller->name);
    return answer_now(out, err);
}

int service_set_authorization(struct service *service, const struct caller *caller,
                              const struct authorization_row *entry, enum return_value *out,
                              struct error *err)
{
    (void)service;
    note("authorize %s for %s in %s, by %s", entry->allowed_primary, entry->storage_root,
         entry->trust_group, caller->name);
    the_authorization_count = the_service.value == RETURN_DONE ? 1 : the_authorization_count;
    return answer_now(out, err);
}

int service_remove_authorization(struct service *service, const struct caller *caller,
                                 const char *allowed_primary, enum return_value *out,
                                 struct error *err)
{
    (void)service;
    note("remove authorization of %s, by %s", allowed_primary, caller->name);
    return answer_now(out, err);
}

/* --- what it knows ---------------------------------------------------------------------------- */

void service_health_reason(const struct service *s, const struct relationship_row *row, char *out,
                           size_t size_bytes)
{
    (void)s;
    (void)snprintf(out, size_bytes, "%s",
                   row->health > HEALTH_OK ? "it has a reason for its health" : "");
}

uint32_t service_vm_count(const struct service *service)
{
    (void)service;
    return 1;
}

void service_vm_at(const struct service *service, uint32_t index, struct service_vm *out)
{
    (void)service;
    assert_int_equal(index, 0);
    *out = (struct service_vm){.id = the_vm.id,
                               .name = the_vm.name,
                               .mode = the_mode,
                               .vm = &the_vm,
                               .inventory = "plain",
                               .relationships = {the_first, the_second}};
}

int service_find_vm(const struct service *service, const char *text, struct service_vm *out,
                    struct error *err)
{
    if (strcmp(text, "web1") != 0 && strcmp(text, VM_ID) != 0) {
        return (fail)(err, ERR_USAGE, 0, "there is no VM '%.128s'", text);
    }
    service_vm_at(service, 0, out);
    return 0;
}

uint32_t service_host_count(const struct service *service)
{
    (void)service;
    return the_host_count;
}

const struct host_row *service_host_at(const struct service *service, uint32_t index)
{
    (void)service;
    assert_true(index < the_host_count);
    return &the_hosts[index];
}

const struct host_row *service_find_host(const struct service *service, const char *name)
{
    for (uint32_t i = 0; i < service_host_count(service); i++) {
        if (strcasecmp(service_host_at(service, i)->name, name) == 0) {
            return service_host_at(service, i);
        }
    }
    return NULL;
}

uint32_t service_authorization_count(const struct service *service)
{
    (void)service;
    return the_authorization_count;
}

const struct authorization_row *service_authorization_at(const struct service *service,
                                                         uint32_t index)
{
    (void)service;
    assert_int_equal(index, 0);
    return &the_authorization;
}

uint32_t service_job_count(const struct service *service)
{
    (void)service;
    return 1;
}

const struct job_row *service_job_at(const struct service *service, uint32_t index)
{
    (void)service;
    assert_int_equal(index, 0);
    return &the_job;
}

const struct job_row *service_find_job(const struct service *service, const struct uuid *id)
{
    (void)service;
    return uuid_equal(id, &the_job.id) ? &the_job : NULL;
}

const struct progress *service_job_progress(const struct service *service, const struct uuid *id)
{
    (void)service;
    (void)id;
    return &the_progress;
}

bool service_job_is_at_work(const struct service *service, const struct uuid *id)
{
    (void)service;
    return uuid_equal(id, &the_job.id);
}

const struct statistics_row *service_statistics(const struct service *service,
                                                const struct uuid *vm, uint8_t hop)
{
    static const struct statistics_row row = {.start_us = 3 * US_PER_S, .success_count = 3};

    (void)service;
    (void)vm;
    (void)hop;
    return &row;
}

struct store *service_store(struct service *service)
{
    (void)service;
    return NULL;
}

const char *service_host_name(const struct service *service)
{
    (void)service;
    return "here";
}

/* --- the store, in its place -------------------------------------------------------------------
 */

int store_load_jobs(struct store *store, const struct job_filter *filter,
                    int (*visit)(void *context, const struct job_row *row, struct error *err),
                    void *context, struct error *err)
{
    struct job_row old = the_job;

    (void)store;
    old.id = id_of(OLD_JOB_ID);
    old.state = JOB_COMPLETED;
    old.report = (char *)"{\"disks\": []}";
    if (visit(context, &the_job, err) != 0) {
        return -1;
    }
    return filter->limit == 1 ? 0 : visit(context, &old, err);
}

int store_find_job(struct store *store, const struct uuid *id, struct job_row *out,
                   struct error *err)
{
    struct uuid old = id_of(OLD_JOB_ID);

    (void)store;
    (void)err;
    if (!uuid_equal(id, &old)) {
        return 0;
    }
    *out = the_job;
    out->id = old;
    out->state = JOB_EXCEPTION;
    out->error_code = 32768;
    out->error_kind = ERR_PEER;
    out->report = NULL;
    return 1;
}

int store_load_events(struct store *store, uint64_t after, const struct uuid *vm, uint32_t limit,
                      int (*visit)(void *context, const struct event_row *row, struct error *err),
                      void *context, struct error *err)
{
    const struct event_row row = {
        .id = after + 1, .level = 3, .vm = *vm, .what = "event", .text = "\"quoted\"\n\x80"};

    (void)store;
    return limit == 0 ? 0 : visit(context, &row, err);
}

int store_newest_event(struct store *store, uint64_t *out, struct error *err)
{
    (void)store;
    (void)err;
    *out = 41;
    return 0;
}

int store_load_statistics(struct store *store, const struct uuid *vm, uint8_t hop, uint32_t limit,
                          int (*visit)(void *context, const struct statistics_row *row,
                                       struct error *err),
                          void *context, struct error *err)
{
    const struct statistics_row rows[] = {{.start_us = 3 * US_PER_S, .success_count = 2},
                                          {.start_us = 1 * US_PER_S, .success_count = 9}};

    (void)store;
    (void)vm;
    (void)hop;
    for (uint32_t i = 0; i < limit && i < ARRAY_COUNT(rows); i++) {
        if (visit(context, &rows[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

int store_backup(struct store *store, uint8_t **out, size_t *out_bytes, struct error *err)
{
    (void)store;
    (void)err;
    the_service.calls++;
    *out = (uint8_t *)strdup("the state");
    assert_non_null(*out);
    *out_bytes = strlen((char *)*out);
    return 0;
}

/* --- peers, in their place ---------------------------------------------------------------------
 */

int pairing_ask(struct peers *peers, const char *address, struct pairing *out, struct error *err)
{
    (void)peers;
    (void)err;
    note("pair with %s", address);
    *out = the_pairing;
    return 0;
}

int pairing_wait(struct peers *peers, struct pairing *out, struct error *err)
{
    (void)peers;
    (void)err;
    note("wait to be paired");
    *out = the_pairing;
    return 0;
}

uint32_t pairing_count(const struct peers *peers)
{
    (void)peers;
    return 1;
}

void pairing_at(const struct peers *peers, uint32_t index, struct pairing *out)
{
    (void)peers;
    assert_int_equal(index, 0);
    *out = the_pairing;
}

int pairing_confirm(struct peers *peers, const struct uuid *id, const char *code,
                    struct pairing *out, struct error *err)
{
    (void)peers;
    (void)id;
    note("confirm %s", code);
    if (strcmp(code, the_pairing.code) != 0) {
        return (fail)(err, ERR_USAGE, 0, "another code");
    }
    *out = the_pairing;
    return 0;
}

int pairing_refuse(struct peers *peers, const struct uuid *id, struct pairing *out,
                   struct error *err)
{
    (void)peers;
    (void)id;
    (void)err;
    note("refuse");
    *out = the_pairing;
    return 0;
}

/* --- the server in a thread --------------------------------------------------------------------
 */

struct rig {
    char folder[32];
    char path[64];
    struct control *control;
    enum caller_role role;
    pthread_mutex_t lock; /* around whatever the service's thread would do */
    pthread_t thread;
    atomic_bool is_ending;
    atomic_uint rounds; /* of the service's thread */
};

static inline enum caller_role role_of(void *context, uid_t uid, gid_t gid, char *out_name,
                                       size_t size_bytes)
{
    const struct rig *rig = context;

    assert_int_equal(uid, getuid());
    assert_int_equal(gid, getgid());
    (void)snprintf(out_name, size_bytes, "tester");
    return rig->role;
}

static inline void *rig_run(void *argument)
{
    struct rig *rig = argument;

    while (!atomic_load(&rig->is_ending)) {
        struct pollfd fd = {.events = POLLIN};
        (void)pthread_mutex_lock(&rig->lock);
        int wait_ms = control_next_ms(rig->control);
        fd.fd = control_fd(rig->control);
        (void)pthread_mutex_unlock(&rig->lock);
        (void)poll(&fd, 1, wait_ms < 0 || wait_ms > 20 ? 20 : wait_ms);
        (void)pthread_mutex_lock(&rig->lock);
        control_run(rig->control);
        atomic_fetch_add(&rig->rounds, 1);
        (void)pthread_mutex_unlock(&rig->lock);
    }
    return NULL;
}

static const struct identity the_identity = {.fingerprint = {0xab}, .certificate = "MIIB"};

static struct control_config rig_config(struct rig *rig)
{
    return (struct control_config){.env = env_system(),
                                   .service = &the_service,
                                   .identity = &the_identity,
                                   .listen_address = "0.0.0.0:8490",
                                   .advertise_address = "here:8490",
                                   .monitoring_interval_s = 43200,
                                   .monitoring_start_minute = 540,
                                   .role_of = role_of,
                                   .context = rig};
}

static inline void rig_make(struct rig *rig)
{
    struct control_config config = rig_config(rig);
    struct error err = {0};

    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/control-test-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->path, sizeof rig->path, "%s/control.sock", rig->folder);
    service_reset();
    assert_int_equal(pthread_mutex_init(&rig->lock, NULL), 0);
    assert_int_equal(control_new(&config, rig->path, &rig->control, &err), 0);
    assert_int_equal(pthread_create(&rig->thread, NULL, rig_run, rig), 0);
}

static inline void rig_start(struct rig *rig, enum caller_role role)
{
    *rig = (struct rig){.role = role};
    rig_make(rig);
}

static inline void rig_halt(struct rig *rig)
{
    atomic_store(&rig->is_ending, true);
    assert_int_equal(pthread_join(rig->thread, NULL), 0);
}

static inline void rig_stop(struct rig *rig)
{
    if (!atomic_load(&rig->is_ending)) {
        rig_halt(rig);
    }
    control_free(rig->control);
    (void)unlink(rig->path);
    assert_int_equal(rmdir(rig->folder), 0);
    (void)pthread_mutex_destroy(&rig->lock);
}

static inline void rig_lock(struct rig *rig)
{
    assert_int_equal(pthread_mutex_lock(&rig->lock), 0);
}

static inline void rig_unlock(struct rig *rig)
{
    assert_int_equal(pthread_mutex_unlock(&rig->lock), 0);
}

static inline unsigned int rig_calls(struct rig *rig)
{
    rig_lock(rig);
    unsigned int calls = the_service.calls;
    rig_unlock(rig);
    return calls;
}

/* Waits until the service has been asked so often. */
static inline void rig_wait_for_calls(struct rig *rig, unsigned int calls)
{
    for (unsigned int i = 0; i < 1000 && rig_calls(rig) < calls; i++) {
        (void)poll(NULL, 0, 10);
    }
    assert_int_equal(rig_calls(rig), calls);
}

/* --- bytes over the socket ---------------------------------------------------------------------
 */

static inline int rig_connect(const struct rig *rig)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", rig->path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void send_all(int fd, const char *bytes, size_t count)
{
    for (size_t sent = 0; sent < count;) {
        ssize_t got = send(fd, bytes + sent, count - sent, MSG_NOSIGNAL);
        if (got < 0) {
            return; /* it had enough; the answer says why */
        }
        sent += (size_t)got;
    }
}

/* Reads until `end` has come, or the other side closes; at most 10 s. */
static inline size_t read_until(int fd, char *out, size_t size_bytes, const char *end)
{
    size_t len = 0;

    out[0] = '\0';
    while (len + 1 < size_bytes && (end == NULL || strstr(out, end) == NULL)) {
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&waiting, 1, 10000), 1);
        ssize_t got = read(fd, out + len, size_bytes - 1 - len);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
        out[len] = '\0';
    }
    return len;
}

static inline int status_in(const char *answer_text)
{
    int status = 0;

    return sscanf(answer_text, "HTTP/1.1 %d ", &status) == 1 ? status : 0;
}

/* One request on a connection of its own; the whole answer, or for a stream its beginning. headers
 * are lines of their own. */
static inline int raw_call_with(const struct rig *rig, const char *headers, const char *method,
                                const char *path, const char *body, char *out, size_t size_bytes)
{
    char request[4096];
    bool is_stream = strcmp(path, "/v1/watch") == 0;
    int fd = rig_connect(rig);
    int len = snprintf(request, sizeof request,
                       "%s %s HTTP/1.1\r\nHost: resilver\r\nConnection: close\r\n"
                       "%sContent-Length: %zu\r\n\r\n%s",
                       method, path, headers, strlen(body), body);

    assert_true(len > 0 && (size_t)len < sizeof request);
    send_all(fd, request, (size_t)len);
    (void)read_until(fd, out, size_bytes, is_stream ? "\r\n\r\n" : NULL);
    (void)close(fd);
    return status_in(out);
}

static inline int raw_call(const struct rig *rig, const char *method, const char *path,
                           const char *body, char *out, size_t size_bytes)
{
    return raw_call_with(rig, "", method, path, body, out, size_bytes);
}

#endif
