/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_hosts.c - the hosts that were paired with this one, and what they may.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "replica/service_internal.h"

static void tell_hosts(const struct service *service)
{
    if (service->config.changed != NULL) {
        service->config.changed(service->config.context,
                                &(struct service_change){.subject = SUBJECT_HOST});
    }
}

static struct host_row *find_host(struct service *service, const char *name)
{
    for (uint32_t i = 0; i < service->host_count; i++) {
        if (strcasecmp(service->hosts[i].name, name) == 0) {
            return &service->hosts[i];
        }
    }
    return NULL;
}

static struct authorization_row *find_authorization(struct service *service, const char *name)
{
    for (uint32_t i = 0; i < service->authorization_count; i++) {
        if (strcasecmp(service->authorizations[i].allowed_primary, name) == 0) {
            return &service->authorizations[i];
        }
    }
    return NULL;
}

const struct host_row *service_knows_peer(const struct service *service,
                                          const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    for (uint32_t i = 0; i < service->host_count; i++) {
        const struct host_row *host = &service->hosts[i];
        if (host->revoked_us == 0 &&
            memcmp(host->fingerprint, fingerprint, FINGERPRINT_BYTES) == 0) {
            return host;
        }
    }
    return NULL;
}

static int save_host(struct service *service, const struct host_row *host, struct error *err)
{
    struct host_row *at = find_host(service, host->name);

    if (at == NULL && service->host_count == HOSTS_MAX) {
        return fail(err, ERR_LIMIT, 0, "this host is paired with as many as it can be: %u",
                    HOSTS_MAX);
    }
    if (store_put_host(service->config.store, host, err) < 0) {
        return -1;
    }
    at = at == NULL ? &service->hosts[service->host_count++] : at;
    *at = *host;
    tell_hosts(service);
    return 0;
}

int service_add_host(struct service *service, const struct caller *caller,
                     const struct host_row *host, enum return_value *out, struct error *err)
{
    struct host_row row = *host;
    const struct host_row *at = find_host(service, host->name);

    *out = RETURN_ACCESS_DENIED;
    if (authorize(caller, OPERATION_TRUST, err) < 0) {
        return -1;
    }
    *out = RETURN_INVALID_PARAMETER;
    if (strcasecmp(host->name, service->config.host_name) == 0) {
        return fail(err, ERR_USAGE, 0,
                    "a host cannot be paired with itself, nor with another of its name: '%s'",
                    host->name);
    }
    /* The name's spelling stays: relationships refer to it. */
    if (at != NULL) {
        (void)snprintf(row.name, sizeof row.name, "%s", at->name);
    }
    if (save_host(service, &row, err) < 0) {
        *out = service_value_of(err);
        return -1;
    }
    *out = RETURN_DONE;
    service_note(service, &(struct service_note){.level = LOG_LEVEL_NOTICE, .what = "host paired"},
                 "'%s' at %s, by %s", row.name, row.address[0] == '\0' ? "no address" : row.address,
                 caller->name);
    return 0;
}

int service_set_host_address(struct service *service, const struct caller *caller, const char *name,
                             const char *address, enum return_value *out, struct error *err)
{
    const struct host_row *at = find_host(service, name);

    *out = RETURN_ACCESS_DENIED;
    if (authorize(caller, OPERATION_TRUST, err) < 0) {
        return -1;
    }
    *out = RETURN_INVALID_PARAMETER;
    if (at == NULL) {
        return fail(err, ERR_USAGE, 0, "host '%.128s' is not paired with this one", name);
    }
    struct host_row row = *at;
    (void)snprintf(row.address, sizeof row.address, "%s", address);
    if (save_host(service, &row, err) < 0) {
        *out = service_value_of(err);
        return -1;
    }
    *out = RETURN_DONE;
    return 0;
}

int service_revoke_host(struct service *service, const struct caller *caller, const char *name,
                        enum return_value *out, struct error *err)
{
    const struct host_row *at = find_host(service, name);
    enum return_value removed = RETURN_DONE;

    *out = RETURN_ACCESS_DENIED;
    if (authorize(caller, OPERATION_TRUST, err) < 0) {
        return -1;
    }
    *out = RETURN_INVALID_PARAMETER;
    if (at == NULL) {
        return fail(err, ERR_USAGE, 0, "host '%.128s' is not paired with this one", name);
    }
    struct host_row row = *at;
    row.revoked_us = row.revoked_us == 0 ? service_now(service) : row.revoked_us;
    if (save_host(service, &row, err) < 0) {
        *out = service_value_of(err);
        return -1;
    }
    service->config.outside->cut(service->config.outside->context, row.fingerprint);
    if (find_authorization(service, name) != NULL &&
        service_remove_authorization(service, caller, name, &removed, err) < 0) {
        *out = removed;
        return -1;
    }
    *out = RETURN_DONE;
    service_note(service, &(struct service_note){.level = LOG_LEVEL_NOTICE, .what = "host revoked"},
                 "'%s', by %s", row.name, caller->name);
    return 0;
}

/* --- authorization entries ------------------------------------------------------------------- */

int service_set_authorization(struct service *service, const struct caller *caller,
                              const struct authorization_row *entry, enum return_value *out,
                              struct error *err)
{
    const struct host_row *host = find_host(service, entry->allowed_primary);
    struct authorization_row *at = find_authorization(service, entry->allowed_primary);
    struct authorization_row row = *entry;

    *out = RETURN_ACCESS_DENIED;
    if (authorize(caller, OPERATION_TRUST, err) < 0) {
        return -1;
    }
    *out = RETURN_INVALID_PARAMETER;
    if (host == NULL || host->revoked_us != 0) {
        return fail(err, ERR_USAGE, 0,
                    "host '%.128s' is not paired with this one%s: 'resilver host pair' comes first",
                    entry->allowed_primary, host == NULL ? "" : " any more");
    }
    if (row.storage_root[0] != '/') {
        return fail(err, ERR_USAGE, 0, "the storage root '%.256s' is no absolute path",
                    row.storage_root);
    }
    if (at == NULL && service->authorization_count == AUTHORIZATIONS_MAX) {
        *out = RETURN_OUT_OF_MEMORY;
        return fail(err, ERR_LIMIT, 0, "there are as many authorization entries as may be: %u",
                    AUTHORIZATIONS_MAX);
    }
    (void)snprintf(row.allowed_primary, sizeof row.allowed_primary, "%s", host->name);
    memcpy(row.fingerprint, host->fingerprint, FINGERPRINT_BYTES);
    row.created_us = at == NULL ? service_now(service) : at->created_us;
    if (store_put_authorization(service->config.store, &row, err) < 0) {
        *out = service_value_of(err);
        return -1;
    }
    at = at == NULL ? &service->authorizations[service->authorization_count++] : at;
    *at = row;
    *out = RETURN_DONE;
    tell_hosts(service);
    service_note(
        service, &(struct service_note){.level = LOG_LEVEL_NOTICE, .what = "authorization set"},
        "'%s' may replicate to %s, by %s", row.allowed_primary, row.storage_root, caller->name);
    return 0;
}

int service_remove_authorization(struct service *service, const struct caller *caller,
                                 const char *allowed_primary, enum return_value *out,
                                 struct error *err)
{
    struct authorization_row *at = find_authorization(service, allowed_primary);

    *out = RETURN_ACCESS_DENIED;
    if (authorize(caller, OPERATION_TRUST, err) < 0) {
        return -1;
    }
    *out = RETURN_INVALID_PARAMETER;
    if (at == NULL) {
        return fail(err, ERR_USAGE, 0, "there is no authorization entry for host '%.128s'",
                    allowed_primary);
    }
    if (store_remove_authorization(service->config.store, at->allowed_primary, err) < 0) {
        *out = service_value_of(err);
        return -1;
    }
    service_note(service,
                 &(struct service_note){.level = LOG_LEVEL_NOTICE, .what = "authorization removed"},
                 "'%s', by %s", at->allowed_primary, caller->name);
    struct authorization_row *last = &service->authorizations[--service->authorization_count];
    memmove(at, at + 1, (size_t)(last - at) * sizeof *at);
    *out = RETURN_DONE;
    tell_hosts(service);
    return 0;
}

/* --- reaching them --------------------------------------------------------------------------- */

void service_test_host(struct service *service, const struct service_asker *asker, const char *name)
{
    const struct host_row *host = find_host(service, name);
    struct relationship_row none = {0};
    struct error err = {0};

    if (authorize(asker->caller, OPERATION_READ, &err) < 0) {
        service_reply_error(asker, RETURN_ACCESS_DENIED, &err);
    } else if (host == NULL) {
        (void)fail(&err, ERR_USAGE, 0, "host '%.128s' is not paired with this one", name);
        service_reply_error(asker, RETURN_INVALID_PARAMETER, &err);
    } else {
        service_pend(service, asker, PENDING_TEST, &none, 0, host->name);
    }
}

void service_greet(struct service *service)
{
    static const struct caller self = {.role = CALLER_SERVICE, .name = "service"};
    const struct service_asker nobody = {.caller = &self};

    for (uint32_t i = 0; i < service->host_count; i++) {
        const struct host_row *host = &service->hosts[i];
        struct relationship_row none = {0};
        if (host->revoked_us == 0 && host->address[0] != '\0') {
            service_pend(service, &nobody, PENDING_GREETING, &none, 0, host->name);
        }
    }
}
