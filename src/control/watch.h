/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.h - GET /v1/watch: changes, as server-sent events (HTML Living Standard, 9.2). What changes
 * again before it was sent is sent once, as it is then. Who does not read is cut.
 */
#ifndef RESILVER_CONTROL_WATCH_H
#define RESILVER_CONTROL_WATCH_H

#include "control/call.h"

/* watch_begin - answers the call with a stream. */
void watch_begin(struct call *call);

/* watch_response - what MHD sends of it. NULL: no memory. */
struct MHD_Response *watch_response(struct watcher *watcher);

void watch_changed(struct control *control, const struct service_change *change);

/* watch_tick - signs of life for those who heard nothing for a while. Returns when next, in ms; -1:
 * nobody watches. */
int watch_tick(struct control *control);

void watch_end_all(struct control *control);

#endif
