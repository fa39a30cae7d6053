/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT "6f1c2a9e-03b4-4d58-a7f0-ff00ee11dd22"

static int fill_with(void *context, struct span out, struct error *err)
{
    const int *byte = context;

    if (*byte < 0) {
        *err = (struct error){.kind = ERR_IO, .message = "no chance today"};
        return -1;
    }
    memset(out.at, *byte, out.len_bytes);
    return 0;
}

static void what_is_read_is_written_again(void **state)
{
    struct uuid uuid;
    char text[UUID_TEXT_MAX];

    (void)state;
    assert_int_equal(uuid_parse(TEXT, &uuid, NULL), 0);
    assert_int_equal(uuid.bytes[0], 0x6f);
    assert_int_equal(uuid.bytes[4], 0x03);
    assert_int_equal(uuid.bytes[15], 0x22);
    uuid_format(&uuid, text);
    assert_string_equal(text, TEXT);
    assert_int_equal(strlen(text), UUID_TEXT_MAX - 1);
}

static void upper_case_is_the_same_uuid(void **state)
{
    struct uuid lower;
    struct uuid upper;

    (void)state;
    assert_int_equal(uuid_parse(TEXT, &lower, NULL), 0);
    assert_int_equal(uuid_parse("6F1C2A9E-03B4-4D58-A7F0-FF00EE11DD22", &upper, NULL), 0);
    assert_true(uuid_equal(&lower, &upper));
}

static void every_byte_goes_both_ways(void **state)
{
    (void)state;
    for (unsigned int byte = 0; byte < 256; byte++) {
        struct uuid uuid;
        struct uuid again;
        char text[UUID_TEXT_MAX];
        memset(uuid.bytes, (int)byte, UUID_BYTES);
        uuid_format(&uuid, text);
        assert_int_equal(uuid_parse(text, &again, NULL), 0);
        assert_true(uuid_equal(&uuid, &again));
    }
}

static void expect_refused(const char *text)
{
    struct uuid uuid;
    struct uuid before;
    struct error err = {0};

    memset(uuid.bytes, 0x5a, UUID_BYTES);
    before = uuid;
    assert_int_equal(uuid_parse(text, &uuid, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_non_null(strstr(err.message, "is no UUID"));
    assert_true(uuid_equal(&uuid, &before));
}

static void what_is_no_uuid_is_refused_and_touches_nothing(void **state)
{
    static const char *const wrong[] = {
        "",
        "-",
        "6f1c2a9e03b44d58a7f0ff00ee11dd22",
        "{" TEXT "}",
        " " TEXT,
        TEXT " ",
        TEXT "0",
        "6f1c2a9e-03b4-4d58-a7f0-ff00ee11dd2",
        "6f1c2a9-e03b4-4d58-a7f0-ff00ee11dd22",
        "6f1c2a9e_03b4-4d58-a7f0-ff00ee11dd22",
        "6f1c2a9g-03b4-4d58-a7f0-ff00ee11dd22",
        "6f1c2a9`-03b4-4d58-a7f0-ff00ee11dd22",
        "6f1c2a9@-03b4-4d58-a7f0-ff00ee11dd22",
        "\xb6"
        "f1c2a9e-03b4-4d58-a7f0-ff00ee11dd22",
        "0x1c2a9e-03b4-4d58-a7f0-ff00ee11dd22",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        expect_refused(wrong[i]);
    }
}

/* In memory of its exact size, for the address sanitizer. */
static void a_text_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen(TEXT); len++) {
        char *text = strndup(TEXT, len);
        assert_non_null(text);
        expect_refused(text);
        free(text);
    }
}

static void only_zeros_are_nil(void **state)
{
    struct uuid uuid = {{0}};

    (void)state;
    assert_true(uuid_is_nil(&uuid));
    for (unsigned int i = 0; i < UUID_BYTES; i++) {
        uuid = (struct uuid){{0}};
        uuid.bytes[i] = 1;
        assert_false(uuid_is_nil(&uuid));
    }
}

static void the_order_is_that_of_the_bytes(void **state)
{
    struct uuid low = {{0x7f, 0xff}};
    struct uuid high = {{0x80}};

    (void)state;
    assert_true(uuid_compare(&low, &high) < 0);
    assert_true(uuid_compare(&high, &low) > 0);
    assert_int_equal(uuid_compare(&low, &low), 0);
    assert_false(uuid_equal(&low, &high));
}

/* RFC 4122, 4.4, whatever chance says. */
static void a_new_one_says_that_it_is_a_random_one(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const struct env env = {.random = fill_with, .context = &byte};
        struct uuid uuid;
        assert_int_equal(uuid_new(&env, &uuid, NULL), 0);
        assert_int_equal(uuid.bytes[6] & 0xf0, 0x40);
        assert_int_equal(uuid.bytes[8] & 0xc0, 0x80);
        assert_int_equal(uuid.bytes[0], byte);
        assert_int_equal(uuid.bytes[6] & 0x0f, byte & 0x0f);
    }
}

static void no_chance_is_no_uuid(void **state)
{
    int none = -1;
    const struct env env = {.random = fill_with, .context = &none};
    struct uuid uuid = {{9}};
    struct error err = {0};

    (void)state;
    assert_int_equal(uuid_new(&env, &uuid, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_int_equal(uuid.bytes[0], 9);
}

static void two_of_the_systems_differ(void **state)
{
    struct uuid first;
    struct uuid second;

    (void)state;
    assert_int_equal(uuid_new(env_system(), &first, NULL), 0);
    assert_int_equal(uuid_new(env_system(), &second, NULL), 0);
    assert_false(uuid_equal(&first, &second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_written_again),
        cmocka_unit_test(upper_case_is_the_same_uuid),
        cmocka_unit_test(every_byte_goes_both_ways),
        cmocka_unit_test(what_is_no_uuid_is_refused_and_touches_nothing),
        cmocka_unit_test(a_text_cut_anywhere_is_refused),
        cmocka_unit_test(only_zeros_are_nil),
        cmocka_unit_test(the_order_is_that_of_the_bytes),
        cmocka_unit_test(a_new_one_says_that_it_is_a_random_one),
        cmocka_unit_test(no_chance_is_no_uuid),
        cmocka_unit_test(two_of_the_systems_differ),
    };
    return cmocka_run_group_tests_name("uuid", tests, NULL, NULL);
}
