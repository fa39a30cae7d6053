/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/message.h"

#include <stdlib.h>
#include <string.h>

#define DISKS_FACTS_BYTES (8U + DISK_IDENTITY_BYTES)
#define BYE_DISK_BYTES 40U

static const struct message_kind kinds[MESSAGE_TYPE_MAX + 1] = {
    [MESSAGE_HELLO] = {"HELLO", true, true, 50, 1024, MESSAGE_ALL_TAGGED},
    [MESSAGE_OPEN] = {"OPEN", true, true, 20, FRAME_PAYLOAD_MAX, MESSAGE_ALL_TAGGED},
    [MESSAGE_DISKS] = {"DISKS", true, false, 2 + DISKS_FACTS_BYTES,
                       2 + DISKS_MAX *DISKS_FACTS_BYTES, MESSAGE_ALL_TAGGED},
    [MESSAGE_BEGIN] = {"BEGIN", false, true, 10, 10 + DISKS_MAX *PROOF_BYTES, MESSAGE_ALL_TAGGED},
    [MESSAGE_NODES] = {"NODES", false, true, 24, 8 + NODES_PER_FRAME_MAX *DIGEST_BYTES,
                       MESSAGE_ALL_TAGGED},
    [MESSAGE_ZEROS] = {"ZEROS", false, true, 17, 17, MESSAGE_ALL_TAGGED},
    [MESSAGE_WANT_LEAVES] = {"WANT_LEAVES", true, false, 8, 8 * WANTS_PER_FRAME_MAX,
                             MESSAGE_ALL_TAGGED},
    [MESSAGE_LEAVES] = {"LEAVES", false, true, 24, 8 + LEAVES_PER_NODE *DIGEST_BYTES,
                        MESSAGE_ALL_TAGGED},
    [MESSAGE_WANT_PAGES] = {"WANT_PAGES", true, false, 8, 8 * WANTS_PER_FRAME_MAX,
                            MESSAGE_ALL_TAGGED},
    [MESSAGE_PAGES] = {"PAGES", false, true, 24, 8 + PAGES_PER_LEAF *DIGEST_BYTES,
                       MESSAGE_ALL_TAGGED},
    [MESSAGE_DATA] = {"DATA", true, false, MESSAGE_DATA_HEAD_BYTES + 1,
                      MESSAGE_DATA_HEAD_BYTES + LEAF_BYTES, MESSAGE_DATA_HEAD_BYTES},
    [MESSAGE_ZERO] = {"ZERO", true, false, 12, 12, MESSAGE_ALL_TAGGED},
    [MESSAGE_DONE] = {"DONE", true, false, 41, 41, MESSAGE_ALL_TAGGED},
    [MESSAGE_SEAL] = {"SEAL", true, false, 0, 0, MESSAGE_ALL_TAGGED},
    [MESSAGE_SEALED] = {"SEALED", false, true, 18, 2 + DISKS_MAX * 16, MESSAGE_ALL_TAGGED},
    [MESSAGE_BYE] = {"BYE", true, false, 26 + BYE_DISK_BYTES, 26 + DISKS_MAX *BYE_DISK_BYTES,
                     MESSAGE_ALL_TAGGED},
    [MESSAGE_FAIL] = {"FAIL", true, true, 18, 18 + ERROR_DISK_MAX + ERROR_MESSAGE_MAX,
                      MESSAGE_ALL_TAGGED},
    [MESSAGE_PING] = {"PING", true, true, 0, 0, MESSAGE_ALL_TAGGED},
    [MESSAGE_BEHIND] = {"BEHIND", false, true, 1, 1, MESSAGE_ALL_TAGGED},
};

const struct message_kind *message_kind(uint8_t type)
{
    return type > MESSAGE_INVALID && type <= MESSAGE_TYPE_MAX ? &kinds[type] : NULL;
}

/* One sentence for every message that is not what it should be: the peer is broken or hostile; its
 * user can only update it. */
static int malformed(enum message_type type, struct error *err)
{
    return fail(
        err, ERR_PEER, 0,
        "the peer sent a malformed %s message; are both sides the same version of resilver?",
        kinds[type].name);
}

static void write_digests(struct writer *w, const struct digest *digests, uint32_t count)
{
    write_bytes(w, (struct const_span){digests[0].bytes, (size_t)count * DIGEST_BYTES});
}

/* The rest of a payload as digests; 0 when it is none or more than max. */
static uint32_t read_digests(struct reader *r, struct digest *digests, uint32_t max)
{
    size_t count = r->left_bytes / DIGEST_BYTES;

    if (r->left_bytes % DIGEST_BYTES != 0 || count > max) {
        r->bad = true;
        return 0;
    }
    read_copy(r, (struct span){digests[0].bytes, count * DIGEST_BYTES});
    return (uint32_t)count;
}

static bool read_bool(struct reader *r)
{
    uint8_t value = read_u8(r);

    r->bad = r->bad || value > 1;
    return value == 1;
}

void message_put_hello(struct writer *w, const struct message_hello *m)
{
    write_bytes(w, (struct const_span){(const uint8_t *)HELLO_MAGIC, HELLO_MAGIC_BYTES});
    write_u16(w, m->version_min);
    write_u16(w, m->version_max);
    write_u32(w, m->features);
    write_bytes(w, (struct const_span){m->random, sizeof m->random});
    write_text(w, m->software);
}

int message_get_hello(struct const_span payload, struct message_hello *m, struct error *err)
{
    struct reader r = reader_init(payload);
    struct const_span magic = read_bytes(&r, HELLO_MAGIC_BYTES);

    if (r.bad || memcmp(magic.at, HELLO_MAGIC, HELLO_MAGIC_BYTES) != 0) {
        return fail(err, ERR_PEER, 0, "the peer is not resilver");
    }
    m->version_min = read_u16(&r);
    m->version_max = read_u16(&r);
    m->features = read_u32(&r);
    read_copy(&r, (struct span){m->random, sizeof m->random});
    read_text(&r, m->software, sizeof m->software);
    (void)read_rest(&r); /* a later version may add to its HELLO */
    if (!reader_done(&r) || m->version_min == 0 || m->version_min > m->version_max) {
        return malformed(MESSAGE_HELLO, err);
    }
    return 0;
}

void message_put_open(struct writer *w, const struct session_config *config)
{
    write_u8(w, config->role == ROLE_SOURCE ? ROLE_TARGET : ROLE_SOURCE);
    write_u32(w, config->flags);
    write_u8(w, (uint8_t)config->compress);
    write_u8(w, (uint8_t)config->refine);
    write_u64(w, config->rate_bytes_per_s);
    write_u16(w, (uint16_t)config->disk_count);
    for (uint32_t i = 0; i < config->disk_count; i++) {
        write_u8(w, (uint8_t)config->remote_disks[i].format);
        write_text(w, config->remote_disks[i].name);
    }
}

static void read_open_names(struct reader *r, struct message_open *m)
{
    char *at = m->names;

    for (uint32_t i = 0; i < m->disk_count; i++) {
        m->formats[i] = read_u8(r);
        read_text(r, at, PATH_TEXT_MAX);
        r->bad = r->bad || m->formats[i] > DISK_FORMAT_VDI || at[0] == '\0';
        at += strlen(at) + 1;
    }
}

int message_get_open(struct const_span payload, struct message_open *m, struct error *err)
{
    struct reader r = reader_init(payload);

    *m = (struct message_open){.role = (enum session_role)read_u8(&r)};
    m->flags = read_u32(&r);
    m->compress = (enum session_when)read_u8(&r);
    m->refine = (enum session_when)read_u8(&r);
    m->rate_bytes_per_s = read_u64(&r);
    m->disk_count = read_u16(&r);
    if (r.bad || m->disk_count == 0 || m->disk_count > DISKS_MAX ||
        (m->flags & ~SESSION_OPEN_FLAGS) != 0 ||
        (m->role != ROLE_SOURCE && m->role != ROLE_TARGET) || m->compress > WHEN_NEVER ||
        m->refine > WHEN_NEVER) {
        return malformed(MESSAGE_OPEN, err);
    }
    /* Each name's length and NUL fit in the bytes that its u16 and its text took, so the payload
     * bounds this. */
    m->names = calloc(1, payload.len_bytes + PATH_TEXT_MAX);
    if (m->names == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for the names of %u disks", m->disk_count);
    }
    read_open_names(&r, m);
    if (!reader_done(&r)) {
        message_open_done(m);
        return malformed(MESSAGE_OPEN, err);
    }
    return 0;
}

void message_open_done(struct message_open *m)
{
    free(m->names);
    m->names = NULL;
}

void message_put_disks(struct writer *w, const struct message_disks *m)
{
    write_u16(w, (uint16_t)m->disk_count);
    for (uint32_t i = 0; i < m->disk_count; i++) {
        write_u64(w, m->facts[i].size_bytes);
        write_bytes(w, (struct const_span){m->facts[i].identity, DISK_IDENTITY_BYTES});
    }
}

int message_get_disks(struct const_span payload, struct message_disks *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->disk_count = read_u16(&r);
    if (m->disk_count == 0 || m->disk_count > DISKS_MAX) {
        return malformed(MESSAGE_DISKS, err);
    }
    for (uint32_t i = 0; i < m->disk_count; i++) {
        m->facts[i].size_bytes = read_u64(&r);
        read_copy(&r, (struct span){m->facts[i].identity, DISK_IDENTITY_BYTES});
        r.bad = r.bad || m->facts[i].size_bytes > DISK_SIZE_MAX;
    }
    return reader_done(&r) ? 0 : malformed(MESSAGE_DISKS, err);
}

void message_put_begin(struct writer *w, const struct message_begin *m)
{
    write_u64(w, m->node);
    write_u16(w, (uint16_t)m->proof_count);
    write_bytes(w, (struct const_span){m->proofs[0], (size_t)m->proof_count * PROOF_BYTES});
}

int message_get_begin(struct const_span payload, struct message_begin *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->node = read_u64(&r);
    m->proof_count = read_u16(&r);
    if (m->proof_count > DISKS_MAX) {
        return malformed(MESSAGE_BEGIN, err);
    }
    read_copy(&r, (struct span){m->proofs[0], (size_t)m->proof_count * PROOF_BYTES});
    return reader_done(&r) ? 0 : malformed(MESSAGE_BEGIN, err);
}

void message_put_nodes(struct writer *w, const struct message_nodes *m)
{
    write_u64(w, m->first_node);
    write_digests(w, m->digests, m->count);
}

int message_get_nodes(struct const_span payload, struct message_nodes *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->first_node = read_u64(&r);
    m->count = read_digests(&r, m->digests, NODES_PER_FRAME_MAX);
    return reader_done(&r) && m->count > 0 ? 0 : malformed(MESSAGE_NODES, err);
}

void message_put_zeros(struct writer *w, const struct message_zeros *m)
{
    write_u64(w, m->first_node);
    write_u64(w, m->count);
    write_u8(w, m->was_read ? 1 : 0);
}

int message_get_zeros(struct const_span payload, struct message_zeros *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->first_node = read_u64(&r);
    m->count = read_u64(&r);
    m->was_read = read_bool(&r);
    return reader_done(&r) && m->count > 0 ? 0 : malformed(MESSAGE_ZEROS, err);
}

void message_put_want(struct writer *w, const struct message_want *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        write_u64(w, m->numbers[i]);
    }
}

int message_get_want(struct const_span payload, struct message_want *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->count = 0;
    while (r.left_bytes > 0 && !r.bad && m->count < WANTS_PER_FRAME_MAX) {
        m->numbers[m->count++] = read_u64(&r);
    }
    return reader_done(&r) && m->count > 0 ? 0 : malformed(MESSAGE_WANT_LEAVES, err);
}

void message_put_leaves(struct writer *w, const struct message_leaves *m)
{
    write_u64(w, m->node);
    write_digests(w, m->digests, m->count);
}

int message_get_leaves(struct const_span payload, struct message_leaves *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->node = read_u64(&r);
    m->count = read_digests(&r, m->digests, LEAVES_PER_NODE);
    return reader_done(&r) && m->count > 0 ? 0 : malformed(MESSAGE_LEAVES, err);
}

void message_put_pages(struct writer *w, const struct message_pages *m)
{
    write_u64(w, m->leaf);
    write_digests(w, m->digests, m->count);
}

int message_get_pages(struct const_span payload, struct message_pages *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->leaf = read_u64(&r);
    m->count = read_digests(&r, m->digests, PAGES_PER_LEAF);
    return reader_done(&r) && m->count > 0 ? 0 : malformed(MESSAGE_PAGES, err);
}

void message_put_data(struct writer *w, const struct message_data *m)
{
    write_u64(w, m->leaf);
    write_digests(w, &m->digest, 1);
    write_u8(w, (uint8_t)m->encoding);
    write_u16(w, m->pages);
    write_bytes(w, m->bytes);
}

int message_get_data(struct const_span payload, struct message_data *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->leaf = read_u64(&r);
    read_copy(&r, (struct span){m->digest.bytes, DIGEST_BYTES});
    uint8_t encoding = read_u8(&r);
    m->encoding = (enum data_encoding)encoding;
    m->pages = read_u16(&r);
    m->bytes = read_rest(&r);
    if (!reader_done(&r) || encoding > DATA_ZSTD || m->bytes.len_bytes == 0 ||
        m->bytes.len_bytes > LEAF_BYTES || digest_is_zero(&m->digest)) {
        return malformed(MESSAGE_DATA, err);
    }
    return 0;
}

void message_put_zero(struct writer *w, const struct message_zero *m)
{
    write_u64(w, m->first_leaf);
    write_u32(w, m->count);
}

int message_get_zero(struct const_span payload, struct message_zero *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->first_leaf = read_u64(&r);
    m->count = read_u32(&r);
    if (!reader_done(&r) || m->count == 0 || m->count > LEAVES_PER_NODE ||
        m->first_leaf % LEAVES_PER_NODE + m->count > LEAVES_PER_NODE) {
        return malformed(MESSAGE_ZERO, err);
    }
    return 0;
}

void message_put_done(struct writer *w, const struct message_done *m)
{
    write_u64(w, m->node);
    write_u8(w, m->is_same ? 1 : 0);
    write_bytes(w, (struct const_span){m->proof, PROOF_BYTES});
}

int message_get_done(struct const_span payload, struct message_done *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->node = read_u64(&r);
    m->is_same = read_bool(&r);
    read_copy(&r, (struct span){m->proof, PROOF_BYTES});
    return reader_done(&r) ? 0 : malformed(MESSAGE_DONE, err);
}

void message_put_sealed(struct writer *w, const struct message_sealed *m)
{
    write_u16(w, (uint16_t)m->disk_count);
    for (uint32_t i = 0; i < m->disk_count; i++) {
        write_u64(w, m->written_bytes[i]);
        write_u64(w, m->verified_bytes[i]);
    }
}

int message_get_sealed(struct const_span payload, struct message_sealed *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->disk_count = read_u16(&r);
    if (m->disk_count > DISKS_MAX) {
        return malformed(MESSAGE_SEALED, err);
    }
    for (uint32_t i = 0; i < m->disk_count; i++) {
        m->written_bytes[i] = read_u64(&r);
        m->verified_bytes[i] = read_u64(&r);
    }
    return reader_done(&r) ? 0 : malformed(MESSAGE_SEALED, err);
}

void message_put_bye(struct writer *w, const struct message_bye *m)
{
    write_u16(w, (uint16_t)m->disk_count);
    write_u64(w, m->wire.sent_bytes);
    write_u64(w, m->wire.received_bytes);
    write_u64(w, m->wire.compressed_from_bytes);
    for (uint32_t i = 0; i < m->disk_count; i++) {
        write_u64(w, m->disks[i].compared_bytes);
        write_u64(w, m->disks[i].skipped_zero_bytes);
        write_u64(w, m->disks[i].resumed_bytes);
        write_u64(w, m->disks[i].different_bytes);
        write_u64(w, m->disks[i].shipped_bytes);
    }
}

int message_get_bye(struct const_span payload, struct message_bye *m, struct error *err)
{
    struct reader r = reader_init(payload);

    *m = (struct message_bye){.disk_count = read_u16(&r)};
    m->wire.sent_bytes = read_u64(&r);
    m->wire.received_bytes = read_u64(&r);
    m->wire.compressed_from_bytes = read_u64(&r);
    if (m->disk_count > DISKS_MAX) {
        return malformed(MESSAGE_BYE, err);
    }
    for (uint32_t i = 0; i < m->disk_count; i++) {
        m->disks[i].compared_bytes = read_u64(&r);
        m->disks[i].skipped_zero_bytes = read_u64(&r);
        m->disks[i].resumed_bytes = read_u64(&r);
        m->disks[i].different_bytes = read_u64(&r);
        m->disks[i].shipped_bytes = read_u64(&r);
    }
    return reader_done(&r) ? 0 : malformed(MESSAGE_BYE, err);
}

void message_put_behind(struct writer *w, const struct message_behind *m)
{
    write_u8(w, m->is_behind ? 1 : 0);
}

int message_get_behind(struct const_span payload, struct message_behind *m, struct error *err)
{
    struct reader r = reader_init(payload);

    m->is_behind = read_bool(&r);
    return reader_done(&r) ? 0 : malformed(MESSAGE_BEHIND, err);
}

void message_put_fail(struct writer *w, const struct error *m)
{
    write_u8(w, (uint8_t)m->kind);
    write_u32(w, (uint32_t)m->errnum);
    write_u8(w, m->has_offset ? 1 : 0);
    write_u64(w, m->offset_bytes);
    write_text(w, m->disk);
    write_text(w, m->message);
}

int message_get_fail(struct const_span payload, struct error *m, struct error *err)
{
    struct reader r = reader_init(payload);
    struct error read = {0};
    char disk[ERROR_DISK_MAX];
    char message[ERROR_MESSAGE_MAX];

    uint8_t kind = read_u8(&r);
    uint32_t errnum = read_u32(&r);
    bool has_offset = read_bool(&r);
    uint64_t offset_bytes = read_u64(&r);
    read_text(&r, disk, sizeof disk);
    read_text(&r, message, sizeof message);
    if (!reader_done(&r) || kind == ERR_NONE || kind > ERROR_KIND_MAX || errnum > INT16_MAX) {
        return malformed(MESSAGE_FAIL, err);
    }
    /* fail() and error_set_disk() escape what came from outside. */
    (void)fail(&read, (enum error_kind)kind, 0, "%s", message);
    read.errnum = (int)errnum;
    error_set_disk(&read, disk);
    if (has_offset) {
        error_set_offset(&read, offset_bytes);
    }
    *m = read;
    return 0;
}
