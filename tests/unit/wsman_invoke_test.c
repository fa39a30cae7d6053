/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wsman_invoke_test.c - method calls: every form in which real clients give their parameters. */
#include "gateway/wsman_replay.h"
#include "wsman_stage.h"

#define RESYNC_LAST "resynchronize " VM_ID " at "

static void reset(struct stage *stage)
{
    rig_lock(&stage->rig);
    service_reset();
    rig_unlock(&stage->rig);
    stage->now_ns += 100 * NS_PER_S; /* so that no answer is remembered */
}

static void a_method_answers_its_value_and_job(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    rig_lock(&stage.rig);
    the_service.value = RETURN_JOB_STARTED;
    rig_unlock(&stage.rig);
    ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER));
    assert_fine(&stage);
    assert_text(&stage, "Header/Action", DMTF SERVICE "/ResynchronizeResponse");
    assert_text(&stage, "Header/RelatesTo", "uuid:00000000-0000-0000-0000-000000000001");
    assert_text(&stage, "Body/Resynchronize_OUTPUT/ReturnValue", "4096");
    assert_text(&stage, "Body/Resynchronize_OUTPUT/Job/ReferenceParameters/ResourceURI",
                DMTF "Msvm_ConcreteJob");
    assert_non_null(find(&stage, "Body/Resynchronize_OUTPUT/Job/Address"));
    assert_string_equal(find(&stage, "Body/Resynchronize_OUTPUT")->space, DMTF SERVICE);
    assert_int_equal(rig_calls(&stage.rig), 1);
    assert_string_equal(the_service.last, RESYNC_LAST "-");
    stage_stop(&stage);
}

static void what_the_method_does_not_like_is_its_value(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    rig_lock(&stage.rig);
    the_service.value = (enum return_value)32775;
    rig_unlock(&stage.rig);
    ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER));
    assert_fine(&stage);
    assert_text(&stage, "Body/Resynchronize_OUTPUT/ReturnValue", "32775");
    assert_null(find(&stage, "Body/Resynchronize_OUTPUT/Job"));
    reset(&stage);
    ask(&stage, RESYNC_HEAD, RESYNC(""));
    assert_fine(&stage);
    assert_text(&stage, "Body/Resynchronize_OUTPUT/ReturnValue", "32773");
    ask(&stage, RESYNC_HEAD "", "");
    assert_fine(&stage); /* omicli's empty Body */
    assert_text(&stage, "Body/Resynchronize_OUTPUT/ReturnValue", "32773");
    stage_stop(&stage);
}

static void what_exists_once_needs_no_selectors(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, HEAD(WMI SERVICE "/Resynchronize", WMI SERVICE, ""), RESYNC(VM_PARAMETER));
    assert_fine(&stage);
    assert_string_equal(the_service.last, RESYNC_LAST "-");
    ask(&stage, HEAD(DMTF SYSTEM "/RequestReplicationStateChange", DMTF SYSTEM, SET(IN_V2)), "");
    assert_fault(&stage, "w:InvalidSelectors", "InsufficientSelectors");
    stage_stop(&stage);
}

/* --- references --------------------------------------------------------------------------------
 */

static void a_reference_is_read_in_all_its_forms(void **state)
{
    static const char *const forms[] = {
        VM_PARAMETER,
        "<p:ComputerSystem><a:EndpointReference>" VM_EPR "</a:EndpointReference>"
        "</p:ComputerSystem>",
        "<ComputerSystem xmlns=\"\">" VM_EPR "</ComputerSystem>",
        "<p:ComputerSystem><a:Address>x</a:Address><a:ReferenceParameters><w:ResourceURI>" WMI
            SYSTEM "</w:ResourceURI>" SET(VM_KEYS) "</a:ReferenceParameters></p:ComputerSystem>",
        "<p:ComputerSystem xmlns:p1=\"" DMTF SYSTEM "\" xsi:type=\"p1:" SYSTEM "_Type\">"
        "<p1:CreationClassName>" SYSTEM "</p1:CreationClassName><p1:Name>" VM_UPPER
        "</p1:Name><p1:ElementName>web1</p1:ElementName></p:ComputerSystem>",
        "<p:ComputerSystem>\\\\HOST\\root\\virtualization\\v2:" SYSTEM
        ".CreationClassName=\"" SYSTEM "\",Name=\"" VM_UPPER "\"</p:ComputerSystem>",
        "<p:ComputerSystem>root/virtualization/v2:" SYSTEM ".CreationClassName=&quot;" SYSTEM
        "&quot;,Name=&quot;" VM_ID "&quot;</p:ComputerSystem>",
        "<p:ComputerSystem>\n  " SYSTEM ".CreationClassName=\"" SYSTEM "\",Name=\"" VM_UPPER
        "\"\n</p:ComputerSystem>",
    };
    struct stage stage;
    char body[4096];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        reset(&stage);
        (void)snprintf(body, sizeof body, RESYNC("%s"), forms[i]);
        ask(&stage, RESYNC_HEAD, body);
        assert_fine(&stage);
        assert_text(&stage, "Body/Resynchronize_OUTPUT/ReturnValue", "0");
        assert_int_equal(rig_calls(&stage.rig), 1);
        assert_string_equal(the_service.last, RESYNC_LAST "-");
    }
    stage_stop(&stage);
}

static void what_is_no_reference_is_an_invalid_parameter(void **state)
{
    static const char *const forms[] = {
        "vm1",
        "<x/>",
        "<a:EndpointReference/>",
        "<a:ReferenceParameters/>",
        "<a:ReferenceParameters><w:ResourceURI>http://example.org/</w:ResourceURI>"
        "</a:ReferenceParameters>",
        "<a:ReferenceParameters><w:ResourceURI>" DMTF SYSTEM "</w:ResourceURI>" SET(
            SELECTOR("Name", "x") SELECTOR("name", "y")) "</a:ReferenceParameters>",
        "20260822123456.000000+120",
    };
    struct stage stage;
    char body[4096];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        reset(&stage);
        (void)snprintf(body, sizeof body, RESYNC("<p:ComputerSystem>%s</p:ComputerSystem>"),
                       forms[i]);
        ask(&stage, RESYNC_HEAD, body);
        assert_fine(&stage);
        const char *value = text_at(&stage, "Body/Resynchronize_OUTPUT/ReturnValue");
        if (strcmp(value, "32773") != 0 && strcmp(value, "32776") != 0) {
            fail_msg("%s: %s", forms[i], value);
        }
        assert_int_equal(rig_calls(&stage.rig), 0);
    }
    stage_stop(&stage);
}

/* --- datetimes ---------------------------------------------------------------------------------
 */

static void a_datetime_is_read_in_all_its_forms(void **state)
{
    static const char *const forms[] = {
        "20260822123456.000000+120",
        "2026-08-22T12:34:56+02:00",
        "<cim:Datetime>2026-08-22T12:34:56+02:00</cim:Datetime>",
        "<p:Datetime>2026-08-22T12:34:56+02:00</p:Datetime>",
        "<CIM_DateTime>20260822123456.000000+120</CIM_DateTime>",
        "<cim:CIM_DateTime> 20260822123456.000000+120 </cim:CIM_DateTime>",
    };
    struct stage stage;
    char body[4096];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        reset(&stage);
        (void)snprintf(body, sizeof body, RESYNC(VM_PARAMETER "<p:StartTime>%s</p:StartTime>"),
                       forms[i]);
        ask(&stage, RESYNC_HEAD, body);
        assert_fine(&stage);
        assert_text(&stage, "Body/Resynchronize_OUTPUT/ReturnValue", "0");
        assert_string_equal(the_service.last, RESYNC_LAST "20260822123456.000000+120");
    }
    stage_stop(&stage);
}

static void no_start_time_is_at_once(void **state)
{
    static const char *const forms[] = {
        "<p:StartTime xsi:nil=\"true\"/>",
        /* OMI's client binds xsi to another URI, and means it */
        "<p:StartTime xmlns:xsi=\"http://www.w3.org/2001/XMLSchema\" xsi:nil=\"true\"/>",
        "<p:StartTime nil=\"1\"></p:StartTime>",
    };
    struct stage stage;
    char body[4096];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        reset(&stage);
        (void)snprintf(body, sizeof body, RESYNC(VM_PARAMETER "%s"), forms[i]);
        ask(&stage, RESYNC_HEAD, body);
        assert_fine(&stage);
        assert_string_equal(the_service.last, RESYNC_LAST "-");
    }
    stage_stop(&stage);
}

static void what_is_no_moment_is_of_the_wrong_type(void **state)
{
    static const char *const forms[] = {"soon", "<cim:Interval>PT5M</cim:Interval>", "PT5M",
                                        "<x>2026-08-22T12:34:56Z</x>", "00000000001000.000000:000"};
    struct stage stage;
    char body[4096];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        reset(&stage);
        (void)snprintf(body, sizeof body, RESYNC(VM_PARAMETER "<p:StartTime>%s</p:StartTime>"),
                       forms[i]);
        ask(&stage, RESYNC_HEAD, body);
        assert_fine(&stage);
        assert_text(&stage, "Body/Resynchronize_OUTPUT/ReturnValue", "32776");
        assert_int_equal(rig_calls(&stage.rig), 0);
    }
    stage_stop(&stage);
}

static void a_scalar_that_comes_twice_is_of_the_wrong_type(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER VM_PARAMETER));
    assert_fine(&stage);
    assert_int_equal(rig_calls(&stage.rig), 0);
    stage_stop(&stage);
}

/* --- embedded instances ------------------------------------------------------------------------
 */

#define STATE_HEAD                                                                                 \
    HEAD(DMTF SYSTEM "/RequestReplicationStateChangeEx", DMTF SYSTEM, SET(IN_V2 VM_KEYS))
#define STATE(relationship)                                                                        \
    "<p:RequestReplicationStateChangeEx_INPUT>" relationship "<p:RequestedState>7"                 \
    "</p:RequestedState></p:RequestReplicationStateChangeEx_INPUT>"
#define RELATIONSHIP "Msvm_ReplicationRelationship"
#define HOP_0 "Microsoft:" VM_UPPER "\\HVR\\0"

static void an_embedded_instance_is_text_or_elements(void **state)
{
    static const char *const forms[] = {
        "<p:ReplicationRelationship><![CDATA[<INSTANCE CLASSNAME=\"" RELATIONSHIP
        "\"><PROPERTY NAME=\"InstanceID\" TYPE=\"string\"><VALUE>" HOP_0
        "</VALUE></PROPERTY></INSTANCE>]]></p:ReplicationRelationship>",
        "<p:ReplicationRelationship xmlns:q=\"" DMTF RELATIONSHIP "\" xsi:type=\"q:" RELATIONSHIP
        "_Type\"><q:InstanceID>" HOP_0 "</q:InstanceID></p:ReplicationRelationship>",
        "<p:ReplicationRelationship><q:InstanceID xmlns:q=\"" DMTF RELATIONSHIP "\">" HOP_0
        "</q:InstanceID></p:ReplicationRelationship>",
        "<p:ReplicationRelationship xsi:nil=\"true\"/>",
        "<p:ReplicationRelationship/>",
        "",
    };
    struct stage stage;
    char body[4096];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        reset(&stage);
        (void)snprintf(body, sizeof body, STATE("%s"), forms[i]);
        ask(&stage, STATE_HEAD, body);
        assert_fine(&stage);
        assert_text(&stage, "Body/RequestReplicationStateChangeEx_OUTPUT/ReturnValue", "0");
        assert_string_equal(the_service.last, "state " VM_ID "/0 7");
    }
    stage_stop(&stage);
}

static void instances_come_out_as_text(void **state)
{
    struct stage stage;
    const char *answer;

    (void)state;
    stage_start(&stage);
    answer = ask(
        &stage,
        HEAD(DMTF SERVICE "/GetReplicationStatistics", DMTF SERVICE, SET(IN_V2 SERVICE_KEYS)),
        "<p:GetReplicationStatistics_INPUT>" VM_PARAMETER "</p:GetReplicationStatistics_INPUT>");
    assert_fine(&stage);
    assert_text(&stage, "Body/GetReplicationStatistics_OUTPUT/ReturnValue", "0");
    assert_in(answer, "<p:ReplicationStatistics>&lt;INSTANCE CLASSNAME=&quot;");
    stage_stop(&stage);
}

static void what_is_no_such_instance_is_refused_by_the_method(void **state)
{
    static const char *const forms[] = {
        "<p:ReplicationRelationship>nonsense</p:ReplicationRelationship>",
        "<p:ReplicationRelationship xsi:type=\"q:" SYSTEM "_Type\"/>",
        "<p:ReplicationRelationship><q:Colour xmlns:q=\"u\">red</q:Colour>"
        "</p:ReplicationRelationship>",
        "<p:ReplicationRelationship><q:InstanceID xmlns:q=\"u\"><x/></q:InstanceID>"
        "</p:ReplicationRelationship>",
    };
    struct stage stage;
    char body[4096];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        reset(&stage);
        (void)snprintf(body, sizeof body, STATE("%s"), forms[i]);
        ask(&stage, STATE_HEAD, body);
        assert_fine(&stage);
        assert_int_not_equal(
            strtol(text_at(&stage, "Body/RequestReplicationStateChangeEx_OUTPUT/ReturnValue"), NULL,
                   10),
            0);
        assert_int_equal(rig_calls(&stage.rig), 0);
    }
    stage_stop(&stage);
}

/* --- the same request again --------------------------------------------------------------------
 */

static void the_same_request_again_gets_the_same_answer(void **state)
{
    struct stage stage;
    char first[8192];

    (void)state;
    stage_start(&stage);
    (void)snprintf(first, sizeof first, "%s", ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER)));
    assert_fine(&stage);
    assert_int_equal(rig_calls(&stage.rig), 1);
    stage.now_ns += 59 * NS_PER_S;
    assert_string_equal(ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER)), first);
    assert_fine(&stage);
    assert_int_equal(rig_calls(&stage.rig), 1);
    stage.now_ns += 2 * NS_PER_S;
    ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER));
    assert_int_equal(rig_calls(&stage.rig), 2);
    stage_stop(&stage);
}

static void another_body_user_or_id_is_another_request(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER));
    ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER " "));
    assert_int_equal(rig_calls(&stage.rig), 2);
    (void)snprintf(stage.caller.name, sizeof stage.caller.name, "bob");
    ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER));
    assert_int_equal(rig_calls(&stage.rig), 3);
    stage_stop(&stage);
}

static void a_request_under_way_is_not_begun_again_however_long_it_takes(void **state)
{
    static const struct wsman_replay_key key = {
        "alice", "uuid:00000000-0000-0000-0000-000000000001", {(const uint8_t *)"x", 1}};
    struct stage stage;
    struct http_answer answer = {0};

    (void)state;
    stage_start(&stage);
    xml_text_init(&answer.body, HTTP_ANSWER_MAX);
    assert_int_equal(wsman_replay_begin(stage.wsman.replay, &key, &answer), WSMAN_REPLAY_NEW);
    assert_int_equal(wsman_replay_begin(stage.wsman.replay, &key, &answer), WSMAN_REPLAY_BUSY);
    stage.now_ns += 3600 * NS_PER_S;
    assert_int_equal(wsman_replay_begin(stage.wsman.replay, &key, &answer), WSMAN_REPLAY_BUSY);
    xml_raw(&answer.body, "done");
    answer.status = 200;
    wsman_replay_end(stage.wsman.replay, &key, &answer);
    /* Its time begins with the answer. */
    xml_text_free(&answer.body);
    answer = (struct http_answer){0};
    xml_text_init(&answer.body, HTTP_ANSWER_MAX);
    assert_int_equal(wsman_replay_begin(stage.wsman.replay, &key, &answer), WSMAN_REPLAY_KNOWN);
    assert_string_equal(answer.body.at, "done");
    assert_int_equal(answer.status, 200);
    xml_text_free(&answer.body);
    stage_stop(&stage);
}

static void without_an_id_nothing_is_remembered(void **state)
{
    static const char *const ids[] = {"<a:MessageID/>", "<a:MessageID>0</a:MessageID>"};
    struct stage stage;
    char head[4096];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        reset(&stage);
        (void)snprintf(head, sizeof head,
                       ACTION(DMTF SERVICE "/Resynchronize")
                           RESOURCE(DMTF SERVICE) "%s" SET(IN_V2 SERVICE_KEYS),
                       ids[i]);
        ask(&stage, head, RESYNC(VM_PARAMETER));
        ask(&stage, head, RESYNC(VM_PARAMETER));
        assert_fine(&stage);
        assert_int_equal(rig_calls(&stage.rig), 2);
    }
    stage_stop(&stage);
}

/* --- the audit log -----------------------------------------------------------------------------
 */

static void every_call_is_in_the_audit_log(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER));
    assert_in(audit_text(&stage), SERVICE ".Resynchronize");
    assert_in(audit_text(&stage), VM_UPPER);
    assert_in(audit_text(&stage), "alice");
    assert_int_equal(count_in(audit_text(&stage), "\n"), 1);
    ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER)); /* remembered: it was not called */
    assert_int_equal(count_in(audit_text(&stage), "\n"), 1);
    ask(&stage, RESYNC_HEAD, RESYNC("<p:Colour>red</p:Colour>"));
    assert_int_equal(count_in(audit_text(&stage), "\n"), 2);
    stage_stop(&stage);
}

static void who_may_only_look_starts_nothing(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    stage.caller.role = CIM_ROLE_VIEWER;
    ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER));
    assert_fine(&stage);
    assert_text(&stage, "Body/Resynchronize_OUTPUT/ReturnValue", "32769");
    assert_int_equal(rig_calls(&stage.rig), 0);
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_method_answers_its_value_and_job),
        cmocka_unit_test(what_the_method_does_not_like_is_its_value),
        cmocka_unit_test(what_exists_once_needs_no_selectors),
        cmocka_unit_test(a_reference_is_read_in_all_its_forms),
        cmocka_unit_test(what_is_no_reference_is_an_invalid_parameter),
        cmocka_unit_test(a_datetime_is_read_in_all_its_forms),
        cmocka_unit_test(no_start_time_is_at_once),
        cmocka_unit_test(what_is_no_moment_is_of_the_wrong_type),
        cmocka_unit_test(a_scalar_that_comes_twice_is_of_the_wrong_type),
        cmocka_unit_test(an_embedded_instance_is_text_or_elements),
        cmocka_unit_test(instances_come_out_as_text),
        cmocka_unit_test(what_is_no_such_instance_is_refused_by_the_method),
        cmocka_unit_test(the_same_request_again_gets_the_same_answer),
        cmocka_unit_test(another_body_user_or_id_is_another_request),
        cmocka_unit_test(a_request_under_way_is_not_begun_again_however_long_it_takes),
        cmocka_unit_test(without_an_id_nothing_is_remembered),
        cmocka_unit_test(every_call_is_in_the_audit_log),
        cmocka_unit_test(who_may_only_look_starts_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
