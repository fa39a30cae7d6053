/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * subscriptions.h - changes of jobs and relationships, as they happen, for those who pull them: one
 * thread watches the service (client_watch) as the gateway itself and puts the objects of the
 * control API into the queue of every subscription whose caller may see the VM.
 */
#ifndef RESILVER_GATEWAY_SUBSCRIPTIONS_H
#define RESILVER_GATEWAY_SUBSCRIPTIONS_H

#include <jansson.h>

#include "base/env.h"
#include "base/error.h"
#include "cim/caller.h"

struct subscriptions;
struct subscription;

/* changed: called from the watching thread after something was queued (http_wake). env's clock is
 * the monotonic one. subscriptions_free - after every subscription; takes WATCH_TURN_MS at most. */
MUST_CHECK int subscriptions_new(const struct env *env, const char *control_socket,
                                 void (*changed)(void *context), void *context,
                                 struct subscriptions **out, struct error *err);
void subscriptions_free(struct subscriptions *subscriptions);

/* subscriptions_add - for a caller, from now on. */
MUST_CHECK int subscriptions_add(struct subscriptions *subscriptions,
                                 const struct cim_caller *caller, struct subscription **out,
                                 struct error *err);
void subscription_free(struct subscription *subscription);

/*
 * subscription_take - the next change: its kind ("job", "relationship") and object, owned by the
 * caller. False: none waits. *lost: how many were dropped before it because nobody took them,
 * or 1 when the service was not watched for a while.
 */
bool subscription_take(struct subscription *subscription, char kind[16], json_t **object,
                       uint32_t *lost);

#endif
