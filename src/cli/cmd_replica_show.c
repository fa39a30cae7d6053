/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_replica_show.c - one replica, or its points. Nothing is locked or changed.
 */
#include "cli/cmd_replica.h"
#include "cli/render_replica.h"

static int show_run(int argc, char **argv);
static int points_run(int argc, char **argv);

static const struct option_row show_options[] = {REPLICA_ROW_JSON, REPLICA_ROW_HELP};

const struct command cmd_replica_show = {
    .name = "replica show",
    .run = show_run,
    .summary = "show a replica's state, its disks and its points",
    .synopsis = (const char *const[]){"[--json] PATH", NULL},
    .options = show_options,
    .option_count = ARRAY_COUNT(show_options),
};

const struct command cmd_replica_points = {
    .name = "replica points",
    .run = points_run,
    .summary = "show the points that a replica can go back to",
    .synopsis = (const char *const[]){"[--json] PATH", NULL},
    .options = show_options,
    .option_count = ARRAY_COUNT(show_options),
    .notes =
        "What an earlier point costs is the space that dropping it and those before it gives.\n",
};

static int show_do(const struct replica_args *args, struct error *err)
{
    struct replica_info info;

    if (cmd_replica_look(args->path, &info, err) < 0) {
        return -1;
    }
    if (args->json) {
        render_replica_json_print(stdout, "done", "replica", render_replica_json(&info));
        return COMMAND_DONE;
    }
    return render_replica_show(stdout, &info, err) < 0 ? -1 : COMMAND_DONE;
}

static int points_do(const struct replica_args *args, struct error *err)
{
    struct replica_info info;

    if (cmd_replica_look(args->path, &info, err) < 0) {
        return -1;
    }
    if (args->json) {
        render_replica_json_print(stdout, "done", "points", render_replica_json_points(&info));
        return COMMAND_DONE;
    }
    return render_replica_points(stdout, &info, err) < 0 ? -1 : COMMAND_DONE;
}

static int show_run(int argc, char **argv)
{
    return replica_args_run(&cmd_replica_show, argc, argv, 1, 1, show_do);
}

static int points_run(int argc, char **argv)
{
    return replica_args_run(&cmd_replica_points, argc, argv, 1, 1, points_do);
}
