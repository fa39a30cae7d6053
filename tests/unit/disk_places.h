/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk_places.h - for tests of files and block devices: files in a folder on a real file system,
 * and file systems and devices of every bad habit, mounted in a mount namespace of our own, which
 * needs root and leaves nothing behind.
 *
 * Include what is tested first: cmocka's fail() and ours have the same name.
 */
#ifndef RESILVER_TESTS_UNIT_DISK_PLACES_H
#define RESILVER_TESTS_UNIT_DISK_PLACES_H

#include "disk_drive.h"

#include <linux/filter.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#define PATH_MAX_HERE 300
#define NOBODY 65534U

static char folder[128]; /* on a real file system, where O_DIRECT works */
static bool has_mounts;  /* we are root, in our own mount namespace */
static bool has_direct;  /* the folder's file system does O_DIRECT */

static inline char *path_in(const char *parent, const char *name)
{
    static char paths[8][PATH_MAX_HERE];
    static unsigned int next;
    char *path = paths[next++ % ARRAY_COUNT(paths)];

    int used = snprintf(path, PATH_MAX_HERE, "%s/%s", parent, name);
    assert_in_range(used, 1, PATH_MAX_HERE - 1);
    return path;
}

static inline char *file_path(const char *name)
{
    return path_in(folder, name);
}

/* A new file of so many bytes: all hole. */
static inline void make_file(const char *path, uint64_t size_bytes)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
    (void)close(fd);
}

/* A new file full of drive_fill()'s bytes, on the disk and not in the page cache. */
static inline void make_full_file(const char *path, uint64_t size_bytes, uint64_t seed)
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

/* How many pages of the file are in the page cache. */
static inline size_t cached_pages(int fd, size_t size_bytes)
{
    static unsigned char pages[4096];
    size_t count = 0;
    size_t step_bytes = sizeof pages * 4096;

    for (size_t at = 0; at < size_bytes; at += step_bytes) {
        size_t len = size_bytes - at < step_bytes ? size_bytes - at : step_bytes;
        void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, (off_t)at);
        assert_true(map != MAP_FAILED);
        assert_int_equal(mincore(map, len, pages), 0);
        (void)munmap(map, len);
        for (size_t i = 0; i < (len + 4095) / 4096; i++) {
            count += pages[i] & 1U;
        }
    }
    return count;
}

/* A page that some processor still holds in a list of its own survives the first try. */
static inline void drop_cache(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    for (int tries = 0; tries < 1000; tries++) {
        assert_int_equal(fdatasync(fd), 0);
        assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        if (!S_ISREG(status.st_mode) || cached_pages(fd, (size_t)status.st_size) == 0) {
            break;
        }
    }
    (void)close(fd);
}

/* What any other program reads there. */
static inline struct span read_plainly(const char *path, uint64_t size_bytes)
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

static inline struct disk *open_disk(const char *path, bool for_write)
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
static inline void expect_refusal(const struct disk_open_options *options, enum error_kind kind,
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
static inline unsigned int drive_whole(struct disk *disk, enum disk_op op, struct span data)
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

static inline bool fits(struct span a, struct span b)
{
    return a.len_bytes == b.len_bytes && (a.len_bytes == 0 || memcmp(a.at, b.at, a.len_bytes) == 0);
}

/* --- file systems and devices that only root can make -------------------------------------- */

static inline const char *mount_new(const char *type, const char *options)
{
    char *path = file_path(type);

    (void)mkdir(path, 0700);
    assert_int_equal(mount("none", path, type, 0, options), 0);
    return path;
}

static inline void unmount(const char *path)
{
    assert_int_equal(umount2(path, 0), 0);
}

struct loop {
    char path[64];
    int fd; /* the device goes when nobody has it open any more */
};

static inline bool loop_attach(struct loop *loop, const char *backing, unsigned int block_bytes)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int backing_fd = open(backing, O_RDWR | O_CLOEXEC);
    struct loop_config config = {
        .fd = (__u32)backing_fd, .block_size = block_bytes, .info.lo_flags = LO_FLAGS_AUTOCLEAR};

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

static inline void loop_detach(struct loop *loop)
{
    (void)close(loop->fd);
}

/* An ext4 with small inodes on a loop device; returns where it is mounted, or NULL
 * where that cannot be had. With a journal for data it only pretends to do O_DIRECT. */
static inline const char *mount_ext4(struct loop *loop, const char *backing, uint64_t size_bytes,
                                     const char *block_bytes, bool journal_data)
{
    char *where = file_path("ext4");

    make_file(backing, size_bytes);
    if (DRIVE_RUN("mkfs.ext4", "-q", "-b", (char *)block_bytes, "-I", "128", "-E",
                  "nodiscard,lazy_itable_init=0,lazy_journal_init=0", "-O",
                  journal_data ? "has_journal" : "^has_journal", (char *)backing) != 0 ||
        !loop_attach(loop, backing, 512)) {
        return NULL;
    }
    (void)mkdir(where, 0700);
    assert_int_equal(mount(loop->path, where, "ext4", 0, journal_data ? "data=journal" : NULL), 0);
    return where;
}

/* --- running ---------------------------------------------------------------------------------- */

/* From here on this process, for all it knows, runs on a kernel that forbids io_uring. */
static inline bool refuse_io_uring(void)
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

static inline int make_folder(void **state)
{
    const char *parent = getenv("TMPDIR");

    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/disk_test.XXXXXX",
                   parent != NULL ? parent : "/var/tmp");
    if (mkdtemp(folder) == NULL || chmod(folder, 0755) != 0) {
        return -1;
    }
    has_mounts = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
                 mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    make_file(file_path("probe"), PAGE_BYTES);
    struct span page = drive_buffer(PAGE_BYTES);
    int fd = open(file_path("probe"), O_RDONLY | O_DIRECT | O_CLOEXEC);
    /* tmpfs takes O_DIRECT as well, and reads the page cache all the same. */
    struct statfs fs;
    has_direct = fd >= 0 && pread(fd, page.at, PAGE_BYTES, 0) == (ssize_t)PAGE_BYTES &&
                 fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC;
    (void)close(fd);
    free(page.at);
    return 0;
}

static inline int remove_folder(void **state)
{
    const char *left[] = {"ext4", "tmpfs", "ramfs"}; /* by a test that failed; in this order */

    (void)state;
    for (size_t i = 0; has_mounts && i < ARRAY_COUNT(left); i++) {
        (void)umount2(file_path(left[i]), MNT_DETACH);
    }
    drive_remove(folder);
    return 0;
}

/* Run the tests twice: with io_uring, and in a process to which the kernel refuses it. */
static inline int run_both_ways(const char *name, const struct CMUnitTest *tests, size_t count)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        print_message("%s without io_uring\n", name);
        exit(refuse_io_uring()
                 ? _cmocka_run_group_tests(name, tests, count, make_folder, remove_folder)
                 : 1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        return 1;
    }
    int failed = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    return failed + _cmocka_run_group_tests(name, tests, count, make_folder, remove_folder);
}

#endif
