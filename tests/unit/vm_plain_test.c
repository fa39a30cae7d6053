/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk_drive.h"

#define DISK_BYTES (1 * MIB)
#define QEMU_WRITES 101 /* disk/lock.h */
#define QEMU_SHARES_NO_WRITES 201

static char folder[] = "/var/tmp/vm_plain_test.XXXXXX";
static char paths[3][64];

static void make_file(const char *path, uint64_t size_bytes, char letter)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
    assert_int_equal(pwrite(fd, &letter, 1, 0), 1);
    assert_int_equal(close(fd), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/var/tmp/vm_plain_test.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        (void)snprintf(paths[i], sizeof paths[i], "%s/%zu.raw", folder, i);
        make_file(paths[i], (i + 1) * DISK_BYTES, (char)('a' + i));
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    drive_remove(folder);
    return 0;
}

/* --- inventories ----------------------------------------------------------------------------- */

/* A VM of the three files; its disks are given to the inventory as copies. */
static struct inventory *make_inventory(void)
{
    struct vm_disk disks[3] = {{.name = "vda"}, {.name = "vdb"}, {.name = "vdc"}};
    struct vm vms[2] = {{.id.bytes = {1}, .name = "web", .disk_count = 3, .disks = disks},
                        {.id.bytes = {2}, .name = "db", .disk_count = 1, .disks = disks}};
    struct inventory *inventory = NULL;
    struct error err = {0};

    for (size_t i = 0; i < ARRAY_COUNT(disks); i++) {
        (void)snprintf(disks[i].path, sizeof disks[i].path, "%s", paths[i]);
    }
    assert_int_equal(inventory_new_plain(vms, 2, &inventory, &err), 0);
    memset(disks, 0xff, sizeof disks);
    memset(vms, 0xff, sizeof vms);
    return inventory;
}

static int open_point(const struct inventory *inventory, const char *name, uint64_t wanted,
                      struct disk **disks, struct error *err)
{
    const struct vm *vm = inventory_find(inventory, name);

    assert_non_null(vm);
    return inventory->ops->open_point(inventory, vm, wanted, disks, err);
}

static void vms_are_found_by_id_and_by_name(void **state)
{
    struct inventory *inventory = make_inventory();

    (void)state;
    assert_string_equal(inventory->ops->name, "plain");
    assert_int_equal(inventory->ops->count(inventory), 2);
    const struct vm *web = inventory->ops->at(inventory, 0);
    assert_string_equal(web->name, "web");
    assert_ptr_equal(inventory_find(inventory, "web"), web);
    assert_ptr_equal(inventory_find(inventory, "01000000-0000-0000-0000-000000000000"), web);
    assert_ptr_equal(inventory_find(inventory, "db"), inventory->ops->at(inventory, 1));
    assert_null(inventory_find(inventory, "03000000-0000-0000-0000-000000000000"));
    assert_null(inventory_find(inventory, "00000000-0000-0000-0000-000000000000"));
    assert_null(inventory_find(inventory, "We"));
    assert_null(inventory_find(inventory, ""));
    assert_int_equal(vm_find_disk(web, "vda"), 0);
    assert_int_equal(vm_find_disk(web, "vdc"), 2);
    assert_int_equal(vm_find_disk(web, "vdd"), -1);
    inventory_free(inventory);
    inventory_free(NULL);
}

static void a_name_that_two_bear_finds_neither(void **state)
{
    struct vm_disk disk = {.name = "vda", .path = "/x"};
    const struct vm vms[2] = {{.id.bytes = {1}, .name = "web", .disk_count = 1, .disks = &disk},
                              {.id.bytes = {2}, .name = "web", .disk_count = 1, .disks = &disk}};
    struct inventory *inventory = NULL;

    (void)state;
    assert_int_equal(inventory_new_plain(vms, 2, &inventory, NULL), 0);
    assert_null(inventory_find(inventory, "web"));
    assert_non_null(inventory_find(inventory, "02000000-0000-0000-0000-000000000000"));
    inventory_free(inventory);
}

static void an_inventory_may_be_empty_but_not_endless(void **state)
{
    struct inventory *inventory = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(inventory_new_plain(NULL, 0, &inventory, &err), 0);
    assert_int_equal(inventory->ops->count(inventory), 0);
    assert_null(inventory_find(inventory, "web"));
    inventory_free(inventory);
    inventory = NULL;
    assert_int_equal(inventory_new_plain(NULL, VMS_MAX + 1, &inventory, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_null(inventory);
}

/* --- points ---------------------------------------------------------------------------------- */

static void wanted_disks_come_in_the_order_of_their_index(void **state)
{
    struct inventory *inventory = make_inventory();
    struct disk *disks[3] = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(open_point(inventory, "web", 7, disks, &err), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(disks[i]->size_bytes, (i + 1) * DISK_BYTES);
        assert_false(disks[i]->is_writable);
        disk_closep(&disks[i]);
    }
    assert_int_equal(open_point(inventory, "web", 5, disks, &err), 0);
    assert_int_equal(disks[0]->size_bytes, DISK_BYTES);
    assert_int_equal(disks[1]->size_bytes, 3 * DISK_BYTES);
    assert_null(disks[2]);

    struct disk_request request = {.op = DISK_READ, .data = drive_buffer(PAGE_BYTES)};
    disk_submit(disks[1], &request);
    assert_ptr_equal(drive_reap(disks[1]), &request);
    assert_int_equal(request.errnum, 0);
    assert_int_equal(request.data.at[0], 'c');
    free(request.data.at);
    disk_closep(&disks[0]);
    disk_closep(&disks[1]);
    inventory_free(inventory);
}

static void wants_that_no_disk_meets_are_refused(void **state)
{
    struct inventory *inventory = make_inventory();
    struct disk *disks[3] = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(open_point(inventory, "web", 0, disks, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_int_equal(open_point(inventory, "web", 8, disks, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_int_equal(open_point(inventory, "db", 1ULL << 63, disks, NULL), -1);
    assert_null(disks[0]);
    inventory_free(inventory);
}

/* Whether QEMU could write to the file now, as far as its locks say. */
static bool is_free(const char *path)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = QEMU_SHARES_NO_WRITES, .l_len = 1};
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
    assert_int_equal(close(fd), 0);
    return lock.l_type == F_UNLCK;
}

static void nobody_writes_while_the_point_is_open(void **state)
{
    struct inventory *inventory = make_inventory();
    struct disk *disks[3] = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(open_point(inventory, "web", 3, disks, &err), 0);
    assert_false(is_free(paths[0]));
    assert_false(is_free(paths[1]));
    assert_true(is_free(paths[2]));
    disk_closep(&disks[0]);
    disk_closep(&disks[1]);
    assert_true(is_free(paths[0]));
    assert_true(is_free(paths[1]));
    inventory_free(inventory);
}

static void a_missing_file_is_told_from_other_errors(void **state)
{
    struct inventory *inventory = make_inventory();
    struct disk *disks[3] = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(unlink(paths[1]), 0);
    assert_int_equal(open_point(inventory, "web", 7, disks, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_int_equal(err.errnum, ENOENT);
    assert_string_equal(err.disk, "vdb");
    assert_non_null(strstr(err.message, paths[1]));
    assert_non_null(strstr(err.message, "does not exist"));
    for (size_t i = 0; i < 3; i++) {
        assert_null(disks[i]);
    }
    /* The one before it was closed again. */
    assert_true(is_free(paths[0]));
    assert_int_equal(open_point(inventory, "web", 7, disks, NULL), -1);
    /* Those that are there can be had without it. */
    assert_int_equal(open_point(inventory, "web", 5, disks, &err), 0);
    disk_closep(&disks[0]);
    disk_closep(&disks[1]);

    assert_int_equal(mkdir(paths[1], 0700), 0);
    err = (struct error){0};
    assert_int_equal(open_point(inventory, "web", 2, disks, &err), -1);
    assert_int_not_equal(err.errnum, ENOENT);
    assert_string_equal(err.disk, "vdb");
    inventory_free(inventory);
}

static void a_missing_image_is_told_as_well(void **state)
{
    struct vm_disk disk = {.name = "vda", .format = DISK_FORMAT_QCOW2};
    const struct vm vm = {.id.bytes = {1}, .name = "web", .disk_count = 1, .disks = &disk};
    struct inventory *inventory = NULL;
    struct disk *disks[1] = {0};
    struct error err = {0};

    (void)state;
    (void)snprintf(disk.path, sizeof disk.path, "%s/none.qcow2", folder);
    assert_int_equal(inventory_new_plain(&vm, 1, &inventory, NULL), 0);
    assert_int_equal(open_point(inventory, "web", 1, disks, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_int_equal(err.errnum, ENOENT);
    assert_string_equal(err.disk, "vda");
    assert_non_null(strstr(err.message, "none.qcow2"));
    inventory_free(inventory);
}

static void a_format_that_cannot_be_guessed_is_refused(void **state)
{
    static const char head[] = {'Q', 'F', 'I', '\xfb', 0, 0, 0, 3};
    struct inventory *inventory = make_inventory();
    struct disk *disks[3] = {0};
    struct error err = {0};

    (void)state;
    int fd = open(paths[2], O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, head, sizeof head, 0), sizeof head);
    assert_int_equal(close(fd), 0);
    assert_int_equal(open_point(inventory, "web", 7, disks, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_string_equal(err.disk, "vdc");
    assert_true(is_free(paths[0]));
    inventory_free(inventory);
}

static void a_disk_that_a_vm_writes_to_is_refused(void **state)
{
    struct flock lock = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = QEMU_WRITES, .l_len = 1};
    struct inventory *inventory = make_inventory();
    struct disk *disks[3] = {0};
    struct error err = {0};

    (void)state;
    int fd = open(paths[2], O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_int_equal(open_point(inventory, "web", 7, disks, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_string_equal(err.disk, "vdc");
    assert_non_null(strstr(err.message, paths[2]));
    assert_null(disks[0]);
    assert_true(is_free(paths[0]));
    assert_true(is_free(paths[1]));
    assert_int_equal(close(fd), 0);
    assert_int_equal(open_point(inventory, "web", 4, disks, &err), 0);
    disk_closep(&disks[0]);
    inventory_free(inventory);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(vms_are_found_by_id_and_by_name),
        TEST(a_name_that_two_bear_finds_neither),
        TEST(an_inventory_may_be_empty_but_not_endless),
        TEST(wanted_disks_come_in_the_order_of_their_index),
        TEST(wants_that_no_disk_meets_are_refused),
        TEST(nobody_writes_while_the_point_is_open),
        TEST(a_missing_file_is_told_from_other_errors),
        TEST(a_missing_image_is_told_as_well),
        TEST(a_format_that_cannot_be_guessed_is_refused),
        TEST(a_disk_that_a_vm_writes_to_is_refused),
    };

    return cmocka_run_group_tests_name("vm_plain", tests, NULL, NULL);
}
