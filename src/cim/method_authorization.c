/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method_authorization.c - who may replicate to here.
 */
#include <strings.h>

#include "cim/method_host.h"
#include "cim/method_table.h"

/* An entry as a client gives it; NULL: not given. */
struct entry {
    const char *host;
    const char *storage_root;
    const char *trust_group;
};

/* A text that says nothing is none. */
static const char *text_of(const struct cim_instance *instance, const char *name)
{
    const char *text = cim_get_text(instance, name);

    return text != NULL && text[0] != '\0' ? text : NULL;
}

static bool take_entry(struct method *method, struct entry *out)
{
    const struct cim_instance *given = NULL;

    if (!method_may(method, CIM_ROLE_ADMINISTRATOR) ||
        !method_take_instance(method, "AuthorizationEntry",
                              "Msvm_ReplicationAuthorizationSettingData", &given) ||
        !method_needed(method, "AuthorizationEntry", given)) {
        return false;
    }
    *out = (struct entry){.host = text_of(given, "AllowedPrimaryHostSystem"),
                          .storage_root = text_of(given, "ReplicaStorageLocation"),
                          .trust_group = text_of(given, "TrustGroup")};
    return method_needed(method, "AllowedPrimaryHostSystem", out->host) &&
           method_find_host(method, "AllowedPrimaryHostSystem", out->host, 0, &out->host);
}

/* The entry of a host, borrowed from the answer; NULL: it has none. */
static const json_t *find(const json_t *answer, const char *host)
{
    const json_t *all = json_object_get(answer, "authorizations");

    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *entry = json_array_get(all, i);
        const char *name = json_string_value(json_object_get(entry, "allowed_primary"));
        if (name != NULL && strcasecmp(name, host) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void set(struct method *method, const struct entry *entry)
{
    (void)method_ask_with(method, "PUT",
                          method_path(method, "/v1/authorizations/", entry->host, ""),
                          json_pack("{s:s, s:s?}", "storage_root", entry->storage_root,
                                    "trust_group", entry->trust_group));
}

int method_add_authorization(struct cim_request *request, const struct cim_instance *on,
                             const struct cim_arguments *in, struct cim_outcome *out,
                             struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(json_done) json_t *answer = NULL;
    struct entry entry = {0};

    (void)on;
    (void)err;
    if (!take_entry(&method, &entry) ||
        !method_needed(&method, "ReplicaStorageLocation", entry.storage_root) ||
        !method_get(&method, "/v1/authorizations", &answer)) {
        return 0;
    }
    if (find(answer, entry.host) != NULL) {
        (void)method_refuse(&method, METHOD_INVALID_PARAMETER,
                            "host '%s' has an entry already: ModifyAuthorizationEntry changes it",
                            entry.host);
        return 0;
    }
    set(&method, &entry);
    return 0;
}

/* What the client leaves out stays as it is. */
int method_modify_authorization(struct cim_request *request, const struct cim_instance *on,
                                const struct cim_arguments *in, struct cim_outcome *out,
                                struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(json_done) json_t *answer = NULL;
    struct entry entry = {0};

    (void)on;
    (void)err;
    if (!take_entry(&method, &entry) || !method_get(&method, "/v1/authorizations", &answer)) {
        return 0;
    }
    const json_t *is = find(answer, entry.host);
    if (is == NULL) {
        (void)method_refuse(&method, METHOD_INVALID_PARAMETER,
                            "host '%s' has no entry: AddAuthorizationEntry makes one", entry.host);
        return 0;
    }
    if (entry.storage_root == NULL) {
        entry.storage_root = json_string_value(json_object_get(is, "storage_root"));
    }
    if (entry.trust_group == NULL) {
        entry.trust_group = json_string_value(json_object_get(is, "trust_group"));
    }
    set(&method, &entry);
    return 0;
}

int method_remove_authorization(struct cim_request *request, const struct cim_instance *on,
                                const struct cim_arguments *in, struct cim_outcome *out,
                                struct error *err)
{
    struct method method = method_begin(request, in, out);
    const char *host = NULL;

    (void)on;
    (void)err;
    if (!method_may(&method, CIM_ROLE_ADMINISTRATOR) ||
        !method_take_text(&method, "AllowedPrimaryHostSystem", &host)) {
        return 0;
    }
    host = host != NULL && host[0] != '\0' ? host : NULL;
    if (method_needed(&method, "AllowedPrimaryHostSystem", host)) {
        (void)method_ask(&method, "DELETE", method_path(&method, "/v1/authorizations/", host, ""));
    }
    return 0;
}
