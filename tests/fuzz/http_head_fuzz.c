/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request's target and headers, a line each: the path that comes out is one that was asked for,
 * and nothing passes of which two readers could think differently. */
#include <stdlib.h>
#include <string.h>

#include "gateway/http_internal.h"

#define LINES_MAX 32

static void check(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

/* Cuts the lines apart; returns how many there are. */
static size_t split(char *text, char *lines[LINES_MAX])
{
    size_t count = 0;

    for (char *at = text; at != NULL && count < LINES_MAX;) {
        char *end = strchr(at, '\n');
        lines[count++] = at;
        if (end != NULL) {
            *end++ = '\0';
        }
        at = end;
    }
    return count;
}

static void note(struct http_head *head, char *line)
{
    char *colon = strchr(line, ':');

    if (colon != NULL) {
        *colon = '\0';
        http_head_note(head, line, colon + 1);
    }
}

static void check_passed(const struct http_head *head, const char *path)
{
    check(strcmp(path, "/wsman") == 0 || strcmp(path, "/open") == 0);
    check(head->content_length_count + head->transfer_encoding_count <= 1);
    check(head->host_count <= 1);
    for (const char *at = head->content_length; at != NULL && *at != '\0'; at++) {
        check(*at >= '0' && *at <= '9');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char *text = malloc(count + 1);
    char *lines[LINES_MAX] = {NULL};
    char *path = NULL;
    char *query = NULL;

    check(text != NULL);
    if (count > 0) {
        memcpy(text, bytes, count);
    }
    text[count] = '\0';
    size_t line_count = split(text, lines);
    struct http_head head = {.version = count % 2 == 0 ? "HTTP/1.1" : "HTTP/1.0", .method = "POST"};
    for (size_t i = 1; i < line_count; i++) {
        note(&head, lines[i]);
    }
    if (http_head_path(lines[0], &path, &query)) {
        check(path != NULL && query != NULL && strlen(path) <= strlen(lines[0]) + 1);
    } else {
        check(path == NULL && query == NULL);
    }
    struct http_refusal refusal = http_head_check(&head, "/wsman /open", path);
    if (refusal.status == 0) {
        check(path != NULL);
        check_passed(&head, path);
    } else {
        check(refusal.status >= 400 && refusal.status < 600 && refusal.text[0] != '\0');
    }
    free(path);
    free(query);
    free(text);
    return 0;
}
