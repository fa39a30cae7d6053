/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the target receives: leaves, whole or as pages, and zeros; each is checked and goes to the
 * stage. The invariants stand at the head of session_target.c; this file keeps the second.
 */
#include "wire/session_receive.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* --- pages ----------------------------------------------------------------------------------- */

/* Whether the source may name this leaf: it exists, the source was told of its node and has not
 * settled it. */
static bool is_due(const struct session *session, uint64_t leaf)
{
    uint64_t node = leaf / LEAVES_PER_NODE;

    return node >= session->target->settled_node && node < session->target->told_node &&
           layout_has_leaf(&session->layout, leaf);
}

int receive_want_pages(struct session *session, struct const_span payload, struct error *err)
{
    struct target *target = session->target;
    struct message_want want;

    if (message_get_want(payload, &want, err) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < want.count; i++) {
        if (!is_due(session, want.numbers[i]) || target->page_owed == PAGE_WANTS_MAX) {
            return fail(err, ERR_PEER, 0,
                        "the source asked for the pages of leaf %" PRIu64 ", which is not due",
                        want.numbers[i]);
        }
        target->page_wants[(target->page_want_head + target->page_want_count) % PAGE_WANTS_MAX] =
            want.numbers[i];
        target->page_want_count++;
        target->page_owed++;
    }
    return 0;
}

static struct disk_request own_leaf_request(const struct session *session, enum request_owner owner,
                                            uint64_t leaf, uint8_t *buffer)
{
    struct place place = layout_leaf(&session->layout, leaf);

    return (struct disk_request){
        .op = DISK_READ,
        .disk_index = (uint16_t)place.disk,
        .owner = (uint16_t)owner,
        .offset_bytes = place.offset_bytes,
        .data = {buffer, place.len_bytes},
    };
}

bool receive_read_pages(struct session *session)
{
    struct target *target = session->target;
    bool did_any = false;

    while (target->page_want_count > 0 && session_can_act(session)) {
        uint32_t slot = target->page_want_head % PAGE_READS_MAX;
        struct page_read *read = &target->page_reads[slot];
        if (read->is_busy) {
            break;
        }
        read->leaf = target->page_wants[target->page_want_head];
        read->is_busy = true;
        read->was_read = false;
        read->request = own_leaf_request(session, OWNER_PAGES, read->leaf, read->buffer);
        read->request.slot = slot;
        session_submit(session, &read->request);
        target->page_want_head = (target->page_want_head + 1) % PAGE_WANTS_MAX;
        target->page_want_count--;
        did_any = true;
    }
    return did_any;
}

static void send_pages(struct session *session, struct page_read *read)
{
    struct message_pages m = {.leaf = read->leaf};
    struct const_span left = span_const(read->request.data);
    struct writer w = channel_begin(session->channel, message_kind(MESSAGE_PAGES)->max_bytes);

    while (left.len_bytes > 0) {
        struct const_span page = {left.at,
                                  left.len_bytes < PAGE_BYTES ? left.len_bytes : PAGE_BYTES};
        m.digests[m.count] =
            digester_page(session->digester, read->leaf * PAGES_PER_LEAF + m.count, page);
        m.count++;
        left.at += page.len_bytes;
        left.len_bytes -= page.len_bytes;
    }
    message_put_pages(&w, &m);
    channel_end(session->channel, MESSAGE_PAGES, &w);
    read->is_busy = false;
    session->target->page_owed--;
}

/* A leaf was read. Answers go out in the order of the questions, so it may have to wait for those
 * before it. */
void receive_answer_pages(struct session *session, uint32_t slot)
{
    struct target *target = session->target;

    target->page_reads[slot].was_read = true;
    while (target->page_reads[target->page_answer].is_busy &&
           target->page_reads[target->page_answer].was_read) {
        send_pages(session, &target->page_reads[target->page_answer]);
        target->page_answer = (target->page_answer + 1) % PAGE_READS_MAX;
    }
}

_Static_assert(PAGE_WANTS_MAX % PAGE_READS_MAX == 0,
               "the slots of page_reads follow each other around the ring");

/* --- receiving ------------------------------------------------------------------------------- */

struct patch *receive_find_patch(struct target *target, uint64_t node)
{
    uint32_t low = 0;
    uint32_t high = target->patch_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (target->patches[middle].node < node) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return &target->patches[low];
}

/* The patch of a node that was zeros here, made if it is not there yet; NULL when there are too
 * many. */
static struct patch *make_patch(struct target *target, uint64_t node)
{
    struct patch *patch = receive_find_patch(target, node);
    struct patch *end = target->patches + target->patch_count;

    if (patch < end && patch->node == node) {
        return patch;
    }
    if (target->patch_count == PATCHES_MAX) {
        return NULL;
    }
    memmove(patch + 1, patch, (size_t)(end - patch) * sizeof *patch);
    *patch = (struct patch){.node = node};
    target->patch_count++;
    return patch;
}

/* The leaf will have this digest. Errors: not due, or received before. */
static int note_leaf(struct session *session, uint64_t leaf, const struct digest *digest,
                     struct error *err)
{
    struct target *target = session->target;
    uint64_t node = leaf / LEAVES_PER_NODE;
    uint32_t index = (uint32_t)(leaf % LEAVES_PER_NODE);
    struct stretch *stretch =
        is_due(session, leaf) ? stretch_queue_find(&target->window, node) : NULL;
    uint32_t *received = NULL;
    struct digest *leaves = NULL;

    if (stretch != NULL && !stretch->is_zero) {
        received = &stretch->shipped;
        leaves = stretch->leaves;
    } else if (stretch != NULL) {
        struct patch *patch = make_patch(target, node);
        received = patch == NULL ? NULL : &patch->received;
        leaves = patch == NULL ? NULL : patch->leaves;
    }
    if (received == NULL || (*received >> index & 1) != 0) {
        return fail(err, ERR_PEER, 0, "the source sent leaf %" PRIu64 ", which is not due", leaf);
    }
    *received |= 1U << index;
    leaves[index] = *digest;
    return 0;
}

static void tell_behind(struct session *session, bool is_behind)
{
    struct target *target = session->target;

    if (target->is_behind == is_behind) {
        return;
    }
    target->is_behind = is_behind;
    struct writer w = channel_begin(session->channel, 1);
    message_put_behind(&w, &(struct message_behind){.is_behind = is_behind});
    channel_end(session->channel, MESSAGE_BEHIND, &w);
}

void target_caught_up(struct session *session)
{
    if (channel_room(session->channel) > ANSWER_ROOM_BYTES) {
        tell_behind(session, false);
    }
}

static int refuse_in_check(const struct session *session, struct error *err)
{
    if (session->target->stage != NULL && !session->target->seal_came) {
        return 0;
    }
    return fail(err, ERR_PEER, 0, "the source sent data %s",
                session->target->stage == NULL ? "although only a comparison was agreed"
                                               : "after the end");
}

/* The message's bytes, unpacked if they were compressed: exactly len_bytes of them. */
static int unpack(struct session *session, const struct message_data *m, size_t len_bytes,
                  struct const_span *out, struct error *err)
{
    struct target *target = session->target;

    *out = m->bytes;
    if (m->encoding == DATA_ZSTD) {
        size_t size = ZSTD_decompressDCtx(target->zstd, target->unpacked, LEAF_BYTES, m->bytes.at,
                                          m->bytes.len_bytes);
        if (ZSTD_isError(size)) {
            return fail(err, ERR_PEER, 0,
                        "the source sent data of leaf %" PRIu64 " that cannot be unpacked",
                        m->leaf);
        }
        *out = (struct const_span){target->unpacked, size};
    }
    if (out->len_bytes != len_bytes) {
        return fail(err, ERR_PEER, 0,
                    "the source sent %zu bytes for leaf %" PRIu64 " where %zu are due",
                    out->len_bytes, m->leaf, len_bytes);
    }
    return 0;
}

/* How many bytes a mask of pages of a leaf means; 0 when it names a page that the leaf has not. */
static size_t pages_bytes(uint16_t pages, size_t leaf_bytes)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < PAGES_PER_LEAF; i++) {
        if ((pages >> i & 1) == 0) {
            continue;
        }
        if (i * PAGE_BYTES >= leaf_bytes) {
            return 0;
        }
        size_t left_bytes = leaf_bytes - i * PAGE_BYTES;
        bytes += left_bytes < PAGE_BYTES ? left_bytes : PAGE_BYTES;
    }
    return bytes;
}

/* The leaf's bytes are whole, in the stage's reserved buffer: check and stage them. */
static int stage_leaf(struct session *session, const struct message_data *m, struct const_span leaf,
                      struct error *err)
{
    struct stage *stage = session->target->stage;
    struct digest digest = digester_leaf(session->digester, m->leaf, leaf);

    if (!digest_equal(&digest, &m->digest)) {
        return fail(err, ERR_PEER, 0,
                    "leaf %" PRIu64
                    " does not have the digest that the source sent with it: the link "
                    "damages data, or the target changed while it was compared",
                    m->leaf);
    }
    if (note_leaf(session, m->leaf, &m->digest, err) != 0) {
        return -1;
    }
    struct place place = layout_leaf(&session->layout, m->leaf);
    struct disk_progress *disk = &session->progress.disks[place.disk];
    disk->different_bytes += place.len_bytes;
    disk->shipped_bytes += place.len_bytes;
    stage->ops->write(stage, m->leaf, &m->digest);
    return 0;
}

/* DATA of some pages: the rest of the leaf is our own, read first. Called again until that is
 * there. */
static enum handled handle_patch(struct session *session, const struct message_data *m,
                                 size_t leaf_bytes, struct error *err)
{
    struct target *target = session->target;
    size_t len_bytes = pages_bytes(m->pages, leaf_bytes);
    struct const_span pages = {NULL, 0};

    if (len_bytes == 0 || (session->features & FEATURE_REFINE) == 0) {
        (void)fail(err, ERR_PEER, 0, "the source sent pages that leaf %" PRIu64 " has not",
                   m->leaf);
        return HANDLED_FAILED;
    }
    if (!target->is_patching) {
        target->is_patching = true;
        target->patch_was_read = false;
        target->patch_request =
            own_leaf_request(session, OWNER_PATCH, m->leaf, target->patch_buffer.at);
        session_submit(session, &target->patch_request);
        return HANDLED_LATER;
    }
    if (!target->patch_was_read) {
        return HANDLED_LATER;
    }
    target->is_patching = false;
    if (unpack(session, m, len_bytes, &pages, err) != 0) {
        return HANDLED_FAILED;
    }
    for (uint32_t i = 0; i < PAGES_PER_LEAF; i++) {
        if ((m->pages >> i & 1) != 0) {
            size_t size = pages.len_bytes < PAGE_BYTES ? pages.len_bytes : PAGE_BYTES;
            memcpy(target->patch_buffer.at + i * PAGE_BYTES, pages.at, size);
            pages.at += size;
            pages.len_bytes -= size;
        }
    }
    struct const_span leaf = {target->patch_buffer.at, leaf_bytes};
    return stage_leaf(session, m, leaf, err) == 0 ? HANDLED : HANDLED_FAILED;
}

enum handled receive_data(struct session *session, struct const_span payload, struct error *err)
{
    struct target *target = session->target;
    struct message_data m;
    struct const_span bytes = {NULL, 0};

    if (message_get_data(payload, &m, err) != 0 || refuse_in_check(session, err) != 0) {
        return HANDLED_FAILED;
    }
    if (!is_due(session, m.leaf)) {
        (void)fail(err, ERR_PEER, 0, "the source sent leaf %" PRIu64 ", which is not due", m.leaf);
        return HANDLED_FAILED;
    }
    if (!target->is_patching) {
        target->patch_buffer = target->stage->ops->reserve(target->stage);
        if (target->patch_buffer.at == NULL) {
            tell_behind(session, true);
            return HANDLED_LATER;
        }
        if (!session_can_act(session)) {
            return HANDLED_LATER;
        }
    }
    size_t leaf_bytes = layout_leaf(&session->layout, m.leaf).len_bytes;
    if (m.pages != 0) {
        return handle_patch(session, &m, leaf_bytes, err);
    }
    if (unpack(session, &m, leaf_bytes, &bytes, err) != 0) {
        return HANDLED_FAILED;
    }
    memcpy(target->patch_buffer.at, bytes.at, bytes.len_bytes);
    struct const_span leaf = {target->patch_buffer.at, leaf_bytes};
    return stage_leaf(session, &m, leaf, err) == 0 ? HANDLED : HANDLED_FAILED;
}

enum handled receive_zero(struct session *session, struct const_span payload, struct error *err)
{
    static const struct digest zero = {{0}};
    struct target *target = session->target;
    struct message_zero m;

    if (message_get_zero(payload, &m, err) != 0 || refuse_in_check(session, err) != 0) {
        return HANDLED_FAILED;
    }
    if (!is_due(session, m.first_leaf) || !is_due(session, m.first_leaf + m.count - 1)) {
        (void)fail(err, ERR_PEER, 0, "the source sent zeros for leaf %" PRIu64 ", which is not due",
                   m.first_leaf);
        return HANDLED_FAILED;
    }
    if (!target->stage->ops->zero(target->stage, m.first_leaf, m.count)) {
        return HANDLED_LATER;
    }
    for (uint32_t i = 0; i < m.count; i++) {
        struct place place = layout_leaf(&session->layout, m.first_leaf + i);
        struct disk_progress *disk = &session->progress.disks[place.disk];
        if (note_leaf(session, m.first_leaf + i, &zero, err) != 0) {
            return HANDLED_FAILED;
        }
        disk->different_bytes += place.len_bytes;
        disk->shipped_bytes += place.len_bytes;
    }
    return HANDLED;
}
