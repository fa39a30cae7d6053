/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * identity.h - this host's key and self-signed certificate, made on first start. Other hosts know
 * it by the certificate's fingerprint, which they learned when they were paired with it.
 */
#ifndef RESILVER_PEER_IDENTITY_H
#define RESILVER_PEER_IDENTITY_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

struct identity {
    char cert_path[PATH_TEXT_MAX]; /* PEM */
    char key_path[PATH_TEXT_MAX];  /* PEM, mode 0600 */
    uint8_t fingerprint[FINGERPRINT_BYTES];
    char certificate[CERTIFICATE_TEXT_MAX]; /* DER in base64, without line ends */
};

/*
 * identity_open - read <state directory>/tls/cert.pem and key.pem; if neither is there, make them
 * (a P-256 key; the certificate bears the host's name; durable before it returns). Errors:
 * ERR_WRONG_STATE one of the two is missing, they do not belong together, or the key can be read by
 * others; ERR_IO.
 */
MUST_CHECK int identity_open(const char *state_directory, const char *host_name,
                             struct identity *out, struct error *err);

void fingerprint_format(const uint8_t fingerprint[FINGERPRINT_BYTES],
                        char out[FINGERPRINT_TEXT_MAX]); /* 64 digits, lower case */
MUST_CHECK int fingerprint_parse(const char *text, uint8_t out[FINGERPRINT_BYTES],
                                 struct error *err);

#endif
