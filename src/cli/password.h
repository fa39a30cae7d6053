/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * password.h - a new password, from the terminal or from standard input; never from the command
 * line, which every process of the machine may read.
 */
#ifndef RESILVER_CLI_PASSWORD_H
#define RESILVER_CLI_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"

/*
 * password_read - one line without its end. From a terminal it is asked for twice, unseen.
 *
 * @is_stdin  take the first line of standard input, whatever that is
 * Errors: ERR_USAGE nobody to ask, the two differ, too long, a NUL in it; ERR_IO.
 */
MUST_CHECK int password_read(bool is_stdin, char *out, size_t size_bytes, struct error *err);

#endif
