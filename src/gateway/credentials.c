/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * credentials.c - HTTP Basic. Strict: what two readers could read as two different names is refused
 * (no blanks within base64, no missing or further padding, no bits that do not count).
 *
 * Source: RFC 7617 section 2; RFC 4648 section 3.3 and 3.5.
 */
#include "gateway/credentials.h"

#include <string.h>
#include <strings.h>

#define SCHEME "Basic"
#define DECODED_MAX ((size_t)CALLER_NAME_MAX + PASSWORD_MAX)

void credentials_wipe(struct credentials *credentials)
{
    explicit_bzero(credentials, sizeof *credentials);
}

/* --- base64 ---------------------------------------------------------------------------------- */

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t padding_of(const char *text, size_t len_bytes)
{
    if (len_bytes == 0 || text[len_bytes - 1] != '=') {
        return 0;
    }
    return text[len_bytes - 2] == '=' ? 2 : 1;
}

/* Four characters; `padding` of them, the last, are '='. False: no base64. */
static bool decode_four(const char *text, size_t padding, unsigned char out[3])
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - padding ? value_of(text[i]) : 0;
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
    }
    out[0] = (unsigned char)(bits >> 16);
    out[1] = (unsigned char)(bits >> 8);
    out[2] = (unsigned char)bits;
    /* Bits that belong to no byte must be 0. */
    return (padding < 1 || out[2] == 0) && (padding < 2 || out[1] == 0);
}

/* The number of bytes; -1: it is no base64, or is too long. */
static int decode(const char *text, size_t len_bytes, char out[DECODED_MAX + 3])
{
    size_t padding = 0;

    if (len_bytes == 0 || len_bytes % 4 != 0 || len_bytes / 4 * 3 > DECODED_MAX) {
        return -1;
    }
    padding = padding_of(text, len_bytes);
    for (size_t i = 0; i < len_bytes; i += 4) {
        unsigned char three[3];
        if (!decode_four(text + i, i + 4 == len_bytes ? padding : 0, three)) {
            return -1;
        }
        memcpy(out + i / 4 * 3, three, sizeof three);
    }
    return (int)(len_bytes / 4 * 3 - padding);
}

/* --- name and password ----------------------------------------------------------------------- */

/* Control characters are in no name and in no password that anybody types (RFC 7617 section 2); a
 * NUL would end what follows for those who read C strings. */
static bool has_control(const char *text, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f) {
            return true;
        }
    }
    return false;
}

static int split(const char *text, size_t len_bytes, struct credentials *out, struct error *err)
{
    const char *colon = memchr(text, ':', len_bytes);

    if (has_control(text, len_bytes)) {
        return fail(err, ERR_USAGE, 0, "there is a control character in the credentials");
    }
    if (colon == NULL) {
        return fail(err, ERR_USAGE, 0, "there is no colon in the credentials");
    }
    size_t name_bytes = (size_t)(colon - text);
    size_t password_bytes = len_bytes - name_bytes - 1;
    if (name_bytes == 0 || name_bytes >= sizeof out->name) {
        return fail(err, ERR_USAGE, 0, "the name has %zu bytes; 1 to %zu can be", name_bytes,
                    sizeof out->name - 1);
    }
    if (password_bytes == 0 || password_bytes >= sizeof out->password) {
        return fail(err, ERR_USAGE, 0, "the password is empty or longer than %zu bytes",
                    sizeof out->password - 1);
    }
    *out = (struct credentials){0};
    memcpy(out->name, text, name_bytes);
    memcpy(out->password, colon + 1, password_bytes);
    return 0;
}

bool credentials_are_basic(const char *authorization)
{
    size_t scheme_bytes = strcspn(authorization, " ");

    return scheme_bytes == strlen(SCHEME) && strncasecmp(authorization, SCHEME, scheme_bytes) == 0;
}

int credentials_parse(const char *authorization, struct credentials *out, struct error *err)
{
    char decoded[DECODED_MAX + 3];

    if (!credentials_are_basic(authorization)) {
        return fail(err, ERR_USAGE, 0, "the scheme is not Basic");
    }
    const char *text = authorization + strlen(SCHEME);
    text += strspn(text, " ");
    int len_bytes = decode(text, strlen(text), decoded);
    int result = len_bytes < 0
                     ? fail(err, ERR_USAGE, 0, "the credentials are no base64, or too long")
                     : split(decoded, (size_t)len_bytes, out, err);
    explicit_bzero(decoded, sizeof decoded);
    return result;
}
