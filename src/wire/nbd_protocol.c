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
#include "wire/nbd_boxes.h"
#include "wire/nbd_handshake.h"

/* Source: NBD "Request message", "Simple reply message", "Structured reply chunk message". */
#define MAGIC_REQUEST 0x25609513U
#define MAGIC_SIMPLE 0x67446698U
#define MAGIC_CHUNK 0x668e33efU

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

#define REQUEST_BYTES 28U
#define CHUNK_HEADER_BYTES 20U

/* The longest answer to a command that has no data: all extents of one DISK_EXTENTS. */
#define ANSWER_MAX (CHUNK_HEADER_BYTES + 4 + 8 * EXTENTS_MAX)

/* Longest run of data in one chunk that we promise to keep whole ("don't fragment"): what the
 * buffers of a client hold, less one for a range that begins and ends inside pages. */
#define WHOLE_CHUNK_MAX ((NBD_CLIENT_PIECES - 1) * READ_BYTES)

_Static_assert(ANSWER_MAX <= NBD_OUTBOX_BYTES, "every answer fits into the outbox");
_Static_assert(WHOLE_CHUNK_MAX >= 65536, "NBD, NBD_CMD_READ: 64 KiB must be had in one chunk");

/* --- begin ------------------------------------------------------------------------------------ */

void nbd_protocol_init(struct nbd_protocol *p, const struct nbd_offer *offers, uint32_t offer_count)
{
    assert(offer_count <= NBD_EXPORTS_MAX);
    /* The boxes are large, and are never read where they were not written. */
    memset(p, 0, offsetof(struct nbd_protocol, inbox));
    p->offers = offers;
    p->offer_count = offer_count;
    p->phase = NBD_PHASE_FLAGS;
    nbd_handshake_greet(p);
}

/* --- the outbox ------------------------------------------------------------------------------ */

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
            result = nbd_handshake_take_flags(p, err);
        } else if (p->phase == NBD_PHASE_OPTIONS) {
            result = nbd_handshake_take_option(p, err);
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
