/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk with logs laid over it, over disks in memory that complete late and in any order, lose
 * power, and fail: never a wrong byte, nothing lost that a flush acknowledged.
 */
#include "points/log_disk.h"

#include "log_rig.h"

#define LEAVES 24U
#define TAIL_BYTES 5000U
#define SIZE_BYTES ((LEAVES - 1) * LEAF_BYTES + TAIL_BYTES)

/* A staged disk over a base filled with seed 1. */
struct rig {
    struct cut_disk *base;   /* borrowed from disk, as the next */
    struct cut_disk *medium; /* of the log */
    struct log *log;
    struct disk *disk;
};

static void init(struct rig *rig, uint64_t size_bytes)
{
    rig->base = cut_disk_new(size_bytes);
    rig_fill(rig->base, 1);
    rig->medium = cut_disk_new(RIG_MEDIUM_BYTES);
    rig->log = rig_create(&rig->medium->disk, LOG_JOURNAL, size_bytes);
    rig->disk = rig_disk(&rig->base->disk, rig->log, size_bytes, true);
}

static void done(struct rig *rig)
{
    disk_close(rig->disk);
}

/* Close it, and open it again from what is in its media. */
static void reopen(struct rig *rig, uint64_t min_groups)
{
    uint64_t size_bytes = rig->disk->size_bytes;
    struct cut_disk *base = rig_copy(rig->base);
    struct cut_disk *medium = rig_copy(rig->medium);

    disk_close(rig->disk);
    rig->base = base;
    rig->medium = medium;
    rig->log = rig_open(&medium->disk, size_bytes, min_groups);
    rig->disk = rig_disk(&base->disk, rig->log, size_bytes, true);
}

static int write_leaf(struct disk *disk, uint64_t leaf, uint64_t seed)
{
    struct span bytes = drive_buffer(log_leaf_bytes(disk->size_bytes, leaf));

    drive_fill(bytes, leaf * LEAF_BYTES, seed);
    int errnum = drive_data(disk, DISK_WRITE, leaf * LEAF_BYTES, bytes);
    free(bytes.at);
    return errnum;
}

static int read_range(struct disk *disk, enum disk_op op, uint64_t offset_bytes, uint64_t len_bytes,
                      struct span *out)
{
    *out = drive_buffer(len_bytes);
    return drive_data(disk, op, offset_bytes, *out);
}

static bool reads_as(struct disk *disk, uint64_t offset_bytes, uint64_t len_bytes, uint64_t seed)
{
    struct span bytes = {.at = NULL};
    bool is_same = read_range(disk, DISK_READ, offset_bytes, len_bytes, &bytes) == 0 &&
                   drive_matches(bytes, offset_bytes, seed);

    memset(bytes.at, 0xee, len_bytes);
    is_same = is_same && drive_data(disk, DISK_READ_MEDIUM, offset_bytes, bytes) == 0 &&
              drive_matches(bytes, offset_bytes, seed);
    free(bytes.at);
    return is_same;
}

static bool reads_as_zeros(struct disk *disk, uint64_t offset_bytes, uint64_t len_bytes)
{
    struct span bytes = {.at = NULL};
    bool is_zero = read_range(disk, DISK_READ, offset_bytes, len_bytes, &bytes) == 0 &&
                   span_is_zero(span_const(bytes));

    free(bytes.at);
    return is_zero;
}

static bool leaf_reads_as(struct disk *disk, uint64_t leaf, uint64_t seed)
{
    return reads_as(disk, leaf * LEAF_BYTES, log_leaf_bytes(disk->size_bytes, leaf), seed);
}

/* --- what it is for -------------------------------------------------------------------------- */

static void what_is_written_is_read_and_the_base_stays_as_it_was(void **state)
{
    (void)state;
    struct rig rig;

    init(&rig, SIZE_BYTES);
    assert_true(reads_as(rig.disk, 0, MIB, 1));
    assert_int_equal(write_leaf(rig.disk, 3, 2), 0);
    assert_int_equal(write_leaf(rig.disk, LEAVES - 1, 2), 0);
    assert_int_equal(drive_zero(rig.disk, 7 * LEAF_BYTES, 2 * LEAF_BYTES), 0);
    assert_true(reads_as(rig.disk, 0, 3 * LEAF_BYTES, 1));
    assert_true(leaf_reads_as(rig.disk, 3, 2));
    assert_true(leaf_reads_as(rig.disk, 4, 1));
    assert_true(reads_as_zeros(rig.disk, 7 * LEAF_BYTES, 2 * LEAF_BYTES));
    assert_true(leaf_reads_as(rig.disk, 9, 1));
    assert_true(leaf_reads_as(rig.disk, LEAVES - 1, 2));
    assert_true(drive_matches((struct span){rig.base->bytes, SIZE_BYTES}, 0, 1));
    done(&rig);
}

static void parts_of_a_leaf_are_read_and_checked(void **state)
{
    (void)state;
    struct rig rig;

    init(&rig, SIZE_BYTES);
    assert_int_equal(write_leaf(rig.disk, 3, 1), 0); /* as the base is: borders cannot be seen, */
    assert_int_equal(write_leaf(rig.disk, LEAVES - 1, 1), 0); /* every byte must be right */
    for (uint64_t from = 0; from < SIZE_BYTES; from += 3 * PAGE_BYTES) {
        uint64_t left_bytes = SIZE_BYTES - from;
        uint64_t len_bytes = 1 + from / PAGE_BYTES % 40;
        len_bytes = len_bytes * PAGE_BYTES < left_bytes ? len_bytes * PAGE_BYTES : left_bytes;
        assert_true(reads_as(rig.disk, from, len_bytes, 1));
    }
    done(&rig);
}

static void what_was_flushed_is_there_when_it_is_opened_again(void **state)
{
    (void)state;
    struct rig rig;

    init(&rig, SIZE_BYTES);
    assert_int_equal(write_leaf(rig.disk, 3, 2), 0);
    assert_int_equal(write_leaf(rig.disk, 3, 3), 0);
    assert_int_equal(write_leaf(rig.disk, LEAVES - 1, 2), 0);
    assert_int_equal(drive_zero(rig.disk, (LEAVES - 3) * LEAF_BYTES, 2 * LEAF_BYTES), 0);
    assert_int_equal(drive_flush(rig.disk), 0);
    assert_int_equal(log_groups_synced(rig.log), 1);
    assert_int_equal(write_leaf(rig.disk, 5, 2), 0); /* never flushed: no index tells of it */
    reopen(&rig, 1);
    assert_true(leaf_reads_as(rig.disk, 3, 3));
    assert_true(leaf_reads_as(rig.disk, LEAVES - 1, 2));
    assert_true(reads_as_zeros(rig.disk, (LEAVES - 3) * LEAF_BYTES, 2 * LEAF_BYTES));
    assert_true(leaf_reads_as(rig.disk, 5, 1));
    assert_int_equal(write_leaf(rig.disk, 5, 4), 0);
    assert_int_equal(drive_flush(rig.disk), 0);
    reopen(&rig, 2);
    assert_true(leaf_reads_as(rig.disk, 3, 3));
    assert_true(leaf_reads_as(rig.disk, 5, 4));
    done(&rig);
}

static void disks_of_every_size_are_kept(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {
        1, 511, 4096, 4097, LEAF_BYTES - 1, LEAF_BYTES, LEAF_BYTES + 1, MIB + 12288, MIB + 12289};

    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct rig rig;
        init(&rig, sizes[i]);
        uint64_t last = log_leaf_count(sizes[i]) - 1;
        assert_int_equal(write_leaf(rig.disk, last, 5), 0);
        struct log_place place;
        assert_int_equal(log_find(rig.log, last, &place, NULL), 0);
        assert_true(span_is_zero(
            (struct const_span){rig.medium->bytes + place.offset_bytes + place.len_bytes,
                                log_stored_bytes(place.len_bytes) - place.len_bytes}));
        assert_true(leaf_reads_as(rig.disk, last, 5));
        assert_int_equal(drive_flush(rig.disk), 0);
        reopen(&rig, 1);
        assert_true(leaf_reads_as(rig.disk, last, 5));
        assert_int_equal(drive_zero(rig.disk, last * LEAF_BYTES, log_leaf_bytes(sizes[i], last)),
                         0);
        assert_true(reads_as_zeros(rig.disk, last * LEAF_BYTES, log_leaf_bytes(sizes[i], last)));
        done(&rig);
    }
}

static void a_disk_of_no_bytes_can_be_flushed(void **state)
{
    (void)state;
    struct rig rig;

    init(&rig, 0);
    assert_int_equal(drive_flush(rig.disk), 0);
    assert_int_equal(drive_zero(rig.disk, 0, 1), EINVAL);
    reopen(&rig, 0);
    done(&rig);
}

static void more_than_a_group_is_written_without_a_flush(void **state)
{
    (void)state;
    struct rig rig;
    const uint64_t leaves = 5 * LOG_GROUP_ENTRIES_MAX;

    init(&rig, leaves * LEAF_BYTES);
    for (uint64_t leaf = 0; leaf < leaves; leaf++) {
        if (leaf % 10 == 0) {
            assert_int_equal(write_leaf(rig.disk, leaf, 2), 0);
        } else {
            assert_int_equal(drive_zero(rig.disk, leaf * LEAF_BYTES, LEAF_BYTES), 0);
        }
    }
    assert_int_equal(log_groups(rig.log), 5);
    assert_int_equal(log_groups_synced(rig.log), 0);
    assert_int_equal(drive_flush(rig.disk), 0);
    assert_int_equal(log_groups_synced(rig.log), 5);
    reopen(&rig, 5);
    for (uint64_t leaf = 0; leaf < leaves; leaf++) {
        assert_true(leaf % 10 == 0 ? leaf_reads_as(rig.disk, leaf, 2)
                                   : reads_as_zeros(rig.disk, leaf * LEAF_BYTES, LEAF_BYTES));
    }
    done(&rig);
}

/* --- several logs, odd bases ----------------------------------------------------------------- */

static struct log *log_with(uint64_t size_bytes, uint64_t first, uint64_t count, uint64_t seed)
{
    struct log *log = rig_create(&cut_disk_new(RIG_MEDIUM_BYTES)->disk, LOG_UNDO, size_bytes);

    for (uint64_t leaf = first; leaf < first + count; leaf++) {
        rig_append(log, leaf, seed);
    }
    assert_int_equal(log_append_zeros(log, 20, 1, NULL), 0);
    return log;
}

static void of_several_logs_the_first_that_holds_a_leaf_wins(void **state)
{
    (void)state;
    struct log *logs[] = {log_with(SIZE_BYTES, 2, 3, 10), log_with(SIZE_BYTES, 3, 3, 11),
                          log_with(SIZE_BYTES, 4, 3, 12)};
    struct cut_disk *base = cut_disk_new(SIZE_BYTES);
    struct disk *disk = NULL;

    rig_fill(base, 1);
    assert_int_equal(log_disk_new(&base->disk, SIZE_BYTES, logs, 3, false, "point 7", &disk, NULL),
                     0);
    static const uint64_t seeds[] = {1, 1, 10, 10, 10, 11, 12, 1};
    for (uint64_t leaf = 0; leaf < ARRAY_COUNT(seeds); leaf++) {
        assert_true(leaf_reads_as(disk, leaf, seeds[leaf]));
    }
    struct span all = {.at = NULL};
    assert_int_equal(read_range(disk, DISK_READ, 0, 8 * LEAF_BYTES, &all), 0);
    for (uint64_t leaf = 0; leaf < ARRAY_COUNT(seeds); leaf++) {
        assert_true(drive_matches((struct span){all.at + leaf * LEAF_BYTES, LEAF_BYTES},
                                  leaf * LEAF_BYTES, seeds[leaf]));
    }
    free(all.at);
    assert_true(reads_as_zeros(disk, 20 * LEAF_BYTES, LEAF_BYTES));
    assert_int_equal(drive_zero(disk, 0, LEAF_BYTES), EROFS);
    assert_int_equal(drive_flush(disk), 0);
    disk_close(disk);
}

static void without_a_base_only_what_the_logs_hold_is_read(void **state)
{
    (void)state;
    struct log *log = log_with(SIZE_BYTES, 2, 3, 10);
    struct disk *disk = rig_disk(NULL, log, SIZE_BYTES, false);
    struct span bytes = {.at = NULL};
    uint8_t identity[DISK_IDENTITY_BYTES] = {1};

    assert_true(leaf_reads_as(disk, 2, 10));
    assert_true(reads_as_zeros(disk, 20 * LEAF_BYTES, LEAF_BYTES));
    assert_int_equal(read_range(disk, DISK_READ, 4 * LEAF_BYTES, 2 * LEAF_BYTES, &bytes), ENODATA);
    free(bytes.at);
    assert_int_equal(drive_zero_bytes(disk, 0, SIZE_BYTES), 0);
    assert_int_equal(disk_identity(disk, false, identity, NULL), 0);
    assert_true(span_is_zero((struct const_span){identity, sizeof identity}));
    disk_close(disk);
}

static void behind_a_smaller_base_there_are_zeros(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 4096, 5000, LEAF_BYTES, LEAF_BYTES + 4097};

    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct cut_disk *base = cut_disk_new(sizes[i]);
        struct cut_disk *medium = cut_disk_new(RIG_MEDIUM_BYTES);
        struct span all = {.at = NULL};
        rig_fill(base, 1);
        struct disk *disk = rig_disk(
            &base->disk, rig_create(&medium->disk, LOG_JOURNAL, SIZE_BYTES), SIZE_BYTES, true);
        assert_int_equal(write_leaf(disk, 5, 2), 0);
        assert_int_equal(read_range(disk, DISK_READ, 0, 5 * LEAF_BYTES, &all), 0);
        assert_true(drive_matches((struct span){all.at, sizes[i]}, 0, 1));
        assert_true(
            span_is_zero((struct const_span){all.at + sizes[i], 5 * LEAF_BYTES - sizes[i]}));
        free(all.at);
        uint64_t zero_bytes = drive_zero_bytes(disk, 0, SIZE_BYTES);
        assert_true(zero_bytes >= SIZE_BYTES - LEAF_BYTES - log_stored_bytes(sizes[i]));
        assert_true(zero_bytes <= SIZE_BYTES - LEAF_BYTES - sizes[i]);
        disk_close(disk);
    }
}

static void of_a_larger_base_the_rest_is_not_seen(void **state)
{
    (void)state;
    struct cut_disk *base = cut_disk_new(SIZE_BYTES + MIB);
    struct cut_disk *medium = cut_disk_new(RIG_MEDIUM_BYTES);

    rig_fill(base, 1);
    struct disk *disk =
        rig_disk(&base->disk, rig_create(&medium->disk, LOG_JOURNAL, SIZE_BYTES), SIZE_BYTES, true);
    assert_true(leaf_reads_as(disk, LEAVES - 1, 1));
    assert_true(reads_as(disk, (LEAVES - 3) * LEAF_BYTES, 2 * LEAF_BYTES + TAIL_BYTES, 1));
    assert_int_equal(drive_zero_bytes(disk, 0, SIZE_BYTES), 0);
    disk_close(disk);
}

/* --- extents --------------------------------------------------------------------------------- */

static void staged_data_is_never_called_zero(void **state)
{
    (void)state;
    const uint64_t size_bytes = 8192 * LEAF_BYTES;
    struct cut_disk *base = cut_disk_new(size_bytes);
    struct cut_disk *medium = cut_disk_new(RIG_MEDIUM_BYTES);
    struct disk *disk =
        rig_disk(&base->disk, rig_create(&medium->disk, LOG_JOURNAL, size_bytes), size_bytes, true);
    uint64_t staged_bytes = 0;

    assert_int_equal(drive_zero_bytes(disk, 0, size_bytes), size_bytes);
    for (uint64_t leaf = 1; leaf < 8192; leaf = leaf * 3 / 2 + 3) {
        assert_int_equal(write_leaf(disk, leaf, 2), 0);
        staged_bytes += LEAF_BYTES;
        assert_int_equal(drive_zero_bytes(disk, leaf * LEAF_BYTES, LEAF_BYTES), 0);
        assert_int_equal(drive_zero_bytes(disk, leaf * LEAF_BYTES + PAGE_BYTES, PAGE_BYTES), 0);
    }
    assert_int_equal(drive_zero_bytes(disk, 0, size_bytes), size_bytes - staged_bytes);
    assert_int_equal(drive_zero(disk, 0, size_bytes), 0);
    assert_int_equal(drive_zero_bytes(disk, 0, size_bytes), size_bytes);
    disk_close(disk);
}

static void many_small_extents_are_told_in_several_answers(void **state)
{
    (void)state;
    const uint64_t size_bytes = 1500 * LEAF_BYTES;
    struct cut_disk *base = cut_disk_new(size_bytes);
    struct cut_disk *medium = cut_disk_new(64 * MIB);
    struct disk *disk =
        rig_disk(&base->disk, rig_create(&medium->disk, LOG_JOURNAL, size_bytes), size_bytes, true);

    for (uint64_t leaf = 0; leaf < 1500; leaf += 2) {
        assert_int_equal(write_leaf(disk, leaf, 2), 0);
    }
    assert_int_equal(drive_zero_bytes(disk, 0, size_bytes), size_bytes / 2);
    disk_close(disk);
}

/* --- refusals -------------------------------------------------------------------------------- */

static void what_is_no_whole_leaf_is_not_written(void **state)
{
    (void)state;
    struct rig rig;
    struct span bytes = drive_buffer(2 * MIB);

    init(&rig, SIZE_BYTES);
    assert_int_equal(drive_data(rig.disk, DISK_WRITE, 0, (struct span){bytes.at, 4096}), EINVAL);
    assert_int_equal(drive_data(rig.disk, DISK_WRITE, 4096, (struct span){bytes.at, LEAF_BYTES}),
                     EINVAL);
    assert_int_equal(drive_zero(rig.disk, LEAF_BYTES, LEAF_BYTES + 4096), EINVAL);
    assert_int_equal(drive_zero(rig.disk, 4096, LEAF_BYTES - 4096), EINVAL);
    assert_int_equal(drive_data(rig.disk, DISK_WRITE, 0, bytes), EINVAL);
    assert_int_equal(drive_data(rig.disk, DISK_READ, 0, (struct span){bytes.at + 512, LEAF_BYTES}),
                     EINVAL);
    assert_int_equal(drive_data(rig.disk, DISK_READ, 512, (struct span){bytes.at, LEAF_BYTES}),
                     EINVAL);
    assert_int_equal(drive_data(rig.disk, DISK_READ, SIZE_BYTES / LEAF_BYTES * LEAF_BYTES,
                                (struct span){bytes.at, TAIL_BYTES + 1}),
                     EINVAL);
    assert_int_equal(drive_data(rig.disk, DISK_READ, 0, (struct span){bytes.at, 0}), EINVAL);
    assert_int_equal(drive(rig.disk, &(struct disk_request){.op = DISK_INVALID}), EINVAL);
    assert_true(log_group_is_empty(rig.log));
    assert_int_equal(write_leaf(rig.disk, 0, 2), 0); /* none of it has hurt it */
    free(bytes.at);
    done(&rig);
}

static void identity_follows_the_base_and_the_logs(void **state)
{
    (void)state;
    uint8_t first[DISK_IDENTITY_BYTES];
    uint8_t second[DISK_IDENTITY_BYTES];
    struct rig rig;

    init(&rig, SIZE_BYTES);
    assert_int_equal(disk_identity(rig.disk, true, first, NULL), 0);
    assert_true(span_is_zero((struct const_span){first, sizeof first}));
    memset(rig.base->identity, 3, sizeof rig.base->identity);
    assert_int_equal(disk_identity(rig.disk, true, first, NULL), 0);
    assert_int_equal(write_leaf(rig.disk, 3, 2), 0);
    assert_int_equal(drive_flush(rig.disk), 0);
    assert_int_equal(disk_identity(rig.disk, false, second, NULL), 0);
    assert_memory_equal(first, second, sizeof first);
    rig.base->identity[0]++;
    assert_int_equal(disk_identity(rig.disk, false, second, NULL), 0);
    assert_memory_not_equal(first, second, sizeof first);
    done(&rig);
    init(&rig, SIZE_BYTES);
    memset(rig.base->identity, 3, sizeof rig.base->identity);
    assert_int_equal(disk_identity(rig.disk, false, second, NULL), 0);
    assert_memory_not_equal(first, second, sizeof first);
    assert_int_equal(disk_fingerprint(rig.disk, second, NULL), 0);
    assert_true(span_is_zero((struct const_span){second, sizeof second}));
    done(&rig);
}

/* --- failures -------------------------------------------------------------------------------- */

static void changed_bytes_in_a_log_are_an_error_and_never_data(void **state)
{
    (void)state;
    struct log_place place;
    struct span bytes = {.at = NULL};
    struct rig rig;

    init(&rig, SIZE_BYTES);
    assert_int_equal(write_leaf(rig.disk, 3, 2), 0);
    assert_int_equal(write_leaf(rig.disk, LEAVES - 1, 2), 0);
    assert_int_equal(log_find(rig.log, 3, &place, NULL), 0);
    rig.medium->bytes[place.offset_bytes + LEAF_BYTES - 1] ^= 0x10;
    assert_int_equal(read_range(rig.disk, DISK_READ, 2 * LEAF_BYTES, 3 * LEAF_BYTES, &bytes), EIO);
    assert_int_equal(
        drive_data(rig.disk, DISK_READ_MEDIUM, 3 * LEAF_BYTES, (struct span){bytes.at, PAGE_BYTES}),
        EIO);
    assert_int_equal(log_find(rig.log, LEAVES - 1, &place, NULL), 0);
    rig.medium->bytes[place.offset_bytes] ^= 1;
    assert_int_equal(drive_data(rig.disk, DISK_READ, (LEAVES - 1) * LEAF_BYTES,
                                (struct span){bytes.at, TAIL_BYTES}),
                     EIO);
    free(bytes.at);
    assert_true(leaf_reads_as(rig.disk, 4, 1));
    done(&rig);
}

static void an_error_of_the_base_is_passed_on_and_forgotten(void **state)
{
    (void)state;
    struct span bytes = {.at = NULL};
    struct rig rig;

    init(&rig, SIZE_BYTES);
    cut_disk_fail(rig.base, DISK_READ, 1, EREMOTEIO);
    assert_int_equal(read_range(rig.disk, DISK_READ, 0, LEAF_BYTES, &bytes), EREMOTEIO);
    free(bytes.at);
    assert_int_equal(rig.base->fired, 1);
    assert_true(leaf_reads_as(rig.disk, 0, 1));
    struct extent extents[EXTENTS_MAX];
    cut_disk_fail(rig.base, DISK_EXTENTS, 1, EIO);
    struct disk_request ask = {.op = DISK_EXTENTS, .len_bytes = SIZE_BYTES, .extents = extents};
    assert_int_equal(drive(rig.disk, &ask), EIO);
    assert_int_equal(drive(rig.disk, &ask), 0);
    done(&rig);
}

/* Writes with a flush after each second one; the index of the first step that fails, and its errno.
 */
static uint64_t work_until_failure(struct disk *disk, int *errnum)
{
    *errnum = 0;
    for (uint64_t step = 0; step < 9; step++) {
        *errnum = step % 3 == 2 ? drive_flush(disk) : write_leaf(disk, step, 2);
        if (*errnum != 0) {
            return step;
        }
    }
    return UINT64_MAX;
}

static void expect_failed_for_good(struct rig *rig, int errnum)
{
    struct span bytes = {.at = NULL};

    assert_int_equal(write_leaf(rig->disk, 1, 3), errnum);
    assert_int_equal(drive_zero(rig->disk, 0, LEAF_BYTES), errnum);
    assert_int_equal(drive_flush(rig->disk), errnum);
    assert_int_equal(read_range(rig->disk, DISK_READ, 0, LEAF_BYTES, &bytes), errnum);
    free(bytes.at);
}

/* Returns whether the fault fired. */
static bool expect_fault_is_told(enum disk_op op, uint64_t number, int errnum)
{
    struct rig rig;
    int seen = 0;

    init(&rig, SIZE_BYTES);
    cut_disk_fail(rig.medium, op, number, errnum);
    uint64_t step = work_until_failure(rig.disk, &seen);
    bool has_fired = rig.medium->fired == 1;
    assert_true(has_fired == (seen != 0));
    if (has_fired) {
        assert_int_equal(seen, errnum);
        expect_failed_for_good(&rig, errnum);
        reopen(&rig, log_groups_synced(rig.log));
    }
    for (uint64_t before = 0; before + 1 < (has_fired ? step - step % 3 : 9); before++) {
        assert_true(before % 3 == 2 || leaf_reads_as(rig.disk, before, 2));
    }
    done(&rig);
    return has_fired;
}

static void each_failing_write_and_flush_ends_it_and_what_was_flushed_stays(void **state)
{
    (void)state;
    static const int errnums[] = {EIO, ENOSPC};

    for (size_t i = 0; i < ARRAY_COUNT(errnums); i++) {
        uint64_t number = 1;
        while (expect_fault_is_told(DISK_WRITE, number, errnums[i])) {
            number++;
        }
        assert_int_equal(number, 10); /* six leaves and three indexes */
        number = 1;
        while (expect_fault_is_told(DISK_FLUSH, number, errnums[i])) {
            number++;
        }
        assert_int_equal(number, 4);
    }
}

static void a_full_medium_is_told_as_such(void **state)
{
    (void)state;
    struct cut_disk *base = cut_disk_new(SIZE_BYTES);
    struct cut_disk *medium = cut_disk_new(LOG_HEAD_BYTES + 2 * (LOG_INDEX_BYTES + LEAF_BYTES));

    rig_fill(base, 1);
    struct log *log = rig_create(&medium->disk, LOG_JOURNAL, SIZE_BYTES);
    struct rig rig = {base, medium, log, rig_disk(&base->disk, log, SIZE_BYTES, true)};
    assert_int_equal(write_leaf(rig.disk, 1, 2), 0);
    assert_int_equal(drive_flush(rig.disk), 0);
    assert_int_equal(write_leaf(rig.disk, 2, 2), 0);
    assert_int_equal(drive_flush(rig.disk), 0);
    assert_int_equal(write_leaf(rig.disk, 3, 2), ENOSPC);
    expect_failed_for_good(&rig, ENOSPC);
    reopen(&rig, 2);
    assert_true(leaf_reads_as(rig.disk, 2, 2));
    assert_true(leaf_reads_as(rig.disk, 3, 1));
    assert_int_equal(drive_zero(rig.disk, 0, LEAF_BYTES), ENOSPC);
    done(&rig);
}

static void it_can_be_closed_with_requests_on_their_way(void **state)
{
    (void)state;
    struct disk_request requests[20];
    struct span bytes[20];
    struct rig rig;

    init(&rig, SIZE_BYTES);
    cut_disk_shuffle(rig.base, 5);
    cut_disk_shuffle(rig.medium, 6);
    for (uint32_t i = 0; i < 20; i++) {
        bytes[i] = drive_buffer(LEAF_BYTES);
        requests[i] = (struct disk_request){.op = i % 4 == 3   ? DISK_FLUSH
                                                  : i % 2 == 0 ? DISK_WRITE
                                                               : DISK_READ,
                                            .offset_bytes = i * LEAF_BYTES,
                                            .data = bytes[i]};
        disk_submit(rig.disk, &requests[i]);
    }
    assert_non_null(drive_reap(rig.disk));
    done(&rig);
    for (uint32_t i = 0; i < 20; i++) {
        free(bytes[i].at);
    }
}

/* --- against a model ------------------------------------------------------------------------- */

#define MODEL_LEAVES 40U
#define MODEL_BYTES ((MODEL_LEAVES - 1) * LEAF_BYTES + 777)
#define FLIGHTS 12U

struct flight {
    struct disk_request request;
    bool is_used;
    struct span buffer; /* owned */
    struct extent extents[EXTENTS_MAX];
};

/* What the disk must be, and what is on its way to it. */
struct model {
    struct rig rig;
    struct chance chance;
    uint8_t *bytes; /* owned */
    uint8_t readers[MODEL_LEAVES];
    bool is_written[MODEL_LEAVES]; /* by a request in flight */
    struct flight flights[FLIGHTS];
    uint32_t flying;
};

static void model_claim(struct model *m, const struct disk_request *request, int change)
{
    bool is_write = request->op == DISK_WRITE || request->op == DISK_ZERO;
    uint64_t len_bytes = request->op == DISK_ZERO || request->op == DISK_EXTENTS
                             ? request->len_bytes
                             : request->data.len_bytes;

    if (request->op == DISK_FLUSH) {
        return;
    }
    for (uint64_t leaf = request->offset_bytes / LEAF_BYTES;
         leaf * LEAF_BYTES < request->offset_bytes + len_bytes; leaf++) {
        m->is_written[leaf] = is_write ? change > 0 : m->is_written[leaf];
        m->readers[leaf] = (uint8_t)(m->readers[leaf] + (is_write ? 0 : change));
    }
}

/* How many leaves from here on, at most count, a new request may touch. */
static uint32_t model_free(const struct model *m, uint64_t leaf, uint32_t count, bool is_write)
{
    uint32_t free_count = 0;

    while (free_count < count && leaf + free_count < MODEL_LEAVES &&
           !m->is_written[leaf + free_count] && (!is_write || m->readers[leaf + free_count] == 0)) {
        free_count++;
    }
    return free_count;
}

/* Make up the next request; false: that part of the disk is busy. */
static bool model_draw(struct model *m, struct flight *flight)
{
    static const enum disk_op ops[] = {DISK_READ,  DISK_READ, DISK_READ_MEDIUM, DISK_WRITE,
                                       DISK_WRITE, DISK_ZERO, DISK_EXTENTS,     DISK_FLUSH};
    enum disk_op op = ops[chance_below(&m->chance, ARRAY_COUNT(ops))];
    bool is_write = op == DISK_WRITE || op == DISK_ZERO;
    uint64_t leaf = chance_below(&m->chance, MODEL_LEAVES);
    uint32_t want = (uint32_t)chance_spread(&m->chance, 1, 16);
    uint32_t count = model_free(m, leaf, want, is_write);

    flight->request = (struct disk_request){.op = op};
    if (op == DISK_FLUSH) {
        return true;
    }
    if (count == 0) {
        return false;
    }
    uint64_t from = leaf * LEAF_BYTES;
    uint64_t end =
        (leaf + count) * LEAF_BYTES < MODEL_BYTES ? (leaf + count) * LEAF_BYTES : MODEL_BYTES;
    if (!is_write && chance_one_in(&m->chance, 3)) {
        from += chance_below(&m->chance, (end - from + PAGE_BYTES - 1) / PAGE_BYTES) * PAGE_BYTES;
    }
    flight->request.offset_bytes = from;
    flight->request.len_bytes = end - from;
    flight->request.extents = flight->extents;
    flight->request.data = (struct span){flight->buffer.at, end - from};
    return true;
}

static void model_submit(struct model *m)
{
    struct flight *flight = m->flights;

    while (flight->is_used) {
        flight++;
    }
    if (!model_draw(m, flight)) {
        return;
    }
    struct disk_request *request = &flight->request;
    if (request->op == DISK_WRITE) {
        drive_fill(request->data, 0, chance_next(&m->chance));
        memcpy(m->bytes + request->offset_bytes, request->data.at, request->data.len_bytes);
    } else if (request->op == DISK_ZERO) {
        memset(m->bytes + request->offset_bytes, 0, request->len_bytes);
    }
    model_claim(m, request, 1);
    flight->is_used = true;
    m->flying++;
    disk_submit(m->rig.disk, request);
}

static void model_check_extents(const struct model *m, const struct disk_request *request)
{
    uint64_t at = request->offset_bytes;

    assert_in_range(request->extent_count, 1, EXTENTS_MAX);
    for (uint32_t i = 0; i < request->extent_count; i++) {
        const struct extent *extent = &request->extents[i];
        assert_int_equal(extent->offset_bytes, at);
        at += extent->len_bytes;
        if (extent->zero) {
            assert_true(span_is_zero(
                (struct const_span){m->bytes + extent->offset_bytes, extent->len_bytes}));
        }
    }
    assert_true(at <= request->offset_bytes + request->len_bytes);
    assert_true(at % PAGE_BYTES == 0 || at == MODEL_BYTES);
}

static void model_reap(struct model *m)
{
    struct disk_request *request = drive_reap(m->rig.disk);
    struct flight *flight = (struct flight *)request;

    assert_true(flight->is_used);
    assert_int_equal(request->errnum, 0);
    if (request->op == DISK_READ || request->op == DISK_READ_MEDIUM) {
        assert_memory_equal(request->data.at, m->bytes + request->offset_bytes,
                            request->data.len_bytes);
    } else if (request->op == DISK_EXTENTS) {
        model_check_extents(m, request);
    }
    model_claim(m, request, -1);
    flight->is_used = false;
    m->flying--;
}

static void model_settle(struct model *m)
{
    while (m->flying > 0) {
        model_reap(m);
    }
}

static void model_shuffle(struct model *m)
{
    cut_disk_shuffle(m->rig.base, chance_next(&m->chance));
    cut_disk_shuffle(m->rig.medium, chance_next(&m->chance));
}

static void model_init(struct model *m, uint64_t seed)
{
    *m = (struct model){.chance = chance_of(seed, 0), .bytes = calloc(1, MODEL_BYTES)};
    assert_non_null(m->bytes);
    m->rig.base = cut_disk_new(MODEL_BYTES);
    if (seed % 2 == 0) {
        rig_fill(m->rig.base, seed);
        memcpy(m->bytes, m->rig.base->bytes, MODEL_BYTES);
    }
    m->rig.medium = cut_disk_new(256 * MIB);
    m->rig.log = rig_create(&m->rig.medium->disk, LOG_JOURNAL, MODEL_BYTES);
    m->rig.disk = rig_disk(&m->rig.base->disk, m->rig.log, MODEL_BYTES, true);
    model_shuffle(m);
    for (uint32_t i = 0; i < FLIGHTS; i++) {
        m->flights[i].buffer = drive_buffer(MIB);
    }
}

static void model_done(struct model *m)
{
    for (uint32_t i = 0; i < FLIGHTS; i++) {
        free(m->flights[i].buffer.at);
    }
    free(m->bytes);
    done(&m->rig);
}

static void it_is_what_a_plain_array_would_be(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct model *m = malloc(sizeof *m);
        assert_non_null(m);
        print_message("seed %d\n", (int)seed);
        model_init(m, seed);
        for (uint32_t step = 0; step < 400; step++) {
            if (m->flying < FLIGHTS && !chance_one_in(&m->chance, 3)) {
                model_submit(m);
            } else if (m->flying > 0) {
                model_reap(m);
            }
            if (chance_one_in(&m->chance, 100)) {
                model_settle(m);
                assert_int_equal(drive_flush(m->rig.disk), 0);
                reopen(&m->rig, log_groups_synced(m->rig.log));
                model_shuffle(m);
            }
        }
        model_settle(m);
        model_done(m);
        free(m);
    }
}

/* --- power cuts ------------------------------------------------------------------------------ */

#define CUT_LEAVES 10U
#define CUT_BYTES ((CUT_LEAVES - 1) * LEAF_BYTES + 9000)
#define VERSIONS_MAX 64U /* of one leaf; 0: the base */
#define ACKS_MAX 64U

#define BURST_MAX 6U

/* A run whose end is a power cut: what each leaf was given, and what was acknowledged when. */
struct story {
    struct cut_disk *medium;
    struct disk *disk;
    const struct log *log;
    struct chance *chance;
    uint32_t version_count[CUT_LEAVES];
    uint32_t completed[CUT_LEAVES];           /* the newest version whose request came back */
    uint64_t seeds[CUT_LEAVES][VERSIONS_MAX]; /* of each version; 0: zeros */
    uint32_t ack_count;
    struct ack {
        uint64_t steps; /* of the medium, when the flush came back */
        uint64_t groups;
        uint32_t versions[CUT_LEAVES]; /* that had come back when it was asked for */
    } acks[ACKS_MAX];
};

/* What is in flight: changes of different leaves, and one flush. */
struct burst {
    struct disk_request changes[BURST_MAX];
    struct disk_request flush;
    struct ack ack;
    uint32_t flying;
};

static void story_begin(struct story *s, struct cut_disk *medium, struct disk *disk,
                        const struct log *log, struct chance *chance)
{
    *s = (struct story){.medium = medium, .disk = disk, .log = log, .chance = chance};
    for (uint32_t leaf = 0; leaf < CUT_LEAVES; leaf++) {
        s->version_count[leaf] = 1;
        s->seeds[leaf][0] = 1;
    }
}

static void burst_change(struct story *s, struct burst *burst, uint32_t index, uint64_t leaf)
{
    struct disk_request *request = &burst->changes[index];
    uint64_t seed = chance_one_in(s->chance, 4) ? 0 : chance_between(s->chance, 2, 9);
    uint64_t len_bytes = log_leaf_bytes(CUT_BYTES, leaf);

    assert_true(s->version_count[leaf] < VERSIONS_MAX);
    s->seeds[leaf][s->version_count[leaf]++] = seed;
    *request = (struct disk_request){.op = seed == 0 ? DISK_ZERO : DISK_WRITE,
                                     .offset_bytes = leaf * LEAF_BYTES,
                                     .len_bytes = len_bytes,
                                     .data = drive_buffer(len_bytes)};
    drive_fill(request->data, request->offset_bytes, seed);
    burst->flying++;
    disk_submit(s->disk, request);
}

static void burst_flush(struct story *s, struct burst *burst)
{
    memcpy(burst->ack.versions, s->completed, sizeof s->completed);
    burst->flush = (struct disk_request){.op = DISK_FLUSH};
    burst->flying++;
    disk_submit(s->disk, &burst->flush);
}

static void burst_reap(struct story *s, struct burst *burst)
{
    struct disk_request *request = drive_reap(s->disk);

    assert_int_equal(request->errnum, 0);
    burst->flying--;
    if (request == &burst->flush) {
        assert_true(s->ack_count < ACKS_MAX);
        burst->ack.steps = cut_disk_steps(s->medium);
        burst->ack.groups = log_groups_synced(s->log);
        s->acks[s->ack_count++] = burst->ack;
        return;
    }
    uint64_t leaf = request->offset_bytes / LEAF_BYTES;
    s->completed[leaf] = s->version_count[leaf] - 1;
    free(request->data.at);
}

/* Some changes at once, and perhaps a flush in their midst or behind them. */
static void story_burst(struct story *s)
{
    struct burst burst = {.flying = 0};
    uint64_t first = chance_below(s->chance, CUT_LEAVES);
    uint32_t count = (uint32_t)chance_between(s->chance, 1, BURST_MAX);
    uint64_t flush_at = chance_below(s->chance, 2 * BURST_MAX);

    for (uint32_t i = 0; i < count; i++) {
        if (flush_at == i) {
            burst_flush(s, &burst);
        }
        burst_change(s, &burst, i, (first + 3 * i) % CUT_LEAVES);
        if (chance_one_in(s->chance, 3)) {
            burst_reap(s, &burst);
        }
    }
    while (burst.flying > 0) {
        burst_reap(s, &burst);
    }
    if (flush_at >= count && chance_one_in(s->chance, 3)) {
        burst_flush(s, &burst);
        burst_reap(s, &burst);
    }
}

static void story_run(struct story *s, uint32_t bursts)
{
    for (uint32_t i = 0; i < bursts; i++) {
        story_burst(s);
    }
}

/* Which version of a leaf, at least `least`, these bytes are; -1: of none. */
static int story_version(const struct story *s, uint32_t leaf, uint32_t least, struct span bytes)
{
    for (uint32_t version = s->version_count[leaf]; version-- > least;) {
        uint64_t seed = s->seeds[leaf][version];
        if (seed == 0 ? span_is_zero(span_const(bytes))
                      : drive_matches(bytes, leaf * LEAF_BYTES, seed)) {
            return (int)version;
        }
    }
    return -1;
}

static const struct ack *story_ack(const struct story *s, uint64_t steps)
{
    static const struct ack none;
    const struct ack *ack = &none;

    for (uint32_t i = 0; i < s->ack_count && s->acks[i].steps <= steps; i++) {
        ack = &s->acks[i];
    }
    return ack;
}

static struct disk *cut_over(struct cut_disk *medium, uint64_t min_groups, struct log **log)
{
    struct cut_disk *base = cut_disk_new(CUT_BYTES);

    rig_fill(base, 1);
    *log = rig_open(&medium->disk, CUT_BYTES, min_groups);
    return rig_disk(&base->disk, *log, CUT_BYTES, true);
}

/* The power was cut after so many steps: each leaf is what was acknowledged, or newer. With
 * `versions`, gives what each leaf is. */
static void story_check(const struct story *s, struct disk *disk, uint64_t steps,
                        uint32_t *versions)
{
    const struct ack *ack = story_ack(s, steps);

    for (uint32_t leaf = 0; leaf < CUT_LEAVES; leaf++) {
        struct span bytes = {.at = NULL};
        assert_int_equal(
            read_range(disk, DISK_READ, leaf * LEAF_BYTES, log_leaf_bytes(CUT_BYTES, leaf), &bytes),
            0);
        int version = story_version(s, leaf, ack->versions[leaf], bytes);
        assert_true(version >= 0);
        if (versions != NULL) {
            versions[leaf] = (uint32_t)version;
        }
        free(bytes.at);
    }
}

static struct cut_disk *fresh_medium(void)
{
    struct cut_disk *medium = cut_disk_new(RIG_MEDIUM_BYTES);
    struct log *log = rig_create(&medium->disk, LOG_JOURNAL, CUT_BYTES);
    struct cut_disk *copy = rig_copy(medium);

    log_free(log);
    return copy;
}

static enum cut_keep keep_of(uint64_t variant)
{
    return variant == 0   ? CUT_KEEP_NONE
           : variant == 1 ? CUT_KEEP_ALL
           : variant < 10 ? CUT_KEEP_SOME
                          : CUT_KEEP_TORN;
}

static void whenever_the_power_is_cut_what_was_flushed_is_there(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct chance chance = chance_of(seed, 1);
        struct cut_disk *medium = fresh_medium();
        struct story story;
        struct log *log = NULL;
        print_message("seed %d\n", (int)seed);
        struct disk *disk = cut_over(medium, 0, &log);
        cut_disk_remember(medium);
        cut_disk_shuffle(medium, seed);
        story_begin(&story, medium, disk, log, &chance);
        story_run(&story, 14);
        assert_true(story.ack_count > 2);
        for (uint64_t steps = 0; steps <= cut_disk_steps(medium); steps++) {
            for (uint64_t variant = 0; variant < 14; variant++) {
                struct log *found_log = NULL;
                struct cut_disk *found =
                    cut_disk_after(medium, steps, keep_of(variant), seed + 1000 * variant);
                uint64_t groups = variant % 2 == 0 ? story_ack(&story, steps)->groups : 0;
                struct disk *again = cut_over(found, groups, &found_log);
                story_check(&story, again, steps, NULL);
                disk_close(again);
            }
        }
        disk_close(disk);
    }
}

/* Cut, opened again, written to (the same few contents, so that the same groups come up again), and
 * cut again, many times: what was once said to be lost never comes back. */
static void what_a_cut_took_never_comes_back(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct chance chance = chance_of(seed, 2);
        struct cut_disk *medium = fresh_medium();
        print_message("seed %d\n", (int)seed);
        uint64_t seeds[CUT_LEAVES];
        for (uint32_t leaf = 0; leaf < CUT_LEAVES; leaf++) {
            seeds[leaf] = 1;
        }
        for (uint32_t life = 0; life < 6; life++) {
            struct story story;
            struct log *log = NULL;
            uint32_t versions[CUT_LEAVES];
            cut_disk_remember(medium);
            struct disk *disk = cut_over(medium, 0, &log);
            story_begin(&story, medium, disk, log, &chance);
            for (uint32_t leaf = 0; leaf < CUT_LEAVES; leaf++) {
                story.seeds[leaf][0] = seeds[leaf];
            }
            story_check(&story, disk, 0, NULL); /* as it was found when it was cut */
            cut_disk_shuffle(medium, chance_next(&chance));
            story_run(&story, 4);
            uint64_t steps = chance_below(&chance, cut_disk_steps(medium) + 1);
            struct cut_disk *found = cut_disk_after(
                medium, steps, keep_of(chance_below(&chance, 14)), chance_next(&chance));
            disk_close(disk);
            struct cut_disk *look = rig_copy(found);
            disk = cut_over(look, 0, &log);
            story_check(&story, disk, steps, versions);
            for (uint32_t leaf = 0; leaf < CUT_LEAVES; leaf++) {
                seeds[leaf] = story.seeds[leaf][versions[leaf]];
            }
            disk_close(disk);
            medium = found;
        }
        disk_close(&medium->disk);
    }
}

/* --- on real disks --------------------------------------------------------------------------- */

static struct disk *open_file(const char *folder, const char *name, uint64_t size_bytes)
{
    char path[DRIVE_PATH_MAX];
    struct error err = {.kind = ERR_NONE};
    struct disk *disk = NULL;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    struct disk_open_options options = {.path = path,
                                        .format = DISK_FORMAT_RAW,
                                        .write = true,
                                        .create = true,
                                        .size_bytes = size_bytes};
    if (disk_open_file(&options, &disk, &err) != 0) {
        fail_msg("%s", err.message);
    }
    return disk;
}

/* All leaves in flight at once: what wakes whoever polls is the one descriptor. */
static void on_files_it_works_by_polling(void **state)
{
    (void)state;
    const uint32_t leaves = 200;
    const uint64_t size_bytes = leaves * LEAF_BYTES - 100;
    struct disk_request *requests = calloc(leaves, sizeof *requests);
    char folder[DRIVE_PATH_MAX];
    struct log *log = NULL;

    assert_non_null(requests);
    drive_temporary(folder, sizeof folder);
    struct disk *medium = open_file(folder, "journal", log_medium_bytes(size_bytes));
    assert_int_equal(log_create(medium, LOG_JOURNAL, size_bytes, folder, rig_env(), &log, NULL), 0);
    struct disk *disk = rig_disk(open_file(folder, "disk", size_bytes), log, size_bytes, true);
    for (uint32_t i = 0; i < leaves; i += 2) {
        requests[i] = (struct disk_request){
            .op = DISK_WRITE, .offset_bytes = i * LEAF_BYTES, .data = drive_buffer(LEAF_BYTES)};
        drive_fill(requests[i].data, i * LEAF_BYTES, 2);
        disk_submit(disk, &requests[i]);
    }
    for (uint32_t i = 0; i < leaves / 2; i++) {
        struct disk_request *request = drive_reap(disk);
        assert_int_equal(request->errnum, 0);
        memset(request->data.at, 0, LEAF_BYTES);
    }
    assert_int_equal(drive_flush(disk), 0);
    for (uint32_t i = 0; i < leaves; i++) {
        requests[i].data =
            i % 2 == 0 ? requests[i].data : drive_buffer(log_leaf_bytes(size_bytes, i));
        requests[i].op = i % 3 == 0 ? DISK_READ_MEDIUM : DISK_READ;
        requests[i].offset_bytes = i * LEAF_BYTES;
        disk_submit(disk, &requests[i]);
    }
    for (uint32_t i = 0; i < leaves; i++) {
        struct disk_request *request = drive_reap(disk);
        assert_int_equal(request->errnum, 0);
        assert_true(request->offset_bytes / LEAF_BYTES % 2 == 0
                        ? drive_matches(request->data, request->offset_bytes, 2)
                        : span_is_zero(span_const(request->data)));
    }
    for (uint32_t i = 0; i < leaves; i++) {
        free(requests[i].data.at);
    }
    assert_int_equal(drive_zero_bytes(disk, 0, size_bytes), leaves / 2 * LEAF_BYTES - 100);
    disk_close(disk);
    free(requests);
    medium = open_file(folder, "journal", log_medium_bytes(size_bytes));
    assert_int_equal(log_open(medium, LOG_JOURNAL, size_bytes, 1, folder, rig_env(), &log, NULL),
                     0);
    assert_true(rig_has(log, 198, 2));
    log_free(log);
    drive_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_and_the_base_stays_as_it_was),
        cmocka_unit_test(parts_of_a_leaf_are_read_and_checked),
        cmocka_unit_test(what_was_flushed_is_there_when_it_is_opened_again),
        cmocka_unit_test(disks_of_every_size_are_kept),
        cmocka_unit_test(a_disk_of_no_bytes_can_be_flushed),
        cmocka_unit_test(more_than_a_group_is_written_without_a_flush),
        cmocka_unit_test(of_several_logs_the_first_that_holds_a_leaf_wins),
        cmocka_unit_test(without_a_base_only_what_the_logs_hold_is_read),
        cmocka_unit_test(behind_a_smaller_base_there_are_zeros),
        cmocka_unit_test(of_a_larger_base_the_rest_is_not_seen),
        cmocka_unit_test(staged_data_is_never_called_zero),
        cmocka_unit_test(many_small_extents_are_told_in_several_answers),
        cmocka_unit_test(what_is_no_whole_leaf_is_not_written),
        cmocka_unit_test(identity_follows_the_base_and_the_logs),
        cmocka_unit_test(changed_bytes_in_a_log_are_an_error_and_never_data),
        cmocka_unit_test(an_error_of_the_base_is_passed_on_and_forgotten),
        cmocka_unit_test(each_failing_write_and_flush_ends_it_and_what_was_flushed_stays),
        cmocka_unit_test(a_full_medium_is_told_as_such),
        cmocka_unit_test(it_can_be_closed_with_requests_on_their_way),
        cmocka_unit_test(it_is_what_a_plain_array_would_be),
        cmocka_unit_test(whenever_the_power_is_cut_what_was_flushed_is_there),
        cmocka_unit_test(what_a_cut_took_never_comes_back),
        cmocka_unit_test(on_files_it_works_by_polling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
