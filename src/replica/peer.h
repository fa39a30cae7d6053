/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peer.h - what daemons ask one another, as values, and the table through which the service reaches
 * them; peer/ carries it over TLS. Nothing here does I/O.
 */
#ifndef RESILVER_REPLICA_PEER_H
#define RESILVER_REPLICA_PEER_H

#include "base/uuid.h"
#include "engine/progress.h"
#include "replica/states.h"
#include "store/rows.h"
#include "vm/vm.h"

enum peer_call {
    PEER_CALL_INVALID = 0,
    PEER_HELLO,   /* are you there, and who am I to you? (TestReplicationConnection) */
    PEER_OFFER,   /* a new relationship: will you keep this VM's replica? */
    PEER_MODIFY,  /* its settings changed */
    PEER_PREPARE, /* a session shall come: would it be let in? Disks, sizes, generation. */
    PEER_REMOVE   /* the relationship ended; keep the disks */
};
#define PEER_CALL_MAX PEER_REMOVE

/* One question. Of the relationship's row only these count: vm, vm_name, hop, generation, settings,
 * disks (name, size_bytes, is_included). HELLO has none of it. */
struct peer_question {
    enum peer_call call;
    bool is_initial;                      /* PREPARE: the session will be the initial copy */
    struct relationship_row relationship; /* owned by whoever holds the question */
};

void peer_question_done(struct peer_question *question);

/* How a question ended. */
enum peer_end {
    PEER_END_INVALID = 0,
    PEER_ANSWERED,    /* return_value and message are the peer's */
    PEER_UNREACHABLE, /* no connection, or it was refused or cut, or TLS or the certificate failed
                       */
    PEER_SILENT,      /* connected, and no answer within the deadline */
    PEER_GARBLED      /* it answered what we do not understand */
};

struct peer_answer {
    enum peer_end end;
    enum return_value value;             /* ANSWERED; RETURN_DONE: yes */
    char message[ERROR_MESSAGE_MAX];     /* why not */
    char host_name[HOST_NAME_MAX_BYTES]; /* HELLO: how the peer calls itself */
    char version[32];                    /* HELLO */
};

/* Where a peer is, and who it must be. */
struct peer_address {
    char address[HOST_TEXT_MAX + 8]; /* "db2.example:8490" */
    uint8_t fingerprint[FINGERPRINT_BYTES];
};

/* A session that the service wants: of a source to its target. Copied by whoever carries it out. */
struct session_order {
    struct uuid job;
    struct uuid vm;
    uint8_t hop;
    bool is_initial;     /* the target's disks may be made */
    uint64_t generation; /* of this host's ownership, which the target checks */
    struct peer_address peer;
    uint64_t rate_bytes_per_s; /* 0: no limit */
    bool is_compression_enabled;
    char folder[PATH_TEXT_MAX]; /* hop 1: the replica whose present point is the source; hop 0: ""
                                 */
    uint32_t disk_count;
    char disks[DISKS_MAX][DISK_NAME_MAX];
};

/* How a session ended. */
struct session_end {
    bool is_done;       /* both sides are the same, verified */
    struct error error; /* not done: why */
    struct progress progress;
    uint64_t elapsed_ns;
};

/*
 * What the service has others do. None of these blocks; what comes of it is told by
 * service_answered(), service_looked(), service_progress() and service_session_ended(), later, in
 * the service's own thread.
 */
struct outside {
    /* Ask a peer. token comes back with the answer. Takes what the question owns.
     * Errors: ERR_LIMIT. */
    int (*ask)(void *context, uint64_t token, const struct peer_address *peer,
               struct peer_question *question, uint32_t deadline_s, struct error *err);
    /* Open the disks of an order as its session would, only to learn that they are there and how
     * large: service_looked() tells. Errors: ERR_LIMIT. */
    int (*look)(void *context, uint64_t token, const struct session_order *order,
                struct error *err);
    /* Start a session. Errors: ERR_LIMIT. */
    int (*start)(void *context, const struct session_order *order, struct error *err);
    /* Let the session of a job stop soon; service_session_ended() is still to come. */
    void (*stop)(void *context, const struct uuid *job);
    /* Cut every session and connection of a peer that was revoked. */
    void (*cut)(void *context, const uint8_t fingerprint[FINGERPRINT_BYTES]);
    void *context;
};

#endif
