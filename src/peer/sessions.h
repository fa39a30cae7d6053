/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sessions.h - the sessions of this daemon, each in a thread of its own: as the source by an order
 * of the service, as the target on a link that the replication port accepted.
 *
 * A session names its disks <vm id>/<hop>/<generation>/<disk>, the generation in decimal digits:
 * that of the source's ownership of the VM. A peer never names a path.
 */
#ifndef RESILVER_PEER_SESSIONS_H
#define RESILVER_PEER_SESSIONS_H

#include "base/env.h"
#include "base/mailbox.h"
#include "peer/identity.h"
#include "replica/service.h"
#include "wire/link.h"

struct sessions;

/*
 * sessions_new - everything given is borrowed until sessions_free. Errors: ERR_LIMIT; ERR_USAGE the
 * identity's files.
 */
MUST_CHECK int sessions_new(const struct env *env, struct mailbox *mailbox,
                            const struct inventory *inventory, const struct identity *identity,
                            struct sessions **out, struct error *err);

/* sessions_begin - whom to tell; before any of the following. */
void sessions_begin(struct sessions *sessions, struct service *service);

/*
 * sessions_start - connect to the order's peer and run its session as the source. Copies the order.
 * service_progress() comes at most twice a second, service_session_ended() once. Errors: ERR_LIMIT;
 * ERR_CANCELLED sessions_stop_all() was called.
 */
MUST_CHECK int sessions_start(struct sessions *sessions, const struct session_order *order,
                              struct error *err);

/* sessions_look - open the disks of an order as its session would, and close them: service_looked()
 * tells. Errors: as sessions_start. */
MUST_CHECK int sessions_look(struct sessions *sessions, uint64_t token,
                             const struct session_order *order, struct error *err);

/* sessions_stop_job - its session ends soon, keeping what was done: at once where it runs, after
 * HANDSHAKE_TIMEOUT_S at the latest where it still connects. */
void sessions_stop_job(struct sessions *sessions, const struct uuid *job);

/* sessions_cut - the same for all sessions with the host of this certificate. */
void sessions_cut(struct sessions *sessions, const uint8_t fingerprint[FINGERPRINT_BYTES]);

/*
 * sessions_serve - target: the accepted link's whole life, in the caller's thread, which is not the
 * service's. The link is borrowed; its fingerprint is known and that of a paired host. Asks
 * service_admit() before any disk is opened; if that said yes, service_target_ended() comes once.
 */
void sessions_serve(struct sessions *sessions, struct link *link);

/* sessions_stop_all - all end soon, and none begins any more. */
void sessions_stop_all(struct sessions *sessions);
bool sessions_is_idle(const struct sessions *sessions);

/* sessions_free - waits for the threads of sources; sessions_serve() has returned everywhere. */
void sessions_free(struct sessions *sessions);

#endif
