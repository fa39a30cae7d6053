/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/nbd_export.h"

#include "disk_drive.h"

#include <libnbd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SEED 11
#define MEMORY_BYTES (9 * MIB + 1234)
#define ZERO_START (4 * MIB) /* of the disk in memory: reads as zeros, and says so */
#define ZERO_END (6 * MIB)
#define PATIENCE_MS 300
#define CONNECTIONS 4

static char dir[DRIVE_PATH_MAX];
static char socket_path[DRIVE_PATH_MAX + 16];
static char image_path[DRIVE_PATH_MAX + 16];
static char copy_path[DRIVE_PATH_MAX + 16];

/* --- a disk in memory ------------------------------------------------------------------------ */

/* Answers the youngest request first, and none while it is held. */
struct memory {
    struct disk disk;
    struct disk_request *stack;
    int event_fd; /* polled while held; written to by the test's thread */
    atomic_bool is_held;
    atomic_uint waiting_count;
    atomic_uint failed_count;
    uint64_t fail_start; /* reads that touch this range fail */
    uint64_t fail_end;
};

static struct memory memory;

static void memory_submit(struct disk *disk, struct disk_request *request)
{
    struct memory *m = (struct memory *)disk;
    size_t len_bytes = request->data.len_bytes;

    if (request->op == DISK_READ) {
        /* What disk.h demands of a read. */
        assert_int_equal(request->offset_bytes % PAGE_BYTES, 0);
        assert_int_equal((uintptr_t)request->data.at % DISK_BUFFER_ALIGN, 0);
        assert_true(len_bytes > 0 && len_bytes <= MIB);
        assert_true(request->offset_bytes + len_bytes <= disk->size_bytes);
        assert_true(len_bytes % PAGE_BYTES == 0 ||
                    request->offset_bytes + len_bytes == disk->size_bytes);
    } else {
        assert_int_equal(request->op, DISK_EXTENTS);
        assert_int_equal(request->offset_bytes % PAGE_BYTES, 0);
        assert_true(request->len_bytes > 0);
        assert_true(request->offset_bytes + request->len_bytes <= disk->size_bytes);
    }
    request->next = m->stack;
    m->stack = request;
    atomic_fetch_add(&m->waiting_count, 1);
}

static void memory_content(struct span data, uint64_t offset_bytes)
{
    drive_fill(data, offset_bytes, SEED);
    for (size_t i = 0; i < data.len_bytes; i++) {
        uint64_t at = offset_bytes + i;
        data.at[i] = at >= ZERO_START && at < ZERO_END ? 0 : data.at[i];
    }
}

/* One extent after the other, each at most 3 MiB, so that neighbours of a kind are to be joined. */
static void memory_extents(struct disk_request *request)
{
    static const uint64_t edges[] = {3 * MIB, ZERO_START, ZERO_END, UINT64_MAX};
    uint64_t at = request->offset_bytes;
    uint64_t end = at + request->len_bytes;

    request->extent_count = 0;
    for (size_t i = 0; at < end; i++) {
        uint64_t stop = edges[i] < end ? edges[i] : end;
        if (stop > at) {
            request->extents[request->extent_count++] =
                (struct extent){.offset_bytes = at,
                                .len_bytes = stop - at,
                                .zero = at >= ZERO_START && stop <= ZERO_END};
            at = stop;
        }
    }
}

static struct disk_request *memory_reap(struct disk *disk)
{
    struct memory *m = (struct memory *)disk;
    struct disk_request *request = m->stack;

    if (request == NULL || atomic_load(&m->is_held)) {
        return NULL;
    }
    m->stack = request->next;
    atomic_fetch_sub(&m->waiting_count, 1);
    uint64_t end = request->offset_bytes + request->data.len_bytes;
    request->errnum = 0;
    if (request->op == DISK_EXTENTS) {
        memory_extents(request);
    } else if (request->offset_bytes < m->fail_end && end > m->fail_start) {
        atomic_fetch_add(&m->failed_count, 1);
        request->errnum = ENXIO;
    } else {
        memory_content(request->data, request->offset_bytes);
    }
    return request;
}

static void memory_poll_on(struct disk *disk, int *fd, short *events)
{
    struct memory *m = (struct memory *)disk;

    *fd = m->event_fd;
    *events = atomic_load(&m->is_held) ? POLLIN : POLLOUT; /* the latter is always the case */
}

static const struct disk_ops memory_ops = {
    .name = "memory",
    .submit = memory_submit,
    .reap = memory_reap,
    .poll_on = memory_poll_on,
};

static void memory_release(void)
{
    atomic_store(&memory.is_held, false);
    assert_int_equal(eventfd_write(memory.event_fd, 1), 0);
}

/* --- the server ------------------------------------------------------------------------------ */

struct server {
    struct nbd_export exports[NBD_EXPORTS_MAX];
    struct nbd_export_config config;
    struct nbd_export_host host;
    int stop_fd;
    int event_fd; /* something of what follows changed */
    bool ends_alone;
    atomic_bool is_listening;
    atomic_uint dropped_count;
    atomic_uint left_count;
    char dropped_message[ERROR_MESSAGE_MAX];
    int result;
    struct error err;
    pthread_t thread;
};

static struct server server;

static void on_listening(void *context, const char *path)
{
    struct server *s = context;

    (void)path;
    atomic_store(&s->is_listening, true);
    (void)eventfd_write(s->event_fd, 1);
}

static void on_dropped(void *context, const struct error *err)
{
    struct server *s = context;

    (void)snprintf(s->dropped_message, sizeof s->dropped_message, "%s", err->message);
    atomic_fetch_add(&s->dropped_count, 1);
    (void)eventfd_write(s->event_fd, 1);
}

static bool on_all_left(void *context)
{
    struct server *s = context;

    atomic_fetch_add(&s->left_count, 1);
    (void)eventfd_write(s->event_fd, 1);
    return s->ends_alone;
}

static void *run_server(void *argument)
{
    struct server *s = argument;

    s->result = nbd_export_run(&s->config, &s->err);
    (void)eventfd_write(s->event_fd, 1);
    return NULL;
}

/* Waits for the server's thread to have said something more. */
static void await_news(void)
{
    struct pollfd fd = {.fd = server.event_fd, .events = POLLIN};
    eventfd_t value = 0;

    assert_int_equal(poll(&fd, 1, DRIVE_DEADLINE_S * 1000), 1);
    assert_int_equal(eventfd_read(server.event_fd, &value), 0);
}

static void await_dropped(unsigned count)
{
    while (atomic_load(&server.dropped_count) < count) {
        await_news();
    }
    assert_int_equal(atomic_load(&server.dropped_count), count);
}

static void add_export(const char *name, struct disk *disk)
{
    server.exports[server.config.count++] = (struct nbd_export){.name = name, .disk = disk};
}

static void start_server(void)
{
    assert_int_equal(pthread_create(&server.thread, NULL, run_server, &server), 0);
    while (!atomic_load(&server.is_listening)) {
        await_news();
    }
}

static void join_server(void)
{
    assert_int_equal(pthread_join(server.thread, NULL), 0);
    assert_string_equal(server.err.message, "");
    assert_int_equal(server.result, 0);
    assert_int_equal(access(socket_path, F_OK), -1);
}

static void stop_server(void)
{
    assert_int_equal(eventfd_write(server.stop_fd, 1), 0);
    join_server();
}

static void serve_memory(void)
{
    add_export("memory", &memory.disk);
    start_server();
}

static int setup(void **state)
{
    (void)state;
    drive_temporary(dir, sizeof dir);
    (void)snprintf(socket_path, sizeof socket_path, "%s/socket", dir);
    (void)snprintf(image_path, sizeof image_path, "%s/disk", dir);
    (void)snprintf(copy_path, sizeof copy_path, "%s/copy", dir);
    memset(&memory, 0, sizeof memory);
    memory.disk = (struct disk){.ops = &memory_ops, .size_bytes = MEMORY_BYTES, .name = "memory"};
    memory.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    memset(&server, 0, sizeof server);
    server.stop_fd = eventfd(0, EFD_CLOEXEC);
    server.event_fd = eventfd(0, EFD_CLOEXEC);
    server.host = (struct nbd_export_host){.listening = on_listening,
                                           .dropped = on_dropped,
                                           .all_left = on_all_left,
                                           .context = &server};
    server.config = (struct nbd_export_config){.socket_path = socket_path,
                                               .exports = server.exports,
                                               .stop_fd = server.stop_fd,
                                               .env = env_system(),
                                               .host = &server.host};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)close(memory.event_fd);
    (void)close(server.stop_fd);
    (void)close(server.event_fd);
    drive_remove(dir);
    return 0;
}

/* --- a client -------------------------------------------------------------------------------- */

#define REQUIRE(result) require((result) >= 0, #result)

static void require(bool is_good, const char *what)
{
    if (!is_good) {
        print_error("%s: %s\n", what, nbd_get_error());
    }
    assert_true(is_good);
}

struct manner {
    bool is_simple; /* no structured replies */
    bool is_old;    /* NBD_OPT_EXPORT_NAME */
    bool is_unruly; /* may send what it should not */
};

static struct nbd_handle *connect_as(const char *name, struct manner manner)
{
    struct nbd_handle *nbd = nbd_create();

    assert_non_null(nbd);
    REQUIRE(nbd_set_export_name(nbd, name));
    if (manner.is_unruly) {
        REQUIRE(nbd_set_strict_mode(nbd, 0));
    }
    if (manner.is_simple) {
        REQUIRE(nbd_set_request_structured_replies(nbd, false));
    } else {
        REQUIRE(nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION));
    }
    if (manner.is_old) {
        REQUIRE(nbd_set_handshake_flags(nbd, 0));
    }
    REQUIRE(nbd_connect_unix(nbd, socket_path));
    return nbd;
}

static struct nbd_handle *connect_to(const char *name)
{
    return connect_as(name, (struct manner){0});
}

static void leave(struct nbd_handle *nbd)
{
    REQUIRE(nbd_shutdown(nbd, 0));
    nbd_close(nbd);
}

static void expect_bytes(struct nbd_handle *nbd, uint64_t offset_bytes, size_t len_bytes)
{
    struct span expected = drive_buffer(len_bytes);
    struct span got = drive_buffer(len_bytes);

    memory_content(expected, offset_bytes);
    REQUIRE(nbd_pread(nbd, got.at, len_bytes, offset_bytes, 0));
    assert_memory_equal(got.at, expected.at, len_bytes);
    free(expected.at);
    free(got.at);
}

static int count_chunk(void *user_data, const void *bytes, size_t count, uint64_t offset,
                       unsigned status, int *error)
{
    unsigned *chunks = user_data;

    (void)bytes;
    (void)count;
    (void)offset;
    (void)error;
    *chunks += status == LIBNBD_READ_DATA;
    return 0;
}

/* Asks for all of it in one chunk. Returns libnbd's result. */
static int read_whole(struct nbd_handle *nbd, struct span out, uint64_t offset_bytes,
                      unsigned *chunks)
{
    nbd_chunk_callback callback = {.callback = count_chunk, .user_data = chunks};

    *chunks = 0;
    return nbd_pread_structured(nbd, out.at, out.len_bytes, offset_bytes, callback,
                                LIBNBD_CMD_FLAG_DF);
}

static void expect_whole(struct nbd_handle *nbd, uint64_t offset_bytes, size_t len_bytes)
{
    struct span expected = drive_buffer(len_bytes);
    struct span got = drive_buffer(len_bytes);
    unsigned chunks = 0;

    memory_content(expected, offset_bytes);
    REQUIRE(read_whole(nbd, got, offset_bytes, &chunks));
    assert_int_equal(chunks, 1);
    assert_memory_equal(got.at, expected.at, len_bytes);
    free(expected.at);
    free(got.at);
}

/* Ranges that begin and end in every way a piece can. */
static const struct {
    uint64_t offset_bytes;
    size_t len_bytes;
} ranges[] = {
    {0, 1},
    {0, 4096},
    {4095, 2},
    {1, 4095},
    {511, 70000},
    {4096, 256 * KIB},
    {4097, 256 * KIB},
    {256 * KIB - 1, 256 * KIB + 2},
    {4 * MIB - 5, 2 * MIB + 10},
    {MEMORY_BYTES - 1, 1},
    {MEMORY_BYTES - 1234, 1234},
    {MEMORY_BYTES - 4097, 4097},
    {3, MEMORY_BYTES - 3},
    {0, MEMORY_BYTES},
};

static void expect_ranges(struct nbd_handle *nbd)
{
    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        expect_bytes(nbd, ranges[i].offset_bytes, ranges[i].len_bytes);
    }
}

/* --- what works ------------------------------------------------------------------------------ */

static void tells_what_an_export_is(void **state)
{
    struct nbd_handle *nbd = NULL;

    (void)state;
    serve_memory();
    nbd = connect_to("memory");
    assert_int_equal(nbd_get_size(nbd), MEMORY_BYTES);
    assert_int_equal(nbd_is_read_only(nbd), 1);
    assert_int_equal(nbd_can_multi_conn(nbd), 1);
    assert_int_equal(nbd_can_df(nbd), 1);
    assert_int_equal(nbd_can_trim(nbd), 0);
    assert_int_equal(nbd_can_zero(nbd), 0);
    assert_int_equal(nbd_can_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION), 1);
    assert_int_equal(nbd_get_structured_replies_negotiated(nbd), 1);
    assert_string_equal(nbd_get_protocol(nbd), "newstyle-fixed");
    assert_int_equal(nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM), 1);
    assert_int_equal(nbd_get_block_size(nbd, LIBNBD_SIZE_PREFERRED), 65536);
    assert_int_equal(nbd_get_block_size(nbd, LIBNBD_SIZE_MAXIMUM), 32 * MIB);
    leave(nbd);
    nbd = connect_as("memory", (struct manner){.is_simple = true});
    assert_int_equal(nbd_can_df(nbd), 0);
    assert_int_equal(nbd_can_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION), 0);
    leave(nbd);
    stop_server();
}

static int count_name(void *user_data, const char *name, const char *description)
{
    unsigned *seen = user_data;

    assert_string_equal(description, "");
    seen[0] += strcmp(name, "memory") == 0;
    seen[1] += strcmp(name, "a name with \xc3\xa4") == 0;
    seen[2]++;
    return 0;
}

static int count_context(void *user_data, const char *name)
{
    unsigned *count = user_data;

    assert_string_equal(name, "base:allocation");
    (*count)++;
    return 0;
}

static void haggles_over_options(void **state)
{
    struct nbd_handle *nbd = nbd_create();
    unsigned seen[3] = {0};
    unsigned contexts = 0;

    (void)state;
    add_export("a name with \xc3\xa4", &memory.disk);
    serve_memory();
    REQUIRE(nbd_set_opt_mode(nbd, true));
    REQUIRE(nbd_connect_unix(nbd, socket_path));
    assert_int_equal(
        nbd_opt_list(nbd, (nbd_list_callback){.callback = count_name, .user_data = seen}), 2);
    assert_int_equal(seen[0] + seen[1], 2);
    assert_int_equal(seen[2], 2);
    REQUIRE(nbd_set_export_name(nbd, "none"));
    assert_int_equal(nbd_opt_info(nbd), -1);
    assert_int_equal(nbd_opt_go(nbd), -1);
    REQUIRE(nbd_set_export_name(nbd, "")); /* of two exports none is the default */
    assert_int_equal(nbd_opt_info(nbd), -1);
    REQUIRE(nbd_set_export_name(nbd, "memory"));
    REQUIRE(nbd_set_full_info(nbd, true));
    REQUIRE(nbd_opt_info(nbd));
    assert_int_equal(nbd_get_size(nbd), MEMORY_BYTES);
    char *name = nbd_get_canonical_export_name(nbd);
    assert_string_equal(name, "memory");
    free(name);
    nbd_context_callback callback = {.callback = count_context, .user_data = &contexts};
    assert_int_equal(nbd_opt_list_meta_context(nbd, callback), 1); /* no query: all */
    REQUIRE(nbd_add_meta_context(nbd, "base:"));
    REQUIRE(nbd_add_meta_context(nbd, "other:thing"));
    assert_int_equal(nbd_opt_list_meta_context(nbd, callback), 1);
    assert_int_equal(contexts, 2);
    REQUIRE(nbd_opt_go(nbd));
    assert_int_equal(nbd_can_meta_context(nbd, "base:allocation"), 0); /* a wildcard sets none */
    expect_bytes(nbd, 77, 5000);
    leave(nbd);
    nbd = nbd_create();
    REQUIRE(nbd_set_opt_mode(nbd, true));
    REQUIRE(nbd_connect_unix(nbd, socket_path));
    REQUIRE(nbd_opt_abort(nbd));
    nbd_close(nbd);
    assert_int_equal(atomic_load(&server.dropped_count), 0);
    stop_server();
}

static void reads_any_range(void **state)
{
    struct nbd_handle *nbd = NULL;

    (void)state;
    serve_memory();
    nbd = connect_to("memory");
    expect_ranges(nbd);
    expect_whole(nbd, 1, 65536);
    expect_whole(nbd, 4095, 3 * MIB);
    expect_whole(nbd, 4095, 15 * 256 * KIB);
    leave(nbd);
    nbd = connect_to(""); /* the only one */
    expect_bytes(nbd, 0, 4096);
    leave(nbd);
    nbd = connect_as("memory", (struct manner){.is_simple = true});
    expect_ranges(nbd);
    leave(nbd);
    nbd = connect_as("memory", (struct manner){.is_simple = true, .is_old = true});
    assert_string_equal(nbd_get_protocol(nbd), "newstyle");
    expect_ranges(nbd);
    leave(nbd);
    stop_server();
}

/* --- extents --- */

struct status {
    uint32_t entries[64];
    size_t count;
};

static int take_status(void *user_data, const char *context, uint64_t offset, uint32_t *entries,
                       size_t count, int *error)
{
    struct status *status = user_data;

    (void)offset;
    assert_int_equal(*error, 0);
    assert_string_equal(context, "base:allocation");
    assert_in_range(count, 1, ARRAY_COUNT(status->entries));
    memcpy(status->entries, entries, count * sizeof entries[0]);
    status->count = count;
    return 0;
}

static struct status block_status(struct nbd_handle *nbd, uint64_t offset_bytes, uint64_t len_bytes,
                                  uint32_t flags)
{
    struct status status = {.count = 0};
    nbd_extent_callback callback = {.callback = take_status, .user_data = &status};

    REQUIRE(nbd_block_status(nbd, len_bytes, offset_bytes, callback, flags));
    assert_true(status.count >= 2);
    return status;
}

static void tells_which_ranges_are_zero(void **state)
{
    static const uint32_t zero = LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO;

    (void)state;
    serve_memory();
    struct nbd_handle *nbd = connect_to("memory");
    struct status status = block_status(nbd, 0, MEMORY_BYTES, 0);
    const uint32_t all[] = {ZERO_START, 0, ZERO_END - ZERO_START, zero, MEMORY_BYTES - ZERO_END, 0};
    assert_int_equal(status.count, ARRAY_COUNT(all));
    assert_memory_equal(status.entries, all, sizeof all);
    status = block_status(nbd, ZERO_START - 100, 300, 0);
    const uint32_t edge[] = {100, 0, 200, zero};
    assert_int_equal(status.count, ARRAY_COUNT(edge));
    assert_memory_equal(status.entries, edge, sizeof edge);
    status =
        block_status(nbd, ZERO_START + 1, MEMORY_BYTES - ZERO_START - 1, LIBNBD_CMD_FLAG_REQ_ONE);
    assert_int_equal(status.count, 2);
    assert_int_equal(status.entries[0], ZERO_END - ZERO_START - 1);
    assert_int_equal(status.entries[1], zero);
    leave(nbd);
    stop_server();
}

static struct disk *open_image(void)
{
    struct disk_open_options options = {.path = image_path};
    struct disk *disk = NULL;
    struct error err = {.kind = ERR_NONE};

    int result = disk_open_file(&options, &disk, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(result, 0);
    return disk;
}

/* 64 MiB + 512 with three islands of data. */
static void make_image(void)
{
    struct span data = drive_buffer(300 * KIB);

    assert_int_equal(DRIVE_RUN("truncate", "-s", "67109376", image_path), 0);
    int fd = open(image_path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t at = 0; at < 64 * (off_t)MIB; at += 21 * (off_t)MIB) {
        drive_fill(data, (uint64_t)at, SEED);
        assert_int_equal(pwrite(fd, data.at, data.len_bytes, at), data.len_bytes);
    }
    assert_int_equal(close(fd), 0);
    free(data.at);
}

static void serves_a_sparse_file_to_other_programs(void **state)
{
    char uri[DRIVE_PATH_MAX + 64];
    struct helper_result result = {.output = NULL};

    (void)state;
    make_image();
    struct disk *disk = open_image();
    add_export("vda", disk);
    serve_memory();
    (void)snprintf(uri, sizeof uri, "nbd+unix:///vda?socket=%s", socket_path);
    assert_int_equal(DRIVE_RUN("qemu-img", "info", "-f", "raw", uri), 0);
    assert_int_equal(DRIVE_RUN("qemu-img", "compare", "-f", "raw", "-F", "raw", image_path, uri),
                     0);
    assert_int_equal(DRIVE_RUN("qemu-img", "convert", "-f", "raw", "-O", "raw", uri, copy_path), 0);
    assert_int_equal(DRIVE_RUN("cmp", image_path, copy_path), 0);
    assert_int_equal(DRIVE_RUN("rm", copy_path), 0);
    assert_int_equal(DRIVE_RUN("nbdcopy", "--connections=4", uri, copy_path), 0);
    assert_int_equal(DRIVE_RUN("cmp", image_path, copy_path), 0);
    char *const map[] = {"nbdinfo", "--map", "--totals", uri, NULL};
    assert_int_equal(drive_program(map, &result), 0);
    assert_non_null(strstr(result.output, "hole,zero"));
    helper_result_done(&result);
    char *const list[] = {"nbdinfo", "--list", "--json", uri, NULL};
    assert_int_equal(drive_program(list, &result), 0);
    assert_non_null(strstr(result.output, "\"export-name\": \"vda\""));
    assert_non_null(strstr(result.output, "\"export-name\": \"memory\""));
    assert_non_null(strstr(result.output, "\"export-size\": 67109376"));
    helper_result_done(&result);
    stop_server();
    disk_close(disk);
}

/* --- several at once --- */

#define READS 40U /* of each connection */
#define READ_LEN (200 * KIB + 3)

static uint64_t read_offset(unsigned connection, unsigned number)
{
    return (connection * 7919 + number * 104729) * 13 % (MEMORY_BYTES - READ_LEN);
}

static void serves_several_connections_at_once(void **state)
{
    struct nbd_handle *nbd[CONNECTIONS];
    static uint8_t got[CONNECTIONS][READS][READ_LEN];
    int64_t cookies[CONNECTIONS][READS];
    struct span expected = drive_buffer(READ_LEN);

    (void)state;
    atomic_store(&memory.is_held, true);
    serve_memory();
    for (unsigned c = 0; c < CONNECTIONS; c++) {
        nbd[c] = connect_as("memory", (struct manner){.is_simple = c == 0});
        for (unsigned i = 0; i < READS; i++) {
            cookies[c][i] = nbd_aio_pread(nbd[c], got[c][i], READ_LEN, read_offset(c, i),
                                          NBD_NULL_COMPLETION, 0);
            REQUIRE(cookies[c][i]);
        }
    }
    /* Every connection has all the pieces that it may have at the disk, and more wait. */
    uint64_t deadline_ns = drive_deadline();
    while (atomic_load(&memory.waiting_count) < CONNECTIONS * NBD_CLIENT_PIECES) {
        assert_true(env_now_ns(env_system()) < deadline_ns);
        for (unsigned c = 0; c < CONNECTIONS; c++) {
            REQUIRE(nbd_poll(nbd[c], 1));
        }
    }
    memory_release();
    for (unsigned c = 0; c < CONNECTIONS; c++) {
        while (nbd_aio_in_flight(nbd[c]) > 0) {
            REQUIRE(nbd_poll(nbd[c], -1));
        }
        for (unsigned i = 0; i < READS; i++) {
            assert_int_equal(nbd_aio_command_completed(nbd[c], (uint64_t)cookies[c][i]), 1);
            memory_content(expected, read_offset(c, i));
            assert_memory_equal(got[c][i], expected.at, READ_LEN);
        }
        leave(nbd[c]);
    }
    free(expected.at);
    stop_server();
}

static void turns_away_one_client_too_many(void **state)
{
    struct nbd_handle *nbd[NBD_CLIENTS_MAX];
    struct nbd_handle *more = nbd_create();

    (void)state;
    serve_memory();
    for (unsigned i = 0; i < NBD_CLIENTS_MAX; i++) {
        nbd[i] = connect_to("memory");
    }
    assert_int_equal(nbd_connect_unix(more, socket_path), -1);
    await_dropped(1);
    assert_non_null(strstr(server.dropped_message, "turned away"));
    nbd_close(more);
    expect_bytes(nbd[0], 5, 5);
    for (unsigned i = 0; i < NBD_CLIENTS_MAX; i++) {
        leave(nbd[i]);
    }
    while (atomic_load(&server.left_count) == 0) {
        await_news();
    }
    leave(connect_to("memory"));
    stop_server();
}

/* --- what is refused ------------------------------------------------------------------------- */

static void expect_errno(int result, int errnum)
{
    assert_int_equal(result, -1);
    assert_int_equal(nbd_get_errno(), errnum);
}

static void refuses_to_write(void **state)
{
    static uint8_t bytes[256 * KIB];

    (void)state;
    serve_memory();
    for (unsigned simple = 0; simple < 2; simple++) {
        struct nbd_handle *nbd =
            connect_as("memory", (struct manner){.is_unruly = true, .is_simple = simple == 1});
        expect_errno(nbd_pwrite(nbd, bytes, sizeof bytes, 0, 0), EPERM);
        expect_errno(nbd_pwrite(nbd, bytes, 1, 4097, 0), EPERM);
        expect_errno(nbd_pwrite(nbd, bytes, 0, 0, 0), EPERM);
        expect_errno(nbd_pwrite(nbd, bytes, 512, MEMORY_BYTES, 0), EPERM);
        expect_errno(nbd_trim(nbd, 4096, 0, 0), EPERM);
        expect_errno(nbd_zero(nbd, 4096, 0, 0), EPERM);
        expect_errno(nbd_cache(nbd, 4096, 0, 0), EINVAL);
        REQUIRE(nbd_flush(nbd, 0));
        expect_bytes(nbd, 0, 8192); /* it still works, and nothing was changed */
        leave(nbd);
    }
    assert_int_equal(atomic_load(&server.dropped_count), 0);
    stop_server();
}

static void refuses_reads_out_of_range(void **state)
{
    static uint8_t bytes[33 * MIB];
    struct status status = {.count = 0};
    nbd_extent_callback callback = {.callback = take_status, .user_data = &status};

    (void)state;
    memory.disk.size_bytes = 64 * MIB;
    serve_memory();
    struct nbd_handle *nbd = connect_as("memory", (struct manner){.is_unruly = true});
    unsigned chunks = 0;
    expect_errno(nbd_pread(nbd, bytes, 2, 64 * MIB - 1, 0), EINVAL);
    expect_errno(nbd_pread(nbd, bytes, 1, 64 * MIB, 0), EINVAL);
    expect_errno(nbd_pread(nbd, bytes, 4096, UINT64_MAX - 100, 0), EINVAL);
    expect_errno(nbd_pread(nbd, bytes, 0, 0, 0), EINVAL);
    expect_errno(nbd_pread(nbd, bytes, 32 * MIB + 1, 0, 0), EINVAL);
    expect_errno(nbd_pread(nbd, bytes, 4096, 0, LIBNBD_CMD_FLAG_FUA), EINVAL);
    expect_errno(read_whole(nbd, (struct span){bytes, 4 * MIB}, 0, &chunks), EOVERFLOW);
    expect_errno(nbd_block_status(nbd, 4096, 64 * MIB - 4095, callback, 0), EINVAL);
    expect_errno(nbd_block_status(nbd, 0, 0, callback, 0), EINVAL);
    assert_int_equal(status.count, 0);
    expect_bytes(nbd, 32 * MIB - 5, 32 * MIB);
    leave(nbd);
    /* Longer than all buffers together: the answer begins before all of it was read. */
    nbd = connect_as("memory", (struct manner){.is_simple = true});
    expect_bytes(nbd, 3, 32 * MIB);
    leave(nbd);
    stop_server();
}

static void tells_of_a_bad_range_and_of_no_other(void **state)
{
    static uint8_t bytes[4 * MIB];

    (void)state;
    memory.fail_start = 2 * MIB + 8192;
    memory.fail_end = 2 * MIB + 12288;
    serve_memory();
    for (unsigned simple = 0; simple < 2; simple++) {
        unsigned chunks = 0;
        atomic_store(&memory.failed_count, 0);
        struct nbd_handle *nbd = connect_as("memory", (struct manner){.is_simple = simple == 1});
        expect_errno(nbd_pread(nbd, bytes, 4096, 2 * MIB + 8192, 0), EIO);
        expect_errno(nbd_pread(nbd, bytes, 1, 2 * MIB + 12287, 0), EIO);
        expect_errno(nbd_pread(nbd, bytes, 3 * MIB, MIB, 0), EIO);
        if (simple == 0) {
            expect_errno(read_whole(nbd, (struct span){bytes, 3 * MIB}, MIB, &chunks), EIO);
            assert_int_equal(chunks, 0);
        }
        assert_true(atomic_load(&memory.failed_count) >= 3);
        expect_bytes(nbd, 2 * MIB + 8192 - 100, 100);
        expect_bytes(nbd, 2 * MIB + 12288, MIB);
        expect_bytes(nbd, 0, 2 * MIB + 8192);
        leave(nbd);
    }
    assert_int_equal(atomic_load(&server.dropped_count), 0);
    stop_server();
}

/* The header is out already when the error comes. */
static void disconnects_when_an_error_can_not_be_told_any_more(void **state)
{
    static uint8_t bytes[32 * MIB];

    (void)state;
    memory.disk.size_bytes = 64 * MIB;
    memory.fail_start = 30 * MIB;
    memory.fail_end = 30 * MIB + 1;
    serve_memory();
    struct nbd_handle *other = connect_to("memory");
    struct nbd_handle *nbd = connect_as("memory", (struct manner){.is_simple = true});
    assert_int_equal(nbd_pread(nbd, bytes, sizeof bytes, 0, 0), -1);
    await_dropped(1);
    assert_int_equal(atomic_load(&memory.failed_count), 1);
    assert_non_null(strstr(server.dropped_message, "reading memory failed"));
    nbd_close(nbd);
    expect_bytes(other, 29 * MIB, 4096);
    leave(other);
    stop_server();
}

/* --- hostile clients ------------------------------------------------------------------------- */

static int connect_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint8_t greeting[18];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && strlen(socket_path) < sizeof address.sun_path);
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(recv(fd, greeting, sizeof greeting, MSG_WAITALL), sizeof greeting);
    assert_memory_equal(greeting, "NBDMAGICIHAVEOPT\0\3", sizeof greeting);
    return fd;
}

#define SAY(fd, text) say((fd), (text), sizeof(text) - 1)

static void say(int fd, const char *bytes, size_t len_bytes)
{
    assert_int_equal(send(fd, bytes, len_bytes, MSG_NOSIGNAL), len_bytes);
}

/* What the server says; exactly so many bytes. */
static void hear(int fd, uint8_t *bytes, size_t len_bytes)
{
    assert_int_equal(recv(fd, bytes, len_bytes, MSG_WAITALL), len_bytes);
}

/* The server disconnects without a further word. */
static void expect_end(int fd)
{
    uint8_t byte = 0;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&poll_fd, 1, DRIVE_DEADLINE_S * 1000), 1);
    ssize_t got = recv(fd, &byte, 1, 0);
    assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
    assert_int_equal(close(fd), 0);
}

static uint32_t option_error(int fd)
{
    uint8_t reply[20];

    hear(fd, reply, sizeof reply);
    assert_memory_equal(reply, "\0\3\xe8\x89\4\x55\x65\xa9", 8);
    assert_memory_equal(reply + 16, "\0\0\0\0", 4);
    assert_int_equal(reply[12], 0x80);
    return reply[15];
}

/* Into the transmission phase, with simple replies. */
static int go_raw(void)
{
    uint8_t reply[10];
    int fd = connect_raw();

    SAY(fd, "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\6memory");
    hear(fd, reply, sizeof reply);
    return fd;
}

static void expect_dropped(int fd, unsigned count, const char *words)
{
    expect_end(fd);
    await_dropped(count);
    if (strstr(server.dropped_message, words) == NULL) {
        print_error("%s\n", server.dropped_message);
    }
    assert_non_null(strstr(server.dropped_message, words));
}

static void disconnects_who_breaks_the_handshake(void **state)
{
    int fd = -1;
    unsigned count = 0;

    (void)state;
    serve_memory();
    struct nbd_handle *other = connect_to("memory");
    fd = connect_raw();
    SAY(fd, "\0\0\0\4");
    expect_dropped(fd, ++count, "flags");
    fd = connect_raw();
    SAY(fd, "\0\0\0\1IHAVEOPTIHAVEOPT");
    expect_dropped(fd, ++count, "over");
    fd = connect_raw();
    SAY(fd, "\0\0\0\1NOTMAGIC\0\0\0\3\0\0\0\0");
    expect_dropped(fd, ++count, "no NBD option");
    fd = connect_raw();
    SAY(fd, "\0\0\0\1IHAVEOPT\0\0\0\3\xff\xff\xff\xff");
    expect_dropped(fd, ++count, "over");
    fd = connect_raw();
    SAY(fd, "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\7nothere");
    expect_dropped(fd, ++count, "not offered");
    fd = connect_raw();
    SAY(fd, "\0\0\0\0IHAVEOPT\0\0\0\3\0\0\0\0");
    expect_dropped(fd, ++count, "old style");
    expect_bytes(other, 100, 100000);
    leave(other);
    stop_server();
}

static void answers_options_that_are_wrong(void **state)
{
    char option[16 + 4 + 5000 + 2] = "IHAVEOPT\0\0\0\7\0\0\x13\x8e\0\0\x13\x88";

    (void)state;
    serve_memory();
    int fd = connect_raw();
    SAY(fd, "\0\0\0\1IHAVEOPT\0\0\0\7\0\0\0\0");
    assert_int_equal(option_error(fd), 3);
    SAY(fd, "IHAVEOPT\0\0\0\7\0\0\0\6\xff\xff\xff\xff\0\0"); /* a name past the end */
    assert_int_equal(option_error(fd), 3);
    SAY(fd, "IHAVEOPT\0\0\0\7\0\0\0\6\0\0\0\0\0\1"); /* a list past the end */
    assert_int_equal(option_error(fd), 3);
    memset(option + 20, 'x', 5000);
    say(fd, option, sizeof option); /* a name that no name may be */
    assert_int_equal(option_error(fd), 3);
    SAY(fd, "IHAVEOPT\0\0\0\6\0\0\0\7\0\0\0\1x\0\0"); /* an export that is not there */
    assert_int_equal(option_error(fd), 6);
    SAY(fd, "IHAVEOPT\0\0\0\5\0\0\0\0"); /* TLS */
    assert_int_equal(option_error(fd), 1);
    SAY(fd, "IHAVEOPT\0\0\0\4\0\0\0\0");
    assert_int_equal(option_error(fd), 1);
    SAY(fd, "IHAVEOPT\x12\x34\x56\x78\0\0\0\3abc");
    assert_int_equal(option_error(fd), 1);
    SAY(fd, "IHAVEOPT\0\0\0\3\0\0\0\1x");
    assert_int_equal(option_error(fd), 3);
    SAY(fd, "IHAVEOPT\0\0\0\x8\0\0\0\1x");
    assert_int_equal(option_error(fd), 3);
    SAY(fd, "IHAVEOPT\0\0\0\xa\0\0\0\x8\0\0\0\0\0\0\0\0"); /* before structured replies */
    assert_int_equal(option_error(fd), 3);
    assert_int_equal(close(fd), 0);
    stop_server();
}

static void disconnects_who_breaks_the_transmission(void **state)
{
    uint8_t reply[16];
    unsigned count = 0;

    (void)state;
    serve_memory();
    struct nbd_handle *other = connect_to("memory");
    int fd = go_raw();
    SAY(fd, "\x25\x60\x95\x14\0\0\0\0handle..\0\0\0\0\0\0\0\0\0\0\0\1");
    expect_dropped(fd, ++count, "no NBD request");
    fd = go_raw();
    SAY(fd, "\x25\x60\x95\x13\0\0\0\1handle..\0\0\0\0\0\0\0\0\2\0\0\1");
    expect_dropped(fd, ++count, "at once");
    fd = go_raw();
    SAY(fd, "\x25\x60\x95\x13\0\0\0\x63handle..\0\0\0\0\0\0\0\0\0\0\0\1"); /* unknown */
    hear(fd, reply, sizeof reply);
    assert_memory_equal(reply, "\x67\x44\x66\x98\0\0\0\x16handle..", sizeof reply);
    SAY(fd, "\x25\x60\x95\x13\0\0\0\7handle..\0\0\0\0\0\0\0\0\0\0\0\1"); /* no context */
    hear(fd, reply, sizeof reply);
    assert_memory_equal(reply, "\x67\x44\x66\x98\0\0\0\x16handle..", sizeof reply);
    assert_int_equal(close(fd), 0);
    expect_bytes(other, 100, 100000);
    leave(other);
    stop_server();
}

static void gives_up_on_who_stays_silent(void **state)
{
    unsigned count = 0;

    (void)state;
    server.config.patience_ms = PATIENCE_MS;
    serve_memory();
    struct nbd_handle *other = connect_to("memory"); /* silent too, but owes nothing */
    uint64_t start_ns = env_now_ns(env_system());
    expect_dropped(connect_raw(), ++count, "did not go on");
    assert_true(env_now_ns(env_system()) - start_ns >= PATIENCE_MS * NS_PER_MS);
    int fd = connect_raw();
    SAY(fd, "\0\0\0\1IHAVEOPT\0\0\0\3\0\0\0\5");
    expect_dropped(fd, ++count, "did not go on");
    fd = go_raw();
    SAY(fd, "\x25\x60\x95\x13\0\0\0\0hand");
    expect_dropped(fd, ++count, "did not go on");
    fd = go_raw();
    SAY(fd, "\x25\x60\x95\x13\0\0\0\1handle..\0\0\0\0\0\0\0\0\0\0\0\4abc");
    expect_dropped(fd, ++count, "did not go on");
    expect_bytes(other, 100, 100000);
    leave(other);
    stop_server();
}

/* A client that goes away while its reads are at the disk, or never takes its answers. */
static void survives_who_leaves_in_the_middle(void **state)
{
    static const char request[] = "\x25\x60\x95\x13\0\0\0\0handle..\0\0\0\0\0\0\0\0\0\x10\0\0";

    (void)state;
    atomic_store(&memory.is_held, true);
    serve_memory();
    int fd = go_raw();
    say(fd, request, 28);
    uint64_t deadline_ns = drive_deadline();
    while (atomic_load(&memory.waiting_count) < 4) {
        assert_true(env_now_ns(env_system()) < deadline_ns);
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(close(fd), 0);
    int deaf = go_raw();
    for (unsigned i = 0; i < 30; i++) {
        say(deaf, request, 28);
    }
    memory_release();
    struct nbd_handle *other = connect_to("memory");
    expect_ranges(other);
    leave(other);
    assert_int_equal(close(deaf), 0);
    stop_server();
}

static void answers_what_is_under_way_when_it_is_stopped(void **state)
{
    static uint8_t bytes[MIB];

    (void)state;
    atomic_store(&memory.is_held, true);
    serve_memory();
    struct nbd_handle *nbd = connect_to("memory");
    int64_t cookie = nbd_aio_pread(nbd, bytes, sizeof bytes, 0, NBD_NULL_COMPLETION, 0);
    REQUIRE(cookie);
    uint64_t deadline_ns = drive_deadline();
    while (atomic_load(&memory.waiting_count) < 4) {
        assert_true(env_now_ns(env_system()) < deadline_ns);
        REQUIRE(nbd_poll(nbd, 1));
    }
    assert_int_equal(eventfd_write(server.stop_fd, 1), 0);
    while (access(socket_path, F_OK) == 0) {
        assert_true(env_now_ns(env_system()) < deadline_ns);
        (void)poll(NULL, 0, 1);
    }
    memory_release();
    while (nbd_aio_in_flight(nbd) > 0) {
        REQUIRE(nbd_poll(nbd, -1));
    }
    assert_int_equal(nbd_aio_command_completed(nbd, (uint64_t)cookie), 1);
    nbd_close(nbd);
    join_server();
}

static void ends_with_its_last_client_if_the_host_says_so(void **state)
{
    (void)state;
    server.ends_alone = true;
    serve_memory();
    struct nbd_handle *first = connect_to("memory");
    struct nbd_handle *second = connect_to("memory");
    leave(first);
    expect_bytes(second, 0, 4096);
    leave(second);
    join_server();
    assert_int_equal(atomic_load(&server.left_count), 1);
}

/* --- the socket and the settings ------------------------------------------------------------- */

static void expect_refused(enum error_kind kind, const char *words)
{
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(nbd_export_run(&server.config, &err), -1);
    if (err.kind != kind || strstr(err.message, words) == NULL) {
        print_error("%s: %s\n", error_kind_name(err.kind), err.message);
    }
    assert_int_equal(err.kind, kind);
    assert_non_null(strstr(err.message, words));
}

static void leave_a_dead_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(close(fd), 0);
}

static void replaces_a_dead_socket_and_nothing_else(void **state)
{
    struct stat status;
    char none[DRIVE_PATH_MAX + 16];

    (void)state;
    add_export("memory", &memory.disk);
    assert_int_equal(DRIVE_RUN("touch", socket_path), 0);
    expect_refused(ERR_WRONG_STATE, "is no socket");
    assert_int_equal(stat(socket_path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(unlink(socket_path), 0);
    assert_int_equal(symlink(image_path, socket_path), 0); /* even if it points nowhere */
    expect_refused(ERR_WRONG_STATE, "is no socket");
    assert_int_equal(unlink(socket_path), 0);
    leave_a_dead_socket();
    start_server();
    assert_int_equal(stat(socket_path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    expect_refused(ERR_WRONG_STATE, "at work");
    leave(connect_to("memory"));
    stop_server();
    (void)snprintf(none, sizeof none, "%s/none/s", dir);
    server.config.socket_path = none;
    expect_refused(ERR_IO, "No such file");
}

static void leaves_a_socket_that_is_not_its_own(void **state)
{
    (void)state;
    serve_memory();
    assert_int_equal(unlink(socket_path), 0);
    leave_a_dead_socket();
    assert_int_equal(eventfd_write(server.stop_fd, 1), 0);
    assert_int_equal(pthread_join(server.thread, NULL), 0);
    assert_int_equal(server.result, 0);
    assert_int_equal(access(socket_path, F_OK), 0);
}

static void refuses_settings_that_can_not_be(void **state)
{
    char long_text[DISK_NAME_MAX + 1];

    (void)state;
    memset(long_text, 'x', DISK_NAME_MAX);
    long_text[DISK_NAME_MAX] = '\0';
    expect_refused(ERR_USAGE, "can be offered");
    add_export("", &memory.disk);
    expect_refused(ERR_USAGE, "name of an export");
    server.exports[0].name = long_text;
    expect_refused(ERR_USAGE, "name of an export");
    server.exports[0].name = "memory";
    add_export("memory", &memory.disk);
    expect_refused(ERR_USAGE, "two exports");
    server.config.count = 1;
    server.config.socket_path = long_text;
    expect_refused(ERR_USAGE, "path of a socket");
    server.config.socket_path = "";
    expect_refused(ERR_USAGE, "path of a socket");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_what_an_export_is),
        TEST(haggles_over_options),
        TEST(reads_any_range),
        TEST(tells_which_ranges_are_zero),
        TEST(serves_a_sparse_file_to_other_programs),
        TEST(serves_several_connections_at_once),
        TEST(turns_away_one_client_too_many),
        TEST(refuses_to_write),
        TEST(refuses_reads_out_of_range),
        TEST(tells_of_a_bad_range_and_of_no_other),
        TEST(disconnects_when_an_error_can_not_be_told_any_more),
        TEST(disconnects_who_breaks_the_handshake),
        TEST(answers_options_that_are_wrong),
        TEST(disconnects_who_breaks_the_transmission),
        TEST(gives_up_on_who_stays_silent),
        TEST(survives_who_leaves_in_the_middle),
        TEST(answers_what_is_under_way_when_it_is_stopped),
        TEST(ends_with_its_last_client_if_the_host_says_so),
        TEST(replaces_a_dead_socket_and_nothing_else),
        TEST(leaves_a_socket_that_is_not_its_own),
        TEST(refuses_settings_that_can_not_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
