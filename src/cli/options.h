/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * options.h - a command's options as one table, which feeds both the parsing (getopt_long
 * underneath) and the help.
 */
#ifndef RESILVER_CLI_OPTIONS_H
#define RESILVER_CLI_OPTIONS_H

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attributes.h"
#include "base/error.h"

#define OPTIONS_MAX 40U

#define OPTIONS_END 0 /* no option is left; what remains are the operands */

/* The first of a command's own option ids; 1 .. 255 would be taken for letters. */
#define OPTIONS_FIRST_ID 256

struct option_row {
    int id;               /* what options_next returns: OPTIONS_FIRST_ID or more */
    const char *name;     /* without the dashes */
    char letter;          /* its short form; '\0': none */
    const char *argument; /* what the help calls its value; NULL: it takes none */
    const char *help;     /* one line, lower case, no stop at the end */
};

struct options {
    int argc;
    char **argv;                   /* borrowed from main; getopt reorders it */
    const struct option_row *rows; /* borrowed */
    size_t count;
    struct option table[OPTIONS_MAX + 1];
    char letters[2 * OPTIONS_MAX + 2];
};

/* options_init - argv[0] is the command's name. One reader at a time: getopt keeps its place in a
 * global. */
void options_init(struct options *options, int argc, char **argv, const struct option_row *rows,
                  size_t count);

/*
 * options_next - the next option's id, its value in *out_value (NULL: it has none); OPTIONS_END; or
 * -1 with ERR_USAGE: an unknown option (with the nearest that there is), a missing or an unwanted
 * value.
 */
MUST_CHECK int options_next(struct options *options, const char **out_value, struct error *err);

/* options_operands - after OPTIONS_END: the operands, *out_count of them. */
char **options_operands(const struct options *options, size_t *out_count);

/* options_print - the table as the lines of a help text. */
void options_print(FILE *out, const struct option_row *rows, size_t count);

#endif
