/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/children.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/stop.h"

/* In the child, with all signals held back: make it independent of the parent's signal handling. */
static int become_child(struct children *children, pid_t parent, int *out_stop_fd,
                        const sigset_t *before)
{
    for (size_t i = 0; i < children->count; i++) {
        (void)close(children->pidfds[i]); /* the parent's to watch */
    }
    children->count = 0;
    if (stop_open(out_stop_fd, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0) {
        _exit(1);
    }
    if (getppid() != parent) {
        _exit(1); /* it died before we asked to be told */
    }
    (void)sigprocmask(SIG_SETMASK, before, NULL); /* cannot fail: the set is what it was */
    return CHILDREN_CHILD;
}

int children_fork(struct children *children, int *out_stop_fd, struct error *err)
{
    assert(children->count < LISTEN_SESSIONS_MAX);
    sigset_t all;
    sigset_t before;
    pid_t parent = getpid();

    /* Until the child has a stop descriptor of its own, a signal to it would wake the parent's. */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before); /* neither can fail */
    pid_t child = fork();
    if (child == 0) {
        return become_child(children, parent, out_stop_fd, &before);
    }
    int fork_errno = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0) {
        return fail(err, ERR_LIMIT, fork_errno, "cannot start a process for a session");
    }
    int pidfd = pidfd_open(child, 0);
    if (pidfd < 0) {
        int pidfd_errno = errno;
        (void)kill(child, SIGKILL); /* ours and not waited for, so the number is still its own */
        (void)waitpid(child, NULL, 0);
        return fail(err, ERR_LIMIT, pidfd_errno, "cannot watch the process of a session");
    }
    children->pidfds[children->count++] = pidfd;
    return CHILDREN_PARENT;
}

size_t children_poll(const struct children *children, struct pollfd fds[])
{
    for (size_t i = 0; i < children->count; i++) {
        fds[i] = (struct pollfd){.fd = children->pidfds[i], .events = POLLIN};
    }
    return children->count;
}

void children_reap(struct children *children)
{
    for (size_t i = 0; i < children->count;) {
        siginfo_t info = {0};
        /* No pid in info: it has not ended. A failed wait means that it is not ours any more. */
        int result = waitid(P_PIDFD, (id_t)children->pidfds[i], &info, WEXITED | WNOHANG);
        if (result == 0 && info.si_pid == 0) {
            i++;
            continue;
        }
        if (result == 0 && info.si_code != CLD_EXITED) {
            log_event(LOG_LEVEL_ERROR, {"event", "session killed"},
                      {"signal", sigabbrev_np(info.si_status)});
        }
        (void)close(children->pidfds[i]);
        children->pidfds[i] = children->pidfds[--children->count];
    }
}

static void signal_all(const struct children *children, int number)
{
    for (size_t i = 0; i < children->count; i++) {
        (void)pidfd_send_signal(children->pidfds[i], number, NULL, 0); /* it may have ended */
    }
}

void children_end(struct children *children, const struct env *env)
{
    struct pollfd fds[LISTEN_SESSIONS_MAX];
    uint64_t deadline_ns = env_now_ns(env) + HELPER_END_S * NS_PER_S;

    signal_all(children, SIGTERM);
    for (children_reap(children); children->count > 0; children_reap(children)) {
        uint64_t now_ns = env_now_ns(env);
        if (now_ns >= deadline_ns) {
            break;
        }
        int wait_ms = (int)((deadline_ns - now_ns) / NS_PER_MS) + 1;
        (void)poll(fds, (nfds_t)children_poll(children, fds), wait_ms); /* a signal: look again */
    }
    signal_all(children, SIGKILL);
    while (children->count > 0) {
        (void)poll(fds, (nfds_t)children_poll(children, fds), -1);
        children_reap(children);
    }
}
