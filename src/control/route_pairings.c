/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/exchange.h"

void route_list_pairings(struct exchange *exchange)
{
    const struct peers *peers = exchange->control->config.peers;
    json_t *list = json_array();
    bool is_complete = true;

    if (!exchange_takes_nothing(exchange)) {
        json_decref(list);
        return;
    }
    for (uint32_t i = 0; i < pairing_count(peers) && is_complete; i++) {
        struct pairing pairing;
        pairing_at(peers, i, &pairing);
        is_complete = show_append(list, show_pairing(&pairing));
    }
    exchange_answer_list(exchange, "pairings", list, is_complete);
}

void route_begin_pairing(struct exchange *exchange)
{
    struct members members = members_of(exchange->json);
    const char *address = members_text(&members, "address");
    struct peers *peers = exchange->control->config.peers;
    bool is_waiting = false;
    struct pairing pairing = {0};
    struct error err = {0};

    (void)members_flag(&members, "wait", &is_waiting);
    if ((address != NULL) == is_waiting) {
        members_wrong(&members, RETURN_INVALID_PARAMETER,
                      "give 'address', a host to ask, or 'wait': true, to wait to be asked");
    }
    if (!exchange_end_members(exchange, &members)) {
        return;
    }
    int result = address != NULL ? pairing_ask(peers, address, &pairing, &err)
                                 : pairing_wait(peers, &pairing, &err);
    if (result < 0) {
        exchange_refuse_kind(exchange, &err);
        return;
    }
    exchange_answer(exchange, show_pairing(&pairing));
}

/* Whether there is one of the path's id. */
static bool find(const struct exchange *exchange, struct pairing *out)
{
    const struct peers *peers = exchange->control->config.peers;
    struct uuid id;

    if (uuid_parse(exchange->name, &id, NULL) < 0) {
        return false;
    }
    for (uint32_t i = 0; i < pairing_count(peers); i++) {
        pairing_at(peers, i, out);
        if (uuid_equal(&out->id, &id)) {
            return true;
        }
    }
    return false;
}

static void refuse_missing(struct exchange *exchange)
{
    struct error err = {0};

    (void)fail(&err, ERR_USAGE, 0, "there is no pairing '%.64s'", exchange->name);
    exchange_refuse_missing(exchange, &err);
}

void route_show_pairing(struct exchange *exchange)
{
    struct pairing pairing;

    if (!exchange_takes_nothing(exchange)) {
        return;
    }
    if (!find(exchange, &pairing)) {
        refuse_missing(exchange);
        return;
    }
    exchange_answer(exchange, show_pairing(&pairing));
}

static void answer(struct exchange *exchange, int result, const struct pairing *pairing,
                   const struct error *err)
{
    if (result < 0) {
        exchange_refuse_kind(exchange, err);
        return;
    }
    exchange_answer(exchange, show_pairing(pairing));
}

void route_confirm_pairing(struct exchange *exchange)
{
    struct members members = members_of(exchange->json);
    const char *code = members_needed_text(&members, "code");
    struct pairing pairing;
    struct error err = {0};

    if (!exchange_end_members(exchange, &members)) {
        return;
    }
    if (!find(exchange, &pairing)) {
        refuse_missing(exchange);
        return;
    }
    struct uuid id = pairing.id;
    int result = pairing_confirm(exchange->control->config.peers, &id, code, &pairing, &err);
    answer(exchange, result, &pairing, &err);
}

void route_refuse_pairing(struct exchange *exchange)
{
    struct pairing pairing;
    struct error err = {0};

    if (!exchange_takes_nothing(exchange)) {
        return;
    }
    if (!find(exchange, &pairing)) {
        refuse_missing(exchange);
        return;
    }
    struct uuid id = pairing.id;
    int result = pairing_refuse(exchange->control->config.peers, &id, &pairing, &err);
    answer(exchange, result, &pairing, &err);
}
