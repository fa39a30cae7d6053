/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http_exchange.c - from a request's first line to its answer, in libmicrohttpd's threads.
 *
 * 1. Nothing of a body is kept for somebody who shows no credentials.
 * 2. An exchange is suspended exactly while it is queued, worked on or parked.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/http_internal.h"

#define BODY_FIRST_BYTES 4096U
#define REALM_HEADER_MAX 128

/* --- answers --------------------------------------------------------------------------------- */

/* One without its header says less than it could, and nothing wrong. */
static void add(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

static void add_refusal_headers(const struct exchange *exchange, unsigned status,
                                struct MHD_Response *response)
{
    char realm[REALM_HEADER_MAX];

    add(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
    if (status == MHD_HTTP_UNAUTHORIZED) {
        (void)snprintf(realm, sizeof realm, "Basic realm=\"%s\"",
                       exchange->listener->protocol->realm);
        add(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, realm);
    } else if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        add(response, MHD_HTTP_HEADER_ALLOW, MHD_HTTP_METHOD_POST);
    } else if (status == MHD_HTTP_TOO_MANY_REQUESTS) {
        add(response, MHD_HTTP_HEADER_RETRY_AFTER, "60");
    } else if (status == MHD_HTTP_SERVICE_UNAVAILABLE) {
        add(response, MHD_HTTP_HEADER_RETRY_AFTER, "2");
    }
    if (exchange->refusal.is_closing) {
        add(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
}

void http_exchange_refuse(struct exchange *exchange, unsigned status, const char *text)
{
    size_t len_bytes = strlen(text);
    char *body = malloc(len_bytes + 2);

    assert(exchange->response == NULL);
    if (body == NULL) {
        return;
    }
    (void)snprintf(body, len_bytes + 2, "%s\n", text);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len_bytes + 1, body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(body);
        return;
    }
    add_refusal_headers(exchange, status, response);
    exchange->status = status;
    exchange->response = response;
}

/* The connection ends when there is no answer. */
static enum MHD_Result answer(struct exchange *exchange)
{
    if (exchange->response == NULL) {
        return MHD_NO;
    }
    http_connection_deadline(exchange->connection, HTTP_WRITE_S);
    enum MHD_Result result =
        MHD_queue_response(exchange->mhd, exchange->status, exchange->response);
    MHD_destroy_response(TAKE(exchange->response)); /* the library has its own reference */
    return result;
}

static enum MHD_Result answer_refusal(struct exchange *exchange)
{
    http_exchange_refuse(exchange, exchange->refusal.status, exchange->refusal.text);
    return answer(exchange);
}

/* --- the beginning --------------------------------------------------------------------------- */

void *http_exchange_new(void *context, const char *uri, struct MHD_Connection *mhd)
{
    struct listener *listener = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info != NULL ? info->socket_context : NULL;
    struct exchange *exchange = connection != NULL ? calloc(1, sizeof *exchange) : NULL;

    if (exchange == NULL) {
        return NULL;
    }
    exchange->http = listener->http;
    exchange->listener = listener;
    exchange->connection = connection;
    exchange->mhd = mhd;
    exchange->uri = strdup(uri);
    exchange->uri_end = uri + strlen(uri);
    /* The first request's time began with the connection. */
    if (connection->has_asked) {
        http_connection_deadline(connection, HTTP_REQUEST_S);
    }
    connection->has_asked = true;
    return exchange;
}

static enum MHD_Result note_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   size_t name_bytes, const char *value, size_t value_bytes)
{
    struct http_head *head = context;

    (void)kind;
    head->is_malformed |=
        !http_head_is_header(name, name_bytes, value != NULL ? value : "", value_bytes);
    http_head_note(head, name, value);
    return MHD_YES;
}

static void read_fingerprint(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;

    if (!exchange->listener->is_tls || connection->is_fingerprint_read) {
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    http_tls_fingerprint(info != NULL ? info->tls_session : NULL, connection->fingerprint);
    connection->is_fingerprint_read = true;
}

static bool has_credentials(const struct exchange *exchange)
{
    return exchange->authorization != NULL || exchange->connection->fingerprint[0] != '\0';
}

/*
 * libmicrohttpd 0.9.75 gives the target as a C string, which a NUL within it ends early. The
 * version follows the target in the same buffer (RFC 9112 section 3), so what is hidden lies
 * between them.
 */
static bool hides_something(const struct exchange *exchange, const char *version)
{
    uintptr_t from = (uintptr_t)exchange->uri_end;
    uintptr_t until = (uintptr_t)version;

    /* Farther away it is in a buffer of its own; as far as it should be, there is one NUL between.
     */
    return until > from && until - from <= HTTP_CONNECTION_BYTES && until - from != 1;
}

/* The handler serves him only what nobody may have. */
static bool asks_as_nobody(const struct exchange *exchange, const struct http_protocol *protocol)
{
    const char *value = NULL;

    if (protocol->open_header == NULL || exchange->authorization_count > 0) {
        return false;
    }
    value = MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, protocol->open_header);
    return value != NULL && strcasecmp(value, protocol->open_value) == 0;
}

static enum MHD_Result begin(struct exchange *exchange, const char *method, const char *version)
{
    const struct http_protocol *protocol = exchange->listener->protocol;
    struct http_head head = {.version = version, .method = method};

    exchange->is_begun = true;
    (void)MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, note_header, &head);
    if (exchange->uri != NULL && !hides_something(exchange, version)) {
        /* Without a path it is refused. */
        (void)http_head_path(exchange->uri, &exchange->path, &exchange->query);
    }
    exchange->authorization = head.authorization;
    exchange->authorization_count = head.authorization_count;
    exchange->refusal = http_head_check(&head, protocol->paths, exchange->path);
    if (exchange->refusal.status != 0) {
        /* Whoever asks whether to send a body is told before he does. */
        exchange->refusal.is_closing |= head.expect != NULL;
        return exchange->refusal.is_closing ? answer_refusal(exchange) : MHD_YES;
    }
    read_fingerprint(exchange);
    exchange->is_open =
        http_head_is_in(protocol->open_paths, exchange->path) || asks_as_nobody(exchange, protocol);
    exchange->is_kept = exchange->is_open || has_credentials(exchange);
    return MHD_YES;
}

/* --- the body -------------------------------------------------------------------------------- */

static void drop_body(struct exchange *exchange)
{
    struct http *http = exchange->http;

    (void)pthread_mutex_lock(&http->lock);
    http->bodies_bytes -= exchange->body_room_bytes;
    (void)pthread_mutex_unlock(&http->lock);
    free(TAKE(exchange->body));
    exchange->body_bytes = 0;
    exchange->body_room_bytes = 0;
}

static void refuse_body(struct exchange *exchange, unsigned status, const char *text)
{
    drop_body(exchange);
    exchange->is_kept = false;
    exchange->refusal = (struct http_refusal){.status = status, .text = text, .is_closing = true};
}

static bool reserve(struct http *http, size_t more_bytes)
{
    (void)pthread_mutex_lock(&http->lock);
    bool has_room = http->bodies_bytes + more_bytes <= HTTP_BODIES_BYTES;
    if (has_room) {
        http->bodies_bytes += more_bytes;
    }
    (void)pthread_mutex_unlock(&http->lock);
    return has_room;
}

/* As it comes, and not as it was announced: who sends nothing takes no memory. */
static bool grow(struct exchange *exchange, size_t needed_bytes)
{
    size_t room_bytes =
        exchange->body_room_bytes == 0 ? BODY_FIRST_BYTES : exchange->body_room_bytes;

    while (room_bytes < needed_bytes) {
        room_bytes *= 2;
    }
    if (room_bytes == exchange->body_room_bytes) {
        return true;
    }
    if (!reserve(exchange->http, room_bytes - exchange->body_room_bytes)) {
        return false;
    }
    /* From here on drop_body() gives it back. */
    exchange->body_room_bytes = room_bytes;
    char *body = realloc(exchange->body, room_bytes);
    if (body == NULL) {
        return false;
    }
    exchange->body = body;
    return true;
}

static void keep(struct exchange *exchange, const char *bytes, size_t count)
{
    if (count > HTTP_BODY_MAX - exchange->body_bytes) {
        refuse_body(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "the body is longer than 512 KiB");
    } else if (!grow(exchange, exchange->body_bytes + count)) {
        refuse_body(exchange, MHD_HTTP_SERVICE_UNAVAILABLE,
                    "there are too many large requests at a time; try again");
    } else {
        memcpy(exchange->body + exchange->body_bytes, bytes, count);
        exchange->body_bytes += count;
    }
}

static enum MHD_Result take_body(struct exchange *exchange, const char *bytes, size_t count)
{
    if (exchange->is_kept) {
        keep(exchange, bytes, count);
    }
    if (exchange->is_kept) {
        return MHD_YES;
    }
    exchange->discarded_bytes += count;
    return exchange->discarded_bytes <= HTTP_DISCARD_MAX ? MHD_YES : MHD_NO;
}

/* --- the whole ------------------------------------------------------------------------------- */

static enum MHD_Result give_to_workers(struct exchange *exchange)
{
    if (!http_workers_reserve(exchange->http)) {
        exchange->refusal = (struct http_refusal){
            .status = MHD_HTTP_SERVICE_UNAVAILABLE,
            .text = "there is too much to do; try again",
        };
        return answer_refusal(exchange);
    }
    http_connection_deadline(exchange->connection, 0);
    MHD_suspend_connection(exchange->mhd);
    http_workers_give(exchange);
    return MHD_YES;
}

static enum MHD_Result finish(struct exchange *exchange)
{
    if (exchange->is_pending) {
        return answer(exchange); /* the workers are done with it */
    }
    if (exchange->refusal.status == 0 && !exchange->is_open && !has_credentials(exchange)) {
        exchange->refusal = (struct http_refusal){.status = MHD_HTTP_UNAUTHORIZED,
                                                  .text = "a user's name and password are needed"};
    }
    return exchange->refusal.status != 0 ? answer_refusal(exchange) : give_to_workers(exchange);
}

enum MHD_Result http_exchange_request(void *context, struct MHD_Connection *mhd, const char *url,
                                      const char *method, const char *version, const char *bytes,
                                      size_t *bytes_count, void **request_context)
{
    struct exchange *exchange = *request_context;

    (void)context;
    (void)mhd;
    (void)url; /* exchange->path is decoded by us */
    if (exchange == NULL) {
        return MHD_NO; /* no memory */
    }
    if (!exchange->is_begun) {
        return begin(exchange, method, version);
    }
    if (*bytes_count > 0) {
        enum MHD_Result result = take_body(exchange, bytes, *bytes_count);
        *bytes_count = 0;
        return result;
    }
    return finish(exchange);
}

/* --- the end --------------------------------------------------------------------------------- */

static void uncount(struct exchange *exchange)
{
    struct http *http = exchange->http;

    (void)pthread_mutex_lock(&http->lock);
    assert(http->pending_count > 0);
    http->pending_count--;
    if (http->pending_count == 0) {
        (void)pthread_cond_broadcast(&http->idle);
    }
    (void)pthread_mutex_unlock(&http->lock);
}

void http_exchange_end(void *context, struct MHD_Connection *mhd, void **request_context,
                       enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *request_context;

    (void)context;
    (void)mhd;
    (void)code;
    *request_context = NULL;
    if (exchange == NULL) {
        return;
    }
    if (exchange->is_pending) {
        uncount(exchange);
    }
    /* Who is nobody has to ask again soon, or makes room. */
    http_connection_deadline(exchange->connection,
                             exchange->caller != NULL ? HTTP_IDLE_S : HTTP_REQUEST_S);
    drop_body(exchange);
    if (exchange->response != NULL) {
        MHD_destroy_response(exchange->response);
    }
    free(exchange->uri);
    free(exchange->path);
    free(exchange->query);
    free(exchange->caller);
    free(exchange);
}
