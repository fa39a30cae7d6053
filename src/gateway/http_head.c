/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http_head.c - what a request's head may say. Where two readers could differ about where a request
 * ends, it is refused and the connection closed: one of them may sit in front of us.
 *
 * Source: RFC 9112 sections 3, 6.1, 6.3 and 11.2; RFC 9110 sections 8.4, 10.1.1 and 15.5.6.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "gateway/http_internal.h"

/* --- headers --------------------------------------------------------------------------------- */

static void note(const char **text, uint32_t *count, const char *value)
{
    *text = value != NULL ? value : "";
    (*count)++;
}

void http_head_note(struct http_head *head, const char *name, const char *value)
{
    uint32_t expects = 0; /* several are as the last */

    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        note(&head->content_length, &head->content_length_count, value);
    } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        note(&head->transfer_encoding, &head->transfer_encoding_count, value);
    } else if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_ENCODING) == 0) {
        note(&head->content_encoding, &head->content_encoding_count, value);
    } else if (strcasecmp(name, MHD_HTTP_HEADER_EXPECT) == 0) {
        note(&head->expect, &expects, value);
    } else if (strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION) == 0) {
        note(&head->authorization, &head->authorization_count, value);
    } else if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0) {
        head->host_count++;
    }
}

bool http_head_is_header(const char *name, size_t name_bytes, const char *value, size_t value_bytes)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < name_bytes; i++) {
        char c = name[i];
        bool is_word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!is_word && (c == '\0' || strchr(marks, c) == NULL)) {
            return false;
        }
    }
    return name_bytes > 0 && memchr(value, '\0', value_bytes) == NULL &&
           memchr(value, '\r', value_bytes) == NULL && memchr(value, '\n', value_bytes) == NULL;
}

/* --- paths ----------------------------------------------------------------------------------- */

/* "http://host:5985/wsman" is "/wsman" (RFC 9112 section 3.2.2): we are the only host here. */
static const char *skip_authority(const char *uri)
{
    size_t scheme_bytes = strncasecmp(uri, "http://", 7) == 0    ? 7
                          : strncasecmp(uri, "https://", 8) == 0 ? 8
                                                                 : 0;

    return scheme_bytes == 0 ? uri : uri + scheme_bytes + strcspn(uri + scheme_bytes, "/?#");
}

static int hexadecimal(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place. False: a % that is none, or a control character, NUL among them. */
static bool decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        unsigned char c = (unsigned char)*from;
        if (c == '%') {
            int high = hexadecimal(from[1]);
            int low = high < 0 ? -1 : hexadecimal(from[2]);
            if (low < 0) {
                return false;
            }
            c = (unsigned char)(high * 16 + low);
            from += 2;
        }
        if (c < 0x20 || c == 0x7f) {
            return false;
        }
        *to++ = (char)c;
    }
    *to = '\0';
    return true;
}

bool http_head_path(const char *uri, char **out_path, char **out_query)
{
    const char *at = skip_authority(uri);
    size_t path_bytes = strcspn(at, "?");
    const char *query = at[path_bytes] == '?' ? at + path_bytes + 1 : "";

    /* "*" and a fragment are in no request for a resource. */
    if (strchr(at, '#') != NULL || (at == uri && at[0] != '/')) {
        return false;
    }
    char *path = path_bytes == 0 ? strdup("/") : strndup(at, path_bytes);
    char *kept = strdup(query);
    if (path == NULL || kept == NULL || !decode(path)) {
        free(path);
        free(kept);
        return false;
    }
    *out_path = path;
    *out_query = kept;
    return true;
}

bool http_head_is_in(const char *paths, const char *path)
{
    size_t len_bytes = strlen(path);

    while (*paths != '\0') {
        size_t one_bytes = strcspn(paths, " ");
        if (one_bytes == len_bytes && one_bytes > 0 && memcmp(paths, path, len_bytes) == 0) {
            return true;
        }
        paths += one_bytes;
        paths += strspn(paths, " ");
    }
    return false;
}

/* --- what is refused ------------------------------------------------------------------------- */

static struct http_refusal closing(unsigned status, const char *text)
{
    return (struct http_refusal){.status = status, .text = text, .is_closing = true};
}

static struct http_refusal refused(unsigned status, const char *text)
{
    return (struct http_refusal){.status = status, .text = text};
}

static const struct http_refusal fine = {0};

static struct http_refusal check_length(const struct http_head *head)
{
    uint64_t length = 0;

    if (head->content_length_count == 0) {
        return fine;
    }
    /* The number's own sentence is about a setting that somebody typed. */
    if (number_parse_range(head->content_length, "the length", 0, UINT64_MAX, &length, NULL) < 0) {
        return closing(MHD_HTTP_BAD_REQUEST, "Content-Length is no length");
    }
    if (length > HTTP_BODY_MAX) {
        /* One that is not much longer is waited for: a client that still sends when the connection
         * is closed may never see the answer. */
        return (struct http_refusal){.status = MHD_HTTP_CONTENT_TOO_LARGE,
                                     .text = "the body is longer than 512 KiB",
                                     .is_closing = length > HTTP_DISCARD_MAX};
    }
    return fine;
}

/* Where the request ends. */
static struct http_refusal check_framing(const struct http_head *head)
{
    if (head->is_malformed) {
        return closing(MHD_HTTP_BAD_REQUEST, "a header has a character that no header has");
    }
    if (head->content_length_count > 1) {
        return closing(MHD_HTTP_BAD_REQUEST, "Content-Length is there more than once");
    }
    if (head->transfer_encoding_count > 0 && head->content_length_count > 0) {
        return closing(MHD_HTTP_BAD_REQUEST, "there are both Transfer-Encoding and Content-Length");
    }
    if (head->transfer_encoding_count > 1 ||
        (head->transfer_encoding_count == 1 &&
         strcasecmp(head->transfer_encoding, "chunked") != 0)) {
        return closing(MHD_HTTP_NOT_IMPLEMENTED, "no Transfer-Encoding but chunked is understood");
    }
    if (head->transfer_encoding_count > 0 && strcmp(head->version, MHD_HTTP_VERSION_1_1) != 0) {
        return closing(MHD_HTTP_BAD_REQUEST, "Transfer-Encoding needs HTTP/1.1");
    }
    return check_length(head);
}

static struct http_refusal check_version(const struct http_head *head)
{
    bool is_new = strcmp(head->version, MHD_HTTP_VERSION_1_1) == 0;

    if (!is_new && strcmp(head->version, MHD_HTTP_VERSION_1_0) != 0) {
        return closing(MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 and HTTP/1.0 are understood");
    }
    if (head->host_count > 1 || (is_new && head->host_count == 0)) {
        return closing(MHD_HTTP_BAD_REQUEST, "there is not one Host header");
    }
    return fine;
}

static struct http_refusal check_content(const struct http_head *head)
{
    if (head->expect != NULL && strcasecmp(head->expect, "100-continue") != 0) {
        return closing(MHD_HTTP_EXPECTATION_FAILED, "no expectation but 100-continue can be met");
    }
    if (head->content_encoding_count > 1 || (head->content_encoding_count == 1 &&
                                             strcasecmp(head->content_encoding, "identity") != 0)) {
        return refused(MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed");
    }
    return fine;
}

struct http_refusal http_head_check(const struct http_head *head, const char *paths,
                                    const char *path)
{
    struct http_refusal refusal = check_version(head);

    if (refusal.status == 0) {
        refusal = check_framing(head);
    }
    if (refusal.status != 0) {
        return refusal;
    }
    if (path == NULL) {
        return closing(MHD_HTTP_BAD_REQUEST, "the request's target is no path");
    }
    if (!http_head_is_in(paths, path)) {
        return refused(MHD_HTTP_NOT_FOUND, "there is nothing at this path");
    }
    if (strcmp(head->method, MHD_HTTP_METHOD_POST) != 0) {
        return refused(MHD_HTTP_METHOD_NOT_ALLOWED, "this path takes POST");
    }
    return check_content(head);
}
