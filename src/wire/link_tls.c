/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link_tls.c - TLS 1.3 over TCP as a link.
 *
 * 1. OpenSSL's writes never wait: what it writes is gathered (tls_socket.c), and data is sealed
 *    only when everything gathered before was sent. So a write needs no read, a read no write, and
 *    the caller may offer other lengths when it tries again.
 * 2. link_write has counted only what the socket has taken, but for records cut in the middle: then
 *    all but the batch's last byte is counted. The caller offers that byte again ("withheld"),
 *    which is when the rest of the batch is sent. So nothing is left behind in a link whose caller
 *    believes everything to be sent.
 * 3. Once reading has ended (closed or failed) every later read says the same again. Writing may
 *    fail earlier: what the peer said before it went can still be read.
 *
 *    connect, accept --> handshake --> open --> closed by the peer
 *                             \----------\----> failed
 */
#include "wire/link.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/tcp.h"
#include "wire/tls_context.h"
#include "wire/tls_pin.h"
#include "wire/tls_refusal.h"
#include "wire/tls_socket.h"

#define SECRET_LABEL "EXPORTER-resilver-session"

/* How long a close waits until the last bytes have left for the kernel. */
#define CLOSE_MS 500U

struct link_tls {
    struct link link;
    struct tls_socket socket;
    SSL *ssl;                   /* owned; its application data is &refusal */
    struct tls_refusal refusal; /* filled while shaking hands */
    bool is_pinned;             /* the context's */
    uint64_t limit_ns;          /* for the handshake, as messages name it */
    uint64_t rekey_after_bytes;
    uint64_t sealed_bytes; /* under the present key of our direction */
    bool is_open;          /* the handshake is over */
    bool is_drained;       /* the last read ended because OpenSSL had no more */
    bool is_shut;          /* close_notify was written */
    bool has_withheld;     /* invariant 2 */
    uint8_t withheld;
    ssize_t end; /* 0, LINK_CLOSED or LINK_FAILED (invariant 3) */
    bool is_end_told;
    struct error end_error;
};

static struct link_tls *tls_of(struct link *link)
{
    return (struct link_tls *)link; /* the link is the first member */
}

/* --- what went wrong ------------------------------------------------------------------------ */

static int fail_ended(const struct link_tls *t, struct error *err)
{
    if (!t->is_open) {
        return fail(err, ERR_PEER, 0, "%s closed the connection during the TLS handshake",
                    t->link.peer);
    }
    return fail(err, ERR_PEER, 0,
                "%s: the connection was cut: it ended without TLS's closing message, because the "
                "program there died or somebody in between truncated it",
                t->link.peer);
}

static int fail_socket(const struct link_tls *t, int errnum, struct error *err)
{
    if (errnum == EPIPE || errnum == ECONNRESET) {
        return fail(err, ERR_PEER, 0, "%s closed the connection%s", t->link.peer,
                    t->is_open ? "" : " during the TLS handshake");
    }
    return fail(err, ERR_PEER, errnum, "the connection to %s broke", t->link.peer);
}

/* Errors of the handshake that say what kind of program is at the other end. */
static int fail_handshake(const struct link_tls *t, bool we_are_server, int reason,
                          struct error *err)
{
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return fail(err, ERR_PEER, 0, "%s: refused: the client gave no certificate (it needs %s)",
                    t->link.peer,
                    t->is_pinned ? "that of a resilverd, and its key"
                                 : "one that our CA signed, and its key");
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return fail(err, ERR_PEER, 0,
                    "%s: refused: the %s speaks none of our protocols: is it a resilverd, and of a "
                    "version that fits ours?",
                    t->link.peer, we_are_server ? "client" : "server");
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_VERSION_TOO_LOW:
        return fail(
            err, ERR_PEER, 0,
            "%s: refused: the %s speaks only an older TLS, and we speak TLS 1.3: bring it up "
            "to date",
            t->link.peer, we_are_server ? "client" : "server");
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_BAD_RECORD_TYPE:
        return fail(err, ERR_PEER, 0,
                    "%s: what is there does not speak TLS%s: is it Resilver, and the right port?",
                    t->link.peer, reason == SSL_R_HTTP_REQUEST ? " but HTTP" : "");
    default:
        return fail(err, ERR_PEER, 0, "%s: the TLS handshake failed: %s", t->link.peer,
                    tls_refusal_reason());
    }
}

/* An alert of the peer is an error whose reason is the alert's number plus this. */
static bool is_alert(unsigned long error)
{
    return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET;
}

/* Sets err to what an SSL call that gave `why` (SSL_get_error) has met. Returns -1. */
static int fail_tls(const struct link_tls *t, int why, struct error *err)
{
    unsigned long error = ERR_peek_error(); /* the first is the cause */
    int reason = ERR_GET_REASON(error);
    bool we_are_server = SSL_is_server(t->ssl) == 1;

    if (why == SSL_ERROR_SSL && is_alert(error)) {
        return tls_refusal_theirs(reason - SSL_AD_REASON_OFFSET, we_are_server, t->link.peer, err);
    }
    if (t->socket.has_ended) {
        return fail_ended(t, err);
    }
    if (t->socket.recv_errnum != 0) {
        return fail_socket(t, t->socket.recv_errnum, err);
    }
    if (why == SSL_ERROR_SYSCALL) {
        return fail_socket(t, t->socket.send_errnum, err);
    }
    if (!t->is_open) {
        return fail_handshake(t, we_are_server, reason, err);
    }
    if (reason == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC) {
        return fail(err, ERR_PEER, 0, "%s: what arrived was changed on the way", t->link.peer);
    }
    return fail(err, ERR_PEER, 0, "%s: TLS failed: %s", t->link.peer, tls_refusal_reason());
}

/* --- reading -------------------------------------------------------------------------------- */

static ssize_t repeat_end(struct link_tls *t, struct error *err)
{
    assert(t->end < 0);
    t->is_end_told = true;
    if (t->end == LINK_FAILED && err != NULL) {
        *err = t->end_error;
    }
    return t->end;
}

static void note_end(struct link_tls *t, int why)
{
    if (why == SSL_ERROR_ZERO_RETURN) {
        t->end = LINK_CLOSED;
        return;
    }
    (void)fail_tls(t, why, &t->end_error);
    t->end = LINK_FAILED;
}

static ssize_t tls_read(struct link *link, struct span into, struct error *err)
{
    struct link_tls *t = tls_of(link);
    size_t filled = 0;

    assert(t->is_open && into.at != NULL && into.len_bytes > 0);
    if (t->end != 0) {
        return repeat_end(t, err);
    }
    /* Each call gives one record at most. */
    int why = SSL_ERROR_NONE;
    while (filled < into.len_bytes && why == SSL_ERROR_NONE) {
        size_t got = 0;
        ERR_clear_error();
        int result = SSL_read_ex(t->ssl, into.at + filled, into.len_bytes - filled, &got);
        why = SSL_get_error(t->ssl, result);
        filled += result == 1 ? got : 0;
    }
    t->is_drained = why == SSL_ERROR_WANT_READ;
    if (why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        note_end(t, why);
    }
    (void)tls_socket_flush(&t->socket); /* an answer of TLS's own; a failure shows at the next use
                                         */
    if (filled == 0 && t->end != 0) {
        return repeat_end(t, err);
    }
    return (ssize_t)filled; /* 0 is LINK_AGAIN; an end that was met is told by the next call */
}

/* --- writing -------------------------------------------------------------------------------- */

/*
 * The socket takes no more. If the peer has said why, that waits unread: in TLS 1.3 a client
 * believes itself accepted before the server has looked at its certificate, so this is where a
 * refusal may show. Other words of the peer, its protocol's, are left for link_read.
 */
static ssize_t fail_write(struct link_tls *t, struct error *err)
{
    uint8_t byte = 0;
    size_t got = 0;

    ERR_clear_error();
    int result = t->end == 0 ? SSL_peek_ex(t->ssl, &byte, sizeof byte, &got) : 1;
    if (result != 1 && SSL_get_error(t->ssl, result) == SSL_ERROR_SSL &&
        is_alert(ERR_peek_error())) {
        note_end(t, SSL_ERROR_SSL);
        return repeat_end(t, err);
    }
    (void)fail_socket(t, t->socket.send_errnum, err);
    return LINK_FAILED;
}

/* A new key for our direction when the present one has done enough; it goes out with the next
 * record. */
static int renew_key(struct link_tls *t)
{
    if (t->sealed_bytes < t->rekey_after_bytes) {
        return 0;
    }
    if (SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
        return -1;
    }
    t->sealed_bytes = 0;
    return 0;
}

/* Seal one batch of what is offered into the empty gather buffer. Returns how much, or -1: OpenSSL
 * failed. */
static ssize_t seal(struct link_tls *t, struct const_span bytes)
{
    size_t limit =
        bytes.len_bytes < TLS_SOCKET_BATCH_BYTES ? bytes.len_bytes : TLS_SOCKET_BATCH_BYTES;
    size_t sealed = 0;

    assert(tls_socket_is_flushed(&t->socket));
    ERR_clear_error();
    if (renew_key(t) < 0) {
        return -1;
    }
    while (sealed < limit) {
        size_t put = 0;
        if (SSL_write_ex(t->ssl, bytes.at + sealed, limit - sealed, &put) != 1) {
            return -1;
        }
        sealed += put;
    }
    t->sealed_bytes += sealed;
    return (ssize_t)sealed;
}

/* Invariant 2: what may be counted of `sealed` bytes when the socket has not taken all of their
 * records. */
static ssize_t withhold(struct link_tls *t, struct const_span bytes, size_t sealed)
{
    assert(!t->has_withheld && sealed > 0);
    t->has_withheld = true;
    t->withheld = bytes.at[sealed - 1];
    return (ssize_t)sealed - 1;
}

static ssize_t tls_write(struct link *link, struct const_span bytes, struct error *err)
{
    struct link_tls *t = tls_of(link);
    size_t counted = 0;

    assert(t->is_open && !t->is_shut && bytes.at != NULL && bytes.len_bytes > 0);
    if (t->end == LINK_FAILED) {
        return repeat_end(t, err);
    }
    int flushed = tls_socket_flush(&t->socket);
    if (flushed > 0 && t->has_withheld) {
        assert(bytes.at[0] == t->withheld); /* the caller offers the same bytes again */
        t->has_withheld = false;
        counted = 1;
    }
    while (flushed > 0 && counted < bytes.len_bytes) {
        struct const_span rest = {bytes.at + counted, bytes.len_bytes - counted};
        ssize_t sealed = seal(t, rest);
        if (sealed < 0) {
            note_end(t, SSL_ERROR_SSL);
            return repeat_end(t, err);
        }
        flushed = tls_socket_flush(&t->socket);
        counted += (size_t)(flushed > 0 ? sealed : withhold(t, rest, (size_t)sealed));
    }
    if (flushed < 0) {
        return fail_write(t, err);
    }
    return (ssize_t)counted; /* 0 is LINK_AGAIN */
}

/* --- the rest of the table ------------------------------------------------------------------ */

static size_t tls_poll_on(struct link *link, bool want_read, bool want_write,
                          struct pollfd fds[LINK_POLL_MAX])
{
    struct link_tls *t = tls_of(link);

    /* Tried here too, or a caller that has nothing to write would be woken for it again and again.
     */
    bool has_rest = tls_socket_flush(&t->socket) == 0;
    short events = (short)((want_read ? POLLIN : 0) | (want_write || has_rest ? POLLOUT : 0));
    if (events == 0) {
        return 0;
    }
    fds[0] = (struct pollfd){.fd = t->socket.fd, .events = events};
    return 1;
}

static bool tls_has_buffered(struct link *link)
{
    const struct link_tls *t = tls_of(link);

    if (t->end != 0) {
        return !t->is_end_told; /* an end that was met behind data is told by the next read */
    }
    return !t->is_drained && SSL_has_pending(t->ssl) == 1;
}

static void tls_shutdown(struct link *link)
{
    struct link_tls *t = tls_of(link);

    if (t->is_shut || !t->is_open || t->end == LINK_FAILED) {
        return;
    }
    t->is_shut = true;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl); /* best effort: the peer may be gone */
    (void)tls_socket_flush(&t->socket);
}

/* A closing message that finds the socket full waits for a moment, or the peer would take a proper
 * end for a cut. One that reads nothing must not hold us up for longer. */
static void flush_last(struct link_tls *t)
{
    const struct env *env = env_system();
    uint64_t deadline_ns = env_now_ns(env) + CLOSE_MS * NS_PER_MS;

    while (tls_socket_flush(&t->socket) == 0 &&
           tcp_await(t->socket.fd, POLLOUT, env, deadline_ns) > 0) {
    }
}

static void tls_close(struct link *link)
{
    struct link_tls *t = tls_of(link);

    if (t->ssl != NULL) {
        tls_shutdown(link);
        if (t->is_shut && t->end != LINK_FAILED) {
            flush_last(t);
        }
        SSL_free(t->ssl);
    }
    tls_socket_done(&t->socket);
    OPENSSL_cleanse(t->link.secret, sizeof t->link.secret);
    free(t);
}

static const struct link_ops tls_ops = {
    .name = "tls",
    .read = tls_read,
    .write = tls_write,
    .poll_on = tls_poll_on,
    .has_buffered = tls_has_buffered,
    .shutdown = tls_shutdown,
    .close = tls_close,
};

/* --- beginning ------------------------------------------------------------------------------ */

static void tls_closep(struct link_tls **t)
{
    if (*t != NULL) {
        tls_close(&(*t)->link);
    }
    *t = NULL;
}

/* Takes fd, which is tuned already, also on failure. */
static struct link_tls *make(const struct tls_context *context, int fd, const char *peer)
{
    CLEANUP(tls_closep) struct link_tls *t = calloc(1, sizeof *t);

    if (t == NULL) {
        struct tls_socket only = {.fd = fd};
        tls_socket_done(&only);
        return NULL;
    }
    t->link.ops = &tls_ops;
    (void)snprintf(t->link.peer, sizeof t->link.peer, "%s", peer); /* cut if longer */
    t->rekey_after_bytes = context->rekey_after_bytes;
    t->is_pinned = context->is_pinned;
    t->limit_ns = context->handshake_timeout_ns;
    if (tls_socket_init(&t->socket, fd) < 0) {
        return NULL;
    }
    t->ssl = SSL_new(context->rules);
    BIO *bio = t->ssl == NULL ? NULL : tls_socket_bio(&t->socket);
    if (bio == NULL) {
        return NULL;
    }
    SSL_set_bio(t->ssl, bio, bio); /* takes the one reference for both directions */
    (void)SSL_set_app_data(t->ssl, &t->refusal);
    return TAKE(t);
}

static int fail_deadline(const struct link_tls *t, struct error *err)
{
    return fail(
        err, ERR_PEER, 0,
        "%s: timed out: the TLS handshake was not finished within %.3g s: is it Resilver, and "
        "the right port?",
        t->link.peer, (double)t->limit_ns / (double)NS_PER_S);
}

/* One round: 1 the handshake is over and sent, 0 wait for *events, -1 failed. */
static int handshake_step(struct link_tls *t, short *events, int *why)
{
    ERR_clear_error();
    int result = SSL_do_handshake(t->ssl);
    *why = SSL_get_error(t->ssl, result);
    int flushed = tls_socket_flush(&t->socket); /* also the alert that tells the peer why */

    *events = (short)(flushed == 0 ? POLLOUT : POLLIN);
    if (result != 1 && *why != SSL_ERROR_WANT_READ && *why != SSL_ERROR_WANT_WRITE) {
        return -1;
    }
    if (flushed < 0) {
        *why = SSL_ERROR_SYSCALL;
        return -1;
    }
    return result == 1 && flushed == 1 ? 1 : 0;
}

static int shake_hands(struct link_tls *t, const struct tls_context *context, const char *wanted,
                       const struct env *env, uint64_t deadline_ns, struct error *err)
{
    short events = 0;
    int why = SSL_ERROR_NONE;

    for (;;) {
        int step = handshake_step(t, &events, &why);
        if (step > 0) {
            return 0;
        }
        if (step < 0 && t->refusal.code != X509_V_OK) {
            return tls_refusal_ours(&t->refusal, context, t->link.peer, wanted, err);
        }
        if (step < 0) {
            return fail_tls(t, why, err);
        }
        int ready = tcp_await(t->socket.fd, events, env, deadline_ns);
        if (ready == 0) {
            return fail_deadline(t, err);
        }
        if (ready < 0) {
            return fail(err, ERR_PEER, errno, "cannot wait for %s", t->link.peer);
        }
    }
}

/* What must be so after every handshake, whatever OpenSSL was set to; then the session's secret. */
static int finish(struct link_tls *t, struct error *err)
{
    if (SSL_version(t->ssl) != TLS1_3_VERSION || SSL_get_verify_result(t->ssl) != X509_V_OK ||
        SSL_get0_peer_certificate(t->ssl) == NULL || SSL_session_reused(t->ssl) != 0) {
        return fail(err, ERR_INTERNAL, 0, "%s: TLS was agreed against our rules", t->link.peer);
    }
    if (SSL_export_keying_material(t->ssl, t->link.secret, sizeof t->link.secret, SECRET_LABEL,
                                   strlen(SECRET_LABEL), NULL, 0, 0) != 1) {
        return fail(err, ERR_INTERNAL, 0, "%s: TLS gives no secret for the session: %s",
                    t->link.peer, tls_refusal_reason());
    }
    if (t->is_pinned && tls_pin_finish(t->ssl, &t->link, err) < 0) {
        return -1;
    }
    t->link.has_secret = true;
    t->is_open = true;
    return 0;
}

/* --- client --------------------------------------------------------------------------------- */

/*
 * Without what a name in a certificate cannot have: the zone of an IPv6 address ("%eth0") and the
 * dot of a rooted name.
 * "" for names that OpenSSL would take for patterns.
 */
static void plain_host(const char *host, char *out, size_t size_bytes)
{
    size_t count = strlen(host);

    if (strchr(host, ':') != NULL) {
        count = strcspn(host, "%");
    } else if (count > 1 && host[count - 1] == '.') {
        count--;
    }
    if (count >= size_bytes || host[0] == '.') {
        count = 0;
    }
    (void)snprintf(out, size_bytes, "%.*s", (int)count, host);
}

/* The server's certificate must bear this name or address, as a subject alternative name. */
static int demand_name(SSL *ssl, const char *name, struct error *err)
{
    X509_VERIFY_PARAM *demands = SSL_get0_param(ssl);

    if (X509_VERIFY_PARAM_set1_ip_asc(demands, name) == 1) {
        return 0;
    }
    ERR_clear_error(); /* not an address, then */
    X509_VERIFY_PARAM_set_hostflags(demands, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                 X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (X509_VERIFY_PARAM_set1_host(demands, name, 0) != 1 ||
        SSL_set_tlsext_host_name(ssl, name) != 1) {
        return fail(err, ERR_LIMIT, 0, "cannot ask for the host %s: %s", name,
                    tls_refusal_reason());
    }
    return 0;
}

int link_connect_tls(struct tls_context *context, const char *host, const char *port,
                     const struct env *env, struct link **out, struct error *err)
{
    uint64_t deadline_ns = env_now_ns(env) + context->handshake_timeout_ns;
    char peer[ERROR_DISK_MAX];
    char name[TLSEXT_MAXLEN_host_name + 1];

    assert(!context->is_server);
    plain_host(host, name, sizeof name);
    if (name[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "\"%s\" is not the name of a host", host);
    }
    tcp_name_host(host, port, peer, sizeof peer);
    int fd = tcp_connect(host, port, peer, env, deadline_ns, err);
    if (fd < 0) {
        return -1;
    }
    CLEANUP(tls_closep) struct link_tls *t = make(context, fd, peer);
    if (t == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot connect to %s", peer);
    }
    if (demand_name(t->ssl, name, err) < 0) {
        return -1;
    }
    SSL_set_connect_state(t->ssl);
    if (shake_hands(t, context, host, env, deadline_ns, err) < 0 || finish(t, err) < 0) {
        return -1;
    }
    *out = &TAKE(t)->link;
    return 0;
}

/* --- server --------------------------------------------------------------------------------- */

/* "address:port (certificate name)" */
static void name_client(struct link_tls *t)
{
    char name[TLS_NAME_MAX];
    size_t used = strlen(t->link.peer);

    tls_refusal_name(SSL_get0_peer_certificate(t->ssl), name);
    (void)snprintf(t->link.peer + used, sizeof t->link.peer - used, " (%s)", name);
}

int link_accept_tls(struct tls_context *context, int fd, const struct env *env, struct link **out,
                    struct error *err)
{
    uint64_t deadline_ns = env_now_ns(env) + context->handshake_timeout_ns;
    char peer[ERROR_DISK_MAX];

    assert(context->is_server && fd >= 0);
    tcp_name_peer(fd, peer, sizeof peer);
    CLEANUP(tls_closep) struct link_tls *t = make(context, fd, peer);
    if (t == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot accept %s", peer);
    }
    if (tcp_tune(fd, peer, err) < 0) {
        return -1;
    }
    SSL_set_accept_state(t->ssl);
    if (shake_hands(t, context, NULL, env, deadline_ns, err) < 0 || finish(t, err) < 0) {
        return -1;
    }
    name_client(t);
    *out = &TAKE(t)->link;
    return 0;
}

/* --- pinned --------------------------------------------------------------------------------- */

/* Both halves, from a prepared SSL to an open link. */
static int open_pinned(struct link_tls *t, const struct tls_context *context, const struct env *env,
                       uint64_t deadline_ns, struct error *err)
{
    uint64_t now_ns = env_now_ns(env);

    t->limit_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    int result = shake_hands(t, context, NULL, env, deadline_ns, err);
    t->refusal.wanted_fingerprint = NULL; /* it was borrowed for this */
    return result < 0 ? -1 : finish(t, err);
}

int link_connect_pinned_on(struct tls_context *context, int fd, const char *peer,
                           const char *protocol, const uint8_t *fingerprint, uint64_t deadline_ns,
                           const struct env *env, struct link **out, struct error *err)
{
    assert(!context->is_server && context->is_pinned && fd >= 0);
    CLEANUP(tls_closep) struct link_tls *t = make(context, fd, peer);
    if (t == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot connect to %s", peer);
    }
    if (tls_pin_ask(t->ssl, protocol) < 0) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot ask %s for %s", peer, protocol);
    }
    t->refusal.wanted_fingerprint = fingerprint;
    SSL_set_connect_state(t->ssl);
    if (open_pinned(t, context, env, deadline_ns, err) < 0) {
        return -1;
    }
    *out = &TAKE(t)->link;
    return 0;
}

int link_connect_pinned(struct tls_context *context, const char *host, const char *port,
                        const char *protocol, const uint8_t *fingerprint, uint64_t deadline_ns,
                        const struct env *env, struct link **out, struct error *err)
{
    char peer[ERROR_DISK_MAX];

    tcp_name_host(host, port, peer, sizeof peer);
    int fd = tcp_connect(host, port, peer, env, deadline_ns, err);
    if (fd < 0) {
        return -1;
    }
    return link_connect_pinned_on(context, fd, peer, protocol, fingerprint, deadline_ns, env, out,
                                  err);
}

int link_accept_pinned(struct tls_context *context, int fd, uint64_t deadline_ns,
                       const struct env *env, struct link **out, struct error *err)
{
    char peer[ERROR_DISK_MAX];

    assert(context->is_server && context->is_pinned && fd >= 0);
    tcp_name_peer(fd, peer, sizeof peer);
    CLEANUP(tls_closep) struct link_tls *t = make(context, fd, peer);
    if (t == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot accept %s", peer);
    }
    if (tcp_tune(fd, peer, err) < 0) {
        return -1;
    }
    SSL_set_accept_state(t->ssl);
    if (open_pinned(t, context, env, deadline_ns, err) < 0) {
        return -1;
    }
    name_client(t);
    *out = &TAKE(t)->link;
    return 0;
}

bool link_peer_has_name(const struct link *link, const char *name)
{
    if (link->ops != &tls_ops || name[0] == '\0' || name[0] == '.') {
        return false; /* OpenSSL would take ".example" for every host below example */
    }
    const struct link_tls *t = (const struct link_tls *)link;
    X509 *cert = SSL_get0_peer_certificate(t->ssl);

    return cert != NULL && X509_check_host(cert, name, 0, X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1;
}
