/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "points/record.h"

#include <assert.h>
#include <string.h>

#include "points/sealed.h"

#define RECORD_MAGIC 0x74706c72U /* "rlpt" */
#define RECORD_VERSION 1U

static void put_disk(struct writer *w, const struct point_disk *disk)
{
    write_text(w, disk->name);
    write_u32(w, (uint32_t)disk->format);
    write_u32(w, (uint32_t)disk->driver);
    write_u64(w, disk->size_bytes);
    write_bytes(w, (struct const_span){disk->proof, PROOF_BYTES});
    write_bytes(w, (struct const_span){disk->log_id, LOG_ID_BYTES});
    write_u64(w, disk->log_groups);
    write_u64(w, disk->base_mtime_ns);
}

int point_record_encode(const struct point_record *record, struct span buffer,
                        struct const_span *out, struct error *err)
{
    struct writer w = sealed_begin(buffer, RECORD_MAGIC, RECORD_VERSION);

    assert(record->disk_count >= 1 && record->disk_count <= DISKS_MAX);
    assert(record->segments.count <= PROOF_SEGMENTS_MAX);
    write_u64(&w, record->number);
    write_u64(&w, record->base);
    write_u64(&w, record->time_ns);
    write_u32(&w, record->disk_count);
    for (uint32_t i = 0; i < record->disk_count; i++) {
        put_disk(&w, &record->disks[i]);
    }
    write_u32(&w, record->segments.count);
    for (uint32_t i = 0; i < record->segments.count; i++) {
        write_u64(&w, record->segments.list[i].first_node);
        write_bytes(&w, (struct const_span){record->segments.list[i].key, DIGEST_KEY_BYTES});
    }
    return sealed_end(&w, out, err);
}

bool point_name_is_good(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static bool get_disk(struct reader *r, struct point_disk *disk)
{
    read_text(r, disk->name, sizeof disk->name);
    uint32_t format = read_u32(r);
    uint32_t driver = read_u32(r);
    disk->size_bytes = read_u64(r);
    read_copy(r, (struct span){disk->proof, PROOF_BYTES});
    read_copy(r, (struct span){disk->log_id, LOG_ID_BYTES});
    disk->log_groups = read_u64(r);
    disk->base_mtime_ns = read_u64(r);
    disk->format = (enum disk_format)format;
    disk->driver = (enum point_driver)driver;
    return !r->bad && point_name_is_good(disk->name) && format >= DISK_FORMAT_RAW &&
           format <= DISK_FORMAT_VDI && driver >= POINT_DRIVER_FILE && driver <= POINT_DRIVER_LOG &&
           disk->size_bytes <= DISK_SIZE_MAX;
}

static bool get_segments(struct reader *r, struct proof_segments *segments)
{
    segments->count = read_u32(r);
    if (segments->count > PROOF_SEGMENTS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < segments->count; i++) {
        struct proof_segment *segment = &segments->list[i];
        segment->first_node = read_u64(r);
        read_copy(r, (struct span){segment->key, DIGEST_KEY_BYTES});
        bool follows = i == 0 ? segment->first_node == 0
                              : segment->first_node >= segments->list[i - 1].first_node;
        if (!follows) {
            return false;
        }
    }
    return !r->bad;
}

static bool get_record(struct reader *r, struct point_record *record)
{
    record->number = read_u64(r);
    record->base = read_u64(r);
    record->time_ns = read_u64(r);
    record->disk_count = read_u32(r);
    if (record->number == 0 || record->base >= record->number || record->disk_count < 1 ||
        record->disk_count > DISKS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < record->disk_count; i++) {
        if (!get_disk(r, &record->disks[i])) {
            return false;
        }
    }
    return get_segments(r, &record->segments) && reader_done(r);
}

int point_record_decode(struct const_span bytes, struct point_record *out, struct error *err)
{
    struct point_record record = {0};
    struct reader r;

    if (sealed_open(bytes, RECORD_MAGIC, RECORD_VERSION, &r, err) < 0) {
        return -1;
    }
    if (!get_record(&r, &record)) {
        return fail(err, ERR_WRONG_STATE, 0, "it is damaged: a field is out of its range");
    }
    *out = record;
    return 0;
}
