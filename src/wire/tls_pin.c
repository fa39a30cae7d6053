/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/tls_pin.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

/* Of a peer's public key: 2048 bits of RSA, or the curves from P-224. */
#define KEY_STRENGTH_MIN 112

static bool fingerprint_of(const X509 *cert, uint8_t out[FINGERPRINT_BYTES])
{
    unsigned int len_bytes = 0;

    return X509_digest(cert, EVP_sha256(), out, &len_bytes) == 1 && len_bytes == FINGERPRINT_BYTES;
}

static int judge(const X509 *cert, struct tls_refusal *r)
{
    EVP_PKEY *key = cert == NULL ? NULL : X509_get0_pubkey(cert);

    if (key == NULL || !fingerprint_of(cert, r->fingerprint)) {
        return X509_V_ERR_UNSPECIFIED;
    }
    if (EVP_PKEY_get_security_bits(key) < KEY_STRENGTH_MIN) {
        return X509_V_ERR_EE_KEY_TOO_SMALL;
    }
    if (r->wanted_fingerprint != NULL &&
        CRYPTO_memcmp(r->fingerprint, r->wanted_fingerprint, FINGERPRINT_BYTES) != 0) {
        return X509_V_ERR_APPLICATION_VERIFICATION;
    }
    return X509_V_OK;
}

/* In place of OpenSSL's check of chains: there are none. That the peer has the key, TLS itself
 * demands (RFC 8446, 4.4.3). */
static int on_certificate(X509_STORE_CTX *store, void *context)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_refusal *r = SSL_get_app_data(ssl);

    (void)context;
    r->code = judge(X509_STORE_CTX_get0_cert(store), r);
    X509_STORE_CTX_set_error(store, r->code);
    return r->code == X509_V_OK ? 1 : 0;
}

/* A server: the first of our protocols that the client offers, else no handshake. */
static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                        const unsigned char *offered, unsigned int offered_len, void *argument)
{
    const struct tls_context *context = argument;
    unsigned char *chosen = NULL;

    (void)ssl;
    int result = SSL_select_next_proto(&chosen, out_len, context->protocols,
                                       (unsigned int)context->protocols_len, offered, offered_len);
    if (result != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

void tls_pin_set_rules(struct tls_context *context)
{
    assert(context->is_pinned);
    SSL_CTX_set_cert_verify_callback(context->rules, on_certificate, NULL);
    SSL_CTX_set_max_cert_list(context->rules, PEER_CERTIFICATE_MAX);
    if (context->is_server) {
        SSL_CTX_set_alpn_select_cb(context->rules, on_protocols, context);
    }
}

int tls_pin_ask(SSL *ssl, const char *protocol)
{
    unsigned char offer[1 + LINK_PROTOCOL_MAX];
    size_t len_bytes = strlen(protocol);

    assert(len_bytes > 0 && len_bytes < LINK_PROTOCOL_MAX);
    offer[0] = (unsigned char)len_bytes;
    memcpy(offer + 1, protocol, len_bytes);
    /* This one gives 0 for success. */
    return SSL_set_alpn_protos(ssl, offer, (unsigned int)len_bytes + 1) == 0 ? 0 : -1;
}

int tls_pin_finish(SSL *ssl, struct link *link, struct error *err)
{
    const unsigned char *protocol = NULL;
    unsigned int len_bytes = 0;

    SSL_get0_alpn_selected(ssl, &protocol, &len_bytes);
    if (len_bytes == 0 || len_bytes >= sizeof link->protocol) {
        return fail(err, ERR_PEER, 0,
                    "%s: refused: it speaks TLS, but none of our protocols: is it a resilverd, and "
                    "the right port?",
                    link->peer);
    }
    if (!fingerprint_of(SSL_get0_peer_certificate(ssl), link->fingerprint)) {
        return fail(err, ERR_LIMIT, 0, "%s: no fingerprint of its certificate can be made: %s",
                    link->peer, tls_refusal_reason());
    }
    memcpy(link->protocol, protocol, len_bytes);
    link->protocol[len_bytes] = '\0';
    link->has_fingerprint = true;
    return 0;
}

static void format(const uint8_t fingerprint[FINGERPRINT_BYTES], char out[FINGERPRINT_TEXT_MAX])
{
    for (size_t i = 0; i < FINGERPRINT_BYTES; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", fingerprint[i]);
    }
}

int tls_pin_refuse(const struct tls_refusal *r, const char *peer, struct error *err)
{
    char found[FINGERPRINT_TEXT_MAX];
    char wanted[FINGERPRINT_TEXT_MAX];

    if (r->code != X509_V_ERR_APPLICATION_VERIFICATION) {
        return fail(err, ERR_PEER, 0, "%s: its certificate is refused: %s", peer,
                    X509_verify_cert_error_string(r->code));
    }
    assert(r->wanted_fingerprint != NULL);
    format(r->fingerprint, found);
    format(r->wanted_fingerprint, wanted);
    return fail(err, ERR_PEER, 0,
                "%s: another host answers there, or it was set up anew: its certificate has the "
                "fingerprint %s, and the paired host's is %s (if that is right, pair both hosts "
                "again)",
                peer, found, wanted);
}
