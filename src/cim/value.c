/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim/value.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/number.h"

#define SHOWN_BYTES 48   /* of a refused text, in the message */
#define TRIMMED_MAX 512U /* no number, boolean or datetime is longer, but for zeros without end */
#define CHAR16_MAX 0xffffU
#define REAL32_END 0x1.ffffffp127 /* from here on, a number is rounded to infinity */
#define UTF8_BMP_BYTES 3U         /* the longest character below U+10000 */

struct cim_value cim_null(enum cim_type type, bool is_array)
{
    return (struct cim_value){.type = type, .is_array = is_array, .is_null = true};
}

/* --- families of types ---------------------------------------------------------------------- */

enum family {
    FAMILY_NONE = 0,
    FAMILY_BOOLEAN,
    FAMILY_UNSIGNED,
    FAMILY_SIGNED,
    FAMILY_REAL,
    FAMILY_TEXT,
    FAMILY_DATETIME,
    FAMILY_PATH,
    FAMILY_INSTANCE
};

struct kind {
    enum family family;
    int64_t min; /* of signed numbers */
    uint64_t max;
};

static const struct kind kinds[] = {
    [CIM_INVALID] = {FAMILY_NONE, 0, 0},
    [CIM_BOOLEAN] = {FAMILY_BOOLEAN, 0, 0},
    [CIM_UINT8] = {FAMILY_UNSIGNED, 0, UINT8_MAX},
    [CIM_UINT16] = {FAMILY_UNSIGNED, 0, UINT16_MAX},
    [CIM_UINT32] = {FAMILY_UNSIGNED, 0, UINT32_MAX},
    [CIM_UINT64] = {FAMILY_UNSIGNED, 0, UINT64_MAX},
    [CIM_SINT8] = {FAMILY_SIGNED, INT8_MIN, INT8_MAX},
    [CIM_SINT16] = {FAMILY_SIGNED, INT16_MIN, INT16_MAX},
    [CIM_SINT32] = {FAMILY_SIGNED, INT32_MIN, INT32_MAX},
    [CIM_SINT64] = {FAMILY_SIGNED, INT64_MIN, INT64_MAX},
    [CIM_REAL32] = {FAMILY_REAL, 0, 0},
    [CIM_REAL64] = {FAMILY_REAL, 0, 0},
    [CIM_CHAR16] = {FAMILY_TEXT, 0, 0},
    [CIM_STRING] = {FAMILY_TEXT, 0, 0},
    [CIM_DATETIME] = {FAMILY_DATETIME, 0, 0},
    [CIM_REFERENCE] = {FAMILY_PATH, 0, 0},
    [CIM_INSTANCE] = {FAMILY_INSTANCE, 0, 0},
};

static const struct kind *kind_of(enum cim_type type)
{
    return (unsigned int)type < ARRAY_COUNT(kinds) ? &kinds[type] : &kinds[CIM_INVALID];
}

/* --- reading -------------------------------------------------------------------------------- */

/* The start of a text from outside, fit for a message: no control bytes, whole characters. */
static void shorten(const char *text, char out[SHOWN_BYTES + 4])
{
    size_t len = strnlen(text, SHOWN_BYTES + 1);
    bool is_cut = len > SHOWN_BYTES;

    if (is_cut) {
        len = SHOWN_BYTES;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        out[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
    }
    (void)snprintf(out + len, SHOWN_BYTES + 4 - len, "%s", is_cut ? "..." : "");
}

/* What would have been right. */
static void describe(enum cim_type type, char out[96])
{
    const struct kind *kind = kind_of(type);

    switch (kind->family) {
    case FAMILY_UNSIGNED:
        (void)snprintf(out, 96, ": give a whole number from 0 to %" PRIu64, kind->max);
        return;
    case FAMILY_SIGNED:
        (void)snprintf(out, 96, ": give a whole number from %" PRId64 " to %" PRIu64, kind->min,
                       kind->max);
        return;
    case FAMILY_BOOLEAN:
        (void)snprintf(out, 96, ": give true or false");
        return;
    case FAMILY_REAL:
        (void)snprintf(out, 96, ": give a number such as 1.5 or 2e-3");
        return;
    case FAMILY_TEXT:
        (void)snprintf(out, 96, ": give one character");
        return;
    case FAMILY_DATETIME:
        (void)snprintf(out, 96, ": give 20260301210000.000000+000, 2026-03-01T21:00:00Z or PT5M");
        return;
    case FAMILY_NONE:
    case FAMILY_PATH:
    case FAMILY_INSTANCE:
        break;
    }
    out[0] = '\0';
}

static int refuse(enum cim_type type, const char *text, struct error *err)
{
    char shown[SHOWN_BYTES + 4];
    char wanted[96];

    shorten(text, shown);
    describe(type, wanted);
    return fail(err, ERR_USAGE, 0, "'%s' is no %s%s", shown, cim_type_name(type), wanted);
}

/* Without the white space of XML around it. False: nothing is left, or too much. */
static bool trim(const char *text, char out[TRIMMED_MAX])
{
    static const char white[] = " \t\r\n";
    const char *start = text + strspn(text, white);
    size_t len = strlen(start);

    while (len > 0 && strchr(white, start[len - 1]) != NULL) {
        len--;
    }
    if (len == 0 || len >= TRIMMED_MAX) {
        return false;
    }
    memcpy(out, start, len);
    out[len] = '\0';
    return true;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "12", "+0x1F", "-3": the sign and the amount. Source: DSP0201 2.4, 5.2.4.1 */
static bool read_whole(const char *text, bool *is_negative, uint64_t *out)
{
    uint64_t base = 10;
    uint64_t value = 0;

    *is_negative = *text == '-';
    text += *text == '-' || *text == '+';
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
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

static bool read_unsigned(const struct kind *kind, const char *text, union cim_item *out)
{
    bool is_negative = false;
    uint64_t amount = 0;

    if (!read_whole(text, &is_negative, &amount) || amount > kind->max ||
        (is_negative && amount != 0)) {
        return false;
    }
    out->number = amount;
    return true;
}

static bool read_signed(const struct kind *kind, const char *text, union cim_item *out)
{
    bool is_negative = false;
    uint64_t amount = 0;

    if (!read_whole(text, &is_negative, &amount) || amount > kind->max + (is_negative ? 1 : 0)) {
        return false;
    }
    /* Two steps, as the least number has no positive twin. */
    out->integer = is_negative && amount > 0 ? -(int64_t)(amount - 1) - 1 : (int64_t)amount;
    assert(out->integer >= kind->min);
    return true;
}

static bool read_boolean(const char *text, union cim_item *out)
{
    bool is_true = strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;

    if (!is_true && strcasecmp(text, "false") != 0 && strcmp(text, "0") != 0) {
        return false;
    }
    out->boolean = is_true;
    return true;
}

static bool read_real(enum cim_type type, const char *text, union cim_item *out)
{
    double value = 0;

    if (strcasecmp(text, "INF") == 0 || strcasecmp(text, "+INF") == 0) {
        value = INFINITY;
    } else if (strcasecmp(text, "-INF") == 0) {
        value = -INFINITY;
    } else if (strcasecmp(text, "NaN") == 0) {
        value = NAN;
    } else if (!number_parse_real(text, &value)) {
        return false;
    } else if (type == CIM_REAL32) {
        if (fabs(value) >= REAL32_END) {
            return false;
        }
        value = (double)(float)value;
    }
    out->real = value;
    return true;
}

/* The bytes of the one character, below U+10000, that a text is; 0: it is none. */
static size_t one_character(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t len = strnlen(text, UTF8_BMP_BYTES + 1);

    if (len == 1 && at[0] < 0x80) {
        return 1;
    }
    if (len == 2 && at[0] >= 0xc2 && at[0] <= 0xdf && (at[1] & 0xc0) == 0x80) {
        return 2;
    }
    if (len != 3 || (at[0] & 0xf0) != 0xe0 || (at[1] & 0xc0) != 0x80 || (at[2] & 0xc0) != 0x80) {
        return 0;
    }
    bool is_overlong = at[0] == 0xe0 && at[1] < 0xa0;
    bool is_surrogate = at[0] == 0xed && at[1] >= 0xa0;
    return is_overlong || is_surrogate ? 0 : 3;
}

static void write_utf8(uint64_t code, char out[UTF8_BMP_BYTES + 1])
{
    size_t len = 0;

    assert(code <= CHAR16_MAX);
    if (code >= 0x800) {
        out[len++] = (char)(0xe0 | (code >> 12));
        out[len++] = (char)(0x80 | ((code >> 6) & 0x3f));
        out[len++] = (char)(0x80 | (code & 0x3f));
    } else if (code >= 0x80) {
        out[len++] = (char)(0xc0 | (code >> 6));
        out[len++] = (char)(0x80 | (code & 0x3f));
    } else {
        out[len++] = (char)code;
    }
    out[len] = '\0';
}

/* A character, or, as Microsoft's OMI writes it, its number: two digits and more. */
static bool read_character(struct arena *arena, const char *text, union cim_item *out)
{
    char character[UTF8_BMP_BYTES + 1] = "";
    char trimmed[TRIMMED_MAX];
    uint64_t code = 0;
    bool is_negative = false;

    if (one_character(text) > 0) {
        out->text = arena_text(arena, text);
        return true;
    }
    if (!trim(text, trimmed) || !read_whole(trimmed, &is_negative, &code) || is_negative ||
        code == 0 || code > CHAR16_MAX) {
        return false;
    }
    write_utf8(code, character);
    if (one_character(character) == 0) { /* half of a pair of UTF-16 */
        return false;
    }
    out->text = arena_text(arena, character);
    return true;
}

static bool read_datetime(struct arena *arena, const char *text, union cim_item *out)
{
    char made[CIM_DATETIME_TEXT_MAX];

    if (!cim_datetime_from(text, made)) {
        return false;
    }
    out->text = arena_text(arena, made);
    return true;
}

static bool read_item(struct arena *arena, enum cim_type type, const char *text,
                      union cim_item *out)
{
    const struct kind *kind = kind_of(type);
    char trimmed[TRIMMED_MAX];

    if (type == CIM_STRING) {
        out->text = arena_text(arena, text);
        return true;
    }
    if (type == CIM_CHAR16) {
        return read_character(arena, text, out);
    }
    if (!trim(text, trimmed)) {
        return false;
    }
    switch (kind->family) {
    case FAMILY_BOOLEAN:
        return read_boolean(trimmed, out);
    case FAMILY_UNSIGNED:
        return read_unsigned(kind, trimmed, out);
    case FAMILY_SIGNED:
        return read_signed(kind, trimmed, out);
    case FAMILY_REAL:
        return read_real(type, trimmed, out);
    case FAMILY_DATETIME:
        return read_datetime(arena, trimmed, out);
    case FAMILY_NONE:
    case FAMILY_TEXT:
    case FAMILY_PATH:
    case FAMILY_INSTANCE:
        break;
    }
    return false;
}

int cim_item_read(struct arena *arena, enum cim_type type, const char *text, union cim_item *out,
                  struct error *err)
{
    union cim_item item = {0};

    if (!read_item(arena, type, text, &item)) {
        return refuse(type, text, err);
    }
    if (arena_done(arena, err) != 0) {
        return -1;
    }
    *out = item;
    return 0;
}

/* --- writing -------------------------------------------------------------------------------- */

/* With so many digits that the same number is read again. Source: DSP0201 2.4, 5.2.4.2 */
static const char *real_text(struct arena *arena, enum cim_type type, double value)
{
    if (isnan(value)) {
        return "NaN";
    }
    if (isinf(value)) {
        return value < 0 ? "-INF" : "INF";
    }
    return arena_print(arena, "%.*e", type == CIM_REAL32 ? 8 : 16, value);
}

const char *cim_item_text(struct arena *arena, enum cim_type type, const union cim_item *item)
{
    const char *text = NULL;

    switch (kind_of(type)->family) {
    case FAMILY_BOOLEAN:
        return item->boolean ? "TRUE" : "FALSE";
    case FAMILY_UNSIGNED:
        text = arena_print(arena, "%" PRIu64, item->number);
        break;
    case FAMILY_SIGNED:
        text = arena_print(arena, "%" PRId64, item->integer);
        break;
    case FAMILY_REAL:
        text = real_text(arena, type, item->real);
        break;
    case FAMILY_TEXT:
    case FAMILY_DATETIME:
        text = item->text;
        break;
    case FAMILY_NONE:
    case FAMILY_PATH:
    case FAMILY_INSTANCE:
        break;
    }
    return text != NULL ? text : "";
}

/* --- equality ------------------------------------------------------------------------------- */

static bool is_number(enum family family)
{
    return family == FAMILY_UNSIGNED || family == FAMILY_SIGNED || family == FAMILY_REAL;
}

static long double as_real(enum family family, const union cim_item *item)
{
    if (family == FAMILY_UNSIGNED) {
        return (long double)item->number;
    }
    return family == FAMILY_SIGNED ? (long double)item->integer : (long double)item->real;
}

/* Whole numbers exactly, whatever the compiler's long double holds. */
static bool are_numbers_equal(enum family family_a, const union cim_item *a, enum family family_b,
                              const union cim_item *b)
{
    if (family_a == FAMILY_REAL || family_b == FAMILY_REAL) {
        return !(as_real(family_a, a) < as_real(family_b, b)) &&
               !(as_real(family_a, a) > as_real(family_b, b)) &&
               !isnan(as_real(family_a, a)) == !isnan(as_real(family_b, b));
    }
    bool is_negative_a = family_a == FAMILY_SIGNED && a->integer < 0;
    bool is_negative_b = family_b == FAMILY_SIGNED && b->integer < 0;
    uint64_t bits_a = family_a == FAMILY_SIGNED ? (uint64_t)a->integer : a->number;
    uint64_t bits_b = family_b == FAMILY_SIGNED ? (uint64_t)b->integer : b->number;
    return is_negative_a == is_negative_b && bits_a == bits_b;
}

static bool are_datetimes_equal(const char *a, const char *b)
{
    int order = 0;

    return strcmp(a, b) == 0 || (cim_datetime_compare(a, b, &order) && order == 0);
}

/* Of the same family, and no instances. */
static bool are_items_equal(enum family family_a, const union cim_item *a, enum family family_b,
                            const union cim_item *b)
{
    switch (family_a) {
    case FAMILY_BOOLEAN:
        return a->boolean == b->boolean;
    case FAMILY_UNSIGNED:
    case FAMILY_SIGNED:
    case FAMILY_REAL:
        return are_numbers_equal(family_a, a, family_b, b);
    case FAMILY_TEXT:
        return strcmp(a->text, b->text) == 0;
    case FAMILY_DATETIME:
        return are_datetimes_equal(a->text, b->text);
    case FAMILY_PATH:
        return cim_path_equal(a->path, b->path);
    case FAMILY_NONE:
    case FAMILY_INSTANCE:
        break;
    }
    return false;
}

/*
 * Instances hold values that hold instances, as deep as a client likes: no recursion, but a stack
 * of places. A place is a run of values of both sides, and the next item of the first of them.
 */
struct place {
    const struct cim_value *a;
    const struct cim_value *b;
    uint32_t left;
    uint32_t item;
};

/* Whether two values can be equal, their items aside. */
static bool is_alike(const struct cim_value *a, const struct cim_value *b)
{
    enum family family_a = kind_of(a->type)->family;
    enum family family_b = kind_of(b->type)->family;

    if (a->is_null || b->is_null) {
        return a->is_null && b->is_null;
    }
    return a->is_array == b->is_array && a->count == b->count &&
           (family_a == family_b || (is_number(family_a) && is_number(family_b)));
}

/* Compares the item at a place. *inside becomes the place to go on at, when both are instances. */
static bool compare_item(const struct place *at, struct place *inside)
{
    const union cim_item *a = &at->a->items[at->item];
    const union cim_item *b = &at->b->items[at->item];

    if (at->a->type != CIM_INSTANCE) {
        return are_items_equal(kind_of(at->a->type)->family, a, kind_of(at->b->type)->family, b);
    }
    if (a->instance->class != b->instance->class) {
        return false;
    }
    *inside = (struct place){.a = a->instance->values,
                             .b = b->instance->values,
                             .left = a->instance->class->property_count};
    return true;
}

bool cim_value_equal(const struct cim_value *a, const struct cim_value *b)
{
    struct place places[CIM_NEST_MAX] = {{.a = a, .b = b, .left = 1}};
    size_t depth = 1;

    while (depth > 0) {
        struct place *at = &places[depth - 1];
        struct place inside = {0};

        if (at->left == 0) {
            depth--;
            continue;
        }
        if (at->item == 0 && !is_alike(at->a, at->b)) {
            return false;
        }
        if (at->item >= at->a->count) {
            *at = (struct place){.a = at->a + 1, .b = at->b + 1, .left = at->left - 1};
            continue;
        }
        if (!compare_item(at, &inside)) {
            return false;
        }
        at->item++;
        if (inside.left > 0) {
            if (depth == CIM_NEST_MAX) { /* deeper than anything that we make */
                return false;
            }
            places[depth++] = inside;
        }
    }
    return true;
}
