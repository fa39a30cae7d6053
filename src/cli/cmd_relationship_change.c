/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_relationship_change.c - make relationships, begin their first copy, change and end them.
 */
#include "cli/answer.h"
#include "cli/api_find.h"
#include "cli/cmd_relationship.h"
#include "cli/json_out.h"

static int create_run(int argc, char **argv);
static int start_run(int argc, char **argv);
static int set_run(int argc, char **argv);
static int suspend_run(int argc, char **argv);
static int resume_run(int argc, char **argv);
static int cancel_run(int argc, char **argv);
static int remove_run(int argc, char **argv);

static const struct api_operands one_vm = {1, 1, "a VM"};

#define SEEDED_ROW API_ROW(SEEDED, "seeded", NULL, "the other host has a copy already")

static const struct option_row create_options[] = {
    API_ROW(HOST, "host", "HOST", "the paired host that shall keep the replica"),
    API_ROW(DISK, "disk", "NAME", "this disk, and no other but those named; without it, all"),
    RELATIONSHIP_ROWS_SETTINGS,
    API_ROW(START, "start", NULL, "begin the first copy at once"),
    SEEDED_ROW,
    API_ROW_AT,
    API_ROW_WAIT,
    API_ROWS_COMMON,
};
static const struct option_row start_options[] = {API_ROW_AT, SEEDED_ROW, API_ROW_WAIT, API_ROW_HOP,
                                                  API_ROWS_COMMON};
static const struct option_row set_options[] = {RELATIONSHIP_ROWS_SETTINGS, API_ROW_HOP,
                                                API_ROWS_COMMON};
static const struct option_row state_options[] = {API_ROW_HOP, API_ROWS_COMMON};
static const struct option_row remove_options[] = {API_ROW_YES, API_ROW_HOP, API_ROWS_COMMON};

const struct command cmd_relationship_create = {
    .name = "relationship create",
    .run = create_run,
    .summary = "replicate a VM to a paired host",
    .synopsis = (const char *const[]){"--host=HOST [options] VM", NULL},
    .options = create_options,
    .option_count = ARRAY_COUNT(create_options),
    .notes = "Of a VM that is itself a replica here, this extends the replica to a third host.\n",
};

const struct command cmd_relationship_start = {
    .name = "relationship start",
    .run = start_run,
    .summary = "begin the first copy",
    .synopsis = (const char *const[]){"[--at=TIME] [--seeded] [--wait] [--hop=N] VM", NULL},
    .options = start_options,
    .option_count = ARRAY_COUNT(start_options),
};

const struct command cmd_relationship_set = {
    .name = "relationship set",
    .run = set_run,
    .summary = "change settings",
    .synopsis = (const char *const[]){"[options] VM", NULL},
    .options = set_options,
    .option_count = ARRAY_COUNT(set_options),
    .notes = "What is not given stays as it is.\n",
};

const struct command cmd_relationship_suspend = {
    .name = "relationship suspend",
    .run = suspend_run,
    .summary = "let a relationship rest",
    .synopsis = (const char *const[]){"[--hop=N] [--json] VM", NULL},
    .options = state_options,
    .option_count = ARRAY_COUNT(state_options),
};

const struct command cmd_relationship_resume = {
    .name = "relationship resume",
    .run = resume_run,
    .summary = "let a suspended relationship go on",
    .synopsis = (const char *const[]){"[--hop=N] [--json] VM", NULL},
    .options = state_options,
    .option_count = ARRAY_COUNT(state_options),
};

const struct command cmd_relationship_cancel = {
    .name = "relationship cancel",
    .run = cancel_run,
    .summary = "cancel the first copy or the resynchronization that is open",
    .synopsis = (const char *const[]){"[--hop=N] [--json] VM", NULL},
    .options = state_options,
    .option_count = ARRAY_COUNT(state_options),
};

const struct command cmd_relationship_remove = {
    .name = "relationship remove",
    .run = remove_run,
    .summary = "end a relationship; all disks stay",
    .synopsis = (const char *const[]){"[--yes] [--hop=N] [--json] VM", NULL},
    .options = remove_options,
    .option_count = ARRAY_COUNT(remove_options),
};

/* --- the first copy -------------------------------------------------------------------------- */

int cmd_relationship_begin(struct api *api, const char *vm_id, int64_t hop, json_t **out,
                           struct error *err)
{
    char path[API_PATH_MAX];
    json_auto_t *moment = NULL;
    json_auto_t *body = json_object();

    if (client_path(path, sizeof path, err, "/v1/vms/%s/relationships/%d/start", vm_id, (int)hop) <
            0 ||
        api_moment(api, &moment, err) < 0) {
        return -1;
    }
    if ((moment != NULL && !json_out_put(body, "start_time", TAKE(moment))) ||
        (api->args->seeded && !json_out_put(body, "seeded", json_true()))) {
        return api_fail_memory(err);
    }
    return api_call_with(api, "POST", path, TAKE(body), out, err);
}

static int start_do(struct api *api, struct error *err)
{
    json_auto_t *vm = NULL;
    json_auto_t *reply = NULL;
    const json_t *found = NULL;
    char path[API_PATH_MAX];

    if (cmd_relationship_path(api, "", path, &vm, &found, err) < 0 ||
        cmd_relationship_begin(api, answer_text(vm, "id"), answer_number(found, "hop"), &reply,
                               err) < 0) {
        return -1;
    }
    return api_tell(api, reply, "the first copy is begun", err);
}

static int start_run(int argc, char **argv)
{
    return api_run(&cmd_relationship_start, argc, argv, &one_vm, start_do);
}

/* --- create ---------------------------------------------------------------------------------- */

static int check_create(const struct api_args *args, struct error *err)
{
    if (args->host == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "--host is missing; 'resilver host list' shows the paired hosts");
    }
    if (!args->start && (args->wait || args->seeded || args->at != NULL)) {
        return fail(err, ERR_USAGE, 0,
                    "--wait, --at and --seeded are about the first copy, which "
                    "begins only with --start");
    }
    return 0;
}

static int create(struct api *api, const char *vm_id, json_t **out, struct error *err)
{
    const struct api_args *args = api->args;
    char path[API_PATH_MAX];
    json_auto_t *body = json_object();

    if (client_path(path, sizeof path, err, "/v1/vms/%s/relationships", vm_id) < 0) {
        return -1;
    }
    if (!json_out_put(body, "host", json_out_text(args->host)) ||
        (args->disks != NULL && !json_out_put(body, "disks", json_incref(args->disks))) ||
        (args->settings != NULL && !json_out_put(body, "settings", json_incref(args->settings)))) {
        return api_fail_memory(err);
    }
    return api_call_with(api, "POST", path, TAKE(body), out, err) == 0
               ? 0
               : api_suggest_host(api, args->host, err);
}

/* The hop of the relationship that was just made: the one with that host. */
static int find_made(struct api *api, int64_t *out_hop, struct error *err)
{
    json_auto_t *vm = NULL;
    const json_t *found = NULL;

    if (api_find_vm(api, api->args->word, &vm, err) < 0 ||
        api_find_relationship(api, vm, &found, err) < 0) {
        return -1;
    }
    *out_hop = answer_number(found, "hop");
    return 0;
}

static int create_do(struct api *api, struct error *err)
{
    json_auto_t *vm = NULL;
    json_auto_t *made = NULL;
    json_auto_t *begun = NULL;
    int64_t hop = 0;

    if (check_create(api->args, err) < 0 || api_find_vm(api, api->args->word, &vm, err) < 0 ||
        create(api, answer_text(vm, "id"), &made, err) < 0) {
        return -1;
    }
    if (!api->args->start) {
        return api_tell(api, made,
                        "the relationship is made; 'resilver relationship start' begins the first "
                        "copy",
                        err);
    }
    if (find_made(api, &hop, err) < 0 ||
        cmd_relationship_begin(api, answer_text(vm, "id"), hop, &begun, err) < 0) {
        return -1;
    }
    return api_tell(api, begun, "the first copy is begun", err);
}

static int create_run(int argc, char **argv)
{
    return api_run(&cmd_relationship_create, argc, argv, &one_vm, create_do);
}

/* --- set, suspend, resume, cancel, remove ---------------------------------------------------- */

static int set_do(struct api *api, struct error *err)
{
    json_auto_t *vm = NULL;
    json_auto_t *reply = NULL;
    const json_t *found = NULL;
    char path[API_PATH_MAX];

    if (api->args->settings == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "no setting is given; 'resilver help relationship set' lists them");
    }
    if (cmd_relationship_path(api, "", path, &vm, &found, err) < 0 ||
        api_call_with(api, "PATCH", path, json_incref(api->args->settings), &reply, err) < 0) {
        return -1;
    }
    return api_tell(api, reply, "the settings are changed", err);
}

static int set_run(int argc, char **argv)
{
    return api_run(&cmd_relationship_set, argc, argv, &one_vm, set_do);
}

/* docs/control.md: requested_state is 1, 3, 7 or 9 */
static int request(struct api *api, const char *path, int state, const char *done,
                   struct error *err)
{
    json_auto_t *reply = NULL;

    if (api_call_with(api, "POST", path, json_pack("{s:i}", "requested_state", state), &reply,
                      err) < 0) {
        return -1;
    }
    return api_tell(api, reply, done, err);
}

enum { REQUEST_READY = 1, REQUEST_REPLICATING = 3, REQUEST_SUSPENDED = 7, REQUEST_NO_RESYNC = 9 };
enum { STATE_WAITING_INITIAL = 2 };

static int suspend_do(struct api *api, struct error *err)
{
    json_auto_t *vm = NULL;
    const json_t *found = NULL;
    char path[API_PATH_MAX];

    return cmd_relationship_path(api, "/state", path, &vm, &found, err) < 0
               ? -1
               : request(api, path, REQUEST_SUSPENDED, "suspended", err);
}

static int suspend_run(int argc, char **argv)
{
    return api_run(&cmd_relationship_suspend, argc, argv, &one_vm, suspend_do);
}

static int resume_do(struct api *api, struct error *err)
{
    json_auto_t *vm = NULL;
    const json_t *found = NULL;
    char path[API_PATH_MAX];

    return cmd_relationship_path(api, "/state", path, &vm, &found, err) < 0
               ? -1
               : request(api, path, REQUEST_REPLICATING, "it goes on", err);
}

static int resume_run(int argc, char **argv)
{
    return api_run(&cmd_relationship_resume, argc, argv, &one_vm, resume_do);
}

/* What is open is known from the state: the first copy, or a resynchronization. */
static int cancel_do(struct api *api, struct error *err)
{
    json_auto_t *vm = NULL;
    const json_t *found = NULL;
    char path[API_PATH_MAX];

    if (cmd_relationship_path(api, "/state", path, &vm, &found, err) < 0) {
        return -1;
    }
    int state =
        answer_number(found, "state") == STATE_WAITING_INITIAL ? REQUEST_READY : REQUEST_NO_RESYNC;
    return request(api, path, state, "cancelled", err);
}

static int cancel_run(int argc, char **argv)
{
    return api_run(&cmd_relationship_cancel, argc, argv, &one_vm, cancel_do);
}

static int remove_do(struct api *api, struct error *err)
{
    json_auto_t *vm = NULL;
    json_auto_t *reply = NULL;
    const json_t *found = NULL;
    char path[API_PATH_MAX];
    char what[ERROR_MESSAGE_MAX];

    if (cmd_relationship_path(api, "", path, &vm, &found, err) < 0) {
        return -1;
    }
    (void)snprintf(what, sizeof what,
                   "the replication of %.200s with %.200s ends, and its disks stay on both hosts",
                   answer_text(vm, "name"), answer_text(found, "peer"));
    if (api_confirm(api, what, "the name of the VM", answer_text(vm, "name"), err) < 0 ||
        api_call(api, "DELETE", path, &reply, err) < 0) {
        return -1;
    }
    return api_tell(api, reply, "the relationship is removed; the disks stay where they are", err);
}

static int remove_run(int argc, char **argv)
{
    return api_run(&cmd_relationship_remove, argc, argv, &one_vm, remove_do);
}
