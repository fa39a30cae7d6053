/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/server_options.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>

#include "base/log.h"
#include "config/config.h"

/* Ours have their letters; the n-th of the program's own has this and n. */
#define MORE_FIRST 256
#define MORE_MAX 4

static const struct option common[] = {
    {"config", required_argument, NULL, 'c'},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
};

#define COMMON_COUNT (sizeof common / sizeof common[0])

static void list_options(const struct server_option *more, struct option *out)
{
    size_t count = 0;

    for (; count < COMMON_COUNT; count++) {
        out[count] = common[count];
    }
    for (int i = 0; more != NULL && more[i].name != NULL; i++) {
        assert(i < MORE_MAX);
        out[count++] = (struct option){more[i].name, required_argument, NULL, MORE_FIRST + i};
    }
    out[count] = (struct option){0};
}

/* Returns as server_options_read. */
static int take(struct server_options *options, int option)
{
    switch (option) {
    case 'c':
        options->config_path = optarg;
        options->is_config_given = true;
        return -1;
    case 'v':
        log_set_level(LOG_LEVEL_DEBUG);
        return -1;
    case 'V':
        (void)printf("%s %s\n", options->program, RESILVER_VERSION);
        return 0;
    case 'h':
        (void)fputs(options->usage, stdout);
        return 0;
    case '?': /* getopt has said why */
        (void)fprintf(stderr, "%s: '%s --help' shows the options\n", options->program,
                      options->program);
        return EXIT_USAGE;
    default:
        *options->more[option - MORE_FIRST].out = optarg;
        return -1;
    }
}

int server_options_read(int argc, char **argv, struct server_options *options)
{
    struct option all[COMMON_COUNT + MORE_MAX + 1];
    int status = -1;
    int option = 0;

    options->config_path = CONFIG_PATH_DEFAULT;
    options->is_config_given = false;
    list_options(options->more, all);
    while (status < 0 && (option = getopt_long(argc, argv, "vh", all, NULL)) != -1) {
        status = take(options, option);
    }
    if (status < 0 && optind < argc) {
        (void)fprintf(stderr, "%s: it takes options only, not '%s'\n", options->program,
                      argv[optind]);
        status = EXIT_USAGE;
    }
    return status;
}
