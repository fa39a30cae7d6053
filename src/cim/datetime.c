/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * datetime.c - CIM's datetimes, and those of XML Schema as them and back. Source: DSP0004 2.7,
 * 5.2.4; XML Schema part 2, 3.2.6 and 3.2.7; RFC 3339, 5.6.
 *
 *   moment    yyyymmddhhmmss.mmmmmmsutc   s + or -, utc minutes east of UTC
 *   interval  ddddddddhhmmss.mmmmmm:000
 *
 * A field that is not known is all asterisks; of the microseconds, the last digits may be. The zone
 * of the host is never asked: what is "local" (+***) stays so.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/attributes.h"
#include "base/env.h"
#include "cim/value.h"

#define TEXT_LEN (CIM_DATETIME_TEXT_MAX - 1U)
#define WILDCARD (-1)
#define EAST_MAX 840 /* minutes: XML Schema ends at 14:00 */
#define DAYS_MAX 99999999LL
#define YEAR_MAX 9999
#define DAY_S (24LL * 60 * 60)
#define DAYS_BEFORE_1970 719162LL /* since 1 January of the year 1 */

enum { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, MICROSECOND, EAST, FIELDS };

/* The parts of a text. An interval has its days in DAY. A part that is not known is a WILDCARD. */
struct parts {
    bool is_interval;
    int64_t fields[FIELDS];
};

struct field {
    unsigned int index; /* in the parts */
    unsigned int at;    /* in the text */
    unsigned int len;
    int64_t min;
    int64_t max;
};

static const struct field moment_fields[] = {{YEAR, 0, 4, 0, YEAR_MAX}, {MONTH, 4, 2, 1, 12},
                                             {DAY, 6, 2, 1, 31},        {HOUR, 8, 2, 0, 23},
                                             {MINUTE, 10, 2, 0, 59},    {SECOND, 12, 2, 0, 59},
                                             {EAST, 22, 3, 0, EAST_MAX}};

static const struct field interval_fields[] = {
    {DAY, 0, 8, 0, DAYS_MAX}, {HOUR, 8, 2, 0, 23}, {MINUTE, 10, 2, 0, 59}, {SECOND, 12, 2, 0, 59}};

/* --- the calendar ---------------------------------------------------------------------------- */

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t days_of_month(int64_t year, int64_t month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    assert(month >= 1 && month <= 12);
    return days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

/* From 1 January 1970 to 1 January of a year. The year 0 is before the first, and leap. */
static int64_t days_to_year(int64_t year)
{
    int64_t before = year - 1;

    if (year == 0) {
        return -366 - DAYS_BEFORE_1970;
    }
    return before * 365 + before / 4 - before / 100 + before / 400 - DAYS_BEFORE_1970;
}

static int64_t days_to_date(int64_t year, int64_t month, int64_t day)
{
    int64_t days = days_to_year(year) + day - 1;

    for (int64_t m = 1; m < month; m++) {
        days += days_of_month(year, m);
    }
    return days;
}

/* The date of a day since 1970, of a year up to YEAR_MAX + 1. */
static void date_of_day(int64_t day, struct parts *out)
{
    int64_t year = (day + DAYS_BEFORE_1970) / 366; /* at or before the right one */
    int64_t month = 1;

    while (days_to_year(year + 1) <= day) {
        year++;
    }
    day -= days_to_year(year);
    for (; day >= days_of_month(year, month); month++) {
        day -= days_of_month(year, month);
    }
    out->fields[YEAR] = year;
    out->fields[MONTH] = month;
    out->fields[DAY] = day + 1;
}

/* Whether the month has that day; a February of no year may have 29. */
static bool is_in_calendar(const struct parts *parts)
{
    int64_t year = parts->fields[YEAR] == WILDCARD ? 2000 : parts->fields[YEAR];

    return parts->is_interval || parts->fields[MONTH] == WILDCARD ||
           parts->fields[DAY] <= days_of_month(year, parts->fields[MONTH]);
}

/* --- CIM's form ------------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* So many digits, or as many asterisks. False: neither, or out of range. */
static bool read_field(const char *text, const struct field *field, int64_t *out)
{
    int64_t value = 0;

    if (strspn(text + field->at, "*") >= field->len) {
        *out = WILDCARD;
        return true;
    }
    for (unsigned int i = 0; i < field->len; i++) {
        if (!is_digit(text[field->at + i])) {
            return false;
        }
        value = value * 10 + (text[field->at + i] - '0');
    }
    *out = value;
    return value >= field->min && value <= field->max;
}

/* ".123456", ".123***": its last digits may be unknown. */
static bool read_microseconds(const char *text, int64_t *out)
{
    size_t known = strspn(text + 15, "0123456789");
    size_t unknown = strspn(text + 15 + known, "*");
    int64_t value = 0;

    if (text[14] != '.' || known > 6 || known + unknown < 6) {
        return false;
    }
    for (size_t i = 0; i < known; i++) {
        value = value * 10 + (text[15 + i] - '0');
    }
    *out = known == 6 ? value : WILDCARD;
    return true;
}

static bool read_parts(const char *text, struct parts *out)
{
    struct parts parts = {0};

    if (text == NULL || strnlen(text, TEXT_LEN + 1) != TEXT_LEN ||
        !read_microseconds(text, &parts.fields[MICROSECOND])) {
        return false;
    }
    parts.is_interval = strcmp(text + 21, ":000") == 0;
    if (!parts.is_interval && text[21] != '+' && text[21] != '-') {
        return false;
    }
    const struct field *fields = parts.is_interval ? interval_fields : moment_fields;
    size_t count = parts.is_interval ? ARRAY_COUNT(interval_fields) : ARRAY_COUNT(moment_fields);
    for (size_t i = 0; i < count; i++) {
        if (!read_field(text, &fields[i], &parts.fields[fields[i].index])) {
            return false;
        }
    }
    if (text[21] == '-' && parts.fields[EAST] > 0) {
        parts.fields[EAST] = -parts.fields[EAST];
    }
    if (!is_in_calendar(&parts)) {
        return false;
    }
    *out = parts;
    return true;
}

/* East is negative for zones in the west, so it is told by its text whether that is a wildcard. */
static bool has_wildcard(const char *text)
{
    return strchr(text, '*') != NULL;
}

/* Of parts that are all known and in range. */
static void write_parts(const struct parts *parts, char out[CIM_DATETIME_TEXT_MAX])
{
    const int64_t *fields = parts->fields;
    int64_t east = fields[EAST];
    int len;

    if (parts->is_interval) {
        len = snprintf(out, CIM_DATETIME_TEXT_MAX,
                       "%08" PRId64 "%02" PRId64 "%02" PRId64 "%02" PRId64 ".%06" PRId64 ":000",
                       fields[DAY], fields[HOUR], fields[MINUTE], fields[SECOND],
                       fields[MICROSECOND]);
    } else {
        len = snprintf(out, CIM_DATETIME_TEXT_MAX,
                       "%04" PRId64 "%02" PRId64 "%02" PRId64 "%02" PRId64 "%02" PRId64 "%02" PRId64
                       ".%06" PRId64 "%c%03" PRId64,
                       fields[YEAR], fields[MONTH], fields[DAY], fields[HOUR], fields[MINUTE],
                       fields[SECOND], fields[MICROSECOND], east < 0 ? '-' : '+',
                       east < 0 ? -east : east);
    }
    assert(len == (int)TEXT_LEN);
}

bool cim_datetime_is(const char *text)
{
    struct parts parts;

    return read_parts(text, &parts);
}

bool cim_datetime_is_interval(const char *text)
{
    struct parts parts;

    return read_parts(text, &parts) && parts.is_interval;
}

bool cim_datetime_has_wildcards(const char *text)
{
    struct parts parts;

    return read_parts(text, &parts) && has_wildcard(text);
}

/* --- lengths of time ------------------------------------------------------------------------- */

/* Hours, minutes, seconds and microseconds of a day. */
static void split_time(uint64_t us, struct parts *out)
{
    out->fields[MICROSECOND] = (int64_t)(us % US_PER_S);
    us /= US_PER_S;
    out->fields[SECOND] = (int64_t)(us % 60);
    out->fields[MINUTE] = (int64_t)(us / 60 % 60);
    out->fields[HOUR] = (int64_t)(us / 3600);
}

/* Microseconds of the time of day. */
static int64_t join_time(const struct parts *parts)
{
    const int64_t *fields = parts->fields;

    return ((fields[HOUR] * 60 + fields[MINUTE]) * 60 + fields[SECOND]) * US_PER_S +
           fields[MICROSECOND];
}

void cim_datetime_moment(int64_t at_us, char out[CIM_DATETIME_TEXT_MAX])
{
    const int64_t day_us = DAY_S * US_PER_S;
    const int64_t first_us = days_to_year(1) * day_us;
    const int64_t last_us = days_to_year(YEAR_MAX + 1) * day_us - 1;
    struct parts parts = {0};

    /* Text has no more than these years. */
    at_us = at_us < first_us ? first_us : at_us;
    at_us = at_us > last_us ? last_us : at_us;
    int64_t day = at_us / day_us - (at_us % day_us < 0 ? 1 : 0);
    date_of_day(day, &parts);
    split_time((uint64_t)(at_us - day * day_us), &parts);
    write_parts(&parts, out);
}

void cim_datetime_interval(uint64_t length_us, char out[CIM_DATETIME_TEXT_MAX])
{
    const uint64_t day_us = DAY_S * US_PER_S;
    const uint64_t max_us = (DAYS_MAX + 1) * day_us - 1;
    struct parts parts = {.is_interval = true};

    length_us = length_us > max_us ? max_us : length_us;
    parts.fields[DAY] = (int64_t)(length_us / day_us);
    split_time(length_us % day_us, &parts);
    write_parts(&parts, out);
}

static int64_t microseconds_of(const struct parts *parts)
{
    const int64_t *fields = parts->fields;
    int64_t days =
        parts->is_interval ? fields[DAY] : days_to_date(fields[YEAR], fields[MONTH], fields[DAY]);

    return days * DAY_S * US_PER_S + join_time(parts) - fields[EAST] * 60 * US_PER_S;
}

bool cim_datetime_compare(const char *a, const char *b, int *order)
{
    struct parts parts_a;
    struct parts parts_b;

    if (!read_parts(a, &parts_a) || !read_parts(b, &parts_b) || has_wildcard(a) ||
        has_wildcard(b) || parts_a.is_interval != parts_b.is_interval) {
        return false;
    }
    int64_t us_a = microseconds_of(&parts_a);
    int64_t us_b = microseconds_of(&parts_b);
    *order = us_a < us_b ? -1 : us_a > us_b;
    return true;
}

/* --- from XML Schema ------------------------------------------------------------------------- */

/* Digits and the mark behind them ('\0': none). Moves on. */
static bool read_digits(const char **at, unsigned int len, char mark, int64_t *out)
{
    int64_t value = 0;

    for (unsigned int i = 0; i < len; i++, (*at)++) {
        if (!is_digit(**at)) {
            return false;
        }
        value = value * 10 + (**at - '0');
    }
    if (mark != '\0') {
        if (**at != mark) {
            return false;
        }
        (*at)++;
    }
    *out = value;
    return true;
}

/* ".5", ".123456789": what is finer than a microsecond is dropped. Nothing there: 0. */
static bool read_fraction(const char **at, int64_t *out_us)
{
    int64_t weight = US_PER_S / 10;

    *out_us = 0;
    if (**at != '.') {
        return true;
    }
    (*at)++;
    if (!is_digit(**at)) {
        return false;
    }
    for (; is_digit(**at); (*at)++, weight /= 10) {
        *out_us += (**at - '0') * weight;
    }
    return true;
}

/* "Z", "+02:00", or nothing: UTC. */
static bool read_zone(const char *at, int64_t *out_minutes)
{
    bool is_west = *at == '-';
    int64_t hours = 0;
    int64_t minutes = 0;

    *out_minutes = 0;
    if (*at == 'Z' || *at == 'z') {
        return at[1] == '\0';
    }
    if (*at == '\0') {
        return true;
    }
    if (*at != '+' && !is_west) {
        return false;
    }
    at++;
    if (!read_digits(&at, 2, ':', &hours) || !read_digits(&at, 2, '\0', &minutes) || *at != '\0' ||
        minutes > 59 || hours * 60 + minutes > EAST_MAX) {
        return false;
    }
    *out_minutes = (hours * 60 + minutes) * (is_west ? -1 : 1);
    return true;
}

/* 24:00:00 is the end of its day. False: of the last one that there is. */
static bool carry_midnight(struct parts *parts)
{
    int64_t *fields = parts->fields;

    fields[HOUR] = 0;
    date_of_day(days_to_date(fields[YEAR], fields[MONTH], fields[DAY]) + 1, parts);
    return fields[YEAR] <= YEAR_MAX;
}

static bool is_in_range(const struct parts *parts)
{
    for (size_t i = 0; i < ARRAY_COUNT(moment_fields); i++) {
        const struct field *field = &moment_fields[i];
        int64_t value = parts->fields[field->index];
        if (field->index != EAST && (value < field->min || value > field->max)) {
            return false;
        }
    }
    return parts->fields[YEAR] > 0 && is_in_calendar(parts);
}

static bool read_moment(const char *at, struct parts *out)
{
    struct parts parts = {0};
    int64_t *fields = parts.fields;

    if (!read_digits(&at, 4, '-', &fields[YEAR]) || !read_digits(&at, 2, '-', &fields[MONTH]) ||
        !read_digits(&at, 2, '\0', &fields[DAY]) || *at == '\0' || strchr("Tt ", *at) == NULL) {
        return false;
    }
    at++;
    if (!read_digits(&at, 2, ':', &fields[HOUR]) || !read_digits(&at, 2, ':', &fields[MINUTE]) ||
        !read_digits(&at, 2, '\0', &fields[SECOND]) || !read_fraction(&at, &fields[MICROSECOND]) ||
        !read_zone(at, &fields[EAST])) {
        return false;
    }
    bool is_midnight = fields[HOUR] == 24 && fields[MINUTE] == 0 && fields[SECOND] == 0 &&
                       fields[MICROSECOND] == 0;
    if (is_midnight) {
        fields[HOUR] = 23;
    }
    if (!is_in_range(&parts) || (is_midnight && !carry_midnight(&parts))) {
        return false;
    }
    *out = parts;
    return true;
}

/* A number of a duration with its unit, "12H". False: there is none, or too much. */
static bool read_amount(const char **at, uint64_t *out, char *out_unit, int64_t *out_fraction_us)
{
    uint64_t value = 0;

    if (!is_digit(**at)) {
        return false;
    }
    for (; is_digit(**at); (*at)++) {
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value)) {
            return false;
        }
    }
    bool has_fraction = **at == '.';
    if (!read_fraction(at, out_fraction_us) || **at == '\0' || (has_fraction && **at != 'S')) {
        return false;
    }
    *out = value;
    *out_unit = *(*at)++;
    return true;
}

/* "P1DT2H3M4.5S", in microseconds. A year and a month have no length, so none may be there. */
static bool read_duration(const char *at, uint64_t *out_us)
{
    static const struct {
        char unit;
        bool is_time;
        uint64_t seconds;
    } units[] = {{'D', false, DAY_S}, {'H', true, 3600}, {'M', true, 60}, {'S', true, 1}};
    size_t next = 0; /* of the units; each once, in this order */
    bool is_time = false;
    uint64_t sum_us = 0;

    if (*at++ != 'P' || *at == '\0') {
        return false;
    }
    while (*at != '\0') {
        int64_t fraction_us = 0;
        uint64_t amount = 0;
        char unit = '\0';
        if (*at == 'T' && !is_time) {
            is_time = true;
            at++;
        }
        if (!read_amount(&at, &amount, &unit, &fraction_us)) {
            return false;
        }
        while (next < ARRAY_COUNT(units) &&
               (units[next].unit != unit || units[next].is_time != is_time)) {
            next++;
        }
        if (next == ARRAY_COUNT(units) ||
            __builtin_mul_overflow(amount, units[next].seconds * US_PER_S, &amount) ||
            __builtin_add_overflow(sum_us, amount, &sum_us) ||
            __builtin_add_overflow(sum_us, (uint64_t)fraction_us, &sum_us)) {
            return false;
        }
        next++;
    }
    *out_us = sum_us;
    return sum_us < (uint64_t)(DAYS_MAX + 1) * DAY_S * US_PER_S;
}

bool cim_datetime_from(const char *text, char out[CIM_DATETIME_TEXT_MAX])
{
    struct parts parts;
    uint64_t length_us = 0;

    if (cim_datetime_is(text)) {
        memcpy(out, text, CIM_DATETIME_TEXT_MAX);
        return true;
    }
    if (read_duration(text, &length_us)) {
        cim_datetime_interval(length_us, out);
        return true;
    }
    if (read_moment(text, &parts)) {
        write_parts(&parts, out);
        return true;
    }
    return false;
}

/* --- to XML Schema --------------------------------------------------------------------------- */

static void add_unit(char out[CIM_XSD_TEXT_MAX], int64_t amount, char unit)
{
    size_t len = strlen(out);

    if (amount != 0) {
        (void)snprintf(out + len, CIM_XSD_TEXT_MAX - len, "%" PRId64 "%c", amount, unit);
    }
}

/* "4.5S", without zeros behind. */
static void add_seconds(char out[CIM_XSD_TEXT_MAX], int64_t seconds, int64_t us)
{
    size_t len = strlen(out);

    if (us == 0) {
        add_unit(out, seconds, 'S');
        return;
    }
    (void)snprintf(out + len, CIM_XSD_TEXT_MAX - len, "%" PRId64 ".%06" PRId64, seconds, us);
    for (len = strlen(out); out[len - 1] == '0'; len--) {
    }
    (void)snprintf(out + len, CIM_XSD_TEXT_MAX - len, "S");
}

static void write_duration(const struct parts *parts, char out[CIM_XSD_TEXT_MAX])
{
    const int64_t *fields = parts->fields;
    int64_t time_us = join_time(parts);

    (void)snprintf(out, CIM_XSD_TEXT_MAX, "P");
    add_unit(out, fields[DAY], 'D');
    if (time_us > 0) {
        (void)snprintf(out + strlen(out), CIM_XSD_TEXT_MAX - strlen(out), "T");
        add_unit(out, fields[HOUR], 'H');
        add_unit(out, fields[MINUTE], 'M');
        add_seconds(out, fields[SECOND], fields[MICROSECOND]);
    } else if (fields[DAY] == 0) {
        (void)snprintf(out, CIM_XSD_TEXT_MAX, "PT0S");
    }
}

static void write_moment(const struct parts *parts, char out[CIM_XSD_TEXT_MAX])
{
    const int64_t *fields = parts->fields;
    int64_t east = fields[EAST] < 0 ? -fields[EAST] : fields[EAST];
    char fraction[24] = "";
    char zone[16] = "Z";

    assert(east <= EAST_MAX && fields[MICROSECOND] < US_PER_S);
    if (fields[MICROSECOND] != 0) {
        (void)snprintf(fraction, sizeof fraction, ".%06" PRId64, fields[MICROSECOND]);
    }
    if (east != 0) {
        (void)snprintf(zone, sizeof zone, "%c%02" PRId64 ":%02" PRId64,
                       fields[EAST] < 0 ? '-' : '+', east / 60, east % 60);
    }
    (void)snprintf(out, CIM_XSD_TEXT_MAX,
                   "%04" PRId64 "-%02" PRId64 "-%02" PRId64 "T%02" PRId64 ":%02" PRId64
                   ":%02" PRId64 "%s%s",
                   fields[YEAR], fields[MONTH], fields[DAY], fields[HOUR], fields[MINUTE],
                   fields[SECOND], fraction, zone);
}

bool cim_datetime_to_xsd(const char *datetime, char out[CIM_XSD_TEXT_MAX])
{
    struct parts parts;

    /* XML Schema has no year 0. */
    if (!read_parts(datetime, &parts) || has_wildcard(datetime) ||
        (!parts.is_interval && parts.fields[YEAR] == 0)) {
        return false;
    }
    if (parts.is_interval) {
        write_duration(&parts, out);
    } else {
        write_moment(&parts, out);
    }
    return true;
}
