/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is looked at after a session: who says "the same" is right, even if every unflushed byte
 * were lost now; a failed session left each sector as it was or as it shall be; both sides know
 * why; what was settled can be resumed.
 */
#include <errno.h>
#include <string.h>

#include "world.h"

/* --- who is done ----------------------------------------------------------------------------- */

static bool is_done(const struct sim_host *host)
{
    return host->state == SESSION_DONE && !host->is_dead;
}

/* Who says "the same" must be right, even if all that was not flushed were lost now. */
static void check_same(struct world *world)
{
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        const struct sim_disk *disk = world_disk(world, TARGET_HOST, i);
        const struct content *source = &world->oracle.source_then[i];
        if (disk->disk.size_bytes != source->size_bytes ||
            !content_same_range(&disk->current, source, 0, source->size_bytes)) {
            trace_fail(world->trace, "disk %u differs, and a session says that it is the same", i);
        }
        oracle_check_verified(world, i, source->size_bytes);
        if (!content_same_range(&disk->durable, source, 0, source->size_bytes)) {
            trace_fail(world->trace,
                       "disk %u is the same, but not durable, and a session says that it is", i);
        }
    }
    if (world->oracle.source_has_changed) {
        trace_fail(world->trace, "the source changed while it was read, and the session is done");
    }
    if (world->record_bytes > 0) {
        trace_fail(world->trace, "the session is done and its checkpoint is still there");
    }
}

/* The counters of a session that is done. */
static void check_result(struct world *world, const struct sim_host *host)
{
    const struct progress *progress = session_progress(host->session);
    bool is_source = host->index == SOURCE_HOST;

    if (progress->disk_count != world->plan.disk_count) {
        trace_fail(world->trace, "%s: the result is of %u disks", host_name(host),
                   progress->disk_count);
    }
    for (uint32_t i = 0; i < progress->disk_count; i++) {
        const struct disk_progress *disk = &progress->disks[i];
        uint64_t differ = world->oracle.differ_bytes[i];
        uint64_t shipped = world_is_check(world) ? 0 : differ;
        bool is_same = !world_is_check(world) || differ == 0;
        /* A target that did not hear the source's farewell knows only what it did itself. */
        bool knows_all = is_source || !host->link_has_ended;
        bool is_right = disk->size_bytes == world->oracle.source_then[i].size_bytes &&
                        disk->compared_bytes == disk->size_bytes &&
                        (disk->different_bytes == differ || !knows_all) &&
                        disk->shipped_bytes == shipped && disk->written_bytes == shipped &&
                        disk->verified_bytes == shipped && disk->has_proof == is_same;
        if (!is_right) {
            trace_fail(world->trace,
                       "%s: disk %u: %llu bytes compared, %llu different (%llu are), %llu "
                       "shipped, %llu written, %llu verified, proof %d: wrong",
                       host_name(host), i, (unsigned long long)disk->compared_bytes,
                       (unsigned long long)disk->different_bytes, (unsigned long long)differ,
                       (unsigned long long)disk->shipped_bytes,
                       (unsigned long long)disk->written_bytes,
                       (unsigned long long)disk->verified_bytes, disk->has_proof);
        }
    }
}

/* What the source counted on the wire is what went over it. */
static void check_wire(struct world *world)
{
    const struct wire_progress *wire = &session_progress(world->hosts[SOURCE_HOST].session)->wire;

    if (wire->sent_bytes != world->link.pipes[SOURCE_HOST].put_bytes ||
        wire->received_bytes != world->link.pipes[TARGET_HOST].taken_bytes) {
        trace_fail(world->trace,
                   "the source counted %llu bytes sent and %llu received; it was "
                   "%llu and %llu",
                   (unsigned long long)wire->sent_bytes, (unsigned long long)wire->received_bytes,
                   (unsigned long long)world->link.pipes[SOURCE_HOST].put_bytes,
                   (unsigned long long)world->link.pipes[TARGET_HOST].taken_bytes);
    }
}

static void check_proofs(struct world *world)
{
    const struct progress *of_source = session_progress(world->hosts[SOURCE_HOST].session);
    const struct progress *of_target = session_progress(world->hosts[TARGET_HOST].session);

    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        if (of_source->disks[i].has_proof != of_target->disks[i].has_proof ||
            (of_source->disks[i].has_proof &&
             memcmp(of_source->disks[i].proof, of_target->disks[i].proof, PROOF_BYTES) != 0)) {
            trace_fail(world->trace, "the proofs of disk %u are not the same", i);
        }
    }
}

/* A checkpoint that holds is used, one that does not is not. */
static void check_resumed(struct world *world)
{
    const struct oracle *oracle = &world->oracle;
    const struct sim_host *target = &world->hosts[TARGET_HOST];
    const struct progress *progress = session_progress(target->session);
    bool holds = oracle->has_resumed;

    for (uint32_t i = 0; i < world->plan.disk_count && holds; i++) {
        holds = checkpoint_identity_known(oracle->source_facts[i].identity) &&
                memcmp(target->loaded.source_identity[i], oracle->source_facts[i].identity,
                       DISK_IDENTITY_BYTES) == 0 &&
                target->loaded.size_bytes[i] == oracle->source_facts[i].size_bytes;
    }
    for (uint32_t i = 0; i < progress->disk_count; i++) {
        uint64_t expected = holds ? oracle_bytes_before(world, i, oracle->resume_node) : 0;
        if (progress->disks[i].resumed_bytes != expected) {
            trace_fail(world->trace, "disk %u was resumed at 0x%llx, not at 0x%llx", i,
                       (unsigned long long)progress->disks[i].resumed_bytes,
                       (unsigned long long)expected);
        }
    }
    world->census->sessions_resumed += holds && progress->disk_count > 0;
}

static bool is_any_of(const struct content *content, uint64_t at, uint64_t len_bytes,
                      const struct content *const *others, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (others[i]->size_bytes == content->size_bytes &&
            content_same_range(content, others[i], at, len_bytes)) {
            return true;
        }
    }
    return false;
}

/* Each sector is what it was, or what it shall be. */
static void check_sectors(struct world *world, uint32_t disk, const struct content *content,
                          uint64_t leaf, const struct content *const *others, size_t count)
{
    uint64_t first = leaf * LEAF_BYTES;
    uint64_t end = first + content_block_bytes(content, leaf);

    for (uint64_t at = first; at < end; at += SECTOR_BYTES) {
        uint64_t len_bytes = end - at < SECTOR_BYTES ? end - at : SECTOR_BYTES;
        if (!is_any_of(content, at, len_bytes, others, count)) {
            trace_fail(world->trace,
                       "after the session 0x%llx of disk %u is neither what it was nor what the "
                       "source has",
                       (unsigned long long)at, disk);
        }
    }
}

/* Whether a write may have taken place in part. */
static bool may_be_torn(const struct world *world)
{
    for (uint32_t i = 0; i < world->session.fault_count; i++) {
        enum fault_kind kind = world->session.faults[i].kind;
        if (kind == FAULT_CRASH_TARGET || kind == FAULT_KILL_TARGET || kind == FAULT_CRASH_BOTH ||
            kind == FAULT_DISK_TARGET) {
            return true;
        }
    }
    return false;
}

static void check_left(struct world *world, uint32_t disk)
{
    const struct oracle *oracle = &world->oracle;
    const struct sim_disk *target = world_disk(world, TARGET_HOST, disk);
    const struct content *const others[] = {&oracle->target_then[disk], &oracle->source_then[disk],
                                            &world_disk(world, SOURCE_HOST, disk)->current,
                                            &oracle->target_durable[disk]};
    const struct content *const views[] = {&target->current, &target->durable};
    size_t counts[] = {3, 4};

    if (target->has_lied) {
        return; /* a write went elsewhere: the session must have noticed, and the next ones mend it
                 */
    }
    for (uint32_t v = 0; v < ARRAY_COUNT(views); v++) {
        size_t count = may_be_torn(world) ? 4 : counts[v];
        for (uint64_t leaf = 0; leaf < views[v]->block_count; leaf++) {
            if (is_any_of(views[v], leaf * LEAF_BYTES, content_block_bytes(views[v], leaf), others,
                          count)) {
                continue;
            }
            if (!may_be_torn(world)) {
                trace_fail(world->trace, "after the session leaf %llu of disk %u is mixed",
                           (unsigned long long)leaf, disk);
            }
            check_sectors(world, disk, views[v], leaf, others, count);
        }
    }
}

/* --- why it failed --------------------------------------------------------------------------- */

static struct fault *only_fault(struct world *world)
{
    struct fault *found = NULL;

    for (uint32_t i = 0; i < world->session.fault_count; i++) {
        struct fault *fault = &world->session.faults[i];
        if (fault->has_fired && fault->kind != FAULT_RECORD) {
            if (found != NULL) {
                return NULL;
            }
            found = fault;
        }
    }
    return found;
}

static void check_error(struct world *world, const struct sim_host *host, const struct fault *fault,
                        enum error_kind kind, const char *disk, bool has_offset)
{
    const struct error *error = session_error(host->session);
    bool is_near =
        !has_offset || (error->has_offset && error->offset_bytes >= fault->of_disk.offset_bytes &&
                        error->offset_bytes < fault->of_disk.offset_bytes + MIB);

    if (host->state != SESSION_FAILED || error->kind != kind ||
        (disk != NULL && strcmp(error->disk, disk) != 0) || !is_near) {
        trace_fail(world->trace,
                   "%s should have failed with %s at disk %s, 0x%llx (%s); it is %s: %s, "
                   "disk %s, 0x%llx: %s",
                   host_name(host), error_kind_name(kind), disk != NULL ? disk : "(any)",
                   (unsigned long long)fault->of_disk.offset_bytes, fault_name(fault->kind),
                   host_state_name(host->state), error_kind_name(error->kind), error->disk,
                   (unsigned long long)error->offset_bytes, error->message);
    }
}

/* The error is known where it happened, and on the other side. */
static void check_both_know(struct world *world, uint32_t where, const struct fault *fault,
                            enum error_kind kind, const char *disk, bool has_offset)
{
    const struct sim_host *here = &world->hosts[where];
    const struct sim_host *there = &world->hosts[1 - where];

    check_error(world, here, fault, kind, disk, has_offset);
    if (!here->said_all) {
        world->census->lost_farewells++;
        return;
    }
    check_error(world, there, fault, kind, disk, has_offset);
}

/* Up to which node the target's session has settled everything. */
static uint64_t settled_node(const struct world *world)
{
    const struct progress *progress = session_progress(world->hosts[TARGET_HOST].session);
    uint64_t node = 0;

    for (uint32_t i = 0; i < progress->disk_count; i++) {
        const struct disk_progress *disk = &progress->disks[i];
        node += (disk->compared_bytes + NODE_BYTES - 1) / NODE_BYTES;
        if (disk->compared_bytes < disk->size_bytes) {
            break;
        }
    }
    return node;
}

static bool may_keep_no_record(const struct world *world)
{
    const struct sim_host *target = &world->hosts[TARGET_HOST];
    bool are_known = world->plan.styles[SOURCE_HOST].knows_identity &&
                     world->plan.styles[TARGET_HOST].knows_identity;

    for (uint32_t i = 0; i < world->session.fault_count; i++) {
        enum fault_kind kind = world->session.faults[i].kind;
        are_known =
            are_known && kind != FAULT_DISK_TARGET && kind != FAULT_LIE && kind != FAULT_RECORD;
    }
    return !are_known || world_is_check(world) || target->is_dead ||
           target->state != SESSION_FAILED || world->has_forgotten ||
           world->oracle.source_has_changed;
}

/* A run that was interrupted while its disks were in order can be resumed at what it had settled.
 */
static void check_resumable(struct world *world)
{
    uint64_t node = settled_node(world);
    struct checkpoint checkpoint = {0};
    struct error unused;

    if (node == 0 || may_keep_no_record(world)) {
        return;
    }
    if (world->record_bytes == 0 ||
        checkpoint_decode((struct const_span){world->record, world->record_bytes}, &checkpoint,
                          &unused) != 0 ||
        checkpoint.node != node) {
        trace_fail(world->trace, "node %llu is settled, and the checkpoint is of node %llu",
                   (unsigned long long)node, (unsigned long long)checkpoint.node);
    }
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        if (memcmp(checkpoint.target_identity[i], world_disk(world, TARGET_HOST, i)->tag,
                   DISK_IDENTITY_BYTES) != 0) {
            trace_fail(world->trace, "disk %u was written to after its checkpoint was recorded", i);
        }
    }
}

/* What a disk that lies has where nobody looked again is not known: nothing may be resumed on it.
 */
static void check_forgotten(struct world *world)
{
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        if (world_disk(world, TARGET_HOST, i)->has_lied && !world->hosts[TARGET_HOST].is_dead &&
            world->record_bytes > 0) {
            trace_fail(world->trace,
                       "disk %u gave back other data than was written, and its "
                       "checkpoint is kept",
                       i);
        }
    }
}

/* A write that went elsewhere is noticed, but perhaps where it went first: a page that is read
 * there to be patched does not fit the source's digest. */
static void check_misdirected(struct world *world)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (world->hosts[i].state != SESSION_FAILED) {
            trace_fail(world->trace, "%s did not notice that a write went elsewhere",
                       host_name(&world->hosts[i]));
        }
    }
}

static void check_reason(struct world *world)
{
    const struct fault *fault = only_fault(world);
    enum error_kind kind = ERR_IO;
    uint32_t where = SOURCE_HOST;
    bool has_offset = false;

    if (fault == NULL) {
        return;
    }
    switch (fault->kind) {
    case FAULT_DISK_SOURCE:
        has_offset = true;
        break;
    case FAULT_LIE:
        if (fault->of_disk.lie == LIE_MISDIRECTED) {
            check_misdirected(world);
            return;
        }
        where = TARGET_HOST;
        has_offset = true;
        break;
    case FAULT_DISK_TARGET:
        where = TARGET_HOST;
        has_offset = fault->of_disk.op != DISK_FLUSH;
        kind =
            fault->of_disk.errnum == ENOSPC || fault->of_disk.errnum == EDQUOT ? ERR_LIMIT : ERR_IO;
        break;
    case FAULT_OPEN_SOURCE:
        break;
    case FAULT_OPEN_TARGET:
        where = TARGET_HOST;
        break;
    case FAULT_IDENTIFY:
        check_both_know(world, where, fault, kind, NULL, false);
        return;
    case FAULT_SOURCE_CHANGE:
        if (world->oracle.source_has_changed) {
            check_both_know(world, where, fault, ERR_WRONG_STATE, NULL, false);
        }
        return;
    case FAULT_CANCEL_SOURCE:
    case FAULT_CANCEL_TARGET:
        where = fault->kind == FAULT_CANCEL_SOURCE ? SOURCE_HOST : TARGET_HOST;
        check_error(world, &world->hosts[where], fault, ERR_CANCELLED, NULL, false);
        return;
    case FAULT_SIZE:
    case FAULT_NONE:
    case FAULT_CUT:
    case FAULT_SILENCE:
    case FAULT_FLIP:
    case FAULT_CRASH_SOURCE:
    case FAULT_CRASH_TARGET:
    case FAULT_KILL_TARGET:
    case FAULT_CRASH_BOTH:
    case FAULT_RECORD:
    case FAULT_CHANCE:
    case FAULT_COUNT:
        return;
    }
    check_both_know(world, where, fault, kind, world->disks[where][fault->disk].disk.name,
                    has_offset);
}

static void check_sizes(struct world *world)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct sim_host *host = &world->hosts[i];
        if (!host->is_dead && host->state != SESSION_FAILED) {
            trace_fail(world->trace, "%s did not fail although the sizes differ", host_name(host));
        }
    }
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        const struct sim_disk *disk = world_disk(world, TARGET_HOST, i);
        if (!content_same_range(&disk->current, &world->oracle.target_then[i], 0,
                                disk->disk.size_bytes)) {
            trace_fail(world->trace, "the sizes differ, and disk %u was written to", i);
        }
    }
}

/* A bit that changed on the way and was read is noticed; only after SEALED may the end of the link
 * stand for the farewell that could not be read. */
static void check_flip(struct world *world)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct sim_host *host = &world->hosts[i];
        bool may_be_done = i == TARGET_HOST && host->link_has_ended;
        if (sim_link_has_read_flip(&world->link, i) && is_done(host) && !may_be_done) {
            trace_fail(world->trace, "%s did not notice a bit that changed on the link",
                       host_name(host));
        }
    }
}

static uint32_t fired_count(const struct world *world)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < world->session.fault_count; i++) {
        count +=
            world->session.faults[i].has_fired && world->session.faults[i].kind != FAULT_RECORD;
    }
    return count;
}

static void check_states(struct world *world)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct sim_host *host = &world->hosts[i];
        if (host->is_dead) {
            continue;
        }
        if (host->state != SESSION_DONE && host->state != SESSION_FAILED) {
            trace_fail(world->trace, "%s is over and %s", host_name(host),
                       host_state_name(host->state));
        }
        if (host->state == SESSION_FAILED && fired_count(world) == 0 &&
            !world->oracle.sizes_differ) {
            trace_fail(world->trace, "%s failed although nothing was wrong: %s", host_name(host),
                       session_error(host->session)->message);
        }
    }
}

bool verdict_of(struct world *world)
{
    const struct oracle *oracle = &world->oracle;
    bool source_done = is_done(&world->hosts[SOURCE_HOST]);
    bool target_done = is_done(&world->hosts[TARGET_HOST]);

    check_states(world);
    if (oracle->sizes_differ) {
        check_sizes(world);
        return false;
    }
    if (oracle->has_target && !world->hosts[TARGET_HOST].is_dead) {
        check_resumed(world);
    }
    if (source_done) {
        check_result(world, &world->hosts[SOURCE_HOST]);
        check_wire(world);
    }
    if (target_done) {
        check_result(world, &world->hosts[TARGET_HOST]);
    }
    if (source_done && target_done) {
        check_proofs(world);
    }
    if ((source_done || target_done) && !world_is_check(world)) {
        check_same(world);
    }
    for (uint32_t i = 0; oracle->has_target && i < world->plan.disk_count; i++) {
        check_left(world, i);
    }
    check_flip(world);
    if (oracle->has_target) {
        check_resumable(world);
    }
    check_forgotten(world);
    check_reason(world);
    return source_done && target_done;
}
