/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

/* What a signal handler may touch. */
static volatile sig_atomic_t caught_signal;
static volatile sig_atomic_t pipe_write_fd = -1;

static int pipe_read_fd = -1;

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};

static void on_signal(int number)
{
    int saved_errno = errno;

    caught_signal = number;
    /* A full pipe is readable already, which is all that is wanted. */
    ssize_t written = write(pipe_write_fd, "", 1);
    (void)written;
    errno = saved_errno;
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        (void)close(fd); /* a pipe: nothing is lost by a failed close */
    }
}

int stop_open(int *out_fd, struct error *err)
{
    int fds[2] = {-1, -1};
    /* RESETHAND: the second signal finds the default action. RESTART: library calls need not know
     * of us. */
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot prepare for being stopped by a signal");
    }
    close_if_open(pipe_read_fd);
    close_if_open(pipe_write_fd);
    pipe_read_fd = fds[0];
    pipe_write_fd = fds[1];
    caught_signal = 0;
    for (size_t i = 0; i < ARRAY_COUNT(stop_signals); i++) {
        struct sigaction before = {0};
        /* Neither can fail: the signals exist and may be caught. */
        (void)sigaction(stop_signals[i], NULL, &before);
        if (before.sa_handler != SIG_IGN) {
            (void)sigaction(stop_signals[i], &action, NULL);
        }
    }
    *out_fd = pipe_read_fd;
    return 0;
}

bool stop_wait(int stop_fd, int timeout_ms)
{
    struct pollfd fd = {.fd = stop_fd, .events = POLLIN};

    (void)poll(&fd, 1, timeout_ms); /* interrupted: by what is asked for next */
    return caught_signal != 0;
}

const char *stop_signal_name(void)
{
    switch (caught_signal) {
    case SIGINT:
        return "SIGINT";
    case SIGTERM:
        return "SIGTERM";
    case SIGHUP:
        return "SIGHUP";
    default: /* not an enum: any other number is none of ours */
        return NULL;
    }
}
