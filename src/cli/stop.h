/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stop.h - SIGINT, SIGTERM and SIGHUP as a descriptor that becomes readable. The first one asks for
 * a clean end; a second of the same kind kills at once, as signals do. One of them that was ignored
 * when the program started (nohup, a shell's background job) stays ignored.
 */
#ifndef RESILVER_CLI_STOP_H
#define RESILVER_CLI_STOP_H

#include <stdbool.h>

#include "base/attributes.h"
#include "base/error.h"

/*
 * stop_open - catch the signals; *out_fd stays open to the end of the program and is never to be
 * read. Called again (by a forked child) it forgets what was caught and makes a descriptor of the
 * caller's own. Errors: ERR_LIMIT.
 */
MUST_CHECK int stop_open(int *out_fd, struct error *err);

/* stop_wait - wait until one was caught (true) or the time is over (false). */
bool stop_wait(int stop_fd, int timeout_ms);

/* stop_signal_name - "SIGINT", ... as soon as one was caught; NULL before. */
const char *stop_signal_name(void);

#endif
