/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Logs on disks in memory: what was appended is found when they are opened again, what was torn is
 * cut off, what was damaged is told, and nothing else is taken for a part of them.
 */
#include "points/log.h"

#include "log_rig.h"

#define LEAVES 20U
#define TAIL_BYTES 777U
#define SIZE_BYTES ((LEAVES - 1) * LEAF_BYTES + TAIL_BYTES)

/* Opens a copy of a medium; the log must be refused, with this kind and this word. */
static void expect_refused(const struct cut_disk *medium, enum log_kind kind, uint64_t size_bytes,
                           uint64_t min_groups, const char *word)
{
    struct cut_disk *copy = rig_copy(medium);
    struct error err = {.kind = ERR_NONE};
    struct log *log = NULL;

    assert_int_equal(
        log_open(&copy->disk, kind, size_bytes, min_groups, NULL, rig_env(), &log, &err), -1);
    assert_null(log);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    if (strstr(err.message, word) == NULL || strstr(err.message, "new resynchronization") == NULL) {
        fail_msg("%s", err.message);
    }
    disk_close(&copy->disk); /* it was not taken */
}

static struct log *open_copy(const struct cut_disk *medium, uint64_t min_groups)
{
    return rig_open(&rig_copy(medium)->disk, SIZE_BYTES, min_groups);
}

static struct cut_disk *medium_of(struct log *log)
{
    return (struct cut_disk *)log_medium(log);
}

/* Groups of leaves {0, 1}, {2, 3}, ..., each leaf with its group's number as seed, of which the
 * first ones are flushed. */
static struct log *log_of(uint32_t groups, uint32_t synced)
{
    struct log *log = rig_create(&cut_disk_new(RIG_MEDIUM_BYTES)->disk, LOG_JOURNAL, SIZE_BYTES);

    for (uint32_t group = 1; group <= groups; group++) {
        rig_append(log, 2 * (group - 1), group);
        rig_append(log, 2 * (group - 1) + 1, group);
        rig_end_group(log, group <= synced);
    }
    return log;
}

/* Where the index of a group (from 1) of log_of() is. */
static uint64_t index_of(uint32_t group)
{
    return LOG_HEAD_BYTES + (group - 1) * (LOG_INDEX_BYTES + 2 * LEAF_BYTES);
}

/* --- what it is for -------------------------------------------------------------------------- */

static void a_new_log_is_empty_and_opens_so(void **state)
{
    (void)state;
    struct log *log = log_of(0, 0);
    struct log *again = open_copy(medium_of(log), 0);
    uint64_t leaf = 0;

    assert_memory_equal(log_id(log), log_id(again), LOG_ID_BYTES);
    assert_int_equal(log_disk_bytes(again), SIZE_BYTES);
    assert_int_equal(log_used_bytes(again), LOG_HEAD_BYTES);
    assert_int_equal(log_cut_bytes(again), 0);
    assert_int_equal(log_groups(again), 0);
    assert_int_equal(log_next(again, 0, &leaf, NULL), 0);
    assert_int_equal(leaf, UINT64_MAX);
    log_free(again);
    log_free(log);
}

static void two_logs_share_neither_id_nor_key(void **state)
{
    (void)state;
    struct log *one = log_of(1, 1);
    struct log *other = log_of(1, 1);

    assert_memory_not_equal(log_id(one), log_id(other), LOG_ID_BYTES);
    /* The same leaf, the same bytes, another check. */
    memcpy(medium_of(other)->bytes + index_of(1), medium_of(one)->bytes + index_of(1),
           LOG_INDEX_BYTES);
    expect_refused(medium_of(other), LOG_JOURNAL, SIZE_BYTES, 1, "damaged");
    log_free(one);
    log_free(other);
}

static void what_was_appended_is_found_again(void **state)
{
    (void)state;
    struct log *log = log_of(3, 3);
    struct log_place place;
    uint64_t leaf = 0;

    rig_append(log, LEAVES - 1, 9);
    assert_int_equal(log_append_zeros(log, 10, 4, NULL), 0);
    rig_append(log, 11, 8);
    rig_append(log, 11, 9);
    assert_true(rig_has(log, 11, 9)); /* before its group has ended, too */
    rig_end_group(log, true);
    struct log *again = open_copy(medium_of(log), 4);
    assert_int_equal(log_groups(again), 4);
    assert_int_equal(log_groups_synced(again), 4);
    assert_int_equal(log_used_bytes(again), log_used_bytes(log));
    assert_true(rig_has(again, 0, 1) && rig_has(again, 5, 3) && rig_has(again, 11, 9));
    assert_true(rig_has(again, LEAVES - 1, 9));
    assert_int_equal(log_find(again, 10, &place, NULL), 0);
    assert_int_equal(place.where, LOG_ZEROS);
    assert_int_equal(log_find(again, 6, &place, NULL), 0);
    assert_int_equal(place.where, LOG_NOWHERE);
    static const uint64_t held[] = {0, 1, 2, 3, 4, 5, 10, 11, 12, 13, LEAVES - 1, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(held); i++) {
        assert_int_equal(log_next(again, leaf, &leaf, NULL), 0);
        assert_int_equal(leaf, held[i]);
        leaf++;
    }
    log_free(again);
    log_free(log);
}

static void a_check_is_of_one_leaf_and_its_length(void **state)
{
    (void)state;
    struct log *log = log_of(0, 0);
    struct span bytes = drive_buffer(LEAF_BYTES);

    rig_append(log, 3, 1);
    rig_append(log, 4, 1);
    drive_fill(bytes, 3 * LEAF_BYTES, 1);
    assert_true(log_check(log, 3, span_const(bytes)));
    assert_false(log_check(log, 4, span_const(bytes)));
    assert_false(log_check(log, 5, span_const(bytes)));
    assert_false(log_check(log, 3, (struct const_span){bytes.at, LEAF_BYTES - 1}));
    bytes.at[100]++;
    assert_false(log_check(log, 3, span_const(bytes)));
    free(bytes.at);
    log_free(log);
}

static void a_disk_of_16_tib_costs_what_is_in_its_log(void **state)
{
    (void)state;
    const uint64_t size_bytes = 16 * TIB;
    const uint64_t last = size_bytes / LEAF_BYTES - 1;
    struct log *log = rig_create(&cut_disk_new(RIG_MEDIUM_BYTES)->disk, LOG_JOURNAL, size_bytes);
    uint64_t leaf = 0;

    rig_append(log, last, 1);
    rig_append(log, last / 3, 2);
    rig_end_group(log, true);
    struct log *again = rig_open(&rig_copy(medium_of(log))->disk, size_bytes, 1);
    assert_int_equal(log_next(again, 0, &leaf, NULL), 0);
    assert_int_equal(leaf, last / 3);
    assert_int_equal(log_next(again, leaf + 1, &leaf, NULL), 0);
    assert_int_equal(leaf, last);
    assert_true(rig_has(again, last, 1));
    log_free(again);
    log_free(log);
}

static void a_medium_has_room_for_each_leaf_several_times(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, LEAF_BYTES, GIB, 5 * GIB + 1, TIB};

    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        uint64_t medium_bytes = log_medium_bytes(sizes[i]);
        assert_true(medium_bytes % PAGE_BYTES == 0);
        assert_true(medium_bytes >= 2 * (sizes[i] + sizes[i] / 8) + 64 * MIB);
    }
    assert_int_equal(log_medium_bytes(16 * TIB), LOG_MEDIUM_MAX);
    assert_int_equal(log_medium_bytes(DISK_SIZE_MAX), LOG_MEDIUM_MAX);
    assert_int_equal(log_medium_bytes(UINT64_MAX), LOG_MEDIUM_MAX);
}

static void a_full_group_and_a_full_medium_say_so(void **state)
{
    (void)state;
    struct cut_disk *medium = cut_disk_new(LOG_HEAD_BYTES + LOG_INDEX_BYTES + LEAF_BYTES + 100);
    struct log *log = rig_create(&medium->disk, LOG_JOURNAL, SIZE_BYTES);
    struct error err = {.kind = ERR_NONE};
    struct span bytes = drive_buffer(LEAF_BYTES);
    uint64_t offset_bytes = 0;

    assert_int_equal(log_append_zeros(log, 0, 1, &err), 0);
    rig_append(log, 1, 1);
    assert_int_equal(log_append(log, 2, span_const(bytes), &offset_bytes, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(err.errnum, ENOSPC);
    while (!log_group_is_full(log)) {
        assert_int_equal(log_append_zeros(log, 0, 1, NULL), 0);
    }
    assert_int_equal(log_append_zeros(log, 0, 1, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    rig_end_group(log, true);
    assert_int_equal(log_append_zeros(log, 0, 1, &err), -1); /* no room for another index */
    assert_int_equal(err.errnum, ENOSPC);
    free(bytes.at);
    log_free(log);
}

static void a_medium_that_is_too_small_is_refused(void **state)
{
    (void)state;
    struct cut_disk *medium = cut_disk_new(LOG_HEAD_BYTES + LOG_INDEX_BYTES - 1);
    struct error err = {.kind = ERR_NONE};
    struct log *log = NULL;

    assert_int_equal(
        log_create(&medium->disk, LOG_JOURNAL, SIZE_BYTES, NULL, rig_env(), &log, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    disk_close(&medium->disk);
    medium = cut_disk_new(100);
    expect_refused(medium, LOG_JOURNAL, SIZE_BYTES, 0, "too short");
    disk_close(&medium->disk);
}

static void errors_of_the_medium_are_passed_on(void **state)
{
    (void)state;
    static const enum disk_op ops[] = {DISK_WRITE, DISK_FLUSH};
    struct error err = {.kind = ERR_NONE};
    struct log *log = NULL;

    for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
        struct cut_disk *medium = cut_disk_new(RIG_MEDIUM_BYTES);
        cut_disk_fail(medium, ops[i], 1, EIO);
        assert_int_equal(
            log_create(&medium->disk, LOG_JOURNAL, SIZE_BYTES, NULL, rig_env(), &log, &err), -1);
        assert_int_equal(err.kind, ERR_IO);
        assert_int_equal(medium->fired, 1);
        disk_close(&medium->disk);
    }
    struct log *whole = log_of(3, 0);
    for (uint64_t number = 1;; number++) {
        struct cut_disk *copy = rig_copy(medium_of(whole));
        cut_disk_fail(copy, DISK_READ_MEDIUM, number, EIO);
        int result = log_open(&copy->disk, LOG_JOURNAL, SIZE_BYTES, 0, NULL, rig_env(), &log, &err);
        if (result == 0) {
            assert_int_equal(copy->fired, 0);
            assert_true(number > 10);
            log_free(log);
            break;
        }
        assert_int_equal(copy->fired, 1);
        assert_int_equal(err.kind, ERR_IO);
        disk_close(&copy->disk);
    }
    log_free(whole);
}

/* --- heads that are refused ------------------------------------------------------------------ */

static void a_log_of_another_kind_or_disk_is_refused(void **state)
{
    (void)state;
    struct log *log = log_of(1, 1);

    expect_refused(medium_of(log), LOG_UNDO, SIZE_BYTES, 0, "undo log");
    expect_refused(medium_of(log), LOG_JOURNAL, SIZE_BYTES + 1, 0, "bytes");
    log_free(log);
}

/* Change a field of the head and put its sum right. */
static void expect_head_refused(const struct log_head *head, uint32_t version, size_t at,
                                uint8_t byte, const char *word)
{
    struct cut_disk *medium = cut_disk_new(RIG_MEDIUM_BYTES);
    struct log_head copy = *head;

    assert_int_equal(log_head_encode(&copy, medium->bytes, NULL), 0);
    medium->used_bytes = LOG_HEAD_BYTES;
    medium->bytes[8] = (uint8_t)version;
    if (at > 0) {
        medium->bytes[at] ^= byte;
    }
    expect_refused(medium, LOG_JOURNAL, SIZE_BYTES, 0, word);
    disk_close(&medium->disk);
}

static void damaged_and_foreign_heads_are_refused(void **state)
{
    (void)state;
    const struct log_head head = {.kind = LOG_JOURNAL, .disk_bytes = SIZE_BYTES};
    struct log_head odd = head;
    struct cut_disk *blank = cut_disk_new(RIG_MEDIUM_BYTES);

    expect_refused(blank, LOG_JOURNAL, SIZE_BYTES, 0, "not a log");
    disk_close(&blank->disk);
    expect_head_refused(&head, 2, 0, 0, "version 2");
    expect_head_refused(&head, 1, 20, 1, "damaged");
    expect_head_refused(&head, 1, 40, 1, "damaged"); /* the key */
    expect_head_refused(&head, 1, 2000, 1, "damaged");
    expect_head_refused(&head, 1, LOG_HEAD_BYTES - 1, 1, "damaged");
    odd.kind = (enum log_kind)3;
    expect_head_refused(&odd, 1, 0, 0, "out of its range");
    odd.kind = LOG_INVALID;
    expect_head_refused(&odd, 1, 0, 0, "out of its range");
    odd = head;
    odd.disk_bytes = DISK_SIZE_MAX + 1;
    expect_head_refused(&odd, 1, 0, 0, "out of its range");
}

/* --- indexes that are not taken -------------------------------------------------------------- */

static struct digester *test_digester(void)
{
    static const uint8_t key[DIGEST_KEY_BYTES] = {7};
    struct digester *digester = NULL;

    assert_int_equal(digester_new(key, &digester, NULL), 0);
    return digester;
}

/* Whether a group whose fields are as given, with a right check, is taken for one. */
static bool is_taken(const struct log_group *group)
{
    struct digester *digester = test_digester();
    struct log_group *out = malloc(sizeof *out);
    struct digest check;
    static uint8_t index[LOG_INDEX_BYTES];

    assert_non_null(out);
    (void)log_index_encode(group, digester, index);
    bool result = log_index_decode(index, 4096, digester, SIZE_BYTES, out, &check);
    free(out);
    digester_free(digester);
    return result;
}

static struct log_group good_group(void)
{
    return (struct log_group){
        .sequence = 2,
        .offset_bytes = 4096,
        .len_bytes = LOG_INDEX_BYTES + LEAF_BYTES + PAGE_BYTES,
        .synced = 1,
        .entry_count = 3,
        .entries = {
            {.where = LOG_DATA, .count = 1, .first_leaf = 4, .len_bytes = LEAF_BYTES},
            {.where = LOG_ZEROS, .count = 5, .first_leaf = LEAVES - 5},
            {.where = LOG_DATA, .count = 1, .first_leaf = LEAVES - 1, .len_bytes = TAIL_BYTES}}};
}

static void an_index_with_a_field_out_of_its_range_is_not_taken(void **state)
{
    (void)state;
    struct log_group group = good_group();

    assert_true(is_taken(&group));
    group.offset_bytes += 4096;
    assert_false(is_taken(&group));
    group = good_group();
    group.len_bytes += PAGE_BYTES;
    assert_false(is_taken(&group));
    group = good_group();
    group.entries[0].count = 2;
    assert_false(is_taken(&group));
    group = good_group();
    group.entries[0].len_bytes--;
    assert_false(is_taken(&group));
    group = good_group();
    group.entries[2].len_bytes = LEAF_BYTES;
    assert_false(is_taken(&group));
    group = good_group();
    group.entries[1].count = 6;
    assert_false(is_taken(&group));
    group = good_group();
    group.entries[1].count = 0;
    assert_false(is_taken(&group));
    group = good_group();
    group.entries[1].first_leaf = UINT64_MAX;
    assert_false(is_taken(&group));
    group = good_group();
    group.entries[1].len_bytes = 1;
    assert_false(is_taken(&group));
    group = good_group();
    group.entries[1].check.bytes[0] = 1;
    assert_false(is_taken(&group));
}

static void every_changed_bit_of_an_index_is_seen(void **state)
{
    (void)state;
    struct log_group group = good_group();
    struct log_group *out = malloc(sizeof *out);
    struct digester *digester = test_digester();
    struct digest check;
    static uint8_t index[LOG_INDEX_BYTES];

    assert_non_null(out);
    (void)log_index_encode(&group, digester, index);
    assert_true(log_index_decode(index, 4096, digester, SIZE_BYTES, out, &check));
    assert_false(log_index_decode(index, 8192, digester, SIZE_BYTES, out, &check));
    for (size_t bit = 0; bit < LOG_INDEX_BYTES * 8; bit += bit < 2000 ? 1 : 61) {
        index[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(log_index_decode(index, 4096, digester, SIZE_BYTES, out, &check));
        index[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    free(out);
    digester_free(digester);
}

/* --- torn ends ------------------------------------------------------------------------------- */

static void a_torn_last_group_is_cut_off(void **state)
{
    (void)state;
    struct log *log = log_of(3, 0);

    medium_of(log)->bytes[index_of(3) + LOG_INDEX_BYTES + LEAF_BYTES + 5]++;
    struct log *again = open_copy(medium_of(log), 2);
    assert_int_equal(log_groups(again), 2);
    assert_int_equal(log_used_bytes(again), index_of(3));
    assert_int_equal(log_cut_bytes(again), index_of(4) - index_of(3));
    assert_true(rig_has(again, 3, 2));
    assert_false(rig_has(again, 4, 3));
    log_free(again);
    memset(medium_of(log)->bytes + index_of(3) + 512, 0, LOG_INDEX_BYTES - 512);
    again = open_copy(medium_of(log), 0);
    assert_int_equal(log_groups(again), 2);
    assert_int_equal(log_cut_bytes(again), LOG_INDEX_BYTES);
    log_free(again);
    log_free(log);
}

static void behind_the_first_torn_group_nothing_is_taken(void **state)
{
    (void)state;
    struct log *log = log_of(5, 0);

    medium_of(log)->bytes[index_of(2) + LOG_INDEX_BYTES + 5]++;
    struct log *again = open_copy(medium_of(log), 0);
    assert_int_equal(log_groups(again), 1);
    assert_int_equal(log_cut_bytes(again), index_of(6) - index_of(2));
    for (uint64_t leaf = 2; leaf < 10; leaf++) {
        assert_false(rig_has(again, leaf, leaf / 2 + 1));
    }
    log_free(again);
    log_free(log);
}

/* The same leaves with the same bytes as before the cut, so that all but the opening is the same:
 * what was chained to the group that was cut must not be taken for the new one's successor. */
static void groups_from_before_a_cut_are_never_taken(void **state)
{
    (void)state;
    struct log *log = log_of(4, 1);

    medium_of(log)->bytes[index_of(2) + LOG_INDEX_BYTES + 5]++;
    struct log *again = open_copy(medium_of(log), 0);
    assert_int_equal(log_groups(again), 1);
    rig_append(again, 2, 2);
    rig_append(again, 3, 2);
    rig_end_group(again, false);
    struct log *third = open_copy(medium_of(again), 0);
    assert_int_equal(log_groups(third), 2);
    assert_true(rig_has(third, 2, 2));
    assert_false(rig_has(third, 4, 3));
    log_free(third);
    log_free(again);
    log_free(log);
}

/* Of a group that was cut, one leaf was torn and one was not. The torn one is written again, in the
 * same place, and the power fails before the new index: the other must not come back with it. */
static void what_is_written_next_does_not_mend_what_was_cut(void **state)
{
    (void)state;
    struct log *log = log_of(2, 1);

    medium_of(log)->bytes[index_of(2) + LOG_INDEX_BYTES + 5]++;
    struct log *again = open_copy(medium_of(log), 0);
    assert_int_equal(log_groups(again), 1);
    rig_append(again, 2, 2);
    struct log *third = open_copy(medium_of(again), 0);
    assert_int_equal(log_groups(third), 1);
    assert_false(rig_has(third, 3, 2));
    log_free(third);
    log_free(again);
    log_free(log);
}

static void a_medium_that_is_only_read_is_not_changed(void **state)
{
    (void)state;
    struct log *log = log_of(2, 1);

    medium_of(log)->bytes[index_of(2) + LOG_INDEX_BYTES + 5]++;
    struct cut_disk *copy = rig_copy(medium_of(log));
    copy->disk.is_writable = false;
    struct log *again = rig_open(&copy->disk, SIZE_BYTES, 0);
    assert_int_equal(log_groups(again), 1);
    assert_int_equal(log_cut_bytes(again), index_of(2) - index_of(1));
    assert_memory_equal(copy->bytes, medium_of(log)->bytes, log_used_bytes(log));
    log_free(again);
    log_free(log);
}

static void a_cut_that_cannot_be_erased_is_an_error(void **state)
{
    (void)state;
    static const enum disk_op ops[] = {DISK_WRITE, DISK_FLUSH};
    struct log *log = log_of(2, 1);

    medium_of(log)->bytes[index_of(2) + LOG_INDEX_BYTES + 5]++;
    for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
        struct cut_disk *copy = rig_copy(medium_of(log));
        struct error err = {.kind = ERR_NONE};
        struct log *again = NULL;
        cut_disk_fail(copy, ops[i], i + 1, EIO); /* the second flush: the first is before reading */
        assert_int_equal(
            log_open(&copy->disk, LOG_JOURNAL, SIZE_BYTES, 0, NULL, rig_env(), &again, &err), -1);
        assert_int_equal(err.kind, ERR_IO);
        assert_int_equal(copy->fired, 1);
        disk_close(&copy->disk);
    }
    log_free(log);
}

static void a_log_made_anew_on_an_old_one_is_empty(void **state)
{
    (void)state;
    struct log *log = log_of(4, 4);
    struct cut_disk *copy = rig_copy(medium_of(log));
    struct log *anew = rig_create(&copy->disk, LOG_JOURNAL, SIZE_BYTES);
    struct log *again = open_copy(copy, 0);

    assert_int_equal(log_groups(again), 0);
    assert_false(rig_has(again, 0, 1));
    log_free(again);
    log_free(anew);
    log_free(log);
}

static void what_was_cut_and_overwritten_is_gone(void **state)
{
    (void)state;
    struct log *log = log_of(3, 0);

    medium_of(log)->bytes[index_of(2) + LOG_INDEX_BYTES + 5]++;
    struct log *again = open_copy(medium_of(log), 0);
    assert_true(log_cut_bytes(again) > 0);
    rig_append(again, 15, 7);
    assert_int_equal(log_append_zeros(again, 16, 1, NULL), 0);
    rig_end_group(again, true);
    struct log *third = open_copy(medium_of(again), 2);
    assert_int_equal(log_groups(third), 2);
    assert_true(rig_has(third, 15, 7) && rig_has(third, 1, 1));
    assert_false(rig_has(third, 2, 2));
    log_free(third);
    log_free(again);
    log_free(log);
}

/* A killed process's writes may be in the page cache alone. What opening takes from there is found
 * after a power cut, too: who opened it goes on as if it were durable. */
static void what_opening_takes_is_durable(void **state)
{
    (void)state;
    struct log *log = log_of(3, 0);
    struct cut_disk *medium = cut_disk_new(RIG_MEDIUM_BYTES);
    struct span bytes = drive_buffer(LEAF_BYTES);

    cut_disk_remember(medium);
    for (uint64_t at = 0; at < log_used_bytes(log); at += LEAF_BYTES) {
        memcpy(bytes.at, medium_of(log)->bytes + at, LEAF_BYTES);
        assert_int_equal(drive_data(&medium->disk, DISK_WRITE, at, bytes), 0);
    }
    free(bytes.at);
    log_free(log);
    log = rig_open(&medium->disk, SIZE_BYTES, 0);
    assert_int_equal(log_groups_synced(log), 3);
    struct cut_disk *found = cut_disk_after(medium, cut_disk_steps(medium), CUT_KEEP_NONE, 0);
    struct log *again = rig_open(&found->disk, SIZE_BYTES, 3);
    assert_true(rig_has(again, 5, 3));
    log_free(again);
    log_free(log);
}

/* --- damage ---------------------------------------------------------------------------------- */

static void damage_of_a_group_that_was_durable_is_told(void **state)
{
    (void)state;
    struct log *log = log_of(4, 4);

    /* The index of the fourth says that the third was durable. */
    for (uint32_t group = 1; group <= 3; group++) {
        struct cut_disk *copy = rig_copy(medium_of(log));
        copy->bytes[index_of(group) + 100]++;
        expect_refused(copy, LOG_JOURNAL, SIZE_BYTES, 0, "damaged");
        /* Even when a whole range around it is gone. */
        memset(copy->bytes + index_of(group), 0, index_of(2) - index_of(1));
        expect_refused(copy, LOG_JOURNAL, SIZE_BYTES, 0, "damaged");
        disk_close(&copy->disk);
    }
    log_free(log);
}

static void of_the_last_group_only_a_record_elsewhere_knows(void **state)
{
    (void)state;
    struct log *log = log_of(4, 4);
    struct cut_disk *copy = rig_copy(medium_of(log));

    copy->bytes[index_of(4) + 100]++;
    expect_refused(copy, LOG_JOURNAL, SIZE_BYTES, 4, "damaged");
    struct log *again = open_copy(copy, 3); /* nobody says that it was durable */
    assert_int_equal(log_groups(again), 3);
    log_free(again);
    memset(copy->bytes + index_of(1), 0, index_of(5));
    expect_refused(copy, LOG_JOURNAL, SIZE_BYTES, 1, "damaged");
    expect_refused(copy, LOG_JOURNAL, SIZE_BYTES, UINT64_MAX, "damaged");
    disk_close(&copy->disk);
    log_free(log);
}

static void damaged_bytes_that_were_durable_are_not_cut_off(void **state)
{
    (void)state;
    struct log *log = log_of(4, 4);

    medium_of(log)->bytes[index_of(2) + LOG_INDEX_BYTES + 5]++;
    struct log *again = open_copy(medium_of(log), 0);
    assert_int_equal(log_groups(again), 4);
    assert_false(rig_has(again, 2, 2)); /* log_check says so when they are read */
    assert_true(rig_has(again, 3, 2));
    log_free(again);
    medium_of(log)->bytes[index_of(4) + LOG_INDEX_BYTES + 5]++;
    again = open_copy(medium_of(log), 4);
    assert_int_equal(log_groups(again), 4);
    assert_false(rig_has(again, 6, 4));
    log_free(again);
    log_free(log);
}

/* A log with every kind of entry, and what each leaf of its disk is: a seed, 0 for zeros, 1 for
 * what the base has. */
static struct log *varied_log(uint64_t seeds[LEAVES])
{
    struct log *log = rig_create(&cut_disk_new(4 * MIB)->disk, LOG_JOURNAL, SIZE_BYTES);
    struct chance chance = chance_of(99, 0);

    for (uint32_t leaf = 0; leaf < LEAVES; leaf++) {
        seeds[leaf] = 1;
    }
    for (uint32_t step = 0; step < 40; step++) {
        uint64_t leaf = step == 20 ? LEAVES - 1 : chance_below(&chance, LEAVES);
        seeds[leaf] = step % 4 == 3 ? 0 : 2 + step;
        if (step % 4 == 3) {
            assert_int_equal(log_append_zeros(log, leaf, 1, NULL), 0);
        } else {
            rig_append(log, leaf, seeds[leaf]);
        }
        if (step % 7 == 6) {
            rig_end_group(log, step % 2 == 0);
        }
    }
    rig_end_group(log, true);
    return log;
}

/* Reads the whole disk over a medium; false if any of it is refused, fails the test on wrong bytes.
 */
static bool is_whole_over(struct cut_disk *medium, uint64_t groups, const uint64_t seeds[LEAVES])
{
    struct cut_disk *base = cut_disk_new(SIZE_BYTES);
    struct span bytes = drive_buffer(LEAF_BYTES);
    struct log *log = NULL;
    bool is_whole = true;

    rig_fill(base, 1);
    if (log_open(&medium->disk, LOG_JOURNAL, SIZE_BYTES, groups, NULL, rig_env(), &log, NULL) !=
        0) {
        disk_close(&medium->disk);
        disk_close(&base->disk);
        free(bytes.at);
        return false;
    }
    struct disk *disk = rig_disk(&base->disk, log, SIZE_BYTES, false);
    for (uint32_t leaf = 0; leaf < LEAVES; leaf++) {
        bytes.len_bytes = log_leaf_bytes(SIZE_BYTES, leaf);
        if (drive_data(disk, DISK_READ, leaf * LEAF_BYTES, bytes) != 0) {
            is_whole = false;
        } else if (seeds[leaf] == 0) {
            assert_true(span_is_zero(span_const(bytes)));
        } else {
            assert_true(drive_matches(bytes, leaf * LEAF_BYTES, seeds[leaf]));
        }
    }
    free(bytes.at);
    disk_close(disk);
    return is_whole;
}

static void a_flipped_bit_never_makes_wrong_bytes(void **state)
{
    (void)state;
    uint64_t seeds[LEAVES];
    const uint64_t seed = 7;
    struct log *log = varied_log(seeds);
    struct chance chance = chance_of(seed, 3);
    uint32_t told = 0;

    print_message("seed %d\n", (int)seed);
    assert_true(is_whole_over(rig_copy(medium_of(log)), log_groups(log), seeds));
    for (uint32_t i = 0; i < 1000; i++) {
        struct cut_disk *copy = rig_copy(medium_of(log));
        /* Each second one in the head or an index, which are small. */
        uint64_t at = i % 2 == 0 ? chance_below(&chance, log_used_bytes(log))
                                 : chance_below(&chance, LOG_HEAD_BYTES + LOG_INDEX_BYTES);
        copy->bytes[at] ^= (uint8_t)(1U << chance_below(&chance, 8));
        told += is_whole_over(copy, log_groups(log), seeds) ? 0 : 1;
    }
    assert_true(told >= 600); /* the others: leaves that were overtaken, and padding */
    log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_log_is_empty_and_opens_so),
        cmocka_unit_test(two_logs_share_neither_id_nor_key),
        cmocka_unit_test(what_was_appended_is_found_again),
        cmocka_unit_test(a_check_is_of_one_leaf_and_its_length),
        cmocka_unit_test(a_disk_of_16_tib_costs_what_is_in_its_log),
        cmocka_unit_test(a_medium_has_room_for_each_leaf_several_times),
        cmocka_unit_test(a_full_group_and_a_full_medium_say_so),
        cmocka_unit_test(a_medium_that_is_too_small_is_refused),
        cmocka_unit_test(errors_of_the_medium_are_passed_on),
        cmocka_unit_test(a_log_of_another_kind_or_disk_is_refused),
        cmocka_unit_test(damaged_and_foreign_heads_are_refused),
        cmocka_unit_test(an_index_with_a_field_out_of_its_range_is_not_taken),
        cmocka_unit_test(every_changed_bit_of_an_index_is_seen),
        cmocka_unit_test(a_torn_last_group_is_cut_off),
        cmocka_unit_test(behind_the_first_torn_group_nothing_is_taken),
        cmocka_unit_test(groups_from_before_a_cut_are_never_taken),
        cmocka_unit_test(what_is_written_next_does_not_mend_what_was_cut),
        cmocka_unit_test(a_medium_that_is_only_read_is_not_changed),
        cmocka_unit_test(a_cut_that_cannot_be_erased_is_an_error),
        cmocka_unit_test(a_log_made_anew_on_an_old_one_is_empty),
        cmocka_unit_test(what_was_cut_and_overwritten_is_gone),
        cmocka_unit_test(what_opening_takes_is_durable),
        cmocka_unit_test(damage_of_a_group_that_was_durable_is_told),
        cmocka_unit_test(of_the_last_group_only_a_record_elsewhere_knows),
        cmocka_unit_test(damaged_bytes_that_were_durable_are_not_cut_off),
        cmocka_unit_test(a_flipped_bit_never_makes_wrong_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
