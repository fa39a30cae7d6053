/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/open.h"

#include <errno.h>
#include <fcntl.h>

int open_at(int folder_fd, const char *path, int flags, mode_t mode)
{
    int fd = -1;

    do {
        fd = openat(folder_fd, path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

int open_path(const char *path, int flags)
{
    return open_at(AT_FDCWD, path, flags, 0);
}
