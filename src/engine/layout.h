/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layout.h - the disks of a session laid end to end as one row of nodes.
 *
 * Each disk begins at a new node; its last node and last leaf may be short. So one number names a
 * node (or, times LEAVES_PER_NODE plus the leaf's index, a leaf) of any disk of the session, and a
 * session over several disks is a walk from node 0 to node_count. A disk of 0 bytes has no nodes.
 */
#ifndef RESILVER_ENGINE_LAYOUT_H
#define RESILVER_ENGINE_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

struct layout {
    uint32_t disk_count;
    uint64_t size_bytes[DISKS_MAX];
    uint64_t first_node[DISKS_MAX + 1]; /* of each disk; [disk_count] == node_count */
    uint64_t node_count;
};

/* Where a node or a leaf lies. len_bytes > 0. */
struct place {
    uint32_t disk;
    uint64_t offset_bytes;
    uint32_t len_bytes;
};

/* layout_init - Errors: ERR_LIMIT too many disks, or one larger than DISK_SIZE_MAX. */
MUST_CHECK int layout_init(struct layout *layout, uint32_t disk_count, const uint64_t *size_bytes,
                           struct error *err);

/* layout_disk_of - the disk that holds a node (< node_count). */
uint32_t layout_disk_of(const struct layout *layout, uint64_t node);

struct place layout_node(const struct layout *layout, uint64_t node);

/* layout_leaf - `leaf` must exist: layout_has_leaf(). */
struct place layout_leaf(const struct layout *layout, uint64_t leaf);
bool layout_has_leaf(const struct layout *layout, uint64_t leaf);

/* layout_leaves - how many leaves a node has, 1 .. LEAVES_PER_NODE. */
uint32_t layout_leaves(const struct layout *layout, uint64_t node);

/* layout_bytes - the disk bytes of nodes [first, first + count), which lie in one disk. */
uint64_t layout_bytes(const struct layout *layout, uint64_t first, uint64_t count);

#endif
