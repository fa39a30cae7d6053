/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/channel.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdlib.h>
#include <string.h>

#define INBOX_BYTES (1 * MIB)          /* frames are at most a third of it */
#define OUTBOX_COMPACT_BYTES (4 * MIB) /* sent bytes that may lie before the unsent ones */
#define OUTBOX_BYTES (OUTBOX_MAX_BYTES + OUTBOX_COMPACT_BYTES)
#define FRAME_EXTRA_BYTES (FRAME_HEADER_BYTES + FRAME_TAG_BYTES)

_Static_assert(INBOX_BYTES >= 2 * (FRAME_PAYLOAD_MAX + FRAME_EXTRA_BYTES),
               "a frame fits while another is taken");

struct channel {
    uint8_t *inbox;           /* owned */
    size_t in_start_bytes;    /* received frames end here */
    size_t in_end_bytes;      /* filled up to here */
    uint8_t *outbox;          /* owned */
    size_t out_start_bytes;   /* sent up to here */
    size_t out_end_bytes;     /* filled up to here */
    struct digester *in_tags; /* owned; NULL before the keys are set */
    struct digester *out_tags;
    uint64_t in_number; /* of the next tagged frame */
    uint64_t out_number;
};

int channel_new(struct channel **out, struct error *err)
{
    struct channel *channel = calloc(1, sizeof *channel);

    if (channel != NULL) {
        channel->inbox = malloc(INBOX_BYTES);
        channel->outbox = malloc(OUTBOX_BYTES);
    }
    if (channel == NULL || channel->inbox == NULL || channel->outbox == NULL) {
        channel_free(channel);
        return fail(err, ERR_LIMIT, 0, "out of memory for a session's buffers");
    }
    *out = channel;
    return 0;
}

void channel_free(struct channel *channel)
{
    if (channel == NULL) {
        return;
    }
    digester_free(channel->in_tags);
    digester_free(channel->out_tags);
    free(channel->inbox);
    free(channel->outbox);
    free(channel);
}

/* --- out ------------------------------------------------------------------------------------- */

size_t channel_room(const struct channel *channel)
{
    size_t unsent_bytes = channel->out_end_bytes - channel->out_start_bytes;
    size_t left_bytes = OUTBOX_MAX_BYTES > unsent_bytes ? OUTBOX_MAX_BYTES - unsent_bytes : 0;

    return left_bytes > FRAME_EXTRA_BYTES ? left_bytes - FRAME_EXTRA_BYTES : 0;
}

struct writer channel_begin(struct channel *channel, size_t max_bytes)
{
    struct writer none = {.bad = true};

    if (max_bytes > channel_room(channel)) {
        return none;
    }
    if (channel->out_end_bytes + max_bytes + FRAME_EXTRA_BYTES > OUTBOX_BYTES) {
        size_t unsent_bytes = channel->out_end_bytes - channel->out_start_bytes;
        memmove(channel->outbox, channel->outbox + channel->out_start_bytes, unsent_bytes);
        channel->out_start_bytes = 0;
        channel->out_end_bytes = unsent_bytes;
    }
    return writer_init(
        (struct span){channel->outbox + channel->out_end_bytes + FRAME_HEADER_BYTES, max_bytes});
}

static struct const_span tagged_part(enum message_type type, struct const_span payload)
{
    size_t most_bytes = message_kind((uint8_t)type)->tagged_bytes;

    payload.len_bytes = payload.len_bytes < most_bytes ? payload.len_bytes : most_bytes;
    return payload;
}

void channel_end(struct channel *channel, enum message_type type, const struct writer *w)
{
    const struct message_kind *kind = message_kind((uint8_t)type);
    struct const_span payload = writer_done(w);
    uint8_t *header_at = channel->outbox + channel->out_end_bytes;
    struct writer header = writer_init((struct span){header_at, FRAME_HEADER_BYTES});

    assert(payload.at == header_at + FRAME_HEADER_BYTES);
    assert(payload.len_bytes >= kind->min_bytes && payload.len_bytes <= kind->max_bytes);
    write_u32(&header, (uint32_t)payload.len_bytes);
    write_u32(&header, (uint32_t)type);
    channel->out_end_bytes += FRAME_HEADER_BYTES + payload.len_bytes;
    if (type == MESSAGE_HELLO) {
        return;
    }
    assert(channel->out_tags != NULL);
    struct digest tag = digester_tag(channel->out_tags, channel->out_number++,
                                     (struct const_span){header_at, FRAME_HEADER_BYTES},
                                     tagged_part(type, payload));
    memcpy(channel->outbox + channel->out_end_bytes, tag.bytes, FRAME_TAG_BYTES);
    channel->out_end_bytes += FRAME_TAG_BYTES;
}

struct const_span channel_outbox(const struct channel *channel)
{
    return (struct const_span){channel->outbox + channel->out_start_bytes,
                               channel->out_end_bytes - channel->out_start_bytes};
}

void channel_sent(struct channel *channel, size_t len_bytes)
{
    assert(len_bytes <= channel->out_end_bytes - channel->out_start_bytes);
    channel->out_start_bytes += len_bytes;
    if (channel->out_start_bytes == channel->out_end_bytes) {
        channel->out_start_bytes = 0;
        channel->out_end_bytes = 0;
    }
}

/* --- in -------------------------------------------------------------------------------------- */

struct span channel_inbox(struct channel *channel)
{
    size_t waiting_bytes = channel->in_end_bytes - channel->in_start_bytes;

    if (waiting_bytes == 0) {
        channel->in_start_bytes = 0;
        channel->in_end_bytes = 0;
    } else if (INBOX_BYTES - channel->in_end_bytes < FRAME_PAYLOAD_MAX + FRAME_EXTRA_BYTES) {
        memmove(channel->inbox, channel->inbox + channel->in_start_bytes, waiting_bytes);
        channel->in_start_bytes = 0;
        channel->in_end_bytes = waiting_bytes;
    }
    return (struct span){channel->inbox + channel->in_end_bytes,
                         INBOX_BYTES - channel->in_end_bytes};
}

void channel_filled(struct channel *channel, size_t len_bytes)
{
    assert(len_bytes <= INBOX_BYTES - channel->in_end_bytes);
    channel->in_end_bytes += len_bytes;
}

void channel_discard(struct channel *channel)
{
    channel->in_start_bytes = 0;
    channel->in_end_bytes = 0;
}

/* Before the first frame is known to be one, anything else is best called what it is. */
static int not_resilver(const struct channel *channel, struct const_span header, struct error *err)
{
    if (channel->in_tags != NULL) {
        return fail(err, ERR_PEER, 0, "the peer sent bytes that are no frame: the link is damaged");
    }
    char shown[FRAME_HEADER_BYTES + 1] = "";
    for (size_t i = 0; i < header.len_bytes && i < FRAME_HEADER_BYTES; i++) {
        uint8_t byte = header.at[i];
        shown[i] = (char)(byte > 0x20 && byte < 0x7f ? byte : '.');
    }
    return fail(
        err, ERR_PEER, 0,
        "the peer is not resilver, or a login script prints something (its first bytes: \"%s\")",
        shown);
}

static int check_header(const struct channel *channel, enum session_role from,
                        struct const_span header, uint32_t *payload_bytes, enum message_type *type,
                        struct error *err)
{
    struct reader r = reader_init(header);
    uint32_t length = read_u32(&r);
    uint32_t number = read_u32(&r);
    const struct message_kind *kind = number <= UINT8_MAX ? message_kind((uint8_t)number) : NULL;
    bool is_first = channel->in_tags == NULL;

    if (kind == NULL || length < kind->min_bytes || length > kind->max_bytes ||
        (number == MESSAGE_HELLO) != is_first) {
        return not_resilver(channel, header, err);
    }
    if ((from == ROLE_SOURCE && !kind->from_source) ||
        (from == ROLE_TARGET && !kind->from_target)) {
        return fail(err, ERR_PEER, 0, "the peer sent a %s message, which is not for its role",
                    kind->name);
    }
    *payload_bytes = length;
    *type = (enum message_type)number;
    return 0;
}

bool channel_has_waiting(const struct channel *channel)
{
    return channel->in_end_bytes > channel->in_start_bytes;
}

int channel_receive(struct channel *channel, enum session_role from, struct frame *out,
                    struct error *err)
{
    const uint8_t *at = channel->inbox + channel->in_start_bytes;
    size_t waiting_bytes = channel->in_end_bytes - channel->in_start_bytes;
    struct const_span header = {at, FRAME_HEADER_BYTES};
    uint32_t payload_bytes = 0;
    enum message_type type = MESSAGE_INVALID;

    if (waiting_bytes < FRAME_HEADER_BYTES) {
        return 0;
    }
    if (check_header(channel, from, header, &payload_bytes, &type, err) != 0) {
        return -1;
    }
    size_t tag_bytes = type == MESSAGE_HELLO ? 0 : FRAME_TAG_BYTES;
    if (waiting_bytes < FRAME_HEADER_BYTES + payload_bytes + tag_bytes) {
        return 0;
    }
    struct const_span payload = {at + FRAME_HEADER_BYTES, payload_bytes};
    if (type != MESSAGE_HELLO) {
        struct digest tag = digester_tag(channel->in_tags, channel->in_number++, header,
                                         tagged_part(type, payload));
        if (memcmp(tag.bytes, payload.at + payload_bytes, FRAME_TAG_BYTES) != 0) {
            return fail(err, ERR_PEER, 0,
                        "a frame from the peer was changed on the way: the link is damaged");
        }
    }
    channel->in_start_bytes += FRAME_HEADER_BYTES + payload_bytes + tag_bytes;
    *out = (struct frame){type, payload};
    return 1;
}

/* --- keys ------------------------------------------------------------------------------------ */

#define MASTER_BYTES 32U

/* One output of HKDF. */
static int derive(EVP_KDF_CTX *kdf, struct const_span secret, struct const_span salt,
                  const char *info, uint8_t key[DIGEST_KEY_BYTES])
{
    char hash[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret.at,
                                          secret.len_bytes),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.at,
                                          salt.len_bytes),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info,
                                          strlen(info)),
        OSSL_PARAM_construct_end(),
    };

    EVP_KDF_CTX_reset(kdf);
    return EVP_KDF_derive(kdf, key, DIGEST_KEY_BYTES, params) == 1 ? 0 : -1;
}

struct session_keys {
    uint8_t digests[DIGEST_KEY_BYTES];
    uint8_t initiator_frames[DIGEST_KEY_BYTES];
    uint8_t responder_frames[DIGEST_KEY_BYTES];
};

static int derive_keys(const uint8_t *link_secret, struct const_span initiator_hello,
                       struct const_span responder_hello, struct session_keys *keys)
{
    static const uint8_t no_secret[LINK_SECRET_BYTES];
    uint8_t salt[MASTER_BYTES];
    unsigned salt_bytes = 0;
    int result = -1;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *kdf = hkdf == NULL ? NULL : EVP_KDF_CTX_new(hkdf);
    struct const_span secret = {link_secret == NULL ? no_secret : link_secret, LINK_SECRET_BYTES};
    struct const_span salted = {salt, sizeof salt};

    if (md != NULL && kdf != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(md, initiator_hello.at, initiator_hello.len_bytes) == 1 &&
        EVP_DigestUpdate(md, responder_hello.at, responder_hello.len_bytes) == 1 &&
        EVP_DigestFinal_ex(md, salt, &salt_bytes) == 1 &&
        derive(kdf, secret, salted, "resilver 1 digests", keys->digests) == 0 &&
        derive(kdf, secret, salted, "resilver 1 frames of the initiator", keys->initiator_frames) ==
            0 &&
        derive(kdf, secret, salted, "resilver 1 frames of the responder", keys->responder_frames) ==
            0) {
        result = 0;
    }
    EVP_KDF_CTX_free(kdf);
    EVP_KDF_free(hkdf);
    EVP_MD_CTX_free(md);
    return result;
}

int channel_set_keys(struct channel *channel, bool is_initiator, const uint8_t *link_secret,
                     struct const_span initiator_hello, struct const_span responder_hello,
                     uint8_t digest_key[DIGEST_KEY_BYTES], struct error *err)
{
    struct session_keys keys;

    assert(channel->in_tags == NULL && channel->out_tags == NULL);
    if (derive_keys(link_secret, initiator_hello, responder_hello, &keys) != 0) {
        return fail(err, ERR_INTERNAL, 0, "the crypto library offers no HKDF");
    }
    int result = digester_new(is_initiator ? keys.initiator_frames : keys.responder_frames,
                              &channel->out_tags, err);
    if (result == 0) {
        result = digester_new(is_initiator ? keys.responder_frames : keys.initiator_frames,
                              &channel->in_tags, err);
    }
    if (result == 0) {
        memcpy(digest_key, keys.digests, DIGEST_KEY_BYTES);
    }
    OPENSSL_cleanse(&keys, sizeof keys);
    return result;
}
