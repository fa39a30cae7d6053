/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/exchange.h"

struct wanted_jobs {
    bool is_all;
    bool has_vm;
    struct uuid vm;
    uint64_t limit;
};

/* A list while it is loaded. */
struct loading {
    const struct show *show; /* borrowed, both */
    json_t *list;
};

static int add_job(void *context, const struct job_row *row, struct error *err)
{
    const struct loading *loading = context;

    return show_append(loading->list, show_job(loading->show, row))
               ? 0
               : fail(err, ERR_LIMIT, 0, "out of memory for jobs");
}

static int load_all(const struct exchange *exchange, const struct wanted_jobs *wanted, json_t *list,
                    struct error *err)
{
    const struct show show = exchange_show(exchange);
    struct loading loading = {.show = &show, .list = list};
    struct job_filter filter = {.vm = wanted->vm, .limit = (uint32_t)wanted->limit};

    return store_load_jobs(service_store(exchange->control->config.service), &filter, add_job,
                           &loading, err);
}

/* Newest first; the service has them the other way round. */
static int list_present(const struct exchange *exchange, const struct wanted_jobs *wanted,
                        json_t *list, struct error *err)
{
    const struct show show = exchange_show(exchange);
    struct loading loading = {.show = &show, .list = list};

    for (uint32_t i = service_job_count(show.service); i > 0; i--) {
        const struct job_row *row = service_job_at(show.service, i - 1);
        if (json_array_size(list) >= wanted->limit) {
            break;
        }
        if ((!wanted->has_vm || uuid_equal(&row->vm, &wanted->vm)) &&
            add_job(&loading, row, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Jobs outlive their VMs: an id that nothing bears any more is fine. */
static void read_vm(const struct exchange *exchange, struct members *query,
                    struct wanted_jobs *wanted)
{
    const char *text = members_text(query, "vm");
    struct service_vm vm;
    struct error err = {0};

    wanted->has_vm = text != NULL;
    if (text == NULL || uuid_parse(text, &wanted->vm, NULL) == 0) {
        return;
    }
    if (service_find_vm(exchange->control->config.service, text, &vm, &err) < 0) {
        members_wrong(query, RETURN_INVALID_PARAMETER, "%s", err.message);
        return;
    }
    wanted->vm = vm.id;
}

void route_list_jobs(struct exchange *exchange)
{
    struct members query = members_of(exchange->query);
    struct wanted_jobs wanted = {.limit = CONTROL_JOBS_MAX};
    struct error err = {0};

    (void)members_query_flag(&query, "all", &wanted.is_all);
    (void)members_query_number(&query, "limit", CONTROL_JOBS_MAX, &wanted.limit);
    read_vm(exchange, &query, &wanted);
    if (!exchange_end_members(exchange, &query)) {
        return;
    }
    json_t *list = json_array();
    int result = 0;
    if (wanted.limit > 0) {
        result = wanted.is_all ? load_all(exchange, &wanted, list, &err)
                               : list_present(exchange, &wanted, list, &err);
    }
    if (result < 0) {
        json_decref(list);
        exchange_refuse_kind(exchange, &err);
        return;
    }
    exchange_answer_list(exchange, "jobs", list, true);
}

static int no_such_job(const struct exchange *exchange, struct error *err)
{
    return fail(err, ERR_USAGE, 0, "there is no job '%.64s'", exchange->name);
}

/* 1: *out is the caller's (json_decref); 0: there is none; -1: the store failed. */
static int find_job(const struct exchange *exchange, const struct uuid *id, json_t **out,
                    struct error *err)
{
    const struct show show = exchange_show(exchange);
    struct service *service = exchange->control->config.service;
    const struct job_row *present = service_find_job(service, id);
    struct job_row row = {0};

    if (present != NULL) {
        *out = show_job(&show, present);
        return 1;
    }
    int found = store_find_job(service_store(service), id, &row, err);
    if (found == 1) {
        *out = show_job(&show, &row);
        job_row_done(&row);
    }
    return found;
}

void route_show_job(struct exchange *exchange)
{
    struct uuid id;
    json_t *job = NULL;
    struct error err = {0};

    if (!exchange_takes_nothing(exchange)) {
        return;
    }
    int found = uuid_parse(exchange->name, &id, NULL) < 0 ? 0 : find_job(exchange, &id, &job, &err);
    if (found < 0) {
        exchange_refuse_kind(exchange, &err);
    } else if (found == 0) {
        (void)no_such_job(exchange, &err);
        exchange_refuse_missing(exchange, &err);
    } else {
        exchange_answer(exchange, job);
    }
}

void route_set_job_state(struct exchange *exchange)
{
    struct members members = members_of(exchange->json);
    struct service *service = exchange->control->config.service;
    uint64_t state = 0;
    struct uuid id;
    json_t *job = NULL;
    struct service_asker asker;
    struct error err = {0};

    if (!members_integer(&members, "requested_state", UINT16_MAX, &state)) {
        members_wrong(&members, RETURN_INVALID_PARAMETER, "'requested_state' is missing");
    }
    if (!exchange_end_members(exchange, &members)) {
        return;
    }
    int found = uuid_parse(exchange->name, &id, NULL) < 0 ? 0 : find_job(exchange, &id, &job, &err);
    json_decref(job);
    if (found < 0) {
        exchange_refuse_kind(exchange, &err);
    } else if (found == 0) {
        (void)no_such_job(exchange, &err);
        exchange_refuse_missing(exchange, &err);
    } else if (exchange_ask(exchange, &asker)) {
        service_request_job_state(service, &asker, &id, (uint16_t)state);
    }
}
