/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stretch.h - what one side knows of the next nodes of its disks: one node by its digests, or a run
 * of nodes that are zeros all through; and a bounded queue of such stretches, in order, without
 * gaps.
 */
#ifndef RESILVER_ENGINE_STRETCH_H
#define RESILVER_ENGINE_STRETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "engine/digest.h"
#include "engine/layout.h"

struct stretch {
    uint64_t first_node;
    uint64_t count;      /* >= 1; 1 unless is_zero; never beyond the end of first_node's disk */
    bool is_zero;        /* every byte reads as zero; digest and leaves are not filled */
    bool was_read;       /* is_zero: by reading; else because the storage says so */
    bool has_leaves;     /* leaves[] is filled */
    bool is_wanted;      /* at the source, of the peer's: its leaves have been asked for */
    uint32_t leaf_count; /* not is_zero */
    uint32_t shipped; /* at the source, of its own: bit i: leaf i went to the target while it was at
                         hand */
    struct digest digest; /* not is_zero: the node's */
    struct digest leaves[LEAVES_PER_NODE];
};

struct stretch_queue {
    struct stretch *slots; /* owned: capacity of them */
    uint32_t capacity;
    uint32_t count;
    uint64_t head_sequence; /* of the oldest; counts from 0, never reused; slot = sequence %
                               capacity */
};

/* stretch_queue_init - Errors: ERR_LIMIT no memory. */
MUST_CHECK int stretch_queue_init(struct stretch_queue *queue, uint32_t capacity,
                                  struct error *err);
void stretch_queue_done(struct stretch_queue *queue);

static inline bool stretch_queue_is_full(const struct stretch_queue *queue)
{
    return queue->count == queue->capacity;
}

/* The stretch with this sequence number, which must be in the queue. */
static inline struct stretch *stretch_queue_at(const struct stretch_queue *queue, uint64_t sequence)
{
    return &queue->slots[sequence % queue->capacity];
}

/* The oldest, or NULL. */
static inline struct stretch *stretch_queue_head(const struct stretch_queue *queue)
{
    return queue->count > 0 ? stretch_queue_at(queue, queue->head_sequence) : NULL;
}

/* The newest, or NULL. */
static inline struct stretch *stretch_queue_tail(const struct stretch_queue *queue)
{
    return queue->count > 0 ? stretch_queue_at(queue, queue->head_sequence + queue->count - 1)
                            : NULL;
}

/*
 * stretch_queue_push - append; the queue must not be full. Zeros that carry on the newest stretch's
 * zeros (same disk, same was_read) are added to it instead.
 */
void stretch_queue_push(struct stretch_queue *queue, const struct layout *layout,
                        const struct stretch *stretch);

/* stretch_queue_pop_nodes - take count nodes off the oldest stretch (at most its count). */
void stretch_queue_pop_nodes(struct stretch_queue *queue, uint64_t count);

/* stretch_queue_find - the stretch that holds a node, or NULL. Cost: a binary search. */
struct stretch *stretch_queue_find(const struct stretch_queue *queue, uint64_t node);

#endif
