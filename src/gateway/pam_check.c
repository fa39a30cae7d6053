/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pam_check.c - one question to PAM, by a process of its own.
 *
 * 1. Nothing is right but the exit status 0 together with the word: a module that calls exit(), or
 *    a program that is not ours, has said nothing.
 * 2. The question is in its pipe, whole, before the process is there: nobody waits for the other.
 * 3. The process is waited for only here, through its pidfd.
 */
#include "gateway/pam_check.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/spawn.h"
#include "base/writer.h"
#include "gateway/pam_child.h"

#define KILLED_MS 1000 /* for what SIGKILL ends, but for a process that hangs in the kernel */

int pam_check_init(struct pam_check *check, const struct env *env, const char *service,
                   const char *folder, struct error *err)
{
    if (folder != NULL && (folder[0] != '/' || strlen(folder) >= sizeof check->folder)) {
        return fail(err, ERR_USAGE, 0,
                    "'%.512s' is no folder for PAM's services: an absolute path of at most %d "
                    "bytes is",
                    folder, PATH_TEXT_MAX - 1);
    }
    *check = (struct pam_check){.env = env, .deadline_ms = PAM_CHECK_S * 1000};
    (void)snprintf(check->service, sizeof check->service, "%s", service);
    (void)snprintf(check->folder, sizeof check->folder, "%s", folder == NULL ? "" : folder);
    return 0;
}

/* --- pipes ----------------------------------------------------------------------------------- */

enum { READ_END, WRITE_END };

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* what was written is in the pipe */
    }
    *fd = -1;
}

static void close_two(int fds[2])
{
    close_fd(&fds[READ_END]);
    close_fd(&fds[WRITE_END]);
}

static int make_pipes(int question[2], int answer[2], struct error *err)
{
    if (pipe2(question, O_CLOEXEC) < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot make a pipe");
    }
    if (pipe2(answer, O_CLOEXEC) < 0) {
        (void)fail(err, ERR_LIMIT, errno, "cannot make a pipe");
        close_two(question);
        return -1;
    }
    return 0;
}

/* Invariant 2: no pipe is smaller than a page. */
static int put_question(int fd, const struct pam_question *question, struct error *err)
{
    uint8_t bytes[PAM_QUESTION_MAX];
    struct writer writer = writer_init((struct span){bytes, sizeof bytes});

    write_text(&writer, question->name);
    write_text(&writer, question->password);
    write_text(&writer, question->remote);
    struct const_span whole = writer_done(&writer);
    int result = 0;
    if (whole.at == NULL) {
        result = fail(err, ERR_LIMIT, 0, "name, password and address are too long together");
    } else if (write(fd, whole.at, whole.len_bytes) != (ssize_t)whole.len_bytes) {
        result = fail(err, ERR_IO, errno, "cannot write into a pipe");
    }
    explicit_bzero(bytes, sizeof bytes);
    return result;
}

/* --- the process ----------------------------------------------------------------------------- */

static int spawn(const struct pam_check *check, int input_fd, int output_fd, struct child *out)
{
    static char name[] = "resilver-gateway";
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    static char locale[] = "LC_ALL=C.UTF-8";
    char service[PAM_SERVICE_MAX + 16];
    char folder[PATH_TEXT_MAX + 16];
    char *words[] = {name, service, check->folder[0] == '\0' ? NULL : folder, NULL};
    char *environment[] = {path, locale, NULL}; /* ours may steer libraries that modules use */
    const struct spawn plan = {
        .file = "/proc/self/exe", /* the program that runs, and not what has its path by now */
        .words = words,
        .environment = environment,
        .input_fd = input_fd,
        .output_fd = output_fd,
        .is_mute = true,
        .has_own_group = true,
    };

    (void)snprintf(service, sizeof service, "--" PAM_CHILD_OPTION_ASK "=%s", check->service);
    (void)snprintf(folder, sizeof folder, "--" PAM_CHILD_OPTION_FOLDER "=%s", check->folder);
    return spawn_child(&plan, out);
}

static int start(const struct pam_check *check, const struct pam_question *question,
                 struct child *child, int *answer_fd, struct error *err)
{
    int question_fds[2];
    int answer_fds[2];

    if (make_pipes(question_fds, answer_fds, err) < 0) {
        return -1;
    }
    int result = put_question(question_fds[WRITE_END], question, err);
    if (result == 0) {
        int refused = spawn(check, question_fds[READ_END], answer_fds[WRITE_END], child);
        result =
            refused == 0 ? 0 : fail(err, ERR_LIMIT, refused, "cannot start a process to ask PAM");
    }
    close_two(question_fds); /* what it has not read, nobody does */
    close_fd(&answer_fds[WRITE_END]);
    if (result < 0) {
        close_fd(&answer_fds[READ_END]);
        return -1;
    }
    *answer_fd = answer_fds[READ_END];
    return 0;
}

static int ms_until(const struct env *env, uint64_t deadline_ns)
{
    uint64_t now_ns = env_now_ns(env);

    return now_ns >= deadline_ns ? 0 : (int)((deadline_ns - now_ns) / NS_PER_MS + 1);
}

/* False: it has not ended in time. */
static bool wait_for_end(const struct pam_check *check, const struct child *child,
                         uint32_t deadline_ms)
{
    uint64_t deadline_ns = env_now_ns(check->env) + deadline_ms * NS_PER_MS;

    for (;;) {
        int left_ms = ms_until(check->env, deadline_ns);
        struct pollfd ended = {.fd = child->pid_fd, .events = POLLIN};
        int count = poll(&ended, 1, left_ms);
        if (count > 0) {
            return true;
        }
        /* An interrupted poll is only one that looks earlier; others there are not. */
        if (left_ms == 0) {
            return false;
        }
    }
}

/* The exit status; -1: a signal ended it, or it does not end. */
static int reap(const struct child *child)
{
    siginfo_t info = {0};

    if (waitid(P_PIDFD, (id_t)child->pid_fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0 ||
        info.si_code != CLD_EXITED) {
        return -1;
    }
    return info.si_status;
}

/* Ended or killed: what it said is in the pipe. Something that it started may have the other end
 * still, and is not waited for. */
static void take_answer(int answer_fd, char out[PAM_ANSWER_MAX])
{
    struct pollfd readable = {.fd = answer_fd, .events = POLLIN};
    ssize_t got = 0;

    if (poll(&readable, 1, 0) > 0) {
        got = read(answer_fd, out, PAM_ANSWER_MAX - 1);
    }
    out[got > 0 ? got : 0] = '\0';
}

/* --- the answer ------------------------------------------------------------------------------ */

static enum pam_check_result broken(const struct pam_check *check, const char *what,
                                    char why[ERROR_MESSAGE_MAX])
{
    (void)snprintf(why, ERROR_MESSAGE_MAX, "PAM's service '%s' has no answer: %.512s",
                   check->service,
                   what[0] == '\0' ? "the process that asks it ended without a word" : what);
    return PAM_CHECK_BROKEN;
}

/* Invariant 1. */
static enum pam_check_result judge(const struct pam_check *check, int status, const char *answer,
                                   char why[ERROR_MESSAGE_MAX])
{
    if (status == PAM_CHILD_RIGHT && strcmp(answer, PAM_CHILD_WORD) == 0) {
        return PAM_CHECK_RIGHT;
    }
    if (status == PAM_CHILD_WRONG && answer[0] != '\0') {
        (void)snprintf(why, ERROR_MESSAGE_MAX, "PAM's service '%s' refuses: %s", check->service,
                       answer);
        return PAM_CHECK_WRONG;
    }
    return broken(check, status == PAM_CHILD_BROKEN ? answer : "", why);
}

static enum pam_check_result end_late(const struct pam_check *check, const struct child *child,
                                      char why[ERROR_MESSAGE_MAX])
{
    /* With all that is in its group. It has not been waited for: the number is still its own. */
    (void)kill(-child->pid, SIGKILL);
    (void)wait_for_end(check, child, KILLED_MS);
    (void)reap(child); /* however it ended */
    (void)snprintf(why, ERROR_MESSAGE_MAX, "PAM's service '%s' has not answered in %u ms",
                   check->service, check->deadline_ms);
    return PAM_CHECK_WRONG;
}

enum pam_check_result pam_check_ask(const struct pam_check *check,
                                    const struct pam_question *question,
                                    char why[ERROR_MESSAGE_MAX])
{
    struct child child = {.pid_fd = -1};
    int answer_fd = -1;
    char answer[PAM_ANSWER_MAX];
    struct error err = {0};

    if (check->service[0] == '\0') {
        return broken(check, "no service is named", why);
    }
    if (start(check, question, &child, &answer_fd, &err) < 0) {
        return broken(check, err.message, why);
    }
    assert(child.pid > 0);
    enum pam_check_result result = PAM_CHECK_WRONG;
    if (wait_for_end(check, &child, check->deadline_ms)) {
        int status = reap(&child);
        take_answer(answer_fd, answer);
        result = judge(check, status, answer, why);
    } else {
        result = end_late(check, &child, why);
    }
    close_fd(&child.pid_fd);
    close_fd(&answer_fd);
    return result;
}
