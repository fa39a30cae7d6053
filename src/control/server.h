/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * server.h - the control API (docs/control.md) on a Unix socket. Runs in the service's thread: the
 * daemon polls control_fd() and calls control_run().
 */
#ifndef RESILVER_CONTROL_SERVER_H
#define RESILVER_CONTROL_SERVER_H

#include <sys/types.h>

#include "peer/peers.h"
#include "replica/service.h"

struct control;

struct control_config {
    const struct env *env; /* borrowed, as all pointers here */
    struct service *service;
    struct peers *peers;
    const struct identity *identity;
    const char *listen_address; /* for GET /v1/host */
    const char *advertise_address;
    uint32_t monitoring_interval_s; /* the same */
    uint32_t monitoring_start_minute;
    /* Who may what, from a uid and its groups: [control] of the configuration. */
    enum caller_role (*role_of)(void *context, uid_t uid, gid_t gid, char *out_name,
                                size_t size_bytes);
    void *context;
};

/*
 * control_new - listen on the path (made with mode 0660; a socket that nobody listens on any more
 * is replaced; a file that is no socket is not). Takes no descriptor of systemd's. Errors:
 * ERR_WRONG_STATE another daemon listens there; ERR_IO.
 */
MUST_CHECK int control_new(const struct control_config *config, const char *socket_path,
                           struct control **out, struct error *err);

/* control_new_on - the same on a listening socket that systemd gave. Takes fd. */
MUST_CHECK int control_new_on(const struct control_config *config, int fd, struct control **out,
                              struct error *err);

int control_fd(const struct control *control);
void control_run(struct control *control);

/* control_next_ms - how long a poll may take at most; -1: any time. */
int control_next_ms(const struct control *control);

/* control_changed - for service_config.changed: tell those who watch. */
void control_changed(struct control *control, const struct service_change *change);

/* control_stop - end streams, finish answers; control_is_idle() tells when. */
void control_stop(struct control *control);
bool control_is_idle(const struct control *control);
void control_free(struct control *control);

#endif
