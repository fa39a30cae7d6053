/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * digest.h - keyed digests of leaves, nodes and pages (DESIGN section 5).
 *
 * A digest is AES-128 GMAC (NIST SP 800-38D) under the session's secret key, with the kind and the
 * number of what is digested as the nonce. What reads as zeros has the digest of sixteen zero
 * bytes, whatever its length, so that holes cost nothing; under a secret key any other content has
 * that digest with a probability of 2^-128. Digests are compared within one session only.
 */
#ifndef RESILVER_ENGINE_DIGEST_H
#define RESILVER_ENGINE_DIGEST_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/span.h"

#define DIGEST_KEY_BYTES 16U
#define DIGEST_BYTES 16U

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_BYTES) == 0;
}

static inline bool digest_is_zero(const struct digest *digest)
{
    static const struct digest zero = {{0}};
    return digest_equal(digest, &zero);
}

/* The key, ready for use. One thread. */
struct digester;

/* digester_new - Errors: ERR_LIMIT no memory, ERR_INTERNAL the library has no AES-128-GCM. */
MUST_CHECK int digester_new(const uint8_t key[DIGEST_KEY_BYTES], struct digester **out,
                            struct error *err);
void digester_free(struct digester *digester);

/* digester_leaf - of a leaf's bytes (1 .. LEAF_BYTES). `leaf` counts through all disks (layout.h).
 */
struct digest digester_leaf(struct digester *digester, uint64_t leaf, struct const_span bytes);

/* digester_node - of a node from its leaves' digests, which are leaf_count (1 .. LEAVES_PER_NODE).
 */
struct digest digester_node(struct digester *digester, uint64_t node, const struct digest *leaves,
                            uint32_t leaf_count);

/* digester_page - of one 4 KiB page (the disk's last may be shorter). `page` counts through all
 * disks: leaf times PAGES_PER_LEAF plus its index. */
struct digest digester_page(struct digester *digester, uint64_t page, struct const_span bytes);

/* digester_tag - of a frame: `number` is never used twice with one key. */
struct digest digester_tag(struct digester *digester, uint64_t number, struct const_span first,
                           struct const_span second);

#endif
