/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cim_method_relationship_test.c - relationships made, changed, started, ended and looked at by
 * methods.
 */
#include "method_rig.h"

/* --- relationships ------------------------------------------------------------------------------
 */

/* Settings as a client sends them, with nothing that it did not set. */
static struct cim_instance *give_settings(struct stage *stage)
{
    static const char *const defaults[] = {"RecoveryHistory", "AutoResynchronizeEnabled",
                                           "AutoResynchronizeIntervalStart", "ReplicationInterval",
                                           "AutoResynchronizeIntervalEnd"};
    struct cim_instance *settings = make(stage, "Msvm_ReplicationSettingData");

    for (size_t i = 0; i < ARRAY_COUNT(defaults); i++) {
        cim_set_null(settings, defaults[i]);
    }
    give_vm(stage, VM_UPPER);
    give_instance(stage, "ReplicationSettingData", settings);
    return settings;
}

static struct cim_instance *prepare_create(struct stage *stage)
{
    prepare(stage, SERVICE, "CreateReplicationRelationship");
    struct cim_instance *settings = give_settings(stage);
    cim_set_text(settings, "RecoveryConnectionPoint", "db2");
    return settings;
}

static void create_takes_hyper_vs_settings(void **state)
{
    const char *const disks[] = {"Microsoft:" VM_UPPER "\\vda", "microsoft:" VM_ID "\\vdb"};
    struct stage stage;

    (void)state;
    stage_start(&stage);
    struct cim_instance *settings = prepare_create(&stage);
    assert_asked(&stage, "create " VM_ID " to db2, 0 disks, first -, history 0, interval 300, 0 to "
                         "0");
    settings = prepare_create(&stage);
    cim_set_text(settings, "InstanceID", HOP_0);
    cim_set_text(settings, "VirtualSystemIdentifier", VM_UPPER);
    cim_set_texts(settings, "IncludedDisks", disks, 2);
    cim_set_number(settings, "RecoveryHistory", 24);
    cim_set_number(settings, "ReplicationInterval", 900);
    cim_set_boolean(settings, "CompressionEnabled", true);
    cim_set_boolean(settings, "AutoResynchronizeEnabled", true);
    cim_set_text(settings, "AutoResynchronizeIntervalStart", "00000000183000.000000:000");
    cim_set_text(settings, "AutoResynchronizeIntervalEnd", "00000000235959.000000:000");
    cim_set_number(settings, "AuthenticationType", 2);
    assert_asked(&stage, "create " VM_ID " to db2, 2 disks, first vda, history 24, interval 900, "
                         "1110 to 1439");
    assert_true(the_service.settings.is_compression_enabled);
    assert_true(the_service.settings.is_auto_resync_enabled);
    assert_no_job(&stage);
    stage_stop(&stage);
}

static void the_other_host_may_be_named_in_all_its_ways(void **state)
{
    static const struct {
        const char *property;
        const char *text;
        uint64_t port;
    } rows[] = {
        {"RecoveryConnectionPoint", "db2", 0},
        {"RecoveryConnectionPoint", "DB2", 8490},
        {"RecoveryConnectionPoint", "db2.example", 0},
        {"RecoveryConnectionPoint", "db2.Example", 8490},
        {"RecoveryConnectionPoint", "db2.example:8490", 0},
        {"RecoveryConnectionPoint", "db2:8490", 0},
        {"RecoveryHostSystem", "db2.example", 0},
    };
    struct stage stage;

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct cim_instance *settings = prepare_create(&stage);
        cim_set_null(settings, "RecoveryConnectionPoint");
        cim_set_text(settings, rows[i].property, rows[i].text);
        cim_set_number(settings, "RecoveryServerPortNumber", rows[i].port);
        assert_asked(&stage, "create " VM_ID " to db2, 0 disks, first -, history 0, interval 300, "
                             "0 to 0");
    }
    stage_stop(&stage);
}

static void create_refuses_what_cannot_be(void **state)
{
    const char *const other[] = {"Microsoft:" OTHER_VM "\\vda"};
    const char *const bare[] = {"vda"};
    const char *const none[] = {"Microsoft:" VM_UPPER "\\"};
    struct stage stage;
    struct cim_instance *settings = NULL;

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "CreateReplicationRelationship");
    give_vm(&stage, VM_UPPER);
    assert_refused(&stage, INVALID, "ReplicationSettingData is missing");
    (void)prepare_create(&stage);
    mark_wrong(&stage, "ReplicationSettingData");
    assert_refused(&stage, WRONG_TYPE, "ReplicationSettingData must be an embedded instance");
    (void)prepare_create(&stage);
    give_instance(&stage, "ReplicationSettingData", make(&stage, JOB));
    assert_refused(&stage, WRONG_TYPE,
                   "must be an instance of Msvm_ReplicationSettingData, not of");
    settings = prepare_create(&stage);
    cim_set_null(settings, "RecoveryConnectionPoint");
    assert_refused(&stage, INVALID, "RecoveryConnectionPoint is missing");
    settings = prepare_create(&stage);
    cim_set_text(settings, "RecoveryConnectionPoint", "db9");
    assert_refused(&stage, INVALID, "no paired host is called or reached at 'db9'");
    settings = prepare_create(&stage);
    the_host_count = 3;
    cim_set_text(settings, "RecoveryConnectionPoint", "db4"); /* revoked */
    assert_refused(&stage, INVALID, "no paired host is called or reached at 'db4'");
    settings = prepare_create(&stage);
    cim_set_number(settings, "RecoveryServerPortNumber", 443);
    assert_refused(&stage, INVALID, "and not at port 443");
    settings = prepare_create(&stage);
    cim_set_text(settings, "RecoveryConnectionPoint", "db2:443");
    assert_refused(&stage, INVALID, "and not at port 443");
    settings = prepare_create(&stage);
    the_host_count = 2;
    cim_set_text(settings, "RecoveryHostSystem", "db3");
    assert_refused(&stage, INVALID, "they must be the same");
    settings = prepare_create(&stage);
    cim_set_text(settings, "InstanceID", "Microsoft:" OTHER_VM "\\HVR\\0");
    assert_refused(&stage, INVALID, "InstanceID of ReplicationSettingData is of another VM");
    settings = prepare_create(&stage);
    cim_set_text(settings, "VirtualSystemIdentifier", OTHER_VM);
    assert_refused(&stage, INVALID, "VirtualSystemIdentifier of ReplicationSettingData");
    settings = prepare_create(&stage);
    cim_set_number(settings, "AuthenticationType", 1);
    assert_refused(&stage, NOT_SUPPORTED, "not by Kerberos");
    settings = prepare_create(&stage);
    cim_set_number(settings, "AuthenticationType", 3);
    assert_refused(&stage, INVALID, "AuthenticationType must be 2");
    settings = prepare_create(&stage);
    cim_set_text(settings, "CertificateThumbPrint", "ab12");
    assert_refused(&stage, INVALID, "CertificateThumbPrint is not that of this host");
    settings = prepare_create(&stage);
    cim_set_number(settings, "ApplicationConsistentSnapshotInterval", 4);
    assert_refused(&stage, NOT_SUPPORTED, "no application-consistent points");
    settings = prepare_create(&stage);
    cim_set_texts(settings, "IncludedDisks", other, 1);
    assert_refused(&stage, INVALID, "IncludedDisks must name disks of 'web1'");
    settings = prepare_create(&stage);
    cim_set_texts(settings, "IncludedDisks", bare, 1);
    assert_refused(&stage, INVALID, "IncludedDisks must name disks of 'web1'");
    settings = prepare_create(&stage);
    cim_set_texts(settings, "IncludedDisks", none, 1);
    assert_refused(&stage, INVALID, "IncludedDisks must name disks of 'web1'");
    settings = prepare_create(&stage);
    cim_set_text(settings, "AutoResynchronizeIntervalStart", MOMENT);
    assert_refused(&stage, WRONG_TYPE, "AutoResynchronizeIntervalStart must be a time of the day");
    settings = prepare_create(&stage);
    cim_set_text(settings, "AutoResynchronizeIntervalEnd", "00000001060000.000000:000");
    assert_refused(&stage, INVALID, "AutoResynchronizeIntervalEnd must be a time of the day");
    stage_stop(&stage);
}

static void an_extended_replica_has_the_disks_of_the_replica(void **state)
{
    const char *const same[] = {"Microsoft:" VM_UPPER "\\vda"};
    const char *const others[] = {"Microsoft:" VM_UPPER "\\vdb"};
    struct stage stage;

    (void)state;
    stage_start(&stage);
    struct cim_instance *settings = prepare_create(&stage);
    be_replica(&stage, NULL);
    cim_set_text(settings, "InstanceID", HOP_0);
    cim_set_texts(settings, "IncludedDisks", same, 1);
    assert_asked(&stage, "create " VM_ID " to db2, 0 disks, first -, history 0, interval 300, 0 to "
                         "0");
    settings = prepare_create(&stage);
    be_replica(&stage, NULL);
    cim_set_texts(settings, "IncludedDisks", others, 1);
    /* The service knows why not. */
    assert_asked(&stage, "create " VM_ID " to db2, 1 disks, first vdb, history 0, interval 300, 0 "
                         "to 0");
    stage_stop(&stage);
}

static void disks_may_be_embedded_instances(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    struct cim_instance *settings = prepare_create(&stage);
    struct cim_instance *disk = make(&stage, "Msvm_StorageAllocationSettingData");
    const struct cim_instance *disks[] = {disk};
    cim_set_text(disk, "InstanceID", "Microsoft:" VM_UPPER "\\vdb");
    cim_set_instances(settings, "IncludedDisks", disks, 1);
    assert_asked(&stage, "create " VM_ID " to db2, 1 disks, first vdb, history 0, interval 300, 0 "
                         "to 0");
    settings = prepare_create(&stage);
    disks[0] = make(&stage, "Msvm_StorageAllocationSettingData");
    cim_set_instances(settings, "IncludedDisks", disks, 1);
    assert_refused(&stage, INVALID, "IncludedDisks must name disks of 'web1'");
    stage_stop(&stage);
}

static void settings_may_come_as_text(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    (void)prepare_create(&stage);
    give_text(&stage, "ReplicationSettingData",
              "<INSTANCE CLASSNAME=\"Msvm_ReplicationSettingData\">"
              "<PROPERTY NAME=\"RecoveryConnectionPoint\" TYPE=\"string\"><VALUE>db2</VALUE>"
              "</PROPERTY><PROPERTY NAME=\"RecoveryHistory\" TYPE=\"uint16\"><VALUE>7</VALUE>"
              "</PROPERTY></INSTANCE>");
    assert_asked(&stage, "create " VM_ID " to db2, 0 disks, first -, history 7, interval 300, 0 to "
                         "0");
    (void)prepare_create(&stage);
    give_text(&stage, "ReplicationSettingData", "instance of Msvm_ReplicationSettingData {};");
    assert_refused(&stage, WRONG_TYPE, "ReplicationSettingData: ");
    (void)prepare_create(&stage);
    give_text(&stage, "ReplicationSettingData",
              "<INSTANCE CLASSNAME=\"Msvm_ReplicationRelationship\"></INSTANCE>");
    assert_refused(&stage, WRONG_TYPE, "ReplicationSettingData: ");
    (void)prepare_create(&stage);
    give_text(&stage, "ReplicationSettingData", " ");
    assert_refused(&stage, INVALID, "ReplicationSettingData is missing");
    stage_stop(&stage);
}

/* Read of the replica, given back with another host. */
static void a_replica_is_extended_with_its_own_settings(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    struct cim_instance *settings = prepare_create(&stage);
    be_replica(&stage, NULL);
    cim_set_text(settings, "InstanceID", HOP_0);
    cim_set_text(settings, "RecoveryHostSystem", "here");
    assert_asked(&stage, "create " VM_ID " to db2, 0 disks, first -, history 0, interval 300, 0 to "
                         "0");
    stage_stop(&stage);
}

static void settings_of_a_target_are_its_sources(void **state)
{
    static struct relationship_row target;
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "ModifyReplicationSettings");
    struct cim_instance *settings = give_settings(&stage);
    target = the_relationship;
    target.role = RELATIONSHIP_REPLICA;
    rig_lock(&stage.rig);
    the_mode = MODE_REPLICA;
    the_first = &target;
    the_service.value = RETURN_INVALID_STATE;
    rig_unlock(&stage.rig);
    cim_set_text(settings, "InstanceID", HOP_0);
    cim_set_text(settings, "RecoveryConnectionPoint", "here");
    assert_int_equal(invoke(&stage), WRONG_STATE);
    assert_int_equal(rig_calls(&stage.rig), 1);
    stage_stop(&stage);
}

static struct cim_instance *prepare_modify(struct stage *stage)
{
    prepare(stage, SERVICE, "ModifyReplicationSettings");
    return give_settings(stage);
}

static void modify_changes_what_is_given(void **state)
{
    const char *const same[] = {"Microsoft:" VM_UPPER "\\vda"};
    struct stage stage;

    (void)state;
    stage_start(&stage);
    struct cim_instance *settings = prepare_modify(&stage);
    cim_set_number(settings, "RecoveryHistory", 5);
    assert_asked(&stage, "modify " VM_ID "/0 history 5, interval 300, rate 0, window 0 from 1110 "
                         "to 360");
    settings = prepare_modify(&stage);
    cim_set_text(settings, "InstanceID", HOP_0);
    cim_set_text(settings, "RecoveryConnectionPoint", "db2.example");
    cim_set_texts(settings, "IncludedDisks", same, 1);
    cim_set_boolean(settings, "AutoResynchronizeEnabled", true);
    cim_set_text(settings, "AutoResynchronizeIntervalEnd", "00000000063000.000000:000");
    assert_asked(&stage, "modify " VM_ID "/0 history 0, interval 300, rate 0, window 1 from 1110 "
                         "to 390");
    settings = prepare_modify(&stage);
    be_replica(&stage, second_row());
    cim_set_number(settings, "ReplicationInterval", 900);
    assert_asked(&stage, "modify " VM_ID "/1 history 0, interval 900, rate 0, window 0 from 1110 "
                         "to 360");
    stage_stop(&stage);
}

static void modify_refuses_what_makes_another_relationship(void **state)
{
    const char *const others[] = {"Microsoft:" VM_UPPER "\\vdb"};
    const char *const more[] = {"Microsoft:" VM_UPPER "\\vda", "Microsoft:" VM_UPPER "\\vdb"};
    struct stage stage;

    (void)state;
    stage_start(&stage);
    struct cim_instance *settings = prepare_modify(&stage);
    cim_set_texts(settings, "IncludedDisks", others, 1);
    assert_refused(&stage, NOT_SUPPORTED, "the disks of a relationship cannot be changed");
    settings = prepare_modify(&stage);
    cim_set_texts(settings, "IncludedDisks", more, 2);
    assert_refused(&stage, NOT_SUPPORTED, "the disks of a relationship cannot be changed");
    settings = prepare_modify(&stage);
    the_host_count = 2;
    cim_set_text(settings, "RecoveryConnectionPoint", "db3");
    assert_refused(&stage, NOT_SUPPORTED, "the replica of 'web1' is on host 'db2'");
    settings = prepare_modify(&stage);
    cim_set_text(settings, "InstanceID", HOP_1);
    assert_refused(&stage, WRONG_STATE, "'web1' has no relationship 1 here");
    settings = prepare_modify(&stage);
    cim_set_text(settings, "InstanceID", "web1");
    assert_refused(&stage, INVALID, "is of another VM");
    prepare(&stage, SERVICE, "ModifyReplicationSettings");
    give_vm(&stage, VM_UPPER);
    assert_refused(&stage, INVALID, "ReplicationSettingData is missing");
    stage_stop(&stage);
}

static void replication_is_started(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "StartReplication");
    give_vm(&stage, VM_UPPER);
    give_number(&stage, "InitialReplicationType", 1);
    assert_asked(&stage, "start " VM_ID "/0 at -");
    prepare(&stage, SERVICE, "StartReplication");
    give_vm(&stage, VM_UPPER);
    give_number(&stage, "InitialReplicationType", 3);
    give_datetime(&stage, "StartTime", MOMENT);
    be_replica(&stage, second_row());
    assert_asked(&stage, "start " VM_ID "/1 at " MOMENT " seeded");
    prepare(&stage, SERVICE, "StartReplication");
    give_vm(&stage, VM_UPPER);
    give_number(&stage, "InitialReplicationType", 2);
    assert_refused(&stage, NOT_SUPPORTED, "the initial copy cannot be exported");
    prepare(&stage, SERVICE, "StartReplication");
    give_vm(&stage, VM_UPPER);
    give_number(&stage, "InitialReplicationType", 4);
    assert_refused(&stage, INVALID, "InitialReplicationType must be 1");
    prepare(&stage, SERVICE, "StartReplication");
    give_vm(&stage, VM_UPPER);
    assert_refused(&stage, INVALID, "InitialReplicationType must be 1");
    prepare(&stage, SERVICE, "StartReplication");
    give_vm(&stage, VM_UPPER);
    mark_wrong(&stage, "InitialReplicationType");
    assert_refused(&stage, WRONG_TYPE, "InitialReplicationType must be a number");
    stage_stop(&stage);
}

/* --- what acts on one of two relationships ------------------------------------------------------
 */

static const struct {
    const char *class_name;
    const char *method;
    const char *call; /* up to the hop */
    const char *rest; /* behind it */
} of_hops[] = {
    {SERVICE, "RemoveReplicationRelationshipEx", "remove " VM_ID "/", ""},
    {SERVICE, "ResetReplicationStatisticsEx", "reset statistics " VM_ID "/", ""},
    {SYSTEM, "RequestReplicationStateChangeEx", "state " VM_ID "/", " 7"},
};

static void prepare_of_hop(struct stage *stage, size_t index)
{
    prepare(stage, of_hops[index].class_name, of_hops[index].method);
    if (strcmp(of_hops[index].class_name, SYSTEM) == 0) {
        cim_set_text(stage->on, "Name", VM_UPPER);
        give_number(stage, "RequestedState", 7);
    } else {
        give_vm(stage, VM_UPPER);
    }
}

static void an_embedded_relationship_tells_the_hop(void **state)
{
    struct stage stage;
    char call[128];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(of_hops); i++) {
        for (int hop = 0; hop < 2; hop++) {
            prepare_of_hop(&stage, i);
            give_relationship(&stage, hop == 0 ? HOP_0 : HOP_1);
            (void)snprintf(call, sizeof call, "%s%d%s", of_hops[i].call, hop, of_hops[i].rest);
            assert_asked(&stage, call);
        }
        prepare_of_hop(&stage, i);
        give_relationship(&stage, "Microsoft:" OTHER_VM "\\HVR\\0");
        assert_refused(&stage, INVALID, "ReplicationRelationship must be one of 'web1'");
        prepare_of_hop(&stage, i);
        give_relationship(&stage, "Microsoft:" VM_UPPER "\\HVR\\2");
        assert_refused(&stage, INVALID, "ReplicationRelationship must be one of 'web1'");
        prepare_of_hop(&stage, i);
        give_relationship(&stage, NULL);
        assert_refused(&stage, INVALID, "ReplicationRelationship must be one of 'web1'");
        prepare_of_hop(&stage, i);
        give_instance(&stage, "ReplicationRelationship", make(&stage, JOB));
        assert_refused(&stage, WRONG_TYPE, "must be an instance of Msvm_ReplicationRelationship");
    }
    stage_stop(&stage);
}

static void nothing_is_removed_without_saying_what(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare_of_hop(&stage, 0);
    assert_refused(&stage, INVALID, "ReplicationRelationship is missing");
    prepare_of_hop(&stage, 1);
    assert_refused(&stage, INVALID, "ReplicationRelationship is missing");
    prepare(&stage, SERVICE, "RemoveReplicationRelationship");
    give_vm(&stage, VM_UPPER);
    be_replica(&stage, second_row());
    assert_asked(&stage, "remove " VM_ID "/0");
    prepare(&stage, SERVICE, "ResetReplicationStatistics");
    give_vm(&stage, VM_UPPER);
    assert_asked(&stage, "reset statistics " VM_ID "/0");
    stage_stop(&stage);
}

/* --- state changes ------------------------------------------------------------------------------
 */

static void prepare_state(struct stage *stage, const char *method, const char *name)
{
    prepare(stage, SYSTEM, method);
    cim_set_text(stage->on, "Name", name);
}

static void state_changes_go_to_the_primary_relationship(void **state)
{
    static const uint64_t requested[] = {1, 3, 7, 9, 4};
    struct stage stage;
    char call[128];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(requested); i++) {
        (void)snprintf(call, sizeof call, "state " VM_ID "/0 %u", (unsigned)requested[i]);
        prepare_state(&stage, "RequestReplicationStateChange", VM_UPPER);
        give_number(&stage, "RequestedState", requested[i]);
        give_datetime(&stage, "TimeoutPeriod", INTERVAL); /* nobody looks at it */
        assert_asked(&stage, call);
        prepare_state(&stage, "RequestReplicationStateChangeEx", VM_UPPER);
        give_number(&stage, "RequestedState", requested[i]);
        assert_asked(&stage, call);
    }
    prepare_state(&stage, "RequestReplicationStateChange", VM_UPPER);
    give_number(&stage, "RequestedState", 9);
    reply_with(&stage, RETURN_JOB_STARTED);
    assert_int_equal(invoke(&stage), STARTED);
    assert_job(&stage);
    stage_stop(&stage);
}

static void state_changes_that_cannot_be_are_refused(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare_state(&stage, "RequestReplicationStateChange", VM_UPPER);
    assert_refused(&stage, INVALID, "RequestedState is missing");
    prepare_state(&stage, "RequestReplicationStateChange", VM_UPPER);
    mark_wrong(&stage, "RequestedState");
    assert_refused(&stage, WRONG_TYPE, "RequestedState must be a number");
    prepare_state(&stage, "RequestReplicationStateChange", "here");
    give_number(&stage, "RequestedState", 7);
    assert_refused(&stage, NOT_SUPPORTED, "is the host itself");
    prepare_state(&stage, "RequestReplicationStateChangeEx", OTHER_VM);
    assert_refused(&stage, INVALID, "there is no VM");
    stage_stop(&stage);
}

/* --- statistics ---------------------------------------------------------------------------------
 */

static void statistics_come_as_instances(void **state)
{
    struct stage stage;
    uint64_t count = 0;

    (void)state;
    stage_start(&stage);
    for (int is_ex = 0; is_ex < 2; is_ex++) {
        prepare(&stage, SERVICE,
                is_ex == 1 ? "GetReplicationStatisticsEx" : "GetReplicationStatistics");
        give_vm(&stage, VM_UPPER);
        if (is_ex == 1) {
            give_relationship(&stage, HOP_0);
        }
        stage.caller.role = CIM_ROLE_VIEWER;
        assert_int_equal(invoke(&stage), DONE);
        const struct cim_value *all = value_in(stage.out.out, "ReplicationStatistics");
        assert_true(all->is_array && !all->is_null && all->type == CIM_INSTANCE);
        assert_int_equal(all->count, 2);
        assert_string_equal(all->items[0].instance->class->name, "Msvm_ReplicationStatistics");
        assert_true(cim_get_number(all->items[0].instance, "ReplicationSuccessCount", &count));
        assert_int_equal(count, 3);
        assert_true(cim_get_number(all->items[1].instance, "ReplicationSuccessCount", &count));
        assert_int_equal(count, 9);
        const struct cim_value *issues = value_in(stage.out.out, "ReplicationHealthIssues");
        assert_false(issues->is_null);
        assert_int_equal(issues->count, 0);
        assert_no_job(&stage);
    }
    stage_stop(&stage);
}

static void a_relationship_that_is_not_well_says_why(void **state)
{
    static struct relationship_row ill;
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "GetReplicationStatistics");
    give_vm(&stage, VM_UPPER);
    ill = the_relationship;
    ill.health = HEALTH_CRITICAL;
    rig_lock(&stage.rig);
    the_first = &ill;
    rig_unlock(&stage.rig);
    assert_int_equal(invoke(&stage), DONE);
    const struct cim_value *issues = value_in(stage.out.out, "ReplicationHealthIssues");
    assert_int_equal(issues->count, 1);
    assert_string_equal(issues->items[0].instance->class->name, "Msvm_Error");
    assert_non_null(
        strstr(cim_get_text(issues->items[0].instance, "Message"), "a reason for its health"));
    stage_stop(&stage);
}

static void statistics_of_nothing_are_refused(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "GetReplicationStatisticsEx");
    give_vm(&stage, VM_UPPER);
    give_relationship(&stage, HOP_1);
    assert_refused(&stage, WRONG_STATE, "'web1' has no relationship 1 here");
    prepare(&stage, SERVICE, "GetReplicationStatisticsEx");
    give_vm(&stage, VM_UPPER);
    assert_refused(&stage, INVALID, "ReplicationRelationship is missing");
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_takes_hyper_vs_settings),
        cmocka_unit_test(the_other_host_may_be_named_in_all_its_ways),
        cmocka_unit_test(create_refuses_what_cannot_be),
        cmocka_unit_test(an_extended_replica_has_the_disks_of_the_replica),
        cmocka_unit_test(disks_may_be_embedded_instances),
        cmocka_unit_test(settings_may_come_as_text),
        cmocka_unit_test(a_replica_is_extended_with_its_own_settings),
        cmocka_unit_test(settings_of_a_target_are_its_sources),
        cmocka_unit_test(modify_changes_what_is_given),
        cmocka_unit_test(modify_refuses_what_makes_another_relationship),
        cmocka_unit_test(replication_is_started),
        cmocka_unit_test(an_embedded_relationship_tells_the_hop),
        cmocka_unit_test(nothing_is_removed_without_saying_what),
        cmocka_unit_test(state_changes_go_to_the_primary_relationship),
        cmocka_unit_test(state_changes_that_cannot_be_are_refused),
        cmocka_unit_test(statistics_come_as_instances),
        cmocka_unit_test(a_relationship_that_is_not_well_says_why),
        cmocka_unit_test(statistics_of_nothing_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
