/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api.h - what every command that talks to resilverd does: read its command line, call, tell what
 * came of it, and what went wrong.
 */
#ifndef RESILVER_CLI_API_H
#define RESILVER_CLI_API_H

#include <jansson.h>

#include "cli/api_args.h"
#include "client/client.h"

#define API_PATH_MAX 2048 /* two names of 255 bytes, each byte as %XX */

struct api {
    const struct command *command;
    const struct api_args *args;   /* borrowed */
    struct client *client;         /* owned */
    struct client_refusal refusal; /* of the last call; zeros: it was not refused */
};

/* What a command does; returns an enum command_status, or -1 with err set. */
typedef int api_action(struct api *api, struct error *err);

/* api_run - read the command line, do what it says, tell what went wrong; returns the program's
 * status. */
int api_run(const struct command *command, int argc, char **argv,
            const struct api_operands *operands, api_action *action);

/*
 * api_call - client_call that remembers a refusal. api_call_with: with a body, which is taken over;
 * NULL is one that there was no memory for.
 * Errors: as client_call; ERR_LIMIT.
 */
MUST_CHECK int api_call(struct api *api, const char *method, const char *path, json_t **out,
                        struct error *err);
MUST_CHECK int api_call_with(struct api *api, const char *method, const char *path, json_t *body,
                             json_t **out, struct error *err);

/* api_fail_memory - "no memory ..." */
int api_fail_memory(struct error *err);

/* api_print - an object as one line of JSON. */
void api_print(const json_t *object);

/*
 * api_tell - the end of a command that changed something: the reply as JSON, or what the
 * daemon has to say of it; of a job that was made, which one and how to watch it, or with --wait
 * its progress and its end.
 *
 * @reply  Reply of the API
 * @done   what to say where there is no job and the daemon says nothing, without a stop
 * Returns an enum command_status, or -1.
 */
MUST_CHECK int api_tell(struct api *api, const json_t *reply, const char *done, struct error *err);

/* api_confirm - ask_name_back, unless --yes was given. */
MUST_CHECK int api_confirm(const struct api *api, const char *what, const char *label,
                           const char *name, struct error *err);

/* api_moment - --at as RFC 3339; NULL: it was not given. Errors: ERR_USAGE. */
MUST_CHECK int api_moment(const struct api *api, json_t **out, struct error *err);

#endif
