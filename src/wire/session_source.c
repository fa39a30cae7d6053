/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The source: reads and hashes its disks, compares with what the target tells, ships what differs.
 *
 * A leaf that differs goes one of three ways:
 *   at hand   its bytes were just read for hashing and the target's digest is known: shipped from
 *             that buffer
 *   again     it is read a second time into a ship's buffer, checked against the digest of the
 *             first time, and shipped
 *   refined   on a thin link its page digests are asked for first, and only the pages that differ
 *             are shipped
 *
 * Invariants:
 * 1. What is shipped has the digest that goes with it and that goes into the proof: a source that
 * changed between two reads is noticed, never shipped.
 * 2. The outbox has room for every ship and every scan read in flight (checked by SHIP_ROOM_BYTES
 * before one begins).
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "engine/compare.h"
#include "wire/session_internal.h"

#define SHIPS_MAX 16U
#define REFINING_MAX                                                                               \
    WANTS_PER_FRAME_MAX /* leaves whose pages are asked for at once; the target keeps as many */
#define LEAVES_PER_READ ((uint32_t)(READ_BYTES / LEAF_BYTES))
#define ZSTD_LEVEL 1
/* Every ship and scan read in flight may turn into this much, and the outbox is filled to
 * OUTBOX_HIGH_BYTES before. */
#define SHIP_ROOM_BYTES ((SHIPS_MAX + SCAN_READS_MAX) * (READ_BYTES + LEAVES_PER_READ * 64ULL))

_Static_assert(SHIP_ROOM_BYTES + OUTBOX_HIGH_BYTES + MIB < OUTBOX_MAX_BYTES, "invariant 2");

/* Leaves being read again. */
struct ship {
    struct disk_request request;
    uint64_t first_leaf;
    uint32_t count;
    struct digest digests[READ_BYTES / LEAF_BYTES];
    bool has_pages; /* one leaf: ship only the pages that differ from pages[] */
    uint32_t page_count;
    struct digest pages[PAGES_PER_LEAF];
    bool is_busy;
    uint8_t *buffer; /* owned: READ_BYTES */
};

/* A leaf whose page digests are on their way, or have come and wait for a ship. */
struct refining {
    uint64_t leaf;
    struct digest digest;
    bool has_pages;
    uint32_t page_count;
    struct digest pages[PAGES_PER_LEAF];
};

struct source {
    struct compare *compare; /* owned */
    struct ship ships[SHIPS_MAX];
    struct refining *refining; /* owned: REFINING_MAX, a ring; asked for and answered in order */
    uint32_t refining_head;
    uint32_t refining_count;
    uint32_t answered_count;        /* of these, from the head: have pages */
    struct message_want want_pages; /* gathered, to go in one message */
    ZSTD_CCtx *zstd;                /* owned */
    uint8_t *gather;                /* owned: LEAF_BYTES, pages to be shipped side by side */
    bool identify_asked;
    bool seal_sent;
};

int source_new(struct session *session, const struct message_begin *begin, struct error *err)
{
    struct source *source = calloc(1, sizeof *source);
    struct compare_config config = {
        .layout = &session->layout,
        .proof = session->proof,
        .progress = &session->progress,
        .first_node = begin->node,
        .is_check_only = (session->open.flags & SESSION_CHECK) != 0,
    };

    if (source == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a session");
    }
    session->source = source;
    source->refining = calloc(REFINING_MAX, sizeof *source->refining);
    source->gather = malloc(LEAF_BYTES);
    source->zstd = ZSTD_createCCtx();
    bool has_memory = source->refining != NULL && source->gather != NULL && source->zstd != NULL;
    for (uint32_t i = 0; i < SHIPS_MAX; i++) {
        source->ships[i].buffer = aligned_alloc(DISK_BUFFER_ALIGN, READ_BYTES);
        has_memory = has_memory && source->ships[i].buffer != NULL;
    }
    if (!has_memory) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a session");
    }
    return compare_new(&config, &source->compare, err);
}

void source_free(struct source *source)
{
    if (source == NULL) {
        return;
    }
    for (uint32_t i = 0; i < SHIPS_MAX; i++) {
        free(source->ships[i].buffer);
    }
    compare_free(source->compare);
    ZSTD_freeCCtx(source->zstd);
    free(source->gather);
    free(source->refining);
    free(source);
}

/* --- shipping -------------------------------------------------------------------------------- */

static bool decides(enum session_when when, bool is_thin)
{
    return when == WHEN_ALWAYS || (when == WHEN_AUTO && is_thin);
}

static bool is_compressing(const struct session *session)
{
    return (session->features & FEATURE_ZSTD) != 0 &&
           decides(session->config.compress, session_is_thin(session));
}

static bool is_refining(const struct session *session)
{
    return (session->features & FEATURE_REFINE) != 0 &&
           decides(session->config.refine, session_is_thin(session));
}

/* One DATA message; there must be room. Compressed when that is wanted and makes it smaller. */
static void put_data(struct session *session, uint64_t leaf, const struct digest *digest,
                     uint16_t pages, struct const_span bytes)
{
    struct message_data m = {
        .leaf = leaf, .digest = *digest, .encoding = DATA_RAW, .pages = pages, .bytes = bytes};
    struct writer w = channel_begin(session->channel, MESSAGE_DATA_HEAD_BYTES + LEAF_BYTES);

    assert(!w.bad && bytes.len_bytes > 0);
    if (is_compressing(session)) {
        /* Straight into its place in the frame; anything not smaller is an error here, and goes as
         * it is. */
        size_t size =
            ZSTD_compressCCtx(session->source->zstd, w.buffer.at + MESSAGE_DATA_HEAD_BYTES,
                              bytes.len_bytes - 1, bytes.at, bytes.len_bytes, ZSTD_LEVEL);
        if (!ZSTD_isError(size)) {
            struct const_span nothing = {NULL, 0};
            m.encoding = DATA_ZSTD;
            m.bytes = nothing;
            message_put_data(&w, &m);
            w.used_bytes += size;
            session->progress.wire.compressed_from_bytes += bytes.len_bytes;
            channel_end(session->channel, MESSAGE_DATA, &w);
            return;
        }
    }
    message_put_data(&w, &m);
    channel_end(session->channel, MESSAGE_DATA, &w);
}

static void put_zero(struct session *session, uint64_t first_leaf, uint32_t count)
{
    struct writer w = channel_begin(session->channel, 12);

    message_put_zero(&w, &(struct message_zero){.first_leaf = first_leaf, .count = count});
    channel_end(session->channel, MESSAGE_ZERO, &w);
}

static bool outbox_is_high(const struct session *session)
{
    return channel_outbox(session->channel).len_bytes >= OUTBOX_HIGH_BYTES;
}

/* --- reading again --------------------------------------------------------------------------- */

static struct ship *free_ship(struct source *source)
{
    for (uint32_t i = 0; i < SHIPS_MAX; i++) {
        if (!source->ships[i].is_busy) {
            return &source->ships[i];
        }
    }
    return NULL;
}

static void begin_ship(struct session *session, struct ship *ship, uint64_t first_leaf,
                       uint32_t count)
{
    struct place first = layout_leaf(&session->layout, first_leaf);
    struct place last = layout_leaf(&session->layout, first_leaf + count - 1);

    ship->is_busy = true;
    ship->first_leaf = first_leaf;
    ship->count = count;
    ship->request = (struct disk_request){
        .op = DISK_READ,
        .disk_index = (uint16_t)first.disk,
        .owner = OWNER_SHIP,
        .slot = (uint32_t)(ship - session->source->ships),
        .offset_bytes = first.offset_bytes,
        .data = {ship->buffer, last.offset_bytes + last.len_bytes - first.offset_bytes},
    };
    session_submit(session, &ship->request);
}

/* Asks for the pages of a leaf that differs. */
static void begin_refining(struct source *source, const struct shipment *shipment)
{
    uint32_t at = (source->refining_head + source->refining_count) % REFINING_MAX;

    source->refining[at] =
        (struct refining){.leaf = shipment->first_leaf, .digest = shipment->digests[0]};
    source->refining_count++;
    source->want_pages.numbers[source->want_pages.count++] = shipment->first_leaf;
}

static bool send_want_pages(struct session *session)
{
    struct message_want *want = &session->source->want_pages;

    if (want->count == 0) {
        return false;
    }
    struct writer w = channel_begin(session->channel, sizeof(uint64_t) * WANTS_PER_FRAME_MAX);
    message_put_want(&w, want);
    channel_end(session->channel, MESSAGE_WANT_PAGES, &w);
    want->count = 0;
    return true;
}

/* Starts reading the leaves whose pages have come. */
static bool ship_refined(struct session *session)
{
    struct source *source = session->source;
    bool did_any = false;

    while (source->answered_count > 0 && session_can_act(session) && !outbox_is_high(session)) {
        struct ship *ship = free_ship(source);
        struct refining *refining = &source->refining[source->refining_head];
        if (ship == NULL) {
            break;
        }
        ship->digests[0] = refining->digest;
        ship->has_pages = true;
        ship->page_count = refining->page_count;
        memcpy(ship->pages, refining->pages, sizeof ship->pages);
        begin_ship(session, ship, refining->leaf, 1);
        source->refining_head = (source->refining_head + 1) % REFINING_MAX;
        source->refining_count--;
        source->answered_count--;
        did_any = true;
    }
    return did_any;
}

static bool ship_next(struct session *session)
{
    struct source *source = session->source;
    struct shipment shipment;
    bool did_any = false;

    while (session_can_act(session) && !outbox_is_high(session) &&
           source->refining_count < REFINING_MAX &&
           source->want_pages.count < WANTS_PER_FRAME_MAX) {
        struct ship *ship = free_ship(source);
        if (ship == NULL ||
            !compare_next_shipment(source->compare, is_refining(session), &shipment)) {
            break;
        }
        did_any = true;
        if (shipment.is_zero) {
            put_zero(session, shipment.first_leaf, shipment.count);
            compare_shipped(source->compare, shipment.first_leaf, shipment.count);
        } else if (shipment.target_has_data && is_refining(session)) {
            begin_refining(source, &shipment);
        } else {
            memcpy(ship->digests, shipment.digests, shipment.count * sizeof ship->digests[0]);
            ship->has_pages = false;
            begin_ship(session, ship, shipment.first_leaf, shipment.count);
        }
    }
    return did_any;
}

/* --- requests that come back ----------------------------------------------------------------- */

static void fail_changed(struct session *session, uint32_t disk, uint64_t offset_bytes)
{
    struct error err = {0};

    (void)fail(&err, ERR_WRONG_STATE, 0,
               "the source changed while it was read (at 0x%" PRIx64
               "), so no state of it could be copied: stop what writes to it, or take a snapshot "
               "and use that",
               offset_bytes);
    error_set_offset(&err, offset_bytes);
    session_fail_disk(session, disk, &err);
}

/* Ships only the pages that differ. The whole leaf's digest goes along, so the target can check
 * what it puts together. */
static void put_pages(struct session *session, const struct ship *ship, struct const_span leaf)
{
    struct source *source = session->source;
    uint16_t mask = 0;
    size_t gathered_bytes = 0;

    for (uint32_t i = 0; i < ship->page_count; i++) {
        size_t at = i * PAGE_BYTES;
        size_t len_bytes = leaf.len_bytes - at < PAGE_BYTES ? leaf.len_bytes - at : PAGE_BYTES;
        struct const_span page = {leaf.at + at, len_bytes};
        struct digest own =
            digester_page(session->digester, ship->first_leaf * PAGES_PER_LEAF + i, page);
        if (!digest_equal(&own, &ship->pages[i])) {
            mask = (uint16_t)(mask | 1U << i);
            memcpy(source->gather + gathered_bytes, page.at, page.len_bytes);
            gathered_bytes += page.len_bytes;
        }
    }
    if (mask == 0) {
        /* Leaves that differ in no page: only a target that changes, or lies, says so. Send it all.
         */
        put_data(session, ship->first_leaf, &ship->digests[0], 0, leaf);
        return;
    }
    put_data(session, ship->first_leaf, &ship->digests[0], mask,
             (struct const_span){source->gather, gathered_bytes});
}

static void complete_ship(struct session *session, struct ship *ship)
{
    struct const_span left = span_const(ship->request.data);

    ship->is_busy = false;
    for (uint32_t i = 0; i < ship->count; i++) {
        struct const_span leaf = {left.at,
                                  left.len_bytes < LEAF_BYTES ? left.len_bytes : LEAF_BYTES};
        struct digest again = digester_leaf(session->digester, ship->first_leaf + i, leaf);
        if (!digest_equal(&again, &ship->digests[i])) {
            fail_changed(session, ship->request.disk_index,
                         ship->request.offset_bytes + i * LEAF_BYTES);
            return;
        }
        if (ship->has_pages) {
            put_pages(session, ship, leaf);
        } else {
            put_data(session, ship->first_leaf + i, &ship->digests[i], 0, leaf);
        }
        left.at += leaf.len_bytes;
        left.len_bytes -= leaf.len_bytes;
    }
    compare_shipped(session->source->compare, ship->first_leaf, ship->count);
}

/* Leaves just read whose difference is known already go out from the buffer they were read into. */
static void ship_at_hand(struct session *session, const struct scan_leaves *leaves)
{
    struct const_span left = leaves->data;

    for (uint32_t i = 0; i < leaves->count && !is_refining(session); i++) {
        uint64_t leaf = leaves->first_leaf + i;
        struct const_span bytes = {left.at,
                                   left.len_bytes < LEAF_BYTES ? left.len_bytes : LEAF_BYTES};
        left.at += bytes.len_bytes;
        left.len_bytes -= bytes.len_bytes;
        if (compare_differs_at_hand(session->source->compare, leaf, &leaves->digests[i])) {
            put_data(session, leaf, &leaves->digests[i], 0, bytes);
            *leaves->shipped |= 1U << leaf % LEAVES_PER_NODE;
        }
    }
}

void source_disk_done(struct session *session, struct disk_request *request)
{
    struct error err = {0};
    struct scan_leaves leaves;

    if (session->state == SESSION_FAILED) {
        return;
    }
    if (request->owner == OWNER_SCAN) {
        if (scan_complete(session->scan, request, &leaves, &err) != 0) {
            session_fail_disk(session, request->disk_index, &err);
            return;
        }
        ship_at_hand(session, &leaves);
        return;
    }
    if (request->errnum != 0) {
        (void)fail(&err, ERR_IO, request->errnum, "reading failed at 0x%" PRIx64,
                   request->offset_bytes);
        error_set_offset(&err, request->offset_bytes);
        session_fail_disk(session, request->disk_index, &err);
        return;
    }
    complete_ship(session, &session->source->ships[request->slot]);
}

/* --- pumping --------------------------------------------------------------------------------- */

/* Asks before it takes: nodes that are known to be zeros are finished as soon as they are looked
 * at, with no request whose return would bring us here again. */
static bool scan_more(struct session *session)
{
    struct source *source = session->source;
    const struct stretch *stretch = NULL;
    bool did_any = false;

    while (session_can_act(session) && !outbox_is_high(session)) {
        struct disk_request *request =
            scan_next(session->scan, compare_read_limit(source->compare));
        if (request == NULL) {
            break;
        }
        session_submit(session, request);
        did_any = true;
    }
    while (compare_has_room(source->compare) && (stretch = scan_take(session->scan)) != NULL) {
        compare_own(source->compare, stretch);
        did_any = true;
    }
    return did_any;
}

static void send_want_leaves(struct session *session, struct message_want *want)
{
    struct writer w = channel_begin(session->channel, sizeof(uint64_t) * WANTS_PER_FRAME_MAX);

    message_put_want(&w, want);
    channel_end(session->channel, MESSAGE_WANT_LEAVES, &w);
    want->count = 0;
}

/* All of them: what the target is asked for must reach it before it hears that the node is settled.
 */
static bool send_wants(struct session *session)
{
    struct message_want want = {0};
    bool did_any = false;

    while (compare_next_want(session->source->compare, &want.numbers[want.count])) {
        did_any = true;
        if (++want.count == WANTS_PER_FRAME_MAX) {
            send_want_leaves(session, &want);
        }
    }
    if (want.count > 0) {
        send_want_leaves(session, &want);
    }
    return did_any;
}

static bool send_marks(struct session *session)
{
    struct settled_mark mark;
    bool did_any = false;

    while (compare_next_mark(session->source->compare, &mark)) {
        struct message_done done = {.node = mark.node, .is_same = mark.is_same};
        struct writer w = channel_begin(session->channel, 41);
        memcpy(done.proof, mark.proof, sizeof done.proof);
        message_put_done(&w, &done);
        channel_end(session->channel, MESSAGE_DONE, &w);
        did_any = true;
    }
    return did_any;
}

static void send_seal(struct session *session)
{
    struct writer w = channel_begin(session->channel, 0);

    channel_end(session->channel, MESSAGE_SEAL, &w);
    session->source->seal_sent = true;
    session->state = SESSION_SEALING;
}

/* All is settled: before it counts, the disks must still be what they were when we began. */
static bool finish_scan(struct session *session)
{
    struct source *source = session->source;

    if (source->identify_asked || !compare_is_done(source->compare) || !session_can_act(session)) {
        return false;
    }
    source->identify_asked = true;
    session_act(session, &(struct session_action){.kind = ACTION_IDENTIFY});
    return true;
}

void source_identified(struct session *session, const struct session_disk_facts *facts)
{
    if (session->source == NULL || session->state != SESSION_RUNNING) {
        return;
    }
    for (uint32_t i = 0; i < session->open.disk_count; i++) {
        if (memcmp(facts[i].fingerprint, session->facts[i].fingerprint, DISK_IDENTITY_BYTES) != 0) {
            struct error err = {0};
            (void)fail(&err, ERR_WRONG_STATE, 0,
                       "the source changed while it was read, so no state of it could be copied: "
                       "stop what writes to "
                       "it, or take a snapshot and use that");
            session_fail_disk(session, i, &err);
            return;
        }
    }
    send_seal(session);
}

bool source_pump(struct session *session)
{
    bool did_any = false;

    /* What is small and lets the target go on comes first; one mebibyte of the outbox is kept for
     * it (invariant 2). */
    if (channel_room(session->channel) < SHIP_ROOM_BYTES) {
        return false;
    }
    did_any |= send_wants(session);
    did_any |= send_marks(session);
    did_any |= ship_refined(session);
    did_any |= ship_next(session);
    did_any |= send_want_pages(session);
    did_any |= scan_more(session);
    did_any |= finish_scan(session);
    return did_any;
}

/* --- messages -------------------------------------------------------------------------------- */

static int handle_nodes(struct session *session, struct const_span payload, struct error *err)
{
    struct message_nodes m;
    struct stretch stretch = {.count = 1};

    if (message_get_nodes(payload, &m, err) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < m.count; i++) {
        stretch.first_node = m.first_node + i;
        stretch.digest = m.digests[i];
        if (digest_is_zero(&stretch.digest)) {
            return fail(err, ERR_PEER, 0, "the target sent the digest of zeros as a node's");
        }
        if (compare_peer(session->source->compare, &stretch, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int handle_zeros(struct session *session, struct const_span payload, struct error *err)
{
    struct message_zeros m;

    if (message_get_zeros(payload, &m, err) != 0) {
        return -1;
    }
    struct stretch stretch = {
        .first_node = m.first_node, .count = m.count, .is_zero = true, .was_read = m.was_read};
    return compare_peer(session->source->compare, &stretch, err);
}

static int handle_leaves(struct session *session, struct const_span payload, struct error *err)
{
    struct message_leaves m;

    if (message_get_leaves(payload, &m, err) != 0) {
        return -1;
    }
    return compare_peer_leaves(session->source->compare, m.node, m.digests, m.count, err);
}

static int handle_pages(struct session *session, struct const_span payload, struct error *err)
{
    struct source *source = session->source;
    struct message_pages m;

    if (message_get_pages(payload, &m, err) != 0) {
        return -1;
    }
    uint32_t at = (source->refining_head + source->answered_count) % REFINING_MAX;
    struct refining *refining = &source->refining[at];
    if (source->answered_count + source->want_pages.count >= source->refining_count ||
        refining->leaf != m.leaf) {
        return fail(err, ERR_PEER, 0, "the target sent page digests of leaf %" PRIu64 " unasked",
                    m.leaf);
    }
    uint32_t pages =
        (uint32_t)((layout_leaf(&session->layout, m.leaf).len_bytes + PAGE_BYTES - 1) / PAGE_BYTES);
    if (m.count != pages) {
        return fail(err, ERR_PEER, 0, "the target sent %u page digests for leaf %" PRIu64, m.count,
                    m.leaf);
    }
    refining->has_pages = true;
    refining->page_count = m.count;
    memcpy(refining->pages, m.digests, m.count * sizeof m.digests[0]);
    source->answered_count++;
    return 0;
}

static int handle_behind(struct session *session, struct const_span payload, struct error *err)
{
    struct message_behind m;

    if (message_get_behind(payload, &m, err) != 0) {
        return -1;
    }
    session->target_is_behind = m.is_behind;
    return 0;
}

static void send_bye(struct session *session)
{
    struct message_bye bye = {.disk_count = session->layout.disk_count,
                              .wire = session->progress.wire};
    struct writer w = channel_begin(session->channel, message_kind(MESSAGE_BYE)->max_bytes);

    /* What the target cannot count; this message itself is not sent yet. */
    bye.wire.sent_bytes += channel_outbox(session->channel).len_bytes;
    memcpy(bye.disks, session->progress.disks, sizeof bye.disks);
    message_put_bye(&w, &bye);
    channel_end(session->channel, MESSAGE_BYE, &w);
}

/* The target has everything on its medium. Its counters must be ours. */
static int handle_sealed(struct session *session, struct const_span payload, struct error *err)
{
    struct message_sealed m;

    if (session->state != SESSION_SEALING) {
        return fail(err, ERR_PEER, 0, "the target sealed before it was asked to");
    }
    if (message_get_sealed(payload, &m, err) != 0) {
        return -1;
    }
    if (m.disk_count != session->layout.disk_count) {
        return fail(err, ERR_PEER, 0, "the target sealed %u disks of %u", m.disk_count,
                    session->layout.disk_count);
    }
    for (uint32_t i = 0; i < m.disk_count; i++) {
        struct disk_progress *disk = &session->progress.disks[i];
        disk->written_bytes = m.written_bytes[i];
        disk->verified_bytes = m.verified_bytes[i];
        if (disk->shipped_bytes != disk->verified_bytes ||
            disk->written_bytes != disk->verified_bytes) {
            return fail(err, ERR_PEER, 0,
                        "%" PRIu64 " bytes were shipped, but the target wrote %" PRIu64
                        " and verified %" PRIu64,
                        disk->shipped_bytes, disk->written_bytes, disk->verified_bytes);
        }
    }
    send_bye(session);
    session->state = SESSION_DONE;
    return 0;
}

enum handled source_handle(struct session *session, const struct frame *frame, struct error *err)
{
    int result = -1;

    if (frame->type == MESSAGE_NODES) {
        result = handle_nodes(session, frame->payload, err);
    } else if (frame->type == MESSAGE_ZEROS) {
        result = handle_zeros(session, frame->payload, err);
    } else if (frame->type == MESSAGE_LEAVES) {
        result = handle_leaves(session, frame->payload, err);
    } else if (frame->type == MESSAGE_PAGES) {
        result = handle_pages(session, frame->payload, err);
    } else if (frame->type == MESSAGE_BEHIND) {
        result = handle_behind(session, frame->payload, err);
    } else {
        assert(frame->type == MESSAGE_SEALED);
        result = handle_sealed(session, frame->payload, err);
    }
    return result == 0 ? HANDLED : HANDLED_FAILED;
}
