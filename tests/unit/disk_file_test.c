/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every test of reading and writing runs twice: with io_uring, and in a process to which the kernel
 * refuses it. File systems that behave badly are mounted in a mount namespace of our own, which
 * needs root and leaves nothing behind.
 */
#include "disk/disk.h"

#include "disk_drive.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/loop.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#define PATH_MAX_HERE 300
#define NOBODY 65534U
#define SHADOW_BYTES (6 * MIB + 4096 + 1234)
#define SHADOW_STEPS 3000U
#define SHADOW_FLIGHT 12U

static char folder[128];  /* on a real file system, where O_DIRECT works */
static bool has_mounts;   /* we are root, in our own mount namespace */
static bool has_direct;   /* the folder's file system does O_DIRECT */
static bool without_ring; /* io_uring is refused to this process */

static char *path_in(const char *parent, const char *name)
{
    static char paths[4][PATH_MAX_HERE];
    static unsigned int next;
    char *path = paths[next++ % ARRAY_COUNT(paths)];

    (void)snprintf(path, PATH_MAX_HERE, "%s/%s", parent, name);
    return path;
}

static char *file_path(const char *name)
{
    return path_in(folder, name);
}

/* A new file of so many bytes: all hole. */
static void make_file(const char *path, uint64_t size_bytes)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
    (void)close(fd);
}

/* A new file full of drive_fill()'s bytes, on the disk and not in the page cache. */
static void make_full_file(const char *path, uint64_t size_bytes, uint64_t seed)
{
    struct span data = drive_buffer(size_bytes);

    make_file(path, 0);
    drive_fill(data, 0, seed);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data.at, size_bytes), size_bytes);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    (void)close(fd);
    free(data.at);
}

static void drop_cache(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fdatasync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    (void)close(fd);
}

/* What any other program reads there. */
static struct span read_plainly(const char *path, uint64_t size_bytes)
{
    struct span data = drive_buffer(size_bytes + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t got = 0;

    assert_true(fd >= 0);
    while ((got = read(fd, data.at + used, data.len_bytes - used)) > 0) {
        used += (size_t)got;
    }
    assert_int_equal(used, size_bytes);
    (void)close(fd);
    data.len_bytes = used;
    return data;
}

static struct disk *open_disk(const char *path, bool for_write)
{
    struct disk_open_options options = {
        .path = path, .format = DISK_FORMAT_RAW, .write = for_write};
    struct disk *disk = NULL;
    struct error err = {0};

    if (disk_open_file(&options, &disk, &err) < 0) {
        print_error("%s\n", err.message);
        fail();
    }
    return disk;
}

/* Expects a refusal, whose sentence names the path and holds `words`. */
static void expect_refusal(const struct disk_open_options *options, enum error_kind kind,
                           const char *words)
{
    struct disk *disk = NULL;
    struct error err = {0};

    if (disk_open_file(options, &disk, &err) != -1) {
        fail_msg("%s was opened", options->path);
    }
    if (err.kind != kind || strstr(err.message, words) == NULL ||
        strstr(err.message, options->path) == NULL) {
        fail_msg("kind %s, \"%s\"", error_kind_name(err.kind), err.message);
    }
    assert_null(disk);
    assert_int_equal(disk_open_file(options, &disk, NULL), -1);
}

/* A whole disk, in pieces, all of them in flight at once; returns how many came from the cache. */
static unsigned int drive_whole(struct disk *disk, enum disk_op op, struct span data)
{
    static struct disk_request requests[64];
    unsigned int count = 0;
    unsigned int cached = 0;

    for (uint64_t at = 0; at < data.len_bytes; at += READ_BYTES) {
        uint64_t left = data.len_bytes - at;
        struct span piece = {data.at + at, left < READ_BYTES ? left : READ_BYTES};
        assert_true(count < ARRAY_COUNT(requests));
        requests[count] = (struct disk_request){.op = op, .offset_bytes = at, .data = piece};
        disk_submit(disk, &requests[count++]);
    }
    for (unsigned int i = 0; i < count; i++) {
        struct disk_request *request = drive_reap(disk);
        assert_int_equal(request->errnum, 0);
        cached += request->cached;
    }
    assert_null(disk_reap(disk));
    return cached;
}

static bool fits(struct span a, struct span b)
{
    return a.len_bytes == b.len_bytes &&
           (a.len_bytes == 0 || memcmp(a.at, b.at, a.len_bytes) == 0);
}

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
        if (has_direct) {
            assert_int_equal(drive_whole(disk, DISK_READ, cold), 0);
            assert_true(fits(cold, plain));
        }
        disk_close(disk);
        free(cold.at);
        free(warm.at);
        free(plain.at);
    }
}

/* A hole in what is cached: reads that are guessed to be there, and are not, still come out right. */
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
        /* The first beyond it was guessed wrong, and the kernel read a little ahead for it. */
        assert_in_range(cached, 32, 32 + 6);
    }
    disk_close(disk);
    (void)close(fd);
    free(got.at);
    free(half.at);
}

/* Whoever neither owns a file nor may write to it is told by mincore(2) that all of it is cached. */
static void reads_right_where_nobody_tells_what_is_cached(void **state)
{
    const uint64_t size_bytes = 2 * MIB + 77;
    char *path = file_path("foreign");
    struct span got = drive_buffer(size_bytes);

    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    make_full_file(path, size_bytes, 8);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(seteuid(NOBODY), 0);
    struct disk *disk = open_disk(path, false);
    unsigned int cached = drive_whole(disk, DISK_READ, got);
    assert_true(!has_direct || cached < 9);
    assert_true(drive_matches(got, 0, 8));
    assert_int_equal(drive_whole(disk, DISK_READ, got), 9); /* it was read through the cache */
    assert_true(drive_matches(got, 0, 8));
    disk_close(disk);
    assert_int_equal(seteuid(0), 0);
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
    struct disk_request request = {.op = DISK_EXTENTS,
                                   .offset_bytes = 1 * MIB,
                                   .len_bytes = 1 * MIB,
                                   .extents = extents};
    assert_int_equal(drive(disk, &request), ENODATA);
    disk_close(disk);
    free(data.at);
}

/* --- zeros and holes --------------------------------------------------------------------------- */

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
    struct disk_request request = {
        .op = DISK_EXTENTS, .len_bytes = size_bytes, .extents = extents};
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

/* --- against a shadow --------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % bound;
}

struct flight {
    struct disk_request request;
    struct span buffer;
    struct extent extents[EXTENTS_MAX];
    bool is_used;
};

struct shadow {
    struct disk *disk;
    int fd; /* the test's own, for stirring the page cache */
    struct span bytes;
    struct flight flights[SHADOW_FLIGHT];
    unsigned int in_flight;
};

static uint64_t flight_bytes(const struct flight *flight)
{
    const struct disk_request *r = &flight->request;

    return r->op == DISK_ZERO || r->op == DISK_EXTENTS ? r->len_bytes : r->data.len_bytes;
}

static bool is_free(const struct shadow *s, uint64_t from, uint64_t len)
{
    for (size_t i = 0; i < SHADOW_FLIGHT; i++) {
        const struct flight *f = &s->flights[i];
        if (f->is_used && f->request.offset_bytes < from + len &&
            from < f->request.offset_bytes + flight_bytes(f)) {
            return false;
        }
    }
    return true;
}

/* What a finished request says, against the shadow. */
static void check_flight(struct shadow *s, struct flight *f)
{
    const struct disk_request *r = &f->request;
    uint64_t at = r->offset_bytes;

    assert_int_equal(r->errnum, 0);
    if (r->op == DISK_READ || r->op == DISK_READ_MEDIUM) {
        assert_memory_equal(r->data.at, s->bytes.at + at, r->data.len_bytes);
    }
    for (uint32_t i = 0; r->op == DISK_EXTENTS && i < r->extent_count; i++) {
        const struct extent *e = &f->extents[i];
        assert_int_equal(e->offset_bytes, at);
        at += e->len_bytes;
        assert_true(!e->zero || span_is_zero((struct const_span){s->bytes.at + e->offset_bytes,
                                                                 e->len_bytes}));
    }
    assert_true(r->op != DISK_EXTENTS || at <= r->offset_bytes + r->len_bytes);
    f->is_used = false;
    s->in_flight--;
}

/* A write or zero goes into the shadow when it is submitted: nothing else looks there meanwhile. */
static void apply(struct shadow *s, struct flight *f)
{
    struct disk_request *r = &f->request;

    if (r->op == DISK_WRITE) {
        drive_fill(r->data, r->offset_bytes, random_below(1000));
        memcpy(s->bytes.at + r->offset_bytes, r->data.at, r->data.len_bytes);
    }
    if (r->op == DISK_ZERO) {
        memset(s->bytes.at + r->offset_bytes, 0, r->len_bytes);
    }
}

static void submit_random(struct shadow *s)
{
    const enum disk_op ops[] = {DISK_READ,  DISK_READ, DISK_READ, DISK_READ_MEDIUM, DISK_WRITE,
                                DISK_WRITE, DISK_ZERO, DISK_FLUSH, DISK_EXTENTS};
    struct flight *f = s->flights;
    enum disk_op op = ops[random_below(ARRAY_COUNT(ops))];
    uint64_t from = random_below(SHADOW_BYTES / PAGE_BYTES + 1) * PAGE_BYTES;
    uint64_t len = (1 + random_below(80)) * PAGE_BYTES;

    while (f->is_used) {
        f++;
    }
    if (op == DISK_ZERO || op == DISK_EXTENTS) {
        len -= random_below(PAGE_BYTES);
    }
    len = len > SHADOW_BYTES - from ? SHADOW_BYTES - from : len;
    if (op == DISK_FLUSH) {
        len = 0;
    } else if (!is_free(s, from, len)) {
        return;
    }
    f->is_used = true;
    f->request = (struct disk_request){
        .op = op, .offset_bytes = from, .data = {f->buffer.at, len}, .extents = f->extents};
    if (op == DISK_ZERO || op == DISK_EXTENTS) {
        f->request.len_bytes = len;
    }
    apply(s, f);
    s->in_flight++;
    disk_submit(s->disk, &f->request);
}

static void stir_cache(struct shadow *s)
{
    off_t at = (off_t)(random_below(SHADOW_BYTES / PAGE_BYTES) * PAGE_BYTES);
    off_t len = (off_t)(random_below(100) * PAGE_BYTES);
    char some[4 * PAGE_BYTES];

    if (random_below(2) == 0) {
        assert_int_equal(posix_fadvise(s->fd, at, len, POSIX_FADV_DONTNEED), 0);
    } else {
        assert_true(pread(s->fd, some, sizeof some, at) > 0); /* and the kernel reads ahead */
    }
}

static void run_shadow(const char *path, uint64_t seed)
{
    static struct shadow s;

    print_message("seed %llu\n", (unsigned long long)seed);
    random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
    s = (struct shadow){.bytes = drive_buffer(SHADOW_BYTES)};
    memset(s.bytes.at, 0, SHADOW_BYTES);
    make_file(path, SHADOW_BYTES);
    s.disk = open_disk(path, true);
    s.fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(s.fd >= 0);
    for (size_t i = 0; i < SHADOW_FLIGHT; i++) {
        s.flights[i].buffer = drive_buffer(80 * PAGE_BYTES);
    }
    for (unsigned int step = 0; step < SHADOW_STEPS || s.in_flight > 0; step++) {
        if (step < SHADOW_STEPS && s.in_flight < SHADOW_FLIGHT) {
            submit_random(&s);
        }
        if (step % 16 == 0) {
            stir_cache(&s);
        }
        struct disk_request *done = NULL;
        if (s.in_flight == SHADOW_FLIGHT || (step >= SHADOW_STEPS && s.in_flight > 0)) {
            done = drive_reap(s.disk);
        } else if (random_below(2) == 0) {
            done = disk_reap(s.disk);
        }
        if (done != NULL) {
            check_flight(&s, (struct flight *)((char *)done - offsetof(struct flight, request)));
        }
    }
    disk_close(s.disk);
    struct span plain = read_plainly(path, SHADOW_BYTES);
    assert_true(fits(plain, s.bytes));
    for (size_t i = 0; i < SHADOW_FLIGHT; i++) {
        free(s.flights[i].buffer.at);
    }
    free(plain.at);
    free(s.bytes.at);
    (void)close(s.fd);
}

static void random_requests_agree_with_a_shadow(void **state)
{
    const char *text = getenv("DISK_FILE_SEED");
    uint64_t seed = text == NULL ? 0 : strtoull(text, NULL, 10);

    (void)state;
    if (seed == 0) {
        seed = env_now_ns(env_system()) % 1000000 + 1;
    }
    run_shadow(file_path("shadow"), seed);
}

/* --- opening ----------------------------------------------------------------------------------- */

static void what_is_no_disk_is_refused(void **state)
{
    struct disk_open_options options = {.path = folder};

    (void)state;
    for (int for_write = 0; for_write <= 1; for_write++) {
        options.write = for_write != 0;
        options.path = folder;
        expect_refusal(&options, ERR_IO, "is a directory");
        options.path = file_path("fifo");
        (void)mkfifo(options.path, 0600);
        expect_refusal(&options, ERR_USAGE, "named pipe"); /* and does not wait for a writer */
        options.path = "/dev/null";
        expect_refusal(&options, ERR_USAGE, "character device");
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    options.path = file_path("socket");
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", options.path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    expect_refusal(&options, ERR_USAGE, "socket");
    (void)close(fd);
}

static void what_is_missing_is_named(void **state)
{
    struct disk_open_options options = {.path = file_path("missing")};

    (void)state;
    expect_refusal(&options, ERR_IO, "does not exist");
    options.write = true;
    expect_refusal(&options, ERR_IO, "--create");
    options.path = file_path("no/folder");
    options.create = true;
    expect_refusal(&options, ERR_IO, "its folder cannot be opened");
    options.path = "";
    expect_refusal(&options, ERR_IO, "");
    options.path = file_path("loop");
    assert_int_equal(symlink("loop", options.path), 0);
    expect_refusal(&options, ERR_IO, "symbolic links");
}

static void what_may_not_be_opened_is_named(void **state)
{
    struct disk_open_options options = {.path = file_path("secret")};

    (void)state;
    make_file(options.path, 4096);
    if (geteuid() == 0) {
        assert_int_equal(seteuid(NOBODY), 0);
    } else {
        assert_int_equal(chmod(options.path, 0), 0);
    }
    expect_refusal(&options, ERR_IO, "may not be opened for reading by this user");
    options.write = true;
    expect_refusal(&options, ERR_IO, "may not be opened for writing by this user");
    options.path = path_in("/proc/1/fd", "0"); /* what may not even be looked at */
    expect_refusal(&options, ERR_IO, "may not be opened");
    if (getuid() == 0) {
        assert_int_equal(seteuid(0), 0);
    }
}

static uint64_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static void open_and_close(const struct disk_open_options *options, uint64_t expected_bytes)
{
    struct disk *disk = NULL;
    struct error err = {0};

    if (disk_open_file(options, &disk, &err) < 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(disk->size_bytes, expected_bytes);
    disk_close(disk);
    assert_int_equal(size_of(options->path), expected_bytes);
}

static void creates_grows_and_shrinks_as_told(void **state)
{
    struct disk_open_options options = {
        .path = file_path("made"), .write = true, .create = true, .size_bytes = 1 * MIB + 1};
    struct stat st;

    (void)state;
    open_and_close(&options, 1 * MIB + 1);
    assert_int_equal(stat(options.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_blocks, 0);
    open_and_close(&options, 1 * MIB + 1); /* is there already, and right */
    options.size_bytes = 2 * MIB;
    open_and_close(&options, 2 * MIB);
    options.size_bytes = 5;
    expect_refusal(&options, ERR_WRONG_STATE, "--shrink");
    assert_int_equal(size_of(options.path), 2 * MIB);
    options.shrink = true;
    open_and_close(&options, 5);
    options.size_bytes = 0;
    open_and_close(&options, 0);
    /* Without create (or write) the size is not our affair. */
    options = (struct disk_open_options){.path = options.path, .size_bytes = 77};
    open_and_close(&options, 0);
    options.write = true;
    open_and_close(&options, 0);
}

static void a_name_without_a_folder_is_made_here(void **state)
{
    struct disk_open_options options = {
        .path = "here.raw", .write = true, .create = true, .size_bytes = 4096};
    char before[PATH_MAX_HERE];

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    open_and_close(&options, 4096);
    assert_int_equal(size_of(file_path("here.raw")), 4096);
    assert_int_equal(chdir(before), 0);
}

static void a_creation_that_fails_leaves_nothing(void **state)
{
    struct disk_open_options options = {
        .path = file_path("unmade"), .write = true, .create = true, .size_bytes = 1ULL << 62};

    (void)state;
    expect_refusal(&options, ERR_LIMIT, "cannot make");
    assert_int_equal(access(options.path, F_OK), -1);
    options.size_bytes = UINT64_MAX;
    expect_refusal(&options, ERR_IO, "cannot make");
    assert_int_equal(access(options.path, F_OK), -1);
    options.path = file_path("dangling");
    options.size_bytes = 4096;
    assert_int_equal(symlink("nowhere", options.path), 0);
    expect_refusal(&options, ERR_WRONG_STATE, "symbolic link to nothing");
    assert_int_equal(access(file_path("nowhere"), F_OK), -1);
}

static void an_image_is_not_opened_as_raw_unless_told(void **state)
{
    struct disk_open_options options = {
        .path = file_path("image.img"), .write = true, .create = true, .size_bytes = 4096};

    (void)state;
    make_file(options.path, 8192);
    int fd = open(options.path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "QFI\xfb", 4), 4);
    (void)close(fd);
    options.shrink = true;
    expect_refusal(&options, ERR_USAGE, "--format=qcow2");
    assert_int_equal(size_of(options.path), 8192); /* looked at before anything was changed */
    options.format = DISK_FORMAT_RAW;
    open_and_close(&options, 4096);
}

static void a_disk_in_use_is_refused_before_it_is_changed(void **state)
{
    struct disk_open_options options = {
        .path = file_path("used"), .write = true, .create = true, .shrink = true};

    (void)state;
    make_file(options.path, 8192);
    struct disk *disk = open_disk(options.path, false);
    expect_refusal(&options, ERR_WRONG_STATE, "another resilver");
    assert_int_equal(size_of(options.path), 8192);
    disk_close(disk);
    disk = open_disk(options.path, true);
    expect_refusal(&options, ERR_WRONG_STATE, "open for writing");
    options.write = false;
    expect_refusal(&options, ERR_WRONG_STATE, "snapshot");
    disk_close(disk);
    disk = open_disk(options.path, false);
    disk_close(disk);
}

/* --- identity ----------------------------------------------------------------------------------- */

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

/* --- file systems and devices that only root can make ------------------------------------------- */

static const char *mount_new(const char *type, const char *options)
{
    char *path = file_path(type);

    (void)mkdir(path, 0700);
    assert_int_equal(mount("none", path, type, 0, options), 0);
    return path;
}

static void unmount(const char *path)
{
    assert_int_equal(umount2(path, 0), 0);
}

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
    run_shadow(path_in(where, "shadow"), 4711);
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
    run_shadow(path_in(where, "shadow"), 4712);
    unmount(where);
}

struct loop {
    char path[64];
    int fd; /* the device goes when nobody has it open any more */
};

static bool loop_attach(struct loop *loop, const char *backing, unsigned int block_bytes)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int backing_fd = open(backing, O_RDWR | O_CLOEXEC);
    struct loop_config config = {.fd = (__u32)backing_fd,
                                 .block_size = block_bytes,
                                 .info.lo_flags = LO_FLAGS_AUTOCLEAR};

    for (int tries = 0; control >= 0 && backing_fd >= 0 && tries < 20; tries++) {
        int index = ioctl(control, LOOP_CTL_GET_FREE);
        (void)snprintf(loop->path, sizeof loop->path, "/dev/loop%d", index);
        loop->fd = open(loop->path, O_RDWR | O_CLOEXEC);
        if (loop->fd >= 0 && ioctl(loop->fd, LOOP_CONFIGURE, &config) == 0) {
            (void)close(control);
            (void)close(backing_fd);
            return true;
        }
        (void)close(loop->fd); /* somebody else took it between the two calls */
    }
    (void)close(control);
    (void)close(backing_fd);
    return false;
}

static void loop_detach(struct loop *loop)
{
    (void)close(loop->fd);
}

static void use_loop(unsigned int block_bytes, uint64_t size_bytes)
{
    struct loop loop = {.fd = -1};
    char *backing = file_path("backing");
    struct span got = drive_buffer(size_bytes);
    static struct extent extents[EXTENTS_MAX];
    uint8_t identity[DISK_IDENTITY_BYTES];

    make_full_file(backing, size_bytes, 16);
    if (!loop_attach(&loop, backing, block_bytes)) {
        skip();
    }
    struct disk *disk = open_disk(loop.path, true);
    assert_string_equal(disk->ops->name, "block");
    assert_int_equal(disk->size_bytes, size_bytes);
    assert_int_equal(disk->block_bytes, block_bytes);
    (void)drive_whole(disk, DISK_READ, got);
    assert_true(drive_matches(got, 0, 16));
    get_identity(disk, true, identity);
    assert_true(is_same(identity, no_identity));
    struct disk_request request = {
        .op = DISK_EXTENTS, .len_bytes = size_bytes, .extents = extents};
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
    struct span got = drive_buffer(READ_BYTES);

    (void)state;
    if (!has_mounts) {
        skip();
    }
    make_full_file(backing, READ_BYTES, 17);
    if (!loop_attach(&loop, backing, 512)) {
        skip();
    }
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

/* An ext4 with small blocks and small inodes on a loop device; where it is mounted. */
static const char *mount_ext4(struct loop *loop, const char *backing, uint64_t size_bytes)
{
    char *where = file_path("ext4");

    make_file(backing, size_bytes);
    if (DRIVE_RUN("mkfs.ext4", "-q", "-b", "1024", "-I", "128", "-E",
                  "nodiscard,lazy_itable_init=0", "-O", "^has_journal", (char *)backing) != 0 ||
        !loop_attach(loop, backing, 512)) {
        return NULL;
    }
    (void)mkdir(where, 0700);
    assert_int_equal(mount(loop->path, where, "ext4", 0, NULL), 0);
    return where;
}

static void a_mounted_device_is_no_target(void **state)
{
    struct loop loop = {.fd = -1};

    (void)state;
    if (!has_mounts) {
        skip();
    }
    const char *where = mount_ext4(&loop, file_path("backing"), 8 * MIB);
    if (where == NULL) {
        skip();
    }
    struct disk_open_options options = {.path = loop.path, .write = true};
    expect_refusal(&options, ERR_WRONG_STATE, "is mounted");
    struct disk *disk = open_disk(loop.path, false); /* reading it is allowed */
    disk_close(disk);
    unmount(where);
    disk = open_disk(loop.path, true);
    options.create = true;
    options.size_bytes = 16 * MIB;
    disk_close(disk);
    expect_refusal(&options, ERR_WRONG_STATE, "block device of 8388608 bytes");
    loop_detach(&loop);
}

static void a_file_system_of_small_blocks_and_whole_seconds(void **state)
{
    struct loop loop = {.fd = -1};
    uint8_t identity[DISK_IDENTITY_BYTES];

    (void)state;
    if (!has_mounts) {
        skip();
    }
    const char *where = mount_ext4(&loop, file_path("backing"), 32 * MIB);
    if (where == NULL) {
        skip();
    }
    char *path = path_in(where, "disk");
    make_file(path, 64 * KIB + 1);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 9 * KIB), 1); /* one block of 1 KiB within a page */
    (void)close(fd);
    struct disk *disk = open_disk(path, true);
    assert_int_equal(drive_zero_bytes(disk, 0, 64 * KIB + 1), 60 * KIB + 1);
    get_identity(disk, true, identity); /* its times cannot hold a mark */
    assert_true(is_same(identity, no_identity));
    disk_close(disk);
    run_shadow(path_in(where, "shadow"), 4713);
    unmount(where);
    loop_detach(&loop);
}

/*
 * A flush that fails: an ext4 on a loop device on a tmpfs that has become full, so that what is
 * written back has nowhere to go.
 */
static void after_a_failed_flush_nothing_works(void **state)
{
    struct loop loop = {.fd = -1};
    struct span page = drive_buffer(PAGE_BYTES);
    static struct extent extents[EXTENTS_MAX];
    char below[PATH_MAX_HERE];

    (void)state;
    if (!has_mounts) {
        skip();
    }
    (void)snprintf(below, sizeof below, "%s", mount_new("tmpfs", "size=16m"));
    const char *where = mount_ext4(&loop, path_in(below, "backing"), 64 * MIB);
    if (where == NULL) {
        skip();
    }
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
    assert_int_equal(drive(disk, &flush), EIO); /* the fault came */
    assert_int_equal(drive_flush(disk), EIO);   /* and is not forgotten */
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

/* --- all of it ------------------------------------------------------------------------------------ */

static pid_t second_pid; /* the process without io_uring */

static void the_same_without_io_uring(void **state)
{
    int status = -1;

    (void)state;
    assert_int_equal(waitpid(second_pid, &status, 0), second_pid);
    assert_int_equal(status, 0);
}

/* From here on this process, for all it knows, runs on a kernel that forbids io_uring. */
static bool refuse_io_uring(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_COUNT(filter), .filter = filter};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
           syscall(SYS_io_uring_setup, 1, NULL) == -1 && errno == EPERM;
}

static int make_folder(void **state)
{
    const char *parent = getenv("TMPDIR");

    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/disk_file_test.XXXXXX",
                   parent != NULL ? parent : "/var/tmp");
    if (mkdtemp(folder) == NULL || chmod(folder, 0755) != 0) {
        return -1;
    }
    has_mounts = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
                 mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    make_file(file_path("probe"), PAGE_BYTES);
    struct span page = drive_buffer(PAGE_BYTES);
    int fd = open(file_path("probe"), O_RDONLY | O_DIRECT | O_CLOEXEC);
    has_direct = fd >= 0 && pread(fd, page.at, PAGE_BYTES, 0) == (ssize_t)PAGE_BYTES &&
                 system("stat -f -c %T / >/dev/null") == 0;
    (void)close(fd);
    free(page.at);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    drive_remove(folder);
    return 0;
}

static const struct CMUnitTest both_ways[] = {
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
    cmocka_unit_test(random_requests_agree_with_a_shadow),
    cmocka_unit_test(a_full_file_system_says_so),
    cmocka_unit_test(works_without_direct_access_and_without_holes),
    cmocka_unit_test(works_on_tmpfs),
    cmocka_unit_test(block_devices_are_read_written_and_zeroed),
    cmocka_unit_test(reading_the_medium_passes_the_cache),
    cmocka_unit_test(after_a_failed_flush_nothing_works),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(what_is_no_disk_is_refused),
    cmocka_unit_test(what_is_missing_is_named),
    cmocka_unit_test(what_may_not_be_opened_is_named),
    cmocka_unit_test(creates_grows_and_shrinks_as_told),
    cmocka_unit_test(a_name_without_a_folder_is_made_here),
    cmocka_unit_test(a_creation_that_fails_leaves_nothing),
    cmocka_unit_test(an_image_is_not_opened_as_raw_unless_told),
    cmocka_unit_test(a_disk_in_use_is_refused_before_it_is_changed),
    cmocka_unit_test(fresh_times_are_no_evidence),
    cmocka_unit_test(a_stamped_disk_shows_any_later_write),
    cmocka_unit_test(two_files_and_two_sizes_differ),
    cmocka_unit_test(old_times_are_evidence),
    cmocka_unit_test(a_mounted_device_is_no_target),
    cmocka_unit_test(a_file_system_of_small_blocks_and_whole_seconds),
    cmocka_unit_test(the_same_without_io_uring),
};

int main(void)
{
    second_pid = fork();
    if (second_pid == 0) {
        without_ring = refuse_io_uring();
        if (!without_ring) {
            return 1;
        }
        return cmocka_run_group_tests_name("disk_file without io_uring", both_ways, make_folder,
                                           remove_folder);
    }
    int failed = cmocka_run_group_tests_name("disk_file", both_ways, make_folder, remove_folder);
    return failed + cmocka_run_group_tests_name("disk_file opening", once, make_folder,
                                                remove_folder);
}
