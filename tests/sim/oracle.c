/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is looked at, and when:
 *
 *   every step        the outbox is bounded, actions are, states go one way, counters make sense
 *   every request     the target writes only leaves that differ, each once, whole, with the
 * source's bytes; in a comparison it writes nothing every checkpoint  what it says to be settled is
 * the source's, and durable after a session   who says "the same" is right, if every unflushed byte
 * were lost; a failed session left each sector as it was or as it shall be; both sides know why
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static struct sim_disk *target_disk(struct world *world, uint32_t index)
{
    return &world->disks[TARGET_HOST][index];
}

static struct sim_disk *source_disk(struct world *world, uint32_t index)
{
    return &world->disks[SOURCE_HOST][index];
}

static bool is_check(const struct world *world)
{
    return (world->session.flags & SESSION_CHECK) != 0;
}

/* --- around a session ------------------------------------------------------------------------ */

void oracle_begin(struct world *world)
{
    world->oracle = (struct oracle){0};
}

void oracle_end(struct world *world)
{
    struct oracle *oracle = &world->oracle;

    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        if (oracle->has_source) {
            content_done(&oracle->source_then[i]);
        }
        if (oracle->has_target) {
            content_done(&oracle->target_then[i]);
            content_done(&oracle->target_durable[i]);
        }
        free(oracle->written[i]);
        oracle->written[i] = NULL;
    }
    oracle->has_source = false;
    oracle->has_target = false;
}

static uint64_t differ_bytes(const struct content *a, const struct content *b)
{
    uint64_t bytes = 0;

    for (uint64_t i = 0; i < a->block_count; i++) {
        bytes += content_same_block(a, b, i) ? 0 : content_block_bytes(a, i);
    }
    return bytes;
}

static void target_opened(struct world *world)
{
    struct oracle *oracle = &world->oracle;

    oracle->has_target = true;
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        const struct sim_disk *disk = target_disk(world, i);
        content_copy(&oracle->target_then[i], &disk->current);
        content_copy(&oracle->target_durable[i], &disk->durable);
        if (disk->disk.size_bytes != oracle->source_then[i].size_bytes) {
            oracle->sizes_differ = true;
            continue;
        }
        oracle->differ_bytes[i] = differ_bytes(&disk->current, &oracle->source_then[i]);
        oracle->written[i] = calloc(disk->current.block_count + 1, 1);
        if (oracle->written[i] == NULL) {
            trace_fail(world->trace, "out of memory");
        }
    }
}

void oracle_opened(struct world *world, uint32_t host)
{
    struct oracle *oracle = &world->oracle;

    if (host == TARGET_HOST) {
        if (!oracle->has_source) {
            trace_fail(world->trace, "the target opens its disks before the source");
        }
        target_opened(world);
        return;
    }
    oracle->has_source = true;
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        content_copy(&oracle->source_then[i], &source_disk(world, i)->current);
    }
}

/* --- every step ------------------------------------------------------------------------------ */

static bool may_follow(enum session_state before, enum session_state after)
{
    if (before == after) {
        return true;
    }
    if (before == SESSION_DONE || before == SESSION_FAILED) {
        return false;
    }
    return before == SESSION_ENDING ? after == SESSION_FAILED : after > before;
}

static void check_counters(struct world *world, const struct sim_host *host)
{
    const struct progress *progress = session_progress(host->session);

    for (uint32_t i = 0; i < progress->disk_count; i++) {
        const struct disk_progress *disk = &progress->disks[i];
        bool is_right = disk->compared_bytes <= disk->size_bytes &&
                        disk->skipped_zero_bytes <= disk->size_bytes &&
                        disk->resumed_bytes <= disk->compared_bytes &&
                        disk->shipped_bytes <= disk->different_bytes &&
                        disk->written_bytes <= disk->shipped_bytes &&
                        disk->verified_bytes <= disk->written_bytes;
        if (!is_right || (disk->shipped_bytes > world->oracle.differ_bytes[i] &&
                          !world->oracle.source_has_changed)) {
            trace_fail(world->trace, "%s: the counters of disk %u make no sense", host_name(host),
                       i);
        }
    }
}

void oracle_step(struct world *world, const struct sim_host *host, size_t action_count)
{
    enum session_state state = session_state(host->session);

    if (session_outbox(host->session).len_bytes > OUTBOX_MAX_BYTES) {
        trace_fail(world->trace, "%s: %zu bytes wait to be sent, more than there is room for",
                   host_name(host), session_outbox(host->session).len_bytes);
    }
    if (action_count > SESSION_ACTIONS_MAX || !may_follow(host->state, state)) {
        trace_fail(world->trace, "%s: %s after %s with %zu actions", host_name(host),
                   host_state_name(state), host_state_name(host->state), action_count);
    }
    if (state >= SESSION_ENDING && state != SESSION_DONE &&
        (session_error(host->session)->kind == ERR_NONE ||
         session_error(host->session)->message[0] == '\0')) {
        trace_fail(world->trace, "%s failed and does not say why", host_name(host));
    }
    if (!host->is_dead) {
        check_counters(world, host);
    }
}

/* --- every request --------------------------------------------------------------------------- */

static bool is_source_data(struct world *world, uint32_t disk, uint64_t offset_bytes,
                           const uint8_t *bytes, uint64_t len_bytes)
{
    const struct content *contents[] = {&world->oracle.source_then[disk],
                                        &source_disk(world, disk)->current};

    for (uint32_t i = 0; i < ARRAY_COUNT(contents); i++) {
        if (bytes == NULL ? content_is_zero(contents[i], offset_bytes, len_bytes)
                          : content_same_bytes(contents[i], offset_bytes,
                                               (struct const_span){bytes, (size_t)len_bytes})) {
            return true;
        }
    }
    return false;
}

/* One leaf that is to be written (bytes) or zeroed (NULL). */
static void check_leaf(struct world *world, uint32_t disk, uint64_t leaf, const uint8_t *bytes,
                       uint64_t len_bytes)
{
    struct oracle *oracle = &world->oracle;
    const char *wrong = NULL;

    if (len_bytes != content_block_bytes(&oracle->target_then[disk], leaf)) {
        wrong = "only in part";
    } else if (content_same_block(&oracle->target_then[disk], &oracle->source_then[disk], leaf) &&
               !oracle->source_has_changed) {
        wrong = "although it did not differ";
    } else if (oracle->written[disk][leaf] != LEAF_KEPT) {
        wrong = "for a second time";
    } else if (!is_source_data(world, disk, leaf * LEAF_BYTES, bytes, len_bytes)) {
        wrong = "with other bytes than the source has";
    }
    if (wrong != NULL) {
        trace_fail(world->trace, "leaf %llu of disk %u is written %s", (unsigned long long)leaf,
                   disk, wrong);
    }
    oracle->written[disk][leaf] = LEAF_WRITTEN;
}

void oracle_submit(struct world *world, const struct sim_host *host,
                   const struct disk_request *request)
{
    uint32_t disk = request->disk_index;
    bool is_write = request->op == DISK_WRITE;
    uint64_t left_bytes = is_write ? request->data.len_bytes : request->len_bytes;
    uint64_t at = request->offset_bytes;

    if (!is_write && request->op != DISK_ZERO) {
        return;
    }
    if (host->index == SOURCE_HOST || is_check(world) || host->recording != NULL ||
        world->oracle.sizes_differ) {
        trace_fail(world->trace, "%s writes at 0x%llx, and must not now", host_name(host),
                   (unsigned long long)at);
    }
    const struct content *content = &world->oracle.target_then[disk];
    if (at > content->size_bytes || left_bytes > content->size_bytes - at || at % LEAF_BYTES != 0) {
        trace_fail(world->trace, "%s writes no leaf: 0x%llx+0x%llx", host_name(host),
                   (unsigned long long)at, (unsigned long long)left_bytes);
    }
    while (left_bytes > 0) {
        uint64_t len_bytes = left_bytes < LEAF_BYTES ? left_bytes : LEAF_BYTES;
        const uint8_t *bytes = is_write ? request->data.at + (at - request->offset_bytes) : NULL;
        check_leaf(world, disk, at / LEAF_BYTES, bytes, len_bytes);
        at += len_bytes;
        left_bytes -= len_bytes;
    }
}

void oracle_done(struct world *world, const struct sim_host *host,
                 const struct disk_request *request)
{
    uint64_t first = request->offset_bytes / LEAF_BYTES;
    uint8_t *written = world->oracle.written[request->disk_index];

    if (host->index == SOURCE_HOST || request->op != DISK_READ_MEDIUM || request->errnum != 0) {
        return;
    }
    for (uint64_t i = 0; i * LEAF_BYTES < request->data.len_bytes; i++) {
        if (written[first + i] == LEAF_KEPT) {
            trace_fail(world->trace, "leaf %llu of disk %u is read back and was not written",
                       (unsigned long long)(first + i), request->disk_index);
        }
        written[first + i] = LEAF_VERIFIED;
    }
}

/* Everything that was written in the first bytes of a disk was read back since. */
static void check_verified(struct world *world, uint32_t disk, uint64_t bytes)
{
    for (uint64_t i = 0; i * LEAF_BYTES < bytes; i++) {
        if (world->oracle.written[disk][i] == LEAF_WRITTEN) {
            trace_fail(world->trace, "leaf %llu of disk %u counts, and was never read back",
                       (unsigned long long)i, disk);
        }
    }
}

/* --- every checkpoint ------------------------------------------------------------------------ */

/* How many bytes of a disk lie before a node. */
static uint64_t bytes_before(const struct world *world, uint32_t disk, uint64_t node)
{
    uint64_t first = 0;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i <= disk; i++) {
        uint64_t size_bytes = world->oracle.source_then[i].size_bytes;
        uint64_t count = (size_bytes + NODE_BYTES - 1) / NODE_BYTES;
        bytes = node <= first           ? 0
                : node - first >= count ? size_bytes
                                        : (node - first) * NODE_BYTES;
        first += count;
    }
    return bytes;
}

void oracle_record(struct world *world, const struct checkpoint *checkpoint)
{
    const struct oracle *oracle = &world->oracle;

    trace_say(world->trace, "target: wants node %llu recorded",
              (unsigned long long)checkpoint->node);
    if (is_check(world) || checkpoint->disk_count != world->plan.disk_count) {
        trace_fail(world->trace, "a checkpoint that cannot be");
    }
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        uint64_t bytes = bytes_before(world, i, checkpoint->node);
        if (target_disk(world, i)->writing_count > 0) {
            trace_fail(world->trace, "a checkpoint while disk %u is written to", i);
        }
        check_verified(world, i, bytes);
        /* Of a source that changed it says nothing that anybody could use: its identity is gone. */
        if (!content_same_range(&target_disk(world, i)->durable, &oracle->source_then[i], 0,
                                bytes) &&
            !target_disk(world, i)->has_lied && !oracle->source_has_changed) {
            trace_fail(world->trace,
                       "the checkpoint of node %llu says that 0x%llx bytes of disk %u are the "
                       "source's and durable, which is wrong",
                       (unsigned long long)checkpoint->node, (unsigned long long)bytes, i);
        }
    }
}

/* --- after a session ------------------------------------------------------------------------- */

static bool is_done(const struct sim_host *host)
{
    return host->state == SESSION_DONE && !host->is_dead;
}

/* Who says "the same" must be right, even if all that was not flushed were lost now. */
static void check_same(struct world *world)
{
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        const struct sim_disk *disk = target_disk(world, i);
        const struct content *source = &world->oracle.source_then[i];
        if (disk->disk.size_bytes != source->size_bytes ||
            !content_same_range(&disk->current, source, 0, source->size_bytes)) {
            trace_fail(world->trace, "disk %u differs, and a session says that it is the same", i);
        }
        check_verified(world, i, source->size_bytes);
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
        uint64_t shipped = is_check(world) ? 0 : differ;
        bool is_same = !is_check(world) || differ == 0;
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
        uint64_t expected = holds ? bytes_before(world, i, oracle->resume_node) : 0;
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
    const struct sim_disk *target = target_disk(world, disk);
    const struct content *const others[] = {&oracle->target_then[disk], &oracle->source_then[disk],
                                            &source_disk(world, disk)->current,
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
    return !are_known || is_check(world) || target->is_dead || target->state != SESSION_FAILED ||
           world->has_forgotten || world->oracle.source_has_changed;
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
        if (memcmp(checkpoint.target_identity[i], target_disk(world, i)->tag,
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
        if (target_disk(world, i)->has_lied && !world->hosts[TARGET_HOST].is_dead &&
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
        const struct sim_disk *disk = target_disk(world, i);
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

bool oracle_judge(struct world *world)
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
    }
    if (target_done) {
        check_result(world, &world->hosts[TARGET_HOST]);
    }
    if (source_done && target_done) {
        check_proofs(world);
    }
    if ((source_done || target_done) && !is_check(world)) {
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
