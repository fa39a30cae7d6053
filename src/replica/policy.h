/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * policy.h - when: retries, windows, intervals. Pure, but for the host's time zone (localtime_r).
 */
#ifndef RESILVER_REPLICA_POLICY_H
#define RESILVER_REPLICA_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* policy_retry_s - how long to wait after the attempt-th failure in a row (from 1): 1, 2, 4, 8, 10,
 * then 30 times first_s, which is a minute unless the configuration says otherwise. */
uint32_t policy_retry_s(uint32_t attempt, uint32_t first_s);

/*
 * policy_is_in_window - whether a local wall clock at `now_us` shows a time from start to end
 * (minutes since midnight; end excluded; over midnight when end < start; the whole day when both
 * are equal). An hour that the clock skips in spring is in no window that lies in it; one that it
 * repeats in autumn is in it twice.
 */
bool policy_is_in_window(int64_t now_us, uint32_t start_minute, uint32_t end_minute);

/* policy_next_window - the next moment after `now_us` at which the window begins (local time, DST
 * as the zone has it; a start in the skipped hour is the first moment after it). */
int64_t policy_next_window(int64_t now_us, uint32_t start_minute, uint32_t end_minute);

/* policy_interval_start - the start of the monitoring interval that `now_us` is in: multiples of
 * interval_s counted from start_minute of a day in local time. */
int64_t policy_interval_start(int64_t now_us, uint32_t interval_s, uint32_t start_minute);

/* What a failed session was. */
enum policy_failure {
    FAILURE_INVALID = 0,
    FAILURE_RETRY, /* the peer or the link: try again later */
    FAILURE_WAIT,  /* in use: somebody else is at work on the same disks: try again later */
    FAILURE_FINAL  /* a person must act */
};

#endif
