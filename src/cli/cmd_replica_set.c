/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_replica_set.c - make a replica's folder, say how many points it keeps, drop some.
 */
#include <inttypes.h>

#include "cli/cmd_replica.h"
#include "cli/human.h"
#include "cli/render_replica.h"

static int init_run(int argc, char **argv);
static int set_run(int argc, char **argv);
static int drop_run(int argc, char **argv);

#define ROW_HISTORY                                                                                \
    {                                                                                              \
        REPLICA_OPTION_HISTORY, "history", 0, "N", "how many earlier points to keep: 0 to 24"      \
    }

static const struct option_row init_options[] = {ROW_HISTORY, REPLICA_ROW_JSON, REPLICA_ROW_HELP};

static const struct option_row set_options[] = {ROW_HISTORY, REPLICA_ROW_YES, REPLICA_ROW_JSON,
                                                REPLICA_ROW_HELP};

static const struct option_row drop_options[] = {
    {REPLICA_OPTION_POINT, "point", 0, "N", "drop this point, and those before it"},
    {REPLICA_OPTION_STAGED, "staged", 0, NULL, "drop the next point, which is half staged"},
    REPLICA_ROW_YES,
    REPLICA_ROW_JSON,
    REPLICA_ROW_HELP,
};

const struct command cmd_replica_init = {
    .name = "replica init",
    .run = init_run,
    .summary = "make an empty folder for a replica",
    .synopsis = (const char *const[]){"[--history=N] [--json] PATH", NULL},
    .options = init_options,
    .option_count = ARRAY_COUNT(init_options),
    .notes = "'resilver sync --create SOURCE PATH/' makes it too, and keeps no earlier points.\n",
};

const struct command cmd_replica_set = {
    .name = "replica set",
    .run = set_run,
    .summary = "say how many earlier points a replica keeps",
    .synopsis = (const char *const[]){"--history=N [--yes] [--json] PATH", NULL},
    .options = set_options,
    .option_count = ARRAY_COUNT(set_options),
    .notes = "Points beyond the number are dropped at once, the oldest first.\n",
};

const struct command cmd_replica_drop = {
    .name = "replica drop",
    .run = drop_run,
    .summary = "drop earlier points, or what is half staged",
    .synopsis = (const char *const[]){"--point=N [--yes] [--json] PATH",
                                      "--staged [--yes] [--json] PATH", NULL},
    .options = drop_options,
    .option_count = ARRAY_COUNT(drop_options),
    .notes = "Points before the one that is dropped go too: they are seen through it.\n",
};

/* The result of a change: a line, or with --json the replica as it is now. */
static int tell(const struct replica_args *args, struct replica *replica, const char *what,
                struct error *err)
{
    char path[PATH_TEXT_MAX];

    if (args->json) {
        return cmd_replica_show_json(replica, err) < 0 ? -1 : COMMAND_DONE;
    }
    (void)human_name(args->path, 0, path, sizeof path);
    (void)printf("%s: %s\n", path, what);
    return COMMAND_DONE;
}

/* --- init ------------------------------------------------------------------------------------ */

static int init_do(const struct replica_args *args, struct error *err)
{
    struct replica_info info;
    char path[PATH_TEXT_MAX];
    bool was_there = replica_is_folder(args->path);

    if (!was_there && replica_make(args->path, args->history, err) < 0) {
        return -1;
    }
    if (cmd_replica_look(args->path, &info, err) < 0) {
        return -1;
    }
    if (args->has_history && info.history != args->history) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is a replica already, which keeps %u earlier points; resilver replica set "
                    "changes that",
                    args->path, info.history);
    }
    if (args->json) {
        render_replica_json_print(stdout, "done", "replica", render_replica_json(&info));
        return COMMAND_DONE;
    }
    (void)human_name(args->path, 0, path, sizeof path);
    (void)printf(was_there ? "%s: is a replica already, which keeps %u earlier %s\n"
                           : "%s: made, to keep %u earlier %s\n",
                 path, info.history, info.history == 1 ? "point" : "points");
    return COMMAND_DONE;
}

static int init_run(int argc, char **argv)
{
    return replica_args_run(&cmd_replica_init, argc, argv, 1, 1, init_do);
}

/* --- set ------------------------------------------------------------------------------------- */

static int set_do(const struct replica_args *args, struct error *err)
{
    CLEANUP(cmd_replica_unlockp) struct replica *replica = NULL;
    struct replica_info info;
    char what[160];

    if (!args->has_history) {
        return fail(err, ERR_USAGE, 0, "what to set is not said: --history=N");
    }
    if (cmd_replica_lock(args->path, &replica, &info, err) < 0) {
        return -1;
    }
    uint32_t dropped = info.point_count > args->history ? info.point_count - args->history : 0;
    if (dropped > 0) {
        (void)snprintf(what, sizeof what, "the oldest %u of %u earlier points will be dropped",
                       dropped, info.point_count);
        if (cmd_replica_confirm(args, what, err) < 0) {
            return -1;
        }
    }
    if (replica_set_history(replica, args->history, err) < 0) {
        return -1;
    }
    (void)snprintf(what, sizeof what, "keeps %u earlier %s from now on; dropped: %u", args->history,
                   args->history == 1 ? "point" : "points", dropped);
    return tell(args, replica, what, err);
}

static int set_run(int argc, char **argv)
{
    return replica_args_run(&cmd_replica_set, argc, argv, 1, 1, set_do);
}

/* --- drop ------------------------------------------------------------------------------------ */

static int drop_staged(const struct replica_args *args, struct replica *replica,
                       const struct replica_info *info, struct error *err)
{
    if (!info->has_stage) {
        return tell(args, replica, "nothing was staged", err);
    }
    if (cmd_replica_confirm(args, "the next point, which is half staged, will be dropped", err) <
            0 ||
        replica_abandon_stage(replica, err) < 0) {
        return -1;
    }
    return tell(args, replica, "what was staged is dropped", err);
}

/* How many go: the point and those before it. */
static uint32_t count_to(const struct replica_info *info, uint64_t number)
{
    uint32_t count = 0;

    while (count < info->point_count && info->points[count].number <= number) {
        count++;
    }
    return count;
}

static int drop_point(const struct replica_args *args, struct replica *replica,
                      const struct replica_info *info, struct error *err)
{
    struct replica_point point;
    char what[160];

    if (cmd_replica_pick(info, args->point, &point, err) < 0) {
        return -1;
    }
    if (point.number == info->present.number) {
        return fail(err, ERR_USAGE, 0,
                    "point %" PRIu64 " is the present one, which cannot be dropped; roll back to "
                    "an earlier one first, or remove the folder %s",
                    point.number, info->path);
    }
    uint32_t count = count_to(info, point.number);
    (void)snprintf(what, sizeof what, "point %" PRIu64 "%s will be dropped", point.number,
                   count > 1 ? " and those before it" : "");
    if (cmd_replica_confirm(args, what, err) < 0 ||
        replica_drop_point(replica, point.number, err) < 0) {
        return -1;
    }
    (void)snprintf(what, sizeof what, "dropped: %u %s", count, count == 1 ? "point" : "points");
    return tell(args, replica, what, err);
}

static int drop_do(const struct replica_args *args, struct error *err)
{
    CLEANUP(cmd_replica_unlockp) struct replica *replica = NULL;
    struct replica_info info;

    if (args->staged == (args->point != NULL)) {
        return fail(err, ERR_USAGE, 0, "give either --point=N or --staged");
    }
    if (cmd_replica_lock(args->path, &replica, &info, err) < 0) {
        return -1;
    }
    return args->staged ? drop_staged(args, replica, &info, err)
                        : drop_point(args, replica, &info, err);
}

static int drop_run(int argc, char **argv)
{
    return replica_args_run(&cmd_replica_drop, argc, argv, 1, 1, drop_do);
}
