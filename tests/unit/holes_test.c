/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/holes.h"

#include "disk_places.h"

#define PIECE (256 * KIB)

/* FIEMAP is asked; where the file system does not know it, the answer is always "yes". */
static bool has_map(const char *path)
{
    struct statfs fs;

    assert_int_equal(statfs(path, &fs), 0);
    return fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == 0x58465342 /* XFS */ ||
           fs.f_type == BTRFS_SUPER_MAGIC;
}

static void what_was_never_written_is_not_allocated(void **state)
{
    char *path = file_path("holes");
    struct span data = drive_buffer(PIECE);

    (void)state;
    make_file(path, 8 * PIECE);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    drive_fill(data, 0, 1);
    assert_int_equal(pwrite(fd, data.at, PIECE, 2 * PIECE), PIECE);
    assert_int_equal(fsync(fd), 0);
    if (!has_map(path)) {
        print_message("not asked here: this file system has no FIEMAP\n");
        (void)close(fd);
        free(data.at);
        skip();
    }
    assert_true(holes_is_allocated(fd, 2 * PIECE, PIECE));
    assert_true(holes_is_allocated(fd, 2 * PIECE + PAGE_BYTES, PAGE_BYTES));
    assert_false(holes_is_allocated(fd, 0, PIECE));
    assert_false(holes_is_allocated(fd, PIECE, 2 * PIECE));              /* begins in a hole */
    assert_false(holes_is_allocated(fd, 3 * PIECE - PAGE_BYTES, PIECE)); /* ends in one */
    assert_int_equal(fallocate(fd, 0, 4 * PIECE, PIECE), 0);
    assert_false(holes_is_allocated(fd, 4 * PIECE, PIECE)); /* blocks that read as zeros */
    assert_int_equal(
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * PIECE, PAGE_BYTES), 0);
    assert_false(holes_is_allocated(fd, 2 * PIECE, PIECE));
    (void)close(fd);
    free(data.at);
}

static void no_map_counts_as_allocated(void **state)
{
    int fd = memfd_create("holes", MFD_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)PIECE), 0);
    assert_true(holes_is_allocated(fd, 0, PIECE));
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_never_written_is_not_allocated),
        cmocka_unit_test(no_map_counts_as_allocated),
    };

    return cmocka_run_group_tests_name("holes", tests, make_folder, remove_folder);
}
