/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/link.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static ssize_t read_some(struct link *link, void *into, size_t size_bytes, struct error *err)
{
    return link_read(link, (struct span){into, size_bytes}, err);
}

static ssize_t write_some(struct link *link, const void *bytes, size_t len_bytes, struct error *err)
{
    return link_write(link, (struct const_span){bytes, len_bytes}, err);
}

/* Waits until the link is ready; a test that would hang fails instead. */
static void await(struct link *link, bool want_read, bool want_write)
{
    struct pollfd fds[LINK_POLL_MAX];
    size_t count = link->ops->poll_on(link, want_read, want_write, fds);

    assert_int_not_equal(count, 0);
    assert_true(poll(fds, (nfds_t)count, 10000) > 0);
}

static void a_pair_carries_bytes_both_ways(void **state)
{
    struct link *a = NULL;
    struct link *b = NULL;
    char buffer[16];

    (void)state;
    assert_int_equal(link_new_pair(&a, &b, NULL), 0);
    assert_string_equal(a->ops->name, "pair");
    assert_false(a->has_secret);
    assert_false(link_peer_has_name(a, "anybody"));
    assert_int_equal(read_some(b, buffer, sizeof buffer, NULL), LINK_AGAIN);
    assert_int_equal(write_some(a, "there", 5, NULL), 5);
    await(b, true, false);
    assert_int_equal(read_some(b, buffer, sizeof buffer, NULL), 5);
    assert_memory_equal(buffer, "there", 5);
    assert_int_equal(write_some(b, "back", 4, NULL), 4);
    await(a, true, true);
    assert_int_equal(read_some(a, buffer, sizeof buffer, NULL), 4);
    assert_memory_equal(buffer, "back", 4);
    assert_false(a->ops->has_buffered(a));
    link_close(a);
    link_close(b);
}

static void a_full_link_says_again(void **state)
{
    CLEANUP(link_closep) struct link *a = NULL;
    CLEANUP(link_closep) struct link *b = NULL;
    static uint8_t block[64 * KIB];
    ssize_t put = 0;
    size_t waiting = 0;

    (void)state;
    assert_int_equal(link_new_pair(&a, &b, NULL), 0);
    for (int i = 0; i < 10000 && (put = write_some(a, block, sizeof block, NULL)) > 0; i++) {
        waiting += (size_t)put;
    }
    assert_int_equal(put, LINK_AGAIN);
    while (waiting > 0) {
        ssize_t got = read_some(b, block, sizeof block, NULL);
        assert_true(got > 0);
        waiting -= (size_t)got;
    }
    await(a, false, true);
    assert_true(write_some(a, block, sizeof block, NULL) > 0);
}

static void shutdown_ends_one_direction(void **state)
{
    CLEANUP(link_closep) struct link *a = NULL;
    CLEANUP(link_closep) struct link *b = NULL;
    char buffer[16];
    struct error err = {.kind = ERR_NONE};

    (void)state;
    assert_int_equal(link_new_pair(&a, &b, NULL), 0);
    assert_int_equal(write_some(a, "last", 4, NULL), 4);
    a->ops->shutdown(a);
    a->ops->shutdown(a);
    assert_int_equal(read_some(b, buffer, sizeof buffer, &err), 4);
    assert_int_equal(read_some(b, buffer, sizeof buffer, &err), LINK_CLOSED);
    assert_int_equal(err.kind, ERR_NONE);
    assert_int_equal(write_some(b, "still", 5, &err), 5);
    assert_int_equal(read_some(a, buffer, sizeof buffer, &err), 5);
}

static void both_pipes_are_polled(void **state)
{
    CLEANUP(link_closep) struct link *link = NULL;
    struct pollfd fds[LINK_POLL_MAX];
    int in[2];
    int out[2];

    (void)state;
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    assert_int_equal(link_new_fd(in[0], out[1], "stdio", "pipes", &link, NULL), 0);
    assert_string_equal(link->ops->name, "stdio");
    assert_int_equal(link->ops->poll_on(link, true, true, fds), 2);
    assert_int_equal(fds[0].fd, in[0]);
    assert_int_equal(fds[1].fd, out[1]);
    assert_int_equal(link->ops->poll_on(link, false, true, fds), 1);
    assert_int_equal(fds[0].fd, out[1]);
    assert_int_equal(link->ops->poll_on(link, false, false, fds), 0);
    link->ops->shutdown(link);
    assert_int_equal(link->ops->poll_on(link, true, true, fds), 1);
    char byte;
    assert_int_equal(read(out[0], &byte, 1), 0); /* the end came through */
    (void)close(in[1]);
    (void)close(out[0]);
}

static volatile sig_atomic_t signals_seen;

static void count_signal(int number)
{
    (void)number;
    signals_seen = signals_seen + 1;
}

/* The peer is gone: a failure, in words, and no signal, whatever the program does about SIGPIPE. */
static void write_to_the_gone(struct link *link)
{
    struct error err = {.kind = ERR_NONE};
    ssize_t put = 0;

    for (int i = 0; i < 10 && put >= 0; i++) {
        put = write_some(link, "anything", 8, &err);
    }
    assert_int_equal(put, LINK_FAILED);
    assert_int_equal(err.kind, ERR_PEER);
    assert_non_null(strstr(err.message, "the peer of this test has ended"));
    assert_int_equal(signals_seen, 0);
    sigset_t pending;
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
}

static void no_signal_when_the_peer_is_gone(void **state)
{
    struct sigaction counting = {.sa_handler = count_signal};
    struct sigaction before;
    struct link *link = NULL;
    int in[2];
    int out[2];

    (void)state;
    assert_int_equal(sigaction(SIGPIPE, &counting, &before), 0);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    assert_int_equal(link_new_fd(in[0], out[1], "stdio", "the peer of this test", &link, NULL), 0);
    (void)close(in[1]);
    (void)close(out[0]);
    write_to_the_gone(link);
    link_close(link);

    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    (void)close(ends[1]);
    assert_int_equal(link_new_fd(ends[0], ends[0], "pair", "the peer of this test", &link, NULL),
                     0);
    write_to_the_gone(link);
    link_close(link);
    assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
}

/* A SIGPIPE that was pending before belongs to somebody else: it is still there afterwards. */
static void a_pending_signal_is_left_alone(void **state)
{
    sigset_t pipe_signal;
    sigset_t before;
    sigset_t pending;
    struct link *link = NULL;
    int out[2];
    const struct timespec at_once = {0};

    (void)state;
    (void)sigemptyset(&pipe_signal);
    (void)sigaddset(&pipe_signal, SIGPIPE);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &pipe_signal, &before), 0);
    assert_int_equal(pthread_kill(pthread_self(), SIGPIPE), 0);
    assert_int_equal(pipe(out), 0);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(in >= 0);
    assert_int_equal(link_new_fd(in, out[1], "stdio", "gone", &link, NULL), 0);
    (void)close(out[0]);
    assert_int_equal(write_some(link, "x", 1, NULL), LINK_FAILED);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGPIPE), 1);
    assert_int_equal(sigtimedwait(&pipe_signal, NULL, &at_once), SIGPIPE);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    link_close(link);
}

static void unread_data_at_the_end_is_a_failure(void **state)
{
    CLEANUP(link_closep) struct link *a = NULL;
    struct link *b = NULL;
    struct error err = {.kind = ERR_NONE};
    char buffer[16];

    (void)state;
    assert_int_equal(link_new_pair(&a, &b, NULL), 0);
    assert_int_equal(write_some(a, "never read", 10, NULL), 10);
    link_close(b);
    assert_int_equal(read_some(a, buffer, sizeof buffer, &err), LINK_FAILED);
    assert_int_equal(err.kind, ERR_PEER);
    assert_int_equal(err.errnum, ECONNRESET);
}

static void a_refused_descriptor_is_closed(void **state)
{
    struct error err = {.kind = ERR_NONE};
    struct link *link = NULL;
    int out[2];

    (void)state;
    assert_int_equal(pipe(out), 0);
    int broken = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(broken >= 0);
    (void)close(broken); /* a number without a descriptor */
    assert_int_equal(link_new_fd(broken, out[1], "stdio", "nobody", &link, &err), -1);
    assert_int_equal(err.kind, ERR_INTERNAL);
    assert_null(link);
    assert_int_equal(fcntl(out[1], F_GETFD), -1);
    (void)close(out[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_carries_bytes_both_ways),
        cmocka_unit_test(a_full_link_says_again),
        cmocka_unit_test(shutdown_ends_one_direction),
        cmocka_unit_test(both_pipes_are_polled),
        cmocka_unit_test(no_signal_when_the_peer_is_gone),
        cmocka_unit_test(a_pending_signal_is_left_alone),
        cmocka_unit_test(unread_data_at_the_end_is_a_failure),
        cmocka_unit_test(a_refused_descriptor_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
