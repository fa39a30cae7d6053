/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/routes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define RELATIONSHIP "/v1/vms/{vm}/relationships/{hop}"

static const struct route routes[] = {
    {"GET", "/v1/authorizations", OPERATION_READ, route_list_authorizations},
    {"PUT", "/v1/authorizations/{host}", OPERATION_TRUST, route_set_authorization},
    {"DELETE", "/v1/authorizations/{host}", OPERATION_TRUST, route_remove_authorization},
    {"GET", "/v1/backup", OPERATION_BACKUP, route_backup},
    {"GET", "/v1/events", OPERATION_READ, route_list_events},
    {"GET", "/v1/host", OPERATION_READ, route_show_host},
    {"GET", "/v1/hosts", OPERATION_READ, route_list_hosts},
    {"PATCH", "/v1/hosts/{host}", OPERATION_TRUST, route_move_host},
    {"DELETE", "/v1/hosts/{host}", OPERATION_TRUST, route_revoke_host},
    {"POST", "/v1/hosts/{host}/test", OPERATION_READ, route_test_host},
    {"GET", "/v1/jobs", OPERATION_READ, route_list_jobs},
    {"GET", "/v1/jobs/{id}", OPERATION_READ, route_show_job},
    {"POST", "/v1/jobs/{id}/state", OPERATION_RESYNC, route_set_job_state},
    {"GET", "/v1/pairings", OPERATION_TRUST, route_list_pairings},
    {"POST", "/v1/pairings", OPERATION_TRUST, route_begin_pairing},
    {"GET", "/v1/pairings/{id}", OPERATION_TRUST, route_show_pairing},
    {"DELETE", "/v1/pairings/{id}", OPERATION_TRUST, route_refuse_pairing},
    {"POST", "/v1/pairings/{id}/confirm", OPERATION_TRUST, route_confirm_pairing},
    {"GET", "/v1/relationships", OPERATION_READ, route_list_relationships},
    {"GET", "/v1/vms", OPERATION_READ, route_list_vms},
    {"GET", "/v1/vms/{vm}", OPERATION_READ, route_show_vm},
    {"POST", "/v1/vms/{vm}/relationships", OPERATION_CONFIGURE, route_create_relationship},
    {"GET", RELATIONSHIP, OPERATION_READ, route_show_relationship},
    {"PATCH", RELATIONSHIP, OPERATION_CONFIGURE, route_modify_relationship},
    {"DELETE", RELATIONSHIP, OPERATION_CONFIGURE, route_remove_relationship},
    {"POST", RELATIONSHIP "/start", OPERATION_RESYNC, route_start_relationship},
    {"POST", RELATIONSHIP "/state", OPERATION_RESYNC, route_set_relationship_state},
    {"GET", RELATIONSHIP "/statistics", OPERATION_READ, route_list_statistics},
    {"DELETE", RELATIONSHIP "/statistics", OPERATION_RESYNC, route_reset_statistics},
    {"POST", "/v1/vms/{vm}/resynchronize", OPERATION_RESYNC, route_resynchronize},
    {"GET", "/v1/watch", OPERATION_READ, route_watch},
};

uint32_t routes_count(void)
{
    return ARRAY_COUNT(routes);
}

const struct route *routes_at(uint32_t index)
{
    assert(index < ARRAY_COUNT(routes));
    return &routes[index];
}

/* The part of a path that begins at *at, up to the next slash; *at goes on to it. */
static struct const_span take_part(const char **at)
{
    struct const_span part = {(const uint8_t *)*at, strcspn(*at, "/")};

    *at += part.len_bytes;
    return part;
}

static void keep_part(struct const_span pattern, struct const_span part, struct route_match *match)
{
    if (pattern.len_bytes == 5 && memcmp(pattern.at, "{hop}", 5) == 0) {
        match->hop = part;
    } else {
        match->name = part;
    }
}

static bool matches(const char *pattern, const char *path, struct route_match *match)
{
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        struct const_span wanted = take_part(&pattern);
        struct const_span part = take_part(&path);
        if (wanted.len_bytes > 0 && wanted.at[0] == '{') {
            if (part.len_bytes == 0) {
                return false;
            }
            keep_part(wanted, part, match);
        } else if (wanted.len_bytes != part.len_bytes ||
                   memcmp(wanted.at, part.at, part.len_bytes) != 0) {
            return false;
        }
    }
    return *pattern == '\0' && *path == '\0';
}

struct route_match routes_find(const char *method, const char *path)
{
    bool is_path_known = false;

    for (uint32_t i = 0; i < ARRAY_COUNT(routes); i++) {
        struct route_match match = {.route = &routes[i]};
        if (!matches(routes[i].path, path, &match)) {
            continue;
        }
        is_path_known = true;
        if (strcmp(routes[i].method, method) == 0) {
            match.is_path_known = true;
            return match;
        }
    }
    return (struct route_match){.is_path_known = is_path_known};
}

void routes_allowed(const char *path, char *out, size_t size_bytes)
{
    size_t len = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < ARRAY_COUNT(routes); i++) {
        struct route_match match = {0};
        if (len < size_bytes && matches(routes[i].path, path, &match)) {
            len += (size_t)snprintf(out + len, size_bytes - len, "%s%s", len > 0 ? ", " : "",
                                    routes[i].method);
        }
    }
}
