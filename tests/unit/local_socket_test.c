/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/local_socket.h"

#include "disk_drive.h"

#include <sys/socket.h>
#include <sys/wait.h>

#define STRANGER 65534 /* nobody */

static char dir[DRIVE_PATH_MAX];
static char path[DRIVE_PATH_MAX + 16];

static int setup(void **state)
{
    (void)state;
    drive_temporary(dir, sizeof dir);
    (void)snprintf(path, sizeof path, "%s/socket", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    drive_remove(dir);
    return 0;
}

static struct local_socket listen_there(void)
{
    struct local_socket s = {.fd = -1};
    struct error err = {.kind = ERR_NONE};

    int result = local_socket_listen(path, &s, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(result, 0);
    return s;
}

static int connect_there(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

static void accepts_its_own_user(void **state)
{
    struct local_socket s = listen_there();
    struct stat status;
    int there = -1;
    char byte = 0;

    (void)state;
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(local_socket_accept(&s, &there, NULL), 0); /* nobody waits */
    int here = connect_there();
    assert_true(here >= 0);
    assert_int_equal(local_socket_accept(&s, &there, NULL), 1);
    assert_int_equal(write(here, "x", 1), 1);
    assert_int_equal(read(there, &byte, 1), 1);
    assert_int_equal(read(there, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(close(here), 0);
    assert_int_equal(close(there), 0);
    local_socket_close(&s);
    local_socket_close(&s);
    assert_int_equal(access(path, F_OK), -1);
}

/* Another user, after somebody opened the folder and the socket to all. */
static void turns_away_another_user(void **state)
{
    struct error err = {.kind = ERR_NONE};
    int there = -1;
    int status = 0;

    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    struct local_socket s = listen_there();
    assert_int_equal(chmod(dir, 0777), 0);
    assert_int_equal(chmod(path, 0777), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char byte = 0;
        int fd = setresuid(STRANGER, STRANGER, STRANGER) == 0 ? connect_there() : -1;
        /* Ended by the other side without a word. */
        _exit(fd >= 0 && read(fd, &byte, 1) == 0 ? 0 : 1);
    }
    struct pollfd poll_fd = {.fd = s.fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, DRIVE_DEADLINE_S * 1000), 1);
    assert_int_equal(local_socket_accept(&s, &there, &err), -1);
    assert_int_equal(err.kind, ERR_PEER);
    assert_non_null(strstr(err.message, "user 65534 may not"));
    assert_int_equal(there, -1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    local_socket_close(&s);
}

static void refused(const char *words)
{
    struct local_socket s = {.fd = -1};
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(local_socket_listen(path, &s, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    if (strstr(err.message, words) == NULL) {
        print_error("%s\n", err.message);
    }
    assert_non_null(strstr(err.message, words));
    assert_int_equal(s.fd, -1);
}

static void leaves_what_is_not_its_own(void **state)
{
    (void)state;
    struct local_socket s = listen_there();
    refused("at work");
    assert_int_equal(close(s.fd), 0); /* dies without removing it */
    if (geteuid() == 0) {
        assert_int_equal(lchown(path, STRANGER, STRANGER), 0);
        refused("another user");
        assert_int_equal(lchown(path, 0, 0), 0);
    }
    s = listen_there(); /* a dead one of ours is replaced */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    refused("no socket");
    local_socket_close(&s);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(accepts_its_own_user, setup, teardown),
        cmocka_unit_test_setup_teardown(turns_away_another_user, setup, teardown),
        cmocka_unit_test_setup_teardown(leaves_what_is_not_its_own, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
