/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/proof.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/writer.h"

struct proof {
    const struct layout *layout; /* borrowed from the session until proof_free */
    uint8_t key[DIGEST_KEY_BYTES];
    EVP_MD *sha256;      /* owned */
    EVP_MD_CTX *running; /* owned: over what was fed of `disk` */
    EVP_MD_CTX *copy;    /* owned: scratch for proof_value */
    uint32_t disk;
    uint64_t next_node; /* the only node that may be fed next */
};

/* See digest.c: a proof that was not computed must never be shown. */
static void must(int result)
{
    if (result != 1) {
        abort();
    }
}

static void feed_integer(EVP_MD_CTX *ctx, uint64_t value)
{
    uint8_t bytes[8];
    struct writer w = writer_init((struct span){bytes, sizeof bytes});

    write_u64(&w, value);
    must(EVP_DigestUpdate(ctx, bytes, sizeof bytes));
}

static void feed_u64(struct proof *proof, uint64_t value)
{
    feed_integer(proof->running, value);
}

/* What every disk's value begins with. */
static void feed_head(const struct proof *proof, EVP_MD_CTX *ctx, uint32_t disk, uint64_t node)
{
    static const char label[] = "resilver proof 1";

    must(EVP_DigestInit_ex2(ctx, proof->sha256, NULL));
    must(EVP_DigestUpdate(ctx, label, sizeof label - 1));
    must(EVP_DigestUpdate(ctx, proof->key, sizeof proof->key));
    feed_integer(ctx, proof->layout->size_bytes[disk]);
    feed_integer(ctx, node - proof->layout->first_node[disk]);
}

static void begin_disk(struct proof *proof, uint32_t disk, uint64_t node, const uint8_t *earlier)
{
    proof->disk = disk;
    feed_head(proof, proof->running, disk, node);
    if (earlier != NULL) {
        must(EVP_DigestUpdate(proof->running, earlier, PROOF_BYTES));
    }
}

int proof_new(const struct layout *layout, const uint8_t key[DIGEST_KEY_BYTES], struct proof **out,
              struct error *err)
{
    struct proof *proof = calloc(1, sizeof *proof);

    if (proof == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for a session's proof");
    }
    proof->layout = layout;
    memcpy(proof->key, key, sizeof proof->key);
    proof->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    proof->running = EVP_MD_CTX_new();
    proof->copy = EVP_MD_CTX_new();
    if (proof->sha256 == NULL || proof->running == NULL || proof->copy == NULL) {
        proof_free(proof);
        return fail(err, ERR_INTERNAL, 0, "the crypto library offers no SHA-256");
    }
    begin_disk(proof, 0, 0, NULL);
    *out = proof;
    return 0;
}

void proof_free(struct proof *proof)
{
    if (proof == NULL) {
        return;
    }
    EVP_MD_CTX_free(proof->copy);
    EVP_MD_CTX_free(proof->running);
    EVP_MD_free(proof->sha256);
    free(proof);
}

void proof_begin(struct proof *proof, uint64_t node, const uint8_t earlier[PROOF_BYTES])
{
    assert(proof->next_node == 0 && node <= proof->layout->node_count);
    proof->next_node = node;
    if (node < proof->layout->node_count) {
        uint32_t disk = layout_disk_of(proof->layout, node);
        begin_disk(proof, disk, node, node > proof->layout->first_node[disk] ? earlier : NULL);
    }
}

/* Before nodes [first, first + count): begins the next disk where one does. */
static void enter(struct proof *proof, uint64_t first, uint64_t count)
{
    assert(first == proof->next_node && count > 0);
    if (first >= proof->layout->first_node[proof->disk + 1]) {
        begin_disk(proof, layout_disk_of(proof->layout, first), first, NULL);
    }
    assert(first + count <= proof->layout->first_node[proof->disk + 1]);
}

/* After them: a disk's value is complete with the number of its nodes. */
static void leave(struct proof *proof, uint64_t count)
{
    const struct layout *layout = proof->layout;

    proof->next_node += count;
    if (proof->next_node == layout->first_node[proof->disk + 1]) {
        feed_u64(proof, proof->next_node - layout->first_node[proof->disk]);
    }
}

void proof_node(struct proof *proof, uint64_t node, const struct digest *leaves,
                uint32_t leaf_count)
{
    enter(proof, node, 1);
    for (uint32_t i = 0; i < leaf_count; i++) {
        if (!digest_is_zero(&leaves[i])) {
            feed_u64(proof, node - proof->layout->first_node[proof->disk]);
            must(EVP_DigestUpdate(proof->running, leaves, (size_t)leaf_count * DIGEST_BYTES));
            break;
        }
    }
    leave(proof, 1);
}

void proof_zeros(struct proof *proof, uint64_t first_node, uint64_t count)
{
    enter(proof, first_node, count);
    leave(proof, count);
}

void proof_value(const struct proof *proof, uint8_t value[PROOF_BYTES])
{
    unsigned len = 0;

    must(EVP_MD_CTX_copy_ex(proof->copy, proof->running));
    must(EVP_DigestFinal_ex(proof->copy, value, &len));
    assert(len == PROOF_BYTES);
}

void proof_of_empty(const struct proof *proof, uint32_t disk, uint8_t value[PROOF_BYTES])
{
    unsigned len = 0;

    assert(proof->layout->size_bytes[disk] == 0);
    feed_head(proof, proof->copy, disk, proof->layout->first_node[disk]);
    feed_integer(proof->copy, 0);
    must(EVP_DigestFinal_ex(proof->copy, value, &len));
    assert(len == PROOF_BYTES);
}
