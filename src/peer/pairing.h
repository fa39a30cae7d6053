/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pairing.h - how two hosts come to know one another (peers.h says how it works; PEER.md what goes
 * over the wire). Any thread may call pairings_serve; all else is the service's thread's.
 */
#ifndef RESILVER_PEER_PAIRING_H
#define RESILVER_PEER_PAIRING_H

#include "peer/peers.h"
#include "wire/link.h"

struct pairings;

struct pairings_config {
    const struct env *env; /* borrowed, as all here */
    struct mailbox *mailbox;
    struct tls_context *client;
    const struct identity *identity;
    const char *host_name;
    const char *advertise_address;
};

MUST_CHECK int pairings_new(const struct pairings_config *config, struct pairings **out,
                            struct error *err);
void pairings_begin(struct pairings *pairings, struct service *service);

/* What pairing_ask() and the others of peers.h do. */
MUST_CHECK int pairings_ask(struct pairings *pairings, const char *address, struct pairing *out,
                            struct error *err);
MUST_CHECK int pairings_wait(struct pairings *pairings, struct pairing *out, struct error *err);
uint32_t pairings_count(struct pairings *pairings);
void pairings_at(struct pairings *pairings, uint32_t index, struct pairing *out);
MUST_CHECK int pairings_confirm(struct pairings *pairings, const struct uuid *id, const char *code,
                                struct pairing *out, struct error *err);
MUST_CHECK int pairings_refuse(struct pairings *pairings, const struct uuid *id,
                               struct pairing *out, struct error *err);

/* pairings_serve - a link whose other end wants to be paired: its whole life. Closed unheard unless
 * somebody here waits. The link stays the caller's. */
void pairings_serve(struct pairings *pairings, struct link *link);

void pairings_stop(struct pairings *pairings);
bool pairings_is_idle(const struct pairings *pairings);
void pairings_free(struct pairings *pairings);

#endif
