/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/exchange.h"
#include "control/watch.h"

/* A list while it is loaded. */
struct loading {
    const struct show *show; /* borrowed, both */
    json_t *list;
};

static int add_event(void *context, const struct event_row *row, struct error *err)
{
    const struct loading *loading = context;

    return show_append(loading->list, show_event(loading->show, row))
               ? 0
               : fail(err, ERR_LIMIT, 0, "out of memory for events");
}

/* Events outlive their VMs: an id that nothing bears any more is fine. */
static void read_vm(const struct exchange *exchange, struct members *query, struct uuid *out)
{
    const char *text = members_text(query, "vm");
    struct service_vm vm;
    struct error err = {0};

    if (text == NULL || uuid_parse(text, out, NULL) == 0) {
        return;
    }
    if (service_find_vm(exchange->control->config.service, text, &vm, &err) < 0) {
        members_wrong(query, RETURN_INVALID_PARAMETER, "%s", err.message);
        return;
    }
    *out = vm.id;
}

struct wanted_events {
    uint64_t after;
    uint64_t limit;
    struct uuid vm;
};

/* The list goes to the object first: from then on the object frees it. */
static int fill(const struct exchange *exchange, const struct wanted_events *wanted, json_t *object,
                struct error *err)
{
    const struct show show = exchange_show(exchange);
    struct store *store = service_store(exchange->control->config.service);
    struct loading loading = {.show = &show, .list = json_array()};
    uint64_t newest = 0;

    if (!show_put(object, "events", loading.list)) {
        return fail(err, ERR_LIMIT, 0, "out of memory for events");
    }
    if (wanted->limit > 0 &&
        store_load_events(store, wanted->after, &wanted->vm, (uint32_t)wanted->limit, add_event,
                          &loading, err) < 0) {
        return -1;
    }
    if (store_newest_event(store, &newest, err) < 0) {
        return -1;
    }
    return show_put(object, "newest", show_number(newest))
               ? 0
               : fail(err, ERR_LIMIT, 0, "out of memory for events");
}

void route_list_events(struct exchange *exchange)
{
    struct members query = members_of(exchange->query);
    struct wanted_events wanted = {.limit = CONTROL_LIST_DEFAULT};
    struct error err = {0};

    (void)members_query_number(&query, "after", INT64_MAX, &wanted.after);
    (void)members_query_number(&query, "limit", CONTROL_LIST_MAX, &wanted.limit);
    read_vm(exchange, &query, &wanted.vm);
    if (!exchange_end_members(exchange, &query)) {
        return;
    }
    json_t *object = json_object();
    if (fill(exchange, &wanted, object, &err) < 0) {
        json_decref(object);
        exchange_refuse_kind(exchange, &err);
        return;
    }
    exchange_answer(exchange, object);
}

void route_watch(struct exchange *exchange)
{
    if (exchange_takes_nothing(exchange)) {
        watch_begin(exchange);
    }
}
