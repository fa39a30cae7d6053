/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/log_disk_internal.h"

/* --- groups ---------------------------------------------------------------------------------- */

/* The group that takes the next entry; NULL: all are waiting to be written. */
static struct group *group_open(struct log_disk *d)
{
    for (uint32_t i = 0; i < LOG_DISK_GROUPS_MAX && d->open == NULL; i++) {
        struct group *group = &d->groups[i];
        if (group->state == GROUP_FREE) {
            assert(group->writes == 0 && log_group_is_empty(d->logs[0]));
            group->state = GROUP_OPEN;
            group->sequence = log_groups(d->logs[0]) + 1;
            d->open = group;
        }
    }
    return d->open;
}

static void group_end(struct log_disk *d)
{
    struct group *group = d->open;

    if (group == NULL || log_group_is_empty(d->logs[0])) {
        return;
    }
    log_end_group(d->logs[0], group->index, &group->offset_bytes);
    assert(group->sequence == log_groups(d->logs[0]));
    group->state = GROUP_ENDED;
    d->open = NULL;
}

/* Write the indexes whose time has come. */
static void groups_pump(struct log_disk *d)
{
    for (uint32_t i = 0; i < LOG_DISK_GROUPS_MAX && d->failed == 0; i++) {
        struct group *group = &d->groups[i];
        if (group->state != GROUP_ENDED || group->writes > 0) {
            continue;
        }
        group->state = GROUP_INDEXING;
        group->part = (struct part){.request = {.op = DISK_WRITE,
                                                .offset_bytes = group->offset_bytes,
                                                .data = {group->index, LOG_INDEX_BYTES}},
                                    .kind = PART_INDEX,
                                    .group = group};
        log_disk_part_submit(d, &group->part);
    }
}

/* Whether all groups up to this one are on the medium, as far as the medium has said. */
static bool are_groups_written(const struct log_disk *d, uint64_t groups)
{
    for (uint32_t i = 0; i < LOG_DISK_GROUPS_MAX; i++) {
        const struct group *group = &d->groups[i];
        if (group->state != GROUP_FREE && group->sequence <= groups) {
            return false;
        }
    }
    return true;
}

static void flushes_pump(struct log_disk *d)
{
    while (d->failed == 0 && d->flushes.first != NULL) {
        struct disk_request *request = d->flushes.first;
        struct part *part = log_disk_part(d);
        if (part == NULL || !are_groups_written(d, request->driver_value)) {
            return;
        }
        (void)list_take(&d->flushes);
        *part = (struct part){.request = {.op = DISK_FLUSH}, .kind = PART_FLUSH, .parent = request};
        log_disk_part_submit(d, part);
    }
}

void log_disk_write_on(struct log_disk *d)
{
    groups_pump(d);
    flushes_pump(d);
}

/* --- writing --------------------------------------------------------------------------------- */

/* The next whole leaf of a write, as it is to be on the medium. */
static struct const_span next_leaf(const struct disk_request *request)
{
    uint64_t left_bytes = request->data.len_bytes - request->driver_value;

    return (struct const_span){request->data.at + request->driver_value,
                               min_u64(left_bytes, LEAF_BYTES)};
}

/* Append the next leaves, as many as one group takes and as need no padding (or one that does).
 * Gives where they belong and how many bytes they are; 0: nothing, the disk has failed. */
static uint64_t append_leaves(struct log_disk *d, struct disk_request *request,
                              uint64_t *out_offset_bytes)
{
    struct error err = {.kind = ERR_NONE};
    uint64_t offset_bytes = 0;
    uint64_t total_bytes = 0;

    while (request->driver_value < request->data.len_bytes && !log_group_is_full(d->logs[0])) {
        struct const_span bytes = next_leaf(request);
        uint64_t leaf = (request->offset_bytes + request->driver_value) / LEAF_BYTES;
        if (bytes.len_bytes % PAGE_BYTES != 0 && total_bytes > 0) {
            break;
        }
        if (log_append(d->logs[0], leaf, bytes, &offset_bytes, &err) != 0) {
            log_disk_fail(d, errnum_of(&err));
            return 0;
        }
        *out_offset_bytes = total_bytes == 0 ? offset_bytes : *out_offset_bytes;
        assert(offset_bytes == *out_offset_bytes + total_bytes);
        total_bytes += bytes.len_bytes;
        request->driver_value += bytes.len_bytes;
    }
    return total_bytes;
}

bool log_disk_cut_write(struct log_disk *d, struct disk_request *request)
{
    uint8_t *from = request->data.at + request->driver_value;
    bool is_padded = next_leaf(request).len_bytes % PAGE_BYTES != 0;
    struct part *part = log_disk_part(d);
    struct group *group = part != NULL ? group_open(d) : NULL;
    uint8_t *bounce = group != NULL && is_padded ? log_disk_bounce(d) : NULL;
    uint64_t offset_bytes = 0;

    if (group == NULL || (is_padded && bounce == NULL)) {
        return false;
    }
    uint64_t len_bytes = append_leaves(d, request, &offset_bytes);
    if (len_bytes == 0) {
        log_disk_bounce_release(d, bounce);
        return true;
    }
    if (is_padded) {
        memcpy(bounce, from, len_bytes);
        memset(bounce + len_bytes, 0, log_stored_bytes(len_bytes) - len_bytes);
        from = bounce;
    }
    group->writes++;
    *part = (struct part){.request = {.op = DISK_WRITE,
                                      .offset_bytes = offset_bytes,
                                      .data = {from, log_stored_bytes(len_bytes)}},
                          .kind = PART_WRITE,
                          .parent = request,
                          .group = group,
                          .bounce = bounce};
    log_disk_part_submit(d, part);
    if (log_group_is_full(d->logs[0])) {
        group_end(d);
    }
    return true;
}

bool log_disk_cut_zero(struct log_disk *d, struct disk_request *request)
{
    uint64_t first = (request->offset_bytes + request->driver_value) / LEAF_BYTES;
    uint64_t count = log_leaf_count(request_end(request)) - first;
    struct error err = {.kind = ERR_NONE};

    if (group_open(d) == NULL) {
        return false;
    }
    count = min_u64(count, UINT32_MAX);
    if (log_append_zeros(d->logs[0], first, (uint32_t)count, &err) != 0) {
        log_disk_fail(d, errnum_of(&err));
        return true;
    }
    request->driver_value =
        min_u64((first + count) * LEAF_BYTES, request_end(request)) - request->offset_bytes;
    if (log_group_is_full(d->logs[0])) {
        group_end(d);
    }
    return true;
}

/* From here on writes go to the next group. */
void log_disk_begin_flush(struct log_disk *d, struct disk_request *request)
{
    group_end(d);
    request->driver_value = log_groups(d->logs[0]);
    (void)list_take(&d->queue);
    list_append(&d->flushes, request);
}

void log_disk_finish_write(struct log_disk *d, struct part *part)
{
    struct group *group = part->group;

    if (part->kind == PART_INDEX) {
        assert(group->state == GROUP_INDEXING);
        group->state = part->request.errnum == 0 ? GROUP_FREE : GROUP_INDEXING;
    } else {
        assert(group->writes > 0);
        group->writes--;
        note_error(part->parent, part->request.errnum);
    }
    if (part->request.errnum != 0) {
        log_disk_fail(d, part->request.errnum);
    }
}

void log_disk_finish_flush(struct log_disk *d, struct part *part)
{
    int errnum = part->request.errnum != 0 ? part->request.errnum : d->failed;

    note_error(part->parent, errnum);
    if (errnum != 0) {
        log_disk_fail(d, errnum);
    } else {
        log_synced(d->logs[0], part->parent->driver_value);
    }
}
