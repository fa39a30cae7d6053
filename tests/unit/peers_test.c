/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peers_test.c - hosts in one process that meet over loopback: questions, pairing, and what the
 * port does with everybody else. The test's thread is every host's service.
 */
#include "peer/peers.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_service.h"
#include "peer/pairing_talk.h"
#include "points/durable.h"
#include "wire/link.h"
#include "wire/listener.h"
#include "wire/tcp.h"

#include <cmocka.h>

#define WAIT_MS 20000
#define ASK_S 10U

/* A clock that runs as the real one, and can be set forward. */
struct clock {
    uint64_t ahead_ns;
};

static uint64_t clock_now(void *context)
{
    const struct clock *clock = context;

    return env_now_ns(env_system()) + __atomic_load_n(&clock->ahead_ns, __ATOMIC_SEQ_CST);
}

static int clock_random(void *context, struct span out, struct error *err)
{
    (void)context;
    return env_random(env_system(), out, err);
}

static int64_t clock_wall(void *context)
{
    (void)context;
    return env_wall_us(env_system());
}

struct host {
    char dir[PATH_TEXT_MAX];
    struct clock clock;
    struct env env;
    struct identity identity;
    struct mailbox *mailbox;
    struct service service;
    struct peers *peers;
    char address[LISTENER_SHOWN_MAX];
};

static char base[PATH_TEXT_MAX - 64];

static struct host *host_new(const char *name)
{
    struct host *host = calloc(1, sizeof *host);
    struct error err = {.kind = ERR_NONE};

    assert_non_null(host);
    (void)snprintf(host->dir, sizeof host->dir, "%s/%s", base, name);
    assert_int_equal(durable_make_dir(host->dir, &err), 0);
    host->env = (struct env){.now_ns = clock_now,
                             .random = clock_random,
                             .wall_us = clock_wall,
                             .context = &host->clock};
    assert_int_equal(identity_open(host->dir, name, &host->identity, &err), 0);
    assert_int_equal(mailbox_new(&host->mailbox, &err), 0);
    struct peers_config config = {.env = &host->env,
                                  .identity = &host->identity,
                                  .mailbox = host->mailbox,
                                  .host_name = name,
                                  .advertise_address = "there.example:8490",
                                  .listen_address = "127.0.0.1:0"};
    if (peers_new(&config, &host->peers, &err) < 0 ||
        peers_begin(host->peers, &host->service, &err) < 0) {
        fail_msg("%s", err.message);
    }
    (void)snprintf(host->address, sizeof host->address, "%s", peers_listening_at(host->peers));
    return host;
}

static void host_free(struct host *host)
{
    peers_stop(host->peers);
    for (int turns = 0; !peers_is_idle(host->peers) && turns < WAIT_MS; turns++) {
        struct pollfd fd = {.fd = mailbox_fd(host->mailbox), .events = POLLIN};
        (void)poll(&fd, 1, 1);
        mailbox_run(host->mailbox);
    }
    mailbox_shut(host->mailbox);
    peers_free(host->peers);
    mailbox_free(host->mailbox);
    char tls[PATH_TEXT_MAX + 8];
    (void)snprintf(tls, sizeof tls, "%s/tls", host->dir);
    assert_int_equal(durable_remove_tree(tls, NULL), 0);
    assert_int_equal(durable_remove(host->dir, NULL), 0);
    free(host);
}

static struct pairing first_of(const struct host *host)
{
    struct pairing shown = {.state = PAIRING_INVALID};

    if (pairing_count(host->peers) > 0) {
        pairing_at(host->peers, 0, &shown);
    }
    return shown;
}

/* Runs the services of both until is_so, at most WAIT_MS. */
static void run_until(struct host *a, struct host *b, bool (*is_so)(struct host *, struct host *))
{
    uint64_t deadline_ns = env_now_ns(env_system()) + WAIT_MS * NS_PER_MS;

    while (!is_so(a, b)) {
        struct pollfd fds[] = {{.fd = mailbox_fd(a->mailbox), .events = POLLIN},
                               {.fd = mailbox_fd(b->mailbox), .events = POLLIN}};
        (void)poll(fds, 2, 1);
        mailbox_run(a->mailbox);
        mailbox_run(b->mailbox);
        if (env_now_ns(env_system()) > deadline_ns) {
            struct pairing at_a = first_of(a);
            struct pairing at_b = first_of(b);
            fail_msg("it did not come so; pairings: %d %s, %d %s", (int)at_a.state, at_a.message,
                     (int)at_b.state, at_b.message);
        }
    }
}

static void ask(struct host *from, const struct host *to, const uint8_t *fingerprint,
                enum peer_call call, uint32_t deadline_s)
{
    struct peer_address address = {.address = ""};
    struct peer_question question = {.call = call};
    struct error err = {.kind = ERR_NONE};
    const struct outside *outside = peers_outside(from->peers);

    (void)snprintf(address.address, sizeof address.address, "%.263s", to->address);
    memcpy(address.fingerprint, fingerprint, FINGERPRINT_BYTES);
    assert_int_equal(outside->ask(outside->context, 7, &address, &question, deadline_s, &err), 0);
}

static bool is_answered(struct host *a, struct host *b)
{
    (void)b;
    return a->service.answered_count > 0;
}

/* --- questions ------------------------------------------------------------------------------- */

static void a_paired_host_is_answered(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");

    (void)state;
    b->service.is_everybody_known = true;
    ask(a, b, b->identity.fingerprint, PEER_HELLO, ASK_S);
    run_until(a, b, is_answered);
    assert_int_equal(a->service.answered.end, PEER_ANSWERED);
    assert_int_equal(a->service.answered_token, 7);
    assert_string_equal(a->service.answered.host_name, "asked");
    assert_int_equal(b->service.asked_count, 1);
    assert_int_equal(b->service.asked_call, PEER_HELLO);
    host_free(a);
    host_free(b);
}

static void a_stranger_is_turned_away_unheard(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");

    (void)state;
    ask(a, b, b->identity.fingerprint, PEER_HELLO, ASK_S);
    run_until(a, b, is_answered);
    assert_int_equal(a->service.answered.end, PEER_UNREACHABLE);
    assert_int_equal(b->service.asked_count, 0);
    host_free(a);
    host_free(b);
}

static void another_certificate_than_the_paired_one_is_told(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");

    (void)state;
    b->service.is_everybody_known = true;
    ask(a, b, a->identity.fingerprint, PEER_HELLO, ASK_S);
    run_until(a, b, is_answered);
    assert_int_equal(a->service.answered.end, PEER_UNREACHABLE);
    assert_non_null(strstr(a->service.answered.message, "pair both hosts again"));
    assert_int_equal(b->service.asked_count, 0);
    host_free(a);
    host_free(b);
}

/* Connects without ever speaking. */
static int connect_silently(const struct host *host)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    unsigned port = 0;

    assert_int_equal(sscanf(host->address, "127.0.0.1:%u", &port), 1);
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void a_host_that_says_nothing_is_silent(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");
    struct listener mute = {.fd = -1};
    struct error err = {.kind = ERR_NONE};

    (void)state;
    assert_int_equal(listener_open("127.0.0.1:0", &mute, &err), 0);
    (void)snprintf(b->address, sizeof b->address, "%s", mute.shown);
    ask(a, b, b->identity.fingerprint, PEER_HELLO, 1);
    run_until(a, b, is_answered);
    assert_int_equal(a->service.answered.end, PEER_SILENT);
    listener_close(&mute);
    a->service.answered_count = 0;
    ask(a, b, b->identity.fingerprint, PEER_HELLO, ASK_S);
    run_until(a, b, is_answered);
    assert_int_equal(a->service.answered.end, PEER_UNREACHABLE);
    host_free(a);
    host_free(b);
}

/* --- the port -------------------------------------------------------------------------------- */

#define FLOOD 100

/* The flood comes from 127.0.0.1; whoever is served comes from another address of loopback. */
static int connect_from(const struct host *host, const char *source)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    unsigned port = 0;

    assert_int_equal(sscanf(host->address, "127.0.0.1:%u", &port), 1);
    to.sin_port = htons((uint16_t)port);
    assert_int_equal(inet_pton(AF_INET, source, &from.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(tcp_tune(fd, source, NULL), 0);
    return fd;
}

struct visit {
    struct tls_context *context;
    int fd;
    int result;
    struct error err;
    const char *protocol;
};

static void *run_visit(void *argument)
{
    struct visit *visit = argument;
    struct link *link = NULL;

    visit->result = link_connect_pinned_on(visit->context, visit->fd, "b", visit->protocol, NULL,
                                           env_now_ns(env_system()) + WAIT_MS * NS_PER_MS,
                                           env_system(), &link, &visit->err);
    link_close(link);
    return NULL;
}

static uint32_t served_before;

static bool is_served(struct host *a, struct host *b)
{
    (void)a;
    (void)b;
    return fake_sessions_served() > served_before;
}

static bool is_closed(int fd)
{
    char byte = 0;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) > 0 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static void a_flood_of_one_address_holds_up_no_other(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");
    struct visit visit = {.protocol = PEER_ALPN_SESSION};
    int fds[FLOOD];
    pthread_t thread;
    uint32_t closed_count = 0;

    (void)state;
    b->service.is_everybody_known = true;
    for (int i = 0; i < FLOOD; i++) {
        fds[i] = connect_silently(b);
    }
    served_before = fake_sessions_served();
    visit.fd = connect_from(b, "127.0.0.2");
    assert_int_equal(tls_context_new_pinned(a->identity.cert_path, a->identity.key_path, false,
                                            NULL, 0, &visit.context, &visit.err),
                     0);
    assert_int_equal(pthread_create(&thread, NULL, run_visit, &visit), 0);
    run_until(a, b, is_served);
    (void)pthread_join(thread, NULL);
    assert_int_equal(visit.result, 0);
    for (int i = 0; i < FLOOD; i++) {
        closed_count += is_closed(fds[i]) ? 1 : 0;
    }
    assert_int_equal(closed_count, FLOOD - PEER_CONNECTIONS_EACH);
    for (int i = 0; i < FLOOD; i++) {
        (void)close(fds[i]);
    }
    tls_context_free(visit.context);
    host_free(a);
    host_free(b);
}

static int stalled_fd;

static bool is_stalled_closed(struct host *a, struct host *b)
{
    (void)a;
    (void)b;
    return is_closed(stalled_fd);
}

static void a_stalled_handshake_is_closed(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");

    (void)state;
    b->service.is_everybody_known = true;
    stalled_fd = connect_silently(b);
    ask(a, b, b->identity.fingerprint, PEER_HELLO, ASK_S);
    run_until(a, b, is_answered); /* so the one before it was accepted, too */
    assert_int_equal(a->service.answered.end, PEER_ANSWERED);
    assert_false(is_closed(stalled_fd));
    /* One byte wakes the connection's thread, which then looks at the clock that was set. */
    __atomic_store_n(&b->clock.ahead_ns, 2 * HANDSHAKE_TIMEOUT_S * NS_PER_S, __ATOMIC_SEQ_CST);
    assert_true(send(stalled_fd, "\26", 1, MSG_NOSIGNAL) == 1);
    struct pollfd fd = {.fd = stalled_fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, HANDSHAKE_TIMEOUT_S * 1000), 1);
    assert_true(is_stalled_closed(a, b));
    (void)close(stalled_fd);
    host_free(a);
    host_free(b);
}

static bool is_known_asked(struct host *a, struct host *b)
{
    (void)a;
    return b->service.known_count > 0;
}

static void a_revoked_host_is_cut_at_once(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");
    struct tls_context *context = NULL;
    struct link *link = NULL;
    struct pollfd fds[LINK_POLL_MAX];
    uint8_t byte = 0;

    (void)state;
    b->service.is_everybody_known = true;
    assert_int_equal(tls_context_new_pinned(a->identity.cert_path, a->identity.key_path, false,
                                            NULL, 0, &context, NULL),
                     0);
    assert_int_equal(link_connect_pinned(context, "127.0.0.1", strchr(b->address, ':') + 1,
                                         PEER_ALPN_CALL, b->identity.fingerprint,
                                         env_now_ns(env_system()) + WAIT_MS * NS_PER_MS,
                                         env_system(), &link, NULL),
                     0);
    run_until(a, b, is_known_asked);
    const struct outside *outside = peers_outside(b->peers);
    outside->cut(outside->context, b->identity.fingerprint); /* another's: nothing happens */
    assert_int_equal(link_read(link, (struct span){&byte, 1}, NULL), LINK_AGAIN);
    outside->cut(outside->context, a->identity.fingerprint);
    size_t count = link->ops->poll_on(link, true, false, fds);
    assert_int_equal(poll(fds, (nfds_t)count, WAIT_MS / 4), 1);
    assert_true(link_read(link, (struct span){&byte, 1}, NULL) < 0);
    link_close(link);
    tls_context_free(context);
    host_free(a);
    host_free(b);
}

static void plain_text_is_closed(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");

    (void)state;
    stalled_fd = connect_silently(b);
    assert_true(send(stalled_fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL) == 18);
    /* TLS's alert may come first: read to the end. */
    char bytes[64];
    struct pollfd fd = {.fd = stalled_fd, .events = POLLIN};
    while (poll(&fd, 1, WAIT_MS) > 0 && recv(stalled_fd, bytes, sizeof bytes, 0) > 0) {
    }
    assert_true(is_stalled_closed(a, b));
    (void)close(stalled_fd);
    host_free(a);
    host_free(b);
}

/* --- pairing --------------------------------------------------------------------------------- */

static bool have_codes(struct host *a, struct host *b)
{
    return first_of(a).state == PAIRING_CODE && first_of(b).state == PAIRING_CODE;
}

static bool are_done(struct host *a, struct host *b)
{
    return first_of(a).state == PAIRING_DONE && first_of(b).state == PAIRING_DONE;
}

static bool have_failed(struct host *a, struct host *b)
{
    /* Both are looked at each time: a clock that was set forward is noticed by the next look. */
    bool has_a_failed = first_of(a).state == PAIRING_FAILED;
    bool has_b_failed = first_of(b).state == PAIRING_FAILED;

    return has_a_failed && has_b_failed;
}

static void begin_pairing(struct host *asking, struct host *asked)
{
    struct pairing shown;
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(pairing_wait(asked->peers, &shown, &err), 0);
    assert_int_equal(pairing_confirm(asked->peers, &shown.id, "000000", &shown, &err), -1);
    assert_int_equal(err.kind, ERR_WRONG_STATE);
    assert_int_equal(pairing_ask(asking->peers, asked->address, &shown, &err), 0);
    run_until(asking, asked, have_codes);
}

static void confirm(struct host *host, const char *code)
{
    struct pairing shown = first_of(host);
    struct error err = {.kind = ERR_NONE};

    assert_int_equal(pairing_confirm(host->peers, &shown.id, code, &shown, &err), 0);
    assert_int_equal(shown.state, PAIRING_CONFIRMED);
}

static void both_sides_see_one_code_and_keep_each_other(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");

    (void)state;
    begin_pairing(a, b);
    assert_string_equal(first_of(a).code, first_of(b).code);
    assert_int_equal(strlen(first_of(a).code), 6);
    confirm(a, first_of(b).code);
    assert_int_equal(a->service.host_count, 0);
    confirm(b, first_of(a).code);
    run_until(a, b, are_done);
    assert_int_equal(a->service.host_count, 1);
    assert_string_equal(a->service.hosts[0].name, "b");
    assert_string_equal(a->service.hosts[0].address, b->address);
    assert_memory_equal(a->service.hosts[0].fingerprint, b->identity.fingerprint,
                        FINGERPRINT_BYTES);
    assert_int_equal(b->service.host_count, 1);
    assert_string_equal(b->service.hosts[0].name, "a");
    assert_string_equal(b->service.hosts[0].address, "there.example:8490");
    assert_memory_equal(b->service.hosts[0].fingerprint, a->identity.fingerprint,
                        FINGERPRINT_BYTES);
    ask(a, b, b->identity.fingerprint, PEER_HELLO, ASK_S);
    run_until(a, b, is_answered);
    assert_int_equal(a->service.answered.end, PEER_ANSWERED);
    host_free(a);
    host_free(b);
}

static void a_wrong_code_ends_the_pairing_on_both_sides(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");
    struct error err = {.kind = ERR_NONE};

    (void)state;
    begin_pairing(a, b);
    struct pairing shown = first_of(a);
    const char *wrong = strcmp(shown.code, "123456") == 0 ? "123457" : "123456";
    assert_int_equal(pairing_confirm(a->peers, &shown.id, wrong, &shown, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    run_until(a, b, have_failed);
    assert_int_equal(a->service.host_count + b->service.host_count, 0);
    host_free(a);
    host_free(b);
}

static void nobody_is_paired_without_a_window(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");
    struct pairing shown;
    struct error err = {.kind = ERR_NONE};

    (void)state;
    assert_int_equal(pairing_ask(a->peers, b->address, &shown, &err), 0);
    while (first_of(a).state == PAIRING_WAITING) {
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(first_of(a).state, PAIRING_FAILED);
    assert_int_equal(pairing_count(b->peers), 0);
    host_free(a);
    host_free(b);
}

static void a_pairing_that_nobody_confirms_expires(void **state)
{
    struct host *a = host_new("a");
    struct host *b = host_new("b");

    (void)state;
    begin_pairing(a, b);
    confirm(a, first_of(a).code);
    __atomic_store_n(&b->clock.ahead_ns, PAIRING_WAIT_S * NS_PER_S, __ATOMIC_SEQ_CST);
    run_until(a, b, have_failed);
    assert_non_null(strstr(first_of(b).message, "in time"));
    assert_int_equal(a->service.host_count + b->service.host_count, 0);
    host_free(a);
    host_free(b);
}

/* Whoever stands in between has a certificate of his own to either side. */
struct mallory {
    struct tls_context *client;
    struct tls_context *server;
    struct listener listener;
    const struct host *self; /* his certificate */
    const struct host *asked;
    int met_count;
};

static int meet_as(struct mallory *mallory, struct link *link, bool is_asker)
{
    const struct pairings_config config = {.env = env_system(),
                                           .identity = &mallory->self->identity,
                                           .host_name = "m",
                                           .advertise_address = ""};
    struct pairing_meeting met;

    return pairing_meet(&config, link, is_asker, env_now_ns(env_system()) + WAIT_MS * NS_PER_MS,
                        &met, NULL);
}

static void *run_mallory(void *argument)
{
    struct mallory *mallory = argument;
    struct pollfd fd = {.fd = mallory->listener.fd, .events = POLLIN};
    uint64_t deadline_ns = env_now_ns(env_system()) + WAIT_MS * NS_PER_MS;
    struct link *links[2] = {NULL, NULL};
    int accepted = -1;

    if (poll(&fd, 1, WAIT_MS) == 1 &&
        listener_accept(&mallory->listener, &accepted, NULL) == LISTENER_ACCEPTED &&
        link_accept_pinned(mallory->server, accepted, deadline_ns, env_system(), &links[0], NULL) ==
            0 &&
        link_connect_pinned(mallory->client, "127.0.0.1", strchr(mallory->asked->address, ':') + 1,
                            PEER_ALPN_PAIR, NULL, deadline_ns, env_system(), &links[1],
                            NULL) == 0) {
        mallory->met_count += meet_as(mallory, links[0], false) == 0 ? 1 : 0;
        mallory->met_count += meet_as(mallory, links[1], true) == 0 ? 1 : 0;
    }
    /* He stays until the hosts give up: they close. */
    for (int i = 0; i < 2; i++) {
        if (links[i] != NULL) {
            bool is_confirmed = false;
            const struct pairings_config config = {.env = env_system()};
            (void)!pairing_hear(&config, links[i], deadline_ns, &is_confirmed, NULL);
            link_close(links[i]);
        }
    }
    return NULL;
}

static void somebody_in_between_shows_two_codes(void **state)
{
    static const char *const protocols[] = {PEER_ALPN_PAIR};
    struct host *a = host_new("a");
    struct host *b = host_new("b");
    struct host *m = host_new("m");
    struct mallory mallory = {.self = m, .asked = b};
    struct pairing shown;
    struct error err = {.kind = ERR_NONE};
    pthread_t thread;

    (void)state;
    assert_int_equal(tls_context_new_pinned(m->identity.cert_path, m->identity.key_path, false,
                                            NULL, 0, &mallory.client, &err),
                     0);
    assert_int_equal(tls_context_new_pinned(m->identity.cert_path, m->identity.key_path, true,
                                            protocols, 1, &mallory.server, &err),
                     0);
    assert_int_equal(listener_open("127.0.0.1:0", &mallory.listener, &err), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_mallory, &mallory), 0);
    assert_int_equal(pairing_wait(b->peers, &shown, &err), 0);
    assert_int_equal(pairing_ask(a->peers, mallory.listener.shown, &shown, &err), 0);
    run_until(a, b, have_codes);
    assert_string_not_equal(first_of(a).code, first_of(b).code);
    struct pairing at_a = first_of(a);
    struct pairing at_b = first_of(b);
    assert_int_equal(pairing_confirm(a->peers, &at_a.id, at_b.code, &shown, &err), -1);
    assert_int_equal(pairing_refuse(b->peers, &at_b.id, &shown, &err), 0);
    (void)pthread_join(thread, NULL);
    assert_int_equal(mallory.met_count, 2);
    assert_int_equal(a->service.host_count + b->service.host_count, 0);
    listener_close(&mallory.listener);
    tls_context_free(mallory.client);
    tls_context_free(mallory.server);
    host_free(a);
    host_free(b);
    host_free(m);
}

static int make_base(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    (void)snprintf(base, sizeof base, "%s/resilver-peers-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    return mkdtemp(base) == NULL ? -1 : 0;
}

static int remove_base(void **state)
{
    (void)state;
    return rmdir(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_paired_host_is_answered),
        cmocka_unit_test(a_stranger_is_turned_away_unheard),
        cmocka_unit_test(another_certificate_than_the_paired_one_is_told),
        cmocka_unit_test(a_host_that_says_nothing_is_silent),
        cmocka_unit_test(a_flood_of_one_address_holds_up_no_other),
        cmocka_unit_test(a_stalled_handshake_is_closed),
        cmocka_unit_test(a_revoked_host_is_cut_at_once),
        cmocka_unit_test(plain_text_is_closed),
        cmocka_unit_test(both_sides_see_one_code_and_keep_each_other),
        cmocka_unit_test(a_wrong_code_ends_the_pairing_on_both_sides),
        cmocka_unit_test(somebody_in_between_shows_two_codes),
        cmocka_unit_test(nobody_is_paired_without_a_window),
        cmocka_unit_test(a_pairing_that_nobody_confirms_expires),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
