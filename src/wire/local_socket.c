/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/local_socket.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd); /* a socket: nothing is lost by a failed close */
    }
}

static void close_fdp(int *fd)
{
    close_fd(*fd);
}

/* TAKE() for descriptors: its cleanup does nothing afterwards. */
static int take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

static int set_address(const char *path, struct sockaddr_un *address, struct error *err)
{
    size_t len_bytes = strlen(path);

    if (len_bytes == 0 || len_bytes >= sizeof address->sun_path) {
        return fail(err, ERR_USAGE, 0,
                    "the path of a socket has 1 to %zu bytes, this one %zu: '%s'",
                    sizeof address->sun_path - 1, len_bytes, path);
    }
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, len_bytes + 1);
    return 0;
}

/* Remove what is at the path if it is a socket of ours that nobody listens to. */
static int remove_dead(const struct sockaddr_un *address, struct error *err)
{
    const char *path = address->sun_path;
    struct stat status;

    if (lstat(path, &status) < 0) {
        return errno == ENOENT ? 0 : fail(err, ERR_IO, errno, "cannot look at %s", path);
    }
    if (!S_ISSOCK(status.st_mode)) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is there already and is no socket; name another place", path);
    }
    if (status.st_uid != geteuid()) {
        return fail(err, ERR_WRONG_STATE, 0, "the socket %s belongs to another user", path);
    }
    CLEANUP(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot make a socket");
    }
    /* A full backlog (EAGAIN) has a listener too; only a refusal proves that there is none. */
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
        errno != ECONNREFUSED) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "a server is at work at %s already; stop it or name another place", path);
    }
    if (unlink(path) < 0 && errno != ENOENT) {
        return fail(err, ERR_IO, errno, "cannot remove the dead socket %s", path);
    }
    return 0;
}

/* Bind with mode 0600 from the first moment on. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
    /* Linux makes the file with the mode that the socket has; the process's umask, which belongs to
     * all its threads, need not be touched. Source: Linux net/unix/af_unix.c, unix_bind_bsd(). */
    if (fchmod(fd, S_IRUSR | S_IWUSR) < 0) {
        return -1;
    }
    return bind(fd, (const struct sockaddr *)address, sizeof *address);
}

int local_socket_listen(const char *path, struct local_socket *out, struct error *err)
{
    struct sockaddr_un address;
    struct stat status = {0};

    if (set_address(path, &address, err) < 0) {
        return -1;
    }
    CLEANUP(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot make a socket");
    }
    int result = bind_private(fd, &address);
    if (result < 0 && errno == EADDRINUSE) {
        if (remove_dead(&address, err) < 0) {
            return -1;
        }
        result = bind_private(fd, &address);
    }
    if (result < 0) {
        return fail(err, ERR_IO, errno, "cannot make the socket %s", path);
    }
    if (lstat(path, &status) < 0 || (status.st_mode & 0077) != 0 ||
        listen(fd, NBD_SOCKET_BACKLOG) < 0) {
        int saved_errno = errno;
        (void)unlink(path); /* it is ours, made a moment ago; what matters is already wrong */
        return fail(err, ERR_IO, saved_errno, "cannot listen at %s", path);
    }
    *out =
        (struct local_socket){.fd = take_fd(&fd), .device = status.st_dev, .inode = status.st_ino};
    memcpy(out->path, address.sun_path, sizeof out->path);
    return 0;
}

void local_socket_close(struct local_socket *s)
{
    struct stat status;

    if (s->fd < 0) {
        return;
    }
    if (lstat(s->path, &status) == 0 && status.st_dev == s->device && status.st_ino == s->inode) {
        (void)unlink(s->path); /* a dead socket that stays is replaced by the next server */
    }
    close_fd(s->fd);
    s->fd = -1;
}

int local_socket_accept(const struct local_socket *s, int *out_fd, struct error *err)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len_bytes = sizeof peer;

    CLEANUP(close_fdp) int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            return fail(err, ERR_LIMIT, errno, "a connection to %s cannot be accepted", s->path);
        }
        return 0; /* nobody, or one that is gone again. Source: accept(2), error handling */
    }
    /* The file's mode keeps others out already, but not once it was changed. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len_bytes) < 0 ||
        (peer.uid != geteuid() && peer.uid != 0)) {
        return fail(err, ERR_PEER, 0, "user %ld may not connect to %s", (long)peer.uid, s->path);
    }
    *out_fd = take_fd(&fd);
    assert(*out_fd >= 0 && fd < 0);
    return 1;
}
