/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verify.c - compute a point's proof again, from its disks and the keys in its record. What the
 * storage says is zeros is taken for zeros; all else is read from the medium.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "disk/blocking.h"
#include "engine/proof.h"
#include "points/view.h"

#define READS_PER_NODE ((uint32_t)(NODE_BYTES / READ_BYTES))
#define PROGRESS_EVERY_NODES 16U

struct verify {
    const struct point_record *record; /* borrowed, as the next */
    struct disk *disk;
    uint32_t index;
    struct layout layout;
    uint32_t segment;          /* the one at work */
    struct digester *digester; /* owned; by its key */
    struct proof *proof;       /* owned */
    uint8_t value[PROOF_BYTES];
    uint8_t *buffer;    /* owned: NODE_BYTES */
    uint64_t zero_from; /* of the disk: bytes known to be zeros */
    uint64_t zero_to;
    uint64_t known_to; /* extents were asked for up to here */
    struct extent extents[EXTENTS_MAX];
    uint64_t done_bytes; /* of all disks */
    uint64_t all_bytes;
    replica_progress *progress; /* may be NULL */
    void *context;
};

/* The segment in which a node was settled: the last that begins at or before it. */
static uint32_t segment_of(const struct verify *v, uint64_t node)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < v->record->segments.count; i++) {
        if (v->record->segments.list[i].first_node <= node) {
            found = i;
        }
    }
    return found;
}

/* Before a node: the key that it was hashed with. */
static int enter_segment(struct verify *v, uint64_t node, struct error *err)
{
    uint32_t segment = segment_of(v, node);
    bool begins_disk = node == v->layout.first_node[v->index];

    if (v->proof != NULL && segment == v->segment) {
        return 0;
    }
    if (v->proof != NULL) {
        proof_value(v->proof, v->value);
    }
    proof_free(v->proof);
    digester_free(v->digester);
    v->proof = NULL;
    v->digester = NULL;
    const uint8_t *key = v->record->segments.list[segment].key;
    if (proof_new(&v->layout, key, &v->proof, err) < 0 ||
        digester_new(key, &v->digester, err) < 0) {
        return -1;
    }
    proof_begin(v->proof, node, begins_disk ? NULL : v->value);
    v->segment = segment;
    return 0;
}

/* What is known to be zeros from `at` on. */
static int ask_extents(struct verify *v, uint64_t at, struct error *err)
{
    struct disk_request request = {.op = DISK_EXTENTS,
                                   .offset_bytes = at,
                                   .len_bytes = v->disk->size_bytes - at,
                                   .extents = v->extents};

    if (disk_do(v->disk, &request, err) < 0) {
        return -1;
    }
    const struct extent *first = &v->extents[0];
    v->zero_from = first->zero ? first->offset_bytes : 0;
    v->zero_to = first->zero ? first->offset_bytes + first->len_bytes : 0;
    v->known_to = first->offset_bytes + first->len_bytes;
    return 0;
}

static int read_node(struct verify *v, const struct place *node, struct error *err)
{
    struct disk_request requests[READS_PER_NODE];
    uint32_t count = 0;

    for (uint64_t at = 0; at < node->len_bytes; at += READ_BYTES) {
        uint64_t left_bytes = node->len_bytes - at;
        requests[count++] = (struct disk_request){
            .op = DISK_READ_MEDIUM,
            .offset_bytes = node->offset_bytes + at,
            .data = {v->buffer + at, left_bytes < READ_BYTES ? left_bytes : READ_BYTES}};
    }
    return disk_do_all(v->disk, requests, count, err);
}

static void feed_node(struct verify *v, uint64_t node, const struct place *place)
{
    struct digest leaves[LEAVES_PER_NODE];
    uint32_t count = layout_leaves(&v->layout, node);

    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = i * LEAF_BYTES;
        uint64_t left_bytes = place->len_bytes - at;
        struct const_span leaf = {v->buffer + at,
                                  left_bytes < LEAF_BYTES ? left_bytes : LEAF_BYTES};
        leaves[i] = digester_leaf(v->digester, node * LEAVES_PER_NODE + i, leaf);
    }
    proof_node(v->proof, node, leaves, count);
}

static int verify_node(struct verify *v, uint64_t node, struct error *err)
{
    struct place place = layout_node(&v->layout, node);
    uint64_t end = place.offset_bytes + place.len_bytes;

    if (enter_segment(v, node, err) < 0) {
        return -1;
    }
    if (place.offset_bytes >= v->known_to && ask_extents(v, place.offset_bytes, err) < 0) {
        return -1;
    }
    v->done_bytes += place.len_bytes;
    if (v->zero_from <= place.offset_bytes && end <= v->zero_to) {
        proof_zeros(v->proof, node, 1);
        return 0;
    }
    if (read_node(v, &place, err) < 0) {
        return -1;
    }
    feed_node(v, node, &place);
    return 0;
}

static int check_value(struct verify *v, struct error *err)
{
    const struct point_disk *disk = &v->record->disks[v->index];

    if (disk->size_bytes == 0) {
        if (enter_segment(v, v->layout.first_node[v->index], err) < 0) {
            return -1;
        }
        proof_of_empty(v->proof, v->index, v->value);
    } else {
        proof_value(v->proof, v->value);
    }
    if (memcmp(v->value, disk->proof, PROOF_BYTES) != 0) {
        (void)fail(
            err, ERR_WRONG_STATE, 0,
            "%s is not what it was when point %llu was sealed: something wrote to it, or its "
            "medium is damaged; resynchronize it",
            disk->name, (unsigned long long)v->record->number);
        error_set_disk(err, disk->name);
        return -1;
    }
    return 0;
}

static int verify_disk(struct verify *v, struct error *err)
{
    uint64_t end = v->layout.first_node[v->index + 1];

    if (v->disk->size_bytes != v->record->disks[v->index].size_bytes) {
        return fail(err, ERR_WRONG_STATE, 0, "%s has another size than its point", v->disk->name);
    }
    for (uint64_t node = v->layout.first_node[v->index]; node < end; node++) {
        if (verify_node(v, node, err) < 0) {
            return -1;
        }
        if (v->progress != NULL && node % PROGRESS_EVERY_NODES == 0 &&
            v->progress(v->context, v->done_bytes, v->all_bytes, err) < 0) {
            return -1;
        }
    }
    return check_value(v, err);
}

static void verify_done(struct verify *v)
{
    proof_free(v->proof);
    digester_free(v->digester);
    free(v->buffer);
    free(v);
}

static struct verify *verify_new(const struct point_record *record, struct error *err)
{
    struct verify *v = calloc(1, sizeof *v);
    uint64_t sizes[DISKS_MAX];

    if (v != NULL) {
        v->buffer = aligned_alloc(DISK_BUFFER_ALIGN, NODE_BYTES);
    }
    if (v == NULL || v->buffer == NULL) {
        free(v);
        (void)fail(err, ERR_LIMIT, 0, "out of memory for verifying");
        return NULL;
    }
    v->record = record;
    for (uint32_t i = 0; i < record->disk_count; i++) {
        sizes[i] = record->disks[i].size_bytes;
        v->all_bytes += sizes[i];
    }
    if (layout_init(&v->layout, record->disk_count, sizes, err) < 0) {
        verify_done(v);
        return NULL;
    }
    return v;
}

int replica_verify(struct replica *replica, uint64_t number, replica_progress *progress,
                   void *context, struct error *err)
{
    struct point_record record;
    int result = 0;

    if (view_record(replica, number, &record, err) < 0) {
        return -1;
    }
    if (record.segments.count == 0) {
        return fail(err, ERR_WRONG_STATE, 0, "point %llu has no proof that can be computed again",
                    (unsigned long long)record.number);
    }
    struct verify *v = verify_new(&record, err);
    if (v == NULL) {
        return -1;
    }
    v->progress = progress;
    v->context = context;
    for (uint32_t i = 0; i < record.disk_count && result == 0; i++) {
        struct view view = {0};
        result = view_open(replica, number, i, true, &view, err);
        if (result == 0) {
            v->index = i;
            v->disk = view.disk;
            v->known_to = 0;
            proof_free(v->proof);
            v->proof = NULL; /* each disk's begins anew */
            result = verify_disk(v, err);
            view_close(&view);
        }
    }
    verify_done(v);
    return result;
}
