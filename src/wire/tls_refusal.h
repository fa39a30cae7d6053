/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls_refusal.h - why a certificate was refused, by us or by the peer, in words that name the cure.
 */
#ifndef RESILVER_WIRE_TLS_REFUSAL_H
#define RESILVER_WIRE_TLS_REFUSAL_H

#include "wire/tls_context.h"

#define TLS_DATE_MAX 40   /* "2026-01-31 12:00:00 UTC", years of ten digits included */
#define TLS_NAME_MAX 96   /* a certificate's subject or issuer, cut if longer */
#define TLS_NAMES_MAX 192 /* the hosts that it is for, cut if more */

/* What OpenSSL's check of the peer's certificate found first. */
struct tls_refusal {
    int code;                   /* X509_V_ERR_...; X509_V_OK: nothing was found */
    int depth;                  /* 0: the peer's own certificate, above it its signers */
    char subject[TLS_NAME_MAX]; /* of the certificate at that depth */
    char issuer[TLS_NAME_MAX];  /* who it says has signed it */
    char names[TLS_NAMES_MAX];  /* the hosts that it is for */
    char not_before[TLS_DATE_MAX];
    char not_after[TLS_DATE_MAX];
    const uint8_t *wanted_fingerprint;      /* pinned: who must be there; NULL: anybody. Borrowed
                                               while shaking hands */
    uint8_t fingerprint[FINGERPRINT_BYTES]; /* pinned: who is there */
};

/* tls_refusal_on_verify - OpenSSL's verify callback. Changes no verdict; fills the struct
 * tls_refusal that is the SSL's application data. */
int tls_refusal_on_verify(int is_good, X509_STORE_CTX *store);

/* tls_refusal_ours - set err to why we refuse the peer's certificate. wanted: the host that we
 * asked for, NULL at a server. Returns -1. */
int tls_refusal_ours(const struct tls_refusal *r, const struct tls_context *context,
                     const char *peer, const char *wanted, struct error *err);

/* tls_refusal_theirs - set err to what the peer's alert (RFC 8446, 6.2) says. Returns -1. */
int tls_refusal_theirs(int alert, bool we_are_server, const char *peer, struct error *err);

/* tls_refusal_reason - the text of OpenSSL's latest error; empties its queue. Never NULL, valid for
 * ever. */
const char *tls_refusal_reason(void);

void tls_refusal_date(const ASN1_TIME *when, char out[TLS_DATE_MAX]);

/* tls_refusal_name - who a certificate is for: its first DNS name, else its common name, else "no
 * name". Printable. */
void tls_refusal_name(const X509 *cert, char out[TLS_NAME_MAX]);

#endif
