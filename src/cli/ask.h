/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ask.h - a question to the person at the terminal.
 */
#ifndef RESILVER_CLI_ASK_H
#define RESILVER_CLI_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"

/* ask_can - whether somebody is there: standard input and standard error are a terminal. */
bool ask_can(void);

/*
 * ask_line - one line from the terminal, without its end; waits until it comes or the program is
 * told to stop (stop.h). Errors: ERR_CANCELLED stopped; ERR_IO.
 */
MUST_CHECK int ask_line(int stop_fd, char *out, size_t size_bytes, struct error *err);

/*
 * ask_name_back - go on only when a name was typed back.
 *
 * @what     what will happen, as a whole sentence without its stop
 * @label    what is to be typed: "the name of the VM"
 * @is_mute  nobody is to be asked (JSON is wanted)
 * Errors: ERR_WRONG_STATE nobody to ask: says --yes; ERR_CANCELLED another answer, or stopped.
 */
MUST_CHECK int ask_name_back(const char *what, const char *label, const char *name, bool is_mute,
                             struct error *err);

#endif
