/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_host_pair.c - pair two hosts: one waits, the other asks, both show a code, and a person says
 * at both that it is the same. That comparison is what keeps somebody in between out, so nothing
 * here confirms without it: there is no --yes, and --code is a comparison as well.
 */
#include "cli/cmd_host.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/api.h"
#include "cli/api_find.h"
#include "cli/ask.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/stop.h"

#define LOOK_EVERY_MS 200
#define CODE_MAX 32U

static int pair_run(int argc, char **argv);

static const struct option_row pair_options[] = {
    API_ROW(WAIT, "wait", NULL, "wait for the other host to ask"),
    API_ROW(CODE, "code", "CODE", "what the other host shows: confirm only if it is the same"),
    API_ROWS_COMMON,
};

const struct command cmd_host_pair = {
    .name = "host pair",
    .run = pair_run,
    .summary = "pair this host with another",
    .synopsis =
        (const char *const[]){"[--code=CODE] [--json] ADDRESS", "[--code=CODE] [--json] --wait",
                              "--code=CODE [--json]", NULL},
    .options = pair_options,
    .option_count = ARRAY_COUNT(pair_options),
    .notes =
        "Say 'resilver host pair --wait' at one host and 'resilver host pair ADDRESS' with its\n"
        "address, HOST:PORT, at the other. Both show a code of six digits; confirm it at both "
        "only\n"
        "if it is the same. With --code alone, the pairing that shows a code already is "
        "confirmed.\n"
        "With --json the pairing is printed whenever it changes, an object a line, and the code "
        "to\n"
        "confirm is read from standard input.\n",
};

struct pair {
    struct api *api;
    int stop_fd;  /* borrowed from stop.h */
    json_t *now;  /* owned: the Pairing as it was last seen */
    bool is_left; /* it stays open when the command fails */
};

static const char *state_of(const struct pair *pair)
{
    return answer_text(pair->now, "state");
}

static bool has_state(const struct pair *pair, const char *state)
{
    return strcmp(state_of(pair), state) == 0;
}

/* Takes over. Prints it if it is another than before. */
static void see(struct pair *pair, json_t *now)
{
    if (pair->api->args->json && json_equal(pair->now, now) == 0) {
        api_print(now);
        (void)fflush(stdout); /* a program waits for the line; command_finish() asks the stream */
    }
    json_decref(pair->now);
    pair->now = now;
}

/* method on the pairing, or a part of it */
static int call(struct pair *pair, const char *method, const char *tail, json_t *body,
                struct error *err)
{
    char path[API_PATH_MAX];
    char whole[API_PATH_MAX + 16];
    json_t *now = NULL;

    if (client_path(path, sizeof path, err, "/v1/pairings/%s", answer_text(pair->now, "id")) < 0) {
        json_decref(body);
        return -1;
    }
    (void)snprintf(whole, sizeof whole, "%s%s", path, tail);
    int result = body == NULL ? api_call(pair->api, method, whole, &now, err)
                              : api_call_with(pair->api, method, whole, body, &now, err);
    if (result == 0) {
        see(pair, now);
    }
    return result;
}

/* Without what people put between the digits. */
static void plain_code(const char *text, char out[CODE_MAX])
{
    size_t used = 0;

    for (; *text != '\0' && used + 1 < CODE_MAX; text++) {
        if (!isspace((unsigned char)*text) && *text != '-') {
            out[used++] = *text;
        }
    }
    out[used] = '\0';
}

/* --- beginning ------------------------------------------------------------------------------- */

/* The pairing that shows this code already. Where only one shows any code, and no other was asked
 * for, it is that one: a code that differs is for its comparison to find. */
static int find_open(struct pair *pair, struct error *err)
{
    json_auto_t *answer = NULL;
    json_t *item = NULL;
    json_t *shown = NULL;
    size_t index = 0;
    size_t count = 0;
    char given[CODE_MAX];

    plain_code(pair->api->args->code, given);
    if (api_call(pair->api, "GET", "/v1/pairings", &answer, err) < 0) {
        return -1;
    }
    json_array_foreach(json_object_get(answer, "pairings"), index, item)
    {
        if (strcmp(answer_text(item, "state"), "code") == 0) {
            bool is_it = strcmp(answer_text(item, "code"), given) == 0;
            shown = is_it || shown == NULL ? item : shown;
            count = is_it ? 1 : count + 1;
            if (is_it) {
                break;
            }
        }
    }
    bool is_other_wanted = pair->api->args->wait || pair->api->args->word != NULL;
    if (count > 1 && !is_other_wanted) {
        return fail(err, ERR_USAGE, 0, "none of the %zu pairings that show a code shows this one",
                    count);
    }
    if (count == 1 && (!is_other_wanted || strcmp(answer_text(shown, "code"), given) == 0)) {
        see(pair, json_incref(shown));
    }
    return 0;
}

static int begin(struct pair *pair, struct error *err)
{
    const struct api_args *args = pair->api->args;
    json_t *now = NULL;

    if (args->code != NULL && (find_open(pair, err) < 0 || pair->now != NULL)) {
        return pair->now != NULL ? 0 : -1;
    }
    if (!args->wait && args->word == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "no pairing shows a code now; say 'resilver host pair --wait' at one host and "
                    "'resilver host pair ADDRESS' at the other");
    }
    json_t *body = args->wait ? json_pack("{s:b}", "wait", 1)
                              : json_pack("{s:o}", "address", json_out_text(args->word));
    if (api_call_with(pair->api, "POST", "/v1/pairings", body, &now, err) < 0) {
        return -1;
    }
    see(pair, now);
    return 0;
}

static int fail_pairing(const struct pair *pair, struct error *err)
{
    const char *message = answer_text(pair->now, "message");

    return fail(err, ERR_PEER, 0, "the hosts are not paired: %s",
                message[0] == '\0' ? "the pairing has failed" : message);
}

/* Until the pairing has left this state. */
static int wait_while(struct pair *pair, const char *state, struct error *err)
{
    while (has_state(pair, state)) {
        if (stop_wait(pair->stop_fd, LOOK_EVERY_MS)) {
            return fail(err, ERR_CANCELLED, 0, "stopped by %s; the hosts are not paired",
                        stop_signal_name());
        }
        if (call(pair, "GET", "", NULL, err) < 0) {
            return -1;
        }
    }
    return has_state(pair, "failed") ? fail_pairing(pair, err) : 0;
}

/* --- the code -------------------------------------------------------------------------------- */

static int fail_differs(struct error *err)
{
    return fail(err, ERR_PEER, 0,
                "the codes differ: the hosts are not paired, and somebody may be between them");
}

static void show_code(const struct pair *pair, FILE *out)
{
    char text[PATH_TEXT_MAX];
    const json_t *peer = json_object_get(pair->now, "peer");
    const char *code = answer_text(pair->now, "code");

    (void)human_name(answer_text(peer, "name"), 0, text, sizeof text);
    (void)fprintf(out, "Pairing with %s", text[0] == '\0' ? "another host" : text);
    (void)human_name(answer_text(peer, "address"), 0, text, sizeof text);
    (void)fprintf(out, "%s%s\n", text[0] == '\0' ? "" : " at ", text);
    (void)human_name(code, 0, text, sizeof text);
    (void)fprintf(out, "\n        %.3s %s\n\n", text, strlen(text) > 3 ? text + 3 : "");
}

/* The code by word of the command line or of a program: confirmed only if it is equal. */
static int compare(const struct pair *pair, const char *typed, struct error *err)
{
    char given[CODE_MAX];

    plain_code(typed, given);
    return strcmp(given, answer_text(pair->now, "code")) == 0 ? 0 : fail_differs(err);
}

static int ask_person(const struct pair *pair, struct error *err)
{
    char answer[64] = "";

    show_code(pair, stderr);
    (void)fprintf(stderr, "Does the other host show the same code? [y/N] ");
    if (ask_line(pair->stop_fd, answer, sizeof answer, err) < 0) {
        return -1;
    }
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0 ? 0 : fail_differs(err);
}

static int decide(struct pair *pair, struct error *err)
{
    char typed[CODE_MAX] = "";
    const char *code = answer_text(pair->now, "code");

    if (pair->api->args->code != NULL) {
        return compare(pair, pair->api->args->code, err);
    }
    if (pair->api->args->json) {
        return ask_line(pair->stop_fd, typed, sizeof typed, err) < 0 ? -1
                                                                     : compare(pair, typed, err);
    }
    if (!ask_can()) {
        pair->is_left = true;
        return fail(err, ERR_WRONG_STATE, 0,
                    "nobody is here to compare the code %.3s %.3s: if the other host shows the "
                    "same, 'resilver host pair --code=%.6s' confirms it here",
                    code, strlen(code) > 3 ? code + 3 : "", code);
    }
    return ask_person(pair, err);
}

/* --- all of it ------------------------------------------------------------------------------- */

static int confirm(struct pair *pair, struct error *err)
{
    json_t *body = json_pack("{s:s}", "code", answer_text(pair->now, "code"));

    if (body == NULL) {
        return api_fail_memory(err);
    }
    return call(pair, "POST", "/confirm", body, err);
}

static void say(const struct pair *pair, const char *line)
{
    if (!pair->api->args->json && isatty(STDERR_FILENO) == 1) {
        (void)fprintf(stderr, "%s\n", line);
    }
}

static int go(struct pair *pair, struct error *err)
{
    if (stop_open(&pair->stop_fd, err) < 0 || begin(pair, err) < 0) {
        return -1;
    }
    say(pair, pair->api->args->wait ? "Waiting for the other host; Ctrl-C ends it."
                                    : "Asking the other host; Ctrl-C ends it.");
    if (wait_while(pair, "waiting", err) < 0) {
        return -1;
    }
    if (has_state(pair, "code") && (decide(pair, err) < 0 || confirm(pair, err) < 0)) {
        return -1;
    }
    say(pair, "Confirmed here; now the other host has to.");
    if (wait_while(pair, "code", err) < 0 || wait_while(pair, "confirmed", err) < 0) {
        return -1;
    }
    return has_state(pair, "done") ? 0 : fail_pairing(pair, err);
}

/* A pairing that nobody watches any more must not be confirmed by somebody else. */
static void take_back(struct pair *pair)
{
    struct client_refusal refusal = pair->api->refusal;

    if (pair->now != NULL && !pair->is_left && !has_state(pair, "failed") &&
        !has_state(pair, "done")) {
        (void)call(pair, "DELETE", "", NULL, NULL); /* it ends by itself, too */
    }
    pair->api->refusal = refusal;
}

static int pair_do(struct api *api, struct error *err)
{
    struct pair pair = {.api = api, .stop_fd = -1};
    char name[PATH_TEXT_MAX];

    if (api->args->wait && api->args->word != NULL) {
        return fail(err, ERR_USAGE, 0,
                    "--wait and an address exclude each other: one host waits, "
                    "the other asks");
    }
    if (!api->args->wait && api->args->word == NULL && api->args->code == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "the other host's address is missing; or --wait to be asked "
                    "by it");
    }
    int result = go(&pair, err);
    if (result < 0) {
        take_back(&pair);
    } else if (!api->args->json) {
        (void)human_name(answer_text_of(pair.now, "peer", "name"), 0, name, sizeof name);
        (void)printf("paired with %s\n", name);
    }
    json_decref(pair.now);
    return result < 0 ? -1 : COMMAND_DONE;
}

static int pair_run(int argc, char **argv)
{
    static const struct api_operands operands = {0, 1, "the other host's address"};

    return api_run(&cmd_host_pair, argc, argv, &operands, pair_do);
}
