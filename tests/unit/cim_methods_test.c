/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cim_methods_test.c - what all methods have in common, and Resynchronize: the call that arrives
 * at the service, and what comes back.
 */
#include "method_rig.h"

/* --- the table ----------------------------------------------------------------------------------
 */

static bool has_row(const char *class_name, const char *method)
{
    for (uint32_t i = 0; i < cim_method_row_count; i++) {
        if (strcmp(cim_method_rows[i].class_name, class_name) == 0 &&
            strcmp(cim_method_rows[i].method, method) == 0) {
            return true;
        }
    }
    return false;
}

static void every_method_of_the_service_and_of_jobs_is_there(void **state)
{
    static const char *const names[] = {SERVICE, JOB};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const struct cim_class *class = class_of(names[i]);
        assert_true(class->method_count > 0);
        for (uint32_t m = 0; m < class->method_count; m++) {
            if (!has_row(class->name, class->methods[m].name)) {
                fail_msg("%s.%s has no row", class->name, class->methods[m].name);
            }
        }
    }
    for (uint32_t i = 0; i < cim_method_row_count; i++) {
        const struct cim_method_row *row = &cim_method_rows[i];
        if (cim_method_find(class_of(row->class_name), row->method) == NULL) {
            fail_msg("%s.%s is not in the model", row->class_name, row->method);
        }
    }
}

/* --- Resynchronize ------------------------------------------------------------------------------
 */

static void each_return_value_of_resynchronize_arrives(void **state)
{
    static const uint32_t values[] = {0,     4096,  32768, 32769, 32770, 32771, 32772,
                                      32773, 32774, 32775, 32776, 32777, 32778, 32779};
    struct stage stage;

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        prepare(&stage, SERVICE, "Resynchronize");
        give_vm(&stage, VM_UPPER);
        reply_with(&stage, (enum return_value)values[i]);
        assert_int_equal(invoke(&stage), values[i]);
        assert_int_equal(rig_calls(&stage.rig), 1);
        assert_string_equal(the_service.last, "resynchronize " VM_ID " at -");
        if (values[i] == STARTED) {
            assert_job(&stage);
        } else {
            assert_no_job(&stage);
        }
        assert_int_equal(stage.out.message[0] != '\0', values[i] >= 32768);
    }
    stage_stop(&stage);
}

static void a_start_time_goes_as_it_came(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, VM_ID);
    give_datetime(&stage, "StartTime", MOMENT);
    assert_asked(&stage, "resynchronize " VM_ID " at " MOMENT);
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, VM_ID);
    give_datetime(&stage, "StartTime", "20260301220000.000000+***");
    assert_asked(&stage, "resynchronize " VM_ID " at 20260301220000.000000+***");
    stage_stop(&stage);
}

static void what_is_no_moment_is_of_the_wrong_type(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, VM_ID);
    give_datetime(&stage, "StartTime", INTERVAL);
    assert_refused(&stage, WRONG_TYPE, "StartTime must be a datetime");
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, VM_ID);
    mark_wrong(&stage, "StartTime");
    assert_refused(&stage, WRONG_TYPE, "StartTime must be a datetime");
    prepare(&stage, SERVICE, "StartReplication");
    give_vm(&stage, VM_ID);
    give_number(&stage, "InitialReplicationType", 1);
    give_datetime(&stage, "StartTime", INTERVAL);
    assert_refused(&stage, WRONG_TYPE, "StartTime must be a datetime");
    stage_stop(&stage);
}

/* --- the reference ------------------------------------------------------------------------------
 */

static void give_path(struct stage *stage, const struct cim_path *path)
{
    assert_non_null(path);
    give(stage, "ComputerSystem", CIM_REFERENCE)->path = path;
}

static void a_reference_must_name_a_vm(void **state)
{
    static const char must_be[] = "must be a reference to an instance of Msvm_ComputerSystem";
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "Resynchronize");
    assert_refused(&stage, INVALID, must_be);
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, VM_ID);
    mark_wrong(&stage, "ComputerSystem");
    assert_refused(&stage, INVALID, must_be);
    prepare(&stage, SERVICE, "Resynchronize");
    give_path(&stage, cim_path_new(&stage.arena, JOB, "InstanceID", VM_ID, (char *)NULL));
    assert_refused(&stage, INVALID, must_be);
    prepare(&stage, SERVICE, "Resynchronize");
    give_path(&stage, cim_path_new(&stage.arena, JOB, "CreationClassName", SYSTEM, "Name", VM_ID,
                                   (char *)NULL));
    assert_refused(&stage, INVALID, must_be);
    prepare(&stage, SERVICE, "Resynchronize");
    give_path(&stage, cim_path_new(&stage.arena, SYSTEM, "CreationClassName", JOB, "Name", VM_ID,
                                   (char *)NULL));
    assert_refused(&stage, INVALID, must_be);
    prepare(&stage, SERVICE, "Resynchronize");
    give_path(&stage, cim_path_new(&stage.arena, SYSTEM, "Name", VM_ID, (char *)NULL));
    assert_refused(&stage, INVALID, must_be);
    prepare(&stage, SERVICE, "Resynchronize");
    give_path(&stage,
              cim_path_new(&stage.arena, SYSTEM, "CreationClassName", SYSTEM, (char *)NULL));
    assert_refused(&stage, INVALID, must_be);
    prepare(&stage, SERVICE, "Resynchronize");
    give_path(&stage, cim_path_new(&stage.arena, SYSTEM, (char *)NULL));
    assert_refused(&stage, INVALID, must_be);
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, OTHER_VM);
    assert_refused(&stage, INVALID, "there is no VM with the id '" OTHER_VM "'");
    /* Its name is no key. */
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, "web1");
    assert_refused(&stage, INVALID, "there is no VM with the id 'web1'");
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, "");
    assert_refused(&stage, INVALID, "there is no VM");
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, "HERE");
    assert_refused(&stage, NOT_SUPPORTED, "'HERE' is the host itself");
    stage_stop(&stage);
}

static void a_reference_may_be_of_an_ancestor_and_of_the_namespace(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "Resynchronize");
    give_path(&stage, cim_path_new(&stage.arena, "cim_computersystem", "creationclassname",
                                   "msvm_computersystem", "name", VM_UPPER, (char *)NULL));
    assert_asked(&stage, "resynchronize " VM_ID " at -");
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, VM_UPPER);
    struct cim_path path = *value_in(stage.in, "ComputerSystem")->items[0].path;
    path.namespace_name = "ROOT\\virtualization\\v2";
    give_path(&stage, &path);
    assert_asked(&stage, "resynchronize " VM_ID " at -");
    prepare(&stage, SERVICE, "Resynchronize");
    path = *cim_path_new(&stage.arena, SYSTEM, "CreationClassName", SYSTEM, "Name", VM_UPPER,
                         (char *)NULL);
    path.namespace_name = "root/cimv2";
    give_path(&stage, &path);
    assert_refused(&stage, INVALID, "must be a reference");
    stage_stop(&stage);
}

/* --- who may ------------------------------------------------------------------------------------
 */

/* What each method needs, and one call of it that would be asked. */
static const struct need {
    const char *class_name;
    const char *method;
    enum cim_role role;
} needs[] = {
    {SERVICE, "Resynchronize", CIM_ROLE_OPERATOR},
    {SERVICE, "StartReplication", CIM_ROLE_OPERATOR},
    {SERVICE, "CreateReplicationRelationship", CIM_ROLE_ADMINISTRATOR},
    {SERVICE, "ModifyReplicationSettings", CIM_ROLE_ADMINISTRATOR},
    {SERVICE, "RemoveReplicationRelationship", CIM_ROLE_ADMINISTRATOR},
    {SERVICE, "RemoveReplicationRelationshipEx", CIM_ROLE_ADMINISTRATOR},
    {SERVICE, "GetReplicationStatistics", CIM_ROLE_VIEWER},
    {SERVICE, "GetReplicationStatisticsEx", CIM_ROLE_VIEWER},
    {SERVICE, "ResetReplicationStatistics", CIM_ROLE_OPERATOR},
    {SERVICE, "ResetReplicationStatisticsEx", CIM_ROLE_OPERATOR},
    {SERVICE, "CommitFailover", CIM_ROLE_OPERATOR},
    {SERVICE, "SetAuthorizationEntry", CIM_ROLE_OPERATOR},
    {SYSTEM, "RequestReplicationStateChange", CIM_ROLE_OPERATOR},
    {SYSTEM, "RequestReplicationStateChangeEx", CIM_ROLE_OPERATOR},
};

static void prepare_need(struct stage *stage, const struct need *need)
{
    prepare(stage, need->class_name, need->method);
    if (strcmp(need->class_name, SYSTEM) == 0) {
        cim_set_text(stage->on, "Name", VM_UPPER);
    } else {
        give_vm(stage, VM_UPPER);
    }
}

static void who_may_not_is_denied_whatever_he_asks(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(needs); i++) {
        prepare_need(&stage, &needs[i]);
        stage.caller.role = (enum cim_role)(needs[i].role - 1);
        assert_refused(&stage, DENIED, "'alice' may not");
        /* Whoever may it with one VM may it not with another. */
        prepare_need(&stage, &needs[i]);
        stage.caller.role = CIM_ROLE_NOBODY;
        stage.caller.vm_count = 1;
        stage.caller.vms[0] = (struct cim_vm_role){.vm = "web2", .role = CIM_ROLE_ADMINISTRATOR};
        assert_refused(&stage, DENIED, "may not do this to web1");
        /* A role for a VM overrides that for the host. */
        prepare_need(&stage, &needs[i]);
        stage.caller.vm_count = 1;
        stage.caller.vms[0] =
            (struct cim_vm_role){.vm = "web1", .role = (enum cim_role)(needs[i].role - 1)};
        assert_refused(&stage, DENIED, "may not do this to web1");
        prepare_need(&stage, &needs[i]);
        stage.request.caller = NULL;
        assert_refused(&stage, DENIED, "may not");
        stage.request.caller = &stage.caller;
    }
    /* Nor does he learn what there is. */
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, OTHER_VM);
    stage.caller.role = CIM_ROLE_VIEWER;
    assert_refused(&stage, DENIED, "may not do this to any VM");
    /* One VM is his; of another he is told the same whether it is there or not. */
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, OTHER_VM);
    stage.caller.role = CIM_ROLE_NOBODY;
    stage.caller.vm_count = 1;
    stage.caller.vms[0] = (struct cim_vm_role){.vm = "web2", .role = CIM_ROLE_OPERATOR};
    assert_refused(&stage, DENIED, "may not do this to");
    stage_stop(&stage);
}

static void who_may_with_one_vm_may_with_that(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, VM_UPPER);
    stage.caller.role = CIM_ROLE_NOBODY;
    stage.caller.vm_count = 1;
    stage.caller.vms[0] = (struct cim_vm_role){.vm = VM_UPPER, .role = CIM_ROLE_OPERATOR};
    assert_asked(&stage, "resynchronize " VM_ID " at -");
    stage_stop(&stage);
}

static void what_is_the_hosts_needs_a_role_for_the_host(void **state)
{
    static const struct need rows[] = {
        {SERVICE, "AddAuthorizationEntry", CIM_ROLE_ADMINISTRATOR},
        {SERVICE, "ModifyAuthorizationEntry", CIM_ROLE_ADMINISTRATOR},
        {SERVICE, "RemoveAuthorizationEntry", CIM_ROLE_ADMINISTRATOR},
        {SERVICE, "ModifyServiceSettings", CIM_ROLE_ADMINISTRATOR},
        {SERVICE, "TestReplicationConnection", CIM_ROLE_VIEWER},
        {SERVICE, "GetSystemCertificates", CIM_ROLE_VIEWER},
    };
    struct stage stage;

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        prepare(&stage, rows[i].class_name, rows[i].method);
        stage.caller.role = (enum cim_role)(rows[i].role - 1);
        stage.caller.vm_count = 1;
        stage.caller.vms[0] = (struct cim_vm_role){.vm = "web1", .role = CIM_ROLE_ADMINISTRATOR};
        assert_refused(&stage, DENIED, "may not do this to this host");
    }
    stage_stop(&stage);
}

/* --- by its object ------------------------------------------------------------------------------
 */

static uint32_t invoke_on(struct stage *stage, const struct cim_path *path)
{
    struct error err = {0};

    assert_non_null(path);
    if (cim_invoke(&stage->request, CIM_SPACE_VIRTUALIZATION, path, stage->method, stage->in,
                   &stage->out, &err) < 0) {
        fail_msg("%s: %s", stage->method->name, err.message);
    }
    return stage->out.return_value;
}

static void objects_are_found_by_their_paths(void **state)
{
    struct stage stage;
    struct error err = {0};

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, VM_UPPER);
    reply_with(&stage, RETURN_JOB_STARTED);
    assert_int_equal(invoke_on(&stage, cim_path_of_service(&stage.request, &err)), STARTED);
    assert_job(&stage);
    prepare(&stage, SYSTEM, "RequestReplicationStateChange");
    give_number(&stage, "RequestedState", 7);
    assert_int_equal(invoke_on(&stage, cim_path_of_vm(&stage.arena, VM_ID)), DONE);
    assert_string_equal(the_service.last, "state " VM_ID "/0 7");
    prepare(&stage, JOB, "RequestStateChange");
    give_number(&stage, "RequestedState", 3);
    assert_int_equal(invoke_on(&stage, cim_path_of_job(&stage.arena, JOB_ID)), DONE);
    assert_string_equal(the_service.last, "job " JOB_ID " 3");
    prepare(&stage, JOB, "GetError");
    assert_int_equal(invoke_on(&stage, cim_path_of_job(&stage.arena, JOB_ID)), DONE);
    stage_stop(&stage);
}

/* --- what there is not --------------------------------------------------------------------------
 */

static void what_there_is_not_says_so(void **state)
{
    static const char *const unsupported[] = {"ChangeReplicationModeToPrimary",
                                              "CommitFailover",
                                              "ImportInitialReplica",
                                              "InitiateFailback",
                                              "InitiateFailover",
                                              "ReverseReplicationRelationship",
                                              "RevertFailover",
                                              "TestReplicaSystem",
                                              "SetAuthorizationEntry",
                                              "SetFailoverNetworkAdapterSettings"};
    static const char *const stubs[] = {"StartService", "StopService", "RequestStateChange"};
    struct stage stage;

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(unsupported); i++) {
        prepare(&stage, SERVICE, unsupported[i]);
        give_vm(&stage, VM_UPPER);
        assert_refused(&stage, NOT_SUPPORTED, "is not supported");
        prepare(&stage, SERVICE, unsupported[i]);
        assert_refused(&stage, NOT_SUPPORTED, "is not supported");
    }
    for (size_t i = 0; i < ARRAY_COUNT(stubs); i++) {
        prepare(&stage, SERVICE, stubs[i]);
        assert_refused(&stage, 1, "by systemd");
    }
    stage_stop(&stage);
}

static void without_the_service_it_is_not_available(void **state)
{
    struct stage stage;
    struct client *nobody = NULL;
    struct error err = {0};

    (void)state;
    stage_start(&stage);
    assert_int_equal(client_open("/nowhere/control.sock", &nobody, &err), 0);
    prepare(&stage, SERVICE, "Resynchronize");
    give_vm(&stage, VM_UPPER);
    stage.request.client = nobody;
    assert_refused(&stage, NOT_AVAILABLE, "is resilverd running?");
    prepare(&stage, SERVICE, "GetSystemCertificates");
    assert_refused(&stage, NOT_AVAILABLE, "is resilverd running?");
    client_close(nobody);
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_of_the_service_and_of_jobs_is_there),
        cmocka_unit_test(each_return_value_of_resynchronize_arrives),
        cmocka_unit_test(a_start_time_goes_as_it_came),
        cmocka_unit_test(what_is_no_moment_is_of_the_wrong_type),
        cmocka_unit_test(a_reference_must_name_a_vm),
        cmocka_unit_test(a_reference_may_be_of_an_ancestor_and_of_the_namespace),
        cmocka_unit_test(who_may_not_is_denied_whatever_he_asks),
        cmocka_unit_test(who_may_with_one_vm_may_with_that),
        cmocka_unit_test(what_is_the_hosts_needs_a_role_for_the_host),
        cmocka_unit_test(objects_are_found_by_their_paths),
        cmocka_unit_test(what_there_is_not_says_so),
        cmocka_unit_test(without_the_service_it_is_not_available),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
