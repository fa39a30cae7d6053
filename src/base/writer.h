/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * writer.h - the reader's twin: a sticky cursor that fills a buffer of fixed size. All integers
 * little-endian.
 *
 * A write that does not fit writes nothing and sets `bad`; ask writer_done() once at the end.
 */
#ifndef RESILVER_BASE_WRITER_H
#define RESILVER_BASE_WRITER_H

#include "base/attributes.h"
#include "base/span.h"

struct writer {
    struct span buffer; /* borrowed from the span given to writer_init */
    size_t used_bytes;
    bool bad;
};

static inline struct writer writer_init(struct span buffer)
{
    return (struct writer){buffer, 0, false};
}

void write_u8(struct writer *w, uint8_t value);
void write_u16(struct writer *w, uint16_t value);
void write_u32(struct writer *w, uint32_t value);
void write_u64(struct writer *w, uint64_t value);
void write_bytes(struct writer *w, struct const_span bytes);

/* write_text - a u16 length and the string's bytes without its NUL; over 65,535 bytes is bad. */
void write_text(struct writer *w, const char *text);

/* writer_done - what was written, or {NULL, 0} if anything did not fit. */
MUST_CHECK struct const_span writer_done(const struct writer *w);

#endif
