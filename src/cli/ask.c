/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/ask.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cli/stop.h"

bool ask_can(void)
{
    return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
}

int ask_line(int stop_fd, char *out, size_t size_bytes, struct error *err)
{
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = stop_fd, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    if (stop_signal_name() != NULL) {
        return fail(err, ERR_CANCELLED, 0, "stopped by %s; nothing was changed",
                    stop_signal_name());
    }
    ssize_t got = read(STDIN_FILENO, out, size_bytes - 1);
    if (got < 0) {
        return fail(err, ERR_IO, errno, "cannot read the answer");
    }
    out[got] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return 0;
}
