/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/human.h"
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

int ask_name_back(const char *what, const char *label, const char *name, bool is_mute,
                  struct error *err)
{
    char shown[PATH_TEXT_MAX];
    char answer[PATH_TEXT_MAX] = "";
    int stop_fd = -1;

    if (is_mute || !ask_can()) {
        return fail(err, ERR_WRONG_STATE, 0, "%s; add --yes to do that", what);
    }
    /* Before the question: whoever reads it may interrupt at once. */
    if (stop_open(&stop_fd, err) < 0) {
        return -1;
    }
    (void)human_name(what, 0, shown, sizeof shown);
    (void)fprintf(stderr, "%s.\n", shown);
    (void)human_name(name, 0, shown, sizeof shown);
    (void)fprintf(stderr, "Type %s (%s) to go on: ", label, shown);
    if (ask_line(stop_fd, answer, sizeof answer, err) < 0) {
        return -1;
    }
    return strcmp(answer, name) == 0
               ? 0
               : fail(err, ERR_CANCELLED, 0, "that is not its name; %s was left as it is", shown);
}
