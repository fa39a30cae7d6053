/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd_boxes.h - what both halves of nbd_protocol share, the handshake and the commands: NBD's
 * integers, and the two boxes of the machine. For those two files only.
 *
 * The invariants are those of nbd_protocol.c.
 */
#ifndef RESILVER_WIRE_NBD_BOXES_H
#define RESILVER_WIRE_NBD_BOXES_H

#include <assert.h>
#include <stdint.h>

#include "base/reader.h"
#include "base/span.h"
#include "base/writer.h"
#include "wire/nbd_protocol.h"

#define OPTION_HEADER_BYTES 16U
#define CONTEXT_ID 1U /* what SET_META_CONTEXT tells, and each answer to BLOCK_STATUS repeats */

/* --- integers: NBD's are big-endian, the reader's and the writer's little-endian ---------------
 */

static inline uint16_t get_u16(struct reader *r)
{
    return __builtin_bswap16(read_u16(r));
}

static inline uint32_t get_u32(struct reader *r)
{
    return __builtin_bswap32(read_u32(r));
}

static inline uint64_t get_u64(struct reader *r)
{
    return __builtin_bswap64(read_u64(r));
}

static inline void put_u16(struct writer *w, uint16_t value)
{
    write_u16(w, __builtin_bswap16(value));
}

static inline void put_u32(struct writer *w, uint32_t value)
{
    write_u32(w, __builtin_bswap32(value));
}

static inline void put_u64(struct writer *w, uint64_t value)
{
    write_u64(w, __builtin_bswap64(value));
}

/* --- the outbox ------------------------------------------------------------------------------ */

static inline struct writer begin_reply(struct nbd_protocol *p)
{
    return writer_init(
        (struct span){p->outbox + p->outbox_used, sizeof p->outbox - p->outbox_used});
}

static inline void end_reply(struct nbd_protocol *p, const struct writer *w)
{
    assert(!w->bad); /* invariant 2 */
    p->outbox_used += w->used_bytes;
    assert(p->outbox_used <= sizeof p->outbox);
}

/* --- the inbox ------------------------------------------------------------------------------- */

static inline size_t waiting_bytes(const struct nbd_protocol *p)
{
    return p->inbox_end - p->inbox_begin;
}

/* The first len_bytes of the inbox, which stay there. */
static inline struct reader peek(const struct nbd_protocol *p, size_t len_bytes)
{
    assert(len_bytes <= waiting_bytes(p));
    return reader_init((struct const_span){p->inbox + p->inbox_begin, len_bytes});
}

static inline void take(struct nbd_protocol *p, size_t len_bytes)
{
    assert(len_bytes <= waiting_bytes(p));
    p->inbox_begin += len_bytes;
    p->taken_count++;
}

#endif
