/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * credentials.h - a name and a password out of an Authorization header (RFC 7617).
 */
#ifndef RESILVER_GATEWAY_CREDENTIALS_H
#define RESILVER_GATEWAY_CREDENTIALS_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

struct credentials {
    char name[CALLER_NAME_MAX];
    char password[PASSWORD_MAX];
};

/* credentials_are_basic - whether the header's scheme is Basic, whatever follows. */
bool credentials_are_basic(const char *authorization);

/* credentials_parse - out is written only when all is well. Errors: ERR_USAGE; the sentence has
 * nothing of the password. */
MUST_CHECK int credentials_parse(const char *authorization, struct credentials *out,
                                 struct error *err);

/* credentials_wipe - for when it leaves its scope: nothing stays in memory. */
void credentials_wipe(struct credentials *credentials);

#endif
