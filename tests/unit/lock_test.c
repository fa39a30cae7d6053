/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/lock.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define IMAGE_BYTES (1 << 20)
#define RACES 200

static char folder[] = "/var/tmp/lock_test.XXXXXX";
static char image[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(image, sizeof image, "%s/disk.raw", folder);
    int fd = open(image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int result = fd < 0 ? -1 : ftruncate(fd, IMAGE_BYTES);
    if (fd >= 0) {
        (void)close(fd);
    }
    return result;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(image);
    return rmdir(folder);
}

static int open_image(int flags)
{
    int fd = open(image, flags | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* How the lock looks from another process: 0 had it, 1 refused (*err), 2 something else. */
static int try_elsewhere(bool for_write, struct error *err)
{
    int pipe_fds[2];
    int status = -1;

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct error told = {0};
        int fd = open(image, (for_write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
        int result = fd < 0 ? 2 : -lock_image(fd, image, for_write, &told);
        _exit(write(pipe_fds[1], &told, sizeof told) == (ssize_t)sizeof told ? result : 2);
    }
    assert_int_equal(read(pipe_fds[0], err, sizeof *err), sizeof *err);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool is_marked(off_t byte)
{
    int fd = open_image(O_RDONLY);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
    (void)close(fd);
    return lock.l_type != F_UNLCK;
}

static void mark(int fd, off_t byte)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
}

static void readers_share(void **state)
{
    struct error err = {0};
    int fd = open_image(O_RDONLY);

    (void)state;
    assert_int_equal(lock_image(fd, image, false, &err), 0);
    assert_true(is_marked(201));
    assert_false(is_marked(101));
    assert_int_equal(try_elsewhere(false, &err), 0);
    (void)close(fd);
    assert_false(is_marked(201));
}

static void a_reader_keeps_writers_out(void **state)
{
    struct error err = {0};
    int fd = open_image(O_RDONLY);

    (void)state;
    assert_int_equal(lock_image(fd, image, false, &err), 0);
    assert_int_equal(try_elsewhere(true, &err), 1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_non_null(strstr(err.message, image));
    assert_non_null(strstr(err.message, "another resilver reads it"));
    (void)close(fd);
    assert_int_equal(try_elsewhere(true, &err), 0);
}

static void a_writer_keeps_everybody_out(void **state)
{
    struct error err = {0};
    int fd = open_image(O_RDWR);

    (void)state;
    assert_int_equal(lock_image(fd, image, true, &err), 0);
    assert_true(is_marked(101));
    assert_true(is_marked(201));
    for (int for_write = 0; for_write <= 1; for_write++) {
        assert_int_equal(try_elsewhere(for_write != 0, &err), 1);
        assert_int_equal(err.kind, ERR_WRONG_STATE);
        assert_non_null(strstr(err.message, "another resilver has it open for writing"));
    }
    (void)close(fd);
    assert_int_equal(try_elsewhere(true, &err), 0);
}

static void locks_last_as_long_as_any_copy_of_the_descriptor(void **state)
{
    struct error err = {0};
    int fd = open_image(O_RDWR);

    (void)state;
    assert_int_equal(lock_image(fd, image, true, &err), 0);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    assert_true(copy >= 0);
    (void)close(fd);
    assert_int_equal(try_elsewhere(false, &err), 1);
    (void)close(copy);
    assert_int_equal(try_elsewhere(false, &err), 0);
}

static void the_refused_leave_no_mark(void **state)
{
    struct error err = {0};
    int reader = open_image(O_RDONLY);
    int writer = open_image(O_RDWR);

    (void)state;
    assert_int_equal(lock_image(reader, image, false, &err), 0);
    assert_int_equal(lock_image(writer, image, true, &err), -1);
    (void)close(reader);
    assert_false(is_marked(101));
    assert_false(is_marked(201));
    (void)close(writer);
}

/* What a VM marks on its raw disk (seen with QEMU 7.2): 100, 101, 201. */
static void a_vm_at_work_is_told_from_a_resilver(void **state)
{
    struct error err = {0};
    int vm = open_image(O_RDWR);

    (void)state;
    mark(vm, 100);
    mark(vm, 101);
    mark(vm, 201);
    for (int for_write = 0; for_write <= 1; for_write++) {
        assert_int_equal(try_elsewhere(for_write != 0, &err), 1);
        assert_int_equal(err.kind, ERR_WRONG_STATE);
        assert_non_null(strstr(err.message, "a virtual machine or a QEMU program"));
        assert_true(for_write != 0 || strstr(err.message, "snapshot") != NULL);
    }
    (void)close(vm);
}

static void a_vm_that_only_reads_keeps_writers_out(void **state)
{
    struct error err = {0};
    int vm = open_image(O_RDONLY);

    (void)state;
    mark(vm, 100);
    mark(vm, 201);
    assert_int_equal(try_elsewhere(false, &err), 0);
    assert_int_equal(try_elsewhere(true, &err), 1);
    assert_non_null(strstr(err.message, "a virtual machine or a QEMU program reads it"));
    (void)close(vm);
}

static void a_foreign_lock_on_the_whole_file_is_named(void **state)
{
    struct error err = {0};
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open_image(O_RDWR);

    (void)state;
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &whole), 0);
    assert_int_equal(try_elsewhere(false, &err), 1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_non_null(strstr(err.message, "locked as a whole by another program"));
    (void)close(fd);
}

static void what_cannot_be_locked_is_an_io_error(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(lock_image(-1, image, true, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_non_null(strstr(err.message, "cannot lock"));
    assert_int_equal(lock_image(-1, image, true, NULL), -1);
}

/* One side of a race: says "ready", waits for its start, tells the result, holds until told. */
static void race_child(int in_fd, int out_fd)
{
    char byte = 'r';
    int fd = open(image, O_RDWR | O_CLOEXEC);

    for (;;) {
        if (write(out_fd, &byte, 1) != 1 || read(in_fd, &byte, 1) != 1) {
            _exit(0);
        }
        byte = lock_image(fd, image, true, NULL) == 0 ? '1' : '0';
        if (write(out_fd, &byte, 1) != 1 || read(in_fd, &byte, 1) != 1) {
            _exit(0);
        }
        (void)close(fd);
        fd = open(image, O_RDWR | O_CLOEXEC);
        byte = 'r';
    }
}

static void of_two_racing_writers_never_both_succeed(void **state)
{
    int to[2][2];
    int from[2][2];
    pid_t pids[2];
    char byte = 0;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pipe(to[i]), 0);
        assert_int_equal(pipe(from[i]), 0);
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            for (int k = 0; k <= i; k++) {
                (void)close(to[k][1]); /* else nobody sees the end of the other's pipe */
            }
            race_child(to[i][0], from[i][1]);
        }
    }
    for (int round = 0; round < RACES; round++) {
        int winners = 0;
        for (int i = 0; i < 2; i++) {
            assert_int_equal(read(from[i][0], &byte, 1), 1);
            assert_int_equal(byte, 'r');
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(write(to[i][1], "s", 1), 1);
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(read(from[i][0], &byte, 1), 1);
            winners += byte == '1';
        }
        assert_true(winners <= 1);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(write(to[i][1], "e", 1), 1);
        }
    }
    for (int i = 0; i < 2; i++) {
        int status = -1;
        (void)close(to[i][1]);
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
        (void)close(to[i][0]);
        (void)close(from[i][0]);
        (void)close(from[i][1]);
    }
}

/* A qemu-io with the image open: commands into in_fd, answers (both streams) from out_fd. */
struct qemu_io {
    pid_t pid;
    int in_fd;
    int out_fd;
};

static struct qemu_io start_qemu_io(bool for_write)
{
    int in[2];
    int out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)dup2(out[1], STDERR_FILENO);
        execlp("qemu-io", "qemu-io", "-f", "raw", for_write ? "-n" : "-r", image, (char *)NULL);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    return (struct qemu_io){pid, in[1], out[0]};
}

/* Its answer up to a text, or to its end; with a deadline. */
static bool says(struct qemu_io *io, const char *text)
{
    char got[4096] = "";
    size_t used = 0;

    for (;;) {
        struct pollfd poll_fd = {.fd = io->out_fd, .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, 30000), 1);
        ssize_t more = read(io->out_fd, got + used, sizeof got - 1 - used);
        if (more <= 0) {
            return false;
        }
        used += (size_t)more;
        got[used] = '\0';
        if (strstr(got, text) != NULL) {
            return true;
        }
    }
}

static int end_qemu_io(struct qemu_io *io)
{
    int status = -1;

    (void)close(io->in_fd);
    (void)close(io->out_fd);
    assert_int_equal(waitpid(io->pid, &status, 0), io->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool has_qemu_io(void)
{
    return system("qemu-io --version >/dev/null 2>&1") == 0;
}

static void refuses_what_a_real_qemu_writes(void **state)
{
    struct error err = {0};

    (void)state;
    if (!has_qemu_io()) {
        skip();
    }
    struct qemu_io io = start_qemu_io(true);
    assert_int_equal(write(io.in_fd, "read 0 512\n", 11), 11);
    assert_true(says(&io, "read 512/512"));
    assert_int_equal(try_elsewhere(false, &err), 1);
    assert_non_null(strstr(err.message, "a virtual machine or a QEMU program"));
    assert_int_equal(try_elsewhere(true, &err), 1);
    assert_int_equal(end_qemu_io(&io), 0);
    assert_int_equal(try_elsewhere(true, &err), 0);
}

static void keeps_a_real_qemu_from_writing(void **state)
{
    struct error err = {0};

    (void)state;
    if (!has_qemu_io()) {
        skip();
    }
    for (int for_write = 0; for_write <= 1; for_write++) {
        int fd = open_image(for_write != 0 ? O_RDWR : O_RDONLY);
        assert_int_equal(lock_image(fd, image, for_write != 0, &err), 0);
        struct qemu_io io = start_qemu_io(true);
        assert_true(says(&io, "lock"));
        assert_int_not_equal(end_qemu_io(&io), 0);
        (void)close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_share),
        cmocka_unit_test(a_reader_keeps_writers_out),
        cmocka_unit_test(a_writer_keeps_everybody_out),
        cmocka_unit_test(locks_last_as_long_as_any_copy_of_the_descriptor),
        cmocka_unit_test(the_refused_leave_no_mark),
        cmocka_unit_test(a_vm_at_work_is_told_from_a_resilver),
        cmocka_unit_test(a_vm_that_only_reads_keeps_writers_out),
        cmocka_unit_test(a_foreign_lock_on_the_whole_file_is_named),
        cmocka_unit_test(what_cannot_be_locked_is_an_io_error),
        cmocka_unit_test(of_two_racing_writers_never_both_succeed),
        cmocka_unit_test(refuses_what_a_real_qemu_writes),
        cmocka_unit_test(keeps_a_real_qemu_from_writing),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("lock", tests, make_folder, remove_folder);
}
