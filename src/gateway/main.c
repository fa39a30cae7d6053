/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main.c - resilver-gateway: the management interface.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/pam_child.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2

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

struct settings {
    const char *config_path; /* NULL: not given */
    const char *pam_folder;  /* NULL: not given */
    const char *ask_pam;     /* a service: what is to be done instead of all else; or NULL */
    int exit_status;         /* to end with at once; -1: go on */
};

static struct settings read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {PAM_CHILD_OPTION_FOLDER, required_argument, NULL, 'f'},
        {PAM_CHILD_OPTION_ASK, required_argument, NULL, 'a'}, /* by pam_check.c alone */
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
        case 'f':
            settings.pam_folder = optarg;
            break;
        case 'a':
            settings.ask_pam = optarg;
            break;
        case 'v':
            log_set_level(LOG_LEVEL_DEBUG);
            break;
        case 'V':
            (void)printf("resilver-gateway %s\n", RESILVER_VERSION);
            settings.exit_status = 0;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            settings.exit_status = 0;
            break;
        default: /* getopt has said why */
            (void)fputs("resilver-gateway: 'resilver-gateway --help' shows the options\n", stderr);
            settings.exit_status = EXIT_USAGE;
        }
    }
    if (settings.exit_status < 0 && optind < argc) {
        (void)fprintf(stderr, "resilver-gateway: it takes options only, not '%s'\n", argv[optind]);
        settings.exit_status = EXIT_USAGE;
    }
    return settings;
}

/* Before any thread is made, so that none of them is interrupted. Returns the descriptor. */
static int take_signals(struct error *err)
{
    sigset_t signals;

    (void)sigemptyset(&signals); /* none can fail: they are signals */
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    int refused = pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (refused != 0) {
        return fail(err, ERR_INTERNAL, refused, "cannot block signals");
    }
    int fd = signalfd(-1, &signals, SFD_CLOEXEC);
    return fd >= 0 ? fd : fail(err, ERR_LIMIT, errno, "cannot make a signalfd");
}

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

static int run(const struct settings *settings, struct gateway *gateway, struct error *err)
{
    bool is_given = settings->config_path != NULL;
    int signals_fd = take_signals(err);

    if (signals_fd < 0 || gateway_make(is_given ? settings->config_path : CONFIG_PATH_DEFAULT,
                                       !is_given, gateway, err) < 0) {
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
    struct settings settings = read_options(argc, argv);
    struct error err = {0};

    if (settings.exit_status >= 0) {
        return settings.exit_status;
    }
    if (settings.ask_pam != NULL) {
        _exit((int)pam_child_run(settings.ask_pam, settings.pam_folder));
    }
    gateway.pam_folder = settings.pam_folder;
    int result = run(&settings, &gateway, &err);
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
