/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run.c - the service's thread: everything that owns state runs here, one thing after another.
 *
 *   running --> stopping --> ended
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"

struct run {
    struct daemon_parts *parts; /* borrowed */
    uint64_t watchdog_ns;       /* between two signs of life; 0: nobody waits for them */
    uint64_t next_sign_ns;
    uint64_t next_step_ns;
    bool is_stopping;
    bool is_reload; /* it stops to begin again with another configuration */
    uint64_t give_up_ns;
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int timeout_ms(const struct run *run)
{
    uint64_t now_ns = env_now_ns(env_system());
    uint64_t until_ns = run->next_step_ns;
    int control_ms = control_next_ms(run->parts->control);

    if (run->watchdog_ns != 0) {
        until_ns = earlier(until_ns, run->next_sign_ns);
    }
    if (run->is_stopping) {
        until_ns = earlier(until_ns, now_ns + 100 * NS_PER_MS);
    }
    uint64_t wait_ms = until_ns <= now_ns ? 0 : (until_ns - now_ns) / NS_PER_MS + 1;
    int ms = wait_ms > 60000 ? 60000 : (int)wait_ms;
    return control_ms >= 0 && control_ms < ms ? control_ms : ms;
}

static void give_sign(struct run *run)
{
    uint64_t now_ns = env_now_ns(env_system());

    if (run->watchdog_ns != 0 && now_ns >= run->next_sign_ns) {
        (void)sd_notify(0, "WATCHDOG=1"); /* one that is lost is followed by another */
        run->next_sign_ns = now_ns + run->watchdog_ns;
    }
}

static void begin_stop(struct run *run, bool is_reload)
{
    if (run->is_stopping) {
        run->is_reload = run->is_reload && is_reload; /* a stop is more than a reload */
        return;
    }
    run->is_stopping = true;
    run->is_reload = is_reload;
    run->give_up_ns = env_now_ns(env_system()) + SERVICE_STOP_S * NS_PER_S;
    (void)sd_notify(0, is_reload ? "RELOADING=1" : "STOPPING=1");
    log_event(LOG_LEVEL_NOTICE, {"event", is_reload ? "reloading" : "stopping"});
    service_stop(run->parts->service);
    peers_stop(run->parts->peers);
    control_stop(run->parts->control);
}

/* SIGHUP: a configuration that is wrong changes nothing. */
static bool can_reload(const struct run *run)
{
    struct config *config = NULL;
    struct error err = {0};

    if (config_load(run->parts->config_path, run->parts->is_config_optional, &config, &err) < 0) {
        log_event(LOG_LEVEL_ERROR, {"event", "not reloaded, the old configuration stays"},
                  {"error", err.message});
        return false;
    }
    config_free(config);
    return true;
}

static void take_signals(struct run *run)
{
    struct signalfd_siginfo info;

    while (read(run->parts->stop_fd, &info, sizeof info) > 0) {
        if (info.ssi_signo != SIGHUP) {
            begin_stop(run, false);
        } else if (can_reload(run)) {
            begin_stop(run, true);
        }
    }
}

static bool has_ended(const struct run *run)
{
    bool is_idle = service_is_idle(run->parts->service) && peers_is_idle(run->parts->peers) &&
                   control_is_idle(run->parts->control);

    return run->is_stopping && (is_idle || env_now_ns(env_system()) >= run->give_up_ns);
}

static int wait_and_work(struct run *run, struct error *err)
{
    struct daemon_parts *parts = run->parts;
    struct pollfd fds[] = {
        {.fd = parts->stop_fd, .events = POLLIN},
        {.fd = mailbox_fd(parts->mailbox), .events = POLLIN},
        {.fd = control_fd(parts->control), .events = POLLIN},
    };

    if (poll(fds, ARRAY_COUNT(fds), timeout_ms(run)) < 0 && errno != EINTR) {
        return fail(err, ERR_INTERNAL, errno, "poll failed");
    }
    take_signals(run);
    mailbox_run(parts->mailbox);
    control_run(parts->control);
    /* Whatever came may have made something due. */
    run->next_step_ns = service_step(parts->service);
    give_sign(run);
    return 0;
}

int daemon_run(struct daemon_parts *parts, struct error *err)
{
    struct run run = {.parts = parts};
    uint64_t watchdog_us = 0;

    if (sd_watchdog_enabled(0, &watchdog_us) > 0) {
        run.watchdog_ns = watchdog_us * 1000 / 3;
    }
    run.next_step_ns = service_step(parts->service);
    (void)sd_notify(0, "READY=1"); /* without systemd there is nobody to tell */
    log_event(LOG_LEVEL_NOTICE, {"event", "ready"}, {"host", parts->config->host_name},
              {"replication", peers_listening_at(parts->peers)});
    while (!has_ended(&run)) {
        if (wait_and_work(&run, err) < 0) {
            return -1;
        }
    }
    log_event(LOG_LEVEL_NOTICE, {"event", "stopped"});
    return run.is_reload ? 1 : 0;
}
