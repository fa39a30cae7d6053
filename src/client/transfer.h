/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * transfer.h - one HTTP request to the daemon: libcurl set up for a Unix socket and nothing else,
 * and what its answer means.
 */
#ifndef RESILVER_CLIENT_TRANSFER_H
#define RESILVER_CLIENT_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/span.h"
#include "client/client.h"

struct client {
    char socket_path[108];     /* sockaddr_un's */
    CURL *curl;                /* owned; of the last call */
    struct curl_slist *acting; /* owned: the headers of whom it acts for; NULL: of nobody */
};

/* An answer that is kept whole, up to CLIENT_ANSWER_MAX. */
struct answer {
    char *at; /* owned */
    size_t len_bytes;
    size_t size_bytes;
    bool is_too_long;
    bool is_out_of_memory;
};

void answer_done(struct answer *answer);

/* answer_add - false: no more is taken, and the answer says why. */
MUST_CHECK bool answer_add(struct answer *answer, const char *bytes, size_t len_bytes);

/* transfer_prepare - with client->acting as headers, everything about a request but where its
 * answer goes; curl is a new handle. Errors: ERR_LIMIT, ERR_INTERNAL. */
MUST_CHECK int transfer_prepare(const struct client *client, CURL *curl, const char *method,
                                const char *path, struct error *err);

/* transfer_failed - fail() with what curl says of a request that got no answer. */
int transfer_failed(const struct client *client, CURL *curl, CURLcode code,
                    const struct answer *answer, struct error *err);

long transfer_status(CURL *curl);
static inline bool transfer_is_good(long status)
{
    return status >= 200 && status <= 299;
}

/* transfer_refused - fail() with the daemon's words for an answer that is not 2xx. */
int transfer_refused(long status, const struct answer *answer, struct client_refusal *refusal,
                     struct error *err);

#endif
