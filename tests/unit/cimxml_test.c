/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/cimxml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Messages that need no service: there is none behind this socket. */
#define NO_SOCKET "/nonexistent/resilver.sock"

struct header {
    const char *name;
    const char *value;
};

struct rig {
    struct arena arena;
    struct client *client;
    struct contexts *contexts;
    struct audit *audit;
    struct cimxml cimxml;
    struct cim_caller caller;
    struct header headers[8];
    struct http_answer answer;
};

static const char *rig_header(const void *connection, const char *name)
{
    const struct rig *rig = connection;

    for (size_t i = 0; i < ARRAY_COUNT(rig->headers) && rig->headers[i].name != NULL; i++) {
        if (strcasecmp(rig->headers[i].name, name) == 0) {
            return rig->headers[i].value;
        }
    }
    return NULL;
}

static int rig_start(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct error err = {0};

    assert_non_null(rig);
    arena_init(&rig->arena, CIM_LIST_BYTES);
    assert_int_equal(client_open(NO_SOCKET, &rig->client, &err), 0);
    assert_int_equal(contexts_new(env_system(), &rig->contexts, &err), 0);
    assert_int_equal(audit_log_open(env_system(), NULL, &rig->audit, &err), 0);
    rig->cimxml = (struct cimxml){.contexts = rig->contexts, .audit = rig->audit};
    rig->caller = (struct cim_caller){.name = "alice", .role = CIM_ROLE_ADMINISTRATOR};
    xml_text_init(&rig->answer.body, HTTP_ANSWER_MAX);
    *state = rig;
    return 0;
}

static int rig_stop(void **state)
{
    struct rig *rig = *state;

    xml_text_free(&rig->answer.body);
    audit_log_close(rig->audit);
    contexts_free(rig->contexts);
    client_close(rig->client);
    arena_free(&rig->arena);
    free(rig);
    return 0;
}

/* The headers that fit an intrinsic operation in our namespace. */
static void set_headers(struct rig *rig, const char *method)
{
    const struct header headers[] = {
        {"Content-Type", "application/xml; charset=\"utf-8\""},
        {"CIMOperation", "MethodCall"},
        {"CIMMethod", method},
        {"CIMObject", "root%2Fvirtualization%2Fv2"},
        {"CIMProtocolVersion", "1.0"},
        {"Host", "kvm1:5988"},
    };

    memset(rig->headers, 0, sizeof rig->headers);
    memcpy(rig->headers, headers, sizeof headers);
}

static void set_header(struct rig *rig, const char *name, const char *value)
{
    size_t i = 0;

    while (i < ARRAY_COUNT(rig->headers) && rig->headers[i].name != NULL &&
           strcasecmp(rig->headers[i].name, name) != 0) {
        i++;
    }
    assert_true(i < ARRAY_COUNT(rig->headers));
    /* A header that is left out keeps its place under another name. */
    rig->headers[i] = (struct header){value == NULL ? "X-None" : name, value == NULL ? "" : value};
}

static void send_with_room(struct rig *rig, const char *body, size_t room_bytes)
{
    const struct http_request request = {
        .path = "/cimom",
        .query = "",
        .body = {(const uint8_t *)body, strlen(body)},
        .caller = &rig->caller,
        .remote = "192.0.2.7:1",
        .arena = &rig->arena,
        .client = rig->client,
        .env = env_system(),
        .header = rig_header,
        .connection = rig,
    };

    xml_text_free(&rig->answer.body);
    memset(&rig->answer, 0, sizeof rig->answer);
    xml_text_init(&rig->answer.body, room_bytes);
    assert_int_equal(cimxml_handle(&rig->cimxml, &request, &rig->answer), HTTP_DONE);
    assert_int_not_equal(rig->answer.status, 0);
}

static void send_body(struct rig *rig, const char *body)
{
    send_with_room(rig, body, HTTP_ANSWER_MAX);
}

#define HEAD                                                                                       \
    "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">"     \
    "<MESSAGE ID=\"4711\" PROTOCOLVERSION=\"1.0\">"
#define TAIL "</MESSAGE></CIM>"
#define SPACE                                                                                      \
    "<LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"virtualization\"/>"           \
    "<NAMESPACE NAME=\"v2\"/></LOCALNAMESPACEPATH>"
#define CLASS_NAME(name)                                                                           \
    "<IPARAMVALUE NAME=\"ClassName\"><CLASSNAME NAME=\"" name "\"/></IPARAMVALUE>"
#define VALUE(name, text) "<IPARAMVALUE NAME=\"" name "\"><VALUE>" text "</VALUE></IPARAMVALUE>"

static const char *call_text(struct rig *rig, const char *method, const char *parameters)
{
    return arena_print(&rig->arena,
                       HEAD "<SIMPLEREQ><IMETHODCALL NAME=\"%s\">" SPACE
                            "%s</IMETHODCALL></SIMPLEREQ>" TAIL,
                       method, parameters);
}

static void call(struct rig *rig, const char *method, const char *parameters)
{
    set_headers(rig, method);
    send_body(rig, call_text(rig, method, parameters));
}

static const char *cim_error_header(const struct rig *rig)
{
    for (uint32_t i = 0; i < rig->answer.header_count; i++) {
        if (strcmp(rig->answer.headers[i].name, "CIMError") == 0) {
            return rig->answer.headers[i].value;
        }
    }
    return "";
}

static void assert_has(const struct rig *rig, const char *text)
{
    if (rig->answer.body.at == NULL || strstr(rig->answer.body.at, text) == NULL) {
        print_error("'%s' is not in: %s\n", text,
                    rig->answer.body.at == NULL ? "" : rig->answer.body.at);
        fail_msg("the answer lacks a text");
    }
}

static void assert_error(const struct rig *rig, int code)
{
    char wanted[32];

    assert_int_equal(rig->answer.status, 200);
    (void)snprintf(wanted, sizeof wanted, "<ERROR CODE=\"%d\"", code);
    assert_has(rig, wanted);
    assert_has(rig, "<MESSAGE ID=\"4711\" PROTOCOLVERSION=\"1.0\">");
}

/* --- the message ------------------------------------------------------------------------------ */

static void refuses_headers_that_are_not_of_an_operation(void **state)
{
    static const struct {
        const char *header;
        const char *value;
        unsigned status;
        const char *cim_error;
    } cases[] = {
        {"Content-Type", NULL, 400, ""},
        {"Content-Type", "text/plain", 415, ""},
        {"Content-Type", "application/xml; charset=latin1", 415, ""},
        {"CIMOperation", NULL, 400, ""},
        {"CIMOperation", "MethodSend", 400, "unsupported-operation"},
        {"CIMMethod", NULL, 400, "header-mismatch"},
        {"CIMMethod", "GetInstance", 400, "header-mismatch"},
        {"CIMMethod", "%zz", 400, "header-mismatch"},
        {"CIMMethod", "EnumerateClassNames%00", 400, "header-mismatch"},
        {"CIMObject", NULL, 400, "header-mismatch"},
        {"CIMObject", "root/cimv2", 400, "header-mismatch"},
        {"CIMProtocolVersion", "1.1", 400, "header-mismatch"},
        {"CIMBatch", "CIMBatch", 501, "multiple-requests-unsupported"},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        set_headers(rig, "EnumerateClassNames");
        set_header(rig, cases[i].header, cases[i].value);
        send_body(rig, call_text(rig, "EnumerateClassNames", ""));
        assert_int_equal(rig->answer.status, cases[i].status);
        assert_string_equal(cim_error_header(rig), cases[i].cim_error);
        assert_null(rig->answer.content_type);
    }
}

static void takes_headers_as_clients_write_them(void **state)
{
    static const struct header cases[] = {
        {"Content-Type", "text/xml"},
        {"Content-Type", "application/xml"},
        {"CIMMethod", "enumerateclassnames"},
        {"CIMOperation", "methodcall"},
        {"CIMObject", "root/virtualization/v2"},
        {"CIMObject", "ROOT%2FVirtualization%2FV2"},
        {"CIMProtocolVersion", NULL},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        set_headers(rig, "EnumerateClassNames");
        set_header(rig, cases[i].name, cases[i].value);
        send_body(rig, call_text(rig, "EnumerateClassNames", ""));
        assert_int_equal(rig->answer.status, 200);
        assert_has(rig, "<CLASSNAME NAME=");
    }
}

static void refuses_bodies_that_are_no_message(void **state)
{
    static const struct {
        const char *body;
        unsigned status;
        const char *cim_error;
    } cases[] = {
        {"", 400, "request-not-valid"},
        {"x", 400, "request-not-well-formed"},
        {"<CIM", 400, "request-not-well-formed"},
        {"<!DOCTYPE CIM><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"/>", 400, "request-not-valid"},
        {"<CIN/>", 400, "request-not-valid"},
        {"<CIM/>", 400, "request-not-valid"},
        {"<CIM CIMVERSION=\"1.0\" DTDVERSION=\"2.0\"/>", 501, "unsupported-cim-version"},
        {"<CIM CIMVERSION=\"2.0\" DTDVERSION=\"1.0\"/>", 501, "unsupported-dtd-version"},
        {"<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"/>", 400, "request-not-valid"},
        {"<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\"/></CIM>", 400,
         "request-not-valid"},
        {"<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" "
         "PROTOCOLVERSION=\"2.0\"/></CIM>",
         501, "unsupported-protocol-version"},
        {HEAD TAIL, 400, "request-not-valid"},
        {HEAD "<MULTIREQ/>" TAIL, 501, "multiple-requests-unsupported"},
        {HEAD "<SIMPLEREQ/>" TAIL, 400, "request-not-valid"},
        {HEAD "<SIMPLEREQ><IMETHODCALL/></SIMPLEREQ>" TAIL, 400, "request-not-valid"},
        {HEAD "<SIMPLEREQ><IMETHODCALL NAME=\"x\"/></SIMPLEREQ>" TAIL, 400, "request-not-valid"},
        {HEAD "<SIMPLEREQ><OTHER NAME=\"x\">" SPACE "</OTHER></SIMPLEREQ>" TAIL, 400,
         "request-not-valid"},
        {HEAD "<SIMPLEREQ><METHODCALL NAME=\"x\">" SPACE "</METHODCALL></SIMPLEREQ>" TAIL, 400,
         "request-not-valid"},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        set_headers(rig, "x");
        send_body(rig, cases[i].body);
        assert_int_equal(rig->answer.status, cases[i].status);
        assert_string_equal(cim_error_header(rig), cases[i].cim_error);
    }
}

/* --- operations ------------------------------------------------------------------------------- */

static void refuses_parameters_that_are_missing_doubled_or_unknown(void **state)
{
    static const struct {
        const char *method;
        const char *parameters;
    } cases[] = {
        {"GetClass", ""},
        {"GetClass", "<IPARAMVALUE NAME=\"ClassName\"/>"},
        {"GetClass", CLASS_NAME("CIM_Service") CLASS_NAME("CIM_Service")},
        {"GetClass", CLASS_NAME("CIM_Service") VALUE("Other", "1")},
        {"GetClass", CLASS_NAME("CIM_Service") VALUE("LocalOnly", "maybe")},
        {"GetClass", CLASS_NAME("CIM_Service") "<IPARAMVALUE><VALUE>1</VALUE></IPARAMVALUE>"},
        {"GetClass", CLASS_NAME("CIM_Service") "<PARAMVALUE NAME=\"x\"/>"},
        {"GetClass", VALUE("ClassName", "CIM_Service")},
        {"GetClass", CLASS_NAME("CIM_Service") VALUE("PropertyList", "x")},
        {"GetInstance", VALUE("InstanceName", "x")},
        {"ExecQuery", VALUE("Query", "select * from CIM_Service")},
        {"PullInstances", VALUE("EnumerationContext", "x")},
        {"ModifyInstance", VALUE("ModifiedInstance", "x")},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        call(rig, cases[i].method, cases[i].parameters);
        assert_error(rig, CIM_INVALID_PARAMETER);
    }
}

static void says_what_it_does_not_have(void **state)
{
    struct rig *rig = *state;

    call(rig, "GetClass", CLASS_NAME("CIM_Nothing"));
    assert_error(rig, CIM_INVALID_CLASS);
    assert_has(rig, "CIM_ERR_INVALID_CLASS");
    call(rig, "CreateInstance", "");
    assert_error(rig, CIM_NOT_SUPPORTED);
    call(rig, "Nonsense", "");
    assert_error(rig, CIM_NOT_SUPPORTED);
    call(rig, "ExecQuery", VALUE("QueryLanguage", "SQL") VALUE("Query", "select"));
    assert_error(rig, CIM_QUERY_LANGUAGE_NOT_SUPPORTED);
    call(rig, "ExecQuery", VALUE("QueryLanguage", "WQL") VALUE("Query", "select"));
    assert_error(rig, CIM_INVALID_QUERY);
    call(rig, "PullInstances", VALUE("EnumerationContext", "x") VALUE("MaxObjectCount", "1"));
    assert_error(rig, CIM_INVALID_ENUMERATION_CONTEXT);
    call(rig, "OpenEnumerateInstances", CLASS_NAME("CIM_Service") VALUE("OperationTimeout", "0"));
    assert_error(rig, CIM_INVALID_OPERATION_TIMEOUT);
    call(rig, "OpenEnumerateInstances",
         CLASS_NAME("CIM_Service") VALUE("FilterQueryLanguage", "DMTF:FQL"));
    assert_error(rig, CIM_FILTERED_ENUMERATION_NOT_SUPPORTED);
    call(rig, "OpenEnumerateInstances", CLASS_NAME("CIM_Service") VALUE("ContinueOnError", "TRUE"));
    assert_error(rig, CIM_CONTINUATION_ON_ERROR_NOT_SUPPORTED);
}

static void says_that_the_service_is_not_there(void **state)
{
    struct rig *rig = *state;

    call(rig, "EnumerateInstances", CLASS_NAME("Msvm_ComputerSystem"));
    assert_error(rig, CIM_FAILED);
    assert_has(rig, "resilverd");
}

static void begins_no_answer_that_has_no_room_for_its_head(void **state)
{
    struct rig *rig = *state;

    set_headers(rig, "GetClass");
    const char *text = call_text(rig, "GetClass", CLASS_NAME("CIM_Job"));
    for (size_t room_bytes = 1; room_bytes < 1000; room_bytes += 100) {
        send_with_room(rig, text, room_bytes);
        assert_true(rig->answer.body.bad || strncmp(rig->answer.body.at, "<?xml", 5) == 0);
    }
    assert_has(rig, "<ERROR CODE=\"27\"");
}

static void lets_nobody_in_who_has_no_role(void **state)
{
    struct rig *rig = *state;

    rig->caller.role = CIM_ROLE_NOBODY;
    call(rig, "EnumerateClassNames", "");
    assert_error(rig, CIM_ACCESS_DENIED);
}

static void shows_classes(void **state)
{
    struct rig *rig = *state;

    call(rig, "GetClass", CLASS_NAME("Msvm_ReplicationService") VALUE("LocalOnly", "FALSE"));
    assert_int_equal(rig->answer.status, 200);
    assert_has(rig, "<IMETHODRESPONSE NAME=\"GetClass\">");
    assert_has(rig, "<CLASS NAME=\"Msvm_ReplicationService\" SUPERCLASS=\"CIM_Service\"");
    assert_has(rig, "NAME=\"Resynchronize\"");
    call(rig, "EnumerateClassNames", "");
    assert_has(rig, "<CLASSNAME NAME=\"CIM_ManagedElement\"/>");
    assert_null(strstr(rig->answer.body.at, "Msvm_ReplicationService"));
    call(rig, "EnumerateClassNames", CLASS_NAME("CIM_Service") VALUE("DeepInheritance", "TRUE"));
    assert_has(rig, "Msvm_ReplicationService");
    assert_null(strstr(rig->answer.body.at, "\"CIM_Service\"/>"));
    call(rig, "EnumerateClasses",
         CLASS_NAME("CIM_ManagedElement") VALUE("DeepInheritance", "TRUE"));
    assert_has(rig, "NAME=\"Msvm_ConcreteJob\"");
}

static void does_not_call_methods_that_are_not_there(void **state)
{
    struct rig *rig = *state;

    set_headers(rig, "Nothing");
    set_header(rig, "CIMObject",
               "root/virtualization/v2:Msvm_ReplicationService.Name=\"replicasvc\"");
    send_body(
        rig, HEAD
        "<SIMPLEREQ><METHODCALL NAME=\"Nothing\"><LOCALINSTANCEPATH>" SPACE
        "<INSTANCENAME CLASSNAME=\"Msvm_ReplicationService\"><KEYBINDING NAME=\"Name\"><KEYVALUE "
        "VALUETYPE=\"string\">replicasvc</KEYVALUE></KEYBINDING></INSTANCENAME>"
        "</LOCALINSTANCEPATH></METHODCALL></SIMPLEREQ>" TAIL);
    assert_error(rig, CIM_METHOD_NOT_FOUND);
    assert_has(rig, "<METHODRESPONSE NAME=\"Nothing\">");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_headers_that_are_not_of_an_operation, rig_start,
                                        rig_stop),
        cmocka_unit_test_setup_teardown(takes_headers_as_clients_write_them, rig_start, rig_stop),
        cmocka_unit_test_setup_teardown(refuses_bodies_that_are_no_message, rig_start, rig_stop),
        cmocka_unit_test_setup_teardown(refuses_parameters_that_are_missing_doubled_or_unknown,
                                        rig_start, rig_stop),
        cmocka_unit_test_setup_teardown(says_what_it_does_not_have, rig_start, rig_stop),
        cmocka_unit_test_setup_teardown(says_that_the_service_is_not_there, rig_start, rig_stop),
        cmocka_unit_test_setup_teardown(begins_no_answer_that_has_no_room_for_its_head, rig_start,
                                        rig_stop),
        cmocka_unit_test_setup_teardown(lets_nobody_in_who_has_no_role, rig_start, rig_stop),
        cmocka_unit_test_setup_teardown(shows_classes, rig_start, rig_stop),
        cmocka_unit_test_setup_teardown(does_not_call_methods_that_are_not_there, rig_start,
                                        rig_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
