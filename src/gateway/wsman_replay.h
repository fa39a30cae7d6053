/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_replay.h - the last answers to method calls, for clients that send a request again: wsl
 * does after any HTTP 500, because curl takes that for a passing failure. The same request (user,
 * MessageID, body) within WSMAN_REPLAY_S gets the answer that it got; the method is not called
 * twice. Safe in several threads.
 */
#ifndef RESILVER_GATEWAY_WSMAN_REPLAY_H
#define RESILVER_GATEWAY_WSMAN_REPLAY_H

#include <stdbool.h>

#include "base/env.h"
#include "base/error.h"
#include "gateway/http.h"

struct wsman_replay;

MUST_CHECK int wsman_replay_new(const struct env *env, struct wsman_replay **out,
                                struct error *err);
void wsman_replay_free(struct wsman_replay *replay);

enum wsman_replay_state {
    WSMAN_REPLAY_NEW = 0, /* not seen yet: it is under way now, until wsman_replay_end() */
    WSMAN_REPLAY_BUSY,    /* the same request is under way in another thread */
    WSMAN_REPLAY_KNOWN,   /* its answer was written */
    WSMAN_REPLAY_UNKEYED  /* no MessageID to know it by ("" or "0"), or no memory: do not end it */
};

struct wsman_replay_key {
    const char *user;
    const char *message_id;
    struct const_span body;
};

/* wsman_replay_begin - look for it. answer is written (status, type, body) with
 * WSMAN_REPLAY_KNOWN. */
enum wsman_replay_state wsman_replay_begin(struct wsman_replay *replay,
                                           const struct wsman_replay_key *key,
                                           struct http_answer *answer);

/* wsman_replay_end - keep the answer; NULL: forget the request, nothing was called. */
void wsman_replay_end(struct wsman_replay *replay, const struct wsman_replay_key *key,
                      const struct http_answer *answer);

#endif
