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
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "engine/ghash.h"

enum digest_kind { KIND_LEAF = 1, KIND_NODE = 2, KIND_PAGE = 3, KIND_FRAME = 4 };

#define NONCE_BYTES 12U

struct digester {
    struct ghash_key ghash; /* first, for its alignment */
    bool has_ghash;         /* long messages go through it */
    EVP_CIPHER *cipher;     /* owned */
    EVP_CIPHER_CTX *ctx;    /* owned; keyed once, given a nonce for each digest */
    EVP_CIPHER_CTX *block;  /* owned; the bare block cipher under the same key */
};

/* From here on our own GHASH is the faster one: below, setting up costs more than it saves. */
#define GHASH_WORTH_BYTES 1024U

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

static struct digest gmac_by_library(struct digester *digester, const uint8_t nonce[NONCE_BYTES],
                                     struct const_span first, struct const_span second)
{
    struct digest digest;
    int unused = 0;

    assert(first.len_bytes <= INT32_MAX && second.len_bytes <= INT32_MAX);
    must(EVP_EncryptInit_ex2(digester->ctx, NULL, NULL, nonce, NULL));
    must(EVP_EncryptUpdate(digester->ctx, NULL, &unused, first.at, (int)first.len_bytes));
    if (second.len_bytes > 0) {
        must(EVP_EncryptUpdate(digester->ctx, NULL, &unused, second.at, (int)second.len_bytes));
    }
    must(EVP_EncryptFinal_ex(digester->ctx, digest.bytes, &unused));
    must(EVP_CIPHER_CTX_ctrl(digester->ctx, EVP_CTRL_AEAD_GET_TAG, DIGEST_BYTES, digest.bytes));
    return digest;
}

/* GMAC: GHASH of the message, plus the block cipher's image of the nonce and the counter 1.
 * Source: NIST SP 800-38D, 7.1 and 6.5. */
static struct digest gmac_by_ghash(struct digester *digester, const uint8_t nonce[NONCE_BYTES],
                                   struct const_span bytes)
{
    struct digest digest;
    uint8_t counter[DIGEST_BYTES] = {0};
    uint8_t mask[DIGEST_BYTES];
    int unused = 0;

    memcpy(counter, nonce, NONCE_BYTES);
    counter[DIGEST_BYTES - 1] = 1;
    must(EVP_EncryptUpdate(digester->block, mask, &unused, counter, DIGEST_BYTES));
    ghash(&digester->ghash, bytes, digest.bytes);
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        digest.bytes[i] ^= mask[i];
    }
    return digest;
}

/* Whether our GHASH gives what the library gives: held against it once in every process's digester.
 */
static bool agrees_with_library(struct digester *digester)
{
    static const uint8_t nonce[NONCE_BYTES]; /* kind 0: of no real digest */
    uint8_t sample[GHASH_WORTH_BYTES + 7];

    for (size_t i = 0; i < sizeof sample; i++) {
        sample[i] = (uint8_t)(i * 151 + 7);
    }
    struct const_span bytes = {sample, sizeof sample};
    struct digest ours = gmac_by_ghash(digester, nonce, bytes);
    struct digest theirs = gmac_by_library(digester, nonce, bytes, (struct const_span){NULL, 0});
    return digest_equal(&ours, &theirs);
}

static void init_ghash(struct digester *digester)
{
    static const uint8_t zeros[GHASH_BYTES];
    uint8_t h[GHASH_BYTES];
    int unused = 0;

    if (!ghash_is_here()) {
        return;
    }
    must(EVP_EncryptUpdate(digester->block, h, &unused, zeros, sizeof zeros));
    ghash_key_init(&digester->ghash, h);
    digester->has_ghash = agrees_with_library(digester);
    OPENSSL_cleanse(h, sizeof h);
}

int digester_new(const uint8_t key[DIGEST_KEY_BYTES], struct digester **out, struct error *err)
{
    struct digester *digester = aligned_alloc(_Alignof(struct digester), sizeof *digester);

    if (digester == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a session's digests");
    }
    memset(digester, 0, sizeof *digester);
    digester->cipher = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    digester->ctx = EVP_CIPHER_CTX_new();
    digester->block = EVP_CIPHER_CTX_new();
    if (digester->cipher == NULL || digester->ctx == NULL || digester->block == NULL ||
        EVP_EncryptInit_ex2(digester->ctx, digester->cipher, key, NULL, NULL) != 1 ||
        EVP_EncryptInit_ex2(digester->block, EVP_aes_128_ecb(), key, NULL, NULL) != 1) {
        digester_free(digester);
        return fail(err, ERR_INTERNAL, 0, "the crypto library offers no AES-128-GCM");
    }
    init_ghash(digester);
    *out = digester;
    return 0;
}

void digester_free(struct digester *digester)
{
    if (digester == NULL) {
        return;
    }
    EVP_CIPHER_CTX_free(digester->block);
    EVP_CIPHER_CTX_free(digester->ctx);
    EVP_CIPHER_free(digester->cipher);
    OPENSSL_cleanse(digester, sizeof *digester);
    free(digester);
}

static struct digest gmac(struct digester *digester, enum digest_kind kind, uint64_t number,
                          struct const_span first, struct const_span second)
{
    uint8_t nonce[NONCE_BYTES] = {(uint8_t)kind};

    for (unsigned i = 0; i < 8; i++) {
        nonce[4 + i] = (uint8_t)(number >> (8 * i));
    }
    if (digester->has_ghash && second.len_bytes == 0 && first.len_bytes >= GHASH_WORTH_BYTES) {
        return gmac_by_ghash(digester, nonce, first);
    }
    return gmac_by_library(digester, nonce, first, second);
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
