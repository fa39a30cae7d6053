/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http_tls.c - the certificate that we show, and the one that a client may show.
 *
 * GnuTLS borrows what http_tls_retrieve() gives until a handshake ends, and does not say when: so a
 * certificate that was replaced is kept until the end. There are as many as there were reloads that
 * brought another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/http_internal.h"

struct tls_certificate {
    gnutls_pcert_st chain[HTTP_CERTIFICATES_MAX];
    unsigned int count;
    gnutls_privkey_t key;
    struct tls_certificate *older;
};

/* libmicrohttpd gives a certificate's callback no context, so there is one for the process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tls_certificate *shown;

/* --- files ----------------------------------------------------------------------------------- */

static int read_file(const char *path, const char *what, gnutls_datum_t *out, struct error *err)
{
    int refused = gnutls_load_file(path, out);

    if (refused < 0) {
        return fail(err, ERR_IO, errno, "cannot read the %s '%.512s'", what, path);
    }
    return 0;
}

static int read_chain(struct tls_certificate *certificate, const char *path,
                      const gnutls_datum_t *text, struct error *err)
{
    unsigned int count = HTTP_CERTIFICATES_MAX;
    int refused =
        gnutls_pcert_list_import_x509_raw(certificate->chain, &count, text, GNUTLS_X509_FMT_PEM, 0);

    if (refused < 0) {
        return fail(err, ERR_USAGE, 0, "'%.512s' has no certificate (PEM) that can be used: %s",
                    path, gnutls_strerror(refused));
    }
    certificate->count = count;
    return 0;
}

static int read_key(struct tls_certificate *certificate, const char *path,
                    const gnutls_datum_t *text, struct error *err)
{
    int refused = gnutls_privkey_init(&certificate->key);

    if (refused < 0) {
        certificate->key = NULL;
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a key");
    }
    refused = gnutls_privkey_import_x509_raw(certificate->key, text, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (refused < 0) {
        return fail(err, ERR_USAGE, 0,
                    "'%.512s' has no private key (PEM, without a password) that can be used: %s",
                    path, gnutls_strerror(refused));
    }
    return 0;
}

/* A key of another certificate would fail in every handshake. */
static int check_pair(const struct tls_certificate *certificate, const char *certificate_path,
                      const char *key_path, struct error *err)
{
    gnutls_pubkey_t key = NULL;
    uint8_t ids[2][FINGERPRINT_BYTES];
    size_t lens[2] = {FINGERPRINT_BYTES, FINGERPRINT_BYTES};

    if (gnutls_pubkey_init(&key) < 0) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a key");
    }
    bool is_pair = gnutls_pubkey_import_privkey(key, certificate->key, 0, 0) >= 0 &&
                   gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, ids[0], &lens[0]) >= 0 &&
                   gnutls_pubkey_get_key_id(certificate->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256,
                                            ids[1], &lens[1]) >= 0 &&
                   lens[0] == lens[1] && memcmp(ids[0], ids[1], lens[0]) == 0;
    gnutls_pubkey_deinit(key);
    return is_pair ? 0
                   : fail(err, ERR_USAGE, 0,
                          "the key '%.512s' is not that of the certificate "
                          "'%.512s'",
                          key_path, certificate_path);
}

static int fill(struct tls_certificate *certificate, const char *certificate_path,
                const char *key_path, struct error *err)
{
    gnutls_datum_t text = {0};

    if (read_file(certificate_path, "certificate", &text, err) < 0) {
        return -1;
    }
    int result = read_chain(certificate, certificate_path, &text, err);
    gnutls_free(text.data);
    if (result < 0 || read_file(key_path, "key", &text, err) < 0) {
        return -1;
    }
    result = read_key(certificate, key_path, &text, err);
    explicit_bzero(text.data, text.size);
    gnutls_free(text.data);
    return result < 0 ? -1 : check_pair(certificate, certificate_path, key_path, err);
}

int http_tls_load(const char *certificate_path, const char *key_path, struct tls_certificate **out,
                  struct error *err)
{
    struct tls_certificate *certificate = calloc(1, sizeof *certificate);

    if (certificate == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a certificate");
    }
    if (fill(certificate, certificate_path, key_path, err) < 0) {
        http_tls_free(certificate);
        return -1;
    }
    *out = certificate;
    return 0;
}

void http_tls_free(struct tls_certificate *certificate)
{
    if (certificate == NULL) {
        return;
    }
    for (unsigned int i = 0; i < certificate->count; i++) {
        gnutls_pcert_deinit(&certificate->chain[i]);
    }
    if (certificate->key != NULL) {
        gnutls_privkey_deinit(certificate->key);
    }
    free(certificate);
}

/* --- what is shown --------------------------------------------------------------------------- */

static bool is_same(const struct tls_certificate *a, const struct tls_certificate *b)
{
    if (b == NULL || a->count != b->count) {
        return false;
    }
    for (unsigned int i = 0; i < a->count; i++) {
        const gnutls_datum_t *one = &a->chain[i].cert;
        const gnutls_datum_t *other = &b->chain[i].cert;
        if (one->size != other->size || memcmp(one->data, other->data, one->size) != 0) {
            return false;
        }
    }
    return true;
}

void http_tls_use(struct tls_certificate *certificate)
{
    (void)pthread_mutex_lock(&lock);
    if (is_same(certificate, shown)) {
        http_tls_free(certificate);
    } else {
        certificate->older = shown;
        shown = certificate;
    }
    (void)pthread_mutex_unlock(&lock);
}

void http_tls_forget(void)
{
    (void)pthread_mutex_lock(&lock);
    while (shown != NULL) {
        struct tls_certificate *older = shown->older;
        http_tls_free(shown);
        shown = older;
    }
    (void)pthread_mutex_unlock(&lock);
}

int http_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
                      const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                      gnutls_pcert_st **out_chain, unsigned int *out_chain_count,
                      gnutls_privkey_t *out_key)
{
    (void)names;
    (void)name_count;
    (void)algorithms;
    (void)algorithm_count;
    /* Asked for, not required, and without names of authorities: any may have issued it, because
     * its fingerprint alone counts. */
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
    (void)pthread_mutex_lock(&lock);
    struct tls_certificate *certificate = shown;
    (void)pthread_mutex_unlock(&lock);
    if (certificate == NULL) {
        return -1;
    }
    *out_chain = certificate->chain;
    *out_chain_count = certificate->count;
    *out_key = certificate->key;
    return 0;
}

/* --- what is seen ---------------------------------------------------------------------------- */

void http_tls_fingerprint(gnutls_session_t session, char out[FINGERPRINT_TEXT_MAX])
{
    unsigned int count = 0;
    uint8_t bytes[FINGERPRINT_BYTES];

    out[0] = '\0';
    /* A resumed session has the certificate of another handshake: nothing was proved in this. */
    if (session == NULL || gnutls_session_is_resumed(session) != 0 ||
        gnutls_certificate_type_get2(session, GNUTLS_CTYPE_CLIENT) != GNUTLS_CRT_X509) {
        return;
    }
    const gnutls_datum_t *peers = gnutls_certificate_get_peers(session, &count);
    if (peers == NULL || count == 0 ||
        gnutls_hash_fast(GNUTLS_DIG_SHA256, peers[0].data, peers[0].size, bytes) < 0) {
        return;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}
