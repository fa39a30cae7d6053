/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * route_vms.c - VMs and their relationships.
 */
#include <stdio.h>
#include <string.h>

#include "control/body.h"
#include "control/routes.h"
#include "control/show.h"

/* --- looking --------------------------------------------------------------------------------- */

void route_get_vms(struct call *call)
{
    const struct service *service = call->control->config.service;
    json_t *vms = json_array();
    struct service_vm vm;

    for (uint32_t i = 0; i < service_vm_count(service); i++) {
        service_vm_at(service, i, &vm);
        (void)json_array_append_new(vms, show_vm(service, &vm));
    }
    call_answer(call, MHD_HTTP_OK, json_pack("{s:o}", "vms", vms));
}

static bool find_vm(struct call *call, struct service_vm *out)
{
    struct error err = {0};

    if (service_find_vm(call->control->config.service, call->args[0], out, &err) < 0) {
        call_refuse(call, MHD_HTTP_NOT_FOUND, RETURN_INVALID_PARAMETER, &err);
        return false;
    }
    return true;
}

void route_get_vm(struct call *call)
{
    struct service_vm vm;

    if (find_vm(call, &vm)) {
        call_answer(call, MHD_HTTP_OK, show_vm(call->control->config.service, &vm));
    }
}

void route_get_relationships(struct call *call)
{
    const struct service *service = call->control->config.service;
    json_t *list = json_array();
    struct service_vm vm;

    for (uint32_t i = 0; i < service_vm_count(service); i++) {
        service_vm_at(service, i, &vm);
        for (int hop = 0; hop < 2; hop++) {
            if (vm.relationships[hop] != NULL) {
                (void)json_array_append_new(list,
                                            show_relationship(service, vm.relationships[hop]));
            }
        }
    }
    call_answer(call, MHD_HTTP_OK, json_pack("{s:o}", "relationships", list));
}

static bool find_relationship(struct call *call, const struct relationship_row **out)
{
    struct service_vm vm;
    struct error err = {0};
    int hop = 0;

    if (!call_hop(call, &hop) || !find_vm(call, &vm)) {
        return false;
    }
    if (vm.relationships[hop] == NULL) {
        (void)fail(&err, ERR_WRONG_STATE, 0, "'%s' has no relationship of hop %d here", vm.name,
                   hop);
        call_refuse(call, MHD_HTTP_NOT_FOUND, RETURN_INVALID_PARAMETER, &err);
        return false;
    }
    *out = vm.relationships[hop];
    return true;
}

void route_get_relationship(struct call *call)
{
    const struct relationship_row *row = NULL;

    if (find_relationship(call, &row)) {
        call_answer(call, MHD_HTTP_OK, show_relationship(call->control->config.service, row));
    }
}

/* --- settings -------------------------------------------------------------------------------- */

/* "18:30" */
static void take_minute(struct body *body, const char *name, uint32_t *out)
{
    const char *text = NULL;

    if (!body_take_text(body, name, 16, &text)) {
        return;
    }
    bool is_form = strlen(text) == 5 && strspn(text, "0123456789") == 2 && text[2] == ':' &&
                   strspn(text + 3, "0123456789") == 2;
    uint32_t hours = is_form ? (uint32_t)((text[0] - '0') * 10 + text[1] - '0') : 99;
    uint32_t minutes = is_form ? (uint32_t)((text[3] - '0') * 10 + text[4] - '0') : 99;
    if (hours > 23 || minutes > 59) {
        body_fail(body, "member '%s' must be a time of day from 00:00 to 23:59", name);
    } else {
        *out = hours * 60 + minutes;
    }
}

static void take_window(struct body *body, struct relationship_settings *settings)
{
    struct body window;

    if (!body_take_object(body, "auto_resync", &window)) {
        return;
    }
    (void)body_take_bool(&window, "enabled", &settings->is_auto_resync_enabled);
    take_minute(&window, "start", &settings->auto_start_minute);
    take_minute(&window, "end", &settings->auto_end_minute);
    struct error err = {0};
    if (body_close(&window, &err) < 0) {
        body_fail(body, "auto_resync: %s", err.message);
    }
    body_done(&window);
}

static void take_settings(struct body *body, struct relationship_settings *settings)
{
    uint64_t number = settings->recovery_history;

    (void)body_take_number(body, "recovery_history", UINT32_MAX, &number);
    settings->recovery_history = (uint32_t)number;
    number = settings->interval_s;
    (void)body_take_number(body, "interval_s", UINT32_MAX, &number);
    settings->interval_s = (uint32_t)number;
    (void)body_take_number(body, "rate_bytes_per_s", INT64_MAX, &settings->rate_bytes_per_s);
    (void)body_take_bool(body, "compression", &settings->is_compression_enabled);
    take_window(body, settings);
}

/* The body, or a refusal. */
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

/* --- operations ------------------------------------------------------------------------------ */

void route_create_relationship(struct call *call)
{
    const char *disks[DISKS_MAX];
    struct relationship_request request = {.vm = call->args[0], .disks = disks};
    struct body body;
    struct body settings;

    if (!open_body(call, &body)) {
        return;
    }
    service_settings_default(&request.settings);
    body_need_text(&body, "host", HOST_NAME_MAX_BYTES, &request.host);
    (void)body_take_texts(&body, "disks", disks, DISKS_MAX, &request.disk_count);
    if (body_take_object(&body, "settings", &settings)) {
        struct error err = {0};
        take_settings(&settings, &request.settings);
        if (body_close(&settings, &err) < 0) {
            body_fail(&body, "settings: %s", err.message);
        }
        body_done(&settings);
    }
    if (close_body(call, &body)) {
        struct service_asker asker = call_asker(call);
        service_create(call->control->config.service, &asker, &request);
    }
    body_done(&body);
}

void route_modify_relationship(struct call *call)
{
    const struct relationship_row *row = NULL;
    struct body body;

    if (!find_relationship(call, &row) || !open_body(call, &body)) {
        return;
    }
    struct relationship_settings settings = row->settings;
    take_settings(&body, &settings);
    if (close_body(call, &body)) {
        struct service_asker asker = call_asker(call);
        service_modify(call->control->config.service, &asker, call->args[0], row->hop, &settings);
    }
    body_done(&body);
}

void route_remove_relationship(struct call *call)
{
    const struct relationship_row *row = NULL;

    if (find_relationship(call, &row)) {
        struct service_asker asker = call_asker(call);
        service_remove(call->control->config.service, &asker, call->args[0], row->hop);
    }
}

void route_start(struct call *call)
{
    const struct relationship_row *row = NULL;
    const char *start_time = NULL;
    bool is_seeded = false;
    struct body body;

    if (!find_relationship(call, &row) || !open_body(call, &body)) {
        return;
    }
    (void)body_take_text(&body, "start_time", 64, &start_time);
    (void)body_take_bool(&body, "seeded", &is_seeded);
    if (close_body(call, &body)) {
        struct service_asker asker = call_asker(call);
        service_start(call->control->config.service, &asker, call->args[0], row->hop, start_time,
                      is_seeded);
    }
    body_done(&body);
}

void route_request_state(struct call *call)
{
    const struct relationship_row *row = NULL;
    uint64_t state = UINT16_MAX;
    struct body body;

    if (!find_relationship(call, &row) || !open_body(call, &body)) {
        return;
    }
    if (!body_take_number(&body, "requested_state", UINT16_MAX, &state)) {
        body_fail(&body, "member 'requested_state' is missing");
    }
    if (close_body(call, &body)) {
        struct service_asker asker = call_asker(call);
        service_request_state(call->control->config.service, &asker, call->args[0], row->hop,
                              (uint16_t)state);
    }
    body_done(&body);
}

/* A VM that is not there is the method's own return value, and no 404: it may be this host. */
void route_resynchronize(struct call *call)
{
    const char *start_time = NULL;
    struct body body;

    if (!open_body(call, &body)) {
        return;
    }
    (void)body_take_text(&body, "start_time", 64, &start_time);
    if (close_body(call, &body)) {
        struct service_asker asker = call_asker(call);
        service_resynchronize(call->control->config.service, &asker, call->args[0], start_time);
    }
    body_done(&body);
}

/* --- statistics ------------------------------------------------------------------------------ */

static int add_statistics(void *context, const struct statistics_row *row, struct error *err)
{
    (void)err;
    (void)json_array_append_new(context, show_statistics(row));
    return 0;
}

void route_get_statistics(struct call *call)
{
    struct service *service = call->control->config.service;
    const struct relationship_row *row = NULL;
    uint64_t limit = 30;
    struct error err = {0};

    if (!find_relationship(call, &row) || !call_query_number(call, "limit", 1000, &limit)) {
        return;
    }
    const struct statistics_row *now = service_statistics(service, &row->vm, row->hop);
    json_t *list = json_array();
    uint32_t stored = (uint32_t)limit;
    if (now != NULL && now->success_count + now->failure_count + now->network_failure_count == 0) {
        (void)json_array_append_new(list, show_statistics(now)); /* nothing was stored of it yet */
        stored--;
    }
    if (store_load_statistics(service_store(service), &row->vm, row->hop, stored, add_statistics,
                              list, &err) < 0) {
        json_decref(list);
        call_refuse(call, 0, RETURN_FAILED, &err);
        return;
    }
    call_answer(call, MHD_HTTP_OK, json_pack("{s:o}", "statistics", list));
}

void route_reset_statistics(struct call *call)
{
    const struct relationship_row *row = NULL;

    if (find_relationship(call, &row)) {
        struct service_asker asker = call_asker(call);
        service_reset_statistics(call->control->config.service, &asker, call->args[0], row->hop);
    }
}
