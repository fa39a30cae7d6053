/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/instant.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/env.h"

#define CIM_TEXT_LEN 25U
#define YEAR_MIN 1 /* .NET and WMI write 0001 and 1601 for "whenever" */
#define YEAR_MAX 9999

/* The first moment of the year 10000: no form of text can name it. */
#define INSTANT_END_US (253402300800LL * US_PER_S)

/* So many decimal digits, or -1. */
static int64_t digits_at(const char *text, unsigned int count)
{
    int64_t value = 0;

    for (unsigned int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static bool are_stars(const char *text, unsigned int count)
{
    return strspn(text, "*") >= count;
}

/* Whether every field is one of the calendar's; timegm() would carry 31 February into March. */
static bool is_in_calendar(const struct tm *given)
{
    struct tm again = *given;

    if (given->tm_year < YEAR_MIN - 1900 || given->tm_mon < 0 || given->tm_mday < 1 ||
        given->tm_hour < 0 || given->tm_hour > 23 || given->tm_min < 0 || given->tm_min > 59 ||
        given->tm_sec < 0 || given->tm_sec > 60) {
        return false;
    }
    again.tm_hour = 12;
    again.tm_min = 0;
    again.tm_sec = 0;
    return timegm(&again) != (time_t)-1 && again.tm_mon == given->tm_mon &&
           again.tm_mday == given->tm_mday;
}

static enum instant_form finish(struct tm *fields, int64_t fraction_us, int64_t east_minutes,
                                bool is_local, int64_t *out_us)
{
    if (!is_in_calendar(fields)) {
        return INSTANT_NONE;
    }
    fields->tm_isdst = -1;
    time_t seconds = is_local ? mktime(fields) : timegm(fields);
    *out_us = ((int64_t)seconds - east_minutes * 60) * US_PER_S + fraction_us;
    /* What was before is as long ago as can be said; 0 would be never. */
    *out_us = *out_us > 0 ? *out_us : 1;
    return *out_us < INSTANT_END_US ? INSTANT_MOMENT : INSTANT_NONE;
}

static enum instant_form read_interval(const char *text, int64_t *out_us)
{
    int64_t days = digits_at(text, 8);
    int64_t hours = digits_at(text + 8, 2);
    int64_t minutes = digits_at(text + 10, 2);
    int64_t seconds = digits_at(text + 12, 2);
    int64_t us = are_stars(text + 15, 6) ? 0 : digits_at(text + 15, 6);

    if (days < 0 || hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || seconds < 0 ||
        seconds > 59 || us < 0) {
        return INSTANT_NONE;
    }
    *out_us = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * US_PER_S + us;
    return INSTANT_INTERVAL;
}

/* Source: DSP0004 2.7, 5.2.4 */
static enum instant_form read_cim(const char *text, int64_t *out_us)
{
    if (text[14] != '.') {
        return INSTANT_NONE;
    }
    if (strcmp(text + 21, ":000") == 0) {
        return read_interval(text, out_us);
    }
    bool is_local = are_stars(text + 22, 3);
    int64_t us = are_stars(text + 15, 6) ? 0 : digits_at(text + 15, 6);
    int64_t minutes = is_local ? 0 : digits_at(text + 22, 3);
    struct tm fields = {
        .tm_year = (int)digits_at(text, 4) - 1900,
        .tm_mon = (int)digits_at(text + 4, 2) - 1,
        .tm_mday = (int)digits_at(text + 6, 2),
        .tm_hour = (int)digits_at(text + 8, 2),
        .tm_min = (int)digits_at(text + 10, 2),
        .tm_sec = (int)digits_at(text + 12, 2),
    };
    if (us < 0 || minutes < 0 || (text[21] != '+' && text[21] != '-')) {
        return INSTANT_NONE;
    }
    return finish(&fields, us, text[21] == '-' ? -minutes : minutes, is_local, out_us);
}

/* ".5", ".123456789": microseconds; the text after it, or NULL. */
static const char *read_fraction(const char *text, int64_t *out_us)
{
    int64_t weight = US_PER_S / 10;

    *out_us = 0;
    if (*text != '.') {
        return text;
    }
    text++;
    if (digits_at(text, 1) < 0) {
        return NULL;
    }
    for (; digits_at(text, 1) >= 0; text++, weight /= 10) {
        *out_us += digits_at(text, 1) * weight;
    }
    return text;
}

/* "Z", "+01:00": minutes east. */
static bool read_zone(const char *text, int64_t *out_minutes)
{
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
        *out_minutes = 0;
        return true;
    }
    if (strlen(text) != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') {
        return false;
    }
    int64_t hours = digits_at(text + 1, 2);
    int64_t minutes = digits_at(text + 4, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return false;
    }
    *out_minutes = (hours * 60 + minutes) * (text[0] == '-' ? -1 : 1);
    return true;
}

/* Source: RFC 3339, 5.6 */
static enum instant_form read_rfc(const char *text, int64_t *out_us)
{
    int64_t fraction_us = 0;
    int64_t east_minutes = 0;

    if (text[4] != '-' || text[7] != '-' || strchr("Tt ", text[10]) == NULL || text[13] != ':' ||
        text[16] != ':') {
        return INSTANT_NONE;
    }
    struct tm fields = {
        .tm_year = (int)digits_at(text, 4) - 1900,
        .tm_mon = (int)digits_at(text + 5, 2) - 1,
        .tm_mday = (int)digits_at(text + 8, 2),
        .tm_hour = (int)digits_at(text + 11, 2),
        .tm_min = (int)digits_at(text + 14, 2),
        .tm_sec = (int)digits_at(text + 17, 2),
    };
    const char *rest = read_fraction(text + 19, &fraction_us);
    if (rest == NULL || !read_zone(rest, &east_minutes)) {
        return INSTANT_NONE;
    }
    return finish(&fields, fraction_us, east_minutes, false, out_us);
}

enum instant_form instant_read(const char *text, int64_t *out_us)
{
    size_t len = strlen(text);
    int64_t read_us = 0;
    enum instant_form form = INSTANT_NONE;

    if (len == CIM_TEXT_LEN && text[14] == '.') {
        form = read_cim(text, &read_us);
    } else if (len >= 20 && len <= 40) {
        form = read_rfc(text, &read_us);
    }
    if (form != INSTANT_NONE) {
        *out_us = read_us;
    }
    return form;
}

void instant_format(int64_t at_us, char out[INSTANT_TEXT_MAX])
{
    time_t seconds = (time_t)(at_us / US_PER_S);
    int milliseconds = (int)(at_us % US_PER_S / 1000);
    struct tm fields = {0};

    out[0] = '\0';
    if (at_us <= 0 || gmtime_r(&seconds, &fields) == NULL || fields.tm_year > YEAR_MAX - 1900) {
        return;
    }
    size_t len = strftime(out, INSTANT_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &fields);
    if (milliseconds != 0) {
        (void)snprintf(out + len, INSTANT_TEXT_MAX - len, ".%03dZ", milliseconds);
    } else {
        (void)snprintf(out + len, INSTANT_TEXT_MAX - len, "Z");
    }
}

void instant_format_local(int64_t at_us, char out[INSTANT_TEXT_MAX])
{
    time_t seconds = (time_t)(at_us / US_PER_S);
    struct tm fields = {0};

    (void)snprintf(out, INSTANT_TEXT_MAX, "-");
    if (at_us > 0 && localtime_r(&seconds, &fields) != NULL && fields.tm_year <= YEAR_MAX - 1900) {
        (void)strftime(out, INSTANT_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &fields);
    }
}
