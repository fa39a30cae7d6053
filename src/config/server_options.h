/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * server_options.h - the command line that resilverd and resilver-gateway have alike:
 * --config=FILE, -v --verbose, --version, -h --help; no words besides.
 */
#ifndef RESILVER_CONFIG_SERVER_OPTIONS_H
#define RESILVER_CONFIG_SERVER_OPTIONS_H

#include <stdbool.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2

/* What one program has besides: an option with a value. */
struct server_option {
    const char *name; /* without the dashes; NULL: the last */
    const char **out; /* set to the value when it is given */
};

struct server_options {
    const char *program;              /* its name, for messages */
    const char *usage;                /* what --help says */
    const struct server_option *more; /* or NULL */
    const char *config_path;          /* out; CONFIG_PATH_DEFAULT where none is given */
    bool is_config_given;             /* out; another than that */
};

/*
 * server_options_read - returns -1 when the program is to go on, else the status to exit with at
 * once: what was to be said is said.
 */
int server_options_read(int argc, char **argv, struct server_options *options);

#endif
