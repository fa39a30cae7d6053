/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/address.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

/* Not isalnum(): what is allowed must not depend on the locale. */
static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool address_is_made_of(const char *text, size_t len_bytes, const char *others)
{
    if (len_bytes == 0 || text[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < len_bytes; i++) {
        if (!is_letter_or_digit(text[i]) && (text[i] == '\0' || strchr(others, text[i]) == NULL)) {
            return false;
        }
    }
    return true;
}

/* The copy is whole: the caller's length was checked against the room. */
static void copy_text(char *out, const char *text, size_t len_bytes)
{
    memcpy(out, text, len_bytes);
    out[len_bytes] = '\0';
}

size_t address_take_host(const char *text, char host[HOST_TEXT_MAX])
{
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        size_t len_bytes = end == NULL ? 0 : (size_t)(end - text) - 1;
        /* '%' and letters: a zone, as in fe80::1%eth0 */
        if (end == NULL || end[1] != ':' || len_bytes >= HOST_TEXT_MAX ||
            !address_is_made_of(text + 1, len_bytes, ":.%_-") ||
            memchr(text + 1, ':', len_bytes) == NULL) {
            return 0;
        }
        copy_text(host, text + 1, len_bytes);
        return len_bytes + 2;
    }
    size_t len_bytes = strcspn(text, ":");
    if (text[len_bytes] != ':' || len_bytes >= HOST_TEXT_MAX ||
        !address_is_made_of(text, len_bytes, "._-")) {
        return 0;
    }
    copy_text(host, text, len_bytes);
    return len_bytes;
}

static int parse_port(const char *text, unsigned min_port, char port[PORT_TEXT_MAX],
                      struct error *err)
{
    uint64_t number = 0;

    if (number_parse_range(text, "a port", min_port, 65535, &number, err) < 0) {
        return -1;
    }
    (void)snprintf(port, PORT_TEXT_MAX, "%u", (unsigned)number & 0xffffU);
    return 0;
}

int address_parse(const char *text, unsigned min_port, bool needs_host, char host[HOST_TEXT_MAX],
                  char port[PORT_TEXT_MAX], struct error *err)
{
    char made_host[HOST_TEXT_MAX] = "";
    size_t host_len = address_take_host(text, made_host);

    if (text[host_len] != ':' || (host_len == 0 && needs_host)) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' is not HOST:PORT; an IPv6 address stands in brackets, as in [::1]:8490",
                    text);
    }
    if (parse_port(text + host_len + 1, min_port, port, err) < 0) {
        return -1;
    }
    copy_text(host, made_host, strlen(made_host));
    return 0;
}
