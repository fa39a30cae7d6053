/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * privileges.h - root becomes another user, for good.
 */
#ifndef RESILVER_GATEWAY_PRIVILEGES_H
#define RESILVER_GATEWAY_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

struct privileges {
    bool is_change; /* there is somebody to become */
    char name[USER_TEXT_MAX];
    uid_t user;
    gid_t group;
};

/* privileges_find - whom to become: nobody ("is_change" false) when the name is "" or the process
 * is not root. Errors: ERR_USAGE there is no such user; he is root. */
MUST_CHECK int privileges_find(const char *name, struct privileges *out, struct error *err);

/* privileges_drop - become him with his groups, and never gain a right again; whoever is no root
 * only does the latter. Before any thread is made. Errors: ERR_INTERNAL. */
MUST_CHECK int privileges_drop(const struct privileges *privileges, struct error *err);

#endif
