/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_random_test.c - thousands of calls, answers, ends, clock moves, store failures and
 * restarts in an order that a printed seed gives; after each, everything must still hold
 * (rig_check). SERVICE_SEED in the environment repeats one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_rig.h"

#include <cmocka.h>

#define STEPS 2000U
#define RUNS 4U

struct counts {
    uint32_t calls;
    uint32_t answers;
    uint32_t ends;
    uint32_t restarts;
    uint32_t breaks;
};

static const char *any_vm(struct rig *rig)
{
    static const char *const names[RIG_VMS] = {"web1", "web2", "web3", "web4"};

    return names[rig_chance(rig, RIG_VMS)];
}

static void any_modify(struct rig *rig)
{
    struct relationship_settings settings;
    struct service_asker asker;

    service_settings_default(&settings);
    settings.is_auto_resync_enabled = rig_chance(rig, 2) == 0;
    settings.auto_start_minute = (uint32_t)rig_chance(rig, 24 * 60);
    settings.auto_end_minute = (uint32_t)rig_chance(rig, 24 * 60);
    (void)rig_asker(rig, &rig_administrator, &asker);
    service_modify(rig->service, &asker, any_vm(rig), -1, &settings);
}

static void any_job_request(struct rig *rig)
{
    uint32_t count = service_job_count(rig->service);

    if (count > 0) {
        struct uuid id = service_job_at(rig->service, (uint32_t)rig_chance(rig, count))->id;
        (void)rig_request_job(rig, &id, (uint16_t)(2 + rig_chance(rig, 3)));
    }
}

static void any_call(struct rig *rig)
{
    static const uint16_t states[] = {1, 3, 7, 9};
    const char *text = NULL; /* chance is asked in an order that no compiler chooses */
    uint16_t state = 0;

    /* Most askers wait for their answers as long as peers are well, so that much comes to work. */
    if (rig_chance(rig, 2) == 0) {
        rig_answer_all(rig);
    }
    switch (rig_chance(rig, 10)) {
    case 0:
        (void)rig_create(rig, any_vm(rig), "beta");
        return;
    case 1:
        (void)rig_start(rig, any_vm(rig));
        return;
    case 2:
    case 3:
        (void)rig_resync(rig, any_vm(rig), NULL);
        return;
    case 4:
        text = rig_start_text(rig, (int64_t)rig_chance(rig, 5) * RIG_HOUR_US);
        (void)rig_resync(rig, any_vm(rig), text);
        return;
    case 5:
        state = states[rig_chance(rig, ARRAY_COUNT(states))];
        (void)rig_request(rig, any_vm(rig), state);
        return;
    case 6:
    case 7:
        any_job_request(rig);
        return;
    case 8:
        any_modify(rig);
        return;
    default:
        if (rig_chance(rig, 6) == 0) {
            (void)rig_remove(rig, any_vm(rig));
        }
    }
}

static void any_answer(struct rig *rig)
{
    struct error err = {.kind = ERR_IO, .message = "the disk is not there"};

    if (rig_chance(rig, 2) == 0) {
        (void)rig_look(rig, rig_chance(rig, 8) == 0 ? &err : NULL);
    } else if (rig_chance(rig, 8) == 0) {
        (void)rig_answer(rig, PEER_UNREACHABLE, RETURN_FAILED);
    } else {
        (void)rig_answer(rig, PEER_ANSWERED,
                         rig_chance(rig, 10) == 0 ? RETURN_IN_USE : RETURN_DONE);
    }
}

static bool any_end(struct rig *rig)
{
    static const enum error_kind kinds[] = {ERR_NONE,  ERR_NONE,        ERR_PEER,
                                            ERR_LIMIT, ERR_WRONG_STATE, ERR_IO};

    for (uint32_t i = 0; i < rig->session_count; i++) {
        struct rig_session *session = &rig->sessions[i];
        if (!session->is_running || rig_chance(rig, 2) == 0) {
            continue;
        }
        struct uuid job = session->job;
        if (rig_chance(rig, 3) == 0) {
            rig_progress(rig, &job, rig_chance(rig, RIG_DISK_BYTES), 0);
        }
        rig_end(rig, &job,
                session->is_told_to_stop && rig_chance(rig, 4) != 0
                    ? ERR_CANCELLED
                    : kinds[rig_chance(rig, ARRAY_COUNT(kinds))]);
        return true;
    }
    return false;
}

static void any_time(struct rig *rig)
{
    switch (rig_chance(rig, 8)) {
    case 0: /* set back */
        rig->wall_us -= (int64_t)rig_chance(rig, 100) * RIG_HOUR_US;
        return;
    case 1:
        rig_pass(rig, (int64_t)rig_chance(rig, 30) * RIG_HOUR_US);
        return;
    default:
        rig_pass(rig, (int64_t)rig_chance(rig, 40) * RIG_MINUTE_US);
    }
}

/* A while in which the store takes nothing; what happens in it is saved afterwards. */
static void any_break(struct rig *rig)
{
    rig_break_store(rig, true);
    for (uint32_t i = 0; i < 4; i++) {
        if (rig_chance(rig, 2) == 0) {
            any_call(rig);
        } else {
            (void)any_end(rig);
        }
    }
    rig_break_store(rig, false);
    (void)service_step(rig->service);
}

static void run_one(struct rig *rig, struct counts *counts)
{
    uint64_t what = rig_chance(rig, 100);

    rig->refuse_start = rig_chance(rig, 20) == 0 ? ERR_LIMIT : ERR_NONE;
    rig->refuse_ask = rig_chance(rig, 20) == 0 ? ERR_LIMIT : ERR_NONE;
    rig->refuse_look = rig_chance(rig, 20) == 0 ? ERR_LIMIT : ERR_NONE;
    if (what < 40) {
        any_call(rig);
        counts->calls++;
    } else if (what < 70) {
        any_answer(rig);
        counts->answers++;
    } else if (what < 82) {
        counts->ends += any_end(rig) ? 1 : 0;
    } else if (what < 95) {
        any_time(rig);
    } else if (what < 96) {
        rig_restart(rig);
        counts->restarts++;
    } else {
        any_break(rig);
        counts->breaks++;
    }
}

static void run(uint64_t seed)
{
    struct rig *rig = rig_new();
    struct counts counts = {0};

    rig->seed = seed;
    for (uint32_t i = 0; i < STEPS; i++) {
        run_one(rig, &counts);
        rig_check(rig);
    }
    print_message("seed %llu: %u calls, %u answers, %u ends of %u sessions, %u restarts, %u times "
                  "no store, %u askers\n",
                  (unsigned long long)seed, counts.calls, counts.answers, counts.ends,
                  rig->session_count, counts.restarts, counts.breaks, rig->reply_count);
    assert_true(rig->session_count > 20 && counts.restarts > 5);
    rig_free(rig);
}

static void holds_whatever_happens(void **state)
{
    const char *text = getenv("SERVICE_SEED");
    uint64_t seed = 20260302;

    (void)state;
    if (text != NULL) {
        print_message("seed %s from the environment\n", text);
        seed = strtoull(text, NULL, 10);
    }
    for (uint64_t i = 0; i < RUNS; i++) {
        print_message("seed %llu begins\n", (unsigned long long)(seed + i));
        run(seed + i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_whatever_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
