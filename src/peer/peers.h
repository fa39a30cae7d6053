/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peers.h - this host's connections to others: the replication port, questions, sessions, pairing.
 * Each connection has a thread; what they find out reaches the service through its mailbox.
 *
 * All on one TCP port, TLS 1.3 from the first byte, both sides with certificates, told apart by
 * ALPN (RFC 7301):
 *
 *   resilver-session/1  a session (wire/WIRE.md); its disks are named
 *                       <vm id>/<hop>/<generation>/<disk> (sessions.h)
 *   resilver-peer/1     one question and its answer (src/peer/PEER.md)
 *   resilver-pair/1     a pairing; only while somebody at this host waits for one
 *
 * A certificate that no paired host has (service_knows_peer) is turned away before anything it
 * sends is looked at, except for pairing.
 */
#ifndef RESILVER_PEER_PEERS_H
#define RESILVER_PEER_PEERS_H

#include "base/env.h"
#include "base/mailbox.h"
#include "peer/identity.h"
#include "replica/service.h"

#define PEER_ALPN_SESSION "resilver-session/1"
#define PEER_ALPN_CALL "resilver-peer/1"
#define PEER_ALPN_PAIR "resilver-pair/1"

struct peers;

struct peers_config {
    const struct env *env; /* borrowed, as all pointers here */
    const struct identity *identity;
    const struct inventory *inventory;
    struct mailbox *mailbox; /* the service's thread runs it */
    const char *host_name;
    const char *advertise_address; /* where peers reach this host's port; "": nowhere */
    const char *listen_address;    /* "": no port */
};

/* peers_new - Errors: ERR_USAGE, ERR_IO: the port cannot be listened on; ERR_LIMIT. */
MUST_CHECK int peers_new(const struct peers_config *config, struct peers **out, struct error *err);

/* The table for service_config.outside. Valid as long as peers. */
const struct outside *peers_outside(struct peers *peers);

/* peers_begin - accept connections; from now on the service's calls may come. Service's thread. */
MUST_CHECK int peers_begin(struct peers *peers, struct service *service, struct error *err);

/* Where the port really is ("0.0.0.0:8490"), "" if there is none. */
const char *peers_listening_at(const struct peers *peers);

/*
 * peers_stop - accept nothing more and ask everything under way to stop. The service's thread goes
 * on running the mailbox until peers_is_idle(), at most a few seconds; then mailbox_shut() and
 * peers_free(), which waits for the threads that are left.
 */
void peers_stop(struct peers *peers);
bool peers_is_idle(const struct peers *peers);
void peers_free(struct peers *peers);

/* --- pairing --------------------------------------------------------------------------------- */
/*
 * Two hosts meet over TLS with certificates that neither knows yet. Each sends a random number, the
 * asking side's bound by a hash before it sees the other's (so that nobody in between can choose);
 * both derive a code of six digits from both certificates, both numbers and the TLS exporter.
 * People compare it: it is the same only if nobody is in between (chance 1 in a million). When both
 * have confirmed, each host keeps the other as paired.
 */
enum pairing_state {
    PAIRING_INVALID = 0,
    PAIRING_WAITING,   /* for the other host */
    PAIRING_CODE,      /* compare the code, and confirm */
    PAIRING_CONFIRMED, /* here; not yet there */
    PAIRING_DONE,
    PAIRING_FAILED
};

struct pairing {
    struct uuid id;
    enum pairing_state state;
    char code[8];                        /* "123456"; "" before */
    char peer_name[HOST_NAME_MAX_BYTES]; /* "" before */
    char peer_address[HOST_TEXT_MAX + 8];
    uint8_t peer_fingerprint[FINGERPRINT_BYTES];
    char message[ERROR_MESSAGE_MAX]; /* FAILED: why */
    int64_t expires_us;
};

/* All from the service's thread; they copy. */
MUST_CHECK int pairing_ask(struct peers *peers, const char *address, struct pairing *out,
                           struct error *err);
MUST_CHECK int pairing_wait(struct peers *peers, struct pairing *out, struct error *err);
uint32_t pairing_count(const struct peers *peers);
void pairing_at(const struct peers *peers, uint32_t index, struct pairing *out);
/* Errors: ERR_USAGE no such pairing, or another code (which ends it: somebody may be in between);
 * ERR_WRONG_STATE nothing to confirm yet. */
MUST_CHECK int pairing_confirm(struct peers *peers, const struct uuid *id, const char *code,
                               struct pairing *out, struct error *err);
MUST_CHECK int pairing_refuse(struct peers *peers, const struct uuid *id, struct pairing *out,
                              struct error *err);

#endif
