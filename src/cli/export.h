/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * export.h - the disks that a server offers, each under a name: `--export
 * NAME=PATH[,format=FMT][,read-only][,create]`. A comma in PATH is written twice.
 *
 * The sessions of one server are processes; a lock for each export sees to it that one is never
 * written by a session while another uses it, whatever kind of disk it is.
 */
#ifndef RESILVER_CLI_EXPORT_H
#define RESILVER_CLI_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

struct export
{
    char name[EXPORT_NAME_MAX];
    char path[PATH_TEXT_MAX];
    char format[16];   /* "": by the file's name */
    bool is_read_only; /* never a target, except of a compare */
    bool can_create;   /* may be made, made larger, and cut */
};

struct exports {
    uint32_t count;
    struct export *list; /* owned; room for EXPORTS_MAX */
    int lock_file_fd; /* a file of no name with one byte for each export; shared by all sessions */
    int lock_fd;      /* this session's own; -1 before its first lock */
};

/* exports_init - Errors: ERR_LIMIT. */
MUST_CHECK int exports_init(struct exports *exports, struct error *err);
void exports_done(struct exports *exports);

/* exports_add - one --export. Errors: ERR_USAGE: not of that form, the name given twice, too many.
 * The format is not looked at. */
MUST_CHECK int exports_add(struct exports *exports, const char *text, struct error *err);

/* exports_find - the export of exactly that name, NULL if there is none. */
const struct export *exports_find(const struct exports *exports, const char *name);

/*
 * exports_lock - hold an export to the end of this process: for writing alone, for reading with
 * other readers. To be called in the session's own process. Once a session and export. Errors:
 * ERR_WRONG_STATE another session has it (says for what); ERR_IO.
 */
MUST_CHECK int exports_lock(struct exports *exports, const struct export *export, bool write,
                            struct error *err);

#endif
