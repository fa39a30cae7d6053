/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tlsmover - what one TLS 1.3 stream carries on this machine: the limit that a synchronization over
 * TLS is measured against. Two processes, loopback TCP, AES-128-GCM, nothing but moving bytes.
 *
 *   tlsmover SIZE      prints {"bytes":N,"seconds":S}, from the end of the handshake to the last
 * byte
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/number.h"

#define PIECE_BYTES (256 * KIB)

static double now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int fail_ssl(struct error *err, const char *what)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    return fail(err, ERR_INTERNAL, 0, "cannot %s: %s", what, text);
}

/* A key and a certificate of its own, for this run only. */
MUST_CHECK static int use_new_certificate(SSL_CTX *ctx, struct error *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    int ok =
        key != NULL && certificate != NULL && X509_set_version(certificate, 2) == 1 &&
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), -60) != NULL &&
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) != NULL &&
        X509_set_pubkey(certificate, key) == 1 && X509_sign(certificate, key, EVP_sha256()) > 0 &&
        SSL_CTX_use_certificate(ctx, certificate) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ok ? 0 : fail_ssl(err, "make a certificate");
}

MUST_CHECK static int context_new(const SSL_METHOD *method, SSL_CTX **out, struct error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1) {
        SSL_CTX_free(ctx);
        return fail_ssl(err, "set up TLS 1.3");
    }
    /* Many records from one read of the socket: without it each record costs two. */
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, PIECE_BYTES);
    *out = ctx;
    return 0;
}

/* A TLS connection over `fd` on a context of ours; the caller frees both. */
struct stream {
    SSL_CTX *ctx; /* owned */
    SSL *ssl;     /* owned */
};

static void stream_done(struct stream *stream)
{
    SSL_free(stream->ssl);
    SSL_CTX_free(stream->ctx);
    *stream = (struct stream){0};
}

MUST_CHECK static int stream_open(int fd, bool is_server, struct stream *out, struct error *err)
{
    struct stream stream = {0};
    int result =
        context_new(is_server ? TLS_server_method() : TLS_client_method(), &stream.ctx, err);
    if (result == 0 && is_server) {
        result = use_new_certificate(stream.ctx, err);
    }
    if (result == 0) {
        stream.ssl = SSL_new(stream.ctx);
        if (stream.ssl == NULL || SSL_set_fd(stream.ssl, fd) != 1 ||
            (is_server ? SSL_accept(stream.ssl) : SSL_connect(stream.ssl)) != 1) {
            result = fail_ssl(err, "shake hands");
        }
    }
    if (result < 0) {
        stream_done(&stream);
        return -1;
    }
    *out = stream;
    return 0;
}

/* The far end: takes bytes until there are no more, then answers with one byte. */
MUST_CHECK static int receive_all(struct stream *stream, uint64_t total_bytes, struct error *err)
{
    static char buffer[PIECE_BYTES];
    for (uint64_t done = 0; done < total_bytes;) {
        int n = SSL_read(stream->ssl, buffer, (int)sizeof buffer);
        if (n <= 0) {
            return fail_ssl(err, "receive");
        }
        done += (uint64_t)n;
    }
    return SSL_write(stream->ssl, buffer, 1) == 1 ? 0 : fail_ssl(err, "answer");
}

MUST_CHECK static int send_all(struct stream *stream, uint64_t total_bytes, struct error *err)
{
    static char buffer[PIECE_BYTES];
    for (uint64_t done = 0; done < total_bytes;) {
        uint64_t left = total_bytes - done;
        int n = SSL_write(stream->ssl, buffer, (int)(left < PIECE_BYTES ? left : PIECE_BYTES));
        if (n <= 0) {
            return fail_ssl(err, "send");
        }
        done += (uint64_t)n;
    }
    return SSL_read(stream->ssl, buffer, 1) == 1 ? 0 : fail_ssl(err, "hear that all arrived");
}

MUST_CHECK static int listen_on_loopback(int *out_fd, struct sockaddr_in *address,
                                         struct error *err)
{
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len_bytes = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, len_bytes) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &len_bytes) != 0) {
        int errnum = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return fail(err, ERR_IO, errnum, "cannot listen on loopback");
    }
    *out_fd = fd;
    return 0;
}

MUST_CHECK static int run_receiver(int listen_fd, uint64_t total_bytes, struct error *err)
{
    struct stream stream = {0};
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        return fail(err, ERR_IO, errno, "cannot accept");
    }
    int result = stream_open(fd, true, &stream, err);
    if (result == 0) {
        result = receive_all(&stream, total_bytes, err);
    }
    stream_done(&stream);
    (void)close(fd); /* everything was acknowledged by then */
    return result;
}

MUST_CHECK static int run_sender(const struct sockaddr_in *address, uint64_t total_bytes,
                                 double *out_seconds, struct error *err)
{
    struct stream stream = {0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fail(err, ERR_IO, errno, "cannot make a socket");
    }
    int result = 0;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        result = fail(err, ERR_IO, errno, "cannot connect on loopback");
    }
    if (result == 0) {
        result = stream_open(fd, false, &stream, err);
    }
    double start = now_seconds();
    if (result == 0) {
        result = send_all(&stream, total_bytes, err);
    }
    *out_seconds = now_seconds() - start;
    stream_done(&stream);
    (void)close(fd); /* everything was acknowledged by then */
    return result;
}

MUST_CHECK static int move(uint64_t total_bytes, double *out_seconds, struct error *err)
{
    struct sockaddr_in address;
    int listen_fd = -1;
    if (listen_on_loopback(&listen_fd, &address, err) < 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid < 0) {
        int errnum = errno;
        (void)close(listen_fd);
        return fail(err, ERR_LIMIT, errnum, "cannot start a second process");
    }
    if (pid == 0) {
        if (run_receiver(listen_fd, total_bytes, err) < 0) {
            (void)fprintf(stderr, "tlsmover: receiver: %s\n", err->message);
            _exit(1);
        }
        _exit(0);
    }
    (void)close(listen_fd); /* the receiver has it; if that dies, connecting fails */
    int result = run_sender(&address, total_bytes, out_seconds, err);
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        return result < 0 ? result : fail(err, ERR_PEER, 0, "the receiver failed");
    }
    return result;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    uint64_t total_bytes = 0;
    double seconds = 0;

    if (argc != 2 || number_parse_size(argv[1], &total_bytes, &err) < 0) {
        (void)fprintf(stderr, "usage: tlsmover SIZE\n");
        return 2;
    }
    if (move(total_bytes, &seconds, &err) < 0) {
        (void)fprintf(stderr, "tlsmover: %s\n", err.message);
        return 1;
    }
    printf("{\"bytes\":%llu,\"seconds\":%.6f}\n", (unsigned long long)total_bytes, seconds);
    return 0;
}
