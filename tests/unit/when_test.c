/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/attributes.h"
#include "base/instant.h"

/* A place with summer time, that needs no data of the machine: the clocks go forward on the last
 * Sunday of March at 2:00, and back on that of October at 3:00. */
static void set_zone(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static int64_t moment(const char *text)
{
    int64_t at_us = 0;

    assert_int_equal(instant_read(text, &at_us), INSTANT_MOMENT);
    return at_us;
}

static void expect(const char *text, const char *now, const char *expected)
{
    struct error err = {0};
    int64_t at_us = 0;
    char shown[INSTANT_TEXT_MAX];

    if (when_read(text, moment(now), &at_us, &err) < 0) {
        fail_msg("'%s': %s", text, err.message);
    }
    instant_format(at_us, shown);
    if (strcmp(shown, expected) != 0) {
        fail_msg("'%s' at %s is %s, not %s", text, now, shown, expected);
    }
}

static void expect_refused(const char *text)
{
    struct error err = {0};
    int64_t at_us = 77;

    if (when_read(text, moment("2026-03-01T10:00:00Z"), &at_us, &err) == 0) {
        fail_msg("'%s' passes", text);
    }
    assert_int_equal(err.kind, ERR_USAGE);
    assert_int_equal(at_us, 77);
    assert_non_null(strstr(err.message, WHEN_FORMS));
}

static void a_time_of_day_is_the_next_such(void **state)
{
    (void)state;
    set_zone("UTC");
    expect("22:00", "2026-03-01T10:00:00Z", "2026-03-01T22:00:00Z");
    expect("22:00", "2026-03-01T22:30:00Z", "2026-03-02T22:00:00Z");
    expect("22:00", "2026-03-01T21:59:59Z", "2026-03-01T22:00:00Z");
    expect("9:05", "2026-03-01T10:00:00Z", "2026-03-02T09:05:00Z");
    expect("22:00:30", "2026-03-01T10:00:00Z", "2026-03-01T22:00:30Z");
    expect("0:00", "2026-12-31T10:00:00Z", "2027-01-01T00:00:00Z");
    expect("10:00", "2024-02-28T11:00:00Z", "2024-02-29T10:00:00Z");
}

static void this_very_moment_is_over(void **state)
{
    (void)state;
    set_zone("UTC");
    expect("10:00", "2026-03-01T10:00:00Z", "2026-03-02T10:00:00Z");
}

static void a_time_of_day_is_local(void **state)
{
    (void)state;
    set_zone(BERLIN);
    expect("22:00", "2026-01-10T10:00:00Z", "2026-01-10T21:00:00Z");
    expect("22:00", "2026-07-10T10:00:00Z", "2026-07-10T20:00:00Z");
    /* It is tomorrow there already. */
    expect("0:30", "2026-01-10T23:10:00Z", "2026-01-10T23:30:00Z");
}

static void the_night_of_the_clocks_moves_the_day_not_the_hour(void **state)
{
    (void)state;
    set_zone(BERLIN);
    expect("22:00", "2026-03-28T21:30:00Z", "2026-03-29T20:00:00Z");
    expect("22:00", "2026-10-24T20:30:00Z", "2026-10-25T21:00:00Z");
}

static void a_date_is_local(void **state)
{
    (void)state;
    set_zone(BERLIN);
    expect("2026-03-01 22:00", "2026-02-01T10:00:00Z", "2026-03-01T21:00:00Z");
    expect("2026-08-01 22:00:05", "2026-02-01T10:00:00Z", "2026-08-01T20:00:05Z");
    set_zone("UTC");
    expect("2028-02-29 00:00", "2026-02-01T10:00:00Z", "2028-02-29T00:00:00Z");
    /* The daemon judges what is past, not the parser. */
    expect("2020-01-01 00:00", "2026-02-01T10:00:00Z", "2020-01-01T00:00:00Z");
}

static void rfc_3339_is_taken(void **state)
{
    (void)state;
    set_zone(BERLIN);
    expect("2026-03-01T22:00:00Z", "2026-02-01T10:00:00Z", "2026-03-01T22:00:00Z");
    expect("2026-03-01T22:00:00+05:30", "2026-02-01T10:00:00Z", "2026-03-01T16:30:00Z");
}

static void a_plus_is_later_than_now(void **state)
{
    (void)state;
    set_zone(BERLIN);
    expect("+2h", "2026-03-01T10:00:00Z", "2026-03-01T12:00:00Z");
    expect("+30m", "2026-03-01T10:00:00Z", "2026-03-01T10:30:00Z");
    expect("+90s", "2026-03-01T10:00:00Z", "2026-03-01T10:01:30Z");
    expect("+1d12h", "2026-03-01T10:00:00Z", "2026-03-02T22:00:00Z");
    expect("+0m", "2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z");
    /* Of a length, not of a clock. */
    expect("+24h", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
    expect("+366d", "2026-03-01T10:00:00Z", "2027-03-02T10:00:00Z");
}

static void everything_else_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "+",
        "+2",
        "+h",
        "+2h3",
        "+2x",
        "+-2h",
        "+367d",
        "+99999999s",
        "2h",
        "24:00",
        "22:60",
        "22:0",
        "22",
        "22:00 ",
        " 22:00",
        "22:00:60",
        "22:00x",
        "2026-02-29 10:00",
        "2026-13-01 10:00",
        "2026-00-01 10:00",
        "2026-01-00 10:00",
        "2026-04-31 10:00",
        "2026-03-01",
        "2026-03-01 ",
        "26-03-01 10:00",
        "2026-3-1 10:00",
        "2026-03-01  10:00",
        "tomorrow",
        "-2h",
        "1:2:3",
        "\xff",
        "99999999999999999999:00",
        "00000001000000.000000:000", /* a CIM interval is no moment */
    };

    (void)state;
    set_zone("UTC");
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        expect_refused(texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_of_day_is_the_next_such),
        cmocka_unit_test(this_very_moment_is_over),
        cmocka_unit_test(a_time_of_day_is_local),
        cmocka_unit_test(the_night_of_the_clocks_moves_the_day_not_the_hour),
        cmocka_unit_test(a_date_is_local),
        cmocka_unit_test(rfc_3339_is_taken),
        cmocka_unit_test(a_plus_is_later_than_now),
        cmocka_unit_test(everything_else_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
