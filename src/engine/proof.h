/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * proof.h - a running SHA-256 over everything that a session settled about one disk, in order of
 * its nodes.
 *
 * Both ends keep one, each from its own leaf digests; the target puts the digests of what it
 * received in place of its own. Equal values at the same node mean that both have the same leaves
 * up to there. Fed in this order:
 *
 *   - "resilver proof 1", the session's key, the disk's size (u64), the node where this run
 *     began (u64) and, if that is not the disk's first, the 32 bytes of the interrupted run's
 *     value there;
 *   - for each node that is not all zeros its number within the disk (u64) and its leaves' digests;
 *   - at the disk's end the number of its nodes (u64).
 *
 * All integers little-endian.
 */
#ifndef RESILVER_ENGINE_PROOF_H
#define RESILVER_ENGINE_PROOF_H

#include "base/attributes.h"
#include "engine/digest.h"
#include "engine/layout.h"
#include "engine/progress.h"

struct proof;

/* proof_new - begins at disk 0. Errors: ERR_LIMIT, ERR_INTERNAL. */
MUST_CHECK int proof_new(const struct layout *layout, const uint8_t key[DIGEST_KEY_BYTES],
                         struct proof **out, struct error *err);
void proof_free(struct proof *proof);

/*
 * proof_begin - start at `node`, carrying on from an earlier run's value there (NULL at a disk's
 * first node). To be called once, before anything is fed.
 */
void proof_begin(struct proof *proof, uint64_t node, const uint8_t earlier[PROOF_BYTES]);

/* proof_node, proof_zeros - feed the next node, or the next count nodes that are all zeros;
 * strictly in order. A call never spans two disks. */
void proof_node(struct proof *proof, uint64_t node, const struct digest *leaves,
                uint32_t leaf_count);
void proof_zeros(struct proof *proof, uint64_t first_node, uint64_t count);

/* proof_value - the value after everything fed so far, of the disk in which the last fed node lies.
 */
void proof_value(const struct proof *proof, uint8_t value[PROOF_BYTES]);

/* proof_of_empty - the value of a disk of 0 bytes, which has no nodes to feed. */
void proof_of_empty(const struct proof *proof, uint32_t disk, uint8_t value[PROOF_BYTES]);

#endif
