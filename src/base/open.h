/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * open.h - open(2) that no signal interrupts: on a network's file system, or one in user space, a
 * signal can end the wait for an answer.
 */
#ifndef RESILVER_BASE_OPEN_H
#define RESILVER_BASE_OPEN_H

#include <sys/types.h>

/* open_at - as openat(2), O_CLOEXEC always; -1 and errno. */
int open_at(int folder_fd, const char *path, int flags, mode_t mode);

/* open_path - the same from the working directory, for what is there already. */
int open_path(const char *path, int flags);

#endif
