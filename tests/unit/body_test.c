/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct body body;

static void open_body(const char *text)
{
    assert_int_equal(body_open(&body, text, strlen(text), NULL), 0);
}

static void close_refused(const char *message)
{
    struct error err = {0};

    assert_int_equal(body_close(&body, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_string_equal(err.message, message);
    body_done(&body);
}

static void expect_not_opened(const char *text, const char *words)
{
    struct error err = {0};

    assert_int_equal(body_open(&body, text, strlen(text), &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_non_null(strstr(err.message, words));
}

static void members_are_taken_by_name_and_type(void **state)
{
    struct body inner;
    const char *name = NULL;
    const char *names[3] = {NULL};
    uint32_t count = 0;
    uint64_t number = 0;
    bool is_set = false;

    (void)state;
    open_body("{\"name\": \"db\", \"number\": 7, \"flag\": true, \"names\": [\"a\", \"b\"], "
              "\"inner\": {\"name\": \"x\"}}");
    assert_true(body_take_text(&body, "name", 3, &name));
    assert_true(body_take_number(&body, "number", 7, &number));
    assert_true(body_take_bool(&body, "flag", &is_set));
    assert_true(body_take_texts(&body, "names", names, 3, &count));
    assert_true(body_take_object(&body, "inner", &inner));
    assert_int_equal(body_close(&body, NULL), 0);
    assert_string_equal(name, "db");
    assert_true(number == 7 && is_set && count == 2);
    assert_string_equal(names[1], "b");
    body_need_text(&inner, "name", 8, &name);
    assert_int_equal(body_close(&inner, NULL), 0);
    assert_string_equal(name, "x");
    body_done(&inner);
    body_done(&body);
}

static void what_is_missing_or_null_leaves_the_value(void **state)
{
    const char *name = "before";
    uint64_t number = 9;
    bool is_set = true;

    (void)state;
    open_body("{\"name\": null, \"number\": null}");
    assert_false(body_take_text(&body, "name", 8, &name));
    assert_false(body_take_number(&body, "number", 9, &number));
    assert_false(body_take_bool(&body, "flag", &is_set));
    assert_int_equal(body_close(&body, NULL), 0);
    assert_string_equal(name, "before");
    assert_true(number == 9 && is_set);
    body_done(&body);
    assert_int_equal(body_open(&body, NULL, 0, NULL), 0);
    body_need_text(&body, "name", 8, &name);
    close_refused("member 'name' is missing");
}

static void the_wrong_type_or_size_is_refused(void **state)
{
    const char *name = NULL;
    const char *names[1] = {NULL};
    uint32_t count = 0;
    uint64_t number = 0;

    (void)state;
    open_body("{\"name\": 7}");
    assert_false(body_take_text(&body, "name", 8, &name));
    close_refused("member 'name' must be a text");
    open_body("{\"name\": \"12345678\"}");
    assert_false(body_take_text(&body, "name", 8, &name));
    close_refused("member 'name' is too long, or holds a NUL");
    open_body("{\"number\": 8}");
    assert_false(body_take_number(&body, "number", 7, &number));
    close_refused("member 'number' must be a whole number from 0 to 7");
    open_body("{\"names\": [\"a\", \"b\"]}");
    assert_false(body_take_texts(&body, "names", names, 1, &count));
    close_refused("member 'names' must be a list of at most 1 texts");
}

static void what_nobody_takes_is_refused(void **state)
{
    (void)state;
    open_body("{\"more\": 1}");
    close_refused("member 'more' is not known here");
}

/* Such names once were where borrowed texts were kept, and passed. */
static void no_name_of_a_member_is_special(void **state)
{
    const char *name = NULL;

    (void)state;
    open_body("{\"\\u0001more\": 1}");
    close_refused("member '?more' is not known here");
    open_body("{\"name\": \"a\", \"\\u0001name\": \"b\"}");
    assert_true(body_take_text(&body, "name", 8, &name));
    assert_string_equal(name, "a");
    close_refused("member '?name' is not known here");
}

static void what_is_no_object_is_not_opened(void **state)
{
    (void)state;
    expect_not_opened("[]", "must be a JSON object");
    expect_not_opened("7", "is no JSON");
    expect_not_opened("{", "is no JSON");
    expect_not_opened("{\"a\": 1, \"a\": 2}", "is no JSON");
    expect_not_opened("{\"a\\u0000b\": 1}", "is no JSON");
    expect_not_opened("{} {}", "is no JSON");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_taken_by_name_and_type),
        cmocka_unit_test(what_is_missing_or_null_leaves_the_value),
        cmocka_unit_test(the_wrong_type_or_size_is_refused),
        cmocka_unit_test(what_nobody_takes_is_refused),
        cmocka_unit_test(no_name_of_a_member_is_special),
        cmocka_unit_test(what_is_no_object_is_not_opened),
    };
    return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
