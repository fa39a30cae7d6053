/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * keys_gateway.c - [gateway]: where the management interface listens, and who may use it.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "config/keys.h"
#include "config/users.h"
#include "config/value.h"

/* Nothing: not there, whatever a file before this one said. */
static int take_address(char out[HOST_TEXT_MAX + 8], const char *value, struct error *err)
{
    if (value[0] == '\0') {
        out[0] = '\0';
        return 0;
    }
    return value_address(value, false, out, err);
}

static int take_path(char out[PATH_TEXT_MAX], const char *value, struct error *err)
{
    if (value[0] == '\0') {
        out[0] = '\0';
        return 0;
    }
    return value_path(value, out, err);
}

static int take_wsman(struct config *config, const char *value, struct error *err)
{
    return take_address(config->gateway.wsman, value, err);
}

static int take_wsman_tls(struct config *config, const char *value, struct error *err)
{
    return take_address(config->gateway.wsman_tls, value, err);
}

static int take_cimxml(struct config *config, const char *value, struct error *err)
{
    return take_address(config->gateway.cimxml, value, err);
}

static int take_cimxml_tls(struct config *config, const char *value, struct error *err)
{
    return take_address(config->gateway.cimxml_tls, value, err);
}

static int take_certificate(struct config *config, const char *value, struct error *err)
{
    return take_path(config->gateway.certificate, value, err);
}

static int take_key(struct config *config, const char *value, struct error *err)
{
    return take_path(config->gateway.key, value, err);
}

static int take_users(struct config *config, const char *value, struct error *err)
{
    return value_path(value, config->gateway.users, err);
}

static int take_audit_log(struct config *config, const char *value, struct error *err)
{
    return take_path(config->gateway.audit_log, value, err);
}

static int take_user(struct config *config, const char *value, struct error *err)
{
    return value_user(value, config->gateway.user, err);
}

static int take_pam_service(struct config *config, const char *value, struct error *err)
{
    return value_pam_service(value, config->gateway.pam_service, err);
}

static int take_plain_beyond_loopback(struct config *config, const char *value, struct error *err)
{
    return value_flag(value, &config->gateway.may_plain_beyond_loopback, err);
}

const struct config_key keys_gateway[] = {
    {"gateway", "wsman", take_wsman},
    {"gateway", "wsman-tls", take_wsman_tls},
    {"gateway", "cimxml", take_cimxml},
    {"gateway", "cimxml-tls", take_cimxml_tls},
    {"gateway", "certificate", take_certificate},
    {"gateway", "key", take_key},
    {"gateway", "users", take_users},
    {"gateway", "audit-log", take_audit_log},
    {"gateway", "user", take_user},
    {"gateway", "pam-service", take_pam_service},
    {"gateway", "plain-beyond-loopback", take_plain_beyond_loopback},
};
const size_t keys_gateway_count = ARRAY_COUNT(keys_gateway);

void keys_gateway_defaults(struct config_gateway *gateway)
{
    *gateway = (struct config_gateway){
        .wsman = "127.0.0.1:5985",
        .cimxml = "127.0.0.1:5988",
        .users = USERS_PATH_DEFAULT,
        .pam_service = PAM_SERVICE_DEFAULT,
    };
}

/* --- what does not fit together -------------------------------------------------------------- */

/* As it is written; a name is looked at again when it has an address. */
static bool is_loopback(const char *address)
{
    char host[HOST_TEXT_MAX] = "";
    struct in_addr v4;
    struct in6_addr v6;

    (void)address_take_host(address, host); /* an empty one is every address */
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6);
    }
    return strcasecmp(host, "localhost") == 0;
}

static int check_plain(const struct config_gateway *gateway, const char *key, const char *address,
                       struct error *err)
{
    if (address[0] == '\0' || gateway->may_plain_beyond_loopback || is_loopback(address)) {
        return 0;
    }
    return fail(err, ERR_USAGE, 0,
                "[gateway]: %s = %s is beyond loopback, and passwords would go over the network in "
                "clear text; use %s-tls, or say plain-beyond-loopback = yes",
                key, address, key);
}

static int check_tls(const struct config_gateway *gateway, const char *key, const char *address,
                     struct error *err)
{
    if (address[0] == '\0' || (gateway->certificate[0] != '\0' && gateway->key[0] != '\0')) {
        return 0;
    }
    return fail(err, ERR_USAGE, 0, "[gateway]: %s = %s needs certificate = and key =", key,
                address);
}

int keys_check_gateway(const struct config_gateway *gateway, struct error *err)
{
    if (check_plain(gateway, "wsman", gateway->wsman, err) < 0 ||
        check_plain(gateway, "cimxml", gateway->cimxml, err) < 0 ||
        check_tls(gateway, "wsman-tls", gateway->wsman_tls, err) < 0 ||
        check_tls(gateway, "cimxml-tls", gateway->cimxml_tls, err) < 0) {
        return -1;
    }
    return 0;
}
