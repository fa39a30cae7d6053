/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_job.c - look at jobs, watch, pause and cancel them.
 */
#include <inttypes.h>

#include "base/env.h"
#include "cli/answer.h"
#include "cli/api.h"
#include "cli/api_find.h"
#include "cli/fields.h"
#include "cli/human.h"
#include "cli/table.h"
#include "cli/watch_job.h"

static int job_run(int argc, char **argv);
static int list_run(int argc, char **argv);
static int show_run(int argc, char **argv);
static int watch_run(int argc, char **argv);
static int pause_run(int argc, char **argv);
static int resume_run(int argc, char **argv);
static int cancel_run(int argc, char **argv);

static const struct api_operands one_job = {1, 1, "a job's id"};

#define ID_NOTE "ID may be the first digits of a job's id, at least four.\n"

static const struct option_row list_options[] = {
    API_ROW(ALL, "all", NULL, "those that ended long ago, too"), API_ROW_VM, API_ROW_LIMIT,
    API_ROWS_COMMON};
static const struct option_row job_options[] = {API_ROWS_COMMON};

static const struct command cmd_job_list = {
    .name = "job list",
    .run = list_run,
    .summary = "show the open jobs, and those that ended in the last minutes",
    .synopsis = (const char *const[]){"[--all] [--vm=VM] [--limit=N] [--json]", NULL},
    .options = list_options,
    .option_count = ARRAY_COUNT(list_options),
};

static const struct command cmd_job_show = {
    .name = "job show",
    .run = show_run,
    .summary = "show a job, with its counters and proofs",
    .synopsis = (const char *const[]){"[--json] ID", NULL},
    .options = job_options,
    .option_count = ARRAY_COUNT(job_options),
    .notes = ID_NOTE,
};

static const struct command cmd_job_watch = {
    .name = "job watch",
    .run = watch_run,
    .summary = "show a job's progress until it ends",
    .synopsis = (const char *const[]){"[--json] ID", NULL},
    .options = job_options,
    .option_count = ARRAY_COUNT(job_options),
    .notes = ID_NOTE "Ctrl-C stops the watching, not the job.\n"
                     "Exit status: 0 it is done, 1 it failed, was cancelled, or is not watched.\n",
};

static const struct command cmd_job_pause = {
    .name = "job pause",
    .run = pause_run,
    .summary = "let a job rest",
    .synopsis = (const char *const[]){"[--json] ID", NULL},
    .options = job_options,
    .option_count = ARRAY_COUNT(job_options),
    .notes = ID_NOTE,
};

static const struct command cmd_job_resume = {
    .name = "job resume",
    .run = resume_run,
    .summary = "let a paused job go on",
    .synopsis = (const char *const[]){"[--json] ID", NULL},
    .options = job_options,
    .option_count = ARRAY_COUNT(job_options),
    .notes = ID_NOTE,
};

static const struct command cmd_job_cancel = {
    .name = "job cancel",
    .run = cancel_run,
    .summary = "cancel a job",
    .synopsis = (const char *const[]){"[--json] ID", NULL},
    .options = job_options,
    .option_count = ARRAY_COUNT(job_options),
    .notes = ID_NOTE,
};

static const struct command *const verbs[] = {&cmd_job_list,  &cmd_job_show,   &cmd_job_watch,
                                              &cmd_job_pause, &cmd_job_resume, &cmd_job_cancel};

const struct command cmd_job = {
    .name = "job",
    .run = job_run,
    .summary = "look at the service's jobs; watch, pause, cancel them",
    .synopsis = (const char *const[]){"VERB [options] ...", NULL},
    .verbs = verbs,
    .verb_count = ARRAY_COUNT(verbs),
};

static int job_run(int argc, char **argv)
{
    return command_run_verb(&cmd_job, argc, argv);
}

/* --- list ------------------------------------------------------------------------------------ */

static const struct table_column columns[] = {
    {"ID", false},  {"VM", false},        {"JOB", false},  {"STATE", false},
    {"DONE", true}, {"SUBMITTED", false}, {"ENDED", false}};

static int add_row(struct table *table, const json_t *job, struct error *err)
{
    char id[16];
    char percent[24];
    char submitted[INSTANT_TEXT_MAX];
    char ended[INSTANT_TEXT_MAX];
    const char *cells[] = {
        id,
        answer_text_of(job, "vm", "name"),
        answer_text(job, "type_name"),
        answer_text(job, "state_name"),
        percent,
        answer_time(job, "submitted", submitted),
        answer_time(job, "ended", ended),
    };

    (void)snprintf(id, sizeof id, "%.8s", answer_text(job, "id"));
    (void)snprintf(percent, sizeof percent, "%" PRId64 "%%", answer_number(job, "percent"));
    return table_add_row(table, cells, err);
}

static int print_list(const json_t *jobs, struct error *err)
{
    CLEANUP(table_done) struct table table;
    const json_t *job = NULL;
    size_t index = 0;

    table_init(&table, columns, ARRAY_COUNT(columns));
    json_array_foreach(jobs, index, job)
    {
        if (add_row(&table, job, err) < 0) {
            return -1;
        }
    }
    table_print(&table, 0, stdout);
    return COMMAND_DONE;
}

/* The filters that were given. The VM is looked up, so that a mistyped name is no empty list. */
static int list_path(struct api *api, char out[API_PATH_MAX], struct error *err)
{
    const struct api_args *args = api->args;
    json_auto_t *vm = NULL;
    char of_vm[API_PATH_MAX / 2] = "";
    char limit[40] = "";

    if (args->vm != NULL &&
        (api_find_vm(api, args->vm, &vm, err) < 0 ||
         client_path(of_vm, sizeof of_vm, err, "&vm=%s", answer_text(vm, "id")) < 0)) {
        return -1;
    }
    if (args->limit > 0) {
        (void)snprintf(limit, sizeof limit, "&limit=%" PRIu32, args->limit);
    }
    (void)snprintf(out, API_PATH_MAX, "/v1/jobs?all=%s%s%s", args->all ? "true" : "false", of_vm,
                   limit);
    return 0;
}

static int list_do(struct api *api, struct error *err)
{
    char path[API_PATH_MAX];
    json_auto_t *answer = NULL;

    if (list_path(api, path, err) < 0 || api_call(api, "GET", path, &answer, err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(answer);
        return COMMAND_DONE;
    }
    return print_list(json_object_get(answer, "jobs"), err);
}

static int list_run(int argc, char **argv)
{
    static const struct api_operands operands = {0, 0, "nothing"};

    return api_run(&cmd_job_list, argc, argv, &operands, list_do);
}

/* --- show, watch ----------------------------------------------------------------------------- */

static void print_job(const json_t *job)
{
    char duration[HUMAN_MAX];
    double seconds = json_number_value(json_object_get(job, "elapsed_s"));

    field_of("id", job, "id");
    field_of("job", job, "type_name");
    field_text("vm", answer_text_of(job, "vm", "name"));
    field_number("hop", answer_number(job, "hop"));
    field_of("state", job, "state_name");
    field_of("status", job, "status");
    field_format("done", "%" PRId64 "%%", answer_number(job, "percent"));
    field_of("asked for by", job, "owner");
    field_time_of("submitted", job, "submitted");
    field_time_of("scheduled", job, "scheduled_start");
    field_time_of("started", job, "started");
    field_time_of("ended", job, "ended");
    if (seconds > 0 && seconds < 1e9) {
        field_text("took", human_duration((uint64_t)(seconds * (double)NS_PER_S), duration));
    }
    field_number("attempts", answer_number(job, "attempts"));
    field_time_of("next try", job, "next_try");
    field_text("error", answer_text_of(job, "error", "message"));
    watch_job_print_report(job);
}

static int show_do(struct api *api, struct error *err)
{
    char id[API_ID_MAX];
    char path[API_PATH_MAX];
    json_auto_t *job = NULL;

    if (api_find_job(api, api->args->word, id, err) < 0 ||
        client_path(path, sizeof path, err, "/v1/jobs/%s", id) < 0 ||
        api_call(api, "GET", path, &job, err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(job);
    } else {
        print_job(job);
    }
    return COMMAND_DONE;
}

static int show_run(int argc, char **argv)
{
    return api_run(&cmd_job_show, argc, argv, &one_job, show_do);
}

static int watch_do(struct api *api, struct error *err)
{
    char id[API_ID_MAX];

    return api_find_job(api, api->args->word, id, err) < 0 ? -1 : watch_job(api, id, err);
}

static int watch_run(int argc, char **argv)
{
    return api_run(&cmd_job_watch, argc, argv, &one_job, watch_do);
}

/* --- pause, resume, cancel ------------------------------------------------------------------- */

/* docs/control.md: 2 go on, 3 suspend, 4 terminate */
enum { REQUEST_GO_ON = 2, REQUEST_SUSPEND = 3, REQUEST_TERMINATE = 4 };

static int request(struct api *api, int state, const char *done, struct error *err)
{
    char id[API_ID_MAX];
    char path[API_PATH_MAX];
    json_auto_t *reply = NULL;

    if (api_find_job(api, api->args->word, id, err) < 0 ||
        client_path(path, sizeof path, err, "/v1/jobs/%s/state", id) < 0 ||
        api_call_with(api, "POST", path, json_pack("{s:i}", "requested_state", state), &reply,
                      err) < 0) {
        return -1;
    }
    return api_tell(api, reply, done, err);
}

static int pause_do(struct api *api, struct error *err)
{
    return request(api, REQUEST_SUSPEND, "the job is paused", err);
}

static int pause_run(int argc, char **argv)
{
    return api_run(&cmd_job_pause, argc, argv, &one_job, pause_do);
}

static int resume_do(struct api *api, struct error *err)
{
    return request(api, REQUEST_GO_ON, "the job goes on", err);
}

static int resume_run(int argc, char **argv)
{
    return api_run(&cmd_job_resume, argc, argv, &one_job, resume_do);
}

static int cancel_do(struct api *api, struct error *err)
{
    return request(api, REQUEST_TERMINATE, "the job is cancelled", err);
}

static int cancel_run(int argc, char **argv)
{
    return api_run(&cmd_job_cancel, argc, argv, &one_job, cancel_do);
}
