/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"

#include <errno.h>
#include <stdio.h>

#include "base/env.h"
#include "sim_link.h"
#include "wire/message.h"

#define PICK(chance, list) ((list)[chance_below((chance), ARRAY_COUNT(list))])

/* --- the world ------------------------------------------------------------------------------- */

/* Shares of the scales, in thousands. The large ones take most of the time, few of the seeds. */
static const uint32_t scale_shares[SCALE_COUNT] = {
    [SCALE_SMALL] = 660, [SCALE_MEDIUM] = 210, [SCALE_BULKY] = 15,
    [SCALE_WIDE] = 100,  [SCALE_DENSE] = 13,   [SCALE_HUGE] = 2,
};

static enum plan_scale pick_scale(struct chance *chance)
{
    uint64_t left = chance_below(chance, 1000);
    uint32_t scale = 0;

    while (left >= scale_shares[scale]) {
        left -= scale_shares[scale];
        scale++;
    }
    return (enum plan_scale)scale;
}

static uint64_t small_size(struct chance *chance)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     511,
                                     512,
                                     513,
                                     4095,
                                     4096,
                                     4097,
                                     LEAF_BYTES - 1,
                                     LEAF_BYTES,
                                     LEAF_BYTES + 1,
                                     2 * LEAF_BYTES,
                                     3 * LEAF_BYTES - 512};

    switch (chance_below(chance, 4)) {
    case 0:
        return PICK(chance, edges);
    case 1:
        return chance_between(chance, 1, 24) * PAGE_BYTES;
    case 2:
        return chance_between(chance, 1, 6) * LEAF_BYTES;
    default:
        return chance_between(chance, 1, 5 * LEAF_BYTES);
    }
}

static uint64_t medium_size(struct chance *chance)
{
    static const uint64_t edges[] = {NODE_BYTES - 1,   NODE_BYTES,
                                     NODE_BYTES + 1,   NODE_BYTES - 512,
                                     NODE_BYTES + 512, NODE_BYTES + LEAF_BYTES,
                                     2 * NODE_BYTES,   2 * NODE_BYTES - PAGE_BYTES};

    switch (chance_below(chance, 5)) {
    case 0:
        return PICK(chance, edges);
    case 1:
        return small_size(chance);
    case 2:
        return chance_between(chance, 1, 60) * LEAF_BYTES;
    default:
        return chance_spread(chance, LEAF_BYTES, 6 * MIB);
    }
}

static uint64_t pick_size(enum plan_scale scale, struct chance *chance)
{
    switch (scale) {
    case SCALE_SMALL:
        return small_size(chance);
    case SCALE_MEDIUM:
        return medium_size(chance);
    case SCALE_BULKY:
        return chance_between(chance, 6 * MIB, 14 * MIB);
    case SCALE_WIDE:
        return chance_spread(chance, 20, 700) * NODE_BYTES - chance_below(chance, NODE_BYTES);
    case SCALE_DENSE:
        return chance_between(chance, 70, 110) * NODE_BYTES - chance_below(chance, NODE_BYTES);
    case SCALE_HUGE:
        return chance_between(chance, WINDOW_NODES_MAX + 10, WINDOW_NODES_MAX + 400) * NODE_BYTES;
    case SCALE_COUNT:
        break;
    }
    return 0;
}

static void plan_disk(struct plan_disk *disk, enum plan_scale scale, struct chance *chance)
{
    static const uint64_t shares[] = {0, 5, 30, 50, 80, 100};

    disk->size_bytes = pick_size(scale, chance);
    disk->data_percent = PICK(chance, shares);
    disk->differ_percent = PICK(chance, shares);
    if (scale == SCALE_WIDE && chance_one_in(chance, 8)) {
        /* Enough of them differ for batches to be written while checkpoints are due. */
        disk->size_bytes = chance_between(chance, 2 * CHECKPOINT_NODES, 700) * NODE_BYTES;
        disk->data_percent = chance_between(chance, 60, 100);
        disk->differ_percent = chance_between(chance, 50, 100);
    } else if (scale == SCALE_WIDE) {
        disk->data_percent = chance_spread(chance, 2, 40);
    } else if (scale == SCALE_BULKY) {
        disk->data_percent = chance_between(chance, 80, 100);
        disk->differ_percent = chance_between(chance, 50, 100);
    } else if (scale == SCALE_HUGE) {
        disk->data_percent = chance_between(chance, 60, 100);
        disk->differ_percent = chance_between(chance, 0, 20);
    }
}

static void plan_style(struct sim_disk_style *style, struct chance *chance)
{
    static const uint64_t spreads_ns[] = {0, 100 * 1000, NS_PER_MS, 20 * NS_PER_MS};
    static const uint64_t claims[] = {0, 50, 90, 100};

    *style = (struct sim_disk_style){
        .least_ns = chance_spread(chance, 1000, 200 * 1000),
        .spread_ns = PICK(chance, spreads_ns),
        .claim_percent = PICK(chance, claims),
        .cut_percent = chance_one_in(chance, 3) ? chance_between(chance, 1, 80) : 0,
        .knows_identity = chance_percent(chance, 88),
        .has_cache = chance_one_in(chance, 2),
    };
}

static uint32_t pick_faulty_sessions(struct chance *chance)
{
    static const uint32_t counts[] = {0, 1, 1, 1, 2, 2, 2, 3};

    return PICK(chance, counts);
}

void plan_make(struct plan *plan, struct chance *chance)
{
    static const uint64_t spreads_ns[] = {0, 10 * 1000, NS_PER_MS};
    static const size_t capacities[] = {4096, 65536, PIPE_BYTES_MAX};
    static const uint64_t chunks[] = {1500, 65536, PIPE_BYTES_MAX};

    *plan = (struct plan){.scale = pick_scale(chance)};
    bool is_large = plan->scale >= SCALE_BULKY;
    plan->disk_count = plan->scale == SCALE_HUGE || plan->scale == SCALE_DENSE
                           ? 1
                           : (uint32_t)chance_between(chance, 1, SIM_DISKS_MAX);
    for (uint32_t i = 0; i < plan->disk_count; i++) {
        plan_disk(&plan->disks[i], plan->scale, chance);
    }
    if (!is_large && plan->disk_count > 1 && chance_one_in(chance, 2)) {
        /* The first is soon settled while the last takes long: something to resume from. */
        plan->disks[0].size_bytes = small_size(chance);
        plan->disks[plan->disk_count - 1].size_bytes = chance_between(chance, MIB, 5 * MIB);
    }
    plan_style(&plan->styles[SOURCE_HOST], chance);
    plan_style(&plan->styles[TARGET_HOST], chance);
    if (plan->scale >= SCALE_WIDE) {
        for (uint32_t i = 0; i < 2; i++) {
            plan->styles[i].claim_percent = 100; /* or reading it all would take seconds */
            plan->styles[i].cut_percent = 0;
        }
    }
    plan->link_least_ns = chance_spread(chance, 100, 100 * 1000);
    plan->link_spread_ns = PICK(chance, spreads_ns);
    plan->link_capacity_bytes = is_large ? PIPE_BYTES_MAX : PICK(chance, capacities);
    plan->link_chunk_most = is_large ? PIPE_BYTES_MAX : PICK(chance, chunks);
    plan->answers_at_once = chance_one_in(chance, 2);
    plan->rounds = is_large || !chance_one_in(chance, 4) ? 1 : 2;
    plan->faulty_sessions = pick_faulty_sessions(chance);
    if (plan->scale >= SCALE_DENSE && plan->faulty_sessions > 1) {
        plan->faulty_sessions = 1;
    }
    plan->thin_every = chance_one_in(chance, 3) ? chance_spread(chance, 2, 300) : 0;
    plan->idle_every = chance_one_in(chance, 4) ? chance_spread(chance, 2, 300) : 0;
}

void plan_say(const struct plan *plan, struct trace *trace)
{
    static const char *const scales[SCALE_COUNT] = {"small", "medium", "bulky",
                                                    "wide",  "dense",  "huge"};

    trace_say(trace, "world: %s, %u disks, %u rounds, %u faulty sessions each", scales[plan->scale],
              plan->disk_count, plan->rounds, plan->faulty_sessions);
    for (uint32_t i = 0; i < plan->disk_count; i++) {
        trace_say(trace, "world: disk %u has %llu bytes, %llu %% data, of which %llu %% differ", i,
                  (unsigned long long)plan->disks[i].size_bytes,
                  (unsigned long long)plan->disks[i].data_percent,
                  (unsigned long long)plan->disks[i].differ_percent);
    }
    for (uint32_t i = 0; i < 2; i++) {
        const struct sim_disk_style *style = &plan->styles[i];
        trace_say(trace, "world: %s: requests take %llu to %llu ns, %llu %% holes, identity %s",
                  i == SOURCE_HOST ? "source" : "target", (unsigned long long)style->least_ns,
                  (unsigned long long)(style->least_ns + style->spread_ns),
                  (unsigned long long)style->claim_percent,
                  style->knows_identity ? "known" : "unknown");
    }
}

/* --- a session ------------------------------------------------------------------------------- */

const char *fault_name(enum fault_kind kind)
{
    static const char *const names[FAULT_COUNT] = {
        [FAULT_NONE] = "none",
        [FAULT_CUT] = "cut link",
        [FAULT_SILENCE] = "silent link",
        [FAULT_FLIP] = "flipped bit",
        [FAULT_CRASH_SOURCE] = "source crash",
        [FAULT_CRASH_TARGET] = "target power cut",
        [FAULT_KILL_TARGET] = "target kill",
        [FAULT_CRASH_BOTH] = "crash of both",
        [FAULT_CANCEL_SOURCE] = "cancel at source",
        [FAULT_CANCEL_TARGET] = "cancel at target",
        [FAULT_DISK_SOURCE] = "source disk error",
        [FAULT_DISK_TARGET] = "target disk error",
        [FAULT_LIE] = "target disk lies",
        [FAULT_OPEN_SOURCE] = "source open error",
        [FAULT_OPEN_TARGET] = "target open error",
        [FAULT_IDENTIFY] = "identify error",
        [FAULT_RECORD] = "record error",
        [FAULT_SOURCE_CHANGE] = "source changes",
        [FAULT_SIZE] = "sizes differ",
        [FAULT_CHANCE] = "no random bytes",
    };
    return names[kind];
}

/* The common ones more often. */
static enum fault_kind pick_fault(struct chance *chance)
{
    static const enum fault_kind often[] = {
        FAULT_CUT,          FAULT_CUT,           FAULT_CUT,           FAULT_CRASH_SOURCE,
        FAULT_CRASH_TARGET, FAULT_CRASH_TARGET,  FAULT_KILL_TARGET,   FAULT_CRASH_BOTH,
        FAULT_DISK_SOURCE,  FAULT_DISK_TARGET,   FAULT_DISK_TARGET,   FAULT_LIE,
        FAULT_LIE,          FAULT_SOURCE_CHANGE, FAULT_CANCEL_TARGET, FAULT_FLIP};

    return chance_percent(chance, 70) ? PICK(chance, often)
                                      : (enum fault_kind)chance_between(chance, 1, FAULT_COUNT - 1);
}

static void plan_trigger(struct trigger *trigger, struct chance *chance)
{
    static const enum trigger_kind kinds[] = {TRIGGER_STEPS,   TRIGGER_STEPS,      TRIGGER_STATE,
                                              TRIGGER_STATE,   TRIGGER_STATE,      TRIGGER_WRITES,
                                              TRIGGER_FLUSHES, TRIGGER_READ_BACKS, TRIGGER_RECORDS,
                                              TRIGGER_SETTLED, TRIGGER_SETTLED};
    static const enum session_state states[] = {SESSION_OPENING, SESSION_RUNNING, SESSION_RUNNING,
                                                SESSION_SEALING, SESSION_SEALING, SESSION_ENDING,
                                                SESSION_DONE};

    *trigger = (struct trigger){
        .kind = PICK(chance, kinds),
        .host = (uint32_t)chance_below(chance, 2),
        .state = PICK(chance, states),
        .then_steps = chance_one_in(chance, 3) ? 0 : chance_spread(chance, 1, 300),
    };
    trigger->count = trigger->kind == TRIGGER_STEPS ? chance_spread(chance, 1, 2000)
                                                    : chance_spread(chance, 1, 12);
    if (trigger->kind == TRIGGER_RECORDS) {
        trigger->count = 1;
    }
}

static void plan_disk_fault(struct sim_disk_fault *fault, enum fault_kind kind,
                            struct chance *chance)
{
    static const enum disk_op source_ops[] = {DISK_READ, DISK_READ, DISK_READ, DISK_EXTENTS};
    static const enum disk_op target_ops[] = {DISK_READ,  DISK_EXTENTS,    DISK_WRITE,
                                              DISK_WRITE, DISK_ZERO,       DISK_FLUSH,
                                              DISK_FLUSH, DISK_READ_MEDIUM};
    static const int write_errors[] = {EIO, ENOSPC, EDQUOT};

    *fault = (struct sim_disk_fault){.after = (uint32_t)chance_spread(chance, 1, 8) - 1};
    if (kind == FAULT_LIE) {
        fault->op = chance_one_in(chance, 4) ? DISK_ZERO : DISK_WRITE;
        fault->lie = (enum sim_lie)chance_between(chance, LIE_LOST, LIE_COUNT - 1);
        return;
    }
    fault->op = kind == FAULT_DISK_SOURCE ? PICK(chance, source_ops) : PICK(chance, target_ops);
    fault->errnum = fault->op == DISK_WRITE ? PICK(chance, write_errors) : EIO;
}

static void plan_fault(struct fault *fault, const struct plan *plan, struct chance *chance)
{
    *fault = (struct fault){
        .kind = pick_fault(chance),
        .host = (uint32_t)chance_below(chance, 2),
        .disk = (uint32_t)chance_below(chance, plan->disk_count),
        .at_bytes = chance_one_in(chance, 3) ? chance_between(chance, 200, 400 * KIB)
                                             : chance_spread(chance, 1, 2 * MIB),
    };
    plan_trigger(&fault->trigger, chance);
    plan_disk_fault(&fault->of_disk, fault->kind, chance);
    if (fault->kind == FAULT_CUT && !chance_one_in(chance, 3)) {
        fault->at_bytes = UINT64_MAX;
    }
}

static uint32_t pick_features_off(struct chance *chance)
{
    static const uint32_t off[] = {FEATURE_ZSTD, FEATURE_REFINE, FEATURES_OURS};

    return chance_one_in(chance, 6) ? PICK(chance, off) : 0;
}

void plan_session(struct session_plan *session, const struct plan *plan, bool is_clean,
                  struct chance *chance)
{
    static const enum session_when whens[] = {WHEN_AUTO, WHEN_AUTO, WHEN_ALWAYS, WHEN_NEVER};

    *session = (struct session_plan){
        .initiator = (uint32_t)chance_below(chance, 2),
        .compress = PICK(chance, whens),
        .refine = PICK(chance, whens),
        .rate_bytes_per_s = chance_one_in(chance, 5) ? chance_spread(chance, 1, GIB) : 0,
        .features_off = {pick_features_off(chance), pick_features_off(chance)},
        .has_secret = chance_one_in(chance, 2),
    };
    if (is_clean) {
        return;
    }
    if (chance_one_in(chance, 8)) {
        session->flags = SESSION_CHECK;
    }
    session->fault_count = chance_one_in(chance, 5) ? 2 : 1;
    for (uint32_t i = 0; i < session->fault_count; i++) {
        plan_fault(&session->faults[i], plan, chance);
    }
    /* A disk that lies is told from what else may have happened to it only when it is alone. */
    if (session->faults[0].kind == FAULT_LIE || session->faults[1].kind == FAULT_LIE) {
        session->fault_count = 1;
    }
    if (session->fault_count == 1 && chance_one_in(chance, 12)) {
        session->faults[1] = (struct fault){.kind = FAULT_RECORD};
        session->fault_count = 2;
    }
}

static void say_fault(const struct fault *fault, struct trace *trace)
{
    static const char *const triggers[TRIGGER_COUNT] = {
        "steps", "writes", "flushes", "read-backs", "records", "settled", "state"};

    trace_say(trace,
              "session: fault: %s (trigger: %s, count %llu, host %u, state %d, then %llu steps; "
              "byte %llu; disk %u, op %d after %u, error %d, lie %d)",
              fault_name(fault->kind), triggers[fault->trigger.kind],
              (unsigned long long)fault->trigger.count, fault->trigger.host,
              (int)fault->trigger.state, (unsigned long long)fault->trigger.then_steps,
              (unsigned long long)fault->at_bytes, fault->disk, (int)fault->of_disk.op,
              fault->of_disk.after, fault->of_disk.errnum, (int)fault->of_disk.lie);
}

void plan_session_say(const struct session_plan *session, struct trace *trace)
{
    static const char *const whens[] = {"auto", "always", "never"};

    trace_say(trace, "session: %s begins, flags %u, compress %s, refine %s, rate %llu, off %u %u",
              session->initiator == SOURCE_HOST ? "source" : "target", session->flags,
              whens[session->compress], whens[session->refine],
              (unsigned long long)session->rate_bytes_per_s, session->features_off[0],
              session->features_off[1]);
    for (uint32_t i = 0; i < session->fault_count; i++) {
        say_fault(&session->faults[i], trace);
    }
}
