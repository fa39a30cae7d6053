/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sessions_target.c - a session that a peer began, of which this host is the target.
 *
 * 1. Nothing of a disk is looked at before service_admit() said yes; which folder it is, the
 * service says. What a peer names is compared and never becomes a path but for the disk's own name.
 * 2. A peer writes through staging only, and never reads a disk of this host.
 * 3. An admitted session's end is told exactly once, when nothing of it is held any more.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "peer/sessions_internal.h"
#include "points/replica.h"
#include "wire/loop.h"
#include "wire/target_host.h"

#define FLAGS_ALLOWED (SESSION_CHECK | SESSION_CREATE | SESSION_REPLICA)

struct target {
    struct session_entry entry;
    struct link *link; /* borrowed */
    struct target_host host;
    struct session_request request;
    struct session_grant grant;
    bool is_admitted;
    bool is_check;
    const struct error *waiting; /* for room: what is to be logged; NULL: no longer */
    char paths[DISKS_MAX][PATH_TEXT_MAX];
    struct session_end end;
    int admit_result; /* what the service said, on its way back through the mailbox */
    struct error admit_error;
};

/* --- names ----------------------------------------------------------------------------------- */

struct disk_name {
    struct uuid vm;
    uint8_t hop;
    uint64_t generation;
    const char *disk; /* borrowed from the name */
};

/* <vm id>/<hop>/<generation>/<disk> */
static int parse_name(const char *name, struct disk_name *out, struct error *err)
{
    char id[UUID_TEXT_MAX];
    char digits[24];
    const char *hop = strchr(name, '/');
    const char *generation = hop == NULL ? NULL : strchr(hop + 1, '/');
    const char *disk = generation == NULL ? NULL : strchr(generation + 1, '/');

    if (disk == NULL || hop - name != UUID_TEXT_MAX - 1 || generation - hop != 2 ||
        (hop[1] != '0' && hop[1] != '1') || disk - generation - 1 >= (int)sizeof digits ||
        strlen(disk + 1) >= DISK_NAME_MAX || !point_name_is_good(disk + 1)) {
        return fail(err, ERR_USAGE, 0,
                    "a session of a replica names its disks VM/HOP/GENERATION/DISK, and not so");
    }
    (void)snprintf(id, sizeof id, "%.*s", UUID_TEXT_MAX - 1, name);
    (void)snprintf(digits, sizeof digits, "%.*s", (int)(disk - generation - 1), generation + 1);
    if (uuid_parse(id, &out->vm, err) < 0 ||
        number_parse_range(digits, "a generation", 0, UINT64_MAX, &out->generation, err) < 0) {
        return -1;
    }
    out->hop = hop[1] == '1';
    out->disk = disk + 1;
    return 0;
}

static int check_name(const struct session_request *request, uint32_t count,
                      const struct disk_name *name, struct error *err)
{
    if (count > 0 && (!uuid_equal(&name->vm, &request->vm) || name->hop != request->hop ||
                      name->generation != request->generation)) {
        return fail(err, ERR_USAGE, 0, "the disks of one session are of one VM and one hop");
    }
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(request->disks[i], name->disk) == 0) {
            return fail(err, ERR_USAGE, 0, "disk '%s' is named twice in one session", name->disk);
        }
    }
    return uuid_is_nil(&name->vm) ? fail(err, ERR_USAGE, 0, "the session names no VM") : 0;
}

static int fill_request(struct target *target, const struct session_open *open, struct error *err)
{
    struct session_request *request = &target->request;

    for (uint32_t i = 0; i < open->disk_count; i++) {
        struct disk_name name = {.hop = 0};
        if (parse_name(open->disks[i].name, &name, err) < 0 ||
            check_name(request, i, &name, err) < 0) {
            error_set_disk(err, open->disks[i].name);
            return -1;
        }
        if (open->disks[i].format != DISK_FORMAT_INVALID) {
            return fail(err, ERR_USAGE, 0,
                        "the format of a replica's disk is for the host that keeps it to say");
        }
        request->vm = name.vm;
        request->hop = name.hop;
        request->generation = name.generation;
        request->size_bytes[i] = open->size_bytes[i];
        (void)snprintf(request->disks[i], DISK_NAME_MAX, "%s", name.disk);
        request->disk_count = i + 1;
    }
    return 0;
}

static int check_open(const struct session_open *open, struct error *err)
{
    if (open->role != ROLE_TARGET) {
        return fail(err, ERR_USAGE, 0,
                    "this host takes replicas at its port and gives none of its disks out");
    }
    if ((open->flags & SESSION_REPLICA) == 0 || (open->flags & ~FLAGS_ALLOWED) != 0) {
        return fail(err, ERR_USAGE, 0,
                    "a session between daemons is one of a replica: disks may be made by the "
                    "initial copy, and neither be cut nor written in place (flags 0x%x)",
                    (unsigned)open->flags);
    }
    return 0;
}

/* --- admission ------------------------------------------------------------------------------- */

/* In the service's thread. */
static void admit(void *argument)
{
    struct target *target = argument;

    target->admit_result = service_admit(target->entry.sessions->service, target->entry.fingerprint,
                                         &target->request, &target->grant, &target->admit_error);
    target->is_admitted = target->admit_result == 0;
}

static int ask_service(struct target *target, const struct session_open *open, struct error *err)
{
    if (!mailbox_call(target->entry.sessions->mailbox, admit, target)) {
        return fail(err, ERR_CANCELLED, 0, "the daemon of this host stops; try again later");
    }
    if (target->admit_result < 0) {
        if (err != NULL) {
            *err = target->admit_error;
        }
        return -1;
    }
    if ((open->flags & SESSION_CREATE) != 0 && !target->grant.is_initial) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "the initial copy of this VM is complete here: its disks may not be made anew; "
                    "resynchronize it");
    }
    return 0;
}

/* --- the replica ----------------------------------------------------------------------------- */

static int set_history(const struct target *target, struct error *err)
{
    struct replica *replica = NULL;

    if (replica_open(target->grant.folder, target->entry.sessions->env, &replica, err) < 0) {
        return -1;
    }
    int result = replica_set_history(replica, target->grant.history, err);
    replica_close(replica);
    return result;
}

/* The folder is there, and keeps as many points as it shall. */
static int prepare_folder(const struct target *target, struct error *err)
{
    struct replica_info *info = NULL;

    if (!replica_is_folder(target->grant.folder)) {
        return replica_make(target->grant.folder, target->grant.history, err);
    }
    info = calloc(1, sizeof *info);
    if (info == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a replica's records");
    }
    int result = replica_look(target->grant.folder, info, err);
    bool is_same = result == 0 && info->history == target->grant.history;
    free(info);
    return result < 0 || is_same ? result : set_history(target, err);
}

static int open_replica(struct target *target, const struct session_open *open,
                        struct loop_disks *out, struct error *err)
{
    struct disk_open_options wanted[DISKS_MAX];

    for (uint32_t i = 0; i < open->disk_count; i++) {
        char path[PATH_TEXT_MAX]; /* apart: the compiler cannot see that members do not overlap */
        int used =
            snprintf(path, sizeof path, "%s/%s", target->grant.folder, target->request.disks[i]);
        if (used >= (int)PATH_TEXT_MAX) {
            return fail(err, ERR_USAGE, 0, "the path of disk '%s' in its replica is too long",
                        target->request.disks[i]);
        }
        memcpy(target->paths[i], path, sizeof path);
        wanted[i] = (struct disk_open_options){
            .path = target->paths[i],
            .write = !target->is_check,
            .create = !target->is_check && (open->flags & SESSION_CREATE) != 0,
            .size_bytes = open->size_bytes[i],
        };
    }
    if (!target->is_check && prepare_folder(target, err) < 0) {
        return -1;
    }
    return target_host_open(&target->host, open, wanted, out, NULL, err);
}

/* loop_host.open_disks */
static int open_for_loop(void *context, const struct session_open *open, struct loop_disks *out,
                         struct error *err)
{
    struct target *target = context;

    target->is_check = (open->flags & SESSION_CHECK) != 0;
    if (check_open(open, err) < 0 || fill_request(target, open, err) < 0 ||
        ask_service(target, open, err) < 0) {
        return -1;
    }
    return open_replica(target, open, out, err);
}

/* loop_host.commit */
static int commit(void *context, const struct session_seal *seal, struct error *err)
{
    struct target *target = context;

    return target_host_commit(&target->host, seal, err);
}

/* --- telling --------------------------------------------------------------------------------- */

static const char *show_relationship(const struct target *target,
                                     char out[SESSIONS_RELATIONSHIP_MAX])
{
    if (target->request.disk_count == 0) {
        return NULL; /* it never named any */
    }
    sessions_format_relationship(&target->request.vm, target->request.hop, out);
    return out;
}

/* In the service's thread. */
static void log_waiting(void *argument)
{
    const struct target *target = argument;
    char relationship[SESSIONS_RELATIONSHIP_MAX];

    log_event(target->waiting != NULL ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE,
              {"rel", show_relationship(target, relationship)},
              {"event", target->waiting != NULL ? "waiting for room" : "going on"},
              {"why", target->waiting != NULL ? target->waiting->message : "there is room again"},
              {"peer", target->link->peer});
}

/* loop_host.waiting */
static void waiting(void *context, const struct error *why)
{
    struct target *target = context;

    target->waiting = why;
    (void)!mailbox_call(target->entry.sessions->mailbox, log_waiting, target); /* or nobody reads */
}

/* In the service's thread. */
static void tell_end(void *argument)
{
    struct target *target = argument;
    const struct session_end *end = &target->end;
    char relationship[SESSIONS_RELATIONSHIP_MAX];
    const char *event = end->is_done          ? "session done"
                        : target->is_admitted ? "session ended"
                                              : "session refused";

    log_event(end->is_done ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING,
              {"rel", show_relationship(target, relationship)},
              {"disk", end->error.disk[0] == '\0' ? NULL : end->error.disk}, {"event", event},
              {"role", "target"}, {"peer", target->link->peer},
              {"kind", end->is_done ? NULL : error_kind_name(end->error.kind)},
              {"error", end->is_done ? NULL : end->error.message});
    if (target->is_admitted) {
        service_target_ended(target->entry.sessions->service, &target->grant.ticket, end);
    }
}

/* --- the session ----------------------------------------------------------------------------- */

/* Compared only: there is no new point, and whether both sides are the same is to be seen. */
static void judge_check(struct target *target)
{
    uint64_t different_bytes = 0;

    for (uint32_t i = 0; i < target->end.progress.disk_count; i++) {
        different_bytes += target->end.progress.disks[i].different_bytes;
    }
    if (different_bytes > 0) {
        target->end.is_done = false;
        (void)fail(&target->end.error, ERR_WRONG_STATE, 0,
                   "compared only: %llu bytes are in blocks that differ; resynchronize it",
                   (unsigned long long)different_bytes);
    }
}

/* People know disks by their own names, and not by those of the wire. */
static void name_as_ours(const struct target *target, struct error *err)
{
    const char *slash = strrchr(err->disk, '/');
    char name[DISK_NAME_MAX];

    for (uint32_t i = 0; slash != NULL && i < target->request.disk_count; i++) {
        if (strcmp(slash + 1, target->request.disks[i]) == 0) {
            (void)snprintf(name, sizeof name, "%s", target->request.disks[i]);
            (void)snprintf(err->disk, sizeof err->disk, "%s", name);
            return;
        }
    }
}

static void run(struct target *target)
{
    const struct env *env = target->entry.sessions->env;
    struct loop_host host = {
        .open_disks = open_for_loop, .commit = commit, .waiting = waiting, .context = target};
    struct loop_config config = {
        .session = {.is_initiator = false, .env = env},
        .link = target->link,
        .host = &host,
        .env = env,
        .stop_fd = target->entry.stop_fd,
    };
    struct session_end *end = &target->end;
    uint64_t start_ns = env_now_ns(env);

    target->host.env = env;
    end->is_done = loop_run(&config, &end->progress, &end->error) == 0;
    target_host_done(&target->host);
    end->elapsed_ns = env_now_ns(env) - start_ns;
    if (!end->is_done) {
        name_as_ours(target, &end->error);
        sessions_say_stopped(&target->entry, &end->error);
    } else if (target->is_check) {
        judge_check(target);
    }
}

/* In the service's thread. */
static void log_not_begun(void *argument)
{
    const struct target *target = argument;

    log_event(LOG_LEVEL_WARNING, {"event", "session refused"}, {"role", "target"},
              {"peer", target->link->peer}, {"error", target->end.error.message});
}

void sessions_serve(struct sessions *sessions, struct link *link)
{
    struct target *target = calloc(1, sizeof *target);

    assert(sessions->service != NULL);
    if (target == NULL) {
        link->ops->shutdown(link); /* the peer learns that nobody speaks here */
        return;
    }
    target->link = link;
    memcpy(target->entry.fingerprint, link->fingerprint, FINGERPRINT_BYTES);
    if (sessions_enter(sessions, &target->entry, &target->end.error) < 0) {
        (void)!mailbox_call(sessions->mailbox, log_not_begun, target); /* or nobody reads */
        link->ops->shutdown(link);
        free(target);
        return;
    }
    run(target);
    /* Shut: the service is gone, and what it knew of this session with it. */
    (void)!mailbox_call(sessions->mailbox, tell_end, target);
    sessions_leave(&target->entry);
    free(target);
}
