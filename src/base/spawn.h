/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * spawn.h - another program as a child of this one, at the two ends of pipes.
 */
#ifndef RESILVER_BASE_SPAWN_H
#define RESILVER_BASE_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

struct spawn {
    const char *file; /* without a slash it is looked for in PATH, as a shell does */
    char *const *words;
    char *const *environment; /* NULL: ours */
    int input_fd;             /* its standard input, which stays ours as well */
    int output_fd;            /* its standard output; so does this */
    bool is_mute;             /* its standard error leads nowhere; else it is ours */
    bool has_own_group;       /* so that all it starts can be ended with it */
};

struct child {
    pid_t pid;
    int pid_fd; /* owned: pidfd_open(2) */
};

/*
 * spawn_child - starts it with these three descriptors alone, no signal blocked and SIGPIPE as it
 * is by default. Returns 0, or an errno: ENOENT when there is no such program.
 *
 * A child is ours until it is waited for, so until then its number cannot mean another.
 */
int spawn_child(const struct spawn *spawn, struct child *out);

#endif
