/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls_socket.h - the TCP socket below a TLS link, as OpenSSL sees it: reads come straight from the
 * socket, written records are gathered and sent together.
 *
 * OpenSSL's own socket BIO sends every record of 16 KiB by a write(2) of its own, which may raise
 * SIGPIPE.
 */
#ifndef RESILVER_WIRE_TLS_SOCKET_H
#define RESILVER_WIRE_TLS_SOCKET_H

#include <openssl/bio.h>

#include "base/attributes.h"
#include "base/limits.h"
#include "base/span.h"

/*
 * What one send carries, sixteen full records, and what OpenSSL reads ahead by one recv. Measured
 * with two threads over loopback, core-seconds a GiB of both sides together: OpenSSL's own socket
 * BIO 2.04; batches of 16 KiB with reads of 64 KiB 2.1, 64 KiB 2.0, 256 KiB 1.86; batches of 256
 * KiB with reads of 16 KiB 2.0, 32 KiB 1.85, 256 KiB 2.2, for then what is decrypted has left the
 * second-level cache before it is copied out.
 */
#define TLS_SOCKET_BATCH_BYTES (256 * KIB)
#define TLS_SOCKET_READ_BYTES (64 * KIB)

struct tls_socket {
    int fd;             /* owned; -1: none */
    struct span gather; /* owned: gather.at[sent_bytes .. filled_bytes - 1] waits to be sent */
    size_t sent_bytes;
    size_t filled_bytes;
    int recv_errnum; /* why receiving has failed; 0: it has not */
    int send_errnum; /* why sending has failed; 0: it has not */
    bool has_ended;  /* the peer's direction has ended, as far as TCP knows */
};

/* tls_socket_init - takes fd, non-blocking. Returns -1 when there is no memory; fd is taken then,
 * too. */
MUST_CHECK int tls_socket_init(struct tls_socket *s, int fd);
void tls_socket_done(struct tls_socket *s);

/* tls_socket_bio - for SSL_set_bio(); s must outlive it. NULL: no memory. */
BIO *tls_socket_bio(struct tls_socket *s);

/* tls_socket_flush - send what was gathered. 1: all is sent, 0: the socket takes no more now, -1:
 * failed (send_errnum). */
int tls_socket_flush(struct tls_socket *s);

static inline bool tls_socket_is_flushed(const struct tls_socket *s)
{
    return s->sent_bytes == s->filled_bytes;
}

#endif
