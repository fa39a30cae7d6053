/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/durable.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/open.h"

static void fd_close(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* what must be durable was flushed, and asked for */
    }
}

static int fail_io(const char *doing, const char *path, struct error *err)
{
    int errnum = errno;
    bool is_full = errnum == ENOSPC || errnum == EDQUOT;
    const char *cure = is_full                               ? " (make room there)"
                       : errnum == EACCES || errnum == EPERM ? " (this user may not)"
                       : errnum == EROFS                     ? " (mount it for writing)"
                                                             : "";

    return fail(err, is_full ? ERR_LIMIT : ERR_IO, errnum, "cannot %s %s%s", doing, path, cure);
}

/* The directory that holds this name. */
static void parent_of(const char *path, char out[PATH_TEXT_MAX])
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        (void)snprintf(out, PATH_TEXT_MAX, ".");
    } else {
        int count = slash == path ? 1 : (int)(slash - path);
        (void)snprintf(out, PATH_TEXT_MAX, "%.*s", count, path);
    }
}

int durable_sync_parent(const char *path, struct error *err)
{
    char parent[PATH_TEXT_MAX];

    parent_of(path, parent);
    CLEANUP(fd_close) int fd = open_path(parent, O_RDONLY | O_DIRECTORY);
    /* EINVAL: a file system whose directories cannot be flushed, because they always are. */
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL)) {
        return fail_io("flush the directory", parent, err);
    }
    return 0;
}

/* --- directories ----------------------------------------------------------------------------- */

int durable_check_dir(const char *path, struct error *err)
{
    struct stat status;

    if (lstat(path, &status) < 0) {
        return fail_io("look at", path, err);
    }
    if (S_ISLNK(status.st_mode)) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is a symbolic link, where a directory itself must be: name what it leads "
                    "to, or move the link away",
                    path);
    }
    if (!S_ISDIR(status.st_mode)) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s should be a directory of resilver's and is none: move it away", path);
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s belongs to another user (%u): run as that user, or change its owner", path,
                    (unsigned)status.st_uid);
    }
    if ((status.st_mode & 022) != 0) {
        return fail(err, ERR_WRONG_STATE, 0, "others may write to %s (mode %04o): chmod go-w it",
                    path, (unsigned)(status.st_mode & 07777));
    }
    return 0;
}

static int make_one(const char *path, struct error *err)
{
    bool exists = false;

    if (durable_exists(path, &exists, err) < 0) {
        return -1;
    }
    if (exists) {
        return 0;
    }
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        return fail_io("make the directory", path, err);
    }
    return durable_sync_parent(path, err);
}

int durable_make_dir(const char *path, struct error *err)
{
    char part[PATH_TEXT_MAX];

    (void)snprintf(part, sizeof part, "%s", path);
    for (char *c = part + 1; *c != '\0'; c++) {
        if (*c == '/' && c[1] != '\0') {
            *c = '\0';
            if (make_one(part, err) < 0) {
                return -1;
            }
            *c = '/';
        }
    }
    FAILPOINT("durable.make_dir.before");
    if (make_one(path, err) < 0) {
        return -1;
    }
    FAILPOINT("durable.make_dir.after");
    return durable_check_dir(path, err);
}

/* --- files ----------------------------------------------------------------------------------- */

static int write_all(int fd, struct const_span bytes, const char *path, struct error *err)
{
    while (bytes.len_bytes > 0) {
        ssize_t put = write(fd, bytes.at, bytes.len_bytes);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return fail_io("write", path, err);
        }
        bytes.at += put;
        bytes.len_bytes -= (size_t)put;
    }
    return 0;
}

int durable_replace_at(int dir_fd, const char *name, struct const_span bytes, struct error *err)
{
    char aside[PATH_TEXT_MAX];

    int used = snprintf(aside, sizeof aside, "%s.new", name);
    if (used < 0 || used >= (int)sizeof aside) {
        return fail(err, ERR_USAGE, 0, "the path %s is too long", name);
    }
    FAILPOINT("durable.write.before");
    if (unlinkat(dir_fd, aside, 0) < 0 && errno != ENOENT) { /* of a run that was killed */
        return fail_io("remove", aside, err);
    }
    CLEANUP(fd_close)
    int fd = open_at(dir_fd, aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return fail_io("make", aside, err);
    }
    if (write_all(fd, bytes, aside, err) < 0) {
        return -1;
    }
    if (fsync(fd) < 0) {
        return fail_io("flush", aside, err);
    }
    FAILPOINT("durable.write.aside");
    if (renameat(dir_fd, aside, dir_fd, name) < 0) {
        return fail_io("rename", aside, err);
    }
    FAILPOINT("durable.write.renamed");
    return 0;
}

int durable_write(const char *path, struct const_span bytes, struct error *err)
{
    if (durable_replace_at(AT_FDCWD, path, bytes, err) < 0 || durable_sync_parent(path, err) < 0) {
        return -1;
    }
    FAILPOINT("durable.write.after");
    return 0;
}

int durable_read(const char *path, struct span buffer, size_t *out_len_bytes, bool *out_exists,
                 struct error *err)
{
    size_t filled_bytes = 0;
    /* O_NONBLOCK: a FIFO in its place must not hold us up. */
    CLEANUP(fd_close)
    int fd = open_path(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        *out_exists = false;
        *out_len_bytes = 0;
        return 0;
    }
    if (fd < 0) {
        return fail_io("open", path, err);
    }
    for (;;) {
        uint8_t beyond = 0;
        bool is_full = filled_bytes == buffer.len_bytes;
        ssize_t got = is_full ? read(fd, &beyond, 1)
                              : read(fd, buffer.at + filled_bytes, buffer.len_bytes - filled_bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_io("read", path, err);
        }
        if (got > 0 && is_full) {
            return fail(err, ERR_WRONG_STATE, 0, "%s is longer than any that resilver writes",
                        path);
        }
        if (got == 0) {
            *out_len_bytes = filled_bytes;
            *out_exists = true;
            return 0;
        }
        filled_bytes += (size_t)got;
    }
}

/* --- names ----------------------------------------------------------------------------------- */

int durable_rename(const char *from, const char *to, struct error *err)
{
    FAILPOINT("durable.rename.before");
    if (rename(from, to) < 0) {
        return fail_io("rename", from, err);
    }
    FAILPOINT("durable.rename.renamed");
    if (durable_sync_parent(to, err) < 0 || durable_sync_parent(from, err) < 0) {
        return -1;
    }
    FAILPOINT("durable.rename.after");
    return 0;
}

int durable_link(const char *from, const char *to, struct error *err)
{
    FAILPOINT("durable.link.before");
    if (link(from, to) < 0 && errno != EEXIST) {
        return fail_io("link", from, err);
    }
    if (durable_sync_parent(to, err) < 0) {
        return -1;
    }
    FAILPOINT("durable.link.after");
    return 0;
}

int durable_remove(const char *path, struct error *err)
{
    char parent[PATH_TEXT_MAX];
    bool has_parent = false;
    struct stat status;

    parent_of(path, parent);
    if (durable_exists(parent, &has_parent, err) < 0) {
        return -1;
    }
    if (!has_parent) {
        return 0;
    }
    FAILPOINT("durable.remove.before");
    bool is_dir = lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
    if ((is_dir ? rmdir(path) : unlink(path)) < 0 && errno != ENOENT) {
        return fail_io("remove", path, err);
    }
    /* Also when it was gone already: whoever removed it may not have come to this. */
    if (durable_sync_parent(path, err) < 0) {
        return -1;
    }
    FAILPOINT("durable.remove.after");
    return 0;
}

int durable_remove_tree(const char *path, struct error *err)
{
    char name[PATH_TEXT_MAX];
    bool exists = false;

    if (durable_exists(path, &exists, err) < 0) {
        return -1;
    }
    if (!exists) {
        return 0;
    }
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return fail_io("look into", path, err);
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        int used = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        bool is_dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        FAILPOINT("durable.remove_tree.file");
        if (!is_dots && (used >= (int)sizeof name || unlink(name) < 0) && errno != ENOENT) {
            int result = fail_io("remove", name, err);
            (void)closedir(dir);
            return result;
        }
    }
    (void)closedir(dir);
    return durable_remove(path, err);
}

int durable_sync(const char *path, struct error *err)
{
    CLEANUP(fd_close) int fd = open_path(path, O_RDONLY | O_NOFOLLOW);

    if (fd < 0 || fsync(fd) < 0) {
        return fail_io("flush", path, err);
    }
    return 0;
}

int durable_exists(const char *path, bool *out, struct error *err)
{
    struct stat status;

    if (lstat(path, &status) == 0) {
        *out = true;
        return 0;
    }
    if (errno != ENOENT && errno != ENOTDIR) {
        return fail_io("look at", path, err);
    }
    *out = false;
    return 0;
}
