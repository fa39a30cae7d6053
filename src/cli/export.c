/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/endpoint.h"

int exports_init(struct exports *exports, struct error *err)
{
    struct export *list = calloc(EXPORTS_MAX, sizeof *list);

    if (list == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot read the exports");
    }
    int fd = memfd_create("resilver-exports", MFD_CLOEXEC);
    if (fd < 0) {
        free(list);
        return fail(err, ERR_LIMIT, errno, "cannot make the exports' locks");
    }
    *exports = (struct exports){.list = list, .lock_file_fd = fd, .lock_fd = -1};
    return 0;
}

void exports_done(struct exports *exports)
{
    free(exports->list);
    if (exports->lock_fd >= 0) {
        (void)close(exports->lock_fd); /* a file in memory: nothing is lost */
    }
    if (exports->lock_file_fd >= 0) {
        (void)close(exports->lock_file_fd);
    }
    *exports = (struct exports){.lock_file_fd = -1, .lock_fd = -1};
}

/*
 * Copies up to the next comma that is not doubled, each double one as one. Returns where it ended
 * (at a comma or the end), NULL if there was not enough room.
 */
static const char *take_part(const char *from, char *out, size_t size_bytes)
{
    size_t used = 0;

    for (; *from != '\0'; from++) {
        if (*from == ',') {
            if (from[1] != ',') {
                break;
            }
            from++;
        }
        if (used + 1 >= size_bytes) {
            return NULL;
        }
        out[used++] = *from;
    }
    out[used] = '\0';
    return from;
}

static int take_option(struct export *export, const char *text, struct error *err)
{
    if (strcmp(text, "read-only") == 0) {
        export->is_read_only = true;
        return 0;
    }
    if (strcmp(text, "create") == 0) {
        export->can_create = true;
        return 0;
    }
    if (strncmp(text, "format=", 7) == 0 && strlen(text + 7) < sizeof export->format) {
        (void)snprintf(export->format, sizeof export->format, "%.15s", text + 7);
        return 0;
    }
    return fail(err, ERR_USAGE, 0,
                "export '%s': unknown option '%s'; there are format=FMT, read-only and create (and "
                "a comma within the path is written twice)",
                export->name, text);
}

static int parse_name(struct export *export, const char *text, struct error *err)
{
    const char *equals = strchr(text, '=');
    size_t name_len = equals == NULL ? 0 : (size_t)(equals - text);

    if (name_len == 0 || name_len >= sizeof export->name || equals[1] == '\0' || equals[1] == ',') {
        return fail(err, ERR_USAGE, 0,
                    "export '%s' is not NAME=PATH[,format=FMT][,read-only][,create]", text);
    }
    memcpy(export->name, text, name_len);
    if (!endpoint_is_export_name(export->name)) {
        return fail(err, ERR_USAGE, 0,
                    "export '%s': a name has letters, digits and . _ - / and begins with a letter "
                    "or digit",
                    export->name);
    }
    return 0;
}

static int parse(const char *text, struct export *out, struct error *err)
{
    char option[64];

    if (parse_name(out, text, err) < 0) {
        return -1;
    }
    const char *at = take_part(strchr(text, '=') + 1, out->path, sizeof out->path);
    if (at == NULL) {
        return fail(err, ERR_USAGE, 0, "export '%s': the path is too long", out->name);
    }
    while (*at == ',') {
        at = take_part(at + 1, option, sizeof option);
        if (at == NULL) {
            return fail(err, ERR_USAGE, 0, "export '%s': an option is too long", out->name);
        }
        if (take_option(out, option, err) < 0) {
            return -1;
        }
    }
    if (out->is_read_only && out->can_create) {
        return fail(err, ERR_USAGE, 0, "export '%s' cannot be both read-only and create",
                    out->name);
    }
    return 0;
}

int exports_add(struct exports *exports, const char *text, struct error *err)
{
    if (exports->count == EXPORTS_MAX) {
        return fail(err, ERR_USAGE, 0, "more than %u exports; start another server for the rest",
                    EXPORTS_MAX);
    }
    struct export *export = &exports->list[exports->count];
    *export = (struct export){.is_read_only = false};
    if (parse(text, export, err) < 0) {
        return -1;
    }
    if (exports_find(exports, export->name) != NULL) {
        return fail(err, ERR_USAGE, 0, "two exports have the name '%s'; give each its own",
                    export->name);
    }
    exports->count++;
    return 0;
}

const struct export *exports_find(const struct exports *exports, const char *name)
{
    for (uint32_t i = 0; i < exports->count; i++) {
        if (strcmp(exports->list[i].name, name) == 0) {
            return &exports->list[i];
        }
    }
    return NULL;
}

/*
 * Locks of an open file description belong to all who inherited it, so each session opens the
 * nameless file anew. Source: fcntl(2), open file description locks.
 */
static int open_lock_file(struct exports *exports, struct error *err)
{
    char path[32];

    if (exports->lock_fd >= 0) {
        return 0;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", exports->lock_file_fd);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return fail(err, ERR_IO, errno, "cannot open the exports' locks; is /proc mounted?");
    }
    exports->lock_fd = fd;
    return 0;
}

int exports_lock(struct exports *exports, const struct export *export, bool write,
                 struct error *err)
{
    struct flock lock = {
        .l_type = write ? F_WRLCK : F_RDLCK,
        .l_whence = SEEK_SET,
        .l_start = export - exports->list,
        .l_len = 1,
    };

    if (open_lock_file(exports, err) < 0) {
        return -1;
    }
    if (fcntl(exports->lock_fd, F_OFD_SETLK, &lock) == 0) {
        return 0;
    }
    if (errno != EAGAIN && errno != EACCES) {
        return fail(err, ERR_IO, errno, "export '%s' cannot be locked", export->name);
    }
    return fail(err, ERR_WRONG_STATE, 0,
                "export '%s' is being %s by another session; try again later", export->name,
                write ? "used" : "written");
}
