/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Invariants:
 * 1. slots[] holds the nodes (or runs of zeros) being worked on, in order, without gaps, up to
 * next_node.
 * 2. A leaf's bit is in exactly one of: todo (must be read), in a read in flight, or its digest is
 * final.
 * 3. Only what the storage itself says reads as zeros is not read. Where it says nothing, we read.
 */
#include "engine/scan.h"

#include <assert.h>
#include <stdlib.h>

#define LEAVES_PER_READ ((uint32_t)(READ_BYTES / LEAF_BYTES))
#define EXTENTS_SLOT UINT32_MAX /* disk_request.slot of the one request for extents */

struct slot {
    struct stretch stretch;
    uint32_t todo;       /* leaves not asked for yet */
    uint32_t unfinished; /* leaves without a digest: todo and in flight */
};

struct read {
    struct disk_request request;
    struct slot *slot; /* borrowed from scan->slots while in flight */
    uint32_t first;    /* leaf within the node */
    uint32_t count;
    bool in_flight;
};

struct scan {
    const struct layout *layout; /* borrowed */
    struct digester *digester;   /* borrowed */
    uint16_t owner;
    uint64_t next_node; /* the first that is in no slot */

    struct slot slots[SCAN_NODES_MAX];
    uint32_t slot_head;
    uint32_t slot_count;

    struct read reads[SCAN_READS_MAX];
    uint32_t free_reads[SCAN_READS_MAX]; /* a stack, so that the buffer used last, still in the
                                            cache, goes first */
    uint32_t free_count;
    uint32_t depth;   /* how many reads may be in flight now */
    uint8_t *buffers; /* owned: READ_BYTES for each read */

    struct disk_request extents_request;
    bool extents_in_flight;
    bool extents_known; /* extents[] is about extents_disk from extents_from to extents_to */
    uint32_t extents_disk;
    uint64_t extents_from;
    uint64_t extents_to;
    uint32_t extent_count;
    uint32_t extent_at; /* the first that reaches beyond next_node's offset */
    struct extent extents[EXTENTS_MAX];
};

int scan_new(const struct layout *layout, struct digester *digester, uint16_t owner,
             struct scan **out, struct error *err)
{
    struct scan *scan = calloc(1, sizeof *scan);

    if (scan != NULL) {
        scan->buffers = aligned_alloc(DISK_BUFFER_ALIGN, SCAN_READS_MAX * READ_BYTES);
    }
    if (scan == NULL || scan->buffers == NULL) {
        scan_free(scan);
        return fail(err, ERR_LIMIT, 0, "out of memory for reading the disks");
    }
    scan->layout = layout;
    scan->digester = digester;
    scan->owner = owner;
    scan->depth = SCAN_READS_CACHED;
    for (uint32_t i = 0; i < SCAN_READS_MAX; i++) {
        scan->free_reads[scan->free_count++] = SCAN_READS_MAX - 1 - i;
    }
    *out = scan;
    return 0;
}

void scan_free(struct scan *scan)
{
    if (scan == NULL) {
        return;
    }
    free(scan->buffers);
    free(scan);
}

void scan_begin(struct scan *scan, uint64_t first_node)
{
    assert(scan->next_node == 0 && first_node <= scan->layout->node_count);
    scan->next_node = first_node;
}

/* --- opening nodes by the extents ------------------------------------------------------------ */

/* Whether the extents at hand say something about this place, all of it as far as they ever will.
 */
static bool is_covered(const struct scan *scan, const struct place *node)
{
    if (!scan->extents_known || scan->extents_disk != node->disk) {
        return false;
    }
    bool begins = node->offset_bytes >= scan->extents_from && node->offset_bytes < scan->extents_to;
    bool ends = node->offset_bytes + node->len_bytes <= scan->extents_to;
    /* A node in more pieces than one answer can hold: its rest is treated as not known. */
    return begins && (ends || node->offset_bytes == scan->extents_from);
}

static struct disk_request *ask_extents(struct scan *scan, const struct place *node)
{
    struct disk_request *request = &scan->extents_request;

    *request = (struct disk_request){
        .op = DISK_EXTENTS,
        .disk_index = (uint16_t)node->disk,
        .owner = scan->owner,
        .slot = EXTENTS_SLOT,
        .offset_bytes = node->offset_bytes,
        .len_bytes = scan->layout->size_bytes[node->disk] - node->offset_bytes,
        .extents = scan->extents,
    };
    scan->extents_in_flight = true;
    return request;
}

/* The mask of leaves [from, to) within a node. */
static uint32_t leaf_mask(uint32_t from, uint32_t to)
{
    uint64_t mask = ((1ULL << (to - from)) - 1) << from;

    return (uint32_t)mask;
}

/* The leaves of a node that lie wholly in one extent of zeros. */
static uint32_t known_zero_leaves(struct scan *scan, const struct place *node)
{
    uint64_t end = node->offset_bytes + node->len_bytes;
    uint32_t zero = 0;

    while (scan->extents[scan->extent_at].offset_bytes + scan->extents[scan->extent_at].len_bytes <=
               node->offset_bytes &&
           scan->extent_at + 1 < scan->extent_count) {
        scan->extent_at++;
    }
    for (uint32_t i = scan->extent_at;
         i < scan->extent_count && scan->extents[i].offset_bytes < end; i++) {
        const struct extent *extent = &scan->extents[i];
        if (!extent->zero) {
            continue;
        }
        uint64_t from =
            extent->offset_bytes > node->offset_bytes ? extent->offset_bytes : node->offset_bytes;
        uint64_t to = extent->offset_bytes + extent->len_bytes;
        uint32_t first = (uint32_t)((from - node->offset_bytes + LEAF_BYTES - 1) / LEAF_BYTES);
        uint32_t past =
            (uint32_t)((to < end ? to - node->offset_bytes : node->len_bytes + LEAF_BYTES - 1) /
                       LEAF_BYTES);
        if (first < past) {
            zero |= leaf_mask(first, past);
        }
    }
    return zero;
}

/* How many nodes from next_node on, which is all zeros, the same extent covers. */
static uint64_t zero_nodes(const struct scan *scan, const struct place *node)
{
    uint64_t disk_bytes = scan->layout->size_bytes[node->disk];
    uint64_t end = node->offset_bytes + node->len_bytes;

    for (uint32_t i = scan->extent_at; i < scan->extent_count; i++) {
        const struct extent *extent = &scan->extents[i];
        if (!extent->zero || extent->offset_bytes > end) {
            break;
        }
        if (extent->offset_bytes + extent->len_bytes > end) {
            end = extent->offset_bytes + extent->len_bytes;
        }
    }
    if (end >= disk_bytes) {
        return scan->layout->first_node[node->disk + 1] - scan->next_node;
    }
    return (end - node->offset_bytes) / NODE_BYTES;
}

static void open_slot(struct scan *scan, const struct place *node)
{
    struct slot *slot = &scan->slots[(scan->slot_head + scan->slot_count) % SCAN_NODES_MAX];
    uint32_t leaf_count = layout_leaves(scan->layout, scan->next_node);
    uint32_t all = leaf_mask(0, leaf_count);
    uint32_t zero = known_zero_leaves(scan, node) & all;

    slot->todo = all & ~zero;
    slot->unfinished = slot->todo;
    slot->stretch = (struct stretch){
        .first_node = scan->next_node,
        .count = slot->todo == 0 ? zero_nodes(scan, node) : 1,
        .is_zero = slot->todo == 0,
        .was_read = slot->todo != 0,
        .leaf_count = leaf_count,
    };
    scan->slot_count++;
    scan->next_node += slot->stretch.count;
}

/*
 * Opens the next nodes as far as slots and extents allow. Returns a request for extents if that is
 * what is needed first.
 */
static struct disk_request *open_slots(struct scan *scan, uint64_t read_limit)
{
    while (scan->slot_count < SCAN_NODES_MAX && scan->next_node < scan->layout->node_count &&
           !scan->extents_in_flight) {
        struct place node = layout_node(scan->layout, scan->next_node);
        if (!is_covered(scan, &node)) {
            return ask_extents(scan, &node);
        }
        if (scan->next_node >= read_limit &&
            known_zero_leaves(scan, &node) !=
                leaf_mask(0, layout_leaves(scan->layout, scan->next_node))) {
            return NULL;
        }
        open_slot(scan, &node);
    }
    return NULL;
}

/* --- reading --------------------------------------------------------------------------------- */

static struct disk_request *begin_read(struct scan *scan, struct slot *slot)
{
    struct read *read = &scan->reads[scan->free_reads[--scan->free_count]];
    uint32_t index = (uint32_t)(read - scan->reads);
    struct place node = layout_node(scan->layout, slot->stretch.first_node);

    assert(!read->in_flight && slot->todo != 0);
    read->slot = slot;
    read->first = (uint32_t)__builtin_ctz(slot->todo);
    read->count = 1;
    while (read->count < LEAVES_PER_READ && read->first + read->count < LEAVES_PER_NODE &&
           (slot->todo >> (read->first + read->count) & 1) != 0) {
        read->count++;
    }
    read->in_flight = true;
    slot->todo &= ~leaf_mask(read->first, read->first + read->count);

    uint64_t within = read->first * LEAF_BYTES;
    uint64_t len = read->count * LEAF_BYTES;
    if (within + len > node.len_bytes) {
        len = node.len_bytes - within;
    }
    read->request = (struct disk_request){
        .op = DISK_READ,
        .disk_index = (uint16_t)node.disk,
        .owner = scan->owner,
        .slot = index,
        .offset_bytes = node.offset_bytes + within,
        .data = {scan->buffers + (size_t)index * READ_BYTES, len},
    };
    return &read->request;
}

struct disk_request *scan_next(struct scan *scan, uint64_t read_limit)
{
    struct disk_request *request = open_slots(scan, read_limit);

    if (request != NULL) {
        return request;
    }
    if (SCAN_READS_MAX - scan->free_count >= scan->depth) {
        return NULL;
    }
    for (uint32_t i = 0; i < scan->slot_count; i++) {
        struct slot *slot = &scan->slots[(scan->slot_head + i) % SCAN_NODES_MAX];
        if (slot->todo != 0) {
            return begin_read(scan, slot);
        }
    }
    return NULL;
}

/* --- completing ------------------------------------------------------------------------------ */

static int complete_extents(struct scan *scan, const struct disk_request *request,
                            struct error *err)
{
    scan->extents_in_flight = false;
    if (request->errnum != 0) {
        (void)fail(err, ERR_IO, request->errnum,
                   "asking which parts of the disk are allocated failed at 0x%llx",
                   (unsigned long long)request->offset_bytes);
        error_set_offset(err, request->offset_bytes);
        return -1;
    }
    if (request->extent_count == 0 || request->extent_count > EXTENTS_MAX) {
        return fail(err, ERR_INTERNAL, 0, "the disk driver gave %u extents", request->extent_count);
    }
    const struct extent *last = &scan->extents[request->extent_count - 1];
    scan->extents_known = true;
    scan->extents_disk = request->disk_index;
    scan->extents_from = request->offset_bytes;
    scan->extents_to = last->offset_bytes + last->len_bytes;
    scan->extent_count = request->extent_count;
    scan->extent_at = 0;
    if (scan->extents_to <= scan->extents_from) {
        return fail(err, ERR_INTERNAL, 0, "the disk driver gave extents of no length");
    }
    return 0;
}

/* Every leaf has its digest: make the node's, or see that it is all zeros. */
static void finish_slot(struct scan *scan, struct slot *slot)
{
    struct stretch *stretch = &slot->stretch;

    for (uint32_t i = 0; i < stretch->leaf_count; i++) {
        if (!digest_is_zero(&stretch->leaves[i])) {
            stretch->has_leaves = true;
            stretch->digest = digester_node(scan->digester, stretch->first_node, stretch->leaves,
                                            stretch->leaf_count);
            return;
        }
    }
    stretch->is_zero = true;
}

static void hash_read(struct scan *scan, struct read *read)
{
    struct slot *slot = read->slot;
    struct const_span left = span_const(read->request.data);

    for (uint32_t i = read->first; i < read->first + read->count; i++) {
        struct const_span leaf = {left.at,
                                  left.len_bytes < LEAF_BYTES ? left.len_bytes : LEAF_BYTES};
        slot->stretch.leaves[i] =
            digester_leaf(scan->digester, slot->stretch.first_node * LEAVES_PER_NODE + i, leaf);
        left.at += leaf.len_bytes;
        left.len_bytes -= leaf.len_bytes;
    }
    assert(left.len_bytes == 0);
    slot->unfinished &= ~leaf_mask(read->first, read->first + read->count);
    if (slot->unfinished == 0) {
        finish_slot(scan, slot);
    }
}

int scan_complete(struct scan *scan, struct disk_request *request, struct scan_leaves *leaves,
                  struct error *err)
{
    leaves->count = 0;
    if (request->slot == EXTENTS_SLOT) {
        assert(scan->extents_in_flight);
        return complete_extents(scan, request, err);
    }
    struct read *read = &scan->reads[request->slot];
    assert(request->slot < SCAN_READS_MAX && read->in_flight && request == &read->request);
    read->in_flight = false;
    scan->free_reads[scan->free_count++] = request->slot;
    if (request->errnum != 0) {
        (void)fail(err, ERR_IO, request->errnum, "reading failed at 0x%llx",
                   (unsigned long long)request->offset_bytes);
        error_set_offset(err, request->offset_bytes);
        return -1;
    }
    scan->depth = request->cached ? SCAN_READS_CACHED : SCAN_READS_MAX;
    hash_read(scan, read);
    *leaves = (struct scan_leaves){
        .first_leaf = read->slot->stretch.first_node * LEAVES_PER_NODE + read->first,
        .count = read->count,
        .digests = &read->slot->stretch.leaves[read->first],
        .data = span_const(request->data),
        .shipped = &read->slot->stretch.shipped,
    };
    return 0;
}

const struct stretch *scan_take(struct scan *scan)
{
    struct slot *slot = &scan->slots[scan->slot_head];

    if (scan->slot_count == 0 || slot->unfinished != 0) {
        return NULL;
    }
    scan->slot_head = (scan->slot_head + 1) % SCAN_NODES_MAX;
    scan->slot_count--;
    return &slot->stretch;
}

bool scan_is_done(const struct scan *scan)
{
    return scan->next_node == scan->layout->node_count && scan->slot_count == 0;
}
