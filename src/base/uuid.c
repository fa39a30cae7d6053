/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/uuid.h"

#include <stdio.h>
#include <string.h>

const struct uuid uuid_nil = {{0}};

bool uuid_is_nil(const struct uuid *uuid)
{
    return span_is_zero((struct const_span){uuid->bytes, UUID_BYTES});
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return uuid_compare(a, b) == 0;
}

int uuid_compare(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, UUID_BYTES);
}

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at =
        digit == '\0' ? NULL : strchr(digits, digit >= 'A' && digit <= 'F' ? digit + 32 : digit);

    return at == NULL ? -1 : (int)(at - digits);
}

static bool is_dash_before(unsigned int byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

int uuid_parse(const char *text, struct uuid *out, struct error *err)
{
    struct uuid read = {{0}};
    const char *at = text;

    for (unsigned int i = 0; i < UUID_BYTES; i++) {
        if (is_dash_before(i) && *at++ != '-') {
            return fail(err, ERR_USAGE, 0, "'%.64s' is no UUID", text);
        }
        int high = hex_value(at[0]);
        int low = high < 0 ? -1 : hex_value(at[1]);
        if (low < 0) {
            return fail(err, ERR_USAGE, 0, "'%.64s' is no UUID", text);
        }
        read.bytes[i] = (uint8_t)(high * 16 + low);
        at += 2;
    }
    if (*at != '\0') {
        return fail(err, ERR_USAGE, 0, "'%.64s' is no UUID", text);
    }
    *out = read;
    return 0;
}

void uuid_format(const struct uuid *uuid, char out[UUID_TEXT_MAX])
{
    char *at = out;

    for (unsigned int i = 0; i < UUID_BYTES; i++) {
        if (is_dash_before(i)) {
            *at++ = '-';
        }
        at += snprintf(at, 3, "%02x", uuid->bytes[i]);
    }
}

/* Source: RFC 4122, 4.4 */
int uuid_new(const struct env *env, struct uuid *out, struct error *err)
{
    struct uuid uuid = {{0}};

    if (env_random(env, (struct span){uuid.bytes, UUID_BYTES}, err) < 0) {
        return -1;
    }
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    *out = uuid;
    return 0;
}
