/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * spawn_test.c - a shell as the child: what it has of us, and what it has not.
 */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char shell[] = "sh";
static char option[] = "-c";

/* Runs it to its end; what it printed is in `said`. Returns its exit status. */
static int run(const char *script, const struct spawn *as, char said[256])
{
    char *text = strdup(script);
    char *words[] = {shell, option, text, NULL};
    struct spawn spawn = *as;
    struct child child = {.pid_fd = -1};
    siginfo_t info = {0};
    int input[2];
    int output[2];

    assert_non_null(text);
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    spawn.file = spawn.file == NULL ? "sh" : spawn.file;
    spawn.words = words;
    spawn.input_fd = input[0];
    spawn.output_fd = output[1];
    assert_int_equal(spawn_child(&spawn, &child), 0);
    assert_int_equal(write(input[1], "a word\n", 7), 7);
    (void)close(input[0]);
    (void)close(input[1]);
    (void)close(output[1]);
    size_t count = 0;
    ssize_t got = 0;
    while ((got = read(output[0], said + count, 255 - count)) > 0) {
        count += (size_t)got;
    }
    said[count] = '\0';
    assert_int_equal(waitid(P_PIDFD, (id_t)child.pid_fd, &info, WEXITED), 0);
    assert_int_equal(info.si_pid, child.pid);
    assert_int_equal(info.si_code, CLD_EXITED);
    (void)close(output[0]);
    (void)close(child.pid_fd);
    free(text);
    return info.si_status;
}

static void the_pipes_are_its_input_and_output(void **state)
{
    char said[256];

    (void)state;
    assert_int_equal(run("read line; echo \"got $line\"; exit 7", &(struct spawn){0}, said), 7);
    assert_string_equal(said, "got a word\n");
}

static void it_has_no_other_descriptor(void **state)
{
    char said[256];
    int leaked = dup(STDIN_FILENO); /* without FD_CLOEXEC */

    (void)state;
    assert_true(leaked > STDERR_FILENO);
    /* The fourth is the shell's own, of the folder that it lists. */
    assert_int_equal(run("cd /proc/self/fd && echo *", &(struct spawn){0}, said), 0);
    assert_string_equal(said, "0 1 2 3\n");
    (void)close(leaked);
}

static void no_signal_is_blocked_and_sigpipe_kills(void **state)
{
    char said[256];
    sigset_t signals;

    (void)state;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &signals, NULL), 0);
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    assert_int_equal(
        run("grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\\t\\n'", &(struct spawn){0}, said),
        0);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &signals, NULL), 0);
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    const char *blocked = strstr(said, "SigBlk:");
    const char *ignored = strstr(said, "SigIgn:");
    assert_true(blocked != NULL && ignored != NULL);
    assert_int_equal(strtoull(blocked + 7, NULL, 16), 0);
    assert_int_equal(strtoull(ignored + 7, NULL, 16) & (1U << (SIGPIPE - 1)), 0);
}

static void its_environment_is_ours_or_what_it_is_given(void **state)
{
    static char given[] = "WHOSE=its own";
    static char path[] = "PATH=/usr/bin:/bin";
    char *environment[] = {given, path, NULL};
    char said[256];

    (void)state;
    assert_int_equal(setenv("WHOSE", "ours", 1), 0);
    assert_int_equal(run("echo $WHOSE", &(struct spawn){0}, said), 0);
    assert_string_equal(said, "ours\n");
    assert_int_equal(run("echo $WHOSE", &(struct spawn){.environment = environment}, said), 0);
    assert_string_equal(said, "its own\n");
}

static void a_mute_one_says_nothing_to_ours(void **state)
{
    char said[256];

    (void)state;
    assert_int_equal(run("readlink /proc/self/fd/2", &(struct spawn){.is_mute = true}, said), 0);
    assert_string_equal(said, "/dev/null\n");
}

static void it_is_in_our_group_or_its_own(void **state)
{
    static const char script[] = "test $(cut -d' ' -f5 /proc/self/stat) = $$";
    char said[256];

    (void)state;
    assert_int_equal(run(script, &(struct spawn){0}, said), 1);
    assert_int_equal(run(script, &(struct spawn){.has_own_group = true}, said), 0);
}

static void a_program_that_is_not_there(void **state)
{
    char *words[] = {shell, NULL};
    struct child child = {.pid_fd = -1};
    const struct spawn spawn = {.file = "resilver-has-no-such-program",
                                .words = words,
                                .input_fd = STDIN_FILENO,
                                .output_fd = STDOUT_FILENO};

    (void)state;
    assert_int_equal(spawn_child(&spawn, &child), ENOENT);
    assert_int_equal(child.pid_fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pipes_are_its_input_and_output),
        cmocka_unit_test(it_has_no_other_descriptor),
        cmocka_unit_test(no_signal_is_blocked_and_sigpipe_kills),
        cmocka_unit_test(its_environment_is_ours_or_what_it_is_given),
        cmocka_unit_test(a_mute_one_says_nothing_to_ours),
        cmocka_unit_test(it_is_in_our_group_or_its_own),
        cmocka_unit_test(a_program_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
