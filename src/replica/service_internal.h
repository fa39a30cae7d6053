/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_internal.h - what the files of the service share.
 *
 * 1. Memory and database say the same when a call returns. An operation that cannot be saved
 * changes nothing. What a session or peer told happened anyway: it stays in memory, is marked
 * unsaved, and saved when the database takes it again.
 * 2. A VM is in use by one thing at a time: an operation that waits for a peer (pending), a job
 *    that is at work, or a session that was admitted.
 * 3. Every asker gets exactly one reply.
 */
#ifndef RESILVER_REPLICA_SERVICE_INTERNAL_H
#define RESILVER_REPLICA_SERVICE_INTERNAL_H

#include "base/log.h"
#include "replica/policy.h"
#include "replica/service.h"

/* What a job does now. */
enum job_phase {
    PHASE_INVALID = 0,
    PHASE_WAITING, /* for its time, its turn, or its next try */
    PHASE_AT_WORK, /* its session runs */
    PHASE_HELD,    /* suspended by a person */
    PHASE_ENDED
};

/* Why its session was told to stop. */
enum job_stop {
    STOP_NONE = 0,
    STOP_SUSPEND,
    STOP_AGAIN, /* it was suspended, and before it had stopped resumed */
    STOP_CANCEL,
    STOP_SERVICE
};

struct service_job {
    struct job_row row;
    enum job_phase phase;
    enum job_stop stop;
    bool is_unsaved;
    bool has_progress;
    bool has_moved; /* since this try began: something was settled that was not before */
    struct progress progress;
    struct uuid stop_job; /* the job of type 109, 110 or 96 that ends with this one's session; nil
                           */
};

struct service_relationship {
    struct relationship_row row;
    bool is_unsaved;
    struct statistics_row statistics; /* of the present interval */
    bool has_unsaved_statistics;
};

/* An operation that waits for others. */
enum pending_kind {
    PENDING_INVALID = 0,
    PENDING_CREATE,  /* look, offer */
    PENDING_START,   /* look, prepare */
    PENDING_RESYNC,  /* look, prepare */
    PENDING_MODIFY,  /* modify */
    PENDING_REMOVE,  /* remove */
    PENDING_TEST,    /* hello */
    PENDING_GREETING /* hello, nobody waits */
};

struct pending {
    uint64_t token;
    enum pending_kind kind;
    bool is_asking; /* the peer; before, the disks are looked at */
    service_reply_fn *reply;
    void *context;
    struct caller caller;
    struct relationship_row row; /* owned: as it shall become */
    uint16_t job_type;           /* RESYNC, START: of the job to be made */
    char host[HOST_NAME_MAX_BYTES];
};

/* A session of a peer that was let in. */
struct admitted {
    struct uuid ticket;
    struct uuid vm;
    uint8_t hop;
    int64_t since_us;
};

struct service {
    struct service_config config;
    bool is_stopping;
    bool has_greeted;
    uint64_t next_token;
    uint32_t host_count;
    struct host_row *hosts; /* owned; room for HOSTS_MAX */
    uint32_t authorization_count;
    struct authorization_row *authorizations; /* owned; room for AUTHORIZATIONS_MAX */
    uint32_t relationship_count;
    struct service_relationship **relationships; /* owned, each too; room for RELATIONSHIPS_MAX; by
                                                    VM and hop */
    const struct vm **by_id;                     /* owned: the inventory's VMs by their ids */
    uint32_t listed_count;                       /* VMs that only relationships know: */
    uint32_t *listed; /* owned: indexes of the first relationship of each; room for all */
    uint32_t job_count;
    struct service_job **jobs; /* owned, each too; by sequence */
    uint32_t job_room;
    uint32_t pending_count;
    struct pending **pendings; /* owned, each too; room for JOBS_OPEN_MAX */
    uint32_t admitted_count;
    struct admitted admitted[PEER_CONNECTIONS_MAX];
    int64_t health_checked_us;
};

/* --- service_look.c: finding
 * ---------------------------------------------------------------------- */

/* What a failed call of ours means to a caller. */
enum return_value service_value_of(const struct error *err);

/* service_plan_next_window - an automatic resync that was just cancelled, or failed for good, is
 * not begun again in the window that now is: the next one is soon enough. */
void service_plan_next_window(struct service *service, struct service_relationship *at);
struct service_relationship *service_find_relationship(const struct service *service,
                                                       const struct uuid *vm, uint8_t hop);

/* The relationship that hop names (-1: the one that this host is the source of, else the only one).
 * Errors: ERR_USAGE no such VM (*out_value INVALID_PARAMETER); ERR_WRONG_STATE no such relationship
 * (INVALID_STATE). */
MUST_CHECK int service_resolve(const struct service *service, const char *vm, int hop,
                               struct service_relationship **out, enum return_value *out_value,
                               struct error *err);
struct service_job *service_find_job_of(const struct service *service, const struct uuid *id);

/* The open job of a relationship, whatever it does; NULL: none. */
struct service_job *service_open_job(const struct service *service, const struct uuid *vm,
                                     uint8_t hop);

/* Whether something is at work on a VM's disks (invariant 2); out_what says what, for a message. */
bool service_is_vm_busy(const struct service *service, const struct uuid *vm, char *out_what,
                        size_t size_bytes);

/* service_sort_inventory - once, before anything is looked for. Errors: ERR_LIMIT. */
MUST_CHECK int service_sort_inventory(struct service *service, struct error *err);

/* service_list_vms - after relationships came or went: who is listed by which. */
void service_list_vms(struct service *service);

/* --- service_record.c: what is kept --------------------------------------------------------------
 */

/* An operation's way: saved or not changed. The caller has changed *at->row, and restores it on
 * failure. */
MUST_CHECK int service_save_relationship(struct service *service, struct service_relationship *at,
                                         struct error *err);
MUST_CHECK int service_save_job(struct service *service, struct service_job *job,
                                struct error *err);

/* An event's way: saved now or later. */
void service_keep_relationship(struct service *service, struct service_relationship *at);

/* service_replace_relationship - *row, saved, takes the place of what was there; takes what row
 * owns on success, and changes nothing on failure. */
MUST_CHECK int service_replace_relationship(struct service *service,
                                            struct service_relationship *at,
                                            struct relationship_row *row, struct error *err);
void service_keep_job(struct service *service, struct service_job *job);
void service_save_rest(struct service *service); /* what could not be saved before */
void service_tell_job(const struct service *service, const struct service_job *job);

MUST_CHECK int service_insert_relationship(struct service *service,
                                           const struct relationship_row *row, struct error *err);
MUST_CHECK int service_delete_relationship(struct service *service, struct service_relationship *at,
                                           struct error *err);

/* service_move - let an event happen to a relationship, if its table allows it; kept. Returns
 * whether it did. reason: why; NULL or "": none. */
bool service_move(struct service *service, struct service_relationship *at,
                  enum relationship_event event, const char *reason);

/* service_refresh_health - from state, times and statistics; tells those who watch if it changed.
 */
void service_refresh_health(struct service *service, struct service_relationship *at);

struct service_note {
    uint16_t code;
    uint16_t level; /* enum log_level */
    const char *what;
    const struct uuid *vm; /* NULL: none */
    uint8_t hop;
    const struct uuid *job; /* NULL: none */
};
/* service_note - an event for people: into the state, to the log, to those who watch. */
void service_note(struct service *service, const struct service_note *note, const char *format, ...)
    FORMAT_AT(3, 4);

/* --- service_statistics.c ----------------------------------------------------------------------
 */

void service_count_end(struct service *service, struct service_relationship *at,
                       const struct session_end *end, bool is_resync);
void service_turn_intervals(struct service *service);
MUST_CHECK int service_load_statistics(struct service *service, struct error *err);

/* --- service_jobs.c ------------------------------------------------------------------------------
 */

/* A new job of a relationship, saved; scheduled_us 0: as soon as it is its turn. Errors: ERR_LIMIT:
 * too many open ones. */
MUST_CHECK int service_make_job(struct service *service, const struct service_relationship *at,
                                enum job_type type, const char *owner, int64_t scheduled_us,
                                struct service_job **out, struct error *err);
MUST_CHECK int service_load_jobs(struct service *service, struct error *err);
void service_start_due(struct service *service);
void service_forget_ended(struct service *service);
uint64_t service_next_job_ns(const struct service *service);

/* End a job that has no session (any more). */
void service_end_job(struct service *service, struct service_job *job, enum job_state state,
                     const struct error *err);

/* Suspend, resume or cancel an open job; its relationship was moved already. stop_job: ends when
 * that is done; NULL: none. */
void service_suspend_job(struct service *service, struct service_job *job,
                         struct service_job *stop_job);
void service_resume_job(struct service *service, struct service_job *job);

/* Set the start of a job that waits: 0, or a moment. */
void service_plan_job(struct service *service, struct service_job *job, int64_t start_us);
/* One whose session is being suspended: it goes on when that has stopped. */
void service_resume_stopping(struct service *service, struct service_relationship *at,
                             struct service_job *job);
void service_cancel_job(struct service *service, struct service_job *job,
                        struct service_job *stop_job);

/* Tries that wait for this peer need wait no longer: it is there. */
void service_hurry(struct service *service, const char *peer);

/* --- service_pending.c ---------------------------------------------------------------------------
 */

void service_reply_done(const struct service_asker *asker, const struct uuid *job);
void service_reply_started(const struct service_asker *asker, const struct uuid *job);

/* Reply with value and err. */
void service_reply_error(const struct service_asker *asker, enum return_value value,
                         const struct error *err);

/* service_pend - begin an operation that waits. Takes what row owns (also on failure); host names
 * the peer. First the disks are looked at, for the kinds that do. On failure the asker has its
 * reply already. */
void service_pend(struct service *service, const struct service_asker *asker,
                  enum pending_kind kind, struct relationship_row *row, uint16_t job_type,
                  const char *host);
bool service_is_pending(const struct service *service, const struct uuid *vm);
void service_pending_done(struct service *service);

/* What a pending operation does in the end. value DONE: its peer agreed. (service_operations.c,
 * service_resync.c) */
void service_finish_create(struct service *service, const struct service_asker *asker,
                           struct pending *pending);
void service_finish_start(struct service *service, const struct service_asker *asker,
                          struct pending *pending);
void service_finish_resync(struct service *service, const struct service_asker *asker,
                           struct pending *pending);
void service_finish_modify(struct service *service, const struct service_asker *asker,
                           struct pending *pending);
void service_finish_remove(struct service *service, const struct service_asker *asker,
                           struct pending *pending);

/* The order of a session for a relationship; job nil: only to look. Errors: ERR_WRONG_STATE the
 * peer is not paired (any more) or has no address. */
MUST_CHECK int service_fill_order(const struct service *service, const struct relationship_row *row,
                                  const struct uuid *job, bool is_initial,
                                  struct session_order *out, struct error *err);

/* --- service_hosts.c -----------------------------------------------------------------------------
 */

/* Tell every paired host that this one is there, so that its tries need not wait. */
void service_greet(struct service *service);

/* --- service_target.c ----------------------------------------------------------------------------
 */

/* A new point arrived at this replica: whoever it is extended to shall have it as well. */
void service_follow(struct service *service, const struct uuid *vm);

#endif
