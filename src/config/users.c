/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * users.c - the users' file, read. What is wrong in it makes all of it wrong: a line that is
 * skipped would be a user who is missed, or one who stays.
 */
#include "config/users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/open.h"
#include "config/users_internal.h"

static const char *const role_names[] = {
    [USER_NOBODY] = "none",
    [USER_VIEWER] = "viewer",
    [USER_OPERATOR] = "operator",
    [USER_ADMINISTRATOR] = "administrator",
};

const char *user_role_name(enum user_role role)
{
    return (size_t)role < ARRAY_COUNT(role_names) ? role_names[role] : "none";
}

bool user_role_parse(const char *text, enum user_role *out)
{
    for (size_t i = 0; i < ARRAY_COUNT(role_names); i++) {
        if (strcmp(text, role_names[i]) == 0) {
            *out = (enum user_role)i;
            return true;
        }
    }
    return false;
}

/* --- one line -------------------------------------------------------------------------------- */

/* Where in the file: for the sentences. */
struct reading {
    const char *path;
    uint32_t line;
    struct error *err;
};

static int fail_line(const struct reading *reading, const char *what)
{
    return fail(reading->err, ERR_USAGE, 0, "%.512s:%u: %s", reading->path, reading->line, what);
}

/* Cuts text at the next `mark`: returns what follows, NULL when there is none. */
static char *cut(char *text, char mark)
{
    char *at = strchr(text, mark);

    if (at == NULL) {
        return NULL;
    }
    *at = '\0';
    return at + 1;
}

bool users_is_name(const char *name)
{
    size_t len_bytes = strlen(name);

    if (len_bytes == 0 || len_bytes >= CALLER_NAME_MAX || name[0] == '#') {
        return false;
    }
    for (size_t i = 0; i < len_bytes; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c < 0x20 || c == 0x7f || c == ':') {
            return false;
        }
    }
    return name[0] != ' ' && name[len_bytes - 1] != ' ';
}

bool users_is_hash(const char *hash)
{
    return hash[0] == '$' || strcmp(hash, USER_HASH_PAM) == 0 || strcmp(hash, USER_HASH_NONE) == 0;
}

bool users_asks_pam(const struct user *user)
{
    return strcmp(user->hash, USER_HASH_PAM) == 0;
}

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    char lower = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
    const char *at = lower == '\0' ? NULL : strchr(digits, lower);

    return at == NULL ? -1 : (int)(at - digits);
}

/* %XX back to bytes; a NUL cannot be in a name. */
static bool decode(const char *text, char out[VM_NAME_MAX])
{
    size_t used = 0;

    for (; *text != '\0'; text++) {
        char c = *text;
        if (c == '%') {
            int high = digit_of(text[1]);
            int low = high < 0 ? -1 : digit_of(text[2]);
            if (low < 0 || high * 16 + low == 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            text += 2;
        }
        if (used + 1 >= VM_NAME_MAX) {
            return false;
        }
        out[used++] = c;
    }
    out[used] = '\0';
    return used > 0;
}

static int take_vm(const struct reading *reading, char *text, struct user *user)
{
    char *role = cut(text, '=');
    struct user_vm vm = {0};

    if (role == NULL || !decode(text, vm.vm) || !user_role_parse(role, &vm.role)) {
        return fail_line(reading, "a VM's role is VM=ROLE, with ROLE one of none, viewer, "
                                  "operator, administrator");
    }
    if (user->vm_count == CALLER_VMS_MAX) {
        return fail_line(reading, "the user has roles for too many VMs; 64 are the most");
    }
    struct user_vm *vms = reallocarray(user->vms, user->vm_count + 1, sizeof *vms);
    if (vms == NULL) {
        return fail(reading->err, ERR_LIMIT, ENOMEM, "out of memory for the users of '%.512s'",
                    reading->path);
    }
    user->vms = vms;
    vms[user->vm_count++] = vm;
    return 0;
}

static int take_vms(const struct reading *reading, char *text, struct user *user)
{
    while (text != NULL) {
        char *next = cut(text, ',');
        if (take_vm(reading, text, user) < 0) {
            return -1;
        }
        text = next;
    }
    return 0;
}

bool users_is_fingerprint(const char *text, char out[FINGERPRINT_TEXT_MAX])
{
    if (strlen(text) != FINGERPRINT_TEXT_MAX - 1) {
        return false;
    }
    for (size_t i = 0; i < FINGERPRINT_TEXT_MAX - 1; i++) {
        int digit = digit_of(text[i]);
        if (digit < 0) {
            return false;
        }
        out[i] = "0123456789abcdef"[digit];
    }
    out[FINGERPRINT_TEXT_MAX - 1] = '\0';
    return true;
}

/* What follows the role: VMs have an equals sign, a fingerprint has none. */
static int take_rest(const struct reading *reading, char *text, struct user *user)
{
    char *fingerprint = cut(text, ':');

    if (strchr(text, '=') == NULL && fingerprint == NULL) {
        fingerprint = text;
        text = NULL;
    }
    if (text != NULL && text[0] != '\0' && take_vms(reading, text, user) < 0) {
        return -1;
    }
    if (fingerprint != NULL && !users_is_fingerprint(fingerprint, user->fingerprint)) {
        return fail_line(reading, "a certificate's fingerprint is its SHA-256 in 64 hexadecimal "
                                  "digits");
    }
    return 0;
}

static int take_fields(const struct reading *reading, char *text, struct user *user)
{
    char *hash = cut(text, ':');
    char *role = hash == NULL ? NULL : cut(hash, ':');
    char *rest = role == NULL ? NULL : cut(role, ':');

    if (role == NULL || !users_is_name(text)) {
        return fail_line(reading, "a user is NAME:HASH:ROLE; 'resilver gateway user add' writes "
                                  "such lines");
    }
    if (strlen(hash) >= USER_HASH_MAX || !users_is_hash(hash)) {
        return fail_line(reading, "the hash is none that crypt(3) makes, not 'pam' and not '*'");
    }
    if (!user_role_parse(role, &user->role)) {
        return fail_line(reading, "the role is one of none, viewer, operator, administrator");
    }
    (void)snprintf(user->name, sizeof user->name, "%s", text);
    (void)snprintf(user->hash, sizeof user->hash, "%s", hash);
    return rest == NULL ? 0 : take_rest(reading, rest, user);
}

/* --- all of them ----------------------------------------------------------------------------- */

/* Two users of one name, or of one certificate: which of them asks? */
static int check_alone(const struct reading *reading, const struct users *users,
                       const struct user *user)
{
    for (uint32_t i = 0; i < users->count; i++) {
        const struct user *other = &users->all[i];
        if (strcmp(other->name, user->name) == 0) {
            return fail_line(reading, "there is a user of this name already");
        }
        if (user->fingerprint[0] != '\0' && strcmp(other->fingerprint, user->fingerprint) == 0) {
            return fail_line(reading, "another user has this certificate already");
        }
    }
    return 0;
}

static int take_user(const struct reading *reading, char *text, struct users *users)
{
    struct user user = {0};

    if (take_fields(reading, text, &user) < 0 || check_alone(reading, users, &user) < 0) {
        free(user.vms);
        return -1;
    }
    if (users->count == USERS_MAX) {
        free(user.vms);
        return fail(reading->err, ERR_LIMIT, 0, "%.512s:%u: there are more than %u users",
                    reading->path, reading->line, USERS_MAX);
    }
    users->all[users->count++] = user;
    return 0;
}

/* A line that is no user's. */
static bool is_blank(const char *text)
{
    return text[0] == '#' || text[strspn(text, " \t")] == '\0';
}

static int read_lines(FILE *file, const char *path, struct users *users, struct error *err)
{
    struct reading reading = {.path = path, .err = err};
    char *text = NULL;
    size_t room_bytes = 0;
    ssize_t len_bytes = 0;
    int result = 0;

    while (result == 0 && (len_bytes = getline(&text, &room_bytes, file)) >= 0) {
        reading.line++;
        if (len_bytes > 0 && text[len_bytes - 1] == '\n') {
            text[--len_bytes] = '\0';
        }
        if (strlen(text) != (size_t)len_bytes) {
            result = fail_line(&reading, "there is a NUL in the line");
        } else if (!is_blank(text)) {
            result = take_user(&reading, text, users);
        }
    }
    free(text);
    if (result == 0 && ferror(file)) {
        return fail(err, ERR_IO, errno, "cannot read the users' file '%.512s'", path);
    }
    return result;
}

/* Whoever can write here gives himself any role; the hashes are for nobody's eyes. */
static int check_mode(const char *path, const struct stat *info, struct error *err)
{
    if (!S_ISREG(info->st_mode)) {
        return fail(err, ERR_WRONG_STATE, 0, "the users' file '%.512s' is no file", path);
    }
    if ((info->st_mode & 022) != 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "others than its owner may write to the users' file '%.512s': chmod 0640 it",
                    path);
    }
    if ((info->st_mode & 004) != 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "everybody may read the users' file '%.512s': chmod 0640 it", path);
    }
    return 0;
}

/* *out NULL: there is none. */
static int open_file(const char *path, FILE **out, struct error *err)
{
    struct stat info;

    /* Not to wait for the writer of a named pipe: all logins would wait with us. */
    int fd = open_path(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        *out = NULL;
        return 0;
    }
    if (fd < 0) {
        return fail(err, ERR_IO, errno, "cannot open the users' file '%.512s'", path);
    }
    int result = fstat(fd, &info) < 0
                     ? fail(err, ERR_IO, errno, "cannot look at the users' file '%.512s'", path)
                     : check_mode(path, &info, err);
    FILE *file = result < 0 ? NULL : fdopen(fd, "r");
    if (result == 0 && file == NULL) {
        result = fail(err, ERR_LIMIT, ENOMEM, "out of memory for the users of '%.512s'", path);
    }
    if (result < 0) {
        (void)close(fd); /* only looked at */
        return -1;
    }
    *out = file;
    return 0;
}

static struct users *make_users(void)
{
    struct users *users = calloc(1, sizeof *users);

    if (users != NULL) {
        users->all = calloc(USERS_MAX, sizeof *users->all);
    }
    if (users != NULL && users->all == NULL) {
        free(TAKE(users));
    }
    return users;
}

int users_load(const char *path, struct users **out, struct error *err)
{
    FILE *file = NULL;

    if (open_file(path, &file, err) < 0) {
        return -1;
    }
    struct users *users = make_users();
    int result = users == NULL
                     ? fail(err, ERR_LIMIT, ENOMEM, "out of memory for the users of '%.512s'", path)
                     : 0;
    if (result == 0 && file != NULL) {
        result = read_lines(file, path, users, err);
    }
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
    if (result < 0) {
        users_free(users);
        return -1;
    }
    *out = users;
    return 0;
}

void users_free(struct users *users)
{
    if (users == NULL) {
        return;
    }
    for (uint32_t i = 0; i < users->count; i++) {
        free(users->all[i].vms);
    }
    free(users->all);
    free(users);
}

const struct user *users_find(const struct users *users, const char *name)
{
    for (uint32_t i = 0; i < users->count; i++) {
        if (strcmp(users->all[i].name, name) == 0) {
            return &users->all[i];
        }
    }
    return NULL;
}
