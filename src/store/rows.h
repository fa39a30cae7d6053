/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rows.h - what the state database keeps, one struct a table. Times are instants (base/instant.h),
 * 0 is never; numbers of states, types and codes are WMI's (reference: DSP and Msvm classes), and
 * named in replica/.
 */
#ifndef RESILVER_STORE_ROWS_H
#define RESILVER_STORE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/uuid.h"

/* A host that was paired with this one. */
struct host_row {
    char name[HOST_NAME_MAX_BYTES];  /* key: how it calls itself */
    char address[HOST_TEXT_MAX + 8]; /* "db2.example:8490"; "": it only ever calls us */
    uint8_t fingerprint[FINGERPRINT_BYTES];
    int64_t paired_us;
    int64_t revoked_us; /* not 0: it may nothing any more; kept so that nobody wonders */
};

/* Who may replicate to this host: Msvm_ReplicationAuthorizationSettingData. */
struct authorization_row {
    char allowed_primary[HOST_NAME_MAX_BYTES]; /* key: a paired host's name */
    uint8_t fingerprint[FINGERPRINT_BYTES];    /* its certificate when the entry was made */
    char trust_group[TRUST_GROUP_MAX];
    char storage_root[PATH_TEXT_MAX]; /* replicas go to storage_root/<vm uuid>/ */
    int64_t created_us;
};

struct relationship_disk {
    char name[DISK_NAME_MAX];
    uint64_t size_bytes; /* when it was last seen; 0: not yet */
    bool is_included;
};

/* Msvm_ReplicationSettingData, what a user may set. */
struct relationship_settings {
    uint32_t recovery_history;  /* earlier points: 0 .. REPLICA_HISTORY_MAX */
    uint32_t interval_s;        /* ReplicationInterval: 30, 300, 900 */
    uint64_t rate_bytes_per_s;  /* 0: no limit */
    uint32_t auto_start_minute; /* AutoResynchronizeIntervalStart: minutes since local midnight */
    uint32_t auto_end_minute;   /* ...End; before the start: the window goes over midnight */
    bool is_auto_resync_enabled;
    bool is_compression_enabled;
};

/* One hop of one VM: Msvm_ReplicationRelationship with its settings. */
struct relationship_row {
    struct uuid vm;     /* key, with hop */
    uint8_t hop;        /* 0: primary to replica, 1: replica to extended replica */
    uint8_t role;       /* enum relationship_role: which end this host is */
    uint16_t state;     /* enum replication_state */
    uint16_t health;    /* enum replication_health */
    uint16_t last_type; /* LastReplicationType: 0 none, 1 regular */
    char vm_name[VM_NAME_MAX];
    char peer[HOST_NAME_MAX_BYTES]; /* the paired host at the other end */
    char folder[PATH_TEXT_MAX];     /* the replica's folder: of targets, and of hop 1's source */
    char reason[ERROR_MESSAGE_MAX]; /* why it is in an unhealthy state; "" */
    uint64_t generation;      /* of this host's ownership: counts up whenever a daemon takes it */
    uint64_t peer_generation; /* target: the highest that the source ever showed: lower is refused
                               */
    int64_t created_us;
    int64_t last_replication_us; /* LastReplicationTime: received at the target */
    int64_t last_apply_us;       /* LastApplyTime */
    int64_t last_try_us;
    struct relationship_settings settings;
    uint32_t disk_count;
    struct relationship_disk *disks; /* owned; disk_count of them */
};

/* relationship_row_done - free what the row owns. */
void relationship_row_done(struct relationship_row *row);

/* relationship_row_copy - Errors: ERR_LIMIT; *to is untouched then. */
MUST_CHECK int relationship_row_copy(struct relationship_row *to,
                                     const struct relationship_row *from, struct error *err);

/* Msvm_ConcreteJob. */
struct job_row {
    struct uuid id;        /* key */
    uint64_t sequence;     /* the order in which jobs were made; from 1, never used twice */
    uint16_t type;         /* enum job_type */
    uint16_t state;        /* enum job_state */
    uint16_t state_before; /* of the relationship, when the job was made: for one that is cancelled
                              before it began */
    struct uuid vm;
    uint8_t hop;
    char vm_name[VM_NAME_MAX];
    char owner[CALLER_NAME_MAX];
    int64_t submitted_us;
    int64_t scheduled_us; /* ScheduledStartTime; 0: as soon as it is its turn */
    int64_t started_us;   /* first try */
    int64_t ended_us;
    int64_t changed_us;  /* TimeOfLastStateChange */
    int64_t next_try_us; /* not 0: the peer was lost, and is tried again then */
    uint32_t attempts;   /* tries that failed since the last progress */
    uint16_t percent;
    uint16_t error_code; /* 0, or 32768 and above */
    uint16_t error_kind; /* enum error_kind; 0: none */
    char error[ERROR_MESSAGE_MAX];
    char status[ERROR_MESSAGE_MAX]; /* JobStatus: what it does or waits for, for people */
    char *report; /* owned; JSON (control.yaml, JobReport): counters and proof per disk; NULL: none
                   */
};

void job_row_done(struct job_row *row);

/* What happened: for people, and for those who watch. */
struct event_row {
    uint64_t id; /* given by the store; counts up */
    int64_t time_us;
    uint16_t code;  /* Hyper-V's event id where it has one (29242, 29244, ...), else 0 */
    uint16_t level; /* enum log_level */
    struct uuid vm; /* nil: none */
    uint8_t hop;
    struct uuid job; /* nil: none */
    char what[64];   /* a fixed word or two: "resync started" */
    char text[ERROR_MESSAGE_MAX];
};

/* Msvm_ReplicationStatistics of one interval of one relationship. */
struct statistics_row {
    struct uuid vm; /* key, with hop and start */
    uint8_t hop;
    int64_t start_us;
    int64_t end_us;
    uint32_t success_count;
    uint32_t miss_count;
    uint32_t network_failure_count;
    uint32_t failure_count;
    uint64_t size_bytes;
    uint64_t max_size_bytes;
    uint64_t latency_s; /* sum over the successes */
    uint64_t max_latency_s;
    uint64_t resynced_bytes; /* ours: of these, by resynchronizations */
};

#endif
