/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is looked at, and when:
 *
 *   every step        the outbox is bounded, actions are, states go one way, counters make sense
 *   every request     the target writes only leaves that differ, each once, whole, with the
 * source's bytes; in a comparison it writes nothing every checkpoint  what it says to be settled is
 * the source's, was read back, and is durable
 */
#include <stdlib.h>
#include <string.h>

#include "world.h"

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
        const struct sim_disk *disk = world_disk(world, TARGET_HOST, i);
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
        content_copy(&oracle->source_then[i], &world_disk(world, SOURCE_HOST, i)->current);
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
                                        &world_disk(world, SOURCE_HOST, disk)->current};

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
    if (host->index == SOURCE_HOST || world_is_check(world) || host->recording != NULL ||
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

void oracle_check_verified(struct world *world, uint32_t disk, uint64_t bytes)
{
    for (uint64_t i = 0; i * LEAF_BYTES < bytes; i++) {
        if (world->oracle.written[disk][i] == LEAF_WRITTEN) {
            trace_fail(world->trace, "leaf %llu of disk %u counts, and was never read back",
                       (unsigned long long)i, disk);
        }
    }
}

/* --- every checkpoint ------------------------------------------------------------------------ */

uint64_t oracle_bytes_before(const struct world *world, uint32_t disk, uint64_t node)
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
    if (world_is_check(world) || checkpoint->disk_count != world->plan.disk_count) {
        trace_fail(world->trace, "a checkpoint that cannot be");
    }
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        uint64_t bytes = oracle_bytes_before(world, i, checkpoint->node);
        if (world_disk(world, TARGET_HOST, i)->writing_count > 0) {
            trace_fail(world->trace, "a checkpoint while disk %u is written to", i);
        }
        oracle_check_verified(world, i, bytes);
        /* Of a source that changed it says nothing that anybody could use: its identity is gone. */
        if (!content_same_range(&world_disk(world, TARGET_HOST, i)->durable,
                                &oracle->source_then[i], 0, bytes) &&
            !world_disk(world, TARGET_HOST, i)->has_lied && !oracle->source_has_changed) {
            trace_fail(world->trace,
                       "the checkpoint of node %llu says that 0x%llx bytes of disk %u are the "
                       "source's and durable, which is wrong",
                       (unsigned long long)checkpoint->node, (unsigned long long)bytes, i);
        }
    }
}

void oracle_commit(struct world *world)
{
    for (uint32_t i = 0; i < world->plan.disk_count; i++) {
        const struct sim_disk *disk = world_disk(world, TARGET_HOST, i);
        const struct content *source = &world->oracle.source_then[i];
        if (disk->disk.size_bytes != source->size_bytes ||
            !content_same_range(&disk->durable, source, 0, source->size_bytes)) {
            trace_fail(world->trace, "disk %u is to be committed and is not the source yet", i);
        }
        oracle_check_verified(world, i, source->size_bytes);
    }
}
