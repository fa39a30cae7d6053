/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sessions.h - the sessions of this daemon: source sessions by the service's order, target sessions
 * on links that the port accepted. Each has a thread; what comes of them reaches the service
 * through the mailbox.
 */
#ifndef RESILVER_PEER_SESSIONS_H
#define RESILVER_PEER_SESSIONS_H

#include "base/env.h"
#include "base/mailbox.h"
#include "peer/identity.h"
#include "replica/service.h"
#include "vm/vm.h"
#include "wire/link.h"

struct sessions;

/* sessions_new - what is given is borrowed until sessions_free. Errors: ERR_USAGE, ERR_LIMIT. */
MUST_CHECK int sessions_new(const struct env *env, struct mailbox *mailbox,
                            const struct inventory *inventory, const struct identity *identity,
                            struct sessions **out, struct error *err);

/* sessions_begin - from now on orders may come. Service's thread. */
void sessions_begin(struct sessions *sessions, struct service *service);

/* sessions_look - open an order's disks in a thread and tell service_looked() of them. Errors:
 * ERR_LIMIT. */
MUST_CHECK int sessions_look(struct sessions *sessions, uint64_t token,
                             const struct session_order *order, struct error *err);

/* sessions_start - a source session; the order is copied. Errors: ERR_LIMIT. */
MUST_CHECK int sessions_start(struct sessions *sessions, const struct session_order *order,
                              struct error *err);

/* sessions_stop_job - let the session of a job stop soon; its end is still told. */
void sessions_stop_job(struct sessions *sessions, const struct uuid *job);

/* sessions_cut - end all with this peer at once. */
void sessions_cut(struct sessions *sessions, const uint8_t fingerprint[FINGERPRINT_BYTES]);

/* sessions_serve - a target session: the accepted link's whole life, in the connection's own
 * thread. link->fingerprint is known and paired; the link stays the caller's. */
void sessions_serve(struct sessions *sessions, struct link *link);

/* sessions_stop_all - take no more orders, and let all stop. */
void sessions_stop_all(struct sessions *sessions);
bool sessions_is_idle(const struct sessions *sessions);

/* sessions_free - waits for the threads that are left. */
void sessions_free(struct sessions *sessions);

#endif
