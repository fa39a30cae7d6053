/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * callers.h - what the users of this host may do, from the configuration's [control] section. A
 * name that cannot be looked up gives no right.
 */
#ifndef RESILVER_DAEMON_CALLERS_H
#define RESILVER_DAEMON_CALLERS_H

#include <sys/types.h>

#include "config/config.h"
#include "replica/authorize.h"

/* callers_role_of - control_config.role_of, with the struct config as context. out_name: the user's
 * name, or "uid 1003". */
enum caller_role callers_role_of(void *context, uid_t uid, gid_t gid, char *out_name,
                                 size_t size_bytes);

#endif
