/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * relationship.h - the one table of what may happen to a relationship: for each role, state and
 * event, what is answered and which state comes then. Pure. Source: reference of Hyper-V Replica's
 * states (docs/states.md has the table as text, written from the same rows).
 */
#ifndef RESILVER_REPLICA_RELATIONSHIP_H
#define RESILVER_REPLICA_RELATIONSHIP_H

#include "replica/states.h"
#include "store/rows.h"

enum relationship_event {
    EVENT_INVALID = 0,
    /* what a caller asks for */
    EVENT_CREATE,         /* CreateReplicationRelationship (state 0, no row yet) */
    EVENT_START,          /* StartReplication */
    EVENT_CANCEL_INITIAL, /* RequestedState 1 */
    EVENT_RESYNC,         /* Resynchronize: may it be? (scheduled, queued or at once) */
    EVENT_SUSPEND,        /* RequestedState 7 */
    EVENT_RESUME,         /* RequestedState 3 */
    EVENT_CANCEL_RESYNC,  /* RequestedState 9 */
    EVENT_MODIFY,         /* ModifyReplicationSettings */
    EVENT_REMOVE,         /* RemoveReplicationRelationshipEx */
    /* what jobs and sessions tell */
    EVENT_RESYNC_BEGINS, /* its session starts (first try) */
    EVENT_INITIAL_DONE,
    EVENT_RESYNC_DONE,
    EVENT_INITIAL_FAILED,   /* for good */
    EVENT_RESYNC_FAILED,    /* for good: nothing that a retry would mend */
    EVENT_DIVERGED,         /* something changed behind our back: resynchronization required */
    EVENT_BROKEN,           /* a non-recoverable error outside a resync */
    EVENT_SESSION_ADMITTED, /* target: may a session of the source begin? */
    EVENT_SESSION_DONE      /* target: it ended with a new point */
};
#define RELATIONSHIP_EVENT_MAX EVENT_SESSION_DONE

struct relationship_verdict {
    enum return_value value;      /* RETURN_DONE: allowed; else why not (IN_USE, INVALID_STATE,
                                     NOT_SUPPORTED) */
    enum replication_state state; /* after it; the same as before when refused */
};

struct relationship_verdict relationship_judge(enum relationship_role role,
                                               enum replication_state state,
                                               enum relationship_event event);

/*
 * relationship_refuse - fail() with words for a verdict that refuses: what the relationship's state
 * is, and what would bring it to one in which the event is allowed ("'web1' is resynchronizing;
 * wait for job ... or cancel it with 'resilver resync cancel web1'").
 */
int relationship_refuse(const struct relationship_row *row, enum relationship_event event,
                        struct error *err);

const char *relationship_event_name(enum relationship_event event);

/*
 * relationship_health - Msvm_ReplicationRelationship.ReplicationHealth, from state, times and the
 * statistics of the interval, with the reasons as sentences.
 *
 * Critical: state 8, 9, 11 or a target that is suspended; a try that failed for an hour. Warning:
 * the initial copy is not complete, suspended at the source, more than an hour since the last
 * success, more than a fifth of the interval's cycles missed. Source: Microsoft's health rules.
 */
enum replication_health relationship_health(const struct relationship_row *row,
                                            const struct statistics_row *statistics, int64_t now_us,
                                            char *out_reason, size_t size_bytes);

#endif
