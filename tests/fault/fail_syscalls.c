/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fail_syscalls.c - preloaded into a program: lets one chosen call of the kernel fail, or one
 * allocation of memory.
 *
 *   LD_PRELOAD=fail_syscalls.so [FAIL_SYSCALLS_...=...] PROGRAM ...
 *
 * FAIL_SYSCALLS_RECORD=FILE   each call appends a line, `FUNCTION SITE`
 * FAIL_SYSCALLS=FUNCTION:SITE:K:ERRNO
 *                             the K-th call there (in a process) fails with that errno and is not
 *                             made, with K+ each from the K-th on; a close is made all the same
 * FAIL_SYSCALLS_REPORT=FILE   gets a line, `fired FUNCTION SITE`, when that happens; without a `+`
 *                             it happens once in all the processes that share this file
 * FAIL_SYSCALLS_SHORT=SEED    reads and writes move fewer bytes than they were asked to, by chance;
 *                             the first of them appends `short` to the report
 *
 * FAIL_SYSCALLS_PROGRAM=PATH  whose calls are meant; others that it starts are left alone
 *
 * SITE is where the call was made: the return address in hex, counted from where the program is
 * loaded. Calls that libraries make are passed through and not seen. ERRNO is a number.
 *
 * There is no io_uring here: the program has to make plain calls, each of which can fail.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DIRECT_BYTES 4096U /* a transfer past the page cache is cut at these */

static struct {
    uintptr_t base, end; /* of the program */
    const char *record, *report;
    char function[32];
    uint64_t site, time;
    bool is_lasting;
    int errnum;
    bool is_short;
} settings;

static atomic_uint_fast64_t reached;
static atomic_uint_fast64_t chance;
static atomic_bool has_shortened;

/* --- setting up --- */

static int find_program(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    settings.base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && end > settings.end) {
            settings.end = end;
        }
    }
    return 1; /* the first is the program */
}

static void give_up(const char *why)
{
    (void)dprintf(STDERR_FILENO, "fail_syscalls: %s\n", why);
    _exit(125);
}

static bool is_meant(void)
{
    const char *program = getenv("FAIL_SYSCALLS_PROGRAM");
    char path[4096];

    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    path[len < 0 ? 0 : len] = '\0';
    return program == NULL || strcmp(program, path) == 0;
}

__attribute__((constructor)) static void set_up(void)
{
    if (!is_meant()) {
        return; /* no call comes from between 0 and 0 */
    }
    const char *chosen = getenv("FAIL_SYSCALLS");
    const char *seed = getenv("FAIL_SYSCALLS_SHORT");
    char plus[2] = "";

    settings.record = getenv("FAIL_SYSCALLS_RECORD");
    settings.report = getenv("FAIL_SYSCALLS_REPORT");
    if (seed != NULL) {
        settings.is_short = true;
        atomic_store(&chance, strtoull(seed, NULL, 10));
    }
    if (chosen != NULL) {
        int fields = sscanf(chosen, "%31[^:]:%" SCNx64 ":%" SCNu64 ":%d", settings.function,
                            &settings.site, &settings.time, &settings.errnum);
        if (fields != 4) {
            fields = sscanf(chosen, "%31[^:]:%" SCNx64 ":%" SCNu64 "%1[+]:%d", settings.function,
                            &settings.site, &settings.time, plus, &settings.errnum) -
                     1;
            settings.is_lasting = true;
        }
        if (fields != 4 || settings.time == 0 || settings.errnum <= 0 || settings.report == NULL) {
            give_up("FAIL_SYSCALLS must be FUNCTION:SITE:K:ERRNO, beside FAIL_SYSCALLS_REPORT");
        }
    }
    (void)dl_iterate_phdr(find_program, NULL);
}

/* --- telling --- */

/* By system calls alone, which nothing intercepts. */
static void append_line(const char *path, const char *line)
{
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    long fd = syscall(SYS_openat, AT_FDCWD, path, flags, 0666);

    if (fd < 0 || syscall(SYS_write, fd, line, strlen(line)) < 0) {
        give_up("cannot write to a report");
    }
    (void)syscall(SYS_close, fd);
}

/* Whether this process is the first of all that share the report. */
static bool claim(void)
{
    char path[4096];

    if (settings.is_lasting) {
        return true;
    }
    (void)snprintf(path, sizeof path, "%s.claim", settings.report);
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    (void)syscall(SYS_close, fd);
    return true;
}

/* --- deciding --- */

/* Whether this call fails; errno is set then, and else is as it was. */
static bool fails(const char *function, const void *return_address)
{
    uintptr_t address = (uintptr_t)return_address;
    int before = errno;
    char line[96];

    if (address < settings.base || address >= settings.end) {
        return false;
    }
    uint64_t site = address - settings.base;
    if (settings.record != NULL) {
        (void)snprintf(line, sizeof line, "%s %" PRIx64 "\n", function, site);
        append_line(settings.record, line);
    }
    bool is_now = false;
    if (settings.errnum != 0 && site == settings.site && strcmp(function, settings.function) == 0) {
        uint64_t time = atomic_fetch_add(&reached, 1) + 1;
        is_now = (settings.is_lasting ? time >= settings.time : time == settings.time) && claim();
    }
    if (is_now) {
        (void)snprintf(line, sizeof line, "fired %s %" PRIx64 "\n", function, site);
        append_line(settings.report, line);
    }
    errno = is_now ? settings.errnum : before;
    return is_now;
}

static uint64_t draw(void)
{
    /* splitmix64 */
    uint64_t z = atomic_fetch_add(&chance, 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* Only where the kernel, too, may move less than all: not to an eventfd or the like, and past the
 * page cache only whole blocks. */
static size_t shortened(int fd, size_t len, const void *return_address)
{
    uintptr_t address = (uintptr_t)return_address;
    struct stat st;
    int before = errno;
    size_t unit = 1;
    size_t result = len;

    if (!settings.is_short || address < settings.base || address >= settings.end) {
        return len;
    }
    if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ||
                                S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode))) {
        long flags = syscall(SYS_fcntl, fd, F_GETFL);
        unit = flags >= 0 && (flags & O_DIRECT) != 0 && !S_ISFIFO(st.st_mode) ? DIRECT_BYTES : 1;
        size_t units = len / unit;
        result = units > 1 && draw() % 2 == 0 ? unit * (1 + draw() % (units - 1)) : len;
    }
    if (result != len && settings.report != NULL && !atomic_exchange(&has_shortened, true)) {
        append_line(settings.report, "short\n");
    }
    errno = before;
    return result;
}

/* --- the calls --- */

#define HERE __builtin_return_address(0)

/* The one that this hides. */
#define NEXT(function)                                                                             \
    static __typeof__(function) *next;                                                             \
    if (next == NULL) {                                                                            \
        next = (__typeof__(next))dlsym(RTLD_NEXT, #function);                                      \
    }

/* A call that returns -1 when it fails, and whose arguments are passed on as they are. */
#define PLAIN(type, function, parameters, arguments)                                               \
    type function parameters                                                                       \
    {                                                                                              \
        NEXT(function)                                                                             \
        return fails(#function, HERE) ? (type)-1 : next arguments;                                 \
    }

/* A call that moves len bytes. */
#define MOVING(function, parameters, arguments)                                                    \
    ssize_t function parameters                                                                    \
    {                                                                                              \
        NEXT(function)                                                                             \
        if (fails(#function, HERE)) {                                                              \
            return -1;                                                                             \
        }                                                                                          \
        len = shortened(fd, len, HERE);                                                            \
        return next arguments;                                                                     \
    }

/* The program was compiled without them being declared, so that they can be defined here whatever
 * the headers make of their names. */
int io_uring_queue_init(unsigned entries, void *ring, unsigned flags);
int __open64_2(const char *path, int flags);
int __openat64_2(int dir_fd, const char *path, int flags);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t known);
ssize_t __read_chk(int fd, void *data, size_t len, size_t known);
ssize_t __pread64_chk(int fd, void *data, size_t len, off64_t offset, size_t known);
ssize_t __recv_chk(int fd, void *data, size_t len, size_t known, int flags);

int io_uring_queue_init(unsigned entries, void *ring, unsigned flags)
{
    (void)entries;
    (void)ring;
    (void)flags;
    return -ENOSYS;
}

/* The mode is passed on whether it was given or not: it is not looked at when it was not. */
#define OPENING(function, parameters, arguments)                                                   \
    int function parameters                                                                        \
    {                                                                                              \
        va_list list;                                                                              \
        NEXT(function)                                                                             \
        va_start(list, flags);                                                                     \
        mode_t mode = va_arg(list, mode_t);                                                        \
        va_end(list);                                                                              \
        return fails(#function, HERE) ? -1 : next arguments;                                       \
    }

OPENING(open64, (const char *path, int flags, ...), (path, flags, mode))
OPENING(openat64, (int dir_fd, const char *path, int flags, ...), (dir_fd, path, flags, mode))
PLAIN(int, __open64_2, (const char *path, int flags), (path, flags))
PLAIN(int, __openat64_2, (int dir_fd, const char *path, int flags), (dir_fd, path, flags))

MOVING(read, (int fd, void *data, size_t len), (fd, data, len))
MOVING(write, (int fd, const void *data, size_t len), (fd, data, len))
MOVING(pread64, (int fd, void *data, size_t len, off64_t offset), (fd, data, len, offset))
MOVING(pwrite64, (int fd, const void *data, size_t len, off64_t offset), (fd, data, len, offset))
MOVING(recv, (int fd, void *data, size_t len, int flags), (fd, data, len, flags))
MOVING(send, (int fd, const void *data, size_t len, int flags), (fd, data, len, flags))
MOVING(__read_chk, (int fd, void *data, size_t len, size_t known), (fd, data, len, known))
MOVING(__pread64_chk, (int fd, void *data, size_t len, off64_t offset, size_t known),
       (fd, data, len, offset, known))
MOVING(__recv_chk, (int fd, void *data, size_t len, size_t known, int flags),
       (fd, data, len, known, flags))

PLAIN(ssize_t, readv, (int fd, const struct iovec *vec, int count), (fd, vec, count))
PLAIN(ssize_t, writev, (int fd, const struct iovec *vec, int count), (fd, vec, count))
PLAIN(ssize_t, preadv64, (int fd, const struct iovec *vec, int count, off64_t offset),
      (fd, vec, count, offset))
PLAIN(ssize_t, pwritev64, (int fd, const struct iovec *vec, int count, off64_t offset),
      (fd, vec, count, offset))
PLAIN(ssize_t, preadv64v2, (int fd, const struct iovec *vec, int count, off64_t offset, int flags),
      (fd, vec, count, offset, flags))
PLAIN(ssize_t, pwritev64v2, (int fd, const struct iovec *vec, int count, off64_t offset, int flags),
      (fd, vec, count, offset, flags))
PLAIN(ssize_t, copy_file_range,
      (int from_fd, off64_t *from, int to_fd, off64_t *to, size_t len, unsigned flags),
      (from_fd, from, to_fd, to, len, flags))

PLAIN(int, fsync, (int fd), (fd))
PLAIN(int, fdatasync, (int fd), (fd))
PLAIN(int, syncfs, (int fd), (fd))
PLAIN(int, ftruncate64, (int fd, off64_t len), (fd, len))
PLAIN(int, fallocate64, (int fd, int mode, off64_t offset, off64_t len), (fd, mode, offset, len))
PLAIN(off64_t, lseek64, (int fd, off64_t offset, int whence), (fd, offset, whence))
PLAIN(int, fstat64, (int fd, struct stat64 *st), (fd, st))
PLAIN(int, stat64, (const char *path, struct stat64 *st), (path, st))
PLAIN(int, fstatat64, (int dir_fd, const char *path, struct stat64 *st, int flags),
      (dir_fd, path, st, flags))
PLAIN(int, futimens, (int fd, const struct timespec times[2]), (fd, times))
PLAIN(int, fchmod, (int fd, mode_t mode), (fd, mode))

PLAIN(int, rename, (const char *old, const char *new), (old, new))
PLAIN(int, renameat, (int old_fd, const char *old, int new_fd, const char *new),
      (old_fd, old, new_fd, new))
PLAIN(int, renameat2, (int old_fd, const char *old, int new_fd, const char *new, unsigned flags),
      (old_fd, old, new_fd, new, flags))
PLAIN(int, link, (const char *old, const char *new), (old, new))
PLAIN(int, linkat, (int old_fd, const char *old, int new_fd, const char *new, int flags),
      (old_fd, old, new_fd, new, flags))
PLAIN(int, unlink, (const char *path), (path))
PLAIN(int, unlinkat, (int dir_fd, const char *path, int flags), (dir_fd, path, flags))
PLAIN(int, mkdir, (const char *path, mode_t mode), (path, mode))
PLAIN(int, mkdirat, (int dir_fd, const char *path, mode_t mode), (dir_fd, path, mode))
PLAIN(int, rmdir, (const char *path), (path))

PLAIN(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
PLAIN(int, __poll_chk, (struct pollfd * fds, nfds_t count, int timeout, size_t known),
      (fds, count, timeout, known))
PLAIN(int, socketpair, (int domain, int type, int protocol, int fds[2]),
      (domain, type, protocol, fds))
PLAIN(int, eventfd, (unsigned count, int flags), (count, flags))
PLAIN(int, pipe2, (int fds[2], int flags), (fds, flags))

/* Not calls of the kernel, but what fails when it has no memory left. */
#define ALLOCATING(function, parameters, arguments)                                                \
    void *function parameters                                                                      \
    {                                                                                              \
        NEXT(function)                                                                             \
        return fails(#function, HERE) ? NULL : next arguments;                                     \
    }

ALLOCATING(malloc, (size_t len), (len))
ALLOCATING(calloc, (size_t count, size_t len), (count, len))
ALLOCATING(realloc, (void *old, size_t len), (old, len))
ALLOCATING(aligned_alloc, (size_t unit, size_t len), (unit, len))

char *strdup(const char *text)
{
    NEXT(strdup)
    return fails("strdup", HERE) ? NULL : next(text);
}

int close(int fd)
{
    NEXT(close)
    if (fails("close", HERE)) {
        int errnum = errno;
        (void)next(fd); /* the kernel has closed it also when it says that something failed */
        errno = errnum;
        return -1;
    }
    return next(fd);
}

void *mmap64(void *where, size_t len, int protection, int flags, int fd, off64_t offset)
{
    NEXT(mmap64)
    return fails("mmap64", HERE) ? MAP_FAILED : next(where, len, protection, flags, fd, offset);
}

int fcntl64(int fd, int command, ...)
{
    va_list list;
    NEXT(fcntl64)

    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return fails("fcntl64", HERE) ? -1 : next(fd, command, argument);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    NEXT(ioctl)

    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    return fails("ioctl", HERE) ? -1 : next(fd, request, argument);
}
