/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order, which is what makes it safe: pin the inode without opening it (a tape may wind, a FIFO
 * may block), look at what it is, open that same inode, lock, look at its first bytes and its size,
 * and only then change anything. After the first step no path is used again, so nobody can put
 * another file in its place.
 */
#include "disk/medium.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/open.h"
#include "disk/format.h"
#include "disk/lock.h"

static void fd_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* nothing is lost: what must be durable was flushed, and asked for */
        *fd = -1;
    }
}

void medium_close(struct medium *medium)
{
    fd_close(&medium->direct_fd);
    fd_close(&medium->fd);
}

static enum error_kind kind_of(int errnum)
{
    switch (errnum) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_LIMIT;
    default:
        return ERR_IO;
    }
}

static int fail_open(const struct disk_open_options *options, int errnum, struct error *err)
{
    const char *path = options->path;

    switch (errnum) {
    case ENOENT:
        return fail(err, ERR_IO, 0, "%s does not exist; %s", path,
                    options->write ? "check its name, or have it made with --create"
                                   : "check its name");
    case EACCES:
    case EPERM:
        return fail(err, ERR_IO, 0,
                    "%s may not be opened for %s by this user; run as one who may, or change its "
                    "permissions",
                    path, options->write ? "writing" : "reading");
    case EROFS:
        return fail(err, ERR_IO, 0, "%s cannot be written to: it is read-only", path);
    case EBUSY:
        return fail(
            err, ERR_WRONG_STATE, 0,
            "%s is in use: it is mounted, part of a volume group, a RAID or swap, or another "
            "program has it alone; take it out of use first",
            path);
    case ETXTBSY:
        return fail(err, ERR_WRONG_STATE, 0, "%s is in use: it is being run, or it is swap", path);
    case ENOMEDIUM:
    case ENXIO:
        return fail(err, ERR_IO, 0, "%s has no medium in it", path);
    default:
        return fail(err, kind_of(errnum), errnum, "cannot open %s", path);
    }
}

static int refuse_kind(const char *path, mode_t mode, struct error *err)
{
    if (S_ISREG(mode) || S_ISBLK(mode)) {
        return 0;
    }
    if (S_ISDIR(mode)) {
        return fail(err, ERR_USAGE, 0,
                    "%s is a directory; name the disk image in it, or a block device", path);
    }
    return fail(err, ERR_USAGE, 0, "%s is a %s and not a disk; name a file or a block device", path,
                S_ISCHR(mode)    ? "character device"
                : S_ISFIFO(mode) ? "named pipe"
                : S_ISSOCK(mode) ? "socket"
                                 : "special file");
}

/* The same inode with other flags. Like any open(2) it checks the permissions. */
static int reopen(int fd, int flags)
{
    char path[32];

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open_path(path, flags | O_NOCTTY);
}

static int measure_block(const char *path, struct medium *medium, struct error *err)
{
    int block_bytes = 0;
    uint64_t size_bytes = 0;

    if (ioctl(medium->fd, BLKGETSIZE64, &size_bytes) < 0 ||
        ioctl(medium->fd, BLKSSZGET, &block_bytes) < 0) {
        return fail(err, ERR_IO, errno, "cannot find out the size of %s", path);
    }
    if (size_bytes == 0 || block_bytes <= 0) {
        return fail(err, ERR_IO, 0, "%s has no medium in it", path);
    }
    medium->size_bytes = size_bytes;
    medium->block_bytes = (uint32_t)block_bytes;
    medium->direct_bytes = medium->block_bytes;
    return 0;
}

static int check_size(const char *path, uint64_t size_bytes, struct error *err)
{
    if (size_bytes > DISK_SIZE_MAX) {
        return fail(err, ERR_LIMIT, 0, "%s cannot be %" PRIu64 " bytes large: the limit is 1 EiB",
                    path, size_bytes);
    }
    return 0;
}

static int measure(const char *path, struct medium *medium, struct error *err)
{
    struct stat st;

    if (medium->is_block) {
        if (measure_block(path, medium, err) < 0) {
            return -1;
        }
    } else {
        if (fstat(medium->fd, &st) < 0) {
            return fail(err, ERR_IO, errno, "cannot find out the size of %s", path);
        }
        medium->size_bytes = (uint64_t)st.st_size;
        medium->block_bytes = 512;
        medium->direct_bytes = (uint32_t)PAGE_BYTES;
    }
    return check_size(path, medium->size_bytes, err);
}

/*
 * Refuse an image whose format nobody named: read as raw it would be copied with its headers, which
 * is right only if that is meant; and to follow the mark would be worse (see format.h).
 */
static int refuse_format(const char *path, int fd, struct error *err)
{
    uint8_t head[FORMAT_HEAD_BYTES];
    ssize_t got = -1;

    do {
        got = pread(fd, head, sizeof head, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return fail(err, ERR_IO, errno, "reading the first bytes of %s failed", path);
    }
    enum disk_format format = format_by_magic((struct const_span){head, (size_t)got});
    if (format == DISK_FORMAT_RAW) {
        return 0;
    }
    const char *name = disk_format_name(format);
    return fail(err, ERR_USAGE, 0,
                "%s is not named as a %s image but begins like one; say which it is with "
                "--format=%s, or --format=raw if these bytes are a raw disk's own",
                path, name, name);
}

static int set_size(const char *path, struct medium *medium, uint64_t size_bytes, struct error *err)
{
    int result = -1;

    do {
        result = ftruncate(medium->fd, (off_t)size_bytes);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return fail(err, kind_of(errno), errno, "cannot make %s %" PRIu64 " bytes large", path,
                    size_bytes);
    }
    if (fsync(medium->fd) < 0) {
        return fail(err, kind_of(errno), errno, "flushing the new size of %s failed", path);
    }
    medium->size_bytes = size_bytes;
    return 0;
}

/* Give an existing disk the size that create asks for. */
static int adjust_size(const struct disk_open_options *options, struct medium *medium,
                       struct error *err)
{
    uint64_t is_bytes = medium->size_bytes;
    uint64_t must_bytes = options->size_bytes;

    if (is_bytes == must_bytes) {
        return 0;
    }
    if (medium->is_block) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is a block device of %" PRIu64 " bytes and must have %" PRIu64
                    "; change its size with the tool that made it, or name another target",
                    options->path, is_bytes, must_bytes);
    }
    if (is_bytes > must_bytes && !options->shrink) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is %" PRIu64 " bytes large and must have %" PRIu64
                    "; what is beyond that is cut off only with --create --yes",
                    options->path, is_bytes, must_bytes);
    }
    return set_size(options->path, medium, must_bytes, err);
}

/* The second descriptor, past the page cache. Only "not on this file system" is no failure. */
static int open_direct(const struct disk_open_options *options, struct medium *medium,
                       struct error *err)
{
    medium->direct_fd = reopen(medium->fd, (options->write ? O_RDWR : O_RDONLY) | O_DIRECT);
    if (medium->direct_fd < 0 && errno != EINVAL) {
        return fail(err, kind_of(errno), errno, "cannot open %s a second time", options->path);
    }
    return 0;
}

static int open_existing(const struct disk_open_options *options, int pin, struct medium *medium,
                         struct error *err)
{
    struct stat st;

    if (fstat(pin, &st) < 0) {
        return fail(err, ERR_IO, errno, "cannot look at %s", options->path);
    }
    if (refuse_kind(options->path, st.st_mode, err) < 0) {
        return -1;
    }
    medium->is_block = S_ISBLK(st.st_mode);
    int exclusive = medium->is_block && options->write ? O_EXCL : 0;
    medium->fd = reopen(pin, (options->write ? O_RDWR : O_RDONLY) | exclusive);
    if (medium->fd < 0) {
        return fail_open(options, errno, err);
    }
    if (lock_image(medium->fd, options->path, options->write, err) < 0 ||
        measure(options->path, medium, err) < 0) {
        return -1;
    }
    if (options->format == DISK_FORMAT_INVALID &&
        refuse_format(options->path, medium->fd, err) < 0) {
        return -1;
    }
    if (options->write && options->create) {
        return adjust_size(options, medium, err);
    }
    return 0;
}

static int open_folder(const char *path, size_t len_bytes, struct error *err)
{
    char folder[PATH_TEXT_MAX];

    if (len_bytes == 0) {
        (void)snprintf(folder, sizeof folder, ".");
    } else {
        assert(len_bytes < sizeof folder); /* pinning it gave "no such file", not "too long" */
        (void)snprintf(folder, sizeof folder, "%.*s", (int)len_bytes, path);
    }
    int fd = open_path(folder, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        return fail(err, kind_of(errno), errno, "cannot make %s: its folder cannot be opened",
                    path);
    }
    return fd;
}

/* Make the file that was just made usable; whoever calls removes it when that fails. */
static int fill_in_new(const struct disk_open_options *options, int folder_fd,
                       struct medium *medium, struct error *err)
{
    if (lock_image(medium->fd, options->path, true, err) < 0 ||
        measure(options->path, medium, err) < 0 ||
        set_size(options->path, medium, options->size_bytes, err) < 0) {
        return -1;
    }
    if (fsync(folder_fd) < 0 && errno != EINVAL) { /* EINVAL: nothing to flush on this kind */
        return fail(err, ERR_IO, errno, "flushing the folder of %s failed", options->path);
    }
    return 0;
}

static int create_file(const struct disk_open_options *options, struct medium *medium,
                       struct error *err)
{
    const char *slash = strrchr(options->path, '/');
    const char *base = slash == NULL ? options->path : slash + 1;
    CLEANUP(fd_close)
    int folder_fd = open_folder(options->path, (size_t)(base - options->path), err);

    if (folder_fd < 0) {
        return -1;
    }
    medium->fd = open_at(folder_fd, base, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (medium->fd < 0 && errno == EEXIST) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s cannot be made: it is a symbolic link to nothing, or somebody made it just "
                    "now; look at it and try again",
                    options->path);
    }
    if (medium->fd < 0) {
        return fail(err, kind_of(errno), errno, "cannot make %s", options->path);
    }
    if (fill_in_new(options, folder_fd, medium, err) < 0) {
        (void)unlinkat(folder_fd, base, 0); /* the failure that led here is the one to tell */
        return -1;
    }
    return 0;
}

int medium_open(const struct disk_open_options *options, struct medium *out, struct error *err)
{
    CLEANUP(medium_close) struct medium medium = {.fd = -1, .direct_fd = -1};
    CLEANUP(fd_close) int pin = open_at(AT_FDCWD, options->path, O_PATH, 0);
    int pin_errnum = pin < 0 ? errno : 0;

    if (options->write && options->create &&
        check_size(options->path, options->size_bytes, err) < 0) {
        return -1;
    }
    if (pin >= 0) {
        if (open_existing(options, pin, &medium, err) < 0) {
            return -1;
        }
    } else if (pin_errnum == ENOENT && options->write && options->create) {
        if (create_file(options, &medium, err) < 0) {
            return -1;
        }
    } else {
        return fail_open(options, pin_errnum, err);
    }
    if (open_direct(options, &medium, err) < 0) {
        return -1;
    }
    *out = medium;
    medium = (struct medium){.fd = -1, .direct_fd = -1};
    return 0;
}
