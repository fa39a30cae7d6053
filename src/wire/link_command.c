/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link_command.c - a link to a command (an ssh client) by its standard input and output.
 *
 * 1. The command's standard error is ours: what ssh has to say, and what it asks on the terminal,
 *    reaches the person.
 * 2. The command is in our process group, so that it may use the terminal and a Ctrl-C reaches it
 *    as well.
 * 3. Until it was waited for, its process descriptor is open; it is ended and waited for by that
 *    descriptor only.
 * 4. When our process dies, however it does, the command sees the end of its input.
 */
#include "wire/link_command.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/spawn.h"

/*
 * How long the end of its output waits for the end of the command itself, to learn its exit status.
 * A process that exits closes its output microseconds before it can be waited for; ssh may close it
 * earlier, when the command at the other host did, and follows within the same moment. A command
 * that stays has closed its direction properly. A read does not block for it: the command may end
 * only after it has heard from us.
 */
#define END_OF_OUTPUT_MS 500

/*
 * What is in flight to the command and from it: saves our thread wake-ups. It does not make ssh
 * faster, whose cipher is the limit (0.12 to 0.15 GiB/s on a 2-core machine with 64 KiB, 256 KiB
 * and 1 MiB, and the same over a socketpair).
 */
#define PIPE_BYTES ((int)(256 * KIB))

/* How long a person may take to answer what the command asks: the time that sshd gives, too. */
#define PERSON_ANSWERS_S 120U

struct link_command {
    struct link link;
    struct link *streams; /* owned: its standard input and output */
    int process_fd;       /* owned: its process descriptor */
    int patience_ms;
    bool is_output_over;
    int timer_fd;   /* owned: END_OF_OUTPUT_MS after that; -1: none */
    bool has_ended; /* and was waited for: `end` is filled */
    siginfo_t end;
};

static struct link_command *command_of(struct link *link)
{
    return (struct link_command *)link; /* the link is the first member */
}

/* Whether the command has ended, within timeout_ms. */
static bool await_end(struct link_command *c, int timeout_ms)
{
    const struct env *env = env_system();
    uint64_t start_ns = env_now_ns(env);
    struct pollfd process = {.fd = c->process_fd, .events = POLLIN};
    int left_ms = timeout_ms;

    while (!c->has_ended) {
        int ready = poll(&process, 1, left_ms);
        if (ready > 0 && waitid(P_PIDFD, (id_t)c->process_fd, &c->end, WEXITED) == 0) {
            c->has_ended = true;
        } else if (ready == 0 || errno != EINTR) {
            return false;
        } else {
            uint64_t passed_ms = (env_now_ns(env) - start_ns) / NS_PER_MS;
            left_ms = passed_ms < (uint64_t)timeout_ms ? timeout_ms - (int)passed_ms : 0;
        }
    }
    return true;
}

/* Why ssh, or the shell at the other host, ends with this status. */
static const char *status_hint(int status)
{
    switch (status) {
    case 126:
        return ": the command at the other end may not be run";
    case 127:
        return ": the command was not found at the other end; is it installed there?";
    case 255:
        return ": no connection, or it was lost; its own message tells why";
    default:
        return "";
    }
}

/* The command has ended before we closed the link. Returns LINK_CLOSED for an orderly end. */
static ssize_t report_end(const struct link_command *c, bool is_writing, struct error *err)
{
    assert(c->has_ended);
    if (c->end.si_code != CLD_EXITED) {
        (void)fail(err, ERR_PEER, 0, "%s was killed by signal %d (%s)", c->link.peer,
                   c->end.si_status, strsignal(c->end.si_status));
        return LINK_FAILED;
    }
    if (c->end.si_status == 0 && !is_writing) {
        return LINK_CLOSED;
    }
    (void)fail(err, ERR_PEER, 0, "%s ended with status %d%s", c->link.peer, c->end.si_status,
               status_hint(c->end.si_status));
    return LINK_FAILED;
}

static void note_output_over(struct link_command *c)
{
    const struct itimerspec once = {.it_value.tv_nsec = END_OF_OUTPUT_MS * (long)NS_PER_MS};

    c->is_output_over = true;
    c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (c->timer_fd >= 0 && timerfd_settime(c->timer_fd, 0, &once, NULL) < 0) {
        (void)close(c->timer_fd);
        c->timer_fd = -1; /* then a command that has not ended at once is taken to stay */
    }
}

/* Its output is over; whether the command is going to end, too, is not known yet. */
static bool is_end_open(const struct link_command *c)
{
    struct pollfd timer = {.fd = c->timer_fd, .events = POLLIN};

    return c->is_output_over && !c->has_ended && c->timer_fd >= 0 && poll(&timer, 1, 0) == 0;
}

static ssize_t command_read(struct link *link, struct span into, struct error *err)
{
    struct link_command *c = command_of(link);

    if (!c->is_output_over) {
        ssize_t got = link_read(c->streams, into, err);
        if (got != LINK_CLOSED) {
            return got;
        }
        note_output_over(c);
    }
    if (await_end(c, 0)) {
        return report_end(c, false, err);
    }
    return is_end_open(c) ? LINK_AGAIN : LINK_CLOSED;
}

static ssize_t command_write(struct link *link, struct const_span bytes, struct error *err)
{
    struct link_command *c = command_of(link);
    ssize_t put = link_write(c->streams, bytes, err);

    if (put != LINK_FAILED || !await_end(c, END_OF_OUTPUT_MS)) {
        return put;
    }
    return report_end(c, true, err);
}

static size_t command_poll_on(struct link *link, bool want_read, bool want_write,
                              struct pollfd fds[LINK_POLL_MAX])
{
    const struct link_command *c = command_of(link);
    size_t count = 0;

    if (want_read && is_end_open(c)) {
        fds[count++] = (struct pollfd){.fd = c->process_fd, .events = POLLIN};
        fds[count++] = (struct pollfd){.fd = c->timer_fd, .events = POLLIN};
        want_read = false; /* the output's end itself could be read again and again */
    }
    return count + c->streams->ops->poll_on(c->streams, want_read, want_write, fds + count);
}

static bool command_has_buffered(struct link *link)
{
    struct link *streams = command_of(link)->streams;

    return streams->ops->has_buffered(streams);
}

static void command_shutdown(struct link *link)
{
    struct link *streams = command_of(link)->streams;

    streams->ops->shutdown(streams);
}

/* Its streams are closed; now it ends by itself, or is told to, or is made to. */
static void end_command(struct link_command *c)
{
    if (await_end(c, c->patience_ms)) {
        return;
    }
    (void)pidfd_send_signal(c->process_fd, SIGTERM, NULL, 0); /* fails if it has just ended */
    if (await_end(c, c->patience_ms)) {
        return;
    }
    (void)pidfd_send_signal(c->process_fd, SIGKILL, NULL, 0);
    /* Not for ever: one that hangs in the kernel, on a dead NFS, cannot be ended by anyone. */
    (void)await_end(c, c->patience_ms);
}

static void command_close(struct link *link)
{
    struct link_command *c = command_of(link);

    link_close(c->streams);
    if (c->timer_fd >= 0) {
        (void)close(c->timer_fd);
    }
    if (c->process_fd >= 0) {
        end_command(c);
        (void)close(c->process_fd);
    }
    free(c);
}

static const struct link_ops command_ops = {
    .name = "stdio",
    .read = command_read,
    .write = command_write,
    .poll_on = command_poll_on,
    .has_buffered = command_has_buffered,
    .shutdown = command_shutdown,
    .close = command_close,
};

static void close_two(int fds[2])
{
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static int make_pipes(int to_command[2], int from_command[2], const char *peer, struct error *err)
{
    if (pipe2(to_command, O_CLOEXEC) < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot make a pipe to %s", peer);
    }
    if (pipe2(from_command, O_CLOEXEC) < 0) {
        int errnum = errno;
        close_two(to_command);
        return fail(err, ERR_LIMIT, errnum, "cannot make a pipe from %s", peer);
    }
    (void)fcntl(to_command[1], F_SETPIPE_SZ, PIPE_BYTES); /* best effort: smaller is only slower */
    (void)fcntl(from_command[0], F_SETPIPE_SZ, PIPE_BYTES);
    return 0;
}

/* Fills process_fd. */
static int start(struct link_command *c, char *const argv[], int input_fd, int output_fd,
                 struct error *err)
{
    struct child child = {.pid_fd = -1};
    int refused = spawn_child(
        &(struct spawn){
            .file = argv[0], .words = argv, .input_fd = input_fd, .output_fd = output_fd},
        &child);

    if (refused == ENOENT) {
        return fail(err, ERR_PEER, 0,
                    "cannot start %s: there is no such command (install it, or name another)",
                    argv[0]);
    }
    if (refused != 0) {
        return fail(err, ERR_PEER, refused, "cannot start %s", argv[0]);
    }
    c->process_fd = child.pid_fd;
    return 0;
}

/* Opens the pipes, starts the command on them and keeps our ends. */
static int connect_command(struct link_command *c, char *const argv[], struct error *err)
{
    int to_command[2];
    int from_command[2];

    if (make_pipes(to_command, from_command, c->link.peer, err) < 0) {
        return -1;
    }
    int started = start(c, argv, to_command[0], from_command[1], err);
    (void)close(to_command[0]);
    (void)close(from_command[1]);
    if (started < 0) {
        (void)close(to_command[1]);
        (void)close(from_command[0]);
        return -1;
    }
    return link_new_fd(from_command[0], to_command[1], "stdio", c->link.peer, &c->streams, err);
}

int link_new_patient_command(char *const argv[], const char *peer, int patience_ms,
                             struct link **out, struct error *err)
{
    struct link_command *c = calloc(1, sizeof *c);

    assert(argv[0] != NULL && patience_ms >= 0);
    if (c == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot start %s", argv[0]);
    }
    c->link.ops = &command_ops;
    (void)snprintf(c->link.peer, sizeof c->link.peer, "%s", peer); /* cut if longer */
    if (isatty(STDERR_FILENO) == 1) {
        c->link.patience_s = PERSON_ANSWERS_S; /* without a terminal nobody is asked */
    }
    c->process_fd = -1;
    c->timer_fd = -1;
    c->patience_ms = patience_ms;
    if (connect_command(c, argv, err) < 0) {
        command_close(&c->link);
        return -1;
    }
    *out = &c->link;
    return 0;
}

int link_new_command(char *const argv[], const char *peer, struct link **out, struct error *err)
{
    return link_new_patient_command(argv, peer, (int)(HELPER_END_S * 1000), out, err);
}
