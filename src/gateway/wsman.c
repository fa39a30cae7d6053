/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wsman.c - from a request to its operation, and from what that says to an answer. */
#include "gateway/wsman.h"

#include <assert.h>
#include <string.h>

#include "gateway/wsman_exchange.h"
#include "gateway/wsman_names.h"

struct action_row {
    const char *action;
    wsman_operation *operation; /* NULL: known, and not supported */
};

static const struct action_row action_rows[] = {
    {NS_TRANSFER "/Get", wsman_get},
    {NS_TRANSFER "/Put", wsman_put},
    {NS_TRANSFER "/Create", NULL},
    {NS_TRANSFER "/Delete", NULL},
    {NS_ENUMERATION "/Enumerate", wsman_enumerate},
    {NS_ENUMERATION "/Pull", wsman_pull},
    {NS_ENUMERATION "/Release", wsman_release},
    {NS_ENUMERATION "/Renew", NULL},
    {NS_ENUMERATION "/GetStatus", NULL},
    {NS_EVENTING "/Subscribe", wsman_subscribe},
    {NS_EVENTING "/Unsubscribe", wsman_unsubscribe},
    {NS_EVENTING "/Renew", wsman_renew},
    {NS_EVENTING "/GetStatus", wsman_event_status},
};

/* What is no action of a standard is a method: RESOURCE/CLASS/METHOD. */
static int run_action(struct wsman_exchange *exchange)
{
    for (size_t i = 0; i < ARRAY_COUNT(action_rows); i++) {
        if (strcmp(exchange->request.action, action_rows[i].action) != 0) {
            continue;
        }
        if (action_rows[i].operation) {
            return action_rows[i].operation(exchange);
        }
        return wsman_refuse(&exchange->fault, WSMAN_ACTION_MISMATCH,
                            "the action %s is not served: use the methods of the model's classes",
                            exchange->request.action);
    }
    return wsman_invoke(exchange);
}

/* Nobody may do nothing but ask who is there. */
static int run(struct wsman_exchange *exchange)
{
    if (wsman_request_read(exchange->http, &exchange->request, &exchange->fault) < 0) {
        return -1;
    }
    if (exchange->request.is_identify) {
        return wsman_identify(exchange);
    }
    if (!exchange->http->caller) {
        return wsman_refuse(&exchange->fault, WSMAN_ACCESS_DENIED,
                            "without credentials only Identify is answered");
    }
    if (exchange->http->attempt == 0 && wsman_is_late(exchange)) {
        return wsman_refuse(&exchange->fault, WSMAN_TIMED_OUT,
                            "the request waited longer than its OperationTimeout");
    }
    return run_action(exchange);
}

static void start(struct wsman_exchange *exchange, const struct wsman *wsman,
                  const struct http_request *request, struct http_answer *answer)
{
    *exchange = (struct wsman_exchange){.wsman = wsman,
                                        .http = request,
                                        .answer = answer,
                                        .arena = request->arena,
                                        .cim = {.arena = request->arena,
                                                .client = request->client,
                                                .caller = request->caller,
                                                .env = request->env}};
    exchange->request = (struct wsman_request){
        .action = "", .message_id = "", .resource_uri = "", .identifier = ""};
}

enum http_result wsman_handle(void *context, const struct http_request *request,
                              struct http_answer *answer)
{
    struct wsman_exchange exchange;
    int result;

    assert(context);
    if (!wsman_media_is_fine(request)) {
        answer->status = 415;
        return HTTP_DONE;
    }
    start(&exchange, context, request, answer);
    result = run(&exchange);
    cim_request_done(&exchange.cim);
    if (result == WSMAN_PARKED) {
        return HTTP_PARK;
    }
    if (result < 0) {
        wsman_answer_fault(&exchange, &exchange.fault);
    }
    return HTTP_DONE;
}
