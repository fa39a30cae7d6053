/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exchange.c - from a request's headers to its answer.
 *
 *   begun --> body --> handled --> answered --> ended
 *      \                  \--> suspended --/
 *       \--> refused: the body is read and thrown away, then answered
 *
 * 1. authorize() is passed before anything of the body is looked at.
 * 2. A suspended exchange is resumed exactly once: by the reply it waits for, or by the end of
 *    everything.
 */
#include "control/exchange.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/number.h"
#include "control/acting.h"

/* --- who ------------------------------------------------------------------------------------- */

/* Whom the kernel says the other end belonged to when it connected. */
static void identify(const struct control *control, struct MHD_Connection *connection,
                     struct caller *out)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct ucred credentials = {0};
    socklen_t len = sizeof credentials;

    *out = (struct caller){.role = CALLER_NOBODY, .name = "unknown"};
    if (info != NULL &&
        getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) == 0 &&
        len == sizeof credentials) {
        out->role = control->config.role_of(control->config.context, credentials.uid,
                                            credentials.gid, out->name, sizeof out->name);
    }
}

/* Once a connection: the name service may be slow. */
void exchange_on_connection(void *context, struct MHD_Connection *connection, void **caller,
                            enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        free(*caller);
        *caller = NULL;
        return;
    }
    struct caller *made = calloc(1, sizeof *made);
    if (made != NULL) {
        identify(context, connection, made);
    }
    *caller = made; /* NULL is nobody */
}

static struct caller caller_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const struct caller *known = info != NULL ? info->socket_context : NULL;

    return known != NULL ? *known : (struct caller){.role = CALLER_NOBODY, .name = "unknown"};
}

/* --- answers --------------------------------------------------------------------------------- */

unsigned int control_status(enum return_value value)
{
    switch (value) {
    case RETURN_DONE:
        return MHD_HTTP_OK;
    case RETURN_JOB_STARTED:
        return MHD_HTTP_ACCEPTED;
    case RETURN_ACCESS_DENIED:
        return MHD_HTTP_FORBIDDEN;
    case RETURN_NOT_SUPPORTED:
    case RETURN_FILE_NOT_FOUND:
        return MHD_HTTP_UNPROCESSABLE_CONTENT;
    case RETURN_UNKNOWN:
        return MHD_HTTP_BAD_GATEWAY;
    case RETURN_TIMEOUT:
        return MHD_HTTP_GATEWAY_TIMEOUT;
    case RETURN_INVALID_PARAMETER:
    case RETURN_WRONG_TYPE:
        return MHD_HTTP_BAD_REQUEST;
    case RETURN_IN_USE:
    case RETURN_INVALID_STATE:
        return MHD_HTTP_CONFLICT;
    case RETURN_NOT_AVAILABLE:
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    case RETURN_OUT_OF_MEMORY:
        return MHD_HTTP_TOO_MANY_REQUESTS;
    case RETURN_FAILED:
        break;
    }
    return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* Who changed what, or tried to. A line for each, so that nobody hides a change behind a flood of
 * others. */
static void audit(const struct exchange *exchange, unsigned int status, enum return_value value)
{
    char number[16];
    char http[16];

    if (strcmp(exchange->method, MHD_HTTP_METHOD_GET) == 0) {
        return;
    }
    (void)snprintf(number, sizeof number, "%u", (unsigned)value);
    (void)snprintf(http, sizeof http, "%u", status);
    log_always(LOG_LEVEL_NOTICE, {"event", "control call"}, {"caller", exchange->caller.name},
               {"method", exchange->method}, {"path", exchange->path}, {"return_value", number},
               {"http_status", http});
}

void exchange_respond(struct exchange *exchange, unsigned int status, struct MHD_Response *response)
{
    assert(exchange->response == NULL);
    exchange->status = status;
    exchange->response = response;
}

/* Takes object. Without memory there is no answer, and the connection is closed. */
static void respond_json(struct exchange *exchange, unsigned int status, json_t *object)
{
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    struct MHD_Response *response = NULL;

    json_decref(object);
    if (text == NULL) {
        log_event(LOG_LEVEL_ERROR, {"event", "no memory for an answer"}, {"path", exchange->path});
        return;
    }
    response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return;
    }
    /* One without its header can be read all the same. */
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    exchange_respond(exchange, status, response);
}

void exchange_answer(struct exchange *exchange, json_t *object)
{
    audit(exchange, MHD_HTTP_OK, RETURN_DONE);
    respond_json(exchange, MHD_HTTP_OK, object);
}

void exchange_answer_list(struct exchange *exchange, const char *name, json_t *list,
                          bool is_complete)
{
    json_t *object = json_object();

    if (!show_put(object, name, list) || !is_complete) {
        json_decref(object);
        object = NULL;
    }
    exchange_answer(exchange, object);
}

static void refuse_as(struct exchange *exchange, unsigned int status, enum return_value value,
                      const struct error *err)
{
    audit(exchange, status, value);
    respond_json(exchange, status, show_error(value, err));
}

void exchange_refuse(struct exchange *exchange, enum return_value value, const struct error *err)
{
    bool is_missing = value == RETURN_INVALID_PARAMETER && exchange->is_name_missing;

    refuse_as(exchange, is_missing ? MHD_HTTP_NOT_FOUND : control_status(value), value, err);
}

void exchange_refuse_missing(struct exchange *exchange, const struct error *err)
{
    refuse_as(exchange, MHD_HTTP_NOT_FOUND, RETURN_INVALID_PARAMETER, err);
}

static enum return_value value_of_kind(enum error_kind kind)
{
    switch (kind) {
    case ERR_USAGE:
        return RETURN_INVALID_PARAMETER;
    case ERR_LIMIT:
        return RETURN_OUT_OF_MEMORY;
    case ERR_WRONG_STATE:
        return RETURN_INVALID_STATE;
    case ERR_PEER:
        return RETURN_NOT_AVAILABLE;
    case ERR_NONE:
    case ERR_IO:
    case ERR_INTERNAL:
    case ERR_CANCELLED:
        break;
    }
    return RETURN_FAILED;
}

void exchange_refuse_kind(struct exchange *exchange, const struct error *err)
{
    exchange_refuse(exchange, value_of_kind(err->kind), err);
}

void exchange_reply(struct exchange *exchange, const struct service_reply *reply)
{
    if (reply->value != RETURN_DONE && reply->value != RETURN_JOB_STARTED) {
        exchange_refuse(exchange, reply->value, &reply->error);
        return;
    }
    unsigned int status = control_status(reply->value);
    audit(exchange, status, reply->value);
    respond_json(exchange, status, show_reply(reply));
}

/* --- replies that come later ----------------------------------------------------------------- */

static void on_reply(void *context, const struct service_reply *reply)
{
    struct ask *ask = context;
    struct exchange *exchange = ask->exchange;

    assert(exchange == NULL || (exchange->ask == ask && exchange->response == NULL));
    free(ask);
    if (exchange == NULL) {
        log_event(LOG_LEVEL_INFO, {"event", "the client of a control call did not wait"});
        return;
    }
    exchange->ask = NULL;
    exchange_reply(exchange, reply);
    if (exchange->is_suspended) {
        exchange->is_suspended = false;
        MHD_resume_connection(exchange->connection);
    }
}

bool exchange_ask(struct exchange *exchange, struct service_asker *out)
{
    struct ask *ask = calloc(1, sizeof *ask);
    struct error err = {0};

    assert(exchange->ask == NULL && exchange->response == NULL);
    if (ask == NULL) {
        (void)fail(&err, ERR_LIMIT, ENOMEM, "out of memory for a call");
        exchange_refuse_kind(exchange, &err);
        return false;
    }
    ask->exchange = exchange;
    exchange->ask = ask;
    *out = (struct service_asker){.caller = &exchange->caller, .reply = on_reply, .context = ask};
    return true;
}

bool exchange_ask_of_vm(struct exchange *exchange, struct service_asker *out)
{
    struct service_vm vm;

    /* The service says why, and knows better (the host's own name is no VM either); only whether it
     * is 404 is decided here. */
    exchange->is_name_missing =
        service_find_vm(exchange->control->config.service, exchange->name, &vm, NULL) < 0;
    return exchange_ask(exchange, out);
}

/* --- what was sent --------------------------------------------------------------------------- */

bool exchange_end_members(struct exchange *exchange, struct members *members)
{
    struct members others =
        members_of(members->object == exchange->query ? exchange->json : exchange->query);
    struct error err = {0};

    if (members_end(members, &err) < 0) {
        exchange_refuse(exchange, members->value, &err);
        return false;
    }
    if (members_end(&others, &err) < 0) {
        exchange_refuse(exchange, others.value, &err);
        return false;
    }
    return true;
}

bool exchange_takes_nothing(struct exchange *exchange)
{
    struct members none = members_of(exchange->json);

    return exchange_end_members(exchange, &none);
}

struct show exchange_show(const struct exchange *exchange)
{
    const struct control_config *config = &exchange->control->config;

    return (struct show){.service = config->service, .now_us = env_wall_us(config->env)};
}

/* --- the beginning --------------------------------------------------------------------------- */

static void refuse_path(struct exchange *exchange, const struct route_match *match)
{
    struct error err = {0};
    char allowed[64];

    if (!match->is_path_known) {
        (void)fail(&err, ERR_USAGE, 0, "there is no such call; docs/control.md has them all");
        exchange_refuse_missing(exchange, &err);
        return;
    }
    routes_allowed(exchange->path, allowed, sizeof allowed);
    (void)fail(&err, ERR_USAGE, 0, "this path takes %s", allowed);
    refuse_as(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, RETURN_INVALID_PARAMETER, &err);
    if (exchange->response != NULL) {
        (void)MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_ALLOW, allowed);
    }
}

static int read_path(struct exchange *exchange, const struct route_match *match, struct error *err)
{
    exchange->hop = -1;
    if (match->name.at != NULL &&
        request_decode(match->name, exchange->name, sizeof exchange->name, err) < 0) {
        return -1;
    }
    if (match->hop.len_bytes > 0) {
        if (match->hop.len_bytes != 1 || (match->hop.at[0] != '0' && match->hop.at[0] != '1')) {
            return fail(err, ERR_USAGE, 0,
                        "a relationship's hop is 0 (primary to replica) or 1 (to the extended "
                        "replica)");
        }
        exchange->hop = match->hop.at[0] - '0';
    }
    return 0;
}

/* A query while it is read. */
struct query_reading {
    json_t *object; /* borrowed */
    struct error *err;
    bool is_bad;
};

static enum MHD_Result take_argument(void *context, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
    struct query_reading *reading = context;
    char text[VM_NAME_MAX];
    const char *encoded = value != NULL ? value : "";

    (void)kind;
    reading->is_bad = true;
    if (request_decode((struct const_span){(const uint8_t *)encoded, strlen(encoded)}, text,
                       sizeof text, reading->err) < 0) {
        return MHD_NO;
    }
    if (json_object_get(reading->object, name) != NULL) {
        (void)fail(reading->err, ERR_USAGE, 0, "'%.64s' is asked for twice", name);
        return MHD_NO;
    }
    if (!show_put(reading->object, name, json_string(text))) {
        (void)fail(reading->err, ERR_USAGE, 0, "the query is not UTF-8");
        return MHD_NO;
    }
    reading->is_bad = false;
    return MHD_YES;
}

static int read_query(struct exchange *exchange, struct error *err)
{
    exchange->query = json_object();
    if (exchange->query == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a request");
    }
    struct query_reading reading = {.object = exchange->query, .err = err};
    (void)MHD_get_connection_values(exchange->connection, MHD_GET_ARGUMENT_KIND, take_argument,
                                    &reading);
    return reading.is_bad ? -1 : 0;
}

/* Nobody learns not even which paths there are. Whom he acts for may have less than he. False: it
 * is refused. */
static bool is_let_in(struct exchange *exchange, enum operation operation)
{
    struct error err = {0};

    if (authorize(&exchange->caller, operation, &err) < 0) {
        exchange_refuse(exchange, RETURN_ACCESS_DENIED, &err);
        return false;
    }
    if (acting_read(exchange->connection, &exchange->caller, &err) < 0) {
        exchange_refuse_kind(exchange, &err);
        return false;
    }
    if (authorize(&exchange->caller, operation, &err) < 0) {
        exchange_refuse(exchange, RETURN_ACCESS_DENIED, &err);
        return false;
    }
    return true;
}

static void begin(struct exchange *exchange)
{
    struct route_match match = routes_find(exchange->method, exchange->path);
    enum operation operation = match.route != NULL ? match.route->operation : OPERATION_READ;
    struct error err = {0};

    if (!is_let_in(exchange, operation)) {
        return;
    }
    if (exchange->control->is_stopping) {
        (void)fail(&err, ERR_CANCELLED, 0, "resilverd is stopping");
        exchange_refuse(exchange, RETURN_NOT_AVAILABLE, &err);
    } else if (match.route == NULL) {
        refuse_path(exchange, &match);
    } else if (read_path(exchange, &match, &err) < 0 || read_query(exchange, &err) < 0) {
        exchange_refuse_kind(exchange, &err);
    } else {
        exchange->route = match.route;
    }
}

static struct exchange *exchange_new(struct control *control, struct MHD_Connection *connection,
                                     const char *path, const char *method)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);

    if (exchange == NULL) {
        return NULL;
    }
    exchange->control = control;
    exchange->connection = connection;
    exchange->caller = caller_of(connection);
    exchange->method = method;
    exchange->next = control->exchanges;
    control->exchanges = exchange;
    if (strlen(path) >= sizeof exchange->path) {
        struct error err = {0};
        (void)fail(&err, ERR_USAGE, 0, "the path is longer than %zu bytes",
                   sizeof exchange->path - 1);
        refuse_as(exchange, MHD_HTTP_URI_TOO_LONG, RETURN_INVALID_PARAMETER, &err);
        return exchange;
    }
    (void)snprintf(exchange->path, sizeof exchange->path, "%s", path);
    begin(exchange);
    return exchange;
}

static void unlink_exchange(const struct exchange *exchange)
{
    struct exchange **at = &exchange->control->exchanges;

    while (*at != exchange) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = exchange->next;
}

void exchange_give_up(struct control *control)
{
    for (struct exchange *at = control->exchanges; at != NULL; at = at->next) {
        if (at->is_suspended) {
            at->is_suspended = false;
            MHD_resume_connection(at->connection);
        }
    }
}

void exchange_on_end(void *context, struct MHD_Connection *connection, void **context_of,
                     enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *context_of;

    (void)context;
    (void)connection;
    (void)code;
    *context_of = NULL;
    if (exchange == NULL) {
        return;
    }
    unlink_exchange(exchange);
    if (exchange->ask != NULL) {
        exchange->ask->exchange = NULL;
    }
    if (exchange->response != NULL) {
        MHD_destroy_response(exchange->response);
    }
    json_decref(exchange->json);
    json_decref(exchange->query);
    free(exchange->body);
    free(exchange);
}

/* --- the body -------------------------------------------------------------------------------- */

static void refuse_body(struct exchange *exchange)
{
    struct error err = {0};

    (void)fail(&err, ERR_LIMIT, 0, "the body is longer than %llu bytes", CONTROL_BODY_MAX);
    refuse_as(exchange, MHD_HTTP_CONTENT_TOO_LARGE, RETURN_OUT_OF_MEMORY, &err);
}

/* A body that is announced to be too long is refused before it comes. */
static bool is_announced_too_long(const struct exchange *exchange)
{
    const char *text = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t length = 0;
    struct error err = {0};

    return text != NULL &&
           (number_parse_range(text, "the length", 0, UINT64_MAX, &length, &err) < 0 ||
            length > CONTROL_BODY_MAX);
}

static bool keep_body(struct exchange *exchange, const char *bytes, size_t count)
{
    char *body = realloc(exchange->body, exchange->body_bytes + count);

    if (body == NULL) {
        return false;
    }
    memcpy(body + exchange->body_bytes, bytes, count);
    exchange->body = body;
    exchange->body_bytes += count;
    return true;
}

/* False: the connection is to be cut. */
static bool take_body(struct exchange *exchange, const char *bytes, size_t count)
{
    if (exchange->response == NULL) {
        if (count <= CONTROL_BODY_MAX - exchange->body_bytes) {
            return keep_body(exchange, bytes, count);
        }
        refuse_body(exchange);
    }
    exchange->discarded_bytes += count;
    return exchange->response != NULL && exchange->discarded_bytes <= CONTROL_DISCARD_MAX;
}

/* --- the answer ------------------------------------------------------------------------------ */

static void handle(struct exchange *exchange)
{
    struct const_span body = {(const uint8_t *)exchange->body, exchange->body_bytes};
    struct error err = {0};

    assert(exchange->route != NULL && !exchange->is_handled);
    exchange->is_handled = true;
    if (request_parse(body, &exchange->json, &err) < 0) {
        exchange_refuse_kind(exchange, &err);
        return;
    }
    exchange->route->handle(exchange);
}

static enum MHD_Result queue(struct exchange *exchange)
{
    return MHD_queue_response(exchange->connection, exchange->status, exchange->response);
}

static enum MHD_Result finish(struct exchange *exchange)
{
    if (exchange->response == NULL && !exchange->is_handled && exchange->route != NULL) {
        handle(exchange);
    }
    if (exchange->response != NULL) {
        return queue(exchange);
    }
    if (exchange->ask == NULL) {
        return MHD_NO; /* no memory for an answer */
    }
    exchange->is_suspended = true;
    MHD_suspend_connection(exchange->connection);
    return MHD_YES;
}

enum MHD_Result exchange_on_request(void *context, struct MHD_Connection *connection,
                                    const char *path, const char *method, const char *version,
                                    const char *bytes, size_t *bytes_count, void **context_of)
{
    struct exchange *exchange = *context_of;

    (void)version;
    if (exchange == NULL) {
        exchange = exchange_new(context, connection, path, method);
        *context_of = exchange;
        if (exchange == NULL) {
            return MHD_NO;
        }
        if (!is_announced_too_long(exchange)) {
            return MHD_YES;
        }
        if (exchange->response == NULL) {
            refuse_body(exchange);
        }
        return exchange->response != NULL ? queue(exchange) : MHD_NO;
    }
    if (*bytes_count > 0) {
        bool is_taken = take_body(exchange, bytes, *bytes_count);
        *bytes_count = 0;
        return is_taken ? MHD_YES : MHD_NO;
    }
    return finish(exchange);
}
