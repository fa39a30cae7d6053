/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gateway.h - the parts of resilver-gateway, made and taken apart in order.
 */
#ifndef RESILVER_GATEWAY_GATEWAY_H
#define RESILVER_GATEWAY_GATEWAY_H

#include <pthread.h>

#include "config/config.h"
#include "gateway/audit.h"
#include "gateway/auth.h"
#include "gateway/cimxml.h"
#include "gateway/contexts.h"
#include "gateway/http.h"
#include "gateway/privileges.h"
#include "gateway/subscriptions.h"
#include "gateway/wsman.h"

/* Answers under way, and a handler that waits for the service; both together with what follows stay
 * below ten seconds. */
#define GATEWAY_GRACE_MS 3000U

struct gateway {
    const char *pam_folder; /* borrowed; NULL: the system's. Set before gateway_make */
    struct config *config;  /* owned, as all of these */
    struct audit *audit;
    struct auth *auth;
    struct contexts *contexts;
    struct subscriptions *subscriptions;
    struct wsman_replay *replay;
    struct http *http;
    struct cimxml cimxml_context;
    struct wsman wsman_context;
    struct http_protocol cimxml;
    struct http_protocol wsman;
    struct http_listener listeners[HTTP_LISTENERS_MAX];
    uint32_t listener_count;
    struct privileges privileges;
    pthread_mutex_t wake_lock; /* of the next */
    struct http *woken;        /* http, as long as the subscriptions may wake it */
};

/*
 * gateway_make - everything that the configuration asks for; it serves then. What was made before a
 * failure is for gateway_unmake.
 */
MUST_CHECK int gateway_make(const char *config_path, bool is_config_optional,
                            struct gateway *gateway, struct error *err);

/* gateway_reload - the audit log and the certificate anew. What fails stays as it was, and the log
 * says so. */
void gateway_reload(struct gateway *gateway);

/* gateway_unmake - False: a request does not end, and so not everything could be freed; the process
 * is to end at once. */
bool gateway_unmake(struct gateway *gateway);

#endif
