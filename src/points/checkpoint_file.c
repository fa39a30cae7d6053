/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * checkpoint_file.c
 *
 * 1. Whoever could write a checkpoint could make a resumed run skip blocks. So the directory must
 *    belong to us (or to root) and be writable by nobody else, it must not be a symbolic link, and
 *    the record is opened below the directory's descriptor, never through a link.
 * 2. `checkpoint` is always a whole record: it is written as `checkpoint.new`, flushed, and
 *    renamed.
 */
#include "points/checkpoint_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/open.h"
#include "points/durable.h"

#define RECORD_NAME "checkpoint"
#define NEW_RECORD_NAME RECORD_NAME ".new" /* as durable_replace_at names it */
#define DIR_SUFFIX ".resilver"

#define SHA256_BYTES 32U

/* An escaped device path longer than this is cut and told apart by a digest; with it, it stays
 * below NAME_MAX. */
#define ESCAPED_MAX 180U

/* --- which directory ------------------------------------------------------------------------ */

static bool is_plain(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/* At most ESCAPED_MAX characters of the escaped path, no escape cut in two. Returns whether all of
 * it fitted. */
static bool escape(const char *path, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t used = 0;
    const char *c = path;

    for (; *c != '\0' && used + 3 <= ESCAPED_MAX; c++) {
        if (is_plain(*c)) {
            out[used++] = *c;
        } else {
            out[used++] = '%';
            out[used++] = digits[(unsigned char)*c >> 4];
            out[used++] = digits[(unsigned char)*c & 15];
        }
    }
    out[used] = '\0';
    return *c == '\0';
}

/*
 * The name of a device's directory: no two paths share one. A path that was cut is marked by "%%",
 * which no escape gives, and goes on with its SHA-256.
 */
static bool device_name(const char *path, char out[NAME_MAX + 1])
{
    uint8_t digest[SHA256_BYTES];
    unsigned size_bytes = 0;

    if (escape(path, out)) {
        return true;
    }
    if (EVP_Digest(path, strlen(path), digest, &size_bytes, EVP_sha256(), NULL) != 1) {
        return false;
    }
    size_t used = strlen(out);
    out[used++] = '%';
    out[used++] = '%';
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        (void)snprintf(out + used + 2 * i, 3, "%02x", digest[i]);
    }
    return true;
}

/* Where this user's checkpoints of block devices are kept; false: nowhere. */
static bool state_dir(char out[PATH_TEXT_MAX])
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int used;

    if (geteuid() == 0) {
        used = snprintf(out, PATH_TEXT_MAX, "/var/lib/resilver");
    } else if (state != NULL && state[0] == '/') {
        used = snprintf(out, PATH_TEXT_MAX, "%s/resilver", state);
    } else if (home != NULL && home[0] == '/') {
        /* The default of the XDG Base Directory Specification, which ignores paths that are not
         * absolute. */
        used = snprintf(out, PATH_TEXT_MAX, "%s/.local/state/resilver", home);
    } else {
        return false;
    }
    return used > 0 && used < PATH_TEXT_MAX;
}

/* A device's name must mean the same from every working directory; links are kept, for
 * /dev/disk/by-id outlives sdb. */
static bool absolute_path(const char *path, char out[PATH_TEXT_MAX])
{
    char here[PATH_TEXT_MAX] = "";

    if (path[0] != '/' && (getcwd(here, sizeof here) == NULL || here[0] != '/')) {
        return false;
    }
    const char *between = path[0] == '/' || strcmp(here, "/") == 0 ? "" : "/";
    int used = snprintf(out, PATH_TEXT_MAX, "%s%s%s", here, between, path);
    return used > 0 && used < PATH_TEXT_MAX;
}

void checkpoint_dir_for_device(const char *state, const char *device_path, char out[PATH_TEXT_MAX])
{
    char full[PATH_TEXT_MAX];
    char name[NAME_MAX + 1];

    out[0] = '\0';
    if (!absolute_path(device_path, full) || !device_name(full, name)) {
        return;
    }
    int used = snprintf(out, PATH_TEXT_MAX, "%s/%s", state, name);
    if (used < 0 || used >= PATH_TEXT_MAX) {
        out[0] = '\0';
    }
}

void checkpoint_dir_for(const char *target_path, char out[PATH_TEXT_MAX])
{
    char state[PATH_TEXT_MAX];
    struct stat status;
    const char *slash = strrchr(target_path, '/');
    const char *name = slash == NULL ? target_path : slash + 1;

    out[0] = '\0';
    if (target_path[0] == '\0' || strncmp(target_path, "nbd+unix:", 9) == 0) {
        return;
    }
    /* What is not there yet is going to be a file. */
    if (stat(target_path, &status) == 0 && S_ISBLK(status.st_mode)) {
        if (state_dir(state)) {
            checkpoint_dir_for_device(state, target_path, out);
        }
        return;
    }
    if (strlen(name) + strlen(DIR_SUFFIX) > NAME_MAX) {
        return; /* no directory can have that name: such a target does without */
    }
    int used = snprintf(out, PATH_TEXT_MAX, "%s" DIR_SUFFIX, target_path);
    if (used < 0 || used >= PATH_TEXT_MAX) {
        out[0] = '\0';
    }
}

/* --- the directory -------------------------------------------------------------------------- */

static int fail_io(const char *doing, const char *dir, int errnum, struct error *err)
{
    const char *cure = "";
    enum error_kind kind = ERR_IO;

    switch (errnum) {
    case EACCES:
    case EPERM:
        cure = " (this user must be allowed to write beside the target)";
        break;
    case EROFS:
        cure = " (mount that file system for writing)";
        break;
    case ENOSPC:
    case EDQUOT:
        cure = " (make room there)";
        kind = ERR_LIMIT;
        break;
    default:
        break;
    }
    return fail(err, kind, errnum, "cannot %s the checkpoint in %s%s", doing, dir, cure);
}

/* mkdir with the directories above that are missing, all of them ours alone. Returns 0 or an errno.
 */
static int make_dirs(const char *dir)
{
    char path[PATH_TEXT_MAX];

    (void)snprintf(path, sizeof path, "%s", dir);
    for (char *c = path + 1; path[0] != '\0' && *c != '\0'; c++) {
        if (*c == '/') {
            *c = '\0';
            /* Some file systems say "read-only" or "not allowed" of a directory that is there. */
            int errnum = mkdir(path, 0700) < 0 ? errno : 0;
            if (errnum != 0 && access(path, F_OK) < 0) {
                return errnum;
            }
            *c = '/';
        }
    }
    if (mkdir(path, 0700) < 0) {
        return errno == EEXIST ? 0 : errno;
    }
    if (durable_sync_parent(dir, NULL) < 0) {
        /* The new directory may not survive a power cut: a run that was interrupted then starts
         * again, which is no reason to do without. */
        return 0;
    }
    return 0;
}

/* Invariant 1. Takes nothing: fd stays the caller's. */
static int check_dir(int fd, const char *dir, struct error *err)
{
    struct stat status;

    if (fstat(fd, &status) < 0) {
        return fail_io("look at", dir, errno, err);
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        return fail(
            err, ERR_IO, 0,
            "the checkpoint directory %s belongs to another user (%u): remove it, or run as "
            "that user",
            dir, (unsigned)status.st_uid);
    }
    if ((status.st_mode & 022) != 0) {
        return fail(err, ERR_IO, 0,
                    "others may write to the checkpoint directory %s (mode %04o): remove it", dir,
                    (unsigned)(status.st_mode & 07777));
    }
    return 0;
}

/* Opens the directory and checks it. Returns its descriptor, or -1; *is_missing then tells that
 * there is none (and err was not set). */
static int open_dir(const char *dir, bool *is_missing, struct error *err)
{
    int fd = open_path(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

    *is_missing = fd < 0 && errno == ENOENT;
    if (*is_missing) {
        return -1;
    }
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
        return fail(err, ERR_IO, 0, "%s should be the checkpoint directory and is none: remove it",
                    dir);
    }
    if (fd < 0) {
        return fail_io("reach", dir, errno, err);
    }
    if (check_dir(fd, dir, err) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* --- load ----------------------------------------------------------------------------------- */

/* Reads a record from its beginning; a longer one than the buffer counts as empty. */
static int read_record(int fd, const char *dir, struct span buffer, size_t *out_len_bytes,
                       struct error *err)
{
    size_t filled = 0;
    uint8_t beyond;

    for (;;) {
        bool is_full = filled == buffer.len_bytes;
        ssize_t got = is_full ? read(fd, &beyond, 1)
                              : read(fd, buffer.at + filled, buffer.len_bytes - filled);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_io("read", dir, errno, err);
        }
        if (got == 0 || is_full) {
            *out_len_bytes = got == 0 ? filled : 0;
            return 0;
        }
        filled += (size_t)got;
    }
}

static int load_from(int dir_fd, const char *dir, struct span buffer, size_t *out_len_bytes,
                     struct error *err)
{
    struct stat status;
    /* O_NONBLOCK: a FIFO in its place must not hold us up. */
    int fd = openat(dir_fd, RECORD_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT) {
        *out_len_bytes = 0;
        return 0;
    }
    if (fd < 0 && errno == ELOOP) {
        return fail(err, ERR_IO, 0, "%s/" RECORD_NAME " is a symbolic link: remove it", dir);
    }
    if (fd < 0) {
        return fail_io("open", dir, errno, err);
    }
    int result = 0;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        result = fail(err, ERR_IO, 0, "%s/" RECORD_NAME " is not a file: remove it", dir);
    } else {
        result = read_record(fd, dir, buffer, out_len_bytes, err);
    }
    (void)close(fd);
    return result;
}

int checkpoint_file_load(const char *dir, struct span buffer, size_t *out_len_bytes,
                         struct error *err)
{
    bool is_missing = false;
    int dir_fd = open_dir(dir, &is_missing, err);

    if (is_missing) {
        *out_len_bytes = 0;
        return 0;
    }
    if (dir_fd < 0) {
        return -1;
    }
    int result = load_from(dir_fd, dir, buffer, out_len_bytes, err);
    (void)close(dir_fd);
    return result;
}

/* --- save ----------------------------------------------------------------------------------- */

/* Invariant 2. Returns 0 or an errno. */
static int replace(int dir_fd, struct const_span record)
{
    struct error why = {.kind = ERR_NONE};

    if (durable_replace_at(dir_fd, RECORD_NAME, record, &why) < 0) {
        (void)unlinkat(dir_fd, NEW_RECORD_NAME, 0); /* best effort */
        assert(why.errnum != 0);                    /* 0 would mean that the record was replaced */
        return why.errnum;
    }
    /* If this fails the new record has its name; whether it keeps it after a power cut is unknown.
     */
    return fsync(dir_fd) < 0 ? errno : 0;
}

/* Opens the directory, and makes it if there is none. */
static int ensure_dir(const char *dir, struct error *err)
{
    bool is_missing = false;
    int fd = open_dir(dir, &is_missing, err);

    if (!is_missing) {
        return fd;
    }
    int errnum = make_dirs(dir);
    if (errnum != 0) {
        return fail_io("make a directory for", dir, errnum, err);
    }
    fd = open_dir(dir, &is_missing, err);
    if (is_missing) {
        return fail(err, ERR_IO, 0, "the checkpoint directory %s was removed by somebody else",
                    dir);
    }
    return fd;
}

int checkpoint_file_save(const char *dir, struct const_span record, struct error *err)
{
    int dir_fd = ensure_dir(dir, err);

    if (dir_fd < 0) {
        return -1;
    }
    int errnum = replace(dir_fd, record);
    (void)close(dir_fd);
    return errnum == 0 ? 0 : fail_io("write", dir, errnum, err);
}

/* --- remove --------------------------------------------------------------------------------- */

/* Returns 0 or an errno. */
static int unlink_quietly(int dir_fd, const char *name)
{
    return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? errno : 0;
}

/* Durably: a record that came back after a power cut would describe a run that has been completed.
 */
static int remove_records(int dir_fd)
{
    int errnum = unlink_quietly(dir_fd, RECORD_NAME);

    if (errnum == 0) {
        errnum = unlink_quietly(dir_fd, NEW_RECORD_NAME);
    }
    if (errnum == 0 && fsync(dir_fd) < 0) {
        errnum = errno;
    }
    return errnum;
}

int checkpoint_file_remove(const char *dir, struct error *err)
{
    bool is_missing = false;
    int dir_fd = open_dir(dir, &is_missing, err);

    if (is_missing) {
        return 0;
    }
    if (dir_fd < 0) {
        return -1;
    }
    int errnum = remove_records(dir_fd);
    (void)close(dir_fd);
    if (errnum != 0) {
        return fail_io("remove", dir, errnum, err);
    }
    /* Best effort: what somebody else put there stays, and an empty directory does no harm. */
    (void)rmdir(dir);
    return 0;
}
