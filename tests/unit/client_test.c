/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "client/sse.h"

/* A daemon that knows one answer: it reads a request, says it, and closes. */
struct fake {
    char folder[32];
    char path[64];
    int fd;
    const char *answer;
    bool is_keeping_open; /* until the client goes */
    char request[8192];
    unsigned changes;         /* requests that are no GET */
    void *(*run)(void *fake); /* NULL: fake_run */
    pthread_t thread;
};

static void read_request(struct fake *fake, int fd)
{
    size_t len = 0;

    for (;;) {
        ssize_t got = read(fd, fake->request + len, sizeof fake->request - 1 - len);
        if (got <= 0) {
            return;
        }
        len += (size_t)got;
        fake->request[len] = '\0';
        const char *end = strstr(fake->request, "\r\n\r\n");
        const char *length = strstr(fake->request, "Content-Length: ");
        unsigned int body = 0;
        if (length != NULL) {
            (void)sscanf(length, "Content-Length: %u", &body);
        }
        if (end != NULL && strlen(end + 4) >= body) {
            return;
        }
    }
}

static void *fake_run(void *argument)
{
    struct fake *fake = argument;
    int fd = accept4(fake->fd, NULL, NULL, SOCK_CLOEXEC);
    char byte;

    if (fd < 0) {
        return NULL;
    }
    read_request(fake, fd);
    size_t len = strlen(fake->answer);
    for (size_t sent = 0; sent < len;) {
        ssize_t got = send(fd, fake->answer + sent, len - sent, MSG_NOSIGNAL);
        if (got < 0) {
            break;
        }
        sent += (size_t)got;
    }
    while (fake->is_keeping_open && read(fd, &byte, 1) > 0) {
    }
    (void)close(fd);
    return NULL;
}

static void fake_start(struct fake *fake, const char *answer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(fake->folder, sizeof fake->folder, "/tmp/client-test-XXXXXX");
    assert_non_null(mkdtemp(fake->folder));
    (void)snprintf(fake->path, sizeof fake->path, "%s/socket", fake->folder);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", fake->path);
    fake->answer = answer;
    fake->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fake->fd >= 0);
    assert_int_equal(bind(fake->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fake->fd, 4), 0);
    assert_int_equal(
        pthread_create(&fake->thread, NULL, fake->run != NULL ? fake->run : fake_run, fake), 0);
}

static void fake_stop(struct fake *fake)
{
    assert_int_equal(shutdown(fake->fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(fake->thread, NULL), 0);
    (void)close(fake->fd);
    (void)unlink(fake->path);
    (void)rmdir(fake->folder);
}

/* A daemon that answers what is read, and dies in the middle of everything else. */
static void *dying_run(void *argument)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    struct fake *fake = argument;
    int fd;

    while ((fd = accept4(fake->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        for (;;) {
            fake->request[0] = '\0';
            read_request(fake, fd);
            if (strncmp(fake->request, "GET ", 4) != 0) {
                fake->changes += fake->request[0] != '\0';
                break;
            }
            if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) {
                break;
            }
        }
        (void)close(fd);
    }
    return NULL;
}

static void a_call_that_changes_something_is_never_sent_twice(void **state)
{
    struct fake fake = {.run = dying_run};
    struct client *client = NULL;
    struct error err = {0};

    (void)state;
    fake_start(&fake, "");
    assert_int_equal(client_open(fake.path, &client, &err), 0);
    assert_int_equal(client_call(client, "GET", "/v1/host", NULL, NULL, NULL, &err), 0);
    assert_int_equal(
        client_call(client, "POST", "/v1/vms/web1/resynchronize", NULL, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_PEER);
    client_close(client);
    fake_stop(&fake);
    assert_int_equal(fake.changes, 1);
}

static void a_call_brings_json_both_ways(void **state)
{
    struct fake fake = {0};
    struct client *client = NULL;
    struct error err = {0};
    json_t *body = json_pack("{s:s}", "start_time", "2026-03-01T22:00:00Z");
    json_t *answer = NULL;

    (void)state;
    fake_start(&fake,
               "HTTP/1.1 202 Accepted\r\nContent-Length: 21\r\n\r\n{\"return_value\":4096}\n");
    assert_int_equal(client_open(fake.path, &client, &err), 0);
    assert_int_equal(
        client_call(client, "POST", "/v1/vms/../resynchronize", body, &answer, NULL, &err), 0);
    assert_int_equal(json_integer_value(json_object_get(answer, "return_value")), 4096);
    client_close(client);
    fake_stop(&fake);
    /* As it is: not made shorter by anybody. */
    assert_non_null(strstr(fake.request, "POST /v1/vms/../resynchronize HTTP/1.1\r\n"));
    assert_non_null(strstr(fake.request, "\r\n\r\n{\"start_time\":\"2026-03-01T22:00:00Z\"}"));
    json_decref(answer);
    json_decref(body);
}

static void a_proxy_of_the_environment_is_not_asked(void **state)
{
    struct fake fake = {0};
    struct client *client = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("all_proxy", "socks5://127.0.0.1:1", 1), 0);
    fake_start(&fake, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    assert_int_equal(client_open(fake.path, &client, &err), 0);
    assert_int_equal(client_call(client, "GET", "/v1/host", NULL, NULL, NULL, &err), 0);
    client_close(client);
    fake_stop(&fake);
    assert_non_null(strstr(fake.request, "GET /v1/host HTTP/1.1\r\n"));
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_int_equal(unsetenv("all_proxy"), 0);
}

/* What a client that acts for somebody sends. */
static void acting_sends(const char *user, const char *role, const char *method, char *out,
                         size_t size_bytes)
{
    struct fake fake = {0};
    struct client *client = NULL;
    struct error err = {0};

    fake_start(&fake, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    assert_int_equal(client_open(fake.path, &client, &err), 0);
    assert_int_equal(client_act_for(client, "somebody", "viewer", &err), 0);
    assert_int_equal(client_act_for(client, user, role, &err), 0);
    assert_int_equal(client_call(client, method, "/v1/host", NULL, NULL, NULL, &err), 0);
    client_close(client);
    fake_stop(&fake);
    (void)snprintf(out, size_bytes, "%s", fake.request);
}

static void whom_it_acts_for_is_in_every_call(void **state)
{
    char request[8192];

    (void)state;
    acting_sends("alice", "operator", "POST", request, sizeof request);
    assert_non_null(strstr(request, "\r\nResilver-User: alice\r\n"));
    assert_non_null(strstr(request, "\r\nResilver-Role: operator\r\n"));
    assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
    assert_null(strstr(request, "somebody"));
    acting_sends("CORP\\zo\xc3\xab 100%", "viewer", "GET", request, sizeof request);
    assert_non_null(strstr(request, "\r\nResilver-User: CORP%5Czo%C3%AB%20100%25\r\n"));
    acting_sends(NULL, NULL, "POST", request, sizeof request);
    assert_null(strstr(request, "Resilver-"));
}

static void whom_nobody_can_be_is_refused(void **state)
{
    struct client *client = NULL;
    struct error err = {0};
    char long_name[CALLER_NAME_MAX * 3 + 1];

    (void)state;
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(client_open("/nowhere", &client, &err), 0);
    assert_int_equal(client_act_for(client, "alice", NULL, &err), -1);
    assert_int_equal(client_act_for(client, NULL, "viewer", &err), -1);
    assert_int_equal(client_act_for(client, "", "viewer", &err), -1);
    assert_int_equal(client_act_for(client, "a\r\nX: y", "viewer", &err), -1);
    assert_int_equal(client_act_for(client, "alice", "viewer\r\nX: y", &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_int_equal(client_act_for(client, long_name, "viewer", &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(client_act_for(client, "alice", long_name, &err), -1);
    client_close(client);
}

static int call_gets(const char *answer, struct client_refusal *refusal, struct error *err)
{
    struct fake fake = {0};
    struct client *client = NULL;

    fake_start(&fake, answer);
    assert_int_equal(client_open(fake.path, &client, err), 0);
    int result = client_call(client, "GET", "/v1/vms/web1", NULL, NULL, refusal, err);
    client_close(client);
    fake_stop(&fake);
    return result;
}

static void a_refusal_has_the_daemons_words(void **state)
{
    struct client_refusal refusal = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(call_gets("HTTP/1.1 409 Conflict\r\nConnection: close\r\n\r\n"
                               "{\"error\": {\"kind\": \"state\", \"message\": \"'web1' is busy\","
                               " \"return_value\": 32775, \"return_name\": \"Invalid state\"}}",
                               &refusal, &err),
                     -1);
    assert_int_equal(refusal.http_status, 409);
    assert_int_equal(refusal.return_value, 32775);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_string_equal(err.message, "'web1' is busy");
}

static void what_is_no_answer_of_the_daemon_is_the_peers_fault(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"a\":",
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"a\":1,\"a\":2}",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        "not HTTP at all",
        "",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        struct client_refusal refusal = {0};
        struct error err = {0};
        assert_int_equal(call_gets(answers[i], &refusal, &err), -1);
        assert_int_equal(err.kind, ERR_PEER);
        assert_int_equal(refusal.return_value, 0);
    }
}

static void without_a_daemon_the_cure_is_said(void **state)
{
    struct client *client = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(client_open("/nonexistent/control.sock", &client, &err), 0);
    assert_int_equal(client_call(client, "GET", "/v1/host", NULL, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_PEER);
    assert_non_null(strstr(err.message, "systemctl status resilverd"));
    client_close(client);
}

static void a_path_is_encoded_and_bounded(void **state)
{
    char path[64];
    char tiny[20];
    struct error err = {0};

    (void)state;
    assert_int_equal(client_path(path, sizeof path, &err, "/v1/vms/%s/relationships/%d?limit=%u",
                                 "a b/\"\xc3\xa9%", -1, 7U),
                     0);
    assert_string_equal(path, "/v1/vms/a%20b%2F%22%C3%A9%25/relationships/-1?limit=7");
    assert_int_equal(
        client_path(path, sizeof path, &err, "/v1/jobs?after=%llu", 18446744073709551615ULL), 0);
    assert_string_equal(path, "/v1/jobs?after=18446744073709551615");
    assert_int_equal(client_path(tiny, sizeof tiny, &err, "/v1/vms/%s", "12345678901"), 0);
    assert_int_equal(client_path(tiny, sizeof tiny, &err, "/v1/vms/%s", "123456789012"), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
}

/* --- the stream --------------------------------------------------------------------------------
 */

struct seen {
    char text[1024];
    unsigned int idle_count;
    unsigned int end_after; /* objects; 0: never */
    unsigned int count;
    unsigned int idle_max; /* not 0: ends after so many idle rounds */
};

static int see(void *context, const char *kind, const json_t *object, struct error *err)
{
    struct seen *seen = context;

    (void)err;
    if (kind == NULL) {
        seen->idle_count++;
        return seen->idle_max != 0 && seen->idle_count >= seen->idle_max ? 7 : 0;
    }
    char *text = json_dumps(object, JSON_COMPACT);
    size_t len = strlen(seen->text);
    (void)snprintf(seen->text + len, sizeof seen->text - len, "%s=%s;", kind, text);
    free(text);
    seen->count++;
    return seen->count == seen->end_after ? 5 : 0;
}

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

static int watch_gets(struct fake *fake, struct seen *seen, struct error *err)
{
    struct client *client = NULL;

    assert_int_equal(client_open(fake->path, &client, err), 0);
    int result = client_watch(client, 10, see, seen, err);
    client_close(client);
    fake_stop(fake);
    return result;
}

static void a_stream_is_watched_to_its_end(void **state)
{
    struct fake fake = {0};
    struct seen seen = {0};
    struct error err = {0};

    (void)state;
    fake_start(&fake, STREAM ": hello\n\nevent: job\ndata: {\"a\":\ndata: 1}\n\nid: 4\r\n"
                             "event:event\r\ndata:[2]\r\n\r\nevent: half\ndata: {}\n");
    assert_int_equal(watch_gets(&fake, &seen, &err), 0);
    assert_string_equal(seen.text, "job={\"a\":1};event=[2];");
    assert_true(seen.idle_count > 0);
}

static void a_visitor_ends_the_stream(void **state)
{
    struct error err = {0};
    struct fake fake = {.is_keeping_open = true};
    struct fake idle = {.is_keeping_open = true};
    struct seen one = {.end_after = 1};
    struct seen none = {.idle_max = 3};

    (void)state;
    fake_start(&fake, STREAM "event: job\ndata: 1\n\nevent: job\ndata: 2\n\n");
    /* jansson takes only objects and arrays as documents. */
    assert_int_equal(watch_gets(&fake, &one, &err), -1);
    assert_int_equal(err.kind, ERR_PEER);
    fake_start(&idle, STREAM);
    assert_int_equal(watch_gets(&idle, &none, &err), 7);
    struct fake two = {.is_keeping_open = true};
    fake_start(&two, STREAM "event: job\ndata: {}\n\nevent: job\ndata: []\n\n");
    assert_int_equal(watch_gets(&two, &one, &err), 5);
    assert_string_equal(one.text, "job={};");
}

static void a_stream_that_is_refused_says_why(void **state)
{
    struct fake fake = {0};
    struct seen seen = {0};
    struct error err = {0};

    (void)state;
    fake_start(&fake, "HTTP/1.1 429 Too Many\r\nConnection: close\r\n\r\n{\"error\":{\"kind\":"
                      "\"limit\",\"message\":\"64 watch already\"}}");
    assert_int_equal(watch_gets(&fake, &seen, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.message, "64 watch already");
}

static int collect(void *context, const char *kind, struct const_span data, struct error *err)
{
    char *text = context;
    size_t len = strlen(text);

    (void)err;
    (void)snprintf(text + len, 256 - len, "[%s|%.*s]", kind, (int)data.len_bytes,
                   (const char *)data.at);
    return 0;
}

static void events_come_whole_however_they_are_cut(void **state)
{
    static const char stream[] =
        "event: a\r\ndata: x\r\n\r\n\rdata:y\rdata: z\r\rdata\n\nretry: 1\n"
        "data:  two\n\n:c\n\n";

    (void)state;
    for (size_t step = 1; step < sizeof stream; step++) {
        char text[256] = "";
        struct sse sse = {.visit = collect, .context = text};
        for (size_t at = 0; at < sizeof stream - 1; at += step) {
            size_t rest = sizeof stream - 1 - at;
            struct const_span bytes = {(const uint8_t *)stream + at, rest < step ? rest : step};
            assert_int_equal(sse_feed(&sse, bytes, NULL), 0);
        }
        assert_string_equal(text, "[a|x][message|y\nz][message|][message| two]");
        sse_done(&sse);
    }
}

static void an_endless_line_is_refused(void **state)
{
    struct sse sse = {.visit = collect};
    struct error err = {0};
    uint8_t *bytes = calloc(1, MIB);
    int result = 0;

    (void)state;
    assert_non_null(bytes);
    for (unsigned int i = 0; i <= CLIENT_EVENT_MAX / MIB && result == 0; i++) {
        result = sse_feed(&sse, (struct const_span){bytes, MIB}, &err);
    }
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERR_PEER);
    sse_done(&sse);
    free(bytes);
}

/* --- downloads ---------------------------------------------------------------------------------
 */

static int download_gets(const char *answer, char *out, size_t size_bytes, struct error *err)
{
    struct fake fake = {0};
    struct client *client = NULL;
    FILE *file = tmpfile();

    assert_non_null(file);
    fake_start(&fake, answer);
    assert_int_equal(client_open(fake.path, &client, err), 0);
    int result = client_download(client, "/v1/backup", fileno(file), err);
    client_close(client);
    fake_stop(&fake);
    ssize_t got = pread(fileno(file), out, size_bytes - 1, 0);
    assert_true(got >= 0);
    out[got] = '\0';
    (void)fclose(file);
    return result;
}

static void a_download_goes_to_the_file_and_a_refusal_does_not(void **state)
{
    struct error err = {0};
    char text[64];

    (void)state;
    assert_int_equal(
        download_gets("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes", text, sizeof text, &err),
        0);
    assert_string_equal(text, "bytes");
    assert_int_equal(download_gets("HTTP/1.1 403 No\r\nConnection: close\r\n\r\n"
                                   "{\"error\":{\"kind\":\"usage\",\"message\":\"not you\"}}",
                                   text, sizeof text, &err),
                     -1);
    assert_string_equal(text, "");
    assert_string_equal(err.message, "not you");
    assert_int_equal(download_gets("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nbytes", text,
                                   sizeof text, &err),
                     -1);
    assert_int_equal(err.kind, ERR_PEER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_changes_something_is_never_sent_twice),
        cmocka_unit_test(a_call_brings_json_both_ways),
        cmocka_unit_test(a_proxy_of_the_environment_is_not_asked),
        cmocka_unit_test(whom_it_acts_for_is_in_every_call),
        cmocka_unit_test(whom_nobody_can_be_is_refused),
        cmocka_unit_test(a_refusal_has_the_daemons_words),
        cmocka_unit_test(what_is_no_answer_of_the_daemon_is_the_peers_fault),
        cmocka_unit_test(without_a_daemon_the_cure_is_said),
        cmocka_unit_test(a_path_is_encoded_and_bounded),
        cmocka_unit_test(a_stream_is_watched_to_its_end),
        cmocka_unit_test(a_visitor_ends_the_stream),
        cmocka_unit_test(a_stream_that_is_refused_says_why),
        cmocka_unit_test(events_come_whole_however_they_are_cut),
        cmocka_unit_test(an_endless_line_is_refused),
        cmocka_unit_test(a_download_goes_to_the_file_and_a_refusal_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
