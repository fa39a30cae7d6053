/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cim_rig.h - a request to the model, with a service behind it that knows three VMs: one that is
 * replicated from here, one that is replicated to here and on to a third host, and a spare one.
 */
#ifndef RESILVER_TESTS_CIM_RIG_H
#define RESILVER_TESTS_CIM_RIG_H

#include "base/limits.h"
#include "cim/provider.h"
#include "stub_service.h"

/* --- what the service knows --------------------------------------------------------------------
 */

#define SPACE CIM_SPACE_VIRTUALIZATION
#define WEB "6f1c2a9e-0000-4000-8000-000000000001"
#define WEB_UPPER "6F1C2A9E-0000-4000-8000-000000000001"
#define DB "6f1c2a9e-0000-4000-8000-000000000002"
#define DB_UPPER "6F1C2A9E-0000-4000-8000-000000000002"
#define SPARE "6f1c2a9e-0000-4000-8000-000000000003"
#define SPARE_UPPER "6F1C2A9E-0000-4000-8000-000000000003"
#define JOB "6f1c2a9e-0000-4000-8000-00000000000a"
#define JOB_UPPER "6F1C2A9E-0000-4000-8000-00000000000A"
#define DB_JOB "6f1c2a9e-0000-4000-8000-00000000000b"
#define HOST_JOB "6f1c2a9e-0000-4000-8000-00000000000c"
#define OLD_JOB "6f1c2a9e-0000-4000-8000-00000000000d"
#define OLD_JOB_UPPER "6F1C2A9E-0000-4000-8000-00000000000D"

#define VM_OF(id, name) "\"vm\": {\"id\": \"" id "\", \"name\": \"" name "\"}"

#define RELATIONSHIP(id, name, hop, role, state, health, peer, disks)                              \
    "{" VM_OF(id,                                                                                  \
              name) ", \"hop\": " hop ", \"role\": " role ", \"state\": " state                    \
                    ", \"health\": " health                                                        \
                    ", \"reason\": \"\", \"health_reason\": \"so it is\", \"peer\": \"" peer       \
                    "\", \"created\": \"2026-01-02T03:04:05Z\", \"last_replication\": "            \
                    "\"2026-03-01T21:00:00Z\", \"last_apply\": \"2026-03-01T21:00:01Z\", "         \
                    "\"last_try\": null, \"job\": null, \"settings\": {\"recovery_history\": "     \
                    "4, \"interval_s\": 900, \"rate_bytes_per_s\": 0, \"compression\": false, "    \
                    "\"auto_resync\": {\"enabled\": true, \"start\": \"01:15\", \"end\": "         \
                    "\"05:45\"}}, \"disks\": [" disks "]}"

#define JOB_OF(id, vm, state, error)                                                               \
    "{\"id\": \"" id "\", \"type\": 107, \"type_name\": \"resync\", \"state\": " state ", " vm     \
    ", \"hop\": 0, \"owner\": \"ann\", \"submitted\": \"2026-03-01T21:00:00Z\", "                  \
    "\"scheduled_start\": \"2026-03-01T22:00:00Z\", \"started\": null, \"ended\": null, "          \
    "\"changed\": \"2026-03-01T21:00:00.5Z\", \"elapsed_s\": 65, \"percent\": 42, "                \
    "\"status\": \"comparing\", \"cancellable\": true, \"error\": " error "}"

#define WEB_DISKS                                                                                  \
    "{\"name\": \"vda\", \"size_bytes\": 1048576, \"included\": true}, "                           \
    "{\"name\": \"vdb\", \"size_bytes\": 4096, \"included\": false}"
#define DB_DISKS "{\"name\": \"sda\", \"size_bytes\": 8192, \"included\": true}"
#define AN_ERROR "{\"code\": 32777, \"kind\": \"peer\", \"message\": \"db2 does not answer\"}"
#define DB_REPLICA RELATIONSHIP(DB, "db1", "0", "2", "3", "2", "db2", DB_DISKS)
#define DB_EXTENDING RELATIONSHIP(DB, "db1", "1", "3", "3", "1", "db3", DB_DISKS)
#define AN_ENTRY                                                                                   \
    "{\"allowed_primary\": \"db2\", \"fingerprint\": \"ab\", \"trust_group\": \"DEFAULT\", "       \
    "\"storage_root\": \"/srv/replicas\", \"created\": null}"

#define A_VM(id, name, mode, disks, relationships)                                                 \
    "{\"id\": \"" id "\", \"name\": \"" name "\", \"mode\": " mode                                 \
    ", \"inventory\": null, \"disks\": [" disks "], \"relationships\": [" relationships "]}"
#define A_DISK(name, path) "{\"name\": \"" name "\", \"path\": \"" path "\", \"format\": null}"
#define WEB_VM                                                                                     \
    A_VM(WEB, "web1", "1", A_DISK("vda", "/srv/web1.raw") ", " A_DISK("vdb", "/srv/b.raw"),        \
         RELATIONSHIP(WEB, "web1", "0", "1", "9", "3", "db2", WEB_DISKS))
#define DB_VM A_VM(DB, "db1", "2", "", DB_REPLICA ", " DB_EXTENDING)
#define SPARE_VM A_VM(SPARE, "spare", "0", A_DISK("vda", "/srv/spare.raw"), "")

static const struct stub_answer the_answers[] = {
    {"GET /v1/host",
     "{\"name\": \"here\", \"version\": \"1.2\", \"fingerprint\": \"abcd\", \"uptime_s\": 60, "
     "\"replication\": {\"enabled\": true, \"listen\": \"0.0.0.0:8490\", \"advertise\": \"h:1\"}}"},
    {"GET /v1/vms", "{\"vms\": [" WEB_VM ", " DB_VM ", " SPARE_VM "]}"},
    {"GET /v1/vms/" WEB, WEB_VM},
    {"GET /v1/vms/" DB, DB_VM},
    {"GET /v1/vms/" SPARE, SPARE_VM},
    {"GET /v1/hosts", "{\"hosts\": [{\"name\": \"db2\", \"address\": \"db2.example:8491\", "
                      "\"fingerprint\": \"ab\"}]}"},
    {"GET /v1/jobs", "{\"jobs\": [" JOB_OF(JOB, VM_OF(WEB, "web1"), "4", "null") ", " JOB_OF(
                         DB_JOB, VM_OF(DB, "db1"), "10",
                         AN_ERROR) ", " JOB_OF(HOST_JOB, "\"vm\": {\"id\": null, \"name\": \"\"}",
                                               "7", "null") "]}"},
    {"GET /v1/jobs/" JOB, JOB_OF(JOB, VM_OF(WEB, "web1"), "4", "null")},
    {"GET /v1/jobs/" DB_JOB, JOB_OF(DB_JOB, VM_OF(DB, "db1"), "10", AN_ERROR)},
    {"GET /v1/jobs/" HOST_JOB,
     JOB_OF(HOST_JOB, "\"vm\": {\"id\": null, \"name\": \"\"}", "7", "null")},
    {"GET /v1/jobs/" OLD_JOB, JOB_OF(OLD_JOB, VM_OF(WEB, "web1"), "7", "null")},
    {"GET /v1/authorizations", "{\"authorizations\": [" AN_ENTRY "]}"},
    {"PUT /v1/authorizations/db2", AN_ENTRY},
};

#define SERVICE_PATH                                                                               \
    "Msvm_ReplicationService.CreationClassName=\"Msvm_ReplicationService\",Name=\"replicasvc\","   \
    "SystemCreationClassName=\"Msvm_ComputerSystem\",SystemName=\"here\""
#define SYSTEM_PATH(name)                                                                          \
    "Msvm_ComputerSystem.CreationClassName=\"Msvm_ComputerSystem\",Name=\"" name "\""
#define HOP_PATH(class, id, hop) class ".InstanceID=\"Microsoft:" id "\\\\HVR\\\\" hop "\""
#define JOB_PATH(id) "Msvm_ConcreteJob.InstanceID=\"" id "\""
#define ENTRY_PATH                                                                                 \
    "Msvm_ReplicationAuthorizationSettingData.InstanceID="                                         \
    "\"Resilver:ReplicationAuthorization\\\\db2\""

/* --- a request ---------------------------------------------------------------------------------
 */

struct rig {
    struct stub stub;
    struct arena arena;
    struct client *client;
    struct cim_caller caller;
    struct cim_request request;
    struct error err;
};

static inline void rig_start(struct rig *rig, enum cim_role role)
{
    memset(rig, 0, sizeof *rig);
    stub_start(&rig->stub, the_answers, ARRAY_COUNT(the_answers));
    arena_init(&rig->arena, CIM_REQUEST_BYTES);
    assert_int_equal(client_open(rig->stub.path, &rig->client, NULL), 0);
    rig->caller = (struct cim_caller){.name = "ann", .role = role};
    rig->request = (struct cim_request){
        .arena = &rig->arena, .client = rig->client, .caller = &rig->caller, .env = env_system()};
}

static inline void rig_allow(struct rig *rig, const char *vm, enum cim_role role)
{
    struct cim_vm_role *entry = &rig->caller.vms[rig->caller.vm_count++];

    (void)snprintf(entry->vm, sizeof entry->vm, "%s", vm);
    entry->role = role;
}

static inline void rig_stop(struct rig *rig)
{
    cim_request_done(&rig->request);
    client_close(rig->client);
    arena_free(&rig->arena);
    stub_stop(&rig->stub);
}

static const struct cim_path *path_of(struct rig *rig, const char *text)
{
    const struct cim_path *path = NULL;

    if (cim_path_read(&rig->arena, text, &path, &rig->err) < 0) {
        fail_msg("%s: %s", text, rig->err.message);
    }
    return path;
}

static const struct cim_instance *get(struct rig *rig, const char *text)
{
    const struct cim_instance *found = NULL;

    if (cim_get_instance(&rig->request, SPACE, path_of(rig, text), &found, &rig->err) < 0) {
        fail_msg("%s: %s", text, rig->err.message);
    }
    return found;
}

static inline enum cim_status get_status(struct rig *rig, const char *text)
{
    const struct cim_instance *found = NULL;

    rig->request.status = CIM_OK;
    int result = cim_get_instance(&rig->request, SPACE, path_of(rig, text), &found, &rig->err);
    assert_int_equal(result, rig->request.status == CIM_OK ? 0 : -1);
    assert_true(result == 0 || rig->err.message[0] != '\0');
    return rig->request.status;
}

static inline uint32_t count_of(struct rig *rig, enum cim_space space, const char *class_name)
{
    struct cim_list list = {0};
    const struct cim_class *class = cim_class_find(space, class_name);

    assert_non_null(class);
    if (cim_enumerate(&rig->request, space, class, &list, &rig->err) < 0) {
        fail_msg("%s: %s", class_name, rig->err.message);
    }
    return list.count;
}

static inline struct cim_list query(struct rig *rig, const char *text)
{
    struct cim_list list = {0};
    struct wql parsed;

    if (wql_parse(&rig->arena, text, &parsed, &rig->err) < 0 ||
        cim_query(&rig->request, SPACE, &parsed, &list, &rig->err) < 0) {
        fail_msg("%s: %s", text, rig->err.message);
    }
    return list;
}

static inline void assert_text(const struct cim_instance *instance, const char *name,
                               const char *expected)
{
    const char *text = cim_get_text(instance, name);

    if (text == NULL || strcmp(text, expected) != 0) {
        fail_msg("%s of %s is %s, not %s", name, instance->class->name,
                 text != NULL ? text : "null", expected);
    }
}

static inline void assert_number(const struct cim_instance *instance, const char *name,
                                 uint64_t expected)
{
    uint64_t number = 0;

    if (!cim_get_number(instance, name, &number) || number != expected) {
        fail_msg("%s of %s is %llu, not %llu", name, instance->class->name,
                 (unsigned long long)number, (unsigned long long)expected);
    }
}

static inline void assert_nothing(const struct cim_instance *instance, const char *name)
{
    assert_non_null(cim_get(instance, name));
    assert_true(cim_get(instance, name)->is_null);
}

#endif
