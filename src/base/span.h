/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * span.h - bytes and their length travel together, never as two loose arguments. A span borrows; it
 * owns nothing.
 */
#ifndef RESILVER_BASE_SPAN_H
#define RESILVER_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    uint8_t *at;
    size_t len_bytes;
};

struct const_span {
    const uint8_t *at;
    size_t len_bytes;
};

static inline struct const_span span_const(struct span span)
{
    return (struct const_span){span.at, span.len_bytes};
}

/* span_is_zero - whether every byte is 0; an empty span is. Cost: ends at the first other byte. */
bool span_is_zero(struct const_span span);

#endif
