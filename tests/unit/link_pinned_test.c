/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link_pinned_test.c - TLS by fingerprints, and everybody whom it turns away. The server's half
 * runs in a thread of its own, which only records.
 */
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certs.h"
#include "points/durable.h"
#include "wire/link.h"
#include "wire/listener.h"
#include "wire/tcp.h"
#include "wire/tls_context.h"

#include <cmocka.h>

#define DEADLINE_NS (20 * NS_PER_S)

static char dir[PATH_TEXT_MAX - 64];

static int make_dir(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    (void)snprintf(dir, sizeof dir, "%s/resilver-pinned-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    return mkdtemp(dir) != NULL && certs_write_set(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return durable_remove_tree(dir, NULL);
}

static const char *in_dir(const char *name, const char *suffix, char path[PATH_TEXT_MAX])
{
    (void)snprintf(path, PATH_TEXT_MAX, "%s/%s%s", dir, name, suffix);
    return path;
}

static struct tls_context *pinned(const char *name, bool is_server)
{
    static const char *const protocols[] = {"one", "two"};
    struct tls_context *context = NULL;
    struct error err = {.kind = ERR_NONE};
    char cert[PATH_TEXT_MAX];
    char key[PATH_TEXT_MAX];

    if (tls_context_new_pinned(in_dir(name, ".pem", cert), in_dir(name, ".key", key), is_server,
                               protocols, is_server ? 2 : 0, &context, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return context;
}

/* Both halves: what became of them. */
struct meeting {
    struct tls_context *server;
    struct listener listener;
    int server_result;
    struct link *server_link;
    struct error server_err;
    int client_result;
    struct link *client_link;
    struct error client_err;
};

static uint64_t deadline(void)
{
    return env_now_ns(env_system()) + DEADLINE_NS;
}

static void *accept_one(void *argument)
{
    struct meeting *m = argument;
    struct pollfd fd = {.fd = m->listener.fd, .events = POLLIN};
    int accepted = -1;

    m->server_result = -1;
    if (poll(&fd, 1, 20000) == 1 &&
        listener_accept(&m->listener, &accepted, &m->server_err) == LISTENER_ACCEPTED) {
        m->server_result = link_accept_pinned(m->server, accepted, deadline(), env_system(),
                                              &m->server_link, &m->server_err);
    }
    return NULL;
}

static void begin(struct meeting *m, const char *server, pthread_t *thread)
{
    m->server = pinned(server, true);
    assert_int_equal(listener_open("127.0.0.1:0", &m->listener, NULL), 0);
    assert_int_equal(pthread_create(thread, NULL, accept_one, m), 0);
}

static void end(struct meeting *m, pthread_t thread)
{
    (void)pthread_join(thread, NULL);
    link_close(m->client_link);
    link_close(m->server_link);
    listener_close(&m->listener);
    tls_context_free(m->server);
}

static const char *port_of(const struct meeting *m)
{
    return strrchr(m->listener.shown, ':') + 1;
}

static struct meeting *meet(struct tls_context *client, const char *protocol,
                            const uint8_t *fingerprint, struct meeting *m)
{
    pthread_t thread;

    begin(m, "server-self-signed", &thread);
    m->client_result =
        link_connect_pinned(client, "127.0.0.1", port_of(m), protocol, fingerprint, deadline(),
                            env_system(), &m->client_link, &m->client_err);
    (void)pthread_join(thread, NULL);
    return m;
}

static void leave(struct meeting *m, struct tls_context *client)
{
    link_close(m->client_link);
    link_close(m->server_link);
    listener_close(&m->listener);
    tls_context_free(m->server);
    tls_context_free(client);
}

static void both_know_who_is_there_and_what_is_spoken(void **state)
{
    struct tls_context *client = pinned("client-expired", false); /* dates count for nothing */
    struct meeting m = {.server_result = 0};
    uint8_t fingerprint[FINGERPRINT_BYTES];

    (void)state;
    meet(client, "two", NULL, &m);
    assert_int_equal(m.client_result, 0);
    assert_int_equal(m.server_result, 0);
    assert_true(m.client_link->has_fingerprint && m.server_link->has_fingerprint);
    assert_string_equal(m.client_link->protocol, "two");
    assert_string_equal(m.server_link->protocol, "two");
    assert_memory_equal(m.client_link->secret, m.server_link->secret, LINK_SECRET_BYTES);
    assert_memory_not_equal(m.client_link->fingerprint, m.server_link->fingerprint,
                            FINGERPRINT_BYTES);
    memcpy(fingerprint, m.client_link->fingerprint, sizeof fingerprint);
    leave(&m, NULL);
    m = (struct meeting){.server_result = 0};
    meet(client, "one", fingerprint, &m);
    assert_int_equal(m.client_result, 0);
    leave(&m, client);
}

static void another_certificate_is_refused_with_both_fingerprints(void **state)
{
    static const uint8_t other[FINGERPRINT_BYTES] = {0xab, 0xcd};
    struct tls_context *client = pinned("client-self-signed", false);
    struct meeting m = {.server_result = 0};

    (void)state;
    meet(client, "one", other, &m);
    assert_int_equal(m.client_result, -1);
    assert_int_equal(m.server_result, -1); /* nor does it learn who we are */
    assert_int_equal(m.client_err.kind, ERR_PEER);
    assert_non_null(strstr(m.client_err.message, "abcd0000"));
    assert_non_null(strstr(m.client_err.message, "pair both hosts again"));
    leave(&m, client);
}

static void an_unknown_protocol_is_no_handshake(void **state)
{
    struct tls_context *client = pinned("client-self-signed", false);
    struct meeting m = {.server_result = 0};

    (void)state;
    meet(client, "three", NULL, &m);
    assert_int_equal(m.client_result, -1);
    assert_int_equal(m.server_result, -1);
    assert_non_null(strstr(m.client_err.message, "does not speak our protocol"));
    assert_non_null(strstr(m.server_err.message, "none of our protocols"));
    leave(&m, client);
}

/* A client of OpenSSL alone, with these rules. Returns once the server's half is over. */
static void meet_openssl(SSL_CTX *rules, struct meeting *m)
{
    static const unsigned char offer[] = "\3one";
    pthread_t thread;
    SSL *ssl = SSL_new(rules);

    begin(m, "server-self-signed", &thread);
    int fd = tcp_connect("127.0.0.1", port_of(m), "server", env_system(), deadline(), NULL);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0); /* blocking */
    assert_int_equal(SSL_set_alpn_protos(ssl, offer, sizeof offer - 1), 0);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    (void)SSL_connect(ssl); /* what the client believes does not matter */
    (void)pthread_join(thread, NULL);
    SSL_free(ssl);
    (void)close(fd);
    listener_close(&m->listener);
    link_close(m->server_link);
    tls_context_free(m->server);
    assert_int_equal(m->server_result, -1);
    assert_int_equal(m->server_err.kind, ERR_PEER);
}

static void no_certificate_and_old_tls_are_refused(void **state)
{
    SSL_CTX *rules = SSL_CTX_new(TLS_client_method());
    struct meeting m = {.server_result = 0};

    (void)state;
    meet_openssl(rules, &m);
    assert_non_null(strstr(m.server_err.message, "gave no certificate"));
    assert_int_equal(SSL_CTX_set_max_proto_version(rules, TLS1_2_VERSION), 1);
    m = (struct meeting){.server_result = 0};
    meet_openssl(rules, &m);
    assert_non_null(strstr(m.server_err.message, "older TLS"));
    SSL_CTX_free(rules);
}

static void plain_text_is_refused(void **state)
{
    struct meeting m = {.server_result = 0};
    pthread_t thread;

    (void)state;
    begin(&m, "server-self-signed", &thread);
    int fd = tcp_connect("127.0.0.1", port_of(&m), "server", env_system(), deadline(), NULL);
    assert_true(send(fd, "hello, here I am\n", 17, MSG_NOSIGNAL) == 17);
    end(&m, thread);
    (void)close(fd);
    assert_int_equal(m.server_result, -1);
    assert_non_null(strstr(m.server_err.message, "does not speak TLS"));
}

static void a_client_of_a_ca_speaks_none_of_our_protocols(void **state)
{
    struct meeting m = {.server_result = 0};
    struct tls_context *client = NULL;
    char cert[PATH_TEXT_MAX];
    char key[PATH_TEXT_MAX];
    char ca[PATH_TEXT_MAX];
    const struct tls_files files = {.cert = in_dir("client", ".pem", cert),
                                    .key = in_dir("client", ".key", key),
                                    .ca = in_dir("ca", ".pem", ca)};
    pthread_t thread;

    (void)state;
    assert_int_equal(tls_context_new(&files, false, &client, NULL), 0);
    begin(&m, "server", &thread); /* one that the CA's client would take */
    m.client_result = link_connect_tls(client, "127.0.0.1", port_of(&m), env_system(),
                                       &m.client_link, &m.client_err);
    end(&m, thread);
    assert_int_equal(m.server_result, -1);
    assert_non_null(strstr(m.server_err.message, "none of our protocols"));
    tls_context_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_know_who_is_there_and_what_is_spoken),
        cmocka_unit_test(another_certificate_is_refused_with_both_fingerprints),
        cmocka_unit_test(an_unknown_protocol_is_no_handshake),
        cmocka_unit_test(no_certificate_and_old_tls_are_refused),
        cmocka_unit_test(plain_text_is_refused),
        cmocka_unit_test(a_client_of_a_ca_speaks_none_of_our_protocols),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
