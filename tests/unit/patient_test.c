/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/patient.h"

#include "cut_disk.h"
#include "disk_drive.h"

#define SIZE (1 * MIB)

static uint64_t now_ns;

static uint64_t get_now_ns(void *context)
{
    (void)context;
    return now_ns;
}

static const struct env env = {.now_ns = get_now_ns};

struct rig {
    struct cut_disk *inner; /* borrowed from disk */
    struct disk *disk;
    struct span data;
};

static struct rig rig_new(void)
{
    struct rig rig = {.inner = cut_disk_new(SIZE), .data = drive_buffer(LEAF_BYTES)};

    assert_int_equal(patient_new(&rig.inner->disk, &env, &rig.disk, NULL), 0);
    return rig;
}

static void rig_done(struct rig *rig)
{
    disk_close(rig->disk);
    free(rig->data.at);
}

static struct disk_request write_of(const struct rig *rig, uint64_t offset_bytes)
{
    return (struct disk_request){.op = DISK_WRITE, .offset_bytes = offset_bytes, .data = rig->data};
}

static void a_write_without_room_comes_back_when_there_is_some(void **state)
{
    struct rig rig = rig_new();
    struct disk_request request = write_of(&rig, 0);

    (void)state;
    cut_disk_fail(rig.inner, DISK_WRITE, 1, ENOSPC);
    disk_submit(rig.disk, &request);
    assert_null(disk_reap(rig.disk));
    assert_int_equal(rig.inner->fired, 1);
    assert_true(patient_is_waiting(rig.disk));
    now_ns += NS_PER_S / 2;
    assert_null(disk_reap(rig.disk)); /* too early */
    now_ns += NS_PER_S;
    assert_ptr_equal(drive_reap(rig.disk), &request);
    assert_int_equal(request.errnum, 0);
    assert_false(patient_is_waiting(rig.disk));
    assert_memory_equal(rig.inner->bytes, rig.data.at, LEAF_BYTES);
    rig_done(&rig);
}

static void others_pass_while_one_waits(void **state)
{
    struct rig rig = rig_new();
    struct disk_request waits = write_of(&rig, 0);
    struct disk_request read = {.op = DISK_READ, .offset_bytes = LEAF_BYTES, .data = rig.data};

    (void)state;
    cut_disk_fail(rig.inner, DISK_WRITE, 1, EDQUOT);
    disk_submit(rig.disk, &waits);
    assert_null(disk_reap(rig.disk));
    disk_submit(rig.disk, &read);
    assert_ptr_equal(drive_reap(rig.disk), &read);
    assert_true(patient_is_waiting(rig.disk));
    now_ns += 2 * NS_PER_S;
    assert_ptr_equal(drive_reap(rig.disk), &waits);
    rig_done(&rig);
}

static void who_gives_up_gets_the_failure(void **state)
{
    struct rig rig = rig_new();
    struct disk_request request = write_of(&rig, 0);
    struct disk_request later = write_of(&rig, LEAF_BYTES);

    (void)state;
    cut_disk_fail(rig.inner, DISK_WRITE, 1, ENOSPC);
    disk_submit(rig.disk, &request);
    assert_null(disk_reap(rig.disk));
    patient_give_up(rig.disk);
    assert_ptr_equal(drive_reap(rig.disk), &request);
    assert_int_equal(request.errnum, ENOSPC);
    cut_disk_fail(rig.inner, DISK_WRITE, 1, ENOSPC);
    assert_int_equal(drive(rig.disk, &later), ENOSPC);
    rig_done(&rig);
}

/* What a flush could not keep is lost: trying again would only claim that it is not. */
static void a_flush_without_room_is_not_tried_again(void **state)
{
    struct rig rig = rig_new();

    (void)state;
    cut_disk_fail(rig.inner, DISK_FLUSH, 1, ENOSPC);
    assert_int_equal(drive_flush(rig.disk), ENOSPC);
    assert_int_equal(rig.inner->fired, 1);
    rig_done(&rig);
}

static void other_failures_pass(void **state)
{
    struct rig rig = rig_new();
    struct disk_request request = write_of(&rig, 0);

    (void)state;
    cut_disk_fail(rig.inner, DISK_WRITE, 1, EIO);
    assert_int_equal(drive(rig.disk, &request), EIO);
    assert_false(patient_is_waiting(rig.disk));
    rig_done(&rig);
}

/* No file system has more than it can hold: what is demanded of one is a share of it, and /proc,
 * which holds nothing, is asked for nothing. */
static void nothing_is_demanded_where_there_is_room(void **state)
{
    struct rig rig = rig_new();
    struct disk_request request = write_of(&rig, 0);

    (void)state;
    assert_int_equal(patient_demand_room(rig.disk, "/proc", NULL), 0);
    assert_int_equal(drive(rig.disk, &request), 0);
    assert_false(patient_is_held(rig.disk));
    rig_done(&rig);
}

static void a_file_system_that_cannot_be_asked_is_an_error(void **state)
{
    struct rig rig = rig_new();
    struct error err = {0};

    (void)state;
    assert_int_equal(patient_demand_room(rig.disk, "/nowhere/at/all", &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_without_room_comes_back_when_there_is_some),
        cmocka_unit_test(others_pass_while_one_waits),
        cmocka_unit_test(who_gives_up_gets_the_failure),
        cmocka_unit_test(a_flush_without_room_is_not_tried_again),
        cmocka_unit_test(other_failures_pass),
        cmocka_unit_test(nothing_is_demanded_where_there_is_room),
        cmocka_unit_test(a_file_system_that_cannot_be_asked_is_an_error),
    };

    return cmocka_run_group_tests_name("patient", tests, NULL, NULL);
}
