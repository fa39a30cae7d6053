/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/sse.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_FIRST_BYTES 1024U

static int text_add(struct sse_text *text, struct const_span bytes, struct error *err)
{
    size_t wanted = text->len_bytes + bytes.len_bytes;

    assert(text->len_bytes <= text->size_bytes && text->size_bytes <= 2 * CLIENT_EVENT_MAX);
    if (bytes.len_bytes > CLIENT_EVENT_MAX || wanted > CLIENT_EVENT_MAX) {
        return fail(err, ERR_PEER, 0, "resilverd sent an event of more than %llu bytes",
                    CLIENT_EVENT_MAX);
    }
    if (wanted > text->size_bytes) {
        size_t size_bytes = text->size_bytes > 0 ? text->size_bytes : TEXT_FIRST_BYTES;
        while (size_bytes < wanted) {
            size_bytes *= 2;
        }
        char *larger = realloc(text->at, size_bytes);
        if (larger == NULL) {
            return fail(err, ERR_LIMIT, 0, "out of memory reading events");
        }
        text->at = larger;
        text->size_bytes = size_bytes;
    }
    if (bytes.len_bytes > 0) {
        memcpy(text->at + text->len_bytes, bytes.at, bytes.len_bytes);
    }
    text->len_bytes = wanted;
    return 0;
}

/* An empty line: the event is complete. One without data is none. */
static int end_event(struct sse *sse, struct error *err)
{
    int result = 0;

    if (sse->data.len_bytes > 0) {
        struct const_span data = {(const uint8_t *)sse->data.at, sse->data.len_bytes - 1};
        result = sse->visit(sse->context, sse->kind[0] != '\0' ? sse->kind : "message", data, err);
    }
    sse->data.len_bytes = 0;
    sse->kind[0] = '\0';
    return result;
}

static bool is_field(const char *name, const char *line, size_t len_bytes)
{
    return strlen(name) == len_bytes && memcmp(name, line, len_bytes) == 0;
}

static int take_field(struct sse *sse, struct const_span name, struct const_span value,
                      struct error *err)
{
    static const uint8_t newline[] = {'\n'};

    if (is_field("data", (const char *)name.at, name.len_bytes)) {
        if (text_add(&sse->data, value, err) < 0) {
            return -1;
        }
        return text_add(&sse->data, (struct const_span){newline, sizeof newline}, err);
    }
    if (is_field("event", (const char *)name.at, name.len_bytes)) {
        if (value.len_bytes >= sizeof sse->kind || memchr(value.at, '\0', value.len_bytes)) {
            return fail(err, ERR_PEER, 0, "resilverd sent an event of an unreadable kind");
        }
        memcpy(sse->kind, value.at, value.len_bytes);
        sse->kind[value.len_bytes] = '\0';
    }
    return 0;
}

static int end_line(struct sse *sse, struct error *err)
{
    const uint8_t *line = (const uint8_t *)sse->line.at;
    size_t len_bytes = sse->line.len_bytes;

    sse->line.len_bytes = 0;
    if (len_bytes == 0) {
        return end_event(sse, err);
    }
    const uint8_t *colon = memchr(line, ':', len_bytes);
    size_t name_bytes = colon != NULL ? (size_t)(colon - line) : len_bytes;
    size_t skipped_bytes = colon != NULL ? name_bytes + 1 : len_bytes;
    if (skipped_bytes < len_bytes && line[skipped_bytes] == ' ') {
        skipped_bytes++;
    }
    return take_field(sse, (struct const_span){line, name_bytes},
                      (struct const_span){line + skipped_bytes, len_bytes - skipped_bytes}, err);
}

/* The bytes up to the next end of a line. */
static size_t run_length(struct const_span bytes)
{
    size_t len = 0;

    while (len < bytes.len_bytes && bytes.at[len] != '\n' && bytes.at[len] != '\r') {
        len++;
    }
    return len;
}

int sse_feed(struct sse *sse, struct const_span bytes, struct error *err)
{
    while (bytes.len_bytes > 0) {
        bool is_second = sse->was_return && bytes.at[0] == '\n';
        size_t len = is_second ? 0 : run_length(bytes);

        if (text_add(&sse->line, (struct const_span){bytes.at, len}, err) < 0) {
            return -1;
        }
        sse->was_return = false;
        if (len < bytes.len_bytes) {
            sse->was_return = bytes.at[len] == '\r';
            int result = is_second ? 0 : end_line(sse, err);
            if (result != 0) {
                return result;
            }
            len++;
        }
        bytes = (struct const_span){bytes.at + len, bytes.len_bytes - len};
    }
    return 0;
}

void sse_done(struct sse *sse)
{
    free(sse->line.at);
    free(sse->data.at);
    *sse = (struct sse){0};
}
