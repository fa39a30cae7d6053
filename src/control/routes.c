/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/routes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct route routes[] = {
    {"GET", "/v1/host", OPERATION_READ, route_get_host},
    {"GET", "/v1/vms", OPERATION_READ, route_get_vms},
    {"GET", "/v1/vms/{vm}", OPERATION_READ, route_get_vm},
    {"POST", "/v1/vms/{vm}/resynchronize", OPERATION_RESYNC, route_resynchronize},
    {"GET", "/v1/relationships", OPERATION_READ, route_get_relationships},
    {"POST", "/v1/vms/{vm}/relationships", OPERATION_CONFIGURE, route_create_relationship},
    {"GET", "/v1/vms/{vm}/relationships/{hop}", OPERATION_READ, route_get_relationship},
    {"PATCH", "/v1/vms/{vm}/relationships/{hop}", OPERATION_CONFIGURE, route_modify_relationship},
    {"DELETE", "/v1/vms/{vm}/relationships/{hop}", OPERATION_CONFIGURE, route_remove_relationship},
    {"POST", "/v1/vms/{vm}/relationships/{hop}/start", OPERATION_RESYNC, route_start},
    {"POST", "/v1/vms/{vm}/relationships/{hop}/state", OPERATION_RESYNC, route_request_state},
    {"GET", "/v1/vms/{vm}/relationships/{hop}/statistics", OPERATION_READ, route_get_statistics},
    {"DELETE", "/v1/vms/{vm}/relationships/{hop}/statistics", OPERATION_RESYNC,
     route_reset_statistics},
    {"GET", "/v1/jobs", OPERATION_READ, route_get_jobs},
    {"GET", "/v1/jobs/{id}", OPERATION_READ, route_get_job},
    {"POST", "/v1/jobs/{id}/state", OPERATION_RESYNC, route_request_job_state},
    {"GET", "/v1/hosts", OPERATION_READ, route_get_hosts},
    {"PATCH", "/v1/hosts/{host}", OPERATION_TRUST, route_modify_host},
    {"DELETE", "/v1/hosts/{host}", OPERATION_TRUST, route_revoke_host},
    {"POST", "/v1/hosts/{host}/test", OPERATION_READ, route_test_host},
    {"POST", "/v1/pairings", OPERATION_TRUST, route_begin_pairing},
    {"GET", "/v1/pairings", OPERATION_TRUST, route_get_pairings},
    {"GET", "/v1/pairings/{id}", OPERATION_TRUST, route_get_pairing},
    {"DELETE", "/v1/pairings/{id}", OPERATION_TRUST, route_refuse_pairing},
    {"POST", "/v1/pairings/{id}/confirm", OPERATION_TRUST, route_confirm_pairing},
    {"GET", "/v1/authorizations", OPERATION_READ, route_get_authorizations},
    {"PUT", "/v1/authorizations/{host}", OPERATION_TRUST, route_set_authorization},
    {"DELETE", "/v1/authorizations/{host}", OPERATION_TRUST, route_remove_authorization},
    {"GET", "/v1/events", OPERATION_READ, route_get_events},
    {"GET", "/v1/watch", OPERATION_READ, route_watch},
    {"GET", "/v1/backup", OPERATION_BACKUP, route_backup},
};

const struct route *routes_table(size_t *out_count)
{
    *out_count = ARRAY_COUNT(routes);
    return routes;
}

/* --- matching -------------------------------------------------------------------------------- */

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at =
        digit == '\0' ? NULL : strchr(digits, digit >= 'A' && digit <= 'F' ? digit + 32 : digit);

    return at == NULL ? -1 : (int)(at - digits);
}

/* One segment, percent-decoded (RFC 3986, 2.1). False: it is not well encoded, empty, too long, or
 * holds a NUL. */
static bool decode(const char *from, size_t len_bytes, char *out, size_t size_bytes)
{
    size_t len = 0;

    for (size_t i = 0; i < len_bytes; i++) {
        char byte = from[i];
        if (byte == '%') {
            int high = i + 2 < len_bytes ? hex_value(from[i + 1]) : -1;
            int low = i + 2 < len_bytes ? hex_value(from[i + 2]) : -1;
            if (high < 0 || low < 0 || high * 16 + low == 0) {
                return false;
            }
            byte = (char)(high * 16 + low);
            i += 2;
        }
        if (len + 1 >= size_bytes) {
            return false;
        }
        out[len++] = byte;
    }
    out[len] = '\0';
    return len > 0;
}

/* Whether the path has the pattern's form; args are filled in their order. */
static bool match(const char *pattern, const char *path, struct call *call)
{
    unsigned int count = 0;

    while (*pattern != '\0' && *path != '\0') {
        if (*pattern == '{') {
            size_t len = strcspn(path, "/");
            assert(count < CALL_ARGS_MAX);
            if (!decode(path, len, call->args[count++], sizeof call->args[0])) {
                return false;
            }
            pattern = strchr(pattern, '}') + 1;
            path += len;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *pattern == '\0' && *path == '\0';
}

static const char *allowed_methods(struct call *call)
{
    static char allow[64]; /* one thread answers all calls, at once */
    size_t len = 0;

    allow[0] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        if (match(routes[i].pattern, call->path, call) && len < sizeof allow) {
            len += (size_t)snprintf(allow + len, sizeof allow - len, "%s%s", len == 0 ? "" : ", ",
                                    routes[i].method);
        }
    }
    return allow;
}

static void refuse_unknown(struct call *call)
{
    struct error err = {0};
    const char *allow = allowed_methods(call);

    if (allow[0] != '\0') {
        (void)fail(&err, ERR_USAGE, 0, "%s is not for this path, but %s", call->method, allow);
        call->allow = allow;
        call_refuse(call, MHD_HTTP_METHOD_NOT_ALLOWED, RETURN_NOT_SUPPORTED, &err);
    } else {
        (void)fail(&err, ERR_USAGE, 0, "there is no call '%.200s'", call->path);
        call_refuse(call, MHD_HTTP_NOT_FOUND, RETURN_NOT_SUPPORTED, &err);
    }
}

void routes_handle(struct call *call)
{
    const struct route *found = NULL;
    struct error err = {0};

    for (size_t i = 0; i < ARRAY_COUNT(routes) && found == NULL; i++) {
        if (strcmp(routes[i].method, call->method) == 0 &&
            match(routes[i].pattern, call->path, call)) {
            found = &routes[i];
        }
    }
    /* Nobody learns nothing, not even which paths there are. */
    if (authorize(&call->caller, found == NULL ? OPERATION_READ : found->operation, &err) < 0) {
        call_refuse(call, 0, RETURN_ACCESS_DENIED, &err);
    } else if (found == NULL) {
        refuse_unknown(call);
    } else {
        found->handle(call);
    }
}
