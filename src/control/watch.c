/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.c - each watcher has a short list of what it has not heard yet; objects are made when they
 * are sent.
 */
#include "control/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "control/show.h"

struct news {
    enum service_subject subject;
    struct uuid id;
    uint8_t hop;
    struct event_row event; /* SUBJECT_EVENT */
};

struct watcher {
    struct watcher *next;
    struct control *control;           /* borrowed */
    struct MHD_Connection *connection; /* borrowed */
    bool is_suspended;
    bool is_over; /* too slow, or the service stops */
    uint64_t last_ns;
    uint32_t first;
    uint32_t count;
    struct news *news; /* owned ring of CONTROL_NEWS_MAX */
    char *text;        /* owned: being sent */
    size_t text_bytes;
    size_t sent_bytes;
};

void watch_begin(struct call *call)
{
    struct control *control = call->control;
    struct error err = {0};
    struct watcher *watcher =
        control->watcher_count == CONTROL_WATCHERS_MAX ? NULL : calloc(1, sizeof *watcher);

    if (watcher != NULL) {
        watcher->news = calloc(CONTROL_NEWS_MAX, sizeof *watcher->news);
    }
    if (watcher == NULL || watcher->news == NULL) {
        free(watcher);
        (void)fail(&err, ERR_LIMIT, 0, "as many watch as may: %u", CONTROL_WATCHERS_MAX);
        call_refuse(call, 0, RETURN_OUT_OF_MEMORY, &err);
        return;
    }
    watcher->control = control;
    watcher->connection = call->connection;
    watcher->last_ns = env_now_ns(control->config.env);
    /* At once, so that the caller knows that from now on nothing is missed. */
    watcher->text = strdup(": watching\n\n");
    watcher->text_bytes = watcher->text == NULL ? 0 : strlen(watcher->text);
    watcher->next = control->watchers;
    control->watchers = watcher;
    control->watcher_count++;
    call->watcher = watcher;
    call->has_answer = true;
    call->status = MHD_HTTP_OK;
}

/* --- what is sent ---------------------------------------------------------------------------- */

static json_t *show_changed_relationship(const struct service *service, const struct news *news)
{
    char id[UUID_TEXT_MAX];
    struct service_vm vm;

    uuid_format(&news->id, id);
    if (service_find_vm(service, id, &vm, NULL) < 0 || vm.relationships[news->hop] == NULL) {
        return json_pack("{s:{s:s}, s:i, s:n}", "vm", "id", id, "hop", (int)news->hop, "state");
    }
    return show_relationship(service, vm.relationships[news->hop]);
}

static json_t *show_changed_job(const struct service *service, const struct news *news)
{
    const struct job_row *job = service_find_job(service, &news->id);

    return job == NULL ? NULL : show_job(service, job);
}

static json_t *show_news(struct control *control, const struct news *news, const char **out_kind)
{
    const struct service *service = control->config.service;

    switch (news->subject) {
    case SUBJECT_JOB:
        *out_kind = "job";
        return show_changed_job(service, news);
    case SUBJECT_RELATIONSHIP:
        *out_kind = "relationship";
        return show_changed_relationship(service, news);
    case SUBJECT_HOST:
        *out_kind = "host";
        return json_object();
    case SUBJECT_EVENT:
        *out_kind = "event";
        return show_event(service, &news->event);
    case SUBJECT_INVALID:
        break;
    }
    return NULL;
}

/* The next of the list, as text to send; false: there is nothing to say. */
static bool prepare(struct watcher *watcher)
{
    const char *kind = "";
    char id[40] = "";

    while (watcher->count > 0) {
        const struct news *news = &watcher->news[watcher->first];
        json_t *object = show_news(watcher->control, news, &kind);
        char *data = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
        json_decref(object);
        if (news->subject == SUBJECT_EVENT) {
            (void)snprintf(id, sizeof id, "id: %llu\n", (unsigned long long)news->event.id);
        }
        watcher->first = (watcher->first + 1) % CONTROL_NEWS_MAX;
        watcher->count--;
        if (data == NULL) {
            continue; /* it has gone meanwhile */
        }
        size_t size = strlen(data) + sizeof id + 64;
        watcher->text = malloc(size);
        watcher->sent_bytes = 0;
        watcher->text_bytes = watcher->text == NULL
                                  ? 0
                                  : (size_t)snprintf(watcher->text, size,
                                                     "event: %s\n%sdata: %s\n\n", kind, id, data);
        free(data);
        return watcher->text != NULL;
    }
    return false;
}

/* MHD_ContentReaderCallback */
static ssize_t read_stream(void *context, uint64_t position, char *buffer, size_t max)
{
    struct watcher *watcher = context;

    (void)position;
    if (watcher->is_over) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (watcher->text == NULL && !prepare(watcher)) {
        watcher->is_suspended = true;
        MHD_suspend_connection(watcher->connection);
        return 0;
    }
    size_t left = watcher->text_bytes - watcher->sent_bytes;
    size_t len = left < max ? left : max;
    memcpy(buffer, watcher->text + watcher->sent_bytes, len);
    watcher->sent_bytes += len;
    watcher->last_ns = env_now_ns(watcher->control->config.env);
    if (watcher->sent_bytes == watcher->text_bytes) {
        free(watcher->text);
        watcher->text = NULL;
        watcher->sent_bytes = 0;
    }
    return (ssize_t)len;
}

/* MHD_ContentReaderFreeCallback: the connection has ended. */
static void free_watcher(void *context)
{
    struct watcher *watcher = context;
    struct watcher **at = &watcher->control->watchers;

    while (*at != watcher) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = watcher->next;
    watcher->control->watcher_count--;
    free(watcher->news);
    free(watcher->text);
    free(watcher);
}

struct MHD_Response *watch_response(struct watcher *watcher)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 4096, read_stream, watcher, free_watcher);

    if (response == NULL) {
        free_watcher(watcher);
    }
    return response;
}

static void wake(struct watcher *watcher)
{
    if (watcher->is_suspended) {
        watcher->is_suspended = false;
        MHD_resume_connection(watcher->connection);
    }
}

/* --- what is heard --------------------------------------------------------------------------- */

static bool is_waiting_already(const struct watcher *watcher, const struct service_change *change)
{
    for (uint32_t i = 0; i < watcher->count; i++) {
        const struct news *news = &watcher->news[(watcher->first + i) % CONTROL_NEWS_MAX];
        if (news->subject == change->subject && news->hop == change->hop &&
            uuid_equal(&news->id, &change->id)) {
            return change->subject != SUBJECT_EVENT;
        }
    }
    return false;
}

void watch_changed(struct control *control, const struct service_change *change)
{
    for (struct watcher *watcher = control->watchers; watcher != NULL; watcher = watcher->next) {
        if (!is_waiting_already(watcher, change)) {
            if (watcher->count == CONTROL_NEWS_MAX) {
                watcher->is_over = true;
            } else {
                struct news *news =
                    &watcher->news[(watcher->first + watcher->count) % CONTROL_NEWS_MAX];
                *news =
                    (struct news){.subject = change->subject, .id = change->id, .hop = change->hop};
                if (change->event != NULL) {
                    news->event = *change->event;
                }
                watcher->count++;
            }
        }
        wake(watcher);
    }
}

int watch_tick(struct control *control)
{
    uint64_t now_ns = env_now_ns(control->config.env);

    for (struct watcher *watcher = control->watchers; watcher != NULL; watcher = watcher->next) {
        if (now_ns - watcher->last_ns >= CONTROL_HEARTBEAT_S * NS_PER_S && watcher->text == NULL) {
            watcher->text = strdup(": still here\n\n");
            watcher->text_bytes = watcher->text == NULL ? 0 : strlen(watcher->text);
            watcher->last_ns = now_ns;
            wake(watcher);
        }
    }
    return control->watchers == NULL ? -1 : 1000;
}

void watch_end_all(struct control *control)
{
    for (struct watcher *watcher = control->watchers; watcher != NULL; watcher = watcher->next) {
        watcher->is_over = true;
        wake(watcher);
    }
}
