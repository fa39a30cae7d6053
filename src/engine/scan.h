/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * scan.h - walk the disks of one side from a node to the end, in order, and say what each node
 * holds.
 *
 * Pure: it gives requests to be carried out and takes them back when they completed, in any order.
 * It asks for extents first and reads only what is not known to be zeros; it hashes each read as it
 * comes back and gives stretches in order.
 */
#ifndef RESILVER_ENGINE_SCAN_H
#define RESILVER_ENGINE_SCAN_H

#include "disk/disk.h"
#include "engine/digest.h"
#include "engine/layout.h"
#include "engine/stretch.h"

struct scan;

/* The leaves of one completed read, while its bytes are still at hand (until the next call of
 * scan_next). */
struct scan_leaves {
    uint64_t first_leaf;          /* counted through all disks */
    uint32_t count;               /* 0: the request was not a read */
    const struct digest *digests; /* count of them */
    struct const_span data;
    uint32_t *shipped; /* the node's mask, see struct stretch: the caller may set bits */
};

/*
 * scan_new - layout and digester are borrowed until scan_free. owner marks this scan's requests
 * (disk_request.owner). Errors: ERR_LIMIT no memory.
 */
MUST_CHECK int scan_new(const struct layout *layout, struct digester *digester, uint16_t owner,
                        struct scan **out, struct error *err);

/* scan_free - no request may be in flight. */
void scan_free(struct scan *scan);

/* scan_begin - start at this node (<= node_count); once, before anything else. */
void scan_begin(struct scan *scan, uint64_t first_node);

/*
 * scan_next - the next request to submit, or NULL when nothing can be asked for now: enough is in
 * flight, finished stretches have not been taken, or the end is reached.
 *
 * @read_limit  nodes from here on are not read yet (zeros known without reading still go through)
 */
struct disk_request *scan_next(struct scan *scan, uint64_t read_limit);

/*
 * scan_complete - take back a request of this scan.
 *
 * Errors: ERR_IO the disk failed: err has the disk's offset; the disk's index is in the request.
 */
MUST_CHECK int scan_complete(struct scan *scan, struct disk_request *request,
                             struct scan_leaves *leaves, struct error *err);

/* scan_take - the next stretch in order, borrowed until the next call; NULL if none is finished. */
const struct stretch *scan_take(struct scan *scan);

/* scan_is_done - everything to the end was taken. */
bool scan_is_done(const struct scan *scan);

#endif
