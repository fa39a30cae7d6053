/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * daemon.h - the parts of resilverd, made and taken apart in order.
 */
#ifndef RESILVER_DAEMON_DAEMON_H
#define RESILVER_DAEMON_DAEMON_H

#include "config/config.h"
#include "control/server.h"
#include "peer/peers.h"
#include "replica/service.h"

struct daemon_parts {
    struct config *config; /* owned, as all of these */
    struct store *store;
    struct inventory *inventory;
    struct mailbox *mailbox;
    struct peers *peers;
    struct service *service;
    struct control *control;
    struct identity identity;
    const char *config_path; /* borrowed */
    bool is_config_optional;
    int stop_fd; /* owned signalfd: SIGTERM, SIGINT, SIGHUP */
};

/*
 * daemon_make - everything that the configuration asks for. What was made before a failure is in
 * `parts` all the same, for daemon_unmake.
 * @control_fd  the listening socket that systemd gave, or -1
 */
MUST_CHECK int daemon_make(const char *config_path, bool is_config_optional, int control_fd,
                           struct daemon_parts *parts, struct error *err);

/* daemon_run - until SIGTERM or SIGINT; then lets everything end in order. Returns 1 when it was
 * SIGHUP, and the configuration is a right one: begin anew with it. */
MUST_CHECK int daemon_run(struct daemon_parts *parts, struct error *err);

void daemon_unmake(struct daemon_parts *parts);

#endif
