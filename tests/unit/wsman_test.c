/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_test.c - envelopes of WS-Management, of the shapes that real clients send, and what comes
 * back; against the control API, whose service only writes down what it is asked.
 */
#include "wsman_stage.h"

/* --- Identify ----------------------------------------------------------------------------------
 */

#define IDENTIFY                                                                                   \
    "<i:Identify xmlns:i=\"http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd\"/>"

static void identify_needs_no_headers(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, "", IDENTIFY);
    assert_fine(&stage);
    assert_text(&stage, "Body/IdentifyResponse/ProtocolVersion",
                "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd");
    assert_text(&stage, "Body/IdentifyResponse/ProductVendor", "Resilver");
    assert_text(&stage, "Body/IdentifyResponse/ProductVersion", RESILVER_VERSION);
    stage_stop(&stage);
}

static void strangers_learn_no_version_and_may_nothing_else(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    stage.is_stranger = true;
    stage.path = "/wsman-anon/identify";
    ask(&stage, "", IDENTIFY);
    assert_fine(&stage);
    assert_text(&stage, "Body/IdentifyResponse/ProductVersion", "(none)");
    ask(&stage, GET_VM(""), "");
    assert_fault(&stage, "w:AccessDenied", NULL);
    ask(&stage, RESYNC_HEAD, RESYNC(VM_PARAMETER));
    assert_fault(&stage, "w:AccessDenied", NULL);
    assert_int_equal(rig_calls(&stage.rig), 0);
    stage_stop(&stage);
}

/* --- refused envelopes -------------------------------------------------------------------------
 */

struct refused {
    const char *head;
    const char *body;
    const char *subcode;
    const char *detail;
};

static const struct refused refused[] = {
    /* headers */
    {TO RESOURCE(DMTF SYSTEM) MESSAGE_ID, "", "a:MessageInformationHeaderRequired", NULL},
    {ACTION(TRANSFER "/Get") TO RESOURCE(DMTF SYSTEM), "", "a:MessageInformationHeaderRequired",
     NULL},
    {HEAD("http://example.org/Nothing", DMTF SYSTEM, ""), "", "a:ActionNotSupported", NULL},
    {HEAD(TRANSFER "/Create", DMTF SYSTEM, ""), "", "a:ActionNotSupported", "ActionMismatch"},
    {HEAD(TRANSFER "/Delete", DMTF SYSTEM, SET(IN_V2 VM_KEYS)), "", "a:ActionNotSupported",
     "ActionMismatch"},
    {ACTION(TRANSFER "/Get") ACTION(TRANSFER "/Put") MESSAGE_ID, "",
     "a:InvalidMessageInformationHeader", NULL},
    {GET_VM("<a:FaultTo><a:Address>http://192.0.2.1/</a:Address></a:FaultTo>"), "",
     "w:UnsupportedFeature", "AddressingMode"},
    {ACTION(TRANSFER "/Get") MESSAGE_ID
     "<a:ReplyTo><a:Address>http://192.0.2.1/</a:Address></a:ReplyTo>",
     "", "w:UnsupportedFeature", "AddressingMode"},
    {GET_VM("<w:FragmentTransfer>Name</w:FragmentTransfer>"), "", "w:UnsupportedFeature",
     "FragmentLevelAccess"},
    {GET_VM("<w:OperationTimeout>2026-01-01T00:00:00Z</w:OperationTimeout>"), "",
     "a:InvalidMessageInformationHeader", NULL},
    {GET_VM("<w:MaxEnvelopeSize>8191</w:MaxEnvelopeSize>"), "", "w:EncodingLimit",
     "MinimumEnvelopeLimit"},
    {GET_VM("<w:MaxEnvelopeSize>-1</w:MaxEnvelopeSize>"), "", "a:InvalidMessageInformationHeader",
     NULL},
    {GET_VM("<w:OptionSet><w:Option Name=\"X\" MustComply=\"true\"/></w:OptionSet>"), "",
     "w:InvalidOptions", "NotSupported"},
    /* what is named */
    {HEAD(TRANSFER "/Get", "http://example.org/CIM", SET(IN_V2 VM_KEYS)), "",
     "a:DestinationUnreachable", "InvalidResourceURI"},
    {HEAD(TRANSFER "/Get", DMTF "Msvm_Nothing", SET(IN_V2 VM_KEYS)), "", "a:DestinationUnreachable",
     "InvalidResourceURI"},
    {HEAD(TRANSFER "/Get", DMTF SYSTEM, SET(SELECTOR("__cimnamespace", "root/none") VM_KEYS)), "",
     "a:DestinationUnreachable", NULL},
    {HEAD(TRANSFER "/Get", DMTF SYSTEM,
          SET(IN_V2 SELECTOR("CreationClassName", SYSTEM) SELECTOR("Name", "nobody"))),
     "", "a:DestinationUnreachable", NULL},
    {HEAD(TRANSFER "/Get", DMTF SYSTEM, SET(IN_V2 VM_KEYS SELECTOR("Name", "x"))), "",
     "w:InvalidSelectors", "DuplicateSelectors"},
    {HEAD(TRANSFER "/Get", DMTF SYSTEM, SET(IN_V2 VM_KEYS SELECTOR("Colour", "red"))), "",
     "w:InvalidSelectors", "UnexpectedSelectors"},
    {HEAD(TRANSFER "/Get", DMTF SYSTEM, SET(IN_V2 SELECTOR("CreationClassName", SYSTEM))), "",
     "w:InvalidSelectors", "InsufficientSelectors"},
    {HEAD(TRANSFER "/Get", DMTF "Msvm_ConcreteJob", SET(IN_V2)), "", "w:InvalidSelectors",
     "InsufficientSelectors"},
    {HEAD(TRANSFER "/Get", "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/" SYSTEM,
          SET(IN_V2 VM_KEYS)),
     "", "a:DestinationUnreachable", NULL},
    {HEAD(TRANSFER "/Get", DMTF SYSTEM, SET("<w:Selector>x</w:Selector>")), "",
     "w:InvalidSelectors", NULL},
    /* bodies */
    {ENUMERATE_VM, "", "w:SchemaValidationError", NULL},
    {PULL, "<n:Pull/>", "w:SchemaValidationError", NULL},
    {PULL, "<n:Pull><n:EnumerationContext>12345</n:EnumerationContext></n:Pull>",
     "n:InvalidEnumerationContext", NULL},
    {HEAD(ENUMERATION "/Release", DMTF SYSTEM, ""),
     "<n:Release><n:EnumerationContext>1</n:EnumerationContext></n:Release>",
     "n:InvalidEnumerationContext", NULL},
    {ENUMERATE_VM, "<n:Enumerate/><n:Enumerate/>", "w:SchemaValidationError", NULL},
    {ENUMERATE_VM, "<n:Enumerate><w:MaxElements>0</w:MaxElements></n:Enumerate>",
     "w:SchemaValidationError", NULL},
    {ENUMERATE_VM, "<n:Enumerate><n:Expires>soon</n:Expires></n:Enumerate>",
     "n:InvalidExpirationTime", NULL},
    {ENUMERATE_VM, "<n:Enumerate><n:Expires>1960-01-01T00:00:00Z</n:Expires></n:Enumerate>",
     "n:InvalidExpirationTime", NULL},
    {ENUMERATE_VM, "<n:Enumerate><w:EnumerationMode>All</w:EnumerationMode></n:Enumerate>",
     "w:UnsupportedFeature", NULL},
    {ENUMERATE_VM, "<n:Enumerate><b:PolymorphismMode>Any</b:PolymorphismMode></n:Enumerate>",
     "b:PolymorphismModeNotSupported", NULL},
    {ENUMERATE_VM, "<n:Enumerate>" FILTER("http://example.org/Xpath", "/x") "</n:Enumerate>",
     "n:FilterDialectRequestedUnavailable", NULL},
    {ENUMERATE_VM, "<n:Enumerate><w:Filter>/x</w:Filter></n:Enumerate>",
     "n:FilterDialectRequestedUnavailable", NULL},
    {ENUMERATE_VM, "<n:Enumerate>" FILTER(WQL, "select from where") "</n:Enumerate>",
     "n:CannotProcessFilter", NULL},
    {ENUMERATE_VM, "<n:Enumerate>" FILTER(WQL, "select * from Msvm_ConcreteJob") "</n:Enumerate>",
     "n:CannotProcessFilter", NULL},
    {ENUMERATE_VM,
     "<n:Enumerate>" FILTER(WQL, "select * from " SYSTEM " where Colour='red'") "</n:Enumerate>",
     "n:CannotProcessFilter", NULL},
    {ENUMERATE(DMTF "*"),
     "<n:Enumerate>" FILTER("http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter",
                            "{\"object\":\"x\"}") "</n:Enumerate>",
     "n:CannotProcessFilter", NULL},
    /* methods */
    {HEAD(DMTF SERVICE "/Nothing", DMTF SERVICE, SET(IN_V2 SERVICE_KEYS)), "",
     "a:ActionNotSupported", NULL},
    {HEAD(DMTF SYSTEM "/Resynchronize", DMTF SERVICE, SET(IN_V2 SERVICE_KEYS)), "",
     "a:ActionNotSupported", NULL},
    {HEAD(DMTF SYSTEM "/RequestStateChange", DMTF SYSTEM,
          SET(IN_V2 SELECTOR("CreationClassName", SYSTEM))),
     "", "w:InvalidSelectors", "InsufficientSelectors"},
    {RESYNC_HEAD, "<p:Other_INPUT/>", "w:SchemaValidationError", NULL},
    {RESYNC_HEAD, RESYNC("<p:Colour>red</p:Colour>"), "w:InvalidParameter", "InvalidName"},
    {RESYNC_HEAD, RESYNC("<p:Job>x</p:Job>"), "w:InvalidParameter", "InvalidName"},
    /* eventing */
    {HEAD(EVENTING "/Subscribe", DMTF "*", SET(IN_V2)),
     "<e:Subscribe><e:Delivery Mode=\"" EVENTING "/DeliveryModes/Push\"/></e:Subscribe>",
     "e:DeliveryModeRequestedUnavailable", NULL},
    {HEAD(EVENTING "/Unsubscribe", DMTF "*", ""), "<e:Unsubscribe/>", "e:InvalidMessage", NULL},
    {HEAD(EVENTING "/Unsubscribe", DMTF "*", "<e:Identifier>uuid:1</e:Identifier>"),
     "<e:Unsubscribe/>", "e:InvalidMessage", NULL},
    {HEAD(EVENTING "/Renew", DMTF "*", "<e:Identifier>uuid:1</e:Identifier>"), "<e:Renew/>",
     "e:UnableToRenew", NULL},
};

static void what_is_refused_is_refused_with_its_fault(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        ask(&stage, refused[i].head, refused[i].body);
        assert_fault(&stage, refused[i].subcode, refused[i].detail);
    }
    assert_int_equal(rig_calls(&stage.rig), 0);
    stage_stop(&stage);
}

static void faults_relate_to_their_request_and_say_their_action(void **state)
{
    static const char fault[] = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault";
    static const char addressing[] = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault";
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, GET_VM("<w:MaxEnvelopeSize>1</w:MaxEnvelopeSize>"), "");
    assert_text(&stage, "Header/Action", fault);
    assert_text(&stage, "Header/RelatesTo", "uuid:00000000-0000-0000-0000-000000000001");
    assert_text(&stage, "Body/Fault/Code/Value", "s:Sender");
    ask(&stage, HEAD(TRANSFER "/Create", DMTF SYSTEM, ""), "");
    assert_text(&stage, "Header/Action", addressing);
    ask(&stage, PULL, "<n:Pull><n:EnumerationContext>1</n:EnumerationContext></n:Pull>");
    assert_text(&stage, "Header/Action", ENUMERATION "/fault");
    ask(&stage, GET_VM("<x:New xmlns:x=\"u\" s:mustUnderstand=\"1\"/>"), "");
    assert_text(&stage, "Body/Fault/Code/Value", "s:MustUnderstand");
    assert_text(&stage, "Header/Action", addressing);
    ask(&stage, HEAD(TRANSFER "/Get", DMTF "Msvm_Nothing", SET(IN_V2 VM_KEYS)), "");
    assert_text(&stage, "Body/Fault/Detail/CIM_Error/CIMStatusCode", "5");
    stage_stop(&stage);
}

static void documents_that_are_no_envelopes_are_refused(void **state)
{
    static const struct {
        const char *document;
        const char *code;
    } documents[] = {
        {"", "w:SchemaValidationError"},
        {"nothing", "w:SchemaValidationError"},
        {"<a><b></a>", "w:SchemaValidationError"},
        {"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "w:SchemaValidationError"},
        {"<Envelope xmlns=\"http://www.w3.org/2003/05/soap-envelope\"/>",
         "w:SchemaValidationError"},
        {"<other/>", "w:SchemaValidationError"},
    };
    struct stage stage;

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(documents); i++) {
        post(&stage, documents[i].document);
        assert_fault(&stage, documents[i].code, NULL);
    }
    post(&stage, "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"/>");
    assert_text(&stage, "Body/Fault/Code/Value", "s:VersionMismatch");
    stage_stop(&stage);
}

static void types_and_charsets_are_looked_at(void **state)
{
    static const char *const fine[] = {NULL,
                                       "application/soap+xml",
                                       "application/soap+xml; charset=\"utf-8\"",
                                       "application/soap+xml;charset=UTF-8;action=\"x\"",
                                       "text/xml",
                                       "application/xml; charset=utf-8"};
    static const char *const bad[] = {"", "text/plain", "application/soap+xmlx", "multipart/mixed"};
    struct stage stage;

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(fine); i++) {
        stage.content_type = fine[i];
        ask(&stage, GET_VM(""), "");
        assert_fine(&stage);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        stage.content_type = bad[i];
        ask(&stage, GET_VM(""), "");
        assert_int_equal(stage.answer.status, 415);
        assert_null(stage.answer.content_type);
    }
    stage.content_type = "application/soap+xml;charset=utf-7";
    ask(&stage, GET_VM(""), "");
    assert_fault(&stage, "w:EncodingLimit", "CharacterSet");
    stage_stop(&stage);
}

static void soap_action_must_be_the_action(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    stage.soap_action = "\"" TRANSFER "/Get\"";
    ask(&stage, GET_VM(""), "");
    assert_fine(&stage);
    stage.soap_action = "";
    ask(&stage, GET_VM(""), "");
    assert_fine(&stage);
    stage.soap_action = TRANSFER "/Put";
    ask(&stage, GET_VM(""), "");
    assert_fault(&stage, "a:MessageInformationHeaderRequired", NULL);
    stage_stop(&stage);
}

/* --- what real clients do ----------------------------------------------------------------------
 */

static void habits_of_real_clients_are_served(void **state)
{
    static const char *const heads[] = {
        /* npm: another host in To, MessageID 0 */
        ACTION(TRANSFER "/Get") "<a:To>/wsman</a:To>" RESOURCE(
            DMTF SYSTEM) "<a:MessageID>0</a:MessageID>" REPLY_TO SET(IN_V2 VM_KEYS),
        /* wsl: a bare UUID, or none for want of uuidgen */
        ACTION(TRANSFER "/Get")
            TO RESOURCE(DMTF SYSTEM) "<a:MessageID>27073f26-9bf9-4e2e-b035-2b8f1ec40157</"
                                     "a:MessageID>" SET(IN_V2 VM_KEYS),
        ACTION(TRANSFER "/Get") TO RESOURCE(DMTF SYSTEM) "<a:MessageID/>" SET(IN_V2 VM_KEYS),
        /* pywinrm: mustUnderstand without a namespace */
        ACTION(TRANSFER
               "/Get") "<a:To>http://windows-host:5985/wsman</a:To>"
                       "<w:ResourceURI mustUnderstand=\"true\">" WMI SYSTEM "</w:ResourceURI>"
                       "<p:DataLocale mustUnderstand=\"false\" xml:lang=\"en-US\" "
                       "xmlns:p=\"http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd\"/>"
                       "<w:Locale mustUnderstand=\"true\" xml:lang=\"en-US\"/>" MESSAGE_ID REPLY_TO
                           SET(VM_KEYS),
        /* omicli: an empty OptionSet that must be understood */
        GET_VM("<w:OptionSet s:mustUnderstand=\"true\"/>"),
        GET_VM("<w:OperationTimeout>PT60.000S</w:OperationTimeout>"),
        GET_VM("<w:OperationTimeout>PT1M30S</w:OperationTimeout>"),
        GET_VM("<w:MaxEnvelopeSize s:mustUnderstand=\"true\">51200</w:MaxEnvelopeSize>"),
        /* dracclient: selectors in the resource URI */
        HEAD(TRANSFER "/Get",
             DMTF SYSTEM "?CreationClassName=" SYSTEM "&amp;Name=6f1c2a9e%2D0000-4000-8000-"
                         "000000000001&amp;__cimnamespace=root%2Fvirtualization%2Fv2",
             ""),
        /* winrm.cmd */
        HEAD(TRANSFER "/Get", WMI SYSTEM "?CreationClassName=" SYSTEM "+Name=" VM_UPPER, ""),
        /* other prefixes, names in other cases, no namespace */
        HEAD(TRANSFER "/Get", "http://schemas.microsoft.com/wbem/wscim/1/cim-schema/2/" SYSTEM,
             SET(VM_KEYS)),
        HEAD(TRANSFER "/Get", DMTF "msvm_computersystem",
             SET(SELECTOR("__cimnamespace", "ROOT\\Virtualization\\V2")
                     SELECTOR("creationclassname", SYSTEM) SELECTOR("NAME", VM_ID))),
        HEAD(TRANSFER "/Get", DMTF "CIM_ComputerSystem", SET(VM_KEYS)),
    };
    struct stage stage;

    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++) {
        ask(&stage, heads[i], "");
        assert_fine(&stage);
        assert_text(&stage, "Body/Msvm_ComputerSystem/Name", VM_UPPER);
    }
    stage_stop(&stage);
}

static void a_default_namespace_on_the_envelope_is_read(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    post(&stage, "<Envelope xmlns=\"http://www.w3.org/2003/05/soap-envelope\" "
                 "xmlns:q=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" "
                 "xmlns:z='http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd'><Header>"
                 "<q:Action>" TRANSFER "/Get</q:Action><q:MessageID>0</q:MessageID>"
                 "<z:ResourceURI>" DMTF SYSTEM "</z:ResourceURI><z:SelectorSet>"
                 "<z:Selector Name='CreationClassName'>" SYSTEM "</z:Selector>"
                 "<z:Selector Name='Name'>" VM_UPPER "</z:Selector></z:SelectorSet>"
                 "</Header><Body></Body></Envelope>");
    assert_fine(&stage);
    assert_text(&stage, "Body/Msvm_ComputerSystem/Name", VM_UPPER);
    stage_stop(&stage);
}

/* --- Get ---------------------------------------------------------------------------------------
 */

static void an_object_is_of_the_namespace_that_was_asked_for(void **state)
{
    struct stage stage;
    const char *answer;

    (void)state;
    stage_start(&stage);
    answer = ask(&stage, GET_VM(""), "");
    assert_text(&stage, "Header/Action", TRANSFER "/GetResponse");
    assert_in(answer, "<p:" SYSTEM " xmlns:p=\"" DMTF SYSTEM "\"");
    assert_in(answer, "<p:ElementName>web1</p:ElementName>");
    assert_in(answer, "xsi:nil=\"true\"/>");
    answer = ask(&stage, HEAD(TRANSFER "/Get", WMI SYSTEM, SET(VM_KEYS)), "");
    assert_in(answer, "<p:" SYSTEM " xmlns:p=\"" WMI SYSTEM "\"");
    stage_stop(&stage);
}

#define JOB_HEAD HEAD(TRANSFER "/Get", DMTF "Msvm_ConcreteJob", SET(SELECTOR("InstanceID", JOB_ID)))

static void datetimes_are_elements_or_plain_as_the_client_likes(void **state)
{
    struct stage stage;
    const char *answer;

    (void)state;
    stage_start(&stage);
    stage.user_agent = "Microsoft WinRM Client";
    answer = ask(&stage, JOB_HEAD, "");
    assert_fine(&stage);
    assert_in(answer, "<p:StartTime><cim:Datetime>1970-01-01T00:00:02Z</cim:Datetime>");
    assert_in(answer, "<p:TimeBeforeRemoval><cim:Interval>PT5M</cim:Interval>");
    stage.user_agent = "openwsman 2.2.0";
    answer = ask(&stage, JOB_HEAD, "");
    assert_in(answer, "<p:StartTime>1970-01-01T00:00:02Z</p:StartTime>");
    assert_in(answer, "<p:TimeBeforeRemoval>PT5M</p:TimeBeforeRemoval>");
    stage_stop(&stage);
}

#define CLASS_URI "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*"

static void a_class_is_got_by_its_name(void **state)
{
    struct stage stage;
    const char *answer;

    (void)state;
    stage_start(&stage);
    answer =
        ask(&stage,
            HEAD(TRANSFER "/Get", CLASS_URI,
                 SET(IN_V2 SELECTOR(
                     "ClassName",
                     SERVICE))) "<w:OptionSet><w:Option Name=\"IncludeQualifiers\">true</w:Option>"
                                "<w:Option Name=\"wmi:IncludeInheritedElements\" "
                                "MustComply=\"true\">true"
                                "</w:Option></w:OptionSet>",
            "");
    assert_fine(&stage);
    assert_in(answer, "<CLASS NAME=\"" SERVICE "\"");
    assert_in(answer, "<METHOD NAME=\"Resynchronize\"");
    assert_non_null(find(&stage, "Body/CLASS"));
    assert_string_equal(find(&stage, "Body/CLASS")->space, "");
    ask(&stage, HEAD(TRANSFER "/Get", CLASS_URI, SET(IN_V2 SELECTOR("ClassName", "None"))), "");
    assert_fault(&stage, "a:DestinationUnreachable", "InvalidResourceURI");
    ask(&stage, HEAD(TRANSFER "/Get", CLASS_URI, SET(IN_V2)), "");
    assert_fault(&stage, "w:InvalidSelectors", "InsufficientSelectors");
    stage_stop(&stage);
}

static void what_waited_too_long_is_not_begun(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    stage.waited_ns = 3 * NS_PER_S;
    ask(&stage, RESYNC_HEAD "<w:OperationTimeout>PT2S</w:OperationTimeout>", RESYNC(VM_PARAMETER));
    assert_fault(&stage, "w:TimedOut", NULL);
    assert_text(&stage, "Body/Fault/Code/Value", "s:Receiver");
    assert_int_equal(rig_calls(&stage.rig), 0);
    ask(&stage, GET_VM("<w:OperationTimeout>PT4S</w:OperationTimeout>"), "");
    assert_fine(&stage);
    ask(&stage, GET_VM("<w:OperationTimeout>PT0.0S</w:OperationTimeout>"), "");
    assert_fine(&stage); /* no time at all is no limit */
    stage_stop(&stage);
}

/* --- Put ---------------------------------------------------------------------------------------
 */

#define ENTRY "Msvm_ReplicationAuthorizationSettingData"
#define PUT_VM HEAD(TRANSFER "/Put", DMTF SYSTEM, SET(IN_V2 VM_KEYS))

static void what_has_nothing_writable_is_not_put(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage, PUT_VM, "<p:" SYSTEM "><p:ElementName>new</p:ElementName></p:" SYSTEM ">");
    assert_fault(&stage, "a:ActionNotSupported", "ActionMismatch");
    ask(&stage, PUT_VM, "<p:" SYSTEM "><p:Colour>red</p:Colour></p:" SYSTEM ">");
    assert_fault(&stage, "w:InvalidParameter", "InvalidName");
    ask(&stage, PUT_VM, "<p:" SYSTEM "><p:EnabledState>on</p:EnabledState></p:" SYSTEM ">");
    assert_fault(&stage, "w:InvalidParameter", "TypeMismatch");
    ask(&stage, PUT_VM, "");
    assert_fault(&stage, "w:SchemaValidationError", NULL);
    ask(&stage, PUT_VM, "<p:" SERVICE "/>");
    assert_fault(&stage, "w:SchemaValidationError", NULL);
    assert_int_equal(rig_calls(&stage.rig), 0);
    stage_stop(&stage);
}

/* What a client does: he reads the object, changes a property and puts all of it back. */
static void an_entry_is_put_as_it_was_got_but_for_its_change(void **state)
{
    static const char begin[] = "<p:" ENTRY " ";
    struct stage stage;
    char key[128];
    char head[2048];
    char object[8192];
    const char *answer;

    (void)state;
    stage_start(&stage);
    answer =
        ask(&stage, ENUMERATE(DMTF ENTRY), "<n:Enumerate><w:OptimizeEnumeration/></n:Enumerate>");
    assert_fine(&stage);
    (void)snprintf(key, sizeof key, "%s",
                   text_at(&stage, "Body/EnumerateResponse/Items/" ENTRY "/InstanceID"));
    const char *from = strstr(answer, begin);
    assert_non_null(from);
    const char *until = strstr(from, "</p:" ENTRY ">");
    const char *group = strstr(from, ">DEFAULT<");
    assert_non_null(until);
    assert_non_null(group);
    (void)snprintf(object, sizeof object, "%.*s>OTHER<%.*s</p:" ENTRY ">", (int)(group - from),
                   from, (int)(until - group) - 9, group + 9);
    (void)snprintf(head, sizeof head,
                   HEAD(TRANSFER "/Put", DMTF ENTRY, SET(SELECTOR("InstanceID", "%s"))), key);
    ask(&stage, head, object);
    assert_fine(&stage);
    assert_text(&stage, "Header/Action", TRANSFER "/PutResponse");
    assert_int_equal(rig_calls(&stage.rig), 1);
    assert_in(the_service.last, "authorize db2");
    assert_in(the_service.last, "OTHER");
    assert_in(audit_text(&stage), "\"operation\":\"Put\"");
    stage_stop(&stage);
}

/* --- sizes -------------------------------------------------------------------------------------
 */

static void an_answer_above_the_clients_limit_is_a_fault(void **state)
{
    struct stage stage;

    (void)state;
    stage_start(&stage);
    ask(&stage,
        HEAD(TRANSFER "/Get", CLASS_URI,
             SET(IN_V2 SELECTOR("ClassName",
                                SERVICE))) "<w:MaxEnvelopeSize>8192</w:MaxEnvelopeSize>",
        "");
    assert_fault(&stage, "w:EncodingLimit", "MaxEnvelopeSize");
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identify_needs_no_headers),
        cmocka_unit_test(strangers_learn_no_version_and_may_nothing_else),
        cmocka_unit_test(what_is_refused_is_refused_with_its_fault),
        cmocka_unit_test(faults_relate_to_their_request_and_say_their_action),
        cmocka_unit_test(documents_that_are_no_envelopes_are_refused),
        cmocka_unit_test(types_and_charsets_are_looked_at),
        cmocka_unit_test(soap_action_must_be_the_action),
        cmocka_unit_test(habits_of_real_clients_are_served),
        cmocka_unit_test(a_default_namespace_on_the_envelope_is_read),
        cmocka_unit_test(an_object_is_of_the_namespace_that_was_asked_for),
        cmocka_unit_test(datetimes_are_elements_or_plain_as_the_client_likes),
        cmocka_unit_test(a_class_is_got_by_its_name),
        cmocka_unit_test(what_waited_too_long_is_not_begun),
        cmocka_unit_test(what_has_nothing_writable_is_not_put),
        cmocka_unit_test(an_entry_is_put_as_it_was_got_but_for_its_change),
        cmocka_unit_test(an_answer_above_the_clients_limit_is_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
