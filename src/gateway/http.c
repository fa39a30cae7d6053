/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http.c - start and end of the gateway's listeners, workers and reaper.
 */
#include "gateway/http.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "gateway/http_internal.h"

/* --- start ----------------------------------------------------------------------------------- */

static int keep_path(const char *path, const char *what, char out[PATH_TEXT_MAX], struct error *err)
{
    int len = snprintf(out, PATH_TEXT_MAX, "%s", path != NULL ? path : "");

    return len < PATH_TEXT_MAX ? 0 : fail(err, ERR_USAGE, 0, "the path of %s is too long", what);
}

/* The reaper's deadlines are by the clock that nobody sets. */
static int make_locks(struct http *http, struct error *err)
{
    pthread_condattr_t monotonic;

    int refused = pthread_condattr_init(&monotonic);
    if (refused == 0) {
        refused = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    }
    if (refused == 0) {
        refused = pthread_mutex_init(&http->lock, NULL);
    }
    if (refused == 0) {
        refused = pthread_cond_init(&http->due, &monotonic);
    }
    if (refused == 0) {
        refused = pthread_cond_init(&http->idle, &monotonic);
    }
    if (refused == 0) {
        refused = pthread_cond_init(&http->work, NULL);
    }
    return refused == 0 ? 0 : fail(err, ERR_LIMIT, refused, "cannot make locks for the listeners");
}

/* Without this the connections would take every descriptor: then the service cannot be asked, and a
 * listener without any connection asks for one again and again. */
static int limit_connections(struct http *http, uint32_t listener_count, struct error *err)
{
    const rlim_t needed = HTTP_DESCRIPTORS_KEPT + (rlim_t)listener_count * HTTP_CONNECTIONS_MIN;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return fail(err, ERR_INTERNAL, errno, "cannot ask how many descriptors there may be");
    }
    if (limit.rlim_cur < needed) {
        return fail(err, ERR_LIMIT, 0,
                    "%llu descriptors are too few for %u listeners, which need %llu at least; "
                    "allow more (LimitNOFILE= of systemd, ulimit -n)",
                    (unsigned long long)limit.rlim_cur, listener_count, (unsigned long long)needed);
    }
    rlim_t each =
        (limit.rlim_cur - HTTP_DESCRIPTORS_KEPT) / (listener_count > 0 ? listener_count : 1);
    http->connections_max = each < HTTP_CONNECTIONS_MAX ? (uint32_t)each : HTTP_CONNECTIONS_MAX;
    return 0;
}

static int load_certificate(struct http *http, struct error *err)
{
    struct tls_certificate *certificate = NULL;

    if (http->certificate_path[0] == '\0' || http->key_path[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "a TLS listener needs certificate = and key = in [gateway]");
    }
    if (http_tls_load(http->certificate_path, http->key_path, &certificate, err) < 0) {
        return -1;
    }
    http_tls_use(certificate);
    return 0;
}

static int make_workers(struct http *http, struct error *err)
{
    const char *socket = http->control_socket[0] != '\0' ? http->control_socket : NULL;

    for (uint32_t i = 0; i < HTTP_WORKERS; i++) {
        http->workers[i].http = http;
        if (client_open(socket, &http->workers[i].client, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Signals are for the main thread. */
static int start_threads(struct http *http, struct error *err)
{
    sigset_t all;
    sigset_t before;
    int refused = 0;

    (void)sigfillset(&all); /* cannot fail */
    refused = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (refused != 0) {
        return fail(err, ERR_INTERNAL, refused, "cannot block signals");
    }
    refused = pthread_create(&http->reaper, NULL, http_reaper, http);
    http->has_reaper = refused == 0;
    while (refused == 0 && http->worker_count < HTTP_WORKERS) {
        struct worker *worker = &http->workers[http->worker_count];
        refused = pthread_create(&worker->thread, NULL, http_worker, worker);
        http->worker_count += refused == 0 ? 1 : 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* they were set a moment ago */
    return refused == 0 ? 0 : fail(err, ERR_LIMIT, refused, "cannot start the listeners' threads");
}

static int bind_listeners(struct http *http, const struct http_config *config, struct error *err)
{
    for (uint32_t i = 0; i < config->listener_count; i++) {
        struct listener *listener = &http->listeners[http->listener_count++];
        listener->http = http;
        if (http_listen(listener, &config->listeners[i], config->may_plain_beyond_loopback, err) <
            0) {
            return -1;
        }
    }
    if (config->bound != NULL && config->bound(config->context, err) < 0) {
        return -1;
    }
    http->auth = *config->auth;
    return 0;
}

static int serve(struct http *http, struct error *err)
{
    for (uint32_t i = 0; i < http->listener_count; i++) {
        if (http_serve(&http->listeners[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int fill(struct http *http, const struct http_config *config, struct error *err)
{
    if (config->listener_count > HTTP_LISTENERS_MAX) {
        return fail(err, ERR_LIMIT, 0, "there are more than %u listeners", HTTP_LISTENERS_MAX);
    }
    for (uint32_t i = 0; i < config->listener_count; i++) {
        http->has_tls |= config->listeners[i].is_tls;
    }
    if (limit_connections(http, config->listener_count, err) < 0 ||
        keep_path(config->control_socket, "the control socket", http->control_socket, err) < 0 ||
        keep_path(config->certificate_path, "the certificate", http->certificate_path, err) < 0 ||
        keep_path(config->key_path, "the key", http->key_path, err) < 0) {
        return -1;
    }
    if (http->has_tls && load_certificate(http, err) < 0) {
        return -1;
    }
    return make_workers(http, err);
}

int http_start(const struct http_config *config, struct http **out, struct error *err)
{
    struct http *http = calloc(1, sizeof *http);

    if (http == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the listeners");
    }
    http->env = config->env;
    http->audit = config->audit;
    for (uint32_t i = 0; i < HTTP_LISTENERS_MAX; i++) {
        http->listeners[i].fd = -1;
    }
    if (make_locks(http, err) < 0) {
        free(http);
        return -1;
    }
    if (fill(http, config, err) < 0 || bind_listeners(http, config, err) < 0 ||
        start_threads(http, err) < 0 || serve(http, err) < 0) {
        http_stop(http, 0);
        http_free(http);
        return -1;
    }
    *out = http;
    return 0;
}

/* --- while it runs --------------------------------------------------------------------------- */

uint16_t http_port(const struct http *http, uint32_t listener)
{
    assert(listener < http->listener_count);
    return http->listeners[listener].port;
}

int http_reload(struct http *http, struct error *err)
{
    return http->has_tls ? load_certificate(http, err) : 0;
}

void http_wake(struct http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    http->wake_count++;
    http_workers_unpark_locked(http, 0, true);
    (void)pthread_mutex_unlock(&http->lock);
}

/* --- the end --------------------------------------------------------------------------------- */

static void wait_until_idle(struct http *http, unsigned grace_ms)
{
    uint64_t until_ns = env_now_ns(http->env) + (uint64_t)grace_ms * NS_PER_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                             .tv_nsec = (long)(until_ns % NS_PER_S)};
    int result = 0;

    (void)pthread_mutex_lock(&http->lock);
    while (http->pending_count + http->busy_count > 0 && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&http->idle, &http->lock, &until);
    }
    (void)pthread_mutex_unlock(&http->lock);
}

void http_stop(struct http *http, unsigned grace_ms)
{
    for (uint32_t i = 0; i < http->listener_count; i++) {
        http_deafen(&http->listeners[i]);
    }
    (void)pthread_mutex_lock(&http->lock);
    http->is_stopping = true;
    http_workers_unpark_locked(http, 0, true);
    (void)pthread_cond_broadcast(&http->work);
    (void)pthread_mutex_unlock(&http->lock);
    wait_until_idle(http, grace_ms);
    http_connection_cut_all(http);
}

bool http_is_idle(struct http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    bool is_idle = http->busy_count == 0;
    (void)pthread_mutex_unlock(&http->lock);
    return is_idle;
}

/* The library may not be stopped while it has connections that are suspended: the workers give all
 * back before they end. */
static void join_threads(struct http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    http->is_stopping = true;
    http->is_ending = true;
    http_workers_unpark_locked(http, 0, true);
    (void)pthread_cond_broadcast(&http->work);
    (void)pthread_cond_broadcast(&http->due);
    (void)pthread_mutex_unlock(&http->lock);
    for (uint32_t i = 0; i < http->worker_count; i++) {
        (void)pthread_join(http->workers[i].thread, NULL); /* it is ours, and joined once */
    }
    if (http->has_reaper) {
        (void)pthread_join(http->reaper, NULL); /* as above */
    }
}

void http_free(struct http *http)
{
    if (http == NULL) {
        return;
    }
    for (uint32_t i = 0; i < http->listener_count; i++) {
        http_deafen(&http->listeners[i]);
    }
    join_threads(http);
    for (uint32_t i = 0; i < http->listener_count; i++) {
        if (http->listeners[i].daemon != NULL) {
            MHD_stop_daemon(http->listeners[i].daemon);
        }
    }
    assert(http->connections == NULL && http->pending_count == 0 && http->bodies_bytes == 0);
    for (uint32_t i = 0; i < HTTP_WORKERS; i++) {
        client_close(http->workers[i].client);
    }
    http_tls_forget();
    (void)pthread_cond_destroy(&http->work); /* nobody waits for them any more */
    (void)pthread_cond_destroy(&http->due);
    (void)pthread_cond_destroy(&http->idle);
    (void)pthread_mutex_destroy(&http->lock);
    free(http);
}
