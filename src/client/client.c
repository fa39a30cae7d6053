/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * client.c - HTTP over the Unix socket, by libcurl.
 */
#include "client/client.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "client/events.h"

#define URL_HOST "http://resilver"
#define CONNECT_MS 5000L
#define CALL_MS 15000L

struct client {
    CURL *curl; /* owned */
    char socket_path[PATH_TEXT_MAX];
    char reason[CURL_ERROR_SIZE];
};

int client_open(const char *socket_path, struct client **out, struct error *err)
{
    const char *path = socket_path != NULL ? socket_path : getenv("RESILVER_SOCKET");

    path = path == NULL || path[0] == '\0' ? CLIENT_SOCKET_DEFAULT : path;
    if (strlen(path) >= sizeof((struct client *)NULL)->socket_path) {
        return fail(err, ERR_USAGE, 0, "the path of the service's socket is too long");
    }
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory");
    }
    (void)snprintf(client->socket_path, sizeof client->socket_path, "%s", path);
    client->curl = curl_easy_init();
    if (client->curl == NULL) {
        free(client);
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for HTTP");
    }
    *out = client;
    return 0;
}

void client_close(struct client *client)
{
    if (client != NULL) {
        curl_easy_cleanup(client->curl);
        free(client);
    }
}

/* --- paths ----------------------------------------------------------------------------------- */

static bool is_plain(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.' || byte == '~';
}

struct path {
    char *at;
    size_t size_bytes;
    size_t len_bytes;
};

static void add(struct path *path, const char *text, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++) {
        if (path->len_bytes + 1 < path->size_bytes) {
            path->at[path->len_bytes] = text[i];
        }
        path->len_bytes++;
    }
}

/* Source: RFC 3986, 2.1 */
static void add_encoded(struct path *path, const char *text)
{
    char code[4];

    for (; *text != '\0'; text++) {
        if (is_plain(*text)) {
            add(path, text, 1);
        } else {
            (void)snprintf(code, sizeof code, "%%%02X", (unsigned char)*text);
            add(path, code, 3);
        }
    }
}

int client_path(char *out, size_t size_bytes, struct error *err, const char *format, ...)
{
    struct path path = {.at = out, .size_bytes = size_bytes};
    char number[24];
    va_list arguments;

    va_start(arguments, format);
    for (const char *at = format; *at != '\0'; at++) {
        if (at[0] != '%') {
            add(&path, at, 1);
            continue;
        }
        at++;
        if (*at == 's') {
            add_encoded(&path, va_arg(arguments, const char *));
        } else {
            assert(*at == 'd' || *at == 'u'); /* formats are ours */
            (void)snprintf(number, sizeof number, "%d", va_arg(arguments, int));
            add(&path, number, strlen(number));
        }
    }
    va_end(arguments);
    if (path.len_bytes >= size_bytes) {
        return fail(err, ERR_LIMIT, 0, "a name is too long for a call");
    }
    out[path.len_bytes] = '\0';
    return 0;
}

/* --- calls ----------------------------------------------------------------------------------- */

struct answer {
    char *text; /* owned */
    size_t len_bytes;
    bool is_too_long;
};

static size_t take_answer(char *bytes, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    size_t len_bytes = size * count;

    if (answer->len_bytes + len_bytes > CLIENT_ANSWER_MAX) {
        answer->is_too_long = true;
        return 0;
    }
    char *text = realloc(answer->text, answer->len_bytes + len_bytes + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text + answer->len_bytes, bytes, len_bytes);
    answer->text = text;
    answer->len_bytes += len_bytes;
    text[answer->len_bytes] = '\0';
    return len_bytes;
}

/* Options that fail only without memory, which the transfer then says. */
static void set_up(struct client *client, const char *method, const char *url)
{
    CURL *curl = client->curl;

    curl_easy_reset(curl);
    client->reason[0] = '\0';
    (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket_path);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->reason);
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
}

static int fail_transfer(const struct client *client, CURLcode code, struct error *err)
{
    if (code == CURLE_COULDNT_CONNECT && access(client->socket_path, F_OK) < 0) {
        return fail(err, ERR_PEER, 0,
                    "the service is not there (no socket '%s'): is resilverd running? 'systemctl "
                    "status resilverd' tells",
                    client->socket_path);
    }
    if (code == CURLE_COULDNT_CONNECT && access(client->socket_path, W_OK) < 0) {
        return fail(err, ERR_PEER, 0,
                    "you may not connect to the service's socket '%s': it is for root and the "
                    "group that the configuration's group= names",
                    client->socket_path);
    }
    if (code == CURLE_COULDNT_CONNECT) {
        return fail(err, ERR_PEER, 0,
                    "nobody answers at the service's socket '%s': is resilverd running? 'systemctl "
                    "status resilverd' tells",
                    client->socket_path);
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return fail(err, ERR_PEER, 0, "the service did not answer within %ld s", CALL_MS / 1000);
    }
    return fail(err, ERR_PEER, 0, "the call to the service failed: %s",
                client->reason[0] != '\0' ? client->reason : curl_easy_strerror(code));
}

static enum error_kind kind_of(const char *name)
{
    for (int kind = 1; kind <= ERROR_KIND_MAX; kind++) {
        if (name != NULL && strcmp(error_kind_name((enum error_kind)kind), name) == 0) {
            return (enum error_kind)kind;
        }
    }
    return ERR_PEER;
}

static int fail_refused(const json_t *answer, long status, struct client_refusal *refusal,
                        struct error *err)
{
    const json_t *error = json_object_get(answer, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    json_int_t value = json_integer_value(json_object_get(error, "return_value"));

    if (refusal != NULL) {
        refusal->http_status = status;
        refusal->return_value = value >= 0 && value <= UINT16_MAX ? (uint32_t)value : 0;
    }
    return fail(err, kind_of(json_string_value(json_object_get(error, "kind"))), 0, "%s",
                message != NULL ? message : "the service refused the call without a word");
}

static int take_result(struct client *client, const struct answer *answer, json_t **out,
                       struct client_refusal *refusal, struct error *err)
{
    json_error_t where;
    long status = 0;

    (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    json_t *found = answer->text == NULL ? NULL
                                         : json_loadb(answer->text, answer->len_bytes,
                                                      JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(found)) {
        json_decref(found);
        return fail(err, ERR_PEER, 0,
                    "what answers at '%s' is not this version's service (HTTP status %ld)",
                    client->socket_path, status);
    }
    if (status < 200 || status > 299) {
        int result = fail_refused(found, status, refusal, err);
        json_decref(found);
        return result;
    }
    if (out != NULL) {
        *out = found;
    } else {
        json_decref(found);
    }
    return 0;
}

static int make_url(char *out, size_t size_bytes, const char *path, struct error *err)
{
    if ((size_t)snprintf(out, size_bytes, URL_HOST "%s", path) >= size_bytes) {
        return fail(err, ERR_LIMIT, 0, "a name is too long for a call");
    }
    return 0;
}

int client_call(struct client *client, const char *method, const char *path, const json_t *body,
                json_t **out, struct client_refusal *refusal, struct error *err)
{
    char url[CLIENT_PATH_MAX];
    struct answer answer = {0};
    char *text = NULL;

    if (refusal != NULL) {
        *refusal = (struct client_refusal){0};
    }
    if (make_url(url, sizeof url, path, err) < 0) {
        return -1;
    }
    set_up(client, method, url);
    if (body != NULL) {
        text = json_dumps(body, JSON_COMPACT);
        if (text == NULL) {
            return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a call");
        }
        (void)curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, text);
    }
    (void)curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, CALL_MS);
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_answer);
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &answer);
    CURLcode code = curl_easy_perform(client->curl);
    int result = 0;
    if (answer.is_too_long) {
        result = fail(err, ERR_LIMIT, 0, "the service's answer is longer than %llu bytes",
                      CLIENT_ANSWER_MAX);
    } else if (code != CURLE_OK) {
        result = fail_transfer(client, code, err);
    } else {
        result = take_result(client, &answer, out, refusal, err);
    }
    free(answer.text);
    free(text);
    return result;
}

/* --- downloads ------------------------------------------------------------------------------- */

struct download {
    CURL *curl; /* borrowed */
    int fd;
    int errnum;
    struct answer refusal; /* of an answer that is not 2xx */
};

static size_t take_piece(char *bytes, size_t size, size_t count, void *context)
{
    struct download *download = context;
    size_t len_bytes = size * count;
    long status = 0;

    (void)curl_easy_getinfo(download->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        return take_answer(bytes, size, count, &download->refusal);
    }
    for (size_t done = 0; done < len_bytes;) {
        ssize_t wrote = write(download->fd, bytes + done, len_bytes - done);
        if (wrote < 0 && errno != EINTR) {
            download->errnum = errno;
            return 0;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return len_bytes;
}

int client_download(struct client *client, const char *path, int fd, struct error *err)
{
    struct download download = {.curl = client->curl, .fd = fd};
    char url[CLIENT_PATH_MAX];
    long status = 0;
    int result = 0;

    if (make_url(url, sizeof url, path, err) < 0) {
        return -1;
    }
    set_up(client, "GET", url);
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_piece);
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &download);
    CURLcode code = curl_easy_perform(client->curl);
    (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (download.errnum != 0) {
        result = fail(err, ERR_IO, download.errnum, "cannot write what the service sends");
    } else if (code != CURLE_OK) {
        result = fail_transfer(client, code, err);
    } else if (status != 200) {
        result = take_result(client, &download.refusal, NULL, NULL, err);
    }
    free(download.refusal.text);
    return result;
}

/* --- watching -------------------------------------------------------------------------------- */

struct watch {
    struct events events;
    client_visit *visit;
    void *context;
    CURL *curl;            /* borrowed */
    struct answer refusal; /* of an answer that is not 2xx */
    int result;            /* what visit returned, when not 0 */
    struct error error;
};

static int take_event(void *context, const char *kind, const char *data)
{
    struct watch *watch = context;
    json_error_t where;
    json_t *object = json_loads(data, JSON_REJECT_DUPLICATES, &where);

    if (object == NULL) {
        watch->result = fail(&watch->error, ERR_PEER, 0, "the service sent an event that is none");
        return watch->result;
    }
    watch->result = watch->visit(watch->context, kind, object, &watch->error);
    json_decref(object);
    return watch->result;
}

static size_t take_stream(char *bytes, size_t size, size_t count, void *context)
{
    struct watch *watch = context;
    size_t len_bytes = size * count;
    long status = 0;

    (void)curl_easy_getinfo(watch->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        return take_answer(bytes, size, count, &watch->refusal);
    }
    if (!events_feed(&watch->events, bytes, len_bytes, take_event, watch) && watch->result == 0) {
        watch->result = fail(&watch->error, ERR_PEER, 0, "the service sent too long an event");
    }
    return watch->result != 0 ? 0 : len_bytes;
}

/* Until the stream ends or somebody has had enough. */
static CURLcode pump(CURLM *multi, struct watch *watch, int idle_ms)
{
    int running = 1;
    int left = 0;
    CURLMsg *message = NULL;

    while (running > 0 && watch->result == 0) {
        if (curl_multi_perform(multi, &running) != CURLM_OK) {
            return CURLE_RECV_ERROR;
        }
        if (running > 0 && watch->result == 0) {
            (void)curl_multi_poll(multi, NULL, 0, idle_ms, NULL); /* early returns do no harm */
            watch->result = watch->visit(watch->context, NULL, NULL, &watch->error);
        }
    }
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            return message->data.result;
        }
    }
    return CURLE_OK;
}

int client_watch(struct client *client, int idle_ms, client_visit *visit, void *context,
                 struct error *err)
{
    struct watch watch = {.visit = visit, .context = context, .curl = client->curl};
    CURLM *multi = curl_multi_init();
    long status = 0;

    if (multi == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for HTTP");
    }
    set_up(client, "GET", URL_HOST "/v1/watch");
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_stream);
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &watch);
    (void)curl_multi_add_handle(multi, client->curl); /* cannot fail: it is in no other */
    CURLcode code = pump(multi, &watch, idle_ms);
    (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    int result = watch.result;
    if (result < 0 && err != NULL) {
        *err = watch.error;
    } else if (result == 0 && code != CURLE_OK) {
        result = fail_transfer(client, code, err);
    } else if (result == 0 && status != 200) {
        result = take_result(client, &watch.refusal, NULL, NULL, err);
    }
    (void)curl_multi_remove_handle(multi, client->curl);
    (void)curl_multi_cleanup(multi);
    free(watch.refusal.text);
    events_done(&watch.events);
    return result;
}
