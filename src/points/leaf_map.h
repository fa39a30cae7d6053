/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * leaf_map.h - where each leaf of a disk is in a log, and the check of its bytes, in memory that
 * does not grow with the disk.
 *
 * A flat array in an unnamed sparse file, of which LEAF_MAP_PAGES pages are kept in memory. It is
 * gone with the process, and is made anew from the log: nothing in it has to survive anything.
 */
#ifndef RESILVER_POINTS_LEAF_MAP_H
#define RESILVER_POINTS_LEAF_MAP_H

#include "engine/digest.h"

struct leaf_map;

struct leaf_value {
    uint64_t position; /* 0: the leaf is not in the map; what else it means is the user's affair */
    struct digest check;
};

/*
 * leaf_map_new - an empty map of leaf_count leaves.
 *
 * @folder  for the unnamed file; NULL: it lies in memory (memfd), for tests and small disks
 * Errors: ERR_IO the folder cannot be used; ERR_LIMIT no memory, no room, no descriptors.
 */
MUST_CHECK int leaf_map_new(const char *folder, uint64_t leaf_count, struct leaf_map **out,
                            struct error *err);
void leaf_map_free(struct leaf_map *map);

/* All of these may have to write a page that makes way. Errors: ERR_IO; ERR_LIMIT no room. */

/* leaf_map_get - what was set last for a leaf < leaf_count; zeros if nothing was. */
MUST_CHECK int leaf_map_get(struct leaf_map *map, uint64_t leaf, struct leaf_value *out,
                            struct error *err);
MUST_CHECK int leaf_map_set(struct leaf_map *map, uint64_t leaf, const struct leaf_value *value,
                            struct error *err);

/* leaf_map_next - the first leaf >= from whose position is not 0; UINT64_MAX: none. Cost: what is
 * empty is skipped without being read. */
MUST_CHECK int leaf_map_next(struct leaf_map *map, uint64_t from, uint64_t *out, struct error *err);

#endif
