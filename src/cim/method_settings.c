/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim/method_settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/uuid.h"
#include "cim/method_host.h"
#include "cim/xml.h"

#define DISK_ID_PREFIX "Microsoft:"
#define DISK_CLASS "CIM_StorageAllocationSettingData"

/* A text that says nothing is none. */
static const char *given_text(const struct cim_instance *settings, const char *name)
{
    const char *text = cim_get_text(settings, name);

    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* --- whose they are --------------------------------------------------------------------------- */

static bool refuse_other_vm(struct method *method, const struct method_vm *vm, const char *property,
                            const char *text)
{
    return method_refuse(method, METHOD_INVALID_PARAMETER,
                         "%s of ReplicationSettingData is of another VM than '%s': '%.128s'",
                         property, vm->name, text);
}

/* What a client read of one VM must not be set to another by a slip. */
static bool check_vm(struct method *method, const struct method_vm *vm,
                     const struct cim_instance *settings, int *hop)
{
    const char *system = given_text(settings, "VirtualSystemIdentifier");
    const char *instance = given_text(settings, "InstanceID");
    char id[UUID_TEXT_MAX];
    int read_hop = 0;

    if (system != NULL && strcasecmp(system, vm->id) != 0) {
        return refuse_other_vm(method, vm, "VirtualSystemIdentifier", system);
    }
    if (instance == NULL) {
        return true;
    }
    if (!cim_hop_id_read(instance, id, &read_hop) || strcmp(id, vm->id) != 0) {
        return refuse_other_vm(method, vm, "InstanceID", instance);
    }
    *hop = read_hop;
    return true;
}

static bool check_possible(struct method *method, const struct cim_instance *settings)
{
    uint64_t authentication = 0;
    uint64_t hours = 0;

    (void)cim_get_number(settings, "AuthenticationType", &authentication);
    (void)cim_get_number(settings, "ApplicationConsistentSnapshotInterval", &hours);
    if (hours != 0) {
        return method_refuse(method, METHOD_NOT_SUPPORTED,
                             "there are no application-consistent points: leave "
                             "ApplicationConsistentSnapshotInterval out, or set it to 0");
    }
    return method_check_security(method, authentication,
                                 cim_get_text(settings, "CertificateThumbPrint"));
}

bool method_take_settings(struct method *method, const struct method_vm *vm, int *hop,
                          const struct cim_instance **out)
{
    const struct cim_instance *settings = NULL;

    if (!method_take_instance(method, "ReplicationSettingData", "Msvm_ReplicationSettingData",
                              &settings) ||
        !method_needed(method, "ReplicationSettingData", settings) ||
        !check_vm(method, vm, settings, hop) || !check_possible(method, settings)) {
        return false;
    }
    *out = settings;
    return true;
}

/* --- values ----------------------------------------------------------------------------------- */

static bool refuse_minute(struct method *method, uint32_t value, const char *name, const char *text)
{
    return method_refuse(method, value,
                         "%s must be a time of the day, as an interval: 00000000183000.000000:000 "
                         "is 18:30, not '%.32s'",
                         name, text);
}

/*
 * A window's time, which is an interval since midnight, as "HH:MM". Seconds are cut off: Hyper-V's
 * own tools write the end of the day as 23:59:59.
 */
static bool read_minute(struct method *method, const struct cim_instance *settings,
                        const char *name, char out[6])
{
    const char *text = cim_get_text(settings, name);

    out[0] = '\0';
    if (text == NULL) {
        return true;
    }
    if (!cim_datetime_is(text) || !cim_datetime_is_interval(text) ||
        cim_datetime_has_wildcards(text)) {
        return refuse_minute(method, METHOD_WRONG_TYPE, name, text);
    }
    if (strncmp(text, "00000000", 8) != 0 || strncmp(text + 8, "24", 2) >= 0 ||
        strncmp(text + 10, "60", 2) >= 0) {
        return refuse_minute(method, METHOD_INVALID_PARAMETER, name, text);
    }
    (void)snprintf(out, 6, "%.2s:%.2s", text + 8, text + 10);
    return true;
}

/* False: no memory. */
static bool put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0;
}

static bool put_number(json_t *object, const char *member, const struct cim_instance *settings,
                       const char *property)
{
    uint64_t number = 0;

    return !cim_get_number(settings, property, &number) ||
           put(object, member, json_integer((json_int_t)number));
}

static bool put_flag(json_t *object, const char *member, const struct cim_instance *settings,
                     const char *property)
{
    bool flag = false;

    return !cim_get_boolean(settings, property, &flag) || put(object, member, json_boolean(flag));
}

static bool put_window(json_t *object, const struct cim_instance *settings, const char *start,
                       const char *end)
{
    json_t *window = json_object();

    return put(object, "auto_resync", window) &&
           put_flag(window, "enabled", settings, "AutoResynchronizeEnabled") &&
           (start[0] == '\0' || put(window, "start", json_string(start))) &&
           (end[0] == '\0' || put(window, "end", json_string(end)));
}

bool method_settings_body(struct method *method, const struct cim_instance *settings, json_t **out)
{
    char start[6];
    char end[6];

    if (!read_minute(method, settings, "AutoResynchronizeIntervalStart", start) ||
        !read_minute(method, settings, "AutoResynchronizeIntervalEnd", end)) {
        return false;
    }
    json_t *object = json_object();
    if (!put_number(object, "recovery_history", settings, "RecoveryHistory") ||
        !put_number(object, "interval_s", settings, "ReplicationInterval") ||
        !put_flag(object, "compression", settings, "CompressionEnabled") ||
        !put_window(object, settings, start, end)) {
        json_decref(object);
        return method_refuse(method, METHOD_OUT_OF_MEMORY, "out of memory for settings");
    }
    *out = object;
    return true;
}

/* --- the other host --------------------------------------------------------------------------- */

/* Settings that were read of one relationship and changed for another have the old host there
 * still: often this one, which is paired with nobody. */
static bool check_host_system(struct method *method, const char *system, const char *host)
{
    bool is_other = false;

    if (!method_is_other_host(method, system, host, &is_other)) {
        return false;
    }
    return !is_other || method_refuse(method, METHOD_INVALID_PARAMETER,
                                      "RecoveryConnectionPoint is host '%s' and "
                                      "RecoveryHostSystem '%.128s': they must be the same",
                                      host, system);
}

bool method_settings_host(struct method *method, const struct cim_instance *settings,
                          const char **out)
{
    const char *point = given_text(settings, "RecoveryConnectionPoint");
    const char *system = given_text(settings, "RecoveryHostSystem");
    const char *host = NULL;
    uint64_t port = 0;

    if (point == NULL && system == NULL) {
        return true;
    }
    (void)cim_get_number(settings, "RecoveryServerPortNumber", &port);
    if (!method_find_host(method, point != NULL ? "RecoveryConnectionPoint" : "RecoveryHostSystem",
                          point != NULL ? point : system, port, &host)) {
        return false;
    }
    if (point != NULL && system != NULL && !check_host_system(method, system, host)) {
        return false;
    }
    *out = host;
    return true;
}

/* --- disks ------------------------------------------------------------------------------------ */

static bool refuse_disk(struct method *method, const struct method_vm *vm, const char *text)
{
    return method_refuse(method, METHOD_INVALID_PARAMETER,
                         "IncludedDisks must name disks of '%s', by their InstanceID "
                         "'" DISK_ID_PREFIX "%s\\<disk>', not '%.128s'",
                         vm->name, vm->id, text != NULL ? text : "");
}

/* The disk's name, a part of text; NULL: it is no disk of that VM. */
static const char *disk_name(const struct method_vm *vm, const char *text)
{
    const size_t prefix = strlen(DISK_ID_PREFIX);
    const size_t id = strlen(vm->id);

    if (text == NULL || strncasecmp(text, DISK_ID_PREFIX, prefix) != 0 ||
        strncasecmp(text + prefix, vm->id, id) != 0 || text[prefix + id] != '\\' ||
        text[prefix + id + 1] == '\0') {
        return NULL;
    }
    return text + prefix + id + 1;
}

/* The InstanceID that one of the included disks is or has. */
static bool disk_id(struct method *method, const struct cim_value *disks, uint32_t index,
                    const char **out)
{
    const struct cim_instance *instance = NULL;
    struct error err = {0};

    if (disks->type == CIM_INSTANCE) {
        instance = disks->items[index].instance;
    } else if (disks->items[index].text[strspn(disks->items[index].text, " \t\r\n")] == '<') {
        if (cim_xml_read_embedded(method->request->arena, disks->items[index].text, DISK_CLASS,
                                  &instance, &err) < 0) {
            return method_refuse(method, METHOD_WRONG_TYPE, "IncludedDisks: %s", err.message);
        }
    } else {
        *out = disks->items[index].text;
        return true;
    }
    *out = cim_get_text(instance, "InstanceID");
    return true;
}

/* list is the caller's whatever happens. */
static bool add_disks(struct method *method, const struct cim_value *disks,
                      const struct method_vm *vm, json_t *list)
{
    for (uint32_t i = 0; i < disks->count; i++) {
        const char *text = NULL;
        if (!disk_id(method, disks, i, &text)) {
            return false;
        }
        const char *name = disk_name(vm, text);
        if (name == NULL) {
            return refuse_disk(method, vm, text);
        }
        if (json_array_append_new(list, json_string(name)) < 0) {
            return method_refuse(method, METHOD_OUT_OF_MEMORY, "out of memory for disks");
        }
    }
    return true;
}

bool method_settings_disks(struct method *method, const struct cim_instance *settings,
                           const struct method_vm *vm, json_t **out)
{
    const struct cim_value *disks = cim_get(settings, "IncludedDisks");

    if (disks == NULL || disks->is_null || disks->count == 0) {
        return true;
    }
    json_t *list = json_array();
    if (!add_disks(method, disks, vm, list)) {
        json_decref(list);
        return false;
    }
    *out = list;
    return true;
}

static bool has_name(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0) {
            return true;
        }
    }
    return false;
}

bool method_disks_are(const json_t *names, const json_t *relationship)
{
    const json_t *disks = json_object_get(relationship, "disks");
    size_t included = 0;

    for (size_t i = 0; i < json_array_size(disks); i++) {
        const json_t *disk = json_array_get(disks, i);
        const char *name = json_string_value(json_object_get(disk, "name"));
        if (name == NULL || !json_is_true(json_object_get(disk, "included"))) {
            continue;
        }
        if (!has_name(names, name)) {
            return false;
        }
        included++;
    }
    return included == json_array_size(names);
}
