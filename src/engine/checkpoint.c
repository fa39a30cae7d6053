/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/checkpoint.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/reader.h"
#include "base/writer.h"

#define MAGIC "RSLVCKP2"
#define MAGIC_BYTES 8U
#define SUM_BYTES 32U

static int sum_of(struct const_span bytes, uint8_t sum[SUM_BYTES], struct error *err)
{
    unsigned len = 0;

    if (EVP_Digest(bytes.at, bytes.len_bytes, sum, &len, EVP_sha256(), NULL) != 1 ||
        len != SUM_BYTES) {
        return fail(err, ERR_INTERNAL, 0, "the crypto library offers no SHA-256");
    }
    return 0;
}

static void put_segments(struct writer *w, const struct proof_segments *segments)
{
    write_u32(w, segments->count);
    for (uint32_t i = 0; i < segments->count; i++) {
        write_u64(w, segments->list[i].first_node);
        write_bytes(w, (struct const_span){segments->list[i].key, DIGEST_KEY_BYTES});
    }
}

static void get_segments(struct reader *r, struct proof_segments *segments)
{
    segments->count = read_u32(r);
    r->bad = r->bad || segments->count > PROOF_SEGMENTS_MAX;
    for (uint32_t i = 0; i < segments->count && !r->bad; i++) {
        segments->list[i].first_node = read_u64(r);
        read_copy(r, (struct span){segments->list[i].key, DIGEST_KEY_BYTES});
    }
}

int checkpoint_encode(const struct checkpoint *checkpoint, struct span buffer,
                      struct const_span *out, struct error *err)
{
    struct writer w = writer_init(buffer);
    uint8_t sum[SUM_BYTES];

    write_bytes(&w, (struct const_span){(const uint8_t *)MAGIC, MAGIC_BYTES});
    write_u32(&w, checkpoint->disk_count);
    write_u64(&w, checkpoint->node);
    for (uint32_t i = 0; i < checkpoint->disk_count; i++) {
        write_u64(&w, checkpoint->size_bytes[i]);
        write_bytes(&w, (struct const_span){checkpoint->source_identity[i], DISK_IDENTITY_BYTES});
        write_bytes(&w, (struct const_span){checkpoint->target_identity[i], DISK_IDENTITY_BYTES});
        write_u64(&w, checkpoint->target_groups[i]);
        write_bytes(&w, (struct const_span){checkpoint->proof[i], PROOF_BYTES});
    }
    put_segments(&w, &checkpoint->segments);
    if (sum_of((struct const_span){buffer.at, w.used_bytes}, sum, err) != 0) {
        return -1;
    }
    write_bytes(&w, (struct const_span){sum, sizeof sum});
    struct const_span written = writer_done(&w);
    if (written.at == NULL) {
        return fail(err, ERR_INTERNAL, 0, "a checkpoint of %u disks does not fit its buffer",
                    checkpoint->disk_count);
    }
    *out = written;
    return 0;
}

static int check_sum(struct const_span bytes, struct error *err)
{
    uint8_t sum[SUM_BYTES];

    if (bytes.len_bytes < MAGIC_BYTES + SUM_BYTES || memcmp(bytes.at, MAGIC, MAGIC_BYTES) != 0) {
        return fail(err, ERR_WRONG_STATE, 0, "not a checkpoint of this version");
    }
    size_t body_bytes = bytes.len_bytes - SUM_BYTES;
    if (sum_of((struct const_span){bytes.at, body_bytes}, sum, err) != 0) {
        return -1;
    }
    if (memcmp(sum, bytes.at + body_bytes, SUM_BYTES) != 0) {
        return fail(err, ERR_WRONG_STATE, 0, "the checkpoint is damaged");
    }
    return 0;
}

int checkpoint_decode(struct const_span bytes, struct checkpoint *out, struct error *err)
{
    if (check_sum(bytes, err) != 0) {
        return -1;
    }
    struct reader r = reader_init(
        (struct const_span){bytes.at + MAGIC_BYTES, bytes.len_bytes - MAGIC_BYTES - SUM_BYTES});
    struct checkpoint read = {.disk_count = read_u32(&r)};
    read.node = read_u64(&r);
    if (read.disk_count == 0 || read.disk_count > DISKS_MAX) {
        return fail(err, ERR_WRONG_STATE, 0, "the checkpoint is of %u disks", read.disk_count);
    }
    for (uint32_t i = 0; i < read.disk_count; i++) {
        read.size_bytes[i] = read_u64(&r);
        read_copy(&r, (struct span){read.source_identity[i], DISK_IDENTITY_BYTES});
        read_copy(&r, (struct span){read.target_identity[i], DISK_IDENTITY_BYTES});
        read.target_groups[i] = read_u64(&r);
        read_copy(&r, (struct span){read.proof[i], PROOF_BYTES});
    }
    get_segments(&r, &read.segments);
    if (!reader_done(&r)) {
        return fail(err, ERR_WRONG_STATE, 0, "the checkpoint has the wrong length");
    }
    *out = read;
    return 0;
}

bool checkpoint_identity_known(const uint8_t identity[DISK_IDENTITY_BYTES])
{
    return !span_is_zero((struct const_span){identity, DISK_IDENTITY_BYTES});
}
