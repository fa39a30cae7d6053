/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_stage.h - a client of WS-Management, against the control API whose service only writes down
 * what it is asked. Included by the tests of its parts; what some do not need is inline.
 */
#ifndef RESILVER_TESTS_WSMAN_STAGE_H
#define RESILVER_TESTS_WSMAN_STAGE_H

#include "gateway/wsman.h"
#include "xml/tree.h"

/* After error.h, whose fail() cmocka has a macro for. No test needs all of the control API's. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "control_rig.h"
#pragma GCC diagnostic pop

#define DMTF "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
#define WMI "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/"
#define TRANSFER "http://schemas.xmlsoap.org/ws/2004/09/transfer"
#define ENUMERATION "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
#define EVENTING "http://schemas.xmlsoap.org/ws/2004/08/eventing"
#define ANONYMOUS "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
#define DETAIL "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"
#define WQL "http://schemas.microsoft.com/wbem/wsman/1/WQL"
#define VM_UPPER "6F1C2A9E-0000-4000-8000-000000000001"
#define SYSTEM "Msvm_ComputerSystem"
#define SERVICE "Msvm_ReplicationService"

#define NAMESPACES                                                                                 \
    "xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" "                                         \
    "xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" "                                \
    "xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\" "                                  \
    "xmlns:n=\"" ENUMERATION "\" xmlns:e=\"" EVENTING "\" "                                        \
    "xmlns:b=\"http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd\" "                             \
    "xmlns:cim=\"http://schemas.dmtf.org/wbem/wscim/1/common\" "                                   \
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "                                     \
    "xmlns:p=\"" DMTF SERVICE "\""

#define SELECTOR(name, value) "<w:Selector Name=\"" name "\">" value "</w:Selector>"
#define IN_V2 SELECTOR("__cimnamespace", "root/virtualization/v2")
#define VM_KEYS SELECTOR("CreationClassName", SYSTEM) SELECTOR("Name", VM_UPPER)
#define SERVICE_KEYS                                                                               \
    SELECTOR("SystemCreationClassName", SYSTEM)                                                    \
    SELECTOR("SystemName", "here")                                                                 \
    SELECTOR("CreationClassName", SERVICE) SELECTOR("Name", "replicasvc")
#define SET(selectors) "<w:SelectorSet>" selectors "</w:SelectorSet>"
#define ACTION(action) "<a:Action s:mustUnderstand=\"true\">" action "</a:Action>"
#define RESOURCE(uri) "<w:ResourceURI s:mustUnderstand=\"true\">" uri "</w:ResourceURI>"
#define MESSAGE_ID "<a:MessageID>uuid:00000000-0000-0000-0000-000000000001</a:MessageID>"
#define REPLY_TO "<a:ReplyTo><a:Address>" ANONYMOUS "</a:Address></a:ReplyTo>"
#define TO "<a:To s:mustUnderstand=\"true\">http://127.0.0.1:5985/wsman</a:To>"
#define HEAD(action, uri, set)                                                                     \
    ACTION(action) TO RESOURCE(uri)                                                                \
    MESSAGE_ID REPLY_TO set

#define GET_VM(more) HEAD(TRANSFER "/Get", DMTF SYSTEM, SET(IN_V2 VM_KEYS)) more
#define ENUMERATE(uri) HEAD(ENUMERATION "/Enumerate", uri, SET(IN_V2))
#define ENUMERATE_VM ENUMERATE(DMTF SYSTEM)
#define PULL HEAD(ENUMERATION "/Pull", DMTF SYSTEM, "")
#define RESYNC_HEAD HEAD(DMTF SERVICE "/Resynchronize", DMTF SERVICE, SET(IN_V2 SERVICE_KEYS))
#define VM_EPR                                                                                     \
    "<a:Address>" ANONYMOUS "</a:Address><a:ReferenceParameters><w:ResourceURI>" DMTF SYSTEM       \
    "</w:ResourceURI>" SET(IN_V2 VM_KEYS) "</a:ReferenceParameters>"
#define VM_PARAMETER "<p:ComputerSystem>" VM_EPR "</p:ComputerSystem>"
#define RESYNC(parameters) "<p:Resynchronize_INPUT>" parameters "</p:Resynchronize_INPUT>"
#define FILTER(dialect, text) "<w:Filter Dialect=\"" dialect "\">" text "</w:Filter>"

/* --- a client ----------------------------------------------------------------------------------
 */

struct stage {
    struct rig rig;
    struct env env;
    uint64_t now_ns;
    struct arena arena;
    struct client *client;
    struct cim_caller caller;
    struct wsman wsman;
    char audit_path[96];
    atomic_uint changes;
    /* of the next request */
    const char *content_type;
    const char *soap_action;
    const char *user_agent;
    const char *path;
    uint64_t waited_ns; /* since it was whole */
    bool is_stranger;
    uint32_t attempt;
    /* of the last one */
    struct http_answer answer;
    enum http_result result;
};

static inline uint64_t stage_now(void *context)
{
    return ((const struct stage *)context)->now_ns;
}

static inline int stage_random(void *context, struct span out, struct error *err)
{
    (void)context;
    return env_random(env_system(), out, err);
}

static inline int64_t stage_wall(void *context)
{
    (void)context;
    return 1000 * US_PER_S;
}

static inline void stage_changed(void *context)
{
    atomic_fetch_add(&((struct stage *)context)->changes, 1);
}

static inline const char *stage_header(const void *connection, const char *name)
{
    const struct stage *stage = connection;

    if (strcasecmp(name, "Content-Type") == 0) {
        return stage->content_type;
    }
    if (strcasecmp(name, "User-Agent") == 0) {
        return stage->user_agent;
    }
    return strcasecmp(name, "SOAPAction") == 0 ? stage->soap_action : NULL;
}

static inline void stage_start(struct stage *stage)
{
    struct error err = {0};

    *stage = (struct stage){.caller = {.name = "alice", .role = CIM_ROLE_ADMINISTRATOR},
                            .now_ns = 5 * NS_PER_S,
                            .content_type = "application/soap+xml;charset=UTF-8",
                            .path = "/wsman"};
    stage->env = (struct env){
        .now_ns = stage_now, .random = stage_random, .wall_us = stage_wall, .context = stage};
    rig_start(&stage->rig, CALLER_ADMINISTRATOR);
    arena_init(&stage->arena, CIM_REQUEST_BYTES);
    (void)snprintf(stage->audit_path, sizeof stage->audit_path, "%s/audit", stage->rig.folder);
    assert_int_equal(client_open(stage->rig.path, &stage->client, &err), 0);
    assert_int_equal(contexts_new(&stage->env, &stage->wsman.contexts, &err), 0);
    assert_int_equal(wsman_replay_new(&stage->env, &stage->wsman.replay, &err), 0);
    assert_int_equal(audit_log_open(&stage->env, stage->audit_path, &stage->wsman.audit, &err), 0);
    assert_int_equal(subscriptions_new(env_system(), stage->rig.path, stage_changed, stage,
                                       &stage->wsman.subscriptions, &err),
                     0);
}

static inline void stage_stop(struct stage *stage)
{
    xml_text_free(&stage->answer.body);
    contexts_free(stage->wsman.contexts);
    subscriptions_free(stage->wsman.subscriptions);
    wsman_replay_free(stage->wsman.replay);
    audit_log_close(stage->wsman.audit);
    client_close(stage->client);
    arena_free(&stage->arena);
    (void)unlink(stage->audit_path);
    rig_stop(&stage->rig);
}

/* Any document as the body of a request. */
static inline const char *post(struct stage *stage, const char *document)
{
    struct http_request request = {.path = stage->path,
                                   .query = "",
                                   .body = {(const uint8_t *)document, strlen(document)},
                                   .caller = stage->is_stranger ? NULL : &stage->caller,
                                   .remote = "192.0.2.7:1",
                                   .received_ns = stage->now_ns - stage->waited_ns,
                                   .attempt = stage->attempt,
                                   .arena = &stage->arena,
                                   .client = stage->client,
                                   .env = &stage->env,
                                   .header = stage_header,
                                   .connection = stage};

    xml_text_free(&stage->answer.body);
    arena_free(&stage->arena);
    stage->answer = (struct http_answer){0};
    xml_text_init(&stage->answer.body, HTTP_ANSWER_MAX);
    stage->result = wsman_handle(&stage->wsman, &request, &stage->answer);
    return stage->answer.body.at ? stage->answer.body.at : "";
}

static inline const char *ask(struct stage *stage, const char *head, const char *body)
{
    char document[16384];
    int len = snprintf(document, sizeof document,
                       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
                       "<s:Envelope " NAMESPACES "><s:Header>%s</s:Header><s:Body>%s</s:Body>"
                       "</s:Envelope>",
                       head, body);

    assert_true(len > 0 && (size_t)len < sizeof document);
    return post(stage, document);
}

/* The answer is a document, and the element of this path is there: "Fault/Code/Subcode/Value" below
 * the Body, by local names. */
static inline const struct xml_element *find(struct stage *stage, const char *path)
{
    const struct const_span body = {(const uint8_t *)stage->answer.body.at,
                                    stage->answer.body.used_bytes};
    struct xml_element *root = NULL;
    struct error err = {0};
    char name[64];

    if (xml_parse(&stage->arena, body, "utf-8", &root, NULL, &err) < 0) {
        fail_msg("%s: %s", err.message, stage->answer.body.at);
    }
    const struct xml_element *at = root;
    while (at && *path) {
        size_t length = strcspn(path, "/");
        (void)snprintf(name, sizeof name, "%.*s", (int)length, path);
        at = xml_child(at, NULL, name);
        path += path[length] == '/' ? length + 1 : length;
    }
    return at;
}

static inline const char *text_at(struct stage *stage, const char *path)
{
    const struct xml_element *element = find(stage, path);

    return element ? element->text : "(none)";
}

static inline void assert_text(struct stage *stage, const char *path, const char *text)
{
    const char *is = text_at(stage, path);

    if (strcmp(is, text) != 0) {
        fail_msg("%s is '%s' and not '%s' in %s", path, is, text, stage->answer.body.at);
    }
}

static inline void assert_fine(struct stage *stage)
{
    if (stage->result != HTTP_DONE || stage->answer.status != 200) {
        fail_msg("%d, status %u: %s", (int)stage->result, stage->answer.status,
                 stage->answer.body.at);
    }
    assert_string_equal(stage->answer.content_type, "application/soap+xml;charset=UTF-8");
}

static inline void assert_fault(struct stage *stage, const char *subcode, const char *detail)
{
    if (stage->answer.status != 500) {
        fail_msg("no fault %s: status %u, %s", subcode, stage->answer.status,
                 stage->answer.body.at ? stage->answer.body.at : "");
    }
    assert_text(stage, "Body/Fault/Code/Subcode/Value", subcode);
    if (detail) {
        char uri[160];
        (void)snprintf(uri, sizeof uri, DETAIL "%s", detail);
        assert_text(stage, "Body/Fault/Detail/FaultDetail", uri);
    } else {
        assert_text(stage, "Body/Fault/Detail/FaultDetail", "(none)");
    }
    assert_true(strlen(text_at(stage, "Body/Fault/Reason/Text")) > 10);
}

static inline void assert_in(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("'%s' is not in %s", part, text);
    }
}

static inline void assert_not_in(const char *text, const char *part)
{
    if (strstr(text, part)) {
        fail_msg("'%s' is in %s", part, text);
    }
}

/* The audit log, of the request's arena. */
static inline const char *audit_text(struct stage *stage)
{
    char *text = arena_take(&stage->arena, 65536);
    FILE *file = fopen(stage->audit_path, "re");

    assert_non_null(text);
    assert_non_null(file);
    assert_true(fread(text, 1, 65535, file) < 65535);
    (void)fclose(file);
    return text;
}

static inline uint32_t count_in(const char *text, const char *part)
{
    uint32_t count = 0;

    for (; (text = strstr(text, part)) != NULL; text++) {
        count++;
    }
    return count;
}

#endif
