/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/endpoint.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"

#define NBD_PREFIX "nbd+unix:"
#define TLS_PREFIX "tls://"

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool endpoint_is_export_name(const char *name)
{
    size_t len_bytes = strlen(name);

    return len_bytes < EXPORT_NAME_MAX && address_is_made_of(name, len_bytes, "._-/") &&
           name[0] != '.' && name[0] != '_' && name[0] != '/';
}

/* The copy is whole: the caller's length was checked against the room. */
static void copy_text(char *out, const char *text, size_t len_bytes)
{
    memcpy(out, text, len_bytes);
    out[len_bytes] = '\0';
}

static int parse_tls(struct endpoint *out, struct error *err)
{
    const char *address = out->text + strlen(TLS_PREFIX);
    const char *slash = strchr(address, '/');
    char copy[HOST_TEXT_MAX + PORT_TEXT_MAX + 3];

    if (slash == NULL || (size_t)(slash - address) >= sizeof copy ||
        !endpoint_is_export_name(slash + 1)) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' is not tls://HOST:PORT/NAME, where NAME is an export of the server: "
                    "letters, digits and . _ - /",
                    out->text);
    }
    copy_text(copy, address, (size_t)(slash - address));
    if (address_parse(copy, 1, true, out->host, out->port, err) < 0) {
        return -1;
    }
    out->kind = ENDPOINT_TLS;
    out->path = slash + 1;
    return 0;
}

static int parse_nbd(struct endpoint *out, struct error *err)
{
    const char *socket = strstr(out->text, "?socket=");

    if (!begins_with(out->text, NBD_PREFIX "///") || socket == NULL || socket[8] == '\0') {
        return fail(err, ERR_USAGE, 0, "'%s' is not nbd+unix:///NAME?socket=PATH", out->text);
    }
    out->kind = ENDPOINT_NBD;
    out->path = out->text;
    return 0;
}

/* "ftp://x/y" would pass for the host ftp and the path //x/y, which nobody means. */
static bool is_other_url(const char *text)
{
    size_t len_bytes = strcspn(text, ":");

    return begins_with(text + len_bytes, "://") && address_is_made_of(text, len_bytes, "+.-");
}

/* What stands behind the host's colon: a path that needs no shell to be understood. */
static int parse_remote_path(struct endpoint *out, const char *path, struct error *err)
{
    if (path[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "'%s' names no path on %s; write HOST:PATH", out->text,
                    out->host);
    }
    if (path[0] == ':') {
        return fail(err, ERR_USAGE, 0,
                    "'%s' has two colons behind the host; write HOST:PATH, or "
                    "tls://HOST:PORT/NAME for an export",
                    out->text);
    }
    if (path[0] == '~') {
        return fail(err, ERR_USAGE, 0,
                    "'%s': ~ means nothing without a shell; a path without a leading slash is "
                    "taken from the home directory on %s",
                    out->text, out->host);
    }
    out->kind = ENDPOINT_SSH;
    out->path = path;
    return 0;
}

/* [USER@]HOST:PATH. The user's name may hold an @ itself (user@domain@host): the last one before
 * the host counts. */
static int parse_ssh(struct endpoint *out, struct error *err)
{
    size_t head_len = strcspn(out->text, ":[");
    const char *at = memrchr(out->text, '@', head_len);
    const char *host = at == NULL ? out->text : at + 1;
    size_t user_len = at == NULL ? 0 : (size_t)(at - out->text);

    if (at != NULL &&
        (user_len >= USER_TEXT_MAX || !address_is_made_of(out->text, user_len, "._-+@\\"))) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' has no login name that ssh could be given before its @", out->text);
    }
    size_t host_len = address_take_host(host, out->host);
    if (host_len == 0) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' has no host name before its colon; for a file of this host with a colon "
                    "in its name write ./%s",
                    out->text, out->text);
    }
    copy_text(out->user, out->text, user_len);
    return parse_remote_path(out, host + host_len + 1, err);
}

int endpoint_parse(const char *text, size_t len_bytes, struct endpoint *out, struct error *err)
{
    if (len_bytes == 0) {
        return fail(err, ERR_USAGE, 0, "an empty text names no disk");
    }
    if (len_bytes >= sizeof out->text) {
        return fail(err, ERR_USAGE, 0, "the name of a disk has %zu bytes; at most %zu are allowed",
                    len_bytes, sizeof out->text - 1);
    }
    *out = (struct endpoint){.kind = ENDPOINT_INVALID};
    copy_text(out->text, text, len_bytes);
    if (begins_with(out->text, TLS_PREFIX)) {
        return parse_tls(out, err);
    }
    if (begins_with(out->text, NBD_PREFIX)) {
        return parse_nbd(out, err);
    }
    if (is_other_url(out->text)) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' is not an endpoint that resilver knows: write PATH, [USER@]HOST:PATH, "
                    "tls://HOST:PORT/NAME or nbd+unix:///NAME?socket=PATH",
                    out->text);
    }
    /* As scp has it: a slash before the first colon, or no colon at all, makes it a path. */
    size_t colon = strcspn(out->text, ":");
    if (out->text[colon] == '\0' || strcspn(out->text, "/") < colon) {
        out->kind = ENDPOINT_PATH;
        out->path = out->text;
        return 0;
    }
    return parse_ssh(out, err);
}

bool endpoint_is_remote(const struct endpoint *endpoint)
{
    return endpoint->kind == ENDPOINT_SSH || endpoint->kind == ENDPOINT_TLS;
}

bool endpoint_same_host(const struct endpoint *a, const struct endpoint *b)
{
    if (!endpoint_is_remote(a) && !endpoint_is_remote(b)) {
        return true;
    }
    return a->kind == b->kind && strcmp(a->user, b->user) == 0 && strcmp(a->host, b->host) == 0 &&
           strcmp(a->port, b->port) == 0;
}

int endpoint_split_pair(const char *pair, size_t *out_source_len, struct error *err)
{
    const char *from = pair;

    if (begins_with(pair, NBD_PREFIX)) {
        const char *socket = strstr(pair, "?socket=");
        from = socket == NULL ? pair : socket + strlen("?socket=");
    }
    const char *equals = strchr(from, '=');
    if (equals == NULL || equals == pair || equals[1] == '\0') {
        return fail(err, ERR_USAGE, 0, "'%s' is not SOURCE=TARGET", pair);
    }
    *out_source_len = (size_t)(equals - pair);
    return 0;
}
