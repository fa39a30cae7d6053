/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random requests, many in flight, none overlapping another that writes, beside a copy in memory
 * that tells what must come back. The page cache is filled and emptied meanwhile.
 */
#include "disk/disk.h"

#include "disk_places.h"

#define SHADOW_BYTES (6 * MIB + 4096 + 1234)
#define SHADOW_STEPS 1500U
#define SHADOW_FLIGHT 12U

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
        assert_true(!e->zero ||
                    span_is_zero((struct const_span){s->bytes.at + e->offset_bytes, e->len_bytes}));
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
    const enum disk_op ops[] = {DISK_READ,  DISK_READ, DISK_READ,  DISK_READ_MEDIUM, DISK_WRITE,
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

/* Another one each time; DISK_SHADOW_SEED=n repeats one. */
static uint64_t seed_of_run(void)
{
    const char *text = getenv("DISK_SHADOW_SEED");
    uint64_t seed = text == NULL ? 0 : strtoull(text, NULL, 10);

    return seed != 0 ? seed : env_now_ns(env_system()) % 1000000 + 1;
}

static void agree_on_a_file(void **state)
{
    (void)state;
    run_shadow(file_path("shadow"), seed_of_run());
}

/* A new file system for each; what they cannot do (see disk_file_test.c) must not show. */
static void on_a_mounted(const char *type, const char *options, uint64_t seed)
{
    if (!has_mounts) {
        skip();
    }
    char where[PATH_MAX_HERE];
    (void)snprintf(where, sizeof where, "%s", mount_new(type, options));
    run_shadow(path_in(where, "shadow"), seed);
    unmount(where);
}

static void agree_on_ramfs(void **state)
{
    (void)state;
    on_a_mounted("ramfs", NULL, seed_of_run());
}

static void agree_on_tmpfs(void **state)
{
    (void)state;
    on_a_mounted("tmpfs", "size=64m", seed_of_run());
}

static void agree_on_small_blocks(void **state)
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
    run_shadow(path_in(where, "shadow"), seed_of_run());
    unmount(where);
    loop_detach(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agree_on_a_file),
        cmocka_unit_test(agree_on_ramfs),
        cmocka_unit_test(agree_on_tmpfs),
        cmocka_unit_test(agree_on_small_blocks),
    };
    return run_both_ways("disk_shadow", tests, ARRAY_COUNT(tests));
}
