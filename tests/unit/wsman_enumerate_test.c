/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wsman_enumerate_test.c - lists of objects in portions, filters, and changes as they happen. */
#include <malloc.h>

#include "wsman_stage.h"

#define SETTINGS "CIM_SettingData"
#define OPTIMIZED(more) "<n:Enumerate><w:OptimizeEnumeration/>" more "</n:Enumerate>"
#define MANY "<w:MaxElements>1000</w:MaxElements>"
#define ITEMS "Body/EnumerateResponse/Items"

/* The context of the last answer, of the stage's own memory. */
static const char *context_of(struct stage *stage, const char *response)
{
    static char context[64];
    char path[64];

    (void)snprintf(path, sizeof path, "Body/%s/EnumerationContext", response);
    (void)snprintf(context, sizeof context, "%s", text_at(stage, path));
    return context;
}

static const char *pull(struct stage *stage, const char *context, const char *more)
{
    char body[512];

    (void)snprintf(body, sizeof body,
                   "<n:Pull><n:EnumerationContext>%s</n:EnumerationContext>%s</n:Pull>", context,
                   more);
    return ask(stage, PULL, body);
}

static uint32_t items_in(struct stage *stage, const char *path)
{
    const struct xml_element *items = find(stage, path);

    return items ? items->child_count : 0;
}

/* --- Enumerate and Pull ------------------------------------------------------------------------
 */

static void a_list_is_pulled_one_by_one_to_its_end(void **state)
{
    struct stage stage;
    const char *context;
    uint32_t count = 0;

    (void)state;
    stage_start(&stage);
    ask(&stage, ENUMERATE(DMTF SYSTEM), "<n:Enumerate/>");
    assert_fine(&stage);
    assert_null(find(&stage, ITEMS));
    context = context_of(&stage, "EnumerateResponse");
    assert_int_equal(strlen(context), 36);
    do {
        pull(&stage, context, "");
        assert_fine(&stage);
        assert_text(&stage, "Header/Action", ENUMERATION "/PullResponse");
        assert_int_equal(items_in(&stage, "Body/PullResponse/Items"), 1);
        assert_string_equal(find(&stage, "Body/PullResponse/Items")->space, ENUMERATION);
        count++;
    } while (!find(&stage, "Body/PullResponse/EndOfSequence"));
    assert_null(find(&stage, "Body/PullResponse/EnumerationContext"));
    assert_int_equal(count, 2); /* the host, and its VM */
    pull(&stage, context, "");
    assert_fault(&stage, "n:InvalidEnumerationContext", NULL);
    stage_stop(&stage);
}

static void an_optimized_list_comes_at_once(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, ENUMERATE(DMTF SYSTEM), OPTIMIZED(MANY));
    assert_fine(&stage);
    assert_int_equal(items_in(&stage, ITEMS), 2);
    assert_string_equal(find(&stage, ITEMS)->space,
                        "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd");
    assert_non_null(find(&stage, "Body/EnumerateResponse/EndOfSequence"));
    assert_text(&stage, "Body/EnumerateResponse/EnumerationContext", "");
    ask(&stage, ENUMERATE(DMTF SYSTEM) "<w:RequestTotalItemsCountEstimate/>", OPTIMIZED(""));
    assert_fine(&stage);
    assert_int_equal(items_in(&stage, ITEMS), 1);
    assert_text(&stage, "Header/TotalItemsCountEstimate", "2");
    assert_null(find(&stage, "Body/EnumerateResponse/EndOfSequence"));
    pull(&stage, context_of(&stage, "EnumerateResponse"), "<n:MaxElements>10</n:MaxElements>");
    assert_int_equal(items_in(&stage, "Body/PullResponse/Items"), 1);
    assert_non_null(find(&stage, "Body/PullResponse/EndOfSequence"));
    stage_stop(&stage);
}

static void references_come_in_their_modes(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, ENUMERATE(DMTF SYSTEM),
        OPTIMIZED(MANY "<w:EnumerationMode>EnumerateEPR</w:EnumerationMode>"));
    assert_fine(&stage);
    assert_text(&stage, ITEMS "/EndpointReference/ReferenceParameters/ResourceURI", DMTF SYSTEM);
    assert_null(find(&stage, ITEMS "/" SYSTEM));
    ask(&stage, ENUMERATE(WMI SYSTEM),
        OPTIMIZED(MANY "<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>"));
    assert_fine(&stage);
    assert_text(&stage, ITEMS "/Item/EndpointReference/ReferenceParameters/ResourceURI",
                WMI SYSTEM);
    assert_non_null(find(&stage, ITEMS "/Item/" SYSTEM "/Name"));
    stage_stop(&stage);
}

static void a_released_list_is_gone_and_others_cannot_pull_it(void **state)
{
    struct stage stage;
    const char *context;
    char body[256];

    (void)state;
    stage_start(&stage);
    ask(&stage, ENUMERATE(DMTF SYSTEM), "<n:Enumerate/>");
    context = context_of(&stage, "EnumerateResponse");
    (void)snprintf(stage.caller.name, sizeof stage.caller.name, "mallory");
    pull(&stage, context, "");
    assert_fault(&stage, "n:InvalidEnumerationContext", NULL);
    (void)snprintf(stage.caller.name, sizeof stage.caller.name, "alice");
    (void)snprintf(body, sizeof body,
                   "<n:Release><n:EnumerationContext>%s</n:EnumerationContext></n:Release>",
                   context);
    ask(&stage, HEAD(ENUMERATION "/Release", DMTF SYSTEM, ""), body);
    assert_fine(&stage);
    assert_text(&stage, "Header/Action", ENUMERATION "/ReleaseResponse");
    pull(&stage, context, "");
    assert_fault(&stage, "n:InvalidEnumerationContext", NULL);
    stage_stop(&stage);
}

static void a_list_is_not_for_somebody_with_other_roles(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, ENUMERATE(DMTF SYSTEM), "<n:Enumerate/>");
    stage.caller.role = CIM_ROLE_NOBODY;
    stage.caller.vm_count = 1;
    stage.caller.vms[0] = (struct cim_vm_role){.vm = "web2", .role = CIM_ROLE_VIEWER};
    const char *context = context_of(&stage, "EnumerateResponse");
    pull(&stage, context, "<n:MaxElements>10</n:MaxElements>");
    assert_fault(&stage, "n:InvalidEnumerationContext", NULL);
    assert_not_in(stage.answer.body.at, "web1");
    stage.caller = (struct cim_caller){.name = "alice", .role = CIM_ROLE_ADMINISTRATOR};
    pull(&stage, context, "");
    assert_fault(&stage, "n:InvalidEnumerationContext", NULL); /* it is gone for good */
    stage_stop(&stage);
}

static void a_list_ends_at_its_time(void **state)
{
    struct stage stage;
    const char *context;

    (void)state;
    stage_start(&stage);
    ask(&stage, ENUMERATE(DMTF SYSTEM), "<n:Enumerate><n:Expires>PT30S</n:Expires></n:Enumerate>");
    assert_text(&stage, "Body/EnumerateResponse/Expires", "PT30S");
    context = context_of(&stage, "EnumerateResponse");
    stage.now_ns += 31 * NS_PER_S;
    pull(&stage, context, "");
    assert_fault(&stage, "n:InvalidEnumerationContext", NULL);
    stage_stop(&stage);
}

static void more_lists_than_one_may_have_are_refused(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    for (uint32_t i = 0; i < CONTEXTS_EACH; i++) {
        ask(&stage, ENUMERATE(DMTF SYSTEM), "<n:Enumerate/>");
        assert_fine(&stage);
    }
    ask(&stage, ENUMERATE(DMTF SYSTEM), "<n:Enumerate/>");
    assert_fault(&stage, "w:QuotaLimit", NULL);
    stage_stop(&stage);
}

/* --- sizes -------------------------------------------------------------------------------------
 */

static void a_portion_keeps_to_the_clients_limit(void **state)
{
    struct stage stage;
    uint32_t all;
    uint32_t got;
    char context[64];

    (void)state;
    stage_start(&stage);
    ask(&stage, ENUMERATE(DMTF SETTINGS), OPTIMIZED(MANY));
    assert_fine(&stage);
    all = items_in(&stage, ITEMS);
    assert_true(stage.answer.body.used_bytes > 8192);
    ask(&stage, ENUMERATE(DMTF SETTINGS) "<w:MaxEnvelopeSize>8192</w:MaxEnvelopeSize>",
        OPTIMIZED(MANY));
    assert_fine(&stage);
    assert_true(stage.answer.body.used_bytes <= 8192);
    got = items_in(&stage, ITEMS);
    assert_true(got < all);
    (void)snprintf(context, sizeof context, "%s", context_of(&stage, "EnumerateResponse"));
    while (!find(&stage, "Body/EnumerateResponse")
               ? !find(&stage, "Body/PullResponse/EndOfSequence")
               : true) {
        pull(&stage, context, "<n:MaxElements>1000</n:MaxElements>");
        assert_fine(&stage);
        got += items_in(&stage, "Body/PullResponse/Items");
    }
    assert_int_equal(got, all);
    stage_stop(&stage);
}

static void what_is_too_large_alone_is_a_fault_and_stays(void **state)
{
    struct stage stage;
    char context[64];

    (void)state;
    stage_start(&stage);
    ask(&stage, ENUMERATE(DMTF SYSTEM), "<n:Enumerate/>");
    (void)snprintf(context, sizeof context, "%s", context_of(&stage, "EnumerateResponse"));
    pull(&stage, context, "<n:MaxCharacters>10</n:MaxCharacters>");
    assert_fault(&stage, "w:EncodingLimit", "MaxEnvelopeSize");
    pull(&stage, context, "<n:MaxElements>9</n:MaxElements>");
    assert_fine(&stage);
    assert_int_equal(items_in(&stage, "Body/PullResponse/Items"), 2);
    stage_stop(&stage);
}

/* --- polymorphism ------------------------------------------------------------------------------
 */

static void subclasses_are_shown_as_the_client_likes(void **state)
{
    struct stage stage;
    const char *answer;

    (void)state;
    stage_start(&stage);
    answer = ask(&stage, ENUMERATE(DMTF "CIM_ComputerSystem"), OPTIMIZED(MANY));
    assert_int_equal(count_in(answer, "<p:" SYSTEM " "), 2);
    assert_in(answer, "p:ReplicationState");
    answer = ask(&stage, ENUMERATE(DMTF "CIM_ComputerSystem"),
                 OPTIMIZED(MANY "<b:PolymorphismMode>ExcludeSubClassProperties"
                                "</b:PolymorphismMode>"));
    assert_fine(&stage);
    assert_int_equal(count_in(answer, "<p:CIM_ComputerSystem "), 2);
    assert_not_in(answer, "p:ReplicationState>");
    ask(&stage, ENUMERATE(DMTF "CIM_ComputerSystem"),
        OPTIMIZED(MANY "<b:PolymorphismMode>None</b:PolymorphismMode>"));
    assert_fine(&stage);
    assert_int_equal(items_in(&stage, ITEMS), 0);
    assert_non_null(find(&stage, "Body/EnumerateResponse/EndOfSequence"));
    stage_stop(&stage);
}

/* --- filters -----------------------------------------------------------------------------------
 */

#define ASSOCIATION "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter"
#define SELECTORS "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"
#define CQL "http://schemas.dmtf.org/wbem/cql/1/dsp0202.pdf"

static void queries_find_what_matches(void **state)
{
    static const char *const dialects[] = {WQL, CQL};
    struct stage stage;
    char body[1024];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(dialects); i++) {
        (void)snprintf(
            body, sizeof body,
            OPTIMIZED(MANY FILTER("%s", "select * from " SYSTEM " where ElementName='web1'")),
            dialects[i]);
        ask(&stage, ENUMERATE(DMTF "*"), body);
        assert_fine(&stage);
        assert_int_equal(items_in(&stage, ITEMS), 1);
        assert_text(&stage, ITEMS "/" SYSTEM "/Name", VM_UPPER);
    }
    const char *answer = ask(
        &stage, ENUMERATE("http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/*"),
        OPTIMIZED(MANY FILTER(WQL, "select Name from " SYSTEM)));
    assert_fine(&stage);
    assert_in(answer, "<p:Name>");
    assert_not_in(answer, "<p:ElementName>");
    assert_in(answer, "xmlns:p=\"" WMI SYSTEM "\"");
    stage_stop(&stage);
}

static void selectors_find_what_has_their_values(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, ENUMERATE(DMTF SYSTEM),
        OPTIMIZED(MANY FILTER(SELECTORS, SET(SELECTOR("Name", VM_ID)))));
    assert_fine(&stage);
    assert_int_equal(items_in(&stage, ITEMS), 1);
    assert_text(&stage, ITEMS "/" SYSTEM "/Name", VM_UPPER);
    ask(&stage, ENUMERATE(DMTF SYSTEM),
        OPTIMIZED(MANY FILTER(SELECTORS, SET(SELECTOR("Colour", "red")))));
    assert_fault(&stage, "n:CannotProcessFilter", NULL);
    stage_stop(&stage);
}

#define LINKED(kind, more) "<b:" kind "><b:Object>" VM_EPR "</b:Object>" more "</b:" kind ">"

static void associations_of_an_object_are_found(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, ENUMERATE("http://schemas.dmtf.org/wbem/wscim/1/*"),
        OPTIMIZED(MANY FILTER(ASSOCIATION, LINKED("AssociatedInstances",
                                                  "<b:ResultClassName>Msvm_ReplicationRelationship"
                                                  "</b:ResultClassName>"))));
    assert_fine(&stage);
    assert_true(items_in(&stage, ITEMS) > 0);
    assert_non_null(find(&stage, ITEMS "/Msvm_ReplicationRelationship/InstanceID"));
    ask(&stage, ENUMERATE(DMTF "*"),
        OPTIMIZED(MANY "<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>" FILTER(
            ASSOCIATION, LINKED("AssociationInstances", ""))));
    assert_fine(&stage);
    assert_true(items_in(&stage, ITEMS) > 0);
    ask(&stage, ENUMERATE(DMTF "*"), OPTIMIZED(FILTER(ASSOCIATION, "<b:AssociatedInstances/>")));
    assert_fault(&stage, "n:CannotProcessFilter", NULL);
    stage_stop(&stage);
}

/* What the filter names belongs to the list, which outlives the request that asked for it. */
static void the_properties_of_an_association_filter_last_as_long_as_its_list(void **state)
{
    struct stage stage;

    (void)state;
    /* What is freed is not there any more. The sanitizers' memory does not know the option. */
    (void)mallopt(M_PERTURB, 0xA5);
    stage_start(&stage);
    ask(&stage, ENUMERATE(DMTF "*"),
        "<n:Enumerate>" FILTER(
            ASSOCIATION, LINKED("AssociatedInstances",
                                "<b:ResultClassName>Msvm_ReplicationRelationship</"
                                "b:ResultClassName>"
                                "<b:IncludeResultProperty>InstanceID</b:IncludeResultProperty>"
                                "<b:IncludeResultProperty>ReplicationState</"
                                "b:IncludeResultProperty>")) "</n:Enumerate>");
    assert_fine(&stage);
    pull(&stage, context_of(&stage, "EnumerateResponse"), "");
    assert_fine(&stage);
#define FOUND "Body/PullResponse/Items/Msvm_ReplicationRelationship"
    assert_non_null(find(&stage, FOUND "/InstanceID"));
    assert_non_null(find(&stage, FOUND "/ReplicationState"));
    assert_null(find(&stage, FOUND "/ReplicationHealth"));
    stage_stop(&stage);
    (void)mallopt(M_PERTURB, 0);
}

/* An association's keys are references: they are pulled, got by them, and found the same. */
static void an_association_is_got_by_its_references(void **state)
{
    struct stage stage;
    char head[8192];
    const char *answer;

    (void)state;
    stage_start(&stage);
    answer = ask(&stage, ENUMERATE(DMTF "Msvm_SystemReplicationRelationship"),
                 OPTIMIZED(MANY "<w:EnumerationMode>EnumerateEPR</w:EnumerationMode>"));
    assert_fine(&stage);
    const char *set = strstr(answer, "<w:SelectorSet>");
    assert_non_null(set);
    const char *end = strstr(set, "</a:ReferenceParameters></a:EndpointReference></w:Items>");
    assert_non_null(end);
    (void)snprintf(head, sizeof head,
                   ACTION(TRANSFER "/Get") RESOURCE(DMTF "Msvm_SystemReplicationRelationship")
                       MESSAGE_ID "%.*s",
                   (int)(end - set), set);
    ask(&stage, head, "");
    assert_fine(&stage);
    assert_non_null(find(&stage, "Body/Msvm_SystemReplicationRelationship"));
    stage_stop(&stage);
}

/* --- changes -----------------------------------------------------------------------------------
 */

#define PULL_MODE "<e:Delivery Mode=\"http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull\"/>"
#define SUBSCRIBE HEAD(EVENTING "/Subscribe", DMTF "CIM_InstModification", SET(IN_V2))

static void subscribe(struct stage *stage, const char *more, char context[64])
{
    char body[1024];

    (void)snprintf(body, sizeof body, "<e:Subscribe>" PULL_MODE "%s</e:Subscribe>", more);
    ask(stage, SUBSCRIBE, body);
    assert_fine(stage);
    (void)snprintf(context, 64, "%s", context_of(stage, "SubscribeResponse"));
}

/* Tells until the watching thread has seen one: it may not watch yet when the first is told. */
static void tell_of_the_job(struct stage *stage)
{
    unsigned int before = atomic_load(&stage->changes);

    for (unsigned int i = 0; i < 1000 && atomic_load(&stage->changes) == before; i++) {
        rig_lock(&stage->rig);
        control_changed(stage->rig.control,
                        &(struct service_change){.subject = SUBJECT_JOB, .id = the_job.id});
        rig_unlock(&stage->rig);
        (void)poll(NULL, 0, 10);
    }
    assert_int_not_equal(atomic_load(&stage->changes), before);
}

static void a_pull_of_changes_waits_for_one(void **state)
{
    struct stage stage;
    char context[64];
    const char *answer;

    (void)state;
    stage_start(&stage);
    subscribe(&stage, "", context);
    assert_text(&stage, "Body/SubscribeResponse/Expires", "PT600S");
    pull(&stage, context, "");
    assert_int_equal(stage.result, HTTP_PARK);
    assert_int_equal(stage.answer.park_until_ns, stage.now_ns + WSMAN_WAIT_S * NS_PER_S);
    tell_of_the_job(&stage);
    stage.attempt = 1;
    answer = pull(&stage, context, "");
    assert_fine(&stage);
    assert_text(&stage, "Body/PullResponse/EnumerationContext", context);
    assert_in(answer, "<p:CIM_InstModification ");
    assert_in(answer, "xsi:type=\"q:Msvm_ConcreteJob_Type\"");
    assert_in(answer, "SourceInstanceModelPath>");
    stage_stop(&stage);
}

static void a_pull_of_changes_gives_up_in_time(void **state)
{
    struct stage stage;
    char context[64];
    char body[256];

    (void)state;
    stage_start(&stage);
    subscribe(&stage, "", context);
    (void)snprintf(body, sizeof body,
                   "<n:Pull><n:EnumerationContext>%s</n:EnumerationContext></n:Pull>", context);
    ask(&stage, PULL "<w:OperationTimeout>PT10S</w:OperationTimeout>", body);
    assert_int_equal(stage.result, HTTP_PARK);
    assert_int_equal(stage.answer.park_until_ns, stage.now_ns + 10 * NS_PER_S);
    stage.attempt = 1;
    stage.now_ns += 10 * NS_PER_S;
    stage.waited_ns = 10 * NS_PER_S;
    ask(&stage, PULL "<w:OperationTimeout>PT10S</w:OperationTimeout>", body);
    assert_fault(&stage, "w:TimedOut", NULL);
    assert_in(stage.answer.body.at, "Code=\"2150858793\"");
    stage_stop(&stage);
}

static void a_filter_keeps_other_changes_away(void **state)
{
    static const char *const filters[] = {
        FILTER(WQL, "select * from CIM_InstModification where SourceInstance ISA "
                    "'Msvm_ReplicationRelationship'"),
        FILTER(WQL, "select * from Msvm_ReplicationRelationship"),
        FILTER(WQL, "select * from Msvm_ConcreteJob where JobState = 7"),
    };
    struct stage stage;
    char context[64];

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(filters); i++) {
        subscribe(&stage, filters[i], context);
        tell_of_the_job(&stage);
        pull(&stage, context, "");
        assert_int_equal(stage.result, HTTP_PARK);
    }
    subscribe(&stage, FILTER(WQL, "select * from Msvm_ConcreteJob where JobState = 4"), context);
    tell_of_the_job(&stage);
    pull(&stage, context, "");
    assert_fine(&stage);
    ask(&stage, SUBSCRIBE,
        "<e:Subscribe>" PULL_MODE FILTER(WQL, "select * from Nothing") "</e:Subscribe>");
    assert_fault(&stage, "e:FilteringRequestedUnavailable", NULL);
    stage_stop(&stage);
}

static void a_subscription_is_renewed_and_ended(void **state)
{
    struct stage stage;
    char context[64];
    char head[1024];

    (void)state;
    stage_start(&stage);
    subscribe(&stage, "<e:Expires>PT1M</e:Expires>", context);
    assert_text(&stage, "Body/SubscribeResponse/Expires", "PT1M");
    stage.now_ns += 50 * NS_PER_S;
    (void)snprintf(head, sizeof head,
                   HEAD(EVENTING "/Renew", DMTF "*", "<e:Identifier>uuid:%s</e:Identifier>"),
                   context);
    ask(&stage, head, "<e:Renew><e:Expires>PT2M</e:Expires></e:Renew>");
    assert_fine(&stage);
    assert_text(&stage, "Body/RenewResponse/Expires", "PT2M");
    ask(&stage, head, "<e:Renew><e:Expires>never</e:Expires></e:Renew>");
    assert_fault(&stage, "e:InvalidExpirationTime", NULL);
    stage.now_ns += 100 * NS_PER_S;
    (void)snprintf(head, sizeof head,
                   HEAD(EVENTING "/GetStatus", DMTF "*", "<e:Identifier>uuid:%s</e:Identifier>"),
                   context);
    ask(&stage, head, "<e:GetStatus/>");
    assert_fine(&stage);
    assert_text(&stage, "Body/GetStatusResponse/Expires", "PT20S");
    (void)snprintf(head, sizeof head,
                   HEAD(EVENTING "/Unsubscribe", DMTF "*", "<e:Identifier>uuid:%s</e:Identifier>"),
                   context);
    ask(&stage, head, "<e:Unsubscribe/>");
    assert_fine(&stage);
    assert_text(&stage, "Header/Action", EVENTING "/UnsubscribeResponse");
    pull(&stage, context, "");
    assert_fault(&stage, "n:InvalidEnumerationContext", NULL);
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_pulled_one_by_one_to_its_end),
        cmocka_unit_test(an_optimized_list_comes_at_once),
        cmocka_unit_test(references_come_in_their_modes),
        cmocka_unit_test(a_released_list_is_gone_and_others_cannot_pull_it),
        cmocka_unit_test(a_list_is_not_for_somebody_with_other_roles),
        cmocka_unit_test(a_list_ends_at_its_time),
        cmocka_unit_test(more_lists_than_one_may_have_are_refused),
        cmocka_unit_test(a_portion_keeps_to_the_clients_limit),
        cmocka_unit_test(what_is_too_large_alone_is_a_fault_and_stays),
        cmocka_unit_test(subclasses_are_shown_as_the_client_likes),
        cmocka_unit_test(queries_find_what_matches),
        cmocka_unit_test(selectors_find_what_has_their_values),
        cmocka_unit_test(associations_of_an_object_are_found),
        cmocka_unit_test(the_properties_of_an_association_filter_last_as_long_as_its_list),
        cmocka_unit_test(an_association_is_got_by_its_references),
        cmocka_unit_test(a_pull_of_changes_waits_for_one),
        cmocka_unit_test(a_pull_of_changes_gives_up_in_time),
        cmocka_unit_test(a_filter_keeps_other_changes_away),
        cmocka_unit_test(a_subscription_is_renewed_and_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
