/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * render_text.h - the lines for people at the end of a run.
 */
#ifndef RESILVER_CLI_RENDER_TEXT_H
#define RESILVER_CLI_RENDER_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/report.h"

/* render_text_result - one line a disk, for several disks one for all; verbose: the proofs and the
 * wire too. What out does not take shows at command_finish(). */
void render_text_result(FILE *out, const struct report *report, bool verbose);

/* render_text_amounts - "4.0 GiB compared, 41.0 MiB different, 41.0 MiB written and verified",
 * without an end. */
void render_text_amounts(FILE *out, const struct report_disk *disk, bool is_check);

/* render_text_details - a disk's proof, and what was not read, on lines of their own. */
void render_text_details(FILE *out, const struct report_disk *disk);

/* render_text_error - one line: resilver, the disk and the offset unless the message names them,
 * the message. */
void render_text_error(FILE *out, const struct error *err);

#endif
