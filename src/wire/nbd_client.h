/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd_client.h - one connection to an NBD server of ours: its socket, what it asked for, and the
 * reads that are under way for it. For nbd_export.c, which owns the loop.
 */
#ifndef RESILVER_WIRE_NBD_CLIENT_H
#define RESILVER_WIRE_NBD_CLIENT_H

#include "base/env.h"
#include "wire/nbd_protocol.h"

/* A disk, and how many requests are at it. */
struct nbd_shelf {
    struct disk *disk; /* borrowed from the server's caller */
    uint32_t in_flight;
};

struct nbd_client;

struct nbd_client_config {
    const struct nbd_offer *offers; /* borrowed */
    struct nbd_shelf *shelves;      /* borrowed; the same order as offers */
    uint32_t count;
    const struct env *env;
    uint64_t patience_ns; /* from accept to the transmission phase, and for a command's rest */
};

/* nbd_client_new - takes fd on success. The configuration is borrowed until nbd_client_free.
 * Errors: ERR_LIMIT. */
MUST_CHECK int nbd_client_new(int fd, const struct nbd_client_config *config,
                              struct nbd_client **out, struct error *err);

/* nbd_client_free - only once nbd_client_is_gone(). NULL is fine. */
void nbd_client_free(struct nbd_client *client);

/*
 * nbd_client_turn - read what has come if is_readable, start what can be started, send what is
 * ready. Looks at the clock; never blocks. True: there is more to do at once.
 */
bool nbd_client_turn(struct nbd_client *client, bool is_readable);

/* nbd_client_take - a request that came back from a shelf's disk: finds its client by itself, and
 * counts it off. The client needs a turn then. */
void nbd_client_take(struct disk_request *request);

/* nbd_client_stop - no further command is taken; it is gone when those under way are answered. */
void nbd_client_stop(struct nbd_client *client);

/* nbd_client_drop - close the connection now; err (NULL: none) is why. */
void nbd_client_drop(struct nbd_client *client, const struct error *err);

/* nbd_client_poll_on - what to poll for; *fd is -1 when there is nothing but its disks to wait for.
 */
void nbd_client_poll_on(const struct nbd_client *client, int *fd, short *events);

/* nbd_client_deadline_ns - when it needs a turn at the latest; UINT64_MAX: not by the clock. */
uint64_t nbd_client_deadline_ns(const struct nbd_client *client);

/* nbd_client_is_gone - closed, and none of its requests is at a disk. */
bool nbd_client_is_gone(const struct nbd_client *client);

/* nbd_client_error - why it was dropped; kind is ERR_NONE for one that ended well. */
const struct error *nbd_client_error(const struct nbd_client *client);

#endif
