/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/layout.h"

#include <assert.h>
#include <inttypes.h>

int layout_init(struct layout *layout, uint32_t disk_count, const uint64_t *size_bytes,
                struct error *err)
{
    if (disk_count == 0 || disk_count > DISKS_MAX) {
        return fail(err, ERR_LIMIT, 0, "%u disks in one session; 1 to %u can be", disk_count,
                    DISKS_MAX);
    }
    struct layout built = {.disk_count = disk_count};
    for (uint32_t i = 0; i < disk_count; i++) {
        if (size_bytes[i] > DISK_SIZE_MAX) {
            return fail(err, ERR_LIMIT, 0,
                        "disk %u has %" PRIu64 " bytes, more than can be compared", i,
                        size_bytes[i]);
        }
        built.size_bytes[i] = size_bytes[i];
        built.first_node[i] = built.node_count;
        built.node_count += (size_bytes[i] + NODE_BYTES - 1) / NODE_BYTES;
    }
    built.first_node[disk_count] = built.node_count;
    *layout = built;
    return 0;
}

uint32_t layout_disk_of(const struct layout *layout, uint64_t node)
{
    assert(node < layout->node_count);
    uint32_t low = 0;
    uint32_t high = layout->disk_count - 1;

    /* The last disk that begins at or before the node: of several that begin there all but the last
     * are empty. */
    while (low < high) {
        uint32_t middle = (low + high + 1) / 2;
        if (layout->first_node[middle] <= node) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

static struct place place_at(const struct layout *layout, uint32_t disk, uint64_t offset_bytes,
                             uint64_t most_bytes)
{
    uint64_t left_bytes = layout->size_bytes[disk] - offset_bytes;

    return (struct place){
        .disk = disk,
        .offset_bytes = offset_bytes,
        .len_bytes = (uint32_t)(left_bytes < most_bytes ? left_bytes : most_bytes),
    };
}

struct place layout_node(const struct layout *layout, uint64_t node)
{
    uint32_t disk = layout_disk_of(layout, node);

    return place_at(layout, disk, (node - layout->first_node[disk]) * NODE_BYTES, NODE_BYTES);
}

bool layout_has_leaf(const struct layout *layout, uint64_t leaf)
{
    uint64_t node = leaf / LEAVES_PER_NODE;

    return node < layout->node_count && leaf % LEAVES_PER_NODE < layout_leaves(layout, node);
}

struct place layout_leaf(const struct layout *layout, uint64_t leaf)
{
    struct place node = layout_node(layout, leaf / LEAVES_PER_NODE);
    uint64_t within_bytes = (leaf % LEAVES_PER_NODE) * LEAF_BYTES;

    assert(within_bytes < node.len_bytes);
    return place_at(layout, node.disk, node.offset_bytes + within_bytes, LEAF_BYTES);
}

uint32_t layout_leaves(const struct layout *layout, uint64_t node)
{
    return (uint32_t)((layout_node(layout, node).len_bytes + LEAF_BYTES - 1) / LEAF_BYTES);
}

uint64_t layout_bytes(const struct layout *layout, uint64_t first, uint64_t count)
{
    if (count == 0) {
        return 0;
    }
    struct place last = layout_node(layout, first + count - 1);
    assert(layout_disk_of(layout, first) == last.disk);
    return (count - 1) * NODE_BYTES + last.len_bytes;
}
