/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/log_pages.h"

#include <assert.h>
#include <openssl/evp.h>

#include "base/reader.h"
#include "base/writer.h"

#define HEAD_MAGIC "RSLVLOG1"
#define INDEX_MAGIC "RSLVGRP1"
#define MAGIC_BYTES 8U
#define VERSION 1U
#define SHA256_BYTES 32U
#define ENTRY_DATA 1U
#define ENTRY_ZEROS 2U

static struct const_span text_of(const char *magic)
{
    return (struct const_span){(const uint8_t *)magic, MAGIC_BYTES};
}

static void write_padding(struct writer *w, size_t up_to_bytes)
{
    assert(w->used_bytes <= up_to_bytes && up_to_bytes <= w->buffer.len_bytes);
    memset(w->buffer.at + w->used_bytes, 0, up_to_bytes - w->used_bytes);
    w->used_bytes = up_to_bytes;
}

/* --- the head -------------------------------------------------------------------------------- */

#define HEAD_BODY_BYTES (LOG_HEAD_BYTES - SHA256_BYTES)

static int sha256(const uint8_t *page, uint8_t out[SHA256_BYTES], struct error *err)
{
    unsigned len_bytes = 0;

    if (EVP_Digest(page, HEAD_BODY_BYTES, out, &len_bytes, EVP_sha256(), NULL) != 1 ||
        len_bytes != SHA256_BYTES) {
        return fail(err, ERR_INTERNAL, 0, "the crypto library computes no SHA-256");
    }
    return 0;
}

int log_head_encode(struct log_head *head, uint8_t *page, struct error *err)
{
    struct writer w = writer_init((struct span){page, LOG_HEAD_BYTES});
    uint8_t sum[SHA256_BYTES];

    write_bytes(&w, text_of(HEAD_MAGIC));
    write_u32(&w, VERSION);
    write_u32(&w, (uint32_t)head->kind);
    write_bytes(&w, (struct const_span){head->id, LOG_ID_BYTES});
    write_bytes(&w, (struct const_span){head->key, DIGEST_KEY_BYTES});
    write_u64(&w, head->disk_bytes);
    write_padding(&w, HEAD_BODY_BYTES);
    if (sha256(page, sum, err) < 0) {
        return -1;
    }
    write_bytes(&w, (struct const_span){sum, sizeof sum});
    assert(writer_done(&w).len_bytes == LOG_HEAD_BYTES);
    memcpy(head->check.bytes, sum, DIGEST_BYTES);
    return 0;
}

static bool read_head(struct reader *r, struct log_head *head)
{
    uint32_t kind = read_u32(r);

    read_copy(r, (struct span){head->id, LOG_ID_BYTES});
    read_copy(r, (struct span){head->key, DIGEST_KEY_BYTES});
    head->disk_bytes = read_u64(r);
    head->kind = (enum log_kind)kind;
    bool is_padded = span_is_zero(read_rest(r));
    return reader_done(r) && is_padded && kind >= LOG_JOURNAL && kind <= LOG_UNDO &&
           head->disk_bytes <= DISK_SIZE_MAX;
}

int log_head_decode(const uint8_t *page, struct log_head *out, struct error *err)
{
    struct reader r = reader_init((struct const_span){page, HEAD_BODY_BYTES});
    struct log_head head = {0};
    uint8_t sum[SHA256_BYTES];

    struct const_span magic = read_bytes(&r, MAGIC_BYTES);
    uint32_t version = read_u32(&r);
    if (memcmp(magic.at, HEAD_MAGIC, MAGIC_BYTES) != 0) {
        return fail(err, ERR_WRONG_STATE, 0, "it is not a log of resilver's");
    }
    if (version != VERSION) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "it is of version %u, and this resilver knows version %u", version, VERSION);
    }
    if (sha256(page, sum, err) < 0) {
        return -1;
    }
    if (memcmp(sum, page + HEAD_BODY_BYTES, sizeof sum) != 0) {
        return fail(err, ERR_WRONG_STATE, 0, "its head is damaged: its checksum is another one");
    }
    if (!read_head(&r, &head)) {
        return fail(err, ERR_WRONG_STATE, 0, "its head is damaged: a field is out of its range");
    }
    memcpy(head.check.bytes, sum, DIGEST_BYTES);
    *out = head;
    return 0;
}

/* --- indexes --------------------------------------------------------------------------------- */

#define INDEX_BODY_BYTES (LOG_INDEX_BYTES - DIGEST_BYTES)

static struct digest index_check(struct digester *digester, uint64_t offset_bytes,
                                 const uint8_t *index)
{
    return digester_tag(digester, offset_bytes, (struct const_span){index, INDEX_BODY_BYTES},
                        (struct const_span){NULL, 0});
}

static void write_entry(struct writer *w, const struct log_entry *entry)
{
    write_u32(w, entry->where == LOG_DATA ? ENTRY_DATA : ENTRY_ZEROS);
    write_u32(w, entry->count);
    write_u64(w, entry->first_leaf);
    write_u32(w, entry->len_bytes);
    write_bytes(w, (struct const_span){entry->check.bytes, DIGEST_BYTES});
}

struct digest log_index_encode(const struct log_group *group, struct digester *digester,
                               uint8_t *index)
{
    struct writer w = writer_init((struct span){index, LOG_INDEX_BYTES});

    assert(group->entry_count >= 1 && group->entry_count <= LOG_GROUP_ENTRIES_MAX);
    assert(group->synced < group->sequence);
    write_bytes(&w, text_of(INDEX_MAGIC));
    write_u64(&w, group->sequence);
    write_u64(&w, group->offset_bytes);
    write_u64(&w, group->len_bytes);
    write_u64(&w, group->synced);
    write_u64(&w, group->opening);
    write_bytes(&w, (struct const_span){group->previous.bytes, DIGEST_BYTES});
    write_u32(&w, group->entry_count);
    for (uint32_t i = 0; i < group->entry_count; i++) {
        write_entry(&w, &group->entries[i]);
    }
    write_padding(&w, INDEX_BODY_BYTES);
    struct digest check = index_check(digester, group->offset_bytes, index);
    write_bytes(&w, (struct const_span){check.bytes, DIGEST_BYTES});
    assert(writer_done(&w).len_bytes == LOG_INDEX_BYTES);
    return check;
}

/* Reads one entry; adds to *len_bytes what it takes of the medium. */
static bool read_entry(struct reader *r, uint64_t disk_bytes, struct log_entry *entry,
                       uint64_t *len_bytes)
{
    uint64_t leaf_count = log_leaf_count(disk_bytes);
    uint32_t kind = read_u32(r);

    entry->count = read_u32(r);
    entry->first_leaf = read_u64(r);
    entry->len_bytes = read_u32(r);
    read_copy(r, (struct span){entry->check.bytes, DIGEST_BYTES});
    if (r->bad || entry->count == 0 || entry->first_leaf >= leaf_count ||
        entry->count > leaf_count - entry->first_leaf) {
        return false;
    }
    entry->where = kind == ENTRY_DATA ? LOG_DATA : LOG_ZEROS;
    if (kind == ENTRY_ZEROS) {
        return entry->len_bytes == 0 && digest_is_zero(&entry->check);
    }
    *len_bytes += log_stored_bytes(entry->len_bytes);
    return kind == ENTRY_DATA && entry->count == 1 &&
           entry->len_bytes == log_leaf_bytes(disk_bytes, entry->first_leaf);
}

static bool read_group(struct reader *r, uint64_t disk_bytes, struct log_group *group)
{
    uint64_t len_bytes = LOG_INDEX_BYTES;

    group->sequence = read_u64(r);
    group->offset_bytes = read_u64(r);
    group->len_bytes = read_u64(r);
    group->synced = read_u64(r);
    group->opening = read_u64(r);
    read_copy(r, (struct span){group->previous.bytes, DIGEST_BYTES});
    group->entry_count = read_u32(r);
    if (r->bad || group->synced >= group->sequence || group->entry_count < 1 ||
        group->entry_count > LOG_GROUP_ENTRIES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < group->entry_count; i++) {
        if (!read_entry(r, disk_bytes, &group->entries[i], &len_bytes)) {
            return false;
        }
    }
    bool is_padded = span_is_zero(read_rest(r));
    return reader_done(r) && is_padded && group->len_bytes == len_bytes;
}

bool log_index_is_near(const uint8_t *bytes)
{
    return memcmp(bytes, INDEX_MAGIC, MAGIC_BYTES) == 0;
}

bool log_index_decode(const uint8_t *index, uint64_t offset_bytes, struct digester *digester,
                      uint64_t disk_bytes, struct log_group *out, struct digest *out_check)
{
    if (!log_index_is_near(index)) {
        return false;
    }
    struct digest check = index_check(digester, offset_bytes, index);
    if (memcmp(check.bytes, index + INDEX_BODY_BYTES, DIGEST_BYTES) != 0) {
        return false;
    }
    struct reader r =
        reader_init((struct const_span){index + MAGIC_BYTES, INDEX_BODY_BYTES - MAGIC_BYTES});
    if (!read_group(&r, disk_bytes, out) || out->offset_bytes != offset_bytes) {
        return false;
    }
    *out_check = check;
    return true;
}
