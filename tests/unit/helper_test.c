/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/helper.h"

#include "disk_drive.h"

#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

static char dir[DRIVE_PATH_MAX];
static char socket_path[DRIVE_PATH_MAX + 16];

/* Listens, then does what is asked for; argv[1] is the socket. */
#define SERVER                                                                                     \
    "import signal, socket, sys, time\n"                                                           \
    "if 'deaf' in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"                       \
    "if 'loud' in sys.argv:\n"                                                                     \
    "    import os\n"                                                                              \
    "    left = 1 << 20\n"                                                                         \
    "    while left > 0:\n"                                                                        \
    "        left -= 4096\n"                                                                       \
    "        try: os.write(2, b'x' * 4096)\n"                                                      \
    "        except BlockingIOError: pass\n"                                                       \
    "s = socket.socket(socket.AF_UNIX)\n"                                                          \
    "s.bind(sys.argv[1])\n"                                                                        \
    "s.listen(5)\n"                                                                                \
    "while True: time.sleep(100)\n"

static int setup(void **state)
{
    (void)state;
    drive_temporary(dir, sizeof dir);
    (void)snprintf(socket_path, sizeof socket_path, "%s/s", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    drive_remove(dir);
    return 0;
}

static struct helper *start_server(char *manner)
{
    char *const argv[] = {"/usr/bin/python3", "-c", SERVER, socket_path, manner, NULL};
    struct helper *helper = NULL;
    struct error err = {.kind = ERR_NONE};

    int result = helper_start(argv, socket_path, NULL, &helper, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(result, 0);
    return helper;
}

static bool is_gone(int pidfd)
{
    struct pollfd watch = {.fd = pidfd, .events = POLLIN};

    return poll(&watch, 1, DRIVE_DEADLINE_S * 1000) == 1;
}

static void starts_a_server_and_ends_it(void **state)
{
    (void)state;
    struct helper *helper = start_server("plain");
    int pidfd = pidfd_open(helper_process_id(helper), 0);

    assert_true(pidfd >= 0);
    assert_true(helper_is_running(helper));
    assert_string_equal(helper_reason(helper), "");
    uint64_t before_ns = env_now_ns(env_system());
    helper_end(helper);
    /* By SIGTERM: long before the deadline after which SIGKILL comes. */
    assert_true(env_now_ns(env_system()) - before_ns < HELPER_END_S * NS_PER_S / 2);
    assert_true(is_gone(pidfd));
    (void)close(pidfd);
    helper_end(NULL);
}

static void kills_a_server_that_ignores_sigterm(void **state)
{
    (void)state;
    struct helper *helper = start_server("deaf");
    int pidfd = pidfd_open(helper_process_id(helper), 0);
    uint64_t before_ns = env_now_ns(env_system());

    helper_end(helper);
    assert_true(env_now_ns(env_system()) - before_ns >= HELPER_END_S * NS_PER_S);
    assert_true(is_gone(pidfd));
    (void)close(pidfd);
}

static void a_loud_server_is_not_held_up(void **state)
{
    (void)state;
    struct helper *helper = start_server("loud");
    const char *reason = helper_reason(helper);

    assert_int_equal(strlen(reason), strspn(reason, "x"));
    assert_in_range(strlen(reason), HELPER_REASON_BYTES / 2, HELPER_REASON_BYTES - 1);
    helper_end(helper);
}

static void notices_that_a_server_died(void **state)
{
    (void)state;
    struct helper *helper = start_server("plain");
    int pidfd = pidfd_open(helper_process_id(helper), 0);

    assert_int_equal(kill(helper_process_id(helper), SIGKILL), 0);
    assert_true(is_gone(pidfd));
    assert_false(helper_is_running(helper));
    helper_end(helper);
    (void)close(pidfd);
}

static void gives_the_reason_of_a_server_that_ends_at_once(void **state)
{
    (void)state;
    char *const argv[] = {"sh", "-c", "echo first line >&2; echo no such image >&2; exit 3", NULL};
    char reason[HELPER_REASON_BYTES] = "untouched";
    struct helper *helper = NULL;
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(helper_start(argv, socket_path, reason, &helper, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_string_equal(reason, "first line; no such image");
    assert_string_equal(err.message, "sh ended at once: first line; no such image");
    assert_null(helper);

    char *const silent[] = {"true", NULL};
    assert_int_equal(helper_start(silent, socket_path, reason, &helper, &err), -1);
    assert_string_equal(reason, "");
    assert_string_equal(err.message, "true ended at once: it gave no reason");
}

static void says_when_a_program_is_missing(void **state)
{
    (void)state;
    char *const argv[] = {"resilver-no-such-program", NULL};
    struct helper *helper = NULL;
    struct helper_result result = {.output = NULL};
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(helper_start(argv, socket_path, NULL, &helper, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_int_equal(err.errnum, ENOENT);
    assert_non_null(strstr(err.message, "resilver-no-such-program"));
    assert_int_equal(helper_run(argv, 10, &result, &err), -1);
    assert_int_equal(err.errnum, ENOENT);
    assert_null(result.output);
}

static void refuses_a_socket_path_that_is_too_long(void **state)
{
    (void)state;
    char *const argv[] = {"sleep", "100", NULL};
    char path[200];
    struct helper *helper = NULL;
    struct error err = {.kind = ERR_NONE};

    memset(path, 'p', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_int_equal(helper_start(argv, path, NULL, &helper, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
}

static void gives_up_on_a_server_that_never_listens(void **state)
{
    (void)state;
    char *const argv[] = {"sleep", "100", NULL};
    struct helper *helper = NULL;
    struct error err = {.kind = ERR_NONE};
    uint64_t before_ns = env_now_ns(env_system());

    assert_int_equal(helper_start(argv, socket_path, NULL, &helper, &err), -1);
    assert_true(env_now_ns(env_system()) - before_ns >= HELPER_START_S * NS_PER_S);
    assert_non_null(strstr(err.message, "in time"));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* not left behind, nor its zombie */
    assert_int_equal(errno, ECHILD);
}

static void runs_a_command(void **state)
{
    (void)state;
    char *const argv[] = {"sh", "-c", "printf 'a b'; cat; echo bad >&2; exit 5", NULL};
    struct helper_result result = {.output = NULL};
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(helper_run(argv, 10, &result, &err), 0);
    assert_int_equal(result.exit_status, 5);
    assert_string_equal(result.output, "a b");
    assert_int_equal(result.output_bytes, 3);
    assert_string_equal(result.reason, "bad");
    helper_result_done(&result);

    char *const killed[] = {"sh", "-c", "kill -9 $$", NULL};
    assert_int_equal(helper_run(killed, 10, &result, &err), 0);
    assert_int_equal(result.exit_status, 128 + SIGKILL);
    helper_result_done(&result);
}

static void reads_all_that_a_command_says(void **state)
{
    (void)state;
    char *const fits[] = {"sh", "-c", "head -c 1048576 /dev/zero | tr '\\0' y", NULL};
    char *const too_much[] = {"sh", "-c", "head -c 1048577 /dev/zero", NULL};
    struct helper_result result = {.output = NULL};
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(HELPER_OUTPUT_MAX, 1048576);
    assert_int_equal(helper_run(fits, 10, &result, &err), 0);
    assert_int_equal(result.output_bytes, HELPER_OUTPUT_MAX);
    assert_int_equal(strlen(result.output), HELPER_OUTPUT_MAX);
    helper_result_done(&result);
    assert_int_equal(helper_run(too_much, 10, &result, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void keeps_the_end_of_many_words(void **state)
{
    (void)state;
    char *const argv[] = {"sh", "-c", "seq 1 20000 >&2; printf 'the end\\n\\n' >&2", NULL};
    struct helper_result result = {.output = NULL};
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(helper_run(argv, 20, &result, &err), 0);
    assert_in_range(strlen(result.reason), 500, HELPER_REASON_BYTES - 1);
    helper_result_done(&result);
}

static void ends_a_command_that_takes_too_long(void **state)
{
    (void)state;
    char *const argv[] = {"sleep", "100", NULL};
    struct helper_result result = {.output = NULL};
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(helper_run(argv, 1, &result, &err), -1);
    assert_int_equal(err.errnum, ETIMEDOUT);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void gives_a_child_no_descriptor_of_ours(void **state)
{
    (void)state;
    int leaky = open("/dev/null", O_RDONLY); /* without close-on-exec, on purpose */
    char *const argv[] = {"ls", "/proc/self/fd", NULL};
    struct helper_result result = {.output = NULL};
    struct error err = {.kind = ERR_NONE};

    assert_true(leaky > 2);
    assert_int_equal(helper_run(argv, 10, &result, &err), 0);
    /* 3 is the directory that ls itself reads. */
    assert_string_equal(result.output, "0\n1\n2\n3\n");
    helper_result_done(&result);
    (void)close(leaky);
}

static void gives_a_child_our_environment(void **state)
{
    (void)state;
    char *const argv[] = {"env", NULL};
    struct helper_result result = {.output = NULL};
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(setenv("RESILVER_TEST", "a b", 1), 0);
    assert_int_equal(setenv("MALLOC_TRIM_THRESHOLD_", "5", 1), 0);
    assert_int_equal(helper_run(argv, 10, &result, &err), 0);
    assert_non_null(strstr(result.output, "\nRESILVER_TEST=a b\n"));
    assert_non_null(strstr(result.output, "MALLOC_MMAP_THRESHOLD_=4194304\n"));
    /* What somebody has set is left as it is. */
    assert_non_null(strstr(result.output, "MALLOC_TRIM_THRESHOLD_=5\n"));
    assert_null(strstr(result.output, "MALLOC_TRIM_THRESHOLD_=67108864\n"));
    helper_result_done(&result);
    assert_int_equal(unsetenv("RESILVER_TEST"), 0);
    assert_int_equal(unsetenv("MALLOC_TRIM_THRESHOLD_"), 0);
}

static void on_usr1(int signal_number)
{
    (void)signal_number;
}

static void gives_a_child_clean_signals_and_a_group_of_its_own(void **state)
{
    (void)state;
    char *const argv[] = {
        "sh", "-c",
        "grep -E 'Sig(Blk|Ign)' /proc/self/status; cut -d' ' -f5 /proc/$$/stat; echo $$", NULL};
    struct sigaction action = {.sa_handler = on_usr1};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction usr1_before;
    struct sigaction pipe_before;
    sigset_t blocked;
    sigset_t before;
    struct helper_result result = {.output = NULL};
    struct error err = {.kind = ERR_NONE};

    (void)sigaction(SIGUSR1, &action, &usr1_before);
    (void)sigaction(SIGPIPE, &ignore, &pipe_before);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    int status = helper_run(argv, 10, &result, &err);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)sigaction(SIGUSR1, &usr1_before, NULL);
    (void)sigaction(SIGPIPE, &pipe_before, NULL);

    assert_int_equal(status, 0);
    assert_non_null(strstr(result.output, "SigBlk:\t0000000000000000"));
    const char *ignored = strstr(result.output, "SigIgn:");
    assert_non_null(ignored);
    /* Signals 32 and 33 are glibc's own and out of reach; make starts its commands with both
     * ignored. */
    assert_int_equal(strtoull(ignored + strlen("SigIgn:"), NULL, 16) & ~(3ULL << 31), 0);
    int group = 0;
    int process = 1;
    const char *numbers = strstr(strstr(result.output, "SigIgn"), "\n");
    assert_int_equal(sscanf(numbers, "%d %d", &group, &process), 2);
    assert_int_equal(group, process);
    helper_result_done(&result);
}

/* A process of its own, so that it can be killed: starts a server and tells its process id. */
static void owner_main(int tell_fd)
{
    struct helper *helper = start_server("plain");
    int process_id = helper_process_id(helper);
    ssize_t told = write(tell_fd, &process_id, sizeof process_id);

    (void)told;
    for (;;) {
        (void)pause();
    }
}

static void a_server_dies_with_its_owner(void **state)
{
    (void)state;
    int pipe_fds[2];
    int process_id = 0;

    assert_int_equal(pipe(pipe_fds), 0);
    pid_t owner = fork();
    assert_true(owner >= 0);
    if (owner == 0) {
        owner_main(pipe_fds[1]);
    }
    (void)close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &process_id, sizeof process_id), sizeof process_id);
    (void)close(pipe_fds[0]);
    int pidfd = pidfd_open(process_id, 0);
    assert_true(pidfd >= 0);
    struct pollfd watch = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&watch, 1, 0), 0); /* it lives */
    assert_int_equal(kill(owner, SIGKILL), 0);
    assert_int_equal(waitpid(owner, NULL, 0), owner);
    assert_true(is_gone(pidfd));
    (void)close(pidfd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(starts_a_server_and_ends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(kills_a_server_that_ignores_sigterm, setup, teardown),
        cmocka_unit_test_setup_teardown(a_loud_server_is_not_held_up, setup, teardown),
        cmocka_unit_test_setup_teardown(notices_that_a_server_died, setup, teardown),
        cmocka_unit_test_setup_teardown(gives_the_reason_of_a_server_that_ends_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(says_when_a_program_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_a_socket_path_that_is_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(gives_up_on_a_server_that_never_listens, setup, teardown),
        cmocka_unit_test(runs_a_command),
        cmocka_unit_test(reads_all_that_a_command_says),
        cmocka_unit_test(keeps_the_end_of_many_words),
        cmocka_unit_test(ends_a_command_that_takes_too_long),
        cmocka_unit_test(gives_a_child_no_descriptor_of_ours),
        cmocka_unit_test(gives_a_child_our_environment),
        cmocka_unit_test(gives_a_child_clean_signals_and_a_group_of_its_own),
        cmocka_unit_test_setup_teardown(a_server_dies_with_its_owner, setup, teardown),
    };

    if (access("/usr/bin/python3", X_OK) != 0) {
        (void)printf("needs /usr/bin/python3\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
