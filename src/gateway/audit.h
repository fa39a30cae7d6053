/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit.h - who did what: one JSON object a line, appended and flushed before the answer goes out.
 * Every refused login, every method call and change, whatever came of it; no passwords, no bodies.
 *
 *   {"time", "protocol", "remote", "user", "operation", "object", "arguments", "result", "message"}
 */
#ifndef RESILVER_GATEWAY_AUDIT_H
#define RESILVER_GATEWAY_AUDIT_H

#include <sys/types.h>

#include "base/env.h"
#include "base/error.h"

struct audit;

/* audit_log_open - path NULL or "": to the log (stderr, journald) only. The file is made 0640. */
MUST_CHECK int audit_log_open(const struct env *env, const char *path, struct audit **out,
                              struct error *err);
void audit_log_close(struct audit *audit);

/* audit_reopen - after the file was renamed: from now on into a new one. On failure the old one
 * stays. */
MUST_CHECK int audit_reopen(struct audit *audit, struct error *err);

/* audit_give - the file is somebody's from now on: whoever the process will be, who opens it anew.
 */
MUST_CHECK int audit_give(const struct audit *audit, uid_t user, gid_t group, struct error *err);

struct audit_entry {
    const char *protocol; /* "wsman", "cimxml" */
    const char *remote;
    const char *user;      /* "": nobody */
    const char *operation; /* "login", "Msvm_ReplicationService.Resynchronize", "Put" */
    const char *object;    /* a path; "" */
    const char *arguments; /* those that are no embedded instances: "ComputerSystem=...,
                              StartTime=..." */
    const char *result;    /* "4096 Method Parameters Checked - Job Started", "refused" */
    const char *message;   /* "" */
};

/* audit_write - ERR_IO: it could not be written; the caller refuses what was asked when nothing has
 * been done yet. Safe in several threads. */
MUST_CHECK int audit_write(struct audit *audit, const struct audit_entry *entry, struct error *err);

/* audit_note - the same of what has happened already: a line that cannot be written is said in the
 * log, and nothing is undone. */
void audit_note(struct audit *audit, const struct audit_entry *entry);

#endif
