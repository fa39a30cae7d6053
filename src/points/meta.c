/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/meta.h"

#include <assert.h>
#include <string.h>

#include "points/record.h"
#include "points/sealed.h"

#define META_MAGIC 0x6d706c72U /* "rlpm" */
#define META_VERSION 1U

int meta_encode(const struct meta *meta, struct span buffer, struct const_span *out,
                struct error *err)
{
    struct writer w = sealed_begin(buffer, META_MAGIC, META_VERSION);

    assert(meta->disk_count <= DISKS_MAX && meta->history <= REPLICA_HISTORY_MAX);
    write_u8(&w, meta->is_beside ? 1 : 0);
    write_u32(&w, meta->history);
    write_u32(&w, meta->disk_count);
    for (uint32_t i = 0; i < meta->disk_count; i++) {
        write_text(&w, meta->disks[i].name);
        write_text(&w, meta->disks[i].path);
        write_u32(&w, (uint32_t)meta->disks[i].format);
    }
    return sealed_end(&w, out, err);
}

static bool get_disk(struct reader *r, bool is_beside, struct meta_disk *disk)
{
    read_text(r, disk->name, sizeof disk->name);
    read_text(r, disk->path, sizeof disk->path);
    uint32_t format = read_u32(r);
    disk->format = (enum disk_format)format;
    return !r->bad && point_name_is_good(disk->name) && format <= DISK_FORMAT_VDI &&
           (is_beside ? disk->path[0] == '/' : disk->path[0] == '\0');
}

int meta_decode(struct const_span bytes, struct meta *out, struct error *err)
{
    struct reader r;

    if (sealed_open(bytes, META_MAGIC, META_VERSION, &r, err) < 0) {
        return -1;
    }
    uint8_t is_beside = read_u8(&r);
    *out = (struct meta){.is_beside = is_beside == 1};
    out->history = read_u32(&r);
    out->disk_count = read_u32(&r);
    bool is_good =
        is_beside <= 1 && out->history <= REPLICA_HISTORY_MAX && out->disk_count <= DISKS_MAX;
    for (uint32_t i = 0; is_good && i < out->disk_count; i++) {
        is_good = get_disk(&r, out->is_beside, &out->disks[i]);
    }
    if (!is_good || !reader_done(&r)) {
        return fail(err, ERR_WRONG_STATE, 0, "it is damaged: a field is out of its range");
    }
    return 0;
}
