/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sessions_source.c - a session of which this host is the source: connect, open the disks' point in
 * time, run, tell.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "peer/peers.h"
#include "peer/sessions_internal.h"
#include "points/replica.h"
#include "wire/loop.h"

#define PROGRESS_NS (500 * NS_PER_MS)

struct source {
    struct session_entry entry;
    struct session_order order;
    bool is_look; /* only open the disks, and tell `token` */
    uint64_t token;
    struct replica *replica; /* owned: hop 1's, locked as long as its disks are read */
    uint64_t told_ns;        /* when progress was told last */
    char remote[DISKS_MAX][SESSIONS_NAME_MAX];
    struct session_disk_name local_names[DISKS_MAX];
    struct session_disk_name remote_names[DISKS_MAX];
    uint64_t sizes[DISKS_MAX];
    struct session_end end;
};

static void source_free(struct source *source)
{
    replica_close(source->replica);
    free(source);
}

/* --- the disks ------------------------------------------------------------------------------- */

/* The inventory gives disks in its own order. */
static int open_of_inventory(const struct source *source, struct disk **disks, struct error *err)
{
    const struct session_order *order = &source->order;
    const struct inventory *inventory = source->entry.sessions->inventory;
    struct disk *opened[DISKS_MAX] = {NULL};
    int indexes[DISKS_MAX] = {0};
    uint64_t wanted = 0;
    char id[UUID_TEXT_MAX];

    uuid_format(&order->vm, id);
    const struct vm *vm = inventory_find(inventory, id);
    if (vm == NULL) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the VM %s is not on this host any more; name it in the configuration again, "
                    "or remove its relationship",
                    id);
    }
    for (uint32_t i = 0; i < order->disk_count; i++) {
        indexes[i] = vm_find_disk(vm, order->disks[i]);
        if (indexes[i] < 0) {
            (void)fail(err, ERR_IO, ENOENT, "'%s' has no disk '%s' any more", vm->name,
                       order->disks[i]);
            error_set_disk(err, order->disks[i]);
            return -1;
        }
        assert(indexes[i] < (int)DISKS_MAX);
        wanted |= 1ULL << indexes[i];
    }
    if (inventory->ops->open_point(inventory, vm, wanted, opened, err) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < order->disk_count; i++) {
        uint64_t before = wanted & ((1ULL << indexes[i]) - 1);
        disks[i] = opened[__builtin_popcountll(before)];
    }
    return 0;
}

static int find_in_point(const struct point_record *point, const char *name)
{
    for (uint32_t i = 0; i < point->disk_count; i++) {
        if (strcmp(point->disks[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int open_point_disk(const struct source *source, const struct point_record *point,
                           uint32_t index, struct disk **out, struct error *err)
{
    const char *name = source->order.disks[index];
    int at = find_in_point(point, name);
    int result = at < 0 ? fail(err, ERR_IO, ENOENT, "the replica %s has no disk '%s'",
                               source->order.folder, name)
                        : replica_open_point(source->replica, 0, (uint32_t)at, out, err);

    if (result < 0) {
        error_set_disk(err, name);
    }
    return result;
}

/* Of hop 1: the replica's present point, which stays that while we hold it. */
static int open_of_replica(struct source *source, struct disk **disks, struct error *err)
{
    struct point_record *point = calloc(1, sizeof *point);
    uint32_t count = 0;

    if (point == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a point's record");
    }
    int result =
        replica_open(source->order.folder, source->entry.sessions->env, &source->replica, err);
    if (result == 0) {
        result = replica_get_point(source->replica, 0, point, err);
    }
    while (result == 0 && count < source->order.disk_count) {
        result = open_point_disk(source, point, count, &disks[count], err);
        count += result == 0;
    }
    for (uint32_t i = 0; result < 0 && i < count; i++) {
        disk_close(disks[i]);
    }
    free(point);
    return result;
}

static int open_disks(struct source *source, struct disk **disks, struct error *err)
{
    return source->order.hop == 0 ? open_of_inventory(source, disks, err)
                                  : open_of_replica(source, disks, err);
}

/* loop_host.open_disks */
static int open_for_loop(void *context, const struct session_open *open, struct loop_disks *out,
                         struct error *err)
{
    struct source *source = context;

    assert(open->role == ROLE_SOURCE && open->disk_count == source->order.disk_count);
    return open_disks(source, out->disks, err);
}

/* --- telling --------------------------------------------------------------------------------- */

struct progress_note {
    struct source *source;
    const struct progress *progress;
};

/* In the service's thread. */
static void tell_progress(void *argument)
{
    const struct progress_note *note = argument;

    service_progress(note->source->entry.sessions->service, &note->source->order.job,
                     note->progress);
}

/* loop_host.progress */
static void take_progress(void *context, const struct progress *progress)
{
    struct source *source = context;
    struct progress_note note = {source, progress};
    struct sessions *sessions = source->entry.sessions;
    uint64_t now_ns = env_now_ns(sessions->env);

    if (now_ns - source->told_ns < PROGRESS_NS || progress->disk_count == 0) {
        return;
    }
    source->told_ns = now_ns;
    /* Shut: nobody listens any more, and the session was told to stop. */
    (void)!mailbox_call(sessions->mailbox, tell_progress, &note);
}

/* In the service's thread. */
static void tell_end(void *argument)
{
    struct source *source = argument;
    const struct session_end *end = &source->end;
    char relationship[SESSIONS_RELATIONSHIP_MAX];
    char job[UUID_TEXT_MAX];

    sessions_format_relationship(&source->order.vm, source->order.hop, relationship);
    uuid_format(&source->order.job, job);
    log_event(end->is_done ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, {"rel", relationship},
              {"job", job}, {"disk", end->error.disk[0] == '\0' ? NULL : end->error.disk},
              {"event", end->is_done ? "session done" : "session ended"}, {"role", "source"},
              {"peer", source->order.peer.address},
              {"kind", end->is_done ? NULL : error_kind_name(end->error.kind)},
              {"error", end->is_done ? NULL : end->error.message});
    service_session_ended(source->entry.sessions->service, &source->order.job, end);
}

/* In the service's thread. */
static void tell_look(void *argument)
{
    struct source *source = argument;
    bool is_good = source->end.is_done;

    service_looked(source->entry.sessions->service, source->token, is_good ? source->sizes : NULL,
                   is_good ? NULL : &source->end.error);
}

/* --- the session ----------------------------------------------------------------------------- */

/* "db2.example:8490", "[2001:db8::2]:8490" */
static int split_address(const char *address, char host[HOST_TEXT_MAX], char port[PORT_TEXT_MAX],
                         struct error *err)
{
    const char *colon = strrchr(address, ':');
    const char *from = address;
    const char *to = colon == NULL ? address : colon;

    if (to - from > 2 && from[0] == '[' && to[-1] == ']') {
        from++;
        to--;
    }
    bool is_half_bracketed = from == address && from[0] == '[';
    if (colon == NULL || is_half_bracketed || to == from || to - from >= HOST_TEXT_MAX ||
        colon[1] == '\0' || strlen(colon + 1) >= PORT_TEXT_MAX) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' is no address of a host; give it one like db2.example:8490", address);
    }
    (void)snprintf(host, HOST_TEXT_MAX, "%.*s", (int)(to - from), from);
    (void)snprintf(port, PORT_TEXT_MAX, "%s", colon + 1);
    return 0;
}

static int connect_to(const struct source *source, struct link **out, struct error *err)
{
    const struct sessions *sessions = source->entry.sessions;
    const struct peer_address *peer = &source->order.peer;
    char host[HOST_TEXT_MAX];
    char port[PORT_TEXT_MAX];
    uint64_t deadline_ns = env_now_ns(sessions->env) + HANDSHAKE_TIMEOUT_S * NS_PER_S;

    if (split_address(peer->address, host, port, err) < 0) {
        return -1;
    }
    return link_connect_pinned(sessions->client, host, port, PEER_ALPN_SESSION, peer->fingerprint,
                               deadline_ns, sessions->env, out, err);
}

static void name_disks(struct source *source)
{
    const struct session_order *order = &source->order;
    char relationship[SESSIONS_RELATIONSHIP_MAX];

    sessions_format_relationship(&order->vm, order->hop, relationship);
    for (uint32_t i = 0; i < order->disk_count; i++) {
        char name[SESSIONS_NAME_MAX]; /* apart: the compiler cannot see that members do not overlap
                                       */
        (void)snprintf(name, sizeof name, "%s/%" PRIu64 "/%s", relationship, order->generation,
                       order->disks[i]);
        memcpy(source->remote[i], name, sizeof name);
        source->local_names[i] = (struct session_disk_name){.name = order->disks[i]};
        source->remote_names[i] = (struct session_disk_name){.name = source->remote[i]};
    }
}

static int run_loop(struct source *source, struct link *link, struct error *err)
{
    const struct session_order *order = &source->order;
    struct sessions *sessions = source->entry.sessions;
    struct loop_host host = {
        .open_disks = open_for_loop, .progress = take_progress, .context = source};
    struct loop_config config = {
        .session = {.is_initiator = true,
                    .role = ROLE_SOURCE,
                    .flags = SESSION_REPLICA | (order->is_initial ? SESSION_CREATE : 0),
                    .disk_count = order->disk_count,
                    .local_disks = source->local_names,
                    .remote_disks = source->remote_names,
                    .compress = order->is_compression_enabled ? WHEN_AUTO : WHEN_NEVER,
                    .refine = WHEN_AUTO,
                    .rate_bytes_per_s = order->rate_bytes_per_s,
                    .env = sessions->env},
        .link = link,
        .host = &host,
        .env = sessions->env,
        .stop_fd = source->entry.stop_fd,
    };

    return loop_run(&config, &source->end.progress, err);
}

/* The peer names disks as we named them to it; people know them by their own names. */
static void name_as_ours(const struct source *source, struct error *err)
{
    for (uint32_t i = 0; i < source->order.disk_count; i++) {
        if (strcmp(err->disk, source->remote[i]) == 0) {
            (void)snprintf(err->disk, sizeof err->disk, "%.255s", source->order.disks[i]);
            return;
        }
    }
}

static void run_session(struct source *source)
{
    struct session_end *end = &source->end;
    CLEANUP(link_closep) struct link *link = NULL;
    uint64_t start_ns = env_now_ns(source->entry.sessions->env);

    name_disks(source);
    if (connect_to(source, &link, &end->error) == 0 && run_loop(source, link, &end->error) == 0) {
        end->is_done = true;
    } else {
        name_as_ours(source, &end->error);
        sessions_say_stopped(&source->entry, &end->error);
    }
    end->elapsed_ns = env_now_ns(source->entry.sessions->env) - start_ns;
}

static void run_look(struct source *source)
{
    struct disk *disks[DISKS_MAX] = {NULL};

    source->end.is_done = open_disks(source, disks, &source->end.error) == 0;
    for (uint32_t i = 0; source->end.is_done && i < source->order.disk_count; i++) {
        source->sizes[i] = disks[i]->size_bytes;
        disk_close(disks[i]);
    }
}

static void *run_thread(void *argument)
{
    struct source *source = argument;
    struct sessions *sessions = source->entry.sessions;

    if (source->is_look) {
        run_look(source);
    } else {
        run_session(source);
    }
    /* Nothing of the session is held any more when its end is told: the next may begin at once. */
    replica_close(TAKE(source->replica));
    /* Shut: nobody is left who would want to know. */
    (void)!mailbox_call(sessions->mailbox, source->is_look ? tell_look : tell_end, source);
    sessions_leave(&source->entry);
    source_free(source);
    return NULL;
}

static int start(struct sessions *sessions, const struct session_order *order, bool is_look,
                 uint64_t token, struct error *err)
{
    struct source *source = calloc(1, sizeof *source);
    pthread_attr_t attributes;
    pthread_t thread;

    assert(sessions->service != NULL && order->disk_count >= 1 && order->disk_count <= DISKS_MAX);
    if (source == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a session");
    }
    source->order = *order;
    source->is_look = is_look;
    source->token = token;
    if (!is_look) { /* else no job's stop is meant for it */
        source->entry.job = order->job;
    }
    memcpy(source->entry.fingerprint, order->peer.fingerprint, FINGERPRINT_BYTES);
    if (sessions_enter(sessions, &source->entry, err) < 0) {
        source_free(source);
        return -1;
    }
    (void)pthread_attr_init(&attributes); /* neither of the two fails on Linux */
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int refused = pthread_create(&thread, &attributes, run_thread, source);
    (void)pthread_attr_destroy(&attributes);
    if (refused != 0) {
        sessions_leave(&source->entry);
        source_free(source);
        return fail(err, ERR_LIMIT, refused, "cannot start a thread for a session");
    }
    return 0;
}

int sessions_start(struct sessions *sessions, const struct session_order *order, struct error *err)
{
    return start(sessions, order, false, 0, err);
}

int sessions_look(struct sessions *sessions, uint64_t token, const struct session_order *order,
                  struct error *err)
{
    return start(sessions, order, true, token, err);
}
