/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sessions_test.c - a daemon's sessions with itself, over pinned TLS on loopback, into real
 * replicas: a whole copy, a resynchronization, a stop and its resumption, hop 1. And peers that
 * behave badly, over a socketpair. The service is a double that keeps what it is told; as a real
 * one it lives in the thread that runs the mailbox. Judged by comparing files.
 */
#include "peer/sessions.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "certs.h"
#include "peer/peers.h"
#include "wire/loop.h"

#include <cmocka.h>

#define DEADLINE_S 60
#define VM_TEXT "6f1c2a9e-0000-4000-8000-000000000001"
#define VDA_BYTES (24 * MIB)
#define VDB_BYTES (5 * MIB + 4096)
#define GENERATION 7U

/* --- the service's double -------------------------------------------------------------------- */

struct service {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* what it shall say */
    bool is_refusing;
    bool is_initial;
    uint32_t history;
    char folder[PATH_TEXT_MAX];
    uint8_t fingerprint[FINGERPRINT_BYTES];
    /* what it was told */
    struct session_request request;
    uint32_t admitted_count;
    uint32_t refused_count;
    uint32_t target_ended_count;
    uint32_t ended_count;
    uint32_t progress_count;
    uint32_t looked_count;
    uint64_t shipped_bytes;
    uint64_t looked_sizes[2];
    uint64_t looked_token;
    bool looked_good;
    struct error looked_error;
    struct session_end end;
    struct session_end target_end;
    struct uuid ended_job;
};

static void service_changed(struct service *service)
{
    (void)pthread_cond_broadcast(&service->changed);
    (void)pthread_mutex_unlock(&service->lock);
}

int service_admit(struct service *service, const uint8_t fingerprint[FINGERPRINT_BYTES],
                  const struct session_request *request, struct session_grant *out,
                  struct error *err)
{
    int result = 0;

    (void)pthread_mutex_lock(&service->lock);
    if (service->is_refusing || memcmp(service->fingerprint, fingerprint, FINGERPRINT_BYTES) != 0) {
        service->refused_count++;
        /* In brackets: cmocka has a macro of that name. */
        result = (fail)(err, ERR_WRONG_STATE, 0, "no session is wanted now");
    } else {
        service->admitted_count++;
        service->request = *request;
        *out = (struct session_grant){.is_initial = service->is_initial,
                                      .history = service->history,
                                      .ticket = {.bytes = {9}}};
        (void)snprintf(out->folder, sizeof out->folder, "%s", service->folder);
    }
    service_changed(service);
    return result;
}

void service_target_ended(struct service *service, const struct uuid *ticket,
                          const struct session_end *end)
{
    (void)pthread_mutex_lock(&service->lock);
    service->target_ended_count += ticket->bytes[0] == 9;
    service->target_end = *end;
    service_changed(service);
}

void service_session_ended(struct service *service, const struct uuid *job,
                           const struct session_end *end)
{
    (void)pthread_mutex_lock(&service->lock);
    service->ended_count++;
    service->ended_job = *job;
    service->end = *end;
    service_changed(service);
}

void service_progress(struct service *service, const struct uuid *job,
                      const struct progress *progress)
{
    (void)pthread_mutex_lock(&service->lock);
    assert_int_equal(job->bytes[0], 1);
    service->progress_count++;
    service->shipped_bytes = progress->disks[0].shipped_bytes;
    service_changed(service);
}

void service_looked(struct service *service, uint64_t token, const uint64_t *sizes,
                    const struct error *err)
{
    (void)pthread_mutex_lock(&service->lock);
    service->looked_count++;
    service->looked_token = token;
    service->looked_good = sizes != NULL;
    if (sizes != NULL) {
        memcpy(service->looked_sizes, sizes, sizeof service->looked_sizes);
    } else {
        service->looked_error = *err;
    }
    service_changed(service);
}

/* --- a daemon -------------------------------------------------------------------------------- */

struct rig {
    char dir[PATH_TEXT_MAX - 64];
    struct identity identity;
    struct inventory *inventory;
    struct mailbox *mailbox;
    struct sessions *sessions;
    struct service service;
    pthread_t owner; /* the service's thread */
    pthread_t port;  /* accepts one connection after the other */
    atomic_bool is_over;
    struct tls_context *server;
    int listen_fd;
    char address[64];
};

static void path_of(const struct rig *rig, const char *name, char out[PATH_TEXT_MAX])
{
    (void)snprintf(out, PATH_TEXT_MAX, "%s/%s", rig->dir, name);
}

static void *own_service(void *argument)
{
    struct rig *rig = argument;

    while (!atomic_load(&rig->is_over)) {
        struct pollfd fd = {.fd = mailbox_fd(rig->mailbox), .events = POLLIN};
        (void)poll(&fd, 1, 20);
        mailbox_run(rig->mailbox);
    }
    return NULL;
}

static void *serve_port(void *argument)
{
    struct rig *rig = argument;

    while (!atomic_load(&rig->is_over)) {
        struct pollfd fd = {.fd = rig->listen_fd, .events = POLLIN};
        struct link *link = NULL;
        if (poll(&fd, 1, 20) <= 0) {
            continue;
        }
        int accepted = accept4(rig->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        uint64_t deadline_ns = env_now_ns(env_system()) + 10 * NS_PER_S;
        if (accepted >= 0 && link_accept_pinned(rig->server, accepted, deadline_ns, env_system(),
                                                &link, NULL) == 0) {
            sessions_serve(rig->sessions, link);
            link_close(link);
        }
    }
    return NULL;
}

static uint64_t chance = 1;

static void fill(const char *path, uint64_t from, uint64_t len_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    uint64_t words[512];

    assert_true(fd >= 0);
    for (uint64_t at = 0; at < len_bytes; at += sizeof words) {
        for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
            chance = chance * 6364136223846793005U + 1442695040888963407U;
            words[i] = chance ^ (chance >> 29);
        }
        assert_int_equal(pwrite(fd, words, sizeof words, (off_t)(from + at)), sizeof words);
    }
    assert_int_equal(close(fd), 0);
}

static void make_identity(struct rig *rig)
{
    const struct certs_leaf leaf = {.common_name = "db1", .starts_s = -60, .ends_s = 3600};
    unsigned len_bytes = 0;

    path_of(rig, "cert.pem", rig->identity.cert_path);
    path_of(rig, "key.pem", rig->identity.key_path);
    assert_true(certs_write_leaf(NULL, &leaf, rig->identity.cert_path, rig->identity.key_path));
    FILE *file = fopen(rig->identity.cert_path, "re");
    assert_non_null(file);
    X509 *cert = PEM_read_X509(file, NULL, NULL, NULL);
    assert_non_null(cert);
    assert_int_equal(X509_digest(cert, EVP_sha256(), rig->identity.fingerprint, &len_bytes), 1);
    X509_free(cert);
    assert_int_equal(fclose(file), 0);
    memcpy(rig->service.fingerprint, rig->identity.fingerprint, FINGERPRINT_BYTES);
}

static void make_inventory(struct rig *rig)
{
    struct vm_disk *disks = calloc(2, sizeof *disks);
    struct vm *vm = calloc(1, sizeof *vm);

    assert_non_null(disks);
    assert_non_null(vm);
    (void)snprintf(disks[0].name, sizeof disks[0].name, "vda");
    path_of(rig, "vda.raw", disks[0].path);
    (void)snprintf(disks[1].name, sizeof disks[1].name, "vdb");
    path_of(rig, "vdb.raw", disks[1].path);
    fill(disks[0].path, 0, VDA_BYTES);
    fill(disks[1].path, 0, VDB_BYTES);
    *vm = (struct vm){.disk_count = 2, .disks = disks};
    (void)snprintf(vm->name, sizeof vm->name, "web1");
    assert_int_equal(uuid_parse(VM_TEXT, &vm->id, NULL), 0);
    assert_int_equal(inventory_new_plain(vm, 1, &rig->inventory, NULL), 0);
    free(vm);
    free(disks);
}

static void listen_somewhere(struct rig *rig)
{
    static const char *const protocols[] = {PEER_ALPN_SESSION};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len_bytes = sizeof at;

    rig->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(rig->listen_fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(rig->listen_fd, 8), 0);
    assert_int_equal(getsockname(rig->listen_fd, (struct sockaddr *)&at, &len_bytes), 0);
    (void)snprintf(rig->address, sizeof rig->address, "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(tls_context_new_pinned(rig->identity.cert_path, rig->identity.key_path, true,
                                            protocols, 1, &rig->server, NULL),
                     0);
}

static int rig_new(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    const char *base = getenv("TMPDIR");

    assert_non_null(rig);
    (void)snprintf(rig->dir, sizeof rig->dir, "%s/resilver-sessions-XXXXXX",
                   base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(rig->dir));
    (void)pthread_mutex_init(&rig->service.lock, NULL);
    (void)pthread_cond_init(&rig->service.changed, NULL);
    path_of(rig, "replica", rig->service.folder);
    rig->service.is_initial = true;
    rig->service.history = 2;
    make_identity(rig);
    make_inventory(rig);
    listen_somewhere(rig);
    assert_int_equal(mailbox_new(&rig->mailbox, NULL), 0);
    assert_int_equal(sessions_new(env_system(), rig->mailbox, rig->inventory, &rig->identity,
                                  &rig->sessions, NULL),
                     0);
    sessions_begin(rig->sessions, &rig->service);
    assert_int_equal(pthread_create(&rig->owner, NULL, own_service, rig), 0);
    assert_int_equal(pthread_create(&rig->port, NULL, serve_port, rig), 0);
    *state = rig;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
    (void)status;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int rig_free(void **state)
{
    struct rig *rig = *state;

    sessions_stop_all(rig->sessions);
    for (int i = 0; i < 1000 && !sessions_is_idle(rig->sessions); i++) {
        (void)poll(NULL, 0, 10);
    }
    assert_true(sessions_is_idle(rig->sessions));
    atomic_store(&rig->is_over, true);
    (void)pthread_join(rig->port, NULL);
    (void)pthread_join(rig->owner, NULL);
    mailbox_shut(rig->mailbox);
    sessions_free(rig->sessions);
    mailbox_free(rig->mailbox);
    tls_context_free(rig->server);
    inventory_free(rig->inventory);
    (void)close(rig->listen_fd);
    assert_int_equal(nftw(rig->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(rig);
    return 0;
}

/* --- what tests do with it ------------------------------------------------------------------- */

static struct session_order *new_order(const struct rig *rig)
{
    struct session_order *order = calloc(1, sizeof *order);

    assert_non_null(order);
    order->job.bytes[0] = 1;
    assert_int_equal(uuid_parse(VM_TEXT, &order->vm, NULL), 0);
    order->generation = GENERATION;
    order->is_initial = rig->service.is_initial;
    (void)snprintf(order->peer.address, sizeof order->peer.address, "%s", rig->address);
    memcpy(order->peer.fingerprint, rig->identity.fingerprint, FINGERPRINT_BYTES);
    order->disk_count = 2;
    (void)snprintf(order->disks[0], DISK_NAME_MAX, "vda");
    (void)snprintf(order->disks[1], DISK_NAME_MAX, "vdb");
    return order;
}

static void wait_for(struct service *service, const uint32_t *count, uint32_t wanted)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_S;
    (void)pthread_mutex_lock(&service->lock);
    while (*count < wanted) {
        if (pthread_cond_timedwait(&service->changed, &service->lock, &until) != 0) {
            (void)pthread_mutex_unlock(&service->lock);
            fail_msg("the service was not told within %d s", DEADLINE_S);
        }
    }
    (void)pthread_mutex_unlock(&service->lock);
}

static uint64_t shipped_bytes(struct service *service)
{
    (void)pthread_mutex_lock(&service->lock);
    uint64_t bytes = service->shipped_bytes;
    (void)pthread_mutex_unlock(&service->lock);
    return bytes;
}

static void wait_for_bytes(struct service *service, uint64_t bytes)
{
    for (uint32_t i = 1; shipped_bytes(service) < bytes; i++) {
        wait_for(service, &service->progress_count, i);
    }
}

/* Runs an order to its end on both sides. */
static void run_order(struct rig *rig, const struct session_order *order)
{
    struct service *service = &rig->service;
    uint32_t ended = service->ended_count;
    uint32_t admitted_before = service->admitted_count;
    struct error err = {0};

    if (sessions_start(rig->sessions, order, &err) < 0) {
        fail_msg("%s", err.message);
    }
    wait_for(service, &service->ended_count, ended + 1);
    if (service->admitted_count > admitted_before) {
        wait_for(service, &service->target_ended_count, service->admitted_count);
    }
}

static void expect_done(const struct rig *rig)
{
    if (!rig->service.end.is_done) {
        fail_msg("%s: %s", rig->service.end.error.disk, rig->service.end.error.message);
    }
    assert_true(rig->service.target_end.is_done);
    assert_int_equal(rig->service.target_ended_count, rig->service.admitted_count);
}

static void expect_failed(const struct rig *rig, enum error_kind kind, const char *words)
{
    assert_false(rig->service.end.is_done);
    if (rig->service.end.error.kind != kind ||
        strstr(rig->service.end.error.message, words) == NULL) {
        fail_msg("kind %d: %s", (int)rig->service.end.error.kind, rig->service.end.error.message);
    }
}

static void expect_same(const struct rig *rig, const char *a, const char *b)
{
    char path_a[PATH_TEXT_MAX];
    char path_b[PATH_TEXT_MAX];
    static uint8_t bytes_a[64 * KIB];
    static uint8_t bytes_b[64 * KIB];

    path_of(rig, a, path_a);
    path_of(rig, b, path_b);
    FILE *file_a = fopen(path_a, "re");
    FILE *file_b = fopen(path_b, "re");
    assert_non_null(file_a);
    assert_non_null(file_b);
    for (;;) {
        size_t got_a = fread(bytes_a, 1, sizeof bytes_a, file_a);
        size_t got_b = fread(bytes_b, 1, sizeof bytes_b, file_b);
        assert_int_equal(got_a, got_b);
        assert_memory_equal(bytes_a, bytes_b, got_a);
        if (got_a == 0) {
            break;
        }
    }
    assert_int_equal(fclose(file_a), 0);
    assert_int_equal(fclose(file_b), 0);
}

static void expect_replica(const struct rig *rig, const char *folder)
{
    char name[64];

    (void)snprintf(name, sizeof name, "%s/disks/vda", folder);
    expect_same(rig, "vda.raw", name);
    (void)snprintf(name, sizeof name, "%s/disks/vdb", folder);
    expect_same(rig, "vdb.raw", name);
}

static void copy_once(struct rig *rig)
{
    struct session_order *order = new_order(rig);

    run_order(rig, order);
    expect_done(rig);
    free(order);
    rig->service.is_initial = false;
}

/* --- sessions -------------------------------------------------------------------------------- */

static void an_initial_copy_makes_the_replica(void **state)
{
    struct rig *rig = *state;
    struct replica_info *info = calloc(1, sizeof *info);

    copy_once(rig);
    expect_replica(rig, "replica");
    assert_int_equal(rig->service.request.disk_count, 2);
    assert_int_equal(rig->service.request.hop, 0);
    assert_true(rig->service.request.generation == GENERATION);
    assert_true(rig->service.request.size_bytes[0] == VDA_BYTES);
    assert_true(rig->service.request.size_bytes[1] == VDB_BYTES);
    assert_string_equal(rig->service.request.disks[1], "vdb");
    assert_int_equal(rig->service.ended_job.bytes[0], 1);
    assert_true(rig->service.end.progress.disks[0].has_proof);
    assert_memory_equal(rig->service.end.progress.disks[0].proof,
                        rig->service.target_end.progress.disks[0].proof, PROOF_BYTES);
    assert_non_null(info);
    assert_int_equal(replica_look(rig->service.folder, info, NULL), 0);
    assert_int_equal(info->state, REPLICA_WHOLE);
    assert_int_equal(info->history, 2);
    free(info);
}

static void a_resync_ships_what_differs(void **state)
{
    struct rig *rig = *state;
    struct session_order *order = NULL;
    struct replica_info *info = calloc(1, sizeof *info);
    char path[PATH_TEXT_MAX];

    copy_once(rig);
    path_of(rig, "vda.raw", path);
    fill(path, 3 * MIB, 64 * KIB);
    fill(path, 17 * MIB, 128 * KIB);
    rig->service.history = 1; /* was changed meanwhile */
    order = new_order(rig);
    run_order(rig, order);
    expect_done(rig);
    expect_replica(rig, "replica");
    assert_true(rig->service.end.progress.disks[0].different_bytes == 192 * KIB);
    assert_true(rig->service.end.progress.disks[1].different_bytes == 0);
    assert_non_null(info);
    assert_int_equal(replica_look(rig->service.folder, info, NULL), 0);
    assert_int_equal(info->history, 1);
    assert_int_equal(info->point_count, 1);
    free(info);
    free(order);
}

static void disks_may_be_ordered_in_another_way_than_in_the_inventory(void **state)
{
    struct rig *rig = *state;
    struct session_order *order = new_order(rig);

    (void)snprintf(order->disks[0], DISK_NAME_MAX, "vdb");
    (void)snprintf(order->disks[1], DISK_NAME_MAX, "vda");
    run_order(rig, order);
    expect_done(rig);
    expect_replica(rig, "replica");
    free(order);
}

static void a_stopped_session_is_resumed_by_the_next(void **state)
{
    struct rig *rig = *state;
    struct service *service = &rig->service;
    struct session_order *order = new_order(rig);
    struct stat st;

    order->rate_bytes_per_s = 8 * MIB;
    assert_int_equal(sessions_start(rig->sessions, order, NULL), 0);
    wait_for_bytes(service, 4 * MIB);
    assert_int_equal(service->ended_count, 0);
    uint64_t asked_ns = env_now_ns(env_system());
    sessions_stop_job(rig->sessions, &order->job);
    wait_for(service, &service->ended_count, 1);
    wait_for(service, &service->target_ended_count, 1);
    print_message("stopped after %llu ms\n",
                  (unsigned long long)((env_now_ns(env_system()) - asked_ns) / NS_PER_MS));
    expect_failed(rig, ERR_CANCELLED, "stopped by this host");
    assert_false(service->target_end.is_done);
    char path[PATH_TEXT_MAX];
    path_of(rig, "replica/disks/vda", path);
    assert_int_equal(stat(path, &st), -1); /* not the replica before it is whole */

    order->rate_bytes_per_s = 0;
    run_order(rig, order);
    expect_done(rig);
    expect_replica(rig, "replica");
    /* What was staged is found to be the same, and not sent again. */
    print_message("shipped %llu of %llu bytes of the first disk again\n",
                  (unsigned long long)service->end.progress.disks[0].shipped_bytes,
                  (unsigned long long)VDA_BYTES);
    assert_true(service->end.progress.disks[0].shipped_bytes <= VDA_BYTES - 2 * MIB);
    free(order);
}

static void hop_1_goes_from_the_replica_to_the_extended_one(void **state)
{
    struct rig *rig = *state;
    struct session_order *order = NULL;

    copy_once(rig);
    rig->service.is_initial = true;
    order = new_order(rig);
    order->hop = 1;
    path_of(rig, "replica", order->folder);
    path_of(rig, "extended", rig->service.folder);
    run_order(rig, order);
    expect_done(rig);
    expect_replica(rig, "extended");
    assert_int_equal(rig->service.request.hop, 1);
    free(order);
}

static void a_cut_ends_the_sessions_of_that_host_only(void **state)
{
    struct rig *rig = *state;
    struct service *service = &rig->service;
    struct session_order *order = new_order(rig);
    uint8_t other[FINGERPRINT_BYTES] = {1};

    order->rate_bytes_per_s = 4 * MIB;
    assert_int_equal(sessions_start(rig->sessions, order, NULL), 0);
    wait_for(service, &service->progress_count, 1);
    sessions_cut(rig->sessions, other);
    wait_for(service, &service->progress_count, 2);
    assert_int_equal(service->ended_count, 0);
    assert_false(sessions_is_idle(rig->sessions));
    sessions_cut(rig->sessions, rig->identity.fingerprint);
    wait_for(service, &service->ended_count, 1);
    wait_for(service, &service->target_ended_count, 1);
    assert_false(service->end.is_done);
    free(order);
}

static void nothing_begins_after_all_were_stopped(void **state)
{
    struct rig *rig = *state;
    struct session_order *order = new_order(rig);
    struct error err = {0};

    sessions_stop_all(rig->sessions);
    assert_int_equal(sessions_start(rig->sessions, order, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
    assert_true(sessions_is_idle(rig->sessions));
    free(order);
}

/* --- what is refused ------------------------------------------------------------------------- */

static void what_the_service_refuses_touches_no_disk(void **state)
{
    struct rig *rig = *state;
    struct session_order *order = new_order(rig);

    rig->service.is_refusing = true;
    run_order(rig, order);
    expect_failed(rig, ERR_WRONG_STATE, "no session is wanted now");
    assert_int_equal(rig->service.refused_count, 1);
    assert_int_equal(rig->service.target_ended_count, 0);
    assert_int_equal(access(rig->service.folder, F_OK), -1);
    free(order);
}

static void disks_are_not_made_anew_after_the_initial_copy(void **state)
{
    struct rig *rig = *state;
    struct session_order *order = new_order(rig);

    rig->service.is_initial = false;
    run_order(rig, order);
    expect_failed(rig, ERR_WRONG_STATE, "may not be made anew");
    assert_int_equal(rig->service.target_ended_count, 1); /* it was admitted */
    assert_false(rig->service.target_end.is_done);
    assert_int_equal(access(rig->service.folder, F_OK), -1);
    free(order);
}

static void another_host_at_the_address_is_not_spoken_to(void **state)
{
    struct rig *rig = *state;
    struct session_order *order = new_order(rig);

    order->peer.fingerprint[0] ^= 1;
    run_order(rig, order);
    assert_int_equal(rig->service.end.error.kind, ERR_PEER);
    assert_int_equal(rig->service.admitted_count + rig->service.refused_count, 0);
    free(order);
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const wrong[] = {
        "", "nowhere", ":8490", "db2.example:", "[::1]", "db2:1234567", "[]:"};
    struct rig *rig = *state;
    struct session_order *order = new_order(rig);

    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        (void)snprintf(order->peer.address, sizeof order->peer.address, "%s", wrong[i]);
        run_order(rig, order);
        expect_failed(rig, ERR_USAGE, "is no address");
    }
    free(order);
}

static void a_source_that_is_gone_is_named(void **state)
{
    struct rig *rig = *state;
    struct session_order *order = new_order(rig);

    (void)snprintf(order->disks[1], DISK_NAME_MAX, "vdz");
    run_order(rig, order);
    expect_failed(rig, ERR_IO, "no disk 'vdz'");
    assert_string_equal(rig->service.end.error.disk, "vdz");
    order->vm.bytes[0] ^= 1;
    run_order(rig, order);
    expect_failed(rig, ERR_WRONG_STATE, "not on this host any more");
    free(order);
}

static void a_look_tells_sizes_or_what_is_wrong(void **state)
{
    struct rig *rig = *state;
    struct service *service = &rig->service;
    struct session_order *order = new_order(rig);
    char path[PATH_TEXT_MAX];

    assert_int_equal(sessions_look(rig->sessions, 42, order, NULL), 0);
    wait_for(service, &service->looked_count, 1);
    assert_true(service->looked_good && service->looked_token == 42);
    assert_true(service->looked_sizes[0] == VDA_BYTES && service->looked_sizes[1] == VDB_BYTES);
    path_of(rig, "vdb.raw", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sessions_look(rig->sessions, 43, order, NULL), 0);
    wait_for(service, &service->looked_count, 2);
    assert_false(service->looked_good);
    assert_int_equal(service->looked_error.errnum, ENOENT);
    assert_non_null(strstr(service->looked_error.disk, "vdb"));
    free(order);
}

/* --- peers that behave badly ----------------------------------------------------------------- */

struct bad_peer {
    enum session_role role;
    uint32_t flags;
    enum disk_format format;
    const char *names[2];
};

struct serving {
    struct rig *rig;
    struct link *link;
};

static void *serve_link(void *argument)
{
    struct serving *serving = argument;

    sessions_serve(serving->rig->sessions, serving->link);
    return NULL;
}

static int open_bad(void *context, const struct session_open *open, struct loop_disks *out,
                    struct error *err)
{
    const struct rig *rig = context;
    char path[PATH_TEXT_MAX];
    bool is_target = open->role == ROLE_TARGET;

    for (uint32_t i = 0; i < open->disk_count; i++) {
        path_of(rig, i == 0 ? "vda.raw" : "vdb.raw", path);
        struct disk_open_options options = {
            .path = path, .format = DISK_FORMAT_RAW, .write = is_target};
        if (disk_open(&options, &out->disks[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int run_peer(struct rig *rig, const struct bad_peer *peer, struct error *err)
{
    struct serving serving = {.rig = rig};
    struct link *link = NULL;
    struct progress progress;
    struct session_disk_name local[2] = {{.name = "vda"}, {.name = "vdb"}};
    struct session_disk_name remote[2] = {{peer->names[0], peer->format},
                                          {peer->names[1], peer->format}};
    struct loop_host host = {.open_disks = open_bad, .context = rig};
    struct loop_config config = {.session = {.is_initiator = true,
                                             .role = peer->role,
                                             .flags = peer->flags,
                                             .disk_count = peer->names[1] == NULL ? 1 : 2,
                                             .local_disks = local,
                                             .remote_disks = remote,
                                             .env = env_system()},
                                 .host = &host,
                                 .env = env_system(),
                                 .stop_fd = -1};
    pthread_t thread;

    assert_int_equal(link_new_pair(&link, &serving.link, NULL), 0);
    memcpy(serving.link->fingerprint, rig->identity.fingerprint, FINGERPRINT_BYTES);
    config.link = link;
    assert_int_equal(pthread_create(&thread, NULL, serve_link, &serving), 0);
    int result = loop_run(&config, &progress, err);
    link_close(link);
    (void)pthread_join(thread, NULL);
    link_close(serving.link);
    return result;
}

#define NAME(rest) VM_TEXT "/" rest

static void expect_peer_refused(struct rig *rig, const struct bad_peer *peer, const char *words)
{
    struct error err = {0};

    assert_int_equal(run_peer(rig, peer, &err), -1);
    if (strstr(err.message, words) == NULL) {
        fail_msg("%s and %s: %s", peer->names[0], peer->names[1], err.message);
    }
    assert_int_equal(rig->service.admitted_count, 0);
    assert_int_equal(rig->service.target_ended_count, 0);
    assert_int_equal(access(rig->service.folder, F_OK), -1);
}

static void wrong_names_are_refused_before_the_service_is_asked(void **state)
{
    static const char *const wrong[] = {
        "/etc/passwd",
        "vda",
        "",
        NAME(""),
        NAME("0/7/"),
        NAME("0/7/../vda"),
        NAME("0/7/.."),
        NAME("0/7/."),
        NAME("0/7/a/b"),
        NAME("2/7/vda"),
        NAME("00/7/vda"),
        NAME("0//vda"),
        NAME("0/-1/vda"),
        NAME("0/x/vda"),
        NAME("0/18446744073709551616/vda"),
        NAME("0/000000000000000000000000000000000007/vda"),
        NAME("/7/vda"),
        "6f1c2a9e-0000-4000-8000-00000000000g/0/7/vda",
        "6f1c2a9e000040008000000000000001/0/7/vda",
        "00000000-0000-0000-0000-000000000000/0/7/vda",
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct bad_peer peer = {
            ROLE_SOURCE, SESSION_REPLICA | SESSION_CREATE, DISK_FORMAT_INVALID, {wrong[i], NULL}};
        expect_peer_refused(rig, &peer, "");
    }
}

static void disks_of_one_session_belong_together(void **state)
{
    static const char *const others[] = {"6f1c2a9e-0000-4000-8000-000000000002/0/7/vdb",
                                         NAME("1/7/vdb"), NAME("0/8/vdb")};
    struct rig *rig = *state;
    struct bad_peer peer = {ROLE_SOURCE,
                            SESSION_REPLICA | SESSION_CREATE,
                            DISK_FORMAT_INVALID,
                            {NAME("0/7/vda"), NAME("0/7/vda")}};

    expect_peer_refused(rig, &peer, "named twice");
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        peer.names[1] = others[i];
        expect_peer_refused(rig, &peer, "one VM and one hop");
    }
}

static void a_peer_that_wants_to_read_here_is_refused(void **state)
{
    struct bad_peer peer = {
        ROLE_TARGET, SESSION_REPLICA, DISK_FORMAT_INVALID, {NAME("0/7/vda"), NULL}};

    expect_peer_refused(*state, &peer, "gives none of its disks out");
}

static void ways_of_writing_that_are_no_replica_are_refused(void **state)
{
    static const uint32_t flags[] = {0,
                                     SESSION_CREATE,
                                     SESSION_ATOMIC,
                                     SESSION_CHECK,
                                     SESSION_REPLICA | SESSION_CREATE | SESSION_SHRINK,
                                     SESSION_REPLICA | SESSION_ATOMIC};
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        struct bad_peer peer = {
            ROLE_SOURCE, flags[i], DISK_FORMAT_INVALID, {NAME("0/7/vda"), NULL}};
        expect_peer_refused(rig, &peer, "");
    }
    struct bad_peer format = {
        ROLE_SOURCE, SESSION_REPLICA, DISK_FORMAT_QCOW2, {NAME("0/7/vda"), NULL}};
    expect_peer_refused(rig, &format, "format");
}

static void a_compare_changes_nothing_and_tells_what_differs(void **state)
{
    struct rig *rig = *state;
    struct bad_peer peer = {ROLE_SOURCE,
                            SESSION_REPLICA | SESSION_CHECK,
                            DISK_FORMAT_INVALID,
                            {NAME("0/7/vda"), NAME("0/7/vdb")}};
    struct error err = {0};
    char path[PATH_TEXT_MAX];

    copy_once(rig);
    assert_int_equal(run_peer(rig, &peer, &err), 0);
    assert_true(rig->service.target_end.is_done);
    path_of(rig, "vda.raw", path);
    fill(path, 4 * MIB, 64 * KIB);
    assert_int_equal(run_peer(rig, &peer, &err), 0);
    assert_false(rig->service.target_end.is_done);
    assert_non_null(strstr(rig->service.target_end.error.message, "65536 bytes"));
    assert_int_equal(rig->service.target_ended_count, 3);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_new, rig_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(an_initial_copy_makes_the_replica),
        WITH_RIG(a_resync_ships_what_differs),
        WITH_RIG(disks_may_be_ordered_in_another_way_than_in_the_inventory),
        WITH_RIG(a_stopped_session_is_resumed_by_the_next),
        WITH_RIG(hop_1_goes_from_the_replica_to_the_extended_one),
        WITH_RIG(a_cut_ends_the_sessions_of_that_host_only),
        WITH_RIG(nothing_begins_after_all_were_stopped),
        WITH_RIG(what_the_service_refuses_touches_no_disk),
        WITH_RIG(disks_are_not_made_anew_after_the_initial_copy),
        WITH_RIG(another_host_at_the_address_is_not_spoken_to),
        WITH_RIG(what_is_no_address_is_refused),
        WITH_RIG(a_source_that_is_gone_is_named),
        WITH_RIG(a_look_tells_sizes_or_what_is_wrong),
        WITH_RIG(wrong_names_are_refused_before_the_service_is_asked),
        WITH_RIG(disks_of_one_session_belong_together),
        WITH_RIG(a_peer_that_wants_to_read_here_is_refused),
        WITH_RIG(ways_of_writing_that_are_no_replica_are_refused),
        WITH_RIG(a_compare_changes_nothing_and_tells_what_differs),
    };
    return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
