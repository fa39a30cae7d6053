/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 *   FLAGS --> OPTIONS --+-- GO, EXPORT_NAME --> COMMANDS --+-- DISC --> ENDED
 *                       +-- ABORT ----------------------------------> ENDED
 *
 * Invariants:
 * 1. inbox_begin <= inbox_end <= NBD_INBOX_BYTES, outbox_sent <= outbox_used <= NBD_OUTBOX_BYTES.
 * 2. The outbox holds whole replies. Nothing is taken from the inbox unless the largest reply to it
 *    fits: an option waits until the outbox is empty, a command until ANSWER_MAX fits.
 * 3. From COMMANDS on, export_index names an offer.
 */
#include "wire/nbd_protocol.h"

#include <assert.h>
#include <string.h>

#include "base/reader.h"
#include "base/writer.h"

/* Source: NBD "Newstyle negotiation", "Request message", "Simple reply message", "Structured reply
 * chunk message". */
#define MAGIC_INIT 0x4e42444d41474943ULL   /* "NBDMAGIC" */
#define MAGIC_OPTION 0x49484156454f5054ULL /* "IHAVEOPT" */
#define MAGIC_OPTION_REPLY 0x0003e889045565a9ULL
#define MAGIC_REQUEST 0x25609513U
#define MAGIC_SIMPLE 0x67446698U
#define MAGIC_CHUNK 0x668e33efU

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

/* Source: NBD "Request types", "Command flags", "Structured reply flags", "Structured reply types",
 * "Error values", "`base:allocation` metadata context". */
#define COMMAND_READ 0U
#define COMMAND_WRITE 1U
#define COMMAND_DISCONNECT 2U
#define COMMAND_FLUSH 3U
#define COMMAND_TRIM 4U
#define COMMAND_WRITE_ZEROES 6U
#define COMMAND_BLOCK_STATUS 7U
#define COMMAND_FLAG_DF 0x4U
#define COMMAND_FLAG_REQ_ONE 0x8U
#define CHUNK_FLAG_DONE 0x1U
#define CHUNK_NONE 0U
#define CHUNK_OFFSET_DATA 1U
#define CHUNK_BLOCK_STATUS 5U
#define CHUNK_ERROR 0x8001U
#define CHUNK_ERROR_OFFSET 0x8002U
#define NBD_ERROR_NONE 0U
#define NBD_ERROR_PERMISSION 1U
#define NBD_ERROR_IO 5U
#define NBD_ERROR_INVALID 22U
#define NBD_ERROR_OVERFLOW 75U
#define STATE_HOLE 0x1U
#define STATE_ZERO 0x2U

#define OPTION_HEADER_BYTES 16U
#define REQUEST_BYTES 28U
#define OPTION_REPLY_BYTES 20U
#define CHUNK_HEADER_BYTES 20U
#define RESERVED_BYTES 124U /* zeroes after EXPORT_NAME's answer, for old clients */

#define BLOCK_MIN 1U
#define BLOCK_PREFERRED 65536U

#define CONTEXT_NAME "base:allocation"
#define CONTEXT_WILDCARD "base:"
#define CONTEXT_ID 1U

/* The longest answer to a command that has no data: all extents of one DISK_EXTENTS. */
#define ANSWER_MAX (CHUNK_HEADER_BYTES + 4 + 8 * EXTENTS_MAX)

/* Longest run of data in one chunk that we promise to keep whole ("don't fragment"): what the
 * buffers of a client hold, less one for a range that begins and ends inside pages. */
#define WHOLE_CHUNK_MAX ((NBD_CLIENT_PIECES - 1) * READ_BYTES)

_Static_assert(NBD_EXPORTS_MAX *(OPTION_REPLY_BYTES + 4 + DISK_NAME_MAX) + OPTION_REPLY_BYTES <=
                   NBD_OUTBOX_BYTES,
               "a list of all exports fits into the outbox");
_Static_assert(ANSWER_MAX <= NBD_OUTBOX_BYTES, "every answer fits into the outbox");
_Static_assert(WHOLE_CHUNK_MAX >= 65536, "NBD, NBD_CMD_READ: 64 KiB must be had in one chunk");

/* --- integers: NBD's are big-endian, the reader's and the writer's little-endian ---------------
 */

static uint16_t get_u16(struct reader *r)
{
    return __builtin_bswap16(read_u16(r));
}

static uint32_t get_u32(struct reader *r)
{
    return __builtin_bswap32(read_u32(r));
}

static uint64_t get_u64(struct reader *r)
{
    return __builtin_bswap64(read_u64(r));
}

static void put_u16(struct writer *w, uint16_t value)
{
    write_u16(w, __builtin_bswap16(value));
}

static void put_u32(struct writer *w, uint32_t value)
{
    write_u32(w, __builtin_bswap32(value));
}

static void put_u64(struct writer *w, uint64_t value)
{
    write_u64(w, __builtin_bswap64(value));
}

static void put_text(struct writer *w, const char *text)
{
    write_bytes(w, (struct const_span){(const uint8_t *)text, strlen(text)});
}

/* --- the outbox ------------------------------------------------------------------------------ */

static struct writer begin_reply(struct nbd_protocol *p)
{
    return writer_init(
        (struct span){p->outbox + p->outbox_used, sizeof p->outbox - p->outbox_used});
}

static void end_reply(struct nbd_protocol *p, const struct writer *w)
{
    assert(!w->bad); /* invariant 2 */
    p->outbox_used += w->used_bytes;
    assert(p->outbox_used <= sizeof p->outbox);
}

struct const_span nbd_protocol_outbox(const struct nbd_protocol *p)
{
    return (struct const_span){p->outbox + p->outbox_sent, p->outbox_used - p->outbox_sent};
}

void nbd_protocol_sent(struct nbd_protocol *p, size_t len_bytes)
{
    assert(len_bytes <= p->outbox_used - p->outbox_sent);
    p->outbox_sent += len_bytes;
    if (p->outbox_sent == p->outbox_used) {
        p->outbox_sent = 0;
        p->outbox_used = 0;
    }
}

bool nbd_protocol_has_room(const struct nbd_protocol *p)
{
    return sizeof p->outbox - p->outbox_used >= ANSWER_MAX;
}

/* --- the inbox ------------------------------------------------------------------------------- */

struct span nbd_protocol_inbox(struct nbd_protocol *p)
{
    if (p->inbox_begin > 0) {
        memmove(p->inbox, p->inbox + p->inbox_begin, p->inbox_end - p->inbox_begin);
        p->inbox_end -= p->inbox_begin;
        p->inbox_begin = 0;
    }
    return (struct span){p->inbox + p->inbox_end, sizeof p->inbox - p->inbox_end};
}

void nbd_protocol_filled(struct nbd_protocol *p, size_t len_bytes)
{
    assert(len_bytes <= sizeof p->inbox - p->inbox_end);
    p->inbox_end += len_bytes;
}

static size_t waiting_bytes(const struct nbd_protocol *p)
{
    return p->inbox_end - p->inbox_begin;
}

/* The first len_bytes of the inbox, which stay there. */
static struct reader peek(const struct nbd_protocol *p, size_t len_bytes)
{
    assert(len_bytes <= waiting_bytes(p));
    return reader_init((struct const_span){p->inbox + p->inbox_begin, len_bytes});
}

static void take(struct nbd_protocol *p, size_t len_bytes)
{
    assert(len_bytes <= waiting_bytes(p));
    p->inbox_begin += len_bytes;
    p->taken_count++;
}

/* --- handshake ------------------------------------------------------------------------------- */

void nbd_protocol_init(struct nbd_protocol *p, const struct nbd_offer *offers, uint32_t offer_count)
{
    assert(offer_count <= NBD_EXPORTS_MAX);
    /* The boxes are large, and are never read where they were not written. */
    memset(p, 0, offsetof(struct nbd_protocol, inbox));
    p->offers = offers;
    p->offer_count = offer_count;
    p->phase = NBD_PHASE_FLAGS;
    struct writer w = begin_reply(p);
    put_u64(&w, MAGIC_INIT);
    put_u64(&w, MAGIC_OPTION);
    put_u16(&w, FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES);
    end_reply(p, &w);
}

/* Source: NBD "Client flags": the connection is dropped at an unknown flag. */
static int take_flags(struct nbd_protocol *p, struct error *err)
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

/* Returns 1 when an option was taken, 0 when there is none whole yet. */
static int take_option(struct nbd_protocol *p, struct error *err)
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

/* --- answers to commands --------------------------------------------------------------------- */

static void put_chunk_header(struct writer *w, uint64_t cookie, uint16_t type, bool is_last,
                             uint32_t len_bytes)
{
    put_u32(w, MAGIC_CHUNK);
    put_u16(w, is_last ? CHUNK_FLAG_DONE : 0);
    put_u16(w, type);
    put_u64(w, cookie);
    put_u32(w, len_bytes);
}

static void put_simple_header(struct writer *w, uint64_t cookie, uint32_t error)
{
    put_u32(w, MAGIC_SIMPLE);
    put_u32(w, error);
    put_u64(w, cookie);
}

/* The whole reply to a command that ends here. Source: NBD "Structured reply chunk message": a
 * structured one where they were agreed on; simple ones would do but for reads. */
static void put_result(struct nbd_protocol *p, uint64_t cookie, uint32_t error)
{
    struct writer w = begin_reply(p);

    if (!p->is_structured) {
        put_simple_header(&w, cookie, error);
    } else if (error == NBD_ERROR_NONE) {
        put_chunk_header(&w, cookie, CHUNK_NONE, true, 0);
    } else {
        put_chunk_header(&w, cookie, CHUNK_ERROR, true, 6);
        put_u32(&w, error);
        put_u16(&w, 0);
    }
    end_reply(p, &w);
}

void nbd_protocol_put_error(struct nbd_protocol *p, const struct nbd_command *command,
                            uint64_t offset_bytes)
{
    assert(nbd_protocol_has_room(p));
    assert(offset_bytes >= command->offset_bytes &&
           offset_bytes - command->offset_bytes < command->len_bytes);
    if (!p->is_structured) {
        put_result(p, command->cookie, NBD_ERROR_IO);
        return;
    }
    /* With an offset: what came as data before stays valid. Source: NBD, NBD_CMD_READ. */
    struct writer w = begin_reply(p);
    put_chunk_header(&w, command->cookie, CHUNK_ERROR_OFFSET, true, 14);
    put_u32(&w, NBD_ERROR_IO);
    put_u16(&w, 0);
    put_u64(&w, offset_bytes);
    end_reply(p, &w);
}

struct descriptor {
    uint32_t len_bytes;
    uint32_t flags;
};

/* Cuts extents to the command's range and joins neighbours of a kind. */
static uint32_t describe(const struct nbd_command *command, const struct extent *extents,
                         uint32_t count, struct descriptor out[EXTENTS_MAX])
{
    uint64_t at = command->offset_bytes;
    uint64_t end = at + command->len_bytes;
    uint32_t used = 0;

    for (uint32_t i = 0; i < count && at < end; i++) {
        uint64_t extent_end = extents[i].offset_bytes + extents[i].len_bytes;
        uint32_t flags = extents[i].zero ? STATE_HOLE | STATE_ZERO : 0;
        if (extents[i].offset_bytes > at || extent_end <= at) {
            continue;
        }
        extent_end = extent_end < end ? extent_end : end;
        if (used == 0 || out[used - 1].flags != flags) {
            out[used++] = (struct descriptor){.flags = flags};
        }
        out[used - 1].len_bytes += (uint32_t)(extent_end - at);
        at = extent_end;
    }
    if (used == 0) {
        /* Source: NBD, NBD_CMD_BLOCK_STATUS: a status of 0 may be reported for any block. */
        out[used++] = (struct descriptor){.len_bytes = command->len_bytes};
    }
    return command->only_one ? 1 : used;
}

void nbd_protocol_put_status(struct nbd_protocol *p, const struct nbd_command *command,
                             const struct extent *extents, uint32_t count)
{
    struct descriptor list[EXTENTS_MAX];

    assert(nbd_protocol_has_room(p) && command->kind == NBD_COMMAND_STATUS && p->has_context);
    assert(count <= EXTENTS_MAX);
    uint32_t used = describe(command, extents, count, list);
    struct writer w = begin_reply(p);
    put_chunk_header(&w, command->cookie, CHUNK_BLOCK_STATUS, true, 4 + 8 * used);
    put_u32(&w, CONTEXT_ID);
    for (uint32_t i = 0; i < used; i++) {
        put_u32(&w, list[i].len_bytes);
        put_u32(&w, list[i].flags);
    }
    end_reply(p, &w);
}

struct const_span nbd_protocol_data_header(const struct nbd_protocol *p,
                                           const struct nbd_command *command, uint64_t offset_bytes,
                                           uint32_t len_bytes, bool is_last,
                                           uint8_t out[NBD_HEADER_MAX])
{
    struct writer w = writer_init((struct span){out, NBD_HEADER_MAX});

    assert(command->kind == NBD_COMMAND_READ && len_bytes > 0);
    assert(offset_bytes >= command->offset_bytes &&
           offset_bytes - command->offset_bytes + len_bytes <= command->len_bytes);
    assert(!command->is_whole || len_bytes == command->len_bytes);
    if (!p->is_structured) {
        put_simple_header(&w, command->cookie, NBD_ERROR_NONE);
    } else {
        put_chunk_header(&w, command->cookie, CHUNK_OFFSET_DATA, is_last, len_bytes + 8);
        put_u64(&w, offset_bytes);
    }
    return writer_done(&w);
}

/* --- commands -------------------------------------------------------------------------------- */

struct request {
    uint16_t flags;
    uint16_t type;
    uint64_t cookie;
    uint64_t offset_bytes;
    uint32_t len_bytes;
};

static bool is_in_range(const struct nbd_protocol *p, const struct request *request)
{
    uint64_t size_bytes = p->offers[p->export_index].size_bytes;

    return request->len_bytes > 0 && request->offset_bytes <= size_bytes &&
           request->len_bytes <= size_bytes - request->offset_bytes;
}

/* Gives out a command, or returns the error that it gets. */
static uint32_t admit_read(const struct nbd_protocol *p, const struct request *request,
                           struct nbd_command *out)
{
    bool is_df = (request->flags & COMMAND_FLAG_DF) != 0;

    if ((request->flags & ~COMMAND_FLAG_DF) != 0 || (is_df && !p->is_structured) ||
        request->len_bytes > NBD_READ_MAX || !is_in_range(p, request)) {
        return NBD_ERROR_INVALID;
    }
    if (is_df && request->len_bytes > WHOLE_CHUNK_MAX) {
        return NBD_ERROR_OVERFLOW; /* Source: NBD, NBD_CMD_FLAG_DF */
    }
    *out = (struct nbd_command){.kind = NBD_COMMAND_READ,
                                .is_whole = is_df || !p->is_structured,
                                .len_bytes = request->len_bytes,
                                .offset_bytes = request->offset_bytes,
                                .cookie = request->cookie};
    return NBD_ERROR_NONE;
}

static uint32_t admit_status(const struct nbd_protocol *p, const struct request *request,
                             struct nbd_command *out)
{
    if ((request->flags & ~COMMAND_FLAG_REQ_ONE) != 0 || !p->has_context ||
        !is_in_range(p, request)) {
        return NBD_ERROR_INVALID;
    }
    *out = (struct nbd_command){.kind = NBD_COMMAND_STATUS,
                                .only_one = (request->flags & COMMAND_FLAG_REQ_ONE) != 0,
                                .len_bytes = request->len_bytes,
                                .offset_bytes = request->offset_bytes,
                                .cookie = request->cookie};
    return NBD_ERROR_NONE;
}

/* A write is refused once its payload is gone. */
static int refuse_write(struct nbd_protocol *p, const struct request *request, struct error *err)
{
    if (request->len_bytes > NBD_READ_MAX) {
        return fail(err, ERR_PEER, 0, "the client wants to write %u bytes at once, over %llu",
                    request->len_bytes, NBD_READ_MAX);
    }
    if (request->len_bytes == 0) {
        put_result(p, request->cookie, NBD_ERROR_PERMISSION);
        return 0;
    }
    p->skip_bytes = request->len_bytes;
    p->skip_cookie = request->cookie;
    return 0;
}

/* Returns 1 with a command for the caller, 0 when it was answered here. */
static int handle_request(struct nbd_protocol *p, const struct request *request,
                          struct nbd_command *out, struct error *err)
{
    uint32_t error = NBD_ERROR_INVALID;

    switch (request->type) {
    case COMMAND_READ:
        error = admit_read(p, request, out);
        break;
    case COMMAND_BLOCK_STATUS:
        error = admit_status(p, request, out);
        break;
    case COMMAND_WRITE:
        return refuse_write(p, request, err);
    case COMMAND_DISCONNECT:
        p->phase = NBD_PHASE_ENDED;
        return 0;
    case COMMAND_TRIM:
    case COMMAND_WRITE_ZEROES:
        put_result(p, request->cookie, NBD_ERROR_PERMISSION);
        return 0;
    case COMMAND_FLUSH:
        /* Nothing is ever written, so all of it is durable. Source: NBD, NBD_CMD_FLUSH. */
        error = request->flags == 0 && request->offset_bytes == 0 && request->len_bytes == 0
                    ? NBD_ERROR_NONE
                    : NBD_ERROR_INVALID;
        put_result(p, request->cookie, error);
        return 0;
    default: /* not an enum. Source: NBD "Error values": an unknown command */
        break;
    }
    if (error != NBD_ERROR_NONE) {
        put_result(p, request->cookie, error);
        return 0;
    }
    return 1;
}

/* Throws away what has come of a refused write's payload. */
static void skip_payload(struct nbd_protocol *p)
{
    size_t here = waiting_bytes(p) < p->skip_bytes ? waiting_bytes(p) : p->skip_bytes;

    p->inbox_begin += here;
    p->skip_bytes -= (uint32_t)here;
    if (p->skip_bytes == 0) {
        put_result(p, p->skip_cookie, NBD_ERROR_PERMISSION);
    }
}

/* Returns 1 with a command, 0 after a request was answered here, -1 with err. */
static int take_request(struct nbd_protocol *p, struct nbd_command *out, struct error *err)
{
    struct reader r = peek(p, REQUEST_BYTES);
    uint32_t magic = get_u32(&r);
    struct request request = {.flags = get_u16(&r)};

    request.type = get_u16(&r);
    request.cookie = get_u64(&r);
    request.offset_bytes = get_u64(&r);
    request.len_bytes = get_u32(&r);
    assert(reader_done(&r));
    if (magic != MAGIC_REQUEST) {
        return fail(err, ERR_PEER, 0, "what the client sent is no NBD request");
    }
    take(p, REQUEST_BYTES);
    return handle_request(p, &request, out, err);
}

/* Whether the next message can be taken: it is here, and there is room for what it may cause. */
static bool can_take(struct nbd_protocol *p)
{
    switch (p->phase) {
    case NBD_PHASE_FLAGS:
        return waiting_bytes(p) >= 4;
    case NBD_PHASE_OPTIONS:
        return waiting_bytes(p) >= OPTION_HEADER_BYTES && p->outbox_used == 0;
    case NBD_PHASE_COMMANDS:
        return nbd_protocol_has_room(p) &&
               waiting_bytes(p) >= (p->skip_bytes > 0 ? 1 : REQUEST_BYTES);
    case NBD_PHASE_ENDED:
    case NBD_PHASE_INVALID:
        break;
    }
    return false;
}

int nbd_protocol_next(struct nbd_protocol *p, struct nbd_command *out, struct error *err)
{
    int result = 0;

    while (can_take(p)) {
        if (p->phase == NBD_PHASE_FLAGS) {
            result = take_flags(p, err);
        } else if (p->phase == NBD_PHASE_OPTIONS) {
            result = take_option(p, err);
            if (result == 0) {
                break; /* its data is not all here */
            }
        } else if (p->skip_bytes > 0) {
            skip_payload(p);
        } else {
            result = take_request(p, out, err);
            if (result > 0) {
                p->is_amid = false;
                return 1;
            }
        }
        if (result < 0) {
            return -1;
        }
    }
    p->is_amid = p->phase == NBD_PHASE_COMMANDS && nbd_protocol_has_room(p) &&
                 (p->skip_bytes > 0 || waiting_bytes(p) > 0);
    return 0;
}
