/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stage that writes straight into the disks, in batches:
 *
 *   FREE -> FILLING -> WRITING -> WRITTEN -> FLUSHING -> VERIFYING -> FREE
 *
 * Invariants:
 * 1. At most one batch is FILLING, and its buffers are not touched by any request.
 * 2. A batch is verified only after a flush that was submitted when all its writes had completed.
 * 3. A mark is durable when no batch that is not FREE holds a leaf of a node before it, and a flush
 * of all disks was submitted after that and completed.
 * 4. A flush that failed is never repeated: the stage has failed for good.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/stage.h"

#define PIECE_LEAVES 16U /* leaves in a row written or read back by one request: 1 MiB */
#define MARKS_MAX 256U

enum batch_state {
    BATCH_FREE = 0,
    BATCH_FILLING,
    BATCH_WRITING,
    BATCH_WRITTEN,
    BATCH_FLUSHING,
    BATCH_VERIFYING
};

/* One leaf to write, or a run of leaves to zero. Its buffer is its index times LEAF_BYTES into the
 * batch's. */
struct entry {
    uint64_t first_leaf;
    uint32_t count; /* > 1 only for zeros */
    bool is_zero;
    struct digest digest;
};

/* Entries carried out by one request at a time: leaves in a row, or one run of zeros. */
struct piece {
    uint32_t first_entry;
    uint32_t entry_count;
    uint32_t verified; /* zeros: leaves read back so far */
    bool has_more;     /* zeros: the next leaf is to be read back into the same buffer */
    struct disk_request request;
};

struct batch {
    enum batch_state state;
    uint64_t min_node;
    uint32_t entry_count;
    uint32_t piece_count;
    uint32_t next_piece; /* the first whose request was not given out in this state */
    uint32_t unfinished; /* pieces of this state that are not done */
    uint32_t more_count; /* pieces with has_more */
    uint8_t *buffers;    /* owned: LEAF_BYTES for each entry */
    struct entry entries[STAGE_BATCH_LEAVES];
    struct piece pieces[STAGE_BATCH_LEAVES];
};

/* A flush of every disk. */
struct flush {
    bool is_running;
    uint32_t next_disk;
    uint32_t unfinished;
    struct disk_request requests[DISKS_MAX];
    bool covers_mark; /* candidate is durable when it completes */
    struct settled_mark candidate;
};

struct stage_inplace {
    struct stage stage;
    struct stage_config config;
    struct batch batches[STAGE_BATCHES];
    struct batch *filling; /* or NULL */
    bool is_reserved;
    bool is_sealing;
    bool has_failed;
    struct flush flush;
    bool flush_is_due;

    struct settled_mark marks[MARKS_MAX]; /* not durable yet, oldest first */
    uint32_t mark_count;
    struct settled_mark durable; /* .node 0: none */
    uint64_t given_node;         /* of the durable mark that next_durable gave last */
    uint64_t written_bytes;      /* since then */
    uint32_t writes_in_flight;   /* writes and zeros at the disks */
};

static struct stage_inplace *self(struct stage *stage)
{
    return (struct stage_inplace *)stage;
}

static const struct stage_inplace *const_self(const struct stage *stage)
{
    return (const struct stage_inplace *)stage;
}

/* --- filling --------------------------------------------------------------------------------- */

static struct batch *filling_batch(struct stage_inplace *s)
{
    if (s->filling != NULL || s->has_failed) {
        return s->has_failed ? NULL : s->filling;
    }
    for (uint32_t i = 0; i < STAGE_BATCHES; i++) {
        if (s->batches[i].state == BATCH_FREE) {
            struct batch *batch = &s->batches[i];
            batch->state = BATCH_FILLING;
            batch->entry_count = 0;
            batch->min_node = UINT64_MAX;
            s->filling = batch;
            return batch;
        }
    }
    return NULL;
}

static struct span entry_buffer(const struct batch *batch, uint32_t entry)
{
    return (struct span){batch->buffers + (size_t)entry * LEAF_BYTES, LEAF_BYTES};
}

/* Whether entry b's leaf follows a's on the same disk and both are whole, so that one request can
 * do both. */
static bool joins(const struct stage_inplace *s, const struct entry *a, const struct entry *b)
{
    if (a->is_zero || b->is_zero || b->first_leaf != a->first_leaf + 1) {
        return false;
    }
    struct place place_a = layout_leaf(s->config.layout, a->first_leaf);
    struct place place_b = layout_leaf(s->config.layout, b->first_leaf);
    return place_a.disk == place_b.disk && place_a.len_bytes == LEAF_BYTES;
}

/* The batch takes no more: cut it into pieces and begin writing. */
static void close_batch(struct stage_inplace *s)
{
    struct batch *batch = s->filling;

    s->filling = NULL;
    if (batch->entry_count == 0) {
        batch->state = BATCH_FREE;
        return;
    }
    batch->piece_count = 0;
    for (uint32_t i = 0; i < batch->entry_count; i++) {
        struct piece *last = batch->piece_count > 0 ? &batch->pieces[batch->piece_count - 1] : NULL;
        if (last != NULL && last->entry_count < PIECE_LEAVES &&
            joins(s, &batch->entries[i - 1], &batch->entries[i])) {
            last->entry_count++;
            continue;
        }
        batch->pieces[batch->piece_count++] = (struct piece){.first_entry = i, .entry_count = 1};
    }
    batch->state = BATCH_WRITING;
    batch->next_piece = 0;
    batch->unfinished = batch->piece_count;
}

static void add_entry(struct stage_inplace *s, uint64_t first_leaf, uint32_t count,
                      const struct digest *digest)
{
    struct batch *batch = s->filling;
    uint64_t node = first_leaf / LEAVES_PER_NODE;
    struct entry *entry = &batch->entries[batch->entry_count++];

    *entry = (struct entry){.first_leaf = first_leaf, .count = count, .is_zero = digest == NULL};
    if (digest != NULL) {
        entry->digest = *digest;
    }
    if (node < batch->min_node) {
        batch->min_node = node;
    }
    if (batch->entry_count == STAGE_BATCH_LEAVES) {
        close_batch(s);
    }
}

static struct span inplace_reserve(struct stage *stage)
{
    struct stage_inplace *s = self(stage);
    struct batch *batch = filling_batch(s);

    if (batch == NULL) {
        return (struct span){NULL, 0};
    }
    s->is_reserved = true;
    return entry_buffer(batch, batch->entry_count);
}

static void inplace_write(struct stage *stage, uint64_t leaf, const struct digest *digest)
{
    struct stage_inplace *s = self(stage);

    assert(s->is_reserved && s->filling != NULL);
    s->is_reserved = false;
    add_entry(s, leaf, 1, digest);
}

static bool inplace_zero(struct stage *stage, uint64_t first_leaf, uint32_t count)
{
    struct stage_inplace *s = self(stage);

    assert(count >= 1 && first_leaf % LEAVES_PER_NODE + count <= LEAVES_PER_NODE);
    if (filling_batch(s) == NULL) {
        return false;
    }
    add_entry(s, first_leaf, count, NULL);
    return true;
}

/* --- marks ----------------------------------------------------------------------------------- */

static void inplace_mark(struct stage *stage, const struct settled_mark *mark)
{
    struct stage_inplace *s = self(stage);

    if (s->mark_count == MARKS_MAX) {
        s->mark_count--; /* one mark fewer is only a checkpoint less fine */
    }
    s->marks[s->mark_count++] = *mark;
    if (s->filling != NULL && s->filling->entry_count > 0 &&
        mark->node >= s->filling->min_node + STAGE_BATCH_NODES) {
        close_batch(s);
    }
}

/* The newest mark that no unverified leaf stands in the way of; NULL if there is none. */
static const struct settled_mark *verified_mark(const struct stage_inplace *s)
{
    uint64_t min_node = UINT64_MAX;
    const struct settled_mark *found = NULL;

    for (uint32_t i = 0; i < STAGE_BATCHES; i++) {
        const struct batch *batch = &s->batches[i];
        if (batch->state != BATCH_FREE && batch->entry_count > 0 && batch->min_node < min_node) {
            min_node = batch->min_node;
        }
    }
    for (uint32_t i = 0; i < s->mark_count && s->marks[i].node <= min_node; i++) {
        found = &s->marks[i];
    }
    return found;
}

static void drop_marks(struct stage_inplace *s, uint64_t up_to_node)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < s->mark_count; i++) {
        if (s->marks[i].node > up_to_node) {
            s->marks[kept++] = s->marks[i];
        }
    }
    s->mark_count = kept;
}

/* --- flushing -------------------------------------------------------------------------------- */

static bool has_batch(const struct stage_inplace *s, enum batch_state state)
{
    for (uint32_t i = 0; i < STAGE_BATCHES; i++) {
        if (s->batches[i].state == state) {
            return true;
        }
    }
    return false;
}

/* Each checkpoint costs the disk a few flushes, so a large disk has them farther apart: a sparse
 * one of 16 TiB spent half of its time on a thousand of them. */
static bool is_checkpoint_near(const struct stage_inplace *s, const struct settled_mark *mark)
{
    uint64_t apart_nodes = s->config.layout->node_count / CHECKPOINTS_MAX;

    apart_nodes = apart_nodes < CHECKPOINT_NODES ? CHECKPOINT_NODES : apart_nodes;
    return mark->node - s->given_node >= apart_nodes || s->written_bytes >= CHECKPOINT_BYTES;
}

/* Begins a flush when batches wait for one, a checkpoint could be made, or the end has come. */
static void begin_flush(struct stage_inplace *s)
{
    const struct settled_mark *mark = verified_mark(s);
    bool wants_mark = mark != NULL && mark->node > s->durable.node &&
                      (s->is_sealing || is_checkpoint_near(s, mark));

    bool is_last = s->flush_is_due && s->filling == NULL && !has_batch(s, BATCH_WRITING);

    if (s->flush.is_running || !(has_batch(s, BATCH_WRITTEN) || wants_mark || is_last)) {
        return;
    }
    s->flush = (struct flush){.is_running = true, .unfinished = s->config.layout->disk_count};
    s->flush.covers_mark = mark != NULL && mark->node > s->durable.node;
    if (s->flush.covers_mark) {
        s->flush.candidate = *mark;
    }
    if (is_last) {
        s->flush_is_due = false; /* what is written from now on, nothing, would need another */
    }
    for (uint32_t i = 0; i < STAGE_BATCHES; i++) {
        if (s->batches[i].state == BATCH_WRITTEN) {
            s->batches[i].state = BATCH_FLUSHING;
        }
    }
}

static void end_flush(struct stage_inplace *s)
{
    s->flush.is_running = false;
    if (s->flush.covers_mark) {
        s->durable = s->flush.candidate;
        drop_marks(s, s->durable.node);
    }
    for (uint32_t i = 0; i < STAGE_BATCHES; i++) {
        struct batch *batch = &s->batches[i];
        if (batch->state == BATCH_FLUSHING) {
            batch->state = BATCH_VERIFYING;
            batch->next_piece = 0;
            batch->unfinished = batch->piece_count;
        }
    }
}

/* --- requests -------------------------------------------------------------------------------- */

/* slot numbers: the piece's batch and index, or the flush. */
#define FLUSH_SLOT UINT32_MAX

static struct disk_request *piece_request(struct stage_inplace *s, struct batch *batch,
                                          uint32_t index)
{
    struct piece *piece = &batch->pieces[index];
    const struct entry *entry = &batch->entries[piece->first_entry];
    bool verifies = batch->state == BATCH_VERIFYING;
    struct place first =
        layout_leaf(s->config.layout, entry->first_leaf + (verifies ? piece->verified : 0));
    struct span data = entry_buffer(batch, piece->first_entry);
    uint32_t last_entry = piece->first_entry + piece->entry_count - 1;
    struct place last = layout_leaf(s->config.layout, batch->entries[last_entry].first_leaf +
                                                          (entry->is_zero ? entry->count - 1 : 0));
    uint64_t len_bytes = last.offset_bytes + last.len_bytes - first.offset_bytes;

    if (verifies && entry->is_zero) {
        len_bytes = first.len_bytes;
    }
    data.len_bytes = len_bytes;
    s->writes_in_flight += verifies ? 0 : 1;
    piece->request = (struct disk_request){
        .op = verifies         ? DISK_READ_MEDIUM
              : entry->is_zero ? DISK_ZERO
                               : DISK_WRITE,
        .disk_index = (uint16_t)first.disk,
        .owner = s->config.owner,
        .slot = (uint32_t)(batch - s->batches) * STAGE_BATCH_LEAVES + index,
        .offset_bytes = first.offset_bytes,
        .len_bytes = len_bytes,
        .data = entry->is_zero && !verifies ? (struct span){NULL, 0} : data,
    };
    return &piece->request;
}

/* The batch's next request, or NULL: a piece not begun, or the rest of a run of zeros. */
static struct disk_request *next_piece_request(struct stage_inplace *s, struct batch *batch)
{
    if (batch->state != BATCH_WRITING && batch->state != BATCH_VERIFYING) {
        return NULL;
    }
    for (uint32_t i = 0; i < batch->piece_count && batch->more_count > 0; i++) {
        if (batch->pieces[i].has_more) {
            batch->pieces[i].has_more = false;
            batch->more_count--;
            return piece_request(s, batch, i);
        }
    }
    return batch->next_piece < batch->piece_count ? piece_request(s, batch, batch->next_piece++)
                                                  : NULL;
}

static struct disk_request *next_flush_request(struct stage_inplace *s)
{
    if (!s->flush.is_running || s->flush.next_disk == s->config.layout->disk_count) {
        return NULL;
    }
    uint32_t disk = s->flush.next_disk++;
    s->flush.requests[disk] = (struct disk_request){.op = DISK_FLUSH,
                                                    .disk_index = (uint16_t)disk,
                                                    .owner = s->config.owner,
                                                    .slot = FLUSH_SLOT};
    return &s->flush.requests[disk];
}

static struct disk_request *inplace_next(struct stage *stage)
{
    struct stage_inplace *s = self(stage);

    if (s->has_failed) {
        return NULL;
    }
    for (uint32_t i = 0; i < STAGE_BATCHES; i++) {
        struct disk_request *request = next_piece_request(s, &s->batches[i]);
        if (request != NULL) {
            return request;
        }
    }
    begin_flush(s);
    return next_flush_request(s);
}

static void count_piece(struct stage_inplace *s, const struct batch *batch,
                        const struct piece *piece)
{
    const struct entry *entry = &batch->entries[piece->first_entry];
    struct disk_progress *progress = &s->config.progress->disks[piece->request.disk_index];
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < piece->entry_count * entry->count; i++) {
        bytes += layout_leaf(s->config.layout, entry->first_leaf + i).len_bytes;
    }
    if (batch->state == BATCH_WRITING) {
        progress->written_bytes += bytes;
        s->written_bytes += bytes;
    } else {
        progress->verified_bytes += bytes;
    }
}

/* What was read back must have the digests that the source sent. */
static int check_piece(struct stage_inplace *s, const struct batch *batch,
                       const struct piece *piece, struct error *err)
{
    struct const_span left = span_const(piece->request.data);
    uint64_t offset_bytes = piece->request.offset_bytes;

    for (uint32_t i = piece->first_entry; i < piece->first_entry + piece->entry_count; i++) {
        const struct entry *entry = &batch->entries[i];
        struct const_span leaf = {left.at,
                                  left.len_bytes < LEAF_BYTES ? left.len_bytes : LEAF_BYTES};
        bool is_right = entry->is_zero ? span_is_zero(leaf) : false;
        if (!entry->is_zero) {
            struct digest digest = digester_leaf(s->config.digester, entry->first_leaf, leaf);
            is_right = digest_equal(&digest, &entry->digest);
        }
        if (!is_right) {
            (void)fail(err, ERR_IO, 0,
                       "the disk gives back other data than was written at 0x%" PRIx64
                       "; it cannot be trusted: check the medium and its cable or controller",
                       offset_bytes);
            error_set_offset(err, offset_bytes);
            return -1;
        }
        left.at += leaf.len_bytes;
        left.len_bytes -= leaf.len_bytes;
        offset_bytes += leaf.len_bytes;
    }
    return 0;
}

static int request_failed(struct stage_inplace *s, const struct disk_request *request,
                          struct error *err)
{
    const char *what = request->op == DISK_READ_MEDIUM ? "reading back"
                       : request->op == DISK_ZERO      ? "zeroing"
                       : request->op == DISK_FLUSH     ? "flushing"
                                                       : "writing";

    s->has_failed = true;
    if (request->op == DISK_FLUSH) {
        return fail(err, ERR_IO, request->errnum,
                    "flushing failed, so what was written is not known to be on the medium");
    }
    enum error_kind kind =
        request->errnum == ENOSPC || request->errnum == EDQUOT ? ERR_LIMIT : ERR_IO;
    (void)fail(err, kind, request->errnum, "%s failed at 0x%" PRIx64, what, request->offset_bytes);
    error_set_offset(err, request->offset_bytes);
    return -1;
}

static void end_piece(struct batch *batch)
{
    assert(batch->unfinished > 0);
    batch->unfinished--;
    if (batch->unfinished > 0) {
        return;
    }
    if (batch->state == BATCH_WRITING) {
        batch->state = BATCH_WRITTEN;
    } else {
        batch->state = BATCH_FREE;
        batch->entry_count = 0;
    }
}

static int complete_piece(struct stage_inplace *s, struct disk_request *request, struct error *err)
{
    struct batch *batch = &s->batches[request->slot / STAGE_BATCH_LEAVES];
    struct piece *piece = &batch->pieces[request->slot % STAGE_BATCH_LEAVES];
    const struct entry *entry = &batch->entries[piece->first_entry];

    assert(request == &piece->request &&
           (batch->state == BATCH_WRITING || batch->state == BATCH_VERIFYING));
    if (batch->state == BATCH_VERIFYING && check_piece(s, batch, piece, err) != 0) {
        s->has_failed = true;
        return -1;
    }
    if (batch->state == BATCH_VERIFYING && entry->is_zero && ++piece->verified < entry->count) {
        piece->has_more = true;
        batch->more_count++;
        return 0;
    }
    count_piece(s, batch, piece);
    end_piece(batch);
    return 0;
}

static int inplace_complete(struct stage *stage, struct disk_request *request, struct error *err)
{
    struct stage_inplace *s = self(stage);

    if (request->op == DISK_WRITE || request->op == DISK_ZERO) {
        assert(s->writes_in_flight > 0);
        s->writes_in_flight--;
        if (s->has_failed || request->errnum != 0) {
            s->written_bytes++; /* perhaps in part */
        }
    }
    if (s->has_failed) {
        return 0; /* said already; this one was still on its way */
    }
    if (request->errnum != 0) {
        return request_failed(s, request, err);
    }
    if (request->slot != FLUSH_SLOT) {
        return complete_piece(s, request, err);
    }
    assert(s->flush.is_running && s->flush.unfinished > 0);
    s->flush.unfinished--;
    if (s->flush.unfinished == 0) {
        end_flush(s);
    }
    return 0;
}

/* --- the end --------------------------------------------------------------------------------- */

static void inplace_seal(struct stage *stage)
{
    struct stage_inplace *s = self(stage);

    if (s->is_sealing) {
        return;
    }
    s->is_sealing = true;
    s->is_reserved = false;
    s->flush_is_due = true;
    if (s->filling != NULL) {
        close_batch(s);
    }
}

static bool inplace_is_sealed(const struct stage *stage)
{
    const struct stage_inplace *s = const_self(stage);

    if (s->has_failed) {
        return true;
    }
    if (!s->is_sealing || s->flush.is_running || s->flush_is_due) {
        return false;
    }
    for (uint32_t i = 0; i < STAGE_BATCHES; i++) {
        if (s->batches[i].state != BATCH_FREE) {
            return false;
        }
    }
    const struct settled_mark *mark = verified_mark(s);
    return mark == NULL || mark->node <= s->durable.node;
}

static void inplace_abort(struct stage *stage)
{
    self(stage)->has_failed = true;
}

static bool inplace_next_durable(struct stage *stage, bool force, struct settled_mark *mark)
{
    struct stage_inplace *s = self(stage);

    /* Every write makes a recorded checkpoint useless (the disk is not what it was), so the last
     * one is given again if anything was written since. */
    bool is_new = s->durable.node > s->given_node || (force && s->written_bytes > 0);
    bool is_writing = s->writes_in_flight > 0 || (!s->has_failed && has_batch(s, BATCH_WRITING));

    if (s->durable.node == 0 || !is_new || !(force || is_checkpoint_near(s, &s->durable)) ||
        is_writing) {
        return false;
    }
    s->given_node = s->durable.node;
    s->written_bytes = 0;
    *mark = s->durable;
    return true;
}

static uint32_t inplace_list_points(const struct stage *stage, struct stage_point *points,
                                    uint32_t max)
{
    (void)stage;
    (void)points;
    (void)max;
    return 0;
}

static int inplace_open_point(struct stage *stage, const char *id, uint32_t disk_index,
                              struct disk **out, struct error *err)
{
    (void)stage;
    (void)disk_index;
    (void)out;
    return fail(err, ERR_WRONG_STATE, 0,
                "no point %s: a disk that is written in place keeps no points", id);
}

static void inplace_free(struct stage *stage)
{
    struct stage_inplace *s = self(stage);

    for (uint32_t i = 0; i < STAGE_BATCHES; i++) {
        free(s->batches[i].buffers);
    }
    free(s);
}

static const struct stage_ops inplace_ops = {
    .name = "in-place",
    .reserve = inplace_reserve,
    .write = inplace_write,
    .zero = inplace_zero,
    .mark = inplace_mark,
    .seal = inplace_seal,
    .is_sealed = inplace_is_sealed,
    .abort = inplace_abort,
    .next = inplace_next,
    .complete = inplace_complete,
    .next_durable = inplace_next_durable,
    .list_points = inplace_list_points,
    .open_point = inplace_open_point,
    .free = inplace_free,
};

int stage_inplace_new(const struct stage_config *config, struct stage **out, struct error *err)
{
    struct stage_inplace *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for the target's stage");
    }
    s->stage.ops = &inplace_ops;
    s->config = *config;
    for (uint32_t i = 0; i < STAGE_BATCHES; i++) {
        s->batches[i].buffers = aligned_alloc(DISK_BUFFER_ALIGN, STAGE_BATCH_LEAVES * LEAF_BYTES);
        if (s->batches[i].buffers == NULL) {
            inplace_free(&s->stage);
            return fail(err, ERR_LIMIT, 0, "out of memory for the target's stage");
        }
    }
    *out = &s->stage;
    return 0;
}
