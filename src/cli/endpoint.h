/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * endpoint.h - where a disk is, as its user writes it:
 *
 *   PATH                            a file or block device of this host
 *   nbd+unix:///NAME?socket=PATH    an NBD export of this host (NAME may be empty)
 *   [USER@]HOST:PATH                a path on another host, reached by ssh
 *   tls://HOST:PORT/NAME            an export of a `resilver serve --listen`
 *
 * A text is a PATH unless it has a colon before its first slash, as with scp and rsync: ./a:b and
 * /a:b are local. An IPv6 address stands in brackets: [::1]:PATH, user@[::1]:PATH,
 * tls://[::1]:8490/NAME.
 */
#ifndef RESILVER_CLI_ENDPOINT_H
#define RESILVER_CLI_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

enum endpoint_kind {
    ENDPOINT_INVALID = 0,
    ENDPOINT_PATH,
    ENDPOINT_NBD,
    ENDPOINT_SSH,
    ENDPOINT_TLS
};

struct endpoint {
    enum endpoint_kind kind;
    char text[PATH_TEXT_MAX]; /* as it was written */
    const char *path;         /* within text: the path, the NBD URI, or the export's name */
    char user[USER_TEXT_MAX]; /* SSH; "" if not said */
    char host[HOST_TEXT_MAX]; /* SSH, TLS; without brackets */
    char port[PORT_TEXT_MAX]; /* TLS */
};

/*
 * endpoint_parse - the len_bytes bytes at text. out must stay where it is while it is used (path
 * points into it).
 *
 * Host and user are held to characters that mean nothing to ssh's options or to any shell: they
 * reach a command line. Errors: ERR_USAGE; what out holds then is of no use.
 */
MUST_CHECK int endpoint_parse(const char *text, size_t len_bytes, struct endpoint *out,
                              struct error *err);

/* endpoint_is_remote - whether another resilver opens it. */
bool endpoint_is_remote(const struct endpoint *endpoint);

/* endpoint_same_host - whether both are reached in the same way on the same host. */
bool endpoint_same_host(const struct endpoint *a, const struct endpoint *b);

/*
 * endpoint_split_pair - "SOURCE=TARGET" at the first '='; in a SOURCE that is an NBD URI the '=' of
 * "socket=" does not count. *out_source_len is where the '=' stands. Errors: ERR_USAGE none there,
 * or nothing beside it.
 */
MUST_CHECK int endpoint_split_pair(const char *pair, size_t *out_source_len, struct error *err);

/* endpoint_is_export_name - letters, digits and . _ - /, beginning with a letter or digit, shorter
 * than EXPORT_NAME_MAX. */
bool endpoint_is_export_name(const char *name);

#endif
