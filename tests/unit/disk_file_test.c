/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/disk.h"

#include "disk_places.h"

#include <linux/fs.h>

/* --- reading and writing ---------------------------------------------------------------------- */

static const uint64_t odd_sizes[] = {
    0, 1, 511, 512, 4095, 4096, 4097, 65536 + 1, 3 * MIB + 5,
};

static void what_is_written_is_read_back_at_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(odd_sizes); i++) {
        uint64_t size_bytes = odd_sizes[i];
        char *path = file_path("odd");
        make_file(path, size_bytes);
        struct disk *disk = open_disk(path, true);
        assert_int_equal(disk->size_bytes, size_bytes);
        assert_string_equal(disk->ops->name, "file");
        assert_true(disk->is_writable);
        struct span wrote = drive_buffer(size_bytes);
        drive_fill(wrote, 0, i);
        (void)drive_whole(disk, DISK_WRITE, wrote);
        assert_int_equal(drive_flush(disk), 0);
        enum disk_op ops[] = {DISK_READ, DISK_READ_MEDIUM, DISK_READ};
        for (size_t k = 0; k < ARRAY_COUNT(ops); k++) {
            struct span got = drive_buffer(size_bytes);
            (void)drive_whole(disk, ops[k], got);
            assert_true(fits(got, wrote));
            free(got.at);
        }
        disk_close(disk);
        struct span plain = read_plainly(path, size_bytes);
        assert_true(fits(plain, wrote));
        free(plain.at);
        free(wrote.at);
    }
}

static void tells_what_came_from_the_page_cache(void **state)
{
    (void)state;
    for (size_t i = 1; i < ARRAY_COUNT(odd_sizes); i++) {
        uint64_t size_bytes = odd_sizes[i];
        unsigned int pieces = (unsigned int)((size_bytes + READ_BYTES - 1) / READ_BYTES);
        char *path = file_path("cache");
        make_full_file(path, size_bytes, i);
        struct disk *disk = open_disk(path, false);
        struct span cold = drive_buffer(size_bytes);
        unsigned int cached = drive_whole(disk, DISK_READ, cold);
        assert_true(!has_direct || cached == 0);
        struct span plain = read_plainly(path, size_bytes); /* now it is in the cache */
        struct span warm = drive_buffer(size_bytes);
        assert_int_equal(drive_whole(disk, DISK_READ, warm), pieces);
        assert_int_equal(drive_whole(disk, DISK_READ_MEDIUM, warm), 0);
        assert_true(fits(cold, plain));
        assert_true(fits(warm, plain));
        assert_true(drive_matches(cold, 0, i));
        drop_cache(path);
        cached = drive_whole(disk, DISK_READ, cold);
        assert_true(fits(cold, plain));
        /* The first may have been believed to be there still, and was then. */
        assert_true(!has_direct || cached <= 1);
        disk_close(disk);
        free(cold.at);
        free(warm.at);
        free(plain.at);
    }
}

/* A hole in what is cached: reads that are guessed to be there, and are not, still come out right.
 */
static void reads_right_where_the_cache_ends(void **state)
{
    const uint64_t size_bytes = 12 * MIB;
    char *path = file_path("edge");

    (void)state;
    make_full_file(path, size_bytes, 7);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct span half = drive_buffer(8 * MIB);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0); /* no reading ahead */
    assert_int_equal(pread(fd, half.at, half.len_bytes, 0), half.len_bytes);
    struct disk *disk = open_disk(path, false);
    struct span got = drive_buffer(READ_BYTES);
    unsigned int cached = 0;
    for (uint64_t at = 0; at < size_bytes; at += READ_BYTES) {
        struct disk_request request = {.op = DISK_READ, .offset_bytes = at, .data = got};
        assert_int_equal(drive(disk, &request), 0);
        assert_true(drive_matches(got, at, 7));
        assert_true(at >= 8 * MIB || request.cached);
        cached += request.cached;
    }
    if (has_direct) {
        assert_in_range(cached, 32, 33); /* the first beyond it may be guessed wrong */
    }
    disk_close(disk);
    (void)close(fd);
    free(got.at);
    free(half.at);
}

/* Whoever neither owns a file nor may write to it is told by mincore(2) that all of it is cached.
 */
static void reads_right_where_nobody_tells_what_is_cached(void **state)
{
    const uint64_t size_bytes = 2 * MIB + 77;
    char *path = file_path("foreign");

    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    struct span got = drive_buffer(size_bytes);
    make_full_file(path, size_bytes, 8);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(seteuid(NOBODY), 0);
    struct disk *disk = open_disk(path, false);
    unsigned int cold = drive_whole(disk, DISK_READ, got);
    bool is_right = drive_matches(got, 0, 8);
    unsigned int warm = drive_whole(disk, DISK_READ, got); /* it was read through the cache */
    is_right = is_right && drive_matches(got, 0, 8);
    disk_close(disk);
    assert_int_equal(seteuid(0), 0);
    assert_true(is_right);
    if (has_direct) {
        assert_true(cold < 9);
        assert_int_equal(warm, 9);
    }
    free(got.at);
}

static void polling_wakes_for_what_no_device_announces(void **state)
{
    char *path = file_path("poll");
    struct span got = drive_buffer(64 * KIB);
    static struct extent extents[EXTENTS_MAX];

    (void)state;
    make_full_file(path, 64 * KIB, 9);
    struct disk *disk = open_disk(path, false);
    struct pollfd watch = {0};
    disk_poll_on(disk, &watch.fd, &watch.events);
    assert_int_equal(poll(&watch, 1, 0), 0); /* nothing in flight, nothing to wake for */
    struct span plain = read_plainly(path, 64 * KIB);
    struct disk_request requests[] = {
        {.op = DISK_READ, .data = got},
        {.op = DISK_EXTENTS, .len_bytes = 64 * KIB, .extents = extents},
        {.op = DISK_READ, .data = {got.at, 5}}, /* comes back with an error */
        {.op = DISK_READ_MEDIUM, .data = got},
        {.op = DISK_FLUSH},
    };
    for (size_t i = 0; i < ARRAY_COUNT(requests); i++) {
        disk_submit(disk, &requests[i]);
        disk_poll_on(disk, &watch.fd, &watch.events);
        assert_int_equal(poll(&watch, 1, 30000), 1);
        assert_ptr_equal(drive_reap(disk), &requests[i]);
        assert_int_equal(requests[i].errnum, i == 2 ? EINVAL : 0);
        disk_poll_on(disk, &watch.fd, &watch.events);
        assert_int_equal(poll(&watch, 1, 0), 0);
    }
    disk_close(disk);
    free(plain.at);
    free(got.at);
}

static void takes_more_requests_than_the_kernel_does(void **state)
{
    enum { COUNT = 1500 };
    char *path = file_path("many");
    struct disk_request *requests = calloc(COUNT, sizeof *requests);
    struct span data = drive_buffer(COUNT * PAGE_BYTES);

    (void)state;
    assert_non_null(requests);
    make_full_file(path, COUNT * PAGE_BYTES, 10);
    struct disk *disk = open_disk(path, false);
    for (size_t i = 0; i < COUNT; i++) {
        requests[i] = (struct disk_request){.op = DISK_READ_MEDIUM,
                                            .offset_bytes = i * PAGE_BYTES,
                                            .data = {data.at + i * PAGE_BYTES, PAGE_BYTES}};
        disk_submit(disk, &requests[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(drive_reap(disk)->errnum, 0);
    }
    assert_true(drive_matches(data, 0, 10));
    disk_close(disk);
    free(requests);
    free(data.at);
}

static void closing_waits_for_what_is_in_flight(void **state)
{
    char *path = file_path("close");
    static struct disk_request requests[32];
    struct span data = drive_buffer(32 * READ_BYTES);

    (void)state;
    make_full_file(path, 32 * READ_BYTES, 11);
    struct disk *disk = open_disk(path, false);
    for (size_t i = 0; i < ARRAY_COUNT(requests); i++) {
        requests[i] = (struct disk_request){.op = DISK_READ,
                                            .offset_bytes = i * READ_BYTES,
                                            .data = {data.at + i * READ_BYTES, READ_BYTES}};
        disk_submit(disk, &requests[i]);
    }
    struct pollfd watch;
    disk_poll_on(disk, &watch.fd, &watch.events); /* hands them over */
    disk_close(disk);
    free(data.at); /* under a sanitizer, a late write into this shows */
    disk_close(NULL);
}

static void mistakes_come_back_with_the_request(void **state)
{
    char *path = file_path("wrong");
    struct span data = drive_buffer(2 * MIB);
    struct span odd = {data.at + 512, PAGE_BYTES};

    (void)state;
    make_file(path, 4 * MIB + 10);
    struct disk *disk = open_disk(path, false);
    struct span page = {data.at, PAGE_BYTES};
    struct span part = {data.at, 100};
    struct span tail = {data.at, 10};
    struct span none = {data.at, 0};
    assert_int_equal(drive_data(disk, DISK_WRITE, 0, page), EROFS);
    assert_int_equal(drive_zero(disk, 0, PAGE_BYTES), EROFS);
    assert_int_equal(drive_data(disk, DISK_INVALID, 0, page), EINVAL);
    assert_int_equal(drive_data(disk, DISK_READ, 512, page), EINVAL);
    assert_int_equal(drive_data(disk, DISK_READ, 4 * MIB, page), EINVAL);
    assert_int_equal(drive_data(disk, DISK_READ, 8 * MIB, page), EINVAL);
    assert_int_equal(drive_data(disk, DISK_READ, UINT64_MAX - 4095, page), EINVAL);
    assert_int_equal(drive_data(disk, DISK_READ, 0, part), EINVAL);
    assert_int_equal(drive_data(disk, DISK_READ, 0, none), EINVAL);
    assert_int_equal(drive_data(disk, DISK_READ, 0, odd), EINVAL);
    assert_int_equal(drive_data(disk, DISK_READ, 0, data), EINVAL);
    assert_int_equal(drive_data(disk, DISK_READ, 4 * MIB, tail), 0);
    assert_int_equal(drive_flush(disk), 0);
    disk_close(disk);
    free(data.at);
}

static void a_file_cut_meanwhile_is_an_error_and_never_zeros(void **state)
{
    char *path = file_path("cut");
    struct span data = drive_buffer(READ_BYTES);
    static struct extent extents[EXTENTS_MAX];

    (void)state;
    make_full_file(path, 2 * MIB, 12);
    struct disk *disk = open_disk(path, false);
    assert_int_equal(truncate(path, 1 * MIB), 0);
    assert_int_equal(drive_data(disk, DISK_READ, 1 * MIB, data), ENODATA);
    assert_int_equal(drive_data(disk, DISK_READ, 1 * MIB - PAGE_BYTES, data), ENODATA);
    assert_int_equal(drive_data(disk, DISK_READ_MEDIUM, 1 * MIB, data), ENODATA);
    struct disk_request request = {
        .op = DISK_EXTENTS, .offset_bytes = 1 * MIB, .len_bytes = 1 * MIB, .extents = extents};
    assert_int_equal(drive(disk, &request), ENODATA);
    disk_close(disk);
    free(data.at);
}

/* --- zeros and holes ---------------------------------------------------------------------------
 */

static uint64_t allocated_bytes(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* Zero [from, from + len) of a disk full of data and look at every byte of it. */
static void expect_zeroed(const char *path, uint64_t size_bytes, uint64_t from, uint64_t len)
{
    struct span expected = drive_buffer(size_bytes);
    struct span got = drive_buffer(size_bytes);
    struct disk *disk = open_disk(path, true);

    drive_fill(expected, 0, 13);
    (void)drive_whole(disk, DISK_WRITE, expected);
    memset(expected.at + from, 0, len);
    assert_int_equal(drive_zero(disk, from, len), 0);
    assert_int_equal(drive_flush(disk), 0);
    (void)drive_whole(disk, DISK_READ, got);
    assert_true(fits(got, expected));
    (void)drive_whole(disk, DISK_READ_MEDIUM, got);
    assert_true(fits(got, expected));
    disk_close(disk);
    free(expected.at);
    free(got.at);
}

static void zeroing_changes_its_range_only(void **state)
{
    const uint64_t size_bytes = 3 * MIB + 5;
    char *path = file_path("zero");

    (void)state;
    make_file(path, size_bytes);
    expect_zeroed(path, size_bytes, 0, 64 * KIB);
    expect_zeroed(path, size_bytes, 64 * KIB, 5000);
    expect_zeroed(path, size_bytes, 128 * KIB, 1);
    expect_zeroed(path, size_bytes, 3 * MIB, 5);
    expect_zeroed(path, size_bytes, 1 * MIB, 2 * MIB + 5);
    expect_zeroed(path, size_bytes, 0, size_bytes);
    if (has_direct) { /* a real file system: the space must be free again, the last block too */
        assert_int_equal(allocated_bytes(path), 0);
    }
}

static void zeroing_a_huge_range_ends_soon(void **state)
{
    const uint64_t size_bytes = 2 * TIB + 123;
    char *path = file_path("huge");

    (void)state;
    make_file(path, size_bytes);
    struct disk *disk = open_disk(path, true);
    assert_int_equal(drive_zero(disk, 0, size_bytes), 0); /* within drive_reap's deadline */
    assert_int_equal(drive_zero_bytes(disk, 0, size_bytes), size_bytes);
    disk_close(disk);
    (void)unlink(path);
}

static void a_sparse_disk_is_one_answer(void **state)
{
    const uint64_t size_bytes = 16 * TIB - PAGE_BYTES; /* ext4 ends here */
    const uint64_t at[] = {0, 5 * TIB, size_bytes - PAGE_BYTES};
    char *path = file_path("sparse");
    static struct extent extents[EXTENTS_MAX];
    struct span page = drive_buffer(PAGE_BYTES);

    (void)state;
    make_file(path, size_bytes);
    struct disk *disk = open_disk(path, true);
    struct disk_request request = {.op = DISK_EXTENTS, .len_bytes = size_bytes, .extents = extents};
    assert_int_equal(drive(disk, &request), 0);
    assert_int_equal(request.extent_count, 1);
    assert_true(extents[0].zero);
    assert_int_equal(extents[0].len_bytes, size_bytes);
    drive_fill(page, 0, 14);
    for (size_t i = 0; i < ARRAY_COUNT(at); i++) {
        assert_int_equal(drive_data(disk, DISK_WRITE, at[i], page), 0);
    }
    assert_int_equal(drive(disk, &request), 0);
    assert_int_equal(request.extent_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(extents[i].zero, i % 2 == 1);
        assert_true(i % 2 == 1 || extents[i].offset_bytes <= at[i / 2]);
    }
    assert_true(drive_zero_bytes(disk, 0, size_bytes) >= size_bytes - 3 * MIB);
    disk_close(disk);
    (void)unlink(path);
    free(page.at);
}

static void many_extents_come_in_several_answers(void **state)
{
    enum { ISLANDS = 400 };
    const uint64_t step = 128 * KIB;
    char *path = file_path("islands");
    struct span page = drive_buffer(PAGE_BYTES);

    (void)state;
    make_file(path, ISLANDS * step + 3);
    struct disk *disk = open_disk(path, true);
    for (uint64_t i = 0; i < ISLANDS; i++) {
        assert_int_equal(drive_data(disk, DISK_WRITE, i * step + 64 * KIB, page), 0);
    }
    uint64_t zero_bytes = drive_zero_bytes(disk, 0, disk->size_bytes);
    assert_in_range(zero_bytes, 1, ISLANDS * (step - PAGE_BYTES) + 3);
    assert_true(!has_direct || zero_bytes == ISLANDS * (step - PAGE_BYTES) + 3);
    /* A part of it, that begins and ends within an island and a hole. */
    zero_bytes = drive_zero_bytes(disk, 64 * KIB, 64 * KIB + 777);
    assert_true(!has_direct || zero_bytes == 60 * KIB + 777);
    disk_close(disk);
    free(page.at);
}

/* --- file systems and devices that only root can make -------------------------------------------
 */

static void a_full_file_system_says_so(void **state)
{
    (void)state;
    if (!has_mounts) {
        skip();
    }
    char where[PATH_MAX_HERE];
    (void)snprintf(where, sizeof where, "%s", mount_new("tmpfs", "size=1m"));
    char *path = path_in(where, "full");
    struct span data = drive_buffer(MIB);
    make_file(path, 4 * MIB);
    struct disk *disk = open_disk(path, true);
    drive_fill(data, 0, 15);
    struct span half = {data.at, MIB / 2};
    assert_int_equal(drive_data(disk, DISK_WRITE, 0, half), 0);
    assert_int_equal(drive_data(disk, DISK_WRITE, MIB, data), ENOSPC);
    assert_int_equal(drive_flush(disk), 0); /* no space is no failed flush */
    assert_int_equal(drive_data(disk, DISK_READ, 0, half), 0);
    assert_true(drive_matches(half, 0, 15));
    assert_int_equal(drive_zero(disk, 0, 4 * MIB), 0); /* makes room */
    assert_int_equal(drive_data(disk, DISK_WRITE, MIB, half), 0);
    disk_close(disk);
    free(data.at);
    unmount(where);
}

/* ramfs has neither O_DIRECT nor fallocate(2). */
static void works_without_direct_access_and_without_holes(void **state)
{
    (void)state;
    if (!has_mounts) {
        skip();
    }
    char where[PATH_MAX_HERE];
    (void)snprintf(where, sizeof where, "%s", mount_new("ramfs", NULL));
    char *path = path_in(where, "plain");
    make_file(path, 3 * MIB + 5);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(open(path, O_RDONLY | O_DIRECT | O_CLOEXEC), -1);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    (void)close(fd);
    expect_zeroed(path, 3 * MIB + 5, 0, 3 * MIB + 5);
    expect_zeroed(path, 3 * MIB + 5, 1 * MIB, 5000);
    expect_zeroed(path, 3 * MIB + 5, 3 * MIB, 5);
    unmount(where);
}

static void works_on_tmpfs(void **state)
{
    (void)state;
    if (!has_mounts) {
        skip();
    }
    char where[PATH_MAX_HERE];
    (void)snprintf(where, sizeof where, "%s", mount_new("tmpfs", "size=64m"));
    char *path = path_in(where, "zero");
    make_file(path, 3 * MIB + 5);
    expect_zeroed(path, 3 * MIB + 5, 64 * KIB, 5000);
    unmount(where);
}

static void use_loop(unsigned int block_bytes, uint64_t size_bytes)
{
    struct loop loop = {.fd = -1};
    char *backing = file_path("backing");
    static struct extent extents[EXTENTS_MAX];
    uint8_t identity[DISK_IDENTITY_BYTES];

    make_full_file(backing, size_bytes, 16);
    if (!loop_attach(&loop, backing, block_bytes)) {
        skip();
    }
    struct span got = drive_buffer(size_bytes);
    struct disk *disk = open_disk(loop.path, true);
    assert_string_equal(disk->ops->name, "block");
    assert_int_equal(disk->size_bytes, size_bytes);
    assert_int_equal(disk->block_bytes, block_bytes);
    (void)drive_whole(disk, DISK_READ, got);
    assert_true(drive_matches(got, 0, 16));
    assert_int_equal(disk_identity(disk, true, identity, NULL), 0);
    assert_true(span_is_zero((struct const_span){identity, sizeof identity}));
    struct disk_request request = {.op = DISK_EXTENTS, .len_bytes = size_bytes, .extents = extents};
    assert_int_equal(drive(disk, &request), 0);
    assert_int_equal(request.extent_count, 1);
    assert_false(extents[0].zero);
    assert_int_equal(extents[0].len_bytes, size_bytes);
    /* Exclusively ours: no second one, and no mount. */
    struct disk_open_options again = {.path = loop.path, .write = true};
    expect_refusal(&again, ERR_WRONG_STATE, "is in use");
    disk_close(disk);
    expect_zeroed(loop.path, size_bytes, 64 * KIB, 64 * KIB);
    expect_zeroed(loop.path, size_bytes, 0, 5000); /* ends within a sector */
    expect_zeroed(loop.path, size_bytes, 256 * KIB, size_bytes - 256 * KIB);
    loop_detach(&loop);
    free(got.at);
}

static void extents_are_made_of_whole_pages(void **state)
{
    struct loop loop = {.fd = -1};

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
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 9 * KIB), 1); /* one block of 1 KiB within a page */
    (void)close(fd);
    struct disk *disk = open_disk(path, false);
    assert_int_equal(drive_zero_bytes(disk, 0, 64 * KIB + 1), 60 * KIB + 1);
    disk_close(disk);
    unmount(where);
    loop_detach(&loop);
}

static void block_devices_are_read_written_and_zeroed(void **state)
{
    (void)state;
    if (!has_mounts) {
        skip();
    }
    use_loop(512, 2 * MIB + 512);
    use_loop(4096, 2 * MIB + 4096);
}

/* Whoever writes to the file below a loop device changes the medium behind its page cache. */
static void reading_the_medium_passes_the_cache(void **state)
{
    struct loop loop = {.fd = -1};
    char *backing = file_path("backing");

    (void)state;
    if (!has_mounts) {
        skip();
    }
    make_full_file(backing, READ_BYTES, 17);
    if (!loop_attach(&loop, backing, 512)) {
        skip();
    }
    struct span got = drive_buffer(READ_BYTES);
    struct span plain = drive_buffer(READ_BYTES);
    assert_int_equal(pread(loop.fd, plain.at, READ_BYTES, 0), READ_BYTES); /* now cached */
    struct disk *disk = open_disk(loop.path, true);
    make_full_file(backing, READ_BYTES, 18);
    struct disk_request request = {.op = DISK_READ, .data = got};
    assert_int_equal(drive(disk, &request), 0);
    assert_true(request.cached);
    assert_true(drive_matches(got, 0, 17)); /* the fault is there: the cache is stale */
    request.op = DISK_READ_MEDIUM;
    assert_int_equal(drive(disk, &request), 0);
    assert_false(request.cached);
    assert_true(drive_matches(got, 0, 18));
    disk_close(disk);
    loop_detach(&loop);
    free(plain.at);
    free(got.at);
}

/* The bytes of a file's block, as they are on the device below its file system, made others. */
static void change_on_medium(const char *path, const char *backing, uint64_t at, uint64_t len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int backing_fd = open(backing, O_WRONLY | O_CLOEXEC);

    int block_bytes = 0;
    assert_true(fd >= 0 && backing_fd >= 0);
    assert_int_equal(ioctl(fd, FIGETBSZ, &block_bytes), 0);
    for (uint64_t i = 0; i < len; i++) {
        uint64_t size = (uint64_t)(unsigned int)block_bytes;
        int block = (int)((at + i) / size);
        assert_int_equal(ioctl(fd, FIBMAP, &block), 0);
        assert_true(block > 0);
        off_t place = (off_t)((unsigned int)block * size + (at + i) % size);
        assert_int_equal(pwrite(backing_fd, "#", 1, place), 1);
    }
    (void)close(fd);
    (void)close(backing_fd);
}

/* Read [at, at + len) of a file that is in the page cache and differs on the medium. */
static void expect_medium(struct disk *disk, const char *path, const char *backing, uint64_t at,
                          uint64_t len, bool is_pretended)
{
    struct span got = drive_buffer(len);
    struct disk_request request = {.op = DISK_READ, .offset_bytes = at, .data = got};

    struct span plain = read_plainly(path, disk->size_bytes); /* now all of it is cached */
    free(plain.at);
    change_on_medium(path, backing, at, 5);
    assert_int_equal(drive(disk, &request), 0);
    assert_true(request.cached);
    assert_memory_not_equal(got.at, "#####", 5); /* the fault is there: the cache is stale */
    if (is_pretended && len % PAGE_BYTES == 0) {
        int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
        assert_int_equal(pread(fd, got.at, len, (off_t)at), len);
        assert_memory_not_equal(got.at, "#####", 5); /* and O_DIRECT alone does not help */
        (void)close(fd);
    }
    request.op = DISK_READ_MEDIUM;
    assert_int_equal(drive(disk, &request), 0);
    assert_memory_equal(got.at, "#####", 5);
    free(got.at);
}

static void reads_a_file_from_the_medium(const char *block_bytes, bool journal_data)
{
    /* The last page is the last of four: where there are large folios, it is in one of them. */
    const uint64_t whole_bytes = 5 * MIB + 12 * KIB;
    const uint64_t size_bytes = whole_bytes + 5;
    struct loop loop = {.fd = -1};
    char *backing = file_path("backing");

    if (!has_mounts) {
        skip();
    }
    const char *where = mount_ext4(&loop, backing, 32 * MIB, block_bytes, journal_data);
    if (where == NULL) {
        skip();
    }
    char *path = path_in(where, "disk");
    make_full_file(path, size_bytes, 19);
    sync(); /* the journal too: what is on the medium is there for good */
    struct disk *disk = open_disk(path, true);
    expect_medium(disk, path, backing, 2 * MIB + 12 * KIB, PAGE_BYTES, journal_data);
    expect_medium(disk, path, backing, 0, READ_BYTES, journal_data);
    expect_medium(disk, path, backing, whole_bytes, 5, journal_data);
    expect_medium(disk, path, backing, whole_bytes - PAGE_BYTES, PAGE_BYTES + 5, journal_data);
    disk_close(disk);
    unmount(where);
    loop_detach(&loop);
}

static void the_medium_of_a_file_is_below_the_cache(void **state)
{
    (void)state;
    reads_a_file_from_the_medium("1024", false);
    reads_a_file_from_the_medium("4096", false);
}

static void the_medium_is_read_even_where_direct_access_is_pretended(void **state)
{
    (void)state;
    reads_a_file_from_the_medium("4096", true);
}

/*
 * A flush that fails: an ext4 on a loop device on a tmpfs that has become full, so that what is
 * written back has nowhere to go.
 */
static void after_a_failed_flush_nothing_works(void **state)
{
    struct loop loop = {.fd = -1};
    static struct extent extents[EXTENTS_MAX];
    char below[PATH_MAX_HERE];

    (void)state;
    if (!has_mounts) {
        skip();
    }
    (void)snprintf(below, sizeof below, "%s", mount_new("tmpfs", "size=16m"));
    const char *where = mount_ext4(&loop, path_in(below, "backing"), 64 * MIB, "1024", false);
    if (where == NULL) {
        skip();
    }
    struct span page = drive_buffer(PAGE_BYTES);
    char *path = path_in(where, "disk");
    make_file(path, 5);
    struct disk *disk = open_disk(path, true);
    int fd = open(path_in(below, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, page.at, PAGE_BYTES) > 0) {
    }
    (void)close(fd);
    struct span tail = {page.at, 5};
    assert_int_equal(drive_data(disk, DISK_WRITE, 0, tail), 0); /* goes into the cache */
    struct disk_request flush = {.op = DISK_FLUSH};
    assert_int_not_equal(drive(disk, &flush), 0); /* the fault came */
    assert_int_equal(drive_flush(disk), EIO);     /* and is not forgotten */
    assert_int_equal(drive_data(disk, DISK_READ, 0, tail), EIO);
    assert_int_equal(drive_data(disk, DISK_READ_MEDIUM, 0, tail), EIO);
    assert_int_equal(drive_data(disk, DISK_WRITE, 0, tail), EIO);
    assert_int_equal(drive_zero(disk, 0, 5), EIO);
    struct disk_request request = {.op = DISK_EXTENTS, .len_bytes = 5, .extents = extents};
    assert_int_equal(drive(disk, &request), EIO);
    disk_close(disk);
    assert_int_equal(unlink(path_in(below, "filler")), 0);
    unmount(where);
    loop_detach(&loop);
    unmount(below);
    free(page.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back_at_any_size),
        cmocka_unit_test(tells_what_came_from_the_page_cache),
        cmocka_unit_test(reads_right_where_the_cache_ends),
        cmocka_unit_test(reads_right_where_nobody_tells_what_is_cached),
        cmocka_unit_test(polling_wakes_for_what_no_device_announces),
        cmocka_unit_test(takes_more_requests_than_the_kernel_does),
        cmocka_unit_test(closing_waits_for_what_is_in_flight),
        cmocka_unit_test(mistakes_come_back_with_the_request),
        cmocka_unit_test(a_file_cut_meanwhile_is_an_error_and_never_zeros),
        cmocka_unit_test(zeroing_changes_its_range_only),
        cmocka_unit_test(zeroing_a_huge_range_ends_soon),
        cmocka_unit_test(a_sparse_disk_is_one_answer),
        cmocka_unit_test(many_extents_come_in_several_answers),
        cmocka_unit_test(a_full_file_system_says_so),
        cmocka_unit_test(works_without_direct_access_and_without_holes),
        cmocka_unit_test(works_on_tmpfs),
        cmocka_unit_test(extents_are_made_of_whole_pages),
        cmocka_unit_test(block_devices_are_read_written_and_zeroed),
        cmocka_unit_test(reading_the_medium_passes_the_cache),
        cmocka_unit_test(the_medium_of_a_file_is_below_the_cache),
        cmocka_unit_test(the_medium_is_read_even_where_direct_access_is_pretended),
        cmocka_unit_test(after_a_failed_flush_nothing_works),
    };
    return run_both_ways("disk_file", tests, ARRAY_COUNT(tests));
}
