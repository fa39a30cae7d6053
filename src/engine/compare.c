/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Invariants:
 * 1. settled_node <= compared_node; the nodes between them are exactly those of the settling queue,
 * in order.
 * 2. own's head and peer's head, where there are any, both begin at compared_node.
 * 3. A node leaves `settling` only in order, and only when every leaf of it that differs was
 * shipped (or counted, in a compare). Only then it is fed to the proof.
 * 4. A leaf is shipped at most once.
 */
#include "engine/compare.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#define LEAVES_PER_READ ((uint32_t)(READ_BYTES / LEAF_BYTES))
#define DENSE_WINDOW 32U /* nodes over which the share of differing leaves is watched */
#define DENSE_ABOVE 20U  /* percent: from here on asking first is cheaper than reading twice */
#define DENSE_BELOW 5U

/* An honest target answers for a node before it tells of one a window further, so half of this is
 * enough; with a target that does not answer we stop asking, and so comparing. */
#define ASKED_MAX ((size_t)2 * WINDOW_NODES_MAX)

enum settling_state {
    SETTLING_INVALID = 0,
    SETTLING_WANTED,   /* differs; the target's leaf digests are on their way */
    SETTLING_SHIPPING, /* `differ` is known */
    SETTLING_SETTLED
};

/* Beside each slot of the settling queue, by the slot's index. */
struct settling {
    enum settling_state state;
    uint32_t differ;   /* leaves that differ from the target's */
    uint32_t has_data; /* of these: the target's is not zeros */
    uint32_t handed;   /* of these: given out by compare_next_shipment */
    uint32_t shipped;  /* of these: compare_shipped was called */
};

struct compare {
    const struct layout *layout;
    struct proof *proof;
    struct progress *progress;
    bool is_check_only;

    struct stretch_queue own;
    struct stretch_queue peer;
    struct stretch_queue settling;
    struct settling *settling_info; /* owned; parallel to settling.slots */
    uint32_t *ready; /* owned: slots of settling with leaves to hand out, oldest first */
    uint32_t ready_head;
    uint32_t ready_count;

    uint64_t peer_node; /* the target has told us of everything before */
    uint64_t compared_node;
    uint64_t settled_node;
    uint64_t marked_node;

    uint64_t *wants; /* owned: nodes to ask for */
    uint32_t want_head;
    uint32_t want_count;

    uint64_t *asked; /* owned: nodes that were asked for and not answered, oldest first */
    uint32_t asked_head;
    uint32_t asked_count;

    bool is_dense;
    uint64_t dense_node;   /* dense: wants were made for every node of the target's before this */
    uint32_t recent_nodes; /* since the last look at the share of differing leaves */
    uint32_t recent_leaves;
    bool disk_differs[DISKS_MAX]; /* a compare found a difference */
};

static void free_rings(struct compare *compare)
{
    stretch_queue_done(&compare->own);
    stretch_queue_done(&compare->peer);
    stretch_queue_done(&compare->settling);
    free(compare->settling_info);
    free(compare->ready);
    free(compare->wants);
    free(compare->asked);
}

int compare_new(const struct compare_config *config, struct compare **out, struct error *err)
{
    struct compare *compare = calloc(1, sizeof *compare);

    if (compare == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for comparing");
    }
    compare->layout = config->layout;
    compare->proof = config->proof;
    compare->progress = config->progress;
    compare->is_check_only = config->is_check_only;
    compare->peer_node = config->first_node;
    compare->compared_node = config->first_node;
    compare->settled_node = config->first_node;
    compare->marked_node = config->first_node;
    compare->settling_info = calloc(WINDOW_NODES_MAX, sizeof *compare->settling_info);
    compare->ready = calloc(WINDOW_NODES_MAX, sizeof *compare->ready);
    compare->wants = calloc(WINDOW_NODES_MAX, sizeof *compare->wants);
    compare->asked = calloc(ASKED_MAX, sizeof *compare->asked);
    if (compare->settling_info == NULL || compare->ready == NULL || compare->wants == NULL ||
        compare->asked == NULL || stretch_queue_init(&compare->own, WINDOW_NODES_MAX, err) != 0 ||
        stretch_queue_init(&compare->peer, WINDOW_NODES_MAX, err) != 0 ||
        stretch_queue_init(&compare->settling, WINDOW_NODES_MAX, err) != 0) {
        compare_free(compare);
        return fail(err, ERR_LIMIT, 0, "out of memory for comparing");
    }
    *out = compare;
    return 0;
}

void compare_free(struct compare *compare)
{
    if (compare == NULL) {
        return;
    }
    free_rings(compare);
    free(compare);
}

/* The slot of a stretch in the settling queue. */
static uint32_t slot_of(const struct compare *compare, const struct stretch *stretch)
{
    return (uint32_t)(stretch - compare->settling.slots);
}

static struct settling *info_of(struct compare *compare, const struct stretch *stretch)
{
    return &compare->settling_info[slot_of(compare, stretch)];
}

static bool can_want(const struct compare *compare)
{
    return compare->want_count < WINDOW_NODES_MAX &&
           compare->want_count + compare->asked_count < ASKED_MAX;
}

static void push_want(struct compare *compare, uint64_t node)
{
    assert(compare->want_count < WINDOW_NODES_MAX);
    compare->wants[(compare->want_head + compare->want_count) % WINDOW_NODES_MAX] = node;
    compare->want_count++;
}

/* --- settling -------------------------------------------------------------------------------- */

static void feed_proof(struct compare *compare, const struct stretch *stretch)
{
    if (stretch->is_zero) {
        proof_zeros(compare->proof, stretch->first_node, stretch->count);
    } else {
        proof_node(compare->proof, stretch->first_node, stretch->leaves, stretch->leaf_count);
    }
}

/* Takes the settled ones off the queue's head. A mark is due at each disk's end: never goes past
 * one that is not marked. */
static void settle(struct compare *compare)
{
    struct stretch *head = NULL;

    while ((head = stretch_queue_head(&compare->settling)) != NULL &&
           info_of(compare, head)->state == SETTLING_SETTLED) {
        uint32_t disk = layout_disk_of(compare->layout, head->first_node);
        if (compare->settled_node == compare->layout->first_node[disk] &&
            compare->marked_node < compare->settled_node) {
            return;
        }
        feed_proof(compare, head);
        compare->settled_node += head->count;
        compare->progress->disks[disk].compared_bytes +=
            layout_bytes(compare->layout, head->first_node, head->count);
        stretch_queue_pop_nodes(&compare->settling, head->count);
    }
}

static uint64_t leaves_bytes(const struct compare *compare, uint64_t node, uint32_t mask)
{
    uint64_t bytes = 0;

    while (mask != 0) {
        bytes +=
            layout_leaf(compare->layout, node * LEAVES_PER_NODE + (uint32_t)__builtin_ctz(mask))
                .len_bytes;
        mask &= mask - 1;
    }
    return bytes;
}

/* Which leaves of a stretch in the settling queue differ can be told now. theirs NULL: all zeros.
 */
static void begin_shipping(struct compare *compare, const struct stretch *own,
                           const struct digest *theirs)
{
    static const struct digest zero = {{0}};
    struct settling *info = info_of(compare, own);
    uint32_t leaf_count = layout_leaves(compare->layout, own->first_node);

    *info = (struct settling){.state = SETTLING_SHIPPING};
    for (uint32_t i = 0; i < leaf_count; i++) {
        const struct digest *mine = own->is_zero ? &zero : &own->leaves[i];
        const struct digest *their = theirs == NULL ? &zero : &theirs[i];
        if (!digest_equal(mine, their)) {
            info->differ |= 1U << i;
            info->has_data |= (uint32_t)!digest_is_zero(their) << i;
        }
    }
    uint32_t disk = layout_disk_of(compare->layout, own->first_node);
    struct disk_progress *progress = &compare->progress->disks[disk];
    progress->different_bytes += leaves_bytes(compare, own->first_node, info->differ);
    progress->shipped_bytes += leaves_bytes(compare, own->first_node, own->shipped);
    compare->recent_leaves += (uint32_t)__builtin_popcount(info->differ);
    assert((own->shipped & ~info->differ) == 0);
    info->handed = own->shipped;
    info->shipped = own->shipped;
    if (compare->is_check_only) {
        compare->disk_differs[disk] = compare->disk_differs[disk] || info->differ != 0;
        info->shipped = info->differ;
    }
    if (info->shipped == info->differ) {
        info->state = SETTLING_SETTLED;
        return;
    }
    compare->ready[(compare->ready_head + compare->ready_count) % WINDOW_NODES_MAX] =
        slot_of(compare, own);
    compare->ready_count++;
}

/* --- comparing ------------------------------------------------------------------------------- */

/* Moves count nodes from own's head to the settling queue; returns where they are there. */
static const struct stretch *move_to_settling(struct compare *compare, uint64_t count,
                                              enum settling_state state)
{
    const struct stretch *own = stretch_queue_head(&compare->own);
    struct stretch *tail = stretch_queue_tail(&compare->settling);

    assert(own->first_node == compare->compared_node);
    bool merges = tail != NULL && own->is_zero && tail->is_zero &&
                  tail->was_read == own->was_read && state == SETTLING_SETTLED &&
                  info_of(compare, tail)->state == SETTLING_SETTLED &&
                  layout_disk_of(compare->layout, tail->first_node) ==
                      layout_disk_of(compare->layout, own->first_node);
    if (merges) {
        tail->count += count;
    } else {
        /* Written by hand, not pushed: zeros that wait must not run into zeros that are settled. */
        assert(!stretch_queue_is_full(&compare->settling));
        compare->settling.count++;
        tail = stretch_queue_tail(&compare->settling);
        *tail = *own;
        tail->count = count;
        *info_of(compare, tail) = (struct settling){.state = state};
    }
    stretch_queue_pop_nodes(&compare->own, count);
    compare->compared_node += count;
    return tail;
}

static void compare_zeros(struct compare *compare, const struct stretch *own,
                          const struct stretch *peer)
{
    uint64_t count = own->count < peer->count ? own->count : peer->count;
    uint64_t first_node = own->first_node;

    if (!own->was_read && !peer->was_read) {
        uint32_t disk = layout_disk_of(compare->layout, first_node);
        compare->progress->disks[disk].skipped_zero_bytes +=
            layout_bytes(compare->layout, first_node, count);
    }
    (void)move_to_settling(compare, count, SETTLING_SETTLED);
    stretch_queue_pop_nodes(&compare->peer, count);
}

/* One node of which at least one side is not zeros. */
static void compare_node(struct compare *compare, const struct stretch *own,
                         const struct stretch *peer)
{
    uint64_t node = own->first_node;
    bool is_same = !own->is_zero && !peer->is_zero && digest_equal(&own->digest, &peer->digest);
    /* Its leaves were asked for ahead: the answer is on its way, and finds the node waiting for it,
     * the same or not. */
    bool is_awaited = peer->is_wanted && !peer->has_leaves;

    if (is_same && !is_awaited) {
        (void)move_to_settling(compare, 1, SETTLING_SETTLED);
    } else {
        const struct stretch *moved = move_to_settling(compare, 1, SETTLING_WANTED);
        if (peer->is_zero) {
            begin_shipping(compare, moved, NULL);
        } else if (peer->has_leaves) {
            begin_shipping(compare, moved, peer->leaves);
        } else if (!peer->is_wanted) {
            push_want(compare, node);
        }
    }
    stretch_queue_pop_nodes(&compare->peer, 1);
    compare->recent_nodes++;
}

/* Decides from time to time whether much or little differs. */
static void watch_density(struct compare *compare)
{
    if (compare->recent_nodes < DENSE_WINDOW) {
        return;
    }
    uint32_t percent = 100U * compare->recent_leaves / (compare->recent_nodes * LEAVES_PER_NODE);
    if (!compare->is_dense && percent >= DENSE_ABOVE && !compare->is_check_only) {
        compare->is_dense = true;
        compare->dense_node = compare->compared_node;
    } else if (compare->is_dense && percent < DENSE_BELOW) {
        compare->is_dense = false;
    }
    compare->recent_nodes = 0;
    compare->recent_leaves = 0;
}

/* Dense: asks for the leaves of every node that the target told of. */
static void want_ahead(struct compare *compare)
{
    while (compare->is_dense && compare->dense_node < compare->peer_node && can_want(compare)) {
        struct stretch *peer = stretch_queue_find(&compare->peer, compare->dense_node);
        if (peer == NULL) {
            compare->dense_node = compare->compared_node > compare->dense_node
                                      ? compare->compared_node
                                      : compare->peer_node;
            continue;
        }
        if (!peer->is_zero && !peer->has_leaves && !peer->is_wanted) {
            peer->is_wanted = true;
            push_want(compare, peer->first_node);
        }
        compare->dense_node = peer->first_node + peer->count;
    }
}

static bool can_compare(const struct compare *compare)
{
    return compare->own.count > 0 && compare->peer.count > 0 &&
           !stretch_queue_is_full(&compare->settling) && compare->want_count < WINDOW_NODES_MAX;
}

/* Compares what both sides have told, and settles what is complete, until neither goes on. */
static void advance(struct compare *compare)
{
    settle(compare);
    while (can_compare(compare)) {
        const struct stretch *own = stretch_queue_head(&compare->own);
        const struct stretch *peer = stretch_queue_head(&compare->peer);
        assert(own->first_node == compare->compared_node &&
               peer->first_node == compare->compared_node);
        if (own->is_zero && peer->is_zero) {
            compare_zeros(compare, own, peer);
        } else {
            compare_node(compare, own, peer);
        }
        watch_density(compare);
        settle(compare);
    }
    want_ahead(compare);
}

/* --- in -------------------------------------------------------------------------------------- */

bool compare_has_room(const struct compare *compare)
{
    return !stretch_queue_is_full(&compare->own);
}

void compare_own(struct compare *compare, const struct stretch *stretch)
{
    stretch_queue_push(&compare->own, compare->layout, stretch);
    advance(compare);
}

int compare_peer(struct compare *compare, const struct stretch *stretch, struct error *err)
{
    const struct layout *layout = compare->layout;

    if (stretch->first_node != compare->peer_node || stretch->count == 0 ||
        stretch->count > layout->node_count - stretch->first_node) {
        return fail(err, ERR_PEER, 0,
                    "the target told of node %" PRIu64 " when node %" PRIu64 " was due",
                    stretch->first_node, compare->peer_node);
    }
    if (layout_disk_of(layout, stretch->first_node) !=
        layout_disk_of(layout, stretch->first_node + stretch->count - 1)) {
        return fail(err, ERR_PEER, 0, "the target told of zeros across the end of a disk");
    }
    if (stretch_queue_is_full(&compare->peer)) {
        return fail(err, ERR_PEER, 0, "the target went beyond the window of %u nodes",
                    WINDOW_NODES_MAX);
    }
    stretch_queue_push(&compare->peer, layout, stretch);
    compare->peer_node += stretch->count;
    advance(compare);
    return 0;
}

/* Answers come in the order of the questions, which the target must not be trusted to keep. */
static int take_answer(struct compare *compare, uint64_t node, uint32_t leaf_count,
                       struct error *err)
{
    if (compare->asked_count == 0 || compare->asked[compare->asked_head] != node) {
        return fail(err, ERR_PEER, 0, "the target sent leaf digests of node %" PRIu64 " unasked",
                    node);
    }
    if (leaf_count != layout_leaves(compare->layout, node)) {
        return fail(err, ERR_PEER, 0, "the target sent %u leaf digests for node %" PRIu64,
                    leaf_count, node);
    }
    compare->asked_head = (compare->asked_head + 1) % ASKED_MAX;
    compare->asked_count--;
    return 0;
}

int compare_peer_leaves(struct compare *compare, uint64_t node, const struct digest *leaves,
                        uint32_t leaf_count, struct error *err)
{
    if (take_answer(compare, node, leaf_count, err) != 0) {
        return -1;
    }
    struct stretch *peer = stretch_queue_find(&compare->peer, node);
    if (peer != NULL) {
        peer->has_leaves = true;
        peer->leaf_count = leaf_count;
        memcpy(peer->leaves, leaves, leaf_count * sizeof *leaves);
        return 0;
    }
    /* Asked for ahead, it may have turned out to be the same meanwhile: then the answer is of no
     * more use. */
    const struct stretch *waiting = stretch_queue_find(&compare->settling, node);
    if (waiting != NULL && info_of(compare, waiting)->state == SETTLING_WANTED) {
        begin_shipping(compare, waiting, leaves);
        advance(compare);
    }
    return 0;
}

/* --- out ------------------------------------------------------------------------------------- */

bool compare_next_want(struct compare *compare, uint64_t *node)
{
    if (compare->want_count == 0) {
        return false;
    }
    *node = compare->wants[compare->want_head];
    compare->want_head = (compare->want_head + 1) % WINDOW_NODES_MAX;
    compare->want_count--;
    assert(compare->asked_count < ASKED_MAX);
    compare->asked[(compare->asked_head + compare->asked_count) % ASKED_MAX] = *node;
    compare->asked_count++;
    return true;
}

bool compare_next_shipment(struct compare *compare, bool single, struct shipment *shipment)
{
    if (compare->ready_count == 0) {
        return false;
    }
    const struct stretch *own = &compare->settling.slots[compare->ready[compare->ready_head]];
    struct settling *info = info_of(compare, own);
    uint32_t left = info->differ & ~info->handed;
    assert(left != 0);
    uint32_t first = (uint32_t)__builtin_ctz(left);
    bool is_zero = own->is_zero || digest_is_zero(&own->leaves[first]);
    uint32_t most = is_zero ? LEAVES_PER_NODE : single ? 1 : LEAVES_PER_READ;
    uint32_t count = 0;

    while (count < most && first + count < LEAVES_PER_NODE && (left >> (first + count) & 1) != 0 &&
           (own->is_zero || digest_is_zero(&own->leaves[first + count]) == is_zero)) {
        info->handed |= 1U << (first + count);
        count++;
    }
    *shipment = (struct shipment){
        .first_leaf = own->first_node * LEAVES_PER_NODE + first,
        .count = count,
        .is_zero = is_zero,
        .target_has_data = count == 1 && (info->has_data >> first & 1) != 0,
        .digests = own->is_zero ? NULL : &own->leaves[first],
    };
    if (info->handed == info->differ) {
        compare->ready_head = (compare->ready_head + 1) % WINDOW_NODES_MAX;
        compare->ready_count--;
    }
    return true;
}

bool compare_differs_at_hand(struct compare *compare, uint64_t leaf, const struct digest *own)
{
    if (compare->is_check_only || digest_is_zero(own)) {
        return false; /* zeros are cheap to ship later, and zero stretches, which may merge, keep no
                         mask */
    }
    const struct stretch *peer = stretch_queue_find(&compare->peer, leaf / LEAVES_PER_NODE);
    if (peer == NULL) {
        return false;
    }
    if (peer->is_zero) {
        return true;
    }
    return peer->has_leaves && !digest_equal(own, &peer->leaves[leaf % LEAVES_PER_NODE]);
}

uint64_t compare_read_limit(const struct compare *compare)
{
    if (!compare->is_dense) {
        return UINT64_MAX;
    }
    /* Up to the first node whose leaves are still on their way. Answers come in order, so looking
     * from the front is short: own stretches that were read already are skipped. */
    uint64_t node = compare->compared_node;
    const struct stretch *own = stretch_queue_tail(&compare->own);
    if (own != NULL) {
        node = own->first_node + own->count;
    }
    for (uint32_t i = 0; i < SCAN_NODES_MAX + 1 && node < compare->peer_node; i++) {
        const struct stretch *peer = stretch_queue_find(&compare->peer, node);
        if (peer == NULL || (!peer->is_zero && !peer->has_leaves)) {
            break;
        }
        node = peer->first_node + peer->count;
    }
    return node;
}

bool compare_next_mark(struct compare *compare, struct settled_mark *mark)
{
    const struct layout *layout = compare->layout;

    if (compare->settled_node == compare->marked_node) {
        return false;
    }
    uint32_t disk = layout_disk_of(layout, compare->settled_node - 1);
    bool ends_disk = compare->settled_node == layout->first_node[disk + 1];
    if (!ends_disk && compare->settled_node - compare->marked_node < DONE_EVERY_NODES) {
        return false;
    }
    compare->marked_node = compare->settled_node;
    mark->node = compare->settled_node;
    mark->is_same = !compare->disk_differs[disk];
    proof_value(compare->proof, mark->proof);
    if (ends_disk) {
        struct disk_progress *progress = &compare->progress->disks[disk];
        memcpy(progress->proof, mark->proof, sizeof progress->proof);
        progress->has_proof = mark->is_same;
    }
    advance(compare);
    return true;
}

void compare_shipped(struct compare *compare, uint64_t first_leaf, uint32_t count)
{
    uint64_t node = first_leaf / LEAVES_PER_NODE;
    uint32_t disk = layout_disk_of(compare->layout, node);
    const struct stretch *own = stretch_queue_find(&compare->settling, node);

    assert(own != NULL);
    struct settling *info = info_of(compare, own);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t bit = 1U << (first_leaf + i) % LEAVES_PER_NODE;
        assert((info->handed & bit) != 0 && (info->shipped & bit) == 0);
        info->shipped |= bit;
        compare->progress->disks[disk].shipped_bytes +=
            layout_leaf(compare->layout, first_leaf + i).len_bytes;
    }
    if (info->shipped == info->differ) {
        info->state = SETTLING_SETTLED;
    }
    advance(compare);
}

bool compare_is_done(const struct compare *compare)
{
    return compare->marked_node == compare->layout->node_count;
}
