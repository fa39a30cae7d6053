/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "replica/authorize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Rows: operations; columns: nobody, viewer, operator, administrator, service. */
static const char *const table[] = {
    [OPERATION_INVALID] = ".....",   [OPERATION_READ] = ".yyyy",  [OPERATION_RESYNC] = "..yyy",
    [OPERATION_CONFIGURE] = "...yy", [OPERATION_TRUST] = "...yy", [OPERATION_BACKUP] = "...yy",
};

static struct caller caller_of(enum caller_role role)
{
    return (struct caller){.role = role, .name = "bob"};
}

static void each_role_may_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        for (size_t role = 0; role < strlen(table[i]); role++) {
            struct caller caller = caller_of((enum caller_role)role);
            struct error err = {0};
            int result = authorize(&caller, (enum operation)i, &err);
            assert_int_equal(result, table[i][role] == 'y' ? 0 : -1);
            assert_int_equal(err.kind, result == 0 ? ERR_NONE : ERR_USAGE);
        }
    }
}

static void a_refusal_names_the_caller_and_what_it_takes(void **state)
{
    struct caller viewer = caller_of(CALLER_VIEWER);
    struct caller nobody = caller_of(CALLER_NOBODY);
    struct error err = {0};

    (void)state;
    assert_int_equal(authorize(&viewer, OPERATION_RESYNC, &err), -1);
    assert_string_equal(err.message, "'bob' is a viewer; this needs an operator");
    assert_int_equal(authorize(&viewer, OPERATION_TRUST, &err), -1);
    assert_string_equal(err.message, "'bob' is a viewer; this needs an administrator");
    assert_int_equal(authorize(&nobody, OPERATION_READ, &err), -1);
    assert_non_null(strstr(err.message, "'bob' has no role here"));
    assert_non_null(strstr(err.message, "a viewer"));
}

static void zero_is_nobody_and_nothing(void **state)
{
    struct caller caller = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        assert_int_equal(authorize(&caller, (enum operation)i, NULL), -1);
    }
}

/* Numbers that no version of ours wrote must not be more than an administrator. */
static void roles_and_operations_that_are_not_known_have_nothing(void **state)
{
    struct caller stranger = caller_of((enum caller_role)(CALLER_SERVICE + 1));
    struct caller administrator = caller_of(CALLER_ADMINISTRATOR);

    (void)state;
    assert_int_equal(authorize(&stranger, OPERATION_READ, NULL), -1);
    assert_string_equal(caller_role_name(stranger.role), "unknown");
    assert_int_equal(authorize(&administrator, (enum operation)(OPERATION_BACKUP + 1), NULL), -1);
}

static void each_role_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(caller_role_name(CALLER_NOBODY), "nobody");
    assert_string_equal(caller_role_name(CALLER_VIEWER), "viewer");
    assert_string_equal(caller_role_name(CALLER_OPERATOR), "operator");
    assert_string_equal(caller_role_name(CALLER_ADMINISTRATOR), "administrator");
    assert_string_equal(caller_role_name(CALLER_SERVICE), "service");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_may_what_the_table_says),
        cmocka_unit_test(a_refusal_names_the_caller_and_what_it_takes),
        cmocka_unit_test(zero_is_nobody_and_nothing),
        cmocka_unit_test(roles_and_operations_that_are_not_known_have_nothing),
        cmocka_unit_test(each_role_has_a_name),
    };
    return cmocka_run_group_tests_name("authorize", tests, NULL, NULL);
}
