/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Digests held against the library's own GMAC, reached by its other interface (EVP_MAC), for every
 * length and alignment that matters.
 */
#include "engine/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/ghash.h"

static const uint8_t key[DIGEST_KEY_BYTES] = {9, 8, 7,   6,   5,   4,   3,   2,
                                              1, 0, 250, 251, 252, 253, 254, 255};

static void fill(uint8_t *bytes, size_t len_bytes, uint32_t seed)
{
    for (size_t i = 0; i < len_bytes; i++) {
        seed = seed * 1664525U + 1013904223U;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

/* The oracle: kind, 3 zeros, the number, as WIRE.md section 4 says. */
static struct digest gmac_of(uint8_t kind, uint64_t number, struct const_span bytes)
{
    struct digest digest;
    uint8_t nonce[12] = {kind};
    char cipher[] = "AES-128-GCM";
    size_t len = 0;

    memcpy(nonce + 4, &number, 8);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, nonce, sizeof nonce),
        OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "GMAC", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    assert_int_equal(EVP_MAC_init(ctx, key, sizeof key, params), 1);
    assert_int_equal(EVP_MAC_update(ctx, bytes.at, bytes.len_bytes), 1);
    assert_int_equal(EVP_MAC_final(ctx, digest.bytes, &len, sizeof digest.bytes), 1);
    assert_int_equal(len, DIGEST_BYTES);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    return digest;
}

static struct digester *new_digester(void)
{
    struct digester *digester = NULL;

    assert_int_equal(digester_new(key, &digester, NULL), 0);
    return digester;
}

static void a_leaf_has_the_standard_gmac_at_every_length(void **state)
{
    (void)state;
    struct digester *digester = new_digester();
    uint8_t *bytes = malloc(LEAF_BYTES);

    fill(bytes, LEAF_BYTES, 1);
    for (size_t len = 1; len <= LEAF_BYTES; len += len < 2100 ? 1 : 997) {
        struct const_span leaf = {bytes, len};
        struct digest ours = digester_leaf(digester, len * 77, leaf);
        struct digest theirs = gmac_of(1, len * 77, leaf);
        assert_memory_equal(ours.bytes, theirs.bytes, DIGEST_BYTES);
    }
    struct const_span whole = {bytes, LEAF_BYTES};
    struct digest ours = digester_leaf(digester, UINT64_MAX, whole);
    struct digest theirs = gmac_of(1, UINT64_MAX, whole);
    assert_memory_equal(ours.bytes, theirs.bytes, DIGEST_BYTES);
    free(bytes);
    digester_free(digester);
}

static void alignment_does_not_matter(void **state)
{
    (void)state;
    struct digester *digester = new_digester();
    uint8_t *bytes = malloc(8192);

    for (size_t shift = 0; shift < 64; shift++) {
        fill(bytes + shift, 4096, 7);
        struct const_span leaf = {bytes + shift, 4096};
        struct digest ours = digester_leaf(digester, 3, leaf);
        struct digest theirs = gmac_of(1, 3, leaf);
        assert_memory_equal(ours.bytes, theirs.bytes, DIGEST_BYTES);
    }
    free(bytes);
    digester_free(digester);
}

static void kinds_and_numbers_give_different_digests(void **state)
{
    (void)state;
    struct digester *digester = new_digester();
    uint8_t bytes[PAGE_BYTES];
    struct const_span page = {bytes, sizeof bytes};

    fill(bytes, sizeof bytes, 3);
    struct digest leaf = digester_leaf(digester, 5, page);
    struct digest other_leaf = digester_leaf(digester, 6, page);
    struct digest as_page = digester_page(digester, 5, page);
    struct digest expected = gmac_of(3, 5, page);
    assert_false(digest_equal(&leaf, &other_leaf));
    assert_false(digest_equal(&leaf, &as_page));
    assert_true(digest_equal(&as_page, &expected));
    digester_free(digester);
}

static void one_bit_changes_the_digest(void **state)
{
    (void)state;
    struct digester *digester = new_digester();
    uint8_t *bytes = malloc(LEAF_BYTES);

    fill(bytes, LEAF_BYTES, 4);
    struct const_span leaf = {bytes, LEAF_BYTES};
    struct digest before = digester_leaf(digester, 0, leaf);
    for (size_t at = 0; at < LEAF_BYTES; at += 1021) {
        bytes[at] ^= (uint8_t)(1U << at % 8);
        struct digest after = digester_leaf(digester, 0, leaf);
        assert_false(digest_equal(&before, &after));
        bytes[at] ^= (uint8_t)(1U << at % 8);
    }
    free(bytes);
    digester_free(digester);
}

static void zeros_of_any_length_have_the_digest_of_zeros(void **state)
{
    (void)state;
    struct digester *digester = new_digester();
    uint8_t *bytes = calloc(1, LEAF_BYTES);
    struct digest leaves[LEAVES_PER_NODE] = {0};

    for (size_t len = 1; len <= LEAF_BYTES; len += 4093) {
        struct digest digest = digester_leaf(digester, len, (struct const_span){bytes, len});
        assert_true(digest_is_zero(&digest));
        bytes[len - 1] = 1;
        digest = digester_leaf(digester, len, (struct const_span){bytes, len});
        assert_false(digest_is_zero(&digest));
        bytes[len - 1] = 0;
    }
    struct digest node = digester_node(digester, 9, leaves, LEAVES_PER_NODE);
    assert_true(digest_is_zero(&node));
    leaves[31].bytes[15] = 1;
    node = digester_node(digester, 9, leaves, LEAVES_PER_NODE);
    assert_false(digest_is_zero(&node));
    struct digest expected = gmac_of(2, 9, (struct const_span){leaves[0].bytes, sizeof leaves});
    assert_true(digest_equal(&node, &expected));
    free(bytes);
    digester_free(digester);
}

/* H of test case 2 of the GCM specification. */
static void ghash_of_the_empty_message_is_zero(void **state)
{
    (void)state;
    struct ghash_key hash_key;
    uint8_t out[GHASH_BYTES];
    const uint8_t h[GHASH_BYTES] = {0x66, 0xe9, 0x4b, 0xd4, 0xef, 0x8a, 0x2c, 0x3b,
                                    0x88, 0x4c, 0xfa, 0x59, 0xca, 0x34, 0x2b, 0x2e};
    const uint8_t zeros[GHASH_BYTES] = {0};

    if (!ghash_is_here()) {
        skip();
    }
    ghash_key_init(&hash_key, h);
    ghash(&hash_key, (struct const_span){NULL, 0}, out);
    assert_memory_equal(out, zeros, GHASH_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_has_the_standard_gmac_at_every_length),
        cmocka_unit_test(alignment_does_not_matter),
        cmocka_unit_test(kinds_and_numbers_give_different_digests),
        cmocka_unit_test(one_bit_changes_the_digest),
        cmocka_unit_test(zeros_of_any_length_have_the_digest_of_zeros),
        cmocka_unit_test(ghash_of_the_empty_message_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
