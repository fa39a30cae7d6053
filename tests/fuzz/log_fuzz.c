/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log_fuzz.c - any bytes as a log. Sums, checks and chain are put right if the input asks for it,
 * so that what they guard is looked at. What opens must be readable without a slip, and must still
 * be all there when something was appended.
 *
 * Input: what to put right (bit 0: the head, bit 1: the indexes), how many groups are known to be
 * durable, and the bytes of the medium.
 */
#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "base/writer.h"
#include "cut_disk.h"
#include "disk/blocking.h"
#include "points/log_disk.h"
#include "points/log_pages.h"

#define IMAGE_MAX (1 * MIB)
#define DISK_MAX (4 * MIB)
#define ROOM_BYTES (1 * MIB) /* behind the image, to append to */
#define SIZE_AT 48U
#define SUM_AT 4064U
#define OFFSET_AT 16U
#define LEN_AT 24U
#define PREVIOUS_AT 48U
#define CHECK_AT (LOG_INDEX_BYTES - DIGEST_BYTES)

static int draw(void *context, struct span out, struct error *err)
{
    (void)context;
    (void)err;
    memset(out.at, 0x17, out.len_bytes);
    return 0;
}

static const struct env env = {.random = draw};

static void put_u64(uint8_t *at, uint64_t value)
{
    struct writer w = writer_init((struct span){at, sizeof value});

    write_u64(&w, value);
}

static uint64_t get_u64(const uint8_t *at)
{
    struct reader r = reader_init((struct const_span){at, sizeof(uint64_t)});

    return read_u64(&r);
}

static void put_sum(uint8_t *head)
{
    if (EVP_Digest(head, SUM_AT, head + SUM_AT, NULL, EVP_sha256(), NULL) != 1) {
        abort();
    }
}

/* Where each index says that the next one is, one is put right. */
static void put_checks(struct cut_disk *medium, uint64_t end)
{
    struct digester *digester = NULL;
    struct digest previous;
    uint64_t at = LOG_HEAD_BYTES;

    memcpy(previous.bytes, medium->bytes + SUM_AT, DIGEST_BYTES);
    if (digester_new(medium->bytes + 32, &digester, NULL) != 0) {
        abort();
    }
    while (at % PAGE_BYTES == 0 && at < end) {
        uint8_t *index = medium->bytes + at;
        put_u64(index + OFFSET_AT, at);
        memcpy(index + PREVIOUS_AT, previous.bytes, DIGEST_BYTES);
        previous = digester_tag(digester, at, (struct const_span){index, CHECK_AT},
                                (struct const_span){NULL, 0});
        memcpy(index + CHECK_AT, previous.bytes, DIGEST_BYTES);
        uint64_t len_bytes = get_u64(index + LEN_AT);
        if (len_bytes == 0 || len_bytes > end) {
            break;
        }
        at += len_bytes;
    }
    digester_free(digester);
}

static struct cut_disk *copy_of(const struct cut_disk *from)
{
    struct cut_disk *to = cut_disk_new(from->disk.size_bytes);

    memcpy(to->bytes, from->bytes, from->used_bytes);
    to->used_bytes = from->used_bytes;
    return to;
}

static void write_leaf(struct disk *disk, uint8_t *buffer)
{
    uint64_t len_bytes = disk->size_bytes < LEAF_BYTES ? disk->size_bytes : LEAF_BYTES;
    struct disk_request write = {.op = DISK_WRITE, .data = {buffer, len_bytes}};
    struct disk_request flush = {.op = DISK_FLUSH};

    memset(buffer, 0x5a, LEAF_BYTES);
    if (len_bytes > 0 && (disk_do(disk, &write, NULL) != 0 || disk_do(disk, &flush, NULL) != 0)) {
        abort();
    }
}

/* All of it is read: an error is an answer, too, but nothing else may happen. How many there were.
 */
static uint32_t read_all(struct disk *disk, uint8_t *buffer)
{
    uint32_t errors = 0;

    for (uint64_t at = 0; at < disk->size_bytes; at += LEAF_BYTES) {
        uint64_t left_bytes = disk->size_bytes - at;
        uint64_t len_bytes = left_bytes < LEAF_BYTES ? left_bytes : LEAF_BYTES;
        struct disk_request read = {
            .op = DISK_READ, .offset_bytes = at, .data = {buffer, len_bytes}};
        errors += disk_do(disk, &read, NULL) != 0 ? 1 : 0;
    }
    return errors;
}

static void use(struct log *log, struct cut_disk *medium, uint64_t size_bytes)
{
    uint8_t *buffer = aligned_alloc(DISK_BUFFER_ALIGN, LEAF_BYTES);
    struct disk *disk = NULL;
    struct log *again = NULL;

    if (buffer == NULL || log_disk_new(NULL, size_bytes, &log, 1, true, "fuzz", &disk, NULL) != 0) {
        abort();
    }
    uint32_t errors = read_all(disk, buffer);
    write_leaf(disk, buffer);
    assert(read_all(disk, buffer) <= errors);
    struct cut_disk *copy = copy_of(medium);
    if (log_open(&copy->disk, LOG_JOURNAL, size_bytes, log_groups(log), NULL, &env, &again, NULL) !=
        0) {
        abort();
    }
    assert(log_groups(again) == log_groups(log));
    log_free(again);
    disk_close(disk);
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log *log = NULL;

    if (size < 2 || size - 2 > IMAGE_MAX) {
        return 0;
    }
    uint64_t image_bytes = log_stored_bytes(size - 2);
    struct cut_disk *medium = cut_disk_new(image_bytes + ROOM_BYTES);
    memcpy(medium->bytes, data + 2, size - 2);
    uint64_t size_bytes = get_u64(medium->bytes + SIZE_AT) % DISK_MAX;
    if ((data[0] & 1) != 0) {
        put_u64(medium->bytes + SIZE_AT, size_bytes);
        put_sum(medium->bytes);
    }
    if ((data[0] & 2) != 0) {
        put_checks(medium, image_bytes);
    }
    medium->used_bytes = image_bytes + LOG_HEAD_BYTES + LOG_INDEX_BYTES;
    if (log_open(&medium->disk, LOG_JOURNAL, size_bytes, data[1], NULL, &env, &log, NULL) != 0) {
        disk_close(&medium->disk);
        return 0;
    }
    use(log, medium, size_bytes);
    return 0;
}
