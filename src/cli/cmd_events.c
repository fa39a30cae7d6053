/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_events.c - what happened. Following, the stream only says that there is something new; what
 * it is is read from the list behind the last one shown, so that nothing falls between the two.
 */
#include <inttypes.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/api.h"
#include "cli/api_find.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/stop.h"

#define LIMIT_DEFAULT 20U
#define PAGE 1000U
#define IDLE_MS 1000 /* how soon Ctrl-C is seen, and what the stream has lost */

static int events_run(int argc, char **argv);

static const struct option_row events_options[] = {
    API_ROW(FOLLOW, "follow", NULL, "go on with what happens, until Ctrl-C"), API_ROW_VM,
    API_ROW_LIMIT, API_ROWS_COMMON};

const struct command cmd_events = {
    .name = "events",
    .run = events_run,
    .summary = "show what happened lately",
    .synopsis = (const char *const[]){"[--follow] [--vm=VM] [--limit=N] [--json]", NULL},
    .options = events_options,
    .option_count = ARRAY_COUNT(events_options),
    .notes = "Without --limit the last 20. With --follow and --json, each event is a line.\n",
};

struct events {
    struct api *api;
    char of_vm[API_PATH_MAX / 2]; /* "&vm=...", or "" */
    int64_t newest;               /* id of the last event that was read */
    json_t *kept;                 /* owned: the last of them, to be shown */
    int stop_fd;
};

static void print_event(const json_t *event)
{
    char text[PATH_TEXT_MAX];
    char time[INSTANT_TEXT_MAX];

    (void)printf("%s  ", answer_time(event, "time", time));
    (void)human_name(answer_text(event, "level"), 0, text, sizeof text);
    (void)printf("%-8s", text);
    (void)human_name(answer_text_of(event, "vm", "name"), 0, text, sizeof text);
    (void)printf("%s%s", text, text[0] == '\0' ? "" : ": ");
    (void)human_name(answer_text(event, "what"), 0, text, sizeof text);
    (void)printf("%s%s", text, text[0] == '\0' ? "" : ": ");
    (void)human_name(answer_text(event, "text"), 0, text, sizeof text);
    (void)printf("%s\n", text);
}

/* A page of events behind the newest. Returns how many, or -1. */
static int read_page(struct events *events, struct api *api, json_t **out, struct error *err)
{
    char path[API_PATH_MAX];
    json_auto_t *answer = NULL;

    (void)snprintf(path, sizeof path, "/v1/events?after=%" PRId64 "&limit=%u%s", events->newest,
                   PAGE, events->of_vm);
    if (api_call(api, "GET", path, &answer, err) < 0) {
        return -1;
    }
    json_t *list = json_object_get(answer, "events");
    size_t count = json_array_size(list);
    if (count > 0) {
        events->newest = answer_number(json_array_get(list, count - 1), "id");
    }
    *out = json_incref(list);
    return count > INT32_MAX ? INT32_MAX : (int)count;
}

/* --- the last ones --------------------------------------------------------------------------- */

/* Where to begin: without a VM, so many events before the newest are enough. */
static int begin(struct events *events, uint32_t limit, struct error *err)
{
    json_auto_t *answer = NULL;

    if (events->of_vm[0] != '\0') {
        return 0;
    }
    if (api_call(events->api, "GET", "/v1/events?limit=1", &answer, err) < 0) {
        return -1;
    }
    int64_t newest = answer_number(answer, "newest");
    events->newest = newest > (int64_t)limit ? newest - (int64_t)limit : 0;
    return 0;
}

static int keep(struct events *events, const json_t *page, uint32_t limit, struct error *err)
{
    if (json_array_extend(events->kept, (json_t *)(uintptr_t)page) < 0) {
        return api_fail_memory(err);
    }
    size_t count = json_array_size(events->kept);
    json_t *last = json_array();
    for (size_t i = count > limit ? count - limit : 0; last != NULL && i < count; i++) {
        if (json_array_append(last, json_array_get(events->kept, i)) < 0) {
            json_decref(last);
            return api_fail_memory(err);
        }
    }
    json_decref(events->kept);
    events->kept = last;
    return last == NULL ? api_fail_memory(err) : 0;
}

static int read_last(struct events *events, uint32_t limit, struct error *err)
{
    int count = 1;

    events->kept = json_array();
    if (begin(events, limit, err) < 0) {
        return -1;
    }
    while (count > 0) {
        json_auto_t *page = NULL;
        count = read_page(events, events->api, &page, err);
        if (count < 0 || keep(events, page, limit, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static void print_all(const json_t *list, bool json)
{
    const json_t *event = NULL;
    size_t index = 0;

    json_array_foreach(list, index, event)
    {
        if (json) {
            api_print(event);
        } else {
            print_event(event);
        }
    }
    (void)fflush(stdout); /* somebody follows; command_finish() asks the stream */
}

/* --- following ------------------------------------------------------------------------------- */

struct follower {
    struct events *events;
    struct api list; /* a client of its own: the other one is within the stream */
};

static int print_new(struct follower *follower, struct error *err)
{
    int count = 1;

    while (count > 0) {
        json_auto_t *page = NULL;
        count = read_page(follower->events, &follower->list, &page, err);
        print_all(page, follower->list.args->json);
    }
    return count;
}

/* client_visit */
static int visit(void *context, const char *kind, const json_t *object, struct error *err)
{
    struct follower *follower = context;

    (void)object; /* the list has it too */
    if (stop_signal_name() != NULL || ferror(stdout) != 0) {
        return 1;
    }
    if (kind != NULL && strcmp(kind, "event") != 0) {
        return 0;
    }
    return print_new(follower, err);
}

static int follow(struct events *events, struct error *err)
{
    struct follower follower = {.events = events, .list = {.args = events->api->args}};

    if (stop_open(&events->stop_fd, err) < 0 ||
        client_open(events->api->args->socket, &follower.list.client, err) < 0) {
        return -1;
    }
    int result = client_watch(events->api->client, IDLE_MS, visit, &follower, err);
    client_closep(&follower.list.client);
    if (result == 0) {
        return fail(err, ERR_PEER, 0,
                    "resilverd has ended the stream; is it stopping? systemctl status resilverd");
    }
    return result < 0 ? -1 : COMMAND_DONE;
}

/* --- all of it ------------------------------------------------------------------------------- */

static int find_vm(struct events *events, struct error *err)
{
    json_auto_t *vm = NULL;

    if (events->api->args->vm == NULL) {
        return 0;
    }
    return api_find_vm(events->api, events->api->args->vm, &vm, err) < 0
               ? -1
               : client_path(events->of_vm, sizeof events->of_vm, err, "&vm=%s",
                             answer_text(vm, "id"));
}

static void print_object(const struct events *events)
{
    json_t *root = json_object();

    json_out_print(stdout, root,
                   json_out_put(root, "events", json_incref(events->kept)) &&
                       json_out_put(root, "newest", json_integer(events->newest)));
}

static int act(struct events *events, struct error *err)
{
    const struct api_args *args = events->api->args;
    uint32_t limit = args->limit > 0 ? args->limit : LIMIT_DEFAULT;

    if (find_vm(events, err) < 0 || read_last(events, limit, err) < 0) {
        return -1;
    }
    if (args->json && !args->follow) {
        print_object(events);
    } else {
        print_all(events->kept, args->json);
    }
    return args->follow ? follow(events, err) : COMMAND_DONE;
}

static int events_do(struct api *api, struct error *err)
{
    struct events events = {.api = api};
    int result = act(&events, err);

    json_decref(events.kept);
    return result;
}

static int events_run(int argc, char **argv)
{
    static const struct api_operands operands = {0, 0, "nothing"};

    return api_run(&cmd_events, argc, argv, &operands, events_do);
}
