/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * identity.c - both files are made in a folder aside, which is renamed when they are durable: after
 * a kill at any moment there are both or neither.
 */
#include "peer/identity.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "points/durable.h"

#define VALID_DAYS (20L * 365L)
#define DAY_S 86400L
#define PEM_MAX CERTIFICATE_TEXT_MAX /* either file: ours have below 1 KiB */
#define COMMON_NAME_MAX 64 /* X.520's ub-common-name; the alternative name bears all of it */
#define ALT_NAME_MAX 253   /* what DNS allows */
#define SERIAL_BITS 127    /* positive, as RFC 5280 4.1.2.2 has it */

static void key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void cert_free(X509 **cert)
{
    X509_free(*cert);
}

static void bio_free(BIO **bio)
{
    BIO_free_all(*bio);
}

static int fail_openssl(const char *doing, struct error *err)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return fail(err, ERR_LIMIT, 0, "OpenSSL cannot %s: %s", doing, why == NULL ? "?" : why);
}

/* --- making ---------------------------------------------------------------------------------- */

static bool set_serial(X509 *cert)
{
    BIGNUM *number = BN_new();
    bool is_set = number != NULL &&
                  BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;

    BN_free(number);
    return is_set;
}

static bool is_dns_name(const char *name)
{
    size_t len_bytes = strlen(name);

    for (size_t i = 0; i < len_bytes; i++) {
        if (name[i] <= ' ' || name[i] >= 0x7f) {
            return false;
        }
    }
    return len_bytes > 0 && len_bytes <= ALT_NAME_MAX;
}

/* Built by hand and not from a text, in which a comma of the name would begin another one. */
static bool add_alt_name(X509 *cert, const char *host_name)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    bool is_added = false;

    if (names != NULL && name != NULL && text != NULL &&
        ASN1_STRING_set(text, host_name, -1) == 1) {
        GENERAL_NAME_set0_value(name, GEN_DNS, text);
        text = NULL; /* the name's now */
        if (sk_GENERAL_NAME_push(names, name) > 0) {
            name = NULL; /* the list's now */
            is_added = X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1;
        }
    }
    ASN1_IA5STRING_free(text);
    GENERAL_NAME_free(name);
    GENERAL_NAMES_free(names);
    return is_added;
}

static X509 *make_cert(EVP_PKEY *key, const char *host_name)
{
    X509 *cert = X509_new();
    char common[COMMON_NAME_MAX + 1];

    (void)snprintf(common, sizeof common, "%.*s", COMMON_NAME_MAX,
                   is_dns_name(host_name) ? host_name : "resilver");
    if (cert == NULL || X509_set_version(cert, X509_VERSION_3) != 1 || !set_serial(cert) ||
        X509_gmtime_adj(X509_getm_notBefore(cert), -DAY_S) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(cert), VALID_DAYS * DAY_S) == NULL ||
        X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName, MBSTRING_ASC,
                                   (const unsigned char *)common, -1, -1, 0) != 1 ||
        X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
        X509_set_pubkey(cert, key) != 1 ||
        (is_dns_name(host_name) && !add_alt_name(cert, host_name)) ||
        X509_sign(cert, key, EVP_sha256()) <= 0) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

static int write_bio(BIO *bio, const char *path, struct error *err)
{
    char *at = NULL;
    long len_bytes = BIO_get_mem_data(bio, &at);

    if (len_bytes <= 0) {
        return fail(err, ERR_LIMIT, 0, "nothing to write to %s", path);
    }
    return durable_write(path, (struct const_span){(const uint8_t *)at, (size_t)len_bytes}, err);
}

static int write_pair(EVP_PKEY *key, X509 *cert, const char *folder, struct error *err)
{
    CLEANUP(bio_free) BIO *key_pem = BIO_new(BIO_s_secmem());
    CLEANUP(bio_free) BIO *cert_pem = BIO_new(BIO_s_mem());
    char path[PATH_TEXT_MAX + 16];

    if (key_pem == NULL || cert_pem == NULL ||
        PEM_write_bio_PKCS8PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL) != 1 ||
        PEM_write_bio_X509(cert_pem, cert) != 1) {
        return fail_openssl("write this host's key", err);
    }
    (void)snprintf(path, sizeof path, "%s/key.pem", folder);
    if (write_bio(key_pem, path, err) < 0) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/cert.pem", folder);
    return write_bio(cert_pem, path, err);
}

static int make(const char *folder, const char *host_name, struct error *err)
{
    char aside[PATH_TEXT_MAX];
    CLEANUP(key_free) EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP(cert_free) X509 *cert = key == NULL ? NULL : make_cert(key, host_name);

    if (cert == NULL) {
        return fail_openssl("make this host's certificate", err);
    }
    if (snprintf(aside, sizeof aside, "%s.new", folder) >= (int)sizeof aside) {
        return fail(err, ERR_USAGE, 0, "%s: the path is too long", folder);
    }
    if (durable_make_dir(aside, err) < 0 || write_pair(key, cert, aside, err) < 0) {
        return -1;
    }
    return durable_rename(aside, folder, err);
}

/* --- reading --------------------------------------------------------------------------------- */

/* NULL with err when the file holds no such thing. */
static BIO *read_pem(const char *path, struct span buffer, struct error *err)
{
    size_t len_bytes = 0;
    bool exists = false;

    if (durable_read(path, buffer, &len_bytes, &exists, err) < 0) {
        return NULL;
    }
    BIO *bio = exists ? BIO_new_mem_buf(buffer.at, (int)len_bytes) : NULL;
    if (bio == NULL) {
        (void)fail(err, ERR_WRONG_STATE, 0, "%s went away while it was read", path);
    }
    return bio;
}

static int check_mode(const char *path, struct error *err)
{
    struct stat status;

    if (stat(path, &status) < 0) {
        return fail(err, ERR_IO, errno, "cannot look at %s", path);
    }
    if ((status.st_mode & 077) != 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "others may read this host's key %s (mode %04o): chmod 600 it, and if they "
                    "could, remove both files there and pair this host anew",
                    path, (unsigned)(status.st_mode & 07777));
    }
    return 0;
}

/* The certificate as others show and compare it. */
static int keep_certificate(X509 *cert, struct identity *identity, struct error *err)
{
    unsigned int digest_bytes = 0;
    unsigned char *der = NULL;
    int der_bytes = i2d_X509(cert, &der);

    /* EVP_EncodeBlock() writes four characters for each three bytes begun, and a NUL. */
    bool fits = der_bytes > 0 && ((size_t)der_bytes + 2) / 3 * 4 < sizeof identity->certificate;
    if (fits) {
        (void)EVP_EncodeBlock((unsigned char *)identity->certificate, der, der_bytes);
    }
    OPENSSL_free(der);
    if (!fits || X509_digest(cert, EVP_sha256(), identity->fingerprint, &digest_bytes) != 1) {
        return fail_openssl("make a fingerprint", err);
    }
    return 0;
}

static int load(struct identity *identity, struct error *err)
{
    uint8_t key_bytes[PEM_MAX];
    uint8_t cert_bytes[PEM_MAX];

    CLEANUP(bio_free)
    BIO *cert_pem =
        read_pem(identity->cert_path, (struct span){cert_bytes, sizeof cert_bytes}, err);
    if (cert_pem == NULL || check_mode(identity->key_path, err) < 0) {
        return -1;
    }
    CLEANUP(bio_free)
    BIO *key_pem = read_pem(identity->key_path, (struct span){key_bytes, sizeof key_bytes}, err);
    if (key_pem == NULL) {
        return -1;
    }
    CLEANUP(cert_free) X509 *cert = PEM_read_bio_X509(cert_pem, NULL, NULL, NULL);
    /* An empty passphrase, so that nothing is asked on a terminal. */
    CLEANUP(key_free) EVP_PKEY *key = PEM_read_bio_PrivateKey(key_pem, NULL, NULL, (void *)"");
    OPENSSL_cleanse(key_bytes, sizeof key_bytes);
    ERR_clear_error();
    if (cert == NULL || key == NULL || X509_check_private_key(cert, key) != 1) {
        ERR_clear_error();
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s and %s are not a certificate and its key: restore both from a backup, or "
                    "remove both and pair this host anew",
                    identity->cert_path, identity->key_path);
    }
    return keep_certificate(cert, identity, err);
}

int identity_open(const char *state_directory, const char *host_name, struct identity *out,
                  struct error *err)
{
    struct identity made = {.cert_path = ""};
    char folder[PATH_TEXT_MAX - 16];
    bool has_cert = false;
    bool has_key = false;

    if (snprintf(folder, sizeof folder, "%s/tls", state_directory) >= (int)sizeof folder) {
        return fail(err, ERR_USAGE, 0, "%s: the path is too long", state_directory);
    }
    (void)snprintf(made.cert_path, sizeof made.cert_path, "%s/cert.pem", folder);
    (void)snprintf(made.key_path, sizeof made.key_path, "%s/key.pem", folder);
    if (durable_exists(made.cert_path, &has_cert, err) < 0 ||
        durable_exists(made.key_path, &has_key, err) < 0) {
        return -1;
    }
    if (has_cert != has_key) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is missing beside %s: restore it from a backup, or remove both and pair "
                    "this host anew",
                    has_cert ? made.key_path : made.cert_path,
                    has_cert ? made.cert_path : made.key_path);
    }
    if (!has_cert && make(folder, host_name, err) < 0) {
        return -1;
    }
    if (load(&made, err) < 0) {
        return -1;
    }
    *out = made;
    return 0;
}

/* --- fingerprints ---------------------------------------------------------------------------- */

void fingerprint_format(const uint8_t fingerprint[FINGERPRINT_BYTES],
                        char out[FINGERPRINT_TEXT_MAX])
{
    for (size_t i = 0; i < FINGERPRINT_BYTES; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", fingerprint[i]);
    }
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int fingerprint_parse(const char *text, uint8_t out[FINGERPRINT_BYTES], struct error *err)
{
    uint8_t made[FINGERPRINT_BYTES];
    bool is_good = strlen(text) == 2 * sizeof made;

    for (size_t i = 0; is_good && i < sizeof made; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);
        is_good = high >= 0 && low >= 0;
        made[i] = (uint8_t)(is_good ? (unsigned)(high * 16 + low) & 0xffU : 0U);
    }
    if (!is_good) {
        return fail(err, ERR_USAGE, 0, "'%.80s' is not a fingerprint: 64 hexadecimal digits", text);
    }
    memcpy(out, made, sizeof made);
    return 0;
}
