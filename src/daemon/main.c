/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main.c - resilverd: the service.
 */
#include <getopt.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2

static const char usage[] =
    "usage: resilverd [--config=FILE] [--verbose]\n"
    "\n"
    "The service that keeps relationships, jobs and schedules; 'resilver' is its command line.\n"
    "\n"
    "  --config=FILE  read this instead of " CONFIG_PATH_DEFAULT "\n"
    "  -v, --verbose  log more\n"
    "  --version      show the version\n"
    "  -h, --help     show this\n"
    "\n"
    "It stays in the foreground, stops on SIGTERM, and reads its configuration again on SIGHUP;\n"
    "systemd starts it as resilverd.service.\n";

struct settings {
    const char *config_path; /* NULL: not given */
    int exit_status;         /* to end with at once; -1: go on */
};

static struct settings read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"verbose", no_argument, NULL, 'v'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct settings settings = {.exit_status = -1};
    int option = 0;

    while (settings.exit_status < 0 &&
           (option = getopt_long(argc, argv, "vh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            settings.config_path = optarg;
            break;
        case 'v':
            log_set_level(LOG_LEVEL_DEBUG);
            break;
        case 'V':
            (void)printf("resilverd %s\n", RESILVER_VERSION);
            settings.exit_status = 0;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            settings.exit_status = 0;
            break;
        default: /* getopt has said why */
            (void)fputs("resilverd: 'resilverd --help' shows the options\n", stderr);
            settings.exit_status = EXIT_USAGE;
        }
    }
    if (settings.exit_status < 0 && optind < argc) {
        (void)fprintf(stderr, "resilverd: it takes options only, not '%s'\n", argv[optind]);
        settings.exit_status = EXIT_USAGE;
    }
    return settings;
}

/* Once from start to stop. Returns as daemon_run. */
static int run_once(const struct settings *settings, int control_fd, struct error *err)
{
    struct daemon_parts parts = {.stop_fd = -1};
    bool is_given = settings->config_path != NULL;
    int result = daemon_make(is_given ? settings->config_path : CONFIG_PATH_DEFAULT, !is_given,
                             control_fd, &parts, err);

    if (result == 0) {
        result = daemon_run(&parts, err);
    }
    daemon_unmake(&parts);
    return result;
}

int main(int argc, char **argv)
{
    struct settings settings = read_options(argc, argv);
    struct error err = {0};
    int result = 0;

    if (settings.exit_status >= 0) {
        return settings.exit_status;
    }
    int socket_count = sd_listen_fds(1);
    if (socket_count > 1) {
        (void)fprintf(stderr, "resilverd: systemd gave %d sockets; one is wanted\n", socket_count);
        return EXIT_USAGE;
    }
    do {
        /* A reload begins with the same socket again. */
        int control_fd = socket_count == 1 ? dup(SD_LISTEN_FDS_START) : -1;
        result = run_once(&settings, control_fd, &err);
    } while (result == 1);
    if (result < 0) {
        log_event(LOG_LEVEL_ERROR, {"event", "failed"}, {"kind", error_kind_name(err.kind)},
                  {"error", err.message});
        return err.kind == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
    }
    return 0;
}
