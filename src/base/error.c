/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * Text from outside (a path, a peer's message) may end up in an error; control bytes must never
 * reach a terminal or a log line, so each becomes '?'. UTF-8 bytes pass.
 */
static void escape_control_bytes(char *text)
{
    for (char *c = text; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte < 0x20 || byte == 0x7f) {
            *c = '?';
        }
    }
}

#undef fail /* error.h: the analyzer's view of it */

int fail(struct error *err, enum error_kind kind, int errnum, const char *format, ...)
{
    if (err == NULL) {
        return -1;
    }
    *err = (struct error){.kind = kind, .errnum = errnum};
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    size_t at = used < 0 ? 0 : (size_t)used;
    if (errnum != 0 && at < sizeof err->message) {
        (void)snprintf(err->message + at, sizeof err->message - at, ": %s", strerror(errnum));
    }
    escape_control_bytes(err->message);
    return -1;
}

void error_set_disk(struct error *err, const char *disk)
{
    if (err == NULL || err->disk[0] != '\0') {
        return;
    }
    (void)snprintf(err->disk, sizeof err->disk, "%s", disk);
    escape_control_bytes(err->disk);
}

void error_set_offset(struct error *err, uint64_t offset_bytes)
{
    if (err == NULL || err->has_offset) {
        return;
    }
    err->has_offset = true;
    err->offset_bytes = offset_bytes;
}

const char *error_kind_name(enum error_kind kind)
{
    switch (kind) {
    case ERR_NONE:
        return "none";
    case ERR_IO:
        return "io";
    case ERR_PEER:
        return "peer";
    case ERR_WRONG_STATE:
        return "state";
    case ERR_LIMIT:
        return "limit";
    case ERR_USAGE:
        return "usage";
    case ERR_INTERNAL:
        return "internal";
    case ERR_CANCELLED:
        return "cancelled";
    }
    return "unknown";
}
