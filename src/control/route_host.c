/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * route_host.c - this host, its events, its state as a whole.
 */
#include <stdlib.h>

#include "control/routes.h"
#include "control/show.h"
#include "control/watch.h"

void route_get_host(struct call *call)
{
    const struct control *control = call->control;
    uint64_t uptime_s = (env_now_ns(control->config.env) - control->started_ns) / NS_PER_S;

    call_answer(call, MHD_HTTP_OK, show_host(&control->config, uptime_s));
}

struct event_list {
    const struct service *service;
    json_t *list;
};

static int add_event(void *context, const struct event_row *row, struct error *err)
{
    struct event_list *events = context;

    (void)err;
    (void)json_array_append_new(events->list, show_event(events->service, row));
    return 0;
}

/* ?vm=: false: refused. */
static bool take_vm(struct call *call, struct uuid *out)
{
    char *text = call_query(call, "vm");
    struct service_vm vm;
    struct error err = {0};

    if (text == NULL) {
        return true;
    }
    int result = service_find_vm(call->control->config.service, text, &vm, &err);
    free(text);
    if (result < 0) {
        call_refuse(call, MHD_HTTP_NOT_FOUND, RETURN_INVALID_PARAMETER, &err);
        return false;
    }
    *out = vm.id;
    return true;
}

void route_get_events(struct call *call)
{
    struct service *service = call->control->config.service;
    struct event_list events = {.service = service};
    struct uuid vm = {{0}};
    uint64_t after = 0;
    uint64_t limit = 100;
    uint64_t newest = 0;
    char *text = call_query(call, "after");
    struct error err = {0};
    bool has_after = text != NULL;

    free(text);
    if (!call_query_number(call, "after", INT64_MAX, &after) ||
        !call_query_number(call, "limit", EVENTS_MAX, &limit) || !take_vm(call, &vm)) {
        return;
    }
    if (store_newest_event(service_store(service), &newest, &err) < 0) {
        call_refuse(call, 0, RETURN_FAILED, &err);
        return;
    }
    if (!has_after) { /* the latest ones */
        after = newest > limit && uuid_is_nil(&vm) ? newest - limit : 0;
        limit = uuid_is_nil(&vm) ? limit : EVENTS_MAX;
    }
    events.list = json_array();
    if (store_load_events(service_store(service), after, &vm, (uint32_t)limit, add_event, &events,
                          &err) < 0) {
        json_decref(events.list);
        call_refuse(call, 0, RETURN_FAILED, &err);
        return;
    }
    call_answer(call, MHD_HTTP_OK,
                json_pack("{s:o, s:I}", "events", events.list, "newest", (json_int_t)newest));
}

void route_watch(struct call *call)
{
    watch_begin(call);
}

void route_backup(struct call *call)
{
    uint8_t *image = NULL;
    size_t size = 0;
    struct error err = {0};

    if (store_backup(service_store(call->control->config.service), &image, &size, &err) < 0) {
        call_refuse(call, 0, err.kind == ERR_LIMIT ? RETURN_OUT_OF_MEMORY : RETURN_FAILED, &err);
        return;
    }
    call->has_answer = true;
    call->status = MHD_HTTP_OK;
    call->text = (char *)image;
    call->text_bytes = size;
    call->type = "application/vnd.sqlite3";
}
