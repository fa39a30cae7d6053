/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_stats.c - how a relationship did, interval by interval.
 */
#include <inttypes.h>

#include "cli/answer.h"
#include "cli/api.h"
#include "cli/cmd_relationship.h"
#include "cli/human.h"
#include "cli/table.h"

static int stats_run(int argc, char **argv);

static const struct option_row stats_options[] = {
    API_ROW_LIMIT, API_ROW(RESET, "reset", NULL, "begin anew: forget what was counted"),
    API_ROW_HOP, API_ROWS_COMMON};

const struct command cmd_stats = {
    .name = "stats",
    .run = stats_run,
    .summary = "show how a VM's replication did, interval by interval",
    .synopsis = (const char *const[]){"[--limit=N] [--hop=N] [--json] VM",
                                      "--reset [--hop=N] [--json] VM", NULL},
    .options = stats_options,
    .option_count = ARRAY_COUNT(stats_options),
};

static const struct table_column columns[] = {{"FROM", false},   {"TO", false},     {"DONE", true},
                                              {"MISSED", true},  {"FAILED", true},  {"SIZE", true},
                                              {"LATENCY", true}, {"RESYNCED", true}};

static int add_row(struct table *table, const json_t *row, struct error *err)
{
    char from[INSTANT_TEXT_MAX];
    char to[INSTANT_TEXT_MAX];
    char counts[3][24];
    char size[HUMAN_MAX];
    char latency[HUMAN_MAX];
    char resynced[HUMAN_MAX];
    int64_t failures = answer_number(row, "failures");
    int64_t network = answer_number(row, "network_failures");
    const char *cells[] = {
        answer_time(row, "start", from),
        answer_time(row, "end", to),
        counts[0],
        counts[1],
        counts[2],
        human_size(answer_amount(row, "size_bytes"), size),
        latency,
        human_size(answer_amount(row, "resynced_bytes"), resynced),
    };

    (void)snprintf(counts[0], sizeof counts[0], "%" PRId64, answer_number(row, "successes"));
    (void)snprintf(counts[1], sizeof counts[1], "%" PRId64, answer_number(row, "misses"));
    (void)snprintf(counts[2], sizeof counts[2], "%" PRId64,
                   failures > INT64_MAX / 2 || network > INT64_MAX / 2 ? failures
                                                                       : failures + network);
    (void)snprintf(latency, sizeof latency, "%" PRId64 " s", answer_number(row, "latency_s"));
    return table_add_row(table, cells, err);
}

static int print_rows(const json_t *rows, struct error *err)
{
    CLEANUP(table_done) struct table table;
    const json_t *row = NULL;
    size_t index = 0;

    table_init(&table, columns, ARRAY_COUNT(columns));
    json_array_foreach(rows, index, row)
    {
        if (add_row(&table, row, err) < 0) {
            return -1;
        }
    }
    table_print(&table, 0, stdout);
    return COMMAND_DONE;
}

static int reset(struct api *api, const char *path, struct error *err)
{
    json_auto_t *reply = NULL;

    if (api_call(api, "DELETE", path, &reply, err) < 0) {
        return -1;
    }
    return api_tell(api, reply, "the statistics begin anew", err);
}

static int stats_do(struct api *api, struct error *err)
{
    char path[API_PATH_MAX];
    char limit[48] = "/statistics";
    json_auto_t *vm = NULL;
    json_auto_t *answer = NULL;
    const json_t *found = NULL;

    if (api->args->limit > 0 && !api->args->reset) {
        (void)snprintf(limit, sizeof limit, "/statistics?limit=%" PRIu32, api->args->limit);
    }
    if (cmd_relationship_path(api, limit, path, &vm, &found, err) < 0) {
        return -1;
    }
    if (api->args->reset) {
        return reset(api, path, err);
    }
    if (api_call(api, "GET", path, &answer, err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(answer);
        return COMMAND_DONE;
    }
    return print_rows(json_object_get(answer, "statistics"), err);
}

static int stats_run(int argc, char **argv)
{
    static const struct api_operands operands = {1, 1, "a VM"};

    return api_run(&cmd_stats, argc, argv, &operands, stats_do);
}
