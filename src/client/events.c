/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

static void forget(struct events *events)
{
    free(events->data);
    events->data = NULL;
    events->kind[0] = '\0';
}

void events_done(struct events *events)
{
    forget(events);
    free(events->line);
    events->line = NULL;
}

/* The value after "field:", past one blank; NULL: another field. */
static const char *value_of(const char *line, const char *field)
{
    size_t len = strlen(field);

    if (strncmp(line, field, len) != 0 || line[len] != ':') {
        return NULL;
    }
    return line + len + (line[len + 1] == ' ' ? 2 : 1);
}

static bool take_line(struct events *events, const char *line, events_take *take, void *context)
{
    const char *kind = value_of(line, "event");
    const char *data = value_of(line, "data");

    if (line[0] == '\0') { /* the event is complete */
        int result = events->data == NULL ? 0 : take(context, events->kind, events->data);
        forget(events);
        return result == 0;
    }
    if (kind != NULL) {
        (void)snprintf(events->kind, sizeof events->kind, "%s", kind);
    } else if (data != NULL) {
        free(events->data);
        events->data = strdup(data);
        return events->data != NULL;
    }
    return true; /* a comment, or a field that is of no interest */
}

bool events_feed(struct events *events, const char *bytes, size_t len_bytes, events_take *take,
                 void *context)
{
    if (events->line == NULL) {
        events->line = malloc(CLIENT_EVENT_MAX + 1);
        if (events->line == NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < len_bytes; i++) {
        if (bytes[i] == '\n') {
            events->line[events->len_bytes] = '\0';
            events->len_bytes = 0;
            if (!take_line(events, events->line, take, context)) {
                return false;
            }
        } else if (events->len_bytes == CLIENT_EVENT_MAX) {
            return false;
        } else if (bytes[i] != '\r') {
            events->line[events->len_bytes++] = bytes[i];
        }
    }
    return true;
}
