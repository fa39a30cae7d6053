/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/writer.h"

#include <string.h>

void write_bytes(struct writer *w, struct const_span bytes)
{
    if (w->bad || bytes.len_bytes > w->buffer.len_bytes - w->used_bytes) {
        w->bad = true;
        return;
    }
    if (bytes.len_bytes > 0) {
        memcpy(w->buffer.at + w->used_bytes, bytes.at, bytes.len_bytes);
    }
    w->used_bytes += bytes.len_bytes;
}

static void write_integer(struct writer *w, uint64_t value, size_t len_bytes)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < len_bytes; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    write_bytes(w, (struct const_span){bytes, len_bytes});
}

void write_u8(struct writer *w, uint8_t value)
{
    write_integer(w, value, 1);
}

void write_u16(struct writer *w, uint16_t value)
{
    write_integer(w, value, 2);
}

void write_u32(struct writer *w, uint32_t value)
{
    write_integer(w, value, 4);
}

void write_u64(struct writer *w, uint64_t value)
{
    write_integer(w, value, 8);
}

void write_text(struct writer *w, const char *text)
{
    size_t len_bytes = strlen(text);

    if (len_bytes > UINT16_MAX) {
        w->bad = true;
        return;
    }
    write_u16(w, (uint16_t)len_bytes);
    write_bytes(w, (struct const_span){(const uint8_t *)text, len_bytes});
}

struct const_span writer_done(const struct writer *w)
{
    if (w->bad) {
        return (struct const_span){NULL, 0};
    }
    return (struct const_span){w->buffer.at, w->used_bytes};
}
