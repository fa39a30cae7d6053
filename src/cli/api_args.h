/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api_args.h - the command lines of all commands that talk to resilverd: each has a table of some
 * of these options, and they mean the same everywhere.
 */
#ifndef RESILVER_CLI_API_ARGS_H
#define RESILVER_CLI_API_ARGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/command.h"

enum api_option {
    API_OPTION_SOCKET = OPTIONS_FIRST_ID,
    API_OPTION_JSON,
    API_OPTION_HELP,
    API_OPTION_YES,
    API_OPTION_WAIT,
    API_OPTION_AT,
    API_OPTION_HOP,
    API_OPTION_ADDRESS,
    API_OPTION_HOST,
    API_OPTION_DISK,
    API_OPTION_HISTORY,
    API_OPTION_INTERVAL,
    API_OPTION_RATE,
    API_OPTION_COMPRESSION,
    API_OPTION_AUTO_RESYNC,
    API_OPTION_START,
    API_OPTION_SEEDED,
    API_OPTION_ALL,
    API_OPTION_VM,
    API_OPTION_LIMIT,
    API_OPTION_RESET,
    API_OPTION_FOLLOW,
    API_OPTION_CODE,
    API_OPTION_STORAGE,
    API_OPTION_TRUST_GROUP,
    API_OPTION_NAMESPACE
};

/* Rows that the tables share. */
#define API_ROW(id, name, argument, help)                                                          \
    {                                                                                              \
        API_OPTION_##id, name, 0, argument, help                                                   \
    }
#define API_ROW_YES                                                                                \
    {                                                                                              \
        API_OPTION_YES, "yes", 'y', NULL, "do not ask"                                             \
    }
#define API_ROW_WAIT API_ROW(WAIT, "wait", NULL, "show progress until the job has ended")
#define API_ROW_AT API_ROW(AT, "at", "TIME", "when to start: 22:00, \"2026-03-01 22:00\", +2h")
#define API_ROW_HOP API_ROW(HOP, "hop", "N", "0: primary to replica, 1: replica to extended")
#define API_ROW_VM API_ROW(VM, "vm", "VM", "of this VM only")
#define API_ROW_LIMIT API_ROW(LIMIT, "limit", "N", "at most so many, the newest")
/* The end of every table. */
#define API_ROWS_COMMON                                                                            \
    API_ROW(SOCKET, "socket", "PATH", "where resilverd listens"),                                  \
        API_ROW(JSON, "json", NULL, "print one JSON object as the result"),                        \
    {                                                                                              \
        API_OPTION_HELP, "help", 'h', NULL, "show this"                                            \
    }

struct api_args {
    const char *const *words; /* borrowed from argv: the operands */
    size_t word_count;
    const char *word; /* the first; NULL: none was given */
    const char *socket;
    bool json;
    bool yes;
    bool wait;
    const char *at; /* as typed; NULL: not given, as with all words below */
    int hop;        /* -1: not given */
    const char *address;
    const char *host;
    json_t *disks;    /* owned; names; NULL: none was named */
    json_t *settings; /* owned: those members of the API's Settings that were given; NULL: none */
    bool start;
    bool seeded;
    bool all;
    const char *vm;
    uint32_t limit; /* 0: not given */
    bool reset;
    bool follow;
    const char *code;
    const char *storage;
    const char *trust_group;
    const char *name_space; /* of CIM */
};

/* How many operands a command takes, and what the first is called: "a VM". */
struct api_operands {
    size_t least;
    size_t most;
    const char *what;
};

/*
 * api_args_read - read the command line. args is zeros before; to be released by api_args_done()
 * whatever comes back. Returns 0, or 1 when help was asked for. Errors: ERR_USAGE, ERR_LIMIT.
 */
MUST_CHECK int api_args_read(struct api_args *args, const struct command *command, int argc,
                             char **argv, const struct api_operands *operands, struct error *err);
void api_args_done(struct api_args *args);

#endif
