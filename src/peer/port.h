/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * port.h - the replication port: who comes, whether it is known, and what it wants. A thread waits
 * for connections, and each connection has one of its own, so that nobody holds up another.
 */
#ifndef RESILVER_PEER_PORT_H
#define RESILVER_PEER_PORT_H

#include "base/env.h"
#include "base/mailbox.h"
#include "peer/pairing.h"
#include "peer/sessions.h"
#include "wire/link.h"

struct port;

struct port_config {
    const struct env *env; /* borrowed, as all here */
    struct mailbox *mailbox;
    struct tls_context *server;
    struct sessions *sessions;
    struct pairings *pairings;
    const char *listen_address;
};

/* port_new - listens; nothing is accepted yet. Errors: ERR_USAGE, ERR_IO, ERR_LIMIT. */
MUST_CHECK int port_new(const struct port_config *config, struct port **out, struct error *err);

/* port_begin - accept. Errors: ERR_LIMIT. */
MUST_CHECK int port_begin(struct port *port, struct service *service, struct error *err);
const char *port_listening_at(const struct port *port);
void port_cut(struct port *port, const uint8_t fingerprint[FINGERPRINT_BYTES]);

/* port_stop - close the port, cut all connections. */
void port_stop(struct port *port);
bool port_is_idle(const struct port *port);
void port_free(struct port *port);

#endif
