/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * session.h - one connection between a source and a target, as a step machine.
 *
 * session_step(session, event, actions) does no I/O, owns no thread and reads no clock: the loop
 * (wire/loop.c) or the simulator (tests/sim) carries bytes to session_inbox() and from
 * session_outbox(), carries out the actions, and reports back with events. WIRE.md describes the
 * conversation; session.c has what both roles share (handshake, frames, failure), session_source.c
 * and session_target.c the rest.
 *
 *   HELLO --> OPENING --> RUNNING --> SEALING --> DONE
 *      \__________\__________\___________\------> ENDING --> FAILED
 *
 * ENDING: the target makes durable what it has.
 */
#ifndef RESILVER_WIRE_SESSION_H
#define RESILVER_WIRE_SESSION_H

#include "base/env.h"
#include "base/error.h"
#include "base/span.h"
#include "disk/disk.h"
#include "engine/checkpoint.h"
#include "engine/progress.h"
#include "wire/link.h"

enum session_role { ROLE_NONE = 0, ROLE_SOURCE = 1, ROLE_TARGET = 2 }; /* WIRE */

/* When to do what costs processor time and saves bytes. WIRE in OPEN. */
enum session_when { WHEN_AUTO = 0, WHEN_ALWAYS = 1, WHEN_NEVER = 2 };

#define SESSION_CHECK (1U << 0)  /* compare only: the target is opened for reading */
#define SESSION_CREATE (1U << 1) /* the target may be made, or made larger */
#define SESSION_SHRINK (1U << 2) /* and cut */
#define SESSION_ATOMIC                                                                             \
    (1U << 3)                     /* the target stays at its old point until the new one is sealed \
                                   */
#define SESSION_REPLICA (1U << 4) /* the target's names are FOLDER/DISK of a replica's folder */
#define SESSION_OPEN_FLAGS                                                                         \
    (SESSION_CHECK | SESSION_CREATE | SESSION_SHRINK | SESSION_ATOMIC | SESSION_REPLICA)

/* One disk as the initiator names it to the responder, or as a side is told to open its own. */
struct session_disk_name {
    const char *name;        /* a path, or the name of an export; borrowed until the session ends */
    enum disk_format format; /* INVALID: not said */
};

struct session_config {
    bool is_initiator;
    /* initiator only: */
    enum session_role role;                       /* ours */
    uint32_t flags;                               /* SESSION_* */
    uint32_t disk_count;                          /* 1 .. DISKS_MAX */
    const struct session_disk_name *local_disks;  /* ours; disk_count of them; borrowed */
    const struct session_disk_name *remote_disks; /* the peer's */
    enum session_when compress;                   /* of shipped data */
    enum session_when refine;                     /* 4 KiB digests of leaves that differ */
    uint64_t rate_bytes_per_s; /* --bwlimit: what the source's end may send; 0: no limit */
    /* both: */
    const struct env *env;      /* chance for the handshake; borrowed */
    const uint8_t *link_secret; /* LINK_SECRET_BYTES from TLS, NULL for other links; read at once */
    uint32_t features_off;      /* FEATURE_* (message.h) that this end shall not offer; 0: all */
};

/* What a side learns about a disk when it opens it. */
struct session_disk_facts {
    uint64_t size_bytes;
    uint8_t identity[DISK_IDENTITY_BYTES];    /* disk_identity(): evidence that nothing changed */
    uint8_t fingerprint[DISK_IDENTITY_BYTES]; /* disk_fingerprint(): source, to see that it did */
};

/* Action OPEN_DISKS: what is to be opened. Valid until the answering SESSION_DISKS event. */
struct session_open {
    enum session_role role;    /* what we shall be */
    uint32_t flags;            /* SESSION_* */
    uint64_t rate_bytes_per_s; /* from OPEN; 0: no limit */
    uint32_t disk_count;
    struct session_disk_name disks[DISKS_MAX];
    uint64_t size_bytes[DISKS_MAX]; /* target: the source's disks' sizes */
};

enum session_action_kind {
    ACTION_INVALID = 0,
    ACTION_OPEN_DISKS, /* open; answer with SESSION_DISKS. At most once a session */
    ACTION_SUBMIT,     /* disk_submit(disks[request->disk_index], request); answer with
                          SESSION_DISK_DONE when it comes back */
    ACTION_RECORD,     /* make `checkpoint` durable, replacing any earlier; answer with
                          SESSION_RECORDED */
    ACTION_FORGET,     /* the run is complete, or its disk lies: remove the checkpoint; no answer */
    ACTION_COMMIT,     /* staged target: every disk is sealed, durable and verified: make the staged
                          point the present one; answer with SESSION_COMMITTED */
    ACTION_IDENTIFY    /* source: take the disks' fingerprints again; answer with
                          SESSION_IDENTIFIED */
};

#define SESSION_ACTIONS_MAX 64U

/* ACTION_COMMIT: what is sealed. Valid until the answer. */
struct session_seal {
    const struct progress *progress; /* of each disk: size and proof */
    const struct proof_segments *segments;
};

struct session_action {
    enum session_action_kind kind;
    struct disk_request *request;  /* SUBMIT */
    struct checkpoint *checkpoint; /* RECORD: valid until the answer. Nothing of ours is being
                                    * written now: the host stamps the target's disks
                                    * (disk_identity) and fills target_identity */
    struct session_seal seal;      /* COMMIT */
};

struct session_actions {
    size_t count;
    struct session_action list[SESSION_ACTIONS_MAX];
};

enum session_event_kind {
    SESSION_INVALID = 0,
    SESSION_START,      /* first of all */
    SESSION_RECEIVED,   /* len_bytes were put into session_inbox() */
    SESSION_SENT,       /* len_bytes were taken from session_outbox() */
    SESSION_LINK_ENDED, /* error: how, or NULL when the peer closed properly */
    SESSION_DISKS,      /* answer to OPEN_DISKS: facts (disk_count of them), or error */
    SESSION_DISK_DONE,  /* request came back */
    SESSION_RECORDED,   /* answer to RECORD: error or NULL */
    SESSION_COMMITTED,  /* answer to COMMIT: error or NULL */
    SESSION_IDENTIFIED, /* answer to IDENTIFY: facts, or error */
    SESSION_THIN, /* is_thin: the link was measured to be slower than compressing and refining */
    SESSION_IDLE, /* nothing was sent for a while: say something, so that the peer knows we live */
    SESSION_CANCEL,  /* error: why */
    SESSION_CONTINUE /* the last step filled `actions`: go on */
};

struct session_event {
    enum session_event_kind kind;
    size_t len_bytes;
    struct disk_request *request;
    const struct session_disk_facts *facts;
    const struct error *error;
    bool is_thin;
    /* SESSION_DISKS at the target: the checkpoint found for these disks, NULL for none; the host
     * has made sure that each disk's identity is known and still the recorded one. */
    const struct checkpoint *checkpoint;
    /* SESSION_DISKS at the target: what is written to is the next point and not the target itself;
     * COMMIT makes it that. */
    bool is_staged;
};

enum session_state {
    SESSION_STATE_INVALID = 0,
    SESSION_HELLO,
    SESSION_OPENING,
    SESSION_RUNNING,
    SESSION_SEALING,
    SESSION_ENDING,
    SESSION_DONE,
    SESSION_FAILED
};

struct session;

/* session_new - Errors: ERR_LIMIT no memory; ERR_USAGE a configuration that cannot be. */
MUST_CHECK int session_new(const struct session_config *config, struct session **out,
                           struct error *err);
void session_free(struct session *session);

static inline void session_freep(struct session **session)
{
    session_free(*session);
    *session = NULL;
}

/* Where the next bytes from the peer go. Empty while the session can take no more (its disk is
 * behind): do not read. */
struct span session_inbox(struct session *session);

/* What waits to be sent to the peer; empty: nothing. */
struct const_span session_outbox(const struct session *session);

/* Fills actions (count is set, not added to). If it came back full, carry them out and step again
 * with SESSION_CONTINUE. */
void session_step(struct session *session, const struct session_event *event,
                  struct session_actions *actions);

enum session_state session_state(const struct session *session);

/*
 * DONE and everything sent (or the link ended), or FAILED, and no request of ours still at a disk:
 * the loop may stop. After FAILED something may be left to send (the words for the peer): worth a
 * short try.
 */
bool session_is_finished(const struct session *session);

/* The progress so far; at the end the result. Valid as long as the session. */
const struct progress *session_progress(const struct session *session);

/* FAILED or ENDING: why. */
const struct error *session_error(const struct session *session);

enum session_role session_role(const struct session *session);

/* What OPEN_DISKS asks for; valid from that action on, as long as the session. */
const struct session_open *session_open(const struct session *session);

/* Whether the next frame has begun to come and its rest is waited for. */
bool session_is_within_frame(const struct session *session);

/* From OPEN: what the source's end may send; 0: no limit. */
uint64_t session_rate_bytes_per_s(const struct session *session);

#endif
