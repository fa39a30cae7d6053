/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/tls_context.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/tls_pin.h"
#include "wire/tls_refusal.h"
#include "wire/tls_socket.h"

/* The fastest first: 1.5 x AES-256 and 2 x ChaCha20 on processors with AES instructions; the
 * server's order counts. */
#define CIPHERS "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* Longest chain below a trusted signer that is looked at: two intermediate authorities are usual.
 */
#define CHAIN_MAX 8

/* Opens one of the files for reading; what is its role, for messages. Returns the descriptor.
 */
static int open_file(const char *what, const char *path, struct stat *status, struct error *err)
{
    if (path == NULL || path[0] == '\0') {
        return fail(
            err, ERR_USAGE, 0,
            "no %s was named: TLS needs a certificate, its key and the CA of the other side", what);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return fail(err, ERR_USAGE, errno, "cannot open the %s %s (name a PEM file that exists)",
                    what, path);
    }
    if (fstat(fd, status) < 0 || !S_ISREG(status->st_mode)) {
        (void)close(fd);
        return fail(err, ERR_USAGE, 0, "the %s %s is not a file: name a PEM file", what, path);
    }
    return fd;
}

static int check_file(const char *what, const char *path, struct error *err)
{
    struct stat status;
    int fd = open_file(what, path, &status, err);

    if (fd < 0) {
        return -1;
    }
    (void)close(fd);
    return 0;
}

/* OpenSSL would ask on the terminal; a service has none. */
static int no_passphrase(char *buffer, int size, int is_writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)is_writing;
    (void)context;
    return -1;
}

static EVP_PKEY *read_key(int fd)
{
    BIO *file = BIO_new_fd(fd, BIO_NOCLOSE);
    EVP_PKEY *key = NULL;

    if (file != NULL) {
        key = PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL);
        BIO_free(file);
    }
    return key;
}

static int fail_key(const char *path, struct error *err)
{
    unsigned long reason = ERR_peek_last_error();

    if (ERR_GET_REASON(reason) == PEM_R_BAD_PASSWORD_READ ||
        ERR_GET_REASON(reason) == ERR_R_INTERRUPTED_OR_CANCELLED) {
        return fail(err, ERR_USAGE, 0,
                    "the private key %s is locked by a passphrase: write one without (openssl pkey "
                    "-in OLD -out NEW)",
                    path);
    }
    return fail(err, ERR_USAGE, 0,
                "%s holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)", path);
}

/* The descriptor that was checked is the one that is read, so nobody can swap the file in between.
 */
static int load_key(SSL_CTX *rules, const char *path, const char *cert_path, struct error *err)
{
    struct stat status;
    int fd = open_file("private key", path, &status, err);

    if (fd < 0) {
        return -1;
    }
    if ((status.st_mode & 077) != 0) {
        (void)close(fd);
        return fail(
            err, ERR_USAGE, 0,
            "others may read the private key %s (mode %04o): chmod 600 it, and if they could, "
            "make a new one",
            path, (unsigned)(status.st_mode & 07777));
    }
    ERR_clear_error();
    EVP_PKEY *key = read_key(fd);
    (void)close(fd);
    if (key == NULL) {
        return fail_key(path, err);
    }
    bool fits = X509_check_private_key(SSL_CTX_get0_certificate(rules), key) == 1;
    bool is_taken = fits && SSL_CTX_use_PrivateKey(rules, key) == 1;
    EVP_PKEY_free(key);
    if (!fits) {
        return fail(err, ERR_USAGE, 0,
                    "the private key %s does not belong to the certificate %s: name the pair that "
                    "was made together",
                    path, cert_path);
    }
    if (!is_taken) {
        return fail(err, ERR_USAGE, 0, "the private key %s cannot be used: %s", path,
                    tls_refusal_reason());
    }
    return 0;
}

/* What the other side would refuse anyway is said here, where the file's name is known. */
static int check_certificate(X509 *cert, const char *path, bool is_server, struct error *err)
{
    char date[TLS_DATE_MAX];

    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
        tls_refusal_date(X509_get0_notAfter(cert), date);
        return fail(err, ERR_USAGE, 0, "the certificate %s expired on %s: renew it", path, date);
    }
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
        tls_refusal_date(X509_get0_notBefore(cert), date);
        return fail(err, ERR_USAGE, 0,
                    "the certificate %s is not valid before %s: wait, or set this host's clock",
                    path, date);
    }
    int purpose = is_server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
    if (X509_check_purpose(cert, purpose, 0) != 1) {
        return fail(err, ERR_USAGE, 0,
                    "the certificate %s was made for another purpose: here it must allow %s in its "
                    "extended key usage",
                    path, is_server ? "serverAuth" : "clientAuth");
    }
    return 0;
}

static int load_certificate(SSL_CTX *rules, const char *path, struct error *err)
{
    if (check_file("certificate", path, err) < 0) {
        return -1;
    }
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(rules, path) != 1) {
        unsigned long reason = ERR_peek_last_error();
        if (ERR_GET_LIB(reason) == ERR_LIB_SSL && ERR_GET_REASON(reason) != ERR_R_PEM_LIB) {
            return fail(err, ERR_USAGE, 0, "the certificate %s cannot be used: %s", path,
                        tls_refusal_reason());
        }
        return fail(err, ERR_USAGE, 0,
                    "%s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", path);
    }
    return 0;
}

static int load_ca(SSL_CTX *rules, const char *path, struct error *err)
{
    if (check_file("CA file", path, err) < 0) {
        return -1;
    }
    ERR_clear_error();
    if (SSL_CTX_load_verify_file(rules, path) != 1) {
        return fail(err, ERR_USAGE, 0,
                    "the CA file %s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
                    path);
    }
    return 0;
}

/*
 * What both sides demand of TLS. Everything that a machine's openssl.cnf could have loosened is set
 * again.
 */
static int set_rules(SSL_CTX *rules, struct error *err)
{
    if (SSL_CTX_set_min_proto_version(rules, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(rules, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(rules, CIPHERS) != 1 || SSL_CTX_set_num_tickets(rules, 0) != 1 ||
        SSL_CTX_set_max_early_data(rules, 0) != 1) {
        return fail(err, ERR_INTERNAL, 0, "OpenSSL refuses our rules for TLS: %s",
                    tls_refusal_reason());
    }
    if (SSL_CTX_get_security_level(rules) < 2) {
        SSL_CTX_set_security_level(rules, 2); /* 112 bits: RSA from 2048 */
    }
    /* A stream that ends without TLS's own end has been cut, perhaps by an attacker. */
    (void)SSL_CTX_clear_options(rules, SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_options(rules, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                         SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_session_cache_mode(rules, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_clear_mode(rules, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_mode(rules,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(rules, 1);
    SSL_CTX_set_default_read_buffer_len(rules, TLS_SOCKET_READ_BYTES);
    SSL_CTX_set_verify_depth(rules, CHAIN_MAX);
    SSL_CTX_set_verify(rules, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       tls_refusal_on_verify);
    return 0;
}

/* Our certificate and key, and all rules but who may be at the other end. */
static int fill_context(struct tls_context *context, const char *cert, const char *key,
                        bool is_server, struct error *err)
{
    context->is_server = is_server;
    context->handshake_timeout_ns = HANDSHAKE_TIMEOUT_S * NS_PER_S;
    context->rekey_after_bytes = TLS_REKEY_BYTES;
    context->rules = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (context->rules == NULL) {
        return fail(err, ERR_LIMIT, 0, "OpenSSL does not start: %s", tls_refusal_reason());
    }
    if (set_rules(context->rules, err) < 0 || load_certificate(context->rules, cert, err) < 0) {
        return -1;
    }
    return load_key(context->rules, key, cert, err);
}

/* The peer must be whom this authority signed. */
static int fill_ca(struct tls_context *context, const struct tls_files *files, bool is_server,
                   struct error *err)
{
    if (fill_context(context, files->cert, files->key, is_server, err) < 0 ||
        check_certificate(SSL_CTX_get0_certificate(context->rules), files->cert, is_server, err) <
            0 ||
        load_ca(context->rules, files->ca, err) < 0) {
        return -1;
    }
    (void)snprintf(context->ca_path, sizeof context->ca_path, "%s", files->ca);
    return 0;
}

int tls_context_new(const struct tls_files *files, bool is_server, struct tls_context **out,
                    struct error *err)
{
    struct tls_context *context = calloc(1, sizeof *context);

    if (context == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot keep the TLS settings");
    }
    if (fill_ca(context, files, is_server, err) < 0) {
        tls_context_free(context);
        return -1;
    }
    *out = context;
    return 0;
}

/* The peer must be whom its certificate's fingerprint says; the caller compares. */
static void fill_pinned(struct tls_context *context, const char *const *protocols,
                        size_t protocol_count)
{
    context->is_pinned = true;
    for (size_t i = 0; i < protocol_count; i++) {
        size_t len_bytes = strlen(protocols[i]);
        assert(len_bytes > 0 && len_bytes < LINK_PROTOCOL_MAX);
        assert(context->protocols_len + 1 + len_bytes <= sizeof context->protocols);
        context->protocols[context->protocols_len++] = (uint8_t)len_bytes;
        memcpy(context->protocols + context->protocols_len, protocols[i], len_bytes);
        context->protocols_len += len_bytes;
    }
    tls_pin_set_rules(context);
}

int tls_context_new_pinned(const char *cert, const char *key, bool is_server,
                           const char *const *protocols, size_t protocol_count,
                           struct tls_context **out, struct error *err)
{
    struct tls_context *context = calloc(1, sizeof *context);

    assert(is_server == (protocol_count > 0));
    if (context == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot keep the TLS settings");
    }
    if (fill_context(context, cert, key, is_server, err) < 0) {
        tls_context_free(context);
        return -1;
    }
    fill_pinned(context, protocols, protocol_count);
    *out = context;
    return 0;
}

void tls_context_free(struct tls_context *context)
{
    if (context != NULL) {
        SSL_CTX_free(context->rules);
        free(context);
    }
}
