/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* More digits would not survive: the largest unit (2^40) times 10^6 still fits into 64 bits. */
#define FRACTION_DIGITS_MAX 6

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Reads digits (at least one) and moves *text behind them; false: none there, or too many for 64
 * bits. */
static bool take_digits(const char **text, uint64_t *out)
{
    const char *at = *text;
    uint64_t value = 0;

    if (!is_digit(*at)) {
        return false;
    }
    for (; is_digit(*at); at++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            return false;
        }
    }
    *text = at;
    *out = value;
    return true;
}

/* What stands behind the digits, to the end of the text; 0: not a unit. */
static uint64_t unit_bytes(const char *text)
{
    static const char prefixes[] = "kmgt";
    uint64_t binary = 1;
    uint64_t decimal = 1;

    if (text[0] == '\0' || (lower(text[0]) == 'b' && text[1] == '\0')) {
        return 1;
    }
    for (size_t i = 0; prefixes[i] != '\0'; i++) {
        binary *= 1024;
        decimal *= 1000;
        if (lower(text[0]) != prefixes[i]) {
            continue;
        }
        if (text[1] == '\0') {
            return binary;
        }
        if (lower(text[1]) == 'b' && text[2] == '\0') {
            return decimal;
        }
        if (lower(text[1]) == 'i' &&
            (text[2] == '\0' || (lower(text[2]) == 'b' && text[3] == '\0'))) {
            return binary;
        }
        return 0;
    }
    return 0;
}

static int fail_size(const char *text, struct error *err)
{
    return fail(err, ERR_USAGE, 0,
                "'%s' is not an amount of bytes; write a number with K, M, G or T (steps of 1024) "
                "or KB, MB, GB or TB (steps of 1000), as in 1.5G",
                text);
}

static int fail_too_large(const char *text, struct error *err)
{
    return fail(err, ERR_USAGE, 0, "'%s' is more bytes than can be counted", text);
}

/* Reads ".digits" if it is there: *out is the fraction times *out_scale. */
static bool take_fraction(const char **text, uint64_t *out, uint64_t *out_scale)
{
    *out = 0;
    *out_scale = 1;
    if (**text != '.') {
        return true;
    }
    const char *first = ++*text;
    if (!take_digits(text, out) || *text - first > FRACTION_DIGITS_MAX) {
        return false;
    }
    for (const char *at = first; at < *text; at++) {
        *out_scale *= 10;
    }
    return true;
}

int number_parse_size(const char *text, uint64_t *out_bytes, struct error *err)
{
    const char *at = text;
    uint64_t whole = 0;
    uint64_t fraction = 0;
    uint64_t scale = 1;
    uint64_t bytes = 0;

    if (!is_digit(*at)) {
        return fail_size(text, err);
    }
    if (!take_digits(&at, &whole)) {
        return fail_too_large(text, err);
    }
    if (!take_fraction(&at, &fraction, &scale)) {
        return fail_size(text, err);
    }
    uint64_t unit = unit_bytes(at);
    if (unit == 0 || (scale > 1 && unit == 1)) {
        return fail_size(text, err);
    }
    if (__builtin_mul_overflow(whole, unit, &bytes) ||
        __builtin_add_overflow(bytes, fraction * unit / scale, &bytes)) {
        return fail_too_large(text, err);
    }
    *out_bytes = bytes;
    return 0;
}

int number_parse_range(const char *text, const char *what, uint64_t min, uint64_t max,
                       uint64_t *out, struct error *err)
{
    const char *at = text;
    uint64_t value = 0;

    if (!take_digits(&at, &value) || *at != '\0' || value < min || value > max) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' cannot be %s; it must be a number from %" PRIu64 " to %" PRIu64, text,
                    what, min, max);
    }
    *out = value;
    return 0;
}

static size_t count_digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* strtod() alone would also take hexadecimal, "inf", "nan" and white space. */
bool number_parse_real(const char *text, double *out)
{
    const char *at = text + (*text == '-' || *text == '+');
    size_t whole = count_digits(at);
    size_t fraction = at[whole] == '.' ? count_digits(at + whole + 1) : 0;
    char *end = NULL;

    if (whole + fraction == 0) {
        return false;
    }
    at += whole + (at[whole] == '.' ? 1 + fraction : 0);
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+';
        size_t exponent = count_digits(at);
        if (exponent == 0) {
            return false;
        }
        at += exponent;
    }
    if (*at != '\0') {
        return false;
    }
    double value = strtod(text, &end);
    if (end != at || isinf(value)) {
        return false;
    }
    *out = value;
    return true;
}
