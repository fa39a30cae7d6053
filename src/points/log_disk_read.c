/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/log_disk_internal.h"

/* What is known of a piece of one leaf. */
struct piece {
    uint32_t lower;
    bool is_zero;
    bool is_bounced;
    uint64_t len_bytes;    /* of what is wanted */
    uint64_t offset_bytes; /* below: of what is wanted; bounced: of what is read */
    uint64_t leaf_bytes;   /* bounced: how much is read, without padding */
    uint64_t skip_bytes;   /* bounced: of that, before what is wanted */
};

int log_disk_find(struct log_disk *d, uint64_t leaf, uint32_t *out, struct log_place *place)
{
    uint32_t i = 0;
    struct error err = {.kind = ERR_NONE};

    *place = (struct log_place){.where = LOG_NOWHERE};
    for (; i < d->log_count; i++) {
        if (log_find(d->logs[i], leaf, place, &err) != 0) {
            return errnum_of(&err);
        }
        if (place->where != LOG_NOWHERE) {
            break;
        }
    }
    *out = i;
    return 0;
}

static void piece_of_log(struct piece *piece, const struct log_place *place, uint64_t skip_bytes)
{
    piece->is_zero = place->where == LOG_ZEROS;
    if (piece->is_zero) {
        return;
    }
    piece->offset_bytes = place->offset_bytes;
    /* The whole leaf is read whatever is wanted of it, since its check is over the whole. */
    piece->is_bounced = piece->len_bytes != place->len_bytes || place->len_bytes % PAGE_BYTES != 0;
    piece->leaf_bytes = place->len_bytes;
    piece->skip_bytes = skip_bytes;
}

static int piece_of_base(const struct log_disk *d, struct piece *piece, uint64_t at)
{
    const struct disk *base = d->lowers[d->log_count].disk;

    if (base == NULL) {
        return ENODATA;
    }
    piece->is_zero = at >= base->size_bytes;
    if (piece->is_zero) {
        return 0;
    }
    piece->offset_bytes = at;
    piece->len_bytes = min_u64(piece->len_bytes, base->size_bytes - at);
    /* This disk ends inside a page of a larger base. */
    piece->is_bounced =
        piece->len_bytes % PAGE_BYTES != 0 && at + piece->len_bytes != base->size_bytes;
    piece->leaf_bytes = piece->len_bytes;
    return 0;
}

/* What there is of [at, end), up to the end of at's leaf. */
static int piece_at(struct log_disk *d, uint64_t at, uint64_t end, struct piece *out)
{
    uint64_t leaf = at / LEAF_BYTES;
    struct log_place place;

    assert(at < end);
    *out = (struct piece){.len_bytes = min_u64(end, (leaf + 1) * LEAF_BYTES) - at};
    int errnum = log_disk_find(d, leaf, &out->lower, &place);
    if (errnum != 0) {
        return errnum;
    }
    if (place.where == LOG_NOWHERE) {
        return piece_of_base(d, out, at);
    }
    piece_of_log(out, &place, at % LEAF_BYTES);
    return 0;
}

/* Let a piece that is read straight grow over what follows it on the same lower. */
static void piece_extend(struct log_disk *d, struct piece *piece, uint64_t at, uint64_t end)
{
    struct piece next;

    while (at + piece->len_bytes < end) {
        if (piece_at(d, at + piece->len_bytes, end, &next) != 0 || next.is_zero ||
            next.is_bounced || next.lower != piece->lower ||
            next.offset_bytes != piece->offset_bytes + piece->len_bytes) {
            return;
        }
        piece->len_bytes += next.len_bytes;
    }
}

/* A part that reads a piece, which is wanted at `to`. */
static void part_read(struct log_disk *d, struct part *part, struct disk_request *request,
                      const struct piece *piece, uint8_t *to)
{
    uint64_t room_bytes = d->lowers[piece->lower].disk->size_bytes - piece->offset_bytes;
    struct span data = {to, piece->len_bytes};

    if (piece->is_bounced) {
        data =
            (struct span){part->bounce, min_u64(log_stored_bytes(piece->leaf_bytes), room_bytes)};
    }
    part->request =
        (struct disk_request){.op = request->op, .offset_bytes = piece->offset_bytes, .data = data};
    part->kind = piece->is_bounced ? PART_BOUNCED : PART_READ;
    part->lower = piece->lower;
    part->parent = request;
    part->leaf_bytes = piece->leaf_bytes;
    part->skip_bytes = piece->skip_bytes;
    part->to = (struct span){to, piece->len_bytes};
}

bool log_disk_cut_read(struct log_disk *d, struct disk_request *request)
{
    uint64_t at = request->offset_bytes + request->driver_value;
    uint8_t *to = request->data.at + request->driver_value;
    struct piece piece;

    int errnum = piece_at(d, at, request_end(request), &piece);
    if (errnum != 0) {
        note_error(request, errnum);
        return true;
    }
    if (piece.is_zero) {
        memset(to, 0, piece.len_bytes);
        request->driver_value += piece.len_bytes;
        return true;
    }
    struct part *part = log_disk_part(d);
    uint8_t *bounce = part != NULL && piece.is_bounced ? log_disk_bounce(d) : NULL;
    if (part == NULL || (piece.is_bounced && bounce == NULL)) {
        return false;
    }
    if (!piece.is_bounced) {
        piece_extend(d, &piece, at, request_end(request));
    }
    *part = (struct part){.first_leaf = at / LEAF_BYTES, .bounce = bounce};
    part_read(d, part, request, &piece, to);
    request->driver_value += piece.len_bytes;
    log_disk_part_submit(d, part);
    return true;
}

/* Invariant 4. */
static bool is_read_right(struct log_disk *d, const struct part *part)
{
    struct const_span left = {part->request.data.at, part->kind == PART_BOUNCED
                                                         ? part->leaf_bytes
                                                         : part->request.data.len_bytes};

    if (part->lower == d->log_count) {
        return true;
    }
    for (uint64_t leaf = part->first_leaf; left.len_bytes > 0; leaf++) {
        struct const_span bytes = {left.at, min_u64(left.len_bytes, LEAF_BYTES)};
        if (!log_check(d->logs[part->lower], leaf, bytes)) {
            return false;
        }
        left.at += bytes.len_bytes;
        left.len_bytes -= bytes.len_bytes;
    }
    return true;
}

void log_disk_finish_read(struct log_disk *d, struct part *part)
{
    struct disk_request *parent = part->parent;
    int errnum = part->request.errnum;

    if (errnum == 0 && !is_read_right(d, part)) {
        errnum = EIO;
    }
    if (errnum == 0 && part->kind == PART_BOUNCED) {
        memcpy(part->to.at, part->bounce + part->skip_bytes, part->to.len_bytes);
    }
    note_error(parent, errnum);
    parent->cached = parent->cached && part->request.cached;
}
