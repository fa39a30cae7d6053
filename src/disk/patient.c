/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/patient.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/room.h"

#define RETRY_EVERY_NS NS_PER_S

struct patient {
    struct disk disk;           /* first: a struct disk * is one to this */
    struct disk *inner;         /* owned */
    const struct env *env;      /* borrowed */
    struct disk_request *first; /* borrowed: those that wait, linked by their `next` */
    uint64_t retry_ns;          /* when they are tried again */
    bool is_full;               /* a write found no room, and none has found any since */
    bool gives_up;
    char *demands_at; /* owned: where room is demanded before the first write; NULL: nowhere */
};

static struct patient *patient(struct disk *disk)
{
    return (struct patient *)disk;
}

static bool takes_room(const struct disk_request *request)
{
    return request->op == DISK_WRITE || request->op == DISK_ZERO;
}

static void wait_with(struct patient *p, struct disk_request *request)
{
    request->next = p->first;
    p->first = request;
    p->is_full = true;
    p->retry_ns = env_now_ns(p->env) + RETRY_EVERY_NS;
}

static void stop_demanding(struct patient *p)
{
    free(p->demands_at);
    p->demands_at = NULL;
}

/* A file system that cannot be asked any more is left to the writes, which tell what is wrong. */
static void look_for_room(struct patient *p)
{
    struct room room;

    if (p->demands_at == NULL) {
        return;
    }
    if (room_look(p->demands_at, &room, NULL) < 0 || room.free_bytes >= room.wanted_bytes) {
        stop_demanding(p);
    }
}

static void patient_submit(struct disk *disk, struct disk_request *request)
{
    struct patient *p = patient(disk);

    if (p->demands_at != NULL && takes_room(request)) {
        request->errnum = ENOSPC; /* what it comes back with if nobody wants to wait */
        wait_with(p, request);
        return;
    }
    disk_submit(p->inner, request);
}

/* A flush that failed for want of room says that something was lost: that cannot be tried again. */
static bool may_wait(const struct patient *p, const struct disk_request *request)
{
    return !p->gives_up && (request->errnum == ENOSPC || request->errnum == EDQUOT) &&
           takes_room(request);
}

static void retry(struct patient *p)
{
    struct disk_request *request = p->first;

    look_for_room(p);
    if (p->demands_at != NULL) {
        p->retry_ns = env_now_ns(p->env) + RETRY_EVERY_NS;
        return;
    }
    p->first = NULL;
    while (request != NULL) {
        struct disk_request *next = request->next;
        disk_submit(p->inner, request);
        request = next;
    }
}

static struct disk_request *patient_reap(struct disk *disk)
{
    struct patient *p = patient(disk);

    if (p->first != NULL && p->gives_up) {
        struct disk_request *request = p->first;
        p->first = request->next;
        return request; /* with the errno that it came back with */
    }
    if (p->first != NULL && env_now_ns(p->env) >= p->retry_ns) {
        retry(p);
    }
    struct disk_request *request = disk_reap(p->inner);
    while (request != NULL && may_wait(p, request)) {
        wait_with(p, request);
        request = disk_reap(p->inner);
    }
    if (request != NULL && request->errnum == 0 && takes_room(request)) {
        p->is_full = false;
    }
    return request;
}

static void patient_poll_on(struct disk *disk, int *fd, short *events)
{
    disk_poll_on(patient(disk)->inner, fd, events);
}

static int patient_identity(struct disk *disk, bool stamp, uint8_t identity[DISK_IDENTITY_BYTES],
                            struct error *err)
{
    return disk_identity(patient(disk)->inner, stamp, identity, err);
}

static int patient_fingerprint(struct disk *disk, uint8_t identity[DISK_IDENTITY_BYTES],
                               struct error *err)
{
    return disk_fingerprint(patient(disk)->inner, identity, err);
}

static void patient_close(struct disk *disk)
{
    struct patient *p = patient(disk);

    disk_close(p->inner);
    stop_demanding(p);
    free(p);
}

static const struct disk_ops patient_ops = {
    .name = "patient",
    .submit = patient_submit,
    .reap = patient_reap,
    .poll_on = patient_poll_on,
    .identity = patient_identity,
    .fingerprint = patient_fingerprint,
    .close = patient_close,
};

int patient_new(struct disk *inner, const struct env *env, struct disk **out, struct error *err)
{
    struct patient *p = calloc(1, sizeof *p);

    if (p == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory opening %s", inner->name);
    }
    p->disk = *inner;
    p->disk.ops = &patient_ops;
    p->inner = inner;
    p->env = env;
    *out = &p->disk;
    return 0;
}

int patient_demand_room(struct disk *disk, const char *path, struct error *err)
{
    struct patient *p = patient(disk);
    struct room room;

    assert(disk->ops == &patient_ops && p->demands_at == NULL);
    if (room_look(path, &room, err) < 0) {
        return -1;
    }
    if (room.free_bytes >= room.wanted_bytes) {
        return 0;
    }
    p->demands_at = strdup(path);
    return p->demands_at != NULL ? 0 : fail(err, ERR_LIMIT, 0, "out of memory opening %s", path);
}

bool patient_is_held(const struct disk *disk)
{
    assert(disk->ops == &patient_ops);
    const struct patient *p = (const struct patient *)disk;
    return p->is_full && p->demands_at != NULL;
}

bool patient_is_waiting(const struct disk *disk)
{
    assert(disk->ops == &patient_ops);
    return ((const struct patient *)disk)->is_full;
}

void patient_give_up(struct disk *disk)
{
    assert(disk->ops == &patient_ops);
    patient(disk)->gives_up = true;
    stop_demanding(patient(disk));
}
