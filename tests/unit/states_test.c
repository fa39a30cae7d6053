/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "replica/states.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/attributes.h"

#include <cmocka.h>

static void each_state_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i <= STATE_MAX; i++) {
        const char *name = replication_state_name((enum replication_state)i);
        assert_string_not_equal(name, "unknown");
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(name, replication_state_name((enum replication_state)j));
        }
    }
    assert_string_equal(replication_state_name(STATE_RESYNCHRONIZING), "resynchronizing");
}

static void each_role_mode_and_health_has_a_name(void **state)
{
    (void)state;
    for (int i = 1; i <= RELATIONSHIP_ROLE_MAX; i++) {
        assert_string_not_equal(relationship_role_name((enum relationship_role)i), "unknown");
    }
    for (int i = 0; i <= MODE_EXTENDED; i++) {
        assert_string_not_equal(replication_mode_name((enum replication_mode)i), "unknown");
    }
    for (int i = 0; i <= HEALTH_CRITICAL; i++) {
        assert_string_not_equal(replication_health_name((enum replication_health)i), "unknown");
    }
}

static void each_job_type_and_state_has_a_name(void **state)
{
    static const enum job_type types[] = {
        JOB_TYPE_NONE,   JOB_CREATE,          JOB_MODIFY,         JOB_REMOVE,
        JOB_INITIAL,     JOB_STATE_CHANGE,    JOB_RESYNC,         JOB_STOP_INITIAL,
        JOB_STOP_RESYNC, JOB_TEST_CONNECTION, JOB_RESYNC_INITIAL, JOB_RESYNC_EXTENDED};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        assert_string_not_equal(job_type_name(types[i]), "unknown");
    }
    for (int i = JOB_NEW; i <= JOB_EXCEPTION; i++) {
        assert_string_not_equal(job_state_name((enum job_state)i), "unknown");
    }
    assert_string_equal(job_state_name(JOB_COMPLETED_WITH_WARNINGS), "completed with warnings");
}

static void return_values_bear_the_names_of_wmi(void **state)
{
    (void)state;
    assert_string_equal(return_value_name(RETURN_DONE), "Completed with No Error");
    assert_string_equal(return_value_name(RETURN_JOB_STARTED),
                        "Method Parameters Checked - Job Started");
    assert_string_equal(return_value_name(RETURN_INVALID_STATE),
                        "Invalid state for this operation");
    for (int i = RETURN_FAILED; i <= RETURN_FILE_NOT_FOUND; i++) {
        assert_string_not_equal(return_value_name((enum return_value)i), "unknown");
    }
}

/* They come from databases and peers: any number has some word. */
static void numbers_that_are_none_are_unknown(void **state)
{
    (void)state;
    assert_string_equal(replication_state_name((enum replication_state)(STATE_MAX + 1)), "unknown");
    assert_string_equal(replication_health_name((enum replication_health)99), "unknown");
    assert_string_equal(replication_mode_name((enum replication_mode)99), "unknown");
    assert_string_equal(relationship_role_name(RELATIONSHIP_INVALID), "unknown");
    assert_string_equal(job_type_name((enum job_type)1), "unknown");
    assert_string_equal(job_state_name((enum job_state)1), "unknown");
    assert_string_equal(return_value_name((enum return_value)1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_has_a_name_of_its_own),
        cmocka_unit_test(each_role_mode_and_health_has_a_name),
        cmocka_unit_test(each_job_type_and_state_has_a_name),
        cmocka_unit_test(return_values_bear_the_names_of_wmi),
        cmocka_unit_test(numbers_that_are_none_are_unknown),
    };
    return cmocka_run_group_tests_name("states", tests, NULL, NULL);
}
