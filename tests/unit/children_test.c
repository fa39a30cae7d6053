/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/children.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/stop.h"

static bool is_readable(int fd, int wait_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, wait_ms) == 1;
}

/* Starts a child that writes to ready_fd once it runs, and waits for its stop descriptor. */
static void start_child(struct children *children, int ready_fd, bool obeys)
{
    int stop_fd = -1;
    int side = children_fork(children, &stop_fd, NULL);

    assert_true(side >= 0);
    if (side == CHILDREN_CHILD) {
        if (!obeys) {
            (void)signal(SIGTERM, SIG_IGN);
        }
        ssize_t written = write(ready_fd, "r", 1);
        bool is_told = is_readable(stop_fd, -1) && stop_signal_name() != NULL && obeys;
        _exit(written == 1 && is_told ? 0 : 1);
    }
}

static void await_ready(int fd)
{
    char byte = 0;

    assert_true(is_readable(fd, 10000));
    assert_int_equal(read(fd, &byte, 1), 1);
}

static void a_signal_makes_the_descriptor_readable(void **state)
{
    int stop_fd = -1;

    (void)state;
    assert_int_equal(stop_open(&stop_fd, NULL), 0);
    assert_null(stop_signal_name());
    assert_false(is_readable(stop_fd, 0));
    assert_int_equal(raise(SIGTERM), 0);
    assert_true(is_readable(stop_fd, 0));
    assert_string_equal(stop_signal_name(), "SIGTERM");
    assert_int_equal(stop_open(&stop_fd, NULL), 0);
    assert_null(stop_signal_name());
    assert_false(is_readable(stop_fd, 0));
    assert_int_equal(raise(SIGINT), 0);
    assert_string_equal(stop_signal_name(), "SIGINT");
}

static void the_second_signal_kills(void **state)
{
    int stop_fd = -1;
    int status = 0;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        if (stop_open(&stop_fd, NULL) == 0) {
            (void)raise(SIGINT);
            (void)raise(SIGINT);
        }
        _exit(7);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
}

static void an_ignored_signal_stays_ignored(void **state)
{
    int stop_fd = -1;

    (void)state;
    (void)signal(SIGHUP, SIG_IGN);
    assert_int_equal(stop_open(&stop_fd, NULL), 0);
    assert_int_equal(raise(SIGHUP), 0);
    assert_null(stop_signal_name());
    assert_false(is_readable(stop_fd, 0));
    (void)signal(SIGHUP, SIG_DFL);
}

static void a_childs_signal_is_its_own(void **state)
{
    struct children children = {.count = 0};
    struct pollfd fds[LISTEN_SESSIONS_MAX];
    int pipe_fds[2];
    int stop_fd = -1;

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(stop_open(&stop_fd, NULL), 0);
    start_child(&children, pipe_fds[1], true);
    await_ready(pipe_fds[0]);
    assert_int_equal(children.count, 1);
    children_reap(&children);
    assert_int_equal(children.count, 1);
    assert_int_equal(pidfd_send_signal(children.pidfds[0], SIGTERM, NULL, 0), 0);
    assert_int_equal(children_poll(&children, fds), 1);
    assert_int_equal(poll(fds, 1, 10000), 1);
    children_reap(&children);
    assert_int_equal(children.count, 0);
    assert_null(stop_signal_name());
    assert_false(is_readable(stop_fd, 0));
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

static void all_are_ended_and_the_stubborn_are_killed(void **state)
{
    struct children children = {.count = 0};
    int pipe_fds[2];
    const struct env *env = env_system();

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    for (unsigned i = 0; i < LISTEN_SESSIONS_MAX; i++) {
        start_child(&children, pipe_fds[1], true);
    }
    for (unsigned i = 0; i < LISTEN_SESSIONS_MAX; i++) {
        await_ready(pipe_fds[0]);
    }
    uint64_t start_ns = env_now_ns(env);
    children_end(&children, env);
    assert_int_equal(children.count, 0);
    assert_true(env_now_ns(env) - start_ns < HELPER_END_S * NS_PER_S);
    start_child(&children, pipe_fds[1], false);
    await_ready(pipe_fds[0]);
    start_ns = env_now_ns(env);
    children_end(&children, env);
    assert_int_equal(children.count, 0);
    assert_true(env_now_ns(env) - start_ns >= HELPER_END_S * NS_PER_S);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

/* A process that dies takes the sessions that it started with it: they see SIGTERM. */
static void children_do_not_outlive_their_parent(void **state)
{
    int pipe_fds[2];
    int status = 0;
    char byte = 0;

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        struct children children = {.count = 0};
        start_child(&children, pipe_fds[1], true);
        (void)pause();
        _exit(0);
    }
    (void)close(pipe_fds[1]);
    await_ready(pipe_fds[0]);
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(waitpid(parent, &status, 0), parent);
    /* The pipe ends when the last that holds it, the grandchild, has ended. */
    assert_true(is_readable(pipe_fds[0], 10000));
    assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
    (void)close(pipe_fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_makes_the_descriptor_readable),
        cmocka_unit_test(the_second_signal_kills),
        cmocka_unit_test(an_ignored_signal_stays_ignored),
        cmocka_unit_test(a_childs_signal_is_its_own),
        cmocka_unit_test(all_are_ended_and_the_stubborn_are_killed),
        cmocka_unit_test(children_do_not_outlive_their_parent),
    };
    return cmocka_run_group_tests_name("children", tests, NULL, NULL);
}
