/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/api_args.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/number.h"
#include "cli/json_out.h"

#define LIMIT_MAX 100000U

static int take_word(const char *name, const char *value, const char **out, struct error *err)
{
    if (value[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "the value of --%s is empty", name);
    }
    *out = value;
    return 0;
}

static int fail_memory(struct error *err)
{
    return fail(err, ERR_LIMIT, ENOMEM, "cannot read the command line");
}

/* --- settings -------------------------------------------------------------------------------- */

/* Takes value over. */
static int set(struct api_args *args, const char *key, json_t *value, struct error *err)
{
    if (args->settings == NULL) {
        args->settings = json_object();
    }
    return json_out_put(args->settings, key, value) ? 0 : fail_memory(err);
}

static int set_number(struct api_args *args, const char *key, const char *what, const char *value,
                      uint64_t max, struct error *err)
{
    uint64_t number = 0;

    if (number_parse_range(value, what, 0, max, &number, err) < 0) {
        return -1;
    }
    return set(args, key, json_out_amount(number), err);
}

static int set_rate(struct api_args *args, const char *value, struct error *err)
{
    uint64_t rate = 0;

    if (number_parse_size(value, &rate, err) < 0) {
        return -1;
    }
    if (rate > INT64_MAX) {
        return fail(err, ERR_USAGE, 0, "--rate=%.60s is beyond every link; 0 means no limit",
                    value);
    }
    return set(args, "rate_bytes_per_s", json_out_amount(rate), err);
}

static int set_compression(struct api_args *args, const char *value, struct error *err)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
        return fail(err, ERR_USAGE, 0, "--compression is on or off, not '%.60s'", value);
    }
    return set(args, "compression", json_boolean(strcmp(value, "on") == 0), err);
}

static bool is_minute(const char *text)
{
    return text[0] >= '0' && text[0] <= '2' && text[1] >= '0' && text[1] <= '9' &&
           (text[0] < '2' || text[1] < '4') && text[2] == ':' && text[3] >= '0' && text[3] <= '5' &&
           text[4] >= '0' && text[4] <= '9';
}

/* "18:30-06:00", or "off", which leaves the window as it is. */
static int set_auto_resync(struct api_args *args, const char *value, struct error *err)
{
    bool is_off = strcmp(value, "off") == 0;

    if (!is_off &&
        (strlen(value) != 11 || !is_minute(value) || value[5] != '-' || !is_minute(value + 6))) {
        return fail(err, ERR_USAGE, 0,
                    "'%.60s' is no window for --auto-resync; write it as 18:30-06:00, or off",
                    value);
    }
    json_t *window = json_object();
    bool is_complete = json_out_put(window, "enabled", json_boolean(!is_off));
    if (!is_off) {
        is_complete = is_complete && json_out_put(window, "start", json_stringn(value, 5)) &&
                      json_out_put(window, "end", json_string(value + 6));
    }
    if (!is_complete) {
        json_decref(window);
        return fail_memory(err);
    }
    return set(args, "auto_resync", window, err);
}

/* --- options --------------------------------------------------------------------------------- */

static int take_disk(struct api_args *args, const char *value, struct error *err)
{
    if (value[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "the value of --disk is empty");
    }
    if (args->disks == NULL) {
        args->disks = json_array();
    }
    if (json_array_size(args->disks) == DISKS_MAX) {
        return fail(err, ERR_USAGE, 0, "more than %u disks are named", DISKS_MAX);
    }
    return json_array_append_new(args->disks, json_out_text(value)) == 0 ? 0 : fail_memory(err);
}

static int take_hop(struct api_args *args, const char *value, struct error *err)
{
    uint64_t hop = 0;

    if (number_parse_range(value, "the hop", 0, 1, &hop, err) < 0) {
        return -1;
    }
    args->hop = (int)hop;
    return 0;
}

static int take_limit(struct api_args *args, const char *value, struct error *err)
{
    uint64_t limit = 0;

    if (number_parse_range(value, "the limit", 1, LIMIT_MAX, &limit, err) < 0) {
        return -1;
    }
    args->limit = (uint32_t)limit;
    return 0;
}

static int take_true(bool *out)
{
    *out = true;
    return 0;
}

/* Returns 1 when help was asked for. */
static int take_option(struct api_args *args, enum api_option id, const char *value,
                       struct error *err)
{
    switch (id) {
    case API_OPTION_SOCKET:
        return take_word("socket", value, &args->socket, err);
    case API_OPTION_JSON:
        return take_true(&args->json);
    case API_OPTION_HELP:
        return 1;
    case API_OPTION_YES:
        return take_true(&args->yes);
    case API_OPTION_WAIT:
        return take_true(&args->wait);
    case API_OPTION_AT:
        return take_word("at", value, &args->at, err);
    case API_OPTION_HOP:
        return take_hop(args, value, err);
    case API_OPTION_ADDRESS:
        return take_word("address", value, &args->address, err);
    case API_OPTION_HOST:
        return take_word("host", value, &args->host, err);
    case API_OPTION_DISK:
        return take_disk(args, value, err);
    case API_OPTION_HISTORY:
        return set_number(args, "recovery_history", "the number of points to keep", value,
                          REPLICA_HISTORY_MAX, err);
    case API_OPTION_INTERVAL:
        return set_number(args, "interval_s", "the interval in seconds", value, 86400, err);
    case API_OPTION_RATE:
        return set_rate(args, value, err);
    case API_OPTION_COMPRESSION:
        return set_compression(args, value, err);
    case API_OPTION_AUTO_RESYNC:
        return set_auto_resync(args, value, err);
    case API_OPTION_START:
        return take_true(&args->start);
    case API_OPTION_SEEDED:
        return take_true(&args->seeded);
    case API_OPTION_ALL:
        return take_true(&args->all);
    case API_OPTION_VM:
        return take_word("vm", value, &args->vm, err);
    case API_OPTION_LIMIT:
        return take_limit(args, value, err);
    case API_OPTION_RESET:
        return take_true(&args->reset);
    case API_OPTION_FOLLOW:
        return take_true(&args->follow);
    case API_OPTION_CODE:
        return take_word("code", value, &args->code, err);
    case API_OPTION_STORAGE:
        return take_word("storage", value, &args->storage, err);
    case API_OPTION_TRUST_GROUP:
        return take_word("trust-group", value, &args->trust_group, err);
    case API_OPTION_NAMESPACE:
        return take_word("namespace", value, &args->name_space, err);
    }
    return fail(err, ERR_INTERNAL, 0, "an option without a meaning");
}

static int take_words(struct api_args *args, const struct command *command, char **words,
                      size_t count, const struct api_operands *operands, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i][0] == '\0') {
            return fail(err, ERR_USAGE, 0, "an empty word stands where %s belongs", operands->what);
        }
    }
    if (count < operands->least) {
        return fail(err, ERR_USAGE, 0, "%s is missing; 'resilver help %s' shows what is needed",
                    operands->what, command->name);
    }
    if (count > operands->most) {
        return fail(err, ERR_USAGE, 0,
                    "'%.200s' is one too many; 'resilver help %s' shows what is taken",
                    words[operands->most], command->name);
    }
    args->words = (const char *const *)words;
    args->word_count = count;
    args->word = count > 0 ? words[0] : NULL;
    return 0;
}

int api_args_read(struct api_args *args, const struct command *command, int argc, char **argv,
                  const struct api_operands *operands, struct error *err)
{
    struct options options;
    const char *value = NULL;
    size_t count = 0;

    args->hop = -1;
    options_init(&options, argc, argv, command->options, command->option_count);
    for (;;) {
        int id = options_next(&options, &value, err);
        if (id < 0) {
            return -1;
        }
        if (id == OPTIONS_END) {
            break;
        }
        int result = take_option(args, (enum api_option)id, value, err);
        if (result != 0) {
            return result;
        }
    }
    char **words = options_operands(&options, &count);
    return take_words(args, command, words, count, operands, err);
}

void api_args_done(struct api_args *args)
{
    json_decref(args->disks);
    json_decref(args->settings);
    *args = (struct api_args){0};
}
