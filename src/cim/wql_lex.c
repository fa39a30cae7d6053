/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wql_lex.c - a query as tokens. Bytes beyond ASCII are allowed within quotes and braces only.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cim/wql_internal.h"

#define DESCRIBED_MAX 40 /* bytes of a token that a message shows */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_name_start(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

static bool is_name(char byte)
{
    return is_name_start(byte) || is_digit(byte);
}

bool wql_is_word(const struct wql_token *token, const char *word)
{
    return token->kind == WQL_TOKEN_NAME && strcasecmp(token->text, word) == 0;
}

size_t wql_column(const char *query, size_t at_bytes)
{
    size_t column = 1;

    for (size_t i = 0; i < at_bytes && query[i] != '\0'; i++) {
        column += ((unsigned char)query[i] & 0xc0) != 0x80; /* not within a character of UTF-8 */
    }
    return column;
}

int wql_refuse(const struct wql_lexer *lexer, size_t at_bytes, struct error *err,
               const char *format, ...)
{
    char what[ERROR_MESSAGE_MAX];
    va_list values;

    va_start(values, format);
    (void)vsnprintf(what, sizeof what, format, values); /* one that is too long is cut */
    va_end(values);
    return fail(err, ERR_USAGE, 0, "the query is wrong at column %zu: %s",
                wql_column(lexer->query, at_bytes), what);
}

const char *wql_describe(const struct wql_lexer *lexer, const struct wql_token *token)
{
    const char *text = NULL;
    size_t length = strlen(token->text);

    if (token->kind == WQL_TOKEN_END) {
        return "the end";
    }
    size_t shown = length > DESCRIBED_MAX ? DESCRIBED_MAX : length;
    while (shown < length && shown > 0 && ((unsigned char)token->text[shown] & 0xc0) == 0x80) {
        shown--; /* not half a character */
    }
    text =
        arena_print(lexer->arena, "'%.*s%s'", (int)shown, token->text, shown < length ? "..." : "");
    return text != NULL ? text : "what is there";
}

static int out_of_memory(struct error *err)
{
    return fail(err, ERR_LIMIT, 0, "the query takes more memory than one request may have");
}

/* The token that begins here and has so many bytes; its text is as it stands. */
static int take(struct wql_lexer *lexer, enum wql_token_kind kind, size_t length, struct error *err)
{
    const char *text = arena_text_of(lexer->arena, lexer->query + lexer->at_bytes, length);

    if (text == NULL) {
        return out_of_memory(err);
    }
    lexer->token = (struct wql_token){.kind = kind, .at_bytes = lexer->at_bytes, .text = text};
    lexer->at_bytes += length;
    return 0;
}

static int take_name(struct wql_lexer *lexer, struct error *err)
{
    const char *at = lexer->query + lexer->at_bytes;
    size_t length = 1;

    while (is_name(at[length])) {
        length++;
    }
    return take(lexer, WQL_TOKEN_NAME, length, err);
}

/* Takes everything that looks like a number or is stuck to one, so that "12abc" is one wrong word
 * and not a number and a name. */
static int take_number(struct wql_lexer *lexer, struct error *err)
{
    const char *at = lexer->query + lexer->at_bytes;
    struct wql_number number;
    size_t length = 1;

    while (is_name(at[length]) || at[length] == '.' ||
           ((at[length] == '-' || at[length] == '+') &&
            (at[length - 1] == 'e' || at[length - 1] == 'E'))) {
        length++;
    }
    if (take(lexer, WQL_TOKEN_NUMBER, length, err) < 0) {
        return -1;
    }
    if (!wql_number_read(lexer->arena, lexer->token.text, &number)) {
        return wql_refuse(lexer, lexer->token.at_bytes, err, "%s is no number",
                          wql_describe(lexer, &lexer->token));
    }
    return 0;
}

/* What a backslash and the next byte mean; 0: nothing. */
static char unescaped(char byte)
{
    switch (byte) {
    case '\\':
    case '\'':
    case '"':
        return byte;
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return '\0';
    }
}

static int take_text(struct wql_lexer *lexer, struct error *err)
{
    const size_t begin = lexer->at_bytes;
    const char quote = lexer->query[begin];
    size_t at = begin + 1;
    size_t length = 0;
    char *text = arena_take(lexer->arena, strlen(lexer->query + begin) + 1);

    if (text == NULL) {
        return out_of_memory(err);
    }
    while (lexer->query[at] != quote) {
        char byte = lexer->query[at];

        if (byte == '\0') {
            return wql_refuse(lexer, begin, err, "the text that begins here has no closing %c",
                              quote);
        }
        if (byte == '\\') {
            byte = unescaped(lexer->query[++at]);
            if (byte == '\0') {
                return wql_refuse(lexer, at - 1, err,
                                  "this backslash escapes nothing; write \\\\ for a backslash");
            }
        }
        text[length++] = byte;
        at++;
    }
    lexer->token = (struct wql_token){.kind = WQL_TOKEN_TEXT, .at_bytes = begin, .text = text};
    lexer->at_bytes = at + 1;
    return 0;
}

/* Up to the brace that closes, which may also stand within quotes of a key's value. */
static int take_path(struct wql_lexer *lexer, struct error *err)
{
    const size_t begin = lexer->at_bytes;
    char quote = '\0';
    size_t at = begin + 1;

    for (; quote != '\0' || lexer->query[at] != '}'; at++) {
        const char byte = lexer->query[at];

        if (byte == '\0') {
            return wql_refuse(lexer, begin, err, "the path that begins here has no closing }");
        }
        if (quote == '\0') {
            quote = byte == '"' || byte == '\'' ? byte : '\0';
        } else if (byte == '\\' && lexer->query[at + 1] != '\0') {
            at++;
        } else if (byte == quote) {
            quote = '\0';
        }
    }
    lexer->at_bytes = begin + 1;
    if (take(lexer, WQL_TOKEN_PATH, at - begin - 1, err) < 0) {
        return -1;
    }
    lexer->token.at_bytes = begin;
    lexer->at_bytes = at + 1;
    return 0;
}

/* The longest comes first. */
static const struct sign {
    const char *text;
    enum wql_token_kind kind;
    enum wql_compare compare;
} signs[] = {
    {"<>", WQL_TOKEN_COMPARE, WQL_NOT_EQUAL},  {"!=", WQL_TOKEN_COMPARE, WQL_NOT_EQUAL},
    {"<=", WQL_TOKEN_COMPARE, WQL_LESS_EQUAL}, {">=", WQL_TOKEN_COMPARE, WQL_GREATER_EQUAL},
    {"=", WQL_TOKEN_COMPARE, WQL_EQUAL},       {"<", WQL_TOKEN_COMPARE, WQL_LESS},
    {">", WQL_TOKEN_COMPARE, WQL_GREATER},     {"*", WQL_TOKEN_STAR, WQL_NONE},
    {",", WQL_TOKEN_COMMA, WQL_NONE},          {".", WQL_TOKEN_DOT, WQL_NONE},
    {"(", WQL_TOKEN_OPEN, WQL_NONE},           {")", WQL_TOKEN_CLOSE, WQL_NONE},
};

static int take_sign(struct wql_lexer *lexer, struct error *err)
{
    const char *at = lexer->query + lexer->at_bytes;

    for (size_t i = 0; i < ARRAY_COUNT(signs); i++) {
        if (strncmp(at, signs[i].text, strlen(signs[i].text)) == 0) {
            if (take(lexer, signs[i].kind, strlen(signs[i].text), err) < 0) {
                return -1;
            }
            lexer->token.compare = signs[i].compare;
            return 0;
        }
    }
    if (*at > ' ' && *at < '\x7f') {
        return wql_refuse(lexer, lexer->at_bytes, err, "'%c' has no meaning here", *at);
    }
    return wql_refuse(lexer, lexer->at_bytes, err, "the byte 0x%02x may stand within quotes only",
                      (unsigned char)*at);
}

int wql_advance(struct wql_lexer *lexer, struct error *err)
{
    while (is_blank(lexer->query[lexer->at_bytes])) {
        lexer->at_bytes++;
    }
    const char *at = lexer->query + lexer->at_bytes;

    if (*at == '\0') {
        lexer->token =
            (struct wql_token){.kind = WQL_TOKEN_END, .at_bytes = lexer->at_bytes, .text = ""};
        return 0;
    }
    if (is_name_start(*at)) {
        return take_name(lexer, err);
    }
    if (*at == '\'' || *at == '"') {
        return take_text(lexer, err);
    }
    if (*at == '{') {
        return take_path(lexer, err);
    }
    bool is_signed = *at == '-' || *at == '+';
    if (is_digit(at[0]) || (is_signed && (is_digit(at[1]) || at[1] == '.'))) {
        return take_number(lexer, err);
    }
    return take_sign(lexer, err);
}
