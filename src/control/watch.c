/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.c
 *
 * 1. A watcher is suspended exactly while it has nothing to send.
 * 2. It belongs to its response: MHD frees both when the connection ends.
 */
#include "control/watch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"

struct change {
    struct change *next; /* owned */
    enum service_subject subject;
    struct uuid id;
    uint8_t hop;
    char vm_name[VM_NAME_MAX]; /* of SUBJECT_RELATIONSHIP */
    struct event_row *event;   /* owned; of SUBJECT_EVENT */
};

struct watcher {
    struct watcher *next;              /* of the control */
    struct control *control;           /* borrowed */
    struct MHD_Connection *connection; /* borrowed; outlives the watcher */
    struct change *first;              /* owned, as the rest of the list */
    struct change **last;
    uint32_t change_count;
    uint32_t event_count;
    char *out; /* owned: what is being sent */
    size_t out_bytes;
    size_t sent_bytes;
    bool is_suspended;
    bool is_beat_due;
    bool is_cut;
};

/* --- changes that wait ----------------------------------------------------------------------- */

static void free_change(struct change *change)
{
    free(change->event);
    free(change);
}

static struct change *take_change(struct watcher *watcher)
{
    struct change *change = watcher->first;

    assert(watcher->change_count > 0);
    watcher->first = change->next;
    if (watcher->first == NULL) {
        watcher->last = &watcher->first;
    }
    watcher->change_count--;
    watcher->event_count -= change->subject == SUBJECT_EVENT ? 1 : 0;
    return change;
}

static void drop_changes(struct watcher *watcher)
{
    while (watcher->first != NULL) {
        free_change(take_change(watcher));
    }
}

static bool has_change(const struct watcher *watcher, const struct service_change *change)
{
    for (const struct change *at = watcher->first; at != NULL; at = at->next) {
        if (at->subject == change->subject && at->hop == change->hop &&
            uuid_equal(&at->id, &change->id)) {
            return true;
        }
    }
    return false;
}

static struct change *change_new(const struct service_change *from)
{
    struct change *change = calloc(1, sizeof *change);

    if (change == NULL) {
        return NULL;
    }
    *change = (struct change){.subject = from->subject, .id = from->id, .hop = from->hop};
    if (from->vm_name != NULL) {
        (void)snprintf(change->vm_name, sizeof change->vm_name, "%s", from->vm_name);
    }
    if (from->subject == SUBJECT_EVENT) {
        change->event = malloc(sizeof *change->event);
        if (change->event == NULL) {
            free(change);
            return NULL;
        }
        *change->event = *from->event;
    }
    return change;
}

/* False: there is no room for it. */
static bool add_change(struct watcher *watcher, const struct service_change *change)
{
    bool is_event = change->subject == SUBJECT_EVENT;

    if (!is_event && has_change(watcher, change)) {
        return true;
    }
    if (watcher->change_count >= CONTROL_WATCH_CHANGES_MAX ||
        (is_event && watcher->event_count >= CONTROL_WATCH_EVENTS_MAX)) {
        return false;
    }
    struct change *made = change_new(change);
    if (made == NULL) {
        return false;
    }
    *watcher->last = made;
    watcher->last = &made->next;
    watcher->change_count++;
    watcher->event_count += is_event ? 1 : 0;
    return true;
}

/* --- as text --------------------------------------------------------------------------------- */

/* A text under construction; out of memory it is NULL and stays so. */
struct stream_text {
    FILE *file;
    char *at;
    size_t len_bytes;
};

/* Takes object. JSON has no newlines of its own. */
static void write_object(FILE *file, const char *kind, uint64_t id, json_t *object)
{
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;

    json_decref(object);
    if (text == NULL) {
        return;
    }
    if (id != 0) {
        (void)fprintf(file, "id: %llu\n", (unsigned long long)id);
    }
    (void)fprintf(file, "event: %s\ndata: %s\n\n", kind, text); /* asked of ferror() */
    free(text);
}

static json_t *show_changed_job(const struct show *show, const struct uuid *id)
{
    const struct job_row *row = service_find_job(show->service, id);

    return row != NULL ? show_job(show, row) : NULL;
}

static json_t *show_changed_relationship(const struct show *show, const struct change *change)
{
    struct service_vm vm;
    struct error err = {0};
    char id[UUID_TEXT_MAX];

    uuid_format(&change->id, id);
    if (change->hop > 1 || service_find_vm(show->service, id, &vm, &err) < 0 ||
        vm.relationships[change->hop] == NULL) {
        return show_no_relationship(show, &change->id, change->vm_name, change->hop);
    }
    return show_relationship(show, vm.relationships[change->hop]);
}

static void write_hosts(FILE *file, const struct show *show)
{
    for (uint32_t i = 0; i < service_host_count(show->service); i++) {
        write_object(file, "host", 0, show_peer(service_host_at(show->service, i)));
    }
}

static void write_change(FILE *file, const struct show *show, const struct change *change)
{
    switch (change->subject) {
    case SUBJECT_INVALID:
        break;
    case SUBJECT_JOB:
        write_object(file, "job", 0, show_changed_job(show, &change->id));
        break;
    case SUBJECT_RELATIONSHIP:
        write_object(file, "relationship", 0, show_changed_relationship(show, change));
        break;
    case SUBJECT_HOST:
        write_hosts(file, show);
        break;
    case SUBJECT_EVENT:
        write_object(file, "event", change->event->id, show_event(show, change->event));
        break;
    }
}

/* The next change becomes what is sent; a change of what is gone becomes nothing. False: no memory.
 */
static bool fill_change(struct watcher *watcher)
{
    const struct control_config *config = &watcher->control->config;
    struct show show = {.service = config->service, .now_us = env_wall_us(config->env)};
    struct stream_text text = {0};
    struct change *change = take_change(watcher);

    text.file = open_memstream(&text.at, &text.len_bytes);
    if (text.file == NULL) {
        free_change(change);
        return false;
    }
    write_change(text.file, &show, change);
    free_change(change);
    bool is_written = ferror(text.file) == 0;
    if (fclose(text.file) != 0 || !is_written) {
        free(text.at);
        return false;
    }
    watcher->out = text.at;
    watcher->out_bytes = text.len_bytes;
    return true;
}

static bool fill_comment(struct watcher *watcher)
{
    watcher->out = strdup(": resilverd is here\n\n");
    watcher->out_bytes = watcher->out != NULL ? strlen(watcher->out) : 0;
    watcher->is_beat_due = false;
    return watcher->out != NULL;
}

static void drop_sent(struct watcher *watcher)
{
    free(watcher->out);
    watcher->out = NULL;
    watcher->out_bytes = 0;
    watcher->sent_bytes = 0;
}

/* Whatever is next to be sent. False: no memory. */
static bool fill(struct watcher *watcher)
{
    bool is_filled = true;

    while (is_filled && watcher->sent_bytes == watcher->out_bytes &&
           (watcher->first != NULL || watcher->is_beat_due)) {
        drop_sent(watcher);
        is_filled = watcher->first != NULL ? fill_change(watcher) : fill_comment(watcher);
    }
    return is_filled;
}

/* --- as MHD wants it ------------------------------------------------------------------------- */

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t max_bytes)
{
    struct watcher *watcher = context;

    (void)position;
    if (watcher->is_cut || !fill(watcher)) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t rest_bytes = watcher->out_bytes - watcher->sent_bytes;
    if (rest_bytes == 0 && watcher->control->is_stopping) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (rest_bytes == 0) {
        assert(!watcher->is_suspended);
        watcher->is_suspended = true;
        MHD_suspend_connection(watcher->connection);
        return 0;
    }
    size_t count = rest_bytes < max_bytes ? rest_bytes : max_bytes;
    memcpy(out, watcher->out + watcher->sent_bytes, count);
    watcher->sent_bytes += count;
    return (ssize_t)count;
}

static void free_watcher(void *context)
{
    struct watcher *watcher = context;
    struct watcher **at = &watcher->control->watchers;

    while (*at != watcher) {
        at = &(*at)->next;
    }
    *at = watcher->next;
    assert(watcher->control->watcher_count > 0);
    watcher->control->watcher_count--;
    drop_changes(watcher);
    free(watcher->out);
    free(watcher);
}

static void wake(struct watcher *watcher)
{
    if (watcher->is_suspended) {
        watcher->is_suspended = false;
        MHD_resume_connection(watcher->connection);
    }
}

/* The socket is shut, because one that is not read would never come to its end by itself. */
static void cut(struct watcher *watcher)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(watcher->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (watcher->is_cut) {
        return;
    }
    log_event(LOG_LEVEL_WARNING, {"event", "a watcher does not read and is cut"});
    watcher->is_cut = true;
    drop_changes(watcher);
    if (info != NULL) {
        (void)shutdown(info->connect_fd, SHUT_RDWR); /* one that is shut already is as good */
    }
    wake(watcher);
}

static struct watcher *watcher_new(struct exchange *exchange)
{
    struct watcher *watcher = calloc(1, sizeof *watcher);

    if (watcher == NULL) {
        return NULL;
    }
    watcher->control = exchange->control;
    watcher->connection = exchange->connection;
    watcher->last = &watcher->first;
    watcher->is_beat_due = true; /* so that the caller sees that it watches */
    watcher->next = exchange->control->watchers;
    exchange->control->watchers = watcher;
    exchange->control->watcher_count++;
    return watcher;
}

void watch_begin(struct exchange *exchange)
{
    struct error err = {0};

    if (exchange->control->watcher_count >= CONTROL_WATCHERS_MAX) {
        (void)fail(&err, ERR_LIMIT, 0, "%u watch already; no more may", CONTROL_WATCHERS_MAX);
        exchange_refuse_kind(exchange, &err);
        return;
    }
    struct watcher *watcher = watcher_new(exchange);
    struct MHD_Response *response =
        watcher == NULL
            ? NULL
            : MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CONTROL_WATCH_PIECE_BYTES,
                                                read_stream, watcher, free_watcher);
    if (response == NULL) {
        if (watcher != NULL) {
            free_watcher(watcher);
        }
        (void)fail(&err, ERR_LIMIT, ENOMEM, "out of memory for a watcher");
        exchange_refuse_kind(exchange, &err);
        return;
    }
    /* Streams without these can be read all the same. */
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    exchange_respond(exchange, MHD_HTTP_OK, response);
}

/* --- for the server -------------------------------------------------------------------------- */

void watch_changed(struct control *control, const struct service_change *change)
{
    assert(change->subject != SUBJECT_EVENT || change->event != NULL);
    for (struct watcher *at = control->watchers; at != NULL; at = at->next) {
        if (at->is_cut) {
            continue;
        }
        if (add_change(at, change)) {
            wake(at);
        } else {
            cut(at);
        }
    }
}

void watch_beat(struct control *control, uint64_t now_ns)
{
    if (now_ns < control->next_heartbeat_ns) {
        return;
    }
    control->next_heartbeat_ns = now_ns + CONTROL_HEARTBEAT_S * NS_PER_S;
    for (struct watcher *at = control->watchers; at != NULL; at = at->next) {
        at->is_beat_due = true;
        wake(at);
    }
}

void watch_end(struct control *control)
{
    for (struct watcher *at = control->watchers; at != NULL; at = at->next) {
        wake(at);
    }
}
