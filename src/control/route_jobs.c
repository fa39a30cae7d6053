/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "control/body.h"
#include "control/routes.h"
#include "control/show.h"

struct job_list {
    const struct service *service;
    json_t *list;
};

/* What is in memory is newer than what is stored (its percent, its progress). */
static int add_job(void *context, const struct job_row *row, struct error *err)
{
    struct job_list *jobs = context;
    const struct job_row *present = service_find_job(jobs->service, &row->id);

    (void)err;
    (void)json_array_append_new(jobs->list,
                                show_job(jobs->service, present != NULL ? present : row));
    return 0;
}

/* ?vm= */
static bool take_vm(struct call *call, struct uuid *out)
{
    char *text = call_query(call, "vm");
    struct service_vm vm;
    struct error err = {0};

    if (text == NULL) {
        return true;
    }
    int result = service_find_vm(call->control->config.service, text, &vm, &err);
    /* Jobs of a VM that is not known any more are found by its id. */
    if (result < 0 && uuid_parse(text, out, NULL) == 0) {
        result = 0;
    } else if (result < 0) {
        call_refuse(call, MHD_HTTP_NOT_FOUND, RETURN_INVALID_PARAMETER, &err);
    } else {
        *out = vm.id;
    }
    free(text);
    return result == 0;
}

void route_get_jobs(struct call *call)
{
    struct service *service = call->control->config.service;
    struct job_list jobs = {.service = service};
    struct job_filter filter = {0};
    char *all = call_query(call, "all");
    uint64_t limit = 1000;
    struct error err = {0};

    bool is_all = all != NULL && strcmp(all, "true") == 0;
    free(all);
    if (!call_query_number(call, "limit", 100000, &limit) || !take_vm(call, &filter.vm)) {
        return;
    }
    filter.limit = (uint32_t)limit;
    filter.ended_since_us = is_all ? 1 : service_now(service) - (int64_t)JOB_KEPT_S * US_PER_S;
    filter.ended_since_us = filter.ended_since_us < 1 ? 1 : filter.ended_since_us;
    jobs.list = json_array();
    if (store_load_jobs(service_store(service), &filter, add_job, &jobs, &err) < 0) {
        json_decref(jobs.list);
        call_refuse(call, 0, RETURN_FAILED, &err);
        return;
    }
    call_answer(call, MHD_HTTP_OK, json_pack("{s:o}", "jobs", jobs.list));
}

void route_get_job(struct call *call)
{
    struct service *service = call->control->config.service;
    struct job_row row = {0};
    struct uuid id;
    struct error err = {0};

    if (!call_id(call, &id)) {
        return;
    }
    const struct job_row *present = service_find_job(service, &id);
    if (present != NULL) {
        call_answer(call, MHD_HTTP_OK, show_job(service, present));
        return;
    }
    int found = store_find_job(service_store(service), &id, &row, &err);
    if (found > 0) {
        call_answer(call, MHD_HTTP_OK, show_job(service, &row));
        job_row_done(&row);
    } else if (found == 0) {
        (void)fail(&err, ERR_USAGE, 0, "there is no job %s", call->args[0]);
        call_refuse(call, MHD_HTTP_NOT_FOUND, RETURN_INVALID_PARAMETER, &err);
    } else {
        call_refuse(call, 0, RETURN_FAILED, &err);
    }
}

void route_request_job_state(struct call *call)
{
    struct uuid id;
    uint64_t state = 0;
    struct body body;
    struct error err = {0};

    if (!call_id(call, &id)) {
        return;
    }
    if (body_open(&body, call->body, call->body_bytes, &err) < 0) {
        call_refuse(call, MHD_HTTP_BAD_REQUEST, RETURN_INVALID_PARAMETER, &err);
        return;
    }
    if (!body_take_number(&body, "requested_state", UINT16_MAX, &state)) {
        body_fail(&body, "member 'requested_state' is missing");
    }
    if (body_close(&body, &err) < 0) {
        call_refuse(call, MHD_HTTP_BAD_REQUEST, RETURN_INVALID_PARAMETER, &err);
    } else {
        struct service_asker asker = call_asker(call);
        service_request_job_state(call->control->config.service, &asker, &id, (uint16_t)state);
    }
    body_done(&body);
}
