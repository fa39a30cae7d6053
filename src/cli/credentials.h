/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * credentials.h - where the three files of a TLS end are: --cert, --key and --ca, and for those not
 * given the folder of the user ($XDG_CONFIG_HOME/resilver or ~/.config/resilver) or of the host
 * (/etc/resilver/tls), whichever has a cert.pem.
 */
#ifndef RESILVER_CLI_CREDENTIALS_H
#define RESILVER_CLI_CREDENTIALS_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

struct credentials {
    const char *cert; /* borrowed from argv or from folder; NULL: not given */
    const char *key;
    const char *ca;
    char default_cert[PATH_TEXT_MAX];
    char default_key[PATH_TEXT_MAX];
    char default_ca[PATH_TEXT_MAX];
};

/* credentials_complete - fill what was not given from the first folder that has a cert.pem.
 * credentials must stay where it is. Errors: ERR_USAGE: says which are missing and where they may
 * be. */
MUST_CHECK int credentials_complete(struct credentials *credentials, struct error *err);

#endif
