/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main.c - resilver-gateway: the management interface.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stop_signals.h"
#include "config/server_options.h"
#include "gateway/gateway.h"
#include "gateway/pam_child.h"

static const char usage[] =
    "usage: resilver-gateway [--config=FILE] [--pam-folder=FOLDER] [--verbose]\n"
    "\n"
    "Msvm_ReplicationService over WS-Management and CIM-XML; it asks resilverd for all it serves.\n"
    "\n"
    "  --config=FILE  read this instead of " CONFIG_PATH_DEFAULT "\n"
    "  --pam-folder=FOLDER\n"
    "                 PAM's services are files in this folder: for tests\n"
    "  -v, --verbose  log more\n"
    "  --version      show the version\n"
    "  -h, --help     show this\n"
    "\n"
    "It stays in the foreground and stops on SIGTERM. On SIGHUP it begins a new audit log and "
    "reads\n"
    "its certificate again. 'resilver gateway user' says who may use it.\n";

/* Everything else is done by threads. */
static int wait_for_the_end(struct gateway *gateway, int signals_fd, struct error *err)
{
    struct signalfd_siginfo info;

    for (;;) {
        ssize_t got = read(signals_fd, &info, sizeof info);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got != (ssize_t)sizeof info) {
            return fail(err, ERR_INTERNAL, got < 0 ? errno : 0, "signals cannot be read");
        }
        if (info.ssi_signo != SIGHUP) {
            return 0;
        }
        (void)sd_notify(0, "RELOADING=1"); /* without systemd there is nobody to tell */
        gateway_reload(gateway);
        (void)sd_notify(0, "READY=1");
        log_event(LOG_LEVEL_NOTICE, {"event", "reloaded"});
    }
}

static int run(const struct server_options *options, struct gateway *gateway, struct error *err)
{
    int signals_fd = stop_signals_take(0, err);

    if (signals_fd < 0 ||
        gateway_make(options->config_path, !options->is_config_given, gateway, err) < 0) {
        return -1;
    }
    (void)sd_notify(0, "READY=1"); /* without systemd there is nobody to tell */
    for (uint32_t i = 0; i < gateway->listener_count; i++) {
        log_always(LOG_LEVEL_NOTICE, {"event", "listening"},
                   {"protocol", gateway->listeners[i].protocol->name},
                   {"address", gateway->listeners[i].address},
                   {"tls", gateway->listeners[i].is_tls ? "yes" : "no"});
    }
    log_event(LOG_LEVEL_NOTICE, {"event", "ready"});
    int result = wait_for_the_end(gateway, signals_fd, err);
    (void)sd_notify(0, "STOPPING=1");
    log_event(LOG_LEVEL_NOTICE, {"event", "stopping"});
    return result;
}

int main(int argc, char **argv)
{
    static struct gateway gateway;
    const char *ask_pam = NULL; /* a service: what is to be done instead of all else */
    const struct server_option more[] = {
        {PAM_CHILD_OPTION_FOLDER, &gateway.pam_folder},
        {PAM_CHILD_OPTION_ASK, &ask_pam}, /* by pam_check.c alone */
        {NULL, NULL},
    };
    struct server_options options = {.program = "resilver-gateway", .usage = usage, .more = more};
    struct error err = {0};
    int result = server_options_read(argc, argv, &options);

    if (result >= 0) {
        return result;
    }
    if (ask_pam != NULL) {
        _exit((int)pam_child_run(ask_pam, gateway.pam_folder));
    }
    result = run(&options, &gateway, &err);
    if (result < 0) {
        log_event(LOG_LEVEL_ERROR, {"event", "failed"}, {"kind", error_kind_name(err.kind)},
                  {"error", err.message});
    }
    int status = result == 0 ? 0 : err.kind == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
    if (!gateway_unmake(&gateway)) {
        /* What it asked of the service has no answer yet; nothing of ours is half written. */
        log_event(LOG_LEVEL_WARNING, {"event", "stopped before a request was answered"});
        _exit(status);
    }
    log_event(LOG_LEVEL_NOTICE, {"event", "stopped"});
    return status;
}
