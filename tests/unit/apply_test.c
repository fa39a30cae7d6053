/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A journal applied to a disk in memory, and cut short wherever that can be: in the end the disk is
 * what the journal says, the undo log gives what it was before, and nothing is overwritten that is
 * not durable there.
 */
#include "points/apply.h"

#include "log_rig.h"

#define LEAVES 200U /* of which 151 are staged: more than a batch */
#define TAIL_BYTES 5000U
#define SIZE_BYTES ((LEAVES - 1) * LEAF_BYTES + TAIL_BYTES)
#define FIRST_ZERO 20U
#define ZEROS 3U
#define OLD 1U /* seeds of what the disk held, and of what the journal holds */
#define NEW 2U

/* The journal holds every leaf but each fourth one. */
static bool is_staged(uint64_t leaf)
{
    return leaf % 4 != 3 || leaf == LEAVES - 1;
}

static bool is_zeroed(uint64_t leaf)
{
    return leaf >= FIRST_ZERO && leaf < FIRST_ZERO + ZEROS;
}

static struct log *journal_new(void)
{
    struct log *log = rig_create(&cut_disk_new(RIG_MEDIUM_BYTES)->disk, LOG_JOURNAL, SIZE_BYTES);

    for (uint64_t leaf = 0; leaf < LEAVES; leaf++) {
        if (is_staged(leaf) && !is_zeroed(leaf)) {
            rig_append(log, leaf, NEW);
        }
    }
    assert_int_equal(log_append_zeros(log, FIRST_ZERO, ZEROS, NULL), 0);
    rig_end_group(log, true);
    return log;
}

static struct cut_disk *base_new(void)
{
    struct cut_disk *base = cut_disk_new(SIZE_BYTES);

    rig_fill(base, OLD);
    return base;
}

/* An undo log on a medium. */
struct undo {
    struct cut_disk *medium; /* borrowed from disk, as the next */
    struct log *log;
    struct disk *disk; /* owned */
};

static struct undo undo_new(void)
{
    struct undo undo = {.medium = cut_disk_new(RIG_MEDIUM_BYTES)};

    undo.log = rig_create(&undo.medium->disk, LOG_UNDO, SIZE_BYTES);
    undo.disk = rig_disk(NULL, undo.log, SIZE_BYTES, true);
    cut_disk_remember(undo.medium);
    return undo;
}

/* What a power cut now would leave of it: what was flushed. */
static struct undo undo_after_cut(const struct undo *before)
{
    struct undo undo = {
        .medium = cut_disk_after(before->medium, cut_disk_steps(before->medium), CUT_KEEP_NONE, 1)};
    struct error err = {.kind = ERR_NONE};

    if (log_open(&undo.medium->disk, LOG_UNDO, SIZE_BYTES, 0, NULL, rig_env(), &undo.log, &err) <
        0) {
        fail_msg("%s", err.message);
    }
    undo.disk = rig_disk(NULL, undo.log, SIZE_BYTES, true);
    cut_disk_remember(undo.medium);
    return undo;
}

/* To its end, or to what ends it: what the last step returned. */
static int run(struct log *journal, struct disk *base, const struct undo *undo, struct error *err)
{
    struct apply *apply = NULL;
    int result = 1;

    bool was_begun = undo != NULL && log_groups(undo->log) > 0;

    assert_int_equal(apply_new(journal, base, undo != NULL ? undo->log : NULL,
                               undo != NULL ? undo->disk : NULL, was_begun, &apply, NULL),
                     0);
    while (result == 1) {
        result = apply_step(apply, err);
    }
    apply_free(apply);
    return result;
}

static struct span leaf_of(const struct cut_disk *disk, uint64_t leaf)
{
    return (struct span){disk->bytes + leaf * LEAF_BYTES, log_leaf_bytes(SIZE_BYTES, leaf)};
}

static void expect_new(const struct cut_disk *base)
{
    for (uint64_t leaf = 0; leaf < LEAVES; leaf++) {
        struct span bytes = leaf_of(base, leaf);
        assert_true(is_zeroed(leaf)
                        ? span_is_zero(span_const(bytes))
                        : drive_matches(bytes, leaf * LEAF_BYTES, is_staged(leaf) ? NEW : OLD));
    }
}

static void expect_untouched(const struct cut_disk *base)
{
    assert_true(drive_matches((struct span){base->bytes, SIZE_BYTES}, 0, OLD));
}

/* Each leaf that was overwritten is in the undo log, as what survives a power cut, as it was. */
static void expect_saved(const struct undo *undo, const struct cut_disk *base)
{
    struct undo found = undo_after_cut(undo);

    for (uint64_t leaf = 0; leaf < LEAVES; leaf++) {
        bool is_old = drive_matches(leaf_of(base, leaf), leaf * LEAF_BYTES, OLD);
        assert_true(is_old || rig_has(found.log, leaf, OLD));
    }
    disk_close(found.disk);
}

static void the_disk_is_what_the_journal_says_and_the_undo_log_what_it_was(void **state)
{
    struct log *journal = journal_new();
    struct cut_disk *base = base_new();
    struct undo undo = undo_new();

    (void)state;
    assert_int_equal(run(journal, &base->disk, &undo, NULL), 0);
    expect_new(base);
    expect_saved(&undo, base);
    disk_close(undo.disk);
    disk_close(&base->disk);
    base = base_new();
    assert_int_equal(run(journal, &base->disk, NULL, NULL), 0); /* nothing is to be kept */
    expect_new(base);
    disk_close(&base->disk);
    log_free(journal);
}

static void nothing_is_overwritten_that_could_not_be_saved(void **state)
{
    static const enum disk_op ops[] = {DISK_WRITE, DISK_FLUSH};
    struct log *journal = journal_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
        struct cut_disk *base = base_new();
        struct undo undo = undo_new();
        struct error err = {.kind = ERR_NONE};
        cut_disk_fail(undo.medium, ops[i], 1, ENOSPC);
        assert_int_equal(run(journal, &base->disk, &undo, &err), -1);
        assert_int_equal(undo.medium->fired, 1);
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_int_equal(err.errnum, ENOSPC);
        expect_untouched(base);
        disk_close(undo.disk);
        disk_close(&base->disk);
    }
    log_free(journal);
}

/* The power fails with this write to the disk: all before it have reached the medium, and of the
 * undo log only what was flushed. Then it is done anew. */
static void cut_and_go_on(struct log *journal, uint64_t write)
{
    struct cut_disk *base = base_new();
    struct undo undo = undo_new();
    struct error err = {.kind = ERR_NONE};

    cut_disk_fail(base, DISK_WRITE, write, EIO);
    assert_int_equal(run(journal, &base->disk, &undo, &err), -1);
    assert_int_equal(base->fired, 1);
    expect_saved(&undo, base);
    struct undo again = undo_after_cut(&undo);
    disk_close(undo.disk);
    assert_int_equal(run(journal, &base->disk, &again, &err), 0);
    expect_new(base);
    expect_saved(&again, base);
    disk_close(again.disk);
    disk_close(&base->disk);
}

static void cut_short_and_done_anew_it_ends_as_if_it_had_not_been(void **state)
{
    static const uint64_t writes[] = {1, 2, 60, 125, 126, 140}; /* a batch is 128, less the zeros */
    struct log *journal = journal_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(writes); i++) {
        cut_and_go_on(journal, writes[i]);
    }
    log_free(journal);
}

static void each_batch_is_flushed(void **state)
{
    struct log *journal = journal_new();

    (void)state;
    for (uint64_t number = 1; number <= 2; number++) {
        struct cut_disk *base = base_new();
        struct error err = {.kind = ERR_NONE};
        cut_disk_fail(base, DISK_FLUSH, number, EIO);
        assert_int_equal(run(journal, &base->disk, NULL, &err), -1);
        assert_int_equal(base->fired, 1);
        assert_int_equal(err.kind, ERR_IO);
        disk_close(&base->disk);
    }
    log_free(journal);
}

static void an_undo_log_that_lost_something_is_told_before_anything_is_written(void **state)
{
    struct log *journal = journal_new();
    struct cut_disk *base = base_new();
    struct undo undo = undo_new();
    struct error err = {.kind = ERR_NONE};
    struct span leaf = leaf_of(base, 4);

    (void)state;
    rig_append(undo.log, 0, OLD); /* a run before saved some, and not the leaf that it overwrote */
    rig_end_group(undo.log, true);
    drive_fill(leaf, 4 * LEAF_BYTES, NEW);
    assert_int_equal(run(journal, &base->disk, &undo, &err), APPLY_UNDO_LOST);
    drive_fill(leaf, 4 * LEAF_BYTES, OLD);
    expect_untouched(base);
    disk_close(undo.disk);
    disk_close(&base->disk);
    log_free(journal);
}

static void a_damaged_journal_is_told_before_anything_is_written(void **state)
{
    struct log *journal = journal_new();
    struct cut_disk *base = base_new();
    struct error err = {.kind = ERR_NONE};
    struct log_place place;

    (void)state;
    assert_int_equal(log_find(journal, 5, &place, NULL), 0);
    ((struct cut_disk *)log_medium(journal))->bytes[place.offset_bytes + 100]++;
    assert_int_equal(run(journal, &base->disk, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_int_equal(err.offset_bytes, 5 * LEAF_BYTES);
    expect_untouched(base);
    disk_close(&base->disk);
    log_free(journal);
}

/* --- reading back ---------------------------------------------------------------------------- */

/* A disk whose medium has one byte of another value than was written. */
struct wrong_disk {
    struct disk disk;       /* first: a struct disk * is one to this */
    struct cut_disk *inner; /* borrowed */
    uint64_t wrong_at;
};

static void wrong_submit(struct disk *disk, struct disk_request *request)
{
    disk_submit(&((struct wrong_disk *)disk)->inner->disk, request);
}

static struct disk_request *wrong_reap(struct disk *disk)
{
    struct wrong_disk *d = (struct wrong_disk *)disk;
    struct disk_request *request = disk_reap(&d->inner->disk);

    if (request != NULL && request->op == DISK_READ_MEDIUM &&
        request->offset_bytes <= d->wrong_at &&
        d->wrong_at - request->offset_bytes < request->data.len_bytes) {
        request->data.at[d->wrong_at - request->offset_bytes] ^= 1;
    }
    return request;
}

static void wrong_poll_on(struct disk *disk, int *fd, short *events)
{
    disk_poll_on(&((struct wrong_disk *)disk)->inner->disk, fd, events);
}

static const struct disk_ops wrong_ops = {
    .name = "wrong", .submit = wrong_submit, .reap = wrong_reap, .poll_on = wrong_poll_on};

static void a_medium_that_gives_back_something_else_is_noticed(void **state)
{
    static const uint64_t leaves[] = {0, FIRST_ZERO + 1, 180, LEAVES - 1};
    struct log *journal = journal_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(leaves); i++) {
        struct cut_disk *base = base_new();
        struct wrong_disk wrong = {base->disk, base, leaves[i] * LEAF_BYTES + 77};
        struct error err = {.kind = ERR_NONE};
        wrong.disk.ops = &wrong_ops;
        assert_int_equal(run(journal, &wrong.disk, NULL, &err), -1);
        assert_int_equal(err.kind, ERR_IO);
        assert_int_equal(err.offset_bytes, leaves[i] * LEAF_BYTES);
        disk_close(&base->disk);
    }
    log_free(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_disk_is_what_the_journal_says_and_the_undo_log_what_it_was),
        cmocka_unit_test(nothing_is_overwritten_that_could_not_be_saved),
        cmocka_unit_test(cut_short_and_done_anew_it_ends_as_if_it_had_not_been),
        cmocka_unit_test(each_batch_is_flushed),
        cmocka_unit_test(an_undo_log_that_lost_something_is_told_before_anything_is_written),
        cmocka_unit_test(a_damaged_journal_is_told_before_anything_is_written),
        cmocka_unit_test(a_medium_that_gives_back_something_else_is_noticed),
    };

    return cmocka_run_group_tests_name("apply", tests, NULL, NULL);
}
