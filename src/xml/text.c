/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM_BYTES ((size_t)1024)
#define NUMBER_TEXT_MAX 24 /* 20 digits, a sign and the NUL */

/* Stands for what cannot be in a document: U+FFFD. */
static const char REPLACEMENT[] = "\xEF\xBF\xBD";

void xml_text_init(struct xml_text *text, size_t max_bytes)
{
    *text = (struct xml_text){.max_bytes = max_bytes};
}

void xml_text_free(struct xml_text *text)
{
    free(text->at);
    xml_text_init(text, text->max_bytes);
}

int xml_text_done(const struct xml_text *text, struct error *err)
{
    if (text->bad) {
        return fail(err, ERR_LIMIT, 0,
                    "the answer is longer than %zu KiB, or memory is short: ask for less at once",
                    text->max_bytes / 1024);
    }
    return 0;
}

void xml_text_cut(struct xml_text *text, size_t used_bytes)
{
    assert(used_bytes <= text->used_bytes);
    text->used_bytes = used_bytes;
    text->bad = false;
    if (text->at != NULL) {
        text->at[used_bytes] = '\0';
    }
}

/* Room for more_bytes and a NUL. Doubling keeps the copying linear. */
static bool make_room(struct xml_text *text, size_t more_bytes)
{
    size_t room_bytes = text->room_bytes == 0 ? FIRST_ROOM_BYTES : text->room_bytes;

    assert(text->used_bytes <= text->max_bytes);
    if (text->bad || more_bytes > text->max_bytes - text->used_bytes) {
        return false;
    }
    while (room_bytes <= text->used_bytes + more_bytes) {
        room_bytes *= 2; /* no overflow: max_bytes is far below half of memory */
    }
    if (room_bytes != text->room_bytes) {
        char *at = realloc(text->at, room_bytes);

        if (at == NULL) {
            return false;
        }
        text->at = at;
        text->room_bytes = room_bytes;
    }
    return true;
}

static void add(struct xml_text *text, const char *bytes, size_t len_bytes)
{
    if (!make_room(text, len_bytes)) {
        text->bad = true;
        return;
    }
    memcpy(text->at + text->used_bytes, bytes, len_bytes);
    text->used_bytes += len_bytes;
    text->at[text->used_bytes] = '\0';
    assert(text->used_bytes < text->room_bytes);
}

void xml_raw(struct xml_text *text, const char *literal)
{
    add(text, literal, strlen(literal));
}

/* --- escaping --------------------------------------------------------------------------------- */

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The bytes of the character of more than one byte at `at`, or 0: it is none that XML 1.0 has. A
 * NUL ends the text, and is no continuation, so nothing behind it is read. */
static size_t long_character(const unsigned char *at)
{
    if (at[0] < 0xC2 || at[0] > 0xF4 || !is_continuation(at[1])) {
        return 0; /* a stray or overlong byte, or half a character */
    }
    if (at[0] < 0xE0) {
        return 2;
    }
    if (!is_continuation(at[2]) || (at[0] == 0xE0 && at[1] < 0xA0)) {
        return 0;
    }
    if (at[0] < 0xF0) {
        bool is_surrogate = at[0] == 0xED && at[1] > 0x9F;
        bool is_none = at[0] == 0xEF && at[1] == 0xBF && at[2] > 0xBD; /* U+FFFE, U+FFFF */

        return is_surrogate || is_none ? 0 : 3;
    }
    bool is_outside = (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F);

    return is_outside || !is_continuation(at[3]) ? 0 : 4;
}

/* How one byte below U+0080 is written; NULL: as it is. */
static const char *entity_of(unsigned char byte)
{
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&apos;";
    case '\t':
    case '\n':
    case '\r':
        return NULL;
    default:
        return byte < 0x20 ? REPLACEMENT : NULL;
    }
}

/* What stands for the character at `at`, and its length: NULL is the character itself. */
static const char *escape_of(const unsigned char *at, size_t *len_bytes)
{
    *len_bytes = 1;
    if (at[0] < 0x80) {
        return entity_of(at[0]);
    }
    size_t long_bytes = long_character(at);

    if (long_bytes == 0) {
        return REPLACEMENT;
    }
    *len_bytes = long_bytes;
    return NULL;
}

void xml_escape(struct xml_text *text, const char *value)
{
    const unsigned char *at = (const unsigned char *)(value == NULL ? "" : value);
    const unsigned char *plain = at; /* from here on nothing needed an escape */

    while (*at != '\0' && !text->bad) {
        size_t len_bytes = 0;
        const char *escape = escape_of(at, &len_bytes);

        if (escape != NULL) {
            add(text, (const char *)plain, (size_t)(at - plain));
            xml_raw(text, escape);
            plain = at + len_bytes;
        }
        at += len_bytes;
    }
    add(text, (const char *)plain, (size_t)(at - plain));
}

/* --- printing --------------------------------------------------------------------------------- */

static void add_unsigned(struct xml_text *text, uint64_t number)
{
    char digits[NUMBER_TEXT_MAX];

    (void)snprintf(digits, sizeof digits, "%" PRIu64, number); /* fits: see NUMBER_TEXT_MAX */
    xml_raw(text, digits);
}

static void add_signed(struct xml_text *text, int64_t number)
{
    char digits[NUMBER_TEXT_MAX];

    (void)snprintf(digits, sizeof digits, "%" PRId64, number); /* fits: see NUMBER_TEXT_MAX */
    xml_raw(text, digits);
}

/* A va_list that helpers may advance for their caller. */
struct arguments {
    va_list list;
};

/* One conversion from behind its '%'; the place behind it. The compiler has checked the format
 * against the arguments, so that another conversion is a mistake of ours. */
static const char *print_one(struct xml_text *text, const char *at, struct arguments *arguments)
{
    switch (*at) {
    case '%':
        xml_raw(text, "%");
        return at + 1;
    case 's':
        xml_escape(text, va_arg(arguments->list, const char *));
        return at + 1;
    case 'u':
        add_unsigned(text, va_arg(arguments->list, unsigned));
        return at + 1;
    case 'd':
        add_signed(text, va_arg(arguments->list, int));
        return at + 1;
    case 'z':
        assert(at[1] == 'u');
        add_unsigned(text, va_arg(arguments->list, size_t));
        return at + 2;
    case 'l':
        if (at[1] == 'u') {
            add_unsigned(text, va_arg(arguments->list, unsigned long));
        } else {
            assert(at[1] == 'd');
            add_signed(text, va_arg(arguments->list, long));
        }
        return at + 2;
    default:
        assert(false && "xml_print() has no such conversion");
        return at;
    }
}

void xml_print(struct xml_text *text, const char *format, ...)
{
    struct arguments arguments;

    va_start(arguments.list, format);
    while (*format != '\0') {
        size_t plain_bytes = strcspn(format, "%");

        add(text, format, plain_bytes);
        format += plain_bytes;
        if (*format == '%') {
            format = print_one(text, format + 1, &arguments);
        }
    }
    va_end(arguments.list);
}
