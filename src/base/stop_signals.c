/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/stop_signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>

int stop_signals_take(int flags, struct error *err)
{
    sigset_t signals;

    (void)sigemptyset(&signals); /* none of these can fail: they are signals */
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    int refused = pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (refused != 0) {
        return fail(err, ERR_INTERNAL, refused, "cannot block signals");
    }
    int fd = signalfd(-1, &signals, SFD_CLOEXEC | flags);
    return fd >= 0 ? fd : fail(err, ERR_LIMIT, errno, "cannot make a signalfd");
}
