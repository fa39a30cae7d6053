/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pam_child.h - the other side of pam_check.h: the process that PAM's modules run in.
 */
#ifndef RESILVER_GATEWAY_PAM_CHILD_H
#define RESILVER_GATEWAY_PAM_CHILD_H

#include "base/limits.h"

/* The options that the two sides agree on. */
#define PAM_CHILD_OPTION_ASK "ask-pam"
#define PAM_CHILD_OPTION_FOLDER "pam-folder"

/* The exit status. Everything else is PAM_CHILD_BROKEN, too. */
enum pam_child_status { PAM_CHILD_RIGHT = 0, PAM_CHILD_WRONG = 1, PAM_CHILD_BROKEN = 2 };

/* What it says of a right password; of all else it says why. */
#define PAM_CHILD_WORD "right"

/* In the question: three texts, each with its length before it (base/writer.h). */
struct pam_child_question {
    char name[CALLER_NAME_MAX];
    char password[PASSWORD_MAX];
    char remote[HOST_TEXT_MAX];
};

/*
 * pam_child_run - read one question from standard input to its end, ask PAM, answer on standard
 * output. The process is good for nothing else afterwards: it ends by _exit() with what this
 * returns, so that nothing that a module left behind runs any more.
 *
 * @folder  of the services' files; NULL: the system's
 */
enum pam_child_status pam_child_run(const char *service, const char *folder);

#endif
