/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sse.h - server-sent events, taken apart as they come. Source: WHATWG HTML, 9.2.6 "Interpreting an
 * event stream". What a stream has no use for here (id, retry, comments) is skipped.
 */
#ifndef RESILVER_CLIENT_SSE_H
#define RESILVER_CLIENT_SSE_H

#include <stdbool.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/span.h"

#define SSE_KIND_MAX 64

/* A piece of text that grows up to CLIENT_EVENT_MAX. */
struct sse_text {
    char *at; /* owned */
    size_t len_bytes;
    size_t size_bytes;
};

struct sse {
    struct sse_text line; /* what has come of the present line */
    struct sse_text data; /* the present event's, each line ended by \n */
    char kind[SSE_KIND_MAX];
    bool was_return; /* the last byte was \r: a \n now belongs to it */
    /* Called with each event. Non-zero ends sse_feed(), which returns it. */
    int (*visit)(void *context, const char *kind, struct const_span data, struct error *err);
    void *context;
};

/*
 * sse_feed - more of the stream. Returns 0, what visit returned, or -1. After anything but 0 only
 * sse_done() may follow. Errors: ERR_PEER an event is larger than CLIENT_EVENT_MAX; ERR_LIMIT.
 */
MUST_CHECK int sse_feed(struct sse *sse, struct const_span bytes, struct error *err);
void sse_done(struct sse *sse);

#endif
