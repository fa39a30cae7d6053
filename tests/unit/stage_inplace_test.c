/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The in-place stage over a disk in memory that can lie, fail and refuse: what is called durable
 * was flushed and read back, and what went wrong is said.
 */
#include "engine/stage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODES 40U
#define DISK_BYTES (NODES * NODE_BYTES)
#define OWNER 9U

enum fault { NO_FAULT = 0, LOSE_WRITES, FAIL_WRITE, FULL, FAIL_FLUSH, FAIL_READ_BACK, SKIP_ZERO };

struct rig {
    struct layout layout;
    struct digester *digester;
    struct progress progress;
    struct stage *stage;
    uint8_t *disk;
    enum fault fault;
    uint32_t fired; /* how often the fault did its work */
    uint32_t flushes;
    uint32_t read_backs; /* since the last flush */
    struct error err;
};

static void init(struct rig *rig, enum fault fault)
{
    static const uint8_t key[DIGEST_KEY_BYTES] = {3};
    const uint64_t size = DISK_BYTES;

    *rig = (struct rig){.fault = fault, .disk = calloc(1, DISK_BYTES)};
    assert_non_null(rig->disk);
    assert_int_equal(layout_init(&rig->layout, 1, &size, NULL), 0);
    assert_int_equal(digester_new(key, &rig->digester, NULL), 0);
    struct stage_config config = {&rig->layout, rig->digester, &rig->progress, OWNER};
    assert_int_equal(stage_inplace_new(&config, &rig->stage, NULL), 0);
}

static void done(struct rig *rig)
{
    rig->stage->ops->free(rig->stage);
    digester_free(rig->digester);
    free(rig->disk);
}

static bool has_fault(struct rig *rig, enum fault fault)
{
    if (rig->fault != fault) {
        return false;
    }
    rig->fired++;
    return true;
}

static void carry_out(struct rig *rig, struct disk_request *request)
{
    uint8_t *at = rig->disk + request->offset_bytes;

    assert_int_equal(request->owner, OWNER);
    request->errnum = 0;
    if (request->op == DISK_WRITE) {
        request->errnum = has_fault(rig, FAIL_WRITE) ? EIO : has_fault(rig, FULL) ? ENOSPC : 0;
        if (request->errnum == 0 && !has_fault(rig, LOSE_WRITES)) {
            memcpy(at, request->data.at, request->data.len_bytes);
        }
    } else if (request->op == DISK_ZERO) {
        if (!has_fault(rig, SKIP_ZERO)) {
            memset(at, 0, request->len_bytes);
        }
    } else if (request->op == DISK_READ_MEDIUM) {
        rig->read_backs++;
        request->errnum = has_fault(rig, FAIL_READ_BACK) ? EIO : 0;
        memcpy(request->data.at, at, request->data.len_bytes);
    } else {
        assert_int_equal(request->op, DISK_FLUSH);
        rig->flushes++;
        request->errnum = has_fault(rig, FAIL_FLUSH) ? EIO : 0;
    }
}

/* Lets the stage do all it can. -1 when it fails. */
static int run(struct rig *rig)
{
    struct disk_request *request = NULL;

    while ((request = rig->stage->ops->next(rig->stage)) != NULL) {
        carry_out(rig, request);
        if (rig->stage->ops->complete(rig->stage, request, &rig->err) != 0) {
            return -1;
        }
    }
    return 0;
}

static void write_leaf(struct rig *rig, uint64_t leaf)
{
    struct span buffer = rig->stage->ops->reserve(rig->stage);

    assert_non_null(buffer.at);
    memset(buffer.at, (int)(leaf % 255) + 1, LEAF_BYTES);
    struct digest digest = digester_leaf(rig->digester, leaf, span_const(buffer));
    rig->stage->ops->write(rig->stage, leaf, &digest);
}

static void mark(struct rig *rig, uint64_t node)
{
    rig->stage->ops->mark(rig->stage, &(struct settled_mark){.node = node, .is_same = true});
}

static void what_is_sealed_was_flushed_and_read_back(void **state)
{
    (void)state;
    struct rig rig;

    init(&rig, NO_FAULT);
    for (uint64_t leaf = 0; leaf < 300; leaf += leaf % 7 == 0 ? 1 : 3) {
        write_leaf(&rig, leaf);
        assert_int_equal(run(&rig), 0);
    }
    memset(rig.disk + 1000 * LEAF_BYTES, 7, 20 * LEAF_BYTES);
    assert_true(rig.stage->ops->zero(rig.stage, 1000, 20));
    mark(&rig, NODES);
    rig.stage->ops->seal(rig.stage);
    assert_false(rig.stage->ops->is_sealed(rig.stage));
    assert_int_equal(run(&rig), 0);
    assert_true(rig.stage->ops->is_sealed(rig.stage));
    const struct disk_progress *progress = &rig.progress.disks[0];
    assert_int_equal(progress->written_bytes, progress->verified_bytes);
    assert_true(progress->verified_bytes >= 100 * LEAF_BYTES);
    assert_int_equal(rig.disk[7 * LEAF_BYTES], 8);
    assert_int_equal(rig.disk[1019 * LEAF_BYTES], 0);
    done(&rig);
}

static void nothing_is_durable_before_it_was_read_back(void **state)
{
    (void)state;
    struct settled_mark durable;
    struct rig rig;
    struct disk_request *request = NULL;

    init(&rig, NO_FAULT);
    write_leaf(&rig, 5 * LEAVES_PER_NODE);
    mark(&rig, 4);
    mark(&rig, NODES);
    rig.stage->ops->seal(rig.stage);
    while ((request = rig.stage->ops->next(rig.stage)) != NULL) {
        carry_out(&rig, request);
        if (request->op == DISK_READ_MEDIUM) {
            break;
        }
        assert_int_equal(rig.stage->ops->complete(rig.stage, request, NULL), 0);
    }
    assert_int_equal(rig.flushes, 1);
    /* Written and flushed, but not compared yet: only what lies before the leaf may be durable. */
    if (rig.stage->ops->next_durable(rig.stage, true, &durable)) {
        assert_int_equal(durable.node, 4);
    }
    assert_int_equal(rig.stage->ops->complete(rig.stage, request, NULL), 0);
    assert_int_equal(run(&rig), 0);
    assert_true(rig.stage->ops->next_durable(rig.stage, true, &durable));
    assert_int_equal(durable.node, NODES);
    assert_false(rig.stage->ops->next_durable(rig.stage, true, &durable));
    done(&rig);
}

/* Runs one write, or one run of zeros, against a fault; it must be reported as this kind, with its
 * offset. */
static void expect_failure(enum fault fault, bool zeros, enum error_kind kind, const char *word)
{
    struct settled_mark durable;
    struct rig rig;

    init(&rig, fault);
    memset(rig.disk, 0x77, DISK_BYTES);
    if (zeros) {
        assert_true(rig.stage->ops->zero(rig.stage, 3 * LEAVES_PER_NODE + 2, 5));
    } else {
        write_leaf(&rig, 3 * LEAVES_PER_NODE + 2);
    }
    mark(&rig, NODES);
    rig.stage->ops->seal(rig.stage);
    assert_int_equal(run(&rig), -1);
    assert_true(rig.fired > 0);
    assert_int_equal(rig.err.kind, kind);
    assert_non_null(strstr(rig.err.message, word));
    if (fault != FAIL_FLUSH) {
        assert_true(rig.err.has_offset);
        assert_int_equal(rig.err.offset_bytes, 3 * NODE_BYTES + 2 * LEAF_BYTES);
    }
    /* It has failed for good: no more requests, nothing durable, no second flush. */
    assert_null(rig.stage->ops->next(rig.stage));
    assert_false(rig.stage->ops->next_durable(rig.stage, true, &durable));
    assert_null(rig.stage->ops->reserve(rig.stage).at);
    done(&rig);
}

static void a_lost_write_is_found(void **state)
{
    (void)state;
    expect_failure(LOSE_WRITES, false, ERR_IO, "other data");
}

static void zeros_that_did_not_happen_are_found(void **state)
{
    (void)state;
    expect_failure(SKIP_ZERO, true, ERR_IO, "other data");
}

static void errors_of_the_disk_are_passed_on(void **state)
{
    (void)state;
    expect_failure(FAIL_WRITE, false, ERR_IO, "writing failed");
    expect_failure(FULL, false, ERR_LIMIT, "writing failed");
    expect_failure(FAIL_READ_BACK, false, ERR_IO, "reading back failed");
    expect_failure(FAIL_READ_BACK, true, ERR_IO, "reading back failed");
}

static void a_failed_flush_is_never_repeated(void **state)
{
    (void)state;
    expect_failure(FAIL_FLUSH, false, ERR_IO, "flushing failed");
}

static void when_all_buffers_are_in_use_it_says_so(void **state)
{
    (void)state;
    struct rig rig;
    uint64_t leaf = 0;

    init(&rig, NO_FAULT);
    while (rig.stage->ops->reserve(rig.stage).at != NULL) {
        write_leaf(&rig, leaf++);
    }
    assert_int_equal(leaf, STAGE_BATCHES * STAGE_BATCH_LEAVES);
    assert_false(rig.stage->ops->zero(rig.stage, leaf, 1));
    assert_int_equal(run(&rig), 0);
    assert_non_null(rig.stage->ops->reserve(rig.stage).at);
    done(&rig);
}

static void it_keeps_no_points(void **state)
{
    (void)state;
    struct stage_point point;
    struct disk *disk = NULL;
    struct rig rig;

    init(&rig, NO_FAULT);
    assert_int_equal(rig.stage->ops->list_points(rig.stage, &point, 1), 0);
    assert_int_equal(rig.stage->ops->open_point(rig.stage, "x", 0, &disk, &rig.err), -1);
    assert_int_equal(rig.err.kind, ERR_WRONG_STATE);
    done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_was_flushed_and_read_back),
        cmocka_unit_test(nothing_is_durable_before_it_was_read_back),
        cmocka_unit_test(a_lost_write_is_found),
        cmocka_unit_test(zeros_that_did_not_happen_are_found),
        cmocka_unit_test(errors_of_the_disk_are_passed_on),
        cmocka_unit_test(a_failed_flush_is_never_repeated),
        cmocka_unit_test(when_all_buffers_are_in_use_it_says_so),
        cmocka_unit_test(it_keeps_no_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
