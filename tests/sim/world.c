/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One seed: the disks are laid out; then, in each round, some sessions that suffer faults, with
 * what may happen between sessions, and one that suffers none, which must make source and target
 * the same.
 */
#include "world.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 3000000U
#define SCRIBBLE_MAX 8192U

struct fault *world_fault(struct world *world, enum fault_kind kind)
{
    for (uint32_t i = 0; i < world->session.fault_count; i++) {
        struct fault *fault = &world->session.faults[i];
        if (fault->kind == kind && !fault->has_fired) {
            return fault;
        }
    }
    return NULL;
}

/* --- laying out ------------------------------------------------------------------------------ */

/* One leaf with data at the source, the target, or both. */
static void lay_leaf(struct world *world, struct content *source, struct content *target,
                     uint64_t leaf, bool differs)
{
    struct chance *chance = &world->planner;
    uint32_t pattern = (uint32_t)chance_below(chance, content_patterns());
    uint32_t leaf_bytes = content_block_bytes(source, leaf);
    uint8_t byte = 0;

    content_put_pattern(source, leaf, pattern);
    content_put_pattern(target, leaf, pattern);
    if (!differs) {
        return;
    }
    switch (chance_below(chance, 6)) {
    case 0:
        content_put_pattern(target, leaf, pattern + 1);
        break;
    case 1:
        content_zero(target, leaf * LEAF_BYTES, leaf_bytes);
        break;
    case 2:
        content_zero(source, leaf * LEAF_BYTES, leaf_bytes);
        break;
    case 3: { /* zeros that take room, and data */
        content_zero(source, leaf * LEAF_BYTES, leaf_bytes);
        content_write(source, leaf * LEAF_BYTES, (struct const_span){&byte, 1});
        break;
    }
    default: { /* some bytes, the very last among them */
        uint64_t last =
            chance_one_in(chance, 3) ? leaf_bytes - 1U : chance_below(chance, leaf_bytes);
        uint64_t at = leaf * LEAF_BYTES + last;
        content_read(target, at, (struct span){&byte, 1});
        byte = (uint8_t)(byte ^ 1U << chance_below(chance, 8));
        content_write(target, at, (struct const_span){&byte, 1});
        break;
    }
    }
}

static void lay_leaves(struct world *world, struct content *source, struct content *target,
                       const struct plan_disk *plan)
{
    for (uint64_t i = 0; i < source->block_count; i++) {
        if (chance_percent(&world->planner, plan->data_percent)) {
            lay_leaf(world, source, target, i,
                     chance_percent(&world->planner, plan->differ_percent));
        }
    }
}

/* A few leaves in some of the nodes. */
static void lay_wide(struct world *world, struct content *source, struct content *target,
                     const struct plan_disk *plan)
{
    for (uint64_t first = 0; first < source->block_count; first += LEAVES_PER_NODE) {
        if (!chance_percent(&world->planner, plan->data_percent)) {
            continue;
        }
        uint64_t left = source->block_count - first;
        uint64_t leaf =
            first + chance_below(&world->planner, left < LEAVES_PER_NODE ? left : LEAVES_PER_NODE);
        lay_leaf(world, source, target, leaf,
                 chance_percent(&world->planner, plan->differ_percent));
    }
}

/* Stretches of some dozen nodes where most or hardly any of the data differs. */
static void lay_dense(struct world *world, struct content *source, struct content *target)
{
    struct chance *chance = &world->planner;
    uint64_t node = 0;
    bool differs = chance_one_in(chance, 2);

    while (node * LEAVES_PER_NODE < source->block_count) {
        uint64_t end = (node + chance_between(chance, 25, 60)) * LEAVES_PER_NODE;
        for (uint64_t i = node * LEAVES_PER_NODE; i < end && i < source->block_count; i++) {
            if (i % LEAVES_PER_NODE < 9) {
                lay_leaf(world, source, target, i, chance_percent(chance, differs ? 90 : 1));
            }
        }
        node = end / LEAVES_PER_NODE;
        differs = !differs;
    }
}

static void lay_out(struct world *world, uint32_t index)
{
    const struct plan_disk *plan = &world->plan.disks[index];
    struct content *source = &world->disks[SOURCE_HOST][index].current;
    struct content *target = &world->disks[TARGET_HOST][index].current;

    if (world->plan.scale == SCALE_WIDE || world->plan.scale == SCALE_HUGE) {
        lay_wide(world, source, target, plan);
    } else if (world->plan.scale == SCALE_DENSE) {
        lay_dense(world, source, target);
    } else {
        lay_leaves(world, source, target, plan);
    }
}

static const char *const disk_names[2][SIM_DISKS_MAX] = {{"source-0", "source-1", "source-2"},
                                                         {"target-0", "target-1", "target-2"}};

static void make_disks(struct world *world)
{
    for (uint32_t host = 0; host < 2; host++) {
        world->disks[host] = calloc(world->plan.disk_count, sizeof *world->disks[host]);
        if (world->disks[host] == NULL) {
            trace_fail(world->trace, "out of memory");
        }
        for (uint32_t i = 0; i < world->plan.disk_count; i++) {
            struct sim_disk *disk = &world->disks[host][i];
            sim_disk_init(disk, disk_names[host][i], world->plan.disks[i].size_bytes);
            disk->host = host;
            disk->index = i;
            disk->timeline = &world->timeline;
            disk->chance = &world->chance;
            disk->trace = world->trace;
            disk->style = world->plan.styles[host];
            world->names[host][i] = (struct session_disk_name){
                .name = disk_names[host][i],
                .format = i == 0 ? DISK_FORMAT_INVALID : DISK_FORMAT_RAW,
            };
        }
    }
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        lay_out(world, i);
        sim_disk_settle(&world->disks[SOURCE_HOST][i]);
        sim_disk_settle(&world->disks[TARGET_HOST][i]);
    }
}

static void free_disks(struct world *world)
{
    for (uint32_t host = 0; host < 2; host++) {
        for (uint32_t i = 0; i < world->plan.disk_count; i++) {
            sim_disk_done(&world->disks[host][i]);
        }
        free(world->disks[host]);
    }
}

/* --- faults ---------------------------------------------------------------------------------- */

/* Somebody writes some bytes to a disk. False: it has none. */
static bool scribble(struct world *world, uint32_t host, struct chance *chance)
{
    uint8_t bytes[SCRIBBLE_MAX];
    struct sim_disk *disk = &world->disks[host][chance_below(chance, world->plan.disk_count)];
    uint64_t size_bytes = disk->disk.size_bytes;

    if (size_bytes == 0) {
        return false;
    }
    uint64_t most = size_bytes < sizeof bytes ? size_bytes : sizeof bytes;
    struct span span = {bytes, (size_t)chance_spread(chance, 1, most)};
    uint64_t at = chance_below(chance, size_bytes - span.len_bytes + 1);
    chance_fill(chance, span);
    sim_disk_scribble(disk, at, span_const(span));
    trace_say(world->trace, "somebody writes %zu bytes to %s at 0x%llx", span.len_bytes,
              disk->disk.name, (unsigned long long)at);
    return true;
}

/* Only where it can be noticed at all: a disk without a fingerprint must not be written to. */
static bool change_source(struct world *world)
{
    const struct sim_host *source = &world->hosts[SOURCE_HOST];
    bool is_open = world->oracle.has_source && !source->is_identified && !source->is_over;

    if (!world->plan.styles[SOURCE_HOST].knows_identity ||
        !scribble(world, SOURCE_HOST, &world->chance)) {
        return false;
    }
    world->oracle.source_has_changed = world->oracle.source_has_changed || is_open;
    return true;
}

static bool is_running(const struct sim_host *host)
{
    return host->has_started && !host->is_over && host->state != SESSION_DONE &&
           host->state < SESSION_ENDING;
}

static bool cancel(struct world *world, uint32_t host)
{
    struct error err = {0};

    if (!is_running(&world->hosts[host])) {
        return false;
    }
    (void)fail(&err, ERR_CANCELLED, 0, "stopped");
    host_tell(&world->hosts[host], SESSION_CANCEL, &err, false);
    return true;
}

static bool strike(struct world *world, const struct fault *fault)
{
    struct sim_host *source = &world->hosts[SOURCE_HOST];
    struct sim_host *target = &world->hosts[TARGET_HOST];
    bool source_lives = !source->is_over;
    bool target_lives = !target->is_over;

    switch (fault->kind) {
    case FAULT_CUT:
        if (world->link.is_cut || !source_lives || !target_lives) {
            return false;
        }
        sim_link_cut(&world->link, &world->chance);
        return true;
    case FAULT_SILENCE:
        world->link.is_silent = true;
        return true;
    case FAULT_CRASH_SOURCE:
        if (source_lives) {
            host_die(source, true);
        }
        return source_lives;
    case FAULT_CRASH_TARGET:
    case FAULT_KILL_TARGET:
        if (target_lives) {
            host_die(target, fault->kind == FAULT_CRASH_TARGET);
        }
        return target_lives;
    case FAULT_CRASH_BOTH:
        if (source_lives && target_lives) {
            host_die(source, true);
            host_die(target, true);
        }
        return source_lives && target_lives;
    case FAULT_CANCEL_SOURCE:
        return cancel(world, SOURCE_HOST);
    case FAULT_CANCEL_TARGET:
        return cancel(world, TARGET_HOST);
    case FAULT_SOURCE_CHANGE:
        return change_source(world);
    case FAULT_NONE:
    case FAULT_FLIP:
    case FAULT_DISK_SOURCE:
    case FAULT_DISK_TARGET:
    case FAULT_LIE:
    case FAULT_OPEN_SOURCE:
    case FAULT_OPEN_TARGET:
    case FAULT_IDENTIFY:
    case FAULT_RECORD:
    case FAULT_SIZE:
    case FAULT_CHANCE:
    case FAULT_COUNT:
        break; /* they wait for a request of their own */
    }
    return false;
}

static uint64_t count_requests(const struct world *world, enum disk_op op, bool submitted)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        const struct sim_disk *disk = &world->disks[TARGET_HOST][i];
        count += submitted ? disk->submitted[op] : disk->completed[op];
    }
    return count;
}

static bool has_settled_a_disk(const struct world *world)
{
    const struct progress *progress = session_progress(world->hosts[TARGET_HOST].session);

    for (uint32_t i = 0; i < progress->disk_count; i++) {
        if (progress->disks[i].size_bytes > 0 &&
            progress->disks[i].compared_bytes == progress->disks[i].size_bytes) {
            return true;
        }
    }
    return false;
}

static bool is_met(const struct world *world, const struct trigger *trigger)
{
    enum session_state state = world->hosts[trigger->host].state;

    switch (trigger->kind) {
    case TRIGGER_STEPS:
        return world->steps >= trigger->count;
    case TRIGGER_WRITES:
        return count_requests(world, DISK_WRITE, false) + count_requests(world, DISK_ZERO, false) >=
               trigger->count;
    case TRIGGER_FLUSHES:
        return count_requests(world, DISK_FLUSH, true) >= trigger->count;
    case TRIGGER_READ_BACKS:
        return count_requests(world, DISK_READ_MEDIUM, false) >= trigger->count;
    case TRIGGER_RECORDS:
        return world->records >= trigger->count;
    case TRIGGER_SETTLED:
        return has_settled_a_disk(world);
    case TRIGGER_STATE:
        return state >= trigger->state &&
               (trigger->state >= SESSION_ENDING || state != SESSION_ENDING);
    case TRIGGER_COUNT:
        break;
    }
    return false;
}

static bool has_trigger(const struct fault *fault)
{
    switch (fault->kind) {
    case FAULT_CUT:
        return fault->at_bytes == UINT64_MAX;
    case FAULT_SILENCE:
    case FAULT_CRASH_SOURCE:
    case FAULT_CRASH_TARGET:
    case FAULT_KILL_TARGET:
    case FAULT_CRASH_BOTH:
    case FAULT_CANCEL_SOURCE:
    case FAULT_CANCEL_TARGET:
    case FAULT_SOURCE_CHANGE:
        return true;
    case FAULT_NONE:
    case FAULT_FLIP:
    case FAULT_DISK_SOURCE:
    case FAULT_DISK_TARGET:
    case FAULT_LIE:
    case FAULT_OPEN_SOURCE:
    case FAULT_OPEN_TARGET:
    case FAULT_IDENTIFY:
    case FAULT_RECORD:
    case FAULT_SIZE:
    case FAULT_CHANCE:
    case FAULT_COUNT:
        break;
    }
    return false;
}

static void watch_faults(struct world *world)
{
    for (uint32_t i = 0; i < world->session.fault_count; i++) {
        struct fault *fault = &world->session.faults[i];
        if (fault->has_fired || !has_trigger(fault)) {
            continue;
        }
        if (!fault->is_due && is_met(world, &fault->trigger)) {
            fault->is_due = true;
            fault->due_steps = world->steps + fault->trigger.then_steps;
        }
        if (fault->is_due && world->steps >= fault->due_steps) {
            fault->has_fired = strike(world, fault);
            trace_say(world->trace, "fault: %s%s", fault_name(fault->kind),
                      fault->has_fired ? "" : ": too late");
        }
    }
}

/* What is set up before a session, and what is known only after it. */
static void arm_faults(struct world *world)
{
    for (uint32_t i = 0; i < world->session.fault_count; i++) {
        struct fault *fault = &world->session.faults[i];
        uint32_t host = fault->kind == FAULT_DISK_SOURCE ? SOURCE_HOST : TARGET_HOST;
        struct sim_disk *disk = &world->disks[host][fault->disk];
        if (fault->kind == FAULT_DISK_SOURCE || fault->kind == FAULT_DISK_TARGET ||
            fault->kind == FAULT_LIE) {
            disk->fault = fault->of_disk;
        } else if (fault->kind == FAULT_FLIP) {
            world->link.pipes[fault->host].flip_at = fault->at_bytes - 1;
        } else if (fault->kind == FAULT_CUT && fault->at_bytes != UINT64_MAX) {
            world->link.cut_at = fault->at_bytes;
        } else if (fault->kind == FAULT_SIZE) {
            uint64_t size_bytes = disk->disk.size_bytes;
            uint64_t delta = chance_spread(&world->planner, 1, 2 * LEAF_BYTES);
            bool shrinks = size_bytes > 0 && chance_one_in(&world->planner, 2);
            sim_disk_resize(disk, shrinks ? size_bytes - (delta < size_bytes ? delta : size_bytes)
                                          : size_bytes + delta);
        }
    }
}

static void disarm_faults(struct world *world)
{
    for (uint32_t i = 0; i < world->session.fault_count; i++) {
        struct fault *fault = &world->session.faults[i];
        uint32_t host = fault->kind == FAULT_DISK_SOURCE ? SOURCE_HOST : TARGET_HOST;
        struct sim_disk *disk = &world->disks[host][fault->disk];
        if (fault->kind == FAULT_DISK_SOURCE || fault->kind == FAULT_DISK_TARGET ||
            fault->kind == FAULT_LIE) {
            fault->of_disk = disk->fault;
            fault->has_fired = disk->fault.has_fired;
            disk->fault = (struct sim_disk_fault){0};
        } else if (fault->kind == FAULT_FLIP) {
            fault->has_fired = world->link.pipes[fault->host].has_flipped;
        } else if (fault->kind == FAULT_CUT && fault->at_bytes != UINT64_MAX) {
            fault->has_fired = world->link.is_cut;
        } else if (fault->kind == FAULT_SIZE) {
            fault->has_fired = world->oracle.sizes_differ;
        }
        world->census->fired[fault->kind] += fault->has_fired;
    }
}

/* --- time passes ----------------------------------------------------------------------------- */

/* Nothing is planned any more. If that is for a reason, the hosts' patience ends; else it is a
 * deadlock. */
static void end_patience(struct world *world)
{
    struct error err = {0};
    bool is_damaged = world->link.is_silent || world->link.pipes[0].has_flipped ||
                      world->link.pipes[1].has_flipped;
    bool ended_any = false;

    (void)fail(&err, ERR_PEER, 0, "the other side said nothing for 30 seconds");
    for (uint32_t i = 0; i < 2; i++) {
        struct sim_host *host = &world->hosts[i];
        if (is_damaged && !host->is_over && !host->link_has_ended) {
            host_end_link(host, &err);
            ended_any = true;
        }
    }
    if (!ended_any) {
        trace_fail(world->trace,
                   "deadlock: nothing is left to happen, source %s%s, target %s%s, %u and %u "
                   "requests in flight",
                   host_state_name(world->hosts[0].state), world->hosts[0].is_over ? " (over)" : "",
                   host_state_name(world->hosts[1].state), world->hosts[1].is_over ? " (over)" : "",
                   world->hosts[0].in_flight, world->hosts[1].in_flight);
    }
}

/* Now and then the loops have something to say that nothing caused. */
static void tell_by_itself(struct world *world)
{
    const struct plan *plan = &world->plan;

    for (uint32_t i = 0; i < 2; i++) {
        struct sim_host *host = &world->hosts[i];
        if (!host->has_started) {
            continue;
        }
        if (!host->is_over && plan->thin_every > 0 &&
            chance_one_in(&world->chance, plan->thin_every)) {
            host_tell(host, SESSION_THIN, NULL, chance_one_in(&world->chance, 2));
        }
        if (!host->is_over && plan->idle_every > 0 && !host->link_has_ended &&
            chance_one_in(&world->chance, plan->idle_every)) {
            host_tell(host, SESSION_IDLE, NULL, false);
        }
    }
}

static void let_time_pass(struct world *world)
{
    struct occurrence occurrence;

    while (!world->hosts[0].is_over || !world->hosts[1].is_over) {
        world->steps++;
        if (timeline_take(&world->timeline, &occurrence)) {
            host_occur(&world->hosts[occurrence.host], &occurrence);
            tell_by_itself(world);
        } else {
            end_patience(world);
        }
        watch_faults(world);
        host_poke(&world->hosts[0]);
        host_poke(&world->hosts[1]);
        if (world->steps > STEPS_MAX) {
            trace_fail(world->trace, "the session does not end");
        }
    }
    timeline_clear(&world->timeline);
}

/* One session, from the first byte to the last. True if it is done on both sides. */
static bool run_session(struct world *world)
{
    struct census *census = world->census;

    plan_session_say(&world->session, world->trace);
    world->steps = 0;
    world->records = 0;
    world->has_forgotten = false;
    oracle_begin(world);
    sim_link_up(&world->link, world->plan.link_capacity_bytes);
    arm_faults(world);
    host_begin(&world->hosts[SOURCE_HOST]);
    host_begin(&world->hosts[TARGET_HOST]);
    let_time_pass(world);
    disarm_faults(world);
    bool is_done = verdict_of(world);
    census->sessions++;
    census->steps += world->steps;
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        census->shipped_bytes +=
            session_progress(world->hosts[SOURCE_HOST].session)->disks[i].shipped_bytes;
    }
    oracle_end(world);
    host_end(&world->hosts[SOURCE_HOST]);
    host_end(&world->hosts[TARGET_HOST]);
    trace_say(world->trace, "session: %s after %llu steps", is_done ? "done" : "failed",
              (unsigned long long)world->steps);
    return is_done;
}

/* --- between sessions ------------------------------------------------------------------------ */

static void flip_record(struct world *world)
{
    size_t at = (size_t)chance_below(&world->planner, world->record_bytes);

    world->record[at] = (uint8_t)(world->record[at] ^ 1U << chance_below(&world->planner, 8));
    trace_say(world->trace, "one bit of the checkpoint's record changes");
}

static void pass_between(struct world *world)
{
    struct chance *chance = &world->planner;

    switch (chance_below(chance, 12)) {
    case 0:
        (void)scribble(world, SOURCE_HOST, chance);
        break;
    case 1:
    case 2:
        (void)scribble(world, TARGET_HOST, chance);
        break;
    case 3:
        if (world->record_bytes > 0) {
            flip_record(world);
        }
        break;
    case 4:
        for (uint32_t i = 0; i < world->plan.disk_count; i++) {
            sim_disk_write_back(&world->disks[TARGET_HOST][i]);
        }
        break;
    default:
        break;
    }
}

/* A session must make a target that has another size fit, or it can only refuse. */
static void allow_to_fit(struct world *world)
{
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        if (world->disks[SOURCE_HOST][i].disk.size_bytes !=
            world->disks[TARGET_HOST][i].disk.size_bytes) {
            world->session.flags |= SESSION_CREATE | SESSION_SHRINK;
        }
    }
}

static void run_round(struct world *world)
{
    for (uint32_t i = 0; i < world->plan.faulty_sessions; i++) {
        plan_session(&world->session, &world->plan, false, &world->planner);
        if (chance_one_in(&world->planner, 2) && world->session.flags == 0) {
            allow_to_fit(world);
        }
        world->census->sessions_done += run_session(world);
        pass_between(world);
    }
    plan_session(&world->session, &world->plan, true, &world->planner);
    allow_to_fit(world);
    if (!run_session(world)) {
        trace_fail(world->trace, "a session with nothing wrong did not make the disks the same");
    }
    world->census->sessions_done++;
    if (chance_one_in(&world->planner, 6)) {
        plan_session(&world->session, &world->plan, true, &world->planner);
        world->session.flags = SESSION_CHECK;
        if (!run_session(world)) {
            trace_fail(world->trace, "a comparison with nothing wrong failed");
        }
        world->census->comparisons_done++;
    }
}

void world_run(uint64_t seed, struct trace *trace, struct census *census)
{
    struct world *world = calloc(1, sizeof *world);

    if (world == NULL) {
        trace_fail(trace, "out of memory");
    }
    trace->seed = seed;
    trace->now_ns = &world->timeline.now_ns;
    world->trace = trace;
    world->census = census;
    world->planner = chance_of(seed, 1);
    world->chance = chance_of(seed, 2);
    plan_make(&world->plan, &world->planner);
    /* Not drawn: no other seed shall get another world by it. */
    world->plan.is_staged = seed % 7 == 1;
    plan_say(&world->plan, trace);
    sim_link_init(&world->link);
    world->link.least_ns = world->plan.link_least_ns;
    world->link.spread_ns = world->plan.link_spread_ns;
    world->link.chunk_most = world->plan.link_chunk_most;
    make_disks(world);
    for (uint32_t i = 0; i < 2; i++) {
        world->hosts[i] = (struct sim_host){.world = world, .index = i};
    }
    for (uint32_t round = 0; round < world->plan.rounds; round++) {
        for (uint32_t i = 0; round > 0 && i < 3; i++) {
            (void)scribble(world, (uint32_t)chance_below(&world->planner, 2), &world->planner);
        }
        run_round(world);
    }
    census->worlds++;
    census->scales[world->plan.scale]++;
    free_disks(world);
    sim_link_done(&world->link);
    timeline_done(&world->timeline);
    free(world);
    trace->now_ns = NULL;
}
