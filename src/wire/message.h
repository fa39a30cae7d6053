/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * message.h - every message of the wire protocol: its bytes as a struct, written and read by one
 * pair of functions. The specification is WIRE.md; schema/wire-vectors.txt has each message as hex,
 * which tests hold against these functions.
 */
#ifndef RESILVER_WIRE_MESSAGE_H
#define RESILVER_WIRE_MESSAGE_H

#include "base/reader.h"
#include "base/writer.h"
#include "disk/disk.h"
#include "engine/digest.h"
#include "engine/progress.h"
#include "wire/session.h"

enum message_type {
    MESSAGE_INVALID = 0,
    MESSAGE_HELLO = 1,       /* both, first: versions, features, a random part of the key */
    MESSAGE_OPEN = 2,        /* initiator: what the responder shall be, and open */
    MESSAGE_DISKS = 3,       /* source: its disks are open */
    MESSAGE_BEGIN = 4,       /* target: its disks are open too and fit; where to begin */
    MESSAGE_NODES = 5,       /* target: digests of the next nodes */
    MESSAGE_ZEROS = 6,       /* target: the next nodes are zeros */
    MESSAGE_WANT_LEAVES = 7, /* source: send the leaf digests of these nodes */
    MESSAGE_LEAVES = 8,      /* target: leaf digests of one node */
    MESSAGE_WANT_PAGES = 9,  /* source: send the page digests of these leaves */
    MESSAGE_PAGES = 10,      /* target: page digests of one leaf */
    MESSAGE_DATA = 11,       /* source: one leaf's bytes, or some pages of it */
    MESSAGE_ZERO = 12,       /* source: these leaves become zeros */
    MESSAGE_DONE = 13,       /* source: everything before this node is settled, with the proof */
    MESSAGE_SEAL = 14,       /* source: that was all */
    MESSAGE_SEALED = 15,     /* target: durable, verified, proofs equal */
    MESSAGE_BYE = 16,        /* source: its counters; the end */
    MESSAGE_FAIL = 17,       /* either: the session ends with this error */
    MESSAGE_PING = 18,       /* either: nothing to say, still here */
    MESSAGE_BEHIND = 19 /* target: its disk, not the link, is what is waited for (or no more) */
};
#define MESSAGE_TYPE_MAX MESSAGE_BEHIND

/* Who may send a message, and when (states of the receiver's session). */
struct message_kind {
    const char *name;
    bool from_source;
    bool from_target;
    uint32_t min_bytes; /* of the payload */
    uint32_t max_bytes;
    uint32_t tagged_bytes; /* how much of the payload the frame's tag covers; what is beyond has a
                              digest of its own */
};

/* message_kind - NULL for a type that does not exist. */
const struct message_kind *message_kind(uint8_t type);

#define MESSAGE_ALL_TAGGED UINT32_MAX

#define HELLO_MAGIC "RESILVER"
#define HELLO_MAGIC_BYTES 8U
#define HELLO_RANDOM_BYTES 32U
#define HELLO_SOFTWARE_MAX 32U

#define FEATURE_ZSTD (1U << 0)   /* DATA may be compressed */
#define FEATURE_REFINE (1U << 1) /* WANT_PAGES, PAGES, and DATA of some pages */
#define FEATURES_OURS (FEATURE_ZSTD | FEATURE_REFINE)

struct message_hello {
    uint16_t version_min;
    uint16_t version_max;
    uint32_t features;
    uint8_t random[HELLO_RANDOM_BYTES];
    char software[HELLO_SOFTWARE_MAX];
};

struct message_open {
    enum session_role role; /* of the responder */
    uint32_t flags;
    enum session_when compress;
    enum session_when refine;
    uint64_t rate_bytes_per_s;
    uint32_t disk_count;
    uint8_t formats[DISKS_MAX];
    char *names; /* disk_count strings, one after the other, each with its NUL; owned:
                    message_open_done */
};

struct message_disks {
    uint32_t disk_count;
    struct session_disk_facts facts[DISKS_MAX];
};

struct message_begin {
    uint64_t node;
    uint32_t proof_count; /* one for each disk that begins before node */
    uint8_t proofs[DISKS_MAX][PROOF_BYTES];
};

struct message_nodes {
    uint64_t first_node;
    uint32_t count; /* 1 .. NODES_PER_FRAME_MAX */
    struct digest digests[NODES_PER_FRAME_MAX];
};

struct message_zeros {
    uint64_t first_node;
    uint64_t count; /* >= 1 */
    bool was_read;
};

/* WANT_LEAVES (nodes) and WANT_PAGES (leaves). */
struct message_want {
    uint32_t count; /* 1 .. WANTS_PER_FRAME_MAX */
    uint64_t numbers[WANTS_PER_FRAME_MAX];
};

struct message_leaves {
    uint64_t node;
    uint32_t count; /* 1 .. LEAVES_PER_NODE */
    struct digest digests[LEAVES_PER_NODE];
};

struct message_pages {
    uint64_t leaf;
    uint32_t count; /* 1 .. PAGES_PER_LEAF */
    struct digest digests[PAGES_PER_LEAF];
};

enum data_encoding { DATA_RAW = 0, DATA_ZSTD = 1 };

struct message_data {
    uint64_t leaf;
    struct digest digest; /* of the whole leaf as it shall be */
    enum data_encoding encoding;
    uint16_t pages;          /* bit i: page i is in bytes, in order; 0: the whole leaf is */
    struct const_span bytes; /* borrowed; 1 .. LEAF_BYTES (a little more when compressed badly is
                                never sent) */
};
#define MESSAGE_DATA_HEAD_BYTES 27U

struct message_zero {
    uint64_t first_leaf;
    uint32_t count; /* 1 .. LEAVES_PER_NODE */
};

struct message_done {
    uint64_t node;
    bool is_same; /* the proof must be the target's too */
    uint8_t proof[PROOF_BYTES];
};

struct message_sealed {
    uint32_t disk_count;
    uint64_t written_bytes[DISKS_MAX];
    uint64_t verified_bytes[DISKS_MAX];
};

/* The source's counters, for a target that shows the result. */
struct message_bye {
    uint32_t disk_count;
    struct disk_progress disks[DISKS_MAX]; /* compared, skipped_zero, resumed, different, shipped */
    struct wire_progress wire;
};

struct message_behind {
    bool is_behind;
};

/* For each message: write it with its put function into a payload, read a payload with its get
 * function. get returns -1 and err (ERR_PEER) when the bytes are not such a message or a field is
 * out of its range. */
void message_put_hello(struct writer *w, const struct message_hello *m);
MUST_CHECK int message_get_hello(struct const_span payload, struct message_hello *m,
                                 struct error *err);
void message_put_open(struct writer *w, const struct session_config *config);
MUST_CHECK int message_get_open(struct const_span payload, struct message_open *m,
                                struct error *err);
void message_open_done(struct message_open *m);
void message_put_disks(struct writer *w, const struct message_disks *m);
MUST_CHECK int message_get_disks(struct const_span payload, struct message_disks *m,
                                 struct error *err);
void message_put_begin(struct writer *w, const struct message_begin *m);
MUST_CHECK int message_get_begin(struct const_span payload, struct message_begin *m,
                                 struct error *err);
void message_put_nodes(struct writer *w, const struct message_nodes *m);
MUST_CHECK int message_get_nodes(struct const_span payload, struct message_nodes *m,
                                 struct error *err);
void message_put_zeros(struct writer *w, const struct message_zeros *m);
MUST_CHECK int message_get_zeros(struct const_span payload, struct message_zeros *m,
                                 struct error *err);
void message_put_want(struct writer *w, const struct message_want *m);
MUST_CHECK int message_get_want(struct const_span payload, struct message_want *m,
                                struct error *err);
void message_put_leaves(struct writer *w, const struct message_leaves *m);
MUST_CHECK int message_get_leaves(struct const_span payload, struct message_leaves *m,
                                  struct error *err);
void message_put_pages(struct writer *w, const struct message_pages *m);
MUST_CHECK int message_get_pages(struct const_span payload, struct message_pages *m,
                                 struct error *err);
void message_put_data(struct writer *w, const struct message_data *m);
MUST_CHECK int message_get_data(struct const_span payload, struct message_data *m,
                                struct error *err);
void message_put_zero(struct writer *w, const struct message_zero *m);
MUST_CHECK int message_get_zero(struct const_span payload, struct message_zero *m,
                                struct error *err);
void message_put_done(struct writer *w, const struct message_done *m);
MUST_CHECK int message_get_done(struct const_span payload, struct message_done *m,
                                struct error *err);
void message_put_sealed(struct writer *w, const struct message_sealed *m);
MUST_CHECK int message_get_sealed(struct const_span payload, struct message_sealed *m,
                                  struct error *err);
void message_put_bye(struct writer *w, const struct message_bye *m);
MUST_CHECK int message_get_bye(struct const_span payload, struct message_bye *m, struct error *err);
void message_put_behind(struct writer *w, const struct message_behind *m);
MUST_CHECK int message_get_behind(struct const_span payload, struct message_behind *m,
                                  struct error *err);
void message_put_fail(struct writer *w, const struct error *m);
MUST_CHECK int message_get_fail(struct const_span payload, struct error *m, struct error *err);

#endif
