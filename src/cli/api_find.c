/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/api_find.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/nearest.h"
#include "base/uuid.h"
#include "cli/answer.h"

#define PREFIX_MIN 4U /* digits of a job's id: fewer would soon mean another one */
#define HTTP_NOT_FOUND 404

/* --- near names ------------------------------------------------------------------------------ */

static const char *nearest_of(const json_t *list, const char *name)
{
    const char *nearest = NULL;
    const json_t *item = NULL;
    size_t index = 0;

    json_array_foreach(list, index, item)
    {
        nearest = nearest_pick(name, nearest, answer_text(item, "name"));
    }
    return nearest;
}

/* The refusal stands; a list that cannot be had takes nothing from it. */
static int suggest(struct api *api, const char *path, const char *list, const char *name,
                   struct error *err)
{
    struct client_refusal refusal = api->refusal;
    json_auto_t *answer = NULL;
    const char *nearest = NULL;

    if (err == NULL || refusal.http_status != HTTP_NOT_FOUND) {
        return -1;
    }
    if (api_call(api, "GET", path, &answer, NULL) == 0) {
        nearest = nearest_of(json_object_get(answer, list), name);
    }
    api->refusal = refusal;
    if (nearest != NULL && strstr(err->message, "did you mean") == NULL) {
        size_t used = strlen(err->message);
        (void)snprintf(err->message + used, sizeof err->message - used, "; did you mean '%s'?",
                       nearest);
    }
    return -1;
}

int api_suggest_host(struct api *api, const char *name, struct error *err)
{
    return suggest(api, "/v1/hosts", "hosts", name, err);
}

int api_fail_no_host(const json_t *hosts, const char *name, struct error *err)
{
    const char *nearest = nearest_of(hosts, name);

    return nearest != NULL
               ? fail(err, ERR_USAGE, 0, "no paired host is named '%.200s'; did you mean '%s'?",
                      name, nearest)
               : fail(err, ERR_USAGE, 0,
                      "no paired host is named '%.200s'; 'resilver host list' shows them", name);
}

/* --- VMs and relationships ------------------------------------------------------------------- */

int api_find_vm(struct api *api, const char *name, json_t **out, struct error *err)
{
    char path[API_PATH_MAX];

    if (client_path(path, sizeof path, err, "/v1/vms/%s", name) < 0) {
        return -1;
    }
    return api_call(api, "GET", path, out, err) == 0 ? 0
                                                     : suggest(api, "/v1/vms", "vms", name, err);
}

static bool is_source(const json_t *relationship)
{
    int64_t role = answer_number(relationship, "role");

    return role == 1 || role == 3; /* docs/control.md: primary, extending */
}

int api_find_relationship(const struct api *api, const json_t *vm, const json_t **out,
                          struct error *err)
{
    const json_t *list = json_object_get(vm, "relationships");
    const json_t *found = NULL;
    const json_t *item = NULL;
    size_t index = 0;
    const char *name = answer_text(vm, "name");

    if (json_array_size(list) == 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "%s is not replicated; 'resilver relationship create %s --host=HOST' begins it",
                    name, name);
    }
    json_array_foreach(list, index, item)
    {
        bool is_wanted = api->args->hop < 0 ? is_source(item) || json_array_size(list) == 1
                                            : answer_number(item, "hop") == api->args->hop;
        found = is_wanted && found == NULL ? item : found;
    }
    if (found == NULL && api->args->hop >= 0) {
        return fail(err, ERR_USAGE, 0,
                    "%s has no relationship at hop %d; 'resilver relationship "
                    "list' shows which there are",
                    name, api->args->hop);
    }
    if (found == NULL) {
        return fail(err, ERR_USAGE, 0, "%s has two relationships; say --hop=0 or --hop=1", name);
    }
    *out = found;
    return 0;
}

/* --- jobs ------------------------------------------------------------------------------------ */

static int pick_job(const json_t *jobs, const char *word, char out[API_ID_MAX], struct error *err)
{
    const char *found = NULL;
    const char *second = NULL;
    const json_t *job = NULL;
    size_t index = 0;

    json_array_foreach(jobs, index, job)
    {
        const char *id = answer_text(job, "id");
        if (strncasecmp(id, word, strlen(word)) == 0) {
            second = found == NULL ? NULL : id;
            found = found == NULL ? id : found;
        }
        if (second != NULL) {
            return fail(err, ERR_USAGE, 0, "'%s' is the beginning of several jobs, as %s and %s",
                        word, found, second);
        }
    }
    if (found == NULL || strlen(found) >= API_ID_MAX) {
        return fail(err, ERR_USAGE, 0,
                    "no job's id begins with '%.60s'; 'resilver job list --all' shows them", word);
    }
    (void)snprintf(out, API_ID_MAX, "%s", found);
    return 0;
}

int api_find_job(struct api *api, const char *word, char out[API_ID_MAX], struct error *err)
{
    json_auto_t *answer = NULL;
    size_t digits = strspn(word, "0123456789abcdefABCDEF-");

    if (word[digits] != '\0' || digits < PREFIX_MIN || digits >= UUID_TEXT_MAX) {
        return fail(err, ERR_USAGE, 0,
                    "'%.60s' is no job's id: that is a UUID, or at least the first %u digits of it",
                    word, PREFIX_MIN);
    }
    if (digits + 1 == UUID_TEXT_MAX) {
        (void)snprintf(out, API_ID_MAX, "%s", word);
        return 0;
    }
    return api_call(api, "GET", "/v1/jobs?all=true", &answer, err) < 0
               ? -1
               : pick_job(json_object_get(answer, "jobs"), word, out, err);
}
