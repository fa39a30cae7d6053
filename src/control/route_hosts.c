/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/address.h"
#include "control/exchange.h"

/* As the service compares them. */
static const struct host_row *find(const struct exchange *exchange)
{
    return service_find_host(exchange->control->config.service, exchange->name);
}

void route_list_hosts(struct exchange *exchange)
{
    const struct service *service = exchange->control->config.service;
    json_t *list = json_array();
    bool is_complete = true;

    if (!exchange_takes_nothing(exchange)) {
        json_decref(list);
        return;
    }
    for (uint32_t i = 0; i < service_host_count(service) && is_complete; i++) {
        is_complete = show_append(list, show_peer(service_host_at(service, i)));
    }
    exchange_answer_list(exchange, "hosts", list, is_complete);
}

void route_move_host(struct exchange *exchange)
{
    struct members members = members_of(exchange->json);
    const char *address = members_needed_text(&members, "address");
    enum return_value value = RETURN_FAILED;
    char host[HOST_TEXT_MAX];
    char port[PORT_TEXT_MAX];
    struct error err = {0};

    if (address != NULL && address_parse(address, 1, true, host, port, &err) < 0) {
        members_wrong(&members, RETURN_INVALID_PARAMETER, "%s", err.message);
    }
    if (!exchange_end_members(exchange, &members)) {
        return;
    }
    exchange->is_name_missing = find(exchange) == NULL;
    if (service_set_host_address(exchange->control->config.service, &exchange->caller,
                                 exchange->name, address, &value, &err) < 0) {
        exchange_refuse(exchange, value, &err);
        return;
    }
    const struct host_row *row = find(exchange);
    exchange_answer(exchange, row != NULL ? show_peer(row) : NULL);
}

void route_revoke_host(struct exchange *exchange)
{
    struct service_reply reply = {.value = RETURN_FAILED};

    if (!exchange_takes_nothing(exchange)) {
        return;
    }
    exchange->is_name_missing = find(exchange) == NULL;
    if (service_revoke_host(exchange->control->config.service, &exchange->caller, exchange->name,
                            &reply.value, &reply.error) < 0) {
        exchange_refuse(exchange, reply.value, &reply.error);
        return;
    }
    exchange_reply(exchange, &reply);
}

void route_test_host(struct exchange *exchange)
{
    struct service_asker asker;

    if (!exchange_takes_nothing(exchange)) {
        return;
    }
    exchange->is_name_missing = find(exchange) == NULL;
    if (exchange_ask(exchange, &asker)) {
        service_test_host(exchange->control->config.service, &asker, exchange->name);
    }
}
