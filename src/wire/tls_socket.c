/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls_socket.c
 *
 * 1. sent_bytes <= filled_bytes <= gather.len_bytes; both are 0 when everything is sent.
 * 2. Data is sealed only into an empty gather buffer, at most TLS_SOCKET_BATCH_BYTES of it
 *    (link_tls.c), so its records always fit; what TLS itself has to say (handshake, key updates,
 *    alerts) fits into GATHER_SPARE_BYTES.
 */
#include "wire/tls_socket.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Room for the records' own bytes and for TLS's messages: 22 bytes a record, of which a peer that
 * asked for records of 512 bytes (RFC 6066, 4) makes 512 in a batch, that is 11 KiB; and a chain of
 * certificates.
 */
#define GATHER_SPARE_BYTES (64 * KIB)

int tls_socket_init(struct tls_socket *s, int fd)
{
    *s = (struct tls_socket){.fd = fd};
    s->gather.len_bytes = TLS_SOCKET_BATCH_BYTES + GATHER_SPARE_BYTES;
    s->gather.at = malloc(s->gather.len_bytes);
    if (s->gather.at == NULL) {
        tls_socket_done(s);
        return -1;
    }
    return 0;
}

void tls_socket_done(struct tls_socket *s)
{
    if (s->fd >= 0) {
        (void)close(s->fd); /* the kernel goes on sending what it has taken */
    }
    free(s->gather.at);
    *s = (struct tls_socket){.fd = -1};
}

int tls_socket_flush(struct tls_socket *s)
{
    assert(s->sent_bytes <= s->filled_bytes && s->filled_bytes <= s->gather.len_bytes);
    while (!tls_socket_is_flushed(s)) {
        ssize_t put = send(s->fd, s->gather.at + s->sent_bytes, s->filled_bytes - s->sent_bytes,
                           MSG_NOSIGNAL);
        if (put >= 0) {
            s->sent_bytes += (size_t)put;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        } else if (errno != EINTR) {
            s->send_errnum = errno;
            return -1;
        }
    }
    s->sent_bytes = 0;
    s->filled_bytes = 0;
    return 1;
}

static int socket_write(BIO *bio, const char *bytes, size_t len_bytes, size_t *out_put_bytes)
{
    struct tls_socket *s = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (len_bytes > s->gather.len_bytes - s->filled_bytes) {
        int flushed = tls_socket_flush(s);
        if (flushed < 0) {
            return 0;
        }
        if (len_bytes > s->gather.len_bytes - s->filled_bytes) {
            BIO_set_retry_write(bio); /* only a peer that asks much and reads nothing gets here */
            return 0;
        }
    }
    memcpy(s->gather.at + s->filled_bytes, bytes, len_bytes);
    s->filled_bytes += len_bytes;
    *out_put_bytes = len_bytes;
    return 1;
}

static int socket_read(BIO *bio, char *into, size_t size_bytes, size_t *out_got_bytes)
{
    struct tls_socket *s = BIO_get_data(bio);
    ssize_t got;

    BIO_clear_retry_flags(bio);
    do {
        got = recv(s->fd, into, size_bytes, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        *out_got_bytes = (size_t)got;
        return 1;
    }
    if (got == 0) {
        s->has_ended = true;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        BIO_set_retry_read(bio);
    } else {
        s->recv_errnum = errno;
    }
    return 0;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_socket *s = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1; /* link_tls.c flushes after each call into OpenSSL */
    case BIO_CTRL_EOF:
        return s->has_ended ? 1 : 0;
    default:
        return 0; /* 0 is "no", "none" or "not supported" for all others */
    }
}

static int socket_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *socket_method; /* made once, never freed: links may be open to the very end */
static CRYPTO_ONCE socket_method_once = CRYPTO_ONCE_STATIC_INIT;

static void make_socket_method(void)
{
    BIO_METHOD *method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gathering socket");

    if (method != NULL && BIO_meth_set_write_ex(method, socket_write) == 1 &&
        BIO_meth_set_read_ex(method, socket_read) == 1 &&
        BIO_meth_set_ctrl(method, socket_control) == 1 &&
        BIO_meth_set_create(method, socket_create) == 1) {
        socket_method = method;
        return;
    }
    BIO_meth_free(method);
}

BIO *tls_socket_bio(struct tls_socket *s)
{
    if (CRYPTO_THREAD_run_once(&socket_method_once, make_socket_method) != 1 ||
        socket_method == NULL) {
        return NULL;
    }
    BIO *bio = BIO_new(socket_method);
    if (bio != NULL) {
        BIO_set_data(bio, s);
    }
    return bio;
}
