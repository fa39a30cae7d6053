/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main.c - resilverd: the service.
 */
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "config/server_options.h"
#include "daemon/daemon.h"

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

/* Once from start to stop. Returns as daemon_run. */
static int run_once(const struct server_options *options, int control_fd, struct error *err)
{
    struct daemon_parts parts = {.stop_fd = -1};
    int result =
        daemon_make(options->config_path, !options->is_config_given, control_fd, &parts, err);

    if (result == 0) {
        result = daemon_run(&parts, err);
    }
    daemon_unmake(&parts);
    return result;
}

int main(int argc, char **argv)
{
    struct server_options options = {.program = "resilverd", .usage = usage};
    struct error err = {0};
    int result = server_options_read(argc, argv, &options);

    if (result >= 0) {
        return result;
    }
    int socket_count = sd_listen_fds(1);
    if (socket_count > 1) {
        (void)fprintf(stderr, "resilverd: systemd gave %d sockets; one is wanted\n", socket_count);
        return EXIT_USAGE;
    }
    do {
        /* A reload begins with the same socket again. */
        int control_fd = socket_count == 1 ? dup(SD_LISTEN_FDS_START) : -1;
        result = run_once(&options, control_fd, &err);
    } while (result == 1);
    if (result < 0) {
        log_event(LOG_LEVEL_ERROR, {"event", "failed"}, {"kind", error_kind_name(err.kind)},
                  {"error", err.message});
        return err.kind == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
    }
    return 0;
}
