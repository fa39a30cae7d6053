/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_disk.c - an nbdkit plugin: a disk with a volatile cache, whose power can be cut.
 *
 *   nbdkit -U SOCKET crash_disk.so image=FILE control=SOCKET out=FILE [lies=true]
 *
 * image    what the disk holds at first; the file itself is never changed
 * control  a Unix socket; each connection brings one line and gets one line of JSON, the counters
 * out      where the image goes that is left after the cut; sparse
 * lies     flushes and FUA are acknowledged and do nothing: a test that does not notice is none
 *
 * Commands:
 *   stats
 *   cut SEED MODE [TORN]          now; everything after it fails with EIO
 *   cut_at N SEED MODE [TORN]     at the N-th write, zero, trim or flush from now on, counted from
 *                                 1; a write that is cut has still been in flight
 * MODE: none, all  of the unflushed writes is left
 *       prefix     those before some moment are, and of the one at that moment some sectors
 *       writes     each by a coin: the cache wrote out in any order
 *       sectors    each sector of each by a coin
 * TORN: of the sectors decided singly, so many per cent are left half new and half old (0). Disks
 *       promise that this does not happen, and file systems rely on it.
 *
 * Invariants:
 * 1. durable is what survives a cut for certain: the image, and everything up to the last flush.
 * 2. current is durable with all unflushed writes applied in their order.
 * 3. After the cut nothing changes any more and nothing succeeds.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS

#define SECTOR_BYTES 512U
#define CHUNK_BYTES (64U * 1024U) /* in which what was never written is left out of the image */

enum mode { MODE_INVALID = 0, MODE_NONE, MODE_ALL, MODE_PREFIX, MODE_WRITES, MODE_SECTORS };

static const char *const mode_names[] = {"", "none", "all", "prefix", "writes", "sectors"};

struct write {
    struct write *next; /* owned */
    uint64_t offset;
    uint32_t len;
    bool is_zeros;  /* then data is not there */
    uint8_t data[]; /* len bytes */
};

struct cut {
    uint64_t seed;
    enum mode mode;
    unsigned torn_percent;
};

static char *image_path, *control_path, *out_path;
static bool lies;

/* Everything below belongs to whoever has the lock: a request's thread or the control's. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t size_bytes;
static uint8_t *current, *durable; /* owned, size_bytes each */
static uint8_t *is_used;           /* owned, one for each chunk: whether anything may be in it */
static struct write *first, *last; /* unflushed, in their order */
static bool is_cut;
static uint64_t left_to_cut; /* operations, with the one that is cut; 0: none is */
static struct cut planned;
static uint64_t chance;
static struct {
    uint64_t operations, reads, writes, zeros, trims, flushes, fua; /* that came before the cut */
    uint64_t unflushed;        /* writes that the cut found in the cache */
    uint64_t kept, lost, torn; /* sectors of them */
    uint64_t refused;          /* requests after the cut */
} count;

static uint64_t draw(void)
{
    /* splitmix64 */
    uint64_t z = (chance += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static uint64_t draw_below(uint64_t bound)
{
    return bound == 0 ? 0 : draw() % bound;
}

static void put(uint8_t *disk, const struct write *write, uint32_t from, uint32_t len)
{
    if (write->is_zeros) {
        memset(disk + write->offset + from, 0, len);
    } else {
        memcpy(disk + write->offset + from, write->data + from, len);
    }
}

static void mark_used(uint64_t offset, uint64_t len)
{
    for (uint64_t chunk = offset / CHUNK_BYTES; chunk * CHUNK_BYTES < offset + len; chunk++) {
        is_used[chunk] = 1;
    }
}

static void forget_unflushed(bool apply)
{
    while (first != NULL) {
        struct write *write = first;
        first = write->next;
        if (apply) {
            put(durable, write, 0, write->len);
        }
        free(write);
    }
    last = NULL;
}

/* --- the cut --- */

/* One sector, or what there is of it at either end of an unaligned write. */
static void decide_sector(const struct write *write, uint32_t from, uint32_t len)
{
    bool is_torn = draw_below(100) < planned.torn_percent;
    bool is_kept = draw_below(2) == 0;

    if (is_torn && len > 1) {
        uint32_t part = 1 + (uint32_t)draw_below(len - 1);
        count.torn++;
        put(durable, write, is_kept ? 0 + from : from + len - part, part);
    } else if (is_kept) {
        count.kept++;
        put(durable, write, from, len);
    } else {
        count.lost++;
    }
}

static void decide_sectors(const struct write *write)
{
    uint32_t from = 0;

    while (from < write->len) {
        uint32_t len = SECTOR_BYTES - (uint32_t)((write->offset + from) % SECTOR_BYTES);
        len = len < write->len - from ? len : write->len - from;
        decide_sector(write, from, len);
        from += len;
    }
}

static void decide_whole(const struct write *write, bool is_kept)
{
    uint64_t sectors = (write->len + SECTOR_BYTES - 1) / SECTOR_BYTES;

    if (is_kept) {
        put(durable, write, 0, write->len);
        count.kept += sectors;
    } else {
        count.lost += sectors;
    }
}

static void decide(void)
{
    uint64_t index = 0;

    for (const struct write *write = first; write != NULL; write = write->next) {
        count.unflushed++;
    }
    uint64_t moment = planned.mode == MODE_PREFIX ? draw_below(count.unflushed + 1) : 0;
    for (const struct write *write = first; write != NULL; write = write->next, index++) {
        switch (planned.mode) {
        case MODE_INVALID:
        case MODE_NONE:
            decide_whole(write, false);
            break;
        case MODE_ALL:
            decide_whole(write, true);
            break;
        case MODE_PREFIX:
            if (index == moment) {
                decide_sectors(write);
            } else {
                decide_whole(write, index < moment);
            }
            break;
        case MODE_WRITES:
            decide_whole(write, draw_below(2) == 0);
            break;
        case MODE_SECTORS:
            decide_sectors(write);
            break;
        }
    }
}

static void write_out(void)
{
    int fd = open(out_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool is_good = fd >= 0 && ftruncate(fd, (off_t)size_bytes) == 0;

    for (uint64_t at = 0; is_good && at < size_bytes; at += CHUNK_BYTES) {
        uint64_t len = size_bytes - at < CHUNK_BYTES ? size_bytes - at : CHUNK_BYTES;
        is_good = !is_used[at / CHUNK_BYTES] ||
                  pwrite(fd, durable + at, (size_t)len, (off_t)at) == (ssize_t)len;
    }
    if (!is_good || close(fd) < 0) {
        nbdkit_error("cannot write %s: %s", out_path, strerror(errno));
        abort(); /* the test must not go on with half an image */
    }
}

static void cut_now(void)
{
    if (is_cut) {
        return;
    }
    is_cut = true; /* invariant 3 */
    left_to_cut = 0;
    chance = planned.seed;
    decide();
    forget_unflushed(false);
    write_out();
}

/* --- requests --- */

/* False when there is no power, or when it is cut by this operation. */
static bool begin(bool counts, bool *is_last)
{
    *is_last = false;
    if (is_cut) {
        count.refused++;
        return false;
    }
    if (counts) {
        count.operations++;
        *is_last = left_to_cut > 0 && --left_to_cut == 0;
    }
    return true;
}

static int no_power(void)
{
    nbdkit_set_error(EIO);
    return -1;
}

static int append(const void *data, uint32_t len, uint64_t offset)
{
    struct write *write = malloc(sizeof *write + (data == NULL ? 0 : len));

    if (write == NULL) {
        nbdkit_set_error(ENOMEM);
        return -1;
    }
    *write = (struct write){.offset = offset, .len = len, .is_zeros = data == NULL};
    if (data != NULL) {
        memcpy(write->data, data, len);
    }
    if (first == NULL) {
        first = write;
    } else {
        last->next = write;
    }
    last = write;
    put(current, write, 0, len);
    mark_used(offset, len);
    return 0;
}

/* That one write alone reaches the medium: it leaves the cache, the others stay. */
static void force_last(void)
{
    struct write **at = &first;
    struct write *before = NULL;

    while (*at != last) {
        before = *at;
        at = &(*at)->next;
    }
    put(durable, last, 0, last->len);
    free(last);
    *at = NULL;
    last = before;
}

/* data NULL: zeros. */
static int change(const void *data, uint32_t len, uint64_t offset, uint32_t flags,
                  uint64_t *counter)
{
    bool is_last = false;

    pthread_mutex_lock(&lock);
    int result = begin(true, &is_last) ? append(data, len, offset) : no_power();
    if (result == 0 && is_last) {
        cut_now();
        result = no_power();
    } else if (result == 0) {
        (*counter)++;
        if ((flags & NBDKIT_FLAG_FUA) != 0) {
            count.fua++;
            if (!lies) {
                force_last();
            }
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static int crash_pwrite(void *handle, const void *data, uint32_t len, uint64_t offset,
                        uint32_t flags)
{
    (void)handle;
    return change(data, len, offset, flags, &count.writes);
}

static int crash_zero(void *handle, uint32_t len, uint64_t offset, uint32_t flags)
{
    (void)handle;
    return change(NULL, len, offset, flags, &count.zeros);
}

static int crash_trim(void *handle, uint32_t len, uint64_t offset, uint32_t flags)
{
    (void)handle;
    return change(NULL, len, offset, flags, &count.trims);
}

static int crash_flush(void *handle, uint32_t flags)
{
    bool is_last = false;
    int result = 0;

    (void)handle;
    (void)flags;
    pthread_mutex_lock(&lock);
    if (!begin(true, &is_last)) {
        result = no_power();
    } else if (is_last) {
        cut_now();
        result = no_power();
    } else {
        count.flushes++;
        if (!lies) {
            forget_unflushed(true);
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static int crash_pread(void *handle, void *data, uint32_t len, uint64_t offset, uint32_t flags)
{
    bool is_last = false;
    int result = 0;

    (void)handle;
    (void)flags;
    pthread_mutex_lock(&lock);
    if (begin(false, &is_last)) {
        count.reads++;
        memcpy(data, current + offset, len);
    } else {
        result = no_power();
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* --- control --- */

static bool parse_cut(const char *text, struct cut *out)
{
    char mode[16] = "";
    unsigned torn = 0;

    *out = (struct cut){0};
    int fields = sscanf(text, "%" SCNu64 " %15s %u", &out->seed, mode, &torn);
    for (int i = MODE_NONE; i <= MODE_SECTORS; i++) {
        if (strcmp(mode, mode_names[i]) == 0) {
            out->mode = (enum mode)i;
        }
    }
    out->torn_percent = torn;
    return fields >= 2 && out->mode != MODE_INVALID && torn <= 100;
}

static bool obey(const char *line)
{
    struct cut cut;
    uint64_t operations = 0;
    int used = 0;

    if (strcmp(line, "stats") == 0) {
        return true;
    }
    if (sscanf(line, "cut_at %" SCNu64 " %n", &operations, &used) == 1 && used > 0 &&
        operations > 0 && parse_cut(line + used, &cut)) {
        planned = cut;
        left_to_cut = operations;
        return true;
    }
    if (strncmp(line, "cut ", 4) == 0 && parse_cut(line + 4, &cut)) {
        planned = is_cut ? planned : cut;
        cut_now();
        return true;
    }
    return false;
}

static int describe(bool is_good, char *text, size_t len)
{
    if (!is_good) {
        return snprintf(text, len, "{\"error\": \"no such command\"}\n");
    }
    return snprintf(text, len,
                    "{\"is_cut\": %s, \"operations\": %" PRIu64 ", \"reads\": %" PRIu64
                    ", \"writes\": %" PRIu64 ", \"zeros\": %" PRIu64 ", \"trims\": %" PRIu64
                    ", \"flushes\": %" PRIu64 ", \"fua\": %" PRIu64 ", \"unflushed\": %" PRIu64
                    ", \"kept\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"torn\": %" PRIu64
                    ", \"refused\": %" PRIu64 "}\n",
                    is_cut ? "true" : "false", count.operations, count.reads, count.writes,
                    count.zeros, count.trims, count.flushes, count.fua, count.unflushed, count.kept,
                    count.lost, count.torn, count.refused);
}

static void serve_command(int fd)
{
    char line[256];
    char answer[512];
    size_t filled = 0;

    while (filled < sizeof line - 1 && memchr(line, '\n', filled) == NULL) {
        ssize_t got = read(fd, line + filled, sizeof line - 1 - filled);
        if (got <= 0) {
            return;
        }
        filled += (size_t)got;
    }
    line[filled] = '\0';
    line[strcspn(line, "\n")] = '\0';
    pthread_mutex_lock(&lock);
    int len = describe(obey(line), answer, sizeof answer);
    pthread_mutex_unlock(&lock);
    /* A test that went away misses nothing. */
    if (send(fd, answer, (size_t)len, MSG_NOSIGNAL) < 0) {
        nbdkit_debug("nobody reads the answer to %s", line);
    }
}

static void *serve_control(void *argument)
{
    int listener = *(const int *)argument;

    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            serve_command(fd);
            (void)close(fd);
        } else if (errno != EINTR) {
            return NULL;
        }
    }
}

/* --- the plugin --- */

static int set_path(char **path, const char *value)
{
    free(*path);
    *path = nbdkit_absolute_path(value);
    return *path == NULL ? -1 : 0;
}

static int crash_config(const char *key, const char *value)
{
    if (strcmp(key, "image") == 0) {
        return set_path(&image_path, value);
    }
    if (strcmp(key, "control") == 0) {
        return set_path(&control_path, value);
    }
    if (strcmp(key, "out") == 0) {
        return set_path(&out_path, value);
    }
    if (strcmp(key, "lies") == 0) {
        int is_true = nbdkit_parse_bool(value);
        lies = is_true > 0;
        return is_true < 0 ? -1 : 0;
    }
    nbdkit_error("unknown parameter %s", key);
    return -1;
}

static int load_data(int fd)
{
    off_t at = 0;

    while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
        off_t end = lseek(fd, at, SEEK_HOLE);
        mark_used((uint64_t)at, (uint64_t)(end - at));
        while (at < end) {
            ssize_t got = pread(fd, current + at, (size_t)(end - at), at);
            if (got <= 0) {
                return -1;
            }
            memcpy(durable + at, current + at, (size_t)got);
            at += got;
        }
    }
    return errno == ENXIO ? 0 : -1;
}

/* Zeros that take up memory only where they are written; calloc may touch all of them (when
 * MALLOC_PERTURB_ is set). */
static uint8_t *new_zeros(uint64_t len)
{
    void *at =
        mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

static int load_image(void)
{
    struct stat st;
    int fd = open(image_path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0) {
        nbdkit_error("cannot open %s: %s", image_path, strerror(errno));
        return -1;
    }
    size_bytes = (uint64_t)st.st_size;
    current = new_zeros(size_bytes);
    durable = new_zeros(size_bytes);
    is_used = new_zeros(size_bytes / CHUNK_BYTES + 1);
    int result = current == NULL || durable == NULL || is_used == NULL ? -1 : load_data(fd);
    if (result < 0) {
        nbdkit_error("cannot load %s", image_path);
    }
    (void)close(fd); /* was only read */
    return result;
}

static int crash_get_ready(void)
{
    if (image_path == NULL || control_path == NULL || out_path == NULL) {
        nbdkit_error("image=, control= and out= are needed");
        return -1;
    }
    return load_image();
}

static int crash_after_fork(void)
{
    static int listener;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pthread_t thread;

    if (strlen(control_path) >= sizeof address.sun_path) {
        nbdkit_error("%s is too long for a socket", control_path);
        return -1;
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", control_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 8) < 0 || pthread_create(&thread, NULL, serve_control, &listener) != 0) {
        nbdkit_error("cannot listen at %s: %s", control_path, strerror(errno));
        return -1;
    }
    return 0;
}

static void *crash_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t crash_get_size(void *handle)
{
    (void)handle;
    return (int64_t)size_bytes;
}

static int yes(void *handle)
{
    (void)handle;
    return 1;
}

static int fua_is_native(void *handle)
{
    (void)handle;
    return NBDKIT_FUA_NATIVE;
}

static struct nbdkit_plugin plugin = {
    .name = "crash-disk",
    .longname = "a disk whose power can be cut",
    .config = crash_config,
    .get_ready = crash_get_ready,
    .after_fork = crash_after_fork,
    .open = crash_open,
    .get_size = crash_get_size,
    .can_write = yes,
    .can_flush = yes,
    .can_multi_conn = yes,
    .can_fua = fua_is_native,
    .can_fast_zero = yes,
    .pread = crash_pread,
    .pwrite = crash_pwrite,
    .flush = crash_flush,
    .trim = crash_trim,
    .zero = crash_zero,
};

struct nbdkit_plugin *plugin_init(void);
NBDKIT_REGISTER_PLUGIN(plugin)
