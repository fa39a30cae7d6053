/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "control/exchange.h"

static void list_of_vm(const struct show *show, const struct service_vm *vm, json_t *list,
                       bool *is_complete)
{
    for (uint32_t hop = 0; hop < ARRAY_COUNT(vm->relationships); hop++) {
        if (vm->relationships[hop] != NULL && *is_complete) {
            *is_complete = show_append(list, show_relationship(show, vm->relationships[hop]));
        }
    }
}

void route_list_relationships(struct exchange *exchange)
{
    const struct show show = exchange_show(exchange);
    json_t *list = json_array();
    bool is_complete = true;

    if (!exchange_takes_nothing(exchange)) {
        json_decref(list);
        return;
    }
    for (uint32_t i = 0; i < service_vm_count(show.service); i++) {
        struct service_vm vm;
        service_vm_at(show.service, i, &vm);
        list_of_vm(&show, &vm, list, &is_complete);
    }
    exchange_answer_list(exchange, "relationships", list, is_complete);
}

/* The relationship that the path names; NULL: there is none, and err says so. */
static const struct relationship_row *find(const struct exchange *exchange, struct error *err)
{
    struct service_vm vm;

    if (service_find_vm(exchange->control->config.service, exchange->name, &vm, err) < 0) {
        return NULL;
    }
    if (vm.relationships[exchange->hop] == NULL) {
        (void)fail(err, ERR_USAGE, 0, "'%s' has no relationship of hop %d here", vm.name,
                   exchange->hop);
    }
    return vm.relationships[exchange->hop];
}

void route_show_relationship(struct exchange *exchange)
{
    const struct show show = exchange_show(exchange);
    struct error err = {0};

    if (!exchange_takes_nothing(exchange)) {
        return;
    }
    const struct relationship_row *row = find(exchange, &err);
    if (row == NULL) {
        exchange_refuse_missing(exchange, &err);
        return;
    }
    exchange_answer(exchange, show_relationship(&show, row));
}

static void read_disks(struct members *members, const char *names[DISKS_MAX], uint32_t *count)
{
    const json_t *list = members_list(members, "disks");
    size_t wanted = json_array_size(list);

    *count = 0;
    if (list != NULL && (wanted == 0 || wanted > DISKS_MAX)) {
        members_wrong(members, RETURN_INVALID_PARAMETER, "'disks' must name 1 to %u disks",
                      DISKS_MAX);
        return;
    }
    for (size_t i = 0; i < wanted; i++) {
        names[i] = json_string_value(json_array_get(list, i));
        if (names[i] == NULL) {
            members_wrong(members, RETURN_WRONG_TYPE, "'disks' must be a list of names");
            return;
        }
    }
    *count = (uint32_t)wanted;
}

static void read_settings(struct members *members, struct relationship_settings *settings)
{
    enum return_value value = RETURN_DONE;
    struct error err = {0};
    const json_t *object = members_object(members, "settings");

    if (object != NULL && request_settings(object, settings, &value, &err) < 0) {
        members_wrong(members, value, "settings: %s", err.message);
    }
}

void route_create_relationship(struct exchange *exchange)
{
    struct members members = members_of(exchange->json);
    struct relationship_request request = {.vm = exchange->name};
    const char *disks[DISKS_MAX];
    struct service_asker asker;

    service_settings_default(&request.settings);
    request.host = members_needed_text(&members, "host");
    request.disks = disks;
    read_disks(&members, disks, &request.disk_count);
    read_settings(&members, &request.settings);
    if (exchange_end_members(exchange, &members) && exchange_ask_of_vm(exchange, &asker)) {
        service_create(exchange->control->config.service, &asker, &request);
    }
}

void route_modify_relationship(struct exchange *exchange)
{
    struct relationship_settings settings;
    struct members query = members_of(exchange->query);
    enum return_value value = RETURN_INVALID_PARAMETER;
    struct service_asker asker;
    struct error err = {0};
    const struct relationship_row *row = find(exchange, &err);

    if (row == NULL) {
        exchange_refuse_missing(exchange, &err);
        return;
    }
    settings = row->settings;
    if (members_end(&query, &err) < 0 ||
        request_settings(exchange->json, &settings, &value, &err) < 0) {
        exchange_refuse(exchange, value, &err);
    } else if (exchange_ask(exchange, &asker)) {
        service_modify(exchange->control->config.service, &asker, exchange->name, exchange->hop,
                       &settings);
    }
}

void route_remove_relationship(struct exchange *exchange)
{
    struct service_asker asker;

    if (exchange_takes_nothing(exchange) && exchange_ask_of_vm(exchange, &asker)) {
        service_remove(exchange->control->config.service, &asker, exchange->name, exchange->hop);
    }
}

void route_start_relationship(struct exchange *exchange)
{
    struct members members = members_of(exchange->json);
    const char *start_time = members_text(&members, "start_time");
    bool is_seeded = false;
    struct service_asker asker;

    (void)members_flag(&members, "seeded", &is_seeded);
    if (exchange_end_members(exchange, &members) && exchange_ask_of_vm(exchange, &asker)) {
        service_start(exchange->control->config.service, &asker, exchange->name, exchange->hop,
                      start_time, is_seeded);
    }
}

void route_set_relationship_state(struct exchange *exchange)
{
    struct members members = members_of(exchange->json);
    uint64_t state = 0;
    struct service_asker asker;

    if (!members_integer(&members, "requested_state", UINT16_MAX, &state)) {
        members_wrong(&members, RETURN_INVALID_PARAMETER, "'requested_state' is missing");
    }
    if (exchange_end_members(exchange, &members) && exchange_ask_of_vm(exchange, &asker)) {
        service_request_state(exchange->control->config.service, &asker, exchange->name,
                              exchange->hop, (uint16_t)state);
    }
}

/* --- statistics ------------------------------------------------------------------------------ */

/* A list while it is loaded. */
struct loading {
    json_t *list;       /* borrowed */
    int64_t present_us; /* the start of the interval that is shown already */
};

static int add_statistics(void *context, const struct statistics_row *row, struct error *err)
{
    const struct loading *loading = context;

    if (row->start_us == loading->present_us) {
        return 0;
    }
    return show_append(loading->list, show_statistics(row))
               ? 0
               : fail(err, ERR_LIMIT, 0, "out of memory for statistics");
}

/* The present interval is the service's; the store has what was saved of it. */
static int load_statistics(const struct exchange *exchange, const struct relationship_row *row,
                           uint64_t limit, json_t *list, struct error *err)
{
    struct service *service = exchange->control->config.service;
    const struct statistics_row *present = service_statistics(service, &row->vm, row->hop);
    struct loading loading = {.list = list, .present_us = -1};

    if (limit == 0) {
        return 0;
    }
    if (present != NULL && present->start_us != 0) {
        loading.present_us = present->start_us;
        if (!show_append(list, show_statistics(present))) {
            return fail(err, ERR_LIMIT, 0, "out of memory for statistics");
        }
    }
    if (store_load_statistics(service_store(service), &row->vm, row->hop, (uint32_t)limit,
                              add_statistics, &loading, err) < 0) {
        return -1;
    }
    while (json_array_size(list) > limit) {
        (void)json_array_remove(list, json_array_size(list) - 1); /* it is there */
    }
    return 0;
}

void route_list_statistics(struct exchange *exchange)
{
    struct members query = members_of(exchange->query);
    uint64_t limit = CONTROL_LIST_DEFAULT;
    struct error err = {0};
    const struct relationship_row *row = find(exchange, &err);

    (void)members_query_number(&query, "limit", CONTROL_LIST_MAX, &limit);
    if (!exchange_end_members(exchange, &query)) {
        return;
    }
    if (row == NULL) {
        exchange_refuse_missing(exchange, &err);
        return;
    }
    json_t *list = json_array();
    if (load_statistics(exchange, row, limit, list, &err) < 0) {
        json_decref(list);
        exchange_refuse_kind(exchange, &err);
        return;
    }
    exchange_answer_list(exchange, "statistics", list, true);
}

void route_reset_statistics(struct exchange *exchange)
{
    struct service_asker asker;

    if (exchange_takes_nothing(exchange) && exchange_ask_of_vm(exchange, &asker)) {
        service_reset_statistics(exchange->control->config.service, &asker, exchange->name,
                                 exchange->hop);
    }
}
