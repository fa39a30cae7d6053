/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pam_check.h - whether PAM takes a password: asked by a process of its own, which is this program
 * again with --ask-pam (pam_child.h), so that PAM's modules run in no process that serves anybody.
 *
 * One question is one process. It has two pipes and no other descriptor of ours, two settings as
 * its environment, and PAM_CHECK_S; then it is killed. A right password takes both its exit status
 * and its word. Safe in several threads.
 */
#ifndef RESILVER_GATEWAY_PAM_CHECK_H
#define RESILVER_GATEWAY_PAM_CHECK_H

#include <stdint.h>

#include "base/env.h"
#include "base/error.h"

struct pam_check {
    const struct env *env;         /* borrowed: whose clock has the deadline */
    char service[PAM_SERVICE_MAX]; /* "": there is none to ask */
    char folder[PATH_TEXT_MAX];    /* of the services' files; "": the system's */
    uint32_t deadline_ms;
};

/* pam_check_init - folder NULL: the system's. Errors: ERR_USAGE it is no absolute path, or too
 * long. */
MUST_CHECK int pam_check_init(struct pam_check *check, const struct env *env, const char *service,
                              const char *folder, struct error *err);

struct pam_question {
    const char *name;
    const char *password;
    const char *remote; /* the client's address, for modules that look at it */
};

enum pam_check_result {
    PAM_CHECK_BROKEN = 0, /* PAM cannot be asked, or has nobody who knows */
    PAM_CHECK_WRONG,      /* or there was no answer in time */
    PAM_CHECK_RIGHT
};

/* pam_check_ask - why is set unless it is right: for the log, never for the client. */
MUST_CHECK enum pam_check_result pam_check_ask(const struct pam_check *check,
                                               const struct pam_question *question,
                                               char why[ERROR_MESSAGE_MAX]);

#endif
