/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * authorize.h - who may do what: the one question that every request passes. Zero is nobody.
 */
#ifndef RESILVER_REPLICA_AUTHORIZE_H
#define RESILVER_REPLICA_AUTHORIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

enum caller_role {
    CALLER_NOBODY = 0,
    CALLER_VIEWER = 1,
    CALLER_OPERATOR = 2,
    CALLER_ADMINISTRATOR = 3,
    CALLER_SERVICE = 4 /* this daemon itself: its schedules */
};

struct caller {
    enum caller_role role;
    char name[CALLER_NAME_MAX]; /* "alice", "uid 1003": job owner, audit log */
};

enum operation {
    OPERATION_INVALID = 0,
    OPERATION_READ,      /* viewer */
    OPERATION_RESYNC,    /* operator: resynchronize, suspend, resume, cancel, jobs */
    OPERATION_CONFIGURE, /* administrator: relationships, their settings */
    OPERATION_TRUST,     /* administrator: hosts, pairing, authorization entries */
    OPERATION_BACKUP     /* administrator: the whole state */
};

/* authorize - Returns 0 or fails with ERR_USAGE ("'bob' is a viewer; this needs an operator"); the
 * caller of this turns it into RETURN_ACCESS_DENIED. */
MUST_CHECK int authorize(const struct caller *caller, enum operation operation, struct error *err);

const char *caller_role_name(enum caller_role role);

/* caller_role_find - of what a person may be: viewer, operator, administrator. False: none is so
 * called. */
MUST_CHECK bool caller_role_find(const char *name, enum caller_role *out);

#endif
