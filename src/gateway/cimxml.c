/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimxml.c - from a request to its answer: the table of operations, and the message around what
 * they write.
 */
#include <string.h>
#include <strings.h>

#include "gateway/cimxml_call.h"

static const struct {
    const char *name;
    cimxml_operation *run; /* NULL: known to DSP0200, not done here */
} operations[] = {
    {"Associators", cimxml_associators},
    {"AssociatorNames", cimxml_associator_names},
    {"CloseEnumeration", cimxml_close},
    {"CreateClass", NULL},
    {"CreateInstance", NULL},
    {"DeleteClass", NULL},
    {"DeleteInstance", NULL},
    {"DeleteQualifier", NULL},
    {"EnumerateClasses", cimxml_enumerate_classes},
    {"EnumerateClassNames", cimxml_enumerate_class_names},
    {"EnumerateInstances", cimxml_enumerate_instances},
    {"EnumerateInstanceNames", cimxml_enumerate_instance_names},
    {"EnumerateQualifiers", NULL},
    {"EnumerationCount", cimxml_count},
    {"ExecQuery", cimxml_exec_query},
    {"GetClass", cimxml_get_class},
    {"GetInstance", cimxml_get_instance},
    {"GetProperty", cimxml_get_property},
    {"GetQualifier", NULL},
    {"ModifyClass", NULL},
    {"ModifyInstance", cimxml_modify_instance},
    {"OpenAssociatorInstancePaths", cimxml_open},
    {"OpenAssociatorInstances", cimxml_open},
    {"OpenEnumerateInstancePaths", cimxml_open},
    {"OpenEnumerateInstances", cimxml_open},
    {"OpenQueryInstances", cimxml_open},
    {"OpenReferenceInstancePaths", cimxml_open},
    {"OpenReferenceInstances", cimxml_open},
    {"PullInstancePaths", cimxml_pull},
    {"PullInstances", cimxml_pull},
    {"PullInstancesWithPath", cimxml_pull},
    {"References", cimxml_references},
    {"ReferenceNames", cimxml_reference_names},
    {"SetProperty", cimxml_set_property},
    {"SetQualifier", NULL},
};

static int run_operation(struct cimxml_call *call, struct error *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        if (strcasecmp(operations[i].name, call->name) == 0 && operations[i].run != NULL) {
            return operations[i].run(call, err);
        }
    }
    return cimxml_refuse(call, CIM_NOT_SUPPORTED, err, "the operation %s is not supported here",
                         call->name);
}

static int run(struct cimxml_call *call, struct error *err)
{
    call->space = cim_space_find(call->namespace_name);
    if (call->space == CIM_SPACE_NONE) {
        return cimxml_refuse(call, CIM_INVALID_NAMESPACE, err,
                             "there is no namespace '%s'; " CIM_NAMESPACE_DEFAULT
                             " and " CIM_NAMESPACE_INTEROP " are",
                             call->namespace_name);
    }
    if (call->http->caller == NULL || !cim_caller_has_any(call->http->caller)) {
        return cimxml_refuse(call, CIM_ACCESS_DENIED, err, "you have no role here");
    }
    return call->is_method ? cimxml_call_method(call, err) : run_operation(call, err);
}

/* What was half written is taken back. */
static void write_error(struct cimxml_call *call, size_t mark_bytes, const struct error *err)
{
    struct xml_text *out = call->out;
    enum cim_status status = call->cim.status;

    if (status == CIM_OK) {
        status = err->kind == ERR_LIMIT ? CIM_SERVER_LIMITS_EXCEEDED : CIM_FAILED;
    }
    xml_text_cut(out, mark_bytes);
    xml_print(out, "<ERROR CODE=\"%u\" DESCRIPTION=\"%s: %s\"/>\n", (unsigned)status,
              cim_status_name(status), err->message);
}

static void write_response(struct cimxml_call *call)
{
    struct xml_text *out = call->out;
    const char *element = call->is_method ? "METHODRESPONSE" : "IMETHODRESPONSE";
    struct error err = {0};

    xml_print(out,
              "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n"
              "<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">\n"
              "<MESSAGE ID=\"%s\" PROTOCOLVERSION=\"%s\">\n<SIMPLERSP>\n",
              call->message_id, call->protocol_version);
    xml_print(out, "<%s NAME=\"%s\">\n", element, call->name);
    size_t mark_bytes = out->used_bytes;

    /* Nothing is done whose answer cannot even be begun; and an error would have no beginning. */
    if (out->bad) {
        return;
    }
    if (run(call, &err) < 0 || xml_text_done(out, &err) < 0 ||
        arena_done(call->http->arena, &err) < 0) {
        write_error(call, mark_bytes, &err);
    }
    xml_print(out, "</%s>\n</SIMPLERSP>\n</MESSAGE>\n</CIM>\n", element);
}

enum http_result cimxml_handle(void *context, const struct http_request *request,
                               struct http_answer *answer)
{
    struct cimxml_refusal refusal = {0};
    struct cimxml_call call = {
        .gateway = context,
        .http = request,
        .cim = {.arena = request->arena,
                .client = request->client,
                .caller = request->caller,
                .env = request->env},
        .out = &answer->body,
    };

    if (cimxml_call_read(&call, &refusal) < 0) {
        answer->status = refusal.status;
        if (refusal.cim_error != NULL) {
            http_answer_header(answer, "CIMError", refusal.cim_error);
        }
        return HTTP_DONE;
    }
    write_response(&call);
    cim_request_done(&call.cim);
    answer->status = 200;
    answer->content_type = "application/xml; charset=utf-8";
    http_answer_header(answer, "CIMOperation", "MethodResponse");
    return HTTP_DONE;
}
