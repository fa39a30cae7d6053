/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records of a replica: a point's (record.c), the replica's own (meta.c), and what both begin
 * and end with (sealed.c). */
#include "points/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "points/meta.h"

static uint8_t buffer[META_MAX];

static struct point_record sample_point(void)
{
    struct point_record record = {.number = 7, .base = 6, .time_ns = 1234567890123ULL};

    record.disk_count = 3;
    for (uint32_t i = 0; i < record.disk_count; i++) {
        struct point_disk *disk = &record.disks[i];
        (void)snprintf(disk->name, sizeof disk->name, "disk-%u.raw", i);
        disk->format = i == 1 ? DISK_FORMAT_QCOW2 : DISK_FORMAT_RAW;
        disk->driver = i == 2 ? POINT_DRIVER_FILE : POINT_DRIVER_LOG;
        disk->size_bytes = 1000ULL * i;
        memset(disk->proof, (int)i + 1, sizeof disk->proof);
        memset(disk->log_id, (int)i + 2, sizeof disk->log_id);
        disk->log_groups = i;
        disk->base_mtime_ns = 77ULL + i;
    }
    record.segments.count = 2;
    record.segments.list[1].first_node = 99;
    memset(record.segments.list[1].key, 5, DIGEST_KEY_BYTES);
    return record;
}

static struct meta sample_meta(void)
{
    struct meta meta = {.is_beside = true, .history = 3, .disk_count = 2};

    for (uint32_t i = 0; i < meta.disk_count; i++) {
        (void)snprintf(meta.disks[i].name, sizeof meta.disks[i].name, "d%u", i);
        (void)snprintf(meta.disks[i].path, sizeof meta.disks[i].path, "/srv/d%u", i);
    }
    return meta;
}

static struct const_span encode_point(const struct point_record *record)
{
    struct const_span bytes;

    assert_int_equal(
        point_record_encode(record, (struct span){buffer, POINT_RECORD_MAX}, &bytes, NULL), 0);
    return bytes;
}

static void what_is_written_is_read(void **state)
{
    struct point_record written = sample_point();
    struct point_record *read = calloc(1, sizeof *read);
    struct meta *meta = calloc(1, sizeof *meta);
    struct meta meta_written = sample_meta();
    struct const_span bytes = encode_point(&written);

    (void)state;
    assert_int_equal(point_record_decode(bytes, read, NULL), 0);
    assert_memory_equal(read, &written, sizeof written);
    assert_int_equal(meta_encode(&meta_written, (struct span){buffer, META_MAX}, &bytes, NULL), 0);
    assert_int_equal(meta_decode(bytes, meta, NULL), 0);
    assert_memory_equal(meta, &meta_written, sizeof meta_written);
    free(read);
    free(meta);
}

static void the_longest_record_fits(void **state)
{
    struct point_record record = sample_point();
    struct point_record read;

    (void)state;
    record.disk_count = DISKS_MAX;
    for (uint32_t i = 0; i < DISKS_MAX; i++) {
        record.disks[i] = record.disks[0];
        memset(record.disks[i].name, 'n', DISK_NAME_MAX - 1);
    }
    record.segments.count = PROOF_SEGMENTS_MAX;
    for (uint32_t i = 0; i < PROOF_SEGMENTS_MAX; i++) {
        record.segments.list[i].first_node = i;
    }
    assert_int_equal(point_record_decode(encode_point(&record), &read, NULL), 0);
    assert_memory_equal(&read, &record, sizeof record);
}

static void every_flipped_bit_and_every_cut_is_noticed(void **state)
{
    struct point_record written = sample_point();
    struct point_record read;
    struct const_span bytes = encode_point(&written);

    (void)state;
    for (size_t bit = 0; bit < bytes.len_bytes * 8; bit++) {
        struct error err = {0};
        buffer[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(point_record_decode(bytes, &read, &err), -1);
        assert_int_equal(err.kind, ERR_WRONG_STATE);
        buffer[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t cut = 0; cut < bytes.len_bytes; cut++) {
        assert_int_equal(point_record_decode((struct const_span){bytes.at, cut}, &read, NULL), -1);
    }
}

static void expect_refused(const struct point_record *record)
{
    struct point_record read;
    struct error err = {0};

    assert_int_equal(point_record_decode(encode_point(record), &read, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_non_null(strstr(err.message, "out of its range"));
}

/* Whole, with the right sum, and still not what resilver writes. */
static void a_field_out_of_its_range_is_refused(void **state)
{
    struct point_record record = sample_point();

    (void)state;
    record.number = 0;
    expect_refused(&record);
    record = sample_point();
    record.base = record.number;
    expect_refused(&record);
    record = sample_point();
    record.disks[0].driver = POINT_DRIVER_INVALID;
    expect_refused(&record);
    record = sample_point();
    record.disks[0].format = DISK_FORMAT_INVALID;
    expect_refused(&record);
    record = sample_point();
    record.disks[0].size_bytes = DISK_SIZE_MAX + 1;
    expect_refused(&record);
    record = sample_point();
    record.segments.list[0].first_node = 1; /* nobody settled node 0 */
    expect_refused(&record);
    record = sample_point();
    record.segments.count = 3; /* a zero key at node 0, behind one at node 99 */
    expect_refused(&record);
}

/* A record's names become paths. */
static void a_name_is_that_of_one_file(void **state)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "/etc/passwd", "../x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct point_record record = sample_point();
        (void)snprintf(record.disks[1].name, sizeof record.disks[1].name, "%s", bad[i]);
        expect_refused(&record);
        assert_false(point_name_is_good(bad[i]));
    }
    assert_true(point_name_is_good("vm.raw"));
    assert_true(point_name_is_good("..vm"));
}

static void the_paths_of_a_folder_are_its_own(void **state)
{
    struct meta meta = sample_meta();
    struct meta *read = calloc(1, sizeof *read);
    struct const_span bytes;

    (void)state;
    meta.is_beside = false; /* and its disks still have paths elsewhere */
    assert_int_equal(meta_encode(&meta, (struct span){buffer, META_MAX}, &bytes, NULL), 0);
    assert_int_equal(meta_decode(bytes, read, NULL), -1);
    meta = sample_meta();
    (void)snprintf(meta.disks[0].path, sizeof meta.disks[0].path, "relative");
    assert_int_equal(meta_encode(&meta, (struct span){buffer, META_MAX}, &bytes, NULL), 0);
    assert_int_equal(meta_decode(bytes, read, NULL), -1);
    free(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_longest_record_fits),
        cmocka_unit_test(every_flipped_bit_and_every_cut_is_noticed),
        cmocka_unit_test(a_field_out_of_its_range_is_refused),
        cmocka_unit_test(a_name_is_that_of_one_file),
        cmocka_unit_test(the_paths_of_a_folder_are_its_own),
    };

    return cmocka_run_group_tests_name("points_record", tests, NULL, NULL);
}
