/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim/method_host.h"

#include <inttypes.h>
#include <strings.h>

#include "base/address.h"
#include "base/number.h"

/* AuthenticationType. Source: Msvm_ReplicationSettingData. */
enum { AUTHENTICATION_NONE = 0, AUTHENTICATION_KERBEROS = 1, AUTHENTICATION_CERTIFICATE = 2 };

/* False: it is no address with a port. */
static bool split(const char *text, char host[HOST_TEXT_MAX], uint64_t *port)
{
    char digits[PORT_TEXT_MAX];

    return address_parse(text, 1, true, host, digits, NULL) == 0 &&
           number_parse_range(digits, "the port", 1, UINT16_MAX, port, NULL) == 0;
}

/* Whether a text is where the host is reached: its whole address, or that without the port. */
static bool is_address(const char *address, const char *text)
{
    char host[HOST_TEXT_MAX];
    uint64_t port = 0;

    return strcasecmp(address, text) == 0 ||
           (split(address, host, &port) && strcasecmp(host, text) == 0);
}

static bool is_at_port(const char *address, uint64_t wanted)
{
    char host[HOST_TEXT_MAX];
    uint64_t port = 0;

    return wanted == 0 || (split(address, host, &port) && port == wanted);
}

/* NULL: none. One so named goes before one that is there. */
static const json_t *pick(const json_t *hosts, const char *text)
{
    const json_t *found = NULL;

    for (size_t i = 0; i < json_array_size(hosts); i++) {
        const json_t *host = json_array_get(hosts, i);
        const char *name = json_string_value(json_object_get(host, "name"));
        const char *address = json_string_value(json_object_get(host, "address"));
        bool is_revoked = json_is_string(json_object_get(host, "revoked"));
        if (is_revoked || name == NULL || address == NULL) {
            continue;
        }
        if (strcasecmp(name, text) == 0) {
            return host;
        }
        found = found == NULL && is_address(address, text) ? host : found;
    }
    return found;
}

bool method_find_host(struct method *method, const char *parameter, const char *text, uint64_t port,
                      const char **out)
{
    CLEANUP(json_done) json_t *answer = NULL;
    char name_alone[HOST_TEXT_MAX];
    uint64_t port_behind = 0;

    if (!method_get(method, "/v1/hosts", &answer)) {
        return false;
    }
    const json_t *hosts = json_object_get(answer, "hosts");
    const json_t *host = pick(hosts, text);
    if (host == NULL && split(text, name_alone, &port_behind) &&
        (port == 0 || port == port_behind)) { /* a host's name, with a port behind it */
        host = pick(hosts, name_alone);
        port = port_behind;
    }
    if (host == NULL) {
        return method_refuse(method, METHOD_INVALID_PARAMETER,
                             "%s: no paired host is called or reached at '%.128s': 'resilver host "
                             "list' shows those that are, 'resilver host pair ADDRESS' pairs one",
                             parameter, text);
    }
    const char *name = json_string_value(json_object_get(host, "name"));
    const char *address = json_string_value(json_object_get(host, "address"));
    if (!is_at_port(address, port)) {
        return method_refuse(method, METHOD_INVALID_PARAMETER,
                             "host '%s' is reached at '%s' and not at port %" PRIu64
                             ": give that port, or none",
                             name, address, port);
    }
    *out = arena_text(method->request->arena, name);
    return *out != NULL || method_refuse(method, METHOD_OUT_OF_MEMORY, "out of memory for a name");
}

bool method_is_other_host(struct method *method, const char *text, const char *name, bool *out)
{
    CLEANUP(json_done) json_t *answer = NULL;

    if (!method_get(method, "/v1/hosts", &answer)) {
        return false;
    }
    const char *found =
        json_string_value(json_object_get(pick(json_object_get(answer, "hosts"), text), "name"));
    *out = found != NULL && strcasecmp(found, name) != 0;
    return true;
}

bool method_check_security(struct method *method, uint64_t authentication_type,
                           const char *thumbprint)
{
    const struct client_refusal none = {0};
    const json_t *host = NULL;
    struct error err = {0};

    if (authentication_type > AUTHENTICATION_CERTIFICATE) {
        return method_refuse(method, METHOD_INVALID_PARAMETER,
                             "AuthenticationType must be 2 (certificates), not %" PRIu64,
                             authentication_type);
    }
    if (authentication_type == AUTHENTICATION_KERBEROS) {
        return method_refuse(method, METHOD_NOT_SUPPORTED,
                             "hosts know each other by certificates and not by Kerberos: set "
                             "AuthenticationType to 2");
    }
    if (thumbprint == NULL || thumbprint[0] == '\0') {
        return true;
    }
    if (cim_host(method->request, &host, &err) < 0) {
        return method_refuse_call(method, &none, &err);
    }
    const char *own = json_string_value(json_object_get(host, "fingerprint"));
    return (own != NULL && strcasecmp(own, thumbprint) == 0) ||
           method_refuse(method, METHOD_INVALID_PARAMETER,
                         "CertificateThumbPrint is not that of this host's certificate, %s: leave "
                         "it out",
                         own != NULL ? own : "");
}
