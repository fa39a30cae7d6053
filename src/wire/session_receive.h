/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * session_receive.h - the target's receiving half, for session_target.c: what the source sends, and
 * the pages that it asks for to send less. Nobody else includes it.
 */
#ifndef RESILVER_WIRE_SESSION_RECEIVE_H
#define RESILVER_WIRE_SESSION_RECEIVE_H

#include <zstd.h>

#include "engine/stage.h"
#include "wire/session_internal.h"

#define PATCHES_MAX WINDOW_NODES_MAX
#define PAGE_READS_MAX 8U
#define PAGE_WANTS_MAX WANTS_PER_FRAME_MAX
/* While less than this is free in the outbox no message is handled: the largest answer to one, 256
 * nodes' leaves. */
#define ANSWER_ROOM_BYTES (512 * KIB)
/* Own digests are told at once while few are, later in full messages. */
#define NODES_RAMP 8U

/* Leaves received for a node that was zeros here. */
struct patch {
    uint64_t node;
    uint32_t received;
    struct digest leaves[LEAVES_PER_NODE];
};

/* A leaf read for its page digests. */
struct page_read {
    struct disk_request request;
    uint64_t leaf;
    bool is_busy;
    bool was_read;
    uint8_t *buffer; /* owned: LEAF_BYTES */
};

/* Making a staged point the present one is the host's, and takes its time. */
enum commit_state { COMMIT_NONE = 0, COMMIT_RUNNING, COMMIT_DONE };

struct target {
    struct stage *stage; /* owned; NULL in a compare */
    struct stretch_queue window;
    uint64_t told_node;           /* the source was told of everything before */
    uint64_t settled_node;        /* DONE came up to here */
    struct message_nodes telling; /* digests gathered for the next NODES message */
    uint64_t told_messages;

    struct patch *patches; /* owned: PATCHES_MAX, sorted by node */
    uint32_t patch_count;

    struct page_read page_reads[PAGE_READS_MAX];
    uint64_t page_wants[PAGE_WANTS_MAX]; /* a ring of leaves */
    uint32_t page_want_head;
    uint32_t page_want_count;
    uint32_t page_owed;   /* wanted or being read */
    uint32_t page_answer; /* the slot in page_reads whose answer goes out next */

    bool is_patching; /* the held DATA message's own leaf is being read or was read */
    bool patch_was_read;
    struct disk_request patch_request;
    struct span patch_buffer; /* the stage's reserved buffer */

    ZSTD_DCtx *zstd;   /* owned */
    uint8_t *unpacked; /* owned: LEAF_BYTES */

    bool is_behind; /* the source was told so */
    bool seal_came;
    bool sealed_sent;
    enum commit_state commit;
    struct checkpoint checkpoint; /* being recorded */
    bool is_recording;
    bool can_checkpoint; /* the source's disks have identities */
    bool is_distrusted;  /* a disk gave back other data than was written */
};

/* receive_want_pages - WANT_PAGES came: leaves to be read for their page digests. */
MUST_CHECK int receive_want_pages(struct session *session, struct const_span payload,
                                  struct error *err);

/* receive_read_pages - begin reading what was asked for. True if anything was begun. */
bool receive_read_pages(struct session *session);

/* receive_answer_pages - the leaf in this slot of page_reads was read. */
void receive_answer_pages(struct session *session, uint32_t slot);

/* receive_data, receive_zero - DATA, ZERO came: check, and hand to the stage. */
enum handled receive_data(struct session *session, struct const_span payload, struct error *err);
enum handled receive_zero(struct session *session, struct const_span payload, struct error *err);

/* receive_find_patch - the first patch of this node or one behind it; may be one past the last. */
struct patch *receive_find_patch(struct target *target, uint64_t node);

#endif
