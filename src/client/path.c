/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client/client.h"

/* A path under construction; once something did not fit it stays full. */
struct path {
    char *out;
    size_t size_bytes;
    size_t len_bytes;
    bool is_full;
};

static void put(struct path *path, char c)
{
    if (path->len_bytes + 1 >= path->size_bytes) {
        path->is_full = true;
        return;
    }
    path->out[path->len_bytes++] = c;
}

static void put_text(struct path *path, const char *text)
{
    for (; *text != '\0'; text++) {
        put(path, *text);
    }
}

/* Source: RFC 3986, 2.3; isalnum() would follow the locale. */
static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

static void put_encoded(struct path *path, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *text != '\0'; text++) {
        if (is_unreserved(*text)) {
            put(path, *text);
            continue;
        }
        put(path, '%');
        put(path, digits[(unsigned char)*text >> 4]);
        put(path, digits[(unsigned char)*text & 15]);
    }
}

/* How many l stand here. */
static size_t length_letters(const char *at)
{
    return strspn(at, "l");
}

static void put_number(struct path *path, char conversion, size_t letters, va_list *values)
{
    char text[24] = "";

    if (conversion == 'u') {
        unsigned long long value = letters == 0   ? va_arg(*values, unsigned int)
                                   : letters == 1 ? va_arg(*values, unsigned long)
                                                  : va_arg(*values, unsigned long long);
        (void)snprintf(text, sizeof text, "%llu", value);
    } else {
        long long value = letters == 0   ? va_arg(*values, int)
                          : letters == 1 ? va_arg(*values, long)
                                         : va_arg(*values, long long);
        (void)snprintf(text, sizeof text, "%lld", value);
    }
    put_text(path, text);
}

int client_path(char *out, size_t size_bytes, struct error *err, const char *format, ...)
{
    struct path path = {.out = out, .size_bytes = size_bytes};
    bool is_known = true;
    va_list values;

    va_start(values, format);
    for (const char *at = format; *at != '\0' && is_known; at++) {
        if (*at != '%') {
            put(&path, *at);
            continue;
        }
        size_t letters = length_letters(at + 1);
        at += 1 + letters;
        if (*at == 's' && letters == 0) {
            put_encoded(&path, va_arg(values, const char *));
        } else if (*at == 'u' || *at == 'd') {
            put_number(&path, *at, letters, &values);
        } else {
            is_known = false;
        }
    }
    va_end(values);
    if (!is_known) {
        return fail(err, ERR_INTERNAL, 0, "a path's format has more than %%s, %%u and %%d");
    }
    if (path.is_full || size_bytes == 0) {
        return fail(err, ERR_LIMIT, 0, "a name in the call is too long");
    }
    out[path.len_bytes] = '\0';
    return 0;
}
