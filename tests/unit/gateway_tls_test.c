/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http_rig.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "certs.h"

static void write_pair(const char *name, const char *certificate_path, const char *key_path)
{
    const struct certs_leaf leaf = {.common_name = name, .ends_s = CERTS_DAY_S};

    assert_true(certs_write_leaf(NULL, &leaf, certificate_path, key_path));
}

static void fingerprint_of(const char *path, char out[FINGERPRINT_TEXT_MAX])
{
    gnutls_datum_t pem = {0};
    gnutls_datum_t der = {0};
    uint8_t bytes[FINGERPRINT_BYTES];

    assert_int_equal(gnutls_load_file(path, &pem), 0);
    assert_int_equal(gnutls_pem_base64_decode2("CERTIFICATE", &pem, &der), 0);
    assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, bytes), 0);
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
    gnutls_free(pem.data);
    gnutls_free(der.data);
}

static int rig_start_tls(struct rig *rig, struct error *err)
{
    const struct http_listener listener = {
        .protocol = &rig->protocol, .address = "127.0.0.1:0", .is_tls = true};
    const struct http_config config = {.env = env_system(),
                                       .auth = &rig->auth,
                                       .audit = rig->audit,
                                       .listeners = &listener,
                                       .listener_count = 1,
                                       .certificate_path = rig->certificate_path,
                                       .key_path = rig->key_path,
                                       .control_socket = "/nowhere/control.sock"};

    return http_start(&config, &rig->http, err);
}

static int set_up_tls(void **state)
{
    struct rig *rig = rig_new();
    char fingerprint[FINGERPRINT_TEXT_MAX];

    *state = rig;
    (void)snprintf(rig->certificate_path, 64, "%s/own.pem", rig->folder);
    (void)snprintf(rig->key_path, 64, "%s/own.key", rig->folder);
    (void)snprintf(rig->client_path, 64, "%s/carol.pem", rig->folder);
    (void)snprintf(rig->client_key_path, 64, "%s/carol.key", rig->folder);
    (void)snprintf(rig->stranger_path, 64, "%s/other.pem", rig->folder);
    (void)snprintf(rig->stranger_key_path, 64, "%s/other.key", rig->folder);
    write_pair("gateway", rig->certificate_path, rig->key_path);
    write_pair("carol", rig->client_path, rig->client_key_path);
    write_pair("carol", rig->stranger_path, rig->stranger_key_path);
    fingerprint_of(rig->client_path, fingerprint);
    rig_add_user(rig, "carol", USER_VIEWER, fingerprint);
    assert_int_equal(rig_start_tls(rig, NULL), 0);
    rig->port = http_port(rig->http, 0);
    return 0;
}

static int tear_down_tls(void **state)
{
    const struct rig *rig = *state;
    const char *const paths[] = {rig->certificate_path, rig->key_path,      rig->client_path,
                                 rig->client_key_path,  rig->stranger_path, rig->stranger_key_path};

    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        (void)unlink(paths[i]);
    }
    return rig_tear_down(state);
}

/* One request over TLS. */
struct secret_talk {
    const char *certificate; /* NULL: none */
    const char *key;
    const char *priorities;
    gnutls_datum_t *session; /* to resume, or to be filled; NULL: neither */
    bool is_resuming;
    bool was_resumed;
    char shown[FINGERPRINT_TEXT_MAX]; /* by the gateway */
    char answer[4096];
};

static int exchange_secretly(struct secret_talk *talk, gnutls_session_t session,
                             const char *request)
{
    unsigned int count = 0;
    uint8_t bytes[FINGERPRINT_BYTES];
    size_t used = 0;
    int status = 0;

    if (gnutls_handshake(session) < 0) {
        return -1;
    }
    const gnutls_datum_t *peers = gnutls_certificate_get_peers(session, &count);
    assert_true(peers != NULL && count > 0);
    assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, peers[0].data, peers[0].size, bytes), 0);
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)snprintf(talk->shown + 2 * i, 3, "%02x", bytes[i]);
    }
    talk->was_resumed = gnutls_session_is_resumed(session) != 0;
    if (gnutls_record_send(session, request, strlen(request)) < 0) {
        return 0;
    }
    while (talk_whole(talk->answer) == 0 || talk_whole(talk->answer) > used) {
        ssize_t got =
            gnutls_record_recv(session, talk->answer + used, sizeof talk->answer - 1 - used);
        if (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        used += (size_t)got;
        talk->answer[used] = '\0';
    }
    if (talk->session != NULL && !talk->is_resuming) {
        assert_int_equal(gnutls_session_get_data2(session, talk->session), 0);
    }
    (void)sscanf(talk->answer, "HTTP/1.%*d %d", &status);
    return status;
}

/* The answer's status; 0: the connection ended; -1: there is no session. */
static int ask_secretly(const struct rig *rig, struct secret_talk *talk, const char *request)
{
    gnutls_certificate_credentials_t credentials = NULL;
    gnutls_session_t session = NULL;
    int fd = talk_dial(rig);

    assert_int_equal(gnutls_certificate_allocate_credentials(&credentials), 0);
    if (talk->certificate != NULL) {
        assert_int_equal(gnutls_certificate_set_x509_key_file(credentials, talk->certificate,
                                                              talk->key, GNUTLS_X509_FMT_PEM),
                         0);
    }
    assert_int_equal(gnutls_init(&session, GNUTLS_CLIENT), 0);
    assert_int_equal(gnutls_priority_set_direct(session, talk->priorities, NULL), 0);
    assert_int_equal(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials), 0);
    if (talk->is_resuming) {
        assert_int_equal(gnutls_session_set_data(session, talk->session->data, talk->session->size),
                         0);
    }
    gnutls_transport_set_int(session, fd);
    int status = exchange_secretly(talk, session, request);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    (void)close(fd);
    return status;
}

#define TLS_1_2 "NORMAL:-VERS-ALL:+VERS-TLS1.2"
#define TLS_1_3 "NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define NOBODYS "POST /wsman HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"
#define ALICES "POST /wsman HTTP/1.1\r\n" HOST ALICE "Content-Length: 0\r\n\r\n"

static void knows_users_over_tls_by_password_or_certificate(void **state)
{
    static const char *const versions[] = {TLS_1_2, TLS_1_3};
    const struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(versions); i++) {
        struct secret_talk talk = {.priorities = versions[i]};
        assert_int_equal(ask_secretly(rig, &talk, NOBODYS), 401);
        talk = (struct secret_talk){.priorities = versions[i]};
        assert_int_equal(ask_secretly(rig, &talk, ALICES), 200);
        assert_non_null(strstr(talk.answer, "user=alice bytes=0 attempt=0 tls=1"));
        talk = (struct secret_talk){.priorities = versions[i],
                                    .certificate = rig->client_path,
                                    .key = rig->client_key_path};
        assert_int_equal(ask_secretly(rig, &talk, NOBODYS), 200);
        assert_non_null(strstr(talk.answer, "user=carol"));
        /* The name in a certificate is what anybody wrote into it. */
        talk = (struct secret_talk){.priorities = versions[i],
                                    .certificate = rig->stranger_path,
                                    .key = rig->stranger_key_path};
        assert_int_equal(ask_secretly(rig, &talk, NOBODYS), 401);
        talk.answer[0] = '\0';
        assert_int_equal(ask_secretly(rig, &talk, ALICES), 200);
        assert_non_null(strstr(talk.answer, "user=alice"));
    }
}

static void a_resumed_session_is_nobodys(void **state)
{
    static const char *const versions[] = {TLS_1_2, TLS_1_3};
    const struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_COUNT(versions); i++) {
        gnutls_datum_t session = {0};
        struct secret_talk talk = {.priorities = versions[i],
                                   .certificate = rig->client_path,
                                   .key = rig->client_key_path,
                                   .session = &session};
        assert_int_equal(ask_secretly(rig, &talk, NOBODYS), 200);
        struct secret_talk again = {
            .priorities = versions[i], .session = &session, .is_resuming = true};
        assert_int_equal(ask_secretly(rig, &again, NOBODYS), 401);
        assert_false(again.was_resumed); /* there is none, so far */
        gnutls_free(session.data);
    }
}

static void refuses_old_versions_and_clear_text_at_a_tls_port(void **state)
{
    static const char *const old[] = {"LEGACY:-VERS-ALL:+VERS-TLS1.1",
                                      "LEGACY:-VERS-ALL:+VERS-TLS1.0",
                                      "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA",
                                      "NORMAL:-VERS-ALL:+VERS-TLS1.2:-MAC-ALL:+SHA1"};
    const struct rig *rig = *state;
    struct talk plain;

    for (size_t i = 0; i < ARRAY_COUNT(old); i++) {
        struct secret_talk talk = {.priorities = old[i]};
        if (ask_secretly(rig, &talk, ALICES) != -1) {
            fail_msg("it took %s", old[i]);
        }
    }
    assert_int_equal(talk_ask(rig, &plain, ALICES), 0);
    (void)close(plain.fd);
}

static void shows_another_certificate_after_a_reload(void **state)
{
    const struct rig *rig = *state;
    struct secret_talk before = {.priorities = TLS_1_3};
    struct secret_talk after = {.priorities = TLS_1_3};
    struct error err = {0};

    assert_int_equal(ask_secretly(rig, &before, ALICES), 200);
    assert_int_equal(http_reload(rig->http, NULL), 0); /* the same again */
    /* A certificate without its key: the old one stays. */
    assert_int_equal(rename(rig->stranger_path, rig->certificate_path), 0);
    assert_int_equal(http_reload(rig->http, &err), -1);
    assert_non_null(strstr(err.message, "is not that of the certificate"));
    assert_int_equal(ask_secretly(rig, &after, ALICES), 200);
    assert_string_equal(after.shown, before.shown);
    assert_int_equal(rename(rig->stranger_key_path, rig->key_path), 0);
    assert_int_equal(http_reload(rig->http, NULL), 0);
    assert_int_equal(ask_secretly(rig, &after, ALICES), 200);
    assert_string_not_equal(after.shown, before.shown);
}

static void needs_a_certificate_for_tls(void **state)
{
    struct rig *rig = *state;
    struct error err = {0};

    assert_int_equal(rig_start_tls(rig, &err), -1);
    assert_int_equal(err.kind, ERR_USAGE);
    (void)snprintf(rig->certificate_path, 64, "%s/none.pem", rig->folder);
    (void)snprintf(rig->key_path, 64, "%s/none.key", rig->folder);
    assert_int_equal(rig_start_tls(rig, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(knows_users_over_tls_by_password_or_certificate, set_up_tls,
                                        tear_down_tls),
        cmocka_unit_test_setup_teardown(a_resumed_session_is_nobodys, set_up_tls, tear_down_tls),
        cmocka_unit_test_setup_teardown(refuses_old_versions_and_clear_text_at_a_tls_port,
                                        set_up_tls, tear_down_tls),
        cmocka_unit_test_setup_teardown(shows_another_certificate_after_a_reload, set_up_tls,
                                        tear_down_tls),
        cmocka_unit_test_setup_teardown(needs_a_certificate_for_tls, rig_set_up_only,
                                        rig_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
