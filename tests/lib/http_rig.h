/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http_rig.h - for tests: listeners of the gateway with a small handler, users, an audit log, and a
 * client that says anything. Whatever fails is a failure of the test.
 */
#ifndef RESILVER_TESTS_HTTP_RIG_H
#define RESILVER_TESTS_HTTP_RIG_H

#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/users.h"
#include "gateway/audit.h"
#include "gateway/auth.h"
#include "gateway/http.h"

#define ALICE "Authorization: Basic YWxpY2U6c2VjcmV0\r\n"     /* alice:secret */
#define WRONG "Authorization: Basic YWxpY2U6bWlzdGFrZW4=\r\n" /* alice:mistaken */
#define BOB "Authorization: Basic Ym9iOnNlY3JldA==\r\n"       /* bob:secret; he has no role */
#define HOST "Host: localhost\r\n"

struct rig {
    char folder[32];
    char users_path[64];
    char audit_path[64];
    char certificate_path[64]; /* the gateway's */
    char key_path[64];
    char client_path[64]; /* a client's, which is carol's */
    char client_key_path[64];
    char stranger_path[64]; /* nobody's */
    char stranger_key_path[64];
    struct auth *auth;
    struct audit *audit;
    struct http *http;
    struct http_protocol protocol;
    uint16_t port;
    sem_t gate;      /* "hold" waits for it */
    sem_t is_parked; /* was posted when "park" was asked the first time */
};

struct talk {
    int fd;
    size_t used;
    char text[16384]; /* the answer */
};

uint64_t rig_now_ns(void);
void rig_add_user(const struct rig *rig, const char *name, enum user_role role,
                  const char *fingerprint);
struct rig *rig_new(void);
int rig_start(struct rig *rig, const char *address, struct error *err);
int rig_set_up(void **state);
int rig_tear_down(void **state);
int talk_dial(const struct rig *rig);
void talk_say_bytes(int fd, const char *bytes, size_t count);
void talk_say(int fd, const char *text);
bool talk_hear_more(struct talk *talk, int seconds);
size_t talk_whole(const char *text);
int talk_hear(struct talk *talk);
bool talk_hears_the_end(struct talk *talk);
void talk_forget(struct talk *talk);
int talk_ask(const struct rig *rig, struct talk *talk, const char *request);
int talk_ask_and_leave(const struct rig *rig, const char *request);
unsigned talk_count(const char *text, const char *word);
int rig_set_up_only(void **state);

#endif
