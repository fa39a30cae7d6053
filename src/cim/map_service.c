/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_service.c - the replication service, its settings, and its one provider. Source: Microsoft,
 * Hyper-V WMI provider (V2), Msvm_ReplicationService, Msvm_ReplicationServiceSettingData,
 * Msvm_ReplicationProvider.
 */
#include <string.h>
#include <time.h>

#include "base/number.h"
#include "cim/map.h"

#define AUTHENTICATION_CERTIFICATE 2U

uint64_t map_port(const char *address)
{
    const char *colon = address != NULL ? strrchr(address, ':') : NULL;
    uint64_t port = 0;

    if (colon == NULL ||
        number_parse_range(colon + 1, "the port", 1, UINT16_MAX, &port, NULL) < 0) {
        return 0;
    }
    return port;
}

/* --- the service -------------------------------------------------------------------------------
 */

/* Whoever may act on a single VM needs it, too: the methods are its. It tells but the host's name.
 */
static int enumerate_service(struct cim_request *request, const struct cim_path *near,
                             struct cim_list *out, struct error *err)
{
    const json_t *host = NULL;

    (void)near;
    if (cim_host(request, &host, err) < 0) {
        return -1;
    }
    struct cim_instance *service = map_new(request->arena, "Msvm_ReplicationService");
    cim_set_text(service, "SystemCreationClassName", "Msvm_ComputerSystem");
    cim_set_text(service, "SystemName", map_text(host, "name"));
    cim_set_text(service, "CreationClassName", "Msvm_ReplicationService");
    cim_set_text(service, "Name", "replicasvc");
    map_name(service, "Resilver Replication Service", "Replication Service",
             "Resilver Replication Service");
    map_well(service);
    cim_set_number(service, "EnabledState", MAP_ENABLED);
    cim_set_number(service, "RequestedState", MAP_REQUESTED_NONE);
    cim_set_number(service, "EnabledDefault", MAP_ENABLED);
    cim_set_boolean(service, "Started", true);
    cim_set_moment(service, "TimeOfLastStateChange", map_start_us(request, host));
    return map_add(request, out, service, err);
}

const struct cim_provider map_service = {.class_name = "Msvm_ReplicationService",
                                         .enumerate = enumerate_service};

/* --- its settings ------------------------------------------------------------------------------
 */

/* From a minute of this host's day, where the offset is that of now. */
static uint64_t utc_minute(uint64_t local_minute, int64_t now_us)
{
    const int64_t day = 24L * 60;
    time_t now = now_us / US_PER_S;
    struct tm fields = {0};

    /* What cannot be known of a time zone is no offset. */
    int64_t east = localtime_r(&now, &fields) != NULL ? fields.tm_gmtoff / 60 : 0;
    return (uint64_t)((((int64_t)local_minute - east) % day + day) % day);
}

/* Since when in a day, and how often, statistics begin anew. The time of day has the form of an
 * interval: there is no date to it. */
static void set_monitoring(struct cim_instance *settings, const json_t *host, const struct env *env)
{
    const json_t *monitoring = json_object_get(host, "monitoring");

    cim_set_null(settings, "MonitoringInterval");
    if (json_is_object(monitoring)) {
        cim_set_number(settings, "MonitoringInterval", map_number(monitoring, "interval_s"));
        cim_set_interval(settings, "MonitoringStartTime",
                         utc_minute(map_number(monitoring, "start_minute"), env_wall_us(env)) * 60 *
                             (uint64_t)US_PER_S);
    }
}

/* A plain HTTP port, which is not there, stays null: the MOF's default would be told as if it were
 * set. */
static int enumerate_settings(struct cim_request *request, const struct cim_path *near,
                              struct cim_list *out, struct error *err)
{
    const json_t *host = NULL;

    (void)near;
    if (!map_may_see_host(request)) {
        return 0;
    }
    if (cim_host(request, &host, err) < 0) {
        return -1;
    }
    const json_t *replication = json_object_get(host, "replication");
    uint64_t port = map_port(map_text(replication, "listen"));
    struct cim_instance *settings = map_new(request->arena, "Msvm_ReplicationServiceSettingData");
    cim_set_text(settings, "InstanceID", MAP_SERVICE_SETTINGS_ID);
    cim_set_boolean(settings, "RecoveryServerEnabled", map_is(replication, "enabled"));
    cim_set_number(settings, "AllowedAuthenticationType", AUTHENTICATION_CERTIFICATE);
    cim_set_text(settings, "CertificateThumbPrint", map_text(host, "fingerprint"));
    cim_set_null(settings, "HttpPort");
    cim_set_null(settings, "HttpsPort");
    set_monitoring(settings, host, request->env);
    if (port != 0) {
        cim_set_number(settings, "HttpsPort", port);
    }
    return map_add(request, out, settings, err);
}

const struct cim_provider map_service_settings = {
    .class_name = "Msvm_ReplicationServiceSettingData", .enumerate = enumerate_settings};

/* --- the provider of replication ---------------------------------------------------------------
 */

static int enumerate_provider(struct cim_request *request, const struct cim_path *near,
                              struct cim_list *out, struct error *err)
{
    const json_t *host = NULL;

    (void)near;
    if (!map_may_see_host(request)) {
        return 0;
    }
    if (cim_host(request, &host, err) < 0) {
        return -1;
    }
    const char *name = "Virtual machine replication provider to Resilver host";
    struct cim_instance *provider = map_new(request->arena, "Msvm_ReplicationProvider");
    cim_set_text(provider, "InstanceID", map_provider_id(request->arena, map_text(host, "name")));
    cim_set_text(provider, "Name", MAP_PROVIDER_NAME);
    map_name(provider, "Replication Provider", name, name);
    map_well(provider);
    return map_add(request, out, provider, err);
}

const struct cim_provider map_replication_provider = {.class_name = "Msvm_ReplicationProvider",
                                                      .enumerate = enumerate_provider};
