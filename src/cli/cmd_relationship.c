/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_relationship.c - look at relationships: between a VM here and its replica on another host, or
 * a replica here and what it replicates. What changes them is in cmd_relationship_change.c.
 */
#include "cli/cmd_relationship.h"

#include "cli/answer.h"
#include "cli/api_find.h"
#include "cli/render_relationship.h"

static int relationship_run(int argc, char **argv);
static int list_run(int argc, char **argv);
static int show_run(int argc, char **argv);

static const struct option_row list_options[] = {API_ROWS_COMMON};
static const struct option_row show_options[] = {API_ROW_HOP, API_ROWS_COMMON};

const struct command cmd_relationship_list = {
    .name = "relationship list",
    .run = list_run,
    .summary = "show all relationships",
    .synopsis = (const char *const[]){"[--json]", NULL},
    .options = list_options,
    .option_count = ARRAY_COUNT(list_options),
};

const struct command cmd_relationship_show = {
    .name = "relationship show",
    .run = show_run,
    .summary = "show a relationship, its disks and settings",
    .synopsis = (const char *const[]){"[--hop=N] [--json] VM", NULL},
    .options = show_options,
    .option_count = ARRAY_COUNT(show_options),
};

static const struct command *const verbs[] = {
    &cmd_relationship_list,   &cmd_relationship_show,   &cmd_relationship_create,
    &cmd_relationship_start,  &cmd_relationship_set,    &cmd_relationship_suspend,
    &cmd_relationship_resume, &cmd_relationship_cancel, &cmd_relationship_remove,
};

const struct command cmd_relationship = {
    .name = "relationship",
    .run = relationship_run,
    .summary = "replicate VMs: create, start, set, suspend, remove",
    .synopsis = (const char *const[]){"VERB [options] ...", NULL},
    .verbs = verbs,
    .verb_count = ARRAY_COUNT(verbs),
    .notes = "'resilver rel' is the same. 'resilver relationship VERB --help' shows a verb's\n"
             "options; the man page resilver-relationship(1) has the rest.\n",
};

static int relationship_run(int argc, char **argv)
{
    return command_run_verb(&cmd_relationship, argc, argv);
}

int cmd_relationship_path(struct api *api, const char *tail, char out[API_PATH_MAX],
                          json_t **out_vm, const json_t **out_found, struct error *err)
{
    json_auto_t *vm = NULL;
    const json_t *found = NULL;
    char path[API_PATH_MAX];

    if (api_find_vm(api, api->args->word, &vm, err) < 0 ||
        api_find_relationship(api, vm, &found, err) < 0 ||
        client_path(path, sizeof path, err, "/v1/vms/%s/relationships/%d", answer_text(vm, "id"),
                    (int)answer_number(found, "hop")) < 0) {
        return -1;
    }
    (void)snprintf(out, API_PATH_MAX, "%.1000s%s", path, tail);
    *out_found = found;
    *out_vm = TAKE(vm);
    return 0;
}

/* --- list ------------------------------------------------------------------------------------ */

static int print_list(const json_t *relationships, struct error *err)
{
    CLEANUP(table_done) struct table table;
    const json_t *relationship = NULL;
    size_t index = 0;

    render_relationship_begin(&table);
    json_array_foreach(relationships, index, relationship)
    {
        if (render_relationship_row(&table, relationship, err) < 0) {
            return -1;
        }
    }
    table_print(&table, 0, stdout);
    return COMMAND_DONE;
}

static int list_do(struct api *api, struct error *err)
{
    json_auto_t *answer = NULL;

    if (api_call(api, "GET", "/v1/relationships", &answer, err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(answer);
        return COMMAND_DONE;
    }
    return print_list(json_object_get(answer, "relationships"), err);
}

static int list_run(int argc, char **argv)
{
    static const struct api_operands operands = {0, 0, "nothing"};

    return api_run(&cmd_relationship_list, argc, argv, &operands, list_do);
}

/* --- show ------------------------------------------------------------------------------------ */

static int show_do(struct api *api, struct error *err)
{
    json_auto_t *vm = NULL;
    const json_t *found = NULL;
    char path[API_PATH_MAX];

    if (cmd_relationship_path(api, "", path, &vm, &found, err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(found);
    } else {
        render_relationship(found);
    }
    return COMMAND_DONE;
}

static int show_run(int argc, char **argv)
{
    static const struct api_operands operands = {1, 1, "a VM"};

    return api_run(&cmd_relationship_show, argc, argv, &operands, show_do);
}
