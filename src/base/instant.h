/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * instant.h - moments by the host's clock, in microseconds since 1970 (UTC), as text. 0 is "never".
 */
#ifndef RESILVER_BASE_INSTANT_H
#define RESILVER_BASE_INSTANT_H

#include <stdint.h>

#define INSTANT_TEXT_MAX 32

/* What a text turned out to be. */
enum instant_form {
    INSTANT_NONE = 0, /* neither */
    INSTANT_MOMENT,
    INSTANT_INTERVAL /* a CIM interval, dddddddd'hhmmss.mmmmmm:000: a length and no moment */
};

/*
 * instant_read - "2026-03-01T22:00:00Z", "...+01:00", with or without a fraction (RFC 3339, 5.6),
 * or a CIM datetime, 20260301220000.000000+060 (DSP0004 2.7, 5.2.4; with asterisks for the whole
 * fields microsecond and offset: zero, local time). *out_us is set for a moment, to 1 for all
 * before 1970, and for an interval to its length.
 */
enum instant_form instant_read(const char *text, int64_t *out_us);

/* instant_format - "2026-03-01T21:00:00Z", in UTC, with milliseconds if there are any; "" for 0. */
void instant_format(int64_t at_us, char out[INSTANT_TEXT_MAX]);

/* instant_format_local - "2026-03-01 22:00:00", for people at this host; "-" for 0. */
void instant_format_local(int64_t at_us, char out[INSTANT_TEXT_MAX]);

#endif
