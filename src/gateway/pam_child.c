/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pam_child.c - asks PAM for one name and password, in a process of its own.
 *
 * 1. A password is right only when both pam_authenticate() and pam_acct_mgmt() say PAM_SUCCESS.
 * 2. What PAM says that is not known here is no right password.
 * 3. Modules have the null device as standard input and output: what they say there is no answer of
 *    ours.
 */
#include "gateway/pam_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/reader.h"

#ifdef HAVE_PAM
#include <security/pam_appl.h>
#endif

struct answer {
    int fd;
    enum pam_child_status status;
    char text[PAM_ANSWER_MAX];
};

static enum pam_child_status say(struct answer *answer, enum pam_child_status status,
                                 const char *format, ...) FORMAT_AT(3, 4);

static enum pam_child_status say(struct answer *answer, enum pam_child_status status,
                                 const char *format, ...)
{
    va_list values;

    va_start(values, format);
    (void)vsnprintf(answer->text, sizeof answer->text, format, values);
    va_end(values);
    answer->status = status;
    return status;
}

/* --- PAM ------------------------------------------------------------------------------------- */

#ifdef HAVE_PAM

struct talk {
    const char *password; /* borrowed */
    bool is_told;         /* the password went out */
    bool is_asked_more;   /* and something else was asked for */
};

static bool is_for_password(const struct talk *talk, int count, const struct pam_message *message)
{
    return count == 1 && message->msg_style == PAM_PROMPT_ECHO_OFF && !talk->is_told;
}

/* One question for one password is all that there is an answer to. */
static int converse(int count, const struct pam_message **messages, struct pam_response **out,
                    void *context)
{
    struct talk *talk = context;

    if (count < 1 || !is_for_password(talk, count, messages[0])) {
        talk->is_asked_more = true;
        return PAM_CONV_ERR;
    }
    struct pam_response *response = calloc(1, sizeof *response);
    if (response == NULL) {
        return PAM_BUF_ERR;
    }
    response->resp = strdup(talk->password);
    if (response->resp == NULL) {
        free(response);
        return PAM_BUF_ERR;
    }
    talk->is_told = true;
    *out = response; /* libpam wipes and frees it */
    return PAM_SUCCESS;
}

/* Wrong passwords are counted by the gateway; waiting here would only keep one of its workers. */
static void do_not_wait(int result, unsigned usec, void *context)
{
    (void)result;
    (void)usec;
    (void)context;
}

/* Invariant 2: those that say something of the user; the others say it of PAM. */
static bool is_refusal(int result)
{
    switch (result) {
    case PAM_AUTH_ERR:
    case PAM_PERM_DENIED:
    case PAM_USER_UNKNOWN:
    case PAM_MAXTRIES:
    case PAM_ACCT_EXPIRED:
    case PAM_NEW_AUTHTOK_REQD:
    case PAM_AUTHTOK_EXPIRED:
    case PAM_CRED_EXPIRED:
        return true;
    default: /* PAM's numbers, which grow */
        return false;
    }
}

static enum pam_child_status say_result(struct answer *answer, pam_handle_t *pam, int result,
                                        const struct talk *talk, const char *call)
{
    const char *more =
        talk->is_asked_more ? "; a module asks for more than one password, or says something" : "";

    return say(answer, is_refusal(result) ? PAM_CHILD_WRONG : PAM_CHILD_BROKEN, "%s: %s%s", call,
               pam_strerror(pam, result), more);
}

/* Modules that look at the address must not take a client for somebody at this host. */
static int describe(pam_handle_t *pam, const struct pam_child_question *question)
{
    int result = pam_set_item(pam, PAM_RHOST, question->remote);

    if (result == PAM_SUCCESS) {
        result = pam_set_item(pam, PAM_TTY, "resilver-gateway");
    }
    if (result == PAM_SUCCESS) {
        result = pam_set_item(pam, PAM_FAIL_DELAY, (const void *)do_not_wait);
    }
    return result;
}

/* Invariant 1. */
static enum pam_child_status judge(struct answer *answer, pam_handle_t *pam,
                                   const struct pam_child_question *question,
                                   const struct talk *talk, int *out_result)
{
    const int flags = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;

    *out_result = describe(pam, question);
    if (*out_result != PAM_SUCCESS) {
        return say_result(answer, pam, *out_result, talk, "pam_set_item");
    }
    *out_result = pam_authenticate(pam, flags);
    if (*out_result != PAM_SUCCESS) {
        return say_result(answer, pam, *out_result, talk, "pam_authenticate");
    }
    *out_result = pam_acct_mgmt(pam, flags);
    if (*out_result != PAM_SUCCESS) {
        return say_result(answer, pam, *out_result, talk, "pam_acct_mgmt");
    }
    return say(answer, PAM_CHILD_RIGHT, "%s", PAM_CHILD_WORD);
}

static enum pam_child_status ask(struct answer *answer, const struct pam_child_question *question,
                                 const char *service, const char *folder)
{
    struct talk talk = {.password = question->password};
    const struct pam_conv conversation = {.conv = converse, .appdata_ptr = &talk};
    pam_handle_t *pam = NULL;

    int result = folder == NULL
                     ? pam_start(service, question->name, &conversation, &pam)
                     : pam_start_confdir(service, question->name, &conversation, folder, &pam);
    if (result != PAM_SUCCESS) {
        return say_result(answer, NULL, result, &talk, "pam_start");
    }
    enum pam_child_status status = judge(answer, pam, question, &talk, &result);
    (void)pam_end(pam, result); /* nothing is asked any more */
    return status;
}

#else

static enum pam_child_status ask(struct answer *answer, const struct pam_child_question *question,
                                 const char *service, const char *folder)
{
    (void)question;
    (void)service;
    (void)folder;
    return say(answer, PAM_CHILD_BROKEN, "this program was built without PAM");
}

#endif

/* --- the question ---------------------------------------------------------------------------- */

/* What ends it in any case: the gateway's own end, and a deadline later than the gateway's. What is
 * in its memory is for nobody who looks from outside, nor for a core dump. */
static int confine(void)
{
    (void)alarm(PAM_CHECK_S + 2);
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0
               ? -1
               : 0;
}

/* Invariant 3. The descriptor that has the answer is for this program alone. */
static int set_apart(int *answer_fd)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    *answer_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (null_fd < 0 || *answer_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
        dup2(null_fd, STDOUT_FILENO) < 0 || dup2(null_fd, STDERR_FILENO) < 0) {
        return -1;
    }
    if (null_fd > STDERR_FILENO) {
        (void)close(null_fd); /* nothing was written to it */
    }
    return 0;
}

/* To its end. -1: more than can be, or it cannot be read. */
static ssize_t read_all(int fd, struct span room)
{
    size_t used = 0;

    while (used < room.len_bytes) {
        ssize_t got = read(fd, room.at + used, room.len_bytes - used);
        if (got == 0) {
            return (ssize_t)used;
        }
        if (got < 0 && errno != EINTR) {
            return -1;
        }
        used += got > 0 ? (size_t)got : 0;
    }
    return -1;
}

static bool read_question(int fd, struct pam_child_question *out)
{
    uint8_t bytes[PAM_QUESTION_MAX + 1];
    ssize_t count = read_all(fd, (struct span){bytes, sizeof bytes});
    bool is_whole = false;

    if (count >= 0) {
        struct reader reader = reader_init((struct const_span){bytes, (size_t)count});
        read_text(&reader, out->name, sizeof out->name);
        read_text(&reader, out->password, sizeof out->password);
        read_text(&reader, out->remote, sizeof out->remote);
        is_whole = reader_done(&reader) && out->name[0] != '\0' && out->password[0] != '\0';
    }
    explicit_bzero(bytes, sizeof bytes);
    return is_whole;
}

/* One write: it is smaller than what a pipe takes whole. */
static enum pam_child_status tell(const struct answer *answer)
{
    size_t len_bytes = strlen(answer->text);

    return write(answer->fd, answer->text, len_bytes) == (ssize_t)len_bytes ? answer->status
                                                                            : PAM_CHILD_BROKEN;
}

enum pam_child_status pam_child_run(const char *service, const char *folder)
{
    struct pam_child_question question = {{0}, {0}, {0}};
    struct answer answer = {.fd = STDOUT_FILENO, .status = PAM_CHILD_BROKEN};

    if (confine() < 0) {
        (void)say(&answer, PAM_CHILD_BROKEN, "the process cannot be confined");
    } else if (!read_question(STDIN_FILENO, &question)) {
        (void)say(&answer, PAM_CHILD_BROKEN, "the question is none");
    } else if (set_apart(&answer.fd) < 0) {
        (void)say(&answer, PAM_CHILD_BROKEN, "the process has no descriptors to work with");
    } else {
        (void)ask(&answer, &question, service, folder);
    }
    explicit_bzero(&question, sizeof question);
    return tell(&answer);
}
