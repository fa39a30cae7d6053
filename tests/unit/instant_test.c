/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/instant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/attributes.h"
#include "base/env.h"

#include <cmocka.h>

#define MARCH_S 1772398800LL /* 2026-03-01T21:00:00Z */
#define UNTOUCHED (-77)

static void live_in(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

struct moment {
    const char *text;
    int64_t us;
};

static void expect_moments(const struct moment *moments, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t us = UNTOUCHED;
        if (instant_read(moments[i].text, &us) != INSTANT_MOMENT || us != moments[i].us) {
            fail_msg("'%s' is read as %lld, not %lld", moments[i].text, (long long)us,
                     (long long)moments[i].us);
        }
    }
}

/* In memory of its exact size, for the address sanitizer. */
static void expect_none(const char *text)
{
    char *copy = strdup(text);
    int64_t us = UNTOUCHED;

    assert_non_null(copy);
    if (instant_read(copy, &us) != INSTANT_NONE || us != UNTOUCHED) {
        fail_msg("'%s' is read as %lld", text, (long long)us);
    }
    free(copy);
}

static void moments_of_rfc_3339_are_read(void **state)
{
    static const struct moment moments[] = {
        {"2026-03-01T21:00:00Z", MARCH_S * US_PER_S},
        {"2026-03-01t21:00:00z", MARCH_S * US_PER_S},
        {"2026-03-01 21:00:00Z", MARCH_S * US_PER_S},
        {"2026-03-01T22:00:00+01:00", MARCH_S * US_PER_S},
        {"2026-03-01T15:30:00-05:30", MARCH_S * US_PER_S},
        {"2026-03-02T20:59:00+23:59", MARCH_S * US_PER_S},
        {"2026-03-01T21:00:00-00:00", MARCH_S * US_PER_S},
        {"2026-03-01T21:00:00.5Z", MARCH_S * US_PER_S + 500000},
        {"2026-03-01T21:00:00.000001Z", MARCH_S * US_PER_S + 1},
        {"2026-03-01T21:00:00.9999999999Z", MARCH_S * US_PER_S + 999999},
        {"2026-03-01T22:00:00.123456+01:00", MARCH_S * US_PER_S + 123456},
        {"1970-01-01T00:00:00.000001Z", 1},
        {"1969-12-31T23:00:01-01:00", US_PER_S},
    };

    (void)state;
    expect_moments(moments, ARRAY_COUNT(moments));
}

static void moments_of_cim_are_read(void **state)
{
    static const struct moment moments[] = {
        {"20260301210000.000000+000", MARCH_S * US_PER_S},
        {"20260301220000.000000+060", MARCH_S * US_PER_S},
        {"20260301153000.000000-330", MARCH_S * US_PER_S},
        {"20260301210000.000007-000", MARCH_S * US_PER_S + 7},
        {"20260301210000.******+000", MARCH_S * US_PER_S},
        {"20260302133900.999999+999", MARCH_S * US_PER_S + 999999},
    };

    (void)state;
    expect_moments(moments, ARRAY_COUNT(moments));
}

static void a_cim_moment_without_an_offset_is_local(void **state)
{
    static const struct moment berlin[] = {
        {"20260301220000.000000+***", MARCH_S * US_PER_S},
        {"20260301220000.******-***", MARCH_S * US_PER_S},
        {"20260701230000.000000+***", 1782939600LL * US_PER_S}, /* summer: 21:00 UTC */
    };
    static const struct moment utc[] = {{"20260301210000.000000+***", MARCH_S * US_PER_S}};

    (void)state;
    live_in("CET-1CEST,M3.5.0,M10.5.0/3");
    expect_moments(berlin, ARRAY_COUNT(berlin));
    live_in("UTC0");
    expect_moments(utc, ARRAY_COUNT(utc));
}

/* What has an offset does not depend on where the host is. */
static void the_hosts_zone_moves_no_other_moment(void **state)
{
    static const char *const zones[] = {"UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "XXX12", "YYY-14"};
    static const struct moment moments[] = {
        {"2026-03-01T22:00:00+01:00", MARCH_S * US_PER_S},
        {"20260301220000.000000+060", MARCH_S * US_PER_S},
        {"2026-03-29T02:30:00Z", 1774751400LL * US_PER_S}, /* not on a clock in Berlin */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(zones); i++) {
        live_in(zones[i]);
        expect_moments(moments, ARRAY_COUNT(moments));
    }
    live_in("UTC0");
}

static void an_interval_has_a_length(void **state)
{
    int64_t us = 0;

    (void)state;
    assert_int_equal(instant_read("00000001020304.000005:000", &us), INSTANT_INTERVAL);
    assert_true(us == (((24 + 2) * 60 + 3) * 60 + 4) * US_PER_S + 5);
    assert_int_equal(instant_read("00000000000000.******:000", &us), INSTANT_INTERVAL);
    assert_true(us == 0);
    assert_int_equal(instant_read("99999999235959.999999:000", &us), INSTANT_INTERVAL);
    assert_true(us == 8639999999999999999LL); /* the longest fits */
}

static void leap_days_and_seconds_are_of_the_calendar(void **state)
{
    static const struct moment moments[] = {
        {"2024-02-29T00:00:00Z", 1709164800LL * US_PER_S},
        {"2000-02-29T00:00:00Z", 951782400LL * US_PER_S},
        {"20240229000000.000000+000", 1709164800LL * US_PER_S},
        {"2016-12-31T23:59:60Z", 1483228800LL * US_PER_S}, /* it was one; Unix time has none */
        {"20161231235960.000000+000", 1483228800LL * US_PER_S},
    };

    (void)state;
    expect_moments(moments, ARRAY_COUNT(moments));
    expect_none("2023-02-29T00:00:00Z");
    expect_none("2100-02-29T00:00:00Z");
    expect_none("20230229000000.000000+000");
    expect_none("2016-12-31T23:59:61Z");
}

static void wrong_calendars_are_refused(void **state)
{
    static const char *const wrong[] = {
        "2026-00-01T00:00:00Z",      "2026-13-01T00:00:00Z",      "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",      "2026-04-31T00:00:00Z",      "2026-12-32T00:00:00Z",
        "2026-01-01T24:00:00Z",      "2026-01-01T00:60:00Z",      "2026-01-01T00:00:61Z",
        "20261301000000.000000+000", "20260001000000.000000+000", "20260132000000.000000+000",
        "20260101240000.000000+000", "20260101006000.000000+000", "20260101000061.000000+000",
        "00000001240000.000000:000", "00000001006000.000000:000", "00000001000060.000000:000",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        expect_none(wrong[i]);
    }
}

static void what_is_no_moment_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "now",
        "2026-03-01",
        "2026-03-01T21:00:00",
        "2026-03-01T21:00Z",
        "2026-03-01T21:00:00 Z",
        "2026-03-01T21:00:00.Z",
        "2026-03-01T21:00:00,5Z",
        "2026-03-01T21:00:00+0100",
        "2026-03-01T21:00:00+01",
        "2026-03-01T21:00:00+24:00",
        "2026-03-01T21:00:00+01:60",
        "2026-03-01T21:00:00+01:000",
        "2026-03-01T21:00:00ZZ",
        "2026-03-01T21:00:00.5",
        "2026/03/01T21:00:00Z",
        "2026-03-01X21:00:00Z",
        "+026-03-01T21:00:00Z",
        "2026-3-001T21:00:00Z",
        " 2026-03-01T21:00:00Z",
        "2026-03-01T21:00:00.000000000000000000000Z", /* longer than any program writes */
        "20260301210000.000000 000",
        "20260301210000.000000+00",
        "20260301210000.000000+0000",
        "20260301210000.*****0+000",
        "20260301210000.0*****+000",
        "20260301210000.000000+**0",
        "202603012100**.******+000", /* more than the whole of a second is unknown */
        "20260301210000.000000:***",
        "20260301210000.000000:001",
        "20260301210000,000000+000",
        "**************.******+***",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        expect_none(wrong[i]);
    }
}

static void a_text_cut_anywhere_is_refused(void **state)
{
    static const char *const whole[] = {"2026-03-01T22:00:00.123456+01:00",
                                        "20260301220000.000000+060", "00000001020304.000005:000"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(whole); i++) {
        for (size_t len = 0; len < strlen(whole[i]); len++) {
            char text[64];
            (void)snprintf(text, sizeof text, "%.*s", (int)len, whole[i]);
            expect_none(text);
        }
    }
}

/* Year 10000 has five digits: no text could say such a moment again. */
static void years_end_where_their_four_digits_do(void **state)
{
    static const struct moment last[] = {
        {"9999-12-31T23:59:59.999999Z", 253402300799999999LL},
        {"99991231235959.999999+000", 253402300799999999LL},
    };

    (void)state;
    expect_moments(last, ARRAY_COUNT(last));
    expect_none("9999-12-31T23:59:59-00:01");
    expect_none("99991231235959.000000-001");
    expect_none("9999-12-31T23:59:60Z");
    expect_none("0000-01-01T00:00:00Z");
}

/* 0 is never, and clients write such moments for "whenever". */
static void all_before_1970_is_its_first_microsecond(void **state)
{
    static const struct moment early[] = {
        {"1970-01-01T00:00:00Z", 1},      {"1970-01-01T00:59:59+01:00", 1},
        {"19700101000000.000000+000", 1}, {"1969-12-31T23:59:59Z", 1},
        {"16010101000000.000000+000", 1}, {"00010101000000.000000+000", 1},
        {"0001-01-01T00:00:00Z", 1},      {"0001-01-01T00:00:00+23:59", 1},
    };

    (void)state;
    expect_moments(early, ARRAY_COUNT(early));
    expect_none("1601-02-29T00:00:00Z");
    expect_none("16011301000000.000000+000");
}

static void what_is_written_is_read_again(void **state)
{
    static const int64_t moments[] = {1000,
                                      US_PER_S,
                                      MARCH_S * US_PER_S,
                                      MARCH_S * US_PER_S + 7000,
                                      1709164799LL * US_PER_S + 999000,
                                      253402300799999000LL};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(moments); i++) {
        char text[INSTANT_TEXT_MAX];
        int64_t us = 0;
        instant_format(moments[i], text);
        assert_int_equal(instant_read(text, &us), INSTANT_MOMENT);
        assert_true(us == moments[i]);
    }
}

static void milliseconds_are_written_if_there_are_any(void **state)
{
    char text[INSTANT_TEXT_MAX];

    (void)state;
    instant_format(MARCH_S * US_PER_S, text);
    assert_string_equal(text, "2026-03-01T21:00:00Z");
    instant_format(MARCH_S * US_PER_S + 7999, text);
    assert_string_equal(text, "2026-03-01T21:00:00.007Z");
    instant_format(MARCH_S * US_PER_S + 999, text);
    assert_string_equal(text, "2026-03-01T21:00:00Z");
}

static void never_and_what_no_calendar_has_are_empty(void **state)
{
    static const int64_t none[] = {0, -1, INT64_MIN, INT64_MAX, 253402300800000000LL};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) {
        char text[INSTANT_TEXT_MAX] = "x";
        instant_format(none[i], text);
        assert_string_equal(text, "");
        instant_format_local(none[i], text);
        assert_string_equal(text, "-");
    }
}

static void people_are_told_their_own_time(void **state)
{
    char text[INSTANT_TEXT_MAX];

    (void)state;
    live_in("CET-1CEST,M3.5.0,M10.5.0/3");
    instant_format_local(MARCH_S * US_PER_S, text);
    assert_string_equal(text, "2026-03-01 22:00:00");
    instant_format(MARCH_S * US_PER_S, text);
    assert_string_equal(text, "2026-03-01T21:00:00Z");
    live_in("XXX5:30");
    instant_format_local(MARCH_S * US_PER_S, text);
    assert_string_equal(text, "2026-03-01 15:30:00");
    live_in("UTC0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_of_rfc_3339_are_read),
        cmocka_unit_test(moments_of_cim_are_read),
        cmocka_unit_test(a_cim_moment_without_an_offset_is_local),
        cmocka_unit_test(the_hosts_zone_moves_no_other_moment),
        cmocka_unit_test(an_interval_has_a_length),
        cmocka_unit_test(leap_days_and_seconds_are_of_the_calendar),
        cmocka_unit_test(wrong_calendars_are_refused),
        cmocka_unit_test(what_is_no_moment_is_refused),
        cmocka_unit_test(a_text_cut_anywhere_is_refused),
        cmocka_unit_test(years_end_where_their_four_digits_do),
        cmocka_unit_test(all_before_1970_is_its_first_microsecond),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(milliseconds_are_written_if_there_are_any),
        cmocka_unit_test(never_and_what_no_calendar_has_are_empty),
        cmocka_unit_test(people_are_told_their_own_time),
    };
    return cmocka_run_group_tests_name("instant", tests, NULL, NULL);
}
