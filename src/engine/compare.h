/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * compare.h - the source's book-keeping: its own stretches against the target's, in order; which
 * nodes' leaves to ask for, which leaves to ship, and up to where everything is settled.
 *
 * Pure and synchronous: stretches and answers go in, wants, shipments and settled marks come out.
 *
 *   own ----\                                      /--> wants (ask the target for leaf digests)
 *            >-- compared, in order --> settling --+--> shipments (leaves that differ)
 *   peer ---/                                      \--> marks (settled up to node N, with the proof
 * there)
 *
 * While much differs (is_dense) it asks for leaf digests before the source reads: then what differs
 * is shipped from the buffer that was just read, and nothing is read twice.
 */
#ifndef RESILVER_ENGINE_COMPARE_H
#define RESILVER_ENGINE_COMPARE_H

#include "base/attributes.h"
#include "base/error.h"
#include "engine/digest.h"
#include "engine/layout.h"
#include "engine/progress.h"
#include "engine/proof.h"
#include "engine/stretch.h"

struct compare;

/* Leaves to ship: all of one node, in a row, all zeros or none. */
struct shipment {
    uint64_t first_leaf;
    uint32_t count;
    bool is_zero;
    bool target_has_data; /* the target's single leaf is not zeros, so its pages may be worth
                             comparing */
    const struct digest *digests; /* count of the source's; borrowed until the next call of
                                     compare_* */
};

/* Everything before `node` is settled. */
struct settled_mark {
    uint64_t node;
    bool is_same; /* the disk in which node - 1 lies has no difference left on the target (false
                     only in a compare) */
    uint8_t proof[PROOF_BYTES];
};

struct compare_config {
    const struct layout *layout; /* borrowed */
    struct proof *proof;         /* borrowed; compare feeds it */
    struct progress *progress;   /* borrowed; compare counts in it */
    uint64_t first_node;         /* where this run begins */
    bool is_check_only;          /* nothing is to be shipped */
};

MUST_CHECK int compare_new(const struct compare_config *config, struct compare **out,
                           struct error *err);
void compare_free(struct compare *compare);

/* --- in -------------------------------------------------------------------------------------- */

/* compare_has_room - whether compare_own may be called. */
bool compare_has_room(const struct compare *compare);

/* compare_own - the source's next stretch. */
void compare_own(struct compare *compare, const struct stretch *stretch);

/* compare_peer - the target's next stretch. Errors: ERR_PEER out of order, over the window,
 * spanning disks. */
MUST_CHECK int compare_peer(struct compare *compare, const struct stretch *stretch,
                            struct error *err);

/* compare_peer_leaves - the answer to a want. Errors: ERR_PEER not asked for, or the wrong number
 * of leaves. */
MUST_CHECK int compare_peer_leaves(struct compare *compare, uint64_t node,
                                   const struct digest *leaves, uint32_t leaf_count,
                                   struct error *err);

/* compare_shipped - a shipment (or a part of it) was handed to the link. */
void compare_shipped(struct compare *compare, uint64_t first_leaf, uint32_t count);

/* --- out (each until it says no) ------------------------------------------------------------- */

/* compare_next_want - a node whose leaf digests to ask the target for. */
bool compare_next_want(struct compare *compare, uint64_t *node);

/* compare_next_shipment - leaves to read again and ship; zeros need no reading. At most
 * LEAVES_PER_READ that are not; `single`: one of them, so that its pages can be compared. */
bool compare_next_shipment(struct compare *compare, bool single, struct shipment *shipment);

/*
 * compare_differs_at_hand - whether this leaf, just read, is known to differ from the target's and
 * may be shipped at once. If so the caller ships it and sets its bit in the stretch's shipped mask.
 */
bool compare_differs_at_hand(struct compare *compare, uint64_t leaf, const struct digest *own);

/* compare_read_limit - the source need not read nodes from here on yet. */
uint64_t compare_read_limit(const struct compare *compare);

/* compare_next_mark - something more is settled, and enough of it (or the end of a disk) to tell
 * the target. */
bool compare_next_mark(struct compare *compare, struct settled_mark *mark);

/* compare_is_done - all is settled and marked. */
bool compare_is_done(const struct compare *compare);

#endif
