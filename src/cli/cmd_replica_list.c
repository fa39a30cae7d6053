/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_replica_list.c - the replicas below a folder, one line each. Nothing is locked or changed.
 */
#include "cli/cmd_replica.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/render_replica.h"
#include "cli/render_text.h"

static int list_run(int argc, char **argv);

static const struct option_row list_options[] = {REPLICA_ROW_JSON, REPLICA_ROW_HELP};

const struct command cmd_replica_list = {
    .name = "replica list",
    .run = list_run,
    .summary = "show the replicas in a folder",
    .synopsis = (const char *const[]){"[--json] [ROOT]", NULL},
    .options = list_options,
    .option_count = ARRAY_COUNT(list_options),
    .notes = "ROOT is the folder in which each replica has its own; without it the current one.\n",
};

struct list {
    bool json;
    bool has_bad; /* one that could not be read */
    struct table table;
    json_t *replicas; /* owned; NULL without json, or without memory */
};

static int add_bad(struct list *list, const char *path, const struct error *why, struct error *err)
{
    list->has_bad = true;
    if (!list->json) {
        render_text_error(stderr, why);
        return render_replica_list_bad(&list->table, path, err);
    }
    json_t *object = json_object();
    if (object == NULL || json_array_append_new(list->replicas, object) != 0 ||
        !json_out_put(object, "path", json_out_text(path)) ||
        !json_out_put(object, "error", json_out_error(why))) {
        return fail(err, ERR_LIMIT, 0, "no memory for the list");
    }
    return 0;
}

/* replica_for_each's visit */
static int add(void *context, const char *path, struct error *err)
{
    struct list *list = context;
    struct replica_info info;
    struct error why = {0};

    if (replica_look(path, &info, &why) < 0) {
        return add_bad(list, path, &why, err);
    }
    if (info.is_beside) {
        return 0; /* of a target that is no replica */
    }
    if (!list->json) {
        return render_replica_list_row(&list->table, &info, err);
    }
    return json_array_append_new(list->replicas, render_replica_json(&info)) == 0
               ? 0
               : fail(err, ERR_LIMIT, 0, "no memory for the list");
}

static int show(struct list *list, const char *root)
{
    if (list->json) {
        render_replica_json_print(stdout, list->has_bad ? "incomplete" : "done", "replicas",
                                  TAKE(list->replicas));
    } else if (list->table.cell_count > 0) {
        table_print(&list->table, 0, stdout);
    } else {
        char shown[PATH_TEXT_MAX];
        (void)human_name(root, 0, shown, sizeof shown);
        (void)fprintf(stderr, "resilver: there is no replica in %s\n", shown);
    }
    return list->has_bad ? COMMAND_FAILED : COMMAND_DONE;
}

static int list_do(const struct replica_args *args, struct error *err)
{
    const char *root = args->path == NULL ? "." : args->path;
    struct list list = {.json = args->json, .replicas = args->json ? json_array() : NULL};

    if (args->json && list.replicas == NULL) {
        return fail(err, ERR_LIMIT, 0, "no memory for the list");
    }
    render_replica_list_begin(&list.table);
    /* A replica named in place of its root is a list of one. */
    int result =
        replica_is_folder(root) ? add(&list, root, err) : replica_for_each(root, add, &list, err);
    if (result == 0) {
        result = show(&list, root);
    }
    table_done(&list.table);
    json_decref(list.replicas);
    return result;
}

static int list_run(int argc, char **argv)
{
    return replica_args_run(&cmd_replica_list, argc, argv, 0, 1, list_do);
}
