/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/when.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/env.h"
#include "base/instant.h"

#define AHEAD_MAX_S (366LL * 24 * 3600) /* the daemon allows less; this keeps the sums in range */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes a number of least to most digits. */
static bool take_digits(const char **at, unsigned least, unsigned most, int *out)
{
    unsigned count = 0;
    int value = 0;

    while (count < most && is_digit(**at)) {
        value = value * 10 + (**at - '0');
        (*at)++;
        count++;
    }
    *out = value;
    return count >= least && !is_digit(**at);
}

static bool take_character(const char **at, char wanted)
{
    if (**at != wanted) {
        return false;
    }
    (*at)++;
    return true;
}

/* "22:00" or "22:00:30", to the end of the text. */
static bool take_clock(const char *at, struct tm *out)
{
    out->tm_sec = 0;
    if (!take_digits(&at, 1, 2, &out->tm_hour) || !take_character(&at, ':') ||
        !take_digits(&at, 2, 2, &out->tm_min)) {
        return false;
    }
    if (*at == ':' && (!take_character(&at, ':') || !take_digits(&at, 2, 2, &out->tm_sec))) {
        return false;
    }
    return *at == '\0' && out->tm_hour < 24 && out->tm_min < 60 && out->tm_sec < 60;
}

/* Local fields to a moment. False: a day that the calendar does not have, which mktime() would
 * carry into the next month. An hour that is left out when the clocks go forward is carried. */
static bool moment_of(struct tm fields, int64_t *out_us)
{
    int day = fields.tm_mday;
    int month = fields.tm_mon;

    fields.tm_isdst = -1;
    time_t seconds = mktime(&fields);
    if (seconds <= 0 || fields.tm_mday != day || fields.tm_mon != month) {
        return false;
    }
    *out_us = (int64_t)seconds * US_PER_S;
    return true;
}

/* The next such time of day: today's, or tomorrow's. */
static bool read_clock(const char *text, int64_t now_us, int64_t *out_us)
{
    time_t now = (time_t)(now_us / US_PER_S);
    struct tm today;
    struct tm tomorrow;
    int64_t at_us = 0;

    if (localtime_r(&now, &today) == NULL || !take_clock(text, &today)) {
        return false;
    }
    if (moment_of(today, &at_us) && at_us > now_us) {
        *out_us = at_us;
        return true;
    }
    /* Through noon, which exists on every day, so that mktime() finds the next day's date. */
    tomorrow = today;
    tomorrow.tm_mday++;
    tomorrow.tm_hour = 12;
    tomorrow.tm_isdst = -1;
    if (mktime(&tomorrow) == (time_t)-1) {
        return false;
    }
    tomorrow.tm_hour = today.tm_hour;
    tomorrow.tm_min = today.tm_min;
    tomorrow.tm_sec = today.tm_sec;
    return moment_of(tomorrow, out_us);
}

/* "2026-03-01 22:00" */
static bool read_date(const char *text, int64_t *out_us)
{
    const char *at = text;
    struct tm fields = {0};
    int year = 0;
    int month = 0;

    if (!take_digits(&at, 4, 4, &year) || !take_character(&at, '-') ||
        !take_digits(&at, 2, 2, &month) || !take_character(&at, '-') ||
        !take_digits(&at, 2, 2, &fields.tm_mday) || !take_character(&at, ' ') ||
        !take_clock(at, &fields)) {
        return false;
    }
    fields.tm_year = year - 1900;
    fields.tm_mon = month - 1;
    return month >= 1 && month <= 12 && fields.tm_mday >= 1 && moment_of(fields, out_us);
}

static int64_t unit_seconds(char unit)
{
    switch (unit) {
    case 'd':
        return 24LL * 3600;
    case 'h':
        return 3600;
    case 'm':
        return 60;
    case 's':
        return 1;
    default: /* a character, not an enum */
        return 0;
    }
}

/* "2h30m", behind the plus. */
static bool read_ahead(const char *at, int64_t now_us, int64_t *out_us)
{
    int64_t ahead_s = 0;

    if (*at == '\0') {
        return false;
    }
    while (*at != '\0') {
        int count = 0;
        if (!take_digits(&at, 1, 7, &count) || unit_seconds(*at) == 0) {
            return false;
        }
        ahead_s += count * unit_seconds(*at);
        if (ahead_s > AHEAD_MAX_S) {
            return false;
        }
        at++;
    }
    *out_us = now_us + ahead_s * US_PER_S;
    return true;
}

int when_read(const char *text, int64_t now_us, int64_t *out_us, struct error *err)
{
    int64_t at_us = 0;
    bool is_read = text[0] == '+' ? read_ahead(text + 1, now_us, &at_us)
                                  : read_clock(text, now_us, &at_us) || read_date(text, &at_us) ||
                                        instant_read(text, &at_us) == INSTANT_MOMENT;

    if (!is_read) {
        return fail(err, ERR_USAGE, 0, "'%.60s' is no time; write " WHEN_FORMS, text);
    }
    *out_us = at_us;
    return 0;
}
