/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/log_disk_internal.h"

/* An answer being put together. */
struct telling {
    struct disk_request *request;
    uint64_t at;      /* told up to here */
    uint32_t lookups; /* of staged leaves, so far */
    int errnum;
};

/* False when there is no more room. */
static bool tell(struct telling *t, uint64_t end, bool zero)
{
    struct disk_request *request = t->request;

    if (end <= t->at) {
        return true;
    }
    assert(request->extents != NULL);
    struct extent *last =
        request->extent_count > 0 ? &request->extents[request->extent_count - 1] : NULL;
    if (last != NULL && last->zero == zero) {
        last->len_bytes += end - t->at;
    } else if (request->extent_count == EXTENTS_MAX) {
        return false;
    } else {
        request->extents[request->extent_count++] = (struct extent){t->at, end - t->at, zero};
    }
    t->at = end;
    return true;
}

/* The first staged leaf >= from; UINT64_MAX: none. */
static int next_staged(struct log_disk *d, uint64_t from, uint64_t *out)
{
    struct error err = {.kind = ERR_NONE};

    *out = UINT64_MAX;
    for (uint32_t i = 0; i < d->log_count; i++) {
        uint64_t leaf = 0;
        if (log_next(d->logs[i], from, &leaf, &err) != 0) {
            return errnum_of(&err);
        }
        *out = min_u64(*out, leaf);
    }
    return 0;
}

/* What of [t->at, end), of which the base says that it is zeros, is so with the staged leaves on
 * top. False when the answer ends here. */
static bool tell_zeros(struct log_disk *d, struct telling *t, uint64_t end)
{
    while (t->at < end) {
        uint64_t leaf = 0;
        uint32_t log_index = 0;
        struct log_place place;
        t->errnum = next_staged(d, t->at / LEAF_BYTES, &leaf);
        if (t->errnum != 0 || t->lookups++ >= LOG_DISK_EXTENT_LEAVES) {
            return false;
        }
        if (leaf >= log_leaf_count(end)) {
            return tell(t, end, true);
        }
        t->errnum = log_disk_find(d, leaf, &log_index, &place);
        if (t->errnum != 0 || !tell(t, leaf * LEAF_BYTES, true) ||
            !tell(t, min_u64((leaf + 1) * LEAF_BYTES, end), place.where == LOG_ZEROS)) {
            return false;
        }
    }
    return true;
}

/* Turn what the base says, which is in request->extents, into what this disk says. Its own data may
 * be called unknown even where zeros are staged: that is always true enough. */
static void tell_all(struct log_disk *d, struct disk_request *request)
{
    uint32_t count = request->extent_count;
    struct telling t = {.request = request, .at = request->offset_bytes};

    assert(count >= 1 && count <= EXTENTS_MAX);
    memcpy(d->answer, request->extents, count * sizeof d->answer[0]);
    request->extent_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t end = d->answer[i].offset_bytes + d->answer[i].len_bytes;
        if (!(d->answer[i].zero ? tell_zeros(d, &t, end) : tell(&t, end, false))) {
            break;
        }
    }
    note_error(request, t.errnum);
    assert(request->errnum != 0 || request->extent_count > 0);
}

static void answer_one(struct disk_request *request, uint64_t len_bytes, bool zero)
{
    request->extents[0] = (struct extent){request->offset_bytes, len_bytes, zero};
    request->extent_count = 1;
}

bool log_disk_ask_extents(struct log_disk *d, struct disk_request *request)
{
    const struct disk *base = d->lowers[d->log_count].disk;

    if (base == NULL || request->offset_bytes >= base->size_bytes) {
        answer_one(request, request->len_bytes, base != NULL);
        tell_all(d, request);
        request->driver_value = request->len_bytes;
        return true;
    }
    struct part *part = log_disk_part(d);
    if (part == NULL) {
        return false;
    }
    *part =
        (struct part){.request = {.op = DISK_EXTENTS,
                                  .offset_bytes = request->offset_bytes,
                                  .len_bytes = min_u64(request->len_bytes,
                                                       base->size_bytes - request->offset_bytes),
                                  .extents = request->extents},
                      .kind = PART_EXTENTS,
                      .lower = d->log_count,
                      .parent = request};
    request->driver_value = request->len_bytes;
    log_disk_part_submit(d, part);
    return true;
}

void log_disk_finish_extents(struct log_disk *d, struct part *part)
{
    struct disk_request *parent = part->parent;
    uint64_t base_bytes = d->lowers[d->log_count].disk->size_bytes;

    note_error(parent, part->request.errnum);
    if (parent->errnum != 0) {
        return;
    }
    parent->extent_count = part->request.extent_count;
    struct extent *last = &parent->extents[parent->extent_count - 1];
    if (last->offset_bytes + last->len_bytes == base_bytes) {
        /* The caller goes on at a page's start; behind the base there are zeros, so that this is as
         * true of the rest of the page. */
        uint64_t end = min_u64(log_stored_bytes(base_bytes), request_end(parent));
        last->len_bytes = end - last->offset_bytes;
    }
    tell_all(d, parent);
}
