/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Invariants:
 * 1. Two digests are computed under the same nonce only if they are of the same thing (the same
 * leaf, say, before and after a change); a kind byte keeps leaves, nodes, pages and frames apart.
 * 2. Digests travel only inside the session, whose link is encrypted or local: who could use a
 * repeated nonce to learn about the key already holds the key.
 */
#include "engine/digest.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum digest_kind { KIND_LEAF = 1, KIND_NODE = 2, KIND_PAGE = 3, KIND_FRAME = 4 };

#define NONCE_BYTES 12U

struct digester {
    EVP_CIPHER *cipher;  /* owned */
    EVP_CIPHER_CTX *ctx; /* owned; keyed once, given a nonce for each digest */
};

int digester_new(const uint8_t key[DIGEST_KEY_BYTES], struct digester **out, struct error *err)
{
    struct digester *digester = calloc(1, sizeof *digester);

    if (digester == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a session's digests");
    }
    digester->cipher = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    digester->ctx = EVP_CIPHER_CTX_new();
    if (digester->cipher == NULL || digester->ctx == NULL ||
        EVP_EncryptInit_ex2(digester->ctx, digester->cipher, key, NULL, NULL) != 1) {
        digester_free(digester);
        return fail(err, ERR_INTERNAL, 0, "the crypto library offers no AES-128-GCM");
    }
    *out = digester;
    return 0;
}

void digester_free(struct digester *digester)
{
    if (digester == NULL) {
        return;
    }
    EVP_CIPHER_CTX_free(digester->ctx);
    EVP_CIPHER_free(digester->cipher);
    free(digester);
}

/*
 * The library can fail in these calls only by misuse or memory corruption. A digest that was not
 * computed must never be compared, so that ends the process.
 */
static void must(int result)
{
    if (result != 1) {
        abort();
    }
}

static struct digest gmac(struct digester *digester, enum digest_kind kind, uint64_t number,
                          struct const_span first, struct const_span second)
{
    uint8_t nonce[NONCE_BYTES] = {(uint8_t)kind};
    struct digest digest;
    int unused = 0;

    assert(first.len_bytes <= INT32_MAX && second.len_bytes <= INT32_MAX);
    for (unsigned i = 0; i < 8; i++) {
        nonce[4 + i] = (uint8_t)(number >> (8 * i));
    }
    must(EVP_EncryptInit_ex2(digester->ctx, NULL, NULL, nonce, NULL));
    must(EVP_EncryptUpdate(digester->ctx, NULL, &unused, first.at, (int)first.len_bytes));
    if (second.len_bytes > 0) {
        must(EVP_EncryptUpdate(digester->ctx, NULL, &unused, second.at, (int)second.len_bytes));
    }
    must(EVP_EncryptFinal_ex(digester->ctx, digest.bytes, &unused));
    must(EVP_CIPHER_CTX_ctrl(digester->ctx, EVP_CTRL_AEAD_GET_TAG, DIGEST_BYTES, digest.bytes));
    return digest;
}

static struct digest gmac_or_zero(struct digester *digester, enum digest_kind kind, uint64_t number,
                                  struct const_span bytes)
{
    assert(bytes.len_bytes > 0);
    if (span_is_zero(bytes)) {
        return (struct digest){{0}};
    }
    return gmac(digester, kind, number, bytes, (struct const_span){NULL, 0});
}

struct digest digester_leaf(struct digester *digester, uint64_t leaf, struct const_span bytes)
{
    assert(bytes.len_bytes <= LEAF_BYTES);
    return gmac_or_zero(digester, KIND_LEAF, leaf, bytes);
}

struct digest digester_node(struct digester *digester, uint64_t node, const struct digest *leaves,
                            uint32_t leaf_count)
{
    assert(leaf_count >= 1 && leaf_count <= LEAVES_PER_NODE);
    return gmac_or_zero(digester, KIND_NODE, node,
                        (struct const_span){leaves[0].bytes, (size_t)leaf_count * DIGEST_BYTES});
}

struct digest digester_page(struct digester *digester, uint64_t page, struct const_span bytes)
{
    assert(bytes.len_bytes <= PAGE_BYTES);
    return gmac_or_zero(digester, KIND_PAGE, page, bytes);
}

struct digest digester_tag(struct digester *digester, uint64_t number, struct const_span first,
                           struct const_span second)
{
    return gmac(digester, KIND_FRAME, number, first, second);
}
