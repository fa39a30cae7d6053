/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * listener.h - a listening TCP socket.
 */
#ifndef RESILVER_WIRE_LISTENER_H
#define RESILVER_WIRE_LISTENER_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

#define LISTENER_SHOWN_MAX (HOST_TEXT_MAX + PORT_TEXT_MAX + 4)

struct listener {
    int fd;                         /* non-blocking */
    char shown[LISTENER_SHOWN_MAX]; /* the address that it really has: "127.0.0.1:8490",
                                       "[::1]:8490" */
};

/*
 * listener_open - listen on "ADDR:PORT"; an empty ADDR means every address of the host (IPv6 with
 * IPv4 where there is IPv6), port 0 a free port. Errors: ERR_USAGE not such a text, no such
 * address; ERR_IO the port is taken or not allowed.
 */
MUST_CHECK int listener_open(const char *address, struct listener *out, struct error *err);
void listener_close(struct listener *listener);

/* What a refused or failed accept means for the caller. */
enum listener_result {
    LISTENER_ACCEPTED = 1,
    LISTENER_NOTHING = 0,   /* nobody is there, or no longer */
    LISTENER_EXHAUSTED = -1 /* no descriptors or memory: wait a while, somebody still waits to be
                               accepted */
};

/* listener_accept - *out_fd is the caller's. Never blocks. EXHAUSTED sets err. */
MUST_CHECK enum listener_result listener_accept(struct listener *listener, int *out_fd,
                                                struct error *err);

/* listener_peer_text - the other end of a connection: "192.0.2.7:51234", for a log line. */
void listener_peer_text(int fd, char out[LISTENER_SHOWN_MAX]);

#endif
