/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/reader.h"

#include <string.h>

struct const_span read_bytes(struct reader *r, size_t len_bytes)
{
    if (r->bad || len_bytes > r->left_bytes) {
        r->bad = true;
        r->at += r->left_bytes;
        r->left_bytes = 0;
        return (struct const_span){NULL, 0};
    }
    struct const_span bytes = {r->at, len_bytes};
    r->at += len_bytes;
    r->left_bytes -= len_bytes;
    return bytes;
}

static uint64_t read_integer(struct reader *r, size_t len_bytes)
{
    struct const_span bytes = read_bytes(r, len_bytes);
    uint64_t value = 0;

    for (size_t i = 0; i < bytes.len_bytes; i++) {
        value |= (uint64_t)bytes.at[i] << (8 * i);
    }
    return value;
}

uint8_t read_u8(struct reader *r)
{
    return (uint8_t)read_integer(r, 1);
}

uint16_t read_u16(struct reader *r)
{
    return (uint16_t)read_integer(r, 2);
}

uint32_t read_u32(struct reader *r)
{
    return (uint32_t)read_integer(r, 4);
}

uint64_t read_u64(struct reader *r)
{
    return read_integer(r, 8);
}

void read_copy(struct reader *r, struct span out)
{
    struct const_span bytes = read_bytes(r, out.len_bytes);

    if (bytes.at == NULL) {
        if (out.len_bytes > 0) {
            memset(out.at, 0, out.len_bytes);
        }
        return;
    }
    memcpy(out.at, bytes.at, bytes.len_bytes);
}

void read_text(struct reader *r, char *out, size_t size_bytes)
{
    struct const_span bytes = read_bytes(r, read_u16(r));

    if (bytes.len_bytes >= size_bytes ||
        (bytes.len_bytes > 0 && memchr(bytes.at, 0, bytes.len_bytes) != NULL)) {
        r->bad = true;
        bytes.len_bytes = 0;
    }
    if (bytes.len_bytes > 0) {
        memcpy(out, bytes.at, bytes.len_bytes);
    }
    out[bytes.len_bytes] = '\0';
}

struct const_span read_rest(struct reader *r)
{
    return read_bytes(r, r->left_bytes);
}

bool reader_done(const struct reader *r)
{
    return !r->bad && r->left_bytes == 0;
}
