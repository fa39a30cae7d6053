/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link_tls_test.c - both halves of a TLS link over loopback, and what they say to wrong
 * certificates and wrong peers. Certificates come from tests/lib/certs.c. The second half runs in a
 * thread of its own, which only records; the test's thread judges.
 */
#include "wire/link.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certs.h"
#include "wire/tls_context.h"

#include <cmocka.h>

#define TEST_DEADLINE_MS 20000
#define SHORT_NS (300 * NS_PER_MS)

static char dir[PATH_TEXT_MAX];

static int make_dir(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    (void)snprintf(dir, sizeof dir, "%s/resilver-tls-XXXXXX", base == NULL ? "/tmp" : base);
    return mkdtemp(dir) != NULL && certs_write_set(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    DIR *open_dir = opendir(dir);
    struct dirent *entry;

    (void)state;
    if (open_dir == NULL) {
        return -1;
    }
    while ((entry = readdir(open_dir)) != NULL) {
        (void)unlinkat(dirfd(open_dir), entry->d_name, 0); /* "." and ".." refuse */
    }
    (void)closedir(open_dir);
    return rmdir(dir);
}

/* --- contexts ------------------------------------------------------------------------------- */

static const char *in_dir(const char *name, const char *suffix, char path[PATH_TEXT_MAX])
{
    int used = snprintf(path, PATH_TEXT_MAX, "%s/%s%s", dir, name, suffix);

    assert_true(used > 0 && used < PATH_TEXT_MAX);
    return path;
}

static int try_context(const char *cert, const char *key, const char *ca, bool is_server,
                       struct tls_context **out, struct error *err)
{
    char cert_path[PATH_TEXT_MAX];
    char key_path[PATH_TEXT_MAX];
    char ca_path[PATH_TEXT_MAX];
    struct tls_files files = {.cert = in_dir(cert, "", cert_path),
                              .key = in_dir(key, "", key_path),
                              .ca = in_dir(ca, "", ca_path)};

    return tls_context_new(&files, is_server, out, err);
}

static struct tls_context *good_context(bool is_server)
{
    struct tls_context *context = NULL;
    struct error err = {.kind = ERR_NONE};

    if (try_context(is_server ? "server.pem" : "client.pem",
                    is_server ? "server.key" : "client.key", "ca.pem", is_server, &context,
                    &err) < 0) {
        fail_msg("%s", err.message);
    }
    return context;
}

/* A context with this certificate even if tls_context_new would not take it. */
static struct tls_context *context_with(const char *name, bool is_server)
{
    struct tls_context *context = good_context(is_server);
    char path[PATH_TEXT_MAX];

    assert_int_equal(SSL_CTX_use_certificate_chain_file(context->rules, in_dir(name, ".pem", path)),
                     1);
    assert_int_equal(
        SSL_CTX_use_PrivateKey_file(context->rules, in_dir(name, ".key", path), SSL_FILETYPE_PEM),
        1);
    return context;
}

static void assert_words(const struct error *err, const char *words)
{
    assert_int_not_equal(err->kind, ERR_NONE);
    if (strstr(err->message, words) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", err->message, words);
    }
}

/* --- two halves ----------------------------------------------------------------------------- */

static int listen_on_loopback(char port[8], int backlog)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len_bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len_bytes), 0);
    (void)snprintf(port, 8, "%u", ntohs(address.sin_port));
    return fd;
}

static int connect_to(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* The server's half, in its thread. */
struct half {
    struct tls_context *context;
    int listen_fd;
    int result;
    struct link *link;
    struct error err;
};

static void *accept_one(void *context)
{
    struct half *half = context;
    int fd = accept4(half->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    half->result =
        fd < 0 ? -1 : link_accept_tls(half->context, fd, env_system(), &half->link, &half->err);
    return NULL;
}

struct meeting {
    struct half server;
    int client_result;
    struct link *client;
    struct error client_err;
};

/* Takes both contexts. */
static struct meeting meet(struct tls_context *server, struct tls_context *client, const char *host)
{
    struct meeting m = {.server.context = server};
    char port[8];
    pthread_t thread;

    m.server.listen_fd = listen_on_loopback(port, 1);
    assert_int_equal(pthread_create(&thread, NULL, accept_one, &m.server), 0);
    m.client_result = link_connect_tls(client, host, port, env_system(), &m.client, &m.client_err);
    (void)pthread_join(thread, NULL);
    (void)close(m.server.listen_fd);
    tls_context_free(server);
    tls_context_free(client);
    return m;
}

static struct meeting meet_well(void)
{
    struct meeting m = meet(good_context(true), good_context(false), "localhost");

    if (m.client_result != 0 || m.server.result != 0) {
        fail_msg("%s / %s", m.client_err.message, m.server.err.message);
    }
    return m;
}

static void part(struct meeting *m)
{
    link_close(m->client);
    link_close(m->server.link);
}

/* Reads once more than "again". */
static ssize_t read_once(struct link *link, void *into, size_t size_bytes, struct error *err)
{
    struct pollfd fds[LINK_POLL_MAX];

    for (;;) {
        ssize_t got = link_read(link, (struct span){into, size_bytes}, err);
        if (got != LINK_AGAIN) {
            return got;
        }
        size_t count = link->ops->poll_on(link, true, false, fds);
        assert_true(poll(fds, (nfds_t)count, TEST_DEADLINE_MS) > 0);
    }
}

static ssize_t write_text(struct link *link, const char *text, struct error *err)
{
    return link_write(link, (struct const_span){(const uint8_t *)text, strlen(text)}, err);
}

/* --- the good case -------------------------------------------------------------------------- */

#define TRANSFER_BYTES (64 * MIB)
#define PATTERN_BYTES 1048573U /* a prime: no chunk size fits into it */
#define CHUNK_MAX (300 * KIB)

static uint8_t pattern[PATTERN_BYTES + CHUNK_MAX];

static uint64_t next_random(uint64_t *seed)
{
    /* splitmix64 */
    uint64_t z = (*seed += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static void fill_pattern(uint64_t seed)
{
    for (size_t i = 0; i < PATTERN_BYTES; i++) {
        pattern[i] = (uint8_t)next_random(&seed);
    }
    memcpy(pattern + PATTERN_BYTES, pattern, CHUNK_MAX);
}

/* Mostly middling, often tiny, sometimes large. */
static size_t random_length(uint64_t *seed, uint64_t left_bytes)
{
    static const size_t limits[] = {1, 17, 16384, 70000, CHUNK_MAX};
    size_t limit = limits[next_random(seed) % ARRAY_COUNT(limits)];
    size_t length = 1 + next_random(seed) % limit;

    return length < left_bytes ? length : left_bytes;
}

/* One half of the transfer: sends the pattern, checks that it receives it, as the loop would. */
struct pump {
    struct link *link;
    uint64_t seed;
    uint64_t sent_bytes;
    uint64_t received_bytes;
    size_t again_count;
    const char *complaint; /* NULL: all went well */
    struct error err;
    uint8_t buffer[CHUNK_MAX];
};

static void pump_write(struct pump *p)
{
    uint64_t left_bytes = TRANSFER_BYTES - p->sent_bytes;
    struct const_span bytes = {pattern + p->sent_bytes % PATTERN_BYTES,
                               random_length(&p->seed, left_bytes)};
    ssize_t put = link_write(p->link, bytes, &p->err);

    if (put < 0 || (size_t)put > bytes.len_bytes) {
        p->complaint = "write failed";
        return;
    }
    p->again_count += put == LINK_AGAIN ? 1 : 0;
    p->sent_bytes += (uint64_t)put;
    if (p->sent_bytes == TRANSFER_BYTES) {
        p->link->ops->shutdown(p->link);
    }
}

/* Returns true at the peer's end. */
static bool pump_read(struct pump *p)
{
    struct span into = {p->buffer, random_length(&p->seed, CHUNK_MAX)};
    ssize_t got = link_read(p->link, into, &p->err);

    if (got == LINK_CLOSED) {
        return true;
    }
    if (got < 0 || (size_t)got > into.len_bytes) {
        p->complaint = "read failed";
    } else if (memcmp(p->buffer, pattern + p->received_bytes % PATTERN_BYTES, (size_t)got) != 0) {
        p->complaint = "what arrived is not what was sent";
    } else {
        p->received_bytes += (uint64_t)got;
    }
    return false;
}

static void *pump_all(void *context)
{
    struct pump *p = context;
    struct pollfd fds[LINK_POLL_MAX];
    bool is_closed = false;

    while (p->complaint == NULL && (!is_closed || p->sent_bytes < TRANSFER_BYTES)) {
        bool want_write = p->sent_bytes < TRANSFER_BYTES;
        bool has_buffered = !is_closed && p->link->ops->has_buffered(p->link);
        size_t count = p->link->ops->poll_on(p->link, !is_closed, want_write, fds);
        int ready = poll(fds, (nfds_t)count, has_buffered ? 0 : TEST_DEADLINE_MS);
        if (ready == 0 && !has_buffered) {
            p->complaint = "nothing came for too long";
        } else if (want_write && (fds[0].revents & POLLOUT) != 0) {
            pump_write(p);
        }
        if (p->complaint == NULL && !is_closed &&
            (has_buffered || (fds[0].revents & (POLLIN | POLLHUP)) != 0)) {
            is_closed = pump_read(p);
        }
    }
    link_close(p->link); /* what the peer waits for may be in here yet */
    return NULL;
}

static _Atomic unsigned key_updates;

static void count_key_updates(int is_write, int version, int content_type, const void *bytes,
                              size_t len_bytes, SSL *ssl, void *context)
{
    (void)version;
    (void)ssl;
    (void)context;
    if (is_write != 0 && content_type == SSL3_RT_HANDSHAKE && len_bytes > 0 &&
        *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE) {
        key_updates++;
    }
}

/* Small buffers make many writes end in the middle of a record. */
static void shrink_buffer(struct link *link)
{
    struct pollfd fds[LINK_POLL_MAX];
    const int bytes = 50000; /* the kernel doubles it */

    assert_int_equal(link->ops->poll_on(link, true, true, fds), 1);
    assert_int_equal(setsockopt(fds[0].fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
}

static uint64_t choose_seed(void)
{
    const char *given = getenv("LINK_TLS_TEST_SEED");
    uint64_t seed = env_now_ns(env_system());

    seed = given != NULL ? strtoull(given, NULL, 10) : seed;
    print_message("LINK_TLS_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void both_directions_carry_everything_at_once(void **state)
{
    struct tls_context *server = good_context(true);
    struct tls_context *client = good_context(false);
    uint64_t seed = choose_seed();
    pthread_t thread;

    (void)state;
    fill_pattern(seed);
    server->rekey_after_bytes = 1 * MIB;
    client->rekey_after_bytes = 1 * MIB;
    SSL_CTX_set_msg_callback(server->rules, count_key_updates);
    SSL_CTX_set_msg_callback(client->rules, count_key_updates);
    key_updates = 0;
    struct meeting m = meet(server, client, "localhost");
    assert_int_equal(m.client_result, 0);
    assert_int_equal(m.server.result, 0);
    shrink_buffer(m.client);
    struct pump *near_end = calloc(1, sizeof *near_end);
    struct pump *far_end = calloc(1, sizeof *far_end);
    assert_true(near_end != NULL && far_end != NULL);
    near_end->link = m.client;
    near_end->seed = seed + 1;
    far_end->link = m.server.link;
    far_end->seed = seed + 2;
    assert_int_equal(pthread_create(&thread, NULL, pump_all, far_end), 0);
    (void)pump_all(near_end);
    (void)pthread_join(thread, NULL);
    if (near_end->complaint != NULL || far_end->complaint != NULL) {
        fail_msg("%s (%s) / %s (%s)", near_end->complaint, near_end->err.message,
                 far_end->complaint, far_end->err.message);
    }
    assert_int_equal(near_end->received_bytes, TRANSFER_BYTES);
    assert_int_equal(far_end->received_bytes, TRANSFER_BYTES);
    assert_true(near_end->again_count > 0); /* the small buffer was felt */
    assert_true(key_updates >= 2 * 50);
    free(near_end);
    free(far_end);
}

static void both_halves_have_one_secret_and_each_session_another(void **state)
{
    struct meeting first = meet_well();
    struct meeting second = meet_well();

    (void)state;
    assert_true(first.client->has_secret && first.server.link->has_secret);
    assert_memory_equal(first.client->secret, first.server.link->secret, LINK_SECRET_BYTES);
    assert_memory_not_equal(first.client->secret, second.client->secret, LINK_SECRET_BYTES);
    assert_string_equal(first.client->ops->name, "tls");
    part(&first);
    part(&second);
}

static void the_client_is_named_by_its_certificate(void **state)
{
    struct meeting m = meet_well();

    (void)state;
    assert_int_equal(strncmp(m.server.link->peer, "127.0.0.1:", 10), 0);
    assert_non_null(strstr(m.server.link->peer, " (client.example)"));
    assert_int_equal(strncmp(m.client->peer, "localhost:", 10), 0);
    assert_true(link_peer_has_name(m.server.link, "client.example"));
    assert_true(link_peer_has_name(m.server.link, "Client.Example"));
    assert_false(link_peer_has_name(m.server.link, "client")); /* the common name does not count */
    assert_false(link_peer_has_name(m.server.link, "other.example"));
    assert_false(link_peer_has_name(m.server.link, ".example"));
    assert_false(link_peer_has_name(m.server.link, ""));
    assert_true(link_peer_has_name(m.client, "localhost"));
    part(&m);

    m = meet(good_context(true), context_with("client-cn", false), "127.0.0.1");
    assert_int_equal(m.server.result, 0);
    assert_true(link_peer_has_name(m.server.link, "client.example")); /* it has no other name */
    assert_non_null(strstr(m.server.link->peer, " (client.example)"));
    part(&m);
}

static void a_proper_end_is_closed_and_the_other_direction_goes_on(void **state)
{
    struct meeting m = meet_well();
    struct error err = {.kind = ERR_NONE};
    char text[16];

    (void)state;
    assert_int_equal(write_text(m.client, "last", NULL), 4);
    m.client->ops->shutdown(m.client);
    assert_int_equal(read_once(m.server.link, text, sizeof text, &err), 4);
    assert_int_equal(read_once(m.server.link, text, sizeof text, &err), LINK_CLOSED);
    assert_int_equal(read_once(m.server.link, text, sizeof text, &err), LINK_CLOSED);
    assert_int_equal(err.kind, ERR_NONE);
    assert_false(m.server.link->ops->has_buffered(m.server.link));
    assert_int_equal(write_text(m.server.link, "answer", &err), 6);
    assert_int_equal(read_once(m.client, text, sizeof text, &err), 6);
    part(&m);
}

/* The peer says why it ends and goes, with data of ours unread: its words are not lost. */
static void last_words_are_read_after_a_failed_write(void **state)
{
    struct meeting m = meet_well();
    struct error err = {.kind = ERR_NONE};
    char text[16];
    ssize_t put = 0;

    (void)state;
    assert_int_equal(write_text(m.client, "unread", NULL), 6);
    assert_int_equal(write_text(m.server.link, "reason", NULL), 6);
    link_close(m.server.link);
    for (int n = 0; n < 100000 && put >= 0; n++) {
        put = write_text(m.client, "more", &err);
    }
    assert_int_equal(put, LINK_FAILED);
    assert_int_equal(err.kind, ERR_PEER);
    assert_words(&err, "closed the connection");
    assert_int_equal(read_once(m.client, text, sizeof text, &err), 6);
    assert_memory_equal(text, "reason", 6);
    assert_int_equal(read_once(m.client, text, sizeof text, &err), LINK_CLOSED);
    assert_int_equal(write_text(m.client, "more", &err), LINK_FAILED);
    link_close(m.client);
}

/* --- wrong certificates --------------------------------------------------------------------- */

struct refusal {
    const char *name; /* of the wrong certificate */
    const char *host; /* the client connects to; NULL: localhost */
    const char *ours; /* words of the side that refuses it */
    const char *cure;
    const char *theirs; /* words of the side whose certificate it is */
};

static const struct refusal server_refusals[] = {
    {"server-other-ca", NULL, "names \"Test CA\" as its signer", "add that CA to the file",
     "unknown CA"},
    {"server-other-name", NULL, "is for db1.example, 192.0.2.1, not for localhost",
     "connect by a name that it bears", "bad certificate"},
    {"server-other-name", "127.0.0.1", "is for db1.example, 192.0.2.1, not for 127.0.0.1",
     "connect by a name that it bears", "bad certificate"},
    {"server-expired", NULL, "its certificate \"server\" expired on 20", "renew it",
     "certificate expired"},
    {"server-future", NULL, "its certificate \"server\" is not valid before 20", "clocks",
     "bad certificate"},
    {"server-self-signed", NULL, "is self-signed and is not in our CA file", "have a CA sign it",
     "unknown CA"},
    {"server-for-clients", NULL, "made for another purpose: a server needs", "serverAuth",
     "unsupported certificate"},
};

static void a_wrong_server_is_refused_by_the_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(server_refusals); i++) {
        const struct refusal *r = &server_refusals[i];
        struct meeting m = meet(context_with(r->name, true), good_context(false),
                                r->host == NULL ? "localhost" : r->host);
        print_message("%s: %s\n    %s\n", r->name, m.client_err.message, m.server.err.message);
        assert_int_equal(m.client_result, -1);
        assert_int_equal(m.server.result, -1);
        assert_null(m.client);
        assert_null(m.server.link);
        assert_int_equal(m.client_err.kind, ERR_PEER);
        assert_int_equal(m.server.err.kind, ERR_PEER);
        assert_words(&m.client_err, r->ours);
        assert_words(&m.client_err, r->cure);
        assert_words(&m.server.err, "the client refused our certificate: ");
        assert_words(&m.server.err, r->theirs);
    }
}

static const struct refusal client_refusals[] = {
    {"client-other-ca", NULL, "names \"Test CA\" as its signer", "add that CA to the file",
     "unknown CA (that host's CA file"},
    {"client-expired", NULL, "its certificate \"client\" expired on 20", "renew it",
     "certificate expired (renew it"},
    {"client-future", NULL, "its certificate \"client\" is not valid before 20", "clocks",
     "bad certificate (it bears another name, is not valid yet"},
    {"client-self-signed", NULL, "is self-signed and is not in our CA file", "have a CA sign it",
     "unknown CA"},
    {"client-for-servers", NULL, "made for another purpose: a client needs", "clientAuth",
     "unsupported certificate (it was made for another purpose"},
};

/* TLS 1.3: the client has finished its handshake when the server refuses it. */
static void a_wrong_client_is_refused_by_the_server(void **state)
{
    char text[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(client_refusals); i++) {
        const struct refusal *r = &client_refusals[i];
        struct meeting m = meet(good_context(true), context_with(r->name, false), "localhost");
        assert_int_equal(m.server.result, -1);
        assert_null(m.server.link);
        assert_words(&m.server.err, r->ours);
        assert_words(&m.server.err, r->cure);
        assert_int_equal(m.client_result, 0);
        struct error err = {.kind = ERR_NONE};
        assert_int_equal(read_once(m.client, text, sizeof text, &err), LINK_FAILED);
        print_message("%s: %s\n    %s\n", r->name, m.server.err.message, err.message);
        assert_int_equal(err.kind, ERR_PEER);
        assert_words(&err, "the server refused our certificate: ");
        assert_words(&err, r->theirs);
        part(&m);
    }
}

/* The client's first use of the link is to write, more than once; the reason must not be lost. */
static void a_refused_client_that_writes_learns_why(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct meeting m =
            meet(good_context(true), context_with("client-expired", false), "127.0.0.1");
        struct error err = {.kind = ERR_NONE};
        ssize_t put = 0;
        assert_int_equal(m.client_result, 0);
        for (int n = 0; n < 1000 && put >= 0; n++) {
            put = write_text(m.client, "hello", &err);
        }
        assert_int_equal(put, LINK_FAILED);
        assert_words(&err, "the server refused our certificate: certificate expired");
        part(&m);
    }
}

/* --- peers that are something else ---------------------------------------------------------- */

/* What the peer in the thread does with its connection. */
enum manner {
    SAY_NOTHING,
    SAY_HTTP,
    SAY_SSH,
    DRIP,
    CLOSE_AT_ONCE,
    TLS12,
    NO_CERTIFICATE,
    TRUNCATE,
    RESET,
};

struct stranger {
    enum manner manner;
    bool is_server;
    int listen_fd;  /* is_server */
    char port[8];   /* else: where our server listens */
    int release_fd; /* the stranger stays until this can be read */
};

static SSL *stranger_tls(const struct stranger *s, SSL_CTX *rules, int fd)
{
    const char *name = s->is_server ? "server" : "client";
    char path[PATH_TEXT_MAX];

    if (s->manner != NO_CERTIFICATE) {
        (void)SSL_CTX_use_certificate_chain_file(rules, in_dir(name, ".pem", path));
        (void)SSL_CTX_use_PrivateKey_file(rules, in_dir(name, ".key", path), SSL_FILETYPE_PEM);
    }
    if (s->manner == TLS12) {
        (void)SSL_CTX_set_max_proto_version(rules, TLS1_2_VERSION);
    }
    SSL *ssl = SSL_new(rules);
    (void)SSL_set_fd(ssl, fd);
    if ((s->is_server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1 &&
        (s->manner == TRUNCATE || s->manner == RESET)) {
        (void)SSL_write(ssl, "begun", 5);
    }
    return ssl;
}

static void stranger_drip(const struct stranger *s, int fd)
{
    struct pollfd release = {.fd = s->release_fd, .events = POLLIN};
    ssize_t put = send(fd, "\x16\x03\x03\x02\x00", 5, MSG_NOSIGNAL);

    /* A handshake record of 512 bytes, one every 20 ms: it would take 10 s. */
    while (put > 0 && poll(&release, 1, 20) == 0) {
        put = send(fd, "\x01", 1, MSG_NOSIGNAL);
    }
}

static void stranger_behave(const struct stranger *s, int fd)
{
    struct pollfd release = {.fd = s->release_fd, .events = POLLIN};
    SSL_CTX *rules = SSL_CTX_new(s->is_server ? TLS_server_method() : TLS_client_method());
    SSL *ssl = NULL;

    switch (s->manner) {
    case SAY_NOTHING:
        break;
    case SAY_HTTP:
        (void)send(fd, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL);
        break;
    case SAY_SSH:
        (void)send(fd, "SSH-2.0-OpenSSH_9.2p1\r\n", 23, MSG_NOSIGNAL);
        break;
    case DRIP:
        stranger_drip(s, fd);
        break;
    case CLOSE_AT_ONCE:
        break;
    case TLS12:
    case NO_CERTIFICATE:
    case TRUNCATE:
    case RESET:
        ssl = stranger_tls(s, rules, fd);
        break;
    }
    if (s->manner != CLOSE_AT_ONCE && s->manner != TRUNCATE) {
        (void)poll(&release, 1, TEST_DEADLINE_MS);
    }
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    if (s->manner == RESET) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    (void)close(fd); /* before SSL_free, and so without a closing message */
    SSL_free(ssl);
    SSL_CTX_free(rules);
}

static void *stranger_run(void *context)
{
    const struct stranger *s = context;
    int fd = s->is_server ? accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC) : connect_to(s->port);

    if (fd >= 0) {
        stranger_behave(s, fd);
    }
    return NULL;
}

/* One of us meets a stranger. Returns what link_accept_tls or link_connect_tls did. */
struct encounter {
    int result;
    struct link *link;
    struct error err;
    uint64_t took_ns;
    int release_fds[2];
    int listen_fd;
    pthread_t thread;
    struct stranger stranger;
};

static void encounter_begin(struct encounter *e, enum manner manner, bool stranger_is_server,
                            uint64_t timeout_ns)
{
    struct tls_context *context = good_context(!stranger_is_server);

    *e = (struct encounter){.stranger = {.manner = manner, .is_server = stranger_is_server}};
    context->handshake_timeout_ns = timeout_ns;
    e->listen_fd = listen_on_loopback(e->stranger.port, 1);
    assert_int_equal(pipe(e->release_fds), 0);
    e->stranger.listen_fd = e->listen_fd;
    e->stranger.release_fd = e->release_fds[0];
    assert_int_equal(pthread_create(&e->thread, NULL, stranger_run, &e->stranger), 0);
    uint64_t start_ns = env_now_ns(env_system());
    if (stranger_is_server) {
        e->result = link_connect_tls(context, "127.0.0.1", e->stranger.port, env_system(), &e->link,
                                     &e->err);
    } else {
        int fd = accept4(e->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(fd >= 0);
        e->result = link_accept_tls(context, fd, env_system(), &e->link, &e->err);
    }
    e->took_ns = env_now_ns(env_system()) - start_ns;
    tls_context_free(context);
}

static void encounter_release(struct encounter *e)
{
    assert_int_equal(write(e->release_fds[1], "x", 1), 1);
    (void)pthread_join(e->thread, NULL);
}

static void encounter_end(struct encounter *e)
{
    link_close(e->link);
    (void)close(e->release_fds[0]);
    (void)close(e->release_fds[1]);
    (void)close(e->listen_fd);
}

static void strangers_are_refused(void **state)
{
    static const struct {
        enum manner manner;
        bool is_server;
        bool is_slow;
        const char *words;
        const char *cure;
    } cases[] = {
        {SAY_HTTP, false, false, "does not speak TLS but HTTP", "the right port"},
        {SAY_HTTP, true, false, "does not speak TLS", "the right port"},
        {SAY_SSH, true, false, "does not speak TLS", "the right port"},
        {SAY_SSH, false, false, "does not speak TLS", "the right port"},
        {SAY_NOTHING, false, true, "timed out: the TLS handshake", "within 0.3 s"},
        {SAY_NOTHING, true, true, "timed out: the TLS handshake", "within 0.3 s"},
        {DRIP, false, true, "timed out: the TLS handshake", "within 0.3 s"},
        {DRIP, true, true, "timed out: the TLS handshake", "within 0.3 s"},
        {CLOSE_AT_ONCE, false, false, "closed the connection during the TLS handshake", ""},
        {CLOSE_AT_ONCE, true, false, "closed the connection during the TLS handshake", ""},
        {TLS12, false, false, "the client speaks only an older TLS", "TLS 1.3"},
        {TLS12, true, false, "the server speaks only an older TLS", "TLS 1.3"},
        {NO_CERTIFICATE, false, false, "the client gave no certificate", "our CA signed"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct encounter e;
        encounter_begin(&e, cases[i].manner, cases[i].is_server,
                        cases[i].is_slow ? SHORT_NS : HANDSHAKE_TIMEOUT_S * NS_PER_S);
        encounter_release(&e);
        print_message("%s\n", e.err.message);
        assert_int_equal(e.result, -1);
        assert_null(e.link);
        assert_int_equal(e.err.kind, ERR_PEER);
        assert_words(&e.err, cases[i].words);
        assert_words(&e.err, cases[i].cure);
        /* A peer that sends a byte now and then does not extend the deadline. */
        assert_true(!cases[i].is_slow || e.took_ns >= SHORT_NS);
        assert_true(e.took_ns < HANDSHAKE_TIMEOUT_S * NS_PER_S);
        encounter_end(&e);
    }
}

static void a_truncated_stream_is_a_failure(void **state)
{
    struct encounter e;
    struct error err = {.kind = ERR_NONE};
    char text[16];

    (void)state;
    for (int is_server = 0; is_server < 2; is_server++) {
        encounter_begin(&e, TRUNCATE, is_server == 1, HANDSHAKE_TIMEOUT_S * NS_PER_S);
        if (e.result != 0) {
            fail_msg("%s", e.err.message);
        }
        assert_int_equal(read_once(e.link, text, sizeof text, &err), 5);
        assert_int_equal(read_once(e.link, text, sizeof text, &err), LINK_FAILED);
        print_message("%s\n", err.message);
        assert_int_equal(err.kind, ERR_PEER);
        assert_words(&err, "was cut: it ended without TLS's closing message");
        assert_int_equal(read_once(e.link, text, sizeof text, &err), LINK_FAILED); /* for good */
        encounter_release(&e);
        encounter_end(&e);
    }
}

static void a_reset_is_a_failure(void **state)
{
    struct encounter e;
    struct error err = {.kind = ERR_NONE};
    char text[16];

    (void)state;
    encounter_begin(&e, RESET, false, HANDSHAKE_TIMEOUT_S * NS_PER_S);
    assert_int_equal(e.result, 0);
    assert_int_equal(read_once(e.link, text, sizeof text, &err), 5);
    encounter_release(&e);
    assert_int_equal(read_once(e.link, text, sizeof text, &err), LINK_FAILED);
    assert_int_equal(err.kind, ERR_PEER);
    assert_words(&err, "closed the connection");
    assert_int_equal(write_text(e.link, "x", &err), LINK_FAILED);
    encounter_end(&e);
}

/* --- somebody in between -------------------------------------------------------------------- */

/* Carries bytes both ways and changes one bit of what the client sends when told to. */
struct relay {
    int listen_fd;
    char port[8]; /* the server's */
    _Atomic bool is_evil;
    bool has_changed;
};

/* Returns false at the end of `from`. */
static bool relay_some(struct relay *r, int from, int to, bool may_change)
{
    uint8_t bytes[4096];
    ssize_t got = recv(from, bytes, sizeof bytes, 0);

    if (got <= 0) {
        return false;
    }
    if (may_change && r->is_evil && !r->has_changed) {
        bytes[got - 1] ^= 1;
        r->has_changed = true;
    }
    return send(to, bytes, (size_t)got, MSG_NOSIGNAL) == got;
}

static void *relay_run(void *context)
{
    struct relay *r = context;
    int near_fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    int far_fd = connect_to(r->port);
    struct pollfd fds[2] = {{.fd = near_fd, .events = POLLIN}, {.fd = far_fd, .events = POLLIN}};
    bool goes_on = near_fd >= 0 && far_fd >= 0;

    while (goes_on && poll(fds, 2, TEST_DEADLINE_MS) > 0) {
        if (fds[0].revents != 0) {
            goes_on = relay_some(r, near_fd, far_fd, true);
        }
        if (goes_on && fds[1].revents != 0) {
            goes_on = relay_some(r, far_fd, near_fd, false);
        }
    }
    (void)close(near_fd);
    (void)close(far_fd);
    return NULL;
}

static void one_changed_bit_on_the_way_is_a_failure(void **state)
{
    struct half server = {.context = good_context(true)};
    struct tls_context *client_context = good_context(false);
    struct relay relay = {.has_changed = false};
    struct link *client = NULL;
    struct error err = {.kind = ERR_NONE};
    pthread_t server_thread;
    pthread_t relay_thread;
    char port[8];
    char text[16];

    (void)state;
    server.listen_fd = listen_on_loopback(relay.port, 1);
    relay.listen_fd = listen_on_loopback(port, 1);
    assert_int_equal(pthread_create(&server_thread, NULL, accept_one, &server), 0);
    assert_int_equal(pthread_create(&relay_thread, NULL, relay_run, &relay), 0);
    assert_int_equal(
        link_connect_tls(client_context, "localhost", port, env_system(), &client, &err), 0);
    (void)pthread_join(server_thread, NULL);
    assert_int_equal(server.result, 0);
    assert_int_equal(write_text(client, "good", &err), 4);
    assert_int_equal(read_once(server.link, text, sizeof text, &err), 4);
    relay.is_evil = true;
    assert_int_equal(write_text(client, "evil", &err), 4);
    assert_int_equal(read_once(server.link, text, sizeof text, &err), LINK_FAILED);
    print_message("%s\n", err.message);
    assert_words(&err, "what arrived was changed on the way");
    link_close(client);
    link_close(server.link);
    (void)pthread_join(relay_thread, NULL);
    assert_true(relay.has_changed);
    (void)close(server.listen_fd);
    (void)close(relay.listen_fd);
    tls_context_free(server.context);
    tls_context_free(client_context);
}

/* --- files ---------------------------------------------------------------------------------- */

static void bad_files_are_refused_by_name(void **state)
{
    static const struct {
        const char *cert;
        const char *key;
        const char *ca;
        bool is_server;
        const char *words;
        const char *cure;
    } cases[] = {
        {"missing.pem", "client.key", "ca.pem", false, "missing.pem", "No such file"},
        {"client.pem", "missing.key", "ca.pem", false, "missing.key", "No such file"},
        {"client.pem", "client.key", "missing.pem", false, "CA file", "No such file"},
        {"garbage.pem", "client.key", "ca.pem", false, "garbage.pem holds no certificate",
         "BEGIN CERTIFICATE"},
        {"client.pem", "garbage.pem", "ca.pem", false, "garbage.pem holds no private key",
         "BEGIN PRIVATE KEY"},
        {"client.pem", "client.key", "garbage.pem", false, "garbage.pem holds no certificate",
         "BEGIN CERTIFICATE"},
        {"", "client.key", "ca.pem", false, "is not a file", "name a PEM file"},
        {"client.pem", "client-readable.key", "ca.pem", false, "others may read the private key",
         "chmod 600"},
        {"client.pem", "server.key", "ca.pem", false, "server.key does not belong to",
         "made together"},
        {"client.pem", "client-locked.key", "ca.pem", false, "is locked by a passphrase",
         "openssl pkey"},
        {"client-expired.pem", "client-expired.key", "ca.pem", false, "expired on 20", "renew it"},
        {"client-future.pem", "client-future.key", "ca.pem", false, "is not valid before 20",
         "clock"},
        {"client.pem", "client.key", "ca.pem", true, "made for another purpose", "serverAuth"},
        {"server.pem", "server.key", "ca.pem", false, "made for another purpose", "clientAuth"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct tls_context *context = NULL;
        struct error err = {.kind = ERR_NONE};
        assert_int_equal(try_context(cases[i].cert, cases[i].key, cases[i].ca, cases[i].is_server,
                                     &context, &err),
                         -1);
        print_message("%s\n", err.message);
        assert_null(context);
        assert_int_equal(err.kind, ERR_USAGE);
        assert_words(&err, cases[i].words);
        assert_words(&err, cases[i].cure);
    }
}

static void files_must_be_named(void **state)
{
    struct tls_files files = {.cert = NULL};
    struct tls_context *context = NULL;
    struct error err = {.kind = ERR_NONE};

    (void)state;
    assert_int_equal(tls_context_new(&files, false, &context, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_words(&err, "no certificate was named");
}

static void one_certificate_may_serve_both_roles(void **state)
{
    struct meeting m = meet(context_with("host", true), context_with("host", false), "localhost");

    (void)state;
    assert_int_equal(m.client_result, 0);
    assert_int_equal(m.server.result, 0);
    part(&m);
}

/* --- no connection -------------------------------------------------------------------------- */

static void nobody_listens(void **state)
{
    struct tls_context *context = good_context(false);
    struct link *link = NULL;
    struct error err = {.kind = ERR_NONE};
    char port[8];

    (void)state;
    (void)close(listen_on_loopback(port, 1));
    assert_int_equal(link_connect_tls(context, "127.0.0.1", port, env_system(), &link, &err), -1);
    assert_int_equal(err.kind, ERR_PEER);
    assert_words(&err, "connection refused: nothing listens there");
    assert_int_equal(
        link_connect_tls(context, "127.0.0.1", "no-such-port", env_system(), &link, &err), -1);
    assert_int_equal(err.kind, ERR_PEER);
    assert_words(&err, "no such host or port");
    assert_null(link);
    tls_context_free(context);
}

/* A listener whose queue is full lets further connections wait, as a firewall would. */
static void a_host_that_does_not_answer_times_out(void **state)
{
    struct tls_context *context = good_context(false);
    struct link *link = NULL;
    struct error err = {.kind = ERR_NONE};
    char port[8];

    (void)state;
    int listen_fd = listen_on_loopback(port, 0);
    int filler = connect_to(port);
    assert_true(filler >= 0);
    context->handshake_timeout_ns = SHORT_NS;
    assert_int_equal(link_connect_tls(context, "127.0.0.1", port, env_system(), &link, &err), -1);
    assert_int_equal(err.kind, ERR_PEER);
    assert_words(&err, "timed out: no answer to the connection");
    (void)close(filler);
    (void)close(listen_fd);
    tls_context_free(context);
}

static void names_that_are_patterns_are_refused(void **state)
{
    struct tls_context *context = good_context(false);
    struct link *link = NULL;
    struct error err = {.kind = ERR_NONE};

    (void)state;
    assert_int_equal(link_connect_tls(context, ".localhost", "1", env_system(), &link, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_words(&err, "\".localhost\" is not the name of a host");
    assert_int_equal(link_connect_tls(context, "", "1", env_system(), &link, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    assert_null(link);
    tls_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_carry_everything_at_once),
        cmocka_unit_test(both_halves_have_one_secret_and_each_session_another),
        cmocka_unit_test(the_client_is_named_by_its_certificate),
        cmocka_unit_test(a_proper_end_is_closed_and_the_other_direction_goes_on),
        cmocka_unit_test(last_words_are_read_after_a_failed_write),
        cmocka_unit_test(a_wrong_server_is_refused_by_the_client),
        cmocka_unit_test(a_wrong_client_is_refused_by_the_server),
        cmocka_unit_test(a_refused_client_that_writes_learns_why),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(a_truncated_stream_is_a_failure),
        cmocka_unit_test(a_reset_is_a_failure),
        cmocka_unit_test(one_changed_bit_on_the_way_is_a_failure),
        cmocka_unit_test(bad_files_are_refused_by_name),
        cmocka_unit_test(files_must_be_named),
        cmocka_unit_test(one_certificate_may_serve_both_roles),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(a_host_that_does_not_answer_times_out),
        cmocka_unit_test(names_that_are_patterns_are_refused),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
