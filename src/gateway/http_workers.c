/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http_workers.c - whole requests, one after another, with all the time that they take: who asks
 * (yescrypt is slow on purpose), what he asks, and the service's answer.
 *
 * 1. A handler is called only after identify(), which is passed by AUTH_FINE or an open path alone.
 * 2. An exchange that a worker took is resumed by it exactly once, or parked.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/credentials.h"
#include "gateway/http_internal.h"

/* --- lists ----------------------------------------------------------------------------------- */

static void push(struct exchange_list *list, struct exchange *exchange)
{
    exchange->next = NULL;
    if (list->last != NULL) {
        list->last->next = exchange;
    } else {
        list->first = exchange;
    }
    list->last = exchange;
    list->count++;
}

static struct exchange *pop(struct exchange_list *list)
{
    struct exchange *exchange = list->first;

    if (exchange == NULL) {
        return NULL;
    }
    list->first = exchange->next;
    if (list->first == NULL) {
        list->last = NULL;
    }
    list->count--;
    exchange->next = NULL;
    return exchange;
}

bool http_workers_reserve(struct http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    bool has_room = http->queue.count + http->coming_count < HTTP_QUEUE_MAX && !http->is_stopping;
    http->coming_count += has_room ? 1 : 0;
    (void)pthread_mutex_unlock(&http->lock);
    return has_room;
}

void http_workers_give(struct exchange *exchange)
{
    struct http *http = exchange->http;

    (void)pthread_mutex_lock(&http->lock);
    exchange->id = ++http->last_id;
    exchange->received_ns = env_now_ns(http->env);
    exchange->is_pending = true;
    http->pending_count++;
    assert(http->coming_count > 0);
    http->coming_count--;
    push(&http->queue, exchange);
    (void)pthread_cond_signal(&http->work);
    (void)pthread_mutex_unlock(&http->lock);
}

void http_workers_unpark_locked(struct http *http, uint64_t now_ns, bool is_all)
{
    struct exchange_list waiting = http->parked;
    struct exchange *exchange = NULL;

    http->parked = (struct exchange_list){0};
    while ((exchange = pop(&waiting)) != NULL) {
        bool is_due = is_all || exchange->park_until_ns <= now_ns;
        push(is_due ? &http->queue : &http->parked, exchange);
        if (is_due) {
            (void)pthread_cond_signal(&http->work);
        }
    }
}

static const char *user_of(const struct exchange *exchange)
{
    return exchange->caller != NULL ? exchange->caller->name : "";
}

/* Each holds a connection, and all are asked again whenever something happens: one user must not
 * have so many that there are none for others. */
static bool may_park_locked(const struct http *http, const struct exchange *exchange)
{
    uint32_t count = 0;

    for (const struct exchange *at = http->parked.first; at != NULL; at = at->next) {
        count += strcmp(user_of(at), user_of(exchange)) == 0 ? 1 : 0;
    }
    return count < HTTP_PARKED_EACH;
}

/* What woke while the handler was looking would be missed: it is asked again at once. False: it may
 * not wait, and is still the worker's. */
static bool park(struct exchange *exchange, uint64_t until_ns)
{
    struct http *http = exchange->http;
    bool may_park = true;

    (void)pthread_mutex_lock(&http->lock);
    exchange->attempt++;
    exchange->park_until_ns = until_ns;
    if (http->is_stopping || http->wake_count != exchange->wakes_seen) {
        push(&http->queue, exchange);
        (void)pthread_cond_signal(&http->work);
    } else if (!may_park_locked(http, exchange)) {
        may_park = false;
    } else {
        push(&http->parked, exchange);
        if (until_ns < http->next_due_ns) {
            (void)pthread_cond_signal(&http->due);
        }
    }
    (void)pthread_mutex_unlock(&http->lock);
    return may_park;
}

/* --- who ------------------------------------------------------------------------------------- */

/* Locked-out tries and certificates cost their sender nothing: they write no more lines than the
 * log takes. A wrong password does cost, and each is written down. */
static bool may_note(struct exchange *exchange, enum auth_result result)
{
    struct http *http = exchange->http;
    uint32_t suppressed = 0;

    if (result == AUTH_REFUSED && exchange->authorization != NULL) {
        return true;
    }
    (void)pthread_mutex_lock(&http->lock);
    bool may = log_site_allows(&http->login_site, env_now_ns(http->env), &suppressed);
    (void)pthread_mutex_unlock(&http->lock);
    return may;
}

/* The name that was given, for the log; nobody is he yet. */
static void note_login(struct exchange *exchange, enum auth_result result, const char *why)
{
    CLEANUP(credentials_wipe) struct credentials credentials = {0};
    const struct audit_entry entry = {
        .protocol = exchange->listener->protocol->name,
        .remote = exchange->connection->remote,
        .user = credentials.name,
        .operation = "login",
        .object = "",
        .arguments = "",
        .result = result == AUTH_LOCKED   ? "locked"
                  : result == AUTH_BROKEN ? "failed"
                                          : "refused",
        .message = why,
    };

    /* Another scheme is a question what there is, and no login. */
    bool is_other = exchange->authorization != NULL && exchange->authorization_count == 1 &&
                    !credentials_are_basic(exchange->authorization);
    if (is_other || !may_note(exchange, result)) {
        return;
    }
    if (exchange->authorization != NULL &&
        credentials_parse(exchange->authorization, &credentials, NULL) < 0) {
        credentials.name[0] = '\0';
    }
    audit_note(exchange->http->audit, &entry);
}

static void refuse_login(struct exchange *exchange, enum auth_result result, const char *why)
{
    note_login(exchange, result, why);
    switch (result) {
    case AUTH_LOCKED:
        http_exchange_refuse(exchange, MHD_HTTP_TOO_MANY_REQUESTS,
                             "there were too many wrong passwords; wait a minute");
        return;
    case AUTH_BROKEN:
        http_exchange_refuse(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR,
                             "this user cannot log in now; the gateway's log says why");
        return;
    case AUTH_REFUSED:
    case AUTH_FINE:
        break;
    }
    http_exchange_refuse(exchange, MHD_HTTP_UNAUTHORIZED,
                         "the user's name and password are not right");
}

/* False: the answer is made. */
static bool authenticate(struct exchange *exchange)
{
    const char *fingerprint = exchange->connection->fingerprint;
    const struct auth_offer offer = {
        .authorization = exchange->authorization,
        .is_twice = exchange->authorization_count > 1,
        .fingerprint = fingerprint[0] != '\0' ? fingerprint : NULL,
        .remote = exchange->connection->remote_host,
    };
    char why[ERROR_MESSAGE_MAX] = "";
    struct cim_caller *caller = calloc(1, sizeof *caller);

    if (caller == NULL) {
        http_exchange_refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "there is no memory");
        return false;
    }
    /* Before the check: a file that changes meanwhile makes him be asked once too often. */
    exchange->generation = auth_generation(exchange->http->auth);
    enum auth_result result = auth_check(exchange->http->auth, &offer, caller, why);
    if (result != AUTH_FINE) {
        free(caller);
        refuse_login(exchange, result, why);
        return false;
    }
    exchange->caller = caller;
    return true;
}

/* What he may at most, anywhere: the service knows no roles for single VMs. */
static enum cim_role highest_role(const struct cim_caller *caller)
{
    enum cim_role highest = caller->role;

    for (uint32_t i = 0; i < caller->vm_count; i++) {
        highest = caller->vms[i].role > highest ? caller->vms[i].role : highest;
    }
    return highest;
}

static bool act(const struct worker *worker, struct exchange *exchange)
{
    enum cim_role role = highest_role(exchange->caller);
    struct error err = {0};

    if (role == CIM_ROLE_NOBODY) {
        http_exchange_refuse(exchange, MHD_HTTP_FORBIDDEN, "the user has no role");
        return false;
    }
    if (client_act_for(worker->client, exchange->caller->name, cim_role_name(role), &err) < 0) {
        log_always(LOG_LEVEL_ERROR, {"event", "the service cannot be asked for a user"},
                   {"user", exchange->caller->name}, {"error", err.message});
        http_exchange_refuse(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR,
                             "the service cannot be asked for this user");
        return false;
    }
    return true;
}

/* A request may have been parked for minutes: whoever was removed or lost a role meanwhile is not
 * answered as who he was. */
static void forget_old_caller(struct exchange *exchange)
{
    if (exchange->caller != NULL && exchange->generation != auth_generation(exchange->http->auth)) {
        free(TAKE(exchange->caller));
    }
}

/* Invariant 1. False: the answer is made. */
static bool identify(const struct worker *worker, struct exchange *exchange)
{
    if (exchange->is_open) {
        return true;
    }
    forget_old_caller(exchange);
    if (exchange->caller == NULL && !authenticate(exchange)) {
        return false;
    }
    return act(worker, exchange);
}

/* --- the handler ----------------------------------------------------------------------------- */

static const char *header_of(const void *connection, const char *name)
{
    const struct exchange *exchange = connection;
    const char *value = NULL;
    size_t value_bytes = 0;

    if (MHD_lookup_connection_value_n(exchange->mhd, MHD_HEADER_KIND, name, strlen(name), &value,
                                      &value_bytes) != MHD_YES) {
        return NULL;
    }
    return value != NULL ? value : "";
}

void http_answer_header(struct http_answer *answer, const char *name, const char *value)
{
    assert(answer->header_count < HTTP_HEADERS_MAX);
    answer->headers[answer->header_count].name = name;
    answer->headers[answer->header_count].value = value;
    answer->header_count++;
}

/* The text leaves with the response, which frees it. */
static struct MHD_Response *response_of(struct http_answer *answer)
{
    size_t len_bytes = answer->content_type != NULL ? answer->body.used_bytes : 0;
    struct MHD_Response *response =
        len_bytes == 0
            ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
            : MHD_create_response_from_buffer(len_bytes, answer->body.at, MHD_RESPMEM_MUST_FREE);

    if (response == NULL) {
        return NULL;
    }
    if (len_bytes > 0) {
        answer->body.at = NULL;
        xml_text_init(&answer->body, HTTP_ANSWER_MAX);
    }
    bool is_whole = answer->content_type == NULL ||
                    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                            answer->content_type) == MHD_YES;
    for (uint32_t i = 0; i < answer->header_count; i++) {
        is_whole &= answer->headers[i].value != NULL &&
                    MHD_add_response_header(response, answer->headers[i].name,
                                            answer->headers[i].value) == MHD_YES;
    }
    if (!is_whole) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

static void take_answer(struct exchange *exchange, struct http_answer *answer)
{
    struct error err = {0};

    if (xml_text_done(&answer->body, &err) < 0) {
        log_always(LOG_LEVEL_ERROR, {"event", "an answer is too long"}, {"path", exchange->path},
                   {"error", err.message});
        http_exchange_refuse(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer is too long");
        return;
    }
    exchange->response = answer->status != 0 ? response_of(answer) : NULL;
    exchange->status = answer->status;
    if (exchange->response == NULL) {
        log_always(LOG_LEVEL_ERROR, {"event", "an answer cannot be made"},
                   {"path", exchange->path});
        http_exchange_refuse(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer cannot be made");
    }
}

static struct http_request request_of(struct worker *worker, const struct exchange *exchange)
{
    return (struct http_request){
        .path = exchange->path,
        .query = exchange->query,
        .body = {(const uint8_t *)(exchange->body != NULL ? exchange->body : ""),
                 exchange->body_bytes},
        .caller = exchange->caller,
        .remote = exchange->connection->remote,
        .is_tls = exchange->listener->is_tls,
        .id = exchange->id,
        .received_ns = exchange->received_ns,
        .attempt = exchange->attempt,
        .arena = &worker->arena,
        /* For nobody the service is asked nothing: it would be asked as the gateway itself. */
        .client = exchange->caller != NULL ? worker->client : NULL,
        .env = worker->http->env,
        .header = header_of,
        .connection = exchange,
    };
}

/* False: it is parked, and no longer ours. */
static bool handle(struct worker *worker, struct exchange *exchange)
{
    const struct http_protocol *protocol = exchange->listener->protocol;
    struct http_request request = request_of(worker, exchange);
    struct http_answer answer = {0};

    arena_init(&worker->arena, CIM_LIST_BYTES);
    xml_text_init(&answer.body, HTTP_ANSWER_MAX);
    enum http_result result = protocol->handle(protocol->context, &request, &answer);
    if (result == HTTP_DONE) {
        take_answer(exchange, &answer);
    }
    xml_text_free(&answer.body);
    arena_free(&worker->arena);
    if (result == HTTP_PARK) {
        if (park(exchange, answer.park_until_ns)) {
            return false;
        }
        http_exchange_refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE,
                             "too many requests of this user wait for something to happen");
    }
    return true;
}

/* --- the thread ------------------------------------------------------------------------------ */

static void work(struct worker *worker, struct exchange *exchange, bool is_stopping)
{
    bool is_ours = true;

    if (is_stopping) {
        exchange->refusal.is_closing = true;
        http_exchange_refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "the gateway is stopping");
    } else if (identify(worker, exchange)) {
        is_ours = handle(worker, exchange);
    }
    if (is_ours) {
        MHD_resume_connection(exchange->mhd); /* from here on it is the library's thread's */
    }
}

void *http_worker(void *context)
{
    struct worker *worker = context;
    struct http *http = worker->http;

    (void)pthread_mutex_lock(&http->lock);
    while (!http->is_ending || http->queue.count + http->coming_count > 0) {
        struct exchange *exchange = pop(&http->queue);
        if (exchange == NULL) {
            (void)pthread_cond_wait(&http->work, &http->lock);
            continue;
        }
        bool is_stopping = http->is_stopping;
        exchange->wakes_seen = http->wake_count;
        http->busy_count++;
        (void)pthread_mutex_unlock(&http->lock);
        work(worker, exchange, is_stopping);
        (void)pthread_mutex_lock(&http->lock);
        http->busy_count--;
        /* The last answer may be out before its worker is back here. */
        if (http->busy_count == 0) {
            (void)pthread_cond_broadcast(&http->idle);
        }
    }
    (void)pthread_mutex_unlock(&http->lock);
    return NULL;
}
