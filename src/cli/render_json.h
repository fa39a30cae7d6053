/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * render_json.h - the one object that --json prints; its keys are a promise (schema 1). Text that
 * is not UTF-8 (a file may have any name) has U+FFFD for each byte that is none.
 */
#ifndef RESILVER_CLI_RENDER_JSON_H
#define RESILVER_CLI_RENDER_JSON_H

#include <stdio.h>

#include "base/error.h"
#include "cli/report.h"

/* render_json_result - a run that came to its end. What out does not take shows at
 * command_finish(). */
void render_json_result(FILE *out, const struct report *report);

/* render_json_error - a run, or a command line, that failed. */
void render_json_error(FILE *out, const struct error *err);

#endif
