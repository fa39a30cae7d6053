/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link_fd.c - a link over descriptors: a socketpair, or the two pipes of a command or of our own
 * standard streams.
 *
 * SIGPIPE: a socket is written with MSG_NOSIGNAL. A pipe has no such flag, so its writer blocks the
 * signal in its own thread for the time of the write and takes away the one that the write has
 * raised. Nothing is asked of the program: it may leave SIGPIPE as it is, handle it or ignore it.
 */
#include "wire/link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * What is in flight between the two halves of a pair. Measured between two threads on a 2-core
 * machine, GiB/s with writes of 64 KiB, 256 KiB and 1 MiB: 64 KiB of buffer 0.6, 1.5, 3.6; 208
 * KiB 4.7, 2.5 to 5.7, 4.8; 1 MiB 3.8, 4.3, 4.3; 4 MiB 4.6, 4.4, 4.8. From 208 KiB on the
 * differences are noise; 1 MiB lets each side work undisturbed for some 200 microseconds. An
 * ordinary user gets at most net.core.wmem_max, often 208 KiB, which is enough.
 */
#define PAIR_BUFFER_BYTES ((int)(1 * MIB))

struct link_fd {
    struct link link;
    int read_fd;    /* owned */
    int write_fd;   /* owned; the same as read_fd for a socket; -1 after the shutdown of a pipe */
    bool is_socket; /* what is written to is a socket */
    bool is_shut;
};

static struct link_fd *fd_of(struct link *link)
{
    return (struct link_fd *)link; /* the link is the first member */
}

static ssize_t fd_read(struct link *link, struct span into, struct error *err)
{
    struct link_fd *f = fd_of(link);
    ssize_t got;

    assert(into.at != NULL && into.len_bytes > 0);
    do {
        got = read(f->read_fd, into.at, into.len_bytes);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        return got;
    }
    if (got == 0) {
        return LINK_CLOSED;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return LINK_AGAIN;
    }
    (void)fail(err, ERR_PEER, errno, "the connection to %s broke while reading", link->peer);
    return LINK_FAILED;
}

/* write(2) that gives EPIPE and no signal. Cost: three or four system calls of 0.1 microseconds. */
static ssize_t write_without_signal(int fd, struct const_span bytes)
{
    sigset_t pipe_signal;
    sigset_t before;
    sigset_t pending;

    (void)sigemptyset(&pipe_signal); /* these two fail for bad numbers only */
    (void)sigaddset(&pipe_signal, SIGPIPE);
    (void)sigemptyset(&pending);
    int refused = pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    if (refused != 0) {
        errno = refused;
        return -1;
    }
    /* One that was pending before belongs to somebody else and stays. */
    (void)sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    ssize_t put = write(fd, bytes.at, bytes.len_bytes);
    int errnum = errno;
    if (put < 0 && errnum == EPIPE && !was_pending) {
        const struct timespec at_once = {0};
        while (sigtimedwait(&pipe_signal, NULL, &at_once) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = errnum;
    return put;
}

static ssize_t fd_write(struct link *link, struct const_span bytes, struct error *err)
{
    struct link_fd *f = fd_of(link);
    ssize_t put;

    assert(!f->is_shut);
    assert(bytes.at != NULL && bytes.len_bytes > 0);
    do {
        put = f->is_socket ? send(f->write_fd, bytes.at, bytes.len_bytes, MSG_NOSIGNAL)
                           : write_without_signal(f->write_fd, bytes);
    } while (put < 0 && errno == EINTR);
    if (put >= 0) {
        return put;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return LINK_AGAIN;
    }
    if (errno == EPIPE || errno == ECONNRESET) {
        (void)fail(err, ERR_PEER, 0, "%s has ended and takes no more data", link->peer);
    } else {
        (void)fail(err, ERR_PEER, errno, "the connection to %s broke while writing", link->peer);
    }
    return LINK_FAILED;
}

static size_t fd_poll_on(struct link *link, bool want_read, bool want_write,
                         struct pollfd fds[LINK_POLL_MAX])
{
    struct link_fd *f = fd_of(link);
    size_t count = 0;

    if (want_read) {
        fds[count++] = (struct pollfd){.fd = f->read_fd, .events = POLLIN};
    }
    if (want_write && !f->is_shut) {
        if (count == 1 && f->write_fd == f->read_fd) {
            fds[0].events |= POLLOUT;
        } else {
            fds[count++] = (struct pollfd){.fd = f->write_fd, .events = POLLOUT};
        }
    }
    return count;
}

static bool fd_has_buffered(struct link *link)
{
    (void)link; /* nothing is kept on this side of the descriptors */
    return false;
}

static void fd_shutdown(struct link *link)
{
    struct link_fd *f = fd_of(link);

    if (f->is_shut) {
        return;
    }
    f->is_shut = true;
    if (f->is_socket) {
        (void)shutdown(f->write_fd, SHUT_WR); /* best effort: the peer may be gone already */
    }
    if (f->write_fd != f->read_fd) {
        (void)close(f->write_fd); /* nothing is buffered in a pipe's or socket's descriptor */
        f->write_fd = -1;
    }
}

static void close_both(int read_fd, int write_fd)
{
    if (read_fd >= 0) {
        (void)close(read_fd);
    }
    if (write_fd >= 0 && write_fd != read_fd) {
        (void)close(write_fd);
    }
}

static void fd_close(struct link *link)
{
    struct link_fd *f = fd_of(link);

    close_both(f->read_fd, f->write_fd);
    free(f);
}

static int make_nonblocking(int fd, const char *peer, struct error *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)) {
        return fail(err, ERR_INTERNAL, errno, "cannot make the connection to %s non-blocking",
                    peer);
    }
    return 0;
}

static int prepare(struct link_fd *f, struct error *err)
{
    struct stat status;

    if (make_nonblocking(f->read_fd, f->link.peer, err) < 0 ||
        make_nonblocking(f->write_fd, f->link.peer, err) < 0) {
        return -1;
    }
    if (fstat(f->write_fd, &status) < 0) {
        return fail(err, ERR_INTERNAL, errno, "cannot look at the connection to %s", f->link.peer);
    }
    f->is_socket = S_ISSOCK(status.st_mode);
    return 0;
}

/* The names are fixed by link.h; a table each, because a link's name is its operations' name. */
#define FD_OPS(ops_name)                                                                           \
    {                                                                                              \
        .name = (ops_name), .read = fd_read, .write = fd_write, .poll_on = fd_poll_on,             \
        .has_buffered = fd_has_buffered, .shutdown = fd_shutdown, .close = fd_close                \
    }

static const struct link_ops pair_ops = FD_OPS("pair");
static const struct link_ops stdio_ops = FD_OPS("stdio");

int link_new_fd(int read_fd, int write_fd, const char *name, const char *peer, struct link **out,
                struct error *err)
{
    struct link_fd *f = calloc(1, sizeof *f);

    assert(read_fd >= 0 && write_fd >= 0);
    if (f == NULL) {
        close_both(read_fd, write_fd);
        return fail(err, ERR_LIMIT, ENOMEM, "cannot keep a connection to %s", peer);
    }
    f->link.ops = strcmp(name, "pair") == 0 ? &pair_ops : &stdio_ops;
    (void)snprintf(f->link.peer, sizeof f->link.peer, "%s", peer); /* cut if longer */
    f->read_fd = read_fd;
    f->write_fd = write_fd;
    if (prepare(f, err) < 0) {
        fd_close(&f->link);
        return -1;
    }
    *out = &f->link;
    return 0;
}

/* Best effort: with small buffers a pair is slower and just as right. */
static void enlarge(int fd)
{
    const int bytes = PAIR_BUFFER_BYTES;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
}

int link_new_pair(struct link **out_a, struct link **out_b, struct error *err)
{
    CLEANUP(link_closep) struct link *a = NULL;
    CLEANUP(link_closep) struct link *b = NULL;
    const char *peer = "the other half of this program";
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot make a pair of connected sockets");
    }
    enlarge(ends[0]);
    enlarge(ends[1]);
    if (link_new_fd(ends[0], ends[0], "pair", peer, &a, err) < 0) {
        (void)close(ends[1]);
        return -1;
    }
    if (link_new_fd(ends[1], ends[1], "pair", peer, &b, err) < 0) {
        return -1;
    }
    a->is_local = true;
    b->is_local = true;
    *out_a = TAKE(a);
    *out_b = TAKE(b);
    return 0;
}
