/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd_server.h - the connection to an NBD server on a Unix socket of this host, and what it offers.
 * For the NBD driver only.
 */
#ifndef RESILVER_DISK_NBD_SERVER_H
#define RESILVER_DISK_NBD_SERVER_H

#include <libnbd.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"

struct nbd_server {
    struct nbd_handle *handle; /* owned */
    uint64_t size_bytes;
    uint32_t min_bytes;     /* its smallest block: a power of two, at most PAGE_BYTES */
    uint32_t command_bytes; /* the longest read or write to ask it for; a multiple of PAGE_BYTES */
    bool has_zero;          /* it can write zeros by itself */
    bool has_status;        /* it tells which ranges are zero */
};

/* Where a server is: a URI, or a socket and the name of an export there. All borrowed. */
struct nbd_address {
    const char *uri; /* NULL: socket_path and export_name instead */
    const char *socket_path;
    const char *export_name;
};

/*
 * nbd_server_connect - connect, agree, and learn what the server offers.
 *
 * @name   for messages
 * @write  it must allow writing and flushing
 * @out    filled on return 0; its user calls nbd_server_done
 *
 * Errors: ERR_USAGE        not an address of a Unix socket of this host
 *         ERR_IO           no such socket or export, no answer within HELPER_START_S
 *         ERR_WRONG_STATE  read-only, cannot flush, blocks that do not fit
 *         ERR_LIMIT        no memory, too large
 */
MUST_CHECK int nbd_server_connect(const struct nbd_address *address, const char *name, bool write,
                                  struct nbd_server *out, struct error *err);

/* nbd_server_done - close the connection. Commands in flight are forgotten. */
void nbd_server_done(struct nbd_server *server);

/* nbd_server_is_ended - whether the connection is gone for good. */
bool nbd_server_is_ended(const struct nbd_server *server);

/* nbd_server_events - the POLL* events that the connection waits for. */
short nbd_server_events(const struct nbd_server *server);

/*
 * nbd_server_drive - wait for at most timeout_ms, then let libnbd do what is possible. Returns
 * false when nothing was. How the connection fares is for nbd_server_is_ended to say.
 */
bool nbd_server_drive(const struct nbd_server *server, int timeout_ms);

#endif
