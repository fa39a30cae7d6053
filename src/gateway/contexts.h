/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * contexts.h - enumerations that are under way, of both protocols: the results, and how far they
 * have been pulled. A context is a bearer's secret bound to its user: 128 random bits. Safe in
 * several threads: one request at a time has a context, others are told that it is busy.
 */
#ifndef RESILVER_GATEWAY_CONTEXTS_H
#define RESILVER_GATEWAY_CONTEXTS_H

#include "base/env.h"
#include "cim/operations.h"

#define CONTEXT_TEXT_MAX 37

struct contexts;

MUST_CHECK int contexts_new(const struct env *env, struct contexts **out, struct error *err);
void contexts_free(struct contexts *contexts);

struct context {
    char text[CONTEXT_TEXT_MAX]; /* a UUID */
    char user[CALLER_NAME_MAX];
    const char *protocol; /* a literal */
    struct arena arena;   /* owned: the instances, and whatever the protocol keeps */
    struct cim_list list;
    uint32_t next;                     /* of list: the first that was not pulled */
    const void *details;               /* of the protocol: mode, resource URI, ...; of the arena */
    struct subscription *subscription; /* owned; NULL: an enumeration */
    uint64_t expires_ns;               /* 0: when idle only */
    const struct cim_caller *caller;   /* of the arena: for whom the list was made; NULL: no list */
    /* of contexts.c */
    struct context *following;
    uint64_t used_ns;
    size_t kept_bytes; /* of the arena, when it was given back last */
    bool is_busy;
    bool is_dropped;
};

/*
 * contexts_add - a new context, busy with the caller. Its arena is initialised with CIM_LIST_BYTES.
 * Errors: ERR_LIMIT CONTEXTS_MAX, or CONTEXTS_EACH of this user (after idle ones were dropped).
 */
MUST_CHECK int contexts_add(struct contexts *contexts, const char *protocol, const char *user,
                            struct context **out, struct error *err);

/* contexts_take - ERR_USAGE: there is none so called, of this user and protocol; ERR_WRONG_STATE it
 * is busy with another request. contexts_give - back; contexts_drop - end one that was taken. */
MUST_CHECK int contexts_take(struct contexts *contexts, const char *protocol, const char *user,
                             const char *text, struct context **out, struct error *err);
void contexts_give(struct contexts *contexts, struct context *context);

/* contexts_bind - a list is for a caller with just his roles; false: no memory. contexts_fits -
 * whether he may still have it: what it holds was read when he had other roles than now. */
MUST_CHECK bool contexts_bind(struct context *context, const struct cim_caller *caller);
bool contexts_fits(const struct context *context, const struct cim_caller *caller);

/* contexts_expire - when a context that is taken ends, used or not; 0: when idle only. */
void contexts_expire(struct contexts *contexts, struct context *context, uint64_t expires_ns);
void contexts_drop(struct contexts *contexts, struct context *context);

#endif
