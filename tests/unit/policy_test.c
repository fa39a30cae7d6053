/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * policy_test.c - retries, windows and intervals, in zones where the clock is put forward and back.
 * Moments are written as UTC, or with their offset from it: what they are on a wall of the zone is
 * what is tested.
 */
#include "replica/policy.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/env.h"
#include "base/instant.h"
#include "base/limits.h"
#include "base/number.h"

#include <cmocka.h>

#define AT(hour, minute) ((uint32_t)((hour)*60 + (minute)))
#define MINUTE_US (60 * US_PER_S)

static const char *const zones[] = {"Europe/Berlin",       "America/New_York", "UTC",
                                    "Australia/Lord_Howe", "Asia/Kolkata",     "America/Havana"};

static void use_zone(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

/* Without the zones' data every zone would be UTC, and the test would show nothing. */
static bool has_zones(void)
{
    return access("/usr/share/zoneinfo/Europe/Berlin", R_OK) == 0;
}

static int64_t moment(const char *text)
{
    int64_t at_us = 0;

    assert_int_equal(instant_read(text, &at_us), INSTANT_MOMENT);
    return at_us;
}

static void assert_moment(int64_t at_us, const char *expected)
{
    char shown[INSTANT_TEXT_MAX];
    char wanted[INSTANT_TEXT_MAX];

    instant_format(at_us, shown);
    instant_format(moment(expected), wanted);
    assert_string_equal(shown, wanted);
}

/* --- retries --------------------------------------------------------------------------------- */

static void retries_wait_longer_and_longer(void **state)
{
    static const uint32_t minutes[] = {1, 2, 4, 8, 10, 30, 30, 30};

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(minutes); i++) {
        assert_int_equal(policy_retry_s(i + 1, RETRY_FIRST_S), minutes[i] * 60);
        assert_int_equal(policy_retry_s(i + 1, 2), minutes[i] * 2);
    }
    assert_int_equal(policy_retry_s(UINT32_MAX, RETRY_FIRST_S), 30 * 60);
    assert_int_equal(policy_retry_s(0, RETRY_FIRST_S), 60);
}

/* --- windows --------------------------------------------------------------------------------- */

static void a_window_has_its_start_and_not_its_end(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_false(policy_is_in_window(moment("2026-01-10T07:59:59+01:00"), AT(8, 0), AT(9, 30)));
    assert_true(policy_is_in_window(moment("2026-01-10T08:00:00+01:00"), AT(8, 0), AT(9, 30)));
    assert_true(policy_is_in_window(moment("2026-01-10T09:29:59+01:00"), AT(8, 0), AT(9, 30)));
    assert_false(policy_is_in_window(moment("2026-01-10T09:30:00+01:00"), AT(8, 0), AT(9, 30)));
}

static void a_window_that_ends_before_it_starts_goes_over_midnight(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_false(policy_is_in_window(moment("2026-01-10T18:29:59+01:00"), AT(18, 30), AT(6, 0)));
    assert_true(policy_is_in_window(moment("2026-01-10T18:30:00+01:00"), AT(18, 30), AT(6, 0)));
    assert_true(policy_is_in_window(moment("2026-01-11T00:00:00+01:00"), AT(18, 30), AT(6, 0)));
    assert_true(policy_is_in_window(moment("2026-01-11T05:59:59+01:00"), AT(18, 30), AT(6, 0)));
    assert_false(policy_is_in_window(moment("2026-01-11T06:00:00+01:00"), AT(18, 30), AT(6, 0)));
    assert_moment(policy_next_window(moment("2026-01-11T06:00:00+01:00"), AT(18, 30), AT(6, 0)),
                  "2026-01-11T18:30:00+01:00");
    assert_moment(policy_next_window(moment("2026-01-11T01:00:00+01:00"), AT(18, 30), AT(6, 0)),
                  "2026-01-11T18:30:00+01:00");
}

static void a_window_with_equal_ends_is_the_whole_day(void **state)
{
    (void)state;
    use_zone("America/New_York");
    assert_true(policy_is_in_window(moment("2026-01-10T00:00:00Z"), AT(7, 0), AT(7, 0)));
    assert_true(policy_is_in_window(moment("2026-01-10T12:00:00Z"), AT(7, 0), AT(7, 0)));
    assert_moment(policy_next_window(moment("2026-01-10T06:59:59-05:00"), AT(7, 0), AT(7, 0)),
                  "2026-01-10T07:00:00-05:00");
    assert_moment(policy_next_window(moment("2026-01-10T07:00:00-05:00"), AT(7, 0), AT(7, 0)),
                  "2026-01-11T07:00:00-05:00");
}

static void the_next_window_is_never_now(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_moment(policy_next_window(moment("2026-01-10T08:00:00+01:00"), AT(8, 0), AT(9, 0)),
                  "2026-01-11T08:00:00+01:00");
    assert_moment(policy_next_window(moment("2026-01-10T08:00:30+01:00"), AT(8, 0), AT(9, 0)),
                  "2026-01-11T08:00:00+01:00");
    assert_moment(policy_next_window(moment("2026-01-10T08:00:00+01:00") - 1, AT(8, 0), AT(9, 0)),
                  "2026-01-10T08:00:00+01:00");
}

/* Berlin 2026-03-29: 01:59:59+01:00, then 03:00:00+02:00. New York 2026-03-08: 01:59:59-05:00,
 * then 03:00:00-04:00. */
static void a_start_in_the_skipped_hour_is_the_first_moment_after_it(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_moment(policy_next_window(moment("2026-03-28T12:00:00+01:00"), AT(2, 30), AT(5, 0)),
                  "2026-03-29T03:00:00+02:00");
    assert_moment(policy_next_window(moment("2026-03-29T03:00:00+02:00"), AT(2, 30), AT(5, 0)),
                  "2026-03-30T02:30:00+02:00");
    assert_moment(policy_next_window(moment("2026-03-28T12:00:00+01:00"), AT(2, 0), AT(2, 0)),
                  "2026-03-29T03:00:00+02:00");
    use_zone("America/New_York");
    assert_moment(policy_next_window(moment("2026-03-07T12:00:00-05:00"), AT(2, 30), AT(5, 0)),
                  "2026-03-08T03:00:00-04:00");
}

static void a_window_within_the_skipped_hour_is_not_that_day(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_false(policy_is_in_window(moment("2026-03-29T01:59:59+01:00"), AT(2, 0), AT(3, 0)));
    assert_false(policy_is_in_window(moment("2026-03-29T03:00:00+02:00"), AT(2, 0), AT(3, 0)));
    assert_moment(policy_next_window(moment("2026-03-28T12:00:00+01:00"), AT(2, 10), AT(2, 50)),
                  "2026-03-30T02:10:00+02:00");
}

static void starts_around_the_skipped_hour_are_where_the_wall_says(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_moment(policy_next_window(moment("2026-03-28T12:00:00+01:00"), AT(1, 59), AT(6, 0)),
                  "2026-03-29T01:59:00+01:00");
    assert_moment(policy_next_window(moment("2026-03-28T12:00:00+01:00"), AT(3, 0), AT(6, 0)),
                  "2026-03-29T03:00:00+02:00");
    assert_moment(policy_next_window(moment("2026-03-28T20:00:00+01:00"), AT(18, 30), AT(6, 0)),
                  "2026-03-29T18:30:00+02:00");
}

/* Berlin 2026-10-25: 02:59:59+02:00, then 02:00:00+01:00. New York 2026-11-01: 01:59:59-04:00, then
 * 01:00:00-05:00. */
static void a_window_in_the_repeated_hour_is_twice(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_true(policy_is_in_window(moment("2026-10-25T02:30:00+02:00"), AT(2, 15), AT(2, 45)));
    assert_false(policy_is_in_window(moment("2026-10-25T02:00:00+01:00"), AT(2, 15), AT(2, 45)));
    assert_true(policy_is_in_window(moment("2026-10-25T02:30:00+01:00"), AT(2, 15), AT(2, 45)));
    assert_moment(policy_next_window(moment("2026-10-24T12:00:00+02:00"), AT(2, 15), AT(2, 45)),
                  "2026-10-25T02:15:00+02:00");
    assert_moment(policy_next_window(moment("2026-10-25T02:15:00+02:00"), AT(2, 15), AT(2, 45)),
                  "2026-10-25T02:15:00+01:00");
    assert_moment(policy_next_window(moment("2026-10-25T02:15:00+01:00"), AT(2, 15), AT(2, 45)),
                  "2026-10-26T02:15:00+01:00");
    use_zone("America/New_York");
    assert_moment(policy_next_window(moment("2026-11-01T01:30:00-04:00"), AT(1, 30), AT(1, 40)),
                  "2026-11-01T01:30:00-05:00");
}

static void a_window_over_the_repeated_hour_begins_once(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_moment(policy_next_window(moment("2026-10-24T20:00:00+02:00"), AT(18, 30), AT(6, 0)),
                  "2026-10-25T18:30:00+01:00");
    assert_true(policy_is_in_window(moment("2026-10-25T02:30:00+01:00"), AT(18, 30), AT(6, 0)));
}

/* --- the property ---------------------------------------------------------------------------- */

static uint64_t chance; /* splitmix64: printed seed, repeatable run */

static uint64_t draw(void)
{
    uint64_t mixed = (chance += 0x9e3779b97f4a7c15U);

    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
    return mixed ^ (mixed >> 31);
}

static uint64_t read_seed(void)
{
    const char *text = getenv("RESILVER_TEST_SEED");
    uint64_t seed = 0;
    const struct env *env = env_system();

    if (text == NULL ||
        number_parse_range(text, "RESILVER_TEST_SEED", 0, UINT64_MAX, &seed, NULL) < 0) {
        assert_int_equal(env_random(env, (struct span){(uint8_t *)&seed, sizeof seed}, NULL), 0);
    }
    print_message("RESILVER_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* Half of the moments lie within two days of a change of the clocks. */
static int64_t draw_moment(void)
{
    static const char *const changes[] = {"2026-03-08T07:00:00Z", "2026-03-29T01:00:00Z",
                                          "2026-10-25T01:00:00Z", "2026-11-01T06:00:00Z",
                                          "2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"};
    int64_t year_us = 365 * 86400 * US_PER_S;
    int64_t four_days_us = 4 * 86400 * US_PER_S;

    if (draw() % 2 == 0) {
        return moment("2025-06-01T00:00:00Z") + (int64_t)(draw() % (uint64_t)(3 * year_us));
    }
    return moment(changes[draw() % ARRAY_COUNT(changes)]) - four_days_us / 2 +
           (int64_t)(draw() % (uint64_t)four_days_us);
}

static void try_window(int64_t now_us, uint32_t start, uint32_t end)
{
    int64_t next_us = policy_next_window(now_us, start, end);
    bool was_inside = policy_is_in_window(now_us, start, end);

    assert_true(next_us > now_us);
    assert_true(policy_is_in_window(next_us, start, end));
    if (start == end) {
        return; /* inside is everywhere */
    }
    assert_false(policy_is_in_window(next_us - 1, start, end));
    for (int64_t at_us = now_us - now_us % MINUTE_US + MINUTE_US; at_us < next_us;
         at_us += MINUTE_US) {
        bool is_inside = policy_is_in_window(at_us, start, end);
        assert_false(is_inside && !was_inside);
        was_inside = is_inside;
    }
}

static void no_window_begins_between_now_and_the_next(void **state)
{
    (void)state;
    chance = read_seed();
    for (uint32_t i = 0; i < 3000; i++) {
        const char *zone = zones[draw() % ARRAY_COUNT(zones)];
        uint32_t start = (uint32_t)(draw() % 1440);
        /* Short ones among them, and early ones, which the changes of the clocks hit. */
        uint32_t end =
            draw() % 2 == 0 ? (uint32_t)(draw() % 1440) : (start + (uint32_t)(draw() % 90)) % 1440;
        start = draw() % 2 == 0 ? start : start % 240;
        use_zone(zone);
        try_window(draw_moment(), start, end);
    }
}

/* --- intervals ------------------------------------------------------------------------------- */

static void intervals_start_at_the_same_times_of_every_day(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_moment(policy_interval_start(moment("2026-01-10T09:00:00+01:00"), 43200, AT(9, 0)),
                  "2026-01-10T09:00:00+01:00");
    assert_moment(policy_interval_start(moment("2026-01-10T20:59:59+01:00"), 43200, AT(9, 0)),
                  "2026-01-10T09:00:00+01:00");
    assert_moment(policy_interval_start(moment("2026-01-10T08:59:59+01:00"), 43200, AT(9, 0)),
                  "2026-01-09T21:00:00+01:00");
    assert_moment(policy_interval_start(moment("2026-07-10T12:00:00+02:00"), 43200, AT(9, 0)),
                  "2026-07-10T09:00:00+02:00");
    assert_moment(policy_interval_start(moment("2026-03-29T12:00:00+02:00"), 43200, AT(9, 0)),
                  "2026-03-29T09:00:00+02:00");
    assert_moment(policy_interval_start(moment("2026-03-29T08:00:00+02:00"), 43200, AT(9, 0)),
                  "2026-03-28T21:00:00+01:00");
}

static void an_interval_that_starts_in_the_skipped_hour_starts_after_it(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_moment(policy_interval_start(moment("2026-03-29T05:00:00+02:00"), 86400, AT(2, 30)),
                  "2026-03-29T03:00:00+02:00");
    assert_moment(policy_interval_start(moment("2026-03-29T01:59:59+01:00"), 86400, AT(2, 30)),
                  "2026-03-28T02:30:00+01:00");
}

static void an_interval_that_starts_in_the_repeated_hour_starts_once(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_moment(policy_interval_start(moment("2026-10-25T02:31:00+02:00"), 3600, AT(0, 30)),
                  "2026-10-25T02:30:00+02:00");
    assert_moment(policy_interval_start(moment("2026-10-25T02:10:00+01:00"), 3600, AT(0, 30)),
                  "2026-10-25T02:30:00+02:00");
    assert_moment(policy_interval_start(moment("2026-10-25T02:50:00+01:00"), 3600, AT(0, 30)),
                  "2026-10-25T02:30:00+02:00");
    assert_moment(policy_interval_start(moment("2026-10-25T03:30:00+01:00"), 3600, AT(0, 30)),
                  "2026-10-25T03:30:00+01:00");
}

/* A start is what a row of statistics is found by: it never goes back, and is in its own interval.
 */
static void intervals_only_ever_go_on(void **state)
{
    static const uint32_t lengths[] = {3600, 5 * 3600, 43200, 86400, 604800};

    (void)state;
    chance = read_seed();
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t length = lengths[draw() % ARRAY_COUNT(lengths)];
        uint32_t start = (uint32_t)(draw() % 1440);
        use_zone(zones[draw() % ARRAY_COUNT(zones)]);
        int64_t at_us = draw_moment();
        int64_t before_us = policy_interval_start(at_us, length, start);
        for (uint32_t step = 0; step < 200; step++) {
            int64_t start_us = policy_interval_start(at_us, length, start);
            assert_true(start_us <= at_us);
            assert_true(at_us - start_us < (int64_t)(length + 2 * 3600) * US_PER_S);
            assert_true(start_us >= before_us);
            assert_true(policy_interval_start(start_us, length, start) == start_us);
            before_us = start_us;
            at_us += 17 * MINUTE_US;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retries_wait_longer_and_longer),
        cmocka_unit_test(a_window_has_its_start_and_not_its_end),
        cmocka_unit_test(a_window_that_ends_before_it_starts_goes_over_midnight),
        cmocka_unit_test(a_window_with_equal_ends_is_the_whole_day),
        cmocka_unit_test(the_next_window_is_never_now),
        cmocka_unit_test(a_start_in_the_skipped_hour_is_the_first_moment_after_it),
        cmocka_unit_test(a_window_within_the_skipped_hour_is_not_that_day),
        cmocka_unit_test(starts_around_the_skipped_hour_are_where_the_wall_says),
        cmocka_unit_test(a_window_in_the_repeated_hour_is_twice),
        cmocka_unit_test(a_window_over_the_repeated_hour_begins_once),
        cmocka_unit_test(no_window_begins_between_now_and_the_next),
        cmocka_unit_test(intervals_start_at_the_same_times_of_every_day),
        cmocka_unit_test(an_interval_that_starts_in_the_skipped_hour_starts_after_it),
        cmocka_unit_test(an_interval_that_starts_in_the_repeated_hour_starts_once),
        cmocka_unit_test(intervals_only_ever_go_on),
    };

    if (!has_zones()) {
        print_message("skipped: the package tzdata is missing\n");
        return 77;
    }
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
