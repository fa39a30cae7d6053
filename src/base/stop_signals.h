/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stop_signals.h - SIGTERM, SIGINT and SIGHUP as something to read, for programs that run until
 * they are stopped.
 */
#ifndef RESILVER_BASE_STOP_SIGNALS_H
#define RESILVER_BASE_STOP_SIGNALS_H

#include "base/error.h"

/*
 * stop_signals_take - call it before any thread is made, so that none of them is interrupted.
 * SIGPIPE is ignored from then on. `flags`: SFD_NONBLOCK or 0. Returns a descriptor to read struct
 * signalfd_siginfo from, signalfd(2), which the caller closes; -1: ERR_LIMIT, ERR_INTERNAL.
 */
int stop_signals_take(int flags, struct error *err);

#endif
