/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/call.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "control/show.h"

/* docs/control.md, "Errors" */
static unsigned int status_of(enum return_value value)
{
    switch (value) {
    case RETURN_DONE:
        return MHD_HTTP_OK;
    case RETURN_JOB_STARTED:
        return MHD_HTTP_ACCEPTED;
    case RETURN_FAILED:
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
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
    }
    return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

void call_answer(struct call *call, unsigned int status, json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

    assert(!call->has_answer);
    json_decref(object);
    call->has_answer = true;
    call->status = text == NULL ? MHD_HTTP_INTERNAL_SERVER_ERROR : status;
    call->text = text != NULL ? text
                              : strdup("{\"error\": {\"kind\": \"limit\", \"message\": \"out of "
                                       "memory for an answer\", \"return_value\": 32778}}");
    call->text_bytes = call->text == NULL ? 0 : strlen(call->text);
    call->type = "application/json";
}

void call_refuse(struct call *call, unsigned int status, enum return_value value,
                 const struct error *err)
{
    call->return_value = (uint32_t)value;
    call_answer(call, status != 0 ? status : status_of(value),
                json_pack("{s:{s:s, s:o, s:i, s:s}}", "error", "kind", error_kind_name(err->kind),
                          "message", show_text(err->message), "return_value", (int)value,
                          "return_name", return_value_name(value)));
}

void call_reply(void *context, const struct service_reply *reply)
{
    struct call *call = context;
    bool is_done = reply->value == RETURN_DONE || reply->value == RETURN_JOB_STARTED;

    call->is_waiting = false;
    call->return_value = (uint32_t)reply->value;
    if (is_done) {
        call_answer(call, status_of(reply->value),
                    show_reply(reply->value, &reply->job, reply->error.message));
    } else {
        call_refuse(call, 0, reply->value, &reply->error);
    }
    if (call->is_suspended) {
        call->is_suspended = false;
        MHD_resume_connection(call->connection);
    }
}

struct service_asker call_asker(struct call *call)
{
    call->is_waiting = true;
    return (struct service_asker){.caller = &call->caller, .reply = call_reply, .context = call};
}

static void refuse_argument(struct call *call, const struct error *err)
{
    call_refuse(call, 0, RETURN_INVALID_PARAMETER, err);
}

/* MHD's unescaping is off, for the path; here it does. */
char *call_query(struct call *call, const char *name)
{
    const char *raw = MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, name);
    char *text = raw == NULL ? NULL : strdup(raw);

    if (text != NULL) {
        for (char *at = text; *at != '\0'; at++) {
            *at = *at == '+' ? ' ' : *at;
        }
        (void)MHD_http_unescape(text);
    }
    return text;
}

bool call_query_number(struct call *call, const char *name, uint64_t max, uint64_t *out)
{
    char *text = call_query(call, name);
    struct error err = {0};

    if (text == NULL) {
        return true;
    }
    int result = number_parse_range(text, name, 0, max, out, &err);
    free(text);
    if (result < 0) {
        refuse_argument(call, &err);
    }
    return result == 0;
}

bool call_hop(struct call *call, int *out)
{
    struct error err = {0};

    if (strcmp(call->args[1], "0") != 0 && strcmp(call->args[1], "1") != 0) {
        (void)fail(&err, ERR_USAGE, 0, "a hop is 0 or 1, not '%.16s'", call->args[1]);
        call_refuse(call, MHD_HTTP_NOT_FOUND, RETURN_INVALID_PARAMETER, &err);
        return false;
    }
    *out = call->args[1][0] - '0';
    return true;
}

bool call_id(struct call *call, struct uuid *out)
{
    struct error err = {0};

    if (uuid_parse(call->args[0], out, &err) < 0) {
        call_refuse(call, MHD_HTTP_NOT_FOUND, RETURN_INVALID_PARAMETER, &err);
        return false;
    }
    return true;
}
