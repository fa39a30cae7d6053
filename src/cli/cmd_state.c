/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_state.c - save the service's state: its relationships, jobs, hosts and entries. The copy is
 * written beside its place and takes it only when it is whole and durable.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/open.h"
#include "cli/api.h"
#include "cli/human.h"
#include "cli/json_out.h"

static int state_run(int argc, char **argv);
static int backup_run(int argc, char **argv);

static const struct option_row backup_options[] = {
    API_ROW(YES, "yes", NULL, "replace a file that is there"), API_ROWS_COMMON};

static const struct command cmd_state_backup = {
    .name = "state backup",
    .run = backup_run,
    .summary = "save a consistent copy of the service's state",
    .synopsis = (const char *const[]){"[--yes] [--json] FILE", NULL},
    .options = backup_options,
    .option_count = ARRAY_COUNT(backup_options),
};

static const struct command *const verbs[] = {&cmd_state_backup};

const struct command cmd_state = {
    .name = "state",
    .run = state_run,
    .summary = "save the service's state",
    .synopsis = (const char *const[]){"VERB [options] ...", NULL},
    .verbs = verbs,
    .verb_count = ARRAY_COUNT(verbs),
};

static int state_run(int argc, char **argv)
{
    return command_run_verb(&cmd_state, argc, argv);
}

struct backup {
    const char *path;           /* borrowed from argv */
    char beside[PATH_TEXT_MAX]; /* where it is written first */
    char folder[PATH_TEXT_MAX];
    int fd;
    uint64_t size_bytes;
};

static int prepare(struct backup *backup, const struct api_args *args, struct error *err)
{
    struct stat stat;
    const char *slash = strrchr(args->word, '/');

    backup->path = args->word;
    if (strlen(args->word) + sizeof ".new" > sizeof backup->beside) {
        return fail(err, ERR_USAGE, 0, "the path %.60s... is too long", args->word);
    }
    (void)snprintf(backup->beside, sizeof backup->beside, "%s.new", args->word);
    (void)snprintf(backup->folder, sizeof backup->folder, "%.*s",
                   slash == NULL ? 1 : (int)(slash - args->word + 1),
                   slash == NULL ? "." : args->word);
    if (lstat(args->word, &stat) == 0) {
        if (!S_ISREG(stat.st_mode)) {
            return fail(err, ERR_WRONG_STATE, 0, "%s is there and is no plain file", args->word);
        }
        if (!args->yes) {
            return fail(err, ERR_WRONG_STATE, 0,
                        "%s is there; add --yes to replace it, or name another file", args->word);
        }
    }
    return 0;
}

/* What an earlier try left goes; a file that was made meanwhile, or a link, is not written to. */
static int make_beside(struct backup *backup, struct error *err)
{
    if (unlink(backup->beside) < 0 && errno != ENOENT) {
        return fail(err, ERR_IO, errno, "cannot remove %s", backup->beside);
    }
    backup->fd = open_at(AT_FDCWD, backup->beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    return backup->fd < 0 ? fail(err, ERR_IO, errno, "cannot make %s", backup->beside) : 0;
}

static int finish(struct backup *backup, struct error *err)
{
    struct stat stat;

    if (fstat(backup->fd, &stat) < 0 || fsync(backup->fd) < 0) {
        return fail(err, ERR_IO, errno, "cannot write %s", backup->beside);
    }
    backup->size_bytes = (uint64_t)stat.st_size;
    if (backup->size_bytes == 0) {
        return fail(err, ERR_PEER, 0, "resilverd sent nothing; %s is not written", backup->path);
    }
    return 0;
}

/* Without --yes also a file that has come to be since is left alone. */
static int put_in_place(const struct backup *backup, bool may_replace, struct error *err)
{
    unsigned flags = may_replace ? 0 : RENAME_NOREPLACE;

    if (renameat2(AT_FDCWD, backup->beside, AT_FDCWD, backup->path, flags) < 0) {
        return fail(err, ERR_IO, errno, "cannot rename %s to %s", backup->beside, backup->path);
    }
    int folder = open_path(backup->folder, O_RDONLY | O_DIRECTORY);
    int result = folder < 0 ? -1 : fsync(folder);
    if (result < 0) {
        result = fail(err, ERR_IO, errno, "%s is written, but might not outlive a power cut",
                      backup->path);
    }
    if (folder >= 0) {
        (void)close(folder); /* opened for reading: nothing is lost */
    }
    return result;
}

static int fetch(struct api *api, struct backup *backup, struct error *err)
{
    int result = client_download(api->client, "/v1/backup", backup->fd, err);

    if (result == 0) {
        result = finish(backup, err);
    }
    (void)close(backup->fd); /* fsync() has told what there was to tell */
    if (result == 0) {
        result = put_in_place(backup, api->args->yes, err);
    }
    if (result < 0) {
        (void)unlink(backup->beside); /* after a rename it is not there; else the next try does */
    }
    return result;
}

static void tell(const struct api *api, const struct backup *backup)
{
    char path[PATH_TEXT_MAX];
    char size[HUMAN_MAX];

    if (api->args->json) {
        json_t *root = json_object();
        json_out_print(stdout, root,
                       json_out_put(root, "path", json_out_text(backup->path)) &&
                           json_out_put(root, "size_bytes", json_out_amount(backup->size_bytes)));
        return;
    }
    (void)human_name(backup->path, 0, path, sizeof path);
    (void)printf("%s: %s\n", path, human_size(backup->size_bytes, size));
}

static int backup_do(struct api *api, struct error *err)
{
    struct backup backup = {.fd = -1};

    if (prepare(&backup, api->args, err) < 0 || make_beside(&backup, err) < 0 ||
        fetch(api, &backup, err) < 0) {
        return -1;
    }
    tell(api, &backup);
    return COMMAND_DONE;
}

static int backup_run(int argc, char **argv)
{
    static const struct api_operands operands = {1, 1, "a file"};

    return api_run(&cmd_state_backup, argc, argv, &operands, backup_do);
}
