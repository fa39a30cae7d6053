/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crew.h - a bounded number of threads with a connection each, which others can cut: all of a peer,
 * or all at once. Any thread may call anything here but crew_free.
 */
#ifndef RESILVER_PEER_CREW_H
#define RESILVER_PEER_CREW_H

#include "base/attributes.h"
#include "base/error.h"

#define CREW_ADDRESS_MAX 64 /* a numeric address */

struct crew;
struct crew_seat;

/* The thread's whole life; it frees or hands back what it was given. */
typedef void crew_work(void *argument, struct crew_seat *seat);

/* crew_new - of at most max_count threads. Errors: ERR_LIMIT. */
MUST_CHECK int crew_new(uint32_t max_count, const char *what, struct crew **out, struct error *err);

/* crew_start - Errors: ERR_LIMIT all are busy, max_each of this address are, or the crew was
 * stopped; work is not called then. address may be "", which is not counted. */
MUST_CHECK int crew_start(struct crew *crew, const char *address, uint32_t max_each,
                          crew_work *work, void *argument, struct error *err);

/* crew_hold - the thread of the seat: from now on a cut shuts this socket down (a second descriptor
 * of it is kept). Errors: ERR_PEER it was cut already; ERR_LIMIT. */
MUST_CHECK int crew_hold(struct crew_seat *seat, int fd, struct error *err);

/* crew_name - the thread of the seat: whose connection it is. Before anybody is asked whether that
 * peer is let in, so that one who is revoked meanwhile is cut. */
void crew_name(struct crew_seat *seat, const uint8_t fingerprint[FINGERPRINT_BYTES]);

/* crew_cut - shut down every socket of this peer. */
void crew_cut(struct crew *crew, const uint8_t fingerprint[FINGERPRINT_BYTES]);

/* crew_stop - shut down all, and start no more. */
void crew_stop(struct crew *crew);
bool crew_is_idle(struct crew *crew);

/* crew_free - stops, and waits for every thread. */
void crew_free(struct crew *crew);

#endif
