/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * users_hash.c - passwords, by libcrypt's yescrypt.
 */
#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/users.h"

#define YESCRYPT "$y$"

/* With the cost that users_hash() asks for, so that a name that is none takes as long. It fits no
 * password that anybody knows, and what it says is not looked at. */
static const char nobodys_setting[] = "$y$j9T$7bJkMX3v1x1HZ9sVq0dY8.";

/* It has the password. */
static void free_data(struct crypt_data *data)
{
    if (data != NULL) {
        explicit_bzero(data, sizeof *data);
        free(data);
    }
}

/* Not in the time that tells where the first difference is. */
static bool is_equal(const char *a, const char *b)
{
    size_t len_bytes = strlen(a);
    volatile unsigned char difference = 0;

    if (strlen(b) != len_bytes) {
        return false;
    }
    for (size_t i = 0; i < len_bytes; i++) {
        difference = (unsigned char)(difference | (unsigned char)(a[i] ^ b[i]));
    }
    return difference == 0;
}

static bool fits(const char *setting, const char *password, struct crypt_data *data)
{
    const char *made = crypt_r(password, setting, data);

    return made != NULL && made[0] == '$' && is_equal(made, setting);
}

bool users_verify(const struct user *user, const char *password)
{
    struct crypt_data *data = calloc(1, sizeof *data);
    bool has_hash = user != NULL && user->hash[0] == '$';

    if (data == NULL) {
        return false;
    }
    bool is_fine = fits(has_hash ? user->hash : nobodys_setting, password, data);
    free_data(data);
    return has_hash && is_fine;
}

static int check_password(const char *password, struct error *err)
{
    if (password[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "an empty password lets everybody in; choose another");
    }
    if (strlen(password) >= CRYPT_MAX_PASSPHRASE_SIZE) {
        return fail(err, ERR_USAGE, 0, "the password is longer than %d bytes",
                    CRYPT_MAX_PASSPHRASE_SIZE - 1);
    }
    return 0;
}

static int make_hash(const char *password, struct crypt_data *data, char out[USER_HASH_MAX],
                     struct error *err)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];

    /* NULL: the salt is of the kernel's random bytes. */
    if (crypt_gensalt_rn(YESCRYPT, 0, NULL, 0, setting, (int)sizeof setting) == NULL) {
        return fail(err, ERR_INTERNAL, errno, "libcrypt makes no salt for yescrypt");
    }
    const char *made = crypt_r(password, setting, data);
    if (made == NULL || made[0] != '$' || strlen(made) >= USER_HASH_MAX) {
        return fail(err, ERR_INTERNAL, errno, "libcrypt makes no hash with yescrypt");
    }
    (void)snprintf(out, USER_HASH_MAX, "%s", made);
    return 0;
}

int users_hash(const char *password, char out[USER_HASH_MAX], struct error *err)
{
    struct crypt_data *data = NULL;

    if (check_password(password, err) < 0) {
        return -1;
    }
    data = calloc(1, sizeof *data);
    if (data == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a password's hash");
    }
    int result = make_hash(password, data, out, err);
    free_data(data);
    return result;
}
