/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http.h - the gateway's listeners: HTTP/1.1 by libmicrohttpd, with and without TLS. A request that
 * is whole and whose caller is known goes to a worker, which asks the handler of its listener.
 *
 * Every connection has a deadline for becoming a whole request; slow and idle ones are cut. Bodies,
 * heads and answers are bounded. Nothing is served but POST on the handler's paths.
 */
#ifndef RESILVER_GATEWAY_HTTP_H
#define RESILVER_GATEWAY_HTTP_H

#include "base/arena.h"
#include "base/env.h"
#include "base/span.h"
#include "cim/caller.h"
#include "client/client.h"
#include "xml/text.h"

struct http;

/* What a handler is given. Everything is borrowed for the call. */
struct http_request {
    const char *path;  /* "/wsman", decoded, without the query */
    const char *query; /* "" */
    struct const_span body;
    const struct cim_caller *caller; /* NULL: nobody, of paths that need none */
    const char *remote;              /* "192.0.2.7:51514" */
    bool is_tls;
    uint64_t id;           /* of the request; never used twice */
    uint64_t received_ns;  /* when it was whole */
    uint32_t attempt;      /* 0; counts the times it was parked */
    struct arena *arena;   /* of the request */
    struct client *client; /* the worker's; acts for the caller already */
    const struct env *env;
    const char *(*header)(const void *connection, const char *name);
    const void *connection; /* of header() */
};

/* http_header - a header's value; NULL: none, "" is one. Names without case. */
static inline const char *http_header(const struct http_request *request, const char *name)
{
    return request->header(request->connection, name);
}

#define HTTP_HEADERS_MAX 8U
struct http_answer {
    unsigned status;          /* 0: still to be set */
    const char *content_type; /* NULL: no body */
    struct {
        const char *name;
        const char *value; /* of the arena, or a literal; no CR, no LF */
    } headers[HTTP_HEADERS_MAX];
    uint32_t header_count;
    struct xml_text body;   /* initialised; freed by http */
    uint64_t park_until_ns; /* when the handler returned HTTP_PARK */
};

void http_answer_header(struct http_answer *answer, const char *name, const char *value);

enum http_result {
    HTTP_DONE = 0, /* the answer is complete */
    HTTP_PARK = 1  /* nothing to say yet: call again after http_wake(park_key) or park_until_ns */
};

/* One protocol. */
struct http_protocol {
    const char *name;        /* "wsman", for log and audit */
    const char *paths;       /* "/wsman /wsman/ ..." separated by blanks */
    const char *open_paths;  /* those that need no caller; "" none */
    const char *open_header; /* a header by which a request without credentials asks as nobody... */
    const char *open_value;  /* ...with this value; NULL, NULL: none */
    const char *realm;
    enum http_result (*handle)(void *context, const struct http_request *request,
                               struct http_answer *answer);
    void *context; /* borrowed */
};

struct http_listener {
    const struct http_protocol *protocol; /* borrowed */
    char address[HOST_TEXT_MAX + 8];      /* "127.0.0.1:5985", ":5986" */
    bool is_tls;
};

struct auth;
struct audit;

struct http_config {
    const struct env *env;    /* borrowed, as all here */
    struct auth *const *auth; /* of the pointer to it: it is looked at after `bound` was called */
    struct audit *audit;
    const struct http_listener *listeners;
    uint32_t listener_count;
    const char *certificate_path; /* PEM; NULL: no TLS listener */
    const char *key_path;
    const char *control_socket; /* NULL: the default */
    /* Called when every address is bound and every file read, before the first thread is made: to
     * give up privileges. NULL: nothing is done. */
    int (*bound)(void *context, struct error *err);
    void *context;
    bool may_plain_beyond_loopback; /* passwords in clear text over a network: somebody said so */
};

/* http_start - listen, and start the workers. Errors: ERR_IO an address cannot be had, a
 * certificate cannot be read; ERR_USAGE a plain listener beyond loopback that nobody allowed, a TLS
 * listener without a certificate; ERR_LIMIT. One at a time in a process. */
MUST_CHECK int http_start(const struct http_config *config, struct http **out, struct error *err);

/* http_port - of a listener (its address may have said port 0). */
uint16_t http_port(const struct http *http, uint32_t listener);

/* http_reload - read the certificate anew; on failure the old one stays. */
MUST_CHECK int http_reload(struct http *http, struct error *err);

/* http_wake - parked requests of that context are handled again. From any thread. */
void http_wake(struct http *http);

/* http_stop - no new connections; answers under way go out for at most `grace_ms`; then all ends.
 */
void http_stop(struct http *http, unsigned grace_ms);

/* http_is_idle - after http_stop: false: a handler has not come back yet, and http_free would wait
 * for it. */
bool http_is_idle(struct http *http);
void http_free(struct http *http);

#endif
