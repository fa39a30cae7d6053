/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mailbox.c - a ring of pieces of work under one lock.
 *
 * 1. A piece of work lives on its caller's stack: the caller waits until it is done or refused.
 * 2. The lock is not held while work is done, so work may take as long as the owner likes.
 * 3. The eventfd is readable if, and only if, the ring is not empty or was not empty at the owner's
 *    last look: the owner never sleeps on work.
 */
#include "base/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/limits.h"

enum letter_state { LETTER_INVALID = 0, LETTER_WAITING, LETTER_DONE, LETTER_REFUSED };

struct letter {
    mailbox_work *work;
    void *argument;
    enum letter_state state;
};

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t changed;           /* a letter is done or refused, or there is room */
    struct letter *ring[MAILBOX_MAX]; /* borrowed from their callers' stacks (invariant 1) */
    unsigned int first;
    unsigned int count;
    bool is_shut;
    int fd; /* owned eventfd */
};

int mailbox_new(struct mailbox **out, struct error *err)
{
    struct mailbox *mailbox = calloc(1, sizeof *mailbox);

    if (mailbox == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a mailbox");
    }
    mailbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mailbox->fd < 0) {
        int saved_errno = errno;
        free(mailbox);
        return fail(err, ERR_LIMIT, saved_errno, "cannot make an eventfd");
    }
    /* Neither fails with default attributes on Linux. */
    (void)pthread_mutex_init(&mailbox->lock, NULL);
    (void)pthread_cond_init(&mailbox->changed, NULL);
    *out = mailbox;
    return 0;
}

void mailbox_free(struct mailbox *mailbox)
{
    if (mailbox == NULL) {
        return;
    }
    assert(mailbox->count == 0);
    (void)pthread_cond_destroy(&mailbox->changed);
    (void)pthread_mutex_destroy(&mailbox->lock);
    (void)close(mailbox->fd); /* an eventfd has nothing to lose */
    free(mailbox);
}

int mailbox_fd(const struct mailbox *mailbox)
{
    return mailbox->fd;
}

static struct letter *take_first_locked(struct mailbox *mailbox)
{
    struct letter *letter = NULL;

    if (mailbox->count > 0) {
        letter = mailbox->ring[mailbox->first];
        mailbox->first = (mailbox->first + 1) % MAILBOX_MAX;
        mailbox->count--;
    }
    return letter;
}

void mailbox_run(struct mailbox *mailbox)
{
    uint64_t rings = 0;
    struct letter *letter = NULL;

    (void)!read(mailbox->fd, &rings, sizeof rings); /* before the look at the ring (invariant 3) */
    (void)pthread_mutex_lock(&mailbox->lock);
    /* No more than wait now: callers that come again and again must not keep the owner from the
     * rest of its loop. Whoever comes after the read above has made the eventfd readable again. */
    unsigned int waiting = mailbox->count;
    for (; waiting > 0 && (letter = take_first_locked(mailbox)) != NULL; waiting--) {
        (void)pthread_mutex_unlock(&mailbox->lock);
        letter->work(letter->argument);
        (void)pthread_mutex_lock(&mailbox->lock);
        letter->state = LETTER_DONE;
        (void)pthread_cond_broadcast(&mailbox->changed);
    }
    (void)pthread_mutex_unlock(&mailbox->lock);
}

bool mailbox_call(struct mailbox *mailbox, mailbox_work *work, void *argument)
{
    struct letter letter = {.work = work, .argument = argument, .state = LETTER_WAITING};
    uint64_t one = 1;

    (void)pthread_mutex_lock(&mailbox->lock);
    while (mailbox->count == MAILBOX_MAX && !mailbox->is_shut) {
        (void)pthread_cond_wait(&mailbox->changed, &mailbox->lock);
    }
    if (mailbox->is_shut) {
        (void)pthread_mutex_unlock(&mailbox->lock);
        return false;
    }
    mailbox->ring[(mailbox->first + mailbox->count) % MAILBOX_MAX] = &letter;
    mailbox->count++;
    (void)!write(mailbox->fd, &one, sizeof one); /* fails only when it is full: readable anyway */
    while (letter.state == LETTER_WAITING) {
        (void)pthread_cond_wait(&mailbox->changed, &mailbox->lock);
    }
    (void)pthread_mutex_unlock(&mailbox->lock);
    assert(letter.state == LETTER_DONE || letter.state == LETTER_REFUSED);
    return letter.state == LETTER_DONE;
}

void mailbox_shut(struct mailbox *mailbox)
{
    struct letter *letter = NULL;

    (void)pthread_mutex_lock(&mailbox->lock);
    mailbox->is_shut = true;
    while ((letter = take_first_locked(mailbox)) != NULL) {
        letter->state = LETTER_REFUSED;
    }
    (void)pthread_cond_broadcast(&mailbox->changed);
    (void)pthread_mutex_unlock(&mailbox->lock);
}
