/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reader.h - sticky cursor over bytes from outside. All integers little-endian.
 *
 * Read all fields, ask reader_done() once, then range-check each field, then act. A read past the
 * end gives 0 (or an empty span), sets `bad` and stays at the end.
 */
#ifndef RESILVER_BASE_READER_H
#define RESILVER_BASE_READER_H

#include "base/attributes.h"
#include "base/span.h"

struct reader {
    const uint8_t *at; /* borrowed from the span given to reader_init */
    size_t left_bytes;
    bool bad;
};

static inline struct reader reader_init(struct const_span bytes)
{
    return (struct reader){bytes.at, bytes.len_bytes, false};
}

uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);

/* read_bytes - the next len_bytes, borrowed; {NULL, 0} and bad when there are fewer. */
struct const_span read_bytes(struct reader *r, size_t len_bytes);

/* read_copy - fill out with exactly out.len_bytes bytes; zeros and bad when there are fewer. */
void read_copy(struct reader *r, struct span out);

/* read_text - a u16 length and that many bytes, as a NUL-ended string in out (size_bytes large);
 * too long or holding a NUL byte is bad and gives "". */
void read_text(struct reader *r, char *out, size_t size_bytes);

/* read_rest - everything that is left; never bad. */
struct const_span read_rest(struct reader *r);

/* reader_done - whether all reads were good and nothing is left over. */
MUST_CHECK bool reader_done(const struct reader *r);

#endif
