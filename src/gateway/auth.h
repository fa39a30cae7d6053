/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * auth.h - who a request is from: HTTP Basic (RFC 7617) against the users' file, and PAM for those
 * of whom it says so, or a client certificate whose fingerprint is a user's. A caller starts as
 * nobody and is somebody only by the last line of auth_check(). The file is read anew when it
 * changes.
 *
 * Wrong passwords are counted for each name and each address (AUTH_TRIES_MAX a minute); after that
 * even the right one is refused until the minute is over. Right credentials are remembered for
 * AUTH_CACHE_S as a keyed hash, so that yescrypt is not computed, or PAM asked, for each request; a
 * changed file empties the memory. Safe in several threads.
 */
#ifndef RESILVER_GATEWAY_AUTH_H
#define RESILVER_GATEWAY_AUTH_H

#include "base/env.h"
#include "base/error.h"
#include "cim/caller.h"
#include "gateway/pam_check.h"

struct auth;

MUST_CHECK int auth_new(const struct env *env, const char *users_path, struct auth **out,
                        struct error *err);

/* auth_set_pam - how PAM is asked; it is copied. Before the first auth_check(); without it, PAM's
 * users get AUTH_BROKEN. */
void auth_set_pam(struct auth *auth, const struct pam_check *pam);
void auth_free(struct auth *auth);

enum auth_result {
    AUTH_REFUSED = 0, /* 401: no credentials, wrong ones, an unknown user */
    AUTH_LOCKED,      /* 429: too many wrong ones */
    AUTH_BROKEN,      /* 500: the users' file cannot be read, and nobody gets in; or PAM, which
                         keeps this user's password, cannot be asked */
    AUTH_FINE
};

struct auth_offer {
    const char *authorization; /* the header; NULL: none. Given twice is AUTH_REFUSED (is_twice) */
    bool is_twice;
    const char *fingerprint; /* of the certificate that the client proved to have; NULL: none */
    const char *remote;      /* address without the port */
};

/* auth_check - *out is written only with AUTH_FINE. why: for the audit log, never for the client.
 */
enum auth_result auth_check(struct auth *auth, const struct auth_offer *offer,
                            struct cim_caller *out, char why[ERROR_MESSAGE_MAX]);

/* auth_generation - changes whenever the file does: who was let in under another one is to be asked
 * again. */
uint64_t auth_generation(struct auth *auth);

#endif
