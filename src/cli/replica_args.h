/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * replica_args.h - the command lines of `resilver replica ...` and `resilver recover`: each command
 * has a table of some of these options, and they mean the same everywhere.
 */
#ifndef RESILVER_CLI_REPLICA_ARGS_H
#define RESILVER_CLI_REPLICA_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/command.h"

enum replica_option {
    REPLICA_OPTION_POINT = OPTIONS_FIRST_ID,
    REPLICA_OPTION_TO, /* the same value, where it is a verb's aim */
    REPLICA_OPTION_HISTORY,
    REPLICA_OPTION_STAGED,
    REPLICA_OPTION_DROP,
    REPLICA_OPTION_SOCKET,
    REPLICA_OPTION_DISK,
    REPLICA_OPTION_YES,
    REPLICA_OPTION_JSON,
    REPLICA_OPTION_HELP
};

/* Rows that the tables share. */
#define REPLICA_ROW_YES                                                                            \
    {                                                                                              \
        REPLICA_OPTION_YES, "yes", 'y', NULL, "do not ask"                                         \
    }
#define REPLICA_ROW_JSON                                                                           \
    {                                                                                              \
        REPLICA_OPTION_JSON, "json", 0, NULL, "print one JSON object as the result"                \
    }
#define REPLICA_ROW_HELP                                                                           \
    {                                                                                              \
        REPLICA_OPTION_HELP, "help", 'h', NULL, "show this"                                        \
    }

struct replica_args {
    const char *const *paths; /* borrowed from argv */
    size_t path_count;
    const char *path;  /* the first; NULL: none was given */
    const char *point; /* as typed; NULL: not given */
    bool has_history;
    uint32_t history;
    bool staged;
    bool drop;
    const char *socket; /* NULL: not given */
    const char *disk;   /* NULL: not given */
    bool yes;
    bool json;
};

/* What a command does; returns an enum command_status, or -1 with err set. */
typedef int replica_action(const struct replica_args *args, struct error *err);

/*
 * replica_args_run - read the command line, do what it says, and tell what went wrong; returns the
 * program's status.
 *
 * @least, most  how many paths it takes
 */
int replica_args_run(const struct command *command, int argc, char **argv, size_t least,
                     size_t most, replica_action *action);

#endif
