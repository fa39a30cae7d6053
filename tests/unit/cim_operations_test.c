/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cim/operations.h"

#include "cim_rig.h"

/* --- methods that write down what reached them --------------------------------------------------
 */

static const char *invoked_on;
static uint32_t invoked;

static int write_down(struct cim_request *request, const struct cim_instance *on,
                      const struct cim_arguments *in, struct cim_outcome *out, struct error *err)
{
    (void)request;
    (void)in;
    (void)err;
    invoked_on = on->class->name;
    invoked++;
    out->return_value = 4096;
    return 0;
}

/* In the place of method_table.c. */
const struct cim_method_row cim_method_rows[] = {
    {"Msvm_ReplicationService", "Resynchronize", write_down},
    {"CIM_ConcreteJob", "RequestStateChange", write_down},
};
const uint32_t cim_method_row_count = ARRAY_COUNT(cim_method_rows);

/* --- enumerating -------------------------------------------------------------------------------
 */

static const struct {
    enum cim_space space;
    const char *class_name;
    uint32_t count;
} kinds[] = {
    {SPACE, "Msvm_ComputerSystem", 4},
    {SPACE, "CIM_ComputerSystem", 4},
    {SPACE, "Msvm_ReplicationService", 1},
    {SPACE, "Msvm_ReplicationServiceSettingData", 1},
    {SPACE, "Msvm_ReplicationProvider", 1},
    {SPACE, "Msvm_ReplicationRelationship", 3},
    {SPACE, "Msvm_ReplicationSettingData", 4},
    {SPACE, "Msvm_StorageAllocationSettingData", 4},
    {SPACE, "Msvm_ReplicationAuthorizationSettingData", 1},
    {SPACE, "CIM_SettingData", 10},
    {SPACE, "Msvm_ConcreteJob", 3},
    {SPACE, "Msvm_SystemReplicationRelationship", 3},
    {SPACE, "Msvm_SettingsDefineState", 3},
    {SPACE, "Msvm_ElementSettingData", 4 + 4 + 2},
    {SPACE, "Msvm_HostedService", 1},
    {SPACE, "Msvm_AffectedJobElement", 2},
    {SPACE, "Msvm_OwningJobElement", 3},
    {SPACE, "Msvm_ReplicaSystemDependency", 0},
    {SPACE, "Msvm_Error", 0},
    {CIM_SPACE_INTEROP, "CIM_Namespace", 2},
    {CIM_SPACE_INTEROP, "CIM_ObjectManager", 1},
};

static void every_class_is_enumerated_with_those_that_descend_from_it(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
    for (uint32_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        uint32_t count = count_of(&rig, kinds[i].space, kinds[i].class_name);
        if (count != kinds[i].count) {
            fail_msg("%s: %u", kinds[i].class_name, count);
        }
    }
    rig_stop(&rig);
}

/* Whatever is enumerated has all its keys, and is found again by them. */
static void every_instance_is_found_by_its_own_path(void **state)
{
    struct rig rig;

    (void)state;
    for (uint32_t i = 0; i < cim_provider_count; i++) {
        rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
        struct cim_list list = {0};
        assert_int_equal(cim_providers[i]->enumerate(&rig.request, NULL, &list, &rig.err), 0);
        for (uint32_t j = 0; j < list.count; j++) {
            const struct cim_instance *found = NULL;
            enum cim_space space =
                (list.all[j]->class->spaces & SPACE) != 0 ? SPACE : CIM_SPACE_INTEROP;
            const struct cim_path *path =
                cim_instance_path(&rig.arena, list.all[j], cim_space_name(space));
            assert_non_null(path);
            assert_int_equal(path->key_count, list.all[j]->class->key_count);
            if (cim_get_instance(&rig.request, space, path, &found, &rig.err) < 0) {
                fail_msg("%s", rig.err.message);
            }
            assert_true(cim_path_matches(path, found));
            assert_ptr_equal(found->class, list.all[j]->class);
        }
        rig_stop(&rig);
    }
}

static void a_list_of_the_service_is_asked_for_once(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
    (void)count_of(&rig, SPACE, "Msvm_ReplicationSettingData");
    (void)count_of(&rig, SPACE, "Msvm_ComputerSystem");
    (void)get(&rig, SYSTEM_PATH(WEB_UPPER));
    assert_int_equal(atomic_load(&rig.stub.calls), 3); /* host, vms, hosts */
    rig_stop(&rig);
}

static void a_single_vm_is_asked_for_alone_and_two_as_a_list(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    (void)get(&rig, SYSTEM_PATH(WEB));
    (void)get(&rig, HOP_PATH("Msvm_ReplicationRelationship", WEB, "0"));
    assert_int_equal(atomic_load(&rig.stub.calls), 2); /* host, the VM */
    (void)get(&rig, SYSTEM_PATH(DB));
    (void)get(&rig, SYSTEM_PATH(SPARE));
    assert_int_equal(atomic_load(&rig.stub.calls), 3); /* all VMs */
    rig_stop(&rig);
}

/* --- paths that name nothing -------------------------------------------------------------------
 */

static const struct {
    const char *path;
    enum cim_status status;
} wrong_paths[] = {
    {SYSTEM_PATH("6f1c2a9e-0000-4000-8000-0000000000ff"), CIM_NOT_FOUND},
    {SYSTEM_PATH("elsewhere"), CIM_NOT_FOUND},
    {"Msvm_ComputerSystem.CreationClassName=\"Other\",Name=\"here\"", CIM_NOT_FOUND},
    {"Msvm_ComputerSystem.Name=\"here\"", CIM_INVALID_PARAMETER},
    {"Msvm_ComputerSystem.CreationClassName=\"Msvm_ComputerSystem\",Name=\"here\",Caption=\"x\"",
     CIM_INVALID_PARAMETER},
    {"Msvm_ComputerSystem.CreationClassName=\"Msvm_ComputerSystem\",Nome=\"here\"",
     CIM_INVALID_PARAMETER},
    {"Msvm_Nothing.Name=\"x\"", CIM_INVALID_CLASS},
    {"root/elsewhere:" SYSTEM_PATH("here"), CIM_INVALID_NAMESPACE},
    {JOB_PATH("no-uuid"), CIM_NOT_FOUND},
    {JOB_PATH("6f1c2a9e-0000-4000-8000-0000000000ff"), CIM_NOT_FOUND},
    {HOP_PATH("Msvm_ReplicationRelationship", WEB, "1"), CIM_NOT_FOUND},
    {HOP_PATH("Msvm_ReplicationRelationship", WEB, "2"), CIM_NOT_FOUND},
    {"Msvm_StorageAllocationSettingData.InstanceID=\"Microsoft:" WEB "\\\\vdz\"", CIM_NOT_FOUND},
    {"Msvm_Error.MessageID=\"1\"", CIM_INVALID_PARAMETER},
};

static void paths_that_name_nothing_are_refused_with_words(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
    for (uint32_t i = 0; i < ARRAY_COUNT(wrong_paths); i++) {
        enum cim_status status = get_status(&rig, wrong_paths[i].path);
        if (status != wrong_paths[i].status) {
            fail_msg("%s: %s", wrong_paths[i].path, cim_status_name(status));
        }
    }
    rig_stop(&rig);
}

static void an_ancestor_class_and_a_namespace_in_the_path_are_fine(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    const struct cim_instance *web =
        get(&rig, "\\\\HERE\\root\\virtualization\\v2:CIM_ComputerSystem.CreationClassName="
                  "\"msvm_computersystem\",Name=\"" WEB "\"");
    assert_text(web, "ElementName", "web1");
    assert_text(get(&rig, "Msvm_ConcreteJob=\"" JOB "\""), "InstanceID", JOB_UPPER);
    rig_stop(&rig);
}

static void a_namespace_and_a_class_are_resolved_or_refused(void **state)
{
    struct rig rig;
    enum cim_space space = CIM_SPACE_NONE;
    const struct cim_class *class = NULL;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    assert_int_equal(cim_resolve(&rig.request, "root\\virtualization\\v2", "msvm_concretejob",
                                 &space, &class, &rig.err),
                     0);
    assert_int_equal(space, SPACE);
    assert_string_equal(class->name, "Msvm_ConcreteJob");
    assert_int_equal(cim_resolve(&rig.request, "root/cimv2", "X", &space, &class, &rig.err), -1);
    assert_int_equal(rig.request.status, CIM_INVALID_NAMESPACE);
    assert_int_equal(cim_resolve(&rig.request, "", "Win32_Process", &space, &class, &rig.err), -1);
    assert_int_equal(rig.request.status, CIM_INVALID_CLASS);
    rig_stop(&rig);
}

/* --- associations ------------------------------------------------------------------------------
 */

struct wanted_links {
    const char *of;
    struct cim_association_filter filter;
    uint32_t objects;
    uint32_t links; /* with role only */
};

static const struct wanted_links all_links[] = {
    /* a relationship, settings, two disks, a job; the job is by Msvm_AffectedJobElement */
    {SYSTEM_PATH(WEB), {.role = NULL}, 5, 5},
    {SYSTEM_PATH(WEB), {.result_class = "Msvm_ReplicationRelationship"}, 1, 0},
    {SYSTEM_PATH(WEB), {.result_class = "CIM_SettingData"}, 3, 0},
    {SYSTEM_PATH(WEB), {.association_class = "Msvm_SystemReplicationRelationship"}, 1, 0},
    {SYSTEM_PATH(WEB), {.association_class = "CIM_Dependency", .role = "Antecedent"}, 1, 1},
    {SYSTEM_PATH(WEB), {.role = "Dependent"}, 0, 0},
    {SYSTEM_PATH(WEB), {.result_role = "affectingelement"}, 1, 0},
    {HOP_PATH("Msvm_ReplicationRelationship", WEB, "0"), {.role = NULL}, 2, 2},
    {HOP_PATH("Msvm_ReplicationRelationship", WEB, "0"),
     {.result_class = "CIM_ComputerSystem"},
     1,
     0},
    {HOP_PATH("Msvm_ReplicationSettingData", DB, "1"),
     {.association_class = "Msvm_SettingsDefineState"},
     1,
     0},
    {SYSTEM_PATH("here"), {.role = NULL}, 1, 1},
    {SERVICE_PATH, {.result_class = "CIM_SettingData"}, 2, 0},
    {JOB_PATH(OLD_JOB), {.role = NULL}, 2, 2},
    {JOB_PATH(JOB), {.result_class = "Msvm_ReplicationService"}, 1, 0},
    {"Msvm_StorageAllocationSettingData.InstanceID=\"Microsoft:" WEB "\\\\vdb\"",
     {.role = NULL},
     1,
     1},
    {SYSTEM_PATH(WEB), {.required_qualifier = "Nonsense"}, 0, 0},
    {SYSTEM_PATH(WEB), {.required_association_qualifier = "association"}, 5, 0},
    {SYSTEM_PATH(WEB), {.required_association_qualifier = "Nonsense"}, 0, 0},
    {ENTRY_PATH, {.role = NULL}, 1, 1},
};

static void what_is_linked_is_found_from_both_ends(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
    for (uint32_t i = 0; i < ARRAY_COUNT(all_links); i++) {
        const struct wanted_links *wanted = &all_links[i];
        struct cim_list objects = {0};
        struct cim_list links = {0};
        struct cim_association_filter only = {.role = wanted->filter.role};
        const struct cim_path *of = path_of(&rig, wanted->of);
        if (cim_associators(&rig.request, SPACE, of, &wanted->filter, &objects, &rig.err) < 0 ||
            cim_references(&rig.request, SPACE, of, &only, &links, &rig.err) < 0) {
            fail_msg("%s: %s", wanted->of, rig.err.message);
        }
        if (objects.count != wanted->objects ||
            (wanted->links != 0 && links.count != wanted->links)) {
            fail_msg("row %u, %s: %u objects, %u links", i, wanted->of, objects.count, links.count);
        }
    }
    rig_stop(&rig);
}

static void what_is_asked_of_nothing_or_by_no_class_is_refused(void **state)
{
    struct rig rig;
    struct cim_list list = {0};
    const struct cim_association_filter none = {.association_class = "Msvm_None"};
    const struct cim_association_filter no_result = {.result_class = "Msvm_None"};

    (void)state;
    rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
    const struct cim_path *web = path_of(&rig, SYSTEM_PATH(WEB));
    const struct cim_path *nobody = path_of(&rig, SYSTEM_PATH("nobody"));
    assert_int_equal(cim_associators(&rig.request, SPACE, web, &none, &list, &rig.err), -1);
    assert_int_equal(rig.request.status, CIM_INVALID_PARAMETER);
    assert_int_equal(cim_references(&rig.request, SPACE, web, &no_result, &list, &rig.err), -1);
    assert_int_equal(rig.request.status, CIM_INVALID_PARAMETER);
    assert_int_equal(cim_associators(&rig.request, SPACE, nobody, NULL, &list, &rig.err), -1);
    assert_int_equal(rig.request.status, CIM_NOT_FOUND);
    assert_int_equal(list.count, 0);
    rig_stop(&rig);
}

/* --- queries -----------------------------------------------------------------------------------
 */

static void queries_find_what_they_say(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
    assert_int_equal(query(&rig, "SELECT * FROM Msvm_ComputerSystem").count, 4);
    assert_int_equal(
        query(&rig, "SELECT Name FROM CIM_ComputerSystem WHERE InstallDate IS NULL").count, 1);
    assert_int_equal(query(&rig, "SELECT * FROM Msvm_ReplicationRelationship WHERE "
                                 "ReplicationHealth > 1")
                         .count,
                     2);
    assert_int_equal(query(&rig, "ASSOCIATORS OF {" SYSTEM_PATH(WEB) "} WHERE ResultClass = "
                                                                     "Msvm_ReplicationRelationship")
                         .count,
                     1);
    assert_int_equal(query(&rig,
                           "REFERENCES OF {" SYSTEM_PATH(DB) "} WHERE ResultClass = "
                                                             "Msvm_SystemReplicationRelationship")
                         .count,
                     2);
    rig_stop(&rig);
}

static void a_query_by_the_key_gets_one_instance_only(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    struct cim_list list =
        query(&rig, "select * from Msvm_ConcreteJob where InstanceID = '" OLD_JOB "'");
    assert_int_equal(list.count, 1);
    assert_text(list.all[0], "InstanceID", OLD_JOB_UPPER);
    assert_int_equal(atomic_load(&rig.stub.calls), 1);
    list =
        query(&rig, "select * from Msvm_ConcreteJob where InstanceID = '" JOB "' AND JobState = 7");
    assert_int_equal(list.count, 0);
    rig_stop(&rig);
}

static void queries_that_cannot_be_are_refused(void **state)
{
    struct rig rig;
    struct cim_list list = {0};
    struct wql parsed;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    assert_int_equal(wql_parse(&rig.arena, "SELECT * FROM Msvm_None", &parsed, &rig.err), 0);
    assert_int_equal(cim_query(&rig.request, SPACE, &parsed, &list, &rig.err), -1);
    assert_int_equal(rig.request.status, CIM_INVALID_CLASS);
    assert_int_equal(wql_parse(&rig.arena, "SELECT Foo FROM Msvm_ConcreteJob", &parsed, &rig.err),
                     0);
    assert_int_equal(cim_query(&rig.request, SPACE, &parsed, &list, &rig.err), -1);
    assert_int_equal(rig.request.status, CIM_INVALID_QUERY);
    rig_stop(&rig);
}

/* --- who sees what -----------------------------------------------------------------------------
 */

static void nobody_sees_nothing(void **state)
{
    struct rig rig;
    struct cim_list list = {0};
    const struct cim_class *class = cim_class_find(SPACE, "Msvm_ComputerSystem");

    (void)state;
    rig_start(&rig, CIM_ROLE_NOBODY);
    assert_int_equal(cim_enumerate(&rig.request, SPACE, class, &list, &rig.err), -1);
    assert_int_equal(rig.request.status, CIM_ACCESS_DENIED);
    rig.request.caller = NULL;
    assert_int_equal(get_status(&rig, SYSTEM_PATH("here")), CIM_ACCESS_DENIED);
    assert_int_equal(atomic_load(&rig.stub.calls), 0);
    rig_stop(&rig);
}

static void a_viewer_of_one_vm_sees_that_one_and_the_service(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_NOBODY);
    rig_allow(&rig, "web1", CIM_ROLE_VIEWER);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_ComputerSystem"), 2);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_ReplicationService"), 1);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_ReplicationServiceSettingData"), 0);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_ReplicationProvider"), 0);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_ReplicationRelationship"), 1);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_ReplicationSettingData"), 1);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_StorageAllocationSettingData"), 2);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_ConcreteJob"), 1);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_SystemReplicationRelationship"), 1);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_ReplicationAuthorizationSettingData"), 0);
    assert_int_equal(get_status(&rig, SYSTEM_PATH(DB)), CIM_NOT_FOUND);
    assert_int_equal(get_status(&rig, HOP_PATH("Msvm_ReplicationRelationship", DB, "0")),
                     CIM_NOT_FOUND);
    assert_int_equal(get_status(&rig, HOP_PATH("Msvm_ReplicationSettingData", DB, "0")),
                     CIM_NOT_FOUND);
    assert_int_equal(get_status(&rig, JOB_PATH(DB_JOB)), CIM_NOT_FOUND);
    assert_int_equal(get_status(&rig, "Msvm_StorageAllocationSettingData.InstanceID=\"Microsoft:" DB
                                      "\\\\sda\""),
                     CIM_NOT_FOUND);
    rig_stop(&rig);
}

static void a_vm_may_be_hidden_from_a_viewer_of_all_others(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    rig_allow(&rig, DB_UPPER, CIM_ROLE_NOBODY);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_ComputerSystem"), 3);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_ConcreteJob"), 2);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_AffectedJobElement"), 1);
    assert_int_equal(get_status(&rig, SYSTEM_PATH(DB)), CIM_NOT_FOUND);
    rig_stop(&rig);
}

static void only_administrators_see_who_may_replicate_to_here(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_OPERATOR);
    assert_int_equal(count_of(&rig, SPACE, "Msvm_ReplicationAuthorizationSettingData"), 0);
    assert_int_equal(get_status(&rig, ENTRY_PATH), CIM_NOT_FOUND);
    rig_stop(&rig);
    rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
    const struct cim_instance *entry = get(&rig, ENTRY_PATH);
    assert_text(entry, "AllowedPrimaryHostSystem", "db2");
    assert_text(entry, "ReplicaStorageLocation", "/srv/replicas");
    rig_stop(&rig);
}

/* --- changing ----------------------------------------------------------------------------------
 */

static int change(struct rig *rig, const char *path, const char *property, const char *value)
{
    const struct cim_instance *is = get(rig, path);
    struct cim_instance *with = cim_instance_new(&rig->arena, is->class);
    int index = cim_property_index(is->class, property);
    uint64_t given[2] = {0};

    assert_true(index >= 0);
    given[index / 64] |= 1ULL << (index % 64);
    cim_set_text(with, property, value);
    rig->request.status = CIM_OK;
    return cim_modify(&rig->request, SPACE, path_of(rig, path), with, given, &rig->err);
}

static void an_entry_is_changed_and_keeps_what_was_not_given(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
    assert_int_equal(change(&rig, ENTRY_PATH, "ReplicaStorageLocation", "/srv/other"), 0);
    assert_non_null(strstr(rig.stub.last, "PUT /v1/authorizations/db2 "));
    assert_non_null(strstr(rig.stub.last, "/srv/other"));
    assert_non_null(strstr(rig.stub.last, "DEFAULT"));
    assert_int_equal(change(&rig, ENTRY_PATH, "Caption", "Replication Authorization Settings"), 0);
    rig_stop(&rig);
}

static void what_cannot_be_changed_is_refused(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
    assert_int_equal(change(&rig, ENTRY_PATH, "Caption", "mine"), -1);
    assert_int_equal(rig.request.status, CIM_INVALID_PARAMETER);
    assert_int_equal(change(&rig, ENTRY_PATH, "AllowedPrimaryHostSystem", "db9"), -1);
    assert_int_equal(rig.request.status, CIM_INVALID_PARAMETER);
    assert_int_equal(change(&rig, ENTRY_PATH, "ReplicaStorageLocation", NULL), -1);
    assert_int_equal(rig.request.status, CIM_INVALID_PARAMETER);
    assert_int_equal(change(&rig, SYSTEM_PATH(WEB), "ElementName", "web2"), -1);
    assert_int_equal(rig.request.status, CIM_NOT_SUPPORTED);
    rig_stop(&rig);
}

/* --- methods -----------------------------------------------------------------------------------
 */

static int invoke(struct rig *rig, const char *path, const char *class_name, const char *name,
                  struct cim_outcome *out)
{
    const struct cim_method *method = cim_method_find(cim_class_find(SPACE, class_name), name);

    assert_non_null(method);
    struct cim_arguments *in = cim_arguments_new(&rig->arena, method);
    assert_non_null(in);
    rig->request.status = CIM_OK;
    return cim_invoke(&rig->request, SPACE, path_of(rig, path), method, in, out, &rig->err);
}

static void a_method_reaches_the_row_of_its_class_or_of_an_ancestor(void **state)
{
    struct rig rig;
    struct cim_outcome out = {0};

    (void)state;
    invoked = 0;
    rig_start(&rig, CIM_ROLE_NOBODY);
    rig_allow(&rig, WEB, CIM_ROLE_OPERATOR); /* who has but one VM reaches the service */
    assert_int_equal(invoke(&rig, SERVICE_PATH, "Msvm_ReplicationService", "Resynchronize", &out),
                     0);
    assert_int_equal(out.return_value, 4096);
    assert_string_equal(out.message, "");
    assert_string_equal(invoked_on, "Msvm_ReplicationService");
    assert_true(out.out->values[0].is_null);
    assert_int_equal(invoke(&rig, JOB_PATH(JOB), "CIM_ConcreteJob", "RequestStateChange", &out), 0);
    assert_string_equal(invoked_on, "Msvm_ConcreteJob");
    assert_int_equal(invoked, 2);
    rig_stop(&rig);
}

static void a_method_on_nothing_or_that_is_not_there_is_refused(void **state)
{
    struct rig rig;
    struct cim_outcome out = {0};

    (void)state;
    invoked = 0;
    rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
    assert_int_equal(invoke(&rig, JOB_PATH("6f1c2a9e-0000-4000-8000-0000000000ff"),
                            "Msvm_ConcreteJob", "RequestStateChange", &out),
                     -1);
    assert_int_equal(rig.request.status, CIM_NOT_FOUND);
    assert_int_equal(
        invoke(&rig, SYSTEM_PATH(WEB), "Msvm_ReplicationService", "Resynchronize", &out), -1);
    assert_int_equal(rig.request.status, CIM_METHOD_NOT_FOUND);
    assert_int_equal(invoke(&rig, JOB_PATH(JOB), "Msvm_ConcreteJob", "GetError", &out), -1);
    assert_int_equal(rig.request.status, CIM_METHOD_NOT_AVAILABLE);
    assert_int_equal(invoked, 0);
    rig_stop(&rig);
}

/* --- when things are short ---------------------------------------------------------------------
 */

static void a_service_that_is_not_running_is_told_in_words(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    struct client *other = NULL;
    assert_int_equal(client_open("/nowhere/control.sock", &other, NULL), 0);
    rig.request.client = other;
    assert_int_equal(get_status(&rig, SYSTEM_PATH("here")), CIM_FAILED);
    assert_non_null(strstr(rig.err.message, "resilverd"));
    client_close(other);
    rig_stop(&rig);
}

/* Whatever the limit, it is said, and nothing is used that is not there. */
static void too_little_memory_is_told_wherever_it_ends(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_ADMINISTRATOR);
    const struct cim_class *class = cim_class_find(SPACE, "CIM_ManagedElement");
    bool has_enough = false;
    for (size_t bytes = 256; !has_enough; bytes += 4096) {
        struct cim_list list = {0};
        struct arena small;
        arena_init(&small, bytes);
        rig.request.arena = &small;
        rig.request.status = CIM_OK;
        has_enough = cim_enumerate(&rig.request, SPACE, class, &list, &rig.err) == 0;
        assert_true(has_enough || rig.request.status == CIM_SERVER_LIMITS_EXCEEDED);
        assert_true(has_enough || list.count == 0);
        assert_true(bytes < CIM_REQUEST_BYTES);
        arena_free(&small);
    }
    rig_stop(&rig);
}

static void a_list_ends_at_its_limit(void **state)
{
    struct arena arena;
    struct cim_list list = {0};
    static const struct cim_instance instance;

    (void)state;
    arena_init(&arena, CIM_REQUEST_BYTES);
    for (uint32_t i = 0; i < CIM_INSTANCES_MAX; i++) {
        assert_true(cim_list_add(&arena, &list, &instance));
    }
    assert_false(cim_list_add(&arena, &list, &instance));
    assert_int_equal(list.count, CIM_INSTANCES_MAX);
    arena_free(&arena);
}

static void refusals_of_the_service_have_their_status(void **state)
{
    static const struct {
        long http_status;
        uint32_t return_value;
        enum cim_status status;
    } rows[] = {
        {400, 32773, CIM_INVALID_PARAMETER},
        {403, 32769, CIM_ACCESS_DENIED},
        {404, 32773, CIM_NOT_FOUND},
        {409, 32775, CIM_FAILED},
        {422, 32770, CIM_NOT_SUPPORTED},
        {422, 32779, CIM_FAILED},
        {429, 32778, CIM_SERVER_LIMITS_EXCEEDED},
        {500, 32768, CIM_FAILED},
        {0, 0, CIM_FAILED},
    };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct client_refusal refusal = {rows[i].http_status, rows[i].return_value};
        assert_int_equal(cim_from_refusal(&refusal, NULL), rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_class_is_enumerated_with_those_that_descend_from_it),
        cmocka_unit_test(every_instance_is_found_by_its_own_path),
        cmocka_unit_test(a_list_of_the_service_is_asked_for_once),
        cmocka_unit_test(a_single_vm_is_asked_for_alone_and_two_as_a_list),
        cmocka_unit_test(paths_that_name_nothing_are_refused_with_words),
        cmocka_unit_test(an_ancestor_class_and_a_namespace_in_the_path_are_fine),
        cmocka_unit_test(a_namespace_and_a_class_are_resolved_or_refused),
        cmocka_unit_test(what_is_linked_is_found_from_both_ends),
        cmocka_unit_test(what_is_asked_of_nothing_or_by_no_class_is_refused),
        cmocka_unit_test(queries_find_what_they_say),
        cmocka_unit_test(a_query_by_the_key_gets_one_instance_only),
        cmocka_unit_test(queries_that_cannot_be_are_refused),
        cmocka_unit_test(nobody_sees_nothing),
        cmocka_unit_test(a_viewer_of_one_vm_sees_that_one_and_the_service),
        cmocka_unit_test(a_vm_may_be_hidden_from_a_viewer_of_all_others),
        cmocka_unit_test(only_administrators_see_who_may_replicate_to_here),
        cmocka_unit_test(an_entry_is_changed_and_keeps_what_was_not_given),
        cmocka_unit_test(what_cannot_be_changed_is_refused),
        cmocka_unit_test(a_method_reaches_the_row_of_its_class_or_of_an_ancestor),
        cmocka_unit_test(a_method_on_nothing_or_that_is_not_there_is_refused),
        cmocka_unit_test(a_service_that_is_not_running_is_told_in_words),
        cmocka_unit_test(too_little_memory_is_told_wherever_it_ends),
        cmocka_unit_test(a_list_ends_at_its_limit),
        cmocka_unit_test(refusals_of_the_service_have_their_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
