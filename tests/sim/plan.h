/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plan.h - what a seed means: the disks of its world, and what each session of it is and suffers.
 */
#ifndef RESILVER_SIM_PLAN_H
#define RESILVER_SIM_PLAN_H

#include "sim_disk.h"
#include "trace.h"
#include "wire/session.h"

#define SIM_DISKS_MAX 3U
#define FAULTS_MAX 2U

enum { SOURCE_HOST = 0, TARGET_HOST = 1 };

/* --- the world ------------------------------------------------------------------------------- */

enum plan_scale {
    SCALE_SMALL = 0, /* a few leaves */
    SCALE_MEDIUM,    /* up to 6 MiB */
    SCALE_BULKY,     /* more different data than the target stages at once */
    SCALE_WIDE,      /* hundreds of nodes, most of them holes */
    SCALE_DENSE,     /* long stretches where much differs, then little */
    SCALE_HUGE,      /* more nodes than the window holds */
    SCALE_COUNT
};

struct plan_disk {
    uint64_t size_bytes;
    uint64_t data_percent; /* leaves with data at either side; or nodes of a wide disk that have any
                            */
    uint64_t differ_percent; /* of these: differ */
};

struct plan {
    enum plan_scale scale;
    uint32_t disk_count;
    struct plan_disk disks[SIM_DISKS_MAX];
    struct sim_disk_style styles[2]; /* by host */
    uint64_t link_least_ns;
    uint64_t link_spread_ns;
    uint64_t link_chunk_most;
    size_t link_capacity_bytes;
    bool answers_at_once; /* hosts answer OPEN_DISKS, RECORD, IDENTIFY within the step, as the real
                             loop does, or some time later, as a loop might that must not wait */
    bool is_staged;       /* the target's disks are of a next point: the session has it committed */
    uint32_t rounds;      /* how often source and target are made the same */
    uint32_t faulty_sessions; /* before the faults stop, in each round */
    uint64_t thin_every;      /* steps between changes of the link's verdict; 0: none */
    uint64_t idle_every;      /* steps between SESSION_IDLE events; 0: none */
};

/* plan_make - chance is the seed's first stream. */
void plan_make(struct plan *plan, struct chance *chance);
void plan_say(const struct plan *plan, struct trace *trace);

/* --- a session ------------------------------------------------------------------------------- */

enum fault_kind {
    FAULT_NONE = 0,
    FAULT_CUT,          /* the link is cut */
    FAULT_SILENCE,      /* the link carries nothing any more; after a while both hosts give up */
    FAULT_FLIP,         /* one bit changes on the link */
    FAULT_CRASH_SOURCE, /* the source's host dies */
    FAULT_CRASH_TARGET, /* the target's host loses its power */
    FAULT_KILL_TARGET,  /* the target's program dies, its host lives on */
    FAULT_CRASH_BOTH,
    FAULT_CANCEL_SOURCE,
    FAULT_CANCEL_TARGET,
    FAULT_DISK_SOURCE, /* a request at one of the source's disks fails */
    FAULT_DISK_TARGET,
    FAULT_LIE,         /* the target writes something else than it says */
    FAULT_OPEN_SOURCE, /* a disk cannot be opened */
    FAULT_OPEN_TARGET,
    FAULT_IDENTIFY,      /* the source cannot be looked at again */
    FAULT_RECORD,        /* the checkpoint cannot be recorded: no reason to fail */
    FAULT_SOURCE_CHANGE, /* somebody writes to the source */
    FAULT_SIZE,          /* the target has another size, and may not be changed */
    FAULT_CHANCE,        /* no random bytes are to be had */
    FAULT_COUNT
};

const char *fault_name(enum fault_kind kind);

/* When a fault strikes that does not wait for a request of its own. */
enum trigger_kind {
    TRIGGER_STEPS = 0,  /* after so many steps of the world */
    TRIGGER_WRITES,     /* after so many writes and zeros of the target completed */
    TRIGGER_FLUSHES,    /* ... flushes submitted at the target */
    TRIGGER_READ_BACKS, /* ... pieces read back */
    TRIGGER_RECORDS,    /* ... checkpoints recorded */
    TRIGGER_SETTLED,    /* the target has settled a disk, and so something to resume from */
    TRIGGER_STATE,      /* a host's session comes to this state or beyond it */
    TRIGGER_COUNT
};

struct trigger {
    enum trigger_kind kind;
    uint64_t count;
    uint32_t host;
    enum session_state state;
    uint64_t then_steps; /* and so many steps later */
};

struct fault {
    enum fault_kind kind;
    struct trigger trigger; /* CUT, SILENCE, CRASH_*, KILL_*, CANCEL_*, SOURCE_CHANGE */
    uint64_t at_bytes;      /* CUT (UINT64_MAX: by its trigger), FLIP */
    uint32_t host;          /* FLIP: whose bytes; CHANCE */
    uint32_t disk;          /* DISK_*, LIE, OPEN_*, SIZE */
    struct sim_disk_fault of_disk;

    bool is_due; /* the trigger was met */
    uint64_t due_steps;
    bool has_fired;
};

struct session_plan {
    uint32_t flags; /* SESSION_* */
    uint32_t initiator;
    enum session_when compress;
    enum session_when refine;
    uint64_t rate_bytes_per_s;
    uint32_t features_off[2];
    bool has_secret;
    uint32_t fault_count;
    struct fault faults[FAULTS_MAX];
};

/* plan_session - one session; one that is clean suffers nothing and is no mere comparison. */
void plan_session(struct session_plan *session, const struct plan *plan, bool is_clean,
                  struct chance *chance);
void plan_session_say(const struct session_plan *session, struct trace *trace);

#endif
