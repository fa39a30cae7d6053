/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * users_write.c - the users' file, changed: every line that is not meant stays as it is. The new
 * file is made beside it and takes its place whole, or not at all; a lock on the folder keeps two
 * changes from losing one of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/open.h"
#include "config/users_internal.h"

#define USERS_MODE 0640

/* --- one user as a line ---------------------------------------------------------------------- */

static void write_encoded(FILE *file, const char *name)
{
    for (; *name != '\0'; name++) {
        unsigned char c = (unsigned char)*name;
        if (c < 0x20 || c == 0x7f || strchr(":,=%", c) != NULL) {
            (void)fprintf(file, "%%%02X", c);
        } else {
            (void)fputc(c, file);
        }
    }
}

/* Failures are seen when the file is closed. */
static void write_user(FILE *file, const struct user *user)
{
    (void)fprintf(file, "%s:%s:%s", user->name, user->hash, user_role_name(user->role));
    for (uint32_t i = 0; i < user->vm_count; i++) {
        (void)fputc(i == 0 ? ':' : ',', file);
        write_encoded(file, user->vms[i].vm);
        (void)fprintf(file, "=%s", user_role_name(user->vms[i].role));
    }
    if (user->fingerprint[0] != '\0') {
        (void)fprintf(file, ":%s", user->fingerprint);
    }
    (void)fputc('\n', file);
}

static int check_user(const struct user *user, struct error *err)
{
    char fingerprint[FINGERPRINT_TEXT_MAX];

    if (!users_is_name(user->name)) {
        return fail(err, ERR_USAGE, 0,
                    "a user's name has 1 to %d bytes, no colon, no control character, no blank at "
                    "its ends and no # at its beginning",
                    CALLER_NAME_MAX - 1);
    }
    if (strpbrk(user->hash, ":\n") != NULL || !users_is_hash(user->hash)) {
        return fail(err, ERR_USAGE, 0, "the hash of '%s' is none that crypt(3) makes", user->name);
    }
    if (user->vm_count > CALLER_VMS_MAX) {
        return fail(err, ERR_USAGE, 0, "'%s' has roles for more than %u VMs", user->name,
                    CALLER_VMS_MAX);
    }
    if (user->fingerprint[0] != '\0' && !users_is_fingerprint(user->fingerprint, fingerprint)) {
        return fail(err, ERR_USAGE, 0,
                    "the fingerprint of '%s' is no SHA-256 in 64 hexadecimal digits", user->name);
    }
    return 0;
}

/* Refused here, so that no file is written that would not be read. */
static int check_among(const struct users *users, const struct user *user, struct error *err)
{
    const struct user *old = users_find(users, user->name);

    if (old == NULL && users->count == USERS_MAX) {
        return fail(err, ERR_LIMIT, 0, "there are %u users already, which is the most", USERS_MAX);
    }
    for (uint32_t i = 0; i < users->count && user->fingerprint[0] != '\0'; i++) {
        const struct user *other = &users->all[i];
        if (other != old && strcasecmp(other->fingerprint, user->fingerprint) == 0) {
            return fail(err, ERR_USAGE, 0, "the user '%s' has this certificate already",
                        other->name);
        }
    }
    return 0;
}

/* --- a file for another ---------------------------------------------------------------------- */

struct rewrite {
    const char *path; /* borrowed */
    char new_path[PATH_TEXT_MAX + 8];
    char folder[PATH_TEXT_MAX];
    int folder_fd;
    struct stat old; /* of the file that is replaced */
    bool has_old;
};

static int fill_paths(struct rewrite *rewrite, const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    size_t len_bytes = slash == NULL ? 0 : (size_t)(slash - path);

    if (strlen(path) >= PATH_TEXT_MAX) {
        return fail(err, ERR_USAGE, 0, "the path of the users' file is too long");
    }
    (void)snprintf(rewrite->new_path, sizeof rewrite->new_path, "%s.new", path);
    (void)snprintf(rewrite->folder, sizeof rewrite->folder, "%.*s", (int)len_bytes, path);
    if (len_bytes == 0) {
        (void)snprintf(rewrite->folder, sizeof rewrite->folder, slash == NULL ? "." : "/");
    }
    rewrite->path = path;
    return 0;
}

/* The folder is what stays when the file is replaced. */
static int begin(struct rewrite *rewrite, const char *path, struct error *err)
{
    if (fill_paths(rewrite, path, err) < 0) {
        return -1;
    }
    rewrite->folder_fd = open_path(rewrite->folder, O_RDONLY | O_DIRECTORY);
    if (rewrite->folder_fd < 0) {
        return fail(err, ERR_IO, errno, "cannot open the folder '%.512s' of the users' file",
                    rewrite->folder);
    }
    if (flock(rewrite->folder_fd, LOCK_EX) < 0) {
        (void)fail(err, ERR_IO, errno, "cannot lock the folder '%.512s'", rewrite->folder);
        (void)close(rewrite->folder_fd); /* nothing was written to it */
        return -1;
    }
    rewrite->has_old = stat(path, &rewrite->old) == 0;
    return 0;
}

static void end(const struct rewrite *rewrite)
{
    (void)close(rewrite->folder_fd); /* and the lock goes with it */
}

/* As the old one: who may read it was somebody's decision. */
static int fit_owner(const struct rewrite *rewrite, int fd, struct error *err)
{
    mode_t mode = rewrite->has_old ? rewrite->old.st_mode & 0777 : USERS_MODE;
    struct stat made;

    if (fstat(fd, &made) < 0) {
        return fail(err, ERR_IO, errno, "cannot look at '%.512s'", rewrite->new_path);
    }
    bool is_same = made.st_uid == rewrite->old.st_uid && made.st_gid == rewrite->old.st_gid;
    if (rewrite->has_old && !is_same && fchown(fd, rewrite->old.st_uid, rewrite->old.st_gid) < 0) {
        return fail(err, ERR_IO, errno, "cannot give '%.512s' the owner and group of the old file",
                    rewrite->new_path);
    }
    if (fchmod(fd, mode) < 0) {
        return fail(err, ERR_IO, errno, "cannot set the mode of '%.512s'", rewrite->new_path);
    }
    return 0;
}

static FILE *open_new(const struct rewrite *rewrite, struct error *err)
{
    (void)unlink(rewrite->new_path); /* of one who was killed while he wrote; we have the lock */
    int fd = open_at(AT_FDCWD, rewrite->new_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)fail(err, ERR_IO, errno, "cannot make '%.512s'", rewrite->new_path);
        return NULL;
    }
    FILE *file = fit_owner(rewrite, fd, err) < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL) {
        (void)close(fd);                 /* it is thrown away */
        (void)unlink(rewrite->new_path); /* the next one does it, too */
    }
    return file;
}

/* Takes file. */
static int put_in_place(const struct rewrite *rewrite, FILE *file, struct error *err)
{
    bool is_written = fflush(file) == 0 && ferror(file) == 0 && fsync(fileno(file)) == 0;
    int errnum = errno;

    if (fclose(file) != 0 && is_written) {
        is_written = false;
        errnum = errno;
    }
    if (!is_written) {
        (void)unlink(rewrite->new_path); /* the next one does it, too */
        return fail(err, ERR_IO, errnum, "cannot write '%.512s'", rewrite->new_path);
    }
    if (rename(rewrite->new_path, rewrite->path) < 0) {
        (void)fail(err, ERR_IO, errno, "cannot put '%.512s' in its place", rewrite->new_path);
        (void)unlink(rewrite->new_path); /* the next one does it, too */
        return -1;
    }
    if (fsync(rewrite->folder_fd) < 0) {
        return fail(err, ERR_IO, errno, "cannot flush the folder '%.512s'", rewrite->folder);
    }
    return 0;
}

static bool is_line_of(const char *line, const char *name)
{
    size_t len_bytes = strlen(name);

    return strncmp(line, name, len_bytes) == 0 && line[len_bytes] == ':';
}

/* The old lines, with `user` (NULL: nobody) in the place of the one of his name, or after them. */
static int copy_lines(const struct rewrite *rewrite, const char *name, const struct user *user,
                      FILE *to, struct error *err)
{
    FILE *from = rewrite->has_old ? fopen(rewrite->path, "re") : NULL;
    char *line = NULL;
    size_t room_bytes = 0;
    ssize_t len_bytes = 0;

    if (rewrite->has_old && from == NULL) {
        return fail(err, ERR_IO, errno, "cannot open the users' file '%.512s'", rewrite->path);
    }
    while (from != NULL && (len_bytes = getline(&line, &room_bytes, from)) >= 0) {
        if (!is_line_of(line, name)) {
            (void)fputs(line, to); /* failures are seen when the file is closed */
            if (len_bytes > 0 && line[len_bytes - 1] != '\n') {
                (void)fputc('\n', to);
            }
        } else if (user != NULL) {
            write_user(to, TAKE(user));
        }
    }
    bool is_broken = from != NULL && ferror(from);
    free(line);
    if (from != NULL) {
        (void)fclose(from); /* only read from */
    }
    if (is_broken) {
        return fail(err, ERR_IO, errno, "cannot read the users' file '%.512s'", rewrite->path);
    }
    if (user != NULL) {
        write_user(to, user);
    }
    return 0;
}

static int rewrite_file(const struct rewrite *rewrite, const char *name, const struct user *user,
                        struct error *err)
{
    FILE *file = open_new(rewrite, err);

    if (file == NULL) {
        return -1;
    }
    if (copy_lines(rewrite, name, user, file, err) < 0) {
        (void)fclose(file);              /* it is thrown away */
        (void)unlink(rewrite->new_path); /* the next one does it, too */
        return -1;
    }
    return put_in_place(rewrite, file, err);
}

/* --- changes --------------------------------------------------------------------------------- */

/* user NULL: the one of the name goes. A file that cannot be read is not written anew either. */
static int change(const struct rewrite *rewrite, const char *name, const struct user *user,
                  struct error *err)
{
    struct users *users = NULL;

    if (users_load(rewrite->path, &users, err) < 0) {
        return -1;
    }
    int result = 0;
    if (user != NULL) {
        result = check_among(users, user, err);
    } else if (users_find(users, name) == NULL) {
        result = fail(err, ERR_USAGE, 0, "there is no user '%s' in '%.512s'", name, rewrite->path);
    }
    users_free(users);
    return result < 0 ? -1 : rewrite_file(rewrite, name, user, err);
}

int users_set(const char *path, const struct user *user, struct error *err)
{
    struct rewrite rewrite = {0};

    if (check_user(user, err) < 0 || begin(&rewrite, path, err) < 0) {
        return -1;
    }
    int result = change(&rewrite, user->name, user, err);
    end(&rewrite);
    return result;
}

int users_remove(const char *path, const char *name, struct error *err)
{
    struct rewrite rewrite = {0};

    if (begin(&rewrite, path, err) < 0) {
        return -1;
    }
    int result = change(&rewrite, name, NULL, err);
    end(&rewrite);
    return result;
}
