/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The running proof held against SHA-256 over the bytes that engine/proof.h lists, put together
 * here by hand.
 */
#include "engine/proof.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t key[DIGEST_KEY_BYTES] = {1, 2,  3,  4,  5,  6,  7,  8,
                                              9, 10, 11, 12, 13, 14, 15, 16};

struct bytes {
    uint8_t at[4096];
    size_t len_bytes;
};

static void add(struct bytes *bytes, const void *from, size_t len_bytes)
{
    memcpy(bytes->at + bytes->len_bytes, from, len_bytes);
    bytes->len_bytes += len_bytes;
}

static void add_u64(struct bytes *bytes, uint64_t value)
{
    add(bytes, &value, sizeof value); /* this test runs where integers are little-endian */
}

static void begin(struct bytes *bytes, uint64_t size, uint64_t node)
{
    bytes->len_bytes = 0;
    add(bytes, "resilver proof 1", 16);
    add(bytes, key, sizeof key);
    add_u64(bytes, size);
    add_u64(bytes, node);
}

static void expect(const struct proof *proof, const struct bytes *bytes)
{
    uint8_t ours[PROOF_BYTES];
    uint8_t expected[PROOF_BYTES];

    proof_value(proof, ours);
    assert_int_equal(EVP_Digest(bytes->at, bytes->len_bytes, expected, NULL, EVP_sha256(), NULL),
                     1);
    assert_memory_equal(ours, expected, PROOF_BYTES);
}

static struct proof *new_proof(struct layout *layout, uint32_t disk_count, const uint64_t *sizes)
{
    struct proof *proof = NULL;

    assert_int_equal(layout_init(layout, disk_count, sizes, NULL), 0);
    assert_int_equal(proof_new(layout, key, &proof, NULL), 0);
    return proof;
}

static void it_is_the_hash_of_what_was_settled(void **state)
{
    (void)state;
    const uint64_t sizes[] = {5 * NODE_BYTES, 0, 10};
    struct digest leaves[LEAVES_PER_NODE] = {{{0}}};
    struct layout layout;
    struct bytes bytes;
    struct proof *proof = new_proof(&layout, 3, sizes);

    leaves[3].bytes[0] = 42;
    begin(&bytes, sizes[0], 0);
    expect(proof, &bytes);
    proof_zeros(proof, 0, 2);
    expect(proof, &bytes); /* zeros add nothing but the numbers that follow them */
    proof_node(proof, 2, leaves, LEAVES_PER_NODE);
    add_u64(&bytes, 2);
    add(&bytes, leaves, sizeof leaves);
    expect(proof, &bytes);
    proof_zeros(proof, 3, 2);
    add_u64(&bytes, 5);
    expect(proof, &bytes);

    proof_node(proof, 5, leaves + 3, 1); /* the third disk, of one leaf */
    begin(&bytes, 10, 0);
    add_u64(&bytes, 0);
    add(&bytes, &leaves[3], DIGEST_BYTES);
    add_u64(&bytes, 1);
    expect(proof, &bytes);
    proof_free(proof);
}

static void a_node_of_zero_leaves_is_the_same_as_zeros(void **state)
{
    (void)state;
    const uint64_t size = NODE_BYTES;
    const struct digest leaves[LEAVES_PER_NODE] = {{{0}}};
    uint8_t a[PROOF_BYTES];
    uint8_t b[PROOF_BYTES];
    struct layout layout;
    struct proof *one = new_proof(&layout, 1, &size);
    struct proof *two = new_proof(&layout, 1, &size);

    proof_node(one, 0, leaves, LEAVES_PER_NODE);
    proof_zeros(two, 0, 1);
    proof_value(one, a);
    proof_value(two, b);
    assert_memory_equal(a, b, PROOF_BYTES);
    proof_free(one);
    proof_free(two);
}

static void a_resumed_run_carries_the_earlier_value_on(void **state)
{
    (void)state;
    const uint64_t size = 4 * NODE_BYTES;
    uint8_t earlier[PROOF_BYTES] = {7, 7, 7};
    struct layout layout;
    struct bytes bytes;
    struct proof *proof = new_proof(&layout, 1, &size);

    proof_begin(proof, 3, earlier);
    begin(&bytes, size, 3);
    add(&bytes, earlier, sizeof earlier);
    expect(proof, &bytes);
    proof_zeros(proof, 3, 1);
    add_u64(&bytes, 4);
    expect(proof, &bytes);
    proof_free(proof);
}

static void an_empty_disk_has_a_proof_too(void **state)
{
    (void)state;
    const uint64_t size = 0;
    uint8_t ours[PROOF_BYTES];
    uint8_t expected[PROOF_BYTES];
    struct layout layout;
    struct bytes bytes;
    struct proof *proof = new_proof(&layout, 1, &size);

    proof_of_empty(proof, 0, ours);
    begin(&bytes, 0, 0);
    add_u64(&bytes, 0);
    assert_int_equal(EVP_Digest(bytes.at, bytes.len_bytes, expected, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(ours, expected, PROOF_BYTES);
    proof_free(proof);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_hash_of_what_was_settled),
        cmocka_unit_test(a_node_of_zero_leaves_is_the_same_as_zeros),
        cmocka_unit_test(a_resumed_run_carries_the_earlier_value_on),
        cmocka_unit_test(an_empty_disk_has_a_proof_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
