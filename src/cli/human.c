/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/human.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

#include "base/attributes.h"
#include "base/env.h"
#include "base/limits.h"

const char *human_size(uint64_t bytes, char out[HUMAN_MAX])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t index = 0;
    uint64_t unit = KIB;

    if (bytes < KIB) {
        (void)snprintf(out, HUMAN_MAX, "%" PRIu64 " %s", bytes, bytes == 1 ? "byte" : "bytes");
        return out;
    }
    /* The next unit already from where rounding to one digit would say "1024.0". */
    while (index + 1 < ARRAY_COUNT(units) && bytes >= unit * 1024 - unit / 20) {
        unit *= 1024;
        index++;
    }
    if (unit == KIB && bytes % KIB == 0) {
        (void)snprintf(out, HUMAN_MAX, "%" PRIu64 " KiB", (uint64_t)(bytes / KIB));
        return out;
    }
    uint64_t whole = bytes / unit;
    uint64_t tenths = ((bytes % unit) * 10 + unit / 2) / unit;
    if (tenths == 10) {
        whole++;
        tenths = 0;
    }
    (void)snprintf(out, HUMAN_MAX, "%" PRIu64 ".%" PRIu64 " %s", whole, tenths, units[index]);
    return out;
}

uint64_t human_rate_of(uint64_t bytes, uint64_t elapsed_ns)
{
    double seconds = (double)(elapsed_ns > 0 ? elapsed_ns : 1) / (double)NS_PER_S;
    double rate = (double)bytes / seconds;

    /* 2^63: a double above it might not fit into 64 bits, and no disk is that fast. */
    return rate < 9223372036854775808.0 ? (uint64_t)rate : UINT64_MAX / 2;
}

const char *human_rate(uint64_t bytes, uint64_t elapsed_ns, char out[HUMAN_MAX])
{
    char size[HUMAN_MAX];

    (void)snprintf(out, HUMAN_MAX, "%.40s/s", human_size(human_rate_of(bytes, elapsed_ns), size));
    return out;
}

const char *human_duration(uint64_t elapsed_ns, char out[HUMAN_MAX])
{
    uint64_t tenths = (elapsed_ns + NS_PER_S / 20) / (NS_PER_S / 10);
    uint64_t seconds = tenths / 10;

    if (seconds < 60) {
        (void)snprintf(out, HUMAN_MAX, "%" PRIu64 ".%" PRIu64 " s", seconds, tenths % 10);
    } else if (seconds < 3600) {
        (void)snprintf(out, HUMAN_MAX, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
    } else {
        (void)snprintf(out, HUMAN_MAX, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600,
                       seconds / 60 % 60);
    }
    return out;
}

const char *human_time(uint64_t since_1970_ns, char out[HUMAN_MAX])
{
    time_t seconds = (time_t)(since_1970_ns / NS_PER_S);
    struct tm local;

    if (localtime_r(&seconds, &local) == NULL ||
        strftime(out, HUMAN_MAX, "%Y-%m-%d %H:%M:%S", &local) == 0) {
        (void)snprintf(out, HUMAN_MAX, "unknown");
    }
    return out;
}

const char *human_clock(uint64_t seconds, char out[HUMAN_MAX])
{
    if (seconds < 3600) {
        (void)snprintf(out, HUMAN_MAX, "%" PRIu64 ":%02" PRIu64, seconds / 60, seconds % 60);
    } else if (seconds < UINT64_C(360000)) {
        (void)snprintf(out, HUMAN_MAX, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, seconds / 3600,
                       seconds / 60 % 60, seconds % 60);
    } else {
        (void)snprintf(out, HUMAN_MAX, "over 99 h");
    }
    return out;
}

/* One character of a name: its bytes, or '?', and the columns that it takes. */
struct glyph {
    const char *at;
    size_t len_bytes;
    size_t columns;
};

/* Marks that show nothing and change how what follows is shown: zero-width and direction (U+202E
 * turns a name around). */
static bool is_invisible(wchar_t c)
{
    return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/* Takes the next character; at least one byte of a name that is not empty. */
static size_t take_glyph(const char *name, mbstate_t *state, struct glyph *out)
{
    wchar_t wide = 0;
    size_t len_bytes = mbrtowc(&wide, name, strlen(name), state);

    if (len_bytes == (size_t)-1 || len_bytes == (size_t)-2 || len_bytes == 0) {
        *state = (mbstate_t){0};
        *out = (struct glyph){"?", 1, 1};
        return 1;
    }
    int columns = iswprint((wint_t)wide) && !is_invisible(wide) ? wcwidth(wide) : -1;
    *out =
        columns >= 0 ? (struct glyph){name, len_bytes, (size_t)columns} : (struct glyph){"?", 1, 1};
    return len_bytes;
}

static size_t name_columns(const char *name)
{
    mbstate_t state = {0};
    struct glyph glyph = {0};
    size_t columns = 0;

    for (const char *at = name; *at != '\0';) {
        at += take_glyph(at, &state, &glyph);
        columns += glyph.columns;
    }
    return columns;
}

size_t human_name(const char *name, size_t columns, char *out, size_t size_bytes)
{
    assert(size_bytes > 0);
    size_t left = name_columns(name);
    size_t limit = columns == 0 ? left : columns;
    bool is_cut = left > limit;
    size_t used_bytes = 0;
    size_t used_columns = 0;
    mbstate_t state = {0};
    struct glyph glyph = {0};

    if (is_cut) {
        used_columns = limit < 3 ? limit : 3;
        used_bytes = (size_t)snprintf(out, size_bytes, "%.*s", (int)used_columns, "...");
        used_bytes = used_bytes < size_bytes ? used_bytes : size_bytes - 1;
    }
    for (const char *at = name; *at != '\0';) {
        at += take_glyph(at, &state, &glyph);
        bool fits = !is_cut || left + 3 <= limit;
        left -= glyph.columns;
        if (!fits) {
            continue;
        }
        if (used_bytes + glyph.len_bytes >= size_bytes) {
            break;
        }
        memcpy(out + used_bytes, glyph.at, glyph.len_bytes);
        used_bytes += glyph.len_bytes;
        used_columns += glyph.columns;
    }
    out[used_bytes] = '\0';
    return used_columns;
}
