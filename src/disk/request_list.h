/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * request_list.h - requests in the order in which they came. A request is in one list at most: it
 * has the link.
 */
#ifndef RESILVER_DISK_REQUEST_LIST_H
#define RESILVER_DISK_REQUEST_LIST_H

#include "disk/disk.h"

struct request_list {
    struct disk_request *first; /* borrowed, linked by next */
    struct disk_request *last;  /* of no meaning when there is no first */
};

static inline void request_list_append(struct request_list *list, struct disk_request *request)
{
    request->next = NULL;
    if (list->first == NULL) {
        list->first = request;
    } else {
        list->last->next = request;
    }
    list->last = request;
}

/* NULL: it is empty. */
static inline struct disk_request *request_list_take(struct request_list *list)
{
    struct disk_request *request = list->first;

    if (request != NULL) {
        list->first = request->next;
        request->next = NULL;
    }
    return request;
}

/* request_bytes - how many bytes it reads, writes, zeroes or asks about; of a flush none. */
static inline uint64_t request_bytes(const struct disk_request *request)
{
    switch (request->op) {
    case DISK_READ:
    case DISK_READ_MEDIUM:
    case DISK_WRITE:
        return request->data.len_bytes;
    case DISK_ZERO:
    case DISK_EXTENTS:
        return request->len_bytes;
    case DISK_FLUSH:
    case DISK_INVALID:
        break;
    }
    return 0;
}

#endif
