/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/options.h"

#include <assert.h>
#include <string.h>

#include "base/nearest.h"

#define HELP_COLUMN 30

void options_init(struct options *options, int argc, char **argv, const struct option_row *rows,
                  size_t count)
{
    assert(count <= OPTIONS_MAX);
    assert(argc > 0);
    *options = (struct options){.argc = argc, .argv = argv, .rows = rows, .count = count};
    char *letter = options->letters;

    *letter++ = ':'; /* getopt(3): a missing value is told apart from an unknown option */
    for (size_t i = 0; i < count; i++) {
        assert(rows[i].id >= OPTIONS_FIRST_ID);
        options->table[i] = (struct option){
            .name = rows[i].name,
            .has_arg = rows[i].argument == NULL ? no_argument : required_argument,
            .val = rows[i].id,
        };
        if (rows[i].letter != '\0') {
            *letter++ = rows[i].letter;
            if (rows[i].argument != NULL) {
                *letter++ = ':';
            }
        }
    }
    optind = 0; /* glibc: begin anew */
    opterr = 0; /* the words are ours */
}

static const struct option_row *row_of(const struct options *options, int id)
{
    for (size_t i = 0; i < options->count; i++) {
        const struct option_row *row = &options->rows[i];
        if (row->id == id || (row->letter != '\0' && row->letter == id)) {
            return row;
        }
    }
    return NULL;
}

static int fail_unknown(const struct options *options, struct error *err)
{
    if (optopt != 0) {
        return fail(err, ERR_USAGE, 0, "unknown option '-%c'; 'resilver help %s' lists them all",
                    optopt, options->argv[0]);
    }
    /* getopt has moved on: the option that it did not know is the one before. */
    const char *typed = options->argv[optind - 1];
    const char *name = typed + strspn(typed, "-");
    size_t name_len = strcspn(name, "=");
    const char *nearest = NULL;
    char word[64];

    (void)snprintf(word, sizeof word, "%.*s", (int)(name_len < sizeof word ? name_len : 63), name);
    for (size_t i = 0; i < options->count; i++) {
        nearest = nearest_pick(word, nearest, options->rows[i].name);
    }
    if (nearest != NULL) {
        return fail(err, ERR_USAGE, 0, "unknown option '--%s'; did you mean '--%s'?", word,
                    nearest);
    }
    return fail(err, ERR_USAGE, 0, "unknown option '--%s'; 'resilver help %s' lists them all", word,
                options->argv[0]);
}

int options_next(struct options *options, const char **out_value, struct error *err)
{
    int found = getopt_long(options->argc, options->argv, options->letters, options->table, NULL);

    if (found == -1) {
        return OPTIONS_END;
    }
    if (found == '?' || found == ':') {
        const struct option_row *row = row_of(options, optopt);
        if (row == NULL) {
            return fail_unknown(options, err);
        }
        if (found == ':') {
            return fail(err, ERR_USAGE, 0, "option '--%s' needs a value: --%s=%s", row->name,
                        row->name, row->argument);
        }
        return fail(err, ERR_USAGE, 0, "option '--%s' takes no value", row->name);
    }
    const struct option_row *row = row_of(options, found);
    assert(row != NULL);
    *out_value = row->argument == NULL ? NULL : optarg;
    return row->id;
}

char **options_operands(const struct options *options, size_t *out_count)
{
    assert(optind <= options->argc);
    *out_count = (size_t)(options->argc - optind);
    return options->argv + optind;
}

void options_print(FILE *out, const struct option_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char letter[8] = "    ";
        char left[64];
        if (rows[i].letter != '\0') {
            (void)snprintf(letter, sizeof letter, "-%c, ", rows[i].letter);
        }
        (void)snprintf(left, sizeof left, "  %s--%s%s%s", letter, rows[i].name,
                       rows[i].argument == NULL ? "" : "=",
                       rows[i].argument == NULL ? "" : rows[i].argument);
        /* A long one gets a line of its own. */
        if (strlen(left) >= HELP_COLUMN) {
            (void)fprintf(out, "%s\n%*s%s\n", left, HELP_COLUMN, "", rows[i].help);
        } else {
            (void)fprintf(out, "%-*s%s\n", HELP_COLUMN, left, rows[i].help);
        }
    }
}
