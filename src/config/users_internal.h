/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * users_internal.h - what reading and writing the users' file agree on.
 */
#ifndef RESILVER_CONFIG_USERS_INTERNAL_H
#define RESILVER_CONFIG_USERS_INTERNAL_H

#include "config/users.h"

/* users_is_name - one that a line can begin with. */
bool users_is_name(const char *name);

/* users_is_hash - what can stand in the place of the hash. */
bool users_is_hash(const char *hash);

/* users_is_fingerprint - 64 hexadecimal digits; out has them in lower case. */
bool users_is_fingerprint(const char *text, char out[FINGERPRINT_TEXT_MAX]);

#endif
