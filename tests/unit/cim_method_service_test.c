/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cim_method_service_test.c - authorization entries, the connection, the service and its jobs by
 * methods.
 */
#include "method_rig.h"

/* --- authorization entries ----------------------------------------------------------------------
 */

static struct cim_instance *prepare_entry(struct stage *stage, const char *method, const char *host,
                                          const char *root)
{
    prepare(stage, SERVICE, method);
    struct cim_instance *entry = make(stage, "Msvm_ReplicationAuthorizationSettingData");
    cim_set_text(entry, "AllowedPrimaryHostSystem", host);
    cim_set_text(entry, "ReplicaStorageLocation", root);
    give_instance(stage, "AuthorizationEntry", entry);
    return entry;
}

static void entries_are_added_changed_and_removed(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    struct cim_instance *entry =
        prepare_entry(&stage, "AddAuthorizationEntry", "db2.example", "/srv/r");
    the_authorization_count = 0;
    assert_asked(&stage, "authorize db2 for /srv/r in DEFAULT, by tester");
    entry = prepare_entry(&stage, "ModifyAuthorizationEntry", "DB2", "/srv/other");
    cim_set_text(entry, "TrustGroup", "web");
    assert_asked(&stage, "authorize db2 for /srv/other in web, by tester");
    (void)prepare_entry(&stage, "ModifyAuthorizationEntry", "db2", NULL);
    assert_asked(&stage, "authorize db2 for /srv/replicas in DEFAULT, by tester");
    prepare(&stage, SERVICE, "RemoveAuthorizationEntry");
    give_text(&stage, "AllowedPrimaryHostSystem", "db2");
    assert_asked(&stage, "remove authorization of db2, by tester");
    stage_stop(&stage);
}

static void entries_that_cannot_be_are_refused(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    (void)prepare_entry(&stage, "AddAuthorizationEntry", "db2", "/srv/r");
    assert_refused(&stage, INVALID, "host 'db2' has an entry already");
    (void)prepare_entry(&stage, "AddAuthorizationEntry", "db2", NULL);
    assert_refused(&stage, INVALID, "ReplicaStorageLocation is missing");
    (void)prepare_entry(&stage, "AddAuthorizationEntry", NULL, "/srv/r");
    assert_refused(&stage, INVALID, "AllowedPrimaryHostSystem is missing");
    (void)prepare_entry(&stage, "AddAuthorizationEntry", "*.example", "/srv/r");
    assert_refused(&stage, INVALID, "no paired host is called or reached at '*.example'");
    prepare(&stage, SERVICE, "AddAuthorizationEntry");
    assert_refused(&stage, INVALID, "AuthorizationEntry is missing");
    prepare(&stage, SERVICE, "AddAuthorizationEntry");
    mark_wrong(&stage, "AuthorizationEntry");
    assert_refused(&stage, WRONG_TYPE, "AuthorizationEntry must be an embedded instance");
    (void)prepare_entry(&stage, "ModifyAuthorizationEntry", "db2", "/srv/r");
    the_authorization_count = 0;
    assert_refused(&stage, INVALID, "host 'db2' has no entry");
    prepare(&stage, SERVICE, "RemoveAuthorizationEntry");
    assert_refused(&stage, INVALID, "AllowedPrimaryHostSystem is missing");
    prepare(&stage, SERVICE, "RemoveAuthorizationEntry");
    give_text(&stage, "AllowedPrimaryHostSystem", "");
    assert_refused(&stage, INVALID, "AllowedPrimaryHostSystem is missing");
    prepare(&stage, SERVICE, "RemoveAuthorizationEntry");
    mark_wrong(&stage, "AllowedPrimaryHostSystem");
    assert_refused(&stage, WRONG_TYPE, "AllowedPrimaryHostSystem must be a text");
    stage_stop(&stage);
}

/* --- the service --------------------------------------------------------------------------------
 */

static void prepare_test(struct stage *stage, const char *point)
{
    prepare(stage, SERVICE, "TestReplicationConnection");
    give_text(stage, "RecoveryConnectionPoint", point);
}

static void a_connection_is_tested(void **state)
{
    static const char own[] = "ab00000000000000000000000000000000000000000000000000000000000000";
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare_test(&stage, "db2.example");
    give_number(&stage, "RecoveryServerPortNumber", 8490);
    give_number(&stage, "AuthenticationType", 2);
    give_text(&stage, "CertificateThumbPrint", own);
    assert_asked(&stage, "test db2");
    prepare_test(&stage, "db2.example:8490");
    assert_asked(&stage, "test db2");
    prepare_test(&stage, "db2");
    reply_with(&stage, RETURN_NOT_AVAILABLE);
    assert_int_equal(invoke(&stage), NOT_AVAILABLE);
    prepare_test(&stage, "db9");
    assert_refused(&stage, INVALID, "no paired host is called or reached at 'db9'");
    prepare_test(&stage, "db2");
    give_number(&stage, "RecoveryServerPortNumber", 443);
    assert_refused(&stage, INVALID, "and not at port 443");
    prepare_test(&stage, "db2:8490");
    give_number(&stage, "RecoveryServerPortNumber", 443);
    assert_refused(&stage, INVALID, "no paired host");
    prepare_test(&stage, "");
    assert_refused(&stage, INVALID, "RecoveryConnectionPoint is missing");
    prepare_test(&stage, "db2");
    give_number(&stage, "AuthenticationType", 1);
    assert_refused(&stage, NOT_SUPPORTED, "not by Kerberos");
    prepare_test(&stage, "db2");
    give_text(&stage, "CertificateThumbPrint", "cd");
    assert_refused(&stage, INVALID, "CertificateThumbPrint");
    stage_stop(&stage);
}

static void the_certificate_is_shown(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare(&stage, SERVICE, "GetSystemCertificates");
    assert_int_equal(invoke(&stage), DONE);
    const struct cim_value *all = value_in(stage.out.out, "EncodedCertificates");
    assert_true(all->is_array && !all->is_null && all->type == CIM_STRING);
    assert_int_equal(all->count, 1);
    assert_string_equal(all->items[0].text, "MIIB");
    stage_stop(&stage);
}

/* The settings as they are, to be given back. */
static struct cim_instance *prepare_service_settings(struct stage *stage)
{
    static const char *const names[] = {"RecoveryServerEnabled",
                                        "AllowedAuthenticationType",
                                        "CertificateThumbPrint",
                                        "HttpsPort",
                                        "HttpPort",
                                        "MonitoringStartTime",
                                        "MonitoringInterval"};
    const struct cim_class *class = class_of("Msvm_ReplicationServiceSettingData");
    struct cim_list list = {0};
    struct error err = {0};

    prepare(stage, SERVICE, "ModifyServiceSettings");
    struct cim_instance *settings = make(stage, class->name);
    assert_int_equal(cim_enumerate(&stage->request, CIM_SPACE_VIRTUALIZATION, class, &list, &err),
                     0);
    assert_int_equal(list.count, 1);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        int index = cim_property_index(class, names[i]);
        assert_true(index >= 0);
        settings->values[index] = list.all[0]->values[index];
    }
    give_instance(stage, "SettingData", settings);
    return settings;
}

static void service_settings_are_the_operators(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    struct cim_instance *settings = prepare_service_settings(&stage);
    assert_int_equal(invoke(&stage), DONE);
    settings = prepare_service_settings(&stage);
    cim_set_null(settings, "MonitoringInterval");
    assert_int_equal(invoke(&stage), DONE);
    settings = prepare_service_settings(&stage);
    cim_set_number(settings, "MonitoringInterval", 3600);
    assert_refused(&stage, NOT_SUPPORTED, "set 'monitoring-interval' in [replication]");
    settings = prepare_service_settings(&stage);
    cim_set_text(settings, "MonitoringStartTime", "00000000010000.000000:000");
    assert_refused(&stage, NOT_SUPPORTED, "set 'monitoring-start' in [replication]");
    settings = prepare_service_settings(&stage);
    cim_set_boolean(settings, "RecoveryServerEnabled", false);
    assert_refused(&stage, NOT_SUPPORTED, "set 'listen' in [replication]");
    settings = prepare_service_settings(&stage);
    cim_set_number(settings, "HttpsPort", 1);
    assert_refused(&stage, NOT_SUPPORTED, "HttpsPort is not changed from here: set 'listen'");
    settings = prepare_service_settings(&stage);
    cim_set_text(settings, "CertificateThumbPrint", "cd");
    assert_refused(&stage, NOT_SUPPORTED, "CertificateThumbPrint is not changed from here");
    settings = prepare_service_settings(&stage);
    cim_set_number(settings, "AllowedAuthenticationType", 3);
    assert_refused(&stage, NOT_SUPPORTED, "by certificates alone");
    prepare(&stage, SERVICE, "ModifyServiceSettings");
    assert_refused(&stage, INVALID, "SettingData is missing");
    stage_stop(&stage);
}

/* --- jobs ---------------------------------------------------------------------------------------
 */

static void prepare_job(struct stage *stage, const char *method, const char *id)
{
    prepare(stage, JOB, method);
    cim_set_text(stage->on, "InstanceID", id);
}

static void jobs_change_their_state(void **state)
{
    struct stage stage;
    char call[128];

    (void)state;
    stage_start(&stage);
    for (unsigned int wish = 2; wish <= 5; wish++) {
        (void)snprintf(call, sizeof call, "job " JOB_ID " %u", wish);
        prepare_job(&stage, "RequestStateChange", "6F1C2A9E-0000-4000-8000-00000000000A");
        give_number(&stage, "RequestedState", wish);
        give_datetime(&stage, "TimeoutPeriod", "00000000000000.000000:000");
        assert_asked(&stage, call);
    }
    stage_stop(&stage);
}

static void replies_become_the_return_values_of_jobs(void **state)
{
    static const struct {
        enum return_value reply;
        uint32_t value;
    } rows[] = {
        {RETURN_DONE, 0},           {RETURN_JOB_STARTED, 4096},    {RETURN_FAILED, 4},
        {RETURN_NOT_SUPPORTED, 1},  {RETURN_UNKNOWN, 2},           {RETURN_TIMEOUT, 3},
        {RETURN_IN_USE, 6},         {RETURN_INVALID_PARAMETER, 5}, {RETURN_INVALID_STATE, 4097},
        {RETURN_WRONG_TYPE, 5},     {RETURN_NOT_AVAILABLE, 4},     {RETURN_OUT_OF_MEMORY, 4099},
        {RETURN_FILE_NOT_FOUND, 4},
    };
    struct stage stage;

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        prepare_job(&stage, "RequestStateChange", JOB_ID);
        give_number(&stage, "RequestedState", 4);
        reply_with(&stage, rows[i].reply);
        assert_int_equal(invoke(&stage), rows[i].value);
    }
    stage_stop(&stage);
}

static void jobs_refuse_what_cannot_be(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare_job(&stage, "RequestStateChange", JOB_ID);
    assert_refused(&stage, 5, "RequestedState must be 2");
    prepare_job(&stage, "RequestStateChange", JOB_ID);
    give_number(&stage, "RequestedState", 7);
    assert_refused(&stage, 5, "RequestedState must be 2");
    prepare_job(&stage, "RequestStateChange", JOB_ID);
    give_number(&stage, "RequestedState", 6);
    assert_refused(&stage, 1, "no state Service");
    prepare_job(&stage, "RequestStateChange", JOB_ID);
    mark_wrong(&stage, "RequestedState");
    assert_refused(&stage, 5, "RequestedState must be a number");
    prepare_job(&stage, "RequestStateChange", JOB_ID);
    give_number(&stage, "RequestedState", 4);
    give_datetime(&stage, "TimeoutPeriod", INTERVAL);
    assert_refused(&stage, 4098, "TimeoutPeriod is not supported");
    prepare_job(&stage, "RequestStateChange", JOB_ID);
    give_number(&stage, "RequestedState", 4);
    give_datetime(&stage, "TimeoutPeriod", MOMENT);
    assert_refused(&stage, 5, "TimeoutPeriod must be an interval");
    prepare_job(&stage, "RequestStateChange", OTHER_VM);
    give_number(&stage, "RequestedState", 4);
    assert_refused(&stage, 5, "there is no job");
    prepare_job(&stage, "KillJob", JOB_ID);
    assert_refused(&stage, 1, "KillJob is not supported");
    stage_stop(&stage);
}

static void who_may_not_with_a_job_is_denied_by_status(void **state)
{
    struct stage stage;
    struct error err = {0};

    (void)state;
    stage_start(&stage);
    for (int i = 0; i < 2; i++) {
        prepare_job(&stage, "RequestStateChange", JOB_ID);
        give_number(&stage, "RequestedState", 4);
        stage.caller.role = i == 0 ? CIM_ROLE_VIEWER : CIM_ROLE_OPERATOR;
        reply_with(&stage, RETURN_ACCESS_DENIED); /* of the service, for the second */
        stage.out = (struct cim_outcome){.out = cim_arguments_new(&stage.arena, stage.method)};
        assert_int_equal(stage.row->invoke(&stage.request, stage.on, stage.in, &stage.out, &err),
                         -1);
        assert_int_equal(stage.request.status, CIM_ACCESS_DENIED);
        assert_int_equal(rig_calls(&stage.rig), (unsigned)i);
    }
    prepare_job(&stage, "GetError", JOB_ID);
    stage.caller.role = CIM_ROLE_NOBODY;
    assert_refused(&stage, DENIED, "may not look at jobs");
    stage_stop(&stage);
}

static void a_job_says_why_it_failed(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare_job(&stage, "GetError", OLD_JOB_ID);
    assert_int_equal(invoke(&stage), DONE);
    const struct cim_value *error = value_in(stage.out.out, "Error");
    assert_true(!error->is_null && !error->is_array && error->type == CIM_INSTANCE);
    assert_string_equal(error->items[0].instance->class->name, "Msvm_Error");
    prepare_job(&stage, "GetErrorEx", OLD_JOB_ID);
    assert_int_equal(invoke(&stage), DONE);
    error = value_in(stage.out.out, "Errors");
    assert_true(!error->is_null && error->is_array && error->type == CIM_INSTANCE);
    assert_int_equal(error->count, 1);
    stage_stop(&stage);
}

static void a_job_that_is_well_has_no_error(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    prepare_job(&stage, "GetError", JOB_ID);
    assert_int_equal(invoke(&stage), DONE);
    assert_true(value_in(stage.out.out, "Error")->is_null);
    prepare_job(&stage, "GetErrorEx", JOB_ID);
    assert_int_equal(invoke(&stage), DONE);
    assert_true(value_in(stage.out.out, "Errors")->is_null);
    prepare_job(&stage, "GetErrorEx", OTHER_VM);
    assert_refused(&stage, INVALID, "there is no job");
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_added_changed_and_removed),
        cmocka_unit_test(entries_that_cannot_be_are_refused),
        cmocka_unit_test(a_connection_is_tested),
        cmocka_unit_test(the_certificate_is_shown),
        cmocka_unit_test(service_settings_are_the_operators),
        cmocka_unit_test(jobs_change_their_state),
        cmocka_unit_test(replies_become_the_return_values_of_jobs),
        cmocka_unit_test(jobs_refuse_what_cannot_be),
        cmocka_unit_test(who_may_not_with_a_job_is_denied_by_status),
        cmocka_unit_test(a_job_says_why_it_failed),
        cmocka_unit_test(a_job_that_is_well_has_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
