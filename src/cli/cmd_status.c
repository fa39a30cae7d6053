/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_status.c - this host's replication at a glance.
 */
#include <inttypes.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/api.h"
#include "cli/fields.h"
#include "cli/json_out.h"
#include "cli/render_host.h"

#define STATES_MAX 24U /* more than there are */

static int status_run(int argc, char **argv);

static const struct option_row status_options[] = {API_ROWS_COMMON};

const struct command cmd_status = {
    .name = "status",
    .run = status_run,
    .summary = "show the service at a glance: hosts, VMs, open jobs",
    .synopsis = (const char *const[]){"[--json]", NULL},
    .options = status_options,
    .option_count = ARRAY_COUNT(status_options),
};

/* VMs or relationships of one state. */
struct tally {
    const char *names[STATES_MAX]; /* borrowed from the answer */
    unsigned counts[STATES_MAX];
    size_t used;
};

static void count(struct tally *tally, const char *name)
{
    for (size_t i = 0; i < tally->used; i++) {
        if (strcmp(tally->names[i], name) == 0) {
            tally->counts[i]++;
            return;
        }
    }
    if (tally->used < STATES_MAX) {
        tally->names[tally->used] = name;
        tally->counts[tally->used++] = 1;
    }
}

static void count_vm(struct tally *tally, const json_t *vm)
{
    const json_t *list = json_object_get(vm, "relationships");
    const json_t *relationship = NULL;
    size_t index = 0;

    json_array_foreach(list, index, relationship)
    {
        count(tally, answer_text(relationship, "state_name"));
    }
    if (json_array_size(list) == 0) {
        count(tally, "not replicated");
    }
}

static void print_vms(const json_t *vms)
{
    struct tally tally = {0};
    const json_t *vm = NULL;
    size_t index = 0;

    json_array_foreach(vms, index, vm)
    {
        count_vm(&tally, vm);
    }
    field_number("VMs", (int64_t)json_array_size(vms));
    for (size_t i = 0; i < tally.used; i++) {
        field_format("", "%u %s", tally.counts[i], tally.names[i]);
    }
}

static void print_hosts(const json_t *hosts)
{
    const json_t *host = NULL;
    size_t index = 0;

    field_number("paired hosts", (int64_t)json_array_size(hosts));
    json_array_foreach(hosts, index, host)
    {
        field_format("", "%s%s%s", answer_text(host, "name"),
                     answer_text(host, "address")[0] == '\0' ? "" : " at ",
                     answer_text(host, "address"));
    }
}

static void print_jobs(const json_t *jobs)
{
    const json_t *job = NULL;
    size_t index = 0;
    int64_t open = 0;

    json_array_foreach(jobs, index, job)
    {
        open += answer_us(job, "ended") == 0 ? 1 : 0;
    }
    field_number("open jobs", open);
    json_array_foreach(jobs, index, job)
    {
        if (answer_us(job, "ended") == 0) {
            field_format("", "%.8s  %s of %s: %s, %" PRId64 "%%", answer_text(job, "id"),
                         answer_text(job, "type_name"), answer_text_of(job, "vm", "name"),
                         answer_text(job, "state_name"), answer_number(job, "percent"));
        }
    }
}

/* The member `key` of the answer at path, under its name into all. */
static int gather(struct api *api, json_t *all, const char *path, const char *key,
                  struct error *err)
{
    json_auto_t *answer = NULL;

    if (api_call(api, "GET", path, &answer, err) < 0) {
        return -1;
    }
    json_t *part = strcmp(key, "host") == 0 ? answer : json_object_get(answer, key);
    return json_out_put(all, key, json_incref(part)) ? 0 : api_fail_memory(err);
}

static int status_do(struct api *api, struct error *err)
{
    json_auto_t *all = json_object();

    if (gather(api, all, "/v1/host", "host", err) < 0 ||
        gather(api, all, "/v1/hosts", "hosts", err) < 0 ||
        gather(api, all, "/v1/vms", "vms", err) < 0 ||
        gather(api, all, "/v1/jobs", "jobs", err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(all);
        return COMMAND_DONE;
    }
    render_host(json_object_get(all, "host"));
    print_hosts(json_object_get(all, "hosts"));
    print_vms(json_object_get(all, "vms"));
    print_jobs(json_object_get(all, "jobs"));
    return COMMAND_DONE;
}

static int status_run(int argc, char **argv)
{
    static const struct api_operands operands = {0, 0, "nothing"};

    return api_run(&cmd_status, argc, argv, &operands, status_do);
}
