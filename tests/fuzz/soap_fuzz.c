/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Envelopes of WS-Management, with no service behind: whatever comes, there is an answer, and it is
 * XML, or HTTP's refusal. The first line of the input is the Content-Type. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/wsman.h"
#include "xml/tree.h"

static char content_type[128];

static const char *header(const void *connection, const char *name)
{
    (void)connection;
    return strcasecmp(name, "Content-Type") == 0 ? content_type : NULL;
}

static void check(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static void changed(void *context)
{
    (void)context;
}

/* What a process has once: all but the contexts, of which one user may not have many. */
static struct wsman the_wsman(void)
{
    static struct wsman wsman;
    struct error err;

    if (!wsman.replay) {
        check(audit_log_open(env_system(), NULL, &wsman.audit, &err) == 0);
        check(subscriptions_new(env_system(), "/nonexistent/resilver.sock", changed, NULL,
                                &wsman.subscriptions, &err) == 0);
        check(wsman_replay_new(env_system(), &wsman.replay, &err) == 0);
    }
    return wsman;
}

static void check_answer(struct arena *arena, enum http_result result,
                         const struct http_answer *answer)
{
    const struct const_span body = {(const uint8_t *)answer->body.at, answer->body.used_bytes};
    struct xml_element *root = NULL;
    struct error err;

    if (result == HTTP_PARK) {
        check(answer->park_until_ns > 0);
        return;
    }
    check(answer->status == 200 || answer->status == 415 || answer->status == 500);
    if (answer->content_type) {
        check(xml_parse(arena, body, "utf-8", &root, NULL, &err) == 0);
        check(xml_child(root, NULL, "Body") != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cim_caller caller = {.name = "fuzz", .role = CIM_ROLE_ADMINISTRATOR};
    const uint8_t *line = memchr(data, '\n', size);
    size_t line_bytes = line ? (size_t)(line - data) : 0;
    struct arena arena;
    struct client *client = NULL;
    struct error err;
    struct http_answer answer = {0};

    if (!line || line_bytes >= sizeof content_type || memchr(data, '\0', line_bytes)) {
        return 0;
    }
    memcpy(content_type, data, line_bytes);
    content_type[line_bytes] = '\0';
    arena_init(&arena, CIM_REQUEST_BYTES);
    xml_text_init(&answer.body, HTTP_ANSWER_MAX);
    check(client_open("/nonexistent/resilver.sock", &client, &err) == 0);
    const struct http_request request = {.path = "/wsman",
                                         .query = "",
                                         .body = {line + 1, size - line_bytes - 1},
                                         .caller = &caller,
                                         .remote = "192.0.2.7:1",
                                         .received_ns = env_now_ns(env_system()),
                                         .arena = &arena,
                                         .client = client,
                                         .env = env_system(),
                                         .header = header};
    struct wsman wsman = the_wsman();
    check(contexts_new(env_system(), &wsman.contexts, &err) == 0);
    enum http_result result = wsman_handle(&wsman, &request, &answer);
    check_answer(&arena, result, &answer);
    xml_text_free(&answer.body);
    contexts_free(wsman.contexts);
    client_close(client);
    arena_free(&arena);
    return 0;
}
