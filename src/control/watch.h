/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.h - those who watch: a stream of server-sent events each (WHATWG HTML, 9.2).
 *
 * Jobs and relationships are sent as they are when the watcher takes them, not as they were at
 * every change: a slow one misses states in between, and nothing else. Events come each; a watcher
 * that leaves too many lying is cut.
 */
#ifndef RESILVER_CONTROL_WATCH_H
#define RESILVER_CONTROL_WATCH_H

#include "control/exchange.h"

/* watch_begin - answer the exchange with a stream. */
void watch_begin(struct exchange *exchange);

void watch_changed(struct control *control, const struct service_change *change);

/* watch_beat - send heartbeats that are due at now_ns: whoever has gone is noticed by them. */
void watch_beat(struct control *control, uint64_t now_ns);

/* watch_end - all streams end. */
void watch_end(struct control *control);

#endif
