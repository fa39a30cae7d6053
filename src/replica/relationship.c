/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * relationship.c - the table. docs/states.md shows it, and says why where Hyper-V's documentation
 * is silent; relationship_test walks it and compares.
 *
 * 1. No two rows say something of the same role, state and event.
 * 2. What no row names is refused: the state does not allow it.
 */
#include "replica/relationship.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/attributes.h"
#include "base/env.h"

#define BIT(number) (1U << (number))
#define SOURCE (BIT(RELATIONSHIP_PRIMARY) | BIT(RELATIONSHIP_EXTENDING))
#define TARGET (BIT(RELATIONSHIP_REPLICA) | BIT(RELATIONSHIP_EXTENDED))
#define BOTH (SOURCE | TARGET)

#define DISABLED BIT(STATE_DISABLED)
#define READY BIT(STATE_READY)
#define INITIAL BIT(STATE_WAITING_INITIAL)
#define REPLICATING BIT(STATE_REPLICATING)
#define SUSPENDED BIT(STATE_SUSPENDED)
#define CRITICAL BIT(STATE_CRITICAL)
#define WAITING BIT(STATE_WAITING_RESYNC)
#define RESYNCING BIT(STATE_RESYNCHRONIZING)
#define PAUSED BIT(STATE_RESYNC_SUSPENDED)
#define ANY (BIT(STATE_MAX + 1) - 1)

#define SAME (-1) /* the state stays what it was */

struct row {
    enum relationship_event event;
    uint32_t roles;
    uint32_t states;
    int next;
    enum return_value value;
};

static const struct row rows[] = {
    {EVENT_CREATE, SOURCE, DISABLED, STATE_READY, RETURN_DONE},
    {EVENT_CREATE, TARGET, DISABLED, STATE_WAITING_INITIAL, RETURN_DONE},

    {EVENT_START, SOURCE, READY, STATE_WAITING_INITIAL, RETURN_DONE},
    {EVENT_START, SOURCE, INITIAL, SAME, RETURN_IN_USE},
    {EVENT_CANCEL_INITIAL, SOURCE, INITIAL, STATE_READY, RETURN_DONE},
    {EVENT_CANCEL_INITIAL, SOURCE, READY, SAME, RETURN_DONE},

    /* A resynchronization that waits for its start or its turn is state 9, one that waits to go on
     * is 11; EVENT_RESYNC_BEGINS makes either 10. */
    {EVENT_RESYNC, SOURCE, REPLICATING | SUSPENDED | CRITICAL | WAITING, STATE_WAITING_RESYNC,
     RETURN_DONE},
    {EVENT_RESYNC, SOURCE, PAUSED, SAME, RETURN_DONE},
    {EVENT_RESYNC, SOURCE, RESYNCING, SAME, RETURN_IN_USE},

    {EVENT_SUSPEND, BOTH, REPLICATING, STATE_SUSPENDED, RETURN_DONE},
    {EVENT_SUSPEND, BOTH, SUSPENDED, SAME, RETURN_DONE},
    {EVENT_SUSPEND, SOURCE, RESYNCING, STATE_RESYNC_SUSPENDED, RETURN_DONE},
    {EVENT_SUSPEND, SOURCE, PAUSED, SAME, RETURN_DONE},
    {EVENT_RESUME, BOTH, SUSPENDED | CRITICAL, STATE_REPLICATING, RETURN_DONE},
    {EVENT_RESUME, BOTH, REPLICATING, SAME, RETURN_DONE},
    {EVENT_RESUME, SOURCE, RESYNCING | PAUSED, SAME, RETURN_DONE},
    {EVENT_CANCEL_RESYNC, SOURCE, RESYNCING | PAUSED, STATE_WAITING_RESYNC, RETURN_DONE},
    {EVENT_CANCEL_RESYNC, SOURCE, WAITING, SAME, RETURN_DONE},

    {EVENT_MODIFY, BOTH, ANY & ~DISABLED, SAME, RETURN_DONE},
    {EVENT_REMOVE, BOTH, ANY, STATE_DISABLED, RETURN_DONE},

    /* 10 is there already when a daemon that was killed takes its job up again. */
    {EVENT_RESYNC_BEGINS, SOURCE, REPLICATING | SUSPENDED | CRITICAL | WAITING | RESYNCING | PAUSED,
     STATE_RESYNCHRONIZING, RETURN_DONE},
    {EVENT_INITIAL_DONE, SOURCE, INITIAL, STATE_REPLICATING, RETURN_DONE},
    {EVENT_INITIAL_FAILED, SOURCE, INITIAL, STATE_READY, RETURN_DONE},
    /* 11: it was done before the wish to suspend it arrived. Not 9: it was cancelled, or something
     * changed meanwhile; that a resynchronization is required stays true. */
    {EVENT_RESYNC_DONE, SOURCE, RESYNCING | PAUSED, STATE_REPLICATING, RETURN_DONE},
    {EVENT_RESYNC_FAILED, SOURCE, WAITING | RESYNCING | PAUSED, STATE_WAITING_RESYNC, RETURN_DONE},
    {EVENT_DIVERGED, SOURCE, REPLICATING | SUSPENDED | CRITICAL | WAITING | RESYNCING | PAUSED,
     STATE_WAITING_RESYNC, RETURN_DONE},
    {EVENT_BROKEN, BOTH, REPLICATING | CRITICAL, STATE_CRITICAL, RETURN_DONE},

    {EVENT_SESSION_ADMITTED, TARGET, INITIAL | REPLICATING, SAME, RETURN_DONE},
    {EVENT_SESSION_DONE, TARGET, INITIAL | REPLICATING, STATE_REPLICATING, RETURN_DONE},
    /* It ended before the wish to suspend it arrived: there is a new point all the same. */
    {EVENT_SESSION_DONE, TARGET, SUSPENDED, SAME, RETURN_DONE},
};

struct relationship_verdict relationship_judge(enum relationship_role role,
                                               enum replication_state state,
                                               enum relationship_event event)
{
    struct relationship_verdict verdict = {.value = RETURN_INVALID_STATE, .state = state};

    /* The numbers may come from the state database or from a peer. */
    if (role > RELATIONSHIP_ROLE_MAX || state > STATE_MAX) {
        return verdict;
    }
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        if (row->event == event && (row->roles & BIT(role)) != 0 &&
            (row->states & BIT(state)) != 0) {
            verdict.value = row->value;
            verdict.state = row->next == SAME ? state : (enum replication_state)row->next;
            return verdict;
        }
    }
    return verdict;
}

/* --- words ----------------------------------------------------------------------------------- */

const char *relationship_event_name(enum relationship_event event)
{
    switch (event) {
    case EVENT_INVALID:
        break;
    case EVENT_CREATE:
        return "create";
    case EVENT_START:
        return "start initial copy";
    case EVENT_CANCEL_INITIAL:
        return "cancel initial copy";
    case EVENT_RESYNC:
        return "resynchronize";
    case EVENT_SUSPEND:
        return "suspend";
    case EVENT_RESUME:
        return "resume";
    case EVENT_CANCEL_RESYNC:
        return "cancel resync";
    case EVENT_MODIFY:
        return "modify";
    case EVENT_REMOVE:
        return "remove";
    case EVENT_RESYNC_BEGINS:
        return "resync begins";
    case EVENT_INITIAL_DONE:
        return "initial copy done";
    case EVENT_RESYNC_DONE:
        return "resync done";
    case EVENT_INITIAL_FAILED:
        return "initial copy failed";
    case EVENT_RESYNC_FAILED:
        return "resync failed";
    case EVENT_DIVERGED:
        return "diverged";
    case EVENT_BROKEN:
        return "broken";
    case EVENT_SESSION_ADMITTED:
        return "session admitted";
    case EVENT_SESSION_DONE:
        return "session done";
    }
    return "unknown";
}

/* "'web1' cannot ..." */
static const char *what_cannot_be(enum relationship_event event)
{
    switch (event) {
    case EVENT_INVALID:
        break;
    case EVENT_CREATE:
        return "be given another relationship of this hop";
    case EVENT_START:
        return "begin an initial copy";
    case EVENT_CANCEL_INITIAL:
        return "have an initial copy cancelled";
    case EVENT_RESYNC:
        return "be resynchronized";
    case EVENT_SUSPEND:
        return "be suspended";
    case EVENT_RESUME:
        return "be resumed";
    case EVENT_CANCEL_RESYNC:
        return "have a resynchronization cancelled";
    case EVENT_MODIFY:
        return "have its settings changed";
    case EVENT_REMOVE:
        return "have its relationship removed";
    case EVENT_RESYNC_BEGINS:
        return "begin to resynchronize";
    case EVENT_INITIAL_DONE:
    case EVENT_INITIAL_FAILED:
        return "end an initial copy";
    case EVENT_RESYNC_DONE:
    case EVENT_RESYNC_FAILED:
        return "end a resynchronization";
    case EVENT_DIVERGED:
        return "be marked as changed";
    case EVENT_BROKEN:
        return "be marked as broken";
    case EVENT_SESSION_ADMITTED:
        return "take a session of its source";
    case EVENT_SESSION_DONE:
        return "end a session of its source";
    }
    return "do what was asked";
}

static bool is_of_jobs(enum relationship_event event)
{
    return event >= EVENT_RESYNC_BEGINS && event != EVENT_SESSION_ADMITTED;
}

/* What only the sending host can do. */
static bool is_of_sources(enum relationship_event event)
{
    return event == EVENT_START || event == EVENT_CANCEL_INITIAL || event == EVENT_RESYNC ||
           event == EVENT_CANCEL_RESYNC;
}

/* What would bring a relationship out of this state, whatever was asked for. */
static const char *way_out(enum replication_state state, enum relationship_role role)
{
    switch (state) {
    case STATE_DISABLED:
        return "replicate it first";
    case STATE_READY:
        return "start its initial copy first";
    case STATE_WAITING_INITIAL:
        return "wait until its initial copy is complete, or cancel that";
    case STATE_REPLICATING:
        return "nothing needs to be done";
    case STATE_SYNCED_COMPLETE:
        return "end the planned failover first";
    case STATE_RECOVERED:
        return "commit the failover or take it back first";
    case STATE_COMMITTED:
        return "reverse the replication, or remove the relationship and replicate it anew";
    case STATE_SUSPENDED:
        return role_is_source(role) ? "resume it first" : "resume it on this host first";
    case STATE_CRITICAL:
        return role_is_source(role) ? "mend what is named as the reason, then resume or "
                                      "resynchronize it"
                                    : "mend what is named as the reason, then resume it on this "
                                      "host";
    case STATE_WAITING_RESYNC:
        return "resynchronize it first ('resilver resync')";
    case STATE_RESYNCHRONIZING:
        return "wait until its job is done, or cancel it ('resilver resync cancel')";
    case STATE_RESYNC_SUSPENDED:
        return "resume the resynchronization, or cancel it ('resilver resync cancel')";
    case STATE_RECOVERY_IN_PROGRESS:
        return "wait until the failover is complete";
    case STATE_FAILBACK_IN_PROGRESS:
        return "wait until the failback is complete";
    case STATE_FAILBACK_COMPLETE:
        return "reverse the replication, or remove the relationship and replicate it anew";
    }
    return "restore a backup of the state database: it has a state that this version does not know";
}

/* Where the way out of the state is not what would help with this event. */
static const char *cure(const struct relationship_row *row, enum relationship_event event)
{
    enum replication_state state = (enum replication_state)row->state;

    if (is_of_jobs(event)) {
        return "what was told came too late and changes nothing; look at its job";
    }
    if (event == EVENT_CREATE) {
        return "remove the relationship that it has first";
    }
    if (state == STATE_DISABLED) {
        return way_out(state, (enum relationship_role)row->role);
    }
    if (event == EVENT_START && state >= STATE_REPLICATING) {
        return "its initial copy was made: resynchronize it, or remove the relationship and "
               "replicate it anew";
    }
    if (event == EVENT_CANCEL_INITIAL && state >= STATE_REPLICATING) {
        return "its initial copy was made: there is nothing to cancel";
    }
    if (event == EVENT_CANCEL_RESYNC && state != STATE_WAITING_INITIAL) {
        return "there is nothing to cancel";
    }
    return way_out(state, (enum relationship_role)row->role);
}

int relationship_refuse(const struct relationship_row *row, enum relationship_event event,
                        struct error *err)
{
    const char *state = replication_state_name((enum replication_state)row->state);
    const char *role = relationship_role_name((enum relationship_role)row->role);

    /* Where the other host decides, its name is the cure; a relationship that is none has no other
     * host. */
    if (!role_is_source((enum relationship_role)row->role) && is_of_sources(event) &&
        row->state != STATE_DISABLED) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "'%s' cannot %s: its state is '%s', and this host keeps a copy of it (%s); ask "
                    "for it at the host that sends it, '%s'",
                    row->vm_name, what_cannot_be(event), state, role, row->peer);
    }
    return fail(err, ERR_WRONG_STATE, 0, "'%s' cannot %s: its state is '%s' (%s); %s", row->vm_name,
                what_cannot_be(event), state, role, cure(row, event));
}

/* --- health ---------------------------------------------------------------------------------- */

#define HOUR_US ((int64_t)(3600 * US_PER_S))
#define MISSES_PART 5 /* a warning when more than a fifth of the cycles was missed */

struct finding {
    enum replication_health health;
    char *reason; /* borrowed */
    size_t size_bytes;
    size_t used_bytes;
};

static void find(struct finding *finding, enum replication_health health, const char *format, ...)
    FORMAT_AT(3, 4);

/* Reasons stand one behind the other; what does not fit is cut. */
static void find(struct finding *finding, enum replication_health health, const char *format, ...)
{
    char text[ERROR_MESSAGE_MAX + 64]; /* the row's reason, with words before it */
    size_t room = finding->size_bytes - finding->used_bytes;
    va_list values;

    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    int used = snprintf(finding->reason + finding->used_bytes, room, "%s%s",
                        finding->used_bytes > 0 ? "; " : "", text);
    assert(used >= 0);
    finding->used_bytes += (size_t)used < room ? (size_t)used : room - 1;
    finding->health = finding->health < health ? health : finding->health;
}

static void look_at_state(struct finding *finding, const struct relationship_row *row)
{
    bool is_source = role_is_source((enum relationship_role)row->role);
    const char *why = row->reason[0] == '\0' ? "no reason is known" : row->reason;

    switch ((enum replication_state)row->state) {
    case STATE_CRITICAL:
        find(finding, HEALTH_CRITICAL, "replication stopped with an error: %s", why);
        break;
    case STATE_WAITING_RESYNC:
        find(finding, HEALTH_CRITICAL, "a resynchronization is required: %s", why);
        break;
    case STATE_RESYNC_SUSPENDED:
        find(finding, HEALTH_CRITICAL, "the resynchronization is suspended");
        break;
    case STATE_SUSPENDED:
        find(finding, is_source ? HEALTH_WARNING : HEALTH_CRITICAL, "replication is suspended %s",
             is_source ? "at its source" : "on this host, which keeps the copy");
        break;
    case STATE_READY:
    case STATE_WAITING_INITIAL:
        find(finding, HEALTH_WARNING, "the initial copy is not complete");
        break;
    case STATE_DISABLED:
    case STATE_REPLICATING:
    case STATE_SYNCED_COMPLETE:
    case STATE_RECOVERED:
    case STATE_COMMITTED:
    case STATE_RESYNCHRONIZING:
    case STATE_RECOVERY_IN_PROGRESS:
    case STATE_FAILBACK_IN_PROGRESS:
    case STATE_FAILBACK_COMPLETE:
        break;
    }
}

/* Only where changes should be on their way; the other states say enough by themselves. */
static void look_at_times(struct finding *finding, const struct relationship_row *row,
                          int64_t now_us)
{
    /* What never succeeded is measured from when it was asked for. */
    int64_t good_us = row->last_replication_us > 0 ? row->last_replication_us : row->created_us;
    int64_t late_us = now_us - good_us;
    bool is_running = row->state == STATE_REPLICATING || row->state == STATE_RESYNCHRONIZING ||
                      row->state == STATE_WAITING_INITIAL;
    /* A try that still runs has given no reason yet. */
    bool is_failing = row->last_try_us > good_us && row->reason[0] != '\0';

    if (!is_running || late_us <= HOUR_US) {
        return;
    }
    if (is_failing) {
        find(finding, HEALTH_CRITICAL, "it fails since more than %" PRId64 " h: %s",
             late_us / HOUR_US, row->reason);
    } else if (row->state == STATE_REPLICATING) {
        find(finding, HEALTH_WARNING, "the last replication was more than %" PRId64 " h ago",
             late_us / HOUR_US);
    }
}

static void look_at_misses(struct finding *finding, const struct statistics_row *statistics)
{
    uint64_t misses = statistics == NULL ? 0 : statistics->miss_count;
    uint64_t cycles = statistics == NULL ? 0 : misses + statistics->success_count;

    if (misses * MISSES_PART > cycles) {
        find(finding, HEALTH_WARNING,
             "%" PRIu64 " of %" PRIu64 " cycles of this interval were "
             "missed",
             misses, cycles);
    }
}

enum replication_health relationship_health(const struct relationship_row *row,
                                            const struct statistics_row *statistics, int64_t now_us,
                                            char *out_reason, size_t size_bytes)
{
    struct finding finding = {.health = HEALTH_OK, .reason = out_reason, .size_bytes = size_bytes};

    assert(size_bytes > 0);
    out_reason[0] = '\0';
    if (row->state == STATE_DISABLED) {
        return HEALTH_NONE;
    }
    look_at_state(&finding, row);
    look_at_times(&finding, row, now_us);
    look_at_misses(&finding, statistics);
    return finding.health;
}
