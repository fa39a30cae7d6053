/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_resync_test.c - Resynchronize: what it returns (DESIGN 7), and when it happens.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "service_rig.h"

#include <cmocka.h>

static int set_up(void **state)
{
    *state = rig_new();
    return 0;
}

static int tear_down(void **state)
{
    rig_check(*state);
    rig_free(*state);
    return 0;
}

static void assert_value(const struct rig_reply *reply, enum return_value value)
{
    assert_int_equal(reply->count, 1);
    assert_int_equal(reply->last.value, value);
}

/* --- what it returns ------------------------------------------------------------------------- */

static void returns_a_job_that_runs(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    const struct job_row *row = rig_job(rig, &job);
    assert_int_equal(row->type, JOB_RESYNC);
    assert_int_equal(row->state, JOB_RUNNING);
    assert_string_equal(row->owner, "olga");
    rig_end(rig, &job, ERR_NONE);
    row = rig_job(rig, &job);
    assert_int_equal(row->state, JOB_COMPLETED);
    assert_int_equal(row->percent, 100);
    assert_non_null(row->report);
    assert_int_equal(rig_state(rig, "web1"), STATE_REPLICATING);
    assert_int_equal(rig_row(rig, "web1", 0)->last_replication_us, rig->wall_us);
    assert_int_equal(service_statistics(rig->service, &row->vm, 0)->success_count, 2);
}

static void keeps_the_sizes_that_were_seen(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    assert_int_equal(rig_row(rig, "web1", 0)->disks[1].size_bytes, RIG_DISK_BYTES);
}

static void moving_the_start_returns_0_and_the_same_job(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct rig_reply *first = rig_resync(rig, "web1", rig_start_text(rig, 2 * RIG_HOUR_US));
    assert_value(first, RETURN_JOB_STARTED);
    assert_int_equal(rig_state(rig, "web1"), STATE_WAITING_RESYNC);
    assert_int_equal(rig_job(rig, &first->last.job)->state, JOB_NEW);
    struct rig_reply *second = rig_resync(rig, "web1", rig_start_text(rig, RIG_HOUR_US));
    assert_value(second, RETURN_DONE);
    assert_true(uuid_equal(&first->last.job, &second->last.job));
    assert_int_equal(rig_job(rig, &first->last.job)->scheduled_us, rig->wall_us + RIG_HOUR_US);
    rig_pass(rig, RIG_HOUR_US - US_PER_S);
    assert_null(rig_session_of(rig, &first->last.job));
    rig_pass(rig, US_PER_S);
    assert_non_null(rig_session_of(rig, &first->last.job));
    assert_value(rig_resync(rig, "web1", rig_start_text(rig, RIG_HOUR_US)), RETURN_IN_USE);
}

static void moving_the_start_to_now_starts_it(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct rig_reply *first = rig_resync(rig, "web1", rig_start_text(rig, 2 * RIG_HOUR_US));
    assert_value(rig_resync(rig, "web1", NULL), RETURN_DONE);
    assert_non_null(rig_session_of(rig, &first->last.job));
}

static void a_start_that_has_passed_is_now(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct rig_reply *reply = rig_resync(rig, "web1", rig_start_text(rig, -RIG_HOUR_US));
    rig_answer_all(rig);
    assert_value(reply, RETURN_JOB_STARTED);
    assert_non_null(rig_session_of(rig, &reply->last.job));
}

static void times_that_are_none_are_refused(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    assert_value(rig_resync(rig, "web1", "00000001000000.000000:000"), RETURN_WRONG_TYPE);
    assert_value(rig_resync(rig, "web1", "tomorrow"), RETURN_WRONG_TYPE);
    assert_value(rig_resync(rig, "web1", ""), RETURN_WRONG_TYPE);
    assert_value(rig_resync(rig, "web1", rig_start_text(rig, 7 * 24 * RIG_HOUR_US + US_PER_S)),
                 RETURN_INVALID_PARAMETER);
    assert_int_equal(rig_state(rig, "web1"), STATE_REPLICATING);
    assert_value(rig_resync(rig, "web1", rig_start_text(rig, 7 * 24 * RIG_HOUR_US)),
                 RETURN_JOB_STARTED);
}

static void names_that_are_none_are_refused(void **state)
{
    struct rig *rig = *state;

    assert_value(rig_resync(rig, "web9", NULL), RETURN_INVALID_PARAMETER);
    assert_value(rig_resync(rig, "HERE", NULL), RETURN_NOT_SUPPORTED);
    assert_value(rig_resync(rig, "web1", NULL), RETURN_INVALID_STATE); /* not replicated */
    struct rig_reply *created = rig_create(rig, "web1", "beta");
    rig_answer_all(rig);
    assert_value(created, RETURN_DONE);
    assert_value(rig_resync(rig, "web1", NULL), RETURN_INVALID_STATE); /* not copied */
}

static void what_runs_or_waits_for_an_answer_is_in_use(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct rig_reply *first = rig_resync(rig, "web1", NULL);
    assert_int_equal(first->count, 0);
    assert_value(rig_resync(rig, "web1", NULL), RETURN_IN_USE);
    rig_answer_all(rig);
    assert_value(first, RETURN_JOB_STARTED);
    assert_value(rig_resync(rig, "web1", NULL), RETURN_IN_USE);
    rig_end(rig, &first->last.job, ERR_PEER); /* between tries too */
    assert_value(rig_resync(rig, "web1", NULL), RETURN_IN_USE);
}

static void disks_say_what_is_wrong_with_them(void **state)
{
    static const struct {
        enum error_kind kind;
        int errnum;
        enum return_value value;
    } rows[] = {
        {ERR_IO, ENOENT, RETURN_FILE_NOT_FOUND},   {ERR_IO, ENXIO, RETURN_FILE_NOT_FOUND},
        {ERR_IO, ENODEV, RETURN_FILE_NOT_FOUND},   {ERR_IO, EIO, RETURN_FAILED},
        {ERR_USAGE, 0, RETURN_NOT_SUPPORTED},      {ERR_WRONG_STATE, 0, RETURN_IN_USE},
        {ERR_LIMIT, ENOMEM, RETURN_OUT_OF_MEMORY}, {ERR_INTERNAL, 0, RETURN_FAILED},
    };
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct error err = {.kind = rows[i].kind, .errnum = rows[i].errnum, .message = "a disk"};
        struct rig_reply *reply = rig_resync(rig, "web1", NULL);
        assert_true(rig_look(rig, &err));
        assert_value(reply, rows[i].value);
        assert_int_equal(rig->wait_count, 0);
    }
    assert_int_equal(rig_state(rig, "web1"), STATE_REPLICATING);
}

static void the_peer_says_what_is_wrong_with_it(void **state)
{
    static const struct {
        enum peer_end end;
        enum return_value answer;
        enum return_value value;
    } rows[] = {
        {PEER_UNREACHABLE, RETURN_DONE, RETURN_NOT_AVAILABLE},
        {PEER_SILENT, RETURN_DONE, RETURN_TIMEOUT},
        {PEER_GARBLED, RETURN_DONE, RETURN_UNKNOWN},
        {PEER_ANSWERED, RETURN_ACCESS_DENIED, RETURN_ACCESS_DENIED},
        {PEER_ANSWERED, RETURN_IN_USE, RETURN_IN_USE},
        {PEER_ANSWERED, RETURN_INVALID_STATE, RETURN_INVALID_STATE},
    };
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct rig_reply *reply = rig_resync(rig, "web1", NULL);
        assert_true(rig_look(rig, NULL));
        assert_true(rig_answer(rig, rows[i].end, rows[i].answer));
        assert_value(reply, rows[i].value);
    }
    assert_int_equal(service_job_count(rig->service), 1); /* the initial copy */
}

static void limits_are_out_of_memory(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    rig->refuse_look = ERR_LIMIT;
    assert_value(rig_resync(rig, "web1", NULL), RETURN_OUT_OF_MEMORY);
    rig->refuse_look = ERR_NONE;
    rig->refuse_ask = ERR_LIMIT;
    struct rig_reply *reply = rig_resync(rig, "web1", NULL);
    assert_true(rig_look(rig, NULL));
    assert_value(reply, RETURN_OUT_OF_MEMORY);
}

static void a_peer_without_an_address_is_not_available(void **state)
{
    struct rig *rig = *state;
    enum return_value value = RETURN_FAILED;

    rig_make_replicating(rig, "web1");
    assert_int_equal(
        service_set_host_address(rig->service, &rig_administrator, "beta", "", &value, NULL), 0);
    assert_value(rig_resync(rig, "web1", NULL), RETURN_NOT_AVAILABLE);
    assert_value(rig_remove(rig, "web1"), RETURN_DONE); /* nobody can be told; it goes all the same
                                                         */
}

static void answers_that_nobody_waits_for_change_nothing(void **state)
{
    struct rig *rig = *state;
    struct peer_answer answer = {.end = PEER_ANSWERED, .value = RETURN_DONE};

    service_answered(rig->service, 4711, &answer);
    service_looked(rig->service, 4711, NULL, &(struct error){.kind = ERR_IO, .message = "x"});
    assert_int_equal(service_job_count(rig->service), 0);
}

static void a_vm_that_has_gone_is_not_available(void **state)
{
    struct rig *rig = *state;
    struct inventory *before = rig->inventory;

    rig_make_replicating(rig, "web1");
    assert_int_equal(inventory_new_plain(NULL, 0, &rig->inventory, NULL), 0);
    rig->config.inventory = rig->inventory;
    rig_restart(rig);
    inventory_free(before);
    assert_value(rig_resync(rig, "web1", NULL), RETURN_NOT_AVAILABLE);
    assert_int_equal(service_vm_count(rig->service), 1);
}

static void one_that_was_made_meanwhile_is_used(void **state)
{
    struct rig *rig = *state;
    struct relationship_settings settings;
    struct service_asker asker;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    rig_end(rig, &job, ERR_IO); /* state 9 */
    service_settings_default(&settings);
    settings.is_auto_resync_enabled = true;
    (void)rig_asker(rig, &rig_administrator, &asker);
    service_modify(rig->service, &asker, "web1", 0, &settings);
    rig_answer_all(rig);
    struct rig_reply *reply = rig_resync(rig, "web1", NULL);
    rig_pass(rig, RIG_MINUTE_US); /* plans nothing beside it */
    rig_answer_all(rig);
    assert_value(reply, RETURN_JOB_STARTED);
    rig_check(rig);
}

/* --- schedules ------------------------------------------------------------------------------- */

static void a_start_missed_while_down_is_made_up_for(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct rig_reply *reply = rig_resync(rig, "web1", rig_start_text(rig, RIG_HOUR_US));
    rig->wall_us += 24 * RIG_HOUR_US;
    rig_restart(rig);
    assert_null(rig_session_of(rig, &reply->last.job));
    (void)service_step(rig->service);
    assert_non_null(rig_session_of(rig, &reply->last.job));
}

static void the_next_step_is_when_something_is_due(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    (void)rig_resync(rig, "web1", rig_start_text(rig, 10 * US_PER_S));
    uint64_t next_ns = service_step(rig->service);
    assert_true(next_ns >= rig->now_ns + 10 * NS_PER_S && next_ns < rig->now_ns + 11 * NS_PER_S);
}

static void cancelling_one_that_never_began_restores_the_state(void **state)
{
    static const uint16_t before[] = {STATE_REPLICATING, STATE_SUSPENDED};
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    for (size_t i = 0; i < ARRAY_COUNT(before); i++) {
        if (before[i] == STATE_SUSPENDED) {
            assert_value(rig_request(rig, "web1", STATE_SUSPENDED), RETURN_DONE);
        }
        struct rig_reply *made = rig_resync(rig, "web1", rig_start_text(rig, RIG_HOUR_US));
        assert_int_equal(rig_state(rig, "web1"), STATE_WAITING_RESYNC);
        assert_value(rig_request_job(rig, &made->last.job, 4), RETURN_DONE);
        assert_int_equal(rig_job(rig, &made->last.job)->state, JOB_TERMINATED);
        assert_int_equal(rig_state(rig, "web1"), before[i]);
    }
}

/* --- automatic ------------------------------------------------------------------------------- */

static void enable_automatic(struct rig *rig, const char *vm, uint32_t start, uint32_t end)
{
    struct relationship_settings settings;
    struct service_asker asker;
    struct rig_reply *reply = rig_asker(rig, &rig_administrator, &asker);

    service_settings_default(&settings);
    settings.is_auto_resync_enabled = true;
    settings.auto_start_minute = start;
    settings.auto_end_minute = end;
    service_modify(rig->service, &asker, vm, 0, &settings);
    rig_answer_all(rig);
    assert_value(reply, RETURN_DONE);
}

static const struct service_job *open_job(struct rig *rig, const char *vm)
{
    const struct relationship_row *row = rig_row(rig, vm, 0);

    return service_open_job(rig->service, &row->vm, 0);
}

static void require_resync(struct rig *rig, const char *vm)
{
    struct uuid job = rig_begin_resync(rig, vm);

    rig_end(rig, &job, ERR_IO);
    assert_int_equal(rig_job(rig, &job)->state, JOB_EXCEPTION);
    assert_int_equal(rig_job(rig, &job)->error_code, RETURN_FAILED);
    assert_int_equal(rig_state(rig, vm), STATE_WAITING_RESYNC);
}

static void in_the_window_it_starts_by_itself(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    require_resync(rig, "web1");
    rig_pass(rig, RIG_MINUTE_US);
    assert_null(open_job(rig, "web1"));
    enable_automatic(rig, "web1", 11 * 60, 13 * 60);
    rig_pass(rig, RIG_MINUTE_US);
    assert_non_null(open_job(rig, "web1"));
    assert_int_equal(rig_state(rig, "web1"), STATE_RESYNCHRONIZING);
    assert_string_equal(open_job(rig, "web1")->row.owner, "automatic");
}

static void outside_the_window_it_is_planned_for_the_next(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    require_resync(rig, "web1");
    enable_automatic(rig, "web1", 18 * 60, 6 * 60);
    rig_pass(rig, RIG_MINUTE_US);
    assert_int_equal(open_job(rig, "web1")->row.scheduled_us, RIG_NOON_US + 6 * RIG_HOUR_US);
    rig_pass(rig, 6 * RIG_HOUR_US);
    assert_int_equal(rig_state(rig, "web1"), STATE_RESYNCHRONIZING);
}

static void one_that_fails_for_good_waits_for_the_next_window(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    enable_automatic(rig, "web1", 11 * 60, 13 * 60);
    require_resync(rig, "web1");
    uint32_t sessions = rig->session_count;
    for (uint32_t i = 0; i < 30; i++) {
        rig_pass(rig, RIG_MINUTE_US);
    }
    assert_int_equal(rig->session_count, sessions);
    assert_int_equal(open_job(rig, "web1")->row.scheduled_us, RIG_NOON_US + 23 * RIG_HOUR_US);
}

static void a_cancel_is_not_undone_by_the_window(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    enable_automatic(rig, "web1", 11 * 60, 13 * 60);
    struct uuid job = rig_begin_resync(rig, "web1");
    assert_value(rig_request(rig, "web1", STATE_WAITING_RESYNC), RETURN_JOB_STARTED);
    rig_check(rig); /* no second one beside the one that stops */
    rig_end(rig, &job, ERR_CANCELLED);
    rig_pass(rig, RIG_MINUTE_US);
    assert_int_equal(rig_running(rig), 0);
    assert_int_equal(open_job(rig, "web1")->row.scheduled_us, RIG_NOON_US + 23 * RIG_HOUR_US);
}

static void a_cancel_outlives_a_kill(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    enable_automatic(rig, "web1", 11 * 60, 13 * 60);
    struct uuid job = rig_begin_resync(rig, "web1");
    struct rig_reply *stopped = rig_request(rig, "web1", STATE_WAITING_RESYNC);
    rig_restart(rig);
    rig_pass(rig, RIG_MINUTE_US);
    assert_int_equal(rig_job(rig, &job)->state, JOB_TERMINATED);
    assert_int_equal(rig_job(rig, &stopped->last.job)->state, JOB_COMPLETED);
    assert_int_equal(rig_running(rig), 0);
    assert_int_equal(open_job(rig, "web1")->row.scheduled_us, RIG_NOON_US + 23 * RIG_HOUR_US);
}

static void another_window_plans_anew(void **state)
{
    struct rig *rig = *state;
    struct relationship_settings settings;
    struct service_asker asker;

    rig_make_replicating(rig, "web1");
    require_resync(rig, "web1");
    enable_automatic(rig, "web1", 18 * 60, 6 * 60);
    rig_pass(rig, RIG_MINUTE_US);
    enable_automatic(rig, "web1", 20 * 60, 6 * 60);
    rig_pass(rig, RIG_MINUTE_US);
    assert_int_equal(open_job(rig, "web1")->row.scheduled_us, RIG_NOON_US + 8 * RIG_HOUR_US);
    service_settings_default(&settings);
    (void)rig_asker(rig, &rig_administrator, &asker);
    service_modify(rig->service, &asker, "web1", 0, &settings);
    rig_answer_all(rig);
    rig_pass(rig, RIG_MINUTE_US);
    assert_null(open_job(rig, "web1"));
}

static void another_window_leaves_one_that_began_alone(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    require_resync(rig, "web1");
    enable_automatic(rig, "web1", 18 * 60, 6 * 60);
    rig_pass(rig, RIG_MINUTE_US);
    rig_pass(rig, 6 * RIG_HOUR_US);
    struct uuid job = open_job(rig, "web1")->row.id;
    rig_end(rig, &job, ERR_PEER); /* it waits for its next try */
    enable_automatic(rig, "web1", 20 * 60, 6 * 60);
    assert_true(uuid_equal(&open_job(rig, "web1")->row.id, &job));
    assert_int_equal(rig_state(rig, "web1"), STATE_RESYNCHRONIZING);
}

static void a_window_that_a_wrong_clock_planned_is_planned_anew(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    require_resync(rig, "web1");
    enable_automatic(rig, "web1", 18 * 60, 6 * 60);
    rig->wall_us += 365 * 24 * RIG_HOUR_US;
    rig_pass(rig, 0);
    rig->wall_us -= 365 * 24 * RIG_HOUR_US;
    rig_pass(rig, 0);
    assert_int_equal(open_job(rig, "web1")->row.scheduled_us, RIG_NOON_US + 6 * RIG_HOUR_US);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(returns_a_job_that_runs),
        RIG_TEST(keeps_the_sizes_that_were_seen),
        RIG_TEST(moving_the_start_returns_0_and_the_same_job),
        RIG_TEST(moving_the_start_to_now_starts_it),
        RIG_TEST(a_start_that_has_passed_is_now),
        RIG_TEST(times_that_are_none_are_refused),
        RIG_TEST(names_that_are_none_are_refused),
        RIG_TEST(what_runs_or_waits_for_an_answer_is_in_use),
        RIG_TEST(disks_say_what_is_wrong_with_them),
        RIG_TEST(the_peer_says_what_is_wrong_with_it),
        RIG_TEST(limits_are_out_of_memory),
        RIG_TEST(a_peer_without_an_address_is_not_available),
        RIG_TEST(answers_that_nobody_waits_for_change_nothing),
        RIG_TEST(a_vm_that_has_gone_is_not_available),
        RIG_TEST(one_that_was_made_meanwhile_is_used),
        RIG_TEST(a_start_missed_while_down_is_made_up_for),
        RIG_TEST(the_next_step_is_when_something_is_due),
        RIG_TEST(cancelling_one_that_never_began_restores_the_state),
        RIG_TEST(in_the_window_it_starts_by_itself),
        RIG_TEST(outside_the_window_it_is_planned_for_the_next),
        RIG_TEST(one_that_fails_for_good_waits_for_the_next_window),
        RIG_TEST(a_cancel_is_not_undone_by_the_window),
        RIG_TEST(a_cancel_outlives_a_kill),
        RIG_TEST(another_window_plans_anew),
        RIG_TEST(another_window_leaves_one_that_began_alone),
        RIG_TEST(a_window_that_a_wrong_clock_planned_is_planned_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
