/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may call what, over real HTTP. There is no service behind the API here: a handler that is
 * reached in spite of a refusal has nothing to work on, and the test crashes.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "control/routes.h"

/* Last: it has a macro fail(), which is another function of ours. */
#include <cmocka.h>

static enum caller_role present_role;
static struct control *control;
static char folder[] = "/tmp/resilver-control-XXXXXX";
static char socket_path[64];

static enum caller_role role_of(void *context, uid_t uid, gid_t gid, char *out_name,
                                size_t size_bytes)
{
    (void)context;
    (void)uid;
    (void)gid;
    (void)snprintf(out_name, size_bytes, "somebody");
    return present_role;
}

struct asked {
    const char *method;
    const char *path;
    const json_t *body;
    int result;
    struct client_refusal refusal;
    struct error err;
    atomic_bool is_over;
};

static void *ask_in_thread(void *context)
{
    struct asked *asked = context;
    struct client *client = NULL;
    json_t *answer = NULL;

    asked->result = client_open(socket_path, &client, &asked->err);
    if (asked->result == 0) {
        asked->result = client_call(client, asked->method, asked->path, asked->body, &answer,
                                    &asked->refusal, &asked->err);
    }
    json_decref(answer);
    client_close(client);
    atomic_store(&asked->is_over, true);
    return NULL;
}

static void ask(struct asked *asked)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, ask_in_thread, asked), 0);
    while (!atomic_load(&asked->is_over)) {
        struct pollfd wait = {.fd = control_fd(control), .events = POLLIN};
        (void)poll(&wait, 1, 10); /* however it ends, there may be something to do */
        control_run(control);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void expect(enum caller_role role, const char *method, const char *path, const json_t *body,
                   long status, uint32_t value)
{
    struct asked asked = {.method = method, .path = path, .body = body};

    present_role = role;
    ask(&asked);
    if (asked.result == 0 || asked.refusal.http_status != status ||
        asked.refusal.return_value != value) {
        fail_msg("%s %s as %s: result %d, status %ld, value %u: %s", method, path,
                 caller_role_name(role), asked.result, asked.refusal.http_status,
                 asked.refusal.return_value, asked.err.message);
    }
}

/* The pattern with "0" for what is in braces. */
static void fill(const char *pattern, char *out)
{
    while (*pattern != '\0') {
        if (*pattern == '{') {
            *out++ = '0';
            pattern = strchr(pattern, '}') + 1;
        } else {
            *out++ = *pattern++;
        }
    }
    *out = '\0';
}

static void no_route_is_handled_for_who_may_not(void **state)
{
    size_t count = 0;
    unsigned int refused = 0;
    const struct route *routes = routes_table(&count);
    char path[256];

    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (enum caller_role role = CALLER_NOBODY; role < CALLER_ADMINISTRATOR; role++) {
            struct caller caller = {.role = role, .name = "somebody"};
            if (authorize(&caller, routes[i].operation, NULL) < 0) {
                fill(routes[i].pattern, path);
                expect(role, routes[i].method, path, NULL, 403, RETURN_ACCESS_DENIED);
                refused++;
            }
        }
    }
    print_message("%zu routes, %u refusals\n", count, refused);
    assert_true(count > 0 && refused > count); /* nobody may nothing, others not all */
}

static void an_unknown_path_tells_nobody_nothing(void **state)
{
    (void)state;
    expect(CALLER_NOBODY, "GET", "/v1/secret", NULL, 403, RETURN_ACCESS_DENIED);
    expect(CALLER_VIEWER, "GET", "/v1/secret", NULL, 404, RETURN_NOT_SUPPORTED);
    expect(CALLER_VIEWER, "PATCH", "/v1/host", NULL, 405, RETURN_NOT_SUPPORTED);
    expect(CALLER_VIEWER, "GET", "/v1/jobs/%00", NULL, 404, RETURN_NOT_SUPPORTED);
}

static void members_that_are_unknown_or_of_another_type_are_refused(void **state)
{
    static const char *const bodies[] = {"{\"storage_root\": \"/r\", \"x\": 1}",
                                         "{\"storage_root\": 7}", "{}",
                                         "{\"storage_root\": \"/r\", \"trust_group\": []}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        json_t *body = json_loads(bodies[i], 0, NULL);
        assert_non_null(body);
        expect(CALLER_ADMINISTRATOR, "PUT", "/v1/authorizations/a", body, 400,
               RETURN_INVALID_PARAMETER);
        json_decref(body);
    }
}

static int begin(void **state)
{
    struct control_config config = {.env = env_system(), .role_of = role_of};
    struct error err = {0};

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(socket_path, sizeof socket_path, "%s/s", folder);
    if (control_new(&config, socket_path, &control, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    control_free(control);
    (void)unlink(socket_path); /* a folder that stays harms no other run */
    (void)rmdir(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_route_is_handled_for_who_may_not),
        cmocka_unit_test(an_unknown_path_tells_nobody_nothing),
        cmocka_unit_test(members_that_are_unknown_or_of_another_type_are_refused),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
