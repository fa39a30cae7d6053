/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_resync.c - bring a VM's replica up to date with it, and prove it.
 */
#include "cli/answer.h"
#include "cli/api.h"
#include "cli/api_find.h"
#include "cli/json_out.h"

static int resync_run(int argc, char **argv);

static const struct option_row resync_options[] = {API_ROW_AT, API_ROW_WAIT, API_ROWS_COMMON};

const struct command cmd_resync = {
    .name = "resync",
    .run = resync_run,
    .summary = "make a VM's replica equal to the VM again, and prove it",
    .synopsis = (const char *const[]){"[--at=TIME] [--wait] [--json] VM", NULL},
    .options = resync_options,
    .option_count = ARRAY_COUNT(resync_options),
    .notes = "TIME is 22:00 (the next), \"2026-03-01 22:00\", 2026-03-01T22:00:00Z or +2h30m.\n"
             "Exit status with --wait: 0 the replica was proved equal, 1 not.\n",
};

/* One that is scheduled already is moved and no other is made. */
static int tell(struct api *api, const json_t *reply, struct error *err)
{
    char done[200];
    const char *job = answer_text(reply, "job");

    (void)snprintf(done, sizeof done,
                   "the resynchronization that was scheduled has a new start: job %.40s", job);
    return api_tell(api, reply, done, err);
}

static int resync_do(struct api *api, struct error *err)
{
    char path[API_PATH_MAX];
    json_auto_t *vm = NULL;
    json_auto_t *moment = NULL;
    json_auto_t *reply = NULL;
    json_auto_t *body = json_object();

    if (api_moment(api, &moment, err) < 0 || api_find_vm(api, api->args->word, &vm, err) < 0 ||
        client_path(path, sizeof path, err, "/v1/vms/%s/resynchronize", answer_text(vm, "id")) <
            0) {
        return -1;
    }
    if (moment != NULL && !json_out_put(body, "start_time", TAKE(moment))) {
        return api_fail_memory(err);
    }
    if (api_call_with(api, "POST", path, TAKE(body), &reply, err) < 0) {
        return -1;
    }
    return tell(api, reply, err);
}

static int resync_run(int argc, char **argv)
{
    static const struct api_operands operands = {1, 1, "a VM"};

    return api_run(&cmd_resync, argc, argv, &operands, resync_do);
}
