/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log_disk_internal.h - what the parts of a log's disk share: log_disk.c has the requests and the
 * disks below, log_disk_read.c where each byte comes from, log_disk_write.c the groups of the first
 * log, log_disk_extents.c what is known without reading.
 *
 * A request is carried out by parts, which are requests to the disks below: the logs' media and the
 * base ("lowers"). Parts come from a pool; who finds none waits in the queue.
 *
 *   submit -> queue (its head is being cut) -> parts below -> done -> reap
 *                     |                                        ^
 *                     +-- flush: until its groups are written -+
 *
 * A group of the first log, from the first entry to its index:
 *
 *   FREE -> OPEN -> ENDED (until its data is written) -> INDEXING -> FREE
 *
 * Invariants:
 * 1. Every submitted request reaches the done list exactly once: when it is in no list and has no
 * part below (driver_result counts them).
 * 2. A group's index is submitted when all its data writes have come back good; a flush of the
 * medium for a FLUSH, when all groups that were ended by then are written, indexes included.
 * 3. A disk that has failed never works again: what reached the medium is unknown, and another
 * flush would claim success for pages that the kernel has given up (as in disk/file.c).
 * 4. Bytes from a log are given only if log_check says that they are what was appended.
 *
 * In a request: driver_value = bytes of it that are dealt with; for a FLUSH the groups it covers;
 * driver_result = its parts below; errnum = the first error.
 */
#ifndef RESILVER_POINTS_LOG_DISK_INTERNAL_H
#define RESILVER_POINTS_LOG_DISK_INTERNAL_H

#include <assert.h>
#include <errno.h>

#include "points/log_disk.h"
#include "points/log_pages.h"

#define LOWERS_MAX (LOG_DISK_LOGS_MAX + 1U)

struct list {
    struct disk_request *first; /* borrowed from the caller until it is reaped */
    struct disk_request *last;
};

enum part_kind {
    PART_FREE = 0,
    PART_READ,    /* straight into the caller's buffer */
    PART_BOUNCED, /* into a buffer of ours, for a part of a leaf or for padding behind it */
    PART_WRITE,
    PART_INDEX, /* of a group: no caller */
    PART_FLUSH,
    PART_EXTENTS
};

struct group;

struct part {
    struct disk_request request; /* first: a lower gives it back */
    enum part_kind kind;
    uint32_t lower;
    struct disk_request *parent; /* borrowed until the part is finished; NULL: an index */
    uint64_t first_leaf;         /* READ, BOUNCED */
    struct group *group;         /* WRITE, INDEX */
    uint8_t *bounce;             /* borrowed from the pool; NULL: none */
    uint64_t leaf_bytes;         /* BOUNCED: of what was read, without padding, */
    uint64_t skip_bytes;         /* what is not wanted before */
    struct span to;              /* and where the rest is wanted */
};

enum group_state { GROUP_FREE = 0, GROUP_OPEN, GROUP_ENDED, GROUP_INDEXING };

struct group {
    enum group_state state;
    uint64_t sequence;
    uint32_t writes;       /* of its data, below */
    uint64_t offset_bytes; /* of its index, once it is ended */
    uint8_t *index;        /* owned */
    struct part part;      /* for the index, so that it never waits for one */
};

/* A disk below: a log's medium, or the base. */
struct lower {
    struct disk *disk; /* borrowed from the log; the base: owned; NULL: there is no base */
    uint32_t in_flight;
    int fd; /* in the epoll set; -1: none */
    uint32_t events;
};

struct log_disk {
    struct disk disk;                    /* first: a struct disk * is one to this */
    struct log *logs[LOG_DISK_LOGS_MAX]; /* owned; the first wins */
    uint32_t log_count;
    struct lower lowers[LOWERS_MAX]; /* of the logs, in their order; then the base */
    uint32_t next_lower;             /* where collecting begins, so that none is starved */
    int failed;                      /* errno; 0 while the disk works (invariant 3) */
    int epoll_fd;                    /* owned */
    int doorbell_fd;                 /* owned; always readable: polled when there is no waiting */
    struct list queue;
    struct list flushes; /* waiting for their groups */
    struct list done;
    struct part parts[LOG_DISK_PARTS_MAX];
    uint8_t *bounces; /* owned: LOG_DISK_BOUNCES_MAX leaves */
    bool is_bounce_used[LOG_DISK_BOUNCES_MAX];
    struct group groups[LOG_DISK_GROUPS_MAX];
    struct group *open; /* or NULL */
    struct extent answer[EXTENTS_MAX];
};

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline void list_append(struct list *list, struct disk_request *request)
{
    request->next = NULL;
    if (list->first == NULL) {
        list->first = request;
    } else {
        list->last->next = request;
    }
    list->last = request;
}

static inline struct disk_request *list_take(struct list *list)
{
    struct disk_request *request = list->first;

    if (request != NULL) {
        list->first = request->next;
        request->next = NULL;
    }
    return request;
}

static inline bool has_data(const struct disk_request *request)
{
    return request->op == DISK_READ || request->op == DISK_READ_MEDIUM || request->op == DISK_WRITE;
}

static inline uint64_t request_bytes(const struct disk_request *request)
{
    return has_data(request) ? request->data.len_bytes : request->len_bytes;
}

static inline uint64_t request_end(const struct disk_request *request)
{
    return request->offset_bytes + request_bytes(request);
}

static inline void note_error(struct disk_request *request, int errnum)
{
    if (request->errnum == 0) {
        request->errnum = errnum;
    }
}

static inline int errnum_of(const struct error *err)
{
    return err->errnum != 0 ? err->errnum : EIO;
}

/* --- log_disk.c ------------------------------------------------------------------------------ */

/* log_disk_part - one that is free, NULL: none; it is taken by setting its kind. */
struct part *log_disk_part(struct log_disk *d);

/* log_disk_bounce - a buffer of LEAF_BYTES, NULL: none; taken until the part that has it is
 * finished, or log_disk_bounce_release (NULL is fine). */
uint8_t *log_disk_bounce(struct log_disk *d);
void log_disk_bounce_release(struct log_disk *d, const uint8_t *bounce);

/* log_disk_part_submit - hand a part whose fields are set to its lower. */
void log_disk_part_submit(struct log_disk *d, struct part *part);

/* log_disk_fail - invariant 3. What is below comes back by itself. */
void log_disk_fail(struct log_disk *d, int errnum);

/*
 * Of the functions below, those that return a bool do the next step of a request that is the
 * queue's head; false: it has to wait, for a part, a buffer or a group. Those called finish take
 * what a part brought; the part itself and the request's count of them are log_disk.c's affair.
 */

/* --- log_disk_read.c ------------------------------------------------------------------------- */

/* log_disk_find - the first log that holds a leaf; log_count: none. Returns an errno. */
MUST_CHECK int log_disk_find(struct log_disk *d, uint64_t leaf, uint32_t *out,
                             struct log_place *place);
MUST_CHECK bool log_disk_cut_read(struct log_disk *d, struct disk_request *request);
void log_disk_finish_read(struct log_disk *d, struct part *part);

/* --- log_disk_write.c ------------------------------------------------------------------------ */

MUST_CHECK bool log_disk_cut_write(struct log_disk *d, struct disk_request *request);
MUST_CHECK bool log_disk_cut_zero(struct log_disk *d, struct disk_request *request);
void log_disk_begin_flush(struct log_disk *d, struct disk_request *request);

/* log_disk_write_on - the indexes and flushes whose time has come. */
void log_disk_write_on(struct log_disk *d);
void log_disk_finish_write(struct log_disk *d, struct part *part);
void log_disk_finish_flush(struct log_disk *d, struct part *part);

/* --- log_disk_extents.c ---------------------------------------------------------------------- */

MUST_CHECK bool log_disk_ask_extents(struct log_disk *d, struct disk_request *request);
void log_disk_finish_extents(struct log_disk *d, struct part *part);

#endif
