/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main.c - the table of commands. Each command is one file; help and version, which need the table,
 * are here.
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attributes.h"
#include "base/limits.h"
#include "cli/command.h"

static int run_help(int argc, char **argv);
static int run_version(int argc, char **argv);

static const struct command cmd_help = {
    .name = "help",
    .run = run_help,
    .summary = "show what a command does and which options it has",
    .synopsis = (const char *const[]){"[COMMAND ...]", NULL},
};

static const struct command cmd_version = {
    .name = "version",
    .run = run_version,
    .summary = "show which version this is",
    .synopsis = (const char *const[]){"", NULL},
};

static const struct command *const commands[] = {
    &cmd_sync,  &cmd_serve,   &cmd_replica,      &cmd_recover, &cmd_config, &cmd_status, &cmd_vm,
    &cmd_host,  &cmd_auth,    &cmd_relationship, &cmd_resync,  &cmd_job,    &cmd_events, &cmd_stats,
    &cmd_state, &cmd_gateway, &cmd_cim,          &cmd_help,    &cmd_version};

static const struct command *find_command(const char *name, struct error *err)
{
    if (strcmp(name, "rel") == 0) {
        name = "relationship"; /* typed often */
    }
    return command_find(commands, ARRAY_COUNT(commands), "", name, err);
}

static int print_list(void)
{
    printf("Resilver makes one disk equal to another, across any distance, and proves it; its "
           "service\n"
           "resilverd keeps replicas of VMs true.\n\n"
           "usage: resilver COMMAND [options]\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        printf("  %-14s%s\n", commands[i]->name, commands[i]->summary);
    }
    printf("\n'resilver help COMMAND' shows its options; 'man resilver' has the rest.\n");
    return command_finish(COMMAND_DONE);
}

static int run_help(int argc, char **argv)
{
    struct error err = {0};

    if (argc < 2) {
        return print_list();
    }
    const struct command *command = find_command(argv[1], &err);
    for (int i = 2; command != NULL && i < argc && command->verb_count > 0; i++) {
        char before[64];
        (void)snprintf(before, sizeof before, "%s ", command->name);
        command = command_find(command->verbs, command->verb_count, before, argv[i], &err);
    }
    if (command == NULL) {
        return command_fail(&err, false);
    }
    command_print_help(command, stdout);
    return command_finish(COMMAND_DONE);
}

static int run_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("resilver %s (protocol %u)\n", RESILVER_VERSION, PROTOCOL_VERSION);
    return command_finish(COMMAND_DONE);
}

int main(int argc, char **argv)
{
    struct error err = {0};

    /* A reader of our output or a peer that goes away is an error that write(2) tells, not a death.
     */
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail: the signal exists */
    /* Names are cut and counted in the user's characters; numbers keep their plain form. Where no
     * locale is set (cron, units), file names are UTF-8 all the same. */
    if (setlocale(LC_CTYPE, "") == NULL || MB_CUR_MAX == 1) {
        (void)setlocale(LC_CTYPE, "C.UTF-8"); /* without it, names show as ASCII */
    }

    if (argc < 2) {
        (void)fail(&err, ERR_USAGE, 0, "no command is given; 'resilver --help' lists them");
        return command_fail(&err, false);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return print_list();
    }
    if (strcmp(argv[1], "--version") == 0) {
        return run_version(argc, argv);
    }
    const struct command *command = find_command(argv[1], &err);
    if (command == NULL) {
        return command_fail(&err, false);
    }
    return command->run(argc - 1, argv + 1);
}
