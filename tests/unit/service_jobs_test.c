/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_jobs_test.c - jobs: their turn, their tries, what stops them, and what a kill leaves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "service_rig.h"

#include <cmocka.h>

static const char *const vms[RIG_VMS] = {"web1", "web2", "web3", "web4"};

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

static const struct uuid *job_of(const struct rig_reply *reply)
{
    assert_int_equal(reply->count, 1);
    assert_false(uuid_is_nil(&reply->last.job));
    return &reply->last.job;
}

/* --- turns ----------------------------------------------------------------------------------- */

static void no_more_than_max_jobs_are_at_work_and_the_first_goes_first(void **state)
{
    struct rig *rig = *state;
    struct uuid jobs[RIG_VMS];

    for (uint32_t i = 0; i < RIG_VMS; i++) {
        rig_make_replicating(rig, vms[i]);
    }
    rig->config.max_jobs = 2;
    rig_restart(rig);
    for (uint32_t i = 0; i < RIG_VMS; i++) {
        struct rig_reply *reply = rig_resync(rig, vms[i], NULL);
        rig_answer_all(rig);
        jobs[i] = *job_of(reply);
    }
    assert_int_equal(rig_running(rig), 2);
    assert_int_equal(rig_job(rig, &jobs[2])->state, JOB_NEW);
    rig_end(rig, &jobs[1], ERR_NONE);
    rig_pass(rig, US_PER_S);
    assert_non_null(rig_session_of(rig, &jobs[2]));
    assert_null(rig_session_of(rig, &jobs[3]));
    rig_end(rig, &jobs[0], ERR_NONE);
    rig_pass(rig, US_PER_S);
    assert_non_null(rig_session_of(rig, &jobs[3]));
}

static void the_hosts_rate_is_shared(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    rig->config.rate_bytes_per_s = 900;
    rig_restart(rig);
    struct uuid job = rig_begin_resync(rig, "web1");
    assert_int_equal(rig_session_of(rig, &job)->rate_bytes_per_s, 300);
    rig_end(rig, &job, ERR_NONE);
    rig->config.session_rate_bytes_per_s = 200;
    rig_restart(rig);
    job = rig_begin_resync(rig, "web1");
    assert_int_equal(rig_session_of(rig, &job)->rate_bytes_per_s, 200);
}

/* --- tries ----------------------------------------------------------------------------------- */

static void a_lost_peer_is_tried_again_ever_later(void **state)
{
    static const int64_t minutes[] = {1, 2, 4, 8, 10, 30, 30};
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    for (size_t i = 0; i < ARRAY_COUNT(minutes); i++) {
        rig_end(rig, &job, ERR_PEER);
        assert_int_equal(rig_job(rig, &job)->attempts, i + 1);
        assert_int_equal(rig_job(rig, &job)->error_kind, ERR_PEER);
        assert_non_null(strstr(rig_job(rig, &job)->status, "tries again at"));
        assert_int_equal(rig_state(rig, "web1"), STATE_RESYNCHRONIZING);
        rig_pass(rig, minutes[i] * RIG_MINUTE_US - US_PER_S);
        assert_null(rig_session_of(rig, &job));
        rig_pass(rig, US_PER_S);
        assert_non_null(rig_session_of(rig, &job));
        rig_check(rig);
    }
    assert_int_equal(rig_row(rig, "web1", 0)->health, HEALTH_CRITICAL);
}

static void progress_begins_the_tries_anew(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    for (uint32_t i = 0; i < 3; i++) {
        rig_end(rig, &job, ERR_PEER);
        rig_pass(rig, 30 * RIG_MINUTE_US);
    }
    rig_progress(rig, &job, LEAF_BYTES, LEAF_BYTES); /* only what a run before had settled */
    rig_end(rig, &job, ERR_PEER);
    assert_int_equal(rig_job(rig, &job)->attempts, 4);
    rig_pass(rig, 30 * RIG_MINUTE_US);
    rig_progress(rig, &job, 2 * LEAF_BYTES, LEAF_BYTES);
    assert_non_null(service_job_progress(rig->service, &job));
    rig_end(rig, &job, ERR_PEER);
    assert_null(service_job_progress(rig->service, &job));
    assert_int_equal(rig_job(rig, &job)->attempts, 1);
    /* That it moved once does not count for a try that did not even start. */
    rig->refuse_start = ERR_LIMIT;
    rig_pass(rig, 30 * RIG_MINUTE_US);
    assert_int_equal(rig_job(rig, &job)->attempts, 2);
}

static void what_no_retry_mends_fails_for_good(void **state)
{
    static const struct {
        enum error_kind kind;
        bool is_final;
    } rows[] = {
        {ERR_IO, true},     {ERR_USAGE, true},        {ERR_INTERNAL, true},
        {ERR_LIMIT, false}, {ERR_WRONG_STATE, false}, {ERR_CANCELLED, false},
    };
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct uuid job = rig_begin_resync(rig, "web1");
        rig_end(rig, &job, rows[i].kind);
        assert_int_equal(rig_job(rig, &job)->state == JOB_EXCEPTION, rows[i].is_final);
        assert_int_equal(rig_state(rig, "web1"),
                         rows[i].is_final ? STATE_WAITING_RESYNC : STATE_RESYNCHRONIZING);
        if (!rows[i].is_final) {
            assert_value(rig_request_job(rig, &job, 4), RETURN_DONE);
        }
    }
}

static void a_failed_initial_copy_can_be_started_again(void **state)
{
    struct rig *rig = *state;

    (void)rig_create(rig, "web1", "beta");
    rig_answer_all(rig);
    for (uint32_t i = 0; i < 2; i++) {
        struct rig_reply *started = rig_start(rig, "web1");
        assert_value(rig_start(rig, "web1"), RETURN_IN_USE); /* it waits for an answer */
        rig_answer_all(rig);
        assert_int_equal(rig_state(rig, "web1"), STATE_WAITING_INITIAL);
        assert_true(rig_session_of(rig, job_of(started))->is_initial);
        assert_value(rig_start(rig, "web1"), RETURN_IN_USE);
        rig_end(rig, job_of(started), i == 0 ? ERR_IO : ERR_NONE);
        assert_int_equal(rig_state(rig, "web1"), i == 0 ? STATE_READY : STATE_REPLICATING);
    }
    assert_value(rig_start(rig, "web1"), RETURN_INVALID_STATE);
}

static void a_peer_that_shows_itself_ends_the_wait(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    for (uint32_t i = 0; i < 6; i++) {
        rig_end(rig, &job, ERR_PEER);
        rig_pass(rig, 30 * RIG_MINUTE_US);
    }
    rig_end(rig, &job, ERR_PEER);
    (void)rig_asked(rig, 3, PEER_HELLO, 1, 0); /* gamma: not the one */
    rig_pass(rig, US_PER_S);
    assert_null(rig_session_of(rig, &job));
    (void)rig_asked(rig, 2, PEER_HELLO, 1, 0); /* beta */
    rig_pass(rig, US_PER_S);
    assert_non_null(rig_session_of(rig, &job));
}

static void a_clock_set_back_makes_no_endless_wait(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    rig_end(rig, &job, ERR_PEER);
    rig->wall_us -= 20 * RIG_MINUTE_US; /* no farther than a wait may be: it is waited for */
    rig_pass(rig, RIG_MINUTE_US);
    assert_null(rig_session_of(rig, &job));
    rig_pass(rig, 20 * RIG_MINUTE_US);
    assert_non_null(rig_session_of(rig, &job));
    rig_end(rig, &job, ERR_PEER);
    rig->wall_us -= 365 * 24 * RIG_HOUR_US;
    rig_pass(rig, 0);
    assert_non_null(rig_session_of(rig, &job));
    rig_end(rig, &job, ERR_NONE);
    assert_int_equal(rig_state(rig, "web1"), STATE_REPLICATING);
}

static void a_clock_set_forward_loses_nothing(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct rig_reply *made = rig_resync(rig, "web1", rig_start_text(rig, RIG_HOUR_US));
    rig->wall_us += 365 * 24 * RIG_HOUR_US;
    rig_pass(rig, 0);
    assert_non_null(rig_session_of(rig, job_of(made)));
}

/* --- stops ----------------------------------------------------------------------------------- */

static void suspending_one_at_work_ends_with_its_session(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    struct rig_reply *stopped = rig_request(rig, "web1", STATE_SUSPENDED);
    assert_value(stopped, RETURN_JOB_STARTED);
    assert_int_equal(rig_job(rig, job_of(stopped))->type, JOB_STATE_CHANGE);
    assert_int_equal(rig_job(rig, job_of(stopped))->state, JOB_RUNNING);
    assert_true(rig_session_of(rig, &job)->is_told_to_stop);
    assert_int_equal(rig_state(rig, "web1"), STATE_RESYNC_SUSPENDED);
    assert_value(rig_request_job(rig, job_of(stopped), 4), RETURN_NOT_SUPPORTED);
    /* Resumed before it has stopped, and suspended again. */
    assert_value(rig_request(rig, "web1", STATE_REPLICATING), RETURN_JOB_STARTED);
    assert_int_equal(rig_state(rig, "web1"), STATE_RESYNCHRONIZING);
    stopped = rig_request(rig, "web1", STATE_SUSPENDED);
    assert_value(stopped, RETURN_JOB_STARTED);
    rig_end(rig, &job, ERR_CANCELLED);
    assert_int_equal(rig_job(rig, job_of(stopped))->state, JOB_COMPLETED);
    assert_int_equal(rig_job(rig, &job)->state, JOB_SUSPENDED);
    rig_pass(rig, 24 * RIG_HOUR_US);
    assert_null(rig_session_of(rig, &job));
    struct rig_reply *resumed = rig_request(rig, "web1", STATE_REPLICATING);
    assert_value(resumed, RETURN_JOB_STARTED);
    assert_true(uuid_equal(job_of(resumed), &job));
    assert_non_null(rig_session_of(rig, &job));
    assert_int_equal(rig_state(rig, "web1"), STATE_RESYNCHRONIZING);
}

static void one_that_is_being_suspended_can_be_resumed(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    assert_value(rig_request_job(rig, &job, 3), RETURN_JOB_STARTED);
    struct rig_reply *resumed = rig_request_job(rig, &job, 2);
    assert_value(resumed, RETURN_JOB_STARTED);
    assert_true(uuid_equal(job_of(resumed), &job));
    assert_int_equal(rig_job(rig, &job)->state, JOB_RUNNING);
    assert_int_equal(rig_state(rig, "web1"), STATE_RESYNCHRONIZING);
    assert_value(rig_request_job(rig, &job, 3), RETURN_JOB_STARTED);
    resumed = rig_resync(rig, "web1", NULL);
    assert_value(resumed, RETURN_JOB_STARTED);
    assert_true(uuid_equal(job_of(resumed), &job));
    assert_int_equal(rig_state(rig, "web1"), STATE_RESYNCHRONIZING);
    rig_end(rig, &job, ERR_CANCELLED);
    rig_pass(rig, 0);
    assert_non_null(rig_session_of(rig, &job));
}

static void resynchronize_goes_on_with_what_is_suspended(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    (void)rig_request_job(rig, &job, 3);
    rig_end(rig, &job, ERR_CANCELLED);
    struct rig_reply *again = rig_resync(rig, "web1", NULL);
    assert_value(again, RETURN_JOB_STARTED);
    assert_true(uuid_equal(job_of(again), &job));
    assert_non_null(rig_session_of(rig, &job));
}

/* Until its new start it is planned like any other, and can be moved. */
static void what_is_suspended_can_be_given_a_start_and_another(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    (void)rig_request_job(rig, &job, 3);
    rig_end(rig, &job, ERR_CANCELLED);
    struct rig_reply *planned = rig_resync(rig, "web1", rig_start_text(rig, 2 * RIG_HOUR_US));
    assert_value(planned, RETURN_JOB_STARTED);
    assert_int_equal(rig_job(rig, &job)->state, JOB_NEW);
    assert_null(rig_session_of(rig, &job));
    struct rig_reply *moved = rig_resync(rig, "web1", rig_start_text(rig, RIG_HOUR_US));
    assert_value(moved, RETURN_DONE);
    assert_true(uuid_equal(job_of(moved), &job));
    rig_pass(rig, RIG_HOUR_US);
    assert_int_equal(rig_job(rig, &job)->state, JOB_RUNNING);
    assert_non_null(rig_session_of(rig, &job));
    assert_value(rig_resync(rig, "web1", NULL), RETURN_IN_USE);
}

/* What went wrong before is no error of a job that runs. */
static void a_try_that_runs_has_no_error_of_the_one_before(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    rig_end(rig, &job, ERR_PEER);
    assert_true(rig_job(rig, &job)->error[0] != '\0');
    rig_pass(rig, RIG_HOUR_US);
    assert_non_null(rig_session_of(rig, &job));
    assert_string_equal(rig_job(rig, &job)->error, "");
}

static void cancelling_one_at_work_ends_with_its_session(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    struct rig_reply *stopped = rig_request(rig, "web1", STATE_WAITING_RESYNC);
    assert_value(stopped, RETURN_JOB_STARTED);
    assert_int_equal(rig_job(rig, job_of(stopped))->type, JOB_STOP_RESYNC);
    assert_int_equal(rig_job(rig, &job)->state, JOB_SHUTTING_DOWN);
    assert_value(rig_request_job(rig, &job, 3), RETURN_INVALID_STATE);
    assert_value(rig_resync(rig, "web1", NULL), RETURN_IN_USE);
    rig_end(rig, &job, ERR_CANCELLED);
    assert_int_equal(rig_job(rig, &job)->state, JOB_TERMINATED);
    assert_int_equal(rig_job(rig, job_of(stopped))->state, JOB_COMPLETED);
    assert_int_equal(rig_state(rig, "web1"), STATE_WAITING_RESYNC);
    assert_value(rig_request_job(rig, &job, 2), RETURN_INVALID_STATE); /* it has ended */
}

static void cancelling_an_initial_copy_makes_a_job_of_its_type(void **state)
{
    struct rig *rig = *state;

    (void)rig_create(rig, "web1", "beta");
    rig_answer_all(rig);
    struct rig_reply *started = rig_start(rig, "web1");
    rig_answer_all(rig);
    struct rig_reply *stopped = rig_request(rig, "web1", STATE_READY);
    assert_value(stopped, RETURN_JOB_STARTED);
    assert_int_equal(rig_job(rig, job_of(stopped))->type, JOB_STOP_INITIAL);
    rig_end(rig, job_of(started), ERR_CANCELLED);
    assert_int_equal(rig_job(rig, job_of(stopped))->state, JOB_COMPLETED);
    assert_int_equal(rig_state(rig, "web1"), STATE_READY);
}

static void a_stop_that_came_too_late_does_not_undo_what_was_done(void **state)
{
    static const uint16_t wishes[] = {STATE_SUSPENDED, STATE_WAITING_RESYNC};
    static const uint16_t after[] = {STATE_REPLICATING, STATE_WAITING_RESYNC};
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    for (size_t i = 0; i < ARRAY_COUNT(wishes); i++) {
        struct uuid job = rig_begin_resync(rig, "web1");
        struct rig_reply *stopped = rig_request(rig, "web1", wishes[i]);
        rig_end(rig, &job, ERR_NONE);
        assert_int_equal(rig_job(rig, &job)->state, JOB_COMPLETED);
        assert_int_equal(rig_job(rig, job_of(stopped))->state, JOB_COMPLETED);
        assert_int_equal(rig_state(rig, "web1"), after[i]);
    }
}

static void a_later_stop_takes_the_place_of_an_earlier_one(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    struct rig_reply *first = rig_request(rig, "web1", STATE_SUSPENDED);
    struct rig_reply *second = rig_request(rig, "web1", STATE_WAITING_RESYNC);
    assert_value(second, RETURN_JOB_STARTED);
    assert_int_equal(rig_job(rig, job_of(first))->state, JOB_COMPLETED);
    rig_end(rig, &job, ERR_CANCELLED);
    assert_int_equal(rig_job(rig, &job)->state, JOB_TERMINATED);
}

static void one_between_tries_can_be_suspended_resumed_and_cancelled(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    rig_end(rig, &job, ERR_PEER);
    assert_value(rig_request(rig, "web1", STATE_SUSPENDED), RETURN_DONE);
    assert_int_equal(rig_job(rig, &job)->state, JOB_SUSPENDED);
    assert_value(rig_request_job(rig, &job, 3), RETURN_DONE); /* it is already */
    rig_pass(rig, RIG_HOUR_US);
    assert_null(rig_session_of(rig, &job));
    assert_value(rig_request_job(rig, &job, 2), RETURN_JOB_STARTED);
    assert_non_null(rig_session_of(rig, &job));
    assert_value(rig_request_job(rig, &job, 2), RETURN_INVALID_STATE); /* it runs */
    rig_end(rig, &job, ERR_PEER);
    assert_value(rig_request_job(rig, &job, 2), RETURN_JOB_STARTED); /* now, not later */
    assert_non_null(rig_session_of(rig, &job));
    rig_end(rig, &job, ERR_PEER);
    assert_value(rig_request(rig, "web1", STATE_WAITING_RESYNC), RETURN_DONE);
    assert_int_equal(rig_job(rig, &job)->state, JOB_TERMINATED);
    assert_int_equal(rig_state(rig, "web1"), STATE_WAITING_RESYNC);
}

static void one_that_waits_for_its_time_can_be_suspended_and_started(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct rig_reply *made = rig_resync(rig, "web1", rig_start_text(rig, RIG_HOUR_US));
    assert_value(rig_request_job(rig, job_of(made), 3), RETURN_DONE);
    rig_pass(rig, 2 * RIG_HOUR_US);
    assert_null(rig_session_of(rig, job_of(made)));
    assert_value(rig_request_job(rig, job_of(made), 2), RETURN_JOB_STARTED);
    assert_non_null(rig_session_of(rig, job_of(made)));
}

static void one_that_was_resumed_and_has_no_turn_can_be_suspended_again(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    rig_make_replicating(rig, "web2");
    rig->config.max_jobs = 1;
    rig_restart(rig);
    struct uuid job = rig_begin_resync(rig, "web1");
    (void)rig_request(rig, "web1", STATE_SUSPENDED);
    rig_end(rig, &job, ERR_CANCELLED);
    struct uuid other = rig_begin_resync(rig, "web2");
    assert_value(rig_request(rig, "web1", STATE_REPLICATING), RETURN_JOB_STARTED);
    assert_value(rig_request(rig, "web1", STATE_SUSPENDED), RETURN_DONE);
    rig_end(rig, &other, ERR_NONE);
    rig_pass(rig, RIG_HOUR_US);
    assert_null(rig_session_of(rig, &job));
    assert_int_equal(rig_job(rig, &job)->state, JOB_SUSPENDED);
}

static void requests_that_are_none_are_refused(void **state)
{
    struct rig *rig = *state;
    struct uuid none = {{9, 9}};

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    assert_value(rig_request_job(rig, &none, 4), RETURN_INVALID_PARAMETER);
    assert_value(rig_request_job(rig, &job, 77), RETURN_INVALID_PARAMETER);
    assert_value(rig_request(rig, "web1", 77), RETURN_INVALID_PARAMETER);
    assert_value(rig_request(rig, "web1", STATE_SYNCED_COMPLETE), RETURN_NOT_SUPPORTED);
    assert_value(rig_request(rig, "web9", STATE_SUSPENDED), RETURN_INVALID_PARAMETER);
    assert_value(rig_request(rig, "web2", STATE_SUSPENDED), RETURN_INVALID_STATE);
}

/* --- restarts -------------------------------------------------------------------------------- */

static void a_kill_loses_no_job_in_any_phase(void **state)
{
    struct rig *rig = *state;
    uint64_t generation = 0;

    for (uint32_t i = 0; i < RIG_VMS; i++) {
        rig_make_replicating(rig, vms[i]);
    }
    struct uuid at_work = rig_begin_resync(rig, "web1");
    struct uuid between = rig_begin_resync(rig, "web2");
    struct uuid held = rig_begin_resync(rig, "web3");
    (void)rig_request(rig, "web3", STATE_SUSPENDED);
    rig_end(rig, &held, ERR_CANCELLED);
    struct uuid planned = *job_of(rig_resync(rig, "web4", rig_start_text(rig, 2 * RIG_HOUR_US)));
    rig_end(rig, &between, ERR_PEER);
    generation = rig_row(rig, "web1", 0)->generation;
    for (uint32_t i = 1; i <= 3; i++) {
        rig_restart(rig);
        rig_check(rig);
        assert_int_equal(rig_row(rig, "web1", 0)->generation, generation + i);
        assert_null(rig_session_of(rig, &at_work));
        (void)service_step(rig->service);
        assert_non_null(rig_session_of(rig, &at_work));
        assert_int_equal(rig_session_of(rig, &at_work)->generation, generation + i);
        assert_null(rig_session_of(rig, &between));
        assert_int_equal(rig_job(rig, &held)->state, JOB_SUSPENDED);
        assert_int_equal(rig_state(rig, "web3"), STATE_RESYNC_SUSPENDED);
        assert_int_equal(rig_job(rig, &planned)->scheduled_us, RIG_NOON_US + 2 * RIG_HOUR_US);
    }
    rig_pass(rig, RIG_MINUTE_US);
    assert_non_null(rig_session_of(rig, &between));
    rig_pass(rig, 2 * RIG_HOUR_US);
    assert_non_null(rig_session_of(rig, &planned));
}

static void a_kill_while_it_stops_ends_what_was_to_end(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    rig_make_replicating(rig, "web2");
    struct uuid suspended = rig_begin_resync(rig, "web1");
    struct uuid cancelled = rig_begin_resync(rig, "web2");
    struct rig_reply *first = rig_request(rig, "web1", STATE_SUSPENDED);
    struct rig_reply *second = rig_request(rig, "web2", STATE_WAITING_RESYNC);
    rig_restart(rig);
    rig_pass(rig, US_PER_S);
    assert_int_equal(rig_job(rig, job_of(first))->state, JOB_COMPLETED);
    assert_int_equal(rig_job(rig, job_of(second))->state, JOB_COMPLETED);
    assert_int_equal(rig_job(rig, &cancelled)->state, JOB_TERMINATED);
    assert_int_equal(rig_state(rig, "web2"), STATE_WAITING_RESYNC);
    /* What a person suspended does not begin by itself because of a kill. */
    assert_null(rig_session_of(rig, &suspended));
    assert_int_equal(rig_job(rig, &suspended)->state, JOB_SUSPENDED);
    assert_int_equal(rig_state(rig, "web1"), STATE_RESYNC_SUSPENDED);
}

static void an_initial_copy_goes_on_after_a_kill(void **state)
{
    struct rig *rig = *state;
    struct relationship_row row = {0};

    (void)rig_create(rig, "web1", "beta");
    rig_answer_all(rig);
    struct rig_reply *started = rig_start(rig, "web1");
    rig_answer_all(rig);
    /* The worst moment: the job was saved, the relationship's state not. */
    assert_int_equal(relationship_row_copy(&row, rig_row(rig, "web1", 0), NULL), 0);
    row.state = STATE_READY;
    assert_int_equal(store_put_relationship(rig->store, &row, NULL), 0);
    relationship_row_done(&row);
    rig_restart(rig);
    (void)service_step(rig->service);
    assert_non_null(rig_session_of(rig, job_of(started)));
    assert_int_equal(rig_state(rig, "web1"), STATE_WAITING_INITIAL);
}

static void a_job_of_nothing_and_a_state_without_its_job_are_settled(void **state)
{
    struct rig *rig = *state;
    struct relationship_row row = {0};

    rig_make_replicating(rig, "web1");
    rig_make_replicating(rig, "web2");
    struct uuid job = rig_begin_resync(rig, "web1");
    (void)rig_request(rig, "web1", STATE_SUSPENDED);
    rig_end(rig, &job, ERR_CANCELLED);
    assert_int_equal(store_remove_relationship(rig->store, &rig_row(rig, "web1", 0)->vm, 0, NULL),
                     0);
    assert_int_equal(relationship_row_copy(&row, rig_row(rig, "web2", 0), NULL), 0);
    row.state = STATE_RESYNCHRONIZING;
    assert_int_equal(store_put_relationship(rig->store, &row, NULL), 0);
    relationship_row_done(&row);
    rig_restart(rig);
    assert_int_equal(rig_job(rig, &job)->state, JOB_TERMINATED);
    assert_int_equal(rig_state(rig, "web2"), STATE_WAITING_RESYNC);
}

static void a_service_that_stops_starts_nothing_and_goes_on_later(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    service_stop(rig->service);
    assert_true(rig_session_of(rig, &job)->is_told_to_stop);
    assert_false(service_is_idle(rig->service));
    rig_end(rig, &job, ERR_CANCELLED);
    assert_true(service_is_idle(rig->service));
    rig_pass(rig, RIG_HOUR_US);
    assert_int_equal(rig_running(rig), 0);
    assert_int_equal(rig_state(rig, "web1"), STATE_RESYNCHRONIZING);
    rig_restart(rig);
    rig_pass(rig, 0);
    assert_non_null(rig_session_of(rig, &job));
    assert_int_equal(rig_job(rig, &job)->attempts, 0);
}

/* --- ended ones ------------------------------------------------------------------------------ */

static void ended_jobs_are_kept_five_minutes_and_then_in_the_store(void **state)
{
    struct rig *rig = *state;
    struct job_row row = {0};

    rig_make_replicating(rig, "web1");
    struct uuid job = service_job_at(rig->service, 0)->id;
    rig_pass(rig, 299 * US_PER_S);
    rig_restart(rig);
    assert_non_null(service_find_job(rig->service, &job));
    rig_pass(rig, 2 * US_PER_S);
    assert_null(service_find_job(rig->service, &job));
    assert_int_equal(store_find_job(rig->store, &job, &row, NULL), 1);
    assert_int_equal(row.state, JOB_COMPLETED);
    job_row_done(&row);
    assert_value(rig_request_job(rig, &job, 4), RETURN_INVALID_STATE);
}

static void ended_jobs_of_the_future_are_not_kept_for_ever(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    rig_pass(rig, -365 * 24 * RIG_HOUR_US);
    assert_int_equal(service_job_count(rig->service), 0);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void one_that_is_resumed_before_it_has_stopped_goes_on(void **state)
{
    struct rig *rig = *state;

    rig_make_replicating(rig, "web1");
    struct uuid job = rig_begin_resync(rig, "web1");
    assert_value(rig_request(rig, "web1", STATE_SUSPENDED), RETURN_JOB_STARTED);
    assert_value(rig_request(rig, "web1", STATE_REPLICATING), RETURN_JOB_STARTED);
    rig_end(rig, &job, ERR_CANCELLED);
    rig_pass(rig, 1);
    assert_non_null(rig_session_of(rig, &job));
    assert_int_equal(rig_state(rig, "web1"), STATE_RESYNCHRONIZING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(no_more_than_max_jobs_are_at_work_and_the_first_goes_first),
        RIG_TEST(the_hosts_rate_is_shared),
        RIG_TEST(a_lost_peer_is_tried_again_ever_later),
        RIG_TEST(progress_begins_the_tries_anew),
        RIG_TEST(what_no_retry_mends_fails_for_good),
        RIG_TEST(a_failed_initial_copy_can_be_started_again),
        RIG_TEST(a_peer_that_shows_itself_ends_the_wait),
        RIG_TEST(a_clock_set_back_makes_no_endless_wait),
        RIG_TEST(a_clock_set_forward_loses_nothing),
        RIG_TEST(suspending_one_at_work_ends_with_its_session),
        RIG_TEST(one_that_is_resumed_before_it_has_stopped_goes_on),
        RIG_TEST(one_that_is_being_suspended_can_be_resumed),
        RIG_TEST(resynchronize_goes_on_with_what_is_suspended),
        RIG_TEST(what_is_suspended_can_be_given_a_start_and_another),
        RIG_TEST(a_try_that_runs_has_no_error_of_the_one_before),
        RIG_TEST(cancelling_one_at_work_ends_with_its_session),
        RIG_TEST(cancelling_an_initial_copy_makes_a_job_of_its_type),
        RIG_TEST(a_stop_that_came_too_late_does_not_undo_what_was_done),
        RIG_TEST(a_later_stop_takes_the_place_of_an_earlier_one),
        RIG_TEST(one_between_tries_can_be_suspended_resumed_and_cancelled),
        RIG_TEST(one_that_waits_for_its_time_can_be_suspended_and_started),
        RIG_TEST(one_that_was_resumed_and_has_no_turn_can_be_suspended_again),
        RIG_TEST(requests_that_are_none_are_refused),
        RIG_TEST(a_kill_loses_no_job_in_any_phase),
        RIG_TEST(a_kill_while_it_stops_ends_what_was_to_end),
        RIG_TEST(an_initial_copy_goes_on_after_a_kill),
        RIG_TEST(a_job_of_nothing_and_a_state_without_its_job_are_settled),
        RIG_TEST(a_service_that_stops_starts_nothing_and_goes_on_later),
        RIG_TEST(ended_jobs_are_kept_five_minutes_and_then_in_the_store),
        RIG_TEST(ended_jobs_of_the_future_are_not_kept_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
