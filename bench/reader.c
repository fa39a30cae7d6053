/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reader - reads images in the ways that the benchmarks need for their floors and their checks.
 *
 *   reader data FILE...    reads the data, not the holes, through the page cache
 *   reader direct FILE...  reads everything past the page cache (O_DIRECT)
 *   reader drop FILE...    makes the files durable and takes them out of the page cache
 *   reader equal A B       compares two files with two threads; holes count as zeros and are not
 *                          read where both have them; exit 1 and a line if they differ
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/span.h"

#define CACHED_READ_BYTES (256 * KIB) /* stays in the second-level cache */
#define DIRECT_READ_BYTES (4 * MIB)   /* one read at a time fills the device only if it is large */
#define HALVES 2U

struct file {
    int fd; /* owned */
    uint64_t size_bytes;
    const char *path;
};

static void file_done(struct file *file)
{
    if (file->fd >= 0) {
        (void)close(file->fd); /* opened for reading: nothing can be lost */
        file->fd = -1;
    }
}

MUST_CHECK static int file_open(const char *path, int flags, struct file *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0) {
        return fail(err, ERR_IO, errno, "cannot open '%s'", path);
    }
    struct file file = {.fd = fd, .path = path};
    struct stat facts;
    if (fstat(fd, &facts) != 0) {
        int errnum = errno;
        file_done(&file);
        return fail(err, ERR_IO, errnum, "cannot ask for the size of '%s'", path);
    }
    file.size_bytes = (uint64_t)facts.st_size;
    *out = file;
    return 0;
}

/* Fills `to` from `offset_bytes`; returns how much there was: less at the end of the file. */
MUST_CHECK static ssize_t file_read(const struct file *file, struct span to, uint64_t offset_bytes,
                                    struct error *err)
{
    size_t done = 0;
    while (done < to.len_bytes) {
        ssize_t n =
            pread(file->fd, to.at + done, to.len_bytes - done, (off_t)(offset_bytes + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail(err, ERR_IO, errno, "cannot read '%s'", file->path);
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* Where the data that is at or after `from_bytes` begins and ends; both the size if there is none.
 */
MUST_CHECK static int file_next_data(const struct file *file, uint64_t from_bytes,
                                     uint64_t *begin_bytes, uint64_t *end_bytes, struct error *err)
{
    off_t begin = lseek(file->fd, (off_t)from_bytes, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) {
        *begin_bytes = *end_bytes = file->size_bytes;
        return 0;
    }
    off_t end = begin < 0 ? begin : lseek(file->fd, begin, SEEK_HOLE);
    if (end < 0) {
        return fail(err, ERR_IO, errno, "cannot ask for the holes of '%s'", file->path);
    }
    *begin_bytes = (uint64_t)begin;
    *end_bytes = (uint64_t)end;
    return 0;
}

MUST_CHECK static int buffer_new(size_t len_bytes, struct span *out, struct error *err)
{
    uint8_t *at = aligned_alloc(PAGE_BYTES, len_bytes);
    if (at == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "no memory for a buffer");
    }
    *out = (struct span){at, len_bytes};
    return 0;
}

MUST_CHECK static int read_data(const struct file *file, struct span buffer, struct error *err)
{
    uint64_t at = 0;
    while (at < file->size_bytes) {
        uint64_t end = 0;
        if (file_next_data(file, at, &at, &end, err) < 0) {
            return -1;
        }
        while (at < end) {
            uint64_t want = end - at < buffer.len_bytes ? end - at : buffer.len_bytes;
            ssize_t n = file_read(file, (struct span){buffer.at, (size_t)want}, at, err);
            if (n <= 0) {
                return n < 0 ? -1 : 0;
            }
            at += (uint64_t)n;
        }
    }
    return 0;
}

MUST_CHECK static int read_whole(const struct file *file, struct span buffer, struct error *err)
{
    for (uint64_t at = 0; at < file->size_bytes; at += buffer.len_bytes) {
        if (file_read(file, buffer, at, err) < 0) {
            return -1;
        }
    }
    return 0;
}

MUST_CHECK static int drop(const struct file *file, struct error *err)
{
    if (fdatasync(file->fd) != 0) {
        return fail(err, ERR_IO, errno, "cannot write '%s' to its disk", file->path);
    }
    int errnum = posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
    if (errnum != 0) {
        return fail(err, ERR_IO, errnum, "cannot take '%s' out of the page cache", file->path);
    }
    return 0;
}

/* One thread's half of the comparison. */
struct half {
    const struct file *files; /* two of them; borrowed until the thread ends */
    uint64_t begin_bytes, end_bytes;
    bool is_different;
    uint64_t different_at_bytes;
    int result;
    struct error err;
};

/* Compares one piece; returns its length, 0 at the end or at a difference. */
MUST_CHECK static ssize_t compare_piece(struct half *half, const struct span buffers[2],
                                        uint64_t at, uint64_t len_bytes)
{
    ssize_t got[2];
    for (size_t i = 0; i < 2; i++) {
        struct span to = {buffers[i].at, (size_t)len_bytes};
        got[i] = file_read(&half->files[i], to, at, &half->err);
        if (got[i] < 0) {
            return -1;
        }
    }
    if (got[0] != got[1] || memcmp(buffers[0].at, buffers[1].at, (size_t)got[0]) != 0) {
        half->is_different = true;
        half->different_at_bytes = at;
        return 0;
    }
    return got[0];
}

MUST_CHECK static int compare_range(struct half *half, const struct span buffers[2])
{
    uint64_t at = half->begin_bytes;
    uint64_t begin[2] = {0, 0}, end[2] = {0, 0};

    while (at < half->end_bytes) {
        for (size_t i = 0; i < 2; i++) {
            if (end[i] <= at &&
                file_next_data(&half->files[i], at, &begin[i], &end[i], &half->err) < 0) {
                return -1;
            }
        }
        uint64_t next = begin[0] < begin[1] ? begin[0] : begin[1];
        if (next > at) {
            at = next; /* both have a hole up to here */
            continue;
        }
        uint64_t left = half->end_bytes - at;
        uint64_t want = left < buffers[0].len_bytes ? left : buffers[0].len_bytes;
        ssize_t n = compare_piece(half, buffers, at, want);
        if (n <= 0) {
            return n < 0 ? -1 : 0;
        }
        at += (uint64_t)n;
    }
    return 0;
}

static void *compare_half(void *context)
{
    struct half *half = context;
    struct span buffers[2] = {{0}};

    half->result = buffer_new(CACHED_READ_BYTES, &buffers[0], &half->err);
    if (half->result == 0) {
        half->result = buffer_new(CACHED_READ_BYTES, &buffers[1], &half->err);
    }
    if (half->result == 0) {
        half->result = compare_range(half, buffers);
    }
    free(buffers[0].at);
    free(buffers[1].at);
    return NULL;
}

/* Returns 0 equal, 1 different, -1 failed. */
MUST_CHECK static int compare_files(const struct file files[2], struct error *err)
{
    if (files[0].size_bytes != files[1].size_bytes) {
        printf("'%s' and '%s' differ in size\n", files[0].path, files[1].path);
        return 1;
    }
    struct half halves[HALVES];
    pthread_t threads[HALVES];
    uint64_t middle = files[0].size_bytes / 2 / PAGE_BYTES * PAGE_BYTES;
    size_t started = 0;
    for (; started < HALVES; started++) {
        halves[started] = (struct half){
            .files = files,
            .begin_bytes = started == 0 ? 0 : middle,
            .end_bytes = started == 0 ? middle : files[0].size_bytes,
        };
        if (pthread_create(&threads[started], NULL, compare_half, &halves[started]) != 0) {
            break;
        }
    }
    int result = started == HALVES ? 0 : fail(err, ERR_LIMIT, 0, "cannot start a thread");
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL); /* fails only for a thread that is not ours */
        if (result == 0 && halves[i].result < 0) {
            *err = halves[i].err;
            result = -1;
        }
        if (result == 0 && halves[i].is_different) {
            printf("'%s' and '%s' differ at or after byte %llu\n", files[0].path, files[1].path,
                   (unsigned long long)halves[i].different_at_bytes);
            result = 1;
        }
    }
    return result;
}

MUST_CHECK static int run_equal(char **paths, int count, struct error *err)
{
    struct file files[2] = {{.fd = -1}, {.fd = -1}};
    if (count != 2) {
        return fail(err, ERR_USAGE, 0, "usage: reader equal A B");
    }
    int result = file_open(paths[0], 0, &files[0], err);
    if (result == 0) {
        result = file_open(paths[1], 0, &files[1], err);
    }
    if (result == 0) {
        result = compare_files(files, err);
    }
    file_done(&files[0]);
    file_done(&files[1]);
    return result;
}

MUST_CHECK static int run_read(const char *mode, char **paths, int count, struct error *err)
{
    bool is_direct = strcmp(mode, "direct") == 0;
    bool is_drop = strcmp(mode, "drop") == 0;
    struct span buffer = {0};
    int result = buffer_new(is_direct ? DIRECT_READ_BYTES : CACHED_READ_BYTES, &buffer, err);

    for (int i = 0; result == 0 && i < count; i++) {
        struct file file = {.fd = -1};
        result = file_open(paths[i], is_direct ? O_DIRECT : 0, &file, err);
        if (result == 0 && is_drop) {
            result = drop(&file, err);
        } else if (result == 0) {
            result = is_direct ? read_whole(&file, buffer, err) : read_data(&file, buffer, err);
        }
        file_done(&file);
    }
    free(buffer.at);
    return result;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    const char *mode = argc > 1 ? argv[1] : "";
    int result = 0;

    if (strcmp(mode, "equal") == 0) {
        result = run_equal(argv + 2, argc - 2, &err);
    } else if (strcmp(mode, "data") == 0 || strcmp(mode, "direct") == 0 ||
               strcmp(mode, "drop") == 0) {
        result = run_read(mode, argv + 2, argc - 2, &err);
    } else {
        result = fail(&err, ERR_USAGE, 0, "usage: reader data|direct|drop FILE... | equal A B");
    }
    if (result < 0) {
        (void)fprintf(stderr, "reader: %s\n", err.message);
        return 2;
    }
    return result;
}
