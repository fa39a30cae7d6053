/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/settings.h"

#include <string.h>

#include "base/number.h"

/* Below this a single block takes more than a minute, and the other end might take us for dead. */
#define BWLIMIT_MIN_BYTES_PER_S (1 * KIB)

enum settings_option {
    OPTION_CHECK = OPTIONS_FIRST_ID,
    OPTION_CREATE,
    OPTION_ATOMIC,
    OPTION_IN_PLACE,
    OPTION_DISK,
    OPTION_FORMAT,
    OPTION_SOURCE_FORMAT,
    OPTION_TARGET_FORMAT,
    OPTION_BWLIMIT,
    OPTION_COMPRESS,
    OPTION_REFINE,
    OPTION_SSH,
    OPTION_REMOTE_PATH,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_CA,
    OPTION_PROGRESS,
    OPTION_JSON,
    OPTION_VERBOSE,
    OPTION_QUIET,
    OPTION_YES,
    OPTION_HELP
};

const struct option_row settings_rows[SETTINGS_ROWS] = {
    {OPTION_CHECK, "check", 0, NULL, "compare only; exit with 3 if there are differences"},
    {OPTION_CREATE, "create", 0, NULL,
     "make the target if it is missing, or give it the right size"},
    {OPTION_ATOMIC, "atomic", 0, NULL,
     "keep the targets as they are until all of the new is there"},
    {OPTION_IN_PLACE, "in-place", 0, NULL, "write into the targets at once (what paths get)"},
    {OPTION_DISK, "disk", 0, "SOURCE=TARGET", "one of several pairs of disks of this run"},
    {OPTION_FORMAT, "format", 0, "FMT", "both are raw, qcow2, vhdx, vmdk or vdi images"},
    {OPTION_SOURCE_FORMAT, "source-format", 0, "FMT", "the same for the sources alone"},
    {OPTION_TARGET_FORMAT, "target-format", 0, "FMT", "the same for the targets alone"},
    {OPTION_BWLIMIT, "bwlimit", 0, "RATE", "send at most so many bytes a second, as in 10M"},
    {OPTION_COMPRESS, "compress", 0, "WHEN", "compress what is sent: auto, always or never"},
    {OPTION_REFINE, "refine", 0, "WHEN",
     "compare 4 KiB of blocks that differ: auto, always or never"},
    {OPTION_SSH, "ssh", 0, "COMMAND", "the ssh client and its options, as in 'ssh -p 2222'"},
    {OPTION_REMOTE_PATH, "remote-path", 0, "PATH", "the resilver program on the other host"},
    {OPTION_CERT, "cert", 0, "FILE", "for tls://: this side's certificate and its chain (PEM)"},
    {OPTION_KEY, "key", 0, "FILE", "for tls://: its private key (PEM)"},
    {OPTION_CA, "ca", 0, "FILE", "for tls://: the authority that signed the server's (PEM)"},
    {OPTION_PROGRESS, "progress", 0, "WHEN",
     "show progress: auto (on a terminal), always or never"},
    {OPTION_JSON, "json", 0, NULL, "print the result, or the error, as one JSON object"},
    {OPTION_VERBOSE, "verbose", 'v', NULL, "show the proof and the traffic too"},
    {OPTION_QUIET, "quiet", 'q', NULL, "show errors only"},
    {OPTION_YES, "yes", 'y', NULL, "with --create: cut a target that is too large without asking"},
    {OPTION_HELP, "help", 'h', NULL, "show this"},
};

static int parse_when(const char *option, const char *text, enum settings_when *out,
                      struct error *err)
{
    static const char *const names[] = {
        [SETTINGS_AUTO] = "auto", [SETTINGS_ALWAYS] = "always", [SETTINGS_NEVER] = "never"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum settings_when)i;
            return 0;
        }
    }
    return fail(err, ERR_USAGE, 0, "--%s=%s is none of auto, always and never", option, text);
}

static int parse_rate(const char *text, uint64_t *out, struct error *err)
{
    uint64_t rate = 0;

    if (number_parse_size(text, &rate, err) < 0) {
        return -1;
    }
    if (rate > 0 && rate < BWLIMIT_MIN_BYTES_PER_S) {
        return fail(err, ERR_USAGE, 0,
                    "--bwlimit=%s is too slow; 1K is the least, 0 means no limit", text);
    }
    *out = rate;
    return 0;
}

static int parse_word(const char *option, const char *text, const char **out, struct error *err)
{
    if (text[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "--%s is empty", option);
    }
    *out = text;
    return 0;
}

/* Those that take a value. */
static int take_value(struct settings *settings, struct plan *plan, enum settings_option id,
                      const char *value, struct error *err)
{
    switch (id) {
    case OPTION_DISK:
        return plan_add_pair(plan, value, err);
    case OPTION_FORMAT:
        return parse_word("format", value, &settings->format, err);
    case OPTION_SOURCE_FORMAT:
        return parse_word("source-format", value, &settings->source_format, err);
    case OPTION_TARGET_FORMAT:
        return parse_word("target-format", value, &settings->target_format, err);
    case OPTION_BWLIMIT:
        return parse_rate(value, &settings->rate_bytes_per_s, err);
    case OPTION_COMPRESS:
        return parse_when("compress", value, &settings->compress, err);
    case OPTION_REFINE:
        return parse_when("refine", value, &settings->refine, err);
    case OPTION_PROGRESS:
        return parse_when("progress", value, &settings->progress, err);
    case OPTION_SSH:
        return parse_word("ssh", value, &settings->ssh, err);
    case OPTION_REMOTE_PATH:
        return parse_word("remote-path", value, &settings->remote_path, err);
    case OPTION_CERT:
        return parse_word("cert", value, &settings->credentials.cert, err);
    case OPTION_KEY:
        return parse_word("key", value, &settings->credentials.key, err);
    case OPTION_CA:
        return parse_word("ca", value, &settings->credentials.ca, err);
    case OPTION_CHECK:
    case OPTION_CREATE:
    case OPTION_ATOMIC:
    case OPTION_IN_PLACE:
    case OPTION_JSON:
    case OPTION_VERBOSE:
    case OPTION_QUIET:
    case OPTION_YES:
    case OPTION_HELP:
        break;
    }
    return fail(err, ERR_INTERNAL, 0, "option %d has no code", (int)id);
}

/* One option. Returns 0, 1 when help was asked for, or -1. */
static int take_option(struct settings *settings, struct plan *plan, enum settings_option id,
                       const char *value, struct error *err)
{
    bool *flag = NULL;

    if (id == OPTION_HELP) {
        return 1;
    }
    flag = id == OPTION_CHECK      ? &settings->is_check
           : id == OPTION_CREATE   ? &settings->create
           : id == OPTION_ATOMIC   ? &settings->atomic
           : id == OPTION_IN_PLACE ? &settings->in_place
           : id == OPTION_JSON     ? &settings->json
           : id == OPTION_VERBOSE  ? &settings->verbose
           : id == OPTION_QUIET    ? &settings->quiet
           : id == OPTION_YES      ? &settings->yes
                                   : NULL;
    if (flag == NULL) {
        return take_value(settings, plan, id, value, err);
    }
    *flag = true;
    return 0;
}

static int take_operands(struct plan *plan, char **operands, size_t count, struct error *err)
{
    if (plan->disk_count > 0 && count > 0) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' is one too many; with --disk all disks are named by --disk", operands[0]);
    }
    if (plan->disk_count > 0) {
        return 0;
    }
    if (count != 2) {
        return fail(err, ERR_USAGE, 0,
                    "%s; give SOURCE and TARGET, or --disk=SOURCE=TARGET for each of several disks",
                    count == 0   ? "no disks are named"
                    : count == 1 ? "only one disk is named"
                                 : "more than two disks are named");
    }
    return plan_add(plan, operands[0], operands[1], err);
}

/* What fits together, once all is read. */
static int check_settings(struct settings *settings, struct plan *plan, struct error *err)
{
    const struct plan_pair *first = &plan->pairs[0];
    bool has_tls = first->source.kind == ENDPOINT_TLS || first->target.kind == ENDPOINT_TLS;

    if (plan_check(plan, err) < 0) {
        return -1;
    }
    if (settings->is_check && settings->create) {
        return fail(err, ERR_USAGE, 0, "--check changes nothing, so --create cannot go with it");
    }
    if (settings->atomic && (settings->in_place || settings->is_check)) {
        return fail(err, ERR_USAGE, 0, "--atomic and --%s cannot go together",
                    settings->in_place ? "in-place" : "check");
    }
    if (settings->in_place && first->is_replica) {
        return fail(err, ERR_USAGE, 0,
                    "a replica is never written in place; leave out --in-place, or name the disk "
                    "itself");
    }
    if ((has_tls && settings->format != NULL) ||
        (first->source.kind == ENDPOINT_TLS && settings->source_format != NULL) ||
        (first->target.kind == ENDPOINT_TLS && settings->target_format != NULL)) {
        return fail(err, ERR_USAGE, 0,
                    "the format of a tls:// export is said where it is served (,format=FMT); give "
                    "only --%s-format here",
                    first->source.kind == ENDPOINT_TLS ? "target" : "source");
    }
    settings->source_format = settings->source_format ? settings->source_format : settings->format;
    settings->target_format = settings->target_format ? settings->target_format : settings->format;
    return has_tls ? credentials_complete(&settings->credentials, err) : 0;
}

int settings_read(struct settings *settings, struct plan *plan, int argc, char **argv,
                  struct error *err)
{
    struct options options;
    const char *value = NULL;
    size_t operand_count = 0;

    *settings = (struct settings){.ssh = "ssh", .remote_path = "resilver"};
    options_init(&options, argc, argv, settings_rows, SETTINGS_ROWS);
    for (;;) {
        int id = options_next(&options, &value, err);
        if (id < 0) {
            return -1;
        }
        if (id == OPTIONS_END) {
            break;
        }
        int result = take_option(settings, plan, (enum settings_option)id, value, err);
        if (result != 0) {
            return result;
        }
    }
    char **operands = options_operands(&options, &operand_count);
    if (take_operands(plan, operands, operand_count, err) < 0) {
        return -1;
    }
    return check_settings(settings, plan, err);
}

bool settings_ask_for_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}
