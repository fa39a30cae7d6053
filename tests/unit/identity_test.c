/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/identity.h"

#include "disk_places.h"

static const uint8_t no_identity[DISK_IDENTITY_BYTES];

static void get_identity(struct disk *disk, bool stamp, uint8_t identity[DISK_IDENTITY_BYTES])
{
    struct error err = {0};

    memset(identity, 0xaa, DISK_IDENTITY_BYTES);
    assert_int_equal(disk_identity(disk, stamp, identity, &err), 0);
}

static bool is_same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, DISK_IDENTITY_BYTES) == 0;
}

static void fresh_times_are_no_evidence(void **state)
{
    char *path = file_path("identity");
    uint8_t identity[DISK_IDENTITY_BYTES];
    struct timespec future[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = 32000000000LL}};

    (void)state;
    make_file(path, 5000);
    struct disk *disk = open_disk(path, false);
    get_identity(disk, false, identity);
    assert_true(is_same(identity, no_identity));
    assert_int_equal(utimensat(AT_FDCWD, path, future, 0), 0);
    get_identity(disk, false, identity);
    assert_true(is_same(identity, no_identity));
    disk_close(disk);
}

static void a_stamped_disk_shows_any_later_write(void **state)
{
    char *path = file_path("identity");
    uint8_t stamped[DISK_IDENTITY_BYTES];
    uint8_t later[DISK_IDENTITY_BYTES];
    struct span data = drive_buffer(PAGE_BYTES);

    (void)state;
    make_file(path, 8192);
    struct disk *disk = open_disk(path, true);
    for (int round = 0; round < 20; round++) {
        assert_int_equal(drive_data(disk, DISK_WRITE, 0, data), 0);
        assert_int_equal(drive_flush(disk), 0);
        get_identity(disk, true, stamped);
        assert_false(is_same(stamped, no_identity));
        get_identity(disk, false, later); /* nothing wrote: the same, however soon */
        assert_true(is_same(stamped, later));
        assert_int_equal(drive_data(disk, DISK_WRITE, 0, data), 0); /* at once, the same bytes */
        get_identity(disk, false, later);
        assert_false(is_same(stamped, later));
    }
    get_identity(disk, true, stamped);
    disk_close(disk);
    disk = open_disk(path, false); /* opening, reading and closing leaves it */
    assert_int_equal(drive_data(disk, DISK_READ, 0, data), 0);
    get_identity(disk, false, later);
    assert_true(is_same(stamped, later));
    disk_close(disk);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 8191), 1); /* somebody else, one byte */
    (void)close(fd);
    disk = open_disk(path, false);
    get_identity(disk, false, later);
    assert_false(is_same(stamped, later));
    disk_close(disk);
    free(data.at);
}

static void two_files_and_two_sizes_differ(void **state)
{
    char *a = file_path("identity-a");
    char *b = file_path("identity-b");
    uint8_t identities[3][DISK_IDENTITY_BYTES];

    (void)state;
    make_file(a, 8192);
    make_file(b, 8192);
    struct disk *disk = open_disk(a, true);
    get_identity(disk, true, identities[0]);
    disk_close(disk);
    disk = open_disk(b, true);
    get_identity(disk, true, identities[1]);
    disk_close(disk);
    assert_int_equal(truncate(a, 4096), 0);
    disk = open_disk(a, true);
    get_identity(disk, true, identities[2]);
    disk_close(disk);
    for (int i = 0; i < 3; i++) {
        assert_false(is_same(identities[i], no_identity));
        assert_false(is_same(identities[i], identities[(i + 1) % 3]));
    }
}

static void a_fingerprint_shows_that_the_content_changed(void **state)
{
    char *path = file_path("identity");
    uint8_t before[DISK_IDENTITY_BYTES];
    uint8_t after[DISK_IDENTITY_BYTES];
    struct timespec past[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};

    (void)state;
    make_file(path, 5000);
    assert_int_equal(utimensat(AT_FDCWD, path, past, 0), 0);
    struct disk *disk = open_disk(path, false);
    assert_int_equal(disk_fingerprint(disk, before, NULL), 0);
    assert_false(is_same(before, no_identity));
    assert_int_equal(chmod(path, 0640), 0); /* the file, and not its content */
    assert_int_equal(disk_fingerprint(disk, after, NULL), 0);
    assert_true(is_same(before, after));
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 4999), 1);
    (void)close(fd);
    assert_int_equal(disk_fingerprint(disk, after, NULL), 0);
    assert_false(is_same(before, after));
    disk_close(disk);
}

/* Times that are long past are evidence without any mark. Nobody can set a ctime, so we wait. */
static void old_times_are_evidence(void **state)
{
    char *path = file_path("identity-old");
    uint8_t first[DISK_IDENTITY_BYTES];
    uint8_t second[DISK_IDENTITY_BYTES];
    uint64_t deadline_ns = drive_deadline();

    (void)state;
    make_file(path, 4096);
    struct disk *disk = open_disk(path, false);
    do {
        assert_true(env_now_ns(env_system()) < deadline_ns);
        (void)poll(NULL, 0, 50);
        get_identity(disk, false, first);
    } while (is_same(first, no_identity));
    get_identity(disk, false, second);
    assert_true(is_same(first, second));
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    (void)close(fd);
    get_identity(disk, false, second);
    assert_true(is_same(second, no_identity));
    disk_close(disk);
}

static void whole_seconds_hold_no_mark(void **state)
{
    struct loop loop = {.fd = -1};
    uint8_t identity[DISK_IDENTITY_BYTES];

    (void)state;
    if (!has_mounts) {
        skip();
    }
    const char *where = mount_ext4(&loop, file_path("backing"), 32 * MIB, "1024", false);
    if (where == NULL) {
        skip();
    }
    char *path = path_in(where, "disk");
    make_file(path, 64 * KIB + 1);
    struct disk *disk = open_disk(path, true);
    get_identity(disk, true, identity);
    assert_true(is_same(identity, no_identity));
    disk_close(disk);
    unmount(where);
    loop_detach(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_times_are_no_evidence),
        cmocka_unit_test(a_stamped_disk_shows_any_later_write),
        cmocka_unit_test(two_files_and_two_sizes_differ),
        cmocka_unit_test(a_fingerprint_shows_that_the_content_changed),
        cmocka_unit_test(old_times_are_evidence),
        cmocka_unit_test(whole_seconds_hold_no_mark),
    };
    return cmocka_run_group_tests_name("identity", tests, make_folder, remove_folder);
}
