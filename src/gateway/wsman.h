/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman.h - WS-Management: DMTF DSP0226 1.2 (protocol), DSP0227 1.2 (CIM binding), DSP0230 1.1
 * (WS-CIM mapping); Microsoft MS-WSMV where Windows' client differs.
 */
#ifndef RESILVER_GATEWAY_WSMAN_H
#define RESILVER_GATEWAY_WSMAN_H

#include "gateway/audit.h"
#include "gateway/contexts.h"
#include "gateway/http.h"
#include "gateway/subscriptions.h"
#include "gateway/wsman_replay.h"

struct wsman {
    struct contexts *contexts;           /* borrowed */
    struct audit *audit;                 /* borrowed */
    struct subscriptions *subscriptions; /* borrowed */
    struct wsman_replay *replay;         /* borrowed */
};

/* wsman_handle - http_protocol.handle; context is a struct wsman. */
enum http_result wsman_handle(void *context, const struct http_request *request,
                              struct http_answer *answer);

#endif
