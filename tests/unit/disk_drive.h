/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk_drive.h - for tests of disk drivers: requests one at a time, temporary directories, oracles.
 */
#ifndef RESILVER_TESTS_UNIT_DISK_DRIVE_H
#define RESILVER_TESTS_UNIT_DISK_DRIVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "disk/disk.h"
#include "disk/helper.h"

#define DRIVE_DEADLINE_S 30U
#define DRIVE_PATH_MAX 512

static inline uint64_t drive_deadline(void)
{
    return env_now_ns(env_system()) + DRIVE_DEADLINE_S * NS_PER_S;
}

/* The next completed request; the test fails if none comes before the deadline. */
static inline struct disk_request *drive_reap(struct disk *disk)
{
    uint64_t deadline_ns = drive_deadline();

    for (;;) {
        struct disk_request *request = disk_reap(disk);
        if (request != NULL) {
            return request;
        }
        assert_true(env_now_ns(env_system()) < deadline_ns);
        struct pollfd watch = {.fd = -1};
        disk_poll_on(disk, &watch.fd, &watch.events);
        assert_true(watch.fd >= 0);
        (void)poll(&watch, 1, 1000);
    }
}

static inline int drive(struct disk *disk, struct disk_request *request)
{
    disk_submit(disk, request);
    assert_ptr_equal(drive_reap(disk), request);
    return request->errnum;
}

static inline int drive_data(struct disk *disk, enum disk_op op, uint64_t offset_bytes,
                             struct span data)
{
    struct disk_request request = {.op = op, .offset_bytes = offset_bytes, .data = data};

    return drive(disk, &request);
}

static inline int drive_zero(struct disk *disk, uint64_t offset_bytes, uint64_t len_bytes)
{
    struct disk_request request = {
        .op = DISK_ZERO, .offset_bytes = offset_bytes, .len_bytes = len_bytes};

    return drive(disk, &request);
}

static inline int drive_flush(struct disk *disk)
{
    struct disk_request request = {.op = DISK_FLUSH};

    return drive(disk, &request);
}

/* All extents of a range, asked for as often as needed; checks what disk.h promises of them. */
static inline uint64_t drive_zero_bytes(struct disk *disk, uint64_t offset_bytes,
                                        uint64_t len_bytes)
{
    static struct extent extents[EXTENTS_MAX];
    uint64_t end = offset_bytes + len_bytes;
    uint64_t zero_bytes = 0;

    while (offset_bytes < end) {
        struct disk_request request = {.op = DISK_EXTENTS,
                                       .offset_bytes = offset_bytes,
                                       .len_bytes = end - offset_bytes,
                                       .extents = extents};
        assert_int_equal(drive(disk, &request), 0);
        assert_in_range(request.extent_count, 1, EXTENTS_MAX);
        for (uint32_t i = 0; i < request.extent_count; i++) {
            assert_int_equal(extents[i].offset_bytes, offset_bytes);
            assert_true(extents[i].len_bytes > 0);
            offset_bytes += extents[i].len_bytes;
            zero_bytes += extents[i].zero ? extents[i].len_bytes : 0;
        }
        assert_true(offset_bytes <= end);
        assert_true(offset_bytes == end || offset_bytes % PAGE_BYTES == 0);
    }
    return zero_bytes;
}

static inline struct span drive_buffer(size_t len_bytes)
{
    size_t whole = (len_bytes + DISK_BUFFER_ALIGN - 1) / DISK_BUFFER_ALIGN * DISK_BUFFER_ALIGN;
    struct span span = {aligned_alloc(DISK_BUFFER_ALIGN, whole), len_bytes};

    assert_non_null(span.at);
    memset(span.at, 0xee, whole);
    return span;
}

/* Bytes that depend on their place on the disk and on a seed, so that nothing fits by accident. */
static inline void drive_fill(struct span span, uint64_t offset_bytes, uint64_t seed)
{
    for (size_t i = 0; i < span.len_bytes; i++) {
        uint64_t x = (offset_bytes + i) / 8 * 0x9e3779b97f4a7c15ULL + seed;
        x ^= x >> 29;
        x *= 0xbf58476d1ce4e5b9ULL;
        x ^= x >> 32;
        span.at[i] = (uint8_t)(x >> (8 * ((offset_bytes + i) % 8)));
    }
}

static inline bool drive_matches(struct span span, uint64_t offset_bytes, uint64_t seed)
{
    struct span expected = drive_buffer(span.len_bytes);

    drive_fill(expected, offset_bytes, seed);
    bool same = memcmp(expected.at, span.at, span.len_bytes) == 0;
    free(expected.at);
    return same;
}

/* --- files and programs ---------------------------------------------------------------------- */

static inline void drive_temporary(char *path, size_t size_bytes)
{
    const char *parent = getenv("TMPDIR");

    (void)snprintf(path, size_bytes, "%s/resilver-test-XXXXXX", parent != NULL ? parent : "/tmp");
    assert_non_null(mkdtemp(path));
}

/* Run a program to its end; returns its exit status, its words in *result. */
static inline int drive_program(char *const argv[], struct helper_result *result)
{
    struct error err = {.kind = ERR_NONE};

    if (helper_run(argv, 60, result, &err) != 0) {
        print_error("%s\n", err.message);
        return -1;
    }
    if (result->exit_status != 0) {
        print_error("%s: %s %s\n", argv[0], result->reason, result->output);
    }
    return result->exit_status;
}

static inline int drive_run(char *const argv[])
{
    struct helper_result result = {.output = NULL};
    int status = drive_program(argv, &result);

    helper_result_done(&result);
    return status;
}

#define DRIVE_RUN(...) drive_run((char *const[]){__VA_ARGS__, NULL})

static inline void drive_remove(const char *path)
{
    assert_int_equal(DRIVE_RUN("rm", "-rf", "--", (char *)path), 0);
}

static inline bool drive_has_program(const char *name)
{
    struct helper_result result = {.output = NULL};
    struct error err = {.kind = ERR_NONE};
    char *const argv[] = {(char *)name, "--version", NULL};

    if (helper_run(argv, 20, &result, &err) != 0) {
        return false;
    }
    helper_result_done(&result);
    return true;
}

#endif
