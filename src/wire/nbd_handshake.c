/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The invariants are those of nbd_protocol.c. */
#include "wire/nbd_handshake.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/limits.h"
#include "base/reader.h"
#include "base/writer.h"
#include "wire/nbd_boxes.h"

/* Source: NBD "Newstyle negotiation". */
#define MAGIC_INIT 0x4e42444d41474943ULL   /* "NBDMAGIC" */
#define MAGIC_OPTION 0x49484156454f5054ULL /* "IHAVEOPT" */
#define MAGIC_OPTION_REPLY 0x0003e889045565a9ULL

/* Source: NBD "Handshake flags", "Client flags", "Transmission flags". */
#define FLAG_FIXED_NEWSTYLE 0x1U
#define FLAG_NO_ZEROES 0x2U
#define FLAG_HAS_FLAGS 0x1U
#define FLAG_READ_ONLY 0x2U
#define FLAG_SEND_DF 0x80U
#define FLAG_CAN_MULTI_CONN 0x100U

/* Source: NBD "Option types". */
#define OPTION_EXPORT_NAME 1U
#define OPTION_ABORT 2U
#define OPTION_LIST 3U
#define OPTION_INFO 6U
#define OPTION_GO 7U
#define OPTION_STRUCTURED_REPLY 8U
#define OPTION_LIST_META_CONTEXT 9U
#define OPTION_SET_META_CONTEXT 10U

/* Source: NBD "Option reply types". */
#define REPLY_ACK 1U
#define REPLY_SERVER 2U
#define REPLY_INFO 3U
#define REPLY_META_CONTEXT 4U
#define REPLY_UNSUPPORTED 0x80000001U
#define REPLY_INVALID 0x80000003U
#define REPLY_UNKNOWN 0x80000006U

#define INFO_EXPORT 0U
#define INFO_NAME 1U
#define INFO_BLOCK_SIZE 3U

#define OPTION_REPLY_BYTES 20U
#define RESERVED_BYTES 124U /* zeroes after EXPORT_NAME's answer, for old clients */

#define BLOCK_MIN 1U
#define BLOCK_PREFERRED 65536U

#define CONTEXT_NAME "base:allocation"
#define CONTEXT_WILDCARD "base:"

_Static_assert(NBD_EXPORTS_MAX *(OPTION_REPLY_BYTES + 4 + DISK_NAME_MAX) + OPTION_REPLY_BYTES <=
                   NBD_OUTBOX_BYTES,
               "a list of all exports fits into the outbox");

static void put_text(struct writer *w, const char *text)
{
    write_bytes(w, (struct const_span){(const uint8_t *)text, strlen(text)});
}

void nbd_handshake_greet(struct nbd_protocol *p)
{
    struct writer w = begin_reply(p);
    put_u64(&w, MAGIC_INIT);
    put_u64(&w, MAGIC_OPTION);
    put_u16(&w, FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES);
    end_reply(p, &w);
}

/* Source: NBD "Client flags": the connection is dropped at an unknown flag. */
int nbd_handshake_take_flags(struct nbd_protocol *p, struct error *err)
{
    struct reader r = peek(p, 4);
    uint32_t flags = get_u32(&r);

    take(p, 4);
    if ((flags & ~(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES)) != 0) {
        return fail(err, ERR_PEER, 0, "the client's first flags are unknown: 0x%x", flags);
    }
    p->is_fixed = (flags & FLAG_FIXED_NEWSTYLE) != 0;
    p->no_zeroes = (flags & FLAG_NO_ZEROES) != 0;
    p->phase = NBD_PHASE_OPTIONS;
    return 0;
}

/* The offer of that name, or offer_count. Source: NBD, NBD_OPT_EXPORT_NAME: the empty name. */
static uint32_t find_offer(const struct nbd_protocol *p, struct const_span name)
{
    if (name.len_bytes == 0 && p->offer_count == 1) {
        return 0;
    }
    for (uint32_t i = 0; i < p->offer_count; i++) {
        if (strlen(p->offers[i].name) == name.len_bytes &&
            memcmp(p->offers[i].name, name.at, name.len_bytes) == 0) {
            return i;
        }
    }
    return p->offer_count;
}

/* Source: NBD "Transmission flags": SEND_DF only where structured replies were negotiated. */
static uint16_t transmission_flags(const struct nbd_protocol *p)
{
    return (uint16_t)(FLAG_HAS_FLAGS | FLAG_READ_ONLY | FLAG_CAN_MULTI_CONN |
                      (p->is_structured ? FLAG_SEND_DF : 0));
}

static void enter_commands(struct nbd_protocol *p, uint32_t export_index)
{
    assert(p->phase == NBD_PHASE_OPTIONS);
    p->export_index = export_index;
    p->phase = NBD_PHASE_COMMANDS;
    /* Source: NBD, NBD_CMD_BLOCK_STATUS: contexts are those of the export that was chosen. */
    p->has_context = p->has_context && p->context_index == export_index;
    assert(p->export_index < p->offer_count); /* invariant 3 */
}

/* Source: NBD "Fixed newstyle negotiation". */
static void put_option_reply(struct nbd_protocol *p, uint32_t option, uint32_t type,
                             struct const_span data)
{
    struct writer w = begin_reply(p);

    put_u64(&w, MAGIC_OPTION_REPLY);
    put_u32(&w, option);
    put_u32(&w, type);
    put_u32(&w, (uint32_t)data.len_bytes);
    write_bytes(&w, data);
    end_reply(p, &w);
}

static void put_option_result(struct nbd_protocol *p, uint32_t option, uint32_t type)
{
    put_option_reply(p, option, type, (struct const_span){NULL, 0});
}

static int answer_export_name(struct nbd_protocol *p, struct const_span name, struct error *err)
{
    static const uint8_t zeroes[RESERVED_BYTES];
    uint32_t index = find_offer(p, name);

    if (index == p->offer_count) {
        /* Source: NBD, NBD_OPT_EXPORT_NAME: there is no other way to say it. */
        return fail(err, ERR_PEER, 0, "the client asked for an export that is not offered");
    }
    struct writer w = begin_reply(p);
    put_u64(&w, p->offers[index].size_bytes);
    put_u16(&w, transmission_flags(p));
    if (!p->no_zeroes) {
        write_bytes(&w, (struct const_span){zeroes, sizeof zeroes});
    }
    end_reply(p, &w);
    enter_commands(p, index);
    return 0;
}

/* Source: NBD, NBD_OPT_LIST, NBD_REP_SERVER. */
static void answer_list(struct nbd_protocol *p, struct const_span data)
{
    if (data.len_bytes > 0) {
        put_option_result(p, OPTION_LIST, REPLY_INVALID);
        return;
    }
    for (uint32_t i = 0; i < p->offer_count; i++) {
        uint8_t bytes[4 + DISK_NAME_MAX];
        struct writer w = writer_init((struct span){bytes, sizeof bytes});
        put_u32(&w, (uint32_t)strlen(p->offers[i].name));
        put_text(&w, p->offers[i].name);
        put_option_reply(p, OPTION_LIST, REPLY_SERVER, writer_done(&w));
    }
    put_option_result(p, OPTION_LIST, REPLY_ACK);
}

static void put_info(struct nbd_protocol *p, uint32_t option, uint32_t index, uint16_t info)
{
    uint8_t bytes[2 + DISK_NAME_MAX];
    struct writer w = writer_init((struct span){bytes, sizeof bytes});

    put_u16(&w, info);
    if (info == INFO_EXPORT) {
        put_u64(&w, p->offers[index].size_bytes);
        put_u16(&w, transmission_flags(p));
    } else if (info == INFO_NAME) {
        put_text(&w, p->offers[index].name);
    } else {
        assert(info == INFO_BLOCK_SIZE);
        put_u32(&w, BLOCK_MIN);
        put_u32(&w, BLOCK_PREFERRED);
        put_u32(&w, NBD_READ_MAX);
    }
    put_option_reply(p, option, REPLY_INFO, writer_done(&w));
}

/* Source: NBD, NBD_OPT_INFO and NBD_OPT_GO, NBD_REP_INFO. */
static void answer_go(struct nbd_protocol *p, uint32_t option, struct const_span data)
{
    struct reader r = reader_init(data);
    struct const_span name = read_bytes(&r, get_u32(&r));
    uint16_t count = get_u16(&r);
    bool wants_name = false;

    for (uint32_t i = 0; i < count && !r.bad; i++) {
        wants_name |= get_u16(&r) == INFO_NAME && !r.bad;
    }
    if (!reader_done(&r) || name.len_bytes > NBD_STRING_MAX) {
        put_option_result(p, option, REPLY_INVALID);
        return;
    }
    uint32_t index = find_offer(p, name);
    if (index == p->offer_count) {
        put_option_result(p, option, REPLY_UNKNOWN);
        return;
    }
    put_info(p, option, index, INFO_EXPORT);
    /* Unasked too: our largest read is less than the default, and a client may want to know. */
    put_info(p, option, index, INFO_BLOCK_SIZE);
    if (wants_name) {
        put_info(p, option, index, INFO_NAME);
    }
    put_option_result(p, option, REPLY_ACK);
    if (option == OPTION_GO) {
        enter_commands(p, index);
    }
}

static void answer_structured_reply(struct nbd_protocol *p, struct const_span data)
{
    if (data.len_bytes > 0) {
        put_option_result(p, OPTION_STRUCTURED_REPLY, REPLY_INVALID);
        return;
    }
    p->is_structured = true;
    put_option_result(p, OPTION_STRUCTURED_REPLY, REPLY_ACK);
}

static bool is_text(struct const_span bytes, const char *text)
{
    return bytes.len_bytes == strlen(text) && memcmp(bytes.at, text, bytes.len_bytes) == 0;
}

/* Whether the queries of a META_CONTEXT option name our one context. Source: NBD "The `base:`
 * metadata namespace": what is not known is passed over. */
static bool read_queries(struct reader *r, bool is_list)
{
    uint32_t count = get_u32(r);
    bool is_named = is_list && count == 0;

    /* Each query has at least the four bytes of its length, so this ends soon whatever count says.
     */
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct const_span query = read_bytes(r, get_u32(r));
        r->bad = r->bad || query.len_bytes > NBD_STRING_MAX;
        is_named |= !r->bad &&
                    (is_text(query, CONTEXT_NAME) || (is_list && is_text(query, CONTEXT_WILDCARD)));
    }
    return is_named;
}

/* Source: NBD, NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
static void answer_meta_context(struct nbd_protocol *p, uint32_t option, struct const_span data)
{
    bool is_list = option == OPTION_LIST_META_CONTEXT;
    struct reader r = reader_init(data);
    struct const_span name = read_bytes(&r, get_u32(&r));
    bool is_named = read_queries(&r, is_list);

    if (!is_list) {
        p->has_context = false; /* also when this one fails */
    }
    if (!reader_done(&r) || name.len_bytes > NBD_STRING_MAX || !p->is_structured) {
        put_option_result(p, option, REPLY_INVALID);
        return;
    }
    uint32_t index = find_offer(p, name);
    if (index == p->offer_count) {
        put_option_result(p, option, REPLY_UNKNOWN);
        return;
    }
    if (is_named) {
        uint8_t bytes[4 + sizeof CONTEXT_NAME];
        struct writer w = writer_init((struct span){bytes, sizeof bytes});
        put_u32(&w, is_list ? 0 : CONTEXT_ID);
        put_text(&w, CONTEXT_NAME);
        put_option_reply(p, option, REPLY_META_CONTEXT, writer_done(&w));
        p->has_context = p->has_context || !is_list;
        p->context_index = is_list ? p->context_index : index;
    }
    put_option_result(p, option, REPLY_ACK);
}

static int answer_option(struct nbd_protocol *p, uint32_t option, struct const_span data,
                         struct error *err)
{
    if (!p->is_fixed && option != OPTION_EXPORT_NAME) {
        /* Source: NBD, NBD_OPT_EXPORT_NAME: the only valid option in nonfixed negotiation. */
        return fail(err, ERR_PEER, 0, "the client sent option %u in an old style", option);
    }
    switch (option) {
    case OPTION_EXPORT_NAME:
        return answer_export_name(p, data, err);
    case OPTION_ABORT:
        put_option_result(p, option, REPLY_ACK);
        p->phase = NBD_PHASE_ENDED;
        break;
    case OPTION_LIST:
        answer_list(p, data);
        break;
    case OPTION_INFO:
    case OPTION_GO:
        answer_go(p, option, data);
        break;
    case OPTION_STRUCTURED_REPLY:
        answer_structured_reply(p, data);
        break;
    case OPTION_LIST_META_CONTEXT:
    case OPTION_SET_META_CONTEXT:
        answer_meta_context(p, option, data);
        break;
    default: /* not an enum: what this server does not know, TLS among it (NBD "NOTLS mode") */
        put_option_result(p, option, REPLY_UNSUPPORTED);
        break;
    }
    return 0;
}

int nbd_handshake_take_option(struct nbd_protocol *p, struct error *err)
{
    if (waiting_bytes(p) < OPTION_HEADER_BYTES) {
        return 0;
    }
    struct reader r = peek(p, OPTION_HEADER_BYTES);
    uint64_t magic = get_u64(&r);
    uint32_t option = get_u32(&r);
    uint32_t len_bytes = get_u32(&r);
    if (magic != MAGIC_OPTION) {
        return fail(err, ERR_PEER, 0, "what the client sent is no NBD option");
    }
    if (len_bytes > NBD_OPTION_MAX) {
        /* Source: NBD "Termination of the session during option haggling": denial of service. */
        return fail(err, ERR_PEER, 0, "the client's option %u has %u bytes of data, over %llu",
                    option, len_bytes, NBD_OPTION_MAX);
    }
    if (waiting_bytes(p) - OPTION_HEADER_BYTES < len_bytes) {
        return 0;
    }
    take(p, OPTION_HEADER_BYTES);
    struct const_span data = {p->inbox + p->inbox_begin, len_bytes};
    take(p, len_bytes);
    return answer_option(p, option, data, err) < 0 ? -1 : 1;
}
