/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

#define ANSWER_FIRST_BYTES (16 * KIB)

void answer_done(struct answer *answer)
{
    free(answer->at);
    *answer = (struct answer){0};
}

bool answer_add(struct answer *answer, const char *bytes, size_t len_bytes)
{
    if (len_bytes > CLIENT_ANSWER_MAX || answer->len_bytes + len_bytes > CLIENT_ANSWER_MAX) {
        answer->is_too_long = true;
        return false;
    }
    if (answer->len_bytes + len_bytes > answer->size_bytes) {
        size_t size_bytes = answer->size_bytes > 0 ? answer->size_bytes : ANSWER_FIRST_BYTES;
        while (size_bytes < answer->len_bytes + len_bytes) {
            size_bytes *= 2;
        }
        char *larger = realloc(answer->at, size_bytes);
        if (larger == NULL) {
            answer->is_out_of_memory = true;
            return false;
        }
        answer->at = larger;
        answer->size_bytes = size_bytes;
    }
    if (len_bytes > 0) {
        memcpy(answer->at + answer->len_bytes, bytes, len_bytes);
    }
    answer->len_bytes += len_bytes;
    return true;
}

static int set_up_failed(CURLcode code, struct error *err)
{
    return fail(err, code == CURLE_OUT_OF_MEMORY ? ERR_LIMIT : ERR_INTERNAL, 0,
                "libcurl cannot be set up for a call of resilverd: %s", curl_easy_strerror(code));
}

int transfer_prepare(const struct client *client, CURL *curl, const char *method, const char *path,
                     struct error *err)
{
    char url[CLIENT_PATH_MAX + 32];
    CURLcode code = CURLE_OK;

    if (path[0] != '/' || strlen(path) >= CLIENT_PATH_MAX) {
        return fail(err, ERR_LIMIT, 0, "a call's path must begin with / and be below %u bytes",
                    CLIENT_PATH_MAX);
    }
    (void)snprintf(url, sizeof url, "http://resilver%s", path);
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_URL, url);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket_path);
    }
    /* Whatever the environment says of proxies: a call never leaves this host. */
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    }
    /* A VM may be called "..": the daemon takes paths as they are, and so must curl. */
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->acting);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CLIENT_CALL_S);
    }
    return code == CURLE_OK ? 0 : set_up_failed(code, err);
}

static int not_there(const struct client *client, CURL *curl, struct error *err)
{
    long errnum = 0;

    (void)curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &errnum); /* stays 0 */
    if (errnum == EACCES || errnum == EPERM) {
        return fail(err, ERR_PEER, (int)errnum,
                    "resilverd may not be asked at %s; ask as root, or as a member of the socket's "
                    "group",
                    client->socket_path);
    }
    return fail(err, ERR_PEER, (int)errnum,
                "nobody answers at %s; is resilverd running? (systemctl status resilverd)",
                client->socket_path);
}

int transfer_failed(const struct client *client, CURL *curl, CURLcode code,
                    const struct answer *answer, struct error *err)
{
    if (answer->is_out_of_memory || code == CURLE_OUT_OF_MEMORY) {
        return fail(err, ERR_LIMIT, 0, "out of memory for resilverd's answer");
    }
    if (answer->is_too_long) {
        return fail(err, ERR_PEER, 0, "resilverd's answer is longer than %llu bytes",
                    CLIENT_ANSWER_MAX);
    }
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST) {
        return not_there(client, curl, err);
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return fail(err, ERR_PEER, 0, "resilverd did not answer within %u s", CLIENT_CALL_S);
    }
    return fail(err, ERR_PEER, 0, "resilverd at %s did not answer as agreed: %s",
                client->socket_path, curl_easy_strerror(code));
}

long transfer_status(CURL *curl)
{
    long status = 0;

    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status); /* stays 0 */
    return status;
}

static enum error_kind kind_by_name(const char *name)
{
    for (unsigned int kind = ERR_NONE + 1; name != NULL && kind <= ERROR_KIND_MAX; kind++) {
        if (strcmp(error_kind_name((enum error_kind)kind), name) == 0) {
            return (enum error_kind)kind;
        }
    }
    return ERR_PEER;
}

int transfer_refused(long status, const struct answer *answer, struct client_refusal *refusal,
                     struct error *err)
{
    json_t *root = json_loadb(answer->at != NULL ? answer->at : "", answer->len_bytes,
                              JSON_REJECT_DUPLICATES, NULL);
    const json_t *error = json_object_get(root, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    json_int_t value = json_integer_value(json_object_get(error, "return_value"));

    if (refusal != NULL) {
        *refusal = (struct client_refusal){
            .http_status = status,
            .return_value = value > 0 && value <= UINT16_MAX ? (uint32_t)value : 0};
    }
    if (message != NULL) {
        (void)fail(err, kind_by_name(json_string_value(json_object_get(error, "kind"))), 0, "%s",
                   message);
    } else {
        (void)fail(err, ERR_PEER, 0, "resilverd answered with HTTP status %ld and no reason",
                   status);
    }
    json_decref(root);
    return -1;
}
