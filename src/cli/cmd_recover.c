/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_recover.c - finish, or take back, what a killed run left of a replica or of a plain target.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "cli/command.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/render_replica.h"
#include "cli/render_text.h"
#include "cli/replica_args.h"
#include "points/replica.h"

static int recover_run(int argc, char **argv);

static const struct option_row recover_options[] = {
    {REPLICA_OPTION_DROP, "drop", 0, NULL, "drop a next point that is half staged, too"},
    REPLICA_ROW_JSON,
    REPLICA_ROW_HELP,
};

const struct command cmd_recover = {
    .name = "recover",
    .run = recover_run,
    .summary = "finish, or take back, what a run that was killed left",
    .synopsis = (const char *const[]){"[--drop] [--json] TARGET ...", NULL},
    .options = recover_options,
    .option_count = ARRAY_COUNT(recover_options),
    .notes =
        "TARGET is a replica's folder, or a file or device that was the target of\n"
        "'resilver sync --atomic'. Sync does the same by itself before it begins; this is for\n"
        "who wants to use the disks at once.\n",
};

static int recover_folder(const char *path, bool drop, struct replica_recovery *out,
                          struct error *err)
{
    struct replica *replica = NULL;
    struct replica_info info;

    if (replica_open(path, env_system(), &replica, err) < 0) {
        return -1;
    }
    struct replica_recovery done = {.did = replica_recovered(replica)};
    int result = replica_get_info(replica, &info, err);
    if (result == 0 && info.has_stage && drop) {
        result = replica_abandon_stage(replica, err);
    }
    replica_close(replica);
    if (result < 0) {
        return -1;
    }
    done.is_dropped = info.has_stage && drop;
    done.has_stage = info.has_stage && !drop;
    *out = done;
    return 0;
}

/* What a link names that leads to nothing now, because a killed run has hidden the file. */
static void follow_dangling(const char *path, char out[PATH_TEXT_MAX])
{
    char to[PATH_TEXT_MAX];
    const char *slash = strrchr(path, '/');
    ssize_t len_bytes = readlink(path, to, sizeof to - 1);
    size_t folder_bytes = slash == NULL ? 0 : (size_t)(slash - path) + 1;

    (void)snprintf(out, PATH_TEXT_MAX, "%s", path);
    if (len_bytes > 0 && folder_bytes + (size_t)len_bytes < PATH_TEXT_MAX) {
        to[len_bytes] = '\0';
        folder_bytes = to[0] == '/' ? 0 : folder_bytes;
        memcpy(out + folder_bytes, to, (size_t)len_bytes + 1);
    }
}

/* What a link names: the state folder is beside that. */
static void follow_link(const char *path, char out[PATH_TEXT_MAX])
{
    char *whole = realpath(path, NULL);

    if (whole == NULL) {
        follow_dangling(path, out);
        return;
    }
    (void)snprintf(out, PATH_TEXT_MAX, "%s", whole);
    free(whole);
}

/* A path that is not there may still have had its disk hidden by a killed run: that is found out
 * first. */
static int recover_path(const char *path, bool drop, struct replica_recovery *out,
                        struct error *err)
{
    struct stat status;
    struct replica_recovery done;
    char target[PATH_TEXT_MAX];

    follow_link(path, target);
    if (replica_recover_beside(target, drop, env_system(), &done, err) < 0) {
        return -1;
    }
    bool did = done.did != REPLICA_DID_NOTHING || done.is_dropped || done.has_stage;
    if (!did && stat(path, &status) < 0) {
        return fail(err, ERR_IO, errno, "there is nothing to recover at %s", path);
    }
    *out = done;
    return 0;
}

static int recover_one(const char *path, bool drop, struct replica_recovery *out, struct error *err)
{
    struct stat status;

    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        return recover_folder(path, drop, out, err);
    }
    return recover_path(path, drop, out, err);
}

/* --- telling --------------------------------------------------------------------------------- */

static const char *did_words(enum replica_did did)
{
    switch (did) {
    case REPLICA_DID_INVALID:
    case REPLICA_DID_NOTHING:
        return "nothing to do";
    case REPLICA_DID_FINISH:
        return "the sealed point was finished";
    case REPLICA_DID_KEEP_OLD:
        return "kept its old point";
    case REPLICA_DID_CLEAN:
        return "remains of an earlier run were removed";
    }
    return "unknown";
}

static const char *did_name(enum replica_did did)
{
    switch (did) {
    case REPLICA_DID_INVALID:
    case REPLICA_DID_NOTHING:
        return "nothing";
    case REPLICA_DID_FINISH:
        return "finished";
    case REPLICA_DID_KEEP_OLD:
        return "kept-old";
    case REPLICA_DID_CLEAN:
        return "cleaned";
    }
    return "unknown";
}

static void show_one(const char *target, const struct replica_recovery *what)
{
    char path[PATH_TEXT_MAX];
    bool only_dropped = what->did == REPLICA_DID_NOTHING && what->is_dropped;

    (void)human_name(target, 0, path, sizeof path);
    (void)printf("%s: %s%s%s\n", path, only_dropped ? "" : did_words(what->did),
                 what->is_dropped ? (only_dropped ? "what was staged was dropped"
                                                  : "; what was staged was dropped")
                                  : "",
                 what->has_stage ? "; the next point is half staged: sync again to go on with it, "
                                   "or drop it with --drop"
                                 : "");
}

static json_t *json_one(const char *target, const struct replica_recovery *what,
                        const struct error *why)
{
    json_t *object = json_object();
    bool is_complete = object != NULL && json_out_put(object, "target", json_out_text(target));

    if (why->kind != ERR_NONE) {
        is_complete = is_complete && json_out_put(object, "error", json_out_error(why));
    } else {
        is_complete = is_complete &&
                      json_out_put(object, "did", json_string(did_name(what->did))) &&
                      json_out_put(object, "dropped", json_boolean(what->is_dropped)) &&
                      json_out_put(object, "half_staged", json_boolean(what->has_stage));
    }
    if (!is_complete) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static int recover_only(const struct replica_args *args, struct error *err)
{
    struct replica_recovery what;
    const struct error none = {0};

    if (recover_one(args->path, args->drop, &what, err) < 0) {
        return -1;
    }
    if (args->json) {
        json_t *list = json_array();
        /* What there was no memory for shows as an incomplete object. */
        if (json_array_append_new(list, json_one(args->path, &what, &none)) < 0) {
            json_decref(list);
            list = NULL;
        }
        render_replica_json_print(stdout, "done", "targets", list);
    } else {
        show_one(args->path, &what);
    }
    return COMMAND_DONE;
}

/* Each target is tried, whatever became of those before it. */
static int recover_do(const struct replica_args *args, struct error *err)
{
    json_t *list = NULL;
    bool has_failed = false;

    if (args->path_count == 1) {
        return recover_only(args, err);
    }
    list = json_array();
    if (list == NULL) {
        return fail(err, ERR_LIMIT, 0, "no memory for the result");
    }
    for (size_t i = 0; i < args->path_count; i++) {
        struct replica_recovery what = {0};
        struct error why = {0};
        bool is_bad = recover_one(args->paths[i], args->drop, &what, &why) < 0;
        has_failed = has_failed || is_bad;
        if (args->json) {
            /* Without memory for one of them the list is short, and its status says so. */
            has_failed = json_array_append_new(list, json_one(args->paths[i], &what, &why)) < 0 ||
                         has_failed;
        } else if (is_bad) {
            render_text_error(stderr, &why);
        } else {
            show_one(args->paths[i], &what);
        }
    }
    if (args->json) {
        render_replica_json_print(stdout, has_failed ? "incomplete" : "done", "targets",
                                  TAKE(list));
    }
    json_decref(list);
    return has_failed ? COMMAND_FAILED : COMMAND_DONE;
}

static int recover_run(int argc, char **argv)
{
    return replica_args_run(&cmd_recover, argc, argv, 1, SIZE_MAX, recover_do);
}
