/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "certs.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct certs_ca {
    X509 *cert;    /* owned */
    EVP_PKEY *key; /* owned */
};

static bool complain(const char *what)
{
    (void)fprintf(stderr, "certs: cannot %s\n", what);
    ERR_print_errors_fp(stderr);
    return false;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool is_added = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool set_serial(X509 *cert)
{
    unsigned char bytes[8];

    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return false;
    }
    uint64_t serial = 1;
    for (size_t i = 0; i < sizeof bytes; i++) {
        serial = (serial << 8 | bytes[i]) & INT64_MAX;
    }
    return ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial) == 1;
}

/* A certificate without extensions and signature. The issuer is itself when none is given. */
static X509 *draft(const char *common_name, long starts_s, long ends_s, EVP_PKEY *key,
                   const X509 *issuer)
{
    X509 *cert = X509_new();

    if (cert == NULL || X509_set_version(cert, X509_VERSION_3) != 1 || !set_serial(cert) ||
        X509_gmtime_adj(X509_getm_notBefore(cert), starts_s) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(cert), ends_s) == NULL ||
        X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                   (const unsigned char *)common_name, -1, -1, 0) != 1 ||
        X509_set_issuer_name(cert, X509_get_subject_name(issuer == NULL ? cert : issuer)) != 1 ||
        X509_set_pubkey(cert, key) != 1) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

struct certs_ca *certs_ca_new(const char *common_name)
{
    struct certs_ca *ca = calloc(1, sizeof *ca);

    if (ca == NULL) {
        return NULL;
    }
    ca->key = EVP_EC_gen("P-256");
    ca->cert =
        ca->key == NULL ? NULL : draft(common_name, -CERTS_DAY_S, 365 * CERTS_DAY_S, ca->key, NULL);
    if (ca->cert == NULL ||
        !add_extension(ca->cert, ca->cert, NID_basic_constraints, "critical,CA:TRUE") ||
        !add_extension(ca->cert, ca->cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(ca->cert, ca->cert, NID_subject_key_identifier, "hash") ||
        X509_sign(ca->cert, ca->key, EVP_sha256()) <= 0) {
        (void)complain("make an authority");
        certs_ca_free(ca);
        return NULL;
    }
    return ca;
}

void certs_ca_free(struct certs_ca *ca)
{
    if (ca != NULL) {
        X509_free(ca->cert);
        EVP_PKEY_free(ca->key);
        free(ca);
    }
}

/* A new file with exactly this mode, whatever the umask. */
static FILE *open_new(const char *path, mode_t mode)
{
    (void)unlink(path); /* left from an earlier run */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd < 0 || fchmod(fd, mode) < 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return NULL;
    }
    return fdopen(fd, "w");
}

static bool write_cert(const X509 *cert, const char *path)
{
    FILE *file = open_new(path, 0644);
    bool is_written = file != NULL && PEM_write_X509(file, cert) == 1;

    if (file != NULL && fclose(file) != 0) {
        is_written = false;
    }
    return is_written || complain(path);
}

static bool write_key(const EVP_PKEY *key, const char *path, mode_t mode, const char *passphrase)
{
    FILE *file = open_new(path, mode);
    int len_bytes = passphrase == NULL ? 0 : (int)strlen(passphrase);
    bool is_written = file != NULL && PEM_write_PKCS8PrivateKey(
                                          file, key, passphrase == NULL ? NULL : EVP_aes_128_cbc(),
                                          passphrase, len_bytes, NULL, NULL) == 1;

    if (file != NULL && fclose(file) != 0) {
        is_written = false;
    }
    return is_written || complain(path);
}

bool certs_write_ca(const struct certs_ca *ca, const char *path)
{
    return write_cert(ca->cert, path);
}

static X509 *make_leaf(const struct certs_ca *ca, const struct certs_leaf *leaf, EVP_PKEY *key)
{
    X509 *cert =
        draft(leaf->common_name, leaf->starts_s, leaf->ends_s, key, ca == NULL ? NULL : ca->cert);
    X509 *issuer = ca == NULL ? cert : ca->cert;

    if (cert == NULL || !add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(cert, issuer, NID_subject_key_identifier, "hash") ||
        (ca != NULL && !add_extension(cert, issuer, NID_authority_key_identifier, "keyid")) ||
        (leaf->usage != NULL && !add_extension(cert, issuer, NID_ext_key_usage, leaf->usage)) ||
        (leaf->alt_names != NULL &&
         !add_extension(cert, issuer, NID_subject_alt_name, leaf->alt_names)) ||
        X509_sign(cert, ca == NULL ? key : ca->key, EVP_sha256()) <= 0) {
        (void)complain(leaf->common_name);
        X509_free(cert);
        return NULL;
    }
    return cert;
}

bool certs_write_leaf(const struct certs_ca *ca, const struct certs_leaf *leaf,
                      const char *cert_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key == NULL ? NULL : make_leaf(ca, leaf, key);
    bool is_written =
        cert != NULL && write_cert(cert, cert_path) && write_key(key, key_path, 0600, NULL);

    X509_free(cert);
    EVP_PKEY_free(key);
    return is_written;
}

#define LOCAL_NAMES "DNS:localhost,IP:127.0.0.1,IP:::1"
#define CLIENT_NAMES "DNS:client.example"
#define YEAR (365 * CERTS_DAY_S)

enum signer { BY_CA, BY_OTHER_CA, BY_ITSELF };

static const struct {
    const char *name;
    enum signer signer;
    struct certs_leaf leaf;
} set[] = {
    {"server", BY_CA, {"server", LOCAL_NAMES, "serverAuth", -CERTS_DAY_S, YEAR}},
    {"server2", BY_CA, {"server2", LOCAL_NAMES, "serverAuth", -CERTS_DAY_S, YEAR}},
    {"client", BY_CA, {"client", CLIENT_NAMES, "clientAuth", -CERTS_DAY_S, YEAR}},
    {"host",
     BY_CA,
     {"host", LOCAL_NAMES "," CLIENT_NAMES, "serverAuth,clientAuth", -CERTS_DAY_S, YEAR}},
    {"client-cn", BY_CA, {"client.example", NULL, "clientAuth", -CERTS_DAY_S, YEAR}},
    {"server-other-ca", BY_OTHER_CA, {"server", LOCAL_NAMES, "serverAuth", -CERTS_DAY_S, YEAR}},
    {"client-other-ca", BY_OTHER_CA, {"client", CLIENT_NAMES, "clientAuth", -CERTS_DAY_S, YEAR}},
    {"server-other-name",
     BY_CA,
     {"db1", "DNS:db1.example,IP:192.0.2.1", "serverAuth", -CERTS_DAY_S, YEAR}},
    {"server-expired",
     BY_CA,
     {"server", LOCAL_NAMES, "serverAuth", -2 * CERTS_DAY_S, -CERTS_DAY_S}},
    {"client-expired",
     BY_CA,
     {"client", CLIENT_NAMES, "clientAuth", -2 * CERTS_DAY_S, -CERTS_DAY_S}},
    {"server-future", BY_CA, {"server", LOCAL_NAMES, "serverAuth", CERTS_DAY_S, YEAR}},
    {"client-future", BY_CA, {"client", CLIENT_NAMES, "clientAuth", CERTS_DAY_S, YEAR}},
    {"server-self-signed", BY_ITSELF, {"server", LOCAL_NAMES, "serverAuth", -CERTS_DAY_S, YEAR}},
    {"client-self-signed", BY_ITSELF, {"client", CLIENT_NAMES, "clientAuth", -CERTS_DAY_S, YEAR}},
    {"server-for-clients", BY_CA, {"server", LOCAL_NAMES, "clientAuth", -CERTS_DAY_S, YEAR}},
    {"client-for-servers", BY_CA, {"client", CLIENT_NAMES, "serverAuth", -CERTS_DAY_S, YEAR}},
};

#define TEST_PATH_MAX 4096

static void path_in(const char *dir, const char *name, const char *suffix, char *out)
{
    (void)snprintf(out, TEST_PATH_MAX, "%s/%s%s", dir, name, suffix);
}

static bool write_leaves(const char *dir, const struct certs_ca *ca, const struct certs_ca *other)
{
    char cert_path[TEST_PATH_MAX];
    char key_path[TEST_PATH_MAX];

    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
        const struct certs_ca *signer = set[i].signer == BY_CA         ? ca
                                        : set[i].signer == BY_OTHER_CA ? other
                                                                       : NULL;
        path_in(dir, set[i].name, ".pem", cert_path);
        path_in(dir, set[i].name, ".key", key_path);
        if (!certs_write_leaf(signer, &set[i].leaf, cert_path, key_path)) {
            return false;
        }
    }
    return true;
}

static bool write_bad_files(const char *dir)
{
    char path[TEST_PATH_MAX];

    path_in(dir, "client", ".key", path);
    FILE *file = fopen(path, "r");
    EVP_PKEY *key = file == NULL ? NULL : PEM_read_PrivateKey(file, NULL, NULL, NULL);
    if (file != NULL) {
        (void)fclose(file);
    }
    path_in(dir, "client-readable", ".key", path);
    bool is_written = key != NULL && write_key(key, path, 0644, NULL);
    path_in(dir, "client-locked", ".key", path);
    is_written = is_written && write_key(key, path, 0600, "secret");
    EVP_PKEY_free(key);
    path_in(dir, "garbage", ".pem", path);
    file = is_written ? open_new(path, 0600) : NULL;
    if (file == NULL) {
        return complain(path);
    }
    is_written = fputs("This is no certificate and no key.\n", file) >= 0;
    return fclose(file) == 0 && is_written;
}

bool certs_write_set(const char *dir)
{
    char path[TEST_PATH_MAX];
    char other_path[TEST_PATH_MAX];
    struct certs_ca *ca = certs_ca_new("Test CA");
    struct certs_ca *other = certs_ca_new("Test CA");

    path_in(dir, "ca", ".pem", path);
    path_in(dir, "other-ca", ".pem", other_path);
    bool is_written = ca != NULL && other != NULL && certs_write_ca(ca, path) &&
                      certs_write_ca(other, other_path) && write_leaves(dir, ca, other) &&
                      write_bad_files(dir);
    certs_ca_free(ca);
    certs_ca_free(other);
    return is_written;
}
