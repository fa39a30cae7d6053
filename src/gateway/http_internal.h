/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http_internal.h - what the parts of http share.
 *
 * Threads: one of libmicrohttpd's for each listener, HTTP_WORKERS workers, and the reaper. They
 * meet at `lock`, which is never held over a call of a handler or of yescrypt.
 */
#ifndef RESILVER_GATEWAY_HTTP_INTERNAL_H
#define RESILVER_GATEWAY_HTTP_INTERNAL_H

#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <pthread.h>

#include "base/log.h"
#include "gateway/audit.h"
#include "gateway/auth.h"
#include "gateway/http.h"

#define REMOTE_HOST_MAX INET6_ADDRSTRLEN
#define REMOTE_MAX (INET6_ADDRSTRLEN + 8)

/* --- TLS (http_tls.c) ------------------------------------------------------------------------ */

struct tls_certificate;

/* http_tls_load - read certificate and key. Errors: ERR_IO, ERR_USAGE. */
MUST_CHECK int http_tls_load(const char *certificate_path, const char *key_path,
                             struct tls_certificate **out, struct error *err);
void http_tls_free(struct tls_certificate *certificate);

/* http_tls_use - what handshakes show from now on. What they showed before is kept, for those that
 * are under way, until http_tls_forget(). Takes certificate. */
void http_tls_use(struct tls_certificate *certificate);
void http_tls_forget(void);

/* http_tls_retrieve - gnutls_certificate_retrieve_function2: our certificate, and the wish for
 * one. */
int http_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
                      const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                      gnutls_pcert_st **out_chain, unsigned int *out_chain_count,
                      gnutls_privkey_t *out_key);

/* http_tls_fingerprint - of the certificate whose key the client proved to have in this session's
 * own handshake; "": none. */
void http_tls_fingerprint(gnutls_session_t session, char out[FINGERPRINT_TEXT_MAX]);

/* --- heads (http_head.c) --------------------------------------------------------------------- */

/* What is looked at of a request's head. The texts are borrowed from the connection. */
struct http_head {
    const char *version; /* "HTTP/1.1" */
    const char *method;
    const char *uri; /* as it was sent */
    const char *content_length;
    const char *transfer_encoding;
    const char *content_encoding;
    const char *expect;
    const char *authorization;
    uint32_t authorization_count;
    uint32_t content_length_count;
    uint32_t transfer_encoding_count;
    uint32_t content_encoding_count;
    uint32_t host_count;
    bool is_malformed; /* there is a header that is none */
};

struct http_refusal {
    unsigned status; /* 0: it is not refused */
    const char *text;
    bool is_closing; /* where the next request begins is not known, or not worth waiting for */
};

/* http_head_note - one header. */
void http_head_note(struct http_head *head, const char *name, const char *value);

/* http_head_is_header - whether name and value can be a header's (RFC 9110 5.1 and 5.5):
 * libmicrohttpd lets blanks into the first, and a CR into the second. */
bool http_head_is_header(const char *name, size_t name_bytes, const char *value,
                         size_t value_bytes);

/* http_head_check - paths: see http_protocol. */
struct http_refusal http_head_check(const struct http_head *head, const char *paths,
                                    const char *path);

/* http_head_path - the path of a URI, decoded, and its query, as it is; both owned by the caller.
 * False: it is none, or has a NUL; NULLs then, and without memory. */
bool http_head_path(const char *uri, char **out_path, char **out_query);

/* http_head_is_in - whether path is one of the paths, which have blanks between them. */
bool http_head_is_in(const char *paths, const char *path);

/* --- connections (http_connection.c) --------------------------------------------------------- */

struct listener;

/* One TCP connection, from accept to close. */
struct connection {
    struct listener *listener; /* borrowed */
    int fd;                    /* borrowed from libmicrohttpd while the connection is in the list */
    struct connection *next;
    struct connection *previous;
    uint64_t deadline_ns; /* when it is cut; 0: it waits for us */
    bool is_cut;
    bool is_fingerprint_read;
    bool has_asked; /* a request line came */
    char fingerprint[FINGERPRINT_TEXT_MAX];
    char remote[REMOTE_MAX];           /* "192.0.2.7:51514" */
    char remote_host[REMOTE_HOST_MAX]; /* "192.0.2.7" */
};

void http_connection_notify(void *context, struct MHD_Connection *mhd, void **socket_context,
                            enum MHD_ConnectionNotificationCode code);

/* http_connection_deadline - it is cut in so many seconds; 0: it waits for us. */
void http_connection_deadline(struct connection *connection, unsigned seconds);

/* http_connection_cut_all - without waiting for deadlines. */
void http_connection_cut_all(struct http *http);

/* http_reaper - the thread. */
void *http_reaper(void *context);

/* --- exchanges (http_exchange.c) ------------------------------------------------------------- */

/*
 * One request and its answer.
 *
 *   begun --> body --> queued --> worked --> answered --> ended
 *      \                  ^--- parked <--/     ^
 *       \--> refused: the body is thrown away -/
 *
 * A suspended one (queued, worked, parked) is the workers'; all others are libmicrohttpd's
 * thread's.
 */
struct exchange {
    struct http *http; /* borrowed, as the next three */
    struct listener *listener;
    struct connection *connection;
    struct MHD_Connection *mhd;
    uint64_t id;
    const char *uri_end; /* borrowed from mhd until the request is begun */
    char *uri;           /* owned, as the next four */
    char *path;          /* decoded; NULL: none */
    char *query;
    char *body;
    struct cim_caller *caller; /* NULL: nobody yet */
    uint64_t generation;       /* of the users' file, of which the caller is */
    size_t body_bytes;
    size_t body_room_bytes;
    size_t discarded_bytes;
    uint64_t received_ns;
    uint32_t attempt;
    bool is_begun;
    bool is_kept;              /* the body; else it is thrown away */
    bool is_open;              /* its path needs no caller */
    bool is_pending;           /* it was queued; counted in http->pending_count */
    const char *authorization; /* borrowed from mhd; NULL: none */
    uint32_t authorization_count;
    struct http_refusal refusal;
    struct MHD_Response *response; /* owned until it is queued */
    unsigned status;
    uint64_t park_until_ns;
    uint64_t wakes_seen;   /* http->wake_count when the handler was asked */
    struct exchange *next; /* in the queue or among the parked */
};

void *http_exchange_new(void *context, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_exchange_request(void *context, struct MHD_Connection *mhd, const char *url,
                                      const char *method, const char *version, const char *bytes,
                                      size_t *bytes_count, void **request_context);
void http_exchange_end(void *context, struct MHD_Connection *mhd, void **request_context,
                       enum MHD_RequestTerminationCode code);

/* http_exchange_refuse - make the answer; without memory there is none, and the connection ends. */
void http_exchange_refuse(struct exchange *exchange, unsigned status, const char *text);

/* --- workers (http_workers.c) ---------------------------------------------------------------- */

struct exchange_list {
    struct exchange *first;
    struct exchange *last;
    uint32_t count;
};

/* http_workers_reserve - whether one more may be queued; then it must be, and the workers do not
 * end before. */
bool http_workers_reserve(struct http *http);

/* http_workers_give - queue an exchange that is suspended already, in the place reserved. */
void http_workers_give(struct exchange *exchange);

/* http_workers_unpark_locked - those whose time has come, or all, go back into the queue. */
void http_workers_unpark_locked(struct http *http, uint64_t now_ns, bool is_all);

/* One worker's own; a client of the control API has one caller at a time. */
struct worker {
    struct http *http;     /* borrowed */
    struct client *client; /* owned */
    struct arena arena;    /* of the request that is worked on */
    pthread_t thread;
};

/* http_worker - the thread; context is a struct worker. */
void *http_worker(void *context);

/* --- listeners (http_listen.c) --------------------------------------------------------------- */

/* http_listen - fill the listener (its `http` is set) and take its address. Errors: ERR_IO,
 * ERR_USAGE; then what is there of it is for http_free(). */
MUST_CHECK int http_listen(struct listener *listener, const struct http_listener *from,
                           bool may_plain, struct error *err);

/* http_serve - let it answer, from a thread of its own. Errors: ERR_LIMIT. */
MUST_CHECK int http_serve(struct listener *listener, struct error *err);

/* http_deafen - no new connections. */
void http_deafen(struct listener *listener);

/* --- all of it ------------------------------------------------------------------------------- */

struct listener {
    struct http *http;                    /* borrowed */
    const struct http_protocol *protocol; /* borrowed */
    struct MHD_Daemon *daemon;
    int fd; /* owned; -1 when it is closed */
    uint16_t port;
    bool is_tls;
};

struct http {
    const struct env *env; /* borrowed, as the next two */
    struct auth *auth;
    struct audit *audit;
    char control_socket[PATH_TEXT_MAX]; /* "": the default */
    char certificate_path[PATH_TEXT_MAX];
    char key_path[PATH_TEXT_MAX];
    struct listener listeners[HTTP_LISTENERS_MAX];
    uint32_t listener_count;
    uint32_t connections_max; /* of one listener */
    bool has_tls;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t work;  /* the queue has something, or all ends */
    pthread_cond_t due;   /* a deadline may be earlier than the reaper thinks, or all ends */
    pthread_cond_t idle;  /* nothing is pending, or no worker busy, any more */
    struct connection *connections;
    struct exchange_list queue;
    struct exchange_list parked;
    uint64_t wake_count;
    uint64_t last_id;
    uint64_t next_due_ns;   /* until when the reaper waits */
    uint32_t coming_count;  /* places reserved in the queue */
    uint32_t pending_count; /* that were queued and have not ended */
    uint32_t busy_count;    /* workers with an exchange */
    size_t bodies_bytes;
    struct log_site login_site; /* of lines about refused logins that cost no guess */
    bool is_stopping;
    bool is_ending;

    struct worker workers[HTTP_WORKERS];
    uint32_t worker_count; /* that were started */
    pthread_t reaper;
    bool has_reaper;
};

#endif
