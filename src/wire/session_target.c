/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The target: reads and hashes its disks, tells the source, stages what comes back, and proves the
 * result.
 *
 *   window:   own stretches told to the source and not yet settled by it (DONE), oldest first
 *   patches:  leaves received for nodes that were zeros here, by node
 *
 * Invariants:
 * 1. The window and the patches together say what every unsettled leaf will be once all that was
 * received is applied; the proof is fed from them, in order, when DONE comes.
 * 2. A leaf is received at most once, only in an unsettled node that the source was told of, and
 * only with bytes that have the digest sent with them: nothing else ever reaches the stage (DESIGN
 * P4).
 * 3. In a compare (SESSION_CHECK) there is no stage, so nothing can be written.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "wire/session_receive.h"

static bool is_check(const struct session *session)
{
    return (session->open.flags & SESSION_CHECK) != 0;
}

/* --- beginning ------------------------------------------------------------------------------- */

static int check_sizes(struct session *session, struct error *err)
{
    for (uint32_t i = 0; i < session->open.disk_count; i++) {
        uint64_t theirs = session->source_facts[i].size_bytes;
        uint64_t ours = session->facts[i].size_bytes;
        if (theirs == ours) {
            continue;
        }
        (void)fail(err, ERR_WRONG_STATE, 0,
                   "the target %s has %" PRIu64 " bytes and its source %" PRIu64
                   ": they must be of the same size (a target file is made to fit with --create)",
                   session->open.disks[i].name, ours, theirs);
        error_set_disk(err, session->open.disks[i].name);
        return -1;
    }
    return 0;
}

/* Whether an interrupted run's checkpoint is about these very disks, unchanged. The host has looked
 * at the target's side. */
static bool can_resume(const struct session *session, const struct layout *layout,
                       const struct checkpoint *checkpoint)
{
    if (checkpoint == NULL || checkpoint->disk_count != session->open.disk_count ||
        checkpoint->segments.count == PROOF_SEGMENTS_MAX || is_check(session)) {
        return false;
    }
    for (uint32_t i = 0; i < checkpoint->disk_count; i++) {
        const struct session_disk_facts *facts = &session->source_facts[i];
        if (checkpoint->size_bytes[i] != facts->size_bytes ||
            !checkpoint_identity_known(facts->identity) ||
            memcmp(checkpoint->source_identity[i], facts->identity, DISK_IDENTITY_BYTES) != 0) {
            return false;
        }
    }
    return checkpoint->node <= layout->node_count;
}

static int send_begin(struct session *session, const struct checkpoint *checkpoint,
                      struct message_begin *begin, struct error *err)
{
    uint64_t size_bytes[DISKS_MAX];
    struct layout layout;

    for (uint32_t i = 0; i < session->open.disk_count; i++) {
        size_bytes[i] = session->facts[i].size_bytes;
    }
    if (layout_init(&layout, session->open.disk_count, size_bytes, err) != 0) {
        return -1;
    }
    *begin = (struct message_begin){0};
    session->segments.count = 0;
    if (can_resume(session, &layout, checkpoint)) {
        session->segments = checkpoint->segments;
        begin->node = checkpoint->node;
        begin->proof_count = session_proofs_before(&layout, checkpoint->node);
        memcpy(begin->proofs, checkpoint->proof, sizeof begin->proofs);
    }
    struct proof_segment *segment = &session->segments.list[session->segments.count++];
    segment->first_node = begin->node;
    memcpy(segment->key, session->key, sizeof segment->key);
    if (checkpoint != NULL && begin->node == 0) {
        /* Of another state of the disks. Where what is staged has a name of its own, nothing that
         * we write would show it to be stale. */
        session_act(session, &(struct session_action){.kind = ACTION_FORGET});
    }
    struct writer w = channel_begin(session->channel, message_kind(MESSAGE_BEGIN)->max_bytes);
    message_put_begin(&w, begin);
    channel_end(session->channel, MESSAGE_BEGIN, &w);
    return session_begin_disks(session, size_bytes, begin, err);
}

static int allocate(struct session *session, struct target *target, struct error *err)
{
    struct stage_config config = {.layout = &session->layout,
                                  .digester = session->digester,
                                  .progress = &session->progress,
                                  .owner = OWNER_STAGE};

    target->patches = calloc(PATCHES_MAX, sizeof *target->patches);
    target->unpacked = malloc(LEAF_BYTES);
    target->zstd = ZSTD_createDCtx();
    bool has_memory = target->patches != NULL && target->unpacked != NULL && target->zstd != NULL;
    for (uint32_t i = 0; i < PAGE_READS_MAX; i++) {
        target->page_reads[i].buffer = aligned_alloc(DISK_BUFFER_ALIGN, LEAF_BYTES);
        has_memory = has_memory && target->page_reads[i].buffer != NULL;
    }
    if (!has_memory) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a session");
    }
    if (stretch_queue_init(&target->window, WINDOW_NODES_MAX, err) != 0) {
        return -1;
    }
    return is_check(session) ? 0 : stage_inplace_new(&config, &target->stage, err);
}

int target_new(struct session *session, const struct checkpoint *checkpoint, struct error *err)
{
    struct message_begin begin;

    if (check_sizes(session, err) != 0 || send_begin(session, checkpoint, &begin, err) != 0) {
        return -1;
    }
    struct target *target = calloc(1, sizeof *target);
    if (target == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a session");
    }
    if (allocate(session, target, err) != 0) {
        target_free(target);
        return -1;
    }
    target->told_node = begin.node;
    target->settled_node = begin.node;
    if (begin.proof_count > 0 && target->stage != NULL) {
        /* What the interrupted run had settled is worth recording again: the first write makes the
         * checkpoint of then useless. */
        struct settled_mark mark = {.node = begin.node, .is_same = true};
        memcpy(mark.proof, begin.proofs[begin.proof_count - 1], PROOF_BYTES);
        target->stage->ops->mark(target->stage, &mark);
    }
    target->can_checkpoint = true;
    for (uint32_t i = 0; i < session->open.disk_count; i++) {
        target->can_checkpoint =
            target->can_checkpoint && checkpoint_identity_known(session->source_facts[i].identity);
    }
    session->target = target;
    return 0;
}

void target_free(struct target *target)
{
    if (target == NULL) {
        return;
    }
    if (target->stage != NULL) {
        target->stage->ops->free(target->stage);
    }
    for (uint32_t i = 0; i < PAGE_READS_MAX; i++) {
        free(target->page_reads[i].buffer);
    }
    stretch_queue_done(&target->window);
    ZSTD_freeDCtx(target->zstd);
    free(target->unpacked);
    free(target->patches);
    free(target);
}

/* --- telling --------------------------------------------------------------------------------- */

static void send_nodes(struct session *session)
{
    struct target *target = session->target;
    struct writer w = channel_begin(session->channel, message_kind(MESSAGE_NODES)->max_bytes);

    message_put_nodes(&w, &target->telling);
    channel_end(session->channel, MESSAGE_NODES, &w);
    target->told_node += target->telling.count;
    target->telling.count = 0;
    target->told_messages++;
}

static void tell_node(struct session *session, const struct stretch *stretch)
{
    struct target *target = session->target;
    uint64_t ramp = 1 + target->told_messages / NODES_RAMP;

    if (target->telling.count == 0) {
        target->telling.first_node = stretch->first_node;
    }
    target->telling.digests[target->telling.count++] = stretch->digest;
    if (target->telling.count == NODES_PER_FRAME_MAX || target->telling.count >= ramp) {
        send_nodes(session);
    }
}

static void tell_zeros(struct session *session, const struct stretch *stretch)
{
    struct message_zeros m = {
        .first_node = stretch->first_node, .count = stretch->count, .was_read = stretch->was_read};

    if (session->target->telling.count > 0) {
        send_nodes(session);
    }
    struct writer w = channel_begin(session->channel, 17);
    message_put_zeros(&w, &m);
    channel_end(session->channel, MESSAGE_ZEROS, &w);
    session->target->told_node += stretch->count;
}

/* Reads on, and tells what was read. Asks before it takes: nodes that are known to be zeros are
 * finished as soon as they are looked at, with no request whose return would bring us here again.
 */
static bool scan_more(struct session *session)
{
    struct target *target = session->target;
    const struct stretch *stretch = NULL;
    bool did_any = false;

    while (session_can_act(session) && !stretch_queue_is_full(&target->window)) {
        struct disk_request *request = scan_next(session->scan, UINT64_MAX);
        if (request == NULL) {
            break;
        }
        session_submit(session, request);
        did_any = true;
    }
    while (!stretch_queue_is_full(&target->window) &&
           channel_room(session->channel) > ANSWER_ROOM_BYTES &&
           (stretch = scan_take(session->scan)) != NULL) {
        stretch_queue_push(&target->window, &session->layout, stretch);
        if (stretch->is_zero) {
            tell_zeros(session, stretch);
        } else {
            tell_node(session, stretch);
        }
        did_any = true;
    }
    if (target->telling.count > 0 &&
        (scan_is_done(session->scan) || stretch_queue_is_full(&target->window))) {
        send_nodes(session);
    }
    return did_any;
}

static int handle_want_leaves(struct session *session, struct const_span payload, struct error *err)
{
    struct message_want want;

    if (message_get_want(payload, &want, err) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < want.count; i++) {
        const struct stretch *stretch =
            stretch_queue_find(&session->target->window, want.numbers[i]);
        if (stretch == NULL || stretch->is_zero) {
            return fail(err, ERR_PEER, 0,
                        "the source asked for the leaves of node %" PRIu64 ", which is not due",
                        want.numbers[i]);
        }
        struct message_leaves m = {.node = want.numbers[i], .count = stretch->leaf_count};
        memcpy(m.digests, stretch->leaves, stretch->leaf_count * sizeof m.digests[0]);
        struct writer w = channel_begin(session->channel, message_kind(MESSAGE_LEAVES)->max_bytes);
        message_put_leaves(&w, &m);
        channel_end(session->channel, MESSAGE_LEAVES, &w);
    }
    return 0;
}

/* --- settling -------------------------------------------------------------------------------- */

/* Feeds the proof with a run of our zeros [first, end), into which leaves may have been received.
 */
static void feed_zeros(struct session *session, uint64_t first, uint64_t end)
{
    struct target *target = session->target;
    struct patch *patch = receive_find_patch(target, first);
    const struct patch *patches_end = target->patches + target->patch_count;

    while (first < end) {
        uint64_t until = patch < patches_end && patch->node < end ? patch->node : end;
        if (until > first) {
            proof_zeros(session->proof, first, until - first);
        }
        if (until < end) {
            proof_node(session->proof, until, patch->leaves,
                       layout_leaves(&session->layout, until));
            until++;
            patch++;
        }
        first = until;
    }
}

static void drop_patches(struct target *target, uint64_t before_node)
{
    struct patch *kept = receive_find_patch(target, before_node);
    uint32_t dropped = (uint32_t)(kept - target->patches);

    memmove(target->patches, kept, (target->patch_count - dropped) * sizeof *kept);
    target->patch_count -= dropped;
}

static void feed_settled(struct session *session, uint64_t end)
{
    struct target *target = session->target;

    while (target->settled_node < end) {
        const struct stretch *head = stretch_queue_head(&target->window);
        uint64_t count =
            head->count < end - target->settled_node ? head->count : end - target->settled_node;
        if (head->is_zero) {
            feed_zeros(session, target->settled_node, target->settled_node + count);
        } else {
            proof_node(session->proof, head->first_node, head->leaves, head->leaf_count);
        }
        stretch_queue_pop_nodes(&target->window, count);
        target->settled_node += count;
    }
    drop_patches(target, end);
}

/* The source says that everything before a node is settled: our proof up to there must be its
 * proof. */
static int handle_done(struct session *session, struct const_span payload, struct error *err)
{
    struct target *target = session->target;
    const struct layout *layout = &session->layout;
    struct settled_mark mark;
    struct message_done m;

    if (message_get_done(payload, &m, err) != 0) {
        return -1;
    }
    if (m.node <= target->settled_node || m.node > target->told_node ||
        layout_disk_of(layout, target->settled_node) != layout_disk_of(layout, m.node - 1)) {
        return fail(err, ERR_PEER, 0, "the source settled node %" PRIu64 ", which is not due",
                    m.node);
    }
    if (!m.is_same && !is_check(session)) {
        return fail(err, ERR_PEER, 0, "the source left differences where none may stay");
    }
    uint32_t disk = layout_disk_of(layout, m.node - 1);
    session->progress.disks[disk].compared_bytes +=
        layout_bytes(layout, target->settled_node, m.node - target->settled_node);
    feed_settled(session, m.node);
    mark = (struct settled_mark){.node = m.node, .is_same = m.is_same};
    proof_value(session->proof, mark.proof);
    if (m.is_same && memcmp(mark.proof, m.proof, PROOF_BYTES) != 0) {
        return fail(err, ERR_PEER, 0,
                    "source and target have different proofs up to node %" PRIu64
                    ": the link or memory damages data; nothing may be said of the target before a "
                    "clean run",
                    m.node);
    }
    if (m.node == layout->first_node[disk + 1]) {
        memcpy(session->progress.disks[disk].proof, mark.proof, PROOF_BYTES);
        session->progress.disks[disk].has_proof = m.is_same;
    }
    if (target->stage != NULL) {
        target->stage->ops->mark(target->stage, &mark);
    }
    return 0;
}

/* --- the end --------------------------------------------------------------------------------- */

static int handle_seal(struct session *session, struct error *err)
{
    struct target *target = session->target;

    if (target->settled_node != session->layout.node_count || target->seal_came) {
        return fail(err, ERR_PEER, 0, "the source sealed before everything was settled");
    }
    target->seal_came = true;
    session->state = SESSION_SEALING;
    if (target->stage != NULL) {
        target->stage->ops->seal(target->stage);
    }
    return 0;
}

static void send_sealed(struct session *session)
{
    struct message_sealed m = {.disk_count = session->layout.disk_count};
    struct writer w = channel_begin(session->channel, message_kind(MESSAGE_SEALED)->max_bytes);

    for (uint32_t i = 0; i < m.disk_count; i++) {
        m.written_bytes[i] = session->progress.disks[i].written_bytes;
        m.verified_bytes[i] = session->progress.disks[i].verified_bytes;
    }
    message_put_sealed(&w, &m);
    channel_end(session->channel, MESSAGE_SEALED, &w);
    session->target->sealed_sent = true;
}

/* From here on nothing that happens to the link or the peer stops the host: a point is made the
 * present one wholly or not at all. */
static void commit(struct session *session)
{
    session->target->commit = COMMIT_RUNNING;
    session_act(session,
                &(struct session_action){
                    .kind = ACTION_COMMIT,
                    .seal = {.progress = &session->progress, .segments = &session->segments},
                });
}

/* Sealing: when all is on the medium and read back, say so. Ending: when all that came is, stop. */
static bool finish_stage(struct session *session)
{
    struct target *target = session->target;
    bool is_sealed = target->stage == NULL || target->stage->ops->is_sealed(target->stage);

    if (!is_sealed || target->is_recording || target->commit == COMMIT_RUNNING) {
        return false;
    }
    if (session->state == SESSION_ENDING && session->in_flight == 0) {
        session_finish(session);
        return true;
    }
    if (session->state != SESSION_SEALING || target->sealed_sent || !session_can_act(session)) {
        return false;
    }
    for (uint32_t i = 0; i < session->layout.disk_count; i++) {
        const struct disk_progress *disk = &session->progress.disks[i];
        assert(disk->shipped_bytes == disk->written_bytes &&
               disk->written_bytes == disk->verified_bytes);
    }
    if (session->is_staged && target->stage != NULL && target->commit == COMMIT_NONE) {
        commit(session);
        return true;
    }
    if (!session->is_staged && target->stage != NULL) {
        session_act(session, &(struct session_action){.kind = ACTION_FORGET});
    }
    send_sealed(session);
    return true;
}

void target_committed(struct session *session, const struct error *error)
{
    assert(session->target->commit == COMMIT_RUNNING);
    session->target->commit = COMMIT_DONE;
    if (error != NULL) {
        session_fail(session, error);
    }
}

static int handle_bye(struct session *session, struct const_span payload, struct error *err)
{
    struct message_bye m;

    if (!session->target->sealed_sent) {
        return fail(err, ERR_PEER, 0, "the source left before the target was sealed");
    }
    if (message_get_bye(payload, &m, err) != 0) {
        return -1;
    }
    for (uint32_t i = 0;
         i < session->layout.disk_count && m.disk_count == session->layout.disk_count; i++) {
        struct disk_progress *disk = &session->progress.disks[i];
        disk->skipped_zero_bytes = m.disks[i].skipped_zero_bytes;
        disk->different_bytes = m.disks[i].different_bytes;
    }
    session->progress.wire = m.wire;
    session->state = SESSION_DONE;
    return 0;
}

bool target_is_sealed(const struct session *session)
{
    return session->target->sealed_sent;
}

void target_end(struct session *session)
{
    struct target *target = session->target;

    session->held = (struct frame){0};
    target->page_want_count = 0;
    if (target->stage != NULL) {
        target->stage->ops->seal(target->stage);
    }
}

/* --- checkpoints ----------------------------------------------------------------------------- */

static void fill_checkpoint(const struct session *session, const struct settled_mark *mark,
                            struct checkpoint *out)
{
    const struct layout *layout = &session->layout;

    *out = (struct checkpoint){
        .disk_count = layout->disk_count, .node = mark->node, .segments = session->segments};
    uint32_t last = out->segments.count - 1;
    if (out->segments.list[last].first_node == mark->node) {
        out->segments.count = last; /* nothing of this proof is by this session's key */
    }
    for (uint32_t i = 0; i < layout->disk_count; i++) {
        out->size_bytes[i] = layout->size_bytes[i];
        memcpy(out->source_identity[i], session->source_facts[i].identity, DISK_IDENTITY_BYTES);
        if (layout->first_node[i + 1] <= mark->node) {
            memcpy(out->proof[i], session->progress.disks[i].proof, PROOF_BYTES);
        } else if (layout->first_node[i] < mark->node) {
            memcpy(out->proof[i], mark->proof, PROOF_BYTES);
        }
    }
}

static bool record_checkpoint(struct session *session)
{
    struct target *target = session->target;
    struct settled_mark mark;

    /* While sealing it is soon forgotten again; if sealing is interrupted it is worth most. */
    if (target->stage == NULL || !target->can_checkpoint || target->is_recording ||
        session->state == SESSION_SEALING || target->sealed_sent || target->commit != COMMIT_NONE ||
        !session_can_act(session)) {
        return false;
    }
    bool is_last = session->state == SESSION_ENDING && target->stage->ops->is_sealed(target->stage);
    if (!target->stage->ops->next_durable(target->stage, is_last, &mark)) {
        return false;
    }
    fill_checkpoint(session, &mark, &target->checkpoint);
    target->is_recording = true;
    session_act(session,
                &(struct session_action){.kind = ACTION_RECORD, .checkpoint = &target->checkpoint});
    return true;
}

/*
 * The disk gave back something else than was written. Where that went nobody knows: perhaps over
 * what a checkpoint says to be settled. So no run is resumed on it.
 */
static void distrust(struct session *session)
{
    session->target->can_checkpoint = false;
    session->target->is_distrusted = true;
    if (!session->target->is_recording) {
        session_act(session, &(struct session_action){.kind = ACTION_FORGET});
    }
}

void target_recorded(struct session *session, const struct error *error)
{
    session->target->is_recording = false;
    if (error != NULL) {
        session->target->can_checkpoint = false; /* a run that cannot be resumed is better than none
                                                  */
    }
    if (session->target->is_distrusted) {
        distrust(session);
    }
}

/* --- pumping --------------------------------------------------------------------------------- */

static bool stage_more(struct session *session)
{
    struct target *target = session->target;
    struct disk_request *request = NULL;
    bool did_any = false;

    while (target->stage != NULL && !target->is_recording && session_can_act(session) &&
           (request = target->stage->ops->next(target->stage)) != NULL) {
        session_submit(session, request);
        did_any = true;
    }
    return did_any;
}

bool target_pump(struct session *session)
{
    bool did_any = false;

    if (session->state == SESSION_FAILED || session->state == SESSION_DONE) {
        return false;
    }
    if (session->state == SESSION_RUNNING) {
        did_any |= receive_read_pages(session);
        did_any |= scan_more(session);
    }
    did_any |= record_checkpoint(session);
    did_any |= stage_more(session);
    did_any |= finish_stage(session);
    return did_any;
}

void target_disk_done(struct session *session, struct disk_request *request)
{
    struct target *target = session->target;
    struct error err = {0};
    struct scan_leaves leaves;
    int result = 0;

    if (request->owner == OWNER_STAGE) {
        result = target->stage->ops->complete(target->stage, request, &err);
        if (result != 0 && request->errnum == 0) {
            distrust(session);
        }
    } else if (session->state == SESSION_ENDING || session->state == SESSION_FAILED) {
        return;
    } else if (request->owner == OWNER_SCAN) {
        result = scan_complete(session->scan, request, &leaves, &err);
    } else if (request->errnum != 0) {
        result = fail(&err, ERR_IO, request->errnum, "reading failed at 0x%" PRIx64,
                      request->offset_bytes);
        error_set_offset(&err, request->offset_bytes);
    } else if (request->owner == OWNER_PATCH) {
        target->patch_was_read = true;
    } else {
        receive_answer_pages(session, request->slot);
    }
    if (result != 0) {
        session_fail_disk(session, request->disk_index, &err);
    }
}

enum handled target_handle(struct session *session, const struct frame *frame, struct error *err)
{
    int result = -1;

    if (channel_room(session->channel) < ANSWER_ROOM_BYTES) {
        return HANDLED_LATER;
    }
    if (frame->type == MESSAGE_DATA) {
        return receive_data(session, frame->payload, err);
    }
    if (frame->type == MESSAGE_ZERO) {
        return receive_zero(session, frame->payload, err);
    }
    if (frame->type == MESSAGE_WANT_LEAVES) {
        result = handle_want_leaves(session, frame->payload, err);
    } else if (frame->type == MESSAGE_WANT_PAGES) {
        result = receive_want_pages(session, frame->payload, err);
    } else if (frame->type == MESSAGE_DONE) {
        result = handle_done(session, frame->payload, err);
    } else if (frame->type == MESSAGE_SEAL) {
        result = handle_seal(session, err);
    } else {
        assert(frame->type == MESSAGE_BYE);
        result = handle_bye(session, frame->payload, err);
    }
    return result == 0 ? HANDLED : HANDLED_FAILED;
}
