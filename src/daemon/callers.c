/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/callers.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ENTRY_BYTES (16U * 1024U) /* of a user or group in the name service: names and members */
#define GROUPS_MAX 256            /* of one user; more are not looked at, and give no right */

struct user {
    char name[USER_TEXT_MAX]; /* "": the name service does not know it */
    gid_t gid;                /* of its process */
    int group_count;
    gid_t groups[GROUPS_MAX];
};

static void look_up(uid_t uid, gid_t gid, struct user *out)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char text[ENTRY_BYTES];

    *out = (struct user){.gid = gid};
    if (getpwuid_r(uid, &entry, text, sizeof text, &found) != 0 || found == NULL ||
        strlen(found->pw_name) >= sizeof out->name) {
        return;
    }
    (void)snprintf(out->name, sizeof out->name, "%s", found->pw_name);
    out->group_count = GROUPS_MAX;
    if (getgrouplist(out->name, found->pw_gid, out->groups, &out->group_count) < 0) {
        out->group_count = out->group_count < GROUPS_MAX ? out->group_count : GROUPS_MAX;
    }
}

static bool is_in_group(const struct user *user, const char *name)
{
    struct group entry;
    struct group *found = NULL;
    char text[ENTRY_BYTES];

    if (getgrnam_r(name, &entry, text, sizeof text, &found) != 0 || found == NULL) {
        return false;
    }
    for (int i = 0; i < user->group_count; i++) {
        if (user->groups[i] == found->gr_gid) {
            return true;
        }
    }
    return user->gid == found->gr_gid;
}

static bool is_among(const struct user *user, const struct config_names *names)
{
    for (uint32_t i = 0; i < names->count; i++) {
        const char *name = names->names[i];
        if (name[0] == '@' ? is_in_group(user, name + 1)
                           : user->name[0] != '\0' && strcmp(name, user->name) == 0) {
            return true;
        }
    }
    return false;
}

enum caller_role callers_role_of(void *context, uid_t uid, gid_t gid, char *out_name,
                                 size_t size_bytes)
{
    const struct config *config = context;
    struct user user;

    look_up(uid, gid, &user);
    (void)snprintf(out_name, size_bytes, "%s", user.name);
    if (user.name[0] == '\0') {
        (void)snprintf(out_name, size_bytes, "uid %u", (unsigned)uid);
    }
    if (uid == 0 || uid == geteuid() || is_among(&user, &config->administrators)) {
        return CALLER_ADMINISTRATOR;
    }
    if (is_among(&user, &config->operators)) {
        return CALLER_OPERATOR;
    }
    return is_among(&user, &config->viewers) ? CALLER_VIEWER : CALLER_NOBODY;
}
