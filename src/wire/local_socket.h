/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * local_socket.h - a listening Unix socket for its owner alone.
 */
#ifndef RESILVER_WIRE_LOCAL_SOCKET_H
#define RESILVER_WIRE_LOCAL_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/attributes.h"
#include "base/error.h"

struct local_socket {
    int fd; /* owned; listens, non-blocking; -1: closed */
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
    dev_t device; /* of the file, so that no other's is removed */
    ino_t inode;
};

/*
 * local_socket_listen - make the socket, mode 0600, in a folder that exists. Where there is a dead
 * socket of this user already (nobody listens to it), it is replaced; anything else is left alone.
 *
 * Errors: ERR_USAGE        the path is empty or too long for a socket
 *         ERR_WRONG_STATE  there is something else, or somebody listens there
 *         ERR_IO           it cannot be made (no such folder, no right)
 */
MUST_CHECK int local_socket_listen(const char *path, struct local_socket *out, struct error *err);

/* local_socket_close - stop listening and remove the file, if it is still the one that was made.
 * Twice is fine. */
void local_socket_close(struct local_socket *s);

/*
 * local_socket_accept - the next connection by the same user or root; *out_fd is the caller's,
 * non-blocking. Returns 1; 0 when nobody waits; -1 with err when somebody was turned away
 * (ERR_PEER) or cannot be accepted now (ERR_LIMIT: wait a while).
 */
MUST_CHECK int local_socket_accept(const struct local_socket *s, int *out_fd, struct error *err);

#endif
