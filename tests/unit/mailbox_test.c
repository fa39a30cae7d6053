/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that meet at a mailbox; also run under the thread sanitizer. */
#include "base/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

#define DEADLINE_MS 30000
#define CALLERS 16U
#define CALLS_EACH 500U
#define CROWD (MAILBOX_MAX + 44U)

static struct mailbox *mailbox;

/* One caller: what it asked for, and what came of it. Only the owner writes done_count and by. */
struct caller {
    pthread_t thread;
    uint32_t calls;         /* to make */
    uint32_t done_count;    /* work done for it */
    uint32_t granted_count; /* calls that returned true */
    uint32_t refused_count;
    pthread_t by; /* who did its work last */
};

static int make_mailbox(void **state)
{
    (void)state;
    return mailbox_new(&mailbox, NULL);
}

static int free_mailbox(void **state)
{
    (void)state;
    mailbox_free(mailbox);
    mailbox = NULL;
    return 0;
}

static bool has_work(int timeout_ms)
{
    struct pollfd watch = {.fd = mailbox_fd(mailbox), .events = POLLIN};

    return poll(&watch, 1, timeout_ms) == 1;
}

static void count_one(void *argument)
{
    struct caller *caller = argument;

    caller->done_count++;
    caller->by = pthread_self();
}

static void *call_often(void *argument)
{
    struct caller *caller = argument;

    for (uint32_t i = 0; i < caller->calls; i++) {
        if (mailbox_call(mailbox, count_one, caller)) {
            caller->granted_count++;
            /* The work's end comes before the call's: this thread may read what it wrote. */
            assert(caller->done_count == caller->granted_count);
        } else {
            caller->refused_count++;
        }
    }
    return NULL;
}

static void start(struct caller *callers, uint32_t count, uint32_t calls)
{
    for (uint32_t i = 0; i < count; i++) {
        callers[i] = (struct caller){.calls = calls};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
    }
}

static void end(struct caller *callers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
    }
}

static uint32_t done_of(const struct caller *callers, uint32_t count)
{
    uint32_t done = 0;

    for (uint32_t i = 0; i < count; i++) {
        done += callers[i].done_count;
    }
    return done;
}

static void run_until(const struct caller *callers, uint32_t count, uint32_t done)
{
    while (done_of(callers, count) < done) {
        assert_true(has_work(DEADLINE_MS));
        mailbox_run(mailbox);
    }
}

static void each_call_is_done_once_by_the_owner(void **state)
{
    struct caller callers[CALLERS];

    (void)state;
    start(callers, CALLERS, CALLS_EACH);
    run_until(callers, CALLERS, CALLERS * CALLS_EACH);
    end(callers, CALLERS);
    for (uint32_t i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].done_count, CALLS_EACH);
        assert_int_equal(callers[i].granted_count, CALLS_EACH);
        assert_int_equal(callers[i].refused_count, 0);
        assert_true(pthread_equal(callers[i].by, pthread_self()));
    }
    mailbox_run(mailbox); /* nothing is left, and nothing done twice */
    assert_int_equal(done_of(callers, CALLERS), CALLERS * CALLS_EACH);
    assert_false(has_work(0));
}

/* The owner does not look until all that fit wait: the others must wait for room, and get it. */
static void more_callers_than_room_are_all_served(void **state)
{
    static struct caller crowd[CROWD];

    (void)state;
    start(crowd, CROWD, 2);
    assert_true(has_work(DEADLINE_MS));
    run_until(crowd, CROWD, CROWD * 2);
    end(crowd, CROWD);
    for (uint32_t i = 0; i < CROWD; i++) {
        assert_int_equal(crowd[i].done_count, 2);
    }
}

/* A caller whose work waits until another one has come: it is at the next run that that one's is
 * done, and the owner is told. */
struct chain {
    pthread_t second;
    struct caller late;
    bool is_done;
};

static void *call_late(void *argument)
{
    return call_often(argument);
}

static void wait_for_another(void *argument)
{
    struct chain *chain = argument;

    chain->late.calls = 1;
    assert_int_equal(pthread_create(&chain->second, NULL, call_late, &chain->late), 0);
    assert_true(has_work(DEADLINE_MS));
    chain->is_done = true;
}

static void *call_first(void *argument)
{
    bool is_done = mailbox_call(mailbox, wait_for_another, argument);

    assert(is_done);
    return NULL;
}

static void a_run_ends_though_callers_keep_coming(void **state)
{
    struct chain chain = {.is_done = false};
    pthread_t first;

    (void)state;
    assert_int_equal(pthread_create(&first, NULL, call_first, &chain), 0);
    assert_true(has_work(DEADLINE_MS));
    mailbox_run(mailbox);
    assert_true(chain.is_done);
    assert_int_equal(chain.late.done_count, 0);
    assert_true(has_work(0));
    mailbox_run(mailbox);
    assert_int_equal(chain.late.done_count, 1);
    assert_int_equal(pthread_join(first, NULL), 0);
    assert_int_equal(pthread_join(chain.second, NULL), 0);
}

static void a_shut_mailbox_refuses_who_waits_and_who_comes(void **state)
{
    static struct caller crowd[CROWD];
    struct caller late = {.calls = 0};

    (void)state;
    start(crowd, CROWD, 1);
    assert_true(has_work(DEADLINE_MS));
    mailbox_shut(mailbox);
    end(crowd, CROWD); /* those that wait for room go on too */
    assert_int_equal(done_of(crowd, CROWD), 0);
    for (uint32_t i = 0; i < CROWD; i++) {
        assert_int_equal(crowd[i].refused_count, 1);
    }
    assert_false(mailbox_call(mailbox, count_one, &late));
    mailbox_run(mailbox);
    assert_int_equal(late.done_count, 0);
}

/* Whatever was true was done, whatever was false was not, and nothing is left out. */
static void a_shut_in_the_middle_does_no_call_by_half(void **state)
{
    struct caller callers[CALLERS];
    uint32_t granted = 0;
    uint32_t refused = 0;

    (void)state;
    start(callers, CALLERS, CALLS_EACH);
    run_until(callers, CALLERS, CALLERS * CALLS_EACH / 2);
    mailbox_shut(mailbox);
    end(callers, CALLERS);
    for (uint32_t i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].done_count, callers[i].granted_count);
        granted += callers[i].granted_count;
        refused += callers[i].refused_count;
    }
    print_message("%u calls done, %u refused after the shut\n", granted, refused);
    assert_int_equal(granted + refused, CALLERS * CALLS_EACH);
    assert_true(granted >= CALLERS * CALLS_EACH / 2 && refused > 0);
}

static void shut_itself(void *argument)
{
    *(bool *)argument = true;
    mailbox_shut(mailbox);
}

static void *call_shut(void *argument)
{
    bool *results = argument;

    results[1] = mailbox_call(mailbox, shut_itself, &results[0]);
    return NULL;
}

static void work_that_shuts_is_itself_done(void **state)
{
    bool results[2] = {false, false}; /* done; what the call said */
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, call_shut, results), 0);
    assert_true(has_work(DEADLINE_MS));
    mailbox_run(mailbox);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(results[0] && results[1]);
    assert_false(mailbox_call(mailbox, shut_itself, &results[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_call_is_done_once_by_the_owner, make_mailbox,
                                        free_mailbox),
        cmocka_unit_test_setup_teardown(more_callers_than_room_are_all_served, make_mailbox,
                                        free_mailbox),
        cmocka_unit_test_setup_teardown(a_run_ends_though_callers_keep_coming, make_mailbox,
                                        free_mailbox),
        cmocka_unit_test_setup_teardown(a_shut_mailbox_refuses_who_waits_and_who_comes,
                                        make_mailbox, free_mailbox),
        cmocka_unit_test_setup_teardown(a_shut_in_the_middle_does_no_call_by_half, make_mailbox,
                                        free_mailbox),
        cmocka_unit_test_setup_teardown(work_that_shuts_is_itself_done, make_mailbox, free_mailbox),
    };
    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
