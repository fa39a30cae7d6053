/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * session_internal.h - what session.c, session_source.c and session_target.c share. Nobody else
 * includes it.
 */
#ifndef RESILVER_WIRE_SESSION_INTERNAL_H
#define RESILVER_WIRE_SESSION_INTERNAL_H

#include "engine/digest.h"
#include "engine/layout.h"
#include "engine/proof.h"
#include "engine/scan.h"
#include "wire/channel.h"
#include "wire/message.h"
#include "wire/session.h"

/* disk_request.owner: who gets it back. */
enum request_owner {
    OWNER_SCAN = 1,
    OWNER_SHIP = 2,  /* source: leaves read again to be shipped */
    OWNER_STAGE = 3, /* target */
    OWNER_PAGES = 4, /* target: a leaf whose pages were asked for */
    OWNER_PATCH = 5  /* target: a leaf of which only some pages are sent */
};

/* What became of a message. */
enum handled {
    HANDLED_FAILED = -1, /* err is set */
    HANDLED = 0,
    HANDLED_LATER = 1 /* not now: something must be finished first; the same message is given again
                       */
};

struct source;
struct target;

struct session {
    struct session_config config; /* link_secret is not kept */
    enum session_role role;
    enum session_state state;
    struct error error;
    bool error_is_from_peer;
    struct progress progress;

    struct channel *channel; /* owned */
    bool link_has_ended;
    struct frame held;     /* HANDLED_LATER: type INVALID when none */
    bool is_thin;          /* the link is slow: session_is_thin() decides */
    bool target_is_behind; /* source: what we wait for is the target's disk, not the link */

    uint8_t link_secret[LINK_SECRET_BYTES]; /* wiped with the handshake */
    bool has_link_secret;
    uint8_t hello[256]; /* our HELLO's payload */
    size_t hello_bytes;
    uint32_t features; /* of both */
    uint8_t key[DIGEST_KEY_BYTES];
    struct message_open open_message; /* responder: owned names */
    struct session_open open;         /* what was asked of the host */
    bool open_was_asked;
    bool is_open;                                      /* SESSION_DISKS came */
    struct session_disk_facts facts[DISKS_MAX];        /* ours */
    struct session_disk_facts source_facts[DISKS_MAX]; /* target: the source's, from DISKS */
    bool has_source_facts;

    struct layout layout;
    struct digester *digester;      /* owned, from the handshake on */
    struct proof *proof;            /* owned, from BEGIN on */
    bool is_staged;                 /* target: COMMIT when sealed */
    struct proof_segments segments; /* target: keys of the proof, this session's last */
    struct scan *scan;              /* owned, from BEGIN on */
    struct source *source;          /* owned; role SOURCE, from BEGIN on */
    struct target *target;          /* owned; role TARGET, from BEGIN on */

    uint32_t in_flight;              /* requests given out and not back */
    struct session_actions *actions; /* borrowed during a step */
};

/* --- for the roles --------------------------------------------------------------------------- */

/* session_can_act - whether the step's list of actions has room. */
bool session_can_act(const struct session *session);

/* session_act - add an action; there must be room. */
void session_act(struct session *session, const struct session_action *action);

/* session_submit - hand a request out; there must be room. */
void session_submit(struct session *session, struct disk_request *request);

/* session_fail - the session ends with this error (the first one counts); the peer is told. */
void session_fail(struct session *session, const struct error *err);

/* session_fail_disk - the same, naming our disk. */
void session_fail_disk(struct session *session, uint32_t disk, struct error *err);

/* session_is_thin - whether saving bytes is worth processor time. */
bool session_is_thin(const struct session *session);

/* session_finish - the target has made durable what it could: ENDING becomes FAILED. */
void session_finish(struct session *session);

/* session_begin_disks - layout, proof, scan and progress, from the sizes, to begin at node. */
MUST_CHECK int session_begin_disks(struct session *session, const uint64_t *size_bytes,
                                   const struct message_begin *begin, struct error *err);

/* How many disks begin before a node: so many proofs go with it. */
uint32_t session_proofs_before(const struct layout *layout, uint64_t node);

/* --- the roles ------------------------------------------------------------------------------- */

MUST_CHECK int source_new(struct session *session, const struct message_begin *begin,
                          struct error *err);
void source_free(struct source *source);
/* Does what can be done now. True if anything was done. */
bool source_pump(struct session *session);
enum handled source_handle(struct session *session, const struct frame *frame, struct error *err);
/* Takes a request of OWNER_SCAN or OWNER_SHIP back. */
void source_disk_done(struct session *session, struct disk_request *request);
void source_identified(struct session *session, const struct session_disk_facts *facts);

MUST_CHECK int target_new(struct session *session, const struct checkpoint *checkpoint,
                          struct error *err);
void target_free(struct target *target);
bool target_pump(struct session *session);
/* Everything that came is handled: it is the link that is waited for. */
void target_caught_up(struct session *session);
enum handled target_handle(struct session *session, const struct frame *frame, struct error *err);
void target_disk_done(struct session *session, struct disk_request *request);
void target_recorded(struct session *session, const struct error *error);
void target_committed(struct session *session, const struct error *error);
/* The session fails: stop taking, make durable what is there. */
void target_end(struct session *session);
/* The link ended after SEALED was sent: the work is done although BYE did not come. */
bool target_is_sealed(const struct session *session);

#endif
