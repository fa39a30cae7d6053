/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the instances of each class say. */
#include "cim/map.h"

#include "cim/map_error.h"
#include "cim/map_statistics.h"
#include "cim_rig.h"

/* --- what instances say ------------------------------------------------------------------------
 */

static void the_host_and_its_vms_are_told_apart_by_the_install_date(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    const struct cim_instance *host = get(&rig, SYSTEM_PATH("here"));
    assert_nothing(host, "InstallDate");
    assert_text(host, "Caption", "Hosting Computer System");
    assert_number(host, "EnabledState", 2);
    assert_number(host, "ReplicationMode", 0);
    const struct cim_instance *web = get(&rig, SYSTEM_PATH(WEB));
    assert_text(web, "Name", WEB_UPPER);
    assert_text(web, "ElementName", "web1");
    assert_text(web, "InstallDate", "20260102030405.000000+000");
    assert_number(web, "EnabledState", 5);
    assert_number(web, "ReplicationState", 9);
    assert_number(web, "ReplicationHealth", 3);
    assert_number(web, "ReplicationMode", 1);
    assert_text(web, "LastReplicationTime", "20260301210000.000000+000");
    const struct cim_instance *spare = get(&rig, SYSTEM_PATH(SPARE_UPPER));
    assert_non_null(cim_get_text(spare, "InstallDate"));
    assert_number(spare, "ReplicationState", 0);
    assert_nothing(spare, "LastReplicationTime");
    rig_stop(&rig);
}

static void settings_name_both_ends_and_the_disks(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    const struct cim_instance *web =
        get(&rig, HOP_PATH("Msvm_ReplicationSettingData", WEB_UPPER, "0"));
    assert_text(web, "PrimaryHostSystem", "here");
    assert_text(web, "RecoveryHostSystem", "db2");
    assert_number(web, "RecoveryServerPortNumber", 8491);
    assert_number(web, "RecoveryHistory", 4);
    assert_number(web, "ReplicationInterval", 900);
    assert_text(web, "AutoResynchronizeIntervalStart", "00000000011500.000000:000");
    assert_text(web, "VirtualSystemIdentifier", WEB_UPPER);
    const struct cim_value *disks = cim_get(web, "IncludedDisks");
    assert_int_equal(disks->count, 1);
    assert_text(disks->items[0].instance, "InstanceID", "Microsoft:" WEB_UPPER "\\vda");
    assert_number(disks->items[0].instance, "VirtualQuantity", 1048576);
    const struct cim_instance *db = get(&rig, HOP_PATH("Msvm_ReplicationSettingData", DB, "0"));
    assert_text(db, "PrimaryHostSystem", "db2");
    assert_text(db, "RecoveryHostSystem", "here");
    assert_number(db, "RecoveryServerPortNumber", 8490);
    rig_stop(&rig);
}

static void a_vm_that_does_not_replicate_has_settings_to_begin_with(void **state)
{
    struct rig rig;
    bool is_compressed = false;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    const struct cim_instance *spare =
        get(&rig, HOP_PATH("Msvm_ReplicationSettingData", SPARE_UPPER, "0"));
    assert_number(spare, "ReplicationInterval", 300);
    assert_number(spare, "RecoveryHistory", 0);
    assert_true(cim_get_boolean(spare, "CompressionEnabled", &is_compressed) && is_compressed);
    assert_nothing(spare, "RecoveryHostSystem");
    assert_int_equal(cim_get(spare, "IncludedDisks")->count, 1);
    assert_int_equal(get_status(&rig, HOP_PATH("Msvm_ReplicationSettingData", SPARE_UPPER, "1")),
                     CIM_NOT_FOUND);
    assert_int_equal(get_status(&rig, HOP_PATH("Msvm_ReplicationRelationship", SPARE_UPPER, "0")),
                     CIM_NOT_FOUND);
    rig_stop(&rig);
}

static void a_relationship_is_found_whatever_the_case_of_its_id(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    const struct cim_instance *relationship =
        get(&rig, HOP_PATH("Msvm_ReplicationRelationship", DB, "1"));
    assert_text(relationship, "InstanceID", "Microsoft:" DB_UPPER "\\HVR\\1");
    assert_text(relationship, "ElementName", "db1");
    assert_number(relationship, "ReplicationState", 3);
    assert_number(relationship, "LastReplicationType", 1);
    assert_text(relationship, "LastApplyTime", "20260301210001.000000+000");
    rig_stop(&rig);
}

static void a_job_tells_how_far_it_is_and_what_went_wrong(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    const struct cim_instance *job = get(&rig, JOB_PATH(JOB_UPPER));
    assert_text(job, "InstanceID", JOB_UPPER);
    assert_text(job, "Name", "Resynchronizing");
    assert_number(job, "JobType", 107);
    assert_number(job, "JobState", 4);
    assert_number(job, "PercentComplete", 42);
    assert_number(job, "ErrorCode", 0);
    assert_text(job, "ElapsedTime", "00000000000105.000000:000");
    assert_text(job, "TimeBeforeRemoval", "00000000000500.000000:000");
    assert_text(job, "ScheduledStartTime", "20260301220000.000000+000");
    assert_text(job, "Owner", "ann");
    assert_nothing(job, "StartTime");
    const struct cim_instance *failed = get(&rig, JOB_PATH(DB_JOB));
    assert_number(failed, "ErrorCode", 32777);
    assert_text(failed, "ErrorDescription", "db2 does not answer");
    assert_text(failed, "ErrorSummaryDescription", "System is not available");
    assert_int_equal(atomic_load(&rig.stub.calls), 2); /* one each, no lists */
    rig_stop(&rig);
}

static void a_job_that_no_list_has_any_more_is_found_by_its_path(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    assert_number(get(&rig, JOB_PATH(OLD_JOB_UPPER)), "JobState", 7);
    rig_stop(&rig);
}

static void errors_and_statistics_are_embedded_only(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CIM_ROLE_VIEWER);
    json_t *job = json_loads(JOB_OF(DB_JOB, VM_OF(DB, "db1"), "10", AN_ERROR), 0, NULL);
    json_t *bad = json_loads(DB_REPLICA, 0, NULL);
    json_t *interval = json_loads("{\"start\": \"2026-03-01T09:00:00Z\", \"successes\": 7, "
                                  "\"latency_s\": 99999999999, \"size_bytes\": 5}",
                                  0, NULL);
    const struct cim_instance *error = map_error_of_job(&rig.arena, job);
    assert_text(error, "Message", "db2 does not answer");
    assert_text(error, "MessageID", "32777");
    assert_number(error, "ErrorType", 2);
    assert_number(error, "CIMStatusCode", 1);
    error = map_error_of_relationship(&rig.arena, bad);
    assert_text(error, "Message", "so it is");
    assert_number(error, "PerceivedSeverity", 3);
    json_object_set_new(bad, "health", json_integer(1));
    assert_true(map_error_of_relationship(&rig.arena, bad) == NULL);
    const struct cim_instance *statistics = map_statistics_new(&rig.arena, interval, bad);
    assert_number(statistics, "ReplicationSuccessCount", 7);
    assert_number(statistics, "ReplicationLatency", UINT32_MAX);
    assert_number(statistics, "ReplicationHealth", 1);
    assert_text(statistics, "StartStatisticTime", "20260301090000.000000+000");
    assert_nothing(statistics, "EndStatisticTime");
    json_decref(job);
    json_decref(bad);
    json_decref(interval);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_and_its_vms_are_told_apart_by_the_install_date),
        cmocka_unit_test(settings_name_both_ends_and_the_disks),
        cmocka_unit_test(a_vm_that_does_not_replicate_has_settings_to_begin_with),
        cmocka_unit_test(a_relationship_is_found_whatever_the_case_of_its_id),
        cmocka_unit_test(a_job_tells_how_far_it_is_and_what_went_wrong),
        cmocka_unit_test(a_job_that_no_list_has_any_more_is_found_by_its_path),
        cmocka_unit_test(errors_and_statistics_are_embedded_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
