/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/acting.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "control/request.h"

/* What was sent; counted, because of two that differ the service could believe the one and whoever
 * looks at the connection the other. */
struct acting {
    const char *user; /* borrowed from the connection */
    const char *role;
    unsigned int users;
    unsigned int roles;
};

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct acting *acting = context;

    (void)kind;
    if (strcasecmp(name, ACTING_USER_HEADER) == 0) {
        acting->user = value != NULL ? value : "";
        acting->users++;
    } else if (strcasecmp(name, ACTING_ROLE_HEADER) == 0) {
        acting->role = value != NULL ? value : "";
        acting->roles++;
    }
    return MHD_YES;
}

/* A name that ends up in the log, in jobs and in events. */
static int read_user(const char *encoded, char *out, size_t size_bytes, struct error *err)
{
    struct const_span span = {(const uint8_t *)encoded, strlen(encoded)};
    struct error why = {0};

    if (request_decode(span, out, size_bytes, &why) < 0) {
        return fail(err, ERR_USAGE, 0, ACTING_USER_HEADER ": %s", why.message);
    }
    if (out[0] == '\0') {
        return fail(err, ERR_USAGE, 0, ACTING_USER_HEADER " names nobody");
    }
    for (const char *at = out; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            return fail(err, ERR_USAGE, 0, ACTING_USER_HEADER " has a control character in it");
        }
    }
    return 0;
}

int acting_read(struct MHD_Connection *connection, struct caller *caller, struct error *err)
{
    struct acting acting = {0};
    struct caller made = *caller;
    char user[CALLER_NAME_MAX];
    enum caller_role role = CALLER_NOBODY;

    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, take_header, &acting);
    if (acting.users == 0 && acting.roles == 0) {
        return 0;
    }
    if (acting.users != 1 || acting.roles != 1) {
        return fail(err, ERR_USAGE, 0,
                    ACTING_USER_HEADER " and " ACTING_ROLE_HEADER
                                       " go together, each once, or not at all");
    }
    if (read_user(acting.user, user, sizeof user, err) < 0) {
        return -1;
    }
    if (!caller_role_find(acting.role, &role)) {
        return fail(err, ERR_USAGE, 0,
                    ACTING_ROLE_HEADER " must be viewer, operator or administrator, not '%.32s'",
                    acting.role);
    }
    if (snprintf(made.name, sizeof made.name, "%s (by %s)", user, caller->name) >=
        (int)sizeof made.name) {
        return fail(err, ERR_USAGE, 0,
                    ACTING_USER_HEADER " is too long: with ' (by %s)' it may have %zu bytes",
                    caller->name, sizeof made.name - 1);
    }
    made.role = role < caller->role ? role : caller->role;
    *caller = made;
    return 0;
}
