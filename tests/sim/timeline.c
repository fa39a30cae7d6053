/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "timeline.h"

#include <stdio.h>
#include <stdlib.h>

void timeline_done(struct timeline *timeline)
{
    free(timeline->heap);
    *timeline = (struct timeline){0};
}

static bool is_before(const struct occurrence *a, const struct occurrence *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void swap(struct occurrence *a, struct occurrence *b)
{
    struct occurrence kept = *a;

    *a = *b;
    *b = kept;
}

static void grow(struct timeline *timeline)
{
    size_t capacity = timeline->capacity == 0 ? 64 : 2 * timeline->capacity;
    struct occurrence *heap = realloc(timeline->heap, capacity * sizeof *heap);

    if (heap == NULL) {
        fputs("sim: out of memory\n", stderr);
        exit(2);
    }
    timeline->heap = heap;
    timeline->capacity = capacity;
}

void timeline_add(struct timeline *timeline, uint64_t delay_ns, struct occurrence occurrence)
{
    if (timeline->count == timeline->capacity) {
        grow(timeline);
    }
    occurrence.at_ns = timeline->now_ns + delay_ns;
    occurrence.sequence = timeline->next_sequence++;
    size_t at = timeline->count++;
    timeline->heap[at] = occurrence;
    while (at > 0 && is_before(&timeline->heap[at], &timeline->heap[(at - 1) / 2])) {
        swap(&timeline->heap[at], &timeline->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

bool timeline_take(struct timeline *timeline, struct occurrence *out)
{
    if (timeline->count == 0) {
        return false;
    }
    *out = timeline->heap[0];
    timeline->heap[0] = timeline->heap[--timeline->count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < timeline->count; child++) {
            least = is_before(&timeline->heap[child], &timeline->heap[least]) ? child : least;
        }
        if (least == at) {
            break;
        }
        swap(&timeline->heap[at], &timeline->heap[least]);
        at = least;
    }
    timeline->now_ns = out->at_ns;
    return true;
}

void timeline_clear(struct timeline *timeline)
{
    timeline->count = 0;
}
