/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Invariant: locks are taken first and others' looked for afterwards. Of two that begin at the same
 * moment, whoever looks second sees what the other has taken: both may be refused, but never may
 * both go on.
 *
 * All locks are read locks of the open file description, so they never collide with each other: a
 * lock is a mark that others look for. Asking whether a write lock could be had (F_OFD_GETLK) finds
 * the marks of everybody but ourselves. QEMU does the same.
 */
#include "disk/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BYTE_READS 100    /* permission 0, "consistent read", is in use */
#define BYTE_WRITES 101   /* permission 1, "write", is in use */
#define BYTE_NO_WRITE 201 /* permission 1 is not left to others */

static int set_byte(int fd, off_t byte, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &lock);
}

/* 1: somebody else has marked this byte, 0: nobody, -1: the file system does not say (errno). */
static int is_marked(int fd, off_t byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    if (fcntl(fd, F_OFD_GETLK, &lock) < 0) {
        return -1;
    }
    return lock.l_type != F_UNLCK;
}

static int fail_cannot_lock(struct error *err, int errnum, const char *path)
{
    if (errnum == EAGAIN || errnum == EACCES) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is locked as a whole by another program; end that program first", path);
    }
    return fail(err, ERR_IO, errnum,
                "cannot lock %s; it must be on a file system that has locks, or nothing would keep "
                "a virtual machine from using it meanwhile",
                path);
}

static int take(int fd, const char *path, bool write, struct error *err)
{
    if (set_byte(fd, BYTE_NO_WRITE, F_RDLCK) < 0) {
        return fail_cannot_lock(err, errno, path);
    }
    if (write && set_byte(fd, BYTE_WRITES, F_RDLCK) < 0) {
        return fail_cannot_lock(err, errno, path);
    }
    return 0;
}

/* QEMU marks byte 100 for everything that reads, which all its users do; we never mark it. */
static const char *name_user(int fd)
{
    return is_marked(fd, BYTE_READS) == 0 ? "another resilver"
                                          : "a virtual machine or a QEMU program";
}

static int look_for_others(int fd, const char *path, bool write, struct error *err)
{
    int writes = is_marked(fd, BYTE_WRITES);
    int no_write = write ? is_marked(fd, BYTE_NO_WRITE) : 0;

    if (writes < 0 || no_write < 0) {
        return fail_cannot_lock(err, errno, path);
    }
    if (writes > 0 && write) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is in use: %s has it open for writing; end that first", path,
                    name_user(fd));
    }
    if (writes > 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is in use: %s has it open for writing, so that it would be read half old "
                    "and half new; stop that, or take a snapshot and read the snapshot",
                    path, name_user(fd));
    }
    if (no_write > 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is in use: %s reads it and allows nobody to write to it; end that first",
                    path, name_user(fd));
    }
    return 0;
}

int lock_image(int fd, const char *path, bool write, struct error *err)
{
    if (take(fd, path, write, err) == 0 && look_for_others(fd, path, write, err) == 0) {
        return 0;
    }
    /* Nobody may take our marks for a user. Failure means that there were none: nothing to do. */
    (void)set_byte(fd, BYTE_WRITES, F_UNLCK);
    (void)set_byte(fd, BYTE_NO_WRITE, F_UNLCK);
    return -1;
}
