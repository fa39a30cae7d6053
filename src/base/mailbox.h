/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mailbox.h - where threads meet: work that others want done by the one thread that owns an object.
 * The owner polls mailbox_fd() and calls mailbox_run(); nothing of the object is ever touched by
 * another thread.
 */
#ifndef RESILVER_BASE_MAILBOX_H
#define RESILVER_BASE_MAILBOX_H

#include <stdbool.h>

#include "base/attributes.h"
#include "base/error.h"

struct mailbox;

/* What is to be done, by the owner's thread. */
typedef void mailbox_work(void *argument);

/* mailbox_new - at most MAILBOX_MAX pieces of work wait in it. Errors: ERR_LIMIT. */
MUST_CHECK int mailbox_new(struct mailbox **out, struct error *err);

/* mailbox_free - after every thread that might still call it has ended. */
void mailbox_free(struct mailbox *mailbox);

/* mailbox_fd - readable while there is work. */
int mailbox_fd(const struct mailbox *mailbox);

/* mailbox_run - owner: do all that waits now. */
void mailbox_run(struct mailbox *mailbox);

/*
 * mailbox_call - others: have work(argument) done and wait for its end. Waits for room too. False
 * when the mailbox was shut before the work began: it was not done, and will not be.
 */
MUST_CHECK bool mailbox_call(struct mailbox *mailbox, mailbox_work *work, void *argument);

/* mailbox_shut - owner: from now on nothing is taken; whoever waits goes on with false. */
void mailbox_shut(struct mailbox *mailbox);

#endif
