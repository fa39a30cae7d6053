/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * subscriptions.c - one thread watches the service and fills the queues; requests empty them.
 *
 * 1. The lock guards the list and every queue, and the references of every object in a queue. The
 *    service is watched, and `changed` called, without it.
 * 2. An object is shared by all queues that it is in, so that 256 subscriptions hold a large job
 *    once. Nobody else ever has it: what comes in is a copy, and what goes out is one, too, unless
 *    no other queue has it. (jansson may count references atomically, but looks at them otherwise.)
 * 3. A queue that is full loses its oldest change, and counts it.
 *
 * What changes while the service is not watched is not seen, and the service does not tell it
 * later. So it counts as lost: whoever takes the next change is told, and looks at the whole anew.
 */
#include "gateway/subscriptions.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/log.h"
#include "client/client.h"

#define KIND_MAX 16

struct change {
    char kind[KIND_MAX];
    json_t *object; /* owned: one reference */
};

struct subscription {
    struct subscriptions *of; /* borrowed; outlives it */
    struct cim_caller caller;
    struct subscription *following;
    struct change ring[CONTEXT_EVENTS_MAX];
    uint32_t first;
    uint32_t count;
    uint32_t lost;
};

struct subscriptions {
    const struct env *env; /* borrowed */
    struct client *client; /* owned; of the watching thread */
    void (*changed)(void *context);
    void *context; /* borrowed */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ending; /* is_ending became true */
    bool is_ending;
    struct subscription *all; /* each owned by who added it */
};

static void lock(struct subscriptions *subscriptions)
{
    int result = pthread_mutex_lock(&subscriptions->lock);

    assert(result == 0);
}

static void unlock(struct subscriptions *subscriptions)
{
    int result = pthread_mutex_unlock(&subscriptions->lock);

    assert(result == 0);
}

/* --- queues ----------------------------------------------------------------------------------- */

/* The oldest change; its reference goes to the caller. */
static struct change take_locked(struct subscription *subscription)
{
    assert(subscription->count > 0);
    struct change change = subscription->ring[subscription->first];

    subscription->ring[subscription->first].object = NULL;
    subscription->first = (subscription->first + 1) % CONTEXT_EVENTS_MAX;
    subscription->count--;
    return change;
}

static void lose_locked(struct subscription *subscription)
{
    subscription->lost += subscription->lost < UINT32_MAX;
}

static void put_locked(struct subscription *subscription, const char *kind, json_t *object)
{
    if (subscription->count == CONTEXT_EVENTS_MAX) {
        json_decref(take_locked(subscription).object);
        lose_locked(subscription);
    }
    assert(subscription->count < CONTEXT_EVENTS_MAX);
    const uint32_t last = (subscription->first + subscription->count) % CONTEXT_EVENTS_MAX;
    struct change *change = &subscription->ring[last];
    (void)snprintf(change->kind, sizeof change->kind, "%s", kind);
    change->object = json_incref(object);
    subscription->count++;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

static bool may_see(const struct cim_caller *caller, const json_t *object)
{
    const json_t *vm = json_object_get(object, "vm");

    return cim_caller_role(caller, text_of(vm, "id"), text_of(vm, "name")) >= CIM_ROLE_VIEWER;
}

/* Into the queue of everybody who may see it; without memory for a copy it is lost to them. True:
 * there was one. */
static bool put_all_locked(struct subscriptions *subscriptions, const char *kind,
                           const json_t *object)
{
    json_t *copy = NULL;
    bool is_put = false;

    for (struct subscription *at = subscriptions->all; at != NULL; at = at->following) {
        if (!may_see(&at->caller, object)) {
            continue;
        }
        copy = copy != NULL ? copy : json_deep_copy(object);
        if (copy != NULL) {
            put_locked(at, kind, copy);
        } else {
            lose_locked(at);
        }
        is_put = true;
    }
    json_decref(copy);
    return is_put;
}

static bool put_all(struct subscriptions *subscriptions, const char *kind, const json_t *object)
{
    lock(subscriptions);
    bool is_put = put_all_locked(subscriptions, kind, object);
    unlock(subscriptions);
    return is_put;
}

int subscriptions_add(struct subscriptions *subscriptions, const struct cim_caller *caller,
                      struct subscription **out, struct error *err)
{
    struct subscription *subscription = calloc(1, sizeof *subscription);

    if (subscription == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a subscription");
    }
    subscription->of = subscriptions;
    subscription->caller = *caller;
    lock(subscriptions);
    subscription->following = subscriptions->all;
    subscriptions->all = subscription;
    unlock(subscriptions);
    *out = subscription;
    return 0;
}

static void remove_locked(struct subscriptions *subscriptions,
                          const struct subscription *subscription)
{
    struct subscription **link = &subscriptions->all;

    while (*link != subscription) {
        assert(*link != NULL);
        link = &(*link)->following;
    }
    *link = subscription->following;
}

void subscription_free(struct subscription *subscription)
{
    if (subscription == NULL) {
        return;
    }
    struct subscriptions *subscriptions = subscription->of;
    lock(subscriptions);
    remove_locked(subscriptions, subscription);
    while (subscription->count > 0) {
        json_decref(take_locked(subscription).object);
    }
    unlock(subscriptions);
    free(subscription);
}

/* One that nobody else has (invariant 2), for one reference. NULL: no memory. */
static json_t *own_locked(json_t *object)
{
    if (object->refcount == 1) {
        return object;
    }
    json_t *copy = json_deep_copy(object);
    json_decref(object);
    return copy;
}

bool subscription_take(struct subscription *subscription, char kind[16], json_t **object,
                       uint32_t *lost)
{
    json_t *own = NULL;

    lock(subscription->of);
    while (own == NULL && subscription->count > 0) {
        struct change change = take_locked(subscription);
        own = own_locked(change.object);
        if (own == NULL) {
            lose_locked(subscription);
            continue;
        }
        memcpy(kind, change.kind, KIND_MAX);
        *object = own;
        *lost = subscription->lost;
        subscription->lost = 0;
    }
    unlock(subscription->of);
    return own != NULL;
}

/* --- the watching thread ---------------------------------------------------------------------- */

/* What the thread knows of the connection that it watches. */
struct watching {
    struct subscriptions *subscriptions;
    bool has_seen; /* something came: the service is there */
};

static bool is_ending(struct subscriptions *subscriptions)
{
    lock(subscriptions);
    bool result = subscriptions->is_ending;
    unlock(subscriptions);
    return result;
}

/* 1 ends the watch. */
static int visit(void *context, const char *kind, const json_t *object, struct error *err)
{
    struct watching *watching = context;
    struct subscriptions *subscriptions = watching->subscriptions;

    (void)err; /* nothing here fails */
    if (kind != NULL) {
        watching->has_seen = true;
        bool is_wanted = strcmp(kind, "job") == 0 || strcmp(kind, "relationship") == 0;
        if (is_wanted && put_all(subscriptions, kind, object)) {
            subscriptions->changed(subscriptions->context);
        }
    }
    return is_ending(subscriptions) ? 1 : 0;
}

static void log_end(int result, const struct error *err, uint32_t pause_s)
{
    char pause[32];

    (void)snprintf(pause, sizeof pause, "%u", pause_s);
    log_event(LOG_LEVEL_WARNING, {"event", "watching resilverd ended"},
              {"error", result < 0 ? err->message : "resilverd ended the stream"},
              {"pause_s", pause});
}

/* Nobody knows how much it was. */
static void lose_all(struct subscriptions *subscriptions)
{
    lock(subscriptions);
    for (struct subscription *at = subscriptions->all; at != NULL; at = at->following) {
        if (at->lost == 0) {
            lose_locked(at);
        }
    }
    unlock(subscriptions);
}

/* Until the pause is over. subscriptions_free() ends it at once. */
static void wait_s(struct subscriptions *subscriptions, uint32_t pause_s)
{
    const uint64_t until_ns = env_now_ns(subscriptions->env) + pause_s * NS_PER_S;
    const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                                   .tv_nsec = (long)(until_ns % NS_PER_S)};
    int result = 0;

    lock(subscriptions);
    while (!subscriptions->is_ending && result == 0) {
        result = pthread_cond_timedwait(&subscriptions->ending, &subscriptions->lock, &until);
    }
    unlock(subscriptions);
}

/* A service that was there for a while is asked again soon. */
static uint32_t next_pause(const struct watching *watching, uint64_t length_ns, uint32_t pause_s)
{
    if (watching->has_seen || length_ns >= WATCH_PAUSE_MAX_S * NS_PER_S || pause_s == 0) {
        return WATCH_PAUSE_MIN_S;
    }
    return pause_s * 2 < WATCH_PAUSE_MAX_S ? pause_s * 2 : WATCH_PAUSE_MAX_S;
}

static void *run(void *argument)
{
    struct subscriptions *subscriptions = argument;
    uint32_t pause_s = 0;

    while (!is_ending(subscriptions)) {
        struct watching watching = {.subscriptions = subscriptions};
        struct error err = {0};
        const uint64_t begun_ns = env_now_ns(subscriptions->env);
        int result = client_watch(subscriptions->client, WATCH_TURN_MS, visit, &watching, &err);

        if (result <= 0) {
            pause_s = next_pause(&watching, env_now_ns(subscriptions->env) - begun_ns, pause_s);
            log_end(result, &err, pause_s);
            wait_s(subscriptions, pause_s);
            lose_all(subscriptions);
        }
    }
    return NULL;
}

/* --- all of them ------------------------------------------------------------------------------ */

/* The deadlines are of the monotonic clock, as env's. Nothing of it fails on Linux. */
static void init_locks(struct subscriptions *subscriptions)
{
    pthread_condattr_t attributes;

    (void)pthread_mutex_init(&subscriptions->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&subscriptions->ending, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

static void free_all(struct subscriptions *subscriptions)
{
    (void)pthread_cond_destroy(&subscriptions->ending);
    (void)pthread_mutex_destroy(&subscriptions->lock);
    client_close(subscriptions->client);
    free(subscriptions);
}

int subscriptions_new(const struct env *env, const char *control_socket,
                      void (*changed)(void *context), void *context, struct subscriptions **out,
                      struct error *err)
{
    struct subscriptions *subscriptions = calloc(1, sizeof *subscriptions);

    if (subscriptions == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for subscriptions");
    }
    subscriptions->env = env;
    subscriptions->changed = changed;
    subscriptions->context = context;
    if (client_open(control_socket, &subscriptions->client, err) < 0) {
        free(subscriptions);
        return -1;
    }
    init_locks(subscriptions);
    int result = pthread_create(&subscriptions->thread, NULL, run, subscriptions);
    if (result != 0) {
        free_all(subscriptions);
        return fail(err, ERR_LIMIT, result, "cannot start the thread that watches resilverd");
    }
    *out = subscriptions;
    return 0;
}

void subscriptions_free(struct subscriptions *subscriptions)
{
    if (subscriptions == NULL) {
        return;
    }
    lock(subscriptions);
    subscriptions->is_ending = true;
    (void)pthread_cond_signal(&subscriptions->ending); /* fails for no reason of ours */
    unlock(subscriptions);
    int result = pthread_join(subscriptions->thread, NULL);
    assert(result == 0);
    assert(subscriptions->all == NULL); /* they would go on with freed memory */
    free_all(subscriptions);
}
