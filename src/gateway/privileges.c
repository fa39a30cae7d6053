/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"

int privileges_find(const char *name, struct privileges *out, struct error *err)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char text[16 * KIB];

    *out = (struct privileges){.is_change = false};
    if (name[0] == '\0' || geteuid() != 0) {
        return 0;
    }
    int errnum = getpwnam_r(name, &entry, text, sizeof text, &found);
    if (errnum != 0 || found == NULL) {
        return fail(err, ERR_USAGE, errnum, "there is no user '%s' (user = in [gateway])", name);
    }
    if (found->pw_uid == 0) {
        return fail(err, ERR_USAGE, 0,
                    "user = %s in [gateway] is root; name another, or leave it out", name);
    }
    out->is_change = true;
    out->user = found->pw_uid;
    out->group = found->pw_gid;
    (void)snprintf(out->name, sizeof out->name, "%s", name);
    return 0;
}

/* Groups first: a user who is not root can give up none. */
static int become(const struct privileges *privileges, struct error *err)
{
    if (initgroups(privileges->name, privileges->group) < 0) {
        return fail(err, ERR_INTERNAL, errno, "cannot take the groups of '%s'", privileges->name);
    }
    if (setresgid(privileges->group, privileges->group, privileges->group) < 0) {
        return fail(err, ERR_INTERNAL, errno, "cannot take the group of '%s'", privileges->name);
    }
    if (setresuid(privileges->user, privileges->user, privileges->user) < 0) {
        return fail(err, ERR_INTERNAL, errno, "cannot become '%s'", privileges->name);
    }
    /* A kernel or a container that says yes and does nothing must not pass. */
    if (geteuid() != privileges->user || getegid() != privileges->group || setuid(0) == 0) {
        return fail(err, ERR_INTERNAL, 0, "the process has not become '%s' for good",
                    privileges->name);
    }
    log_event(LOG_LEVEL_NOTICE, {"event", "privileges given up"}, {"user", privileges->name});
    return 0;
}

int privileges_drop(const struct privileges *privileges, struct error *err)
{
    if (privileges->is_change && become(privileges, err) < 0) {
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return fail(err, ERR_INTERNAL, errno, "cannot give up new privileges");
    }
    return 0;
}
