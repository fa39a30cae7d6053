/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RESILVER_FAILPOINTS
#define RESILVER_FAILPOINTS
#endif
#include "base/failpoint.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char log_path[] = "/tmp/failpoint_test.XXXXXX";

static int make_log(void **state)
{
    (void)state;
    int fd = mkstemp(log_path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_log(void **state)
{
    (void)state;
    return unlink(log_path);
}

/* What a process does that passes these places: its wait status, and in text what it logged. */
static int run(const char *setting, const char *log, char text[64])
{
    assert_int_equal(truncate(log_path, 0), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)(setting == NULL ? unsetenv("RESILVER_FAILPOINT")
                               : setenv("RESILVER_FAILPOINT", setting, 1));
        (void)(log == NULL ? unsetenv("RESILVER_FAILPOINT_LOG")
                           : setenv("RESILVER_FAILPOINT_LOG", log, 1));
        FAILPOINT("step.before");
        for (int i = 0; i < 3; i++) {
            FAILPOINT("step");
        }
        FAILPOINT("step.after");
        _exit(7);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t got = read(fd, text, 63);
    assert_true(got >= 0);
    text[got] = '\0';
    assert_int_equal(close(fd), 0);
    return status;
}

static void expect_killed(const char *setting, const char *logged)
{
    char text[64];
    int status = run(setting, log_path, text);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_string_equal(text, logged);
}

static void expect_passed(const char *setting)
{
    char text[64];
    int status = run(setting, log_path, text);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_string_equal(text, "");
}

static void the_chosen_place_kills_and_is_logged(void **state)
{
    (void)state;
    expect_killed("step.before", "step.before\n");
    expect_killed("step.after", "step.after\n");
    expect_killed("step", "step\n");
}

static void a_later_time_is_counted(void **state)
{
    (void)state;
    expect_killed("step:1", "step\n");
    expect_killed("step:3", "step\n");
    expect_passed("step:4");
}

static void other_places_do_nothing(void **state)
{
    (void)state;
    expect_passed(NULL);
    expect_passed("");
    expect_passed("ste");
    expect_passed("step.afterwards");
    expect_passed("elsewhere");
}

/* A test that set it wrongly must not take "never fired" for an answer. */
static void a_wrong_setting_is_loud(void **state)
{
    char text[64];

    (void)state;
    int status = run("step:x", log_path, text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    status = run("step", NULL, text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chosen_place_kills_and_is_logged),
        cmocka_unit_test(a_later_time_is_counted),
        cmocka_unit_test(other_places_do_nothing),
        cmocka_unit_test(a_wrong_setting_is_loud),
    };

    return cmocka_run_group_tests(tests, make_log, remove_log);
}
