/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crew.c
 *
 * 1. A seat is free, or its thread runs, or its thread has ended and is still to be joined:
 *    FREE -> BUSY -> ENDED -> FREE. Only crew_start and crew_free join.
 * 2. A thread says ENDED under the lock as the last thing that it does here, so joining it waits
 * for nothing.
 * 3. The crew's descriptor is its own (a duplicate), so that a cut never meets a number that was
 *    closed and given to somebody else.
 */
#include "peer/crew.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum seat_state { SEAT_FREE = 0, SEAT_BUSY, SEAT_ENDED };

struct crew_seat {
    struct crew *crew; /* borrowed */
    enum seat_state state;
    pthread_t thread;
    crew_work *work;
    void *argument;
    int fd; /* owned; -1: none yet */
    bool is_cut;
    bool has_fingerprint;
    uint8_t fingerprint[FINGERPRINT_BYTES];
    char address[CREW_ADDRESS_MAX];
};

struct crew {
    pthread_mutex_t lock; /* guards all below */
    const char *what;     /* "connections", for messages; borrowed for ever */
    bool is_stopped;
    uint32_t seat_count;
    struct crew_seat seats[];
};

int crew_new(uint32_t max_count, const char *what, struct crew **out, struct error *err)
{
    struct crew *crew = calloc(1, sizeof *crew + max_count * sizeof crew->seats[0]);

    if (crew == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for %s", what);
    }
    crew->what = what;
    crew->seat_count = max_count;
    for (uint32_t i = 0; i < max_count; i++) {
        crew->seats[i].crew = crew;
        crew->seats[i].fd = -1;
    }
    (void)pthread_mutex_init(&crew->lock, NULL); /* does not fail with default attributes */
    *out = crew;
    return 0;
}

static void *run(void *argument)
{
    struct crew_seat *seat = argument;
    struct crew *crew = seat->crew;

    seat->work(seat->argument, seat);
    (void)pthread_mutex_lock(&crew->lock);
    assert(seat->state == SEAT_BUSY);
    if (seat->fd >= 0) {
        (void)close(seat->fd); /* the connection is over */
        seat->fd = -1;
    }
    seat->has_fingerprint = false;
    seat->state = SEAT_ENDED;
    (void)pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static void reap_locked(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->seat_count; i++) {
        if (crew->seats[i].state == SEAT_ENDED) {
            (void)pthread_join(crew->seats[i].thread, NULL); /* invariant 2 */
            crew->seats[i].state = SEAT_FREE;
        }
    }
}

static int find_locked(struct crew *crew, const char *address, uint32_t max_each,
                       struct crew_seat **out, struct error *err)
{
    struct crew_seat *free_seat = NULL;
    uint32_t same_count = 0;

    for (uint32_t i = 0; i < crew->seat_count; i++) {
        struct crew_seat *seat = &crew->seats[i];
        if (seat->state == SEAT_FREE) {
            free_seat = seat;
        } else if (address[0] != '\0' && strcmp(seat->address, address) == 0) {
            same_count++;
        }
    }
    if (crew->is_stopped) {
        return fail(err, ERR_LIMIT, 0, "this daemon is stopping: no more %s", crew->what);
    }
    if (same_count >= max_each) {
        return fail(err, ERR_LIMIT, 0, "%s has %u %s already: no more are taken", address,
                    same_count, crew->what);
    }
    if (free_seat == NULL) {
        return fail(err, ERR_LIMIT, 0, "there are %u %s already: try again later", crew->seat_count,
                    crew->what);
    }
    *out = free_seat;
    return 0;
}

static int start_locked(struct crew_seat *seat, struct error *err)
{
    int errnum = pthread_create(&seat->thread, NULL, run, seat);

    if (errnum != 0) {
        return fail(err, ERR_LIMIT, errnum, "cannot start a thread for %s", seat->crew->what);
    }
    seat->state = SEAT_BUSY;
    return 0;
}

int crew_start(struct crew *crew, const char *address, uint32_t max_each, crew_work *work,
               void *argument, struct error *err)
{
    struct crew_seat *seat = NULL;

    (void)pthread_mutex_lock(&crew->lock);
    reap_locked(crew);
    int result = find_locked(crew, address, max_each, &seat, err);
    if (result == 0) {
        assert(seat->fd == -1);
        seat->work = work;
        seat->argument = argument;
        seat->is_cut = false;
        (void)snprintf(seat->address, sizeof seat->address, "%s", address);
        /* The thread meets the lock before it ends, and so finds BUSY. */
        result = start_locked(seat, err);
    }
    (void)pthread_mutex_unlock(&crew->lock);
    return result;
}

int crew_hold(struct crew_seat *seat, int fd, struct error *err)
{
    struct crew *crew = seat->crew;
    int own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (own_fd < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot keep hold of a connection");
    }
    (void)pthread_mutex_lock(&crew->lock);
    assert(seat->state == SEAT_BUSY && seat->fd == -1);
    seat->fd = own_fd;
    bool is_cut = crew->is_stopped || seat->is_cut;
    (void)pthread_mutex_unlock(&crew->lock);
    return is_cut ? fail(err, ERR_PEER, 0, "the connection was ended by this host") : 0;
}

static void cut_locked(struct crew_seat *seat)
{
    seat->is_cut = true;
    if (seat->fd >= 0) {
        (void)shutdown(seat->fd, SHUT_RDWR); /* fails when the peer was faster */
    }
}

void crew_name(struct crew_seat *seat, const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    struct crew *crew = seat->crew;

    (void)pthread_mutex_lock(&crew->lock);
    memcpy(seat->fingerprint, fingerprint, FINGERPRINT_BYTES);
    seat->has_fingerprint = true;
    (void)pthread_mutex_unlock(&crew->lock);
}

void crew_cut(struct crew *crew, const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    (void)pthread_mutex_lock(&crew->lock);
    for (uint32_t i = 0; i < crew->seat_count; i++) {
        struct crew_seat *seat = &crew->seats[i];
        if (seat->state == SEAT_BUSY && seat->has_fingerprint &&
            memcmp(seat->fingerprint, fingerprint, FINGERPRINT_BYTES) == 0) {
            cut_locked(seat);
        }
    }
    (void)pthread_mutex_unlock(&crew->lock);
}

void crew_stop(struct crew *crew)
{
    (void)pthread_mutex_lock(&crew->lock);
    crew->is_stopped = true;
    for (uint32_t i = 0; i < crew->seat_count; i++) {
        if (crew->seats[i].state == SEAT_BUSY) {
            cut_locked(&crew->seats[i]);
        }
    }
    (void)pthread_mutex_unlock(&crew->lock);
}

bool crew_is_idle(struct crew *crew)
{
    bool is_idle = true;

    (void)pthread_mutex_lock(&crew->lock);
    for (uint32_t i = 0; i < crew->seat_count; i++) {
        is_idle = is_idle && crew->seats[i].state != SEAT_BUSY;
    }
    (void)pthread_mutex_unlock(&crew->lock);
    return is_idle;
}

void crew_free(struct crew *crew)
{
    if (crew == NULL) {
        return;
    }
    crew_stop(crew);
    for (uint32_t i = 0; i < crew->seat_count; i++) {
        /* Nobody else starts or joins any more; the thread itself may still need the lock. */
        (void)pthread_mutex_lock(&crew->lock);
        bool has_thread = crew->seats[i].state != SEAT_FREE;
        (void)pthread_mutex_unlock(&crew->lock);
        if (has_thread) {
            (void)pthread_join(crew->seats[i].thread, NULL);
        }
    }
    (void)pthread_mutex_destroy(&crew->lock);
    free(crew);
}
