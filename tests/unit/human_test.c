/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/human.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define S 1000000000ULL

static void sizes_have_one_digit_behind_the_point(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } table[] = {
        {0, "0 bytes"},
        {1, "1 byte"},
        {1023, "1023 bytes"},
        {1024, "1 KiB"},
        {1025, "1.0 KiB"},
        {64 * KIB, "64 KiB"},
        {192 * KIB, "192 KiB"},
        {1536, "1.5 KiB"},
        {MIB, "1.0 MiB"},
        {41 * MIB, "41.0 MiB"},
        {41 * MIB + 51 * KIB, "41.0 MiB"},
        {41 * MIB + 52 * KIB, "41.1 MiB"},
        {4 * GIB, "4.0 GiB"},
        {16 * TIB, "16.0 TiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    char text[HUMAN_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_string_equal(human_size(table[i].bytes, text), table[i].text);
    }
}

static void times_are_local(void **state)
{
    char text[HUMAN_MAX];

    (void)state;
    assert_int_equal(setenv("TZ", "XXX-5:30", 1), 0);
    tzset();
    assert_string_equal(human_time(0, text), "1970-01-01 05:30:00");
    assert_string_equal(human_time(1772360430 * S + S - 1, text), "2026-03-01 15:50:30");
    assert_string_equal(human_time(UINT64_MAX, text), "2554-07-22 05:04:33");
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
}

static void rounding_up_reaches_the_next_unit(void **state)
{
    char text[HUMAN_MAX];

    (void)state;
    assert_string_equal(human_size(MIB - 1, text), "1.0 MiB");
    assert_string_equal(human_size(GIB - 1, text), "1.0 GiB");
    assert_string_equal(human_size(1023 * MIB, text), "1023.0 MiB");
    assert_string_equal(human_size(1023 * KIB, text), "1023 KiB");
    assert_string_equal(human_size(2 * MIB - 1, text), "2.0 MiB");
    for (uint64_t bytes = KIB; bytes < 1024 * TIB; bytes += bytes / 37 + 1) {
        assert_null(strstr(human_size(bytes, text), "1024"));
    }
}

static void rates_are_sizes_a_second(void **state)
{
    char text[HUMAN_MAX];

    (void)state;
    assert_string_equal(human_rate(4 * GIB, 2 * S, text), "2.0 GiB/s");
    assert_string_equal(human_rate(0, 0, text), "0 bytes/s");
    assert_string_equal(human_rate(1, 3 * S, text), "0 bytes/s");
    assert_non_null(strstr(human_rate(UINT64_MAX, 0, text), "/s"));
    assert_true(human_rate_of(1000, S / 2) == 2000);
}

static void durations_grow_coarser(void **state)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } table[] = {
        {0, "0.0 s"},
        {49999999, "0.0 s"},
        {50000000, "0.1 s"},
        {1234567890, "1.2 s"},
        {59940000000, "59.9 s"},
        {59960000000, "1 min 0 s"},
        {125 * S, "2 min 5 s"},
        {3599 * S, "59 min 59 s"},
        {3600 * S, "1 h 0 min"},
        {11229 * S, "3 h 7 min"},
    };
    char text[HUMAN_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_string_equal(human_duration(table[i].ns, text), table[i].text);
    }
}

static void clocks_count_to_99_hours(void **state)
{
    char text[HUMAN_MAX];

    (void)state;
    assert_string_equal(human_clock(0, text), "0:00");
    assert_string_equal(human_clock(42, text), "0:42");
    assert_string_equal(human_clock(725, text), "12:05");
    assert_string_equal(human_clock(3723, text), "1:02:03");
    assert_string_equal(human_clock(359999, text), "99:59:59");
    assert_string_equal(human_clock(360000, text), "over 99 h");
    assert_string_equal(human_clock(UINT64_MAX, text), "over 99 h");
}

static void expect_name(const char *name, size_t columns, const char *expected,
                        size_t expected_columns)
{
    char text[256];
    size_t used = human_name(name, columns, text, sizeof text);

    assert_string_equal(text, expected);
    assert_int_equal(used, expected_columns);
}

static void names_lose_what_a_terminal_would_act_on(void **state)
{
    (void)state;
    expect_name("/srv/b.raw", 0, "/srv/b.raw", 10);
    expect_name("", 0, "", 0);
    expect_name("a\x1b[31m\nb\tc\x7f", 0, "a?[31m?b?c?", 11);
    expect_name("a\xc2\x9b"
                "31mb",
                0, "a?31mb", 6); /* C1: CSI in one character */
    expect_name("caf\xc3\xa9", 0, "caf\xc3\xa9", 4);
    expect_name("cafe\xcc\x81", 0, "cafe\xcc\x81", 4); /* a letter and its accent apart */
    expect_name("\xe7\xa3\x81\xe7\x9b\x98", 0, "\xe7\xa3\x81\xe7\x9b\x98", 4); /* two columns each
                                                                                */
    expect_name("a\xe2\x80\xae"
                "war.b",
                0, "a?war.b", 7); /* U+202E would turn it around */
    expect_name("a\xff\xfe"
                "b",
                0, "a??b", 4);             /* no UTF-8 */
    expect_name("a\xe2\x82", 0, "a??", 3); /* cut in the middle */
}

static void long_names_lose_their_beginning(void **state)
{
    (void)state;
    expect_name("/srv/vm/disk.raw", 16, "/srv/vm/disk.raw", 16);
    expect_name("/srv/vm/disk.raw", 15, ".../vm/disk.raw", 15);
    expect_name("/srv/vm/disk.raw", 4, "...w", 4);
    expect_name("/srv/vm/disk.raw", 3, "...", 3);
    expect_name("/srv/vm/disk.raw", 1, ".", 1);
    /* A character of two columns does not fit into one. */
    expect_name("\xe7\xa3\x81\xe7\x9b\x98\xe7\x9b\x98", 5, "...\xe7\x9b\x98", 5);
    expect_name("\xe7\xa3\x81\xe7\x9b\x98\xe7\x9b\x98", 4, "...", 3);
}

static void a_small_buffer_is_never_overrun(void **state)
{
    char text[8];

    (void)state;
    (void)human_name("0123456789", 0, text, sizeof text);
    assert_string_equal(text, "0123456");
    (void)human_name("012345\xc3\xa9", 0, text, sizeof text);
    assert_string_equal(text, "012345");
    (void)human_name("0123456789", 0, text, 1);
    assert_string_equal(text, "");
    (void)human_name("0123456789", 5, text, 3);
    assert_string_equal(text, "..");
}

static int set_utf8(void **state)
{
    (void)state;
    return setlocale(LC_CTYPE, "C.UTF-8") == NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_have_one_digit_behind_the_point),
        cmocka_unit_test(times_are_local),
        cmocka_unit_test(rounding_up_reaches_the_next_unit),
        cmocka_unit_test(rates_are_sizes_a_second),
        cmocka_unit_test(durations_grow_coarser),
        cmocka_unit_test(clocks_count_to_99_hours),
        cmocka_unit_test(names_lose_what_a_terminal_would_act_on),
        cmocka_unit_test(long_names_lose_their_beginning),
        cmocka_unit_test(a_small_buffer_is_never_overrun),
    };
    return cmocka_run_group_tests_name("human", tests, set_utf8, NULL);
}
