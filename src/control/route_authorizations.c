/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "control/exchange.h"

#define TRUST_GROUP_DEFAULT "DEFAULT" /* Hyper-V's */

static const struct authorization_row *find(const struct exchange *exchange)
{
    const struct service *service = exchange->control->config.service;

    for (uint32_t i = 0; i < service_authorization_count(service); i++) {
        const struct authorization_row *row = service_authorization_at(service, i);
        if (strcasecmp(row->allowed_primary, exchange->name) == 0) {
            return row;
        }
    }
    return NULL;
}

void route_list_authorizations(struct exchange *exchange)
{
    const struct service *service = exchange->control->config.service;
    json_t *list = json_array();
    bool is_complete = true;

    if (!exchange_takes_nothing(exchange)) {
        json_decref(list);
        return;
    }
    for (uint32_t i = 0; i < service_authorization_count(service) && is_complete; i++) {
        is_complete = show_append(list, show_authorization(service_authorization_at(service, i)));
    }
    exchange_answer_list(exchange, "authorizations", list, is_complete);
}

static void keep_text(struct members *members, const char *name, const char *text, char *out,
                      size_t size_bytes)
{
    if (strlen(text) >= size_bytes) {
        members_wrong(members, RETURN_INVALID_PARAMETER, "'%s' is longer than %zu bytes", name,
                      size_bytes - 1);
        return;
    }
    (void)snprintf(out, size_bytes, "%s", text);
}

void route_set_authorization(struct exchange *exchange)
{
    struct members members = members_of(exchange->json);
    const char *root = members_needed_text(&members, "storage_root");
    const char *group = members_text(&members, "trust_group");
    struct authorization_row row = {0};
    enum return_value value = RETURN_FAILED;
    struct error err = {0};

    keep_text(&members, "storage_root", root != NULL ? root : "", row.storage_root,
              sizeof row.storage_root);
    keep_text(&members, "trust_group", group != NULL ? group : TRUST_GROUP_DEFAULT, row.trust_group,
              sizeof row.trust_group);
    (void)snprintf(row.allowed_primary, sizeof row.allowed_primary, "%s", exchange->name);
    if (!exchange_end_members(exchange, &members)) {
        return;
    }
    exchange->is_name_missing =
        service_find_host(exchange->control->config.service, exchange->name) == NULL;
    if (service_set_authorization(exchange->control->config.service, &exchange->caller, &row,
                                  &value, &err) < 0) {
        exchange_refuse(exchange, value, &err);
        return;
    }
    const struct authorization_row *kept = find(exchange);
    exchange_answer(exchange, kept != NULL ? show_authorization(kept) : NULL);
}

void route_remove_authorization(struct exchange *exchange)
{
    struct service_reply reply = {.value = RETURN_FAILED};

    if (!exchange_takes_nothing(exchange)) {
        return;
    }
    exchange->is_name_missing = find(exchange) == NULL;
    if (service_remove_authorization(exchange->control->config.service, &exchange->caller,
                                     exchange->name, &reply.value, &reply.error) < 0) {
        exchange_refuse(exchange, reply.value, &reply.error);
        return;
    }
    exchange_reply(exchange, &reply);
}
