/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * command.h - what every subcommand is made of. main.c has the table of them.
 */
#ifndef RESILVER_CLI_COMMAND_H
#define RESILVER_CLI_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/options.h"

enum command_status {
    COMMAND_DONE = 0,
    COMMAND_FAILED = 1,
    COMMAND_USAGE = 2,
    COMMAND_DIFFERENT = 3 /* sync --check found differences */
};

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns an enum
                                          command_status */
    const char *summary;               /* one line */
    const char *const *synopsis;       /* lines, without "resilver NAME"; NULL ends them */
    const struct option_row *options;
    size_t option_count;
    const char *notes; /* what else the help says; NULL: nothing */
};

extern const struct command cmd_sync;
extern const struct command cmd_serve;

/* command_print_help - the short usage: `resilver help NAME` and `resilver NAME --help`. */
void command_print_help(const struct command *command, FILE *out);

/* command_fail - tell the error, as a line on standard error or as JSON on standard output, and
 * return the status for it. */
int command_fail(const struct error *err, bool json);

/* command_finish - status, unless standard output did not take all that was printed: then that is
 * told and COMMAND_FAILED. */
int command_finish(int status);

#endif
