/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * number.h - numbers as people write them.
 */
#ifndef RESILVER_BASE_NUMBER_H
#define RESILVER_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

/*
 * number_parse_size - an amount of bytes: "65536", "500k", "1.5G", "10MiB", "40MB".
 *
 * Units, in either case: nothing or B bytes; K, M, G, T and Ki, KiB, Mi, MiB, ... count in steps of
 * 1024; KB, MB, GB, TB in steps of 1000 (as rsync has it). A fraction needs a unit, has at most six
 * digits, and the result is rounded down to whole bytes.
 *
 * Errors: ERR_USAGE not such a text, or more than 2^64 - 1 bytes; the text is in the message.
 */
MUST_CHECK int number_parse_size(const char *text, uint64_t *out_bytes, struct error *err);

/*
 * number_parse_range - a whole decimal number between min and max, both included; no sign, no
 * blank.
 * @what  what it is, for the message: "the port"
 * Errors: ERR_USAGE.
 */
MUST_CHECK int number_parse_range(const char *text, const char *what, uint64_t min, uint64_t max,
                                  uint64_t *out, struct error *err);

/* number_parse_real - "1.5", "-.5e3": decimal, nothing around it. False: it is none, or beyond what
 * a double holds. */
MUST_CHECK bool number_parse_real(const char *text, double *out);

#endif
