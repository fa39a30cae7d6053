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
    const char *name;                  /* with the words before it: "replica list" */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns an enum
                                          command_status */
    const char *summary;               /* one line */
    const char *const *synopsis;       /* lines, without "resilver NAME"; NULL ends them */
    const struct option_row *options;
    size_t option_count;
    const char *notes;                  /* what else the help says; NULL: nothing */
    const struct command *const *verbs; /* the words that may come next; NULL: none */
    size_t verb_count;
};

extern const struct command cmd_sync;
extern const struct command cmd_serve;
extern const struct command cmd_replica;
extern const struct command cmd_recover;
extern const struct command cmd_config;
extern const struct command cmd_status;
extern const struct command cmd_vm;
extern const struct command cmd_relationship;
extern const struct command cmd_resync;
extern const struct command cmd_job;
extern const struct command cmd_host;
extern const struct command cmd_auth;
extern const struct command cmd_stats;
extern const struct command cmd_events;
extern const struct command cmd_gateway;
extern const struct command cmd_state;
extern const struct command cmd_cim;

/* command_find - the one of a list whose last word was typed. NULL with ERR_USAGE: none; the
 * message has the nearest that there is. before: the words before it, with a blank at their end. */
const struct command *command_find(const struct command *const *list, size_t count,
                                   const char *before, const char *typed, struct error *err);

/* command_run_verb - run the verb of a group (command->verbs) that argv[1] names; its help, or what
 * is wrong, if that is none. Returns the status. */
int command_run_verb(const struct command *group, int argc, char **argv);

/* command_print_help - the short usage: `resilver help NAME` and `resilver NAME --help`. */
void command_print_help(const struct command *command, FILE *out);

/* command_fail - tell the error, as a line on standard error or as JSON on standard output, and
 * return the status for it. */
int command_fail(const struct error *err, bool json);

/* command_finish - status, unless standard output did not take all that was printed: then that is
 * told and COMMAND_FAILED. */
int command_finish(int status);

#endif
