/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit.c - a line for everything that somebody did or tried to. Lines go to the log as well: the
 * journal is on another disk, or on another machine, and keeps what an intruder would like to lose.
 */
#include "gateway/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/log.h"
#include "base/open.h"

#define AUDIT_MODE 0640

struct audit {
    const struct env *env; /* borrowed */
    char path[PATH_TEXT_MAX];
    pthread_mutex_t lock; /* of fd */
    int fd;               /* -1: to the log only */
    bool is_torn;         /* the last line in the file has no end */
};

static int open_file(const char *path, struct error *err)
{
    /* No link: who may write into the folder could lead us to another file. */
    int fd =
        open_at(AT_FDCWD, path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NOCTTY, AUDIT_MODE);

    return fd >= 0 ? fd : fail(err, ERR_IO, errno, "cannot open the audit log '%.512s'", path);
}

/* Whether the last line has no end: a disk was full, or the machine stopped. Only a file has a
 * last line. */
static bool ends_torn(int fd)
{
    struct stat info;
    char last = '\n';

    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_size == 0) {
        return false;
    }
    /* What cannot be read is taken for torn: an empty line harms nobody. */
    return pread(fd, &last, 1, info.st_size - 1) != 1 || last != '\n';
}

int audit_log_open(const struct env *env, const char *path, struct audit **out, struct error *err)
{
    struct audit *audit = calloc(1, sizeof *audit);

    if (audit == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the audit log");
    }
    audit->env = env;
    audit->fd = -1;
    int len = snprintf(audit->path, sizeof audit->path, "%s", path != NULL ? path : "");
    int result = len < 0 || (size_t)len >= sizeof audit->path
                     ? fail(err, ERR_USAGE, 0, "the path of the audit log is too long")
                     : 0;
    if (result == 0 && audit->path[0] != '\0') {
        audit->fd = open_file(audit->path, err);
        result = audit->fd < 0 ? -1 : 0;
        audit->is_torn = audit->fd >= 0 && ends_torn(audit->fd);
    }
    int refused = result == 0 ? pthread_mutex_init(&audit->lock, NULL) : 0;
    if (refused != 0) {
        result = fail(err, ERR_LIMIT, refused, "cannot make a lock for the audit log");
    }
    if (result < 0) {
        if (audit->fd >= 0) {
            (void)close(audit->fd); /* nothing was written to it */
        }
        free(audit);
        return -1;
    }
    *out = audit;
    return 0;
}

int audit_reopen(struct audit *audit, struct error *err)
{
    if (audit->path[0] == '\0') {
        return 0;
    }
    int fd = open_file(audit->path, err);
    if (fd < 0) {
        return -1;
    }
    (void)pthread_mutex_lock(&audit->lock);
    int old_fd = audit->fd;
    audit->fd = fd;
    audit->is_torn = ends_torn(fd);
    (void)pthread_mutex_unlock(&audit->lock);
    (void)close(old_fd); /* every line was flushed */
    return 0;
}

int audit_give(const struct audit *audit, uid_t user, gid_t group, struct error *err)
{
    if (audit->fd >= 0 && fchown(audit->fd, user, group) < 0) {
        return fail(err, ERR_IO, errno, "cannot give the audit log '%.512s' to its user",
                    audit->path);
    }
    return 0;
}

void audit_log_close(struct audit *audit)
{
    if (audit == NULL) {
        return;
    }
    if (audit->fd >= 0) {
        (void)close(audit->fd); /* every line was flushed */
    }
    (void)pthread_mutex_destroy(&audit->lock); /* nobody has it any more */
    free(audit);
}

/* --- a line ---------------------------------------------------------------------------------- */

/* What is no UTF-8 is text all the same, and must not keep its line from being written. */
static json_t *text_of(const char *text)
{
    const char *value = text != NULL ? text : "";
    json_t *made = json_string(value);

    if (made != NULL) {
        return made;
    }
    char *plain = strdup(value);
    for (char *at = plain; at != NULL && *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80) {
            *at = '?';
        }
    }
    made = plain != NULL ? json_string(plain) : NULL;
    free(plain);
    return made;
}

static json_t *object_of(const struct audit *audit, const struct audit_entry *entry)
{
    char time[INSTANT_TEXT_MAX];
    const struct {
        const char *key;
        const char *value;
    } fields[] = {
        {"time", time},
        {"protocol", entry->protocol},
        {"remote", entry->remote},
        {"user", entry->user},
        {"operation", entry->operation},
        {"object", entry->object},
        {"arguments", entry->arguments},
        {"result", entry->result},
        {"message", entry->message},
    };
    json_t *object = json_object();

    instant_format(env_wall_us(audit->env), time);
    for (size_t i = 0; object != NULL && i < ARRAY_COUNT(fields); i++) {
        if (json_object_set_new(object, fields[i].key, text_of(fields[i].value)) < 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

/* The line with its end; owned. */
static char *line_of(const struct audit *audit, const struct audit_entry *entry, size_t *len_bytes)
{
    json_t *object = object_of(audit, entry);
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    char *line = NULL;

    json_decref(object);
    if (text == NULL) {
        return NULL;
    }
    *len_bytes = strlen(text) + 1;
    line = realloc(text, *len_bytes + 1);
    if (line == NULL) {
        free(text);
        return NULL;
    }
    line[*len_bytes - 1] = '\n';
    line[*len_bytes] = '\0';
    return line;
}

/* *is_torn: a piece of it was written. */
static int write_all(int fd, const char *line, size_t len_bytes, bool *is_torn)
{
    while (len_bytes > 0) {
        ssize_t written = write(fd, line, len_bytes);
        if (written < 0 && errno != EINTR) {
            return -1;
        }
        if (written > 0) {
            line += written;
            len_bytes -= (size_t)written;
            *is_torn = len_bytes > 0;
        }
    }
    return 0;
}

/* A pipe or /dev/null has nothing to flush, and says so. */
static bool flush(int fd)
{
    return fdatasync(fd) == 0 || errno == EINVAL || errno == EROFS;
}

/* After a line that the disk had room for in part, the next begins on one of its own. */
static bool append_locked(struct audit *audit, const char *line, size_t len_bytes)
{
    if (audit->is_torn && write_all(audit->fd, "\n", 1, &audit->is_torn) < 0) {
        return false;
    }
    return write_all(audit->fd, line, len_bytes, &audit->is_torn) == 0 && flush(audit->fd);
}

static int append(struct audit *audit, const char *line, size_t len_bytes, struct error *err)
{
    int result = 0;

    (void)pthread_mutex_lock(&audit->lock);
    if (!append_locked(audit, line, len_bytes)) {
        result = fail(err, ERR_IO, errno, "cannot write the audit log '%.512s'", audit->path);
    }
    (void)pthread_mutex_unlock(&audit->lock);
    return result;
}

static void log_entry(const struct audit_entry *entry)
{
    log_always(LOG_LEVEL_NOTICE, {"event", "audit"}, {"protocol", entry->protocol},
               {"remote", entry->remote}, {"user", entry->user}, {"operation", entry->operation},
               {"object", entry->object}, {"arguments", entry->arguments},
               {"result", entry->result}, {"message", entry->message});
}

int audit_write(struct audit *audit, const struct audit_entry *entry, struct error *err)
{
    size_t len_bytes = 0;
    char *line = NULL;

    log_entry(entry);
    if (audit->path[0] == '\0') {
        return 0;
    }
    line = line_of(audit, entry, &len_bytes);
    if (line == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a line of the audit log");
    }
    int result = append(audit, line, len_bytes, err);
    free(line);
    return result;
}

void audit_note(struct audit *audit, const struct audit_entry *entry)
{
    struct error err = {0};

    if (audit_write(audit, entry, &err) < 0) {
        log_always(LOG_LEVEL_ERROR, {"event", "a line is missing in the audit log"},
                   {"operation", entry->operation}, {"error", err.message});
    }
}
