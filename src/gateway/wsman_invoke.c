/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_invoke.c - methods: RESOURCE/CLASS/METHOD is the action, METHOD_INPUT the body. What the
 * method itself says about what it was asked is its ReturnValue, in an answer; a fault is only for
 * what could not be asked. Source: DSP0227 1.2.0 section 10; DSP0230 1.1.0 section 9.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "gateway/method_audit.h"
#include "gateway/wsman_exchange.h"
#include "gateway/wsman_names.h"

struct call {
    struct wsman_target target;
    const struct cim_path *path;
    const struct cim_method *method;
    struct cim_arguments *in;
    struct cim_outcome out;
};

/* --- what is called ----------------------------------------------------------------------------
 */

static int refuse_action(struct wsman_exchange *exchange)
{
    return wsman_refuse(&exchange->fault, WSMAN_ACTION_NOT_SUPPORTED,
                        "the action %s is neither known nor a method of %s",
                        exchange->request.action, exchange->request.resource_uri);
}

/* The action names a class, which the resource's is, or is derived from; with whatever prefix:
 * clients mix DMTF's and Microsoft's. */
static int find_method(struct wsman_exchange *exchange, struct call *call)
{
    const char *action = exchange->request.action;
    const char *slash = strrchr(action, '/');
    struct wsman_fault unused = {.reason = ""};
    struct wsman_resource named;
    const char *uri = slash ? arena_text_of(exchange->arena, action, (size_t)(slash - action)) : "";

    if (!uri || wsman_resource_read(exchange->arena, uri, NULL, &named, &unused) < 0 ||
        !call->target.class || !cim_class_is_named(call->target.class, named.class_name)) {
        return refuse_action(exchange);
    }
    call->method = cim_method_find(call->target.class, slash + 1);
    return call->method ? 0 : refuse_action(exchange);
}

/* --- what goes in ------------------------------------------------------------------------------
 */

static int read_argument(struct wsman_exchange *exchange, struct call *call,
                         const struct xml_element *element)
{
    const struct cim_parameter *parameter = cim_parameter_find(call->method, element->name);
    struct error err = {0};

    if (!parameter || !parameter->is_in) {
        return wsman_refuse(&exchange->fault, WSMAN_PARAMETER_NAME, "%s.%s takes no \"%s\"",
                            call->target.class->name, call->method->name, element->name);
    }
    const size_t index = (size_t)(parameter - call->method->parameters);
    const struct wsman_type type = {parameter->type, parameter->is_array, parameter->embedded_class,
                                    call->target.space};

    if (!wsman_is_first_of(element)) {
        return 0; /* read with the first of its name */
    }
    call->in->is_given[index] = true;
    if (wsman_read_value(exchange->arena, element, &type, &call->in->values[index], &err) < 0) {
        call->in->is_wrong_type[index] = true; /* the method says so itself */
    }
    return 0;
}

static int check_input(struct wsman_exchange *exchange, const struct call *call)
{
    const char *name = exchange->request.content->name;
    size_t length = strlen(call->method->name);

    if (strncasecmp(name, call->method->name, length) != 0 ||
        strcasecmp(name + length, "_INPUT") != 0) {
        return wsman_refuse(&exchange->fault, WSMAN_SCHEMA_VALIDATION,
                            "the Body is to hold %s_INPUT, and holds %.64s", call->method->name,
                            name);
    }
    return 0;
}

static int read_arguments(struct wsman_exchange *exchange, struct call *call)
{
    const struct xml_element *content = exchange->request.content;

    call->in = cim_arguments_new(exchange->arena, call->method);
    if (!call->in) {
        return wsman_refuse(&exchange->fault, WSMAN_QUOTA_LIMIT, "the request is too large");
    }
    if (!content) {
        return 0; /* omicli leaves the Body empty where there are no parameters */
    }
    if (check_input(exchange, call) < 0) {
        return -1;
    }
    for (const struct xml_element *at = content->first; at; at = at->next) {
        if (read_argument(exchange, call, at) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- what comes out ----------------------------------------------------------------------------
 */

static void write_output(struct wsman_exchange *exchange, const struct call *call)
{
    struct wsman_style style = wsman_style_of(exchange, &call->target);
    struct xml_text *text = &exchange->answer->body;
    const struct cim_arguments *out = call->out.out;

    xml_print(text, "<p:%s_OUTPUT xmlns:p=\"", call->method->name);
    wsman_write_uri(text, &style, "", call->target.class->name);
    xml_raw(text, "\">");
    for (uint32_t i = 0; out && i < call->method->parameter_count; i++) {
        if (call->method->parameters[i].is_out && !out->values[i].is_null) {
            wsman_write_value(text, &style, exchange->arena, call->method->parameters[i].name,
                              &out->values[i]);
        }
    }
    xml_print(text, "<p:ReturnValue>%u</p:ReturnValue></p:%s_OUTPUT>", call->out.return_value,
              call->method->name);
}

static int answer_call(struct wsman_exchange *exchange, const struct call *call)
{
    const char *action = arena_print(exchange->arena, "%sResponse", exchange->request.action);

    if (!action) {
        return wsman_refuse(&exchange->fault, WSMAN_QUOTA_LIMIT, "the request is too large");
    }
    wsman_begin(exchange, action, "");
    write_output(exchange, call);
    return wsman_finish(exchange);
}

/* --- the call ----------------------------------------------------------------------------------
 */

/* From here on the method may have done something, whatever comes of it: the answer, a fault too,
 * is the one to be given again. */
static void call_method(struct wsman_exchange *exchange, struct call *call)
{
    struct error err = {0};
    int result = cim_invoke(&exchange->cim, call->target.space, call->path, call->method, call->in,
                            &call->out, &err);

    if (result < 0) {
        (void)wsman_refused(exchange, &err);
    }
    method_audit(exchange->wsman->audit, exchange->http, "wsman", call->path, call->in,
                 result < 0 ? NULL : &call->out, exchange->cim.status, &err);
    if (result < 0 || answer_call(exchange, call) < 0) {
        wsman_answer_fault(exchange, &exchange->fault);
    }
}

/* A call that had parameters which no method has: somebody tried. */
static void audit_refusal(struct wsman_exchange *exchange, const struct call *call)
{
    struct error err = {0};

    if (call->in) {
        (void)fail(&err, ERR_USAGE, 0, "%s", exchange->fault.reason); /* the words for the log */
        method_audit(exchange->wsman->audit, exchange->http, "wsman", call->path, call->in, NULL,
                     CIM_INVALID_PARAMETER, &err);
    }
}

static int prepare(struct wsman_exchange *exchange, struct call *call)
{
    if (wsman_object(exchange, &call->target, &call->path) < 0) {
        return -1;
    }
    if (read_arguments(exchange, call) == 0) {
        return 0;
    }
    audit_refusal(exchange, call);
    return -1;
}

static int call_once(struct wsman_exchange *exchange, struct call *call)
{
    struct wsman_replay *replay = exchange->wsman->replay;
    const struct wsman_replay_key key = {exchange->http->caller->name, exchange->request.message_id,
                                         exchange->http->body};

    switch (wsman_replay_begin(replay, &key, exchange->answer)) {
    case WSMAN_REPLAY_NEW:
        call_method(exchange, call);
        wsman_replay_end(replay, &key, exchange->answer);
        return 0;
    case WSMAN_REPLAY_UNKEYED:
        call_method(exchange, call);
        return 0;
    case WSMAN_REPLAY_KNOWN:
        return 0;
    case WSMAN_REPLAY_BUSY:
        break;
    }
    return wsman_refuse(&exchange->fault, WSMAN_CONCURRENCY,
                        "the same request is under way: wait for its answer");
}

int wsman_invoke(struct wsman_exchange *exchange)
{
    struct call call = {.path = NULL};

    assert(exchange->wsman->replay && exchange->http->caller);
    if (!*exchange->request.resource_uri) {
        return refuse_action(exchange);
    }
    if (wsman_target_read(exchange, &call.target) < 0 || find_method(exchange, &call) < 0) {
        return -1;
    }
    return prepare(exchange, &call) < 0 ? -1 : call_once(exchange, &call);
}
