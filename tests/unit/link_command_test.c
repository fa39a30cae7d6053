/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link_command_test.c - a shell stands for ssh. The shell's command writes its process id first
 * where a test must see that the process is gone.
 */
#include "wire/link_command.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 200
#define TEST_DEADLINE_MS 20000

static void assert_words(const struct error *err, const char *words)
{
    if (strstr(err->message, words) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", err->message, words);
    }
}

static struct link *start(const char *script)
{
    char shell[] = "sh";
    char option[] = "-c";
    char *text = strdup(script);
    char *argv[] = {shell, option, text, NULL};
    struct link *link = NULL;
    struct error err = {.kind = ERR_NONE};

    assert_non_null(text);
    if (link_new_patient_command(argv, "ssh db1", PATIENCE_MS, &link, &err) < 0) {
        fail_msg("%s", err.message);
    }
    free(text);
    return link;
}

/* One read that gives more than "again". */
static ssize_t read_once(struct link *link, void *into, size_t size_bytes, struct error *err)
{
    struct pollfd fds[LINK_POLL_MAX];

    for (;;) {
        size_t count = link->ops->poll_on(link, true, false, fds);
        assert_true(poll(fds, (nfds_t)count, TEST_DEADLINE_MS) > 0);
        ssize_t got = link_read(link, (struct span){into, size_bytes}, err);
        if (got != LINK_AGAIN) {
            return got;
        }
    }
}

/* What the command writes until its end; returns how it ended. */
static ssize_t read_to_end(struct link *link, char *text, size_t size_bytes, struct error *err)
{
    size_t used = 0;

    for (;;) {
        assert_true(used < size_bytes - 1);
        ssize_t got = read_once(link, text + used, size_bytes - 1 - used, err);
        if (got < 0) {
            text[used] = '\0';
            return got;
        }
        used += (size_t)got;
    }
}

static void bytes_go_through_the_command(void **state)
{
    CLEANUP(link_closep) struct link *link = start("cat; exit 0");
    struct error err = {.kind = ERR_NONE};
    char text[64];

    (void)state;
    assert_string_equal(link->ops->name, "stdio");
    assert_string_equal(link->peer, "ssh db1");
    assert_int_equal(link_write(link, (struct const_span){(const uint8_t *)"hello", 5}, &err), 5);
    assert_int_equal(read_once(link, text, sizeof text, &err), 5);
    assert_memory_equal(text, "hello", 5);
    link->ops->shutdown(link);
    assert_int_equal(read_to_end(link, text, sizeof text, &err), LINK_CLOSED);
    assert_int_equal(err.kind, ERR_NONE);
}

static void the_exit_status_is_told(void **state)
{
    struct {
        const char *script;
        const char *words;
    } cases[] = {
        {"echo out; exit 255", "ssh db1 ended with status 255: no connection"},
        {"exit 1", "ssh db1 ended with status 1"},
        {"no-such-command-here 2>/dev/null", "ended with status 127: the command was not found"},
        {"kill -9 $$", "ssh db1 was killed by signal 9 (Killed)"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(link_closep) struct link *link = start(cases[i].script);
        struct error err = {.kind = ERR_NONE};
        char text[64];
        assert_int_equal(read_to_end(link, text, sizeof text, &err), LINK_FAILED);
        assert_int_equal(err.kind, ERR_PEER);
        assert_words(&err, cases[i].words);
        /* And again when asked again. */
        assert_int_equal(read_once(link, text, sizeof text, &err), LINK_FAILED);
    }
}

static void a_write_to_an_ended_command_tells_its_status(void **state)
{
    CLEANUP(link_closep) struct link *link = start("exec 0<&-; echo ready; exit 255");
    struct error err = {.kind = ERR_NONE};
    char text[64];

    (void)state;
    assert_int_equal(read_once(link, text, sizeof text, &err), 6);
    assert_int_equal(link_write(link, (struct const_span){(const uint8_t *)"x", 1}, &err),
                     LINK_FAILED);
    assert_non_null(strstr(err.message, "ssh db1 ended with status 255"));
}

static void closing_its_output_is_no_failure_while_it_lives(void **state)
{
    CLEANUP(link_closep) struct link *link = start("exec 1>&-; cat >/dev/null");
    struct error err = {.kind = ERR_NONE};
    char text[64];

    (void)state;
    assert_int_equal(read_to_end(link, text, sizeof text, &err), LINK_CLOSED);
    assert_int_equal(err.kind, ERR_NONE);
}

/* It hears from us although its output has ended before we said anything. */
static void the_end_of_its_output_does_not_hold_up_our_words(void **state)
{
    CLEANUP(link_closep) struct link *link = start("exec 1>&-; read word && exit 7");
    struct pollfd fds[LINK_POLL_MAX];
    struct error err = {.kind = ERR_NONE};
    char text[64];
    struct span into = {(uint8_t *)text, sizeof text};

    (void)state;
    assert_int_equal(link->ops->poll_on(link, true, false, fds), 1);
    assert_int_equal(poll(fds, 1, TEST_DEADLINE_MS), 1);
    assert_int_equal(link_read(link, into, &err), LINK_AGAIN);
    assert_int_equal(link->ops->poll_on(link, true, true, fds), 3);
    assert_int_equal(link_write(link, (struct const_span){(const uint8_t *)"word\n", 5}, &err), 5);
    assert_int_equal(read_once(link, text, sizeof text, &err), LINK_FAILED);
    assert_words(&err, "ssh db1 ended with status 7");
}

/* Starts a script that prints its process id and a line end first. */
static struct link *start_known(const char *script, pid_t *out_pid)
{
    char text[64];
    char whole[256];

    (void)snprintf(whole, sizeof whole, "%s", script);
    struct link *link = start(whole);
    ssize_t got = read_once(link, text, sizeof text - 1, NULL);
    assert_true(got > 0);
    text[got] = '\0';
    *out_pid = (pid_t)strtol(text, NULL, 10);
    assert_true(*out_pid > 1);
    assert_int_equal(kill(*out_pid, 0), 0);
    return link;
}

static uint64_t close_and_time_ms(struct link *link)
{
    uint64_t start_ns = env_now_ns(env_system());

    link_close(link);
    return (env_now_ns(env_system()) - start_ns) / NS_PER_MS;
}

static void the_end_of_input_ends_an_orderly_command(void **state)
{
    pid_t pid = 0;
    struct link *link = start_known("trap 'exit 9' TERM; echo $$; cat >/dev/null", &pid);

    (void)state;
    assert_true(close_and_time_ms(link) < TEST_DEADLINE_MS);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH); /* ended and waited for */
}

static void a_command_that_does_not_read_is_told_to_end(void **state)
{
    pid_t pid = 0;
    struct link *link = start_known("echo $$; exec sleep 1000", &pid);

    (void)state;
    uint64_t took_ms = close_and_time_ms(link);
    assert_true(took_ms >= PATIENCE_MS && took_ms < TEST_DEADLINE_MS);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void a_command_that_ignores_everything_is_killed(void **state)
{
    pid_t pid = 0;
    struct link *link = start_known("trap '' TERM; echo $$; exec sleep 1000", &pid);

    (void)state;
    uint64_t took_ms = close_and_time_ms(link);
    assert_true(took_ms >= 2 * PATIENCE_MS - 10 && took_ms < TEST_DEADLINE_MS);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void a_missing_command_is_an_error_at_once(void **state)
{
    char name[] = "no-such-ssh-client";
    char *argv[] = {name, NULL};
    struct link *link = NULL;
    struct error err = {.kind = ERR_NONE};

    (void)state;
    assert_int_equal(link_new_command(argv, "ssh db1", &link, &err), -1);
    assert_int_equal(err.kind, ERR_PEER);
    assert_non_null(strstr(err.message, "cannot start no-such-ssh-client"));
    assert_null(link);
}

/* The command gets three descriptors, no blocked signal, and SIGPIPE as it is by default. */
static void the_command_inherits_nothing_else(void **state)
{
    sigset_t all;
    sigset_t before;
    char text[4096];
    struct error err = {.kind = ERR_NONE};

    (void)state;
    int leak = open("/dev/null", O_RDONLY); /* NOLINT: without O_CLOEXEC, as a library might */
    assert_true(leak >= 0);
    (void)sigfillset(&all);
    assert_int_equal(sigprocmask(SIG_BLOCK, &all, &before), 0);
    void (*pipe_before)(int) = signal(SIGPIPE, SIG_IGN);
    CLEANUP(link_closep)
    struct link *link =
        start("for n in 3 4 5 6 7 8 9; do test -e /proc/$$/fd/$n && echo open $n; done;"
              "exec grep -E 'Sig(Blk|Ign)' /proc/self/status");
    (void)signal(SIGPIPE, pipe_before);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    (void)close(leak);
    assert_int_equal(read_to_end(link, text, sizeof text, &err), LINK_CLOSED);
    assert_null(strstr(text, "open"));
    const char *blocked = strstr(text, "SigBlk:");
    const char *ignored = strstr(text, "SigIgn:");
    assert_non_null(blocked);
    assert_non_null(ignored);
    assert_int_equal(strtoull(blocked + 7, NULL, 16), 0);
    assert_int_equal(strtoull(ignored + 7, NULL, 16) & (1ULL << (SIGPIPE - 1)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_through_the_command),
        cmocka_unit_test(the_exit_status_is_told),
        cmocka_unit_test(a_write_to_an_ended_command_tells_its_status),
        cmocka_unit_test(closing_its_output_is_no_failure_while_it_lives),
        cmocka_unit_test(the_end_of_its_output_does_not_hold_up_our_words),
        cmocka_unit_test(the_end_of_input_ends_an_orderly_command),
        cmocka_unit_test(a_command_that_does_not_read_is_told_to_end),
        cmocka_unit_test(a_command_that_ignores_everything_is_killed),
        cmocka_unit_test(a_missing_command_is_an_error_at_once),
        cmocka_unit_test(the_command_inherits_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
