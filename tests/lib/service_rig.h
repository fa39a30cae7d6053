/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_rig.h - a service over a real store, with a clock that the test moves, seeded chance, and
 * an outside world that does nothing but what the test tells. This host is "here"; "beta" and
 * "gamma" are paired, and "gamma" may replicate to it.
 */
#ifndef RESILVER_TESTS_SERVICE_RIG_H
#define RESILVER_TESTS_SERVICE_RIG_H

#include "replica/service_internal.h"

#define RIG_NOON_US 1772452800000000LL /* 2026-03-02 12:00 UTC, a Monday */
#define RIG_MINUTE_US (60 * US_PER_S)
#define RIG_HOUR_US (60 * RIG_MINUTE_US)
#define RIG_REPLIES_MAX 8192
#define RIG_WAITS_MAX 2048
#define RIG_SESSIONS_MAX 4096
#define RIG_VMS 4U
#define RIG_DISK_BYTES (64 * MIB)

/* What one asker got. */
struct rig_reply {
    uint32_t count;
    struct service_reply last;
};

/* A look or a question that waits to be answered. */
struct rig_wait {
    uint64_t token;
    bool is_look;
    enum peer_call call;
    uint32_t disk_count;
    uint64_t generation;
};

struct rig_session {
    struct uuid job;
    struct uuid vm;
    bool is_running;
    bool is_told_to_stop;
    bool is_initial;
    uint8_t hop;
    uint64_t generation;
    uint64_t rate_bytes_per_s;
    uint32_t disk_count;
};

struct rig {
    char folder[64];
    char path[96];
    struct env env;
    struct outside outside;
    struct service_config config;
    struct inventory *inventory; /* owned, as the next two */
    struct store *store;
    struct service *service;
    int64_t wall_us;
    uint64_t now_ns;
    uint64_t seed;
    enum error_kind refuse_start; /* not NONE: every start fails so */
    enum error_kind refuse_ask;
    enum error_kind refuse_look;
    uint32_t cut_count;
    uint8_t cut_fingerprint[FINGERPRINT_BYTES];
    uint32_t wait_count;
    struct rig_wait waits[RIG_WAITS_MAX];
    uint32_t session_count;
    struct rig_session sessions[RIG_SESSIONS_MAX];
    uint32_t reply_count; /* askers there were */
    struct rig_reply replies[RIG_REPLIES_MAX];
    uint32_t event_count; /* told to those who watch */
    uint32_t job_change_count;
};

struct rig *rig_new(void);
void rig_free(struct rig *rig);

/* As kill -9 and a new start: no stop; sessions, looks and questions are gone. */
void rig_restart(struct rig *rig);

/* The store takes nothing any more, or does again. */
void rig_break_store(struct rig *rig, bool is_broken);

/* Both clocks go on; the service steps. */
void rig_pass(struct rig *rig, int64_t us);
uint64_t rig_chance(struct rig *rig, uint64_t below);

extern const struct caller rig_administrator;
extern const struct caller rig_operator;
extern const struct caller rig_viewer;
extern const struct caller rig_nobody;

/* Operations: the reply's place; count 0: it waits. */
struct rig_reply *rig_asker(struct rig *rig, const struct caller *caller,
                            struct service_asker *out);
struct rig_reply *rig_create(struct rig *rig, const char *vm, const char *host);
struct rig_reply *rig_start(struct rig *rig, const char *vm);
struct rig_reply *rig_resync(struct rig *rig, const char *vm, const char *start_time);
struct rig_reply *rig_request(struct rig *rig, const char *vm, uint16_t state);
struct rig_reply *rig_request_job(struct rig *rig, const struct uuid *job, uint16_t state);
struct rig_reply *rig_remove(struct rig *rig, const char *vm);

/* Answer the oldest that waits; false: nothing does. */
bool rig_answer(struct rig *rig, enum peer_end end, enum return_value value);
bool rig_look(struct rig *rig, const struct error *err); /* NULL: all is well */
void rig_answer_all(struct rig *rig);                    /* everything is well */

/* The running session of a job, or NULL. */
struct rig_session *rig_session_of(struct rig *rig, const struct uuid *job);
uint32_t rig_running(const struct rig *rig);
/* How the session of a job ends: NONE: done. moved: bytes compared by it. */
void rig_end(struct rig *rig, const struct uuid *job, enum error_kind kind);
void rig_progress(struct rig *rig, const struct uuid *job, uint64_t compared, uint64_t resumed);

/* A VM of this host that replicates to beta: state 3. */
void rig_make_replicating(struct rig *rig, const char *vm);
/* A job that resynchronizes it, its session running: its id. */
struct uuid rig_begin_resync(struct rig *rig, const char *vm);

const struct relationship_row *rig_row(struct rig *rig, const char *vm, uint8_t hop);
uint16_t rig_state(struct rig *rig, const char *vm);
const struct job_row *rig_job(struct rig *rig, const struct uuid *id);
const char *rig_start_text(const struct rig *rig, int64_t ahead_us); /* static text */

/* The target's side. */
void rig_fingerprint(uint8_t number, uint8_t out[FINGERPRINT_BYTES]);
/* A question of gamma about VM "far" (two disks); ends with the answer. */
struct peer_answer rig_asked(struct rig *rig, uint8_t fingerprint, enum peer_call call,
                             uint64_t generation, uint64_t size_bytes);
void rig_request_far(uint64_t generation, struct session_request *out);
extern const struct uuid rig_far;

/* Memory and store say the same, and states and jobs are what they may be. */
void rig_check(struct rig *rig);

#endif
