/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * policy.c - when.
 *
 * Local time is what localtime_r() says of a moment, and nothing else: what a zone does in spring
 * and autumn is never computed here, only looked at. mktime() is not asked, because what it answers
 * for an hour that is skipped or repeated depends on what it was asked before.
 */
#include "replica/policy.h"

#include <assert.h>
#include <time.h>

#include "base/attributes.h"
#include "base/env.h"
#include "base/limits.h"

#define DAY_MINUTES 1440
#define MINUTE_S 60
#define DAY_S ((int64_t)DAY_MINUTES * MINUTE_S)

/* A zone is never moved by more in one go, but for a few islands that changed sides of the date
 * line. */
#define SHIFT_MAX_S ((int64_t)2 * 3600)

uint32_t policy_retry_s(uint32_t attempt, uint32_t first_s)
{
    static const uint32_t times[] = {1, 2, 4, 8, 10, 30};
    uint32_t index = attempt == 0 ? 0 : attempt - 1;

    return first_s * times[index < ARRAY_COUNT(times) ? index : ARRAY_COUNT(times) - 1];
}

/* --- local time ------------------------------------------------------------------------------ */

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0 ? 1 : 0);
}

/* Fails only for years that do not fit an int, which no microsecond of 64 bits reaches. */
static struct tm local_at(int64_t at_s)
{
    time_t seconds = (time_t)at_s;
    struct tm local = {0};

    (void)localtime_r(&seconds, &local);
    return local;
}

static int64_t offset_at(int64_t at_s)
{
    return local_at(at_s).tm_gmtoff;
}

static int minute_at(int64_t at_s)
{
    struct tm local = local_at(at_s);

    return local.tm_hour * 60 + local.tm_min;
}

/* The first moment from `from_s` on at which the offset is that of `to_s`; it changes once in
 * between. */
static int64_t find_change(int64_t from_s, int64_t to_s)
{
    int64_t after = offset_at(to_s);

    while (to_s - from_s > 1) {
        int64_t middle_s = from_s + (to_s - from_s) / 2;
        if (offset_at(middle_s) == after) {
            to_s = middle_s;
        } else {
            from_s = middle_s;
        }
    }
    return to_s;
}

/*
 * The moment at which the wall shows wall_s, seconds since 1970 as if the wall were UTC's: the
 * first one when it does so twice, and the first one after the gap when it never does.
 */
static int64_t moment_of_wall(int64_t wall_s)
{
    int64_t before = offset_at(wall_s - DAY_S);
    int64_t after = offset_at(wall_s + DAY_S);

    if (offset_at(wall_s - before) == before) {
        return wall_s - before;
    }
    if (offset_at(wall_s - after) == after) {
        return wall_s - after;
    }
    return find_change(wall_s - DAY_S, wall_s + DAY_S);
}

/* --- windows --------------------------------------------------------------------------------- */

static bool is_inside(int minute, int start, int end)
{
    if (start == end) {
        return true;
    }
    return start < end ? minute >= start && minute < end : minute >= start || minute < end;
}

bool policy_is_in_window(int64_t now_us, uint32_t start_minute, uint32_t end_minute)
{
    assert(start_minute < DAY_MINUTES && end_minute < DAY_MINUTES);
    return is_inside(minute_at(floor_div(now_us, US_PER_S)), (int)start_minute, (int)end_minute);
}

/* From one minute to the next the wall went from `before` to `now`: did a window begin? One that
 * lasts the whole day begins wherever its start is passed. */
static bool begins(int before, int now, int start, int end)
{
    int passed = (now - before + DAY_MINUTES) % DAY_MINUTES;
    int to_start = (start - before + DAY_MINUTES) % DAY_MINUTES;

    if (start != end) {
        return is_inside(now, start, end) && !is_inside(before, start, end);
    }
    if (passed > DAY_MINUTES / 2) { /* the wall was put back */
        return now == start;
    }
    return to_start >= 1 && to_start <= passed;
}

int64_t policy_next_window(int64_t now_us, uint32_t start_minute, uint32_t end_minute)
{
    assert(start_minute < DAY_MINUTES && end_minute < DAY_MINUTES);
    int64_t now_s = floor_div(now_us, US_PER_S);
    int64_t at_s = now_s - local_at(now_s).tm_sec; /* where the wall came to its minute */
    int start = (int)start_minute;
    int end = (int)end_minute;

    for (;;) {
        int minute = minute_at(at_s);
        int wait = (start - minute + DAY_MINUTES - 1) % DAY_MINUTES + 1;
        int64_t there_s = at_s + (int64_t)wait * MINUTE_S;
        if (offset_at(at_s) == offset_at(there_s)) {
            return there_s * US_PER_S;
        }
        /* The wall is moved before we are there: look at every minute until it was. */
        int64_t moved_s = find_change(at_s, there_s);
        while (at_s < moved_s) {
            int before = minute_at(at_s);
            at_s += MINUTE_S;
            if (begins(before, minute_at(at_s), start, end)) {
                return at_s * US_PER_S;
            }
        }
    }
}

/* --- intervals ------------------------------------------------------------------------------- */

/* Counted on the wall, from start_minute of the first day of 1970: twice a day is at the same times
 * of every day, in summer too. */
int64_t policy_interval_start(int64_t now_us, uint32_t interval_s, uint32_t start_minute)
{
    assert(interval_s > 0 && start_minute < DAY_MINUTES);
    int64_t now_s = floor_div(now_us, US_PER_S);
    int64_t first_s = (int64_t)start_minute * MINUTE_S;
    int64_t wall_s = now_s + offset_at(now_s);

    /* Where the wall was put back, a start that it shows later today may have been already. */
    int64_t number = floor_div(wall_s + SHIFT_MAX_S - first_s, interval_s);
    for (;;) {
        int64_t start_s = moment_of_wall(first_s + number * interval_s);
        if (start_s <= now_s) {
            return start_s * US_PER_S;
        }
        number--;
    }
}
