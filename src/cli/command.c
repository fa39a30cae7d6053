/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/command.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/render_json.h"
#include "cli/render_text.h"

/* The word by which a command is chosen among its like. */
static const char *word_of(const struct command *command)
{
    const char *blank = strrchr(command->name, ' ');

    return blank == NULL ? command->name : blank + 1;
}

const struct command *command_find(const struct command *const *list, size_t count,
                                   const char *before, const char *typed, struct error *err)
{
    const char *nearest = NULL;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(word_of(list[i]), typed) == 0) {
            return list[i];
        }
        nearest = nearest_pick(typed, nearest, word_of(list[i]));
    }
    if (nearest != NULL) {
        (void)fail(err, ERR_USAGE, 0, "unknown command '%s%s'; did you mean '%s%s'?", before, typed,
                   before, nearest);
    } else {
        (void)fail(err, ERR_USAGE, 0, "unknown command '%s%s'; 'resilver %s--help' lists them",
                   before, typed, before);
    }
    return NULL;
}

int command_run_verb(const struct command *group, int argc, char **argv)
{
    struct error err = {0};
    char before[64];

    if (argc < 2) {
        (void)fail(&err, ERR_USAGE, 0,
                   "what to do is not said; 'resilver %s --help' lists what there is", group->name);
        return command_fail(&err, false);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        command_print_help(group, stdout);
        return command_finish(COMMAND_DONE);
    }
    (void)snprintf(before, sizeof before, "%s ", group->name);
    const struct command *verb =
        command_find(group->verbs, group->verb_count, before, argv[1], &err);
    if (verb == NULL) {
        return command_fail(&err, false);
    }
    /* What the words about a wrong option call it; nobody changes it. */
    argv[1] = (char *)(uintptr_t)verb->name;
    return verb->run(argc - 1, argv + 1);
}

static void print_verbs(const struct command *command, FILE *out)
{
    (void)fputc('\n', out);
    for (size_t i = 0; i < command->verb_count; i++) {
        (void)fprintf(out, "  %-12s%s\n", word_of(command->verbs[i]), command->verbs[i]->summary);
    }
}

void command_print_help(const struct command *command, FILE *out)
{
    (void)fprintf(out, "resilver %s - %s\n\n", command->name, command->summary);
    for (size_t i = 0; command->synopsis[i] != NULL; i++) {
        (void)fprintf(out, "%s resilver %s%s%s\n", i == 0 ? "usage:" : "      ", command->name,
                      command->synopsis[i][0] == '\0' ? "" : " ", command->synopsis[i]);
    }
    if (command->verb_count > 0) {
        print_verbs(command, out);
    }
    if (command->option_count > 0) {
        (void)fprintf(out, "\n");
        options_print(out, command->options, command->option_count);
    }
    if (command->notes != NULL) {
        (void)fprintf(out, "\n%s", command->notes);
    }
}

int command_fail(const struct error *err, bool json)
{
    if (json) {
        render_json_error(stdout, err);
    } else {
        render_text_error(stderr, err);
    }
    return command_finish(err->kind == ERR_USAGE ? COMMAND_USAGE : COMMAND_FAILED);
}

int command_finish(int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return status;
    }
    (void)fprintf(stderr, "resilver: standard output took not all that was printed: %s\n",
                  strerror(errno));
    return status == COMMAND_DONE || status == COMMAND_DIFFERENT ? COMMAND_FAILED : status;
}
