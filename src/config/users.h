/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * users.h - the gateway's users: one file, a line each, as `resilver gateway user` writes it.
 *
 *   NAME:HASH:ROLE[:VM=ROLE,VM=ROLE...][:FINGERPRINT]
 *
 * HASH is crypt(3)'s ("$y$...", yescrypt), "pam" for a user whose password is asked of PAM, or "*"
 * for one who has only a certificate. ROLE is
 * viewer, operator, administrator, or none (only the VMs named). FINGERPRINT is the SHA-256 of his
 * certificate, in hex. Empty lines and lines with # are kept as they are. A VM's name has : , = and
 * % percent-encoded.
 */
#ifndef RESILVER_CONFIG_USERS_H
#define RESILVER_CONFIG_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

#define USERS_PATH_DEFAULT "/etc/resilver/gateway.users"
#define USER_HASH_MAX 256
#define USER_HASH_PAM "pam"
#define USER_HASH_NONE "*"

enum user_role { USER_NOBODY = 0, USER_VIEWER = 1, USER_OPERATOR = 2, USER_ADMINISTRATOR = 3 };

struct user_vm {
    char vm[VM_NAME_MAX]; /* id or name */
    enum user_role role;
};

struct user {
    char name[CALLER_NAME_MAX]; /* no colon, no control character, not empty */
    char hash[USER_HASH_MAX];
    enum user_role role;
    uint32_t vm_count;
    struct user_vm *vms;                    /* owned; CALLER_VMS_MAX */
    char fingerprint[FINGERPRINT_TEXT_MAX]; /* lower case; "": none */
};

struct users {
    uint32_t count;
    struct user *all; /* owned */
};

/* users_load - a file that is not there has no users. Errors: ERR_USAGE "FILE:LINE: ...";
 * ERR_WRONG_STATE others than its owner may write to it, or anybody but owner and group may read
 * it; ERR_IO; ERR_LIMIT. */
MUST_CHECK int users_load(const char *path, struct users **out, struct error *err);
void users_free(struct users *users);

const struct user *users_find(const struct users *users, const char *name);

/* users_set - add the user, or put him in the place of the one so named; users_remove - ERR_USAGE
 * there is none. Both rewrite the file beside it and rename (owner, group and mode stay; a new one
 * is 0640). */
MUST_CHECK int users_set(const char *path, const struct user *user, struct error *err);
MUST_CHECK int users_remove(const char *path, const char *name, struct error *err);

/* users_asks_pam - whether his password is PAM's to judge; users_verify() fits none of his. */
bool users_asks_pam(const struct user *user);

/* users_hash - a new hash of a password, by yescrypt with a salt of the kernel's. users_verify -
 * whether the password fits; takes its time for a user that is NULL, too, and compares in constant
 * time. */
MUST_CHECK int users_hash(const char *password, char out[USER_HASH_MAX], struct error *err);
MUST_CHECK bool users_verify(const struct user *user, const char *password);

const char *user_role_name(enum user_role role); /* "none" for USER_NOBODY */
bool user_role_parse(const char *text, enum user_role *out);

#endif
