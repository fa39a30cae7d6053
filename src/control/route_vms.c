/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/exchange.h"

void route_list_vms(struct exchange *exchange)
{
    const struct show show = exchange_show(exchange);
    json_t *list = json_array();
    bool is_complete = true;

    if (!exchange_takes_nothing(exchange)) {
        json_decref(list);
        return;
    }
    for (uint32_t i = 0; i < service_vm_count(show.service) && is_complete; i++) {
        struct service_vm vm;
        service_vm_at(show.service, i, &vm);
        is_complete = show_append(list, show_vm(&show, &vm));
    }
    exchange_answer_list(exchange, "vms", list, is_complete);
}

void route_show_vm(struct exchange *exchange)
{
    const struct show show = exchange_show(exchange);
    struct service_vm vm;
    struct error err = {0};

    if (!exchange_takes_nothing(exchange)) {
        return;
    }
    if (service_find_vm(show.service, exchange->name, &vm, &err) < 0) {
        exchange_refuse_missing(exchange, &err);
        return;
    }
    exchange_answer(exchange, show_vm(&show, &vm));
}

void route_resynchronize(struct exchange *exchange)
{
    struct members members = members_of(exchange->json);
    const char *start_time = members_text(&members, "start_time");
    struct service_asker asker;

    if (exchange_end_members(exchange, &members) && exchange_ask_of_vm(exchange, &asker)) {
        service_resynchronize(exchange->control->config.service, &asker, exchange->name,
                              start_time);
    }
}
