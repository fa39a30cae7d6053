/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pairing.c - the pairings of this host. The service's thread shows and confirms them; the thread
 * of each link talks to the other host. They meet at a slot, under one lock.
 *
 *   WAITING --> CODE --> CONFIRMED --> DONE          FAILED from everywhere but DONE
 *
 * 1. A slot with a link (has_link) is not given to another pairing, whatever its state.
 * 2. Once a slot is settled (both sides have confirmed) only its link's thread ends it.
 * 3. Whoever changes a slot that has a link rings its wake_fd.
 * 4. Slots end when they are too old, at the next look of anybody: no timer is needed.
 */
#include "peer/pairing.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log.h"
#include "peer/crew.h"
#include "peer/pairing_talk.h"
#include "peer/stream.h"
#include "wire/tcp.h"

struct slot {
    struct pairings *pairings; /* borrowed */
    struct pairing shown;      /* state INVALID: never used */
    uint64_t sequence;         /* older ones are given up first */
    uint64_t deadline_ns;
    bool is_asker;
    bool has_link;                   /* invariant 1 */
    bool is_settled;                 /* invariant 2 */
    char address[HOST_TEXT_MAX + 8]; /* asking: as it was typed */
    int wake_fd;                     /* owned eventfd */
};

struct pairings {
    struct pairings_config config;
    struct service *service; /* only the service's thread touches it */
    struct crew *crew;       /* owned: the asking sides */
    pthread_mutex_t lock;    /* guards all below */
    bool is_stopped;
    uint64_t next_sequence;
    struct slot slots[PAIRINGS_MAX];
};

static uint64_t now_of(const struct pairings *p)
{
    return env_now_ns(p->config.env);
}

static void ring(const struct slot *slot)
{
    uint64_t one = 1;

    (void)!write(slot->wake_fd, &one, sizeof one); /* fails only when it is readable anyway */
}

static bool is_active(const struct slot *slot)
{
    return slot->shown.state == PAIRING_WAITING || slot->shown.state == PAIRING_CODE ||
           slot->shown.state == PAIRING_CONFIRMED;
}

static void end_locked(struct slot *slot, const char *why)
{
    assert(is_active(slot));
    slot->shown.state = PAIRING_FAILED;
    (void)snprintf(slot->shown.message, sizeof slot->shown.message, "%s", why);
    ring(slot); /* invariant 3 */
}

/* Invariant 4. */
static void expire_locked(struct pairings *p)
{
    uint64_t now_ns = now_of(p);

    for (uint32_t i = 0; i < PAIRINGS_MAX; i++) {
        struct slot *slot = &p->slots[i];
        if (is_active(slot) && !slot->is_settled && now_ns >= slot->deadline_ns) {
            end_locked(slot, "it was not confirmed on both hosts in time: begin again on both");
        }
    }
}

/* --- one pairing, in its link's thread ---------------------------------------------------------
 */

static uint64_t soon(const struct slot *slot)
{
    uint64_t deadline_ns = now_of(slot->pairings) + HANDSHAKE_TIMEOUT_S * NS_PER_S;

    return deadline_ns < slot->deadline_ns ? deadline_ns : slot->deadline_ns;
}

/* Returns false when the pairing was ended meanwhile. */
static bool show(struct slot *slot, const struct link *link, const struct pairing_meeting *met)
{
    struct pairings *p = slot->pairings;
    struct pairing *shown = &slot->shown;

    (void)pthread_mutex_lock(&p->lock);
    bool is_wanted = shown->state == PAIRING_WAITING;
    if (is_wanted) {
        shown->state = PAIRING_CODE;
        (void)snprintf(shown->code, sizeof shown->code, "%s", met->code);
        (void)snprintf(shown->peer_name, sizeof shown->peer_name, "%s", met->name);
        /* The asked host is reached where it was found; the asking one where it says. */
        (void)snprintf(shown->peer_address, sizeof shown->peer_address, "%s",
                       slot->is_asker ? slot->address : met->address);
        memcpy(shown->peer_fingerprint, link->fingerprint, FINGERPRINT_BYTES);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return is_wanted;
}

/* What people at this host have done with it by now. */
enum verdict { VERDICT_OPEN = 0, VERDICT_CONFIRMED, VERDICT_ENDED };

static enum verdict look(struct slot *slot, bool has_peer_confirmed)
{
    struct pairings *p = slot->pairings;
    enum verdict verdict = VERDICT_OPEN;
    uint64_t rings = 0;

    (void)!read(slot->wake_fd, &rings, sizeof rings); /* before the look (invariant 3) */
    (void)pthread_mutex_lock(&p->lock);
    expire_locked(p);
    if (!is_active(slot)) {
        verdict = VERDICT_ENDED;
    } else if (slot->shown.state == PAIRING_CONFIRMED) {
        verdict = VERDICT_CONFIRMED;
        slot->is_settled = has_peer_confirmed; /* invariant 2 */
    }
    (void)pthread_mutex_unlock(&p->lock);
    return verdict;
}

static int hear_peer(struct slot *slot, struct link *link, bool *has_confirmed, struct error *err)
{
    int ready =
        stream_await(link, slot->wake_fd, slot->pairings->config.env, slot->deadline_ns, err);

    if (ready != 1) {
        return ready < 0 ? -1 : 0; /* rung, or too late: the next look tells */
    }
    if (pairing_hear(&slot->pairings->config, link, soon(slot), has_confirmed, err) < 0) {
        return -1;
    }
    if (!*has_confirmed) {
        return fail(err, ERR_PEER, 0, "%s: it was refused there", link->peer);
    }
    return 0;
}

/* Until both sides have confirmed. Errors: one has not. */
static int await_both(struct slot *slot, struct link *link, struct error *err)
{
    const struct pairings_config *config = &slot->pairings->config;
    bool has_peer_confirmed = false;
    bool is_said = false;

    for (;;) {
        enum verdict verdict = look(slot, has_peer_confirmed);
        if (verdict == VERDICT_ENDED) {
            /* Best effort: the peer may be gone. */
            (void)!pairing_say(config, link, false, now_of(slot->pairings) + NS_PER_S, NULL);
            return fail(err, ERR_CANCELLED, 0, "the pairing was ended");
        }
        if (verdict == VERDICT_CONFIRMED && !is_said) {
            if (pairing_say(config, link, true, soon(slot), err) < 0) {
                return -1;
            }
            is_said = true;
        }
        if (is_said && has_peer_confirmed) {
            return 0;
        }
        if (hear_peer(slot, link, &has_peer_confirmed, err) < 0) {
            return -1;
        }
    }
}

struct keeping {
    struct pairings *pairings;
    struct host_row host;
    enum return_value value;
    int result;
    struct error *err;
};

static void keep_host(void *argument)
{
    struct keeping *keeping = argument;
    const struct caller caller = {.role = CALLER_SERVICE, .name = "pairing"};

    keeping->result = service_add_host(keeping->pairings->service, &caller, &keeping->host,
                                       &keeping->value, keeping->err);
}

static int keep_peer(struct slot *slot, struct error *err)
{
    struct pairings *p = slot->pairings;
    struct keeping keeping = {.pairings = p, .err = err, .value = RETURN_FAILED, .result = -1};

    (void)pthread_mutex_lock(&p->lock);
    assert(slot->is_settled);
    keeping.host.paired_us = env_wall_us(p->config.env);
    memcpy(keeping.host.name, slot->shown.peer_name, sizeof keeping.host.name);
    memcpy(keeping.host.address, slot->shown.peer_address, sizeof keeping.host.address);
    memcpy(keeping.host.fingerprint, slot->shown.peer_fingerprint, FINGERPRINT_BYTES);
    (void)pthread_mutex_unlock(&p->lock);
    if (!mailbox_call(p->config.mailbox, keep_host, &keeping)) {
        return fail(err, ERR_CANCELLED, 0,
                    "this daemon stopped before the host was kept: pair "
                    "both again");
    }
    if (keeping.result < 0) {
        return -1;
    }
    if (keeping.value != RETURN_DONE) {
        return fail(err, ERR_WRONG_STATE, 0, "the host '%s' is not kept (return value %d)",
                    keeping.host.name, (int)keeping.value);
    }
    return 0;
}

static void finish(struct slot *slot, int result, const char *why)
{
    struct pairings *p = slot->pairings;

    (void)pthread_mutex_lock(&p->lock);
    slot->has_link = false;
    if (is_active(slot) && result < 0) {
        end_locked(slot, why);
    } else if (is_active(slot)) {
        slot->shown.state = PAIRING_DONE;
    }
    (void)pthread_mutex_unlock(&p->lock);
}

/* From a shown code to the end. */
static int go_on(struct slot *slot, struct link *link, struct error *err)
{
    if (await_both(slot, link, err) < 0) {
        return -1;
    }
    return keep_peer(slot, err);
}

/* --- the asking side ------------------------------------------------------------------------- */

static void link_freep(struct link **link)
{
    link_close(*link);
}

static int connect_slot(struct slot *slot, struct crew_seat *seat, struct link **out,
                        struct error *err)
{
    const struct pairings_config *config = &slot->pairings->config;
    char host[HOST_TEXT_MAX];
    char port[PORT_TEXT_MAX];
    char peer[ERROR_DISK_MAX];
    uint64_t deadline_ns = soon(slot);

    if (address_parse(slot->address, 1, true, host, port, err) < 0) {
        return -1;
    }
    tcp_name_host(host, port, peer, sizeof peer);
    int fd = tcp_connect(host, port, peer, config->env, deadline_ns, err);
    if (fd < 0) {
        return -1;
    }
    if (crew_hold(seat, fd, err) < 0) {
        (void)close(fd); /* nothing was sent on it */
        return -1;
    }
    return link_connect_pinned_on(config->client, fd, peer, PEER_ALPN_PAIR, NULL, deadline_ns,
                                  config->env, out, err);
}

static int ask(struct slot *slot, struct crew_seat *seat, struct error *err)
{
    CLEANUP(link_freep) struct link *link = NULL;
    struct pairing_meeting met;
    struct error why = {.kind = ERR_NONE};

    if (connect_slot(slot, seat, &link, err) < 0) {
        return -1;
    }
    if (pairing_meet(&slot->pairings->config, link, true, soon(slot), &met, &why) < 0) {
        return fail(err, ERR_PEER, 0, "%.400s (a pairing must be awaited at that host first)",
                    why.message);
    }
    if (!show(slot, link, &met)) {
        return fail(err, ERR_CANCELLED, 0, "the pairing was ended");
    }
    return go_on(slot, link, err);
}

static void run_asking(void *argument, struct crew_seat *seat)
{
    struct slot *slot = argument;
    struct error err = {.kind = ERR_NONE};

    int result = ask(slot, seat, &err);
    finish(slot, result, err.message);
}

/* --- the asked side -------------------------------------------------------------------------- */

/* The open window, if no other host is at it. */
static struct slot *take_window(struct pairings *p)
{
    struct slot *found = NULL;

    (void)pthread_mutex_lock(&p->lock);
    expire_locked(p);
    for (uint32_t i = 0; i < PAIRINGS_MAX && found == NULL; i++) {
        struct slot *slot = &p->slots[i];
        if (slot->shown.state == PAIRING_WAITING && !slot->is_asker && !slot->has_link) {
            slot->has_link = true;
            found = slot;
        }
    }
    (void)pthread_mutex_unlock(&p->lock);
    return found;
}

/* Whoever has not come as far as a code has not used up the window. */
static void leave_window(struct slot *slot)
{
    (void)pthread_mutex_lock(&slot->pairings->lock);
    slot->has_link = false;
    (void)pthread_mutex_unlock(&slot->pairings->lock);
}

static void log_refusal(struct pairings *p, const struct link *link, const char *why)
{
    /* A log site is one thread's at a time. */
    (void)pthread_mutex_lock(&p->lock);
    log_event(LOG_LEVEL_WARNING, {"event", "pairing refused"}, {"peer", link->peer},
              {"error", why});
    (void)pthread_mutex_unlock(&p->lock);
}

void pairings_serve(struct pairings *pairings, struct link *link)
{
    struct slot *slot = take_window(pairings);
    struct pairing_meeting met;
    struct error err = {.kind = ERR_NONE};

    if (slot == NULL) {
        log_refusal(pairings, link, "nobody waits for a pairing here");
        return;
    }
    if (pairing_meet(&pairings->config, link, false, soon(slot), &met, &err) < 0 ||
        !show(slot, link, &met)) {
        leave_window(slot);
        log_refusal(pairings, link, err.kind == ERR_NONE ? "the window was closed" : err.message);
        return;
    }
    int result = go_on(slot, link, &err);
    finish(slot, result, err.message);
}

/* --- the service's thread -------------------------------------------------------------------- */

/* A slot for a new pairing: one that was never used, else the oldest that has ended. */
static struct slot *find_room_locked(struct pairings *p)
{
    struct slot *found = NULL;

    for (uint32_t i = 0; i < PAIRINGS_MAX; i++) {
        struct slot *slot = &p->slots[i];
        bool is_free = !is_active(slot) && !slot->has_link;
        if (is_free && (found == NULL || slot->sequence < found->sequence)) {
            found = slot;
        }
    }
    return found;
}

static int begin_locked(struct pairings *p, const char *address, const struct uuid *id,
                        struct slot **out, struct error *err)
{
    struct slot *slot = p->is_stopped ? NULL : find_room_locked(p);
    uint64_t rings = 0;

    if (slot == NULL) {
        return fail(err, ERR_LIMIT, 0,
                    "no more pairings now (%u at once): end one of them, or wait until it ends",
                    PAIRINGS_MAX);
    }
    (void)!read(slot->wake_fd, &rings, sizeof rings); /* left from the pairing before */
    memset(&slot->shown, 0, sizeof slot->shown);
    slot->shown.id = *id;
    slot->shown.state = PAIRING_WAITING;
    slot->shown.expires_us = env_wall_us(p->config.env) + PAIRING_WAIT_S * US_PER_S;
    slot->sequence = ++p->next_sequence;
    slot->deadline_ns = now_of(p) + PAIRING_WAIT_S * NS_PER_S;
    slot->is_asker = address != NULL;
    slot->is_settled = false;
    slot->has_link = slot->is_asker;
    (void)snprintf(slot->address, sizeof slot->address, "%s", address == NULL ? "" : address);
    *out = slot;
    return 0;
}

int pairings_ask(struct pairings *pairings, const char *address, struct pairing *out,
                 struct error *err)
{
    char host[HOST_TEXT_MAX];
    char port[PORT_TEXT_MAX];
    struct slot *slot = NULL;
    struct uuid id;

    if (address_parse(address, 1, true, host, port, err) < 0 ||
        uuid_new(pairings->config.env, &id, err) < 0) {
        return -1;
    }
    if (strlen(address) >= sizeof slot->address) {
        return fail(err, ERR_USAGE, 0, "the address is too long");
    }
    (void)pthread_mutex_lock(&pairings->lock);
    expire_locked(pairings);
    int result = begin_locked(pairings, address, &id, &slot, err);
    if (result == 0) {
        *out = slot->shown;
    }
    (void)pthread_mutex_unlock(&pairings->lock);
    if (result < 0) {
        return -1;
    }
    /* Without the lock, which the new thread may want before this returns. */
    if (crew_start(pairings->crew, "", PAIRINGS_MAX, run_asking, slot, err) < 0) {
        finish(slot, -1, "it was not begun");
        return -1;
    }
    return 0;
}

int pairings_wait(struct pairings *pairings, struct pairing *out, struct error *err)
{
    struct slot *slot = NULL;
    struct uuid id;
    int result = 0;

    if (uuid_new(pairings->config.env, &id, err) < 0) {
        return -1;
    }
    (void)pthread_mutex_lock(&pairings->lock);
    expire_locked(pairings);
    for (uint32_t i = 0; i < PAIRINGS_MAX && slot == NULL; i++) {
        struct slot *other = &pairings->slots[i];
        if (other->shown.state == PAIRING_WAITING && !other->is_asker) {
            slot = other; /* the window is open already */
        }
    }
    if (slot == NULL) {
        result = begin_locked(pairings, NULL, &id, &slot, err);
    }
    if (result == 0) {
        *out = slot->shown;
    }
    (void)pthread_mutex_unlock(&pairings->lock);
    return result;
}

uint32_t pairings_count(struct pairings *pairings)
{
    uint32_t count = 0;

    (void)pthread_mutex_lock(&pairings->lock);
    for (uint32_t i = 0; i < PAIRINGS_MAX; i++) {
        count += pairings->slots[i].shown.state != PAIRING_INVALID ? 1 : 0;
    }
    (void)pthread_mutex_unlock(&pairings->lock);
    return count;
}

void pairings_at(struct pairings *pairings, uint32_t index, struct pairing *out)
{
    assert(index < PAIRINGS_MAX);
    (void)pthread_mutex_lock(&pairings->lock);
    expire_locked(pairings);
    /* Slots are used in their order, so those in use are the first ones. */
    assert(pairings->slots[index].shown.state != PAIRING_INVALID);
    *out = pairings->slots[index].shown;
    (void)pthread_mutex_unlock(&pairings->lock);
}

static struct slot *find_locked(struct pairings *p, const struct uuid *id)
{
    for (uint32_t i = 0; i < PAIRINGS_MAX; i++) {
        struct slot *slot = &p->slots[i];
        if (slot->shown.state != PAIRING_INVALID && uuid_equal(&slot->shown.id, id)) {
            return slot;
        }
    }
    return NULL;
}

static int confirm_locked(struct slot *slot, const char *code, struct error *err)
{
    if (slot == NULL) {
        return fail(err, ERR_USAGE, 0, "there is no such pairing");
    }
    if (slot->shown.state == PAIRING_WAITING) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "there is nothing to confirm yet: wait until the code is shown");
    }
    if (!is_active(slot) || slot->is_settled) {
        return fail(err, ERR_WRONG_STATE, 0, "the pairing has ended already");
    }
    if (strcmp(slot->shown.code, code) != 0) {
        end_locked(slot, "another code was typed here: somebody may be in between; begin again on "
                         "both hosts, and compare the codes");
        return fail(err, ERR_USAGE, 0,
                    "this is not the code of the pairing, which has ended now: somebody may be in "
                    "between; begin again on both hosts, and compare the codes");
    }
    slot->shown.state = PAIRING_CONFIRMED;
    ring(slot);
    return 0;
}

int pairings_confirm(struct pairings *pairings, const struct uuid *id, const char *code,
                     struct pairing *out, struct error *err)
{
    (void)pthread_mutex_lock(&pairings->lock);
    expire_locked(pairings);
    struct slot *slot = find_locked(pairings, id);
    int result = confirm_locked(slot, code, err);
    if (result == 0) {
        *out = slot->shown;
    }
    (void)pthread_mutex_unlock(&pairings->lock);
    return result;
}

int pairings_refuse(struct pairings *pairings, const struct uuid *id, struct pairing *out,
                    struct error *err)
{
    int result = 0;

    (void)pthread_mutex_lock(&pairings->lock);
    expire_locked(pairings);
    struct slot *slot = find_locked(pairings, id);
    if (slot == NULL) {
        result = fail(err, ERR_USAGE, 0, "there is no such pairing");
    } else if (slot->is_settled || slot->shown.state == PAIRING_DONE) {
        result = fail(err, ERR_WRONG_STATE, 0,
                      "both hosts have confirmed already: revoke the host instead");
    } else {
        if (is_active(slot)) {
            end_locked(slot, "it was refused here");
        }
        *out = slot->shown;
    }
    (void)pthread_mutex_unlock(&pairings->lock);
    return result;
}

/* --- the whole ------------------------------------------------------------------------------- */

int pairings_new(const struct pairings_config *config, struct pairings **out, struct error *err)
{
    struct pairings *pairings = calloc(1, sizeof *pairings);
    bool has_all = true;

    if (pairings == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for pairings");
    }
    pairings->config = *config;
    (void)pthread_mutex_init(&pairings->lock, NULL); /* does not fail with default attributes */
    for (uint32_t i = 0; i < PAIRINGS_MAX; i++) {
        pairings->slots[i].pairings = pairings;
        pairings->slots[i].wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        has_all = has_all && pairings->slots[i].wake_fd >= 0;
    }
    int result = has_all ? crew_new(PAIRINGS_MAX, "pairings", &pairings->crew, err)
                         : fail(err, ERR_LIMIT, EMFILE, "cannot make an eventfd");
    if (result < 0) {
        pairings_free(pairings);
        return -1;
    }
    *out = pairings;
    return 0;
}

void pairings_begin(struct pairings *pairings, struct service *service)
{
    pairings->service = service;
}

void pairings_stop(struct pairings *pairings)
{
    (void)pthread_mutex_lock(&pairings->lock);
    pairings->is_stopped = true;
    for (uint32_t i = 0; i < PAIRINGS_MAX; i++) {
        struct slot *slot = &pairings->slots[i];
        if (is_active(slot) && !slot->is_settled) {
            end_locked(slot, "this daemon was stopped");
        }
    }
    (void)pthread_mutex_unlock(&pairings->lock);
    crew_stop(pairings->crew);
}

bool pairings_is_idle(const struct pairings *pairings)
{
    return crew_is_idle(pairings->crew);
}

void pairings_free(struct pairings *pairings)
{
    if (pairings == NULL) {
        return;
    }
    crew_free(pairings->crew);
    for (uint32_t i = 0; i < PAIRINGS_MAX; i++) {
        assert(!pairings->slots[i].has_link);
        if (pairings->slots[i].wake_fd >= 0) {
            (void)close(pairings->slots[i].wake_fd); /* an eventfd has nothing to lose */
        }
    }
    (void)pthread_mutex_destroy(&pairings->lock);
    free(pairings);
}
