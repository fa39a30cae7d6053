/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/blocking.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>

static const char *op_name(enum disk_op op)
{
    switch (op) {
    case DISK_READ:
        return "reading";
    case DISK_READ_MEDIUM:
        return "reading back";
    case DISK_WRITE:
        return "writing";
    case DISK_ZERO:
        return "zeroing";
    case DISK_FLUSH:
        return "flushing";
    case DISK_EXTENTS:
        return "asking what is allocated of";
    case DISK_INVALID:
        break;
    }
    return "using";
}

/* The next request that comes back. */
static struct disk_request *await(struct disk *disk)
{
    struct disk_request *request = disk_reap(disk);

    while (request == NULL) {
        struct pollfd fd = {.fd = -1};
        disk_poll_on(disk, &fd.fd, &fd.events);
        (void)poll(&fd, 1, 1000); /* interrupted or too early: looking again does no harm */
        request = disk_reap(disk);
    }
    return request;
}

static int fail_request(const struct disk *disk, const struct disk_request *request,
                        struct error *err)
{
    bool is_full = request->errnum == ENOSPC || request->errnum == EDQUOT;

    (void)fail(err, is_full ? ERR_LIMIT : ERR_IO, request->errnum, "%s %s failed at 0x%" PRIx64,
               op_name(request->op), disk->name, request->offset_bytes);
    error_set_disk(err, disk->name);
    error_set_offset(err, request->offset_bytes);
    return -1;
}

int disk_do_all(struct disk *disk, struct disk_request *requests, uint32_t count, struct error *err)
{
    const struct disk_request *failed = NULL;

    assert(count <= DISK_REQUESTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        disk_submit(disk, &requests[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct disk_request *request = await(disk);
        if (request->errnum != 0 && failed == NULL) {
            failed = request;
        }
    }
    return failed == NULL ? 0 : fail_request(disk, failed, err);
}
