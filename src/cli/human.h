/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * human.h - amounts, rates, times and names as a person wants to read them. Every function fills
 * out, which has room for HUMAN_MAX bytes unless said otherwise, and returns it.
 */
#ifndef RESILVER_CLI_HUMAN_H
#define RESILVER_CLI_HUMAN_H

#include <stddef.h>
#include <stdint.h>

#define HUMAN_MAX 48

/* human_size - "0 bytes", "1 byte", "192 KiB", "1.5 KiB", "41.0 MiB", "4.0 GiB". */
const char *human_size(uint64_t bytes, char out[HUMAN_MAX]);

/* human_rate - bytes in elapsed_ns as "3.4 GiB/s"; no time at all counts as one nanosecond. */
const char *human_rate(uint64_t bytes, uint64_t elapsed_ns, char out[HUMAN_MAX]);

/* human_rate_of - the same from a number of bytes per second. */
uint64_t human_rate_of(uint64_t bytes, uint64_t elapsed_ns);

/* human_duration - "0.4 s", "59.9 s", "2 min 5 s", "3 h 7 min". */
const char *human_duration(uint64_t elapsed_ns, char out[HUMAN_MAX]);

/* human_time - nanoseconds since 1970 as this host's local time: "2026-03-01 10:20:30". */
const char *human_time(uint64_t since_1970_ns, char out[HUMAN_MAX]);

/* human_clock - seconds as "0:42", "12:05", "1:02:03"; from 100 hours on "over 99 h". */
const char *human_clock(uint64_t seconds, char out[HUMAN_MAX]);

/*
 * human_name - a name from outside so that a terminal shows it and nothing else happens: each byte
 * or character that is not printable in the locale becomes '?'.
 *
 * @columns  most columns of the terminal to use; a longer name loses its beginning, "..." stands
 * for it. 0: no bound
 * @out      size_bytes large; what does not fit is cut
 * Returns the columns used.
 */
size_t human_name(const char *name, size_t columns, char *out, size_t size_bytes);

#endif
