/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/stretch.h"

#include <assert.h>
#include <stdlib.h>

int stretch_queue_init(struct stretch_queue *queue, uint32_t capacity, struct error *err)
{
    struct stretch *slots = calloc(capacity, sizeof *slots);

    if (slots == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a window of %u nodes", capacity);
    }
    *queue = (struct stretch_queue){.slots = slots, .capacity = capacity};
    return 0;
}

void stretch_queue_done(struct stretch_queue *queue)
{
    free(queue->slots);
    *queue = (struct stretch_queue){0};
}

/* Copies what is filled: the leaves of zeros, 512 bytes, are not. */
static void copy_stretch(struct stretch *to, const struct stretch *from)
{
    size_t head_bytes = offsetof(struct stretch, leaves);

    memcpy(to, from, head_bytes);
    if (from->has_leaves) {
        memcpy(to->leaves, from->leaves, sizeof to->leaves);
    }
}

void stretch_queue_push(struct stretch_queue *queue, const struct layout *layout,
                        const struct stretch *stretch)
{
    struct stretch *tail = stretch_queue_tail(queue);

    assert(stretch->count >= 1 && (stretch->is_zero || stretch->count == 1));
    assert(tail == NULL || stretch->first_node == tail->first_node + tail->count);
    if (tail != NULL && tail->is_zero && stretch->is_zero && tail->was_read == stretch->was_read &&
        layout_disk_of(layout, tail->first_node) == layout_disk_of(layout, stretch->first_node)) {
        tail->count += stretch->count;
        return;
    }
    assert(!stretch_queue_is_full(queue));
    queue->count++;
    copy_stretch(stretch_queue_tail(queue), stretch);
}

void stretch_queue_pop_nodes(struct stretch_queue *queue, uint64_t count)
{
    struct stretch *head = stretch_queue_head(queue);

    assert(head != NULL && count <= head->count);
    head->first_node += count;
    head->count -= count;
    if (head->count == 0) {
        queue->head_sequence++;
        queue->count--;
    }
}

struct stretch *stretch_queue_find(const struct stretch_queue *queue, uint64_t node)
{
    uint64_t low = queue->head_sequence;
    uint64_t high = queue->head_sequence + queue->count;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct stretch *at = stretch_queue_at(queue, middle);
        if (node < at->first_node) {
            high = middle;
        } else if (node >= at->first_node + at->count) {
            low = middle + 1;
        } else {
            return at;
        }
    }
    return NULL;
}
