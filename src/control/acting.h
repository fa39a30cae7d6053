/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * acting.h - a caller who acts for somebody else: the gateway, for whom it let in. Its headers
 * Resilver-User (percent-encoded as a path's names are) and Resilver-Role say who that is; the role
 * is a cap and never a grant, so any caller may send them.
 */
#ifndef RESILVER_CONTROL_ACTING_H
#define RESILVER_CONTROL_ACTING_H

#include <microhttpd.h>

#include "replica/authorize.h"

#define ACTING_USER_HEADER "Resilver-User"
#define ACTING_ROLE_HEADER "Resilver-Role"

/*
 * acting_read - *caller becomes whom the headers name: "alice (by resilver-gateway)", with the
 * lesser of both roles. Without the headers he stays who he is. Errors: ERR_USAGE one header
 * without the other, one of them twice, a role that is none, a name that is empty, too long, not
 * UTF-8, or has control characters; *caller is not touched then.
 */
MUST_CHECK int acting_read(struct MHD_Connection *connection, struct caller *caller,
                           struct error *err);

#endif
