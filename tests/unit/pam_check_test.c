/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * This program is also what it asks: pam_check.c starts /proc/self/exe, which is then the child of
 * pam_child.c, or, for services named below, one that does what no child should.
 */
#include "gateway/pam_check.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/auth.h"
#include "gateway/pam_child.h"

struct rig {
    char folder[32];
    struct pam_check check;
    char why[ERROR_MESSAGE_MAX];
};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/pam.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    assert_int_equal(pam_check_init(&rig->check, env_system(), "x", rig->folder, NULL), 0);
    *state = rig;
    return 0;
}

static void path_in(const struct rig *rig, const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", rig->folder, name);
}

static int tear_down(void **state)
{
    static const char *const names[] = {"permit", "deny",    "judge",    "account", "nomodule",
                                        "check",  "expired", "twice",    "bad",     "seen",
                                        "users",  "two",     "talkative"};
    struct rig *rig = *state;
    char path[128];

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        path_in(rig, names[i], path);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(rig->folder), 0);
    free(rig);
    return 0;
}

static enum pam_check_result ask(struct rig *rig, const char *service, const char *name,
                                 const char *password)
{
    const struct pam_question question = {name, password, "192.0.2.1"};

    (void)snprintf(rig->check.service, sizeof rig->check.service, "%s", service);
    rig->why[0] = '\0';
    enum pam_check_result result = pam_check_ask(&rig->check, &question, rig->why);
    assert_true((result == PAM_CHECK_RIGHT) == (rig->why[0] == '\0'));
    assert_null(strstr(rig->why, password));
    return result;
}

/* --- children that are none ------------------------------------------------------------------ */

static int say(const char *text, int status)
{
    return write(STDOUT_FILENO, text, strlen(text)) < 0 ? 99 : status;
}

static int run_odd(const char *service)
{
    if (strcmp(service, "odd-silent") == 0) {
        return PAM_CHILD_RIGHT;
    }
    if (strcmp(service, "odd-other-word") == 0) {
        return say("rights", PAM_CHILD_RIGHT);
    }
    if (strcmp(service, "odd-right-but-wrong") == 0) {
        return say(PAM_CHILD_WORD, PAM_CHILD_WRONG);
    }
    if (strcmp(service, "odd-status") == 0) {
        return say(PAM_CHILD_WORD, 3);
    }
    if (strcmp(service, "odd-dies") == 0) {
        (void)say(PAM_CHILD_WORD, 0);
        (void)kill(getpid(), SIGKILL);
    }
    if (strcmp(service, "odd-endless") == 0) {
        while (say("right right right right ", 0) == 0) {
        }
    }
    if (strcmp(service, "odd-orphan") == 0 && fork() == 0) {
        (void)sleep(30); /* and keeps the answer's pipe */
        _exit(0);
    }
    if (strcmp(service, "odd-hangs") == 0) {
        (void)signal(SIGTERM, SIG_IGN);
        (void)fork(); /* one that hangs alike, in its group */
        (void)say(PAM_CHILD_WORD, 0);
        (void)sleep(30);
    }
    if (strcmp(service, "odd-surroundings") == 0) {
        bool is_clean = fcntl(3, F_GETFD) < 0 && fcntl(STDERR_FILENO, F_GETFD) == 0 &&
                        getenv("HOME") == NULL && getenv("LD_PRELOAD") == NULL &&
                        getpgrp() == getpid();
        return is_clean ? say(PAM_CHILD_WORD, PAM_CHILD_RIGHT) : PAM_CHILD_BROKEN;
    }
    return say("it was told so", PAM_CHILD_BROKEN);
}

static void nothing_but_word_and_status_is_right(void **state)
{
    static const char *const services[] = {"odd-silent", "odd-other-word", "odd-status",
                                           "odd-dies",   "odd-broken",     ""};
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(services); i++) {
        if (ask(rig, services[i], "alice", "s3cret") != PAM_CHECK_BROKEN) {
            fail_msg("'%s' is not broken", services[i]);
        }
    }
    assert_non_null(strstr(rig->why, "no service"));
    assert_int_equal(ask(rig, "odd-broken", "alice", "s3cret"), PAM_CHECK_BROKEN);
    assert_non_null(strstr(rig->why, "it was told so"));
    assert_int_equal(ask(rig, "odd-right-but-wrong", "alice", "s3cret"), PAM_CHECK_WRONG);
}

static void a_child_that_hangs_is_killed_and_refused(void **state)
{
    static const char *const services[] = {"odd-hangs", "odd-endless"};
    struct rig *rig = *state;

    rig->check.deadline_ms = 300;
    for (size_t i = 0; i < ARRAY_COUNT(services); i++) {
        uint64_t began_ns = env_now_ns(env_system());
        assert_int_equal(ask(rig, services[i], "alice", "s3cret"), PAM_CHECK_WRONG);
        assert_true(env_now_ns(env_system()) - began_ns < 10 * NS_PER_S);
        assert_non_null(strstr(rig->why, "300 ms"));
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* it was waited for */
    }
}

static void what_a_child_leaves_behind_is_not_waited_for(void **state)
{
    struct rig *rig = *state;
    uint64_t began_ns = env_now_ns(env_system());

    assert_int_equal(ask(rig, "odd-orphan", "alice", "s3cret"), PAM_CHECK_BROKEN);
    assert_true(env_now_ns(env_system()) - began_ns < 8 * NS_PER_S);
}

static void a_child_has_nothing_of_ours(void **state)
{
    struct rig *rig = *state;
    int fd = open("/dev/null", O_RDONLY); /* it would be inherited */

    assert_true(fd > STDERR_FILENO);
    assert_int_equal(setenv("HOME", "/nowhere", 1), 0);
    assert_int_equal(ask(rig, "odd-surroundings", "alice", "s3cret"), PAM_CHECK_RIGHT);
    (void)close(fd);
}

/* --- the question ---------------------------------------------------------------------------- */

static void a_question_that_is_too_long_is_not_asked(void **state)
{
    struct rig *rig = *state;
    char text[PAM_QUESTION_MAX + 1];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(ask(rig, "permit", text, "s3cret"), PAM_CHECK_BROKEN);
    text[CALLER_NAME_MAX] = '\0'; /* one more than a name has */
    assert_int_equal(ask(rig, "permit", text, "s3cret"), PAM_CHECK_BROKEN);
    assert_non_null(strstr(rig->why, "the question is none"));
    assert_int_equal(ask(rig, "permit", "", "s3cret"), PAM_CHECK_BROKEN);
}

static void a_folder_is_an_absolute_path(void **state)
{
    struct rig *rig = *state;
    struct error err = {0};

    assert_int_equal(pam_check_init(&rig->check, env_system(), "x", "pam.d", &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_int_equal(pam_check_init(&rig->check, env_system(), "x", NULL, &err), 0);
    assert_string_equal(rig->check.folder, "");
    assert_int_equal(rig->check.deadline_ms, PAM_CHECK_S * 1000);
}

/* --- PAM itself ------------------------------------------------------------------------------ */

#ifdef HAVE_PAM

static void put(const struct rig *rig, const char *name, mode_t mode, const char *text)
{
    char path[128];

    path_in(rig, name, path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fchmod(fileno(file), mode), 0);
    assert_int_equal(fclose(file), 0);
}

static void permits_and_denies_as_pam_does(void **state)
{
    struct rig *rig = *state;

    put(rig, "permit", 0644, "auth required pam_permit.so\naccount required pam_permit.so\n");
    put(rig, "deny", 0644, "auth required pam_deny.so\naccount required pam_permit.so\n");
    put(rig, "account", 0644, "auth required pam_permit.so\naccount required pam_deny.so\n");
    assert_int_equal(ask(rig, "permit", "alice", "s3cret"), PAM_CHECK_RIGHT);
    assert_int_equal(ask(rig, "deny", "alice", "s3cret"), PAM_CHECK_WRONG);
    assert_non_null(strstr(rig->why, "pam_authenticate"));
    assert_int_equal(ask(rig, "account", "alice", "s3cret"), PAM_CHECK_WRONG);
    assert_non_null(strstr(rig->why, "pam_acct_mgmt"));
}

/* A script that has the password on its standard input, as pam_exec(8) says, with a NUL. */
static void put_judge(const struct rig *rig)
{
    char text[1024];

    put(rig, "check", 0755,
        "#!/bin/sh\n"
        "[ \"$PAM_RHOST\" = 192.0.2.1 ] && [ \"$PAM_USER:$(tr -d '\\0')\" = 'alice:s3cret word' "
        "]\n");
    (void)snprintf(text, sizeof text,
                   "auth [success=1 default=ignore] pam_exec.so expose_authtok quiet %s/check\n"
                   "auth requisite pam_deny.so\n"
                   "auth required pam_permit.so\n"
                   "account required pam_permit.so\n",
                   rig->folder);
    put(rig, "judge", 0644, text);
}

static void the_password_reaches_the_module_that_judges_it(void **state)
{
    struct rig *rig = *state;

    put_judge(rig);
    assert_int_equal(ask(rig, "judge", "alice", "s3cret word"), PAM_CHECK_RIGHT);
    assert_int_equal(ask(rig, "judge", "alice", "s3cret wor"), PAM_CHECK_WRONG);
    assert_int_equal(ask(rig, "judge", "alice", "s3cret word "), PAM_CHECK_WRONG);
    assert_int_equal(ask(rig, "judge", "bob", "s3cret word"), PAM_CHECK_WRONG);
}

static void what_pam_cannot_do_is_broken_and_not_wrong(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(ask(rig, "missing", "alice", "s3cret"), PAM_CHECK_BROKEN);
    put(rig, "nomodule", 0644, "auth required pam_nowhere.so\naccount required pam_permit.so\n");
    assert_int_equal(ask(rig, "nomodule", "alice", "s3cret"), PAM_CHECK_BROKEN);
    assert_non_null(strstr(rig->why, "nomodule"));
    /* libpam says no more of a file without any module. */
    put(rig, "bad", 0644, "nonsense\n");
    assert_int_equal(ask(rig, "bad", "alice", "s3cret"), PAM_CHECK_WRONG);
}

/* A second factor is asked for: the password is not given twice. */
static void more_than_one_password_is_not_there(void **state)
{
    struct rig *rig = *state;

    put_judge(rig);
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "auth required pam_exec.so expose_authtok quiet %s/check\n"
                   "auth required pam_debug.so auth=success\n"
                   "auth required pam_ftp.so\n"
                   "account required pam_permit.so\n",
                   rig->folder);
    put(rig, "twice", 0644, text);
    /* pam_ftp(8) asks for another one of names that are its own alone. */
    assert_int_not_equal(ask(rig, "twice", "alice", "s3cret word"), PAM_CHECK_RIGHT);
    (void)snprintf(text, sizeof text,
                   "auth required pam_ftp.so users=alice\nauth required pam_ftp.so users=alice\n"
                   "account required pam_permit.so\n");
    put(rig, "two", 0644, text);
    assert_int_not_equal(ask(rig, "two", "alice", "s3cret"), PAM_CHECK_RIGHT);
    assert_non_null(strstr(rig->why, "asks for more"));
}

/* --- who asks -------------------------------------------------------------------------------- */

struct login {
    struct auth *auth;
    struct cim_caller caller;
    char why[ERROR_MESSAGE_MAX];
};

static enum auth_result try_header(struct login *login, const char *header)
{
    login->caller = (struct cim_caller){.role = CIM_ROLE_NOBODY};
    return auth_check(login->auth,
                      &(struct auth_offer){.authorization = header, .remote = "192.0.2.1"},
                      &login->caller, login->why);
}

#define ALICE "Basic YWxpY2U6czNjcmV0IHdvcmQ=" /* alice:s3cret word */
#define ALICE_WRONG "Basic YWxpY2U6d3Jvbmc="   /* alice:wrong */
#define BOB "Basic Ym9iOnMzY3JldCB3b3Jk"       /* bob:s3cret word */

static void open_login(const struct rig *rig, struct login *login)
{
    char path[128];

    put(rig, "users", 0640, "alice:pam:operator\n");
    path_in(rig, "users", path);
    assert_int_equal(auth_new(env_system(), path, &login->auth, NULL), 0);
}

static void a_user_of_pam_logs_in_with_the_role_of_the_file(void **state)
{
    struct rig *rig = *state;
    struct login login;
    char path[128];

    open_login(rig, &login);
    put_judge(rig);
    assert_int_equal(try_header(&login, ALICE), AUTH_BROKEN); /* nothing was said of PAM */
    (void)snprintf(rig->check.service, sizeof rig->check.service, "judge");
    auth_set_pam(login.auth, &rig->check);
    assert_int_equal(try_header(&login, ALICE_WRONG), AUTH_REFUSED);
    assert_int_equal(try_header(&login, ALICE), AUTH_FINE);
    assert_int_equal(login.caller.role, CIM_ROLE_OPERATOR);
    assert_string_equal(login.caller.name, "alice");
    assert_int_equal(try_header(&login, ALICE_WRONG), AUTH_REFUSED);
    /* It is remembered, and not asked again. */
    path_in(rig, "judge", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(try_header(&login, ALICE), AUTH_FINE);
    auth_free(login.auth);
}

static void pam_is_not_asked_of_whom_the_file_does_not_have(void **state)
{
    struct rig *rig = *state;
    struct login login;
    char text[256];
    char seen[128];

    open_login(rig, &login);
    path_in(rig, "seen", seen);
    (void)snprintf(text, sizeof text, "#!/bin/sh\n>%s\n", seen);
    put(rig, "check", 0755, text);
    (void)snprintf(text, sizeof text,
                   "auth required pam_exec.so %s/check\naccount required pam_permit.so\n",
                   rig->folder);
    put(rig, "judge", 0644, text);
    (void)snprintf(rig->check.service, sizeof rig->check.service, "judge");
    auth_set_pam(login.auth, &rig->check);
    assert_int_equal(try_header(&login, BOB), AUTH_REFUSED);
    assert_int_equal(access(seen, F_OK), -1);
    assert_int_equal(try_header(&login, ALICE), AUTH_FINE); /* it would have been seen */
    assert_int_equal(access(seen, F_OK), 0);
    auth_free(login.auth);
}

static void broken_pam_closes_its_user_and_not_the_address(void **state)
{
    struct rig *rig = *state;
    struct login login;

    open_login(rig, &login);
    (void)snprintf(rig->check.service, sizeof rig->check.service, "missing");
    auth_set_pam(login.auth, &rig->check);
    for (unsigned i = 0; i < AUTH_TRIES_MAX; i++) {
        assert_int_equal(try_header(&login, ALICE), AUTH_BROKEN);
        assert_non_null(strstr(login.why, "missing"));
    }
    assert_int_equal(try_header(&login, ALICE), AUTH_LOCKED);
    assert_int_equal(try_header(&login, BOB), AUTH_REFUSED);
    auth_free(login.auth);
}

static void *ask_often(void *context)
{
    struct rig rig = *(const struct rig *)context;

    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(&rig, "judge", "alice", "s3cret word"), PAM_CHECK_RIGHT);
        assert_int_equal(ask(&rig, "judge", "alice", "guess"), PAM_CHECK_WRONG);
    }
    return NULL;
}

static void several_threads_ask_at_once(void **state)
{
    struct rig *rig = *state;
    pthread_t threads[HTTP_WORKERS];

    put_judge(rig);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, rig), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

#endif

/* As resilver-gateway's main() does. */
static int run_child(int argc, char **argv)
{
    const char *service = strchr(argv[1], '=') + 1;
    const char *folder = argc > 2 ? strchr(argv[2], '=') + 1 : NULL;

    return strncmp(service, "odd-", 4) == 0 ? run_odd(service)
                                            : (int)pam_child_run(service, folder);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_but_word_and_status_is_right, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_child_that_hangs_is_killed_and_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_a_child_leaves_behind_is_not_waited_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_child_has_nothing_of_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_question_that_is_too_long_is_not_asked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_folder_is_an_absolute_path, set_up, tear_down),
#ifdef HAVE_PAM
        cmocka_unit_test_setup_teardown(permits_and_denies_as_pam_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_password_reaches_the_module_that_judges_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_pam_cannot_do_is_broken_and_not_wrong, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(more_than_one_password_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_user_of_pam_logs_in_with_the_role_of_the_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(pam_is_not_asked_of_whom_the_file_does_not_have, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(broken_pam_closes_its_user_and_not_the_address, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(several_threads_ask_at_once, set_up, tear_down),
#endif
    };

    if (argc > 1) {
        _exit(run_child(argc, argv));
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
