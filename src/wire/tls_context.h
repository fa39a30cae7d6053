/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls_context.h - what the TLS links of one side share: certificate, key, trusted signers, and the
 * rules of TLS.
 */
#ifndef RESILVER_WIRE_TLS_CONTEXT_H
#define RESILVER_WIRE_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "wire/link.h"

#define TLS_PROTOCOLS_BYTES 128U /* a server's protocols in ALPN's form; ours take 53 */

struct tls_context {
    SSL_CTX *rules;              /* owned; each link's SSL holds a reference of its own */
    char ca_path[PATH_TEXT_MAX]; /* for messages; "": pinned certificates */
    bool is_server;
    bool is_pinned;
    size_t protocols_len;                   /* of the next */
    uint8_t protocols[TLS_PROTOCOLS_BYTES]; /* pinned server: what it takes, each after its length
                                             */
    uint64_t handshake_timeout_ns;          /* HANDSHAKE_TIMEOUT_S; tests shorten it */
    uint64_t rekey_after_bytes;             /* TLS_REKEY_BYTES; tests lower it */
};

/*
 * After so much in one direction its sender draws a new key. AES-GCM is good for 2^24.5 full
 * records under one key, which is some 360 GiB, and a disk may be larger. OpenSSL does not do this
 * by itself. Source: RFC 8446, 5.5 and 4.6.3
 */
#define TLS_REKEY_BYTES (64 * GIB)

#endif
