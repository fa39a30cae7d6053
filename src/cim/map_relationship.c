/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map_relationship.c - relationships and their settings. A VM that does not replicate has settings
 * all the same: clients read them, change them, and give them to CreateReplicationRelationship.
 * Source: Microsoft, Hyper-V WMI provider (V2), Msvm_ReplicationRelationship,
 * Msvm_ReplicationSettingData.
 */
#include <string.h>

#include "base/number.h"
#include "base/uuid.h"
#include "cim/map.h"

#define AUTHENTICATION_CERTIFICATE 2U
#define HOPS 2
#define US_PER_MINUTE (60 * (uint64_t)US_PER_S)

/* The sources among the roles of the control API: primary, and a replica that extends. */
enum role { ROLE_PRIMARY = 1, ROLE_EXTENDING = 3 };

static bool is_source(const json_t *relationship)
{
    uint64_t role = map_number(relationship, "role");

    return role == ROLE_PRIMARY || role == ROLE_EXTENDING;
}

/* --- relationships -----------------------------------------------------------------------------
 */

static const struct cim_instance *relationship_new(struct cim_request *request, const json_t *vm,
                                                   const json_t *from)
{
    int hop = (int)json_integer_value(json_object_get(from, "hop"));
    struct cim_instance *relationship = map_new(request->arena, "Msvm_ReplicationRelationship");

    cim_set_text(relationship, "InstanceID", cim_hop_id(request->arena, map_text(vm, "id"), hop));
    map_name(relationship, "Replication Relationship", map_text(from, "reason"),
             map_text(vm, "name"));
    cim_set_time(relationship, "InstallDate", json_object_get(from, "created"));
    map_well(relationship);
    map_set_replication(relationship, from);
    cim_set_time(relationship, "LastApplyTime", json_object_get(from, "last_apply"));
    return relationship;
}

const struct cim_instance *cim_relationship_instance(struct cim_request *request,
                                                     const json_t *relationship)
{
    return relationship_new(request, json_object_get(relationship, "vm"), relationship);
}

static int add_relationships(struct cim_request *request, const json_t *vm, void *context,
                             struct error *err)
{
    for (int hop = 0; hop < HOPS; hop++) {
        const json_t *relationship = map_relationship(vm, hop);
        if (relationship != NULL &&
            map_add(request, context, relationship_new(request, vm, relationship), err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int enumerate_relationships(struct cim_request *request, const struct cim_path *near,
                                   struct cim_list *out, struct error *err)
{
    (void)near;
    return map_each_vm(request, add_relationships, out, err);
}

/* The VM and the hop that an InstanceID names; *vm NULL: there is none that may be seen. */
static int find_hop(struct cim_request *request, const struct cim_path *path, const json_t **vm,
                    int *hop, struct error *err)
{
    const char *id = cim_path_key(path, "InstanceID");
    char vm_id[UUID_TEXT_MAX];

    if (id == NULL || !cim_hop_id_read(id, vm_id, hop)) {
        return 0;
    }
    return map_vm(request, vm_id, vm, err);
}

static int get_relationship(struct cim_request *request, const struct cim_path *path,
                            const struct cim_instance **out, struct error *err)
{
    const json_t *vm = NULL;
    int hop = 0;

    if (find_hop(request, path, &vm, &hop, err) < 0) {
        return -1;
    }
    const json_t *relationship = map_relationship(vm, hop);
    *out = relationship != NULL ? relationship_new(request, vm, relationship) : NULL;
    return 0;
}

const struct cim_provider map_relationships = {.class_name = "Msvm_ReplicationRelationship",
                                               .enumerate = enumerate_relationships,
                                               .get = get_relationship};

/* --- settings: the two ends --------------------------------------------------------------------
 */

static void set_ends(struct cim_instance *settings, const char *primary, const char *recovery)
{
    cim_set_text(settings, "PrimaryConnectionPoint", primary);
    cim_set_text(settings, "PrimaryHostSystem", primary);
    cim_set_text(settings, "RecoveryConnectionPoint", recovery);
    cim_set_text(settings, "RecoveryHostSystem", recovery);
}

/* The port is the recovery side's: of the source's peer, or the one that is listened on here. */
static int set_hosts(struct cim_request *request, struct cim_instance *settings,
                     const json_t *relationship, const json_t *host, struct error *err)
{
    const char *own = map_text(host, "name");
    const char *other = map_text(relationship, "peer");
    const char *address = map_text(json_object_get(host, "replication"), "listen");
    const json_t *peer = NULL;

    if (!is_source(relationship)) {
        set_ends(settings, other, own);
    } else {
        set_ends(settings, own, other);
        if (map_peer(request, other != NULL ? other : "", &peer, err) < 0) {
            return -1;
        }
        address = map_text(peer, "address");
    }
    cim_set_number(settings, "RecoveryServerPortNumber", map_port(address));
    return 0;
}

/* --- settings: what was chosen -----------------------------------------------------------------
 */

/* "18:30" as an interval after midnight. */
static void set_minute(struct cim_instance *settings, const char *name, const char *text)
{
    const char *colon = text != NULL ? strchr(text, ':') : NULL;
    char hours[8] = "";
    uint64_t hour = 0;
    uint64_t minute = 0;

    if (colon == NULL || (size_t)(colon - text) >= sizeof hours) {
        return;
    }
    memcpy(hours, text, (size_t)(colon - text));
    if (number_parse_range(hours, "the hour", 0, 23, &hour, NULL) == 0 &&
        number_parse_range(colon + 1, "the minute", 0, 59, &minute, NULL) == 0) {
        cim_set_interval(settings, name, (hour * 60 + minute) * US_PER_MINUTE);
    }
}

static void set_chosen(struct cim_instance *settings, const json_t *chosen)
{
    const json_t *window = json_object_get(chosen, "auto_resync");
    uint64_t interval_s = map_number(chosen, "interval_s");

    cim_set_boolean(settings, "CompressionEnabled", map_is(chosen, "compression"));
    map_set_count(settings, "RecoveryHistory", map_number(chosen, "recovery_history"), UINT16_MAX);
    cim_set_boolean(settings, "AutoResynchronizeEnabled", map_is(window, "enabled"));
    set_minute(settings, "AutoResynchronizeIntervalStart", map_text(window, "start"));
    set_minute(settings, "AutoResynchronizeIntervalEnd", map_text(window, "end"));
    /* The class ends at 18 hours; what is longer has no number here. */
    cim_set_null(settings, "ReplicationInterval");
    if (interval_s <= UINT16_MAX) {
        cim_set_number(settings, "ReplicationInterval", interval_s);
    }
}

/* --- settings: the disks -----------------------------------------------------------------------
 */

struct disks {
    const json_t *relationship; /* NULL: all disks */
    const struct cim_instance *all[DISKS_MAX];
    uint32_t count;
};

static bool is_included(const json_t *relationship, const char *disk)
{
    const json_t *all = json_object_get(relationship, "disks");

    for (size_t i = 0; i < json_array_size(all); i++) {
        const char *name = map_text(json_array_get(all, i), "name");
        if (name != NULL && strcmp(name, disk) == 0) {
            return map_is(json_array_get(all, i), "included");
        }
    }
    return relationship == NULL;
}

static int add_disk(struct cim_request *request, const json_t *vm, const char *disk, void *context,
                    struct error *err)
{
    struct disks *disks = context;

    (void)err;
    if (disks->count < DISKS_MAX && is_included(disks->relationship, disk)) {
        disks->all[disks->count++] = map_disk_new(request->arena, vm, disk);
    }
    return 0;
}

static int set_disks(struct cim_request *request, struct cim_instance *settings, const json_t *vm,
                     const json_t *relationship, struct error *err)
{
    struct disks disks = {.relationship = relationship};

    if (map_each_disk(request, vm, add_disk, &disks, err) < 0) {
        return -1;
    }
    /* Without memory there are NULLs among them; the arena says so in the end. */
    if (!request->arena->bad) {
        cim_set_instances(settings, "IncludedDisks", disks.all, disks.count);
    }
    return 0;
}

/* --- settings ----------------------------------------------------------------------------------
 */

static void set_fixed(struct cim_request *request, struct cim_instance *settings,
                      const json_t *host, const json_t *vm)
{
    const char *provider = map_provider_id(request->arena, map_text(host, "name"));
    const struct cim_path *path = map_path_of(request->arena, "Msvm_ReplicationProvider", provider);

    cim_set_text(settings, "ElementName", map_text(vm, "name"));
    cim_set_text(settings, "VirtualSystemIdentifier",
                 map_upper(request->arena, map_text(vm, "id")));
    cim_set_number(settings, "AuthenticationType", AUTHENTICATION_CERTIFICATE);
    cim_set_text(settings, "CertificateThumbPrint", map_text(host, "fingerprint"));
    cim_set_boolean(settings, "BypassProxyServer", false);
    cim_set_boolean(settings, "ReplicateHostKvpItems", false);
    cim_set_number(settings, "ApplicationConsistentSnapshotInterval", 0);
    if (path != NULL) {
        cim_set_text(settings, "ReplicationProvider", cim_path_text(request->arena, path));
    }
}

/* relationship NULL: the VM does not replicate, and this is what it would begin with. */
static int settings_new(struct cim_request *request, const json_t *vm, const json_t *relationship,
                        const struct cim_instance **out, struct error *err)
{
    struct cim_instance *settings = map_new(request->arena, "Msvm_ReplicationSettingData");
    int hop = (int)json_integer_value(json_object_get(relationship, "hop"));
    const json_t *host = NULL;

    if (cim_host(request, &host, err) < 0) {
        return -1;
    }
    cim_set_text(settings, "InstanceID", cim_hop_id(request->arena, map_text(vm, "id"), hop));
    set_fixed(request, settings, host, vm);
    if (relationship == NULL) {
        set_ends(settings, map_text(host, "name"), NULL);
        /* As docs/control.md: what POST .../relationships takes when nothing is said. */
        cim_set_boolean(settings, "CompressionEnabled", true);
    } else {
        cim_set_time(settings, "CreationTime", json_object_get(relationship, "created"));
        set_chosen(settings, json_object_get(relationship, "settings"));
        if (set_hosts(request, settings, relationship, host, err) < 0) {
            return -1;
        }
    }
    *out = settings;
    return set_disks(request, settings, vm, relationship, err);
}

bool map_has_settings(const json_t *vm, int hop)
{
    bool is_replicated = map_relationship(vm, 0) != NULL || map_relationship(vm, 1) != NULL;

    return vm != NULL && (map_relationship(vm, hop) != NULL || (hop == 0 && !is_replicated));
}

static int add_settings(struct cim_request *request, const json_t *vm, void *context,
                        struct error *err)
{
    for (int hop = 0; hop < HOPS; hop++) {
        const struct cim_instance *settings = NULL;
        if (map_has_settings(vm, hop) &&
            (settings_new(request, vm, map_relationship(vm, hop), &settings, err) < 0 ||
             map_add(request, context, settings, err) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int enumerate_settings(struct cim_request *request, const struct cim_path *near,
                              struct cim_list *out, struct error *err)
{
    (void)near;
    return map_each_vm(request, add_settings, out, err);
}

static int get_settings(struct cim_request *request, const struct cim_path *path,
                        const struct cim_instance **out, struct error *err)
{
    const json_t *vm = NULL;
    int hop = 0;

    if (find_hop(request, path, &vm, &hop, err) < 0) {
        return -1;
    }
    if (!map_has_settings(vm, hop)) {
        return 0;
    }
    return settings_new(request, vm, map_relationship(vm, hop), out, err);
}

const struct cim_provider map_settings = {.class_name = "Msvm_ReplicationSettingData",
                                          .enumerate = enumerate_settings,
                                          .get = get_settings};
