/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * segment.h - with which keys a proof was computed: each session draws its own, and a run that was
 * interrupted and resumed has one segment a session.
 */
#ifndef RESILVER_ENGINE_SEGMENT_H
#define RESILVER_ENGINE_SEGMENT_H

#include "base/limits.h"
#include "engine/digest.h"

struct proof_segment {
    uint64_t first_node; /* of all disks, laid end to end (layout.h) */
    uint8_t key[DIGEST_KEY_BYTES];
};

/* In the order of their nodes; the first begins at node 0. count 0: the proof cannot be computed
 * again. */
struct proof_segments {
    uint32_t count;
    struct proof_segment list[PROOF_SEGMENTS_MAX];
};

#endif
