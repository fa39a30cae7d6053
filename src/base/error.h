/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * error.h - what went wrong, said once, by whoever knew it.
 *
 * A function that can fail returns 0 or more on success and -1 on failure, and takes `struct error
 * *err` as its last parameter (NULL: the caller does not want the words). On failure it sets err
 * once and leaves every other output untouched; on success it does not touch err. Nobody logs and
 * returns: the top of the call chain prints once.
 */
#ifndef RESILVER_BASE_ERROR_H
#define RESILVER_BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/limits.h"

/* The kind decides retry, exit status, JSON "kind" and (later) HTTP and CIM codes. The numbers go
 * over the wire. */
enum error_kind {
    ERR_NONE = 0,        /* no error */
    ERR_IO = 1,          /* a disk or file failed or is not there */
    ERR_PEER = 2,        /* the other host, the link to it, or what it said */
    ERR_WRONG_STATE = 3, /* in use, sizes differ, changed while read (ERR_STATE is OpenSSL's) */
    ERR_LIMIT = 4,       /* no memory, no space, a named limit is reached */
    ERR_USAGE = 5,       /* the caller asked for what cannot be */
    ERR_INTERNAL = 6,    /* our own mistake */
    ERR_CANCELLED = 7    /* a person or a signal stopped it */
};
#define ERROR_KIND_MAX ERR_CANCELLED

struct error {
    enum error_kind kind;
    int errnum;                      /* errno, 0 if none */
    bool has_offset;                 /* offset_bytes is meaningful */
    uint64_t offset_bytes;           /* where on the disk */
    char disk[ERROR_DISK_MAX];       /* which disk as its user named it, "" if none */
    char message[ERROR_MESSAGE_MAX]; /* one sentence: the thing, the cause, the cure; no newline */
};

/*
 * fail - set err and return -1, so that `return fail(err, ...)` is the whole error path.
 *
 * @errnum  0, or an errno whose text is appended to the message after ": "
 */
int fail(struct error *err, enum error_kind kind, int errnum, const char *format, ...)
    FORMAT_AT(4, 5);

#ifdef __clang_analyzer__
/* The static analyzer sees one file at a time; this tells it what fail() returns. */
#define fail(...)                                                                                  \
    ({                                                                                             \
        (void)fail(__VA_ARGS__);                                                                   \
        -1;                                                                                        \
    })
#endif

/* error_set_disk, error_set_offset - add where it happened, unless that is known already. err may
 * be NULL. */
void error_set_disk(struct error *err, const char *disk);
void error_set_offset(struct error *err, uint64_t offset_bytes);

/* error_kind_name - "io", "peer", ...: the word in JSON and logs. Never NULL. */
const char *error_kind_name(enum error_kind kind);

#endif
