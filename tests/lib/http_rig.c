/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http_rig.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* --- a gateway with a small handler ---------------------------------------------------------- */

uint64_t rig_now_ns(void)
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
            rig_now_ns() + (body_is(request, "park") ? NS_PER_S / 2 : 600 * NS_PER_S);
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

void rig_add_user(const struct rig *rig, const char *name, enum user_role role,
                  const char *fingerprint)
{
    struct user user = {.role = role};

    (void)snprintf(user.name, sizeof user.name, "%s", name);
    (void)snprintf(user.fingerprint, sizeof user.fingerprint, "%s", fingerprint);
    assert_int_equal(users_hash("secret", user.hash, NULL), 0);
    assert_int_equal(users_set(rig->users_path, &user, NULL), 0);
}

struct rig *rig_new(void)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/gateway.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->users_path, sizeof rig->users_path, "%s/users", rig->folder);
    (void)snprintf(rig->audit_path, sizeof rig->audit_path, "%s/audit", rig->folder);
    rig_add_user(rig, "alice", USER_ADMINISTRATOR, "");
    rig_add_user(rig, "bob", USER_NOBODY, "");
    assert_int_equal(auth_new(env_system(), rig->users_path, &rig->auth, NULL), 0);
    assert_int_equal(audit_log_open(env_system(), rig->audit_path, &rig->audit, NULL), 0);
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

int rig_start(struct rig *rig, const char *address, struct error *err)
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

int rig_set_up(void **state)
{
    struct rig *rig = rig_new();

    *state = rig;
    assert_int_equal(rig_start(rig, "127.0.0.1:0", NULL), 0);
    rig->port = http_port(rig->http, 0);
    return 0;
}

int rig_tear_down(void **state)
{
    struct rig *rig = *state;

    if (rig->http != NULL) {
        http_stop(rig->http, 100);
        http_free(rig->http);
    }
    auth_free(rig->auth);
    audit_log_close(rig->audit);
    (void)unlink(rig->users_path);
    (void)unlink(rig->audit_path);
    (void)rmdir(rig->folder);
    free(rig);
    return 0;
}

/* --- a client that says anything -------------------------------------------------------------- */

int talk_dial(const struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(rig->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void talk_say_bytes(int fd, const char *bytes, size_t count)
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

void talk_say(int fd, const char *text)
{
    talk_say_bytes(fd, text, strlen(text));
}

/* Waits for more; false: the end. */
bool talk_hear_more(struct talk *talk, int seconds)
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

size_t talk_whole(const char *text)
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
int talk_hear(struct talk *talk)
{
    int status = 0;

    while (talk_whole(talk->text) == 0 || talk_whole(talk->text) > talk->used) {
        if (!talk_hear_more(talk, 20)) {
            break;
        }
    }
    (void)sscanf(talk->text, "HTTP/1.%*d %d", &status);
    return status;
}

bool talk_hears_the_end(struct talk *talk)
{
    while (talk_hear_more(talk, 5)) {
    }
    return true;
}

void talk_forget(struct talk *talk)
{
    size_t bytes = talk_whole(talk->text);

    memmove(talk->text, talk->text + bytes, talk->used - bytes + 1);
    talk->used -= bytes;
}

int talk_ask(const struct rig *rig, struct talk *talk, const char *request)
{
    *talk = (struct talk){.fd = talk_dial(rig)};
    talk_say(talk->fd, request);
    return talk_hear(talk);
}

int talk_ask_and_leave(const struct rig *rig, const char *request)
{
    struct talk talk;
    int status = talk_ask(rig, &talk, request);

    (void)close(talk.fd);
    return status;
}

unsigned talk_count(const char *text, const char *word)
{
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        count++;
    }
    return count;
}

int rig_set_up_only(void **state)
{
    *state = rig_new();
    return 0;
}
