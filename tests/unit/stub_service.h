/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stub_service.h - a service that knows some objects by heart, behind a real socket: for tests of
 * what is made of them. Included by one test.
 */
#ifndef RESILVER_TESTS_STUB_SERVICE_H
#define RESILVER_TESTS_STUB_SERVICE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attributes.h"

/* What is said to one request; the first that fits. */
struct stub_answer {
    const char *request; /* "GET /v1/host" */
    const char *body;
};

struct stub {
    char folder[32];
    char path[64];
    int fd;
    const struct stub_answer *answers;
    uint32_t answer_count;
    atomic_uint calls;
    char last[4096]; /* the last request, whole; read it after the call it belongs to */
    pthread_t thread;
};

static inline unsigned int stub_length(const char *request)
{
    const char *length = strstr(request, "Content-Length: ");
    unsigned int bytes = 0;

    return length != NULL && sscanf(length, "Content-Length: %u", &bytes) == 1 ? bytes : 0;
}

static inline void stub_read(struct stub *stub, int fd)
{
    size_t len = 0;

    for (;;) {
        ssize_t got = read(fd, stub->last + len, sizeof stub->last - 1 - len);
        if (got <= 0) {
            return;
        }
        len += (size_t)got;
        stub->last[len] = '\0';
        const char *end = strstr(stub->last, "\r\n\r\n");
        if (end != NULL && strlen(end + 4) >= stub_length(stub->last)) {
            return;
        }
    }
}

static const char *stub_find(const struct stub *stub)
{
    for (uint32_t i = 0; i < stub->answer_count; i++) {
        size_t len = strlen(stub->answers[i].request);
        if (strncmp(stub->last, stub->answers[i].request, len) == 0 && stub->last[len] == ' ') {
            return stub->answers[i].body;
        }
    }
    return NULL;
}

static inline void stub_say(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the client went; its test says so */
        }
        bytes += sent;
        count -= (size_t)sent;
    }
}

static inline void stub_answer_one(struct stub *stub, int fd)
{
    static const char missing[] =
        "{\"error\": {\"kind\": \"usage\", \"message\": \"it is not there\","
        " \"return_value\": 32773, \"return_name\": \"\"}}";
    char head[256];

    stub->last[0] = '\0';
    stub_read(stub, fd);
    const char *body = stub_find(stub);
    int len =
        snprintf(head, sizeof head,
                 "HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 body != NULL ? "200 OK" : "404 Not Found", strlen(body != NULL ? body : missing));
    atomic_fetch_add(&stub->calls, 1);
    stub_say(fd, head, (size_t)len);
    stub_say(fd, body != NULL ? body : missing, strlen(body != NULL ? body : missing));
}

static inline void *stub_run(void *argument)
{
    struct stub *stub = argument;

    for (;;) {
        int fd = accept(stub->fd, NULL, NULL);
        if (fd < 0) {
            return NULL; /* stub_stop() */
        }
        stub_answer_one(stub, fd);
        (void)close(fd);
    }
}

static inline void stub_start(struct stub *stub, const struct stub_answer *answers,
                              uint32_t answer_count)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *stub = (struct stub){.answers = answers, .answer_count = answer_count};
    (void)snprintf(stub->folder, sizeof stub->folder, "/tmp/stub-service-XXXXXX");
    assert_non_null(mkdtemp(stub->folder));
    (void)snprintf(stub->path, sizeof stub->path, "%s/control.sock", stub->folder);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", stub->path);
    stub->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(stub->fd >= 0);
    assert_int_equal(bind(stub->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(stub->fd, 16), 0);
    assert_int_equal(pthread_create(&stub->thread, NULL, stub_run, stub), 0);
}

static inline void stub_stop(struct stub *stub)
{
    assert_int_equal(shutdown(stub->fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(stub->thread, NULL), 0);
    (void)close(stub->fd);
    (void)unlink(stub->path);
    assert_int_equal(rmdir(stub->folder), 0);
}

#endif
