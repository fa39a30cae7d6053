/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method_service.c - what is of the service itself, and what it does not do.
 */
#include <assert.h>

#include "cim/method_host.h"
#include "cim/method_table.h"

#define SETTING_CLASS "Msvm_ReplicationServiceSettingData"

/* --- settings --------------------------------------------------------------------------------- */

/* Where a setting of the service comes from: its operator writes it by hand. */
static const struct {
    const char *property;
    const char *cure;
} service_settings[] = {
    {"RecoveryServerEnabled",
     "set 'listen' in [replication] of resilver.conf and restart resilverd"},
    {"HttpsPort", "set 'listen' in [replication] of resilver.conf and restart resilverd"},
    {"MonitoringInterval",
     "set 'monitoring-interval' in [replication] of resilver.conf and restart resilverd"},
    {"MonitoringStartTime",
     "set 'monitoring-start' in [replication] of resilver.conf and restart resilverd"},
    {"AllowedAuthenticationType", "hosts know each other by certificates alone"},
    {"CertificateThumbPrint", "the certificate is the one that resilverd made at its first start"},
    {"HttpPort", "nothing goes over plain HTTP"},
};

/* The settings as they are. */
static bool present_settings(struct method *method, const struct cim_instance **out)
{
    const struct cim_class *class = cim_class_find(CIM_SPACE_VIRTUALIZATION, SETTING_CLASS);
    const struct client_refusal none = {0};
    struct cim_list list = {0};
    struct error err = {0};

    assert(class != NULL);
    if (cim_enumerate(method->request, CIM_SPACE_VIRTUALIZATION, class, &list, &err) < 0) {
        return method_refuse_call(method, &none, &err);
    }
    if (list.count != 1) {
        return method_refuse(method, METHOD_FAILED, "the service has %u settings and not one",
                             list.count);
    }
    *out = list.all[0];
    return true;
}

static void compare_settings(struct method *method, const struct cim_instance *wanted,
                             const struct cim_instance *is)
{
    for (size_t i = 0; i < ARRAY_COUNT(service_settings); i++) {
        const struct cim_value *value = cim_get(wanted, service_settings[i].property);
        const struct cim_value *present = cim_get(is, service_settings[i].property);
        assert(value != NULL && present != NULL);
        if (!value->is_null && !cim_value_equal(value, present)) {
            (void)method_refuse(method, METHOD_NOT_SUPPORTED, "%s is not changed from here: %s",
                                service_settings[i].property, service_settings[i].cure);
            return;
        }
    }
}

int method_modify_service_settings(struct cim_request *request, const struct cim_instance *on,
                                   const struct cim_arguments *in, struct cim_outcome *out,
                                   struct error *err)
{
    struct method method = method_begin(request, in, out);
    const struct cim_instance *wanted = NULL;
    const struct cim_instance *is = NULL;

    (void)on;
    (void)err;
    if (method_may(&method, CIM_ROLE_ADMINISTRATOR) &&
        method_take_instance(&method, "SettingData", SETTING_CLASS, &wanted) &&
        method_needed(&method, "SettingData", wanted) && present_settings(&method, &is)) {
        compare_settings(&method, wanted, is);
    }
    return 0;
}

/* --- the connection --------------------------------------------------------------------------- */

int method_test_connection(struct cim_request *request, const struct cim_instance *on,
                           const struct cim_arguments *in, struct cim_outcome *out,
                           struct error *err)
{
    struct method method = method_begin(request, in, out);
    const char *point = NULL;
    const char *thumbprint = NULL;
    const char *host = NULL;
    uint64_t port = 0;
    uint64_t authentication = 0;

    (void)on;
    (void)err;
    if (!method_may(&method, CIM_ROLE_VIEWER) ||
        !method_take_text(&method, "RecoveryConnectionPoint", &point) ||
        !method_take_number(&method, "RecoveryServerPortNumber", &port) ||
        !method_take_number(&method, "AuthenticationType", &authentication) ||
        !method_take_text(&method, "CertificateThumbPrint", &thumbprint)) {
        return 0;
    }
    point = point != NULL && point[0] != '\0' ? point : NULL;
    if (method_needed(&method, "RecoveryConnectionPoint", point) &&
        method_check_security(&method, authentication, thumbprint) &&
        method_find_host(&method, "RecoveryConnectionPoint", point, port, &host)) {
        (void)method_ask(&method, "POST", method_path(&method, "/v1/hosts/", host, "/test"));
    }
    return 0;
}

int method_get_certificates(struct cim_request *request, const struct cim_instance *on,
                            const struct cim_arguments *in, struct cim_outcome *out,
                            struct error *err)
{
    struct method method = method_begin(request, in, out);
    const struct client_refusal none = {0};
    const json_t *host = NULL;
    struct error why = {0};

    (void)on;
    (void)err;
    if (!method_may(&method, CIM_ROLE_VIEWER)) {
        return 0;
    }
    if (cim_host(request, &host, &why) < 0) {
        (void)method_refuse_call(&method, &none, &why);
        return 0;
    }
    const char *certificate = json_string_value(json_object_get(host, "certificate"));
    const char *kept = certificate != NULL ? arena_text(request->arena, certificate) : NULL;
    if (kept != NULL) {
        method_put_texts(&method, "EncodedCertificates", &kept, 1);
    } else {
        (void)method_refuse(&method, METHOD_UNKNOWN, "resilverd does not show its certificate");
    }
    return 0;
}

/* --- what there is not ------------------------------------------------------------------------ */

/* Whether the reference is right does not matter then; that he may is asked all the same. */
int method_not_supported_by_vm(struct cim_request *request, const struct cim_instance *on,
                               const struct cim_arguments *in, struct cim_outcome *out,
                               struct error *err)
{
    struct method method = method_begin(request, in, out);
    CLEANUP(method_vm_done) struct method_vm vm = {0};

    (void)on;
    (void)err;
    if (method_take_vm(&method, CIM_ROLE_OPERATOR, &vm) ||
        out->return_value != METHOD_ACCESS_DENIED) {
        (void)method_refuse(&method, METHOD_NOT_SUPPORTED, "%s is not supported", in->method->name);
    }
    return 0;
}

/* Source: Msvm_ReplicationService: StartService, StopService and RequestStateChange do nothing on
 * Hyper-V either, and return 1, Not Supported. */
int method_no_service_state(struct cim_request *request, const struct cim_instance *on,
                            const struct cim_arguments *in, struct cim_outcome *out,
                            struct error *err)
{
    const uint32_t not_supported = 1;
    struct method method = method_begin(request, in, out);

    (void)on;
    (void)err;
    (void)method_refuse(&method, not_supported,
                        "the service is started and stopped by systemd on its host");
    return 0;
}
