/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * children.h - the processes of a server, one a session, watched by their process descriptors.
 */
#ifndef RESILVER_CLI_CHILDREN_H
#define RESILVER_CLI_CHILDREN_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/env.h"
#include "base/error.h"
#include "base/limits.h"

struct children {
    size_t count;
    int pidfds[LISTEN_SESSIONS_MAX];
};

/* What children_fork returns to whom. */
enum children_side { CHILDREN_PARENT = 0, CHILDREN_CHILD = 1 };

/*
 * children_fork - start a child; there must be room (count < LISTEN_SESSIONS_MAX). The child gets
 * SIGTERM when the parent dies, has none of the parent's caught signals, and its stop_open() is the
 * descriptor *out_stop_fd. The child must not return to the parent's work, and ends by _exit(2).
 * Returns an enum children_side. Errors (parent only, nothing runs): ERR_LIMIT.
 */
MUST_CHECK int children_fork(struct children *children, int *out_stop_fd, struct error *err);

/* children_poll - fill fds (room for LISTEN_SESSIONS_MAX); returns how many. */
size_t children_poll(const struct children *children, struct pollfd fds[]);

/* children_reap - forget those that have ended. */
void children_reap(struct children *children);

/* children_end - SIGTERM to all, HELPER_END_S to obey, then SIGKILL; none is left when it returns.
 */
void children_end(struct children *children, const struct env *env);

#endif
