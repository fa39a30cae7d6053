/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A write sets a file's mtime and ctime to the time of the file system's clock, which moves in
 * steps of some milliseconds: two writes within one step leave the same times. Therefore times that
 * are only just past say nothing (the rule that git calls "racy"), unless the mtime bears a mark
 * that the next write replaces: nanoseconds that no clock gave.
 *
 * A mark's nanoseconds are 12 random bits and a check made from them, the second and the inode. It
 * must be recognised later, by whoever opens the file again at once after an interruption; a
 * clock's time looks like a mark in one of 244,140 cases, and only matters if in addition two
 * writes fell into one step of the clock and the file was looked at between them.
 *
 * Limit: a program that has the file mapped (mmap, MAP_SHARED) and writes to a page that it has
 * dirtied before, and that was not written back since, changes no time. Marking flushes first,
 * which makes the next such write show; without the mark, such a program is not seen. QEMU does not
 * map its images.
 */
#include "disk/identity.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/reader.h"
#include "base/writer.h"

#define RACY_NS (2 * NS_PER_S)
#define FACTS_BYTES_MAX 128U
#define MARK_RANDOM 4096U                    /* values of a mark's random part */
#define MARK_CHECKS (NS_PER_S / MARK_RANDOM) /* values of its check */

static int hash(const struct writer *w, uint8_t out[DISK_IDENTITY_BYTES], struct error *err)
{
    struct const_span facts = writer_done(w);

    if (facts.at == NULL ||
        EVP_Digest(facts.at, facts.len_bytes, out, NULL, EVP_sha256(), NULL) != 1) {
        return fail(err, ERR_INTERNAL, 0, "SHA-256 failed");
    }
    return 0;
}

/* The nanoseconds, below 10^9, of a mark with this random part. */
static int mark_ns(const struct stat *st, time_t second, uint32_t random, long *out,
                   struct error *err)
{
    uint8_t buffer[FACTS_BYTES_MAX];
    uint8_t digest[DISK_IDENTITY_BYTES];
    struct writer w = writer_init((struct span){buffer, sizeof buffer});

    write_text(&w, "resilver mark 1");
    write_u64(&w, st->st_ino);
    write_u64(&w, (uint64_t)second);
    write_u32(&w, random);
    if (hash(&w, digest, err) < 0) {
        return -1;
    }
    struct reader r = reader_init((struct const_span){digest, sizeof digest});
    *out = (long)(read_u64(&r) % MARK_CHECKS * MARK_RANDOM + random);
    return 0;
}

static int is_marked(const struct stat *st, struct error *err)
{
    long expected_ns = 0;
    uint32_t random = (uint32_t)st->st_mtim.tv_nsec % MARK_RANDOM;

    if (mark_ns(st, st->st_mtim.tv_sec, random, &expected_ns, err) < 0) {
        return -1;
    }
    return st->st_mtim.tv_nsec == expected_ns;
}

static int mark(int fd, const char *name, struct error *err)
{
    uint16_t random = 0;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = (time_t)(env_system_wall_ns() / NS_PER_S)}};
    struct stat st;

    if (env_random(env_system(), (struct span){(uint8_t *)&random, sizeof random}, err) < 0) {
        return -1;
    }
    if (fdatasync(fd) < 0) {
        return fail(err, ERR_IO, errno, "flushing %s failed", name);
    }
    if (fstat(fd, &st) < 0) {
        return fail(err, ERR_IO, errno, "cannot look at %s", name);
    }
    if (mark_ns(&st, times[1].tv_sec, random % MARK_RANDOM, &times[1].tv_nsec, err) < 0) {
        return -1;
    }
    if (futimens(fd, times) < 0) {
        return fail(err, ERR_IO, errno, "cannot set the time of the last change of %s", name);
    }
    return 0;
}

/* In the future counts as well: the clock was set back, and will come by that time again. */
static bool is_racy(struct timespec time, uint64_t now_ns)
{
    if (time.tv_sec < 0) {
        return false;
    }
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec + RACY_NS > now_ns;
}

static void write_time(struct writer *w, struct timespec time)
{
    write_u64(w, (uint64_t)time.tv_sec);
    write_u64(w, (uint64_t)time.tv_nsec);
}

static void write_facts(struct writer *w, const char *label, const struct stat *st)
{
    write_text(w, label);
    write_u64(w, st->st_dev);
    write_u64(w, st->st_ino);
    write_u64(w, (uint64_t)st->st_size);
    write_time(w, st->st_mtim);
}

int identity_of_file(int fd, const char *name, bool stamp, uint8_t identity[DISK_IDENTITY_BYTES],
                     struct error *err)
{
    uint8_t buffer[FACTS_BYTES_MAX];
    struct writer w = writer_init((struct span){buffer, sizeof buffer});
    struct stat st;

    if (stamp && mark(fd, name, err) < 0) {
        return -1;
    }
    if (fstat(fd, &st) < 0) {
        return fail(err, ERR_IO, errno, "cannot look at %s", name);
    }
    /* A file system that keeps whole seconds only (ext4 with 128-byte inodes) has lost the mark,
     * and its times are racy like any other's. */
    int marked = is_marked(&st, err);
    if (marked < 0) {
        return -1;
    }
    uint64_t now_ns = env_system_wall_ns();
    if (!marked && (is_racy(st.st_mtim, now_ns) || is_racy(st.st_ctim, now_ns))) {
        memset(identity, 0, DISK_IDENTITY_BYTES);
        return 0;
    }
    write_facts(&w, "resilver file identity 1", &st);
    write_time(&w, st.st_ctim);
    return hash(&w, identity, err);
}

int identity_fingerprint(int fd, const char *name, uint8_t identity[DISK_IDENTITY_BYTES],
                         struct error *err)
{
    uint8_t buffer[FACTS_BYTES_MAX];
    struct writer w = writer_init((struct span){buffer, sizeof buffer});
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return fail(err, ERR_IO, errno, "cannot look at %s", name);
    }
    /* Without the ctime: a change of owner, mode or name is none of the content. libvirt changes
     * the owner when somebody tries to start the VM, which our lock then refuses. */
    write_facts(&w, "resilver file fingerprint 1", &st);
    return hash(&w, identity, err);
}
