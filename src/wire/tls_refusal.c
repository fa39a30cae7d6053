/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/tls_refusal.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "wire/tls_pin.h"

const char *tls_refusal_reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return text != NULL ? text : "no reason given";
}

void tls_refusal_date(const ASN1_TIME *when, char out[TLS_DATE_MAX])
{
    struct tm parts = {0};

    if (ASN1_TIME_to_tm(when, &parts) != 1) {
        (void)snprintf(out, TLS_DATE_MAX, "an unreadable date");
        return;
    }
    (void)snprintf(out, TLS_DATE_MAX, "%d-%02d-%02d %02d:%02d:%02d UTC", parts.tm_year + 1900,
                   parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

/* Text out of a certificate may hold anything; only printable ASCII goes on. Cut if longer. */
static void copy_text(const ASN1_STRING *text, char *out, size_t size_bytes)
{
    const unsigned char *bytes = ASN1_STRING_get0_data(text);
    size_t count = (size_t)ASN1_STRING_length(text);

    if (count > size_bytes - 1) {
        count = size_bytes - 1;
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = bytes[i] > 0x20 - 1 && bytes[i] < 0x7f ? (char)bytes[i] : '?';
    }
    out[count] = '\0';
}

static bool common_name(const X509_NAME *name, char out[TLS_NAME_MAX])
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    const X509_NAME_ENTRY *entry = at < 0 ? NULL : X509_NAME_get_entry(name, at);

    if (entry == NULL) {
        (void)snprintf(out, TLS_NAME_MAX, "no name");
        return false;
    }
    copy_text(X509_NAME_ENTRY_get_data(entry), out, TLS_NAME_MAX);
    return true;
}

/* Returns false for kinds of names that no host has. */
static bool host_name(const GENERAL_NAME *name, char out[TLS_NAME_MAX])
{
    int type = 0;
    const ASN1_STRING *text = GENERAL_NAME_get0_value(name, &type);

    if (type == GEN_DNS) {
        copy_text(text, out, TLS_NAME_MAX);
        return true;
    }
    if (type != GEN_IPADD) {
        return false;
    }
    int family = ASN1_STRING_length(text) == 4 ? AF_INET : AF_INET6;
    if (family == AF_INET6 && ASN1_STRING_length(text) != 16) {
        return false;
    }
    return inet_ntop(family, ASN1_STRING_get0_data(text), out, TLS_NAME_MAX) != NULL;
}

/* The hosts that a certificate is for: "db1.example, 10.0.0.5". */
static void list_hosts(const X509 *cert, char out[TLS_NAMES_MAX])
{
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    size_t used = 0;
    char one[TLS_NAME_MAX];

    (void)snprintf(out, TLS_NAMES_MAX, "no host at all");
    for (int i = 0; i < sk_GENERAL_NAME_num(all) && used < TLS_NAMES_MAX; i++) {
        if (host_name(sk_GENERAL_NAME_value(all, i), one)) {
            used += (size_t)snprintf(out + used, TLS_NAMES_MAX - used, "%s%s",
                                     used == 0 ? "" : ", ", one);
        }
    }
    GENERAL_NAMES_free(all);
}

void tls_refusal_name(const X509 *cert, char out[TLS_NAME_MAX])
{
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool is_found = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(all) && !is_found; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        is_found = name->type == GEN_DNS && host_name(name, out);
    }
    GENERAL_NAMES_free(all);
    if (!is_found) {
        (void)common_name(X509_get_subject_name(cert), out);
    }
}

int tls_refusal_on_verify(int is_good, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_refusal *r = ssl == NULL ? NULL : SSL_get_app_data(ssl);
    const X509 *cert = X509_STORE_CTX_get_current_cert(store);

    if (is_good == 1 || r == NULL || r->code != X509_V_OK) {
        return is_good;
    }
    *r = (struct tls_refusal){.code = X509_STORE_CTX_get_error(store),
                              .depth = X509_STORE_CTX_get_error_depth(store)};
    if (cert != NULL) {
        (void)common_name(X509_get_subject_name(cert), r->subject);
        (void)common_name(X509_get_issuer_name(cert), r->issuer);
        list_hosts(cert, r->names);
        tls_refusal_date(X509_get0_notBefore(cert), r->not_before);
        tls_refusal_date(X509_get0_notAfter(cert), r->not_after);
    }
    return is_good;
}

/* "its certificate "db1"" or "the CA certificate "Example CA" above its certificate". */
static void describe(const struct tls_refusal *r, char *out, size_t size_bytes)
{
    if (r->depth == 0) {
        (void)snprintf(out, size_bytes, "its certificate \"%s\"", r->subject);
    } else {
        (void)snprintf(out, size_bytes, "the CA certificate \"%s\" above its certificate",
                       r->subject);
    }
}

static int fail_issuer(const struct tls_refusal *r, const char *peer, const char *ca_path,
                       struct error *err)
{
    return fail(
        err, ERR_PEER, 0,
        "%s: its certificate names \"%s\" as its signer, and our CA file %s does not hold the "
        "CA that made it: use certificates of one CA, or add that CA to the file",
        peer, r->issuer, ca_path);
}

int tls_refusal_ours(const struct tls_refusal *r, const struct tls_context *context,
                     const char *peer, const char *wanted, struct error *err)
{
    char which[TLS_NAME_MAX + 64];

    if (context->is_pinned) {
        return tls_pin_refuse(r, peer, err);
    }
    describe(r, which, sizeof which);
    switch (r->code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return fail(err, ERR_PEER, 0, "%s: %s expired on %s: renew it (or set this host's clock)",
                    peer, which, r->not_after);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return fail(err, ERR_PEER, 0,
                    "%s: %s is not valid before %s: wait, or set the clocks of both hosts", peer,
                    which, r->not_before);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return fail(
            err, ERR_PEER, 0,
            "%s: %s is self-signed and is not in our CA file %s: have a CA sign it, or add it "
            "to the file",
            peer, which, context->ca_path);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return fail_issuer(r, peer, context->ca_path, err);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return fail(
            err, ERR_PEER, 0,
            "%s: its certificate is for %s, not for %s: connect by a name that it bears, or "
            "make one whose subject alternative names have this one",
            peer, r->names, wanted == NULL ? "" : wanted);
    case X509_V_ERR_INVALID_PURPOSE:
        return fail(
            err, ERR_PEER, 0,
            "%s: %s was made for another purpose: a %s needs one that allows %s in its extended "
            "key usage",
            peer, which, context->is_server ? "client" : "server",
            context->is_server ? "clientAuth" : "serverAuth");
    default:
        return fail(err, ERR_PEER, 0, "%s: %s is refused: %s", peer, which,
                    X509_verify_cert_error_string(r->code));
    }
}

struct alert_words {
    int alert;
    const char *text;
    const char *cure;
};

/* The alerts about certificates, as OpenSSL and others use them. */
static const struct alert_words certificate_alerts[] = {
    {SSL_AD_BAD_CERTIFICATE, "bad certificate",
     "it bears another name, is not valid yet by that host's clock, or is damaged"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "unsupported certificate",
     "it was made for another purpose; see its extended key usage"},
    {SSL_AD_CERTIFICATE_REVOKED, "certificate revoked", "make a new one"},
    {SSL_AD_CERTIFICATE_EXPIRED, "certificate expired", "renew it, or set that host's clock"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "certificate unknown", "that host's log tells more"},
    {SSL_AD_UNKNOWN_CA, "unknown CA", "that host's CA file does not hold the CA that signed ours"},
    {TLS13_AD_CERTIFICATE_REQUIRED, "certificate required", "we gave none"},
    {SSL_AD_ACCESS_DENIED, "access denied", "that host does not let this certificate in"},
};

int tls_refusal_theirs(int alert, bool we_are_server, const char *peer, struct error *err)
{
    const char *who = we_are_server ? "client" : "server";

    for (size_t i = 0; i < ARRAY_COUNT(certificate_alerts); i++) {
        const struct alert_words *words = &certificate_alerts[i];
        if (words->alert == alert) {
            return fail(err, ERR_PEER, 0, "%s: the %s refused our certificate: %s (%s)", peer, who,
                        words->text, words->cure);
        }
    }
    if (alert == SSL_AD_PROTOCOL_VERSION) {
        return fail(
            err, ERR_PEER, 0,
            "%s: the %s speaks only an older TLS, and we speak TLS 1.3: bring it up to date", peer,
            who);
    }
    if (alert == SSL_AD_NO_APPLICATION_PROTOCOL) {
        return fail(err, ERR_PEER, 0,
                    "%s: the %s does not speak our protocol: is it a resilverd, and of a version "
                    "that fits ours?",
                    peer, who);
    }
    return fail(err, ERR_PEER, 0, "%s: the %s broke TLS off: %s", peer, who,
                SSL_alert_desc_string_long(alert));
}
