/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/api.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/env.h"
#include "base/instant.h"
#include "cli/answer.h"
#include "cli/ask.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/settings.h"
#include "cli/watch_job.h"
#include "cli/when.h"

#define JOB_STARTED 4096 /* docs/control.md: the return value when a job was made */

/* --- running --------------------------------------------------------------------------------- */

static void print_failure(const struct error *err, uint32_t value)
{
    json_t *root = json_object();
    json_t *error = json_out_error(err);
    bool is_complete = json_out_put(error, "return_value", json_integer(value)) &&
                       json_out_put(root, "schema", json_integer(JSON_OUT_SCHEMA)) &&
                       json_out_put(root, "result", json_string("failed"));

    json_out_print(stdout, root, json_out_put(root, "error", error) && is_complete);
}

/* The number of a refusal is what DMTF's documents and Hyper-V's tools know it by. */
static int tell_failure(const struct api *api, struct error *err, bool json)
{
    uint32_t value = api->refusal.return_value;
    size_t used = strlen(err->message);

    if (value == 0) {
        return command_fail(err, json);
    }
    if (json) {
        print_failure(err, value);
        return command_finish(err->kind == ERR_USAGE ? COMMAND_USAGE : COMMAND_FAILED);
    }
    (void)snprintf(err->message + used, sizeof err->message - used, " (return value %" PRIu32 ")",
                   value);
    return command_fail(err, false);
}

static int act(struct api *api, api_action *action, struct error *err)
{
    if (client_open(api->args->socket, &api->client, err) < 0) {
        return -1;
    }
    return action(api, err);
}

int api_run(const struct command *command, int argc, char **argv,
            const struct api_operands *operands, api_action *action)
{
    struct api_args args = {0};
    struct api api = {.command = command, .args = &args};
    struct error err = {0};
    bool json = settings_ask_for_json(argc, argv);
    int status = 0;
    int result = api_args_read(&args, command, argc, argv, operands, &err);

    if (result > 0) {
        command_print_help(command, stdout);
        status = command_finish(COMMAND_DONE);
    } else {
        result = result < 0 ? -1 : act(&api, action, &err);
        status = result < 0 ? tell_failure(&api, &err, json) : command_finish(result);
    }
    client_closep(&api.client);
    api_args_done(&args);
    return status;
}

/* --- calls ----------------------------------------------------------------------------------- */

int api_fail_memory(struct error *err)
{
    return fail(err, ERR_LIMIT, ENOMEM, "cannot talk to resilverd");
}

static int call(struct api *api, const char *method, const char *path, const json_t *body,
                json_t **out, struct error *err)
{
    api->refusal = (struct client_refusal){0};
    return client_call(api->client, method, path, body, out, &api->refusal, err);
}

int api_call(struct api *api, const char *method, const char *path, json_t **out, struct error *err)
{
    return call(api, method, path, NULL, out, err);
}

int api_call_with(struct api *api, const char *method, const char *path, json_t *body, json_t **out,
                  struct error *err)
{
    if (body == NULL) {
        return api_fail_memory(err);
    }
    int result = call(api, method, path, body, out, err);
    json_decref(body);
    return result;
}

/* --- telling --------------------------------------------------------------------------------- */

void api_print(const json_t *object)
{
    json_out_print(stdout, json_deep_copy(object), true);
}

int api_tell(struct api *api, const json_t *reply, const char *done, struct error *err)
{
    char text[PATH_TEXT_MAX];
    const char *job = answer_text(reply, "job");
    const char *message = answer_text(reply, "message");

    if (job[0] != '\0' && api->args->wait) {
        return watch_job(api, job, err);
    }
    if (api->args->json) {
        api_print(reply);
        return COMMAND_DONE;
    }
    bool is_begun = job[0] != '\0' && answer_number(reply, "return_value") == JOB_STARTED;
    const char *line = message[0] == '\0' && !is_begun ? done : message;

    if (line[0] != '\0') {
        (void)human_name(line, 0, text, sizeof text);
        (void)printf("%s\n", text);
    }
    if (is_begun) {
        (void)human_name(job, 0, text, sizeof text);
        (void)printf("job %s\n'resilver job watch %.8s' shows how far it is\n", text, text);
    }
    return COMMAND_DONE;
}

int api_confirm(const struct api *api, const char *what, const char *label, const char *name,
                struct error *err)
{
    return api->args->yes ? 0 : ask_name_back(what, label, name, api->args->json, err);
}

int api_moment(const struct api *api, json_t **out, struct error *err)
{
    char text[INSTANT_TEXT_MAX];
    int64_t at_us = 0;

    if (api->args->at == NULL) {
        *out = NULL;
        return 0;
    }
    if (when_read(api->args->at, env_wall_us(env_system()), &at_us, err) < 0) {
        return -1;
    }
    instant_format(at_us, text);
    *out = json_string(text);
    return *out == NULL ? api_fail_memory(err) : 0;
}
