/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * auth.c - who a request is from.
 *
 * 1. *out is written in become() alone, from a user of the file as it is now.
 * 2. A file that cannot be read lets nobody in, not even those who are remembered.
 * 3. No lock is held while yescrypt works, which takes hundredths of a second, or PAM is asked,
 *    which may take all of its deadline. Whatever the lock guards is looked at anew afterwards.
 */
#include "gateway/auth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/env.h"
#include "config/users.h"
#include "gateway/credentials.h"
#include "gateway/tries.h"

#define KEY_BYTES 32U
#define MAC_BYTES FINGERPRINT_BYTES

/* Right credentials, as a keyed hash of name and password. */
struct remembered {
    uint8_t mac[MAC_BYTES];
    uint64_t until_ns; /* 0: the entry is free */
};

/* By which a file is known to be another, or to have been changed. */
struct stamp {
    bool is_there;
    dev_t device;
    ino_t inode;
    off_t size_bytes;
    struct timespec modified;
    struct timespec changed;
    mode_t mode;
    uid_t owner;
};

struct auth {
    const struct env *env; /* borrowed */
    char path[PATH_TEXT_MAX];
    uint8_t key[KEY_BYTES]; /* of this process alone */
    struct pam_check pam;   /* set before there are threads */
    pthread_mutex_t lock;   /* of all below */
    struct users *users;    /* owned; NULL: the file cannot be read */
    struct error broken;    /* why not */
    struct stamp stamp;
    uint64_t generation; /* counts the readings of the file */
    struct remembered remembered[AUTH_CACHE_MAX];
    struct tries names;
    struct tries addresses;
};

/* --- the file -------------------------------------------------------------------------------- */

static int look(const char *path, struct stamp *out, struct error *err)
{
    struct stat info;

    *out = (struct stamp){0};
    if (stat(path, &info) < 0) {
        return errno == ENOENT
                   ? 0
                   : fail(err, ERR_IO, errno, "cannot look at the users' file '%.512s'", path);
    }
    out->is_there = true;
    out->device = info.st_dev;
    out->inode = info.st_ino;
    out->size_bytes = info.st_size;
    out->modified = info.st_mtim;
    out->changed = info.st_ctim;
    out->mode = info.st_mode;
    out->owner = info.st_uid;
    return 0;
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_same(const struct stamp *a, const struct stamp *b)
{
    return a->is_there == b->is_there && a->device == b->device && a->inode == b->inode &&
           a->size_bytes == b->size_bytes && is_same_time(&a->modified, &b->modified) &&
           is_same_time(&a->changed, &b->changed) && a->mode == b->mode && a->owner == b->owner;
}

static void forget_locked(struct auth *auth)
{
    explicit_bzero(auth->remembered, sizeof auth->remembered);
}

/* The stamp is taken first: a change in between is seen the next time. */
static void read_locked(struct auth *auth, const struct stamp *stamp)
{
    users_free(TAKE(auth->users));
    forget_locked(auth);
    auth->generation++;
    auth->stamp = *stamp;
    auth->broken = (struct error){0};
    if (users_load(auth->path, &auth->users, &auth->broken) < 0) {
        auth->users = NULL;
    }
}

static bool refresh_locked(struct auth *auth)
{
    struct stamp stamp;
    struct error err = {0};

    if (look(auth->path, &stamp, &err) < 0) {
        users_free(TAKE(auth->users));
        forget_locked(auth);
        auth->generation++;
        auth->broken = err;
        return false;
    }
    if (auth->users == NULL || !is_same(&stamp, &auth->stamp)) {
        read_locked(auth, &stamp);
    }
    return auth->users != NULL;
}

int auth_new(const struct env *env, const char *users_path, struct auth **out, struct error *err)
{
    struct auth *auth = calloc(1, sizeof *auth);

    if (auth == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for who may log in");
    }
    auth->env = env;
    int refused = pthread_mutex_init(&auth->lock, NULL);
    if (refused != 0) {
        free(auth);
        return fail(err, ERR_LIMIT, refused, "cannot make a lock for who may log in");
    }
    int len = snprintf(auth->path, sizeof auth->path, "%s", users_path);
    int result = len < 0 || (size_t)len >= sizeof auth->path
                     ? fail(err, ERR_USAGE, 0, "the path of the users' file is too long")
                     : env_random(env, (struct span){auth->key, sizeof auth->key}, err);
    if (result == 0 && !refresh_locked(auth)) {
        *err = auth->broken;
        result = -1;
    }
    if (result < 0) {
        auth_free(auth);
        return -1;
    }
    *out = auth;
    return 0;
}

void auth_set_pam(struct auth *auth, const struct pam_check *pam)
{
    auth->pam = *pam;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL) {
        return;
    }
    users_free(auth->users);
    (void)pthread_mutex_destroy(&auth->lock); /* nobody has it any more */
    explicit_bzero(auth, sizeof *auth);
    free(auth);
}

uint64_t auth_generation(struct auth *auth)
{
    (void)pthread_mutex_lock(&auth->lock);
    (void)refresh_locked(auth); /* what is wrong with the file is said to whoever is asked again */
    uint64_t generation = auth->generation;
    (void)pthread_mutex_unlock(&auth->lock);
    return generation;
}

/* --- keys ------------------------------------------------------------------------------------ */

/* False only where GnuTLS has no SHA-256, which is nowhere. */
static bool mac_of(const struct auth *auth, const void *bytes, size_t len_bytes,
                   uint8_t out[MAC_BYTES])
{
    return gnutls_hmac_fast(GNUTLS_MAC_SHA256, auth->key, sizeof auth->key, bytes, len_bytes,
                            out) == 0;
}

/* Of an address, the part that one customer of a provider has: of IPv6, the first half. */
static void fold_address(const char *remote, char out[INET6_ADDRSTRLEN])
{
    struct in6_addr address;

    (void)snprintf(out, INET6_ADDRSTRLEN, "%s", remote);
    if (inet_pton(AF_INET6, out, &address) == 1) {
        memset(address.s6_addr + 8, 0, 8);
        if (inet_ntop(AF_INET6, &address, out, INET6_ADDRSTRLEN) == NULL) {
            (void)snprintf(out, INET6_ADDRSTRLEN, "%s", remote);
        }
    }
}

/* What one request with a password is known by. */
struct marks {
    uint8_t name[MAC_BYTES];
    uint8_t address[MAC_BYTES];
    uint8_t whole[MAC_BYTES]; /* of name and password */
};

static bool mark_address(const struct auth *auth, const char *remote, uint8_t out[MAC_BYTES])
{
    char address[INET6_ADDRSTRLEN] = "";

    fold_address(remote, address);
    return mac_of(auth, address, strlen(address), out);
}

static bool mark(const struct auth *auth, const char *remote, const struct credentials *credentials,
                 struct marks *out)
{
    /* Both fields to their ends, which are NULs: no other pair has the same bytes. */
    return mac_of(auth, credentials->name, strlen(credentials->name), out->name) &&
           mark_address(auth, remote, out->address) &&
           mac_of(auth, credentials, sizeof *credentials, out->whole);
}

/* --- the memory ------------------------------------------------------------------------------ */

/* All of them are looked at, however early one fits. */
static bool is_remembered_locked(const struct auth *auth, const struct marks *marks,
                                 uint64_t now_ns)
{
    bool is_found = false;

    for (uint32_t i = 0; i < AUTH_CACHE_MAX; i++) {
        const struct remembered *entry = &auth->remembered[i];
        bool is_equal = gnutls_memcmp(entry->mac, marks->whole, MAC_BYTES) == 0;
        is_found |= is_equal && entry->until_ns > now_ns;
    }
    return is_found;
}

static void remember_locked(struct auth *auth, const struct marks *marks, uint64_t now_ns)
{
    struct remembered *soonest = &auth->remembered[0];

    for (uint32_t i = 1; i < AUTH_CACHE_MAX; i++) {
        if (auth->remembered[i].until_ns < soonest->until_ns) {
            soonest = &auth->remembered[i];
        }
    }
    memcpy(soonest->mac, marks->whole, MAC_BYTES);
    soonest->until_ns = now_ns + AUTH_CACHE_S * NS_PER_S;
}

/* --- who ------------------------------------------------------------------------------------- */

static void set_why(char why[ERROR_MESSAGE_MAX], const char *text)
{
    (void)snprintf(why, ERROR_MESSAGE_MAX, "%s", text);
}

static enum auth_result refuse(char why[ERROR_MESSAGE_MAX], const char *text)
{
    set_why(why, text);
    return AUTH_REFUSED;
}

static enum auth_result refuse_broken_locked(const struct auth *auth, char why[ERROR_MESSAGE_MAX])
{
    set_why(why, auth->broken.message);
    return AUTH_BROKEN;
}

static enum auth_result refuse_locked(char why[ERROR_MESSAGE_MAX])
{
    set_why(why, "too many wrong passwords for the name or from the address; a minute must pass");
    return AUTH_LOCKED;
}

/* The two enumerations are of two layers; a number that is none is nobody. */
static enum cim_role role_of(enum user_role role)
{
    switch (role) {
    case USER_VIEWER:
        return CIM_ROLE_VIEWER;
    case USER_OPERATOR:
        return CIM_ROLE_OPERATOR;
    case USER_ADMINISTRATOR:
        return CIM_ROLE_ADMINISTRATOR;
    case USER_NOBODY:
        break;
    }
    return CIM_ROLE_NOBODY;
}

/* Invariant 1. */
static enum auth_result become(const struct user *user, struct cim_caller *out)
{
    *out = (struct cim_caller){.role = role_of(user->role), .vm_count = user->vm_count};
    (void)snprintf(out->name, sizeof out->name, "%s", user->name);
    for (uint32_t i = 0; i < user->vm_count; i++) {
        (void)snprintf(out->vms[i].vm, sizeof out->vms[i].vm, "%s", user->vms[i].vm);
        out->vms[i].role = role_of(user->vms[i].role);
    }
    return AUTH_FINE;
}

/* The certificate is the user's because the handshake proved that the client has its key. */
static enum auth_result check_certificate(struct auth *auth, const struct auth_offer *offer,
                                          struct cim_caller *out, char why[ERROR_MESSAGE_MAX])
{
    enum auth_result result = refuse(why, "no user has this certificate");

    (void)pthread_mutex_lock(&auth->lock);
    if (!refresh_locked(auth)) {
        result = refuse_broken_locked(auth, why);
    }
    for (uint32_t i = 0; auth->users != NULL && i < auth->users->count; i++) {
        const struct user *user = &auth->users->all[i];
        if (user->fingerprint[0] != '\0' && strcmp(user->fingerprint, offer->fingerprint) == 0) {
            result = become(user, out);
            break;
        }
    }
    (void)pthread_mutex_unlock(&auth->lock);
    return result;
}

/* --- a password ------------------------------------------------------------------------------ */

/* Between the two times that the lock is held. */
struct attempt {
    const struct credentials *credentials; /* borrowed */
    const char *remote;                    /* borrowed */
    struct marks marks;
    struct user user; /* name and hash alone */
    bool is_user;     /* there is one of the name */
};

static void uncount_locked(struct auth *auth, const struct attempt *attempt)
{
    tries_forgive(&auth->names, attempt->marks.name);
    tries_forgive(&auth->addresses, attempt->marks.address);
}

/* Before the password is looked at. True: there is a result already. */
static bool begin_locked(struct auth *auth, struct attempt *attempt, struct cim_caller *out,
                         enum auth_result *result, char why[ERROR_MESSAGE_MAX])
{
    uint64_t now_ns = env_now_ns(auth->env);

    if (!refresh_locked(auth)) {
        *result = refuse_broken_locked(auth, why);
        return true;
    }
    if (tries_is_locked(&auth->names, attempt->marks.name, now_ns) ||
        tries_is_locked(&auth->addresses, attempt->marks.address, now_ns)) {
        *result = refuse_locked(why);
        return true;
    }
    const struct user *user = users_find(auth->users, attempt->credentials->name);
    if (user != NULL && is_remembered_locked(auth, &attempt->marks, now_ns)) {
        *result = become(user, out);
        return true;
    }
    attempt->is_user = user != NULL;
    if (user != NULL) {
        attempt->user = *user;
        attempt->user.vms = NULL; /* it is not ours */
        attempt->user.vm_count = 0;
    }
    tries_count(&auth->names, attempt->marks.name, now_ns);
    tries_count(&auth->addresses, attempt->marks.address, now_ns);
    return false;
}

/* The password fitted a hash that was the user's, or PAM's; it counts only if it still is. */
static enum auth_result end_locked(struct auth *auth, const struct attempt *attempt,
                                   struct cim_caller *out, char why[ERROR_MESSAGE_MAX])
{
    if (!refresh_locked(auth)) {
        return refuse_broken_locked(auth, why);
    }
    const struct user *user = users_find(auth->users, attempt->credentials->name);
    if (user == NULL || strcmp(user->hash, attempt->user.hash) != 0) {
        return refuse(why, "the user was changed meanwhile");
    }
    uncount_locked(auth, attempt);
    remember_locked(auth, &attempt->marks, env_now_ns(auth->env));
    return become(user, out);
}

/* AUTH_FINE: it fits. */
static enum auth_result try_hash(const struct attempt *attempt, char why[ERROR_MESSAGE_MAX])
{
    const struct user *user = attempt->is_user ? &attempt->user : NULL;

    if (!users_verify(user, attempt->credentials->password)) {
        return refuse(why, user != NULL ? "the password is wrong" : "there is no such user");
    }
    return AUTH_FINE;
}

/* PAM that is broken closes the name, so that nobody has a process made without end; not the
 * address, where users with passwords of their own may be. */
static enum auth_result refuse_unasked(struct auth *auth, const struct attempt *attempt)
{
    (void)pthread_mutex_lock(&auth->lock);
    tries_forgive(&auth->addresses, attempt->marks.address);
    (void)pthread_mutex_unlock(&auth->lock);
    return AUTH_BROKEN;
}

/* AUTH_FINE: it fits. Only for names of the file: PAM knows many more, and is not asked for them.
 */
static enum auth_result try_pam(struct auth *auth, const struct attempt *attempt,
                                char why[ERROR_MESSAGE_MAX])
{
    const struct pam_question question = {
        .name = attempt->user.name,
        .password = attempt->credentials->password,
        .remote = attempt->remote,
    };

    switch (pam_check_ask(&auth->pam, &question, why)) {
    case PAM_CHECK_RIGHT:
        return AUTH_FINE;
    case PAM_CHECK_WRONG:
        return AUTH_REFUSED;
    case PAM_CHECK_BROKEN:
        break;
    }
    return refuse_unasked(auth, attempt);
}

static enum auth_result try_password(struct auth *auth, struct attempt *attempt,
                                     struct cim_caller *out, char why[ERROR_MESSAGE_MAX])
{
    enum auth_result result = AUTH_REFUSED;

    (void)pthread_mutex_lock(&auth->lock);
    bool is_decided = begin_locked(auth, attempt, out, &result, why);
    (void)pthread_mutex_unlock(&auth->lock);
    if (is_decided) {
        return result;
    }
    result = attempt->is_user && users_asks_pam(&attempt->user) ? try_pam(auth, attempt, why)
                                                                : try_hash(attempt, why);
    if (result != AUTH_FINE) {
        return result;
    }
    (void)pthread_mutex_lock(&auth->lock);
    result = end_locked(auth, attempt, out, why);
    (void)pthread_mutex_unlock(&auth->lock);
    return result;
}

/* What is no name and password counts for the address. */
static enum auth_result refuse_malformed(struct auth *auth, const char *remote,
                                         const struct error *err, char why[ERROR_MESSAGE_MAX])
{
    uint64_t now_ns = env_now_ns(auth->env);
    uint8_t key[MAC_BYTES];
    enum auth_result result = refuse(why, err->message);

    if (!mark_address(auth, remote, key)) {
        return result;
    }
    (void)pthread_mutex_lock(&auth->lock);
    if (tries_is_locked(&auth->addresses, key, now_ns)) {
        result = refuse_locked(why);
    } else {
        tries_count(&auth->addresses, key, now_ns);
    }
    (void)pthread_mutex_unlock(&auth->lock);
    return result;
}

static enum auth_result check_password(struct auth *auth, const struct auth_offer *offer,
                                       struct cim_caller *out, char why[ERROR_MESSAGE_MAX])
{
    CLEANUP(credentials_wipe) struct credentials credentials = {0};
    struct attempt attempt = {.credentials = &credentials, .remote = offer->remote};
    struct error err = {0};

    /* Clients that can do more try another scheme first: that is no wrong password. */
    if (!credentials_are_basic(offer->authorization)) {
        return refuse(why, "the scheme is not Basic");
    }
    if (credentials_parse(offer->authorization, &credentials, &err) < 0) {
        return refuse_malformed(auth, offer->remote, &err, why);
    }
    if (!mark(auth, offer->remote, &credentials, &attempt.marks)) {
        return refuse(why, "no keyed hash can be computed");
    }
    return try_password(auth, &attempt, out, why);
}

enum auth_result auth_check(struct auth *auth, const struct auth_offer *offer,
                            struct cim_caller *out, char why[ERROR_MESSAGE_MAX])
{
    if (offer->is_twice) {
        return refuse(why, "there are several Authorization headers");
    }
    /* Who gives a password is judged by it, whatever else he shows. */
    if (offer->authorization != NULL) {
        return check_password(auth, offer, out, why);
    }
    if (offer->fingerprint != NULL && offer->fingerprint[0] != '\0') {
        return check_certificate(auth, offer, out, why);
    }
    return refuse(why, "there are no credentials");
}
