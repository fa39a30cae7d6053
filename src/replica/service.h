/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service.h - this host's replication: its relationships, jobs, hosts, and every operation on them.
 *
 * One thread owns a service and makes every call here. It does no I/O but through the store (of the
 * same thread); peers and sessions are reached through struct outside, time and chance through
 * struct env. What it has said it did is in the store when the call returns, and survives a kill.
 *
 * Operations end with a reply, at once or later (a peer is asked), exactly once. Each passes
 * authorize() first. Names of VMs are ids or names.
 */
#ifndef RESILVER_REPLICA_SERVICE_H
#define RESILVER_REPLICA_SERVICE_H

#include "base/env.h"
#include "replica/authorize.h"
#include "replica/peer.h"
#include "replica/relationship.h"
#include "store/store.h"
#include "vm/vm.h"

struct service;

/* What changed, for those who watch. */
enum service_subject {
    SUBJECT_INVALID = 0,
    SUBJECT_JOB,          /* id */
    SUBJECT_RELATIONSHIP, /* id of the VM, hop */
    SUBJECT_HOST,
    SUBJECT_EVENT /* event */
};

struct service_change {
    enum service_subject subject;
    struct uuid id;
    uint8_t hop;
    const char *vm_name;           /* of a relationship; borrowed for the call */
    const struct event_row *event; /* the same */
};

struct service_config {
    const struct env *env; /* borrowed, as all pointers here */
    struct store *store;
    const struct inventory *inventory;
    const struct outside *outside;
    char host_name[HOST_NAME_MAX_BYTES];
    bool is_replica_enabled; /* the replication port is open */
    uint32_t max_jobs;
    uint32_t retry_first_s;    /* the first wait of policy_retry_s() */
    uint64_t rate_bytes_per_s; /* all sessions together; 0: no limit */
    uint64_t session_rate_bytes_per_s;
    uint32_t monitoring_interval_s;
    uint32_t monitoring_start_minute;
    /* may be NULL; must not call the service back */
    void (*changed)(void *context, const struct service_change *change);
    void *context;
};

/* service_new - load the state; jobs that a killed daemon was running wait for their turn again.
 * Errors: those of the store. */
MUST_CHECK int service_new(const struct service_config *config, struct service **out,
                           struct error *err);
void service_free(struct service *service);

/* service_step - do what is due (start jobs, schedules, retries, windows, intervals). Returns when
 * it wants to be called next, by env's now_ns. */
uint64_t service_step(struct service *service);

/* service_stop - start no more sessions, and let those that run stop; they go on after a restart.
 * service_is_idle() tells when all have ended. */
void service_stop(struct service *service);
bool service_is_idle(const struct service *service);

/* --- operations ----------------------------------------------------------------------------------
 */

struct service_reply {
    enum return_value value;
    struct uuid job;    /* not nil: the job that was made, or moved */
    struct error error; /* value is neither DONE nor JOB_STARTED: why */
};
typedef void service_reply_fn(void *context, const struct service_reply *reply);

/* Where a reply goes. */
struct service_asker {
    const struct caller *caller; /* borrowed for the call */
    service_reply_fn *reply;
    void *context;
};

struct relationship_request {
    const char *vm;
    const char *host; /* the paired host that shall keep the replica */
    struct relationship_settings settings;
    uint32_t disk_count; /* 0: all */
    const char *const *disks;
};

void service_settings_default(struct relationship_settings *out);

/* CreateReplicationRelationship. On a replica VM: extend it to host. */
void service_create(struct service *service, const struct service_asker *asker,
                    const struct relationship_request *request);

/* StartReplication. hop -1: the one that this host is the source of. start_time NULL: now;
 * is_seeded: the target has a copy already (type 3). */
void service_start(struct service *service, const struct service_asker *asker, const char *vm,
                   int hop, const char *start_time, bool is_seeded);

/* ModifyReplicationSettings. */
void service_modify(struct service *service, const struct service_asker *asker, const char *vm,
                    int hop, const struct relationship_settings *settings);

/* RemoveReplicationRelationshipEx; the peer is told, if it can be. The disks stay. */
void service_remove(struct service *service, const struct service_asker *asker, const char *vm,
                    int hop);

/* Resynchronize (DESIGN 7). */
void service_resynchronize(struct service *service, const struct service_asker *asker,
                           const char *vm, const char *start_time);

/* RequestReplicationStateChangeEx: 1, 3, 7 or 9. */
void service_request_state(struct service *service, const struct service_asker *asker,
                           const char *vm, int hop, uint16_t requested_state);

/* Msvm_ConcreteJob.RequestStateChange: 2 (resume), 3 (suspend), 4 (terminate). */
void service_request_job_state(struct service *service, const struct service_asker *asker,
                               const struct uuid *job, uint16_t requested_state);

/* TestReplicationConnection; the reply's error.message says who answered. */
void service_test_host(struct service *service, const struct service_asker *asker,
                       const char *host);

void service_reset_statistics(struct service *service, const struct service_asker *asker,
                              const char *vm, int hop);

/* Hosts and entries: at once. They return as everything does (0, or -1 with err) and *out is what a
 * method would return. */
MUST_CHECK int service_add_host(struct service *service, const struct caller *caller,
                                const struct host_row *host, enum return_value *out,
                                struct error *err);
MUST_CHECK int service_set_host_address(struct service *service, const struct caller *caller,
                                        const char *name, const char *address,
                                        enum return_value *out, struct error *err);
/* From now on the host may nothing: its entries go, its sessions are cut, its row stays revoked. */
MUST_CHECK int service_revoke_host(struct service *service, const struct caller *caller,
                                   const char *name, enum return_value *out, struct error *err);
MUST_CHECK int service_set_authorization(struct service *service, const struct caller *caller,
                                         const struct authorization_row *entry,
                                         enum return_value *out, struct error *err);
MUST_CHECK int service_remove_authorization(struct service *service, const struct caller *caller,
                                            const char *allowed_primary, enum return_value *out,
                                            struct error *err);

/* --- looking ---------------------------------------------------------------------------------- */
/* What is returned is borrowed until the next call that changes something. */

/* A VM: of the inventory, or known by a relationship, or both. */
struct service_vm {
    struct uuid id;
    const char *name;
    enum replication_mode mode;
    const struct vm *vm;                             /* NULL: not in the inventory */
    const char *inventory;                           /* its kind, "plain"; NULL as vm */
    const struct relationship_row *relationships[2]; /* by hop; NULL: none */
};

uint32_t service_vm_count(const struct service *service);
void service_vm_at(const struct service *service, uint32_t index, struct service_vm *out);

/* service_find_vm - by id or name. Errors: ERR_USAGE: none of the name (with the nearest), or two.
 */
MUST_CHECK int service_find_vm(const struct service *service, const char *text,
                               struct service_vm *out, struct error *err);

uint32_t service_host_count(const struct service *service);
const struct host_row *service_host_at(const struct service *service, uint32_t index);

/* service_find_host - by name, in either case, revoked ones too; NULL: none. */
const struct host_row *service_find_host(const struct service *service, const char *name);

uint32_t service_authorization_count(const struct service *service);
const struct authorization_row *service_authorization_at(const struct service *service,
                                                         uint32_t index);

/* Jobs that have not ended, or not long ago, oldest first. Others are in the store. */
uint32_t service_job_count(const struct service *service);
const struct job_row *service_job_at(const struct service *service, uint32_t index);
const struct job_row *service_find_job(const struct service *service, const struct uuid *id);

/* The progress of a job whose session runs; NULL: none does. */
const struct progress *service_job_progress(const struct service *service, const struct uuid *id);

/* service_health_reason - why its health is not better, in sentences; "" when nothing is wrong. */
void service_health_reason(const struct service *service, const struct relationship_row *row,
                           char *out, size_t size_bytes);

/* The statistics of the interval that now is in. */
const struct statistics_row *service_statistics(const struct service *service,
                                                const struct uuid *vm, uint8_t hop);

/* service_job_is_at_work - its session runs. */
bool service_job_is_at_work(const struct service *service, const struct uuid *id);

/* service_now - the clock that all its times are by. */
int64_t service_now(const struct service *service);

struct store *service_store(struct service *service);
const char *service_host_name(const struct service *service);

/* --- what others tell ----------------------------------------------------------------------------
 */

void service_answered(struct service *service, uint64_t token, const struct peer_answer *answer);
/* sizes: of the order's disks, or NULL with err: what is wrong with them (err->disk). */
void service_looked(struct service *service, uint64_t token, const uint64_t *sizes,
                    const struct error *err);
void service_progress(struct service *service, const struct uuid *job,
                      const struct progress *progress);
void service_session_ended(struct service *service, const struct uuid *job,
                           const struct session_end *end);

/* --- the other side: what peers ask of this host
 * -------------------------------------------------- */

/* service_knows_peer - the paired, not revoked host with this certificate, or NULL. Asked before a
 * byte of it is looked at. */
const struct host_row *service_knows_peer(const struct service *service,
                                          const uint8_t fingerprint[FINGERPRINT_BYTES]);

/* service_asked - answer a peer's question (service_knows_peer() knew it). */
void service_asked(struct service *service, const uint8_t fingerprint[FINGERPRINT_BYTES],
                   const struct peer_question *question, struct peer_answer *out);

/* A session of a peer asks for a VM's replica. */
struct session_request {
    struct uuid vm;
    uint8_t hop;
    uint64_t generation; /* of the source's ownership */
    uint32_t disk_count;
    char disks[DISKS_MAX][DISK_NAME_MAX];
    uint64_t size_bytes[DISKS_MAX];
};

struct session_grant {
    char folder[PATH_TEXT_MAX]; /* the replica's; to be made if it is not there */
    uint32_t history;           /* earlier points that it shall keep */
    bool is_initial;            /* its disks may be made */
    struct uuid ticket;         /* for service_target_ended() */
};

/*
 * service_admit - may this session begin? From then on the VM is in use until
 * service_target_ended(). Errors: ERR_PEER not paired, not allowed; ERR_WRONG_STATE the
 * relationship's state, or in use; ERR_USAGE other disks or sizes than agreed.
 */
MUST_CHECK int service_admit(struct service *service, const uint8_t fingerprint[FINGERPRINT_BYTES],
                             const struct session_request *request, struct session_grant *out,
                             struct error *err);
void service_target_ended(struct service *service, const struct uuid *ticket,
                          const struct session_end *end);

#endif
