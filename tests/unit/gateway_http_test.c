/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "config/users.h"
#include "gateway/audit.h"
#include "gateway/auth.h"

/* --- a gateway with a small handler ---------------------------------------------------------- */

#define ALICE "Authorization: Basic YWxpY2U6c2VjcmV0\r\n"     /* alice:secret */
#define WRONG "Authorization: Basic YWxpY2U6bWlzdGFrZW4=\r\n" /* alice:mistaken */
#define BOB "Authorization: Basic Ym9iOnNlY3JldA==\r\n"       /* bob:secret; he has no role */
#define HOST "Host: localhost\r\n"

struct rig {
    char folder[32];
    char users_path[64];
    char audit_path[64];
    struct auth *auth;
    struct audit *audit;
    struct http *http;
    struct http_protocol protocol;
    uint16_t port;
    sem_t gate;      /* "hold" waits for it */
    sem_t is_parked; /* was posted when "park" was asked the first time */
};

static uint64_t real_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static bool body_is(const struct http_request *request, const char *text)
{
    return request->body.len_bytes == strlen(text) &&
           memcmp(request->body.at, text, strlen(text)) == 0;
}

static enum http_result handle(void *context, const struct http_request *request,
                               struct http_answer *answer)
{
    struct rig *rig = context;
    char text[512];

    if (body_is(request, "hold")) {
        (void)sem_wait(&rig->gate);
    }
    if ((body_is(request, "park") || body_is(request, "park for long")) && request->attempt == 0) {
        answer->park_until_ns =
            real_ns() + (body_is(request, "park") ? NS_PER_S / 2 : 600 * NS_PER_S);
        (void)sem_post(&rig->is_parked);
        return HTTP_PARK;
    }
    const char *agent = http_header(request, "user-agent");
    (void)snprintf(text, sizeof text,
                   "path=%s query=%s user=%s bytes=%zu attempt=%u tls=%d "
                   "client=%d agent=%s",
                   request->path, request->query,
                   request->caller != NULL ? request->caller->name : "-", request->body.len_bytes,
                   request->attempt, request->is_tls, request->client != NULL,
                   agent != NULL ? agent : "-");
    answer->status = 200;
    answer->content_type = "text/plain";
    http_answer_header(answer, "X-Test", "yes");
    xml_raw(&answer->body, text);
    if (body_is(request, "much")) {
        for (int i = 0; i < 200000; i++) {
            xml_raw(&answer->body, "0123456789012345678901234567890123456789");
        }
    }
    return HTTP_DONE;
}

static void add_user(const struct rig *rig, const char *name, enum user_role role,
                     const char *fingerprint)
{
    struct user user = {.role = role};

    (void)snprintf(user.name, sizeof user.name, "%s", name);
    (void)snprintf(user.fingerprint, sizeof user.fingerprint, "%s", fingerprint);
    assert_int_equal(users_hash("secret", user.hash, NULL), 0);
    assert_int_equal(users_set(rig->users_path, &user, NULL), 0);
}

static struct rig *make_rig(void)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/gateway.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->users_path, sizeof rig->users_path, "%s/users", rig->folder);
    (void)snprintf(rig->audit_path, sizeof rig->audit_path, "%s/audit", rig->folder);
    add_user(rig, "alice", USER_ADMINISTRATOR, "");
    add_user(rig, "bob", USER_NOBODY, "");
    assert_int_equal(auth_new(env_system(), rig->users_path, &rig->auth, NULL), 0);
    assert_int_equal(audit_open(env_system(), rig->audit_path, &rig->audit, NULL), 0);
    assert_int_equal(sem_init(&rig->gate, 0, 0), 0);
    assert_int_equal(sem_init(&rig->is_parked, 0, 0), 0);
    rig->protocol = (struct http_protocol){.name = "test",
                                           .paths = "/wsman /open",
                                           .open_paths = "/open",
                                           .realm = "resilver",
                                           .handle = handle,
                                           .context = rig};
    return rig;
}

static int rig_start(struct rig *rig, const char *address, struct error *err)
{
    struct http_listener listener = {.protocol = &rig->protocol};
    (void)snprintf(listener.address, sizeof listener.address, "%s", address);
    const struct http_config config = {.env = env_system(),
                                       .auth = &rig->auth,
                                       .audit = rig->audit,
                                       .listeners = &listener,
                                       .listener_count = 1,
                                       .control_socket = "/nowhere/control.sock"};

    return http_start(&config, &rig->http, err);
}

static int set_up(void **state)
{
    struct rig *rig = make_rig();

    *state = rig;
    assert_int_equal(rig_start(rig, "127.0.0.1:0", NULL), 0);
    rig->port = http_port(rig->http, 0);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    if (rig->http != NULL) {
        http_stop(rig->http, 100);
        http_free(rig->http);
    }
    auth_free(rig->auth);
    audit_close(rig->audit);
    (void)unlink(rig->users_path);
    (void)unlink(rig->audit_path);
    (void)rmdir(rig->folder);
    free(rig);
    return 0;
}

/* --- a client that says anything -------------------------------------------------------------- */

struct talk {
    int fd;
    size_t used;
    char text[16384]; /* the answer */
};

static int dial(const struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(rig->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say_bytes(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent < 0) {
            return; /* the other side has had enough */
        }
        bytes += sent;
        count -= (size_t)sent;
    }
}

static void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* Waits for more; false: the end. */
static bool hear_more(struct talk *talk, int seconds)
{
    struct pollfd fds = {.fd = talk->fd, .events = POLLIN};

    assert_true(talk->used < sizeof talk->text - 1);
    if (poll(&fds, 1, seconds * 1000) != 1) {
        fail_msg("no answer in %d s after: %s", seconds, talk->text);
    }
    ssize_t got = recv(talk->fd, talk->text + talk->used, sizeof talk->text - 1 - talk->used, 0);
    if (got <= 0) {
        return false;
    }
    talk->used += (size_t)got;
    talk->text[talk->used] = '\0';
    return true;
}

static size_t whole_answer(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "Content-Length: ");
    size_t bytes = 0;

    if (end == NULL) {
        return 0;
    }
    assert_non_null(length); /* every answer has one */
    (void)sscanf(length, "Content-Length: %zu", &bytes);
    return (size_t)(end + 4 - text) + bytes;
}

/* One answer; what follows it is the next one's. Returns its status, 0: the connection ended. */
static int hear(struct talk *talk)
{
    int status = 0;

    while (whole_answer(talk->text) == 0 || whole_answer(talk->text) > talk->used) {
        if (!hear_more(talk, 20)) {
            break;
        }
    }
    (void)sscanf(talk->text, "HTTP/1.%*d %d", &status);
    return status;
}

static bool hears_the_end(struct talk *talk)
{
    while (hear_more(talk, 5)) {
    }
    return true;
}

static void forget_answer(struct talk *talk)
{
    size_t bytes = whole_answer(talk->text);

    memmove(talk->text, talk->text + bytes, talk->used - bytes + 1);
    talk->used -= bytes;
}

static int ask(const struct rig *rig, struct talk *talk, const char *request)
{
    *talk = (struct talk){.fd = dial(rig)};
    say(talk->fd, request);
    return hear(talk);
}

static int ask_and_leave(const struct rig *rig, const char *request)
{
    struct talk talk;
    int status = ask(rig, &talk, request);

    (void)close(talk.fd);
    return status;
}

static unsigned count_of(const char *text, const char *word)
{
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        count++;
    }
    return count;
}

/* --- who ------------------------------------------------------------------------------------- */

static void answers_whom_it_knows(void **state)
{
    const struct rig *rig = *state;
    struct talk talk;

    assert_int_equal(ask(rig, &talk,
                         "POST /wsman?a=b HTTP/1.1\r\n" HOST ALICE "User-Agent: x\r\n"
                         "Content-Length: 3\r\n\r\nabc"),
                     200);
    assert_non_null(strstr(talk.text, "path=/wsman query=a=b user=alice bytes=3 attempt=0 tls=0 "
                                      "client=1 agent=x"));
    assert_non_null(strstr(talk.text, "X-Test: yes\r\n"));
    assert_null(strstr(talk.text, "Server:"));
    (void)close(talk.fd);
}

static void asks_for_credentials_and_keeps_the_connection(void **state)
{
    const struct rig *rig = *state;
    struct talk talk;

    assert_int_equal(ask(rig, &talk, "POST /wsman HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"),
                     401);
    assert_int_equal(count_of(talk.text, "WWW-Authenticate:"), 1);
    assert_non_null(strstr(talk.text, "WWW-Authenticate: Basic realm=\"resilver\"\r\n"));
    assert_null(strstr(talk.text, "Connection: close"));
    forget_answer(&talk);
    say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    assert_int_equal(hear(&talk), 401);
    forget_answer(&talk);
    say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 5\r\n\r\nhello");
    assert_int_equal(hear(&talk), 200);
    forget_answer(&talk);
    /* Who was known a moment ago is nobody without credentials. */
    say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    assert_int_equal(hear(&talk), 401);
    (void)close(talk.fd);
}

static void refuses_wrong_credentials_and_writes_it_down(void **state)
{
    const struct rig *rig = *state;
    char line[1024] = "";
    struct talk talk;

    assert_int_equal(
        ask(rig, &talk, "POST /wsman HTTP/1.1\r\n" HOST WRONG "Content-Length: 1\r\n\r\nx"), 401);
    assert_int_equal(count_of(talk.text, "WWW-Authenticate:"), 1);
    (void)close(talk.fd);
    FILE *file = fopen(rig->audit_path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    (void)fclose(file);
    assert_non_null(strstr(line, "\"protocol\":\"test\""));
    assert_non_null(strstr(line, "\"user\":\"alice\",\"operation\":\"login\""));
    assert_non_null(strstr(line, "\"result\":\"refused\""));
    assert_null(strstr(line, "mistaken"));
}

static void refuses_two_authorization_headers_and_other_schemes(void **state)
{
    const struct rig *rig = *state;

    assert_int_equal(
        ask_and_leave(rig, "POST /wsman HTTP/1.1\r\n" HOST ALICE ALICE "Content-Length: 0\r\n\r\n"),
        401);
    assert_int_equal(ask_and_leave(rig, "POST /wsman HTTP/1.1\r\n" HOST
                                        "Authorization: Negotiate YWxpY2U6c2VjcmV0\r\n"
                                        "Content-Length: 0\r\n\r\n"),
                     401);
    assert_int_equal(ask_and_leave(rig, "POST /wsman HTTP/1.1\r\n" HOST "Authorization:\r\n"
                                        "Content-Length: 0\r\n\r\n"),
                     401);
}

static void lets_nobody_in_who_has_no_role(void **state)
{
    const struct rig *rig = *state;

    assert_int_equal(
        ask_and_leave(rig, "POST /wsman HTTP/1.1\r\n" HOST BOB "Content-Length: 0\r\n\r\n"), 403);
}

static void answers_an_open_path_for_nobody_and_without_a_client(void **state)
{
    const struct rig *rig = *state;
    struct talk talk;

    assert_int_equal(ask(rig, &talk, "POST /open HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx"),
                     200);
    assert_non_null(strstr(talk.text, "user=- bytes=1 attempt=0 tls=0 client=0"));
    (void)close(talk.fd);
}

/* --- what is no request for us --------------------------------------------------------------- */

struct refusal_case {
    const char *request;
    int status;
    bool is_closing;
};

static const struct refusal_case refusals[] = {
    {"POST /other HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 404, false},
    {"POST /wsman/ HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 404, false},
    {"POST /wsman/../wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 404, false},
    {"POST //wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 404, false},
    {"POST /wsman%20/open HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 404, false},
    {"POST / HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 404, false},
    {"GET /wsman HTTP/1.1\r\n" HOST ALICE "\r\n", 405, false},
    {"HEAD /other HTTP/1.1\r\n" HOST ALICE "\r\n", 404, false},
    {"PUT /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 1\r\n\r\nx", 405, false},
    {"DELETE /wsman HTTP/1.1\r\n" HOST ALICE "\r\n", 405, false},
    {"OPTIONS /wsman HTTP/1.1\r\n" HOST ALICE "\r\n", 405, false},
    {"TRACE /wsman HTTP/1.1\r\n" HOST ALICE "\r\n", 405, false},
    {"M-POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 1\r\n\r\nx", 405, false},
    {"post /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 1\r\n\r\nx", 405, false},
    {"POST /ws%00man HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 400, true},
    {"POST /wsman%00 HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 400, true},
    {"POST /wsman%0a HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 400, true},
    {"POST /wsman%zz HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 400, true},
    {"POST /wsman% HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 400, true},
    {"POST /wsman#x HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 400, true},
    {"POST wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 400, true},
    {"OPTIONS * HTTP/1.1\r\n" HOST ALICE "\r\n", 400, true},
    {"POST /wsman HTTP/1.1\r\n" ALICE "Content-Length: 0\r\n\r\n", 400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST HOST ALICE "Content-Length: 0\r\n\r\n", 400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400,
     true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc",
     400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 3, 3\r\n\r\nabc", 400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE
     "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE
     "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE
     "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     501, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n",
     501, true},
    {"POST /wsman HTTP/1.0\r\n" HOST ALICE "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 400,
     true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: -1\r\n\r\n", 400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: +3\r\n\r\nabc", 400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 0x3\r\n\r\nabc", 400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: three\r\n\r\nabc", 400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length:\r\n\r\nabc", 400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 524289\r\nExpect: 100-continue\r\n\r\n",
     413, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 18446744073709551615\r\n\r\n", 413,
     true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 18446744073709551616\r\n\r\n", 413,
     true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE
     "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n",
     413, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n", 400,
     true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 1\r\nContent-Encoding: gzip\r\n\r\nx",
     415, false},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 1\r\nExpect: wonders\r\n\r\nx", 417,
     true},
    {"POST /wsman HTTP/2.0\r\n" HOST ALICE "Content-Length: 0\r\n\r\n", 505, true},
};

static void refuses_what_is_no_request(void **state)
{
    const struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        struct talk talk;
        int status = ask(rig, &talk, refusals[i].request);
        if (status != refusals[i].status) {
            fail_msg("%d instead of %d for: %s\n%s", status, refusals[i].status,
                     refusals[i].request, talk.text);
        }
        bool is_closing = strcasestr(talk.text, "Connection: close") != NULL;
        if (is_closing != refusals[i].is_closing) {
            fail_msg("it %s for: %s\n%s", is_closing ? "closes" : "does not close",
                     refusals[i].request, talk.text);
        }
        assert_true(!is_closing || hears_the_end(&talk));
        (void)close(talk.fd);
    }
}

static void says_which_method_it_takes(void **state)
{
    const struct rig *rig = *state;
    struct talk talk;

    assert_int_equal(ask(rig, &talk, "GET /wsman HTTP/1.1\r\n" HOST "\r\n"), 405);
    assert_non_null(strstr(talk.text, "Allow: POST\r\n"));
    (void)close(talk.fd);
}

static void refuses_a_nul_in_the_target(void **state)
{
    static const char request[] =
        "POST /wsman\0x HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n";
    static const char bare[] = "POST /wsman\0 HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n";
    const struct rig *rig = *state;
    struct talk talk = {.fd = dial(rig)};

    say_bytes(talk.fd, request, sizeof request - 1);
    assert_int_equal(hear(&talk), 400);
    (void)close(talk.fd);
    talk = (struct talk){.fd = dial(rig)};
    say_bytes(talk.fd, bare, sizeof bare - 1);
    assert_int_equal(hear(&talk), 400);
    (void)close(talk.fd);
}

static void takes_an_absolute_uri_and_no_word_of_a_proxy(void **state)
{
    const struct rig *rig = *state;
    char line[1024] = "";

    assert_int_equal(ask_and_leave(rig, "POST http://elsewhere:5985/wsman HTTP/1.1\r\n" HOST ALICE
                                        "Content-Length: 0\r\n\r\n"),
                     200);
    assert_int_equal(ask_and_leave(rig, "POST HTTPS://elsewhere/open?q HTTP/1.1\r\n" HOST
                                        "Content-Length: 0\r\n\r\n"),
                     200);
    assert_int_equal(ask_and_leave(rig, "POST /wsman HTTP/1.1\r\n" HOST WRONG
                                        "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n"
                                        "Content-Length: 0\r\n\r\n"),
                     401);
    FILE *file = fopen(rig->audit_path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    (void)fclose(file);
    assert_non_null(strstr(line, "\"remote\":\"127.0.0.1:"));
    assert_int_equal(ask_and_leave(rig, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
                                        "POST /wsman HTTP/1.1\r\n" HOST ALICE
                                        "Content-Length: 0\r\n\r\n"),
                     400);
}

static void cuts_a_head_that_is_too_long(void **state)
{
    const struct rig *rig = *state;
    struct talk talk = {.fd = dial(rig)};
    char header[64];

    say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST ALICE);
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(header, sizeof header, "X-%d: y\r\n", i);
        say(talk.fd, header);
    }
    say(talk.fd, "Content-Length: 0\r\n\r\n");
    int status = hear(&talk);
    assert_true(status == 0 || status == 413 || status == 431); /* 0: reset while it was sent */
    (void)close(talk.fd);
}

/* --- bodies ---------------------------------------------------------------------------------- */

static int send_large(const struct rig *rig, const char *head, size_t body_bytes)
{
    struct talk talk = {.fd = dial(rig)};
    char *body = calloc(1, body_bytes + 1);

    assert_non_null(body);
    memset(body, 'x', body_bytes);
    say(talk.fd, head);
    say_bytes(talk.fd, body, body_bytes);
    free(body);
    int status = hear(&talk);
    (void)close(talk.fd);
    return status;
}

static void takes_a_body_up_to_its_limit(void **state)
{
    const struct rig *rig = *state;

    assert_int_equal(
        send_large(rig, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 524288\r\n\r\n",
                   524288),
        200);
    assert_int_equal(
        send_large(rig, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 524289\r\n\r\n",
                   524289),
        413);
    /* Of nobody nothing is kept, and he is told all the same. */
    assert_int_equal(
        send_large(rig, "POST /wsman HTTP/1.1\r\n" HOST "Content-Length: 500000\r\n\r\n", 500000),
        401);
}

static void takes_chunks_and_counts_them(void **state)
{
    const struct rig *rig = *state;
    char head[256];
    struct talk talk;

    assert_int_equal(ask(rig, &talk,
                         "POST /wsman HTTP/1.1\r\n" HOST ALICE
                         "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
                     200);
    assert_non_null(strstr(talk.text, "bytes=5"));
    (void)close(talk.fd);
    (void)snprintf(head, sizeof head,
                   "POST /wsman HTTP/1.1\r\n" HOST ALICE "Transfer-Encoding: chunked\r\n\r\n"
                   "90000\r\n");
    talk = (struct talk){.fd = dial(rig)};
    say(talk.fd, head);
    char *body = malloc(0x90000);
    assert_non_null(body);
    memset(body, 'x', 0x90000);
    say_bytes(talk.fd, body, 0x90000);
    free(body);
    say(talk.fd, "\r\n0\r\n\r\n");
    assert_int_equal(hear(&talk), 413);
    (void)close(talk.fd);
}

static void says_continue_to_who_waits_for_it(void **state)
{
    const struct rig *rig = *state;
    struct talk talk = {.fd = dial(rig)};

    say(talk.fd,
        "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    while (strstr(talk.text, "\r\n\r\n") == NULL) {
        assert_true(hear_more(&talk, 5));
    }
    assert_non_null(strstr(talk.text, "HTTP/1.1 100 Continue\r\n\r\n"));
    talk.used = 0;
    talk.text[0] = '\0';
    say(talk.fd, "abc");
    assert_int_equal(hear(&talk), 200);
    (void)close(talk.fd);
    /* Who will be refused is told before he sends. */
    assert_int_equal(ask(rig, &talk,
                         "POST /other HTTP/1.1\r\n" HOST ALICE
                         "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"),
                     404);
    (void)close(talk.fd);
}

static void answers_many_requests_sent_at_once(void **state)
{
    const struct rig *rig = *state;
    struct talk talk = {.fd = dial(rig)};

    for (int i = 0; i < 50; i++) {
        say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 3\r\n\r\nabc");
    }
    for (int i = 0; i < 50; i++) {
        assert_int_equal(hear(&talk), 200);
        forget_answer(&talk);
    }
    (void)close(talk.fd);
}

/* --- waiting --------------------------------------------------------------------------------- */

static void asks_a_parked_request_again_at_its_time(void **state)
{
    const struct rig *rig = *state;
    struct talk talk;
    uint64_t began_ns = real_ns();

    assert_int_equal(
        ask(rig, &talk, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 4\r\n\r\npark"),
        200);
    assert_true(real_ns() - began_ns >= NS_PER_S / 2);
    assert_non_null(strstr(talk.text, "user=alice bytes=4 attempt=1"));
    (void)close(talk.fd);
}

static void asks_a_parked_request_again_when_it_is_woken(void **state)
{
    struct rig *rig = *state;
    struct talk talk = {.fd = dial(rig)};

    say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 13\r\n\r\npark for long");
    assert_int_equal(sem_wait(&rig->is_parked), 0);
    /* It may be on its way into the list still: then it is asked again all the same. */
    http_wake(rig->http);
    assert_int_equal(hear(&talk), 200);
    assert_non_null(strstr(talk.text, "attempt=1"));
    (void)close(talk.fd);
}

static void refuses_more_than_the_queue_takes(void **state)
{
    struct rig *rig = *state;
    struct talk *talks = calloc(HTTP_QUEUE_MAX + HTTP_WORKERS + 1, sizeof *talks);
    uint32_t count = HTTP_QUEUE_MAX + HTTP_WORKERS;

    assert_non_null(talks);
    for (uint32_t i = 0; i < count; i++) {
        talks[i].fd = dial(rig);
        say(talks[i].fd, "POST /open HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nhold");
    }
    /* Somebody is refused when one more asks; which one depends on who was read first. */
    uint32_t refused = 0;
    for (int i = 0; i < 50 && refused == 0; i++) {
        struct talk last = {.fd = dial(rig)};
        struct pollfd fds = {.fd = last.fd, .events = POLLIN};
        say(last.fd, "POST /open HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nhold");
        if (poll(&fds, 1, 200) == 1) {
            assert_int_equal(hear(&last), 503);
            assert_non_null(strstr(last.text, "Retry-After:"));
            refused++;
        } else {
            (void)sem_post(&rig->gate); /* it waits as well, and there is one more to serve */
        }
        (void)close(last.fd);
    }
    assert_int_equal(refused, 1);
    for (uint32_t i = 0; i < count + 60; i++) {
        (void)sem_post(&rig->gate);
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(hear(&talks[i]), 200);
        (void)close(talks[i].fd);
    }
    free(talks);
}

/* --- hostile clients ------------------------------------------------------------------------- */

/* Real time: it is what the deadlines are about. */
static void cuts_those_who_are_no_whole_request_in_time(void **state)
{
    const struct rig *rig = *state;
    struct talk silent = {.fd = dial(rig)};
    struct talk head = {.fd = dial(rig)};
    struct talk body = {.fd = dial(rig)};
    uint64_t began_ns = real_ns();

    say(head.fd, "POST /ws");
    say(body.fd, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 100\r\n\r\n");
    struct pollfd fds[] = {
        {.fd = silent.fd, .events = POLLIN},
        {.fd = head.fd, .events = POLLIN},
        {.fd = body.fd, .events = POLLIN},
    };
    /* A byte now and then keeps none alive, and others are served. */
    for (int i = 0; i < 8; i++) {
        assert_int_equal(poll(fds, 3, 1000), 0);
        say(head.fd, "m");
        say(body.fd, "x");
        assert_int_equal(
            ask_and_leave(rig, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n"),
            200);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(poll(&fds[i], 1, 15000), 1);
        (void)close(fds[i].fd);
    }
    uint64_t took_ns = real_ns() - began_ns;
    assert_true(took_ns >= 9 * NS_PER_S && took_ns <= 15 * NS_PER_S);
}

static void stops_with_hostile_clients_attached(void **state)
{
    struct rig *rig = *state;
    int fds[64];
    uint64_t began_ns = 0;

    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        fds[i] = dial(rig);
        switch (i % 4) {
        case 0: /* asks for much, and reads nothing */
            say(fds[i], "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 4\r\n\r\nmuch");
            break;
        case 1: /* half a head */
            say(fds[i], "POST /wsman HTTP/1.1\r\nHo");
            break;
        case 2:
            say(fds[i],
                "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 13\r\n\r\npark for long");
            break;
        default: /* says nothing */
            break;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(fds) / 4; i++) {
        assert_int_equal(sem_wait(&rig->is_parked), 0);
    }
    began_ns = real_ns();
    http_stop(rig->http, 1000);
    assert_true(http_is_idle(rig->http));
    http_free(rig->http);
    rig->http = NULL;
    assert_true(real_ns() - began_ns < 5 * NS_PER_S);
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        (void)close(fds[i]);
    }
}

/* --- where it listens ------------------------------------------------------------------------ */

static int set_up_only(void **state)
{
    *state = make_rig();
    return 0;
}

static void takes_no_passwords_in_clear_text_over_a_network(void **state)
{
    struct rig *rig = *state;
    struct error err = {0};

    assert_int_equal(rig_start(rig, ":0", &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_non_null(strstr(err.message, "plain-beyond-loopback"));
    assert_int_equal(rig_start(rig, "0.0.0.0:0", NULL), -1);
    assert_int_equal(rig_start(rig, "127.0.0.1:0", NULL), 0);
}

static void says_which_address_cannot_be_had(void **state)
{
    struct rig *rig = *state;
    struct error err = {0};
    char address[32];

    assert_int_equal(rig_start(rig, "127.0.0.1:0", NULL), 0);
    struct http *first = rig->http;
    rig->http = NULL;
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", http_port(first, 0));
    assert_int_equal(rig_start(rig, address, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_non_null(strstr(err.message, address));
    rig->http = first;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_whom_it_knows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asks_for_credentials_and_keeps_the_connection, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(refuses_wrong_credentials_and_writes_it_down, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(refuses_two_authorization_headers_and_other_schemes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(lets_nobody_in_who_has_no_role, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_an_open_path_for_nobody_and_without_a_client,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_which_method_it_takes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_nul_in_the_target, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_an_absolute_uri_and_no_word_of_a_proxy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(cuts_a_head_that_is_too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_a_body_up_to_its_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_chunks_and_counts_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_continue_to_who_waits_for_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_many_requests_sent_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asks_a_parked_request_again_at_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asks_a_parked_request_again_when_it_is_woken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(refuses_more_than_the_queue_takes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cuts_those_who_are_no_whole_request_in_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(stops_with_hostile_clients_attached, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_no_passwords_in_clear_text_over_a_network,
                                        set_up_only, tear_down),
        cmocka_unit_test_setup_teardown(says_which_address_cannot_be_had, set_up_only, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
