/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_request.h - an envelope from outside, read: its headers, and what its body has. Names are
 * compared by namespace, never by prefix. Source: DSP0226 1.2.0 sections 5, 6 and 13.
 */
#ifndef RESILVER_GATEWAY_WSMAN_REQUEST_H
#define RESILVER_GATEWAY_WSMAN_REQUEST_H

#include "gateway/http.h"
#include "gateway/wsman_fault.h"
#include "xml/tree.h"

/* Everything is of the request's arena. */
struct wsman_request {
    const struct xml_element *content; /* the element in s:Body; NULL: it is empty */
    const char *action;                /* "": none */
    const char *message_id;            /* as it came; "": none, or empty */
    const char *resource_uri;          /* as it came, with its query; "": none */
    const char *identifier;            /* of a subscription; "": none */
    const struct xml_element *selectors;
    const struct xml_element *options;
    uint64_t deadline_ns;      /* of OperationTimeout; 0: none */
    size_t max_envelope_bytes; /* 0: none */
    bool has_message_id;
    bool wants_count;       /* w:RequestTotalItemsCountEstimate */
    bool is_identify;       /* the body asks for identification; it needs no headers */
    bool is_plain_datetime; /* the client understands datetimes as plain text only */
};

/* wsman_media_is_fine - whether the body's type may be read; false is HTTP 415. */
bool wsman_media_is_fine(const struct http_request *http);

/* wsman_request_read - *out is usable for a fault's headers even after a failure. */
MUST_CHECK int wsman_request_read(const struct http_request *http, struct wsman_request *out,
                                  struct wsman_fault *fault);

/* wsman_request_option - the value of a boolean option of w:OptionSet. */
bool wsman_request_option(const struct wsman_request *request, const char *name, bool otherwise);

/* wsman_is_true - xs:boolean, in any case. */
bool wsman_is_true(const char *text);

/* wsman_is_nil - xsi:nil, also in the namespaces that clients take for it. */
bool wsman_is_nil(const struct xml_element *element);

/* wsman_duration - an xs:duration in nanoseconds. */
MUST_CHECK bool wsman_duration(const char *text, uint64_t *out_ns);

#endif
