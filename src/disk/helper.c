/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Invariants:
 * 1. The child is waited for only here, through its pidfd, so its process id cannot be reused while
 *    a signal may still be sent.
 * 2. A helper is never held up by us: its stderr is a pipe that does not block it. When nobody
 *    reads for long and the pipe (64 KiB) is full, what it says then is lost, not waited for.
 * 3. Between fork and exec the child calls only async-signal-safe functions: our program may have
 *    other threads.
 *
 *   spawned --(socket accepts)--> running --(helper_end, or by itself)--> ended
 *      \------(ended, deadline)---------------------------------------------^
 */
#include "disk/helper.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/env.h"

#define CHILD_EXIT_FAILED 127
#define SOCKET_WAIT_MS 5 /* between two looks at a socket that is not there yet */

struct helper {
    char program[64];  /* for messages */
    pid_t process_id;  /* 0: no child was made */
    int pidfd;         /* owned; -1 before the child is there */
    int stdout_fd;     /* owned; -1: its stdout goes to /dev/null */
    int stderr_fd;     /* owned */
    bool has_ended;    /* reaped */
    int exit_status;   /* once it has ended */
    size_t tail_bytes; /* used of tail */
    char tail[HELPER_REASON_BYTES];
    char reason[HELPER_REASON_BYTES]; /* tail made presentable */
};

/* What the child needs to know, gathered before the fork. */
struct child_setup {
    char *const *argv;
    char *const *environment;
    int input_fd;
    int output_fd;
    int error_fd;
    int status_fd; /* carries the errno of a failed exec; closed by a good one */
    pid_t parent;
};

static void fd_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* nothing was written through it that could be lost */
    }
    *fd = -1;
}

static uint64_t now_ns(void)
{
    return env_now_ns(env_system());
}

static int ms_until(uint64_t deadline_ns)
{
    uint64_t now = now_ns();

    return now >= deadline_ns ? 0 : (int)((deadline_ns - now) / NS_PER_MS + 1);
}

/* --- the child's side ------------------------------------------------------------------------ */

static void child_reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int signal_number = 1; signal_number < NSIG; signal_number++) {
        (void)sigaction(signal_number, &action, NULL); /* KILL and STOP refuse; they need no reset
                                                        */
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The first three descriptors may be closed in the parent, so ours may be any of them: move first.
 */
static int child_set_descriptors(const struct child_setup *setup, int *status_fd)
{
    int input = fcntl(setup->input_fd, F_DUPFD_CLOEXEC, 3);
    int output = fcntl(setup->output_fd, F_DUPFD_CLOEXEC, 3);
    int error = fcntl(setup->error_fd, F_DUPFD_CLOEXEC, 3);

    *status_fd = fcntl(setup->status_fd, F_DUPFD_CLOEXEC, 3);
    if (input < 0 || output < 0 || error < 0 || *status_fd < 0) {
        return -1;
    }
    if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(error, 2) < 0) {
        return -1;
    }
    /* A library of ours may have opened something without close-on-exec. */
    return close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
}

static void child_exec(const struct child_setup *setup)
{
    int status_fd = setup->status_fd;

    /* Its own process group: a Ctrl-C at our terminal must not end it before our orderly end. */
    if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 &&
        child_set_descriptors(setup, &status_fd) == 0) {
        child_reset_signals();
        if (getppid() != setup->parent) {
            _exit(CHILD_EXIT_FAILED); /* the parent died before the death signal was set */
        }
        (void)execvpe(setup->argv[0], setup->argv, setup->environment);
    }
    int errnum = errno;
    ssize_t told = write(status_fd, &errnum, sizeof errnum);
    (void)told; /* the exit status says it too */
    _exit(CHILD_EXIT_FAILED);
}

/* --- spawning -------------------------------------------------------------------------------- */

static int make_pipe(int pipe_fds[2], int nonblocking_end, struct error *err)
{
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        return fail(err, ERR_LIMIT, errno, "cannot make a pipe");
    }
    for (int end = 0; end < 2; end++) {
        bool wanted = (nonblocking_end & (1 << end)) != 0;
        if (wanted && fcntl(pipe_fds[end], F_SETFL, O_NONBLOCK) != 0) {
            return fail(err, ERR_INTERNAL, errno, "cannot set up a pipe");
        }
    }
    return 0;
}

/* All signals are blocked over the fork, so that no handler of ours runs in the child. */
static pid_t fork_blocked(const struct child_setup *setup)
{
    sigset_t all;
    sigset_t before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t process_id = fork();
    if (process_id == 0) {
        child_exec(setup);
    }
    int errnum = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = errnum;
    return process_id;
}

/* 0 when the exec succeeded, else its errno. */
static int read_exec_status(int status_fd)
{
    int errnum = 0;
    ssize_t got;

    do {
        got = read(status_fd, &errnum, sizeof errnum);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof errnum ? errnum : 0;
}

static int helper_fork(struct helper *h, const struct child_setup *setup, struct error *err)
{
    assert(h->process_id == 0 && h->pidfd < 0);
    h->process_id = fork_blocked(setup);
    if (h->process_id < 0) {
        h->process_id = 0;
        return fail(err, ERR_LIMIT, errno, "cannot start %s", h->program);
    }
    h->pidfd = pidfd_open(h->process_id, 0);
    if (h->pidfd < 0) {
        int errnum = errno;
        (void)kill(h->process_id, SIGKILL); /* it is our child and not yet reaped: the id is its own
                                             */
        (void)waitpid(h->process_id, NULL, 0);
        h->process_id = 0;
        return fail(err, ERR_LIMIT, errnum, "cannot watch %s", h->program);
    }
    return 0;
}

enum { READ_END = 1, WRITE_END = 2 };

struct spawn_fds {
    int input;
    int output[2];
    int error[2];
    int status[2];
};

static int spawn_fds_open(struct spawn_fds *fds, bool want_output, struct error *err)
{
    fds->input = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fds->input < 0) {
        return fail(err, ERR_IO, errno, "cannot open /dev/null");
    }
    if (want_output && make_pipe(fds->output, READ_END, err) != 0) {
        return -1;
    }
    if (make_pipe(fds->error, READ_END | WRITE_END, err) != 0) { /* invariant 2 */
        return -1;
    }
    return make_pipe(fds->status, 0, err);
}

static void spawn_fds_close(struct spawn_fds *fds)
{
    fd_close(&fds->input);
    for (int end = 0; end < 2; end++) {
        fd_close(&fds->output[end]);
        fd_close(&fds->error[end]);
        fd_close(&fds->status[end]);
    }
}

/*
 * QEMU takes a new buffer for every request, and glibc gives one of this size back to the kernel at
 * once, which then clears it again page by page: kept, serving 1 GiB from the page cache takes 0.5
 * processor seconds instead of 1.7.
 */
static char *const allocator_settings[] = {
    "MALLOC_MMAP_THRESHOLD_=4194304",
    "MALLOC_TRIM_THRESHOLD_=67108864",
};

static bool has_variable(char *const *environment, const char *setting)
{
    size_t name_bytes = strcspn(setting, "=") + 1;

    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, setting, name_bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* Our environment with those settings, unless somebody has chosen others; borrowed but for the
 * array, which is for free(). NULL when memory is short. */
static char **environment_make(void)
{
    static char *const nothing[] = {NULL};
    char *const *ours = environ != NULL ? environ : nothing;
    size_t count = 0;

    while (ours[count] != NULL) {
        count++;
    }
    char **environment = calloc(count + ARRAY_COUNT(allocator_settings) + 1, sizeof *environment);
    if (environment == NULL) {
        return NULL;
    }
    memcpy(environment, ours, count * sizeof *environment);
    for (size_t i = 0; i < ARRAY_COUNT(allocator_settings); i++) {
        if (!has_variable(ours, allocator_settings[i])) {
            environment[count++] = allocator_settings[i];
        }
    }
    return environment;
}

static int spawn_with(struct helper *h, char *const argv[], struct spawn_fds *fds,
                      struct error *err)
{
    char **environment = environment_make();
    struct child_setup setup = {
        .argv = argv,
        .environment = environment,
        .input_fd = fds->input,
        .output_fd = fds->output[1] >= 0 ? fds->output[1] : fds->input,
        .error_fd = fds->error[1],
        .status_fd = fds->status[1],
        .parent = getpid(),
    };

    if (environment == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot start %s", h->program);
    }
    int forked = helper_fork(h, &setup, err);
    free(environment);
    if (forked != 0) {
        return -1;
    }
    fd_close(&fds->status[1]);
    int errnum = read_exec_status(fds->status[0]);
    if (errnum != 0) {
        return fail(err, ERR_IO, errnum, "cannot run %s", h->program);
    }
    h->stdout_fd = fds->output[0];
    h->stderr_fd = fds->error[0];
    fds->output[0] = -1;
    fds->error[0] = -1;
    return 0;
}

static int helper_spawn(struct helper *h, char *const argv[], bool want_output, struct error *err)
{
    struct spawn_fds fds = {-1, {-1, -1}, {-1, -1}, {-1, -1}};

    assert(argv[0] != NULL);
    *h = (struct helper){.pidfd = -1, .stdout_fd = -1, .stderr_fd = -1};
    (void)snprintf(h->program, sizeof h->program, "%s", argv[0]);
    int result = spawn_fds_open(&fds, want_output, err);
    if (result == 0) {
        result = spawn_with(h, argv, &fds, err);
    }
    spawn_fds_close(&fds);
    return result;
}

/* --- watching and ending --------------------------------------------------------------------- */

/* Keep the last HELPER_REASON_BYTES of its stderr. */
static void tail_append(struct helper *h, const char *bytes, size_t len_bytes)
{
    assert(len_bytes <= sizeof h->tail);
    size_t room = sizeof h->tail - h->tail_bytes;
    if (len_bytes > room) {
        size_t drop = len_bytes - room;
        memmove(h->tail, h->tail + drop, h->tail_bytes - drop);
        h->tail_bytes -= drop;
    }
    memcpy(h->tail + h->tail_bytes, bytes, len_bytes);
    h->tail_bytes += len_bytes;
    assert(h->tail_bytes <= sizeof h->tail);
}

static void tail_read(struct helper *h)
{
    char bytes[HELPER_REASON_BYTES / 2];

    while (h->stderr_fd >= 0) {
        ssize_t got = read(h->stderr_fd, bytes, sizeof bytes);
        if (got > 0) {
            tail_append(h, bytes, (size_t)got);
        } else if (got == 0) {
            fd_close(&h->stderr_fd);
        } else if (errno != EINTR) {
            return; /* nothing more for now */
        }
    }
}

/* One line: line ends become "; ", the rest is left to fail(), which hides control bytes. */
static void reason_make(struct helper *h)
{
    size_t used = 0;
    size_t end = h->tail_bytes;

    while (end > 0 && (h->tail[end - 1] == '\n' || h->tail[end - 1] == '\r')) {
        end--;
    }
    for (size_t i = 0; i < end && used + 3 < sizeof h->reason; i++) {
        if (h->tail[i] == '\n') {
            h->reason[used++] = ';';
            h->reason[used++] = ' ';
        } else if (h->tail[i] != '\0' && h->tail[i] != '\r') {
            h->reason[used++] = h->tail[i];
        }
    }
    h->reason[used] = '\0';
}

const char *helper_reason(struct helper *h)
{
    tail_read(h);
    reason_make(h);
    return h->reason;
}

bool helper_is_running(struct helper *h)
{
    siginfo_t info = {0};

    if (h->has_ended || h->pidfd < 0) {
        return false;
    }
    int result = waitid(P_PIDFD, (id_t)h->pidfd, &info, WEXITED | WNOHANG);
    if (result == 0 && info.si_pid == 0) {
        return true;
    }
    /* On an error nobody can know more: somebody else reaped it, and so it has ended. */
    h->has_ended = true;
    h->exit_status = CHILD_EXIT_FAILED;
    if (result == 0) {
        h->exit_status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
    }
    return false;
}

int helper_process_id(const struct helper *h)
{
    return h->process_id;
}

static void poll_quietly(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    /* An interrupted or failed poll means only that the caller looks earlier than it need. */
    if (poll(fds, count, timeout_ms) < 0) {
        for (nfds_t i = 0; i < count; i++) {
            fds[i].revents = 0;
        }
    }
}

static bool helper_wait_end(struct helper *h, unsigned timeout_s)
{
    uint64_t deadline_ns = now_ns() + timeout_s * NS_PER_S;

    while (helper_is_running(h)) {
        int left_ms = ms_until(deadline_ns);
        if (left_ms == 0) {
            return false;
        }
        struct pollfd watch = {.fd = h->pidfd, .events = POLLIN};
        poll_quietly(&watch, 1, left_ms);
    }
    return true;
}

static void helper_stop(struct helper *h)
{
    if (h->pidfd >= 0 && helper_is_running(h)) {
        /* It can only fail when the helper has just ended. */
        (void)pidfd_send_signal(h->pidfd, SIGTERM, NULL, 0);
        if (!helper_wait_end(h, HELPER_END_S)) {
            (void)pidfd_send_signal(h->pidfd, SIGKILL, NULL, 0);
            /* Not for ever: one that hangs in the kernel, on a dead NFS, cannot be ended by anyone.
             */
            (void)helper_wait_end(h, HELPER_END_S);
        }
    }
    fd_close(&h->pidfd);
    fd_close(&h->stdout_fd);
    fd_close(&h->stderr_fd);
}

void helper_end(struct helper *h)
{
    if (h != NULL) {
        helper_stop(h);
        free(h);
    }
}

void helper_endp(struct helper **h)
{
    helper_end(*h);
    *h = NULL;
}

/* --- a server -------------------------------------------------------------------------------- */

/* 0 accepted; else the errno of the attempt. */
static int try_connect(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return errno;
    }
    int errnum = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
    fd_close(&fd);
    return errnum;
}

static int fail_with_reason(struct helper *h, const char *what, struct error *err)
{
    const char *reason = helper_reason(h);

    if (reason[0] == '\0') {
        reason = "it gave no reason";
    }
    return fail(err, ERR_IO, 0, "%s %s: %s", h->program, what, reason);
}

static int helper_wait_socket(struct helper *h, const char *socket_path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint64_t deadline_ns = now_ns() + HELPER_START_S * NS_PER_S;

    if (strlen(socket_path) >= sizeof address.sun_path) {
        return fail(err, ERR_USAGE, 0,
                    "the socket path %s is longer than the %zu bytes of Unix "
                    "sockets",
                    socket_path, sizeof address.sun_path - 1);
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    while (try_connect(&address) != 0) {
        if (!helper_is_running(h)) {
            return fail_with_reason(h, "ended at once", err);
        }
        if (ms_until(deadline_ns) == 0) {
            return fail_with_reason(h, "did not get ready in time", err);
        }
        struct pollfd watch = {.fd = h->pidfd, .events = POLLIN};
        poll_quietly(&watch, 1, SOCKET_WAIT_MS);
    }
    return 0;
}

int helper_start(char *const argv[], const char *socket_path, char reason[HELPER_REASON_BYTES],
                 struct helper **out, struct error *err)
{
    CLEANUP(helper_endp) struct helper *h = calloc(1, sizeof *h);

    if (reason != NULL) {
        reason[0] = '\0';
    }
    if (h == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot start %s", argv[0]);
    }
    if (helper_spawn(h, argv, false, err) != 0) {
        return -1;
    }
    if (helper_wait_socket(h, socket_path, err) != 0) {
        if (reason != NULL) {
            memcpy(reason, helper_reason(h), HELPER_REASON_BYTES);
        }
        return -1;
    }
    *out = TAKE(h);
    return 0;
}

/* --- a command ------------------------------------------------------------------------------- */

/* Reads what is there; the buffer has room for HELPER_OUTPUT_MAX + 1 bytes and a NUL. */
static void output_read(struct helper *h, struct helper_result *result)
{
    while (h->stdout_fd >= 0 && result->output_bytes <= HELPER_OUTPUT_MAX) {
        ssize_t got = read(h->stdout_fd, result->output + result->output_bytes,
                           HELPER_OUTPUT_MAX + 1 - result->output_bytes);
        if (got > 0) {
            result->output_bytes += (size_t)got;
        } else if (got == 0) {
            fd_close(&h->stdout_fd);
        } else if (errno != EINTR) {
            return;
        }
    }
}

static int run_to_end(struct helper *h, unsigned timeout_s, struct helper_result *result,
                      struct error *err)
{
    uint64_t deadline_ns = now_ns() + timeout_s * NS_PER_S;

    for (;;) {
        /* Asked before reading: what it wrote before it ended is then in the pipes for sure. */
        bool is_running = helper_is_running(h);
        output_read(h, result);
        tail_read(h);
        if (result->output_bytes > HELPER_OUTPUT_MAX) {
            return fail(err, ERR_LIMIT, 0, "%s says more than %llu bytes", h->program,
                        HELPER_OUTPUT_MAX);
        }
        if (!is_running) {
            return 0;
        }
        int left_ms = ms_until(deadline_ns);
        if (left_ms == 0) {
            return fail(err, ERR_IO, ETIMEDOUT, "%s was ended after %u s", h->program, timeout_s);
        }
        struct pollfd watch[3] = {{.fd = h->pidfd, .events = POLLIN},
                                  {.fd = h->stdout_fd, .events = POLLIN},
                                  {.fd = h->stderr_fd, .events = POLLIN}};
        poll_quietly(watch, 3, left_ms);
    }
}

int helper_run(char *const argv[], unsigned timeout_s, struct helper_result *out, struct error *err)
{
    struct helper h;
    struct helper_result result = {.output = malloc(HELPER_OUTPUT_MAX + 2)};

    if (result.output == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot run %s", argv[0]);
    }
    int status = helper_spawn(&h, argv, true, err);
    if (status == 0) {
        status = run_to_end(&h, timeout_s, &result, err);
    }
    helper_stop(&h);
    if (status != 0) {
        helper_result_done(&result);
        return -1;
    }
    result.output[result.output_bytes] = '\0';
    result.exit_status = h.exit_status;
    reason_make(&h);
    memcpy(result.reason, h.reason, sizeof result.reason);
    *out = result;
    return 0;
}

void helper_result_done(struct helper_result *result)
{
    free(result->output);
    result->output = NULL;
}
