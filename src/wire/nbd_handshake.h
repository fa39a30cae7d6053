/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd_handshake.h - the first half of nbd_protocol: the greeting, the client's flags, and the
 * haggling over options until an export is chosen (NBD_PHASE_FLAGS and NBD_PHASE_OPTIONS). Only
 * nbd_protocol.c calls it.
 */
#ifndef RESILVER_WIRE_NBD_HANDSHAKE_H
#define RESILVER_WIRE_NBD_HANDSHAKE_H

#include "base/attributes.h"
#include "base/error.h"
#include "wire/nbd_protocol.h"

/* nbd_handshake_greet - put the server's greeting into the outbox. */
void nbd_handshake_greet(struct nbd_protocol *p);

/* nbd_handshake_take_flags - the client's four bytes, which are in the inbox. Errors: ERR_PEER. */
MUST_CHECK int nbd_handshake_take_flags(struct nbd_protocol *p, struct error *err);

/* nbd_handshake_take_option - returns 1 when an option was taken and answered, 0 when there is none
 * whole yet. Needs an empty outbox. Errors: ERR_PEER. */
MUST_CHECK int nbd_handshake_take_option(struct nbd_protocol *p, struct error *err);

#endif
