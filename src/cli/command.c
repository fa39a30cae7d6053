/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/command.h"

#include <errno.h>
#include <string.h>

#include "cli/render_json.h"
#include "cli/render_text.h"

void command_print_help(const struct command *command, FILE *out)
{
    (void)fprintf(out, "resilver %s - %s\n\n", command->name, command->summary);
    for (size_t i = 0; command->synopsis[i] != NULL; i++) {
        (void)fprintf(out, "%s resilver %s%s%s\n", i == 0 ? "usage:" : "      ", command->name,
                      command->synopsis[i][0] == '\0' ? "" : " ", command->synopsis[i]);
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
