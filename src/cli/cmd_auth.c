/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_auth.c - which hosts may replicate to this one, and where their replicas go.
 */
#include "cli/answer.h"
#include "cli/api.h"
#include "cli/api_find.h"
#include "cli/fields.h"
#include "cli/json_out.h"
#include "cli/table.h"

static int auth_run(int argc, char **argv);
static int list_run(int argc, char **argv);
static int add_run(int argc, char **argv);
static int remove_run(int argc, char **argv);

static const struct api_operands one_host = {1, 1, "a host"};

static const struct option_row list_options[] = {API_ROWS_COMMON};
static const struct option_row add_options[] = {
    API_ROW(STORAGE, "storage", "DIR", "the folder that its replicas go to"),
    API_ROW(TRUST_GROUP, "trust-group", "GROUP", "hosts of one group may go on for each other"),
    API_ROWS_COMMON};
static const struct option_row remove_options[] = {API_ROW_YES, API_ROWS_COMMON};

static const struct command cmd_auth_list = {
    .name = "auth list",
    .run = list_run,
    .summary = "show who may replicate to this host",
    .synopsis = (const char *const[]){"[--json]", NULL},
    .options = list_options,
    .option_count = ARRAY_COUNT(list_options),
};

static const struct command cmd_auth_add = {
    .name = "auth add",
    .run = add_run,
    .summary = "let a paired host replicate to this one",
    .synopsis = (const char *const[]){"--storage=DIR [--trust-group=GROUP] [--json] HOST", NULL},
    .options = add_options,
    .option_count = ARRAY_COUNT(add_options),
    .notes = "An entry that is there is replaced.\n",
};

static const struct command cmd_auth_remove = {
    .name = "auth remove",
    .run = remove_run,
    .summary = "let a host replicate to this one no more",
    .synopsis = (const char *const[]){"[--yes] [--json] HOST", NULL},
    .options = remove_options,
    .option_count = ARRAY_COUNT(remove_options),
};

static const struct command *const verbs[] = {&cmd_auth_list, &cmd_auth_add, &cmd_auth_remove};

const struct command cmd_auth = {
    .name = "auth",
    .run = auth_run,
    .summary = "say which hosts may replicate to this one, and where to",
    .synopsis = (const char *const[]){"VERB [options] ...", NULL},
    .verbs = verbs,
    .verb_count = ARRAY_COUNT(verbs),
};

static int auth_run(int argc, char **argv)
{
    return command_run_verb(&cmd_auth, argc, argv);
}

/* --- list ------------------------------------------------------------------------------------ */

static const struct table_column columns[] = {
    {"HOST", false}, {"STORAGE", false}, {"TRUST GROUP", false}, {"SINCE", false}};

static int add_row(struct table *table, const json_t *entry, struct error *err)
{
    char created[INSTANT_TEXT_MAX];
    const char *cells[] = {
        answer_text(entry, "allowed_primary"),
        answer_text(entry, "storage_root"),
        answer_text(entry, "trust_group"),
        answer_time(entry, "created", created),
    };

    return table_add_row(table, cells, err);
}

static int print_list(const json_t *entries, struct error *err)
{
    CLEANUP(table_done) struct table table;
    const json_t *entry = NULL;
    size_t index = 0;

    table_init(&table, columns, ARRAY_COUNT(columns));
    json_array_foreach(entries, index, entry)
    {
        if (add_row(&table, entry, err) < 0) {
            return -1;
        }
    }
    table_print(&table, 0, stdout);
    return COMMAND_DONE;
}

static int list_do(struct api *api, struct error *err)
{
    json_auto_t *answer = NULL;

    if (api_call(api, "GET", "/v1/authorizations", &answer, err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(answer);
        return COMMAND_DONE;
    }
    return print_list(json_object_get(answer, "authorizations"), err);
}

static int list_run(int argc, char **argv)
{
    static const struct api_operands operands = {0, 0, "nothing"};

    return api_run(&cmd_auth_list, argc, argv, &operands, list_do);
}

/* --- add, remove ----------------------------------------------------------------------------- */

static int put(struct api *api, json_t **out, struct error *err)
{
    const struct api_args *args = api->args;
    char path[API_PATH_MAX];
    json_auto_t *body = json_object();

    if (client_path(path, sizeof path, err, "/v1/authorizations/%s", args->word) < 0) {
        return -1;
    }
    if (!json_out_put(body, "storage_root", json_out_text(args->storage)) ||
        (args->trust_group != NULL &&
         !json_out_put(body, "trust_group", json_out_text(args->trust_group)))) {
        return api_fail_memory(err);
    }
    return api_call_with(api, "PUT", path, TAKE(body), out, err) == 0
               ? 0
               : api_suggest_host(api, args->word, err);
}

static int add_do(struct api *api, struct error *err)
{
    json_auto_t *entry = NULL;

    if (api->args->storage == NULL) {
        return fail(err, ERR_USAGE, 0, "--storage is missing: the folder that the replicas go to");
    }
    if (put(api, &entry, err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(entry);
        return COMMAND_DONE;
    }
    field_of("host", entry, "allowed_primary");
    field_of("storage", entry, "storage_root");
    field_of("trust group", entry, "trust_group");
    return COMMAND_DONE;
}

static int add_run(int argc, char **argv)
{
    return api_run(&cmd_auth_add, argc, argv, &one_host, add_do);
}

static int remove_do(struct api *api, struct error *err)
{
    char path[API_PATH_MAX];
    char what[ERROR_MESSAGE_MAX];
    json_auto_t *reply = NULL;

    (void)snprintf(what, sizeof what,
                   "%.200s may replicate to this host no more; the replicas stay where they are",
                   api->args->word);
    if (client_path(path, sizeof path, err, "/v1/authorizations/%s", api->args->word) < 0 ||
        api_confirm(api, what, "the name of the host", api->args->word, err) < 0) {
        return -1;
    }
    if (api_call(api, "DELETE", path, &reply, err) < 0) {
        return api_suggest_host(api, api->args->word, err);
    }
    return api_tell(api, reply, "the host may replicate to here no more", err);
}

static int remove_run(int argc, char **argv)
{
    return api_run(&cmd_auth_remove, argc, argv, &one_host, remove_do);
}
