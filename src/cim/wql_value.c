/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wql_value.c - numbers, moments and patterns of queries.
 */
#include <string.h>

#include "base/instant.h"
#include "cim/wql_internal.h"

/* --- numbers ---------------------------------------------------------------------------------- */

static int digit_of(char byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte = (char)(byte | 0x20);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* A whole number without sign that fits 64 bits. */
static bool read_whole(const char *text, uint64_t *out)
{
    const bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const uint64_t base = is_hex ? 16 : 10;
    uint64_t value = 0;

    text += is_hex ? 2 : 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        int digit = digit_of(*text);

        if (digit < 0 || (uint64_t)digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

/* Only what begins as one: cim_item_read() also knows INF and NaN, which are words here. */
static bool read_real(struct arena *arena, const char *text, double *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    union cim_item item = {0};

    digits += *digits == '.';
    if (digit_of(*digits) < 0 || digit_of(*digits) > 9 || strpbrk(text, " \t\r\nxX") != NULL ||
        cim_item_read(arena, CIM_REAL64, text, &item, NULL) < 0) {
        return false;
    }
    *out = item.real;
    return true;
}

bool wql_number_read(struct arena *arena, const char *text, struct wql_number *out)
{
    const bool is_signed = *text == '-' || *text == '+';
    struct wql_number number = {0};

    if (read_whole(text + is_signed, &number.magnitude)) {
        number.is_negative = *text == '-' && number.magnitude > 0;
        number.real = number.is_negative ? -(double)number.magnitude : (double)number.magnitude;
    } else if (read_real(arena, text, &number.real)) {
        number.is_real = true;
    } else {
        return false;
    }
    *out = number;
    return true;
}

int wql_number_compare(const struct wql_number *a, const struct wql_number *b)
{
    if (a->is_real || b->is_real) {
        return (a->real > b->real) - (a->real < b->real);
    }
    if (a->is_negative != b->is_negative) {
        return a->is_negative ? -1 : 1;
    }
    int order = (a->magnitude > b->magnitude) - (a->magnitude < b->magnitude);
    return a->is_negative ? -order : order;
}

/* --- moments ---------------------------------------------------------------------------------- */

bool wql_moment_read(const char *text, bool *is_interval, int64_t *out_us)
{
    char datetime[CIM_DATETIME_TEXT_MAX];
    enum instant_form form = instant_read(text, out_us);

    if (form == INSTANT_NONE && cim_datetime_from(text, datetime)) {
        form = instant_read(datetime, out_us);
    }
    *is_interval = form == INSTANT_INTERVAL;
    return form != INSTANT_NONE;
}

/* --- LIKE ------------------------------------------------------------------------------------- */

/* The character that begins here, and how many bytes it has. Never fails: a byte that begins none
 * is a character of its own, beyond all of Unicode. */
static uint32_t character_at(const char *text, size_t *length)
{
    const unsigned char first = (unsigned char)text[0];
    const size_t count = first < 0x80   ? 1
                         : first < 0xc2 ? 0
                         : first < 0xe0 ? 2
                         : first < 0xf0 ? 3
                         : first < 0xf5 ? 4
                                        : 0;
    uint32_t value = count == 1 ? first : first & (0x7fU >> count);

    for (size_t i = 1; i < count; i++) {
        const unsigned char next = (unsigned char)text[i];

        if ((next & 0xc0) != 0x80) {
            *length = 1;
            return 0x110000U + first;
        }
        value = value << 6 | (next & 0x3f);
    }
    *length = count > 0 ? count : 1;
    return count > 0 ? value : 0x110000U + first;
}

static uint32_t folded(uint32_t character)
{
    return character >= 'A' && character <= 'Z' ? character + ('a' - 'A') : character;
}

/* Of a set that begins after its [ and maybe ^. A ] that comes first is one of the set. NULL: it
 * does not end. */
static const char *set_end(const char *set)
{
    set += *set == '^';
    return *set == '\0' ? NULL : strchr(set + 1, ']');
}

const char *wql_like_check(const char *pattern)
{
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '[') {
            pattern = set_end(pattern + 1);
            if (pattern == NULL) {
                return "a [ of the pattern has no closing ]; write [[] for a bracket";
            }
        }
    }
    return NULL;
}

static bool is_between(uint32_t character, uint32_t low, uint32_t high)
{
    const uint32_t upper =
        character >= 'a' && character <= 'z' ? character - ('a' - 'A') : character;

    return (character >= low && character <= high) || (upper >= low && upper <= high);
}

/* The character is folded; the set is between its brackets. */
static bool is_in_set(const char *set, const char *end, uint32_t character)
{
    const bool is_not = *set == '^';
    bool is_in = false;

    for (set += is_not; set < end;) {
        size_t length = 0;
        uint32_t low = character_at(set, &length);
        uint32_t high = low;

        set += length;
        if (*set == '-' && set + 1 < end) {
            high = character_at(set + 1, &length);
            set += 1 + length;
        }
        is_in = is_in || is_between(character, low, high);
    }
    return is_in != is_not;
}

/* Whether one character fits what the pattern has here, which is not %; how long that is. */
static bool fits_one(const char *pattern, const char *text, size_t *pattern_bytes,
                     size_t *text_bytes)
{
    const uint32_t character = folded(character_at(text, text_bytes));

    if (*pattern == '[') {
        const char *end = set_end(pattern + 1);
        *pattern_bytes = (size_t)(end - pattern) + 1;
        return is_in_set(pattern + 1, end, character);
    }
    const uint32_t wanted = character_at(pattern, pattern_bytes);
    return wanted == '_' || folded(wanted) == character;
}

/*
 * After a %, what follows is tried at each place of the text. Only the last % is ever gone back to:
 * an earlier one could only give the later parts less room.
 */
bool wql_like(const char *pattern, const char *text)
{
    const char *retry_pattern = NULL; /* after the last % */
    const char *retry_text = NULL;

    while (*text != '\0') {
        size_t pattern_bytes = 0;
        size_t text_bytes = 0;

        if (*pattern == '%') {
            retry_pattern = ++pattern;
            retry_text = text;
        } else if (*pattern != '\0' && fits_one(pattern, text, &pattern_bytes, &text_bytes)) {
            pattern += pattern_bytes;
            text += text_bytes;
        } else if (retry_pattern != NULL) {
            (void)character_at(retry_text, &text_bytes);
            pattern = retry_pattern;
            text = retry_text += text_bytes;
        } else {
            return false;
        }
    }
    while (*pattern == '%') {
        pattern++;
    }
    return *pattern == '\0';
}
