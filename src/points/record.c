/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/record.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/reader.h"
#include "base/writer.h"

#define RECORD_MAGIC 0x74706c72U /* "rlpt" */
#define RECORD_VERSION 1U
#define SHA256_BYTES 32U

static int sha256(struct const_span bytes, uint8_t out[SHA256_BYTES], struct error *err)
{
    unsigned len_bytes = 0;

    if (EVP_Digest(bytes.at, bytes.len_bytes, out, &len_bytes, EVP_sha256(), NULL) != 1 ||
        len_bytes != SHA256_BYTES) {
        return fail(err, ERR_INTERNAL, 0, "the crypto library computes no SHA-256");
    }
    return 0;
}

static void put_disk(struct writer *w, const struct point_disk *disk)
{
    write_text(w, disk->name);
    write_u32(w, (uint32_t)disk->format);
    write_u32(w, (uint32_t)disk->driver);
    write_u64(w, disk->size_bytes);
    write_bytes(w, (struct const_span){disk->proof, PROOF_BYTES});
}

int point_record_encode(const struct point_record *record, struct span buffer,
                        struct const_span *out, struct error *err)
{
    struct writer w = writer_init(buffer);
    uint8_t digest[SHA256_BYTES];

    assert(record->disk_count >= 1 && record->disk_count <= DISKS_MAX);
    assert(record->segments.count <= PROOF_SEGMENTS_MAX);
    write_u32(&w, RECORD_MAGIC);
    write_u32(&w, RECORD_VERSION);
    write_u64(&w, record->number);
    write_u64(&w, record->base);
    write_u64(&w, record->time_ns);
    write_u32(&w, record->disk_count);
    for (uint32_t i = 0; i < record->disk_count; i++) {
        put_disk(&w, &record->disks[i]);
    }
    write_u32(&w, record->segments.count);
    for (uint32_t i = 0; i < record->segments.count; i++) {
        write_u64(&w, record->segments.list[i].first_node);
        write_bytes(&w, (struct const_span){record->segments.list[i].key, DIGEST_KEY_BYTES});
    }
    struct const_span body = writer_done(&w);
    if (body.at == NULL) {
        return fail(err, ERR_INTERNAL, 0, "a point's record does not fit");
    }
    if (sha256(body, digest, err) < 0) {
        return -1;
    }
    write_bytes(&w, (struct const_span){digest, sizeof digest});
    *out = writer_done(&w);
    return out->at == NULL ? fail(err, ERR_INTERNAL, 0, "a point's record does not fit") : 0;
}

/* A name is that of one file in one folder, and nothing else. */
static bool is_file_name(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static bool get_disk(struct reader *r, struct point_disk *disk)
{
    read_text(r, disk->name, sizeof disk->name);
    uint32_t format = read_u32(r);
    uint32_t driver = read_u32(r);
    disk->size_bytes = read_u64(r);
    read_copy(r, (struct span){disk->proof, PROOF_BYTES});
    disk->format = (enum disk_format)format;
    disk->driver = (enum point_driver)driver;
    return !r->bad && is_file_name(disk->name) && format >= DISK_FORMAT_RAW &&
           format <= DISK_FORMAT_VDI && driver >= POINT_DRIVER_FILE && driver <= POINT_DRIVER_LOG &&
           disk->size_bytes <= DISK_SIZE_MAX;
}

static bool get_segments(struct reader *r, struct proof_segments *segments)
{
    segments->count = read_u32(r);
    if (segments->count > PROOF_SEGMENTS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < segments->count; i++) {
        struct proof_segment *segment = &segments->list[i];
        segment->first_node = read_u64(r);
        read_copy(r, (struct span){segment->key, DIGEST_KEY_BYTES});
        bool follows = i == 0 ? segment->first_node == 0
                              : segment->first_node >= segments->list[i - 1].first_node;
        if (!follows) {
            return false;
        }
    }
    return !r->bad;
}

static bool get_record(struct reader *r, struct point_record *record)
{
    record->number = read_u64(r);
    record->base = read_u64(r);
    record->time_ns = read_u64(r);
    record->disk_count = read_u32(r);
    if (record->number == 0 || record->base >= record->number || record->disk_count < 1 ||
        record->disk_count > DISKS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < record->disk_count; i++) {
        if (!get_disk(r, &record->disks[i])) {
            return false;
        }
    }
    return get_segments(r, &record->segments) && reader_done(r);
}

int point_record_decode(struct const_span bytes, struct point_record *out, struct error *err)
{
    struct point_record record = {0};
    uint8_t digest[SHA256_BYTES];

    if (bytes.len_bytes < SHA256_BYTES + 8) {
        return fail(err, ERR_WRONG_STATE, 0, "it is cut off");
    }
    struct const_span body = {bytes.at, bytes.len_bytes - SHA256_BYTES};
    struct reader r = reader_init(body);
    uint32_t magic = read_u32(&r);
    uint32_t version = read_u32(&r);
    if (magic != RECORD_MAGIC) {
        return fail(err, ERR_WRONG_STATE, 0, "it is not a point's record");
    }
    if (version != RECORD_VERSION) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "it is of version %u, and this resilver knows version %u", version,
                    RECORD_VERSION);
    }
    if (sha256(body, digest, err) < 0) {
        return -1;
    }
    if (memcmp(digest, body.at + body.len_bytes, SHA256_BYTES) != 0) {
        return fail(err, ERR_WRONG_STATE, 0, "it is damaged: its checksum is another one");
    }
    if (!get_record(&r, &record)) {
        return fail(err, ERR_WRONG_STATE, 0, "it is damaged: a field is out of its range");
    }
    *out = record;
    return 0;
}
