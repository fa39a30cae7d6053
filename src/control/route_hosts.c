/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * route_hosts.c - paired hosts, pairings, authorization entries.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "control/body.h"
#include "control/routes.h"
#include "control/show.h"

static bool open_body(struct call *call, struct body *body)
{
    struct error err = {0};

    if (body_open(body, call->body, call->body_bytes, &err) < 0) {
        call_refuse(call, MHD_HTTP_BAD_REQUEST, RETURN_INVALID_PARAMETER, &err);
        return false;
    }
    return true;
}

static bool close_body(struct call *call, struct body *body)
{
    struct error err = {0};

    if (body_close(body, &err) < 0) {
        call_refuse(call, MHD_HTTP_BAD_REQUEST, RETURN_INVALID_PARAMETER, &err);
        return false;
    }
    return true;
}

static void take_address(struct body *body, const char **out)
{
    char host[HOST_TEXT_MAX];
    char port[PORT_TEXT_MAX];
    struct error err = {0};

    if (body_take_text(body, "address", HOST_TEXT_MAX + 8, out) &&
        address_parse(*out, 1, true, host, port, &err) < 0) {
        body_fail(body, "member 'address': %s", err.message);
    }
}

/* --- hosts ----------------------------------------------------------------------------------- */

void route_get_hosts(struct call *call)
{
    const struct service *service = call->control->config.service;
    json_t *hosts = json_array();

    for (uint32_t i = 0; i < service_host_count(service); i++) {
        (void)json_array_append_new(hosts, show_peer(service_host_at(service, i)));
    }
    call_answer(call, MHD_HTTP_OK, json_pack("{s:o}", "hosts", hosts));
}

static const struct host_row *find_host(struct call *call)
{
    const struct service *service = call->control->config.service;
    struct error err = {0};

    for (uint32_t i = 0; i < service_host_count(service); i++) {
        const struct host_row *host = service_host_at(service, i);
        if (strcasecmp(host->name, call->args[0]) == 0) {
            return host;
        }
    }
    (void)fail(&err, ERR_USAGE, 0, "host '%.128s' is not paired with this one", call->args[0]);
    call_refuse(call, MHD_HTTP_NOT_FOUND, RETURN_INVALID_PARAMETER, &err);
    return NULL;
}

void route_modify_host(struct call *call)
{
    enum return_value value = RETURN_FAILED;
    const char *address = NULL;
    struct body body;
    struct error err = {0};

    if (find_host(call) == NULL || !open_body(call, &body)) {
        return;
    }
    take_address(&body, &address);
    if (address == NULL) {
        body_fail(&body, "member 'address' is missing");
    }
    if (close_body(call, &body)) {
        if (service_set_host_address(call->control->config.service, &call->caller, call->args[0],
                                     address, &value, &err) < 0) {
            call_refuse(call, 0, value, &err);
        } else {
            call_answer(call, MHD_HTTP_OK, show_peer(find_host(call)));
        }
    }
    body_done(&body);
}

void route_revoke_host(struct call *call)
{
    enum return_value value = RETURN_FAILED;
    struct error err = {0};

    if (find_host(call) == NULL) {
        return;
    }
    if (service_revoke_host(call->control->config.service, &call->caller, call->args[0], &value,
                            &err) < 0) {
        call_refuse(call, 0, value, &err);
    } else {
        call_reply(call, &(struct service_reply){.value = RETURN_DONE});
    }
}

void route_test_host(struct call *call)
{
    if (find_host(call) != NULL) {
        struct service_asker asker = call_asker(call);
        service_test_host(call->control->config.service, &asker, call->args[0]);
    }
}

/* --- pairings -------------------------------------------------------------------------------- */

static void answer_pairing(struct call *call, int result, const struct pairing *pairing,
                           const struct error *err)
{
    if (result == 0) {
        call_answer(call, MHD_HTTP_OK, show_pairing(pairing));
        return;
    }
    switch (err->kind) {
    case ERR_USAGE:
        call_refuse(call, 0, RETURN_INVALID_PARAMETER, err);
        return;
    case ERR_WRONG_STATE:
        call_refuse(call, 0, RETURN_INVALID_STATE, err);
        return;
    case ERR_LIMIT:
        call_refuse(call, 0, RETURN_OUT_OF_MEMORY, err);
        return;
    case ERR_NONE:
    case ERR_IO:
    case ERR_PEER:
    case ERR_INTERNAL:
    case ERR_CANCELLED:
        break;
    }
    call_refuse(call, 0, RETURN_FAILED, err);
}

void route_begin_pairing(struct call *call)
{
    struct peers *peers = call->control->config.peers;
    const char *address = NULL;
    bool is_waiting = false;
    struct pairing pairing = {0};
    struct body body;
    struct error err = {0};

    if (!open_body(call, &body)) {
        return;
    }
    take_address(&body, &address);
    (void)body_take_bool(&body, "wait", &is_waiting);
    if (is_waiting == (address != NULL)) {
        body_fail(&body, "give either \"address\" or \"wait\": true");
    }
    if (close_body(call, &body)) {
        int result = is_waiting ? pairing_wait(peers, &pairing, &err)
                                : pairing_ask(peers, address, &pairing, &err);
        answer_pairing(call, result, &pairing, &err);
    }
    body_done(&body);
}

void route_get_pairings(struct call *call)
{
    const struct peers *peers = call->control->config.peers;
    json_t *list = json_array();
    struct pairing pairing;

    for (uint32_t i = 0; i < pairing_count(peers); i++) {
        pairing_at(peers, i, &pairing);
        (void)json_array_append_new(list, show_pairing(&pairing));
    }
    call_answer(call, MHD_HTTP_OK, json_pack("{s:o}", "pairings", list));
}

void route_get_pairing(struct call *call)
{
    const struct peers *peers = call->control->config.peers;
    struct pairing pairing;
    struct uuid id;
    struct error err = {0};

    if (!call_id(call, &id)) {
        return;
    }
    for (uint32_t i = 0; i < pairing_count(peers); i++) {
        pairing_at(peers, i, &pairing);
        if (uuid_equal(&pairing.id, &id)) {
            call_answer(call, MHD_HTTP_OK, show_pairing(&pairing));
            return;
        }
    }
    (void)fail(&err, ERR_USAGE, 0, "there is no pairing %s", call->args[0]);
    call_refuse(call, MHD_HTTP_NOT_FOUND, RETURN_INVALID_PARAMETER, &err);
}

void route_confirm_pairing(struct call *call)
{
    struct pairing pairing = {0};
    const char *code = NULL;
    struct uuid id;
    struct body body;
    struct error err = {0};

    if (!call_id(call, &id) || !open_body(call, &body)) {
        return;
    }
    body_need_text(&body, "code", 16, &code);
    if (close_body(call, &body)) {
        int result = pairing_confirm(call->control->config.peers, &id, code, &pairing, &err);
        answer_pairing(call, result, &pairing, &err);
    }
    body_done(&body);
}

void route_refuse_pairing(struct call *call)
{
    struct pairing pairing = {0};
    struct uuid id;
    struct error err = {0};

    if (call_id(call, &id)) {
        int result = pairing_refuse(call->control->config.peers, &id, &pairing, &err);
        answer_pairing(call, result, &pairing, &err);
    }
}

/* --- authorization entries ------------------------------------------------------------------- */

static const struct authorization_row *find_authorization(struct call *call)
{
    const struct service *service = call->control->config.service;
    struct error err = {0};

    for (uint32_t i = 0; i < service_authorization_count(service); i++) {
        const struct authorization_row *row = service_authorization_at(service, i);
        if (strcasecmp(row->allowed_primary, call->args[0]) == 0) {
            return row;
        }
    }
    (void)fail(&err, ERR_USAGE, 0, "there is no authorization entry for host '%.128s'",
               call->args[0]);
    call_refuse(call, MHD_HTTP_NOT_FOUND, RETURN_INVALID_PARAMETER, &err);
    return NULL;
}

void route_get_authorizations(struct call *call)
{
    const struct service *service = call->control->config.service;
    json_t *list = json_array();

    for (uint32_t i = 0; i < service_authorization_count(service); i++) {
        (void)json_array_append_new(list, show_authorization(service_authorization_at(service, i)));
    }
    call_answer(call, MHD_HTTP_OK, json_pack("{s:o}", "authorizations", list));
}

void route_set_authorization(struct call *call)
{
    struct authorization_row row = {0};
    enum return_value value = RETURN_FAILED;
    const char *root = NULL;
    const char *group = "DEFAULT";
    struct body body;
    struct error err = {0};

    if (!open_body(call, &body)) {
        return;
    }
    body_need_text(&body, "storage_root", sizeof row.storage_root - UUID_TEXT_MAX, &root);
    (void)body_take_text(&body, "trust_group", sizeof row.trust_group, &group);
    if (close_body(call, &body)) {
        (void)snprintf(row.allowed_primary, sizeof row.allowed_primary, "%s", call->args[0]);
        (void)snprintf(row.storage_root, sizeof row.storage_root, "%s", root);
        (void)snprintf(row.trust_group, sizeof row.trust_group, "%s", group);
        if (service_set_authorization(call->control->config.service, &call->caller, &row, &value,
                                      &err) < 0) {
            call_refuse(call, 0, value, &err);
        } else {
            call_answer(call, MHD_HTTP_OK, show_authorization(find_authorization(call)));
        }
    }
    body_done(&body);
}

void route_remove_authorization(struct call *call)
{
    enum return_value value = RETURN_FAILED;
    struct error err = {0};

    if (find_authorization(call) == NULL) {
        return;
    }
    if (service_remove_authorization(call->control->config.service, &call->caller, call->args[0],
                                     &value, &err) < 0) {
        call_refuse(call, 0, value, &err);
    } else {
        call_reply(call, &(struct service_reply){.value = RETURN_DONE});
    }
}
