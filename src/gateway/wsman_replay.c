/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_replay.c - a table of fixed size, searched in order; the oldest answered entry gives way.
 *
 * Invariants: 1. An entry that is in use is either under way (no answer, is_busy) or answered.
 * 2. Only answered entries are reused. 3. An answer above WSMAN_REPLAY_BYTES is not kept, and its
 * entry is freed: the table's memory is bounded.
 */
#include "gateway/wsman_replay.h"

#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_BYTES 32U

struct entry {
    uint8_t digest[DIGEST_BYTES]; /* over user, MessageID and the body's digest */
    bool is_used;
    bool is_busy;
    uint64_t answered_ns;
    unsigned status;
    char *body; /* owned; NULL while busy */
};

struct wsman_replay {
    pthread_mutex_t mutex;
    const struct env *env; /* borrowed until freed */
    struct entry entries[WSMAN_REPLAYS_MAX];
};

int wsman_replay_new(const struct env *env, struct wsman_replay **out, struct error *err)
{
    struct wsman_replay *replay = calloc(1, sizeof *replay);

    if (!replay) {
        return fail(err, ERR_LIMIT, 0, "out of memory for the last answers");
    }
    if (pthread_mutex_init(&replay->mutex, NULL) != 0) {
        free(replay);
        return fail(err, ERR_LIMIT, 0, "no mutex is to be had for the last answers");
    }
    replay->env = env;
    *out = replay;
    return 0;
}

static void forget(struct entry *entry)
{
    free(entry->body);
    *entry = (struct entry){.is_used = false};
}

void wsman_replay_free(struct wsman_replay *replay)
{
    if (!replay) {
        return;
    }
    for (size_t i = 0; i < WSMAN_REPLAYS_MAX; i++) {
        forget(&replay->entries[i]);
    }
    (void)pthread_mutex_destroy(&replay->mutex); /* nobody holds it any more */
    free(replay);
}

static bool sha256(const void *data, size_t bytes, uint8_t out[DIGEST_BYTES])
{
    return EVP_Digest(data, bytes, out, NULL, EVP_sha256(), NULL) == 1;
}

/* Digests of the three, and one over these: no text can slip from one part into the next. */
static bool digest_of(const struct wsman_replay_key *key, uint8_t out[DIGEST_BYTES])
{
    uint8_t parts[3][DIGEST_BYTES];

    return sha256(key->user, strlen(key->user), parts[0]) &&
           sha256(key->message_id, strlen(key->message_id), parts[1]) &&
           sha256(key->body.at, key->body.len_bytes, parts[2]) && sha256(parts, sizeof parts, out);
}

/* Some clients send no id, or count from 0 each time they start: two such requests may well be two.
 * A UUID has 32 digits. */
static bool has_key(const struct wsman_replay_key *key)
{
    return strlen(key->message_id) >= 32;
}

static void expire(struct wsman_replay *replay)
{
    uint64_t now_ns = env_now_ns(replay->env);

    for (size_t i = 0; i < WSMAN_REPLAYS_MAX; i++) {
        struct entry *entry = &replay->entries[i];

        if (entry->is_used && !entry->is_busy &&
            now_ns - entry->answered_ns > WSMAN_REPLAY_S * NS_PER_S) {
            forget(entry);
        }
    }
}

static struct entry *find(struct wsman_replay *replay, const uint8_t digest[DIGEST_BYTES])
{
    for (size_t i = 0; i < WSMAN_REPLAYS_MAX; i++) {
        struct entry *entry = &replay->entries[i];

        if (entry->is_used && memcmp(entry->digest, digest, DIGEST_BYTES) == 0) {
            return entry;
        }
    }
    return NULL;
}

/* A free entry, or the one that was answered longest ago; NULL: all are under way. */
static struct entry *take(struct wsman_replay *replay)
{
    struct entry *oldest = NULL;

    for (size_t i = 0; i < WSMAN_REPLAYS_MAX; i++) {
        struct entry *entry = &replay->entries[i];

        if (!entry->is_used) {
            return entry;
        }
        if (!entry->is_busy && (!oldest || entry->answered_ns < oldest->answered_ns)) {
            oldest = entry;
        }
    }
    if (oldest) {
        forget(oldest);
    }
    return oldest;
}

static enum wsman_replay_state begin_locked(struct wsman_replay *replay,
                                            const uint8_t digest[DIGEST_BYTES],
                                            struct http_answer *answer)
{
    struct entry *entry;

    expire(replay);
    entry = find(replay, digest);
    if (!entry) {
        entry = take(replay);
        if (!entry) {
            return WSMAN_REPLAY_UNKEYED;
        }
        assert(!entry->is_used && !entry->body);
        entry->is_used = true;
        entry->is_busy = true;
        memcpy(entry->digest, digest, DIGEST_BYTES);
        return WSMAN_REPLAY_NEW;
    }
    if (entry->is_busy) {
        return WSMAN_REPLAY_BUSY;
    }
    xml_raw(&answer->body, entry->body);
    answer->status = entry->status;
    answer->content_type = "application/soap+xml;charset=UTF-8";
    return WSMAN_REPLAY_KNOWN;
}

enum wsman_replay_state wsman_replay_begin(struct wsman_replay *replay,
                                           const struct wsman_replay_key *key,
                                           struct http_answer *answer)
{
    uint8_t digest[DIGEST_BYTES];
    enum wsman_replay_state state;

    if (!has_key(key) || !digest_of(key, digest)) {
        return WSMAN_REPLAY_UNKEYED;
    }
    (void)pthread_mutex_lock(&replay->mutex); /* cannot fail: not recursive, initialised */
    state = begin_locked(replay, digest, answer);
    (void)pthread_mutex_unlock(&replay->mutex);
    return state;
}

static void end_locked(struct wsman_replay *replay, struct entry *entry,
                       const struct http_answer *answer)
{
    const struct xml_text *body = answer ? &answer->body : NULL;

    assert(entry->is_busy && !entry->body); /* invariant 1 */
    if (body && body->at && body->used_bytes <= WSMAN_REPLAY_BYTES) {
        entry->body = strdup(body->at);
    }
    if (!entry->body) {
        forget(entry);
        return;
    }
    entry->is_busy = false;
    entry->status = answer->status;
    entry->answered_ns = env_now_ns(replay->env);
}

void wsman_replay_end(struct wsman_replay *replay, const struct wsman_replay_key *key,
                      const struct http_answer *answer)
{
    uint8_t digest[DIGEST_BYTES];
    struct entry *entry;

    if (!digest_of(key, digest)) {
        return;
    }
    (void)pthread_mutex_lock(&replay->mutex); /* cannot fail: not recursive, initialised */
    entry = find(replay, digest);
    if (entry) {
        end_locked(replay, entry, answer);
    }
    (void)pthread_mutex_unlock(&replay->mutex);
}
