/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "replica/authorize.h"

#include <string.h>

/* The least that a caller must be; NOBODY: nobody may, whatever he is. */
static enum caller_role least_role(enum operation operation)
{
    switch (operation) {
    case OPERATION_INVALID:
        return CALLER_NOBODY;
    case OPERATION_READ:
        return CALLER_VIEWER;
    case OPERATION_RESYNC:
        return CALLER_OPERATOR;
    case OPERATION_CONFIGURE:
    case OPERATION_TRUST:
    case OPERATION_BACKUP:
        return CALLER_ADMINISTRATOR;
    }
    return CALLER_NOBODY;
}

const char *caller_role_name(enum caller_role role)
{
    switch (role) {
    case CALLER_NOBODY:
        return "nobody";
    case CALLER_VIEWER:
        return "viewer";
    case CALLER_OPERATOR:
        return "operator";
    case CALLER_ADMINISTRATOR:
        return "administrator";
    case CALLER_SERVICE:
        return "service";
    }
    return "unknown";
}

bool caller_role_find(const char *name, enum caller_role *out)
{
    for (enum caller_role role = CALLER_VIEWER; role <= CALLER_ADMINISTRATOR; role++) {
        if (strcmp(caller_role_name(role), name) == 0) {
            *out = role;
            return true;
        }
    }
    return false;
}

/* Each role has all that the one before it has. A number that is none of them has nothing. */
static bool role_suffices(enum caller_role role, enum caller_role least)
{
    switch (role) {
    case CALLER_NOBODY:
        return false;
    case CALLER_VIEWER:
    case CALLER_OPERATOR:
    case CALLER_ADMINISTRATOR:
    case CALLER_SERVICE:
        return least != CALLER_NOBODY && role >= least;
    }
    return false;
}

static const char *article(enum caller_role role)
{
    return role == CALLER_OPERATOR || role == CALLER_ADMINISTRATOR ? "an" : "a";
}

int authorize(const struct caller *caller, enum operation operation, struct error *err)
{
    enum caller_role least = least_role(operation);

    if (role_suffices(caller->role, least)) {
        return 0;
    }
    if (least == CALLER_NOBODY) {
        return fail(err, ERR_USAGE, 0,
                    "nobody may do what '%s' asks for: there is no such operation", caller->name);
    }
    if (caller->role == CALLER_NOBODY) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' has no role here; this needs %s %s, whom an administrator names in the "
                    "[control] section of the configuration",
                    caller->name, article(least), caller_role_name(least));
    }
    return fail(err, ERR_USAGE, 0, "'%s' is %s %s; this needs %s %s", caller->name,
                article(caller->role), caller_role_name(caller->role), article(least),
                caller_role_name(least));
}
