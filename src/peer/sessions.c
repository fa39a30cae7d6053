/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sessions.c - the list of sessions under way, and how they are told to end.
 *
 * 1. The lock is held for a look at the list only: never while anything is awaited.
 * 2. An entry is on the list from before its first step until after its end was told to the
 *    service; its stop_fd lives as long.
 * 3. The log is written in the service's thread, by work in its mailbox: the memory of a call site
 *    is one thread's.
 */
#include "peer/sessions_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int sessions_new(const struct env *env, struct mailbox *mailbox, const struct inventory *inventory,
                 const struct identity *identity, struct sessions **out, struct error *err)
{
    struct sessions *sessions = calloc(1, sizeof *sessions);

    if (sessions == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the sessions");
    }
    if (tls_context_new_pinned(identity->cert_path, identity->key_path, false, NULL, 0,
                               &sessions->client, err) < 0) {
        free(sessions);
        return -1;
    }
    sessions->env = env;
    sessions->mailbox = mailbox;
    sessions->inventory = inventory;
    /* Neither fails with default attributes on Linux. */
    (void)pthread_mutex_init(&sessions->lock, NULL);
    (void)pthread_cond_init(&sessions->ended, NULL);
    *out = sessions;
    return 0;
}

void sessions_begin(struct sessions *sessions, struct service *service)
{
    sessions->service = service;
}

int sessions_enter(struct sessions *sessions, struct session_entry *entry, struct error *err)
{
    entry->sessions = sessions;
    entry->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (entry->stop_fd < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot make an eventfd for a session");
    }
    (void)pthread_mutex_lock(&sessions->lock);
    bool is_stopping = sessions->is_stopping;
    if (!is_stopping) {
        entry->next = sessions->first;
        sessions->first = entry;
        atomic_fetch_add(&sessions->running_count, 1);
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    if (is_stopping) {
        (void)close(entry->stop_fd); /* an eventfd has nothing to lose */
        return fail(err, ERR_CANCELLED, 0, "this host's daemon stops; it begins no session now");
    }
    return 0;
}

void sessions_leave(struct session_entry *entry)
{
    struct sessions *sessions = entry->sessions;
    struct session_entry **at = &sessions->first;

    (void)pthread_mutex_lock(&sessions->lock);
    while (*at != NULL && *at != entry) {
        at = &(*at)->next;
    }
    assert(*at == entry); /* invariant 2 */
    *at = entry->next;
    (void)close(entry->stop_fd);
    atomic_fetch_sub(&sessions->running_count, 1);
    (void)pthread_cond_broadcast(&sessions->ended);
    (void)pthread_mutex_unlock(&sessions->lock);
}

static void stop_locked(struct session_entry *entry)
{
    uint64_t one = 1;

    atomic_store(&entry->is_stopped, true);
    (void)!write(entry->stop_fd, &one, sizeof one); /* fails only when it is full: readable anyway
                                                     */
}

void sessions_stop_job(struct sessions *sessions, const struct uuid *job)
{
    assert(!uuid_is_nil(job));
    (void)pthread_mutex_lock(&sessions->lock);
    for (struct session_entry *entry = sessions->first; entry != NULL; entry = entry->next) {
        if (uuid_equal(&entry->job, job)) {
            stop_locked(entry);
        }
    }
    (void)pthread_mutex_unlock(&sessions->lock);
}

void sessions_cut(struct sessions *sessions, const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    (void)pthread_mutex_lock(&sessions->lock);
    for (struct session_entry *entry = sessions->first; entry != NULL; entry = entry->next) {
        if (memcmp(entry->fingerprint, fingerprint, FINGERPRINT_BYTES) == 0) {
            stop_locked(entry);
        }
    }
    (void)pthread_mutex_unlock(&sessions->lock);
}

void sessions_stop_all(struct sessions *sessions)
{
    (void)pthread_mutex_lock(&sessions->lock);
    sessions->is_stopping = true;
    for (struct session_entry *entry = sessions->first; entry != NULL; entry = entry->next) {
        stop_locked(entry);
    }
    (void)pthread_mutex_unlock(&sessions->lock);
}

bool sessions_is_idle(const struct sessions *sessions)
{
    return atomic_load(&sessions->running_count) == 0;
}

void sessions_free(struct sessions *sessions)
{
    if (sessions == NULL) {
        return;
    }
    sessions_stop_all(sessions);
    (void)pthread_mutex_lock(&sessions->lock);
    while (sessions->first != NULL) {
        (void)pthread_cond_wait(&sessions->ended, &sessions->lock);
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    (void)pthread_cond_destroy(&sessions->ended);
    (void)pthread_mutex_destroy(&sessions->lock);
    tls_context_free(sessions->client);
    free(sessions);
}

void sessions_say_stopped(const struct session_entry *entry, struct error *err)
{
    if (err->kind == ERR_CANCELLED && atomic_load(&entry->is_stopped)) {
        (void)fail(err, ERR_CANCELLED, 0,
                   "stopped by this host; what was compared and received is kept");
    }
}

void sessions_format_relationship(const struct uuid *vm, uint8_t hop,
                                  char out[SESSIONS_RELATIONSHIP_MAX])
{
    char id[UUID_TEXT_MAX];

    uuid_format(vm, id);
    (void)snprintf(out, SESSIONS_RELATIONSHIP_MAX, "%s/%u", id, hop);
}
