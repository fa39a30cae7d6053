/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cimxml_pull_test.c - enumerations of CIM-XML in pieces, of what the service has. */
#include "gateway/cimxml.h"
#include "wsman_stage.h"

static const char *header_of(const void *connection, const char *name)
{
    static const char *const headers[][2] = {{"Content-Type", "application/xml"},
                                             {"CIMOperation", "MethodCall"},
                                             {"CIMObject", "root/virtualization/v2"}};

    for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
        if (strcasecmp(headers[i][0], name) == 0) {
            return headers[i][1];
        }
    }
    return strcasecmp(name, "CIMMethod") == 0 ? connection : NULL;
}

/* The answer may have so many bytes. */
static const char *call(struct stage *stage, const char *method, const char *parameters,
                        size_t max_bytes)
{
    const struct cimxml cimxml = {.contexts = stage->wsman.contexts, .audit = stage->wsman.audit};
    char body[2048];

    (void)snprintf(body, sizeof body,
                   "<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">"
                   "<MESSAGE ID=\"1\" PROTOCOLVERSION=\"1.0\"><SIMPLEREQ><IMETHODCALL NAME=\"%s\">"
                   "<LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/><NAMESPACE "
                   "NAME=\"virtualization\"/><NAMESPACE NAME=\"v2\"/></LOCALNAMESPACEPATH>%s"
                   "</IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>",
                   method, parameters);
    const struct http_request request = {.path = "/cimom",
                                         .query = "",
                                         .body = {(const uint8_t *)body, strlen(body)},
                                         .caller = &stage->caller,
                                         .remote = "192.0.2.7:1",
                                         .arena = &stage->arena,
                                         .client = stage->client,
                                         .env = &stage->env,
                                         .header = header_of,
                                         .connection = method};
    xml_text_free(&stage->answer.body);
    arena_free(&stage->arena);
    stage->answer = (struct http_answer){0};
    xml_text_init(&stage->answer.body, max_bytes);
    assert_int_equal(cimxml_handle((void *)(uintptr_t)&cimxml, &request, &stage->answer),
                     HTTP_DONE);
    assert_non_null(stage->answer.body.at);
    return stage->answer.body.at;
}

static const char *pull(struct stage *stage, const char *context, size_t max_bytes)
{
    char parameters[512];

    (void)snprintf(parameters, sizeof parameters,
                   "<IPARAMVALUE NAME=\"EnumerationContext\"><VALUE>%s</VALUE></IPARAMVALUE>"
                   "<IPARAMVALUE NAME=\"MaxObjectCount\"><VALUE>1</VALUE></IPARAMVALUE>",
                   context);
    return call(stage, "PullInstancesWithPath", parameters, max_bytes);
}

static void open_systems(struct stage *stage, char out[37])
{
    static const char before[] = "PARAMTYPE=\"string\">\n<VALUE>";
    const char *answer =
        call(stage, "OpenEnumerateInstances",
             "<IPARAMVALUE NAME=\"ClassName\"><CLASSNAME NAME=\"" SYSTEM "\"/></IPARAMVALUE>",
             HTTP_ANSWER_MAX);
    const char *at = strstr(answer, before);

    assert_non_null(at);
    (void)snprintf(out, 37, "%.36s", at + strlen(before));
}

static void a_list_is_pulled_to_its_end(void **state)
{
    struct stage stage;
    char context[37];

    (void)state;
    stage_start(&stage);
    open_systems(&stage, context);
    assert_in(pull(&stage, context, HTTP_ANSWER_MAX), "<VALUE>FALSE</VALUE>");
    assert_in(pull(&stage, context, HTTP_ANSWER_MAX), "<VALUE>TRUE</VALUE>");
    assert_in(pull(&stage, context, HTTP_ANSWER_MAX), "<ERROR CODE=\"21\"");
    stage_stop(&stage);
}

/* Else the next pull would go on behind what never arrived. */
static void a_piece_that_does_not_fit_ends_its_list(void **state)
{
    struct stage stage;
    char context[37];

    (void)state;
    stage_start(&stage);
    open_systems(&stage, context);
    assert_in(pull(&stage, context, 800), "<ERROR CODE=\"27\"");
    assert_in(pull(&stage, context, HTTP_ANSWER_MAX), "<ERROR CODE=\"21\"");
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_pulled_to_its_end),
        cmocka_unit_test(a_piece_that_does_not_fit_ends_its_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
