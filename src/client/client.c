/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "client/transfer.h"

static void free_textp(char **text)
{
    free(*text);
    *text = NULL;
}

/* NULL: no memory. */
static struct client *make(const char *socket_path)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        return NULL;
    }
    (void)snprintf(client->socket_path, sizeof client->socket_path, "%s", socket_path);
    client->curl = curl_easy_init();
    if (client->curl == NULL) {
        free(client);
        return NULL;
    }
    return client;
}

int client_open(const char *socket_path, struct client **out, struct error *err)
{
    if (socket_path == NULL) {
        const char *chosen = getenv("RESILVER_SOCKET");
        socket_path = chosen != NULL && chosen[0] != '\0' ? chosen : CLIENT_SOCKET_DEFAULT;
    }
    if (strlen(socket_path) >= sizeof((struct client *)NULL)->socket_path) {
        return fail(err, ERR_LIMIT, 0, "the socket's path is longer than %zu bytes: %s",
                    sizeof((struct client *)NULL)->socket_path - 1, socket_path);
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return fail(err, ERR_LIMIT, 0, "libcurl does not start");
    }
    struct client *client = make(socket_path);
    if (client == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for calls of resilverd");
    }
    *out = client;
    return 0;
}

void client_close(struct client *client)
{
    if (client == NULL) {
        return;
    }
    if (client->curl != NULL) {
        curl_easy_cleanup(client->curl);
    }
    curl_slist_free_all(client->acting);
    free(client);
}

/* --- for somebody else ----------------------------------------------------------------------- */

static bool is_fit_for_a_header(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            return false;
        }
    }
    return text[0] != '\0';
}

/* The list stays as it is when there is no memory. */
static bool add_header(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);

    *list = longer != NULL ? longer : *list;
    return longer != NULL;
}

static int make_acting(const char *user, const char *role_name, struct curl_slist **out,
                       struct error *err)
{
    char encoded[3 * CALLER_NAME_MAX];
    char line[sizeof encoded + 32];
    char role[64];
    struct curl_slist *made = NULL;

    if (client_path(encoded, sizeof encoded, NULL, "%s", user) < 0 ||
        snprintf(role, sizeof role, "Resilver-Role: %s", role_name) >= (int)sizeof role) {
        return fail(err, ERR_LIMIT, 0, "the name of whom to act for is longer than %u bytes",
                    CALLER_NAME_MAX - 1U);
    }
    (void)snprintf(line, sizeof line, "Resilver-User: %s", encoded);
    if (!add_header(&made, line) || !add_header(&made, role)) {
        curl_slist_free_all(made);
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for calls of resilverd");
    }
    *out = made;
    return 0;
}

int client_act_for(struct client *client, const char *user, const char *role_name,
                   struct error *err)
{
    struct curl_slist *made = NULL;

    if ((user == NULL) != (role_name == NULL) ||
        (user != NULL && (!is_fit_for_a_header(user) || !is_fit_for_a_header(role_name)))) {
        return fail(err, ERR_USAGE, 0,
                    "whom to act for needs a name and a role, without control characters");
    }
    if (user != NULL && make_acting(user, role_name, &made, err) < 0) {
        return -1;
    }
    curl_slist_free_all(client->acting);
    client->acting = made;
    return 0;
}

/* --- calls ----------------------------------------------------------------------------------- */

/* A handle, and so a connection, of its own for each call: curl sends a request once more when a
 * connection that it had kept turns out to be closed, and the daemon may have done it by then. And
 * no curl_easy_reset(), which has no way to say that memory was short: libcurl 7.88 goes on with a
 * handle that is half set up, and writes past its buffers. */
static int renew_handle(struct client *client, struct error *err)
{
    CURL *curl = curl_easy_init();

    if (curl == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for calls of resilverd");
    }
    curl_easy_cleanup(client->curl);
    client->curl = curl;
    return 0;
}

/* curl's: anything but `count` given back ends the transfer. */
static size_t keep(char *bytes, size_t size, size_t count, void *context)
{
    (void)size; /* always 1 */
    return answer_add(context, bytes, count) ? count : 0;
}

static CURLcode set_body(CURL *curl, const char *text)
{
    CURLcode code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);

    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
    }
    return code;
}

/* The headers of a call with a body. */
static CURLcode make_headers(const struct client *client, struct curl_slist **out)
{
    bool is_made = add_header(out, "Content-Type: application/json");

    for (const struct curl_slist *at = client->acting; is_made && at != NULL; at = at->next) {
        is_made = add_header(out, at->data);
    }
    return is_made ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

/* "Expect:" would cost every call of more than 1 MiB a round trip, and our bodies are small. */
static CURLcode perform(const struct client *client, const char *text, struct answer *answer)
{
    CURL *curl = client->curl;
    struct curl_slist *headers = NULL;
    CURLcode code = make_headers(client, &headers);

    if (code == CURLE_OK && text != NULL) {
        code = set_body(curl, text);
    }
    if (code == CURLE_OK && text != NULL) {
        code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)CLIENT_CALL_S);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    }
    if (code == CURLE_OK) {
        code = curl_easy_perform(curl);
    }
    /* The list must live as long as the handle knows it. */
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL); /* cannot fail */
    curl_slist_free_all(headers);
    return code;
}

static int take_answer(const struct answer *answer, json_t **out, struct error *err)
{
    json_error_t where;
    json_t *root = json_loadb(answer->at != NULL ? answer->at : "", answer->len_bytes,
                              JSON_REJECT_DUPLICATES, &where);

    if (root == NULL) {
        return fail(err, ERR_PEER, 0, "resilverd's answer is no JSON: %s", where.text);
    }
    if (out != NULL) {
        *out = root;
    } else {
        json_decref(root);
    }
    return 0;
}

int client_call(struct client *client, const char *method, const char *path, const json_t *body,
                json_t **out, struct client_refusal *refusal, struct error *err)
{
    CLEANUP(answer_done) struct answer answer = {0};
    CLEANUP(free_textp) char *text = NULL;

    if (refusal != NULL) {
        *refusal = (struct client_refusal){0};
    }
    if (body != NULL) {
        text = json_dumps(body, JSON_COMPACT);
        if (text == NULL) {
            return fail(err, ERR_USAGE, 0, "what is asked cannot be written as JSON");
        }
    }
    if (renew_handle(client, err) < 0 ||
        transfer_prepare(client, client->curl, method, path, err) < 0) {
        return -1;
    }
    bool has_body = text != NULL || strcmp(method, "POST") == 0;
    const char *sent = text != NULL ? text : has_body ? "" : NULL;
    CURLcode code = perform(client, sent, &answer);
    if (code != CURLE_OK) {
        return transfer_failed(client, client->curl, code, &answer, err);
    }
    long status = transfer_status(client->curl);
    if (!transfer_is_good(status)) {
        return transfer_refused(status, &answer, refusal, err);
    }
    return take_answer(&answer, out, err);
}

/* Where a download goes: the file, or the words of a refusal. */
struct download {
    CURL *curl; /* borrowed */
    int fd;
    int errnum; /* of a write that failed */
    struct answer refusal;
};

static size_t save(char *bytes, size_t size, size_t count, void *context)
{
    struct download *download = context;
    size_t written = 0;

    (void)size; /* always 1 */
    if (!transfer_is_good(transfer_status(download->curl))) {
        return answer_add(&download->refusal, bytes, count) ? count : 0;
    }
    while (written < count) {
        ssize_t got = write(download->fd, bytes + written, count - written);
        if (got < 0 && errno != EINTR) {
            download->errnum = errno;
            return 0;
        }
        written += got > 0 ? (size_t)got : 0;
    }
    return count;
}

static CURLcode perform_download(struct download *download)
{
    CURLcode code = curl_easy_setopt(download->curl, CURLOPT_WRITEFUNCTION, save);

    if (code == CURLE_OK) {
        code = curl_easy_setopt(download->curl, CURLOPT_WRITEDATA, download);
    }
    /* However long it takes, as long as something comes. */
    if (code == CURLE_OK) {
        code = curl_easy_setopt(download->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(download->curl, CURLOPT_LOW_SPEED_TIME, (long)CLIENT_CALL_S);
    }
    return code == CURLE_OK ? curl_easy_perform(download->curl) : code;
}

static int end_download(const struct client *client, const struct download *download, CURLcode code,
                        struct error *err)
{
    if (download->errnum != 0) {
        return fail(err, ERR_IO, download->errnum, "what resilverd sent cannot be written");
    }
    if (code != CURLE_OK) {
        return transfer_failed(client, download->curl, code, &download->refusal, err);
    }
    long status = transfer_status(download->curl);
    return transfer_is_good(status) ? 0 : transfer_refused(status, &download->refusal, NULL, err);
}

int client_download(struct client *client, const char *path, int fd, struct error *err)
{
    struct download download = {.fd = fd};

    if (renew_handle(client, err) < 0 ||
        transfer_prepare(client, client->curl, "GET", path, err) < 0) {
        return -1;
    }
    download.curl = client->curl;
    CURLcode code = perform_download(&download);
    int result = end_download(client, &download, code, err);
    answer_done(&download.refusal);
    return result;
}
