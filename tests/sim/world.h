/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * world.h - two hosts with their disks and the link between them, in one thread, from one seed.
 *
 *   plan.c      what the seed means
 *   sim_host.c  drives one host's session, as wire/loop.c does for real
 *   oracle.c    knows what must be true, and looks after every step
 *   verdict.c   the same after every session
 *   world.c     lets time pass, and faults strike
 */
#ifndef RESILVER_SIM_WORLD_H
#define RESILVER_SIM_WORLD_H

#include "chance.h"
#include "content.h"
#include "plan.h"
#include "sim_disk.h"
#include "sim_link.h"
#include "timeline.h"
#include "trace.h"
#include "wire/session.h"

struct world;

/* One end of the session that is on. */
struct sim_host {
    struct world *world; /* borrowed: it holds this host */
    uint32_t index;      /* SOURCE_HOST or TARGET_HOST */
    struct env env;
    struct session *session; /* owned; NULL between sessions */
    enum session_state state;
    uint32_t in_flight; /* requests given out by the session and not given back */
    bool has_started;
    bool was_asked_to_open;
    bool is_open;
    bool is_opening; /* the answer is planned */
    bool is_identifying;
    bool is_identified;
    bool is_committing; /* the answer is planned */
    bool has_committed;
    struct checkpoint *recording; /* borrowed from the session until it is answered; or NULL */
    struct checkpoint loaded;     /* given to the session */
    bool link_has_ended;
    bool write_has_failed;
    bool read_is_due; /* planned */
    bool write_is_due;
    bool has_waited; /* for its last words to be taken */
    bool is_over;
    bool is_dead;  /* it crashed: what the session still does is not seen by anybody */
    bool said_all; /* when it was over, nothing was left to send */
};

/* What became of a leaf of the target in this session. */
enum oracle_leaf { LEAF_KEPT = 0, LEAF_WRITTEN, LEAF_VERIFIED };

/* What the oracle keeps of the session that is on. */
struct oracle {
    bool has_source; /* the source's disks were opened: */
    struct content source_then[SIM_DISKS_MAX];
    bool has_target;
    struct content target_then[SIM_DISKS_MAX];
    struct content target_durable[SIM_DISKS_MAX];
    bool sizes_differ;
    uint64_t differ_bytes[SIM_DISKS_MAX];
    uint8_t *written[SIM_DISKS_MAX]; /* owned: an enum oracle_leaf for each leaf */
    bool has_resumed;                /* the checkpoint given to the session holds ... */
    uint64_t resume_node;            /* ... up to here */
    bool source_has_changed;         /* between opening and being identified */
    struct session_disk_facts source_facts[SIM_DISKS_MAX];
};

/* Over all worlds of a run. */
struct census {
    uint64_t worlds;
    uint64_t sessions;
    uint64_t sessions_done; /* on both sides */
    uint64_t comparisons_done;
    uint64_t sessions_resumed;
    uint64_t checkpoints;
    uint64_t commits;
    uint64_t steps;
    uint64_t shipped_bytes;
    uint64_t fired[FAULT_COUNT];
    uint64_t scales[SCALE_COUNT];
    uint64_t lost_farewells; /* a failed side's reason did not reach the other in time */
};

struct world {
    struct trace *trace; /* borrowed, as the next */
    struct census *census;
    struct chance chance;  /* of what happens while it runs */
    struct chance planner; /* of sessions and of what happens between them */
    struct plan plan;
    struct timeline timeline;
    struct sim_link link;
    struct sim_disk *disks[2]; /* owned: by host; plan.disk_count each */
    struct session_disk_name names[2][SIM_DISKS_MAX];
    struct sim_host hosts[2];
    struct oracle oracle;
    struct session_plan session;
    uint64_t steps; /* of this session */
    uint64_t records;
    bool has_forgotten; /* the target asked to forget the checkpoint */

    /* The target host's checkpoint, on its own stable storage. */
    uint8_t record[CHECKPOINT_RECORD_MAX];
    size_t record_bytes; /* 0: there is none */
};

/* world_run - one seed, from its first session to the last; ends the program (trace_fail) when a
 * promise is broken. */
void world_run(uint64_t seed, struct trace *trace, struct census *census);

/* world_fault - the session's fault of a kind that has not fired yet; NULL when there is none. */
struct fault *world_fault(struct world *world, enum fault_kind kind);

static inline struct sim_disk *world_disk(struct world *world, uint32_t host, uint32_t index)
{
    return &world->disks[host][index];
}

/* world_is_check - whether the session that is on only compares. */
static inline bool world_is_check(const struct world *world)
{
    return (world->session.flags & SESSION_CHECK) != 0;
}

/* --- sim_host.c ------------------------------------------------------------------------------ */

/* host_begin - a new session; its start is planned. host_end frees it. */
void host_begin(struct sim_host *host);
void host_end(struct sim_host *host);

/* host_occur - something that was planned for this host happens. */
void host_occur(struct sim_host *host, const struct occurrence *occurrence);

/* host_poke - plan reading and writing of the link where that is possible now. */
void host_poke(struct sim_host *host);

/* host_tell - one event that needs nothing but its kind, an error or a flag. */
void host_tell(struct sim_host *host, enum session_event_kind kind, const struct error *err,
               bool is_thin);

/* host_end_link - the link's end, as reading or silence shows it. */
void host_end_link(struct sim_host *host, const struct error *err);

/* host_die - its program ends in the middle of whatever it does; with or without its power. */
void host_die(struct sim_host *host, bool with_power);

const char *host_name(const struct sim_host *host);

/* host_state_name - of its session, as the trace calls it. */
const char *host_state_name(enum session_state state);

/* --- oracle.c -------------------------------------------------------------------------------- */

/* oracle_begin, oracle_end - around a session. */
void oracle_begin(struct world *world);
void oracle_end(struct world *world);

/* A host has opened its disks. */
void oracle_opened(struct world *world, uint32_t host);

/* A host's session has made a step. */
void oracle_step(struct world *world, const struct sim_host *host, size_t action_count);

/* A session wants this request carried out. */
void oracle_submit(struct world *world, const struct sim_host *host,
                   const struct disk_request *request);

/* A request came back to a session. */
void oracle_done(struct world *world, const struct sim_host *host,
                 const struct disk_request *request);

/* The target wants this recorded. */
void oracle_record(struct world *world, const struct checkpoint *checkpoint);

/* The target wants what is staged made the present point: it must be the source, and durable. */
void oracle_commit(struct world *world);

/* oracle_bytes_before - how many bytes of a disk lie before a node of the session. */
uint64_t oracle_bytes_before(const struct world *world, uint32_t disk, uint64_t node);

/* oracle_check_verified - everything that was written in the first bytes of a disk was read back
 * since. */
void oracle_check_verified(struct world *world, uint32_t disk, uint64_t bytes);

/* --- verdict.c ------------------------------------------------------------------------------- */

/* verdict_of - both hosts are over, nothing is freed yet. True if source and target are the same
 * now, or were compared to the end. */
bool verdict_of(struct world *world);

#endif
