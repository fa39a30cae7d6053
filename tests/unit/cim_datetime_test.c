/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CIM's datetimes, and XML Schema's as them and back. */
#include "cim_things.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/env.h"
#include "base/instant.h"

#define MARCH_US (1772398800LL * US_PER_S) /* 2026-03-01T21:00:00Z */
#define DAY_US (86400LL * US_PER_S)
#define ROUNDS 20000

struct form {
    const char *given;
    const char *cim; /* NULL: it is none */
    const char *xsd; /* NULL: there is none */
};

static void check_form(const struct form *form)
{
    char cim[CIM_DATETIME_TEXT_MAX] = "untouched";
    char xsd[CIM_XSD_TEXT_MAX] = "untouched";
    char *copy = strdup(form->given); /* of its exact size, for the address sanitizer */

    assert_non_null(copy);
    bool is_read = cim_datetime_from(copy, cim);
    free(copy);
    if (is_read != (form->cim != NULL)) {
        fail_msg("'%s' is %s", form->given, is_read ? cim : "refused");
    }
    if (form->cim == NULL) {
        assert_string_equal(cim, "untouched");
        return;
    }
    assert_string_equal(cim, form->cim);
    assert_true(cim_datetime_is(cim));
    bool is_written = cim_datetime_to_xsd(cim, xsd);
    if (is_written != (form->xsd != NULL)) {
        fail_msg("'%s' becomes %s", form->given, xsd);
    }
    assert_string_equal(xsd, form->xsd == NULL ? "untouched" : form->xsd);
}

static void check_forms(const struct form *forms, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_form(&forms[i]);
    }
}

static void moments_are_read_in_every_form(void **state)
{
    static const struct form forms[] = {
        {"20260822123456.000000+120", "20260822123456.000000+120", "2026-08-22T12:34:56+02:00"},
        {"20260822123456.654321+000", "20260822123456.654321+000", "2026-08-22T12:34:56.654321Z"},
        {"20260822123456.000001-000", "20260822123456.000001-000", "2026-08-22T12:34:56.000001Z"},
        {"20260822123456.500000-330", "20260822123456.500000-330",
         "2026-08-22T12:34:56.500000-05:30"},
        {"2026-08-22T12:34:56+02:00", "20260822123456.000000+120", "2026-08-22T12:34:56+02:00"},
        {"2026-08-22T12:34:56.654321+02:00", "20260822123456.654321+120",
         "2026-08-22T12:34:56.654321+02:00"},
        {"2026-08-22T10:34:56Z", "20260822103456.000000+000", "2026-08-22T10:34:56Z"},
        {"2026-08-22t10:34:56z", "20260822103456.000000+000", "2026-08-22T10:34:56Z"},
        {"2026-08-22 10:34:56Z", "20260822103456.000000+000", "2026-08-22T10:34:56Z"},
        {"2026-08-22T10:34:56", "20260822103456.000000+000", "2026-08-22T10:34:56Z"},
        {"2026-08-22T10:34:56.5", "20260822103456.500000+000", "2026-08-22T10:34:56.500000Z"},
        {"2026-08-22T10:34:56.1234567Z", "20260822103456.123456+000",
         "2026-08-22T10:34:56.123456Z"},
        {"2026-08-22T10:34:56.9999999999999999999999999999999999-03:30",
         "20260822103456.999999-210", "2026-08-22T10:34:56.999999-03:30"},
        {"2026-08-22T10:34:56+00:00", "20260822103456.000000+000", "2026-08-22T10:34:56Z"},
        {"2026-08-22T10:34:56-00:01", "20260822103456.000000-001", "2026-08-22T10:34:56-00:01"},
        {"2026-08-22T10:34:56+14:00", "20260822103456.000000+840", "2026-08-22T10:34:56+14:00"},
        {"2026-08-22T10:34:56-14:00", "20260822103456.000000-840", "2026-08-22T10:34:56-14:00"},
        {"0001-01-01T00:00:00Z", "00010101000000.000000+000", "0001-01-01T00:00:00Z"},
        {"9999-12-31T23:59:59Z", "99991231235959.000000+000", "9999-12-31T23:59:59Z"},
        {"00000101000000.000000+000", "00000101000000.000000+000", NULL},
    };
    (void)state;
    check_forms(forms, ARRAY_COUNT(forms));
}

static void the_end_of_a_day_is_the_next_days_start(void **state)
{
    static const struct form forms[] = {
        {"2026-08-22T24:00:00Z", "20260823000000.000000+000", "2026-08-23T00:00:00Z"},
        {"2026-12-31T24:00:00-01:00", "20270101000000.000000-060", "2027-01-01T00:00:00-01:00"},
        {"2028-02-28T24:00:00.000Z", "20280229000000.000000+000", "2028-02-29T00:00:00Z"},
        {"0001-12-31T24:00:00Z", "00020101000000.000000+000", "0002-01-01T00:00:00Z"},
        {"9999-12-31T24:00:00Z", NULL, NULL},
        {"2026-02-30T24:00:00Z", NULL, NULL},
        {"2026-08-22T24:00:01Z", NULL, NULL},
        {"2026-08-22T24:01:00Z", NULL, NULL},
        {"2026-08-22T24:00:00.1Z", NULL, NULL},
        {"20260822240000.000000+000", NULL, NULL},
    };
    (void)state;
    check_forms(forms, ARRAY_COUNT(forms));
}

static void leap_years_are_those_of_the_calendar(void **state)
{
    static const struct form forms[] = {
        {"2028-02-29T00:00:00Z", "20280229000000.000000+000", "2028-02-29T00:00:00Z"},
        {"2000-02-29T00:00:00Z", "20000229000000.000000+000", "2000-02-29T00:00:00Z"},
        {"2026-02-29T00:00:00Z", NULL, NULL},
        {"1900-02-29T00:00:00Z", NULL, NULL},
        {"2100-02-29T00:00:00Z", NULL, NULL},
        {"20280229000000.000000+000", "20280229000000.000000+000", "2028-02-29T00:00:00Z"},
        {"20260229000000.000000+000", NULL, NULL},
        {"****0229******.******+000", "****0229******.******+000", NULL},
        {"****0230******.******+000", NULL, NULL},
    };
    (void)state;
    check_forms(forms, ARRAY_COUNT(forms));
}

static void moments_that_are_none_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "2026",
        "2026-08-22",
        "10:34:56Z",
        "2026-08-22T",
        "2026-08-22T10:34Z",
        "2026-08-22T10:34:56.Z",
        "2026-08-22T10:34:56,5Z",
        "2026-08-22T10:34:56ZZ",
        "2026-08-22T10:34:56+2",
        "2026-08-22T10:34:56+0200",
        "2026-08-22T10:34:56+02:0",
        "2026-08-22T10:34:56+02:000",
        "2026-08-22T10:34:56+02:60",
        "2026-08-22T10:34:56+14:01",
        "2026-08-22T10:34:56-15:00",
        "2026-08-22T10:34:56+99:99",
        "2026-00-22T10:34:56Z",
        "2026-13-22T10:34:56Z",
        "2026-08-00T10:34:56Z",
        "2026-08-32T10:34:56Z",
        "2026-04-31T10:34:56Z",
        "2026-08-22T25:34:56Z",
        "2026-08-22T10:60:56Z",
        "2026-08-22T10:34:60Z",
        "0000-08-22T10:34:56Z",
        "-2026-08-22T10:34:56Z",
        "+2026-08-22T10:34:56Z",
        "12026-08-22T10:34:56Z",
        "226-08-22T10:34:56Z",
        "2026-8-22T10:34:56Z",
        "2026-08-22X10:34:56Z",
        " 2026-08-22T10:34:56Z",
        "2026-08-22T10:34:56Z ",
        "20260822103456.000000+00",
        "20260822103456.000000+0000",
        "20260822103456.000000 000",
        "20260822103456,000000+000",
        "20260822103456.00000a+000",
        "20260822103456.000000+841",
        "20260822103456.000000-999",
        "20260822103456.000000:060",
        "2026082210345 .000000+000",
        "20260022103456.000000+000",
        "20261322103456.000000+000",
        "20260800103456.000000+000",
        "20260832103456.000000+000",
        "20260431103456.000000+000",
        "20260822240000.000000+000",
        "20260822106000.000000+000",
        "20260822103460.000000+000",
        "2026-08-22T10:34:56.0+00:00:00",
        "\xd9\xa2\xd9\xa0\xd9\xa2\xd9\xa6-08-22T10:34:56Z",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        check_form(&(struct form){.given = texts[i]});
        assert_false(cim_datetime_is(texts[i]));
    }
    assert_false(cim_datetime_is(NULL));
}

static void intervals_are_read_in_every_form(void **state)
{
    static const struct form forms[] = {
        {"00000000000500.000000:000", "00000000000500.000000:000", "PT5M"},
        {"PT5M", "00000000000500.000000:000", "PT5M"},
        {"PT300S", "00000000000500.000000:000", "PT5M"},
        {"P0DT0H1M40S", "00000000000140.000000:000", "PT1M40S"},
        {"P1DT2H3M4.5S", "00000001020304.500000:000", "P1DT2H3M4.5S"},
        {"PT0.000001S", "00000000000000.000001:000", "PT0.000001S"},
        {"PT60.000S", "00000000000100.000000:000", "PT1M"},
        {"PT1.1234567S", "00000000000001.123456:000", "PT1.123456S"},
        {"P2D", "00000002000000.000000:000", "P2D"},
        {"PT36H", "00000001120000.000000:000", "P1DT12H"},
        {"P1DT1S", "00000001000001.000000:000", "P1DT1S"},
        {"PT0S", "00000000000000.000000:000", "PT0S"},
        {"P0D", "00000000000000.000000:000", "PT0S"},
        {"P99999999DT23H59M59.999999S", "99999999235959.999999:000", "P99999999DT23H59M59.999999S"},
        {"00000000183000.000000:000", "00000000183000.000000:000", "PT18H30M"},
    };
    (void)state;
    check_forms(forms, ARRAY_COUNT(forms));
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        assert_true(cim_datetime_is_interval(forms[i].cim));
    }
    assert_false(cim_datetime_is_interval("20260822103456.000000+000"));
}

static void intervals_that_are_none_are_refused(void **state)
{
    static const char *const texts[] = {
        "P",
        "PT",
        "P1DT",
        "T5M",
        "PT5",
        "P5",
        "-PT5M",
        "+PT5M",
        "PT-5M",
        "P1Y",
        "P1M",
        "P1Y2M3D",
        "P0Y",
        "P1W",
        "P1H",
        "PT1D",
        "PT5M3H",
        "PT5M5M",
        "PT5S3M",
        "PT5MT3S",
        "PTT5M",
        "PT1.5M",
        "PT1.5H",
        "P1.5D",
        "PT1.S",
        "PT.5S",
        "PT5M ",
        "pt5m",
        "PT5m",
        "P100000000D",
        "P99999999DT24H",
        "PT18446744073709551616S",
        "PT99999999999999999999999S",
        "P18446744073709551615D",
        "PT18446744073709S",
        "00000000240000.000000:000",
        "00000000006000.000000:000",
        "00000000000060.000000:000",
        "0000000a000000.000000:000",
        "00000000000000.000000:001",
        "00000000000000.000000:***",
        "00000000000500.000000:00",
        "0000000000050.000000:0000",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        check_form(&(struct form){.given = texts[i]});
        assert_false(cim_datetime_is(texts[i]));
    }
}

static void wildcards_are_kept_and_have_no_form_in_xml_schema(void **state)
{
    static const char *const texts[] = {
        "20260301210000.******+000", "20260301210000.000***+000", "20260301******.******+000",
        "********020000.000000+***", "20260301210000.000000+***", "20260301210000.000000-***",
        "**************.******+***", "********000500.000000:000", "00000000000500.******:000",
    };
    char made[CIM_DATETIME_TEXT_MAX];
    char xsd[CIM_XSD_TEXT_MAX];
    int order = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_true(cim_datetime_is(texts[i]));
        assert_true(cim_datetime_has_wildcards(texts[i]));
        assert_int_equal(cim_datetime_is_interval(texts[i]), texts[i][21] == ':');
        assert_true(cim_datetime_from(texts[i], made));
        assert_string_equal(made, texts[i]);
        assert_false(cim_datetime_to_xsd(texts[i], xsd));
        assert_false(cim_datetime_compare(texts[i], texts[i], &order));
    }
    assert_false(cim_datetime_has_wildcards("20260301210000.000000+000"));
    assert_false(cim_datetime_has_wildcards("*"));
}

static void half_a_wildcard_is_none(void **state)
{
    static const char *const texts[] = {
        "202*0301210000.000000+000", "2026*301210000.000000+000", "20260301210000.***000+000",
        "20260301210000.0*0000+000", "20260301210000.000000+*00", "20260301210000.000000+0**",
        "20260301210000.000000***0", "*******0000500.000000:000", "20260301210000*******+000",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_false(cim_datetime_is(texts[i]));
    }
}

static void moments_and_intervals_are_written(void **state)
{
    char text[CIM_DATETIME_TEXT_MAX];

    (void)state;
    cim_datetime_moment(MARCH_US, text);
    assert_string_equal(text, "20260301210000.000000+000");
    cim_datetime_moment(MARCH_US + 1, text);
    assert_string_equal(text, "20260301210000.000001+000");
    cim_datetime_moment(0, text);
    assert_string_equal(text, "19700101000000.000000+000");
    cim_datetime_moment(-1, text);
    assert_string_equal(text, "19691231235959.999999+000");
    cim_datetime_interval(300 * US_PER_S, text);
    assert_string_equal(text, "00000000000500.000000:000");
    cim_datetime_interval(0, text);
    assert_string_equal(text, "00000000000000.000000:000");
}

static void what_no_text_can_name_becomes_the_nearest(void **state)
{
    char text[CIM_DATETIME_TEXT_MAX];

    (void)state;
    cim_datetime_moment(INT64_MAX, text);
    assert_string_equal(text, "99991231235959.999999+000");
    cim_datetime_moment(253402300800LL * US_PER_S, text);
    assert_string_equal(text, "99991231235959.999999+000");
    cim_datetime_moment(253402300800LL * US_PER_S - 1, text);
    assert_string_equal(text, "99991231235959.999999+000");
    cim_datetime_moment(INT64_MIN, text);
    assert_string_equal(text, "00010101000000.000000+000");
    cim_datetime_interval(UINT64_MAX, text);
    assert_string_equal(text, "99999999235959.999999:000");
    cim_datetime_interval(100000000ULL * (uint64_t)DAY_US, text);
    assert_string_equal(text, "99999999235959.999999:000");
    cim_datetime_interval(100000000ULL * (uint64_t)DAY_US - 1, text);
    assert_string_equal(text, "99999999235959.999999:000");
}

static void datetimes_are_compared_across_zones(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        int order;
    } pairs[] = {
        {"20260301210000.000000+000", "20260301210000.000000-000", 0},
        {"20260301210000.000000+000", "20260301220000.000000+060", 0},
        {"20260301210000.000000+000", "20260302050000.000000+480", 0},
        {"20260101003000.000000+060", "20251231233000.000000+000", 0},
        {"20260301210000.000000+000", "20260301210000.000001+000", -1},
        {"20260301210000.000000-001", "20260301210000.000000+000", 1},
        {"00000101000000.000000+000", "99991231235959.999999+000", -1},
        {"00000229000000.000000+000", "00000301000000.000000+000", -1},
        {"00001231235959.999999+000", "00010101000000.000000+000", -1},
        {"00000000006000.000000:000", "00000000000000.000000:000", 2}, /* no interval */
        {"00000001000000.000000:000", "00000000235959.999999:000", 1},
        {"00000000000500.000000:000", "00000000000500.000000:000", 0},
        {"00000000000500.000000:000", "20260301210000.000000+000", 2},
        {"20260301210000.000000+000", "", 2},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        int order = 2;
        int back = 2;
        bool can = cim_datetime_compare(pairs[i].a, pairs[i].b, &order);
        assert_int_equal(can, pairs[i].order != 2);
        assert_int_equal(order, pairs[i].order);
        assert_int_equal(cim_datetime_compare(pairs[i].b, pairs[i].a, &back), can);
        assert_int_equal(back, can ? -pairs[i].order : 2);
    }
}

/* A simple generator, so that a failure can be had again by its seed. */
static uint64_t next_of(uint64_t *seed)
{
    *seed += 0x9e3779b97f4a7c15ULL;
    uint64_t mixed = (*seed ^ (*seed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
}

static uint64_t new_seed(void)
{
    const char *given = getenv("DATETIME_SEED");
    uint64_t seed = 0;

    if (given != NULL) {
        seed = strtoull(given, NULL, 0);
    } else {
        assert_int_equal(getrandom(&seed, sizeof seed, 0), sizeof seed);
    }
    print_message("DATETIME_SEED=0x%" PRIx64 "\n", seed);
    return seed;
}

/* Against the library's calendar and base/instant.h, neither of which datetime.c uses. */
static void random_moments_come_back(void **state)
{
    uint64_t seed = new_seed();

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t us = (int64_t)(next_of(&seed) % (253402300800ULL * US_PER_S));
        time_t seconds = (time_t)(us / US_PER_S);
        char text[CIM_DATETIME_TEXT_MAX];
        char xsd[CIM_XSD_TEXT_MAX];
        char again[CIM_DATETIME_TEXT_MAX];
        char expected[64];
        struct tm fields;
        int64_t read_us = 0;

        cim_datetime_moment(us, text);
        assert_non_null(gmtime_r(&seconds, &fields));
        size_t len = strftime(expected, sizeof expected, "%Y%m%d%H%M%S", &fields);
        (void)snprintf(expected + len, sizeof expected - len, ".%06d+000", (int)(us % US_PER_S));
        assert_string_equal(text, expected);
        assert_true(cim_datetime_to_xsd(text, xsd));
        assert_true(cim_datetime_from(xsd, again));
        assert_string_equal(again, text);
        assert_true(us == 0 || (instant_read(text, &read_us) == INSTANT_MOMENT && read_us == us));
    }
}

static void random_intervals_come_back(void **state)
{
    uint64_t seed = new_seed();

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t us = next_of(&seed) >> (next_of(&seed) % 64);
        us %= 100000000ULL * (uint64_t)DAY_US;
        char text[CIM_DATETIME_TEXT_MAX];
        char xsd[CIM_XSD_TEXT_MAX];
        char again[CIM_DATETIME_TEXT_MAX];
        int64_t read_us = 0;

        cim_datetime_interval(us, text);
        assert_true(cim_datetime_is_interval(text));
        assert_int_equal(instant_read(text, &read_us), INSTANT_INTERVAL);
        assert_int_equal(read_us, us);
        assert_true(cim_datetime_to_xsd(text, xsd));
        assert_true(cim_datetime_from(xsd, again));
        assert_string_equal(again, text);
    }
}

/* The same moment in a random zone: the texts differ, the moment does not. */
static void random_zones_name_the_same_moment(void **state)
{
    uint64_t seed = new_seed();

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t us = (int64_t)(next_of(&seed) % (200000000000ULL * US_PER_S)) + DAY_US;
        int64_t east = (int64_t)(next_of(&seed) % 1681) - 840;
        char utc[CIM_DATETIME_TEXT_MAX];
        char local[CIM_DATETIME_TEXT_MAX];
        char xsd[CIM_XSD_TEXT_MAX];
        char again[CIM_DATETIME_TEXT_MAX];
        int order = 1;

        cim_datetime_moment(us, utc);
        cim_datetime_moment(us + east * 60 * US_PER_S, local);
        (void)snprintf(local + 21, 5, "%c%03d", east < 0 ? '-' : '+', abs((int)east));
        assert_true(cim_datetime_compare(utc, local, &order));
        assert_int_equal(order, 0);
        assert_true(cim_datetime_to_xsd(local, xsd));
        assert_true(cim_datetime_from(xsd, again));
        assert_string_equal(again, local);
    }
}

static void the_zone_of_the_host_plays_no_part(void **state)
{
    static const char *const zones[] = {"UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "YYY-14"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(zones); i++) {
        char text[CIM_DATETIME_TEXT_MAX];
        assert_int_equal(setenv("TZ", zones[i], 1), 0);
        tzset();
        assert_true(cim_datetime_from("2026-07-01T12:00:00", text));
        assert_string_equal(text, "20260701120000.000000+000");
        cim_datetime_moment(MARCH_US, text);
        assert_string_equal(text, "20260301210000.000000+000");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_read_in_every_form),
        cmocka_unit_test(the_end_of_a_day_is_the_next_days_start),
        cmocka_unit_test(leap_years_are_those_of_the_calendar),
        cmocka_unit_test(moments_that_are_none_are_refused),
        cmocka_unit_test(intervals_are_read_in_every_form),
        cmocka_unit_test(intervals_that_are_none_are_refused),
        cmocka_unit_test(wildcards_are_kept_and_have_no_form_in_xml_schema),
        cmocka_unit_test(half_a_wildcard_is_none),
        cmocka_unit_test(moments_and_intervals_are_written),
        cmocka_unit_test(what_no_text_can_name_becomes_the_nearest),
        cmocka_unit_test(datetimes_are_compared_across_zones),
        cmocka_unit_test(random_moments_come_back),
        cmocka_unit_test(random_intervals_come_back),
        cmocka_unit_test(random_zones_name_the_same_moment),
        cmocka_unit_test(the_zone_of_the_host_plays_no_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
