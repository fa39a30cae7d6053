/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compiled in every build, so that its test runs in every build; part of the program only where
 * something calls it, which is with -Dfailpoints=true.
 */
#ifndef RESILVER_FAILPOINTS
#define RESILVER_FAILPOINTS
#endif
#include "base/failpoint.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"

#define REACHED_MAX 1000000 /* no test waits for more */

/* The asserts are about the test that set the environment: a wrong setting must not look like a
 * place that was never reached. */

/* At which time the setting means this name; 0: it means another. */
static uint64_t chosen_time(const char *setting, const char *name)
{
    size_t len = strlen(name);
    uint64_t time = 1;

    if (strncmp(setting, name, len) != 0 || (setting[len] != '\0' && setting[len] != ':')) {
        return 0;
    }
    if (setting[len] == ':') {
        int result = number_parse_range(setting + len + 1, "the time", 1, REACHED_MAX, &time, NULL);
        assert(result == 0);
    }
    return time;
}

static void note(const char *name)
{
    const char *path = getenv("RESILVER_FAILPOINT_LOG");
    char line[128];
    int len = snprintf(line, sizeof line, "%s\n", name);

    assert(path != NULL && len > 0 && len < (int)sizeof line);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert(fd >= 0);
    ssize_t put = write(fd, line, (size_t)len);
    assert(put == len);
    (void)close(fd); /* the process ends now */
}

void failpoint_reached(const char *name)
{
    /* One place alone is chosen in a process, so one counter is enough. */
    static atomic_uint_fast64_t reached;
    const char *setting = getenv("RESILVER_FAILPOINT");
    uint64_t time = setting == NULL ? 0 : chosen_time(setting, name);

    if (time == 0 || atomic_fetch_add(&reached, 1) + 1 != time) {
        return;
    }
    note(name);
    (void)kill(getpid(), SIGKILL);
    for (;;) {
        (void)pause(); /* another thread may run for a moment; this one does nothing more */
    }
}
