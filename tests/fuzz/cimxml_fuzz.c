/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CIM-XML messages: whatever the body is, there is an answer, and it is XML with the same ID, or
 * HTTP's refusal. The header's CIMMethod is the first line of the input, so that it may fit. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/cimxml.h"
#include "xml/tree.h"

static char method[64];

static const char *header(const void *connection, const char *name)
{
    (void)connection;
    if (strcasecmp(name, "Content-Type") == 0) {
        return "application/xml";
    }
    if (strcasecmp(name, "CIMOperation") == 0) {
        return "MethodCall";
    }
    if (strcasecmp(name, "CIMObject") == 0) {
        return "root/virtualization/v2";
    }
    return strcasecmp(name, "CIMMethod") == 0 ? method : NULL;
}

static void check(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static void check_answer(struct arena *arena, const struct http_answer *answer)
{
    struct xml_element *root = NULL;
    struct error err;

    check(answer->status != 0);
    if (answer->status == 200) {
        const struct const_span body = {(const uint8_t *)answer->body.at, answer->body.used_bytes};

        check(xml_parse(arena, body, "utf-8", &root, NULL, &err) == 0);
        check(xml_child(root, "", "MESSAGE") != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cim_caller caller = {.name = "fuzz", .role = CIM_ROLE_ADMINISTRATOR};
    const uint8_t *line = memchr(data, '\n', size);
    size_t line_bytes = line == NULL ? 0 : (size_t)(line - data);
    struct arena arena;
    struct cimxml cimxml = {0};
    struct client *client = NULL;
    struct error err;
    struct http_answer answer = {0};

    if (line == NULL || line_bytes >= sizeof method) {
        return 0;
    }
    memcpy(method, data, line_bytes);
    method[line_bytes] = '\0';
    arena_init(&arena, CIM_REQUEST_BYTES);
    xml_text_init(&answer.body, HTTP_ANSWER_MAX);
    check(client_open("/nonexistent/resilver.sock", &client, &err) == 0);
    check(contexts_new(env_system(), &cimxml.contexts, &err) == 0);
    check(audit_log_open(env_system(), NULL, &cimxml.audit, &err) == 0);
    const struct http_request request = {
        .path = "/cimom",
        .query = "",
        .body = {line + 1, size - line_bytes - 1},
        .caller = &caller,
        .remote = "192.0.2.7:1",
        .arena = &arena,
        .client = client,
        .env = env_system(),
        .header = header,
    };

    check(cimxml_handle(&cimxml, &request, &answer) == HTTP_DONE);
    check_answer(&arena, &answer);
    xml_text_free(&answer.body);
    audit_log_close(cimxml.audit);
    contexts_free(cimxml.contexts);
    client_close(client);
    arena_free(&arena);
    return 0;
}
