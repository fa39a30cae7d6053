/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * states.h - the numbers of Hyper-V's replication classes, by name. Source: Microsoft, Hyper-V WMI
 * provider (V2): Msvm_ReplicationRelationship, Msvm_ConcreteJob, Msvm_ReplicationService.
 */
#ifndef RESILVER_REPLICA_STATES_H
#define RESILVER_REPLICA_STATES_H

#include <stdbool.h>
#include <stdint.h>

enum replication_state {
    STATE_DISABLED = 0,
    STATE_READY = 1,           /* ready for the initial copy */
    STATE_WAITING_INITIAL = 2, /* the initial copy is not complete */
    STATE_REPLICATING = 3,
    STATE_SYNCED_COMPLETE = 4, /* prepared for a planned failover */
    STATE_RECOVERED = 5,       /* failed over */
    STATE_COMMITTED = 6,
    STATE_SUSPENDED = 7,
    STATE_CRITICAL = 8,
    STATE_WAITING_RESYNC = 9, /* resynchronization required, or waiting for its start */
    STATE_RESYNCHRONIZING = 10,
    STATE_RESYNC_SUSPENDED = 11,
    STATE_RECOVERY_IN_PROGRESS = 12,
    STATE_FAILBACK_IN_PROGRESS = 13,
    STATE_FAILBACK_COMPLETE = 14
};
#define STATE_MAX STATE_FAILBACK_COMPLETE

enum replication_health { HEALTH_NONE = 0, HEALTH_OK = 1, HEALTH_WARNING = 2, HEALTH_CRITICAL = 3 };

/* Msvm_ComputerSystem.ReplicationMode */
enum replication_mode {
    MODE_NONE = 0,
    MODE_PRIMARY = 1,
    MODE_REPLICA = 2,
    MODE_TEST = 3,
    MODE_EXTENDED = 4
};

/* Which end of a relationship this host is. */
enum relationship_role {
    RELATIONSHIP_INVALID = 0,
    RELATIONSHIP_PRIMARY = 1,   /* source of hop 0 */
    RELATIONSHIP_REPLICA = 2,   /* target of hop 0 */
    RELATIONSHIP_EXTENDING = 3, /* source of hop 1: the replica's host */
    RELATIONSHIP_EXTENDED = 4   /* target of hop 1 */
};
#define RELATIONSHIP_ROLE_MAX RELATIONSHIP_EXTENDED

static inline bool role_is_source(enum relationship_role role)
{
    return role == RELATIONSHIP_PRIMARY || role == RELATIONSHIP_EXTENDING;
}

enum job_type {
    JOB_TYPE_NONE = 0,
    JOB_CREATE = 91,
    JOB_MODIFY = 92,
    JOB_REMOVE = 93,
    JOB_INITIAL = 94, /* in-band initial replication */
    JOB_STATE_CHANGE = 96,
    JOB_RESYNC = 107,
    JOB_STOP_INITIAL = 109,
    JOB_STOP_RESYNC = 110,
    JOB_TEST_CONNECTION = 115,
    JOB_RESYNC_INITIAL = 117, /* initial replication onto an existing copy */
    JOB_RESYNC_EXTENDED = 121
};

enum job_state {
    JOB_NEW = 2, /* waits for its time or its turn */
    JOB_STARTING = 3,
    JOB_RUNNING = 4,
    JOB_SUSPENDED = 5,
    JOB_SHUTTING_DOWN = 6,
    JOB_COMPLETED = 7,
    JOB_TERMINATED = 8, /* cancelled */
    JOB_KILLED = 9,
    JOB_EXCEPTION = 10, /* failed */
    JOB_COMPLETED_WITH_WARNINGS = 32768
};

static inline bool job_state_is_end(enum job_state state)
{
    return (state >= JOB_COMPLETED && state <= JOB_EXCEPTION) ||
           state == JOB_COMPLETED_WITH_WARNINGS;
}

/* What the methods of Msvm_ReplicationService return (DESIGN 7 says when). */
enum return_value {
    RETURN_DONE = 0,
    RETURN_JOB_STARTED = 4096,
    RETURN_FAILED = 32768,
    RETURN_ACCESS_DENIED = 32769,
    RETURN_NOT_SUPPORTED = 32770,
    RETURN_UNKNOWN = 32771,
    RETURN_TIMEOUT = 32772,
    RETURN_INVALID_PARAMETER = 32773,
    RETURN_IN_USE = 32774,
    RETURN_INVALID_STATE = 32775,
    RETURN_WRONG_TYPE = 32776,
    RETURN_NOT_AVAILABLE = 32777,
    RETURN_OUT_OF_MEMORY = 32778,
    RETURN_FILE_NOT_FOUND = 32779
};

/* The words that JSON, the command line and messages use; never NULL ("unknown"). */
const char *replication_state_name(enum replication_state state); /* "resynchronizing" */
const char *replication_health_name(enum replication_health health);
const char *replication_mode_name(enum replication_mode mode);
const char *relationship_role_name(enum relationship_role role);
const char *job_type_name(enum job_type type);          /* "resync", "initial copy", ... */
const char *job_state_name(enum job_state state);       /* "running" */
const char *return_value_name(enum return_value value); /* DMTF's: "Invalid state for this
                                                           operation" */

#endif
