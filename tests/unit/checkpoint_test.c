/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct checkpoint sample(uint32_t disk_count)
{
    struct checkpoint checkpoint = {.disk_count = disk_count, .node = 123456789012ULL};

    for (uint32_t i = 0; i < disk_count; i++) {
        checkpoint.size_bytes[i] = 1000ULL * i + 7;
        memset(checkpoint.source_identity[i], (int)i + 1, DISK_IDENTITY_BYTES);
        memset(checkpoint.target_identity[i], (int)i + 2, DISK_IDENTITY_BYTES);
        checkpoint.target_groups[i] = 100ULL + i;
        memset(checkpoint.proof[i], (int)i + 3, PROOF_BYTES);
    }
    checkpoint.segments.count = disk_count % (PROOF_SEGMENTS_MAX + 1);
    for (uint32_t i = 0; i < checkpoint.segments.count; i++) {
        checkpoint.segments.list[i].first_node = 1000ULL * i;
        memset(checkpoint.segments.list[i].key, (int)i + 4, DIGEST_KEY_BYTES);
    }
    return checkpoint;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t buffer[CHECKPOINT_RECORD_MAX];
    struct const_span bytes;

    for (uint32_t disks = 1; disks <= DISKS_MAX; disks += 21) {
        struct checkpoint written = sample(disks);
        struct checkpoint read;
        assert_int_equal(
            checkpoint_encode(&written, (struct span){buffer, sizeof buffer}, &bytes, NULL), 0);
        assert_int_equal(checkpoint_decode(bytes, &read, NULL), 0);
        assert_memory_equal(&read, &written, sizeof read);
    }
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    uint8_t buffer[CHECKPOINT_RECORD_MAX];
    struct checkpoint written = sample(2);
    struct checkpoint read;
    struct const_span bytes;

    assert_int_equal(
        checkpoint_encode(&written, (struct span){buffer, sizeof buffer}, &bytes, NULL), 0);
    for (size_t bit = 0; bit < bytes.len_bytes * 8; bit++) {
        struct error err = {0};
        buffer[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(checkpoint_decode(bytes, &read, &err), -1);
        assert_int_equal(err.kind, ERR_WRONG_STATE);
        buffer[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    uint8_t buffer[CHECKPOINT_RECORD_MAX];
    struct checkpoint written = sample(3);
    struct checkpoint read;
    struct const_span bytes;

    assert_int_equal(
        checkpoint_encode(&written, (struct span){buffer, sizeof buffer}, &bytes, NULL), 0);
    for (size_t len = 0; len < bytes.len_bytes; len++) {
        assert_int_equal(checkpoint_decode((struct const_span){buffer, len}, &read, NULL), -1);
    }
}

static void a_buffer_too_small_is_an_error(void **state)
{
    (void)state;
    uint8_t buffer[64];
    struct checkpoint written = sample(3);
    struct const_span bytes;
    struct error err;

    assert_int_equal(
        checkpoint_encode(&written, (struct span){buffer, sizeof buffer}, &bytes, &err), -1);
    assert_int_equal(err.kind, ERR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(a_buffer_too_small_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
