/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Where standard input or output is closed in this process a pipe's end may have its number; taking
 * the input first is right in every such case, for the lowest free number went to the child's end
 * of the first pipe.
 */
static int plan_descriptors(const struct spawn *spawn, posix_spawn_file_actions_t *actions)
{
    int refused = posix_spawn_file_actions_adddup2(actions, spawn->input_fd, STDIN_FILENO);

    if (refused == 0) {
        refused = posix_spawn_file_actions_adddup2(actions, spawn->output_fd, STDOUT_FILENO);
    }
    if (refused == 0 && spawn->is_mute) {
        refused =
            posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    }
    if (refused == 0) {
        refused = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    }
    return refused;
}

/* This program blocks the signals that it reads from a descriptor; the child must be born without
 * that. */
static int plan_attributes(const struct spawn *spawn, posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t defaults;
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;

    (void)sigemptyset(&none); /* these fail for bad numbers only */
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    int refused = posix_spawnattr_setsigmask(attributes, &none);
    if (refused == 0) {
        refused = posix_spawnattr_setsigdefault(attributes, &defaults);
    }
    if (refused == 0 && spawn->has_own_group) {
        flags |= POSIX_SPAWN_SETPGROUP;
        refused = posix_spawnattr_setpgroup(attributes, 0);
    }
    return refused != 0 ? refused : posix_spawnattr_setflags(attributes, (short)flags);
}

static int plan_and_start(const struct spawn *spawn, posix_spawn_file_actions_t *actions,
                          posix_spawnattr_t *attributes, pid_t *out)
{
    char *const *environment = spawn->environment != NULL ? spawn->environment : environ;
    int refused = plan_descriptors(spawn, actions);

    if (refused == 0) {
        refused = plan_attributes(spawn, attributes);
    }
    return refused != 0
               ? refused
               : posix_spawnp(out, spawn->file, actions, attributes, spawn->words, environment);
}

static int start(const struct spawn *spawn, pid_t *out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    int refused = posix_spawn_file_actions_init(&actions);
    if (refused != 0) {
        return refused;
    }
    refused = posix_spawnattr_init(&attributes);
    if (refused == 0) {
        refused = plan_and_start(spawn, &actions, &attributes, out);
        (void)posix_spawnattr_destroy(&attributes); /* cannot fail in glibc */
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return refused;
}

int spawn_child(const struct spawn *spawn, struct child *out)
{
    pid_t pid = 0;
    int refused = start(spawn, &pid);

    if (refused != 0) {
        return refused;
    }
    *out = (struct child){.pid = pid, .pid_fd = pidfd_open(pid, 0)};
    if (out->pid_fd < 0) {
        refused = errno;
        (void)kill(spawn->has_own_group ? -pid : pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    return refused;
}
