/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * contexts.c - a list under one lock.
 *
 * 1. Every context that is in the list is counted, and none twice.
 * 2. One that is busy belongs to its request: nobody else reads or frees what is in it, and only
 *    that request gives it back or drops it. Its text, user and protocol do not change, expires_ns
 *    only under the lock.
 * 3. What leaves the list is freed without the lock: an arena may be large, and a subscription has
 *    a lock of its own.
 *
 * States:  contexts_add -> busy <-> free -> gone (idle, expired)
 *                           |  \-> dropped (expired while busy; nobody finds it) -> gone
 *                           \-> gone (contexts_drop)
 */
#include "gateway/contexts.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "gateway/subscriptions.h"

struct contexts {
    const struct env *env; /* borrowed */
    pthread_mutex_t lock;
    struct context *first; /* owned, with all that follow */
    uint32_t count;
};

int contexts_new(const struct env *env, struct contexts **out, struct error *err)
{
    struct contexts *contexts = calloc(1, sizeof *contexts);

    if (contexts == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for enumeration contexts");
    }
    contexts->env = env;
    (void)pthread_mutex_init(&contexts->lock, NULL); /* does not fail with default attributes */
    *out = contexts;
    return 0;
}

static void lock(struct contexts *contexts)
{
    int result = pthread_mutex_lock(&contexts->lock);

    assert(result == 0);
}

static void unlock(struct contexts *contexts)
{
    int result = pthread_mutex_unlock(&contexts->lock);

    assert(result == 0);
}

/* Frees a context that is in no list, and those that follow it. */
static void free_all(struct context *context)
{
    while (context != NULL) {
        struct context *following = context->following;

        subscription_free(context->subscription);
        arena_free(&context->arena);
        free(context);
        context = following;
    }
}

void contexts_free(struct contexts *contexts)
{
    if (contexts == NULL) {
        return;
    }
    for (const struct context *at = contexts->first; at != NULL; at = at->following) {
        assert(!at->is_busy); /* its request would go on with freed memory */
    }
    free_all(contexts->first);
    (void)pthread_mutex_destroy(&contexts->lock);
    free(contexts);
}

/* Takes the context at *link out of the list, and puts it before *gone. */
static void remove_locked(struct contexts *contexts, struct context **link, struct context **gone)
{
    struct context *context = *link;

    assert(contexts->count > 0);
    *link = context->following;
    context->following = *gone;
    *gone = context;
    contexts->count--;
}

static bool is_over(const struct context *context, uint64_t now_ns)
{
    if (context->expires_ns != 0 && now_ns >= context->expires_ns) {
        return true;
    }
    return !context->is_busy && now_ns - context->used_ns >= CONTEXT_IDLE_S * NS_PER_S;
}

/* Those whose time is over go; one that is busy goes when it is given back. */
static void sweep_locked(struct contexts *contexts, struct context **gone)
{
    const uint64_t now_ns = env_now_ns(contexts->env);

    for (struct context **link = &contexts->first; *link != NULL;) {
        if (!is_over(*link, now_ns)) {
            link = &(*link)->following;
        } else if ((*link)->is_busy) {
            (*link)->is_dropped = true;
            link = &(*link)->following;
        } else {
            remove_locked(contexts, link, gone);
        }
    }
}

/* Compares all of both, so that the time it takes tells nothing of a secret that is not one's own.
 */
static bool is_same_text(const char *a, const char *b)
{
    unsigned int difference = 0;

    if (strnlen(b, CONTEXT_TEXT_MAX) != CONTEXT_TEXT_MAX - 1) {
        return false;
    }
    for (size_t i = 0; i < CONTEXT_TEXT_MAX - 1; i++) {
        difference |= (unsigned char)a[i] ^ (unsigned char)b[i];
    }
    return difference == 0;
}

static struct context **find_locked(struct contexts *contexts, const char *text)
{
    struct context **link = &contexts->first;

    while (*link != NULL && !is_same_text((*link)->text, text)) {
        link = &(*link)->following;
    }
    return link;
}

static uint32_t count_of_user_locked(const struct contexts *contexts, const char *user)
{
    uint32_t count = 0;

    for (const struct context *at = contexts->first; at != NULL; at = at->following) {
        count += strcmp(at->user, user) == 0;
    }
    return count;
}

/* What the user's contexts held when they were given back; user NULL: all users'. One that is new
 * and busy counts nothing yet: there are no more of them than workers. */
static size_t bytes_of_locked(const struct contexts *contexts, const char *user)
{
    size_t all_bytes = 0;

    for (const struct context *each = contexts->first; each != NULL; each = each->following) {
        if (user == NULL || strcmp(each->user, user) == 0) {
            all_bytes += each->kept_bytes;
        }
    }
    return all_bytes;
}

static int add_locked(struct contexts *contexts, struct context *context, struct error *err)
{
    if (count_of_user_locked(contexts, context->user) >= CONTEXTS_EACH) {
        return fail(err, ERR_LIMIT, 0,
                    "user '%s' has %u open enumerations and subscriptions, which is all that one "
                    "may have; pull them to their end, release them, or wait %u s",
                    context->user, CONTEXTS_EACH, CONTEXT_IDLE_S);
    }
    if (contexts->count >= CONTEXTS_MAX) {
        return fail(err, ERR_LIMIT, 0,
                    "%u enumerations and subscriptions of all users are open, which is all that "
                    "there may be; try again when some have ended",
                    CONTEXTS_MAX);
    }
    if (bytes_of_locked(contexts, context->user) > CONTEXTS_EACH_BYTES) {
        return fail(err, ERR_LIMIT, 0,
                    "the open enumerations of user '%s' hold all the %u MiB that one user's may; "
                    "pull them to their end, release them, or wait %u s",
                    context->user, (unsigned)(CONTEXTS_EACH_BYTES / MIB), CONTEXT_IDLE_S);
    }
    if (bytes_of_locked(contexts, NULL) > CONTEXTS_BYTES) {
        return fail(err, ERR_LIMIT, 0,
                    "the open enumerations of all users hold all the %u MiB that they may; try "
                    "again when some have ended",
                    (unsigned)(CONTEXTS_BYTES / MIB));
    }
    if (*find_locked(contexts, context->text) != NULL) {
        return fail(err, ERR_INTERNAL, 0, "the random source gave the same 128 bits twice");
    }
    context->used_ns = env_now_ns(contexts->env);
    context->following = contexts->first;
    contexts->first = context;
    contexts->count++;
    return 0;
}

/* All 128 bits are chance: it has a UUID's form, and no version's. */
static int make_text(const struct env *env, char out[CONTEXT_TEXT_MAX], struct error *err)
{
    struct uuid uuid;

    if (env_random(env, (struct span){uuid.bytes, sizeof uuid.bytes}, err) < 0) {
        return -1;
    }
    uuid_format(&uuid, out);
    return 0;
}

static int make_context(const struct env *env, const char *protocol, const char *user,
                        struct context **out, struct error *err)
{
    struct context *context = calloc(1, sizeof *context);

    if (context == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for an enumeration");
    }
    if (make_text(env, context->text, err) < 0) {
        free(context);
        return -1;
    }
    (void)snprintf(context->user, sizeof context->user, "%s", user); /* its length was checked */
    context->protocol = protocol;
    context->is_busy = true;
    arena_init(&context->arena, CIM_LIST_BYTES);
    *out = context;
    return 0;
}

int contexts_add(struct contexts *contexts, const char *protocol, const char *user,
                 struct context **out, struct error *err)
{
    struct context *context = NULL;
    struct context *gone = NULL;

    if (strlen(user) >= CALLER_NAME_MAX) {
        return fail(err, ERR_LIMIT, 0, "a user's name may have %d bytes at most",
                    CALLER_NAME_MAX - 1);
    }
    if (make_context(contexts->env, protocol, user, &context, err) < 0) {
        return -1;
    }
    lock(contexts);
    sweep_locked(contexts, &gone);
    int result = add_locked(contexts, context, err);
    unlock(contexts);
    free_all(gone);
    if (result < 0) {
        free_all(context);
        return -1;
    }
    *out = context;
    return 0;
}

/* One of another user, of another protocol, or that has ended is none, in the same words. */
static int no_context(const char *text, struct error *err)
{
    return fail(err, ERR_USAGE, 0,
                "there is no enumeration or subscription '%.40s' of this user: it has ended, was "
                "not used for %u s, or never was; begin anew",
                text, CONTEXT_IDLE_S);
}

static int take_locked(struct contexts *contexts, const char *protocol, const char *user,
                       const char *text, struct context **out, struct error *err)
{
    struct context *context = *find_locked(contexts, text);

    if (context == NULL || context->is_dropped || strcmp(context->user, user) != 0 ||
        strcmp(context->protocol, protocol) != 0) {
        return no_context(text, err);
    }
    if (context->is_busy) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "enumeration or subscription '%s' is busy with another request; wait for its "
                    "answer",
                    context->text);
    }
    context->is_busy = true;
    *out = context;
    return 0;
}

int contexts_take(struct contexts *contexts, const char *protocol, const char *user,
                  const char *text, struct context **out, struct error *err)
{
    struct context *gone = NULL;

    lock(contexts);
    sweep_locked(contexts, &gone);
    int result = take_locked(contexts, protocol, user, text, out, err);
    unlock(contexts);
    free_all(gone);
    return result;
}

void contexts_give(struct contexts *contexts, struct context *context)
{
    struct context *gone = NULL;

    lock(contexts);
    assert(context->is_busy);
    context->is_busy = false;
    context->kept_bytes = context->arena.used_bytes;
    context->used_ns = env_now_ns(contexts->env);
    if (context->is_dropped) {
        struct context **link = find_locked(contexts, context->text);
        assert(*link == context);
        remove_locked(contexts, link, &gone);
    }
    sweep_locked(contexts, &gone);
    unlock(contexts);
    free_all(gone);
}

bool contexts_bind(struct context *context, const struct cim_caller *caller)
{
    struct cim_caller *copy = arena_take(&context->arena, sizeof *copy);

    assert(context->is_busy && caller != NULL);
    if (copy == NULL) {
        return false;
    }
    *copy = *caller;
    context->caller = copy;
    return true;
}

bool contexts_fits(const struct context *context, const struct cim_caller *caller)
{
    assert(context->is_busy);
    return context->caller == NULL || cim_caller_is_alike(context->caller, caller);
}

void contexts_expire(struct contexts *contexts, struct context *context, uint64_t expires_ns)
{
    lock(contexts);
    assert(context->is_busy);
    context->expires_ns = expires_ns;
    unlock(contexts);
}

void contexts_drop(struct contexts *contexts, struct context *context)
{
    struct context *gone = NULL;

    lock(contexts);
    assert(context->is_busy);
    struct context **link = find_locked(contexts, context->text);
    assert(*link == context); /* invariant 2 */
    remove_locked(contexts, link, &gone);
    unlock(contexts);
    free_all(gone);
}
