/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/span.h"

#include <string.h>

bool span_is_zero(struct const_span span)
{
    if (span.len_bytes == 0) {
        return true;
    }
    /* The first byte is 0 and each byte equals the one before it; memcmp does the rest at the speed
     * of the cache. */
    return span.at[0] == 0 && memcmp(span.at, span.at + 1, span.len_bytes - 1) == 0;
}
