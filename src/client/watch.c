/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>

#include "client/client.h"
#include "client/sse.h"
#include "client/transfer.h"

/* A stream being read. It has a curl handle of its own, so that the visitor can make calls. */
struct watch {
    const struct client *client; /* borrowed */
    CURL *curl;                  /* owned */
    CURLM *multi;                /* owned */
    client_visit *visit;
    void *context;
    struct sse sse;
    struct answer refusal;
    int result; /* not 0: what visit or the parser returned */
    struct error *err;
};

static void watch_done(struct watch *watch)
{
    if (watch->multi != NULL && watch->curl != NULL) {
        (void)curl_multi_remove_handle(watch->multi, watch->curl); /* one that is not in it is fine
                                                                    */
    }
    if (watch->curl != NULL) {
        curl_easy_cleanup(watch->curl);
    }
    if (watch->multi != NULL) {
        (void)curl_multi_cleanup(watch->multi); /* fails for bad handles only */
    }
    sse_done(&watch->sse);
    answer_done(&watch->refusal);
}

static int visit_event(void *context, const char *kind, struct const_span data, struct error *err)
{
    struct watch *watch = context;
    json_error_t where;
    json_t *object =
        json_loadb((const char *)data.at, data.len_bytes, JSON_REJECT_DUPLICATES, &where);

    if (object == NULL) {
        return fail(err, ERR_PEER, 0, "resilverd sent an event that is no JSON: %s", where.text);
    }
    int result = watch->visit(watch->context, kind, object, err);
    json_decref(object);
    return result;
}

static size_t feed(char *bytes, size_t size, size_t count, void *context)
{
    struct watch *watch = context;

    (void)size; /* always 1 */
    if (!transfer_is_good(transfer_status(watch->curl))) {
        return answer_add(&watch->refusal, bytes, count) ? count : 0;
    }
    watch->result =
        sse_feed(&watch->sse, (struct const_span){(const uint8_t *)bytes, count}, watch->err);
    return watch->result == 0 ? count : 0;
}

static int watch_start(struct watch *watch, struct error *err)
{
    watch->curl = curl_easy_init();
    watch->multi = curl_multi_init();
    if (watch->curl == NULL || watch->multi == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for watching resilverd");
    }
    if (transfer_prepare(watch->client, watch->curl, "GET", "/v1/watch", err) < 0) {
        return -1;
    }
    if (curl_easy_setopt(watch->curl, CURLOPT_WRITEFUNCTION, feed) != CURLE_OK ||
        curl_easy_setopt(watch->curl, CURLOPT_WRITEDATA, watch) != CURLE_OK ||
        curl_multi_add_handle(watch->multi, watch->curl) != CURLM_OK) {
        return fail(err, ERR_INTERNAL, 0, "libcurl cannot be set up for watching resilverd");
    }
    return 0;
}

static int watch_end(struct watch *watch, CURLcode code, struct error *err)
{
    if (code != CURLE_OK) {
        return transfer_failed(watch->client, watch->curl, code, &watch->refusal, err);
    }
    long status = transfer_status(watch->curl);
    return transfer_is_good(status) ? 0 : transfer_refused(status, &watch->refusal, NULL, err);
}

/* Whether the stream has ended, and how. */
static bool has_ended(struct watch *watch, CURLcode *out)
{
    int left = 0;
    CURLMsg *message = curl_multi_info_read(watch->multi, &left);

    if (message == NULL || message->msg != CURLMSG_DONE) {
        return false;
    }
    *out = message->data.result;
    return true;
}

static int watch_run(struct watch *watch, int idle_ms, struct error *err)
{
    for (;;) {
        int running = 0;
        CURLcode code = CURLE_OK;

        if (curl_multi_perform(watch->multi, &running) != CURLM_OK) {
            return fail(err, ERR_INTERNAL, 0, "libcurl does not go on watching resilverd");
        }
        if (watch->result != 0) {
            return watch->result;
        }
        if (has_ended(watch, &code)) {
            return watch_end(watch, code, err);
        }
        int result = watch->visit(watch->context, NULL, NULL, err);
        if (result != 0) {
            return result;
        }
        if (curl_multi_poll(watch->multi, NULL, 0, idle_ms, NULL) != CURLM_OK) {
            return fail(err, ERR_INTERNAL, 0, "libcurl cannot wait for resilverd");
        }
    }
}

int client_watch(struct client *client, int idle_ms, client_visit *visit, void *context,
                 struct error *err)
{
    struct watch watch = {.client = client, .visit = visit, .context = context, .err = err};

    watch.sse.visit = visit_event;
    watch.sse.context = &watch;
    int result = watch_start(&watch, err);
    if (result == 0) {
        result = watch_run(&watch, idle_ms, err);
    }
    watch_done(&watch);
    return result;
}
