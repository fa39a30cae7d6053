/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_host.c - this host, and those paired with it. Pairing is in cmd_host_pair.c.
 */
#include "cli/cmd_host.h"

#include <string.h>

#include "cli/answer.h"
#include "cli/api.h"
#include "cli/api_find.h"
#include "cli/fields.h"
#include "cli/json_out.h"
#include "cli/render_host.h"
#include "cli/table.h"

static int host_run(int argc, char **argv);
static int list_run(int argc, char **argv);
static int show_run(int argc, char **argv);
static int test_run(int argc, char **argv);
static int set_run(int argc, char **argv);
static int revoke_run(int argc, char **argv);

static const struct api_operands one_host = {1, 1, "a host"};

static const struct option_row host_options[] = {API_ROWS_COMMON};
static const struct option_row set_options[] = {
    API_ROW(ADDRESS, "address", "ADDRESS", "where its replication port is: HOST:PORT"),
    API_ROWS_COMMON};
static const struct option_row revoke_options[] = {API_ROW_YES, API_ROWS_COMMON};

static const struct command cmd_host_list = {
    .name = "host list",
    .run = list_run,
    .summary = "show the paired hosts",
    .synopsis = (const char *const[]){"[--json]", NULL},
    .options = host_options,
    .option_count = ARRAY_COUNT(host_options),
};

static const struct command cmd_host_show = {
    .name = "host show",
    .run = show_run,
    .summary = "show this host, or a paired one",
    .synopsis = (const char *const[]){"[--json] [HOST]", NULL},
    .options = host_options,
    .option_count = ARRAY_COUNT(host_options),
};

static const struct command cmd_host_test = {
    .name = "host test",
    .run = test_run,
    .summary = "reach a paired host, both sides proving who they are",
    .synopsis = (const char *const[]){"[--json] HOST", NULL},
    .options = host_options,
    .option_count = ARRAY_COUNT(host_options),
};

static const struct command cmd_host_set = {
    .name = "host set",
    .run = set_run,
    .summary = "change a paired host's address",
    .synopsis = (const char *const[]){"--address=ADDRESS [--json] HOST", NULL},
    .options = set_options,
    .option_count = ARRAY_COUNT(set_options),
};

static const struct command cmd_host_revoke = {
    .name = "host revoke",
    .run = revoke_run,
    .summary = "cut a host off: it may nothing here any more",
    .synopsis = (const char *const[]){"[--yes] [--json] HOST", NULL},
    .options = revoke_options,
    .option_count = ARRAY_COUNT(revoke_options),
};

static const struct command *const verbs[] = {&cmd_host_list, &cmd_host_show, &cmd_host_pair,
                                              &cmd_host_test, &cmd_host_set,  &cmd_host_revoke};

const struct command cmd_host = {
    .name = "host",
    .run = host_run,
    .summary = "pair hosts, look at them, test and revoke them",
    .synopsis = (const char *const[]){"VERB [options] ...", NULL},
    .verbs = verbs,
    .verb_count = ARRAY_COUNT(verbs),
};

static int host_run(int argc, char **argv)
{
    return command_run_verb(&cmd_host, argc, argv);
}

/* --- list ------------------------------------------------------------------------------------ */

static const struct table_column columns[] = {{"NAME", false},
                                              {"ADDRESS", false},
                                              {"PAIRED", false},
                                              {"REVOKED", false},
                                              {"FINGERPRINT", false}};

static int add_row(struct table *table, const json_t *host, struct error *err)
{
    char paired[INSTANT_TEXT_MAX];
    char revoked[INSTANT_TEXT_MAX];
    char fingerprint[24];
    const char *cells[] = {
        answer_text(host, "name"),
        answer_text(host, "address"),
        answer_time(host, "paired", paired),
        answer_time(host, "revoked", revoked),
        fingerprint,
    };

    (void)snprintf(fingerprint, sizeof fingerprint, "%.16s...", answer_text(host, "fingerprint"));
    return table_add_row(table, cells, err);
}

static int print_list(const json_t *hosts, struct error *err)
{
    CLEANUP(table_done) struct table table;
    const json_t *host = NULL;
    size_t index = 0;

    table_init(&table, columns, ARRAY_COUNT(columns));
    json_array_foreach(hosts, index, host)
    {
        if (add_row(&table, host, err) < 0) {
            return -1;
        }
    }
    table_print(&table, 0, stdout);
    return COMMAND_DONE;
}

static int list_do(struct api *api, struct error *err)
{
    json_auto_t *answer = NULL;

    if (api_call(api, "GET", "/v1/hosts", &answer, err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(answer);
        return COMMAND_DONE;
    }
    return print_list(json_object_get(answer, "hosts"), err);
}

static int list_run(int argc, char **argv)
{
    static const struct api_operands operands = {0, 0, "nothing"};

    return api_run(&cmd_host_list, argc, argv, &operands, list_do);
}

/* --- show ------------------------------------------------------------------------------------ */

static void print_peer(const json_t *host)
{
    field_of("name", host, "name");
    field_of("address", host, "address");
    field_of("fingerprint", host, "fingerprint");
    field_time_of("paired", host, "paired");
    field_time_of("revoked", host, "revoked");
}

static int show_peer(struct api *api, struct error *err)
{
    json_auto_t *answer = NULL;
    const json_t *host = NULL;
    const json_t *found = NULL;
    size_t index = 0;

    if (api_call(api, "GET", "/v1/hosts", &answer, err) < 0) {
        return -1;
    }
    json_array_foreach(json_object_get(answer, "hosts"), index, host)
    {
        found = strcmp(answer_text(host, "name"), api->args->word) == 0 ? host : found;
    }
    if (found == NULL) {
        return api_fail_no_host(json_object_get(answer, "hosts"), api->args->word, err);
    }
    if (api->args->json) {
        api_print(found);
    } else {
        print_peer(found);
    }
    return COMMAND_DONE;
}

static int show_do(struct api *api, struct error *err)
{
    json_auto_t *host = NULL;

    if (api->args->word != NULL) {
        return show_peer(api, err);
    }
    if (api_call(api, "GET", "/v1/host", &host, err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(host);
    } else {
        render_host(host);
    }
    return COMMAND_DONE;
}

static int show_run(int argc, char **argv)
{
    static const struct api_operands operands = {0, 1, "a host"};

    return api_run(&cmd_host_show, argc, argv, &operands, show_do);
}

/* --- test, set, revoke ----------------------------------------------------------------------- */

static int test_do(struct api *api, struct error *err)
{
    char path[API_PATH_MAX];
    json_auto_t *reply = NULL;

    if (client_path(path, sizeof path, err, "/v1/hosts/%s/test", api->args->word) < 0) {
        return -1;
    }
    if (api_call_with(api, "POST", path, json_object(), &reply, err) < 0) {
        return api_suggest_host(api, api->args->word, err);
    }
    return api_tell(api, reply, "the host answers", err);
}

static int test_run(int argc, char **argv)
{
    return api_run(&cmd_host_test, argc, argv, &one_host, test_do);
}

static int set_do(struct api *api, struct error *err)
{
    char path[API_PATH_MAX];
    json_auto_t *host = NULL;

    if (api->args->address == NULL) {
        return fail(err, ERR_USAGE, 0, "--address is missing: --address=HOST:PORT");
    }
    if (client_path(path, sizeof path, err, "/v1/hosts/%s", api->args->word) < 0) {
        return -1;
    }
    if (api_call_with(api, "PATCH", path,
                      json_pack("{s:o}", "address", json_out_text(api->args->address)), &host,
                      err) < 0) {
        return api_suggest_host(api, api->args->word, err);
    }
    if (api->args->json) {
        api_print(host);
    } else {
        print_peer(host);
    }
    return COMMAND_DONE;
}

static int set_run(int argc, char **argv)
{
    return api_run(&cmd_host_set, argc, argv, &one_host, set_do);
}

static int revoke_do(struct api *api, struct error *err)
{
    char path[API_PATH_MAX];
    char what[ERROR_MESSAGE_MAX];
    json_auto_t *reply = NULL;

    (void)snprintf(what, sizeof what,
                   "what %.200s does here ends at once, and it may nothing here until it is paired "
                   "again",
                   api->args->word);
    if (client_path(path, sizeof path, err, "/v1/hosts/%s", api->args->word) < 0 ||
        api_confirm(api, what, "the name of the host", api->args->word, err) < 0) {
        return -1;
    }
    if (api_call(api, "DELETE", path, &reply, err) < 0) {
        return api_suggest_host(api, api->args->word, err);
    }
    return api_tell(api, reply, "the host is revoked", err);
}

static int revoke_run(int argc, char **argv)
{
    return api_run(&cmd_host_revoke, argc, argv, &one_host, revoke_do);
}
