/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gateway/http.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "http_rig.h"

/* --- who ------------------------------------------------------------------------------------- */

static void answers_whom_it_knows(void **state)
{
    const struct rig *rig = *state;
    struct talk talk;

    assert_int_equal(talk_ask(rig, &talk,
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

    assert_int_equal(
        talk_ask(rig, &talk, "POST /wsman HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), 401);
    assert_int_equal(talk_count(talk.text, "WWW-Authenticate:"), 1);
    assert_non_null(strstr(talk.text, "WWW-Authenticate: Basic realm=\"resilver\"\r\n"));
    assert_null(strstr(talk.text, "Connection: close"));
    talk_forget(&talk);
    talk_say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    assert_int_equal(talk_hear(&talk), 401);
    talk_forget(&talk);
    talk_say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 5\r\n\r\nhello");
    assert_int_equal(talk_hear(&talk), 200);
    talk_forget(&talk);
    /* Who was known a moment ago is nobody without credentials. */
    talk_say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    assert_int_equal(talk_hear(&talk), 401);
    (void)close(talk.fd);
}

static void knows_by_each_requests_credentials_who_asks_it(void **state)
{
    const struct rig *rig = *state;
    struct talk talk;

    assert_int_equal(
        talk_ask(rig, &talk, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n"),
        200);
    talk_forget(&talk);
    talk_say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST WRONG "Content-Length: 0\r\n\r\n");
    assert_int_equal(talk_hear(&talk), 401);
    talk_forget(&talk);
    talk_say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST BOB "Content-Length: 0\r\n\r\n");
    assert_int_equal(talk_hear(&talk), 403);
    talk_forget(&talk);
    talk_say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n");
    assert_int_equal(talk_hear(&talk), 200);
    assert_non_null(strstr(talk.text, "user=alice"));
    (void)close(talk.fd);
}

static void refuses_wrong_credentials_and_writes_it_down(void **state)
{
    const struct rig *rig = *state;
    char line[1024] = "";
    struct talk talk;

    assert_int_equal(
        talk_ask(rig, &talk, "POST /wsman HTTP/1.1\r\n" HOST WRONG "Content-Length: 1\r\n\r\nx"),
        401);
    assert_int_equal(talk_count(talk.text, "WWW-Authenticate:"), 1);
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

    assert_int_equal(talk_ask_and_leave(rig, "POST /wsman HTTP/1.1\r\n" HOST ALICE ALICE
                                             "Content-Length: 0\r\n\r\n"),
                     401);
    assert_int_equal(talk_ask_and_leave(rig, "POST /wsman HTTP/1.1\r\n" HOST
                                             "Authorization: Negotiate YWxpY2U6c2VjcmV0\r\n"
                                             "Content-Length: 0\r\n\r\n"),
                     401);
    assert_int_equal(talk_ask_and_leave(rig, "POST /wsman HTTP/1.1\r\n" HOST "Authorization:\r\n"
                                             "Content-Length: 0\r\n\r\n"),
                     401);
}

static void lets_nobody_in_who_has_no_role(void **state)
{
    const struct rig *rig = *state;

    assert_int_equal(
        talk_ask_and_leave(rig, "POST /wsman HTTP/1.1\r\n" HOST BOB "Content-Length: 0\r\n\r\n"),
        403);
}

static void answers_an_open_path_for_nobody_and_without_a_client(void **state)
{
    const struct rig *rig = *state;
    struct talk talk;

    assert_int_equal(
        talk_ask(rig, &talk, "POST /open HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx"), 200);
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
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length : 3\r\n\r\nabc", 400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "X-(a): b\r\nContent-Length: 0\r\n\r\n", 400, true},
    {"POST /wsman HTTP/1.1\r\n" HOST ALICE "X-A: b\rc\r\nContent-Length: 0\r\n\r\n", 400, true},
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
        int status = talk_ask(rig, &talk, refusals[i].request);
        if (status != refusals[i].status) {
            fail_msg("%d instead of %d for: %s\n%s", status, refusals[i].status,
                     refusals[i].request, talk.text);
        }
        bool is_closing = strcasestr(talk.text, "Connection: close") != NULL;
        if (is_closing != refusals[i].is_closing) {
            fail_msg("it %s for: %s\n%s", is_closing ? "closes" : "does not close",
                     refusals[i].request, talk.text);
        }
        assert_true(!is_closing || talk_hears_the_end(&talk));
        (void)close(talk.fd);
    }
}

static void says_which_method_it_takes(void **state)
{
    const struct rig *rig = *state;
    struct talk talk;

    assert_int_equal(talk_ask(rig, &talk, "GET /wsman HTTP/1.1\r\n" HOST "\r\n"), 405);
    assert_non_null(strstr(talk.text, "Allow: POST\r\n"));
    (void)close(talk.fd);
}

static void refuses_a_nul_in_the_target(void **state)
{
    static const char request[] =
        "POST /wsman\0x HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n";
    static const char bare[] = "POST /wsman\0 HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n";
    const struct rig *rig = *state;
    struct talk talk = {.fd = talk_dial(rig)};

    talk_say_bytes(talk.fd, request, sizeof request - 1);
    assert_int_equal(talk_hear(&talk), 400);
    (void)close(talk.fd);
    talk = (struct talk){.fd = talk_dial(rig)};
    talk_say_bytes(talk.fd, bare, sizeof bare - 1);
    assert_int_equal(talk_hear(&talk), 400);
    (void)close(talk.fd);
}

static void takes_an_absolute_uri_and_no_word_of_a_proxy(void **state)
{
    const struct rig *rig = *state;
    char line[1024] = "";

    assert_int_equal(talk_ask_and_leave(rig,
                                        "POST http://elsewhere:5985/wsman HTTP/1.1\r\n" HOST ALICE
                                        "Content-Length: 0\r\n\r\n"),
                     200);
    assert_int_equal(talk_ask_and_leave(rig, "POST HTTPS://elsewhere/open?q HTTP/1.1\r\n" HOST
                                             "Content-Length: 0\r\n\r\n"),
                     200);
    assert_int_equal(talk_ask_and_leave(rig,
                                        "POST /wsman HTTP/1.1\r\n" HOST WRONG
                                        "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n"
                                        "Content-Length: 0\r\n\r\n"),
                     401);
    FILE *file = fopen(rig->audit_path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    (void)fclose(file);
    assert_non_null(strstr(line, "\"remote\":\"127.0.0.1:"));
    assert_int_equal(talk_ask_and_leave(rig, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
                                             "POST /wsman HTTP/1.1\r\n" HOST ALICE
                                             "Content-Length: 0\r\n\r\n"),
                     400);
}

static void cuts_a_head_that_is_too_long(void **state)
{
    const struct rig *rig = *state;
    struct talk talk = {.fd = talk_dial(rig)};
    char header[64];

    talk_say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST ALICE);
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(header, sizeof header, "X-%d: y\r\n", i);
        talk_say(talk.fd, header);
    }
    talk_say(talk.fd, "Content-Length: 0\r\n\r\n");
    int status = talk_hear(&talk);
    assert_true(status == 0 || status == 413 || status == 431); /* 0: reset while it was sent */
    (void)close(talk.fd);
}

/* --- bodies ---------------------------------------------------------------------------------- */

static int send_large(const struct rig *rig, const char *head, size_t body_bytes)
{
    struct talk talk = {.fd = talk_dial(rig)};
    char *body = calloc(1, body_bytes + 1);

    assert_non_null(body);
    memset(body, 'x', body_bytes);
    talk_say(talk.fd, head);
    talk_say_bytes(talk.fd, body, body_bytes);
    free(body);
    int status = talk_hear(&talk);
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

    assert_int_equal(talk_ask(rig, &talk,
                              "POST /wsman HTTP/1.1\r\n" HOST ALICE
                              "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
                     200);
    assert_non_null(strstr(talk.text, "bytes=5"));
    (void)close(talk.fd);
    (void)snprintf(head, sizeof head,
                   "POST /wsman HTTP/1.1\r\n" HOST ALICE "Transfer-Encoding: chunked\r\n\r\n"
                   "90000\r\n");
    talk = (struct talk){.fd = talk_dial(rig)};
    talk_say(talk.fd, head);
    char *body = malloc(0x90000);
    assert_non_null(body);
    memset(body, 'x', 0x90000);
    talk_say_bytes(talk.fd, body, 0x90000);
    free(body);
    talk_say(talk.fd, "\r\n0\r\n\r\n");
    assert_int_equal(talk_hear(&talk), 413);
    (void)close(talk.fd);
}

static void says_continue_to_who_waits_for_it(void **state)
{
    const struct rig *rig = *state;
    struct talk talk = {.fd = talk_dial(rig)};

    talk_say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST ALICE
                      "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    while (strstr(talk.text, "\r\n\r\n") == NULL) {
        assert_true(talk_hear_more(&talk, 5));
    }
    assert_non_null(strstr(talk.text, "HTTP/1.1 100 Continue\r\n\r\n"));
    talk.used = 0;
    talk.text[0] = '\0';
    talk_say(talk.fd, "abc");
    assert_int_equal(talk_hear(&talk), 200);
    (void)close(talk.fd);
    /* Who will be refused is told before he sends. */
    assert_int_equal(talk_ask(rig, &talk,
                              "POST /other HTTP/1.1\r\n" HOST ALICE
                              "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"),
                     404);
    (void)close(talk.fd);
}

static void answers_many_requests_sent_at_once(void **state)
{
    const struct rig *rig = *state;
    struct talk talk = {.fd = talk_dial(rig)};

    for (int i = 0; i < 50; i++) {
        talk_say(talk.fd, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 3\r\n\r\nabc");
    }
    for (int i = 0; i < 50; i++) {
        assert_int_equal(talk_hear(&talk), 200);
        talk_forget(&talk);
    }
    (void)close(talk.fd);
}

/* --- waiting --------------------------------------------------------------------------------- */

static void asks_a_parked_request_again_at_its_time(void **state)
{
    const struct rig *rig = *state;
    struct talk talk;
    uint64_t began_ns = rig_now_ns();

    assert_int_equal(
        talk_ask(rig, &talk, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 4\r\n\r\npark"),
        200);
    assert_true(rig_now_ns() - began_ns >= NS_PER_S / 2);
    assert_non_null(strstr(talk.text, "user=alice bytes=4 attempt=1"));
    (void)close(talk.fd);
}

static void asks_a_parked_request_again_when_it_is_woken(void **state)
{
    struct rig *rig = *state;
    struct talk talk = {.fd = talk_dial(rig)};

    talk_say(talk.fd,
             "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 13\r\n\r\npark for long");
    assert_int_equal(sem_wait(&rig->is_parked), 0);
    /* It may be on its way into the list still: then it is asked again all the same. */
    http_wake(rig->http);
    assert_int_equal(talk_hear(&talk), 200);
    assert_non_null(strstr(talk.text, "attempt=1"));
    (void)close(talk.fd);
}

static void asks_a_parked_request_anew_who_it_is(void **state)
{
    struct rig *rig = *state;
    struct talk talk = {.fd = talk_dial(rig)};

    talk_say(talk.fd,
             "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 13\r\n\r\npark for long");
    assert_int_equal(sem_wait(&rig->is_parked), 0);
    assert_int_equal(users_remove(rig->users_path, "alice", NULL), 0);
    http_wake(rig->http);
    assert_int_equal(talk_hear(&talk), 401);
    (void)close(talk.fd);
    rig_add_user(rig, "alice", USER_ADMINISTRATOR, "");
    talk = (struct talk){.fd = talk_dial(rig)};
    talk_say(talk.fd,
             "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 13\r\n\r\npark for long");
    assert_int_equal(sem_wait(&rig->is_parked), 0);
    rig_add_user(rig, "alice", USER_NOBODY, "");
    http_wake(rig->http);
    assert_int_equal(talk_hear(&talk), 403);
    (void)close(talk.fd);
}

static void parks_no_more_of_one_user_than_his_share(void **state)
{
    static const char request[] =
        "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 13\r\n\r\npark for long";
    struct rig *rig = *state;
    struct talk talks[HTTP_PARKED_EACH];

    for (uint32_t i = 0; i < HTTP_PARKED_EACH; i++) {
        talks[i] = (struct talk){.fd = talk_dial(rig)};
        talk_say(talks[i].fd, request);
        assert_int_equal(sem_wait(&rig->is_parked), 0);
    }
    /* The last ones may be on their way into the list still. */
    struct talk last = {.fd = talk_dial(rig)};
    struct pollfd fds = {.fd = last.fd, .events = POLLIN};
    uint32_t waiting = 0;
    talk_say(last.fd, request);
    while (poll(&fds, 1, 1000) != 1 && waiting++ < HTTP_WORKERS) {
        (void)close(last.fd);
        last = (struct talk){.fd = talk_dial(rig)};
        fds.fd = last.fd;
        talk_say(last.fd, request);
    }
    assert_int_equal(talk_hear(&last), 503);
    assert_non_null(strstr(last.text, "too many requests of this user"));
    (void)close(last.fd);
    http_wake(rig->http);
    for (uint32_t i = 0; i < HTTP_PARKED_EACH; i++) {
        assert_int_equal(talk_hear(&talks[i]), 200);
        (void)close(talks[i].fd);
    }
}

static void refuses_more_than_the_queue_takes(void **state)
{
    struct rig *rig = *state;
    struct talk *talks = calloc(HTTP_QUEUE_MAX + HTTP_WORKERS + 1, sizeof *talks);
    uint32_t count = HTTP_QUEUE_MAX + HTTP_WORKERS;

    assert_non_null(talks);
    for (uint32_t i = 0; i < count; i++) {
        talks[i].fd = talk_dial(rig);
        talk_say(talks[i].fd, "POST /open HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nhold");
    }
    /* Somebody is refused when one more asks; which one depends on who was read first. */
    uint32_t refused = 0;
    for (int i = 0; i < 50 && refused == 0; i++) {
        struct talk last = {.fd = talk_dial(rig)};
        struct pollfd fds = {.fd = last.fd, .events = POLLIN};
        talk_say(last.fd, "POST /open HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nhold");
        if (poll(&fds, 1, 200) == 1) {
            assert_int_equal(talk_hear(&last), 503);
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
        assert_int_equal(talk_hear(&talks[i]), 200);
        (void)close(talks[i].fd);
    }
    free(talks);
}

/* --- hostile clients ------------------------------------------------------------------------- */

/* Real time: it is what the deadlines are about. */
static void cuts_those_who_are_no_whole_request_in_time(void **state)
{
    const struct rig *rig = *state;
    struct talk silent = {.fd = talk_dial(rig)};
    struct talk head = {.fd = talk_dial(rig)};
    struct talk body = {.fd = talk_dial(rig)};
    uint64_t began_ns = rig_now_ns();

    talk_say(head.fd, "POST /ws");
    talk_say(body.fd, "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 100\r\n\r\n");
    struct pollfd fds[] = {
        {.fd = silent.fd, .events = POLLIN},
        {.fd = head.fd, .events = POLLIN},
        {.fd = body.fd, .events = POLLIN},
    };
    /* A byte now and then keeps none alive, and others are served. */
    for (int i = 0; i < 8; i++) {
        assert_int_equal(poll(fds, 3, 1000), 0);
        talk_say(head.fd, "m");
        talk_say(body.fd, "x");
        assert_int_equal(talk_ask_and_leave(rig, "POST /wsman HTTP/1.1\r\n" HOST ALICE
                                                 "Content-Length: 0\r\n\r\n"),
                         200);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(poll(&fds[i], 1, 15000), 1);
        (void)close(fds[i].fd);
    }
    uint64_t took_ns = rig_now_ns() - began_ns;
    assert_true(took_ns >= 9 * NS_PER_S && took_ns <= 15 * NS_PER_S);
}

static void stops_with_hostile_clients_attached(void **state)
{
    struct rig *rig = *state;
    int fds[64];
    uint64_t began_ns = 0;

    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        fds[i] = talk_dial(rig);
        switch (i % 4) {
        case 0: /* asks for much, and reads nothing */
            talk_say(fds[i], "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 4\r\n\r\nmuch");
            break;
        case 1: /* half a head */
            talk_say(fds[i], "POST /wsman HTTP/1.1\r\nHo");
            break;
        case 2:
            talk_say(fds[i], "POST /wsman HTTP/1.1\r\n" HOST ALICE
                             "Content-Length: 13\r\n\r\npark for long");
            break;
        default: /* says nothing */
            break;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(fds) / 4; i++) {
        assert_int_equal(sem_wait(&rig->is_parked), 0);
    }
    began_ns = rig_now_ns();
    http_stop(rig->http, 1000);
    assert_true(http_is_idle(rig->http));
    http_free(rig->http);
    rig->http = NULL;
    assert_true(rig_now_ns() - began_ns < 5 * NS_PER_S);
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        (void)close(fds[i]);
    }
}

/* --- where it listens ------------------------------------------------------------------------ */

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
        cmocka_unit_test_setup_teardown(answers_whom_it_knows, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(asks_for_credentials_and_keeps_the_connection, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(knows_by_each_requests_credentials_who_asks_it, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(refuses_wrong_credentials_and_writes_it_down, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(refuses_two_authorization_headers_and_other_schemes,
                                        rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(lets_nobody_in_who_has_no_role, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(answers_an_open_path_for_nobody_and_without_a_client,
                                        rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_request, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(says_which_method_it_takes, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_nul_in_the_target, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(takes_an_absolute_uri_and_no_word_of_a_proxy, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(cuts_a_head_that_is_too_long, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(takes_a_body_up_to_its_limit, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(takes_chunks_and_counts_them, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(says_continue_to_who_waits_for_it, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(answers_many_requests_sent_at_once, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(asks_a_parked_request_again_at_its_time, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(asks_a_parked_request_again_when_it_is_woken, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(asks_a_parked_request_anew_who_it_is, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(parks_no_more_of_one_user_than_his_share, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(refuses_more_than_the_queue_takes, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(cuts_those_who_are_no_whole_request_in_time, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(stops_with_hostile_clients_attached, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(takes_no_passwords_in_clear_text_over_a_network,
                                        rig_set_up_only, rig_tear_down),
        cmocka_unit_test_setup_teardown(says_which_address_cannot_be_had, rig_set_up_only,
                                        rig_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
