/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd_export.h - a read-only NBD server on a Unix socket, for disks that no other program can open:
 * a recovery point seen through its logs. One thread, several clients at once.
 */
#ifndef RESILVER_WIRE_NBD_EXPORT_H
#define RESILVER_WIRE_NBD_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/env.h"
#include "base/error.h"
#include "base/limits.h"
#include "disk/disk.h"

struct nbd_export {
    const char *name;  /* 1 to DISK_NAME_MAX - 1 bytes, each another; borrowed */
    struct disk *disk; /* borrowed; nobody else uses it meanwhile */
};

/* What the program around the server provides; each function may be NULL, and is called from the
 * server's thread. */
struct nbd_export_host {
    /* The socket is there: clients may come. */
    void (*listening)(void *context, const char *socket_path);
    /* A client was turned away or disconnected because of what it or a disk did. */
    void (*dropped)(void *context, const struct error *err);
    /* The last client that was there has gone. True: the server ends, as if it had been stopped. */
    bool (*all_left)(void *context);
    void *context;
};

struct nbd_export_config {
    const char *socket_path; /* its folder exists; the socket is made with mode 0600 */
    const struct nbd_export *exports;
    uint32_t count; /* 1 to NBD_EXPORTS_MAX */
    int stop_fd;    /* readable: end; -1: none */
    const struct env *env;
    const struct nbd_export_host *host; /* NULL: nobody is told */
    uint32_t patience_ms; /* from a client's connection to its choice of an export, and from a
                             command's first byte to its last; 0: HANDSHAKE_TIMEOUT_S */
};

/*
 * nbd_export_run - serve until stop_fd is readable or the host says so; then what is under way is
 * answered for at most NBD_FAREWELL_S, and the socket is removed. No request is at a disk when it
 * returns.
 *
 * A client that breaks the protocol is disconnected; the others do not notice. A read that fails
 * is answered with EIO.
 *
 * Errors: ERR_USAGE        no exports or too many; a name is empty, too long or there twice; the
 *                          socket's path is too long
 *         ERR_WRONG_STATE  something else is where the socket would be, or a server is at work
 * there ERR_IO           the socket cannot be made ERR_LIMIT        no memory
 */
MUST_CHECK int nbd_export_run(const struct nbd_export_config *config, struct error *err);

#endif
