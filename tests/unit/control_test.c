/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/server.h"

#include "base/log.h"
#include "client/client.h"
#include "control/exchange.h"
#include "control/request.h"
#include "control/routes.h"
#include "control_rig.h"

/* --- every route --------------------------------------------------------------------------------
 */

struct sample {
    const char *method;
    const char *path; /* of the table */
    const char *body;
    const char *call; /* what the service is asked then; NULL: nothing */
};

#define RELATIONSHIP "/v1/vms/{vm}/relationships/{hop}"

static const struct sample samples[] = {
    {"GET", "/v1/authorizations", "", NULL},
    {"PUT", "/v1/authorizations/{host}", "{\"storage_root\":\"/srv/r\"}",
     "authorize db2 for /srv/r in DEFAULT, by tester"},
    {"DELETE", "/v1/authorizations/{host}", "", "remove authorization of db2, by tester"},
    {"GET", "/v1/backup", "", ""},
    {"GET", "/v1/events", "", NULL},
    {"GET", "/v1/host", "", NULL},
    {"GET", "/v1/hosts", "", NULL},
    {"PATCH", "/v1/hosts/{host}", "{\"address\":\"db2:1\"}", "address of db2: db2:1, by tester"},
    {"DELETE", "/v1/hosts/{host}", "{}", "revoke db2, by tester"},
    {"POST", "/v1/hosts/{host}/test", "", "test db2"},
    {"GET", "/v1/jobs", "", NULL},
    {"GET", "/v1/jobs/{id}", "", NULL},
    {"POST", "/v1/jobs/{id}/state", "{\"requested_state\":4}", "job " JOB_ID " 4"},
    {"GET", "/v1/pairings", "", NULL},
    {"POST", "/v1/pairings", "{\"address\":\"db3:8490\"}", "pair with db3:8490"},
    {"GET", "/v1/pairings/{id}", "", NULL},
    {"DELETE", "/v1/pairings/{id}", "", "refuse"},
    {"POST", "/v1/pairings/{id}/confirm", "{\"code\":\"123456\"}", "confirm 123456"},
    {"GET", "/v1/relationships", "", NULL},
    {"GET", "/v1/vms", "", NULL},
    {"GET", "/v1/vms/{vm}", "", NULL},
    {"POST", "/v1/vms/{vm}/relationships",
     "{\"host\":\"db2\",\"disks\":[\"vdb\"],\"settings\":{\"recovery_history\":4}}",
     "create web1 to db2, 1 disks, first vdb, history 4, interval 300, 0 to 0"},
    {"GET", RELATIONSHIP, "", NULL},
    {"PATCH", RELATIONSHIP, "{\"rate_bytes_per_s\":9,\"auto_resync\":{\"end\":\"06:30\"}}",
     "modify web1/0 history 0, interval 300, rate 9, window 0 from 1110 to 390"},
    {"DELETE", RELATIONSHIP, "", "remove web1/0"},
    {"POST", RELATIONSHIP "/start", "{\"seeded\":true}", "start web1/0 at - seeded"},
    {"POST", RELATIONSHIP "/state", "{\"requested_state\":7}", "state web1/0 7"},
    {"GET", RELATIONSHIP "/statistics", "", NULL},
    {"DELETE", RELATIONSHIP "/statistics", "", "reset statistics web1/0"},
    {"POST", "/v1/vms/{vm}/resynchronize", "{\"start_time\":\"2026-03-01T22:00:00Z\"}",
     "resynchronize web1 at 2026-03-01T22:00:00Z"},
    {"GET", "/v1/watch", "", NULL},
};

/* The path with names in it. */
static void fill_path(const char *pattern, char *out, size_t size_bytes)
{
    bool is_pairing = strstr(pattern, "pairings") != NULL;
    size_t len = 0;

    for (const char *at = pattern; *at != '\0';) {
        const char *name = NULL;
        name = strncmp(at, "{vm}", 4) == 0 ? "web1" : name;
        name = strncmp(at, "{host}", 6) == 0 ? "db2" : name;
        name = strncmp(at, "{hop}", 5) == 0 ? "0" : name;
        name = strncmp(at, "{id}", 4) == 0 ? (is_pairing ? PAIRING_ID : JOB_ID) : name;
        if (name != NULL) {
            len += (size_t)snprintf(out + len, size_bytes - len, "%s", name);
            at = strchr(at, '}') + 1;
        } else {
            out[len++] = *at++;
        }
        assert_true(len + 1 < size_bytes);
    }
    out[len] = '\0';
}

static int try_sample(struct rig *rig, const struct sample *sample, char *out, size_t size_bytes)
{
    char path[256];

    fill_path(sample->path, path, sizeof path);
    return raw_call(rig, sample->method, path, sample->body, out, size_bytes);
}

static void every_route_of_the_table_is_tried_here(void **state)
{
    (void)state;
    assert_int_equal(routes_count(), ARRAY_COUNT(samples));
    for (uint32_t i = 0; i < routes_count(); i++) {
        assert_string_equal(routes_at(i)->method, samples[i].method);
        assert_string_equal(routes_at(i)->path, samples[i].path);
    }
}

static void every_route_reaches_the_service(void **state)
{
    struct rig rig;
    char out[16384];

    (void)state;
    rig_start(&rig, CALLER_ADMINISTRATOR);
    for (size_t i = 0; i < ARRAY_COUNT(samples); i++) {
        unsigned int before = rig_calls(&rig);
        int status = try_sample(&rig, &samples[i], out, sizeof out);
        if (status != 200) {
            fail_msg("%s %s: %s", samples[i].method, samples[i].path, out);
        }
        assert_int_equal(rig_calls(&rig), before + (samples[i].call != NULL ? 1 : 0));
        if (samples[i].call != NULL && samples[i].call[0] != '\0') {
            assert_string_equal(the_service.last, samples[i].call);
        }
    }
    rig_stop(&rig);
}

/* Whether the role may, by DESIGN's roles and not by authorize(). */
static bool may(enum caller_role role, enum operation operation)
{
    return role == CALLER_ADMINISTRATOR || (role >= CALLER_VIEWER && operation == OPERATION_READ) ||
           (role == CALLER_OPERATOR && operation == OPERATION_RESYNC);
}

static void who_may_not_reaches_nothing(void **state)
{
    char out[16384];
    unsigned int refused = 0;
    unsigned int let_in = 0;

    (void)state;
    for (enum caller_role role = CALLER_NOBODY; role <= CALLER_ADMINISTRATOR; role++) {
        struct rig rig;
        rig_start(&rig, role);
        for (size_t i = 0; i < ARRAY_COUNT(samples); i++) {
            bool is_allowed = may(role, routes_at((uint32_t)i)->operation);
            unsigned int before = rig_calls(&rig);
            int status = try_sample(&rig, &samples[i], out, sizeof out);
            assert_int_equal(status, is_allowed ? 200 : 403);
            if (!is_allowed) {
                assert_int_equal(rig_calls(&rig), before);
                assert_non_null(strstr(out, "\"return_value\":32769"));
            }
            refused += is_allowed ? 0 : 1;
            let_in += is_allowed ? 1 : 0;
        }
        rig_stop(&rig);
    }
    print_message("%u refused, %u let in\n", refused, let_in);
    assert_true(refused > 50 && let_in > 50); /* of 31 routes and 4 roles */
}

static void nobody_learns_not_even_which_paths_there_are(void **state)
{
    struct rig rig;
    char out[4096];

    (void)state;
    rig_start(&rig, CALLER_NOBODY);
    assert_int_equal(raw_call(&rig, "GET", "/v1/nothing", "", out, sizeof out), 403);
    assert_int_equal(raw_call(&rig, "PUT", "/v1/vms", "", out, sizeof out), 403);
    assert_int_equal(raw_call(&rig, "GET", "/v1/vms/%ff", "", out, sizeof out), 403);
    rig_stop(&rig);
}

/* --- for somebody else --------------------------------------------------------------------------
 */

#define AS(user, role) "Resilver-User: " user "\r\nResilver-Role: " role "\r\n"

static void who_acts_for_somebody_has_the_lesser_role(void **state)
{
    static const struct {
        enum caller_role own;
        const char *headers;
        const char *method;
        int status;
    } rows[] = {
        {CALLER_ADMINISTRATOR, AS("alice", "administrator"), "DELETE", 200},
        {CALLER_ADMINISTRATOR, AS("alice", "operator"), "DELETE", 403},
        {CALLER_ADMINISTRATOR, AS("alice", "viewer"), "DELETE", 403},
        {CALLER_OPERATOR, AS("alice", "administrator"), "DELETE", 403},
        {CALLER_VIEWER, AS("alice", "administrator"), "DELETE", 403},
        {CALLER_NOBODY, AS("alice", "administrator"), "DELETE", 403},
        {CALLER_NOBODY, AS("alice", "king"), "DELETE", 403},
        {CALLER_ADMINISTRATOR, AS("alice", "viewer"), "GET", 200},
    };
    struct rig rig;
    char out[4096];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *path =
            rows[i].method[0] == 'G' ? "/v1/authorizations" : "/v1/authorizations/db2";
        rig_start(&rig, rows[i].own);
        int status =
            raw_call_with(&rig, rows[i].headers, rows[i].method, path, "", out, sizeof out);
        if (status != rows[i].status) {
            fail_msg("row %zu: %s", i, out);
        }
        assert_int_equal(rig_calls(&rig), status == 200 && rows[i].method[0] == 'D' ? 1 : 0);
        rig_stop(&rig);
    }
}

static void who_acts_for_somebody_is_named_with_him(void **state)
{
    struct rig rig;
    char out[4096];

    (void)state;
    rig_start(&rig, CALLER_ADMINISTRATOR);
    assert_int_equal(raw_call_with(&rig, AS("zo%C3%AB%20x", "administrator"), "DELETE",
                                   "/v1/authorizations/db2", "", out, sizeof out),
                     200);
    assert_string_equal(the_service.last,
                        "remove authorization of db2, by zo\xc3\xab x (by tester)");
    assert_int_equal(raw_call_with(&rig, AS("alice", "viewer"), "DELETE", "/v1/authorizations/db2",
                                   "", out, sizeof out),
                     403);
    assert_non_null(strstr(out, "'alice (by tester)' is a viewer"));
    rig_stop(&rig);
}

static void whom_nobody_can_act_for_is_400(void **state)
{
#define TEN "aaaaaaaaaa"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
    static const struct {
        const char *headers;
        const char *words;
    } rows[] = {
        {"Resilver-User: alice\r\n", "go together"},
        {"Resilver-Role: viewer\r\n", "go together"},
        {AS("alice", "viewer") "Resilver-Role: administrator\r\n", "go together"},
        {AS("alice", "viewer") "resilver-user: bob\r\n", "go together"},
        {AS("alice", "king"), "must be viewer, operator or administrator, not 'king'"},
        {AS("alice", "nobody"), "must be viewer"},
        {AS("alice", "service"), "must be viewer"},
        {AS("alice", "Viewer"), "must be viewer"},
        {AS("alice", ""), "must be viewer"},
        {AS("", "viewer"), "names nobody"},
        {AS("a%0Ab", "viewer"), "control character"},
        {AS("a\tb", "viewer"), "control character"},
        {AS("a%7F", "viewer"), "control character"},
        {AS("a%00b", "viewer"), "NUL"},
        {AS("a%ff", "viewer"), "not UTF-8"},
        {AS("a%", "viewer"), "two hexadecimal digits"},
        {AS(HUNDRED TEN TEN "aaaaaaaa", "viewer"), "longer than 127 bytes"},
        {AS(HUNDRED TEN TEN "a", "viewer"), "it may have 127 bytes"},
    };
    struct rig rig;
    char out[4096];

    (void)state;
    rig_start(&rig, CALLER_ADMINISTRATOR);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int status = raw_call_with(&rig, rows[i].headers, "DELETE", "/v1/authorizations/db2", "",
                                   out, sizeof out);
        if (status != 400 || strstr(out, rows[i].words) == NULL) {
            fail_msg("%s: %s", rows[i].headers, out);
        }
    }
    assert_int_equal(rig_calls(&rig), 0);
    rig_stop(&rig);
}

/* --- what is refused ----------------------------------------------------------------------------
 */

struct refusal {
    const char *method;
    const char *path;
    const char *body;
    int status;
    const char *words;
};

#define WEB1 "/v1/vms/web1/relationships"

static const struct refusal refusals[] = {
    {"GET", "/v1/nothing", "", 404, "no such call"},
    {"GET", "/v2/vms", "", 404, "no such call"},
    {"GET", "/v1/vms/", "", 404, "no such call"},
    {"GET", "/v1/vms//relationships/0", "", 404, "no such call"},
    {"GET", "/v1/vms/web1/", "", 404, "no such call"},
    {"PUT", "/v1/vms", "", 405, "Allow: GET\r\n"},
    {"PUT", WEB1 "/0", "", 405, "Allow: GET, PATCH, DELETE\r\n"},
    {"HEAD", "/v1/vms", "", 405, "Allow: GET\r\n"},
    {"GET", "/v1/vms/web2", "", 404, "there is no VM 'web2'"},
    {"GET", "/v1/vms/a%22b%0Ac%5C", "", 404, "a\\\"b?c\\\\"},
    {"GET", "/v1/vms/a%2Fb", "", 404, "no VM 'a/b'"},
    {"GET", "/v1/vms/..", "", 404, "no VM '..'"},
    {"GET", "/v1/vms/%ff", "", 400, "not UTF-8"},
    {"GET", "/v1/vms/a%00b", "", 400, "NUL"},
    {"GET", "/v1/vms/a%2", "", 400, "two hexadecimal digits"},
    {"GET", "/v1/vms/a%zz", "", 400, "two hexadecimal digits"},
    {"GET", "/v1/jobs/nothing", "", 404, "there is no job"},
    {"GET", "/v1/jobs/" PAIRING_ID, "", 404, "there is no job"},
    {"POST", "/v1/jobs/" PAIRING_ID "/state", "{\"requested_state\":4}", 404, "there is no job"},
    {"GET", "/v1/pairings/" JOB_ID, "", 404, "there is no pairing"},
    {"POST", "/v1/pairings/" JOB_ID "/confirm", "{\"code\":\"123456\"}", 404, "no pairing"},
    {"DELETE", "/v1/pairings/x", "", 404, "there is no pairing"},
    {"GET", WEB1 "/1", "", 404, "no relationship of hop 1"},
    {"PATCH", WEB1 "/1", "{}", 404, "no relationship of hop 1"},
    {"GET", WEB1 "/1/statistics", "", 404, "no relationship of hop 1"},
    {"GET", WEB1 "/2", "", 400, "hop is 0"},
    {"GET", WEB1 "/00", "", 400, "hop is 0"},
    {"POST", "/v1/vms/web1/resynchronize", "{\"start\":1}", 400, "'start' is not known here"},
    {"POST", "/v1/vms/web1/resynchronize", "{\"start_tima\":1}", 400, "did you mean 'start_time'?"},
    {"POST", "/v1/vms/web1/resynchronize", "{\"start_time\":1}", 400, "32776"},
    {"POST", "/v1/vms/web1/resynchronize", "{\"start_time\":\"a\",\"start_time\":\"b\"}", 400,
     "no JSON"},
    {"POST", "/v1/vms/web1/resynchronize", "{\"start_time\":\"\xff\"}", 400, "no JSON"},
    {"POST", "/v1/vms/web1/resynchronize", "{\"start_time\":\"a\\u0000b\"}", 400, "no JSON"},
    {"POST", "/v1/vms/web1/resynchronize", "[]", 400, "must be a JSON object"},
    {"POST", "/v1/vms/web1/resynchronize", "{", 400, "no JSON"},
    {"POST", "/v1/vms/web1/resynchronize", "{} {}", 400, "no JSON"},
    {"POST", "/v1/vms/web1/resynchronize?now=1", "{}", 400, "'now' is not known"},
    {"POST", WEB1, "{}", 400, "'host' is missing"},
    {"POST", WEB1, "{\"host\":null}", 400, "'host' is missing"},
    {"POST", WEB1, "{\"host\":\"a\",\"disks\":[]}", 400, "'disks' must name"},
    {"POST", WEB1, "{\"host\":\"a\",\"disks\":[1]}", 400, "list of names"},
    {"POST", WEB1, "{\"host\":\"a\",\"disks\":\"vda\"}", 400, "'disks' must be a list"},
    {"POST", WEB1, "{\"host\":\"a\",\"settings\":{\"interval\":1}}", 400, "settings: 'interval'"},
    {"PATCH", WEB1 "/0", "{\"recovery_history\":-1}", 400, "'recovery_history' must be from 0"},
    {"PATCH", WEB1 "/0", "{\"recovery_history\":4294967296}", 400, "must be from 0"},
    {"PATCH", WEB1 "/0", "{\"recovery_history\":1.5}", 400, "must be a whole number"},
    {"PATCH", WEB1 "/0", "{\"compression\":\"yes\"}", 400, "'compression' must be true or false"},
    {"PATCH", WEB1 "/0", "{\"auto_resync\":{\"start\":\"24:00\"}}", 400, "auto_resync: 'start'"},
    {"PATCH", WEB1 "/0", "{\"auto_resync\":{\"start\":\"1:00\"}}", 400, "time of the day"},
    {"PATCH", WEB1 "/0", "{\"auto_resync\":{\"start\":\"18:60\"}}", 400, "time of the day"},
    {"PATCH", WEB1 "/0", "{\"auto_resync\":{\"until\":\"06:00\"}}", 400, "'until' is not known"},
    {"PATCH", WEB1 "/0", "{\"auto_resync\":[]}", 400, "must be an object"},
    {"PATCH", WEB1 "/0?limit=1", "{}", 400, "'limit' is not known"},
    {"POST", WEB1 "/0/state", "{}", 400, "'requested_state' is missing"},
    {"POST", WEB1 "/0/state", "{\"requested_state\":65536}", 400, "from 0 to 65535"},
    {"POST", WEB1 "/0/start", "{\"seeded\":1}", 400, "true or false"},
    {"DELETE", WEB1 "/0", "{\"force\":true}", 400, "'force' is not known"},
    {"GET", "/v1/vms", "{\"a\":1}", 400, "'a' is not known"},
    {"GET", "/v1/vms?a=1", "", 400, "'a' is not known"},
    {"GET", "/v1/jobs?all=yes", "", 400, "'all' must be true or false"},
    {"GET", "/v1/jobs?limit=2049", "", 400, "limit"},
    {"GET", "/v1/jobs?limit=-1", "", 400, "limit"},
    {"GET", "/v1/jobs?limit=1&limit=2", "", 400, "asked for twice"},
    {"GET", "/v1/jobs?vm=web2", "", 400, "there is no VM 'web2'"},
    {"GET", "/v1/events?after=x", "", 400, "after"},
    {"GET", "/v1/events?vm=%ff", "", 400, "not UTF-8"},
    {"POST", "/v1/pairings", "{}", 400, "'address'"},
    {"POST", "/v1/pairings", "{\"address\":\"a:1\",\"wait\":true}", 400, "'address'"},
    {"POST", "/v1/pairings", "{\"wait\":false}", 400, "'address'"},
    {"PATCH", "/v1/hosts/db2", "{\"address\":\"nowhere\"}", 400, "nowhere"},
    {"PATCH", "/v1/hosts/db2", "{\"address\":\"a:0\"}", 400, "0"},
    {"PUT", "/v1/authorizations/db2", "{}", 400, "'storage_root' is missing"},
};

static void what_is_wrong_is_named_and_reaches_nothing(void **state)
{
    struct rig rig;
    char out[16384];

    (void)state;
    rig_start(&rig, CALLER_ADMINISTRATOR);
    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        const struct refusal *refusal = &refusals[i];
        int status = raw_call(&rig, refusal->method, refusal->path, refusal->body, out, sizeof out);
        if (status != refusal->status || strstr(out, refusal->words) == NULL) {
            fail_msg("%s %s %s: %s", refusal->method, refusal->path, refusal->body, out);
        }
        assert_int_equal(rig_calls(&rig), 0);
    }
    print_message("%zu refusals\n", ARRAY_COUNT(refusals));
    rig_stop(&rig);
}

static void return_values_become_the_status_of_control_md(void **state)
{
    static const struct {
        enum return_value value;
        int status;
    } rows[] = {
        {RETURN_DONE, 200},          {RETURN_JOB_STARTED, 202},       {RETURN_FAILED, 500},
        {RETURN_ACCESS_DENIED, 403}, {RETURN_NOT_SUPPORTED, 422},     {RETURN_UNKNOWN, 502},
        {RETURN_TIMEOUT, 504},       {RETURN_INVALID_PARAMETER, 400}, {RETURN_IN_USE, 409},
        {RETURN_INVALID_STATE, 409}, {RETURN_WRONG_TYPE, 400},        {RETURN_NOT_AVAILABLE, 503},
        {RETURN_OUT_OF_MEMORY, 429}, {RETURN_FILE_NOT_FOUND, 422},
    };
    struct rig rig;
    char out[4096];

    (void)state;
    rig_start(&rig, CALLER_OPERATOR);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char number[32];
        rig_lock(&rig);
        the_service.value = rows[i].value;
        rig_unlock(&rig);
        assert_int_equal(raw_call(&rig, "POST", "/v1/vms/web1/resynchronize", "", out, sizeof out),
                         rows[i].status);
        (void)snprintf(number, sizeof number, "\"return_value\":%u", (unsigned)rows[i].value);
        assert_non_null(strstr(out, number));
    }
    /* The service says that a VM is not there; the path named it. */
    rig_lock(&rig);
    the_service.value = RETURN_INVALID_PARAMETER;
    rig_unlock(&rig);
    assert_int_equal(raw_call(&rig, "POST", "/v1/vms/web2/resynchronize", "", out, sizeof out),
                     404);
    assert_int_equal(raw_call(&rig, "POST", "/v1/hosts/db9/test", "", out, sizeof out), 404);
    rig_stop(&rig);
}

/* --- bodies -------------------------------------------------------------------------------------
 */

static void a_body_that_is_too_long_is_413(void **state)
{
    struct rig rig;
    char out[4096];
    char request[512];
    char *body = malloc(CONTROL_BODY_MAX + 2);

    (void)state;
    assert_non_null(body);
    memset(body, ' ', CONTROL_BODY_MAX + 1);
    body[CONTROL_BODY_MAX + 1] = '\0';
    rig_start(&rig, CALLER_ADMINISTRATOR);
    /* announced */
    int fd = rig_connect(&rig);
    int len = snprintf(request, sizeof request,
                       "POST /v1/pairings HTTP/1.1\r\nHost: x\r\nContent-Length: %llu\r\n\r\n",
                       CONTROL_BODY_MAX + 1);
    send_all(fd, request, (size_t)len);
    (void)read_until(fd, out, sizeof out, NULL);
    assert_int_equal(status_in(out), 413);
    (void)close(fd);
    /* in chunks */
    fd = rig_connect(&rig);
    len = snprintf(request, sizeof request,
                   "POST /v1/pairings HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n%llx\r\n",
                   CONTROL_BODY_MAX + 1);
    send_all(fd, request, (size_t)len);
    send_all(fd, body, CONTROL_BODY_MAX + 1);
    send_all(fd, "\r\n0\r\n\r\n", 7);
    (void)read_until(fd, out, sizeof out, NULL);
    assert_int_equal(status_in(out), 413);
    (void)close(fd);
    assert_int_equal(rig_calls(&rig), 0);
    /* and one that just fits is looked at: blanks are no JSON */
    fd = rig_connect(&rig);
    len = snprintf(request, sizeof request,
                   "POST /v1/pairings HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                   "Content-Length: %llu\r\n\r\n",
                   CONTROL_BODY_MAX);
    send_all(fd, request, (size_t)len);
    send_all(fd, body, CONTROL_BODY_MAX);
    (void)read_until(fd, out, sizeof out, NULL);
    assert_int_equal(status_in(out), 400);
    (void)close(fd);
    rig_stop(&rig);
    free(body);
}

static void an_endless_body_is_cut(void **state)
{
    struct rig rig;
    static const char head[] = "POST /v1/pairings HTTP/1.1\r\nHost: x\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    static char chunk[5 + 0xff8 + 2];
    bool is_cut = false;

    (void)state;
    rig_start(&rig, CALLER_ADMINISTRATOR);
    int fd = rig_connect(&rig);
    send_all(fd, head, sizeof head - 1);
    memset(chunk, 'a', sizeof chunk);
    memcpy(chunk, "ff8\r\n", 5);
    memcpy(chunk + sizeof chunk - 2, "\r\n", 2);
    for (unsigned int i = 0; i < 4096 && !is_cut; i++) {
        is_cut = send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) < 0;
    }
    assert_true(is_cut);
    (void)close(fd);
    assert_int_equal(rig_calls(&rig), 0);
    rig_stop(&rig);
}

static void what_is_no_http_is_turned_away(void **state)
{
    static const char *const requests[] = {
        "\r\n\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET /v1/vms\r\n\r\n",
        "GET  /v1/vms HTTP/9.9\r\n\r\n",
        "GET /v1/vms HTTP/1.1\r\n\r\n", /* no Host */
        "GET /v1/vms HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        "POST /v1/pairings HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/pairings HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /v1/pairings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "\x16\x03\x01\x02",
        "GET /v1/vms HTTP/1.1\r\nHost: x\r\n" /* and no end */
    };
    struct rig rig;
    unsigned int held_open = 0;
    char out[4096];

    (void)state;
    rig_start(&rig, CALLER_ADMINISTRATOR);
    for (size_t i = 0; i < ARRAY_COUNT(requests); i++) {
        int fd = rig_connect(&rig);
        send_all(fd, requests[i], strlen(requests[i]));
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        /* What may still become a request is waited for, at most CONTROL_IDLE_S. */
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        out[0] = '\0';
        unsigned int rounds = atomic_load(&rig.rounds);
        if (poll(&waiting, 1, 1000) == 1) {
            (void)read_until(fd, out, sizeof out, NULL);
        } else {
            held_open++;
            /* and not by asking all the time: the rig alone makes 50 rounds a second */
            assert_true(atomic_load(&rig.rounds) - rounds < 200);
        }
        (void)close(fd);
        if (status_in(out) != 0 && status_in(out) < 400) {
            fail_msg("request %zu: %s", i, out);
        }
        assert_int_equal(rig_calls(&rig), 0);
    }
    print_message("%zu requests, %u of them waited for\n", ARRAY_COUNT(requests), held_open);
    assert_int_equal(held_open, 3); /* blank lines, four bytes, headers without end */
    /* headers without end */
    int fd = rig_connect(&rig);
    char line[1024];
    memset(line, 'a', sizeof line);
    send_all(fd, "GET /", 5);
    for (unsigned int i = 0; i < 64; i++) {
        send_all(fd, line, sizeof line);
    }
    (void)read_until(fd, out, sizeof out, NULL);
    assert_true(status_in(out) == 414 || status_in(out) == 431 || status_in(out) == 413);
    (void)close(fd);
    /* and it still works */
    assert_int_equal(raw_call(&rig, "GET", "/v1/host", "", out, sizeof out), 200);
    rig_stop(&rig);
}

/* --- objects ------------------------------------------------------------------------------------
 */

static json_t *get(const struct rig *rig, const char *path)
{
    struct client *client = NULL;
    struct error err = {0};
    json_t *object = NULL;

    assert_int_equal(client_open(rig->path, &client, &err), 0);
    if (client_call(client, "GET", path, NULL, &object, NULL, &err) < 0) {
        fail_msg("%s: %s", path, err.message);
    }
    client_close(client);
    return object;
}

static void assert_members(const json_t *object, const char *names)
{
    char name[32];
    size_t count = 0;

    for (const char *at = names; *at != '\0'; count++) {
        size_t len = strcspn(at, " ");
        (void)snprintf(name, sizeof name, "%.*s", (int)len, at);
        if (json_object_get(object, name) == NULL) {
            fail_msg("'%s' is missing", name);
        }
        at += len + (at[len] == ' ' ? 1 : 0);
    }
    assert_int_equal(json_object_size(object), count);
}

#define MEMBERS_JOB                                                                                \
    "id sequence type type_name state state_name vm hop owner submitted scheduled_start started "  \
    "ended changed elapsed_s percent attempts next_try status cancellable error progress report"
#define MEMBERS_RELATIONSHIP                                                                       \
    "vm hop role role_name state state_name health health_name health_reason reason peer created " \
    "last_replication last_apply last_try generation folder job settings disks"

static void objects_have_the_members_of_control_md(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CALLER_VIEWER);
    json_t *host = get(&rig, "/v1/host");
    assert_members(host, "name version fingerprint certificate uptime_s vms relationships "
                         "open_jobs running_jobs replication monitoring");
    assert_members(json_object_get(host, "monitoring"), "interval_s start_minute");
    assert_string_equal(json_string_value(json_object_get(host, "certificate")), "MIIB");
    assert_members(json_object_get(host, "replication"), "enabled listen advertise");
    assert_int_equal(json_integer_value(json_object_get(host, "running_jobs")), 1);
    json_decref(host);
    json_t *vm = get(&rig, "/v1/vms/" VM_ID);
    assert_members(vm, "id name mode mode_name inventory disks relationships");
    assert_string_equal(json_string_value(json_object_get(vm, "inventory")), "plain");
    json_t *disk = json_array_get(json_object_get(vm, "disks"), 0);
    assert_members(disk, "name path format");
    /* A file's name may be any bytes; the answer comes all the same. */
    assert_string_equal(json_string_value(json_object_get(disk, "path")), "/srv/? web1.raw");
    json_t *relationship = json_array_get(json_object_get(vm, "relationships"), 0);
    assert_members(relationship, MEMBERS_RELATIONSHIP);
    assert_string_equal(json_string_value(json_object_get(relationship, "job")), JOB_ID);
    json_t *settings = json_object_get(relationship, "settings");
    assert_members(settings,
                   "recovery_history interval_s rate_bytes_per_s compression auto_resync");
    json_t *window = json_object_get(settings, "auto_resync");
    assert_string_equal(json_string_value(json_object_get(window, "start")), "18:30");
    assert_string_equal(json_string_value(json_object_get(window, "end")), "06:00");
    assert_members(json_array_get(json_object_get(relationship, "disks"), 0),
                   "name size_bytes included");
    assert_true(json_is_null(json_object_get(relationship, "folder")));
    assert_true(json_is_null(json_object_get(relationship, "created")));
    json_decref(vm);
    rig_stop(&rig);
}

static void jobs_have_the_members_of_control_md(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CALLER_VIEWER);
    json_t *present = get(&rig, "/v1/jobs");
    json_t *all = get(&rig, "/v1/jobs?all=true&vm=web1");
    json_t *old = get(&rig, "/v1/jobs/" OLD_JOB_ID);
    json_t *none = get(&rig, "/v1/jobs?vm=" JOB_ID);
    assert_int_equal(json_array_size(json_object_get(present, "jobs")), 1);
    assert_int_equal(json_array_size(json_object_get(none, "jobs")), 0);
    assert_int_equal(json_array_size(json_object_get(all, "jobs")), 2);
    json_t *job = json_array_get(json_object_get(present, "jobs"), 0);
    assert_members(job, MEMBERS_JOB);
    assert_members(json_object_get(job, "progress"), "disks sent_bytes received_bytes elapsed_s");
    assert_true(json_is_true(json_object_get(job, "cancellable")));
    assert_true(json_is_null(json_object_get(job, "report")));
    json_t *ended = json_array_get(json_object_get(all, "jobs"), 1);
    assert_true(json_is_object(json_object_get(ended, "report")));
    assert_true(json_is_null(json_object_get(ended, "progress")));
    assert_members(json_object_get(old, "error"), "code kind message");
    assert_string_equal(json_string_value(json_object_get(json_object_get(old, "error"), "kind")),
                        "peer");
    json_decref(present);
    json_decref(all);
    json_decref(old);
    json_decref(none);
    rig_stop(&rig);
}

static void other_objects_have_the_members_of_control_md(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CALLER_ADMINISTRATOR);
    json_t *hosts = get(&rig, "/v1/hosts");
    json_t *pairing = get(&rig, "/v1/pairings/" PAIRING_ID);
    json_t *entries = get(&rig, "/v1/authorizations");
    json_t *events = get(&rig, "/v1/events?after=40&limit=5&vm=web1");
    json_t *statistics = get(&rig, WEB1 "/0/statistics");
    assert_members(json_array_get(json_object_get(hosts, "hosts"), 0),
                   "name address fingerprint paired revoked");
    assert_members(pairing, "id state code peer message expires");
    assert_members(json_object_get(pairing, "peer"), "name address fingerprint");
    assert_members(json_array_get(json_object_get(entries, "authorizations"), 0),
                   "allowed_primary fingerprint trust_group storage_root created");
    json_t *event = json_array_get(json_object_get(events, "events"), 0);
    assert_members(event, "id time code level vm hop job what text");
    assert_string_equal(json_string_value(json_object_get(event, "level")), "notice");
    assert_int_equal(json_integer_value(json_object_get(events, "newest")), 41);
    json_t *list = json_object_get(statistics, "statistics");
    /* The interval that goes on is the service's, not what was saved of it. */
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "successes")), 3);
    assert_members(json_array_get(list, 1),
                   "start end successes misses network_failures failures size_bytes "
                   "max_size_bytes latency_s max_latency_s resynced_bytes");
    json_decref(hosts);
    json_decref(pairing);
    json_decref(entries);
    json_decref(events);
    json_decref(statistics);
    rig_stop(&rig);
}

static void a_backup_is_downloaded(void **state)
{
    struct rig rig;
    struct client *client = NULL;
    struct error err = {0};
    FILE *file = tmpfile();
    char text[32] = "";

    (void)state;
    assert_non_null(file);
    rig_start(&rig, CALLER_ADMINISTRATOR);
    assert_int_equal(client_open(rig.path, &client, &err), 0);
    assert_int_equal(client_download(client, "/v1/backup", fileno(file), &err), 0);
    assert_true(pread(fileno(file), text, sizeof text - 1, 0) > 0);
    assert_string_equal(text, "the state");
    client_close(client);
    rig_stop(&rig);
    (void)fclose(file);
}

/* --- replies that come later --------------------------------------------------------------------
 */

/* In the service's thread, as all it does. */
static void reply_now(struct rig *rig, enum return_value value)
{
    rig_lock(rig);
    assert_non_null(the_service.reply);
    the_service.value = value;
    service_reply_fn *reply = the_service.reply;
    the_service.reply = NULL;
    send_reply(reply, the_service.context);
    rig_unlock(rig);
}

static const char resync_request[] =
    "POST /v1/vms/web1/resynchronize HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

static void a_reply_that_comes_later_is_the_answer(void **state)
{
    struct rig rig;
    char out[4096];

    (void)state;
    rig_start(&rig, CALLER_OPERATOR);
    rig_lock(&rig);
    the_service.is_late = true;
    rig_unlock(&rig);
    int fd = rig_connect(&rig);
    for (unsigned int i = 1; i <= 3; i++) {
        send_all(fd, resync_request, sizeof resync_request - 1);
        rig_wait_for_calls(&rig, i);
        /* Others are answered meanwhile. */
        assert_int_equal(raw_call(&rig, "GET", "/v1/host", "", out, sizeof out), 200);
        reply_now(&rig, RETURN_JOB_STARTED);
        (void)read_until(fd, out, sizeof out, "}");
        assert_int_equal(status_in(out), 202);
        assert_non_null(strstr(out, "\"job\":\"" JOB_ID "\""));
    }
    (void)close(fd);
    rig_stop(&rig);
}

static void a_client_that_went_away_is_not_missed(void **state)
{
    struct rig rig;
    char out[4096];

    (void)state;
    rig_start(&rig, CALLER_OPERATOR);
    rig_lock(&rig);
    the_service.is_late = true;
    rig_unlock(&rig);
    for (unsigned int i = 1; i <= 20; i++) {
        int fd = rig_connect(&rig);
        send_all(fd, resync_request, sizeof resync_request - 1);
        rig_wait_for_calls(&rig, i);
        (void)close(fd);
        reply_now(&rig, i % 2 == 0 ? RETURN_DONE : RETURN_IN_USE);
    }
    assert_int_equal(raw_call(&rig, "GET", "/v1/host", "", out, sizeof out), 200);
    rig_stop(&rig);
}

static void a_reply_after_the_end_of_everything_goes_nowhere(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, CALLER_OPERATOR);
    rig_lock(&rig);
    the_service.is_late = true;
    rig_unlock(&rig);
    int fd = rig_connect(&rig);
    send_all(fd, resync_request, sizeof resync_request - 1);
    rig_wait_for_calls(&rig, 1);
    rig_stop(&rig);
    the_service.value = RETURN_FAILED;
    send_reply(the_service.reply, the_service.context);
    (void)close(fd);
}

/* --- watching -----------------------------------------------------------------------------------
 */

static void tell(struct rig *rig, const struct service_change *change)
{
    rig_lock(rig);
    control_changed(rig->control, change);
    rig_unlock(rig);
}

static int start_watch(const struct rig *rig)
{
    static const char request[] = "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n";
    char out[1024];
    int fd = rig_connect(rig);

    send_all(fd, request, sizeof request - 1);
    (void)read_until(fd, out, sizeof out, "is here\n\n");
    assert_int_equal(status_in(out), 200);
    assert_non_null(strstr(out, "text/event-stream"));
    return fd;
}

static void watchers_get_what_changed(void **state)
{
    struct rig rig;
    char out[16384];
    const struct event_row event = {.id = 42, .level = 3, .what = "resync done", .text = "a\nb"};

    (void)state;
    rig_start(&rig, CALLER_VIEWER);
    int fd = start_watch(&rig);
    tell(&rig, &(struct service_change){.subject = SUBJECT_JOB, .id = the_job.id});
    tell(&rig, &(struct service_change){.subject = SUBJECT_RELATIONSHIP, .id = the_vm.id});
    tell(&rig,
         &(struct service_change){.subject = SUBJECT_RELATIONSHIP, .id = the_vm.id, .hop = 1});
    tell(&rig, &(struct service_change){.subject = SUBJECT_HOST});
    tell(&rig, &(struct service_change){.subject = SUBJECT_JOB, .id = the_vm.id}); /* no such */
    tell(&rig, &(struct service_change){.subject = SUBJECT_EVENT, .event = &event});
    (void)read_until(fd, out, sizeof out, "a\\nb");
    assert_non_null(strstr(out, "event: job\ndata: {"));
    assert_non_null(strstr(out, "event: relationship\ndata: {"));
    assert_non_null(strstr(out, "\"hop\":1,\"state\":0,\"state_name\":\"disabled\""));
    assert_non_null(strstr(out, "event: host\ndata: {"));
    assert_non_null(strstr(out, "id: 42\nevent: event\ndata: {"));
    (void)close(fd);
    rig_stop(&rig);
}

static int stop_after_two(void *context, const char *kind, const json_t *object, struct error *err)
{
    unsigned int *seen = context;

    (void)err;
    if (kind != NULL) {
        assert_string_equal(kind, "job");
        assert_string_equal(json_string_value(json_object_get(object, "id")), JOB_ID);
        (*seen)++;
    }
    return *seen == 2 ? 1 : 0;
}

static void *tell_for_a_while(void *argument)
{
    struct rig *rig = argument;

    for (unsigned int i = 0; i < 1000 && !atomic_load(&rig->is_ending); i++) {
        tell(rig, &(struct service_change){.subject = SUBJECT_JOB, .id = the_job.id});
        (void)poll(NULL, 0, 5);
    }
    return NULL;
}

static void the_client_watches(void **state)
{
    struct rig rig;
    struct client *client = NULL;
    struct error err = {0};
    unsigned int seen = 0;
    pthread_t teller;

    (void)state;
    rig_start(&rig, CALLER_VIEWER);
    assert_int_equal(pthread_create(&teller, NULL, tell_for_a_while, &rig), 0);
    assert_int_equal(client_open(rig.path, &client, &err), 0);
    assert_int_equal(client_watch(client, 50, stop_after_two, &seen, &err), 1);
    assert_int_equal(seen, 2);
    client_close(client);
    rig_halt(&rig);
    assert_int_equal(pthread_join(teller, NULL), 0);
    rig_stop(&rig);
}

static unsigned int count_of(const char *text, const char *what)
{
    unsigned int count = 0;

    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

static void changes_that_a_watcher_did_not_take_become_one(void **state)
{
    struct rig rig;
    static char out[1 << 20];
    const struct event_row event = {.id = 1, .level = 3, .what = "last"};

    (void)state;
    rig_start(&rig, CALLER_VIEWER);
    int fd = start_watch(&rig);
    rig_lock(&rig);
    for (unsigned int i = 0; i < 10000; i++) {
        control_changed(rig.control,
                        &(struct service_change){.subject = SUBJECT_JOB, .id = the_job.id});
    }
    control_changed(rig.control,
                    &(struct service_change){.subject = SUBJECT_EVENT, .event = &event});
    rig_unlock(&rig);
    (void)read_until(fd, out, sizeof out, "\"last\"");
    assert_int_equal(count_of(out, "event: job"), 1);
    (void)close(fd);
    rig_stop(&rig);
}

static void a_watcher_that_does_not_read_is_cut(void **state)
{
    struct rig rig;
    struct event_row event = {.level = 3, .what = "flood"};
    static char out[8 << 20];
    unsigned int told = 0;

    (void)state;
    memset(event.text, 'x', sizeof event.text - 1);
    rig_start(&rig, CALLER_VIEWER);
    int slow = start_watch(&rig);
    int quick = start_watch(&rig);
    for (bool is_cut = false; !is_cut && told < 20000; told++) {
        struct pollfd hung = {.fd = slow, .events = POLLRDHUP};
        char mark[64];
        event.id = told + 1;
        tell(&rig, &(struct service_change){.subject = SUBJECT_EVENT, .event = &event});
        (void)snprintf(mark, sizeof mark, "\"id\":%u,", told + 1);
        (void)read_until(quick, out, sizeof out, mark); /* this one keeps up */
        is_cut = poll(&hung, 1, 0) == 1 && (hung.revents & (POLLRDHUP | POLLHUP)) != 0;
    }
    print_message("cut after %u events\n", told);
    assert_true(told > CONTROL_WATCH_EVENTS_MAX && told < 20000);
    (void)close(slow);
    (void)close(quick);
    rig_stop(&rig);
}

static void more_watchers_than_may_are_told_so(void **state)
{
    struct rig rig;
    int fds[CONTROL_WATCHERS_MAX];
    char out[4096];
    const struct event_row event = {.id = 1, .level = 3, .what = "for all"};

    (void)state;
    rig_start(&rig, CALLER_VIEWER);
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        fds[i] = start_watch(&rig);
    }
    assert_int_equal(raw_call(&rig, "GET", "/v1/watch", "", out, sizeof out), 429);
    tell(&rig, &(struct service_change){.subject = SUBJECT_EVENT, .event = &event});
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        (void)read_until(fds[i], out, sizeof out, "for all");
        assert_non_null(strstr(out, "for all"));
        (void)close(fds[i]);
    }
    /* Whoever has gone is noticed when something is sent, and makes room. */
    int status = 429;
    for (unsigned int i = 0; i < 1000 && status == 429; i++) {
        tell(&rig, &(struct service_change){.subject = SUBJECT_EVENT, .event = &event});
        status = raw_call(&rig, "GET", "/v1/watch", "", out, sizeof out);
    }
    assert_int_equal(status, 200);
    rig_stop(&rig);
}

static void stopping_ends_streams_and_takes_nobody_new(void **state)
{
    static const char host_request[] = "GET /v1/host HTTP/1.1\r\nHost: x\r\n\r\n";
    struct rig rig;
    char out[4096];
    bool is_idle = false;

    (void)state;
    rig_start(&rig, CALLER_OPERATOR);
    int kept = rig_connect(&rig);
    send_all(kept, host_request, sizeof host_request - 1);
    (void)read_until(kept, out, sizeof out, "}}");
    int fd = start_watch(&rig);
    rig_lock(&rig);
    assert_false(control_is_idle(rig.control));
    control_stop(rig.control);
    rig_unlock(&rig);
    (void)read_until(fd, out, sizeof out, "0\r\n\r\n");
    assert_string_equal(out, "0\r\n\r\n"); /* the end, not a cut */
    send_all(kept, resync_request, sizeof resync_request - 1);
    (void)read_until(kept, out, sizeof out, "}}");
    assert_int_equal(status_in(out), 503);
    (void)close(kept);
    (void)close(fd);
    for (unsigned int i = 0; i < 1000 && !is_idle; i++) {
        rig_lock(&rig);
        is_idle = control_is_idle(rig.control);
        rig_unlock(&rig);
        (void)poll(NULL, 0, 10);
    }
    assert_true(is_idle);
    assert_int_equal(rig_calls(&rig), 0);
    rig_stop(&rig);
}

/* --- the socket ---------------------------------------------------------------------------------
 */

static void the_socket_is_the_groups_and_no_others(void **state)
{
    struct rig rig;
    struct stat info;

    (void)state;
    rig_start(&rig, CALLER_VIEWER);
    assert_int_equal(stat(rig.path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0660);
    rig_halt(&rig);
    control_free(rig.control);
    rig.control = NULL;
    assert_int_equal(stat(rig.path, &info), -1);
    rig_stop(&rig);
}

static void a_second_daemon_is_refused(void **state)
{
    struct rig rig;
    struct control *second = NULL;
    struct error err = {0};
    char out[4096];

    (void)state;
    rig_start(&rig, CALLER_VIEWER);
    struct control_config config = rig_config(&rig);
    assert_int_equal(control_new(&config, rig.path, &second, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_non_null(strstr(err.message, "another daemon listens"));
    assert_int_equal(raw_call(&rig, "GET", "/v1/host", "", out, sizeof out), 200);
    rig_stop(&rig);
}

static void a_dead_socket_is_replaced_and_a_file_is_not(void **state)
{
    struct rig rig;
    struct control *control = NULL;
    struct error err = {0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;

    (void)state;
    rig_start(&rig, CALLER_VIEWER);
    struct control_config config = rig_config(&rig);
    rig_halt(&rig);
    control_free(rig.control);
    rig.control = NULL;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", rig.path);
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof address), 0);
    (void)close(dead);
    assert_int_equal(control_new(&config, rig.path, &control, &err), 0);
    /* Somebody put something else there meanwhile: it is not ours to remove. */
    assert_int_equal(unlink(rig.path), 0);
    FILE *file = fopen(rig.path, "w");
    assert_non_null(file);
    (void)fclose(file);
    control_free(control);
    assert_int_equal(stat(rig.path, &info), 0);
    assert_int_equal(control_new(&config, rig.path, &control, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_non_null(strstr(err.message, "is no socket"));
    assert_int_equal(stat(rig.path, &info), 0);
    assert_int_equal(control_new(&config, "/nonexistent/a.sock", &control, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    rig_stop(&rig);
}

static void a_given_socket_is_listened_on(void **state)
{
    struct rig rig = {.role = CALLER_VIEWER};
    struct control *control = NULL;
    struct error err = {0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;
    char out[4096];

    (void)state;
    rig_start(&rig, CALLER_VIEWER);
    struct control_config config = rig_config(&rig);
    rig_halt(&rig);
    control_free(rig.control);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", rig.path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(control_new_on(&config, fd, &control, &err), 0);
    rig.control = control;
    atomic_store(&rig.is_ending, false);
    assert_int_equal(pthread_create(&rig.thread, NULL, rig_run, &rig), 0);
    assert_int_equal(raw_call(&rig, "GET", "/v1/host", "", out, sizeof out), 200);
    rig_halt(&rig);
    control_free(rig.control);
    rig.control = NULL;
    assert_int_equal(stat(rig.path, &info), 0); /* systemd's, and left to it */
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_of_the_table_is_tried_here),
        cmocka_unit_test(every_route_reaches_the_service),
        cmocka_unit_test(who_may_not_reaches_nothing),
        cmocka_unit_test(nobody_learns_not_even_which_paths_there_are),
        cmocka_unit_test(who_acts_for_somebody_has_the_lesser_role),
        cmocka_unit_test(who_acts_for_somebody_is_named_with_him),
        cmocka_unit_test(whom_nobody_can_act_for_is_400),
        cmocka_unit_test(what_is_wrong_is_named_and_reaches_nothing),
        cmocka_unit_test(return_values_become_the_status_of_control_md),
        cmocka_unit_test(a_body_that_is_too_long_is_413),
        cmocka_unit_test(an_endless_body_is_cut),
        cmocka_unit_test(what_is_no_http_is_turned_away),
        cmocka_unit_test(objects_have_the_members_of_control_md),
        cmocka_unit_test(jobs_have_the_members_of_control_md),
        cmocka_unit_test(other_objects_have_the_members_of_control_md),
        cmocka_unit_test(a_backup_is_downloaded),
        cmocka_unit_test(a_reply_that_comes_later_is_the_answer),
        cmocka_unit_test(a_client_that_went_away_is_not_missed),
        cmocka_unit_test(a_reply_after_the_end_of_everything_goes_nowhere),
        cmocka_unit_test(watchers_get_what_changed),
        cmocka_unit_test(the_client_watches),
        cmocka_unit_test(changes_that_a_watcher_did_not_take_become_one),
        cmocka_unit_test(a_watcher_that_does_not_read_is_cut),
        cmocka_unit_test(more_watchers_than_may_are_told_so),
        cmocka_unit_test(stopping_ends_streams_and_takes_nobody_new),
        cmocka_unit_test(the_socket_is_the_groups_and_no_others),
        cmocka_unit_test(a_second_daemon_is_refused),
        cmocka_unit_test(a_dead_socket_is_replaced_and_a_file_is_not),
        cmocka_unit_test(a_given_socket_is_listened_on),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
