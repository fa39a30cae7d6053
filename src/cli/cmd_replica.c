/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_replica.c - the table of what can be done with replicas. Each verb is in a file of its own,
 * or with those that are made of the same; what they share is here.
 */
#include "cli/cmd_replica.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/number.h"
#include "cli/ask.h"
#include "cli/render_replica.h"

static const struct command *const verbs[] = {
    &cmd_replica_list,   &cmd_replica_show, &cmd_replica_points,
    &cmd_replica_verify, &cmd_replica_open, &cmd_replica_rollback,
    &cmd_replica_init,   &cmd_replica_set,  &cmd_replica_drop,
};

static int replica_run(int argc, char **argv);

const struct command cmd_replica = {
    .name = "replica",
    .run = replica_run,
    .summary = "look at replicas, open or verify their points, roll back",
    .synopsis = (const char *const[]){"VERB [options] ...", NULL},
    .verbs = verbs,
    .verb_count = ARRAY_COUNT(verbs),
    .notes =
        "A replica is a folder that 'resilver sync SOURCE FOLDER/' keeps. 'resilver replica VERB\n"
        "--help' shows a verb's options; the man page resilver-replica(1) has the rest.\n",
};

static int replica_run(int argc, char **argv)
{
    return command_run_verb(&cmd_replica, argc, argv);
}

/* --- finding --------------------------------------------------------------------------------- */

int cmd_replica_look(const char *path, struct replica_info *out, struct error *err)
{
    if (replica_look(path, out, err) < 0) {
        return -1;
    }
    return out->is_beside
               ? fail(err, ERR_WRONG_STATE, 0,
                      "%s is not a replica: it belongs to the target beside it (resilver recover)",
                      path)
               : 0;
}

int cmd_replica_lock(const char *path, struct replica **out, struct replica_info *info,
                     struct error *err)
{
    CLEANUP(cmd_replica_unlockp) struct replica *replica = NULL;

    if (replica_open(path, env_system(), &replica, err) < 0 ||
        replica_get_info(replica, info, err) < 0) {
        return -1;
    }
    *out = TAKE(replica);
    return 0;
}

void cmd_replica_unlockp(struct replica **replica)
{
    replica_close(*replica);
    *replica = NULL;
}

/* "3, 4 and 7 (present)" */
static void list_points(const struct replica_info *info, char *out, size_t size_bytes)
{
    size_t used = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < info->point_count && used < size_bytes; i++) {
        const char *gap = i == 0 ? "" : ", ";
        used += (size_t)snprintf(out + used, size_bytes - used, "%s%" PRIu64, gap,
                                 info->points[i].number);
    }
    if (info->present.number != 0 && used < size_bytes) {
        (void)snprintf(out + used, size_bytes - used, "%s%" PRIu64 " (present)",
                       info->point_count == 0 ? "" : " and ", info->present.number);
    }
}

static int fail_no_point(const struct replica_info *info, const char *word, struct error *err)
{
    char list[400];

    list_points(info, list, sizeof list);
    return fail(err, ERR_USAGE, 0, "%s has no point '%.40s'; there %s %s", info->path, word,
                info->point_count == 0 ? "is" : "are", list);
}

int cmd_replica_pick(const struct replica_info *info, const char *word, struct replica_point *out,
                     struct error *err)
{
    uint64_t number = 0;

    if (info->present.number == 0 && info->point_count == 0) {
        return fail(err, ERR_WRONG_STATE, 0, "%s has no point yet: no copy was ever completed",
                    info->path);
    }
    if (strcmp(word, "present") == 0 || strcmp(word, "latest") == 0) {
        number = info->present.number;
    } else if (number_parse_range(word, "a point", 1, UINT64_MAX, &number, NULL) < 0) {
        return fail_no_point(info, word, err);
    }
    if (number != 0 && number == info->present.number) {
        *out = info->present;
        return 0;
    }
    for (uint32_t i = 0; i < info->point_count; i++) {
        if (info->points[i].number == number) {
            *out = info->points[i];
            return 0;
        }
    }
    return fail_no_point(info, word, err);
}

/* --- asking ---------------------------------------------------------------------------------- */

int cmd_replica_confirm(const struct replica_args *args, const char *what, struct error *err)
{
    if (args->yes) {
        return 0;
    }
    char *whole = realpath(args->path, NULL);
    const char *slash = whole == NULL ? NULL : strrchr(whole, '/');
    const char *name = slash == NULL ? args->path : slash + 1;
    int result = ask_name_back(what, "the name of the replica's folder", name, args->json, err);

    free(whole);
    return result;
}

int cmd_replica_show_json(struct replica *replica, struct error *err)
{
    struct replica_info info;

    if (replica_get_info(replica, &info, err) < 0) {
        return -1;
    }
    render_replica_json_print(stdout, "done", "replica", render_replica_json(&info));
    return 0;
}
