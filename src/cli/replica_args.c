/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/replica_args.h"

#include "base/limits.h"
#include "base/number.h"
#include "cli/settings.h"

static int take_history(struct replica_args *args, const char *value, struct error *err)
{
    uint64_t history = 0;

    if (number_parse_range(value, "the number of points to keep", 0, REPLICA_HISTORY_MAX, &history,
                           err) < 0) {
        return -1;
    }
    args->has_history = true;
    args->history = (uint32_t)history;
    return 0;
}

static int take_word(const char *name, const char *value, const char **out, struct error *err)
{
    if (value[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "the value of --%s is empty", name);
    }
    *out = value;
    return 0;
}

/* Returns 1 when help was asked for. */
static int take_option(struct replica_args *args, enum replica_option id, const char *value,
                       struct error *err)
{
    switch (id) {
    case REPLICA_OPTION_POINT:
        return take_word("point", value, &args->point, err);
    case REPLICA_OPTION_TO:
        return take_word("to", value, &args->point, err);
    case REPLICA_OPTION_HISTORY:
        return take_history(args, value, err);
    case REPLICA_OPTION_SOCKET:
        return take_word("socket", value, &args->socket, err);
    case REPLICA_OPTION_DISK:
        return take_word("disk", value, &args->disk, err);
    case REPLICA_OPTION_STAGED:
        args->staged = true;
        return 0;
    case REPLICA_OPTION_DROP:
        args->drop = true;
        return 0;
    case REPLICA_OPTION_YES:
        args->yes = true;
        return 0;
    case REPLICA_OPTION_JSON:
        args->json = true;
        return 0;
    case REPLICA_OPTION_HELP:
        return 1;
    }
    return fail(err, ERR_INTERNAL, 0, "an option without a meaning");
}

static int take_paths(struct replica_args *args, const struct command *command, char **paths,
                      size_t count, size_t least, size_t most, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (paths[i][0] == '\0') {
            return fail(err, ERR_USAGE, 0, "a path is empty");
        }
    }
    if (count < least) {
        return fail(err, ERR_USAGE, 0, "%s is named; 'resilver help %s' shows what is needed",
                    most == 1 ? "no replica" : "nothing", command->name);
    }
    if (count > most) {
        return fail(err, ERR_USAGE, 0, "'%s' is one too many; resilver %s takes one path",
                    paths[most], command->name);
    }
    args->paths = (const char *const *)paths;
    args->path_count = count;
    args->path = count > 0 ? paths[0] : NULL;
    return 0;
}

/* Returns 1 when help was asked for. */
static int read_all(struct replica_args *args, const struct command *command, int argc, char **argv,
                    size_t least, size_t most, struct error *err)
{
    struct options options;
    const char *value = NULL;
    size_t count = 0;

    options_init(&options, argc, argv, command->options, command->option_count);
    for (;;) {
        int id = options_next(&options, &value, err);
        if (id < 0) {
            return -1;
        }
        if (id == OPTIONS_END) {
            break;
        }
        int result = take_option(args, (enum replica_option)id, value, err);
        if (result != 0) {
            return result;
        }
    }
    char **paths = options_operands(&options, &count);
    return take_paths(args, command, paths, count, least, most, err);
}

int replica_args_run(const struct command *command, int argc, char **argv, size_t least,
                     size_t most, replica_action *action)
{
    struct replica_args args = {0};
    struct error err = {0};
    bool json = settings_ask_for_json(argc, argv);
    int result = read_all(&args, command, argc, argv, least, most, &err);

    if (result > 0) {
        command_print_help(command, stdout);
        return command_finish(COMMAND_DONE);
    }
    int status = result < 0 ? -1 : action(&args, &err);
    return status < 0 ? command_fail(&err, json) : command_finish(status);
}
