/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/nbd.h"

#include "disk_drive.h"

#include <signal.h>

#define SEED 7

static char dir[DRIVE_PATH_MAX];
static char socket_path[DRIVE_PATH_MAX + 16];
static char uri[DRIVE_PATH_MAX + 64];
static char image_path[DRIVE_PATH_MAX + 16];

static int setup(void **state)
{
    (void)state;
    drive_temporary(dir, sizeof dir);
    (void)snprintf(socket_path, sizeof socket_path, "%s/s", dir);
    (void)snprintf(uri, sizeof uri, "nbd+unix:///?socket=%s", socket_path);
    (void)snprintf(image_path, sizeof image_path, "%s/disk", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    drive_remove(dir);
    return 0;
}

/* --- servers --------------------------------------------------------------------------------- */

static struct helper *serve(char *const words[])
{
    char *argv[24] = {"nbdkit", "-f", "-U", socket_path};
    size_t count = 4;
    struct helper *helper = NULL;
    struct error err = {.kind = ERR_NONE};

    for (size_t i = 0; words[i] != NULL; i++) {
        assert_true(count + 1 < ARRAY_COUNT(argv));
        argv[count++] = words[i];
    }
    argv[count] = NULL;
    int result = helper_start(argv, socket_path, NULL, &helper, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(result, 0);
    return helper;
}

#define SERVE(...) serve((char *const[]){__VA_ARGS__, NULL})

static struct disk *open_disk(bool write)
{
    struct disk *disk = NULL;
    struct error err = {.kind = ERR_NONE};

    int result = disk_open_nbd(uri, "the disk", write, &disk, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(result, 0);
    assert_string_equal(disk->ops->name, "nbd");
    assert_string_equal(disk->name, "the disk");
    assert_int_equal(disk->block_bytes, 1);
    assert_int_equal(disk->is_writable, write);
    return disk;
}

static void refused(const char *address, bool write, enum error_kind kind, const char *words)
{
    struct disk *disk = NULL;
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(disk_open_nbd(address, "the disk", write, &disk, &err), -1);
    assert_null(disk);
    if (err.kind != kind || strstr(err.message, words) == NULL) {
        print_error("%s: %s: %s\n", address, error_kind_name(err.kind), err.message);
    }
    assert_int_equal(err.kind, kind);
    assert_non_null(strstr(err.message, words));
}

/* --- what works ------------------------------------------------------------------------------ */

static void expect(struct disk *disk, enum disk_op op, uint64_t offset_bytes, size_t len_bytes,
                   uint64_t seed)
{
    struct span data = drive_buffer(len_bytes);

    assert_int_equal(drive_data(disk, op, offset_bytes, data), 0);
    assert_true(drive_matches(data, offset_bytes, seed));
    free(data.at);
}

static void expect_zeros(struct disk *disk, uint64_t offset_bytes, size_t len_bytes)
{
    struct span data = drive_buffer(len_bytes);

    assert_int_equal(drive_data(disk, DISK_READ, offset_bytes, data), 0);
    assert_true(span_is_zero(span_const(data)));
    free(data.at);
}

static void put(struct disk *disk, uint64_t offset_bytes, size_t len_bytes, uint64_t seed)
{
    struct span data = drive_buffer(len_bytes);

    drive_fill(data, offset_bytes, seed);
    assert_int_equal(drive_data(disk, DISK_WRITE, offset_bytes, data), 0);
    free(data.at);
}

/* Every operation at the start, in the middle and at an odd end. */
static void exercise(struct disk *disk)
{
    uint64_t tail = disk->size_bytes / PAGE_BYTES * PAGE_BYTES;
    size_t tail_bytes = (size_t)(disk->size_bytes - tail);

    put(disk, 0, MIB, SEED);
    put(disk, MIB, 12288, SEED);
    if (tail_bytes > 0) {
        put(disk, tail, tail_bytes, SEED);
    }
    assert_int_equal(drive_flush(disk), 0);
    expect(disk, DISK_READ, 0, MIB, SEED);
    expect(disk, DISK_READ_MEDIUM, MIB, 12288, SEED);
    expect_zeros(disk, MIB + 12288, 4096);
    if (tail_bytes > 0) {
        expect(disk, DISK_READ, tail, tail_bytes, SEED);
        assert_int_equal(drive_zero(disk, tail, tail_bytes), 0);
        expect_zeros(disk, tail, tail_bytes);
    }
    /* Its end is inside a page, and what follows must stay. */
    assert_int_equal(drive_zero(disk, 8192, 300 * KIB + 1000), 0);
    assert_int_equal(drive_flush(disk), 0);
    expect(disk, DISK_READ, 0, 8192, SEED);
    struct span all = drive_buffer(MIB);
    struct span expected = drive_buffer(MIB);
    drive_fill(expected, 0, SEED);
    memset(expected.at + 8192, 0, 300 * KIB + 1000);
    assert_int_equal(drive_data(disk, DISK_READ, 0, all), 0);
    assert_memory_equal(all.at, expected.at, MIB);
    free(all.at);
    free(expected.at);
}

static void reads_and_writes_an_odd_size(void **state)
{
    (void)state;
    struct helper *server = SERVE("memory", "size=5243881");
    struct disk *disk = open_disk(true);
    uint8_t identity[DISK_IDENTITY_BYTES];
    static const uint8_t none[DISK_IDENTITY_BYTES];

    assert_int_equal(disk->size_bytes, 5243881);
    exercise(disk);
    memset(identity, 1, sizeof identity);
    assert_int_equal(disk_identity(disk, true, identity, NULL), 0);
    assert_memory_equal(identity, none, sizeof identity);
    disk_close(disk);
    helper_end(server);
}

static void opens_a_disk_of_no_bytes(void **state)
{
    (void)state;
    struct helper *server = SERVE("memory", "size=0");
    struct disk *disk = open_disk(true);

    assert_int_equal(disk->size_bytes, 0);
    assert_int_equal(drive_flush(disk), 0);
    disk_close(disk);
    helper_end(server);
}

static void keeps_to_the_smallest_block_of_the_server(void **state)
{
    (void)state;
    struct helper *server = SERVE("--filter=blocksize-policy", "memory", "size=5243904",
                                  "blocksize-minimum=512", "blocksize-maximum=65536",
                                  "blocksize-preferred=4096", "blocksize-error-policy=error");
    struct disk *disk = open_disk(true);

    exercise(disk);
    (void)drive_zero_bytes(disk, 0, 1000);
    disk_close(disk);
    helper_end(server);
}

static void writes_zeros_where_the_server_cannot_zero(void **state)
{
    (void)state;
    struct helper *server = SERVE("--filter=nozero", "memory", "size=5243881");
    struct disk *disk = open_disk(true);
    exercise(disk);
    disk_close(disk);
    helper_end(server);
}

/* Every 8 bytes of the pattern plugin are their own offset, in big-endian order. */
static void check_pattern(const struct disk_request *request)
{
    for (size_t i = 0; i < request->data.len_bytes; i += 8) {
        uint64_t value = 0;
        memcpy(&value, request->data.at + i, sizeof value);
        assert_int_equal(__builtin_bswap64(value), request->offset_bytes + i);
    }
}

#define MANY 100U

static void serves_many_requests_at_once(void **state)
{
    (void)state;
    struct helper *server = SERVE("-r", "pattern", "size=1G");
    struct disk *disk = open_disk(false);
    static struct disk_request requests[MANY];
    static unsigned seen[MANY];

    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < MANY; i++) {
        size_t len_bytes = i % 3 == 0 ? MIB : (i % 3 + 1) * 64 * KIB;
        requests[i] = (struct disk_request){.op = DISK_READ,
                                            .slot = i,
                                            .offset_bytes = (i * 37 % MANY) * 10 * MIB,
                                            .data = drive_buffer(len_bytes)};
        disk_submit(disk, &requests[i]);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        struct disk_request *request = drive_reap(disk);
        assert_int_equal(request->errnum, 0);
        seen[request->slot]++;
        check_pattern(request);
    }
    assert_null(disk_reap(disk));
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(seen[i], 1);
        free(requests[i].data.at);
    }
    disk_close(disk);
    helper_end(server);
}

static void tells_the_holes_of_a_sparse_export(void **state)
{
    (void)state;
    assert_int_equal(DRIVE_RUN("truncate", "-s", "6G", image_path), 0);
    int fd = open(image_path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "data", 4, 5 * (off_t)GIB), 4);
    (void)close(fd);
    struct helper *server = SERVE("file", image_path);
    struct disk *disk = open_disk(false);

    uint64_t zero_bytes = drive_zero_bytes(disk, 0, 6 * GIB);
    assert_in_range(zero_bytes, 6 * GIB - 64 * KIB, 6 * GIB - 4);
    assert_int_equal(drive_zero_bytes(disk, 5 * GIB, 4096), 0);
    assert_int_equal(drive_zero_bytes(disk, 4096, 1000), 1000);
    disk_close(disk);
    helper_end(server);
}

static void calls_nothing_zero_where_the_server_does_not_tell(void **state)
{
    (void)state;
    struct helper *server = SERVE("--filter=noextents", "memory", "size=64M");
    struct disk *disk = open_disk(false);

    assert_int_equal(drive_zero_bytes(disk, 0, 64 * MIB), 0);
    disk_close(disk);
    helper_end(server);
    (void)unlink(socket_path);
    server = SERVE("--no-sr", "memory", "size=64M"); /* no structured replies, so no contexts */
    disk = open_disk(false);
    assert_int_equal(drive_zero_bytes(disk, 0, 64 * MIB), 0);
    expect_zeros(disk, 0, MIB);
    disk_close(disk);
    helper_end(server);
}

/* Zero ranges that begin and end inside pages shrink to whole pages. */
static void shrinks_odd_holes_to_pages(void **state)
{
    (void)state;
    char list[DRIVE_PATH_MAX + 32];
    char option[DRIVE_PATH_MAX + 64];

    (void)snprintf(list, sizeof list, "%s/extents", dir);
    (void)snprintf(option, sizeof option, "extentlist=%s", list);
    FILE *file = fopen(list, "we");
    assert_non_null(file);
    /* offset, length, type: 1 = hole, 2 = zero, 3 = both; what is not named is a hole and zero */
    (void)fprintf(file, "0 1000 0\n1000 20000 2\n21000 3000 1\n24000 76000 2\n100000 500 0\n");
    (void)fprintf(file, "100500 900000 0\n1000500 1 0\n1000501 47499 3\n");
    assert_int_equal(fclose(file), 0);
    struct helper *server = SERVE("--filter=extentlist", "memory", "size=1048000", option);
    struct disk *disk = open_disk(false);

    /* [1000, 21000) -> [4096, 20480); [24000, 100000) -> [24576, 98304); tail [1003520, 1048000) */
    assert_int_equal(drive_zero_bytes(disk, 0, 1048000), 16384 + 73728 + 44480);
    assert_int_equal(drive_zero_bytes(disk, 0, 4096), 0);
    assert_int_equal(drive_zero_bytes(disk, 4096, 16384), 16384);
    assert_int_equal(drive_zero_bytes(disk, 20480, 4096), 0);
    disk_close(disk);
    helper_end(server);
}

static void tells_more_extents_than_fit_in_one_answer(void **state)
{
    (void)state;
    char list[DRIVE_PATH_MAX + 32];
    char option[DRIVE_PATH_MAX + 64];

    (void)snprintf(list, sizeof list, "%s/extents", dir);
    (void)snprintf(option, sizeof option, "extentlist=%s", list);
    FILE *file = fopen(list, "we");
    assert_non_null(file);
    for (unsigned i = 0; i < 2000; i++) {
        (void)fprintf(file, "%u 4096 %s\n", i * 4096, i % 2 == 0 ? "0" : "3");
    }
    assert_int_equal(fclose(file), 0);
    struct helper *server = SERVE("--filter=extentlist", "memory", "size=8192000", option);
    struct disk *disk = open_disk(false);

    assert_int_equal(drive_zero_bytes(disk, 0, 8192000), 1000 * 4096);
    disk_close(disk);
    helper_end(server);
}

/* --- what is refused ------------------------------------------------------------------------- */

static void refuses_other_addresses(void **state)
{
    (void)state;
    char address[DRIVE_PATH_MAX + 64];
    static const char *const schemes[] = {"nbd://localhost/x",
                                          "nbds://localhost/x",
                                          "nbds+unix:///x?socket=/s",
                                          "nbd+vsock://1/x",
                                          "http://localhost/",
                                          "nbd:unix:/s",
                                          "/etc/passwd",
                                          ""};

    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        refused(schemes[i], false, ERR_USAGE, "only nbd+unix:///EXPORT?socket=PATH");
    }
    refused("nbd+unix:///x", false, ERR_USAGE, "nbd+unix:///EXPORT?socket=PATH");
    (void)snprintf(address, sizeof address, "nbd+unix:///x?socket=%s/none", dir);
    refused(address, false, ERR_IO, "No such file");
    struct helper *server = SERVE("--filter=exportname", "memory", "size=1M", "exportname=good",
                                  "exportname-strict=true");
    (void)snprintf(address, sizeof address, "nbd+unix:///bad?socket=%s", socket_path);
    refused(address, false, ERR_IO, "the disk");
    helper_end(server);
}

static void refuses_to_write_a_read_only_export(void **state)
{
    (void)state;
    struct helper *server = SERVE("-r", "memory", "size=1M");
    struct disk *disk = NULL;
    struct span data = drive_buffer(4096);

    refused(uri, true, ERR_WRONG_STATE, "read-only");
    disk = open_disk(false);
    assert_int_equal(drive_data(disk, DISK_WRITE, 0, data), EROFS);
    assert_int_equal(drive_zero(disk, 0, 4096), EROFS);
    assert_int_equal(drive_flush(disk), 0); /* nothing was written, so all of it is durable */
    disk_close(disk);
    free(data.at);
    helper_end(server);
}

static void refuses_to_write_where_nothing_can_be_flushed(void **state)
{
    (void)state;
    struct helper *server = SERVE("eval", "get_size=echo 1048576", "pread=head -c $3 /dev/zero",
                                  "pwrite=cat >/dev/null", "can_write=exit 0", "can_flush=exit 3");

    refused(uri, true, ERR_WRONG_STATE, "cannot flush");
    helper_end(server);
}

static void refuses_blocks_that_do_not_fit(void **state)
{
    (void)state;
    struct helper *server = SERVE("--filter=blocksize-policy", "memory", "size=1000000",
                                  "blocksize-minimum=4096", "blocksize-preferred=4096");
    refused(uri, false, ERR_WRONG_STATE, "1000000 bytes cannot be reached");
    helper_end(server);
    (void)unlink(socket_path);
    server = SERVE("--filter=blocksize-policy", "memory", "size=1M", "blocksize-minimum=8192",
                   "blocksize-preferred=8192");
    refused(uri, false, ERR_WRONG_STATE, "8192");
    helper_end(server);
}

static void refuses_requests_outside_the_disk(void **state)
{
    (void)state;
    struct helper *server = SERVE("memory", "size=1M");
    struct disk *disk = open_disk(true);
    struct span data = drive_buffer(8192);
    struct disk_request nothing = {.op = DISK_INVALID};

    assert_int_equal(drive_data(disk, DISK_READ, MIB, data), EINVAL);
    assert_int_equal(drive_data(disk, DISK_READ, MIB - 4096, data), EINVAL);
    assert_int_equal(drive_data(disk, DISK_WRITE, UINT64_MAX - 4095, data), EINVAL);
    assert_int_equal(drive_data(disk, DISK_READ, 512, data), EINVAL);
    assert_int_equal(drive_zero(disk, 0, 0), EINVAL);
    assert_int_equal(drive(disk, &nothing), EINVAL);
    expect_zeros(disk, 0, 4096); /* it still works */
    disk_close(disk);
    free(data.at);
    helper_end(server);
}

static void gives_up_on_a_server_that_does_not_answer(void **state)
{
    (void)state;
    /* It listens, and never accepts. */
    char *const argv[] = {"/usr/bin/python3", "-c",
                          "import socket, sys, time\ns = socket.socket(socket.AF_UNIX)\n"
                          "s.bind(sys.argv[1])\ns.listen(5)\ntime.sleep(100)\n",
                          socket_path, NULL};
    struct helper *server = NULL;
    uint64_t before_ns = env_now_ns(env_system());

    assert_int_equal(helper_start(argv, socket_path, NULL, &server, NULL), 0);
    refused(uri, false, ERR_IO, "does not answer");
    assert_true(env_now_ns(env_system()) - before_ns >= HELPER_START_S * NS_PER_S);
    helper_end(server);
}

/* --- what breaks ----------------------------------------------------------------------------- */

static void passes_on_an_error_and_goes_on(void **state)
{
    (void)state;
    char trigger[DRIVE_PATH_MAX + 32];
    char option[DRIVE_PATH_MAX + 64];

    (void)snprintf(trigger, sizeof trigger, "%s/trigger", dir);
    (void)snprintf(option, sizeof option, "error-file=%s", trigger);
    struct helper *server =
        SERVE("--filter=error", "memory", "size=16M", "error=ENOSPC", "error-rate=100%", option);
    struct disk *disk = open_disk(true);
    struct span data = drive_buffer(MIB);

    put(disk, 0, MIB, SEED);
    assert_int_equal(DRIVE_RUN("touch", trigger), 0);
    assert_int_equal(drive_data(disk, DISK_READ, 0, data), ENOSPC);
    assert_int_equal(drive_data(disk, DISK_WRITE, 0, data), ENOSPC);
    assert_int_equal(drive_zero(disk, 0, 8 * MIB), ENOSPC);
    assert_int_equal(unlink(trigger), 0);
    expect(disk, DISK_READ, 0, MIB, SEED);
    disk_close(disk);
    free(data.at);
    helper_end(server);
}

/* One of the four commands of a request fails: so does the request, and no other. */
static void one_failed_part_fails_the_request(void **state)
{
    (void)state;
    struct helper *server =
        SERVE("eval", "get_size=echo 8388608", "thread_model=echo parallel",
              "pread=if [ $4 -eq 524288 ]; then echo EIO bad sector >&2; exit 1; fi; "
              "head -c $3 /dev/zero");
    struct disk *disk = open_disk(false);
    struct span data = drive_buffer(MIB);

    assert_int_equal(drive_data(disk, DISK_READ, 0, data), EIO);
    assert_int_equal(drive_data(disk, DISK_READ, MIB, data), 0);
    assert_int_equal(drive_data(disk, DISK_READ, 512 * KIB, (struct span){data.at, 4096}), EIO);
    assert_int_equal(drive_data(disk, DISK_READ, 0, (struct span){data.at, 512 * KIB}), 0);
    disk_close(disk);
    free(data.at);
    helper_end(server);
}

static void a_failed_flush_is_the_end(void **state)
{
    (void)state;
    struct helper *server =
        SERVE("eval", "get_size=echo 1048576", "can_write=exit 0", "can_flush=exit 0",
              "pread=head -c $3 /dev/zero", "pwrite=cat >/dev/null",
              "flush=echo ENOSPC cannot flush >&2; exit 1");
    struct disk *disk = open_disk(true);
    struct span data = drive_buffer(4096);

    put(disk, 0, 4096, SEED);
    assert_int_equal(drive_flush(disk), ENOSPC);
    assert_int_equal(drive_flush(disk), ENOSPC);
    assert_int_equal(drive_data(disk, DISK_READ, 0, data), ENOSPC);
    assert_int_equal(drive_data(disk, DISK_WRITE, 0, data), ENOSPC);
    disk_close(disk);
    free(data.at);
    helper_end(server);
}

#define DELAYED 32U

static void a_killed_server_fails_every_request_once(void **state)
{
    (void)state;
    struct helper *server = SERVE("--filter=delay", "memory", "size=64M", "rdelay=60");
    struct disk *disk = open_disk(true);
    static struct disk_request requests[DELAYED];
    static unsigned seen[DELAYED];
    struct span data = drive_buffer(4096);

    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < DELAYED; i++) {
        requests[i] = (struct disk_request){
            .op = DISK_READ, .slot = i, .offset_bytes = i * MIB, .data = drive_buffer(MIB)};
        disk_submit(disk, &requests[i]);
    }
    assert_null(disk_reap(disk));
    assert_true(helper_is_running(server));
    assert_int_equal(kill(helper_process_id(server), SIGKILL), 0);
    for (uint32_t i = 0; i < DELAYED; i++) {
        struct disk_request *request = drive_reap(disk);
        assert_int_equal(request->errnum, ENOTCONN);
        seen[request->slot]++;
    }
    for (uint32_t i = 0; i < DELAYED; i++) {
        assert_int_equal(seen[i], 1);
        free(requests[i].data.at);
    }
    assert_null(disk_reap(disk));
    assert_int_equal(drive_data(disk, DISK_READ, 0, data), ENOTCONN);
    assert_int_equal(drive_data(disk, DISK_WRITE, 0, data), ENOTCONN);
    assert_int_equal(drive_flush(disk), ENOTCONN);
    assert_int_equal(drive_zero(disk, 0, MIB), ENOTCONN);
    int fd = 0;
    short events = 0;
    disk_poll_on(disk, &fd, &events);
    assert_true(fd < 0); /* nothing is in flight, and nothing will come */
    assert_false(helper_is_running(server));
    disk_close(disk);
    free(data.at);
    helper_end(server);
}

/* The server is gone before anybody asks for anything. */
static void notices_a_server_that_went_away_while_idle(void **state)
{
    (void)state;
    struct helper *server = SERVE("memory", "size=1M");
    struct disk *disk = open_disk(true);
    struct span data = drive_buffer(4096);

    expect_zeros(disk, 0, 4096);
    helper_end(server);
    assert_int_equal(drive_data(disk, DISK_WRITE, 0, data), ENOTCONN);
    assert_int_equal(drive_flush(disk), ENOTCONN);
    disk_close(disk);
    free(data.at);
}

static void close_waits_for_the_writes_in_flight(void **state)
{
    (void)state;
    struct helper *server = SERVE("--filter=delay", "memory", "size=1M", "wdelay=300ms");
    struct disk *disk = open_disk(true);
    struct disk_request request = {
        .op = DISK_WRITE, .offset_bytes = 4096, .data = drive_buffer(256 * KIB)};
    uint64_t before_ns = env_now_ns(env_system());

    drive_fill(request.data, 4096, SEED);
    disk_submit(disk, &request);
    disk_close(disk);
    free(request.data.at);
    assert_true(env_now_ns(env_system()) - before_ns >= 300 * NS_PER_MS);
    disk = open_disk(false);
    expect(disk, DISK_READ, 4096, 256 * KIB, SEED);
    disk_close(disk);
    helper_end(server);
}

static void close_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct helper *server = SERVE("--filter=delay", "memory", "size=4M", "rdelay=60");
    struct disk *disk = open_disk(false);
    static struct disk_request requests[12];
    uint64_t before_ns = env_now_ns(env_system());

    for (uint32_t i = 0; i < ARRAY_COUNT(requests); i++) {
        requests[i] = (struct disk_request){.op = DISK_READ, .data = drive_buffer(4096)};
        disk_submit(disk, &requests[i]);
    }
    disk_close(disk);
    assert_true(env_now_ns(env_system()) - before_ns < 2 * HELPER_END_S * NS_PER_S);
    for (uint32_t i = 0; i < ARRAY_COUNT(requests); i++) {
        free(requests[i].data.at);
    }
    helper_end(server);
}

/*
 * A server that answers a read with "done", and no bytes: libnbd passes that as a success.
 * Source: NBD protocol, "Structured reply chunk message".
 */
#define EMPTY_SERVER                                                                               \
    "import socket, struct, sys\n"                                                                 \
    "def get(c, n):\n"                                                                             \
    "    b = b''\n"                                                                                \
    "    while len(b) < n:\n"                                                                      \
    "        p = c.recv(n - len(b))\n"                                                             \
    "        if not p: raise EOFError\n"                                                           \
    "        b += p\n"                                                                             \
    "    return b\n"                                                                               \
    "def serve(c):\n"                                                                              \
    "    c.sendall(b'NBDMAGICIHAVEOPT' + struct.pack('>H', 3))\n"                                  \
    "    get(c, 4)\n"                                                                              \
    "    while True:\n"                                                                            \
    "        magic, option, size = struct.unpack('>QII', get(c, 16))\n"                            \
    "        data = get(c, size)\n"                                                                \
    "        def reply(kind, body=b''):\n"                                                         \
    "            c.sendall(struct.pack('>QIII', 0x3e889045565a9, option, kind, len(body)) + "      \
    "body)\n"                                                                                      \
    "        if option == 8: reply(1)\n"                                                           \
    "        elif option == 10: reply(1)\n"                                                        \
    "        elif option == 7:\n"                                                                  \
    "            reply(3, struct.pack('>HQH', 0, 1 << 20, 3))\n"                                   \
    "            reply(1)\n"                                                                       \
    "            break\n"                                                                          \
    "        else: reply((1 << 31) + 1)\n"                                                         \
    "    while True:\n"                                                                            \
    "        magic, flags, kind, cookie, start, size = struct.unpack('>IHHQQI', get(c, 28))\n"     \
    "        if kind == 2: return\n"                                                               \
    "        if start == 0: body, what = b'', 0\n"                                                 \
    "        else: body, what = struct.pack('>Q', start) + b'A' * (size // 2), 1\n"                \
    "        c.sendall(struct.pack('>IHHQI', 0x668e33ef, 1, what, cookie, len(body)) + body)\n"    \
    "s = socket.socket(socket.AF_UNIX)\n"                                                          \
    "s.bind(sys.argv[1])\n"                                                                        \
    "s.listen(5)\n"                                                                                \
    "while True:\n"                                                                                \
    "    try: serve(s.accept()[0])\n"                                                              \
    "    except (EOFError, OSError): pass\n"

static void a_read_reply_without_all_its_bytes_is_an_error(void **state)
{
    (void)state;
    char *const argv[] = {"/usr/bin/python3", "-c", EMPTY_SERVER, socket_path, NULL};
    struct helper *server = NULL;
    struct span data = drive_buffer(8192);

    assert_int_equal(helper_start(argv, socket_path, NULL, &server, NULL), 0);
    struct disk *disk = open_disk(false);
    assert_int_equal(disk->size_bytes, MIB);
    assert_int_equal(drive_data(disk, DISK_READ, 0, data), EIO);    /* no bytes at all */
    assert_int_equal(drive_data(disk, DISK_READ, 8192, data), EIO); /* only half of them */
    assert_true(helper_is_running(server));
    disk_close(disk);
    free(data.at);
    helper_end(server);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(reads_and_writes_an_odd_size),
        WITH_DIR(opens_a_disk_of_no_bytes),
        WITH_DIR(keeps_to_the_smallest_block_of_the_server),
        WITH_DIR(writes_zeros_where_the_server_cannot_zero),
        WITH_DIR(serves_many_requests_at_once),
        WITH_DIR(tells_the_holes_of_a_sparse_export),
        WITH_DIR(calls_nothing_zero_where_the_server_does_not_tell),
        WITH_DIR(shrinks_odd_holes_to_pages),
        WITH_DIR(tells_more_extents_than_fit_in_one_answer),
        WITH_DIR(refuses_other_addresses),
        WITH_DIR(refuses_to_write_a_read_only_export),
        WITH_DIR(refuses_to_write_where_nothing_can_be_flushed),
        WITH_DIR(refuses_blocks_that_do_not_fit),
        WITH_DIR(refuses_requests_outside_the_disk),
        WITH_DIR(gives_up_on_a_server_that_does_not_answer),
        WITH_DIR(passes_on_an_error_and_goes_on),
        WITH_DIR(one_failed_part_fails_the_request),
        WITH_DIR(a_failed_flush_is_the_end),
        WITH_DIR(a_killed_server_fails_every_request_once),
        WITH_DIR(notices_a_server_that_went_away_while_idle),
        WITH_DIR(close_waits_for_the_writes_in_flight),
        WITH_DIR(close_does_not_wait_for_ever),
        WITH_DIR(a_read_reply_without_all_its_bytes_is_an_error),
    };

    if (!drive_has_program("nbdkit") || access("/usr/bin/python3", X_OK) != 0) {
        (void)printf("needs nbdkit and /usr/bin/python3\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
