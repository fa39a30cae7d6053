/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * make.c - wiring: each part gets those before it. What root alone may do comes first, then the
 * change to another user, then the first thread.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "gateway/gateway.h"

/* --- listeners ------------------------------------------------------------------------------- */

static void add_listener(struct gateway *gateway, const struct http_protocol *protocol,
                         const char *address, bool is_tls)
{
    struct http_listener *listener = &gateway->listeners[gateway->listener_count];

    if (address[0] == '\0') {
        return;
    }
    *listener = (struct http_listener){.protocol = protocol, .is_tls = is_tls};
    (void)snprintf(listener->address, sizeof listener->address, "%s", address);
    gateway->listener_count++;
}

static int list_listeners(struct gateway *gateway, struct error *err)
{
    const struct config_gateway *from = &gateway->config->gateway;

    add_listener(gateway, &gateway->wsman, from->wsman, false);
    add_listener(gateway, &gateway->wsman, from->wsman_tls, true);
    add_listener(gateway, &gateway->cimxml, from->cimxml, false);
    add_listener(gateway, &gateway->cimxml, from->cimxml_tls, true);
    if (gateway->listener_count == 0) {
        return fail(err, ERR_USAGE, 0,
                    "[gateway] has no address to listen at; give one of wsman, wsman-tls, cimxml "
                    "and cimxml-tls");
    }
    return 0;
}

static void describe_protocols(struct gateway *gateway)
{
    gateway->wsman_context = (struct wsman){
        .contexts = gateway->contexts,
        .audit = gateway->audit,
        .replay = gateway->replay,
    };
    gateway->wsman = (struct http_protocol){
        .name = "wsman",
        .paths = "/wsman /wsman/ /wsman-anon/identify",
        .open_paths = "/wsman-anon/identify",
        .open_header = "WSMANIDENTIFY", /* DSP0226 11: Identify may be asked by nobody */
        .open_value = "unauthenticated",
        .realm = "resilver",
        .handle = wsman_handle,
        .context = &gateway->wsman_context,
    };
    gateway->cimxml_context =
        (struct cimxml){.contexts = gateway->contexts, .audit = gateway->audit};
    gateway->cimxml = (struct http_protocol){
        .name = "cimxml",
        .paths = "/cimom",
        .open_paths = "",
        .realm = "resilver",
        .handle = cimxml_handle,
        .context = &gateway->cimxml_context,
    };
}

/* A connection is a descriptor. What the system allows is asked for; where that is less, fewer are
 * served. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        log_event(LOG_LEVEL_WARNING, {"event", "fewer descriptors than there could be"},
                  {"error", strerror(errno)});
    }
}

/* --- threads --------------------------------------------------------------------------------- */

/* From the subscriptions' thread, which lives longer than the listeners. */
static void wake(void *context)
{
    struct gateway *gateway = context;

    (void)pthread_mutex_lock(&gateway->wake_lock);
    if (gateway->woken != NULL) {
        http_wake(gateway->woken);
    }
    (void)pthread_mutex_unlock(&gateway->wake_lock);
}

static void set_woken(struct gateway *gateway, struct http *http)
{
    (void)pthread_mutex_lock(&gateway->wake_lock);
    gateway->woken = http;
    (void)pthread_mutex_unlock(&gateway->wake_lock);
}

static int make_auth(struct gateway *gateway, struct error *err)
{
    const struct config_gateway *from = &gateway->config->gateway;
    struct pam_check pam;

    if (pam_check_init(&pam, env_system(), from->pam_service, gateway->pam_folder, err) < 0 ||
        auth_new(env_system(), from->users, &gateway->auth, err) < 0) {
        return -1;
    }
    auth_set_pam(gateway->auth, &pam);
    return 0;
}

/* When all is bound: nothing is served yet, and there is one thread. The users' file is read as the
 * user who will read it from now on: what he cannot read is said at once. */
static int on_bound(void *context, struct error *err)
{
    struct gateway *gateway = context;
    const struct config *config = gateway->config;

    if (privileges_drop(&gateway->privileges, err) < 0 || make_auth(gateway, err) < 0 ||
        subscriptions_new(env_system(), config->socket_path, wake, gateway, &gateway->subscriptions,
                          err) < 0) {
        return -1;
    }
    gateway->wsman_context.subscriptions = gateway->subscriptions;
    return 0;
}

static int start(struct gateway *gateway, struct error *err)
{
    const struct config_gateway *from = &gateway->config->gateway;
    const struct http_config config = {
        .env = env_system(),
        .auth = &gateway->auth,
        .audit = gateway->audit,
        .listeners = gateway->listeners,
        .listener_count = gateway->listener_count,
        .certificate_path = from->certificate,
        .key_path = from->key,
        .control_socket = gateway->config->socket_path,
        .bound = on_bound,
        .context = gateway,
        .may_plain_beyond_loopback = from->may_plain_beyond_loopback,
    };

    if (http_start(&config, &gateway->http, err) < 0) {
        return -1;
    }
    set_woken(gateway, gateway->http);
    return 0;
}

/* --- all of it ------------------------------------------------------------------------------- */

static int open_audit(struct gateway *gateway, struct error *err)
{
    const struct privileges *to = &gateway->privileges;

    if (audit_log_open(env_system(), gateway->config->gateway.audit_log, &gateway->audit, err) <
        0) {
        return -1;
    }
    return to->is_change ? audit_give(gateway->audit, to->user, to->group, err) : 0;
}

int gateway_make(const char *config_path, bool is_config_optional, struct gateway *gateway,
                 struct error *err)
{
    int refused = pthread_mutex_init(&gateway->wake_lock, NULL);

    if (refused != 0) {
        return fail(err, ERR_LIMIT, refused, "cannot make a lock");
    }
    raise_descriptors();
    if (config_load(config_path, is_config_optional, &gateway->config, err) < 0 ||
        privileges_find(gateway->config->gateway.user, &gateway->privileges, err) < 0 ||
        open_audit(gateway, err) < 0 || contexts_new(env_system(), &gateway->contexts, err) < 0 ||
        wsman_replay_new(env_system(), &gateway->replay, err) < 0) {
        return -1;
    }
    describe_protocols(gateway);
    if (list_listeners(gateway, err) < 0) {
        return -1;
    }
    return start(gateway, err);
}

void gateway_reload(struct gateway *gateway)
{
    struct error err = {0};

    if (audit_reopen(gateway->audit, &err) < 0) {
        log_event(LOG_LEVEL_ERROR, {"event", "the audit log stays the old one"},
                  {"error", err.message});
    }
    if (http_reload(gateway->http, &err) < 0) {
        log_event(LOG_LEVEL_ERROR, {"event", "the certificate stays the old one"},
                  {"error", err.message});
    }
}

bool gateway_unmake(struct gateway *gateway)
{
    if (gateway->http != NULL) {
        http_stop(gateway->http, GATEWAY_GRACE_MS);
        set_woken(gateway, NULL);
        if (!http_is_idle(gateway->http)) {
            return false;
        }
        http_free(gateway->http);
    }
    contexts_free(gateway->contexts); /* and the subscriptions that are in them */
    subscriptions_free(gateway->subscriptions);
    wsman_replay_free(gateway->replay);
    auth_free(gateway->auth);
    audit_log_close(gateway->audit);
    config_free(gateway->config);
    return true;
}
