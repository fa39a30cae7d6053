/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls_pin.h - TLS between hosts that know one another by the fingerprints of their certificates:
 * nobody signs them, and what else they say counts for nothing.
 */
#ifndef RESILVER_WIRE_TLS_PIN_H
#define RESILVER_WIRE_TLS_PIN_H

#include "wire/tls_refusal.h"

/* tls_pin_set_rules - let the context's handshakes take any certificate, or the one wanted
 * (tls_refusal.wanted_fingerprint), and at a server only its protocols. */
void tls_pin_set_rules(struct tls_context *context);

/* tls_pin_ask - a client: the one protocol that is offered. Returns -1: no memory. */
MUST_CHECK int tls_pin_ask(SSL *ssl, const char *protocol);

/* tls_pin_finish - after a handshake: who is there, and what is spoken, into the link. Errors:
 * ERR_PEER it agreed on no protocol. */
MUST_CHECK int tls_pin_finish(SSL *ssl, struct link *link, struct error *err);

/* tls_pin_refuse - set err to why the certificate was not taken. Returns -1. */
int tls_pin_refuse(const struct tls_refusal *r, const char *peer, struct error *err);

#endif
